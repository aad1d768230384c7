"""What the documents name exists, and the layers that they draw are those that are checked."""

import re
import tomllib
from pathlib import Path

import pytest

from search.insight.tables import CURVES, TRIALS

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/cluster.md", "docs/results.md")
FOLDERS = [ROOT, ROOT / "search"]


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_document_names_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.]*|\w+\.(?:py|toml|md))`", text))
    ours = {name for name in named if name.endswith((".py", ".toml", ".md"))} - {"mymodel.py"}
    beside = list((ROOT / "search").rglob("*.py"))
    missing = [
        name
        for name in ours
        if not any((folder / name).exists() for folder in FOLDERS)
        and not any(path.name == name for path in beside)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_links_between_documents_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_layers_are_drawn_as_they_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [each["layers"] for each in contracts["contracts"] if each["type"] == "layers"]
    drawn = re.search(r"^cli ► .*?(?=^```)", (ROOT / "ARCHITECTURE.md").read_text(), re.M | re.S)
    assert drawn is not None
    assert drawn[0].split() == " ► ".join(layers).replace("search.", "").split()


def test_what_is_in_the_tables_is_documented() -> None:
    """Of ``result.json`` a complete run's test says the same."""
    text = (ROOT / "docs" / "results.md").read_text()
    for title, schema in (("trials.parquet", TRIALS), ("curves.parquet", CURVES)):
        section = text.split(f"## {title}")[1].split("\n## ")[0]
        rows = re.findall(r"^\| (`.*?`) \|", section, re.M)
        assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == schema.names


def test_every_module_that_isn_t_execution_is_kept_from_ray() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (kept,) = [c["source_modules"] for c in contracts["contracts"] if "Ray" in c["name"]][:1]
    found = {path.stem for path in (ROOT / "search").iterdir() if path.name[0] not in "._p"}
    found |= {path.stem for path in (ROOT / "search").glob("p*.py")}
    assert set(kept) == {
        "models",
        *(f"search.{name}" for name in found - {"execution", "__init__"}),
    }
