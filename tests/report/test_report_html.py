"""The page as a whole: what it holds, what it must not fetch, and how it is drawn."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pyarrow.parquet as pq
import pytest

from search.data.features import Features
from search.errors import RunDirError
from search.insight.judgement import Judgement, Truth
from search.insight.weakness import find_weakness
from search.report import write_report
from search.report.data import finite_losses
from search.report.files import read_run
from search.report.html import flat, render
from search.report.importance import what_mattered
from search.training.predictions import Predictions

SECTIONS = (
    "configuration",
    "confirmation",
    "ensemble",
    "training",
    "checks",
    "weaknesses",
    "trials",
    "space",
    "importance",
    "cost",
    "journal",
    "provenance",
)


class Page(HTMLParser):
    """Collects the sections' texts, the resources, the figures and the headings."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.fetched, self.figures, self.scripts = {}, [], [], 0
        self.section, self.kind, self.title = None, None, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.kind = values.get("type", tag) if tag == "script" else tag
        self.scripts += tag == "script" and "type" not in values
        if tag == "section":
            self.section = values["id"]
            self.sections[self.section] = ""
        if tag == "script" and "type" in values:
            self.figures.append("")
        self.fetched += [values[name] for name in ("src", "href", "action") if name in values]

    def handle_endtag(self, tag):
        self.kind = None if tag in ("script", "style") else self.kind
        if tag == "section":
            self.section = None

    def handle_data(self, data):
        if self.kind == "application/json":
            self.figures[-1] += data
        elif self.kind not in ("script", "style"):
            if self.kind == "h1":
                self.title += data
            if self.section is not None:
                self.sections[self.section] += data

    def words(self, section):
        return " ".join(self.sections[section].split())


@pytest.fixture(scope="module")
def page(run_dir):
    return Page(render(read_run(run_dir)))


@pytest.fixture(scope="module")
def half(coarse_dir):
    return Page(render(read_run(coarse_dir)))


def test_write_report_leaves_one_small_file(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run")
    target = write_report(run_dir)
    assert target == run_dir / "report.html"
    assert 1_000_000 < target.stat().st_size < 8_000_000
    assert not list(run_dir.glob(".report*"))


def test_nothing_is_fetched_from_outside(page):
    assert page.fetched
    assert all(each.startswith(("#", "data:")) for each in page.fetched)
    assert page.scripts == 2  # plotly once, the page's own once


def test_style_loads_nothing(run_dir):
    text = render(read_run(run_dir))
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_all_sections_in_order_and_nothing_left_out(page):
    assert tuple(page.sections) == SECTIONS
    assert not [name for name in SECTIONS if "Left out" in page.sections[name]]


def test_headline_says_the_verdict(page, run_dir):
    statement = json.loads((run_dir / "result.json").read_text())["comparison"]["statement"]
    assert page.title.strip() == statement


def test_headline_gives_mean_spread_seeds_and_interval(run_dir):
    text = render(read_run(run_dir))
    head = re.sub(r"<[^>]+>|\s+", " ", text[text.index("<header>") : text.index("</header>")])
    assert re.search(r"\d\.\d+ ± \d\.\d+", head)
    assert "over 3 seeds" in head
    assert re.search(r"95 % interval \[\+\d\.\d+, \+\d\.\d+\]", head)
    assert "Gorishniy et al. 2021, table 2" in head


def importance_figures(run_dir):
    """One a phase with enough trials, one a dimension with enough of them."""
    told = what_mattered(read_run(run_dir))
    return sum(bool(each.importances) + len(each.isolations) for each in told)


def test_figures_are_valid_and_complete(page, run_dir):
    figures = [json.loads(text) for text in page.figures]
    # One of the confirmation, one a contender, one a phase, one of any trial, one of the trust,
    # one a searched dimension.
    assert len(figures) == 1 + 4 + 2 + 1 + 1 + 12 + importance_figures(run_dir)
    assert all(figure["data"] and figure["layout"]["height"] > 0 for figure in figures)


def test_space_tells_what_changed_and_why(page):
    words = page.words("space")
    assert "Narrowed: None of the 9 survivors used sgd or rmsprop." in words
    assert "Fixed at batch" in words
    assert "It went with optimizer = sgd." in words


def test_weaknesses_are_told_side_by_side(page):
    words = page.words("weaknesses")
    assert "Before: c0000" in words
    assert "Gorishniy et al. 2021, table 2, after 3.75k training samples" in words
    assert words.count("brightness of image ≤ ") >= 2
    assert "Winner now" in words
    assert "7 → 1" in words
    assert "every run of" in words
    assert "Review them by hand, and drop none unseen" in words
    for advice in ("Look first at how", "merge them or mend", "collect more of it", "by hand"):
        assert advice in words


def test_of_images_the_sheet_shows_pictures(page, run_dir):
    text = render(read_run(run_dir))
    shown = re.findall(r'<img src="(data:image/png;base64,[^"]+)" alt="row (\d+)"', text)
    parts = [read_run(run_dir).weakness_before, read_run(run_dir).weakness_after]
    wanted = [each for part in parts for each in part["samples"]] + parts[1]["mislabels"]
    assert shown == [(each["picture"], str(each["row"])) for each in wanted]


def test_a_picture_that_isn_t_ours_is_not_shown(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    path = run_dir / "weakness" / "before.json"
    values = json.loads(path.read_text())
    values["samples"][0]["picture"] = "https://example.org/x.png"
    values["slices"][0]["words"] = "job = <script>alert(1)</script>"
    path.write_text(json.dumps(values))
    page = Page(write_report(run_dir).read_text())
    assert all(each.startswith(("#", "data:")) for each in page.fetched)
    assert page.scripts == 2
    assert "job = <script>" in page.words("weaknesses")


def test_of_numbers_the_errors_are_in_their_unit(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    random = np.random.default_rng(0)
    target = random.normal(size=200).astype(np.float32)
    said = (target + random.normal(0, 0.3, 200)).astype(np.float32)[:, None]
    truth = Truth(target, scale=(50_000.0, 10_000.0))
    judged = Judgement.of([Predictions(np.arange(200), said)], truth)
    features = Features(np.arange(200), {"rooms": random.integers(1, 9, 200).astype(float)}, {})
    found = find_weakness("c0000", judged, features)
    (run_dir / "weakness" / "before.json").write_text(json.dumps(found.to_json()))
    words = Page(write_report(run_dir).read_text()).words("weaknesses")
    assert "off on average" in words
    assert "rooms" in words
    assert "Confused classes" not in words


def test_a_weakness_that_couldn_t_be_found_says_why(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    why = {"missing": "the predictions of c0000 weren't kept"}
    (run_dir / "weakness" / "before.json").write_text(json.dumps(why))
    words = Page(write_report(run_dir).read_text()).words("weaknesses")
    assert "Left out before tuning: the predictions of c0000 weren't kept." in words


def test_user_text_is_escaped(run_dir, page):
    assert "<b>&amp;</b>" in page.words("journal")
    assert "excludes 0 <b>" not in render(read_run(run_dir))


def test_journal_is_filterable_by_phase(run_dir):
    text = render(read_run(run_dir))
    assert re.findall(r'<button[^>]*value="(\w*)"', text) == [
        "",
        "coarse",
        "narrow",
        "fine",
        "confirm",
    ]
    assert len(re.findall(r'<li data-phase="\w+">', text)) == 7


def test_failed_trials_are_listed_with_their_reason(page):
    assert "c0005" in page.words("trials")
    assert "the process died" in page.words("trials")
    assert "without one finite loss can't be drawn" in page.words("trials")


def test_what_mattered_is_told_for_each_phase_with_its_interval(page):
    words = page.words("importance")
    assert "Coarse: 40 trials compared after 468 samples" in words
    assert "with its 90 % interval over resampled trials" in words
    assert "best of 2" in words
    assert "Fine: 11 trials compared after 7.5k samples" in words
    assert "Too few trials to measure importance." in words


def test_trust_has_its_numbers_its_intervals_and_a_word(page, half):
    words = page.words("trials")
    assert "coarse after 937 samples, and after 3.75k" in words
    assert "10 of 340.84[0.55, 0.95]good" in words
    assert "fine after as many3,75010 of 34-0.20[-0.90, 0.75]low, unsure" in words
    assert "fine after as many" not in half.words("trials")


def test_without_enough_trials_the_report_says_so(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    (run_dir / "trust.json").write_text("[]")
    page = Page(write_report(run_dir).read_text())
    assert "fewer than five trials can be compared" in page.words("trials")


def test_what_the_checks_before_tuning_found_is_told_failures_first(page, tmp_path, build_run):
    words = page.words("checks")
    failed = "leaking_columnFAIL, accepted'id' alone predicts the labelleave it out"
    warned = "duplicatesWARN7 rows twicelook at these rows (rows 0, 1, 2, 3, 4, …)"
    assert f"{failed} {warned} 1 passed schema10 classes" in words
    assert "The model (preflight) Nothing to say against it. 1 passed" in words
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    (run_dir / "preflight.json").unlink()
    (run_dir / "study.json").write_text('{"study": {"checks": {"audit": false}}}')
    (run_dir / "audit.json").unlink()
    words = Page(write_report(run_dir).read_text()).words("checks")
    assert "Left out: the study switches it off." in words
    assert "Left out: it isn't done yet (no preflight.json)." in words


def test_coarse_only_says_what_is_missing(half, coarse_dir):
    assert half.title.strip() == "Not finished yet: the coarse phase is complete"
    for name in ("configuration", "confirmation", "training"):
        assert "Left out" in half.sections[name]
    assert "The fine phase isn't complete" in half.words("trials")
    assert "hasn't been narrowed yet" in half.words("space")
    assert "it takes several good models" in half.words("weaknesses")
    assert "Coarse" in half.words("cost")
    assert len(half.figures) == 1 + 1 + 1 + 12 + importance_figures(coarse_dir)


def test_a_run_that_only_has_a_journal(tmp_path):
    (tmp_path / "journal.jsonl").write_text(
        '{"time": 1.0, "phase": "coarse"}\n{"ti{"time": 3.0}\n{"time": 2'
    )
    page = Page(write_report(tmp_path).read_text())
    assert page.title.strip() == "Not finished yet: no phase is complete"
    assert "1 decision, with" in page.words("journal")
    assert page.figures == []


def test_failed_run_with_nulls_in_its_result(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    result = {"status": "failed", "metric": "rmse", "mode": "min", "winner": None}
    result["reason"] = "no confirmation run was completed"
    result |= {"baseline": None, "comparison": None, "cost": {"total": None, "coarse": None}}
    (run_dir / "result.json").write_text(json.dumps(result))
    text = write_report(run_dir).read_text()
    assert Page(text).title.strip() == "The run failed after the coarse phase"
    assert "no confirmation run was completed" in text
    assert "rmse, lower is better" in text


def test_a_tie_is_called_a_tie(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run")
    result = json.loads((run_dir / "result.json").read_text())
    result["comparison"] |= {"verdict": "tie", "p_value": None, "ci95": None}
    (run_dir / "result.json").write_text(json.dumps(result))
    assert "A tie with the baseline" in write_report(run_dir).read_text()


def test_the_default_itself_may_win(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run")
    result = json.loads((run_dir / "result.json").read_text())
    result["winner"] = result["baseline"]
    result["comparison"]["verdict"] = "worse"
    (run_dir / "result.json").write_text(json.dumps(result))
    text = write_report(run_dir).read_text()
    assert "The published default stays" in text
    assert "Best finalist, difference" in text
    assert "It is the published default itself." in Page(text).words("configuration")
    assert "baseline winner" in Page(text).words("confirmation")


def test_an_ensemble_is_offered_with_its_cost_and_its_intervals(page):
    words = page.words("ensemble")
    assert words.startswith("Ensemble: offered, not forced An ensemble of 3 models is better")
    assert "r0002" in words
    assert "+0.0040 [+0.0010, +0.0070], better" in words
    assert "[-0.0010, +0.0090], tie" in words
    assert "3 times the single winner's" in words
    assert "what was chosen by" in words


def test_why_there_is_no_ensemble_is_said(tmp_path, build_run, half):
    assert "Left out" in half.words("ensemble")
    run_dir = build_run(tmp_path / "run")
    result = json.loads((run_dir / "result.json").read_text())
    result["ensemble"] = {"members": [], "reason": "the model keeps no weights"}
    (run_dir / "result.json").write_text(json.dumps(result))
    page = Page(write_report(run_dir).read_text())
    assert "There is none: the model keeps no weights." in page.words("ensemble")


def test_a_phase_that_was_interrupted_still_has_its_cost(tmp_path):
    cost = {"samples_seen": 1000, "wall_seconds": 90.0}
    result = {"status": "interrupted", "cost": {"total": cost, "coarse": cost}}
    (tmp_path / "result.json").write_text(json.dumps(result | {"trials": {"coarse": 7}}))
    page = Page(write_report(tmp_path).read_text())
    assert "Coarse71k1 min 30 s" in page.words("cost")


def test_no_directory_and_a_foreign_directory(tmp_path):
    with pytest.raises(RunDirError, match="no run directory"):
        write_report(tmp_path / "absent")
    with pytest.raises(RunDirError, match="nothing of a run"):
        write_report(tmp_path)


def test_damaged_files_are_named(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    (run_dir / "result.json").write_text("{")
    with pytest.raises(RunDirError, match=r"result\.json is no JSON"):
        write_report(run_dir)
    (run_dir / "result.json").unlink()
    (run_dir / "coarse" / "trials.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(RunDirError, match=r"trials\.parquet can't be read"):
        write_report(run_dir)


def test_columns_that_are_not_known_do_no_harm(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    path = run_dir / "coarse" / "trials.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("later", table.column("seed")), path)
    assert write_report(run_dir).is_file()


def test_flat_keeps_whole_numbers_plain():
    assert flat({"seed": 12345, "at": 1.75e9, "no": None, "deep": {"x": [1, "a"]}}) == [
        ("seed", "12345"),
        ("at", "1750000000"),
        ("no", "—"),
        ("deep.x", "1 a"),
    ]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
    "--dump-dom",
)


def test_every_trial_s_loss_and_metric_on_train_and_validation_are_in_one_picture(page, run_dir):
    trials = [trial for trial in read_run(run_dir).trials if finite_losses(trial)]
    (figure,) = [each for each in map(json.loads, page.figures) if "frames" in each]
    assert len(figure["frames"]) == len(trials)
    coarse = sorted((t for t in trials if t.phase == "coarse"), key=lambda each: each.loss)
    first, best = figure["frames"][0], coarse[0]
    for line, name in ((0, "train_loss"), (1, "validation_loss"), (3, "train_metric")):
        values = [getattr(point, name) for point in best.points]
        assert first["y"][line] == pytest.approx(values, rel=1e-3)
        assert first["x"][line] == [point.samples_seen for point in best.points]
    assert first["x"][2] == [best.best_samples]
    assert first["y"][2] == pytest.approx([best.best_validation_loss], rel=1e-3)
    assert f"{best.trial_id}: loss" in page.words("trials")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium isn't installed")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("phases", [("coarse",), ("coarse", "fine", "confirm")])
def test_a_browser_draws_every_figure_without_errors(tmp_path, build_run, phases, width):
    target = write_report(build_run(tmp_path / "run", phases))
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--window-size={width},4000", target.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    figures = len(Page(target.read_text()).figures)
    assert f'data-drawn="{figures}"' in done.stdout
    assert done.stdout.count('class="hoverlayer"') == figures
    assert done.stdout.count('<g class="trace scatter') > 2 * figures


CHOOSE = """<script>addEventListener("load", () => setTimeout(() => {
  const select = document.querySelector(".chooser select");
  select.selectedIndex = 2;
  select.dispatchEvent(new Event("change"));
}, 4000));</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium isn't installed")
def test_a_chosen_trial_is_drawn_and_told(tmp_path, build_run):
    target = write_report(build_run(tmp_path / "run"))
    page = target.read_text()
    words = re.findall(r'<option data-words="([^"]+)"', page)
    target.write_text(page.replace("</body>", CHOOSE))
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", target.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    told = re.search(r'<figcaption class="words">([^<]+)<', done.stdout)
    assert told is not None
    assert html.unescape(told[1]) == html.unescape(words[2]) != html.unescape(words[0])


def test_a_phase_that_was_cut_off_isn_t_called_complete(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse", "fine"))
    (run_dir / "fine" / "done.json").unlink()
    assert Page(write_report(run_dir).read_text()).title.strip() == (
        "Not finished yet: the coarse phase is complete"
    )


def test_a_default_that_wins_though_a_finalist_did_better_on_test_is_explained(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run")
    result = json.loads((run_dir / "result.json").read_text())
    result["winner"] = result["baseline"]
    (run_dir / "result.json").write_text(json.dumps(result))
    assert result["comparison"]["verdict"] == "better"
    text = write_report(run_dir).read_text()
    assert "it did best on validation, by which the winner is chosen" in text
    assert "no finalist has earned its place" not in text


def test_before_there_is_a_result_the_metric_is_the_study_s_or_the_task_s(tmp_path, build_run):
    run_dir = build_run(tmp_path / "run", phases=("coarse",))
    (run_dir / "study.json").write_text(json.dumps({"study": {"metric": None}}))
    (run_dir / "provenance.json").write_text(json.dumps({"spec": {"task": "regression"}}))
    assert "Metric: rmse, lower is better." in write_report(run_dir).read_text()
    (run_dir / "study.json").write_text(json.dumps({"study": {"metric": "r2"}}))
    assert "Metric: r2, higher is better." in write_report(run_dir).read_text()
