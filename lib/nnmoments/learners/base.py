"""What all learners share: their checks, their dialect, and that none of them fails in silence."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from nnmoments.activations import Activation, get_activation
from nnmoments.densities import ScoreModel
from nnmoments.moments import MomentEstimate, RidgeSurrogate, cross_moment
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_readable, check_rng, check_sample_weight

__all__ = ["MomentLearner", "RidgeLearner", "free_columns"]


@dataclass(frozen=True)
class _Columns:
    """Which columns vary, the spectrum of their correlation, and the names of those at fault."""

    varying: npt.NDArray[np.intp]
    scales: Array
    values: Array
    vectors: Array
    kept: npt.NDArray[np.bool_]
    constant: str
    tied: str


def free_columns(mean: Array, covariance: Array) -> _Columns:
    r"""Find the columns that are constant, or tied to others by :math:`\operatorname{Var}(a \cdot x) = 0`.

    Parameters
    ----------
    mean : (d,) array
    covariance : (d, d) array

    Returns
    -------
    _Columns

    Examples
    --------
    >>> covariance = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    >>> free_columns(np.zeros(3), covariance).tied
    'columns 0, 1 of X are tied to each other'
    """
    d = len(mean)
    scales = np.sqrt(np.diag(covariance))
    varying = np.flatnonzero(scales > 1e-12 * np.abs(mean))
    correlation = covariance[np.ix_(varying, varying)] / scales[varying] / scales[varying, None]
    values, vectors = np.linalg.eigh(correlation)
    kept = values > 1e-10 * values[-1:]
    fixed = np.setdiff1d(np.arange(d), varying)
    constant = f"columns {_named(fixed)} of X are constant" if len(fixed) else ""
    tied = np.flatnonzero(np.any(np.abs(vectors[:, ~kept]) > 1e-6, axis=1))
    told = f"columns {_named(varying[tied])} of X are tied to each other" if len(tied) else ""
    return _Columns(varying, scales, values, vectors, kept, constant, told)


def _named(columns: npt.NDArray[Any]) -> str:
    shown = ", ".join(map(str, columns[:8]))
    return shown + (", ..." if len(columns) > 8 else "")


class MomentLearner(Comparable, BaseEstimator):  # type: ignore[misc]
    """Base of the learners: a network from a sample, by a moment and its decoder.

    Every learner has these parameters where they apply: `n_hidden`, `activation` (a name or an
    `Activation`), `score_model` (a score model of the inputs; a parameter `score` would hide
    scikit-learn's method), `fit_intercept`, `max_iter`, `tol` and `random_state`; and these attributes
    once it is fitted.

    Attributes
    ----------
    weights_ : (k, d) array
        Rows are hidden units.
    biases_ : (k,) array
    output_ : (k,) or (n_outputs, k) array
        Weights of the units in the output.
    intercept_ : float or (n_outputs,) array
    n_iter_ : int
    converged_ : bool
        Whether the result is to be trusted. If not, `fit` says so by a ConvergenceWarning.
    status_ : str
        What was found, and what to do about it if it is not good enough.
    diagnostics_ : dict
        Results of the steps by name, each with what one needs to judge it.

    Examples
    --------
    >>> from nnmoments.learners import TensorNetwork
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> y = np.maximum(2.0 * X[:, 0], 0.0) + 1.0
    >>> model = TensorNetwork(1, "relu", random_state=0).fit(X, y)
    >>> isinstance(model, MomentLearner), model.converged_, model.weights_.round(6) + 0.0
    (True, True, array([[2., 0.]]))
    """

    def _validated(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, min_samples: int = 2, **options: Any
    ) -> tuple[Array, npt.NDArray[Any]]:
        """Return a training sample in double precision, and remember the precision it came in."""
        n, classes = len(_matrix(X, min_samples)), is_classifier(self)
        if y is not None:
            shape = check_readable("y", y, text=classes).shape
            if shape[:1] != (n,):
                raise ValueError(f"y must have as many rows as X: {n}, got shape {shape}")
        checked, found = validate_data(
            self, X, y, dtype=[np.float64, np.float32], y_numeric=not classes, **options
        )
        inputs, labels = np.asarray(checked), np.asarray(found)
        if classes:
            with np.errstate(invalid="ignore"):  # which labels are integers is asked of huge ones too
                kind = type_of_target(labels)
            if kind.startswith(("continuous", "unknown")):
                raise ValueError(f"y must hold classes. Unknown label type: {kind}")
        else:
            labels = check_array("y", labels)
        self._dtype = inputs.dtype
        return inputs.astype(np.float64, copy=False), labels

    def _inputs(self, X: npt.ArrayLike) -> tuple[Array, np.dtype[Any]]:
        """Return inputs to predict at, in double precision, and the precision to answer in."""
        check_is_fitted(self)
        _matrix(X)
        inputs = np.asarray(validate_data(self, X, dtype=[np.float64, np.float32], reset=False))
        return inputs.astype(np.float64, copy=False), inputs.dtype

    def _weights_of(self, sample_weight: npt.ArrayLike | None, n: int) -> Array | None:
        return check_sample_weight(sample_weight, n)

    def _activation(self) -> Activation:
        return get_activation(self.activation)

    def _rng(self) -> np.random.Generator:
        return check_rng("random_state", self.random_state)

    def _store(self, **fitted: Any) -> None:
        """Set fitted attributes, arrays in the precision of the training sample."""
        for name, value in fitted.items():
            single = isinstance(value, np.ndarray) and value.dtype == np.float64
            setattr(self, f"{name}_", value.astype(self._dtype) if single else value)

    def _conclude(self, converged: bool, status: str, tied: str = "") -> None:
        """Set the verdict on the fit, and warn if it is not to be trusted.

        Weights on tied columns are not determined by any labels, however well these are explained.
        """
        if tied:
            converged, status = (
                False,
                f"{tied}, so that their weights are not determined: drop some; {status}",
            )
        self.converged_, self.status_ = bool(converged), status
        if not converged:
            warnings.warn(f"{type(self).__name__}: {status}", ConvergenceWarning, stacklevel=3)


class RidgeLearner(MomentLearner):
    r"""Base of the learners of :math:`E[y|x] = c + \sum_i v_i\,\phi(\langle w_i, x\rangle + b_i)`.

    Examples
    --------
    >>> from nnmoments import TensorNetwork
    >>> isinstance(TensorNetwork(), RidgeLearner)
    True
    """

    # Of the Gaussians that smooth kinks of the surrogate, (k,); None for the default.
    _widths: Array | None = None

    def robust_moment(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        score: ScoreModel,
        order: int,
        *,
        sample_weight: npt.ArrayLike | None = None,
        **options: Any,
    ) -> MomentEstimate:
        r"""Estimate T_m with the network that this learner, unfitted, finds in the other folds for g.

        The chain is polynomial, decoding, fit, network: whatever was decoded and fitted there, T_m is
        unbiased; where the network is right its error is at the limit. Decode it again.

        Parameters
        ----------
        X, y : (n, d), (n,) array_like
        score : ScoreModel
        order : int
            m.
        sample_weight : (n,) array_like, optional
        **options
            Of `nnmoments.moments.cross_moment`: bases, folds, known_density.

        Returns
        -------
        MomentEstimate

        Raises
        ------
        ValueError
            Naming the argument that does not fit.

        Examples
        --------
        >>> from nnmoments import StandardNormal, TensorNetwork
        >>> X = np.random.default_rng(0).standard_normal((4000, 3))
        >>> y = np.maximum(X[:, 0], 0.0) ** 2
        >>> net = TensorNetwork(random_state=0)
        >>> found = net.robust_moment(X, y, StandardNormal(3), 2, known_density=True)
        >>> found.value.round(6) + 0.0
        array([[1., 0., 0.],
               [0., 0., 0.],
               [0., 0., 0.]])
        """
        inner = clone(self)
        if "surrogate" in inner.get_params(deep=False):
            inner.set_params(surrogate="auto")  # or this would be a chain without an end
        return cross_moment(X, y, score, order, surrogate=inner, sample_weight=sample_weight, **options)

    def as_surrogate(self) -> RidgeSurrogate:
        """Return the fitted network as a surrogate for doubly robust moments.

        Returns
        -------
        RidgeSurrogate
            Whose kinks are smoothed by 0.3 of a row's length, where that is needed; for
            `GeneralInputNetwork`, whose moment is of order four, by 0.6 of their argument's deviation.

        Raises
        ------
        NotFittedError
            If there is no network yet.

        Examples
        --------
        >>> from nnmoments import StandardNormal, TensorNetwork, cross_moment
        >>> X = np.random.default_rng(0).standard_normal((4000, 3))
        >>> y = np.maximum(X[:, 0], 0.0) ** 2
        >>> net = TensorNetwork(random_state=0)
        >>> moment = cross_moment(X, y, StandardNormal(3), 2, surrogate=net, known_density=True)
        >>> moment.left < 1e-12
        True
        """
        check_is_fitted(self)
        weights = np.asarray(self.weights_, dtype=np.float64)
        output = np.atleast_2d(np.asarray(self.output_, dtype=np.float64))
        intercept = np.atleast_1d(np.asarray(self.intercept_, dtype=np.float64))
        return RidgeSurrogate(weights, self.biases_, output, self._activation(), intercept, self._widths)


def _matrix(X: Any, min_samples: int = 1) -> npt.NDArray[Any]:
    """Refuse by name what scikit-learn would convert silently, or refuse without the name."""
    if issparse(X):
        raise ValueError("X must be a dense matrix, got a sparse one: use X.toarray()")
    raw = check_readable("X", X)
    if raw.ndim != 2:
        raise ValueError(f"X must have 2 axes, got shape {raw.shape}. Reshape your data: a row per sample")
    if len(raw) < min_samples:
        raise ValueError(f"X must have at least {min_samples} samples, got {len(raw)} sample(s)")
    if not raw.shape[1]:
        raise ValueError(f"X has 0 feature(s) (shape={raw.shape}) while a minimum of 1 is required.")
    return raw
