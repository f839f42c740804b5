"""Both ends of a spectrum from products with vectors, by Lanczos' method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail

Floats = NDArray[np.float64]
Product = Callable[[Floats], Floats]

ACCURACY = 1e-5
"""Of both ends at least, relative to the larger one; where the ends stand out they are far more accurate."""
ROUGH = 0.1
VECTORS = 40
"""Of the parameters' length, kept at once."""


def ends(product: Product, size: int, seed: int) -> tuple[float, float]:
    """The lowest and the highest eigenvalue of a symmetric matrix (size, size), from v -> A v on vectors (size,).

    Lanczos resolves the ends of a spectrum, how often an eigenvalue occurs it does not see, and what lies between it sees last.
    Power iteration would not do: where lowest and highest differ in sign alone it finds neither. A matrix that takes a
    random vector to zero is zero. Raises SpecError without scipy.
    """
    try:
        from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "scipy":
            raise
        message = "Lanczos' method is that of scipy, which is not installed"
        raise fail("missing-library", message, help="pip install 'resdsl[train]'") from None
    start = np.random.default_rng(seed).standard_normal(size)
    vectors = min(VECTORS, size)
    done = 0

    def counted(vector: Floats) -> Floats:
        nonlocal done
        done += 1
        return product(vector.ravel())

    if not counted(start).any():
        return 0.0, 0.0
    try:
        plain = LinearOperator((size, size), matvec=counted, dtype=np.float64)
        largest = abs(
            float(eigsh(plain, k=1, which="LM", v0=start, ncv=vectors, tol=ROUGH, return_eigenvectors=False)[0])
        )
        shift = 2 * largest  # what is 0, or nearly, would never converge relative to itself
        shifted = LinearOperator((size, size), matvec=lambda v: counted(v) + shift * v.ravel(), dtype=np.float64)
        lowest, highest = sorted(
            eigsh(shifted, k=2, which="BE", v0=start, ncv=vectors, tol=ACCURACY / 4, return_eigenvectors=False) - shift
        )
    except ArpackNoConvergence:
        message = f"the ends of the spectrum did not converge in {done:,} Hessian-vector products"
        raise fail("not-converged", message, help="a smaller network has an exact spectrum") from None
    return float(lowest), float(highest)
