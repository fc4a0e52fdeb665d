# %% [markdown]
# # 04 · Freezing layers
#
# **Claim.** Freezing a layer is the simplest way to train less. Which end you freeze decides what
# you save: for one layer of three, more than a third of the backward work next to the input, and
# less than half of that next to the output. Where pretraining has done the work, freezing two layers
# costs no accuracy that can be seen, in less than half of the time. Where the layers still have
# something to learn, as for names and for pairs of texts, it costs a lot.
#
# **Paper.** Griesshaber, Maucher and Vu (2020), *Fine-tuning BERT for Low-Resource Natural Language
# Understanding via Active Learning*; the last section: Howard and Ruder (2018), *Universal Language
# Model Fine-tuning for Text Classification*.
#
# **Time.** 25 minutes to read, 2 minutes to run on two cores.
#
# **Before this.** [03, Few labels](../03_few_labels_and_variance/tutorial.ipynb), for intervals; the
# chain rule.
#
# Fine-tuning moves millions of weights because of a few dozen labels. Many people freeze some layers,
# "because the lower ones are general" or "to save time". What of that can be computed, what can be
# measured, and what is belief?

# %%
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import minift
from minift.methods.freezing import freeze

ENCODER = "mini"

# %% tags=["hide"]
import copy
import math
import re
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt

sys.path.append("..")
from drawings import slots
from shared import BLUE, GREEN, GREY, RED, dots, mean_sd, measured
from turns import check

from minift import Seeds
from minift.bert.counts import what_learns
from minift.compare.statistics import paired_difference
from minift.data.intervals import t_quantile
from minift.data.metrics import headline
from minift.methods.layerwise_decay import layerwise_scales
from minift.runs.fit import fit
from minift.runs.train import subset
from minift.runs.tuned import build
from minift.training.loop import cross_entropy, select

reviews = minift.load_dataset("reviews")
reviews = replace(reviews, dev=(), test=reviews.test[:200])  # nothing is chosen by a dev split

# %% [markdown]
# ## 1. Which names learn?
#
# Freezing answers the same question of the training loop as BitFit does: which parameters learn?

# %% tags=["hide"] alt="The training loop, batch, loss, gradient and step, with five questions around it. The question Which parameters learn? is highlighted."
slots("trainable")
plt.show()

# %% [markdown]
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
model = build(reviews, ENCODER, Seeds.all(0)).model
for layers in (1, -1):
    print(f"F = {layers}")
    print(*what_learns(model, freeze(layers)(model)).values(), sep="\n", end="\n\n")

# %% tags=["hide"]
with torch.device("meta"):  # shapes without numbers
    bert_base = minift.SequenceClassifier(minift.BertConfig(labels=("negative", "positive")))
table = what_learns(bert_base, freeze(3)(bert_base))
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
# for its weight     ∂y/∂w₃ = h₂ = 6      ∂y/∂w₂ = w₃ h₁ = 10     ∂y/∂w₁ = w₃ w₂ x = 15
# for its input      ∂y/∂h₂ = w₃ = 5      ∂y/∂h₁ = w₃ w₂ = 15     (nobody asks for that of x)
# ```
#
# - *Freeze layer 1* (next to the input). ∂y/∂w₁ is not needed. Who needs ∂y/∂h₁? Only layer 1. So
#   it is not needed either: the way down ends above the frozen layer.
# - *Freeze layer 3* (next to the output). ∂y/∂w₃ is not needed. But ∂y/∂h₂ is, since layers 1 and 2
#   wait for it. The way down must pass through the frozen layer.
#
# **Your turn.** Count the gradients for any depth and any choice of frozen layers. Without freezing
# the three layers above need five.


# %%
def needed(depth, frozen):
    """Return how many gradients a backward pass computes, of weights and of h₁, h₂, ...

    Args:
        depth: number of layers
        frozen: list of the frozen ones; 1 is next to the input
    """
    ...


check("04.needed", needed)

# %% [markdown]
# <details><summary>Hint</summary>
#
# There is one per weight that learns. For the others, find the lowest layer that learns: between it
# and the output there are `depth - lowest` states.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def needed(depth, frozen):
#     learning = [layer for layer in range(1, depth + 1) if layer not in frozen]
#     if not learning:
#         return 0
#     return len(learning) + depth - min(learning)
# ```
#
# </details>
#
# PyTorch finds out by itself what it needs, from `requires_grad`:

# %%
for frozen in (None, 1, 3):
    w = [
        torch.tensor(value, requires_grad=layer != frozen)
        for layer, value in ((1, 2.0), (2, 3.0), (3, 5.0))
    ]
    h = [torch.tensor(1.0)]
    for weight in w:
        h.append(weight * h[-1])
        if h[-1].requires_grad:
            h[-1].retain_grad()
    h[-1].backward()
    weights = [None if value.grad is None else value.grad.item() for value in w]
    states = [value.grad.item() if value.requires_grad else None for value in h[1:3]]
    print(f"frozen: {frozen!s:<5} for w₁ w₂ w₃: {weights!s:<20} for h₁ h₂: {states}")

# %% [markdown]
# ## 3. The same in BERT, counted
#
# In a BERT each of these gradients is a matrix product that costs as much as the one of the forward
# pass. If all layers were alike, a step would cost, in units of one layer's forward pass:
#
# | | forward | backward | why |
# |---|---|---|---|
# | F = 0 | 3 | 6 | two products in each layer |
# | F = 1 | 3 | nearly 4 | two layers, and the lower of them passes nothing on |
# | F = −1 | 3 | 5 | one product in the frozen layer, two in each layer below |
#
# PyTorch's flop counter adds up the operations of all matrix products. No clock is involved, so the
# figures are the same on any machine. One batch of 16 reviews:

# %%
items = build(reviews, ENCODER, Seeds.all(0)).items(reviews.train[:16])


def products(layers):
    """Return the operations of a step, in billions: forward, backward."""
    model = build(reviews, ENCODER, Seeds.all(0)).model.train()
    select(model, freeze(layers))
    with FlopCounterMode(display=False) as counter:
        loss = cross_entropy(model, minift.make_batch(items)).mean()
        forward = counter.get_total_flops()
        loss.backward()
        return forward / 1e9, (counter.get_total_flops() - forward) / 1e9


SIDES = (0, 1, 2, 3, -1, -2, -3)
work = {layers: products(layers) for layers in SIDES}

# %% tags=["hide"] alt="Bars of the work of one training step for each F, forward and backward. Backward shrinks step by step with layers frozen next to the input, to nothing with three; with layers frozen next to the output it stays long."
figure, axes = plt.subplots(figsize=(4.8, 2.8))
for place, (forward, backward) in enumerate(work.values()):
    axes.barh(place, forward, color=GREY, label="forward" if place == 0 else None)
    axes.barh(place, backward, left=forward, color=BLUE, label="backward" if place == 0 else None)
axes.set_yticks(range(len(SIDES)), [f"F = {layers}".replace("-", "−") for layers in SIDES])
axes.invert_yaxis()
axes.set_xlabel("billion operations of a step (16 texts)")
axes.legend(frameon=False, loc="center right")
plt.show()
full = work[0][1]
for layers, (forward, backward) in work.items():
    print(
        f"F = {layers:>2}   forward {forward:.2f}   backward {backward:.2f}  {backward / full:6.1%}"
    )
measured(
    twice=full / work[0][0],
    input_1=work[1][1] / full,
    input_2=work[2][1] / full,
    output_1=work[-1][1] / full,
    output_2=work[-2][1] / full,
)

# %% [markdown]
# Without freezing, backward costs 2.0<!-- measured: twice 1.9 to 2.1 --> times as much as forward. One
# layer frozen next to the input leaves 63 %<!-- measured: input_1 45 to 70 --> of the backward work,
# two leave 29 %<!-- measured: input_2 10 to 36 -->. One layer frozen next to the output leaves
# 84 %<!-- measured: output_1 75 to 90 -->, two leave 68 %<!-- measured: output_2 60 to 75 -->.
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
print(f"gradient 0: {zeroed.item():.3f}, no gradient: {frozen.item():.3f}")

# %% tags=["hide"]
measured(zeroed=zeroed.item(), without_gradient=frozen.item())

# %% [markdown]
# After a hundred steps the first is 0.905<!-- measured: zeroed 0.90 to 0.91 -->, the second still
# 1<!-- measured: without_gradient -->. So minift's loop gives the optimizer only what learns.
#
# ## 5. What it saves, and what it costs
#
# Two jobs, on which every run starts from the best head for the frozen encoder, which can be
# *solved*, to the optimum:
#
# - `reviews`, positive or negative, 100 labels. MiniLM, from which `mini` is cut, was trained to put
#   the meaning of a text into the mean over its tokens. Five seeds, each with its own labels.
# - `news`: find the names in a sentence, 244 short sentences. Nobody trained `mini` for that. Three
#   seeds, all with the same sentences; the score is F1 (page
#   [09](../09_entities/tutorial.ipynb)).

# %%
news = minift.load_dataset("news")
news = replace(
    news,
    dev=(),
    train=tuple(sentence for sentence in news.train if len(sentence.words) <= 15),
    test=tuple(sentence for sentence in news.test if len(sentence.words) <= 20),
)


def solved(data, labels=None, seed=0):
    """Return a model whose head is the best for the frozen encoder, and its training items."""
    tuned = build(data, ENCODER, Seeds.all(seed))
    items = tuned.items(subset(data.train, labels, seed))
    return fit(tuned, items, minift.recipe("head", ENCODER), Seeds.all(seed)).tuned, items


def run(start, items, layers, seed, epochs):
    """Train with F = layers; return the model, and the processor seconds that it took."""
    recipe = minift.recipe(f"freeze:{layers}", ENCODER)
    settings = replace(recipe.settings, epochs=epochs, min_steps=0, batch_size=8)
    own = replace(start, model=copy.deepcopy(start.model), cache=None)
    began = time.process_time()
    tuned = fit(own, items, replace(recipe, settings=settings), Seeds.all(seed)).tuned
    return tuned, time.process_time() - began


# %% tags=["hide"]


def score(data, tuned):
    """Return accuracy, or of tags F1, on the test texts."""
    return headline(data.metric, tuned.evaluate(data.test).scores)


# %%
scores = {"reviews": {}, "news": {}}
seconds = {"reviews": {}, "news": {}}
for name, data, labels, seeds, epochs, sides in (
    ("reviews", reviews, 100, range(5), 3, (0, 2)),
    ("news", news, None, range(3), 2, (0, 1, 2)),
):
    for seed in seeds:
        if seed == 0 or labels:
            start, items = solved(data, labels, seed)
        scores[name].setdefault("head", []).append(score(data, start))
        for layers in sides:
            tuned, took = run(start, items, layers, seed, epochs)
            scores[name].setdefault(layers, []).append(score(data, tuned))
            seconds[name].setdefault(layers, []).append(took)

# %% tags=["hide"] alt="Two dot plots. Above, accuracy on reviews: the rows of full fine-tuning, F = 2 and the solved head overlap. Below, F1 on news: every dot of full fine-tuning lies to the right of every dot of F = 2, and both to the right of the solved head."
names = {0: "F = 0 (full)", 1: "F = 1", 2: "F = 2", "head": "F = 3 (head)"}
colours = {"F = 0 (full)": GREEN, "F = 3 (head)": GREY}
figure, both = plt.subplots(2, 1, figsize=(4.8, 3.6), height_ratios=(3, 4))
for axes, found in zip(both, scores.values()):
    dots(axes, {names[f]: found[f] for f in names if f in found}, colours, "{:.3f} ± {:.3f}")
both[0].set_xlabel("reviews, 100 labels: accuracy")
both[1].set_xlabel("news, 244 sentences: F1")
plt.show()


def lead(name, layers):
    """Return how far F = layers is ahead of full fine-tuning: mean and 95 % interval."""
    found = paired_difference(scores[name][layers], scores[name][0])
    return found.mean, *(found.interval or (found.mean, found.mean))


def faster(name, layers):
    """Return the share of full fine-tuning's time, the mean over seeds and its 95 % interval."""
    found = [a / b for a, b in zip(seconds[name][layers], seconds[name][0])]
    mean, sd = mean_sd(found)
    half = t_quantile(0.975, len(found) - 1) * sd / math.sqrt(len(found))
    return mean, mean - half, mean + half


for name, layers in (("reviews", 2), ("reviews", "head"), ("news", 1), ("news", 2)):
    print(
        "{}, F = {} minus full: {:+.3f} ({:+.3f} to {:+.3f})".format(
            name, layers, *lead(name, layers)
        )
    )
    short = f"{name}_{layers}"
    measured(**dict(zip((short, f"{short}_low", f"{short}_high"), lead(name, layers))))
    if layers != "head":
        measured(
            **dict(zip((f"{short}_time", f"{short}_least", f"{short}_most"), faster(name, layers)))
        )
measured(
    news_full=statistics.fmean(scores["news"][0]),
    news_head=statistics.fmean(scores["news"]["head"]),
    reviews_full=statistics.fmean(scores["reviews"][0]),
)

# %% [markdown]
# **On reviews** freezing two layers of three costs nothing that can be seen: F = 2 minus full
# fine-tuning is −0.8 points<!-- measured: reviews_2 -4 to 3 --> (95 %<!-- given --> interval
# −2.4 points<!-- measured: reviews_2_low -7 to 1 --> to
# 0.8 points<!-- measured: reviews_2_high -1 to 6 -->). What is gained is time: training with F = 2
# takes 38 %<!-- measured: reviews_2_time 20 to 60 --> of the processor seconds of full fine-tuning
# (34 %<!-- measured: reviews_2_least 5 to 55 --> to 41 %<!-- measured: reviews_2_most 25 to 80 -->), so
# it is more than twice as fast. That includes computing the frozen prefix once.
#
# **On news** the same freezing costs F1: F = 2 minus full is
# −0.058<!-- measured: news_2 -0.1 to -0.02 --> (−0.084<!-- measured: news_2_low -0.15 to -0.03 --> to
# −0.032<!-- measured: news_2_high -0.07 to 0 -->). Of what
# full fine-tuning gains over the solved head, more than half is lost. F = 1 is
# in between: −0.021<!-- measured: news_1 -0.06 to 0.02 -->
# (−0.055<!-- measured: news_1_low -0.12 to 0 --> to 0.013<!-- measured: news_1_high -0.02 to 0.08 -->),
# in 67 %<!-- measured: news_1_time 45 to 85 --> of the time. Three seeds cannot tell whether that is a
# loss.
#
# Why the difference? On reviews even the solved head, which moves no layer at all, is only
# −0.5 points<!-- measured: reviews_head -4 to 4 --> from full fine-tuning: what the task needs is in
# the frozen vectors already. On news the head has 0.316<!-- measured: news_head 0.29 to 0.34 --> and
# full fine-tuning 0.412<!-- measured: news_full 0.38 to 0.46 -->, so the layers had something to learn.
# This gives a cheap test before you freeze: is the solved head close to full fine-tuning?
#
# ### Pairs of texts
#
# The same in committed runs of MiniLM, six layers, with the lower three frozen and three seeds:
# SST-2 asks about one sentence, QNLI whether one sentence answers another. Command and machine stand
# in [evidence](../evidence/README.md).

# %% tags=["hide"] alt="Points that F = 3 loses against full fine-tuning, with 95 % intervals. On SST-2 with 300 and 1,000 labels both intervals include 0. On QNLI it loses 6.3 points with 300 labels and 10.4 with 1,000, and both intervals exclude 0."
page = " ".join(Path("../evidence/README.md").read_text(encoding="utf-8").split())
number = r"(-?[\d.]+)"
pairs = re.search(
    rf"it costs {number} points at 300 labels \({number} to {number}\) "
    rf"and {number} at 1,000 \({number} to {number}\)",
    page,
)
pairs = [float(value) for value in pairs.groups()]


def row(method):
    """Return (mean, sd) for each column of the table of methods."""
    cells = re.search(rf"\| {method} \|([^-]*?)\| -", page)[1].split("|")
    return [tuple(map(float, cell.split("±"))) for cell in cells]


def unpaired(one, other, n=3):
    """Return one minus the other with Welch's 95 % interval, from means and sds of n runs."""
    (mean, sd), (mean_2, sd_2) = one, other
    error = math.sqrt((sd**2 + sd_2**2) / n)
    degrees = error**4 * n**2 * (n - 1) / (sd**4 + sd_2**4)
    half = t_quantile(0.975, max(2, math.floor(degrees))) * error
    return mean - mean_2, mean - mean_2 - half, mean - mean_2 + half


whole, lower = row("full"), row("freeze:3")
sst2 = [unpaired(whole[column], lower[column]) for column in (1, 2)]
found = {
    "SST-2, 300 labels": sst2[0],
    "SST-2, 1,000": sst2[1],
    "QNLI, 300 labels": pairs[:3],
    "QNLI, 1,000": pairs[3:],
}
figure, axes = plt.subplots(figsize=(4.8, 2.2))
for place, (value, low, high) in enumerate(found.values()):
    colour = BLUE if low <= 0 else RED
    axes.plot([low, high], [place] * 2, color=colour, lw=2)
    axes.plot(value, place, "o", color=colour)
axes.axvline(0, color=GREY, lw=1, ls="--")
axes.set_yticks(range(4), list(found))
axes.set_ylim(3.5, -0.5)
axes.set_xlabel("points lost with F = 3")
plt.show()
for name, (value, low, high) in found.items():
    print(f"{name:<18}{value:5.1f}   95 % interval {low:.1f} to {high:.1f}")
measured(sst_300=sst2[0][0], sst_1000=sst2[1][0], qnli_300=pairs[0], qnli_1000=pairs[3])
measured(qnli_low=pairs[1], qnli_high=pairs[2])

# %% [markdown]
# On SST-2 nothing can be seen: 0.5<!-- measured: sst_300 --> and 1.1<!-- measured: sst_1000 -->
# points, and both intervals include 0. On QNLI freezing the lower half costs
# 6.3<!-- measured: qnli_300 --> points with 300 labels (4.5<!-- measured: qnli_low --> to
# 8.1<!-- measured: qnli_high -->) and 10.4<!-- measured: qnli_1000 --> with 1,000. To compare two
# texts, a token must look at the other text. An encoder of single sentences has not learned that, and
# frozen layers cannot learn it.
#
# ## 6. Between frozen and free: layer-wise rates
#
# Freezing is a rate of 0. There are rates in between: give the layer at depth d below the head rate
# · decayᵈ, so that lower layers, thought to be more general, move less.
#
# **Your turn.** Write the rates from top to bottom: head, top layer, ..., lowest layer, embeddings.


# %%
def rates(rate, depth, decay):
    """Return the rates of head, layers (the top one first) and embeddings.

    Args:
        rate: of the head
        depth: number of layers
        decay: factor from each part to the one below it
    """
    ...


check("04.rates", rates)

# %% [markdown]
# <details><summary>Hint</summary>
#
# The list has `depth + 2` entries. The first is `rate`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def rates(rate, depth, decay):
#     return [rate * decay**below for below in range(depth + 2)]
# ```
#
# </details>
#
# The library's, with a decay of a half:

# %%
model = build(reviews, ENCODER, Seeds.all(0)).model
scales = layerwise_scales(model, 0.5)
for part, scale in scales.items():
    if part.endswith(("classifier.linear.weight", "layers.0.output.weight", "word.weight")):
        print(f"{part:<40}{scale:.4f}")

# %% tags=["hide"]
measured(lowest_rate=scales["bert.embeddings.word.weight"])

# %% [markdown]
# The embeddings learn at 0.0625<!-- measured: lowest_rate --> of the rate. That saves no work at
# all: every gradient is computed, and then made to count less. (Howard and Ruder divide by
# 2.6<!-- given --> from layer to layer, in a network of three layers that is not a transformer.)
#
# ## Limits
#
# - One encoder of three layers and short texts. F = 1 is a third of the layers here, and a twelfth in
#   BERT-base.
# - On `news` all runs share their sentences, so the intervals there say nothing about other sentences.
# - On `reviews` the solved head is as good as everything else. Freezing is cheap there because there
#   is nothing left to learn below the head, and that is exactly when one should freeze.
# - All runs train at the rate that the library gives for full fine-tuning. Few weights may want
#   larger steps.
# - Dropout is off in the frozen prefix, so F = 1 differs from F = 0 in that as well.
# - The intervals of SST-2 are computed from rounded means and deviations of three runs, without the
#   pairing by seeds that would make them narrower.
#
# ## Where this differs from the paper
#
# - The paper does not say whether the embeddings freeze with F > 0. Here they do; `freeze(3,
#   embeddings=False)` is the other reading.
# - It freezes 3 or 6 of the 12 layers of BERT-base inside a loop of active learning, with a CNN on
#   top, and repeats each run three times. Here the labels are drawn at random, the head is linear, and
#   it is solved before the layers learn.
# - It is said to find that a quarter of the layers can be frozen without harm, and that freezing
#   next to the output is the most stable. This page can neither confirm nor refute that.
#
# ## Summary
#
# - The backward pass ends above the lowest parameter that learns, so freezing saves work next to the
#   input, and much less next to the output.
# - Frozen means: no gradient, and not in the optimizer. A gradient of zero is not enough.
# - Where pretraining has done the work, freezing costs nothing that can be seen, and
#   training took less than half of the time.
# - For names and for pairs of texts the lower layers have to learn, and freezing them costs a lot.
#
# ## Questions
#
# A colleague freezes the upper six of twelve layers to save time. How much of the backward work is
# left, roughly?
#
# <details><summary>Answer</summary>
#
# Three quarters: six layers with two products each, and six frozen ones with one.
#
# </details>
#
# You freeze three layers but leave the embeddings free. What happens to the time?
#
# <details><summary>Answer</summary>
#
# The way down must reach the embeddings, through the frozen layers. Most of the saving is lost.
#
# </details>
#
# Your task is to say whether two questions mean the same. Would you freeze the lower half?
#
# <details><summary>Answer</summary>
#
# Not without trying: on pairs, an encoder made for single sentences has to change.
#
# </details>
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
