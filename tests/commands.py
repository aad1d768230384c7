"""The real command, in processes of its own or in this one."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import psutil
import pyarrow.parquet as pq

from search.cli import main

SIEVE = Path(sys.executable).with_name("sieve")
PATIENCE_S = 120
MODEL = Path(__file__).parent / "run" / "logged_model.py"


class Command:
    """Starts ``sieve`` in a folder; what is still alive in the end is ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [SIEVE, *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=2 * PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ask(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run in this process: what is imported is there already."""
        words = [str(SIEVE), *map(str, arguments)]
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.object(sys, "argv", words),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as stop:
                return subprocess.CompletedProcess(words, stop.code, out.getvalue(), err.getvalue())
        raise AssertionError("the command has no exit code")

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                    each.kill()
            process.communicate()


def small_study(model: object = MODEL) -> list[str]:
    """Options of a run of a few seconds, in which trials follow each other in one slot."""
    settings = {
        "budget.full_epochs": 8,
        "coarse.num_trials": 6,
        "fine.num_trials": 4,
        "confirm.num_finalists": 1,
        "confirm.num_seeds": 2,
        "resources.max_concurrent": 1,
        "training.checkpoint_interval_s": 0,
        "training.early_stopping": False,
        "checks.preflight": False,
    }
    options = ["--data", "sklearn:wine", "--model", str(model)]
    return options + [part for k, v in settings.items() for part in ("--set", f"{k}={v}")]


def paced_model(folder: Path, epoch_seconds: float) -> Path:
    """Copy the model to where its epochs take so long, and leave lines in ``epochs.log``."""
    (folder / "epoch_seconds").write_text(str(epoch_seconds))
    return Path(shutil.copy(MODEL, folder / "paced_model.py"))


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def meanwhile(
    condition: Callable[[], object], what: str, act: Callable[[], None]
) -> Iterator[None]:
    """Act as soon as a condition holds, while this thread carries a run out."""
    acted = threading.Event()

    def wait_and_act() -> None:
        wait_until(condition, what)
        act()
        acted.set()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()
    assert acted.is_set(), f"it has ended before {what}"


def events(run_dir: Path, phase: str) -> list[dict]:
    """Return a phase's whole events; a line that is being written is left out."""
    path = run_dir / phase / "events.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def kill(process: subprocess.Popen[str]) -> None:
    """Kill the driver as the kernel does when memory runs out; its workers go with it."""
    workers = trial_workers(process.pid)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert not alive, "a worker outlived the driver"


def trial_workers(pid: int) -> list[psutil.Process]:
    """Return the processes in which the trials of a driver's Ray are trained."""
    children = psutil.Process(pid).children(recursive=True)
    return [each for each in children if _is_trainable(each)]


def _is_trainable(process: psutil.Process) -> bool:
    try:
        return "Trainable" in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it has just ended
        return False


def outcome(run_dir: Path) -> dict[str, list[dict]]:
    """Return what must not depend on interruptions: model, trials, curves, weaknesses, no clock."""
    clock = {"train_seconds", "eval_seconds", "start_seconds", "started_at", "ended_at", "seconds"}
    tables = [f"{p}/{t}" for p in ("coarse", "fine", "confirm") for t in ("trials", "curves")]
    rows = {name: pq.read_table(run_dir / f"{name}.parquet").to_pylist() for name in tables}
    sides = [run_dir / "weakness" / f"{side}.json" for side in ("before", "after")]
    weaknesses = {path.name: [json.loads(path.read_text())] for path in sides}
    assert not any("missing" in each for (each,) in weaknesses.values())
    without_clock = {
        name: [{k: repr(v) for k, v in row.items() if k not in clock} for row in table]
        for name, table in rows.items()
    }
    model = [{"model": (run_dir / "best" / "model.bin").read_bytes()}]
    return {**weaknesses, **without_clock, "best": model}
