"""The regression on units of both signs."""

import numpy as np
import pytest

from nnmoments.activations import cosine, relu, sigmoid, tanh
from nnmoments.networks import regress_both_signs

UNITS = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 2.0]])


def sample(n=300, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 3))


def test_all_terms_are_found():
    X = sample()
    z = X @ UNITS.T
    a, b, s = np.array([[1.0, 0.5, -2.0], [0.2, 3.0, 0.0], [0.1, -0.7, 0.4]])
    y = np.tanh(z) @ a + np.cos(z) @ b + z @ s + 4.0
    odd = regress_both_signs(X, y - np.cos(z) @ b, UNITS, "tanh", linear=True, fit_intercept=True)
    np.testing.assert_allclose(odd.forward, a, atol=1e-9)
    np.testing.assert_allclose(odd.linear, s, atol=1e-9)
    assert odd.intercept == pytest.approx(4.0)
    np.testing.assert_array_equal(odd.backward, 0.0)
    np.testing.assert_allclose(odd.predict(X), y - np.cos(z) @ b, atol=1e-9)
    both = relu(z) @ a + relu(-z) @ b
    found = regress_both_signs(X, both, UNITS, relu)
    np.testing.assert_allclose(found.forward, a, atol=1e-9)
    np.testing.assert_allclose(found.backward, b, atol=1e-9)
    np.testing.assert_array_equal(found.signs, [1.0, -1.0, 1.0])
    np.testing.assert_allclose(found.predict(X), both, atol=1e-9)
    assert found.intercept == 0.0


@pytest.mark.parametrize("activation", [tanh, cosine, sigmoid], ids=lambda a: a.name)
def test_units_whose_sides_say_the_same_keep_theirs(activation):
    """Odd and even units have one side; sigmoids of both signs add to one, which the constant holds."""
    X = sample()
    y = activation(X @ UNITS.T) @ [1.0, -1.0, 0.5]
    found = regress_both_signs(X, y, UNITS, activation, fit_intercept=True)
    np.testing.assert_array_equal(found.signs, 1.0)
    np.testing.assert_allclose(found.predict(X), y, atol=1e-9)


def test_weights_are_so_many_copies():
    X, rng = sample(), np.random.default_rng(1)
    y, copies = rng.standard_normal(300), rng.integers(0, 4, 300)
    weighted = regress_both_signs(X, y, UNITS, "relu", fit_intercept=True, sample_weight=copies)
    copied = regress_both_signs(X.repeat(copies, axis=0), y.repeat(copies), UNITS, "relu", fit_intercept=True)
    for name in ("forward", "backward", "intercept"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(copied, name), atol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": np.zeros(3)}, "y must have as many rows"),
        ({"units": np.eye(2)}, "units must have shape"),
        ({"activation": "step"}, "activation must be"),
        ({"sample_weight": -np.ones(300)}, "sample_weight must not be negative"),
    ],
)
def test_refusals(options, message):
    arguments = {"X": sample(), "y": np.zeros(300), "units": UNITS, "activation": "relu"} | options
    with pytest.raises(ValueError, match=message):
        regress_both_signs(**arguments)
