"""Control variates: labels less what a moment does not see."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.preprocessing import PolynomialFeatures

from nnmoments.chunks import row_chunks
from nnmoments.moments.crossfit import cross_fit, fold_slices
from nnmoments.moments.samples import MAX_MOMENT_ORDER, TOO_LARGE, as_samples, check_weight_range
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_instance, check_integer, check_sample_weight

__all__ = ["ControlVariate", "control_residuals"]


@dataclass(frozen=True, eq=False)
class ControlVariate(Comparable):
    r"""Which part of the labels to remove before a moment of order m is averaged.

    :math:`E[p(x) S_m(x)] = 0` for every polynomial p of degree below m. So y may be replaced by
    :math:`y - \hat p(x)`, its residual after least squares on such polynomials: the mean stays,
    the variance falls. The sample is cut into folds, and each is corrected by the polynomial
    fitted to the others: given that polynomial its correction has mean zero, so the estimate is
    unbiased exactly.

    Attributes
    ----------
    degree : int, optional
        Degree of the polynomials, at most m - 1 (the default).
    basis : (d, k) array, optional
        Use polynomials of V^T x only, which is much cheaper. If x is N(0, I) and E[y|x] depends on
        V^T x alone, as for a network whose weights V spans, other polynomials remove nothing.
    folds : int
        At least 2.

    Notes
    -----
    There are :math:`\binom{d + p}{p}` polynomials of degree up to p; the fit costs their square a
    sample. With an estimated score the identity holds only as far as the estimate does: the
    correction then has mean :math:`-E[\hat p(x) \hat S_m(x)]`.

    Examples
    --------
    >>> ControlVariate(degree=1).describe(3)
    'polynomials of degree <= 1 in x (2-fold)'
    """

    degree: int | None = None
    basis: Array | None = None
    folds: int = 2

    def resolve(self, order: int) -> int:
        """Return the degree used for a moment of the given order.

        Parameters
        ----------
        order : int
            m.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If `degree` is not from 0 to m - 1.
        """
        return order - 1 if self.degree is None else check_integer("degree", self.degree, 0, order - 1)

    def describe(self, order: int) -> str:
        """Say what is removed.

        Parameters
        ----------
        order : int
            m.

        Returns
        -------
        str
        """
        where = "x" if self.basis is None else f"{np.shape(self.basis)[1]} projections of x"
        return f"polynomials of degree <= {self.resolve(order)} in {where} ({self.folds}-fold)"


def control_residuals(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    control: ControlVariate,
    order: int,
    *,
    sample_weight: npt.ArrayLike | None = None,
) -> Array:
    """Return the labels less their cross-fitted polynomial of degree < order.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    control : ControlVariate
    order : int
        Order of the moment that the residuals are meant for.
    sample_weight : (n,) array_like, optional
        Of the fits; a sample without weight has a residual all the same.

    Returns
    -------
    (n,) or (n, n_y) array

    Raises
    ------
    ValueError
        If a fold is too small for the number of polynomials, or an argument does not fit.

    Notes
    -----
    The memory is that of the residuals, as large as y, and of one chunk; X may be memory-mapped.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((1000, 2))
    >>> bool(np.abs(control_residuals(X, 3 + X[:, 0], ControlVariate(), 2)).max() < 1e-12)
    True
    """
    check_instance("control", control, ControlVariate)
    order = check_integer("order", order, 1, MAX_MOMENT_ORDER)
    X, y = as_samples(X, y, None)
    w = check_sample_weight(sample_weight, len(X))
    if w is not None:
        check_weight_range(w)
    degree = control.resolve(order)
    basis = control.basis
    if basis is not None:
        basis = check_array("basis", basis, shape=(X.shape[1], None))
    width = X.shape[1] if basis is None else basis.shape[1]
    count = math.comb(width + degree, degree)
    number = check_integer("folds", control.folds, 2)
    if len(X) + -len(X) // number < 2 * count:  # all but the largest fold
        raise ValueError(
            f"X has too few samples, {len(X)}, to fit {count} polynomials of degree <= {degree} on "
            f"{number} folds; lower the degree or give a basis"
        )
    folds = fold_slices(len(X), number)
    features = PolynomialFeatures(degree).fit(np.zeros((1, width)))
    labels = y.reshape(len(y), -1)

    def points(part: slice) -> Array:
        chunk = check_array("X", X[part])
        return chunk if basis is None else chunk @ basis

    # Polynomials of shifted and scaled points are the same space, better conditioned.
    some = points(row_chunks(len(X), count)[0])
    with np.errstate(over="ignore"):
        centre, spread = some.mean(axis=0), some.std(axis=0)
    if not np.isfinite(spread).all():
        raise ValueError(TOO_LARGE)
    spread[spread == 0.0] = 1.0

    def chunks(fold: slice) -> Iterator[tuple[slice, Array]]:
        for rows in row_chunks(fold.stop - fold.start, count):
            part = slice(fold.start + rows.start, fold.start + rows.stop)
            yield part, features.transform((points(part) - centre) / spread)

    # Normal equations of each fold, so that those of all others are a sum.
    def equations(fold: slice) -> Array:
        total = np.zeros((count, count + labels.shape[1]))
        for part, polynomials in chunks(fold):
            weighted = polynomials if w is None else polynomials * w[part, None]
            total[:, :count] += weighted.T @ polynomials
            total[:, count:] += weighted.T @ check_array("y", labels[part])
        return total

    def fit(others: list[tuple[slice, Array]]) -> Array:
        normal, target = np.split(np.sum([sums for _, sums in others], axis=0), [count], axis=1)
        # Unit diagonal, so that the cut-off for dependent polynomials does not depend on units.
        scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), np.finfo(float).tiny))
        scaled = normal * scale[:, None] * scale
        return scale[:, None] * np.linalg.lstsq(scaled, scale[:, None] * target, rcond=1e-12)[0]

    residuals = np.array(labels, dtype=np.float64)

    def leave(coefficients: Array, own: tuple[slice, Array]) -> None:
        for part, polynomials in chunks(own[0]):
            residuals[part] -= polynomials @ coefficients

    try:
        with np.errstate(over="ignore", invalid="ignore"):
            cross_fit([(fold, equations(fold)) for fold in folds], fit, leave)
    except np.linalg.LinAlgError as error:
        raise ValueError(TOO_LARGE) from error
    if not np.isfinite(residuals).all():
        raise ValueError(TOO_LARGE)
    return residuals.reshape(y.shape)
