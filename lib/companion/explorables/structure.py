"""Explorables of chapter 5."""

import itertools

import numpy as np

from companion.explorables.figure import Explorable, rounded
from nnmoments.activations import cosine, sign_threshold
from nnmoments.borders import delta_correlation
from nnmoments.hermite import normal_density
from nnmoments.networks import HiddenPolynomial
from nnmoments.structured import even_form

__all__ = [
    "ANGLES",
    "COUPLINGS",
    "WIDTHS",
    "even_landscape",
    "even_network",
    "needle",
    "needle_network",
    "plane_correlation",
]

ANGLES = np.concatenate([-np.geomspace(30.0, 0.02, 30), [0.0], np.geomspace(0.02, 30.0, 30)])
WIDTHS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
_T = 0.5


def needle_network() -> HiddenPolynomial:
    """Return the sum of products of two of four orthonormal sign units at a low threshold."""
    pairs: dict[tuple[int, ...], float] = dict.fromkeys(itertools.combinations(range(4), 2), 1.0)
    return HiddenPolynomial(np.eye(4), sign_threshold(_T), pairs)


def plane_correlation(angle: float, width: float) -> float:
    r"""Return an estimate of :math:`C_2(z, t)` for z at an angle, in degrees, to the first weight."""
    z = np.cos(np.radians(angle)) * np.eye(4)[0] + np.sin(np.radians(angle)) * np.array([0.0, 0.6, 0.0, 0.8])
    z /= np.linalg.norm(z)
    found = delta_correlation(needle_network(), z, _T, order=1, epsilon=width, n_samples=6000, rng=0)
    return found.value


def needle() -> Explorable:
    """Return C_2 along a direction that turns past a weight, for planes nearer and nearer."""
    mu = sign_threshold(_T).hermite_coefficient(0)
    data = {
        "angles": rounded(ANGLES),
        "widths": list(WIDTHS),
        "t": _T,
        "values": rounded([[plane_correlation(float(a), e) for a in ANGLES] for e in WIDTHS]),
        "jump": rounded(float(normal_density(_T)) * 3.0 * mu),
    }
    return Explorable(
        "needle",
        data,
        title="A needle at every weight",
        caption=r"""Left: two planes $z \cdot x = t \pm \epsilon$ (orange) and the edge $w \cdot x = t$ of a
            sign unit, active in the shaded half; the difference of the labels on the two planes is
            $C_2$. Turn $z$ onto $w$: when the edge fits between the planes, the whole jump counts.
            Bring the planes nearer: the value at the weight stays (dashed), and everything else
            shrinks to nothing, which leaves a search nothing to follow.""",
        alt="Two planes near the edge of a unit, and the correlation against the angle, a peak at zero.",
    )


#: Coefficients of the product of the first two units.
COUPLINGS = np.arange(0, 41) / 10.0


def even_network(coupling: float) -> HiddenPolynomial:
    """Return three even units with one product."""
    return HiddenPolynomial(np.eye(3), cosine, {(0,): 1.0, (1,): 1.0, (2,): 1.0, (0, 1): coupling})


def even_landscape() -> Explorable:
    """Return the form of an even network over the squares of the coordinates, as one product grows."""
    forms = [(even_form(even_network(c)), even_form(even_network(c), printed=True)) for c in COUPLINGS]

    def last(margins: list[float]) -> float:
        """Return where the margin passes zero."""
        place = next(i for i, m in enumerate(margins) if m < 0.0)
        before, after = margins[place - 1], margins[place]
        return float(COUPLINGS[place - 1] + (COUPLINGS[1] - COUPLINGS[0]) * before / (before - after))

    data = {
        "couplings": rounded(COUPLINGS),
        "quartic": rounded([form.quartic for form, _ in forms]),
        "mixed": rounded([form.mixed[np.triu_indices(3, 1)] for form, _ in forms]),
        "margin": rounded([form.margin for form, _ in forms]),
        "true": rounded(last([form.margin for form, _ in forms])),
        "printed": rounded(last([form.margin for _, form in forms])),
    }
    return Explorable(
        "even_landscape",
        data,
        title="Two maxima merge into one",
        caption=r"""$\mathrm E[f\,h_4(z \cdot x)]$ for three even units, over the squares $p_i = z_i^2$,
            which sum to one: the corners are the weights; bright is high, dots are the maxima.
            Raise the coefficient of the product $X_1 X_2$: at the true condition the maxima in
            corners 1 and 2 leave them and become one between them. The printed condition gives up
            earlier, where both corners still are maxima.""",
        alt="A triangle shaded by the objective with its maxima, and its values along one edge.",
    )
