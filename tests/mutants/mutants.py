"""Deliberate errors, one at a time: each must turn the unit tests of its module red.

An entry names a module or package under `lib/nnmoments` (or `lib`, for the companion's), the code
it replaces (which must occur exactly once), what it puts there, and what kind of slip it stands for.
"""

from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).resolve().parents[2]


class Mutant(NamedTuple):
    module: str
    old: str
    new: str
    slip: str

    @property
    def tests(self) -> str:
        """The tests that are to notice: of the module, if there is such a file, or of its package."""
        package, _, rest = self.module.partition("/")
        if package == "companion":
            return f"tests/companion/test_{rest}.py"
        folder, file = f"tests/library/{package}", f"test_{rest}.py"
        if (_ROOT / folder).is_dir():
            return f"{folder}/{file}" if (_ROOT / folder / file).exists() else folder
        own = f"tests/library/{file}"
        return own if rest and (_ROOT / own).exists() else f"tests/library/test_{package}.py"

    def plant(self, library: Path) -> tuple[Path, str]:
        """Return the file that is to change and its new text."""
        place = library / ("" if self.module.startswith("companion/") else "nnmoments") / self.module
        files = sorted(place.glob("*.py")) or [place.with_name(f"{place.name}.py")]
        sources = {path: path.read_text(encoding="utf-8") for path in files}
        found = [path for path, source in sources.items() for _ in range(source.count(self.old))]
        assert len(found) == 1, f"{self.module}: {self.old!r} occurs {len(found)} times"
        return found[0], sources[found[0]].replace(self.old, self.new)


MUTANTS = [
    # --- score tensors
    Mutant("densities/density", "return float((-1) ** m) * total", "return total", "sign of odd scores"),
    Mutant(
        "densities/density", "(-1) ** (len(partition) - 1)", "(-1) ** len(partition)", "sign of cumulants"
    ),
    Mutant("densities/density", "math.factorial(len(partition) - 1)", "1.0", "factorial of cumulants"),
    Mutant(
        "densities/density", "product * (-1.0) ** len(block) *", "product *", "sign of moments in cumulants"
    ),
    Mutant(
        "densities/density",
        "product = product * tensor.reshape(len(tensor), *shape)",
        "product = product * tensor.reshape(len(tensor), *shape) / (2 if len(block) == 2 else 1)",
        "factor 1/2! in the Bell sum",
    ),
    Mutant(
        "densities/density",
        "order.index(i) + len(lead) for i in range(len(slots))",
        "j + len(lead) for j in order",
        "inverse permutation of axes",
    ),
    Mutant(
        "densities/multivariate",
        "Z = Z @ self._factor.T",
        "Z = Z @ self._factor",
        "transposed Cholesky factor",
    ),
    Mutant(
        "densities/multivariate",
        "np.log(np.diag(self._factor)).sum()",
        "0.5 * np.log(np.diag(self._factor)).sum()",
        "determinant instead of its root",
    ),
    Mutant(
        "densities/multivariate",
        "Dense(X if self._centred else X - self.mean, matrix=",
        "Dense(X, matrix=",
        "forgotten mean",
    ),
    Mutant(
        "densities/multivariate",
        "axis=1) + np.log(self.weights)",
        "axis=1)",
        "posterior without prior weights",
    ),
    Mutant(
        "densities/marginals",
        "/ np.float64(self.scale) ** order",
        "/ self.scale",
        "scale of higher derivatives",
    ),
    Mutant(
        "densities/marginals",
        "Polynomial([0.5, 0.0, -0.5])",
        "Polynomial([1.0, 0.0, -1.0])",
        "chain rule of the logistic",
    ),
    Mutant(
        "densities/marginals",
        "-(self.dof + 1.0) * (-1.0) ** (order - 1) * math.factorial(order - 1)",
        "-(self.dof + 1.0) * (-1.0) ** (order - 1) * math.factorial(order)",
        "factorial in Student's t",
    ),
    Mutant(
        "densities/marginals",
        "math.comb(m - 1, j - 1) * logs[j - 1]",
        "math.comb(m, j) * logs[j - 1]",
        "binomial of the cumulant recursion",
    ),
    Mutant(
        "densities/marginals",
        "np.where(u > 0, -1.0, 1.0) if order % 2 else 1.0",
        "np.where(u > 0, -1.0, 1.0)",
        "parity of even derivatives",
    ),
    Mutant(
        "densities/marginals",
        "+ (-1.0) ** order * (1.0 + u) ** -order",
        "- (-1.0) ** order * (1.0 + u) ** -order",
        "sign at one end of the beta density",
    ),
    Mutant("densities/marginals", "if not self.drop_singular:", "if False:", "Laplace drops Diracs silently"),
    # --- surrogates
    Mutant(
        "moments/surrogates",
        "math.perm(axes.count(v), taken.count(v))",
        "math.comb(axes.count(v), taken.count(v))",
        "falling factorials of a derivative",
    ),
    Mutant(
        "moments/expectations",
        "weights @ part.mean + biases) / scales**order",
        "weights @ part.mean + biases)",
        "scale of a mean derivative",
    ),
    Mutant(
        "moments/surrogates",
        "(z * value + width**2 * below) / i",
        "(z * value + width * below) / i",
        "recursion of smoothed powers",
    ),
    Mutant(
        "moments/expectations",
        "weights, part.covariance, weights) + widths**2",
        "weights, part.covariance, weights) + widths",
        "variance of the smoothing",
    ),
    Mutant(
        "moments/surrogates",
        "self.second.fit(X, y - first.predict(X), sample_weight)",
        "self.second.fit(X, y, sample_weight)",
        "second part fitted to all of y",
    ),
    Mutant("moments/estimate", "residuals = labels - guess", "residuals = labels", "surrogate not removed"),
    # --- sums over samples
    Mutant(
        "moments/sums",
        "total if len(slots) % 2 == 0 else np.negative(total)",
        "total",
        "sign of odd moments",
    ),
    Mutant(
        "moments/sums",
        "labels if weight is None else labels * weight[:, None]",
        "labels",
        "components without posterior weight",
    ),
    Mutant(
        "moments/sums",
        "before = 2 + sum(len(block) for block in blocks[:position])",
        "before = 2 + position",
        "place of a constant factor",
    ),
    Mutant(
        "moments/sums",
        "rows[i, i:] = rows[i:, i] = np.arange(start, start + q - i)",
        "rows[i, :] = rows[:, i] = start",
        "rows of packed squares",
    ),
    Mutant(
        "moments/sums",
        "2 + order.index(i) for i in range(len(slots))",
        "2 + i for i in order",
        "inverse permutation of slots",
    ),
    Mutant(
        "moments/sums",
        "names = tuple(id(slot) for slot in chosen)",
        "names = tuple(id(slot) for slot in chosen[:1])",
        "shared factor of different slots",
    ),
    Mutant(
        "moments/estimate",
        "min(max(n // _BLOCKS, 1), _LONGEST_BLOCK)",
        "min(n // _BLOCKS + 1, _LONGEST_BLOCK)",
        "off by one in blocks",
    ),
    Mutant(
        "moments/blocks",
        "if part.stop > part.start:",
        "if part.stop > part.start + 1:",
        "dropped remainder",
    ),
    Mutant(
        "moments/blocks",
        "shift**2 * (self.weight * other.weight / weight)",
        "shift**2 * (other.weight / weight)",
        "merged spread",
    ),
    Mutant(
        "moments/blocks",
        "self.mean + shift * (other.weight / weight)",
        "self.mean + shift * 0.5",
        "merged mean",
    ),
    Mutant(
        "moments/blocks",
        "self.spread / (self.count - 1) / self.weight",
        "self.spread / self.count / self.weight",
        "degrees of freedom of the standard error",
    ),
    Mutant(
        "moments/blocks",
        "spread = size * np.sum((means - mean) ** 2, axis=0)",
        "spread = np.sum((means - mean) ** 2, axis=0)",
        "weight of a block",
    ),
    Mutant(
        "moments/blocks",
        "self.spread / (self.weight**2 - self.squares)",
        "self.spread / self.weight**2",
        "weighted mean in place of the truth",
    ),
    Mutant(
        "moments/blocks",
        "moved * (group.squares * moved - 2.0 * group.lean)",
        "moved * (group.squares * moved)",
        "merged spread of weighted blocks",
    ),
    Mutant(
        "moments/blocks",
        "shifts * (weights**2).reshape(shape)",
        "shifts * weights.reshape(shape)",
        "weights of weighted blocks",
    ),
    Mutant("moments/blocks", "lean -= group.squares * moved", "pass", "lean of merged blocks"),
    Mutant(
        "moments/blocks",
        "spread -= blocks * total**2",
        "spread -= total**2",
        "spread about the first block's mean",
    ),
    Mutant("moments/blocks", "mean += fixed[tile[1:]]", "pass", "second derivative of a correlated Gaussian"),
    Mutant(
        "moments/gaussian",
        "labels = y if w is None else y * (w * (n / w.sum()))",
        "labels = y if w is None else y * w",
        "weights that do not sum to n",
    ),
    Mutant("moments/gaussian", "* (weight / mass) for", "/ folds for", "folds of equal weight"),
    Mutant(
        "moments/expectations",
        "(values if weight >= 0.0 else values.conj())",
        "values",
        "characteristic function at negative frequencies",
    ),
    Mutant(
        "moments/expectations",
        "math.comb(p - 1, q - 1) * kappa[q] * moments[p - q]",
        "math.comb(p, q) * kappa[q] * moments[p - q]",
        "recursion of cumulants",
    ),
    Mutant(
        "moments/crossfit",
        "np.random.default_rng(_SHUFFLE).permutation(n)",
        "np.arange(n)",
        "folds in the order of the file",
    ),
    Mutant(
        "moments/crossfit",
        "[*parts[:i], *parts[i + 1 :]]",
        "list(parts)",
        "no cross-fitting at all",
    ),
    Mutant("moments/estimate", "if not self._varies:", "if False:", "constant labels pass"),
    Mutant(
        "moments/surrogates",
        "gram += weighted.T @ np.hstack([powers, y[rows]])",
        "gram += powers.T @ np.hstack([weighted, y[rows]])",
        "labels without weight in the normal equations",
    ),
    Mutant(
        "moments/crossfit",
        "fit([*parts[:i], *parts[i + 1 :]])",
        "fit([part])",
        "fold fitted to itself",
    ),
    Mutant(
        "moments/crossfit",
        "return order - 1 if self.degree is None",
        "return order if self.degree is None",
        "polynomials that the moment sees",
    ),
    # --- linear algebra
    Mutant("linalg", "return total / math.factorial(order)", "return total", "1/m! of symmetrization"),
    Mutant(
        "linalg",
        "grown.append((*partition, (last,)))",
        "pass",
        "partitions without singletons",
    ),
    Mutant(
        "linalg",
        "(product[:, :, None] * matrix[:, None, :])",
        "(product[:, None, :] * matrix[:, :, None])",
        "transposed Khatri-Rao product",
    ),
    Mutant(
        "linalg",
        "np.where(chosen < 0, -1.0, 1.0)",
        "np.where(chosen < 0, 1.0, -1.0)",
        "sign of a matched row",
    ),
    Mutant(
        "linalg",
        "linear_sum_assignment(cost / norms[:, None] ** 2)",
        "linear_sum_assignment(cost)",
        "absolute instead of relative matching",
    ),
    # --- Hermite polynomials, activations, networks
    Mutant(
        "hermite",
        "previous, current = current, x * current - m * previous",
        "previous, current = current, x * current - (m + 1) * previous",
        "coefficient of the Hermite recurrence",
    ),
    Mutant(
        "hermite",
        "square * previous) / math.sqrt(m + 1.0)",
        "square * previous) / (m + 1.0)",
        "normalisation of h_n",
    ),
    Mutant(
        "hermite",
        "x * current - math.sqrt(m) * square * previous",
        "x * current - math.sqrt(m) * previous",
        "homogeneity of H_n",
    ),
    Mutant(
        "hermite",
        "projection * powers[m] - m * square * powers[m - 1]",
        "projection * powers[m] - m * powers[m - 1]",
        "homogeneity of H_n",
    ),
    Mutant("hermite", "if probe and width", "if False and width", "a peak between the points"),
    Mutant(
        "hermite",
        "gaps = at - mean[:, None]",
        "gaps = at + 0.0 * mean[:, None]",
        "place of a kink",
    ),
    Mutant(
        "activations",
        "float(_divided(coefficient, scale, m))",
        "coefficient",
        "scale of the Stein coefficient",
    ),
    Mutant(
        "activations",
        "(-root) ** m * hermite_polynomial(m, np.nan_to_num(root * z))",
        "root**m * hermite_polynomial(m, np.nan_to_num(root * z))",
        "sign of Gaussian derivatives",
    ),
    Mutant(
        "activations",
        "b0 - a0**2 - a1**2, b2 - a1**2 - a2**2",
        "b0 - a0**2 - a1**2, b2 - a1**2",
        "a term of rho",
    ),
    Mutant(
        "activations",
        "(phi * (t + 1.0)) / math.sqrt(24.0)",
        "(phi * (t + 1.0)) / 24.0",
        "normalisation of u_4",
    ),
    Mutant(
        "networks",
        "slopes = self.activation.derivative(order, self._hidden(X)) * self.output",
        "slopes = self.activation.derivative(order, self._hidden(X))",
        "output weights of a derivative",
    ),
    Mutant(
        "networks",
        "shifts = self.weights @ centre + self.biases",
        "shifts = self.weights @ centre",
        "biases in the exact moment",
    ),
    Mutant(
        "networks",
        "np.eye(self.n_y) * mean[:, None, :] - mean[:, :, None] * mean[:, None, :]",
        "np.eye(self.n_y) * mean[:, None, :]",
        "derivative of the softmax",
    ),
    Mutant(
        "networks",
        "return total * math.factorial(order)",
        "return total",
        "m! of a Taylor coefficient",
    ),
    Mutant(
        "hermite",
        "(math.lgamma(n + 1) - math.lgamma(m + 1)) / 2.0",
        "(math.lgamma(n + 1) - math.lgamma(m + 1))",
        "normalisation in GP's Fact 5",
    ),
    Mutant(
        "hermite",
        "second, rho * g + root * e)",
        "second, rho * g + e)",
        "variance of the second unit",
    ),
    Mutant(
        "activations",
        "scale, m - j)",
        "scale, m - 1 - j)",
        "scale of a Dirac",
    ),
    Mutant(
        "networks",
        "float(moments[p, r]) / math.factorial(p) / math.factorial(r)",
        "float(moments[p, r]) / math.factorial(p + r)",
        "mixed factorials of a Taylor series",
    ),
    Mutant(
        "networks",
        "@ values / math.sqrt(math.factorial(order))",
        "@ values",
        "normalisation of H_m in a moment",
    ),
    Mutant(
        "networks",
        "coefficients = coefficients / scales**order",
        "coefficients = coefficients / scales",
        "scale of the exact moment",
    ),
    # --- l1 recovery
    Mutant("sparse", "np.abs(Z).max(axis=1) + residual", "np.abs(Z).max(axis=1)", "residual outside a bound"),
    Mutant("sparse", "np.abs(Z).max(axis=1) + residual", "1.0 + residual", "box outside a bound"),
    Mutant("sparse", "np.linalg.solve(lower, Q)", "np.linalg.svd(M / scale)[2][:k]", "basis by the SVD"),
    Mutant(
        "sparse",
        "np.sqrt(2.0 * squares.sum(axis=1).max()) + np.sqrt(squares.sum(axis=0).max())",
        "np.sqrt(squares.sum(axis=0).max())",
        "half of the noise's norm",
    ),
    Mutant("sparse", "np.sqrt(2.0 * squares", "np.sqrt(squares", "labels of two classes as independent"),
    Mutant("sparse", "if not tied(rows, mask):", "if True:", "a proof for almost all values, of a grid"),
    Mutant("sparse", "count = int((held == 1).sum())", "count = int((held > 0).sum())", "nothing can vanish"),
    Mutant("sparse", "- (k - 1)\n", "\n", "zeros of a generic vertex as evidence"),
    Mutant("sparse", "(mask.sum(axis=1) + len(M) - 1)", "1.0", "a row's parameters for nothing"),
    Mutant("sparse", "if level.k > basis.k:", "if False:", "short rows lost in long ones"),
    Mutant(
        "sparse",
        "- (1.0 - (G**2).mean(axis=1))[:, None] * U",
        "+ (1.0 - (G**2).mean(axis=1))[:, None] * U",
        "sign in FastICA",
    ),
    Mutant(
        "sparse", ".any(axis=0).sum()) - size - largest", ".any(axis=0).sum()) - largest", "|S| in expansion"
    ),
    Mutant(
        "sparse",
        "t * (t - 1) // 2 * int(overlaps.max())",
        "(t - 1) * int(overlaps.max())",
        "overlaps of all pairs",
    ),
    Mutant(
        "sparse",
        "signs[:, None] * self._signs",
        "np.ones_like(signs)[:, None] * self._signs",
        "sign of a screened row",
    ),
    Mutant("sparse", "values[1] <= 1e-8 * values[-1]", "False", "vertices of more than one dimension"),
    Mutant(
        "sparse",
        "Z / np.maximum(np.abs(Z).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)",
        "Z",
        "dual points outside the box",
    ),
    Mutant(
        "sparse",
        "bound = duality_gap(basis.Q, R, found.W, dual)[1]",
        "bound = found.bound * (1.0 + 1e-10)",
        "a bound that the dual point does not prove",
    ),
    Mutant(
        "sparse",
        "> rounding * np.linalg.norm(r, axis=1)",
        "> np.inf",
        "directions outside the column space solved inside",
    ),
    Mutant(
        "sparse", "cost[cost <= 8.0", "cost[cost >= 0.0 * 8.0", "optimum 0 claimed where the rank was cut"
    ),
    Mutant("sparse", "shift = exponent * power", "shift = 0 * power", "lengths of directions"),
    Mutant(
        "sparse",
        "if value <= objective[c] * (1.0 + 1e-12):",
        "if True:",
        "a vertex that raises the objective",
    ),
    Mutant("sparse", "if len(shuffled) > 1 else shuffled", "", "a column without a partner"),
    Mutant(
        "sparse", "len(found) == k and not found.n_uncertified and", "", "incomplete recovery as converged"
    ),
    Mutant("sparse", "if expansion_margin(mask) >= 0 else None", "", "a proof that supports do not give"),
    Mutant("sparse", 'S.sparsities(Q, "l0")', "-np.arange(len(S))", "Algorithm 1 without its order"),
    Mutant(
        "sparse",
        "return refined_rows(M / scale, error / scale, rows",
        "return refined_rows(M, error, rows",
        "scale of a moment to refine",
    ),
    Mutant(
        "sparse",
        "np.log(rows.size / FALSE_ENTRY)",
        "np.log(1.0 / FALSE_ENTRY)",
        "threshold without union bound",
    ),
    Mutant("sparse", "if len(kept) < k and length > new:", "if len(kept) < k:", "no rank test"),
    Mutant("sparse", '{"new": _NEW_NOISY}', "{}", "rank test for exact rows only"),
    Mutant(
        "sparse",
        "wanted, share, k * (1.0 - share) ** wanted",
        "wanted, share, (1.0 - share) ** wanted",
        "failure of one row instead of any",
    ),
    Mutant("sparse", "basis.Q.T[columns].sum(axis=1)", "basis.Q.T[columns][:, 0]", "pairs of one column"),
    Mutant(
        "sparse",
        "np.sqrt(inverse**2 @ error**2)",
        "np.sqrt(np.abs(inverse) @ error**2)",
        "standard error of a combination",
    ),
    Mutant("sparse", "np.sqrt(2.0 * sum(M.shape))", "np.sqrt(2.0 * M.size)", "spread of all of chi-square"),
    Mutant("sparse", "coincidence = -2.0 *", "coincidence = 0.0 *", "zeros by chance cost nothing"),
    Mutant(
        "sparse",
        " + float(np.log(M.size) * mask.sum()), fitted, mask",
        ", fitted, mask",
        "fit without the number of weights",
    ),
    Mutant(
        "sparse",
        "target = ((aim / mu) ** 3 * mu",
        "target = (aim / mu * mu",
        "centring of the predictor",
    ),
    # --- the learner of SA
    Mutant(
        "learners/sparse_network",
        "moment.standard_error * unit",
        "moment.standard_error",
        "standard errors in other units than the moment",
    ),
    Mutant(
        "learners/sparse_network",
        "shift = network.biases[0] - first @ centre",
        "shift = network.biases[0]",
        "origin of x",
    ),
    Mutant(
        "learners/sparse_network",
        "first = network.weights[0] / spread",
        "first = network.weights[0] * spread",
        "weights of z",
    ),
    Mutant(
        "learners/sparse_network",
        "np.where(strength[:k] >= strength[k:], 1.0, -1.0)",
        "np.where(strength[:k] >= 0.0, 1.0, -1.0)",
        "signs not settled",
    ),
    Mutant(
        "learners/sparse_network",
        "delta @ W[layer]) * phi.derivative(1,",
        "delta @ W[layer]) * phi.derivative(2,",
        "derivative in backpropagation",
    ),
    Mutant("learners/sparse_network", "alpha / 2.0 * sum", "alpha * sum", "weight decay"),
    Mutant(
        "learners/sparse_network",
        "gradients[0] = np.where(free, gradients[0], 0.0)",
        "pass",
        "weights off the support move",
    ),
    Mutant(
        "learners/sparse_network",
        "share[:, None] * (_probabilities",
        "(1.0 / len(X)) * (_probabilities",
        "sample weights in the gradient",
    ),
    Mutant(
        "learners/sparse_network",
        "return np.asarray(softmax(logits, axis=1) if link",
        "return np.asarray(expit(logits) if link",
        "sigmoid for one class of several",
    ),
    Mutant(
        "learners/sparse_network",
        "not notes and recovery.converged",
        "recovery.converged",
        "verdict without what was cut",
    ),
    Mutant(
        "learners/sparse_network",
        "X[weight > 0], labels[weight > 0], weight[weight > 0]",
        "X, labels, weight",
        "samples without weight in folds",
    ),
    Mutant(
        "learners/sparse_network",
        "p * (w - value[:, None]) if",
        "p * w if",
        "slope of a softmax in Stein's identity",
    ),
    Mutant(
        "learners/halfspaces",
        "not (far or frame.doubtful or predictable)",
        "not (far or frame.doubtful)",
        "mixtures of halfspaces trusted",
    ),
    Mutant(
        "learners/halfspaces",
        "not (far or frame.doubtful or predictable)",
        "not (frame.doubtful or predictable)",
        "rows that no sample shows trusted",
    ),
    Mutant(
        "learners/beside",
        "alone = near.sum(axis=1)[:, None] - near == 0",
        "alone = near >= 0",
        "turned borders",
    ),
    # --- sweeps and the ledger
    Mutant(
        "companion/sweep",
        "text = json.dumps([self.name, dict(",
        "text = json.dumps([dict(",
        "figures share streams",
    ),
    Mutant(
        "companion/sweep",
        "np.random.SeedSequence(seed, spawn_key=tuple(map(int, words)))",
        "np.random.SeedSequence(seed, spawn_key=(int(words[0]) % 97,))",
        "cells share streams",
    ),
    Mutant(
        "companion/sweep",
        "np.random.SeedSequence(seed, spawn_key",
        "np.random.SeedSequence(0, spawn_key",
        "seeds share streams",
    ),
    Mutant("companion/sweep", 'self._file.write("\\n")', "pass", "torn line swallows the next"),
    Mutant(
        "companion/sweep",
        "if problems and not stale and made_on != here and",
        "if problems and not stale and",
        "chaos on the same processor",
    ),
    Mutant("companion/sweep", "not stale and made_on", "made_on", "chaos excuses a change of the source"),
    Mutant("companion/sweep", "if stale and not restamp:", "if False:", "stale results pass"),
    Mutant("companion/sweep", "each_kind=stale", "each_kind=False", "cheap cells stamp dear ones"),
    Mutant("companion/sweep", "if stale and not problems:", "if stale:", "restamped although cells differ"),
    Mutant("companion/reach", "{*chosen, *self.always}", "set(chosen)", "what runs at import is not reached"),
    Mutant(
        "companion/reach",
        "queue += starmap(_home, used.imports.values())",
        "pass",
        "what a function imports is not reached",
    ),
    Mutant("companion/sweep", "len(values) ** 0.5", "1.0", "standard deviation instead of error"),
    Mutant("companion/sweep", "(1.0 - level) / 2.0", "1.0 - level", "one-sided interval"),
    Mutant(
        "companion/sweep",
        "np.log(values) @ x / (x @ x)",
        "np.log(values) @ x / len(x)",
        "least-squares slope",
    ),
    Mutant(
        "companion/ledger",
        "return bottom <= low and high <= top",
        "return bottom <= value <= top",
        "only the centre",
    ),
    Mutant(
        "companion/ledger",
        "return low <= target <= high and max(high - value, value - low) <= width",
        "return low <= target <= high",
        "ignorance counts as agreement",
    ),
    Mutant(
        "companion/ledger",
        'return "fails" if self.fails(value, low, high) else "is left undecided"',
        'return "fails"',
        "ignorance counts as refutation",
    ),
    Mutant(
        "companion/ledger",
        "if claim.rule.outcome(*against) == claim.needed:",
        "if False:",
        "a foil with the same outcome passes",
    ),
    Mutant(
        "companion/ledger",
        'if (foil is None) is not (claim.foil == ""):',
        "if False:",
        "a foil that is named is not measured",
    ),
    Mutant("companion/ledger", "if claim.id in claims:", "if False:", "claims stand twice"),
    # --- validation
    Mutant("validation", "or int(value) < low", "or int(value) < low - 1", "order 0 passes"),
    Mutant("validation", "if len(y) != len(X):", "if len(y) > len(X):", "fewer labels than inputs pass"),
    Mutant(
        "validation",
        "if not math.isfinite(total) and not np.isfinite(array).all():",
        "if np.isnan(total):",
        "infinity passes",
    ),
    # --- tensors
    Mutant(
        "tensors/joint_diagonalization",
        "(cross * lengths[:, None] - gram * cross.T)",
        "(cross * lengths[None, :] - gram * cross.T)",
        "lengths of the wrong factor in a sweep",
    ),
    Mutant(
        "tensors/joint_diagonalization",
        "blocks[:, gauge, :, gauge] += 2.0 * gram * strength",
        "blocks[:, gauge, :, gauge] += gram * strength",
        "half a Gauss-Newton term",
    ),
    Mutant(
        "tensors/joint_diagonalization",
        "normal -= coupling @",
        "normal += coupling @",
        "weights not eliminated",
    ),
    Mutant(
        "tensors/joint_diagonalization",
        "unique = not (_deficient(matrices) or _proportional(coefficients))",
        "unique = True",
        "factors that are not unique pass",
    ),
    Mutant(
        "tensors/joint_diagonalization",
        "- jacobian < 0.5 * np.log(white)",
        "- jacobian > 0.5 * np.log(white)",
        "the less likely criterion",
    ),
    Mutant(
        "tensors/joint_diagonalization",
        'G = np.einsum("l,lij,li->ij", p, D, 1.0 / diagonal)',
        'G = np.einsum("l,lij,lj->ij", p, D, 1.0 / diagonal)',
        "the gradient's other index",
    ),
    Mutant(
        "learners/misfit",
        "np.fill_diagonal(products, 0.0)",
        "products += 0.0",
        "a sample paired with itself",
    ),
    Mutant(
        "learners/misfit",
        "return float(total @ total - own)",
        "return float(total @ total)",
        "its square kept",
    ),
    Mutant(
        "learners/misfit", "_WRITTEN, _PART = 500, 1500", "_WRITTEN, _PART = 0, 1500", "pairs of parts only"
    ),
    Mutant("learners/misfit", "leverage < 1.0 - _ALONE", "leverage < 2.0", "labels that nothing checks"),
    Mutant(
        "tensors/decomposition",
        "signed = self._signs[:, None] * powers",
        "signed = powers",
        "signs of the terms",
    ),
    Mutant(
        "tensors/decomposition",
        "((m - 1) * outer * gram ** (m - 2))",
        "(outer * gram ** (m - 2))",
        "factor m - 1 of the normal matrix",
    ),
    Mutant(
        "tensors/decomposition",
        "factors = factors * np.where(coefficients < 0, -1.0, 1.0)[:, None]",
        "factors = factors * 1.0",
        "sign of odd factors",
    ),
    Mutant(
        "moments/gaussian_scores",
        "X.T @ (weighted[:, None] * images) - weighted.sum() * block",
        "X.T @ (weighted[:, None] * images)",
        "Hermite polynomial without its constant",
    ),
    Mutant(
        "moments/gaussian_scores",
        "first = (m - 2) * (powers[m - 3][:, r] @ X)",
        "first = powers[m - 3][:, r] @ X",
        "factor two of the mixed term",
    ),
    Mutant(
        "moments/gaussian_scores",
        "(m - 2) * (m - 3) * powers[m - 4]",
        "(m - 3) * powers[m - 4]",
        "factor two of the last term",
    ),
    Mutant(
        "tensors/subspace",
        "order = np.argsort(-np.abs(values))",
        "order = np.argsort(-values)",
        "largest instead of largest absolute eigenvalues",
    ),
    Mutant(
        "tensors/orders",
        "if not (present[2] or present[3]):",
        "if not present[2]:",
        "fourth moments do not count",
    ),
    Mutant(
        "tensors/magnitudes",
        "choice.odd) * output < 0, -1.0, 1.0)",
        "choice.odd) < 0, -1.0, 1.0)",
        "direction's sign without v",
    ),
    Mutant(
        "tensors/magnitudes", "np.abs(measured) ** (1.0 / q)", "np.abs(measured)", "degree of homogeneity"
    ),
    Mutant(
        "tensors/magnitudes",
        "output = odd / low\n",
        "output = odd / high\n",
        "the other moment's coefficient",
    ),
    Mutant(
        "tensors/magnitudes",
        "@ np.abs(output) * offset - mean",
        "@ np.abs(output) * offset + mean",
        "sign of the mean label",
    ),
    Mutant(
        "tensors/controlled",
        "self.split.forward + (-1) ** order * self.split.backward",
        "self.split.forward + self.split.backward",
        "parity of reversed units",
    ),
    Mutant(
        "tensors/controlled",
        "known + self.split.linear * lengths if order == 1",
        "known if order == 1",
        "linear part of the first moment",
    ),
    Mutant(
        "tensors/controlled",
        "return image + (units.T",
        "return image - (units.T",
        "sign of the known part of P_2",
    ),
    Mutant(
        "tensors/controlled",
        "** (order - 2)",
        "** (order - 1)",
        "contraction of the known part",
    ),
    Mutant(
        "tensors/controlled",
        "average + np.tensordot(sizes",
        "average - np.tensordot(sizes",
        "sign of the known part of R_3",
    ),
    Mutant(
        "tensors/controlled",
        "residuals[own] -= fitted.predict(sample.X[own])",
        "residuals[own] -= 0.5 * fitted.predict(sample.X[own])",
        "half the fitted units",
    ),
    Mutant(
        "tensors/joint_diagonalization",
        "return array / unit, unit",
        "return array, 1.0",
        "squares of huge tensors overflow",
    ),
    Mutant("tensors/decomposition", "unit * coefficients, share", "coefficients, share", "forgotten unit"),
    Mutant(
        "tensors/decomposition",
        "    if not found.unique:\n        return start\n",
        "",
        "the fit hides that factors are not unique",
    ),
    Mutant("tensors/zs_algorithm1", "R3 = R3 @ _unit(S.k, rng)[0]", "R3 = R3[0]", "a fixed projection"),
    Mutant("tensors/zs_algorithm1", "if partition:\n", "if not partition:\n", "inputs of another part"),
    Mutant(
        "tensors/zs_algorithm2",
        "losses[next(turn) % len(losses)]",
        "losses[0]",
        "the first batch in every step",
    ),
    Mutant(
        "tensors/initialization",
        "weight[kept] / weight[kept].mean()",
        "weight[kept]",
        "weights of samples not of mean one",
    ),
    Mutant("tensors/initialization", "self.y * self.sample_weight /", "self.y /", "forgotten weights"),
    # --- the learner of ZS
    Mutant(
        "learners/tensor_network",
        "self._conclude(self._trusted(best), self._verdict(best, used), whitening.tied)",
        "self._conclude(True, self._verdict(best, used), whitening.tied)",
        "a failure in silence",
    ),
    Mutant(
        "learners/tensor_network",
        "found.unexplained < best.unexplained",
        "found.unexplained > best.unexplained",
        "the worst attempt",
    ),
    Mutant(
        "learners/tensor_network",
        "hidden @ self.output_ + self.intercept_",
        "hidden @ self.output_",
        "prediction without its constant",
    ),
    Mutant(
        "learners/tensor_network",
        '"fit_intercept": self.fit_intercept,',
        '"fit_intercept": False,',
        "no constant in the descent",
    ),
    Mutant(
        "learners/tensor_network",
        '"sample_weight": None if weight is None else weight[part],',
        '"sample_weight": None,',
        "a loss without weights",
    ),
    Mutant(
        "learners/tensor_network",
        "free = phi.homogeneity is None if free is None else free",
        "free = bool(free)",
        "outputs that biases have spoilt are kept",
    ),
    Mutant(
        "landscapes/square_loss",
        "along = self._centred(np.einsum",
        "along = (np.einsum",
        "many parameters without the constant",
    ),
    Mutant(
        "learners/tensor_network",
        "@ self.weights_.T + self.biases_",
        "@ self.weights_.T",
        "prediction without biases",
    ),
    # --- score estimation
    Mutant(
        "scores",
        "[..., None, None] ** 2 - precision",
        "[..., None, None] ** 2 + precision",
        "sign in GM (15)",
    ),
    Mutant("scores", "total = total - term", "total = total + term", "sign of central moments"),
    Mutant(
        "scores",
        "value = fourth[entry] - gaussian",
        "value = fourth[entry]",
        "kurtosis, not excess",
    ),
    Mutant(
        "scores",
        "math.factorial(a) / math.factorial(a - c)",
        "math.factorial(a - c) / math.factorial(a)",
        "factor of a Hermite derivative",
    ),
    Mutant(
        "scores",
        "0.5 * middle**2 - weights @ values",
        "0.5 * middle**2 + weights @ values",
        "sign in score matching",
    ),
    Mutant(
        "scores",
        "(-1.0 / (2 * degree + 2 + d))",
        "(-1.0 / (2 * degree + d))",
        "exponent of Remark 1",
    ),
    Mutant(
        "scores",
        "logs[mine, own[mine]] = -np.inf",
        "logs[mine, own[mine]] = 0.0",
        "own point",
    ),
    Mutant(
        "scores/kernel_moments",
        "    logs -= peak[:, None]",
        "    peak *= 0.0",
        "underflow of squared weights",
    ),
    Mutant("scores", "> _LOSS", "> 1.0 / _LOSS", "moments about a far centre"),
    Mutant("scores", "rest[1] / h2**3", "rest[1] / h2**2", "power of h in a cumulant"),
    # --- descents
    Mutant(
        "optimize/descent",
        "weights = weights - step * gradient",
        "weights = weights + step * gradient",
        "ascent",
    ),
    Mutant("optimize/descent", "norm <= tol * (1.0 + abs(history[-1]))", "norm <= tol", "tolerance absolute"),
    Mutant("optimize/descent", "n_iter % every == 0", "n_iter % every == 1", "steps that are watched"),
    Mutant("optimize/descent", "ended = value <= goal", "ended = value < -np.inf", "target ignored"),
    Mutant("optimize/descent", "(loss if fresh is None else fresh())", "loss", "fresh samples ignored"),
    Mutant(
        "optimize/descent",
        "not -_BOTTOMLESS < found.fun < np.inf",
        "not found.fun < np.inf",
        "no bottom goes unsaid",
    ),
    Mutant("optimize/descent", "found.x.reshape(start.shape)", "start", "start returned for the end"),
    Mutant(
        "optimize/newton",
        "- (2.0 * min(ratio, 1.0) - 1.0) ** 3",
        "- (2.0 * min(ratio, 1.0) - 1.0)",
        "cube of Nielsen's rule",
    ),
    Mutant("optimize/newton", "        self._growth *= 2.0", "        pass", "growth of the damping"),
    Mutant("optimize/newton", "max(0.1 * self.value, self._least)", "0.1 * self.value", "least damping"),
    Mutant(
        "optimize/newton", "max(10.0 * self.value, self._retry)", "10.0 * self.value", "damping of a retry"
    ),
    Mutant(
        "optimize/newton",
        "move * (damping.value * curvature.scale * move - gradient)",
        "move * -gradient",
        "damping in the promised gain",
    ),
    Mutant("optimize/newton", "if settled(move, promised):", "if False:", "test at the rounding floor"),
    Mutant(
        "optimize/newton", "new < value + rounding", "new < np.inf + rounding", "steps that do not descend"
    ),
    Mutant("optimize/newton", "damping.value <= max_damping:", "damping.value <= np.inf:", "giving up"),
    Mutant(
        "optimize/newton",
        "weights, value, gradient, curvature = trial, new, new_gradient, None",
        "weights, value, gradient = trial, new, new_gradient",
        "stale curvature",
    ),
    Mutant("optimize/newton", "retract(weights + move)", "weights + move", "retraction"),
    Mutant(
        "optimize/newton",
        "return 0.5 * float(np.sum(self.gradient *",
        "return float(np.sum(self.gradient *",
        "half of the promise",
    ),
    Mutant("optimize/losses", "or self._factored[0] != damping", "", "factor of another damping"),
    Mutant("optimize/losses", "damping * self.scale.ravel()", "damping", "scale of the damping"),
    Mutant(
        "optimize/end_points",
        "norm > gradient_tol * scale",
        "norm > gradient_tol",
        "stationarity relative to curvature",
    ),
    Mutant(
        "optimize/end_points", "values[0] < -curvature_tol * scale", "values[0] < 0", "tolerance of saddles"
    ),
    # --- landscapes
    Mutant(
        "landscapes/fourth_order",
        "every - (1.0 + self.mu) * own",
        "every - self.mu * own",
        "i = j in GM (19)",
    ),
    Mutant(
        "landscapes/fourth_order",
        "(square - 1.0) ** 2, 4.0 * (square - 1.0)",
        "(square - 1.0) ** 2, 2.0 * (square - 1.0)",
        "slope of the penalty",
    ),
    Mutant(
        "landscapes/fourth_order",
        "- 12.0 * self.mu * own)",
        "- 4.0 * self.mu * own)",
        "Hessian of the fourth power",
    ),
    Mutant(
        "landscapes/fourth_order", "8.0 * np.outer(a, a))", "4.0 * np.outer(a, a))", "Hessian of the penalty"
    ),
    Mutant(
        "landscapes/fourth_order",
        '1.0 if np.einsum("aabb->", tensor) >= 0.0 else -1.0',
        "1.0",
        "sign of kappa",
    ),
    Mutant(
        "landscapes/fourth_order", "TensorMoment(tensor / scale)", "TensorMoment(tensor)", "scale of kappa"
    ),
    Mutant(
        "landscapes/fourth_order",
        "unwhiten = vectors[:, leading] * size",
        "unwhiten = vectors[:, leading] / size",
        "rows return by the inverse of what whitens",
    ),
    Mutant("landscapes/fourth_order", "best = min(ends", "best = max(ends", "the least end"),
    Mutant(
        "landscapes/fourth_order",
        "best.converged and agreement > 0.5",
        "best.converged",
        "starts that disagree",
    ),
    Mutant(
        "landscapes/high_threshold",
        "-sign * 4.0 / _H4 * cubic",
        "-sign / _H4 * cubic",
        "degree of the quartic",
    ),
    Mutant(
        "landscapes/high_threshold",
        "excess = z @ moved / _H2 - self.u2\n        sign",
        "excess = z @ moved - self.u2\n        sign",
        "H_2 normalised",
    ),
    Mutant(
        "landscapes/high_threshold",
        "(every - (1.0 + self.gamma) * own)",
        "(every - self.gamma * own)",
        "j = k in the simultaneous loss",
    ),
    Mutant(
        "landscapes/high_threshold",
        "* across @ within @ across - l *",
        "* across @ within @ across + l *",
        "curvature of the sphere",
    ),
    Mutant(
        "landscapes/high_threshold",
        "            v -= (v @ other) * other\n",
        "            pass\n",
        "deflation of the starts",
    ),
    Mutant("landscapes/high_threshold", 'end.kind != "minimum" or', "", "ends that are no minima"),
    Mutant(
        "landscapes/high_threshold",
        "sorted(candidates, key=lambda c: c[0])",
        "candidates",
        "the deepest is kept",
    ),
    Mutant(
        "landscapes/high_threshold",
        "rows = np.linalg.pinv(units.T)",
        "rows = units",
        "inverse of the minima",
    ),
    Mutant(
        "landscapes/sphere",
        "T = sign * _checked_fourth(fourth)",
        "T = _checked_fourth(fourth)",
        "sign of the form",
    ),
    Mutant(
        "landscapes/sphere",
        "shift = max(0.0, -float(eigenvalues[0]))",
        "shift = 0.0",
        "shift that makes steps ascend",
    ),
    Mutant(
        "landscapes/sphere",
        "left = np.linalg.svd(z[None])[2][1:] @ left",
        "left = left[1:]",
        "complement of a maximum",
    ),
    Mutant("landscapes/sphere", "z @ left if taken else polished", "z @ left", "polish on the whole sphere"),
    Mutant("landscapes/sphere", "/ np.sqrt(values[-k:])", "", "whitening by T_2"),
    Mutant(
        "landscapes/square_loss",
        "gradient = (slopes * self.output).T @ self.X / self.n",
        "gradient = slopes.T @ self.X / self.n",
        "output in the gradient",
    ),
    Mutant(
        "landscapes/square_loss",
        "                if j == l:\n",
        "                if False:\n",
        "bends on the diagonal",
    ),
    Mutant(
        "landscapes/square_loss",
        "scale = np.maximum(diagonal, 1e-8 * diagonal.max() + 1e-300)",
        "scale = np.maximum(diagonal, diagonal.max())",
        "scale of the damping",
    ),
    Mutant(
        "landscapes/square_loss",
        "direction) + shift * direction",
        "direction)",
        "damping in conjugate gradients",
    ),
    Mutant(
        "landscapes/square_loss",
        "fixed._weighted_residual(hidden) / len(self.y)",
        "fixed._weighted_residual(hidden)",
        "mean in the output's gradient",
    ),
    Mutant(
        "landscapes/square_loss",
        "return step.value <= target or stalled >= 3",
        "return False",
        "target of Levenberg-Marquardt",
    ),
    Mutant(
        "landscapes/square_loss",
        "float(np.prod(sigma / sigma[-1]))",
        "float(np.prod(sigma))",
        "lambda of Definition 4.1",
    ),
    Mutant(
        "landscapes/square_loss",
        "scalar * (np.eye(d) - frame.T @ frame)",
        "scalar * np.eye(d)",
        "complement of the plane",
    ),
    # --- the learner of general input
    Mutant(
        "learners/general_input",
        "sides = (1.0, -1.0) if",
        "sides = (1.0,) if",
        "signs of units",
    ),
    Mutant(
        "learners/general_input",
        "if not checked.passed:",
        "if False:",
        "a score that is not that of the inputs",
    ),
    Mutant(
        "learners/general_input",
        "network(inputs) + self.intercept_",
        "network(inputs)",
        "intercept in predictions",
    ),
    Mutant(
        "learners/general_input",
        "X[weight > 0.0], y[weight > 0.0]",
        "X[weight >= 0.0], y[weight >= 0.0]",
        "samples of weight zero",
    ),
    Mutant("learners/general_input", "<= n // 2]", "<= 9 * n]", "degree that a fold can fit"),
    Mutant(
        "learners/general_input",
        "self.score_model is not None and checked.passed,",
        "self.score_model is not None,",
        "a wrong density under the surrogate's mean derivative",
    ),
    Mutant(
        "networks/both_signs", "np.where(weaker, -1.0, 1.0)", "np.where(weaker, 1.0, -1.0)", "stronger side"
    ),
    Mutant("networks/both_signs", "(1.0 + _STRONGER) *", "(1.0 - _STRONGER) *", "ties between sides"),
    Mutant(
        "networks/both_signs",
        "phi(-images) if phi.parity == 0",
        "phi(-images) if True",
        "sides of odd and even units",
    ),
    Mutant("linalg", "y * np.sqrt(weight)\n", "y * weight\n", "root of the weights"),
    Mutant(
        "scores/llsfe",
        "second - mean[:, :, None] * mean[:, None, :]",
        "second",
        "covariance about the mean, GM (15)",
    ),
    Mutant("scores/llsfe", 'np.einsum("...ij,...j->...i", precision, mean)', "mean", "precision in GM (14)"),
    # --- borders
    Mutant("borders/crossings", "shares[1] - shares[0] > 0.2", "True", "convergence by the angle alone"),
    Mutant(
        "borders/angles",
        "(high - low) / float(ndtri(_HIGH) - ndtri(_LOW))",
        "(high - low)",
        "quantiles of tan alpha",
    ),
    Mutant(
        "borders/angles",
        "return self.middle * math.cos(self.alpha)",
        "return self.middle / math.cos(self.alpha)",
        "threshold at the angle",
    ),
    Mutant("borders/angles", "top - bottom >= FEWEST", "top - bottom < FEWEST", "which bands hold labels"),
    Mutant(
        "borders/angles",
        "np.searchsorted(heights, s - epsilon)",
        "np.searchsorted(heights, s + epsilon)",
        "side of the band",
    ),
    Mutant(
        "borders/angles",
        "(count[top] - count[bottom])[enough] / (every",
        "count[top][enough] / (every",
        "share in a band",
    ),
    Mutant(
        "borders/angles",
        "np.cumsum((active * weight)[order])",
        "np.cumsum(active[order])",
        "weights of active samples",
    ),
    Mutant(
        "borders/angles",
        "np.where(on, below, middle), np.where(on, middle, above)",
        "np.where(on, middle, below), np.where(on, above, middle)",
        "direction of the bisection",
    ),
    Mutant("borders/angles", "0.5 * (s[above[0]] + s[below[-1]])", "s[above[0]]", "noise of a crossing"),
    Mutant(
        "borders/perturbation", "<= (1.0 - c / d) * near.alpha", "<= near.alpha / d", "accept rule as listed"
    ),
    Mutant(
        "borders/perturbation",
        "<= (1.0 - c / d) * near.alpha",
        "<= near.alpha",
        "accept rule without a decrease",
    ),
    Mutant(
        "borders/perturbation",
        "scale=near.alpha / d",
        "scale=near.alpha / np.sqrt(d)",
        "size of a perturbation",
    ),
    Mutant(
        "borders/perturbation",
        "z + step - (step @ z) * z",
        "z + step",
        "perturbation out of the normal plane",
    ),
    Mutant(
        "borders/perturbation",
        "z, near, refused = trial, new, 0",
        "near, refused = new, 0",
        "accepted direction",
    ),
    Mutant(
        "borders/perturbation",
        "np.abs(X @ z - start.middle) <=",
        "np.abs(X @ z - start.middle) >=",
        "which samples are in the band",
    ),
    Mutant("borders/crossings", "normalized(z - slope)", "normalized(z + slope)", "sign of the slope"),
    Mutant(
        "borders/crossings",
        "middle /= math.sqrt(1.0 + size * size)",
        "middle *= math.sqrt(1.0 + size * size)",
        "threshold from the crossing",
    ),
    Mutant(
        "borders/crossings",
        "<= 6.0 * np.median(residual)",
        "<= 6.0 * np.max(residual)",
        "other units in the regression",
    ),
    Mutant(
        "borders/border_fit", "<= _SIGMAS * sigma *", ">= _SIGMAS * sigma *", "which samples are in the band"
    ),
    Mutant("borders/border_fit", "np.abs(X @ w - tau) <=", "np.abs(X @ w) <=", "place of the band"),
    Mutant(
        "borders/border_fit",
        "tau / float(np.linalg.norm(w))",
        "tau * float(np.linalg.norm(w)) ** 3",
        "threshold of a unit row",
    ),
    Mutant("borders/border_fit", "sigma *= 0.5", "sigma *= 0.9", "halving of the band"),
    Mutant(
        "borders/border_fit",
        "np.sum(slope * ndtr(-m)) * eta",
        "np.sum(slope * ndtr(m)) * eta",
        "derivative in eta",
    ),
    Mutant(
        "borders/border_fit", "-sign * share / likelihood", "-sign / likelihood", "weights in the likelihood"
    ),
    Mutant(
        "borders/sources",
        "mask[weight > 0.0], weight[weight > 0.0]",
        "mask[weight > 0.0], weight[weight > 0.0] ** 0",
        "weights left after zeros",
    ),
    Mutant(
        "borders/planes",
        "np.array([epsilon, -epsilon]), np.array([1.0, -1.0])",
        "np.array([epsilon, -epsilon]), np.array([-1.0, 1.0])",
        "sign of C_2",
    ),
    Mutant(
        "borders/planes",
        "np.array([1.0, -2.0, 1.0]) / (2 * epsilon)",
        "np.array([1.0, -2.0, 1.0]) / epsilon",
        "scale of C_3",
    ),
    Mutant(
        "borders/planes",
        "weight * float(normal_density(s + place))",
        "weight * float(normal_density(s))",
        "density of the plane",
    ),
    Mutant("borders/planes", "< 0.5 * width", "< width", "width of a slab"),
    # --- units with structure
    Mutant(
        "structured/graph",
        "residual -= X @ (residual @ X / len(X))",
        "residual = y + 0.0",
        "linear part of the labels",
    ),
    Mutant(
        "structured/graph",
        "off = 1.0 - np.eye(X.shape[1])",
        "off = np.ones(2 * (X.shape[1],))",
        "diagonal of the graph",
    ),
    Mutant(
        "structured/graph",
        "if gaps[m] <= confidence",
        "if gaps[m] <= -confidence",
        "gaps that noise explains",
    ),
    Mutant("structured/graph", "degrees[c] == len(c) - 1", "degrees[c] > 0", "cliques by degree"),
    Mutant("structured/graph", "edges = order[: m + 1]", "edges = order[:m]", "edges above the gap"),
    Mutant(
        "structured/graph",
        "value[order][m] - 0.5 * drop[m]",
        "value[order][m] + 0.5 * drop[m]",
        "middle of the gap",
    ),
    Mutant(
        "structured/exponential",
        "np.exp(self._masks @ (0.5 + z))",
        "np.exp(self._masks @ (1.0 + z))",
        "mean of an exponential",
    ),
    Mutant(
        "structured/exponential",
        "(labels - value) @ self._X / len(labels)",
        "labels**2 @ self._X / len(labels)",
        "gradient by Stein",
    ),
    Mutant(
        "structured/exponential", "np.cumsum(ordered) - radius", "np.cumsum(ordered)", "radius of the simplex"
    ),
    Mutant("structured/exponential", "- 2.0 * gamma * z", "+ 2.0 * gamma * z", "gradient of the penalty"),
    Mutant("structured/exponential", "left = inputs[~held]", "left = inputs[1:]", "inputs that are left"),
    Mutant("structured/even", "else math.sqrt(6.0)) * u2**2", "else math.sqrt(6.0)) * u2", "power of u_2"),
    Mutant("structured/even", "+ 0.5 * np.einsum", "+ np.einsum", "pairs counted twice"),
    Mutant(
        "structured/even",
        "2.0 * np.minimum(a[i], a[j]) - sign * self.mixed",
        "2.0 * np.minimum(a[i], a[j]) - 2.0 * sign * self.mixed",
        "margin of two weights",
    ),
    Mutant(
        "structured/even", "np.append(margins, 2.0 * a)", "margins", "weights fall off outside their span"
    ),
    Mutant(
        "structured/cuts", "vectors[:, :-rank].T @ left", "vectors[:, 1:].T @ left", "what a subspace leaves"
    ),
    Mutant("structured/cuts", "np.sqrt(below * (len(y) - below))", "below", "contrast in standard errors"),
    Mutant("structured/cuts", "design[:, : count + 1], y", "design[:, : count + 2], y", "additive part"),
    # --- learners of thresholds
    Mutant(
        "learners/threshold_network",
        "np.argsort(-np.abs(values))[:k]",
        "np.argsort(np.abs(values))[:k]",
        "leading eigenvectors",
    ),
    Mutant(
        "learners/threshold_network",
        "controlled(y[part] - activation",
        "controlled(y[part] + activation",
        "sign of the surrogate",
    ),
    Mutant(
        "learners/beside",
        "slices = np.concatenate([third, (second - mean * eye)[None]])",
        "slices = np.concatenate([third, (second + mean * eye)[None]])",
        "the second moment's Hermite tensor",
    ),
    Mutant("learners/beside", "outer.transpose(1, 0, 2) + outer.transpose(1, 2, 0)", "outer", "S_3"),
    Mutant("learners/beside", "for s in (1.0, -1.0)]", "for s in (1.0, 1.0)]", "the side of a unit"),
    Mutant("learners/beside", "shares[0] - shares[1] > _JUMP", "True", "a border that labels show"),
    Mutant("learners/tensor_network", "_RESOLVED * kept**2", "_RESOLVED", "few samples are no noise"),
    Mutant(
        "learners/threshold_network",
        "wrong > _LEFT or not alike",
        "False",
        "a unit that was missed is not a wrong label",
    ),
    Mutant(
        "learners/threshold_network",
        "np.array([b if abs(b) > 3.0 * angle else 0.0 for b, angle in shift])",
        "np.zeros(len(shift))",
        "thresholds of their own",
    ),
    Mutant("learners/labelling", "biases - rows @ self.mean", "biases", "the user's coordinates"),
    Mutant(
        "learners/threshold_network",
        "decode_moments(controlled(y[other], other)",
        "decode_moments(controlled(y, slice(None))",
        "cross-fitting on the whole sample",
    ),
    Mutant(
        "learners/threshold_network",
        "math.sqrt(math.factorial(m))",
        "math.factorial(m)",
        "normalisation of u_m",
    ),
    Mutant(
        "learners/threshold_network",
        "np.where(coefficients < 0.0, -1.0, 1.0)",
        "np.where(coefficients < 0.0, 1.0, -1.0)",
        "signs from T_1",
    ),
    Mutant(
        "learners/threshold_network",
        "None if weight is None else weight[part]",
        "None",
        "weights in the moments",
    ),
    Mutant(
        "learners/threshold_network",
        "np.abs(rows[kept] @ row).max() <= _SAME",
        "np.abs(rows[kept] @ row).max() <= 2.0",
        "rows found twice",
    ),
    Mutant("learners/threshold_network", "labels != rest)", "labels != 0.0)", "labels at rest"),
    Mutant("learners/threshold_network", "coefficients * scale", "coefficients", "scale of the labels"),
    Mutant(
        "learners/threshold_network",
        "center = float(np.average(target, weights=w)) if",
        "center = 0.0 if",
        "variance about the mean",
    ),
    Mutant(
        "learners/halfspaces",
        "left @ weights.T - t, axis=1, initial=-np.inf) <= 0.0",
        "left @ weights.T - t, axis=1, initial=-np.inf) > 0.0",
        "which samples are left",
    ),
    Mutant(
        "learners/halfspaces",
        "left, share = left[outside], share[outside]",
        "share = share[outside]; left = left[outside]; left = X[active]; share = w[active]",
        "nothing is taken away",
    ),
    Mutant(
        "learners/halfspaces",
        "rows, biases = frame.rows(weights, -t)",
        "rows, biases = frame.rows(weights, t)",
        "sign of the threshold",
    ),
    Mutant(
        "learners/halfspaces",
        "w[within & active].sum() > _PURE",
        "w[within & active].sum() > 0.0",
        "purity of a halfspace",
    ),
    Mutant(
        "learners/halfspaces",
        "np.sign(np.linalg.lstsq(rows.T, moments.first, rcond=None)[0])",
        "np.ones(len(rows))",
        "signs from T_1",
    ),
    Mutant(
        "learners/halfspaces",
        "- weight.sum() / n * np.eye",
        "+ weight.sum() / n * np.eye",
        "Hermite tensor of order two",
    ),
    Mutant(
        "learners/halfspaces",
        "place = unit.threshold if threshold is None else threshold",
        "place = 2.0",
        "fitted thresholds",
    ),
    Mutant(
        "learners/halfspaces",
        "(remaining <= _LEFT or chance) and",
        "remaining <= 1.0 and",
        "active samples in no halfspace",
    ),
    Mutant(
        "learners/reduction",
        "float(mean @ mean) / trace",
        "2.0 * float(mean @ mean) / trace",
        "size of the dimension test",
    ),
    Mutant(
        "learners/reduction",
        "parts.reshape(sums.shape) + means",
        "parts.reshape(sums.shape) - means",
        "what the surrogate adds",
    ),
    Mutant(
        "learners/reduction",
        "np.column_stack([y / spread, normal, normal**2])",
        "np.column_stack([y / spread, normal])",
        "even function of the label",
    ),
]
