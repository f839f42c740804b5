"""`[tool.resdsl.lint]`: which one holds for a file, what it may hold, what the command line makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.linter.config import Asked, Configurations, selection_for
from resdsl.linter.patterns import covers, is_pattern, literal_folder, matches
from resdsl.linter.select import selection
from resdsl.linter.table import BY_NAME, RULES

SCALE, AFTER, LET = (BY_NAME[code] for code in ("SC001", "AD001", "HY004"))


NOTHING = Asked()


def ask(select: tuple[str, ...] | None = None, ignore: tuple[str, ...] = ()) -> Asked:
    """As the command line does."""
    return Asked(selection(select, ignore, RULES), select is not None)


def configure(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def codes(path: Path, asked: Asked = NOTHING, *, isolated: bool = False) -> set[str]:
    """The rules for a file."""
    configuration = Configurations(isolated).of(path.parent)
    selection = selection_for(path, configuration, asked)
    return {rule.code for rule in RULES if selection.has(rule)}


ALL = {rule.code for rule in RULES}


def test_the_nearest_table_holds(tmp_path: Path) -> None:
    configure(tmp_path, '[tool.resdsl.lint]\nselect = ["SC001"]\n')
    configure(tmp_path / "other", "[tool.black]\nline-length = 100\n")
    configure(tmp_path / "inner", '[tool.resdsl.lint]\nignore = ["SC001"]\n')
    assert codes(tmp_path / "a.resnet") == {"SC001"}
    assert codes(tmp_path / "plain" / "deep" / "a.resnet") == {"SC001"}
    assert codes(tmp_path / "other" / "a.resnet") == {"SC001"}, "a pyproject.toml without the table is passed by"
    assert codes(tmp_path / "inner" / "a.resnet") == ALL - {"SC001"}, "tables are not merged"
    assert codes(tmp_path / "inner" / "a.resnet", isolated=True) == ALL


def test_each_folder_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, '[tool.resdsl.lint]\nselect = ["SC001"]\n')
    configurations = Configurations()
    first = configurations.of(tmp_path / "a" / "b")
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} is read again"))
    assert configurations.of(tmp_path / "a" / "b") is first
    assert configurations.of(tmp_path / "a") is first


def test_a_relative_folder_is_that_of_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, '[tool.resdsl.lint]\nselect = ["SC001"]\n')
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert codes(Path("a.resnet")) == {"SC001"}
    assert codes(Path("../a.resnet")) == {"SC001"}


def test_rules_of_single_files(tmp_path: Path) -> None:
    table = '"ablations/*" = ["SC", "AD001"]\n"old_*.resnet" = ["ALL"]\n"legacy" = ["HY004"]\n'
    configure(tmp_path, f"[tool.resdsl.lint.per-file-ignores]\n{table}")
    group = {code for code in ALL if code.startswith("SC")}
    assert codes(tmp_path / "a.resnet") == ALL
    assert codes(tmp_path / "ablations" / "a.resnet") == ALL - group - {"AD001"}
    assert codes(tmp_path / "ablations" / "deep" / "a.resnet") == ALL - group - {"AD001"}
    assert codes(tmp_path / "some" / "ablations" / "a.resnet") == ALL
    assert codes(tmp_path / "some" / "old_a.resnet") == set()
    assert codes(tmp_path / "some" / "legacy" / "a.resnet") == ALL - {"HY004"}


def test_the_command_line_wins(tmp_path: Path) -> None:
    text = 'select = ["SC001", "AD001"]\nignore = ["HY"]\nper-file-ignores = {"b.resnet" = ["SC001"]}\n'
    configure(tmp_path, f"[tool.resdsl.lint]\n{text}")
    a, b = tmp_path / "a.resnet", tmp_path / "b.resnet"
    assert codes(a) == {"SC001", "AD001"}
    assert codes(a, ask(("HY004",))) == {"HY004"}, "--select replaces select and ignore"
    assert codes(a, ask(ignore=("shortcut",))) == {"AD001"}, "--ignore adds, and beats the file's exact name"
    assert codes(a, ask(("SC001", "HY004"), ("HY",))) == {"SC001", "HY004"}, "the more exact of two wins"
    assert codes(b, ask(("SC001", "HY004"))) == {"HY004"}, "what is ignored in one file stays ignored"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[tool.resdsl.lint\n", "configuration", ("is not TOML", "line 1")),
        ("[tool.resdsl.lint]\nselect = 'SC001'\n", "configuration", ("`select` must be a list of texts",)),
        ("[tool.resdsl.lint]\nignore = [1]\n", "configuration", ("`ignore` must be a list of texts",)),
        ("[tool.resdsl.lint]\nselct = []\n", "configuration", ("no key `selct`", "did you mean `select`?")),
        ("[tool.resdsl.lint]\nzzz = []\n", "configuration", ("it may hold select, ignore, exclude, per-file-ignores",)),
        ("[tool.resdsl.lnt]\n", "configuration", ("[tool.resdsl] has no key `lnt`", "did you mean `lint`?")),
        ("[tool]\nresdsl = 3\n", "configuration", ("`tool.resdsl` must be a table",)),
        ("[tool.resdsl]\nlint = []\n", "configuration", ("`tool.resdsl.lint` must be a table",)),
        ("[tool.resdsl.lint]\nper-file-ignores = ['a']\n", "configuration", ("`per-file-ignores` must be a table",)),
        (
            "[tool.resdsl.lint.per-file-ignores]\n'a*' = 'SC001'\n",
            "configuration",
            ("`per-file-ignores.a*` must be a list",),
        ),
        ("[tool.resdsl.lint]\nselect = ['sc001']\n", "unknown-rule", ("no rule 'sc001'", "did you mean `SC001`?")),
        ("[tool.resdsl.lint]\nignore = ['shortcut-scal']\n", "unknown-rule", ("did you mean `shortcut-scale`?",)),
        ("[tool.resdsl.lint.per-file-ignores]\na = ['nope']\n", "unknown-rule", ("no rule 'nope'",)),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, text: str, code: str, words: tuple[str, ...]) -> None:
    configure(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        codes(tmp_path / "inner" / "a.resnet")
    (found,) = caught.value.diagnostics
    assert found.code == code
    for word in (*words, str(tmp_path / "pyproject.toml")):
        assert word in found.render()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(SpecError, match="cannot be read: Is a directory"):
        codes(tmp_path / "a.resnet")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "pyproject.toml").write_bytes(b"\xff")
    with pytest.raises(SpecError, match=r"is not UTF-8 text \(byte 0\)"):
        codes(tmp_path / "inner" / "a.resnet")


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b'\xef\xbb\xbf[tool.resdsl.lint]\nselect = ["SC001"]\n')
    assert codes(tmp_path / "a.resnet") == {"SC001"}


ROOT = Path("/project")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("legacy", "a/legacy", True),
        ("legacy", "a/legacy/b.resnet", False),
        ("legacy/", "a/legacy", True),
        ("./legacy", "legacy", True),
        ("./legacy", "a/legacy", False),
        ("*.resnet", "a/b.resnet", True),
        ("./*.resnet", "a/b.resnet", False),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("a/*", "c/a/b", False),
        ("a/**", "a/b/c", True),
        ("**/b.resnet", "b.resnet", True),
        ("**/b.resnet", "a/c/b.resnet", True),
        ("**/b.resnet", "a/ab.resnet", False),
        ("a/**/b.resnet", "a/b.resnet", True),
        ("a/**/b.resnet", "a/c/d/b.resnet", True),
        ("b[0-9].resnet", "b3.resnet", True),
        ("b[!0-9].resnet", "b3.resnet", False),
        ("b[!0-9].resnet", "bx.resnet", True),
        ("b[].resnet", "b[].resnet", True),
        ("b[z-a]", "b[z-a]", True),
        ("b.resnet", "bxresnet", False),
        ("a?c/b", "abc/b", True),
        ("a?c/b", "a/c/b", False),
        ("../other/*", "../other/b.resnet", True),
        ("/project/a/*", "a/b.resnet", True),
    ],
)
def test_patterns(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, ROOT / path, ROOT) is expected
    assert covers(pattern, ROOT / path / "below" / "it.resnet", ROOT) or not expected


def test_where_a_pattern_begins() -> None:
    begin = {"specs/**/*.resnet": "specs", "*.resnet": ".", "/a/b*/c": "/a", "../a/?.resnet": "../a"}
    assert {pattern: str(literal_folder(pattern)) for pattern in begin} == begin
    assert not is_pattern("specs/a.resnet")
