"""The student in one file.

claim                                                     oracle
32 bits are exact                                         bit equality, logits and tags
16 and 8 bits are off by no more than they must be        half a scale of the row; half()
  and make the file about 2 and 4 times smaller           bytes counted from the shapes
the same student is the same bytes                        two files
it loads in well under a second, with no tokenizer        a clock; the modules of a new process
what was there before survives; bad files are named       the old bytes; the words of the errors
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import minift
from minift.compact.store import FILE, is_student, load_student, save_student
from minift.compact.student import new_student
from minift.compact.vocabulary import build_vocabulary
from minift.errors import MiniftError
from tests.tiny import news

SENTENCES = [e.words for e in news(60).train] + [("naïve", "東京", "🙂", 'a"b', "x\ny")]


def student_of(head="softmax", words=0):
    more = [tuple(f"w{n}" for n in range(words))]
    vocabulary = build_vocabulary([*SENTENCES, *more], min_count=1)
    source = torch.Generator().manual_seed(0)
    return new_student(vocabulary, news().labels, source, head=head)


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_student_stored_in_32_bits_is_the_same_student(head, tmp_path):
    student = student_of(head)
    path = save_student(student, tmp_path / "out")
    assert path == tmp_path / "out" / FILE
    assert [f.name for f in path.parent.iterdir()] == [FILE]
    for place in (path, path.parent):
        again = load_student(place)
        assert again.vocabulary == student.vocabulary
        assert again.labels == student.labels
        assert again.model.config == student.model.config
        assert not again.model.training
        a, b = student.model.state_dict(), again.model.state_dict()
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert again.tag(SENTENCES) == student.tag(SENTENCES)
    again.model.train()
    sum(p.sum() for p in again.model.parameters()).backward()  # it can be trained on


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_fewer_bits_cost_no_more_than_half_a_step_and_the_file_shrinks_as_it_should(
    storage, tmp_path
):
    student = student_of("crf", words=3000)
    exact = save_student(student, tmp_path / "exact").stat().st_size
    path = save_student(student, tmp_path / storage, storage)
    again = load_student(path)
    for name, value in student.model.named_parameters():
        got = again.model.get_parameter(name)
        assert got.dtype == torch.float32
        if value.numel() < 2048:
            assert torch.equal(got, value)
        elif storage == "float16":
            assert torch.equal(got, value.half().float())
        else:
            rows, close = value.detach().flatten(1), got.detach().flatten(1)
            step = rows.abs().amax(1, keepdim=True) / 127
            assert ((close - rows).abs() <= step * 0.5001).all(), name
            assert not torch.equal(close, rows) or name == "character.weight"
    numbers = sum(p.numel() for p in student.model.parameters())
    saved = {"float16": 2, "int8": 3}[storage] * numbers
    assert exact - path.stat().st_size == pytest.approx(saved, rel=0.03)
    assert torch.equal(again.model.word.weight[0], student.model.word.weight[0])  # a row of zeros


def test_the_same_student_is_the_same_bytes(tmp_path):
    a, b = (save_student(student_of(), tmp_path / name, "int8").read_bytes() for name in "ab")
    assert a == b


def test_a_student_of_20000_words_loads_in_well_under_a_second(tmp_path):
    student = student_of(words=20_000)
    path = save_student(student, tmp_path, "int8")
    assert path.stat().st_size < 3.5e6
    code = (  # a new process: what is imported on the way counts, and is imported once only
        "import sys, time\n"
        "from minift.compact.store import load_student\n"
        "before, began = set(sys.modules), time.process_time()\n"
        f"student = load_student({str(path)!r})\n"
        "student.tag([('w7', 'Ada')])\n"
        "print(time.process_time() - began)\n"
        "print(sorted(m for m in set(sys.modules) - before if m.startswith('torch._refs')))\n"
    )
    command = [sys.executable, "-c", code]
    library = {**os.environ, "PYTHONPATH": str(Path(minift.__file__).parents[1])}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env=library
    )
    seconds, compiler = done.stdout.splitlines()
    assert float(seconds) < 0.5
    assert compiler == "[]"  # building on the meta device would import PyTorch's compiler


def test_prediction_needs_the_file_and_no_tokenizer(tmp_path):
    student = student_of()
    path = save_student(student, tmp_path)
    code = (
        "import sys\n"
        "from minift.compact.store import load_student\n"
        f"print(load_student({str(path)!r}).tag([['Ada', 'saw']])[0])\n"
        "print('transformers' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines() == [str(student.tag([["Ada", "saw"]])[0]), "False"]
    assert [f.name for f in tmp_path.iterdir()] == [FILE]


def test_bad_files_are_named_and_a_failed_write_leaves_the_old_one(tmp_path, monkeypatch):
    student = student_of()
    with pytest.raises(MiniftError, match="no such file; a student is made by: minift distill"):
        load_student(tmp_path)
    assert not is_student(tmp_path)
    path = save_student(student, tmp_path)
    assert is_student(tmp_path)
    with pytest.raises(MiniftError, match=r'unknown storage "int4"; known.*did you mean "int8"'):
        save_student(student, tmp_path, "int4")
    before = path.read_bytes()

    def full(file, data):
        file.open("wb").write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MiniftError, match="what was there before is unchanged"):
        save_student(student, tmp_path)
    assert path.read_bytes() == before

    monkeypatch.undo()
    path.write_bytes(before[: len(before) // 2])
    with pytest.raises(MiniftError, match="damaged, or not a safetensors file"):
        load_student(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(MiniftError, match="not a student of this version"):
        load_student(path)
    save_student(student, path)
    whole = path.read_bytes()
    assert whole.count(rb"\"labels\":5") == 1  # sizes that are not those of the weights
    path.write_bytes(whole.replace(rb"\"labels\":5", rb"\"labels\":4"))
    with pytest.raises(MiniftError, match=r"do not fit together.*size mismatch for dense"):
        load_student(path)
