"""Stem and head as they are written, for fixes."""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Edit
from resdsl.linter.edits import removal
from resdsl.linter.subject import LintedFile, LintedNetwork
from resdsl.semantics.instantiate import written_network
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind


def written_clause(file: LintedFile, network: LintedNetwork, kind: ClauseKind) -> nodes.Clause | None:
    """The network's clause of a kind that stands once, or that of what an alias calls in the end, if it is here."""
    node = written_network(network.declaration)
    if node is None or not file.is_here(node.name.span):
        return None
    return next((item for item in node.body if isinstance(item, nodes.Clause) and item.kind is kind), None)


def sharing(file: LintedFile, network: LintedNetwork) -> list[LintedNetwork]:
    """The networks of the file that have the same clauses as this one, itself among them."""
    node = written_network(network.declaration)
    return [other for other in file.networks if written_network(other.declaration) is node]


def links(value: nodes.Expression) -> tuple[nodes.Expression, ...]:
    """What a chain joins; a value that is none, alone."""
    return value.links if isinstance(value, nodes.Chain) else (value,)


def leaving_out(file: LintedFile, chain: nodes.Chain, first: int, last: int) -> Iterator[Edit]:
    """Takes the links from `first`, which is not the chain's first, to `last` out of it."""
    source = chain.span.source
    start = chain.links[first - 1].span.end
    while not source.text.startswith("->", start) or _in_comment(file, start):
        start += 1
    line, column = source.line_column(start)
    before = source.line_text(line)[: column - 1]
    if before.strip():
        start -= len(before) - len(before.rstrip())
    yield from removal(file.tree, Span(source, start, chain.links[last].span.end))


def _in_comment(file: LintedFile, offset: int) -> bool:
    return any(comment.span.start <= offset < comment.span.end for comment in file.tree.comments)
