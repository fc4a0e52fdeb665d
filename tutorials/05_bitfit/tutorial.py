# %% [markdown]
# # 05 · BitFit, and why the key bias never learns
#
# **Claim.** A pretrained BERT can be turned to a task by moving nothing but its bias vectors, less
# than a thousandth of the weights. Whether that beats moving nothing is another matter: on this
# page it does not. And one bias in eight cannot learn at all: softmax does not see it. You will
# check that on paper, in the gradients, and after training.
#
# **Paper.** Ben Zaken, Goldberg and Ravfogel (2022), *BitFit: Simple Parameter-efficient
# Fine-tuning for Transformer-based Masked Language-models*.
#
# **Time.** 25 minutes to read, 1 minute to run on two cores.
#
# **Before this.** [03, Few labels](../03_few_labels_and_variance/tutorial.ipynb), for what an
# accuracy from three seeds is worth; section 4 of [01, BERT from
# scratch](../01_bert_from_scratch/tutorial.ipynb), for attention.
#
# The question of this page: you have one encoder and twenty tasks. Must you keep twenty encoders?
# If what a task changes is small enough to be mailed, one encoder and twenty small files will do.

# %%
import copy
import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from safetensors.torch import load_file, save_file

import minift
from minift import Seeds
from minift.bert.counts import by_kind, what_learns
from minift.bert.encoder import Attention
from minift.bert.packing import Layout
from minift.compare.bag_of_words import fit_bag_of_words
from minift.methods.bitfit import TERMS, bitfit
from minift.runs.train import subset
from minift.runs.tuned import build
from minift.training.loop import cross_entropy, everything, select

sys.path.append("..")
from shared import GREY, ORANGE, RED, dots, mean_sd, measured  # publishes numbers; a plot

DATA = "reviews"  # or "sst2", with ENCODER = "minilm"
ENCODER = "mini"
LABELS, SEEDS = 100, range(3)

data = replace(minift.load_dataset(DATA), dev=())  # nothing here is chosen by a validation split
base, _ = minift.load_encoder(ENCODER)  # stays as pretraining left it

# %% [markdown]
# ## 1. The idea
#
# Nearly everything in BERT is a matrix product and a bias:
#
# ```
# y = W x + b        x: (in,)   W: (out, in)   b, y: (out,)
# ```
#
# *W* says which features to combine, *b* from where on they count. BitFit keeps every *W* and
# trains every *b*, and the new classifier on top, which nobody has trained yet. The guess behind
# it: the features that a task needs are there already, and need only be brought to the fore.
#
# A layer has eight biases. This table is the library's; the symbols in its comments are the paper's.
#
# ```python minift/methods/bitfit.py:TERMS
#     "query": "attention.query.bias",  # b_q
#     "key": "attention.key.bias",  # b_k
#     "value": "attention.value.bias",  # b_v
#     "attention_output": "attention.output.bias",  # b_m1
#     "attention_norm": "attention_norm.bias",  # b_LN1
#     "intermediate": "intermediate.bias",  # b_m2
#     "output": "output.bias",  # b_m3
#     "output_norm": "output_norm.bias",  # b_LN2
# ```

# %%
LAYER_TERMS = list(TERMS)[:8]  # the other two stand outside the layers
shapes = {name: p.shape for name, p in base.named_parameters()}
for term in LAYER_TERMS:
    print(f"{term:<17}{shapes[f'layers.0.{TERMS[term]}'].numel():>4} numbers in each layer")

# %% [markdown]
# Two more stand outside the layers: that of the embeddings' LayerNorm, and that of the pooler where
# the head reads through one; the head used here reads the mean over the tokens instead. The
# method is the question "which names?", and its answer is a list:
#
# ```python minift/methods/bitfit.py:bitfit
#     def trainable(model: nn.Module, epoch: int = 1) -> list[str]:
#         suffixes = {name: encoder_suffix(name) for name, _ in model.named_parameters()}
#         biases = {suffix for suffix in suffixes.values() if suffix and suffix.endswith("bias")}
# ...
#         wanted = biases if terms is None else {TERMS[term] for term in terms}
# ...
#         return [name for name, suffix in suffixes.items() if suffix is None or suffix in wanted]
# ```
#
# (`None` is the suffix of what belongs to the head.) How much is that? Counting needs shapes only,
# so BERT-base can be counted without loading it.

# %%
with torch.device("meta"):  # shapes without numbers
    bert_base = minift.SequenceClassifier(minift.BertConfig(labels=("negative", "positive")))
ours = build(data, ENCODER, Seeds.all(0)).model
tables = {
    name: what_learns(model, bitfit()(model), division=by_kind)
    for name, model in ((ENCODER, ours), ("bert-base-uncased", bert_base))
}
for name, rows in tables.items():
    print(name, *rows.values(), sep="\n", end="\n\n")


def share_of_encoder(rows):
    """Return the biases' share of all scalars of the encoder, which is all but the head."""
    return rows["biases"].learning / (rows["all"].elements - rows["head"].elements)


measured(
    share_mini=share_of_encoder(tables[ENCODER]),
    share_base=share_of_encoder(tables["bert-base-uncased"]),
    base_biases=tables["bert-base-uncased"]["biases"].learning,
    embeddings=tables[ENCODER]["embeddings"].elements
    / sum(p.numel() for p in ours.bert.parameters()),
)

# %% [markdown]
# BERT-base has 102,912<!-- measured: base_biases --> scalars in biases, which is
# 0.094 %<!-- measured: share_base --> of it. Of `mini` it is
# 0.076 %<!-- measured: share_mini -->: a narrower matrix is smaller beside its bias, but `mini` has
# only three layers, so the embeddings, which have no bias but that of their LayerNorm, are
# 69 %<!-- measured: embeddings --> of its encoder.
#
# ## 2. Three tokens: what a bias of the keys does
#
# In attention, token *i* scores token *j* by qᵢ · kⱼ / √d, and softmax turns the scores of one row
# into shares. Both q and k have a bias. They look alike, but they are not:
#
# ```
# bias on the key:     qᵢ · (kⱼ + b)  =  qᵢ · kⱼ  +  qᵢ · b      the same extra for every j
# bias on the query:   (qᵢ + b) · kⱼ  =  qᵢ · kⱼ  +  b · kⱼ      another extra for every j
# ```
#
# And softmax does not notice what is added to a whole row:
#
# ```
# exp(s₁ + c) / (exp(s₁ + c) + exp(s₂ + c) + ...)  =  exp(s₁) / (exp(s₁) + exp(s₂) + ...)
# ```
#
# Take the example of page 01: one token's scores for three tokens are ln 1, ln 2, ln 3, so its
# shares are 1/6, 2/6, 3/6. The values are 0, 42, 42, so its output is 42 · 5/6.
#
# - A key bias that adds ln 10 to every score: shares 10/60, 20/60, 30/60. Nothing happened.
# - A query bias that doubles every score: ln 1, ln 4, ln 9, shares 1/14, 4/14, 9/14, and the output
#   is 42 · 13/14.
#
# So on paper: 35, 35 and 39. Now the library, with weights set by hand.

# %%
tokens = torch.tensor([[math.log(1), 0.0], [math.log(2), 42.0], [math.log(3), 42.0]])
layout = Layout.of([3])
small = Attention(replace(base.config, hidden_size=2, num_attention_heads=1)).eval()
with torch.no_grad():
    for linear in (small.query, small.key, small.value, small.output):
        linear.weight.copy_(torch.eye(2))
        linear.bias.zero_()
    small.query.weight.zero_()
    small.query.bias.copy_(torch.tensor([math.sqrt(2), 0.0]))  # every query is (√2, 0), and √d = √2
    small.value.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))  # a value: the second number
small = small.double()


def output(key_bias=0.0, query_times=1):
    """Return what the first token takes home."""
    with torch.no_grad():
        small.key.bias[0], small.query.bias[0] = key_bias, query_times * math.sqrt(2)
    return small(tokens.double(), layout, None)[0, 1]


plain, key, query = output(), output(key_bias=math.log(10)), output(query_times=2)
measured(toy=plain.item(), toy_key=key.item(), toy_query=query.item())

# %% [markdown]
# Without either 35<!-- measured: toy -->, with the key bias 35<!-- measured: toy_key -->, with the
# query bias 39<!-- measured: toy_query -->. What cannot change the output has no gradient. Is
# softmax the reason? The control replaces it by a sigmoid of each score, which sees a score by
# itself.


# %%
def gradients(share):
    """Return |d output / d bias| of the three tokens for both biases, in plain arithmetic."""
    key_bias = torch.zeros(2, dtype=torch.double, requires_grad=True)
    query_bias = torch.zeros(2, dtype=torch.double, requires_grad=True)
    q = torch.tensor([math.sqrt(2), 0.0], dtype=torch.double) + query_bias
    scores = (tokens.double() + key_bias) @ q / math.sqrt(2)
    (share(scores) @ tokens.double()[:, 1]).backward()
    return query_bias.grad.abs().max().item(), key_bias.grad.abs().max().item()


for name, share in (("softmax", lambda s: s.softmax(0)), ("sigmoid", torch.sigmoid)):
    print("{}: query bias {:.4f}, key bias {:.4f}".format(name, *gradients(share)))
measured(
    key_softmax=round(gradients(lambda s: s.softmax(0))[1], 12),
    key_sigmoid=gradients(torch.sigmoid)[1],
)

# %% [markdown]
# Under softmax the key bias has the gradient 0<!-- measured: key_softmax -->; under a sigmoid it
# has 15 to 25<!-- measured: key_sigmoid -->, and could learn. So it is softmax, not some accident
# of our numbers.
#
# ## 3. The same in BERT
#
# One batch of 16 labelled reviews, the whole network in double precision, one backward pass. For
# each kind of bias, the largest gradient in any layer.

# %%
tuned = build(data, ENCODER, Seeds.all(0))
examples = subset(data.train, 16, 0)
items = minift.make_items(examples, tuned.tokenizer, data.task, data.labels)
model = tuned.model.double().eval()
parameters = select(model, everything)
cross_entropy(model, minift.make_batch(items)).mean().backward()


def of_term(name):
    """Name the parameters of one term: one per layer."""
    depth = range(base.config.num_hidden_layers)
    return [f"bert.layers.{layer}.{TERMS[name]}" for layer in depth]


largest = {t: max(parameters[n].grad.abs().max().item() for n in of_term(t)) for t in LAYER_TERMS}
for term, value in largest.items():
    print(f"{term:<17}{value:.0e}")
measured(orders=math.log10(largest["query"] / largest["key"]))

# %% [markdown]
# The key bias stays 12 to 18<!-- measured: orders --> orders of magnitude below the query bias:
# what is left is the rounding of a double. Dropout on the shares does not change that, for it comes
# after softmax, nor does the mask of a shorter text.
#
# A word on cost. The gradient of a bias is the sum of the gradients of its outputs, without the
# inputs, so BitFit saves the products that give the gradients of the matrices, and Adam's two
# numbers for each of their weights. It does not save the way down: the lowest biases get their
# gradient through all layers above.
#
# ## 4. Fine-tuning: against what?
#
# Four ways to spend 100 labels, three seeds, the same draws for all. The rates are those that the
# library gives for this encoder: few weights need large steps.
#
# - `head`: only the classifier learns. The encoder is frozen, so each review is one vector that
#   never changes, and the best classifier on these vectors can be *solved*, to the optimum: no
#   rate, no epochs, and a second or two per run. What BitFit gains over it is the biases' gain.
# - `bitfit`: trained for 14 epochs, as are the next two.
# - `random-scalars`: as many scalars of the encoder as BitFit moves, drawn at random, at BitFit's
#   rate. The negative control: is there anything special about biases?
# - `full`: everything learns.

# %%
METHODS = ("head", "bitfit", "random-scalars", "full")


def run(method, seed):
    """Fine-tune once; return the model, and its test accuracy."""
    recipe = minift.recipe(method, ENCODER)
    settings = replace(recipe.settings, epochs=14)  # where something is trained in steps
    tuned, result = minift.train(
        data, ENCODER, recipe, labels=LABELS, seeds=Seeds.all(seed), settings=settings
    )
    return tuned, result["test"]


runs = {method: [run(method, seed) for seed in SEEDS] for method in METHODS}
accuracy = {method: [score for _, score in found] for method, found in runs.items()}

# %% alt="Dot plot of test accuracy with 100 labels for bag of words, head, BitFit, random scalars and full fine-tuning, three dots per row, and ten for the bag of words. Every run that uses BERT lies to the right of every bag of words. The four ways of using BERT overlap; the head alone has the highest mean and the smallest spread."
words = [
    fit_bag_of_words(subset(data.train, LABELS, seed), data.labels).accuracy(data.test)
    for seed in range(10)
]
most = max(sum(e.label == label for e in data.test) for label in data.labels) / len(data.test)
rows = {
    "bag of words": words,
    "head only": accuracy["head"],
    "BitFit": accuracy["bitfit"],
    "as many at random": accuracy["random-scalars"],
    "full": accuracy["full"],
}
figure, axes = plt.subplots(figsize=(5.8, 2.4))
dots(axes, rows, {"bag of words": ORANGE, "as many at random": GREY})
axes.axvline(most, color=GREY, linestyle="--", linewidth=1)
axes.set_xlabel(f"test accuracy with {LABELS} labels (dashed: guessing; mean ± sd)")
plt.show()


def difference(ours, others):
    """Return mean and sd of the differences on the same draws, seed by seed."""
    return mean_sd([a - b for a, b in zip(ours, others)])


lead = {method: difference(accuracy[method], words) for method in METHODS}
gain = {o: difference(accuracy["bitfit"], accuracy[o]) for o in METHODS if o != "bitfit"}
for method, (mean, sd) in lead.items():
    print(f"{method:<15}minus bag of words   {mean:+.3f} ± {sd:.3f} (same draws, seed by seed)")
for other, (mean, sd) in gain.items():
    print(f"bitfit         minus {other:<15}{mean:+.3f} ± {sd:.3f}")
texts = minift.make_items(subset(data.train, LABELS, 0), tuned.tokenizer, data.task, data.labels)
pieces = {piece for item in texts for piece in item.input_ids}
measured(
    head=mean_sd(accuracy["head"])[0],
    bitfit=mean_sd(accuracy["bitfit"])[0],
    random=mean_sd(accuracy["random-scalars"])[0],
    full=mean_sd(accuracy["full"])[0],
    words=mean_sd(words)[0],
    random_lead=lead["random-scalars"][0],
    over_head=gain["head"][0],
    over_random=gain["random-scalars"][0],
    over_full=gain["full"][0],
    pieces_seen=len(pieces) / base.config.vocab_size,
)

# %% [markdown]
# What this shows: with 100 labels, pretrained weights help, whichever way they are used. The head
# alone gets 69 to 73 %<!-- measured: head -->, BitFit 67 to 72 %<!-- measured: bitfit --> and full
# fine-tuning 65 to 71 %<!-- measured: full -->, against 55 to 62 %<!-- measured: words --> for the
# bag of words, and each of their runs is above each bag of words. The biases are enough for that,
# and they are less than a thousandth of the weights.
#
# What does *not* help here: letting the encoder learn. Seed by seed, BitFit minus the head alone is
# −0.04 to 0.02<!-- measured: over_head -->, so the biases gained nothing, and the head was solved
# where BitFit took a hundred steps. `mini` is cut from an encoder that was trained to put the
# meaning of a sentence into the mean over its tokens, and what these reviews need can be read off
# there as it is.
#
# What it does *not* show: that BitFit is better than full fine-tuning. The difference is
# 0.00 to 0.04<!-- measured: over_full -->, a handful of the 400 test reviews, from three seeds, and
# neither rate nor length was searched for these reviews.
#
# Nor does it show that *biases* are the right scalars to move. BitFit minus as many random scalars
# is −0.03 to 0.05<!-- measured: over_random -->, less than the spread printed beside it. And this
# control is handicapped: 69 %<!-- measured: embeddings --> of the scalars it draws from are
# embeddings, and the 100 reviews use only 2 to 5 %<!-- measured: pieces_seen --> of the word
# pieces, so most of what it drew never got a gradient. Still it is
# 0.04 to 0.15<!-- measured: random_lead --> ahead of the bag of words.
#
# ## 5. Which biases moved, and which mattered?
#
# The three BitFit models are still there. For each kind of bias two questions: how far did it move
# from its pretrained value (mean |Δ| over its numbers)? And what happens to the answers if that
# bias alone is put back (mean |Δ logit| over 64 test texts, in double precision)?

# %% alt="Two dot plots, a row for each of the eight biases. Left: how far the bias moved in training, on a logarithmic scale; the key bias moved too, but a few hundred times less. Right: the change of the logits when the bias is put back; the key bias lies more than ten orders of magnitude to the left of all others."
fresh = dict(base.named_parameters())
items = minift.make_items(data.test[:64], tuned.tokenizer, data.task, data.labels)
moved, mattered = {t: [] for t in LAYER_TERMS}, {t: [] for t in LAYER_TERMS}
for model in (copy.deepcopy(tuned.model).double() for tuned, _ in runs["bitfit"]):
    parameters = dict(model.named_parameters())

    def logits(model=model):
        packed = minift.make_batch(items).packed
        with torch.no_grad():
            return model(packed)

    before = logits()
    for term in LAYER_TERMS:
        names = of_term(term)
        learned = {name: parameters[name].detach().clone() for name in names}
        for name in names:
            parameters[name].data.copy_(fresh[name.removeprefix("bert.")].data)
        change = torch.cat([learned[name] - parameters[name].data for name in names])
        moved[term].append(change.abs().mean().item())
        mattered[term].append((logits() - before).abs().mean().item())
        for name in names:
            parameters[name].data.copy_(learned[name])

figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.9), sharey=True)
dots(left, moved, {"key": RED}, numbers="")
dots(right, mattered, {"key": RED}, numbers="")
left.set(xscale="log", xlabel="moved by (mean |Δ|)")
right.set(xscale="log", xlabel="logits change without it")
plt.show()
for term in LAYER_TERMS:
    print(
        "{:<17}moved {:.1e} ± {:.0e}   mattered {:.1e} ± {:.0e}".format(
            term, *mean_sd(moved[term]), *mean_sd(mattered[term])
        )
    )
measured(
    key_moved=mean_sd(moved["key"])[0] / mean_sd(moved["query"])[0],
    key_orders=math.log10(mean_sd(mattered["query"])[0] / mean_sd(mattered["key"])[0]),
)

# %% [markdown]
# Seven of the eight biases moved and matter. The key bias is the negative control that mathematics
# provides: its effect lies 12 to 16<!-- measured: key_orders --> orders of magnitude below that of
# the query bias, at the rounding error of a double.
#
# But it did move, by 0.05 to 1 %<!-- measured: key_moved --> of what the query bias moved. How,
# without a gradient? Training runs in single precision, where the gradient of the key bias is not 0
# but rounding noise, below a billionth. Gradient descent would ignore that. Adam divides each
# gradient by its own usual size, and takes steps for noise as for news; only its ε of 1e-8 holds it
# back. So "this parameter moved" is not evidence that it learned. Putting it back and looking at
# the answers is.
#
# Nor does the distance say how much a bias matters: of the other seven, that of the query moved
# furthest and matters least.
#
# What it does *not* show: that the term furthest to the right is the important one. Each was put
# back alone, with the others trained to work beside it, and without the query's the other six lie
# within a factor of two.
#
# ## 6. What fits in a mail
#
# A *delta file* holds the head and every tensor that differs from the pretrained encoder. Loaded
# onto a fresh copy of that encoder it must give the fine-tuned model, to the bit.

# %%
tuned, _ = runs["bitfit"][0]
pretrained = {f"bert.{name}": p.detach() for name, p in base.named_parameters()}
changed = {
    name: p.detach()
    for name, p in tuned.model.named_parameters()
    if name not in pretrained or not torch.equal(p, pretrained[name])
}
with tempfile.TemporaryDirectory() as folder:
    file, checkpoint = Path(folder, "delta.safetensors"), Path(folder, "whole")
    save_file(changed, file)
    minift.save_pretrained(tuned.model, tuned.tokenizer, checkpoint)
    delta = file.stat().st_size
    whole = sum(part.stat().st_size for part in checkpoint.rglob("*.safetensors"))

    again = build(data, ENCODER, Seeds.all(99)).model.eval()  # a fresh encoder, another head
    again.load_state_dict(load_file(file), strict=False)
    pairs = zip(tuned.model.parameters(), again.parameters())
    print("every bit as before:", all(torch.equal(a, b) for a, b in pairs))
measured(delta_bytes=delta, whole_bytes=whole, ratio=whole / delta)

# %% [markdown]
# The whole model is 900 to 1,300<!-- measured: ratio --> times as large as the file, which says
# nothing of the encoder that it belongs to: who keeps many writes that down beside each.
# BERT-base with two classes would be about 420 kB beside 438 MB: four bytes for each of its biases
# and its head.
#
# A delta file can hold what any method changed; `head` would leave an even smaller one. What BitFit
# adds to that is that the encoder takes part, which these reviews did not need.
#
# ## Limits
#
# - Three seeds and one small encoder. What section 4 leaves open, three seeds cannot close: `minift
#   compare` with more seeds on your own data can.
# - The rates were not searched for these labels.
# - 14 epochs, about a hundred steps, for all that is trained in steps. Few weights may need more
#   steps than many; the library's own recipes have a floor of 200 steps, which is switched off here
#   to save time. The solved head has no such limit, which speaks for it.
# - The control opens scalars of the embeddings, most of which 100 reviews never touch (section 4).
#   A control that leaves the embeddings out is `random-rows`; it was not run here.
# - That the key bias does nothing holds for softmax over plain products. Rotary positions, or
#   attention without softmax, are another matter.
#
# ## Where this differs from the paper
#
# - The paper trains BERT-base, BERT-large and RoBERTa on GLUE, on thousands of labels per task and
#   more, with a rate searched for each. Nothing on this page speaks for or against its figures.
# - A term here is matched by its whole name. The authors' code matches a part of the name, so that
#   asking for `output` trains `attention_output` as well.
# - A subset (`bitfit:query,intermediate`) trains these biases and the head; the authors' code adds
#   the pooler's bias.
# - The random control draws uniformly from all scalars of the encoder; that of the authors gives
#   tensors below about a thousand elements none.
# - Training follows a linear schedule here; the authors keep the rate constant.
#
# ## Further reading
#
# - Ben Zaken, Goldberg, Ravfogel (2022), [BitFit: Simple Parameter-efficient Fine-tuning for
#   Transformer-based Masked Language-models](https://arxiv.org/abs/2106.10199)
# - Cordonnier, Loukas, Jaggi (2020), [Multi-Head Attention: Collaborate Instead of
#   Concatenate](https://arxiv.org/abs/2006.16362), which takes the biases of attention apart
# - Houlsby et al. (2019), [Parameter-Efficient Transfer Learning for
#   NLP](https://arxiv.org/abs/1902.00751): adapters
# - Hu et al. (2021), [LoRA: Low-Rank Adaptation of Large Language
#   Models](https://arxiv.org/abs/2106.09685)
# - Guo, Rush, Kim (2021), [Parameter-Efficient Transfer Learning with Diff
#   Pruning](https://arxiv.org/abs/2012.07463)
#
# **Assignment.** [BitFit: which numbers learn](assignment.md)
