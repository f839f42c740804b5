"""`resdsl reproduce`, on 64 images of two classes and networks of 8 layers."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from resdsl.cli import main
from resdsl.cli import reproduce as cli
from resdsl.train.reproduce import run as run_module
from resdsl.train.reproduce.tables import TABLES
from resdsl.train.run.events import Event, Logged
from resdsl.train.run.fit import fit
from tests.train.reproduce.given import write_npz
from tests.train.reproduce.stand_in_ray import StandIn

DATA = ("--data", "given.npz", "--depth", "8", "--batch", "16", "--iterations", "4", "--device", "cpu")
TWO = ("--only", "resnet110", "--only", "plain110")


def reproduce(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["reproduce", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_npz(tmp_path / "given.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders of the runs that fit is asked for."""
    asked: list[str] = []

    def counted(*arguments: object, **given: object) -> object:
        asked.append(str(given["run"]))
        return fit(*arguments, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(run_module, "fit", counted)
    return asked


def test_names_of_tables() -> None:
    assert tuple(TABLES) == cli.TABLES


@pytest.mark.slow
def test_a_table(folder: Path, trained: list[str]) -> None:
    result = reproduce("table1", *DATA, "--seeds", "1", "-o", "runs")
    assert result.exit_code == 0, result.stderr
    assert len(trained) == 11
    assert {path.name for path in (folder / "runs").iterdir() if path.is_file()} == {
        "table1.md", "table1.json", "table1.svg", "table1.png",
    }  # fmt: skip
    said = json.loads((folder / "runs" / "table1.json").read_text("utf-8"))
    assert [row["variant"] for row in said["rows"]] == [variant.name for variant in TABLES["table1"].variants]
    for row in said["rows"]:
        (run,) = row["runs"]
        log = [
            json.loads(line)
            for line in (folder / "runs" / row["variant"] / "seed0" / "log.jsonl").read_text().splitlines()
        ]
        assert row["median"] == run["error"] == pytest.approx(log[-1]["error"] * 100)
        assert f"{row['median']:.2f}" in next(
            line for line in result.stdout.splitlines() if f"{row['variant']}, 8" in line
        )
    assert "neither confirms nor refutes" in result.stdout
    again = reproduce("table1", *DATA, "--seeds", "1", "-o", "runs")
    assert (again.stdout, len(trained)) == (result.stdout, 11)


def test_a_part_writes_no_table_and_is_collected(folder: Path, trained: list[str]) -> None:
    result = reproduce("table1", *DATA, *TWO, "--seeds", "2", "-o", "runs")
    assert result.exit_code == 0, result.stderr
    assert trained == [f"runs/{name}/seed{seed}" for seed in (0, 1) for name in ("resnet110", "plain110")]
    assert not (folder / "runs" / "table1.md").exists()
    result = reproduce("table1", *DATA, "--seeds", "2", "-o", "runs", "--collect")
    assert result.exit_code == 0
    assert len(trained) == 4
    assert "18 of 22 runs are not at their end" in result.stdout
    assert (folder / "runs" / "table1.md").is_file()


def test_one_task_of_an_array(trained: list[str]) -> None:
    assert reproduce("table1", *DATA, "--only", "plain110", "--seed", "3", "-o", "runs").exit_code == 0
    assert trained == ["runs/plain110/seed3"]


def test_json() -> None:
    result = reproduce("table1", *DATA, *TWO, "--seeds", "1", "-o", "runs", "--json")
    said = json.loads(result.stdout)
    assert (said["table"], said["length"], said["seeds"], said["missing"]) == ("table1", 4, [0], 0)
    assert [row["layers"] for row in said["rows"]] == [8, 8]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_command_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    """It comes in the second run, which is saved; the third never begins."""
    names: list[str] = []

    def progress(name: str) -> object:
        names.append(name)

        def tell(event: Event) -> None:
            if isinstance(event, Logged) and len(names) == 2:
                signal.raise_signal(number)

        return tell

    arguments = ("table1", *DATA[:-4], "--iterations", "8", "--device", "cpu", *TWO, "--only", "scale_half", "--seeds", "1", "-o", "runs")  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(cli, "_progress", progress)
        result = reproduce(*arguments)
    assert result.exit_code == code
    assert len(names) == 2
    assert "2 of 3 runs are not at their end" in result.stdout
    assert list((folder / "runs" / "plain110" / "seed0" / "checkpoints").iterdir())
    assert not (folder / "runs" / "scale_half").exists()
    result = reproduce(*arguments)
    assert result.exit_code == 0
    assert "1 of 3 runs are at their end already" in result.stderr
    assert "not at their end" not in result.stdout


def test_a_run_of_another_recipe_is_an_error() -> None:
    assert reproduce("table1", *DATA, "--only", "resnet110", "--seeds", "1", "-o", "runs").exit_code == 0
    result = reproduce("table1", *DATA, "--rate", "0.01", "--only", "resnet110", "--seeds", "1", "-o", "runs")
    assert result.exit_code == 1
    assert "error[other-run]" in result.stderr


def test_slurm_runs_nothing(folder: Path, trained: list[str]) -> None:
    arguments = ("table1", "--data", "cifar10", "--root", "my data", "--set", "factor=0.2", "--set", "pad=0", "--no-graph", "-o", "runs")  # fmt: skip
    result = reproduce(*arguments, "--with", "slurm", "--gpus", "2", "--seeds", "3", "--json")
    assert result.exit_code == 0, result.stderr
    assert not trained
    assert not (folder / "runs").exists()
    line = next(line for line in result.stdout.splitlines() if line.startswith("srun "))
    words = shlex.split(line)
    assert words[-4:] == ["--only", "$variant", "--seed", "$seed"]
    assert words[1:3] == ["resdsl", "reproduce"]
    assert sorted(words[3:-4]) == sorted(word.replace("-o", "--output") for word in arguments)
    for option, value in (("--root", "my data"), ("--output", "runs"), ("--data", "cifar10")):
        assert words[words.index(option) + 1] == value
    assert "#SBATCH --array=0-32\n#SBATCH --gres=gpu:2\n" in result.stdout


def test_a_task_of_the_script_is_a_command_that_there_is(trained: list[str]) -> None:
    script = reproduce("table1", *DATA, "--seeds", "2", "-o", "runs", "--with", "slurm").stdout
    words = shlex.split(next(line for line in script.splitlines() if line.startswith("srun ")))
    given = [{"$variant": "scale_half", "$seed": "1"}.get(word, word) for word in words[3:]]
    assert reproduce(*given).exit_code == 0
    assert trained == ["runs/scale_half/seed1"]


def test_ray(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = StandIn()
    monkeypatch.setitem(sys.modules, "ray", module)
    result = reproduce("table1", *DATA, *TWO, "--seeds", "1", "-o", "runs", "--with", "ray", "--gpus", "0.5", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["missing"] == 0
    for (task,), options in module.submitted:
        assert options == {"num_gpus": 0.5}
        assert Path(task.data).is_absolute()
        assert task.trial.run.is_absolute()
    assert (folder / "runs" / "resnet110" / "seed0" / "result.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("table1", "-o", "runs"), 2, "name the data with --data"),
        (("table9", *DATA, "-o", "runs"), 2, "'table9' is not one of"),
        (("table1", *DATA), 2, "Missing option '-o'"),
        (("table1", "--data", "cifar10", "-o", "runs"), 2, "name the folder where it lies with --root"),
        (("table1", "--data", "digit", "-o", "runs"), 2, "there is no data set 'digit'"),
        (("table1", *DATA, "--depth", "9", "-o", "runs"), 2, "cannot have 9\n = help: `--depth 8` or `--depth 14`"),
        (("table1", *DATA, "--only", "plane110", "-o", "runs"), 2, "did you mean `plain110`?"),
        (("table1", *DATA, "--with", "slurm", "--collect", "-o", "runs"), 2, "--collect trains nothing"),
        (("table1", *DATA, "--with", "slurm", "--gpus", "0.5", "-o", "runs"), 2, "Slurm gives whole GPUs"),
        (("table1", *DATA, "--with", "ray", "-o", "runs"), 1, "which is not installed\n = help: pip install ray"),
    ],
)  # fmt: skip
def test_mistakes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = reproduce(*arguments)
    assert (result.exit_code, words in result.stderr) == (code, True), result.stderr
    assert not (folder / "runs").exists()


def test_not_under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    result = reproduce("table1", *DATA, "-o", "runs")
    assert result.exit_code == 2
    assert "without torchrun" in result.stderr
