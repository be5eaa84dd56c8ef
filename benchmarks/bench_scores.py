"""Scores against their own kernel matrix and a KDE's gradient: `pytest benchmarks/bench_scores.py -s`."""

import time
import tracemalloc

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from nnmoments.densities import GaussianMixture
from nnmoments.scores import LocalLikelihood, NearestNeighbor, rate_bandwidth

MIXTURE = GaussianMixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]])
N = 10_000
CHUNK = 2**18


def relative_error(estimate, X, order):
    truth = MIXTURE.score(X, order)
    return np.linalg.norm(estimate - truth) / np.linalg.norm(truth)


def seconds(call, rounds=3):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def bare_kernel(X, h):
    """The kernel matrix alone: one matrix product and one exponential a chunk, nothing kept."""
    square = np.sum(X**2, axis=1)
    left = np.hstack([X, np.full((len(X), 1), -0.5), -0.5 * square[:, None]]) / h**2
    right = np.vstack([X.T, square, np.ones(len(X))])
    rows = CHUNK // len(X)
    for start in range(0, len(X), rows):
        logs = left[start : start + rows] @ right
        np.exp(logs, out=logs)


def difference_gradient(X, h, step=1e-3):
    """What a user writes with scikit-learn: central differences of the log-density."""
    model = KernelDensity(bandwidth=h).fit(X)
    columns = [model.score_samples(X + step * e) - model.score_samples(X - step * e) for e in np.eye(2)]
    return -np.column_stack(columns) / (2.0 * step)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_against_the_bare_kernel(benchmark, order):
    X = MIXTURE.sample(N, rng=0)
    h = rate_bandwidth(N, 2, 2, scale=2.0)
    model = LocalLikelihood(X, bandwidth=h)
    model.score(X[:1000], order)
    benchmark.pedantic(model.score, args=(X, order), rounds=5, iterations=1)
    ours, bare = benchmark.stats.stats.min, seconds(lambda: bare_kernel(X, h), rounds=5)
    tracemalloc.start()
    model.score(X, order)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(
        f"\nS_{order} at {N} points from {N} samples: {ours:.2f} s, kernel matrix alone {bare:.2f} s: "
        f"{ours / bare:.2f} x; peak memory {peak:.0f} MB"
    )
    assert ours < 3.0 * bare
    assert peak < 60.0


def test_against_a_kernel_density(benchmark):
    X = MIXTURE.sample(N, rng=0)
    model = LocalLikelihood(X, bandwidth=rate_bandwidth(N, 2, 2, scale=2.0))
    benchmark.pedantic(model.score, args=(X, 1), rounds=3, iterations=1)
    ours, error = benchmark.stats.stats.min, relative_error(model.score(X, 1), X, 1)
    for scale in (0.9, 1.2):
        h = scale * N ** (-1.0 / 8.0)
        start = time.perf_counter()
        found = difference_gradient(X, h)
        theirs, their_error = time.perf_counter() - start, relative_error(found, X, 1)
        print(
            f"\nKDE gradient, h = {h:.2f}: {theirs:.1f} s, error {their_error:.3f}; "
            f"ours {ours:.2f} s, error {error:.3f}: {theirs / ours:.0f} x"
        )
        assert error < their_error
        assert theirs > 20.0 * ours


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_degrees(benchmark, degree):
    """What the higher degrees cost, at 2000 points from 10^4 samples."""
    X = MIXTURE.sample(N, rng=0)
    model = LocalLikelihood(X, degree=degree, bandwidth=NearestNeighbor(0.3))
    model.fit_at(X[:10])
    fit = benchmark.pedantic(model.fit_at, args=(X[:2000],), rounds=3, iterations=1)
    print(f"\np = {degree}: {benchmark.stats.stats.min:.2f} s; {fit.message}")
