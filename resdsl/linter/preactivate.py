"""The fix that turns units, stem and head to full pre-activation."""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Edit, Fix
from resdsl.linter.main_path import End, ends
from resdsl.linter.subject import Group, LintedFile, LintedNetwork
from resdsl.linter.written_ends import leaving_out, sharing, written_clause
from resdsl.network.operators import ACTIVATIONS, NORMS, OPERATOR_NAMES
from resdsl.semantics.values import PLACEMENTS, Setting
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind

NORM_NAMES = (Setting.NORM.value, *(OPERATOR_NAMES[kind] for kind in NORMS))
ACTIVATION_NAMES = (Setting.ACT.value, *(OPERATOR_NAMES[kind] for kind in ACTIVATIONS))


def preactivating(file: LintedFile, group: Group) -> Fix | None:
    """`pre` in the place of the named placement that the units have, and the network's stem and head as it needs them.

    The stem belongs to the first unit of the stages, the head to the last: one whose unit keeps its placement stays.
    None if the placement is not written by name in this file, or if an end to edit is also that of another network,
    whose unit there keeps its placement.
    """
    span = group.spans[0]
    if span.text not in PLACEMENTS or span.text == "pre" or not file.is_here(span):
        return None
    found = [path for network in sharing(file, group.network) if (path := _turned_ends(network, span)) is not None]
    edits = [Edit(span, "pre")]
    for wanted, turned in (
        (_stem(file, group), {first for first, _ in found}),
        (_head(file, group), {last for _, last in found}),
    ):
        if wanted and len(turned) > 1:
            return None
        edits += wanted if turned == {True} else []
    return Fix("write `pre`, and let stem and head follow", tuple(edits), safe=False)


def _turned_ends(network: LintedNetwork, span: Span) -> tuple[bool, bool] | None:
    """Whether the first and the last unit of the stages have their placement from there; None if no unit stands there."""
    path = ends(network.network)
    return (_is_turned(network, path.first, span), _is_turned(network, path.last, span)) if path is not None else None


def _is_turned(network: LintedNetwork, end: End, span: Span) -> bool:
    """Whether that is what stands behind a unit's addition, or in its branch if nothing stands there."""
    part, where = f"{end.pointer}/{'after/' if end.unit.after else ''}", span.location()
    return any(location == where and pointer.startswith(part) for pointer, location in network.network.spans.items())


def _stem(file: LintedFile, group: Group) -> list[Edit]:
    """Edits of a stem that is written out; one that names a placement's chain follows by itself."""
    stem = written_clause(file, group.network, ClauseKind.STEM)
    if stem is None or not isinstance(stem.value, nodes.Chain):
        return []
    return list(_without_norm_and_activation(file, stem.value))


def _head(file: LintedFile, group: Group) -> list[Edit]:
    """Edits of a head that is written out, as _stem."""
    head = written_clause(file, group.network, ClauseKind.HEAD)
    if head is None or not _names_nothing_first(head.value):
        return []
    start = head.value.span.start
    return [Edit(Span(head.span.source, start, start), "norm -> act -> ")]


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
