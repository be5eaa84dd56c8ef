r"""GP end to end: the weights below a polynomial of thresholded units, from samples or an oracle."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin

from nnmoments.activations import Activation, get_activation
from nnmoments.borders import Refinement, fit_border, fit_crossings
from nnmoments.landscapes import HermiteLoss, Minima, find_minima, weights_from_minima
from nnmoments.learners.base import RidgeLearner
from nnmoments.learners.labelling import labels_for, refuse_far
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
    r"""Learn W of :math:`f = c_0 + \sum_S c_S \prod_{i \in S} u(w_i \cdot x)` under N(0, I), unit rows.

    1. :math:`T_2 = E[f S_2]` and :math:`T_4 = E[f S_4]`, with control variates (GP Section 2).
    2. All minima of the landscape G(z) that they make, and from these coarse rows (GP Claim 2).
    3. Each row is refined at the border of its unit: by a label oracle if `fit` is given one, else
       from the sample (GP Section 2.1).
    4. The linear part :math:`c_0 + \sum_i c_i u(w_i \cdot x)` by least squares.

    Parameters
    ----------
    n_hidden : int, optional
        Units, at most d (the default). With fewer, the problem is first projected on the leading
        eigenvectors of :math:`T_2`.
    activation : str or Activation
        u with its threshold, as ``relu_threshold(2.0)``.
    control : {"network", "polynomial", "none"}
        Control variates of the moments. "none" looks at active samples only. "network" takes, beyond
        the polynomials, the network found on one half of the sample as a control variate for the
        other: the moments of its linear part are known, so what remains is noise of the residual.
        Samples too few for one of them get the next.
    refine : bool
    active : callable, optional
        Which labels (n,) are active, by default those that differ from the most frequent one; for
        sigmoid units say which exceed one half.
    fit_intercept : bool
        Whether there is a :math:`c_0`: the most frequent label, where one is.
    tol : float
        Angle in radians that an oracle refines to.
    random_state : int, RandomState, Generator or None

    Attributes
    ----------
    weights_ : (m, d) array
        Unit rows; m < n_hidden if some were not found.
    biases_ : (m,) array
        Zero: the threshold is the activation's.
    output_ : (m,) array
        :math:`c_i`.
    intercept_ : float
        :math:`c_0`.
    n_iter_ : int
        Descents.
    converged_ : bool
        Whether there are n_hidden different rows, each refined if it was to be.
    status_ : str
    n_features_in_ : int
    diagnostics_ : dict
        "moments" (HermiteMoments) and "minima" (Minima) of the labels over "scale" (a power of 2),
        "coarse" rows before refinement and their "coefficients" from :math:`T_1`, which products of units
        bias, estimated "angles" of all rows (nan where there is none), their "refinements" (Refinement or
        None), and the share of the labels' variance that is "explained".

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
        control: str = "network",
        refine: bool = True,
        active: Callable[[Array], npt.ArrayLike] | None = None,
        fit_intercept: bool = True,
        tol: float = 1e-6,
        random_state: Any = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.activation = activation
        self.control = control
        self.refine = refine
        self.active = active
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Inputs are standard normal, the labels those of such a network."""
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
        """Learn from standard normal inputs.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) array_like, optional
            Labels without noise; by default those of the oracle.
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
        k = d if self.n_hidden is None else check_integer("n_hidden", self.n_hidden, 1, d)
        control = check_choice("control", self.control, ("network", "polynomial", "none"))
        activation, tol, rng = self._activation(), check_number("tol", self.tol, above=0.0), self._rng()
        _coefficients(activation)
        for name in ("refine", "fit_intercept"):
            check_choice(name, getattr(self, name), (True, False))
        if self.active is not None:
            check_callable("active", self.active)
        refuse_far(X)
        if weight is not None:
            X, y, weight = X[weight > 0.0], y[weight > 0.0], weight[weight > 0.0]
            weight /= weight.mean()
        rest = _most_frequent(y) if self.fit_intercept else 0.0
        scale = _scale(y - rest)
        is_active = self.active or (lambda labels: labels != rest)
        mask = check_array("active", is_active(y), shape=(len(y),)) != 0.0

        moments, rows, coefficients, minima, trouble = _found(
            X, (y - rest) / scale, weight, control, activation, k, rng
        )
        nowhere = self.active is None and bool(np.mean(mask) > 0.9)  # at rest: there is no border to see
        refinements: list[Refinement | None] = [None] * len(rows)
        if self.refine and not nowhere:
            refinements = [_refined(row, X, mask, oracle, is_active, weight, tol, rng) for row in rows]
        weights = np.array([r.direction if r else row for r, row in zip(refinements, rows, strict=True)])
        kept = _distinct(weights.reshape(len(rows), d))
        weights = weights.reshape(len(rows), d)[kept]
        output, intercept, explained = _linear_part(activation(X @ weights.T), y, weight, self.fit_intercept)
        self._store(weights=weights, biases=np.zeros(len(kept)), output=output, intercept=intercept)
        self.n_iter_ = minima.n_starts if minima else 0
        self.diagnostics_: dict[str, Any] = {
            "moments": moments,
            "minima": minima,
            "scale": scale,
            "coarse": rows,
            "coefficients": coefficients * scale,
            "angles": np.array([r.angle if r else np.nan for r in refinements]),
            "refinements": tuple(refinements),
            "explained": explained,
        }
        status = [
            f"{len(kept)} of {k} units, whose linear part explains {explained:.1%} of the labels' variance"
        ]
        if len(rows) < k:
            status.append(trouble or "pass more samples or move the threshold: the landscape lacks minima")
        if len(kept) < len(rows):
            status.append(f"{len(rows) - len(kept)} rows came to a unit that was there: lower n_hidden")
        lost = sum(r is None or not r.converged for r in refinements) if self.refine else 0
        if self.refine and nowhere:
            status.append("not refined, as nearly all labels differ: give active, or refine=False")
        elif self.refine and len(rows):
            status.append(f"refined with {'the sample' if oracle is None else 'the oracle'}")
            if lost:
                status.append(f"but for {lost} rows, which are not near a unit: pass more samples")
        self._conclude(len(kept) == k and not lost, "; ".join(status))
        return self

    @finite_result("X")
    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        r"""Return the linear part :math:`c_0 + \sum_i c_i u(w_i \cdot x)` at the rows of X, (n,).

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array
        """
        inputs, dtype = self._inputs(X)
        units = self._activation()(inputs @ self.weights_.T.astype(np.float64))
        return np.asarray(units @ self.output_ + self.intercept_, dtype=dtype)


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
    if k < d:
        second = active_moments(X, y, form="sample", sample_weight=weight).second
        order = np.argsort(-np.abs(np.linalg.eigvalsh(second)))[:k]
        basis = np.linalg.eigh(second)[1][:, order]
    inner = X @ basis if k < d else X
    moments = None
    try:
        moments = _moments(inner, y, weight, control, activation, k, rng)
        rows, coefficients, minima = decode_moments(moments, k, activation, rng=rng)
    except ValueError:  # of T_2, or of minima that are dependent
        advice = (
            "T_2 = E[y S_2(x)] is not positive along so many units: whiten X if it is not standard normal, "
            "lower n_hidden if there are fewer, pass more samples; units of negative coefficients of y are "
            "not learned"
        )
        return moments, *nothing, advice
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


def _linear_part(
    units: Array, y: Array, weight: Array | None, fit_intercept: bool
) -> tuple[Array, float, float]:
    """Fit y = c_0 + units c by least squares; also the share of the variance that this explains."""
    size = _power_of_two(y)
    root = np.ones(len(y)) if weight is None else np.sqrt(weight)
    design = root[:, None] * np.hstack([units, np.ones((len(y), int(fit_intercept)))])
    target = root * (y / size)
    c = np.linalg.lstsq(design, target, rcond=None)[0]
    center = float(root @ target / (root @ root)) if fit_intercept else 0.0
    total = float(np.sum((target - center * root) ** 2))
    explained = 1.0 - float(np.sum((target - design @ c) ** 2)) / total if total > 0.0 else 1.0
    k = units.shape[1]
    return size * c[:k], size * float(c[k]) if fit_intercept else 0.0, explained
