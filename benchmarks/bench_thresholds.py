"""High thresholds: what it saves to touch active samples only, and what refinement costs.

Ratios of least times, measured interleaved in one run; those with a bar are asserted.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest

from nnmoments.activations import relu_threshold
from nnmoments.borders import fit_border, fit_crossings, sampled_refine_estimate
from nnmoments.landscapes import HermiteLoss
from nnmoments.moments import (
    ControlVariate,
    SampledMoment,
    active_moments,
    control_residuals,
    controlled_moments,
)

N, D, T = 400_000, 10, 2.5


@pytest.fixture(scope="module")
def data():
    """ReLU units at 2.5 along the axes: one label in sixteen is active."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D))
    y = relu_threshold(T)(X).sum(axis=1)
    return X, y


def ratio(
    slow: Callable[[], object], fast: Callable[[], object], repetitions: int = 5
) -> tuple[float, float]:
    """Return the ratio of the least times, and the faster one in seconds; the two alternate."""
    times = np.empty((repetitions, 2))
    for row in times:
        for i, function in enumerate((slow, fast)):
            start = time.perf_counter()
            function()
            row[i] = time.perf_counter() - start
    best = times.min(axis=0)
    return float(best[0] / best[1]), float(best[1])


@pytest.fixture
def report(capsys, benchmark):
    """Print a speed-up although pytest captures output, and judge it."""

    def show(name: str, measured: tuple[float, float], bar: float | None = None):
        quotient, seconds = measured
        limit = "" if bar is None else f" (bar {bar})"
        with capsys.disabled():
            print(f"\n{name}: {seconds:.4f} s, {quotient:.1f} times as fast{limit}")
        benchmark.extra_info[name] = quotient
        assert bar is None or quotient >= bar

    return show


def test_gradient_from_active_samples(benchmark, report, data):
    """A gradient of G touches active samples only; the same gradient from all of them beside it."""
    X, y = data
    z = np.full(D, 0.3)
    moments = active_moments(X, y, form="sample")
    every = SampledMoment(X, y, hermite=True)
    active = HermiteLoss(moments.second, moments.fourth, 0.01, 0.01, 1.0)
    full = HermiteLoss(moments.second, every, 0.01, 0.01, 1.0)
    np.testing.assert_allclose(active.gradient(z), full.gradient(z), rtol=1e-9)
    benchmark(active.gradient, z)
    measured = ratio(lambda: full.gradient(z), lambda: active.gradient(z))
    report(f"gradient, {moments.n_touched / N:.1%} active", measured, bar=5.0)


def test_moments_from_active_samples(benchmark, report, data):
    """Forming T_4 from active samples, and from the same labels with a speck on every other one."""
    X, y = data
    specked = np.where(y == 0.0, 1e-300, y)
    benchmark.pedantic(lambda: active_moments(X, y), rounds=3, warmup_rounds=1)
    report(
        "T_0 to T_4, formed",
        ratio(lambda: active_moments(X, specked), lambda: active_moments(X, y), 3),
        bar=3.0,
    )


def test_controlled_moments(benchmark, report, data):
    """Polynomials of degree 4 with known moments against least squares on those of degree 3."""
    X, y = data[0][:100_000], data[1][:100_000]
    benchmark.pedantic(lambda: controlled_moments(X, y), rounds=3, warmup_rounds=1)
    measured = ratio(
        lambda: control_residuals(X, y, ControlVariate(), 4), lambda: controlled_moments(X, y), 3
    )
    report("controlled moments, against the residuals alone of degree 3", measured)


def test_refinement(benchmark, report, data):
    """One weight to the limit: border against random search from a sample, crossings with an oracle."""
    X, y = data
    z = np.eye(D)[0] + 0.02
    u = relu_threshold(T)
    benchmark.pedantic(lambda: fit_crossings(lambda X: u(X).sum(axis=1), z, rng=0), rounds=3, warmup_rounds=1)
    measured = ratio(
        lambda: sampled_refine_estimate(X, y != 0, z, rng=0),
        lambda: fit_border(X, y != 0, z),
        1,
    )
    report("border, against random search", measured)
