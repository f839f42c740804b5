"""Exit codes: 0 is fine, 1 the input has errors, 2 wrong use. What fails writes nothing, and shows no traceback."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner, Result

from resdsl import api
from resdsl.cli import main
from resdsl.diagnostics import SpecError
from resdsl.targets import table

GOOD = """\
resnet 1
unit u(width, stride = 1) { branch conv(3x3, width, stride) -> bn shortcut identity }
network small(width = 3, classes = 4) {
    input 3x8x8
    stage 2 * u(width)
    head avgpool -> linear(classes)
}
"""
SEVERAL = GOOD + "network wide = small(classes = 40)\nnetwork open(n) { input 10 head linear(n) }\n"
SHAPES = GOOD.replace("u(width)", "u(16)")
BEFORE = b"what stood here before"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with specs and files that commands read."""
    for name, text in {
        "good.resnet": GOOD,
        "several.resnet": SEVERAL,
        "shapes.resnet": SHAPES,
        "syntax.resnet": "resnet 1\nnetwork n { inptu 10 }\n",
        "empty.resnet": "",
        "units.resnet": "resnet 1\nunit u { branch relu shortcut identity }\n",
        "huge.resnet": "resnet 1\nnetwork n { input 16777216x8x8 stem conv(3x3, 16777216) }\n",
        "many.resnet": "resnet 1\nnetwork n { input 10 stage 1000000000 * (relu -> relu) }\n",
        "good.json": api.compile(GOOD, "json").decode(),
        "wrong.json": '{"resdsl": 1}',
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "binary.resnet").write_bytes(b"\xff\x00")
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken.data").mkdir()
    (tmp_path / "out.onnx").write_bytes(BEFORE)
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 10)
    (tmp_path / "broken.data").write_bytes(b"\x00" * 10)
    (tmp_path / "link.onnx").symlink_to("folder/target.onnx")
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    (tmp_path / "to.resnet").symlink_to("good.resnet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, hidden files too."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(*arguments: str, input: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(main, arguments, input=input)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


COMPILE = ("compile", "-t", "onnx", "-o", "out.onnx")

INPUT_HAS_ERRORS = [
    (("check", "missing.resnet"), "error[unreadable]: there is no file missing.resnet"),
    (("check", "folder"), "error[unreadable]: folder is a folder"),
    (("check", "binary.resnet"), "is not UTF-8 text (byte 0)"),
    (("check", "empty.resnet"), "error[missing-version]"),
    (("check", "syntax.resnet"), "did you mean `input`?"),
    (("check", "shapes.resnet"), "3x8x8 meets 16x8x8 in u(16), stage 1 of small"),
    (("check", "wrong.json"), "error[document]"),
    (("check", "good.resnet", "syntax.resnet", "missing.resnet", "good.resnet"), "2 errors in 4 files"),
    (("check", "std/nope"), "error[unreadable]: there is no packaged spec std/nope"),
    (("check", "many.resnet"), "error[too-many-units]"),
    (("check", "--max-units", "1", "good.resnet"), "2 units, and a network may have 1"),
    (("show", "shapes.resnet"), "error[shape]"),
    (("show", "--expanded", "missing.resnet"), "error[unreadable]"),
    (("show", "--json", "syntax.resnet"), "error[syntax]"),
    (("verify", "shapes.resnet"), "error[shape]"),
    (("verify", "good.resnet", "--weights", "missing.safetensors"), "there is no weights file"),
    (("show", "several.resnet", "--network", "open"), "the network open needs `n`"),
    ((*COMPILE, "missing.resnet"), "error[unreadable]"),
    ((*COMPILE, "syntax.resnet"), "error[syntax]"),
    ((*COMPILE, "shapes.resnet"), "error[shape]"),
    ((*COMPILE, "wrong.json"), "error[document]"),
    ((*COMPILE, "many.resnet"), "error[too-many-units]"),
    ((*COMPILE, "good.resnet", "-p", "width=relu"), "and this is an operator"),
    ((*COMPILE, "good.resnet", "-p", "width=5"), "3x8x8 meets 5x8x8"),
    ((*COMPILE, "huge.resnet"), "take 9,437,184.0 GiB, and this machine has"),
    ((*COMPILE, "good.resnet", "--max-units", "1"), "error[too-many-units]"),
    ((*COMPILE, "good.resnet", "--weights", "missing.safetensors"), "there is no weights file missing.safetensors"),
    ((*COMPILE, "good.resnet", "--weights", "broken.safetensors"), "error[weights]: broken.safetensors"),
    ((*COMPILE, "good.resnet", "--weights", "folder"), "folder is a folder, and no weights file"),
    (("compile", "-t", "torch", "-o", "good.resnet", "syntax.resnet"), "error[syntax]"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "-", "--external-data"), "need a folder to stand in"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "/dev/null", "--external-data"), "need a folder to stand in"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "taken", "--external-data"), "taken.data cannot be written: it is"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "folder"), "folder is a folder"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "."), "name a file with `-o`"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "no/such/folder/x.onnx"), "there is no folder"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "good.resnet/x.onnx"), "cannot be written"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "/dev/full"), "No space left on device"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "x" * 300), "File name too long"),
    (("compile", "-t", "onnx", "good.resnet", "-o", "loop.onnx"), "it is a link that leads to itself"),
    (
        (*COMPILE[:-1], "link.onnx", "good.resnet", "--external-data"),
        "a file beside that is not found through the link",
    ),
]

WRONG_USE = [
    ((), "Usage:"),
    (("nope",), "No such command"),
    (("check",), "Usage:"),
    (("check", "--nope", "good.resnet"), "No such option"),
    (("check", "--root", "nope", "good.resnet"), "--root nope is no folder"),
    (("check", "--max-units", "0", "good.resnet"), "--max-units"),
    (("check", "--max-units", "many", "good.resnet"), "--max-units"),
    (("show", "--expanded", "--json", "good.resnet"), "exclude each other"),
    (("show", "several.resnet"), "choose one with `--network NAME`: small, wide, open"),
    (("show", "several.resnet", "--network", "smal"), "did you mean `small`?"),
    (("show", "several.resnet", "--network", "zzz"), "it has small, wide, open"),
    (("show", "units.resnet"), "declares no network"),
    (("show", "good.json", "--network", "small"), "a JSON document holds one network"),
    (("show", "good.json", "-p", "width=3"), "without parameters"),
    (("show", "good.resnet", "-p", "width"), "-p takes KEY=VALUE, not 'width'"),
    (("show", "good.resnet", "-p", "width="), "KEY=VALUE"),
    (("show", "good.resnet", "-p", "=3"), "KEY=VALUE"),
    (("show", "good.resnet", "-p", "width=3", "-p", "width=3"), "-p width is given twice"),
    (("show", "good.resnet", "-p", "wdth=3"), "did you mean `width`?"),
    (("show", "good.resnet", "-p", "width=3 +"), "--> -p width:1:3"),
    (("show", "good.resnet", "-p", "width=relx"), "did you mean `relu`?"),
    (("show", "good.resnet", "-p", "width=1/0"), "this divides by zero"),
    (("verify", "good.resnet", "--batch", "0"), "--batch"),
    (("verify", "good.resnet", "--seed", "-1"), "--seed"),
    (("completion", "tcsh"), "tcsh"),
    (("compile", "good.resnet"), "--target"),
    (("compile", "-t", "nope", "good.resnet", "-o", "out.onnx"), "nope"),
    (
        ("compile", "-t", "trt", "good.resnet", "-o", "out.onnx"),
        "-o out.onnx: name a file that ends in .engine, .plan or .trt",
    ),
    (("compile", "-t", "torch", "good.resnet", "-o", "out.onnx", "--weights", "w.pt"), "a torch file holds no weights"),
    (("compile", "-t", "json", "good.resnet", "--opset", "21"), "--opset: a json file holds no weights and no ONNX"),
    (("compile", "-t", "torch", "good.resnet", "--functions"), "--functions: a torch file holds no weights"),
    (("compile", "-t", "torch", "good.resnet", "--seed", "0"), "--seed: a torch file holds no weights"),
    (("compile", "-t", "json", "good.resnet", "--external-data"), "--external-data: a json file holds no weights"),
    ((*COMPILE, "good.resnet", "--opset", "3"), "ONNX opset 3 cannot be written"),
    ((*COMPILE, "good.resnet", "--opset", "new"), "--opset"),
    ((*COMPILE, "several.resnet"), "declares 3 networks"),
    ((*COMPILE, "good.resnet", "--network", "large"), "it has small"),
    ((*COMPILE, "good.resnet", "-p", "width=conv(3x3"), "is not closed"),
    ((*COMPILE, "good.resnet", "more.resnet"), "unexpected extra argument"),
    ((*COMPILE[:-1], "", "good.resnet"), "-o: the name of the output is empty"),
    (("compile", "-t", "torch", "-o", "good.resnet", "./good.resnet"), "good.resnet is read, and good.resnet would"),
    (
        ("compile", "-t", "json", "-o", "to.resnet", "good.resnet"),
        "good.resnet is read, and to.resnet would replace it",
    ),
    ((*COMPILE, "good.resnet", "--weights", "out.onnx"), "out.onnx is read, and out.onnx would replace it"),
    (("compile", "-t", "onnx", "-o", "broken", "good.resnet", "--weights", "broken.data"), "broken.data is read"),
    ((*COMPILE, "good.resnet", "--precision", "int8", "--calibration", "out.onnx"), "out.onnx is read"),
]


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [*((1, *row) for row in INPUT_HAS_ERRORS), *((2, *row) for row in WRONG_USE)],
    ids=lambda value: " ".join(value)[:70] if isinstance(value, tuple) else None,
)
def test_failure_writes_nothing(folder: Path, code: int, arguments: tuple[str, ...], words: str) -> None:
    before = everything(folder)
    result = run(*arguments)
    assert words in result.stderr
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert everything(folder) == before


def test_success(folder: Path) -> None:
    assert run("check", "good.resnet", "several.resnet", "units.resnet", "good.json").stdout == "4 files: no errors\n"
    result = run(*COMPILE, "good.resnet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (folder / "out.onnx").read_bytes() == api.compile(GOOD, "onnx")
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == set()


def test_output_keeps_the_mode_of_the_file_it_replaces(folder: Path) -> None:
    (folder / "out.onnx").chmod(0o640)
    assert run(*COMPILE, "good.resnet").exit_code == 0
    assert stat.S_IMODE((folder / "out.onnx").stat().st_mode) == 0o640


def test_output_goes_through_a_link(folder: Path) -> None:
    assert run("compile", "-t", "onnx", "good.resnet", "-o", "link.onnx").exit_code == 0
    assert (folder / "link.onnx").is_symlink()
    assert (folder / "folder" / "target.onnx").read_bytes() == api.compile(GOOD, "onnx")


def test_output_file_by_default(folder: Path) -> None:
    result = run("compile", "-t", "onnx", "good.resnet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("small.onnx: small, ")
    assert (folder / "small.onnx").is_file()
    assert run("compile", "-t", "json", "good.resnet").stdout == api.compile("good.resnet", "json").decode()


def test_dash_is_standard_output(folder: Path) -> None:
    before = everything(folder)
    result = run("compile", "-t", "onnx", "-o", "-", "good.resnet")
    model = api.compile(GOOD, "onnx")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"standard output: small, {len(model):,} bytes\n  fold-batchnorm 2\n")
    assert result.stdout_bytes == model
    assert everything(folder) == before
    result = run("compile", "-t", "json", "good.resnet")
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("input", "code", "words"),
    [
        (GOOD, 0, "1 file: no errors"),
        ("\ufeff" + GOOD, 0, "1 file: no errors"),
        (json.dumps(json.loads(api.compile(GOOD, "json"))), 0, "1 file: no errors"),
        ("", 1, "<stdin> does not begin with its language version"),
        ("resnet 1\nnetwork n { inptu 10 }\n", 1, "--> <stdin>:2:13"),
        (b"\xff\xfe", 1, "standard input is not UTF-8 text (byte 0)"),
        ("resnet 1\n#" + "x" * 300_000, 1, "error[source-too-large]"),
        ("resnet 1\n" + "(" * 200_000, 1, "error[nesting-too-deep]"),
        ('{"resdsl": 1}', 1, "error[document]"),
        ('resnet 1\nimport "/etc/passwd"\n', 1, "error[import-outside]"),
        ('resnet 1\nimport "units.resnet"\nnetwork n { input 10 stage u }\n', 0, "1 file: no errors"),
    ],
    ids=[
        "good",
        "byte order mark",
        "document",
        "empty",
        "error",
        "binary",
        "large",
        "deep",
        "wrong document",
        "import outside",
        "import",
    ],
)
def test_dash_is_standard_input(folder: Path, input: str | bytes, code: int, words: str) -> None:
    before = everything(folder)
    result = run("check", "-", input=input)
    assert words in result.output
    assert result.exit_code == code
    assert everything(folder) == before


def test_an_error_while_writing_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = everything(folder)
    monkeypatch.setattr(os, "replace", fail)
    result = run(*COMPILE, "good.resnet")
    assert result.exit_code == 1
    assert "error[unwritable]: out.onnx cannot be written: No space left on device" in result.stderr
    assert everything(folder) == before


def both(folder: Path) -> None:
    for name in ("out.onnx", "out.onnx.data"):
        (folder / name).write_bytes(BEFORE)


@pytest.mark.parametrize("prepare", [both, lambda _: None], ids=["both stood there", "one stood there"])
@pytest.mark.parametrize("last", ["out.onnx", "out.onnx.data"])
def test_model_and_weights_are_put_in_place_both_or_neither(
    folder: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], None], last: str
) -> None:
    replace = os.replace

    def fail(source: Path, target: Path) -> None:
        if Path(target).name == last and not str(source).endswith(".before"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    prepare(folder)
    before = everything(folder)
    monkeypatch.setattr(os, "replace", fail)
    result = run(*COMPILE, "good.resnet", "--external-data")
    assert result.exit_code == 1
    assert "error[unwritable]: out.onnx cannot be written: No space left on device" in result.stderr
    assert everything(folder) == before


def test_weights_beside_the_model(folder: Path) -> None:
    (folder / "wide.resnet").write_text("resnet 1\nnetwork wide { input 512 head linear(100) }\n", encoding="utf-8")
    both(folder)
    (folder / "out.onnx.data").chmod(0o640)
    result = run(*COMPILE, "wide.resnet", "--external-data")
    model, data = folder / "out.onnx", folder / "out.onnx.data"
    size = model.stat().st_size + data.stat().st_size
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"out.onnx: wide, {size:,} bytes, out.onnx.data beside it\n"
    assert stat.S_IMODE(data.stat().st_mode) == 0o640
    assert data.stat().st_size == 4 * 512 * 100
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    alone = onnxruntime.InferenceSession(api.compile("wide.resnet"), providers=["CPUExecutionProvider"])
    x = {"input": np.ones((2, 512), np.float32)}
    assert np.array_equal(session.run(None, x)[0], alone.run(None, x)[0])
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == set()


def test_a_file_of_the_users_is_not_in_the_way_of_a_pair(folder: Path) -> None:
    both(folder)
    (folder / ".out.onnx.data.before").write_bytes(BEFORE)
    assert run(*COMPILE, "good.resnet", "--external-data").exit_code == 0
    assert (folder / ".out.onnx.data.before").read_bytes() == BEFORE
    assert (folder / "out.onnx.data").read_bytes() != BEFORE


def test_weights_that_are_no_part_of_the_model_are_told(folder: Path) -> None:
    both(folder)
    line = "  out.onnx.data, from before, is no part of this model"
    assert line in run(*COMPILE, "good.resnet").stderr.splitlines()
    assert line not in run(*COMPILE, "good.resnet", "--external-data").stderr.splitlines()
    assert (folder / "out.onnx.data").read_bytes() != BEFORE


def test_weights_beside_what_a_link_in_the_same_folder_leads_to(folder: Path) -> None:
    (folder / "same.onnx").symlink_to("real.onnx")
    (folder / "wide.resnet").write_text("resnet 1\nnetwork wide { input 512 head linear(100) }\n", encoding="utf-8")
    result = run("compile", "-t", "onnx", "-o", "same.onnx", "wide.resnet", "--external-data")
    assert ", real.onnx.data beside it\n" in result.stderr
    onnxruntime.InferenceSession("same.onnx", providers=["CPUExecutionProvider"])


def test_weights_that_do_not_fit_stand_beside_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_ONNX_BYTES", 100)
    assert "beside it" in run(*COMPILE, "good.resnet").stderr
    assert (folder / "out.onnx.data").is_file()
    before = everything(folder)
    result = run("compile", "-t", "onnx", "-o", "-", "good.resnet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[external-data]: the weights of small take 0.0 GiB, and an ONNX file by itself" in result.stderr
    with pytest.raises(SpecError, match="an ONNX file by itself holds less than 2"):
        api.compile(GOOD, "onnx")
    assert everything(folder) == before


def test_a_full_disk_leaves_no_file(folder: Path) -> None:
    before = everything(folder)
    result = process(*COMPILE, "std/preact1001", limit=2**20)
    assert result.returncode == 1
    assert result.stderr == "error[unwritable]: out.onnx cannot be written: File too large\n\n"
    assert everything(folder) == before


def test_too_little_memory_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(api, "build", fail)
    result = run(*COMPILE, "good.resnet")
    assert result.exit_code == 1
    assert "error[out-of-memory]" in result.stderr
    assert (folder / "out.onnx").read_bytes() == BEFORE


# As a user runs it.


def process(
    *arguments: str, shell: str = "", input: str = "", limit: int | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m resdsl` in a process of its own; `shell` follows it on a command line.

    limit: the most bytes of a file that it may write.
    """

    def bound() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "resdsl", *arguments]
    if shell:
        command = ["sh", "-c", f'"$0" "$@" {shell}', *command]
    result = subprocess.run(
        command, input=input, capture_output=True, text=True, timeout=120, check=False, preexec_fn=bound
    )
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr
    return result


def test_in_a_process_of_its_own(folder: Path) -> None:
    before = everything(folder)
    result = process("check", "good.resnet", "syntax.resnet")
    assert (result.returncode, result.stdout) == (1, "")
    assert (
        result.stderr.splitlines()[0]
        == "error[syntax]: `inptu` cannot stand here: expected a clause of a network or `}`"
    )
    result = process(*COMPILE, "several.resnet")
    assert (result.returncode, result.stdout) == (2, "")
    result = process(*COMPILE, "missing.resnet")
    assert (result.returncode, result.stdout) == (1, "")
    assert everything(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "-t", "json", "good.resnet"),
        ("show", "good.resnet"),
        ("show", "--expanded", "good.resnet"),
        ("check", "good.resnet"),
        ("completion", "bash"),
    ],
    ids=" ".join,
)
def test_standard_output_that_is_full(folder: Path, arguments: tuple[str, ...]) -> None:
    result = process(*arguments, shell="> /dev/full")
    assert result.returncode == 1
    assert result.stderr == "error[unwritable]: standard output: No space left on device\n"


def test_standard_streams_that_are_closed(folder: Path) -> None:
    result = process("compile", "-t", "json", "good.resnet", shell=">&-")
    assert (result.returncode, "standard output is closed" in result.stderr) == (1, True)
    result = process("check", "-", shell="<&-")
    assert (result.returncode, "standard input is closed" in result.stderr) == (1, True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed, and sh has no >(…)")
@pytest.mark.parametrize("out", ["-o /dev/stdout | cat", "-o >(cat)", "-o >(cat) | cat"])
def test_pipes_are_written_as_they_come(folder: Path, out: str) -> None:
    before = everything(folder)
    command = f"{sys.executable} -m resdsl compile -t json good.resnet {out}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout) == (0, api.compile("good.resnet", "json").decode()), result.stderr
    assert everything(folder) == before


def test_a_reader_that_goes_away(folder: Path) -> None:
    result = process("show", "--json", "good.resnet", shell="| head -n 1")
    assert (result.stdout, result.stderr) == ("{\n", "")
