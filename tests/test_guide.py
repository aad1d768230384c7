"""docs/guide.md: every rule has its row, and what a row names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "guide.md").read_text()
RULES = [f"G{number}" for number in range(1, 28)]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


ROWS = {row[0].strip(" |"): row for row in map(cells, re.findall(r"^\| G.*\|$", PAGE, re.M))}
NAMED = sorted(set(re.findall(r"`((?:search|models|tests|benchmarks)/[^`]+)`", PAGE)))


@cache
def names_of(path: str) -> set[str]:
    """Return the functions, classes, methods and constants of a file."""
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            found |= {f"{node.name}.{each.name}" for each in inner}
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {each.id for each in targets if isinstance(each, ast.Name)}
    return found


def test_every_rule_has_one_row_with_five_cells() -> None:
    assert sorted(ROWS, key=lambda rule: int(rule[1:])) == RULES
    assert len(re.findall(r"^\| G", PAGE, re.M)) == len(RULES)
    assert {len(row) for row in ROWS.values()} == {5}
    assert all(all(row) for row in ROWS.values())


@pytest.mark.parametrize("named", NAMED)
def test_what_the_page_names_exists(named: str) -> None:
    path, _, name = named.partition("::")
    assert (ROOT / path).is_file()
    assert not name or name in names_of(path)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_names_its_code_and_its_test_or_says_what_is_missing(rule: str) -> None:
    _, _, code, test, shown = ROWS[rule]
    for cell, folder in ((code, "search/|models/"), (test, "tests/")):
        open_end = "Not yet" in cell
        assert open_end or re.search(rf"`(?:{folder})[^`]+::", cell), (rule, cell)
    assert shown
    assert "::test_" in test or "tests/" not in test


def test_nothing_else_is_left_open() -> None:
    assert "TODO" not in PAGE
