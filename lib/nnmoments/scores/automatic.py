"""The score of a sample, nothing else given: candidates in whitened coordinates, chosen by held-out loss."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from nnmoments.densities import Constant, Derivative, Gaussian, ScoreModel
from nnmoments.scores.bandwidth import NearestNeighbor
from nnmoments.scores.check import SteinCheck, check_score, standardization
from nnmoments.scores.choice import choose_score, spread_ties
from nnmoments.scores.independent import IndependentLocalLikelihood
from nnmoments.scores.kernel_density import KernelDensity
from nnmoments.scores.local_likelihood import LocalLikelihood
from nnmoments.scores.mixtures import fit_gaussian_mixture
from nnmoments.scores.score_matching import ScoreMatching
from nnmoments.validation import Array, check_array, check_instance, check_rng

__all__ = ["AffineScore", "ScoreEstimate", "estimate_score"]

# Rows on which the candidates are compared, and rows of the windows and fits of the one that is chosen.
_COMPARED, _FITTED = 6_000, 10_000
# Held-out points of each of the two folds.
_POINTS = 1000
# Standard errors by which another candidate must beat one Gaussian, or a mixture of few.
_BETTER = 2.0
# So many of the others are compared again, on all held-out points with so many directions each.
_FINALISTS, _DIRECTIONS = 3, 3
_MIXTURES = (2, 3, 5, 8)
# Degrees of local likelihood with the windows' shares of the sample; above 2 in the plane only.
_SHARES = {2: (0.1, 0.3, 1.0), 3: (0.2, 0.4), 4: (0.3, 0.6)}


@dataclass(frozen=True, eq=False)
class _Mapped(Derivative):
    """The tensors of another point, z = A(x - c), as tensors of x."""

    inner: Derivative
    matrix: Array

    @property
    def coefficients(self) -> Array:  # type: ignore[override]
        return self.inner.coefficients

    def lift(self, coefficients: Array, slots: Sequence[Array | None]) -> Array:
        mapped = [self.matrix if slot is None else self.matrix @ slot for slot in slots]
        return self.inner.lift(coefficients, mapped)


class AffineScore(ScoreModel):
    r"""The score of x by that of :math:`z = A(x - c)`: :math:`S_m^x(u, \dots) = S_m^z(Au, \dots)`.

    Parameters
    ----------
    model : ScoreModel
        Of z.
    matrix : (d, d) array_like
        A, invertible.
    centre : (d,) array_like
        c.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> AffineScore(StandardNormal(1), [[0.5]], [3.0]).score([[5.0]], 1)  # N(3, 4)
    array([[0.5]])
    """

    def __init__(self, model: ScoreModel, matrix: npt.ArrayLike, centre: npt.ArrayLike) -> None:
        self.model = check_instance("model", model, ScoreModel)
        self.d = model.d
        self.matrix = check_array("matrix", matrix, shape=(self.d, self.d))
        self.centre = check_array("centre", centre, shape=(self.d,))

    def __repr__(self) -> str:
        return f"AffineScore({self.model!r})"

    def _image(self, X: Array) -> Array:
        return (X - self.centre) @ self.matrix.T

    def components(self, X: Array) -> Iterable[tuple[Array | None, ScoreModel]]:
        for weight, part in self.model.components(self._image(X)):
            yield weight, AffineScore(part, self.matrix, self.centre)

    def log_derivatives(self, X: Array, order: int) -> Sequence[Derivative | None]:
        points = self._image(check_array("X", X, shape=(None, self.d)))
        found = self.model.derivatives(points, order)
        return [
            Constant(part.project([self.matrix] * j)[0])
            if isinstance(part, Constant)
            else None
            if part is None
            else _Mapped(part, self.matrix)
            for j, part in enumerate(found, start=1)
        ]


class ScoreEstimate(AffineScore):
    """The score model that `estimate_score` chose, and how far it is to be trusted.

    Parameters
    ----------
    model : ScoreModel
        Of the whitened coordinates :math:`A(x - c)`.
    matrix : (d, d) array_like
        A.
    centre : (d,) array_like
        c.
    chosen : str
        The model's name among the candidates.
    **found : object
        The attributes below.

    Attributes
    ----------
    losses : dict
        Held-out matching losses of all candidates, by name.
    gain : float
        By how much the chosen one's loss is below that of one Gaussian.
    check : SteinCheck
    status : str

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> estimate_score(StandardNormal(2).sample(1000, rng=0)).chosen
    'one Gaussian'
    """

    def __init__(
        self, model: ScoreModel, matrix: npt.ArrayLike, centre: npt.ArrayLike, chosen: str, **found: Any
    ) -> None:
        super().__init__(model, matrix, centre)
        self.chosen = chosen
        self.losses: dict[str, float] = found["losses"]
        self.gain: float = found["gain"]
        self.status: str = found["status"]
        self.check: SteinCheck = found["check"]

    def __repr__(self) -> str:
        return f"ScoreEstimate({self.chosen}, d={self.d}, gain={self.gain:.3g}: {self.status})"


def _gaussian(Z: Array) -> ScoreModel:
    return Gaussian(Z.mean(axis=0), np.atleast_2d(np.cov(Z, rowvar=False)))


def _mixture(Z: Array, count: int) -> ScoreModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_gaussian_mixture(Z, count, rng=0)


def _windows(Z: Array, degree: int, share: float) -> ScoreModel:
    return LocalLikelihood(Z, degree=degree, bandwidth=NearestNeighbor(share))


def _independent(Z: Array, degree: int, share: float, rotate: bool) -> ScoreModel:
    """Return one-dimensional fits, along the axes or along independent components."""
    turn, centre = np.eye(Z.shape[1]), np.zeros(Z.shape[1])
    if rotate:
        centre, root = standardization(Z)
        matrix = np.linalg.inv(root)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            # Its own whitening may lose a direction of rows that are white already.
            ica = FastICA(whiten=False, random_state=0, max_iter=100).fit((Z - centre) @ matrix.T)
        turn = ica.components_ @ matrix
    inner = IndependentLocalLikelihood((Z - centre) @ turn.T, degree=degree, bandwidth=NearestNeighbor(share))
    return AffineScore(inner, turn, centre)


def _bumps(Z: Array, width: float) -> ScoreModel:
    return ScoreMatching(Z, width=width * math.sqrt(Z.shape[1]), rng=0)


def _kernels(Z: Array, factor: float) -> ScoreModel:
    n, d = Z.shape
    return KernelDensity(Z, bandwidth=factor * n ** (-1.0 / (d + 6)))


def _ways(n: int, d: int) -> dict[str, Callable[[Array], ScoreModel]]:
    """Return the candidates by name; each is fitted to whitened rows."""
    ways: dict[str, Callable[[Array], ScoreModel]] = {"one Gaussian": _gaussian}
    for count in _MIXTURES:
        if n >= 20 * count * (d + 1):
            ways[f"mixture of {count} Gaussians"] = partial(_mixture, count=count)
    for degree, shares in _SHARES.items():
        for share in shares if degree == 2 or d <= 2 else ():
            ways[f"local likelihood, p = {degree}, share {share:g}"] = partial(
                _windows, degree=degree, share=share
            )
    for rotate, name in ((False, "independent coordinates"), (True, "independent components")):
        for degree, share in ((2, 0.2), (4, 0.5)) if d > 1 else ():
            ways[f"{name}, p = {degree}"] = partial(_independent, degree=degree, share=share, rotate=rotate)
    for width in (0.7, 1.4):
        ways[f"score matching, width {width:g}"] = partial(_bumps, width=width)
    for factor in (1.0, 1.6):
        ways[f"kernel density, width {factor:g}"] = partial(_kernels, factor=factor)
    return ways


def _or_gaussian(fit: Callable[[Array], ScoreModel]) -> Callable[[Array], ScoreModel]:
    """Return a way of fitting that falls back on one Gaussian, which then never loses to it."""

    def attempt(Z: Array) -> ScoreModel:
        try:
            return fit(Z)
        except (ValueError, np.linalg.LinAlgError):
            return _gaussian(Z)

    return attempt


def estimate_score(X: npt.ArrayLike, *, order: int = 1, rng: Any = 0) -> ScoreEstimate:
    r"""Estimate the score of a sample: the best of many ways by held-out score matching.

    In coordinates of mean 0 and covariance I these are compared by `choose_score`: one Gaussian, mixtures of
    Gaussians, local likelihood, independent coordinates or components with one-dimensional local likelihood,
    score matching with Gaussian bumps, and kernel density estimates. The best is fitted again to all rows.
    One Gaussian, or else a mixture, is kept unless another is better by two standard errors. Ties are
    spread.

    Parameters
    ----------
    X : (n, d) array_like
    order : int
        Order of the score tensor whose error is compared, 1 to 4.
    rng : None, int, Generator or RandomState
        Of the folds and directions; fixed unless given.

    Returns
    -------
    ScoreEstimate

    Raises
    ------
    ValueError
        If X lies in a subspace, or has no more rows than columns.

    Notes
    -----
    At most 6,000 rows are compared on, and at most 10,000 make the windows of the one that is chosen.

    References
    ----------
    .. [1] GM Section 2 for local likelihood; A. Hyvarinen, JMLR 6, 2005, for the loss.

    Examples
    --------
    >>> from nnmoments.densities import GaussianMixture
    >>> X = GaussianMixture([0.5, 0.5], [[3.0, 0.0], [-3.0, 0.0]]).sample(2000, rng=0)
    >>> found = estimate_score(X)
    >>> bool(found.gain > 0.1), found.check.passed
    (True, True)
    """
    X = check_array("X", X, ndim=2)
    generator = check_rng("rng", rng)
    n, d = X.shape
    if n <= d + 1:
        raise ValueError(f"X needs more than d + 1 = {d + 1} rows, got {n}")
    standardization(X)  # refuses constant columns, which a spread of ties would hide
    X, tied = spread_ties(X, generator)
    centre, root = standardization(X)
    matrix = np.linalg.inv(root)
    Z = (X - centre) @ matrix.T
    ties = f"; ties of columns {', '.join(map(str, tied))} were spread" if tied else ""
    few = n < 20 * (d + 1)
    ways = {"one Gaussian": _gaussian} if few else _ways(min(n, _COMPARED) // 2, d)
    if few:
        chosen, losses, gain = "one Gaussian", dict[str, float](), 0.0
    else:
        names, fits = list(ways), [_or_gaussian(fit) for fit in ways.values()]
        compared = Z[:: max(1, n // _COMPARED)][:_COMPARED]
        found = choose_score(compared, fits, order=order, points=_POINTS, rng=generator)
        losses = {names[i]: float(found.losses[i]) for i in np.argsort(found.losses)}
        # One Gaussian, mixtures and the best of the others again, with many directions at each point.
        simple = [i for i, name in enumerate(names) if "Gaussian" in name]
        finalists = [*simple, *[i for i in np.argsort(found.losses) if i not in simple][:_FINALISTS]]
        found = choose_score(
            compared,
            [fits[i] for i in finalists],
            order=order,
            points=len(compared),
            directions=_DIRECTIONS,
            rng=generator,
        )
        # The simplest that is as good as the best, as far as can be seen: noise favours what is flexible.
        behind = found.losses - found.losses[found.chosen]
        near = [p for p in range(len(simple)) if behind[p] <= _BETTER * found.standard_errors[p]]
        place, gains = (near or [found.chosen])[0], found.losses[0] - found.losses
        chosen, gain = names[finalists[place]], float(gains[place])
        losses |= {names[i]: float(loss) for i, loss in zip(finalists, found.losses, strict=True)}
    model = _or_gaussian(ways[chosen])(Z[:: max(1, n // _FITTED)][:_FITTED])
    checked = check_score(AffineScore(model, matrix, centre), X)
    status = f"{checked.status}{ties}" + ("; too few rows for more than one Gaussian" if few else "")
    return ScoreEstimate(
        model, matrix, centre, chosen, losses=losses, gain=gain, status=status, check=checked
    )
