"""The yardstick of the compile benchmark writes what resdsl writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import resdsl
from resdsl.network.initial import initial_weights
from resdsl.targets.onnx import onnx_bytes

ROOT = Path(__file__).parents[2]
RUN = """
import runpy, sys
script, out = sys.argv[1:]
sys.argv = [script, out]
runpy.run_path(script, run_name="__main__")
assert not any(name.split(".")[0] == "resdsl" for name in sys.modules)
"""


def test_bare_onnx_writes_the_bytes_of_resdsl(tmp_path: Path) -> None:
    """Without passes and metadata, as a process of its own that never loads resdsl. VERSION in the script moves with resdsl's."""
    out = tmp_path / "bare.onnx"
    subprocess.run([sys.executable, "-c", RUN, str(ROOT / "tools" / "bare_onnx.py"), str(out)], check=True)
    network = resdsl.build(ROOT / "specs" / "preact1001.resnet")
    written, own = out.read_bytes(), onnx_bytes(network, initial_weights(network))
    assert len(written) == len(own)
    assert written == own, "the files differ"
