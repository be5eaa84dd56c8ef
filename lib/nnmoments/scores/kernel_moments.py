"""Kernel-weighted moments around many points at once: all that local likelihood needs of the data."""

import itertools
from dataclasses import dataclass

import numpy as np

from nnmoments.linalg import monomials
from nnmoments.validation import Array, check_result

__all__ = ["KernelMoments", "central_moments", "kernel_moments"]

# Doubles of the kernel matrix held at a time: 2 MB, so that its four passes stay in the cache.
_CHUNK = 2**18
# Rounding of a moment, relative to the bandwidth's power, above which its powers are taken about another c.
_LOSS = 1e-8
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class KernelMoments:
    r"""Moments of the sample under the weights :math:`K((X_i - x)/h) = e^{-|X_i - x|^2/2h^2}`.

    Attributes
    ----------
    log_total : (q,) array
        :math:`\log \sum_i K_i`.
    effective : (q,) array
        :math:`(\sum K_i)^2 / \sum K_i^2`, the number of samples that the window really holds.
    raw : tuple of arrays (q, d), (q, d, d), ...
        Weighted means of the tensor powers of :math:`X_i - c`, orders 1 to p.
    centre : (q, d) array
        c, the mean of the sample, or of the window where the former is many bandwidths away: the powers
        lose no digits to a distant origin, and a far sample of weight zero changes nothing.
    """

    log_total: Array
    effective: Array
    raw: tuple[Array, ...]
    centre: Array


def _entries(d: int, degree: int) -> list[np.ndarray]:
    """Return for tensors of order 1..p which monomial each entry is, by its place in `monomials`."""
    place = {axes: i for i, axes in enumerate(monomials(d, degree))}
    return [
        np.array(
            [place[tuple(sorted(entry))] for entry in itertools.product(range(d), repeat=order)]
        ).reshape((d,) * order)
        for order in range(1, degree + 1)
    ]


def kernel_moments(
    points: Array, X: Array, bandwidth: Array, degree: int, *, own: np.ndarray | None = None
) -> KernelMoments:
    """Sum the kernel's weights and moments at all points: two matrix products and one exp a chunk.

    Parameters
    ----------
    points : (q, d) array
    X : (n, d) array
    bandwidth : (q,) array
    degree : int
        p, the highest power.
    own : (q,) int array, optional
        The sample that each point is (-1 for none), to be left out of its own window.
    """
    centre = X.mean(axis=0)
    shifted, targets = X - centre, points - centre
    d = X.shape[1]
    largest = max(np.abs(shifted).max(), np.abs(targets).max()) * max(1.0, 1.0 / bandwidth.min())
    with np.errstate(over="ignore"):
        check_result("X or points", len(X) * d * largest ** max(degree, 2))
    # The long axis last, with which BLAS is twice as fast.
    features = np.stack([np.prod(shifted[:, axes], axis=1) for axes in monomials(d, degree)])
    right = np.vstack([shifted.T, np.sum(shifted**2, axis=1), np.ones(len(X))])
    total, effective = np.empty(len(points)), np.empty(len(points))
    sums, centres = np.empty((len(points), len(features))), np.tile(centre, (len(points), 1))
    # Where differences of large powers would lose the digits, all is taken about the window's own mean.
    far = _EPS * (np.linalg.norm(targets, axis=1) / bandwidth) ** max(degree, 2) > _LOSS
    rows = max(1, _CHUNK // len(X))
    for start in range(0, len(points), rows):
        part = slice(start, min(start + rows, len(points)))
        q, precision = targets[part], bandwidth[part, None] ** -2.0
        left = np.hstack([q * precision, -0.5 * precision, -0.5 * precision * np.sum(q**2, 1)[:, None]])
        left[far[part]] = 0.0
        weights = left @ right  # -|X_i - x|^2 / 2 h^2
        peak = _weigh(weights, None if own is None else own[part])
        sums[part] = (features @ weights.T).T
        total[part] = np.log(sums[part, 0]) + peak
        effective[part] = sums[part, 0] ** 2 / np.einsum("ij,ij->i", weights, weights)
    for i in np.flatnonzero(far):
        weights = -0.5 * np.sum(((X - points[i]) / bandwidth[i]) ** 2, axis=1)[None]
        peak = _weigh(weights, None if own is None else own[i : i + 1])
        seen = np.flatnonzero(weights[0])
        w = weights[0, seen]
        centres[i] = points[i] + w @ (X[seen] - points[i]) / w.sum()
        moved = X[seen] - centres[i]
        sums[i] = [w @ np.prod(moved[:, axes], axis=1) for axes in monomials(d, degree)]
        total[i], effective[i] = np.log(sums[i, 0]) + peak[0], sums[i, 0] ** 2 / (w @ w)
    means = sums / sums[:, :1]
    return KernelMoments(total, effective, tuple(means[:, places] for places in _entries(d, degree)), centres)


def _weigh(logs: Array, own: np.ndarray | None) -> Array:
    """Turn the logarithms of weights, in place, to weights in units of the largest; return its logarithm."""
    if own is not None:
        mine = np.flatnonzero(own >= 0)
        logs[mine, own[mine]] = -np.inf
    peak = logs.max(axis=1)
    logs -= peak[:, None]
    np.exp(logs, out=logs)
    return peak


def central_moments(raw: tuple[Array, ...]) -> tuple[Array, ...]:
    r"""Return mean, covariance, and the central moments of orders 3 and 4 from raw ones.

    .. math:: C_3 = R_3 - 3\,\mathrm{sym}(m \otimes C) - m^{\otimes 3}, \qquad
              C_4 = R_4 - 4\,\mathrm{sym}(m \otimes C_3)
                    - 6\,\mathrm{sym}(m^{\otimes 2} \otimes C) - m^{\otimes 4}

    Examples
    --------
    >>> import numpy as np
    >>> central_moments((np.array([[2.0]]), np.array([[[5.0]]])))[1]
    array([[[1.]]])
    """
    m = raw[0]
    d = m.shape[1]
    out = [m]
    for order in range(2, len(raw) + 1):
        total = raw[order - 1].copy()
        # E[(c + m)^k] over the choices of slots that hold the centred variable.
        for size in [*range(2, order), 0]:
            for chosen in itertools.combinations(range(order), size):
                term = np.ones((1,) * (order + 1))
                if size:
                    shape = [d if i in chosen else 1 for i in range(order)]
                    term = out[size - 1].reshape(-1, *shape)
                for slot in set(range(order)) - set(chosen):
                    shape = [d if i == slot else 1 for i in range(order)]
                    term = term * m.reshape(-1, *shape)
                total = total - term
        out.append(total)
    return tuple(out)
