"""Writes docs/verification.md: how far every target is from float64, for every network of specs/.

`python tools/verify_specs.py` takes about ten minutes. Networks for ImageNet run on smaller images, as in the tests.
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from resdsl.network.difference import FACTOR, FLOOR
from resdsl.verify import EXACT, verify
from resdsl.weights import CALIBRATED, network_weights

ROOT = Path(__file__).parent.parent
COLUMNS = ("torch float64", "torch", "onnx", "onnx functions")


def rows(batch: int) -> list[str]:
    """A row of the table for each network."""
    sys.path.insert(0, str(ROOT))
    from tests.networks import CASES

    lines: list[str] = []
    for case in CASES:
        if case.network.endswith("_320"):
            continue
        network = case.build(full=False)
        report = verify(network, network_weights(network, CALIBRATED), batch=batch)
        if not report.passed:
            raise SystemExit(f"{case.name}: {report}")
        errors = {check.target: check.error for check in report.checks}
        cells = " | ".join(f"{errors[name]:.1e}" for name in COLUMNS)
        bit_equal = "yes" if errors["torch source"] == 0 else "no"
        lines.append(f"| {case.name.replace(':', ': ')} | {cells} | {bit_equal} |")
        print(lines[-1], flush=True)
    return lines


def page(batch: int) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "numpy"))
    return (
        f"""# Verification

How far each target is from the float64 reference evaluator, max|y - y64| / max|y64|, on {batch} random inputs with
random-calibrated weights of seed 0. Written by `tools/verify_specs.py` with Python {platform.python_version()}, {libraries}.

Held to: float64 at most {EXACT:g}; PyTorch in float32 at most {FACTOR:g} times the evaluator's own float32 error + {FLOOR:g};
ONNX Runtime at most {FACTOR:g} times PyTorch's + {FLOOR:g}; the written source bit for bit equal to the module.
Deep networks without a clean identity path amplify rounding: that is the network, not the target, and float64 shows it.
Networks for ImageNet ran on 64x64 images (Inception-ResNet on 139x139); the `_320` ones are the same networks.

| network | {" | ".join(COLUMNS)} | source bit-equal |
|---|{"---|" * (len(COLUMNS) + 1)}
"""
        + "\n".join(rows(batch))
        + "\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=4)
    arguments = parser.parse_args()
    (ROOT / "docs" / "verification.md").write_text(page(arguments.batch), encoding="utf-8")
