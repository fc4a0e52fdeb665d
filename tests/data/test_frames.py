"""Rows in memory, of pandas, of Hugging Face datasets or in a list, are read as in a file.

claim                                                       oracle
a frame gives the data set of its rows in JSON lines        the file that the other program writes
faults and notes are those of the file, with "row"          the file's own messages
a missing cell is missing, whatever it is called            NaN, None, NA, NaT, -1 by hand
classes and tags that are numbers get their names           ClassLabel.int2str
neither library is needed                                   stand-ins with their methods; no import
whatever is no file and no frame is refused in a sentence   the message
"""

import json
import subprocess
import sys

import pytest

from minift import MiniftError, TaggedExample, read_dataset, read_examples
from tests.conftest import NO_FRAMES

ROWS = [
    {"text": "good film", "label": "pos", "id": "a"},
    {"text": "bad, \n bad", "label": "neg", "id": "b"},
    {"text": "a very good plot", "label": "pos", "id": "c"},
    {"text": "not good", "label": "neg", "id": "d"},
]


# --- always: what has the methods, and the name, of either library -------------------------


class Dataset:
    """Of datasets, what is used of it."""

    def __init__(self, rows, features=None):
        self.rows, self.features = rows, features or dict.fromkeys(rows[0] if rows else ())

    def to_list(self):
        return [dict(row) for row in self.rows]


Dataset.__module__ = "datasets.arrow_dataset"


class Names:
    """A feature that is a class, or (with `feature`) a list of classes."""

    def __init__(self, *names):
        self.names = list(names)


class Listed:
    def __init__(self, feature):
        self.feature = feature


def file_of(rows, folder, name="train.jsonl"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


def test_a_frame_gives_what_its_rows_give_in_a_file(tmp_path):
    frame = Dataset(ROWS)
    assert read_dataset(frame) == read_dataset(file_of(ROWS, tmp_path))
    assert read_examples(frame) == read_dataset(frame).train
    renamed = [{"Review": row["text"], "stars": row["label"]} for row in ROWS]
    told = {"text": "review", "label": "stars"}
    found = read_dataset(Dataset(renamed), Dataset(renamed[:2]), Dataset(renamed[2:]), **told)
    expected = read_dataset(
        file_of(renamed, tmp_path, "t.jsonl"), file_of(renamed[:2], tmp_path, "d.jsonl"),
        file_of(renamed[2:], tmp_path, "e.jsonl"), **told, name="train",
    )  # fmt: skip
    assert (found.train, found.dev, found.test) == (expected.train, expected.dev, expected.test)
    assert [note.split(": ")[-1] for note in found.notes] == [
        note.split(": ")[-1] for note in expected.notes
    ]


@pytest.mark.parametrize(
    "rows,message",
    [
        ([{"text": "", "label": "a"}], 'train.rows: row 1: "text" is empty'),
        ([{"text": 3, "label": "a"}], 'train.rows: row 1: "text" must be a string, got 3'),
        ([{"text": "x", "label": None}], "train.rows: row 1: the label is empty"),
        ([{"txt": "x", "label": "a"}], 'train.rows: no column "text" (found: "txt", "label")'),
        ([{"text": "x", "label": "a"}] * 2, 'train.rows: every label is "a"'),
        ([], "train.rows: there are no examples in it"),
        (
            [{"text": "x", "label": "a", "id": 1}, {"text": "y", "label": "b", "id": 1}],
            'train.rows: row 2: the id "1" is already on row 1',
        ),
        ([{"text": "x", "label": 0.5}, {"text": "y", "label": 2}], "labels such as 0.5 may be"),
    ],
    ids=str,
)
def test_faults_are_those_of_a_file_and_are_named_by_row(rows, message, tmp_path):
    with pytest.raises(MiniftError) as found:
        read_dataset(Dataset(rows))
    assert message.replace('"a"', "'a'") in str(found.value).replace('"a"', "'a'")
    if rows:
        with pytest.raises(MiniftError) as there:
            read_dataset(file_of(rows, tmp_path))
        plain = str(there.value).replace(f"{tmp_path}/train.jsonl", "train.rows")
        assert str(found.value) == plain.replace(": line ", ": row ").replace(" on line", " on row")


def test_notes_are_those_of_a_file_and_name_rows(tmp_path):
    rows = [*ROWS, {"text": "good  film", "label": "neg", "id": "e"}]
    (note, *_) = read_dataset(Dataset(rows)).notes
    assert note == "train.rows: 1 text has two different labels (rows 1 and 5: pos, neg)"
    with pytest.raises(MiniftError, match=r"^dev.rows: row 1: the label \"x\" is not one of"):
        read_dataset(Dataset(ROWS), Dataset([{"text": "x", "label": "x"}]))
    pairs = [{**row, "text_b": "b"} for row in ROWS]
    with pytest.raises(MiniftError, match=r"^dev.rows: train.rows has single texts, and"):
        read_dataset(Dataset(ROWS), Dataset(pairs))
    words = [{"words": ["a", "b"], "tags": ["O", "I-PER"]}, {"words": ["b"], "tags": ["B-PER"]}]
    broken = {"words": ["b", "c"], "tags": ["B-PER", "I-LOC"]}
    (note, *_) = read_dataset(Dataset([*words, broken]), scheme="iob2").notes
    assert "(first: row 1, " in note


def test_classes_and_tags_that_are_numbers_get_their_names():
    rows = [{"text": "x", "label": 1}, {"text": "y", "label": 0}, {"text": "z", "label": -1}]
    features = {"text": None, "label": Names("neg", "pos")}
    dataset = read_dataset(Dataset(rows[:2], features), test=Dataset(rows, features))
    assert dataset.labels == ("neg", "pos")
    assert [example.label for example in dataset.test] == ["pos", "neg", None]
    sentences = [{"tokens": ["Ada", "saw"], "ner_tags": [1, 0]}]
    (found,) = read_examples(
        Dataset(sentences, {"tokens": None, "ner_tags": Listed(Names("O", "B-PER"))})
    )
    assert found == TaggedExample("1", ("Ada", "saw"), ("B-PER", "O"))


@pytest.mark.parametrize(
    "wrong,message",
    [
        (None, "train: expected a file, a pandas.DataFrame, a datasets.Dataset or a list of dict"),
        (["good", "bad"], "got list"),
        (3, "got int"),
        ({"train": Dataset(ROWS)}, 'got dict; give each split, such as read_dataset(d["train"]'),
        ({"text": ["a"], "label": ["b"]}, "got dict"),
    ],
    ids=["None", "list", "int", "splits", "columns"],
)
def test_what_is_no_file_and_no_frame_is_refused_in_a_sentence(wrong, message):
    with pytest.raises(MiniftError) as found:
        read_dataset(wrong)
    assert message in str(found.value) and "\n" not in str(found.value)


def test_reading_a_file_imports_neither_library(tmp_path):
    code = (
        "import sys, minift; minift.read_dataset(sys.argv[1]); "
        "print(sorted({'pandas', 'datasets', 'pyarrow'} & sys.modules.keys()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, file_of(ROWS, tmp_path)], capture_output=True, text=True
    )
    assert ran.stdout == "[]\n", ran.stderr


# --- the libraries themselves, where they are installed ------------------------------------


@pytest.fixture
def pandas():
    try:
        import pandas
    except ImportError:
        pytest.skip(NO_FRAMES)
    return pandas


@pytest.fixture
def datasets(pandas):
    try:
        import datasets
    except ImportError:
        pytest.skip(NO_FRAMES)
    return datasets


def test_a_pandas_frame_gives_what_pandas_writes_to_a_file(pandas, tmp_path):
    frame = pandas.DataFrame(ROWS, index=[7, 7, 9, 1])  # whose index is not looked at
    for name in ("train.csv", "train.jsonl"):
        if name.endswith("csv"):
            frame.to_csv(tmp_path / name, index=False)
        else:
            frame.to_json(tmp_path / name, orient="records", lines=True)
        assert read_dataset(frame) == read_dataset(tmp_path / name)
    shuffled = frame.sample(frac=1, random_state=0)
    assert [e.id for e in read_examples(shuffled)] == shuffled["id"].tolist()


@pytest.mark.parametrize(
    "values,dtype,expected",
    [
        ([1, 0, None], None, ["1", "0", None]),  # which pandas makes 1.0, 0.0, nan
        ([1, 0, None], "Int64", ["1", "0", None]),
        ([1, 0, 1], "int8", ["1", "0", "1"]),
        ([1.0, 0.0, 2.0], None, ["1.0", "0.0", "2.0"]),  # as pandas would write them
        ([True, False, None], "boolean", ["True", "False", None]),
        (["a", "b", None], None, ["a", "b", None]),
        (["a", "b", None], "category", ["a", "b", None]),
        (["a", "b", None], "string", ["a", "b", None]),
        (["a", "b", float("nan")], "object", ["a", "b", None]),
    ],
    ids=str,
)
def test_labels_of_any_dtype_are_what_they_look_like(pandas, values, dtype, expected):
    frame = pandas.DataFrame({"text": ["x", "y", "z"], "label": pandas.Series(values, dtype=dtype)})
    found = read_examples(frame, require_labels=False)
    assert [example.label for example in found] == expected
    if None in values:
        with pytest.raises(MiniftError, match=r"^train.rows: row 3: the label is empty$"):
            read_dataset(frame)


def test_a_pandas_frame_may_hold_amounts_arrays_of_words_and_odd_columns(pandas, tmp_path):
    amounts = pandas.DataFrame(
        {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": [0.5, 2]}
    )
    dataset = read_dataset(amounts, task="regression")
    assert [(e.text, e.text_b, e.label) for e in dataset.train] == [("a", "c", 0.5), ("b", "d", 2)]
    numpy = pytest.importorskip("numpy")
    words = pandas.DataFrame({"tokens": [numpy.array(["Ada", "saw"], dtype=object)], 0: [1]})
    words["ner_tags"] = [numpy.array(["B-PER", "O"], dtype=object)]  # as Parquet is read
    assert read_examples(words) == (TaggedExample("1", ("Ada", "saw"), ("B-PER", "O")),)
    twice = pandas.DataFrame([["a", "b", "c"]], columns=["text", "text", "label"])
    with pytest.raises(MiniftError, match=r'^train.rows: two columns are named "text"$'):
        read_dataset(twice)
    with pytest.raises(MiniftError, match=r'row 2: "text" is missing$'):
        read_dataset(pandas.DataFrame({"text": ["a", None], "label": ["x", "y"]}))
    with pytest.raises(MiniftError, match="got Series"):
        read_dataset(pandas.DataFrame(ROWS)["text"])
    with pytest.raises(MiniftError, match="there are no examples in it"):
        read_dataset(pandas.DataFrame({"text": [], "label": []}))


def test_a_dataset_gives_its_rows_whatever_was_done_to_it(datasets, tmp_path):
    plain = datasets.Dataset.from_list(ROWS)
    plain.to_json(tmp_path / "train.jsonl")
    assert read_dataset(plain) == read_dataset(tmp_path / "train.jsonl")
    drawn = plain.shuffle(seed=1).select([2, 0, 1]).with_format("numpy")
    assert [e.id for e in read_examples(drawn)] == [str(row) for row in drawn["id"]]
    assert read_dataset(plain.to_pandas()) == read_dataset(plain)
    with pytest.raises(MiniftError, match=r"got DatasetDict; give each split, such as read_da"):
        read_dataset(datasets.DatasetDict(train=plain, test=plain))
    with pytest.raises(MiniftError, match="got IterableDataset"):
        read_dataset(plain.to_iterable_dataset())


def test_classes_of_a_dataset_have_the_names_that_datasets_gives_them(datasets):
    label = datasets.ClassLabel(names=["neg", "pos"])
    features = datasets.Features(text=datasets.Value("string"), label=label)
    rows = {"text": ["x", "y", "z", "w"], "label": [1, 0, -1, None]}
    found = read_examples(datasets.Dataset.from_dict(rows, features), require_labels=False)
    assert [e.label for e in found] == [label.int2str(1), label.int2str(0), None, None]
    tag = datasets.ClassLabel(names=["O", "B-PER", "I-PER"])
    features = datasets.Features(
        tokens=[datasets.Value("string")],
        ner_tags=datasets.Sequence(tag),
        id=datasets.Value("int8"),
    )
    sentences = {"tokens": [["Ada", "L.", "saw"]], "ner_tags": [[1, 2, 0]], "id": [4]}
    (found,) = read_examples(datasets.Dataset.from_dict(sentences, features))
    assert found == TaggedExample("4", ("Ada", "L.", "saw"), ("B-PER", "I-PER", "O"))
