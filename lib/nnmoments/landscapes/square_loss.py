r"""The square loss of a one-hidden-layer network: derivatives, local convexity, Levenberg-Marquardt. ZS."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation, get_activation
from nnmoments.optimize import (
    Curvature,
    DampedStep,
    Descent,
    LeastSquares,
    NormalMatrix,
    SmoothLoss,
    damped_newton,
)
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_instance,
    check_number,
    check_result,
    check_sample_weight,
    check_samples,
    finite_result,
)

__all__ = [
    "ConvexityConstants",
    "SquareLoss",
    "SquareLossOfBoth",
    "convexity_constants",
    "levenberg_marquardt",
    "population_hessian",
]

# Up to so many parameters the normal matrix is formed and factored.
_FORMED = 200


class SquareLoss(LeastSquares, SmoothLoss):
    r"""The empirical risk :math:`\hat f_S(W) = \frac1{2n}\sum_s (\sum_i v_i\phi(w_i^\top x_s) - y_s)^2`.

    A column of ones in X makes the last column of W the biases.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like
    activation : str or Activation
    output : (k,) array_like
        v, held fixed.
    sample_weight : (n,) array_like, optional
    fit_intercept : bool
        Whether a constant is fitted beside the network: the loss is its minimum over the constant.

    Raises
    ------
    ValueError
        If shapes do not fit or a number is not finite.

    References
    ----------
    .. [1] ZS (2), arXiv:1706.03175.

    Examples
    --------
    >>> loss = SquareLoss([[1.0, 0.0], [0.0, 2.0]], [1.0, 0.0], "relu", [1.0])
    >>> loss.value([[1.0, 1.0]]), loss.gradient([[1.0, 1.0]])
    (1.0, array([[0., 2.]]))
    """

    def __init__(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        activation: str | Activation,
        output: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = None,
        fit_intercept: bool = False,
    ) -> None:
        self.X, self.y = check_samples(X, y)
        if self.y.ndim != 1:
            raise ValueError(f"y must have shape (n,), got {self.y.shape}")
        self.activation = get_activation(activation)
        self.output = check_array("output", output, ndim=1)
        self.n, self.d = self.X.shape
        self.k = len(self.output)
        self.shape = (self.k, self.d)
        weight = check_sample_weight(sample_weight, self.n)
        self._weight = None if weight is None else weight / weight.mean()
        self.fit_intercept = bool(fit_intercept)

    def _images(self, weights: npt.ArrayLike) -> Array:
        return self.X @ check_array("weights", weights, shape=(self.k, self.d)).T

    def _weighted(self, values: Array) -> Array:
        return values if self._weight is None else (values.T * self._weight).T

    def _centred(self, values: Array) -> Array:
        """Take the best constant off, if there is one."""
        return values - self._weighted(values).mean(axis=0) if self.fit_intercept else values

    def intercept(self, weights: npt.ArrayLike) -> float:
        """Return the constant that fits best beside these weights; zero if none is fitted.

        Parameters
        ----------
        weights : (k, d) array_like

        Returns
        -------
        float
        """
        left = self.y - self.activation(self._images(weights)) @ self.output
        return float(self._weighted(left).mean()) if self.fit_intercept else 0.0

    def residual(self, weights: npt.ArrayLike) -> Array:
        """Return prediction less label.

        Parameters
        ----------
        weights : (k, d) array_like

        Returns
        -------
        (n,) array
        """
        return self._centred(np.asarray(self.activation(self._images(weights)) @ self.output - self.y))

    def _weighted_residual(self, weights: npt.ArrayLike) -> Array:
        """Return the residual times the weights of the samples, (n,)."""
        return self._weighted(self.residual(weights))

    def value_and_gradient(self, weights: npt.ArrayLike) -> tuple[float, Array]:
        r"""Return the risk and :math:`\partial f/\partial w_j = \frac1n\sum r v_j\phi'(w_j^\top x)\,x`.

        Parameters
        ----------
        weights : (k, d) array_like

        Returns
        -------
        value : float
        gradient : (k, d) array
        """
        images = self._images(weights)
        residual = self._centred(self.activation(images) @ self.output - self.y)
        weighted = self._weighted(residual)
        slopes = self.activation.derivative(1, images)
        slopes *= weighted[:, None]
        gradient = (slopes * self.output).T @ self.X / self.n
        return float(residual @ weighted) / (2.0 * self.n), gradient

    def curvature(self, weights: npt.ArrayLike) -> Curvature:
        r"""Return the part of the Hessian without :math:`\phi''`, formed for few parameters.

        Above, its damped systems are solved by conjugate gradients, in O(n d k) per product.

        Parameters
        ----------
        weights : (k, d) array_like

        Returns
        -------
        Curvature
        """
        slopes = self.activation.derivative(1, self._images(weights)) * self.output
        diagonal = self._weighted(slopes**2).T @ self.X**2 / self.n - self._mean_slope(slopes) ** 2
        scale = np.maximum(diagonal, 1e-8 * diagonal.max() + 1e-300)
        if self.k * self.d > _FORMED:
            return _SampledNormal(self, slopes, scale)
        return NormalMatrix(self._normal(slopes[:, :, None] * self.X[:, None, :]), scale)

    def _normal(self, jacobian: Array) -> Array:
        r"""Return :math:`\frac1n J^\top J` of derivatives of the prediction, (n, ...)."""
        jacobian = self._centred(jacobian.reshape(self.n, -1))
        return np.asarray(jacobian.T @ self._weighted(jacobian) / self.n)

    def _normal_product(self, slopes: Array, direction: Array) -> Array:
        r"""Return :math:`\frac1n J^\top J` times a direction, (k, d), J from the units' slopes (n, k)."""
        along = self._centred(np.einsum("nk,nk->n", slopes, self.X @ direction.T))
        return np.asarray((slopes * self._weighted(along)[:, None]).T @ self.X / self.n)

    def _mean_slope(self, slopes: Array) -> Array:
        """Return what an intercept takes off the Jacobian, (k, d)."""
        if not self.fit_intercept:
            return np.zeros((self.k, self.d))
        return np.asarray(self._weighted(slopes).T @ self.X / self.n)

    def _bends(self, weights: npt.ArrayLike) -> tuple[Array, Array]:
        r"""Return :math:`v_j\phi'(w_j^\top x)` and :math:`r\,v_j\phi''(w_j^\top x)`, (n, k) each."""
        images = self._images(weights)
        residual = self._centred(self.activation(images) @ self.output - self.y)
        slopes = self.activation.derivative(1, images) * self.output
        return slopes, residual[:, None] * self.activation.derivative(2, images) * self.output

    def hessian_product(self, weights: npt.ArrayLike, direction: npt.ArrayLike) -> Array:
        """Return the Hessian times a direction, in O(n d k).

        Parameters
        ----------
        weights, direction : (k, d) array_like

        Returns
        -------
        (k, d) array

        Raises
        ------
        ValueError
            If a shape does not fit or a number is not finite.
        """
        slopes, bends = self._bends(weights)
        along = self.X @ check_array("direction", direction, shape=(self.k, self.d)).T
        change = slopes * self._centred(np.sum(slopes * along, axis=1))[:, None] + bends * along
        return np.asarray(self._weighted(change).T @ self.X / self.n)

    def hessian(self, weights: npt.ArrayLike) -> Array:
        r"""Return the Hessian, neuron by neuron. ZS Section 4.

        .. math:: H_{jl} = \frac1n\sum \big(v_jv_l\phi'(w_j^\top x)\phi'(w_l^\top x)
                  + \delta_{jl}\,r\,v_j\phi''(w_j^\top x)\big)\,xx^\top

        At kinks the Dirac part of :math:`\phi''` is missing; at the true weights of noiseless labels
        r = 0 and nothing is missing.

        Parameters
        ----------
        weights : (k, d) array_like

        Returns
        -------
        (k d, k d) array
        """
        slopes, bends = self._bends(weights)
        k, d = self.k, self.d
        full = np.empty((k, d, k, d))
        for j in range(k):
            for l in range(j, k):
                weight = slopes[:, j] * slopes[:, l]
                if j == l:
                    weight = weight + bends[:, j]
                block = (self.X * self._weighted(weight)[:, None]).T @ self.X / self.n
                full[j, :, l, :] = block
                full[l, :, j, :] = block.T
        mean = self._mean_slope(slopes).ravel()
        return full.reshape(k * d, k * d) - np.outer(mean, mean)


class SquareLossOfBoth(LeastSquares):
    r"""The same risk as a function of W and v, which are the columns of one array (k, d + 1).

    Approach II of ZS Figure 1(c), where the output's weights are learned too.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like
    activation : str or Activation
    sample_weight : (n,) array_like, optional
    fit_intercept : bool
        As in `SquareLoss`.

    Raises
    ------
    ValueError
        If shapes do not fit or a number is not finite.

    Examples
    --------
    >>> loss = SquareLossOfBoth([[1.0, 0.0], [0.0, 2.0]], [1.0, 0.0], "relu")
    >>> loss.gradient(np.array([[1.0, 1.0, 1.0]]))
    array([[0., 2., 2.]])
    """

    def __init__(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        activation: str | Activation,
        *,
        sample_weight: npt.ArrayLike | None = None,
        fit_intercept: bool = False,
    ) -> None:
        self.X, self.y = check_samples(X, y)
        if self.y.ndim != 1:
            raise ValueError(f"y must have shape (n,), got {self.y.shape}")
        self.activation = get_activation(activation)
        self.shape = (None, self.X.shape[1] + 1)
        self._sample_weight = check_sample_weight(sample_weight, len(self.y))
        self._fit_intercept = fit_intercept

    def _fixed(self, output: Array) -> SquareLoss:
        """Return the risk as a function of W alone."""
        return SquareLoss(
            self.X,
            self.y,
            self.activation,
            output,
            sample_weight=self._sample_weight,
            fit_intercept=self._fit_intercept,
        )

    def intercept(self, weights: Array) -> float:
        """Return the constant that fits best beside these weights; zero if none is fitted.

        Parameters
        ----------
        weights : (k, d + 1) array

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the weights have another shape.
        """
        weights = check_array("weights", weights, shape=self.shape)
        return self._fixed(weights[:, -1]).intercept(weights[:, :-1])

    def value_and_gradient(self, weights: Array) -> tuple[float, Array]:
        weights = check_array("weights", weights, shape=self.shape)
        hidden, fixed = weights[:, :-1], self._fixed(weights[:, -1])
        value, gradient = fixed.value_and_gradient(hidden)
        units = self.activation(self.X @ hidden.T)
        return value, np.column_stack([gradient, units.T @ fixed._weighted_residual(hidden) / len(self.y)])

    def curvature(self, weights: Array) -> NormalMatrix:
        weights = check_array("weights", weights, shape=self.shape)
        hidden, fixed = weights[:, :-1], self._fixed(weights[:, -1])
        images = self.X @ hidden.T
        slopes = self.activation.derivative(1, images) * fixed.output
        moved = slopes[:, :, None] * self.X[:, None, :]
        normal = fixed._normal(np.concatenate([moved, self.activation(images)[:, :, None]], axis=2))
        diagonal = np.diag(normal).reshape(weights.shape)
        return NormalMatrix(normal, np.maximum(diagonal, 1e-8 * diagonal.max() + 1e-300))


class _SampledNormal(Curvature):
    """The normal matrix J^T J / n kept as its sample; systems are solved by conjugate gradients."""

    def __init__(self, loss: SquareLoss, slopes: Array, scale: Array) -> None:
        super().__init__(scale)
        self._loss, self._slopes = loss, slopes

    def solve(self, right: Array, damping: float) -> Array:
        """Solve with a Jacobi preconditioner."""
        shift = damping * self.scale
        inverse = 1.0 / (self.scale + shift)
        found, residual = np.zeros_like(right), right
        conditioned = inverse * residual
        direction = conditioned
        square = float(np.sum(residual * conditioned))
        goal = 1e-6 * square
        for _ in range(60):
            if square <= goal:
                break
            image = self._loss._normal_product(self._slopes, direction) + shift * direction
            length = square / float(np.sum(direction * image))
            found = found + length * direction
            residual = residual - length * image
            conditioned = inverse * residual
            square, before = float(np.sum(residual * conditioned)), square
            direction = conditioned + (square / before) * direction
        return found


def levenberg_marquardt(
    loss: SquareLoss | SquareLossOfBoth, start: npt.ArrayLike, *, max_iter: int = 100, tol: float = 1e-24
) -> Descent:
    r"""Minimise the risk by damped Gauss-Newton steps, quadratic in the end for noiseless labels.

    Parameters
    ----------
    loss : SquareLoss or SquareLossOfBoth
    start : (k, d) or (k, d + 1) array_like
    max_iter : int
    tol : float
        Stop when the risk falls to this share of that of the zero network, or stops falling.

    Returns
    -------
    Descent

    Raises
    ------
    ValueError
        If the shape of the start does not fit or a number is outside its range.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((200, 2))
    >>> loss = SquareLoss(X, np.maximum(X[:, 0], 0.0) ** 2, "squared_relu", [1.0])
    >>> levenberg_marquardt(loss, [[0.8, 0.3]]).weights.round(6) + 0.0
    array([[1., 0.]])
    """
    check_instance("loss", loss, SquareLoss, SquareLossOfBoth)
    start = check_array("start", start, shape=loss.shape)
    target = check_number("tol", tol) * float(loss.y @ loss.y) / (2.0 * len(loss.y))
    stalled = 0

    def stop(step: DampedStep) -> bool:
        nonlocal stalled
        if step.accepted:
            stalled = stalled + 1 if step.gain <= 1e-6 * (step.value + step.gain) else 0
        return step.value <= target or stalled >= 3

    return damped_newton(loss, start, max_iter=max_iter, stop=stop)


# --- the population Hessian at the true weights --------------------------------------------------------


@finite_result("weights or output")
def population_hessian(
    weights: npt.ArrayLike, activation: str | Activation, output: npt.ArrayLike | None = None
) -> Array:
    r"""Return :math:`\nabla^2 f_D(W^*)`, blocks :math:`v_jv_l E[\phi'(w_j^\top x)\phi'(w_l^\top x)xx^\top]`.

    In the plane of :math:`w_j, w_l` the expectation is a 2 x 2 matrix, on its complement a multiple
    of the identity. Both are integrated in polar coordinates: for breakpoints at zero (all of the
    slides' activations) the angular pieces are smooth, so Gauss-Legendre is exact to rounding.

    Parameters
    ----------
    weights : (k, d) array_like
    activation : str or Activation
    output : (k,) array_like, optional
        Ones by default.

    Returns
    -------
    (k d, k d) array

    Raises
    ------
    ValueError
        If the activation has breakpoints other than zero, or a row of the weights is zero.

    Examples
    --------
    >>> population_hessian(np.eye(2), "linear")[0].round(6) + 0.0
    array([1., 0., 1., 0.])
    """
    weights, activation = _without_zeros(weights), get_activation(activation)
    k, d = weights.shape
    output = np.ones(k) if output is None else check_array("output", output, shape=(k,))
    if any(b != 0.0 for b in activation.breakpoints):
        raise ValueError(f"activation {activation.name!r} must have no breakpoints other than 0")
    full = np.empty((k, d, k, d))
    for j in range(k):
        for l in range(j, k):
            block = output[j] * output[l] * _pair_block(weights[j], weights[l], activation)
            full[j, :, l, :] = block
            full[l, :, j, :] = block.T
    return full.reshape(k * d, k * d)


def _without_zeros(weights: npt.ArrayLike) -> Array:
    weights = check_array("weights", weights, ndim=2)
    if not weights.any(axis=1).all():
        raise ValueError("weights must not have a zero row")
    return weights


def _pair_block(first: Array, second: Array, activation: Activation) -> Array:
    """Return E[phi'(first.x) phi'(second.x) x x^T] for x ~ N(0, I)."""
    d = len(first)
    norm = float(np.linalg.norm(first))
    one = first / norm
    along = float(second @ one)
    rest = second - along * one
    across = float(np.linalg.norm(rest))
    if across <= 1e-12 * float(np.linalg.norm(second)):
        across = 0.0
    points, weights = _plane_rule(np.arctan2(across, along))
    slopes = activation.derivative(1, norm * points[0]) * activation.derivative(
        1, along * points[0] + across * points[1]
    )
    weighted = weights * slopes
    plane = (points * weighted) @ points.T
    scalar = float(weighted.sum())
    if d == 1:
        return plane[:1, :1]
    # An arbitrary second axis will do when the two weights are parallel.
    two = rest / across if across else _orthogonal_to(one)
    frame = np.stack([one, two])
    return np.asarray(scalar * (np.eye(d) - frame.T @ frame) + frame.T @ plane @ frame)


def _orthogonal_to(vector: Array) -> Array:
    other = np.zeros(len(vector))
    other[int(np.argmin(np.abs(vector)))] = 1.0
    other -= (other @ vector) * vector
    return np.asarray(other / np.linalg.norm(other))


def _plane_rule(angle: float, size: int = 48) -> tuple[Array, Array]:
    """Return points (2, m) and weights of E over N(0, I_2), split where either image changes sign."""
    nodes, mass = np.polynomial.legendre.leggauss(size)
    edges = np.unique(np.mod([np.pi / 2, 3 * np.pi / 2, angle + np.pi / 2, angle - np.pi / 2], 2 * np.pi))
    edges = np.append(edges, edges[0] + 2 * np.pi)
    middle, half = (edges[1:] + edges[:-1]) / 2.0, (edges[1:] - edges[:-1]) / 2.0
    angles = (middle[:, None] + half[:, None] * nodes).ravel()
    angular = (half[:, None] * mass).ravel()
    # The radius has density r exp(-r^2/2), negligible beyond 9.
    panels = np.linspace(0.0, 9.0, 7)
    radii = ((panels[1:] + panels[:-1])[:, None] / 2 + np.diff(panels)[:, None] / 2 * nodes).ravel()
    radial = (np.diff(panels)[:, None] / 2 * mass).ravel() * radii * np.exp(-(radii**2) / 2) / (2 * np.pi)
    points = radii * np.stack([np.cos(angles), np.sin(angles)])[:, :, None]
    return points.reshape(2, -1), np.outer(angular, radial).ravel()


@dataclass(frozen=True, eq=False, repr=False)
class ConvexityConstants(Result):
    r"""The constants of ZS Definition 4.1 and Theorem 4.2, up to the theorem's hidden factors.

    Attributes
    ----------
    kappa : float
        :math:`\sigma_1/\sigma_k`.
    lam : float
        :math:`\lambda = \prod_i\sigma_i / \sigma_k^k`.
    rho : float
        :math:`\rho(\sigma_k)`.
    lower : float
        :math:`v_{\min}^2\,\rho(\sigma_k)/(\kappa^2\lambda)`, to which m_0 is proportional.
    upper : float
        :math:`k\,v_{\max}^2\,\sigma_1^{2p}`, to which M_0 is proportional.
    m0, M0 : float
        The sharp values: extreme eigenvalues of the population Hessian at the true weights.

    Examples
    --------
    >>> found = convexity_constants(np.diag([1.0, 2.0]), "relu")
    >>> found.kappa, found.lam, found.lower <= found.m0 <= found.M0 <= found.upper
    (2.0, 2.0, True)
    """

    kappa: float
    lam: float
    rho: float
    lower: float
    upper: float
    m0: float
    M0: float


def convexity_constants(
    weights: npt.ArrayLike, activation: str | Activation, output: npt.ArrayLike | None = None
) -> ConvexityConstants:
    r"""Return kappa, lambda, rho and both versions of m_0, M_0 at the true weights.

    The growth exponent p of :math:`\phi'` is q - 1 for an activation homogeneous of degree q, and 0
    for one with bounded derivative.

    Parameters
    ----------
    weights : (k, d) array_like
    activation : str or Activation
    output : (k,) array_like, optional
        Ones by default.

    Returns
    -------
    ConvexityConstants

    Raises
    ------
    ValueError
        If the weights have not full row rank, or the activation has breakpoints other than zero.

    References
    ----------
    .. [1] ZS Definition 4.1, Theorem 4.2.

    Examples
    --------
    >>> found = convexity_constants(np.eye(2), "relu")
    >>> found.kappa, found.lam, bool(0.09 < found.rho <= found.m0)
    (1.0, 1.0, True)
    """
    weights, activation = _without_zeros(weights), get_activation(activation)
    k = len(weights)
    output = np.ones(k) if output is None else check_array("output", output, shape=(k,))
    sigma = np.linalg.svd(weights, compute_uv=False)
    if sigma[-1] <= 1e-12 * sigma[0]:
        raise ValueError("weights must have full row rank; lambda and kappa are infinite otherwise")
    kappa, lam = float(sigma[0] / sigma[-1]), float(np.prod(sigma / sigma[-1]))
    rho = activation.rho(float(sigma[-1]))
    power = (activation.homogeneity or 1) - 1
    with np.errstate(over="ignore"):
        upper = check_result("weights or output", k * np.max(output**2) * sigma[0] ** (2 * power))
    values = np.linalg.eigvalsh(population_hessian(weights, activation, output))
    return ConvexityConstants(
        kappa,
        lam,
        rho,
        float(np.min(output**2)) * rho / (kappa**2 * lam),
        float(upper),
        float(values[0]),
        float(values[-1]),
    )
