"""Which networks are trained with which seeds, and where each run lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resdsl.diagnostics import SpecError, did_you_mean, fail
from resdsl.train.reproduce.tables import Table, Units, Variant


@dataclass(frozen=True, slots=True)
class Row:
    """A variant as it is trained here. n: units in a stage."""

    variant: Variant
    n: int

    @property
    def layers(self) -> int:
        return self.variant.units.layers(self.n)


@dataclass(frozen=True, slots=True)
class Trial:
    """A run: a row with a seed, in its folder."""

    row: Row
    seed: int
    run: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """same: names of variants that the depth makes equal to one of the rows, and that are no rows therefore."""

    table: Table
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    folder: Path
    same: tuple[str, ...] = ()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All rows with one seed before the next: there is a whole table early, and medians come later."""
        return tuple(Trial(row, seed, run_folder(self.folder, row, seed)) for seed in self.seeds for row in self.rows)


def plan(
    table: Table, data: str, folder: Path, *, seeds: Sequence[int], layers: int | None = None, only: Sequence[str] = ()
) -> Plan:
    """The rows of the table that the paper has for these data; for data that are not the paper's, those for CIFAR-10.

    layers: another depth of all networks than the paper's. only: names of variants. Raises SpecError for a depth that a row cannot have,
    and for names that no row has.
    """
    sets = {variant.data for variant in table.variants}
    variants = [variant for variant in table.variants if variant.data == (data if data in sets else "cifar10")]
    _require_known(only, table, variants)
    variants = [variant for variant in variants if not only or variant.name in only]
    rows: dict[tuple[str, str, int], Row] = {}
    same: list[str] = []
    for variant in variants:
        row = Row(variant, _units(variant, variant.layers if layers is None else layers, variants))
        what = (variant.spec, variant.network, row.n)
        if what in rows:
            same.append(variant.name)
        rows.setdefault(what, row)
    return Plan(table, tuple(rows.values()), tuple(seeds), folder, tuple(same))


def run_folder(folder: Path, row: Row, seed: int) -> Path:
    """Tables that share a row share its runs, in one folder."""
    return folder / row.variant.name / f"seed{seed}"


def _units(variant: Variant, layers: int, variants: Sequence[Variant]) -> int:
    """`n` for so many layers. variants: all that are to have them."""
    n, rest = divmod(layers - 2, variant.units.value)
    if rest == 0 and n >= 1:
        return n
    raise _wrong_depth(variant, layers, variants)


def _wrong_depth(variant: Variant, layers: int, variants: Sequence[Variant]) -> SpecError:
    """With depths that all of them can have."""
    units, step = variant.units, math.lcm(*(each.units.value for each in variants))
    below = max(1, (layers - 2) // step) * step + 2
    above = below + step
    per = {Units.SINGLE: "one layer", Units.BASIC: "two layers", Units.BOTTLENECK: "three layers"}[units]
    message = f"{variant.name} has units of {per}, so {units.value}n + 2 layers, and cannot have {layers}"
    return fail("unsupported-option", message, help=f"`--depth {below}` or `--depth {above}`")


def _require_known(only: Sequence[str], table: Table, variants: Sequence[Variant]) -> None:
    names = [variant.name for variant in variants]
    for name in only:
        if name not in names:
            help = did_you_mean(name, names) or f"it has {', '.join(names)}"
            raise fail("unknown-network", f"{table.name} has no variant {name!r} for these data", help=help)
