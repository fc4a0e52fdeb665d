"""What is wrong with an archive, before it is handed in.

claim                                            oracle
each accident of packing gets its own sentence   an archive a test, packed wrongly on purpose
a right file, folder or archive gets none        the solution in each form
nothing is unpacked or run                       a submission that would write a file
what gets no complaint is read, and no link is   each form of hand-in; links, pipes, second names
nothing handed in is nobody's mark               a wrong path, an empty folder
"""

from __future__ import annotations

import os
import re
import sys
import zipfile
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"
sys.path.append(str(TUTORIALS))

import minift  # noqa: E402
from _grading import checks  # noqa: E402
from _grading.checks import Wrong  # noqa: E402
from _grading.submission import complaints, literal, read_exercise  # noqa: E402

FOLDER = TUTORIALS / "05_bitfit"
ASSIGNMENT = checks.load(FOLDER)
GOOD = (FOLDER / "instructor" / "solution.py").read_text()


def packed(path: Path, **files: str | bytes) -> Path:
    """Write an archive; keyword names have __ for / and no suffix but what is written."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no exercise.py; put that file in"),
        ({"bitfit/exercise.py": GOOD}, "lies in a folder .*pack the file, not its folder"),
        ({"bitfit/exercise.py": GOOD, "__MACOSX/._exercise.py": "x"}, "lies in a folder"),
        ({"__MACOSX/exercise.py": "x"}, "has no exercise.py"),
        ({"exercise.ipynb": "{}"}, "has a notebook"),
        ({"hand_in.zip": b"PK"}, "has an archive in it"),
        ({"exercise_05.py": GOOD}, "has exercise_05.py; rename it to exercise.py"),
        ({"exercise.py": GOOD, "old/exercise.py": GOOD}, "two exercise.py; take out old/"),
        ({"exercise.py": GOOD, "../evil.py": ""}, "leads out of the folder"),
        ({"/etc/evil.py": "", "exercise.py": GOOD}, "leads out of the folder"),
        ({"C:/evil.py": "", "exercise.py": GOOD}, "leads out of the folder"),
        ({"exercise.py": "x = (\n"}, "syntax error in line 1"),
        ({"exercise.py": b"PK\x03\x04"}, "is it an archive that was renamed"),
        ({"exercise.py": "# é".encode("latin-1")}, "not UTF-8 text"),
        ({"exercise.py": '{"cells": []}'}, "a notebook that was renamed"),
        ({"exercise.py": "x = 1\n"}, "lacks bitfit_names, freeze"),
        ({"exercise.py": "#" * 3_000_000}, "has 3,000,000 bytes"),
    ],
)
def test_each_accident_of_packing_gets_its_own_sentence(files, said, tmp_path):
    archive = packed(tmp_path / "hand_in.zip", **files)
    (found,) = complaints(archive, ASSIGNMENT)
    assert re.search(said, found), found


def test_a_right_file_folder_or_archive_gets_no_complaint(tmp_path):
    (tmp_path / "exercise.py").write_text(GOOD)
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    archive = packed(tmp_path / "a.zip", **{"exercise.py": GOOD, "__MACOSX/._exercise.py": "x"})
    for path in (tmp_path / "exercise.py", tmp_path, archive, FOLDER / "exercise.py"):
        assert complaints(path, ASSIGNMENT) == []


def test_what_is_no_archive_at_all_is_said(tmp_path):
    for name, said in (
        ("a.rar", "not a zip archive"),
        ("a.ipynb", "is a notebook"),
        ("b.py", "rename"),
    ):
        (tmp_path / name).write_text("x = 1\n")
        assert said in complaints(tmp_path / name, ASSIGNMENT)[0]
    assert "there is no" in complaints(tmp_path / "nowhere", ASSIGNMENT)[0]
    cut = packed(tmp_path / "c.zip", **{"exercise.py": GOOD}).read_bytes()
    (tmp_path / "c.zip").write_bytes(cut.replace(b"def ", b"dxf ", 1))
    assert "damaged" in complaints(tmp_path / "c.zip", ASSIGNMENT)[0]


def test_nothing_is_unpacked_or_run(tmp_path):
    archive = packed(tmp_path / "a.zip", **{"exercise.py": f"open({str(tmp_path / 'x')!r}, 'w')\n"})
    before = sorted(tmp_path.iterdir())
    assert complaints(archive, ASSIGNMENT)
    assert sorted(tmp_path.iterdir()) == before


def test_what_gets_no_complaint_is_read_whatever_it_is_called(tmp_path):
    names = ["exercise.py", "exercise-1.py", "exercise (2).py", "ada_12_34_exercise-1.py"]
    for name in names:
        folder = tmp_path / name.removesuffix(".py")
        folder.mkdir()
        (folder / name).write_text(GOOD)
        archive = packed(tmp_path / f"{name}.ZIP", **{name: GOOD})
        for path in (folder, folder / name, archive):
            assert complaints(path, ASSIGNMENT) == []
            assert read_exercise(path) == GOOD
    (tmp_path / "bom.py").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert read_exercise(tmp_path / "bom.py") == GOOD


@pytest.mark.parametrize("name", ["exercise.py", "other.py", "notes.txt", "without_an_end"])
def test_a_file_that_is_not_utf_8_is_told_so_whatever_its_name(name, tmp_path):
    (tmp_path / name).write_bytes("# é".encode("latin-1"))
    assert "is not UTF-8 text (byte 2)" in complaints(tmp_path / name, ASSIGNMENT)[0]
    with pytest.raises(Wrong, match="save it as UTF-8"):
        read_exercise(tmp_path / name)


def test_nothing_handed_in_is_an_error_of_usage_and_nobodys_mark(tmp_path):
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "exercise.py").write_text(GOOD)
    for path in (tmp_path, tmp_path / "nowhere.py"):
        with pytest.raises(minift.MiniftError, match=r"nothing was handed in|there is no"):
            read_exercise(path)


@pytest.mark.skipif("os.name != 'posix'", reason="links as POSIX has them")
def test_no_link_is_followed_and_no_pipe_waited_for(tmp_path):
    other = tmp_path / "solution.py"
    other.write_text(GOOD)
    folder = tmp_path / "sub"
    folder.mkdir()
    file = folder / "exercise.py"
    for make in (file.symlink_to, file.hardlink_to):
        make(other)
        for path in (file, folder):
            assert "link" in complaints(path, ASSIGNMENT)[0]
            with pytest.raises(Wrong, match="link"):
                read_exercise(path)
        file.unlink()
    os.mkfifo(file)
    for path in (file, folder):
        assert "regular" in complaints(path, ASSIGNMENT)[0]
    (tmp_path / "to_folder").symlink_to(folder)
    assert "is a link" in complaints(tmp_path / "to_folder", ASSIGNMENT)[0]


def test_what_is_written_out_is_read_without_running_it():
    assert literal("EXPLANATION = 'a\nb'\n", "EXPLANATION") == "a\nb"
    for text in ("EXPLANATION = print(1)", "x = 1", "def f(:", "EXPLANATION = " + "-" * 9999 + "1"):
        assert literal(text, "EXPLANATION") is None
