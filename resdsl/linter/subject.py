"""What rules look at: a file with its networks, and in each network the units where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from resdsl.analysis.path_gain import Path, paths
from resdsl.diagnostics import Edit, Fix
from resdsl.linter.clean_path import Violation, violations
from resdsl.linter.suppressions import Allowed, suppressions
from resdsl.network import operators as op
from resdsl.network.network import Network
from resdsl.semantics.program import Module, NetworkDeclaration
from resdsl.source import Source, Span
from resdsl.syntax import nodes

if TYPE_CHECKING:
    from resdsl.linter.rule import Rule


@dataclass(frozen=True, slots=True)
class Site:
    """A run of equal units where it stands.

    pointer: of the unit in the document. section: as in `stage2`. repeats: how often the runs around it repeat it.
    nesting: how many units it stands in.
    """

    pointer: str
    section: str
    run: op.Run
    repeats: int = 1
    nesting: int = 0

    @property
    def unit(self) -> op.Unit:
        return self.run.unit

    @property
    def copies(self) -> int:
        return self.run.count * self.repeats


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Units of one network of which the same place in the source says something.

    sites: those units first, then what other places say the same of: what they do to the path they do together.
    elsewhere: how many of the units are the others'.
    """

    network: LintedNetwork
    pointer: str
    sites: tuple[Site, ...]
    elsewhere: int = 0

    @property
    def spans(self) -> tuple[Span, ...]:
        return self.network.spans(self.pointer)

    @property
    def unit(self) -> op.Unit:
        """The first of them."""
        return self.sites[0].unit

    @property
    def copies(self) -> int:
        return sum(site.copies for site in self.sites)

    @property
    def label(self) -> str:
        """`18 of them`, where other places say the same of more."""
        return f"{self.copies - self.elsewhere:,} of them" if self.elsewhere else ""


def together(groups: list[Group], part: Callable[[op.Unit], op.Chain]) -> Iterator[Group]:
    """The groups of one network, each with the sites of the others on its path that are alike.

    These stand in as many units, and have the same operators, whatever their arguments, in `part`.
    """
    kinds = {group.pointer: (group.sites[0].nesting, [type(each) for each in part(group.unit)]) for group in groups}
    for group in groups:
        others = [
            site
            for other in groups
            if other is not group and kinds[other.pointer] == kinds[group.pointer]
            for site in other.sites
        ]
        elsewhere = sum(site.copies for site in others)
        yield replace(group, sites=(*group.sites, *others), elsewhere=elsewhere) if others else group


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

    def grouped(self, sites: Iterable[Site], part: str) -> list[Group]:
        """The sites by where their `part` was written, as in `shortcut/chain/0`."""
        groups: dict[Span, tuple[str, list[Site]]] = {}
        for site in sites:
            pointer = f"{site.pointer}/{part}"
            groups.setdefault(self.spans(pointer)[0], (pointer, []))[1].append(site)
        return [Group(self, pointer, tuple(members)) for pointer, members in groups.values()]


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

    def suppressions(self, source: Source) -> list[Allowed]:
        """What comments allow in this file or one that it imports: the author of a unit may have said why it is so."""
        if source.name not in self._suppressions:
            tree = next((module.file for module in modules(self.module) if module.file.source is source), None)
            self._suppressions[source.name] = suppressions(tree) if tree is not None else []
        return self._suppressions[source.name]

    def replacing(self, message: str, span: Span, text: str) -> Fix | None:
        """An unsafe fix that puts `text` in the place of what stands at `span`, if that is in this file."""
        return Fix(message, (Edit(span, text),), safe=False) if self.is_here(span) else None


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
    yield from _chain_sites(network.stem, "/stem", "stem", 1, 0)
    for index, stage in enumerate(network.stages):
        yield from _chain_sites(stage, f"/stages/{index}", f"stage{index + 1}", 1, 0)
    yield from _chain_sites(network.head, "/head", "head", 1, 0)


def _chain_sites(chain: op.Chain, pointer: str, section: str, repeats: int, nesting: int) -> Iterator[Site]:
    for index, element in enumerate(chain):
        here = f"{pointer}/{index}"
        match element:
            case op.Units(runs=runs):
                for number, run in enumerate(runs):
                    where = f"{here}/units/{number}/unit"
                    yield Site(where, section, run, repeats, nesting)
                    inside = repeats * run.count
                    yield from _chain_sites(run.unit.branch, f"{where}/branch", section, inside, nesting + 1)
            case op.Concat(chains=chains):
                for number, inner in enumerate(chains):
                    yield from _chain_sites(inner, f"{here}/concat/chains/{number}", section, repeats, nesting)
            case op.Partial(chain=inner):
                yield from _chain_sites(inner, f"{here}/partial/chain", section, repeats, nesting)
            case _:
                pass
