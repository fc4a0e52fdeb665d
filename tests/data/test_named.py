"""Named sets, proven on the published files, or on small ones in their formats.

claim                                                     oracle
every row of each set is read                             the published row counts
every entity of the tagging sets is read                  the published entity counts; plain loop
texts, labels and scores are those of the file            a plain-loop reader here; rows by hand
no QNLI question is on two sides, and sides are stable    set arithmetic; hashlib by hand
repeated texts are in the notes                           counts measured elsewhere
the other sets' formats are read with their traps         files of a few lines; rows by hand
absent or damaged files are refused in words              the message
"""

import hashlib

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.data.named import NAMED_SETS, hold_out_dev, load_dataset, split_by_question
from minift.errors import MiniftError

ROWS = {
    "sst2": (6920, 872, 1821),
    "cola": (8551, 1043, 0),
    "stsb": (5749, 1500, 0),
    "wnut17": (3394, 1009, 1287),
    "ncbi_disease": (5424, 923, 940),
}
ENTITIES = {"wnut17": (1975, 836, 1079), "ncbi_disease": (5134, 787, 960)}
METRICS = {
    "sst2": "accuracy",
    "cola": "matthews",
    "qnli": "accuracy",
    "stsb": "pearson_spearman",
    "wnut17": "entity_f1",
    "ncbi_disease": "entity_f1",
}


@pytest.fixture(scope="module")
def load(real_data):
    """Each set is read once for all the tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIFT_DATA", str(real_data))
        sets = {name: load_dataset(name) for name in METRICS}
    return sets.__getitem__


def lines_of(path):
    return [line for line in path.read_bytes().decode("utf-8").split("\n") if line]


@pytest.mark.parametrize("name", ROWS)
def test_every_published_row_is_read(load, name):
    dataset = load(name)
    assert tuple(map(len, (dataset.train, dataset.dev, dataset.test))) == ROWS[name]


@pytest.mark.parametrize("name", METRICS)
def test_each_set_has_its_headline_metric_and_unique_ids(load, name):
    dataset = load(name)
    assert (dataset.name, dataset.metric) == (name, METRICS[name])
    for split in (dataset.train, dataset.dev, dataset.test):
        assert len({example.id for example in split}) == len(split)


@pytest.mark.parametrize("name", ENTITIES)
def test_every_published_entity_is_read_with_its_words(load, real_data, name):
    dataset = load(name)
    splits = (dataset.train, dataset.dev, dataset.test)
    begun = [sum(t.startswith("B-") for e in split for t in e.tags) for split in splits]
    assert tuple(begun) == ENTITIES[name]
    for split, file in zip(splits, NAMED_SETS[name].files):
        words = [word for example in split for word in example.words]
        tags = [tag for example in split for tag in example.tags]
        rows = [line.split("\t") for line in lines_of(real_data / name / file) if line.strip("\t")]
        rows[0][0] = rows[0][0].removeprefix("\ufeff")
        assert [words, tags] == [list(column) for column in zip(*rows)]


def test_wnut17_has_six_types_and_a_token_of_195_characters(load):
    dataset = load("wnut17")
    assert dataset.labels[:3] == ("O", "B-corporation", "I-corporation")
    assert len(dataset.labels) == 13
    splits = dataset.train + dataset.dev + dataset.test
    assert max(len(word) for example in splits for word in example.words) == 195


def test_ncbi_disease_has_one_type(load):
    assert load("ncbi_disease").labels == ("O", "B-Disease", "I-Disease")


def test_sst2_texts_and_labels_are_those_of_the_lines_no_break_spaces_included(load, real_data):
    dataset = load("sst2")
    assert dataset.labels == ("negative", "positive")
    for split, file in zip((dataset.train, dataset.dev, dataset.test), NAMED_SETS["sst2"].files):
        rows = [line.split(" ", 1) for line in lines_of(real_data / "sst2" / file)]
        assert [[str(dataset.labels.index(e.label)), e.text] for e in split] == rows
    assert sum(e.text.count("\u00a0") for e in dataset.train + dataset.dev + dataset.test) == 3


def test_cola_texts_and_labels_are_those_of_the_lines(load, real_data):
    dataset = load("cola")
    assert dataset.labels == ("unacceptable", "acceptable")
    for split, file in zip((dataset.train, dataset.dev), NAMED_SETS["cola"].files):
        rows = [line.split("\t") for line in lines_of(real_data / "cola" / file)]
        got = [(str(dataset.labels.index(e.label)), e.text) for e in split]
        assert got == [(row[1], row[3]) for row in rows]


def test_stsb_scores_are_those_of_the_file_within_0_and_5(load, real_data):
    dataset = load("stsb")
    assert (dataset.task, dataset.labels) == ("regression", ())
    for split, file in zip((dataset.train, dataset.dev), NAMED_SETS["stsb"].files):
        rows = [line.split("\t") for line in lines_of(real_data / "stsb" / file)][1:]
        got = [(e.text, e.text_b, e.label) for e in split]
        assert got == [(row[7], row[8], float(row[9])) for row in rows]
        assert min(e.label for e in split) == 0.0
        assert max(e.label for e in split) == 5.0


def test_qnli_keeps_all_rows_that_a_quoting_reader_would_lose(load, real_data):
    dataset = load("qnli")
    rows = [line.split("\t") for line in lines_of(real_data / "qnli" / "dev.tsv")][1:]
    assert len(rows) == 5463
    got = sorted((e.text, e.text_b, e.label) for e in dataset.train + dataset.dev + dataset.test)
    assert got == sorted((row[1], row[2], row[3]) for row in rows)


def test_no_qnli_question_is_on_two_sides_and_the_sides_are_about_60_20_20(load):
    dataset = load("qnli")
    splits = (dataset.train, dataset.dev, dataset.test)
    questions = [{example.text for example in split} for split in splits]
    assert len(set.union(*questions)) == sum(map(len, questions))
    shares = [len(split) / 5463 for split in splits]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.02)
    for split in splits:
        entailed = sum(example.label == "entailment" for example in split)
        assert entailed / len(split) == pytest.approx(0.5, abs=0.05)


def test_the_side_of_a_question_is_fixed_by_the_first_bytes_of_its_sha256():
    questions = [f"Question {number}?" for number in range(50)]
    sides = split_by_question(tuple(TextExample(q, q, "yes", "answer") for q in questions))
    for number, side in enumerate(sides):
        for example in side:
            first = int(hashlib.sha256(example.text.encode()).hexdigest()[:4], 16) / 16**4
            assert [0.0, 0.6, 0.8][number] <= first < [0.6001, 0.8001, 1.0][number]
    assert {e.id for side in sides for e in side} == set(questions)
    backwards = split_by_question(tuple(TextExample(q, q) for q in reversed(questions)))
    assert [{e.id for e in side} for side in backwards] == [{e.id for e in side} for side in sides]


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("sst2", "9 duplicate texts in train"),
        ("sst2", "2 texts of train occur in test"),
        ("cola", "16 texts of train occur in dev"),
        ("wnut17", "licence: CC BY 4.0"),
    ],
)
def test_repeated_texts_and_the_licence_are_in_the_notes(load, name, note):
    assert note in load(name).notes


def write_sst2(folder, train="1 a good film\n0 a bad one\n"):
    folder.mkdir(parents=True)
    for file in NAMED_SETS["sst2"].files:
        (folder / file).write_text("1 fine\n0 poor\n", encoding="utf-8")
    (folder / "stsa.binary.train").write_text(train, encoding="utf-8")


def test_sets_are_looked_for_in_minift_data_then_in_minift_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MINIFT_HOME", str(tmp_path / "home"))
    write_sst2(tmp_path / "home" / "data" / "sst2", "1 from home\n0 x\n")
    assert load_dataset("sst2").train[0].text == "from home"
    write_sst2(tmp_path / "data" / "sst2", "1 from data\n0 x\n")
    assert load_dataset("sst2").train[0].text == "from data"
    assert load_dataset("sst2", home=tmp_path / "home").train[0].text == "from home"


def test_the_default_home_is_under_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("MINIFT_DATA", raising=False)
    monkeypatch.delenv("MINIFT_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_sst2(tmp_path / ".cache" / "minift" / "data" / "sst2")
    assert load_dataset("sst2").train == (
        TextExample("1", "a good film", "positive"),
        TextExample("2", "a bad one", "negative"),
    )


def test_absent_files_are_an_error_that_says_where_what_and_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MINIFT_HOME", str(tmp_path / "home"))
    write_sst2(tmp_path / "data" / "sst2")
    (tmp_path / "data" / "sst2" / "stsa.binary.test").unlink()  # a folder that lacks one file
    with pytest.raises(MiniftError) as caught:
        load_dataset("sst2")
    for words in (
        str(tmp_path / "data" / "sst2"),
        str(tmp_path / "home" / "data" / "sst2"),
        "stsa.binary.train, stsa.binary.dev, stsa.binary.test",
        "data_scripts/fetch_dataset.py sst2",
        "by hand",
    ):
        assert words in str(caught.value)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(MiniftError, match=r'unknown data set "sst-2"; .*did you mean "sst2"'):
        load_dataset("sst-2")


def test_only_the_first_blank_separates_an_sst2_label_from_its_text(tmp_path):
    write_sst2(tmp_path / "data" / "sst2", "1  two  blanks\n0 \u00a0no-break\ttab \n")
    texts = [example.text for example in load_dataset("sst2", home=tmp_path).train]
    assert texts == [" two  blanks", "\u00a0no-break\ttab "]


def test_damaged_lines_are_refused_with_file_and_lines(tmp_path):
    write_sst2(tmp_path / "data" / "sst2", "1 good\n2 odd\npositive film\n0 \n1\n")
    with pytest.raises(MiniftError, match=r"train: line 2: .*; line 3: .*; line 4: .*; line 5: "):
        load_dataset("sst2", home=tmp_path)


# ------------------------------------------------------------------ sets that are not at hand


@pytest.fixture
def small(tmp_path):
    """Write the files of a set, bytes in the order of NAMED_SETS, and load it."""

    def load(name, *files):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in zip(NAMED_SETS[name].files, files, strict=True):
            (folder / file).write_bytes(content)
        return load_dataset(name, home=tmp_path)

    return load


def all_of(dataset):
    return sorted(dataset.train + dataset.dev, key=lambda example: int(example.id))


@pytest.mark.parametrize("name", ["rte", "qnli_full"])
def test_glue_pairs_keep_their_quotes_and_have_no_labelled_test(small, name):
    a, b = ("sentence1", "sentence2") if name == "rte" else ("question", "sentence")
    header = f"index\t{a}\t{b}\tlabel\n"
    rows = '0\tHe said "no\tHe spoke.\tentailment\n1\tA "b" c\t"d\tnot_entailment\n'
    dataset = small(name, (header + rows).encode(), (header + rows).encode())
    assert dataset.train == (
        TextExample("1", 'He said "no', "entailment", "He spoke."),
        TextExample("2", 'A "b" c', "not_entailment", '"d'),
    )
    assert dataset.labels == ("entailment", "not_entailment")
    assert (dataset.dev, dataset.test) == (dataset.train, ())


def test_ag_news_joins_title_and_description_and_undoubles_quotes(small):
    train = '"3","Oil, ""up""","Prices\\band more"\n"4","A\u2028B","C"\n'.encode()
    dataset = small("ag_news", train, b'"1","T","D"\n')
    assert all_of(dataset) == [
        TextExample("1", 'Oil, "up" Prices\\band more', "Business"),
        TextExample("2", "A\u2028B C", "Sci/Tech"),
    ]
    assert dataset.test == (TextExample("1", "T D", "World"),)
    assert dataset.labels == ("World", "Sports", "Business", "Sci/Tech")
    with pytest.raises(MiniftError, match=r"train\.csv: line 2: .*expected a class 1 to 4"):
        small("ag_news", b'"1","T","D"\n"5","T","D"\n', train)
    with pytest.raises(MiniftError, match=r"train\.csv: line 1: not valid CSV"):
        small("ag_news", b'"1","T" x,"D"\n', train)


def test_swedish_ner_has_bare_types_a_zero_for_o_and_numbers_for_words(small):
    train = "Bodil\tPER\nHallin\tPER\ni 0\n\u00c5re   LOC\n\n0,3\t0\nprocent\t0\n0\t0\n".encode()
    dataset = small("swedish_ner", train, b"Ja\t0\n")
    assert all_of(dataset) == [
        TaggedExample("1", ("Bodil", "Hallin", "i", "\u00c5re"), ("B-PER", "I-PER", "O", "B-LOC")),
        TaggedExample("2", ("0,3", "procent", "0"), ("O", "O", "O")),
    ]
    assert dataset.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def test_conll2003_is_read_in_iob1_and_iob2_alike_without_the_docstart_lines(small):
    start = b"-DOCSTART- -X- O O\n\n"
    iob1 = start + b"EU NNP I-NP I-ORG\nAnn NNP I-NP I-PER\nBob NNP I-NP B-PER\n. . O O\n"
    iob2 = start.replace(b"O O", b"-X- O") + (
        b"EU NNP B-NP B-ORG\nAnn NNP B-NP B-PER\nBob NNP B-NP B-PER\n. . O O\n"
    )
    dataset = small("conll2003", iob1, iob2, iob2)
    tags = ("B-ORG", "B-PER", "B-PER", "O")
    assert dataset.train == (TaggedExample("1", ("EU", "Ann", "Bob", "."), tags),)
    assert dataset.train == dataset.dev == dataset.test


def test_a_set_without_a_dev_part_holds_out_one_text_in_ten_by_its_sha256(small):
    rows = [f"Who is number {number} ?" for number in range(400)]
    table = "".join(f'"1","{row[:3]}","{row[4:]}"\n' for row in rows)
    dataset = small("ag_news", table.encode(), b'"2","How","many ?"\n')
    for part, dev in ((dataset.train, False), (dataset.dev, True)):
        for example in part:
            first = int(hashlib.sha256(example.text.encode()).hexdigest()[:8], 16) / 16**8
            assert (first >= 0.9) == dev
    assert all_of(dataset) == [TextExample(str(n), row, "World") for n, row in enumerate(rows, 1)]
    assert 20 <= len(dataset.dev) <= 60
    same = (TaggedExample("1", ("Who", "is"), ("O", "O")), TextExample("2", "Who is"))
    sides = hold_out_dev(same, ())
    assert sorted(map(len, sides)) == [0, 0, 2]  # words or text, the same side


def test_labels_are_those_of_the_training_file_also_where_only_dev_has_one_of_them(small):
    texts = [f"word{number}" for number in range(100)]
    held = {text for text in texts if hashlib.sha256(text.encode()).digest()[0] >= 231}
    assert held
    rows = "".join(f"{text}\t{'Rare' if text in held else 'Dish'}\n\n" for text in texts)
    dataset = small("swedish_ner", rows.encode(), b"x\t0\n")
    assert {example.words[0] for example in dataset.dev} == held
    assert dataset.labels == ("O", "B-Dish", "I-Dish", "B-Rare", "I-Rare")
