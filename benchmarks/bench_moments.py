"""Cross-moments against the bare matrix products they contain, measured interleaved in one run.

Ratios are printed, and those with a bar are asserted: first and full second moment 1.5,
projected third moment 2.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest

from nnmoments.densities import Logistic, StandardNormal, iid
from nnmoments.moments import ControlVariate, cross_moment

N, D, N_Y, K = 1_000_000, 100, 10, 10


@pytest.fixture(scope="module")
def data():
    """10^6 samples (0.8 GB), made once."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((N, D)), rng.standard_normal((N, N_Y))
    V = np.linalg.qr(rng.standard_normal((D, K)))[0]
    return X, Y, Y[:, 0].copy(), V


def ratio(
    ours: Callable[[], object], bare: Callable[[], object], repetitions: int = 5
) -> tuple[float, float]:
    """Return the ratio of the least times, and ours in seconds; the two alternate."""
    times = np.empty((repetitions, 2))
    for row in times:
        for i, function in enumerate((ours, bare)):
            start = time.perf_counter()
            function()
            row[i] = time.perf_counter() - start
    best = times.min(axis=0)
    return float(best[0] / best[1]), float(best[0])


@pytest.fixture
def report(capsys, benchmark):
    """Print a ratio although pytest captures output, keep it with the benchmark, and judge it."""

    def show(name: str, measured: tuple[float, float], bar: float | None = None, base: str = "its products"):
        quotient, seconds = measured
        limit = "" if bar is None else f" (bar {bar})"
        with capsys.disabled():
            print(f"\n{name}: {seconds:.3f} s, {quotient:.2f} x {base}{limit}")
        benchmark.extra_info[f"ratio to {base}"] = quotient
        assert bar is None or quotient <= bar

    return show


def _third_products(X, y, V):
    """Return a projected third moment of scores x (x) x (x) x, by the loop one would write."""
    step = 10_000  # so that the products of pairs stay in the cache
    total = np.zeros((K * K, K))
    for start in range(0, len(X), step):
        Z = X[start : start + step] @ V
        pairs = (Z[:, :, None] * Z[:, None, :]).reshape(len(Z), -1)
        pairs *= y[start : start + step, None]
        total += pairs.T @ Z
    return total


def test_first_moment(benchmark, report, data):
    X, Y, _, _ = data

    def ours():
        return cross_moment(X, Y, StandardNormal(D), 1)

    benchmark.pedantic(ours, rounds=3, warmup_rounds=1)
    report("T_1, N(0, I)", ratio(ours, lambda: Y.T @ X), bar=1.5)


@pytest.mark.parametrize("d", [20, 50, 100, 200, 500, 1000])
@pytest.mark.parametrize("n", [20_000, 200_000])
def test_full_second_moment(benchmark, report, n, d):
    rng = np.random.default_rng(d)
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)

    def ours():
        return cross_moment(X, y, StandardNormal(d), 2)

    benchmark.pedantic(ours, rounds=1)
    name = f"T_2 in full, N(0, I), d = {d}, n = {n}"
    report(name, ratio(ours, lambda: (X * y[:, None]).T @ X, 3 if n * d < 10**8 else 2), bar=1.5)


def test_projected_third_moment(benchmark, report, data):
    X, _, y, V = data

    def ours():
        return cross_moment(X, y, StandardNormal(D), 3, bases=V)

    benchmark.pedantic(ours, rounds=3, warmup_rounds=1)
    # The bare time is that of the two products alone: the pairs are formed beforehand.
    Z = X @ V
    pairs = (Z[:, :, None] * Z[:, None, :]).reshape(N, -1) * y[:, None]
    report("T_3(V, V, V), N(0, I)", ratio(ours, lambda: (X @ V, pairs.T @ Z)), bar=2.0)
    report("T_3(V, V, V), N(0, I)", ratio(ours, lambda: _third_products(X, y, V), 3), base="a tiled loop")


def test_first_moment_of_another_density(benchmark, report, data):
    X, Y, _, _ = data

    def ours():
        return cross_moment(X, Y, iid(Logistic(), D), 1)

    benchmark.pedantic(ours, rounds=1)
    report("T_1, logistic", ratio(ours, lambda: Y.T @ X, 2))
    report("T_1, logistic", ratio(ours, lambda: Y.T @ np.tanh(X / 2), 2), base="its product and tanh")


def test_projected_third_moment_with_controls(benchmark, report, data):
    X, _, y, V = data

    def plain():
        return cross_moment(X, y, StandardNormal(D), 3, bases=V)

    def controlled():
        return cross_moment(X, y, StandardNormal(D), 3, bases=V, control=ControlVariate(basis=V))

    benchmark.pedantic(controlled, rounds=1)
    report("T_3(V, V, V), controlled", ratio(controlled, plain, 2), base="the same without controls")
