r"""Local likelihood score function estimation (LLSFE): GM Section 2.

At every point x the log-density is fitted by a polynomial of degree p in u - x, whose coefficients
are the derivatives :math:`G_j` of log f there; score tensors follow by the set-partition formula.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.densities.base import ScoreModel
from nnmoments.results import Result
from nnmoments.scores.bandwidth import NearestNeighbor, check_width
from nnmoments.scores.higher_degree import correct_window, correction_derivatives
from nnmoments.scores.kernel_moments import central_moments, kernel_moments
from nnmoments.scores.llsfe import degree_two
from nnmoments.validation import Array, check_array, check_integer, check_number, check_result

__all__ = ["STATUS", "LocalFit", "LocalLikelihood"]

#: What happened at a point, by its status code.
STATUS = (
    "solved",
    "blended: the window holds too few samples, the Gaussian of all data fills in; widen the bandwidth",
    "clamped: the window's covariance is nearly singular; widen the bandwidth or remove tied rows",
    "degree 2: too few samples for a higher one, or Newton's method failed; widen the bandwidth",
)

# A window whose standard deviation, in some direction, is below a fifth of what the Gaussian fitted
# to all data would leave in it holds tied points, not a density.
_SMALLEST_EIGENVALUE = 0.04
# Effective samples below which a window is blended with the global fit: eight times the coefficients of
# its quadratic, (d + 1)(d + 2) / 2.
_PER_COEFFICIENT = 8.0
# Condition number of the sample covariance above which X lies in a subspace.
_SINGULAR = 1e12
# Largest log-density correction of degree 3 and 4 that is believed at the point itself.
_LARGEST_CORRECTION = 20.0
# Windows' widths from a point to its window above which no correction is tried: powers would overflow.
_FARTHEST = 1e50


@dataclass(frozen=True, eq=False, repr=False)
class LocalFit(Result):
    r"""Local likelihood at a batch of points.

    Attributes
    ----------
    log_density : (q,) array
        :math:`a_0`, the estimate of log f.
    derivatives : tuple of arrays (q, d), (q, d, d), ...
        :math:`a_1, A_2, \dots, A_p`, the estimates of the derivatives of log f.
    bandwidth : (q,) array
    effective : (q,) array
        Effective number of samples in the window.
    status : (q,) int array
        Index into `STATUS`.
    message : str
        How many points had which status, and what to do about it.
    """

    log_density: Array = field(repr=False)
    derivatives: tuple[Array, ...] = field(repr=False)
    bandwidth: Array = field(repr=False)
    effective: Array = field(repr=False)
    status: npt.NDArray[np.intp] = field(repr=False)

    @property
    def message(self) -> str:
        """Count the points by status."""
        counts = np.bincount(self.status, minlength=len(STATUS))
        return "; ".join(
            f"{count} points {text}" for count, text in zip(counts, STATUS, strict=True) if count
        )


class LocalLikelihood(ScoreModel):
    r"""Score model estimated from a sample by local likelihood of degree p with a Gaussian kernel.

    At x, :math:`\log f(u) \approx a_0 + a_1^\top(u-x) + \dots + \frac1{p!}A_p(u-x, \dots, u-x)`
    maximises the local likelihood GM (3). Degrees 1 and 2 have closed forms; degrees 3 and 4 are
    solved by Newton's method with Gauss-Hermite quadrature in up to three dimensions. Derivatives
    of order above p are taken to vanish: :math:`S_m` is consistent for :math:`p \ge m` only.

    Parameters
    ----------
    X : (n, d) array_like
        The sample.
    degree : int
        p, 1 to 4.
    bandwidth : float or NearestNeighbor
        h, the same everywhere or adapted to the number of samples nearby.
    shrinkage : float
        Degrees 3 and 4: a ridge of this size over the effective samples of the window holds the
        whitened coefficients of degree above 2, so that skewness and kurtosis count only as far as
        the window supports them. It vanishes as n grows, so consistency is untouched; 0 is GM (5).
    leave_one_out : bool
        Whether a point that is a row of X is left out of its own window.

    Raises
    ------
    ValueError
        If X has too few rows or lies in a subspace, or another argument does not fit.

    Notes
    -----
    Nothing explodes: where the window holds too few samples, its mean and covariance are blended with
    those of the Gaussian fitted to all data; nearly singular covariances are clamped; where
    Newton's method fails the degree-2 solution stays. `fit_at` reports each of these by point.

    References
    ----------
    .. [1] W. Gao, A. V. Makkuva, S. Oh, P. Viswanath, "Learning one-hidden-layer neural networks
       under general input distributions", AISTATS 2019, Section 2.
    .. [2] C. R. Loader, "Local likelihood density estimation", Annals of Statistics 24, 1996.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(5000, rng=0)
    >>> LocalLikelihood(X, bandwidth=1.5).score([[1.0, 0.0]], 1).round(1) + 0.0
    array([[1., 0.]])
    """

    def __init__(
        self,
        X: npt.ArrayLike,
        *,
        degree: int = 2,
        bandwidth: float | NearestNeighbor,
        shrinkage: float = 1000.0,
        leave_one_out: bool = False,
    ) -> None:
        self.degree = check_integer("degree", degree, 1, 4)
        self.X = check_array("X", X, ndim=2)
        n, self.d = self.X.shape
        if self.degree > 2 and self.d > 3:
            raise ValueError(f"degree {self.degree} needs quadrature in d <= 3 dimensions, got d = {self.d}")
        if n < 2 * (self.d + 1):
            raise ValueError(f"X needs at least 2 (d + 1) = {2 * (self.d + 1)} rows, got {n}")
        if isinstance(bandwidth, NearestNeighbor):
            self.bandwidth: float | NearestNeighbor = bandwidth
        else:
            self.bandwidth = check_width("bandwidth", bandwidth)
        self.shrinkage = check_number("shrinkage", shrinkage, above=-1e-300)
        self.leave_one_out = leave_one_out
        self._mean = self.X.mean(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            spread = check_result("X", np.atleast_2d(np.cov(self.X, rowvar=False)))
        if not np.linalg.cond(spread) < _SINGULAR:
            raise ValueError("X lies in a subspace, so it has no density; project it on fewer coordinates")
        check_width("the least standard deviation of X", math.sqrt(np.diag(spread).min()))
        self._precision = np.linalg.inv(spread)
        self._rows: dict[bytes, int] | None = None

    def __repr__(self) -> str:
        return f"LocalLikelihood(d={self.d}, degree={self.degree}, bandwidth={self.bandwidth!r})"

    def log_derivatives(self, X: npt.ArrayLike, order: int) -> Sequence[Array | None]:
        """Return the estimates of G_1, ..., G_order; None above the degree."""
        fitted = self.fit_at(X).derivatives[:order]
        return [*fitted, *[None] * (order - len(fitted))]

    def log_density(self, X: npt.ArrayLike) -> Array:
        """Return the estimate of log f at the rows of X, (q,)."""
        return self.fit_at(X).log_density

    def fit_at(self, points: npt.ArrayLike) -> LocalFit:
        """Maximise the local likelihood at the rows of `points`, (q, d)."""
        points = check_array("points", points, shape=(None, self.d))
        if isinstance(self.bandwidth, NearestNeighbor):
            h = self.bandwidth.at(points, self.X)
        else:
            h = np.full(len(points), self.bandwidth)
        own = self._own_rows(points) if self.leave_one_out else None
        window = kernel_moments(points, self.X, h, max(self.degree, 2), own=own)
        mean, covariance, *higher = central_moments(window.raw)
        mean = mean + window.centre - points
        if self.degree == 1:  # the kernel keeps its shape: C = h^2 I
            covariance = np.broadcast_to(np.eye(self.d), covariance.shape) * h[:, None, None] ** 2
        mean, covariance, status = self._guard(points, h, mean, covariance, window.effective)
        a1, A2 = degree_two(mean, covariance, h)
        factor = np.linalg.cholesky(covariance)
        whitening = np.linalg.inv(factor)
        z = -np.einsum("qij,qj->qi", whitening, mean)  # the point itself in whitened coordinates
        log_det = np.log(np.einsum("qii->qi", factor)).sum(axis=1)
        log_density = (
            window.log_total
            - np.log(len(self.X) - (0 if own is None else (own >= 0)))
            - 0.5 * self.d * np.log(2.0 * np.pi)
            - 0.5 * np.sum(z**2, axis=1)
            - log_det
        )
        derivatives = [a1] if self.degree == 1 else [a1, A2]
        if self.degree > 2:
            extra, failed = self._correct(higher, whitening, z, status, window.effective)
            status = np.where(failed & (status == 0), 3, status)
            log_density = log_density + extra[0]
            derivatives = [
                extra[1] + a1,
                extra[2] + A2,
                *extra[3:],
            ]
        return LocalFit(log_density, tuple(derivatives), h, window.effective, status)

    def _guard(
        self, points: Array, h: Array, mean: Array, covariance: Array, effective: Array
    ) -> tuple[Array, Array, npt.NDArray[np.intp]]:
        """Blend sparse windows with the global Gaussian's, and lift tiny eigenvalues."""
        window_precision = self._precision + np.eye(self.d) / h[:, None, None] ** 2
        expected = np.linalg.inv(window_precision)
        toward = np.einsum("qij,jk,qk->qi", expected, self._precision, self._mean - points)
        needed = _PER_COEFFICIENT * (self.d + 1) * (self.d + 2) / 2
        share = np.clip(1.0 - effective / needed, 0.0, 1.0)
        mean = mean + share[:, None] * (toward - mean)
        if self.degree > 1:
            covariance = covariance + share[:, None, None] * (expected - covariance)
        factor = np.linalg.cholesky(window_precision)  # whitens the expected covariance
        relative = np.einsum("qji,qjk,qkl->qil", factor, covariance, factor)
        values, vectors = np.linalg.eigh(relative)
        low = values[:, 0] < _SMALLEST_EIGENVALUE
        if low.any():
            lifted = np.maximum(values[low], _SMALLEST_EIGENVALUE)
            root = np.einsum("qji,qjk->qik", np.linalg.inv(factor[low]), vectors[low])
            covariance = covariance.copy()
            covariance[low] = np.einsum("qik,qk,qjk->qij", root, lifted, root)
        status: Any = np.where(low, 2, np.where(share > 0.0, 1, 0))
        return mean, covariance, status

    def _correct(
        self,
        higher: Sequence[Array],
        whitening: Array,
        z: Array,
        status: npt.NDArray[np.intp],
        effective: Array,
    ) -> tuple[list[Array], npt.NDArray[np.bool_]]:
        """Return what degrees 3 and 4 add to log f and its derivatives, and where they failed."""
        third = np.einsum("qabc,qia,qjb,qkc->qijk", higher[0], whitening, whitening, whitening, optimize=True)
        fourth = None
        if self.degree == 4:
            fourth = np.einsum("qabcd,qia,qjb,qkc,qld->qijkl", higher[1], *[whitening] * 4, optimize=True)
        needed = _PER_COEFFICIENT * math.comb(self.d + self.degree, self.d)
        supported = effective >= needed
        near = np.abs(z).max(axis=1) < _FARTHEST
        usable = np.flatnonzero((status == 0) & supported & near)
        failed = ~(supported & near)
        shapes = [(len(z),) + (self.d,) * j for j in range(self.degree + 1)]
        extra = [np.zeros(shape) for shape in shapes]
        if not len(usable):
            return extra, failed
        solved = correct_window(
            third[usable], None if fourth is None else fourth[usable], self.shrinkage / effective[usable]
        )
        parts = correction_derivatives(solved.eta, z[usable], whitening[usable], self.degree)
        good = solved.converged & (np.abs(parts[0]) < _LARGEST_CORRECTION)
        for target, part in zip(extra, parts, strict=True):
            target[usable[good]] = part[good]
        failed[usable[~good]] = True
        return extra, failed

    def _own_rows(self, points: Array) -> npt.NDArray[np.intp]:
        """Return which row of X each point is, or -1."""
        if self._rows is None:
            self._rows = {row.tobytes(): i for i, row in enumerate(self.X)}
        return np.array([self._rows.get(row.tobytes(), -1) for row in points], dtype=np.intp)
