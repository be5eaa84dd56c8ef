"""The learner of GM: samples of a network's input and label in, its weights out, no density given."""

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin, clone

from nnmoments.activations import Activation
from nnmoments.densities import ScoreModel
from nnmoments.landscapes import SquareLossOfBoth, landscape_rows, levenberg_marquardt, random_rows
from nnmoments.learners.base import RidgeLearner, free_columns
from nnmoments.learners.misfit import determines, different_rows, is_no_chance, predictable_share
from nnmoments.moments import MomentEstimate, Polynomials, TensorMoment, cross_moment
from nnmoments.networks import OneHiddenLayer
from nnmoments.optimize import Descent
from nnmoments.results import Result
from nnmoments.scores import check_score, estimate_score, standardization
from nnmoments.tensors import decompose_symmetric
from nnmoments.validation import (
    Array,
    check_choice,
    check_instance,
    check_integer,
    finite_result,
)

__all__ = ["FourthOrderRows", "GeneralInputNetwork"]

_SAMPLES = 4
# Samples of a fold for each coefficient of the polynomial that is removed from its labels.
_SAMPLES_A_COEFFICIENT = 10
# Places of a unit's bias that are tried first, as quantiles of its image, and lengths of its row.
_PLACES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
_LENGTHS = (0.5, 1.0, 2.0, 4.0)
# Rows from which the first biases are chosen.
_CHOOSING = 20_000
# Standard errors above which a quantity is no chance: P(|z| > 5) < 1e-6.
_SIGNIFICANT = 5.0
# Width that smooths kinks, in deviations of a unit's argument: averages of fourth derivatives need more
# than those of second ones.
_SMOOTHING = 0.6
# Share of the labels' variance that rounding may leave.
_EXACT = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class FourthOrderRows(Result):
    r"""What T_4 shows of the units, in coordinates of covariance I.

    Attributes
    ----------
    rows : (k, d) array
        Unit rows, up to sign.
    kappa : (k,) array
        :math:`\hat\kappa_i` in :math:`T_4 \approx \sum_i \kappa_i u_i^{\otimes 4}`.
    standard_error : float
        Of a kappa, nearly: root mean square of those of T_4(e, e, e, e).
    status : str

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(20_000, rng=0)
    >>> y = np.maximum(X, 0.0) @ [1.0, -1.0]
    >>> net = GeneralInputNetwork(2, score_model=StandardNormal(2), random_state=0)
    >>> rows = net.fit(X, y).diagnostics_["rows"]
    >>> np.sign(np.sort(rows.kappa))
    array([-1.,  1.])
    """

    rows: Array
    kappa: Array
    standard_error: float
    status: str


@dataclass(frozen=True)
class _Fit:
    """Units in coordinates of covariance I, after the descent: columns w, b, v."""

    descent: Descent
    intercept: float
    left: Array
    unexplained: float
    origin: str


class GeneralInputNetwork(RegressorMixin, RidgeLearner):  # type: ignore[misc]
    r"""Learn :math:`E[y|x] = \sum_i v_i\,\phi(\langle w_i, x\rangle + b_i) + c` from x of any density.

    The rows :math:`w_i` are independent. In coordinates of mean 0 and covariance I:

    1. The score of x is estimated (`estimate_score`), unless it is given (GM Section 2).
    2. :math:`T_4 = E[y\,S_4(x)] = \sum_i \kappa_i w_i^{\otimes 4}`, by a surrogate g of E[y|x]:
       :math:`T_4 = E[\nabla^4 g(x)] + E[(y - g(x))\,S_4(x)]` (`cross_moment`).
    3. T_4 is projected on the span of its unfolding, and decomposed there: by joint diagonalisation of its
       slices, for kappas of any signs, or by L whitened with T_4's trace (GM Section 3), for one sign.
    4. Signs, lengths and places of the units are chosen by least squares among a few.
    5. Levenberg-Marquardt's descent of the square loss moves all weights. If what it leaves of the labels
       can be predicted from x, it starts again: from T_4 with the network as surrogate, if that is asked
       for, then from random rows.

    Parameters
    ----------
    n_hidden : int
        Number of units k, at most d.
    activation : str or Activation
    score_model : ScoreModel, optional
        A fitted score of x, if a better one than `estimate_score`'s is known; `UserDensity` makes one of
        functions. Of the columns that vary. (A parameter `score` would
        hide scikit-learn's method.)
    decoder : {"tensor", "landscape"}
        How T_4 is decomposed.
    surrogate : "auto", "network", SurrogateFamily, Surrogate, learner or None
        Of T_4. "auto" are polynomials of the highest degree up to three that half the sample can fit well.
        "network" starts with these; then what the learner finds in one half is the surrogate in the other,
        and T_4 is decomposed again: two more fits, for the moment's sake more than the weights'. None for
        the plain moment of GM. Others as in `cross_moment`.
    n_starts : int
        Most descents, the first from T_4.
    max_iter : int
        Of each descent.
    fit_intercept : bool
        Whether the output has a constant c. Networks of GM have none; real labels have a mean.
    fit_biases : bool
        Whether units have biases; those of GM have none.
    random_state : None, int, RandomState or Generator
        Of the further starts.

    Attributes
    ----------
    weights_ : (k, d) array
        Of unit length if the activation is homogeneous; 0 in constant columns of X, which `status_` names.
    biases_ : (k,) array
        Zeros unless fitted.
    output_ : (k,) array
    intercept_ : float
    n_iter_ : int
        Steps of the best descent.
    converged_ : bool
        Whether the score passes its checks, nothing of what is left can be predicted from x, every unit
        counts, and labels that do not depend on x could not be explained as well by chance, nor by others.
    status_ : str
    diagnostics_ : dict
        "moment": the last `MomentEstimate` of T_4. "rows": its `FourthOrderRows`. "score": the `SteinCheck`.
        "descent": the best `Descent`. "unexplained": share of the labels' variance that is left.
        "noise": share that could not be predicted from x by what is left either.

    Notes
    -----
    What is left is tested by boosted trees that are fitted to one half of the sample, against the other half.
    Noise in the labels is thus no failure, whatever its size.

    References
    ----------
    .. [1] W. Gao, A. V. Makkuva, S. Oh, P. Viswanath, "Learning one-hidden-layer neural networks
       under general input distributions", AISTATS 2019, Sections 3 and 4.2.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(20_000, rng=0)
    >>> y = 3.0 + np.maximum(X @ [0.6, 0.8], 0.0) - np.maximum(X[:, 0] + 0.5, 0.0)
    >>> model = GeneralInputNetwork(2, score_model=StandardNormal(2), random_state=0)
    >>> model = model.fit(X, y)
    >>> model.weights_[np.argsort(model.output_)].round(6) + 0.0, round(model.intercept_, 6)
    (array([[1. , 0. ],
           [0.6, 0.8]]), 3.0)
    """

    def __init__(
        self,
        n_hidden: int = 1,
        activation: str | Activation = "relu",
        *,
        score_model: ScoreModel | None = None,
        decoder: str = "tensor",
        surrogate: Any = "auto",
        n_starts: int = 10,
        max_iter: int = 200,
        fit_intercept: bool = True,
        fit_biases: bool = True,
        random_state: Any = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.activation = activation
        self.score_model = score_model
        self.decoder = decoder
        self.surrogate = surrogate
        self.n_starts = n_starts
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.fit_biases = fit_biases
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Say that a network of few units need not fit any data well."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> "GeneralInputNetwork":
        """Learn from a sample.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) array_like
        sample_weight : (n,) array_like, optional
            Weights of the samples in all averages, the score's included.

        Returns
        -------
        GeneralInputNetwork

        Raises
        ------
        ValueError
            If the sample or a parameter does not fit.
        """
        X, y = self._validated(X, y, min_samples=_SAMPLES)
        weight = self._weights_of(sample_weight, len(X))
        if weight is not None:
            X, y, weight = X[weight > 0.0], y[weight > 0.0], weight[weight > 0.0]
            if len(X) < _SAMPLES:
                raise ValueError(f"sample_weight must be above 0 for {_SAMPLES} samples, got {len(X)}")
        whole = X.shape[1]
        k = check_integer("n_hidden", self.n_hidden, 1, whole)
        n_starts, _ = check_integer("n_starts", self.n_starts, 1), check_integer("max_iter", self.max_iter, 1)
        check_choice("decoder", self.decoder, ("tensor", "landscape"))
        if isinstance(self.surrogate, str):
            check_choice("surrogate", self.surrogate, ("auto", "network"))
        for name in ("fit_intercept", "fit_biases"):
            check_choice(name, getattr(self, name), (True, False))
        phi, rng = self._activation(), self._rng()
        varying, constant = _varying(X, weight)
        X = X if len(varying) == whole else np.ascontiguousarray(X[:, varying])
        n, d = X.shape
        if k > d:
            raise ValueError(f"n_hidden must be at most {d}, the columns of X that vary, got {k}: {constant}")
        centre, root = standardization(X, weight)
        if self.score_model is None:
            score: ScoreModel = estimate_score(_repeated(X, weight))
        else:
            score = _given_score(self.score_model, d, constant)
        checked = check_score(score, X, order=1 if self.score_model is None else 4, sample_weight=weight)
        options: Any = {
            "bases": root,
            "sample_weight": weight,
            "known_density": self.score_model is not None and checked.passed,
        }
        surrogate = _polynomials(n, d) if isinstance(self.surrogate, str) else self.surrogate
        moment = cross_moment(X, y, score, 4, surrogate=surrogate, **options)
        decode = functools.partial(_decode, given=self.score_model is not None, decoder=self.decoder, rng=rng)
        decoded = decode(moment, k)
        unit = float(np.sqrt(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)))
        Z, shift = (
            np.asarray(np.linalg.solve(root, (X - centre).T).T),
            np.asarray(np.linalg.solve(root, centre)),
        )
        problem = _Problem(Z, y / unit, weight, phi, shift, self)
        best = problem.fitted(decoded.rows, "T_4")
        n_fits, predictable = 1, problem.predictable(best)
        again = isinstance(self.surrogate, str) and self.surrogate == "network"
        if again:
            once = clone(self).set_params(score_model=score, n_starts=1)
            moment = once.robust_moment(X, y, score, 4, **options)
            decoded = decode(moment, k)
        while n_fits < n_starts and predictable > 0.0:
            n_fits += 1
            if again:
                other, again = problem.fitted(decoded.rows, "T_4 of the network's residuals"), False
            else:
                other = problem.fitted(random_rows(k, d, rng=rng), "random rows")
            if other.unexplained < best.unexplained:
                best, predictable = other, problem.predictable(other)
        W, b, v = best.descent.weights[:, :d], best.descent.weights[:, d], unit * best.descent.weights[:, -1]
        weights = np.linalg.solve(root.T, W.T).T
        biases = b - weights @ centre if self.fit_biases else np.zeros(k)
        if phi.homogeneity is not None:
            length = np.maximum(np.linalg.norm(weights, axis=1), 1e-300)
            weights, biases, v = weights / length[:, None], biases / length, v * length**phi.homogeneity
        self._widths = _SMOOTHING * np.linalg.norm(weights @ root, axis=1)
        rows = np.zeros((k, whole))
        rows[:, varying] = weights
        self._store(
            weights=rows,
            biases=biases,
            output=v,
            intercept=unit * best.intercept,
            n_iter=best.descent.n_iter,
            diagnostics={
                "moment": moment,
                "rows": decoded,
                "score": checked,
                "descent": best.descent,
                "unexplained": best.unexplained,
                "noise": best.unexplained * (1.0 - predictable),
            },
        )
        faults = []
        if not checked.passed:
            advice = "score_model=None estimates it" if self.score_model is not None else "it was estimated"
            faults.append(f"{checked.status} ({advice})")
        if predictable > 0.0:
            faults.append(
                f"{predictable:.0%} of that can still be predicted from x, after {n_fits} "
                f"descent{'s' * (n_fits > 1)}: pass "
                f"another n_hidden or activation, {'' if self.fit_biases else 'fit_biases=True, '}"
                "or more samples"
            )
        faults += problem.faults(best) or problem.doubts(best)
        status = f"{best.unexplained:.1e} of the labels' variance is left, by a descent from {best.origin}"
        status += f"; {constant}: their weights are 0" if constant else ""
        self._conclude(not faults, "; ".join([status, *faults, decoded.status]))
        return self

    @finite_result("X")
    def predict(self, X: npt.ArrayLike) -> Array:
        """Return the fitted network's values at the rows of X, (n,).

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array
        """
        inputs, dtype = self._inputs(X)
        network = OneHiddenLayer(self.weights_, self._activation(), self.output_, self.biases_)
        return np.asarray(network(inputs) + self.intercept_, dtype=dtype)


def _varying(X: Array, weight: Array | None) -> tuple[npt.NDArray[np.intp], str]:
    """Return the columns that vary, and the names of the others; all if none does, or they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(X, axis=0, weights=weight)
        variance = np.average((X - mean) ** 2, axis=0, weights=weight)
    if np.isfinite(variance).all():
        columns = free_columns(mean, np.diag(variance))
        if len(columns.varying):
            return columns.varying, columns.constant
    return np.arange(X.shape[1]), ""


def _given_score(model: Any, d: int, constant: str) -> ScoreModel:
    """Return a score model of the columns that vary."""
    if callable(model) and not isinstance(model, ScoreModel):
        raise ValueError(
            "score_model must be a ScoreModel, got a function: pass UserDensity(d, [function, ...])"
        )
    score: ScoreModel = check_instance("score_model", model, ScoreModel)
    if score.d != d:
        of = f"; {constant}: leave them out" if constant else ""
        raise ValueError(f"score_model must have the dimension of X: {d}, got {score.d}{of}")
    return score


def _repeated(X: Array, weight: Array | None) -> Array:
    """Return so many copies of each row as its weight says, rounded without drift."""
    if weight is None:
        return X
    ranks = np.cumsum(weight) * len(X) / weight.sum()
    return np.repeat(X, np.diff(np.floor(ranks + 0.5), prepend=0.0).astype(int), axis=0)


def _polynomials(n: int, d: int) -> Polynomials:
    """Return those of the highest degree below four that half the sample can fit well."""
    fitting = [p for p in (1, 2, 3) if _SAMPLES_A_COEFFICIENT * math.comb(d + p, p) <= n // 2]
    return Polynomials(max(fitting, default=0))


def _decode(
    moment: MomentEstimate, k: int, *, given: bool, decoder: str, rng: np.random.Generator
) -> FourthOrderRows:
    """Decompose T_4, of coordinates of covariance I, on the span of its unfolding."""
    d, T4 = len(moment.value), moment.value
    diagonal = (range(d),) * 4
    noise = float(np.sqrt(np.mean(moment.standard_error[diagonal] ** 2)))
    V = np.linalg.svd(T4.reshape(d, -1), full_matrices=False)[0][:, :k]
    inner = np.asarray(TensorMoment(T4).contract(V))
    try:
        if decoder == "landscape":
            found = landscape_rows(TensorMoment(inner), k, whiten=True, rng=rng)
            rows, status = found.rows, found.status
        else:
            split = decompose_symmetric(inner, rng=rng)
            rows, status = split.factors, split.status
    except (ValueError, np.linalg.LinAlgError):
        return FourthOrderRows(random_rows(k, d, rng=rng), np.zeros(k), noise, "T_4 shows no k units")
    powers = np.einsum("ka,kb,kc,ke->kabce", rows, rows, rows, rows).reshape(k, -1)
    kappa = np.linalg.lstsq(powers.T, inner.reshape(-1), rcond=None)[0]
    # Terms that cancel are large where the tensor is not.
    seen = np.minimum(np.abs(kappa), np.abs(powers @ inner.reshape(-1)))
    blind = np.flatnonzero(seen < _SIGNIFICANT * noise)
    if len(blind):
        status = (
            f"T_4 does not show {len(blind)} of {_units(k)}: kappa is noise there. It vanishes "
            "for odd activations, and for the squared ReLU, on symmetric inputs; else pass "
            f"{'another score_model or None, if it may be of another law, or ' if given else ''}more samples"
        )
    return FourthOrderRows(rows @ V.T, kappa, noise, f"T_4: {status}")


@dataclass(frozen=True)
class _Problem:
    """Labels of variance 1 on inputs of covariance I, where `shift` is the user's origin, negated."""

    Z: npt.NDArray[Any]
    y: Array
    weight: Array | None
    phi: Activation
    shift: npt.NDArray[Any]
    model: GeneralInputNetwork

    def fitted(self, rows: Array, origin: str) -> _Fit:
        """Choose signs, lengths and places of the units, descend, and test what is left."""
        return self.descended(self._chosen(rows), origin)

    def descended(self, start: Array, origin: str) -> _Fit:
        """Descend from (w, b, v) of each unit."""
        model = self.model
        Z = self.Z if model.fit_biases else self.Z + self.shift
        points = np.column_stack([Z, np.ones(len(Z))]) if model.fit_biases else Z
        if not model.fit_biases:
            start = np.delete(start, -2, axis=1)
        loss = SquareLossOfBoth(
            points, self.y, self.phi, sample_weight=self.weight, fit_intercept=model.fit_intercept
        )
        found = levenberg_marquardt(loss, start, max_iter=model.max_iter)
        intercept = loss.intercept(found.weights)
        left = self.y - self.phi(points @ found.weights[:, :-1].T) @ found.weights[:, -1] - intercept
        unexplained = float(np.average(left**2, weights=self.weight))
        if not model.fit_biases:
            found = replace(found, weights=np.insert(found.weights, -1, 0.0, axis=1))
        return _Fit(found, intercept, left, unexplained, origin)

    def _chosen(self, rows: Array) -> Array:
        """Return (w, b, v) of each unit: coordinate descent over a few atoms a unit, by normal equations."""
        stride = slice(None, None, max(1, len(self.y) // _CHOOSING))
        images, y = self.Z[stride] @ rows.T, self.y[stride]
        w = np.full(len(y), 1.0) if self.weight is None else self.weight[stride]
        w = w / w.sum()
        sides = (1.0, -1.0) if self.phi.parity == 0 else (1.0,)
        lengths = (1.0,) if self.phi.homogeneity is not None else _LENGTHS
        k, atoms, settings = len(rows), [], []
        for row, image in zip(rows, images.T, strict=True):
            places = [-float(row @ self.shift)]
            if self.model.fit_biases:
                places += list(np.quantile(image, _PLACES))
            for side in sides:
                for length in lengths:
                    for place in places:
                        settings.append((side * length, -side * length * place))
                        atoms.append(self.phi(settings[-1][0] * image + settings[-1][1]))
        table = np.column_stack([*atoms, y])
        if self.model.fit_intercept:
            table = table - w @ table
        gram = (table * w[:, None]).T @ table
        count = len(atoms) // k
        chosen: list[int] = []
        for sweep in range(4):
            before = list(chosen)
            for i in range(k):
                own = range(i * count, (i + 1) * count)
                others = [c for c in chosen if c // count != i]
                trials = np.array([[*others, c] for c in own])
                chosen = sorted([*others, own[int(np.argmin(_remaining(gram, trials)))]])
            if sweep and chosen == before:
                break
        v = _solved(gram, np.array([chosen]))[0]
        scale, bias = np.array([settings[c] for c in chosen]).T
        return np.column_stack([scale[:, None] * rows, bias, v])

    def predictable(self, fit: _Fit) -> float:
        """Return the share of what is left that trees predict from x and the units; 0 if by chance."""
        if fit.unexplained < _EXACT:
            return 0.0
        images = self.Z @ fit.descent.weights[:, : self.Z.shape[1]].T
        return predictable_share(
            np.hstack([self.Z, images]), fit.left, unexplained=fit.unexplained, sample_weight=self.weight
        )

    def doubts(self, fit: _Fit) -> list[str]:
        """Say whether as few labels, or other parameters, could have led here by chance."""
        model, n = self.model, len(self.y)
        inner, v = fit.descent.weights[:, :-1], fit.descent.weights[:, -1]
        points = np.column_stack([self.Z, np.ones(n)])
        if not model.fit_biases:
            inner, points = inner[:, :-1], self.Z + self.shift
        k, m = len(v), different_rows(self.Z)
        p = inner.size + k * (self.phi.homogeneity is None) + model.fit_intercept
        left = fit.unexplained
        if not is_no_chance(left, n, p, different=m, units=k, inputs=inner.shape[1]):
            return [f"{p} parameters leave as little of any labels of {m} different samples: pass more"]
        if not determines(
            points,
            inner,
            v,
            self.phi,
            unexplained=left,
            sample_weight=self.weight,
            fit_intercept=model.fit_intercept,
        ):
            return [f"{m} different samples leave some of {p} parameters undetermined: pass more"]
        return []

    def faults(self, fit: _Fit) -> list[str]:
        """Say whether fewer units, and a linear function or another descent, explain as much."""
        k, (w, b) = len(fit.descent.weights), np.split(fit.descent.weights[:, :-1].T, [self.Z.shape[1]])
        images = (self.Z if self.model.fit_biases else self.Z + self.shift) @ w + b
        features = np.column_stack([self.phi(images), self.Z, self.y])
        weight = np.full(len(features), 1.0 / len(features))
        weight = weight if self.weight is None else self.weight / self.weight.sum()
        features = features - weight @ features
        gram = (features * weight[:, None]).T @ features
        columns = np.arange(gram.shape[1] - 1)
        whole = float(_remaining(gram, columns[None])[0])
        chance = max(3.0 * (self.Z.shape[1] + 2) * whole / len(self.y), 100.0 * _EXACT * gram[-1, -1])
        without = np.array([_remaining(gram, np.delete(columns, i)[None])[0] for i in range(k)])
        idle = np.flatnonzero(without - whole < chance)
        if len(idle):
            do = "does" if len(idle) == 1 else "do"
            biases = "" if self.model.fit_biases else "fit_biases=True, "
            advice = f"pass fewer units, {biases}or more samples"
            return [f"{len(idle)} of {_units(k)} {do} no more than a line does: {advice}"]
        least = int(np.argmin(without))
        if k > 1 and without[least] < 2.0 * whole:  # two units may be one, split
            fewer = self.descended(np.delete(fit.descent.weights, least, axis=0), "fewer units")
            if fewer.unexplained - fit.unexplained < 3.0 * (self.Z.shape[1] + 2) * whole / len(self.y):
                explain = "explains" if k == 2 else "explain"
                return [f"{_units(k - 1)} {explain} as much: pass fewer units, or more samples"]
        return []


def _units(k: int) -> str:
    return f"{k} unit{'s' * (k != 1)}"


def _solved(gram: Array, chosen: Array) -> Array:
    """Return the least-squares coefficients for each row of chosen columns; the last column is y."""
    matrices = gram[chosen[:, :, None], chosen[:, None, :]]
    scale = np.einsum("tii->t", matrices)[:, None, None] + 1e-300
    eye = np.eye(chosen.shape[1])
    return np.asarray(np.linalg.solve(matrices + 1e-12 * scale * eye, gram[chosen, -1][:, :, None])[:, :, 0])


def _remaining(gram: Array, chosen: Array) -> Array:
    """Return what least squares on each row of chosen columns leaves of y's square."""
    if not chosen.shape[1]:
        return np.full(len(chosen), gram[-1, -1])
    return np.asarray(gram[-1, -1] - np.sum(_solved(gram, chosen) * gram[chosen, -1], axis=1))
