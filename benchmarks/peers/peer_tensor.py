"""Joint diagonalisation beside pyriemann, qndiag and tensorly's CP: errors, failures, times.

Two designs: signed weights with white noise, and qndiag's tutorial, covariances of 1000 samples each.

python benchmarks/peers/peer_tensor.py [problems]; peers that are not installed are left out (the extra
`peers` has them). Noise is the standard deviation of an entry; 0.043 is where uwedge has the errors of
the survey that set the goal, .018, .030 and .040. Tensorly, the slowest, sees a tenth of the problems.
"""

import importlib
import sys
import time
import warnings

import numpy as np

from nnmoments.linalg import match_rows
from nnmoments.networks import conditioned_weights
from nnmoments.tensors import joint_diagonalize

COUNT = 100  # matrices a problem


def problem(k, noise, rng):
    """Unit factors of condition about 5, signed weights, symmetric noise."""
    factors = conditioned_weights(k, k, condition=5.0, rng=rng)
    factors = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    matrices = np.einsum("li,ia,ib->lab", rng.standard_normal((COUNT, k)), factors, factors)
    error = np.triu(rng.standard_normal(matrices.shape))
    error = error + np.triu(error, 1).transpose(0, 2, 1)
    return factors, matrices + noise * error


def covariances(k, samples, rng):
    """Covariances of mixed independent sources, as in qndiag's tutorial: the mixing's rows, the matrices."""
    mixing, powers = rng.standard_normal((k, k)), rng.uniform(size=(COUNT, k))
    sources = rng.standard_normal((COUNT, samples, k)) * np.sqrt(powers)[:, None, :]
    signals = sources @ mixing
    factors = mixing / np.linalg.norm(mixing, axis=1, keepdims=True)
    return factors, signals.transpose(0, 2, 1) @ signals / samples


def ours(matrices):
    return joint_diagonalize(matrices, rng=0).factors


def decoders():
    """Return the decoders at hand, with the share of the problems that each is given."""
    found = {"ours": (ours, 1)}
    try:
        uwedge = importlib.import_module("pyriemann.geometry.ajd").uwedge
        found["uwedge"] = (lambda matrices: np.linalg.inv(uwedge(matrices)[0]).T, 1)
    except ImportError:
        print("pyriemann is not installed: uwedge is left out")
    try:
        qndiag = importlib.import_module("qndiag").qndiag
        found["qndiag"] = (lambda matrices: np.linalg.inv(qndiag(matrices)[0]).T, 1)
    except ImportError:
        print("qndiag is not installed: it is left out")
    try:
        decomposition = importlib.import_module("tensorly.decomposition")

        def als(matrices):
            best = None
            for seed in range(3):
                weights, factors = decomposition.parafac(
                    matrices, matrices.shape[1], init="random", random_state=seed, n_iter_max=500
                )
                error = np.linalg.norm(matrices - np.einsum("r,lr,ar,br->lab", weights, *factors))
                if best is None or error < best[0]:
                    best = (error, factors[1].T)
            return best[1]

        found["ALS"] = (als, 10)
    except ImportError:
        print("tensorly is not installed: ALS is left out")
    return found


def measure(decoder, design, k, size, problems):
    errors, seconds = [], []
    for seed in range(problems):
        factors, matrices = design(k, size, np.random.default_rng(seed))
        begin = time.perf_counter()
        found = decoder(matrices)
        seconds.append(time.perf_counter() - begin)
        found = found / np.linalg.norm(found, axis=1, keepdims=True)
        errors.append(match_rows(found, factors).worst)
    return np.array(errors), 1e3 * float(np.median(seconds))


def main(problems):
    available = decoders()
    warnings.simplefilter("ignore", RuntimeWarning)  # a peer that does not converge says so
    print("     design    k  noise or n  decoder  problems   median    worst  failures (> .2)      ms")
    designs = [(problem, noise) for noise in (0.0, 1e-2, 4.3e-2)] + [(covariances, 1000)]
    for k in (5, 10, 20):
        for design, size in designs:
            for name, (decoder, share) in available.items():
                if name == "qndiag" and design is problem:
                    continue  # it needs positive definite matrices
                count = max(1, problems // share)
                errors, milliseconds = measure(decoder, design, k, size, count)
                print(
                    f"{design.__name__:>11s} {k:4d}  {size:10g}  {name:>7s} {count:9d}"
                    f" {np.median(errors):8.1e} {errors.max():8.1e} {np.sum(errors > 0.2):15d}"
                    f" {milliseconds:7.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
