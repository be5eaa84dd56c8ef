r"""GP's landscapes on the Hermite moments of the labels, and all of their minima.

For :math:`f_{lin} = \sum_i c_i u(\langle w_i, x\rangle)` with unit :math:`w_i`, and
:math:`y = \mathrm{diag}(\sqrt c) W z`,

.. math:: G(z) = -|u_4| \sum_i y_i^4/c_i + \lambda u_2^2 (\|y\|^2 - 1)^2,

whose minima are multiples of the columns of :math:`(\mathrm{diag}(\sqrt c) W)^{-1}`: all of them together
give W.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.moments import FourthMoment, score_power
from nnmoments.optimize import EndPoint, SmoothLoss, classify, quasi_newton
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_choice,
    check_instance,
    check_integer,
    check_number,
    check_rng,
    check_samples,
    finite_result,
)

__all__ = [
    "HermiteLoss",
    "Minima",
    "SimultaneousLoss",
    "SphereLoss",
    "find_minima",
    "weights_from_minima",
]

_H2, _H4 = math.sqrt(2.0), math.sqrt(24.0)  # H_m = S_m(z, ..., z)/sqrt(m!)


@dataclass(frozen=True)
class HermiteLoss(SmoothLoss):
    r"""G(z) of GP Section 2, from :math:`T_2` and :math:`T_4`.

    .. math:: G(z) = -\mathrm{sgn}(u_4)\,E[f H_4(z \cdot x)] + \lambda\,(E[f H_2(z \cdot x)] - u_2)^2

    Parameters
    ----------
    second : (d, d) array
        T_2.
    fourth : FourthMoment
    u2, u4 : float
        Hermite coefficients of the activation; of :math:`u_4` only the sign matters.
    lam : float
        Must exceed :math:`|u_4|/(u_2^2 c_{min})`, or G is not bounded below.

    Raises
    ------
    ValueError
        If shapes do not fit or a number is outside its range.

    Examples
    --------
    >>> from nnmoments.moments import TensorMoment
    >>> from nnmoments.linalg import outer_power
    >>> T4 = TensorMoment(np.sqrt(24.0) * outer_power(np.eye(2), 4).sum(axis=0))
    >>> loss = HermiteLoss(np.sqrt(2.0) * np.eye(2), T4, u2=1.0, u4=1.0, lam=2.0)
    >>> round(loss.value(np.array([np.sqrt(2.0), 0.0])), 12)
    -2.0
    """

    second: Array = field(repr=False)
    fourth: FourthMoment = field(repr=False)
    u2: float
    u4: float
    lam: float

    def __post_init__(self) -> None:
        _check(self)

    def value_and_gradient(self, z: Array) -> tuple[float, Array]:
        """Return G(z) and its gradient from one pass over the moments.

        Parameters
        ----------
        z : (d,) array

        Returns
        -------
        value : float
        gradient : (d,) array

        Raises
        ------
        ValueError
            If z does not fit the moment.
        """
        z = check_array("z", z, shape=(self.fourth.d,))
        cubic = self.fourth.cubic(z[None])[1][0]
        moved = self.second @ z
        excess = z @ moved / _H2 - self.u2
        sign = math.copysign(1.0, self.u4)
        value = -sign * (cubic @ z) / _H4 + self.lam * excess**2
        gradient = -sign * 4.0 / _H4 * cubic + self.lam * 4.0 / _H2 * excess * moved
        return float(value), gradient

    def hessian(self, z: Array) -> Array:
        """Return the Hessian.

        Parameters
        ----------
        z : (d,) array

        Returns
        -------
        (d, d) array

        Raises
        ------
        ValueError
            If z does not fit the moment.
        """
        z = check_array("z", z, shape=(self.fourth.d,))
        moved = self.second @ z
        excess = z @ moved / _H2 - self.u2
        curvature = self.fourth.pairs(z[None])[0, 0]
        penalty = 4.0 * np.outer(moved, moved) + 4.0 / _H2 * excess * self.second
        return -math.copysign(12.0 / _H4, self.u4) * curvature + self.lam * penalty


@dataclass(frozen=True)
class SimultaneousLoss(SmoothLoss):
    r"""G(W) of GP Appendix B.4, (1)-(2), whose minimiser has the columns of the inverse as rows.

    .. math:: G(W) = s \sum_{j \ne k} E[f \psi(w_j, w_k)] - s\gamma \sum_j E[f H_4(w_j \cdot x)]
                     + \lambda \sum_j (E[f H_2(w_j \cdot x)] - u_2)^2,
              \qquad \psi(v, w) = \frac{1}{\sqrt{24}} S_4(x)(v, v, w, w), \quad s = \mathrm{sgn}(u_4)

    GP print :math:`\psi = H_2 H_2 + 2(v^\top w)^2 + 4 (v^\top x)(w^\top x) v^\top w`; in
    :math:`S_4(v, v, w, w) = He_2 He_2 - 4 (v^\top x)(w^\top x) v^\top w + 2 (v^\top w)^2` the sign is
    minus, and the squares are not normalised.

    Parameters
    ----------
    second : (d, d) array
    fourth : FourthMoment
    u2, u4, lam : float
        As in `HermiteLoss`.
    gamma : float
        At most a small constant; GP suggest 0.01.
    printed : bool
        Take psi as printed, to see what it does.
    mean : float
        E[f], of which only the printed psi wants to know.

    Raises
    ------
    ValueError
        If shapes do not fit or a number is outside its range.

    Examples
    --------
    >>> from nnmoments.moments import TensorMoment
    >>> from nnmoments.linalg import outer_power
    >>> T4 = TensorMoment(np.sqrt(24.0) * outer_power(np.eye(2), 4).sum(axis=0))
    >>> T2 = np.sqrt(2.0) * np.eye(2)
    >>> loss = SimultaneousLoss(T2, T4, u2=1.0, u4=1.0, lam=2.0, gamma=0.01)
    >>> round(loss.value(np.eye(2)), 12)
    -0.02
    """

    second: Array = field(repr=False)
    fourth: FourthMoment = field(repr=False)
    u2: float
    u4: float
    lam: float
    gamma: float = 0.01
    printed: bool = False
    mean: float = 0.0

    def __post_init__(self) -> None:
        _check(self)
        check_number("gamma", self.gamma, above=0.0)
        check_number("mean", self.mean)

    def value_and_gradient(self, W: Array) -> tuple[float, Array]:
        """Return G(W) and its gradient from one pass over the moments.

        Parameters
        ----------
        W : (k, d) array

        Returns
        -------
        value : float
        gradient : (k, d) array

        Raises
        ------
        ValueError
            If W does not fit the moment.
        """
        W = check_array("W", W, shape=(None, self.fourth.d))
        every, own = self.fourth.cubic(W)
        sign = math.copysign(1.0, self.u4)
        data = sign / _H4 * (every - (1.0 + self.gamma) * own)
        moved = W @ self.second
        excess = np.sum(W * moved, axis=1) / _H2 - self.u2
        value = np.sum(data * W) + self.lam * np.sum(excess**2)
        gradient = 4.0 * data + self.lam * 4.0 / _H2 * excess[:, None] * moved
        if self.printed:
            extra, slope = self._misprint(W, moved)
            value, gradient = value + sign * extra, gradient + sign * slope
        return float(value), gradient

    def _misprint(self, W: Array, moved: Array) -> tuple[float, Array]:
        r"""Return the sum over j != k of E[f (psi_printed - psi')] and its gradient.

        psi' = S_4/2, the multiple that agrees with H_2 H_2: they differ by
        :math:`(v^\top w)^2 + 6 (v^\top x)(w^\top x)\,v^\top w`, whose mean is
        :math:`6\,T_2(v, w)\,v^\top w + 7\,E[f]\,(v^\top w)^2`. Scaled to psi like the rest.
        """
        gram = W @ W.T
        cross = moved @ W.T
        np.fill_diagonal(gram, 0.0)
        np.fill_diagonal(cross, 0.0)
        scale = 2.0 / _H4
        value = scale * np.sum(6.0 * cross * gram + 7.0 * self.mean * gram**2)
        slope = 12.0 * (gram @ moved + cross @ W) + 28.0 * self.mean * gram @ W
        return float(value), scale * slope

    @finite_result("W")
    def hessian(self, W: Array) -> Array:
        """Return the Hessian of the corrected loss, whatever `printed` says.

        Parameters
        ----------
        W : (k, d) array

        Returns
        -------
        (k d, k d) array

        Raises
        ------
        ValueError
            If W does not fit the moment.
        """
        k, d = (W := check_array("W", W, shape=(None, self.fourth.d))).shape
        held = self.fourth.pairs(W)
        own = held[range(k), range(k)]
        sign = math.copysign(1.0, self.u4)
        blocks = 8.0 * sign / _H4 * held
        blocks[range(k), range(k)] = sign / _H4 * (4.0 * (own.sum(axis=0) - own) - 12.0 * self.gamma * own)
        moved = W @ self.second
        excess = np.sum(W * moved, axis=1) / _H2 - self.u2
        for j in range(k):
            blocks[j, j] += self.lam * (
                4.0 * np.outer(moved[j], moved[j]) + 4.0 / _H2 * excess[j] * self.second
            )
        return blocks.transpose(0, 2, 1, 3).reshape(k * d, k * d)


def _check(loss: HermiteLoss | SimultaneousLoss) -> None:
    """Check what both losses on T_2 and T_4 are made of."""
    check_instance("fourth", loss.fourth, FourthMoment)
    check_array("second", loss.second, shape=(loss.fourth.d, loss.fourth.d))
    check_number("u2", loss.u2)
    check_number("u4", loss.u4)
    check_number("lam", loss.lam, above=0.0)


class SphereLoss(SmoothLoss):
    r"""The constrained form: :math:`-\mathrm{sgn}(u_l)\,E[f h_l(z \cdot x)]` on the unit sphere, even l >= 4.

    For orthonormal weights this is :math:`-|u_l| \sum_i c_i (w_i \cdot z)^l`, whose minima are the
    weights up to sign. As a function of any z it is taken at :math:`z/\|z\|`. Only samples whose label
    is not zero are touched, O(n d) a gradient.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    y : (n,) array_like
    l : int
        Even, 4 or more.
    sign : float
        Of :math:`u_l`.

    Raises
    ------
    ValueError
        If shapes do not fit, l is not even, or the sign is not 1 or -1.

    References
    ----------
    GP Appendix B.1.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50_000, 2))
    >>> loss = SphereLoss(X, X[:, 0] > 2.5, 4)
    >>> loss.value(np.array([1.0, 0.0])) < loss.value(np.array([0.0, 1.0]))
    True
    """

    def __init__(self, X: npt.ArrayLike, y: npt.ArrayLike, l: int, *, sign: float = 1.0) -> None:
        X, y = check_samples(X, y)
        y = check_array("y", y, ndim=1)
        l = check_integer("l", l, 4)
        if l % 2:
            raise ValueError(f"l must be even, got {l}")
        sign = float(check_choice("sign", sign, (1.0, -1.0)))
        on = y != 0.0
        self._X, self.l = X[on], l
        self._y = -sign * y[on] / len(y) / math.sqrt(math.factorial(l))
        self.d = X.shape[1]

    def _unit(self, z: Array) -> tuple[Array, float]:
        z = check_array("z", z, shape=(self.d,))
        if not z.any():
            raise ValueError("z must not be zero: it has no direction")
        norm = float(np.linalg.norm(z))
        return z / norm, norm

    def value_and_gradient(self, z: Array) -> tuple[float, Array]:
        r"""Return the loss at :math:`z/\|z\|` and its gradient in z, from one pass over the active samples.

        Parameters
        ----------
        z : (d,) array

        Returns
        -------
        value : float
        gradient : (d,) array
        """
        z, norm = self._unit(z)
        top, next_, below = score_power(self._X, z, self.l)
        slots = (self._y * next_) @ self._X - (self.l - 1) * (self._y @ below) * z
        return float(self._y @ top), self.l / norm * (slots - (slots @ z) * z)

    def hessian(self, z: Array) -> Array:
        """Return the Hessian on the unit sphere; z itself spans its kernel where z is stationary.

        Parameters
        ----------
        z : (d,) array
            Taken at length 1.

        Returns
        -------
        (d, d) array
        """
        l, z = self.l, self._unit(z)[0]
        top, _, below = score_power(self._X, z, l)
        within = (self._X.T * (self._y * below)) @ self._X - (self._y @ below) * np.eye(self.d)
        # Terms with z outside drop out of the projection.
        across = np.eye(self.d) - np.outer(z, z)
        return l * (l - 1) * across @ within @ across - l * (self._y @ top) * across


@dataclass(frozen=True, eq=False, repr=False)
class Minima(Result):
    """What `find_minima` found.

    Attributes
    ----------
    points : (m, d) array
        One of each pair z, -z, deepest first.
    values : (m,) array
    end_points : list of EndPoint
        Their gradients and curvatures.
    n_starts : int
        Descents.
    rejected : int
        Of these, ends that were no minima, or shallower ones between those kept.
    converged : bool
        Whether all that were asked for were found.
    status : str

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> from nnmoments.moments import TensorMoment
    >>> T4 = TensorMoment(np.sqrt(24.0) * outer_power(np.eye(2), 4).sum(axis=0))
    >>> loss = HermiteLoss(np.sqrt(2.0) * np.eye(2), T4, u2=1.0, u4=1.0, lam=2.0)
    >>> found = find_minima(loss, np.eye(2), 2, rng=0)
    >>> found.values.round(6), [end.kind for end in found.end_points]
    (array([-2., -2.]), ['minimum', 'minimum'])
    """

    points: Array
    values: Array
    end_points: list[EndPoint] = field(repr=False)
    n_starts: int
    rejected: int
    converged: bool
    status: str


# Minima of the landscape are orthogonal in the metric of T_2; a mixture of two has cosine 0.7 with each.
_SEPARATE = 0.5
_SAME = 0.99


def find_minima(
    loss: SmoothLoss,
    metric: npt.ArrayLike,
    count: int,
    *,
    radius: float = 1.0,
    max_starts: int | None = None,
    rng: Any = None,
) -> Minima:
    r"""Find all `count` pairs of minima of a landscape: restarts with deflation, each end classified.

    A start is uniform on the ellipsoid :math:`z^\top M z = r^2`, in the M-orthogonal complement of
    the minima found before; the descent is on the loss itself. An end counts if its gradient is zero
    and its Hessian has no negative eigenvalue. Of minima that are not nearly M-orthogonal the deepest
    is kept: noise and products of units make shallow ones between the true ones.

    Parameters
    ----------
    loss : SmoothLoss
        Of a (d,) array, even in z.
    metric : (d, d) array_like
        M, positive definite on the span that is searched: :math:`T_2` for `HermiteLoss`, I for
        `SphereLoss`. Only its `count` leading eigenvectors are used.
    count : int
        Pairs of minima, at most d.
    radius : float
        Of the starts; :math:`(\sqrt2\,u_2)^{1/2}` for `HermiteLoss`.
    max_starts : int, optional
        By default 6 a minimum.
    rng : optional
        Seed or generator.

    Returns
    -------
    Minima

    Raises
    ------
    ValueError
        If M is not positive on `count` directions, or an argument is outside its range.

    References
    ----------
    GP Section 2, Claims 1 and 2; "estimating all columns and then inverting".

    Examples
    --------
    >>> from nnmoments.moments import TensorMoment
    >>> from nnmoments.linalg import outer_power
    >>> T4 = TensorMoment(np.sqrt(24.0) * outer_power(np.eye(3), 4).sum(axis=0))
    >>> loss = HermiteLoss(np.sqrt(2.0) * np.eye(3), T4, u2=1.0, u4=1.0, lam=2.0)
    >>> found = find_minima(loss, np.eye(3), 3, rng=0)
    >>> points = np.abs(found.points)
    >>> found.converged, points[np.argmax(points, axis=0)].round(3)
    (True, array([[1.414, 0.   , 0.   ],
                  [0.   , 1.414, 0.   ],
                  [0.   , 0.   , 1.414]]))
    """
    check_instance("loss", loss, SmoothLoss)
    metric = check_array("metric", metric, ndim=2)
    metric = check_array("metric", metric, shape=(len(metric), len(metric)))
    count = check_integer("count", count, 1, len(metric))
    radius = check_number("radius", radius, above=0.0)
    limit = 6 * count if max_starts is None else check_integer("max_starts", max_starts, 1)
    rng = check_rng("rng", rng)
    eigenvalues, vectors = np.linalg.eigh(metric)
    leading, vectors = eigenvalues[-count:], vectors[:, -count:]
    if leading[0] <= 0.0:
        raise ValueError(
            f"metric must be positive on {count} directions, got an eigenvalue {leading[0]:.1e}: lower "
            "count, or pass more samples"
        )
    white = vectors / np.sqrt(leading)  # z = white @ v has z^T M z = |v|^2
    candidates: list[tuple[float, Array, Array, EndPoint]] = []
    kept: list[tuple[float, Array, Array, EndPoint]] = []
    starts = rejected = 0
    while len(kept) < count and starts < limit:
        v = rng.standard_normal(count)
        for _, _, other, _ in kept:
            v -= (v @ other) * other
        starts += 1
        descent = quasi_newton(loss, radius * white @ (v / np.linalg.norm(v)))
        if not np.isfinite(descent.value):
            rejected += 1
            continue
        z, end = descent.weights, classify(loss, descent.weights)
        inner = white.T @ metric @ z
        norm = float(np.linalg.norm(inner))
        if end.kind != "minimum" or norm == 0.0:
            rejected += 1
            continue
        inner /= norm
        if all(abs(inner @ other) < _SAME for _, _, other, _ in candidates):
            candidates.append((loss.value(z), z, inner, end))
        kept = _deepest(candidates)
    converged = len(kept) == count
    status = f"{len(kept)} of {count} minima from {starts} starts"
    if not converged:
        status += ": pass more samples or another threshold; the landscape of these moments lacks them"
    return Minima(
        np.array([z for _, z, _, _ in kept]).reshape(len(kept), len(metric)),
        np.array([value for value, _, _, _ in kept]),
        [end for _, _, _, end in kept],
        starts,
        rejected + len(candidates) - len(kept),
        converged,
        status,
    )


def _deepest(
    candidates: list[tuple[float, Array, Array, EndPoint]],
) -> list[tuple[float, Array, Array, EndPoint]]:
    """Keep the deepest of each set of candidates that are not nearly orthogonal."""
    kept: list[tuple[float, Array, Array, EndPoint]] = []
    for one in sorted(candidates, key=lambda c: c[0]):
        if all(abs(one[2] @ other[2]) < _SEPARATE for other in kept):
            kept.append(one)
    return kept


def weights_from_minima(points: npt.ArrayLike) -> Array:
    r"""Return unit rows :math:`w_i` from multiples of the columns of :math:`(\mathrm{diag}(\sqrt c) W)^{-1}`.

    With fewer minima than dimensions, from the pseudo-inverse: the rows in the span of the minima.
    Signs are not determined by even moments.

    Parameters
    ----------
    points : (k, d) array_like
        Minima, one a row.

    Returns
    -------
    (k, d) array

    Raises
    ------
    ValueError
        If they are linearly dependent, or one is zero.

    References
    ----------
    GP Section 2: "estimating all columns and then inverting".

    Examples
    --------
    >>> W = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> weights_from_minima(3.0 * np.linalg.inv(W).T).round(12) + 0.0
    array([[1. , 0. ],
           [0.6, 0.8]])
    """
    points = check_array("points", points, ndim=2)
    points = scaled(points, axis=1)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    units = points / np.maximum(lengths, np.finfo(np.float64).tiny)
    if np.linalg.svd(units, compute_uv=False)[-1] < 1e-8:
        raise ValueError("points must be linearly independent")
    rows = np.linalg.pinv(units.T)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def scaled(tensor: Array, axis: int | None = None) -> Array:
    """Return a tensor, or its slices, times powers of two that bring the largest entries near one.

    Nothing is rounded, and no square overflows.

    Parameters
    ----------
    tensor : array
    axis : int, optional
        Along which the largest entry is looked for; all by default.

    Examples
    --------
    >>> scaled(np.array([3e300, 4e300])).round(3)
    array([0.56 , 0.747])
    """
    return np.ldexp(tensor, -np.frexp(np.abs(tensor).max(axis=axis, keepdims=True))[1])
