r"""Algorithm 2 of ZS as printed: initialise by the tensor method, then descend on fresh samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from nnmoments.activations import Activation
from nnmoments.landscapes import SquareLoss
from nnmoments.optimize import Descent, Loss, gradient_descent
from nnmoments.results import Result
from nnmoments.tensors.initialization import TensorInitialization, check_problem
from nnmoments.tensors.zs_algorithm1 import tensor_method
from nnmoments.validation import Array, check_instance, check_integer, check_number, check_rng

__all__ = ["TensorDescent", "descend_in_batches", "tensor_descent"]


@dataclass(frozen=True, eq=False, repr=False)
class TensorDescent(Result):
    """The network of Algorithm 2.

    Attributes
    ----------
    weights : (k, d) array
    output : (k,) array
        As the initialisation found it.
    initialization : TensorInitialization
    descent : Descent
    converged : bool
    status : str

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((5000, 2))
    >>> found = tensor_descent(X, np.maximum(X[:, 0], 0.0) ** 2, 1, "squared_relu", rng=0)
    >>> bool(found.descent.value < 1e-9), found.initialization.output is found.output
    (True, True)
    """

    weights: Array
    output: Array
    initialization: TensorInitialization = field(repr=False)
    descent: Descent = field(repr=False)
    converged: bool
    status: str


def tensor_descent(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    k: int,
    activation: str | Activation,
    *,
    step: float = 0.02,
    max_iter: int = 1000,
    n_batches: int = 1,
    rng: Any = None,
) -> TensorDescent:
    r"""Learn :math:`E[y|x] = \sum_i v_i\phi(\langle w_i, x\rangle)`, x ~ N(0, I), by ZS's Algorithm 2.

    .. math:: W^{(q+1)} = W^{(q)} - \eta\nabla\hat f_{S_{q+1}}(W^{(q)})

    `nnmoments.learners.TensorNetwork` is the better estimate: `tensor_initialize`, then damped steps of
    Gauss and Newton.

    Parameters
    ----------
    X : (n, d) array_like
        Standard Gaussian inputs.
    y : (n,) array_like
    k : int
        Number of neurons, at most d.
    activation : str or Activation
    step : float
        eta; the experiments of the paper use 0.02.
    max_iter : int
        T.
    n_batches : int
        q: the sample is cut in q + 1 parts, the first for the initialisation, and each step takes the
        next of the others in turn. With one, everything takes all of the sample, as the paper's
        experiments do.
    rng : optional
        Seed or generator of the partition and the initialisation.

    Returns
    -------
    TensorDescent

    Raises
    ------
    ValueError
        If k > d, shapes do not fit, or no moment of this activation identifies the weights.

    References
    ----------
    .. [1] K. Zhong, Z. Song, P. Jain, P. L. Bartlett, I. S. Dhillon, arXiv:1706.03175, Algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((20_000, 3))
    >>> y = np.maximum(2 * X[:, 0], 0) ** 2 - np.maximum(X[:, 1], 0) ** 2
    >>> found = tensor_descent(X, y, 2, "squared_relu", n_batches=9, rng=0)
    >>> np.sort(np.linalg.norm(found.weights, axis=1)).round(4)
    array([1., 2.])
    """
    S = check_problem(X, y, k, activation)
    n_batches = check_integer("n_batches", n_batches, 1, len(S.X) - 1)
    max_iter, step = check_integer("max_iter", max_iter, 0), check_number("step", step, above=0.0)
    rng = check_rng("rng", rng)
    S0, *batches = S.parts(n_batches + 1, rng) if n_batches > 1 else [S, S]  # line 4
    start = tensor_method(S0.X, S0.y, S0.k, S0.activation, rng=rng)  # line 5; line 6: v stays
    losses = [SquareLoss(part.X, part.y, S.activation, start.output) for part in batches]
    found = descend_in_batches(losses, start.weights, step=step, max_iter=max_iter)  # lines 7 to 9
    return TensorDescent(found.weights, start.output, start, found, found.converged, found.status)


def descend_in_batches(
    losses: Sequence[Loss], start: npt.ArrayLike, *, step: float, max_iter: int
) -> Descent:
    """Descend by gradients, each step by that of the next loss in turn.

    Parameters
    ----------
    losses : sequence of Loss
        One a batch.
    start : (k, d) array_like
    step : float
    max_iter : int

    Returns
    -------
    Descent

    Raises
    ------
    ValueError
        If there are no losses, or they are of other weights.

    Examples
    --------
    >>> losses = [SquareLoss([[x]], [3.0 * x], "linear", [1.0]) for x in (1.0, 2.0)]
    >>> descend_in_batches(losses, [[0.0]], step=0.2, max_iter=50).weights.round(6)
    array([[3.]])
    """
    if not isinstance(losses, Sequence) or not losses:
        raise ValueError(f"losses must be a sequence of losses, got {losses!r}")
    for loss in losses:
        check_instance("losses", loss, Loss)
    turn = iter(range(check_integer("max_iter", max_iter, 0) + 1))
    return gradient_descent(
        losses[0], start, step=step, max_iter=max_iter, fresh=lambda: losses[next(turn) % len(losses)]
    )
