"""What can be said about a file before anything is evaluated: names, arguments, clauses, recursion.

All findings of a file are collected, also in units that no network uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from resdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from resdsl.semantics.arguments import match_arguments, missing_arguments, usage
from resdsl.semantics.evaluate import CALL_NAMES, VALUE_NAMES, unknown_name
from resdsl.semantics.program import Module, NetworkDeclaration, UnitDeclaration
from resdsl.semantics.signatures import INITS, PLACEMENT_CHAINS, SIGNATURES
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind
from resdsl.syntax.walk import walk

MAX_ERRORS = 20
"""About so many errors are told in one run; the search for further ones ends there."""
MAX_SHOWN_UNITS = 8


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
        if len(diagnostics) < MAX_ERRORS:
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
            if self.is_full():
                return self.diagnostics
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

    def is_full(self) -> bool:
        return len(self.diagnostics) >= MAX_ERRORS

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
            if self.is_full():
                return
            match node:
                case nodes.Name(name=name) if name not in names:
                    self.name(node, names)
                case nodes.Call():
                    self.call(node, names)
                case nodes.Overridden():
                    self.overridden(node, names)
                case _:
                    pass

    def name(self, node: nodes.Name, names: frozenset[str]) -> None:
        declared = self.module.visible.get(node.name)
        if isinstance(declared, NetworkDeclaration):
            message = f"`{node.name}` is a network, and stands where a value must"
            self.diagnostics.append(Diagnostic("wrong-value", message, node.span))
        elif isinstance(declared, UnitDeclaration):
            self.unit_arguments(declared, nodes.Call(node, (), node.span), complete=True)
        elif declared is None:
            if node.name not in VALUE_NAMES:
                self.report(unknown_name(node, self.module, names))
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
                self.report(unknown_name(node.callee, self.module, names, called=True))
        else:
            self.builtin_arguments(node)

    def builtin_arguments(self, node: nodes.Call) -> None:
        callee = node.callee.name
        signature = SIGNATURES.get(callee)
        try:
            if signature is None:
                match_arguments(
                    callee, [INITS[callee].parameter] if callee in INITS else list(PLACEMENT_CHAINS), node.arguments
                )
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
        units = [declared for declared in self.module.own.values() if isinstance(declared, UnitDeclaration)]
        for cycle in _cycles({unit: _called_units(unit) for unit in units}):
            names = [unit.name for unit in (*cycle, cycle[0])]
            shown = names if len(names) <= MAX_SHOWN_UNITS else [*names[: MAX_SHOWN_UNITS - 1], "…", names[-1]]
            message = f"the unit `{names[0]}` contains itself: {' -> '.join(shown)}"
            self.diagnostics.append(Diagnostic("recursive-unit", message, cycle[0].node.name.span))
            if self.is_full():
                return


def _called_units(unit: UnitDeclaration) -> list[UnitDeclaration]:
    """The units of the same file that stand in the unit's clauses and values."""
    called: dict[UnitDeclaration, None] = {}
    for item in unit.node.body:
        if isinstance(item, nodes.Assert):
            continue
        for node in walk(item.value):
            name = (
                node.callee.name if isinstance(node, nodes.Call) else node.name if isinstance(node, nodes.Name) else ""
            )
            declared = unit.module.own.get(name)
            if isinstance(declared, UnitDeclaration):
                called[declared] = None
    return list(called)


def _cycles(graph: Mapping[UnitDeclaration, list[UnitDeclaration]]) -> list[list[UnitDeclaration]]:
    """Ways from a unit back to itself, one for each unit that a search from the first comes back to."""
    cycles: dict[UnitDeclaration, list[UnitDeclaration]] = {}
    done: set[UnitDeclaration] = set()
    for start in graph:
        path = [start]
        steps = [iter(graph[start])] if start not in done else []
        on_path = {start}
        while steps:
            unit = next(steps[-1], None)
            if unit is None:
                steps.pop()
                left = path.pop()
                on_path.remove(left)
                done.add(left)
            elif unit in on_path:
                cycles.setdefault(unit, path[path.index(unit) :])
            elif unit not in done:
                path.append(unit)
                on_path.add(unit)
                steps.append(iter(graph[unit]))
    return list(cycles.values())
