"""Linting one file: check it, let the rules look at it, leave out what its author allows."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from resdsl import spec as specs
from resdsl.diagnostics import Diagnostic, Edit, Fix, SpecError
from resdsl.linter.rule import Finding, Rule
from resdsl.linter.select import Selection
from resdsl.linter.subject import LintedFile, LintedNetwork, modules
from resdsl.linter.table import RULES
from resdsl.linter.words import listed
from resdsl.semantics.instantiate import parameters_of
from resdsl.semantics.lower import lower_network
from resdsl.semantics.program import Module
from resdsl.source import Source, Span
from resdsl.spec import Options


def lint_spec(
    spec: str | os.PathLike[str] | Source, selection: Selection, options: Options | None = None
) -> list[Diagnostic]:
    """What the selected rules find in a spec, as lint_source."""
    try:
        source, path = specs.locate(spec)
    except SpecError as error:
        return list(error.diagnostics)
    return lint_source(source, path, selection, options or Options())


def lint_source(source: Source, path: Path | None, selection: Selection, options: Options) -> list[Diagnostic]:
    """What the selected rules find in a source, by place; what `check` finds comes first, and alone in a broken file.

    path: where the source counts as standing, for its imports.
    """
    try:
        module = specs.open_source(source, path, options)
    except SpecError as error:
        return list(error.diagnostics)
    file, errors = build_networks(module, options)
    return told(file, errors, selection)


def told(file: LintedFile, errors: list[Diagnostic], selection: Selection) -> list[Diagnostic]:
    """The errors and what the selected rules find: without fixes where there are errors, for such a file stays as it is."""
    found = lint_file(file, selection)
    return [*errors, *(replace(diagnostic, fix=None) for diagnostic in found)] if errors else found


def build_networks(module: Module, options: Options) -> tuple[LintedFile, list[Diagnostic]]:
    """The file with all networks that need no parameters, and the errors of those that cannot be built."""
    sources = {each.file.source.name: each.file.source for each in modules(module)}
    networks: list[LintedNetwork] = []
    errors: dict[tuple[str, str, Span | None], Diagnostic] = {}
    complete = True
    for declaration in module.networks():
        try:
            if any(parameter.default is None for parameter in parameters_of(declaration).values()):
                complete = False
                continue
            network = lower_network(declaration, {}, options.max_units)
        except SpecError as error:
            complete = False
            for diagnostic in error.diagnostics:
                errors.setdefault((diagnostic.code, diagnostic.message, diagnostic.span), diagnostic)
            continue
        networks.append(LintedNetwork(declaration, network, sources))
    return LintedFile(module, networks, complete and bool(networks), RULES), list(errors.values())


def lint_file(file: LintedFile, selection: Selection) -> list[Diagnostic]:
    """What the selected rules find, by place, but for what is allowed there."""
    found: list[Diagnostic] = []
    for rule in RULES:
        if not selection.has(rule):
            continue
        file.ran.add(rule)
        told = [finding for finding in rule.check(file) if not _is_allowed(file, rule, finding)]
        found += _diagnostics(file, rule, told)
    return sorted(found, key=lambda diagnostic: (diagnostic.span.start if diagnostic.span else 0, diagnostic.code))


def _is_allowed(file: LintedFile, rule: Rule, finding: Finding) -> bool:
    """Whether a comment allows it, in any line where it was written or where the linted file brings it in.

    In an imported file the clause that uses a value counts with the value.
    """
    origin = finding.spans[0]
    spans = {origin, file.shown(finding.spans)}
    if not file.is_here(origin):
        spans |= {span for span in finding.spans if span.source is origin.source}
    allowed = False
    for span in spans:
        place = span.location()
        for comment in file.suppressions(span.source):
            if comment.rule in (rule.name, rule.code) and comment.speaks_of(place.line, place.end_line):
                file.used.add(comment)
                allowed = True
    return allowed


def _diagnostics(file: LintedFile, rule: Rule, findings: list[Finding]) -> list[Diagnostic]:
    """One diagnostic for each place: the most severe finding, and the names of the other networks."""
    places: dict[tuple[Span, Span], list[Finding]] = {}
    for finding in findings:
        places.setdefault((file.shown(finding.spans), finding.spans[0]), []).append(finding)
    return [_diagnostic(rule, shown, origin, group) for (shown, origin), group in places.items()]


def _diagnostic(rule: Rule, shown: Span, origin: Span, findings: list[Finding]) -> Diagnostic:
    worst = max(findings, key=lambda finding: (finding.severity.rank, finding.amount))
    notes: list[str] = []
    if origin != shown:
        notes.append(f"`{' '.join(origin.text.split())}` at {origin}")
    names = list(dict.fromkeys(finding.network.name for finding in findings if finding.network is not None))
    if worst.network is not None:
        names.remove(worst.network.name)
        notes.append(f"in {worst.network.name}" + (f"; also in {listed(names)}" if names else ""))
    return Diagnostic(
        rule.code,
        worst.message,
        shown,
        worst.label,
        tuple(notes),
        worst.help,
        worst.severity,
        rule.name,
        _joined([finding.fix for finding in findings]),
    )


def _joined(fixes: list[Fix | None]) -> Fix | None:
    """All edits of the fixes of one place: what one network needs beside it, another may need too."""
    first = fixes[0]
    if first is None or any(fix is None for fix in fixes):
        return None
    edits: dict[Edit, None] = {edit: None for fix in fixes if fix is not None for edit in fix.edits}
    return replace(first, edits=tuple(edits))
