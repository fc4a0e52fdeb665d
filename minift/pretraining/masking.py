"""Whole-word masking: which pieces a masked language model must guess, and what it sees instead.

Claim    A word is hidden with all its pieces or not at all; special tokens are never hidden;
         of each sequence 15 % of the pieces are hidden, give or take one word; a hidden piece
         becomes [MASK] (80 %) or a random piece (10 %), or stays (10 %), independently for each
         piece.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, section 3.1; whole words as in
         the authors' later release (https://github.com/google-research/bert, May 2019).
Differs  - Masks are drawn anew each time a sequence is seen (RoBERTa, Liu et al. 2019,
           https://arxiv.org/abs/1907.11692, section 4.1), not ten times in advance.
         - A word that would overshoot the 15 % is taken where that comes nearer to it; the
           reference tries other words. So long words are hidden as often as short ones.
Proof    tests/pretraining/test_masking.py
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from minift.checkpoints.tokenizer import Tokenizer


@dataclass(frozen=True)
class Masked:
    """A sequence with words hidden."""

    input_ids: Tensor  # (tokens,) what the model sees
    positions: Tensor  # (hidden,) ascending places of the hidden pieces: those with a loss
    targets: Tensor  # (hidden,) the ids that stood there


def piece_kinds(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """Return (continues, special), (vocabulary,) bool: begins with ##; one of the five, or none."""
    pieces, ids = dict(tokenizer.vocabulary()), range(tokenizer.vocab_size)
    continues = torch.tensor([pieces.get(index, "").startswith("##") for index in ids])
    special = torch.tensor([index not in pieces for index in ids])
    # [UNK], too: nobody can guess what stood there
    special[[getattr(tokenizer, f"{n}_id") for n in ("pad", "unk", "cls", "sep", "mask")]] = True
    return continues, special


def word_numbers(input_ids: Tensor, continues: Tensor, special: Tensor) -> Tensor:
    """Number the words of a sequence (see `piece_kinds`): 0, 1, 2, ..., -1 for special tokens.

    >>> continues, special = torch.tensor([[0, 0, 0, 1], [1, 0, 0, 0]]).bool()
    >>> word_numbers(torch.tensor([0, 1, 2, 3, 3, 1, 0]), continues, special).tolist()
    [-1, 0, 1, 1, 1, 2, -1]
    """
    ordinary = ~special[input_ids]
    # A sequence cut out of a text may begin in the middle of a word.
    first = ordinary & ~F.pad(ordinary, (1, -1))
    starts = first | (ordinary & ~continues[input_ids])
    return torch.where(ordinary, starts.cumsum(0) - 1, -1)


def mask_words(
    input_ids: Tensor,
    words: Tensor,
    replacements: Tensor,
    mask_id: int,
    generator: torch.Generator,
    share: float = 0.15,
) -> Masked:
    """Hide whole words of one sequence.

    Args:
        input_ids: (tokens,) on the CPU.
        words: (tokens,) number of the word of each piece, -1 where nothing may be hidden
            (see `word_numbers`; the `piece_words` of a `WordWindow` will do as well).
        replacements: ids that a random piece is drawn from.
        mask_id: id of [MASK].
        share: of the pieces that may be hidden, how many are; at least one word is.
    """
    numbers, sizes = words[words >= 0].unique(return_counts=True)
    order = torch.randperm(len(numbers), generator=generator)
    middles = sizes[order].cumsum(0) - sizes[order] / 2
    count = max(int((middles <= share * sizes.sum()).sum()), 1)
    positions = torch.isin(words, numbers[order[:count]]).logical_and(words >= 0).nonzero()[:, 0]

    targets = input_ids[positions]
    chances = torch.rand(len(positions), generator=generator)
    draws = torch.randint(len(replacements), (len(positions),), generator=generator)
    seen = torch.where(chances < 0.9, replacements[draws], targets)
    hidden = input_ids.clone()
    hidden[positions] = torch.where(chances < 0.8, mask_id, seen)
    return Masked(hidden, positions, targets)
