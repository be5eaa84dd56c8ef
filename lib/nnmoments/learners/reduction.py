"""What a moment says about data: average derivatives, and the directions on which labels depend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from nnmoments.densities import Gaussian, ScoreModel, StandardNormal
from nnmoments.learners.base import MomentLearner
from nnmoments.moments import (
    Polynomials,
    RandomFeatures,
    Surrogate,
    SurrogateFamily,
    cross_fit,
    cross_moment,
)
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_choice,
    check_instance,
    check_integer,
    check_number,
    check_sample_weight,
    check_samples,
    finite_result,
)

__all__ = ["AverageDerivatives", "DimensionTest", "SufficientReduction", "average_derivatives"]

Rows = npt.NDArray[np.intp]

# Blocks of samples whose means show the covariance of a moment; half of them are a fold's.
_BLOCKS = 64
_FOLDS = 2
# Labels with at most so many values are taken for classes.
_MOST_CLASSES = 10
# Random cosines of the projections: enough in one or two of them, few enough for a small fold.
_COSINES = 40
# So that fourth powers of inputs are numbers.
_LARGEST = 1e50
# Variances below this share of the largest are none.
_RANK_CUT = 1e-10


# --- average derivatives ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class AverageDerivatives(Result):
    r"""Average derivatives :math:`E[\nabla^m E[y|x]]` with their confidence intervals.

    Attributes
    ----------
    value : (d,) or (d, d) array
        Slopes (m = 1) or curvatures and interactions (m = 2); an axis for the columns of y comes first.
    standard_error, low, high : arrays of that shape
    level : float
        Confidence of each interval.
    removed : str
        The surrogate.
    left : float
        Share of the labels' variance that it leaves.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> average_derivatives(X, 2.0 * X[:, 0]).value.round(6) + 0.0
    array([2., 0.])
    """

    value: Array
    standard_error: Array
    low: Array
    high: Array
    level: float
    removed: str
    left: float


def average_derivatives(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    order: int = 1,
    score: ScoreModel | None = None,
    surrogate: Any = None,
    level: float = 0.95,
    sample_weight: npt.ArrayLike | None = None,
) -> AverageDerivatives:
    r"""Estimate :math:`E[\nabla^m E[y|x]] = E[\nabla^m g] + E[(y - g)\,S_m(x)]` with intervals.

    How much labels change with an input on average (m = 1), and how inputs act together (m = 2),
    whatever the form of E[y|x]. The bias is a product of the errors of the surrogate g and of the score.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    order : {1, 2}
        m.
    score : ScoreModel, optional
        The density of x or an estimate; by default the Gaussian of the sample's mean and covariance.
    surrogate : optional
        As in `cross_moment`; by default polynomials of a degree chosen on held-out samples.
    level : float
        Of the intervals, each for itself.
    sample_weight : (n,) array_like, optional

    Returns
    -------
    AverageDerivatives

    Raises
    ------
    ValueError
        If an argument does not fit, or the covariance of x is singular where no score is given.

    Notes
    -----
    Intervals take the score as it is: its own error counts only where g is wrong as well.

    References
    ----------
    .. [1] T. M. Stoker, "Consistent estimation of scaled coefficients", Econometrica 54, 1986.
    .. [2] J. L. Powell, J. H. Stock, T. M. Stoker, "Semiparametric estimation of index coefficients",
       Econometrica 57, 1989.
    .. [3] W. K. Newey, T. M. Stoker, "Efficiency of weighted average derivative estimators and index
       models", Econometrica 61, 1993.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((2000, 2))
    >>> found = average_derivatives(X, X[:, 0] * X[:, 1], order=2)
    >>> found.value.round(6) + 0.0
    array([[0., 1.],
           [1., 0.]])
    """
    X, y = check_samples(X, y)
    check_array("X", X, most=_LARGEST)
    check_integer("order", order, 1, 2)
    level = check_number("level", level, above=0.0, below=1.0)
    weight = check_sample_weight(sample_weight, len(X))
    if weight is not None:
        weight = weight / weight.max()
    if score is None:
        if len(X) <= X.shape[1] + 1:
            raise ValueError(f"X has too few samples, {len(X)}, for a covariance in {X.shape[1]} dimensions")
        mean = np.average(X, axis=0, weights=weight)
        share = np.ones(len(X)) if weight is None else weight
        score = _gaussian(mean, ((X - mean) * (share / share.sum())[:, None]).T @ (X - mean))
    estimate = cross_moment(
        X, y, score, order, surrogate=Polynomials() if surrogate is None else surrogate, sample_weight=weight
    )
    half = float(t_distribution.isf((1.0 - level) / 2.0, _BLOCKS - 1)) * estimate.standard_error
    value, error = estimate.value, estimate.standard_error
    return AverageDerivatives(
        value, error, value - half, value + half, level, estimate.removed, estimate.left
    )


def _gaussian(mean: Array, covariance: Array) -> Gaussian:
    spread = np.sqrt(np.diag(covariance))
    values = np.linalg.eigvalsh(covariance / np.outer(spread, spread)) if spread.all() else np.zeros(1)
    if values[0] <= _RANK_CUT * values[-1]:
        raise ValueError("X must have a covariance of full rank without a score: drop dependent columns")
    return Gaussian(mean, covariance)


# --- the test for the dimension --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class DimensionTest(Result):
    """Sequential tests of "the labels depend on r directions only", r = 0, 1, ...

    Attributes
    ----------
    dimension : int
        The first r that is not rejected.
    p_values : (r,) array
        Of r = 0, 1, ... until one is not rejected.
    level : float
        Chance of a rejection where r is true.

    Examples
    --------
    >>> X, noise = np.random.default_rng(0).standard_normal((2, 500, 3))
    >>> fitted = SufficientReduction(random_state=0).fit(X, np.exp(X[:, 0]) + noise[:, 0])
    >>> fitted.diagnostics_["dimension"].dimension
    1
    """

    dimension: int
    p_values: Array
    level: float


def _test_dimension(blocks: Array, mass: Array, level: float, least: int) -> DimensionTest:
    r"""Test r = 0, 1, ... by the moments K, (B, p, d), of B blocks with weights `mass`.

    With the singular vectors of the mean K beyond the r-th, :math:`q = U_\perp^\top K V_\perp` has mean zero
    if r is true, and :math:`|q|^2` is a sum of weighted chi-squares. With the covariance C of q, of
    B - 1 degrees of freedom, :math:`|q|^2/\operatorname{tr} C` is taken for F with b and (B - 1) b of them,
    :math:`b = (\operatorname{tr} C)^2/\operatorname{tr} C^2`.
    """
    count, p, d = blocks.shape
    left, _, right = np.linalg.svd(np.average(blocks, axis=0, weights=mass), full_matrices=True)
    found: list[float] = []
    for r in range(min(p, d)):
        q = np.einsum("pi,bpd,jd->bij", left[:, r:], blocks, right[r:], optimize=True).reshape(count, -1)
        found.append(_p_value(q, mass))
        if found[-1] > level and r >= least:
            break
    accepted = [r for r, p_value in enumerate(found) if p_value > level]
    return DimensionTest(accepted[0] if accepted else min(p, d), np.array(found), level)


def _p_value(q: Array, mass: Array) -> float:
    """Return the p-value of a mean of zero of block means q (B, l)."""
    nu = len(q) - 1
    mean = np.average(q, axis=0, weights=mass)
    spread = (q - mean) * (mass / np.sqrt(mass.sum() ** 2 - mass @ mass))[:, None]
    inner = spread @ spread.T
    trace = float(np.trace(inner))
    # Unbiased for normal means: E tr C^2 = (1 + 1/nu) tr Omega^2 + (tr Omega)^2/nu.
    square = nu**2 / ((nu - 1) * (nu + 2)) * (float(np.sum(inner**2)) - trace**2 / nu)
    if trace <= np.finfo(np.float64).tiny:
        return 1.0
    freedom = trace**2 / max(square, trace**2 / (q.shape[1] * nu))
    freedom = min(max(freedom, 1.0), float(q.shape[1]))
    return float(f_distribution.sf(float(mean @ mean) / trace, freedom, freedom * nu))


# --- the reduction ---------------------------------------------------------------------------------------


class SufficientReduction(ClassNamePrefixFeaturesOutMixin, TransformerMixin, MomentLearner):  # type: ignore[misc]
    r"""Find directions B such that y depends on x through :math:`B x` only, by moments.

    For any function h of the label, :math:`T_1 = E[h(y)\,S_1(x)]` lies in the span of the rows of B, and so
    do the columns of :math:`T_2 = E[h(y)\,S_2(x)]`; the latter also where E[h(y)|x] is even.

    1. h(y) are several functions of the label.
    2. Their moments are estimated doubly robustly, in coordinates in which :math:`E[S_1 S_1^\top] = I`.
    3. Each is divided by its noise, shrunk by the share that is noise, and all are stacked; the right
       singular vectors are the directions.
    4. Labels are regressed on the projections, which gives a better surrogate; 2 and 3 are done again.

    Parameters
    ----------
    n_components : int or "auto"
        Number of directions; "auto" by a sequential test.
    order : {1, 2, "both"}
        Of the moments. With Gaussian scores, slices and without surrogate 1 is sliced inverse regression,
        2 with y alone principal Hessian directions.
    labels : {"auto", "scores", "slices", "classes"} or callable
        The functions h: y, its normal score z and :math:`z^2 - 1`; indicators of slices of equal counts; of
        classes; or a function that maps labels (n,) to (n, L). "auto" takes "classes" up to ten values.
    n_slices : int
    score_model : ScoreModel, optional
        A score of x (`estimate_score`, or a `UserDensity`); by default that of the Gaussian of the sample's
        mean and covariance.
    surrogate : SurrogateFamily, optional
        Of the first pass; by default polynomials of a degree chosen on held-out samples.
    max_iter : int
        At most so many passes with surrogates of the projections; they end where these explain no more.
    level : float
        Of the test for the dimension: the chance of one direction too many.
    random_state : None, int, RandomState or Generator
        Of the order in which samples are cut into folds and blocks.

    Attributes
    ----------
    components_ : (q, d) array
        The directions, so scaled that projections have unit variance and are uncorrelated.
    mean_ : (d,) array
        Taken from x before it is projected.
    n_components_ : int
    n_iter_ : int
        Passes with surrogates of projections.
    converged_ : bool
        Whether the test sees every direction that is returned.
    status_ : str
    diagnostics_ : dict
        "dimension": the `DimensionTest`. "singular_values": of the stacked moments, in units of their noise.
        "left": share of the labels' variance that surrogates of the projections leave.

    References
    ----------
    .. [1] K.-C. Li, "Sliced inverse regression for dimension reduction", JASA 86, 1991.
    .. [2] K.-C. Li, "On principal Hessian directions for data visualization and dimension reduction", JASA
       87, 1992.
    .. [3] M. Janzamin, H. Sedghi, A. Anandkumar, arXiv:1412.2863.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((1000, 4))
    >>> model = SufficientReduction(random_state=0).fit(X, (X[:, 0] - X[:, 1]) ** 2)
    >>> model.n_components_, (model.components_ / model.components_[0, 0]).round(1) + 0.0
    (1, array([[ 1., -1.,  0.,  0.]]))
    """

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        order: int | str = "both",
        labels: str | Callable[[Array], npt.ArrayLike] = "auto",
        n_slices: int = 5,
        score_model: ScoreModel | None = None,
        surrogate: SurrogateFamily | None = None,
        max_iter: int = 2,
        level: float = 0.05,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.order = order
        self.labels = labels
        self.n_slices = n_slices
        self.score_model = score_model
        self.surrogate = surrogate
        self.max_iter = max_iter
        self.level = level
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Say that there is nothing to find without labels."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> "SufficientReduction":
        """Find the directions.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) array_like
            Numbers, or classes as numbers.
        sample_weight : (n,) array_like, optional

        Returns
        -------
        SufficientReduction

        Raises
        ------
        ValueError
            If the sample or a parameter does not fit.
        """
        inputs, labels = self._validated(X, y, min_samples=4)
        weight = self._weights_of(sample_weight, len(inputs))
        kept = self._rng().permutation(len(inputs) if weight is None else np.flatnonzero(weight))
        w = np.ones(len(kept)) if weight is None else weight[kept] / weight.max()
        self._conclude(*self._fit(inputs[kept], labels[kept], w))
        return self

    def _fit(self, X: Array, y: Array, w: Array) -> tuple[bool, str]:
        both = isinstance(self.order, str) and check_choice("order", self.order, (1, 2, "both")) == "both"
        orders = (1, 2) if both else (check_integer("order", self.order, 1, 2),)
        level = check_number("level", self.level, above=0.0, below=1.0)
        max_iter = check_integer("max_iter", self.max_iter, 0)
        if self.surrogate is not None:
            check_instance("surrogate", self.surrogate, SurrogateFamily)
        mean, whiten = _whitening(X, w)
        rank = len(whiten)
        least = 0
        if not (isinstance(self.n_components, str) and self.n_components == "auto"):
            least = check_integer("n_components", self.n_components, 1, rank)
        if len(X) < 4 * _FOLDS:
            raise ValueError(f"X has too few samples with weight, {len(X)}: at least {4 * _FOLDS} are needed")
        Z, H = (X - mean) @ whiten.T, self._label_functions(y, w)
        if self.score_model is None:
            search = _Search(Z, H, w, StandardNormal(rank), orders, np.eye(rank), np.eye(rank))
        else:
            score = check_instance("score_model", self.score_model, ScoreModel)
            search = _Search(X, H, w, score, orders, whiten.T, _information_root(score, X, w, whiten))

        first = Polynomials() if self.surrogate is None else self.surrogate
        blocks, _ = search.moments(first)
        test = _test_dimension(blocks, search.mass, level, least - 1)
        q = least or max(test.dimension, 1)
        rows, values = search.directions(blocks, q)
        best, strength, left, n_iter = rows, values, np.inf, 0
        while n_iter < max_iter:
            n_iter += 1
            basis = search.project @ rows.T
            blocks, now = search.moments(Polynomials(1, basis) + RandomFeatures(_COSINES, basis=basis))
            if now >= left:  # the directions of the last pass explain no more than those before
                break
            best, strength, left = rows, values, now
            rows, values = search.directions(blocks, q)
        diagnostics: dict[str, Any] = {"dimension": test, "singular_values": strength}
        if n_iter:
            diagnostics["left"] = left
        self._store(
            components=_signed(best @ whiten),
            mean=mean,
            n_components=q,
            n_iter=n_iter,
            diagnostics=diagnostics,
        )
        return q <= test.dimension, _verdict(test, q)

    def _label_functions(self, y: Array, w: Array) -> Array:
        """Return functions of the labels, (n, L), of mean zero and variance one."""
        n_slices = check_integer("n_slices", self.n_slices, 2)
        with np.errstate(over="ignore", invalid="ignore"):
            spread = float(np.sqrt(np.average((y - np.average(y, weights=w)) ** 2, weights=w)))
        if not np.isfinite(spread):
            raise ValueError("y is too large: its variance overflows")
        values, place = np.unique(y, return_inverse=True)
        if len(values) < 2 or spread == 0.0:
            raise ValueError("y is constant; directions need labels that vary")
        kind = self.labels
        if callable(kind):
            H = check_array("labels", kind(y), shape=(len(y), None))
        else:
            kind = check_choice("labels", kind, ("auto", "scores", "slices", "classes"))
            if kind == "auto":
                kind = "classes" if len(values) <= _MOST_CLASSES else "scores"
            # Where the middle of a label's mass stands among all.
            mass = np.bincount(place, weights=w)
            share = ((np.cumsum(mass) - mass / 2.0) / w.sum())[place]
            if kind == "scores":
                normal = ndtri(share)
                H = np.column_stack([y / spread, normal, normal**2])
            else:
                index = place if kind == "classes" else (share * n_slices).astype(int)
                H = (index[:, None] == np.unique(index)).astype(np.float64)
        H = H - np.average(H, axis=0, weights=w)
        scale = np.sqrt(np.average(H**2, axis=0, weights=w))
        varies = scale > 0.0
        if not varies.any():
            raise ValueError("labels must give functions of y that vary")
        return H[:, varies] / scale[varies]

    @finite_result("X")
    def transform(self, X: npt.ArrayLike) -> Array:
        """Project inputs on the directions.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n, q) array
        """
        inputs, dtype = self._inputs(X)
        return np.asarray((inputs - self.mean_) @ self.components_.T).astype(dtype)


class _Search:
    r"""The moments of a sample block by block, where the score has unit covariance, and their directions.

    `project` maps a direction b of whitened coordinates to one of the inputs, `project @ b`; `root` is the
    square root of the information :math:`E[S_1 S_1^\top]` in whitened coordinates.
    """

    def __init__(
        self,
        inputs: Array,
        labels: Array,
        weight: Array,
        score: ScoreModel,
        orders: Sequence[int],
        project: Array,
        root: Array,
    ) -> None:
        self.inputs, self.labels, self.weight, self.score = inputs, labels, weight, score
        self.orders, self.project, self.root = orders, project, root
        self.slot = np.linalg.pinv(project).T @ np.linalg.inv(root)
        self.folds = np.split(np.arange(len(inputs)), [len(inputs) // 2])  # of rows in a drawn order
        weights = [weight[fold] for fold in self.folds]
        self.mass = np.concatenate([np.bincount(_block(len(own)), own) for own in weights])

    def moments(self, family: SurrogateFamily) -> tuple[Array, float]:
        """Return the moments (B, p, r), stacked in units of their noise, and the share of variance left."""

        def joined(array: Array, parts: Sequence[Rows]) -> Array:
            return np.concatenate([array[part] for part in parts])

        def fit(others: Sequence[Rows]) -> Surrogate:
            sample = (joined(array, others) for array in (self.inputs, self.labels, self.weight))
            return family.fit(*sample).smooth()

        def apply(g: Surrogate, own: Rows) -> tuple[list[Array], float]:
            X, w = self.inputs[own], self.weight[own]
            residuals = self.labels[own] - g.predict(X)
            tensors = [self._of_blocks(X, residuals, w, g, order) for order in self.orders]
            return tensors, float(w @ np.mean(residuals**2, axis=1))

        found = cross_fit(self.folds, fit, apply)
        tensors = [np.concatenate(parts) for parts in zip(*(each for each, _ in found), strict=True)]
        stacked = [_in_units_of_noise(tensor, self.mass) for tensor in tensors]
        return np.concatenate(stacked, axis=1), sum(left for _, left in found) / self.weight.sum()

    def _of_blocks(self, X: Array, residuals: Array, w: Array, g: Surrogate, order: int) -> Array:
        """Return E[grad^m g + (y - g) S_m] of each block, (B, L, r, ...)."""
        index, slots = _block(len(X)), [self.slot] * order
        mass = np.bincount(index, w)
        # A block's mean is that of labels which are zero elsewhere.
        member = (index[:, None] == np.arange(len(mass))) * (w.sum() / mass)
        labels = (member[:, :, None] * residuals[:, None, :]).reshape(len(X), -1)
        size = int(np.sum(index == 0))
        even = size * len(mass)
        sums = g.derivative_sums(X[:even], slots, size, w[:even])
        if even < len(X):  # the last block holds the remainder
            sums[-1] += g.derivative_sums(X[even:], slots, len(X) - even, w[even:])[0]
        means = sums / mass.reshape(-1, *(1,) * (sums.ndim - 1))
        if not residuals.any():  # nothing is left of a few labels
            return means
        parts = cross_moment(X, labels, self.score, order, bases=slots, sample_weight=w).value
        return parts.reshape(sums.shape) + means

    def directions(self, blocks: Array, count: int) -> tuple[Array, Array]:
        """Return orthonormal directions (count, r) in whitened coordinates, and the singular values."""
        mean = np.average(blocks, axis=0, weights=self.mass)
        # Positive-part shrinkage: of a block of rows, the share of its square that is no noise.
        rows, at = [], 0
        for order in self.orders:
            rows_a_label = mean.shape[1] ** (order - 1)
            for _ in range(self.labels.shape[1]):
                part = mean[at : at + rows_a_label]
                square = max(float(np.sum(part**2)), np.finfo(np.float64).tiny)
                rows.append(max(1.0 - part.size / square, 0.0) * part)
                at += rows_a_label
        shrunk = np.concatenate(rows)
        _, values, right = np.linalg.svd(shrunk if shrunk.any() else mean, full_matrices=True)
        return np.linalg.qr((right[:count] @ self.root).T)[0].T, values


def _block(n: int) -> Rows:
    """Return the block of each of the n rows of a fold."""
    size = max(n // (_BLOCKS // _FOLDS), 1)
    return np.minimum(np.arange(n) // size, n // size - 1)


def _in_units_of_noise(tensor: Array, mass: Array) -> Array:
    """Return block moments (B, L, r, ...) over the noise of each label's mean, stacked to (B, p, r)."""
    count, labels = tensor.shape[:2]
    flat = tensor.reshape(count, labels, -1)
    spread = flat - np.average(flat, axis=0, weights=mass)
    variance = np.einsum("b,bli->l", mass**2, spread**2) / (mass.sum() ** 2 - mass @ mass) / flat.shape[2]
    # Labels without noise keep a little, so that one of them cannot outweigh all others.
    floor = 1e-12 * np.einsum("bli,bli->l", flat, flat) / flat.shape[2] / count
    noise = np.sqrt(np.maximum(np.maximum(variance, floor), np.finfo(np.float64).tiny))
    return np.asarray((flat / noise[:, None]).reshape(count, -1, tensor.shape[-1]))


def _whitening(X: Array, w: Array) -> tuple[Array, Array]:
    """Return the mean and a (r, d) matrix that makes x - mean white; r is the rank of the covariance."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(X, axis=0, weights=w)
        spread = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    if not np.isfinite(spread).all():
        raise ValueError("X is too large: its variance overflows")
    # What rounding leaves of a constant is no variance.
    constant = spread <= 1e-13 * np.abs(mean)
    if constant.all():
        raise ValueError("X is constant; directions need inputs that vary")
    scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, spread))
    standard = (X - mean) * scale
    values, vectors = np.linalg.eigh((standard * (w / w.sum())[:, None]).T @ standard)
    kept = values > _RANK_CUT * values[-1]
    return mean, (vectors[:, kept] / np.sqrt(values[kept])).T * scale


def _information_root(score: ScoreModel, X: Array, w: Array, whiten: Array) -> Array:
    r"""Return the square root of :math:`E[S_1 S_1^\top]` in whitened coordinates."""
    scores = score.score(X, 1) @ np.linalg.pinv(whiten)
    values, vectors = np.linalg.eigh((scores * (w / w.sum())[:, None]).T @ scores)
    if values[0] <= _RANK_CUT * values[-1]:
        raise ValueError("score_model must have a score that varies in every direction of the sample")
    return np.asarray(vectors * np.sqrt(values) @ vectors.T)


def _signed(rows: Array) -> Array:
    """Return rows whose largest entries are positive."""
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    return np.asarray(rows * np.sign(largest))


def _verdict(test: DimensionTest, q: int) -> str:
    count = {0: "no direction is", 1: "one direction is"}.get(
        test.dimension, f"{test.dimension} directions are"
    )
    found = f"{count} seen by a test of level {test.level:g}, of {q} returned"
    if q <= test.dimension:
        return found
    return f"{found}: pass more samples, other labels or order, or fewer n_components"
