"""minift as a wheel, for a folder that is handed out: what pip needs, and no build.

Claim    `pip install` of it gives a minift that grades all assignments. The larger embedded encoder
         is left out, since no assignment asks for it; the version says so.
Source   https://packaging.python.org/en/latest/specifications/binary-distribution-format/
Proof    tests/tutorials/test_grading_bundle.py
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib

LEFT_OUT = "minift/encoders/mini/"
LOCAL = "+handout"


def wheel(library: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Return the name and the bytes of a wheel.

    Args:
        library: path -> content, minift/ and pyproject.toml.
    """
    project = tomllib.loads(library["pyproject.toml"].decode())["project"]
    version = project["version"] + LOCAL
    info = f"minift-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {name}\n" for name in project["dependencies"])
    scripts = "".join(f"{name} = {place}\n" for name, place in project["scripts"].items())
    files = {
        path: content
        for path, content in library.items()
        if path.startswith("minift/") and not path.startswith(LEFT_OUT)
    }
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: minift\nVersion: {version}\n"
        f"Summary: {project['description']}\nRequires-Python: {project['requires-python']}\n{needs}"
    ).encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: minift\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}".encode()
    record = "".join(f"{path},sha256={_hash(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(path, (2000, 1, 1, 0, 0, 0))  # same source, same bytes
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return f"minift-{version}-py3-none-any.whl", made.getvalue()


def _hash(content: bytes) -> str:
    digest = hashlib.sha256(content).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
