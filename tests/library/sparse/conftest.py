"""The instances that all tests of the package share."""

import numpy as np
import pytest

from nnmoments.linalg import match_rows


def _planted(k, n, theta, seed, condition=None):
    """A Bernoulli(theta)-Gaussian (SA A.5) with unit rows, and M = B A."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, n)) * (rng.random((k, n)) < theta)
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    B = rng.standard_normal((k, k))
    if condition is not None:
        left, _, right = np.linalg.svd(B)
        B = (left * np.geomspace(1, condition, k)) @ right
    return A, B @ A


def _noisy(seed, k=20, n=500, theta=0.15):
    """M = B A with cond(B) = 3 and 2 % of noise, and its standard errors."""
    A, _ = _planted(k, n, theta, seed)
    rng = np.random.default_rng(100 + seed)
    left, _, right = np.linalg.svd(rng.standard_normal((k, k)))
    A *= np.sqrt(n)
    M = (left * np.linspace(1, 3, k)) @ right @ A
    E = rng.standard_normal(M.shape)
    E *= 0.02 * np.linalg.norm(M) / np.linalg.norm(E)
    return A, M + E, np.full(M.shape, E.std())


def _worst(rows, A):
    return match_rows(rows, A / np.linalg.norm(A, axis=1, keepdims=True)).worst


@pytest.fixture
def planted():
    return _planted


@pytest.fixture
def noisy():
    return _noisy


@pytest.fixture
def worst():
    return _worst
