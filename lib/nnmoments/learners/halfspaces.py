"""A union of halfspaces from labelled samples, and a label oracle if there is one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import type_of_target

from nnmoments.borders import Refinement, fit_border, fit_crossings
from nnmoments.densities import Gaussian
from nnmoments.landscapes import ellipsoid_rows
from nnmoments.learners.base import MomentLearner
from nnmoments.learners.beside import borders_beside, each_beside, factor_rows, is_spread_alike
from nnmoments.learners.labelling import labels_for, standardized
from nnmoments.learners.misfit import predictable_share
from nnmoments.moments import TensorMoment, active_moments
from nnmoments.validation import Array, check_integer, check_number, finite_result

__all__ = ["HalfspaceUnionClassifier"]

# Refined to much less than this; two halfspaces at a smaller angle are one. On a sample with many active
# labels a border that others cross may be off by some degrees.
_SAME, _SAME_SEEN = 1e-2, 0.2
# Share of a halfspace's samples that must be active: all are, but for those beside a border that is off.
_PURE = 0.9
# A symmetric matrix of noise has norm 2 sqrt(d) times the entries' deviation, which diagonals exceed.
_NOISE = 3.0
# Rows that may be off by more are not trusted: one in a hundred is off by two thirds of what it may be, which
# is half of _SAME_SEEN here, and two that are may pass for one.
_FAR = 0.15
# Share of the active samples that may be in no halfspace found, as those beside borders that are off.
_LEFT = 0.05
# Share of the samples in no halfspace that may be active if they are spread there like all: labels are wrong.
_WRONG = 0.02


class HalfspaceUnionClassifier(ClassifierMixin, MomentLearner):  # type: ignore[misc]
    r"""Learn :math:`y = 1\{\exists i: w_i \cdot x > t_i\}` with unit :math:`w_i` from Gaussian inputs.

    Each round decodes the landscape of the samples that are active and lie in none of the halfspaces
    found so far, and refines what it gives: with the oracle if `fit` is given one, else by a fit of the
    border on the sample. A halfspace that noise hides in the landscape of all of them stands out in
    that of the few which are left. Below :math:`t = \sqrt3`, where :math:`u_4 < 0` and the landscape has
    no minima at the weights, the rows are factors of :math:`T_2` and :math:`T_3` (`factor_rows`). On a sample
    each border is at last fitted where no other halfspace is, since others turn it.

    Parameters
    ----------
    n_hidden : int, optional
        Halfspaces, at most d; by default as many as it takes to hold all active samples.
    threshold : float, optional
        t, if it is known and the same for all.
    inputs : Gaussian, optional
        Law of the inputs, if it is known. By default N(0, I) if the sample agrees with that, else the normal
        law of its mean and covariance.
    max_iter : int
        Rounds.
    tol : float
        Angle in radians, below 1, that an oracle refines to.
    random_state : int, RandomState, Generator or None

    Attributes
    ----------
    classes_ : (2,) array
        The second is that of the union.
    weights_ : (m, d) array
        Unit rows; m < n_hidden if some were not found.
    biases_ : (m,) array
        :math:`-t_i`.
    n_iter_ : int
        Rounds, each of one landscape.
    converged_ : bool
        Whether 95 % of the active samples lie in the halfspaces found, of which there are n_hidden if given,
        no row may be off by more than 0.15 radian, and trees do not predict from the inputs which samples
        the union gets wrong.
    status_ : str
    n_features_in_ : int
    diagnostics_ : dict
        "coarse" rows of the landscapes, their "refinements" (Refinement), "n_labels" that the oracle was
        asked for, the share of the active samples that is "left" in no halfspace, and "row_error" (m,), the
        angle in radians that a row is hardly off by: half the width of the last band beside its border where
        no other halfspace is, or a right angle where too few samples are there.

    References
    ----------
    GP Theorem 12.

    Examples
    --------
    >>> from nnmoments.networks import UnionOfHalfspaces
    >>> f = UnionOfHalfspaces([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]], 2.0)
    >>> X = np.random.default_rng(0).standard_normal((50_000, 3))
    >>> model = HalfspaceUnionClassifier(2, random_state=0).fit(X, f(X))
    >>> order = np.argsort(model.weights_[:, 0])
    >>> model.weights_[order].round(2) + 0.0, model.biases_.round(2)
    (array([[0. , 0.6, 0.8],
           [1. , 0. , 0. ]]), array([-2., -2.]))
    >>> refined = HalfspaceUnionClassifier(2, random_state=0).fit(X, oracle=f)
    >>> refined.weights_[np.argsort(refined.weights_[:, 0])].round(5) + 0.0
    array([[0. , 0.6, 0.8],
           [1. , 0. , 0. ]])
    """

    def __init__(
        self,
        n_hidden: int | None = None,
        *,
        threshold: float | None = None,
        inputs: Gaussian | None = None,
        max_iter: int = 5,
        tol: float = 1e-6,
        random_state: Any = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.threshold = threshold
        self.inputs = inputs
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Inputs are Gaussian, with two classes."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True
        return tags

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike | None = None,
        *,
        oracle: Callable[[Array], npt.ArrayLike] | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> "HalfspaceUnionClassifier":
        """Learn from Gaussian inputs.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) array_like, optional
            Two classes, the greater one that of the union; by default those that the oracle gives.
        oracle : callable, optional
            Classes (n,) of points (n, d).
        sample_weight : (n,) array_like, optional

        Returns
        -------
        HalfspaceUnionClassifier
            Itself.

        Raises
        ------
        ValueError
            Naming the argument that does not fit.
        """
        X, y = self._validated(X, labels_for(X, y, oracle))
        given = self._weights_of(sample_weight, len(X))
        d = X.shape[1]
        k = d if self.n_hidden is None else check_integer("n_hidden", self.n_hidden, 1, d)
        threshold = None if self.threshold is None else check_number("threshold", self.threshold, above=0.0)
        limit, tol = (
            check_integer("max_iter", self.max_iter, 1),
            check_number("tol", self.tol, above=0.0, below=1.0),
        )
        rng = self._rng()
        w = np.ones(len(X)) if given is None else given
        X, y, w = X[w > 0.0], y[w > 0.0], w[w > 0.0] / w[w > 0.0].mean()
        self.classes_ = np.unique(y)
        if len(self.classes_) == 1:
            raise ValueError(f"y must have two classes, got only one class: {self.classes_[0]!r}")
        if len(self.classes_) > 2:
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(y)}."
            )
        inside = self.classes_[1]
        active = y == inside
        X, frame, advice = standardized(X, w, self.inputs)
        ask = oracle if oracle is None else (lambda Z: oracle(frame.back(Z)))

        def refined(row: Array) -> Refinement:
            if ask is None:
                return fit_border(X, active, row, sample_weight=w)
            # Two rounds do; a row that needs more is near no halfspace.
            return fit_crossings(ask, row, tol=tol, active=lambda y: y == inside, max_iter=3, rng=rng)

        weights, coarse, t = np.zeros((0, d)), np.zeros((0, d)), np.zeros(0)
        refinements: list[Refinement] = []
        n_labels = n_iter = 0
        left, share = X[active], w[active]
        while len(weights) < k and n_iter < limit and len(left):
            n_iter, before = n_iter + 1, len(weights)
            second = _second(left, share, len(X))
            rank = k if self.n_hidden is not None else min(k, _rank(second, share.sum(), len(X)))
            wanted = max(rank - before, 1)

            def found(unit: Refinement, row: Array) -> bool:
                """Take a halfspace that is new and whose samples are active."""
                nonlocal weights, coarse, t
                place = unit.threshold if threshold is None else threshold
                within = X @ unit.direction > place
                near = np.abs(weights @ unit.direction) > np.cos(_SAME if oracle else _SAME_SEEN)
                if not unit.converged or near.any() or len(weights) == k:
                    return False
                if oracle is None and not w[within & active].sum() > _PURE * w[within].sum():
                    return False
                weights, coarse = np.vstack([weights, unit.direction]), np.vstack([coarse, row])
                t = np.append(t, place)
                refinements.append(unit)
                return True

            for row in _landscape(left, share, second, wanted, rng):
                try:
                    unit = refined(row)
                except ValueError:  # not near a halfspace
                    continue
                n_labels += unit.n_labels
                found(unit, row)
            if len(weights) == before:  # u_4 may be negative
                for row in borders_beside(
                    X, active, w, factor_rows(left, share, wanted, rng=rng), refinements
                ):
                    try:
                        unit = row if ask is None else refined(row.direction)
                    except ValueError:
                        continue
                    n_labels += unit.n_labels if ask is not None else 0
                    found(unit, row.direction)
            if len(weights) == before:
                break
            outside = np.max(left @ weights.T - t, axis=1, initial=-np.inf) <= 0.0
            left, share = left[outside], share[outside]
        row_error = np.array([unit.angle for unit in refinements])
        if ask is None and refinements:
            alone = each_beside(X, active, w, refinements)
            row_error = np.array([np.pi / 2.0 if unit is None else unit.angle for unit in alone])
            refinements = [unit or old for unit, old in zip(alone, refinements, strict=True)]
            weights = np.array([unit.direction for unit in refinements])
            t = t if threshold is not None else np.array([unit.threshold for unit in refinements])
        covered = np.max(X @ weights.T - t, axis=1, initial=-np.inf) > 0.0
        remaining = float(w[active & ~covered].sum() / w[active].sum())
        rows, biases = frame.rows(weights, -t)
        self._store(weights=rows, biases=biases)
        self.n_iter_ = n_iter
        self._prior = 1.0 if 2.0 * w[active].sum() > w.sum() else -1.0
        self.diagnostics_: dict[str, Any] = {
            "coarse": coarse,
            "refinements": tuple(refinements),
            "n_labels": n_labels if oracle is not None else 0,
            "left": remaining,
            "row_error": row_error,
        }
        source = f"{n_labels} labels of the oracle" if oracle is not None else "the borders on the sample"
        status = f"{len(weights)} of {k} halfspaces after {n_iter} landscapes and {source}"
        status += f"; {remaining:.1%} of the active samples lie in none"
        outside = ~covered
        wrong = float(np.average(active[outside], weights=w[outside])) if w[outside].any() else 0.0
        chance = 0.0 < wrong <= _WRONG and is_spread_alike(X[outside], active[outside], w[outside])
        converged = (remaining <= _LEFT or chance) and (len(weights) == k or self.n_hidden is None)
        if not converged:
            status += ": pass more samples or raise the threshold"
        far = int(np.sum(row_error > _FAR))
        if far:
            status += (
                f"; {far} of {len(row_error)} rows may be off by {np.rad2deg(row_error.max()):.2g} degrees, "
                "as far as samples beside their borders show where no other halfspace is: pass more samples"
            )
        predictable = (
            predictable_share(X, active.astype(np.float64) - covered, sample_weight=w) if converged else 0.0
        )
        if predictable > 0.0:
            status += (
                f"; trees predict {predictable:.0%} of where the union is wrong from the inputs: a halfspace "
                "found is a mixture of several: pass more samples or raise the threshold"
            )
        if advice:
            status += f"; {advice}"
        self._conclude(converged and not (far or frame.doubtful or predictable), status)
        return self

    @finite_result("X")
    def decision_function(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        r"""Return :math:`\max_i (w_i \cdot x - t_i)`, how far the rows of X are inside some halfspace, (n,).

        Where no halfspace was found, plus or minus one for the more frequent class.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array
        """
        inputs, dtype = self._inputs(X)
        if not len(self.weights_):
            return np.full(len(inputs), self._prior, dtype=dtype)
        heights = inputs @ self.weights_.T.astype(np.float64) + self.biases_
        return np.asarray(np.max(heights, axis=1), dtype=dtype)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the classes of the rows of X, (n,).

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array
        """
        inside = self.decision_function(X) > 0.0
        return np.asarray(self.classes_[inside.astype(int)])


def _second(X: Array, weight: Array, n: int) -> Array:
    """T_2 of the indicator of the rows of X, some of n samples."""
    scaled = X * np.sqrt(weight)[:, None]
    return np.asarray(scaled.T @ scaled / n - weight.sum() / n * np.eye(X.shape[1]))


def _rank(second: Array, active: float, n: int) -> int:
    """How many directions of T_2 are more than noise, whose entries have variance active/n^2."""
    return int(np.sum(np.linalg.eigvalsh(second) > _NOISE * np.sqrt(len(second) * active) / n))


def _landscape(X: Array, weight: Array, second: Array, k: int, rng: np.random.Generator) -> Array:
    """Decode k rows from the active samples, on the k leading eigenvectors of T_2."""
    basis = np.linalg.eigh(second)[1][:, -k:]
    moments = active_moments(X @ basis, weight, form="tensor")
    assert isinstance(moments.fourth, TensorMoment)
    rows = ellipsoid_rows(moments.second, moments.fourth.tensor, k, rng=rng)
    if not len(rows):
        return np.zeros((0, X.shape[1]))
    # T_1 is a sum of the weights with positive factors.
    signs = np.sign(np.linalg.lstsq(rows.T, moments.first, rcond=None)[0])
    return np.asarray((signs[:, None] * rows) @ basis.T)
