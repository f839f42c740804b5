"""Tables of the summary."""

from __future__ import annotations


def table(titles: list[str], rows: list[list[str]]) -> list[str]:
    lines = [titles, ["---"] * len(titles), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def gibibytes(number: int | None) -> str:
    return "" if number is None else f"{number / 2**30:.2f} GiB"
