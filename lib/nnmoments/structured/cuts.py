r"""Modular learning across a cut of high-threshold units inside a deeper network.

The lower part here is itself a network of two layers: unit i of the cut is active where the energy
:math:`\|V_i x\|^2` of the input in a plane (or subspace) of its own exceeds a threshold,

.. math:: X_i = 1\{\|V_i x\|^2 > \tau\}, \qquad f = P(X_1, \dots, X_k),

with quadratic units in the first layer. :math:`T_4 = E[f S_4]` is a sum over the :math:`X_i`, up to
products, and its contraction :math:`T_4(z, z, \cdot, \cdot)` at a z in one subspace shows the whole subspace.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.landscapes import sphere_maxima
from nnmoments.networks import CutNetwork
from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_choice, check_integer, check_rng

__all__ = ["SubspaceCut", "learn_cut", "subspaces_from_moment"]


_LARGEST = 1e100  # so that squares are numbers
_FEWEST = 50  # samples on a side of a threshold; fewer are noise


@dataclass(frozen=True, eq=False, repr=False)
class SubspaceCut(Result):
    """A learned cut and the polynomial above it.

    Attributes
    ----------
    network : CutNetwork
    additive : CutNetwork
        The same cut with P restricted to its constant and linear part.
    thresholds : (count,) array
        Of the energies.
    explained : float
        Share of the labels' variance that the network explains.
    status : str

    Examples
    --------
    >>> from nnmoments.moments import controlled_moments
    >>> net = CutNetwork([np.eye(2)], [4.0], {(0,): 1.0})
    >>> X = np.random.default_rng(0).standard_normal((20_000, 2))
    >>> fourth = controlled_moments(X, net(X)).fourth.tensor
    >>> found = learn_cut(X, net(X), fourth, 1, 2, degree=1, rng=0)
    >>> found.status.split(", ")[1]
    'whose polynomial of degree 1 explains 100.0% of the variance of y'
    """

    network: CutNetwork = field(repr=False)
    additive: CutNetwork = field(repr=False)
    thresholds: Array
    explained: float
    status: str


def subspaces_from_moment(
    fourth: npt.ArrayLike, count: int, rank: int, *, sign: float = 1.0, rng: Any = None
) -> Array:
    r"""Find orthogonal subspaces from :math:`T_4 = 3 \sum_i \kappa_i\,\mathrm{sym}(\Pi_i \otimes \Pi_i)`.

    A power iteration on the sphere ends at a maximum z of :math:`T_4(z, z, z, z)`, which lies in one
    subspace. There :math:`T_4(z, z, \cdot, \cdot) = \kappa_i (\|z\|^2 \Pi_i + 2 z z^\top)`, whose leading
    eigenvectors span it. Then it is projected out.

    Parameters
    ----------
    fourth : (d, d, d, d) array_like
        T_4.
    count, rank : int
        Subspaces, and the dimension of each.
    sign : {1.0, -1.0}
        Of the kappa.
    rng : optional
        Seed or generator.

    Returns
    -------
    (count, rank, d) array
        With orthonormal rows.

    Raises
    ------
    ValueError
        If T_4 has another shape, or there is no room for so many subspaces.

    References
    ----------
    GP Appendix E, for units of two layers.

    Examples
    --------
    >>> from nnmoments.linalg import symmetrize
    >>> P = np.diag([1.0, 1.0, 0.0])
    >>> frame = subspaces_from_moment(symmetrize(np.multiply.outer(P, P)), 1, 2, rng=0)[0]
    >>> bool(np.allclose(frame.T @ frame, P))
    True
    """
    check_choice("sign", sign, (1.0, -1.0))
    T = sign * _cube(fourth)
    d = len(T)
    rank = check_integer("rank", rank, 1, d)
    count = check_integer("count", count, 1, d // rank)
    rng = check_rng("rng", rng)
    left = np.eye(d)  # rows span what is left
    frames = []
    for _ in range(count):
        inner = np.einsum("abcd,ia,jb,kc,ld->ijkl", T, left, left, left, left, optimize=True)
        z = sphere_maxima(inner, 1, rng=rng)[0]
        vectors = np.linalg.eigh(np.einsum("abcd,a,b->cd", inner, z, z))[1]
        frames.append(vectors[:, -rank:].T @ left)
        left = vectors[:, :-rank].T @ left
    return np.array(frames)


def learn_cut(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    fourth: npt.ArrayLike,
    count: int,
    rank: int,
    *,
    degree: int = 2,
    rng: Any = None,
) -> SubspaceCut:
    r"""Learn the part below the cut from :math:`T_4`, then the part above it by regression.

    Thresholds are where :math:`|\mathrm{corr}(y, 1\{e_i > \tau\})|` is largest; P is least squares of y on
    the products of up to `degree` learned units.

    Parameters
    ----------
    X, y : (n, d), (n,) array_like
    fourth : (d, d, d, d) array_like
        T_4, from these or other samples.
    count, rank : int
        As `subspaces_from_moment`.
    degree : int
        Of P, at most `count`.
    rng : optional
        Seed or generator.

    Returns
    -------
    SubspaceCut

    Raises
    ------
    ValueError
        If X, y and T_4 do not belong together, or there are fewer than 200 samples.

    References
    ----------
    GP Appendix E, Remark 1.

    Examples
    --------
    >>> from nnmoments.moments import controlled_moments
    >>> net = CutNetwork([np.eye(2)], [4.0], {(0,): 1.0})
    >>> X = np.random.default_rng(0).standard_normal((20_000, 2))
    >>> fourth = controlled_moments(X, net(X)).fourth.tensor
    >>> cut = learn_cut(X, net(X), fourth, 1, 2, degree=1, rng=0)
    >>> cut.network.thresholds.round(2)
    array([4.])
    """
    X = check_array("X", X, ndim=2, most=_LARGEST)
    y = check_array("y", y, shape=(len(X),), most=_LARGEST)
    if len(X) < 4 * _FEWEST:
        raise ValueError(f"X must have at least {4 * _FEWEST} samples, got {len(X)}")
    if len(_cube(fourth)) != X.shape[1]:
        raise ValueError(f"fourth must have {X.shape[1]} entries an axis, as X, got {np.shape(fourth)}")
    count = check_integer("count", count, 1, X.shape[1])
    degree = check_integer("degree", degree, 1, count)
    frames = subspaces_from_moment(fourth, count, rank, rng=rng)
    lower = CutNetwork(frames, np.zeros(count), {(): 0.0})
    energies = lower.energies(X)
    thresholds = np.array([_best_split(e, y) for e in energies.T])
    units = (energies > thresholds).astype(np.float64)
    terms = [s for size in range(degree + 1) for s in itertools.combinations(range(count), size)]
    design = np.stack([np.prod(units[:, s], axis=1) for s in terms], axis=1)
    # Products that never occur get the coefficient 0 of the minimum-norm solution.
    c = np.linalg.lstsq(design, y, rcond=1e-9)[0]
    few = np.linalg.lstsq(design[:, : count + 1], y, rcond=1e-9)[0]
    fitted = dict(zip(terms, c.tolist(), strict=True))
    additive = dict(zip(terms[: count + 1], few.tolist(), strict=True))
    variance = float(y.var())
    explained = 1.0 - float(np.mean((y - design @ c) ** 2)) / variance if variance > 0.0 else 1.0
    status = (
        f"{count} subspaces of dimension {rank}, whose polynomial of degree {degree} explains "
        f"{explained:.1%} of the variance of y"
    )
    return SubspaceCut(
        CutNetwork(frames, thresholds, fitted), CutNetwork(frames, thresholds, additive), thresholds,
        explained, status,
    )  # fmt: skip


def _cube(fourth: npt.ArrayLike) -> Array:
    T = check_array("fourth", fourth, ndim=4, most=_LARGEST)
    return check_array("fourth", T, shape=(len(T),) * 4)


def _best_split(energy: Array, y: Array) -> float:
    """Return the place where the means on both sides differ most, in standard errors."""
    order = np.argsort(energy)
    total = np.cumsum(y[order] - y.mean())[:-1]
    below = np.arange(1, len(y))
    contrast = np.abs(total) / np.sqrt(below * (len(y) - below))
    best = int(np.argmax(contrast[_FEWEST:-_FEWEST])) + _FEWEST
    return float(0.5 * (energy[order[best]] + energy[order[best + 1]]))
