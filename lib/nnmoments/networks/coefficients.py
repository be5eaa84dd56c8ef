"""Coefficients of the upper polynomial as the moments see them, and of powers of its units."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from nnmoments.activations import Activation
from nnmoments.hermite import gaussian_expectation, normalized_hermite
from nnmoments.networks.hidden_polynomial import HiddenPolynomial
from nnmoments.networks.terms import checked_terms
from nnmoments.validation import Array, check_integer, check_number, check_result

__all__ = ["shifted_coefficient", "univariate_coefficients", "univariate_part"]


def shifted_coefficient(
    terms: Mapping[tuple[int, ...], float], subset: Sequence[int], mu: float, *, reduced: bool = False
) -> float:
    r"""Return GP's :math:`C(S, \mu) = \sum_{S' \supseteq S} c_{S'}\,\mu^{|S'|}`.

    The coefficient of :math:`\prod_{i \in S} X_i` in :math:`P(\mu(X_1 + 1), \mu(X_2 + 1), \dots)`:
    how a product of units looks to a moment that sees only those in S. Products that hold no
    linear term still have :math:`C(\{i\}, \mu) \ne 0`.

    Parameters
    ----------
    terms : mapping
        As `HiddenPolynomial`, of degree at most 1 in each unit.
    subset : sequence of int
        S.
    mu : float
    reduced : bool
        Divide by :math:`\mu^{|S|}` (possible at mu = 0): the mean of
        :math:`\partial P/\partial X_S` where independent units have mean mu.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a term holds a unit twice.

    References
    ----------
    GP Corollary 1, Theorem 7 and Section 4 (before Theorem 9).

    Examples
    --------
    >>> shifted_coefficient({(0,): 1.0, (0, 1): 2.0}, [0], 0.5)
    1.0
    """
    mu, terms = check_number("mu", mu), checked_terms(terms)
    if not isinstance(subset, Sequence) or isinstance(subset, str):
        raise ValueError(f"subset must be a sequence of unit numbers, got {subset!r}")
    wanted = {check_integer("subset", i, 0) for i in subset}
    total = np.zeros(())
    for term, coefficient in terms.items():
        if len(set(term)) < len(term):
            raise ValueError(f"terms must hold each unit at most once, got {term}")
        if wanted <= set(term):
            with np.errstate(over="ignore"):
                total = total + coefficient * np.float64(mu) ** (len(term) - (len(wanted) if reduced else 0))
    return float(check_result("mu", total))


def univariate_part(network: HiddenPolynomial) -> HiddenPolynomial:
    r"""Return :math:`f_{uni} = \sum_i q_i(X_i)`: what is left without products of different units.

    Parameters
    ----------
    network : HiddenPolynomial

    Returns
    -------
    HiddenPolynomial
        Of the same units.

    Raises
    ------
    ValueError
        If the network is none.

    References
    ----------
    GP Appendix B.8.

    Examples
    --------
    >>> from nnmoments.activations import linear
    >>> network = HiddenPolynomial([[1.0], [2.0]], linear, {(0, 0): 3.0, (0, 1): 1.0})
    >>> univariate_part(network).terms
    {(0, 0): 3.0}
    """
    if not isinstance(network, HiddenPolynomial):
        raise ValueError(f"network must be a HiddenPolynomial, got {network!r}")
    kept = {term: c for term, c in network.terms.items() if len(set(term)) < 2}
    return HiddenPolynomial(network.weights, network.activation, kept or {(): 0.0})


def univariate_coefficients(network: HiddenPolynomial, order: int) -> Array:
    r"""Return the Hermite coefficients :math:`E[q_i(u(g))\,h_m(g)]`, (k,).

    With powers in the polynomial each unit has an activation of its own, :math:`q_i \circ u`, and
    :math:`E[f_{uni} H_m(z \cdot x)] = \sum_i E[q_i(u(g)) h_m(g)]\,(z \cdot w_i)^m` for unit weights.

    Parameters
    ----------
    network : HiddenPolynomial
    order : int
        m, from 0.

    Returns
    -------
    (k,) array

    Raises
    ------
    ValueError
        If an argument is of another kind.

    References
    ----------
    GP Appendix B.8, Assumption 4.

    Examples
    --------
    >>> from nnmoments.activations import linear
    >>> f = HiddenPolynomial([[1.0, 0.0], [0.0, 1.0]], linear, {(0, 0): 1.0, (1,): 5.0})
    >>> univariate_coefficients(f, 2).round(6)
    array([1.414214, 0.      ])
    """
    order = check_integer("order", order, 0)
    powers: dict[int, dict[int, float]] = defaultdict(dict)
    for term, c in univariate_part(network).terms.items():
        if term:
            powers[term[0]][len(term)] = c
    return np.array([_coefficient(network.activation, powers[i], order) for i in range(network.k)])


def _coefficient(activation: Activation, powers: Mapping[int, float], order: int) -> float:
    return float(
        gaussian_expectation(
            lambda g: (
                sum((c * activation(g) ** r for r, c in powers.items()), np.zeros_like(g))
                * normalized_hermite(order, g)
            ),
            breakpoints=activation.breakpoints,
        )
    )
