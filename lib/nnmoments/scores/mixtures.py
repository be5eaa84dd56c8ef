"""Gaussian mixtures fitted by expectation maximisation, whose scores are exact."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.mixture import GaussianMixture as MixtureFit

from nnmoments.densities import GaussianMixture
from nnmoments.validation import check_array, check_integer, check_result, check_rng

__all__ = ["fit_gaussian_mixture"]


def fit_gaussian_mixture(X: npt.ArrayLike, components: int, *, rng: Any) -> GaussianMixture:
    """Fit a Gaussian mixture by expectation maximisation (scikit-learn) and return its density.

    Parameters
    ----------
    X : (n, d) array_like
        The sample.
    components : int
        At most n.
    rng : seed or Generator
        For the starts.

    Returns
    -------
    GaussianMixture
        A density, so its scores of all orders are exact.

    Raises
    ------
    ValueError
        If X has fewer distinct rows than there are components.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> fit_gaussian_mixture(X, 1, rng=0).d
    2
    """
    X = check_array("X", X, ndim=2)
    components = check_integer("components", components, 1, len(X))
    if len(np.unique(X, axis=0)) < components:
        raise ValueError(f"X has fewer distinct rows than components: {components}")
    with np.errstate(over="ignore", invalid="ignore"):
        check_result("X", X.var(axis=0))
    seed = int(check_rng("rng", rng).integers(2**31))
    fitted = MixtureFit(components, random_state=seed).fit(X)
    return GaussianMixture(fitted.weights_ / fitted.weights_.sum(), fitted.means_, fitted.covariances_)
