from __future__ import annotations

import pytest
import torch

from resdsl.analysis.hessian.exact import ROWS, exact_hessian, hessian_product
from resdsl.diagnostics import SpecError


def _loss(theta: torch.Tensor) -> torch.Tensor:
    """Of a network tanh(x W1) W2 with a residual path, W1 and W2 of 7x7: 98 parameters, more than one block of rows."""
    first, second = theta.view(2, 7, 7)
    inputs = torch.linspace(-1, 1, 35, dtype=torch.float64).view(5, 7)
    return ((inputs + torch.tanh(inputs @ first) @ second - inputs.cos()) ** 2).sum() / 10


def _theta() -> torch.Tensor:
    return torch.randn(98, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def test_exact_hessian_is_autograds() -> None:
    theta = _theta()
    expected = torch.autograd.functional.hessian(_loss, theta)
    assert len(theta) > ROWS
    torch.testing.assert_close(exact_hessian(_loss, theta), expected, rtol=1e-12, atol=1e-13)


def test_hessian_of_a_quadratic_form_is_its_matrix() -> None:
    matrix = torch.tensor([[2.0, -1, 0], [-1, 3, 5], [0, 5, -4]], dtype=torch.float64)
    found = exact_hessian(lambda v: v @ matrix @ v / 2, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found, matrix, rtol=0, atol=1e-14)


def test_product_is_the_change_of_the_gradient() -> None:
    theta, vector, step = _theta(), _theta().flip(0), 1e-5
    after, before = (torch.autograd.functional.jacobian(_loss, theta + sign * step * vector) for sign in (1, -1))
    torch.testing.assert_close(
        hessian_product(_loss, theta)(vector), (after - before) / (2 * step), rtol=1e-6, atol=1e-7
    )


def test_product_can_be_used_again_and_leaves_no_graph() -> None:
    theta = _theta().requires_grad_()
    product = hessian_product(_loss, theta)
    first, second = product(theta.detach()), product(theta.detach())
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert not exact_hessian(_loss, theta).requires_grad


def test_progress_counts_rows_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    exact_hessian(_loss, _theta(), progress=lambda done, of: told.append((done, of)))
    assert told == [(32, 98), (64, 98), (96, 98), (98, 98)]


def test_rows_at_once_change_nothing() -> None:
    few, all_at_once = (exact_hessian(_loss, _theta(), rows=rows) for rows in (5, 98))
    torch.testing.assert_close(few, all_at_once, rtol=1e-12, atol=1e-14)


def test_refuses_a_matrix_that_fits_in_no_memory() -> None:
    with pytest.raises(SpecError, match=r"the Hessian of 1,000,000 parameters takes 8,000.0 GB"):
        exact_hessian(lambda theta: theta.sum(), torch.zeros(10**6, dtype=torch.float64))
