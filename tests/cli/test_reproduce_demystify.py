"""`resdsl reproduce demystify`, in small sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from resdsl.analysis.demystify import run as module
from resdsl.analysis.demystify import sizes
from resdsl.analysis.demystify.data import NAMES
from resdsl.analysis.demystify.table import FIGURES
from resdsl.cli import main
from resdsl.cli import reproduce_demystify as cli
from tests.analysis.demystify.given import TINY


def demystify(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["reproduce", "demystify", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "QUICK", TINY)


def test_names() -> None:
    assert tuple(map(str, FIGURES)) == cli.FIGURES
    assert NAMES == cli.DATA


def test_one_figure(tmp_path: Path) -> None:
    result = demystify("--figure", "4", "-o", str(tmp_path / "figures"))
    assert result.exit_code == 0, result.stderr
    said = json.loads((tmp_path / "figures" / "figure4.json").read_text("utf-8"))
    assert said["figure"] == 4
    for row in said["rows"]:
        assert any(line.startswith(row[0]) and f"{row[3]:.4g}" in line for line in result.stdout.splitlines())
    assert "whatever the depth (Theorem 2)" in result.stdout
    assert "figures 4" in result.stderr
    assert {path.name for path in (tmp_path / "figures").glob("figure*")} == {
        "figure4.json", "figure4.png", "figure4.svg",
    }  # fmt: skip


def test_figures_in_the_order_given_and_once(tmp_path: Path) -> None:
    result = demystify("--figure", "6", "--figure", "4", "--figure", "6", "-o", str(tmp_path))
    headings = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("Figure ")]
    assert headings == ["6", "4"]


def test_other_sizes_in_the_same_folder_are_refused_with_the_difference(tmp_path: Path) -> None:
    assert demystify("--figure", "4", "-o", str(tmp_path)).exit_code == 0
    result = demystify("--figure", "4", "--paper", "-o", str(tmp_path))
    assert result.exit_code == 1
    assert "other settings" in result.stderr
    assert "linear, epochs: 3 → 1000" in result.stderr


def test_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "compute", interrupted)
        result = demystify("--figure", "4", "-o", str(tmp_path))
    assert (result.exit_code, result.stdout) == (130, "")
    assert "the same command goes on" in result.stderr
    assert demystify("--figure", "4", "-o", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--figure", "1", "-o", "x"], 2, "'1' is not one of"),
        (["--figure", "4"], 2, "Missing option '-o'"),
        (["--data", "mnist", "-o", "x"], 2, "with --root"),
        (["--data", "cifar10", "-o", "x"], 2, "is not one of 'digits', 'mnist'"),
        (["--root", ".", "-o", "x"], 1, "lies in no folder"),
        (["--data", "mnist", "--root", ".", "-o", "x"], 1, "does not hold MNIST"),
    ],
)
def test_wrong_use(
    arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = demystify(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_both_helps() -> None:
    own = demystify("--help")
    assert "reproduce demystify [OPTIONS]" in own.stdout
    assert "--paper" in own.stdout
    tables = CliRunner().invoke(main, ["reproduce", "--help"])
    assert "{table1|table2|table3|demystify}" in tables.stdout
    assert "--paper" not in tables.stdout


def test_behind_its_options_it_is_told_where_it_stands() -> None:
    result = CliRunner().invoke(main, ["reproduce", "-o", "x", "demystify"])
    assert result.exit_code == 2
    assert "demystify stands before its options" in result.stderr


def test_completion() -> None:
    complete = ShellComplete(main, {}, "resdsl", "_RESDSL_COMPLETE")

    def found(*words: str) -> list[str]:
        return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]

    assert found("reproduce", "") == ["table1", "table2", "table3", "demystify"]
    assert found("reproduce", "demystify", "--p") == ["--paper"]
    assert found("reproduce", "demystify", "--figure", "") == [*cli.FIGURES, cli.ALL]
    assert found("reproduce", "table1", "--se") == ["--seeds", "--seed", "--set"]
