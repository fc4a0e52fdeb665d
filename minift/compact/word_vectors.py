"""First word vectors of a student: what its teacher's embedding table says of each word.

Claim    A student need not learn from a few thousand sentences which words are alike: the teacher's
         table of word pieces, read without any context, knows. A word's vector is the mean over
         its pieces, in the directions in which the words of the vocabulary differ most.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294: the student
         starts from pretrained word vectors that know no context.
Differs  The paper's vectors are another download (GloVe and the like); these come with the teacher,
         and need no file. Vectors are scaled to a mean length of 1, that of random ones.
Proof    tests/compact/test_word_vectors.py
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from minift.compact.student import Student
from minift.runs.tuned import FineTuned

WordVectors = Literal["teacher", "random"]


def word_vectors(teacher: FineTuned, words: Sequence[str], size: int) -> Tensor:
    """Read vectors of words from the teacher's embedding table: (words, size), or narrower.

    They are principal components, the first varying most, in float32.
    """
    table = teacher.model.bert.embeddings.word.weight.detach().cpu().double()
    (window,) = teacher.tokenizer.encode_words(words, max_length=2**40)
    owner, pieces = torch.tensor(window.piece_words), torch.tensor(window.input_ids)
    real = owner >= 0  # [CLS] and [SEP] belong to no word
    sums = table.new_zeros(len(words), table.shape[1])
    sums.index_add_(0, owner[real], table[pieces[real]])
    means = sums / owner[real].bincount(minlength=len(words)).unsqueeze(1)
    centred = means - means.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)  # the last ones vary most
    vectors: Tensor = centred @ directions.flip(1)[:, :size]
    length = vectors.norm(dim=1).mean()
    return (vectors / length if length > 0 else vectors).float()


def whole_words(teacher: FineTuned, most: int) -> list[str]:
    """Return the first pieces of the teacher's vocabulary that are words of two letters or more.

    A student that starts from their vectors knows words that occur in none of its sentences.
    """
    pieces = (piece for _, piece in teacher.tokenizer.vocabulary())
    return [piece for piece in pieces if len(piece) > 1 and piece.isalpha()][:most]


def start_from_teacher(student: Student, teacher: FineTuned) -> None:
    """Replace the student's word vectors, except the unknown word's and any columns left over."""
    rows = student.model.word.weight
    vectors = word_vectors(teacher, student.vocabulary.words, rows.shape[1])
    with torch.no_grad():
        rows[1:, : vectors.shape[1]] = vectors.to(rows)
