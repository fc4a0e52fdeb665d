"""An encoder says its own learning rates, and every command hears it.

claim                                                      oracle
every word takes the rate of its kind from the folder      a table written by hand
an encoder that says nothing gets the rates of all         the recipe that knows no encoder
the file replaces what it names, and nothing else          the same table
train, project, simulation and comparison use it, and      what each of them wrote down; the weights
  --learning-rate overrides                                of a run that was given the rate
a run folder says the same, so that it can be trained on   the bytes of the file
the rates of the encoder in the package                    its card
a file that makes no sense is one sentence that names it   its words
"""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from minift.checkpoints.hub import resolve
from minift.cli import demo
from minift.cli.main import main
from minift.errors import MiniftError
from minift.methods.recipes import rates_of, recipe
from minift.runs.describe import describe
from tests.methods.test_recipes import EXAMPLES
from tests.tiny import checkpoint, reviews

OWN = {"full": 0.016, "bitfit": 0.25, "head": 0.5}  # of `rated`
SAID = {
    "full": 0.016, "full-sqrt:0.25": 0.008, "head": 0.5, "bitfit": 0.25, "freeze:2": 0.016,
    "child-f:0.3": 0.016, "child-d:0.3": 0.016, "random-scalars": 0.25, "random-rows": 0.25,
    "layerwise:0.9": 0.016, "adaptive": 0.016, "hybrid:10": 0.016, "original": 0.016,
    "stable": 0.016, "early-stopping:2": 0.016, "slanted": 0.016,
    "contrastive": 0.016, "start:probe": 0.016, "weighted": 0.016, "gradual": 0.016,
    "ulmfit": 0.016, "heated:4,1,0.5": 0.016, "fgm:0.5": 0.016,
    "occlusion:identity,0.1": 0.016, "adversary:identity,1": 0.016,
    "bitfit+child-f:0.3+adaptive": 0.25, "head+random-rows": 0.25, "slanted+full-sqrt:0.25": 0.008,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Data files, and an encoder twice: one of them says its rates."""
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "plain")
    shutil.copytree(folder / "plain", folder / "rated")
    (folder / "rated" / "rates.json").write_text(json.dumps(OWN), encoding="utf-8")
    for split in ("train", "test"):
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            rows.writerows((e.text, e.label) for e in getattr(reviews(40), split))
    return folder


def train(world, encoder, out, *more):
    files = ("--train", world / "train.csv", "--test", world / "test.csv", "--epochs", 1)
    command = ["train", *files, "--encoder", encoder, "--out", out, *more]
    assert main([str(word) for word in command]) == 0
    return json.loads((out / "run.json").read_text())["settings"]["learning_rate"]


def test_the_table_below_has_every_word():
    assert {name.partition(":")[0] for name in SAID if "+" not in name} == set(EXAMPLES)


@pytest.mark.parametrize("name", SAID)
def test_every_word_takes_its_kind_of_rate_from_the_encoders_folder_and_else_from_the_table(
    name, world
):
    assert recipe(name, world / "rated").settings.learning_rate == pytest.approx(SAID[name])
    plain = recipe(name).settings
    assert recipe(name, world / "plain").settings == plain
    assert plain.learning_rate != SAID[name]


def test_a_rate_that_the_file_does_not_name_is_that_of_the_table(world, tmp_path):
    shutil.copytree(world / "plain", tmp_path / "one")
    (tmp_path / "one" / "rates.json").write_text('{"bitfit": 0.25}', encoding="utf-8")
    for name, rate in (("full", 5e-5), ("bitfit", 0.25), ("head", 1e-2)):
        assert recipe(name, tmp_path / "one").settings.learning_rate == rate


def test_the_encoder_in_the_package_says_what_its_card_says():
    card = (resolve("tiny") / "README.md").read_text(encoding="utf-8")
    assert "| **this encoder**, rate 3e-4 |" in card
    assert recipe("full", "tiny").settings.learning_rate == 3e-4


@pytest.mark.parametrize("method", ["full", "bitfit"])
def test_train_learns_at_the_encoders_rate_unless_told_another(world, tmp_path, method):
    asked = ("--method", method)
    assert train(world, world / "rated", tmp_path / "own", *asked) == OWN[method]
    told = ("--learning-rate", OWN[method])
    assert train(world, world / "plain", tmp_path / "told", *asked, *told) == OWN[method]
    other = train(world, world / "rated", tmp_path / "other", *asked, "--learning-rate", 1e-3)
    assert other == 1e-3
    own, told, other = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("own", "told", "other")
    )
    assert own == told != other


def test_a_run_folder_keeps_the_rates_of_its_encoder_for_whoever_trains_it_further(world, tmp_path):
    train(world, world / "rated", tmp_path / "first")
    train(world, world / "plain", tmp_path / "plain")
    assert train(world, tmp_path / "first", tmp_path / "second") == OWN["full"]
    file = (world / "rated" / "rates.json").read_bytes()
    assert (tmp_path / "second" / "rates.json").read_bytes() == file
    assert not (tmp_path / "plain" / "rates.json").exists()


@pytest.mark.parametrize(("told", "rate"), [((), 3e-4), (("--learning-rate", "0.002"), 2e-3)])
def test_tiny_needs_no_option_in_train_in_a_project_and_in_a_simulation(
    world, tmp_path, told, rate
):
    assert train(world, "tiny", tmp_path / "run", "--labels", 8, *told) == rate
    pool = [*told, "--encoder", "tiny", "--out", str(tmp_path / "project")]
    pool += ["--pool", str(world / "train.csv"), "--labels", "negative,positive"]
    assert main(["active", "start", *pool]) == 0
    project = json.loads((tmp_path / "project" / "project.json").read_text())
    assert project["settings"]["learning_rate"] == rate
    files = ["--train", str(world / "train.csv"), "--test", str(world / "test.csv")]
    size = ["--strategies=random", "--seeds=1", "--initial=4", "--rounds=1", "--query=2"]
    out = ["--encoder", "tiny", "--out", str(tmp_path / "simulation")]
    assert main(["active", "simulate", *files, *size, *out, *told, "--steps=1"]) == 0
    first = (tmp_path / "simulation" / "simulation.jsonl").read_text().splitlines()[0]
    assert json.loads(first)["settings"]["learning_rate"] == rate


def test_a_comparison_runs_and_reports_at_the_encoders_rates(world, tmp_path):
    out, methods = tmp_path / "comparison", {"full": 0.016, "bitfit": 0.25, "head": 0.5}
    words = ["--train", world / "train.csv", "--test", world / "test.csv", "--epochs", 1]
    words += ["--encoder", world / "rated", "--methods", ",".join(methods), "--seeds", 1]
    assert main(["compare", *map(str, words), "--labels", "16", "--out", str(out)]) == 0
    with (out / "results.csv").open(encoding="utf-8") as file:
        assert {r["method"]: float(r["learning_rate"]) for r in csv.DictReader(file)} == methods
    report = (out / "report.md").read_text(encoding="utf-8").split("## Settings")[1]
    for method, rate in methods.items():
        shown = "solved" if method == "head" else f"{rate:.2g}"  # the head takes no steps
        assert any(
            line.startswith(f"| {method} |") and f"| {shown} |" in line
            for line in report.splitlines()
        )


def test_the_demo_takes_each_methods_rate_from_the_encoder_and_gives_random_weights_their_own(
    world, monkeypatch, capsys
):
    used = {}

    def train(dataset, encoder, method, *, labels, seeds, settings, head=None):
        used.setdefault(encoder, {})[method.name] = settings.learning_rate
        return None, {"test": 0.5, "trainable_parameters": 1}

    monkeypatch.setattr(demo, "train", train)
    for encoder in ("rated", "plain"):
        demo.demo(str(world / encoder), seeds=1)
        here, control = used.pop(str(world / encoder)), used.popitem()[1]
        own = OWN if encoder == "rated" else {"full": 5e-5, "bitfit": 2e-3, "head": 1e-2}
        assert here == {m: own.get(m, own["full"]) for m in demo.METHODS}
        assert control == {"full": 3e-4} and not used
    assert "--learning-rate" not in capsys.readouterr().out  # of the command to try next


def test_info_tells_the_rates(world):
    assert "learning rates: full 0.016, bitfit 0.25, head 0.5\n" in describe(world / "rated")
    assert "learning rates: full 5e-05, bitfit 0.002, head 0.01\n" in describe(world / "plain")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"bitft": 0.1}', r'unknown rate in .*rates.json: "bitft".*did you mean "bitfit"\?$'),
        ('{"full": 0}', "rates.json: full must be a positive number, got 0$"),
        ('{"head": -0.1}', "rates.json: head must be a positive number, got -0.1$"),
        ('{"full": "3e-4"}', "full must be a positive number, got '3e-4'$"),
        ('{"full": true}', "full must be a positive number, got True$"),
        ('{"full": null}', "full must be a positive number, got None$"),
        ('{"full": NaN}', "full must be a positive number, got nan$"),
        ('{"full": 1e999}', "full must be a positive number, got inf$"),
        ('{"full": 1' + "0" * 400 + "}", "full must be a positive number, got 10"),
        ('{"full": [0.1]}', r"full must be a positive number, got \[0.1\]$"),
        ("[0.1]", "rates.json: expected a JSON object, got list$"),
        ("{", "rates.json: cannot be read as JSON"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_sentence_that_names_it(
    world, tmp_path, capsys, content, said
):
    shutil.copytree(world / "plain", tmp_path / "bad")
    (tmp_path / "bad" / "rates.json").write_text(content, encoding="utf-8")
    with pytest.raises(MiniftError, match=said) as caught:
        rates_of(tmp_path / "bad")
    assert str(tmp_path / "bad" / "rates.json") in str(caught.value)
    words = ["--train", str(world / "train.csv"), "--encoder", str(tmp_path / "bad")]
    assert main(["train", *words, "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err.strip()
    assert str(caught.value) in error and "\n" not in error
    assert not (tmp_path / "run").exists()
