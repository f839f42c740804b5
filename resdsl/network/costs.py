"""Parameters, multiply-accumulates, depth."""

from __future__ import annotations

from dataclasses import dataclass

from resdsl.network import operators as op
from resdsl.network.names import kind_name
from resdsl.network.network import Network, count_units, inner_chains
from resdsl.network.shapes import branch_output, output, shortcut_input
from resdsl.network.tensors import inner_shape, operator_tensors
from resdsl.network.types import Image, Shape


@dataclass(frozen=True, slots=True)
class Costs:
    """parameters: trainable numbers. macs: multiply-accumulates of conv and linear layers (and those of gate and se) for one
    input.

    depth: conv and linear layers on the longest way through the branches (shortcuts do not count).
    """

    parameters: int = 0
    macs: int = 0
    depth: int = 0

    def then(self, other: Costs) -> Costs:
        return Costs(self.parameters + other.parameters, self.macs + other.macs, self.depth + other.depth)

    def beside(self, other: Costs) -> Costs:
        return Costs(self.parameters + other.parameters, self.macs + other.macs, max(self.depth, other.depth))

    def times(self, count: int) -> Costs:
        return Costs(self.parameters * count, self.macs * count, self.depth * count)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `resdsl show`: an operator or a run of equal units. costs: of all `count` copies."""

    section: str
    what: str
    count: int
    input: Shape
    output: Shape
    shortcut: str
    costs: Costs


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole network. units: how many hold no unit themselves."""

    network: str
    input: Shape
    output: Shape
    units: int
    costs: Costs
    rows: tuple[Row, ...]


def summarise(network: Network) -> Summary:
    """Costs of a network and of each of its parts. Grows with distinct units, not with depth."""
    rows: list[Row] = []
    shape = network.input
    total = Costs()
    for section, chain in network.sections():
        for element in chain:
            if isinstance(element, op.Units):
                for run in element.runs:
                    costs = unit_costs(run.unit).times(run.count)
                    unit = run.unit
                    rows.append(
                        Row(section, unit.label, run.count, unit.input, unit.output, shortcut_text(unit), costs)
                    )
                    total = total.then(costs)
            else:
                costs = operator_costs(element, shape)
                name = kind_name(element)
                rows.append(Row(section, name, 1, shape, output(element, shape), "", costs))
                total = total.then(costs)
            shape = output(element, shape)
    units = sum(count_units(chain) for _, chain in network.sections())
    return Summary(network.name, network.input, shape, units, total, tuple(rows))


def unit_costs(unit: op.Unit) -> Costs:
    shortcut = chain_costs(unit.shortcut.chain or (), shortcut_input(unit))
    branch = chain_costs(unit.branch, unit.input)
    after = chain_costs(unit.after, branch_output(unit))
    return branch.then(after).then(Costs(shortcut.parameters, shortcut.macs, 0))


def chain_costs(chain: op.Chain, shape: Shape) -> Costs:
    total = Costs()
    for element in chain:
        if isinstance(element, op.Units):
            for run in element.runs:
                total = total.then(unit_costs(run.unit).times(run.count))
        else:
            total = total.then(operator_costs(element, shape))
        shape = output(element, shape)
    return total


def operator_costs(operator: op.Operator, shape: Shape) -> Costs:
    if any(isinstance(getattr(operator, name), tuple) for name in op.PER_COPY_FIELDS.get(type(operator), ())):
        operator = _with_any_number(operator)
    parameters = sum(tensor.size for tensor in operator_tensors(operator, shape, "") if tensor.trainable)
    inside = Costs()
    for chain in inner_chains(operator):
        inside = inside.beside(chain_costs(chain, inner_shape(operator, shape)))
    depth = 1 if isinstance(operator, op.Conv | op.Linear) else 0
    return Costs(parameters, _macs(operator, shape), depth).then(inside)


def shortcut_text(unit: op.Unit) -> str:
    """`identity`, `none`, `projection conv`, `pad -> scale`."""
    chain = unit.shortcut.chain
    if chain is None:
        return "none"
    kinds = " -> ".join(map(kind_name, chain))
    text = kinds or "identity"
    return f"projection {text}" if unit.shortcut.projection else text


def _macs(operator: op.Operator, shape: Shape) -> int:
    channels = shape.channels
    positions = shape.height * shape.width if isinstance(shape, Image) else 1
    match operator:
        case op.Conv(kernel=kernel, groups=groups):
            after = output(operator, shape)
            assert isinstance(after, Image)
            return after.channels * after.height * after.width * channels // groups * kernel[0] * kernel[1]
        case op.Linear(features=features):
            return channels * features
        case op.Gate():
            return channels * channels * positions
        case op.SqueezeExcite(reduction=reduction):
            return 2 * channels * (channels // reduction)
        case _:
            return 0


def _with_any_number(operator: op.Operator) -> op.Operator:
    """The operator of some copy: its numbers do not change its costs."""
    match operator:
        case op.Scale():
            return op.Scale(0.0, 0.0, operator.learn, operator.per_channel)
        case op.Gate():
            return op.Gate(0.0, operator.branch, operator.init)
        case op.Dropout():
            return op.Dropout(0.0)
        case op.DropPath():
            return op.DropPath(0.0)
        case _:
            return operator
