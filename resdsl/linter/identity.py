"""The fix that leaves a shortcut untouched."""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice, takewhile

from resdsl.diagnostics import Edit, Fix
from resdsl.linter.shortcuts import first_operator
from resdsl.linter.subject import Group, LintedFile, LintedNetwork, Site, modules
from resdsl.network import operators as op
from resdsl.network.operators import OPERATOR_NAMES
from resdsl.network.shapes import ShapeError, branch_output, chain_output, shortcut_input
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind


def writing_identity(file: LintedFile, group: Group) -> Fix | None:
    """`identity` in the place of what stands on the group's shortcuts, if that is one operator or chain of this file.

    Where units change the shape by it, it becomes their projection. None if it cannot be left out, or stands elsewhere
    too, as a `let` may.
    """
    span = _written(file, group)
    if span is None or _stands_elsewhere(file, span):
        return None
    misfits = [each for each in file.shortcuts_at(span) if not _fits_without(*each, span)]
    if all(has_projection(file, network, site) for network, site in misfits):
        return file.replacing("write `identity`", span, "identity")
    unit = written_unit(file, group.network, group.own[0])
    clause = clause_of(unit, ClauseKind.SHORTCUT) if unit is not None else None
    if unit is None or clause is None or clause.value.span != span or clause_of(unit, ClauseKind.PROJECTION):
        return None
    if any(_holds(clause.span, comment.span) for comment in file.tree.comments):
        return None
    source, start, value = clause.span.source, clause.span.start, clause.value.span
    before, behind = Span(source, start, value.start).text, Span(source, value.end, clause.span.end).text
    indentation = " " * (source.line_column(start)[1] - 1)
    text = f"{before}identity{behind}\n{indentation}projection {value.text}{behind or ' from input'}"
    return Fix(
        "write `identity`, and a projection where the shape changes",
        (Edit(clause.span, text),),
        safe=False,
    )


def has_projection(file: LintedFile, network: LintedNetwork, site: Site) -> bool:
    """Whether the unit has a projection for where its shortcut, as the identity, would not fit."""
    unit = written_unit(file, network, site)
    if unit is None or site.unit.shortcut.projection:
        return False
    shortcut, projection = clause_of(unit, ClauseKind.SHORTCUT), clause_of(unit, ClauseKind.PROJECTION)
    return shortcut is not None and projection is not None and projection.value != shortcut.value


def written_unit(file: LintedFile, network: LintedNetwork, site: Site) -> nodes.Unit | None:
    """The declaration of a unit, in this file or one that it imports."""
    span = network.spans(f"{site.pointer}/branch")[0]
    for module in modules(file.module):
        for item in module.file.items:
            if isinstance(item, nodes.Unit) and _holds(item.span, span):
                return item
    return None


def clause_of(unit: nodes.Unit, kind: ClauseKind) -> nodes.Clause | None:
    return next((item for item in unit.body if isinstance(item, nodes.Clause) and item.kind is kind), None)


def _written(file: LintedFile, group: Group) -> Span | None:
    """The call of the group's operator, or the chain around it if all of that stands on the group's shortcuts."""
    span = group.spans[0]
    name = OPERATOR_NAMES[type(_operator(group))]
    if not file.is_here(span) or span.text.partition("(")[0].strip() != name:
        return None
    chain = file.chains.get((span.start, span.end))
    if chain is None:
        return span
    on_shortcut = {each for each, _ in group.network.on_shortcut(group.own[0])}
    return chain.span if all(link.span in on_shortcut for link in chain.links) else None


def _stands_elsewhere(file: LintedFile, span: Span) -> bool:
    """Whether a part of a network that is on no shortcut was written there."""
    first = bisect_left(file.elsewhere, (span.start, 0))
    return any(
        end <= span.end for _, end in takewhile(lambda each: each[0] <= span.end, islice(file.elsewhere, first, None))
    )


def _operator(group: Group) -> op.Operator:
    element = first_operator(group)
    assert not isinstance(element, op.Units), "shortcuts hold no units"
    return element


def _fits_without(network: LintedNetwork, site: Site, span: Span) -> bool:
    """Whether a unit's shortcut still fits without what was written there."""
    written = list(network.on_shortcut(site))
    rest = tuple(element for where, element in written if not _holds(span, where))
    try:
        return len(rest) == len(written) or chain_output(rest, shortcut_input(site.unit)) == branch_output(site.unit)
    except ShapeError:
        return False


def _holds(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end
