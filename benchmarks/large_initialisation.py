"""Initialise a network of d = 1000, k = 10 from a million samples on disk, in 4 GB of memory.

python benchmarks/large_initialisation.py [n [d [k [folder]]]]; needs 8 n d bytes of disk. The limit on
memory is set in the kernel, so that an allocation beyond it fails. The time is compared with that of
reading the data through the bare matrix products: as many X^T (X Q) as there were passes, and one X V.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nnmoments.activations import squared_relu
from nnmoments.linalg import match_rows, principal_angles
from nnmoments.networks import OneHiddenLayer, conditioned_weights
from nnmoments.tensors import tensor_method

LIMIT = 4 * 10**9  # bytes that are not files
ROWS = 4096


def write(path, network, n):
    """Write n standard Gaussian rows; return their labels."""
    rng = np.random.default_rng(1)
    labels = np.empty(n)
    with path.open("wb") as file:
        for start in range(0, n, ROWS):
            rows = rng.standard_normal((min(ROWS, n - start), network.d))
            labels[start : start + len(rows)] = network(rows)
            rows.tofile(file)
    return labels


def products(X, block):
    total = np.zeros((X.shape[1], block.shape[1]))
    for start in range(0, len(X), ROWS):
        rows = X[start : start + ROWS]
        total += rows.T @ (rows @ block)
    return total


def seconds(function):
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def main(n=1_000_000, d=1000, k=10, folder=None):
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    weights = conditioned_weights(k, d, condition=2.0, rng=np.random.default_rng(0))
    network = OneHiddenLayer(weights, squared_relu, np.resize([1.0, -1.0], k))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "inputs.bin"
        generated, y = seconds(lambda: write(path, network, n))
        print(f"{n * d * 8 / 1e9:.1f} GB written in {generated:.0f} s")
        X = np.memmap(path, dtype=np.float64, mode="r", shape=(n, d))
        block = np.linalg.qr(np.random.default_rng(2).standard_normal((d, 2 * k + 5)))[0]
        products(X, block)  # into the page cache, for both
        before, _ = seconds(lambda: products(X, block))
        project, _ = seconds(lambda: X @ block[:, :k])
        whole, found = seconds(lambda: tensor_method(X, y, k, squared_relu, rng=0))
        after, _ = seconds(lambda: products(X, block))
        once = min(before, after)  # the first may still wait for the disk
        bare = found.subspace.n_iter * once + project
        angle = principal_angles(found.subspace.basis.T, weights)[0]
        match = match_rows(found.weights, weights, signed=True)
        print(
            f"initialisation {whole:.1f} s, {found.subspace.n_iter} passes; products alone {bare:.1f} s "
            f"({once:.2f} s a pass): ratio {whole / bare:.2f}\n"
            f"angle to the span {angle:.3f}, worst weight {match.worst:.3f}, "
            f"wrong signs {np.sum(found.output[match.permutation] != network.output)}"
        )


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:4]), *sys.argv[4:5])
