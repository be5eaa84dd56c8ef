"""Whether what a network leaves of its labels is noise: tests by Hermite polynomials, and by trees."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

from nnmoments.activations import Activation
from nnmoments.chunks import row_chunks
from nnmoments.hermite import normalized_hermite
from nnmoments.linalg import monomials
from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_sample_weight, check_samples

__all__ = [
    "NOISE_FREE",
    "Misfit",
    "determines",
    "different_rows",
    "is_no_chance",
    "predictable_share",
    "residual_misfit",
]

#: Unexplained shares below count as none: of labels without noise, descents leave rounding.
NOISE_FREE = 1e-3

_DEGREES = (1, 2, 3, 4)
# Chance of a false alarm, over all degrees.
_ALARM = 1e-4
# Rows that are tested at most, and that trees need at least.
_MOST, _LEAST_OF_TREES = 20_000, 40
# Polynomials of a degree that are written out: more cost more than the pairs in parts of this many rows.
_WRITTEN, _PART = 500, 1500
# What rounding may leave of squares of all pairs, when those of samples with themselves are taken away.
_ROUNDING = 1e-13
# Inputs beyond are taken for this, so that their eighth powers are numbers.
_FARTHEST = 1e15
# Standard errors above which a correlation is no chance: P(|z| > 5) < 1e-6.
_SIGNIFICANT = 5.0
# Share below which noise that depends on x and has a skew of its own is not thought of.
_LITTLE = 1e-2
# Up to so many parameters their normal matrix is formed; its least eigenvalue, of columns of length one.
_FORMED, _FLAT = 200, 1e-12
# What the leverage of a sample lacks to 1 by rounding, where its label is fitted whatever it is.
_ALONE = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Misfit(Result):
    """What polynomials of degree one to four explain of residuals.

    Attributes
    ----------
    share : float
        Of the residuals' variance, over the degrees whose estimates are good to a quarter of it; an
        unbiased estimate, which may be negative.
    resolution : float
        The share that would have been noticed in the first two degrees.
    significant : bool
        Whether residuals depend on the inputs: noise would say so once in ten thousand times.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> residual_misfit(X, X[:, 0] * X[:, 1]).significant
    True
    """

    share: float
    resolution: float
    significant: bool


def residual_misfit(X: npt.ArrayLike, residual: npt.ArrayLike) -> Misfit:
    r"""Test whether residuals depend on their inputs, by their moments of order one to four.

    .. math:: U_m = \frac{1}{n(n-1)}\sum_{s\ne t} r_s r_t\,\frac{\langle S_m(x_s), S_m(x_t)\rangle}{m!}

    is an unbiased estimate of :math:`\|E[r S_m(x)]\|^2/m!`, which for normal x is the variance that
    Hermite polynomials of degree m explain; it is compared with its spread under independence, as a
    chi-squared variable of that many polynomials. Where these are few they are written out,

    .. math:: n(n-1)\,U_m = \sum_{|\alpha| = m}\Bigl[\Bigl(\sum_s r_s h_\alpha(x_s)\Bigr)^2
        - \sum_s r_s^2 h_\alpha(x_s)^2\Bigr],

    so that all pairs cost no more than the samples; else the pairs are those in parts of the sample. Up to
    20,000 samples are seen: the share that is noticed falls with their number, or with its root. For inputs
    that are not normal the test is as true, the share is not.

    Parameters
    ----------
    X : (n, d) array_like
        Whitened inputs.
    residual : (n,) array_like

    Returns
    -------
    Misfit

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> residual_misfit(rng.standard_normal((500, 2)), rng.standard_normal(500)).significant
    False
    """
    X, residual = check_samples(X, residual)
    residual = check_array("residual", residual, ndim=1)
    rows = slice(None, None, -(-len(X) // _MOST))
    X, residual = np.clip(X[rows], -_FARTHEST, _FARTHEST), residual[rows]
    n, d = X.shape
    r = residual - residual.mean()
    variance = float(np.mean(r**2))
    if variance == 0.0 or n < 3:
        return Misfit(0.0, 1.0, False)
    r = r / np.sqrt(variance)
    counts = np.array([math.comb(d + m - 1, m) for m in _DEGREES])
    written = counts <= _WRITTEN
    sums, squares, pairs = np.zeros(4), np.zeros(4), np.full(4, n * (n - 1.0))
    for i in np.flatnonzero(written):
        sums[i], squares[i] = _by_polynomials(X, r, _DEGREES[i])
    if not written.all():
        there = _by_pairs(X, r)
        sums, squares, pairs = np.where(written, (sums, squares, pairs), there)
    spread = np.sqrt(2.0 * squares)
    limits = (stats.chi2.isf(_ALARM / 4.0, counts) - counts) / np.sqrt(2.0 * counts)
    told = limits * spread / pairs
    share = float((sums / pairs)[told < 0.25].sum())
    return Misfit(share, float(np.linalg.norm(told[:2])), bool(np.any(sums > limits * spread)))


def predictable_share(
    X: npt.ArrayLike,
    residual: npt.ArrayLike,
    *,
    unexplained: float = 1.0,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    r"""Return the share of residuals that one half of the sample predicts in the other; 0 if by chance.

    .. math:: \frac{(\sum_i r_i g(x_i))^2}{\sum_i r_i^2\, \sum_i g(x_i)^2}

    with boosted trees g of the other half, if :math:`\sum_i r_i g(x_i)` is more than five times the root of
    the sum of its squared terms: noise of any variance that depends on x passes, if its mean does not.

    Parameters
    ----------
    X : (n, d) array_like
    residual : (n,) array_like
    unexplained : float
        Share of the labels' variance that residuals have. Where it is little, below 0.01, their ranks are
        predicted, which a few large values do not hide.
    sample_weight : (n,) array_like, optional

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((2000, 2))
    >>> wave, noise = np.sin(9.0 * X[:, 0]), rng.standard_normal(2000)
    >>> predictable_share(X, wave) > 0.5, predictable_share(X, noise)
    (True, 0.0)
    """
    X, residual = check_samples(X, residual)
    residual = check_array("residual", residual, ndim=1)
    weight = check_sample_weight(sample_weight, len(X))
    if len(X) < _LEAST_OF_TREES:
        return 0.0
    rows = slice(None, None, max(1, len(X) // _MOST))
    X, left = X[rows], residual[rows]
    w = np.ones(len(X)) if weight is None else weight[rows]
    left = left - np.average(left, weights=w)
    if not left.any():
        return 0.0
    r = stats.rankdata(left) / len(left) - 0.5 if unexplained < _LITTLE else left / left.std()
    trees = HistGradientBoostingRegressor(max_iter=60, early_stopping=False, random_state=0)
    guess = trees.fit(X[::2], r[::2], w[::2]).predict(X[1::2])
    guess, r, w = guess - np.average(guess, weights=w[1::2]), r[1::2], w[1::2]
    product = w * guess * r
    power = float(np.sum(w * guess**2) * np.sum(w * r**2))
    significant = product.sum() > _SIGNIFICANT * math.sqrt(float(np.sum(product**2)))
    return float(product.sum()) ** 2 / power if significant and power > 0.0 else 0.0


def different_rows(X: Array) -> int:
    """Return how many rows differ from one another, by a projection of theirs: copies tell no more.

    Parameters
    ----------
    X : (n, d) array

    Returns
    -------
    int

    Examples
    --------
    >>> different_rows(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
    2
    """
    direction = np.random.default_rng(0).standard_normal(X.shape[1])
    return len(np.unique(np.sum(X * direction, axis=1)))


def is_no_chance(
    unexplained: float, samples: int, parameters: int, *, different: int, units: int, inputs: int
) -> bool:
    r"""Say whether labels that do not depend on the inputs could hardly be explained as well.

    With m different samples and p parameters such labels leave a share of Beta((m - p)/2, p/2) to a linear
    model, and nothing for p >= m. A network is one of these for each way in which its units cut the sample,
    of which there are at most :math:`2 (em/r)^r` a unit (Cover, 1965). So much is asked where nothing is left
    of the labels; where noise is, they must explain four times as much as p parameters do of n noisy ones.

    Parameters
    ----------
    unexplained : float
        Share of the labels' variance.
    samples, parameters : int
        n and p.
    different : int
        m, the samples that differ from one another.
    units, inputs : int
        Number of units, and r: how many weights each has, with its bias.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_no_chance(1e-20, 6, 5, different=6, units=1, inputs=5)
    True
    >>> is_no_chance(1e-20, 50, 5, different=5, units=1, inputs=5)
    False
    """
    m, p, r = different, parameters, inputs
    if p >= m:
        return False
    if unexplained > NOISE_FREE:
        return unexplained < 1.0 - 4.0 * p / samples
    cuts = units * (math.log(2.0) + r * (1.0 + math.log(m / r)))
    share = max(unexplained, float(np.finfo(np.float64).tiny))
    return bool(cuts + stats.beta.logcdf(share, (m - p) / 2.0, p / 2.0) < math.log(_ALARM))


def determines(
    X: Array,
    weights: Array,
    output: Array,
    activation: Activation,
    *,
    unexplained: float,
    sample_weight: Array | None = None,
    fit_intercept: bool = False,
) -> bool:
    r"""Say whether labels determine the parameters: no change leaves all predictions, to first order.

    The derivatives of the predictions, :math:`v_i \phi'(w_i \cdot x)\,x`, :math:`\phi(w_i \cdot x)` unless
    the activation is homogeneous, and 1 of a constant, are independent, whichever sample is left out: one
    of leverage 1 is fitted whatever its label is, and tells nothing. Repeated samples count once. A sample
    on a kink, as far as its label tells, may be on either side of it, and counts as if it had no derivative
    by that unit. Beyond 200 parameters they are taken as determined by more than four times as many samples.

    Parameters
    ----------
    X : (n, d) array
        With a column of ones for biases.
    weights : (k, d) array
    output : (k,) array
    activation : Activation
    unexplained : float
        Mean square of what is left of the labels.
    sample_weight : (n,) array, optional
    fit_intercept : bool

    Returns
    -------
    bool

    Examples
    --------
    >>> from nnmoments.activations import relu
    >>> X = np.random.default_rng(0).standard_normal((50, 2))
    >>> W = np.array([[1.0, 0.0]])
    >>> determines(X, W, np.ones(1), relu, unexplained=0.0)
    True
    >>> determines(np.abs(X), -W, np.ones(1), relu, unexplained=0.0)  # never on
    False
    >>> determines(np.diag([1.0, 1.0]), np.ones((1, 2)), np.ones(1), relu, unexplained=0.0)
    False
    """
    free = activation.homogeneity is None
    p = weights.size + len(weights) * free + fit_intercept
    if p > _FORMED and len(X) > 4 * p:
        return True
    if different_rows(X) < len(X):
        X, sample_weight = np.unique(X, axis=0), None
    far = 10.0 * math.sqrt(max(unexplained, 0.0))

    def slopes_of(part: slice) -> Array:
        images = X[part] @ weights.T
        slopes = activation.derivative(1, images) * output
        for kink in activation.breakpoints:
            jump = np.abs((activation(images) - activation(np.asarray(kink))) * output)
            largest = jump.max(initial=0.0)
            slopes[jump <= np.clip(far, 1e-6 * largest, 1e-2 * largest)] = 0.0
        columns = [(slopes[:, :, None] * X[part][:, None, :]).reshape(len(images), -1)]
        if free:
            columns.append(activation(images))
        if fit_intercept:
            columns.append(np.ones((len(images), 1)))
        root = 1.0 if sample_weight is None else np.sqrt(sample_weight[part])[:, None]
        return np.asarray(np.hstack(columns) * root)

    normal = np.zeros((p, p))
    parts = list(row_chunks(len(X), p))
    for part in parts:
        J = slopes_of(part)
        normal += J.T @ J
    lengths = np.sqrt(np.diag(normal))
    if not (np.isfinite(lengths).all() and lengths.min() > 0.0):
        return False
    values, vectors = np.linalg.eigh(normal / lengths / lengths[:, None])
    if values[0] <= _FLAT:
        return False
    inverse = vectors / np.sqrt(values) / lengths[:, None]
    leverage = max(float(np.sum((slopes_of(part) @ inverse) ** 2, axis=1).max()) for part in parts)
    return bool(leverage < 1.0 - _ALONE)


def _by_polynomials(X: Array, r: Array, m: int) -> tuple[float, float]:
    """Return the sums over all pairs of r_s r_t <S_m(x_s), S_m(x_t)>/m!, and of its square."""
    d = X.shape[1]
    powers = np.array([np.bincount(axes, minlength=d) for axes in monomials(d, m) if len(axes) == m])
    total, gram, own, own_squares = np.zeros(len(powers)), np.zeros((len(powers),) * 2), 0.0, 0.0
    for rows in row_chunks(len(X), 2 * len(powers)):
        table = np.stack([normalized_hermite(j, X[rows]) for j in range(m + 1)])
        h = np.tile(r[rows], (len(powers), 1))
        for axis, power in enumerate(powers.T):
            h *= table[power, :, axis]
        lengths = np.sum(h**2, axis=0)
        total, gram = total + h.sum(axis=1), gram + h @ h.T
        own, own_squares = own + lengths.sum(), own_squares + lengths @ lengths
    squares = float(np.vdot(gram, gram))
    return float(total @ total - own), float(max(squares - own_squares, _ROUNDING * squares))


def _by_pairs(X: Array, r: Array) -> tuple[Array, Array, Array]:
    """Return such sums for each degree, over the pairs in parts of the sample, and the number of pairs."""
    d, sums, squares, pairs = X.shape[1], np.zeros(4), np.zeros(4), 0.0
    step = -(-len(X) // _PART)
    for part in range(step):
        Z, left = X[part::step], r[part::step]
        lengths = np.sum(Z**2, axis=1)
        products = np.outer(left, left)
        np.fill_diagonal(products, 0.0)
        for i, kernel in enumerate(_kernels(Z @ Z.T, lengths[:, None], lengths, d)):
            terms = products * kernel
            sums[i] += terms.sum()
            squares[i] += np.vdot(terms, terms)
        pairs += len(Z) * (len(Z) - 1.0)
    return sums, squares, np.full(4, pairs)


def _kernels(s: Array, a: Any, b: Any, d: int) -> list[Array]:
    """Return <S_m(x), S_m(y)>/m! for m = 1 to 4 from inner products s and squared lengths a, b."""
    squares, lengths = s * s, a + b
    rest = 6.0 * a * b + 3.0 * (a * a + b * b) - 6.0 * (d + 2.0) * lengths + 3.0 * d * (d + 2.0)
    return [
        s,
        (squares - lengths + d) / 2.0,
        s * (squares + 3.0 * (d + 2.0 - lengths)) / 6.0,
        (squares * (squares + 6.0 * (d + 4.0 - lengths)) + rest) / 24.0,
    ]
