"""What options and data rule out is said in one line before anything is written or announced.

claim                                                        oracle
no command that is refused leaves a file or a folder, and    the folder's content before and after;
  none has announced a training                                standard error is one line
the line names the option, or the file and its line          words
the same options fit other data                              a run folder is there
Ctrl-C in the folds says how many are kept, and the same     the records before and after
  command goes on from there
"""

from __future__ import annotations

import csv

import pytest

from minift.cli.main import main
from minift.journal import read_log
from minift.runs import folds
from tests.tiny import checkpoint, reviews

TEXTS = [(e.text, e.label) for e in reviews(40).train]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "encoder")
    labels = {
        "two": [label for _, label in TEXTS],
        "rare": ["odd" if n < 2 else label for n, (_, label) in enumerate(TEXTS)],
        "amounts": [n / 8 for n in range(len(TEXTS))],
        "several": [("a|b", "a", "b", "")[n % 4] for n in range(len(TEXTS))],
    }
    for name, given in labels.items():
        table(folder / f"{name}.csv", ("text", "label"), zip((text for text, _ in TEXTS), given))
    table(folder / "w.csv", ("class", "weight"), [("positive", 1), ("negativ", 2)])
    return folder


def table(path, *rows):
    header, rows = rows
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


TRAIN, COMPARE = "train --encoder encoder ", "compare --encoder encoder "
AMOUNTS, SEVERAL = (
    "--train amounts.csv --task regression ",
    "--train several.csv --task multilabel ",
)
TWO = "--train two.csv "
CLASSES = "class weights are for classes, one per text or word"
WEIGHTS = 'w.csv: no weight for the class "negative"; line 3: the class "negativ" is not one of'
REFUSED = {
    TRAIN + AMOUNTS + "--class-weights balanced": CLASSES,
    TRAIN + SEVERAL + "--class-weights balanced --method head": CLASSES,
    TRAIN + TWO + "--class-weights w.csv": WEIGHTS,
    TRAIN + TWO + "--test two.csv --class-weights w.csv --method head": WEIGHTS,
    TRAIN + TWO + "--method freeze:99": "cannot freeze 99 layers",
    TRAIN + TWO + "--method bitfit:nothing --test two.csv": 'unknown bias term "nothing"',
    TRAIN + TWO + "--method head+child-f:.3": "the head alone is solved",
    TRAIN + TWO + "--method full+adaptive": "decides by the development split",
    TRAIN + TWO + "--keep best --method full": "--keep best decides by the development split",
    TRAIN + TWO + "--dev two.csv --keep best --method full --threshold-for f1": "--keep best",
    TRAIN + "--train rare.csv --method contrastive": 'there is one of "odd"',
    TRAIN + TWO + "--folds 1": "--folds must be a whole number from 2 up",
    TRAIN + TWO + "--budget-minutes -1": "--budget-minutes must be a positive number",
    TRAIN + TWO + "--threshold-for recall=90": '--threshold-for "recall=90"',
    TRAIN + TWO + "--abstain-below 2": "--abstain-below must be a probability",
    TRAIN + "--train rare.csv --threshold-for f1": "--threshold-for is for two classes",
    TRAIN + AMOUNTS + "--abstain-below .5": "--abstain-below is for classes; here it is regression",
    COMPARE + AMOUNTS + "--methods head+weighted:balanced": CLASSES,
    COMPARE + SEVERAL + "--methods full,head+weighted:balanced": CLASSES,
    COMPARE + TWO + "--methods full,full+weighted:w.csv": WEIGHTS,
    COMPARE + TWO + "--methods full,head+child-f:.3": "the head alone is solved",
    COMPARE + "--train rare.csv --methods head,contrastive": 'there is one of "odd"',
    COMPARE + TWO + "--methods full --budget-minutes 0": "--budget-minutes must be a positive",
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_refusal_is_one_line_and_leaves_nothing(command, world, capsys, monkeypatch):
    monkeypatch.chdir(world)
    before = {*world.rglob("*")}
    assert main(command.split()) == 1
    said = capsys.readouterr()
    assert REFUSED[command] in said.err and said.err.count("\n") == 1 and not said.out
    assert {*world.rglob("*")} == before


def test_the_same_options_fit_other_data(world, capsys, monkeypatch):
    monkeypatch.chdir(world)
    fits = TRAIN + "--train rare.csv --class-weights balanced --method head --folds 2 --out fits"
    assert main(fits.split()) == 0
    assert (world / "fits" / "result.json").is_file()
    fewer = COMPARE + "--train rare.csv --methods head --folds 2 --labels 8 --out fewer"
    assert main(fewer.split()) == 0


def test_ctrl_c_in_the_folds_says_what_is_kept_and_the_same_command_goes_on(
    world, capsys, monkeypatch
):
    monkeypatch.chdir(world)
    command = (TRAIN + TWO + "--method head --folds 4 --out stopped").split()
    plain, asked = folds.train, []

    def interrupted(*given, **more):
        asked.append(more["seeds"])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return plain(*given, **more)

    monkeypatch.setattr(folds, "train", interrupted)
    assert main(command) == 130
    said = capsys.readouterr().err
    assert "\n2 finished folds, kept in stopped/folds.jsonl; the same command goes on" in said
    kept = [*read_log(world / "stopped" / "folds.jsonl")]
    assert len(kept) == 2
    monkeypatch.setattr(folds, "train", plain)
    assert main([*command]) == 0
    there = [*read_log(world / "stopped" / "folds.jsonl")]
    assert there[:2] == kept and sorted({record["fold"] % 4 for record in there}) == [0, 1, 2, 3]
