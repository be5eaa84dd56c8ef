"""Speed of the tensor decoder, beside the bare matrix products it contains."""

import time

import numpy as np
import pytest

from nnmoments.activations import squared_relu
from nnmoments.moments import StreamedMoment
from nnmoments.networks import conditioned_weights
from nnmoments.tensors import joint_diagonalize, leading_subspace, tensor_method


def _seconds(function, repeats=3):
    best = np.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - begin)
    return best


@pytest.mark.parametrize("k", [5, 10, 20])
def test_joint_diagonalisation(benchmark, k):
    rng = np.random.default_rng(0)
    factors = conditioned_weights(k, k, condition=5.0, rng=rng)
    matrices = np.einsum("li,ia,ib->lab", rng.standard_normal((100, k)), factors, factors)
    error = rng.standard_normal(matrices.shape)
    benchmark(joint_diagonalize, matrices + 0.01 * (error + error.transpose(0, 2, 1)), rng=0)


def test_subspace_against_its_products(benchmark):
    """One pass of P_2 Q costs two products with the inputs; the ratio is printed."""
    rng = np.random.default_rng(0)
    n, d, k = 100_000, 200, 10
    X = rng.standard_normal((n, d))
    y = squared_relu(X[:, :k]) @ np.resize([1.0, -1.0], k)
    operator = StreamedMoment([(X, y)], 2).matmat
    block = np.linalg.qr(rng.standard_normal((d, 2 * k + 5)))[0]
    bare = _seconds(lambda: X.T @ (X @ block))
    once = _seconds(lambda: operator(block))
    sweeps = leading_subspace(operator, d, k, tol=1e-4, rng=0).n_iter
    whole = benchmark.pedantic(lambda: tensor_method(X, y, k, squared_relu, rng=0), rounds=2)
    assert whole.weights.shape == (k, d)
    total = float(benchmark.stats.stats.min)
    print(
        f"\npass / its products: {once / bare:.2f}; {sweeps} passes; "
        f"whole initialisation / its passes' products: {total / (sweeps * bare):.2f}"
    )
