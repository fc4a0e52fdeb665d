"""Whole-word masking, each claim against arithmetic done another way.

claim                                              oracle
-------------------------------------------------  ---------------------------------------------
a word is hidden whole or not at all               words counted in plain Python
15 % of the pieces are hidden, give or take one    sum over words, each sequence on its own
word
[CLS], [SEP], [UNK], [PAD] are never hidden        Hypothesis: sequences of any composition
80 % [MASK], 10 % random, 10 % kept                binomial, 4 standard deviations
a random piece may be any piece, each as likely    chi-square statistic
what is not hidden is not touched                  comparison position by position
the same generator state gives the same masks      run twice; another seed differs
word numbers                                       the words the text was made of
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.checkpoints.tokenizer import Tokenizer
from minift.pretraining.masking import mask_words, piece_kinds, word_numbers

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
TOKENIZER = Tokenizer.from_vocabulary(
    SPECIALS + LETTERS + [f"##{letter}" for letter in LETTERS], lowercase=False
)
CONTINUES, SPECIAL = piece_kinds(TOKENIZER)
ORDINARY = (~SPECIAL).nonzero()[:, 0]
MASK = TOKENIZER.mask_id


def sequence(word_lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids of [CLS] words [SEP], every piece another letter where there are enough."""
    pieces, numbers = [TOKENIZER.cls_id], [-1]
    for number, length in enumerate(word_lengths):
        for place in range(length):
            letter = LETTERS[(number + place) % 26]
            pieces.append(5 + LETTERS.index(letter) + (26 if place else 0))
            numbers.append(number)
    return torch.tensor([*pieces, TOKENIZER.sep_id]), torch.tensor([*numbers, -1])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hide(ids: torch.Tensor, words: torch.Tensor, seed: int = 0, share: float = 0.15):
    return mask_words(ids, words, ORDINARY, MASK, seeded(seed), share)


lengths = st.lists(st.integers(1, 9), min_size=1, max_size=60)


@given(lengths, st.integers(0, 10_000), st.floats(0.05, 0.6))
@settings(max_examples=200, deadline=None)
def test_words_are_hidden_whole_and_within_one_word_of_the_share(word_lengths, seed, share):
    ids, words = sequence(word_lengths)
    masked = hide(ids, words, seed, share)
    hidden = set(masked.positions.tolist())
    hidden_words = {int(words[p]) for p in hidden}
    assert -1 not in hidden_words  # [CLS] and [SEP] never
    assert hidden == {p for p, word in enumerate(words.tolist()) if word in hidden_words}
    wanted = share * sum(word_lengths)
    assert abs(len(hidden) - wanted) <= max(word_lengths)
    assert hidden_words  # something is always asked


@given(lengths, st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_only_hidden_places_change_and_the_targets_are_what_stood_there(word_lengths, seed):
    ids, words = sequence(word_lengths)
    before = ids.clone()
    masked = hide(ids, words, seed)
    assert torch.equal(ids, before)
    assert torch.equal(masked.targets, before[masked.positions])
    untouched = torch.ones(len(ids), dtype=torch.bool)
    untouched[masked.positions] = False
    assert torch.equal(masked.input_ids[untouched], before[untouched])
    assert masked.positions.tolist() == sorted(set(masked.positions.tolist()))


@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1), min_size=1, max_size=40), st.integers())
@settings(max_examples=200, deadline=None)
def test_special_tokens_are_never_hidden_wherever_they_stand(pieces, seed):
    ids = torch.tensor(pieces)
    words = word_numbers(ids, CONTINUES, SPECIAL)
    masked = hide(ids, words, seed % 2**32, share=0.5)
    assert not SPECIAL[ids[masked.positions]].any()
    assert (len(masked.positions) == 0) == bool(SPECIAL[ids].all())


def test_eighty_ten_ten_holds_within_four_standard_deviations():
    ids, words = sequence([1, 2, 3, 1, 4] * 200)
    masks = kept = replaced = 0
    for seed in range(60):
        masked = hide(ids, words, seed)
        seen = masked.input_ids[masked.positions]
        masks += int((seen == MASK).sum())
        kept += int((seen == masked.targets).sum())
        replaced += int(((seen != MASK) & (seen != masked.targets)).sum())
    total = masks + kept + replaced
    same = 0.1 / len(ORDINARY)  # a random piece may be the old one by chance
    for count, share in ((masks, 0.8), (kept, 0.1 + same), (replaced, 0.1 - same)):
        assert abs(count - share * total) < 4 * math.sqrt(total * share * (1 - share)), share
    assert total > 15_000


def test_a_random_piece_is_any_ordinary_piece_with_equal_chance():
    ids, words = sequence([1] * 2000)
    counts = torch.zeros(TOKENIZER.vocab_size)
    for seed in range(60):
        masked = hide(ids, words, seed, share=0.6)
        seen = masked.input_ids[masked.positions]
        changed = seen[(seen != MASK) & (seen != masked.targets)]
        counts += torch.bincount(changed, minlength=TOKENIZER.vocab_size)
    assert counts[SPECIAL].sum() == 0
    # every first piece occurs as a target, so each ## piece is drawn as often as any other
    inner = counts[5 + 26 :]
    expected = inner.mean()
    chi_square = float(((inner - expected) ** 2 / expected).sum())
    assert chi_square < 25 + 4 * math.sqrt(2 * 25)


def test_every_word_is_hidden_as_often_as_every_other_long_or_short():
    word_lengths = [1, 1, 1, 1, 6, 1, 2, 1, 3, 1, 1, 4, 1, 1, 1, 5, 1, 1, 2, 1] * 3
    ids, words = sequence(word_lengths)
    times = torch.zeros(len(word_lengths))
    runs = 3000
    for seed in range(runs):
        hidden_words = words[hide(ids, words, seed).positions].unique()
        times[hidden_words] += 1
    rates = {n: float(times[torch.tensor(word_lengths) == n].mean()) / runs for n in (1, 6)}
    assert rates[6] == pytest.approx(rates[1], rel=0.15)


def test_the_generator_alone_decides():
    ids, words = sequence([2, 1, 3] * 30)
    first, again, other = hide(ids, words, 1), hide(ids, words, 1), hide(ids, words, 2)
    assert torch.equal(first.input_ids, again.input_ids)
    assert torch.equal(first.positions, again.positions)
    assert not torch.equal(first.positions, other.positions)


def test_word_numbers_are_those_of_the_words_the_text_was_made_of():
    text = ["the", "b", "[UNK]", "cat", "a"]
    pieces: list[int] = []
    expected: list[int] = []
    for number, word in enumerate(text):
        ids = TOKENIZER.encode([word])[0].input_ids[1:-1]
        pieces += ids
        expected += [number if word != "[UNK]" else -1] * len(ids)
    expected = [n - (n > 2) for n in expected]  # [UNK] takes no number
    assert word_numbers(torch.tensor(pieces), CONTINUES, SPECIAL).tolist() == expected


def test_a_sequence_that_begins_inside_a_word_counts_its_rest_as_a_word():
    ids = torch.tensor([TOKENIZER.cls_id, 5 + 26, 5 + 27, 5, TOKENIZER.sep_id, 5 + 28])
    assert word_numbers(ids, CONTINUES, SPECIAL).tolist() == [-1, 0, 0, 1, -1, 2]


def test_words_of_a_window_may_be_used_as_they_are():
    window = TOKENIZER.encode_words(["abc", "d", "ef"], max_length=20)[0]
    ids, words = torch.tensor(window.input_ids), torch.tensor(window.piece_words)
    assert torch.equal(words, word_numbers(ids, CONTINUES, SPECIAL))
    masked = hide(ids, words + 7 * (words >= 0))  # numbers need not start at 0
    assert len(masked.positions) in (1, 2, 3)
