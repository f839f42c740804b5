"""What can be said about a file before anything is evaluated: names, arguments, clauses, recursion.

All findings of a file are collected, also in units that no network uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from resdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from resdsl.semantics.evaluate import CALL_NAMES, VALUE_NAMES, match_arguments, missing_arguments, unknown_name, usage
from resdsl.semantics.program import Module, NetworkDeclaration, UnitDeclaration
from resdsl.semantics.scope import Scope
from resdsl.semantics.signatures import INITS, PLACEMENT_CHAINS, SIGNATURES
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind


def check_names(module: Module) -> list[Diagnostic]:
    """The findings in a file and, first, in those it imports."""
    diagnostics: list[Diagnostic] = []
    done: set[int] = set()

    def visit(module: Module) -> None:
        if id(module) in done:
            return
        done.add(id(module))
        for imported in module.imports:
            visit(imported)
        diagnostics.extend(_NameCheck(module).run())

    visit(module)
    return diagnostics


def check_expression(module: Module, expression: nodes.Expression) -> list[Diagnostic]:
    """The findings in an expression that stands outside of the file, as if at its end."""
    check = _NameCheck(module)
    check.expression(expression, frozenset())
    return check.diagnostics


class _NameCheck:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.diagnostics: list[Diagnostic] = []

    def run(self) -> list[Diagnostic]:
        for item in self.module.file.items:
            match item:
                case nodes.Import():
                    pass
                case nodes.Let():
                    self.expression(item.value, frozenset())
                case nodes.Alias():
                    self.alias(item)
                case nodes.Unit() | nodes.Network():
                    self.declaration(item)
        self.recursion()
        return self.diagnostics

    def report(self, error: SpecError) -> None:
        self.diagnostics += error.diagnostics

    def parameters(self, parameters: tuple[nodes.Parameter, ...]) -> frozenset[str]:
        counts = Counter(parameter.name for parameter in parameters)
        for parameter in parameters:
            if counts[parameter.name] > 1:
                self.diagnostics.append(
                    Diagnostic("declared-twice", f"the parameter `{parameter.name}` stands twice", parameter.span)
                )
                break
        return frozenset(counts)

    def alias(self, node: nodes.Alias) -> None:
        names = self.parameters(node.parameters)
        self.defaults(node.parameters, names)
        match node.value:
            case nodes.Call(callee=callee, arguments=arguments):
                target = self.module.visible.get(callee.name)
                for argument in arguments:
                    self.expression(argument.value, names)
            case nodes.Name() as callee:
                target = self.module.visible.get(callee.name)
            case _:
                callee, target = None, None
        if callee is None:
            self.diagnostics.append(
                Diagnostic("wrong-value", "an alias calls a network", node.value.span, help="write `network b = a(…)`")
            )
        elif not isinstance(target, NetworkDeclaration):
            networks = [name for name, d in self.module.visible.items() if isinstance(d, NetworkDeclaration)]
            hint = did_you_mean(callee.name, networks)
            self.diagnostics.append(
                Diagnostic("unknown-name", f"there is no network `{callee.name}`", callee.span, hint)
            )

    def defaults(self, parameters: tuple[nodes.Parameter, ...], names: frozenset[str]) -> None:
        for parameter in parameters:
            if parameter.default is not None:
                self.expression(parameter.default, names)

    def declaration(self, node: nodes.Unit | nodes.Network) -> None:
        lets = [item for item in node.body if isinstance(item, nodes.Let)]
        parameters = self.parameters(node.parameters)
        names = parameters | {let.name for let in lets}
        seen: set[str] = set(parameters)
        for let in lets:
            if let.name in seen:
                self.diagnostics.append(Diagnostic("declared-twice", f"`{let.name}` is declared twice here", let.span))
            seen.add(let.name)
        self.defaults(node.parameters, names)
        self.clauses(node)
        for item in node.body:
            match item:
                case nodes.Clause(value=value, tap=tap):
                    self.expression(value, names)
                    if tap is not None:
                        self.expression(tap, names)
                case nodes.Let(value=value):
                    self.expression(value, names)
                case nodes.Assert(test=test, message=message):
                    for part in (test, *message):
                        if not isinstance(part, str):
                            self.expression(part, names)

    def clauses(self, node: nodes.Unit | nodes.Network) -> None:
        clauses = [item for item in node.body if isinstance(item, nodes.Clause)]
        first: dict[ClauseKind, nodes.Clause] = {}
        for clause in clauses:
            if clause.kind in first and clause.kind is not ClauseKind.STAGE:
                note = f"first at {first[clause.kind].span}"
                message = f"`{clause.kind.value}` stands twice in {node.name.name}"
                self.diagnostics.append(Diagnostic("clause-twice", message, clause.span, notes=(note,)))
            first.setdefault(clause.kind, clause)
        is_unit = isinstance(node, nodes.Unit)
        needed = (ClauseKind.BRANCH, ClauseKind.SHORTCUT) if is_unit else (ClauseKind.INPUT,)
        examples = {
            ClauseKind.BRANCH: "branch conv(3x3, width)",
            ClauseKind.SHORTCUT: "shortcut identity",
            ClauseKind.INPUT: "input 3x32x32",
        }
        for kind in needed:
            if kind not in first:
                what = f"the {'unit' if is_unit else 'network'} `{node.name.name}` has no `{kind.value}`"
                help = f"write for instance `{examples[kind]}`"
                self.diagnostics.append(Diagnostic("missing-clause", what, node.name.span, help=help))

    def expression(self, expression: nodes.Expression, names: frozenset[str]) -> None:
        for node in walk(expression):
            match node:
                case nodes.Name(name=name) if name not in names:
                    self.name(node)
                case nodes.Call():
                    self.call(node, names)
                case nodes.Overridden():
                    self.overridden(node, names)
                case _:
                    pass

    def name(self, node: nodes.Name) -> None:
        declared = self.module.visible.get(node.name)
        if isinstance(declared, NetworkDeclaration):
            message = f"`{node.name}` is a network, and stands where a value must"
            self.diagnostics.append(Diagnostic("wrong-value", message, node.span))
        elif isinstance(declared, UnitDeclaration):
            self.unit_arguments(declared, nodes.Call(node, (), node.span), complete=True)
        elif declared is None:
            if node.name not in VALUE_NAMES:
                self.report(unknown_name(node, Scope(self.module)))
            elif node.name in SIGNATURES and SIGNATURES[node.name].needs_arguments():
                signature = SIGNATURES[node.name]
                missing = missing_arguments(signature, {}) or "at least one chain"
                message = f"{signature.name} needs {missing}"
                self.diagnostics.append(Diagnostic("missing-argument", message, node.span, help=usage(signature)))

    def call(self, node: nodes.Call, names: frozenset[str]) -> None:
        callee = node.callee.name
        declared = self.module.visible.get(callee)
        if callee in names:
            message = f"`{callee}` is a value and takes no arguments"
            self.diagnostics.append(Diagnostic("not-callable", message, node.callee.span))
        elif isinstance(declared, UnitDeclaration):
            self.unit_arguments(declared, node, complete=True)
        elif declared is not None:
            message = f"`{callee}` is no unit or operator, and cannot be called here"
            self.diagnostics.append(Diagnostic("not-callable", message, node.callee.span))
        elif callee not in CALL_NAMES:
            if callee in VALUE_NAMES:
                message = f"`{callee}` takes no arguments"
                self.diagnostics.append(Diagnostic("not-callable", message, node.span, help=f"write `{callee}`"))
            else:
                self.report(unknown_name(node.callee, Scope(self.module), called=True))
        else:
            self.builtin_arguments(node)

    def builtin_arguments(self, node: nodes.Call) -> None:
        callee = node.callee.name
        signature = SIGNATURES.get(callee)
        try:
            if signature is None:
                match_arguments(callee, ["gain"] if callee in INITS else list(PLACEMENT_CHAINS), node.arguments)
            elif not signature.variadic:
                positional = [p.name for p in signature.parameters if not p.keyword_only]
                names = [p.name for p in signature.parameters]
                found = match_arguments(callee, names, node.arguments, positional)
                missing = missing_arguments(signature, found)
                if missing:
                    message = f"{callee} needs {missing}"
                    self.diagnostics.append(Diagnostic("missing-argument", message, node.span, help=usage(signature)))
        except SpecError as error:
            self.report(error)

    def unit_arguments(self, unit: UnitDeclaration, node: nodes.Call, *, complete: bool) -> None:
        parameters = unit.node.parameters
        try:
            found = match_arguments(unit.name, [parameter.name for parameter in parameters], node.arguments)
        except SpecError as error:
            self.report(error)
            return
        missing = [p.name for p in parameters if p.default is None and p.name not in found]
        if complete and missing:
            names = " and ".join(f"`{name}`" for name in missing)
            signature = f"{unit.name}({', '.join(p.name for p in parameters)})"
            self.diagnostics.append(
                Diagnostic("missing-argument", f"{unit.name} needs {names}", node.span, help=signature)
            )

    def overridden(self, node: nodes.Overridden, names: frozenset[str]) -> None:
        repetition = node.repetition
        if isinstance(repetition, nodes.Binary):
            repetition = repetition.right
        callee = repetition.callee if isinstance(repetition, nodes.Call) else repetition
        if not isinstance(callee, nodes.Name) or callee.name in names:
            return
        declared = self.module.visible.get(callee.name)
        if isinstance(declared, UnitDeclaration):
            for override in node.overrides:
                self.unit_arguments(declared, nodes.Call(callee, override.arguments, override.span), complete=False)

    def recursion(self) -> None:
        for declared in self.module.own.values():
            if isinstance(declared, UnitDeclaration):
                cycle = _cycle(declared)
                if cycle:
                    path = " -> ".join([*(unit.name for unit in cycle), declared.name])
                    message = f"the unit `{declared.name}` contains itself: {path}"
                    self.diagnostics.append(Diagnostic("recursive-unit", message, declared.node.name.span))


def walk(expression: nodes.Expression) -> Iterator[nodes.Expression]:
    """The expression and all inside it, outermost first, in the order written."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def children(expression: nodes.Expression) -> tuple[nodes.Expression, ...]:
    match expression:
        case nodes.Attribute(value=value):
            return (value,)
        case nodes.Call(arguments=arguments):
            return tuple(argument.value for argument in arguments)
        case nodes.Unary(operand=operand):
            return (operand,)
        case nodes.Binary(left=left, right=right):
            return (left, right)
        case nodes.Conditional(test=test, then=then, otherwise=otherwise):
            return (then, test, otherwise)
        case nodes.Chain(links=links):
            return links
        case nodes.Overridden(repetition=repetition, overrides=overrides):
            return (repetition, *(argument.value for override in overrides for argument in override.arguments))
        case _:
            return ()


def _called_units(unit: UnitDeclaration) -> Iterator[UnitDeclaration]:
    for item in unit.node.body:
        match item:
            case nodes.Clause(value=value) | nodes.Let(value=value):
                for node in walk(value):
                    name = node.callee.name if isinstance(node, nodes.Call) else getattr(node, "name", None)
                    declared = unit.module.visible.get(name) if isinstance(name, str) else None
                    if isinstance(declared, UnitDeclaration):
                        yield declared
            case nodes.Assert():
                pass


def _cycle(start: UnitDeclaration) -> list[UnitDeclaration]:
    """A way from a unit back to itself, or an empty list."""
    pending = [[start]]
    seen: set[int] = set()
    while pending:
        path = pending.pop()
        for unit in _called_units(path[-1]):
            if unit is start:
                return path
            if id(unit) not in seen:
                seen.add(id(unit))
                pending.append([*path, unit])
    return []
