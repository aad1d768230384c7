"""A whole run kept in an object storage; its driver is killed on the way."""

import json
from pathlib import Path

import pytest
from commands import Command, kill, paced_model, small_study, wait_until
from objects import KEY, SECRET, s3_server

from search.storage import Storage

pytest.importorskip("moto", reason="moto isn't installed (the dev extra has it)")
pytestmark = pytest.mark.ray
RUN = "s3://bucket/runs/wine"


def test_a_run_in_a_bucket_goes_on_from_there_and_leaves_nothing_else(
    sieve: Command, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = paced_model(tmp_path_factory.mktemp("model"), epoch_seconds=0.1)
    with s3_server("bucket") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        kept = Storage(RUN)
        process = sieve.start("run", *small_study(model), "--out", RUN)
        wait_until(lambda: any(n.startswith("coarse/events") for n in kept.files()), "coarse is on")
        kill(process)
        done = sieve.run("resume", RUN)
        assert done.returncode == 0, done.stderr
        assert f"{RUN}/report.html" in done.stdout

        result = json.loads(kept.read("result.json") or b"")
        assert result["status"] == "complete"
        assert (result["trials"]["coarse"], result["trials"]["fine"]) == (6, 4)
        names = kept.files()
        assert {"report.html", "coarse/trials.parquet", "best/model.json"} <= names.keys()
        assert any(name.startswith("ray/session-") for name in names)
        assert not [name for name in names if name.endswith("state.pt")]
        held = {name: kept.read(name) or b"" for name in names}
        assert not [
            n for n, data in held.items() if SECRET.encode() in data or KEY.encode() in data
        ]

        said = sieve.ask("predict", RUN, "--data", "sklearn:wine", "--json")
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout)["rows"] == 178
        told = sieve.ask("why", RUN)
        assert told.returncode == 0, told.stderr
        assert [path.name for path in Path(sieve.folder).iterdir()] == []
