"""What a measurement starts from, and `import resdsl.analysis`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from resdsl import analysis
from resdsl.analysis.given import inputs_of, weights_of
from resdsl.api import build
from resdsl.diagnostics import SpecError

SPEC = """resnet 1
unit u(width) { placement pre branch conv(3x3, width) shortcut identity }
network n { input 2x4x4 stem conv(3x3, 4) stage 2 * u(4) head avgpool -> linear(3) }
"""


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, resdsl.analysis; print([m for m in ('torch', 'numpy', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_types_are_there() -> None:
    for name in set(analysis.__all__) - {"signal", "curvature"}:
        assert isinstance(getattr(analysis, name), type)
    with pytest.raises(AttributeError, match="nothing"):
        _ = analysis.nothing


def test_random_inputs_follow_the_seed() -> None:
    network = build(SPEC)
    first, again, other = (inputs_of(network, None, 64, seed) for seed in (3, 3, 4))
    assert first.shape == (64, 2, 4, 4)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert abs(float(first.mean())) < 0.1
    assert abs(float(first.std()) - 1) < 0.1


@pytest.mark.parametrize(
    ("shape", "value", "words"),
    [((4, 2, 5, 4), 0.0, "n x 2 x 4 x 4"), ((4, 32), 0.0, "n x 2 x 4 x 4"), ((4, 2, 4, 4), np.nan, "NaN"), ((4, 2, 4, 4), np.inf, "infini")],
)  # fmt: skip
def test_inputs_that_do_not_fit(shape: tuple[int, ...], value: float, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        analysis.signal(SPEC, inputs=np.full(shape, value, np.float32))


def test_weights_that_are_not_finite_are_named() -> None:
    network = build(SPEC)
    weights, source = weights_of(network, None, 0)
    assert source == "initial"
    broken = {name: values.copy() for name, values in weights.items()}
    name = next(name for name in broken if name.startswith("stage1.1") and broken[name].ndim == 4)
    broken[name][0, 0, 0, 0] = np.nan
    with pytest.raises(SpecError) as raised:
        analysis.signal(SPEC, weights=broken)
    (found,) = raised.value.diagnostics
    assert found.code == "weights"
    assert name in found.message
    assert "NaN" in found.message


def test_of_given_inputs_so_many_are_taken_at_most() -> None:
    given = np.arange(7 * 32, dtype=np.float32).reshape(7, 2, 4, 4)
    network = build(SPEC)
    np.testing.assert_array_equal(inputs_of(network, given, 3, 0), given[[0, 2, 4]])  # at even distances
    np.testing.assert_array_equal(inputs_of(network, given, 9, 0), given)
    assert analysis.signal(SPEC, inputs=given, samples=3).samples == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [({"samples": 0}, "0 samples"), ({"precision": "fp16"}, "'fp16'"), ({"seed": -1}, "the seed -1 is negative")],
)
def test_wrong_use(given: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words) as raised:
        analysis.signal(SPEC, **given)  # type: ignore[arg-type]
    assert raised.value.diagnostics[0].code == "unsupported-option"


def test_a_file_of_weights_is_named(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    weights, _ = weights_of(build(SPEC), None, 5)
    save_file(dict(weights), tmp_path / "w.safetensors")
    found = analysis.signal(SPEC, weights=tmp_path / "w.safetensors", samples=4, precision="fp64")
    assert found.weights == str(tmp_path / "w.safetensors")
    assert (found.samples, found.precision) == (4, "fp64")
