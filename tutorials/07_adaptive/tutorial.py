# %% [markdown]
# # 07 · Adaptive fine-tuning: a state machine you can drive by hand
#
# **Claim.** How long to train can be decided during training: continue while the validation loss
# falls, let the rate cool down when it stops, go back if it falls after all. That rule is a machine
# with four states which needs no model to be understood. You will drive it with lists of numbers
# first, and with BERT afterwards.
#
# **Paper.** Stollenwerk (2022), *Adaptive Fine-Tuning of Transformer-Based Language Models for
# Named Entity Recognition*.
#
# **Time.** 25 minutes to read, 1 minute to run on two cores.
#
# **Before this.** [03, Few labels](../03_few_labels_and_variance/tutorial.ipynb), for what an
# accuracy from a few seeds is worth.
#
# "Three epochs" is the usual recipe for fine-tuning, and was found on sets with tens of thousands
# of labels. With 50 labels three epochs are a dozen steps. The question of this page: who decides
# how long, if not a recipe?

# %%
import json
import random
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

import minift
from minift import Seeds
from minift.compare.bag_of_words import fit_bag_of_words
from minift.methods.adaptive import AdaptiveSettings, advance, rate_factor, replay, start
from minift.runs.train import subset

sys.path.append("..")
from shared import BLUE, GREEN, GREY, ORANGE, RED, dots, mean_sd, measured  # numbers; a plot

# %% [markdown]
# ## 1. The machine
#
# ```
# warmup ──→ constant ──→ cooldown ──→ stop
#                ↑___________│  loss below the best so far
# ```
#
# After each epoch the machine is told one number, the validation loss. It remembers the best one so
# far, and how many epochs have passed since then (`wait`). Three numbers are its rules: W epochs of
# warm-up (2), patience p (0), C epochs of cool-down (7).
#
# - **warmup**: the rate rises from 0 to its full height over W epochs.
# - **constant**: full rate, as long as each epoch brings a new best.
# - **cooldown**: after p + 1 epochs without a new best the rate falls, in a straight line, to 0
#   over C epochs. The idea: a model that has been shaken by large steps still gains when the steps
#   get small.
# - **back**: a new best during the cool-down ends it, and the full rate is back at once.
# - **stop**: at the end of the cool-down.
#
# In the library that is a function from a state and a loss to the next state. This is its heart:
#
# ```python minift/methods/adaptive.py:advance
#     cooling = state.phase == "cooldown"
#     improved = state.best is None or dev_loss < state.best - settings.min_delta
#     if improved and (settings.restarts or not cooling):
#         state = replace(
#             state,
#             phase="constant" if cooling else state.phase,
#             best=dev_loss,
#             best_epoch=state.epoch,
#             wait=0,
#             cooldown_start=None,
#         )
#     else:
#         state = replace(state, wait=state.wait + 1)
#         if state.wait == settings.patience + 1:
#             state = replace(state, phase="cooldown", cooldown_start=state.epoch)
# ```
#
# And the rate, as a factor on the full rate, is read off the state:
#
# ```python minift/methods/adaptive.py:rate_factor
#     if state.phase == "warmup":
#         return rise(step, settings.warmup_epochs * steps_per_epoch)
#     if state.phase == "cooldown" and state.cooldown_start is not None:
#         steps = settings.cooldown_epochs * steps_per_epoch
#         return fall(step - state.cooldown_start * steps_per_epoch, steps)
#     return 1.0 if state.phase == "constant" else 0.0
# ```
#
# ## 2. Drive it by hand
#
# Here are fourteen losses. Take a pencil and write down what the machine does, epoch by epoch,
# before you read on. Three questions: which epoch starts the first cool-down? Which ends it? After
# which epoch does the run stop?

# %%
paper = AdaptiveSettings()  # the paper's rules: W = 2, p = 0, C = 7
hundredths = [100, 80, 70, 72, 69, 66, 70, 71, 70, 69, 70, 68, 70, 67, 68]
losses = [h / 100 for h in hundredths]  # change them and run this cell again


def drive(losses, settings, steps=10):
    """Return the states before and after each epoch, and the rate's factor at each step."""
    states = [start(settings), *replay(losses, settings)]
    curve = [
        rate_factor(states[epoch], epoch * steps + step, steps, settings)
        for epoch in range(len(states) - 1)
        for step in range(steps)
    ]
    return states, curve


states, curve = drive(losses, paper)
print("epoch  trained in  loss   best  wait  then")
for before, after, loss in zip(states, states[1:], losses):
    print(
        f"{after.epoch:>5}  {before.phase:<10}  {loss:.2f}   {after.best:.2f}  {after.wait:>4}  "
        f"{after.phase}"
    )
print(states[-1].reason)
measured(
    first_cooldown=next(s.epoch for s in states if s.phase == "cooldown"),
    best_epoch=states[-1].best_epoch,
    stopped_after=states[-1].epoch,
)

# %% [markdown]
# Epoch 4<!-- measured: first_cooldown --> is the first without a new best, so the cool-down begins
# behind it. It lasts one epoch: the loss of epoch 5 is below the best so far. The best is that of
# epoch 6<!-- measured: best_epoch -->; after it nothing is better, and the run stops after epoch
# 14<!-- measured: stopped_after -->. (The list had a fifteenth loss. Nobody asked for it.)
#
# As a picture, with the rate below:

# %% alt="Two plots above each other over 14 epochs. Above: the losses, with a new best marked in green and others in grey. Below: the rate rises over two epochs, stays full, begins to fall in epoch 5, jumps back to full, stays, and falls in a straight line to zero over the last seven epochs."


def draw(losses, states, curve, steps=10):
    """Draw losses and the rate, one above the other."""
    _, (upper, lower) = plt.subplots(2, 1, figsize=(5.8, 3.4), sharex=True, height_ratios=(3, 2))
    count = len(states) - 1
    upper.plot(range(1, count + 1), losses[:count], color=GREY, linewidth=1, zorder=1)
    for epoch, (state, loss) in enumerate(zip(states[1:], losses), start=1):
        upper.plot(epoch, loss, "o", color=GREEN if state.best_epoch == epoch else GREY)
    upper.plot([], [], "o", color=GREEN, label="a new best")
    upper.legend(frameon=False, loc="upper center")
    upper.set_ylabel("validation loss")
    lower.plot([step / steps for step in range(len(curve))], curve, color=BLUE)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    lower.set(xlabel="epochs done", ylabel="rate / full rate", ylim=(-0.05, 1.1))
    plt.show()


draw(losses, states, curve)

# %% [markdown]
# ### How long is a run?
#
# After the last best epoch b the machine tolerates p epochs, needs one more to begin the cool-down,
# and C to finish it. So it stops after epoch b + p + C + 1. With C = 0 that is plain early
# stopping. Try some rules, with a loss that falls until epoch 5 and stays:

# %%
wrong = 0
for patience in (0, 1, 3):
    for cooldown in (0, 1, 7):
        rules = AdaptiveSettings(patience=patience, cooldown_epochs=cooldown)
        length = len(replay([5, 4, 3, 2, 1] + [1] * 50, rules))
        wrong += length != 5 + patience + cooldown + 1
        print(
            f"p {patience}  C {cooldown}: {length:>2} epochs", end="     " if cooldown < 7 else "\n"
        )
measured(formula_wrong=wrong, shortest=len(replay([1] * 50, paper)))

# %% [markdown]
# The formula was wrong 0<!-- measured: formula_wrong --> times. (A loss that stays is no
# improvement: it must be *below*.) The shortest possible run under the paper's rules takes
# 9<!-- measured: shortest --> epochs: the first is always a best, and eight follow it.
#
# ## 3. Below which loss?
#
# A new best during the cool-down must beat the best of *all* epochs, not the one before. This is
# easily programmed wrong, and the mistake is hard to see in a training log. Here is a run that goes
# wrong in epoch 4 and then recovers, slowly, to almost where it was. The control is the mistaken
# rule: it compares with the previous epoch.

# %%
recovering = [1.0, 0.8, 0.6, 0.9, 0.85, 0.8, 0.75, 0.7, 0.67, 0.64, 0.62, 0.61, 0.605, 0.602, 0.601]
right = [start(paper), *replay(recovering, paper)]
mistaken = [start(paper)]
for previous, loss in zip([None, *recovering], recovering):
    mistaken.append(advance(replace(mistaken[-1], best=previous), loss, paper))
for name, found in (("best of all", right), ("previous epoch", mistaken)):
    print(f"{name:<15}", " ".join(f"{state.phase[:4]}" for state in found[1:]))
measured(right_stops=right[-1].epoch, mistaken_runs=mistaken[-1].epoch)
print("the mistaken rule has stopped:", mistaken[-1].phase == "stop")

# %% [markdown]
# The right rule lets the run cool down and stops it after epoch 11<!-- measured: right_stops -->.
# The mistaken one takes every small recovery for news, goes back to the full rate again and again,
# and after 15<!-- measured: mistaken_runs --> epochs has no end in sight.
#
# The same question comes up with `min_delta`, the least improvement that counts. Below, the loss
# falls by four thousandths in each epoch, slowly and steadily, and an improvement must be larger
# than one hundredth within four epochs. The control counts from the lowest loss so far.

# %%
slow = [1 - 0.004 * epoch for epoch in range(40)]
rules = AdaptiveSettings(warmup_epochs=0, patience=3, cooldown_epochs=0, min_delta=0.01)
anchored = replay(slow, rules)
drifting = [start(rules)]
for epoch, loss in enumerate(slow):
    lowest = min(slow[:epoch], default=None)
    drifting.append(advance(replace(drifting[-1], best=lowest), loss, rules))
    if drifting[-1].phase == "stop":
        break
measured(anchored_runs=len(anchored), drifting_stops=drifting[-1].epoch)

# %% [markdown]
# Counted from the last loss that was *accepted* as best, small steps add up, and the run continues
# through all 40<!-- measured: anchored_runs --> epochs. Counted from the lowest loss so far, each
# step is too small, and the run ends after epoch 5<!-- measured: drifting_stops -->, in the middle
# of steady progress.
#
# ## 4. With BERT
#
# 50 labels to train on, 64 others for the validation loss. To be quick, the two lower layers of
# `tiny` are frozen, for every method alike (see [04](../04_freezing/tutorial.ipynb)). These runs
# are compared, four seeds each:
#
# - `original` and `stable`: 5 and 20 epochs, fixed beforehand, with linear decay. The recipes of
#   the literature.
# - `adaptive`.
# - *Adaptive's mean length, for all*: `hybrid` has adaptive's curve over a fixed number of epochs.
#   Here all four runs get the number that adaptive took on average. It decides nothing; if it does
#   as well, deciding run by run bought nothing.
# - *Useless validation* (the negative control): half of each class of the validation texts has the
#   wrong label, so their loss says nothing about the task. The machine cannot know that. It should
#   stop sooner than with true labels.
# - *Validation labels trained on*: `stable`, with 50 + 64 labels to train on. Adaptive has seen
#   these labels, too; perhaps this is the better use of them.

# %%
DATA = "reviews"  # or "sst2", with ENCODER = "minilm"
ENCODER = "tiny"
RATE = {"tiny": 3e-4, "minilm": 5e-5}[ENCODER]
LABELS, VALIDATION, SEEDS = 50, 64, range(4)

reviews = minift.load_dataset(DATA)


def run(method, seed, dev=(), train=None, epochs=None):
    """Fine-tune once; return test accuracy, and the history, one entry per epoch."""
    train = subset(reviews.train, LABELS, seed) if train is None else train
    data = replace(reviews, train=tuple(train), dev=tuple(dev))
    recipe = minift.recipe(f"freeze:2+{method}")
    settings = replace(recipe.settings, learning_rate=RATE, epochs=epochs or recipe.settings.epochs)
    with tempfile.TemporaryDirectory() as folder:
        _, result = minift.train(
            data, ENCODER, recipe, seeds=Seeds.all(seed), settings=settings, out=folder
        )
        lines = Path(folder, "history.jsonl").read_text(encoding="utf-8").splitlines()
    return result["test"], [json.loads(line) for line in lines]


def useless(examples, seed):
    """Give half of each class the other class's label."""
    changed = list(examples)
    for label, other in zip(reviews.labels, reversed(reviews.labels)):
        own = [n for n, example in enumerate(examples) if example.label == label]
        for n in random.Random(seed).sample(own, len(own) // 2):
            changed[n] = replace(changed[n], label=other)
    return changed


NAMES = (
    "original, 5 epochs",
    "stable, 20 epochs",
    "adaptive",
    "mean length for all",
    "useless validation",
    "validation trained on",
)
runs = {name: [] for name in NAMES}
for seed in SEEDS:
    dev = subset(reviews.dev, VALIDATION, seed)
    runs["original, 5 epochs"].append(run("original", seed))
    runs["stable, 20 epochs"].append(run("stable", seed))
    runs["adaptive"].append(run("adaptive", seed, dev))
    runs["useless validation"].append(run("adaptive", seed, useless(dev, seed)))
    both = (*subset(reviews.train, LABELS, seed), *dev)
    runs["validation trained on"].append(run("stable", seed, train=both))
length = round(statistics.fmean(len(history) for _, history in runs["adaptive"]))
runs["mean length for all"] = [run(f"hybrid:{length}", seed) for seed in SEEDS]
many = [
    run("adaptive", seed, subset(reviews.dev, VALIDATION, seed), subset(reviews.train, 400, seed))
    for seed in SEEDS
]

# %% [markdown]
# First the machine in a real run. The losses that the run of seed 0 met, fed to the machine by
# hand, must take it through the same rates to the same end:

# %% alt="The same two plots for a real run: the validation loss falls for some epochs and then rises; the rate rises, stays full while the loss falls, and falls to zero at the end."
history = runs["adaptive"][0][1]
met = [epoch["dev_loss"] for epoch in history]
states, curve = drive(met, paper, steps=-(-LABELS // 16))
draw(met, states, curve, steps=-(-LABELS // 16))
applied = [epoch["learning_rate"] / RATE for epoch in history]  # at the last step of an epoch
by_hand = curve[-(-LABELS // 16) - 1 :: -(-LABELS // 16)]
print(states[-1].reason)
measured(
    epochs_0=len(history),
    by_hand_0=states[-1].epoch,
    rate_difference=round(max(abs(a - b) for a, b in zip(applied, by_hand)), 12),
)

# %% [markdown]
# The same number of epochs (the check is exact: the largest difference of any rate is
# 0<!-- measured: rate_difference -->). Now all runs:

# %% alt="Two dot plots, a row for each method, four dots per row. Left: test accuracy; the rows with 50 labels overlap, and the one with 400 lies to the right of them all. Right: number of epochs; adaptive takes more than with useless validation labels, and with 400 labels fewer than with 50."
accuracy = {name: [score for score, _ in found] for name, found in runs.items()}
epochs = {name: [len(history) for _, history in found] for name, found in runs.items()}
words = [
    fit_bag_of_words(subset(reviews.train, LABELS, seed), reviews.labels).accuracy(reviews.test)
    for seed in range(10)
]
majority = max(sum(e.label == c for e in reviews.test) for c in reviews.labels)
majority /= len(reviews.test)
colours = {"mean length for all": GREY, "validation trained on": GREY}
colours |= {"useless validation": RED, "bag of words": ORANGE}
figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.0), sharey=True, width_ratios=(3, 2))
dots(right, epochs | {"adaptive, 400 labels": [len(history) for _, history in many]}, colours, "")
dots(
    left, accuracy | {"adaptive, 400 labels": [s for s, _ in many], "bag of words": words}, colours
)
left.axvline(majority, color=GREY, linestyle="--", linewidth=1)
left.set(xlabel="test accuracy (mean ± sd)")
right.set(xlabel="epochs", xlim=(0, None))
plt.show()

for name in NAMES:
    print(
        "{:<26}{:.3f} ± {:.3f}".format(name, *mean_sd(accuracy[name])), f"  epochs {epochs[name]}"
    )
print(f"{'adaptive, 400 labels':<26}{mean_sd([s for s, _ in many])[0]:.3f}", end=" ")
print(f"          epochs {[len(history) for _, history in many]}")
for other in NAMES:
    if other != "adaptive":
        pairs = [a - b for a, b in zip(accuracy["adaptive"], accuracy[other])]
        print("adaptive minus {:<26}{:+.3f} ± {:.3f}".format(other, *mean_sd(pairs)))


def ahead(other):
    """Return how far adaptive is ahead, on average."""
    return statistics.fmean(accuracy["adaptive"]) - statistics.fmean(accuracy[other])


at_best = [min(history, key=lambda epoch: epoch["dev_loss"]) for _, history in runs["adaptive"]]
at_end = [history[-1] for _, history in runs["adaptive"]]
print("from the best epoch to the last, validation loss and accuracy:")
for best, last in zip(at_best, at_end):
    print("  {dev_loss:.3f} {dev:.3f}".format(**best), "to {dev_loss:.3f} {dev:.3f}".format(**last))
measured(
    cooling_loss=statistics.fmean(b["dev_loss"] - a["dev_loss"] for a, b in zip(at_best, at_end)),
    cooling_accuracy=statistics.fmean(b["dev"] - a["dev"] for a, b in zip(at_best, at_end)),
    over_original=ahead("original, 5 epochs"),
    over_stable=ahead("stable, 20 epochs"),
    over_same=ahead("mean length for all"),
    over_useless=ahead("useless validation"),
    over_trained=ahead("validation trained on"),
    epochs_adaptive=statistics.fmean(epochs["adaptive"]),
    epochs_useless=statistics.fmean(epochs["useless validation"]),
    epochs_400=statistics.fmean(len(history) for _, history in many),
)

# %% [markdown]
# What this shows, first about the machine, which does what it is built for:
#
# - With 50 labels it runs 12 to 20<!-- measured: epochs_adaptive --> epochs on average, with 400
#   labels 10 to 14<!-- measured: epochs_400 -->, which are six times as long. Fewer labels, more
#   epochs: so it was in the authors' runs. But four runs whose lengths differ by ten epochs only
#   hint at it.
# - With useless validation labels it stops after 9 to 15<!-- measured: epochs_useless -->, sooner in the
#   mean than with true ones, though not in every pair of runs.
# - Where the recipe is far off, it helps: five epochs of 50 labels are 20 steps, too few, and
#   adaptive is 0.01 to 0.09<!-- measured: over_original --> ahead, more than the spread of the
#   pairs.
#
# And about its worth, where the controls are hard on it:
#
# - Against 20 fixed epochs it is −0.06 to 0.03<!-- measured: over_stable -->, against its own mean
#   length for all −0.06 to 0.03<!-- measured: over_same -->: within the spread. Deciding run by run
#   bought nothing that four seeds could see.
# - With *useless* validation labels it got as far: the difference is −0.03 to
#   0.04<!-- measured: over_useless -->. Most of what adaptive gains over `original` comes with a
#   dozen epochs, for which no validation labels are needed at all.
# - The 64 labels that it looked at might as well have been trained on: from `stable` with all of them
#   it is −0.11 to 0.03<!-- measured: over_trained --> away, within the spread. One run stopped after nine
#   epochs because the loss of its 64 texts rose at once, and that run has the lowest accuracy of the
#   four.
#
# One thing in the picture of the real run is odd. During the cool-down the validation loss does not
# get better at all: from the best epoch to the last it rises by 0.05 to
# 0.3<!-- measured: cooling_loss -->, on average over the four runs. The validation accuracy, printed
# beside it, changes by −0.12 to 0.06<!-- measured: cooling_accuracy --> in the mean, but it does not
# follow the loss: it stays in one run whose loss rises, and falls most in the run whose loss hardly
# moves. A likely reading: a model that becomes more sure of itself, also where it is wrong, pays for
# that in the loss, while the number of right answers hardly notices; and of 64 texts a few change
# sides by chance. So the loss may say *when*, but it is a poor measure of *how good*. It fits that the
# code behind the paper tests the last weights, and not those with the best loss.
#
# What it does *not* show: that adaptive fine-tuning is worthless. Its case is a job where no length
# is known to be good, with enough validation labels; here 20 epochs happened to be good.
#
# ## Limits
#
# - Four seeds, one small encoder with one layer that learns, invented reviews. The rate was not
#   searched.
# - 64 validation texts give a loss that is itself a matter of chance; with patience 0 one unlucky
#   epoch starts a cool-down. Going back helps, but it is not a cure.
# - The test is taken with the weights of the last epoch, not the one with the best validation loss.
#   The two can differ; `keep="best"` chooses the other.
# - Where labels are very few, the validation labels are the larger part of the bill.
#
# ## Where this differs from the paper
#
# - The paper is about named entities, with large and base encoders, and cuts its validation set
#   down with the training set. Here texts are classified.
# - The validation loss is the mean over texts. The authors average the means of batches, which
#   gives the texts of a small last batch more weight.
# - The last weights are tested, as in the version of the code that the paper used; later versions
#   test the best.
# - A run that reaches the cap of 250 epochs says that it has not converged.
# - Patience counts the bad epochs that are *tolerated*. In Keras, Lightning and transformers a run
#   stops *at* that number, one epoch earlier.
# - Gradients are clipped here; the authors' code does not clip.
#
# ## Further reading
#
# - Stollenwerk (2022), [Adaptive Fine-Tuning of Transformer-Based Language Models for Named Entity
#   Recognition](https://arxiv.org/abs/2202.02617); its code:
#   [nerblackbox](https://github.com/flxst/nerblackbox)
# - Mosbach, Andriushchenko, Klakow (2021), [On the Stability of Fine-tuning
#   BERT](https://arxiv.org/abs/2006.04884), where "stable" comes from
# - Dodge, Ilharco, Schwartz, Farhadi, Hajishirzi, Smith (2020), [Fine-Tuning Pretrained Language
#   Models: Weight Initializations, Data Orders, and Early
#   Stopping](https://arxiv.org/abs/2002.06305)
# - Prechelt (1998), [Early Stopping — but
#   when?](https://link.springer.com/chapter/10.1007/3-540-49430-8_3)
# - Hägele et al. (2024), [Scaling Laws and Compute-Optimal Training Beyond Fixed Training
#   Durations](https://arxiv.org/abs/2405.18392), on constant rates with a cool-down in pretraining
#
# **Assignment.** [A machine that decides how long to train](assignment.md)
