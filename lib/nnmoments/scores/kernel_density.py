"""Scores of the Gaussian kernel density estimate."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nnmoments.densities.base import ScoreModel
from nnmoments.linalg import symmetrize
from nnmoments.scores.bandwidth import check_width
from nnmoments.scores.kernel_moments import central_moments, kernel_moments
from nnmoments.validation import Array, check_array, check_integer

__all__ = ["KernelDensity"]


class KernelDensity(ScoreModel):
    r"""Scores of the Gaussian kernel density estimate, orders 1 to 4.

    Its log-derivatives are cumulants :math:`\kappa_j` of :math:`X_i - x` under the kernel's weights:

    .. math:: G_j = h^{-2j} \kappa_j - h^{-2} I\,[j = 2]

    Parameters
    ----------
    X : (n, d) array_like
    bandwidth : float

    Examples
    --------
    >>> KernelDensity([[0.0], [2.0]], bandwidth=1.0).score([[0.0]], 1).round(4) + 0.0
    array([[-0.2384]])
    """

    def __init__(self, X: npt.ArrayLike, *, bandwidth: float) -> None:
        self.X = check_array("X", X, ndim=2)
        self.d = self.X.shape[1]
        self.bandwidth = check_width("bandwidth", bandwidth)

    def __repr__(self) -> str:
        return f"KernelDensity(d={self.d}, bandwidth={self.bandwidth:.3g})"

    def log_derivatives(self, X: Array, order: int) -> Sequence[Array]:
        order = check_integer("order", order, 1, 4)
        points = check_array("X", X, shape=(None, self.d))
        h2 = self.bandwidth**2
        window = kernel_moments(points, self.X, np.full(len(points), self.bandwidth), order)
        mean, *rest = central_moments(window.raw)
        found = [(mean + window.centre - points) / h2]
        if order > 1:
            found.append(rest[0] / h2**2 - np.eye(self.d) / h2)
        if order > 2:
            found.append(rest[1] / h2**3)
        if order > 3:
            pairs = symmetrize(np.einsum("qab,qcd->qabcd", rest[0], rest[0]), 4)
            found.append((rest[2] - 3.0 * pairs) / h2**4)
        return found
