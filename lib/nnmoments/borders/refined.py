"""What a refinement of a direction found, whichever way it took."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nnmoments.results import Result
from nnmoments.validation import Array

__all__ = ["Refinement"]


@dataclass(frozen=True, eq=False, repr=False)
class Refinement(Result):
    r"""A refined direction and how it came about.

    Attributes
    ----------
    direction : (d,) array
        Of length 1.
    threshold : float
        t, where the border :math:`w \cdot x = t` was found.
    angle : float
        The last estimate of its angle to the weight, in radians. For "border" the half-width of
        the last band: the sample does not show anything smaller.
    history : (n_iter + 1,) array
        Such estimates before and after each round.
    directions : (n_iter + 1, d) array
        The directions at the same times.
    method : str
        "perturbation" (the paper's), "border" or "crossings".
    source : str
        "sample" or "oracle".
    n_iter, n_labels : int
    converged : bool
    status : str

    Examples
    --------
    >>> from nnmoments.borders import fit_crossings
    >>> found = fit_crossings(lambda X: X[:, 0] > 2.0, [1.0, 0.1], rng=0)
    >>> len(found.history) == found.n_iter + 1, round(found.threshold, 6)
    (True, 2.0)
    """

    direction: Array
    threshold: float
    angle: float
    history: Array = field(repr=False)
    directions: Array = field(repr=False)
    method: str
    source: str
    n_iter: int
    n_labels: int
    converged: bool
    status: str


def refined(
    directions: Sequence[Array],
    history: Sequence[float],
    threshold: float,
    *,
    method: str,
    source: str,
    n_labels: int,
    converged: bool,
    advice: str,
) -> Refinement:
    """Put the directions and angles before and after each round together."""
    n_iter = len(history) - 1
    status = (
        f"angle {history[-1]:.1e} after {n_iter} rounds of {method!r} on {n_labels} labels of the {source}"
    )
    return Refinement(
        directions[-1], threshold, history[-1], np.array(history), np.array(directions), method, source,
        n_iter, n_labels, converged, status + advice,
    )  # fmt: skip
