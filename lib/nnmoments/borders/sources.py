"""Where labels come from: an oracle that is asked, or a sample; and directions to start from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array, check_array, check_callable, check_sample_weight

__all__ = ["LabelOracle"]

Labels = Callable[[Array], npt.ArrayLike]
Predicate = Callable[[Any], npt.ArrayLike]
Mask = npt.NDArray[np.bool_]

FEWEST = 50  # labels in a band, so that its share is known to 7 %
_FARTHEST = 100.0  # No standard normal number is as large.


class LabelOracle:
    """The points at which f is active, by asking; it counts what it asks.

    Parameters
    ----------
    f : callable
        Labels (n,) of points (n, d).
    active : callable, optional
        Which labels (n,) are active; by default those that are not zero.

    Attributes
    ----------
    n_labels : int
        Labels that were asked for.

    Raises
    ------
    ValueError
        On a call, if f does not give one label for each point, or a default predicate meets NaN.

    Examples
    --------
    >>> oracle = LabelOracle(lambda X: np.maximum(X[:, 0] - 2.0, 0.0))
    >>> oracle(np.array([[3.0, 0.0], [1.0, 0.0]])), oracle.n_labels
    (array([ True, False]), 2)
    """

    def __init__(self, f: Labels, active: Predicate | None = None) -> None:
        self._f = check_callable("f", f)
        self._active = None if active is None else check_callable("active", active)
        self.n_labels = 0

    def __call__(self, X: Array) -> Mask:
        """Return which of the rows of X are active, (n,)."""
        labels = np.asarray(self._f(X))
        if labels.shape != (len(X),):
            raise ValueError(f"f must give one label for each of {len(X)} points, got shape {labels.shape}")
        self.n_labels += len(X)
        if self._active is None:
            return check_array("f", labels) != 0.0
        mask = np.asarray(self._active(labels))
        if mask.shape != labels.shape or mask.dtype.kind not in "biuf":
            raise ValueError(f"active must map labels (n,) to booleans (n,), got {mask.dtype} {mask.shape}")
        return mask.astype(bool)


def normalized(z: Array) -> Array:
    """Return z at length 1."""
    return np.asarray(z / np.linalg.norm(z))


def checked_direction(z: npt.ArrayLike, d: int | None = None) -> Array:
    """Return z, of any length but zero, at length 1."""
    z = check_array("z", z, shape=(d,))
    largest = float(np.abs(z).max())
    if largest == 0.0:
        raise ValueError("z must not be zero")
    return normalized(z if 1e-100 < largest < 1e100 else z / largest)


def checked_unit(z: npt.ArrayLike) -> Array:
    """Return z as it is, of length 1."""
    z = check_array("z", z, ndim=1)
    if np.abs(z).max() > 2.0 or abs(np.linalg.norm(z) - 1.0) > 1e-9:
        raise ValueError(f"z must have length 1, got {z}")
    return z


def checked_sample(
    X: npt.ArrayLike, active: npt.ArrayLike, z: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> tuple[Array, Mask, Array, Array]:
    """Check what a refinement on a sample is given; samples of weight zero are left out.

    Returns X (n, d), booleans (n,), z (d,) at length 1, and weights of samples (n,).
    """
    X = check_array("X", X, ndim=2)
    mask = check_array("active", active, shape=(len(X),)) != 0.0
    given = check_sample_weight(sample_weight, len(X))
    weight = np.ones(len(X)) if given is None else given
    z = checked_direction(z, X.shape[1])
    if not weight.all():
        X, mask, weight = X[weight > 0.0], mask[weight > 0.0], weight[weight > 0.0]
    if len(X) < 20 * FEWEST:
        raise ValueError(f"X must have at least {20 * FEWEST} samples, got {len(X)}")
    largest = max(float(X.max()), -float(X.min()))
    if largest > _FARTHEST:
        raise ValueError(f"X must hold standard normal inputs, got a value of {largest:.1e}: whiten them")
    return X, mask, z, weight


def in_plane(z: Array, points: int, rng: np.random.Generator) -> Array:
    r"""Return standard normal points (points, d) of the plane :math:`z \cdot x = 0`."""
    inside = rng.standard_normal((points, len(z)))
    return inside - np.outer(inside @ z, z)
