"""What the teacher says about each word, asked once.

Claim    A student meets the same sentences hundreds of times, but the teacher reads each of them
         once: its logits are kept, one row per *word*, and no gradient ever reaches it. A kill
         costs only the answers since the file was last written; the next call resumes there.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294.
Differs  - The teacher's row for a word is that of its first piece, in the window that shows most
           around it; special tokens and other pieces have none. The authors' code of the paper's
           time compared piece n of the teacher with word n of the student; later it cut
           sentences at 128 pieces and lost the words after that.
         - A label that is not a tag (padding, "X") has no column: the teacher cannot choose it.
         - Theirs runs the teacher anew in each step, with its gradient graph.
Proof    tests/compact/test_teacher.py
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from minift.checkpoints.weights import weights_digest
from minift.compact.vocabulary import Words
from minift.data.examples import TaggedExample
from minift.data.tags import is_iob2, scheme_of
from minift.errors import MiniftError
from minift.files import atomic_write, claim_file, digest
from minift.runs.evaluate import predict_logits
from minift.runs.tuned import FineTuned
from minift.speed.precision import precision_of
from minift.training.batches import Item

CACHE = rb'(?s).{8}\{"__metadata__":\{"digest":"'  # how the file of the answers begins
PART = 1024  # sentences between two writes of the file


def tag_labels(teacher: FineTuned) -> tuple[str, ...]:
    """Return the teacher's labels that are IOB2 tags, in its order; or refuse what is no tagger."""
    if teacher.task != "tagging":
        raise MiniftError(
            f"the teacher was trained for {teacher.task}; only a tagger can teach a tagger: "
            "train one with token files, minift train --train FILE.conll"
        )
    tags = tuple(label for label in teacher.labels if is_iob2(label))
    if len(tags) < 2 or "O" not in tags or scheme_of(teacher.labels)[0] == "bioes":
        raise MiniftError(
            f"the teacher's labels are {', '.join(teacher.labels)}; expected O and B-TYPE, I-TYPE"
        )
    return tags


def teacher_logits(
    teacher: FineTuned,
    sentences: Sequence[Words],
    cache: str | Path | None = None,
    progress: bool = False,
) -> list[Tensor]:
    """Ask the teacher about each word of each sentence, however long.

    Args:
        cache: file that keeps the answers, written every `PART` sentences. What it holds of
            this teacher on these sentences is read; answers of another are replaced.
        progress: show a bar on standard error.

    Returns for each sentence (words, tags), float32 on the CPU, columns as in `tag_labels`.
    """
    columns = [teacher.labels.index(tag) for tag in tag_labels(teacher)]
    examples = [TaggedExample(str(n), tuple(words)) for n, words in enumerate(sentences, 1)]
    items = teacher.items(examples)
    lengths = [len(words) for words in sentences]
    if cache is not None:
        claim_file(cache, "--cache", ours=CACHE)
    kept = None if cache is None else (Path(cache), _digest(teacher, items))
    answers = [] if kept is None else _read(*kept, lengths)
    for at in range(len(answers), len(sentences), PART):  # the same parts, interrupted or not
        rows: list[list[Tensor]] = [[] for _ in sentences[at : at + PART]]
        part = [item for item in items if at <= item.example < at + PART]
        for item, logits in zip(part, predict_logits(teacher.model, part, progress=progress)):
            rows[item.example - at].append(logits[:, columns])
        answers += [torch.cat(windows).clone() for windows in rows]  # plain, fit for autograd
        if kept is not None:
            file, name = kept
            atomic_write(file, save({"logits": torch.cat(answers)}, {"digest": name}))
    assert [len(rows) for rows in answers] == lengths, "the teacher's rows are not one per word"
    return answers


def teacher_tags(teacher: FineTuned, sentences: Sequence[Words]) -> list[list[str]]:
    """Return the teacher's tag of each word."""
    labels = tag_labels(teacher)
    return [[labels[i] for i in z.argmax(1).tolist()] for z in teacher_logits(teacher, sentences)]


def _digest(teacher: FineTuned, items: Sequence[Item]) -> str:
    """Digest all that the answers depend on: weights, precision, the pieces the teacher reads."""
    read = [(item.example, item.input_ids, item.positions) for item in items]
    precision = precision_of(teacher.model)
    return digest(repr((weights_digest(teacher.model), teacher.labels, precision, read)))


def _read(cache: Path, digest: str, lengths: Sequence[int]) -> list[Tensor]:
    """Return the answers in the file, in order; none if they are others, or it is damaged."""
    if not cache.is_file():
        return []
    try:
        with safe_open(cache, framework="pt") as file:
            if (file.metadata() or {}).get("digest") != digest:
                return []
            rows = file.get_tensor("logits")
    except SafetensorError:
        return []
    answered = list(accumulate(lengths)).index(len(rows)) + 1  # sentences
    return list(rows.split(lengths[:answered]))
