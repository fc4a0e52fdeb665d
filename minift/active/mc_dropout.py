"""Monte-Carlo dropout: a model that knows where it is unsure, by asking it several times.

Claim    With dropout left on at prediction time, each pass is a draw from an approximate
         posterior over networks; where the passes disagree, the model lacks knowledge. *Every*
         dropout site samples, that of the attention probabilities included. What a text gets
         depends on (text, seed) alone, and the model and torch's random state are left as found.
Paper    Gal & Ghahramani (2016), "Dropout as a Bayesian Approximation",
         https://arxiv.org/abs/1506.02142; for active learning with BERT: Griesshaber et al.
         (2020), https://arxiv.org/abs/2012.02462, section 3, who sample in the head only.
Differs  - Where sampling starts is a choice: "all", the top k layers and the head, or the head.
           What lies below is computed once a text, not once a pass; that changes no number.
         - Texts of one length and several of their passes share a batch, so nothing is padded;
           only where that would make many small batches, lengths are mixed.
         - Passes over different texts are independent draws; `consistent=True` uses one thinned
           network a pass for all texts, which joint scores (BatchBALD) need.
         - Masks are drawn by a hash of the text (masks.py), so batches cannot change scores.
Proof    tests/active/test_mc_dropout.py
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from minift.active.masks import derive, keyed_mask, text_keys
from minift.bert.dropout import Dropout
from minift.bert.encoder import Attention, encoder_of
from minift.bert.packing import Computed, Layout, Packed, Selection, to_device
from minift.data.examples import Example, TaggedExample
from minift.errors import MiniftError
from minift.runs.evaluate import TOKENS_PER_BATCH
from minift.runs.processes import merged, my_share
from minift.runs.tuned import FineTuned
from minift.speed.prefix import PrefixCache
from minift.training.batches import Batch, Item, make_batch
from minift.training.items import by_length

Layers = int | Literal["all", "head", "none"]
CHUNK = 1024  # texts held in memory at a time
_HEADS_APART = 2**16  # rows of attention head h start at h times this; no text is that long


@dataclass(frozen=True)
class Site:
    """A place where dropout acts.

    Args:
        name: the module's name in the model.
        number: its place among all sites; it selects the site's masks.
        depth: 0 for the embeddings, 1 for the lowest layer, ..., layers + 1 for the head.
        dropout: the module.
        attention: the attention whose probabilities it thins, or None.
    """

    name: str
    number: int
    depth: int
    dropout: Dropout
    attention: Attention | None


def dropout_sites(model: nn.Module) -> list[Site]:
    """List every dropout site of a model that holds a `Bert` as `bert`.

    Raises:
        MiniftError: if a site is torch's own dropout, whose masks nobody else can draw.
    """
    modules = dict(model.named_modules())
    found: list[Site] = []
    for name, module in modules.items():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            raise MiniftError(
                f"{name} is torch.nn.{type(module).__name__}, whose masks cannot be tied to a "
                "text; use minift.bert.dropout.Dropout there"
            )
        if isinstance(module, Dropout):
            parent = modules[name.rpartition(".")[0]]
            attention = parent if isinstance(parent, Attention) else None
            found.append(Site(name, len(found), _depth(name, model), module, attention))
    return found


def _depth(name: str, model: nn.Module) -> int:
    if name.startswith("bert.embeddings."):
        return 0
    if name.startswith("bert.layers."):
        return int(name.split(".")[2]) + 1
    return len(encoder_of(model).layers) + 1


@contextlib.contextmanager
def sampling(
    model: nn.Module, sites: Iterable[Site], draw: Callable[[Site, Tensor], Tensor]
) -> Iterator[None]:
    """Let `sites` multiply by the masks that `draw` gives them, and nothing else be random.

    Args:
        model: in evaluation mode inside the block, but for attentions that sample; all modes
            are as before afterwards, whatever happens.
        sites: of `dropout_sites(model)`.
        draw: (site, values) -> mask in the shape of the values.
    """
    modes = [(module, module.training) for module in model.modules()]
    hooks = []
    try:
        model.eval()
        for site in sites:
            if site.attention is not None:
                site.attention.training = True  # so that it computes its probabilities

            def thin(
                module: nn.Module, inputs: tuple[Tensor, ...], values: Tensor, site: Site = site
            ) -> Tensor:
                return values * draw(site, values)

            hooks.append(site.dropout.register_forward_hook(thin))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training


class TextMasks:
    """The masks of one batch: knows which row of a site belongs to which token of which text.

    Args:
        batch: on the model's device.
        keys: (texts,) of `text_keys`.
        depth: of the lowest site with rows for the asked tokens only: the last layer, or the
            head of a model whose head reads every token.
    """

    def __init__(self, batch: Batch, keys: Tensor, depth: int):
        packed, self.keys, self.depth = batch.packed, keys, depth
        self.number: int | Tensor = 0  # of the pass; (texts,) where they differ
        device = packed.input_ids.device
        counts = torch.tensor(packed.lengths, device=device)
        texts = torch.arange(len(counts), device=device).repeat_interleave(counts)
        self.all = (packed.layout, texts, packed.position_ids)
        self.asked = (
            batch.wanted.layout,
            batch.wanted.of(texts),
            batch.wanted.of(packed.position_ids),
        )

    def draw(self, site: Site, values: Tensor) -> Tensor:
        """Return the mask of this pass at `site`, in the shape of `values`."""
        layout, texts, positions = self.asked if site.depth >= self.depth else self.all
        keys = derive(derive(self.keys, self.number), site.number)  # (texts,)
        if site.attention is None:  # values: (rows, hidden)
            rows = derive(keys[texts], positions)
        else:  # values: (texts, heads, asking, longest)
            heads = torch.arange(values.shape[1], device=values.device) * _HEADS_APART
            numbers = heads.view(1, -1, 1) + layout.pad(positions).unsqueeze(1)
            rows = derive(keys.view(-1, 1, 1), numbers)  # (texts, heads, asking)
        return keyed_mask(rows, values.shape[-1], site.dropout.probability, values.dtype)


def mc_logits(
    model: nn.Module,
    items: Sequence[Item],
    passes: int,
    layers: Layers = "all",
    seed: int = 0,
    consistent: bool = False,
    tokens: int = TOKENS_PER_BATCH,
    cache: PrefixCache | None = None,
) -> list[Tensor]:
    """Ask the model `passes` times about each item, each time with other dropout masks.

    Args:
        model: a model with a head, over a `Bert` named `bert`; left as found.
        items: model inputs.
        passes: number of draws.
        layers: where dropout samples: "all" sites; k: in the top k layers and the head; "head":
            in the head only; "none": nowhere, the plain prediction. What is below runs once.
        seed: selects the masks, together with each item's own tokens.
        consistent: draw one network a pass for all items instead of one for each.
        tokens: size of a batch (see `by_length`); it changes no score.
        cache: output of the model's lowest layers, for some or all items; read where it does
            not reach above the part that runs once.

    Returns:
        For each item a tensor (passes, asked, labels) on the CPU.

    Raises:
        MiniftError: if `passes` or `layers` is out of range.
    """
    depth = len(encoder_of(model).layers)
    below = layers_below(layers, depth)
    if passes < 1:
        raise MiniftError(f"passes must be at least 1, got {passes}")
    named: dict[Layers, int] = {"all": 0, "none": depth + 2}
    lowest = named.get(layers, below + 1)
    sites = [s for s in dropout_sites(model) if s.depth >= lowest and s.dropout.probability > 0]
    device = next(model.parameters()).device
    top = depth + _reads_every_token(model)
    results: dict[int, Tensor] = {}
    masks: TextMasks
    with sampling(model, sites, lambda *at: masks.draw(*at)), torch.inference_mode():
        for group in my_share(list(by_length(items, tokens))):
            chosen = [items[i] for i in group]
            states = None if layers == "all" else _prefix(model, chosen, below, cache)
            sizes = [len(rows) for rows in states] if states else [len(i.input_ids) for i in chosen]
            for places in _runs(chosen, passes * sum(sizes), tokens):
                batch = to_device(make_batch([chosen[n] for n in places]), device)
                rows = sum(sizes[n] for n in places)
                if states is not None:
                    computed = Computed(below, torch.cat([states[n] for n in places]))
                    batch = replace(batch, packed=replace(batch.packed, computed=computed))
                keys = text_keys([chosen[n] for n in places], seed, consistent).to(device)
                drawn = []
                for numbers in torch.arange(passes, device=device).split(max(1, tokens // rows)):
                    copies = repeated(batch, len(numbers))  # one copy per pass
                    masks = TextMasks(copies, keys.repeat(len(numbers)), top)
                    masks.number = numbers.repeat_interleave(len(places))
                    drawn.append(model(copies.packed, copies.wanted).cpu())
                logits = torch.cat(drawn).unflatten(0, (passes, -1))  # (passes, asked, labels)
                asked = [len(chosen[n].positions) for n in places]
                for n, part in zip(places, logits.split(asked, dim=1)):
                    results[group[n]] = part
    return [result.clone() for result in merged(results)]  # ordinary tensors, not inference ones


def _reads_every_token(model: nn.Module) -> bool:
    return getattr(model, "reads_every_token", False)


def repeated(batch: Batch, times: int) -> Batch:
    """Return `times` copies of a batch as one, one copy after the other."""
    packed, wanted, known = batch.packed, batch.wanted, batch.packed.computed

    def each(indices: Tensor, size: int) -> Tensor:
        starts = torch.arange(times, device=indices.device).unsqueeze(1) * size
        return (starts + indices).flatten()

    def layout(of: Layout) -> Layout:
        size = len(of.lengths) * of.longest  # of the rectangle
        return Layout(of.lengths * times, None if of.slots is None else each(of.slots, size))

    return Batch(
        Packed(
            packed.input_ids.repeat(times),
            packed.segment_ids.repeat(times),
            packed.position_ids.repeat(times),
            layout(packed.layout),
            None if known is None else Computed(known.layers, known.hidden.repeat(times, 1)),
        ),
        Selection(each(wanted.indices, len(packed.input_ids)), layout(wanted.layout)),
        batch.targets.repeat(times),
    )


def layers_below(layers: Layers, depth: int) -> int:
    """Return how many of an encoder's `depth` layers are below the lowest that samples.

    Raises:
        MiniftError: if there are not so many layers.
    """
    if layers in ("all", "head", "none"):
        return 0 if layers == "all" else depth
    if not isinstance(layers, int) or not 1 <= layers <= depth:
        raise MiniftError(
            f'layers must be "all", "head" or the number of top layers that sample, 1 to {depth}; '
            f"got {layers!r}"
        )
    return depth - layers


def _runs(items: Sequence[Item], rows: int, tokens: int) -> list[list[int]]:
    """Split texts, sorted by length, into those of one length, which attention need not pad.

    Where that would make many small batches of the `rows` that sample, they stay together.
    """
    found = groupby(range(len(items)), key=lambda n: len(items[n].input_ids))
    runs = [list(run) for _, run in found]
    return runs if rows >= len(runs) * tokens // 16 else [list(range(len(items)))]


def _prefix(
    model: nn.Module, items: Sequence[Item], below: int, cache: PrefixCache | None
) -> Sequence[Tensor]:
    """Run the part that does not sample; return the rows of each item."""
    encoder = encoder_of(model)
    batch = make_batch(items)
    if cache is not None and cache.layers <= below:
        batch = cache.add_to(batch, items)
    batch = to_device(batch, next(model.parameters()).device)
    if below == len(encoder.layers) and not _reads_every_token(model):
        hidden = encoder(batch.packed, batch.wanted)
        return hidden.split([len(item.positions) for item in items])
    return encoder.up_to(below, batch.packed).split(list(batch.packed.lengths))


def mc_stream(
    tuned: FineTuned,
    examples: Iterable[Example],
    passes: int,
    layers: Layers = "all",
    seed: int = 0,
    consistent: bool = False,
    progress: bool = False,
) -> Iterator[tuple[list[Example], list[Tensor]]]:
    """Score a pool of any size a chunk at a time, in constant memory.

    Scores do not depend on what was scored before, so a pass that was cut short goes on where
    it stopped: skip the examples that have their scores.

    Args:
        tuned: a classifier or tagger.
        examples: texts or sentences; labels are ignored.
        passes, layers, seed, consistent: as for `mc_logits`.
        progress: show a bar on standard error.

    Yields:
        At most `CHUNK` examples, and for each its probabilities in float64: (passes, 1, labels)
        for a text, (passes, words, labels) for a sentence.

    Raises:
        MiniftError: if the model does regression, which has no classes.
    """
    if tuned.task == "regression":
        raise MiniftError("MC dropout scores classes; this model predicts a number")
    total = len(examples) if isinstance(examples, Sequence) else None
    stream = iter(examples)
    with tqdm(total=total, unit="text", disable=None if progress else True, leave=False) as bar:
        while chunk := list(islice(stream, CHUNK)):
            bare = [_unlabelled(example) for example in chunk]
            items = tuned.items(bare)
            logits = mc_logits(
                tuned.model, items, passes, layers, seed, consistent, cache=tuned.cache
            )
            parts: list[list[Tensor]] = [[] for _ in chunk]  # a long sentence has several
            for item, part in zip(items, logits):
                parts[item.example].append(part.double().softmax(-1))
            bar.update(len(chunk))
            yield chunk, [torch.cat(windows, dim=1) for windows in parts]


def _unlabelled(example: Example) -> Example:
    if isinstance(example, TaggedExample):
        return replace(example, tags=None)
    return replace(example, label=None)


def mc_predict(
    tuned: FineTuned,
    examples: Iterable[Example],
    passes: int,
    layers: Layers = "all",
    seed: int = 0,
    consistent: bool = False,
    progress: bool = False,
) -> Tensor:
    """Return the probabilities (passes, texts, classes) of a classifier; see `mc_stream`."""
    if tuned.task == "tagging":
        raise MiniftError("sentences have one row a word and do not stack; use mc_stream")
    stream = mc_stream(tuned, examples, passes, layers, seed, consistent, progress)
    found = [row for _, rows in stream for row in rows]
    if not found:
        return torch.empty(passes, 0, len(tuned.labels), dtype=torch.float64)
    return torch.cat(found, dim=1)
