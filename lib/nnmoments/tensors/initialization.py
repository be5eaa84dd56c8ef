r"""ZS Algorithm 1: weights of a one-hidden-layer network from moments of Gaussian inputs."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments._validation import Array, check_choice, check_integer, check_samples
from nnmoments.activations import Activation
from nnmoments.densities import StandardNormal
from nnmoments.linalg import outer_power
from nnmoments.moments import ControlVariate, control_residuals, cross_moment
from nnmoments.tensors.decomposition import decompose_symmetric, kcl
from nnmoments.tensors.reconstruction import Reconstruction, fit_magnitudes, recover_magnitudes
from nnmoments.tensors.selection import MomentChoice, choose_moments
from nnmoments.tensors.subspace import MomentOperator, Subspace, leading_subspace

__all__ = ["TensorInitialization", "tensor_initialize"]


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
    status : str
    """

    weights: Array = field(repr=False)
    output: Array
    subspace: Subspace = field(repr=False)
    choice: MomentChoice
    residual: float
    status: str


def tensor_initialize(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    k: int,
    activation: Activation,
    *,
    method: str = "controlled",
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
        and for homogeneous activations a regression of the labels for magnitudes and signs.
    partition : bool
        Use a third of the sample for each of the three steps, as the analysis of the paper wants,
        instead of all of it for each.
    rng : optional
        Seed or generator: partition, random directions, starting blocks.

    Returns
    -------
    TensorInitialization

    Raises
    ------
    ValueError
        If k > d, shapes do not fit, or no moment of this activation identifies the weights.

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
    if partition:
        parts = [np.sort(part) for part in np.array_split(rng.permutation(len(X)), 3)]
        (X2, y2), (X3, y3), (X4, y4) = ((X[part], y[part]) for part in parts)
    else:
        X2 = X3 = X4 = X
        y2 = y3 = y4 = y
    controlled = method == "controlled"

    # Span: P_2 along random directions alpha where its order is above 2. ZS step 3.
    directions = rng.standard_normal((1 if not controlled else k, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    labels = control_residuals(X2, y2, ControlVariate(degree=1), 2) if controlled else y2
    operator = MomentOperator([(X2, labels)], choice.subspace, directions=directions)
    # Sampling moves the span by far more than this tolerance.
    subspace = leading_subspace(operator, d, k, tol=1e-4, rng=rng)

    # Tensor in the span: projected samples are standard Gaussian in k dimensions. ZS step 4.
    Z3, Z4 = X3 @ subspace.basis, X4 @ subspace.basis
    tensor = _moment(Z3, y3, choice.tensor, controlled)
    if controlled:
        found = decompose_symmetric(tensor, rng=rng)
    else:
        if choice.tensor == 4:  # P_3 = M_4(I, I, I, alpha)
            alpha = rng.standard_normal(k)
            tensor = tensor @ (alpha / np.linalg.norm(alpha))
        found = kcl(tensor, rng=rng)

    # Magnitudes and signs. ZS step 6.
    if controlled and activation.homogeneity:
        small = fit_magnitudes(found.factors, Z4, y4, activation)
    else:
        small = _by_moments(found.factors, Z4, y4, activation, choice, controlled)
    weights = small.weights @ subspace.basis.T
    return TensorInitialization(weights, small.output, subspace, choice, found.residual, found.status)


def _moment(Z: Array, y: Array, order: int, controlled: bool) -> Array:
    control = ControlVariate() if controlled else None
    return np.asarray(cross_moment(Z, y, StandardNormal(Z.shape[1]), order, control=control).value)


def _by_moments(
    factors: Array, Z: Array, y: Array, activation: Activation, choice: MomentChoice, controlled: bool
) -> Reconstruction:
    """Expand the lowest odd and even moments in powers of the factors, and call RecMagSign."""

    def coefficients(order: int | None) -> Array | None:
        if order is None:
            return None
        powers = outer_power(factors, order).reshape(len(factors), -1)
        moment = _moment(Z, y, order, controlled)
        return np.asarray(np.linalg.lstsq(powers.T, moment.ravel(), rcond=None)[0], dtype=np.float64)

    odd, even = coefficients(choice.odd), coefficients(choice.even)
    if choice.even is None and not activation.homogeneity:
        even = coefficients(3)
    return recover_magnitudes(factors, odd, even, activation, mean=float(y.mean()))
