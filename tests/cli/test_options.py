"""Options: few, read, explained, and spelled as messages and documents spell them.

claim                                                        oracle
what a command accepts it reads                              a namespace that records what is read
no option is abbreviated, no command has more than 26        the parsers
the help tells every default                                 the parsers
library messages name the user's option, not the keyword     the printed line
a command or an option that a text names exists              the strings of minift, its pages
the examples under --help can be typed                       they are, in a folder with such files
the command line loads nothing that import minift does not   modules after the parser is made
no import circle                                             the import statements
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import shlex
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest

import minift
from minift.cli import active, demo, main, raw
from minift.cli.main import execute
from minift.cli.options import READING, suggested
from minift.compact.distill import Distillation
from minift.compact.student import new_student
from minift.runs.folds import FOLDS
from tests.test_documents import PAGES
from tests.tiny import checkpoint, news, reviews

PACKAGE = Path(minift.__file__).parent
REPOSITORY = PACKAGE.parent


def _commands(parser, words=()):
    """Every command with options of its own: (its words, its parser)."""
    subs = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not subs:
        yield words, parser
    for name, sub in subs[0].choices.items() if subs else ():
        yield from _commands(sub, (*words, name))


COMMANDS = dict(_commands(main.parser()))
OPTIONS = {
    words: {option for a in parser._actions for option in a.option_strings}
    for words, parser in COMMANDS.items()
}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The current folder, with an encoder and the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("encoder"))
    texts = reviews(64)
    for name, split in (("my", "train"), ("dev", "dev"), ("held_out", "test")):
        rows = (f"{e.text},{e.label}" for e in getattr(texts, split))
        Path(f"{name}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
        sentences = (
            "\n".join(f"{w}\t{t}" for w, t in zip(e.words, e.tags)) for e in getattr(news(), split)
        )
        Path(f"{name}.conll").write_text("\n\n".join(sentences) + "\n")
    Path("texts.txt").write_text("\n".join(f"{e.text} zebra" for e in texts.train) + "\n")
    return tmp_path


def answer(path, first="pos"):
    """Fill in a batch file."""
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    place = lines[0].split(",").index("label")
    rows = [line.split(",") for line in lines[1:]]
    for number, row in enumerate(rows):
        row[place] = first if number % 2 == 0 else "neg"
    Path(path).write_text("\n".join([lines[0], *map(",".join, rows)]) + "\n")


# What is read


class Recording(argparse.Namespace):
    """Arguments that know which of them were read."""

    def __getattribute__(self, name):
        if not name.startswith("_"):
            object.__getattribute__(self, "__dict__").setdefault("_read", set()).add(name)
        return object.__getattribute__(self, name)


FILES = "--train my.csv --dev dev.csv --test held_out.csv"
TAGGED = "--train my.conll --dev dev.conll --test held_out.conll"
FAST = "--encoder encoder --epochs 1"
TYPED = [
    f"train {FILES} {FAST} --out run",
    f"train {TAGGED} {FAST} --out tagger",
    f"train --train my.csv {FAST} --folds 2 --budget-minutes 9 --out alone",
    "evaluate run --data reviews --split dev",
    "evaluate tagger --data held_out.conll --errors errors.txt",
    "predict run texts.txt --out answers.jsonl",
    f"compare {FILES} {FAST} --methods head --seeds 1 --out comparison",
    "check --train my.csv --encoder encoder --folds 2 --out doubtful.csv",
    f"distill --teacher tagger --unlabelled texts.txt {TAGGED} --steps 1 --out student",
    "expand encoder --text texts.txt --size 9 --out wider",
    "pretrain encoder --text texts.txt --epochs 1 --batch-size 8 --out read",
    "info encoder --methods",
    "doctor --seconds 0",
    "demo --encoder encoder --seeds 1",
    "active start --pool texts.txt --labels pos,neg --encoder encoder --steps 1 --out proj",
    "active next proj -n 4",
    "active import proj proj/batches/001.csv",
    "active next proj -n 1 --passes 1",
    "active label proj",
    "active status proj",
    "active train proj",
    "active score proj texts.txt --passes 1 --out scores.jsonl",
    "active simulate --train my.csv --test held_out.csv --encoder encoder --steps 1 --rounds 0 "
    "--seeds 1 --out simulation",
]


def test_every_command_reads_every_option_that_it_accepts(world, monkeypatch, capsys):
    monkeypatch.setattr(demo, "METHODS", ("head",))
    monkeypatch.setattr(demo, "EPOCHS", 1)
    accepted: dict[tuple[str, ...], set[str]] = {}
    read: dict[tuple[str, ...], set[str]] = {}
    for line in TYPED:
        if line.startswith("active import"):
            answer("proj/batches/001.csv")
        monkeypatch.setattr(sys, "stdin", io.StringIO("1\n"))
        arguments = main.parser().parse_args(shlex.split(line), Recording())
        words = tuple(arguments.parser.prog.split()[1:])
        object.__setattr__(arguments, "_read", set())
        assert execute(arguments, None) == 0, (line, capsys.readouterr().err)
        accepted[words] = {a.dest for a in COMMANDS[words]._actions} - {"help"}
        read.setdefault(words, set()).update(arguments._read)
    assert set(accepted) == set(COMMANDS)
    assert {w: accepted[w] - read[w] for w in accepted if accepted[w] - read[w]} == {}


# How they are spelled and explained


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_option_is_abbreviated_and_no_command_has_too_many(words, capsys):
    assert not COMMANDS[words].allow_abbrev
    of_files = {option for option, *_ in READING.values()}  # a group of their own, alike everywhere
    assert len({*OPTIONS[words]} - of_files) <= 26 + 2  # and -h, --help
    for option in OPTIONS[words]:
        assert option.islower() and "unlabeled" not in option
    with pytest.raises(SystemExit):
        main.main([*words, "--hel"])
    assert "--hel" in capsys.readouterr().err


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_tells_every_default(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")  # an option per line
    with pytest.raises(SystemExit) as stop:
        main.main([*words, "--help"])
    assert stop.value.code == 0
    told = re.split(r"\n  (?=-)", capsys.readouterr().out)  # one option each
    for action in COMMANDS[words]._actions:
        value = action.default
        assert action.help
        if not action.option_strings or value is None or isinstance(value, bool):
            continue
        if value != argparse.SUPPRESS:
            (text,) = (x for x in told if x.startswith(action.option_strings[-1] + " "))
            shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            assert f"default: {shown})" in text


def test_the_defaults_of_distill_are_those_of_its_training():
    usual, options = Distillation(), COMMANDS["distill",]
    for name in ("steps", "learning_rate"):
        assert options.get_default(name) == getattr(usual, name)
    assert options.get_default("head") == signature(new_student).parameters["head"].default


def test_the_number_of_folds_is_that_of_the_library():
    assert {COMMANDS[name,].get_default("folds") for name in ("train", "compare")} == {FOLDS}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("train --seed -1", "--seed must be an integer in [0, 2**32), got -1"),
        ("train --epochs 0", "--epochs must be a whole number from 1 up, got 0"),
        ("train --learning-rate -1", "--learning-rate must be a positive number, got -1.0"),
        ("train --batch-size 0", "--batch-size must be a whole number from 1 up"),
        ("compare --processes 0", "--processes must be a whole number from 1 up"),
        ("active simulate --query 0", "--query must be at least 1, got 0"),
    ],
)
def test_a_value_that_the_library_refuses_is_named_by_its_option(world, typed, said, capsys):
    typed += " --train my.csv --test held_out.csv --encoder encoder --out out"
    assert main.main(typed.split()) == 1
    assert capsys.readouterr().err.startswith(f"minift: {said}")


def test_keywords_of_the_library_are_said_as_options_where_the_command_has_them():
    parser = COMMANDS["train",]
    for message, said in (
        ('keep="best" needs a development split', "--keep best needs a development split"),
        ('give text="2", label="3"', "give --text 2, --label 3"),
        ('text_b="x": no such column', "--text-b x: no such column"),
        ("pass format= one of csv", "pass --format one of csv"),
        ('flatten="first" is for lists', 'flatten="first" is for lists'),
        ("the text must not be empty", "the text must not be empty"),
    ):
        assert main._in_options(message, parser) == said


def test_a_command_that_is_suggested_can_be_typed_whatever_a_folder_is_called():
    command = suggested("active", "next", Path("my texts"), "-n", 20)
    assert shlex.split(command) == ["minift", "active", "next", "my texts", "-n", "20"]


# What texts say of them

WORDS = "|".join({words[0] for words in COMMANDS})
OTHERS = {  # of torchrun, pip and our scripts; and the variables of reports
    *("--nproc-per-node", "--nnodes", "--node-rank", "--master-addr", "--master-port"),
    *("--upgrade", "--no-deps", "--only-binary", "--dest", "--no-input", "--no-cache-dir"),
    *("--quiet", "--retries", "--progress-bar", "--disable-pip-version-check"),
    *("--version", "--help", "--encoders", "--runs"),
    *("--ink", "--soft", "--line", "--back", "--band", "--dot", "--bad", "--c"),
}


def texts():
    """Yield (file, text) of every string of the package, and of each page of the project."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value
    for path in (*PAGES, *REPOSITORY.glob("tutorials/*/tutorial.py")):
        yield path, path.read_text(encoding="utf-8")


def test_an_option_that_a_text_of_the_package_names_exists():
    known = OTHERS.union(*OPTIONS.values())
    named = {
        (path.name, option)
        for path, text in texts()
        if path.suffix == ".py" and path.is_relative_to(PACKAGE)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
    }
    assert {(file, option) for file, option in named if option not in known} == set()


def test_a_command_that_a_text_names_exists_and_has_the_options_that_stand_behind_it():
    wrong, found = [], 0
    for path, text in texts():
        for rest in re.findall(rf"\bminift ((?:{WORDS})\b[^`\n;,|)]*)", text):
            first, *more = rest.split()
            words = (first, *more[:1]) if first == "active" else (first,)
            if words not in COMMANDS:  # prose: "minift train is", "minift active keeps"
                words = (first,)
            known = OPTIONS.get(words) or set().union(*OPTIONS.values())
            asked = re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)
            found += len(asked)
            wrong += [(path.name, rest) for option in asked if option not in known]
    assert wrong == [] and found > 20


def examples(epilog):
    """Return the commands of an epilog, without what stands beside them."""
    return [
        shlex.split(re.split(" {2,}", line.strip())[0])[1:]
        for line in epilog.splitlines()
        if line.startswith("  minift ")
    ]


def test_the_examples_under_help_can_be_typed(world, monkeypatch, capsys):
    monkeypatch.setattr(demo, "METHODS", ("head",))
    monkeypatch.setattr(demo, "EPOCHS", 1)
    fast = ["--epochs", "1", "--encoder", "encoder"]
    assert main.main(["train", *TAGGED.split(), *fast, "--out", "runs/tagger"]) == 0
    short = {  # so that they end soon; what is typed stands before it
        "demo": ["--seeds", "1", "--encoder", "encoder"],
        "train": ["--epochs", "1"],
        "compare": [*fast, "--methods", "head,full", "--seeds", "2"],
        "distill": ["--steps", "2"],
        "start": ["--steps", "1"],
        "pretrain": ["--batch-size", "8"],
    }
    typed = [*examples(main.EPILOG), *examples(active.EPILOG), *examples(raw.EPILOG)]
    assert len(typed) == 16
    for words in typed:
        if "import" in words:
            answer("proj/batches/001.csv")
        monkeypatch.setattr(sys, "stdin", io.StringIO("q\n"))
        name = words[1] if words[0] == "active" else words[0]
        more = short.get(name, []) if words[:2] != ["active", "train"] else []
        code = main.main([word.replace("minilm", "encoder") for word in words] + more)
        said = capsys.readouterr()
        assert (code, said.err if code else "") == (0, ""), words
    assert Path("proj/runs").is_dir()


# What is imported


def test_the_command_line_loads_nothing_that_the_package_does_not_load_anyway():
    script = (
        "import sys, minift; before = set(sys.modules)\n"
        "import minift.cli.main; minift.cli.main.parser()\n"
        "print(*(m for m in sorted(set(sys.modules) - before) if not m.startswith('minift.cli')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = {m for m in done.stdout.split() if m.startswith(("minift", "torch", "matplotlib"))}
    assert ours == {"minift.runs.determinism"} and len(done.stdout.split()) < 20, done.stdout


def test_main_imports_the_commands_and_they_import_options_only():
    tree = {
        path: [
            (node.module, [alias.name for alias in node.names])
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minift.cli")
        ]
        for path in (PACKAGE / "cli").rglob("*.py")
    }
    for path, imports in tree.items():
        if path.name in ("main.py", "__init__.py"):
            continue
        allowed = {("minift.cli", ("options",)), ("minift.cli.options", ())}
        for module, names in imports:
            assert (module, tuple(names)) in allowed, path
    assert tree[PACKAGE / "cli" / "options.py"] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_text_names_a_variable_of_the_program(name):
    """A rename in the source once reached into a sentence: "a new one in options.PROJECT/runs"."""
    said = COMMANDS[name].format_help()
    assert "usage" in said and "options." not in said
