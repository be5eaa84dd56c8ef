r"""ZS Algorithm 1: weights of a one-hidden-layer network from moments of Gaussian inputs."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation
from nnmoments.densities import StandardNormal
from nnmoments.linalg import outer_power
from nnmoments.moments import ControlVariate, control_residuals, cross_moment
from nnmoments.moments.forms import SampledMoment
from nnmoments.tensors.decomposition import decompose_symmetric, kcl
from nnmoments.tensors.reconstruction import Reconstruction, fit_magnitudes, recover_magnitudes
from nnmoments.tensors.selection import MomentChoice, choose_moments
from nnmoments.tensors.subspace import Subspace, leading_subspace
from nnmoments.validation import Array, check_choice, check_integer, check_samples

__all__ = ["TensorInitialization", "tensor_initialize"]

# Passes stop when one gains less than this share of what is unexplained, or when less than this share
# of the labels' variance is: from there any descent is at the truth in a step or two.
_GAIN, _EXPLAINED = 0.1, 1e-8


@dataclass(frozen=True)
class TensorInitialization:
    """What Algorithm 1 found, step by step.

    Attributes
    ----------
    weights : (k, d) array
        Rows are neurons.
    output : (k,) array
    subspace : Subspace
        The estimated span of the weights.
    choice : MomentChoice
        The orders of the moments that were used.
    residual : float
        Relative residual of the tensor decomposition: noise in R_3, from 0 to 1.
    unexplained : float
        Share of the labels' variance that the network found leaves.
    passes : int
        Estimates that were made; above one only with control variates.
    status : str
    """

    weights: Array = field(repr=False)
    output: Array
    subspace: Subspace = field(repr=False)
    choice: MomentChoice
    residual: float
    unexplained: float
    passes: int
    status: str


def tensor_initialize(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    k: int,
    activation: Activation,
    *,
    method: str = "controlled",
    passes: int = 8,
    partition: bool = False,
    rng: Any = None,
) -> TensorInitialization:
    r"""Estimate :math:`w_i, v_i` of :math:`E[y|x] = \sum_i v_i\phi(\langle w_i, x\rangle)`, x ~ N(0, I).

    Span of the weights from :math:`P_2`, tensor :math:`R_3 = P_3(V, V, V)` in that span, directions
    from its decomposition, magnitudes and signs from the lowest moments (ZS Algorithm 1).

    Parameters
    ----------
    X : (n, d) array_like
        Standard Gaussian inputs: whiten others first.
    y : (n,) array_like
    k : int
        Number of neurons, at most d.
    activation : Activation
    method : {"controlled", "algorithm1"}
        "algorithm1" is the paper's: plain moments, random projections of R_3 (KCL) and RecMagSign.
        "controlled" has control variates, all slices of the tensor with a least-squares refinement,
        and for homogeneous activations a regression of the labels for magnitudes and signs. It costs
        O(n d^2), for a regression on all inputs.
    passes : int
        Most passes of the controlled method, see the notes.
    partition : bool
        Use a third of the sample for each of the three steps, as the analysis of the paper wants,
        instead of all of it for each. There are no further passes then.
    rng : optional
        Seed or generator: partition, random directions, starting blocks.

    Returns
    -------
    TensorInitialization

    Raises
    ------
    ValueError
        If k > d, shapes do not fit, or no moment of this activation identifies the weights.

    Notes
    -----
    A moment is linear in the labels, and that of a known unit is known:
    :math:`E[\phi(\langle w, x\rangle)S_m(x)] = m_m(\|w\|)\,\bar w^{\otimes m}`. So once there is a
    first estimate, y is split by regression into units along it, whose moments are exact, and a
    residual, whose moments alone are averaged over the sample. The better the estimate the smaller
    the residual and its noise: the whole network is a control variate. Passes are repeated as long
    as each lowers the unexplained share of the labels by a tenth, and the best is returned.

    References
    ----------
    .. [1] K. Zhong, Z. Song, P. Jain, P. L. Bartlett, I. S. Dhillon, arXiv:1706.03175, Algorithm 1.

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> X = np.random.default_rng(0).standard_normal((20_000, 3))
    >>> y = squared_relu(2 * X[:, 0]) - squared_relu(X[:, 1])
    >>> found = tensor_initialize(X, y, 2, squared_relu, rng=0)
    >>> np.sort(found.output), bool(np.abs(np.sort(np.abs(found.weights).max(axis=1)) - [1, 2]).max() < 0.1)
    (array([-1.,  1.]), True)
    """
    X, y = check_samples(X, y)
    if y.ndim != 1:
        raise ValueError(f"y must have shape (n,), got {y.shape}")
    d = X.shape[1]
    k = check_integer("k", k, 1)
    if k > d:
        raise ValueError(
            f"k must be at most d = {d}, got {k}: more weights than dimensions are not independent, and "
            "tensors of order 3 projected on their span determine no more than d of them"
        )
    check_choice("method", method, ("controlled", "algorithm1"))
    if not np.any(y != y[0]):
        raise ValueError("y is constant; moments need labels that vary")
    choice = choose_moments(activation)
    rng = np.random.default_rng(rng)
    controlled = method == "controlled"
    passes = check_integer("passes", passes, 1)
    if partition:
        parts = [np.sort(part) for part in np.array_split(rng.permutation(len(X)), 3)]
        thirds = [_Labels(X[part], y[part], y[part]) for part in parts]
        return _estimate(thirds, k, activation, choice, controlled, rng)
    best = _estimate([_Labels(X, y, y)] * 3, k, activation, choice, controlled, rng)
    for done in range(1, passes if controlled else 1):
        if best.unexplained < _EXPLAINED:
            break
        labels = _split(X, y, best.weights, activation)
        found = _estimate([labels] * 3, k, activation, choice, controlled, rng)
        gain = 1.0 - found.unexplained / best.unexplained
        best = replace(found if gain > 0.0 else best, passes=done + 1)
        if gain < _GAIN:
            break
    return best


@dataclass(frozen=True)
class _Labels:
    r"""Labels as a residual, units and a constant.

    The units are :math:`\sum_i a_i\phi(\langle w_i, x\rangle) + b_i\phi(-\langle w_i, x\rangle)
    + c_i\langle w_i, x\rangle`.
    """

    X: Array
    y: Array
    residuals: Array
    units: Array | None = None
    terms: tuple[Array, Array, Array] | None = None
    activation: Activation | None = None

    def known(self, order: int) -> tuple[Array, Array]:
        """Return unit rows u_i and weights of the known part of the moment, sum_i a_i u_i^(x)m."""
        if self.units is None or self.terms is None or self.activation is None:
            return np.zeros((0, self.X.shape[1])), np.zeros(0)
        lengths = np.linalg.norm(self.units, axis=1)
        forward, backward, linear = self.terms
        sizes = np.array([self.activation.moment_coefficient(order, scale=s) for s in lengths])
        weights = (forward + (-1) ** order * backward) * sizes
        return self.units / lengths[:, None], weights + linear * lengths if order == 1 else weights


def _split(X: Array, y: Array, units: Array, activation: Activation) -> _Labels:
    """Regress the labels on units, the residual of each half with the coefficients of the other."""
    images = X @ units.T
    n, k = images.shape
    features = np.hstack([np.ones((n, 1)), activation(images), activation(-images), images])
    residuals = np.array(y)
    total = np.zeros(3 * k)
    for own, other in ((slice(0, n // 2), slice(n // 2, n)), (slice(n // 2, n), slice(0, n // 2))):
        coefficients = np.linalg.lstsq(features[other], y[other], rcond=None)[0]
        residuals[own] -= features[own] @ coefficients
        total += coefficients[1:] * len(y[own]) / n
    return _Labels(X, y, residuals, units, (total[:k], total[k : 2 * k], total[2 * k :]), activation)


def _estimate(
    samples: list[_Labels],
    k: int,
    activation: Activation,
    choice: MomentChoice,
    controlled: bool,
    rng: np.random.Generator,
) -> TensorInitialization:
    """Take the three steps of Algorithm 1, each with its sample."""
    first, second, third = samples
    d = first.X.shape[1]

    # Span: P_2 along random directions alpha where its order is above 2. ZS step 3.
    directions = rng.standard_normal((1 if not controlled else k, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    labels = first.residuals
    if controlled:
        labels = _less_polynomial(first.X, labels, 1, 2)
    sampled = SampledMoment(first.X, labels, order=choice.subspace)
    units, sizes = first.known(choice.subspace)
    # (r, units): the known part contracted with each alpha
    contracted = sizes * (directions @ units.T) ** (choice.subspace - 2)

    def operator(block: Array) -> Array:
        image = sampled.matmat(block, directions)
        return image + (units.T * contracted[: len(image), None, :]) @ (units @ block)

    # Sampling moves the span by far more than this tolerance.
    subspace = leading_subspace(operator, d, k, tol=1e-4, rng=rng)

    # Tensor in the span: projected samples are standard Gaussian in k dimensions. ZS step 4.
    Z = second.X @ subspace.basis
    tensor = _moment(second, Z, subspace.basis, choice.tensor, controlled)
    if controlled:
        found = decompose_symmetric(tensor, rng=rng)
    else:
        if choice.tensor == 4:  # P_3 = M_4(I, I, I, alpha)
            alpha = rng.standard_normal(k)
            tensor = tensor @ (alpha / np.linalg.norm(alpha))
        found = kcl(tensor, rng=rng)

    # Magnitudes and signs. ZS step 6.
    if third is not second:
        Z = third.X @ subspace.basis
    if controlled and activation.homogeneity:
        small = fit_magnitudes(found.factors, Z, third.y, activation)
    else:
        small = _by_moments(found.factors, third, Z, subspace.basis, activation, choice, controlled)
    left = third.y - activation(Z @ small.weights.T) @ small.output
    return TensorInitialization(
        small.weights @ subspace.basis.T,
        small.output,
        subspace,
        choice,
        found.residual,
        float(np.var(left) / np.var(third.y)),
        1,
        found.status,
    )


def _less_polynomial(X: Array, y: Array, degree: int, order: int) -> Array:
    """Return control residuals of the highest degree, up to the one given, that the sample allows."""
    while degree >= 0 and len(X) < 4 * math.comb(X.shape[1] + degree, degree):
        degree -= 1
    return control_residuals(X, y, ControlVariate(degree=degree), order) if degree >= 0 else y


def _moment(labels: _Labels, Z: Array, basis: Array, order: int, controlled: bool) -> Array:
    """Return the moment in the span: the average over the sample and the known part."""
    y = labels.residuals
    if controlled:
        y = _less_polynomial(Z, y, order - 1, order)
    average = cross_moment(Z, y, StandardNormal(Z.shape[1]), order).value
    units, sizes = labels.known(order)
    if len(units) == 0:
        return np.asarray(average)
    return np.asarray(average + np.tensordot(sizes, outer_power(units @ basis, order), 1))


def _by_moments(
    factors: Array,
    labels: _Labels,
    Z: Array,
    basis: Array,
    activation: Activation,
    choice: MomentChoice,
    controlled: bool,
) -> Reconstruction:
    """Expand the lowest odd and even moments in powers of the factors, and call RecMagSign."""

    def coefficients(order: int | None) -> Array | None:
        if order is None:
            return None
        powers = outer_power(factors, order).reshape(len(factors), -1)
        moment = _moment(labels, Z, basis, order, controlled)
        return np.asarray(np.linalg.lstsq(powers.T, moment.ravel(), rcond=None)[0], dtype=np.float64)

    odd, even = coefficients(choice.odd), coefficients(choice.even)
    if choice.even is None and not activation.homogeneity:
        even = coefficients(3)
    return recover_magnitudes(factors, odd, even, activation, mean=float(labels.y.mean()))
