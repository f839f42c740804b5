"""The job array, run by bash with stand-ins for Slurm's programs: they write down what they are asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from resdsl.train.reproduce.plan import Plan, plan
from resdsl.train.reproduce.slurm import slurm_script
from resdsl.train.reproduce.tables import TABLE1
from tests.conftest import Golden
from tests.train.reproduce.given import small_plan

WORDS = ("resdsl", "reproduce", "table1", "--data", "cifar10", "--root", "my data", "-o", "runs")


def whole(folder: Path) -> Plan:
    return plan(TABLE1, "cifar10", folder, seeds=range(5))


def task(folder: Path, script: str, index: int, code: int = 0) -> tuple[int, list[str]]:
    """What task `index` leaves with, and the words that srun and scontrol were given, a line each."""
    asked = folder / "asked"
    asked.unlink(missing_ok=True)
    for name in ("srun", "scontrol"):
        program = folder / name
        ends = f"exit {code}" if name == "srun" else ""
        program.write_text(
            f'#!/bin/bash\nprintf "{name}" >> "{asked}"; printf "|%s" "$@" >> "{asked}"; echo >> "{asked}"\n{ends}\n'
        )
        program.chmod(0o755)
    given = {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_JOB_ID": "77"}
    done = subprocess.run(["bash", "-u", "-c", script], env=given, capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, asked.read_text().splitlines()


def test_the_script(tmp_path: Path, golden: Golden) -> None:
    golden("train/table1.sh", slurm_script(whole(tmp_path), WORDS, 1))


def test_each_run_is_one_task(tmp_path: Path) -> None:
    given = small_plan(tmp_path, seeds=(0, 3), only=("resnet110", "plain110", "scale_half"))
    script = slurm_script(given, WORDS, 1)
    assert "#SBATCH --array=0-5\n" in script
    asked = [task(tmp_path, script, index)[1] for index in range(6)]
    words = "|".join(("srun", *WORDS))
    expected = [f"{words}|--only|{trial.row.variant.name}|--seed|{trial.seed}" for trial in given.trials]
    assert asked == [[line] for line in expected]


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, False), (143, False), (130, True)])
def test_a_task_whose_time_is_up_is_queued_again(tmp_path: Path, code: int, again: bool) -> None:
    left, asked = task(tmp_path, slurm_script(whole(tmp_path), WORDS, 1), 12, code)
    assert left == code
    assert asked[1:] == ["scontrol|requeue|77_12"] * again


@pytest.mark.parametrize(("gpus", "lines"), [(0, 0), (1, 1)])
def test_gpus(tmp_path: Path, gpus: int, lines: int) -> None:
    assert slurm_script(whole(tmp_path), WORDS, gpus).count(f"#SBATCH --gres=gpu:{gpus}") == lines


def test_options_of_slurm_stand_before_any_command(tmp_path: Path) -> None:
    """Behind the first command, sbatch reads none."""
    lines = slurm_script(whole(tmp_path), WORDS, 1).splitlines()
    first = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    assert lines[0] == "#!/bin/bash"
    assert not any(line.startswith("#SBATCH") for line in lines[first:])
