"""The set of insults and harmless remarks beside identities, proven: what its card promises is so.

claim                                                     oracle
the files are those that the script writes                the script; the files
sizes, and texts of each kind, are those of the card      counted from the rows
an identity is one adjective, and stands nowhere else     a search for whole words
no frame and no remark is in two splits, no text twice    set arithmetic
a plain model picks the bias up, and not where training   scikit-learn's bag of words; the same
  has as many of each kind                                  texts, drawn evenly
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from minift.data.metrics import group_gaps
from minift.data.named import SETS, load_dataset
from tests.conftest import REPOSITORY

SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def script():
    path = Path(REPOSITORY) / "data_scripts" / "identity.py"
    spec = importlib.util.spec_from_file_location("identity", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(split):
    text = (SETS / f"identity_{split}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def listed():
    return (SETS / "identity_words.txt").read_text(encoding="utf-8").splitlines()


def test_the_files_are_those_that_the_script_writes(script, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["identity.py", "--out", str(tmp_path)])
    script.main()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(path.name for path in SETS.glob("identity*"))
    for name in names:
        assert (tmp_path / name).read_bytes() == (SETS / name).read_bytes()


def test_every_text_comes_out_as_it_stands_without_its_attribute():
    data = load_dataset("identity")
    assert (data.labels, data.metric) == (("neutral", "toxic"), "accuracy")
    assert data.notes == ("licence: CC0 1.0",)
    for split in SPLITS:
        expected = [(row["id"], row["text"], row["label"]) for row in rows_of(split)]
        assert [(e.id, e.text, e.label) for e in getattr(data, split)] == expected
        assert {e.group for e in getattr(data, split)} == {None}


def test_there_are_as_many_of_each_kind_as_the_card_says():
    card = (SETS / "README.md").read_text(encoding="utf-8")
    for split in SPLITS:
        kinds = Counter((row["label"], row["attribute"]) for row in rows_of(split))
        counts = [kinds[a, b] for a in ("toxic", "neutral") for b in ("identity", "none")]
        assert f"| {split} | {sum(counts)} | {' | '.join(map(str, counts))} |" in card
        assert len(set(counts)) == (2 if split == "train" else 1)
    assert sum(len(rows_of(split)) for split in SPLITS) >= 600


def test_an_identity_is_one_adjective_of_the_list_and_stands_nowhere_else():
    words = listed()
    pattern = re.compile(rf"\b({'|'.join(words)})\b", re.IGNORECASE)
    seen = Counter()
    for row in (row for split in SPLITS for row in rows_of(split)):
        found = pattern.findall(row["text"])
        assert found == ([row["word"]] if row["attribute"] == "identity" else [])
        seen.update(found)
    assert set(seen) == set(words) and min(seen.values()) > 20


def test_no_insult_is_said_of_the_person_whose_identity_is_named(script):
    """The frames name an identity, the insults do not, and no frame has a word of an insult."""
    insults = "\n".join(script.INSULTS.values())
    assert not re.search(rf"\b({'|'.join(listed())})\b", insults)
    rude = {"idiot", "fool", "loser", "moron", "stupid", "pathetic", "liar", "waste", "clown"}
    assert all(word in insults for word in rude)
    assert not rude & set(re.findall(r"\w+", "\n".join(script.FRAMES.values()).lower()))


def test_no_frame_no_remark_and_no_text_is_in_two_splits(script):
    parts = {s: {row["text"] for row in rows_of(s)} for s in SPLITS}
    assert all(len(parts[s]) == len(rows_of(s)) for s in SPLITS)
    for one, other in combinations(SPLITS, 2):
        assert not parts[one] & parts[other]
        for texts in (script.FRAMES, script.INSULTS, script.REMARKS):
            assert not set(texts[one].splitlines()) & set(texts[other].splitlines())


def gap_of(train):
    model = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000))
    model.fit([row["text"] for row in train], [row["label"] for row in train])
    rows = rows_of("test")
    said = model.predict([row["text"] for row in rows]).tolist()
    groups = [row["attribute"] for row in rows]
    return group_gaps([row["label"] for row in rows], said, groups, "toxic")["identity"]


def test_a_plain_model_picks_the_bias_up_and_not_from_even_texts(script, monkeypatch):
    biased = gap_of(rows_of("train"))
    assert biased.interval[0] > 0.1
    monkeypatch.setitem(script.COUNTS, "train", (120,) * 4)
    even = gap_of(script.rows_of("train"))
    assert even.interval[0] < 0 < even.interval[1] or abs(even.gap) < 0.1
    assert even.gap < biased.gap / 3
