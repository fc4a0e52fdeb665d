"""Named sets: public data sets, read from the files their makers published, and three of our own.

Claim    `load_dataset("sst2")` gives the same examples wherever it runs: each set is read from
         its original files, by one short function, with nothing dropped or rewritten. "reviews",
         "news" and "identity" need no file: their texts, of this project, are part of the package.
Differs  The embedded sets are split by theme, not at random: what is learned on films and
         dentists has to hold for campsites, and no story is on two sides.
         QNLI: "qnli" is the development part of GLUE alone, split by question into train,
         dev and test (60/20/20): no question is on two sides. "qnli_full" is all of it.
         CoLA, STS-B, RTE, QNLI (full): GLUE keeps the labels of its test parts, so `test` is
         empty. SST-2 is the sentence-level set of Socher et al. in Kim's split (6,920 sentences).
         AG News and Swedish NER have no development part: one in ten training examples is held
         out, by a hash of its text.
Proof    tests/data/test_named.py, tests/data/test_embedded.py
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from minift.data.examples import Dataset, Example, Task, TextExample, texts_of
from minift.data.files.lines import Problems, raw_lines, refuse, stream_text
from minift.data.files.readers import label_order, read_dataset, read_examples
from minift.data.files.tables import csv_cells
from minift.data.notes import overlap_notes
from minift.errors import MiniftError, require_known
from minift.files import digest, minift_home

Examples = tuple[Example, ...]
# name -> suffix of its files, of which sets/README.md says how they were written: short reviews,
# negative or positive (1,360 / 400 / 400); sentences with PER, ORG, LOC and MISC (501 / 139 / 140);
# harmless remarks and insults beside identities, to learn a bias from (480 / 200 / 400)
EMBEDDED_SETS = {"reviews": ".jsonl", "news": ".conll", "identity": ".jsonl"}
SETS = Path(__file__).with_name("sets")


@dataclass(frozen=True)
class NamedSet:
    """One public set: the file of each split as published, and how to read it."""

    files: tuple[str, ...]  # in the order train, dev, test, or as `split` takes them
    licence: str  # what the makers say, as far as known
    read: Callable[[Path], Examples]
    labels: tuple[str, ...] | None = None  # in the order of the logits; None: those of training
    task: Task = "classification"
    metric: str = ""  # the headline score; "": the usual one
    split: Callable[..., tuple[Examples, ...]] | None = None  # files -> (train, dev, test)


def load_dataset(name: str, home: str | Path | None = None) -> Dataset:
    """Return one of `NAMED_SETS` or of `EMBEDDED_SETS`, from files that lie on this machine.

    They lie in `home`/data/NAME; None looks in $MINIFT_DATA/NAME, then in $MINIFT_HOME/data/NAME,
    which is ~/.cache/minift/data/NAME if not set.
    """
    require_known("data set", name, [*EMBEDDED_SETS, *NAMED_SETS])
    if suffix := EMBEDDED_SETS.get(name):
        dataset = read_dataset(
            *(SETS / f"{name}_{split}{suffix}" for split in ("train", "dev", "test")), name=name
        )
        return replace(dataset, notes=(*dataset.notes, "licence: CC0 1.0"))
    spec = NAMED_SETS[name]
    data = os.environ.get("MINIFT_DATA")
    folders = [Path(data).expanduser() / name] if data and home is None else []
    folders.append((minift_home() if home is None else Path(home)) / "data" / name)
    there = (at for at in folders if all((at / file).is_file() for file in spec.files))
    if (folder := next(there, None)) is None:
        expected = f"expected {', '.join(spec.files)} in one of {', '.join(map(str, folders))}"
        get = f"python data_scripts/fetch_dataset.py {name} (or copy them there by hand)"
        raise MiniftError(f'the files of "{name}" are not here; {expected}; get them with: {get}')
    parts = tuple(spec.read(folder / file) for file in spec.files)
    train, dev, test = (*(spec.split(*parts) if spec.split else parts), (), ())[:3]
    first = train if spec.task == "multilabel" else parts[0]
    labels = label_order(first, spec.task) if spec.labels is None else spec.labels
    notes = (*overlap_notes(train, dev, test), f"licence: {spec.licence}")
    return Dataset(name, spec.task, labels, train, dev, test, spec.metric, notes)


def _matching(
    path: Path, pattern: str, names: dict[str, str], expected: str
) -> tuple[TextExample, ...]:
    """Make an example of each line by the groups of a pattern: a key of `names`, and its texts."""
    problems, examples = Problems(), list[TextExample]()
    for line, row in stream_text(path):
        found = re.fullmatch(pattern, row)
        if found is None:
            problems.append((line, f"not as published: expected {expected}, got {row[:40]!r}"))
            continue
        label, *texts = found.groups()
        examples.append(TextExample(str(line), " ".join(texts), names[label]))
    refuse(path, problems)
    return tuple(examples)


def _ag_news(path: Path) -> Examples:
    """Read `"1","title","description"` rows without a header; title and description are joined."""
    problems, examples = Problems(), list[TextExample]()
    for line, cells in csv_cells(raw_lines(path), problems):
        if len(cells) == 3 and cells[0] in ("1", "2", "3", "4"):
            text, label = f"{cells[1]} {cells[2]}", TOPICS[int(cells[0]) - 1]
            examples.append(TextExample(str(line), text, label))
        else:
            expected = "a class 1 to 4, a title and a description"
            problems.append((line, f"not as published: expected {expected}, got {cells!r:.40}"))
    refuse(path, problems)
    return tuple(examples)


def split_by_question(examples: Examples) -> tuple[Examples, ...]:
    """Split pairs about 60/20/20 by a hash of the first text, so that none is on two sides."""
    return _by_position(examples, 0.6, 0.8)


def hold_out_dev(train: Examples, test: Examples) -> tuple[Examples, ...]:
    """Make one in ten training examples the dev part; its text alone decides, as above."""
    return *_by_position(train, 0.9), test


def _split_folds(*folds: Examples) -> tuple[Examples, ...]:
    """Join the first 14 of 20 folds for training, then 2 and 4; ids are "FOLD-NUMBER"."""
    named = [[replace(e, id=f"{n}-{e.id}") for e in fold] for n, fold in enumerate(folds)]
    return tuple(tuple(chain(*part)) for part in (named[:14], named[14:16], named[16:]))


def _by_position(examples: Examples, *limits: float) -> tuple[Examples, ...]:
    """Cut at `limits` of a number uniform in [0, 1) that depends on the text and nothing else."""
    sides: list[list[Example]] = [[] for _ in (0, *limits)]
    for example in examples:
        position = int(digest(texts_of(example)[0])[:16], 16) / 2**64
        sides[sum(position >= limit for limit in limits)].append(example)
    return tuple(map(tuple, sides))


TOPICS = ("World", "Sports", "Business", "Sci/Tech")
_POLARITY = ("negative", "positive")
_ACCEPTABLE = ("unacceptable", "acceptable")
_PAIR = ("entailment", "not_entailment")
_sst2 = partial(
    _matching, pattern=r"([01]) (.*\S.*)", names=dict(zip("01", _POLARITY)),
    expected="0 or 1, a blank and a text",
)  # fmt: skip
# `source, label, original mark, sentence` without a header
_cola = partial(
    _matching, pattern=r"[^\t]*\t([01])\t[^\t]*\t(.*\S.*)",
    names=dict(zip("01", _ACCEPTABLE)), expected="4 columns, the second being 0 or 1",
)  # fmt: skip
# Tables with a header; quotes are plain characters; the scores of STS-B lie in 0..5.
_pairs = partial(read_examples, format="tsv")
_intents = partial(read_examples, task="multilabel", label="intents")  # NLU++, banking
_scored = partial(_pairs, task="regression", label="score")
# Token files. `_types`: neighbours of one type are one entity. The tags of NIST's CoNLL-2003 are
# IOB1, those of many copies IOB2.
_iob2 = partial(read_examples, format="conll", scheme="iob2")
_types = partial(read_examples, format="conll", scheme="io")
_detected = partial(read_examples, format="conll")
_tagged = partial(NamedSet, read=_iob2, task="tagging")

NAMED_SETS = {
    "sst2": NamedSet(
        ("stsa.binary.train", "stsa.binary.dev", "stsa.binary.test"),
        "none stated; for research", _sst2, _POLARITY,
    ),
    "cola": NamedSet(
        ("train.tsv", "dev.tsv"), "none stated", _cola, _ACCEPTABLE, metric="matthews"
    ),
    "qnli": NamedSet(("dev.tsv",), "CC BY-SA 4.0", _pairs, _PAIR, split=split_by_question),
    "qnli_full": NamedSet(("train.tsv", "dev.tsv"), "CC BY-SA 4.0", _pairs, _PAIR),
    "rte": NamedSet(("train.tsv", "dev.tsv"), "none stated; for research", _pairs, _PAIR),
    "ag_news": NamedSet(
        ("train.csv", "test.csv"), "for research and any other non-commercial use", _ag_news,
        TOPICS, split=hold_out_dev,
    ),
    "stsb": NamedSet(
        ("train.tsv", "dev.tsv"), "CC BY-SA 4.0 (scores)", _scored, task="regression"
    ),
    "nlupp": NamedSet(
        tuple(f"fold{number}.json" for number in range(20)), "CC BY 4.0", _intents,
        task="multilabel", split=_split_folds,
    ),
    "wnut17": _tagged(
        ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"), "CC BY 4.0"
    ),
    "ncbi_disease": _tagged(("train.tsv", "devel.tsv", "test.tsv"), "CC BY 4.0"),
    "swedish_ner": _tagged(
        ("train_corpus.txt", "test_corpus.txt"),
        "none stated; texts of Webbnyheter 2012, see Språkbanken", read=_types, split=hold_out_dev,
    ),
    "conll2003": _tagged(
        ("eng.train", "eng.testa", "eng.testb"),
        "texts: Reuters Corpus, by agreement with NIST, not to be passed on", read=_detected,
    ),
}  # fmt: skip
