r"""Cross-fitting: what is taken out of one part of a sample is fitted to the others.

With a function g fitted to other data, :math:`T_m = E[\nabla^m g] + E[(y - g) S_m]` holds given g, so its
estimate is unbiased exactly.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.moments.samples import MAX_MOMENT_ORDER, TOO_LARGE, as_samples, check_weight_range
from nnmoments.moments.surrogates import Polynomials
from nnmoments.results import Comparable
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_instance,
    check_integer,
    check_sample_weight,
)

__all__ = ["ControlVariate", "control_family", "control_residuals", "cross_fit", "fold_rows"]

Part = TypeVar("Part")
Model = TypeVar("Model")
Found = TypeVar("Found")

Rows = npt.NDArray[np.intp]

# Seed of the one shuffle: nobody's sample should come from it.
_SHUFFLE = 14_12_26_93


def fold_rows(n: int, folds: int) -> list[Rows]:
    """Deal n rows out to folds, in a shuffled order that is the same for every sample of n rows.

    So neither folds nor blocks of consecutive rows of a fold follow the order of a sorted file.

    Parameters
    ----------
    n : int
        Rows.
    folds : int
        At least 2, at most n.

    Returns
    -------
    list of int arrays

    Raises
    ------
    ValueError
        If there are fewer rows than folds.

    Examples
    --------
    >>> [sorted(rows.tolist()) for rows in fold_rows(5, 2)]
    [[2, 3, 4], [0, 1]]
    """
    n, folds = check_integer("n", n, 1), check_integer("folds", folds, 2)
    if n < folds:
        raise ValueError(f"X has too few samples, {n}, for {folds} folds")
    return np.array_split(np.random.default_rng(_SHUFFLE).permutation(n), folds)


def cross_fit(
    parts: Sequence[Part], fit: Callable[[list[Part]], Model], apply: Callable[[Model, Part], Found]
) -> list[Found]:
    """Return ``apply(fit(all other parts), part)`` for each part.

    Parameters
    ----------
    parts : sequence
        Rows of the sample (`fold_rows`), or what is known of each: its sums.
    fit : callable
        Maps the list of the other parts to a model.
    apply : callable
        Maps the model and the part that it has not seen to a result.

    Returns
    -------
    list

    Raises
    ------
    ValueError
        If `fit` or `apply` can't be called.

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 6.0])
    >>> cross_fit(y, lambda others: np.mean(others), lambda mean, own: own - mean)
    [np.float64(-3.0), np.float64(-1.5), np.float64(4.5)]
    """
    check_callable("fit", fit)
    check_callable("apply", apply)
    return [apply(fit([*parts[:i], *parts[i + 1 :]]), part) for i, part in enumerate(parts)]


@dataclass(frozen=True, eq=False)
class ControlVariate(Comparable):
    r"""The surrogate that needs no derivative: a polynomial of degree below m.

    :math:`E[p(x) S_m(x)] = 0` for every polynomial p of degree below m. So y may be replaced by
    :math:`y - \hat p(x)`, its residual after least squares on the other folds: the mean stays, exactly,
    and the variance falls.

    Attributes
    ----------
    degree : int, optional
        Degree of the polynomials, at most m - 1 (the default).
    basis : (d, k) array, optional
        Use polynomials of V^T x only, which is much cheaper. If x is N(0, I) and E[y|x] depends on
        V^T x alone, as for a network whose weights V spans, other polynomials remove nothing.
    folds : int
        At least 2.

    Notes
    -----
    There are :math:`\binom{d + p}{p}` polynomials of degree up to p; the fit costs their square a
    sample. With an estimated score the identity holds only as far as the estimate does: the
    correction then has mean :math:`-E[\hat p(x) \hat S_m(x)]`.

    Examples
    --------
    >>> ControlVariate(degree=1).describe(3)
    'polynomials of degree <= 1 in x (2-fold)'
    """

    degree: int | None = None
    basis: Array | None = None
    folds: int = 2

    def resolve(self, order: int) -> int:
        """Return the degree used for a moment of the given order.

        Parameters
        ----------
        order : int
            m.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If `degree` is not from 0 to m - 1.
        """
        return order - 1 if self.degree is None else check_integer("degree", self.degree, 0, order - 1)

    def describe(self, order: int) -> str:
        """Say what is removed.

        Parameters
        ----------
        order : int
            m.

        Returns
        -------
        str
        """
        where = "x" if self.basis is None else f"{np.shape(self.basis)[1]} projections of x"
        return f"polynomials of degree <= {self.resolve(order)} in {where} ({self.folds}-fold)"


def control_family(control: ControlVariate, order: int, shape: Sequence[int]) -> Polynomials:
    """Return the family of surrogates that a control variate stands for.

    Parameters
    ----------
    control : ControlVariate
    order : int
        m.
    shape : pair of int
        Of the inputs.

    Raises
    ------
    ValueError
        If a fold is too small for the number of polynomials, or an argument does not fit.

    Examples
    --------
    >>> control_family(ControlVariate(), 3, (100, 2))
    Polynomials(degree=2, basis=None)
    """
    check_instance("control", control, ControlVariate)
    (n, d), degree = shape, control.resolve(order)
    basis = None if control.basis is None else check_array("basis", control.basis, shape=(d, None))
    count = math.comb((d if basis is None else basis.shape[1]) + degree, degree)
    number = check_integer("folds", control.folds, 2)
    if n + -n // number < 2 * count:  # all but the largest fold
        raise ValueError(
            f"X has too few samples, {n}, to fit {count} polynomials of degree <= {degree} on "
            f"{number} folds; lower the degree or give a basis"
        )
    return Polynomials(degree, basis)


def control_residuals(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    control: ControlVariate,
    order: int,
    *,
    sample_weight: npt.ArrayLike | None = None,
) -> Array:
    """Return the labels less their cross-fitted polynomial of degree < order.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    control : ControlVariate
    order : int
        Order of the moment that the residuals are meant for.
    sample_weight : (n,) array_like, optional
        Of the fits; a sample without weight has a residual all the same.

    Returns
    -------
    (n,) or (n, n_y) array

    Raises
    ------
    ValueError
        If a fold is too small for the number of polynomials, or an argument does not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((1000, 2))
    >>> bool(np.abs(control_residuals(X, 3 + X[:, 0], ControlVariate(), 2)).max() < 1e-12)
    True
    """
    order = check_integer("order", order, 1, MAX_MOMENT_ORDER)
    X, y = as_samples(X, y, None)
    w = check_sample_weight(sample_weight, len(X))
    if w is not None:
        check_weight_range(w)
    family = control_family(control, order, X.shape)
    labels = y.reshape(len(y), -1)
    residuals = np.array(labels, dtype=np.float64)

    def fit(others: list[Rows]) -> Callable[[Array], Array]:
        rows = np.concatenate(others)[: family.enough(X.shape[1])]
        inputs, outputs = check_array("X", X[rows]), check_array("y", labels[rows])
        return family.fit(inputs, outputs, None if w is None else w[rows]).predict

    def leave(predict: Callable[[Array], Array], own: Rows) -> None:
        for chunk in row_chunks(len(own), X.shape[1]):
            residuals[own[chunk]] -= predict(check_array("X", X[own[chunk]]))

    try:
        with np.errstate(over="ignore", invalid="ignore"):
            cross_fit(fold_rows(len(X), control.folds), fit, leave)
    except np.linalg.LinAlgError as error:
        raise ValueError(TOO_LARGE) from error
    if not np.isfinite(residuals).all():
        raise ValueError(TOO_LARGE)
    return residuals.reshape(y.shape)
