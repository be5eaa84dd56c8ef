r"""Units known up to sign: regress the labels on units of both signs, and keep the stronger side."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation, get_activation
from nnmoments.linalg import weighted_least_squares
from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_samples

__all__ = ["BothSigns", "regress_both_signs"]

# An opposite unit is stronger only by more than this share: less is rounding where the two are dependent.
_STRONGER = 1e-6
# Units that a descent found twice agree to its tolerance only: together they count as one.
_SAME = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class BothSigns(Result):
    r"""Coefficients of units of both signs.

    Attributes
    ----------
    units : (k, d) array
    activation : Activation
    forward : (k,) array
        Of :math:`\phi(\langle w_i, x\rangle)`.
    backward : (k,) array
        Of :math:`\phi(-\langle w_i, x\rangle)`; zero for odd and even activations.
    linear : (k,) array
        Of :math:`\langle w_i, x\rangle`; zero if not asked for.
    intercept : float

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((100, 1))
    >>> found = regress_both_signs(X, np.maximum(-3.0 * X[:, 0], 0.0), [[1.0]], "relu")
    >>> found.signs, found.backward.round(6), found.predict([[-2.0]]).round(6)
    (array([-1.]), array([3.]), array([6.]))
    """

    units: Array
    activation: Activation
    forward: Array
    backward: Array
    linear: Array
    intercept: float

    @property
    def signs(self) -> Array:
        """The stronger side of each unit: 1 or -1, (k,)."""
        weaker = np.abs(self.backward) > (1.0 + _STRONGER) * np.abs(self.forward)
        return np.where(weaker, -1.0, 1.0)

    def predict(self, X: npt.ArrayLike) -> Array:
        """Return the regression's values.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array

        Raises
        ------
        ValueError
            If the shape does not fit or a number is not finite.
        """
        images = check_array("X", X, shape=(None, self.units.shape[1])) @ self.units.T
        values = self.activation(images) @ self.forward + self.activation(-images) @ self.backward
        return np.asarray(values + images @ self.linear + self.intercept)


def regress_both_signs(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    units: npt.ArrayLike,
    activation: str | Activation,
    *,
    linear: bool = False,
    fit_intercept: bool = False,
    sample_weight: npt.ArrayLike | None = None,
) -> BothSigns:
    r"""Fit labels by least squares on units of both signs, as even moments leave them.

    .. math:: y \approx \sum_i a_i\,\phi(\langle w_i, x\rangle) + b_i\,\phi(-\langle w_i, x\rangle)
              + c_i\,\langle w_i, x\rangle + c

    Where features are dependent the shortest solution is taken; odd and even activations have one side.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like
    units : (k, d) array_like
        Rows :math:`w_i`.
    activation : str or Activation
    linear, fit_intercept : bool
        Whether there are terms :math:`c_i` and c.
    sample_weight : (n,) array_like, optional

    Returns
    -------
    BothSigns

    Raises
    ------
    ValueError
        If shapes do not fit or a number is not finite.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((100, 2))
    >>> y = np.maximum(X[:, 0], 0) - np.maximum(-X[:, 1], 0)
    >>> found = regress_both_signs(X, y, np.eye(2), "relu")
    >>> found.signs, found.forward.round(6) + 0.0, found.backward.round(6) + 0.0
    (array([ 1., -1.]), array([1., 0.]), array([ 0., -1.]))
    """
    X, y = check_samples(X, y)
    y = check_array("y", y, ndim=1)
    units = check_array("units", units, shape=(None, X.shape[1]))
    phi = get_activation(activation)
    images = X @ units.T
    none = images[:, :0]
    sides = [phi(images), phi(-images) if phi.parity == 0 else none, images if linear else none]
    found, intercept = weighted_least_squares(
        np.hstack(sides), y, fit_intercept=fit_intercept, sample_weight=sample_weight, rcond=_SAME
    )
    parts = np.split(found, np.cumsum([side.shape[1] for side in sides])[:2])
    forward, backward, slope = (part if len(part) else np.zeros(len(units)) for part in parts)
    return BothSigns(units, phi, forward, backward, slope, intercept)
