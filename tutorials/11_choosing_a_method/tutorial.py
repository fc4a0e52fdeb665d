# %% [markdown]
# # 11 · Choosing a method for your own data
#
# **Claim.** Which method is best for your data is a measurement, and most such measurements come out
# as "cannot be told". You will see how large a difference must be before a handful of seeds can show
# it, two ways of fooling yourself, and what `minift compare` does about both. And you will see when
# the better question is not which method, but whether to label more.
#
# **Time.** 25 minutes to read, 2 minutes to run on two cores.
#
# **Before this.** [03, Few labels](../03_few_labels_and_variance/tutorial.ipynb); what a mean and a
# standard deviation are. The methods are `head`, which solves the head on the encoder as it is, and
# two that first train the encoder so that texts of one class lie side by side: `contrastive` all
# of it, `freeze:2+contrastive` all but [two frozen layers](../04_freezing/tutorial.ipynb). You may
# take them as names.
#
# You have a few dozen labelled texts and five methods from five papers, each of which says that it
# is better. So you try all, and take the one with the highest score. What could be wrong with that?

# %%
import math
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import minift
from minift import Seeds
from minift.active.forecast import forecast_labels
from minift.active.loop import Learner
from minift.compare.grid import Terms, compare
from minift.compare.report import comparisons, short_text
from minift.compare.statistics import holm, paired_difference, sentence
from minift.data.intervals import t_quantile
from minift.runs.train import subset

sys.path.append("..")
from shared import BLUE, GREEN, GREY, ORANGE, RED, mean_sd, measured  # publishes numbers; colours

DATA = "reviews"  # or "sst2", with ENCODER = "minilm"
ENCODER = "mini"
HALF = {"mini": "freeze:2", "minilm": "freeze:3"}[ENCODER]
METHODS = ["head", "contrastive", f"{HALF}+contrastive"]
SETTINGS = {"mini": Terms(epochs=6, batch_size=8), "minilm": Terms()}[ENCODER]
FEW, MORE = SIZES = (64, 128)
SEEDS = 5

data = replace(minift.load_dataset(DATA), dev=())  # no method of this page chooses by a split
print(len(data.train), "texts to draw labels from;", len(data.test), "to report on")

# %% [markdown]
# ## 1. One seed, and a winner
#
# One call does all: every method, with every seed, at two sizes. Run *s* of each method has the same
# labelled texts, the same new head, the same order of texts and the same stream of dropout; methods
# differ in what they put into the loop's slots and in nothing else. Finished runs are kept in the
# folder, and the same call again resumes where it was.
#
# Each method takes the learning rate that suits the encoder. What trains makes six passes over the
# labelled texts, in batches of eight (`SETTINGS`). `head` makes none: the best head on vectors that
# never change is computed (logistic regression), so neither the order of texts nor dropout touches
# it, and its runs differ in the labelled texts alone. Then look at each seed as if it were the only
# one:

# %%
with tempfile.TemporaryDirectory() as folder:
    comparison = compare(
        data, ENCODER, METHODS, labels=SIZES, seeds=SEEDS, out=f"{folder}/mine", terms=SETTINGS
    )
    files = sorted(path.name for path in Path(folder, "mine").iterdir())
    report = Path(folder, "mine", "report.md").read_text(encoding="utf-8")

scores = {
    size: {name: [run.test for run in comparison.of(name, size)] for name in METHODS}
    for size in SIZES
}
winners = {size: set() for size in SIZES}
for size in SIZES:
    print(f"{size:>3} labels" + "".join(f"{name:>21}" for name in METHODS) + "   the winner")
    for seed in range(SEEDS):
        row = {name: scores[size][name][seed] for name in METHODS}
        best = [name for name in METHODS if row[name] == max(row.values())]
        winners[size].update(best)
        cells = "".join(f"{100 * score:>21.1f}" for score in row.values())
        print(f"seed {seed:<5}{cells}   {', '.join(best)}")
swing = statistics.fmean(max(found) - min(found) for found in scores[FEW].values())
measured(winners=len(winners[FEW]), winners_more=len(winners[MORE]), swing=swing)

# %% [markdown]
# With 64 labels, five seeds crown 2 to 3<!-- measured: winners --> different methods, ties
# included; with 128 labels again 2 to 3<!-- measured: winners_more -->. From seed to seed one and
# the same method swings by 2 to 10 %<!-- measured: swing --> (best minus worst run), and that is
# far more than what lies between the methods of one row. If you run each method once, and not even
# with the same draws, you get a winner too. It will be another one next time.
#
# **A negative control.** `full-sqrt:1` is full fine-tuning at √1 times its rate: another name for the
# same thing. If methods really differ in nothing else, it must get the same score as `full` with each
# seed, to the last text.

# %%
with tempfile.TemporaryDirectory() as folder:
    twins = compare(
        data,
        ENCODER,
        ["full", "full-sqrt:1"],
        labels=32,
        seeds=3,
        out=f"{folder}/twins",
        terms=Terms(epochs=2),
    )
(same,) = comparisons(twins)
print(same.sentence)
measured(twins_differ=max(abs(d) for d in same.difference.differences))

# %% [markdown]
# They differ by 0<!-- measured: twins_differ -->.
#
# ## 2. In pairs
#
# Which labels were drawn moves a score most ([03](../03_few_labels_and_variance/tutorial.ipynb)), and
# it moves *all methods of that seed* together. So compare seed by seed, and look at the differences.
# By hand, with three seeds:
#
# ```
# method A    70   60   80        mean 70, sd 10
# method B    72   63   81        mean 72, sd 9
# B − A        2    3    1        mean  2, sd 1
#
# interval of the mean:   2 ± t · sd / √n  =  2 ± 4.30 · 1 / √3  =  2 ± 2.48        in pairs
# as if unrelated:        2 ± 2.78 · √(10²/3 + 9²/3)             =  2 ± 21.6
# ```
#
# t is Student's, which stands in for the 1.96<!-- given --> of very many numbers. The scores wobble by
# ten points, their difference by one. Without pairs one would need hundreds of seeds to see what
# three nearly show. Nearly: the interval holds 0, so the library does not claim a difference.

# %%
by_hand = paired_difference([0.72, 0.63, 0.81], [0.70, 0.60, 0.80])
print(sentence("B", "A", by_hand))
print("t interval {:+.2f} to {:+.2f},".format(*100 * np.array(by_hand.interval)), end=" ")
redrawn = np.random.default_rng(0).choice(by_hand.differences, size=(10_000, 3)).mean(axis=1)
bootstrap = 100 * np.quantile(redrawn, [0.025, 0.975])
print("bootstrap {:+.2f} to {:+.2f}".format(*bootstrap))
measured(low_by_hand=100 * by_hand.interval[0], bootstrap_low=bootstrap[0])

# %% [markdown]
# The t interval begins at −0.48<!-- measured: low_by_hand -->. The bootstrap beside it draws three of
# the three numbers again and again, so it can never leave the range of what was seen (it begins at
# 1.00<!-- measured: bootstrap_low --> and would have claimed a difference). With a handful of seeds it
# is too narrow, so minift does not use it. With fewer than three seeds it gives no interval.
#
# The runs of section 1, drawn in pairs:

# %% alt="Left: test accuracy with 64 labels, one line for each seed across three methods; two lines lie low throughout, three lie high and cross each other. Right: for the two contrastive methods at both sizes the differences to the head, one dot per seed, with the 95 percent interval as a line and a dashed line at no difference, which every interval holds. The interval of freeze:2+contrastive with 64 labels is the narrowest."
made = {(a.labels, a.method): a for a in comparisons(comparison) if a.other == METHODS[0]}
others = METHODS[1:]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 2.9))
for seed in range(SEEDS):
    left.plot([100 * scores[FEW][name][seed] for name in METHODS], "o-", alpha=0.6, markersize=5)
left.set_xticks(range(len(METHODS)), [name.replace("+", "+\n") for name in METHODS])
left.set(ylabel="test accuracy, points", xlabel=f"{FEW} labels, one line per seed")
for place, (name, size) in enumerate((name, size) for name in others for size in SIZES):
    found = made[size, name].difference
    colour = BLUE if found.seen else GREY
    right.plot([100 * d for d in found.differences], [place] * SEEDS, "o", color=colour, alpha=0.5)
    if found.interval is not None:
        right.plot([100 * end for end in found.interval], [place, place], color=colour, lw=2.5)
right.axvline(0, color=GREY, linestyle="--", linewidth=1)
ticks = [f"{name}, {size}".replace("+", "+\n") for name in others for size in SIZES]
right.set_yticks(range(len(ticks)), ticks)
right.invert_yaxis()
right.set(xlabel="points above head (blue: 0 is outside)")
plt.show()

ratios = []
for size in SIZES:
    sd = {name: statistics.stdev(found) for name, found in scores[size].items()}
    for name in others:
        paired = statistics.stdev(made[size, name].difference.differences)
        ratios.append(paired / math.hypot(sd[name], sd["head"]))
        print(f"{size:>3} labels, {name:<20} sd of the difference {100 * paired:.1f},", end=" ")
        print(f"if unrelated {100 * math.hypot(sd[name], sd['head']):.1f}")
sds = [statistics.stdev(a.difference.differences) for a in made.values()]
print()
for a in made.values():
    print(f"{a.labels} labels: {a.sentence}")
measured(
    pairs_help=statistics.fmean(ratios),
    usual_sd=statistics.fmean(sds),
    seen=sum(a.difference.seen for a in made.values()),
    tested=len(made),
)

# %% [markdown]
# What this shows. The three methods mostly go up and down together: in the left figure two seeds
# are low with every method, and three are high, close to each other. With 64 labels the difference
# between `freeze:2+contrastive` and `head` has about an eighth of the spread that unrelated runs
# would have, that between `contrastive` and `head` about half. With 128 labels pairs gain less for
# both, and for `contrastive` little. Over all, the spread is 0.2 to
# 0.8<!-- measured: pairs_help --> of that of unrelated runs (from five seeds each, such figures are
# rough). Of 4<!-- measured: tested --> intervals 0 to 1<!-- measured: seen --> exclude 0. In pairs
# that is not for want of precision everywhere: the narrowest interval, of `freeze:2+contrastive`
# with 64 labels, ends about one point above `head`, so whatever this method gains there, it is
# little. What the sentences add about chance and Holm is explained in section 4.
#
# ## 3. How large must a difference be?
#
# Half the width of the interval is t · sd / √n, and that can be known *before* anything is run. The
# standard deviations of differences above are 0.5 to 3 %<!-- measured: usual_sd --> in the mean.
# Left: what n seeds can show. Right: a simulation, as nobody knows the truth of real methods: one
# that is truly 2 points better, differences with a standard deviation of 3. How often do n seeds
# see it? And how large is the difference in those lucky cases?

# %% alt="Left: half the width of the 95 percent interval against the number of seeds, for standard deviations of 1, 2 and 4 points; it falls steeply to five seeds and slowly afterwards. Right: a method that is truly two points better. The share of experiments that see it rises from near nothing with three seeds to most with twenty; the mean difference among those that see it falls from far above towards two."
TRUE, SD = 0.02, 0.03
generator = np.random.default_rng(0)
counts = (3, 5, 10, 20)
power, told, nothing = {}, {}, {}
for n in counts:
    drawn = [
        paired_difference(row, np.zeros(n)) for row in generator.normal(TRUE, SD, size=(500, n))
    ]
    seen = [d.mean for d in drawn if d.seen]
    power[n], told[n] = len(seen) / len(drawn), statistics.fmean(seen)
    null = generator.normal(0.0, SD, size=(500, n))  # the control: no difference at all
    nothing[n] = sum(paired_difference(row, np.zeros(n)).seen for row in null) / 500

figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 2.8))
seeds = range(3, 31)
for sd, colour in ((4, RED), (2, ORANGE), (1, GREEN)):
    half = [t_quantile(0.975, n - 1) * sd / math.sqrt(n) for n in seeds]
    left.plot(seeds, half, color=colour, label=f"sd {sd}")
left.set(xlabel="seeds", ylabel="± points", ylim=(0, 10))
left.legend(frameon=False)
right.plot(counts, [100 * power[n] for n in counts], "o-", color=BLUE)
right.plot(counts, [100 * nothing[n] for n in counts], "o:", color=GREY)
right.set(xlabel="seeds", ylabel="% that see it (dotted: none is there)", ylim=(0, 100))
second = right.twinx()
second.plot(counts, [100 * told[n] for n in counts], "s--", color=RED, markersize=5)
second.axhline(100 * TRUE, color=RED, linewidth=0.8)
second.set_ylabel("points they report (line: truth)", color=RED)
second.set_ylim(0, 10)
second.spines["right"].set_visible(True)
plt.show()
for n in counts:
    print(
        f"{n:>2} seeds: {power[n]:.0%} see it, and report {100 * told[n]:.1f} points; "
        f"where there is none, {nothing[n]:.0%} see one"
    )
measured(
    half_5=t_quantile(0.975, 4) * 2 / math.sqrt(5),
    half_20=t_quantile(0.975, 19) * 2 / math.sqrt(20),
    power_5=power[5],
    power_20=power[20],
    told_5=100 * told[5],
    false_5=nothing[5],
)

# %% [markdown]
# With a standard deviation of 2 points, five seeds can show differences of about
# 2.5<!-- measured: half_5 -->, twenty of about 0.9<!-- measured: half_20 --> points. In the simulation
# five seeds see a true difference of 2 points in 12 to 35 %<!-- measured: power_5 --> of experiments,
# twenty in 70 to 92 %<!-- measured: power_20 -->. And those who see it with five seeds report 3.3 to
# 5.5<!-- measured: told_5 --> points: with few seeds only an exaggerated difference gets over the bar.
# That is one reason why gains in papers shrink when others repeat them. Where there is no difference,
# 1 to 10 %<!-- measured: false_5 --> see one, about as promised.
#
# So "no difference can be seen" has a size. Read the interval's ends: "−1 to +1" says that the
# difference is small; "−6 to +5" says that nothing is known.
#
# ## 4. Fooling yourself, first way: many comparisons
#
# One comparison of equals claims a difference in one case of twenty. Six comparisons have six chances.
# Holm's correction: order the p-values, multiply the smallest by their number, the next by one less,
# and so on, and let none be smaller than the one before. By hand:
#
# ```
# .01, .02, .04   become   3 · .01 = .03,   2 · .02 = .04,   1 · .04 = .04
# ```
#
# Simulated: six methods, none of which differs from the baseline, five seeds.

# %%
print("Holm:", [f"{p:.2f}" for p in holm([0.01, 0.02, 0.04])])
any_seen, any_standing, repeats = 0, 0, 300
for _ in range(repeats):
    runs = generator.normal(0.0, 0.02, size=(7, 5)) + generator.normal(0.7, 0.03, size=5)
    equals = [paired_difference(row, runs[0]) for row in runs[1:]]
    any_seen += any(d.seen for d in equals)
    any_standing += min(holm([d.p for d in equals])) < 0.05
measured(
    holm_2=holm([0.01, 0.02, 0.04])[1],
    any_seen=any_seen / repeats,
    any_standing=any_standing / repeats,
)

# %% [markdown]
# By hand and by the library the second is 0.04<!-- measured: holm_2 -->. In 10 to
# 28 %<!-- measured: any_seen --> of such experiments at least one of the equals "differs"; after the
# correction in 0 to 8 %<!-- measured: any_standing -->. The report names both.
#
# ## 5. Fooling yourself, second way: choosing on the texts you report on
#
# Rates, epochs, methods, the best of many seeds: somewhere there is a choice. If it is made by the
# score on the texts that are reported, the score contains the luck of having been chosen. How much?
# Twelve runs of one method, `freeze:2`, on the same labelled texts. They differ in nothing but
# their random streams (`head` would not do: solved twelve times, it is twelve times the same). Each
# run answers all test texts; then 100 of these texts are drawn to choose by, and the others are
# reported on. Many times, since the answer matrix is there already:

# %% alt="Three histograms of the chosen run's score minus the mean of all twelve runs on the same texts. If the run is reported on the texts it was chosen by, the histogram lies around seven points above 0. Reported on the other texts, most of it lies a few points above 0, with a tail below. For a run drawn at random it is spread around 0."
frozen = minift.recipe(HALF, ENCODER)
frozen = replace(frozen, settings=SETTINGS.settings_of(frozen.settings))
drawn = subset(data.train, FEW, 0)  # the same labels for all
learner = Learner(replace(data, train=drawn), ENCODER, frozen)
states = learner.states()  # of the layers that never change: computed once for all twelve
gold = [example.label for example in data.test]
right_answers = []
for number in range(12):
    answers = learner.fit(drawn, Seeds.all(number), cache=states).evaluate(data.test).predicted
    right_answers.append([a == g for a, g in zip(answers, gold)])
right_answers = torch.tensor(right_answers, dtype=torch.double)  # (runs, texts)

luck = {"chosen by the texts reported on": [], "chosen by 100 others": [], "drawn at random": []}
for split in range(400):
    order = torch.randperm(len(gold), generator=torch.Generator().manual_seed(split))
    by, on = right_answers[:, order[:100]].mean(1), right_answers[:, order[100:]].mean(1)
    best = int(by.argmax())
    luck["chosen by the texts reported on"].append((by[best] - by.mean()).item())
    luck["chosen by 100 others"].append((on[best] - on.mean()).item())
    luck["drawn at random"].append((on[split % 12] - on.mean()).item())

figure, axes = plt.subplots(figsize=(5.8, 2.8))
bins = [x / 2 for x in range(-20, 37)]
for (name, values), colour in zip(luck.items(), (RED, BLUE, GREY)):
    axes.hist([100 * v for v in values], bins, histtype="step", lw=2, color=colour, label=name)
axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
axes.set(xlabel="points above the mean of the twelve runs", ylabel="of 400 draws", ylim=(0, 75))
axes.legend(frameon=False, fontsize=8, loc="upper right")
plt.show()
for name, values in luck.items():
    print("{:<32}{:+.3f} ± {:.3f}".format(name, *mean_sd(values)))
measured(
    optimism=mean_sd(luck["chosen by the texts reported on"])[0],
    honest=mean_sd(luck["chosen by 100 others"])[0],
    at_random=mean_sd(luck["drawn at random"])[0],
)

# %% [markdown]
# Chosen and reported on the same hundred texts, the best of these twins is 4 to
# 11 %<!-- measured: optimism --> above their mean. Of the same choice −0.5 to
# 4 %<!-- measured: honest --> are left on other texts, and of a run drawn at random, the control,
# −1.5 to 1.5 %<!-- measured: at_random -->. What is left is what the choice was worth: after so few
# steps a lucky start still helps. All the rest, most of the gain, is luck with the hundred texts.
# Who reports on the texts that were chosen by cannot say which part is which.
#
# So `compare` keeps the two apart: what is chosen is chosen by the *selection* split (dev), what is
# reported is the *reporting* split (test), and if there is no test split it cuts dev in two by a hash
# of the texts. A method of fixed length never sees the selection split (that is why this page could
# leave it out). One that chooses (adaptive, early stopping, a grid of rates) does, and the report says
# how many labelled texts that took: labels which the others could have trained on.
#
# ## 6. The table and the report
#
# What `minift compare` prints at its end, and the files it leaves:

# %% tags=["varies"]
print(short_text(comparison), end="\n\n")
print(", ".join(files))

# %% [markdown]
# Read it in this order. *failed*: a run that predicts one class for everything is part of the mean,
# and it must be named. *sd*: is the spread larger than the differences between means? *trained, seconds,
# to store*: a method that cannot be told from another in accuracy may still be the better one, because
# it is cheaper. Then the sentences, each with its interval; then the warning about the number of
# comparisons. `report.md` and `report.html` say the same with plots, settings and
# machine; their section "How to read this" is worth a minute:

# %% tags=["varies"]
_, _, reading = report.partition("## How to read this")
for line in reading.partition("## Settings")[0].strip().splitlines()[:4]:
    print(line)

# %% [markdown]
# ## 7. Or label more?
#
# Choosing a method is one way to better scores. Another is a pot of coffee and 64 more labels. The runs
# are there already: what does going from 64 to 128 labels bring, method by method, and what does the
# choice among the methods bring?

# %% alt="Mean test accuracy with 64 and with 128 labels, a line for each method with bars for the standard deviation. All three lines rise by about three points and lie almost on each other. The bars are several times as long as the gaps between the lines; those of contrastive are the shortest."
gains = {name: paired_difference(scores[MORE][name], scores[FEW][name]) for name in METHODS}
figure, axes = plt.subplots(figsize=(5.6, 2.9))
for shift, (name, colour) in enumerate(zip(METHODS, (BLUE, GREEN, ORANGE))):
    means, sds = zip(*(mean_sd(scores[size][name]) for size in SIZES))
    at = [size + 1.5 * (shift - 1) for size in SIZES]
    axes.errorbar(at, means, sds, fmt="o-", color=colour, capsize=3, label=name)
axes.set_xticks(SIZES)
axes.set(xlabel="labels", ylabel="test accuracy, mean ± sd", xlim=(50, 142))
axes.legend(frameon=False, loc="upper left", fontsize=8)
plt.show()
for name, gain in gains.items():
    print(sentence(f"{name}, {MORE} labels,", f"{FEW}", gain))
print("p after Holm:", [f"{p:.3f}" for p in holm([gain.p for gain in gains.values()])])
usual = [statistics.fmean(found) for found in scores[FEW].values()]
measured(
    label_gain=statistics.fmean(gain.mean for gain in gains.values()),
    label_gain_head=gains["head"].mean,
    method_gap=max(usual) - min(usual),
)

# %% [markdown]
# Twice the labels bring 1 to 5 %<!-- measured: label_gain --> in the mean over the methods (0 to 6
# %<!-- measured: label_gain_head --> for `head`). Only the interval of `contrastive` excludes 0:
# its runs swing least. But these are three more comparisons, and after Holm's correction none of
# them stands: it is a hint, not a finding.
#
# Between the best and the worst method with 64 labels lie 0 to 2 %<!-- measured: method_gap -->. So
# of the two ways the labels look like the better one, though neither is shown. Training the encoder
# before the head is solved, which costs several times the seconds, cannot be seen to help on these
# texts, at either size.
#
# And a warning about what is being compared. `SETTINGS` gives each method six passes, and a
# contrastive method by itself takes more (`"mini": Terms()` lets it). For `head` nothing changes:
# it is solved, whatever the passes and the rate. So the short length is held against one side only.
# A comparison tells you which *program* did better on your data, not why. Give each method a
# length and a rate that suit it (`Terms()`) before you believe a ranking.
#
# Three questions help to decide.
#
# - *Is your default beaten at all?* Not `head`, with either size. With 64 labels
#   `freeze:2+contrastive` comes nearest to beating it, and its interval ends a point above. To make
#   sure would take more seeds, which cost machine time only.
# - *Which interval is where?* Choosing can only pay what lies between the methods, and once only.
#   If the intervals say that the methods are within a point of each other, more labels are the only
#   thing left to buy.
# - *Which can go wrong?* A choice made from few seeds can be the wrong one, as section 1 showed, and
#   one made from few labels can become the wrong one. More labels hardly ever harm, whatever the method,
#   and they make every later comparison sharper.
#
# Before you label, ask what it would bring. From the labels you have, `forecast_labels` trains on parts
# of them (cross-validation), puts a power law through the scores and gives an interval, or says that nothing
# can be said:

# %%
labelled = subset(data.train, MORE, 0)
learner = Learner(data, ENCODER, minift.recipe("head", ENCODER))
forecast = forecast_labels(learner, labelled, more=MORE)
print(forecast.sentence)

# %% [markdown]
# With so few labels the answer is as wide as what it asks about, or there is none. That is an
# answer as well: it cannot be known from 128 labels what the next 128 bring, and anyone who says so
# without an interval is guessing.
#
# ## 8. One file, and nothing put away
#
# With 128 labelled texts, who puts half of them away to report on? Cross-validation lets every text
# serve for both. The texts are dealt into five folds, as even in the classes as they can be; each fold is
# answered by a model trained on the other four. The same texts teach four of the five models, so the five
# scores are not independent, and the usual interval is too narrow. Nadeau and Bengio's (2003) counts what the
# training sets share. Here it can be held to the truth, for `reviews` has 400 more texts:

# %%
mine = replace(data, train=labelled, test=())
estimate, answers = minift.cross_validate(mine, ENCODER, "head", repeats=1)
print(estimate)
tuned, result = minift.train(replace(data, train=labelled), ENCODER, "head", seeds=0)
low, high = estimate.interval
print(f"on {len(data.test)} texts it has not seen: {result['test']:.3f}")
assert low <= result["test"] <= high  # the text says so
measured(estimated=estimate.mean, width=high - low, unseen=result["test"])

# %% [markdown]
# The estimate is 60 to 85 %<!-- measured: estimated -->, and its interval is 15 to 45
# %<!-- measured: width --> wide: that is what 128 texts can say. On 400 new texts the score is 62 to 78
# %<!-- measured: unseen -->, inside the interval. (In 2,000 simulated files it covers the truth in
# 93 to 97 of 100 where labels are random, and in more where there is something to learn: a test says so.)
#
# The answers of the folds are good for more than a score, as no model was asked for a text that
# taught it. A label that every model doubts may be wrong. Flip every tenth label, and look whether
# the flipped ones come out on top:

# %%
names = data.labels
flipped = [
    replace(e, label=names[1 - names.index(e.label)]) if i % 10 == 0 else e
    for i, e in enumerate(labelled)
]
found = minift.check(replace(mine, train=tuple(flipped)), ENCODER, repeats=1)
wrong = {e.id for i, e in enumerate(labelled) if i % 10 == 0}
hits = sum(doubt.example.id in wrong for doubt in found.doubts)
print(f"{len(wrong)} labels are wrong; {len(found.doubts)} are doubted, {hits} of them rightly")
measured(right=hits / len(found.doubts), by_chance=len(wrong) / len(labelled))

# %% [markdown]
# Of the labels that are doubted, 15 to 50 %<!-- measured: right --> are wrong; of labels drawn blindly it
# would be 10 to 11 %<!-- measured: by_chance -->. So the list is worth reading, and it is not to be
# believed: a person decides.
#
# ## 9. For your own data
#
# ```
# minift compare --train mine.csv --budget-minutes 10 --out runs/which
# minift train --train mine.csv --method head --threshold-for f1 --out runs/mine
# minift check --train mine.csv --out doubtful.csv
# ```
#
# With one file, `compare` makes folds of it, so a seed is a fold. It names the method with the highest mean,
# and what choosing is worth: the best of several is flattered by its luck (section 5), so it chooses anew
# without each fold and scores the choice there. `train` says first how good the model will be, on folds, then
# trains it on all labels; the answers of the folds also set its temperature, so that what it is 90 %<!-- given -->
# sure of is right nine times in ten, and the threshold of a rare class (`--threshold-for`), which `predict` then uses. If rows
# belong together, as sentences of a document do, `--group COLUMN` keeps them in one fold. With a test file of
# your own:
#
# ```
# minift compare --train mine.csv --test held_out.csv --labels 100,300 --seeds 10 --out runs/both
# ```
#
# 1. Put a test file away before anything else, if you can afford one. Never look at it to choose.
# 2. Decide beforehand what would change your mind: "I take BitFit if it is not more than 2 points
#    behind". Then section 3 tells how many seeds that takes.
# 3. More seeds before more methods. `--seeds 10` after `--seeds 5` in the same folder runs only the
#    five new ones. (Do not stop at the first count that shows a difference: that is choosing, too.)
# 4. If no difference can be seen, take the cheapest, or the one that you understand. And label more.
#
# A run folder belongs to others' tools as well. With the linear head it is a checkpoint of transformers, with
# the mean head a folder of sentence-transformers:
#
# ```python
# from transformers import pipeline
# pipeline("text-classification", "runs/linear")(["A good film."])
# from sentence_transformers import SentenceTransformer
# SentenceTransformer("runs/mean").encode(["A good film."])  # the logits
# ```
#
# and `torch.onnx.export` writes the former as ONNX (`tests/runs/test_exporters.py` does all three, and
# compares the answers with `minift predict`). Scikit-learn's tools drive `minift.Classifier`, and
# `minift.read_dataset` takes a frame of pandas or a `datasets.Dataset` in place of a file. What minift leaves
# to others: long documents in windows (transformers' `return_overflowing_tokens`), labels from several
# people weighed by how good each is (crowd-kit), and data that change while you watch (river).
#
# ## Limits
#
# - Five seeds, one small encoder, invented reviews, two sizes. Which method is ahead here says
#   nothing about your data; that is the point of the page.
# - The learning rate is one number for each kind of method, the library's usual one; nobody
#   searched what suits the contrastive methods here. `head` has no rate.
# - Six passes are 48 steps with 64 labels and 96 with 128: what twice the labels bring a
#   contrastive method here includes what twice the steps bring. By themselves these methods take
#   120 steps or more of 16 texts; the page shortens them to fit two minutes.
# - Intervals cover what changes with the seed. They do not cover the choice of the test texts: with 400
#   texts an accuracy varies by 2 to 3 points for that reason alone (a difference by less).
# - Student's t takes differences for normal. Collapsed runs are not.
# - In the simulations the normal law is true, because we made it so.
#
# ## Further reading
#
# - Dodge, Gururangan, Card, Schwartz, Smith (2019), [Show Your Work: Improved Reporting of Experimental
#   Results](https://arxiv.org/abs/1909.03004)
# - Card, Henderson, Khandelwal, Jia, Mahowald, Jurafsky (2020), [With Little Power Comes Great
#   Responsibility](https://arxiv.org/abs/2010.06595)
# - Reimers, Gurevych (2017), [Reporting Score Distributions Makes a
#   Difference](https://arxiv.org/abs/1707.09861)
# - Dror, Baumer, Shlomov, Reichart (2018), [The Hitchhiker's Guide to Testing Statistical Significance
#   in Natural Language Processing](https://aclanthology.org/P18-1128)
# - Gelman, Carlin (2014), [Beyond Power Calculations](https://doi.org/10.1177/1745691614551642), on
#   exaggerated differences
# - Zhang, Wu, Katiyar, Weinberger, Artzi (2021), [Revisiting Few-sample BERT
#   Fine-tuning](https://arxiv.org/abs/2006.05987)
