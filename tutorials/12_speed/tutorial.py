# %% [markdown]
# # 12 · Speed: the work that need not be done
#
# **Claim.** Most of the speed that can be had on one machine comes from not computing what nobody
# reads: padding, layers whose answer is known already, passes that would repeat each other. Each
# saving can be counted in advance, must change no result, and has a place where it saves nothing.
#
# **Time.** 55 minutes to read, 2 minutes to run on two cores.
#
# **Before this.** [01, BERT from scratch](../01_bert_from_scratch/tutorial.ipynb), for the products
# in a layer; [04, Freezing](../04_freezing/tutorial.ipynb), for what is not computed backward.
#
# A speed is easy to claim and hard to measure. On this page each saving is first *counted*, in
# multiplications, which are the same on every machine. Then a comparison shows that the results are
# the same. Then the saving is *timed*, and the time is compared with the count.

# %%
import math
import statistics
import sys
import time
from collections import Counter
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import minift
from minift import Seeds, Settings
from minift.active.masks import text_keys
from minift.active.mc_dropout import TextMasks, mc_logits
from minift.active.passes import repeated
from minift.active.sites import dropout_sites, sampling
from minift.bert.packing import Layout, Packed
from minift.methods.freezing import freeze
from minift.runs.train import subset
from minift.runs.tuned import build
from minift.speed.prefix import prefix_cache
from minift.speed.rows import WORD_TABLE, used_rows
from minift.training.items import by_length
from minift.training.loop import Recipe, adamw, cross_entropy, everything, select

sys.path.append("..")
from shared import BLUE, GREEN, GREY, RED, measured  # publishes numbers

DATA = "reviews"  # or "sst2", with ENCODER = "minilm"
ENCODER = "tiny"
TEXTS = 128

data = minift.load_dataset(DATA)
tuned = build(data, ENCODER, Seeds.all(0))
model, config = tuned.model.eval(), tuned.model.config
items = minift.make_items(subset(data.train, TEXTS, 0), tuned.tokenizer, data.task, data.labels)
lengths = [len(item.input_ids) for item in items]
torch.set_num_threads(1)
# Windows counts the time of a process too coarsely for this page.
clock = time.perf_counter if sys.platform == "win32" else time.process_time
batches = [items[at : at + 16] for at in range(0, TEXTS, 16)]  # as they come

# %% [markdown]
# ## 1. A layer by hand
#
# With hidden size h, a layer multiplies each token's vector by four matrices of h × h (query, key,
# value, output) and by two of h × 4h. A product of a vector and a matrix of k × n takes k · n
# multiplications and as many additions: 2 k n operations.
#
# ```
# linear      2 · (4 h² + 2 · h · 4h)  =  24 h²    per token
# attention   2 · (n h + n h)          =  4 n h    per token, in a text of n tokens: scores, mixture
# ```
#
# So attention, whose cost everybody talks about, overtakes the rest only where 4 n h = 24 h², at a
# text of n = 6 h tokens. Does PyTorch's counter agree with the count by hand?


# %%
def by_hand(lengths, h, inner, layers, longest=None):
    """Return operations of the encoder's products; attention sees a rectangle of `longest`."""
    tokens = sum(lengths)
    longest = longest or max(lengths)
    linear = 2 * tokens * (4 * h * h + 2 * h * inner)
    attention = 2 * len(lengths) * 2 * longest * longest * h
    return layers * linear, layers * attention


def counted(work):
    """Return the operations of all matrix products in `work()`, as PyTorch counts them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        work()
    return counter.get_total_flops()


first = minift.make_batch(batches[0])
sizes = (config.hidden_size, config.intermediate_size, config.num_hidden_layers)
linear, attention = by_hand(first.packed.lengths, *sizes)
model.train()  # attention by two plain products, both of which the counter sees
by_torch = counted(lambda: model.bert(first.packed))
model.eval()
print(f"by hand: linear {linear / 1e6:.1f}, attention {attention / 1e6:.1f} million operations")
print(f"by torch: {by_torch / 1e6:.1f} million")
measured(
    difference=by_torch - linear - attention,
    attention_share=attention / (linear + attention),
    overtakes=6 * 768,
)

# %% [markdown]
# They differ by 0<!-- measured: difference -->. Attention is 9 %<!-- measured: attention_share 5 to 25 -->
# of the products of these 16 reviews, with a very narrow encoder; in BERT-base, with h = 768, it
# would overtake the rest in texts of 4,608<!-- measured: overtakes --> tokens, nine times longer
# than BERT can read.
#
# And where does the *time* of a training step go? The next cells take the median of several steps. (Another machine
# has other seconds, and other ratios between them. To be fair, every comparison alternates, A B A B, in one process. What is
# counted is the processor's time, with one thread: on a free machine it is the time on the clock, and on a busy one
# other work hardly disturbs it.)


# %% tags=["hide"]
def digits(apart):
    """Return to how many digits behind the point numbers agree that are so far apart."""
    return -math.log10(max(apart, 1e-17))


def seconds(work):
    """Return how long `work()` takes."""
    began = clock()
    work()
    return clock() - began


def in_turn(plain, fast, rounds=7):
    """Return how many times as fast `fast` is: median, lowest, highest of the rounds."""
    plain(), fast()  # warm-up
    ratios = sorted(seconds(plain) / seconds(fast) for _ in range(rounds))
    return statistics.median(ratios), ratios[0], ratios[-1]


def shown(name, ratio):
    """Print a ratio with its spread."""
    print(f"{name:<58}{ratio[0]:6.2f} times   [{ratio[1]:.2f}, {ratio[2]:.2f}]")


# %% tags=["varies"]
trained = build(data, ENCODER, Seeds.all(0)).model.train()
parameters = select(trained, everything)
optimizer = adamw(parameters, Settings())
parts = {"forward": [], "backward": [], "clip, AdamW": []}
for group in batches * 2:
    batch = minift.make_batch(group)
    times = [clock()]
    loss = cross_entropy(trained, batch).mean()
    times.append(clock())
    loss.backward()
    times.append(clock())
    torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    times.append(clock())
    for name, start, end in zip(parts, times, times[1:]):
        parts[name].append(end - start)
medians = {name: statistics.median(taken) for name, taken in parts.items()}
for name, taken in medians.items():
    print(f"{name:<14}{1000 * taken:7.1f} ms")
table = trained.bert.embeddings.word.weight
read = len(set(minift.make_batch(batches[0]).packed.input_ids.tolist()))
measured(
    backward_to_forward=medians["backward"] / medians["forward"],
    rows_read=read / len(table),
    table_share=table.numel() / sum(p.numel() for p in parameters.values()),
)

# %% [markdown]
# Backward takes 1.1<!-- measured: backward_to_forward 0.7 to 4 --> times as long as forward, though it has two products for each
# one of forward: with matrices this small, products are not all of the time. The optimizer is not a product at all: it walks through every
# weight. The table of word vectors is 52 %<!-- measured: table_share 45 to 60 --> of all weights, and
# this batch has read 4 %<!-- measured: rows_read 1 to 8 --> of its rows. All the others have a
# gradient of zero, are clipped with zero and decayed, at every step. Section 6 avoids that
# without changing the result. Savings that do change it are not on this page.
#
# ## 2. Padding
#
# Texts have different lengths, tensors have not. The usual way out is padding: 16 texts become a
# rectangle as wide as the longest, and everything is computed for every cell of it. minift puts
# the tokens one behind the other and never makes the rectangle, except inside attention:
#
# ```python minift/bert/packing.py:Layout.pad
#         rectangle = rows.new_zeros(shape[0] * shape[1], *rows.shape[1:])
#         return rectangle.index_copy(0, self.slots, rows).view(shape)
# ```
#
# To compare, here is the padded encoder, built of the same modules.


# %%
def padded(model, items, mask_padding=True):
    """Return the last layer's states of all tokens (texts, longest, h), padding and all."""
    longest = max(len(item.input_ids) for item in items)
    texts = len(items)
    ids = torch.tensor([i.input_ids + [0] * (longest - len(i.input_ids)) for i in items])
    places = torch.arange(longest).expand(texts, longest)
    real = places < torch.tensor([len(i.input_ids) for i in items]).unsqueeze(1)
    layout = Layout((longest,) * texts, None)  # to the modules, all of it are tokens
    segments = torch.zeros(texts * longest, dtype=torch.int64)
    hidden = model.bert.embeddings(Packed(ids.flatten(), segments, places.flatten(), layout))
    mask = torch.zeros(real.shape, dtype=hidden.dtype)
    if mask_padding:
        mask = mask.masked_fill(~real, float("-inf"))
    for layer in model.bert.layers:
        a = layer.attention
        query, key, value = (a.split(m(hidden), layout) for m in (a.query, a.key, a.value))
        mixed = F.scaled_dot_product_attention(query, key, value, mask[:, None, None, :])
        attended = a.output(mixed.transpose(1, 2).flatten(2).flatten(0, 1))
        hidden = layer.attention_norm(hidden + attended)
        inner = F.gelu(layer.intermediate(hidden))
        hidden = layer.output_norm(hidden + layer.output(inner))
    return hidden.unflatten(0, (texts, longest))


def packed(model, items, wanted=False):
    """Return the last layer's states (tokens, h), or those of the asked tokens only."""
    batch = minift.make_batch(items)
    return model.bert(batch.packed, batch.wanted if wanted else None)


exact = build(data, ENCODER, Seeds.all(0)).model.eval().double()
with torch.no_grad():
    worst = unmasked = 0.0
    for group in batches:
        rows = packed(exact, group)
        rectangle, careless = padded(exact, group), padded(exact, group, mask_padding=False)
        real = [slice(0, len(item.input_ids)) for item in group]
        for states, kind in ((rectangle, "masked"), (careless, "unmasked")):
            same = torch.cat([text[keep] for text, keep in zip(states, real)])
            apart = float((same - rows).abs().max())
            worst = max(worst, apart) if kind == "masked" else worst
            unmasked = max(unmasked, apart) if kind == "unmasked" else unmasked
cells = sum(16 * max(len(item.input_ids) for item in group) for group in batches)
print(f"largest difference, in float64: {worst:.1e}; if the mask is forgotten: {unmasked:.1e}")
measured(digits=digits(worst), unmasked=unmasked, cells_a_token=cells / sum(lengths))

# %% [markdown]
# In every real token the numbers agree to 17<!-- measured: digits 12 to 17 --> digits behind the point, so
# the padding bought nothing. The comparison can fail: an encoder that forgets to mask it is off by
# 2.4<!-- measured: unmasked 0.1 to 10 -->.
#
# A rectangle has 2.1<!-- measured: cells_a_token 1.4 to 2.4 --> cells for each token. What does it cost?
# The counter sees the linear products (attention is one fused kernel here, which it does not look
# into); the second variant lets the last layer compute [CLS] only, all that a classifier reads.


# %% tags=["varies"]
def all_batches(work):
    """Return a function that does `work` for each batch, without gradients."""

    def run():
        with torch.inference_mode():
            for group in batches:
                work(group)

    return run


plain = all_batches(lambda group: padded(model, group))
variants = {
    "packed": all_batches(lambda group: packed(model, group)),
    "packed, last layer for [CLS]": all_batches(lambda group: packed(model, group, True)),
}
operations = counted(plain)
padding = {name: (operations / counted(run), in_turn(plain, run)) for name, run in variants.items()}
for name, (count, ratio) in padding.items():
    shown(f"{name} ({count:.2f} times fewer operations)", ratio)
even = [
    [replace(item, input_ids=(item.input_ids * 9)[:32], segment_ids=[0] * 32) for item in group]
    for group in batches
]


def even_batches(work):
    """The same for texts of equal length."""

    def run():
        with torch.inference_mode():
            for group in even:
                work(group)

    return run


control = in_turn(
    even_batches(lambda group: padded(model, group)),
    even_batches(lambda group: packed(model, group)),
)
shown("control: all texts of 32 tokens, packed", control)
measured(
    fewer_packed=padding["packed"][0],
    fewer_cls=padding["packed, last layer for [CLS]"][0],
    faster_packed=padding["packed"][1][0],
    faster_cls=padding["packed, last layer for [CLS]"][1][0],
    faster_even=control[0],
)

# %% [markdown]
# Packing takes 2.1<!-- measured: fewer_packed 1.2 to 2.4 --> times fewer operations and is
# 1.5<!-- measured: faster_packed 1.1 to 3 --> times as fast; with the last layer for [CLS] only it is
# 2.8<!-- measured: fewer_cls 1.6 to 4 --> times fewer and 1.8<!-- measured: faster_cls 1.3 to 4 --> times as fast.
#
# **Control.** Where all texts have the same length there is nothing to save:
# 1.0<!-- measured: faster_even 0.8 to 1.3 --> times, which is 1 and the noise of the machine.
#
# ## 3. Sorting by length
#
# Whoever pads can pad less. For prediction order does not matter, so let texts of similar length
# share a batch, and put the answers back in order afterwards. How wide is the rectangle then, and does it help
# those who do not pad?

# %% tags=["varies"]
order = sorted(range(TEXTS), key=lambda i: lengths[i])
sorted_batches = [[items[i] for i in order[at : at + 16]] for at in range(0, TEXTS, 16)]


def over(groups, work):
    """The same over other batches."""

    def run():
        with torch.inference_mode():
            for group in groups:
                work(group)

    return run


sorting = {}
for name, work in (
    ("padded", lambda group: padded(model, group)),
    ("packed", lambda group: packed(model, group)),
):
    sorting[name] = in_turn(over(batches, work), over(sorted_batches, work))
    shown(f"{name}: sorted against as they come", sorting[name])
answers = minift.predict_logits(model, items)  # sorts inside, by `by_length`
alone = [minift.predict_logits(model, [item])[0] for item in items]
cells_sorted = sum(16 * max(len(i.input_ids) for i in group) for group in sorted_batches)
measured(
    cells_sorted=cells_sorted / sum(lengths),
    sorting_padded=sorting["padded"][0],
    sorting_packed=sorting["packed"][0],
    in_place=sum(torch.allclose(a, b, atol=1e-4) for a, b in zip(answers, alone)),
    groups=len(list(by_length(items, 2048))),
)

# %% [markdown]
# Sorted, a token costs 1.2<!-- measured: cells_sorted 1.0 to 1.3 --> cells. Those who pad become
# 1.7<!-- measured: sorting_padded 1.2 to 3 --> times as fast by it; those who pack
# 1.1<!-- measured: sorting_packed 0.8 to 1.6 --> times: only the rectangles inside attention shrink, and that is
# a small share. `predict_logits` does both: it sorts, and fills
# batches up to a number of tokens, so that 128 texts become a few batches
# (3<!-- measured: groups 2 to 8 -->) of similar cost. All 128<!-- measured: in_place --> answers are in
# the places of their texts.
#
# In *training* sorting is not free: batches of similar length are other batches than random
# ones, and the run is another run. That is why minift packs, and leaves the order to chance.
#
# ## 4. What is frozen need be computed once
#
# Let the embeddings and the lowest F layers be frozen, with dropout off. Then what they make of a
# text is the same in every epoch. The first epoch computes it; the others look it up. If the frozen
# prefix costs P per text and epoch, and all the rest R, then in E epochs
#
# ```
#             E · (P + R)
# speed-up  = ───────────      which is 1 for E = 1, and never more than 1 + P/R
#              P + E · R
# ```
#
# The loop knows nothing of this. It is handed a function that packs texts into a batch, and the cache
# brings its own, which packs what it knows of them as well:
#
# ```python minift/speed/prefix.py:PrefixCache.make_batch
#         return self.add_to(make_batch(items), items)
# ```
#
# First, is it the same training? Two runs in float64, one with the cache and one without.


# %%
FROZEN = config.num_hidden_layers - 1


def train(epochs, layers, cached=True, double=False):
    """Fine-tune a fresh model with the lowest layers frozen; return it, and the seconds."""
    fresh = build(data, ENCODER, Seeds.all(0)).model
    fresh = fresh.double() if double else fresh
    trainable = everything if layers is None else freeze(layers)
    settings = Settings(epochs=epochs, batch_size=8, learning_rate=3e-4)
    recipe = Recipe(trainable=trainable, settings=settings)
    began = clock()
    select(fresh, trainable)  # says what is frozen
    cache = prefix_cache(fresh, items[:32]) if cached else None  # None also if nothing is
    make_batch = cache.make_batch if cache else minift.make_batch
    minift.fine_tune(fresh, items[:32], recipe, Seeds.all(0), make_batch=make_batch)
    return fresh, clock() - began


with_cache, without = train(3, FROZEN, True, True)[0], train(3, FROZEN, False, True)[0]
start = dict(build(data, ENCODER, Seeds.all(0)).model.double().named_parameters())
apart = max(
    float((a - b).abs().max().detach())
    for a, b in zip(with_cache.parameters(), without.parameters())
)
moved = max(float((p - start[n]).abs().max().detach()) for n, p in without.named_parameters())
print(f"after 3 epochs weights have moved by up to {moved:.1e}; the two runs differ by {apart:.1e}")
measured(cache_digits=digits(apart), weights_moved=moved)

# %% [markdown]
# The weights moved by up to 0.002<!-- measured: weights_moved 0.001 to 0.01 -->, and in both runs to the
# same place, to 14<!-- measured: cache_digits 10 to 17 --> digits behind the point. Now the time, for several numbers
# of epochs; the curve is the formula, with P and R taken from the run *without* a cache, the rest
# being a measurement.

# %% tags=["varies"]
EPOCHS = (1, 2, 4, 8)
cache = {}
for epochs in EPOCHS:
    pairs = [(train(epochs, FROZEN, False)[1], train(epochs, FROZEN)[1]) for _ in range(4)][1:]
    ratios = sorted(plain / fast for plain, fast in pairs)
    cache[epochs] = statistics.median(ratios), ratios[0], ratios[-1]
    shown(f"{FROZEN} layers frozen, {epochs} epochs: cached", cache[epochs])
pairs = [(train(2, None, False)[1], train(2, None)[1]) for _ in range(4)][1:]
ratios = sorted(plain / fast for plain, fast in pairs)
no_prefix = statistics.median(ratios), ratios[0], ratios[-1]
shown("control: nothing frozen, 2 epochs", no_prefix)

frozen_model = build(data, ENCODER, Seeds.all(0)).model.train()
learning = select(frozen_model, freeze(FROZEN))
optimizer = adamw(learning, Settings())
for module in (frozen_model.bert.embeddings, *frozen_model.bert.layers[:FROZEN]):
    module.eval()


def step(group, only_prefix):
    batch = minift.make_batch(group)
    if only_prefix:
        with torch.no_grad():
            frozen_model.bert.hidden_states(batch.packed, FROZEN)
    else:
        cross_entropy(frozen_model, batch).mean().backward()
        torch.nn.utils.clip_grad_norm_(learning.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


eights = [items[at : at + 8] for at in range(0, 32, 8)]  # the batches of `train`, not shuffled
whole = statistics.median(seconds(lambda: [step(g, False) for g in eights]) for _ in range(9))
prefix = statistics.median(seconds(lambda: [step(g, True) for g in eights]) for _ in range(9))
share = min(0.95, prefix / whole)
formula = {e: e / (share + e * (1 - share)) for e in (*EPOCHS, 1000)}
measured(
    cache_1=cache[1][0],
    cache_8=cache[8][0],
    formula_8=formula[8],
    formula_limit=formula[1000],
    cache_nothing_frozen=no_prefix[0],
)

# %% alt="Speed-up by the cache of a frozen prefix against the number of epochs, measured medians with their range, and the curve of the formula: both begin near 1 at one epoch and rise, ever more slowly, towards a limit. A cross at 2 epochs for nothing frozen lies at 1." tags=["varies", "hide"]
figure, axes = plt.subplots(figsize=(5.8, 3.2))
grid = [1 + 0.1 * n for n in range(76)]
axes.plot(grid, [e / (share + e * (1 - share)) for e in grid], color=GREY, label="formula")
middle = [cache[e][0] for e in EPOCHS]
bars = [[cache[e][0] - cache[e][1] for e in EPOCHS], [cache[e][2] - cache[e][0] for e in EPOCHS]]
axes.errorbar(EPOCHS, middle, bars, fmt="o", color=BLUE, capsize=3, label="measured: median, range")
axes.plot(2, no_prefix[0], "x", color=RED, markersize=9, label="control: nothing frozen")
axes.axhline(1, color=GREY, linestyle="--", linewidth=1)
axes.set(xlabel="epochs", ylabel="times as fast with the cache", ylim=(0, None))
axes.set_xticks(EPOCHS)
axes.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# One epoch gains nothing: 0.9<!-- measured: cache_1 0.7 to 1.3 --> times. Eight are
# 1.9<!-- measured: cache_8 1.3 to 4 --> times as fast, where the formula says
# 2.0<!-- measured: formula_8 1.3 to 4 -->; even a thousand could not exceed the formula's
# 2.3<!-- measured: formula_limit 1.4 to 10 -->. Three things are not in the formula: what
# a run does once (setting up, copying the weights at the end), which costs both; the fingerprint of the
# frozen weights, by which a cache knows its model; and that the cache is filled in larger batches than a
# step has, which helps.
#
# **Control.** With nothing frozen there is no prefix and nothing to keep:
# 1.0<!-- measured: cache_nothing_frozen 0.8 to 1.3 --> times.
#
# It has a price, and a condition. The price is memory: a vector of h numbers for every token of the
# training set. The condition is that dropout is off in the prefix, or the answer would be another
# one each time. It is a decision about the *method*, made before speed comes in, and
# `Settings(prefix_dropout=True)` is the other one.
#
# ## 5. The same idea, at prediction time: MC dropout
#
# [08](../08_active_learning/tutorial.ipynb) asks a model T times with dropout on, to see where it is unsure. If dropout
# samples in the upper part only, everything below gives the same in every pass. The naive loop
# below draws the same masks as `mc_logits`, in the same batches (texts of one length with several of
# their passes, so nothing is padded), but sends every pass through everything.


# %%
def naive(model, items, passes, layers):
    """MC dropout in the head ("head"), in the top layers too (a number), or everywhere ("all")."""
    depth = len(model.bert.layers)
    lowest = {"all": 0, "head": depth + 1}.get(layers) if isinstance(layers, str) else None
    lowest = depth + 1 - layers if lowest is None else lowest
    sites = [site for site in dropout_sites(model) if site.depth >= lowest]
    batch = minift.make_batch(items)
    keys, texts = text_keys(items, 0), len(items)
    at_once = max(1, 2048 // len(batch.packed.input_ids))  # passes that share a batch
    drawn = []
    with sampling(model, sites, lambda *at: masks.draw(*at)), torch.inference_mode():
        for numbers in torch.arange(passes).split(at_once):
            copies = repeated(batch, len(numbers))  # one copy per pass
            masks = TextMasks(copies, keys.repeat(len(numbers)), depth)
            masks.number = numbers.repeat_interleave(texts)
            drawn.append(model(copies.packed, copies.wanted))
    return torch.cat(drawn).unflatten(0, (passes, texts)).transpose(0, 1)


def clever(model, items, passes, layers):
    """The library's."""
    return torch.stack([rows[:, 0] for rows in mc_logits(model, items, passes, layers)])


usual = Counter(len(item.input_ids) for item in items).most_common(1)[0][0]
some = [item for item in items if len(item.input_ids) == usual][:32]
apart = {
    layers: float((naive(exact, some, 4, layers) - clever(exact, some, 4, layers)).abs().max())
    for layers in ("all", 1, "head")
}
drawn = clever(exact, some, 4, "head")
print(
    f"{len(some)} texts of {usual} tokens; largest difference in float64:",
    {str(k): f"{v:.1e}" for k, v in apart.items()},
)
measured(mc_digits=digits(max(apart.values())), passes_apart=float(drawn.std(1).max()))

# %% [markdown]
# The same draws, to 16<!-- measured: mc_digits 10 to 17 --> digits, and draws they are: passes
# differ by up to 0.050<!-- measured: passes_apart 0.001 to 1 --> (standard deviation of a logit). Now for
# more and more passes.

# %% tags=["varies"]
PASSES = (1, 4, 20)
mc = {
    layers: {
        passes: in_turn(
            lambda p=passes, k=layers: naive(model, some, p, k),
            lambda p=passes, k=layers: clever(model, some, p, k),
            rounds=3,
        )
        for passes in PASSES
    }
    for layers in ("all", 1, "head")
}
for layers, by_passes in mc.items():
    for passes in (1, 20):
        shown(f"sampling in {layers}, {passes} passes", by_passes[passes])
measured(
    mc_all_20=mc["all"][20][0],
    mc_last_1=mc[1][1][0],
    mc_last_20=mc[1][20][0],
    mc_head_1=mc["head"][1][0],
    mc_head_20=mc["head"][20][0],
)

# %% alt="Log-log plot of the speed-up by computing the non-sampling part once, against the number of passes: a line for sampling in the head that rises almost as steeply as the number of passes, one for the last layer and the head that rises and flattens, and one for all sites that stays at 1." tags=["varies", "hide"]
figure, axes = plt.subplots(figsize=(5.8, 3.2))
names = {"head": "head only", 1: "last layer and head", "all": "all sites (control)"}
for (layers, name), colour in zip(names.items(), (BLUE, GREEN, RED)):
    middle = [mc[layers][p][0] for p in PASSES]
    bars = [
        [mc[layers][p][0] - mc[layers][p][1] for p in PASSES],
        [mc[layers][p][2] - mc[layers][p][0] for p in PASSES],
    ]
    axes.errorbar(PASSES, middle, bars, fmt="o-", color=colour, capsize=3, label=name)
axes.plot(PASSES, PASSES, color=GREY, linestyle="--", linewidth=1, label="as many as passes")
axes.set(xscale="log", yscale="log", xlabel="passes T", ylabel="times as fast")
axes.set_xticks(PASSES, map(str, PASSES))
axes.set_yticks((1, 2, 5, 10, 20), ("1", "2", "5", "10", "20"))
axes.minorticks_off()
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# Twenty passes over the head alone are 9<!-- measured: mc_head_20 4 to 20 --> times as fast, in the
# last layer and the head 4<!-- measured: mc_last_20 2 to 8 --> times. The formula is that of section 4,
# with T passes for E epochs: where the sampling part R is nearly nothing, the gain is nearly T.
#
# **Controls.** Where all sites sample, there is no part below them:
# 1.0<!-- measured: mc_all_20 0.7 to 1.4 --> times. And one pass has nobody to share with:
# 1.0<!-- measured: mc_head_1 0.6 to 1.4 --> times for the head, 0.9<!-- measured: mc_last_1 0.6 to 1.4 --> for the
# last layer.
#
# ## 6. Rows that nobody reads
#
# Back to the table of word vectors. Let w be a row that none of the training texts reads. Its
# gradient is zero in every step, so Adam's moments of it stay zero, and the step that they give is
# 0 / (0 + ε) = 0. Of AdamW only the decay λ remains, at the rate η of each step:
#
# ```
# w after T steps  =  w before · (1 - η₁ λ) · (1 - η₂ λ) · … · (1 - η_T λ)
# ```
#
# The product is the same for all such rows. So it is enough to train a table of the rows that *are*
# read, with one row of ones at its end that nobody reads: after training, the ones are the product,
# whatever the schedule did, and the rest of the whole table is multiplied by it.
#
# ```python minift/speed/rows.py:used_rows
#             table.weight.mul_(small.weight[-1])
#             table.weight[used] = small.weight[:-1]
# ```
#
# This is what `minift train` does. As before: is it the same training? Two runs in float64. The
# mistake that the comparison must find is the easy one: to leave the other rows as they were.


# %%
def learn(small, count=32, epochs=3, double=False, trainable=everything):
    """Train a fresh model by the small table or the whole; return it, seconds and rows."""
    fresh = build(data, ENCODER, Seeds.all(0)).model
    fresh = fresh.double() if double else fresh
    learning = select(fresh, trainable) if small else ()  # nothing learns: the block does nothing
    settings = Settings(epochs=epochs, batch_size=16, learning_rate=3e-4, weight_decay=0.1)
    began = clock()
    with used_rows(fresh, items[:count], learning):
        rows = len(fresh.bert.embeddings.word.weight)
        minift.fine_tune(
            fresh, items[:count], Recipe(trainable=trainable, settings=settings), Seeds.all(0)
        )
    return fresh, clock() - began, rows


by_rows, _, rows = learn(True, double=True)
by_table, _, all_rows = learn(False, double=True)
pairs = list(zip(by_rows.parameters(), by_table.parameters()))
apart = max(float((a - b).abs().max().detach()) for a, b in pairs)
untouched = start[WORD_TABLE].detach().clone()  # the table before training, from section 4
ids = sorted({token for item in items[:32] for token in item.input_ids})
untouched[ids] = by_rows.get_parameter(WORD_TABLE).detach()[ids]
forgotten = float((untouched - by_table.get_parameter(WORD_TABLE)).abs().max().detach())
print(f"{rows:,} rows in place of {all_rows:,}; weights differ by {apart:.1e} after training;")
print(f"had the decay of the other rows been forgotten, by {forgotten:.1e}")
measured(
    rows_digits=digits(apart),
    forgotten_digits=digits(forgotten),
    rows_share=rows / all_rows,
    table_rows=all_rows,
)

# %% [markdown]
# With 6 %<!-- measured: rows_share 3 to 20 --> of the rows, all weights of the model agree to
# 15<!-- measured: rows_digits 13 to 17 --> digits behind the point. If the decay of the others is forgotten,
# it is 4<!-- measured: forgotten_digits 2 to 6 -->. Now the time. The control freezes the embeddings, so that
# there is no table to train.


# %% tags=["varies"]
def against_table(trainable):
    """Return how many times as fast training is by the small table: median, lowest, highest."""
    runs = [[learn(small, TEXTS, 2, trainable=trainable)[1] for small in (0, 1)] for _ in range(6)]
    ratios = sorted(plain / fast for plain, fast in runs[1:])
    return statistics.median(ratios), ratios[0], ratios[-1]


rows_time = against_table(everything)
no_table = against_table(freeze(0, embeddings=True))
shown("the rows that are read, against the whole table", rows_time)
shown("control: embeddings frozen", no_table)
measured(
    rows_faster=rows_time[0],
    rows_control=no_table[0],
    optimizer_share=medians["clip, AdamW"] / sum(medians.values()),
)

# %% [markdown]
# The small table makes it 1.1<!-- measured: rows_faster 0.9 to 1.4 --> times as fast, and the control is at
# 0.9<!-- measured: rows_control 0.8 to 1.3 -->: with this encoder there may be nothing to see. Count before
# you expect: all of clipping and AdamW is 13 %<!-- measured: optimizer_share 5 to 40 --> of a step here,
# and the table, of 8,000<!-- measured: table_rows --> rows, about half of that. MiniLM has 30,522 rows, on which
# the README measured a gain of a tenth.
#
# The optimizer's two moments shrink with the table, and so do checkpoints. It brings nothing to those
# who read most of their vocabulary, and it cannot be done where the table is also the output layer,
# as in pretraining ([02](../02_pretraining/tutorial.ipynb)): there every row has a gradient in every step.
#
# ## What is worth it when
#
# | saving | exact? | gains where | gains nothing where |
# |---|---|---|---|
# | packing | yes | lengths differ | all texts are equally long |
# | last layer for asked tokens only | yes | a classifier; few layers | every token is read |
# | sorting by length | yes, in prediction | one pads | one packs |
# | cached frozen prefix | yes, given that its dropout is off | many epochs, much frozen | one epoch, or nothing frozen |
# | MC dropout above a prefix | yes, for that choice of sites | many passes, few sites | all sites sample |
# | only the rows that are read | yes | few texts, a large vocabulary | most words are read, or predicted |
#
# One more is not exact and therefore not above: `--precision bf16` computes matrix products with 8
# bits of mantissa, on processors and GPUs that have instructions for it. tests/benchmarks/README.md
# says what it brings there and what it does to the scores.
#
# ## Limits
#
# - One small encoder on a CPU. Its matrices are so narrow that fixed costs (Python, small kernels)
#   are a large part; with MiniLM the times come closer to the counts. The table of tests/benchmarks is
#   measured there, against transformers, by `tests/benchmarks/run.py`.
# - On a GPU the products of one small batch do not fill the machine, and launching kernels is what
#   takes time. Counting operations says little then.
# - Operations counted here are matrix products. LayerNorm, GELU, dropout masks and the optimizer
#   move memory and multiply little; they are in no count and in every time.
# - Medians of three to seven rounds, with one thread. With several, small products gain less than large
#   ones, and the ratios are others.
#
# ## Summary
#
# - Count first: operations are the same on every machine, and where there is nothing to save, no trick saves anything.
# - Packing computes no padding; the last layer is computed for those tokens only that somebody reads.
# - What does not change from epoch to epoch, or from pass to pass, is computed once; the gain grows with their number.
# - Each saving here leaves the result as it is, to rounding, and each has a control where it gains nothing.
#
# ## Questions
#
# 1. A batch has fifteen texts of 10 tokens and one of 100. How many cells does a rectangle have for each token?
#
# <details><summary>Answer</summary>
#
# It has 16 · 100 = 1,600 cells for 250 tokens, 6.4<!-- given --> for each. Sorted batches would have far fewer.
#
# </details>
#
# 2. The frozen prefix costs as much as all the rest. What is the most that a cache can gain, and what does it gain in four epochs?
#
# <details><summary>Answer</summary>
#
# P = R, so never more than 1 + P/R = 2. In four epochs it is 4 · 2 / (1 + 4) = 1.6<!-- given -->.
#
# </details>
#
# 3. Why may the rows of words that nobody reads not simply be left as they are?
#
# <details><summary>Answer</summary>
#
# Weight decay makes them smaller in every step. Without the last multiplication the run would end with other weights than the
# plain one, and so would any text read later that has one of these words.
#
# </details>
#
# ## Further reading
#
# - Dao, Fu, Ermon, Rudra, Ré (2022), [FlashAttention](https://arxiv.org/abs/2205.14135), whose
#   variable-length form has the packed layout; and why moving memory is what costs
# - Krell, Kosec, Perez, Fitzgibbon (2021), [Efficient Sequence Packing without
#   Cross-contamination](https://arxiv.org/abs/2107.02027), the other way to avoid padding
# - Gal, Ghahramani (2016), [Dropout as a Bayesian Approximation](https://arxiv.org/abs/1506.02142)
# - Williams, Waterman, Patterson (2009), *Roofline: An Insightful Visual Performance Model*: what a
#   machine could do, and which of two limits a program meets first
#
# This page has no assignment; [the table of measured speeds](../../tests/benchmarks/README.md) says what the savings are worth
# together, against other libraries.
