"""Which names the declarations of a file read, and which it declares for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from resdsl.syntax import nodes
from resdsl.syntax.walk import names, names_in


def free_names(item: nodes.Item) -> frozenset[str]:
    """The names that a declaration reads of the file around it: not its own parameters and `let`s."""
    read = names_in(item)
    match item:
        case nodes.Unit(parameters=parameters, body=body) | nodes.Network(parameters=parameters, body=body):
            lets = {part.name for part in body if isinstance(part, nodes.Let)}
            return read - lets - {parameter.name for parameter in parameters}
        case nodes.Alias(parameters=parameters, value=value):
            return read - {parameter.name for parameter in parameters} | {alias_of(value)}
        case _:
            return read


def alias_of(value: nodes.Expression) -> str:
    """The network that an alias calls, whatever its parameters are called."""
    return value.callee.name if isinstance(value, nodes.Call) else value.name if isinstance(value, nodes.Name) else ""


def reached(start: Iterable[str], reads: Mapping[str, Iterable[str]]) -> set[str]:
    """The names that are read from the start, and by what these stand for, and so on."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += reads.get(name, ())
    return found


def unused_units(items: Sequence[nodes.Item]) -> list[nodes.Unit]:
    """The units that no network of a file uses, not even through others; none in a file without networks."""
    networks = [item for item in items if isinstance(item, nodes.Network | nodes.Alias)]
    reads = {item.name.name: free_names(item) for item in items if isinstance(item, nodes.Unit)}
    reads |= {item.name: free_names(item) for item in items if isinstance(item, nodes.Let)}
    used = reached((name for network in networks for name in free_names(network)), reads)
    return [item for item in items if isinstance(item, nodes.Unit) and networks and item.name.name not in used]


def unused_lets(items: Sequence[nodes.Item]) -> list[nodes.Let]:
    """The `let`s between a file's declarations that none of these reads, not even through others."""
    lets = [item for item in items if isinstance(item, nodes.Let)]
    start = [name for item in items if not isinstance(item, nodes.Let) for name in free_names(item)]
    used = reached(start, {let.name: free_names(let) for let in lets})
    return [let for let in lets if let.name not in used]


def unused_inner_lets(item: nodes.Unit | nodes.Network) -> list[nodes.Let]:
    """The `let`s of a body that no clause, assertion or default reads, not even through others."""
    lets = [part for part in item.body if isinstance(part, nodes.Let)]
    defaults = [parameter.default for parameter in item.parameters if parameter.default is not None]
    used = reached(names([*_what_counts(item), *defaults]), {let.name: names([let.value]) for let in lets})
    return [let for let in lets if let.name not in used]


def unused_parameters(item: nodes.Unit | nodes.Network | nodes.Alias) -> list[nodes.Parameter]:
    """The parameters that nothing reads: no clause, no assertion, no call of an alias, not even through a default."""
    body = () if isinstance(item, nodes.Alias) else item.body
    reads = {part.name: names([part.value]) for part in body if isinstance(part, nodes.Let)}
    reads |= {each.name: names([each.default]) for each in item.parameters if each.default is not None}
    used = reached(names(_what_counts(item)), reads)
    return [parameter for parameter in item.parameters if parameter.name not in used]


def _what_counts(item: nodes.Unit | nodes.Network | nodes.Alias) -> list[nodes.Expression]:
    """The expressions of a declaration that are evaluated of themselves."""
    if isinstance(item, nodes.Alias):
        return [argument.value for argument in item.value.arguments] if isinstance(item.value, nodes.Call) else []
    found: list[nodes.Expression] = []
    for part in item.body:
        match part:
            case nodes.Clause(value=value, tap=tap):
                found += [value] if tap is None else [value, tap]
            case nodes.Assert(test=test, message=message):
                found += [test, *(piece for piece in message if not isinstance(piece, str))]
            case nodes.Let():
                pass
    return found
