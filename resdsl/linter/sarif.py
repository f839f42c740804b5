"""SARIF 2.1.0, the format that code hosts and editors read findings in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from resdsl._version import __version__
from resdsl.diagnostics import Edit, Fix
from resdsl.linter.rule import Rule
from resdsl.linter.table import RULES
from resdsl.linter.told import Found, Told
from resdsl.source import Span

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(found: Found, unsafe: bool) -> str:
    """A log of one run. Its rules are ours and the codes of `resdsl check` that were met."""
    codes = [told.diagnostic.code for told in found if not told.diagnostic.name]
    rules = [*(_rule(rule) for rule in RULES), *(_error(code) for code in dict.fromkeys(codes))]
    index = {str(rule["id"]): position for position, rule in enumerate(rules)}
    run = {
        "tool": {"driver": {"name": "resdsl", "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(told, index[told.diagnostic.code]) for told in found],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.page.partition("\n## ")[0].strip()},
        "help": {"text": rule.page, "markdown": rule.page},
        "defaultConfiguration": {"level": "warning"},
    }


def _error(code: str) -> dict[str, object]:
    return {
        "id": code,
        "name": code,
        "shortDescription": {"text": "An error that `resdsl check` finds, too."},
        "defaultConfiguration": {"level": "error"},
    }


def _result(told: Told, index: int) -> dict[str, object]:
    diagnostic = told.diagnostic
    lines = [diagnostic.message, *diagnostic.notes, *([f"help: {diagnostic.help}"] if diagnostic.help else [])]
    location: dict[str, object] = {"physicalLocation": _physical(told.name, diagnostic.span)}
    if diagnostic.label:
        location["message"] = {"text": diagnostic.label}
    result: dict[str, object] = {
        "ruleId": diagnostic.code,
        "ruleIndex": index,
        "level": diagnostic.severity.value,
        "message": {"text": "\n".join(lines)},
        "locations": [location],
    }
    if diagnostic.fix is not None:
        result["fixes"] = [_fix(diagnostic.fix)]
    return result


def _physical(name: str, span: Span | None) -> dict[str, object]:
    if span is None:
        return {"artifactLocation": {"uri": uri(name)}}
    return {"artifactLocation": {"uri": uri(span.source.name)}, "region": _region(span)}


def _region(span: Span) -> dict[str, object]:
    where = span.location()
    return {
        "startLine": where.line,
        "startColumn": where.column,
        "endLine": where.end_line,
        "endColumn": where.end_column,
    }


def _fix(fix: Fix) -> dict[str, object]:
    files = dict.fromkeys(edit.span.source.name for edit in fix.edits)
    changes = [
        {
            "artifactLocation": {"uri": uri(name)},
            "replacements": _replacements(edit for edit in fix.edits if edit.span.source.name == name),
        }
        for name in files
    ]
    return {"description": {"text": fix.message}, "artifactChanges": changes, "properties": {"safe": fix.safe}}


def _replacements(edits: Iterable[Edit]) -> list[dict[str, object]]:
    return [{"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}} for edit in edits]


def uri(name: str) -> str:
    """Of a file, relative to the current folder where it is in that."""
    path = os.path.abspath(name)
    here = os.getcwd()
    if Path(path).is_relative_to(here):
        return quote(os.fsencode(Path(path).relative_to(here).as_posix()))
    return Path(path).as_uri()
