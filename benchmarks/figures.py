"""Figures that a script has measured, kept as JSON until a page is made of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Figures:
    """A table in the making.

    Attributes:
        title: Its heading.
        text: What was measured, and by which command.
        rows: Column to cell; all rows have the same columns.
    """

    title: str
    text: str
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, **cells: str) -> None:
        """Add a row, and print it; underscores in a column's name become spaces."""
        row = {name.replace("_", " "): cell for name, cell in cells.items()}
        self.rows.append(row)
        print(", ".join(f"{name} {cell}" for name, cell in row.items()), flush=True)

    def save(self, path: Path | None) -> None:
        """Write them to a file, where one is named."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Figures:
        """Read what :meth:`save` wrote."""
        return cls(**json.loads(path.read_text()))

    def markdown(self) -> str:
        """Return the section of a page."""
        header = list(self.rows[0])
        lines = [header, ["---"] * len(header), *(list(row.values()) for row in self.rows)]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"## {self.title}\n\n{self.text}\n\n{table}\n"
