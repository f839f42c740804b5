"""Names and what they stand for, while a unit or network is evaluated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resdsl.semantics.values import Deferred, Value
from resdsl.syntax import nodes

if TYPE_CHECKING:
    from resdsl.semantics.program import Module


@dataclass(slots=True, eq=False)
class Lazy:
    """A `let` or a parameter's default: evaluated when first asked for."""

    expression: nodes.Expression
    scope: Scope
    running: bool = False


@dataclass(slots=True, eq=False)
class Scope:
    """The names of one unit or network (or of a file), over those of its file. Two scopes are never equal."""

    module: Module
    bindings: dict[str, Value | Lazy] = field(default_factory=dict[str, "Value | Lazy"])


@dataclass(slots=True)
class Place:
    """Where a unit stands: the `index`-th of `count` units; index None outside of units. `used` once asked for.

    resolved: what the values that wait for a place are here, by the ids of their expression and scope; None while one
    is found out.
    """

    index: int | None
    count: int
    used: bool = False
    resolved: dict[tuple[int, int], tuple[Deferred, Value | None]] = field(
        default_factory=dict[tuple[int, int], "tuple[Deferred, Value | None]"]
    )

    def keep(self, waiting: Deferred, value: Value) -> None:
        """Notes what a value that waits for a place is here."""
        self.resolved[id(waiting.expression), id(waiting.scope)] = waiting, value
