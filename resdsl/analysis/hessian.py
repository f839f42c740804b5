"""The second derivatives of a loss: all of them as a matrix, or the product of that matrix with a vector without it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.func import grad, vjp, vmap

Loss = Callable[[Tensor], Tensor]
"""From all parameters as one vector (p,) to a scalar, differentiable twice by torch.func."""
ROWS = 32
"""Of the matrix that are computed at once. Memory grows with them and with the number of samples."""


def exact_hessian(loss: Loss, theta: Tensor, *, progress: Callable[[int, int], None] | None = None) -> Tensor:
    """(p, p), of the loss at `theta` (p,), in its dtype; float64 is the one to use.

    Exact but for rounding, so its asymmetry is that of rounding. progress: is told how many of the p rows there are so far, and p.
    """
    assert theta.dim() == 1, f"parameters are one vector, not {tuple(theta.shape)}"
    size = len(theta)
    pull = vmap(hessian_product(loss, theta))
    hessian = theta.new_empty(size, size)
    for start in range(0, size, ROWS):
        rows = theta.new_zeros(min(ROWS, size - start), size)
        rows.diagonal(offset=start).fill_(1)
        hessian[start : start + ROWS] = pull(rows)
        if progress is not None:
            progress(min(start + ROWS, size), size)
    return hessian


def hessian_product(loss: Loss, theta: Tensor) -> Callable[[Tensor], Tensor]:
    """A function from v (p,) to H v (p,), H the Hessian of the loss at `theta` (p,).

    The gradient is computed once, here; each product then is one backward pass through it.
    """
    _, pull = vjp(grad(loss), theta.detach())
    return lambda vector: pull(vector)[0].detach()
