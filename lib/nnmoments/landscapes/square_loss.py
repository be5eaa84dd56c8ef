r"""The square loss of a one-hidden-layer network: derivatives, local convexity, descent. ZS."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from nnmoments.activations import Activation
from nnmoments.validation import Array, check_array, check_integer, check_number, check_samples

__all__ = [
    "ConvexityConstants",
    "Descent",
    "SquareLoss",
    "convexity_constants",
    "gradient_descent",
    "levenberg_marquardt",
    "population_hessian",
]


class SquareLoss:
    r"""The empirical risk :math:`\hat f_S(W) = \frac1{2n}\sum_s (\sum_i v_i\phi(w_i^\top x_s) - y_s)^2`.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like
    activation : Activation
    output : (k,) array_like
        v, held fixed.

    References
    ----------
    .. [1] ZS (2), arXiv:1706.03175.

    Examples
    --------
    >>> from nnmoments.activations import relu
    >>> loss = SquareLoss([[1.0, 0.0], [0.0, 2.0]], [1.0, 0.0], relu, [1.0])
    >>> loss([[1.0, 1.0]]), loss.gradient([[1.0, 1.0]])
    (1.0, array([[0., 2.]]))
    """

    def __init__(
        self, X: npt.ArrayLike, y: npt.ArrayLike, activation: Activation, output: npt.ArrayLike
    ) -> None:
        self.X, self.y = check_samples(X, y)
        if self.y.ndim != 1:
            raise ValueError(f"y must have shape (n,), got {self.y.shape}")
        self.activation = activation
        self.output = check_array("output", output, ndim=1)
        self.n, self.d = self.X.shape
        self.k = len(self.output)

    def residual(self, weights: npt.ArrayLike) -> Array:
        """Return prediction less label, (n,)."""
        return np.asarray(self.activation(self._images(weights)) @ self.output - self.y)

    def _images(self, weights: npt.ArrayLike) -> Array:
        return self.X @ check_array("weights", weights, shape=(self.k, self.d)).T

    def __call__(self, weights: npt.ArrayLike) -> float:
        """Return the risk."""
        return float(np.sum(self.residual(weights) ** 2)) / (2.0 * self.n)

    def gradient(self, weights: npt.ArrayLike) -> Array:
        r"""Return :math:`\partial f/\partial w_j = \frac1n\sum r\,v_j\phi'(w_j^\top x)\,x`, (k, d)."""
        return self.value_and_gradient(weights)[1]

    def value_and_gradient(self, weights: npt.ArrayLike) -> tuple[float, Array]:
        """Return the risk and its gradient from one pass."""
        images = self._images(weights)
        residual = self.activation(images) @ self.output - self.y
        slopes = self.activation.derivative(1, images)
        slopes *= residual[:, None]
        gradient = (slopes * self.output).T @ self.X / self.n
        return float(residual @ residual) / (2.0 * self.n), gradient

    def curvatures(self, weights: npt.ArrayLike) -> tuple[Array, Array]:
        r"""Return :math:`v_j\phi'(w_j^\top x)` and :math:`r\,v_j\phi''(w_j^\top x)`, (n, k) each."""
        images = self._images(weights)
        residual = self.activation(images) @ self.output - self.y
        slopes = self.activation.derivative(1, images) * self.output
        return slopes, residual[:, None] * self.activation.derivative(2, images) * self.output

    def hessian_product(self, weights: npt.ArrayLike, direction: npt.ArrayLike) -> Array:
        """Return the Hessian times a direction, (k, d), in O(n d k)."""
        slopes, bends = self.curvatures(weights)
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
        slopes, bends = self.curvatures(weights)
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


@dataclass(frozen=True)
class ConvexityConstants:
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


# --- descent -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Descent:
    """Where a descent ended.

    Attributes
    ----------
    weights : (k, d) array
    output : (k,) array
        As given, unless it was learned too.
    history : (t,) array
        The risk before each step and at the end.
    iterations : int
    converged : bool
    status : str
    """

    weights: Array = field(repr=False)
    output: Array
    history: Array = field(repr=False)
    iterations: int
    converged: bool
    status: str


def gradient_descent(
    loss: SquareLoss,
    weights: npt.ArrayLike,
    *,
    step: float = 0.02,
    iterations: int = 1000,
    tol: float = 0.0,
    learn_output: bool = False,
    resample: Callable[[], tuple[Array, Array]] | None = None,
    stop: Callable[[Array], bool] | None = None,
) -> Descent:
    r"""Plain gradient descent, :math:`W \leftarrow W - \eta\nabla\hat f_S(W)`. ZS Algorithm 2.

    Parameters
    ----------
    loss : SquareLoss
    weights : (k, d) array_like
        Where to start.
    step : float
        eta; the experiments of the paper use 0.02.
    iterations : int
    tol : float
        Stop when the risk falls to this value.
    learn_output : bool
        Descend in v too (approach II of the paper's Figure 1(c)).
    resample : callable, optional
        Returns fresh (X, y) for each step, as the theorem wants; the paper's experiments do not.
    stop : callable, optional
        Told the weights every tenth step; the descent ends when it returns True.

    Examples
    --------
    >>> from nnmoments.activations import linear
    >>> loss = SquareLoss([[1.0], [2.0]], [3.0, 6.0], linear, [1.0])
    >>> gradient_descent(loss, [[0.0]], step=0.2, iterations=100).weights.round(6)
    array([[3.]])
    """
    weights = np.array(check_array("weights", weights, shape=(loss.k, loss.d)))
    step = check_number("step", step, above=0.0)
    history: list[float] = []
    limit = check_integer("iterations", iterations, 0)
    done = 0
    while True:
        if resample is not None:
            loss = SquareLoss(*resample(), loss.activation, loss.output)
        value, gradient = loss.value_and_gradient(weights)
        history.append(value)
        if not np.isfinite(value) or value > 1e12 * (1.0 + history[0]):
            status = f"diverged after {done} steps; lower the step {step:g} or start nearer"
            return Descent(weights, loss.output, np.array(history), done, False, status)
        if value <= tol or (stop is not None and done % 10 == 0 and stop(weights)):
            break
        if done == limit:
            status = f"{done} steps, risk {value:.2e}; raise iterations for less"
            return Descent(weights, loss.output, np.array(history), done, False, status)
        if learn_output:
            hidden = loss.activation(loss.X @ weights.T)
            slope = hidden.T @ (hidden @ loss.output - loss.y) / loss.n
            loss = SquareLoss(loss.X, loss.y, loss.activation, loss.output - step * slope)
        weights = weights - step * gradient
        done += 1
    return Descent(weights, loss.output, np.array(history), done, True, f"converged after {done} steps")


def levenberg_marquardt(
    loss: SquareLoss, weights: npt.ArrayLike, *, iterations: int = 100, tol: float = 1e-24
) -> Descent:
    r"""Minimise the risk by damped Gauss-Newton steps, quadratic in the end for noiseless labels.

    The normal matrix is that of the Hessian without its :math:`\phi''` part. Up to 200 parameters it
    is formed and factored; above, the damped system is solved by conjugate gradients in O(n d k) a
    product.

    Parameters
    ----------
    loss : SquareLoss
    weights : (k, d) array_like
    iterations : int
    tol : float
        Stop when the risk falls to this share of that of the zero network, or stops falling.

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> X = np.random.default_rng(0).standard_normal((200, 2))
    >>> loss = SquareLoss(X, squared_relu(X[:, 0]), squared_relu, [1.0])
    >>> levenberg_marquardt(loss, [[0.8, 0.3]]).weights.round(6) + 0.0
    array([[1., 0.]])
    """
    point = check_array("weights", weights, shape=(loss.k, loss.d))
    X, n, k, d = loss.X, loss.n, loss.k, loss.d
    target = tol * float(loss.y @ loss.y) / (2.0 * n)
    value = loss(point)
    history, damping, growth, stalled = [value], 1e-3, 2.0, 0
    for _ in range(check_integer("iterations", iterations, 1)):
        images = loss._images(point)
        residual = loss.activation(images) @ loss.output - loss.y
        slopes = loss.activation.derivative(1, images) * loss.output
        gradient = (slopes * residual[:, None]).T @ X / n
        diagonal = (slopes**2).T @ X**2 / n
        diagonal = np.maximum(diagonal, 1e-8 * diagonal.max() + 1e-300)
        if k * d <= 200:
            jacobian = (slopes[:, :, None] * X[:, None, :]).reshape(n, -1)
            normal = jacobian.T @ jacobian / n
            normal[np.diag_indices_from(normal)] += damping * diagonal.ravel()
            move = -cho_solve(cho_factor(normal), gradient.ravel()).reshape(k, d)
        else:
            move = _damped_solve(X, slopes, gradient, damping * diagonal, diagonal)
        trial = point + move
        new = loss(trial)
        # Predicted decrease of the damped model.
        predicted = -0.5 * float(np.sum(move * (gradient - damping * diagonal * move)))
        ratio = (value - new) / predicted if predicted > 0 else -1.0
        if ratio > 0 and new < value:
            stalled = stalled + 1 if value - new <= 1e-6 * value else 0
            point, value = trial, new
            damping *= max(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0) ** 3)
            growth = 2.0
        else:
            damping *= growth
            growth *= 2.0
        history.append(value)
        if value <= target or stalled >= 3 or damping > 1e12:
            break
    converged = value <= target or stalled >= 3
    done = len(history) - 1
    status = f"risk {value:.2e} after {done} steps"
    if not converged:
        status += "; raise iterations or start elsewhere"
    return Descent(point, loss.output, np.array(history), done, converged, status)


def _damped_solve(X: Array, slopes: Array, gradient: Array, shift: Array, scale: Array) -> Array:
    """Solve (J^T J / n + shift) move = -gradient by Jacobi-preconditioned conjugate gradients."""
    n = len(X)
    inverse = 1.0 / (scale + shift)
    move = np.zeros_like(gradient)
    residual = -gradient
    conditioned = inverse * residual
    direction = conditioned
    square = float(np.sum(residual * conditioned))
    goal = 1e-6 * square
    for _ in range(60):
        along = np.einsum("nk,nk->n", slopes, X @ direction.T)
        image = (slopes * along[:, None]).T @ X / n + shift * direction
        length = square / float(np.sum(direction * image))
        move = move + length * direction
        residual = residual - length * image
        conditioned = inverse * residual
        new = float(np.sum(residual * conditioned))
        if new < goal:
            break
        direction = conditioned + (new / square) * direction
        square = new
    return move
