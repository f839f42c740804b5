"""Numbers and truth values: what binary operators give."""

from __future__ import annotations

import math
from collections.abc import Callable

from resdsl.diagnostics import fail
from resdsl.semantics.values import Value, kind_of
from resdsl.source import Span
from resdsl.syntax.nodes import BinaryOperator

MAX_INTEGER = 10**18


def truth(value: Value, span: Span) -> bool:
    if not isinstance(value, bool):
        raise fail("wrong-value", f"true or false must stand here, and this is {kind_of(value)}", span)
    return value


def as_number(value: Value, span: Span) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fail("wrong-value", f"a number must stand here, and this is {kind_of(value)}", span)
    return value


def arithmetic(operator: BinaryOperator, left: int | float, right: int | float, span: Span) -> int | float | bool:
    match operator:
        case BinaryOperator.LESS:
            return left < right
        case BinaryOperator.LESS_EQUAL:
            return left <= right
        case BinaryOperator.GREATER:
            return left > right
        case BinaryOperator.GREATER_EQUAL:
            return left >= right
        case BinaryOperator.POWER if (
            isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and abs(right) > 64
        ):
            raise fail("number-too-large", f"{left} ** {right} is too large", span)
        case _:
            pass
    compute: dict[BinaryOperator, Callable[[], int | float]] = {
        BinaryOperator.ADD: lambda: left + right,
        BinaryOperator.SUBTRACT: lambda: left - right,
        BinaryOperator.MULTIPLY: lambda: left * right,
        BinaryOperator.DIVIDE: lambda: left / right,
        BinaryOperator.FLOOR_DIVIDE: lambda: left // right,
        BinaryOperator.REMAINDER: lambda: left % right,
        BinaryOperator.POWER: lambda: left**right,
    }
    try:
        result = compute[operator]()
    except ZeroDivisionError:
        raise fail("arithmetic", "this divides by zero", span) from None
    except OverflowError:
        raise fail("number-too-large", "the result is too large for a number", span) from None
    if isinstance(result, complex) or result != result:
        raise fail("arithmetic", "the result is not a number", span)
    if isinstance(result, float) and math.isinf(result):
        raise fail("number-too-large", "the result is too large for a number", span)
    if isinstance(result, int) and abs(result) > MAX_INTEGER:
        raise fail("number-too-large", f"the result has more than {len(str(MAX_INTEGER)) - 1} digits", span)
    return result
