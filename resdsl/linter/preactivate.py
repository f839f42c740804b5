"""The fix that turns units, stem and head to full pre-activation."""

from __future__ import annotations

from resdsl.diagnostics import Edit, Fix
from resdsl.linter.subject import Group, LintedFile
from resdsl.semantics.instantiate import written_network
from resdsl.semantics.values import PLACEMENTS
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind

NORM_NAMES = ("norm", "bn", "groupnorm", "layernorm")
ACTIVATION_NAMES = ("act", "relu", "gelu", "silu", "tanh", "sigmoid")


def preactivating(file: LintedFile, group: Group) -> Fix | None:
    """`pre` in the place of the named placement that the units have, and the network's stem and head as it needs them.

    None if the placement is not written by name in this file.
    """
    span = group.spans[0]
    if span.text not in PLACEMENTS or span.text == "pre" or not file.is_here(span):
        return None
    return Fix("write `pre`, and let stem and head follow", (Edit(span, "pre"), *_ends(file, group)), safe=False)


def _ends(file: LintedFile, group: Group) -> list[Edit]:
    """Edits of the stem and the head that are written out; those that name a placement's chains follow by themselves."""
    node = _network_node(file, group)
    if node is None:
        return []
    edits: list[Edit] = []
    clauses = {item.kind: item.value for item in node.body if isinstance(item, nodes.Clause)}
    stem, head = clauses.get(ClauseKind.STEM), clauses.get(ClauseKind.HEAD)
    if isinstance(stem, nodes.Chain):
        edits += _without_norm_and_activation(stem)
    if head is not None and _names_nothing_first(head):
        edits.append(Edit(Span(head.span.source, head.span.start, head.span.start), "norm -> act -> "))
    return edits


def _network_node(file: LintedFile, group: Group) -> nodes.Network | None:
    """The declaration with the clauses of the network, if it is in this file: what an alias calls, in the end."""
    node = written_network(group.network.declaration)
    return node if node is not None and file.is_here(node.name.span) else None


def _without_norm_and_activation(stem: nodes.Chain) -> list[Edit]:
    """Leaves out the last `norm -> act`."""
    names = [_name(link) for link in stem.links]
    for index in range(len(names) - 2, 0, -1):
        if names[index] in NORM_NAMES and names[index + 1] in ACTIVATION_NAMES:
            before, last = stem.links[index - 1].span, stem.links[index + 1].span
            return [Edit(Span(before.source, before.end, last.end), "")]
    return []


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
