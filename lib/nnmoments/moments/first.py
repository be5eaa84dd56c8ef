"""The first moment, with a cross-fitted linear surrogate of the labels."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nnmoments.densities import ScoreModel
from nnmoments.moments.crossfit import cross_fit, fold_slices, rows_of
from nnmoments.moments.estimate import MomentEstimate, cross_moment
from nnmoments.moments.samples import TOO_LARGE, check_varying
from nnmoments.validation import Array, check_choice, check_instance, check_sample_weight, check_samples

__all__ = ["first_moment"]

_REMOVED = {"mean": "the mean (2-fold)", "linear": "a linear function of x (2-fold)"}


def first_moment(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    score: ScoreModel,
    *,
    control: str = "linear",
    sample_weight: npt.ArrayLike | None = None,
) -> MomentEstimate:
    r"""Estimate :math:`T_1 = E[y \otimes S_1(x)]` with what is known of smooth parts of y taken out.

    For any c and C, :math:`E[(c + C x) \otimes S_1(x)] = C` whatever the density (Stein's lemma for a
    linear function). So with c, C fitted by least squares on the other half of the sample

    .. math:: T_1 = C + E[(y - c - C x) \otimes S_1(x)]

    exactly, and the variance is that of the residual, not of y.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    score : ScoreModel
    control : {"none", "mean", "linear"}
        Take out nothing, c, or c + C x.
    sample_weight : (n,) array_like, optional
        See `cross_moment`.

    Returns
    -------
    MomentEstimate

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    .. [1] H. Sedghi, A. Anandkumar, arXiv:1412.2693, Theorem 1.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(2000, rng=0)
    >>> first_moment(X, 7.0 + X, StandardNormal(2)).value.round(8) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    check_choice("control", control, ("none", *_REMOVED))
    if control == "none":
        return cross_moment(X, y, score, 1, sample_weight=sample_weight)
    check_instance("score", score, ScoreModel)
    X, y = check_samples(X, y, score.d)
    w = check_sample_weight(sample_weight, len(X))
    if w is not None:
        X, y, w = X[w > 0.0], y[w > 0.0], w[w > 0.0]
    check_varying(y)
    labels = y.reshape(len(y), -1)
    mass = np.ones(len(y)) if w is None else w

    def fit(others: list[slice]) -> tuple[Array, Array, Array]:
        inside, outside, weights = (rows_of(a, others) for a in (X, labels, mass))
        centre, mean = (np.average(a, axis=0, weights=weights) for a in (inside, outside))
        if control == "mean":
            return centre, mean, np.zeros((labels.shape[1], X.shape[1]))
        root = np.sqrt(weights)[:, None]
        C = np.linalg.lstsq(root * (inside - centre), root * (outside - mean), rcond=None)[0].T
        return centre, mean, np.asarray(C)

    def leave(model: tuple[Array, Array, Array], own: slice) -> tuple[Array, Array]:
        centre, mean, C = model
        return labels[own] - mean - (X[own] - centre) @ C.T, C * (mass[own].sum() / mass.sum())

    try:
        with np.errstate(over="ignore", invalid="ignore"):
            found = cross_fit(fold_slices(len(X), 2), fit, leave)
    except np.linalg.LinAlgError as error:
        raise ValueError(TOO_LARGE) from error
    residuals = np.concatenate([residual for residual, _ in found]).reshape(y.shape)
    estimate = cross_moment(X, residuals, score, 1, sample_weight=w)
    known = np.sum([slopes for _, slopes in found], axis=0).reshape(estimate.value.shape)
    return replace(estimate, value=estimate.value + known, removed=_REMOVED[control])
