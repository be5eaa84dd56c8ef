r"""Algorithm 1 of ZS as printed: weights of a one-hidden-layer network from plain moments."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation
from nnmoments.densities import StandardNormal
from nnmoments.moments import SampledMoment, cross_moment
from nnmoments.tensors.decomposition import kcl
from nnmoments.tensors.initialization import TensorInitialization, check_problem
from nnmoments.tensors.magnitudes import magnitudes_from_moments
from nnmoments.tensors.orders import choose_moments
from nnmoments.tensors.subspace import leading_subspace
from nnmoments.validation import Array, check_choice, check_rng

__all__ = ["tensor_method"]


def tensor_method(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    k: int,
    activation: str | Activation,
    *,
    partition: bool = False,
    sample_weight: npt.ArrayLike | None = None,
    rng: Any = None,
) -> TensorInitialization:
    r"""Estimate :math:`w_i, v_i` of :math:`E[y|x] = \sum_i v_i\phi(\langle w_i, x\rangle)`, x ~ N(0, I).

    Span of the weights from :math:`P_2`, tensor :math:`R_3 = P_3(V, V, V)` in that span, directions
    from its decomposition, magnitudes and signs from the lowest moments. `tensor_initialize` is the
    better estimate.

    Parameters
    ----------
    X : (n, d) array_like
        Standard Gaussian inputs: whiten others first.
    y : (n,) array_like
    k : int
        Number of neurons, at most d.
    activation : str or Activation
    partition : bool
        Use a third of the sample for each of the three steps, as the analysis of the paper wants,
        instead of all of it for each, as its experiments do.
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

    References
    ----------
    .. [1] K. Zhong, Z. Song, P. Jain, P. L. Bartlett, I. S. Dhillon, arXiv:1706.03175, Algorithm 1.

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> X = np.random.default_rng(0).standard_normal((100_000, 3))
    >>> y = squared_relu(2 * X[:, 0]) - squared_relu(X[:, 1])
    >>> found = tensor_method(X, y, 2, "squared_relu", rng=0)
    >>> lengths = np.sort(np.abs(found.weights).max(axis=1))
    >>> np.sort(found.output), np.allclose(lengths, [1, 2], atol=0.1)
    (array([-1.,  1.]), True)
    """
    S = check_problem(X, y, k, activation, sample_weight)
    check_choice("partition", partition, (True, False))
    rng = check_rng("rng", rng)
    j = choose_moments(S.activation)  # Definition 5.4: P_2 and P_3 from M_2, M_3, M_4
    S2, S3, S4 = S.parts(3, rng) if partition else [S] * 3  # line 2
    alpha = _unit(S.d, rng)
    P2 = SampledMoment(S2.X, S2.weighted, order=j.subspace)  # line 3: M_j(I, I, alpha, ..., alpha)
    # Sampling moves the span by far more than this tolerance.
    V = leading_subspace(lambda Q: P2.matmat(Q, alpha), S.d, S.k, tol=1e-4, rng=rng)  # line 4
    Z = S3.X @ V.basis
    R3 = _moment(Z, S3.weighted, j.tensor)  # line 5: V^T x is standard Gaussian too
    if j.tensor == 4:
        R3 = R3 @ _unit(S.k, rng)[0]  # P_3 = M_4(I, I, I, alpha)
    u = kcl(R3, rng=rng)  # line 6
    if partition:
        Z = S4.X @ V.basis
    small = magnitudes_from_moments(  # line 7
        u.factors, lambda order: _moment(Z, S4.weighted, order), S.activation, mean=float(S4.weighted.mean())
    )
    left = S4.unexplained(S.activation(Z @ small.weights.T) @ small.output)
    weights = small.weights @ V.basis.T
    return TensorInitialization(weights, small.output, V, u, j, left, 1, u.converged, u.status)


def _moment(Z: Array, y: Array, order: int) -> Array:
    return np.asarray(cross_moment(Z, y, StandardNormal(Z.shape[1]), order).value)


def _unit(d: int, rng: np.random.Generator) -> Array:
    alpha = rng.standard_normal((1, d))
    return np.asarray(alpha / np.linalg.norm(alpha, axis=1, keepdims=True))
