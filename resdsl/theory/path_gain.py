"""What the shortcuts of a network do to the signal before training, in closed form.

The direct path leads from a unit to any later one through the shortcuts between (He et al. 2016, equations 3 to 9). Inputs
are taken to have mean 0 and second moment 1, elements and weights to be independent, and weights to be as initialised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import assert_never

from resdsl.network import operators as op
from resdsl.network.network import Network, copy_of, inner_chains, unit_chains, varies
from resdsl.network.shapes import branch_output, output
from resdsl.network.tensors import Constant, Fill, OrthogonalRows, inner_shape, operator_tensors
from resdsl.network.types import Normal, Shape, Tap

REACH = 10
"""Standard deviations on either side that the integral over a gate's input covers."""
SHARP = 1000
"""From this standard deviation of its input on, a gate is taken to be a step."""
MOST = 200
"""No second moment is taken to be more than 10 to the power of this, so that no float overflows."""


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
        return cls(log10(abs(mean)), log10(forward), log10(backward))

    def then(self, other: Gain) -> Gain:
        return Gain(self.mean + other.mean, self.forward + other.forward, self.backward + other.backward)

    def times(self, count: int) -> Gain:
        return Gain(*(count * value if count else 0.0 for value in (self.mean, self.forward, self.backward)))


@dataclass(frozen=True, slots=True)
class Path:
    """The direct path through the units of one section, those in units by themselves.

    section: `stage2`, or `stage1 basic` for units in a branch. units: how many the path leads through. gain: of their
    shortcuts, None where there is no closed form. projections: units whose shortcut is a weight layer because the shape
    changes; they are no part of the gain. relus: units with a ReLU behind the addition or on the
    shortcut, and no norm behind. norms: with a norm behind, for whose effect there is no closed form; it is exponential in
    their number. between: operators that stand between two units of the path; they are no part of the gain.
    """

    section: str
    units: int = 0
    gain: Gain | None = Gain()
    projections: int = 0
    relus: int = 0
    norms: int = 0
    between: int = 0

    @property
    def open(self) -> float:
        """The chance that no ReLU behind an addition closes the path."""
        return open_chance(self.relus)

    def then(self, other: Path) -> Path:
        return Path(
            self.section,
            self.units + other.units,
            None if self.gain is None or other.gain is None else self.gain.then(other.gain),
            self.projections + other.projections,
            self.relus + other.relus,
            self.norms + other.norms,
            self.between + other.between,
        )

    def times(self, count: int) -> Path:
        gain = None if self.gain is None else self.gain.times(count)
        numbers = (self.projections, self.relus, self.norms, self.between)
        return Path(self.section, count * self.units, gain, *(count * number for number in numbers))


def open_chance(relus: int) -> float:
    """The chance that so many ReLUs behind additions leave a path open, for branches of either sign alike.

    The sum of l symmetric steps stays positive with probability C(2l, l) / 4^l, about 1 / sqrt(pi l).
    """
    return math.exp(math.lgamma(2 * relus + 1) - 2 * math.lgamma(relus + 1) - relus * math.log(4))


def paths(network: Network) -> list[Path]:
    """The path through each stage, then those through units in its branches, and last the one through all stages.

    Units inside `concat` are not followed: they are on no single path. Grows with distinct units, not with depth.
    """
    found: list[Path] = []
    whole = Path("network")
    waiting = 0
    for section, chain in network.sections():
        inner: dict[str, Path] = {}
        path, leading, trailing = _chain_path(section, chain, inner)
        if not path.units:
            waiting += leading
            continue
        found += [path, *inner.values()]
        whole = whole.then(replace(path, between=path.between + (leading + waiting if whole.units else 0)))
        waiting = trailing
    return [*found, whole]


def _chain_path(section: str, chain: op.Chain, inner: dict[str, Path]) -> tuple[Path, int, int]:
    """The path through a chain's units, and how many operators stand before the first and behind the last of them."""
    path = Path(section)
    leading = since = 0
    for element in chain:
        if not isinstance(element, op.Units):
            since += 1
        else:
            path = replace(path, between=path.between + (since if path.units else 0))
            leading, since = (leading if path.units else since), 0
            for run in element.runs:
                path = path.then(_run_path(run))
                name = f"{section} {run.unit.name}"
                for part in unit_chains(run.unit):
                    if any(isinstance(inside, op.Units) for inside in part):
                        inner.setdefault(name, Path(name))
                        within: dict[str, Path] = {}
                        own, _, _ = _chain_path(name, part, within)
                        inner[name] = inner[name].then(own.times(run.count))
                        for key, deeper in within.items():
                            inner[key] = inner.get(key, Path(key)).then(deeper.times(run.count))
    return (path, leading, since) if path.units else (path, since, 0)


def _run_path(run: op.Run) -> Path:
    unit = run.unit
    after = unit.after if unit.shortcut.chain is not None else ()
    has_norm = has_norms(after)
    has_relu = any(isinstance(element, op.Relu) for element in after)
    projects = unit.changes_shape and has_weights(unit.shortcut.chain or ())
    has_relu = has_relu or (not projects and without_relus(read_and_shortcut(unit))[1])
    return Path(
        "",
        run.count,
        Gain() if projects else run_gain(run),
        run.count if projects else 0,
        run.count if has_relu and not has_norm else 0,
        run.count if has_norm else 0,
    )


def without_relus(chain: op.Chain) -> tuple[op.Chain, bool]:
    """A shortcut's chain without its ReLUs, and whether it has some; as it is where weights or norms stand in it.

    Over many units ReLUs on the path do not multiply: what one lets through, the next mostly lets through too (see
    open_chance).
    """
    if has_weights(chain) or has_norms(chain):
        return chain, False
    rest = tuple(element for element in chain if not isinstance(element, op.Relu))
    return rest, len(rest) < len(chain)


def has_norms(chain: op.Chain) -> bool:
    """Whether a norm stands in the chain itself."""
    return any(isinstance(element, op.NORMS) for element in chain)


def over(gain: Gain | None, chain: op.Chain, copies: int) -> Gain | None:
    """Of `copies` units in a row whose shortcuts have this chain, of this gain.

    What a norm leaves does not depend on what it reads: where weights follow or precede it the second moments are those
    of one unit. A norm without weights keeps some of the signal, and no closed form says how much over several units.
    """
    if gain is None or copies == 1 or not has_norms(chain):
        return None if gain is None else gain.times(copies)
    return Gain(-math.inf, gain.forward, gain.backward) if has_weights(chain) else None


def has_weights(chain: op.Chain) -> bool:
    """Whether a convolution or linear layer stands in the chain, units aside."""
    return any(
        isinstance(element, op.Conv | op.Linear) or any(map(has_weights, inner_chains(element)))
        for element in chain
        if not isinstance(element, op.Units)
    )


def run_gain(run: op.Run) -> Gain | None:
    """Of the shortcuts of all copies, as shortcut_gain, ReLUs aside: see without_relus, and Path.relus."""
    copies = [copy_of(run.unit, index) for index in range(run.count)] if varies(run.unit) else [run.unit]
    total = Gain()
    for copy in copies:
        chain, _ = without_relus(read_and_shortcut(copy))
        own = None if copy.shortcut.chain is not None and has_norms(chain) and len(copies) > 1 else _gain(copy, chain)
        own = over(own, chain, run.count // len(copies))
        if own is None:
            return None
        total = total.then(own)
    return total


def shortcut_gain(unit: op.Unit) -> Gain | None:
    """Of one copy of a unit: its shortcut, what that reads, and scales and the like behind the addition.

    None where there is no closed form. ReLU and norms behind the addition are not in it.
    """
    return _gain(unit, read_and_shortcut(unit))


def read_and_shortcut(unit: op.Unit) -> op.Chain:
    """What leads to the shortcut, and what stands on it."""
    lead = unit.branch[: unit.lead] if unit.shortcut.tap is Tap.ACTIVATED else ()
    return (*lead, *(unit.shortcut.chain or ()))


def _gain(unit: op.Unit, chain: op.Chain) -> Gain | None:
    """Of a unit with this chain in the place of its shortcut and what that reads."""
    if unit.shortcut.chain is None:
        return Gain.of(0, 0, 0)
    shortcut = chain_gain(chain, unit.input)
    after = tuple(element for element in unit.after if not isinstance(element, AFTER_ADDITION))
    behind = chain_gain(after, branch_output(unit))
    return None if shortcut is None or behind is None else shortcut.then(behind)


AFTER_ADDITION = (op.Relu, *op.NORMS)


def chain_gain(chain: op.Chain, shape: Shape, moment: float = 1.0) -> Gain | None:
    """Of a chain without units that reads a signal of this second moment; None where there is no closed form."""
    total = Gain()
    centred = spread = True
    for element in chain:
        assert not isinstance(element, op.Units), "shortcuts hold no units"
        mixes = isinstance(element, (op.Conv, op.Linear, *op.NORMS))
        if mixes and not spread:  # some channels are zero: no one second moment stands for all
            return None
        if not centred and isinstance(element, AFTER_ADDITION):  # the mean of what comes in is not 0
            return None
        own = _operator_gain(element, shape, 10 ** min(total.forward + log10(moment), MOST))
        if own is None:
            return None
        total = total.then(own)
        centred = isinstance(element, op.Conv | op.Linear) or (centred and not isinstance(element, op.Relu))
        spread = spread and not isinstance(element, op.Pad | op.Partial)
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
        case op.BatchNorm(eps=eps) | op.GroupNorm(eps=eps) | op.LayerNorm(eps=eps):
            return Gain.of(1 / math.sqrt(moment + eps), 1 / (moment + eps), 1 / (moment + eps))
        case op.Relu():
            return Gain.of(0.5, 0.5, 0.5)
        case op.Pad() | op.Removed():
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
    weight = operator_tensors(gate, shape, "")[0]
    return _gate(_number(gate.bias), math.sqrt(shape.channels * _variance(weight.fill, weight.shape) * moment))


@cache
def _gate(bias: float, spread: float) -> Gain:
    """1 - sigmoid(z), z normal with mean `bias` and standard deviation `spread`; the gradient also passes through z.

    There is no closed form for a bias other than 0: the trapezoidal rule, whose steps are small beside both the normal
    density and the sigmoid.
    """
    if spread > SHARP:  # the share of z below 0, and the density at 0 times the integral of sigmoid'^2, which is 1 / 6
        below = math.erfc(bias / spread / math.sqrt(2)) / 2
        density = math.exp(-((bias / spread) ** 2) / 2) / math.sqrt(2 * math.pi)
        return Gain.of(below, below, below + spread * density / 6)
    import numpy as np  # 80 ms that `resdsl show` need not wait for

    steps = math.ceil(2 * REACH * max(spread, 1) * 20)
    deviation = np.linspace(-REACH, REACH, steps + 1)
    density = np.exp(-(deviation**2) / 2)
    density /= density.sum()
    rest = 0.5 * (1 - np.tanh((bias + spread * deviation) / 2))
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


def log10(value: float) -> float:
    """-inf for 0, NaN for NaN."""
    return -math.inf if value <= 0 else math.log10(value)
