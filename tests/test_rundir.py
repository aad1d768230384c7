import json
import math
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search.errors import EXIT_USAGE, RunDirError
from search.events import Ending, Evaluation, Event, Trial
from search.files import finite
from search.rundir import RunDir

STUDY: dict[str, Any] = {"seed": 1}


def events(number: int = 4) -> list[Event]:
    found: list[Event] = []
    for each in range(number):
        trial_id = f"c{each:04d}"
        found += [
            Trial(trial_id, "coarse", "sobol", {"rate": 0.1}, each, 8, (4, 8)),
            Evaluation(trial_id, 1, 4, 4, 0.5, 0.6, 0.7, 0.8, 0.1, 1.5),
            Ending(trial_id, "stopped", "größer\nas text", started_at=1.0, ended_at=2.0),
        ]
    return found


@pytest.fixture
def run(tmp_path: Path):
    with RunDir.create(tmp_path / "run", STUDY, "abc") as made:
        yield made


@pytest.fixture
def log(run: RunDir) -> Path:
    for number, event in enumerate(events()):
        run.append_event("coarse", event, elapsed=10.0 + number)
    run.close()
    return run.path / "coarse" / "events.jsonl"


def leftovers(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.name.startswith(".")]


# ---------------------------------------------------------------------- the folder


def test_a_run_directory_is_made_with_its_study(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "a" / "b", STUDY, "abc")
    assert run.study() == STUDY
    assert run.path.is_absolute()
    assert RunDir.open(run.path).study() == STUDY
    assert leftovers(tmp_path) == []


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert RunDir.create(tmp_path, STUDY, "abc").study() == STUDY


def test_the_same_study_goes_on_in_its_folder(run: RunDir) -> None:
    run.write_json("plan.json", {"a": 1})
    assert RunDir.create(run.path, {"seed": 1}, "abc").read_json("plan.json") == {"a": 1}


def test_another_study_s_folder_is_refused_and_left_as_it_is(run: RunDir) -> None:
    with pytest.raises(RunDirError, match="holds another study's run; give another folder"):
        RunDir.create(run.path, {"seed": 2}, "xyz")
    assert run.study() == STUDY


@pytest.mark.parametrize("content", ["[]", '{"other": 1}', "3"])
def test_a_study_json_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(RunDirError, match="holds another study's run"):
        RunDir.create(tmp_path, STUDY, "abc")
    with pytest.raises(RunDirError, match="isn't a run's"):
        RunDir.open(tmp_path).study()


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunDirError, match="holds other files and no run; give an empty folder"):
        RunDir.create(tmp_path, STUDY, "abc")
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (Path("/dev/null/x"), tmp_path / "file", tmp_path / "file" / "x", Path("/proc/x")):
        with pytest.raises(RunDirError, match="can't be written") as error:
            RunDir.create(path, STUDY, "abc")
        assert "\n" not in str(error.value)
        assert error.value.exit_code == EXIT_USAGE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunDirError, match="can't be written"):
        RunDir.create(tmp_path, STUDY, "abc")


def test_only_a_run_can_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="no folder"):
        RunDir.open(tmp_path / "no")
    with pytest.raises(RunDirError, match=r"is no run directory \(it has no study.json\)"):
        RunDir.open(tmp_path)


# ---------------------------------------------------------------------- whole files


def test_files_come_back_as_they_were_written(run: RunDir) -> None:
    run.write_json("a/b.json", {"x": 1.5, "bad": math.nan, "t": (1, -math.inf)})
    assert run.read_json("a/b.json") == {"x": 1.5, "bad": None, "t": [1, None]}
    run.write_yaml("best/config.yaml", {"b": 0.1, "a": "größe"})
    assert yaml.safe_load((run.path / "best/config.yaml").read_text("utf-8")) == {
        "b": 0.1,
        "a": "größe",
    }
    run.write_text("report.html", "größe ✓")
    assert (run.path / "report.html").read_bytes().decode("utf-8") == "größe ✓"
    table = pa.table({"n": [1, 2]})
    run.write_table("t.parquet", table)
    assert pq.read_table(run.path / "t.parquet").equals(table)
    run.copy("t.parquet", "copies/t.parquet")
    assert run.exists("copies/t.parquet")
    assert not run.exists("copies/u.parquet")
    assert leftovers(run.path) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_breaks_off_leaves_the_old_file_whole(
    run: RunDir, error: BaseException
) -> None:
    run.write_text("a.txt", "old")

    def write(path: Path) -> None:
        path.write_text("half of the n")
        raise error

    with pytest.raises(type(error)):
        run.write_file("a.txt", write)
    assert (run.path / "a.txt").read_text() == "old"
    assert leftovers(run.path) == []


def test_a_second_name_may_be_given_twice(run: RunDir) -> None:
    run.write_text("one.txt", "text")
    for _ in range(2):
        run.link("one.txt", "names/two.txt")
    assert [path.name for path in (run.path / "names").iterdir()] == ["two.txt"]
    assert (run.path / "names/two.txt").samefile(run.path / "one.txt")


def test_values_that_are_no_json_leave_the_old_file_whole(run: RunDir) -> None:
    run.write_json("a.json", [1])
    with pytest.raises(TypeError):
        run.write_json("a.json", {"x": object()})
    assert run.read_json("a.json") == [1]


def test_a_missing_or_damaged_json_file_is_named(run: RunDir) -> None:
    with pytest.raises(RunDirError, match=r"has no plan\.json; the run hasn't got that far"):
        run.read_json("plan.json")
    for damage in (b'{"a": ', b"\xff\xfe", b"\0\0\0\0", b""):
        (run.path / "plan.json").write_bytes(damage)
        with pytest.raises(RunDirError, match=r"is damaged .* delete it, and 'sieve resume'"):
            run.read_json("plan.json")
    (run.path / "study.json").write_text("{")
    with pytest.raises(RunDirError, match="start again in another folder"):
        RunDir.open(run.path).study()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@given(values)
def test_finite_values_are_strict_json_and_nothing_else_changes(value: Any) -> None:
    text = json.dumps(finite(value), allow_nan=False)
    lenient = json.dumps(value)
    if not any(word in lenient for word in ("NaN", "Infinity")):
        assert text == lenient
    assert finite(finite(value)) == finite(value)


def test_finite_replaces_what_is_not() -> None:
    given = {"a": [math.nan, (math.inf, 1)], "b": -math.inf, "c": True, "d": "nan"}
    assert finite(given) == {"a": [None, [None, 1]], "b": None, "c": True, "d": "nan"}


# ---------------------------------------------------------------------- events


def test_events_come_back_in_order(run: RunDir, log: Path) -> None:
    assert repr(run.events("coarse")) == repr(events())
    assert run.events("fine") == []
    assert log.read_bytes().count(b"\n") == len(events())


def test_every_event_is_there_for_another_process_at_once(run: RunDir) -> None:
    other = RunDir.open(run.path)
    for number, event in enumerate(events(), start=1):
        run.append_event("coarse", event, elapsed=0.0)
        assert len(other.events("coarse")) == number


def test_a_log_cut_off_anywhere_gives_all_whole_lines_and_goes_on(run: RunDir, log: Path) -> None:
    whole = log.read_bytes()
    for cut in range(0, len(whole), 7):
        log.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        assert len(run.events("coarse")) == complete
        assert log.read_bytes() == whole[:cut]  # a run may be writing the rest just now
        run.append_event("coarse", events()[0], elapsed=99.0)
        run.close()
        assert repr(run.events("coarse")) == repr([*events()[:complete], events()[0]])


def test_reading_does_not_disturb_who_writes(run: RunDir, log: Path) -> None:
    run.append_event("coarse", events()[0], elapsed=30.0)
    with log.open("ab") as half:
        half.write(b'{"event": "end')
    assert len(RunDir.open(run.path).events("coarse")) == len(events()) + 1
    with log.open("ab") as rest:
        rest.write(b"ing\n")
    run.append_event("coarse", events()[0], elapsed=31.0)
    assert log.read_bytes().count(b"\n") == len(events()) + 3


DAMAGES = (b"\0" * 40, b'{"event": "trial"}', b"3", b"null", b'{"half": ', b"\xff\xfe")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_line_says_what_is_lost(run: RunDir, log: Path, damage: bytes) -> None:
    lines = log.read_bytes().split(b"\n")
    log.write_bytes(b"\n".join([*lines[:5], damage, *lines[6:]]))
    for read in (lambda: run.events("coarse"), run.elapsed, lambda: run.phase_seconds("coarse")):
        with pytest.raises(RunDirError, match="at line 6: 7 events from there on are lost") as e:
            read()
        assert f"'sieve resume {run.path} --repair' keeps the 5 before it" in str(e.value)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_repair_keeps_what_stands_before_and_moves_the_damaged_file_aside(
    run: RunDir, log: Path, damage: bytes
) -> None:
    lines = log.read_bytes().split(b"\n")
    damaged = b"\n".join([*lines[:5], damage, *lines[6:]])
    log.write_bytes(damaged)
    run.append_event("coarse", events()[0], elapsed=50.0)  # the log is open when it is repaired
    damaged = log.read_bytes()
    assert repr(run.events("coarse", repair=True)) == repr(events()[:5])
    assert log.with_name("events.jsonl.damaged").read_bytes() == damaged
    assert repr(run.events("coarse")) == repr(events()[:5])
    run.append_event("coarse", events()[5], elapsed=60.0)
    assert repr(run.events("coarse")) == repr(events()[:6])
    (entry,) = [each for each in run.read_journal() if each["event"] == "repair"]
    assert entry["message"] == "dropped 8 damaged events of events.jsonl"
    assert leftovers(run.path) == []


def test_repair_leaves_a_sound_log_alone(run: RunDir, log: Path) -> None:
    before = log.read_bytes()
    assert len(run.events("coarse", repair=True)) == len(events())
    assert log.read_bytes() == before
    assert not log.with_name("events.jsonl.damaged").exists()


# ---------------------------------------------------------------------- journal and time


def test_the_journal_keeps_decisions_with_their_numbers(run: RunDir) -> None:
    run.journal("coarse", "stop", "c0001: loss größer", elapsed=1.23456, loss=math.nan, rank=3)
    (entry,) = run.read_journal()
    assert entry.pop("time") > 1e9
    assert entry == {
        "phase": "coarse",
        "event": "stop",
        "message": "c0001: loss größer",
        "elapsed": 1.235,
        "numbers": {"loss": None, "rank": 3},
    }


def test_a_torn_journal_loses_one_entry_and_no_more(run: RunDir) -> None:
    for number in range(3):
        run.journal("coarse", "stop", str(number))
    run.close()
    path = run.path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert [entry["message"] for entry in run.read_journal()] == ["0", "1"]
    run.journal("coarse", "stop", "3")
    assert [entry["message"] for entry in run.read_journal()] == ["0", "1", "3"]
    run.close()
    path.write_bytes(b"\xff\xfe\n3\n" + path.read_bytes())
    assert [entry["message"] for entry in run.read_journal()] == ["0", "1", "3"]


def test_elapsed_is_the_latest_of_events_and_journal(run: RunDir, log: Path) -> None:
    last = 10.0 + len(events()) - 1
    assert run.elapsed() == last
    assert run.phase_seconds("coarse") == last - 10.0
    assert run.phase_seconds("fine") == 0.0
    run.journal("narrow", "narrowed", "x", elapsed=25.5)
    assert run.elapsed() == 25.5
    run.append_event("fine", events()[0], elapsed=40.25)
    assert run.elapsed() == 40.25
    assert run.phase_seconds("fine") == 0.0


def test_a_new_run_has_no_time_behind_it(run: RunDir) -> None:
    assert run.elapsed() == 0.0
    assert run.read_journal() == []


def test_only_one_session_at_a_time_works_on_a_run(run: RunDir) -> None:
    run.occupy()
    with (
        RunDir.create(run.path, STUDY, "abc") as other,
        pytest.raises(RunDirError, match="a run is at work in") as refused,
    ):
        other.occupy()
    assert refused.value.exit_code == EXIT_USAGE
    assert "\n" not in str(refused.value)
    run.close()
    with RunDir.open(run.path) as other:
        other.occupy()


@pytest.mark.parametrize("place", ["s3a://bucket/run", "gcs://bucket/run", "file:///tmp/run"])
def test_an_unknown_storage_makes_no_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for enter in (lambda: RunDir.create(place, STUDY, "abc"), lambda: RunDir.open(place)):
        with pytest.raises(RunDirError, match="a run is kept in a folder, or in s3://"):
            enter()
    assert list(tmp_path.iterdir()) == []


def test_a_run_knows_where_it_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (begun := tmp_path / "begun").mkdir()
    monkeypatch.chdir(begun)
    with RunDir.create(tmp_path / "run", STUDY, "abc") as run:
        monkeypatch.chdir(tmp_path)
        assert run.begun_in() == begun
        begun.rmdir()
        assert run.begun_in() is None
