r"""Even activations: the correlation with :math:`h_4(z \cdot x)` on the sphere, threshold or none."""

import math

import numpy as np
import numpy.typing as npt

from nnmoments.networks import HiddenPolynomial, shifted_coefficient
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_choice, check_instance, finite_result

__all__ = ["EvenForm", "even_form"]


class EvenForm(Comparable):
    r"""The form :math:`F(z) = \sum_i a_i z_i^4 + \sum_{i<j} g_{ij} z_i^2 z_j^2`, :math:`\|z\| = 1`.

    Parameters
    ----------
    quartic : (k,) array_like
        :math:`a_i = u_4\,C(\{i\})`.
    mixed : (k, k) array_like
        :math:`g_{ij} = \sqrt6\,u_2^2\,C(\{i, j\})`, symmetric with a zero diagonal.
    outside : bool
        Whether z may leave the span of the weights, as it may with fewer units than inputs.
    sign : {1.0, -1.0}, optional
        Of F, to be tried first: that of :math:`u_4`. By default that of the sum of the :math:`a_i`.

    Attributes
    ----------
    sign : float
        +1 if the weights are maxima of F, -1 if of -F: the one tried first, unless some :math:`\pm a_i`
        is negative and the margin of the other sign is larger.

    Raises
    ------
    ValueError
        If the shapes do not belong together.

    References
    ----------
    GP Theorem 9.

    Examples
    --------
    >>> form = EvenForm([1.0, 2.0], [[0.0, 0.5], [0.5, 0.0]])
    >>> form([0.6, 0.8]).round(4), form.sign, form.margin
    (array([1.064]), 1.0, 1.5)
    """

    def __init__(
        self,
        quartic: npt.ArrayLike,
        mixed: npt.ArrayLike,
        *,
        outside: bool = False,
        sign: float | None = None,
    ) -> None:
        self.quartic = check_array("quartic", quartic, ndim=1)
        self.mixed = check_array("mixed", mixed, shape=(len(self.quartic), len(self.quartic)))
        self.outside = check_choice("outside", outside, (True, False))
        first = float(self.quartic.sum()) if sign is None else check_choice("sign", sign, (1.0, -1.0))
        self.sign = math.copysign(1.0, first)
        if (self.sign * self.quartic).min() < 0.0 and self._margin(-self.sign) > self.margin:
            self.sign = -self.sign

    @finite_result("coordinates")
    def __call__(self, coordinates: npt.ArrayLike) -> Array:
        r"""Return F at coordinates :math:`z_i = w_i \cdot z`, (q, k)."""
        coordinates = np.atleast_2d(check_array("coordinates", coordinates, ndim=(1, 2)))
        squares = check_array("coordinates", coordinates, shape=(None, len(self.quartic))) ** 2
        return squares**2 @ self.quartic + 0.5 * np.einsum("qi,ij,qj->q", squares, self.mixed, squares)

    @property
    def margin(self) -> float:
        r"""The least :math:`2\min(\pm a_i, \pm a_j) \mp g_{ij}` of pairs: positive if all weights are maxima.

        In :math:`p_i = z_i^2` F is quadratic on a simplex. From the corner i towards j it changes by
        :math:`g_{ij} - 2 a_i` to first order; between corners its second derivative along
        :math:`e_i - e_j` is :math:`2(a_i + a_j - g_{ij})`. So where the margin is positive the weights are
        strict maxima and there are no others; where it is negative some weight is none. `outside` the
        span F is zero, and with :math:`a_0 = g_{0i} = 0` the pairs (0, i) add the :math:`\pm 2a_i`.

        Examples
        --------
        Two weights in the plane are maxima, and in space the second is none:

        >>> mixed = [[0.0, -1.0], [-1.0, 0.0]]
        >>> inside = EvenForm([1.0, -0.2], mixed, outside=False)
        >>> outside = EvenForm([1.0, -0.2], mixed, outside=True)
        >>> round(inside.margin, 6), round(outside.margin, 6)
        (0.6, -0.4)
        """
        return self._margin(self.sign)

    def _margin(self, sign: float) -> float:
        a = sign * self.quartic
        i, j = np.triu_indices(len(a), 1)
        margins = 2.0 * np.minimum(a[i], a[j]) - sign * self.mixed[i, j]
        if self.outside:
            margins = np.append(margins, 2.0 * a)
        return float(np.min(margins, initial=math.inf))


def even_form(network: HiddenPolynomial, *, printed: bool = False) -> EvenForm:
    r"""Return the form of :math:`E[f\,h_4(z \cdot x)]` for an even activation and orthonormal weights.

    .. math:: E[f h_4(z \cdot x)] = u_4 \sum_i C(\{i\})\,z_i^4
              + \sqrt6\,u_2^2 \sum_{i<j} C(\{i, j\})\,z_i^2 z_j^2, \qquad
              C(S) = \sum_{S' \supseteq S} c_{S'} u_0^{|S'| - |S|}

    Parameters
    ----------
    network : HiddenPolynomial
        With orthonormal weights, an even activation, and each unit at most once a term.
    printed : bool
        Take 6 for the root of 6, as the paper does.

    Returns
    -------
    EvenForm

    Raises
    ------
    ValueError
        If the weights are not orthonormal, or the activation is not even.

    References
    ----------
    GP Theorem 9 and Appendix D.3. The proof has 6 for :math:`\sqrt6`, and a term
    :math:`3 u_2 z_i^2 (2\|z\|^2 - 1)` which by Lemma 9 must vanish at :math:`\|z\| = 1`.

    Examples
    --------
    >>> from nnmoments.activations import cosine
    >>> network = HiddenPolynomial(np.eye(2), cosine, {(0,): 1.0, (1,): 1.0, (0, 1): 0.5})
    >>> z = np.array([0.6, 0.8])
    >>> bool(np.isclose(even_form(network)(z)[0], network.hermite_moment(4, z)[0]))
    True
    """
    check_instance("network", network, HiddenPolynomial)
    check_choice("printed", printed, (True, False))
    if not np.allclose(network.weights @ network.weights.T, np.eye(network.k), atol=1e-9):
        raise ValueError("network must have orthonormal weights")
    if network.activation.parity != 1:
        raise ValueError(f"network must have an even activation, got {network.activation.name}")
    u0, u2, u4 = (network.activation.hermite_coefficient(m) for m in (0, 2, 4))
    k = network.k
    quartic = np.array([u4 * shifted_coefficient(network.terms, [i], u0, reduced=True) for i in range(k)])
    mixed = np.zeros((k, k))
    for i in range(k):
        for j in range(i):
            seen = shifted_coefficient(network.terms, [i, j], u0, reduced=True)
            mixed[i, j] = mixed[j, i] = (6.0 if printed else math.sqrt(6.0)) * u2**2 * seen
    return EvenForm(quartic, mixed, outside=k < network.d, sign=math.copysign(1.0, u4))
