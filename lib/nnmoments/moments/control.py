"""Control variates: labels less what a moment does not see."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.preprocessing import PolynomialFeatures

from nnmoments.moments.samples import CHUNK_DOUBLES, MAX_MOMENT_ORDER, as_samples
from nnmoments.validation import Array, check_array, check_integer

__all__ = ["ControlVariate", "control_residuals"]


@dataclass(frozen=True)
class ControlVariate:
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
    """

    degree: int | None = None
    basis: Array | None = None
    folds: int = 2

    def resolve(self, order: int) -> int:
        """Return the degree used for a moment of the given order."""
        return order - 1 if self.degree is None else check_integer("degree", self.degree, 0, order - 1)

    def describe(self, order: int) -> str:
        """Say what is removed."""
        where = "x" if self.basis is None else f"{np.shape(self.basis)[1]} projections of x"
        return f"polynomials of degree <= {self.resolve(order)} in {where} ({self.folds}-fold)"


def control_residuals(X: npt.ArrayLike, y: npt.ArrayLike, control: ControlVariate, order: int) -> Array:
    """Return the labels less their cross-fitted polynomial of degree < order.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    control : ControlVariate
    order : int
        Order of the moment that the residuals are meant for.

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
    if not isinstance(control, ControlVariate):
        raise ValueError(f"control must be a ControlVariate, got {type(control).__name__}")
    order = check_integer("order", order, 1, MAX_MOMENT_ORDER)
    X, y = as_samples(X, y, None)
    degree = control.resolve(order)
    folds = check_integer("folds", control.folds, 2)
    basis = control.basis
    if basis is not None:
        basis = check_array("basis", basis, shape=(X.shape[1], None))
    width = X.shape[1] if basis is None else basis.shape[1]
    features = PolynomialFeatures(degree).fit(np.zeros((1, width)))
    count = features.n_output_features_
    edges = np.linspace(0, len(X), folds + 1).astype(int)
    if len(X) - np.diff(edges).max() < 2 * count:
        raise ValueError(
            f"X has too few samples, {len(X)}, to fit {count} polynomials of degree <= {degree} on "
            f"{folds} folds; lower the degree or give a basis"
        )
    labels = y.reshape(len(y), -1)
    rows = max(1, CHUNK_DOUBLES // count)

    def points(part: slice) -> Array:
        chunk = check_array("X", X[part])
        return chunk if basis is None else chunk @ basis

    # Polynomials of shifted and scaled points are the same space, better conditioned.
    some = points(slice(0, rows))
    centre, spread = some.mean(axis=0), some.std(axis=0)
    spread[spread == 0.0] = 1.0

    def chunks(start: int, stop: int) -> Iterator[tuple[slice, Array]]:
        for first in range(start, stop, rows):
            part = slice(first, min(first + rows, stop))
            yield part, features.transform((points(part) - centre) / spread)

    # Normal equations of each fold, so that "all other folds" is a difference.
    gram = np.zeros((folds, count, count))
    right = np.zeros((folds, count, labels.shape[1]))
    for fold in range(folds):
        for part, polynomials in chunks(edges[fold], edges[fold + 1]):
            gram[fold] += polynomials.T @ polynomials
            right[fold] += polynomials.T @ check_array("y", labels[part])
    residuals = np.array(labels, dtype=np.float64)
    for fold in range(folds):
        normal, target = gram.sum(axis=0) - gram[fold], right.sum(axis=0) - right[fold]
        # Unit diagonal, so that the cut-off for dependent polynomials does not depend on units.
        scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), np.finfo(float).tiny))
        scaled = normal * scale[:, None] * scale
        coefficients = np.linalg.lstsq(scaled, scale[:, None] * target, rcond=1e-12)[0]
        for part, polynomials in chunks(edges[fold], edges[fold + 1]):
            residuals[part] -= polynomials @ (scale[:, None] * coefficients)
    return residuals.reshape(y.shape)
