# %% [markdown]
# # 04 · Freezing layers
#
# **Claim.** Freezing a layer is the simplest way to train less. Which end you freeze decides what
# you save: next to the input, half a step for one layer of three; next to the output, hardly
# anything. Whether the model gets *better* by it is another question, which three seeds can answer
# only in the coarse.
#
# **Paper.** Griesshaber, Maucher and Vu (2020), *Fine-tuning BERT for Low-Resource Natural Language
# Understanding via Active Learning*; the last section: Howard and Ruder (2018), *Universal Language
# Model Fine-tuning for Text Classification*.
#
# **Time.** 20 minutes to read, 1 minute to run on two cores.
#
# **Before this.** [03, Few labels](../03_few_labels_and_variance/tutorial.ipynb), for what an
# accuracy from three seeds is worth; the chain rule.
#
# Fine-tuning moves millions of weights by the word of a few dozen labels. Many people freeze some
# layers, "because the lower ones are general" or "because the upper ones are good already" or "to
# save time". The question of this page: what of that can be computed, what can be measured, and
# what is belief?

# %%
import sys
import tempfile
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import minift
from minift import Seeds
from minift.bert.counts import what_learns
from minift.checkpoints.weights import random_model
from minift.compare.bag_of_words import fit_bag_of_words
from minift.methods.freezing import freeze
from minift.methods.layerwise_decay import layerwise_scales
from minift.runs.train import subset
from minift.runs.tuned import build
from minift.training.loop import cross_entropy, select

sys.path.append("..")
from shared import BLUE, GREY, ORANGE, RED, dots, mean_sd, measured  # publishes numbers; a plot

DATA = "reviews"  # or "sst2", with ENCODER = "minilm"
ENCODER = "tiny"
RATE = {"tiny": 3e-4, "minilm": 5e-5}[ENCODER]
LABELS, SEEDS = 64, range(3)

data = replace(minift.load_dataset(DATA), dev=())  # nothing here is chosen by a validation split

# %% [markdown]
# ## 1. Which names learn?
#
# The paper writes F for the number of frozen layers, with a sign for the side: F = 2 freezes the
# two layers next to the input, F = −2 the two next to the output. The whole method is a list of
# names:
#
# ```python minift/methods/freezing.py:freeze
#         frozen: set[int | str] = set(range(layers) if layers > 0 else range(depth + layers, depth))
#         if embeddings or (embeddings is None and layers > 0):
#             frozen.add("embeddings")
#         names = [name for name, _ in model.named_parameters() if part_of(name) not in frozen]
# ```
#
# With F > 0 the embeddings freeze as well: a frozen layer above moving inputs would no longer see
# what it was trained on.

# %%
model = build(data, ENCODER, Seeds.all(0)).model
for layers in (1, -1):
    print(f"F = {layers}")
    print(*what_learns(model, freeze(layers)(model)).values(), sep="\n", end="\n\n")
with torch.device("meta"):  # shapes without numbers
    base = minift.SequenceClassifier(minift.BertConfig(labels=("negative", "positive")))
table = what_learns(base, freeze(3)(base))
measured(
    layer_of_base=table["layer 0"].elements,
    base_learns=table["all"].learning / table["all"].elements,
)

# %% [markdown]
# A layer of BERT-base has 7,087,872<!-- measured: layer_of_base --> parameters. With F = 3, and the
# embeddings, 59 %<!-- measured: base_learns --> of BERT-base learn.
#
# ## 2. Three layers of one number
#
# Which gradients must be computed at all? Take the smallest network there is: three layers that
# multiply by one number each.
#
# ```
# x = 1  →  h₁ = w₁ x  →  h₂ = w₂ h₁  →  y = w₃ h₂         w = 2, 3, 5,  so  h₁ = 2, h₂ = 6, y = 30
# ```
#
# Each layer has two gradients to compute, from the one that reaches its output:
#
# ```
# for its weight     ∂y/∂w₃ = h₂ = 6      ∂y/∂w₂ = w₃ h₁ = 10     ∂y/∂w₁ = w₃ w₂ x = 30/2 = 15
# for its input      ∂y/∂h₂ = w₃ = 5      ∂y/∂h₁ = w₃ w₂ = 15     (x is not asked)
# ```
#
# - *Freeze layer 1* (next to the input). ∂y/∂w₁ is not needed. Who needs ∂y/∂h₁? Only layer 1. So
#   it is not needed either: the way down ends above the frozen layer.
# - *Freeze layer 3* (next to the output). ∂y/∂w₃ is not needed. But ∂y/∂h₂ is, since layers 1 and 2
#   wait for it. The way down must pass through the frozen layer.
#
# PyTorch finds that out by itself, from `requires_grad`:

# %%
counts = {}
for frozen in (None, 1, 3):
    w = [
        torch.tensor(v, requires_grad=layer != frozen)
        for layer, v in ((1, 2.0), (2, 3.0), (3, 5.0))
    ]
    h = [torch.tensor(1.0)]
    for weight in w:
        h.append(weight * h[-1])
        if h[-1].requires_grad:
            h[-1].retain_grad()
    h[-1].backward()
    weights = [None if v.grad is None else v.grad.item() for v in w]
    states = [v.grad.item() if v.requires_grad else None for v in h[1:3]]
    counts[frozen] = sum(g is not None for g in weights + states)
    print(f"frozen: {frozen!s:<5} for w₁ w₂ w₃: {weights!s:<20} for h₁ h₂: {states}")
measured(all_learn=counts[None], first_frozen=counts[1], last_frozen=counts[3])

# %% [markdown]
# Without freezing 5<!-- measured: all_learn --> gradients are computed. With layer 1 frozen there
# are 3<!-- measured: first_frozen -->, with layer 3 frozen 4<!-- measured: last_frozen -->.
#
# ## 3. The same in BERT, counted
#
# In a BERT each of these gradients is a matrix product that costs as much as the one of the forward pass.
# If all layers were alike, a step would cost, in units of one layer's forward pass:
#
# | | forward | backward | why |
# |---|---|---|---|
# | F = 0 | 3 | 6 | two products in each layer |
# | F = 1 | 3 | nearly 4 | two layers, and the lower of them passes nothing on |
# | F = −1 | 3 | 5 | one product in the frozen layer, two below |
#
# Now count. PyTorch's flop counter adds up the multiplications of all matrix products; no clock is
# involved, so the figures are the same on any machine. One batch of 16 reviews, forward and
# backward.

# %%
items = minift.make_items(
    subset(data.train, 16, 0), minift.load_tokenizer(ENCODER), data.task, data.labels
)


def products(layers):
    """Return multiplications and additions of a step, in millions: forward, backward."""
    model = build(data, ENCODER, Seeds.all(0)).model.train()
    select(model, freeze(layers))
    with FlopCounterMode(display=False) as counter:
        loss = cross_entropy(model, minift.make_batch(items)).mean()
        forward = counter.get_total_flops()
        loss.backward()
        return forward / 1e6, (counter.get_total_flops() - forward) / 1e6


depth = model.config.num_hidden_layers
SIDES = [0, *range(1, depth + 1), *range(-1, -depth - 1, -1)]
work = {layers: products(layers) for layers in SIDES}

# %% alt="Bars of the work of one training step for each F, forward and backward. Backward shrinks to a half with one layer frozen next to the input and to almost nothing with two; with layers frozen next to the output it stays long."
figure, axes = plt.subplots(figsize=(5.8, 2.8))
for place, (forward, backward) in enumerate(work.values()):
    axes.barh(place, forward, color=GREY, label="forward" if place == 0 else None)
    axes.barh(place, backward, left=forward, color=BLUE, label="backward" if place == 0 else None)
names = [f"F = {layers}".replace("-", "−") for layers in SIDES]
axes.set_yticks(range(len(SIDES)), names)
axes.invert_yaxis()
axes.set_xlabel("million floating-point operations of a step (16 texts)")
axes.legend(frameon=False, loc="center right")
plt.show()

full = work[0][1]
for layers, (forward, backward) in work.items():
    print(
        f"F = {layers:>2}   forward {forward:7.1f}   backward {backward:7.1f}  {backward / full:6.1%}"
    )
measured(
    twice=full / work[0][0],
    input_1=work[1][1] / full,
    input_2=work[2][1] / full,
    output_1=work[-1][1] / full,
    output_2=work[-2][1] / full,
    output_all=work[-depth][1] / full,
)

# %% [markdown]
# Without freezing, backward costs 2<!-- measured: twice --> times forward, as in the table. One
# layer frozen next to the input leaves 45 to 55 %<!-- measured: input_1 --> of it, two leave 2 to
# 8 %<!-- measured: input_2 -->. One layer frozen next to the output leaves 92 to
# 99 %<!-- measured: output_1 -->, two leave 70 to 80 %<!-- measured: output_2 -->, and even with
# *every* layer frozen, so that only embeddings and head learn, 50 to
# 60 %<!-- measured: output_all --> remains. (The last layer is cheap in minift, because a
# classifier reads one token and the last layer computes only that one. In a deep BERT layers are
# nearly alike.)
#
# There is one more saving on the input side. A frozen prefix gives the same numbers for the same
# text in every epoch, so minift computes them once per text and keeps them: then part of *forward* is
# gone as well. For that, dropout must be off in the prefix. See
# [prefix.py](../../minift/speed/prefix.py).
#
# ## 4. Frozen means bit for bit
#
# A gradient of zero does not freeze. AdamW subtracts a share of the weight at each step, gradient
# or not, and Adam's momentum keeps pushing. The first weight below has a gradient of 0, the
# second has none; decay is on.

# %%
zeroed, frozen = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
optimizer = torch.optim.AdamW([zeroed, frozen], lr=0.01, weight_decay=0.1)
for _ in range(100):
    zeroed.grad, frozen.grad = torch.zeros(1), None
    optimizer.step()
measured(zeroed=zeroed.item(), without_gradient=frozen.item())

# %% [markdown]
# After a hundred steps the first is 0.90 to 0.91<!-- measured: zeroed -->, the second still
# 1<!-- measured: without_gradient -->. minift's loop gives the optimizer only what learns. Does a
# whole run leave the frozen layers alone, and nothing but them? The control is the same run without
# freezing.

# %%
METHODS = {
    "F = 0 (full)": "full",
    "F = 1": "freeze:1",
    "F = 2": "freeze:2",
    "F = 3 (all)": "freeze:3",
    "F = −1": "freeze:-1",
    "F = −3": "freeze:-3",
    "layer-wise rates": "layerwise:0.5",
}


def run(method, seed, encoder=ENCODER):
    """Fine-tune once; return the model, and its test accuracy."""
    recipe = minift.recipe(method)
    settings = replace(recipe.settings, learning_rate=RATE, epochs=8)
    tuned, result = minift.train(
        data, encoder, recipe, labels=LABELS, seeds=Seeds.all(seed), settings=settings
    )
    return tuned.model, result["test"]


runs = {name: [run(method, seed) for seed in SEEDS] for name, method in METHODS.items()}
start = dict(minift.load_encoder(ENCODER)[0].named_parameters())


def parts_moved(model):
    """Return how many tensors of each part differ from the pretrained ones in any bit."""
    same = {
        name: torch.equal(p, start[name.removeprefix("bert.")])
        for name, p in model.named_parameters()
        if name.removeprefix("bert.") in start
    }
    rows = what_learns(model, [name for name in same if not same[name]])
    return [row.tensors_learning for row in rows.values()]


print(f"{'tensors that moved':<20}", *list(what_learns(model, []))[:-3], sep="  ")
for name in ("F = 0 (full)", "F = 1", "F = −1"):
    moved = parts_moved(runs[name][0][0])
    print(f"{name:<20}", *(f"{count:>{w}}" for count, w in zip(moved, (10, 7, 7, 7))), sep="  ")
measured(
    moved_frozen=parts_moved(runs["F = 1"][0][0])[1],
    moved_control=parts_moved(runs["F = 0 (full)"][0][0])[1],
)

# %% [markdown]
# Of the tensors of the first layer 0<!-- measured: moved_frozen --> moved with F = 1, and all
# 16<!-- measured: moved_control --> of them without.
#
# ## 5. And the accuracy?
#
# 64 labels, eight epochs, three seeds, the same draws and the same rate for all. Two comparisons
# beside them: the bag of words, and as a negative control F = 2 on an encoder of the same shape
# whose weights are *random*. Freezing keeps what pretraining left; where pretraining left nothing,
# there is nothing worth keeping, and it must do badly.

# %%
with tempfile.TemporaryDirectory() as folder:
    config = minift.load_model(minift.MaskedLM, ENCODER)[0].config
    newborn = random_model(minift.MaskedLM, config, torch.Generator().manual_seed(0))
    minift.save_pretrained(newborn, minift.load_tokenizer(ENCODER), folder)
    control = [run("freeze:2", seed, folder)[1] for seed in SEEDS]
words = [
    fit_bag_of_words(subset(data.train, LABELS, seed), data.labels).accuracy(data.test)
    for seed in range(10)
]
majority = max(sum(e.label == label for e in data.test) for label in data.labels) / len(data.test)

# %% alt="Dot plot of test accuracy with 64 labels, three dots per row: bag of words, F = 2 on random weights, and seven ways of freezing on pretrained weights. On pretrained weights the rows overlap; full fine-tuning has the highest mean, and F = −3, with all layers frozen but not the embeddings, the lowest. Random weights lie exactly at guessing."
accuracy = {name: [score for _, score in found] for name, found in runs.items()}
rows = {"bag of words": words, "F = 2, random weights": control} | accuracy
figure, axes = plt.subplots(figsize=(5.8, 3.4))
dots(axes, rows, {"bag of words": ORANGE, "F = 2, random weights": RED})
axes.axvline(majority, color=GREY, linestyle="--", linewidth=1)
axes.set_xlabel(f"test accuracy with {LABELS} labels (dashed: guessing; mean ± sd)")
plt.show()

differences = {}
for name, scores in list(accuracy.items())[1:]:
    pairs = [a - b for a, b in zip(scores, accuracy["F = 0 (full)"])]
    differences[name] = mean_sd(pairs)
    print("{:<18}minus full  {:+.3f} ± {:.3f}".format(name, *differences[name]))
measured(
    random_weights=mean_sd(control)[0],
    full_accuracy=mean_sd(accuracy["F = 0 (full)"])[0],
    words=mean_sd(words)[0],
    input_1_gain=differences["F = 1"][0],
    input_2_gain=differences["F = 2"][0],
    output_1_gain=differences["F = −1"][0],
    all_gain=differences["F = 3 (all)"][0],
    largest=max(abs(mean) for mean, _ in differences.values()),
)

# %% [markdown]
# What this shows: freezing random weights leaves 44 to 56 %<!-- measured: random_weights -->, which
# is guessing: three times exactly a half, as if every text got the same label. On pretrained
# weights the same freezing works. So what is kept has worth.
#
# One layer frozen, at either end, cannot be told from none: F = 1 is −0.04 to
# 0.03<!-- measured: input_1_gain --> from full fine-tuning seed by seed, F = −1 is −0.05 to
# 0.03<!-- measured: output_1_gain -->, and both are within the spread printed beside them. F = 1
# pays half of the backward work for it. Much frozen is worse in the mean: F = 2
# by −0.06 to 0.00<!-- measured: input_2_gain -->, more than the spread of its pairs, and F = −3 most of
# all; F = 3 by −0.10 to 0.01<!-- measured: all_gain -->, which is within the spread.
#
# What it does *not* show: that freezing hurts. In 32 steps, all at one rate, a method that moves fewer
# weights learns less; overfitting, which is what freezing is against, hardly comes up. With a rate
# of its own the head alone does much better, as [05](../05_bitfit/tutorial.ipynb) shows with a
# hundred labels. And nothing here is about stability: three dots tell next to nothing about a
# spread.
#
# ## 6. Between frozen and free: layer-wise rates
#
# Freezing is a rate of 0. There are rates in between: give the layer at depth d below the head rate
# · decayᵈ, so that lower layers, thought to be more general, move less. With a decay of a half:

# %%
scales = layerwise_scales(model, 0.5)
for name in (
    "classifier.weight",
    "bert.pooler.dense.weight",
    *(f"bert.layers.{layer}.output.weight" for layer in reversed(range(depth))),
    "bert.embeddings.word.weight",
):
    print(f"{name:<30}{scales[name]:.4f}")
measured(lowest_rate=scales["bert.embeddings.word.weight"])

# %% [markdown]
# The embeddings learn at 0.0625<!-- measured: lowest_rate --> of the rate. That saves no work at
# all: every gradient is computed, then made to count less. It is the last row of the plot above,
# behind full fine-tuning like the other rows that move less. (Howard and Ruder divide by
# 2.6<!-- given --> from layer to layer, in a network of three layers that is not a transformer.)
#
# ## Limits
#
# - Three seeds, one encoder of three layers, 64 labels, short texts. F = 1 is a third of the layers
#   here, a twelfth in BERT-base.
# - Everybody trains at the same rate. Few weights may want larger steps: the classifier alone is
#   usually given a rate thirty times as high.
# - Operations are counted, not seconds. Time also goes into the optimizer (which a frozen tensor
#   saves, too), into memory, and into small things that no product counts.
# - Dropout is off in the frozen prefix, so F = 1 differs from F = 0 in that as well.
#
# ## Where this differs from the paper
#
# - The paper does not say whether the embeddings freeze with F > 0. Here they do; `freeze(3,
#   embeddings=False)` is the other reading.
# - It freezes 3 or 6 of the 12 layers of BERT-base inside a loop of active learning, with a CNN on
#   top, and repeats each run three times. Here the labels are drawn at random and the head is
#   linear.
# - It is said to find that a quarter of the layers can be frozen without harm and that freezing
#   next to the output is the most stable. With three repetitions each, most of its differences are
#   within the spread; this page can neither confirm nor refute them.
#
# ## Further reading
#
# - Griesshaber, Maucher, Vu (2020), [Fine-tuning BERT for Low-Resource Natural Language
#   Understanding via Active Learning](https://arxiv.org/abs/2012.02462)
# - Howard, Ruder (2018), [Universal Language Model Fine-tuning for Text
#   Classification](https://arxiv.org/abs/1801.06146)
# - Lee, Tang, Lin (2019), [What Would Elsa Do? Freezing Layers During Transformer
#   Fine-Tuning](https://arxiv.org/abs/1911.03090)
# - Tenney, Das, Pavlick (2019), [BERT Rediscovers the Classical NLP
#   Pipeline](https://arxiv.org/abs/1905.05950), on what lower and upper layers know
# - Zhang, Wu, Katiyar, Weinberger, Artzi (2021), [Revisiting Few-sample BERT
#   Fine-tuning](https://arxiv.org/abs/2006.05987), which does the opposite: it draws the upper
#   layers anew
#
# **Assignment.** [Freezing: which layers, not a bit of them](assignment.md)
