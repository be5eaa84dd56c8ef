r"""The moments that GP's landscape is made of: :math:`T_m = E[f\,S_m(x)]`, m up to 4, under N(0, I).

With labels that are mostly zero only the others are touched. With control variates all samples are,
and the noise falls by a factor of three or more.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.moments.crossfit import Rows, cross_fit, fold_rows
from nnmoments.moments.forms import FourthMoment, SampledMoment, TensorMoment
from nnmoments.moments.gaussian_scores import from_raw_moments
from nnmoments.moments.samples import TOO_LARGE, check_weight_range
from nnmoments.results import Result
from nnmoments.validation import Array, check_choice, check_integer, check_sample_weight, check_samples

__all__ = ["HermiteMoments", "active_moments", "controlled_moments"]

# Gradients that the search for one minimum takes, in order of magnitude: decides whether to form T_4.
_GRADIENTS = 100
_CHUNK_DOUBLES = 1 << 22  # of one matrix of products of inputs: long sums of few columns


@dataclass(frozen=True, eq=False, repr=False)
class HermiteMoments(Result):
    r"""Estimates of :math:`T_0` to :math:`T_4` from one sample.

    Attributes
    ----------
    mean : float
    first : (d,) array
    second : (d, d) array
    fourth : FourthMoment
        T_4 by its contractions, from a formed tensor or from the sample.
    n_samples, n_touched : int
        Samples, and those of them that were looked at.
    removed : str

    Examples
    --------
    >>> T4 = TensorMoment(np.zeros((2, 2, 2, 2)))
    >>> HermiteMoments(0.5, np.zeros(2), np.eye(2), T4, n_samples=10, n_touched=3).formed
    True
    """

    mean: float
    first: Array
    second: Array
    fourth: FourthMoment
    n_samples: int
    n_touched: int
    removed: str = "nothing"

    @property
    def formed(self) -> bool:
        """Whether T_4 is a tensor in memory."""
        return isinstance(self.fourth, TensorMoment)


def active_moments(
    X: npt.ArrayLike, y: npt.ArrayLike, *, form: str = "auto", sample_weight: npt.ArrayLike | None = None
) -> HermiteMoments:
    r"""Estimate the moments from the samples whose label is not zero.

    Forming :math:`T_4` takes :math:`d^2(d+1)^2/4` products a sample; a gradient from the sample takes
    4 d. So a search for d minima is cheaper with a formed tensor up to d = 40, and the result is the
    same.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    y : (n,) array_like
        Labels.
    form : {"auto", "tensor", "sample"}
    sample_weight : (n,) array_like, optional
        See `cross_moment`.

    Returns
    -------
    HermiteMoments

    Raises
    ------
    ValueError
        If all labels are zero, or an argument does not fit.

    References
    ----------
    GP Section 2, (E[f H_2], E[f H_4]).

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((20_000, 2))
    >>> moments = active_moments(X, np.maximum(X[:, 0] - 2.0, 0.0))
    >>> moments.formed, moments.n_touched < 1000, moments.second.round(2) + 0.0
    (True, True, array([[0.06, 0.  ], [0.  , 0.  ]]))
    """
    X, y, w = _checked(X, y, sample_weight)
    check_choice("form", form, ("auto", "tensor", "sample"))
    n, d = X.shape
    on = y != 0.0
    touched = int(on.sum())
    if not touched:
        raise ValueError("y must not be zero everywhere; lower the threshold or pass more samples")
    labels = y if w is None else y * (w * (n / w.sum()))
    points, labels = (X[on], labels[on]) if touched < n else (X, labels)
    if form == "auto":
        form = "tensor" if d * (d + 1) ** 2 / 4 <= 4 * d * _GRADIENTS else "sample"
    with np.errstate(over="ignore", invalid="ignore"):
        if form == "tensor":
            T = _Monomials(d).scores(_Monomials(d).sums(points, labels) / n)
            return _result(T[:3], T[4], n, touched)
        mean, first = labels.sum() / n, labels @ points / n
        second = from_raw_moments([mean, first, (points.T * labels) @ points / n])[2]
        fourth = SampledMoment(points, labels * (touched / n))
    return _result([mean, first, second], fourth, n, touched)


def controlled_moments(
    X: npt.ArrayLike, y: npt.ArrayLike, *, folds: int = 5, sample_weight: npt.ArrayLike | None = None
) -> HermiteMoments:
    r"""Estimate the moments with polynomials of degree 4 as control variates.

    .. math:: T_m = T_m(p) + E[(y - p(x))\,S_m(x)], \qquad
              p(x) = \sum_{k \le 4} \frac{1}{k!} \langle T_k, S_k(x) \rangle

    holds for every p, and :math:`T_m(p)` is known since the Hermite tensors are orthogonal: it is the
    :math:`T_m` that was put into p. With p from the other folds the estimate is unbiased, and its
    variance is that of the residual of y after its best polynomial.

    Measured for ten ReLU units at t = 2, d = 10, n = 10^6: the Frobenius error of :math:`T_4` falls from
    0.19 to 0.06. Small samples gain less, since p is noisy itself, and a single direction may gain
    nothing: p is the best polynomial for y, not for y times the score.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    y : (n,) array_like
    folds : int
        At least 2.
    sample_weight : (n,) array_like, optional
        See `cross_moment`.

    Returns
    -------
    HermiteMoments

    Raises
    ------
    ValueError
        If there are fewer than ten samples a polynomial, or an argument does not fit.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((20_000, 2))
    >>> controlled_moments(X, X[:, 0] * X[:, 1]).second.round(1) + 0.0
    array([[0., 1.],
           [1., 0.]])
    """
    X, y, w = _checked(X, y, sample_weight)
    n, d = X.shape
    folds = check_integer("folds", folds, 2)
    polynomials = math.comb(d + 4, 4)
    if n < 10 * polynomials:
        raise ValueError(
            f"X has too few samples, {n}, for {polynomials} polynomials of degree <= 4: at least ten "
            "times as many are needed; pass more, or use active_moments"
        )
    monomials = _Monomials(d)
    labels, mass = (y, float(n)) if w is None else (w * y, float(w.sum()))

    def sums(part: Rows) -> tuple[Rows, float, Array]:
        on = part[y[part] != 0.0]
        weight = float(len(part)) if w is None else float(w[part].sum())
        return part, weight, monomials.sums(X[on], labels[on])

    def fit(others: list[tuple[Rows, float, Array]]) -> list[Array]:
        total = functools.reduce(np.add, [own for _, _, own in others])
        return monomials.scores(total / sum(weight for _, weight, _ in others))

    def apply(known: list[Array], own: tuple[Rows, float, Array]) -> list[Array]:
        part, weight, _ = own
        rest = monomials.residual_sums(X[part], y[part], None if w is None else w[part], known)
        found = zip(known, monomials.scores(rest / weight), strict=True)
        return [(k + r) * (weight / mass) for k, r in found]

    with np.errstate(over="ignore", invalid="ignore"):
        found = cross_fit([sums(part) for part in fold_rows(n, folds)], fit, apply)
        T = [functools.reduce(np.add, terms) for terms in zip(*found, strict=True)]
    removed = f"polynomials of degree <= 4, with their known moments ({folds}-fold)"
    return _result(T[:3], T[4], n, n, removed)


def _result(
    lower: Sequence[Array], fourth: Array | SampledMoment, n: int, touched: int, removed: str = "nothing"
) -> HermiteMoments:
    tensors = [*lower, fourth] if isinstance(fourth, np.ndarray) else lower
    if not all(np.isfinite(T).all() for T in tensors):
        raise ValueError(TOO_LARGE)
    form = TensorMoment(fourth) if isinstance(fourth, np.ndarray) else fourth
    return HermiteMoments(float(lower[0]), lower[1], lower[2], form, n, touched, removed)


def _checked(
    X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> tuple[Array, Array, Array | None]:
    X, y = check_samples(X, y)
    if y.ndim != 1:
        raise ValueError(f"y must have one value a sample, got shape {y.shape}")
    w = check_sample_weight(sample_weight, len(X))
    if w is None:
        return X, y, None
    check_weight_range(w)
    on = w > 0.0
    return X[on], y[on], w[on]


class _Monomials:
    """The vector e(x) of 1, x_i and x_i x_j (i <= j), and what sums of w e e^T say about T_0 to T_4."""

    def __init__(self, d: int) -> None:
        self.d = d
        self.i, self.j = np.triu_indices(d)
        self.place = np.zeros((d, d), dtype=np.intp)
        self.place[self.i, self.j] = self.place[self.j, self.i] = np.arange(len(self.i))
        self.size = 1 + d + len(self.i)

    def _rows(self, X: Array) -> Array:
        e = np.empty((len(X), self.size))
        e[:, 0] = 1.0
        e[:, 1 : 1 + self.d] = X
        np.multiply(X[:, self.i], X[:, self.j], out=e[:, 1 + self.d :])
        return e

    def sums(self, X: Array, w: Array) -> Array:
        """Return the sum of w e e^T."""
        total = np.zeros((self.size, self.size))
        for part in row_chunks(len(X), self.size, doubles=_CHUNK_DOUBLES):
            e = self._rows(X[part])
            total += (e * w[part, None]).T @ e
        return total

    def residual_sums(self, X: Array, y: Array, w: Array | None, known: list[Array]) -> Array:
        """Return the sum of w (y - p) e e^T for the polynomial p with moments `known`."""
        form = self._form(known)
        total = np.zeros((self.size, self.size))
        for part in row_chunks(len(X), self.size, doubles=_CHUNK_DOUBLES):
            e = self._rows(X[part])
            residual = y[part] - np.einsum("ij,ij->i", e @ form, e)
            if w is not None:
                residual *= w[part]
            total += (e * residual[:, None]).T @ e
        return total

    def scores(self, raw: Array) -> list[Array]:
        """Return T_0 to T_4 from the mean of w e e^T: the Hermite tensors in terms of monomials."""
        if not np.isfinite(raw).all():
            raise ValueError(TOO_LARGE)
        d, pairs = self.d, self.place.reshape(-1)
        third = raw[1 : 1 + d, 1 + d :][:, self.place]
        fourth = raw[1 + d :, 1 + d :][np.ix_(pairs, pairs)].reshape(d, d, d, d)
        return from_raw_moments(
            [np.asarray(raw[0, 0]), raw[0, 1 : 1 + d], raw[1 : 1 + d, 1 : 1 + d], third, fourth]
        )

    def _form(self, T: list[Array]) -> Array:
        """Return F with e^T F e = sum over k of <T_k, S_k(x)>/k!."""
        d = self.d
        # An entry i < j of the pairs stands for two entries of a symmetric matrix.
        twice = np.where(self.i == self.j, 1.0, 2.0)
        F = np.zeros((self.size, self.size))
        F[0, 0] = T[0] - np.trace(T[2]) / 2.0 + np.einsum("aabb", T[4]) / 8.0
        F[0, 1 : 1 + d] = T[1] - np.einsum("aab", T[3]) / 2.0
        F[0, 1 + d :] = (T[2] / 2.0 - np.einsum("aabc", T[4]) / 4.0)[self.i, self.j] * twice
        F[1 : 1 + d, 1 + d :] = T[3][:, self.i, self.j] * twice / 6.0
        F[1 + d :, 1 + d :] = T[4][self.i, self.j][:, self.i, self.j] * np.outer(twice, twice) / 24.0
        return F
