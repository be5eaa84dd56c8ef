"""Bandwidths of local likelihood: Remark 1's rule, and nearest neighbours."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnmoments.validation import Array, check_array, check_integer, check_number, check_result

__all__ = ["NearestNeighbor", "rate_bandwidth"]

# Samples that stand for all when distances to neighbours are wanted; the relative error of a
# bandwidth is about 1 / (d sqrt(share * 1024)).
_LANDMARKS = 1024


def rate_bandwidth(n: int, d: int, degree: int, *, scale: float = 1.0) -> float:
    r"""Return :math:`h = c\, n^{-1/(2p+2+d)}`, the rate of GM Remark 1.

    Parameters
    ----------
    n, d, degree : int
        Sample size, dimension, and degree p of the local polynomial.
    scale : float
        c; the paper has none, but h is a length and needs the data's scale.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a number is not positive.

    Examples
    --------
    >>> round(rate_bandwidth(10_000, 2, 2), 4)
    0.3162
    """
    n, d, degree = check_integer("n", n, 1), check_integer("d", d, 1), check_integer("degree", degree, 1)
    return check_number("scale", scale, above=0.0) * float(n) ** (-1.0 / (2 * degree + 2 + d))  # GM Remark 1


def check_width(name: str, value: Any) -> float:
    """Return the width of a kernel, of which powers up to the eighth are within the range of doubles.

    Raises
    ------
    ValueError
        If they are not, or it is no number above zero.

    Examples
    --------
    >>> check_width("bandwidth", 2)
    2.0
    """
    return check_number(name, value, above=1e-35, below=1e35)


@dataclass(frozen=True)
class NearestNeighbor:
    r"""A bandwidth that grows where samples are rare: half the distance to the share n-th neighbour.

    A share above 1 widens the distance to the farthest sample by :math:`share^{1/d}`.

    Parameters
    ----------
    share : float
        Share of the sample within two bandwidths.

    Examples
    --------
    >>> import numpy as np
    >>> NearestNeighbor(0.5).at(np.zeros((1, 1)), np.linspace(-1, 1, 101)[:, None])
    array([0.25])
    """

    share: float

    def __post_init__(self) -> None:
        check_number("share", self.share, above=0.0, below=1e9)

    def at(self, points: Array, X: Array) -> Array:
        """Return the bandwidth at each point.

        Parameters
        ----------
        points : (q, d) array
        X : (n, d) array
            The sample.

        Returns
        -------
        (q,) array

        Raises
        ------
        ValueError
            If the points do not have the dimension of X.
        """
        X = check_array("X", X, ndim=2)
        points = check_array("points", points, shape=(None, X.shape[1]))
        stride = max(1, len(X) // _LANDMARKS)
        marks = X[::stride][:_LANDMARKS]
        rank = min(max(math.ceil(self.share * len(marks)) - 1, 0), len(marks) - 1)
        centre = np.median(marks, axis=0)
        found = np.empty(len(points))
        rows = max(1, 2**20 // len(marks))
        with np.errstate(over="ignore", invalid="ignore"):
            marks, square = marks - centre, np.sum((marks - centre) ** 2, axis=1)
            for start in range(0, len(points), rows):
                q = points[start : start + rows] - centre
                distances = square - 2.0 * q @ marks.T
                distances.partition(rank, axis=1)
                found[start : start + rows] = distances[:, rank] + np.sum(q**2, axis=1)
        check_result("X or points", found)
        widen = max(self.share, 1.0) ** (1.0 / X.shape[1])
        # Ties would make a distance zero, and a bandwidth is positive.
        floor = 1e-3 * math.sqrt(np.median(square) or square.mean())
        h = np.maximum(0.5 * widen * np.sqrt(np.maximum(found, 0.0)), floor)
        for bandwidth in (h.min(), h.max()):
            check_width("the distance of points and X, as a bandwidth,", float(bandwidth))
        return h
