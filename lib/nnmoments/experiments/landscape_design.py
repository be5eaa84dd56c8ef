"""Chapter 7: the landscape of L(A) (GM Sections 3 and 4)."""

import math
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from nnmoments._validation import Array
from nnmoments.activations import relu
from nnmoments.densities import Density, GaussianMixture, Laplace, Logistic, StandardNormal, iid
from nnmoments.landscape.fourth_order import (
    FourthOrderLoss,
    SampledMoment,
    SquareLoss,
    TensorMoment,
    orthogonal_closed_form,
    parameter_error,
    random_rows,
)
from nnmoments.landscape.full_batch import classify, full_batch, quasi_newton
from nnmoments.learners.general_input import fit_general_input
from nnmoments.linalg import match_rows, outer_power
from nnmoments.moments import ControlVariate, cross_moment
from nnmoments.networks import OneHiddenLayer
from nnmoments.score_estimation import IndependentLocalLikelihood, LocalLikelihood, NearestNeighbor
from nnmoments.sweep import Figure, grid

__all__ = [
    "closed_form",
    "empirical",
    "end_points",
    "examples",
    "figure_3",
    "figure_4",
    "marginal_kappa",
    "smooth_input",
]

_MIXTURE = GaussianMixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]])


def _rotation(k: int, d: int, rng: np.random.Generator) -> Array:
    """Return k orthonormal rows, uniformly rotated."""
    return np.asarray(np.linalg.qr(rng.standard_normal((d, d)))[0][:k], dtype=np.float64)


# --- formulas -----------------------------------------------------------------------------------------


def _t1(X: Array, u: Array, v: Array) -> Array:
    """t_1 of the standard Gaussian.  GM Example 1"""
    a, b, uu, vv, uv = X @ u, X @ v, u @ u, v @ v, u @ v
    return a**2 * b**2 - uu * b**2 - 4.0 * a * b * uv - vv * a**2 + uu * vv + 2.0 * uv**2


def examples(*, seed: int) -> float:
    """Return the largest difference of GM Examples 1 and 2 from the score tensors of the library."""
    rng = np.random.default_rng(seed)
    worst = 0.0
    for _ in range(5):
        X, (u, v), means = (
            rng.standard_normal((50, 3)),
            rng.standard_normal((2, 3)),
            rng.standard_normal((2, 3)),
        )
        f = GaussianMixture([0.3, 0.7], means)
        joint = np.array([0.3, 0.7]) * np.exp(-0.5 * np.sum((X[:, None] - means) ** 2, axis=2))
        posterior = joint / joint.sum(axis=1, keepdims=True)
        for w in (v, u):  # t_1(x, u, v), and t_2(x, u) = t_1(x, u, u)
            gaussian = StandardNormal(3).contract(X, u, u, w, w) - _t1(X, u, w)
            expected = sum(posterior[:, c] * _t1(X - means[c], u, w) for c in range(2))
            mixture = f.contract(X, u, u, w, w) - expected
            worst = max(worst, float(np.abs(gaussian).max()), float(np.abs(mixture).max()))
    return worst


def closed_form(*, seed: int) -> float:
    """Return the largest relative difference between (19) with squared norms and (21)."""
    rng = np.random.default_rng(seed)
    worst = 0.0
    for d in (2, 4, 6):
        W, kappa, A = _rotation(d, d, rng), rng.uniform(0.5, 2.0, d), rng.standard_normal((d, d))
        T4 = np.tensordot(kappa, outer_power(W, 4), axes=(0, 0))
        value = FourthOrderLoss(TensorMoment(T4), 0.2, 3.0).value(A)
        worst = max(worst, abs(value / orthogonal_closed_form(A, W, kappa, 0.2, 3.0) - 1.0))
    return worst


def marginal_kappa(means: tuple[float, ...] = (1.0, -1.0)) -> float:
    r"""Return :math:`E[\mathrm{relu}''''(\langle a, x\rangle)] = f_a''(0)` for an equal mixture of N(m, 1).

    Each component gives :math:`(m^2 - 1)\,\varphi(m)`: zero at m = 1, which is GM's Figure 4.
    """
    return sum((m * m - 1.0) * math.exp(-0.5 * m * m) / math.sqrt(2.0 * math.pi) for m in means) / len(means)


# --- Theorem 2 and Remark 3 -----------------------------------------------------------------------------


def _end_points(*, k: int, d: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Descend from one random start on the exact moment; hunt one saddle in a smaller problem."""
    W, kappa = _rotation(k, d, rng), rng.uniform(0.7, 1.4, k)
    c = 0.01  # Assumption 2(b)
    mu, lam = 0.9 * c * kappa.min() / kappa.max(), kappa.max() / c
    T4 = np.tensordot(kappa, outer_power(W, 4), axes=(0, 0))
    loss = FourthOrderLoss(TensorMoment(T4), mu, lam)
    end = quasi_newton(loss, random_rows(k, d, rng=rng), iterations=5000)
    point = classify(loss, end.weights)
    # k < d: the same after projecting T_4 on its own row span, where Theorem 2 applies as it stands.
    basis = np.linalg.svd(T4.reshape(d, -1))[0][:, :k]
    projected = T4
    for _ in range(4):
        projected = np.tensordot(projected, basis, axes=(0, 0))
    inner = quasi_newton(FourthOrderLoss(TensorMoment(projected), mu, lam), random_rows(k, k, rng=rng))
    small = FourthOrderLoss(TensorMoment(outer_power(np.eye(3), 4).sum(axis=0)), c, 1.0 / c)

    def gradient(a: Array) -> Array:
        return small.gradient(a.reshape(3, 3)).reshape(-1)

    def hessian(a: Array) -> Array:
        return small.hessian(a.reshape(3, 3))

    root = least_squares(
        gradient,
        0.8 * rng.standard_normal(9),
        jac=hessian,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-13,
        max_nfev=100,
    )
    stationary = float(np.linalg.norm(root.fun)) < 1e-6
    curvature = float(np.linalg.eigvalsh(small.hessian(root.x.reshape(3, 3)))[0])
    error = parameter_error(root.x.reshape(3, 3), np.eye(3))
    return {
        "error": parameter_error(end.weights, W),
        "projected_error": parameter_error(inner.weights @ basis.T, W),
        "kind": point.kind,
        # A stationary point away from the solutions must have negative curvature.
        "saddle": float(stationary and error > 0.01),
        "saddle_curvature": curvature if stationary and error > 0.01 else -math.inf,
    }


end_points = Figure(
    "07-end-points",
    _end_points,
    quick=[*grid(k=[6], d=[6], trial=range(40)), *grid(k=[3], d=[6], trial=range(30))],
    paper=[*grid(k=[10], d=[10], trial=range(200)), *grid(k=[5], d=[10], trial=range(100))],
)


# --- Theorem 3 --------------------------------------------------------------------------------------------


def _empirical(*, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Minimise the empirical L for Gaussian input from several starts."""
    f, W = StandardNormal(d), _rotation(d, d, rng)
    X = f.sample(n, rng=rng)
    y = OneHiddenLayer(W, relu)(X)
    moment = TensorMoment(cross_moment(X, y, f, 4, control=ControlVariate()).value)
    loss = FourthOrderLoss(moment, 0.01, 100.0, sign=-1.0)
    ends = [quasi_newton(loss, A, iterations=20_000) for A in random_rows(d, d, count=4, rng=rng)]
    best = min(ends, key=lambda end: end.value)
    rows = best.weights / np.linalg.norm(best.weights, axis=1, keepdims=True)
    spurious = [match_rows(end.weights, best.weights).worst > 0.05 for end in ends]
    return {"error": match_rows(rows, W).worst, "spurious": float(np.mean(spurious))}


empirical = Figure(
    "07-empirical",
    _empirical,
    quick=grid(d=[4], n=[10_000, 40_000, 160_000], trial=range(8)),
    paper=grid(d=[4], n=[16_000, 64_000, 256_000], trial=range(20)),
)


# --- Figure 3 -----------------------------------------------------------------------------------------------


def _figure_3(
    *, variant: str, d: int, iterations: int, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Full-batch descent on Laplace input with sgn(x) for a score, and what it really finds.

    Step, mu and n are the paper's; it gives no lambda, which is 1000 here (30 diverges).
    """
    n = 8192
    W = _rotation(d, d, rng) if variant == "rotated" else np.eye(d)
    X = iid(Laplace(), d).sample(n, rng=rng)
    y = OneHiddenLayer(W, relu)(X)
    lam, sign = (30.0 if variant == "printed, lambda = 30" else 1000.0), 1.0
    if not variant.startswith("printed"):
        sign = -1.0
    S = np.sign(X)
    loss = FourthOrderLoss(SampledMoment(S, y, hermite=False), 30.0, lam, sign)
    every = max(1, iterations // 50)
    run = full_batch(
        loss,
        random_rows(d, d, rng=rng),
        step=5e-5,
        iterations=iterations,
        watch=lambda A: (
            parameter_error(A, W, printed=True),
            parameter_error(A, np.eye(d), printed=True),
            parameter_error(A, W),
        ),
        every=every,
    )
    trace = np.array(run.trace)
    # Without network: the moment of sgn(x) with the label replaced by its mean.
    A = random_rows(4, d, rng=rng)
    with_label = SampledMoment(S, y, hermite=False).cubic(A)[0]
    without = SampledMoment(S, np.full(n, y.mean()), hermite=False).cubic(A)[0]
    return {
        "iteration": np.arange(len(trace)) * every,
        "error": trace[:, 0],
        "to_axes": trace[:, 1],
        "corrected": trace[:, 2],
        "final": trace[-1, 0] if math.isfinite(run.value) else 1.0,
        "final_axes": trace[-1, 1] if math.isfinite(run.value) else 1.0,
        "diverged": float(not math.isfinite(run.value)),
        "label_share": float(np.linalg.norm(with_label - without) / np.linalg.norm(with_label)),
    }


VARIANTS = ("printed, lambda = 30", "printed, lambda = 1000", "sign corrected", "rotated")
figure_3 = Figure(
    "07-laplace",
    _figure_3,
    quick=grid(variant=VARIANTS, d=[10], iterations=[1000], trial=[0]),
    paper=grid(variant=VARIANTS, d=[50], iterations=[1000], trial=[0]),
    rtol=1e-3,
)


def _smooth_input(*, method: str, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """A rotated network under logistic input, where S_4 exists: each loss with its best optimiser."""
    f, W = iid(Logistic(), d), _rotation(d, d, rng)
    X = f.sample(n, rng=rng)
    y = OneHiddenLayer(W, relu)(X)
    if method == "square loss":
        ends = [
            quasi_newton(SquareLoss(X, y, relu, np.ones(d)), A, iterations=300)
            for A in random_rows(d, d, count=2, rng=rng)
        ]
        return {"error": parameter_error(min(ends, key=lambda end: end.value).weights, W)}
    if method == "L, known score, plain moment":
        moment = TensorMoment(cross_moment(X, y, f, 4).value)
        ends = [
            quasi_newton(FourthOrderLoss(moment, 0.01, 100.0, sign=-1.0), A)
            for A in random_rows(d, d, count=10, rng=rng)
        ]
        return {"error": parameter_error(min(ends, key=lambda end: end.value).weights, W)}
    if method == "L, estimated score":
        score: Any = IndependentLocalLikelihood(X, bandwidth=NearestNeighbor(0.5))
    elif method == "L, known score":
        score = f
    else:  # G on whitened data, as fair as its Gaussian assumption allows
        spread = math.pi / math.sqrt(3.0)
        X, score = X / spread, StandardNormal(d)
    fitted = fit_general_input(X, y, d, activation=relu, score=score, rng=rng)
    return {"error": parameter_error(fitted.weights, W)}


METHODS = ("L, estimated score", "L, known score", "L, known score, plain moment", "G", "square loss")
smooth_input = Figure(
    "07-smooth-input",
    _smooth_input,
    quick=grid(method=METHODS, d=[5], n=[100_000], trial=range(3)),
    paper=grid(method=METHODS, d=[5], n=[10_000, 100_000], trial=range(6)),
    rtol=1e-3,
)


# --- Figure 4 -------------------------------------------------------------------------------------------


def _figure_4(*, density: str, loss: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """GM's Section 4.2: d = k = 2, A* = I, n = 8192; the end point of one loss."""
    f: Density = StandardNormal(2) if density == "gaussian" else _MIXTURE
    X = f.sample(8192, rng=rng)
    y = OneHiddenLayer(np.eye(2), relu)(X)
    if loss == "G":
        score: Any = StandardNormal(2)
    elif loss == "L, true score":
        score = f
    else:
        score = LocalLikelihood(X, degree=2, bandwidth=1.0)
    T4 = cross_moment(X, y, score, 4).value
    L = FourthOrderLoss(TensorMoment(T4), 0.01, 100.0, sign=-1.0)
    ends = [quasi_newton(L, A) for A in random_rows(2, 2, count=4, rng=rng)]
    total = float(np.einsum("aabb->", T4))
    return {
        "error": parameter_error(min(ends, key=lambda end: end.value).weights, np.eye(2)),
        "kappa": total / 2,
    }


figure_4 = Figure(
    "07-llsfe",
    _figure_4,
    quick=grid(density=["gaussian", "mixture"], loss=["G", "L, true score", "L, LLSFE"], trial=range(8)),
    paper=grid(density=["gaussian", "mixture"], loss=["G", "L, true score", "L, LLSFE"], trial=range(20)),
    rtol=1e-3,
)
