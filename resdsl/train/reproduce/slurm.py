"""A plan's runs as a job array of Slurm: a script to submit, which runs nothing by itself."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from resdsl.train.reproduce.plan import Plan

SECONDS_TO_SAVE = 120
"""Between the signal and the end of a job's time."""


def slurm_script(plan: Plan, words: Sequence[str], gpus: int) -> str:
    """words: of the command that a task runs, to which it adds its variant and its seed. gpus: of each task.

    At the end of its time Slurm sends Ctrl-C's signal, so that `scancel`, which sends SIGTERM, is not taken for it: the run saves, and
    the task is queued again.
    """
    names = " ".join(row.variant.name for row in plan.rows)
    count = len(plan.rows)
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name=resdsl-{plan.table.name}",
        f"#SBATCH --array=0-{len(plan.trials) - 1}",
        *[f"#SBATCH --gres=gpu:{gpus}"] * (gpus > 0),
        f"#SBATCH --signal=INT@{SECONDS_TO_SAVE}",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        f"# {len(plan.trials)} runs: {count} variants, each with {len(plan.seeds)} seeds. Give --time, --partition and --account to sbatch.",
        "# Afterwards, the same command without --with, and with --collect, prints the table.",
        f"variants=({names})",
        f"seeds=({' '.join(map(str, plan.seeds))})",
        f"variant=${{variants[SLURM_ARRAY_TASK_ID % {count}]}}",
        f"seed=${{seeds[SLURM_ARRAY_TASK_ID / {count}]}}",
        f'srun {shlex.join(words)} --only "$variant" --seed "$seed"',
        "code=$?",
        'if [ "$code" -eq 130 ]; then  # saved, because the time is up',
        '    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"',
        "fi",
        'exit "$code"',
    ]
    return "\n".join(lines) + "\n"
