# %% [markdown]
# # 08 · Active learning with BALD
#
# **Claim.** A model that is asked several times, with dropout on, shows two kinds of doubt: doubt
# that labels would settle, and doubt that no label settles. BALD measures the first, and you will
# compute it by hand. On a problem made for it, asking by BALD needs far fewer labels than drawing
# at random. On the embedded reviews no such difference can be seen, and this page says so.
#
# **Paper.** Griesshaber, Maucher and Vu (2020), *Fine-tuning BERT for Low-Resource Natural Language
# Understanding via Active Learning*; BALD is of Houlsby, Huszár, Ghahramani and Lengyel (2011), MC
# dropout of Gal and Ghahramani (2016).
#
# **Time.** 30 minutes to read, 2 minutes to run on two cores.
#
# **Before this.** [03, Few labels](../03_few_labels_and_variance/tutorial.ipynb), for what an
# accuracy from a few seeds is worth; entropy.
#
# Texts are cheap, labels are not. Which hundred of ten thousand texts should a person read? With
# random draws many of them teach nothing new. So let the model say where it is unsure. The question
# of this page: unsure in which sense, and does it pay?

# %%
import contextlib
import csv
import io
import itertools
import json
import math
import os
import shlex
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import minift
from minift import Seeds
from minift.active.acquisition import bald, batch_bald, entropy, entropy_of, random, select
from minift.active.curves import scores_table, sentences
from minift.active.loop import Learner
from minift.active.simulate import Plan, simulate
from minift.active.sites import dropout_sites
from minift.active.streaming import mc_predict
from minift.active.study import labels_saved, study, whole_curves
from minift.bert.dropout import Dropout, set_dropout_generator
from minift.cli.main import main
from minift.compare.page import text_table
from minift.runs.train import subset

sys.path.append("..")
from shared import BLUE, GREEN, GREY, ORANGE, RED, mean_sd, measured  # publishes numbers; colours

DATA = "reviews"  # or "sst2", with ENCODER = "minilm"
ENCODER = "mini"
METHOD = "head"  # of the learning curves

data = replace(minift.load_dataset(DATA), dev=())  # nothing here is chosen by a validation split
pool = subset(data.train, 300, 0)  # the texts that a person could be asked about

# %% [markdown]
# ## 1. Asking four times, by hand
#
# Dropout trains a crowd of thinned networks at once. *Monte-Carlo dropout* leaves it on when
# predicting: each pass asks another one of the crowd. Where they agree the labels have settled the
# matter; where they differ they have not.
#
# The smallest crowd there is: a text is two numbers x₁ and x₂ (say, a kind word and a hard one), a
# prediction is the sigmoid of a weighted sum, both weights are ln 3, and dropout drops each x with
# probability 1/2 and doubles it otherwise. There are four masks, equally likely:
#
# ```
# logit = ln 3 · (m₁ x₁ + m₂ x₂)       m = (0,0), (2,0), (0,2) or (2,2)
#
# x = (0, 0)    logits 0, 0, 0, 0            p(positive) = .5, .5, .5, .5     no word is known
# x = (1, 0)    logits 0, ln 9, 0, ln 9                    .5, .9, .5, .9     one kind word
# x = (1, −1)   logits 0, ln 9, −ln 9, 0                   .5, .9, .1, .5     they contradict
# ```
#
# The first and the third text get the same prediction on average, a half, with the largest entropy
# there is. Only the third is worth a label: there the crowd *disagrees*. BALD is the entropy of the
# mean minus the mean entropy of the passes,
#
# ```
# BALD  =  H[ mean of p ]  −  mean of H[ p ]            H[p] = − Σ p ln p
#
# (0, 0)     H[.5] − H[.5]                               = .6931 − .6931  = 0
# (1, 0)     H[.7] − (H[.5] + H[.9]) / 2                 = .6109 − .5091  = .1017
# (1, −1)    H[.5] − (2 H[.5] + H[.9] + H[.1]) / 4       = .6931 − .5091  = .1840
# ```
#
# which is the information, in nats, that the label carries about *which* network of the crowd is
# right. In the library it is a line and a guard against rounding:
#
# ```python minift/active/acquisition.py:bald
#     gain = entropy_of(checked.mean(0)) - entropy_of(checked).mean(0)
#     return torch.where(gain < _NOTHING, 0.0, gain)
# ```
#
# The library's dropout, asked 4,000 times, must come near the four masks counted out:

# %%
texts = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, -1.0]])
weights = torch.full((2,), math.log(3.0))


def two_classes(logits):
    """Return the probabilities (..., 2) of negative and positive."""
    return torch.stack([(-logits).sigmoid(), logits.sigmoid()], -1).double()


masks = torch.tensor(list(itertools.product((0.0, 2.0), repeat=2)))
counted = two_classes((masks[:, None] * texts) @ weights)  # (4 masks, 3 texts, 2 classes)
site = Dropout(0.5).train()
set_dropout_generator(site, torch.Generator().manual_seed(0))
drawn = two_classes(torch.stack([site(texts) for _ in range(4000)]) @ weights)
for name, exact, sampled in zip(("(0, 0)", "(1, 0)", "(1, −1)"), bald(counted), bald(drawn)):
    print(f"{name:<8} counted {exact:.4f}   4,000 passes {sampled:.4f}")
for passes in (2, 5, 10, 50):  # the same draws, as many small samples
    groups = drawn[:, 2].view(passes, -1, 2)
    print(f"{passes:>2} passes: mean BALD of (1, −1) {bald(groups).mean():.4f}")
measured(
    by_hand=bald(counted)[2].item(),
    one_word=bald(counted)[1].item(),
    sampled=bald(drawn)[2].item(),
    bald_2=(bald(drawn[:, 2].view(2, -1, 2)).mean() / bald(counted)[2]).item(),
    bald_10=(bald(drawn[:, 2].view(10, -1, 2)).mean() / bald(counted)[2]).item(),
)

# %% [markdown]
# Counted it is 0.184<!-- measured: by_hand --> and 0.102<!-- measured: one_word -->, sampled 0.17
# to 0.20<!-- measured: sampled -->. And there is a bias: few passes see too little disagreement.
# With two it is 40 to 60 %<!-- measured: bald_2 --> of the truth, with ten 85 to
# 95 %<!-- measured: bald_10 -->, about 1 − 1/passes. That hits all texts alike, so the order stays;
# but never compare scores of different numbers of passes.
#
# ## 2. Two kinds of doubt, drawn
#
# The entropy of the mean is the sum of two parts. The mean entropy of the passes is doubt that each
# of the crowd has for itself (*aleatoric*: noise, a text that is neither good nor bad). BALD is
# what they do not agree about (*epistemic*: what has not been learned yet). Labels make only the
# second smaller.
#
# A problem where both are known: points on a line; left of an unknown threshold θ the class is 0,
# right of it 1, and 5 %<!-- given --> of labels are wrong. From 1 to 1.3<!-- given --> there is a
# zone of coin flips, where either class is equally likely whatever θ is. The crowd are 200
# thresholds, drawn from the posterior given the labels so far (by Bayes' rule, no dropout needed).
# Each strategy may ask for 20 labels, and `acquisition` says for which:

# %%
line = torch.linspace(0.0, 1.3, 261, dtype=torch.double)
coin = line > 1
grid = torch.linspace(0.0, 1.0, 401, dtype=torch.double)  # possible thresholds


def right_class(thresholds):
    """Return p(class 1) for each threshold and point: (thresholds, points)."""
    above = (line > thresholds[:, None]).double() * 0.9 + 0.05
    return above.masked_fill(coin, 0.5)


def crowd(log_posterior, generator):
    """Draw 200 thresholds; return their predictions (200, points, 2)."""
    drawn = torch.multinomial(log_posterior.softmax(0), 200, True, generator=generator)
    ones = right_class(grid[drawn])
    return torch.stack([1 - ones, ones], -1)


def ask_on_the_line(score, seed, labels=20):
    """Return the accuracy after each label, and how many labels went to the coin zone."""
    generator = torch.Generator().manual_seed(seed)
    theta = 0.2 + 0.6 * torch.rand(1, generator=generator, dtype=torch.double)
    truth, likely = right_class(theta)[0], right_class(grid)
    belief = torch.zeros(len(grid), dtype=torch.double)
    course, wasted = [], 0
    for turn in range(labels + 1):
        predictions = crowd(belief, generator)
        guess = predictions[..., 1].mean(0) > 0.5
        course.append((guess == (truth > 0.5))[~coin].double().mean().item())
        scores = random(predictions, 1000 * seed + turn) if score is random else score(predictions)
        (at,) = select(scores, 1, seed=1000 * seed + turn)
        wasted += bool(coin[at])
        answer = torch.rand(1, generator=generator, dtype=torch.double) < truth[at]
        p = likely[:, at]
        belief = belief + (p if answer else 1 - p).log()
    return course, wasted


STRATEGIES = {"random": random, "entropy": entropy, "bald": bald}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # "all scores are equal" would be no surprise here
    on_line = {
        name: [ask_on_the_line(score, seed) for seed in range(12)]
        for name, score in STRATEGIES.items()
    }

# %% alt="Left: doubt along a line, stacked. Before any label the aleatoric part is low left of 1 and fills everything in the coin zone right of 1; the epistemic part is a hump in the middle and nothing in the coin zone. Right: accuracy against labels on that line. BALD rises at once to nearly 1, random rises more slowly, and entropy stays near where it began."
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9))
start = crowd(torch.zeros(len(grid), dtype=torch.double), torch.Generator().manual_seed(0))
noise, total = entropy_of(start).mean(0), entropy(start)
left.fill_between(line, 0, noise, color=ORANGE, alpha=0.8, label="aleatoric: mean H")
left.fill_between(line, noise, total, color=BLUE, alpha=0.8, label="epistemic: BALD")
left.axvline(1, color=GREY, linewidth=1, linestyle="--")
left.set(xlabel="point on the line (coin flips right of 1)", ylabel="nats", ylim=(0, 1.0))
left.legend(frameon=False, loc="upper left", fontsize=8)
for (name, runs), colour in zip(on_line.items(), (GREY, ORANGE, BLUE)):
    courses = torch.tensor([course for course, _ in runs])
    mean, sd = courses.mean(0), courses.std(0)
    right.plot(mean, color=colour, label=name)
    right.fill_between(range(len(mean)), mean - sd, mean + sd, color=colour, alpha=0.15, lw=0)
right.set(xlabel="labels (mean of 12 lines, ± sd)", ylabel="accuracy left of 1", ylim=(0.5, 1.02))
right.legend(frameon=False, loc="lower right", fontsize=8)
plt.show()

after_10 = {name: mean_sd([course[10] for course, _ in runs]) for name, runs in on_line.items()}
for name, (mean, sd) in after_10.items():
    wasted = sum(w for _, w in on_line[name]) / len(on_line[name])
    print(
        f"{name:<8} after 10 labels {mean:.3f} ± {sd:.3f}; of 21 questions {wasted:.1f} in the zone"
    )
measured(
    line_random=after_10["random"][0],
    line_entropy=after_10["entropy"][0],
    line_bald=after_10["bald"][0],
    wasted_entropy=sum(w for _, w in on_line["entropy"]) / 12,
    wasted_bald=sum(w for _, w in on_line["bald"]) / 12,
)

# %% [markdown]
# What this shows. After ten labels BALD is right on 95 to 100 %<!-- measured: line_bald --> of the
# line, random on 85 to 97 %<!-- measured: line_random -->. Of its 21 questions entropy sends 19 to
# 21<!-- measured: wasted_entropy --> into the coin zone, where nothing can be learned, and stays
# near where it began, at 80 to 93 %<!-- measured: line_entropy -->; BALD sends 0 to
# 3<!-- measured: wasted_bald --> there. So when a difference exists, this machinery shows it: keep
# that in mind when it shows none.
#
# What it does *not* show: anything about BERT. Here the crowd is the exact posterior and the truth
# is among it. Dropout masks are a rough stand-in for that.
#
# ## 3. The crowd in BERT: every dropout site samples
#
# Fine-tune once, on 64 labels. Where does dropout act in this model? There is a trap:
# `model.eval()` turns everything off, and then each pass is the same. Even a sampler that turns the
# `Dropout` modules on again easily misses one kind: the dropout on attention probabilities, which
# fast attention kernels never compute one by one. So ask each site *alone*, with all others at 0:
# does it make passes differ?

# %% alt="A bar for each of the eleven dropout sites: mean BALD over 24 texts if only that site samples. Every bar is above zero. That of the embeddings is longer than all others together; the shortest, in the highest layer, are about a hundredth of it."
full = minift.recipe("full", ENCODER)
settings = replace(full.settings, epochs=20)
tuned, result = minift.train(data, ENCODER, full, labels=64, seeds=Seeds.all(0), settings=settings)
sites = dropout_sites(tuned.model)
few = [example for example in data.train if example not in subset(data.train, 64, 0)][:24]
usual = [s.dropout.probability for s in sites]
alone = {}
for chosen in sites:
    for s, probability in zip(sites, usual):
        s.dropout.probability = probability if s is chosen else 0.0
    alone[chosen.name.removeprefix("bert.")] = bald(mc_predict(tuned, few, 10)).mean().item()
for s, probability in zip(sites, usual):
    s.dropout.probability = probability
together = bald(mc_predict(tuned, few, 10)).mean().item()
off = bald(mc_predict(tuned, few, 10, layers="none")).max().item()

figure, axes = plt.subplots(figsize=(5.8, 3.0))
axes.barh(range(len(alone)), [1000 * score for score in alone.values()], color=BLUE)
axes.set_yticks(range(len(alone)), list(alone))
axes.invert_yaxis()
axes.set_xlabel("BALD if this site alone samples (thousandths of a nat)")
plt.show()
print(f"all sites {1000 * together:.2f}, dropout off {1000 * off:.2f}")
measured(
    sites=len(sites),
    sampling_sites=sum(score > 0 for score in alone.values()),
    dropout_off=off,
    all_sites=1000 * together,
    head_alone=1000 * list(alone.values())[-1],
)

# %% [markdown]
# Of 11<!-- measured: sites --> sites 11<!-- measured: sampling_sites --> sample
# (`attention.dropout` is the one on attention probabilities). Off means exactly
# 0<!-- measured: dropout_off -->. All together give 1.5 to 15<!-- measured: all_sites -->
# thousandths of a nat, the head's site alone 0.1 to 2<!-- measured: head_alone -->: where one
# samples decides how large scores are. In minift `layers="all"`, a number of top layers, or
# `"head"` says where. The default, `"trained"`, samples from the lowest site upwards that had
# dropout in training: here in all of them, but where layers are frozen, training ran those without
# dropout, and masks there would be draws from nothing that was learned. What lies below is computed
# once per text, not once per pass. Masks depend on the text and the seed only, so the size of a
# batch changes no score.
#
# ## 4. Uncertainty, drawn
#
# Thirty passes over 120 texts nobody has labelled. On the left each text is a dot: doubt in all
# against BALD. On the right three kinds of texts, one dot per pass:

# %% alt="Left: scatter of BALD against entropy for 120 texts. BALD is about a hundredth of the entropy and grows with it, but among texts of entropy above 0.6 it differs several times over. Right: six texts as rows of thirty dots each. The two of highest BALD spread over a third of the axis, the two of high entropy and low BALD over less than a fifth on either side of a half, and the two of lowest entropy huddle near 0.95."
rest = [example for example in pool if example not in subset(data.train, 64, 0)][:120]
passes = mc_predict(tuned, rest, 30)  # (passes, texts, classes)
score, doubt = bald(passes), entropy(passes)
torn = (doubt > doubt.quantile(0.8)).double() * (1 - score / score.max())
kinds = {
    "highest BALD": (score.topk(2).indices.tolist(), BLUE),
    "high entropy, low BALD": (torn.topk(2).indices.tolist(), ORANGE),
    "lowest entropy": ((-doubt).topk(2).indices.tolist(), GREEN),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.0), width_ratios=(1, 1.15))
left.plot(doubt, score, "o", color=GREY, alpha=0.4, markersize=4)
row, names = 0, []
for kind, (members, colour) in kinds.items():
    left.plot(doubt[members], score[members], "o", color=colour, markersize=8, label=kind)
    for i in members:
        right.plot(passes[:, i, 1], [row] * len(passes), "o", color=colour, alpha=0.4)
        names.append(rest[i].text[:34] + "…")
        row += 1
left.set(xlabel="entropy of the mean (nats)", ylabel="BALD (nats)")
left.legend(frameon=False, fontsize=8, loc="upper left")
right.axvline(0.5, color=GREY, linestyle="--", linewidth=1)
right.set(xlabel=f"p({data.labels[1]}), one dot per pass", xlim=(0, 1))
right.set_yticks(range(row), names, fontsize=8)
right.invert_yaxis()
plt.show()


def same_order(a, b):
    """Return Spearman's rank correlation."""
    ranks = torch.stack([a.argsort().argsort(), b.argsort().argsort()]).double()
    return torch.corrcoef(ranks)[0, 1].item()


thirds = [bald(part) for part in passes.split(10)]
repeated = [same_order(a, b) for a, b in itertools.combinations(thirds, 2)]
print(f"order by BALD against order by entropy: {same_order(score, doubt):.2f}")
print("order by BALD, ten passes against ten others: {:.2f} ± {:.2f}".format(*mean_sd(repeated)))
measured(
    part=(score.mean() / doubt.mean()).item(),
    like_entropy=same_order(score, doubt),
    ten_passes=mean_sd(repeated)[0],
)

# %% [markdown]
# Only 0.2 to 3 %<!-- measured: part --> of this model's doubt is disagreement; by its own words
# nearly all of it is noise that no label removes. That is not true, of course: more labels do make
# it better. Dropout of a tenth, by which it was trained to be hardly disturbed, is a poor stand-in
# for all the networks that would fit 64 labels.
#
# Two more numbers matter for what follows. The order by BALD follows that by entropy (rank
# correlation 0.5 to 0.9<!-- measured: like_entropy -->): where a prediction is certain no mask
# moves it far, so both put the certain texts last. Among the uncertain ones, on the right of the
# left plot, BALD still tells apart what entropy does not. But BALD from ten passes agrees with BALD
# from ten *other* passes by 0.4 to 0.8<!-- measured: ten_passes --> only, where 1 would be the same
# order: a good part of it is the luck of the masks. The two blue texts are in part such lucky ones,
# for we picked the largest of 120.
#
# ## 5. Ties, and near-duplicates
#
# **Ties.** With dropout off every score is 0. A sort then returns texts in the order of the file,
# and files are often sorted by class. The library breaks ties at random, by seed, and warns:
#
# ```python minift/active/acquisition.py:select
#     shuffled = torch.randperm(len(scores), generator=torch.Generator().manual_seed(seed))
#     return shuffled[scores[shuffled].argsort(descending=True, stable=True)][:budget].tolist()
# ```

# %%
by_class = sorted(rest[:60], key=lambda example: example.label)
zeros = bald(mc_predict(tuned, by_class, 3, layers="none"))
first = zeros.argsort(descending=True, stable=True)[:20].tolist()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    at_random = [select(zeros, 20, seed) for seed in range(5)]


def negatives(chosen):
    """Return how many of the chosen texts are of the first class of the file."""
    return sum(by_class[i].label == by_class[0].label for i in chosen)


mixed = mean_sd([negatives(chosen) for chosen in at_random])
print(f"by place in the file: {negatives(first)} of 20 are {by_class[0].label}")
print("by seed: {:.1f} ± {:.1f} of 20".format(*mixed))
print("warning:", caught[0].message)
measured(first_class=negatives(first), mixed=mixed[0])

# %% [markdown]
# By place 20<!-- measured: first_class --> of 20 texts are of one class, by seed 6 to
# 14<!-- measured: mixed -->.
#
# **Near-duplicates.** Scores are given to each text for itself. If one text is worth asking, so is
# its copy, and BALD asks for both. *BatchBALD* scores sets: what do the labels tell *together*? For
# that the passes must be the same thinned networks for all texts (`consistent=True`). By hand: a
# crowd of four that is split on text A, likewise on its copy, and, crosswise, on text B:
#
# ```
#          network    1    2    3    4        alone: H[.5] − H[.9] = .6931 − .3251 = .3681 each
# A, copy of A       .9   .9   .1   .1
# B                  .9   .1   .9   .1
#
# B after A: A says nothing about how the crowd splits on B, so it is worth .3681 still.
# The copy after A: the two labels agree with probability .82, p = (.41, .09, .09, .41):
#     H = 1.1645, minus 2 · .3251 = .5143 for both, so .5143 − .3681 = .1463 more
# ```

# %%
split_a = torch.tensor([0.9, 0.9, 0.1, 0.1], dtype=torch.double)
split_b = torch.tensor([0.9, 0.1, 0.9, 0.1], dtype=torch.double)
ones = torch.stack([split_a, split_a, split_b], 1)
toy = torch.stack([1 - ones, ones], -1)  # (networks, texts, classes)
order, gains = batch_bald(toy, 3, seed=0)
print("BALD", [f"{s:.4f}" for s in bald(toy)])
print("BatchBALD", [f"{('A', 'copy', 'B')[i]} {g:.4f}" for i, g in zip(order, gains)])
measured(second=gains[1], copy=gains[2])

originals = rest[:40]
marked = {"": originals}
for mark in ("!", " ..."):
    marked[mark] = [replace(e, id=e.id + mark, text=e.text.rstrip(".") + mark) for e in originals]
thrice = [example for some in marked.values() for example in some]
distinct = {"bald": [], "batch_bald": [], "bald, copies removed": []}
for seed in range(3):
    joint = mc_predict(tuned, thrice, 10, seed=seed, consistent=True)
    picks = {
        "bald": select(bald(joint), 12, seed),
        "batch_bald": batch_bald(joint, 12, seed)[0],
        "bald, copies removed": select(bald(joint[:, :40]), 12, seed),
    }
    for name, chosen in picks.items():
        distinct[name].append(len({i % 40 for i in chosen}))
for name, counts in distinct.items():
    print("{:<21} different texts among 12: {:.1f} ± {:.1f}".format(name, *mean_sd(counts)))
measured(
    distinct_bald=mean_sd(distinct["bald"])[0],
    distinct_batch=mean_sd(distinct["batch_bald"])[0],
    distinct_removed=mean_sd(distinct["bald, copies removed"])[0],
)

# %% [markdown]
# On the toy the second choice adds 0.368<!-- measured: second --> and the copy, taken last,
# 0.146<!-- measured: copy -->. Then 40 reviews, each in three versions that differ in their last
# mark. BALD's twelve questions are 4 to 9<!-- measured: distinct_bald --> different texts,
# BatchBALD's 4 to 9<!-- measured: distinct_batch -->. Where scores are as small as here, one label
# tells little about the crowd, so a copy keeps nearly all of its worth, and BatchBALD has hardly a
# reason to avoid it: a good idea needs scores that deserve it. Removing copies from the pool
# beforehand helps for certain (12<!-- measured: distinct_removed --> of 12). `minift active start`
# leaves out texts that are alike and counts those that nearly are.
#
# ## 6. Learning curves
#
# Now the question itself. A pool of 200 reviews, 20 labels to begin with, 30 more in each of three
# rounds, five seeds. As in the paper the encoder runs once per text and dropout samples in the head
# only. Here the encoder is also frozen, and the head is *solved*: logistic regression to its
# optimum, on one vector per text. Each round starts anew; nothing is left over from the last one
# but its labels. Strategies of a seed begin with the same texts, so curves are compared in pairs.
#
# This has a price. Nothing was dropped in training, so the crowd is made of heads that were never
# trained: each pass drops a tenth of the elements of the vector that the head reads. What do such
# scores say? The same two numbers as in section 4, for a head of 20 labels and one of 64:

# %%
for labels in (20, 64):
    head = minift.recipe(METHOD, ENCODER)
    solved, told = minift.train(data, ENCODER, head, labels=labels, seeds=Seeds.all(0))
    passes = mc_predict(solved, rest, 30, layers="head")
    score, doubt = bald(passes), entropy(passes)
    thirds = [bald(part) for part in passes.split(10)]
    repeated = mean_sd([same_order(a, b) for a, b in itertools.combinations(thirds, 2)])[0]
    part, like_entropy = (score.mean() / doubt.mean()).item(), same_order(score, doubt)
    shaken = (passes[..., 1] / passes[..., 0]).log().std(0)  # how far masks move each text's logit
    print(f"{labels} labels, {told['stopped']}")
    print(f"   BALD is {100 * part:.4f} % of the doubt")
    print(f"   order against entropy {like_entropy:.2f}, ten passes against ten {repeated:.2f}")
    print(f"   masks move a logit by {shaken.mean():.3f} ± {shaken.std():.3f} (sd over the texts)")
    measured(
        **{
            f"head_part_{labels}": part,
            f"head_like_entropy_{labels}": like_entropy,
            f"head_ten_passes_{labels}": repeated,
            f"head_shaken_{labels}": (shaken.std() / shaken.mean()).item(),
        }
    )

# %% [markdown]
# With these 20 labels cross-validation chose the strongest penalty that it tries, so the weights
# are tiny, and masks that thin tiny weights move nothing. BALD is 0 to
# 0.1 %<!-- measured: head_part_20 --> of the doubt, and its order repeats by −0.1 to
# 0.4<!-- measured: head_ten_passes_20 --> only: who asks by it asks nearly at random. With 64
# labels it is 1 to 10 %<!-- measured: head_part_64 --> and repeats by 0.5 to
# 0.9<!-- measured: head_ten_passes_64 -->, but the order is nearly that by entropy (0.8 to
# 1<!-- measured: head_like_entropy_64 -->). The reason is printed below it: masks move the logits
# of all texts about equally far (their distances differ by 10 to
# 25 %<!-- measured: head_shaken_64 -->, in part because thirty passes are few), and then the texts
# nearest to a half differ most. So what BALD was invented for, to leave alone what is merely noisy,
# it hardly does with this crowd.
#
# The negative control of the curves is the most common bug: BALD with `model.eval()`, dropout off,
# where all scores are 0. It chooses at random under another name, and so shows what luck alone does
# to a curve.

# %%
learner = Learner(replace(data, train=pool[:200]), ENCODER, minift.recipe(METHOD, ENCODER))
plan = Plan(("random", "bald"), tuple(range(5)), rounds=3, query=30, initial=20, layers="head")
control = replace(plan, strategies=("bald",), layers="none")
CONTROL = "bald, dropout off"
with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the control's scores are all 0, as they must be
    rounds = simulate(learner, plan, f"{folder}/curves")
    for record in simulate(learner, control, f"{folder}/control"):
        rounds.append({**record, "strategy": CONTROL})
    setup = json.loads(Path(f"{folder}/curves/simulation.jsonl").read_text().splitlines()[0])
found = study(rounds, setup)

# %% alt="Learning curves of test accuracy against labels from 20 to 110: random, BALD and BALD with dropout off, mean of five seeds with bars for the standard deviation. All three rise from below 0.6 to about 0.7, most of it by 50 labels. BALD has the highest mean at 50 and at 110 labels and is level with random at 80; the bars overlap everywhere."
majority = max(sum(e.label == label for e in data.test) for label in data.labels) / len(data.test)
figure, axes = plt.subplots(figsize=(5.8, 3.0))
for shift, (name, colour) in enumerate({"random": GREY, "bald": BLUE, CONTROL: RED}.items()):
    points = [mean_sd(list(found.column(name, number).values())) for number in found.rounds]
    at = [found.place(number) + shift - 1 for number in found.rounds]
    means, sds = zip(*points)
    axes.errorbar(at, means, sds, color=colour, capsize=3, marker="o", label=name)
axes.axhline(majority, color=GREY, linestyle="--", linewidth=1)
axes.set(xlabel="labels (dashed: guessing)", ylabel="test accuracy, mean ± sd")
axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.12))  # above the dashes
plt.show()

print(text_table(scores_table(found)), end="\n\n")
print(*sentences(found), sep="\n")
differences = whole_curves(found)
saved = labels_saved(found, "bald")
ends = {name: mean_sd(list(found.column(name, 3).values())) for name in found.strategies}
low, high = differences["bald"].interval
control_low, control_high = differences[CONTROL].interval
measured(
    random_20=mean_sd(list(found.column("random", 0).values()))[0],
    random_110=ends["random"][0],
    sd_110=ends["random"][1],
    bald_gain=differences["bald"].mean,
    control_gain=differences[CONTROL].mean,
    half_width=(high - low) / 2,
    control_half_width=(control_high - control_low) / 2,
    seen=sum(d.seen for d in differences.values()),
    saved_seen=int(saved.seen and differences["bald"].seen),
    unequal_bald=mean_sd(list(found.column("bald", 3, "imbalance").values()))[0],
    unequal_random=mean_sd(list(found.column("random", 3, "imbalance").values()))[0],
)

# %% [markdown]
# Over the whole curve BALD less random is −0.02 to 0.04<!-- measured: bald_gain -->, and of the two
# intervals printed above 0<!-- measured: seen --> exclude 0. Labels saved: none that can be seen
# (0<!-- measured: saved_seen -->, where a saving would be 1).
#
# Now look at the control. It *is* random, by construction. Its mean difference to the other random
# curve is −0.03 to 0.03<!-- measured: control_gain -->, but its interval reaches 1 to
# 5 %<!-- measured: control_half_width --> (points of accuracy) to either side: so far apart may two
# curves lie between which there is nothing but luck. In the run shown here BALD has the highest
# mean with 50 and with 110 labels. Drawn without bars and without a control it would have been
# believed.
#
# Is BALD better by a little? Its own interval reaches 0.5 to 4 %<!-- measured: half_width --> to
# either side: a smaller advantage cannot be seen with five seeds, and is not ruled out. This plan
# was also run with twenty seeds, outside of this page (`range(20)`). There BALD is better by
# 0.8<!-- given --> points over the whole curve, with an interval of 0.1 to 1.6<!-- given -->; but
# the control was tested beside it, and corrected for two tests p is 0.06<!-- given -->. That is no
# difference to rely on, and labels saved could not be seen there either.
#
# It is not that labels do nothing here: random itself goes from 50 to
# 66 %<!-- measured: random_20 --> with 20 labels to 66 to 74 %<!-- measured: random_110 --> with
# 110, where its runs have a standard deviation of 1 to 6 %<!-- measured: sd_110 -->. But three
# things speak against much of a gain. The scores are what was seen above, masks on a head that was
# never trained with them. With 110 of 200 texts labelled, any two strategies have many texts in
# common. And the reviews were written one by one, without the redundancy of a real pool (on the
# line of section 2 most points taught nothing).
#
# Sets that a model chooses may be unequal. Here BALD's are not: the largest class minus the
# smallest after 110 labels is 0 to 12<!-- measured: unequal_bald --> for BALD, 4 to
# 25<!-- measured: unequal_random --> for random.
#
# ## 7. With your own texts
#
# What a person types. The cell calls the same function as the command `minift` does; in a terminal
# the answers come from the keyboard. `--method head` is for speed here; it is solved, so nothing
# has to be said of steps or rates.


# %%
def minift_command(text, typed=""):
    """Run a command line of minift, with what a person types."""
    print(f"$ minift {text}")
    keyboard, sys.stdin = sys.stdin, io.StringIO(typed)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # progress, for terminals
            main(shlex.split(text))
    finally:
        sys.stdin = keyboard
    print()


gold = {example.text: example.label for example in pool}


def fill_in(path):
    """Write the label of each text into a batch file, as a person would in a spreadsheet."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "label": gold[row["text"]]} for row in rows)


here = Path.cwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        Path("texts.txt").write_text("\n".join(gold) + "\n", encoding="utf-8")
        names = ",".join(data.labels)
        how = f"--encoder {ENCODER} --method head"
        minift_command(f"active start --pool texts.txt --labels {names} {how} --out proj")
        minift_command("active next proj -n 20")
        fill_in("proj/batches/001.csv")
        minift_command("active import proj proj/batches/001.csv --by ada")
        minift_command("active next proj -n 10")
        minift_command("active label proj --by ada", typed="n\np\nq\n")
        minift_command("active status proj")
        minift_command("active train proj")
    finally:
        os.chdir(here)

# %% [markdown]
# Every answer is on the disk before the next text appears, and a command that was killed can be
# given again. `--strategy` is `bald` (the default), `batch_bald`, `entropy`, `margin`,
# `least_confidence` or `random`. If you can afford it, label a random part as well: chosen texts
# are not a sample of your data, and an accuracy on them is not that on new texts. Whether asking
# pays on data like yours is a question for `minift active simulate`, on a labelled set.
#
# ## Limits
#
# - Five seeds, a pool of 200, 110 labels, one small frozen encoder, invented reviews. With
#   `DATA = "sst2"` and `ENCODER = "minilm"` it takes much longer.
# - The head of the learning curves is solved without dropout. Its masks drop elements of the vector
#   that it reads, with which nothing was trained: a crowd, but not one of heads that the labels
#   allow.
# - "No difference can be seen" is not "there is none".
# - The pool here was collected with care. In real pools there is rubbish, and doubt finds rubbish
#   first; and there are rare classes, which is where asking is said to pay most.
# - Equal labels are not equal work: scoring the pool costs minutes, and hard texts take a person
#   longer.
#
# ## Where this differs from the paper
#
# - The paper's head is a small CNN, trained with dropout, and its encoder learns in each round;
#   here a linear head is solved on a frozen encoder (`head="cnn"` in `Learner` is the paper's).
# - It scores with 50 passes, begins with 10 labels, asks for 100 in each of 9 rounds, and repeats
#   three times; here 10 passes, 20 labels, 30 in each of 3 rounds, five times.
# - It reports BALD above random in the mean for all its models; it makes no paired test.
# - Whether it starts anew in each round is not stated; here each round does.
#
# ## Further reading
#
# - Griesshaber, Maucher, Vu (2020), [Fine-tuning BERT for Low-Resource Natural Language
#   Understanding via Active Learning](https://arxiv.org/abs/2012.02462)
# - Houlsby, Huszár, Ghahramani, Lengyel (2011), [Bayesian Active Learning for Classification and
#   Preference Learning](https://arxiv.org/abs/1112.5745)
# - Gal, Ghahramani (2016), [Dropout as a Bayesian
#   Approximation](https://arxiv.org/abs/1506.02142)
# - Kirsch, van Amersfoort, Gal (2019), [BatchBALD](https://arxiv.org/abs/1906.08158)
# - Kendall, Gal (2017), [What Uncertainties Do We Need in Bayesian Deep Learning for Computer
#   Vision?](https://arxiv.org/abs/1703.04977), aleatoric and epistemic
# - Lowell, Lipton, Wallace (2019), [Practical Obstacles to Deploying Active
#   Learning](https://arxiv.org/abs/1807.04801)
#
# **Assignment.** [Active learning: the doubt that labels settle](assignment.md)
