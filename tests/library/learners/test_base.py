"""What the learners share: their network as a surrogate of their own moment."""

import numpy as np

from nnmoments import StandardNormal, TensorNetwork, cross_moment
from nnmoments.learners import RidgeLearner

NORMAL = StandardNormal(3)


class Learner(TensorNetwork):
    """A learner with the parameter that says what is taken out of its moment."""

    def __init__(self, n_hidden=1, activation="squared_relu", *, surrogate="network", random_state=None):
        super().__init__(n_hidden, activation, random_state=random_state)
        self.surrogate = surrogate

    def fit(self, X, y, sample_weight=None):
        assert self.surrogate == "auto"
        return super().fit(X, y, sample_weight)


def test_the_chain_ends_in_the_moment_with_the_network_of_the_other_folds(rng):
    X = rng.standard_normal((2000, 3))
    y = np.maximum(X @ [1.0, 0.5, 0.0], 0.0) ** 2 + 0.1 * rng.standard_normal(2000)
    net = TensorNetwork(random_state=0, noise=0.1)
    assert isinstance(net, RidgeLearner)
    found = net.robust_moment(X, y, NORMAL, 2, known_density=True)
    same = cross_moment(X, y, NORMAL, 2, surrogate=net, known_density=True)
    np.testing.assert_array_equal(found.value, same.value)
    assert not hasattr(net, "weights_")
    assert found.left < 0.05


def test_the_inner_learner_takes_a_polynomial(rng):
    X = rng.standard_normal((1000, 3))
    found = Learner(random_state=0).robust_moment(X, np.maximum(X[:, 0], 0.0) ** 2, NORMAL, 2)
    assert found.removed == "1 units (squared_relu) (2-fold)"


def test_what_cannot_be_fitted_leaves_its_place_to_a_polynomial(rng):
    X = rng.standard_normal((1000, 3))
    found = TensorNetwork(4).robust_moment(X, X[:, 0], NORMAL, 1)  # more units than dimensions
    assert found.removed == "a polynomial of degree 1 (2-fold)"
    np.testing.assert_allclose(found.value, [1.0, 0.0, 0.0], atol=1e-12)
