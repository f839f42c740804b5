"""A declaration with its arguments: its clauses as values."""

from __future__ import annotations

from collections.abc import Mapping

from resdsl.diagnostics import did_you_mean, fail
from resdsl.network.types import Init, Tap
from resdsl.semantics.arguments import match_arguments
from resdsl.semantics.arithmetic import truth
from resdsl.semantics.evaluate import Evaluator
from resdsl.semantics.program import NetworkDeclaration, UnitDeclaration
from resdsl.semantics.scope import Lazy, Place, Scope
from resdsl.semantics.values import (
    Bound,
    ChainValue,
    Deferred,
    PlacementValue,
    Value,
    format_value,
    kind_of,
)
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind

MAX_ALIASES = 50
"""How many networks may be an alias one of the next."""


class Body:
    """The clauses of one unit or network, evaluated when asked for.

    Values may be Deferred where they need the unit's place; `asserts` are those that do.
    """

    def __init__(self, node: nodes.Unit | nodes.Network, scope: Scope, evaluator: Evaluator) -> None:
        self.node = node
        self.scope = scope
        self.evaluator = evaluator
        self._chains: dict[ClauseKind, ChainValue | None] = {}
        self._clauses: dict[ClauseKind, list[nodes.Clause]] = {}
        for item in node.body:
            if isinstance(item, nodes.Clause):
                self._clauses.setdefault(item.kind, []).append(item)
        self.asserts = [
            item
            for item in node.body
            if isinstance(item, nodes.Assert) and not check_assert(item, scope, evaluator, None)
        ]

    def clauses(self, kind: ClauseKind) -> list[nodes.Clause]:
        return self._clauses.get(kind, [])

    def clause(self, kind: ClauseKind) -> nodes.Clause | None:
        clauses = self.clauses(kind)
        return clauses[0] if clauses else None

    def span(self, kind: ClauseKind) -> Span:
        clause = self.clause(kind)
        return clause.value.span if clause else self.node.name.span

    def chain(self, kind: ClauseKind) -> ChainValue | None:
        if kind not in self._chains:
            clause = self.clause(kind)
            self._chains[kind] = None if clause is None else self.evaluator.chain(clause.value, self.scope)
        return self._chains[kind]

    def placement(self, place: Place) -> PlacementValue:
        clause = self.clause(ClauseKind.PLACEMENT)
        if clause is None:
            return PlacementValue()
        value = self.evaluator.evaluate(clause.value, self.scope, place)
        if not isinstance(value, PlacementValue):
            raise fail(
                "wrong-value",
                f"a placement must stand here, and this is {kind_of(value)}",
                clause.value.span,
                help="post, bn_after_add, relu_before_add, relu_only_pre, pre or at(pre, mid, post, after)",
            )
        return value

    def init(self, place: Place) -> Init | None:
        clause = self.clause(ClauseKind.INIT)
        if clause is None:
            return None
        value = self.evaluator.evaluate(clause.value, self.scope, place)
        if not isinstance(value, Init):
            message = f"an initialisation must stand here, and this is {kind_of(value)}"
            raise fail("wrong-value", message, clause.value.span, help="he, xavier, orthogonal, normal(std) or zero")
        return value

    def tap(self, kind: ClauseKind, default: Tap, place: Place) -> Tap:
        clause = self.clause(kind)
        if clause is None or clause.tap is None:
            return default
        value = self.evaluator.evaluate(clause.tap, self.scope, place)
        if not isinstance(value, Tap):
            message = f"`from` takes input or activated, and this is {kind_of(value)}"
            raise fail("wrong-value", message, clause.tap.span)
        return value


def unit_body(unit: UnitDeclaration, arguments: tuple[Bound, ...], evaluator: Evaluator) -> Body:
    """The unit with these arguments. Raises SpecError for a parameter without a value and for a failed assert."""
    scope = Scope(unit.module)
    _bind(scope, unit.node.parameters, {bound.name: bound.value for bound in arguments})
    _bind_lets(scope, unit.node)
    return Body(unit.node, scope, evaluator)


def network_body(network: NetworkDeclaration, arguments: Mapping[str, Bound], evaluator: Evaluator) -> Body:
    """The network with these arguments, through aliases. Raises SpecError."""
    effective = parameters_of(network)
    for name, bound in arguments.items():
        if name not in effective:
            known = f"it has {', '.join(effective)}" if effective else "it has none"
            hint = did_you_mean(name, effective)
            message = f"{network.name} has no parameter `{name}`; {known}"
            raise fail("unknown-argument", message, bound.span, label=hint)
    node, scope = network.node, Scope(network.module)
    if isinstance(node, nodes.Network):
        missing = [p.name for p in node.parameters if p.default is None and p.name not in arguments]
        if missing:
            names = " and ".join(f"`{name}`" for name in missing)
            help = f"set it: `-p {missing[0]}=…`, or give it a default"
            raise fail("missing-argument", f"the network {network.name} needs {names}", node.name.span, help=help)
        _bind(scope, node.parameters, {name: bound.value for name, bound in arguments.items()})
        _bind_lets(scope, node)
        return Body(node, scope, evaluator)
    own = {parameter.name for parameter in node.parameters}
    _bind(scope, node.parameters, {name: bound.value for name, bound in arguments.items() if name in own})
    target = alias_target(network)
    passed = {name: bound for name, bound in arguments.items() if name not in own}
    for name, expression in _match_alias_arguments(network, parameters_of(target)).items():
        passed[name] = Bound(name, evaluator.evaluate(expression, scope), expression.span)
    return network_body(target, passed, evaluator)


def parameters_of(network: NetworkDeclaration) -> dict[str, nodes.Parameter]:
    """The parameters that a network takes: for an alias its own, then those of its target that it does not set."""
    result: dict[str, nodes.Parameter] = {}
    for declared in reversed(_alias_chain(network)):
        own = {parameter.name: parameter for parameter in declared.node.parameters}
        written = _match_alias_arguments(declared, result)
        result = own | {name: parameter for name, parameter in result.items() if name not in {*written, *own}}
    return result


def _alias_chain(network: NetworkDeclaration) -> list[NetworkDeclaration]:
    """The network, what it is an alias of, and so on. Raises SpecError where that has no end."""
    chain = [network]
    while isinstance(chain[-1].node, nodes.Alias):
        target = alias_target(chain[-1])
        if target in chain:
            path = " -> ".join(declared.name for declared in (*chain[chain.index(target) :], target))
            message = f"the network {network.name} is an alias without an end: {path}"
            raise fail("recursive-network", message, network.node.name.span)
        if len(chain) > MAX_ALIASES:
            message = f"the network {network.name} is an alias of more than {MAX_ALIASES} others, one of the next"
            raise fail("nesting-too-deep", message, network.node.name.span)
        chain.append(target)
    return chain


def written_network(network: NetworkDeclaration) -> nodes.Network | None:
    """The declaration with clauses that the network is, or that it is an alias of in the end. Raises SpecError."""
    node = _alias_chain(network)[-1].node
    return node if isinstance(node, nodes.Network) else None


def alias_target(network: NetworkDeclaration) -> NetworkDeclaration:
    assert isinstance(network.node, nodes.Alias)
    value = network.node.value
    name = value.callee.name if isinstance(value, nodes.Call) else value.name if isinstance(value, nodes.Name) else ""
    target = network.module.visible.get(name)
    if not isinstance(target, NetworkDeclaration):
        raise fail("unknown-name", "an alias calls a network, and this is none", value.span)
    return target


def _match_alias_arguments(
    network: NetworkDeclaration, known: Mapping[str, nodes.Parameter]
) -> dict[str, nodes.Expression]:
    """What an alias sets, of the parameters `known` that its target takes."""
    value = network.node.value if isinstance(network.node, nodes.Alias) else None
    if not isinstance(value, nodes.Call):
        return {}
    found = match_arguments(value.callee.name, list(known), value.arguments)
    return {name: argument.value for name, argument in found.items()}


def check_assert(node: nodes.Assert, scope: Scope, evaluator: Evaluator, place: Place | None) -> bool:
    """False if the assertion waits for the unit's place. Raises SpecError if it fails."""
    value = evaluator.evaluate(node.test, scope, place)
    if isinstance(value, Deferred):
        return False
    if truth(value, node.test.span):
        return True
    parts = [
        part if isinstance(part, str) else format_value(evaluator.evaluate(part, scope, place)) for part in node.message
    ]
    raise fail("assertion", "".join(parts) or "an assertion failed", node.test.span, label="this is false")


def _bind(scope: Scope, parameters: tuple[nodes.Parameter, ...], given: Mapping[str, Value]) -> None:
    for parameter in parameters:
        if parameter.name in given:
            scope.bindings[parameter.name] = given[parameter.name]
        elif parameter.default is not None:
            scope.bindings[parameter.name] = Lazy(parameter.default, scope)
        else:
            raise fail("missing-argument", f"`{parameter.name}` has no value", parameter.span)


def _bind_lets(scope: Scope, node: nodes.Unit | nodes.Network) -> None:
    for item in node.body:
        if isinstance(item, nodes.Let):
            scope.bindings[item.name] = Lazy(item.value, scope)
