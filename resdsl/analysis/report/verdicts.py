"""What the linter says of one network, with what its file's comments allow."""

from __future__ import annotations

import os
from dataclasses import dataclass

from resdsl import spec as specs
from resdsl.api import Spec
from resdsl.diagnostics import Severity, SpecError
from resdsl.linter.run import lint_file
from resdsl.linter.select import selection
from resdsl.linter.subject import LintedFile, LintedNetwork, modules
from resdsl.linter.table import RULES
from resdsl.network.network import Network
from resdsl.source import Span
from resdsl.spec import Options

EVERY = selection(None, (), RULES)


@dataclass(frozen=True, slots=True)
class Verdict:
    """places: as in `my.resnet:7:5`. allowed: comments in the file allow it, so that `resdsl lint` does not tell it."""

    severity: Severity
    code: str
    name: str
    message: str
    help: str
    places: tuple[str, ...]
    allowed: bool


def verdicts(spec: Spec, built: Network, network: str | None, options: Options) -> list[Verdict] | None:
    """The most severe first; None for a document, which has no source to lint.

    built: what the spec and that network's name make, with any parameters. Rules about the file as a whole, such as those about unused names, do not speak.
    """
    try:
        module = specs.open_spec(spec, options)
    except SpecError:  # the network could be built
        return None
    sources = {each.file.source.name: each.file.source for each in modules(module)}
    subject = LintedNetwork(specs.choose_network(module, network), built, sources)
    file = LintedFile(module, [subject], False, RULES)
    found = lint_file(file, EVERY)
    places: dict[tuple[str, str], dict[str, None]] = {}
    for diagnostic in found:
        places.setdefault((diagnostic.code, diagnostic.message), {})[_place(diagnostic.span)] = None
    told = {(diagnostic.code, diagnostic.message): diagnostic for diagnostic in found}
    result = [
        Verdict(each.severity, each.code, each.name, each.message, each.help, tuple(places[key]), False)
        for key, each in told.items()
    ]
    met = {comment.rule for comment in file.used}
    for rule in RULES:
        findings = (
            [each for each in rule.check(file) if each.network is subject] if met & {rule.code, rule.name} else []
        )
        if findings and rule.code not in {verdict.code for verdict in result}:
            worst = max(findings, key=lambda finding: (finding.severity.rank, finding.amount))
            place = _place(file.shown(worst.spans))
            result.append(Verdict(worst.severity, rule.code, rule.name, worst.message, worst.help, (place,), True))
    return sorted(result, key=lambda verdict: -verdict.severity.rank)


def _place(span: Span | None) -> str:
    """Without the folders, which are the machine's."""
    if span is None:
        return ""
    line, column = span.source.line_column(span.start)
    return f"{os.path.basename(span.source.name)}:{line}:{column}"
