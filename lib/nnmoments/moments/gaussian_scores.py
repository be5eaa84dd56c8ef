r"""Contractions of the score tensors of N(0, I), the Hermite tensors, in the one place that knows them.

.. math:: S_2 = xx^\top - I, \qquad S_3 = x^{\otimes 3} - 3\,\mathrm{sym}(x \otimes I), \qquad
          S_4 = x^{\otimes 4} - 6\,\mathrm{sym}(xx^\top \otimes I) + 3\,\mathrm{sym}(I \otimes I)
"""

from collections.abc import Sequence

import numpy as np

from nnmoments.hermite import homogeneous_powers
from nnmoments.linalg import symmetrize
from nnmoments.validation import Array

__all__ = ["from_raw_moments", "lower_cubic", "lower_pairs", "score_power", "score_products"]


def score_power(X: Array, z: Array, l: int) -> tuple[Array, Array, Array]:
    r"""Return the scores :math:`S_l(x)` of N(0, I) with z in l, l - 1 and l - 2 slots, as polynomials.

    With :math:`P_m = \|z\|^m He_m(z \cdot x/\|z\|)`: the values :math:`P_l, P_{l-1}, P_{l-2}` by which
    x, z and I enter,

    .. math:: S_l(z^{l-1}, \cdot) = P_{l-1}\,x - (l-1) P_{l-2}\,z.

    Parameters
    ----------
    X : (n, d) array
    z : (d,) array
    l : int
        At least 2.

    Returns
    -------
    top, next, below : (n,) array
        :math:`P_l, P_{l-1}, P_{l-2}`.

    Examples
    --------
    >>> [p.tolist() for p in score_power(np.array([[2.0, 0.0]]), np.array([1.0, 0.0]), 2)]
    [[3.0], [2.0], [1.0]]
    """
    powers = homogeneous_powers(l, X @ z, z @ z)
    return powers[l], powers[l - 1], powers[l - 2]


def score_products(X: Array, y: Array, block: Array, directions: Array | None, order: int) -> Array:
    r"""Return :math:`\sum_i y_i S_m(x_i)(I, B, \alpha, \dots, \alpha)` for each direction, (r, d, q).

    With :math:`P_j` the j-th power along alpha (`score_power`),

    .. math:: S_m(I, I, \alpha^{m-2}) = P_{m-2}\,(xx^\top - I) - (m-2) P_{m-3}\,(x\alpha^\top + \alpha x^\top)
              + (m-2)(m-3) P_{m-4}\,\alpha\alpha^\top.

    Parameters
    ----------
    X : (n, d) array
    y : (n,) array
    block : (d, q) array
        B.
    directions : (r, d) array or None
        The alphas; None for order 2.
    order : int
        m, at least 2.

    Examples
    --------
    >>> score_products(np.array([[2.0, 0.0]]), np.ones(1), np.eye(2), None, 2)
    array([[[ 3.,  0.],
            [ 0., -1.]]])
    """
    m, images = order, X @ block
    if directions is None:
        return (X.T @ (y[:, None] * images) - y.sum() * block)[None]
    squares = np.sum(directions**2, axis=1)
    powers = [y[:, None] * P for P in homogeneous_powers(m - 2, X @ directions.T, squares)]
    total = np.empty((len(directions), *block.shape))
    for r, alpha in enumerate(directions):
        weighted, held = powers[m - 2][:, r], alpha @ block
        total[r] = X.T @ (weighted[:, None] * images) - weighted.sum() * block
        if m > 2:
            first = (m - 2) * (powers[m - 3][:, r] @ X)
            total[r] -= np.outer(first, held) + np.outer(alpha, first @ block)
        if m > 3:
            total[r] += (m - 2) * (m - 3) * powers[m - 4][:, r].sum() * np.outer(alpha, held)
    return total


def from_raw_moments(raw: Sequence[Array]) -> list[Array]:
    r"""Return :math:`E[y S_m]` from :math:`E[y\,x^{\otimes m}]`, both for m = 0, 1, ... up to 4.

    Parameters
    ----------
    raw : sequence of arrays
        Of shapes (), (d,), (d, d), ...

    Examples
    --------
    >>> from_raw_moments([np.array(1.0), np.array([2.0]), np.array([[4.0]])])[2]
    array([[3.]])
    """
    found = list(raw)
    if len(raw) > 2:
        eye = np.eye(len(raw[1]))
        found[2] = raw[2] - raw[0] * eye
    if len(raw) > 3:
        found[3] = symmetrize(raw[3] - 3.0 * np.multiply.outer(raw[1], eye))
    if len(raw) > 4:
        squares = 3.0 * raw[0] * np.multiply.outer(eye, eye)
        found[4] = symmetrize(raw[4] - 6.0 * np.multiply.outer(raw[2], eye) + squares)
    return found


def lower_cubic(A: Array, mean: float, moved: Array) -> tuple[Array, Array]:
    r"""Return what :math:`L = T_4 - E[y\,x^{\otimes 4}]` is contracted with rows :math:`a_i` of A.

    :math:`\sum_j L(\cdot, a_i, a_j, a_j)` and :math:`L(\cdot, a_i, a_i, a_i)`, both (k, d).

    Parameters
    ----------
    A : (k, d) array
    mean : float
        E[y].
    moved : (k, d) array
        :math:`A\,E[y\,xx^\top]`.

    Examples
    --------
    >>> x2 = np.array([[4.0]])  # x = 2: He_4 - x^4 = 3 - 6 x^2
    >>> lower_cubic(np.array([[1.0]]), 1.0, x2)
    (array([[-21.]]), array([[-21.]]))
    """
    norms = np.sum(A**2, axis=1)
    energy = np.sum(A * moved, axis=1)
    gram, cross = A @ A.T, A @ moved.T
    every = mean * (norms.sum() * A + 2.0 * gram @ A)
    every -= moved * norms.sum() + A * energy.sum() + 2.0 * (cross @ A + gram @ moved)
    own = 3.0 * (mean * norms[:, None] * A - moved * norms[:, None] - A * energy[:, None])
    return every, own


def lower_pairs(A: Array, mean: float, second: Array) -> Array:
    r"""Return :math:`L(\cdot, \cdot, a_i, a_j)`, (k, k, d, d), for L as in `lower_cubic`.

    Parameters
    ----------
    A : (k, d) array
    mean : float
        E[y].
    second : (d, d) array
        :math:`E[y\,xx^\top]`.

    Examples
    --------
    >>> lower_pairs(np.array([[1.0]]), 1.0, np.array([[4.0]]))
    array([[[[-21.]]]])
    """
    moved, eye = A @ second, np.eye(A.shape[1])
    gram, cross = (A @ A.T)[:, :, None, None], (A @ moved.T)[:, :, None, None]
    outer = A[:, None, :, None] * A[None, :, None, :]
    crossed = A[:, None, :, None] * moved[None, :, None, :]
    crossed = crossed + crossed.transpose(1, 0, 2, 3)
    constant = mean * (eye * gram + outer + outer.swapaxes(2, 3))
    return constant - (second * gram + eye * cross + crossed + crossed.swapaxes(2, 3))
