r"""Exact means, under a known density, of monomials and of derivatives of ridge functions.

A projection of independent coordinates is a sum: its cumulants add, its characteristic functions multiply.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from nnmoments.activations import Activation, get_activation
from nnmoments.densities import Density, Gaussian, GaussianMixture, Marginal, Product
from nnmoments.validation import Array

__all__ = ["mean_monomials", "mean_slopes"]

Complex = npt.NDArray[np.complex128]

# The grid of a marginal, in its scale: its tails end in it, its characteristic function outside.
_POINTS, _STEP = 1 << 16, 0.01
# Standard deviations of a projection: where its tail is cut, and half the period of its Fourier sum.
_RANGE, _HALF_PERIOD = 40.0, 60.0
_FREQUENCIES = 2048
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)


def _parts(density: Density) -> list[tuple[float, Density]]:
    if isinstance(density, GaussianMixture):
        return list(zip(density.weights.tolist(), density.parts, strict=True))
    return [(1.0, density)]


def mean_monomials(
    density: Density, frame: Array, shift: Array, exponents: Sequence[tuple[int, ...]]
) -> Array | None:
    r"""Return the means of the monomials of :math:`u = F^\top x - s`, from the cumulants of x.

    .. math:: E[u_i \, u_S] = \sum_{B \subseteq S} \kappa(u_i, u_B)\, E[u_{S \setminus B}]

    Parameters
    ----------
    density : Density
    frame : (d, k) array
        F.
    shift : (k,) array
        s.
    exponents : sequence of tuples
        All monomials up to a degree, as in `nnmoments.linalg.monomials`.

    Returns
    -------
    (M,) array, or None where they are not known

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> mean_monomials(StandardNormal(1), np.eye(1), np.zeros(1), [(), (0,), (0, 0)])
    array([1., 0., 1.])
    """
    total = np.zeros(len(exponents))
    for share, part in _parts(density):
        cumulant = _cumulants(part, frame, shift, max(map(len, exponents)))
        if cumulant is None:
            return None
        means: dict[tuple[int, ...], float] = {}
        for axes in exponents:
            means[axes] = 1.0 if not axes else 0.0
            for size in range(len(axes)):
                for taken in itertools.combinations(range(1, len(axes)), size):
                    rest = tuple(axes[i] for i in range(1, len(axes)) if i not in taken)
                    means[axes] += cumulant((axes[0], *(axes[i] for i in taken))) * means[rest]
        total += share * np.array(list(means.values()))
    return total


def _cumulants(
    density: Density, frame: Array, shift: Array, order: int
) -> Callable[[tuple[int, ...]], float] | None:
    """Return the joint cumulants of the projections, as a function of sorted indices."""
    if isinstance(density, Gaussian):
        mean, covariance = density.mean @ frame, frame.T @ density.covariance @ frame
        tables = {1: mean - shift, 2: covariance}
        return lambda axes: float(tables[len(axes)][axes]) if len(axes) < 3 else 0.0
    if not isinstance(density, Product):
        return None
    columns = [_marginal_cumulants(marginal, order) for marginal in density.marginals]
    if any(column is None for column in columns):
        return None
    kappa = np.array(columns)

    @functools.cache
    def sums(axes: tuple[int, ...]) -> float:
        found = float(np.prod(frame[:, list(axes)], axis=1) @ kappa[:, len(axes)])
        return found - shift[axes[0]] if len(axes) == 1 else found

    return sums


@functools.lru_cache(maxsize=64)
def _grid(marginal: Marginal) -> tuple[Array, Array] | None:
    """Return points u of the standard density and their masses, or None where a sum is no integral."""
    u: Array = _STEP * np.arange(-_POINTS // 2, _POINTS // 2, dtype=np.float64)
    with np.errstate(all="ignore"):
        masses = _STEP * marginal.scale * np.exp(marginal.log_density(marginal.loc + marginal.scale * u))
    smooth = np.isfinite(masses).all() and abs(masses.sum() - 1.0) < 1e-9
    return (u, masses) if smooth else None


def _marginal_cumulants(marginal: Marginal, order: int) -> list[float] | None:
    grid = _grid(marginal)
    if grid is None or grid[1][0] * abs(grid[0][0]) ** (order + 1) > 1e-8 * _STEP:
        return None
    moments = [float(grid[1] @ grid[0] ** p) for p in range(order + 1)]
    kappa = [0.0]
    for p in range(1, order + 1):
        lower = (math.comb(p - 1, q - 1) * kappa[q] * moments[p - q] for q in range(1, p))
        kappa.append(moments[p] - sum(lower))
    found = [c * marginal.scale**p for p, c in enumerate(kappa)]
    return [found[0], found[1] + marginal.loc, *found[2:]] if order else found


@functools.lru_cache(maxsize=64)
def _characteristic(marginal: Marginal) -> CubicSpline | None:
    """Return the characteristic function of the standard density, for t from 0 up."""
    grid = _grid(marginal)
    if grid is None:
        return None
    u, masses = grid
    t = 2.0 * np.pi * np.arange(_POINTS // 2) / (_POINTS * _STEP)
    return CubicSpline(t, np.fft.fft(masses).conj()[: len(t)] * np.exp(1j * t * u[0]), extrapolate=False)


def mean_slopes(
    density: Density, weights: Array, biases: Array, activation: Activation, order: int, widths: Array
) -> Array | None:
    r"""Return :math:`E[\phi^{(m)}(\langle w_j, x\rangle + b_j + s_j g)]`, kinks and jumps included.

    For independent coordinates with characteristic functions :math:`\chi_c`, by parts,

    .. math:: E[\phi^{(m)}(Z)] = \frac1\pi \mathrm{Re} \int_0^\infty (it)^m \psi(t)
              \int \phi(z) e^{-itz} dz\,dt, \qquad \psi(t) = e^{itb - s^2t^2/2} \prod_c \chi_c(t w_c).

    Parameters
    ----------
    density : Density
    weights, biases : (J, d), (J,) arrays
    activation : Activation
    order : int
        m, at least 1.
    widths : (J,) array
        :math:`s_j`, of a normal g.

    Returns
    -------
    (J,) array, or None where it is not known

    Examples
    --------
    >>> from nnmoments.densities import Logistic, iid
    >>> density, relu = iid(Logistic(), 2), get_activation("relu")
    >>> one, zero = np.array([[1.0, 0.0]]), np.zeros(1)
    >>> mean_slopes(density, one, zero, relu, 2, zero).round(9)  # f(0)
    array([0.25])
    """
    total = np.zeros(len(weights))
    for share, part in _parts(density):
        if isinstance(part, Gaussian):
            variances = np.einsum("jd,de,je->j", weights, part.covariance, weights) + widths**2
            scales = np.sqrt(np.maximum(variances, np.finfo(np.float64).tiny))
            found = (
                activation.moment_coefficients(order, scales, weights @ part.mean + biases) / scales**order
            )
        elif isinstance(part, Product):
            slopes = [
                _mean_slope(part, w, float(b), activation, order, float(s))
                for w, b, s in zip(weights, biases, widths, strict=True)
            ]
            if any(slope is None for slope in slopes):
                return None
            found = np.array(slopes)
        else:
            return None
        total += share * found
    return total


def _mean_slope(
    density: Product, w: Array, b: float, activation: Activation, m: int, width: float
) -> float | None:
    cumulants = [_marginal_cumulants(marginal, 2) for marginal in density.marginals]
    if any(c is None for c in cumulants) or not np.any(w):
        return None
    table = np.array(cumulants)
    mean, sd = float(w @ table[:, 1]) + b, math.sqrt(float(w**2 @ table[:, 2]) + width**2)

    def psi(t: Array) -> Complex:
        """Return the characteristic function of Z less its mean."""
        found = np.exp(-0.5 * (width * t) ** 2 - 1j * t * (mean - b)).astype(np.complex128)
        for weight, marginal in zip(w, density.marginals, strict=True):
            chi = _characteristic(marginal)
            assert chi is not None
            values = chi(t * abs(weight) * marginal.scale)
            found *= np.exp(1j * t * weight * marginal.loc) * (values if weight >= 0.0 else values.conj())
        return found

    if activation == get_activation("cosine"):
        return float(np.real(1j**m * psi(np.ones(1))[0] * np.exp(1j * mean)))
    step = np.pi / (_HALF_PERIOD * sd)
    t: Array = step * np.arange(1, _FREQUENCIES, dtype=np.float64)
    terms = (1j * t) ** m * np.nan_to_num(psi(t), nan=1.0)  # 1 where no table reaches: not small
    size = np.abs(terms)
    last = int(np.flatnonzero(size > 1e-15 * size.max())[-1]) + 1
    if last > 0.98 * len(t) and size[-1] > 1e-9 * size.max():
        return None  # too rough a density
    t, terms = t[:last], terms[:last]
    transform, mass = _transform(activation, mean, sd, t)
    rounding = np.finfo(float).eps * step * size.sum() * mass
    near = np.abs(activation(mean + sd * np.linspace(-4.0, 4.0, 33))).max()
    if not rounding < 1e-6 * float(near) / sd**m:
        return None  # too fast a growth
    return float(step / np.pi * np.real(terms @ transform))


def _transform(activation: Activation, mean: float, sd: float, t: Array) -> tuple[Complex, float]:
    """Return the integrals of phi(z) exp(-it(z - mean)) and of |phi|, smooth piece by smooth piece.

    In a piece all panels are alike, so their exponentials are products.
    """
    low, high = mean - _RANGE * sd, mean + _RANGE * sd
    cuts = [low, *sorted(p for p in activation.breakpoints if low < p < high), high]
    total: Complex = np.zeros(len(t), dtype=np.complex128)
    mass = 0.0
    for start, stop in itertools.pairwise(cuts):
        edges = np.linspace(start, stop, 2 + int((stop - start) * t[-1] / 10.0))
        half, centres = 0.5 * (edges[1] - edges[0]), 0.5 * (edges[1:] + edges[:-1])
        values = activation(centres[:, None] + half * _NODES) * (half * _NODE_WEIGHTS)
        mass += float(np.abs(values).sum())
        inner = np.exp(-1j * np.outer(t, centres - mean)) @ values
        total += np.sum(inner * np.exp(-1j * np.outer(t, half * _NODES)), axis=1)
    return total, mass
