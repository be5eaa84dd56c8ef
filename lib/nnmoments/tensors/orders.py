r"""Which moments of an activation can identify the weights, decided from its coefficients."""

from dataclasses import dataclass

from nnmoments.activations import Activation, get_activation
from nnmoments.results import Result

__all__ = ["MomentChoice", "choose_moments"]

_SCALES = (0.5, 1.0, 2.0)


@dataclass(frozen=True, eq=False, repr=False)
class MomentChoice(Result):
    """Orders of the moments that each step uses.

    Attributes
    ----------
    subspace : int
        j_2, the least order from 2 up whose coefficient does not vanish.
    tensor : int
        j_3, the least order from 3 up.
    odd, even : int or None
        Orders that give signs and magnitudes: the least odd one (1 or 3) and the least even one
        (2 or 4); None where all vanish.

    Examples
    --------
    >>> found = choose_moments("tanh")
    >>> found.tensor, found.odd, found.even
    (3, 1, None)
    """

    subspace: int
    tensor: int
    odd: int | None
    even: int | None


def choose_moments(activation: str | Activation) -> MomentChoice:
    r"""Choose the orders of ZS Definition 5.4 from the coefficients :math:`m_j(\|w\|)`.

    An order counts as vanishing if its coefficient is zero, to rounding, at norms 1/2, 1 and 2.
    The decision never looks at data, where no moment is exactly zero.

    Parameters
    ----------
    activation : str or Activation

    Returns
    -------
    MomentChoice

    Raises
    ------
    ValueError
        If the third and the fourth moment vanish (as for linear and quadratic activations): then
        no moment up to order 4 identifies the weights.

    References
    ----------
    .. [1] ZS, Assumption 5.3 and Definition 5.4, arXiv:1706.03175.

    Examples
    --------
    >>> choose_moments("relu")
    MomentChoice
      subspace: 2
        tensor: 4
           odd: 1
          even: 2
    """
    activation = get_activation(activation)
    present = []
    for order in range(1, 5):
        sizes = [abs(activation.moment_coefficient(order, scale=s)) for s in _SCALES]
        norms = [
            abs(activation.expectation(lambda g: 1.0 + g * g, scale=s)) + abs(activation.gamma(1, scale=s))
            for s in _SCALES
        ]
        present.append(max(a / max(b, 1e-300) for a, b in zip(sizes, norms, strict=True)) > 1e-9)
    vanishing = ", ".join(f"m_{j}" for j in range(1, 5) if not present[j - 1])
    if not (present[2] or present[3]):
        raise ValueError(
            f"activation {activation.name!r} identifies no weights: {vanishing} vanish, and a unique "
            "decomposition needs the third or the fourth moment"
        )
    return MomentChoice(
        subspace=next(j for j in (2, 3, 4) if present[j - 1]),
        tensor=next(j for j in (3, 4) if present[j - 1]),
        odd=next((j for j in (1, 3) if present[j - 1]), None),
        even=next((j for j in (2, 4) if present[j - 1]), None),
    )
