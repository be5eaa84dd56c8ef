"""From a direction to the weight on a fixed sample, by the likelihood of the labels beside the border."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, ndtr

from nnmoments.borders.angles import seen_angle
from nnmoments.borders.refined import Refinement, refined
from nnmoments.borders.sources import Mask, checked_sample, normalized
from nnmoments.hermite import normal_density
from nnmoments.validation import Array, check_integer

__all__ = ["fit_border"]

# Labels a weight that the last band must hold, at four sigma to either side.
_HELD, _SIGMAS = 40, 4.0
# Share of labels beyond the border that may be inactive without the fit going after them.
_LAPSE = 1e-3


def fit_border(
    X: npt.ArrayLike,
    active: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    max_iter: int = 40,
    sample_weight: npt.ArrayLike | None = None,
) -> Refinement:
    r"""Refine a direction as far as a fixed sample allows, by a fit of the border.

    In the band around it,

    .. math:: \Pr[\text{active} \mid x] = \eta + (1 - \eta)\,\Phi\big((x \cdot w - \tau)/\sigma\big),

    by maximum likelihood in w, tau and the share eta that other units activate; then sigma and the band
    (four sigma) are halved as long as it holds 40 d labels. The labels are a noise-free function of the
    side of the border, so the angle falls like d/n, not like :math:`\sqrt{d/n}`.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs, at least 1000.
    active : (n,) array_like
        Whether the label of each is active, as :math:`f(x) \ne 0`.
    z : (d,) array_like
        Of any length; nearer to one weight than to all others.
    max_iter : int
        Rounds.
    sample_weight : (n,) array_like, optional
        Of the samples in the likelihood.

    Returns
    -------
    Refinement
        `converged` if the sample's limit was reached.

    Raises
    ------
    ValueError
        If the sample is too small to see the angle at all, or z is not near a weight.

    References
    ----------
    What GP Algorithm 1 is for; the paper does not say what a fixed sample can reach.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((200_000, 3))
    >>> found = fit_border(X, X[:, 0] > 1.5, [1.0, 0.1, -0.1])
    >>> angle = np.arccos(found.direction[0])
    >>> found.converged, bool(angle < 0.003), round(found.threshold, 2)
    (True, True, 1.5)
    """
    X, mask, z, weight = checked_sample(X, active, z, sample_weight)
    limit = check_integer("max_iter", max_iter, 1)
    start = seen_angle(X, mask, z, weight)
    across = np.linalg.svd(z[None])[2][1:]  # a basis of the normal plane
    w, tau, sigma = z.copy(), start.middle, start.tan_alpha
    history, directions, labels, converged = [start.alpha], [z], 0, False
    while not converged and len(history) <= limit:
        band = np.abs(X @ w - tau) <= _SIGMAS * sigma * np.linalg.norm(w)
        held = int(band.sum())
        converged = held < _HELD * len(z) and len(history) > 1
        if not converged:
            labels = max(labels, held)
            w, tau = _most_likely(X[band], mask[band], weight[band], z, across, w, tau, sigma)
            history.append(float(np.arctan(sigma)))
            directions.append(normalized(w))
            sigma *= 0.5
    return refined(
        directions,
        history,
        tau / float(np.linalg.norm(w)),
        method="border",
        source="sample",
        n_labels=labels,
        converged=converged,
        advice="; more samples or an oracle go further" if converged else ": raise max_iter",
    )


def _most_likely(
    X: Array, active: Mask, weight: Array, z: Array, basis: Array, w: Array, tau: float, sigma: float
) -> tuple[Array, float]:
    """Maximise the likelihood over w = z + v, v in the normal plane, tau and eta at a fixed sigma."""
    along, across = X @ z, X @ basis.T
    sign = np.where(active, 1.0, -1.0)
    share = weight / weight.mean()

    def loss(parameters: Array) -> tuple[float, Array]:
        v, offset, logit = parameters[:-2], parameters[-2], parameters[-1]
        m = (along - tau) / sigma - offset + across @ v
        eta = expit(logit)
        p = eta + (1.0 - eta - _LAPSE) * ndtr(m)
        likelihood = np.where(active, p, 1.0 - p)
        slope = -sign * share / likelihood / len(m)
        by_m = slope * (1.0 - eta - _LAPSE) * normal_density(m)
        by_eta = np.sum(slope * ndtr(-m)) * eta * (1.0 - eta)
        gradient = np.concatenate([by_m @ across, [-by_m.sum(), by_eta]])
        return float(-np.mean(share * np.log(likelihood))), gradient

    first = np.concatenate([basis @ w / sigma, [0.0, -3.0]])
    bounds = [(None, None)] * (len(first) - 1) + [(-8.0, 3.0)]
    options = {"maxiter": 200, "ftol": 1e-10, "gtol": 1e-7}
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return z + sigma * basis.T @ found[:-2], float(tau + sigma * found[-2])
