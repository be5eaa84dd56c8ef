"""No learner returns a wrong network in silence: the cases that were found wrong, and their kinds."""

import re

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


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_are_as_near_as_is_said_or_not_trusted():
    """Oblique columns of B, weights lost in the noise: rows were .2 to .6 off without a word."""
    W = np.zeros((2, 20))
    W[0, [0, 1, 8, 14, 16, 19]] = 0.63, 0.06, -0.06, 0.18, 0.42, -0.62
    W[1, [0, 1, 10, 14, 18]] = 0.06, 0.65, 0.14, 0.73, 0.15
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    B = np.array([[-2.9, 1.9], [-4.1, 2.7], [6.1, -6.1], [-9.9, 2.5]])
    trusted, far = 0, 0
    for seed in range(2, 8):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((10_000, 20))
        y = (np.maximum(X @ W.T, 0.0) @ B.T + rng.gumbel(size=(10_000, 4))).argmax(axis=1)
        model = SparseNetworkClassifier(2, fine_tune=False, random_state=0).fit(X, y)
        found = model.diagnostics_["recovery"]
        cosines = np.minimum(np.abs(found.rows @ W.T), 1.0)
        off = np.sqrt(2.0 - 2.0 * cosines.max(axis=1))
        far += bool((off > 0.2).any())
        trusted += model.converged_
        assert not model.converged_ or (off < 4.0 * found.row_error + found.unseen).all()
    assert far > 0
    assert trusted < 6


def test_waves_are_not_left_to_noise():
    """No polynomial of degree up to four explains what three units leave of sin 6x; trees do.

    A descent can end where polynomials explain some of the rest; then they say so.
    """
    said = set()
    for seed in range(2):
        X = np.random.default_rng(seed).standard_normal((4000, 6))
        y = np.sin(6.0 * X[:, 0]) + X[:, 1] ** 2
        with pytest.warns(ConvergenceWarning, match="of the rest.*pass another n_hidden"):
            model = TensorNetwork(3, random_state=0).fit(X, y)
        assert not model.converged_
        said |= set(re.findall("trees predict|polynomials of the inputs explain", model.status_))
    assert "trees predict" in said


def test_noise_is_left_to_noise():
    """The right network under noise that is larger where x is, or of heavy tails."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((2500, 5))
        y = np.maximum(X[:, 0], 0.0) ** 2 - np.maximum(X[:, 1] + X[:, 2], 0.0) ** 2
        noise = rng.standard_t(4, 2500) if seed % 2 else rng.standard_normal(2500) * np.abs(X[:, 0])
        model = TensorNetwork(2, random_state=0).fit(X, y + 0.3 * noise)
        assert model.converged_, model.status_


@pytest.mark.parametrize("n", [9, 11])
def test_units_that_only_fit_are_not_trusted(n):
    """Exact, but labels that nothing checks fix the weights of a unit: rows are up to 30 degrees off."""
    rng = np.random.default_rng([n, 2, 2])
    X, W = rng.standard_normal((n, 2)), rng.standard_normal((2, 2))
    y = np.maximum(X @ (W / np.linalg.norm(W, axis=1, keepdims=True)).T, 0.0).sum(axis=1)
    with pytest.warns(ConvergenceWarning, match="leave some of 5 parameters undetermined: pass more"):
        model = TensorNetwork(2, "relu", random_state=0).fit(X, y)
    assert not model.converged_
