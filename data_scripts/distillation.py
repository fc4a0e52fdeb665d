"""Distillation: a small BERT learns to give the vectors that a larger one gives.

Claim    An encoder that learns to give its teacher's vectors of sentences and words is worth
         having after some million word pieces, minutes of a laptop core, where masked-LM alone
         is not yet better than random weights (figures: the card of minift-tiny).
Paper    Wang et al. (2020), "MiniLM", https://arxiv.org/abs/2002.10957, for the idea of a small
         student of the last layers; the sentence loss is that of Tian et al. (2020),
         "Contrastive Representation Distillation", https://arxiv.org/abs/1910.10699, with the
         other sentences of the batch as the wrong answers.
Differs  - Hidden states are matched through projections that are thrown away, since widths
           differ; a word is matched at its first piece, since vocabularies differ.
         - [CLS] through the pooler must give the sentence vector (a classifier reads it there),
           and so must the mean of all tokens.
         - A share of the sentences is shown to the student in lower case; to the (uncased)
           teacher that makes no difference.
Proof    tests/pretraining/test_pretrain.py
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.config import BertConfig
from minift.bert.encoder import Bert, Pooler
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import Packed, Selection, pack, to_device
from minift.checkpoints.tokenizer import Tokenizer, WordWindow
from minift.data.words import split_words
from minift.errors import MiniftError
from minift.files import atomic_directory_write

CHUNK = 4096  # sentences of one file of the teacher's vectors
WORD_DIMS = 128  # principal components of a word's vector
SENTENCES_FOR_COMPONENTS = 600
LONGEST = 128  # word pieces of a sentence
WEIGHTS = {"word": 3.0, "cls": 1.0, "mean": 1.0, "cls_which": 0.25, "mean_which": 0.25}
SHARPNESS = 20.0  # what cosines are multiplied by before the softmax over the batch


# -- what the teacher says ---------------------------------------------------------------------


@dataclass(frozen=True)
class Taught:
    """A sentence and the teacher's vectors for it.

    Args:
        words: the words.
        sentence: (width,) mean over all tokens, of length 1.
        states: (words, 2 x width) middle and last layer at each word's first piece.
    """

    words: list[str]
    sentence: np.ndarray
    states: np.ndarray


def teach(
    sentences: Sequence[str],
    folder: Path,
    student: Tokenizer,
    teacher: Bert,
    teacher_tokenizer: Tokenizer,
    name: str = "",
    bf16: bool = False,
    worker: int = 0,
    workers: int = 1,
) -> None:
    """Write 000.npz, 001.npz, ...: sentences as ids, and the teacher's vectors for them.

    Chunks that are there already are kept; the process may be stopped at any time.

    Args:
        sentences: one sentence per string.
        folder: gets the chunks, and the projection of word vectors to `WORD_DIMS`.
        student: makes the ids.
        teacher, teacher_tokenizer: the larger model.
        name: what the names of the chunks begin with. Sentences come first, under "".
        bf16: compute the teacher in bfloat16.
        worker, workers: this process does each `workers`-th chunk, from number `worker` on.
    """

    def taught(lines: Sequence[str]) -> Iterator[Taught]:
        with torch.autocast(teacher_device(teacher), torch.bfloat16, enabled=bf16):
            yield from _teacher_vectors(lines, teacher, teacher_tokenizer)

    file = folder / "components.npz"
    if not file.is_file():
        sample = np.concatenate([t.states for t in taught(sentences[:SENTENCES_FOR_COMPONENTS])])
        projection = _principal_components(sample)
        atomic_directory_write(folder, lambda new: np.savez(new / file.name, **projection))
    projection = dict(np.load(file))
    for number in range(worker, -(-len(sentences) // CHUNK), workers):
        file = folder / f"{name}{number:03d}.npz"
        if file.is_file():
            continue
        started = time.perf_counter()
        lines = sentences[number * CHUNK : (number + 1) * CHUNK]
        chunk = _chunk(taught(lines), student, projection)
        atomic_directory_write(folder, lambda new: np.savez(new / file.name, **chunk))  # noqa: B023
        rate = len(chunk["sentence"]) / (time.perf_counter() - started)
        print(f"{file.name}: {len(chunk['sentence'])} sentences, {rate:.0f} per second", flush=True)


def teacher_device(teacher: Bert) -> str:
    """Return the kind of device the teacher is on."""
    return next(teacher.parameters()).device.type


def _teacher_vectors(lines: Sequence[str], teacher: Bert, tokenizer: Tokenizer) -> Iterator[Taught]:
    found: list[tuple[list[str], WordWindow]] = []
    for line in lines:
        words = [word for word, _, _ in split_words(line)]
        windows = tokenizer.encode_words(words, max_length=LONGEST)
        if len(windows) == 1 and words:
            found.append((words, windows[0]))
    found.sort(key=lambda entry: len(entry[1].input_ids))
    device = teacher_device(teacher)
    for at in range(0, len(found), 64):
        group = found[at : at + 64]
        packed = to_device(pack([window.input_ids for _, window in group]), device)
        with torch.inference_mode():
            states = teacher.hidden_states(packed)
        middle, last = states[len(states) // 2].float().cpu(), states[-1].float().cpu()
        lengths = packed.lengths
        for (words, window), m, h in zip(group, middle.split(lengths), last.split(lengths)):
            first = torch.tensor(window.word_positions)
            # Both layers at the same scale, or the components would be those of one.
            both = [F.rms_norm(layer[first], layer.shape[-1:]) for layer in (m, h)]
            sentence = F.normalize(h.mean(0), dim=0)
            yield Taught(words, sentence.numpy(), torch.cat(both, dim=-1).numpy())


def _principal_components(states: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean and basis; projected states have variance 1 per dimension on average."""
    mean = states.mean(0)
    values, vectors = np.linalg.eigh(np.cov((states - mean).T))
    kept = values[::-1][:WORD_DIMS]
    basis = vectors[:, ::-1][:, :WORD_DIMS] / np.sqrt(kept.mean())
    print(f"{WORD_DIMS} components keep {kept.sum() / values.sum():.0%} of the words' variance")
    return {"mean": mean.astype(np.float32), "basis": basis.astype(np.float32)}


def _chunk(
    taught: Iterator[Taught], tokenizer: Tokenizer, projection: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Lay sentences out as arrays: rows one after the other, and where each sentence ends."""
    rows: dict[str, list[np.ndarray]] = {
        name: [] for name in ("cased", "lower", "firsts_cased", "firsts_lower", "sentence", "words")
    }
    for one in taught:
        lowered = [word.lower() for word in one.words]
        ways = {
            "cased": tokenizer.encode_words(one.words, max_length=LONGEST),
            "lower": tokenizer.encode_words(lowered, max_length=LONGEST),
        }
        if any(len(windows) > 1 for windows in ways.values()):
            continue
        for way, (window,) in ways.items():
            rows[way].append(np.array(window.input_ids, np.uint16))
            rows[f"firsts_{way}"].append(np.array(window.word_positions, np.uint8))
        rows["sentence"].append(one.sentence.astype(np.float16)[None])
        states = (one.states - projection["mean"]) @ projection["basis"]
        rows["words"].append(states.astype(np.float16))
    arrays = {name: np.concatenate(values) for name, values in rows.items()}
    ends = {f"{n}_ends": np.cumsum([len(v) for v in rows[n]]) for n in ("cased", "lower", "words")}
    return arrays | ends


# -- what the student learns from it -----------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """Some sentences and the teacher's vectors for them.

    Args:
        packed: the student's word pieces.
        words: first piece of each word.
        sentence: (sentences, teacher's width), each of length 1.
        states: (words, WORD_DIMS).
    """

    packed: Packed
    words: Selection
    sentence: Tensor
    states: Tensor


class Lessons:
    """Batches of taught sentences: batch s is a function of the seed and s alone.

    Args:
        folder: what `teach` wrote.
        size: sentences of a batch.
        lower: share of the sentences shown in lower case.
        held_out: sentences of the first chunk that are never trained on.
        seed: of order and case.
    """

    POOL = 64  # batches whose sentences are sorted by length together: little padding, still random

    def __init__(self, folder: Path, size: int, lower: float, held_out: int = 1024, seed: int = 0):
        files = sorted(folder.glob("*[0-9].npz"))
        if not files:
            raise MiniftError(f"{folder} has no chunk (000.npz, ...) of the teacher's vectors yet")
        self.chunks = [dict(np.load(file)) for file in files]
        counts = [len(chunk["sentence"]) for chunk in self.chunks]
        self.where = [(n, row) for n, count in enumerate(counts) for row in range(count)]
        self.lengths = np.concatenate([np.diff(c["cased_ends"], prepend=0) for c in self.chunks])
        # A chunk is sorted by length, so its held-out sentences are taken evenly.
        self.held = np.linspace(0, counts[0] - 1, min(held_out, counts[0] // 4)).astype(int)
        self.train = np.setdiff1d(np.arange(len(self.where)), self.held)
        self.size, self.lower, self.seed = size, lower, seed
        self.widths = tuple(self.chunks[0][name].shape[1] for name in ("sentence", "words"))
        self._pass, self._batches = -1, np.empty(0)

    def batch(self, step: int) -> Lesson:
        """Return the lesson of a step."""
        per_pass = max(1, len(self.train) // self.size)
        if step // per_pass != self._pass:
            self._pass = step // per_pass
            self._batches = self._order(per_pass)
        rows = self._batches[step % per_pass]
        chances = np.random.default_rng((self.seed, 1, step)).random(len(rows))
        return self.lesson(rows, chances < self.lower)

    def _order(self, per_pass: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, 0, self._pass))
        order = rng.permutation(self.train)[: per_pass * self.size]
        pool = self.size * self.POOL
        pools = [order[at : at + pool] for at in range(0, len(order), pool)]
        by_length = [rows[np.argsort(self.lengths[rows], kind="stable")] for rows in pools]
        batches = np.concatenate(by_length).reshape(per_pass, -1)
        return batches[rng.permutation(per_pass)]

    def lesson(self, rows: Sequence[int], lowered: Sequence[bool]) -> Lesson:
        """Return the lesson on some sentences, some of them in lower case."""
        ids, firsts, sentence, states = [], [], [], []
        for row, lower in zip(rows, lowered):
            number, at = self.where[row]
            chunk, way = self.chunks[number], "lower" if lower else "cased"
            words = _rows(chunk["words_ends"], at)
            ids.append(chunk[way][_rows(chunk[f"{way}_ends"], at)].tolist())
            firsts.append(chunk[f"firsts_{way}"][words].tolist())
            sentence.append(chunk["sentence"][at])
            states.append(chunk["words"][words])
        packed = pack(ids)
        return Lesson(
            packed,
            packed.select(firsts),
            F.normalize(torch.from_numpy(np.stack(sentence)).float(), dim=-1),
            torch.from_numpy(np.concatenate(states)).float(),
        )


def _rows(ends: np.ndarray, at: int) -> slice:
    return slice(int(ends[at - 1]) if at else 0, int(ends[at]))


class Student(nn.Module):
    """The model that ships, and the projections to the teacher's widths, which do not.

    Args:
        config: of the model.
        widths: of the teacher's sentence vectors and word vectors; None for masked-LM alone.
    """

    def __init__(self, config: BertConfig, widths: tuple[int, int] | None):
        super().__init__()
        self.model = MaskedLM(config)
        self.thrown_away = nn.ModuleDict()
        if widths:
            self.model.bert.pooler = Pooler(config)
            for name, width in {"cls": widths[0], "mean": widths[0], "word": widths[1]}.items():
                self.thrown_away[name] = nn.Linear(config.hidden_size, width)

    def forward(self, packed: Packed, words: Selection) -> tuple[Tensor, Tensor, Tensor]:
        """Guess the teacher's vectors: of sentences from [CLS], from the mean, and of words."""
        bert = self.model.bert
        hidden = bert(packed)
        lengths = torch.tensor(packed.lengths, device=hidden.device).unsqueeze(-1)
        cls = bert.pooler(packed.first_tokens().of(hidden))
        mean = packed.layout.pad(hidden).sum(1) / lengths
        return (
            F.normalize(self.thrown_away["cls"](cls).float(), dim=-1),
            F.normalize(self.thrown_away["mean"](mean).float(), dim=-1),
            self.thrown_away["word"](words.of(hidden)).float(),
        )


def distances(student: Student, lesson: Lesson) -> dict[str, Tensor]:
    """How far the student's guesses are from the teacher's vectors; `WEIGHTS` sums them up.

    Returns:
        "word": mean squared error per dimension, where guessing the mean gives about 1.
        "cls", "mean": 1 - cosine of the sentence vector guessed from there.
        "cls_which", "mean_which": cross-entropy of telling the sentence from its batch.
    """
    cls, mean, words = student(lesson.packed, lesson.words)
    own = torch.arange(len(cls), device=cls.device)
    found = {"word": F.mse_loss(words, lesson.states)}
    for name, guess in (("cls", cls), ("mean", mean)):
        cosines = guess @ lesson.sentence.T
        found[name] = 1 - cosines.diagonal().mean()
        found[f"{name}_which"] = F.cross_entropy(SHARPNESS * cosines, own)
    return found
