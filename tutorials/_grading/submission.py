"""Is this archive all right? What goes wrong in packing, found before it is handed in.

Claim    Each of the usual accidents (a folder in a folder, a notebook instead of the file, an
         archive in an archive, paths that leave the folder) gets one sentence that says what to
         do, and nothing of the archive is unpacked or run for that.
Proof    tests/tutorials/test_grading_submission.py
"""

from __future__ import annotations

import ast
import io
import zipfile
from pathlib import Path, PurePosixPath

from _grading.checks import Assignment

LARGEST = 2 * 2**20  # bytes of exercise.py, or of an archive's listing of it
LARGEST_ARCHIVE = 50 * 2**20
_RUBBISH = ("__MACOSX", ".DS_Store", "__pycache__", ".ipynb_checkpoints", ".git", "Thumbs.db")


def complaints(path: Path, assignment: Assignment) -> list[str]:
    """Return what must be fixed before handing in, one sentence each; [] if nothing.

    Args:
        path: a .zip, a folder, or exercise.py itself.
        assignment: which it is for.
    """
    if not path.exists():
        return [f"there is no {path}"]
    if path.is_dir():
        return _of_folder(path, assignment)
    if path.suffix == ".py":
        return _of_source(path.read_bytes(), path.name, assignment)
    if path.suffix == ".ipynb":
        return [f"{path.name} is a notebook; hand in exercise.py"]
    if not zipfile.is_zipfile(path):
        return [f"{path.name} is not a zip archive; hand in exercise.py, or a .zip with it inside"]
    return _of_archive(path, assignment)


def _of_folder(folder: Path, assignment: Assignment) -> list[str]:
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    if found := _of_names(names, folder.name):
        return found
    return _of_source((folder / "exercise.py").read_bytes(), "exercise.py", assignment)


def _of_archive(path: Path, assignment: Assignment) -> list[str]:
    if path.stat().st_size > LARGEST_ARCHIVE:
        return [f"{path.name} has {path.stat().st_size:,} bytes; put exercise.py in it, no data"]
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            for info in infos:
                pure = PurePosixPath(info.filename.replace("\\", "/"))
                if pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]:
                    return [
                        f"{path.name} has a file with the path {info.filename!r}, which leads out "
                        "of the folder; pack it again from within the folder of exercise.py"
                    ]
            names = [info.filename for info in infos]
            if found := _of_names(names, path.name):
                return found
            info = archive.getinfo("exercise.py")
            if info.file_size > LARGEST:
                return [f"exercise.py has {info.file_size:,} bytes; that is not the hand-out's"]
            if info.flag_bits & 1:
                return [f"{path.name} is encrypted; pack it again without a password"]
            with archive.open(info) as file:
                return _of_source(file.read(LARGEST + 1), "exercise.py", assignment)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        return [f"{path.name} is damaged ({error}); pack it again"]


def _of_names(names: list[str], where: str) -> list[str]:
    ours = [n for n in names if not any(part in _RUBBISH for part in PurePosixPath(n).parts)]
    if "exercise.py" in ours:
        if twice := [n for n in ours if n != "exercise.py" and n.endswith("/exercise.py")]:
            return [f"{where} has two exercise.py; take out {twice[0]}"]
        return []
    nested = [n for n in ours if PurePosixPath(n).name == "exercise.py"]
    alike = [n for n in ours if PurePosixPath(n).name.lower().startswith("exercise")]
    if nested:
        return [
            f"exercise.py lies in a folder of {where} ({nested[0]}); pack the file, not its folder"
        ]
    if notebook := [n for n in ours if n.endswith(".ipynb")]:
        return [f"{where} has a notebook ({notebook[0]}) and no exercise.py; hand in exercise.py"]
    if inner := [n for n in ours if n.endswith((".zip", ".tar", ".gz", ".7z", ".rar"))]:
        return [f"{where} has an archive in it ({inner[0]}); put exercise.py in directly"]
    if alike:
        return [f"{where} has {alike[0]}; rename it to exercise.py"]
    return [f"{where} has no exercise.py; put that file in"]


def _of_source(content: bytes, name: str, assignment: Assignment) -> list[str]:
    if name != "exercise.py":
        return [f"the file is called {name}; rename it to exercise.py"]
    if len(content) > LARGEST:
        return [f"exercise.py has {len(content):,} bytes; that is not the hand-out's"]
    if content[:2] == b"PK" or b"\0" in content[:1000]:
        return ["exercise.py is not text: is it an archive that was renamed?"]
    try:
        text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig").read()
    except UnicodeDecodeError as error:
        return [f"exercise.py is not UTF-8 text (byte {error.start}); save it as UTF-8"]
    if text.lstrip().startswith("{") and '"cells"' in text:
        return ["exercise.py is a notebook that was renamed; hand in the Python file"]
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return [f"exercise.py has a syntax error in line {error.lineno}: {error.msg}"]
    except (ValueError, RecursionError, MemoryError):
        return ["exercise.py is nothing that Python can read"]
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    handed_out = ast.parse((assignment.folder / "exercise.py").read_text(encoding="utf-8"))
    wanted = [node.name for node in handed_out.body if isinstance(node, ast.FunctionDef)]
    if missing := [name for name in wanted if name not in there]:
        return [
            f"exercise.py lacks {', '.join(missing)} of assignment {assignment.name}; "
            "is it another assignment's, or was a function renamed?"
        ]
    return []
