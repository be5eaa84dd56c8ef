"""SA's task by other packages: worst row error and seconds, exact and with 2 % noise.

python benchmarks/peers/peer_sparse.py
"""

import time
import warnings

import numpy as np
from sklearn.decomposition import DictionaryLearning, FastICA

from nnmoments.linalg import match_rows
from nnmoments.sparse import recover_rows


def problem(k, d, theta, noise, condition, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, d)) * (rng.random((k, d)) < theta)
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    B = rng.standard_normal((k, k))
    if condition:
        left, _, right = np.linalg.svd(B)
        B = (left * np.linspace(1, condition, k)) @ right
    M = B @ A
    E = rng.standard_normal(M.shape)
    E *= noise * np.linalg.norm(M) / np.linalg.norm(E)
    return A, M + E, np.full(M.shape, E.std())


def fast_ica(M, error):
    S = FastICA(len(M), whiten="unit-variance", random_state=0, max_iter=500).fit_transform(M.T).T
    return S


def dictionary_learning(M, error):
    return DictionaryLearning(len(M), alpha=0.05, max_iter=100, random_state=0).fit_transform(M.T / M.std()).T


def all_columns_l0(M, error):
    return recover_rows(M, ordering="l0", k=len(M)).rows


def all_columns_ratio(M, error):
    return recover_rows(M, k=len(M), standard_error=error, refine=False).rows


def ours(M, error):
    return recover_rows(M, k=len(M), columns="fast", standard_error=error).rows


def main():
    print(f"{'setting':>28} {'method':>22}  worst row  seconds")
    for name, noise, condition in (
        ("exact", 0.0, None),
        ("2 %, cond 3", 0.02, 3.0),
        ("2 %, Gaussian B", 0.02, None),
    ):
        for method in (fast_ica, dictionary_learning, all_columns_l0, all_columns_ratio, ours):
            worst, seconds = [], []
            for seed in range(3):
                A, M, error = problem(20, 500, 0.15, noise, condition, seed)
                start = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    rows = method(M, error)
                seconds.append(time.perf_counter() - start)
                rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
                rows = np.vstack([rows, np.zeros((len(A) - len(rows), A.shape[1]))])
                worst.append(match_rows(rows, A).worst)
            print(f"{name:>28} {method.__name__:>22}  {np.median(worst):9.2g}  {np.median(seconds):7.2f}")


if __name__ == "__main__":
    main()
