"""What loads what: the light parts stay light."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import SPECS

SPEC = str(SPECS / "preact1001.resnet")
CLI = "from click.testing import CliRunner; from resdsl.cli import main; result = CliRunner().invoke(main, {}); assert result.exit_code == 0, result.output"


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import resdsl", ["torch", "onnx", "numpy", "rich", "jsonschema", "lark.tools"]),
        (f"import resdsl; resdsl.check({SPEC!r})", ["torch", "onnx", "numpy", "jsonschema"]),
        (f"import resdsl; resdsl.compile({SPEC!r}, 'onnx')", ["torch", "jsonschema"]),
        (f"import resdsl; resdsl.compile({SPEC!r}, 'onnx', weights='random-calibrated')", ["torch"]),
        (f"import resdsl; resdsl.compile({SPEC!r}, 'torch')", ["torch", "onnx", "numpy"]),
        ("import resdsl.analysis", ["torch", "onnx", "numpy", "matplotlib", "scipy", "jsonschema"]),
        (CLI.format(["analyze", "--help"]), ["torch", "onnx", "numpy", "matplotlib", "rich"]),
        (CLI.format(["check", SPEC]), ["torch", "onnx", "numpy", "rich", "jsonschema"]),
        (CLI.format(["lint", SPEC]), ["torch", "onnx", "numpy", "rich"]),
        (CLI.format(["rules"]), ["torch", "onnx", "numpy", "rich", "jsonschema"]),
        (CLI.format(["explain", "SC001"]), ["torch", "onnx", "numpy", "rich", "jsonschema"]),
        (CLI.format(["show", SPEC]), ["torch", "onnx", "numpy", "jsonschema"]),
    ],
)
def test_heavy_libraries_load_only_where_used(code: str, absent: list[str]) -> None:
    code += f"; import sys; loaded = [name for name in {absent} if name in sys.modules]; assert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_version_is_known_without_anything_else() -> None:
    code = "from resdsl._version import __version__; print(__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip()
