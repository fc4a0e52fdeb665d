"""From raw text to masked-LM batches: a run of word pieces, packed sequences.

Claim    Every piece of a document is read once per pass; and the batch of step s is a function of
         the seed and s alone, so that a run can be stopped and resumed at any step.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, section 3.1; full-length
         sequences within a document: Liu et al. (2019), https://arxiv.org/abs/1907.11692,
         section 4.2 (DOC-SENTENCES).
Differs  - No next-sentence prediction. Half of the sequences are cut into a pair of segments
           all the same, so that segment 1 and the second [SEP] are trained.
         - Sequences without a piece to guess (of [UNK] alone) are left out.
         - Every eighth batch holds sequences of twice the length, so that later positions are
           trained at little cost, but not where no text is longer than one sequence.
Proof    tests/pretraining/test_pretrain.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minift.bert.packing import pack
from minift.checkpoints.tokenizer import CHUNK, Tokenizer
from minift.errors import MiniftError
from minift.pretraining.masking import mask_words, piece_kinds, word_numbers
from minift.runs.steps import rows_of, stream
from minift.training.batches import Batch


@dataclass(frozen=True)
class Corpus:
    """A text as word pieces, without special tokens."""

    ids: np.ndarray  # (pieces,) all documents in a row
    ends: np.ndarray  # (documents,) where each ends

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Tokenizer) -> Corpus:
        """Read texts whole, each as a document."""
        parts = (texts[at : at + CHUNK] for at in range(0, len(texts), CHUNK))
        encodings = (e for part in parts for e in tokenizer.encode(part, max_length=10**9))
        pieces = [np.array(e.input_ids[1:-1], np.uint32) for e in encodings]
        return cls(np.concatenate([[], *pieces]).astype(np.uint32), np.cumsum([*map(len, pieces)]))

    def cut(self, length: int, continues: np.ndarray) -> np.ndarray:
        """Cut each document into runs of at most `length` pieces that end between words.

        With `continues` as in `piece_kinds`, return (runs, 2) start and end of each run.
        """
        runs, start = [], 0
        for document_end in self.ends.tolist():
            while start < document_end:
                end = min(start + length, document_end)
                while end < document_end and end > start + 1 and continues[self.ids[end]]:
                    end -= 1
                runs.append((start, end))
                start = end
        return np.array(runs, dtype=np.int64).reshape(-1, 2)


class MaskedText:
    """Batches for masked language modelling: batch s is a function of the seed and s."""

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        sequences: int = 16,
        length: int = 128,
        long_every: int = 8,
        seed: int = 0,
        pairs: float = 0.5,
    ):
        """Prepare batches of `sequences` x `length` pieces; sequences end between words.

        The `tokenizer` made the ids of the corpus. Every batch of the number `long_every` has half
        as many sequences of twice the length (0: none has), if a text is longer than `length`.
        The seed is that of order, cuts and masks; `pairs` is the share that is cut into pairs.
        """
        self.continues, self.special = piece_kinds(tokenizer)
        self.corpus, self.tokenizer, self.seed, self.pairs = corpus, tokenizer, seed, pairs
        self.replacements = (~self.special).nonzero()[:, 0]
        self.sequences = sequences
        asks = ~self.special.numpy()[corpus.ids]  # a run of [UNK] alone leaves nothing to guess
        cuts = (  # [CLS] a [SEP] b [SEP]
            corpus.cut(size - 3, self.continues.numpy()) for size in (length, 2 * length)
        )
        self.runs, self.long_runs = (
            np.array([run for run in cut if asks[slice(*run)].any()]).reshape(-1, 2) for cut in cuts
        )
        self.long_every = long_every if len(self.long_runs) < len(self.runs) else 0
        if len(self.runs) < sequences:
            raise MiniftError(
                f"the text gives {len(self.runs)} sequences of {length} pieces, a batch needs "
                f"{sequences}; give more text or ask for smaller batches"
            )

    def batch(self, step: int) -> Batch:
        """Return the batch of a step: packed ids with words hidden, the places, the targets."""
        long_before = step // self.long_every if self.long_every else 0
        runs, turn, size = self.runs, step - long_before, self.sequences
        if self.long_every and step % self.long_every == self.long_every - 1:
            runs, turn, size = self.long_runs, long_before, max(1, self.sequences // 2)
        generator = torch.Generator().manual_seed(stream(self.seed, step))
        sequences, segments, positions, targets = [], [], [], []
        for start, end in runs[rows_of(turn, len(runs), size, self.seed)]:
            ids, segment = self._sequence(self.corpus.ids[start:end], generator)
            words = word_numbers(ids, self.continues, self.special)
            masked = mask_words(ids, words, self.replacements, self.tokenizer.mask_id, generator)
            sequences.append(masked.input_ids.tolist())
            segments.append(segment)
            positions.append(masked.positions.tolist())
            targets.append(masked.targets)
        packed = pack(sequences, segments)
        return Batch(packed, packed.select(positions), torch.cat(targets))

    def _sequence(self, run: np.ndarray, generator: torch.Generator) -> tuple[Tensor, list[int]]:
        """Put special tokens around a run, `pairs` of the time as a pair."""
        cls, sep = [self.tokenizer.cls_id], [self.tokenizer.sep_id]
        ids = run.tolist()
        pair, at = torch.rand(2, generator=generator).tolist()
        cut = int(at * len(ids))
        while 0 < cut < len(ids) and self.continues[ids[cut]]:
            cut += 1
        if pair < 1 - self.pairs or cut in (0, len(ids)):
            return torch.tensor(cls + ids + sep), [0] * (len(ids) + 2)
        first, second = cls + ids[:cut] + sep, ids[cut:] + sep
        return torch.tensor(first + second), [0] * len(first) + [1] * len(second)
