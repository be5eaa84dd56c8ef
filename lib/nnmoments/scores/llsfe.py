r"""GM's local likelihood score function estimator (LLSFE), as the paper has it: degree 2, a fixed bandwidth.

`LocalLikelihood` is the better one: it guards windows that hold too few samples, adapts its bandwidth, and
knows degrees 3 and 4.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.densities.base import ScoreModel
from nnmoments.scores.bandwidth import check_width
from nnmoments.validation import Array, check_array, check_result

__all__ = ["LLSFE", "degree_two"]


def degree_two(mean: Array, covariance: Array, bandwidth: Array) -> tuple[Array, Array]:
    r"""Return the degree-2 estimates of :math:`\nabla\log f` and :math:`\nabla^2\log f`.

    .. math:: a_1 = C^{-1} m, \qquad A_2 = h^{-2} I - C^{-1}

    Parameters
    ----------
    mean : (..., d) array
        m, the kernel-weighted mean of :math:`X_i - x`.
    covariance : (..., d, d) array
        C, the kernel-weighted covariance.
    bandwidth : (...) array
        h.

    Returns
    -------
    (..., d) array, (..., d, d) array

    Raises
    ------
    ValueError
        If shapes do not fit, or a covariance is singular.

    References
    ----------
    .. [1] GM (14), (15); W. Gao, S. Oh, P. Viswanath, "Breaking the bandwidth barrier", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> a1, A2 = degree_two(np.array([0.5]), np.array([[0.5]]), np.array(1.0))
    >>> a1, A2
    (array([1.]), array([[-1.]]))
    """
    mean, bandwidth = check_array("mean", mean), check_array("bandwidth", bandwidth)
    covariance = check_array("covariance", covariance)
    if not mean.ndim or covariance.shape != (*mean.shape, mean.shape[-1]):
        raise ValueError(
            f"covariance must have shape (..., d, d) for a mean (..., d), got {covariance.shape} and "
            f"{mean.shape}"
        )
    if bandwidth.ndim and bandwidth.shape != mean.shape[:-1]:
        raise ValueError(f"bandwidth must have shape {mean.shape[:-1]}, got {bandwidth.shape}")
    check_width("the least bandwidth", float(bandwidth.min()))
    check_width("the largest bandwidth", float(bandwidth.max()))
    try:
        precision = np.linalg.inv(covariance)
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError("covariance is singular: widen the bandwidth") from error
    a1 = np.einsum("...ij,...j->...i", precision, mean)  # GM (14)
    A2 = np.eye(mean.shape[-1]) / bandwidth[..., None, None] ** 2 - precision  # GM (15)
    return check_result("mean or covariance", a1), A2


class LLSFE(ScoreModel):
    r"""The score of a sample by GM (14)-(15), and nothing else.

    At x, the samples weighted by :math:`K_i = e^{-\|X_i - x\|^2 / 2h^2}` have the mean m of
    :math:`X_i - x` and the covariance C; the derivatives of log f are those of `degree_two`, and zero
    above the second.

    Parameters
    ----------
    X : (n, d) array_like
        The sample.
    bandwidth : float
        h.

    Raises
    ------
    ValueError
        If an argument does not fit; where it is asked for a score, if a window's covariance is singular.

    References
    ----------
    .. [1] W. Gao, A. V. Makkuva, S. Oh, P. Viswanath, AISTATS 2019, Section 2, (14)-(15).

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(5000, rng=0)
    >>> LLSFE(X, 1.5).score([[1.0, 0.0]], 1).round(1) + 0.0
    array([[1., 0.]])
    """

    def __init__(self, X: npt.ArrayLike, bandwidth: float) -> None:
        self.X = check_array("X", X, ndim=2)
        self.d = self.X.shape[1]
        self.bandwidth = check_width("bandwidth", bandwidth)

    def __repr__(self) -> str:
        return f"LLSFE(d={self.d}, bandwidth={self.bandwidth:g})"

    def log_derivatives(self, X: npt.ArrayLike, order: int) -> Sequence[Array | None]:
        """Return the estimates of the gradient and the Hessian of log f; None above."""
        points = check_array("X", X, shape=(None, self.d))
        parts = [self._window(points[rows]) for rows in row_chunks(len(points), len(self.X) * self.d)]
        mean, covariance = (check_result("X", np.concatenate(part)) for part in zip(*parts, strict=True))
        try:
            a1, A2 = degree_two(mean, covariance, np.asarray(self.bandwidth))
        except np.linalg.LinAlgError as error:
            raise ValueError("X is too sparse for these points: widen the bandwidth") from error
        return [a1, A2, *[None] * (order - 2)][:order]

    def _window(self, points: Array) -> tuple[Array, Array]:
        """Return the kernel-weighted mean and covariance of X_i - x around each point x."""
        offsets = self.X - points[:, None]
        logs = -0.5 * np.sum(offsets**2, axis=2) / self.bandwidth**2
        K = np.exp(logs - logs.max(axis=1, keepdims=True))
        K /= K.sum(axis=1, keepdims=True)
        mean = np.einsum("qi,qia->qa", K, offsets)
        second = np.einsum("qi,qia,qib->qab", K, offsets, offsets, optimize=True)
        return mean, second - mean[:, :, None] * mean[:, None, :]
