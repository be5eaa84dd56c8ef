"""Joint diagonalisation beside pyriemann's uwedge and tensorly's CP: errors, failures, times.

python benchmarks/peers/peer_tensor.py [problems]; needs the extra `peers`.
"""

import sys
import time

import numpy as np
from pyriemann.geometry.ajd import uwedge

from nnmoments.linalg import match_rows
from nnmoments.networks import conditioned_weights
from nnmoments.tensors import joint_diagonalize


def problem(k, noise, rng, count=100):
    """Unit factors of condition about 5, signed weights, symmetric noise."""
    factors = conditioned_weights(k, k, condition=5.0, rng=rng)
    factors = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    matrices = np.einsum("li,ia,ib->lab", rng.standard_normal((count, k)), factors, factors)
    error = rng.standard_normal(matrices.shape)
    return factors, matrices + noise * (error + error.transpose(0, 2, 1)) / 2.0


def ours(matrices):
    return joint_diagonalize(matrices, rng=0).factors


def peer(matrices):
    return np.linalg.inv(uwedge(matrices)[0]).T


def measure(decoder, k, noise, problems):
    errors, seconds = [], []
    for seed in range(problems):
        factors, matrices = problem(k, noise, np.random.default_rng(seed))
        begin = time.perf_counter()
        found = decoder(matrices)
        seconds.append(time.perf_counter() - begin)
        found = found / np.linalg.norm(found, axis=1, keepdims=True)
        errors.append(match_rows(found, factors).worst)
    return np.array(errors), 1e3 * float(np.median(seconds))


def main(problems):
    print("   k   noise   decoder   median    worst   failures (> .2)   ms")
    for k in (5, 10, 20):
        for noise in (0.0, 1e-2, 6e-2):
            for name, decoder in (("ours", ours), ("uwedge", peer)):
                errors, milliseconds = measure(decoder, k, noise, problems)
                print(
                    f"{k:4d}   {noise:5.2f}   {name:7s} {np.median(errors):8.1e} {errors.max():8.1e}"
                    f"   {np.sum(errors > 0.2):5d}          {milliseconds:7.1f}"
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
