"""The fix that turns units, stem and head to full pre-activation."""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Edit, Fix
from resdsl.linter.subject import Group, LintedFile
from resdsl.linter.written_ends import leaving_out, sharing, written_clause
from resdsl.semantics.values import PLACEMENTS
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind

NORM_NAMES = ("norm", "bn", "groupnorm", "layernorm")
ACTIVATION_NAMES = ("act", "relu", "gelu", "silu", "tanh", "sigmoid")


def preactivating(file: LintedFile, group: Group) -> Fix | None:
    """`pre` in the place of the named placement that the units have, and the network's stem and head as it needs them.

    None if the placement is not written by name in this file, or if stem and head are also those of another network,
    whose units have another placement.
    """
    span = group.spans[0]
    if span.text not in PLACEMENTS or span.text == "pre" or not file.is_here(span):
        return None
    edits = _ends(file, group)
    where = span.location()
    if edits and not all(where in other.network.spans.values() for other in sharing(file, group.network)):
        return None
    return Fix("write `pre`, and let stem and head follow", (Edit(span, "pre"), *edits), safe=False)


def _ends(file: LintedFile, group: Group) -> list[Edit]:
    """Edits of the stem and the head that are written out; those that name a placement's chains follow by themselves."""
    edits: list[Edit] = []
    stem, head = (written_clause(file, group.network, kind) for kind in (ClauseKind.STEM, ClauseKind.HEAD))
    if stem is not None and isinstance(stem.value, nodes.Chain):
        edits += _without_norm_and_activation(file, stem.value)
    if head is not None and _names_nothing_first(head.value):
        start = head.value.span.start
        edits.append(Edit(Span(head.span.source, start, start), "norm -> act -> "))
    return edits


def _without_norm_and_activation(file: LintedFile, stem: nodes.Chain) -> Iterator[Edit]:
    """Leaves out the last `norm -> act`."""
    names = [_name(link) for link in stem.links]
    for index in range(len(names) - 2, 0, -1):
        if names[index] in NORM_NAMES and names[index + 1] in ACTIVATION_NAMES:
            yield from leaving_out(file, stem, index, index + 1)
            return


def _names_nothing_first(head: nodes.Expression) -> bool:
    first = head.links[0] if isinstance(head, nodes.Chain) else head
    return _name(first) not in (*NORM_NAMES, *ACTIVATION_NAMES) and not isinstance(first, nodes.Attribute)


def _name(expression: nodes.Expression) -> str:
    match expression:
        case nodes.Name(name=name):
            return name
        case nodes.Call(callee=callee):
            return callee.name
        case _:
            return ""
