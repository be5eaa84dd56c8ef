r"""GP end to end: the weights below a polynomial of thresholded units, from samples or an oracle."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation
from nnmoments.borders.refinement import Refinement, refine_estimate, sampled_refine_estimate
from nnmoments.landscapes.hermite import HermiteLoss, Minima, find_minima, weights_from_minima
from nnmoments.linalg import outer_power
from nnmoments.moments.forms import TensorMoment
from nnmoments.moments.gaussian import HermiteMoments, active_moments, controlled_moments
from nnmoments.validation import Array, check_array, check_choice, check_integer, check_samples

__all__ = ["HighThresholdFit", "decode_moments", "fit_high_threshold"]

# lambda = 10 |u_4|/u_2^2: bounded below for coefficients down to a tenth (GP: Theta(|u_4|/u_2^2)).
_PENALTY = 10.0


@dataclass(frozen=True)
class HighThresholdFit:
    r"""Learned weights and what stands behind them.

    Attributes
    ----------
    weights : (k, d) array
        Unit rows.
    coarse : (k, d) array
        The rows before refinement, from the landscape.
    coefficients : (k,) array
        :math:`c_i` of the linear terms, estimated from :math:`T_1` before refinement; products of
        units bias them.
    angles : (k,) array
        Estimated angles, in radians, of the rows to the weights; nan where none was estimated.
    minima : Minima
    moments : HermiteMoments
    refinements : tuple of Refinement or None
        None where a row could not be refined.
    status : str
    """

    weights: Array
    coarse: Array = field(repr=False)
    coefficients: Array
    angles: Array
    minima: Minima = field(repr=False)
    moments: HermiteMoments = field(repr=False)
    refinements: tuple[Refinement | None, ...] = field(repr=False)
    status: str


def decode_moments(
    moments: HermiteMoments, k: int, activation: Activation, *, rng: Any = None
) -> tuple[Array, Array, Minima]:
    r"""Return unit rows (m, d), their coefficients (m,), and the minima of G they come from.

    Signs and coefficients are those of :math:`T_1 = u_1 \sum_i c_i w_i`.

    Raises
    ------
    ValueError
        If :math:`u_2` or :math:`u_4` of the activation vanishes: at t = 1 for ReLU, :math:`\sqrt3` for sign.

    Examples
    --------
    >>> from nnmoments.activations import relu_threshold
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> u = relu_threshold(2.0)
    >>> moments = controlled_moments(X, u(X[:, 0]) + u(X[:, 1]))
    >>> rows, _, minima = decode_moments(moments, 2, u, rng=0)
    >>> minima.converged, bool(np.max(rows, axis=1).min() > 0.99)
    (True, True)
    """
    u1, u2, u4 = (activation.hermite_coefficient(m) for m in (1, 2, 4))
    if min(abs(u2), abs(u4)) < 1e-9 * abs(u1):
        raise ValueError(
            f"activation must have u_2 and u_4 away from zero, got {u2:.1e} and {u4:.1e} for "
            f"{activation.name}; move its threshold"
        )
    loss = HermiteLoss(moments.second, moments.fourth, u2, u4, _PENALTY * abs(u4) / u2**2)
    radius = math.sqrt(math.sqrt(2.0) * abs(u2))
    minima = find_minima(loss, math.copysign(1.0, u2) * moments.second, k, radius=radius, rng=rng)
    if not len(minima.points):
        return np.zeros((0, len(moments.first))), np.zeros(0), minima
    rows = weights_from_minima(minima.points)
    coefficients = np.asarray(np.linalg.lstsq(rows.T, moments.first, rcond=None)[0] / u1, dtype=np.float64)
    signs = np.where(coefficients < 0.0, -1.0, 1.0)
    return rows * signs[:, None], np.abs(coefficients), minima


def fit_high_threshold(
    X: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    activation: Activation,
    k: int | None = None,
    f: Callable[[Array], npt.ArrayLike] | None = None,
    control: str = "network",
    refine: bool = True,
    active: Callable[[Array], npt.ArrayLike] | None = None,
    rng: Any = None,
) -> HighThresholdFit:
    r"""Learn W of :math:`f = \sum_S c_S \prod_{i \in S} u(\langle w_i, x\rangle)` under N(0, I), unit rows.

    Moments, all minima of the landscape, inversion, refinement. With an oracle f each row is refined
    by asking for labels, without one from the sample.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    y : (n,) array_like, optional
        Labels without noise; by default f(X).
    activation : Activation
        u with its threshold.
    k : int, optional
        Units, at most d (the default). With fewer, the problem is first projected on the k leading
        eigenvectors of :math:`T_2`.
    f : callable, optional
        Label oracle.
    control : {"network", "polynomial", "none"}
        Control variates of the moments. "none" looks at active samples only. "network" takes, beyond
        the polynomials, the network found on one half of the sample as a control variate for the
        other: the moments of its linear part are known, so what remains is noise of the residual.
    refine : bool
    active : callable, optional
        Which labels are active, by default those that are not zero; for sigmoid units say
        ``lambda y: y > 0.5``.
    rng : optional
        Seed or generator.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    GP Theorems 1, 2 and 5, Claim 2.

    Examples
    --------
    >>> from nnmoments.activations import relu_threshold
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> u = relu_threshold(2.0)
    >>> fit = fit_high_threshold(X, activation=u, f=lambda X: u(X[:, 0]) + u(0.6 * X[:, 0] + 0.8 * X[:, 1]))
    >>> fit.weights[np.argsort(fit.weights[:, 0])].round(6) + 0.0
    array([[0.6, 0.8],
           [1. , 0. ]])
    """
    if y is None:
        if f is None:
            raise ValueError("y must be given where f is not")
        y = np.asarray(f(check_array("X", X, ndim=2)), dtype=np.float64)
    X, y = check_samples(X, y)
    d = X.shape[1]
    k = d if k is None else check_integer("k", k, 1, d)
    check_choice("control", control, ("network", "polynomial", "none"))
    if refine and active is None and np.mean(y != 0.0) > 0.9:
        raise ValueError("active must be given, since nearly all labels differ from zero")
    is_active = active or (lambda labels: labels != 0.0)
    rng = np.random.default_rng(rng)
    basis = np.eye(d)
    if k < d:
        second = active_moments(X, y, form="sample").second
        order = np.argsort(-np.abs(np.linalg.eigvalsh(second)))[:k]
        basis = np.linalg.eigh(second)[1][:, order]
    inner = X @ basis if k < d else X
    moments = _moments(inner, y, control, activation, k, rng)
    rows, coefficients, minima = decode_moments(moments, k, activation, rng=rng)
    coarse = rows @ basis.T
    refinements: list[Refinement | None] = []
    if refine:
        mask = None if f is not None else np.asarray(is_active(y))
        for row in coarse:
            try:
                refinements.append(
                    refine_estimate(f, row, active=is_active, rng=rng)
                    if mask is None and f is not None
                    else sampled_refine_estimate(X, mask if mask is not None else y, row)
                )
            except ValueError:  # the row is not near a weight
                refinements.append(None)
    else:
        refinements = [None] * len(coarse)
    weights = np.array([r.direction if r else row for r, row in zip(refinements, coarse, strict=True)])
    angles = np.array([r.angle if r else np.nan for r in refinements])
    lost = sum(r is None for r in refinements)
    status = minima.status
    if refine:
        source = "a label oracle" if f is not None else "the sample"
        status += f"; refined with {source}" + (f", {lost} rows not near a weight" if lost else "")
    return HighThresholdFit(
        weights.reshape(len(coarse), d), coarse, coefficients, angles, minima, moments,
        tuple(refinements), status,
    )  # fmt: skip


def _moments(
    X: Array, y: Array, control: str, activation: Activation, k: int, rng: np.random.Generator
) -> HermiteMoments:
    if control == "none":
        return active_moments(X, y)
    if control == "polynomial":
        return controlled_moments(X, y)
    half = len(X) // 2
    parts = (slice(0, half), slice(half, len(X)))
    found = [
        _about_network(X[other], y[other], X[part], y[part], activation, k, rng)
        for part, other in zip(parts, parts[::-1], strict=True)
    ]
    a, b = found
    tensors = [m.fourth.tensor for m in found if isinstance(m.fourth, TensorMoment)]
    return HermiteMoments(
        0.5 * (a.mean + b.mean), 0.5 * (a.first + b.first), 0.5 * (a.second + b.second),
        TensorMoment(0.5 * (tensors[0] + tensors[1])), len(X), len(X),
        f"the network of the other half, then {a.removed}",
    )  # fmt: skip


def _about_network(
    X_model: Array,
    y_model: Array,
    X: Array,
    y: Array,
    activation: Activation,
    k: int,
    rng: np.random.Generator,
) -> HermiteMoments:
    r"""Return :math:`T_m(g) + E[(f - g) S_m]`, g the linear part found on other data."""
    rows, c, _ = decode_moments(controlled_moments(X_model, y_model), k, activation, rng=rng)
    if not len(rows):
        return controlled_moments(X, y)
    rest = controlled_moments(X, y - activation(X @ rows.T) @ c)
    known = [
        math.sqrt(math.factorial(m))
        * activation.hermite_coefficient(m)
        * np.tensordot(c, outer_power(rows, m), axes=(0, 0))
        for m in range(5)
    ]
    assert isinstance(rest.fourth, TensorMoment)
    return HermiteMoments(
        rest.mean + float(known[0]), rest.first + known[1], rest.second + known[2],
        TensorMoment(rest.fourth.tensor + known[4]), rest.n_samples, rest.n_touched, rest.removed,
    )  # fmt: skip
