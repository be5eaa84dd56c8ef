"""What an initialisation takes and returns, whichever way it goes."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation, get_activation
from nnmoments.results import Result
from nnmoments.tensors.decomposition import SymmetricDecomposition
from nnmoments.tensors.orders import MomentChoice
from nnmoments.tensors.subspace import Subspace
from nnmoments.validation import Array, check_array, check_integer, check_sample_weight, check_samples

__all__ = ["Problem", "TensorInitialization", "check_problem"]

# Rows that tell the size of the inputs: all of them may be on disk.
_SOME = 4096


@dataclass(frozen=True, eq=False, repr=False)
class TensorInitialization(Result):
    """First weights and outputs of a network, and the steps that led to them.

    Attributes
    ----------
    weights : (k, d) array
        Rows are neurons.
    output : (k,) array
        v; +-1 for homogeneous activations.
    subspace : Subspace
        The estimated span of the weights.
    decomposition : SymmetricDecomposition
        Of the tensor in that span; its residual is the noise in R_3, from 0 to 1.
    choice : MomentChoice
        The orders of the moments that were used.
    unexplained : float
        Share of the labels' variance that the network found leaves.
    n_iter : int
        Estimates that were made; above one only with control variates.
    converged : bool
        Whether span and factors are determined: false where the tensor has no unique decomposition.
    status : str

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> X = np.random.default_rng(0).standard_normal((20_000, 2))
    >>> from nnmoments.tensors import tensor_initialize
    >>> found = tensor_initialize(X, squared_relu(X[:, 0]), 1, "squared_relu", rng=0)
    >>> found.output, bool(found.unexplained < 1e-3), found.choice.tensor
    (array([1.]), True, 3)
    """

    weights: Array
    output: Array
    subspace: Subspace = field(repr=False)
    decomposition: SymmetricDecomposition
    choice: MomentChoice = field(repr=False)
    unexplained: float
    n_iter: int
    converged: bool
    status: str


@dataclass(frozen=True, eq=False, repr=False)
class Problem(Result):
    """A checked sample, the number of neurons and their activation.

    Attributes
    ----------
    X : (n, d) array
    y : (n,) array
    sample_weight : (n,) array
        Of mean one.
    k : int
    activation : Activation
    """

    X: Array
    y: Array
    sample_weight: Array
    k: int
    activation: Activation

    @property
    def d(self) -> int:
        """Dimension of the inputs."""
        return self.X.shape[1]

    @property
    def weighted(self) -> Array:
        """Labels times weights of the samples, (n,): a moment is linear in the labels."""
        return self.y * self.sample_weight / self.sample_weight.mean()

    def parts(self, count: int, rng: np.random.Generator) -> list["Problem"]:
        """Cut the sample at random into `count` parts of like size. PARTITION of ZS."""
        pieces = [np.sort(part) for part in np.array_split(rng.permutation(len(self.X)), count)]
        return [Problem(self.X[i], self.y[i], self.sample_weight[i], self.k, self.activation) for i in pieces]

    def unexplained(self, prediction: Array) -> float:
        """Return the share of the labels' variance that a prediction leaves, whatever its constant."""

        def variance(values: Array) -> float:
            centred = values - np.average(values, weights=self.sample_weight)
            return float(np.average(centred**2, weights=self.sample_weight))

        return variance(self.y - prediction) / variance(self.y)


def check_problem(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    k: int,
    activation: str | Activation,
    sample_weight: npt.ArrayLike | None = None,
) -> Problem:
    """Return a checked learning problem; samples without weight are dropped.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like
    k : int
    activation : str or Activation
    sample_weight : (n,) array_like, optional

    Raises
    ------
    ValueError
        If k > d, shapes do not fit, values are not finite or of absurd size, or inputs or labels do not
        vary.

    Examples
    --------
    >>> check_problem(np.eye(3), [0.0, 1.0, 2.0], 2, "relu", [0.0, 3.0, 1.0]).sample_weight
    array([1.5, 0.5])
    """
    X, y = check_samples(X, y)
    y = check_array("y", y, ndim=1)
    d = X.shape[1]
    k = check_integer("k", k, 1)
    if k > d:
        raise ValueError(
            f"k must be at most d = {d}, got {k}: more weights than dimensions are not independent, and "
            "tensors of order 3 projected on their span determine no more than d of them"
        )
    weight = check_sample_weight(sample_weight, len(y))
    if weight is None:
        weight = np.ones(len(y))
    else:
        kept = weight > 0.0
        X, y, weight = X[kept], y[kept], weight[kept] / weight[kept].mean()
    if not np.any(y != y[0]):
        raise ValueError("y is constant; moments need labels that vary")
    some = X[:_SOME]
    _check_size("y", y, 1e50)
    _check_size("X", some, 1e10)
    if not np.any(some != some[0]):
        raise ValueError("X is constant; inputs must be standard Gaussian")
    return Problem(X, y, weight, k, get_activation(activation))


def _check_size(name: str, values: Array, most: float) -> None:
    size = float(np.abs(values).max())
    if not 1.0 / most <= size <= most:
        raise ValueError(
            f"{name} must have entries of size {1.0 / most:g} to {most:g}, got {size:g}: rescale it"
        )
