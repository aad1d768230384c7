"""A run's folder in an object storage, on moto's S3."""

from __future__ import annotations

import pickle
import shutil
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from objects import KEY, S3, SECRET, s3_server

from search import lease, mirror, storage
from search.errors import RunDirError, Unwritable
from search.events import Evaluation, Trial
from search.execution.shelf import STATE, Shelf
from search.execution.watchdog import HUNG, send_hung, what_hung
from search.mirror import PIECES, Mirror
from search.rundir import RunDir
from search.storage import Storage, is_remote

pytest.importorskip("moto", reason="moto isn't installed (the dev extra has it)")
_NUMBERS = count()
STUDY = {"model": "m"}


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with pytest.MonkeyPatch.context() as patch, s3_server("bucket") as running:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture
def folder(server: S3) -> Storage:
    return Storage(f"s3://bucket/run-{next(_NUMBERS)}")


def event(number: int) -> Trial:
    return Trial(f"c{number:04d}", "coarse", "sobol", {"rate": 0.1}, number, 30, (10, 30))


def test_files_go_there_and_come_back(folder: Storage, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one" * 1000)
    folder.put(tmp_path / "a", "deep/a")
    folder.put_bytes(b"two", "b")
    assert folder.files() == {"deep/a": 3000, "b": 3}
    assert folder.below("deep").files() == {"a": 3000}
    assert folder.get("deep/a", tmp_path / "new" / "c")
    assert (tmp_path / "new" / "c").read_bytes() == b"one" * 1000
    assert not folder.get("missing", tmp_path / "d")
    assert folder.read("missing") is None
    folder.delete("deep/a")
    folder.delete("deep/a")
    assert folder.files() == {"b": 3}
    assert pickle.loads(pickle.dumps(folder)).read("b") == b"two"
    assert SECRET.encode() not in pickle.dumps(folder)


@pytest.mark.parametrize(
    "address",
    ["s3://key:secret@bucket/run", "s3://bucket/run?access_key=a&secret_key=b"],
)
def test_an_address_with_a_secret_is_refused_without_repeating_it(address: str) -> None:
    assert is_remote(address)
    with pytest.raises(RunDirError, match="holds a secret") as told:
        Storage(address)
    assert "secret@" not in str(told.value)
    assert "secret_key=b" not in str(told.value)


def test_an_address_that_names_no_folder_or_bucket_is_told(server: S3) -> None:
    with pytest.raises(RunDirError, match=r"names no folder; write s3://bucket/folder"):
        Storage("s3://bucket")
    with pytest.raises(RunDirError, match=r"s3://no-such-bucket/run can't be written: .*"):
        RunDir.create("s3://no-such-bucket/run", STUDY, "abc")
    with pytest.raises(RunDirError, match="is no run directory"):
        RunDir.open("s3://bucket/nothing")


def test_a_run_is_the_same_where_it_is_opened_again(folder: Storage) -> None:
    with RunDir.create(folder.address, STUDY, "abc") as run:
        here = run.path
        run.write_json("plan.json", {"a": 1})
        for number in range(5):
            run.append_event("coarse", event(number), elapsed=float(number))
        run.journal("coarse", "plan", "hello", elapsed=1.0)
        run.write_text("gone.txt", "x")
        run.remove("gone.txt")
        run.link("plan.json", "best/plan.json")
    assert not here.exists(), "nothing stays on this machine"
    with RunDir.create(folder.address, STUDY, "abc") as again:
        assert again.read_json("best/plan.json") == {"a": 1}
        assert again.events("coarse") == [event(number) for number in range(5)]
        assert [entry["message"] for entry in again.read_journal()] == ["hello"]
        assert not again.exists("gone.txt")
        again.append_event("coarse", event(5), elapsed=9.0)
    with RunDir.open(folder.address) as third:
        assert len(third.events("coarse")) == 6
        assert third.elapsed() == 9.0
    with pytest.raises(RunDirError, match="holds another study's run"):
        RunDir.create(folder.address, STUDY, "xyz")


def test_only_a_run_without_a_plan_is_discarded(folder: Storage) -> None:
    with RunDir.create(folder.address, STUDY, "abc") as run:
        run.write_json("plan.json", {})
    run.discard_unbegun()
    assert {"study.json", "plan.json"} <= folder.files().keys()
    other = folder.below("other")
    with RunDir.create(other.address, STUDY, "abc") as run:
        run.journal("data", "warning", "no")
        other.put_bytes(b"Ray's own", "ray/session/tuner.pkl")
    run.discard_unbegun()
    assert other.files() == {}


def test_a_log_grows_by_pieces_which_become_one_when_they_are_many(
    folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "MAX_PIECES", 2)
    monkeypatch.setattr(mirror, "INTERVAL_S", 1e6)
    sent = []
    monkeypatch.setattr(Storage, "put_bytes", _noting(Storage.put_bytes, sent))
    monkeypatch.setattr(Storage, "put", _noting(Storage.put, sent))
    made = Mirror(folder, lambda name: False)
    log = made.folder / "log.jsonl"
    log.touch()
    made.follow("log.jsonl")
    for number in range(40):
        with log.open("a") as file:
            file.write(f"{number:09d}\n")
        made.flush()
    whole = log.read_bytes()
    assert sum(sent) < 4 * len(whole), "what is sent isn't quadratic in the log's size"
    (other := Mirror(folder, lambda name: False)).fetch()
    assert (other.folder / "log.jsonl").read_bytes() == whole
    for each in (made, other):
        each.close()


def _noting(put, sent):
    def put_and_note(self, what, name):
        sent.append(len(what) if isinstance(what, bytes) else what.stat().st_size)
        put(self, what, name)

    return put_and_note


def test_pieces_that_a_crash_left_behind_change_nothing_and_a_gap_is_told(folder: Storage) -> None:
    folder.put_bytes(b"line 1\nline 2\n", "log")
    folder.put_bytes(b"line 1\n", f"log{PIECES}{0:012d}")
    folder.put_bytes(b"line 3\n", f"log{PIECES}{14:012d}")
    (made := Mirror(folder, lambda name: False)).fetch()
    assert (made.folder / "log").read_bytes() == b"line 1\nline 2\nline 3\n"
    made.close()
    folder.put_bytes(b"line 5\n", f"log{PIECES}{28:012d}")
    with pytest.raises(RunDirError, match="lacks what stands between 21 and 28"):
        Mirror(folder, lambda name: False).fetch()


def test_a_torn_line_is_cut_off_there_too(folder: Storage) -> None:
    with RunDir.create(folder.address, STUDY, "abc") as run:
        run.append_event("coarse", event(0), elapsed=0.0)
    size = sum(n for name, n in folder.files().items() if name.startswith("coarse/events"))
    folder.put_bytes(b'{"event": "tri', f"coarse/events.jsonl{PIECES}{size:012d}")
    with RunDir.open(folder.address) as run:
        run.append_event("coarse", event(1), elapsed=1.0)
    with RunDir.open(folder.address) as run:
        assert run.events("coarse") == [event(0), event(1)]


def test_a_storage_that_is_silent_for_a_while_is_waited_for(
    server: S3, folder: Storage, tmp_path: Path
) -> None:
    folder.put_bytes(b"before", "a")
    with server.silent():
        writer = threading.Thread(target=folder.put_bytes, args=(b"meanwhile", "b"))
        writer.start()
        time.sleep(5.0)
        assert writer.is_alive()
    writer.join(60)
    assert folder.read("b") == b"meanwhile"


def test_one_where_nobody_listens_is_told_in_a_line(
    server: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PATIENCE_S", 1.0)
    nobody = Storage("s3://bucket/run?endpoint_override=127.0.0.1%3A9&scheme=http")
    with pytest.raises(Unwritable, match=r"can't write a \(.*'sieve resume' goes on"):
        nobody.put_bytes(b"x", "a")


def test_states_there_are_counted_and_cleared(folder: Storage, tmp_path: Path) -> None:
    for name in ("c0000", "c0001"):
        folder.put_bytes(bytes(100), f"{name}/{STATE}")
        folder.put_bytes(bytes(10), f"{name}/predictions.safetensors")
    shelf = Shelf(folder, max_bytes=150)
    assert shelf._held == {"c0000": 100, "c0001": 100}
    shelf.clear("c0001")
    assert sorted(folder.files()) == [
        "c0000/predictions.safetensors",
        f"c0000/{STATE}",
        "c0001/predictions.safetensors",
    ]


def test_states_stay_until_what_ended_their_trials_is_safe(
    folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "INTERVAL_S", 1e6)
    with RunDir.create(folder.address, STUDY, "abc") as run:
        trials = run.trial_storage("coarse")
        assert trials is not None
        trials.put_bytes(b"state", f"c0000/{STATE}")
        shelf = Shelf(trials, later=run.after_events)
        run.append_event("coarse", event(0), elapsed=0.0)
        shelf.clear("c0000")
        assert trials.read(f"c0000/{STATE}"), "the driver may die now"
        run.write_json("coarse/done.json", {})
        assert trials.read(f"c0000/{STATE}") is None
        assert any(name.startswith("coarse/events") for name in folder.files())


def test_what_others_have_written_again_is_fetched_again(folder: Storage) -> None:
    with RunDir.create(folder.address, STUDY, "abc") as run:
        for words in (b"early", b"later"):
            folder.put_bytes(words, "coarse/trials/c0000/predictions.safetensors")
            run.fetch("coarse/trials")
            path = run.path / "coarse" / "trials" / "c0000" / "predictions.safetensors"
            assert path.read_bytes() == words


def test_an_address_with_a_query_stays_one_below_it(server: S3) -> None:
    place = f"{server.environment['AWS_ENDPOINT_URL'].removeprefix('http://')}"
    query = f"scheme=http&endpoint_override={place.replace(':', '%3A')}"
    address = f"s3://bucket/run-{next(_NUMBERS)}"
    with RunDir.create(f"{address}?{query}", STUDY, "abc") as run:
        assert run.below("ray") == f"{address}/ray?{query}"
        run.write_text("report.html", "x")
    assert Storage(address).read("report.html") == b"x"


def test_a_storage_that_cant_be_opened_yet_is_tried_again(
    folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, fails = storage.locate, iter([OSError("no answer on the bucket's region")])

    def locate(address: str):
        for error in fails:
            raise error
        return known(address)

    monkeypatch.setattr(storage, "locate", locate)
    other = folder.below("new")
    other.put_bytes(b"x", "a")
    assert other.read("a") == b"x"


def test_no_secret_stands_in_what_is_written(folder: Storage) -> None:
    with RunDir.create(folder.address, STUDY, "abc") as run:
        run.append_event("coarse", event(0), elapsed=0.0)
        run.append_event(
            "coarse",
            Evaluation("c0000", 1, 10, 10, 0.5, 0.5, 0.5, 0.5, 0.1, 1.0),
            elapsed=1.0,
        )
    for name in folder.files():
        held = folder.read(name)
        assert held is not None
        assert SECRET.encode() not in held
        assert KEY.encode() not in held


def test_what_hung_is_known_on_another_machine(folder: Storage, tmp_path: Path) -> None:
    here, there = tmp_path / "one machine", tmp_path / "another"
    for name, stacks in (("c0001", "Timeout (0:02:00)!\nThread 1"), ("c0002", "")):
        (here / name).mkdir(parents=True)
        (here / name / HUNG).write_text(stacks)
    send_hung(here, folder)
    assert not folder.get(f"c0002/{HUNG}", there / "c0002" / HUNG), "it is at work"
    assert folder.get(f"c0001/{HUNG}", there / "c0001" / HUNG)
    found = what_hung(there / "c0001")
    assert found is not None
    assert found[0] == "hung: it reported nothing for 0:02:00"


def test_a_session_that_another_took_for_dead_writes_nothing_more(
    folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 1e6)
    monkeypatch.setattr(lease, "SILENCE_S", 0.01)
    late = RunDir.create(folder.address, STUDY, "abc")
    late.occupy()
    with RunDir.open(folder.address) as other:
        other.occupy()
        other.append_event("coarse", event(0), elapsed=0.0)
        late.append_event("coarse", event(1), elapsed=0.0)
        with pytest.raises(Unwritable, match="another session goes on with the run in s3://"):
            late.close()
        assert folder.read(lease.LEASE) is not None, "it ended the other's lease"
    with RunDir.open(folder.address) as again:
        assert again.events("coarse") == [event(0)]
    shutil.rmtree(late.path)


def test_a_session_s_lease_keeps_others_off_until_it_falls_silent(
    folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    monkeypatch.setattr(lease, "SILENCE_S", 0.5)
    with RunDir.create(folder.address, STUDY, "abc") as run:
        run.occupy()
        with RunDir.open(folder.address) as other:
            with pytest.raises(RunDirError, match="a run is at work in s3://"):
                other.occupy()
            assert not other.path.exists(), "a copy that is of no use is left behind"
    assert folder.read(lease.LEASE) is None
    folder.put_bytes(b"of a session that was lost", lease.LEASE)
    with RunDir.open(folder.address) as other:
        other.occupy()
        assert not other.exists(lease.LEASE)


def test_another_folder_is_refused_without_fetching_it(
    folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put_bytes(b"x" * 1000, "data/part-0.parquet")
    monkeypatch.setattr(Mirror, "fetch", lambda *_: pytest.fail("it was fetched"))
    with pytest.raises(RunDirError, match="holds other files and no run"):
        RunDir.create(folder.address, STUDY, "abc")
    with pytest.raises(RunDirError, match=r"is no run directory \(it has no study.json\)"):
        RunDir.open(folder.address)


def unsent(folder: Storage, monkeypatch: pytest.MonkeyPatch) -> tuple[Mirror, Path]:
    """Return a mirror with a log that has a line which the storage hasn't got."""
    monkeypatch.setattr(mirror, "INTERVAL_S", 1e6)
    made = Mirror(folder, lambda name: False)
    (log := made.folder / "log.jsonl").write_bytes(b"")
    made.follow("log.jsonl")
    log.write_bytes(b"line 1\n")
    return made, log


def test_a_storage_that_answers_again_at_the_end_gets_what_it_lacked(
    folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = unsent(folder, monkeypatch)
    made._error = Unwritable("it didn't answer for long")
    made.close()
    assert not made.folder.exists()
    (again := Mirror(folder, lambda name: False)).fetch()
    assert (again.folder / "log.jsonl").read_bytes() == b"line 1\n"
    again.close()


def test_what_a_storage_never_got_stays_here_and_is_named(
    folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, log = unsent(folder, monkeypatch)

    def refuse(self, data: bytes, name: str) -> None:
        raise Unwritable("it doesn't answer")

    monkeypatch.setattr(Storage, "put_bytes", refuse)
    with pytest.raises(Unwritable, match=str(made.folder)):
        made.close()
    assert log.read_bytes() == b"line 1\n"
