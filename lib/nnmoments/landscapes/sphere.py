r"""Maxima of a fourth moment on the unit sphere, and on the ellipsoid that a second moment spans.

For orthonormal weights :math:`\pm T_4(z, z, z, z) = \sum_i c_i (w_i \cdot z)^4` has its maxima at the
weights, and the ellipsoid :math:`z^\top T_2 z = 1` turns other weights into orthonormal ones.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.landscapes.hermite import scaled, weights_from_minima
from nnmoments.validation import Array, check_array, check_choice, check_integer, check_result, check_rng

__all__ = ["ellipsoid_rows", "sphere_maxima"]


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
        Of the form whose maxima are looked for.
    rng : optional
        Seed or generator of the starts.

    Returns
    -------
    (count, d) array

    Raises
    ------
    ValueError
        If the shape is wrong or a number is outside its range.

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> T = outer_power(np.eye(2), 4).sum(axis=0)
    >>> np.abs(sphere_maxima(T, 2, rng=0)).sum(axis=0).round(6)
    array([1., 1.])
    """
    check_choice("sign", sign, (1.0, -1.0))
    T = sign * _checked_fourth(fourth)
    d = len(T)
    count = check_integer("count", count, 1, d)
    rng = check_rng("rng", rng)
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
    second : (d, d) array_like
        T_2, symmetric.
    fourth : (d, d, d, d) array_like
        T_4, symmetric.
    k : int
        Number of rows.
    sign : {1.0, -1.0}
    rng : optional
        Seed or generator of the starts.

    Returns
    -------
    (k, d) array
        Up to sign; (0, d) if :math:`T_2` is not positive on k directions, or two maxima are the same.

    Raises
    ------
    ValueError
        If a shape is wrong or a number is outside its range.

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> W = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> rows = ellipsoid_rows(W.T @ W, outer_power(W, 4).sum(axis=0), 2, rng=0)
    >>> np.abs(rows @ W.T).max(axis=0).round(6)
    array([1., 1.])
    """
    fourth = _checked_fourth(fourth)
    second = scaled(check_array("second", second, shape=fourth.shape[:2]))
    check_choice("sign", sign, (1.0, -1.0))
    k = check_integer("k", k, 1, len(second))
    values, vectors = np.linalg.eigh(second)
    if values[-k] <= 0.0:
        return np.zeros((0, len(values)))
    white = vectors[:, -k:] / np.sqrt(values[-k:])
    with np.errstate(over="ignore", invalid="ignore"):
        inner = np.einsum("abcd,ai,bj,ck,dl->ijkl", fourth, white, white, white, white, optimize=True)
    check_result("the ratio of second's eigenvalues", inner)
    try:
        return weights_from_minima(sphere_maxima(inner, k, sign=sign, rng=rng) @ white.T)
    except ValueError:  # two of them are the same
        return np.zeros((0, len(values)))


def _checked_fourth(fourth: npt.ArrayLike) -> Array:
    fourth = check_array("fourth", fourth, ndim=4)
    if fourth.shape != fourth.shape[:1] * 4:
        raise ValueError(f"fourth must have four equal axes, got shape {fourth.shape}")
    return scaled(fourth)


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
