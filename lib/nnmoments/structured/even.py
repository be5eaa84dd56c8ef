r"""Even activations: the correlation with :math:`h_4(z \cdot x)` on the sphere, threshold or none."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.landscapes.hermite import weights_from_minima
from nnmoments.networks import HiddenPolynomial
from nnmoments.networks.coefficients import shifted_coefficient
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_choice, check_integer

__all__ = ["EvenForm", "ellipsoid_rows", "even_form", "sphere_maxima"]


class EvenForm(Comparable):
    r"""The form :math:`F(z) = \sum_i a_i z_i^4 + \sum_{i<j} g_{ij} z_i^2 z_j^2`, :math:`\|z\| = 1`.

    Parameters
    ----------
    quartic : (k,) array_like
        :math:`a_i = u_4\,C(\{i\})`.
    mixed : (k, k) array_like
        :math:`g_{ij} = \sqrt6\,u_2^2\,C(\{i, j\})`, symmetric with a zero diagonal.

    Attributes
    ----------
    sign : float
        +1 if the weights are maxima of F, -1 if of -F: the sign of the :math:`a_i`.

    Raises
    ------
    ValueError
        If the shapes do not belong together.

    References
    ----------
    GP Theorem 9.

    Examples
    --------
    >>> form = EvenForm([1.0, 2.0], [[0.0, 0.5], [0.5, 0.0]])
    >>> form([0.6, 0.8]).round(4), form.sign, form.margin
    (array([1.064]), 1.0, 2.5)
    """

    def __init__(self, quartic: npt.ArrayLike, mixed: npt.ArrayLike) -> None:
        self.quartic = check_array("quartic", quartic, ndim=1)
        self.mixed = check_array("mixed", mixed, shape=(len(self.quartic), len(self.quartic)))
        self.sign = math.copysign(1.0, float(self.quartic.sum()))

    def __call__(self, coordinates: npt.ArrayLike) -> Array:
        r"""Return F at coordinates :math:`z_i = w_i \cdot z`, (q, k)."""
        coordinates = np.atleast_2d(check_array("coordinates", coordinates, ndim=(1, 2)))
        squares = check_array("coordinates", coordinates, shape=(None, len(self.quartic))) ** 2
        return squares**2 @ self.quartic + 0.5 * np.einsum("qi,ij,qj->q", squares, self.mixed, squares)

    @property
    def margin(self) -> float:
        r"""The least :math:`\pm(a_i + a_j - g_{ij})` over pairs: the weights are the only maxima if positive.

        Moving mass between two coordinates, :math:`z_i^2 \pm s`, changes F by
        :math:`(a_i + a_j - g_{ij}) s^2` in the mean.
        """
        i, j = np.triu_indices(len(self.quartic), 1)
        if len(i) == 0:
            return math.inf
        return float(np.min(self.sign * (self.quartic[i] + self.quartic[j] - self.mixed[i, j])))


def even_form(network: HiddenPolynomial, *, printed: bool = False) -> EvenForm:
    r"""Return the form of :math:`E[f\,h_4(z \cdot x)]` for an even activation and orthonormal weights.

    .. math:: E[f h_4(z \cdot x)] = u_4 \sum_i C(\{i\})\,z_i^4
              + \sqrt6\,u_2^2 \sum_{i<j} C(\{i, j\})\,z_i^2 z_j^2, \qquad
              C(S) = \sum_{S' \supseteq S} c_{S'} u_0^{|S'| - |S|}

    Parameters
    ----------
    network : HiddenPolynomial
        With orthonormal weights, an even activation, and each unit at most once a term.
    printed : bool
        Take 6 for the root of 6, as the paper does.

    Returns
    -------
    EvenForm

    Raises
    ------
    ValueError
        If the weights are not orthonormal, or the activation is not even.

    References
    ----------
    GP Theorem 9 and Appendix D.3. The proof has 6 for :math:`\sqrt6`, and a term
    :math:`3 u_2 z_i^2 (2\|z\|^2 - 1)` which by Lemma 9 must vanish at :math:`\|z\| = 1`.

    Examples
    --------
    >>> from nnmoments.activations import cosine
    >>> network = HiddenPolynomial(np.eye(2), cosine, {(0,): 1.0, (1,): 1.0, (0, 1): 0.5})
    >>> z = np.array([0.6, 0.8])
    >>> bool(np.isclose(even_form(network)(z)[0], network.hermite_moment(4, z)[0]))
    True
    """
    if not np.allclose(network.weights @ network.weights.T, np.eye(network.k), atol=1e-9):
        raise ValueError("network must have orthonormal weights")
    if network.activation.parity != 1:
        raise ValueError(f"network must have an even activation, got {network.activation.name}")
    u0, u2, u4 = (network.activation.hermite_coefficient(m) for m in (0, 2, 4))
    k = network.k
    quartic = np.array([u4 * shifted_coefficient(network.terms, [i], u0, reduced=True) for i in range(k)])
    mixed = np.zeros((k, k))
    for i in range(k):
        for j in range(i):
            seen = shifted_coefficient(network.terms, [i, j], u0, reduced=True)
            mixed[i, j] = mixed[j, i] = (6.0 if printed else math.sqrt(6.0)) * u2**2 * seen
    return EvenForm(quartic, mixed)


def sphere_maxima(fourth: npt.ArrayLike, count: int, *, sign: float = 1.0, rng: Any = None) -> Array:
    r"""Find `count` maxima of :math:`\pm T_4(z, z, z, z)` on the unit sphere, one of each pair z, -z.

    The best of a few shifted power iterations, each followed by one in the complement of what was
    found; every maximum is polished on the whole sphere.

    Parameters
    ----------
    fourth : (d, d, d, d) array_like
        T_4, symmetric.
    count : int
        At most d.
    sign : {1.0, -1.0}
    rng : optional
        Seed or generator.

    Returns
    -------
    (count, d) array

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> T = outer_power(np.eye(2), 4).sum(axis=0)
    >>> np.abs(sphere_maxima(T, 2, rng=0)).sum(axis=0).round(6)
    array([1., 1.])
    """
    check_choice("sign", sign, (1.0, -1.0))
    T = sign * check_array("fourth", fourth, ndim=4)
    d = len(T)
    count = check_integer("count", count, 1, d)
    rng = np.random.default_rng(rng)
    left = np.eye(d)
    found: list[Array] = []
    for _ in range(count):
        inner = np.einsum("abcd,ia,jb,kc,ld->ijkl", T, left, left, left, left, optimize=True)
        ends = [_climb(inner, rng.standard_normal(len(left))) for _ in range(5)]
        z = max(ends, key=lambda z, inner=inner: _quartic(inner, z))  # type: ignore[misc]
        polished = _climb(T, z @ left)
        # Noise can let one maximum vanish into the slope of another: then the restricted one stands.
        taken = bool(found) and float(np.abs(np.array(found) @ polished).max()) > 0.7
        found.append(z @ left if taken else polished)
        left = np.linalg.svd(z[None])[2][1:] @ left
    return np.array(found)


def ellipsoid_rows(
    second: npt.ArrayLike, fourth: npt.ArrayLike, k: int, *, sign: float = 1.0, rng: Any = None
) -> Array:
    r"""Return unit rows from the maxima of :math:`\pm T_4(z, z, z, z)` on :math:`z^\top T_2 z = 1`.

    GP's landscape G(z) at :math:`\lambda \to \infty`, on the k leading eigenvectors of :math:`T_2`. Faster
    than descents on G where there are many weights, and it has no lambda.

    Parameters
    ----------
    second, fourth : (d, d), (d, d, d, d) array_like
    k : int
    sign : {1.0, -1.0}
    rng : optional

    Returns
    -------
    (k, d) array
        Up to sign; (0, d) if :math:`T_2` is not positive on k directions, or two maxima are the same.

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> W = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> rows = ellipsoid_rows(W.T @ W, outer_power(W, 4).sum(axis=0), 2, rng=0)
    >>> np.abs(rows @ W.T).max(axis=0).round(6)
    array([1., 1.])
    """
    second = check_array("second", second, ndim=2)
    k = check_integer("k", k, 1, len(second))
    values, vectors = np.linalg.eigh(second)
    if values[-k] <= 0.0:
        return np.zeros((0, len(values)))
    white = vectors[:, -k:] / np.sqrt(values[-k:])
    inner = np.einsum("abcd,ai,bj,ck,dl->ijkl", np.asarray(fourth), white, white, white, white, optimize=True)
    try:
        return weights_from_minima(sphere_maxima(inner, k, sign=sign, rng=rng) @ white.T)
    except ValueError:  # two of them are the same
        return np.zeros((0, len(values)))


def _quartic(T: Array, z: Array) -> float:
    return float(np.einsum("abcd,a,b,c,d->", T, z, z, z, z, optimize=True))


def _climb(T: Array, start: Array) -> Array:
    """Maximise T(z, z, z, z) on the sphere by steps that never go down."""
    d = len(T)
    z = start / np.linalg.norm(start)
    matrix = T.reshape(d * d, d * d)
    # Kolda and Mayo (2011): with a shift that makes T(z, z, z, z) + a |z|^4 convex every step is an ascent;
    # T(z, z, ., .) has no eigenvalue below the least one of the flattened tensor.
    eigenvalues = np.linalg.eigvalsh(matrix)
    # A little more, so that no step ends at zero.
    shift = max(0.0, -float(eigenvalues[0])) + 1e-3 * float(np.abs(eigenvalues).max())
    for _ in range(1000):
        held = (matrix @ np.outer(z, z).reshape(-1)).reshape(d, d)
        new = held @ z + shift * z
        norm = float(np.linalg.norm(new))
        if norm == 0.0:  # T is zero
            break
        new /= norm
        moved = float(np.abs(new - z).max())
        z = new
        if moved < 1e-9:
            break
    return np.asarray(z)
