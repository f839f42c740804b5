"""Units whose activations are computed anew in the backward pass, instead of kept from the forward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import groupby
from math import isqrt

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

STATISTICS = ("running_mean", "running_var")
TIMES_ITS_INPUT = 3
"""What a unit keeps for its backward pass, roughly."""

Step = Callable[[Tensor], Tensor]
Norms = list[tuple[_BatchNorm, dict[str, Tensor]]]
"""Norms, and tensors that their statistics of a second forward pass go to, by name."""
Spares = dict[tuple[int, int, str], Tensor]
"""Those tensors by number of channels, place in the unit, and name."""


def recompute(module: nn.Module, units: Sequence[nn.Module], *, draws: bool) -> None:
    """Of a segment of units in a row only the input is kept. units: those of the module that hold no unit. draws: random
    numbers are drawn in units, and must be the same ones again. Names of parameters stay.

    The second forward pass is the first one's code, compiled or not: what is saved is matched to what was saved by its place.
    It must not count the batch in statistics again, so BatchNorms write to spare tensors then. They are shared by all units,
    but not within one, where no two tensors were the same in the first pass: torch.compile would make another form.
    """
    innermost = set(units)
    spares: Spares = {}
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, nn.ModuleList) and not innermost.isdisjoint(part):
                setattr(parent, name, Segmented(part, innermost, spares, draws=draws))


class Segmented(nn.ModuleList):
    """Units in a row, and what `for unit in self` goes through: segments of them.

    With segments of k of n units, n / k inputs are kept, and in the backward pass the activations of k units at a time.
    Their sum is least at k = sqrt(n / TIMES_ITS_INPUT).
    """

    __repr__ = nn.Module.__repr__

    def __init__(self, parts: nn.ModuleList, innermost: set[nn.Module], spares: Spares, *, draws: bool) -> None:
        super().__init__(parts)
        self._steps: list[Step] = []
        for is_innermost, run in groupby(parts, innermost.__contains__):
            units = list(run)
            self._steps += _segments(units, spares, draws=draws) if is_innermost else units

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)


def _segments(units: list[nn.Module], spares: Spares, *, draws: bool) -> list[Step]:
    size = max(1, isqrt(len(units) // TIMES_ITS_INPUT))
    parts = [units[start : start + size] for start in range(0, len(units), size)]
    return [
        partial(_recomputed, partial(_through, part), [norm for unit in part for norm in _norms(unit, spares)], draws)
        for part in parts
    ]


def _through(units: list[nn.Module], x: Tensor) -> Tensor:
    for unit in units:
        x = unit(x)
    return x


def _recomputed(forward: Step, norms: Norms, draws: bool, x: Tensor) -> Tensor:
    # Without random numbers their state is not read, which took time.
    return checkpoint(forward, x, use_reentrant=False, preserve_rng_state=draws, context_fn=partial(_contexts, norms))


def _contexts(norms: Norms) -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
    """Around the forward pass, and around the second one."""
    return nullcontext(), _with_spares(norms)


@contextmanager
def _with_spares(norms: Norms) -> Generator[None]:
    before = [{name: getattr(norm, name) for name in STATISTICS} for norm, _ in norms]
    _set(norms, [spares for _, spares in norms])
    try:
        yield
    finally:
        _set(norms, before)


def _set(norms: Norms, values: list[dict[str, Tensor]]) -> None:
    for (norm, _), tensors in zip(norms, values, strict=True):
        for name, tensor in tensors.items():
            setattr(norm, name, tensor)


def _norms(unit: nn.Module, spares: Spares) -> Norms:
    """The unit's norms; place counts those of one width."""
    found: Norms = []
    seen: Counter[int] = Counter()
    for norm in unit.modules():
        if isinstance(norm, _BatchNorm):
            width, place = norm.num_features, seen[norm.num_features]
            for name in STATISTICS:
                if (width, place, name) not in spares:
                    spares[width, place, name] = getattr(norm, name).clone()
            found.append((norm, {name: spares[width, place, name] for name in STATISTICS}))
            seen[width] += 1
    return found
