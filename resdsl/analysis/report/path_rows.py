"""The gains of a network's direct paths, in cells."""

from __future__ import annotations

from resdsl.analysis.report.sentences import factor
from resdsl.linter.words import counted
from resdsl.network.network import Network
from resdsl.theory.path_gain import Path, paths

COLUMNS = ("path", "units", "mean", "forward", "backward", "projections", "what else stands on it")


def path_rows(network: Network) -> list[tuple[str, ...]]:
    """A row for each path, under COLUMNS; `?` where there is no closed form."""
    return [_row(path) for path in paths(network)]


def _row(path: Path) -> tuple[str, ...]:
    gain = path.gain
    gains = ("?", "?", "?") if gain is None else (factor(gain.mean), factor(gain.forward), factor(gain.backward))
    after = [f"{path.relus:,} ReLU: open with {path.open:.2g}"] if path.relus else []
    after += [f"{counted(path.norms, 'norm')}: no closed form, exponential"] if path.norms else []
    after += [f"{counted(path.between, 'operator')} between units"] if path.between else []
    return (
        path.section,
        f"{path.units:,}",
        *gains,
        f"{path.projections:,}" if path.projections else "",
        "; ".join(after),
    )
