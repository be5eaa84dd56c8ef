"""The l1 programmes of one M = B A by what a user would take instead, in one run.

python benchmarks/peers/peer_programmes.py [k d theta]

R's quantreg takes part if `Rscript` finds it (Debian: r-base-core, r-cran-quantreg); a programme is
median regression once r.w = 1 is solved for one coordinate.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cvxpy as cp
import numpy as np
from scipy.optimize import linprog

from nnmoments.linalg import match_rows
from nnmoments.sparse import l1_programmes, recover_rows

COLUMNS = 8

QUANTREG = """
suppressPackageStartupMessages(library(quantreg))
folder <- commandArgs(TRUE)[1]
k <- as.integer(commandArgs(TRUE)[2]); n <- as.integer(commandArgs(TRUE)[3])
for (method in c("br", "fnb")) {
  for (path in list.files(folder, pattern = "bin$", full.names = TRUE)) {
    values <- readBin(path, "double", n * k)
    y <- values[1:n]; x <- matrix(values[-(1:n)], n, k - 1)
    seconds <- system.time(fit <- if (method == "br") rq.fit.br(x, y) else rq.fit.fnb(x, y))[["elapsed"]]
    cat(method, seconds, format(sum(abs(y - x %*% fit$coefficients)), digits = 17), "\\n")
  }
}
"""


def planted(k, d, theta, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, d)) * (rng.random((k, d)) < theta)
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    return A, rng.standard_normal((k, k)) @ A


def naive(M, r):
    w = cp.Variable(len(M))
    return cp.Problem(cp.Minimize(cp.norm1(M.T @ w)), [r @ w == 1]).solve()


def scipy_dual(M, r):
    k, n = M.shape
    result = linprog(
        np.append(np.zeros(n), -1.0),
        A_eq=np.column_stack([M, -r]),
        b_eq=np.zeros(k),
        bounds=[(-1, 1)] * n + [(None, None)],
        method="highs",
    )
    return -result.fun


def one_by_one(method, M, R):
    start = time.perf_counter()
    values = np.array([method(M, r) for r in R])
    return values, (time.perf_counter() - start) / len(R)


def ours(M, R, method):
    start = time.perf_counter()
    values = l1_programmes(M, R, method=method, tol=1e-9).objective
    return values, (time.perf_counter() - start) / len(R)


def quantreg(M, R):
    """Yield (method, objectives, seconds a column), nothing if R or its package is not there."""
    if shutil.which("Rscript") is None:
        return
    k, n = M.shape
    with tempfile.TemporaryDirectory() as folder:
        for i, r in enumerate(R):
            null = np.linalg.svd(r[None])[2][1:]
            table = np.vstack([r / (r @ r) @ M, -null @ M])
            (Path(folder) / f"{i:03}.bin").write_bytes(table.astype("<f8").tobytes())
        script = Path(folder) / "quantreg.R"
        script.write_text(QUANTREG, encoding="utf-8")
        run = subprocess.run(["Rscript", str(script), folder, str(k), str(n)], capture_output=True, text=True)
    if run.returncode:
        return
    lines = [line.split() for line in run.stdout.splitlines()]
    for method in ("br", "fnb"):
        chosen = [(float(value), float(seconds)) for name, seconds, value in lines if name == method]
        values, seconds = np.array(chosen).T
        yield f"R quantreg {method}", values, seconds.mean()


def main():
    k, d, theta = (float(a) for a in sys.argv[1:4]) if len(sys.argv) > 3 else (50, 2000, 0.1)
    A, M = planted(int(k), int(d), theta)
    R = M[:, np.flatnonzero(M.any(axis=0))[:COLUMNS]].T
    l1_programmes(M[:, : 4 * len(M)])
    start = time.perf_counter()
    everything = l1_programmes(M)
    batched = (time.perf_counter() - start) / len(everything.columns)
    start = time.perf_counter()
    recovery = recover_rows(M, columns="fast")
    whole = time.perf_counter() - start
    exact, highs = ours(M, R, "highs")
    rows = [
        ("cvxpy, a problem a column", *one_by_one(naive, M, R)),
        ("cvxpy, parametrised", *ours(M, R, "cvxpy")),
        ("SciPy linprog, dual", *one_by_one(scipy_dual, M, R)),
        ("HiGHS dual, one warm model", exact, highs),
        *quantreg(M, R),
        ("batched, all columns", everything.objective[:COLUMNS], batched),
    ]
    print(f"k = {len(M)}, d = {M.shape[1]}, theta = {theta}; {COLUMNS} columns of each peer")
    for name, values, seconds in rows:
        error = np.abs(values / exact - 1.0).max()
        print(f"{name:28} {1e3 * seconds:9.2f} ms a column  {seconds / batched:7.1f} x  error {error:.1e}")
    print(f"batched, all {len(everything.columns)} columns: certified gap at most {everything.gap.max():.1e}")
    loop = rows[0][2] * d
    print(
        f"whole recovery {whole:.3f} s (worst row {match_rows(recovery.rows, A).worst:.1e}, "
        f"{recovery.n_programmes} programmes, check by {recovery.check.how}); "
        f"the loop over all columns {loop:.0f} s (extrapolated): {loop / whole:.0f} x"
    )


if __name__ == "__main__":
    main()
