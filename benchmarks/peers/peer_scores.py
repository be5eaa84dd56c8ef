"""Scores by other packages on the mixture: relative error at the sample, every setting on the same samples.

python benchmarks/peers/peer_scores.py          (R's locfit is run if Rscript finds it: r-cran-locfit)
"""

import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.neighbors import KernelDensity

from nnmoments.densities import GaussianMixture
from nnmoments.scores import LocalLikelihood, NearestNeighbor, ScoreMatching

MIXTURE = GaussianMixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]])
N, TRIALS = 1000, 6

# Derivatives of the log-density that locfit reports: local polynomials of degree 2 and 3, the window a
# nearest-neighbour share, interpolated from locfit's tree.
LOCFIT = """
library(locfit)
arguments <- commandArgs(trailingOnly = TRUE)
data <- as.matrix(read.table(arguments[1])); x <- data[, 1]; y <- data[, 2]
for (deg in 2:3) for (nn in c(0.3, 0.5, 0.7, 0.9)) {
  start <- proc.time()[3]
  slopes <- sapply(1:2, function(axis)
    predict(locfit(~ lp(x, y, nn = nn, deg = deg, scale = FALSE), deriv = axis, maxk = 1000), cbind(x, y)))
  write.table(slopes, sprintf("%s-%d-%g", arguments[1], deg, nn), row.names = FALSE, col.names = FALSE)
  cat(deg, nn, proc.time()[3] - start, "\\n")
}
"""


def locfit(X):
    """Return score estimates and seconds by setting; nothing without locfit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample"
        np.savetxt(path, X)
        try:
            run = subprocess.run(["Rscript", "-e", LOCFIT, path], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return {}
        found = {}
        for line in run.stdout.splitlines():
            degree, share, seconds = line.split()
            name = f"locfit, degree {degree}, nn {share}"
            found[name] = -np.loadtxt(f"{path}-{degree}-{share}"), float(seconds)
        return found


def differences(X, bandwidth, step=1e-3):
    model = KernelDensity(bandwidth=bandwidth).fit(X)
    columns = [model.score_samples(X + step * e) - model.score_samples(X - step * e) for e in np.eye(2)]
    return -np.column_stack(columns) / (2.0 * step)


def settings(X):
    """Yield names and calls."""
    for h in (0.4, 0.5, 0.6):
        yield f"scikit-learn KDE, h = {h}", lambda h=h: differences(X, h)
    for width in (1.5, 2.0, 3.0):
        yield f"score matching, width {width}", lambda w=width: ScoreMatching(X, width=w, rng=0).score(X, 1)
    for p in (2, 3):
        for share in (0.2, 0.3, 0.4, 0.5):
            window = NearestNeighbor(share)
            yield (
                f"ours, degree {p}, share {share}",
                lambda p=p, b=window: LocalLikelihood(X, degree=p, bandwidth=b).score(X, 1),
            )


def main():
    errors, times = {}, {}
    for seed in range(TRIALS):
        X = MIXTURE.sample(N, rng=100 + seed)
        truth = MIXTURE.score(X, 1)
        found = locfit(X)
        for name, call in settings(X):
            start = time.perf_counter()
            found[name] = call(), time.perf_counter() - start
        for name, (estimate, seconds) in found.items():
            errors.setdefault(name, []).append(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))
            times.setdefault(name, []).append(seconds)
    print(f"{'S_1, n = ' + str(N):>32}  median    least    most  seconds")
    for name, values in errors.items():
        row = f"{np.median(values):8.3f} {min(values):8.3f} {max(values):7.3f} {np.median(times[name]):8.3f}"
        print(f"{name:>32}{row}")


if __name__ == "__main__":
    main()
