"""Theorem 2 against PyTorch's derivatives of the networks that specs make, and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from resdsl import build
from resdsl.analysis.digits_pca import digits_pca
from resdsl.targets.torch_module import torch_module
from resdsl.theory.n_shortcut import NShortcut, n_shortcut
from resdsl.theory.theorem2 import AtZero, applies, at_zero, gradient_at_zero, hessian_at_zero

Floats = NDArray[np.float64]

PLACEMENTS = [
    "at()",
    "at(pre = tanh)",
    "at(pre = relu)",
    "at(pre = sigmoid)",
    "at(mid = tanh)",
    "at(mid = gelu)",
    "at(post = silu)",
    "at(post = gelu)",
    "at(pre = gelu, mid = silu, post = gelu)",
    "at(pre = tanh, mid = tanh, post = tanh)",
    "at(pre = relu, mid = relu, post = relu)",
]


def _kind(n: int, units: int, width: int, placement: str = "at()") -> NShortcut:
    parameters = {"n": n, "units": units, "width": width, "placement": placement, "start": "zero"}
    kind = n_shortcut(build("std/n_shortcut", "shortcut2", parameters))
    assert kind is not None
    return kind


def _samples(width: int, samples: int = 12, seed: int = 1) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((samples, width)), generator.standard_normal((samples, width))


def _by_torch(n: int, units: int, placement: str, inputs: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Gradient and Hessian of the spec's module at zero, by PyTorch."""
    parameters = {"n": n, "units": units, "width": inputs.shape[1], "placement": placement, "start": "zero"}
    module = torch_module(build("std/n_shortcut", "shortcut2", parameters)).double()
    shapes = {name: tuple(value.shape) for name, value in module.named_parameters()}

    def loss(theta: torch.Tensor) -> torch.Tensor:
        parts = theta.split([int(np.prod(shape)) for shape in shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return ((functional_call(module, named, torch.from_numpy(inputs)) - torch.from_numpy(targets)) ** 2).sum() / (
            2 * len(inputs)
        )

    zero = torch.zeros(sum(int(np.prod(shape)) for shape in shapes.values()), dtype=torch.float64)
    gradient = torch.autograd.functional.jacobian(loss, zero)
    return gradient.numpy(), torch.autograd.functional.hessian(loss, zero).numpy()


def _close(found: Floats, expected: Floats) -> None:
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize(("n", "units"), [(1, 1), (1, 4), (2, 1), (2, 3), (3, 2), (4, 1)])
def test_gradient_and_hessian_are_pytorchs(n: int, units: int, placement: str) -> None:
    inputs, targets = _samples(3)
    gradient, hessian = _by_torch(n, units, placement, inputs, targets)
    kind = _kind(n, units, 3, placement)
    _close(gradient_at_zero(kind, inputs, targets), gradient)
    _close(hessian_at_zero(kind, inputs, targets), hessian)
    found = at_zero(kind, inputs, targets)
    assert found.eigenvalues is not None
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(hessian), atol=1e-12)
    assert found.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
    assert (np.linalg.norm(hessian) == 0) == (n > 2 or (n == 1 and "post = relu" in placement) or found.slope == 0)


def test_ten_wide_digits() -> None:
    """The condition number of M is 1.5245; over the 10th percentile, 1.4583."""
    inputs, targets = digits_pca()
    found = at_zero(_kind(2, 4, 10), inputs, targets)
    assert found.eigenvalues is not None
    sizes = np.abs(found.eigenvalues)
    assert sizes.max() / sizes.min() == pytest.approx(1.5245, abs=5e-5)
    assert sizes.max() / np.percentile(sizes, 10) == pytest.approx(1.4583, abs=5e-5)
    assert found.rank == 10


def test_moment_by_hand() -> None:
    """Two samples, (1, 0) -> (0, 0) and (0, 2) -> (0, -2): M = 1/2 [[1, 0], [0, 4 * 2]]."""
    found = at_zero(_kind(2, 5, 2), np.array([[1.0, 0], [0, 2]]), np.array([[0.0, 0], [0, -2]]))
    np.testing.assert_array_equal(found.moment, [[0.5, 0], [0, 4]])
    assert found.eigenvalues is not None
    assert np.unique(found.eigenvalues).tolist() == [-4, -0.5, 0.5, 4]
    assert found.loss == (1 + 16) / 4
    assert found.gradient_norm == 0


def test_eigenvalues_do_not_depend_on_depth_for_two_layers() -> None:
    inputs, targets = _samples(5, samples=30)
    values = [at_zero(_kind(2, units, 5), inputs, targets).eigenvalues for units in (2, 32)]
    assert values[0] is not None
    assert values[1] is not None
    np.testing.assert_allclose(np.repeat(values[0], 16), values[1], rtol=1e-14)


def test_condition_of_one_layer_grows_as_depth() -> None:
    """By Theorem 2 linearly in the number of units; S^{xx} is regular. Doubling 16 doubles it within a tenth."""
    inputs, targets = _samples(3, samples=60)
    sizes = [np.abs(_eigenvalues(at_zero(_kind(1, units, 3), inputs, targets))) for units in (16, 32)]
    first, second = (size.max() / np.percentile(size, 10) for size in sizes)
    assert second / first == pytest.approx(2, rel=0.1)


def _eigenvalues(found: AtZero) -> Floats:
    assert found.eigenvalues is not None
    return found.eigenvalues


@pytest.mark.parametrize("rank", [0, 2, 4])
def test_rank_of_the_moment(rank: int) -> None:
    """Targets that are inputs but in `rank` of 4 directions, turned so that no entry of M is 0."""
    inputs, _ = _samples(4)
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    found = at_zero(_kind(2, 3, 4), inputs, inputs + inputs @ turned[:, :rank] @ turned[:, :rank].T)
    assert found.rank == rank
    assert np.count_nonzero(found.eigenvalues) == 3 * 4 * 2 * rank


def test_inputs_that_span_less_make_a_moment_of_less_rank() -> None:
    inputs, targets = _samples(4, samples=3)
    assert at_zero(_kind(2, 1, 4), inputs, targets).rank == 3


def test_relu_in_the_middle_has_slope_zero() -> None:
    inputs, targets = _samples(3)
    found = at_zero(_kind(2, 2, 3, "at(mid = relu)"), inputs, targets)
    assert found.slope == 0
    assert found.rank == 3
    assert not _eigenvalues(found).any()


def test_sigmoid_behind_a_layer_is_another_matter() -> None:
    assert not applies(_kind(2, 2, 3, "at(mid = sigmoid)"))
    assert not applies(_kind(1, 2, 3, "at(post = sigmoid)"))
    assert applies(_kind(1, 2, 3, "at(mid = sigmoid)"))  # nothing is in the middle of one layer


def test_no_dense_matrix_for_its_eigenvalues_beyond_the_limit() -> None:
    inputs, targets = _samples(2)
    assert at_zero(_kind(1, 1251, 2), inputs, targets).eigenvalues is None
    assert len(_eigenvalues(at_zero(_kind(2, 1251, 2), inputs, targets))) == 10008


@pytest.mark.parametrize(("n", "placement"), [(2, "at()"), (3, "at()"), (4, "at(mid = tanh)"), (3, "at(mid = relu)")])
def test_orders(n: int, placement: str) -> None:
    """Weights of size eps and eps / 2: change of the loss, gradient, Hessian shrink by 2^n, 2^(n-1), 2^(n-2), by PyTorch."""
    inputs, targets = _samples(3)
    parameters = {"n": n, "units": 2, "width": 3, "placement": placement, "start": "xavier"}
    module = torch_module(build("std/n_shortcut", "shortcut2", parameters)).double()
    weights = {name: value.detach().clone() for name, value in module.named_parameters()}
    sizes = [_sizes(module, weights, eps, inputs, targets) for eps in (2e-3, 1e-3)]
    found = [np.log2(large / small) for large, small in zip(*sizes, strict=True)]
    np.testing.assert_allclose(found, at_zero(_kind(n, 2, 3, placement), inputs, targets).orders, atol=0.02)


def _sizes(
    module: torch.nn.Module, weights: dict[str, torch.Tensor], eps: float, inputs: Floats, targets: Floats
) -> tuple[float, float, float]:
    shapes = [value.shape for value in weights.values()]

    def loss(theta: torch.Tensor) -> torch.Tensor:
        parts = theta.split([shape.numel() for shape in shapes])
        named = {name: part.view(shape) for name, part, shape in zip(weights, parts, shapes, strict=True)}
        return ((functional_call(module, named, torch.from_numpy(inputs)) - torch.from_numpy(targets)) ** 2).sum() / 24

    theta = eps * torch.cat([value.ravel() for value in weights.values()])
    change = float(loss(theta) - loss(0 * theta))
    gradient = torch.autograd.functional.jacobian(loss, theta)
    return abs(change), float(gradient.norm()), float(torch.autograd.functional.hessian(loss, theta).norm())
