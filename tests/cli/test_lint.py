"""`resdsl lint`: which files, which rules, what is printed and written, the exit code."""

from __future__ import annotations

import importlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

import resdsl
from resdsl.cli import main
from resdsl.spec import Options
from tests.cli.test_exit_codes import everything, process

CLEAN = """\
resnet 1

unit u(width) {
    placement pre
    branch    conv(3x3, width) -> conv(3x3, width)
    shortcut  identity
}

network clean {
    input 3x8x8
    stem  conv(3x3, 4)
    stage 20 * u(4)
    head  bn -> relu -> avgpool -> linear(10)
}
"""
SCALED = CLEAN.replace("identity", "scale(0.5)").replace("clean", "scaled")
"""An error, SC001, with an unsafe fix."""
LET = CLEAN.replace("    input", "    let spare = 3  # größer → 🙂\n    input").replace("clean", "spare_let")
"""A warning, HY004, with a safe fix."""
NOTE = CLEAN.replace("20 *", "2 *").replace("placement pre", "placement post").replace("clean", "noted")
"""A note, AD001, with an unsafe fix."""
BOTH = LET.replace("identity", "scale(0.5)")
BROKEN = "resnet 1\nnetwork n { inptu 10 }\n"
ONLY = "SC001,AD001,HY004,SU002"
"""Rules that these tests speak of; others may come."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(**texts: str) -> None:
    """`put(a=CLEAN)` writes a.resnet; `__` in a name is a folder's end."""
    for name, text in texts.items():
        path = Path(f"{name.replace('__', '/')}.resnet")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def run(*arguments: str, input: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(main, ["lint", *arguments], input=input)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def lint(*arguments: str, input: str | bytes | None = None) -> Result:
    return run(*(() if "--select" in arguments else ("--select", ONLY)), *arguments, input=input)


def found(*arguments: str, input: str | None = None) -> list[tuple[str, str]]:
    """(file, code) of all findings."""
    result = lint("--format", "json", *arguments, input=input)
    return [(each["file"], each["code"]) for each in json.loads(result.stdout)]


# What is printed, and the exit code.


def test_clean() -> None:
    put(a=CLEAN, b=CLEAN)
    result = lint("a.resnet", "b.resnet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "All clean: 2 files.\n", "")


def test_findings_go_to_standard_output() -> None:
    put(a=BOTH)
    result = lint("a.resnet")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith("error[SC001 shortcut-scale]: 20 shortcuts scaled by 0.5: the direct path carries ")
    assert " --> a.resnet:6:15\n" in result.stdout
    assert "\nwarning[HY004 unused-let]: nothing reads `spare`\n  --> a.resnet:10:5\n" in result.stdout
    end = "Found 1 error, 1 warning in 1 file.\n[*] 1 fixable with --fix, 1 more with --unsafe-fixes.\n"
    assert result.stdout.endswith(f"\n\n{end}")


@pytest.mark.parametrize(
    ("text", "code"), [(CLEAN, 0), (NOTE, 0), (LET, 1), (SCALED, 1), (BROKEN, 1)], ids=["clean", "note", "warning", "error", "broken"]
)  # fmt: skip
def test_exit_codes(text: str, code: int) -> None:
    put(a=text)
    assert lint("a.resnet").exit_code == code
    assert lint("a.resnet", "--exit-zero").exit_code == 0
    assert lint("a.resnet", "--format", "json").exit_code == code


def test_a_note_is_shown_all_the_same() -> None:
    put(a=NOTE)
    assert "note[AD001 activation-after-addition]" in lint("a.resnet").stdout
    assert "Found 1 note in 1 file.\n" in lint("a.resnet").stdout


def test_selection() -> None:
    put(a=BOTH)
    assert found("a.resnet") == [("a.resnet", "SC001"), ("a.resnet", "HY004")]
    assert found("a.resnet", "--select", "SC") == [("a.resnet", "SC001")]
    assert found("a.resnet", "--select", "shortcut", "--select", "HY004") == found("a.resnet")
    assert found("a.resnet", "--ignore", "unused-let,AD") == [("a.resnet", "SC001")]
    assert found("a.resnet", "--select", "ALL", "--ignore", "ALL") == []
    assert found("a.resnet", "--select", "SC001,", "--ignore", ",AD") == [("a.resnet", "SC001")]


def test_least_severity() -> None:
    put(a=BOTH, b=LET, broken=BROKEN)
    assert found("--min-severity", "warning") == [
        ("a.resnet", "SC001"),
        ("a.resnet", "HY004"),
        ("b.resnet", "HY004"),
        ("broken.resnet", "syntax"),
    ]
    assert found("--min-severity", "error") == [("a.resnet", "SC001"), ("broken.resnet", "syntax")]
    clean = lint("--min-severity", "error", "b.resnet")
    assert (clean.exit_code, clean.stdout) == (0, "All clean: 1 file.\n")
    counts = lint("--min-severity", "error", "a.resnet", "--statistics")
    assert counts.stdout.startswith("     1 SC001 shortcut-scale\nFound 1 error in 1 file.\n")
    difference = lint("--diff", "--unsafe-fixes", "--min-severity", "error", "a.resnet").stdout
    assert ("-    shortcut  scale(0.5)" in difference, "-    let" in difference) == (True, False)
    mended = lint("--fix", "--unsafe-fixes", "--min-severity", "error", "a.resnet")
    assert (mended.exit_code, mended.stdout) == (0, "Fixed 1 finding in 1 file.\nAll clean: 1 file.\n")
    assert Path("a.resnet").read_text(encoding="utf-8") == LET
    put(a=BOTH)
    assert lint("--add-allow", "--min-severity", "error", "a.resnet").exit_code == 0
    assert "allow shortcut-scale" in Path("a.resnet").read_text()
    assert "unused-let" not in Path("a.resnet").read_text()


def test_findings_and_errors_of_a_file_stand_in_order() -> None:
    put(a=f"{BOTH}\nnetwork flat {{ input 8 stem conv(3x3, 4) }}\n")
    result = json.loads(lint("a.resnet", "--format", "json").stdout)
    places = [(each["line"], each["column"]) for each in result]
    assert len({each["name"] for each in result}) > 2
    assert places == sorted(places)
    assert [each["code"] for each in result] == ["SC001", "HY004", "shape"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--select", "sc001"), "did you mean `SC001`?"),
        (("--select", ","), "--select names no rule"),
        (("--ignore", "shortcut-scal"), "did you mean `shortcut-scale`?"),
        (("--format", "xml"), "--format"),
        (("--root", "nope"), "--root nope is no folder"),
        (("--max-units", "0"), "--max-units"),
        (("--fix", "--add-allow"), "--add-allow and --fix exclude each other"),
        (("--diff", "--add-allow"), "--add-allow and --diff exclude each other"),
        (("--diff", "-o", "out"), "-o is for findings: --diff writes none"),
        (("--add-allow", "-o", "out"), "-o is for findings: --add-allow writes none"),
        (("--reason", "because"), "--reason is for --add-allow"),
        (("--diff", "--format", "text"), "--format is for findings: --diff writes none"),
        (("--add-allow", "--format", "json"), "--format is for findings: --add-allow writes none"),
        (("--diff", "--statistics"), "--statistics is for findings: --diff writes none"),
        (("--add-allow", "--statistics"), "--statistics is for findings: --add-allow writes none"),
        (("",), "a PATH is empty"),
        (("-o", "a.resnet", "a.resnet"), "-o a.resnet is one of the files to lint"),
        (("-o", "./a.resnet", "--fix"), "-o ./a.resnet is one of the files to lint"),
        (("--statistics", "--format", "json"), "--statistics and --format json exclude each other"),
        (("--stdin-filename", "b.resnet", "a.resnet"), "--stdin-filename is for standard input"),
        (("--nope",), "No such option"),
        (("--fix", "std/preact1001"), "std/preact1001 comes with resdsl"),
        (("--add-allow", "std/preact1001"), "std/preact1001 comes with resdsl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    put(a=BOTH)
    before = everything(folder)
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    assert words in result.stderr
    assert everything(folder) == before


def test_limits_of_options() -> None:
    put(a=CLEAN, inner__b='resnet 1\nimport "../a.resnet"\nnetwork b = clean\n')
    assert "these are 20 units, and a network may have 5" in lint("a.resnet", "--max-units", "5").stdout
    assert found("inner") == [("inner/b.resnet", "import-outside")]
    assert found("inner", "--root", ".") == []


# Files.


def test_folders_are_searched() -> None:
    put(b=LET, a__c=LET, a__deep__d=LET, **{".hidden__e": LET, "build__f": LET, "node_modules__g": LET})
    Path("a/notes.txt").write_text(LET)
    Path("a/loop").symlink_to("..")
    expected = ["a/c.resnet", "a/deep/d.resnet", "b.resnet"]
    assert [file for file, _ in found()] == expected
    assert [file for file, _ in found(".")] == expected
    assert [file for file, _ in found("a")] == expected[:2]
    assert [file for file, _ in found("build", ".hidden")] == ["build/f.resnet", ".hidden/e.resnet"]
    assert [file for file, _ in found("a/notes.txt")] == ["a/notes.txt"], "a file that is named may be called anything"


def test_a_file_is_linted_once(folder: Path) -> None:
    put(a__b=LET)
    Path("link.resnet").symlink_to("a/b.resnet")
    assert len(found("a/b.resnet", "./a/../a/b.resnet", "a", "link.resnet", str(folder / "a"), "a/*.resnet")) == 1


def test_patterns() -> None:
    put(a=LET, b=LET, inner__a=LET, inner__deep__c=LET, build__a=LET, **{"x[1]": LET})
    assert [file for file, _ in found("a*.resnet")] == ["a.resnet"]
    assert [file for file, _ in found("**/a.resnet")] == ["a.resnet", "inner/a.resnet"]
    assert [file for file, _ in found("inner/*")] == ["inner/a.resnet", "inner/deep/c.resnet"]
    assert [file for file, _ in found("inner/**/c.resnet")] == ["inner/deep/c.resnet"]
    assert [file for file, _ in found("[ab].resnet")] == ["a.resnet", "b.resnet"]
    assert [file for file, _ in found("x[1].resnet")] == ["x[1].resnet"], "a file of that very name comes first"
    assert [file for file, _ in found(str(Path("inn*/a.resnet").absolute()))] == [
        str(Path("inner/a.resnet").absolute())
    ]
    result = lint("c*.resnet", "a.resnet")
    assert result.exit_code == 1
    assert "error[unreadable]: no .resnet file matches c*.resnet" in result.stdout
    assert "Found 1 error, 1 warning in 2 files." in result.stdout


def test_what_cannot_be_read_is_told_and_the_rest_linted() -> None:
    put(a=LET, broken=BROKEN)
    Path("binary.resnet").write_bytes(b"\xff\x00")
    Path("gone.resnet").symlink_to("nowhere")
    Path("document.json").write_bytes(resdsl.compile(CLEAN, "json"))
    result = lint(
        "nope.resnet", "binary.resnet", "broken.resnet", "gone.resnet", "std/nope", "document.json", "a.resnet"
    )
    assert result.exit_code == 1
    assert [line for line in result.stdout.splitlines() if line.startswith(("error", "warning"))] == [
        "error[unreadable]: there is no file nope.resnet",
        "error[unreadable]: binary.resnet is not UTF-8 text (byte 0)",
        "error[syntax]: `inptu` cannot stand here: expected a clause of a network or `}`",
        "error[unreadable]: there is no file gone.resnet",
        "error[unreadable]: there is no packaged spec std/nope",
        "error[unreadable]: document.json: the linter reads .resnet files, no documents",
        "warning[HY004 unused-let]: nothing reads `spare`",
    ]
    assert "Found 6 errors, 1 warning in 7 files." in result.stdout


def test_a_folder_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    put(a=LET, inner__b=LET, z=LET)
    scan = os.scandir

    def closed(path: Path) -> object:
        if path == Path("inner"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert found() == [("a.resnet", "HY004"), ("inner", "unreadable"), ("z.resnet", "HY004")]


def test_links_that_lead_to_themselves() -> None:
    put(a=LET, z=LET, importing='resnet 1\nimport "inner/loop.resnet"\n', inner__b=LET)
    Path("inner/loop.resnet").symlink_to("loop.resnet")
    for arguments in (
        (),
        ("a.resnet", "importing.resnet", "inner", "z.resnet"),
        ("a.resnet", "importing.resnet", "inner/b.resnet", "inner/loop.resnet", "z.resnet"),
    ):
        result = lint("--format", "json", *arguments)
        told = json.loads(result.stdout)
        assert (result.exit_code, sorted({each["code"] for each in told})) == (1, ["HY004", "unreadable"])
        assert {"a.resnet", "z.resnet", "inner/b.resnet", "inner/loop.resnet"} <= {each["file"] for each in told}
        assert sum(each["code"] == "unreadable" for each in told) == 2
    assert lint("-", "--stdin-filename", "inner/loop.resnet", input=LET).exit_code == 1


def test_what_may_not_be_looked_at_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed folder, as one who is not root meets it."""
    put(a=LET, closed__b=LET, z=LET, importing='resnet 1\nimport "closed/b.resnet"\n')
    Path("closed/pyproject.toml").write_text("[tool.resdsl.lint]\n")
    opened: Any = io.open
    looked = os.stat

    def is_inside(path: object) -> bool:
        return isinstance(path, str | Path) and "closed/" in str(path)

    def closed_open(path: Any, *arguments: Any, **options: Any) -> Any:
        if is_inside(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    def closed_stat(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if is_inside(path):
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path, *arguments, **options)

    monkeypatch.setattr(io, "open", closed_open)
    monkeypatch.setattr(os, "stat", closed_stat)
    for arguments in ((), ("a.resnet", "closed/b.resnet", "importing.resnet", "z.resnet")):
        result = lint(*arguments)
        assert result.exit_code == 1
        assert "error[unreadable]: closed/b.resnet cannot be read: Permission denied" in result.stdout
        assert "Found 2 errors, 2 warnings in 4 files." in result.stdout


def test_an_empty_folder_is_said_and_no_error() -> None:
    Path("empty").mkdir()
    result = lint("empty")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "warning: there is no .resnet file in empty\n"
    assert lint().stderr == "warning: there is no .resnet file in .\n"
    assert lint("empty", "--format", "json").stdout == "[]\n"
    assert lint("empty", "--select", "nope").exit_code == 2


def test_packaged_specs() -> None:
    assert lint("std/preact1001").stdout == "All clean: 1 file.\n"
    ((file, code),) = found("std/preact1001", "--max-units", "5")
    assert (Path(file).name, Path(file).is_file(), code) == ("preact1001.resnet", True, "too-many-units")


def test_what_an_imported_file_lacks_is_told_once() -> None:
    put(units=BROKEN, a='resnet 1\nimport "units.resnet"\n', b='resnet 1\nimport "units.resnet"\n')
    assert found() == [("units.resnet", "syntax")]


def test_names_that_are_no_text() -> None:
    name = b"\xff.resnet"
    Path(os.fsdecode(name)).write_text(LET, encoding="utf-8")
    for form in ("text", "concise", "json", "sarif", "github"):
        done = subprocess.run(
            [sys.executable, "-m", "resdsl", "lint", "--select", ONLY, "--format", form, name], capture_output=True
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (1, False)
        assert (b"%FF.resnet" if form == "sarif" else b"\\udcff.resnet") in done.stdout
    assert lint("--fix").exit_code == 0


# Standard input.


def test_standard_input() -> None:
    result = lint("-", input=LET)
    assert result.exit_code == 1
    assert "--> <stdin>:10:5" in result.stdout
    assert "--> inner/my.resnet:10:5" in lint("-", "--stdin-filename", "inner/my.resnet", input=LET).stdout
    assert "--> my.resnet:10:5" in lint("--stdin-filename", "my.resnet", input=LET).stdout, "as with ruff"
    assert lint("-", input="\ufeff" + CLEAN).stdout == "All clean: 1 file.\n"
    assert "standard input is not UTF-8 text (byte 0)" in lint("-", input=b"\xff").stdout
    assert found("-", "-", input=LET) == [("<stdin>", "HY004")]


def test_standard_input_stands_where_its_name_says() -> None:
    put(inner__units=CLEAN.partition("network")[0])
    importing = 'resnet 1\nimport "units.resnet"\nnetwork n { input 3x8x8 stem conv(3x3, 4) stage 2 * u(4) }\n'
    Path("inner/pyproject.toml").write_text('[tool.resdsl.lint]\nper-file-ignores = {"my.resnet" = ["HY004"]}\n')
    assert found("-", "--stdin-filename", "inner/my.resnet", input=importing) == []
    assert [code for _, code in found("-", input=importing)] == ["unreadable"]
    assert found("-", "--stdin-filename", "inner/my.resnet", input=LET) == []
    assert found("-", "--stdin-filename", "inner/other.resnet", input=LET) == [("inner/other.resnet", "HY004")]


def test_standard_input_mended_goes_to_standard_output() -> None:
    result = lint("--fix", "-", input=BOTH)
    assert (result.exit_code, result.stdout) == (
        1,
        BOTH.replace("    let spare = 3  # größer → 🙂\n", "    # größer → 🙂\n"),
    )
    assert result.stderr.startswith("error[SC001 shortcut-scale]")
    assert "Fixed 1 finding in 1 file.\nFound 1 error in 1 file.\n" in result.stderr
    clean = lint("--fix", "-", input="\ufeff" + CLEAN.replace("\n", "\r\n"))
    assert clean.stdout_bytes == b"\xef\xbb\xbf" + CLEAN.replace("\n", "\r\n").encode()
    assert clean.stderr == "All clean: 1 file.\n"
    broken = lint("--fix", "-", input=BROKEN)
    assert (broken.exit_code, broken.stdout) == (1, BROKEN)


def test_standard_input_that_is_left_as_it_is_comes_back() -> None:
    Path("pyproject.toml").write_text('[tool.resdsl.lint]\nexclude = ["a.resnet"]\n')
    document = resdsl.compile(CLEAN, "json")
    for mode in ("--fix", "--add-allow"):
        excluded = lint(mode, "--force-exclude", "--stdin-filename", "a.resnet", "-", "-", input=LET)
        assert (excluded.exit_code, excluded.stdout) == (0, LET)
        binary = lint(mode, "-", input=b"resnet 1\n\xff\n")
        assert (binary.exit_code, binary.stdout_bytes) == (1, b"resnet 1\n\xff\n")
        assert "error[unreadable]: standard input is not UTF-8 text (byte 9)" in binary.stderr
        json_text = lint(mode, "-", input=document)
        assert (json_text.exit_code, json_text.stdout_bytes) == (1, document)
        assert "error[unreadable]: <stdin>: the linter reads .resnet files, no documents" in json_text.stderr
    assert lint("--force-exclude", "--stdin-filename", "a.resnet", "-", input=LET).stdout == ""
    assert "--force-exclude" not in lint("--diff", "--stdin-filename", "a.resnet", "--force-exclude", input=LET).stdout
    told = json.loads(lint("--format", "json", "-", input=document).stdout)
    assert [each["message"] for each in told] == ["<stdin>: the linter reads .resnet files, no documents"]


# Mending.


def without_let(text: str) -> str:
    """The let goes, its comment stays."""
    return text.replace("let spare = 3  # größer", "# größer")


def test_fix() -> None:
    put(a=BOTH, b=CLEAN, broken=BROKEN)
    before = Path("b.resnet").stat()
    result = lint("--fix")
    assert Path("a.resnet").read_text(encoding="utf-8") == without_let(BOTH)
    assert (Path("b.resnet").stat().st_mtime_ns, Path("b.resnet").stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert Path("broken.resnet").read_text() == BROKEN
    assert result.exit_code == 1
    assert (
        "Fixed 1 finding in 1 file.\nFound 2 errors in 3 files.\n1 fixable with --fix --unsafe-fixes.\n"
        in result.stdout
    )
    assert lint("--fix", "a.resnet", "--unsafe-fixes").stdout == "Fixed 1 finding in 1 file.\nAll clean: 1 file.\n"
    assert Path("a.resnet").read_text(encoding="utf-8") == without_let(BOTH).replace("scale(0.5)", "identity")
    assert lint("--fix", "a.resnet").stdout == "All clean: 1 file.\n"


def test_fix_obeys_the_selection() -> None:
    put(a=BOTH)
    lint("--fix", "--unsafe-fixes", "--ignore", "HY004")
    assert Path("a.resnet").read_text(encoding="utf-8") == BOTH.replace("scale(0.5)", "identity")


def test_unsafe_fixes_alone_change_nothing(folder: Path) -> None:
    put(a=BOTH)
    before = everything(folder)
    result = lint("--unsafe-fixes", "--format", "concise")
    assert everything(folder) == before
    assert result.stdout.count("[*] ") == 3
    assert result.stdout.endswith("[*] 2 fixable with --fix.\n")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_fix_keeps_the_bytes_of_all_else(mark: bytes, ending: str) -> None:
    path = Path("a.resnet")
    path.write_bytes(mark + LET.replace("\n", ending).encode())
    path.chmod(0o640)
    assert lint("--fix").exit_code == 0
    assert path.read_bytes() == mark + without_let(LET).replace("\n", ending).encode()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_written_is_told_and_the_rest_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    put(a=LET, b=LET)
    replace = os.replace

    def full(source: str, target: Path) -> None:
        if target.name == "a.resnet":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    result = lint("--fix")
    assert result.exit_code == 1
    assert "error[unwritable]: a.resnet cannot be written: No space left on device" in result.stdout
    assert "Fixed 1 finding in 1 file.\n" in result.stdout
    assert Path("a.resnet").read_text(encoding="utf-8") == LET
    assert Path("b.resnet").read_text(encoding="utf-8") == without_let(LET)
    assert sorted(os.listdir()) == ["a.resnet", "b.resnet"]


def test_a_read_only_file_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    put(a=LET, b=LET)
    allowed = os.access

    def access(path: Path, mode: int) -> bool:
        return allowed(path, mode) and not (path.name == "a.resnet" and mode & os.W_OK)

    monkeypatch.setattr(os, "access", access)
    result = lint("--fix")
    assert result.exit_code == 1
    assert result.stdout.startswith("error[unwritable]: a.resnet cannot be written: Permission denied\n\nwarning[HY004")
    assert "Fixed 1 finding in 1 file.\nFound 1 error, 1 warning in 2 files.\n" in result.stdout
    assert Path("a.resnet").read_text(encoding="utf-8") == LET
    assert Path("b.resnet").read_text(encoding="utf-8") == without_let(LET)
    alone = lint("--fix", "a.resnet", "--format", "concise").stdout.splitlines()
    assert [line.split(": ")[0] for line in alone[:2]] == ["a.resnet", "a.resnet:10:5"]


def test_what_is_left_is_told_of_the_files_as_they_are(folder: Path) -> None:
    unit = SCALED.partition("network")[0]
    put(a='resnet 1\nimport "units.resnet"\nnetwork n { input 4x8x8 stage 20 * u(4) }\n', units=SCALED)
    assert found("a.resnet") == [("a.resnet", "SC001")], unit
    result = lint("--fix", "--unsafe-fixes", "a.resnet", "units.resnet")
    assert (result.exit_code, result.stdout) == (0, "Fixed 1 finding in 1 file.\nAll clean: 2 files.\n")
    Path("units.resnet").write_text(SCALED)
    Path("a.resnet").rename("b.resnet")
    stdin = lint("--fix", "--unsafe-fixes", "-", "b.resnet", "units.resnet", "nope.resnet", input=BOTH)
    assert "Fixed 3 findings in 2 files.\nFound 1 error in 4 files.\n" in stdin.stderr
    assert "there is no file nope.resnet" in stdin.stderr


def test_diff(folder: Path) -> None:
    put(a=BOTH, b=CLEAN)
    before = everything(folder)
    result = lint("--diff")
    assert everything(folder) == before
    assert (result.exit_code, result.stderr) == (1, "Would fix 1 finding in 1 file.\n")
    assert result.stdout.startswith("--- a.resnet\n+++ a.resnet\n@@ ")
    assert "-    let spare = 3  # größer → 🙂\n" in result.stdout
    assert "scale" not in "".join(line for line in result.stdout.splitlines() if line.startswith(("-", "+")))
    assert "+    shortcut  identity\n" in lint("--diff", "--unsafe-fixes").stdout
    nothing = lint("--diff", "b.resnet")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "Would fix nothing.\n")


def test_diff_of_a_broken_file_says_so() -> None:
    put(a=BROKEN)
    result = lint("--diff")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[syntax]" in result.stderr


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs patch")
@pytest.mark.parametrize(
    "text",
    [BOTH, BOTH.replace("\n", "\r\n"), "\ufeff" + BOTH, BOTH.rstrip("\n"), BOTH.replace("größer", "a\fb\x85c\u2028d")],
    ids=["plain", "CRLF", "byte order mark", "no line break at the end", "other line breaks"],
)
def test_patch_makes_of_a_diff_what_fix_makes(text: str) -> None:
    put(a=text)
    difference = lint("--diff", "--unsafe-fixes").stdout_bytes
    shutil.copy("a.resnet", "patched.resnet")
    subprocess.run(["patch", "--binary", "-s", "patched.resnet"], input=difference, check=True)
    lint("--fix", "--unsafe-fixes", "a.resnet")
    assert Path("a.resnet").read_bytes() == Path("patched.resnet").read_bytes() != text.encode()


# Allowing.


def test_add_allow() -> None:
    put(a=BOTH, b=CLEAN, broken=BROKEN)
    assert lint("--add-allow", "--reason", "Table 1 (b), an ablation", "a.resnet", "b.resnet").exit_code == 0
    text = Path("a.resnet").read_text(encoding="utf-8")
    assert text.count("(Table 1 (b), an ablation)") == 2
    assert "resdsl: allow shortcut-scale (" in text
    assert [line for line in text.splitlines() if "resdsl:" not in line] == BOTH.splitlines()
    assert Path("b.resnet").read_text() == CLEAN
    assert lint("a.resnet").stdout == "All clean: 1 file.\n"
    again = lint("--add-allow", "a.resnet")
    assert (again.exit_code, again.stderr) == (0, "Allowed nothing.\n")
    broken = lint("--add-allow", "broken.resnet")
    assert broken.exit_code == 1
    assert "error[syntax]" in broken.stderr
    assert Path("broken.resnet").read_text() == BROKEN


def test_add_allow_to_standard_input() -> None:
    result = lint("--add-allow", "-", input=SCALED)
    assert (result.exit_code, result.stderr.splitlines()) == (
        0,
        [
            "Allowed 1 finding in 1 file.",
            "The rule unexplained-suppression asks for reasons: `--reason TEXT` gives one.",
        ],
    )
    assert "asks for reasons" not in lint("--add-allow", "--reason", "so it is", "-", input=SCALED).stderr
    assert lint("-", input=result.stdout).exit_code == 0


# Configuration.


def test_configuration() -> None:
    put(a=BOTH, inner__b=BOTH, legacy__c=BOTH, legacy__d=BOTH)
    Path("pyproject.toml").write_text(
        '[tool.resdsl.lint]\nselect = ["SC001", "HY004"]\nexclude = ["legacy/c*"]\n'
        '[tool.resdsl.lint.per-file-ignores]\n"legacy/*" = ["HY"]\n'
    )
    Path("inner/pyproject.toml").write_text('[tool.resdsl.lint]\nselect = ["HY004"]\n')
    expected = [("a.resnet", "SC001"), ("a.resnet", "HY004"), ("inner/b.resnet", "HY004"), ("legacy/d.resnet", "SC001")]
    result = run("--format", "json")
    assert [(each["file"], each["code"]) for each in json.loads(result.stdout)] == expected
    assert found("legacy/c.resnet", "--select", "SC001") == [("legacy/c.resnet", "SC001")], "named files are linted"
    assert found("legacy/c.resnet", "--force-exclude") == []
    assert found("legacy", "--force-exclude", "--select", "SC001") == [("legacy/d.resnet", "SC001")]
    assert found("legacy/../legacy/d.resnet", "--force-exclude", "--select", "SC001,HY004") == [
        ("legacy/../legacy/d.resnet", "SC001")
    ]
    assert len(found("--isolated", "--select", "SC001,HY004")) == 8


def test_a_wrong_configuration_stops_all(folder: Path) -> None:
    put(a=BOTH, inner__b=BOTH)
    Path("inner/pyproject.toml").write_text('[tool.resdsl.lint]\nselct = ["HY004"]\n')
    before = everything(folder)
    result = lint("--fix")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error[configuration]: [tool.resdsl.lint] has no key `selct`" in result.stderr
    assert f"in {folder / 'inner' / 'pyproject.toml'}" in result.stderr
    assert "did you mean `select`?" in result.stderr
    assert everything(folder) == before
    assert lint("--isolated").exit_code == 1


# Formats.


def test_formats_agree() -> None:
    put(a=BOTH, broken=BROKEN)
    arguments = ("a.resnet", "broken.resnet", "nope.resnet")
    codes = [code for _, code in found(*arguments)]
    assert codes == ["SC001", "HY004", "syntax", "unreadable"]
    concise = lint(*arguments, "--format", "concise")
    assert [line.split(": ")[1].split()[0] for line in concise.stdout.splitlines()[:4]] == codes
    sarif = lint(*arguments, "--format", "sarif")
    assert [result["ruleId"] for result in json.loads(sarif.stdout)["runs"][0]["results"]] == codes
    github = lint(*arguments, "--format", "github")
    assert [line[: line.index(" ")] for line in github.stdout.splitlines()] == [
        "::error",
        "::warning",
        "::error",
        "::error",
    ]
    for result in (sarif, github, lint(*arguments, "--format", "json")):
        assert result.exit_code == 1
        assert result.stderr.startswith("Found 3 errors, 1 warning in 3 files.\n")


@pytest.mark.parametrize("form", ["text", "concise", "json", "sarif", "github"])
def test_output_file(form: str) -> None:
    put(a=BOTH)
    printed = lint("a.resnet", "--format", form).stdout
    result = lint("a.resnet", "--format", form, "-o", "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert Path("out").read_text(encoding="utf-8") == printed
    failed = lint("a.resnet", "--format", form, "-o", "no/folder/out")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "error[unwritable]: no/folder/out cannot be written" in failed.stderr


def test_statistics() -> None:
    put(a=BOTH, b=LET)
    result = lint("--statistics")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:3] == [
        "     2 HY004 unused-let",
        "     1 SC001 shortcut-scale",
        "Found 1 error, 2 warnings in 2 files.",
    ]


# As a user runs it.


def test_streams_that_break() -> None:
    put(a=BOTH)
    full = process("lint", "a.resnet", shell="> /dev/full")
    assert (full.returncode, "No space left on device" in full.stderr) == (1, True)
    closed = process("lint", "a.resnet", shell=">&-")
    assert (closed.returncode, "standard output is closed" in closed.stderr) == (1, True)
    unread = process("lint", "-", shell="<&-")
    assert (unread.returncode, "standard input is closed" in unread.stdout) == (1, True)
    gone = process("lint", "a.resnet", "--format", "json", shell="| head -n 1")
    assert gone.stdout == "[\n"


@pytest.mark.parametrize("name", ["lint", "rules"])
def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    module = importlib.import_module(f"resdsl.cli.{name}")
    monkeypatch.setattr(module.command, "callback", interrupt)
    result = command(name)
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


# Pages.


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_explain() -> None:
    page = command("explain", "shortcut-scale")
    assert page.exit_code == 0
    assert page.stdout.startswith("# shortcut-scale (SC001)\n\nA constant factor on the shortcut.\n")
    assert "\n## Evidence\n" in page.stdout
    assert command("explain", "SC001").stdout == page.stdout
    unknown = command("explain", "shortcut-scal")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "did you mean `shortcut-scale`?" in unknown.stderr
    assert "see `resdsl rules`" in command("explain", "zzz").stderr


def test_rules() -> None:
    listed = command("rules").stdout
    rules = json.loads(command("rules", "--format", "json").stdout)
    for rule in rules:
        assert f"  {rule['code']}  {rule['name']} " in listed
        assert command("explain", rule["code"]).stdout == f"# {rule['name']} ({rule['code']})\n\n{rule['page']}\n"
    (scale,) = [rule for rule in rules if rule["code"] == "SC001"]
    assert {key: scale[key] for key in ("name", "group", "summary", "fix")} == {
        "name": "shortcut-scale",
        "group": "what stands on the shortcut",
        "summary": "A constant factor on the shortcut.",
        "fix": "unsafe",
    }


# The library.


def test_library() -> None:
    assert [(d.code, d.severity.value) for d in resdsl.lint(BOTH, ["SC001", "HY004"])] == [
        ("SC001", "error"),
        ("HY004", "warning"),
    ]
    assert [d.code for d in resdsl.lint(BOTH, ["SC001", "HY004"], ["HY"])] == ["SC001", "HY004"]
    assert [d.code for d in resdsl.lint(BOTH, ["SC", "HY"], ["unused-let"])] == ["SC001"]
    put(a=LET)
    Path("pyproject.toml").write_text('[tool.resdsl.lint]\nselect = ["nonsense"]\n')
    (let,) = resdsl.lint(Path("a.resnet"), ["HY004"])
    assert let.fix == resdsl.Fix("remove the `let`", let.fix.edits if let.fix else (), safe=True)
    assert [type(edit) for edit in let.fix.edits] == [resdsl.Edit]
    assert [d.code for d in resdsl.lint("nope.resnet")] == ["unreadable"]
    assert [d.code for d in resdsl.lint(BOTH, "SC001, HY004", None)] == ["SC001", "HY004"]
    assert [d.code for d in resdsl.lint(BOTH, "SC,HY", "unused-let,")] == ["SC001"]
    with pytest.raises(resdsl.SpecError, match="there is no rule 'nope'"):
        resdsl.lint(BOTH, "SC,nope")
    with pytest.raises(resdsl.SpecError, match="there is no rule 'nope'"):
        resdsl.lint(BOTH, ["nope"])


def test_a_root_may_be_a_text() -> None:
    put(a=CLEAN, inner__b='resnet 1\nimport "../a.resnet"\nnetwork b = clean\n')
    options = Options(root=cast("Path", "."))
    assert resdsl.lint("inner/b.resnet", "SC", options=options) == []
    assert resdsl.check("inner/b.resnet", options=options) == []
    assert resdsl.build("inner/b.resnet", options=options).name == "b"
