"""Rows of figures, as a table for people and as JSON for machines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Cell = str | int | float | None
Row = dict[str, Cell]


@dataclass(frozen=True)
class Benchmark:
    """`name` is the module and the marker in docs/performance.md; a heading that ends in % holds a share."""

    name: str
    measure: Callable[[], list[Row]]

    @property
    def command(self) -> str:
        """What makes these rows again."""
        return f"python -m benchmarks.{self.name}"

    def main(self, description: str | None) -> None:
        """Measure and print; write the rows as JSON where asked."""
        options = argparse.ArgumentParser(prog=self.command, description=description)
        options.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file too")
        chosen = options.parse_args()
        rows = self.measure()
        print(table(rows))
        if chosen.json:
            chosen.json.write_text(json.dumps(rows, indent=2) + "\n")


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    headings = list(rows[0])
    lines = [headings, ["---"] * len(headings)]
    lines += [[_text(heading, row[heading]) for heading in headings] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(heading: str, cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.1%}" if heading.endswith("%") else f"{cell:.4g}"
    return str(cell)
