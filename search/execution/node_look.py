"""What a node of a cluster says of itself; this runs on that node."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from pyarrow import fs

import models
import search
from search.files import locate
from search.insight.nodes import Node, Question
from search.insight.result import versions

_HIDE_GPUS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""By these Ray hides GPUs from a task that takes none."""
_SEES_GPUS = "import sys, torch; sys.exit(not torch.cuda.is_available())"
_GPU_SECONDS = 100.0


def look_at_this_node(question: Question, marker: str) -> Node:
    """Return what can be known of a node on it alone: all but name, place and resources.

    Args:
        question: What is asked.
        marker: Name of a file that the driver has left in the storage.
    """
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    model, model_problem = _look_at_model(question.model, question.search_path)
    storage = question.storage
    return Node(
        name="",
        is_driver=False,
        num_cpus=0,
        num_gpus=0,
        versions=versions(),
        code=_code_digest(),
        model=model,
        model_problem=model_problem,
        sees_gpus=not question.about_gpus or _sees_gpus(),
        storage=None if storage is None else _storage_problem(storage, marker),
        auth_mode=os.environ.get("RAY_AUTH_MODE", ""),
        token_is_private=not token.is_file() or not stat.S_IMODE(token.stat().st_mode) & 0o077,
        free_bytes=shutil.disk_usage(os.environ.get("RAY_TMPDIR", "/tmp")).free,
    )


def _code_digest() -> str:
    digest = hashlib.sha256()
    for package in (search, models):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _look_at_model(model: str | None, search_path: Sequence[str]) -> tuple[str, str | None]:
    """Return the digest of a model module, and why it can't be read; sieve's own are code."""
    if model is None or model.startswith(f"{models.__name__}."):
        return "", None
    path = Path(model) if model.endswith(".py") else _find(model, search_path)
    if path is None:
        return "", f"no model module '{model}' can be imported"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16], None
    except OSError as error:
        return "", f"the model file '{path}' can't be read ({error.strerror})"


def _find(module: str, search_path: Sequence[str]) -> Path | None:
    """Return a module's file where a trial's process would import it; it isn't imported itself."""
    sys.path[:0] = [folder for folder in search_path if folder not in sys.path]
    importlib.invalidate_caches()
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return None if found is None or found.origin is None else Path(found.origin)


def _sees_gpus() -> bool:
    """Say whether PyTorch sees a GPU, in a process of its own: what a process sees it keeps."""
    shown = {name: value for name, value in os.environ.items() if name not in _HIDE_GPUS}
    command = [sys.executable, "-c", _SEES_GPUS]
    done = subprocess.run(
        command, env=shown, capture_output=True, timeout=_GPU_SECONDS, check=False
    )
    return done.returncode == 0


def _storage_problem(storage: str, marker: str) -> str | None:
    """Return why a node can't use the folder; None: it can."""
    try:
        filesystem, path = locate(storage)
        if filesystem.get_file_info(f"{path}/{marker}").type != fs.FileType.File:
            return f"{storage} isn't the folder that the driver sees"
        own = f"{path}/{marker}-{uuid.uuid4().hex}"
        with filesystem.open_output_stream(own) as stream:
            stream.write(b"sieve")
        filesystem.delete_file(own)
    except OSError as error:
        return f"{storage} can't be written: {error}"
    return None
