"""The forms in which findings are reported, and their sum. sarif.py has the longest of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from resdsl.diagnostics import Fix, Severity
from resdsl.linter.sarif import sarif
from resdsl.linter.told import Found, Told
from resdsl.linter.words import counted
from resdsl.source import Span


def text(found: Found, unsafe: bool) -> str:
    """As `resdsl check` prints it."""
    return "".join(f"{told.diagnostic.render()}\n\n" for told in found)


def concise(found: Found, unsafe: bool) -> str:
    """One line each."""
    return "".join(f"{_line(told, unsafe)}\n" for told in found)


def _line(told: Told, unsafe: bool) -> str:
    diagnostic, where = told.diagnostic, told.location
    place = f"{where.file}:{where.line}:{where.column}" if where else told.name
    kind = " ".join(word for word in (diagnostic.code, diagnostic.severity.value, diagnostic.name) if word)
    mark = "[*] " if told.is_fixable(unsafe) else ""
    return f"{place}: {kind}: {mark}{' '.join(diagnostic.message.split())}"


def json_text(found: Found, unsafe: bool) -> str:
    """An array of objects."""
    return json.dumps([_object(told) for told in found], indent=2, ensure_ascii=False) + "\n"


def _object(told: Told) -> dict[str, object]:
    diagnostic = told.diagnostic
    return {
        "code": diagnostic.code,
        "name": diagnostic.name or diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **(_place(diagnostic.span) if diagnostic.span is not None else _nowhere(told.name)),
        "label": diagnostic.label,
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "fix": _fix(diagnostic.fix) if diagnostic.fix is not None else None,
    }


def _place(span: Span) -> dict[str, object]:
    where = span.location()
    return {
        "file": where.file,
        "line": where.line,
        "column": where.column,
        "end_line": where.end_line,
        "end_column": where.end_column,
    }


def _nowhere(name: str) -> dict[str, object]:
    return {"file": name, "line": None, "column": None, "end_line": None, "end_column": None}


def _fix(fix: Fix) -> dict[str, object]:
    edits = [{**_place(edit.span), "text": edit.text} for edit in fix.edits]
    return {"message": fix.message, "safe": fix.safe, "edits": edits}


def github(found: Found, unsafe: bool) -> str:
    """Workflow commands, which GitHub shows beside the lines of a change."""
    return "".join(f"{_command(told)}\n" for told in found)


def _command(told: Told) -> str:
    diagnostic, where = told.diagnostic, told.location
    title = f"{diagnostic.name} ({diagnostic.code})" if diagnostic.name else diagnostic.code
    properties = {"title": title, "file": told.file}
    if where is not None:
        properties |= {"line": str(where.line), "col": str(where.column)}
        properties |= {"endLine": str(where.end_line), "endColumn": str(where.end_column)}
    written = ",".join(f"{key}={_escaped(value, ':', ',')}" for key, value in properties.items())
    level = "notice" if diagnostic.severity is Severity.NOTE else diagnostic.severity.value
    message = diagnostic.message + (f"\nhelp: {diagnostic.help}" if diagnostic.help else "")
    return f"::{level} {written}::{_escaped(message)}"


def _escaped(value: str, *others: str) -> str:
    for character in ("%", "\r", "\n", *others):
        value = value.replace(character, f"%{ord(character):02X}")
    return value


def statistics(found: Found) -> str:
    """How often each rule has something to say, the most frequent first."""
    kinds = Counter((told.diagnostic.code, told.diagnostic.name) for told in found)
    return "".join(f"{count:>6} {' '.join(kind).rstrip()}\n" for kind, count in kinds.most_common())


def summary(found: Found, files: int, unsafe: bool) -> str:
    """`Found 3 errors, 1 warning, 2 notes in 1 file.`, and what could be mended."""
    if not found:
        return f"All clean: {counted(files, 'file')}.\n"
    numbers = Counter(told.diagnostic.severity for told in found)
    kinds = [counted(numbers[kind], kind.value) for kind in reversed(Severity) if numbers[kind]]
    now = sum(told.is_fixable(unsafe) for told in found)
    later = sum(told.is_fixable(True) for told in found) - now
    fixable = f"[*] {now} fixable with --fix" if now else ""
    if later:
        fixable += f", {later} more with --unsafe-fixes" if now else f"{later} fixable with --fix --unsafe-fixes"
    return f"Found {', '.join(kinds)} in {counted(files, 'file')}.\n" + (f"{fixable}.\n" if fixable else "")


FORMATS: dict[str, Callable[[Found, bool], str]] = {
    "text": text,
    "concise": concise,
    "json": json_text,
    "sarif": sarif,
    "github": github,
}
