"""A row of the table: what was measured, the reference, and whether the goal is reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement. `measured` and `against` are printed unchanged. The goal applies to `ratio` if it is set."""

    what: str
    measured: str
    against: str = "–"
    ratio: float | None = None
    goal: str = "–"
    reached: bool | None = None

    def cells(self) -> list[str]:
        verdict = {True: "reached", False: "MISSED", None: "–"}[self.reached]
        return [
            self.what,
            self.measured,
            self.against,
            "–" if self.ratio is None else f"{self.ratio:.2f}",
            self.goal,
            verdict,
        ]


HEADER = ["what", "measured", "against", "ratio", "goal", "verdict"]


def as_markdown(rows: list[Row]) -> str:
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
