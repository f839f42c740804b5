"""What has to be known of measured signals beside their numbers, a sentence each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from resdsl.analysis.quantities import Lengths
from resdsl.analysis.rows import Row
from resdsl.diagnostics import fail
from resdsl.linter.words import counted, listed
from resdsl.network.network import Network, count_units, unit_chains
from resdsl.network.operators import Relu
from resdsl.train.compute.norms import least_positions

SEVERAL = 8
"""Units, from which on something is said of all of them."""
GROWS = 1.5
"""By unit, from which on a growing stream is told. Branches of equal variance come to less from the third unit on."""
LESS = 0.3
"""In log10: half of a closed form, or less of it."""
FEW = 32
"""Values of which a standard deviation is off by an eighth, and its inverse by more the fewer they are."""


def require_values(network: Network, samples: int) -> None:
    """Raises SpecError where a batch norm would take its statistics from one value."""
    if _values(network, samples) < 2:
        message = f"a batch norm of {network.name} sees one value of a channel, which has no variance"
        raise fail("wrong-input", message, help="give two samples or more")


def remarks(
    network: Network, rows: Sequence[Row], lengths: Lengths | None, *, samples: int, is_initial: bool, projects: bool
) -> tuple[str, ...]:
    """projects: whether the gradient is that of the output's projection, and did not have to start behind the last unit."""
    return (
        *_of_norms(network, samples, is_initial),
        *_of_weights(is_initial),
        *_of_the_start(projects),
        *_of_lengths(lengths),
        *_of_the_stream(rows),
        *_of_masks(rows),
        *_of_hidden_units(network, rows),
    )


def _of_norms(network: Network, samples: int, is_initial: bool) -> Iterator[str]:
    values = _values(network, samples)
    if is_initial and values < FEW:
        yield (
            f"A batch norm sees {values:,.0f} values of a channel, too few for its variance: gradients that pass it may be far too "
            "large. Give more samples."
        )


def _of_weights(is_initial: bool) -> Iterator[str]:
    if not is_initial:
        yield "Closed forms are of initial weights, and these are others: there is none for a shortcut."


def _of_the_start(projects: bool) -> Iterator[str]:
    if not projects:
        yield (
            "The head hands back no gradient, as one that starts at zero: the gradient starts in a random direction behind the "
            "last unit."
        )


def _of_lengths(lengths: Lengths | None) -> Iterator[str]:
    if lengths is not None and math.isnan(lengths.mean):
        yield "No gradient reaches the first unit, so it has no path lengths."


def _of_the_stream(rows: Sequence[Row]) -> Iterator[str]:
    dead = next((row for row in rows if row.output.second == 0), None)
    if dead is not None:
        yield f"Nothing of the signal is left behind {dead.cut.name}: all is 0 from there on."
        return
    for stage, inside in groupby(rows, lambda row: row.cut.stage):
        first, *rest = inside
        if len(rest) < SEVERAL or not first.output.second:
            continue
        factor = (rest[-1].output.second / first.output.second) ** (1 / len(rest))
        if factor >= GROWS:
            yield f"The stream's second moment grows by a factor of {factor:.2g} with each unit of {stage}."


def _of_masks(rows: Sequence[Row]) -> Iterator[str]:
    """The closed form of ReLUs behind additions is that of a sum of many branches alike, see theory.path_gain.open_chance."""
    behind = [row for row in rows if math.isfinite(row.direct_expected) and _ends_with_relu(row)]
    large = sum(row.branch.variance >= row.stream.variance for row in behind)
    if len(behind) < SEVERAL or 2 * large <= len(behind):
        return
    first = behind[0]
    if first.direct < first.direct_expected - LESS:
        yield (
            f"Var(F)/Var(x) is 1 or more in {large} of {len(behind)} units with a ReLU behind the addition: each decides anew what passes, "
            "and less comes back through the shortcuts than the closed form says."
        )


def _ends_with_relu(row: Row) -> bool:
    unit = row.cut.unit
    return unit.shortcut.chain is not None and any(isinstance(element, Relu) for element in unit.after)


def _of_hidden_units(network: Network, rows: Sequence[Row]) -> Iterator[str]:
    inside = {row.cut.name: sum(map(count_units, unit_chains(row.cut.unit))) for row in rows}
    total = sum(count_units(chain) for _, chain in network.sections())
    apart = total - sum(max(1, count) for count in inside.values())
    if apart:
        yield f"{counted(apart, 'unit')} inside concat, beside the units here: without a row, and in no count."
    whole = [name for name, count in inside.items() if count]
    if whole:
        held = counted(sum(inside.values()), "unit")
        yield f"Measured as a whole with {held} inside concat or behind a gate on the branch: {listed(whole)}."


def _values(network: Network, samples: int) -> float:
    """The fewest of one channel that a batch norm sees of all samples."""
    positions = least_positions(network)
    return math.inf if positions is None else positions * samples
