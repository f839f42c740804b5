"""The curvature of a loss: the spectrum of its Hessian, exact or estimated, beside Theorem 2 of Li et al. 2016."""
