"""What the shortcuts of a network do to the signal before training, in closed form.

The direct path leads from a unit to any later one through the shortcuts between (He et al. 2016, equations 3 to 9). Inputs
are taken to have mean 0 and second moment 1, elements and weights to be independent, and weights to be as initialised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import assert_never

from resdsl.network import operators as op
from resdsl.network.network import Network, copy_of, inner_chains, unit_chains, varies
from resdsl.network.shapes import output, shortcut_input
from resdsl.network.tensors import Constant, Fill, OrthogonalRows, inner_shape, operator_tensors
from resdsl.network.types import Normal, Shape

QUADRATURE_NODES = 80


@dataclass(frozen=True, slots=True)
class Gain:
    """Of a path, as logarithms to the base 10, so that a product over a thousand units is a sum; -inf stands for 0.

    mean: of the signal itself, the direct term. forward: of its second moment. backward: of the second moment of its
    gradient.
    """

    mean: float = 0.0
    forward: float = 0.0
    backward: float = 0.0

    @classmethod
    def of(cls, mean: float, forward: float, backward: float) -> Gain:
        """From the factors themselves."""
        return cls(_log10(abs(mean)), _log10(forward), _log10(backward))

    def then(self, other: Gain) -> Gain:
        return Gain(self.mean + other.mean, self.forward + other.forward, self.backward + other.backward)

    def times(self, count: int) -> Gain:
        return Gain(*(count * value if count else 0.0 for value in (self.mean, self.forward, self.backward)))


@dataclass(frozen=True, slots=True)
class Path:
    """The direct path through the units of one section, those in units by themselves.

    section: `stage2`, or `stage1 basic` for units in a branch. units: how many the path leads through. gain: of their
    shortcuts, None where there is no closed form. projections: units whose shortcut is a weight layer because the shape
    changes; they are no part of the gain. relus: units with a ReLU behind the addition and no norm. norms: with a norm
    there, for whose effect there is no closed form; it is exponential in their number.
    """

    section: str
    units: int = 0
    gain: Gain | None = Gain()
    projections: int = 0
    relus: int = 0
    norms: int = 0

    @property
    def open(self) -> float:
        """The chance that no ReLU behind an addition closes the path, for branches of either sign alike.

        The sum of l symmetric steps stays positive with probability C(2l, l) / 4^l, about 1 / sqrt(pi l).
        """
        return math.exp(math.lgamma(2 * self.relus + 1) - 2 * math.lgamma(self.relus + 1) - self.relus * math.log(4))

    def then(self, other: Path) -> Path:
        return Path(
            self.section,
            self.units + other.units,
            None if self.gain is None or other.gain is None else self.gain.then(other.gain),
            self.projections + other.projections,
            self.relus + other.relus,
            self.norms + other.norms,
        )


def paths(network: Network) -> list[Path]:
    """The path through each stage, then those through units in its branches, and last the one through all stages.

    Grows with distinct units, not with depth.
    """
    found: list[Path] = []
    whole = Path("network")
    for section, chain in network.sections():
        inner: dict[str, Path] = {}
        path = _chain_path(section, chain, inner)
        if path.units:
            found += [path, *inner.values()]
            whole = whole.then(path)
    return [*found, whole]


def _chain_path(section: str, chain: op.Chain, inner: dict[str, Path]) -> Path:
    path = Path(section)
    for element in chain:
        if isinstance(element, op.Units):
            for run in element.runs:
                path = path.then(_run_path(run))
                name = f"{section} {run.unit.name}"
                for part in unit_chains(run.unit):
                    if any(isinstance(inside, op.Units) for inside in part):
                        inner.setdefault(name, Path(name))
                        inner[name] = inner[name].then(_chain_path(name, part, inner))
    return path


def _run_path(run: op.Run) -> Path:
    unit = run.unit
    kinds = {type(element) for element in unit.after}
    has_norm = bool(kinds & {op.BatchNorm, op.GroupNorm, op.LayerNorm})
    gain: Gain | None = Gain()
    projects = unit.changes_shape and _has_weights(unit.shortcut.chain or ())
    if not projects:
        copies = [copy_of(unit, index) for index in range(run.count)] if varies(unit) else [unit]
        for copy in copies:
            own = shortcut_gain(copy)
            gain = None if gain is None or own is None else gain.then(own.times(run.count // len(copies)))
    return Path(
        "",
        run.count,
        gain,
        run.count if projects else 0,
        run.count if op.Relu in kinds and not has_norm else 0,
        run.count if has_norm else 0,
    )


def _has_weights(chain: op.Chain) -> bool:
    return any(
        isinstance(element, op.Conv | op.Linear) or any(map(_has_weights, inner_chains(element)))
        for element in chain
        if not isinstance(element, op.Units)
    )


def shortcut_gain(unit: op.Unit) -> Gain | None:
    """Of the shortcut of one copy of a unit; None where there is no closed form."""
    if unit.shortcut.chain is None:
        return Gain.of(0, 0, 0)
    return chain_gain(unit.shortcut.chain, shortcut_input(unit))


def chain_gain(chain: op.Chain, shape: Shape) -> Gain | None:
    """Of a chain without units; None where there is no closed form."""
    total = Gain()
    for element in chain:
        assert not isinstance(element, op.Units), "shortcuts hold no units"
        own = _operator_gain(element, shape, 10**total.forward)
        if own is None:
            return None
        total = total.then(own)
        shape = output(element, shape)
    return total


def _operator_gain(operator: op.Operator, shape: Shape, moment: float) -> Gain | None:
    """For an input of this second moment."""
    match operator:
        case op.Scale(factor=factor):
            a = _number(factor)
            return Gain.of(a, a * a, a * a)
        case op.Gate():
            return _gate_gain(operator, shape, moment)
        case op.Dropout(p=p):
            return Gain.of(1, 1 / (1 - _number(p)), 1 / (1 - _number(p)))
        case op.DropPath(p=p, rescale=rescale):
            kept = 1 - _number(p)
            return Gain.of(1, 1 / kept, 1 / kept) if rescale else Gain.of(kept, kept, kept)
        case op.Conv(stride=stride, groups=groups, kernel=(height, width), standardise=False):
            weight = operator_tensors(operator, shape, "")[0]
            fan_in, fan_out = math.prod(weight.shape[1:]), operator.channels // groups * height * width
            variance = _variance(weight.fill, weight.shape)
            return Gain.of(0, fan_in * variance, fan_out * variance / stride**2)
        case op.Linear(features=features):
            weight = operator_tensors(operator, shape, "")[0]
            variance = _variance(weight.fill, weight.shape)
            return Gain.of(0, shape.channels * variance, features * variance)
        case op.BatchNorm() | op.GroupNorm() | op.LayerNorm():
            return Gain.of(1 / math.sqrt(moment), 1 / moment, 1 / moment) if moment else None
        case op.Relu():
            return Gain.of(0.5, 0.5, 0.5)
        case op.Pad():
            return Gain()
        case op.Partial(chain=chain):
            return chain_gain(chain, inner_shape(operator, shape))
        case (
            op.Conv()
            | op.Gelu()
            | op.Silu()
            | op.Tanh()
            | op.Sigmoid()
            | op.SqueezeExcite()
            | op.MaxPool()
            | op.AvgPool()
            | op.GlobalAvgPool()
            | op.Flatten()
            | op.Concat()
        ):
            return None
    assert_never(operator)


def _gate_gain(gate: op.Gate, shape: Shape, moment: float) -> Gain:
    """1 - sigmoid(z), z normal with mean `bias` and the variance that the gate's weights give it.

    The gradient also passes through z. There is no closed form for a bias other than 0: Gauss-Hermite quadrature.
    """
    import numpy as np  # 80 ms that `resdsl show` need not wait for

    weight = operator_tensors(gate, shape, "")[0]
    spread = math.sqrt(shape.channels * _variance(weight.fill, weight.shape) * moment)
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE_NODES)
    rest = 1 / (1 + np.exp(_number(gate.bias) + spread * nodes))

    density = weights / math.sqrt(2 * math.pi)
    second = float(density @ rest**2)
    slope = float(density @ (rest * (1 - rest)) ** 2)
    return Gain.of(float(density @ rest), second, second + spread**2 * slope)


def _variance(fill: Fill, shape: tuple[int, ...]) -> float:
    """Of a tensor's elements before training."""
    match fill:
        case Normal(std=std):
            return std**2
        case OrthogonalRows(gain=gain):
            return gain**2 / max(shape[0], math.prod(shape[1:]))
        case Constant(value=value):
            assert value == 0, "weights start at random or at 0"
            return 0.0


def _number(value: float | tuple[float, ...]) -> float:
    assert not isinstance(value, tuple), "the copies of a repeated unit are told apart before this"
    return value


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf
