"""Supports of disjoint 0/1 weights from the graph of correlations between inputs."""

from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from nnmoments.densities import StandardNormal
from nnmoments.moments import cross_moment
from nnmoments.validation import Array, check_array, check_integer, check_number

__all__ = ["CorrelationGraph", "SupportCliques", "correlation_graph", "support_cliques"]


@dataclass(frozen=True)
class CorrelationGraph:
    r"""The weights :math:`\alpha_{ij} = E[f x_i x_j]` between inputs.

    Attributes
    ----------
    value, standard_error : (d, d) arrays
        The diagonals are zero: :math:`E[f x_i^2]` says nothing about pairs.
    """

    value: Array = field(repr=False)
    standard_error: Array = field(repr=False)


@dataclass(frozen=True)
class SupportCliques:
    """Cliques of the thresholded graph.

    Attributes
    ----------
    supports : list of tuples of int
        Disjoint cliques of the wanted size, in order of their first input.
    threshold : float
        Where the weights were cut: the middle of a gap.
    gap : float
        That gap in standard errors of the two weights next to it.
    graph : networkx.Graph
    status : str
    """

    supports: list[tuple[int, ...]]
    threshold: float
    gap: float
    graph: Any = field(repr=False)
    status: str


def correlation_graph(X: npt.ArrayLike, y: npt.ArrayLike) -> CorrelationGraph:
    r"""Estimate :math:`\alpha_{ij} = E[f x_i x_j]`, i != j, with standard errors.

    For :math:`u(a) = e^{\rho(a - t)}` and disjoint 0/1 weights of r ones

    .. math:: \alpha_{ij} = \rho^2 \sum_{S:\ i, j \in \bigcup_{p \in S} T_p} c_S\,\mu^{|S|},
              \qquad \mu = e^{-\rho(t - \rho r/2)}

    The labels' linear part is removed first, whose share of the mean is zero: less noise.

    References
    ----------
    GP Theorem 7, Algorithm 3. The proof prints :math:`\mu = e^{-\rho(t - \rho r)/2}`, the statement
    :math:`e^{-\rho t}`.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50_000, 3))
    >>> graph = correlation_graph(X, np.exp(0.5 * (X[:, 0] + X[:, 1])))
    >>> bool(graph.value[0, 1] > 10 * graph.standard_error[0, 1] > 10 * abs(graph.value[0, 2]) / 9)
    True
    """
    X = check_array("X", X, ndim=2)
    y = check_array("y", y, shape=(len(X),))
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
        graph: nx.Graph[int] = nx.Graph()
        graph.add_nodes_from(range(len(weights.value)))
        graph.add_edges_from(
            zip(rows[order[: m + 1]].tolist(), columns[order[: m + 1]].tolist(), strict=True)
        )
        cliques = [sorted(c) for c in nx.connected_components(graph) if len(c) > 1]
        if all(len(c) == size and graph.subgraph(c).size() == size * (size - 1) // 2 for c in cliques):
            threshold = float(value[order][m] - 0.5 * drop[m])
            supports = sorted(tuple(c) for c in cliques)
            return SupportCliques(supports, threshold, float(gaps[m]), graph, "cut at a significant gap")
    status = (
        f"no gap of {confidence:g} standard errors leaves cliques of {size} inputs: "
        "pass more samples, or the gap of GP Theorem 7 does not exist"
    )
    return SupportCliques([], float("nan"), float(gaps.max()), nx.Graph(), status)
