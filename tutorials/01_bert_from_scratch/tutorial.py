# %% [markdown]
# # 01 · BERT from scratch: tokens to logits
#
# **Claim.** BERT is about forty lines of arithmetic. You will write the heart of it, attention and the
# layer, put them into the library's encoder, and get the numbers that Hugging Face gets, to the last
# digits of a double.
#
# **Paper.** Devlin, Chang, Lee and Toutanova (2019), *BERT: Pre-training of Deep Bidirectional
# Transformers for Language Understanding*; the layer is that of Vaswani et al. (2017), *Attention
# Is All You Need*.
#
# **Time.** 30 minutes to read, 1 minute to run on two cores.
#
# **Before this.** [00, Start here](../00_start_here/tutorial.ipynb). You should know what a matrix
# product and a softmax are.
#
# The question of this page: what happens to a sentence between the keyboard and the two numbers
# that say *negative* and *positive*? We follow one review through every step. At each step we do
# the arithmetic ourselves and compare it with the library.

# %% tags=["hide"]
import copy
import math
import sys
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import torch.nn.functional as F  # noqa: F401  (for you: F.gelu)
from torch import nn

from minift.bert.encoder import Attention
from minift.bert.packing import Layout
from minift.checkpoints.hub import resolve
from minift.checkpoints.weights import random_model

sys.path.append("..")
import drawings
from shared import GREEN, dots, measured  # publishes numbers; a dot plot
from swap import use
from turns import check, yours

# %%
import torch

import minift

DATA = "reviews"  # or "sst2", with ENCODER = "minilm"
ENCODER = "tiny"  # shipped with the library: 3 layers, 192 wide, 6 heads

reviews = minift.load_dataset(DATA)
tokenizer = minift.load_tokenizer(ENCODER)

# %% [markdown]
# ## 1. From text to numbers
#
# BERT does not read words. It reads *word pieces*: frequent words are one piece, rare ones are cut
# into several, and `##` marks a piece that continues a word. Two special tokens frame the text:
# `[CLS]`, whose vector will stand for the whole sentence, and `[SEP]`.

# %%
text = "The soundtrack was unforgettable, the dialogue was not."
encoding = tokenizer.encode([text])[0]
for token, number in zip(tokenizer.tokens(encoding.input_ids), encoding.input_ids):
    print(f"{number:>6}  {token}")

# %% [markdown]
# An id is nothing but a row number in a table of vectors. The table has as many rows as the
# vocabulary has pieces.

# %%
bert, _ = minift.load_encoder(ENCODER)
bert = bert.double()  # double precision, so that differences mean something
config = bert.config
print(config.num_hidden_layers, "layers,", config.hidden_size, "wide,", end=" ")
print(config.num_attention_heads, "heads,", config.vocab_size, "word pieces")

# %% tags=["hide"]
measured(pieces=len(encoding.input_ids), parameters=sum(p.numel() for p in bert.parameters()))

# %% [markdown]
# ## 2. Sentences of different lengths
#
# Texts come in batches, and texts differ in length. The usual answer is *padding*: make every row
# as long as the longest, fill up with `[PAD]`, and compute the filler along with the rest. minift
# does not. It lays the real tokens end to end, as one run, and remembers where each text starts:
#
# ```
# input_ids    a a a b c c          (tokens,)
# cu_seqlens   0     3 4   6        (sequences + 1,)
# ```
#
# Every step of BERT but one works on a token at a time, and does not care whose neighbour it is.
# The one exception is attention.
#
# **Your turn.** Where does each text start, if you are told how long each is?


# %%
def starts(lengths):
    """Return where each text starts in the run of tokens, and the end: [3, 1, 2] -> [0, 3, 4, 6]."""
    ...


check("01.starts", starts)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Keep a running sum, and write it down before you add the next length. There is one number more than
# there are texts.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def starts(lengths):
#     found = [0]
#     for length in lengths:
#         found.append(found[-1] + length)
#     return found
# ```
#
# </details>
#
# What does padding cost? Here are sixteen reviews.

# %%
batch_texts = [example.text for example in reviews.train[:16]]
packed = minift.pack([e.input_ids for e in tokenizer.encode(batch_texts)])
print("lengths   ", packed.lengths)
print("cu_seqlens", packed.cu_seqlens.tolist())
print(
    "starts     gives the same:", yours("01.starts")(packed.lengths) == packed.cu_seqlens.tolist()
)

# %% tags=["hide"] alt="Two drawings of the same 16 reviews. Left: a rectangle, one row per review, as wide as the longest; more than half of its squares are grey padding. Right: the same tokens end to end in fewer rows, with no grey at all, and a change of colour where a review begins."
squares, tokens_there = drawings.packed(packed.lengths)
plt.show()

# %% tags=["hide"]
measured(padding=1 - tokens_there / squares)

# %% [markdown]
# Of the rectangle on the left, 52 %<!-- measured: padding 45 to 75 --> is padding. This is what *shows*
# that random batches of short texts waste work; how much time it saves is another question, because
# attention still needs its rectangle, and because sorting texts by length helps padding too.
#
# The whole of this bookkeeping is one class, `Packed`, in
# [packing.py](../../minift/bert/packing.py). The line that lays tokens out as a rectangle is
#
# ```python minift/bert/packing.py:Layout.pad
#     rectangle = rows.new_zeros(shape[0] * shape[1], *rows.shape[1:])
#     return rectangle.index_copy(0, self.slots, rows).view(shape)
# ```

# %% [markdown]
# ## 3. Embeddings: three rows added up
#
# A token's first vector is the sum of three rows: one for the piece, one for its *place* in its own
# text, one for its *segment* (0 for a first text, 1 for a second). Then LayerNorm: subtract the
# mean of the vector, divide by its standard deviation, multiply by a gain, add a bias.


# %%
def layer_norm(x, norm):
    """Normalise each row; `norm` has the gain, the bias, and the epsilon."""
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + norm.eps) * norm.weight + norm.bias


def first_vectors(table, ids):
    """Return (tokens, hidden) of one text: three rows added up, normalised."""
    rows = table.word.weight[ids] + table.position.weight[: len(ids)] + table.segment.weight[0]
    return layer_norm(rows, table.norm)


one = minift.pack([encoding.input_ids])
by_hand = first_vectors(bert.embeddings, one.input_ids)  # (tokens, 192)
difference = (by_hand - bert.embeddings(one)).abs().max().item()
print("largest difference to the library: below 1e-12?", difference < 1e-12)

# %% [markdown]
# ## 4. Attention, small enough to check on paper
#
# In attention each token asks all tokens of its text a question, and takes home a mixture of their
# answers. Token *i* makes a query qᵢ; each token *j* offers a key kⱼ and a value vⱼ:
#
# $$
# s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}}
# $$
#
# $$
# p_{ij} = \frac{\exp s_{ij}}{\sum_m \exp s_{im}}
# $$
#
# $$
# o_i = \sum_j p_{ij} \, v_j
# $$
#
# The score *s* divides by the root of *d*, the width of a head; softmax makes shares *p* of the scores,
# which are positive and add up to 1; and the output *o* is the mixture of the values.
#
# Take three tokens of width 2. The first number of each is ln 1, ln 2, ln 3; the second is 6, 12,
# 24. Choose the weights so that every query is (√2, 0), a key is the token itself, and a value is
# the token's second number. Then the scores are ln 1, ln 2 and ln 3, for everybody. Softmax undoes
# the logarithm: the shares are 1/6, 2/6 and 3/6. So the output should be
#
# ```
# 6 · 1/6 + 12 · 2/6 + 24 · 3/6  =  1 + 4 + 12  =  17
# ```
#
# Do it on paper, then let the library do it.

# %%
tokens = torch.tensor([[math.log(1), 6.0], [math.log(2), 12.0], [math.log(3), 24.0]])
small = Attention(replace(config, hidden_size=2, num_attention_heads=1)).eval()
with torch.no_grad():
    for linear in (small.query, small.key, small.value, small.output):
        linear.weight.copy_(torch.eye(2))
        linear.bias.zero_()
    small.query.weight.zero_()
    small.query.bias.copy_(torch.tensor([math.sqrt(2), 0.0]))
    small.value.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    answer = small(tokens, Layout.of([3]), None)

    # The same tokens as two texts, of two tokens and of one: nobody may look into the other text.
    apart = small(tokens, Layout.of([2, 1]), None)
print("one text of 3 tokens:   ", [f"{x:.3f}" for x in answer[:, 1].tolist()])
print("texts of 2 and 1 tokens:", [f"{x:.3f}" for x in apart[:, 1].tolist()])

# %% tags=["hide"]
measured(toy=answer[0, 1].item(), toy_first=apart[0, 1].item(), toy_second=apart[2, 1].item())

# %% [markdown]
# The output is 17<!-- measured: toy -->, three times. Cut into two texts, the first two tokens share
# 6 · 1/3 + 12 · 2/3 = 10<!-- measured: toy_first -->, and the last, alone, keeps its own
# 24<!-- measured: toy_second -->. If packed texts could see each other, the second line would equal
# the first. That is the test to remember when somebody tells you that padding is skipped.
#
# **Your turn.** Write attention, for a rectangle of texts and all heads at once. Padding is kept out by a
# mask that is *added* to the scores: 0 for a token, −∞ for padding, and exp(−∞) is 0. In training, some
# of the shares are dropped at random; here you only have to hand the shares through `dropout`, a
# function that is given to you. The formulas are at the top of this section.


# %%
def attend(query, key, value, mask, dropout):
    """Let each token gather from all tokens of its text, in each head by itself.

    query: (texts, heads, asking tokens, d); key and value: (texts, heads, tokens, d). `mask` is added
    to the scores, which are (texts, heads, asking tokens, tokens). Returns what `query` has the shape of.
    """
    ...


check("01.attend", attend)

# %% [markdown]
# <details><summary>Hint</summary>
#
# `query @ key.transpose(-1, -2)` has a score for each pair. Then: divide by the root of the width, which
# is `query.shape[-1]`; add the mask; `softmax(-1)`; dropout; and one more product.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def attend(query, key, value, mask, dropout):
#     scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + mask
#     return dropout(scores.softmax(-1)) @ value
# ```
#
# </details>
#
# This is the library's version. It does the same for all heads at once, and asks only for the
# tokens that somebody will read:
#
# ```python minift/bert/encoder.py:Attention.forward
#     query = self.split(self.query(asking), asking_layout)  # (batch, heads, wanted, head_dim)
#     key = self.split(self.key(hidden), layout)  # (batch, heads, tokens, head_dim)
#     value = self.split(self.value(hidden), layout)
#     mask = layout.mask(key)
#     if self.training and self.dropout.probability > 0:
#         scores = query @ key.transpose(-1, -2) / math.sqrt(self.head_dim)
#         scores = scores if mask is None else scores + mask
#         mixed = self.dropout(scores.softmax(dim=-1)) @ value
# ...
#     return self.output(asking_layout.unpad(mixed.transpose(1, 2).flatten(2)))
# ```

# %% [markdown]
# ## 5. The layer, and the whole encoder
#
# A layer is attention, then a small network for each token by itself (widen, bend, narrow). Both
# are *added* to what came in, and the sum is normalised. The bend is GELU, `F.gelu`.

# %% tags=["hide"] alt="An encoder layer from top to bottom: x, one vector per token; attention, in which tokens look at each other; add, then LayerNorm; the feed-forward block, each token by itself: widen, bend by GELU, narrow; add, then LayerNorm; x for the next layer. Beside each block an arrow brings x itself, unchanged, to the sum below it."
drawings.layer()
plt.show()

# %% [markdown]
# **Your turn.** Write what the drawing says. Everything that has weights is handed to you as a function.


# %%
def layer(x, attention, attention_norm, widen, narrow, output_norm):
    """Return x for the next layer.

    x: (tokens, hidden). The others are functions of such rows: `attention` gives what all heads
    gathered, `widen` gives rows four times as wide, and `narrow` takes those back to `hidden`.
    """
    ...


check("01.layer", layer)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Two lines, one for each half of the drawing. Each has the form `norm(x + block(x))`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def layer(x, attention, attention_norm, widen, narrow, output_norm):
#     x = attention_norm(x + attention(x))
#     return output_norm(x + narrow(F.gelu(widen(x))))
# ```
#
# </details>
#
# After the last layer the vector of `[CLS]` goes through one more matrix and a tanh (the pooler), and a
# last matrix gives one logit per class. Here is all of it, for one text, with your two functions (or
# the solutions, where yours are not finished).

# %%
attend, layer = yours("01.attend"), yours("01.layer")


def attention(block, x, dropout):
    """Split x into heads, let the tokens gather, and put the heads together again."""
    part, heads = block.attention, config.num_attention_heads
    query, key, value = (  # each (1, heads, tokens, width)
        linear(x).unflatten(-1, (heads, -1)).transpose(0, 1)[None]
        for linear in (part.query, part.key, part.value)
    )
    mixed = attend(query, key, value, torch.zeros(()), dropout)
    return part.output(mixed[0].transpose(0, 1).flatten(1))


def forward(model, ids, dropout=lambda shares: shares):
    """Return the logits of one text."""
    x = first_vectors(model.bert.embeddings, ids)
    for block in model.bert.layers:
        norms = [partial(layer_norm, norm=n) for n in (block.attention_norm, block.output_norm)]
        gather = partial(attention, block, dropout=dropout)
        x = layer(x, gather, norms[0], block.intermediate, block.output, norms[1])
    return model.classifier(torch.tanh(model.bert.pooler.dense(x[0])))


# %% [markdown]
# What comes out is compared with the library's.

# %%
folder = resolve(ENCODER)
model, report = minift.load_model(
    minift.SequenceClassifier,
    folder,
    labels=reviews.labels,
    generator=torch.Generator().manual_seed(0),
)
model = model.double()
with torch.no_grad():
    ours = forward(model, torch.tensor(encoding.input_ids))
    library = model(one)[0]
for label, a, b in zip(reviews.labels, ours.tolist(), library.tolist()):
    print(f"{label:<9} by hand {a:+.12f}   library {b:+.12f}")
print("drawn at random, because the checkpoint has no such head:", *report.initialised)

# %% [markdown]
# Twelve digits agree. Note what the last line says: the head is random. The numbers mean nothing
# about the review until somebody fine-tunes them, which is the subject of
# [03](../03_few_labels_and_variance/tutorial.ipynb).
#
# The shares are a by-product, and worth a look: a `dropout` that drops nothing sees all of them.

# %% tags=["hide"] alt="Three square heat maps, one per layer, of the first head's attention shares over the pieces of the example sentence. Rows ask, columns answer. Some columns are dark in many rows."
shares = []
with torch.no_grad():
    forward(model, torch.tensor(encoding.input_ids), lambda s: shares.append(s[0]) or s)
pieces = tokenizer.tokens(encoding.input_ids)
figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.9), sharey=True)
for number, (ax, share) in enumerate(zip(axes, shares), start=1):
    image = ax.imshow(share[0], cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(pieces)), pieces, rotation=90, fontsize=8)
    ax.set_title(f"layer {number}", fontsize=10)
    ax.set_xlabel("answers")
axes[0].set_yticks(range(len(pieces)), pieces, fontsize=8)
axes[0].set_ylabel("asks")
figure.colorbar(image, ax=axes, label="share", shrink=0.7)
plt.show()

# %% [markdown]
# This shows where a token gathers from. It does *not* show why the model answers as it does: a
# large share of a value that later layers ignore changes nothing.
#
# And now the other way round: not your functions beside the library's encoder, but *in* it. `use` puts
# them in the place of its own; batches, packing and training stay as they are.

# %%
own = copy.deepcopy(bert)
use(own, attend=attend, layer=layer)
with torch.no_grad():
    gap = (own(packed) - bert(packed)).abs().max().item()
print("sixteen reviews through your encoder: largest difference below 1e-12?", gap < 1e-12)

# %% [markdown]
# What passed its check here is kept, so that later pages can use it:
# `use(model.bert, yours("01.attend"), yours("01.layer"))` on page [05](../05_bitfit/tutorial.ipynb) trains
# the biases of *your* encoder, and on page [08](../08_active_learning/tutorial.ipynb) your `dropout` line
# is the one that tells what the model is unsure of.
#
# ## 6. The same numbers as Hugging Face
#
# So far the library agrees with us, and we wrote both. The reference is `transformers`. It reads
# the same folder; we compare the last layer on sixteen reviews of different lengths, padded there
# and packed here, in double precision. If transformers is not installed, this cell says so.

# %% tags=["hide"]
try:
    from transformers import AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
except ImportError:
    AutoModel = None
    print('transformers is not installed; to compare: pip install "transformers>=5,<6"')


# %%
def differences(texts):
    """Return |ours - theirs| over the real tokens of a batch, layer by layer."""
    packed = minift.pack([e.input_ids for e in tokenizer.encode(texts)])
    ids = packed.layout.pad(packed.input_ids)
    real = packed.layout.pad(torch.ones_like(packed.input_ids))
    with torch.no_grad():
        states = reference(input_ids=ids, attention_mask=real, output_hidden_states=True)
        ours = bert.hidden_states(packed)
    pairs = zip(ours, states.hidden_states)
    return [(a - packed.layout.unpad(b)).abs().max().item() for a, b in pairs]


if AutoModel:
    reference = AutoModel.from_pretrained(folder, attn_implementation="eager").double().eval()
    found = differences(batch_texts)
    for name, value in zip(["embeddings", "layer 1", "layer 2", "layer 3"], found):
        print(f"{name:<11} largest difference below 1e-11: {value < 1e-11}")

# %% tags=["hide"]
if AutoModel:
    measured(decimals=math.floor(-math.log10(max(found))))

# %% [markdown]
# In the worst of some three hundred thousand numbers, the first 14<!-- measured: decimals 12 to 16 -->
# decimals agree. Padding was computed on one side and not on the other.
#
# ## 7. Would we have noticed a mistake?
#
# Agreement proves little if a wrong BERT agrees as well. So we make mistakes on purpose, one at a
# time, each of which somebody has really made, and measure how far the logits move. The control
# is the right computation: yours. Each mistake is tried on eight reviews (a dot each), with two sets of
# weights: the pretrained ones, and fresh ones as BERT is initialised, on which many published tests
# are run. A mistake need not be programmed: changed weights make the library commit it.


# %%
def spoilt(model, mistake):
    """Return a copy of a model that makes a mistake."""
    model = copy.deepcopy(model)
    for module in model.bert.modules():
        if mistake == "LayerNorm's epsilon 1e-5" and isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
        if mistake == "no √d" and isinstance(module, Attention):
            module.query.weight.mul_(math.sqrt(module.head_dim))
            module.query.bias.mul_(math.sqrt(module.head_dim))
    if mistake == "GELU by its tanh formula":
        for block in model.bert.layers:
            block.hidden_act = "gelu_new"
    if mistake == "no segment vector":
        model.bert.embeddings.segment.weight.zero_()
    if mistake == "positions one too high":
        table = model.bert.embeddings.position.weight
        table.copy_(table.roll(-1, 0))
    return model


# %% tags=["hide"] alt="Dot plot on a logarithmic scale: how far each of five mistakes moves the logits, one dot per review. With pretrained weights every mistake moves them by a hundred-thousandth or more; with fresh weights three of the five move them ten to a hundred times less. The computation without a mistake stays at 1e-16 with both."
CONTROL = "none (control)"
MISTAKES = [
    CONTROL,
    "LayerNorm's epsilon 1e-5",
    "GELU by its tanh formula",
    "no segment vector",
    "positions one too high",
    "no √d",
]
fresh = random_model(minift.SequenceClassifier, model.config, torch.Generator().manual_seed(1))
eight = [e.input_ids for e in tokenizer.encode(batch_texts[:8])]


def moved(model, mistake):
    """Return how far a mistake moves the logits of each review."""
    right = [model(minift.pack([ids]))[0] for ids in eight]
    if mistake == CONTROL:
        other = [forward(model, torch.tensor(ids)) for ids in eight]
    else:
        wrong = spoilt(model, mistake)
        other = [wrong(minift.pack([ids]))[0] for ids in eight]
    return [max((a - b).abs().max().item(), 1e-17) for a, b in zip(right, other)]


with torch.no_grad():
    pretrained = {mistake: moved(model, mistake) for mistake in MISTAKES}
    newborn = {mistake: moved(fresh.double(), mistake) for mistake in MISTAKES}

figure, panels = plt.subplots(1, 2, figsize=(5.6, 2.8), sharex=True, sharey=True)
for ax, rows, name in zip(panels, (pretrained, newborn), ("pretrained", "fresh")):
    dots(ax, rows, {CONTROL: GREEN}, numbers="")
    ax.set(xscale="log", title=f"{name} weights", xlabel="change of a logit")
    ax.set_xticks([1e-16, 1e-8, 1])
plt.show()

middle = {name: sorted(values)[4] for name, values in pretrained.items()}
middle_fresh = {name: sorted(values)[4] for name, values in newborn.items()}
for name in MISTAKES:
    print(f"{name:<26} pretrained {middle[name]:.0e}   fresh {middle_fresh[name]:.0e}")

# %% tags=["hide"]
measured(
    control=max(pretrained[CONTROL]),
    smallest=min(middle[name] for name in MISTAKES[1:]),
    hidden=middle["no √d"] / middle_fresh["no √d"],
)

# %% [markdown]
# The right computation stays at the rounding error of a double. The weakest mistake is far above
# it, so a comparison in double precision catches all of them. In single precision, with a
# tolerance of a thousandth, the first two would pass.
#
# And fresh weights hide mistakes. Forgetting √d moves a logit
# 121<!-- measured: hidden 20 to 500 --> times less there than with pretrained weights, because tiny
# weights give tiny scores, and a softmax of tiny scores is the same flat thing at any scale. (Segment
# and position show just as well: what is added before the first LayerNorm does not depend on how
# large it all is.) A test of a BERT belongs on weights that are large and all different.
# minift's own [test](../../tests/bert/test_parity.py) draws every weight with standard deviation
# one half, and compares gradients as well.

# %% [markdown]
# ## Limits
#
# - One encoder, two sets of weights, short texts. The comparison over ragged pairs, gradients, masked
#   LM and fifty training steps is in the [tests](../../tests/bert/test_parity.py), not here.
# - Double precision is for comparing. Training runs in single precision, where sums in another
#   order differ in the last digits.
# - Nothing on this page says that the model is any good: the head is random.
# - Dropout was off throughout. In training it is on, and two libraries that draw their masks in
#   another order cannot be compared number by number.
#
# ## Where this differs from the paper
#
# - The paper pads. minift packs, which gives the same numbers on real tokens.
# - The paper's pooler was trained on guessing whether two sentences follow each other. The pooler of
#   `tiny` was not: [its card](../../minift/encoders/tiny/README.md) says how it was made.
# - BERT's first code computed GELU by the tanh formula; the checkpoints in use today say `gelu`,
#   which is the exact one. Section 7 shows that the two can be told apart.
#
# ## Summary
#
# - Text becomes word pieces, pieces become numbers, and each number picks a row of a table.
# - Attention is the only step in which tokens meet: softmax of query times key over √d, times value.
# - A layer is `norm(x + block(x))`, twice: attention, then a small network for each token.
# - A test of a BERT needs double precision and large weights; otherwise wrong ones pass.
#
# ## Questions
#
# 1. Two reviews are packed end to end. Which functions of this page would still be right if nobody told
#    them where the second review starts?
#
# <details><summary>Answer</summary>
#
# All that work on one token at a time: the word and segment rows, LayerNorm, the linear maps, GELU. Not
# the position rows, which count from the start of a text, and not attention.
#
# </details>
#
# 2. What does a token gather if all its scores are equal? And what if one score is far above the others?
#
# <details><summary>Answer</summary>
#
# The plain mean of all values in its text; and almost exactly the value of that one token. √d keeps wide
# heads from being in the second case from the start: a sum of d products grows like √d.
#
# </details>
#
# 3. Your encoder agrees with the reference to three decimals, in single precision, on fresh weights. Is
#    it right?
#
# <details><summary>Answer</summary>
#
# Nobody can tell. Section 7 has mistakes that move a logit by less than that: a wrong epsilon, the other
# GELU, even a forgotten √d when all weights are tiny.
#
# </details>
#
# ## Further reading
#
# - Devlin, Chang, Lee, Toutanova (2019), [BERT: Pre-training of Deep Bidirectional Transformers for
#   Language Understanding](https://arxiv.org/abs/1810.04805)
# - Vaswani et al. (2017), [Attention Is All You Need](https://arxiv.org/abs/1706.03762)
# - Wu et al. (2016), [Google's Neural Machine Translation System](https://arxiv.org/abs/1609.08144),
#   where word pieces are described
# - Hendrycks and Gimpel (2016), [Gaussian Error Linear Units](https://arxiv.org/abs/1606.08415)
# - Dao, Fu, Ermon, Rudra, Ré (2022), [FlashAttention](https://arxiv.org/abs/2205.14135); its kernels
#   read texts packed end to end
# - Jain and Wallace (2019), [Attention is not Explanation](https://arxiv.org/abs/1902.10186)
#
# **Assignment.** [Attention, names, and where the numbers are](assignment.md)
