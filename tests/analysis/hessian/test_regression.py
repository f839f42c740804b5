from __future__ import annotations

import numpy as np
import pytest

from resdsl import build
from resdsl.analysis.digits_pca import digits_images, digits_pca
from resdsl.analysis.hessian.regression import regression
from resdsl.diagnostics import SpecError
from resdsl.network.network import Network

IMAGES = "resnet 1\nnetwork images {\ninput 1x8x8\nhead avgpool -> linear(10)\n}\n"


@pytest.fixture(scope="module")
def vectors() -> Network:
    return build("std/n_shortcut", "shortcut2")


def test_digits_by_what_the_network_reads(vectors: Network) -> None:
    np.testing.assert_array_equal(regression(vectors, "digits").inputs, digits_pca()[0])
    np.testing.assert_array_equal(regression(build(IMAGES), "digits").inputs, digits_images()[0])


def test_arrays_of_any_type(vectors: Network) -> None:
    found = regression(vectors, ([[1] * 10], np.ones((1, 10), np.float32)))
    assert found.inputs.dtype == found.targets.dtype == np.float64
    assert found.name == "arrays"


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (np.ones((3, 9)), np.ones((3, 10)), "the inputs are 3x9, not mx10: the network reads 10"),
        (np.ones((3, 10)), np.ones((3, 1)), "the targets are 3x1, not mx10: the network gives 10"),
        (np.ones((3, 10)), np.ones((4, 10)), "there are 3 inputs and 4 targets"),
        (np.ones((0, 10)), np.ones((0, 10)), "the inputs are 0x10"),
        (1.0, np.ones((1, 10)), "the inputs are a single number"),
        (np.array([["a"] * 10]), np.ones((1, 10)), "the inputs are no array"),
        ([[1.0] * 10, [np.nan] * 10], np.ones((2, 10)), "1 of 2 samples have inputs that are NaN or infinite"),
        (np.ones((2, 10)), np.full((2, 10), np.inf), "2 of 2 samples have targets that are NaN or infinite"),
    ],
)
def test_refuses(vectors: Network, inputs: object, targets: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        regression(vectors, (inputs, targets))  # type: ignore[arg-type]


def test_refuses_data_of_another_name_and_networks_that_digits_do_not_fit(vectors: Network) -> None:
    with pytest.raises(SpecError, match="there are no data 'cifar10' here"):
        regression(vectors, "cifar10")
    with pytest.raises(SpecError, match="reads 12 and gives 12; digits are 10 numbers or 1x8x8"):
        regression(build("std/n_shortcut", "shortcut2", {"width": 12}), "digits")
