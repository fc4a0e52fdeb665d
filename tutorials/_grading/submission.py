"""What was handed in: found, read, and told what is wrong with it, without running any of it.

Claim    One reader for grading and for "is this archive all right?": what the one approves, the
         other grades. Each of the usual accidents (a folder in a folder, a notebook instead of the
         file, an archive in an archive) gets one sentence that says what to do. Links, pipes and
         devices are refused: what is read is the student's own text and no other file.
Differs  A name that Moodle or Canvas changed ("ada_12_exercise-1.py") is taken for exercise.py.
Proof    tests/tutorials/test_grading_submission.py, tests/test_graders.py (attacks)
"""

from __future__ import annotations

import ast
import io
import os
import re
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from _grading.checks import Assignment, Wrong
from minift.errors import MiniftError

LARGEST = 2**19  # bytes of exercise.py; in JSON they may be six times as many
LARGEST_ARCHIVE = 50 * 2**20
MOST_FILES = 10_000
NAME = "exercise.py"
_RUBBISH = ("__MACOSX", ".DS_Store", "__pycache__", ".ipynb_checkpoints", ".git", "Thumbs.db")
_ARCHIVES = (".rar", ".7z", ".tar", ".gz", ".tgz", ".xz", ".bz2")
_CHANGED_NAME = re.compile(r"(.*_)?exercise(-\d+| ?\(\d+\))?\.py")


def read_exercise(submission: Path) -> str:
    """Return the text of a submitted exercise.py, given the file, its folder, or a .zip of it.

    A file that is named directly may be called anything.

    Raises:
        MiniftError: if nothing was handed in there: a wrong path, or an empty folder.
        Wrong: if what was handed in cannot be graded; the sentence is the student's.
    """
    content, _ = _content(submission)
    return _text(content)


def complaints(path: Path, assignment: Assignment) -> list[str]:
    """Return what must be fixed before handing in, one sentence each; [] if nothing.

    Args:
        path: a .zip, a folder, or exercise.py itself.
        assignment: which it is for.
    """
    try:
        content, name = _content(path)
        text = _text(content)
        if not _CHANGED_NAME.fullmatch(name):
            raise Wrong(f"the file is called {name}; rename it to {NAME}")
        if missing := [n for n in functions(_blank(assignment)) if n not in functions(text)]:
            raise Wrong(
                f"{NAME} lacks {', '.join(missing)} of assignment {assignment.name}; "
                "is it another assignment's, or was a function renamed?"
            )
    except (Wrong, MiniftError) as error:
        return [str(error)]
    return []


def functions(text: str) -> list[str]:
    """Return the names of the functions that a file defines; [] if it is none of Python's."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [node.name for node in body if isinstance(node, ast.FunctionDef)]


def literal(text: str, name: str) -> Any:
    """Return a variable of a submission that is written out, without running it; None if none is.

    Args:
        text: of exercise.py.
        name: of the variable, such as EXPLANATION.
    """
    try:
        return ast.literal_eval(_assigned(text, name))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def explanation(text: str) -> str:
    """Return EXPLANATION for who reads it: as it is written out, if it is no plain text.

    Args:
        text: of exercise.py.
    """
    try:
        found = literal(text, "EXPLANATION") or ast.unparse(_assigned(text, "EXPLANATION"))
        return str(found).strip()
    except (SyntaxError, ValueError, TypeError, AttributeError, RecursionError, MemoryError):
        return ""


def _assigned(text: str, name: str) -> ast.expr | None:
    """Return what a variable was given at last."""
    found = None
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id == name:
                found = node.value
    return found


def is_rubbish(name: str) -> bool:
    """Whether a path is of what systems add to folders and archives."""
    return any(part in _RUBBISH for part in PurePosixPath(name).parts)


def _blank(assignment: Assignment) -> str:
    return (assignment.folder / NAME).read_text(encoding="utf-8")


def _content(path: Path) -> tuple[bytes, str]:
    """Return the bytes of exercise.py, and the name under which they stand there."""
    if not os.path.lexists(path):
        raise MiniftError(f"there is no {path}")
    if path.is_symlink():
        raise Wrong(f"{path.name} is a link; hand in the file itself")
    if path.is_dir():
        return _of_folder(path)
    if path.suffix == ".ipynb":
        raise Wrong(f"{path.name} is a notebook; hand in {NAME}")
    if path.suffix.lower() == ".zip":
        return _of_archive(path)
    if path.suffix.lower() in _ARCHIVES:
        raise Wrong(f"{path.name} is not a zip archive; hand in {NAME}, or a .zip with it inside")
    return _regular(path, LARGEST), path.name


def _regular(path: Path, largest: int) -> bytes:
    """Read a file that is one: no link, no second name of another file, no pipe, no device."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Wrong(f"{path.name} cannot be read ({error.strerror}); hand in a file") from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Wrong(f"{path.name} is not a regular file; hand in the file itself")
        if found.st_nlink > 1:
            raise Wrong(f"{path.name} has a second name elsewhere (a hard link); hand in a copy")
        if found.st_size > largest:
            raise Wrong(f"{path.name} has {found.st_size:,} bytes; that is not the hand-out's")
        return file.read(largest + 1)


def _of_folder(folder: Path) -> tuple[bytes, str]:
    names = []
    for here, below, files in os.walk(folder):
        for name in [*below, *files]:
            path = Path(here, name)
            shown = path.relative_to(folder).as_posix()
            kind = os.lstat(path).st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                what = "a link" if stat.S_ISLNK(kind) else "not a regular file"
                raise Wrong(f"{shown} is {what}; hand in files, and nothing else")
            names += [shown] if stat.S_ISREG(kind) else []
        if len(names) > MOST_FILES:
            raise Wrong(f"more than {MOST_FILES:,} files were handed in; hand in {NAME}")
    if not any(not is_rubbish(name) for name in names):
        raise MiniftError(f"{folder} is empty: nothing was handed in there")
    name = _choose(names, folder.name)
    return _regular(folder / name, LARGEST), name


def _of_archive(path: Path) -> tuple[bytes, str]:
    packed = _regular(path, LARGEST_ARCHIVE)
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            for info in infos:
                pure = PurePosixPath(info.filename.replace("\\", "/"))
                if pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]:
                    raise Wrong(
                        f"{path.name} has a file with the path {info.filename!r}, which leads out "
                        f"of the folder; pack it again from within the folder of {NAME}"
                    )
                kind = info.external_attr >> 16
                if stat.S_IFMT(kind) not in (0, stat.S_IFREG):
                    raise Wrong(f"{info.filename} is a link; pack the file itself")
            names = [info.filename for info in infos]
            if len(names) != len(set(names)):
                raise Wrong(f"{path.name} has the same name twice; pack it again")
            info = archive.getinfo(_choose(names, path.name))
            if info.file_size > LARGEST:
                raise Wrong(f"{NAME} has {info.file_size:,} bytes; that is not the hand-out's")
            if info.flag_bits & 1:
                raise Wrong(f"{path.name} is encrypted; pack it again without a password")
            with archive.open(info) as file:
                return file.read(LARGEST + 1)[: LARGEST + 1], info.filename
    except zipfile.BadZipFile as error:
        if zipfile.is_zipfile(io.BytesIO(packed)):
            raise Wrong(f"{path.name} is damaged ({error}); pack it again") from None
        raise Wrong(
            f"{path.name} is not a zip archive; hand in {NAME}, or a .zip with it inside"
        ) from None
    except (NotImplementedError, RuntimeError, EOFError, OSError, IndexError, ValueError) as error:
        raise Wrong(f"{path.name} is damaged ({error}); pack it again") from None
    except Exception as error:  # zlib.error and lzma's are of no common class
        raise (
            error
            if isinstance(error, Wrong)
            else Wrong(f"{path.name} is damaged ({error}); pack it again")
        ) from None


def _choose(names: list[str], where: str) -> str:
    """Return which of the names is exercise.py.

    Raises:
        Wrong: if that is none, or more than one.
    """
    ours = [n for n in names if not is_rubbish(n)]
    if NAME in ours:
        if twice := [n for n in ours if n.endswith(f"/{NAME}")]:
            raise Wrong(f"{where} has two {NAME}; take out {twice[0]}")
        return NAME
    changed = [n for n in ours if _CHANGED_NAME.fullmatch(n) and "/" not in n]
    nested = [n for n in ours if _CHANGED_NAME.fullmatch(PurePosixPath(n).name) and "/" in n]
    if len(changed) == 1:
        return changed[0]
    if changed:
        raise Wrong(f"{where} has {' and '.join(changed[:2])}; hand in one {NAME}")
    if nested:
        raise Wrong(
            f"{NAME} lies in a folder of {where} ({nested[0]}); pack the file, not its folder"
        )
    if notebook := [n for n in ours if n.endswith(".ipynb")]:
        raise Wrong(f"{where} has a notebook ({notebook[0]}) and no {NAME}; hand in {NAME}")
    if inner := [n for n in ours if n.lower().endswith((".zip", *_ARCHIVES))]:
        raise Wrong(f"{where} has an archive in it ({inner[0]}); put {NAME} in directly")
    if alike := [n for n in ours if PurePosixPath(n).name.lower().startswith("exercise")]:
        raise Wrong(f"{where} has {alike[0]}; rename it to {NAME}")
    raise Wrong(f"{where} has no {NAME}; put that file in")


def _text(content: bytes) -> str:
    """Return the text of exercise.py, if it is one that Python can read."""
    if len(content) > LARGEST:
        raise Wrong(f"{NAME} has more than {LARGEST:,} bytes; that is not the hand-out's")
    if content[:2] == b"PK" or b"\0" in content[:1000]:
        raise Wrong(f"{NAME} is not text: is it an archive that was renamed?")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise Wrong(f"{NAME} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if text.lstrip().startswith("{") and '"cells"' in text:
        raise Wrong(f"{NAME} is a notebook that was renamed; hand in the Python file")
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise Wrong(f"{NAME} has a syntax error in line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise Wrong(f"{NAME} is nothing that Python can read") from None
    return text
