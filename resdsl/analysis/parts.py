"""A network's module in parts: units, each cut where its shortcut and its branch meet, and the operators between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resdsl.network import operators as op
from resdsl.network.names import Named, UnitNames, name_network, name_unit
from resdsl.network.network import Network, copy_of, varies
from resdsl.network.types import PerCopy, Tap


@dataclass(frozen=True, slots=True)
class Span:
    """Operators in a row, without units that are looked at. owner: the module that holds their weights. stage: their section."""

    owner: nn.Module
    operators: tuple[Named, ...]
    stage: str

    def __call__(self, x: Tensor) -> Tensor:
        for named in self.operators:
            x = _applied(self, named, x)
        return x


@dataclass(frozen=True, slots=True)
class Cut:
    """A unit. name: `stage1.17`. stage: its section. module: its own.

    branch: what its branch is made of behind `lead`, where that holds units in a row; None for a unit that is looked at as a whole: one
    that holds no unit, holds some inside concat alone, or multiplies its branch by a gate.
    """

    name: str
    stage: str
    unit: op.Unit
    names: UnitNames
    module: nn.Module
    branch: tuple[Part, ...] | None

    def lead(self, x: Tensor) -> Tensor:
        return self._span(self.names.branch[: self.unit.lead])(x)

    def meets(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        """What meets in the addition: what the shortcut brings, None where there is none, and what the branch brings."""
        activated = self.lead(x)
        return self.join(x, activated, self._span(self.names.branch[self.unit.lead :])(activated))

    def join(self, x: Tensor, activated: Tensor, branch: Tensor) -> tuple[Tensor | None, Tensor]:
        """The same, of a finished branch: gates and scales on the shortcut may multiply it."""
        if self.unit.shortcut.chain is None:
            return None, branch
        around = self._span(())
        shortcut = activated if self.unit.shortcut.tap is Tap.ACTIVATED else x
        for named in self.names.shortcut:
            match named.element:
                case op.Gate(branch=True):
                    gate = torch.sigmoid(getattr(self.module, named.name)(shortcut))
                    shortcut, branch = (1 - gate) * shortcut, gate * branch
                case op.Scale(branch=factor):
                    shortcut = _applied(around, named, shortcut)
                    branch = branch if factor == 1 else _number(factor) * branch
                case _:
                    shortcut = _applied(around, named, shortcut)
        return shortcut, branch

    def after(self, x: Tensor) -> Tensor:
        return self._span(self.names.after)(x)

    def _span(self, operators: tuple[Named, ...]) -> Span:
        return Span(self.module, operators, self.stage)


Part: TypeAlias = Span | Cut


def parts_of(network: Network, module: nn.Module) -> tuple[Part, ...]:
    """The network's parts from its input to its output; `module` is what `torch_module` makes of it."""
    found: list[Part] = []
    for section, chain in name_network(network):
        found += _parts(module, section, chain, "")
    return tuple(found)


def leaves(parts: Sequence[Part]) -> Iterator[Cut]:
    """Units that are looked at as a whole, in the order of the network."""
    for part in parts:
        match part:
            case Cut(branch=None):
                yield part
            case Cut(branch=inside) if inside is not None:
                yield from leaves(inside)
            case _:
                pass


def _parts(owner: nn.Module, stage: str, chain: Sequence[Named], prefix: str) -> list[Part]:
    found: list[Part] = []
    waiting: list[Named] = []
    for named in chain:
        if not isinstance(named.element, op.Units):
            waiting.append(named)
            continue
        if waiting:
            found.append(Span(owner, tuple(waiting), stage))
            waiting = []
        found += _cuts(owner, stage, named.name, named.element, prefix)
    return [*found, Span(owner, tuple(waiting), stage)] if waiting else found


def _cuts(owner: nn.Module, stage: str, name: str, units: op.Units, prefix: str) -> Iterator[Cut]:
    modules = iter(getattr(owner, name))
    index = 0
    for run in units.runs:
        names = name_unit(run.unit)
        for copy in range(run.count):
            unit, module = run.unit, next(modules)
            if varies(unit):
                unit = copy_of(unit, copy)
                names = name_unit(unit)
            path = f"{prefix}{name}.{index}"
            inside = None
            if _opens(unit):
                inside = tuple(_parts(module, stage, names.branch[unit.lead :], f"{path}."))
            yield Cut(path, stage, unit, names, module, inside)
            index += 1


def _opens(unit: op.Unit) -> bool:
    """Whether the units in a unit's branch are looked at one by one."""
    gates = any(isinstance(element, op.Gate) and element.branch for element in unit.shortcut.chain or ())
    return any(isinstance(element, op.Units) for element in unit.branch) and not gates


def _applied(span: Span, named: Named, x: Tensor) -> Tensor:
    match named.element:
        case op.Units():
            for unit in getattr(span.owner, named.name):
                x = unit(x)
            return x
        case op.Relu():
            return F.relu(x)
        case op.Gelu():
            return F.gelu(x)
        case op.Silu():
            return F.silu(x)
        case op.Tanh():
            return torch.tanh(x)
        case op.Sigmoid():
            return torch.sigmoid(x)
        case op.Scale(factor=factor, learn=learn):
            return (getattr(span.owner, named.name) if learn else _number(factor)) * x
        case op.Gate():
            return (1 - torch.sigmoid(getattr(span.owner, named.name)(x))) * x
        case op.MaxPool(kernel=kernel, stride=stride, padding=padding):
            return F.max_pool2d(x, kernel, stride, padding)
        case op.AvgPool(kernel=kernel, stride=stride, padding=padding, count_padding=counts):
            return F.avg_pool2d(x, kernel, stride, padding, count_include_pad=counts)
        case op.GlobalAvgPool():
            return x.mean(dim=(2, 3))
        case op.Flatten():
            return x.flatten(1)
        case op.Pad(channels=channels, stride=stride):
            return _with_zeros(x[:, :, ::stride, ::stride] if x.dim() == 4 else x, channels)
        case op.Partial(channels=channels):
            return _with_zeros(Span(span.owner, named.inner[0], span.stage)(x[:, :channels]), x.shape[1])
        case op.Concat():
            return torch.cat([Span(span.owner, chain, span.stage)(x) for chain in named.inner], dim=1)
        case op.Removed():
            return x
        case _:
            return getattr(span.owner, named.name)(x)


def _with_zeros(x: Tensor, channels: int) -> Tensor:
    return F.pad(x, (*(0, 0) * (x.dim() - 2), 0, channels - x.shape[1]))


def _number(value: PerCopy) -> float:
    assert not isinstance(value, tuple), "the copies of a repeated unit are told apart before this"
    return value
