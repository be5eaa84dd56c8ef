"""GP's units with structure: correlation graphs, exponential and even units, cuts of deeper networks.

- Disjoint 0/1 weights: `correlation_graph`, `support_cliques` (Theorem 7), `disjoint_supports` (Theorem 8).
- Even activations: `even_form` (Theorem 9).
- A cut inside a deeper network: `learn_cut` (Appendix E).
"""

from nnmoments.structured.cuts import SubspaceCut, learn_cut, subspaces_from_moment
from nnmoments.structured.even import EvenForm, even_form
from nnmoments.structured.exponential import (
    DisjointSupports,
    ExactShiftedMean,
    OracleShiftedMean,
    ascend_on_simplex,
    disjoint_supports,
)
from nnmoments.structured.graph import CorrelationGraph, SupportCliques, correlation_graph, support_cliques

__all__ = [
    "CorrelationGraph",
    "DisjointSupports",
    "EvenForm",
    "ExactShiftedMean",
    "OracleShiftedMean",
    "SubspaceCut",
    "SupportCliques",
    "ascend_on_simplex",
    "correlation_graph",
    "disjoint_supports",
    "even_form",
    "learn_cut",
    "subspaces_from_moment",
    "support_cliques",
]
