"""Whether a score model can be the score of a sample: identities that the true score satisfies."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnmoments.densities import ScoreModel
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_instance,
    check_integer,
    check_result,
    check_sample_weight,
)

__all__ = ["SteinCheck", "check_score", "standardization"]

# Samples that are looked at: an estimated score costs a pass over its sample for each.
_POINTS = 2000
# Error of the identities that an estimated score may have beside five standard errors of the means.
_TOLERANCE = 0.2


@dataclass(frozen=True, eq=False, repr=False)
class SteinCheck(Result):
    r"""How far a score model is from satisfying Stein's identities on a sample.

    Attributes
    ----------
    mean : float
        Largest entry of :math:`E S_1`, in whitened coordinates, where the true score has 0.
    covariance : float
        Largest entry of :math:`E[z S_1^\top] - I` there.
    higher : float
        Largest of two :math:`E S_m(u, \dots, u)` over its root mean square, m the order asked for.
    passed : bool
        Whether each is below 0.2 and five standard errors.
    status : str

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> check_score(StandardNormal(2), StandardNormal(2).sample(2000, rng=0)).passed
    True
    """

    mean: float
    covariance: float
    higher: float
    passed: bool
    status: str


def standardization(X: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> tuple[Array, Array]:
    r"""Return the mean c and the root P of the covariance: :math:`x = c + Pz`, z of covariance I.

    Parameters
    ----------
    X : (n, d) array_like
    sample_weight : (n,) array_like, optional

    Returns
    -------
    (d,) array, (d, d) array

    Raises
    ------
    ValueError
        If the rows lie in a subspace, naming columns that are constant or repeat another.

    Examples
    --------
    >>> standardization([[1.0, 0.0], [-1.0, 0.0], [0.0, 4.0], [0.0, -4.0]])[1].round(4)
    array([[0.7071, 0.    ],
           [0.    , 2.8284]])
    """
    X = check_array("X", X, ndim=2)
    weight = check_sample_weight(sample_weight, len(X))
    with np.errstate(over="ignore", invalid="ignore"):
        centre = check_result("X", np.average(X, axis=0, weights=weight))
        shifted = X - centre
        scale = check_result("X", np.sqrt(np.average(shifted**2, axis=0, weights=weight)))
    constant = np.flatnonzero(~(scale > 1e-12 * np.abs(centre)) | (scale < 1e-150))
    if len(constant):
        raise ValueError(f"X must vary in every column; constant columns: {_listed(constant)}")
    unit = shifted / scale
    correlation = (unit if weight is None else unit * (weight / weight.sum())[:, None]).T @ unit
    correlation /= correlation[0, 0]
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < 1e-12 * values[-1]:
        rows, columns = np.nonzero(np.triu(np.abs(correlation) > 1.0 - 1e-10, 1))
        twins = ", ".join(f"{a} and {b}" for a, b in zip(rows, columns, strict=True))
        raise ValueError(
            "X lies in a subspace, so it has no density; project it on fewer coordinates"
            + (f" (columns that repeat each other: {twins})" if twins else "")
        )
    return centre, scale[:, None] * ((vectors * np.sqrt(values)) @ vectors.T)


def _listed(places: npt.NDArray[np.intp]) -> str:
    return ", ".join(map(str, places[:10])) + ("" if len(places) <= 10 else f" and {len(places) - 10} more")


def check_score(
    model: ScoreModel, X: npt.ArrayLike, *, order: int = 1, sample_weight: npt.ArrayLike | None = None
) -> SteinCheck:
    r"""Check the identities :math:`E S_1 = 0`, :math:`E[x S_1^\top] = I` and :math:`E S_m = 0` on a sample.

    They hold for the score of every smooth density, and are Stein's identity for the labels 1 and x. A score
    of the wrong scale, mean or law fails them; not every wrong score does.

    Parameters
    ----------
    model : ScoreModel
    X : (n, d) array_like
        Of which at most 2000 rows are looked at.
    order : int
        m, 1 to 4.
    sample_weight : (n,) array_like, optional

    Returns
    -------
    SteinCheck

    Raises
    ------
    ValueError
        If X does not fit the model, or lies in a subspace.

    References
    ----------
    .. [1] C. Stein, "A bound for the error in the normal approximation ...", Berkeley Symposium, 1972.

    Examples
    --------
    >>> from nnmoments.densities import Gaussian, StandardNormal
    >>> X = StandardNormal(2).sample(2000, rng=0)
    >>> found = check_score(Gaussian([0.0, 0.0], 4.0 * np.eye(2)), X)
    >>> fault, advice = found.status.split("; ")
    >>> fault
    'E[z S_1^T] is 0.75 from the identity: the score is not that of X'
    >>> advice
    'pass another score model, or none'
    """
    X = check_array("X", X, shape=(None, check_instance("model", model, ScoreModel).d))
    order = check_integer("order", order, 1, 4)
    weight = check_sample_weight(sample_weight, len(X))
    centre, root = standardization(X, weight)
    rows = slice(None, None, max(1, len(X) // _POINTS))
    seen = X[rows]
    w = np.ones(len(seen)) if weight is None else weight[rows]
    w = w / w.sum() if w.sum() > 0.0 else np.full(len(w), 1.0 / len(w))
    n = 1.0 / float(np.sum(w**2))
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.linalg.solve(root, (seen - centre).T).T
        S = model.project(seen, root, 1)
        products = z[:, :, None] * S[:, None, :]
        first, second = w @ S, np.tensordot(w, products, 1) - np.eye(X.shape[1])
        noise = [np.sqrt(np.maximum(w @ S**2 - first**2, 0.0) / n)]
        noise.append(
            np.sqrt(np.maximum(np.tensordot(w, products**2, 1) - (second + np.eye(len(centre))) ** 2, 0) / n)
        )
        sizes, limits = [np.abs(first), np.abs(second)], [_TOLERANCE + 5.0 * part for part in noise]
        if order > 1:
            values = np.stack([model.contract(seen, *[u] * order) for u in root.T[[0, -1]]])
            spread = np.sqrt(np.maximum(values**2 @ w, 1e-300))
            sizes.append(np.abs(values @ w) / spread)
            limits.append(np.full(2, _TOLERANCE + 5.0 / math.sqrt(n)))
    # How each compares with what is allowed; NaN is not.
    shares = [float(np.max(size / limit)) for size, limit in zip(sizes, limits, strict=True)]
    found = [float(size.max()) for size in sizes] + [0.0] * (order == 1)
    said = (
        "E S_1 is {:.2g}, not zero",
        "E[z S_1^T] is {:.2g} from the identity",
        "E S_m is {:.2g} of its size",
    )
    wrong = [
        text.format(value)
        for text, value, share in zip(said, found, shares, strict=False)
        if not share <= 1.0
    ]
    status = "E S_1 = 0 and E[z S_1^T] = I hold"
    if wrong:
        status = f"{', '.join(wrong)}: the score is not that of X; pass another score model, or none"
    mean, covariance, higher = found[:3]
    return SteinCheck(mean, covariance, higher, not wrong, status)
