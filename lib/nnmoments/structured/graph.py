"""Supports of disjoint 0/1 weights from the graph of correlations between inputs."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from nnmoments.densities import StandardNormal
from nnmoments.moments import cross_moment
from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_instance, check_integer, check_number

__all__ = ["CorrelationGraph", "SupportCliques", "correlation_graph", "support_cliques"]

_LARGEST = 1e50  # so that squares of products are numbers


@dataclass(frozen=True, eq=False, repr=False)
class CorrelationGraph(Result):
    r"""The weights :math:`\alpha_{ij} = E[f x_i x_j]` between inputs.

    Attributes
    ----------
    value, standard_error : (d, d) arrays
        The diagonals are zero: :math:`E[f x_i^2]` says nothing about pairs.

    Raises
    ------
    ValueError
        If the two are not square matrices of one size, or an error is negative.

    Examples
    --------
    >>> CorrelationGraph(np.eye(2)[::-1], np.zeros((2, 2)))
    CorrelationGraph
               value: [[0. 1.]
                       [1. 0.]]
      standard_error: [[0. 0.]
                       [0. 0.]]
    """

    value: Array
    standard_error: Array

    def __post_init__(self) -> None:
        value = check_array("value", self.value, ndim=2)
        error = check_array("standard_error", self.standard_error, shape=(len(value), len(value)))
        if value.shape != error.shape:
            raise ValueError(f"value must be a square matrix, got shape {value.shape}")
        if error.min() < 0.0:
            raise ValueError(f"standard_error must not be negative, got {error.min()}")
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "standard_error", error)


@dataclass(frozen=True, eq=False, repr=False)
class SupportCliques(Result):
    """Cliques of the thresholded graph.

    Attributes
    ----------
    supports : list of tuples of int
        Disjoint cliques of the wanted size, in order of their first input.
    threshold : float
        Where the weights were cut: the middle of a gap; nan if there was no such gap.
    gap : float
        That gap in standard errors of the two weights next to it.
    graph : (d, d) csr_array
        Its adjacency, 1 for each edge.
    status : str

    Examples
    --------
    >>> value = np.kron(np.eye(2), np.ones((2, 2)) - np.eye(2))
    >>> graph = CorrelationGraph(value, 0.01 * np.ones((4, 4)))
    >>> support_cliques(graph, 2).graph.toarray()[0]
    array([0., 1., 0., 0.])
    """

    supports: list[tuple[int, ...]]
    threshold: float
    gap: float
    graph: csr_array = field(repr=False)
    status: str


def correlation_graph(X: npt.ArrayLike, y: npt.ArrayLike) -> CorrelationGraph:
    r"""Estimate :math:`\alpha_{ij} = E[f x_i x_j]`, i != j, with standard errors.

    For :math:`u(a) = e^{\rho(a - t)}` and disjoint 0/1 weights of r ones

    .. math:: \alpha_{ij} = \rho^2 \sum_{S:\ i, j \in \bigcup_{p \in S} T_p} c_S\,\mu^{|S|},
              \qquad \mu = e^{-\rho(t - \rho r/2)}

    The labels' linear part is removed first, whose share of the mean is zero: less noise.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    y : (n,) array_like
        Labels.

    Returns
    -------
    CorrelationGraph

    Raises
    ------
    ValueError
        If X and y do not belong together.

    References
    ----------
    GP Theorem 7, Algorithm 3. The proof prints :math:`\mu = e^{-\rho(t - \rho r)/2}`, the statement
    :math:`e^{-\rho t}`.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50_000, 3))
    >>> graph = correlation_graph(X, np.exp(0.5 * (X[:, 0] + X[:, 1])))
    >>> z = np.abs(graph.value[0, 1:]) / graph.standard_error[0, 1:]
    >>> bool(z[0] > 10), bool(z[1] < 5)
    (True, True)
    """
    X = check_array("X", X, ndim=2, most=_LARGEST)
    y = check_array("y", y, shape=(len(X),), most=_LARGEST)
    residual = y - y.mean()
    residual -= X @ (residual @ X / len(X))
    moment = cross_moment(X, residual, StandardNormal(X.shape[1]), 2)
    off = 1.0 - np.eye(X.shape[1])
    return CorrelationGraph(moment.value * off, moment.standard_error * off)


def support_cliques(weights: CorrelationGraph, size: int, *, confidence: float = 3.0) -> SupportCliques:
    r"""Cut the graph at a gap that noise does not explain, and read the supports off its cliques.

    Sorted weights are cut at every gap wider than `confidence` standard errors,

    .. math:: \alpha_{(m)} - \alpha_{(m+1)} > z\,(s_{(m)} + s_{(m+1)}),

    the widest first, until the graph above the cut is a disjoint union of cliques of the wanted
    size. GP names no threshold.

    Parameters
    ----------
    weights : CorrelationGraph
        Of at least three inputs.
    size : int
        Ones a weight, at least 2; GP assumes it known and equal.
    confidence : float
        z.

    Returns
    -------
    SupportCliques
        Without supports, and a status that says so, if no cut qualifies.

    Raises
    ------
    ValueError
        If there are fewer than three inputs, of which nothing can be told apart.

    Examples
    --------
    >>> value = np.kron(np.eye(2), np.ones((2, 2)) - np.eye(2))
    >>> support_cliques(CorrelationGraph(value, 0.01 * np.ones((4, 4))), 2).supports
    [(0, 1), (2, 3)]
    """
    size = check_integer("size", size, 2)
    confidence = check_number("confidence", confidence, above=0.0)
    check_instance("weights", weights, CorrelationGraph)
    if len(weights.value) < 3:
        raise ValueError(f"weights must join at least 3 inputs, got {len(weights.value)}")
    rows, columns = np.triu_indices(len(weights.value), 1)
    value, error = weights.value[rows, columns], weights.standard_error[rows, columns]
    order = np.argsort(-value)
    drop = -np.diff(value[order])
    gaps = drop / np.maximum(error[order][:-1] + error[order][1:], np.finfo(np.float64).tiny)
    for m in np.argsort(-gaps, kind="stable"):
        if gaps[m] <= confidence:
            break
        edges = order[: m + 1]
        graph = _adjacency(rows[edges], columns[edges], len(weights.value))
        cliques = _cliques(graph)
        if all(len(clique) == size for clique in cliques):
            threshold = float(value[order][m] - 0.5 * drop[m])
            return SupportCliques(cliques, threshold, float(gaps[m]), graph, "cut at a significant gap")
    status = (
        f"no gap of {confidence:g} standard errors leaves cliques of {size} inputs: "
        "pass more samples, or the gap of GP Theorem 7 does not exist"
    )
    none = _adjacency(rows[:0], columns[:0], len(weights.value))
    return SupportCliques([], float("nan"), float(gaps.max()), none, status)


def _adjacency(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], d: int) -> csr_array:
    ends = np.concatenate([rows, columns]), np.concatenate([columns, rows])
    return coo_array((np.ones(2 * len(rows)), ends), shape=(d, d)).tocsr()


def _cliques(graph: csr_array) -> list[tuple[int, ...]]:
    """Return the components of more than one node, or an empty one in place of each that is no clique."""
    labels = connected_components(graph, directed=False)[1]
    degrees = graph.sum(axis=1)
    components = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    joined = [c for c in components if len(c) > 1]
    # In a clique every node is joined to all others.
    return [tuple(c.tolist()) if (degrees[c] == len(c) - 1).all() else () for c in joined]
