# %% [markdown]
# # 00 · Start here
#
# **Claim.** After this page your set-up works, you have fine-tuned a BERT on 100 labels, you know
# where in the library each part of that happened, and a model that you trained yourself sorts your
# own sentences and finds the names in a text.
#
# **Time.** 25 minutes to read, 1 minute to run on two cores.
#
# **Before this.** Python, and a little PyTorch: you have seen a tensor, and a loss go down.
#
# ## 1. Does it work?
#
# Nothing on these pages needs a network, an account or a graphics card: a small encoder and two
# small data sets are in the package. If this cell runs, you are set up. If it does not, the install
# command is in the repository's [README](../../README.md).

# %% tags=["hide"]
import ast
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt

sys.path.append("..")
import drawings
from shared import GREY, ORANGE, dots, mean_sd, measured  # publishes numbers; a dot plot
from turns import check, yours

# %%
import torch

import minift

encoder, tokenizer = minift.load_encoder("mini")
sentence = tokenizer.encode(["It works."])[0]
with torch.no_grad():
    hidden = encoder(minift.pack([sentence.input_ids]))
print(tokenizer.tokens(sentence.input_ids), "->", tuple(hidden.shape))

# %% [markdown]
# A tensor of five rows: BERT turns each piece of a text into a vector. [01](../01_bert_from_scratch/tutorial.ipynb)
# computes these vectors by hand.
#
# ## 2. The problem: few labels
#
# The package has short reviews, written for it, half of them negative and half positive. Somebody
# must label texts before a model can learn from them, and labelling is slow. So what can be done
# with 100 labels?

# %%
DATA = "reviews"  # or "sst2", with ENCODER = "minilm"
ENCODER = "mini"  # the lowest three layers of MiniLM, which ship with the package

data = minift.load_dataset(DATA)
for example in data.train[:4]:
    print(f"{example.label:<9} {example.text}")
print(f"\n{len(data.train)} for training, {len(data.dev)} and {len(data.test)} to be judged on")

# %% [markdown]
# Fine-tuning is one call. It draws 100 of the training texts, loads the encoder, puts a new head on
# it, trains, and scores the result on the test texts.


# %%
def train(method, seed):
    """Fine-tune on 100 labels; return the model and its result."""
    recipe = minift.recipe(method, ENCODER)
    settings = replace(recipe.settings, epochs=12)
    seeds = minift.Seeds.all(seed)
    return minift.train(
        replace(data, dev=()), ENCODER, recipe, labels=100, seeds=seeds, settings=settings
    )


tuned, result = train("full", seed=0)
print("parameters that learned:", f"{result['trainable_parameters']:,}")
new = [
    minift.TextExample("1", "A joy from start to finish."),
    minift.TextExample("2", "I want my money back."),
]
for answer in minift.predict(tuned, new):
    print(f"{answer['label']:<9} {answer['scores'][answer['label']]:.2f}  {answer['text']}")

# %% tags=["hide"]
measured(learned=result["trainable_parameters"])

# %% [markdown]
# It learned 17,242,754<!-- measured: learned --> parameters from 100 labels. The number after each
# answer is the probability that the model gives to it. If one of the answers is wrong, your
# set-up is not at fault: with so few labels about three answers in ten are. Section 8 does better.
#
# ## 3. Is that any good?
#
# Two texts say nothing, and one run says little. So we ask for three runs, each with other labels
# drawn, and for two baselines: always the same answer, and a control in which BERT learns nothing but
# the head, which is then the best head that there is: it is solved, not trained.
#
# **Your turn.** Each run is judged by its *accuracy*: the share of the 400 test texts to which it gives
# the right label. Write it.


# %%
def accuracy(predicted, gold):
    """Return the share of answers that are right, between 0 and 1.

    Both are lists of labels, such as ["positive", "negative"], of the same texts in the same order.
    """
    ...


check("00.accuracy", accuracy)

# %% [markdown]
# <details><summary>Hint</summary>
#
# `zip(predicted, gold)` gives the pairs. In Python a comparison that is true counts as 1 in a sum.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def accuracy(predicted, gold):
#     return sum(a == b for a, b in zip(predicted, gold)) / len(gold)
# ```
#
# </details>
#
# The next cell uses your function if it is right, and the solution as long as it is not.

# %% alt="Dot plot of test accuracy with 100 labels. All parameters: three dots to the right of guessing. Head only: three dots, also to the right of guessing. Guessing is a dashed line at one half."
accuracy = yours("00.accuracy")


def score(model):
    """Judge a model by the test texts."""
    answers = minift.predict(model, data.test)
    return accuracy([a["label"] for a in answers], [e.label for e in data.test])


full = [score(tuned)] + [score(train("full", seed)[0]) for seed in (1, 2)]
head = [score(train("head", seed)[0]) for seed in (0, 1, 2)]

figure, axes = plt.subplots(figsize=(4.8, 1.6))
dots(axes, {"all parameters": full, "head only": head}, {"head only": ORANGE})
axes.axvline(result["test_majority"], color=GREY, linestyle="--", linewidth=1)
axes.set_xlabel("test accuracy (dashed: guessing)")
plt.show()

# %% tags=["hide"]
test_set = (full[0] * (1 - full[0]) / len(data.test)) ** 0.5
measured(full=mean_sd(full)[0], head=mean_sd(head)[0], guess=result["test_majority"], sd=test_set)

# %% [markdown]
# All parameters: 68 %<!-- measured: full 63 to 73 --> on average. Head only:
# 71 %<!-- measured: head 68 to 74 -->. Guessing: 50 %<!-- measured: guess -->.
#
# What this shows: 100 labels are enough to leave guessing behind. What it does *not* show: which of
# the two is better. Three runs spread over several points, and 400 test texts alone leave each of
# them uncertain by 2.4 points<!-- measured: sd 2 to 3 -->, one standard deviation.
# [03](../03_few_labels_and_variance/tutorial.ipynb) is about exactly that.
#
# ## 4. The map
#
# The library is built in storeys. A module imports from its own storey or from a lower one, never
# from above, so you can read from the bottom up and stop anywhere:
#
# ```
# cli/                      the commands
# label/                    labelling with your own people and tools
# active/                   which texts should be labelled next?
# compare/    compact/      which method for my data?  a small tagger, taught by a large one
# runs/                     a run from a data set to a folder; evaluation; prediction
# methods/    speed/        one file per method; what makes training faster and changes no result
# training/                 the one training loop, its batches and schedules
# data/       checkpoints/  examples in, numbers out; weights and tokenizers in files
# bert/                     the encoder and its heads
# ```
#
# And it has one idea. There is one training loop, and every method answers one of five questions
# about it:

# %% tags=["hide"] alt="A column of boxes: batch, loss, gradient, step, and back to the batch until it stops. Five green boxes point at it: On which examples, at the batch; What is the loss, at the loss; What happens to the gradient, at the gradient; Which parameters learn, at the gradient and the step; How fast and until when, at the step."
drawings.slots()
plt.show()

# %% [markdown]
# | question | example |
# |---|---|
# | Which parameters learn? | only the biases: BitFit |
# | What happens to the gradient? | a random part of it is dropped: Child-Tuning |
# | How fast, and until when? | until the validation loss stops falling: adaptive |
# | What is the loss? | cross-entropy, or a teacher's answers |
# | On which examples? | those the model is least sure of: active learning |
#
# A method fills one slot of the loop and leaves the rest alone, so methods combine:
# `minift.recipe("bitfit+adaptive")`.
#
# ## 5. How to read the code
#
# The *heart* of the library is what one training run needs: the model, the loop, and a method. All
# the rest is applied from outside and could be deleted without touching it; a test checks that. So
# how much is there to read? This cell starts at the loop, the heads and BitFit, follows their
# imports, and takes the first line of each file, which says what the file gives you.

# %% tags=["hide"]
ORDER = [
    *("bert/config", "bert/packing", "bert/dropout", "bert/encoder", "bert/heads", "bert/names"),
    *("training/batches", "training/schedules", "training/loop", "methods/bitfit", "errors"),
]
LINES_PER_MINUTE = 20

package = Path(minift.__file__).parent
files, waiting = {}, ["training/loop", "bert/heads", "methods/bitfit"]
while waiting:
    name = waiting.pop()
    if name not in files:
        files[name] = (package / f"{name}.py").read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(files[name])):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("minift."):
                waiting.append(node.module.removeprefix("minift.").replace(".", "/"))
assert set(ORDER) == set(files), set(ORDER) ^ set(files)

sizes = {name: len(files[name].splitlines()) for name in ORDER}
print("lines minutes")
for name, size in sizes.items():
    gives = ast.get_docstring(ast.parse(files[name])).splitlines()[0]
    print(f"{size:>5}{size / LINES_PER_MINUTE:>6.0f}   {name + '.py':<23}{gives}")
total = sum(sizes.values())
print(f"{total:>5}{total / LINES_PER_MINUTE:>6.0f}   all of it")

# %% tags=["hide"]
measured(heart_files=len(files), heart_lines=total, heart_minutes=total / LINES_PER_MINUTE)

# %% [markdown]
# 11<!-- measured: heart_files --> files, 1,226<!-- measured: heart_lines 1,150 to 1,250 --> lines: at 20 lines
# a minute an hour, 61<!-- measured: heart_minutes 57 to 63 --> minutes. Read them in this order.
#
# - **The model.** `config` names the sizes; skim its checks. In `packing` look at the picture at the top,
#   then at `Layout.pad`: texts of different lengths lie end to end. `encoder` reads from top to
#   bottom, from ids to vectors, each class a few lines; [01](../01_bert_from_scratch/tutorial.ipynb) does the same sums by hand.
#   `heads` turn vectors into answers, and `names` tells to which layer a parameter belongs.
# - **The loop.** `batches` and `schedules` are short. In `loop` read `Recipe` first: its fields are the
#   questions above. Then `Training`, from `begin_epoch` to `end_epoch`; `state` and `load` are for
#   runs that were killed, and can wait. This is the whole loop:
#
# ```python minift/training/loop.py:Training.__iter__
#         while not self.history.stopped:
#             self.begin_epoch()
#             batches = shuffled(self.items, self.settings.batch_size, self.order)
#             for group in batches[self.done :]:
#                 self.take_step(group)
#                 yield None
#             yield self.end_epoch()
# ```
#
# - **A method.** `bitfit` is one function. Any other file of
#   [methods/](../../minift/methods) can be read in its place.
#
# ## 6. How to read a module
#
# Take [bitfit.py](../../minift/methods/bitfit.py). Its first lines are a contract, as in every module:
#
# ```python minift/methods/bitfit.py
# """BitFit: train the bias vectors and the task head, freeze everything else.
# ...
# Paper    Ben Zaken, Goldberg & Ravfogel (2022), "BitFit: Simple Parameter-efficient Fine-tuning
# ...
# Differs  - A term is matched by its whole name. The authors' code matches substrings, so that
# ...
# Proof    tests/methods/test_bitfit.py
# ```
#
# - **Claim**: what the module promises. Read this first.
# - **Paper**: where the idea comes from.
# - **Differs**: each place where the code does not do what the paper, or its authors' code, does.
# - **Proof**: the tests. A test's name is a sentence that would be false if the code were wrong.
#
# Then comes one function that fills a slot. This is all that BitFit *does*:
#
# ```python minift/methods/bitfit.py:bitfit.trainable
#         return [name for name, suffix in suffixes.items() if suffix is None or suffix in wanted]
# ```
#
# It names the parameters that learn; [the loop](../../minift/training/loop.py) does the rest. Try it: how
# much of `mini` does BitFit train?

# %%
names = minift.recipe("bitfit").trainable(tuned.model)
numbers = {name: parameter.numel() for name, parameter in tuned.model.named_parameters()}
learning, all_of_them = sum(numbers[name] for name in names), sum(numbers.values())
print(f"{learning:,} of {all_of_them:,}, for example {names[0]}")

# %% tags=["hide"]
measured(share=learning / all_of_them)

# %% [markdown]
# 0.08 %<!-- measured: share 0.05 to 0.1 --> of them.
#
# ## 7. How to read these pages
#
# Each begins with a claim and ends with its limits, a summary and three questions. A question comes
# first, then an experiment, then what it shows and what it does not. **Your turn** marks a cell to fill
# in: replace the `...` and run it, and the check says in one sentence what came and what was expected.
# Hint and solution are folded away below it, and the page goes on without you if you skip it.
#
# Every number in the text was measured by a cell of the page, and a check compares the two. Code that
# is quoted from the library is compared with the library. Machinery, such as imports and plots, is
# folded away.
#
# To try things, open the notebook in Jupyter, change a line and run it again. Each page has a line
# `DATA = "reviews"  # or "sst2", with ENCODER = "minilm"`: with the second pair you repeat it on real
# film reviews and a better encoder (both must be fetched once; [this page](../../minift/runs/README.md) says how).
# The figures in the texts are those of the first pair.
#
# ## 8. Something to play with
#
# 100 labels were for the argument. The package has 1,360<!-- measured: all_labels -->, and a head on
# all of them is solved in seconds. Put your own sentences into the list and run the cell again.

# %%
judge, scores = minift.train(replace(data, dev=()), ENCODER, "head", seeds=0)
mine = [
    "A joy from start to finish.",
    "I want my money back.",
    "It broke on the second day.",
    "Not bad at all.",
    "My grandmother has used hers every day for ten years.",
    "We left before the dessert came.",
]
answers = list(minift.predict(judge, mine))
for answer in answers:
    print(f"{answer['label']:<9} {max(answer['scores'].values()):.2f}  {answer['text']}")

# %% tags=["hide"]
said = ["positive", "negative", "negative", "positive", "positive", "negative"]
right = sum(answer["label"] == label for answer, label in zip(answers, said))
surest = [a for a in minift.predict(judge, data.test) if max(a["scores"].values()) >= 0.9]
gold = {example.id: example.label for example in data.test}
measured(all_labels=len(data.train), all_head=scores["test"], right=right)
measured(
    sure_share=len(surest) / len(data.test),
    sure_right=sum(a["label"] == gold[a["id"]] for a in surest) / len(surest),
)

# %% [markdown]
# Of these six answers 5<!-- measured: right --> are right, the one about the money among them, and of the
# test texts 77 %<!-- measured: all_head 74 to 79 -->. The last sentence is the hard one. No word of it is a
# complaint; you have to know what it means to leave before the dessert.
#
# The number beside an answer is worth something, too. Of the test texts, the model gives
# 33 %<!-- measured: sure_share 10 to 60 --> a probability of at least 0.9<!-- given -->, and of these
# 96 %<!-- measured: sure_right 80 to 99 --> are right.
#
# **Your turn.** Which answers would you act on, and which would you show to a person first?


# %%
def sure(answers, least):
    """Return the texts of the answers whose label has a probability of `least` or more.

    An answer is a dict: {"text": "...", "label": "positive", "scores": {"negative": 0.1,
    "positive": 0.9}}; the label is the one with the largest score.
    """
    ...


check("00.sure", sure)

# %% [markdown]
# <details><summary>Hint</summary>
#
# The probability of an answer's label is `answer["scores"][answer["label"]]`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def sure(answers, least):
#     return [a["text"] for a in answers if a["scores"][a["label"]] >= least]
# ```
#
# </details>
#
# The same encoder can learn to find names. The package has 501 sentences of invented news in which
# somebody marked persons (PER), places (LOC), organisations (ORG) and other names (MISC). `bitfit`
# trains the biases alone, as in section 6.

# %%
news = replace(minift.load_dataset("news"), dev=())
bitfit = minift.recipe("bitfit", "mini")
settings = replace(bitfit.settings, epochs=6, min_steps=0)
tagger, found = minift.train(news, "mini", bitfit, seeds=0, settings=settings)
paragraph = (
    "Marie Curie was born in Warsaw and moved to Paris, where she met Pierre Curie. "
    "A century later Siemens opened a factory in Leipzig, said its director Anna Weber, "
    "and on Monday the mayor of Lisbon, Rita Carvalho, opened a library in the north of Portugal."
)
(answer,) = minift.predict(tagger, [paragraph])
for entity in answer["entities"][:3]:
    print({key: entity[key] for key in ("start", "end", "type", "text")})

# %% [markdown]
# **Your turn.** That is hard to read. Write what shows the entities in their text.


# %%
def mark(text, entities):
    """Return the text with each entity in brackets, its type behind it.

    mark("Ada met Charles.", [{"start": 0, "end": 3, "type": "PER"}]) is "[Ada PER] met Charles."
    `end` is the place after the entity's last letter. The entities may come in any order.
    """
    ...


check("00.mark", mark)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Every bracket makes the text longer, so that the places behind it no longer fit. If you begin with the
# last entity, there is nothing behind it that you still need.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def mark(text, entities):
#     for e in sorted(entities, key=lambda e: -e["start"]):
#         inside = text[e["start"] : e["end"]]
#         text = text[: e["start"]] + f"[{inside} {e['type']}]" + text[e["end"] :]
#     return text
# ```
#
# </details>

# %%
print(yours("00.mark")(paragraph, answer["entities"]).replace(". ", ".\n").replace("r, ", "r,\n"))

# %% tags=["hide"]
kinds = {e["text"]: e["type"] for e in answer["entities"]}
people = ("Marie Curie", "Pierre Curie", "Anna Weber", "Rita Carvalho")
measured(people=sum(kinds.get(name) == "PER" for name in people), tagged=found["test"])

# %% [markdown]
# All 4<!-- measured: people --> persons are found, though none of them stands in the sentences that it
# learned from. It is far from perfect: it takes "north" for a place, and on the test sentences its entity
# F1 is 0.52<!-- measured: tagged 0.46 to 0.58 -->. What such a figure means is the subject of
# [09](../09_entities/tutorial.ipynb).
#
# ## Limits
#
# - `mini` is half of a small BERT. It makes these pages quick; MiniLM, of which it is a part, knows
#   more. Its [card](../../minift/encoders/mini/README.md) says what it is worth.
# - The reviews were [written for this package](../../minift/data/sets/README.md) and describe nothing real.
# - Three runs tell guessing from learning. They do not rank methods.
# - It cannot fill a gap in a sentence: `mini` is cut from an encoder that was made to compare texts.
#
# ## Summary
#
# - Fine-tuning is one call, and 100 labels are enough to leave guessing behind.
# - One run says little: look at several, beside a baseline that learns nothing.
# - One loop, five questions; a method answers one of them, and methods combine.
# - A module's first lines say what it claims, where it differs from its paper, and what proves it.
#
# ## Questions
#
# 1. Somebody shows you a classifier that is right on 90 of 100 texts. What do you ask first?
#
# <details><summary>Answer</summary>
#
# How often the most frequent label occurs. If 90 of the 100 texts have it, a program that always gives
# that label is as good.
#
# </details>
#
# 2. `bitfit` and `adaptive` can be combined. Why, and which pairs of methods cannot?
#
# <details><summary>Answer</summary>
#
# They answer different questions: which parameters learn, and how fast and until when. Two methods that
# answer the same question, such as `bitfit` and `freeze:1`, would both fill the same slot.
#
# </details>
#
# 3. Why does this page train the head on 100 labels three times, and on 1,360 only once?
#
# <details><summary>Answer</summary>
#
# With 100 labels it matters which were drawn, and three draws show by how much. With all of them there
# is nothing to draw, and a head that is solved has no random start either: a second run would be the
# same.
#
# </details>
#
# ## Further reading
#
# - Devlin, Chang, Lee, Toutanova (2019), [BERT: Pre-training of Deep Bidirectional Transformers for
#   Language Understanding](https://arxiv.org/abs/1810.04805)
# - Ben Zaken, Goldberg, Ravfogel (2022), [BitFit: Simple Parameter-efficient Fine-tuning for
#   Transformer-based Masked Language-models](https://arxiv.org/abs/2106.10199)
# - Alammar (2018), [The Illustrated Transformer](https://jalammar.github.io/illustrated-transformer/):
#   pictures of what page 01 computes
