r"""The oracle that keeps a sample with probability proportional to its label.

Kept inputs have the density :math:`f(x)\varphi(x)/E[f]`, so :math:`E_{kept}[h(x)] = E[f h]/E[f]`: every
moment of the labels up to one factor, however small :math:`E[f]` is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.networks.hidden_polynomial import HiddenPolynomial
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_integer,
    check_number,
    check_rng,
)

__all__ = ["KeptSample", "biased_sample", "tilted_sample"]

_CHUNK = 200_000
# Labels below this share of their bound would keep no sample in a lifetime.
_LEAST = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class KeptSample(Result):
    r"""Inputs with density :math:`f\varphi/E[f]`, and how many draws it took.

    Attributes
    ----------
    X : (n, d) array
    draws : int
        Draws of the proposal.

    Examples
    --------
    >>> KeptSample(np.zeros((2, 1)), 5)
    KeptSample
          X: [[0.]
              [0.]]
      draws: 5
    """

    X: Array
    draws: int


def biased_sample(
    f: Callable[[Array], npt.ArrayLike], d: int, n: int, *, bound: float, rng: Any = None
) -> KeptSample:
    r"""Draw x from N(0, I) and keep it with probability :math:`f(x)/B`, until n are kept.

    Parameters
    ----------
    f : callable
        Nonnegative labels (n,) of points (n, d).
    d, n : int
    bound : float
        B, at least the largest label.
    rng : None, int, Generator or RandomState

    Returns
    -------
    KeptSample

    Raises
    ------
    ValueError
        If a label is negative or above the bound.

    References
    ----------
    GP Appendix B.7, Theorem 13.

    Examples
    --------
    >>> kept = biased_sample(lambda X: X[:, 0] > 1.0, 2, 1000, bound=1.0, rng=0)
    >>> bool(kept.X[:, 0].min() > 1.0), 0.1 < 1000 / kept.draws < 0.2
    (True, True)
    """
    check_callable("f", f)
    d, bound = check_integer("d", d, 1), check_number("bound", bound, above=0.0)
    return _keep(
        f, lambda size, rng: rng.standard_normal((size, d)), lambda X: np.full(len(X), bound), n, rng
    )


def tilted_sample(network: HiddenPolynomial, n: int, *, rng: Any = None) -> KeptSample:
    r"""Simulate the same oracle for sigmoid units without waiting for it.

    Since :math:`\sigma(a - t) \le e^{a - t}`, the labels are below
    :math:`\sum_S c_S e^{w_S \cdot x - |S| t}`, :math:`w_S = \sum_{i \in S} w_i`, which turns N(0, I) into a
    mixture of :math:`N(w_S, I)`. High thresholds are close to this bound, so nearly all draws are kept.

    Parameters
    ----------
    network : HiddenPolynomial
        Sigmoid units with a threshold, coefficients not negative, no constant.
    n : int
    rng : None, int, Generator or RandomState

    Returns
    -------
    KeptSample

    Raises
    ------
    ValueError
        If the network is of another kind.

    Examples
    --------
    >>> from nnmoments.activations import sigmoid_threshold
    >>> terms = {(0,): 1.0, (0, 1): 1.0}
    >>> network = HiddenPolynomial(np.eye(2), sigmoid_threshold(6.0), terms)
    >>> kept = tilted_sample(network, 10_000, rng=0)
    >>> kept.X.mean(axis=0).round(1), kept.draws < 12_000
    (array([1., 0.]), True)
    """
    if not isinstance(network, HiddenPolynomial) or network.activation.kind != "sigmoid":
        raise ValueError(f"network must have thresholded sigmoid units, got {network!r}")
    coefficients = np.array(list(network.terms.values()))
    if () in network.terms or np.any(coefficients < 0.0):
        raise ValueError("network must have no constant and no negative coefficient")
    t = network.activation.threshold
    centres = np.array([network.weights[list(term)].sum(axis=0) for term in network.terms])
    sizes = np.array([len(term) for term in network.terms])
    heights = coefficients * np.exp(-t * sizes)
    shares = heights * np.exp(0.5 * np.sum(centres**2, axis=1))
    shares /= math.fsum(shares)

    def draw(size: int, rng: np.random.Generator) -> Array:
        return centres[rng.choice(len(shares), size, p=shares)] + rng.standard_normal((size, network.d))

    return _keep(network, draw, lambda X: np.exp(X @ centres.T) @ heights, n, rng)


def _keep(
    f: Callable[[Array], npt.ArrayLike],
    draw: Callable[[int, np.random.Generator], Array],
    envelope: Callable[[Array], Array],
    n: int,
    rng: Any,
) -> KeptSample:
    n, rng = check_integer("n", n, 1), check_rng("rng", rng)
    kept: list[Array] = []
    draws = have = 0
    while have < n:
        X = draw(min(_CHUNK, max(1000, 2 * (n - have))), rng)
        share = check_array("f", f(X), shape=(len(X),)) / envelope(X)
        if np.any(share < 0.0) or np.any(share > 1.0 + 1e-9):
            raise ValueError("f must lie between 0 and the bound; raise bound")
        if 0.0 < share.max() < _LEAST:
            raise ValueError(f"f is nowhere above {_LEAST:g} of the bound; lower bound")
        keep = np.flatnonzero(rng.random(len(X)) < share)[: n - have]
        have += len(keep)
        draws += int(keep[-1]) + 1 if have == n else len(X)
        kept.append(X[keep])
    return KeptSample(np.concatenate(kept), draws)
