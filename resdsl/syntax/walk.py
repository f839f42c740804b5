"""Walks over the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from resdsl.syntax import nodes


def expressions(item: nodes.Item) -> Iterator[nodes.Expression]:
    """All expressions of a declaration, in the order written: defaults, clauses, values, assertions."""
    match item:
        case nodes.Import():
            return
        case nodes.Let(value=value):
            yield value
            return
        case nodes.Alias(parameters=parameters, value=value):
            yield from _defaults(parameters)
            yield value
        case nodes.Unit(parameters=parameters, body=body) | nodes.Network(parameters=parameters, body=body):
            yield from _defaults(parameters)
            for part in body:
                yield from _part_expressions(part)


def _defaults(parameters: tuple[nodes.Parameter, ...]) -> Iterator[nodes.Expression]:
    return (parameter.default for parameter in parameters if parameter.default is not None)


def _part_expressions(part: nodes.BodyItem) -> Iterator[nodes.Expression]:
    match part:
        case nodes.Clause(value=value, tap=tap):
            yield value
            if tap is not None:
                yield tap
        case nodes.Let(value=value):
            yield value
        case nodes.Assert(test=test, message=message):
            yield test
            yield from (piece for piece in message if not isinstance(piece, str))


def names_in(item: nodes.Item) -> frozenset[str]:
    """All names that stand in a declaration's expressions; not those that it declares."""
    return names(expressions(item))


def names(values: Iterable[nodes.Expression]) -> frozenset[str]:
    """All names that stand in expressions, as values or as what is called."""
    found: set[str] = set()
    for value in values:
        for node in walk(value):
            match node:
                case nodes.Name(name=name) | nodes.Call(callee=nodes.Name(name=name)):
                    found.add(name)
                case _:
                    pass
    return frozenset(found)


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
