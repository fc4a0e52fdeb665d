"""Nothing in the code could run what a file says: no eval, no pickle, no shell.

claim                                                        oracle
no file of the library, the scripts or the tutorials         the syntax tree of each
evaluates text, unpickles freely or starts a shell
the search would find each way to do so                      one line each, and their innocent twins
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("minift", "data_scripts", "tutorials")

# pickletools reads a pickle as data; subprocess is allowed without a shell (pip, git, a notebook).
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal",
           "code", "codeop", "pty", "commands", "yaml", "jsonpickle", "imp", "pandas"}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "execfile", "breakpoint"}
ATTRIBUTES = {"os.system", "os.popen", "os.startfile", "os.execv", "os.execl", "os.execvp",
              "os.spawnl", "os.spawnv", "subprocess.getoutput", "subprocess.getstatusoutput",
              "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter",
              "tempfile.mktemp", "shutil.unpack_archive",
              "asyncio.create_subprocess_shell"}  # fmt: skip
UNPACKING = {"extractall", "extract"}  # members must be asked for by name and copied
# The tutorials' builder runs the tutorials: our own code, which is what a builder is for.
BUILDERS = ("tutorials/_build/", "tutorials/_grading/", "tutorials/grade.py")


def dangers(source: str, builder: bool = False) -> list[str]:
    """Return each place of a source that could run what it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = []
        found += [f"{line}: imports {n}" for n in names if n in MODULES or n in ATTRIBUTES]
        if isinstance(node, ast.Attribute) and _dotted(node) in ATTRIBUTES:
            found.append(f"{line}: {_dotted(node)}")
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in CALLS and not builder:
            found.append(f"{line}: calls {node.func.id}")
        name = _dotted(node.func)
        keywords = {k.arg: k.value for k in node.keywords}
        if name.split(".")[-1] in UNPACKING and "re." not in name:
            found.append(f"{line}: unpacks with {name}")
        if "shell" in keywords and not _is(keywords["shell"], False):
            found.append(f"{line}: a shell")
        if name == "torch.load" and not _is(keywords.get("weights_only"), True):
            found.append(f"{line}: torch.load without weights_only=True")
        pickles = keywords.get("allow_pickle")
        if pickles is not None and not _is(pickles, False):
            found.append(f"{line}: allow_pickle")
        if "trust_remote_code" in keywords and not _is(keywords["trust_remote_code"], False):
            found.append(f"{line}: trust_remote_code")
    return found


def _dotted(node: ast.AST) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([*([node.id] if isinstance(node, ast.Name) else ["?"]), *reversed(parts)])


def _is(node: ast.AST | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_no_file_could_run_what_it_reads():
    files = [file for folder in FOLDERS for file in sorted((REPOSITORY / folder).rglob("*.py"))]
    assert len(files) > 100
    found = {}
    for file in files:
        name = file.relative_to(REPOSITORY).as_posix()
        if places := dangers(file.read_text(encoding="utf-8"), name.startswith(BUILDERS)):
            found[name] = places
    assert found == {}


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("import pickle", "import pickletools"),
        ("from yaml import load", "from json import load"),
        ("import os\nos.system(x)", "import os\nos.stat(x)"),
        ("from os import system", "from os import stat"),
        ("f = os.popen", "f = os.path"),
        ("eval(x)", "model.eval()"),
        ("exec(x)", "re.compile(x)"),
        ("compile(x, '', 'exec')", "torch.compile(x)"),
        ("subprocess.run(x, shell=True)", "subprocess.run(x, shell=False)"),
        ("subprocess.run(x, shell=flag)", "subprocess.run([x])"),
        ("torch.load(x)", "torch.load(x, weights_only=True)"),
        ("torch.load(x, weights_only=False)", "torch.load(x, mmap=m, weights_only=True)"),
        ("np.load(x, allow_pickle=True)", "np.load(x, allow_pickle=False)"),
        ("archive.extractall(x)", "archive.open(x)"),
        ("AutoModel.from_pretrained(x, trust_remote_code=True)", "AutoModel.from_pretrained(x)"),
    ],
)
def test_the_search_finds_each_way_and_not_its_twin(bad, good):
    assert len(dangers(bad)) >= 1
    assert dangers(good) == []
