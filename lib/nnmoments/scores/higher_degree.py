r"""Local likelihood of degree 3 and 4: Newton's method on whitened windows, all points at once.

Let m and C be the kernel-weighted mean and covariance at x, and :math:`z = C^{-1/2}(u - x - m)`. In
these coordinates the degree-2 solution turns the kernel into N(0, I) exactly, and the conditions
GM (5) become

.. math:: E_{g \sim N(0, I)}\big[e^{\eta \cdot \psi(g)}\, \psi_\alpha(g)\big] = \tau_\alpha
          := \frac{\sum_i K_i\, \psi_\alpha(z_i)}{\sum_i K_i}, \qquad |\alpha| \le p,

with the normalised Hermite polynomials :math:`\psi_\alpha`. So every point poses the same problem; only its
standardised skewness and kurtosis enter (:math:`\tau_\alpha = 0` for :math:`1 \le |\alpha| \le 2`), the
quadrature nodes are shared, and :math:`\eta = 0` is the degree-2 solution. The first Newton step is
:math:`\eta = \tau`, the Gram-Charlier correction.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from nnmoments.hermite import normalized_hermite
from nnmoments.linalg import monomials
from nnmoments.validation import Array

__all__ = ["Correction", "correct_window", "correction_derivatives"]

# Nodes a dimension. 16 integrate exp(cubic) of the size met here to 1e-8; their outermost, at 6.6
# standard deviations, bound the window where exp(quartic) would not be integrable.
_NODES = {1: 32, 2: 16, 3: 12}
_TOLERANCE = 1e-9
_MAX_ITERATIONS = 40
# Doubles of (points x nodes) handled at a time.
_CHUNK = 2**20


@dataclass(frozen=True)
class Correction:
    """The coefficients eta at each point, whether Newton's method converged, and its residual."""

    eta: Array
    converged: np.ndarray
    residual: Array
    iterations: int


@cache
def multi_indices(d: int, degree: int) -> tuple[tuple[int, ...], ...]:
    """Return all multi-indices of length d and sum 0..degree, by degree."""
    exponents = [tuple(axes.count(i) for i in range(d)) for axes in monomials(d, degree)]
    return tuple(sorted(exponents, key=lambda a: (sum(a), a)))


@cache
def _quadrature(d: int, degree: int) -> tuple[Array, Array, Array, Array]:
    """Return weights (N,), basis at the nodes (N, P), and its pairwise products (N, P(P+1)/2)."""
    nodes, weights = hermegauss(_NODES[d])
    weights = weights / weights.sum()
    table = np.stack([normalized_hermite(k, nodes) for k in range(degree + 1)])
    product = np.ones(1)
    for _ in range(d):
        product = np.outer(product, weights).reshape(-1)
    grids = np.meshgrid(*[np.arange(len(nodes))] * d, indexing="ij")
    places = [g.reshape(-1) for g in grids]
    basis = np.stack(
        [
            np.prod([table[a, where] for a, where in zip(alpha, places, strict=True)], axis=0)
            for alpha in multi_indices(d, degree)
        ],
        axis=1,
    )
    kept = product > 1e-18  # corners that no integral feels
    basis, product = basis[kept], product[kept]
    upper = np.array(np.triu_indices(basis.shape[1]))
    return product, basis, basis[:, upper[0]] * basis[:, upper[1]], upper.astype(float)


def standardized_moments(third: Array, fourth: Array | None) -> Array:
    """Return tau, (q, P), from standardised central moments: E psi_alpha for |alpha| = 0..p."""
    d = third.shape[1]
    degree = 3 if fourth is None else 4
    columns = []
    for alpha in multi_indices(d, degree):
        slots = tuple(itertools.chain.from_iterable([i] * a for i, a in enumerate(alpha)))
        entry: Any = (slice(None), *slots)
        match len(slots):
            case 0:
                value = np.ones(len(third))
            case 1 | 2:
                value = np.zeros(len(third))
            case 3:
                value = third[entry]
            case _:
                assert fourth is not None
                i, j, k, l = slots
                gaussian = (i == j) * (k == l) + (i == k) * (j == l) + (i == l) * (j == k)
                value = fourth[entry] - gaussian
        columns.append(value / math.sqrt(math.prod(math.factorial(a) for a in alpha)))
    return np.stack(columns, axis=1)


def correct_window(third: Array, fourth: Array | None, penalty: Array) -> Correction:
    """Solve the whitened local likelihood at all points by damped Newton steps.

    Parameters
    ----------
    third : (q, d, d, d) array
        Standardised third central moments of the windows.
    fourth : (q, d, d, d, d) array, optional
        Fourth ones; without them the degree is 3.
    penalty : (q,) array
        Weight of the ridge on the coefficients of degree 3 and 4.
    """
    d = third.shape[1]
    tau = standardized_moments(third, fourth)
    eta, residual = np.zeros_like(tau), np.full(len(tau), np.inf)
    used = 0
    degree = 3 if fourth is None else 4
    rows = max(1, _CHUNK // len(_quadrature(d, degree)[0]))
    for start in range(0, len(tau), rows):
        part = slice(start, start + rows)
        eta[part], residual[part], steps = _newton(tau[part], penalty[part], d, degree)
        used = max(used, steps)
    return Correction(eta, residual <= 1e-6, residual, used)


def _newton(tau: Array, penalty: Array, d: int, degree: int) -> tuple[Array, Array, int]:
    """Minimise sum_q w_q exp(eta . psi_q) - eta . tau + ridge / 2, convex, at each row of tau."""
    weights, basis, pairs, upper = _quadrature(d, degree)
    first, second = upper.astype(int)
    count = basis.shape[1]
    shape = np.array([sum(alpha) > 2 for alpha in multi_indices(d, degree)])
    ridge = penalty[:, None] * shape
    eta, residual = np.zeros_like(tau), np.full(len(tau), np.inf)
    active = np.arange(len(tau))
    tilted = np.broadcast_to(weights, (len(tau), len(weights))).copy()
    value = 1.0 - np.einsum("ij,ij->i", eta, tau)
    for iteration in range(1, _MAX_ITERATIONS + 1):
        gradient = tau[active] - tilted @ basis - ridge[active] * eta[active]
        residual[active] = np.abs(gradient).max(axis=1)
        going = residual[active] > _TOLERANCE
        active, tilted, gradient, value = active[going], tilted[going], gradient[going], value[going]
        if not len(active):
            return eta, residual, iteration - 1
        packed = tilted @ pairs
        hessian = np.empty((len(active), count, count))
        hessian[:, first, second] = packed
        hessian[:, second, first] = packed
        hessian[:, range(count), range(count)] += ridge[active] + 1e-10
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        decrement = np.einsum("ij,ij->i", step, gradient)
        size = np.ones(len(active))
        pending = np.arange(len(active))
        for _ in range(12):  # halve the steps that do not descend
            trial = eta[active[pending]] + size[pending, None] * step[pending]
            with np.errstate(over="ignore"):
                candidate = weights * np.exp(np.minimum(trial @ basis.T, 200.0))
            level = candidate.sum(axis=1) - np.einsum("ij,ij->i", trial, tau[active[pending]])
            level += 0.5 * np.sum(ridge[active[pending]] * trial**2, axis=1)
            slack = 1e-4 * size[pending] * decrement[pending] - 1e-13
            good = level <= value[pending] - slack
            tilted[pending[good]], value[pending[good]] = candidate[good], level[good]
            eta[active[pending[good]]] = trial[good]
            pending = pending[~good]
            if not len(pending):
                break
            size[pending] *= 0.5
        if len(pending) == len(active):  # rounding: nothing descends any further
            break
    return eta, residual, _MAX_ITERATIONS


def correction_derivatives(eta: Array, z: Array, whitening: Array, degree: int) -> list[Array]:
    """Return eta . psi at z and its derivatives of order 1..p in the original coordinates.

    Parameters
    ----------
    eta : (q, P) array
    z : (q, d) array
        Whitened position of the point itself.
    whitening : (q, d, d) array
        The matrix C^(-1/2) of each window.
    degree : int
        p, 3 or 4.
    """
    q, d = z.shape
    table = np.stack([normalized_hermite(k, z) for k in range(degree + 1)], axis=2)  # (q, d, p + 1)
    indices = multi_indices(d, degree)
    found = []
    for order in range(degree + 1):
        shape: tuple[int, ...] = (q,) + (d,) * order
        tensor: Array = np.zeros(shape)
        for slots in itertools.combinations_with_replacement(range(d), order):
            counts = [slots.count(axis) for axis in range(d)]
            value = np.zeros(q)
            for column, alpha in enumerate(indices):
                if any(a < c for a, c in zip(alpha, counts, strict=True)):
                    continue
                # d^c h_a = sqrt(a! / (a - c)!) h_(a - c)
                scale = math.prod(
                    math.factorial(a) / math.factorial(a - c) for a, c in zip(alpha, counts, strict=True)
                )
                term = eta[:, column] * math.sqrt(scale)
                for axis, (a, c) in enumerate(zip(alpha, counts, strict=True)):
                    term = term * table[:, axis, a - c]
                value += term
            for entry in set(itertools.permutations(slots)):
                where: Any = (slice(None), *entry)
                tensor[where] = value
        for axis in range(1, order + 1):
            tensor = np.moveaxis(
                np.einsum("q...a,qab->q...b", np.moveaxis(tensor, axis, -1), whitening), -1, axis
            )
        found.append(tensor)
    return found
