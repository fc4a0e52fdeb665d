"""Vocabulary expansion: words of your texts that an encoder cuts to pieces become whole.

Claim    The words added are those that cost most pieces: how often a word occurs times its pieces
         but one. Texts without them keep their ids, and old rows their bits. A new row is the mean
         of its word's old pieces, and so is its bias in the masked LM.
Paper    Chen et al. (2021), "Transformer-based Language Model Fine-tuning Methods for COVID-19
         Fake News Detection", https://arxiv.org/abs/2101.05509.
Differs  - The paper adds the six most frequent words of its subject, counted in validation texts,
           too, and does not say how rows start. Here unlabelled text decides, by the rule above.
         - A word has a letter, perhaps digits, nothing else, and occurs `LEAST` times. Only whole
           words are read as one: "covids" keeps its pieces, and so does "covid" beside "_". Beside
           a sign that BERT takes for a letter ("covid\N{TRADE MARK SIGN}") it is whole, too.
         - Words that are [UNK] are left out: their pieces have no rows.
Proof    tests/pretraining/test_expand.py
Tutorial tutorials/13_neighbours
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from minift.bert.encoder import Bert
from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.tokenizer import Tokenizer
from minift.errors import MiniftError, require

LEAST = 3  # times that a word must occur: from fewer a row learns too little to beat its pieces


def worst_cut(texts: Sequence[str], tokenizer: Tokenizer, size: int) -> list[str]:
    """Return the at most `size` words that cost most, the worst first, ties by the alphabet.

    A MiniftError says if there is none.
    """
    require(type(size) is int and size >= 1, "size", size, "a whole number from 1 up")
    costs = {
        word: count * (len(pieces) - 1)
        for pieces, count in Counter(tokenizer.words(texts)).items()
        if len(pieces) > 1 and count >= LEAST and _of_letters(word := _word(pieces, tokenizer))
    }
    if not costs:
        what = f"no word that occurs {LEAST} times or more is cut to pieces"
        raise MiniftError(f"there is nothing to add: {what}")
    return sorted(costs, key=lambda word: (-costs[word], word))[:size]


def _word(pieces: Sequence[int], tokenizer: Tokenizer) -> str:
    return "".join(piece.removeprefix("##") for piece in tokenizer.tokens(pieces))


def _of_letters(word: str) -> bool:
    kinds = {unicodedata.category(letter)[0] for letter in word}
    return "L" in kinds and kinds <= set("LMN")  # accents are marks


def expand(model: Bert | MaskedLM, tokenizer: Tokenizer, words: Sequence[str]) -> Tokenizer:
    """Give each word that is in pieces a row in `model`; return the tokenizer that reads it whole.

    A MiniftError says if one of `words` is several words, or has a letter without a piece.
    """
    new = dict[str, list[int]]()
    for word in words:
        found = [*tokenizer.words([word])]
        if len(found) != 1 or tokenizer.unk_id in found[0]:
            raise MiniftError(f"{word!r} is not one word of letters that the tokenizer knows")
        if len(found[0]) > 1:
            new[_word(found[0], tokenizer)] = [*found[0]]
    more, first = tokenizer.with_words([*new]), tokenizer.vocab_size

    def grown(rows: Tensor) -> Tensor:
        means = [rows[pieces].mean(0, keepdim=True) for pieces in new.values()]
        return torch.cat([rows[:first], *means, rows[first + len(new) :]]).detach()

    bert = model if isinstance(model, Bert) else model.bert
    bert.embeddings.word = nn.Embedding.from_pretrained(grown(bert.embeddings.word.weight), False)
    if isinstance(model, MaskedLM):
        model.bias = nn.Parameter(grown(model.bias))
    model.config = bert.config = replace(model.config, vocab_size=len(bert.embeddings.word.weight))
    return more
