"""The SLURM script, run by bash with stand-ins for SLURM's and Ray's commands."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "scripts" / "cluster").glob("*.sh"))
SCRIPT = ROOT / "scripts" / "cluster" / "slurm.sh"
STAND_INS = {
    # Runs the command as often as asked for; as SLURM's, it has no mercy when it is ended.
    "srun": """
        echo "$*" >> "$LOG/srun"
        while [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && n=${1#*=}; shift; done
        for ((i = 0; i < n; i++)); do "$@" & tasks+=($!); echo $! >> "$LOG/tasks"; done
        trap 'kill -KILL "${tasks[@]}" 2>/dev/null; wait; exit 143' TERM
        wait
    """,
    "scancel": """
        [[ $* == "--signal=TERM 12345" ]] && kill $(cat "$LOG/tasks") 2>/dev/null
    """,
    "scontrol": "echo first; echo second",
    "ray": """
        trap 'sleep 0.1; echo "$$" >> "$LOG/ended"; exit 0' TERM
        env > "$LOG/environment.$$"
        echo "$*" >> "$LOG/ray"
        last=${*: -1}
        folder=$(dirname "${last#--temp-dir=}")
        stat -c "%a $folder" "$folder" >> "$LOG/rights"
        while :; do sleep 0.05; done
    """,
    "python": """
        [[ $1 == -c ]] && echo 10.0.0.1 && exit
        echo "$*" >> "$LOG/waited"
        until [[ $(cat "$LOG/rights" 2>/dev/null | wc -l) == "$3" ]]; do sleep 0.02; done
        ${WAIT:-true}
    """,
    "sieve": """
        trap 'sleep 0.1; exit 130' TERM
        echo "$*" >> "$LOG/sieve"
        for ((i = 0; i < ${STEPS:-1}; i++)); do sleep 0.05; done
        exit 3
    """,
}


class Job:
    """Runs the script as SLURM's batch step does, from a copy and in the folder of submission."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        bin_ = folder / "venv" / "bin"
        bin_.mkdir(parents=True)
        self.log.mkdir()
        for name, body in STAND_INS.items():
            (bin_ / name).write_text(f"#!/bin/bash\n{body}\n")
            (bin_ / name).chmod(0o755)
        self.copy = Path(shutil.copy(SCRIPT, folder / "slurm_script"))

    def start(self, *arguments: str, nodes: int = 2, **settings: str) -> None:
        slurm = {"JOB_ID": "12345", "JOB_NUM_NODES": str(nodes), "CPUS_PER_TASK": "8"}
        slurm |= {"JOB_NODELIST": "nodes", "SUBMIT_DIR": str(ROOT)}
        environment = {f"SLURM_{name}": value for name, value in slurm.items()}
        environment |= {"SIEVE_VENV": str(self.folder / "venv"), "LOG": str(self.log)}
        environment |= {"PATH": f"{self.folder}/venv/bin:/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        command = ["bash", str(self.copy), *arguments]
        self.process = subprocess.Popen(command, env=environment | settings)

    def run(self, *arguments: str, nodes: int = 2, **settings: str) -> int:
        self.start(*arguments, nodes=nodes, **settings)
        return self.wait()

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=30)

    def ask_to_end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def lines(self, name: str) -> list[str]:
        path = self.log / name
        return path.read_text().splitlines() if path.exists() else []

    def environments(self) -> list[dict[str, str]]:
        texts = [path.read_text() for path in self.log.glob("environment.*")]
        return [dict(line.split("=", 1) for line in t.splitlines() if "=" in line) for t in texts]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            for each in psutil.Process(self.process.pid).children(recursive=True):
                each.kill()
            self.process.kill()
            self.process.wait()


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    job = Job(tmp_path)
    yield job
    job.close()


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_reads_the_scripts(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_search_runs_on_all_the_machines(job: Job) -> None:
    code = job.run("run", "my study.yaml", "--out", "/shared/first", nodes=3)
    assert code == 3
    assert job.lines("sieve") == ["run my study.yaml --out /shared/first --address 10.0.0.1:32345"]
    first, others = sorted(job.lines("srun"))
    assert first.startswith("--nodes=1 --ntasks=1 --cpus-per-task=8 --nodelist=first ")
    assert others.startswith("--nodes=2 --ntasks=2 --cpus-per-task=8 --exclude=first ")
    head, *workers = sorted(job.lines("ray"), key=lambda line: "--head" not in line)
    assert "--port=32345 --dashboard-host=127.0.0.1 --disable-usage-stats" in head
    assert len(workers) == 2
    assert all("--address=10.0.0.1:32345" in line for line in workers)
    assert job.lines("waited")[0].endswith("wait_for_nodes.py 10.0.0.1:32345 3")


def test_one_machine_is_enough(job: Job) -> None:
    assert job.run("run", nodes=1) == 3
    assert len(job.lines("srun")) == 1


def test_everything_asks_for_the_job_s_own_token(job: Job, tmp_path: Path) -> None:
    another = Job(tmp_path / "another")
    job.run("run")
    another.run("run")
    seen = [*job.environments(), *another.environments()]
    tokens = [each["RAY_AUTH_TOKEN"] for each in seen]
    assert len(tokens) == 4
    assert len(set(tokens)) == 2
    assert all(len(token) == 64 for token in tokens)
    assert {each["RAY_AUTH_MODE"] for each in seen} == {"token"}
    assert all("OMP_NUM_THREADS" not in each for each in seen)
    assert all(token not in line for token in tokens for line in job.lines("ray"))


def test_nothing_is_left_but_what_is_not_its_own(job: Job, tmp_path: Path) -> None:
    environment = {"LOG": str(tmp_path), "PATH": os.environ["PATH"]}
    bystander = subprocess.Popen(
        [tmp_path / "venv" / "bin" / "ray", "start", "--head", str(tmp_path)], env=environment
    )
    try:
        job.run("run")
        assert len(job.lines("ended")) == 2
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    rights, folders = zip(*(line.split() for line in job.lines("rights")), strict=True)
    assert set(rights) == {"700"}
    assert len(set(folders)) == 2
    assert not any(Path(folder).exists() for folder in folders)


def test_the_search_is_asked_to_save_itself_before_the_time_is_up(job: Job) -> None:
    job.start("run", STEPS="1000")
    _until(lambda: job.lines("sieve"))
    assert job.ask_to_end() == 130
    assert len(job.lines("ended")) == 2


def test_it_can_be_ended_while_machines_are_missing(job: Job) -> None:
    job.start("run", WAIT="exec sleep 1000")
    _until(lambda: job.lines("waited") and len(job.lines("ray")) == 2)
    assert job.ask_to_end() == 143
    assert len(job.lines("ended")) == 2
    assert job.lines("sieve") == []


def test_without_its_machines_there_is_no_search(job: Job) -> None:
    assert job.run("run", WAIT="exit 1") == 1
    assert job.lines("sieve") == []
