"""What is subtracted from pixels, and what they are divided by, against numpy over the whole training set at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.data import normalisation as module
from resdsl.train.data.dataset import Arrays, Files, Listed, Split
from resdsl.train.data.normalisation import normalisation, scaled
from resdsl.train.recipe import Normalise

LABELS = np.zeros(50, np.int64)


def arrays(inputs: np.ndarray) -> Arrays:
    return Arrays("x", Split(inputs, LABELS[: len(inputs)]), Split(inputs[:3] // 2, LABELS[:3]), ("a",))


def images() -> np.ndarray:
    """Of channels and corners that are darker than others."""
    draw = np.random.default_rng(0)
    high = np.linspace(40, 256, 3 * 4 * 5).reshape(3, 4, 5)
    return (draw.random((50, 3, 4, 5)) * high).astype(np.uint8)


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 16)


def test_channels() -> None:
    by = normalisation(arrays(images()), Normalise.CHANNEL)
    wanted = images().astype(np.float64) / 255
    assert by.mean.shape == by.std.shape == (3, 1, 1)
    assert by.mean.dtype == by.std.dtype == np.float32
    np.testing.assert_allclose(by.mean.ravel(), wanted.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(by.std.ravel(), wanted.std((0, 2, 3)), rtol=1e-5)
    result = by.of(scaled(images()))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(result.std((0, 2, 3)), 1, atol=1e-5)


def test_pixels() -> None:
    by = normalisation(arrays(images()), Normalise.PIXEL)
    np.testing.assert_allclose(by.mean, images().mean(0) / 255, rtol=1e-6)
    assert by.mean.shape == (3, 4, 5)
    assert by.std.shape == (1, 1, 1)
    np.testing.assert_allclose(by.of(scaled(images())).mean(0), 0, atol=1e-6)


def test_none() -> None:
    by = normalisation(arrays(images()), Normalise.NONE)
    np.testing.assert_array_equal(by.of(scaled(images())), images().astype(np.float32) / np.float32(255))


def test_features() -> None:
    floats = np.random.default_rng(1).normal(3, [0.1, 1, 10, 100], (50, 4)).astype(np.float32)
    by = normalisation(arrays(floats), Normalise.CHANNEL)
    assert by.mean.shape == by.std.shape == (4,)
    np.testing.assert_allclose(by.mean, floats.mean(0, np.float64), rtol=1e-5)
    np.testing.assert_allclose(by.std, floats.std(0, np.float64), rtol=1e-5)
    pixels = normalisation(arrays(floats), Normalise.PIXEL)
    assert (pixels.mean.shape, pixels.std.tolist()) == ((4,), [1])


def test_floats_are_not_divided_by_255() -> None:
    floats = np.array([[0.0, 200.0]], np.float32)
    assert scaled(floats).tolist() == [[0, 200]]
    assert scaled(np.array([0, 51, 255], np.uint8)).tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize("value", [0, 0.1, -1e4, 1e6])
def test_what_never_changes_is_not_divided(value: float) -> None:
    """Rounding leaves a deviation of 1e-8 of the mean, and dividing by it would make any change in the test set huge."""
    floats = np.full((50, 2), value, np.float32)
    by = normalisation(arrays(floats), Normalise.CHANNEL)
    assert by.std.tolist() == [1, 1]
    assert by.of(scaled(floats)).tolist() == [[0, 0]] * 50


def test_the_test_set_is_not_measured() -> None:
    train, dark = images(), np.zeros((3, 3, 4, 5), np.uint8)
    one = normalisation(arrays(train), Normalise.CHANNEL)
    other = normalisation(Arrays("x", Split(train, LABELS), Split(dark, LABELS[:3]), ("a",)), Normalise.CHANNEL)
    assert np.array_equal(one.mean, other.mean)


def files() -> Files:
    listed = Listed((Path("a.jpg"),), np.zeros(1, np.int64))
    return Files("f", listed, listed, ("a",))


def test_files_have_published_numbers() -> None:
    by = normalisation(files(), Normalise.CHANNEL)
    assert by.mean.ravel().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert by.std.ravel().tolist() == pytest.approx([0.229, 0.224, 0.225])
    none = normalisation(files(), Normalise.NONE)
    assert (none.mean.tolist(), none.std.tolist()) == ([[[0]]], [[[1]]])


def test_pixels_of_files_are_refused() -> None:
    with pytest.raises(SpecError, match="the mean of each pixel is not for files"):
        normalisation(files(), Normalise.PIXEL)


def test_what_bytes_are_divided_by(tmp_path: Path) -> None:
    listed = Listed((tmp_path,), LABELS[:1])
    for kind in Normalise:
        assert normalisation(arrays(images()), kind).divisor == 255
        assert normalisation(arrays(images().astype(np.float32)), kind).divisor == 1
        if kind is not Normalise.PIXEL:
            assert normalisation(Files("x", listed, listed, ("a",)), kind).divisor == 255
