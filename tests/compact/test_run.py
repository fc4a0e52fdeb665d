"""From a teacher and text to a folder with a student.

claim                                                      oracle
the stored student reproduces the best development score   history.jsonl; load_student
test is scored once, at the end                            a count of the calls
the folder says how it was made and what came out          its files, read
a sentence that is labelled is not unlabelled, too         sentences given twice
words of dev and test are unknown                          the vocabulary of the file
the same seeds give the same bytes                         two folders
killed after any look, it ends with the same bytes         the folder nobody killed
bad input is refused before training, nothing is lost      the words; the bytes that were there
"""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
import torch

from minift.compact import run as module
from minift.compact.distill import Distillation
from minift.compact.run import distill, read_sentences
from minift.compact.store import FILE, load_student
from minift.compact.student import Student
from minift.data.examples import TaggedExample
from minift.data.files.readers import read_examples
from minift.errors import MiniftError
from minift.runs.resume import Checkpoints
from minift.training.loop import Seeds
from tests.compact.world import tiny_teacher
from tests.tiny import news, reviews

FAST = Distillation(steps=30, evaluate_every=5, learning_rate=5e-3)
DATASET = news(160)
FEW = replace(DATASET, train=DATASET.train[:8])
POOL = [e.words for e in DATASET.train]  # the labelled ones are among them


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return folder, tiny_teacher(folder)


def fast(teacher, out=None, dataset=FEW, unlabelled=POOL, settings=FAST, **options):
    names = [field.name for field in fields(Distillation) if field.name in options]
    settings = replace(settings, **{name: options.pop(name) for name in names})
    return distill(teacher, dataset, unlabelled, out, settings=settings, **options)


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_the_stored_student_reproduces_the_best_score_and_test_is_scored_once(
    world, tmp_path, monkeypatch, head
):
    _, teacher = world
    scored = []
    evaluate = Student.evaluate

    def counted(self, examples, progress=False):
        scored.append("dev" if tuple(examples) == FEW.dev else "test")
        return evaluate(self, examples)

    monkeypatch.setattr(Student, "evaluate", counted)
    student, result = fast(teacher, tmp_path, head=head)
    assert scored == ["dev"] * 6 + ["dev", "test"]
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    best = max(line["dev"] for line in history)
    first = next(line["step"] for line in history if line["dev"] == best)
    assert best > 0.5
    assert result["dev"] == result["best_dev_in_training"] == best
    assert result["kept_step"] == first
    again = load_student(tmp_path)
    assert again.evaluate(FEW.dev).scores["entity_f1"] == best
    assert again.evaluate(FEW.test).scores == result["test_scores"]
    assert again.model.config.head == head
    assert student.tag(POOL) == again.tag(POOL)
    assert json.loads((tmp_path / "result.json").read_text()) == result
    sizes = {"teacher": teacher.model, "student": student.model}
    for side, model in sizes.items():
        assert result[f"{side}_parameters"] == sum(p.numel() for p in model.parameters())
    made = json.loads((tmp_path / "distill.json").read_text())
    assert (made["settings"]["head"], made["settings"]["steps"]) == (head, 30)


def test_gold_wins_over_the_same_sentence_in_the_text_and_leaks_are_counted(world, monkeypatch):
    _, teacher = world
    seen = []
    ask = module.pseudo_lessons

    def spy(sentences, *rest):
        seen.extend(sentences)
        return ask(sentences, *rest)

    monkeypatch.setattr(module, "pseudo_lessons", spy)
    text = [*POOL, DATASET.test[0].words, DATASET.test[1].words]
    short = replace(FAST, steps=2, evaluate_every=2)
    _, result = fast(teacher, unlabelled=text, settings=short)
    gold = {e.words for e in FEW.train}
    assert gold.isdisjoint(seen)
    notes = " ".join(result["notes"])
    assert f"unlabelled sentences that are labelled: {len(text) - len(seen)};" in notes
    in_test = sum(e.words in set(seen) for e in DATASET.test)
    assert f"sentences of test in the unlabelled text: {in_test};" in notes
    assert in_test >= 2
    assert result["unlabelled"] == len(seen)


def test_words_of_dev_and_test_are_unknown(world):
    _, teacher = world
    strange = TaggedExample("s", ("Zorro", "saw"), ("B-PER", "O"))
    dataset = replace(FEW, test=(strange,))
    short = replace(FAST, steps=1, evaluate_every=1)
    student, _ = fast(teacher, dataset=dataset, settings=short, min_count=1)
    assert student.vocabulary.word_id("Zorro") == 0


def test_the_same_seeds_give_the_same_bytes_and_others_do_not(world, tmp_path):
    _, teacher = world
    short = replace(FAST, steps=4, evaluate_every=2)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fast(teacher, tmp_path / name, settings=short, seeds=Seeds.all(seed))
    a, b, c = ((tmp_path / name / FILE).read_bytes() for name in "abc")
    assert a == b != c


def test_eight_bits_are_scored_as_they_are_stored(world, tmp_path):
    _, teacher = world
    student, result = fast(teacher, tmp_path, storage="int8")
    assert result["test"] == load_student(tmp_path).evaluate(FEW.test).scores["entity_f1"]
    row = student.model.dense.weight  # small: exact
    assert (tmp_path / FILE).stat().st_size < 4 * sum(
        p.numel() for p in student.model.parameters()
    ) / 3
    assert row.dtype == torch.float32


def test_labels_alone_need_no_teachers_answers(world, monkeypatch):
    _, teacher = world

    def never(*arguments, **options):
        raise AssertionError("the teacher was asked")

    monkeypatch.setattr(module, "teacher_logits", never)
    settings = replace(FAST, teacher_weight=0.0)
    _, result = fast(teacher, unlabelled=[], settings=settings)
    assert result["unlabelled"] == 0
    assert 0 <= result["test"] <= 1
    # without a weight, text is there for the vocabulary only
    more = [*POOL, ("Zorro", "Zorro")]
    student, again = fast(teacher, unlabelled=more, settings=replace(settings, pseudo_weight=0.0))
    assert student.vocabulary.word_id("Zorro") > 0
    assert again["unlabelled"] > 0


def test_a_sentence_of_5000_words_is_taught_whole(world):
    _, teacher = world
    words = tuple(POOL[0][n % len(POOL[0])] for n in range(5000))
    short = replace(FAST, steps=1, evaluate_every=1)
    student, result = fast(teacher, unlabelled=[words], settings=short)
    assert result["unlabelled"] == 1
    assert len(student.tag([words])[0]) == 5000


def test_bad_input_is_refused_before_training_and_nothing_is_lost(world, tmp_path):
    _, teacher = world
    other = TaggedExample("7", ("Ada",), ("B-ORG",))
    with pytest.raises(
        MiniftError, match=r'train: unknown tag in sentence 7: "B-ORG".*other labels'
    ):
        fast(teacher, dataset=replace(FEW, train=(*FEW.train, other)))
    with pytest.raises(MiniftError, match='test: unknown tag in sentence 7: "B-ORG"'):
        fast(teacher, dataset=replace(FEW, test=(other,)))
    with pytest.raises(MiniftError, match="is for classification; a student learns to tag"):
        fast(teacher, dataset=reviews())
    with pytest.raises(MiniftError, match="has no labelled training sentences"):
        fast(teacher, dataset=replace(FEW, train=()))
    with pytest.raises(MiniftError, match="the vocabulary would be empty"):
        fast(teacher, min_count=10_000)
    for bad, words in (
        ({"storage": "int4"}, 'unknown storage "int4"'),
        ({"vectors": "glove"}, 'unknown vectors "glove"; known: teacher, random'),
        ({"head": "linear"}, 'head must be "softmax" or "crf"'),
        ({"word_dropout": 1.0}, "word_dropout must be a number in"),
        ({"min_count": 0}, "min_count must be a whole number from 1 up"),
        ({"teacher_words": -1}, "teacher_words must be a whole number from 0 up"),
    ):
        with pytest.raises(MiniftError, match=words):
            Distillation(**bad)
    short = replace(FAST, steps=1, evaluate_every=1)
    fast(teacher, tmp_path / "done", settings=short)
    before = {f.name: f.read_bytes() for f in (tmp_path / "done").iterdir()}
    with pytest.raises(MiniftError, match="already holds a finished run"):
        fast(teacher, tmp_path / "done", settings=short)
    assert {f.name: f.read_bytes() for f in (tmp_path / "done").iterdir()} == before


def test_a_student_of_one_known_word_still_reads_spellings(world):
    _, teacher = world
    twice = TaggedExample("1", ("Ada", "Ada", "saw"), ("B-PER", "B-PER", "O"))
    short = replace(FAST, steps=2, evaluate_every=2)
    student, _ = fast(teacher, dataset=replace(FEW, train=(twice,)), unlabelled=[], settings=short)
    assert student.vocabulary.word_rows == 2
    assert student.tag([("Ada", "Oslo")])


def test_unlabelled_text_is_read_in_lines_or_in_words(tmp_path):
    lines = tmp_path / "text.txt"
    lines.write_text("Ada saw Oslo!\n\n  \nIt's on.\n", encoding="utf-8")
    assert read_sentences(lines) == [("Ada", "saw", "Oslo", "!"), ("It's", "on", ".")]
    words = tmp_path / "words.conll"
    words.write_text("Ada\nsaw\n\nOslo\n", encoding="utf-8")
    assert read_sentences(words) == [("Ada", "saw"), ("Oslo",)]
    words.write_text("Ada\tB-PER\nsaw\tO\n\nOslo\tB-LOC\n", encoding="utf-8")
    assert read_sentences(words) == [("Ada", "saw"), ("Oslo",)]
    lines.write_text("Ada\tB-PER\nsaw\tO\n\nOslo\tB-LOC\n", encoding="utf-8")  # by its content
    assert read_sentences(lines) == [("Ada", "saw"), ("Oslo",)]
    json_lines = tmp_path / "text.jsonl"
    json_lines.write_text('{"text": "Ada saw!"}\n', encoding="utf-8")
    assert read_sentences(json_lines) == [("Ada", "saw", "!")]


def test_bad_unlabelled_files_are_refused_with_their_lines(tmp_path):
    path = tmp_path / "text.txt"
    with pytest.raises(MiniftError, match="no such file"):
        read_sentences(path)
    for empty in ("", "\n \n"):
        path.write_text(empty)
        with pytest.raises(MiniftError, match="the file is empty"):
            read_sentences(path)
    path = tmp_path / "words.conll"
    path.write_text("Ada\tO\nsaw\tO\nin\tthe\tO\nat\tO\n")
    with pytest.raises(MiniftError, match="line 3: 3 columns, expected 2"):
        read_sentences(path)
    with pytest.raises(MiniftError, match=r"line 2: .*'B-PRE'|line 2: the label \"B-PRE\""):
        path.write_text("Ada\tO\nsaw\tB-PRE\n")
        read_examples(path, labels=["O", "B-PER"])


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_killed_after_any_look_a_student_ends_as_if_nothing_had_happened(
    world, tmp_path, monkeypatch, head
):
    _, teacher = world

    def outcome(folder):
        result = json.loads((folder / "result.json").read_text())
        history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        for row in (result, *history):
            del row["seconds"]
        return (folder / FILE).read_bytes(), result, history

    how = FAST
    fast(teacher, tmp_path / "whole", head=head, settings=how)
    save = Checkpoints.save
    steps = [line["step"] for line in outcome(tmp_path / "whole")[2]]
    for step in steps[:-1]:
        folder = tmp_path / f"killed-{step}"

        def dying(self, at, state, step=step):
            save(self, at, state)
            if at == step:
                raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Checkpoints, "save", dying)
            fast(teacher, folder, head=head, settings=how, save_every=0)
        fast(teacher, folder, head=head, settings=how)
        assert outcome(folder) == outcome(tmp_path / "whole")
        assert not (folder / "checkpoints").exists()


def test_an_unfinished_student_of_other_text_is_not_taken_up(world, tmp_path, monkeypatch):
    _, teacher = world
    save = Checkpoints.save

    def dying(self, at, state):
        save(self, at, state)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoints, "save", dying)
        fast(teacher, tmp_path, save_every=0)
    with pytest.raises(MiniftError, match="unfinished run with another digest and unlabelled"):
        fast(teacher, tmp_path, unlabelled=POOL[:20])
