"""Chapter 7: points that are only nearly minima of L (GM Theorem 2)."""

import numpy as np

from nnmoments.landscapes import FourthOrderLoss, random_rows
from nnmoments.linalg import outer_power
from nnmoments.moments import TensorMoment
from nnmoments.optimize import quasi_newton
from nnmoments.validation import Array

__all__ = ["approximate_minima"]

_C = 0.01  # c of Assumption 2(b)


def approximate_minima(
    *, seed: int, d: int = 5, cosine: float = 0.0, spread: float = 1.0, starts: int = 4
) -> tuple[Array, Array]:
    r"""Return tolerances epsilon, in units of kappa_min, and the largest entry of E at such points.

    All have :math:`\|\nabla L\| \le \epsilon` and curvatures of at least :math:`-\tau`: points next to a
    minimum with the gradient epsilon g, g the flattest direction, either way, or random, and ends of
    descents from random starts that stop at epsilon. Each is :math:`A = (PD + E) A^*` with the nearest
    signed permutation P and the lengths D of exact minima. `cosine` is that of all pairs of true rows, and
    kappa_max = spread kappa_min = spread.
    """
    rng = np.random.default_rng(seed)
    gram = np.full((d, d), cosine) + (1.0 - cosine) * np.eye(d)
    W = np.linalg.cholesky(gram) @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    kappa = rng.permutation(np.linspace(1.0, spread, d))
    mu, lam = 0.9 * _C / spread, spread / _C
    tau = _C * min(mu / (spread * d), lam)
    loss = FourthOrderLoss(TensorMoment(np.tensordot(kappa, outer_power(W, 4), axes=1)), mu, lam)
    lengths, inverse = np.sqrt(lam / (lam - mu * kappa)), np.linalg.inv(W)
    minimum = quasi_newton(loss, lengths[:, None] * W, tol=1e-10).weights
    flat = np.linalg.eigh(loss.hessian(minimum))[1][:, 0]
    epsilons, worst = np.array([1e-1, 1e-2, 1e-3, 1e-4, 1e-5]), []
    for epsilon in epsilons:
        points = []
        for g in (flat, -flat, *rng.standard_normal((3, d * d))):
            A, pull = minimum, epsilon * g / np.linalg.norm(g)
            for _ in range(20):
                step = np.linalg.solve(loss.hessian(A), loss.gradient(A).reshape(-1) - pull)
                A = A - step.reshape(d, d)
            points.append(A)
        points += [
            quasi_newton(loss, A, tol=epsilon / d).weights for A in random_rows(d, d, count=starts, rng=rng)
        ]
        errors = []
        for A in points:
            steep = np.linalg.norm(loss.gradient(A)) > epsilon * (1.0 + 1e-6)
            if steep or np.linalg.eigvalsh(loss.hessian(A))[0] < -tau:
                continue
            B = np.abs(A @ inverse)  # signs are free
            nearest = B.argmax(axis=1)
            B[range(d), nearest] -= lengths[nearest]
            if len(set(nearest)) < d:  # no permutation
                B[:] = 1.0
            errors.append(np.abs(B).max())
        worst.append(max(errors))
    return epsilons, np.array(worst)
