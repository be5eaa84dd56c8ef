r"""GP end to end: the weights below a polynomial of thresholded units, from samples or an oracle."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin

from nnmoments.activations import Activation, get_activation
from nnmoments.borders import Refinement, fit_border, fit_crossings
from nnmoments.chunks import row_chunks
from nnmoments.densities import Gaussian
from nnmoments.landscapes import HermiteLoss, Minima, find_minima, weights_from_minima
from nnmoments.learners.base import RidgeLearner
from nnmoments.learners.beside import borders_beside, factor_rows, is_spread_alike, significant_rank
from nnmoments.learners.labelling import labels_for, standardized
from nnmoments.linalg import outer_power
from nnmoments.moments import (
    HermiteMoments,
    TensorMoment,
    active_moments,
    controlled_moments,
    cross_fit,
    fold_rows,
)
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_choice,
    check_instance,
    check_integer,
    check_number,
    finite_result,
)

__all__ = ["ThresholdNetwork", "decode_moments"]

# lambda = 10 |u_4|/u_2^2: bounded below for coefficients down to a tenth (GP: Theta(|u_4|/u_2^2)).
_PENALTY = 10.0
# Labels whose largest size is in between have coefficients that this lambda suits.
_SMALL, _LARGE = 2.0**-3, 2.0**10
_FREQUENT = 0.001  # share of the samples: ten units at zero leave so many at rest
_SAME = 0.9999  # cosine of refined rows that have come to one weight
_TOGETHER = 50  # samples in which units of a product are active together
_ADVICE = (
    "T_2 = E[y S_2(x)] is not positive along so many units: lower n_hidden if there are fewer, or pass more "
    "samples"
)
_LEFT = 0.02  # share of the samples beyond no border whose labels may differ, before units are missing


def decode_moments(
    moments: HermiteMoments, k: int, activation: str | Activation, *, rng: Any = None
) -> tuple[Array, Array, Minima]:
    r"""Return unit rows (m, d), their coefficients (m,), and the minima of G that they come from.

    .. math:: G(z) = -\mathrm{sgn}(u_4)\,E[f H_4(z \cdot x)] + \lambda\,(E[f H_2(z \cdot x)] - u_2)^2

    has its minima at multiples of the columns of :math:`(\mathrm{diag}(\sqrt c) W)^{-1}`. Signs and
    coefficients are those of :math:`T_1 = u_1 \sum_i c_i w_i`.

    Parameters
    ----------
    moments : HermiteMoments
        Of f under N(0, I).
    k : int
        Units, at most d.
    activation : str or Activation
    rng : optional
        Seed or generator.

    Raises
    ------
    ValueError
        If :math:`u_2` or :math:`u_4` of the activation vanishes: at t = 1 for ReLU, :math:`\sqrt3` for
        sign; or if :math:`T_2` is not positive on k directions.

    References
    ----------
    GP Theorem 4 and Claim 2.

    Examples
    --------
    >>> from nnmoments.activations import relu_threshold
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> u = relu_threshold(2.0)
    >>> moments = controlled_moments(X, u(X[:, 0]) + u(X[:, 1]))
    >>> rows, _, minima = decode_moments(moments, 2, u, rng=0)
    >>> minima.converged, bool(np.max(rows, axis=1).min() > 0.99)
    (True, True)
    """
    check_instance("moments", moments, HermiteMoments)
    k = check_integer("k", k, 1, len(moments.first))
    u1, u2, u4 = _coefficients(get_activation(activation))
    loss = HermiteLoss(moments.second, moments.fourth, u2, u4, _PENALTY * abs(u4) / u2**2)
    radius = math.sqrt(math.sqrt(2.0) * abs(u2))
    minima = find_minima(loss, math.copysign(1.0, u2) * moments.second, k, radius=radius, rng=rng)
    if not len(minima.points):
        return np.zeros((0, len(moments.first))), np.zeros(0), minima
    rows = weights_from_minima(minima.points)
    coefficients = np.asarray(np.linalg.lstsq(rows.T, moments.first, rcond=None)[0] / u1, dtype=np.float64)
    signs = np.where(coefficients < 0.0, -1.0, 1.0)
    return rows * signs[:, None], np.abs(coefficients), minima


def _coefficients(activation: Activation) -> tuple[float, float, float]:
    u1, u2, u4 = (activation.hermite_coefficient(m) for m in (1, 2, 4))
    if min(abs(u2), abs(u4)) < 1e-9 * abs(u1):
        raise ValueError(
            f"activation must have u_2 and u_4 away from zero, got {u2:.1e} and {u4:.1e} for "
            f"{activation.name}; move its threshold"
        )
    return u1, u2, u4


class ThresholdNetwork(RegressorMixin, RidgeLearner):  # type: ignore[misc]
    r"""Learn W and P of :math:`f = P(u(w_1 \cdot x - s_1), \dots, u(w_k \cdot x - s_k))` under a normal law.

    1. :math:`T_2 = E[f S_2]` and :math:`T_4 = E[f S_4]`, with control variates (GP Section 2).
    2. All minima of the landscape G(z) that they make, and from these coarse rows (GP Claim 2).
    3. Each row is refined at the border of its unit: by a label oracle if `fit` is given one, else
       from the sample (GP Section 2.1).
    4. If units are missing or doubtful: factors of :math:`T_2` and :math:`T_3` of the labels beyond no border
       found, of any sign, size and threshold (`factor_rows`), and each border where no other unit is active
       (`borders_beside`); again, until nothing is left.
    5. The polynomial :math:`P = c_0 + \sum_i c_i X_i + \sum_{i<j} c_{ij} X_i X_j` by least squares.

    Parameters
    ----------
    n_hidden : int, optional
        Units, at most d; by default as many as :math:`T_2` of the labels or of their signs shows above its
        noise, and as many more as active samples beyond no border tell. With fewer than d, the problem is
        first projected on the leading eigenvectors of :math:`T_2`.
    activation : str or Activation
        u with its threshold, as ``relu_threshold(2.0)``; units may have others, up to where borders are seen.
    inputs : Gaussian, optional
        Law of the inputs, if it is known. By default N(0, I) if the sample's mean and covariance agree with
        that, else the normal law with these.
    control : {"network", "polynomial", "none"}
        Control variates of the moments. "none" looks at active samples only. "network" takes, beyond
        the polynomials, the network found on one half of the sample as a control variate for the
        other: the moments of its linear part are known, so what remains is noise of the residual.
        Samples too few for one of them get the next.
    refine : bool
    degree : {1, 2, 3}
        Of P, in different units.
    active : callable, optional
        Which labels (n,) are active, by default those that differ from the most frequent one; for
        sigmoid units say which exceed one half.
    fit_intercept : bool
        Whether there is a :math:`c_0`: the most frequent label, where one is.
    max_iter : int
        Searches of step 4; with 0 the method is GP's, a landscape and a refinement.
    max_unexplained : float
        Share of the labels' variance that the network may leave, beyond twice what wrong labels explain.
    tol : float
        Angle in radians, below 1, that an oracle refines to.
    random_state : int, RandomState, Generator or None

    Attributes
    ----------
    weights_ : (m, d) array
        Rows, unit ones for standard inputs; m < n_hidden if some were not found.
    biases_ : (m,) array
        The threshold of the activation less the unit's own; zero where the border does not tell them apart.
    output_ : (m,) array
        :math:`c_i`.
    intercept_ : float
        :math:`c_0`.
    products_ : dict
        :math:`c_S` of the products of units S that are active together often enough.
    n_iter_ : int
        Descents and searches.
    converged_ : bool
        Whether there are n_hidden different rows, each refined if it was to be, nothing but single wrong
        labels is left beyond their borders, and P explains the labels.
    status_ : str
    n_features_in_ : int
    diagnostics_ : dict
        "moments" (HermiteMoments) and "minima" (Minima) of the labels over "scale" (a power of 2),
        "coarse" rows before refinement and their "coefficients" from :math:`T_1`, which products of units
        bias, estimated "angles" of all rows (nan where there is none), their "refinements" (Refinement or
        None), the shares of the labels' variance that is "explained" and that wrong labels make ("noise"),
        and the share of labels that are "wrong". There are no intervals of :math:`c_i`: the errors of rows
        outweigh those of the regression, given the rows.

    References
    ----------
    GP Theorems 1, 2 and 5, Claim 2.

    Examples
    --------
    >>> from nnmoments.activations import relu_threshold
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> u = relu_threshold(2.0)
    >>> f = lambda X: u(X[:, 0]) + u(0.6 * X[:, 0] + 0.8 * X[:, 1])
    >>> model = ThresholdNetwork(activation=u, random_state=0).fit(X, oracle=f)
    >>> model.weights_[np.argsort(model.weights_[:, 0])].round(6) + 0.0
    array([[0.6, 0.8],
           [1. , 0. ]])
    """

    def __init__(
        self,
        n_hidden: int | None = None,
        activation: str | Activation = "relu",
        *,
        inputs: Gaussian | None = None,
        control: str = "network",
        refine: bool = True,
        degree: int = 2,
        active: Callable[[Array], npt.ArrayLike] | None = None,
        fit_intercept: bool = True,
        max_iter: int = 4,
        max_unexplained: float = 0.1,
        tol: float = 1e-6,
        random_state: Any = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.activation = activation
        self.inputs = inputs
        self.control = control
        self.refine = refine
        self.degree = degree
        self.active = active
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.max_unexplained = max_unexplained
        self.tol = tol
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Inputs are Gaussian, the labels those of such a network."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike | None = None,
        *,
        oracle: Callable[[Array], npt.ArrayLike] | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> "ThresholdNetwork":
        """Learn from Gaussian inputs.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) array_like, optional
            Labels, of which some may be wrong; by default those of the oracle.
        oracle : callable, optional
            Labels (n,) of points (n, d).
        sample_weight : (n,) array_like, optional

        Returns
        -------
        ThresholdNetwork
            Itself.

        Raises
        ------
        ValueError
            Naming the argument that does not fit.
        """
        X, y = self._validated(X, labels_for(X, y, oracle))
        weight = self._weights_of(sample_weight, len(X))
        d = X.shape[1]
        told = None if self.n_hidden is None else check_integer("n_hidden", self.n_hidden, 1, d)
        control = check_choice("control", self.control, ("network", "polynomial", "none"))
        tol = check_number("tol", self.tol, above=0.0, below=1.0)
        activation, rng = self._activation(), self._rng()
        limit = check_number("max_unexplained", self.max_unexplained, above=0.0)
        degree = check_integer("degree", self.degree, 1, 3)
        rounds = check_integer("max_iter", self.max_iter, 0)
        _coefficients(activation)
        for name in ("refine", "fit_intercept"):
            check_choice(name, getattr(self, name), (True, False))
        if self.active is not None:
            check_callable("active", self.active)
        if weight is not None:
            X, y, weight = X[weight > 0.0], y[weight > 0.0], weight[weight > 0.0]
            weight /= weight.mean()
        X, frame, advice = standardized(X, weight, self.inputs)
        ask = oracle if oracle is None else (lambda Z: oracle(frame.back(Z)))
        rest = _most_frequent(y) if self.fit_intercept else 0.0
        scale = _scale(y - rest)
        is_active = self.active or (lambda labels: labels != rest)
        mask = check_array("active", is_active(y), shape=(len(y),)) != 0.0
        nowhere = self.active is None and bool(np.mean(mask) > 0.9)  # at rest: there is no border to see
        labels = (y - rest) / scale
        most, k = told or d, told or max(_rank(X, part, weight) for part in (labels, np.sign(labels)))

        def unseen(units: Sequence[Refinement | None]) -> tuple[float, float, bool]:
            rows = np.array([u.direction for u in units if u]).reshape(-1, d)
            beyond = X @ rows.T + _own_biases(activation, units)
            return _beyond_no_border(X, labels, beyond, mask, weight, activation)

        def enough(units: Sequence[Refinement | None]) -> bool:
            return len(units) >= most or (len(units) >= k and not unseen(units)[2])

        moments, rows, coefficients, minima, trouble = _found(X, labels, weight, control, activation, k, rng)
        refinements: list[Refinement | None] = [None] * len(rows)
        searches = 0
        if self.refine and not nowhere:
            refinements = [_refined(row, X, mask, ask, is_active, weight, tol, rng) for row in rows]
        weights = np.array([r.direction if r else row for r, row in zip(refinements, rows, strict=True)])
        kept = _distinct(weights.reshape(len(rows), d))
        seen = [refinements[i] for i in kept]
        doubtful = not all(r and r.converged for r in seen) or not enough(seen)
        if rounds and self.refine and not nowhere and doubtful and y.any():
            units, searches = _search(X, labels, mask, weight, k, most, seen, enough, rounds, rng)
            units = units[:most]
            if ask is not None:
                units = [_refined(u.direction, X, mask, ask, is_active, weight, tol, rng) or u for u in units]
            if len(units) >= len(kept):
                refinements, weights = list(units), np.array([u.direction for u in units])
                kept = _distinct(weights.reshape(len(units), d))
                k = max(k, len(kept))
        weights = weights.reshape(len(weights), d)[kept]
        refinements = [refinements[i] for i in kept]
        biases = _own_biases(activation, refinements)
        wrong, loud, hidden = unseen(refinements) if len(kept) and all(refinements) else (0.0, 0.0, False)
        shifted = biases != 0.0
        for _ in range(1 + int(shifted.any())):  # a step of Gauss and Newton in the thresholds, then the fit
            fitted = _polynomial(
                X @ weights.T + biases, activation, shifted, y, weight, self.fit_intercept, degree, wrong
            )
            biases = biases + np.clip(fitted.moved, -0.05, 0.05)
        rows_back, biases = frame.rows(weights, biases)
        self._store(weights=rows_back, biases=biases, output=fitted.linear, intercept=fitted.intercept)
        self.products_ = fitted.products
        self.n_iter_ = (minima.n_starts if minima else 0) + searches
        square = float(np.average(labels**2, weights=weight))
        variance = square - float(np.average(labels, weights=weight)) ** 2
        noise = min(1.0, (loud + wrong * square) / variance) if variance > 0.0 else 0.0
        self.diagnostics_: dict[str, Any] = {
            "moments": moments,
            "minima": minima,
            "scale": scale,
            "coarse": rows,
            "coefficients": coefficients * scale,
            "angles": np.array([r.angle if r else np.nan for r in refinements]),
            "refinements": tuple(refinements),
            "explained": fitted.explained,
            "noise": noise,
            "wrong": wrong,
        }
        status = [f"{len(kept)} of {k} units, which explain {fitted.explained:.1%} of the labels' variance"]
        left = 1.0 - fitted.explained > limit + 2.0 * noise
        lost = sum(r is None or not r.converged for r in refinements) if self.refine else 0
        if len(kept) < k:
            status.append(
                trouble or "pass more samples or move the threshold; lower n_hidden if there are fewer units"
            )
        if self.refine and nowhere:
            status.append("not refined, as nearly all labels differ: give active, or refine=False")
        elif self.refine and len(kept):
            status.append(f"refined with {'the sample' if oracle is None else 'the oracle'}")
            if lost:
                status.append(f"except {lost} rows, which are not near a unit: pass more samples")
        if wrong > 0.0:
            status.append(f"{wrong:.1%} of the labels are wrong")
        if hidden:
            status.append("active samples beyond no border are not spread like wrong labels: raise n_hidden")
        if left:
            status.append("more is left than that explains: raise degree, n_hidden or max_unexplained")
        if advice:
            status.append(advice)
        trusted = len(kept) == k and not (lost or hidden or left or frame.doubtful)
        self._conclude(trusted, "; ".join(status))
        return self

    @finite_result("X")
    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        r"""Return :math:`c_0 + \sum_i c_i X_i + \sum_S c_S \prod_{i \in S} X_i` at the rows of X, (n,).

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array
        """
        inputs, dtype = self._inputs(X)
        units = self._activation()(inputs @ self.weights_.T.astype(np.float64) + self.biases_)
        values = units @ self.output_ + self.intercept_
        for S, c in self.products_.items():
            values = values + c * np.prod(units[:, S], axis=1)
        return np.asarray(values, dtype=dtype)


def _most_frequent(y: Array) -> float:
    """Return the label where no unit is active, the most frequent one; 0 if none is frequent."""
    values, counts = np.unique(y, return_counts=True)
    return float(values[np.argmax(counts)]) if counts.max() > max(1.0, _FREQUENT * len(y)) else 0.0


def _power_of_two(y: Array) -> float:
    """Return a power of two as large as the largest entry, or one; divisions by it are exact."""
    largest = float(np.abs(y).max())
    return 2.0 ** round(math.log2(largest)) if largest > 0.0 else 1.0


def _scale(y: Array) -> float:
    """Return what to divide labels by, so that coefficients are neither tiny nor huge; mostly one."""
    size = _power_of_two(y)
    return 1.0 if _SMALL <= size <= _LARGE else size


def _found(
    X: Array, y: Array, weight: Array | None, control: str, activation: Activation, k: int, rng: Any
) -> tuple[HermiteMoments | None, Array, Array, Minima | None, str]:
    """Moments, rows, coefficients, minima, and what went wrong."""
    d = X.shape[1]
    nothing = np.zeros((0, d)), np.zeros(0), None
    if not y.any():
        return None, *nothing, "y is the same everywhere: no unit is active; lower the threshold"
    basis = np.eye(d)
    second = active_moments(X, y, form="sample", sample_weight=weight).second
    values, vectors = np.linalg.eigh(second)
    if k < d:
        order = np.argsort(-np.abs(values))[:k]
        basis, values = vectors[:, order], values[order]
    u2 = activation.hermite_coefficient(2)
    if significant_rank(
        np.diag(np.minimum(math.copysign(1.0, u2) * values, 0.0)), float(np.mean(y**2)), len(y)
    ):
        return None, *nothing, _ADVICE  # coefficients of both signs have no landscape
    inner = X @ basis if k < d else X
    moments = None
    try:
        moments = _moments(inner, y, weight, control, activation, k, rng)
        rows, coefficients, minima = decode_moments(moments, k, activation, rng=rng)
    except ValueError:  # of T_2, or of minima that are dependent
        return moments, *nothing, _ADVICE
    return moments, rows @ basis.T, coefficients, minima, ""


def _moments(
    X: Array, y: Array, weight: Array | None, control: str, activation: Activation, k: int, rng: Any
) -> HermiteMoments:
    needed = 10 * math.comb(X.shape[1] + 4, 4)  # samples for the polynomials
    if control == "none" or len(X) < needed:
        return active_moments(X, y, sample_weight=weight)
    if control == "polynomial" or len(X) // 2 < needed:
        return controlled_moments(X, y, sample_weight=weight)

    def controlled(labels: Array, part: Any) -> HermiteMoments:
        return controlled_moments(X[part], labels, sample_weight=None if weight is None else weight[part])

    def network(others: list[Any]) -> tuple[Array, Array]:
        (other,) = others
        return decode_moments(controlled(y[other], other), k, activation, rng=rng)[:2]

    def about(found: tuple[Array, Array], part: Any) -> list[Array]:
        """T_m(g) + E[(y - g) S_m] for m = 0, 1, 2, 4, g the linear part of the network found."""
        rows, c = found
        rest = controlled(y[part] - activation(X[part] @ rows.T) @ c, part)
        known = [
            math.sqrt(math.factorial(m))
            * activation.hermite_coefficient(m)
            * np.tensordot(c, outer_power(rows, m), axes=(0, 0))
            for m in (0, 1, 2, 4)
        ]  # GP Lemma 9
        assert isinstance(rest.fourth, TensorMoment)
        own = map(np.asarray, (rest.mean, rest.first, rest.second, rest.fourth.tensor))
        return [a + b for a, b in zip(own, known, strict=True)]

    first, second = cross_fit(fold_rows(len(X), 2), network, about)
    T = [0.5 * (a + b) for a, b in zip(first, second, strict=True)]
    removed = "the network of the other half, then polynomials of degree <= 4"
    return HermiteMoments(float(T[0]), T[1], T[2], TensorMoment(T[3]), len(X), len(X), removed)


def _refined(
    row: Array,
    X: Array,
    mask: npt.NDArray[np.bool_],
    oracle: Callable[[Array], npt.ArrayLike] | None,
    active: Callable[[Any], npt.ArrayLike],
    weight: Array | None,
    tol: float,
    rng: np.random.Generator,
) -> Refinement | None:
    try:
        if oracle is None:
            return fit_border(X, mask, row, sample_weight=weight)
        return fit_crossings(oracle, row, tol=tol, active=active, rng=rng)
    except ValueError:  # the row is not near a weight
        return None


def _distinct(rows: Array) -> list[int]:
    """Indices of the rows that are not nearly one before them."""
    kept: list[int] = []
    for i, row in enumerate(rows):
        if not kept or np.abs(rows[kept] @ row).max() <= _SAME:
            kept.append(i)
    return kept


def _rank(X: Array, y: Array, weight: Array | None) -> int:
    """How many directions of T_2 are more than noise, at least one."""
    if not y.any():
        return X.shape[1]
    w = np.ones(len(y)) if weight is None else weight
    second = active_moments(X, y, form="sample", sample_weight=weight).second
    return max(1, significant_rank(second, float(np.mean(w * w * y * y)), len(y)))


def _search(
    X: Array,
    y: Array,
    mask: npt.NDArray[np.bool_],
    weight: Array | None,
    k: int,
    most: int,
    seen: list[Refinement | None],
    enough: Callable[[Sequence[Refinement]], bool],
    max_iter: int,
    rng: np.random.Generator,
) -> tuple[list[Refinement], int]:
    """Units from the factors of what the borders found leave, round after round; and how many rounds."""
    w = np.ones(len(y)) if weight is None else weight
    units: list[Refinement] = []
    rows = np.array([r.direction for r in seen if r is not None]).reshape(-1, X.shape[1])
    outside = np.ones(len(y), dtype=bool)
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        before = len(units)
        # Factors beyond what is missed are noise, which may hide the borders of the others.
        for count in dict.fromkeys((k, most - before)):
            rows = np.vstack([rows, factor_rows(X, w * y * outside, count, rng=rng)])
            units = borders_beside(X, mask, w, rows, units)
            rows = rows[:0]
            if len(units) > before:
                break
        if enough(units) or len(units) == before:
            break
        outside = np.all([X @ u.direction <= u.threshold for u in units], axis=0)
    return units, n_iter


def _own_biases(activation: Activation, refinements: Sequence[Refinement | None]) -> Array:
    """The activation's threshold less that of each border, where the border tells them apart."""
    if len(activation.breakpoints) != 1:
        return np.zeros(len(refinements))
    (t,) = activation.breakpoints
    shift = [(t - r.threshold, r.angle) if r else (0.0, 0.0) for r in refinements]
    return np.array([b if abs(b) > 3.0 * angle else 0.0 for b, angle in shift])


def _beyond_no_border(
    X: Array,
    y: Array,
    beyond: Array,
    mask: npt.NDArray[np.bool_],
    weight: Array | None,
    activation: Activation,
) -> tuple[float, float, bool]:
    """The share of active samples beyond no border, their mean square, and whether they are a unit's."""
    if len(activation.breakpoints) != 1:
        return 0.0, 0.0, False
    outside = np.max(beyond, axis=1) <= activation.breakpoints[0] - 0.05
    w = np.ones(len(X)) if weight is None else weight
    total = float(w[outside].sum())
    if total == 0.0:
        return 0.0, 0.0, False
    wrong = float(w[outside & mask].sum()) / total
    loud = float(np.sum(w[outside & mask] * y[outside & mask] ** 2)) / total
    if (outside & mask).sum() < 2:
        return wrong, loud, False
    # Wrong labels are spread like all samples out there; a unit that is missing is not.
    alike = is_spread_alike(X[outside], mask[outside], w[outside])
    return wrong, loud, wrong > _LEFT or not alike


class _Polynomial(NamedTuple):
    linear: Array
    products: dict[tuple[int, ...], float]
    intercept: float
    moved: Array
    explained: float


def _polynomial(
    heights: Array,
    activation: Activation,
    shifted: npt.NDArray[np.bool_],
    y: Array,
    weight: Array | None,
    fit_intercept: bool,
    degree: int,
    wrong: float,
) -> _Polynomial:
    """Fit P, and the thresholds that are a unit's own, by least squares; of the labels some may be wrong.

    Wrong labels are those farthest off, twice their share of the samples beyond some border.
    """
    n, k = heights.shape
    size = _power_of_two(y)
    target, w = y / size, np.ones(n) if weight is None else weight
    units = activation(heights)
    on = units != 0.0
    together = on.T.astype(np.float32) @ on.astype(np.float32)
    sets: list[tuple[int, ...]] = [(i,) for i in range(k)]
    for m in range(2, degree + 1):
        sets += [
            S
            for S in itertools.combinations(range(k), m)
            if min(together[i, j] for i, j in itertools.combinations(S, 2)) >= _TOGETHER
            and (m == 2 or on[:, S].all(axis=1).sum() >= _TOGETHER)
        ]
    own = [
        i for i in np.flatnonzero(shifted) if np.any(activation.derivative(1, heights[on[:, i], i]) != 0.0)
    ]
    p = len(sets) + int(fit_intercept) + len(own)
    # Where no unit is active there is the constant alone.
    some = np.flatnonzero(on.any(axis=1))
    none = np.flatnonzero(~on.any(axis=1))
    resting = float(w[none].sum()), float(w[none] @ target[none])

    def design(rows: npt.NDArray[np.intp]) -> Array:
        part = np.asfortranarray(units[rows])
        D = np.empty((len(rows), p), order="F")
        for column, S in enumerate(sets):
            D[:, column] = part[:, S[0]]
            for i in S[1:]:
                D[:, column] *= part[:, i]
        if fit_intercept:
            D[:, len(sets)] = 1.0
        for column, unit in enumerate(own, start=len(sets) + int(fit_intercept)):
            D[:, column] = activation.derivative(1, heights[rows, unit])
        return D

    kept, residual = np.ones(len(some)), np.zeros(len(some))
    for _ in range(1 if wrong == 0.0 else 3):
        normal, right = np.zeros((p, p)), np.zeros(p)
        if fit_intercept:
            normal[len(sets), len(sets)], right[len(sets)] = resting
        for part in row_chunks(len(some), p):
            rows = some[part]
            root = np.sqrt(w[rows] * kept[part])
            D = root[:, None] * design(rows)
            normal, right = normal + D.T @ D, right + D.T @ (root * target[rows])
        spread = np.sqrt(np.maximum(np.diag(normal), np.finfo(np.float64).tiny))
        inverse = np.linalg.pinv(normal / np.outer(spread, spread), rcond=1e-12, hermitian=True)
        c = inverse @ (right / spread) / spread
        for part in row_chunks(len(some), p):
            residual[part] = target[some[part]] - design(some[part]) @ c
        if wrong and len(some):
            kept = (np.abs(residual) <= np.quantile(np.abs(residual), max(0.0, 1.0 - 2.0 * wrong))) * 1.0
    intercept = float(c[len(sets)]) if fit_intercept else 0.0
    moved = np.zeros(k)
    if own:
        moved[own] = c[len(sets) + int(fit_intercept) :] / np.where(c[own] == 0.0, np.inf, c[own])
    center = float(np.average(target, weights=w)) if fit_intercept else 0.0
    total = float(np.sum(w * (target - center) ** 2))
    unexplained = float(np.sum(w[some] * residual**2) + np.sum(w[none] * (target[none] - intercept) ** 2))
    return _Polynomial(
        size * c[:k],
        {S: float(size * a) for S, a in zip(sets[k:], c[k:], strict=False)},
        size * intercept,
        moved,
        1.0 - unexplained / total if total > 0.0 else 1.0,
    )
