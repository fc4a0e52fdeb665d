"""The line of data_scripts/bias_gaps.py.

claim                                                      oracle
accuracy, rate and gap are those of the test set           answers that go by the named identity
  a method is trained once per seed, as it was asked       the calls
"""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

from minift.data.named import SETS
from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "data_scripts"))
script = importlib.import_module("bias_gaps")
WORDS = (SETS / "identity_words.txt").read_text(encoding="utf-8").split()


def evaluate(examples):
    """Call toxic whatever names an identity: half of the 400 texts, of which half are."""
    said = ["toxic" if {*e.text.split()} & {*WORDS} else "neutral" for e in examples]
    right = sum(s == e.label for s, e in zip(said, examples)) / len(said)
    return SimpleNamespace(predicted=said, scores={"accuracy": right})


def test_the_gap_of_answers_that_go_by_the_named_identity_is_1(monkeypatch, capsys):
    calls = []

    def train(dataset, encoder, chosen, *, seeds, labels, settings):
        calls.append((chosen.name, seeds, labels, settings.epochs, settings.min_steps))
        return SimpleNamespace(evaluate=evaluate), {}

    monkeypatch.setattr(script, "train", train)
    command = ["bias_gaps.py", "full", "fgm", "--labels", "9", "--epochs", "2", "--seeds", "2"]
    monkeypatch.setattr("sys.argv", command)
    script.main()
    lines = capsys.readouterr().out.splitlines()
    expected = "accuracy 0.500, called toxic with an identity 1.000, gap +1.000 (+0.9"
    assert [line.partition(": ")[0] for line in lines] == [
        "full seed 0", "fgm seed 0", "full seed 1", "fgm seed 1",
    ]  # fmt: skip
    assert all(expected in line for line in lines)
    assert calls == [(m, seed, 9, 2, 0) for seed in (0, 1) for m in ("full", "fgm")]
