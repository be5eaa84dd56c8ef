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
    Loss,
    NormalMatrix,
    SmoothLoss,
    damped_newton,
)
from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_number, check_samples

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
        self, X: npt.ArrayLike, y: npt.ArrayLike, activation: str | Activation, output: npt.ArrayLike
    ) -> None:
        self.X, self.y = check_samples(X, y)
        if self.y.ndim != 1:
            raise ValueError(f"y must have shape (n,), got {self.y.shape}")
        self.activation = get_activation(activation)
        self.output = check_array("output", output, ndim=1)
        self.n, self.d = self.X.shape
        self.k = len(self.output)

    def _images(self, weights: npt.ArrayLike) -> Array:
        return self.X @ check_array("weights", weights, shape=(self.k, self.d)).T

    def residual(self, weights: npt.ArrayLike) -> Array:
        """Return prediction less label, (n,)."""
        return np.asarray(self.activation(self._images(weights)) @ self.output - self.y)

    def value_and_gradient(self, weights: npt.ArrayLike) -> tuple[float, Array]:
        r"""Return the risk and :math:`\partial f/\partial w_j = \frac1n\sum r v_j\phi'(w_j^\top x)\,x`."""
        images = self._images(weights)
        residual = self.activation(images) @ self.output - self.y
        slopes = self.activation.derivative(1, images)
        slopes *= residual[:, None]
        gradient = (slopes * self.output).T @ self.X / self.n
        return float(residual @ residual) / (2.0 * self.n), gradient

    def curvature(self, weights: npt.ArrayLike) -> Curvature:
        r"""Return the part of the Hessian without :math:`\phi''`, formed for few parameters.

        Above, its damped systems are solved by conjugate gradients, in O(n d k) a product.
        """
        slopes = self.activation.derivative(1, self._images(weights)) * self.output
        diagonal = (slopes**2).T @ self.X**2 / self.n
        scale = np.maximum(diagonal, 1e-8 * diagonal.max() + 1e-300)
        if self.k * self.d > _FORMED:
            return _SampledNormal(self.X, slopes, scale)
        jacobian = (slopes[:, :, None] * self.X[:, None, :]).reshape(self.n, -1)
        return NormalMatrix(jacobian.T @ jacobian / self.n, scale)

    def _bends(self, weights: npt.ArrayLike) -> tuple[Array, Array]:
        r"""Return :math:`v_j\phi'(w_j^\top x)` and :math:`r\,v_j\phi''(w_j^\top x)`, (n, k) each."""
        images = self._images(weights)
        residual = self.activation(images) @ self.output - self.y
        slopes = self.activation.derivative(1, images) * self.output
        return slopes, residual[:, None] * self.activation.derivative(2, images) * self.output

    def hessian_product(self, weights: npt.ArrayLike, direction: npt.ArrayLike) -> Array:
        """Return the Hessian times a direction, (k, d), in O(n d k)."""
        slopes, bends = self._bends(weights)
        along = self.X @ check_array("direction", direction, shape=(self.k, self.d)).T
        change = slopes * np.sum(slopes * along, axis=1)[:, None] + bends * along
        return np.asarray(change.T @ self.X / self.n)

    def hessian(self, weights: npt.ArrayLike) -> Array:
        r"""Return the Hessian, (k d, k d), neuron by neuron. ZS Section 4.

        .. math:: H_{jl} = \frac1n\sum \big(v_jv_l\phi'(w_j^\top x)\phi'(w_l^\top x)
                  + \delta_{jl}\,r\,v_j\phi''(w_j^\top x)\big)\,xx^\top

        At kinks the Dirac part of :math:`\phi''` is missing; at the true weights of noiseless labels
        r = 0 and nothing is missing.
        """
        slopes, bends = self._bends(weights)
        k, d = self.k, self.d
        full = np.empty((k, d, k, d))
        for j in range(k):
            for l in range(j, k):
                weight = slopes[:, j] * slopes[:, l]
                if j == l:
                    weight = weight + bends[:, j]
                block = (self.X * weight[:, None]).T @ self.X / self.n
                full[j, :, l, :] = block
                full[l, :, j, :] = block.T
        return full.reshape(k * d, k * d)


class SquareLossOfBoth(Loss):
    r"""The same risk as a function of W and v, which are the columns of one array (k, d + 1).

    Approach II of ZS Figure 1(c), where the output's weights are learned too.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like
    activation : str or Activation

    Examples
    --------
    >>> loss = SquareLossOfBoth([[1.0, 0.0], [0.0, 2.0]], [1.0, 0.0], "relu")
    >>> loss.gradient(np.array([[1.0, 1.0, 1.0]]))
    array([[0., 2., 2.]])
    """

    def __init__(self, X: npt.ArrayLike, y: npt.ArrayLike, activation: str | Activation) -> None:
        self.X, self.y = check_samples(X, y)
        self.activation = get_activation(activation)

    def value_and_gradient(self, weights: Array) -> tuple[float, Array]:
        hidden, output = weights[:, :-1], weights[:, -1]
        fixed = SquareLoss(self.X, self.y, self.activation, output)
        value, gradient = fixed.value_and_gradient(hidden)
        units = self.activation(self.X @ hidden.T)
        return value, np.column_stack([gradient, units.T @ (units @ output - self.y) / len(self.y)])


class _SampledNormal(Curvature):
    """The normal matrix J^T J / n kept as its sample; systems are solved by conjugate gradients."""

    def __init__(self, X: Array, slopes: Array, scale: Array) -> None:
        super().__init__(scale)
        self._X, self._slopes = X, slopes

    def solve(self, right: Array, damping: float) -> Array:
        """Solve with a Jacobi preconditioner."""
        X, slopes, shift = self._X, self._slopes, damping * self.scale
        inverse = 1.0 / (self.scale + shift)
        found, residual = np.zeros_like(right), right
        conditioned = inverse * residual
        direction = conditioned
        square = float(np.sum(residual * conditioned))
        goal = 1e-6 * square
        for _ in range(60):
            if square <= goal:
                break
            along = np.einsum("nk,nk->n", slopes, X @ direction.T)
            image = (slopes * along[:, None]).T @ X / len(X) + shift * direction
            length = square / float(np.sum(direction * image))
            found = found + length * direction
            residual = residual - length * image
            conditioned = inverse * residual
            square, before = float(np.sum(residual * conditioned)), square
            direction = conditioned + (square / before) * direction
        return found


def levenberg_marquardt(
    loss: SquareLoss, start: npt.ArrayLike, *, max_iter: int = 100, tol: float = 1e-24
) -> Descent:
    r"""Minimise the risk by damped Gauss-Newton steps, quadratic in the end for noiseless labels.

    Parameters
    ----------
    loss : SquareLoss
    start : (k, d) array_like
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
    start = check_array("start", start, shape=(loss.k, loss.d))
    target = check_number("tol", tol) * float(loss.y @ loss.y) / (2.0 * loss.n)
    stalled = 0

    def stop(step: DampedStep) -> bool:
        nonlocal stalled
        if step.accepted:
            stalled = stalled + 1 if step.gain <= 1e-6 * (step.value + step.gain) else 0
        return step.value <= target or stalled >= 3

    return damped_newton(loss, start, max_iter=max_iter, stop=stop)


# --- the population Hessian at the true weights --------------------------------------------------------


def population_hessian(
    weights: npt.ArrayLike, activation: Activation, output: npt.ArrayLike | None = None
) -> Array:
    r"""Return :math:`\nabla^2 f_D(W^*)`, blocks :math:`v_jv_l E[\phi'(w_j^\top x)\phi'(w_l^\top x)xx^\top]`.

    In the plane of :math:`w_j, w_l` the expectation is a 2 x 2 matrix, on its complement a multiple
    of the identity. Both are integrated in polar coordinates: for breakpoints at zero (all of the
    slides' activations) the angular pieces are smooth, so Gauss-Legendre is exact to rounding.

    Parameters
    ----------
    weights : (k, d) array_like
    activation : Activation
    output : (k,) array_like, optional
        Ones by default.

    Raises
    ------
    ValueError
        If the activation has breakpoints other than zero.

    Examples
    --------
    >>> from nnmoments.activations import linear
    >>> population_hessian(np.eye(2), linear)[0].round(6) + 0.0
    array([1., 0., 1., 0.])
    """
    weights = check_array("weights", weights, ndim=2)
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
    """

    kappa: float
    lam: float
    rho: float
    lower: float
    upper: float
    m0: float
    M0: float


def convexity_constants(
    weights: npt.ArrayLike, activation: Activation, output: npt.ArrayLike | None = None
) -> ConvexityConstants:
    r"""Return kappa, lambda, rho and both versions of m_0, M_0 at the true weights.

    The growth exponent p of :math:`\phi'` is q - 1 for an activation homogeneous of degree q, and 0
    for one with bounded derivative.

    Examples
    --------
    >>> from nnmoments.activations import relu
    >>> found = convexity_constants(np.eye(2), relu)
    >>> found.kappa, found.lam, bool(0.09 < found.rho <= found.m0)
    (1.0, 1.0, True)
    """
    weights = check_array("weights", weights, ndim=2)
    k = len(weights)
    output = np.ones(k) if output is None else check_array("output", output, shape=(k,))
    sigma = np.linalg.svd(weights, compute_uv=False)
    if sigma[-1] <= 1e-12 * sigma[0]:
        raise ValueError("weights must have full row rank; lambda and kappa are infinite otherwise")
    kappa, lam = float(sigma[0] / sigma[-1]), float(np.prod(sigma / sigma[-1]))
    rho = activation.rho(float(sigma[-1]))
    power = (activation.homogeneity or 1) - 1
    values = np.linalg.eigvalsh(population_hessian(weights, activation, output))
    return ConvexityConstants(
        kappa,
        lam,
        rho,
        float(np.min(output**2)) * rho / (kappa**2 * lam),
        k * float(np.max(output**2)) * float(sigma[0]) ** (2 * power),
        float(values[0]),
        float(values[-1]),
    )
