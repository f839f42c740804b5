"""Mending a file: the fixes of its findings, applied in rounds until none is left."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from resdsl import spec as specs
from resdsl.diagnostics import Diagnostic, Edit, Fix, Severity, SpecError
from resdsl.linter.edits import applied, overlap
from resdsl.linter.run import build_networks, told
from resdsl.linter.select import Selection
from resdsl.linter.suppressions import GROUP
from resdsl.network.network import Network
from resdsl.source import Source
from resdsl.spec import Options

MAX_ROUNDS = 100
"""A text that is met again ends the rounds before, so this ends only fixes that make a file longer and longer."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A mended file. rules: how many fixes of each rule were applied, by its name. remaining: what is found now."""

    text: str
    rules: Mapping[str, int]
    remaining: list[Diagnostic]

    @property
    def applied(self) -> int:
        return sum(self.rules.values())


def fix_source(
    source: Source,
    path: Path | None,
    selection: Selection,
    options: Options,
    *,
    unsafe: bool,
    least: Severity = Severity.NOTE,
) -> Fixed:
    """The source with the safe fixes of the selected rules, or with all of them; as it is if it does not check.

    Each round applies those that do not overlap, in order of place: first what mends suppressions, which decide about
    the rest, then the safe ones, then the unsafe ones. A fix that would break the file, or a safe one that would change
    a network, is left out, and no longer among the fixes of what remains. least: what is less severe is not mended.
    """
    mending = _Mending(path, selection, options, least)
    state = mending.linted(source)
    counts: Counter[str] = Counter()
    met = {source.text}
    for _ in range(MAX_ROUNDS):
        if state.is_broken:
            break
        state, done = mending.round(state, unsafe=unsafe)
        counts.update(diagnostic.name for diagnostic in done)
        if not done or state.source.text in met:
            break
        met.add(state.source.text)
    return Fixed(state.source.text, dict(counts), [mending.without_refused(diagnostic) for diagnostic in state.found])


_Refused: TypeAlias = tuple[str, tuple[tuple[str, str, str], ...]]
"""A fix that breaks the file, however far it moves: its rule; of each edit its line, what it takes and what it puts."""


@dataclass(frozen=True, slots=True)
class _Linted:
    """A text with its networks by name and all that was found."""

    source: Source
    networks: Mapping[str, Network]
    found: list[Diagnostic]

    @property
    def is_broken(self) -> bool:
        return any(not diagnostic.name for diagnostic in self.found)


class _Mending:
    def __init__(self, path: Path | None, selection: Selection, options: Options, least: Severity) -> None:
        self.path = path
        self.selection = selection
        self.options = options
        self.least = least
        self.refused: set[_Refused] = set()

    def linted(self, source: Source) -> _Linted:
        try:
            module = specs.open_source(source, self.path, self.options)
        except SpecError as error:
            return _Linted(source, {}, list(error.diagnostics))
        file, errors = build_networks(module, self.options)
        networks = {linted.name: linted.network for linted in file.networks}
        return _Linted(source, networks, told(file, errors, self.selection))

    def round(self, before: _Linted, *, unsafe: bool) -> tuple[_Linted, list[Diagnostic]]:
        """The file after one round, and whose fixes it applied: none where nothing is left to do."""
        mendable = [diagnostic for diagnostic in before.found if self.is_applicable(before, diagnostic)]
        safe = [diagnostic for diagnostic in mendable if _fix(diagnostic).safe]
        first = [diagnostic for diagnostic in safe if diagnostic.code.startswith(GROUP)]
        wanted = _without_overlaps(first or safe or (mendable if unsafe else []))
        after = self.after(before, wanted)
        if _keeps(before, after, exactly=bool(safe)):
            return after, wanted
        after, done = before, list[Diagnostic]()
        for diagnostic in wanted:
            tried = self.after(before, [*done, diagnostic])
            if _keeps(before, tried, exactly=bool(safe)):
                after, done = tried, [*done, diagnostic]
            else:
                self.refused.add(_identity(diagnostic))
        return (after, done) if done or not wanted else self.round(before, unsafe=unsafe)

    def after(self, before: _Linted, wanted: Iterable[Diagnostic]) -> _Linted:
        edits = [edit for diagnostic in wanted for edit in _fix(diagnostic).edits]
        return self.linted(Source(before.source.name, applied(before.source.text, edits))) if edits else before

    def is_applicable(self, state: _Linted, diagnostic: Diagnostic) -> bool:
        """Whether it is severe enough and has a fix, all of it in this file, of edits that leave each other alone, and not refused."""
        if diagnostic.fix is None or not diagnostic.fix.edits or diagnostic.severity.rank < self.least.rank:
            return False
        edits = diagnostic.fix.edits
        return (
            all(edit.span.source is state.source for edit in edits)
            and not any(overlap(edit, other) for number, edit in enumerate(edits) for other in edits[:number])
            and _identity(diagnostic) not in self.refused
        )

    def without_refused(self, diagnostic: Diagnostic) -> Diagnostic:
        if diagnostic.fix is None or _identity(diagnostic) not in self.refused:
            return diagnostic
        return replace(diagnostic, fix=None)


def _fix(diagnostic: Diagnostic) -> Fix:
    assert diagnostic.fix is not None, "only findings with a fix get here"
    return diagnostic.fix


def _identity(diagnostic: Diagnostic) -> _Refused:
    edits = [(edit.span, edit.text) for edit in _fix(diagnostic).edits]
    lines = [span.source.line_text(span.source.line_column(span.start)[0]) for span, _ in edits]
    return diagnostic.name, tuple((line, span.text, text) for line, (span, text) in zip(lines, edits, strict=True))


def _without_overlaps(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Those whose fixes do not get into the way of an earlier one's."""
    taken: list[Diagnostic] = []
    edits: list[Edit] = []
    for diagnostic in diagnostics:
        wanted = _fix(diagnostic).edits
        if not any(overlap(edit, other) for edit in wanted for other in _neighbours(edits, edit)):
            taken.append(diagnostic)
            for edit in wanted:
                insort(edits, edit, key=_start)
    return taken


def _neighbours(edits: list[Edit], edit: Edit) -> list[Edit]:
    """Of edits by place that leave each other alone, the only two that an edit may meet."""
    place = bisect_left(edits, _start(edit), key=_start)
    return edits[max(0, place - 1) : place + 1]


def _start(edit: Edit) -> int:
    return edit.span.start


def _keeps(before: _Linted, after: _Linted, *, exactly: bool) -> bool:
    """Whether the file checks and has all networks that it had; `exactly`: and these are what they were."""
    if after.is_broken or not before.networks.keys() <= after.networks.keys():
        return False
    return not exactly or all(after.networks[name] == network for name, network in before.networks.items())
