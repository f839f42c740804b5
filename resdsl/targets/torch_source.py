"""A network as one readable, standalone PyTorch file.

Units of the same form (the same operators, other numbers) share a class whose constructor takes the numbers that
differ; repetition is a loop. No activation works in place, so nothing touches the shortcut's tensor.
"""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Collection
from dataclasses import dataclass

from resdsl._version import __version__
from resdsl.network import operators as op
from resdsl.network.names import Named, kind_name, name_network, name_unit
from resdsl.network.network import Network, count_units, distinct_units, inner_chains, unit_chains
from resdsl.network.shapes import branch_output, chain_output, output, shortcut_input
from resdsl.network.tensors import inner_shape, network_tensors
from resdsl.network.types import PerCopy, Shape, Tap
from resdsl.targets.torch_operators import HELPERS, Hole, Scope, call, call_chain, make

WIDTH = 112


def torch_source(network: Network) -> str:
    """The Python source of a module for the network: the same text every time, no import of resdsl.

    The file's last class is the network; its state_dict has the keys of resdsl.network.names.
    """
    return _File(network).text()


def class_name(network: Network) -> str:
    """The name of the network's class in its source."""
    return _File(network).network_class


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A constructor parameter of a class: a number that differs between its units."""

    name: str
    kind: str
    values: tuple[PerCopy, ...]
    """One for each of the class's units."""


@dataclass(frozen=True, slots=True)
class _Class:
    name: str
    parameters: list[_Parameter]

    def arguments(self, index: int) -> list[tuple[str, str, PerCopy]]:
        """Name, kind and value of each argument for the class's unit `index`."""
        return [(parameter.name, parameter.kind, parameter.values[index]) for parameter in self.parameters]


class _File:
    """The file while it is written: classes of inner units first."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.helpers: set[str] = set()
        self.taken = {"Tensor", "nn", "F", "torch", *HELPERS}
        self.network_class = self.class_name(network.name)
        self.uses = _uses(network)
        self.class_of: dict[op.Unit, tuple[_Class, int]] = {}
        self.texts: list[str] = []
        levels: dict[int, list[op.Unit]] = {}
        for unit in distinct_units(network):
            levels.setdefault(_depth(unit), []).append(unit)
        for level in sorted(levels):
            forms: dict[tuple[str, str], list[op.Unit]] = {}
            for unit in levels[level]:
                forms.setdefault((unit.name, self.unit_body(unit, lambda kind, value: f"<{kind}>")), []).append(unit)
            for units in forms.values():
                self.add_class(units)

    def text(self) -> str:
        network = self.network
        parameters = sum(tensor.size for tensor in network_tensors(network) if tensor.trainable)
        title = f"{network.name}: {network.doc or 'a residual network.'}"
        doc = textwrap.wrap(_in_docstring(title), WIDTH - 4, break_long_words=False)
        body = self.network_body()
        used = [HELPERS[name].strip("\n") for name in HELPERS if name in self.helpers]
        head = "\n".join(
            [
                f'"""{doc[0]}',
                *doc[1:],
                "",
                f"{network.input} -> {self.output}; {parameters:,} parameters. Written by resdsl {__version__}.",
                '"""',
                "",
                "import torch",
                "from torch import Tensor, nn",
                "from torch.nn import functional as F",
            ]
        )
        parts = [*used, *self.texts, body]
        code = "\n\n\n".join(parts)
        for name, line in (("F.", "\nfrom torch.nn import functional as F"), ("torch.", "\nimport torch\n")):
            if name not in code.replace("import torch", ""):
                head = head.replace(line, "\n" if line.endswith("\n") else "")
        return f"{head}\n\n\n{code}\n"

    def class_name(self, name: str, projection: bool = False) -> str:
        words = "".join(word[:1].upper() + word[1:] for word in name.split("_")) or "Network"
        words = f"Projected{words}" if projection else words
        result, number = words, 2
        while result in self.taken or keyword.iskeyword(result):
            result, number = f"{words}{number}", number + 1
        self.taken.add(result)
        return result

    def add_class(self, units: list[op.Unit]) -> None:
        """Writes the class for units of one form."""
        columns: list[list[tuple[str, PerCopy]]] = []
        for unit in units:
            numbers: list[tuple[str, PerCopy]] = []
            self.unit_body(unit, lambda kind, value, numbers=numbers: _noted(numbers, kind, value))
            columns.append(numbers)
        parameters: dict[tuple[str, tuple[PerCopy, ...]], _Parameter] = {}
        texts: list[str] = []
        for row in zip(*columns, strict=True):
            kind, values = row[0][0], tuple(value for _, value in row)
            if all(value == values[0] and not isinstance(value, tuple) for value in values):
                texts.append(_literal(values[0]))
                continue
            if (kind, values) not in parameters:
                name = _free_name(_parameter_name(kind, values, units), {p.name for p in parameters.values()})
                parameters[kind, values] = _Parameter(name, kind, values)
            texts.append(parameters[kind, values].name)
        order = {"in_channels": 0, "channels": 0, "width": 1, "out_channels": 2}
        ordered = sorted(parameters.values(), key=lambda p: order.get(p.name, 1 if p.kind == "channels" else 3))
        first = units[0]
        made = _Class(self.class_name(first.name, first.shortcut.projection), ordered)
        for index, unit in enumerate(units):
            self.class_of[unit] = made, index
        names = {parameter.name for parameter in ordered}
        written = iter(texts)
        body = self.unit_body(first, lambda kind, value: next(written), names)
        signature = "".join(f", {p.name}: {_annotation(p)}" for p in made.parameters)
        lines = [
            f"class {made.name}(nn.Module):",
            *self.unit_doc(units),
            "",
            *_wrapped_call("    def __init__(self", signature.removeprefix(", "), ") -> None:"),
            "        super().__init__()",
        ]
        self.texts.append("\n".join(lines) + "\n" + body)

    def unit_doc(self, units: list[op.Unit]) -> list[str]:
        uses = [
            f"{unit.input} -> {unit.output}" + (f" ({self.uses[unit]} times)" if self.uses[unit] > 1 else "")
            for unit in units
        ]
        lines = textwrap.wrap(", ".join(uses) + ".", WIDTH - 4)
        return [f'    """{_equation(units[0])}', "", *(f"    {line}" for line in lines), '    """']

    def unit_body(self, unit: op.Unit, hole: Hole, parameters: Collection[str] = ()) -> str:
        """The class body behind `super().__init__()`, with its numbers written by `hole`.

        A parameter that `forward` needs is kept as an attribute.
        """
        kept: dict[str, None] = {}

        def forward_hole(kind: str, value: PerCopy) -> str:
            text = hole(kind, value)
            if text not in parameters:
                return text
            kept[text] = None
            return f"self.{text}"

        names = name_unit(unit)
        scope = Scope(hole)
        for chain, shape in ((names.branch, unit.input), (names.shortcut, shortcut_input(unit))):
            self.make_chain(chain, shape, scope)
        target = branch_output(unit)
        self.make_chain(names.after, target, scope)
        scope.hole = forward_hole
        lead, rest = names.branch[: unit.lead], names.branch[unit.lead :]
        x, shape = "x", chain_output(unit.branch[: unit.lead], unit.input)
        if lead and unit.shortcut.chain is not None and unit.shortcut.tap is Tap.ACTIVATED:
            x = "activated"
            scope.statements.append(f"{x} = {call_chain(lead, unit.input, 'x', x, scope)}")
            branch = call_chain(rest, shape, x, "y", scope)
        else:
            branch = call_chain(names.branch, unit.input, "x", "y", scope)
        result = self.add_shortcut(unit, names.shortcut, x, branch, scope)
        scope.statements.append(f"return {call_chain(names.after, target, result, 'y', scope)}")
        self.helpers |= scope.helpers
        scope.made[:0] = [f"self.{name} = {name}" for name in kept]
        return _class_body(scope)

    def add_shortcut(self, unit: op.Unit, chain: tuple[Named, ...], x: str, branch: str, scope: Scope) -> str:
        if unit.shortcut.chain is None:
            return branch
        shape = shortcut_input(unit)
        if not chain:
            return f"{x} + {branch}"
        scales_branch = any(
            isinstance(named.element, op.Gate) or (isinstance(named.element, op.Scale) and named.element.branch != 1)
            for named in chain
        )
        if scales_branch and branch not in ("x", "y"):
            scope.statements.append(f"y = {branch}")
            branch = "y"
        shortcut = x
        for named in chain:
            match named.element:
                case op.Gate() as gate:
                    if not shortcut.isidentifier():
                        scope.statements.append(f"shortcut = {shortcut}")
                        shortcut = "shortcut"
                    scope.statements.append(f"gate = torch.sigmoid(self.{named.name}({shortcut}))")
                    if gate.branch:
                        scope.statements.append(f"y = gate * {branch}")
                        branch = "y"
                    shortcut = f"(1 - gate) * {shortcut}"
                case op.Scale(branch=factor) as scale:
                    shortcut = call(named, scale, shape, shortcut, scope)
                    if factor != 1:
                        scope.statements.append(f"y = {scope.hole('factor', factor)} * {branch}")
                        branch = "y"
                case op.Units():
                    raise AssertionError("a shortcut holds no units")
                case operator:
                    shortcut = call(named, operator, shape, shortcut, scope)
            shape = output(named.element, shape)
        return f"{shortcut} + {branch}"

    def make_chain(self, chain: tuple[Named, ...], shape: Shape, scope: Scope) -> Shape:
        for named in chain:
            if isinstance(named.element, op.Units):
                self.make_units(named.name, named.element, scope)
            else:
                make(named, named.element, shape, scope)
                for inner in named.inner:
                    self.make_chain(inner, inner_shape(named.element, shape), scope)
            shape = output(named.element, shape)
        return shape

    def make_units(self, name: str, units: op.Units, scope: Scope) -> None:
        """`self.stage1 = nn.ModuleList(…)`, a loop for each run."""
        parts: list[str] = []
        for run in units.runs:
            made, index = self.class_of[run.unit]
            series = [(name, value) for name, _, value in made.arguments(index) if isinstance(value, tuple)]
            arguments = ", ".join(
                f"{name}={name if isinstance(value, tuple) else scope.hole(kind, value)}"
                for name, kind, value in made.arguments(index)
            )
            unit = f"{made.name}({arguments})"
            if series:
                names = ", ".join(name for name, _ in series)
                values = ", ".join(f"({', '.join(_literal(v) for v in value)})" for _, value in series)
                parts.append(
                    f"*({unit} for {names} in {values if len(series) == 1 else f'zip({values}, strict=True)'})"
                )
            elif run.count == 1:
                parts.append(unit)
            else:
                parts.append(f"*({unit} for _ in range({scope.hole('count', run.count)}))")
        if len(parts) == 1 and parts[0].startswith("*"):
            lines = [f"self.{name} = nn.ModuleList{parts[0][1:]}"]
        elif len(parts) == 1:
            lines = [f"self.{name} = nn.ModuleList([{parts[0]}])"]
        else:
            lines = [f"self.{name} = nn.ModuleList(", "    [", *(f"        {part}," for part in parts), "    ]", ")"]
        for line in lines:
            scope.made += _folded(line)

    def network_body(self) -> str:
        network = self.network
        scope = Scope(lambda kind, value: _literal(value))
        sections = name_network(network)
        shape: Shape = network.input
        for _, chain in sections:
            shape = self.make_chain(chain, shape, scope)
        self.output = shape
        shape = network.input
        x = "x"
        for _, chain in sections:
            start = len(scope.statements)
            if not chain:
                continue
            x = call_chain(chain, shape, x, "x", scope)
            shape = chain_output(tuple(named.element for named in chain), shape)
            if x != "x":
                scope.statements.append(f"x = {x}")
                x = "x"
            if len(scope.statements) > start:
                scope.statements[-1] += f"  # {shape}"
        if scope.statements and scope.statements[-1].startswith("x = "):
            scope.statements[-1] = "return " + scope.statements[-1].removeprefix("x = ")
        else:
            scope.statements.append("return x")
        self.helpers |= scope.helpers
        units = sum(count_units(chain) for _, chain in network.sections())
        title = f'    """{network.name}: {network.input} -> {self.output}, {units} units."""'
        lines = [f"class {self.network_class}(nn.Module):", title, "", "    def __init__(self) -> None:"]
        return "\n".join([*lines, "        super().__init__()"]) + "\n" + _class_body(scope)


def _in_docstring(text: str) -> str:
    """The text in one line, written so that it neither ends a docstring nor is read as an escape."""
    shown = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return shown.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _class_body(scope: Scope) -> str:
    lines = [f"        {line}" for line in scope.made]
    groups: list[tuple[str, list[str]]] = []
    for start, target in scope.started:
        if groups and groups[-1][0] == start:
            groups[-1][1].append(target)
        elif any(group[0] == start for group in groups):
            next(group for group in groups if group[0] == start)[1].append(target)
        else:
            groups.append((start, [target]))
    for start, targets in groups:
        if len(targets) == 1:
            lines.append("        " + start.format(targets[0]))
        else:
            lines += _wrapped_call("        for weight in (", ", ".join(targets), "):")
            lines.append("            " + start.format("weight"))
    lines += ["", "    def forward(self, x: Tensor) -> Tensor:"]
    lines += [f"        {line}" for line in scope.statements]
    return "\n".join(lines)


def _equation(unit: op.Unit) -> str:
    """What the unit computes, in a line: `identity + conv(relu(bn(...)))` would be too long, so only the shortcut."""
    chain = unit.shortcut.chain
    if chain is None:
        return f"{unit.name}: no shortcut."
    tail = ", then the operators after the addition" if unit.after else ""
    activated = unit.shortcut.tap is Tap.ACTIVATED and unit.lead > 0
    if not chain:
        return f"{unit.name}: the shortcut is the identity{' of the activated input' if activated else ''}{tail}."
    reads = "the activated input" if activated else "the input"
    kinds = " -> ".join(map(kind_name, chain))
    return f"{unit.name}: the shortcut is {kinds} of {reads}{tail}."


def _uses(network: Network) -> dict[op.Unit, int]:
    """How often each distinct unit stands in the network."""
    uses: dict[op.Unit, int] = {}

    def visit(chain: op.Chain, times: int) -> None:
        for element in chain:
            if isinstance(element, op.Units):
                for run in element.runs:
                    uses[run.unit] = uses.get(run.unit, 0) + times * run.count
                    for part in unit_chains(run.unit):
                        visit(part, times * run.count)
            else:
                for part in inner_chains(element):
                    visit(part, times)

    for _, chain in network.sections():
        visit(chain, 1)
    return uses


def _depth(unit: op.Unit) -> int:
    """0 for a unit that holds no unit, else one more than the deepest inside."""

    def chain_depth(chain: op.Chain) -> int:
        depth = 0
        for element in chain:
            if isinstance(element, op.Units):
                depth = max(depth, *(1 + _depth(run.unit) for run in element.runs))
            else:
                depth = max([depth, *(chain_depth(part) for part in inner_chains(element))])
        return depth

    return max(chain_depth(chain) for chain in unit_chains(unit))


def _noted(numbers: list[tuple[str, PerCopy]], kind: str, value: PerCopy) -> str:
    numbers.append((kind, value))
    return ""


def _parameter_name(kind: str, values: tuple[PerCopy, ...], units: list[op.Unit]) -> str:
    if kind != "channels":
        return kind
    reads = values == tuple(unit.input.channels for unit in units)
    gives = values == tuple(unit.output.channels for unit in units)
    if reads and gives:
        return "channels"
    return "in_channels" if reads else "out_channels" if gives else "width"


def _free_name(name: str, taken: set[str]) -> str:
    result, number = name, 2
    while result in taken:
        result, number = f"{name}{number}", number + 1
    return result


def _annotation(parameter: _Parameter) -> str:
    return "int" if parameter.kind in ("channels", "stride", "count") else "float"


def _literal(value: PerCopy) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))})"
    return repr(value)


def _wrapped_call(head: str, inside: str, tail: str) -> list[str]:
    """`head inside tail` on one line if it fits, else the inside on lines of its own."""
    indent = " " * (len(head) - len(head.lstrip()))
    opener = head if head.endswith("(") else f"{head}, " if inside else head
    if len(opener) + len(inside) + len(tail) <= WIDTH:
        return [f"{opener}{inside}{tail}"]
    lines = textwrap.wrap(inside, WIDTH - len(indent) - 4)
    return [opener.rstrip(), *(f"{indent}    {line}" for line in lines), f"{indent}{tail}"]


def _folded(line: str) -> list[str]:
    """A line of numbers broken at commas where it is too long."""
    if len(line) <= WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
