# %% [markdown]
# # 06 · Child-Tuning: gradient masks, Fisher, and what Adam does to 1/p
#
# **Claim.** Child-Tuning F drops most gradients at random and enlarges the rest, so that on average
# nothing changes. Under Adam that average is lost again: F moves as if the learning rate were cut to
# rate · √p, and must be compared with just that. Child-Tuning D fixes the child beforehand, by Fisher
# information, which you will compute by hand. It fits the labels better than a random child of the
# same size, and is right more often than the child of the lowest scores.
#
# **Paper.** Xu, Luo, Zhang, Tan, Chang, Huang and Huang (2021), *Raise a Child in Large Language
# Model: Towards Effective and Generalizable Fine-tuning*.
#
# **Time.** 30 minutes to read, 2 minutes to run on two cores.
#
# **Before this.** [03, Few labels](../03_few_labels_and_variance/tutorial.ipynb), for intervals; what
# Adam does with its two averages.
#
# Millions of weights and a hundred labels: there are countless ways to fit these labels, and most
# of them have nothing to do with the task. Does it help if only a part of the network, a *child*, may
# move?

# %%
import math

import torch
from torch import nn

import minift
from minift.methods.child_tuning import ChildTuningF, FixedMask, candidates, select_child

ENCODER = "mini"

# %% tags=["hide"]
import sys
from dataclasses import replace

import matplotlib.pyplot as plt

sys.path.append("..")
from drawings import child_mask
from shared import BLUE, GREEN, GREY, ORANGE, RED, dots, mean_sd, measured
from turns import check

from minift import Seeds, Settings
from minift.bert.counts import what_learns
from minift.compare.statistics import paired_difference
from minift.methods.fisher import fisher
from minift.methods.freezing import freeze
from minift.runs.fit import frozen_states
from minift.runs.train import subset
from minift.runs.tuned import build
from minift.training.batches import Item
from minift.training.loop import adamw

# %% tags=["hide"] alt="Three grids of nine squares. A gradient times the mask of the child, ones and zeros, leaves the gradient where the mask is one and zero elsewhere."
child_mask()
plt.show()

# %% [markdown]
# ## 1. F: another child at every step
#
# The forward pass uses the whole network. When the gradient g is there, each of its elements is
# kept with probability p, and divided by p; otherwise it is set to 0:
#
# ```
# g  becomes  g · M / p        M: 0 or 1, drawn anew for each element and each step
#
# mean      p · g/p  +  (1 − p) · 0  =  g
# variance  p · (g/p)²  −  g²        =  g² (1 − p) / p
# ```
#
# So the mean is what it was, and noise is added. The paper hopes that the noise leads to flatter
# minima. In the library that is a rule which the loop calls after clipping and before Adam:
#
# ```python minift/methods/child_tuning.py:ChildTuningF.before_step
#         for parameter in parameters.values():
#             if parameter.grad is not None:
#                 mask = dropout_mask(parameter.grad, 1 - self.keep_fraction, self.generator)
#                 parameter.grad.mul_(mask)
# ```
#
# (It is the same arithmetic as dropout, hence the name of the function that draws the mask.) A
# gradient of two rows and three columns, p = 1/2: each element must come out as 0 or doubled. Over
# many draws its mean must be itself, and, as (1 − p) / p = 1, so must its standard deviation.

# %%
gradient = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
weight = nn.Parameter(torch.zeros(2, 3))
rule = ChildTuningF(0.5, torch.Generator().manual_seed(0))


def masked():
    """Return the gradient as the rule leaves it."""
    weight.grad = gradient.clone()
    rule.before_step({"weight": weight})
    return weight.grad


for number in range(3):
    print(f"draw {number + 1}:", masked().tolist())
draws = torch.stack([masked() for _ in range(4000)])
print("mean:  ", [[round(x, 1) for x in row] for row in draws.mean(0).tolist()])
print("sd:    ", [[round(x, 1) for x in row] for row in draws.std(0).tolist()])

# %% tags=["hide"]
measured(mean_of_6=draws[:, 1, 2].mean().item(), sd_of_6=draws[:, 1, 2].std().item())

# %% [markdown]
# The 6 has the mean 5.8<!-- measured: mean_of_6 5.6 to 6.4 --> and the standard deviation
# 6.0<!-- measured: sd_of_6 5.7 to 6.3 -->. So far everything is as the formula says.
#
# **Your turn.** Write what the mask makes of a gradient g, without drawing: its mean, its standard
# deviation, and its mean divided by the root of its mean square. You will need the third in a moment.


# %%
def moments(gradient, p):
    """Return [mean, standard deviation, mean / root of the mean square] of a masked gradient.

    Args:
        gradient: a number, not 0
        p: the share of gradients that is kept
    """
    ...


check("06.moments", moments)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Two things can happen: g / p with probability p, and 0 otherwise. The mean square is p · (g/p)².
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def moments(gradient, p):
#     sd = abs(gradient) * math.sqrt((1 - p) / p)
#     return [gradient, sd, math.copysign(math.sqrt(p), gradient)]
# ```
#
# </details>
#
# ## 2. What Adam makes of it
#
# But nobody takes the step that the gradient says. Adam keeps two averages, m of the gradient and v
# of its square, and moves by
#
# ```
# step = rate · m / √v
# ```
#
# Suppose the gradient is a steady g. Without masks m = g, v = g², and the step is the rate. With
# masks the average of g M / p is still g. The average of its *square* is not g²:
#
# ```
# p · (g/p)²  =  g² / p        so       step  =  rate · g / √(g² / p)  =  rate · √p
# ```
#
# With p = 0.3<!-- given --> that is about half the rate. Nobody asked for a smaller rate!
#
# **Your turn.** Write Adam for a single weight that starts at 0. Then see what a constant factor on
# all gradients, such as 1/p, does to the answer.


# %%
def adam(gradients, rate, beta1, beta2):
    """Return where a weight is after one step of Adam per gradient; it starts at 0.

    m and v are corrected for their start at 0; while v is 0 the weight stays.
    """
    ...


check("06.adam", adam)

# %% [markdown]
# <details><summary>Hint</summary>
#
# m becomes β₁ m + (1 − β₁) g, and v becomes β₂ v + (1 − β₂) g². At step t divide m by 1 − β₁ᵗ, and v
# by 1 − β₂ᵗ.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def adam(gradients, rate, beta1, beta2):
#     m = v = weight = 0.0
#     for t, g in enumerate(gradients, start=1):
#         m = beta1 * m + (1 - beta1) * g
#         v = beta2 * v + (1 - beta2) * g**2
#         if v > 0:
#             weight -= rate * (m / (1 - beta1**t)) / math.sqrt(v / (1 - beta2**t))
#     return weight
# ```
#
# </details>
#
# Now a thousand weights, 400 steps, a steady gradient of 1. How far do they get, as a share of rate ·
# steps? Two controls: plain gradient descent (SGD) has no v and must get as far as without masks. And
# Adam with masks but *without* the 1/p must get exactly as far as with it, because a constant factor
# cancels in m / √v.

# %%
STEPS, RATE = 400, 1e-3


def displacement(p, optimizer, seed, unscaled=False):
    """Return the mean way of 1,000 weights under a gradient of 1, as a share of RATE * STEPS."""
    weight = nn.Parameter(torch.zeros(1000, dtype=torch.double))
    steps = optimizer([weight], lr=RATE)
    rule = ChildTuningF(p, torch.Generator().manual_seed(seed))
    for _ in range(STEPS):
        weight.grad = torch.ones_like(weight)
        rule.before_step({"weight": weight})
        if unscaled:
            weight.grad.mul_(p)
        steps.step()
    return -weight.mean().item() / (RATE * STEPS)


# %%
SHARES = (1.0, 0.5, 0.3, 0.2, 0.1)
ways = {
    "SGD": {p: [displacement(p, torch.optim.SGD, seed) for seed in range(4)] for p in SHARES},
    "Adam": {p: [displacement(p, torch.optim.Adam, seed) for seed in range(4)] for p in SHARES},
    "Adam, masks without 1/p": {
        p: [displacement(p, torch.optim.Adam, seed, unscaled=True) for seed in range(4)]
        for p in SHARES
    },
}

# %% tags=["hide"] alt="How far weights move under a steady gradient, against the share p of gradients that is kept. SGD stays at 1 for every p. Adam follows the curve of the square root of p, and Adam without the factor 1/p lies in the same places."
figure, axes = plt.subplots(figsize=(4.8, 3.0))
curve = [0.05 + 0.95 * i / 100 for i in range(101)]
axes.plot(curve, [math.sqrt(p) for p in curve], color=GREY, linewidth=1, label="√p")
looks = {"SGD": (GREEN, "o", 7), "Adam": (BLUE, "o", 7), "Adam, masks without 1/p": (RED, "x", 9)}
for name, (colour, marker, size) in looks.items():
    means, spreads = zip(*(mean_sd(ways[name][p]) for p in SHARES))
    axes.errorbar(
        SHARES, means, spreads, fmt=marker, color=colour, markersize=size, label=name, capsize=3
    )
axes.set(xlabel="p, the share of gradients kept", ylabel="way / (rate · steps)", ylim=(0, 1.15))
axes.legend(frameon=False, loc="lower right")
plt.show()
print("  p     √p", *(f"{name:>24}" for name in ways))
for p in SHARES:
    cells = ("{:.3f} ± {:.3f}".format(*mean_sd(found[p])) for found in ways.values())
    print(f"{p:.1f}  {math.sqrt(p):.3f}", *(f"{cell:>24}" for cell in cells))
adam = {p: mean_sd(ways["Adam"][p])[0] for p in SHARES}
bare = {p: mean_sd(ways["Adam, masks without 1/p"][p])[0] for p in SHARES}
measured(
    adam_03=adam[0.3],
    sgd_03=mean_sd(ways["SGD"][0.3])[0],
    off_root=max(abs(adam[p] / math.sqrt(p) - 1) for p in SHARES),
    scale_matters=max(abs(adam[p] - bare[p]) for p in SHARES),
)

# %% [markdown]
# SGD keeps the promise of the mean: its way is 1.00<!-- measured: sgd_03 0.98 to 1.02 --> of the full
# one at p = 0.3<!-- given -->. Under Adam it is 0.54<!-- measured: adam_03 0.53 to 0.57 -->, and
# √0.3<!-- given --> is 0.548<!-- given -->. No p is further from its √p than
# 2 %<!-- measured: off_root 0 to 5 -->. And the famous 1/p makes no difference:
# 0.000<!-- measured: scale_matters -->.
#
# So a gain of F over full fine-tuning may be nothing but the gain of a smaller rate. The fair
# opponent is full fine-tuning at rate · √p, and minift has a word for it: `full-sqrt:0.3`.
#
# F is not quite the same as a smaller rate. Real gradients are noise around a small mean. The part of
# the steps that batches agree on shrinks by √p there as well, but the noise in the steps does not.
#
# ## 3. D: one child, chosen by Fisher information
#
# D asks beforehand which weights the labels pull at most. The score of a weight is the mean, over single
# examples, of the squared gradient of log p(label | text): the diagonal of the empirical Fisher
# information.
#
# ```
# Fᵢ = 1/N · Σ  (∂ log p(yₑ | xₑ) / ∂wᵢ)²        the sum is over examples e
# ```
#
# In the library that is a loop over the examples, with dropout off:
#
# ```python minift/methods/fisher.py:fisher
#         for item in team.share(known):
#             batch = to_device(make_batch([item]), device)
#             log_likelihood = -objective(model, batch, 0, 1).sum()  # as in step 0 of 1
#             gradients = torch.autograd.grad(
#                 log_likelihood, [*weights.values()], materialize_grads=True
#             )
#             for score, gradient in zip(scores.values(), gradients):
#                 score.addcmul_(gradient, gradient, value=1 / len(known))  # + gradient^2 / N
# ```
#
# The weights with the highest scores, a share p of all, are the child. It is chosen once, at the
# pretrained weights. All other weights stay what they were.
#
# For logistic regression with two weights you can do it on paper. Both weights are 0, so every
# probability is 1/2 and the gradient of an example is ±x/2. Four examples:
#
# | x₁ | x₂ | label | gradient of the loss |
# |---|---|---|---|
# | 1 | 0 | 1 | −1/2, 0 |
# | 1 | 0 | 0 | 1/2, 0 |
# | 1 | 0 | 1 | −1/2, 0 |
# | 1 | 4 | 0 | 1/2, 2 |
#
# F₁ = mean(1/4, 1/4, 1/4, 1/4) = 1/4. F₂ = mean(0, 0, 0, 4) = 1. With p = 1/2 the child is the
# second weight.
#
# There is a trap. Many programs, that of the paper's authors among them, square the gradient of a
# *batch*. Then what examples disagree about cancels before it is squared. The mean gradient is (0,
# 1/2), its square (0, 1/4): the first weight seems to be one that no label pulls at, though every
# label does.

# %%
x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 4.0]])
labels = (1, 0, 1, 0)
items = [Item(n, [n], [0], [0], [label]) for n, label in enumerate(labels)]  # item n reads row n
logistic = nn.Linear(2, 1, bias=False)
nn.init.zeros_(logistic.weight)


def logistic_loss(model, batch, step=0, steps=1):
    """Return -log p(label), one per example, whatever the step."""
    logits = model(x[batch.packed.input_ids]).squeeze(-1)
    return nn.functional.binary_cross_entropy_with_logits(
        logits, batch.targets.float(), reduction="none"
    )


scores = fisher(logistic, items, logistic_loss)
logistic_loss(logistic, minift.make_batch(items)).mean().backward()
of_batch = logistic.weight.grad**2
logistic.weight.grad = None
print("single examples:", scores["weight"].tolist(), "  one batch:", of_batch.tolist())
child = select_child(scores, 0.5)
for order in ("highest", "lowest"):
    print(f"{order:<8}", select_child(scores, 0.5, order)["weight"].tolist())

# %% tags=["hide"]
measured(
    F_1=scores["weight"][0, 0].item(),
    F_2=scores["weight"][0, 1].item(),
    batch_1=of_batch[0, 0].item(),
    batch_2=of_batch[0, 1].item(),
)

# %% [markdown]
# The library agrees: 0.25<!-- measured: F_1 --> and 1<!-- measured: F_2 -->; as one batch
# 0<!-- measured: batch_1 --> and 0.25<!-- measured: batch_2 -->.
#
# To keep a weight where it is, a gradient of 0 is not enough: weight decay would still shrink it,
# and so would Adam's momentum from before. So the rule puts it back after the step.
#
# ```python minift/methods/child_tuning.py:FixedMask.after_step
#                 torch.where(self.masks[name], parameter, before, out=parameter)
# ```
#
# Two weights at 1, ten steps with decay, with and without putting back:

# %%
outside = []
for decay_masked in (False, True):
    with torch.no_grad():
        logistic.weight.fill_(1.0)
    parameters = dict(logistic.named_parameters())
    optimizer = adamw(parameters, Settings(learning_rate=0.01, weight_decay=0.1))
    rule = FixedMask(child, decay_masked)
    for _ in range(10):
        batch = minift.make_batch(items)
        logistic_loss(logistic, batch).mean().backward()
        rule.before_step(parameters)
        optimizer.step()
        rule.after_step(parameters)
        optimizer.zero_grad()
    print(f"decay_masked={decay_masked!s:<6}", [f"{w:.4f}" for w in logistic.weight[0].tolist()])
    outside.append(logistic.weight[0, 0].item())

# %% tags=["hide"]
measured(outside_kept=outside[0], outside_decayed=outside[1])

# %% [markdown]
# The weight outside the child is 1<!-- measured: outside_kept --> as before, or, if decay may touch
# it, 0.990<!-- measured: outside_decayed -->: the tenth power of 1 − 0.01<!-- given --> ·
# 0.1<!-- given -->.
#
# ## 4. How large is the child of a BERT?
#
# The candidates are the weights of the encoder's *layers*, as in the authors' code. Embeddings,
# pooler and head are not candidates and learn in full. So p is not the share of the network that
# learns. To see what the child does, and to be quick, embeddings and the lower two layers are frozen
# in all that follows, in every method alike: the child is a tenth of the top layer.

# %%
reviews = minift.load_dataset("reviews")
reviews = replace(reviews, dev=(), test=reviews.test[:200])  # nothing is chosen by a dev split
LABELS = 100


def share_that_learns(frozen):
    """Return the share of all weights that learn with child-d:0.1, and the child's masks."""
    tuned = build(reviews, ENCODER, Seeds.all(0))
    learning = frozen(tuned.model)
    for name, parameter in tuned.model.named_parameters():
        parameter.requires_grad_(name in learning)
    items = tuned.items(subset(reviews.train, 32, 0))
    scores = fisher(tuned.model, items, names=candidates(tuned.model))
    child = select_child(scores, 0.1)
    row = what_learns(tuned.model, learning, FixedMask(child).learning)["all"]
    return row.learning / row.elements, child, scores


learns, _, _ = share_that_learns(freeze(0))
learns_frozen, child, scores = share_that_learns(freeze(2))

# %% tags=["hide"]
flat = torch.cat([score.flatten() for score in scores.values()]).sort(descending=True).values
top = flat[: len(flat) // 10].sum() / flat.sum()
kinds = {}
for name, mask in child.items():
    kind = "biases" if name.endswith("bias") else "norm gains" if "norm" in name else "matrices"
    kept, of = kinds.get(kind, (0, 0))
    kinds[kind] = kept + int(mask.sum()), of + mask.numel()
for kind, (kept, of) in kinds.items():
    print(f"{kind:<11}{kept:>9,} of {of:>9,}  {kept / of:.1%}")
measured(
    learns=learns,
    learns_frozen=learns_frozen,
    top=top.item(),
    biases=kinds["biases"][0] / kinds["biases"][1],
    gains=kinds["norm gains"][0] / kinds["norm gains"][1],
)

# %% [markdown]
# With p = 0.1<!-- given --> and nothing frozen, 72 %<!-- measured: learns 68 to 76 --> of `mini`
# learns, most of it embeddings. With the lower part frozen it is
# 1.0 %<!-- measured: learns_frozen 0.8 to 1.3 -->.
#
# The scores are far from equal: the top tenth of the weights holds
# 81 %<!-- measured: top 50 to 99 --> of all Fisher information. The child takes
# 58 %<!-- measured: biases 20 to 90 --> of the biases and 85 %<!-- measured: gains 10 to 100 --> of the
# LayerNorm gains: one such number acts on every token, and collects gradient from all of them. Fisher
# scores lean towards the numbers that [BitFit](../05_bitfit/tutorial.ipynb) chose by name.
#
# ## 5. Six methods on the same draws
#
# 100 labels, four epochs. F with p = 0.3<!-- given --> beside full fine-tuning and its fair opponent,
# four seeds. D with p = 0.1<!-- given --> beside two controls with just as many weights, drawn at
# random and taken from the *bottom* of the scores, five seeds. We look at the accuracy on 200 test
# texts, at the loss on the training texts (how well could this child fit them?), and for F at how far
# the weights went.

# %%
METHODS = {
    "full": ("full", 4),  # so many seeds
    "rate · √p": ("full-sqrt:0.3", 4),
    "F": ("child-f:0.3", 4),
    "D": ("child-d:0.1", 5),
    "random": ("child-d:0.1,random", 5),
    "lowest": ("child-d:0.1,lowest", 5),
}

# %%
frozen = replace(minift.recipe("full", ENCODER), trainable=freeze(2))
cache = frozen_states(reviews, ENCODER, frozen, None, "cpu")  # the lower layers, once for all


def run(method, seed):
    """Fine-tune once; return accuracy, training loss, and how far the weights went."""
    recipe = minift.recipe(method, ENCODER)
    rate = 8 * recipe.settings.learning_rate  # one layer learns: it can take larger steps
    settings = replace(recipe.settings, learning_rate=rate, epochs=4, min_steps=0)
    recipe = replace(recipe, trainable=freeze(2), settings=settings)
    seeds = Seeds.all(seed)
    tuned, result = minift.train(reviews, ENCODER, recipe, labels=LABELS, seeds=seeds, cache=cache)
    loss = tuned.evaluate(subset(reviews.train, LABELS, seed)).loss
    moved = [
        (parameter.detach() - layer[name]).abs().mean()
        for name, parameter in tuned.model.bert.named_parameters()
        if name in layer and name.endswith("weight")
    ]
    if method == "child-d:0.1":
        children.append(tuned)
    return result["test"], loss, torch.stack(moved).mean().item()


# %%
encoder, _ = minift.load_encoder(ENCODER)  # as pretraining left it
layer = {n: p.detach() for n, p in encoder.named_parameters() if "layers.2." in n}
children = []  # the models of D, for section 6
runs = {name: [run(word, seed) for seed in range(n)] for name, (word, n) in METHODS.items()}
accuracy, loss, way = ({m: [r[i] for r in found] for m, found in runs.items()} for i in range(3))

# %% tags=["hide"] alt="Two dot plots, one row for each method. Above: loss on the training texts. It is lowest for full fine-tuning, and nearly the same for F and for full fine-tuning at rate times root p; it rises from the child of the highest Fisher scores over the random child to the child of the lowest scores. Below: test accuracy, where the rows overlap."
colours = {"rate · √p": GREY, "random": GREY, "lowest": RED, "full": GREEN, "F": ORANGE}
figure, (upper, lower) = plt.subplots(2, 1, figsize=(4.8, 4.4))
dots(upper, loss, colours)
dots(lower, accuracy, colours)
upper.set_xlabel("loss on the training texts")
lower.set_xlabel("accuracy on the test texts")
plt.show()


def against(table, one, other):
    """Return the mean of one - other on the same draws, and its 95 % interval."""
    found = paired_difference(table[one], table[other])
    return found.mean, *found.interval


for one, other in (("F", "full"), ("F", "rate · √p"), ("D", "random"), ("D", "lowest")):
    short = f"{one}_{other}".replace("rate · √p", "root").lower()
    for kind, table in (("loss", loss), ("acc", accuracy)):
        values = against(table, one, other)
        print(
            f"{one} minus {other:<10}{kind:<5}",
            "{:+.3f}   95 % interval {:+.3f} to {:+.3f}".format(*values),
        )
        names = (f"{short}_{kind}{part}" for part in ("", "_low", "_high"))
        measured(**dict(zip(names, values)))
measured(
    way_root=mean_sd(way["rate · √p"])[0] / mean_sd(way["full"])[0],
    way_f=mean_sd(way["F"])[0] / mean_sd(way["full"])[0],
    loss_d=mean_sd(loss["D"])[0],
    loss_random=mean_sd(loss["random"])[0],
    loss_lowest=mean_sd(loss["lowest"])[0],
)

# %% [markdown]
# **F.** Look at the upper plot first. F fits the training texts worse than full fine-tuning at the
# same rate: its loss is higher by 0.18<!-- measured: f_full_loss 0.1 to 0.26 -->
# (95 %<!-- given --> interval 0.15<!-- measured: f_full_loss_low 0.05 to 0.24 --> to
# 0.21<!-- measured: f_full_loss_high 0.12 to 0.3 -->). Beside full fine-tuning at rate · √p the
# accuracy differs by −0.8 points<!-- measured: f_root_acc -4 to 3 -->
# (−2.6 points<!-- measured: f_root_acc_low -8 to 0 --> to
# 1.1 points<!-- measured: f_root_acc_high -1 to 6 -->): no difference that four seeds can see. So F did
# to the accuracy what a smaller rate does, as section 2 led us to expect. The weights tell the two
# apart. With rate · √p they went 0.57<!-- measured: way_root 0.5 to 0.65 --> of the way of full
# fine-tuning, with F 0.75<!-- measured: way_f 0.65 to 0.85 -->. The surplus is noise, and it bought
# nothing: F's training loss is even a little higher, by 0.021<!-- measured: f_root_loss 0 to 0.05 -->
# (0.019<!-- measured: f_root_loss_low -0.02 to 0.04 --> to
# 0.023<!-- measured: f_root_loss_high 0 to 0.07 -->).
#
# **D.** With a tenth of the layer's weights, the child of the highest scores fits the training texts
# best of the three. Its loss is 0.57<!-- measured: loss_d 0.5 to 0.62 -->, that of a random child
# 0.64<!-- measured: loss_random 0.6 to 0.67 -->, and that of the child of the lowest scores
# 0.66<!-- measured: loss_lowest 0.62 to 0.69 -->. D minus the random child, seed by seed, is
# −0.067<!-- measured: d_random_loss -0.12 to -0.03 -->
# (−0.084<!-- measured: d_random_loss_low -0.15 to -0.04 --> to
# −0.050<!-- measured: d_random_loss_high -0.09 to 0 -->), and D minus the lowest
# −0.092<!-- measured: d_lowest_loss -0.15 to -0.04 -->
# (−0.115<!-- measured: d_lowest_loss_low -0.2 to -0.05 --> to
# −0.068<!-- measured: d_lowest_loss_high -0.11 to 0 -->). That is what Fisher scores promise: these are
# the weights that the labels pull at.
#
# On the test texts D is 7.8 points<!-- measured: d_lowest_acc 2 to 14 --> ahead of the lowest child
# (2.8 points<!-- measured: d_lowest_acc_low -2 to 8 --> to
# 12.8 points<!-- measured: d_lowest_acc_high 6 to 22 -->). Against the random child it is
# 4.6 points<!-- measured: d_random_acc 0 to 10 --> ahead
# (−0.6 points<!-- measured: d_random_acc_low -6 to 5 --> to
# 9.8 points<!-- measured: d_random_acc_high 3 to 18 -->), which five seeds cannot tell from nothing.
#
# Neither method beats full fine-tuning here, which fits the training texts best. In these 28 steps
# nobody seems to overfit, and a method against overfitting then has nothing to win.
#
# ## 6. Frozen, not cut away
#
# If the child is what matters, why keep the rest? The paper asked that, too. Take the five models that
# D has trained, and set to 0 every weight of the layer that is not in the child.


# %%
def cut_away(tuned):
    """Set the weights outside the child, which have not moved, to 0; return the test accuracy."""
    parameters = dict(tuned.model.bert.named_parameters())
    with torch.no_grad():
        for name, before in layer.items():
            parameters[name].mul_(parameters[name] != before)
    return tuned.evaluate(reviews.test).scores["accuracy"]


alone = [cut_away(tuned) for tuned in children]

# %% tags=["hide"] alt="Dot plot of test accuracy, five dots per row. With the frozen weights kept, all dots lie well above guessing. With them set to 0, most lie closer to guessing."
figure, axes = plt.subplots(figsize=(4.8, 1.6))
dots(axes, {"rest frozen": accuracy["D"], "rest set to 0": alone}, {"rest set to 0": RED})
axes.axvline(0.5, color=GREY, ls="--", lw=1)
axes.set_xlabel("accuracy on the test texts (dashed: guessing)")
plt.show()
drop = paired_difference(accuracy["D"], alone)
measured(d_acc=mean_sd(accuracy["D"])[0], alone=mean_sd(alone)[0])
measured(drop=drop.mean, drop_low=drop.interval[0], drop_high=drop.interval[1])

# %% [markdown]
# With the rest frozen D is right on 65 %<!-- measured: d_acc 58 to 72 --> of the texts, without it on
# 56 %<!-- measured: alone 44 to 62 -->, where guessing gives one half. The drop is
# 9 points<!-- measured: drop 4 to 20 --> (95 %<!-- given --> interval
# 2 points<!-- measured: drop_low -2 to 15 --> to 15 points<!-- measured: drop_high 6 to 32 -->). The
# child was trained to work together with the nine tenths that did not move. (The paper is
# said to lose 34 points<!-- given --> on average, a catastrophe. There whole large models are cut; here
# it is one layer, and more than half of what was gained over guessing is lost.)
#
# ## Limits
#
# - Four or five seeds, 100 labels, and one layer that learns. What D and F do to a whole large model
#   is not shown here.
# - Everybody trains at eight times the library's rate, which was set once and not searched. Neither
#   was p. A child may want another rate than the whole.
# - The law of √p is exact for a steady gradient after many steps. In the very first step every kept
#   weight moves by the whole rate, and every dropped one not at all.
# - In a first version of this page the head was solved, the child taken from all three layers, and
#   the rest set to 0 without any training. With a tenth kept the accuracy fell from
#   0.722<!-- given --> to 0.660<!-- given --> on average of three seeds, with an interval that includes
#   0. So how much is lost depends on what is cut, and section 6 is about one layer.
# - Fisher scores depend on how the new head was drawn, which knows nothing yet.
#
# ## Where this differs from the paper
#
# - The paper's Fisher information is per example; so is ours. The authors' code squares clipped
#   gradients of batches, with dropout on.
# - D leaves weights outside the child as they were. The authors' code lets weight decay shrink
#   them; here that is `decay_masked=True`.
# - Exactly round(p · N) weights are kept. The authors' code keeps all that tie with the last one.
# - F draws from a random stream of its own, so F and full fine-tuning see the same dropout.
# - In the authors' code the warm-up that the script asks for does not reach Child-Tuning runs, only
#   the baseline. Here both have it.
# - The paper works on large models, whose embeddings are a tenth of their weights, and gives means
#   of ten seeds on GLUE. Freezing the lower layers is this page's, not the paper's.
#
# ## Summary
#
# - F masks gradients at random and divides by p. Under Adam the 1/p cancels, and rate · √p is left.
# - So F must be compared with full fine-tuning at rate · √p, and here it cannot be told from that.
# - D chooses its child by the squared gradients of single examples, not of batches.
# - Weights outside the child are frozen, not useless: without them the model lost more than half
#   of its lead over guessing.
#
# ## Questions
#
# You train with SGD instead of Adam. Is F still a smaller rate?
#
# <details><summary>Answer</summary>
#
# No. SGD moves by the gradient itself, whose mean the 1/p preserves. Only noise is added.
#
# </details>
#
# Two examples pull at a weight with +1 and −1. What are its Fisher score and that of the batch?
#
# <details><summary>Answer</summary>
#
# 1 and 0: the squares do not cancel, but the gradients do.
#
# </details>
#
# Why is a random child a better control for D than full fine-tuning?
#
# <details><summary>Answer</summary>
#
# It moves as many weights as D. So a difference is due to the choice, not to the number.
#
# </details>
#
# ## Further reading
#
# - Xu, Luo, Zhang, Tan, Chang, Huang, Huang (2021), [Raise a Child in Large Language
#   Model](https://arxiv.org/abs/2109.05687)
# - Kingma, Ba (2014), [Adam: A Method for Stochastic Optimization](https://arxiv.org/abs/1412.6980)
# - Lee, Cho, Kang (2019), [Mixout: Effective Regularization to Finetune Large-scale Pretrained
#   Language Models](https://arxiv.org/abs/1909.11299), a mask on the weights themselves
# - Kirkpatrick et al. (2016), [Overcoming catastrophic forgetting in neural
#   networks](https://arxiv.org/abs/1612.00796), Fisher information for another end
# - Kunstner, Balles, Hennig (2019), [Limitations of the Empirical Fisher
#   Approximation](https://arxiv.org/abs/1905.12558)
# - Sung, Nair, Raffel (2021), [Training Neural Networks with Fixed Sparse
#   Masks](https://arxiv.org/abs/2111.09839), which selects by Fisher information, too
#
# **Assignment.** [Child-Tuning: masks, Fisher, and the optimizer behind them](assignment.md)
