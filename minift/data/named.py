"""Named sets: public data sets, read from the files their makers published.

Claim    `load_dataset("sst2")` gives the same examples wherever it runs: each set is read from
         its original files, by one short function, with nothing dropped or rewritten.
Differs  QNLI: "qnli" is the development part of GLUE alone, split by question into train,
         dev and test (60/20/20): no question is on two sides. "qnli_full" is all of it.
         CoLA, STS-B, RTE, WNLI, QNLI (full): GLUE keeps the labels of its test parts, so
         `test` is empty.
         SST-2 is the sentence-level set of Socher et al. in Kim's split (6,920 sentences),
         not the phrase-level one of GLUE. SST-5 is the root label of each tree.
         TREC, AG News, MIT restaurant and Swedish NER have no development part: one in ten
         training examples is held out, by a hash of its text. TREC has its six coarse classes.
Proof    tests/data/test_named.py
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from minift.data.embedded import EMBEDDED_SETS, load_embedded
from minift.data.examples import Dataset, Example, Task, TextExample, as_texts
from minift.data.files.lines import Problems, decode, read_text, refuse
from minift.data.files.readers import label_order, overlap_notes, read_examples
from minift.errors import MiniftError, nearest

Examples = tuple[Example, ...]


@dataclass(frozen=True)
class NamedSet:
    """One public set: the file of each split as published, and how to read it.

    Args:
        files: file names in the order train, dev, test, or as `split` takes them.
        read: file -> examples.
        labels: class names in the order of the logits; None takes them from the training part.
        licence: what the makers say, as far as known.
        split: makes (train, dev, test) of the examples of the files, or None.
    """

    files: tuple[str, ...]
    read: Callable[[Path], Examples]
    task: Task
    metric: str
    labels: tuple[str, ...] | None
    licence: str
    split: Callable[..., tuple[Examples, ...]] | None = None


def load_dataset(name: str, home: str | Path | None = None) -> Dataset:
    """Return a public set by name, from files that lie on this machine.

    Args:
        name: one of `NAMED_SETS`.
        home: folder that has `data/NAME`; None looks in $MINIFT_DATA/NAME, then in
            $MINIFT_HOME/data/NAME, which is ~/.cache/minift/data/NAME if not set.

    Raises:
        MiniftError: unknown name; files not found (says where they were looked for and how
            to get them); a file that is not as published.
    """
    if name in EMBEDDED_SETS:
        return load_embedded(name)
    if name not in NAMED_SETS:
        known = [*EMBEDDED_SETS, *NAMED_SETS]
        hint = nearest(name, known)
        raise MiniftError(f'unknown data set "{name}"; known: {", ".join(known)}{hint}')
    spec = NAMED_SETS[name]
    folder = _find(name, spec.files, home)
    parts = tuple(spec.read(folder / file) for file in spec.files)
    labels = label_order(parts[0], spec.task) if spec.labels is None else spec.labels
    if spec.split:
        parts = spec.split(*parts)
    splits = dict(zip(("train", "dev", "test"), parts))
    notes = (*overlap_notes(**splits), f"licence: {spec.licence}")
    return Dataset(name, spec.task, labels, metric=spec.metric, notes=notes, **splits)


def _find(name: str, files: tuple[str, ...], home: str | Path | None) -> Path:
    """Return the first folder that has all the files."""
    if home is not None:
        folders = [Path(home) / "data" / name]
    else:
        data = os.environ.get("MINIFT_DATA")
        cache = Path(os.environ.get("MINIFT_HOME") or Path.home() / ".cache" / "minift")
        folders = [*([Path(data) / name] if data else []), cache / "data" / name]
    for folder in folders:
        if all((folder / file).is_file() for file in files):
            return folder
    raise MiniftError(
        f'the files of "{name}" are not here; expected {", ".join(files)} in one of '
        f"{', '.join(map(str, folders))}; get them with: python data_scripts/fetch_dataset.py "
        f"{name} (or copy them there by hand)"
    )


def _sst2(path: Path) -> Examples:
    """Read `label text` lines: the first blank separates."""
    return _lines(path, separator=" ", columns=2, label=0, names={"0": "negative", "1": "positive"})


def _cola(path: Path) -> Examples:
    """Read `source, label, original mark, sentence` lines without a header."""
    names = {"0": "unacceptable", "1": "acceptable"}
    return _lines(path, separator="\t", columns=4, label=1, names=names)


def _lines(
    path: Path, *, separator: str, columns: int, label: int, names: dict[str, str]
) -> Examples:
    """Read lines whose last column is the text and whose column `label` is a key of `names`."""
    problems: Problems = []
    examples = []
    for line, row in read_text(path):
        cells = row.split(separator, columns - 1)
        if len(cells) != columns or cells[label] not in names or not cells[-1].strip():
            expected = f"{columns} columns, number {label + 1} being {' or '.join(names)}"
            problems.append((line, f"not as published: expected {expected}, got {row[:40]!r}"))
        else:
            examples.append(TextExample(str(line), cells[-1], names[cells[label]]))
    refuse(path, problems)
    return tuple(examples)


def _qnli(path: Path) -> Examples:
    """Read `index, question, sentence, label` with a header; quotes are plain characters."""
    return read_examples(path, format="tsv", text="question", text_b="sentence")


def _rte(path: Path) -> Examples:
    """Read `index, sentence1, sentence2, label` with a header; quotes are plain characters."""
    return read_examples(path, format="tsv", text="sentence1", text_b="sentence2")


def _wnli(path: Path) -> Examples:
    """Read the columns of RTE, with 0 and 1 for labels."""
    names = {"0": "not_entailment", "1": "entailment"}
    numbered = read_examples(
        path, format="tsv", text="sentence1", text_b="sentence2", labels=tuple(names)
    )
    return tuple(replace(text, label=names[str(text.label)]) for text in as_texts(numbered))


def _mrpc(path: Path) -> Examples:
    """Read pairs; GLUE's dev part are those of the training file whose ids it lists."""
    if path.name == MRPC[2]:
        return _mrpc_pairs(path)
    listed = {row.strip().replace("\t", "-") for _, row in read_text(path.with_name(MRPC[1]))}
    pairs = _mrpc_pairs(path.with_name(MRPC[0]))
    if absent := listed - {pair.id for pair in pairs}:
        refuse(path.with_name(MRPC[1]), [(0, f"{MRPC[0]} has no pair {min(absent)}")])
    return tuple(pair for pair in pairs if (pair.id in listed) == (path.name == MRPC[1]))


def _mrpc_pairs(path: Path) -> Examples:
    """Read `label, id, id, text, text` lines after a header; quotes are plain characters."""
    names = {"0": "not_equivalent", "1": "equivalent"}
    problems: Problems = []
    pairs = []
    for line, row in read_text(path)[1:]:
        cells = row.split("\t")
        if len(cells) != 5 or cells[0] not in names or not (cells[3].strip() and cells[4].strip()):
            expected = "label 0 or 1, two ids and two texts"
            problems.append((line, f"not as published: expected {expected}, got {row[:40]!r}"))
        else:
            label, id_a, id_b, text, text_b = cells
            pairs.append(TextExample(f"{id_a}-{id_b}", text, names[label], text_b))
    refuse(path, problems)
    return tuple(pairs)


def _sst5(path: Path) -> Examples:
    """Read one tree a line, `(3 (2 It) (4 sings))`: its root's label, its leaves as the text."""
    problems: Problems = []
    examples = []
    for line, row in read_text(path):
        leaves = re.findall(r"\([0-4] ([^()]+)\)", row)
        if not re.fullmatch(r"\([0-4] .+\)", row) or not leaves:
            problems.append((line, f"not as published: expected a tree, got {row[:40]!r}"))
        else:
            examples.append(TextExample(str(line), " ".join(leaves), SENTIMENTS[int(row[1])]))
    refuse(path, problems)
    return tuple(examples)


def _trec(path: Path) -> Examples:
    """Read `CLASS:subclass question` lines, which are Latin-1."""
    problems: Problems = []
    examples = []
    rows = path.read_bytes().decode("latin-1").removesuffix("\n").split("\n")
    for line, row in enumerate(rows, start=1):
        label, _, text = row.removesuffix("\r").partition(" ")
        if (name := label.partition(":")[0]) not in QUESTIONS or not text.strip():
            expected = f"{'|'.join(QUESTIONS)}:subclass and a question"
            problems.append((line, f"not as published: expected {expected}, got {row[:40]!r}"))
        else:
            examples.append(TextExample(str(line), text, name))
    refuse(path, problems)
    return tuple(examples)


def _ag_news(path: Path) -> Examples:
    """Read `"1","title","description"` rows without a header; title and description are joined."""
    problems: Problems = []
    examples = []
    rows = csv.reader((line + "\n" for line in decode(path).split("\n")), strict=True)
    try:
        for cells in filter(None, rows):
            if len(cells) != 3 or cells[0] not in ("1", "2", "3", "4"):
                expected = "a class 1 to 4, a title and a description"
                problems.append((rows.line_num, f"expected {expected}, got {cells!r:.40}"))
            else:
                text, label = f"{cells[1]} {cells[2]}", TOPICS[int(cells[0]) - 1]
                examples.append(TextExample(str(rows.line_num), text, label))
    except csv.Error as error:
        problems.append((rows.line_num, f"not valid CSV ({error})"))
    refuse(path, problems)
    return tuple(examples)


def _stsb(path: Path) -> Examples:
    """Read ten columns with a header; quotes are plain characters; scores lie in 0..5."""
    return read_examples(
        path, format="tsv", task="regression", text="sentence1", text_b="sentence2", label="score"
    )


def _iob2(path: Path) -> Examples:
    """Read `token TAB tag` lines; a line with a TAB alone ends a sentence, too."""
    return read_examples(path, format="conll", scheme="iob2")


def _label_first(path: Path) -> Examples:
    """Read `tag TAB token` lines."""
    return read_examples(path, format="conll", label_first=True, scheme="iob2")


def _bare_types(path: Path) -> Examples:
    """Read `token TAB type` lines with 0 for no entity; neighbours of one type are one entity."""
    return read_examples(path, format="conll", scheme="io")


def _conll2003(path: Path) -> Examples:
    """Read `token POS chunk tag` lines; the tags of NIST's files are IOB1, of many copies IOB2."""
    return read_examples(path, format="conll")


def split_by_question(examples: Examples) -> tuple[Examples, Examples, Examples]:
    """Split pairs about 60/20/20 by a hash of the first text, so that none is on two sides.

    The side of a question depends on its text alone: not on its place in the file, the other
    questions, a seed or the machine.
    """
    sides: tuple[list[Example], ...] = ([], [], [])
    for example in as_texts(examples):
        position = _position(example.text)
        sides[(position >= 0.6) + (position >= 0.8)].append(example)
    train, dev, test = map(tuple, sides)
    return train, dev, test


def hold_out_dev(train: Examples, test: Examples) -> tuple[Examples, Examples, Examples]:
    """Make one in ten training examples the dev part; its text alone decides, as above."""
    sides: tuple[list[Example], ...] = ([], [])
    for example in train:
        text = example.text if isinstance(example, TextExample) else " ".join(example.words)
        sides[_position(text) >= 0.9].append(example)
    return tuple(sides[0]), tuple(sides[1]), test


def _position(text: str) -> float:
    """Return a number uniform in [0, 1) that depends on the text and on nothing else."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") / 2**64


MRPC = ("msr_paraphrase_train.txt", "mrpc_dev_ids.tsv", "msr_paraphrase_test.txt")
SENTIMENTS = ("very negative", "negative", "neutral", "positive", "very positive")
QUESTIONS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
TOPICS = ("World", "Sports", "Business", "Sci/Tech")
_PAIR = ("entailment", "not_entailment")

NAMED_SETS = {
    "sst2": NamedSet(
        ("stsa.binary.train", "stsa.binary.dev", "stsa.binary.test"),
        _sst2, "classification", "accuracy", ("negative", "positive"),
        "none stated; for research",
    ),
    "cola": NamedSet(
        ("train.tsv", "dev.tsv"),
        _cola, "classification", "matthews", ("unacceptable", "acceptable"),
        "none stated",
    ),
    "qnli": NamedSet(
        ("dev.tsv",),
        _qnli, "classification", "accuracy", ("entailment", "not_entailment"),
        "CC BY-SA 4.0",
        split_by_question,
    ),
    "qnli_full": NamedSet(
        ("train.tsv", "dev.tsv"),
        _qnli, "classification", "accuracy", _PAIR,
        "CC BY-SA 4.0",
    ),
    "rte": NamedSet(
        ("train.tsv", "dev.tsv"),
        _rte, "classification", "accuracy", _PAIR,
        "none stated; for research",
    ),
    "wnli": NamedSet(
        ("train.tsv", "dev.tsv"),
        _wnli, "classification", "accuracy", _PAIR,
        "CC BY 4.0 (Winograd schemas)",
    ),
    "mrpc": NamedSet(
        MRPC,
        _mrpc, "classification", "f1", ("not_equivalent", "equivalent"),
        "Microsoft Research licence, see its download page",
    ),
    "sst5": NamedSet(
        ("train.txt", "dev.txt", "test.txt"),
        _sst5, "classification", "accuracy", SENTIMENTS,
        "none stated; for research",
    ),
    "trec": NamedSet(
        ("train_5500.label", "TREC_10.label"),
        _trec, "classification", "accuracy", QUESTIONS,
        "none stated; for research",
        hold_out_dev,
    ),
    "ag_news": NamedSet(
        ("train.csv", "test.csv"),
        _ag_news, "classification", "accuracy", TOPICS,
        "for research and any other non-commercial use",
        hold_out_dev,
    ),
    "stsb": NamedSet(
        ("train.tsv", "dev.tsv"),
        _stsb, "regression", "pearson_spearman", (),
        "CC BY-SA 4.0 (scores)",
    ),
    "wnut17": NamedSet(
        ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
        _iob2, "tagging", "entity_f1", None,
        "CC BY 4.0",
    ),
    "ncbi_disease": NamedSet(
        ("train.tsv", "devel.tsv", "test.tsv"),
        _iob2, "tagging", "entity_f1", None,
        "CC BY 4.0",
    ),
    "mit_restaurant": NamedSet(
        ("restauranttrain.bio", "restauranttest.bio"),
        _label_first, "tagging", "entity_f1", None,
        "none stated; for research",
        hold_out_dev,
    ),
    "swedish_ner": NamedSet(
        ("train_corpus.txt", "test_corpus.txt"),
        _bare_types, "tagging", "entity_f1", None,
        "none stated; texts of Webbnyheter 2012, see Språkbanken",
        hold_out_dev,
    ),
    "conll2003": NamedSet(
        ("eng.train", "eng.testa", "eng.testb"),
        _conll2003, "tagging", "entity_f1", None,
        "texts: Reuters Corpus, by agreement with NIST, not to be passed on",
    ),
    **{
        f"crossner_{domain}": NamedSet(
            ("train.txt", "dev.txt", "test.txt"),
            _iob2, "tagging", "entity_f1", None,
            "MIT",
        )
        for domain in ("ai", "literature", "music", "politics", "science")
    },
}  # fmt: skip
