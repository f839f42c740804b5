#!/bin/bash
#SBATCH --job-name=resdsl-table1
#SBATCH --array=0-54
#SBATCH --gres=gpu:1
#SBATCH --signal=INT@120
#SBATCH --requeue
#SBATCH --open-mode=append
# 55 runs: 11 variants, each with 5 seeds. Give --time, --partition and --account to sbatch.
# Afterwards, the same command without --with, and with --collect, prints the table.
variants=(resnet110 plain110 scale_half scale_half_frozen gate_exclusive_5 gate_exclusive gate_exclusive_7 gate_shortcut_0 gate_shortcut conv_shortcut dropout_shortcut)
seeds=(0 1 2 3 4)
variant=${variants[SLURM_ARRAY_TASK_ID % 11]}
seed=${seeds[SLURM_ARRAY_TASK_ID / 11]}
srun resdsl reproduce table1 --data cifar10 --root 'my data' -o runs --only "$variant" --seed "$seed"
code=$?
if [ "$code" -eq 130 ]; then  # saved, because the time is up
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
