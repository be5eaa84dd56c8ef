r"""RecMagSign: magnitudes and signs of weights whose directions are known up to sign."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from nnmoments.activations import Activation, get_activation
from nnmoments.linalg import outer_power
from nnmoments.networks import regress_both_signs
from nnmoments.results import Result
from nnmoments.tensors.orders import choose_moments
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_choice,
    check_number,
    check_sample_weight,
    check_samples,
)

__all__ = ["Reconstruction", "fit_magnitudes", "magnitudes_from_moments", "recover_magnitudes"]

# Norms among which a non-homogeneous activation's magnitude is looked for.
_NORMS = np.geomspace(0.02, 20.0, 49)
# Of directions and moments, so that products are numbers.
_LARGEST = 1e75


@dataclass(frozen=True, eq=False, repr=False)
class Reconstruction(Result):
    """Weights with their lengths and signs.

    Attributes
    ----------
    weights : (k, d) array
        Rows are neurons.
    output : (k,) array
        v; +-1 for homogeneous activations, where only :math:`v_i |w_i|^q` is determined.

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> c = squared_relu.moment_coefficient(1)
    >>> recover_magnitudes([[1.0, 0.0]], [4.0 * c], [4.0], squared_relu)
    Reconstruction
      weights: [[2. 0.]]
       output: [1.]
    """

    weights: Array
    output: Array


def recover_magnitudes(
    directions: npt.ArrayLike,
    odd: npt.ArrayLike | None,
    even: npt.ArrayLike | None,
    activation: str | Activation,
    *,
    mean: float = 0.0,
) -> Reconstruction:
    r"""Solve for magnitudes and signs from one odd and one even moment. ZS RecMagSign.

    Let :math:`u_i = s_i \bar w_i`, with :math:`s_i = \pm1` unknown. The lowest odd and even
    moments contracted with the dual basis :math:`u_i^+` (:math:`\langle u_i^+, u_j\rangle =
    \delta_{ij}`) give

    .. math:: T_1 = \sum_i z_i u_i, \quad z_i = s_i v_i m_1(\|w_i\|), \qquad
              T_2 = \sum_i r_i u_i u_i^\top, \quad r_i = v_i m_2(\|w_i\|),

    and the same with :math:`u_i^{\otimes 3}` and :math:`m_3`, :math:`u_i^{\otimes 4}` and
    :math:`m_4` where the lower order vanishes. If :math:`\phi` is homogeneous of degree q,
    :math:`m_j(s) = c_j s^q` and v = +-1 without loss: :math:`v_i = \mathrm{sgn}(r_i/c_2)`,
    :math:`\|w_i\| = |r_i/c_2|^{1/q}` (or :math:`|z_i/c_1|^{1/q}` where there is no even moment)
    and :math:`s_i = \mathrm{sgn}(v_i z_i/c_1)`. Note that :math:`c_j` belongs under the root; the
    authors' program divides by it outside.

    Otherwise the ratio of two moments, :math:`m_2(s)/m_1(s)` or :math:`m_3(s)/m_1(s)`, is a
    function of the length alone; its root is bracketed on a grid of norms and found by Brent's
    method, and :math:`v_i = r_i / m_2(s)`. For odd :math:`\phi` (v_i, w_i) and (-v_i, -w_i) are the
    same unit and v_i > 0 is chosen; if only :math:`\phi - \phi(0)` is odd, as for the sigmoid, the
    signs are chosen that explain E[y].

    Parameters
    ----------
    directions : (k, d) array_like
        Unit rows :math:`u_i`.
    odd, even : (k,) array_like or None
        The coefficients :math:`z_i` of the least odd order and :math:`r_i` of the least even one, as
        `choose_moments` names them; for odd activations `even` holds the coefficients of order 3.
    activation : str or Activation
    mean : float
        E[y], used for sigmoid-like activations only.

    Returns
    -------
    Reconstruction

    Raises
    ------
    ValueError
        If neither gives a magnitude, or shapes do not fit.

    References
    ----------
    .. [1] ZS, Algorithm 1, line 7, arXiv:1706.03175. The procedure itself is not in the paper.

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> c = squared_relu.moment_coefficient(1)
    >>> first, third = np.array([-4 * c, 9 * c]), np.array([4.0, -9.0])
    >>> found = recover_magnitudes(np.eye(2), first, third, squared_relu)
    >>> found.weights.round(6) + 0.0, found.output
    (array([[-2.,  0.],
           [ 0., -3.]]), array([ 1., -1.]))
    """
    directions = check_array("directions", directions, ndim=2)
    k = len(directions)
    odd = None if odd is None else check_array("odd", odd, shape=(k,), most=_LARGEST)
    even = None if even is None else check_array("even", even, shape=(k,), most=_LARGEST)
    mean = check_number("mean", mean)
    activation = get_activation(activation)
    choice = choose_moments(activation)
    q = activation.homogeneity
    if q:
        if even is not None and choice.even is not None:
            # An even moment has k (k + 1) / 2 equations or more for the k unknowns, M_1 only k.
            measured = even / activation.moment_coefficient(choice.even)
            output = np.where(measured < 0, -1.0, 1.0)
        elif odd is not None and choice.odd is not None and choice.even is None:
            measured = odd / activation.moment_coefficient(choice.odd)
            output = np.ones(k)  # an odd activation: v > 0 without loss
        else:
            raise ValueError(f"even, or odd for an odd activation, is needed for {activation.name!r}")
        signs = np.ones(k)
        if odd is not None and choice.odd is not None:
            signs = np.where(odd / activation.moment_coefficient(choice.odd) * output < 0, -1.0, 1.0)
        return Reconstruction(directions * (signs * np.abs(measured) ** (1.0 / q))[:, None], output)
    if odd is None or even is None:
        raise ValueError(f"odd and even moments are both needed for the activation {activation.name!r}")
    first, second = choice.odd, choice.even or 3
    assert first is not None
    lengths = np.array([_length(activation, first, second, z, r) for z, r in zip(odd, even, strict=True)])
    low = np.array([activation.moment_coefficient(first, scale=s) for s in lengths])
    high = np.array([activation.moment_coefficient(second, scale=s) for s in lengths])
    if choice.even is not None:
        output = even / high
        signs = np.where(odd / low * output < 0, -1.0, 1.0)
        return Reconstruction(directions * (signs * lengths)[:, None], output)
    output = odd / low
    signs = _explain_mean(output, float(activation(0.0)), mean)
    return Reconstruction(directions * (signs * lengths)[:, None], output * signs)


def _length(activation: Activation, first: int, second: int, z: float, r: float) -> float:
    """Solve |m_second(s) z| = |m_first(s) r| for the norm s, or take the norm that comes nearest."""

    def gap(s: float) -> float:
        return abs(activation.moment_coefficient(second, scale=s) * z) - abs(
            activation.moment_coefficient(first, scale=s) * r
        )

    sizes = np.array([abs(activation.moment_coefficient(first, scale=s)) for s in _NORMS])
    seen = sizes > np.finfo(np.float64).eps * sizes.max()  # a short row stays below a threshold: no moments
    norms, values = _NORMS[seen], np.array([gap(s) for s in _NORMS[seen]])
    crossings = np.flatnonzero(values[:-1] * values[1:] < 0)
    if len(crossings):
        i = crossings[0]
        return float(brentq(gap, norms[i], norms[i + 1], xtol=1e-12))
    return float(norms[np.argmin(np.abs(values) / sizes[seen])])


def _explain_mean(output: Array, offset: float, mean: float) -> Array:
    """Choose signs s_i with sum_i s_i v_i phi(0) nearest to E[y]; all v_i s_i > 0 if phi(0) = 0."""
    positive = np.where(output < 0, -1.0, 1.0)
    if offset == 0.0 or len(output) > 16:
        return positive
    patterns = np.array(list(itertools.product((1.0, -1.0), repeat=len(output))))
    return np.asarray(patterns[np.argmin(np.abs(patterns @ np.abs(output) * offset - mean))] * positive)


def magnitudes_from_moments(
    directions: npt.ArrayLike,
    moment: Callable[[int], Array],
    activation: str | Activation,
    *,
    mean: float = 0.0,
) -> Reconstruction:
    r"""Expand the lowest odd and even moments in powers of the directions, and call `recover_magnitudes`.

    .. math:: \min_z \Big\| M_j - \sum_i z_i u_i^{\otimes j} \Big\|_F

    Parameters
    ----------
    directions : (k, d) array_like
        Unit rows :math:`u_i`.
    moment : callable
        Maps an order j to the moment :math:`M_j`, (d, ..., d).
    activation : str or Activation
    mean : float
        E[y], used for sigmoid-like activations only.

    Returns
    -------
    Reconstruction

    Raises
    ------
    ValueError
        If the moments give no magnitude.

    Examples
    --------
    >>> from nnmoments.activations import relu
    >>> from nnmoments.networks import OneHiddenLayer
    >>> network = OneHiddenLayer([[2.0, 0.0], [0.0, -3.0]], relu, [1.0, -1.0])
    >>> magnitudes_from_moments(np.eye(2), network.moment, "relu").weights.round(6) + 0.0
    array([[ 2.,  0.],
           [ 0., -3.]])
    """
    directions = check_array("directions", directions, ndim=2, most=_LARGEST)
    check_callable("moment", moment)
    activation = get_activation(activation)

    def coefficients(order: int | None) -> Array | None:
        if order is None:
            return None
        powers = outer_power(directions, order).reshape(len(directions), -1)
        T = check_array("moment", moment(order), shape=(directions.shape[1],) * order)
        return np.asarray(np.linalg.lstsq(powers.T, T.ravel(), rcond=None)[0], dtype=np.float64)

    choice = choose_moments(activation)
    odd, even = coefficients(choice.odd), coefficients(choice.even)
    if choice.even is None and not activation.homogeneity:
        even = coefficients(3)
    return recover_magnitudes(directions, odd, even, activation, mean=mean)


def fit_magnitudes(
    directions: npt.ArrayLike,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    activation: str | Activation,
    *,
    fit_intercept: bool = False,
    sample_weight: npt.ArrayLike | None = None,
) -> Reconstruction:
    r"""Fit magnitudes and signs of a homogeneous activation by least squares on the labels.

    .. math:: y \approx \sum_i a_i\,\phi(\langle u_i, x\rangle) + b_i\,\phi(-\langle u_i, x\rangle),

    then each unit keeps its stronger side and the fit is repeated. Labels without noise determine
    the coefficients far better than moments do.

    Parameters
    ----------
    directions : (k, d) array_like
        Unit rows :math:`u_i`.
    X : (n, d) array_like
    y : (n,) array_like
    activation : str or Activation
    fit_intercept : bool
        Whether a constant is fitted beside the units.
    sample_weight : (n,) array_like, optional

    Returns
    -------
    Reconstruction

    Raises
    ------
    ValueError
        If the activation is not homogeneous, or shapes do not fit.

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> X = np.random.default_rng(0).standard_normal((100, 2))
    >>> y = -squared_relu(-2 * X[:, 1])
    >>> fit_magnitudes(np.eye(2), X, y, squared_relu).weights[1].round(6)
    array([-0., -2.])
    """
    directions = check_array("directions", directions, ndim=2)
    activation = get_activation(activation)
    check_choice("fit_intercept", fit_intercept, (True, False))
    q = activation.homogeneity
    if not q:
        raise ValueError(f"activation {activation.name!r} is not homogeneous; use recover_magnitudes")
    X, y = check_samples(X, y, directions.shape[1])
    y = check_array("y", y, ndim=1)
    weight = check_sample_weight(sample_weight, len(y))
    signs = np.ones(len(directions))
    if activation.parity == 0:
        signs = regress_both_signs(
            X, y, directions, activation, fit_intercept=fit_intercept, sample_weight=weight
        ).signs
    signed = signs[:, None] * directions
    features = np.hstack([activation(X @ signed.T), np.ones((len(X), int(bool(fit_intercept))))])
    root = np.ones(len(y)) if weight is None else np.sqrt(weight)
    coefficients = np.linalg.lstsq(features * root[:, None], y * root, rcond=None)[0][: len(directions)]
    lengths = np.abs(coefficients) ** (1.0 / q)
    return Reconstruction(signed * lengths[:, None], np.where(coefficients < 0, -1.0, 1.0))
