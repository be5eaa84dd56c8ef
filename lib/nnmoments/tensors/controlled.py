r"""Algorithm 1 of ZS, better: control variates, all slices of the tensor, the labels regressed."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation
from nnmoments.densities import StandardNormal
from nnmoments.linalg import outer_power
from nnmoments.moments import ControlVariate, SampledMoment, control_residuals, cross_moment
from nnmoments.networks import BothSigns, regress_both_signs
from nnmoments.tensors.decomposition import decompose_symmetric
from nnmoments.tensors.initialization import Problem, TensorInitialization, check_problem
from nnmoments.tensors.magnitudes import fit_magnitudes, magnitudes_from_moments
from nnmoments.tensors.orders import MomentChoice, choose_moments
from nnmoments.tensors.subspace import Subspace, leading_subspace
from nnmoments.validation import Array, check_choice, check_integer, check_rng

__all__ = ["tensor_initialize"]

# Passes stop when one gains less than this share of what is unexplained, or when less than this share
# of the labels' variance is: from there any descent is at the truth in a step or two.
_GAIN, _EXPLAINED = 0.1, 1e-8


def tensor_initialize(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    k: int,
    activation: str | Activation,
    *,
    fit_intercept: bool = False,
    max_iter: int = 8,
    partition: bool = False,
    sample_weight: npt.ArrayLike | None = None,
    rng: Any = None,
) -> TensorInitialization:
    r"""Estimate :math:`w_i, v_i` of :math:`E[y|x] = \sum_i v_i\phi(\langle w_i, x\rangle)`, x ~ N(0, I).

    The steps of `tensor_method`, each better: control variates under every moment, all slices of
    the tensor with a least-squares refinement, and for homogeneous activations a regression of the
    labels for magnitudes and signs. It costs O(n d^2), for a regression on all inputs.

    Parameters
    ----------
    X : (n, d) array_like
        Standard Gaussian inputs: whiten others first.
    y : (n,) array_like
    k : int
        Number of neurons, at most d.
    activation : str or Activation
    fit_intercept : bool
        Whether the labels may hold a constant beside the network's.
    max_iter : int
        Most passes, see the notes.
    partition : bool
        Use a third of the sample for each of the three steps, instead of all of it for each. There
        are no further passes then.
    sample_weight : (n,) array_like, optional
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
    >>> found = tensor_initialize(X, y, 2, "squared_relu", rng=0)
    >>> lengths = np.sort(np.abs(found.weights).max(axis=1))
    >>> np.sort(found.output), np.allclose(lengths, [1, 2], atol=0.1)
    (array([-1.,  1.]), True)
    """
    sample = check_problem(X, y, k, activation, sample_weight)
    choice = choose_moments(sample.activation)
    check_choice("fit_intercept", fit_intercept, (True, False))
    check_choice("partition", partition, (True, False))
    max_iter = check_integer("max_iter", max_iter, 1)
    rng = check_rng("rng", rng)
    if partition:
        parts = [_Labels(part, part.y) for part in sample.parts(3, rng)]
        return _estimate(parts, choice, fit_intercept, rng)
    best = _estimate([_Labels(sample, sample.y)] * 3, choice, fit_intercept, rng)
    for n_iter in range(2, max_iter + 1):
        if best.unexplained < _EXPLAINED:
            break
        found = _estimate([_split(sample, best.weights)] * 3, choice, fit_intercept, rng)
        gain = 1.0 - found.unexplained / best.unexplained
        best = replace(found if gain > 0.0 else best, n_iter=n_iter)
        if gain < _GAIN:
            break
    return best


@dataclass(frozen=True)
class _Labels:
    """Labels as units whose moments are known, a constant, and a residual."""

    sample: Problem
    residuals: Array
    split: BothSigns | None = None

    def known(self, order: int) -> tuple[Array, Array]:
        """Return unit rows u_i and coefficients of the known part of the moment, sum_i a_i u_i^(x)m."""
        if self.split is None:
            return np.zeros((0, self.sample.d)), np.zeros(0)
        lengths = np.linalg.norm(self.split.units, axis=1)
        lengths[lengths == 0.0] = 1.0  # such a unit is a constant: its part of the moment vanishes
        sizes = np.array([self.sample.activation.moment_coefficient(order, scale=s) for s in lengths])
        known = (self.split.forward + (-1) ** order * self.split.backward) * sizes
        return self.split.units / lengths[:, None], (
            known + self.split.linear * lengths if order == 1 else known
        )


def _split(sample: Problem, units: Array) -> _Labels:
    """Regress the labels on units, the residual of each half with the coefficients of the other."""
    n = len(sample.X)
    residuals = np.array(sample.y)
    total = 0.0
    for own, other in ((slice(0, n // 2), slice(n // 2, n)), (slice(n // 2, n), slice(0, n // 2))):
        fitted = regress_both_signs(
            sample.X[other],
            sample.y[other],
            units,
            sample.activation,
            linear=True,
            fit_intercept=True,
            sample_weight=sample.sample_weight[other],
        )
        residuals[own] -= fitted.predict(sample.X[own])
        share = sample.sample_weight[own].sum() / sample.sample_weight.sum()
        total = total + share * np.stack([fitted.forward, fitted.backward, fitted.linear])
    forward, backward, linear = np.asarray(total)
    return _Labels(sample, residuals, replace(fitted, forward=forward, backward=backward, linear=linear))


def _estimate(
    labels: list[_Labels], choice: MomentChoice, fit_intercept: bool, rng: np.random.Generator
) -> TensorInitialization:
    """Take the three steps of Algorithm 1, each with its labels."""
    first, second, third = labels
    span = _span(first, choice.subspace, rng)  # ZS lines 3 and 4
    # Projected samples are standard Gaussian in k dimensions.
    Z = second.sample.X @ span.basis
    # One start: noise here is that of samples, and a poor start shows in the labels.
    R3 = _moment(second, Z, span.basis, choice.tensor)  # line 5
    found = decompose_symmetric(R3, n_starts=1, max_iter=60, rng=rng)  # line 6
    sample = third.sample
    if third is not second:
        Z = sample.X @ span.basis
    if sample.activation.homogeneity:  # line 7
        small = fit_magnitudes(
            found.factors,
            Z,
            sample.y,
            sample.activation,
            fit_intercept=fit_intercept,
            sample_weight=sample.sample_weight,
        )
    else:
        small = magnitudes_from_moments(
            found.factors,
            lambda order: _moment(third, Z, span.basis, order),
            sample.activation,
            mean=float(sample.weighted.mean()),
        )
    return TensorInitialization(
        small.weights @ span.basis.T,
        small.output,
        span,
        found,
        choice,
        sample.unexplained(sample.activation(Z @ small.weights.T) @ small.output),
        1,
        span.converged and found.converged,
        found.status if span.converged else span.status,
    )


def _span(labels: _Labels, order: int, rng: np.random.Generator) -> Subspace:
    """Return the span of the weights: P_2 along k random directions alpha where its order is above 2."""
    sample = labels.sample
    directions = rng.standard_normal((sample.k, sample.d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    residuals = _less_polynomial(sample, sample.X, labels.residuals, 1, 2)
    sampled = SampledMoment(sample.X, residuals * sample.sample_weight, order=order)
    units, sizes = labels.known(order)
    # (r, units): the known part contracted with each alpha
    contracted = sizes * (directions @ units.T) ** (order - 2)

    def operator(block: Array) -> Array:
        image = sampled.matmat(block, directions)
        return image + (units.T * contracted[: len(image), None, :]) @ (units @ block)

    # Sampling moves the span by far more than this tolerance.
    return leading_subspace(operator, sample.d, sample.k, tol=1e-4, rng=rng)


def _less_polynomial(sample: Problem, X: Array, y: Array, degree: int, order: int) -> Array:
    """Return control residuals of the highest degree, up to the one given, that the sample allows."""
    while degree >= 0 and len(X) < 4 * math.comb(X.shape[1] + degree, degree):
        degree -= 1
    if degree < 0:
        return y
    control = ControlVariate(degree=degree)
    # Without weights the sums are those of equal weights, but for rounding.
    weight = None if np.all(sample.sample_weight == 1.0) else sample.sample_weight
    return control_residuals(X, y, control, order, sample_weight=weight)


def _moment(labels: _Labels, Z: Array, basis: Array, order: int) -> Array:
    """Return the moment in the span: the average over the sample and the known part."""
    y = _less_polynomial(labels.sample, Z, labels.residuals, order - 1, order)
    density = StandardNormal(Z.shape[1])
    average = cross_moment(Z, y * labels.sample.sample_weight, density, order).value
    units, sizes = labels.known(order)
    if len(units) == 0:
        return average
    return np.asarray(average + np.tensordot(sizes, outer_power(units @ basis, order), 1))
