"""What goes wrong while trials run, in real processes: a trial hangs, a disk is full."""

import json
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import SIEVE, Command, small_study

pytestmark = [pytest.mark.ray, pytest.mark.slow]
FAULTY = Path(__file__).with_name("faulty_model.py")


@pytest.mark.usefixtures("local_ray")
def test_a_trial_that_hangs_is_ended_with_its_reason_and_the_run_goes_on(sieve: Command) -> None:
    settings = ["training.max_silence_s=6", "space.kind.values=[sound,hangs]"]
    settings += ["coarse.num_trials=4", "fine.num_trials=1"]
    options = [part for each in settings for part in ("--set", each)]
    done = sieve.ask("run", *small_study(FAULTY), *options, "--out", "run")
    assert done.returncode == 0, done.stderr
    trials = pq.read_table(sieve.folder / "run" / "coarse" / "trials.parquet").to_pylist()
    hung = [each for each in trials if json.loads(each["config"])["kind"] == "hangs"]
    assert hung
    for each in hung:
        assert each["status"] == "failed"
        assert each["reason"].startswith("hung: it reported nothing for 0:00:06; it was in ")
        assert "wait_for_a_lock_that_is_held" in each["reason"]
        assert "faulty_model.py" in each["reason"]
    assert {each["status"] for each in trials if each not in hung} <= {"completed", "stopped"}
    assert not list((sieve.folder / "run" / "coarse" / "trials").glob("*/state.pt"))


SMALL_DISK = """
set -e
mount -t tmpfs -o size={size}k none disk
set +e
{sieve} run {options} --out disk/run; echo first $?
mount -o remount,size=200m disk
{sieve} resume disk/run; echo second $?
cp -r disk/run copy
"""


def can_mount() -> bool:
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        bool(shutil.which("unshare"))
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not can_mount(), reason="a small disk takes the right to mount one")
def test_a_full_disk_ends_the_run_with_the_reason_and_it_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    (tmp_path / "disk").mkdir()
    options = " ".join(small_study("models.mlp"))
    script = SMALL_DISK.format(size=600, sieve=SIEVE, options=options)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert "first 1" in done.stdout, done.stderr
    assert "no space left for" in done.stderr
    assert "'sieve resume' goes on" in done.stderr
    assert "Traceback" not in done.stderr
    assert "second 0" in done.stdout, done.stderr
    result = json.loads((tmp_path / "copy" / "result.json").read_text())
    assert result["status"] == "complete"
    assert result["trials"]["failed"] == 0, "the disk is no fault of a trial"
