"""What the driver of the compact taggers says of one student and its teacher.

claim                                                    oracle
bytes are those on the disk                              the sizes of the files
F1 and agreement are those of the answers                entity_scores; words counted by hand
BERT-base is counted by its shapes                       shapes alone
"""

from __future__ import annotations

import json

import pytest
import torch

from minift.compact.report import Speeds
from minift.compact.store import FILE, save_student
from minift.compact.student import new_student
from minift.compact.teacher import teacher_tags
from minift.compact.vocabulary import build_vocabulary
from minift.data.entities import entity_scores
from minift.data.examples import TaggedExample
from minift.errors import MiniftError
from minift.runs.tuned import build
from minift.training.loop import Seeds
from tests.data_scripts.test_entity_runs import script  # noqa: F401
from tests.tiny import checkpoint, news


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    teacher = build(news(), checkpoint(folder / "teacher"), Seeds.all(0))
    vocabulary = build_vocabulary([e.words for e in news().train])
    student = new_student(vocabulary, teacher.labels, torch.Generator().manual_seed(0))
    save_student(student, folder / "student", "int8")
    return folder, teacher, student


def test_the_report_has_the_promised_keys_and_they_are_what_they_say(script, world, monkeypatch):  # noqa: F811
    folder, teacher, student = world
    examples = news().test
    speeds = Speeds(50.0, 40.0, 60.0), Speeds(500.0, 450.0, 600.0)
    monkeypatch.setattr(script, "alternating_speeds", lambda *arguments: speeds)
    report = script.compression_report(
        teacher, student, examples, teacher_file=folder / "teacher",
        student_file=folder / "student", command="minift distill --teacher T",
    )  # fmt: skip
    promised = (
        "teacher_parameters student_parameters compression teacher_f1 student_f1 "
        "teacher_sentences_per_second student_sentences_per_second"
    )
    assert set(promised.split()) <= set(report)
    for side, model in (("teacher", teacher.model), ("student", student.model)):
        numbers = {name: p.numel() for name, p in model.named_parameters()}
        tables = ("word", "character", "position", "segment")
        rest = sum(n for name, n in numbers.items() if name.split(".")[-2] not in tables)
        assert report[f"{side}_parameters"] == sum(numbers.values())
        assert report[f"{side}_parameters_without_embeddings"] == rest
    on_disk = [(folder / "teacher" / "model.safetensors"), (folder / "student" / FILE)]
    sizes = [path.stat().st_size for path in on_disk]
    assert [report["teacher_stored_bytes"], report["student_stored_bytes"]] == sizes
    assert report["compression_stored"] == sizes[0] / sizes[1]
    ratio = report["teacher_parameters"] / report["student_parameters"]
    assert report["compression"] == ratio
    assert report["speedup"] == 10.0
    sentences = [e.words for e in examples]
    says_teacher, says_student = teacher_tags(teacher, sentences), student.tag(sentences)
    gold = [e.tags for e in examples]
    assert report["teacher_f1"] == entity_scores(gold, says_teacher).micro.f1
    assert report["student_f1"] == entity_scores(gold, says_student).micro.f1
    same = total = 0
    for a, b in zip(says_teacher, says_student):
        for x, y in zip(a, b):
            same, total = same + (x == y), total + 1
    assert report["agreement"] == same / total
    assert json.loads(json.dumps(report)) == report
    text = script.report_text(report)
    assert f"{report['student_parameters']:,}" in text
    assert "10.0 times faster" in text
    assert report["command"] == "minift distill --teacher T"
    assert f"torch {torch.__version__}" in report["machine"]
    assert report["machine"] in text
    # 30,522 + 512 + 2 rows, 12 layers of 768 and 3,072, and this teacher's five labels
    shapes = (30522 + 512 + 2 + 2) * 768 + 12 * (12 * 768**2 + 13 * 768) + 769 * 5
    assert report["bert_base_parameters_by_shapes"] == shapes
    ratio = shapes / report["student_parameters"]
    assert report["compression_of_bert_base_by_shapes"] == ratio
    assert "by shapes" in text


def test_a_real_report_measures_both_in_one_run(script, world):  # noqa: F811
    folder, teacher, student = world
    report = script.compression_report(
        teacher, student, news().test, folder / "teacher", folder / "student", rounds=1
    )
    for side in ("teacher", "student"):
        slowest, fastest = report[f"{side}_sentences_per_second_range"]
        assert 0 < slowest <= report[f"{side}_sentences_per_second"] <= fastest
    assert "MB" in script.report_text(report)


def test_what_cannot_be_measured_is_refused(script, world, tmp_path):  # noqa: F811
    _, teacher, student = world
    with pytest.raises(MiniftError, match="needs labelled sentences"):
        script.compression_report(
            teacher, student, [TaggedExample("1", ("a",))], tmp_path, tmp_path
        )
    with pytest.raises(MiniftError, match=r"no \.safetensors file to measure"):
        script.compression_report(teacher, student, news().test, tmp_path, tmp_path)
