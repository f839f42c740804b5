"""Tree to text: the canonical form of a file.

For every tree that the parser can make, parsing the text gives an equal tree. Parentheses stand only where that needs
them. Comments are dropped: a formatter that keeps them must weave them in by their spans.
"""

from __future__ import annotations

from enum import IntEnum
from typing import assert_never

from resdsl.syntax import nodes
from resdsl.syntax.nodes import BinaryOperator, UnaryOperator

MAX_LINE = 110
"""Longer chains and lists of parameters are broken, and nothing else is."""
INDENT = "    "


class _Level(IntEnum):
    """The rules of the grammar for expressions, by how tightly they bind, loosest first."""

    CHAIN = 0
    OVERRIDDEN = 1
    CONDITIONAL = 2
    DISJUNCTION = 3
    CONJUNCTION = 4
    NEGATION = 5
    COMPARISON = 6
    SUM = 7
    PRODUCT = 8
    SIGN = 9
    POWER = 10
    POSTFIX = 11
    ATOM = 12


_SUM = (_Level.SUM, _Level.SUM, _Level.PRODUCT)
_PRODUCT = (_Level.PRODUCT, _Level.PRODUCT, _Level.SIGN)
_COMPARISON = (_Level.COMPARISON, _Level.SUM, _Level.SUM)
_BINARY: dict[BinaryOperator, tuple[_Level, _Level, _Level]] = {
    BinaryOperator.ADD: _SUM,
    BinaryOperator.SUBTRACT: _SUM,
    BinaryOperator.MULTIPLY: _PRODUCT,
    BinaryOperator.DIVIDE: _PRODUCT,
    BinaryOperator.FLOOR_DIVIDE: _PRODUCT,
    BinaryOperator.REMAINDER: _PRODUCT,
    BinaryOperator.POWER: (_Level.POWER, _Level.POSTFIX, _Level.SIGN),
    BinaryOperator.EQUAL: _COMPARISON,
    BinaryOperator.NOT_EQUAL: _COMPARISON,
    BinaryOperator.LESS: _COMPARISON,
    BinaryOperator.LESS_EQUAL: _COMPARISON,
    BinaryOperator.GREATER: _COMPARISON,
    BinaryOperator.GREATER_EQUAL: _COMPARISON,
    BinaryOperator.AND: (_Level.CONJUNCTION, _Level.CONJUNCTION, _Level.NEGATION),
    BinaryOperator.OR: (_Level.DISJUNCTION, _Level.DISJUNCTION, _Level.CONJUNCTION),
}
"""The level of each operator, and the least levels of its left and right side."""


def print_file(file: nodes.File) -> str:
    """The file as text, a blank line between items, a line break at the end."""
    return "\n\n".join([f"resnet {file.version}", *map(_item, file.items)]) + "\n"


def print_expression(expression: nodes.Expression) -> str:
    """The expression on one line."""
    return _at(expression, _Level.CHAIN)


def _item(item: nodes.Item) -> str:
    match item:
        case nodes.Import(path=path):
            return f'import "{path}"'
        case nodes.Unit(body=body):
            return f"{_doc(item.doc)}{_header('unit', item)} {_body(body)}"
        case nodes.Network(body=body):
            return f"{_doc(item.doc)}{_header('network', item)} {_body(body)}"
        case nodes.Alias(value=value):
            return _doc(item.doc) + _line(f"{_header('network', item)} = ", value)
        case nodes.Let():
            return _let(item, "")
    assert_never(item)


def _doc(doc: str) -> str:
    """The docstring and a line break; on lines of its own where a quote would touch those around it."""
    if not doc:
        return ""
    if "\n" in doc or doc.startswith('"') or doc.endswith('"'):
        return f'"""\n{doc}\n"""\n'
    return f'"""{doc}"""\n'


def _header(word: str, item: nodes.Unit | nodes.Network | nodes.Alias) -> str:
    if not item.parameters:
        return f"{word} {item.name.name}"
    parameters = [
        parameter.name if parameter.default is None else f"{parameter.name} = {print_expression(parameter.default)}"
        for parameter in item.parameters
    ]
    line = f"{word} {item.name.name}({', '.join(parameters)})"
    if len(line) <= MAX_LINE:
        return line
    lines = _filled([f"{parameter}," for parameter in parameters], len(INDENT))
    return "\n".join([f"{word} {item.name.name}(", *(f"{INDENT}{line}" for line in lines), ")"])


def _body(body: tuple[nodes.BodyItem, ...]) -> str:
    width = max((len(item.kind.value) for item in body if isinstance(item, nodes.Clause)), default=0)
    return "\n".join(["{", *(_body_item(item, width) for item in body), "}"])


def _body_item(item: nodes.BodyItem, width: int) -> str:
    match item:
        case nodes.Clause(kind=kind, value=value, tap=tap):
            suffix = "" if tap is None else f" from {print_expression(tap)}"
            return _line(f"{INDENT}{kind.value:<{width}} ", value, suffix)
        case nodes.Let():
            return _let(item, INDENT)
        case nodes.Assert(test=test, message=message):
            parts = (part if isinstance(part, str) else f"{{{print_expression(part)}}}" for part in message)
            return f'{INDENT}assert {print_expression(test)}, "{"".join(parts)}"'
    assert_never(item)


def _let(let: nodes.Let, indent: str) -> str:
    return _line(f"{indent}let {let.name} = ", let.value)


def _line(prefix: str, value: nodes.Expression, suffix: str = "") -> str:
    """All on one line; where that is too long and the value a chain, its lines begin under each other, with `->`."""
    line = f"{prefix}{print_expression(value)}{suffix}"
    if _width(line) <= MAX_LINE or not isinstance(value, nodes.Chain):
        return line
    first, *others = (_at(link, _Level.OVERRIDDEN) for link in value.links)
    others[-1] += suffix
    column = _width(prefix)
    return prefix + f"\n{' ' * column}".join(_filled([first, *(f"-> {link}" for link in others)], column))


def _width(text: str) -> int:
    """Of the text's last line."""
    return len(text) - text.rfind("\n") - 1


def _filled(pieces: list[str], column: int) -> list[str]:
    """The pieces on as few lines as hold them, when these begin at `column`; at least one piece a line."""
    lines = pieces[:1]
    for piece in pieces[1:]:
        if column + len(lines[-1]) + 1 + len(piece) <= MAX_LINE:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines


def _at(expression: nodes.Expression, least: _Level) -> str:
    """The expression where the grammar wants one that binds as tightly as `least`."""
    level, text = _leveled(expression)
    return text if level >= least else f"({text})"


def _leveled(expression: nodes.Expression) -> tuple[_Level, str]:
    match expression:
        case nodes.Integer(value=value):
            return _Level.ATOM, str(value)
        case nodes.Float(value=value):
            return _Level.ATOM, repr(value)
        case nodes.Boolean(value=value):
            return _Level.ATOM, "true" if value else "false"
        case nodes.Size(values=values):
            return _Level.ATOM, "x".join(map(str, values))
        case nodes.Name(name=name):
            return _Level.ATOM, name
        case nodes.Attribute(value=value, name=name):
            text = _at(value, _Level.POSTFIX)
            return _Level.POSTFIX, f"({text}).{name}" if isinstance(value, nodes.Integer) else f"{text}.{name}"
        case nodes.Call(callee=callee, arguments=arguments):
            return _Level.ATOM, f"{callee.name}{_arguments(arguments)}"
        case nodes.Unary(operator=UnaryOperator.NOT, operand=operand):
            return _Level.NEGATION, f"not {_at(operand, _Level.NEGATION)}"
        case nodes.Unary(operator=operator, operand=operand):
            return _Level.SIGN, f"{operator.value}{_at(operand, _Level.SIGN)}"
        case nodes.Binary(operator=operator, left=left, right=right):
            level, least_left, least_right = _BINARY[operator]
            return level, f"{_at(left, least_left)} {operator.value} {_at(right, least_right)}"
        case nodes.Conditional(test=test, then=then, otherwise=otherwise):
            chosen, condition = _at(then, _Level.DISJUNCTION), _at(test, _Level.DISJUNCTION)
            return _Level.CONDITIONAL, f"{chosen} if {condition} else {_at(otherwise, _Level.CONDITIONAL)}"
        case nodes.Chain(links=links):
            return _Level.CHAIN, " -> ".join(_at(link, _Level.OVERRIDDEN) for link in links)
        case nodes.Overridden(repetition=repetition, overrides=overrides):
            words = (f" {'first' if part.is_first else 'last'}{_arguments(part.arguments)}" for part in overrides)
            return _Level.OVERRIDDEN, _at(repetition, _Level.CONDITIONAL) + "".join(words)
    assert_never(expression)


def _arguments(arguments: tuple[nodes.Argument, ...]) -> str:
    texts: list[str] = []
    for argument in arguments:
        name = "" if argument.name is None else f"{argument.name} = "
        texts.append(name + print_expression(argument.value))
    return f"({', '.join(texts)})"
