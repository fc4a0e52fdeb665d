"""Monte-Carlo dropout: a model that knows where it is unsure, because it is asked several times.

Claim    With dropout left on at prediction time, each pass is a draw from an approximate
         posterior over networks; where the passes disagree, the model lacks knowledge. What a
         text gets depends on (text, seed) alone, and torch's random state is left as found.
Paper    Gal & Ghahramani (2016), "Dropout as a Bayesian Approximation",
         https://arxiv.org/abs/1506.02142; for active learning with BERT: Griesshaber et al.
         (2020), https://arxiv.org/abs/2012.02462, section 3.
Differs  - 10 passes by default; Griesshaber et al. take 50, and sample in the head only.
         - Here the default is "trained" (streaming.py); `layers` chooses any other place.
         - Passes over different texts are independent draws; `consistent=True` uses one thinned
           network per pass for all texts, which joint scores (BatchBALD) need.
         - Masks are drawn by a hash of the text (masks.py); how it is made fast: passes.py.
Proof    tests/active/test_mc_dropout.py
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from minift.active.masks import derive, keyed_mask, text_keys
from minift.active.passes import batches, repeated
from minift.active.sites import Site, dropout_sites, sampling
from minift.bert.encoder import encoder_of
from minift.bert.packing import Packed, Selection
from minift.errors import MiniftError, require
from minift.runs.evaluate import TOKENS_PER_BATCH
from minift.runs.processes import merged
from minift.speed.prefix import PrefixCache, arranged, reads_every_token
from minift.training.batches import Item

Layers = int | Literal["trained", "all", "head", "none"]
_HEADS_APART = 2**16  # rows of attention head h start at h times this; no text is that long


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

    Dropout samples at "all" sites, in the top k layers and the head, in the "head" only, or in
    "none", the plain prediction. (How it was trained, "trained", only `mc_stream` knows.) `seed`
    selects the masks, with each item's own tokens; `consistent` draws one network per pass for all
    items. `tokens`, the size of a batch, and `cache`, outputs of the lowest layers, change no
    score. Returns for each item (passes, asked, labels) on the CPU. MiniftError if `passes` or
    `layers` is out of range.
    """
    depth = len(encoder_of(model).layers)
    lowest, top = lowest_depth(layers, depth), depth + reads_every_token(model)
    require(passes >= 1, "passes", passes, "at least 1")
    sites = [s for s in dropout_sites(model) if s.depth >= lowest and s.dropout.probability > 0]
    results: dict[int, Tensor] = {}
    masks: TextMasks
    with sampling(model, sites, lambda *at: masks.draw(*at)), torch.inference_mode():
        for places, batch, rows in batches(model, items, lowest, passes, tokens, cache):
            device = batch.packed.input_ids.device
            keys = text_keys([items[i] for i in places], seed, consistent).to(device)
            drawn = []
            for numbers in torch.arange(passes, device=device).split(max(1, tokens // rows)):
                copies = repeated(batch, len(numbers))  # one copy per pass
                packed = arranged(model, copies.packed)
                apart = len(packed.lengths) // len(copies.packed.lengths)  # 2: the texts of a pair
                own = keys if apart == 1 else torch.stack([keys, derive(keys, 1)], 1).flatten()
                masks = TextMasks(packed, copies.wanted, own.repeat(len(numbers)), top)
                masks.number = numbers.repeat_interleave(len(own))
                drawn.append(model(copies.packed, copies.wanted).cpu())
            logits = torch.cat(drawn).unflatten(0, (passes, -1))  # (passes, asked, labels)
            asked = [len(items[i].positions) for i in places]
            results |= zip(places, logits.split(asked, dim=1))
    return [result.clone() for result in merged(results)]  # ordinary tensors, not inference ones


def lowest_depth(layers: Layers, depth: int) -> int:
    """Return the depth of the lowest `Site` that samples; MiniftError if there is no such layer."""
    named: dict[Layers, int] = {"all": 0, "head": depth + 1, "none": depth + 2}
    if layers in named:
        return named[layers]
    if layers == "trained":
        raise MiniftError('layers "trained" needs a FineTuned; call mc_stream or mc_predict')
    if not isinstance(layers, int) or not 1 <= layers <= depth:
        raise MiniftError(
            'layers must be "trained", "all", "head", "none" or the number of top layers that '
            f"sample, 1 to {depth}; got {layers!r}"
        )
    return depth - layers + 1


class TextMasks:
    """The masks of one batch: knows which row of a site belongs to which token of which text.

    `keys` (texts,) are those of `text_keys`; `depth` is that of the lowest site with rows for asked
    tokens only.
    """

    def __init__(self, packed: Packed, wanted: Selection, keys: Tensor, depth: int):
        self.keys, self.depth = keys, depth
        self.number: int | Tensor = 0  # of the pass; (texts,) where they differ
        device = packed.input_ids.device
        counts = torch.tensor(packed.lengths, device=device)
        texts = torch.arange(len(counts), device=device).repeat_interleave(counts)
        self.all = (packed.layout, texts, packed.position_ids)
        self.asked = (wanted.layout, wanted.of(texts), wanted.of(packed.position_ids))

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
