"""Polynomials of hidden units: the teacher of GP."""

import functools
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation, get_activation
from nnmoments.hermite import hermite_projections, paired_hermite_projections
from nnmoments.linalg import symmetrize
from nnmoments.networks.terms import checked_terms, polynomial
from nnmoments.networks.weights import checked_weights, with_noise
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_integer, finite_result

__all__ = ["HiddenPolynomial"]


class HiddenPolynomial(Comparable):
    r"""GP's network: :math:`f = \sum_S c_S \prod_{i \in S} u(\langle w_i, x\rangle)`.

    A polynomial of hidden units, of which the linear part is what the landscape decodes.

    Parameters
    ----------
    weights : (k, d) array_like
        Rows :math:`w_i`.
    activation : str or Activation
        u, usually thresholded.
    terms : mapping from tuples of unit numbers to coefficients
        :math:`c_S`; () is the constant, (i,) the linear terms, (i, i) a square.

    Raises
    ------
    ValueError
        If a term names a unit that does not exist.

    Examples
    --------
    >>> from nnmoments.activations import linear
    >>> f = HiddenPolynomial([[1.0, 0.0], [0.0, 1.0]], linear, {(): 1.0, (0, 1): 2.0})
    >>> f([[3.0, 4.0]])
    array([25.])
    """

    def __init__(
        self,
        weights: npt.ArrayLike,
        activation: str | Activation,
        terms: Mapping[tuple[int, ...], float],
    ) -> None:
        self.weights = checked_weights(weights)
        self.activation = get_activation(activation)
        self.k, self.d = self.weights.shape
        self.terms = checked_terms(terms, self.k)

    @functools.cached_property
    def _forms(self) -> dict[int, tuple[Array, npt.NDArray[np.intp], Array]]:
        return {}

    def __repr__(self) -> str:
        return (
            f"HiddenPolynomial(k={self.k}, d={self.d}, activation={self.activation.name}, "
            f"terms={len(self.terms)})"
        )

    def _units(self, X: npt.ArrayLike) -> Array:
        return check_array("X", X, shape=(None, self.d)) @ self.weights.T

    @finite_result("X")
    def __call__(self, X: npt.ArrayLike) -> Array:
        """Return f at the rows of X, (n,)."""
        return polynomial(self.activation(self._units(X)), self.terms)

    def sample_labels(self, X: npt.ArrayLike, *, noise: float = 0.0, rng: Any = None) -> Array:
        """Return f plus Gaussian noise of the given standard deviation; GP's labels have none.

        Parameters
        ----------
        X : (n, d) array_like
        noise : float
        rng : None, int, Generator or RandomState

        Returns
        -------
        (n,) array

        Raises
        ------
        ValueError
            If the noise is negative.

        Examples
        --------
        >>> HiddenPolynomial([[1.0]], "linear", {(0, 0): 3.0}).sample_labels([[2.0]])
        array([12.])
        """
        return with_noise(self(X), noise, rng)

    @property
    def linear_part(self) -> "HiddenPolynomial":
        r"""The network :math:`f_{lin} = c_0 + \sum_i c_i X_i` that is left without products. GP Section 2.

        Examples
        --------
        >>> from nnmoments.activations import linear
        >>> HiddenPolynomial([[1.0], [2.0]], linear, {(0,): 3.0, (0, 1): 1.0}).linear_part.terms
        {(0,): 3.0}
        """
        kept = {term: c for term, c in self.terms.items() if len(term) < 2}
        return HiddenPolynomial(self.weights, self.activation, kept or {(): 0.0})

    @finite_result("X or z")
    def directional_derivative(self, X: npt.ArrayLike, z: npt.ArrayLike, order: int) -> Array:
        r"""Return :math:`\nabla^m f(x)(z, \dots, z)`, (n,), by truncated Taylor series along z, m <= 4.

        Needs an activation without breakpoints; its Stein counterpart is :math:`T_m(z, \dots, z)`.

        Parameters
        ----------
        X : (n, d) array_like
        z : (d,) array_like
        order : int
            m, from 0 to 4.

        Returns
        -------
        (n,) array

        Raises
        ------
        ValueError
            If the activation has kinks or jumps, of which classical derivatives know nothing.

        Examples
        --------
        >>> from nnmoments.activations import linear
        >>> f = HiddenPolynomial([[1.0, 0.0], [0.0, 1.0]], linear, {(0, 1): 1.0})
        >>> f.directional_derivative([[5.0, 7.0]], [1.0, 1.0], 2)
        array([2.])
        """
        order = check_integer("order", order, 0, 4)
        if order and self.activation.breakpoints:
            raise ValueError(
                f"activation must be smooth for a directional derivative, got {self.activation.name}; "
                "hermite_moment gives its mean"
            )
        slopes = self.weights @ check_array("z", z, shape=(self.d,))
        units = self._units(X)
        series = np.stack(
            [self.activation.derivative(j, units) * slopes**j / math.factorial(j) for j in range(order + 1)]
        )
        total = np.zeros(len(units))
        for term, coefficient in self.terms.items():
            product = np.zeros((order + 1, len(units)))
            product[0] = coefficient
            for i in term:
                product = _truncated_product(product, series[:, :, i])
            total += product[order]
        return total * math.factorial(order)

    @finite_result("Z")
    def hermite_moment(self, order: int, Z: npt.ArrayLike) -> Array:
        r"""Return the exact :math:`E[f(x)\,H_m(z \cdot x)] = T_m(z, \dots, z)/\sqrt{m!}` under N(0, I).

        What GP's landscape estimates from a sample: for the linear part :math:`u_m \sum_i c_i
        (z \cdot w_i)^m` at unit weights (GP Lemma 9), for products the mixed moments of their units.

        Parameters
        ----------
        order : int
            m, from 0.
        Z : (d,) or (q, d) array_like
            Directions, of any length.

        Returns
        -------
        (1,) or (q,) array

        Raises
        ------
        ValueError
            If a product couples three or more units with weights that are not orthogonal: exact
            moments need blocks of at most two.

        Examples
        --------
        >>> from nnmoments.activations import linear
        >>> f = HiddenPolynomial([[1.0, 0.0], [0.6, 0.8]], linear, {(0, 1): 1.0})
        >>> (f.hermite_moment(2, [1.0, 1.0]) * np.sqrt(2.0)).round(12)
        array([2.8])
        """
        order = check_integer("order", order, 0)
        Z = check_array("Z", Z, ndim=(1, 2))
        Z = check_array("Z", np.atleast_2d(Z), shape=(None, self.d))
        directions, keys, values = self._stein_form(order)
        return np.prod((Z @ directions.T)[:, keys], axis=2) @ values / math.sqrt(math.factorial(order))

    @finite_result("weights")
    def moment(self, order: int) -> Array:
        r"""Return the exact :math:`T_m = E[f S_m] = E[\nabla^m f]` under N(0, I), (d, ..., d).

        Parameters
        ----------
        order : int
            m, from 0.

        Returns
        -------
        (d, ..., d) array

        Raises
        ------
        ValueError
            As `hermite_moment`.

        Examples
        --------
        >>> from nnmoments.activations import linear
        >>> network = HiddenPolynomial([[1.0, 0.0], [0.0, 1.0]], linear, {(0, 1): 3.0})
        >>> network.moment(2).round(12) + 0.0
        array([[0., 3.],
               [3., 0.]])
        """
        order = check_integer("order", order, 0)
        directions, keys, values = self._stein_form(order)
        total = np.zeros((self.d,) * order)
        for key, value in zip(keys, values, strict=True):
            total += value * functools.reduce(np.multiply.outer, directions[key], np.ones(()))
        return symmetrize(total) if order > 1 else total

    def _stein_form(self, order: int) -> tuple[Array, npt.NDArray[np.intp], Array]:
        r"""Return unit vectors e (D, d), keys (N, m) and values (N,) of T_m = sum of value e_i e_j ....

        By f(x + z) = sum over j of T_j(z, ..., z)/j! in the mean, a power series in the z.e: products
        of units that are independent are products of their series.
        """
        if order not in self._forms:
            blocks = _Blocks(self.weights, self.activation, order)
            total: dict[tuple[int, ...], float] = defaultdict(float)
            for term, coefficient in self.terms.items():
                for key, value in blocks.series(term).items():
                    if len(key) == order:
                        total[key] += coefficient * value * math.factorial(order)
            keys = np.array(list(total), dtype=np.intp).reshape(len(total), order)
            self._forms[order] = np.array(blocks.directions), keys, np.array(list(total.values()))
        return self._forms[order]


# A polynomial in the z.e: sorted numbers of directions, with repetition, to coefficients.
_Series = dict[tuple[int, ...], float]


class _Blocks:
    """Power series of E[X_S(x + z)] for products X_S of hidden units, factor by independent factor."""

    def __init__(self, weights: Array, activation: Activation, order: int) -> None:
        self.norms = np.linalg.norm(weights, axis=1)
        self.directions = list(weights / self.norms[:, None])
        self.cosines = np.clip(np.array(self.directions) @ np.array(self.directions).T, -1.0, 1.0)
        self.activation, self.order = activation, order
        self._known: dict[tuple[tuple[int, int], ...], _Series] = {}

    def series(self, term: tuple[int, ...]) -> _Series:
        """Return the series of the product of the units in `term`, to the wanted order."""
        powers = Counter(term)
        product: _Series = {(): 1.0}
        for block in self._split(sorted(powers)):
            factor = self._block(tuple((i, powers[i]) for i in block))
            found: _Series = defaultdict(float)
            for (left, a), (right, b) in itertools.product(product.items(), factor.items()):
                if len(left) + len(right) <= self.order:
                    found[tuple(sorted(left + right))] += a * b
            product = found
        return product

    def _split(self, units: list[int]) -> list[list[int]]:
        """Split units into blocks that are orthogonal to each other."""
        blocks: list[list[int]] = []
        for unit in units:
            touching = [b for b in blocks if any(abs(self.cosines[unit, i]) > 1e-12 for i in b)]
            blocks = [b for b in blocks if b not in touching] + [[*itertools.chain(*touching), unit]]
        for block in blocks:
            if len(block) > 2:
                raise ValueError(
                    f"terms must couple at most two units whose weights are not orthogonal, got {block}; "
                    "estimate such a moment with nnmoments.moments.cross_moment"
                )
        return blocks

    def _block(self, units: tuple[tuple[int, int], ...]) -> _Series:
        """Return the series of one unit or of two correlated ones, each with its power."""
        if units not in self._known:
            self._known[units] = self._single(*units) if len(units) == 1 else self._pair(*units)
        return self._known[units]

    def _unit(self, unit: tuple[int, int]) -> Callable[[Array], Array]:
        index, power = unit
        return lambda g: self.activation(self.norms[index] * g) ** power

    def _single(self, unit: tuple[int, int]) -> _Series:
        index = unit[0]
        kinks = [t / self.norms[index] for t in self.activation.breakpoints]
        return {
            (index,) * j: float(
                hermite_projections(self._unit(unit), j, mean=[0.0], scale=[1.0], breakpoints=kinks)[0]
            )
            / math.factorial(j)
            for j in range(self.order + 1)
        }

    def _pair(self, first: tuple[int, int], second: tuple[int, int]) -> _Series:
        (i, _), (j, _) = first, second
        rho = float(self.cosines[i, j])
        residual = self.directions[j] - rho * self.directions[i]
        if np.linalg.norm(residual) < 1e-7:
            raise ValueError(f"weights must not have parallel rows in one product, got rows {i} and {j}")
        self.directions.append(residual / np.linalg.norm(residual))
        across = len(self.directions) - 1
        kinks = self.activation.breakpoints
        moments = paired_hermite_projections(
            self._unit(first),
            self._unit(second),
            self.order,
            correlation=rho,
            breakpoints=([t / self.norms[i] for t in kinks], [t / self.norms[j] for t in kinks]),
        )
        return {
            (i,) * p + (across,) * r: float(moments[p, r]) / math.factorial(p) / math.factorial(r)
            for p in range(self.order + 1)
            for r in range(self.order + 1 - p)
        }


def _truncated_product(first: Array, second: Array) -> Array:
    """Multiply two power series (order + 1, n), dropping higher orders."""
    product = np.zeros_like(first)
    for i in range(len(first)):
        product[i:] += first[i] * second[: len(first) - i]
    return product
