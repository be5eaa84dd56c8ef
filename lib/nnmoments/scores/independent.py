"""Local likelihood for inputs with independent coordinates: one-dimensional fits, exact structure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from nnmoments.densities.base import Derivative, Diagonal, ScoreModel
from nnmoments.scores.bandwidth import NearestNeighbor
from nnmoments.scores.local_likelihood import LocalLikelihood
from nnmoments.validation import check_array, check_integer

__all__ = ["IndependentLocalLikelihood"]


# Effective samples a fit must rest on; the fourth power of a score makes a bad one in the tail costly.
_SUPPORT = 200.0


class IndependentLocalLikelihood(ScoreModel):
    """Score model of independent coordinates, each fitted by local likelihood on a grid.

    A d-dimensional window needs a number of samples exponential in d; d one-dimensional ones do not. Every
    derivative is diagonal, so contractions cost O(d). The fits are made on a grid of quantiles and
    interpolated by monotone cubics, O(n) a grid point, whatever the number of points asked for.

    Parameters
    ----------
    X : (n, d) array_like
        The sample; its coordinates must be independent, which is not checked.
    degree : int
        Of the local polynomials, 1 to 4.
    bandwidth : float or NearestNeighbor
    grid : int
        Points a coordinate.

    Raises
    ------
    ValueError
        If an argument does not fit, or no window of a coordinate holds enough samples for the degree.

    Notes
    -----
    Where windows hold too few samples, at the ends, the values of the last good fit are used.

    Examples
    --------
    >>> from nnmoments.densities import Logistic, iid
    >>> X = iid(Logistic(), 2).sample(20_000, rng=0)
    >>> model = IndependentLocalLikelihood(X, degree=4, bandwidth=NearestNeighbor(0.5))
    >>> bool(np.abs(model.score([[1.0, 0.0]], 1) - [[np.tanh(0.5), 0.0]]).max() < 0.05)
    True
    """

    def __init__(
        self,
        X: npt.ArrayLike,
        *,
        degree: int = 4,
        bandwidth: float | NearestNeighbor,
        shrinkage: float = 1000.0,
        grid: int = 256,
    ) -> None:
        X = check_array("X", X, ndim=2)
        self.d = X.shape[1]
        grid = check_integer("grid", grid, 8)
        self.degree = check_integer("degree", degree, 1, 4)
        self._splines: list[list[PchipInterpolator]] = []
        self._ends: list[tuple[float, float]] = []
        for axis, column in enumerate(X.T):
            low, high = float(column.min()), float(column.max())
            # Half the grid follows the quantiles, half covers the range evenly.
            spread = float(np.diff(np.quantile(column, [0.01, 0.99]))[0]) or high - low
            quantiles = np.quantile(column, np.linspace(0.0, 1.0, grid // 2))
            places = np.unique(np.concatenate([quantiles, np.linspace(low, high, grid - grid // 2)]))
            places = places[np.concatenate([[True], np.diff(places) > 1e-6 * spread])]
            model = LocalLikelihood(column[:, None], degree=degree, bandwidth=bandwidth, shrinkage=shrinkage)
            fitted = model.fit_at(places[:, None])
            kept = (fitted.status == 0) & (fitted.effective >= min(_SUPPORT, 0.25 * len(X)))
            if kept.sum() < 2:
                raise ValueError(
                    f"bandwidth leaves too few samples of X's column {axis} in every window for degree "
                    f"{degree}: widen it, lower the degree, or pass more samples ({fitted.message})"
                )
            self._splines.append(
                [PchipInterpolator(places[kept], G[kept].reshape(-1)) for G in fitted.derivatives]
            )
            self._ends.append((float(places[kept][0]), float(places[kept][-1])))

    def __repr__(self) -> str:
        return f"IndependentLocalLikelihood(d={self.d}, degree={self.degree})"

    def log_derivatives(self, X: npt.ArrayLike, order: int) -> Sequence[Derivative | None]:
        """Return the diagonal estimates of G_1, ..., G_order; None above the degree."""
        points = check_array("X", X, shape=(None, self.d))
        found: list[Derivative | None] = []
        for j in range(order):
            if j >= self.degree:
                found.append(None)
                continue
            columns = [self._splines[a][j](np.clip(points[:, a], *self._ends[a])) for a in range(self.d)]
            found.append(Diagonal(np.column_stack(columns)))
        return found
