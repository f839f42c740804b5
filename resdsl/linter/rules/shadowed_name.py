"""A declaration that takes the name of something else.

Operators, placements and the like are not reserved: a unit, a `let` or a parameter of the same name takes over, in the
whole file or in its unit or network. Whoever reads `bn` or `count` there takes it for what it is everywhere else.

Words that only open clauses, as `shortcut` or `first`, mean nothing of their own and may name anything. A parameter
called `norm` or `act` is no surprise, unless its unit has a placement and no clause `act act`: what the placement adds
follows the setting and not the parameter. Nor is one called `input` that the clause `input` reads.

## Severity

A warning where one can be taken for the other without an error: a unit; and a parameter or `let` of the same kind of
value, or of one that is not written. A note where every such mistake is an error: a number called `dropout`, a network
called `pre`. A note too where a parameter, or a `let` in a body, takes the name of a unit or `let` of the file.

## Example

```resnet
resnet 1

let bn = groupnorm(4)

unit basic(width) {
    placement pre
    branch    conv(3x3, width) -> conv(3x3, width)
    shortcut  identity
}

network small {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 3 * basic(16)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit basic(width) {
    placement pre
    branch    conv(3x3, width) -> conv(3x3, width)
    shortcut  identity
}

network small {
    norm  groupnorm(4)
    input 3x32x32
    stem  conv(3x3, 16)
    stage 3 * basic(16)
    head  norm -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from resdsl.diagnostics import Severity
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.semantics.evaluate import PLACE_NAMES, TAPS
from resdsl.semantics.program import LetDeclaration, Module, UnitDeclaration
from resdsl.semantics.signatures import INITS, SIGNATURES
from resdsl.semantics.values import PLACEMENTS
from resdsl.syntax import nodes
from resdsl.syntax.nodes import BinaryOperator, ClauseKind, UnaryOperator
from resdsl.syntax.walk import names


class Kind(Enum):
    """What a name stands for."""

    CHAIN = "an operator"
    PLACEMENT = "a placement"
    TAP = "what a shortcut reads"
    INIT = "an initialisation"
    NUMBER = "a unit's place"
    OTHER = "a size or a truth value"


MEANINGS: dict[str, Kind] = (
    dict.fromkeys((*SIGNATURES, "identity", "none", "norm", "act"), Kind.CHAIN)
    | dict.fromkeys((*PLACEMENTS, "at"), Kind.PLACEMENT)
    | dict.fromkeys(TAPS, Kind.TAP)
    | dict.fromkeys((*INITS, "zero"), Kind.INIT)
    | dict.fromkeys(PLACE_NAMES, Kind.NUMBER)
)
"""All names with a meaning of their own."""
ONLY_CALLED = {
    *(name for name, signature in SIGNATURES.items() if signature.needs_arguments()),
    *(name for name, signature in INITS.items() if signature.default is None),
    "at",
}
"""Those that cannot stand without arguments, so that no value can be taken for them."""
ARITHMETIC = {
    BinaryOperator.ADD,
    BinaryOperator.SUBTRACT,
    BinaryOperator.MULTIPLY,
    BinaryOperator.DIVIDE,
    BinaryOperator.FLOOR_DIVIDE,
    BinaryOperator.REMAINDER,
    BinaryOperator.POWER,
}


def check(file: LintedFile) -> Iterator[Finding]:
    for item in file.tree.items:
        match item:
            case nodes.Import():
                pass
            case nodes.Let(name=name):
                if name in MEANINGS:
                    yield _value(item, f"the `let` `{name}`", item.value, file.module)
            case nodes.Unit(name=name):
                if name.name in MEANINGS:
                    yield _finding(Severity.WARNING, name, f"the unit `{name.name}`")
                yield from _inside(item, file.module)
            case nodes.Network(name=name) | nodes.Alias(name=name):
                if name.name in MEANINGS:
                    yield _finding(Severity.NOTE, name, f"the network `{name.name}`")
                yield from _inside(item, file.module)


def _inside(item: nodes.Unit | nodes.Network | nodes.Alias, module: Module) -> Iterator[Finding]:
    """About the parameters of a declaration and the `let`s in it."""
    body = () if isinstance(item, nodes.Alias) else item.body
    clauses = {part.kind: part for part in body if isinstance(part, nodes.Clause)}
    for node in (*item.parameters, *(part for part in body if isinstance(part, nodes.Let))):
        is_parameter = isinstance(node, nodes.Parameter)
        what = f"the {'parameter' if is_parameter else '`let`'} `{node.name}` of {item.name.name}"
        match node.name:
            case "norm" | "act":
                if ClauseKind.PLACEMENT in clauses and ClauseKind(node.name) not in clauses:
                    message = f"{what} is not what the placement adds: that follows the setting `{node.name}`"
                    help = f"add `{node.name} {node.name}`, or rename it"
                    yield Finding(Severity.NOTE, message, (node.span,), help=help)
            case "input" if ClauseKind.INPUT in clauses and "input" in names([clauses[ClauseKind.INPUT].value]):
                pass
            case name if name in MEANINGS:
                yield _value(node, what, node.default if is_parameter else node.value, module)
            case name:
                declared = module.visible.get(name)
                if isinstance(declared, UnitDeclaration | LetDeclaration):
                    kind = "a unit" if isinstance(declared, UnitDeclaration) else "a `let`"
                    where = "this file" if declared.module is module else declared.module.file.source.name
                    message = f"{what} takes the name of {kind} of {where}"
                    yield Finding(Severity.NOTE, message, (node.span,), help="rename one of them")


def _value(node: nodes.Parameter | nodes.Let, what: str, value: nodes.Expression | None, module: Module) -> Finding:
    """About a `let` or parameter with the name of something else; `value`: what it is, if that is written."""
    kind = None if value is None else _kind(value, module)
    can_be_mistaken = node.name not in ONLY_CALLED and kind in (None, MEANINGS[node.name])
    return _finding(Severity.WARNING if can_be_mistaken else Severity.NOTE, node, what)


def _finding(severity: Severity, node: nodes.Name | nodes.Parameter | nodes.Let, what: str) -> Finding:
    return Finding(severity, f"{what} takes the name of {MEANINGS[node.name].value}", (node.span,), help="rename it")


def _kind(value: nodes.Expression, module: Module) -> Kind | None:
    """What an expression gives, as far as its form says."""
    match value:
        case nodes.Integer() | nodes.Float() | nodes.Unary(operator=UnaryOperator.PLUS | UnaryOperator.MINUS):
            return Kind.NUMBER
        case nodes.Boolean() | nodes.Size() | nodes.Unary():
            return Kind.OTHER
        case nodes.Name(name=name) | nodes.Call(callee=nodes.Name(name=name)):
            return Kind.CHAIN if isinstance(module.visible.get(name), UnitDeclaration) else MEANINGS.get(name)
        case nodes.Chain() | nodes.Overridden() | nodes.Attribute():
            return Kind.CHAIN
        case nodes.Conditional(then=then):
            return _kind(then, module)
        case nodes.Binary(operator=operator, right=right):
            return _kind(right, module) if operator in ARITHMETIC else Kind.OTHER
