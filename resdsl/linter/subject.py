"""What rules look at: a file with its networks, and in each network the units where they stand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from resdsl.diagnostics import Fix
from resdsl.linter.clean_path import Violation, violations
from resdsl.linter.edits import replacement
from resdsl.linter.suppressions import Allowed, suppressions
from resdsl.network import operators as op
from resdsl.network.network import Network
from resdsl.semantics.program import Module, NetworkDeclaration
from resdsl.source import Source, Span
from resdsl.syntax import nodes
from resdsl.syntax.walk import expressions, walk
from resdsl.theory.path_gain import Path, paths

if TYPE_CHECKING:
    from resdsl.linter.rule import Rule

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Site:
    """A run of equal units where it stands.

    pointer: of the unit in the document. section: as in `stage2`. repeats: how often the runs around it repeat it.
    nesting: how many units it stands in. path: where the path begins that it lies on, by pointer: the innermost unit with a
    shortcut around it, which passes it by, or a chain of a concat; empty for the network's own. on_path: how often the runs
    around it repeat it there.
    """

    pointer: str
    section: str
    run: op.Run
    repeats: int = 1
    nesting: int = 0
    path: str = ""
    on_path: int = 1

    @property
    def unit(self) -> op.Unit:
        return self.run.unit

    @property
    def copies(self) -> int:
        return self.run.count * self.repeats

    @property
    def length(self) -> int:
        """How many copies stand behind each other on one path."""
        return self.run.count * self.on_path


@dataclass(eq=False)
class Alike:
    """Units of one network of which the same is told, wherever that is written: what they do to the path they do together.

    measured: what rules have found out about all of them, which is many times as much work as there are places.
    """

    sites: tuple[Site, ...]
    measured: dict[object, Any] = field(default_factory=dict[object, Any])

    @cached_property
    def copies(self) -> int:
        return sum(site.copies for site in self.sites)

    @cached_property
    def path(self) -> tuple[Site, ...]:
        """Those that stand behind each other on one path; of several paths the longest."""
        paths: dict[str, list[Site]] = {}
        for site in self.sites:
            paths.setdefault(site.path, []).append(site)
        return tuple(max(paths.values(), key=lambda sites: sum(site.length for site in sites)))

    @cached_property
    def length(self) -> int:
        """How many copies stand behind each other on that path."""
        return sum(site.length for site in self.path)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Units of one network of which one place in the source says something.

    own: those units. alike: they, and those of which other places say the same.
    """

    network: LintedNetwork
    pointer: str
    own: tuple[Site, ...]
    alike: Alike

    @property
    def spans(self) -> tuple[Span, ...]:
        return self.network.spans(self.pointer)

    @property
    def unit(self) -> op.Unit:
        """The first of its own."""
        return self.own[0].unit

    @property
    def sites(self) -> tuple[Site, ...]:
        return self.alike.sites

    @property
    def copies(self) -> int:
        return self.alike.copies

    @property
    def path(self) -> tuple[Site, ...]:
        return self.alike.path

    @property
    def length(self) -> int:
        return self.alike.length

    @property
    def shortened(self) -> str:
        """` (2 behind each other)`, where not all are on one path."""
        return f" ({self.length:,} behind each other)" if self.length < self.copies else ""

    @property
    def label(self) -> str:
        """`18 of them`, where other places say the same of more."""
        return "" if len(self.own) == len(self.sites) else f"{sum(site.copies for site in self.own):,} of them"


def together(groups: list[Group], part: Callable[[op.Unit], op.Chain]) -> Iterator[Group]:
    """The groups of one network, each beside the others on its path that are alike.

    These stand in as many units, and have the same operators, whatever their arguments, in `part`.
    """
    kinds: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        kinds.setdefault((group.own[0].nesting, *map(type, part(group.unit))), []).append(group)
    alike = {
        group.pointer: each
        for members in kinds.values()
        for each in [Alike(tuple(site for member in members for site in member.own))]
        for group in members
    }
    return (replace(group, alike=alike[group.pointer]) for group in groups)


@dataclass(eq=False)
class LintedNetwork:
    """A network as it was lowered, and where its parts were written."""

    declaration: NetworkDeclaration
    network: Network
    sources: dict[str, Source]

    @property
    def name(self) -> str:
        return self.network.name

    @cached_property
    def sites(self) -> list[Site]:
        """All runs of units, those around others first."""
        return list(_sites(self.network))

    @cached_property
    def paths(self) -> list[Path]:
        return paths(self.network)

    @cached_property
    def violations(self) -> list[Violation]:
        """Where the network departs from the schema of clean paths."""
        return violations(self.network)

    def unclean(self, part: str) -> list[Site]:
        """The units whose `shortcut` or `after` the schema of clean paths refuses."""
        refused = {violation.unit for violation in self.violations if violation.part == part}
        return [site for site in self.sites if site.pointer in refused]

    def spans(self, pointer: str) -> tuple[Span, ...]:
        """Where the part was written, what brought it there, and so on; the network's name last."""
        found: list[Span] = []
        while pointer:
            location = self.network.spans.get(pointer)
            source = self.sources.get(location.file) if location else None
            if location is not None and source is not None:
                span = source.span(location)
                if span not in found:
                    found.append(span)
            pointer = pointer.rpartition("/")[0]
        return (*found, self.declaration.node.name.span)

    def on_shortcut(self, site: Site) -> Iterator[tuple[Span, op.Element]]:
        """What stands on a unit's shortcut, and where that was written."""
        for index, element in enumerate(site.unit.shortcut.chain or ()):
            yield self.spans(f"{site.pointer}/shortcut/chain/{index}")[0], element

    def grouped(self, sites: Iterable[Site], part: str) -> list[Group]:
        """The sites by where their `part` was written, as in `shortcut/chain/0`."""
        return [group for group, _ in self.grouped_parts((site, f"{site.pointer}/{part}", None) for site in sites)]

    def grouped_parts(self, parts: Iterable[tuple[Site, str, _T]]) -> list[tuple[Group, list[_T]]]:
        """The sites by where a part of theirs, given by its pointer, was written, and what was found at each.

        What an imported file says stands apart for each place of the network's own file that brings it in.
        """
        places: dict[tuple[Span, Span], list[tuple[Site, str, _T]]] = {}
        own = self.declaration.module.file.source
        for part in parts:
            spans = self.spans(part[1])
            shown = next((span for span in spans if span.source is own), spans[0])
            places.setdefault((spans[0], shown), []).append(part)
        return [
            (Group(self, members[0][1], sites, Alike(sites)), [found for _, _, found in members])
            for members in places.values()
            for sites in [tuple(site for site, _, _ in members)]
        ]


@dataclass(eq=False)
class LintedFile:
    """A file without errors.

    networks: those that need no parameters. complete: whether these are all that it has, and it has some. rules: all
    that there are. ran: those that have looked at it. used: the suppressions that they have met.
    """

    module: Module
    networks: list[LintedNetwork]
    complete: bool
    rules: tuple[Rule, ...]
    ran: set[Rule] = field(default_factory=set["Rule"])
    used: set[Allowed] = field(default_factory=set[Allowed])
    _suppressions: dict[str, list[Allowed]] = field(default_factory=dict[str, list[Allowed]])

    @property
    def tree(self) -> nodes.File:
        return self.module.file

    @property
    def source(self) -> Source:
        return self.module.file.source

    def is_here(self, span: Span) -> bool:
        return span.source is self.source

    def shown(self, spans: tuple[Span, ...]) -> Span:
        """The first of the spans that stands in this file; the first of all if none does."""
        return next((span for span in spans if self.is_here(span)), spans[0])

    @cached_property
    def chains(self) -> dict[tuple[int, int], nodes.Chain]:
        """The outermost chains, by where each of their links begins and ends."""
        found: dict[tuple[int, int], nodes.Chain] = {}
        for item in self.tree.items:
            for expression in expressions(item):
                for node in walk(expression):
                    if isinstance(node, nodes.Chain):
                        for link in node.links:
                            found.setdefault((link.span.start, link.span.end), node)
        return found

    def shortcuts_at(self, span: Span) -> list[tuple[LintedNetwork, Site]]:
        """The units of which something on the shortcut was written at this place of this file."""
        first = bisect_left(self._on_shortcuts, span.start, key=lambda each: each[0])
        found: dict[int, tuple[LintedNetwork, Site]] = {}
        for start, end, network, site in islice(self._on_shortcuts, first, None):
            if start > span.end:
                break
            if end <= span.end:
                found[id(site)] = (network, site)
        return list(found.values())

    @cached_property
    def _on_shortcuts(self) -> list[tuple[int, int, LintedNetwork, Site]]:
        """What stands on shortcuts and was written in this file, by place."""
        found = [
            (span.start, span.end, network, site)
            for network in self.networks
            for site in network.sites
            for span, _ in network.on_shortcut(site)
            if self.is_here(span)
        ]
        return sorted(found, key=lambda each: each[:2])

    @cached_property
    def elsewhere(self) -> list[tuple[int, int]]:
        """Where in this file parts of networks were written that are on no shortcut, by place."""
        return sorted(
            (span.start, span.end)
            for network in self.networks
            for pointer, location in network.network.spans.items()
            if "/shortcut" not in pointer and location.file == self.source.name
            for span in [self.source.span(location)]
        )

    def suppressions(self, source: Source) -> list[Allowed]:
        """What comments allow in this file or one that it imports: the author of a unit may have said why it is so."""
        if source.name not in self._suppressions:
            tree = next((module.file for module in modules(self.module) if module.file.source is source), None)
            self._suppressions[source.name] = suppressions(tree) if tree is not None else []
        return self._suppressions[source.name]

    def replacing(self, message: str, span: Span, text: str) -> Fix | None:
        """An unsafe fix that puts `text` in the place of what stands at `span`, if that is in this file."""
        return Fix(message, tuple(replacement(self.tree, span, text)), safe=False) if self.is_here(span) else None


def modules(module: Module) -> list[Module]:
    """A file, and all that it imports, each once."""
    found: dict[int, Module] = {}
    waiting = [module]
    while waiting:
        current = waiting.pop()
        if id(current) not in found:
            found[id(current)] = current
            waiting += current.imports
    return list(found.values())


def _sites(network: Network) -> Iterator[Site]:
    yield from _chain_sites(network.stem, _Around("/stem", "stem"))
    for index, stage in enumerate(network.stages):
        yield from _chain_sites(stage, _Around(f"/stages/{index}", f"stage{index + 1}"))
    yield from _chain_sites(network.head, _Around("/head", "head"))


@dataclass(frozen=True, slots=True)
class _Around:
    """Where a chain stands; the fields as those of a Site in it."""

    pointer: str
    section: str
    repeats: int = 1
    nesting: int = 0
    path: str = ""
    on_path: int = 1


def _chain_sites(chain: op.Chain, around: _Around) -> Iterator[Site]:
    for index, element in enumerate(chain):
        here = f"{around.pointer}/{index}"
        match element:
            case op.Units(runs=runs):
                for number, run in enumerate(runs):
                    where = f"{here}/units/{number}/unit"
                    yield Site(where, around.section, run, around.repeats, around.nesting, around.path, around.on_path)
                    yield from _chain_sites(run.unit.branch, _within(run, where, around))
            case op.Concat(chains=chains):
                for number, inner in enumerate(chains):
                    pointer = f"{here}/concat/chains/{number}"
                    yield from _chain_sites(inner, replace(around, pointer=pointer, path=pointer, on_path=1))
            case op.Partial(chain=inner):
                yield from _chain_sites(inner, replace(around, pointer=f"{here}/partial/chain"))
            case _:
                pass


def _within(run: op.Run, pointer: str, around: _Around) -> _Around:
    """In the branch of a run's unit. One with a shortcut lets the path pass it by, so in it another begins."""
    passes_by = run.unit.shortcut.chain is not None
    return _Around(
        f"{pointer}/branch",
        around.section,
        around.repeats * run.count,
        around.nesting + 1,
        pointer if passes_by else around.path,
        1 if passes_by else around.on_path * run.count,
    )
