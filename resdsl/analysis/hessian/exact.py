"""The second derivatives of a loss: all of them as a matrix, or the product of that matrix with a vector without it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.func import grad, vjp, vmap

from resdsl.diagnostics import fail

Loss = Callable[[Tensor], Tensor]
"""From all parameters as one vector (p,) to a scalar, differentiable twice by torch.func."""
ROWS = 32
"""Of the matrix that are computed at once, at most. Memory grows with them and with the number of samples."""
LARGEST = 20_000
"""Parameters of which a dense matrix is made: 3.2 GB in float64."""


def exact_hessian(
    loss: Loss, theta: Tensor, *, rows: int = ROWS, progress: Callable[[int, int], None] | None = None
) -> Tensor:
    """(p, p), of the loss at `theta` (p,), in its dtype; float64 is the one to use.

    Exact but for rounding, so its asymmetry is that of rounding. rows: computed at once. progress: is told how many of the p rows
    there are so far, and p. Raises SpecError for more than LARGEST parameters.
    """
    assert theta.dim() == 1, f"parameters are one vector, not {tuple(theta.shape)}"
    size = len(theta)
    if size > LARGEST:
        message = f"the Hessian of {size:,} parameters takes {size**2 * theta.element_size() / 1e9:,.1f} GB"
        raise fail(
            "too-many-parameters", message, help=f"up to {LARGEST:,} are computed; `hessian_product` needs no matrix"
        )
    pull = vmap(hessian_product(loss, theta))
    hessian = theta.new_empty(size, size)
    for start in range(0, size, rows):
        block = theta.new_zeros(min(rows, size - start), size)
        block.diagonal(offset=start).fill_(1)
        hessian[start : start + rows] = pull(block)
        if progress is not None:
            progress(min(start + rows, size), size)
    return hessian


def hessian_product(loss: Loss, theta: Tensor) -> Callable[[Tensor], Tensor]:
    """A function from v (p,) to H v (p,), H the Hessian of the loss at `theta` (p,).

    The gradient is computed once, here; each product then is one backward pass through it.
    """
    _, pull = vjp(grad(loss), theta.detach())
    return lambda vector: pull(vector)[0].detach()
