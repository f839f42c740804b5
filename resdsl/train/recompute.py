"""Units whose activations are computed anew in the backward pass, instead of kept from the forward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

STATISTICS = ("running_mean", "running_var")

Forward = Callable[[Tensor], Tensor]
Spares = dict[tuple[int, int, str], Tensor]
"""Tensors that statistics of a second forward pass go to, by number of channels, place in the unit, and name."""


def recompute(units: Iterable[nn.Module], *, draws: bool) -> None:
    """Of a unit only the input is kept. draws: random numbers are drawn in units, and must be the same ones again.

    The second forward pass is the first one's code, compiled or not: what is saved is matched to what was saved by its place.
    It must not count the batch in statistics again, so BatchNorms write to spare tensors then. They are shared by all units,
    but not within one, where no two tensors were the same in the first pass: torch.compile would make another form.
    """
    spares: Spares = {}
    for unit in units:
        norms = [(norm, _spare(norm, place, spares)) for norm, place in _placed_norms(unit)]
        unit.forward = partial(_recomputed, unit.forward, norms, draws)


Norms = list[tuple[_BatchNorm, dict[str, Tensor]]]
"""Norms of a unit, and their spare statistics."""


def _recomputed(forward: Forward, norms: Norms, draws: bool, x: Tensor) -> Tensor:
    # Saving states of random numbers is not allowed while a CUDA graph is captured.
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


def _placed_norms(unit: nn.Module) -> Generator[tuple[_BatchNorm, int]]:
    """Each norm, and how many of its width stand before it in the unit."""
    seen: Counter[int] = Counter()
    for part in unit.modules():
        if isinstance(part, _BatchNorm):
            yield part, seen[part.num_features]
            seen[part.num_features] += 1


def _spare(norm: _BatchNorm, place: int, spares: Spares) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name in STATISTICS:
        key = (norm.num_features, place, name)
        if key not in spares:
            spares[key] = getattr(norm, name).clone()
        found[name] = spares[key]
    return found
