"""The embedded sets, proven: what the data card promises is so.

claim                                                     oracle
each row of the files comes out as it stands              plain json and a plain loop over lines
counts, splits and labels are those of the data card      numbers by hand; rows of the card
no theme, document or near-duplicate is in two splits     set arithmetic; brute-force Jaccard
no phrase of five words is in two splits                  brute force over all phrases
no review is the mirror image of another                  brute-force Jaccard
the tags of news are valid IOB2                           seqeval.scheme
the sets are neither trivial nor noise                    scikit-learn; shuffled labels
plain reviews are easy, the others hard                   scikit-learn
the sets are in a wheel                                   setuptools' own build step; a subprocess
"""

import json
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2, Entities
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from minift.data import named
from minift.data.named import load_dataset
from minift.errors import MiniftError

MODULE = Path(named.__file__)
SETS = MODULE.parent / "sets"
SPLITS = ("train", "dev", "test")
SIZES = {"reviews": (1360, 400, 400), "news": (501, 139, 140)}
TAGS = {
    "plain", "irony", "implied", "contrast", "comparison", "negation", "domain", "reported",
    "understatement", "mixed",
}  # fmt: skip
PAIRS = [("train", "dev"), ("train", "test"), ("dev", "test")]


@pytest.fixture(scope="module", params=SIZES)
def dataset(request):
    return load_dataset(request.param)


@pytest.fixture(scope="module")
def reviews():
    return load_dataset("reviews")


@pytest.fixture(scope="module")
def news():
    return load_dataset("news")


@pytest.fixture(scope="module")
def card():
    return (SETS / "README.md").read_text(encoding="utf-8")


def lines_of(name):
    return (SETS / name).read_bytes().decode("utf-8").split("\n")


def rows_of(split):
    return [json.loads(line) for line in lines_of(f"reviews_{split}.jsonl") if line]


def review_tags():
    """Return review id -> what makes it easy or hard."""
    return {row["id"]: tuple(row["tags"]) for split in SPLITS for row in rows_of(split)}


def text_of(example):
    return example.text if hasattr(example, "text") else " ".join(example.words)


def words_of(text):
    return re.findall(r"[a-z0-9']+", text.lower())


def documents_of(split):
    """Return [(document, theme)] of the comments of a news file."""
    comments = [line for line in lines_of(f"news_{split}.conll") if line.startswith("# doc")]
    return [re.fullmatch(r"# doc = (\S+) theme = (.+)", comment).groups() for comment in comments]


def entities_of(sentences):
    """Return [(type, name)] by seqeval's reading of IOB2."""
    found = Entities([list(s.tags) for s in sentences], IOB2)
    return [
        (entity.tag, " ".join(sentence.words[entity.start : entity.end]))
        for sentence, entities in zip(sentences, found.entities)
        for entity in entities
    ]


# What is in the files comes out


def test_every_review_comes_out_as_it_stands_in_its_file(reviews):
    for split in SPLITS:
        expected = [(row["id"], row["text"], row["label"], None) for row in rows_of(split)]
        got = [(e.id, e.text, e.label, e.text_b) for e in getattr(reviews, split)]
        assert got == expected


def test_every_word_and_tag_of_news_comes_out_and_the_comments_do_not(news):
    for split in SPLITS:
        lines = [line for line in lines_of(f"news_{split}.conll") if not line.startswith("# ")]
        sentences = [block.split("\n") for block in "\n".join(lines).strip("\n").split("\n\n")]
        expected = [[tuple(line.split("\t")) for line in sentence] for sentence in sentences]
        assert [list(zip(e.words, e.tags)) for e in getattr(news, split)] == expected


def test_sizes_labels_and_metrics_are_those_promised(dataset):
    assert tuple(len(getattr(dataset, split)) for split in SPLITS) == SIZES[dataset.name]
    if dataset.name == "reviews":
        assert (dataset.task, dataset.metric) == ("classification", "accuracy")
        assert dataset.labels == ("negative", "positive")
    else:
        assert (dataset.task, dataset.metric) == ("tagging", "entity_f1")
        assert set(dataset.labels) == {"O"} | {
            f"{letter}-{type_}" for letter in "BI" for type_ in ("PER", "ORG", "LOC", "MISC")
        }
    assert dataset.notes == ("licence: CC0 1.0",)  # no duplicates, no broken tags to report


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(MiniftError, match=r'unknown data set "review"; .*mean "reviews"'):
        load_dataset("review")


# Balance, lengths, tags


def test_each_split_and_each_theme_has_as_many_positive_as_negative_reviews():
    for split in SPLITS:
        counts = Counter((row["theme"], row["label"]) for row in rows_of(split))
        assert set(counts.values()) == {40}
        assert len(counts) == 2 * {"train": 17, "dev": 5, "test": 5}[split]


def test_reviews_have_4_to_60_words_in_short_middle_and_long_texts_alike_for_both_labels(reviews):
    lengths = defaultdict(list)
    for example in reviews.train + reviews.dev + reviews.test:
        lengths[example.label].append(len(example.text.split()))
    for of_label in lengths.values():
        assert 4 <= min(of_label) <= max(of_label) <= 60
        shares = Counter((n > 9) + (n > 24) for n in of_label)
        assert [shares[k] / len(of_label) for k in range(3)] == pytest.approx(
            [0.27, 0.46, 0.27], abs=0.03
        )


def test_news_sentences_have_4_to_60_words(news):
    lengths = [len(e.words) for e in news.train + news.dev + news.test]
    assert 4 <= min(lengths) <= max(lengths) <= 60


def test_the_first_hundred_lines_are_a_mixture_of_themes_and_labels():
    rows = rows_of("train")[:100]
    assert len({row["theme"] for row in rows}) == 17
    assert 35 <= sum(row["label"] == "positive" for row in rows) <= 65


def test_an_id_tells_the_theme_and_not_the_label(reviews):
    examples = reviews.train + reviews.dev + reviews.test
    assert len({e.id for e in examples}) == len(examples)
    themes = {row["id"]: row["theme"] for split in SPLITS for row in rows_of(split)}
    assert all(e.id.rpartition("-")[0] == themes[e.id] for e in examples)
    low = [e.label for e in examples if int(e.id.rpartition("-")[2]) <= 40]
    assert Counter(low)["positive"] / len(low) == pytest.approx(0.5, abs=0.06)


def test_each_tag_of_a_review_is_known_and_counted_in_the_card(reviews, card):
    tags = review_tags()
    assert tags["film-03"] == ("plain",)
    labels = {e.id: e.label for e in reviews.train + reviews.dev + reviews.test}
    assert tags.keys() == labels.keys()
    counts = Counter((tag, labels[id_]) for id_, of_id in tags.items() for tag in of_id)
    assert {tag for tag, _ in counts} == TAGS
    for tag in TAGS:
        assert f"| {tag} | {counts[tag, 'negative']} | {counts[tag, 'positive']} |" in card
    assert f"on {sum(map(bool, tags.values()))} of the texts" in card


# Nothing crosses the splits


def test_no_theme_of_reviews_and_no_theme_or_document_of_news_is_in_two_splits():
    for one, other in PAIRS:
        assert not {r["theme"] for r in rows_of(one)} & {r["theme"] for r in rows_of(other)}
        here, there = documents_of(one), documents_of(other)
        assert not {document for document, _ in here} & {document for document, _ in there}
        assert not {theme for _, theme in here} & {theme for _, theme in there}
    assert [len(documents_of(split)) for split in SPLITS] == [258, 77, 72]


def test_no_text_is_in_a_set_twice(dataset):
    texts = [text_of(e).lower() for e in dataset.train + dataset.dev + dataset.test]
    assert len(set(texts)) == len(texts)


def likeness(one, other):
    """Jaccard of the sets of words and of pairs of words."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def shingles(text):
    words = words_of(text)
    return frozenset(words) | frozenset(pairwise(words))


def test_no_text_is_a_near_duplicate_of_one_in_another_split(dataset):
    sets = {s: [shingles(text_of(e)) for e in getattr(dataset, s)] for s in SPLITS}
    most = max(likeness(a, b) for one, other in PAIRS for a in sets[one] for b in sets[other])
    assert most < 0.4
    text = text_of(dataset.train[3])  # what the measure must not miss: one word changed in ten
    changed = " ".join("thing" if n % 10 == 3 else w for n, w in enumerate(text.split()))
    assert changed != text
    assert likeness(shingles(text), shingles(changed)) > 0.6


def test_no_review_is_the_mirror_image_of_another_of_its_theme():
    """Two texts that differ in one word teach that word, not reading."""
    of_theme = defaultdict(lambda: {"positive": [], "negative": []})
    for row in (row for split in SPLITS for row in rows_of(split)):
        of_theme[row["theme"]][row["label"]].append(shingles(row["text"]))
    for texts in of_theme.values():
        assert max(likeness(a, b) for a in texts["positive"] for b in texts["negative"]) < 0.3
    love, hate = shingles("we love the warm pool"), shingles("we hate the warm pool")
    assert likeness(love, hate) > 0.3  # what the measure must not miss


def test_no_phrase_of_five_words_is_in_two_splits(dataset):
    phrases = {split: set() for split in SPLITS}
    for split, found in phrases.items():
        for example in getattr(dataset, split):
            words = words_of(text_of(example))
            found |= {tuple(words[n : n + 5]) for n in range(len(words) - 4)}
    assert min(map(len, phrases.values())) > 1000
    for one, other in PAIRS:
        assert not phrases[one] & phrases[other]


def test_the_share_of_names_of_train_among_those_of_test_is_the_one_in_the_card(news, card):
    known = {name.lower() for _, name in entities_of(news.train)}
    for split, phrase in (("test", "of the 229 entities of test"), ("dev", "For dev it is")):
        names = [name for _, name in entities_of(getattr(news, split))]
        shared = [name for name in names if name.lower() in known]
        assert phrase in card
        assert len(shared) / len(names) < 0.05
        assert f"({len(shared) / len(names):.1%})".replace("%", " %") in card
    assert all(name in card for _, name in entities_of(news.test) if name.lower() in known)


# The tags of news


def test_the_tags_of_news_are_valid_iob2(news):
    for sentence in news.train + news.dev + news.test:
        for before, tag in zip(("O", *sentence.tags), sentence.tags):
            assert tag == "O" or re.fullmatch(r"[BI]-(PER|ORG|LOC|MISC)", tag)
            assert not tag.startswith("I-") or before[1:] == tag[1:]


def test_entities_and_sentences_without_any_are_as_many_as_the_card_says(news, card):
    for split in SPLITS:
        sentences = getattr(news, split)
        counts = Counter(type_ for type_, _ in entities_of(sentences))
        none = sum(set(sentence.tags) == {"O"} for sentence in sentences)
        row = [len(documents_of(split)), len(sentences), none]
        row += [counts[type_] for type_ in ("PER", "LOC", "ORG", "MISC")]
        assert f"| {split} | {18 if split == 'train' else 5} | " + " | ".join(map(str, row)) in card


def test_brackets_of_the_authors_left_no_trace(news):
    for sentence in news.train + news.dev + news.test:
        assert not re.search(r"[\[\]\t]", " ".join(sentence.words))


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("amazon", {"LOC", "ORG", "PER"}),
        ("chelsea", {"LOC", "ORG"}),
        ("florence", {"LOC", "PER"}),
        ("ford", {"ORG", "PER"}),
        ("leeds", {"LOC", "ORG"}),
        ("lincoln", {"LOC", "MISC"}),
    ],
)
def test_the_ambiguous_names_have_each_of_their_types_somewhere(news, name, types):
    found = entities_of(news.train + news.dev + news.test)
    assert {type_ for type_, words in found if words.lower() == name} == types


# Neither trivial nor noise


def bag_of_words(texts, labels):
    model = make_pipeline(CountVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    return model.fit(texts, labels)


def columns(examples):
    return [e.text for e in examples], [e.label for e in examples]


def in_card(card, row):
    """Return the figures of a row of the card's last tables."""
    (line,) = [line for line in card.split("\n") if line.startswith(f"| {row}")]
    return [float(cell) for cell in line.strip("| ").split("|")[-2:]]


def test_a_bag_of_words_is_far_from_solving_reviews_yet_clearly_better_than_chance(reviews, card):
    model = bag_of_words(*columns(reviews.train))
    figures = [100 * model.score(*columns(split)) for split in (reviews.dev, reviews.test)]
    assert max(figures) < 85
    assert min(figures) > 65  # 6 standard errors of 400 coin throws above 50
    assert in_card(card, "bag of words, all 1,360") == pytest.approx(figures, abs=1.5)


def test_a_bag_of_words_reads_plain_reviews_and_not_the_others(reviews, card):
    tags = review_tags()
    model = bag_of_words(*columns(reviews.train))
    for row, plain in (("bag of words, all, on plain", True), ("bag of words, all, on the", False)):
        parts = [
            [e for e in split if ("plain" in tags[e.id]) == plain]
            for split in (reviews.dev, reviews.test)
        ]
        assert all(0.45 < len(part) / 400 < 0.55 for part in parts)
        figures = [100 * model.score(*columns(part)) for part in parts]
        assert min(figures) > 85 if plain else max(figures) < 70
        assert in_card(card, row) == pytest.approx(figures, abs=1.5)


def test_a_bag_of_words_that_learned_shuffled_labels_is_at_chance(reviews):
    texts, labels = columns(reviews.train)
    random.Random(0).shuffle(labels)
    both = columns(reviews.dev + reviews.test)
    assert 100 * bag_of_words(texts, labels).score(*both) == pytest.approx(50, abs=6)


def test_a_hundred_labels_are_worth_little_to_a_bag_of_words(reviews, card):
    scores = []
    for seed in range(8):
        drawn = random.Random(seed).sample(reviews.train, 100)
        model = bag_of_words(*columns(drawn))
        scores.append([100 * model.score(*columns(s)) for s in (reviews.dev, reviews.test)])
    means = [sum(column) / len(scores) for column in zip(*scores)]
    assert in_card(card, "bag of words, 100") == pytest.approx(means, abs=3)


def test_the_majority_class_is_right_on_half_of_each_split(reviews, card):
    model = DummyClassifier().fit(*columns(reviews.train))
    figures = [100 * model.score(*columns(split)) for split in (reviews.dev, reviews.test)]
    assert figures == [50, 50] == in_card(card, "majority class")


def test_the_most_frequent_tag_of_each_word_finds_few_of_the_names(news, card):
    counts = defaultdict(Counter)
    for sentence in news.train:
        for word, tag in zip(sentence.words, sentence.tags):
            counts[word][tag] += 1
    best = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}

    def f1(sentences):
        guesses = [[best.get(word, "O") for word in s.words] for s in sentences]
        return 100 * f1_score([list(s.tags) for s in sentences], guesses)

    assert f1(news.train) > 70  # it does know what it has seen
    assert in_card(card, "most frequent tag") == pytest.approx([f1(news.dev), f1(news.test)], abs=1)
    assert 0 < f1(news.test) < 20


# Licence and packaging


def test_the_licence_is_in_the_package_in_full_and_named_in_the_card(card):
    text = (SETS / "LICENSE-CC0.txt").read_text(encoding="utf-8")
    assert "CC0 1.0 Universal" in text
    assert "4. Limitations and Disclaimers." in text
    assert "CC0 1.0" in card
    assert "LICENSE-CC0.txt" in card


def test_setuptools_puts_every_file_of_the_sets_into_a_wheel(tmp_path):
    """Run the step of a wheel build that copies files, on a copy of what it reads."""
    repository = MODULE.parents[2]
    copy = tmp_path / "repository"
    (copy / "minift" / "data").mkdir(parents=True)
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    tables = re.findall(r"(?ms)^\[tool\.setuptools.*?(?=^\[|\Z)", text)
    lines = ["[project]", 'name = "minift"', 'version = "0"', *tables]
    (copy / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
    for folder in (copy / "minift", copy / "minift" / "data"):
        (folder / "__init__.py").touch()
    (copy / "minift" / "data" / "sets").mkdir()
    names = {path.name for path in SETS.iterdir()}
    for name in names:
        (copy / "minift" / "data" / "sets" / name).write_bytes((SETS / name).read_bytes())
    build = "import setuptools; setuptools.setup(script_args=['-q', 'build', '-b', 'out'])"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    built = {path.name for path in (copy / "out" / "lib" / "minift" / "data" / "sets").iterdir()}
    assert built == names
    assert len(names) == 12
