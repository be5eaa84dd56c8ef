"""No learner returns a wrong network in silence: the cases that were found wrong, and their kinds."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from nnmoments.learners import (
    GeneralInputNetwork,
    HalfspaceUnionClassifier,
    SparseNetworkClassifier,
    TensorNetwork,
    ThresholdNetwork,
)


def _tied():
    X = np.random.default_rng(0).standard_normal((2000, 6))
    X[:, 4] = 1e-6 * (X[:, 1] - 2.0 * X[:, 3])
    return X, np.maximum(X[:, 0] + X[:, 1], 0.0)


@pytest.mark.parametrize("name", ["sparse", "tensor"])
def test_tied_columns_are_named_and_not_trusted(name):
    X, y = _tied()
    if name == "sparse":
        model, y = SparseNetworkClassifier(1, random_state=0), (y > 0.5).astype(int)
    else:
        model = TensorNetwork(1, "relu", random_state=0)
    with pytest.warns(ConvergenceWarning, match="columns 1, 3, 4 of X are tied to each other"):
        model.fit(X, y)
    assert not model.converged_


def test_columns_that_are_not_tied_are_trusted_in_any_units():
    X, y = _tied()
    X[:, 4] = 1e-6 * np.random.default_rng(1).standard_normal(len(X))
    X[:, 5] *= 1e6
    assert TensorNetwork(1, "relu", random_state=0).fit(X, y).converged_
    assert SparseNetworkClassifier(1, random_state=0).fit(X, (y > 0.5).astype(int)).converged_


@pytest.mark.parametrize("model", [ThresholdNetwork(1), HalfspaceUnionClassifier(1)])
def test_learners_of_thresholds_name_tied_columns(model):
    X, y = _tied()
    with pytest.raises(ValueError, match="columns 1, 3, 4 of X are tied"):
        model.fit(X, (y > 2.0).astype(int))


def test_general_inputs_name_repeated_columns():
    X, y = _tied()
    X[:, 4] = X[:, 1]
    with pytest.raises(ValueError, match="1 and 4"):
        GeneralInputNetwork(1).fit(X, y)
