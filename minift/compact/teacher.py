"""What the teacher says about each word, asked once.

Claim    A student meets the same sentences hundreds of times, but the teacher reads each of them
         once: its logits are kept, one row per *word*, and no gradient ever reaches it.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294.
Differs  - The teacher's row for a word is that of its first piece, in the window that shows most
           around it. The authors' code of the paper's time compared piece n of the teacher with
           word n of the student; later it cut sentences at 128 pieces.
         - A label that is not a tag (padding, "X") has no column: the teacher cannot choose it.
         - Theirs runs the teacher anew in each step, with its gradient graph.
Proof    tests/compact/test_teacher.py
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from minift.compact.vocabulary import Words
from minift.data.examples import TaggedExample
from minift.data.tags import is_iob2, scheme_of
from minift.errors import MiniftError
from minift.runs.evaluate import predict_logits
from minift.runs.tuned import FineTuned


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
    teacher: FineTuned, sentences: Sequence[Words], progress: bool = False
) -> list[Tensor]:
    """Ask the teacher about each word of each sentence, however long.

    Returns for each sentence (words, tags), float32 on the CPU, columns as in `tag_labels`.
    """
    columns = [teacher.labels.index(tag) for tag in tag_labels(teacher)]
    items = teacher.items([TaggedExample(str(n), tuple(s)) for n, s in enumerate(sentences, 1)])
    rows: list[list[Tensor]] = [[] for _ in sentences]
    for item, logits in zip(items, predict_logits(teacher.model, items, progress=progress)):
        rows[item.example].append(logits[:, columns])
    answers = [torch.cat(windows).clone() for windows in rows]  # plain, fit for autograd
    assert [*map(len, answers)] == [*map(len, sentences)], "the teacher's rows are not one per word"
    return answers


def teacher_tags(teacher: FineTuned, sentences: Sequence[Words]) -> list[list[str]]:
    """Return the teacher's tag of each word."""
    labels = tag_labels(teacher)
    return [[labels[i] for i in z.argmax(1).tolist()] for z in teacher_logits(teacher, sentences)]
