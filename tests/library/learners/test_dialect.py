"""What all learners share: parameters, attributes, precision, weights, copies, random states, warnings."""

import dataclasses
import pickle
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning

from nnmoments.activations import get_activation, relu_threshold
from nnmoments.densities import StandardNormal
from nnmoments.learners import (
    GeneralInputNetwork,
    HalfspaceUnionClassifier,
    MomentLearner,
    SparseNetworkClassifier,
    TensorNetwork,
    ThresholdNetwork,
)
from nnmoments.linalg import match_rows
from nnmoments.networks import UnionOfHalfspaces

U = relu_threshold(1.5)
# Names of other dialects.
FOREIGN = {"k", "n_units", "score", "seed", "rng", "tolerance", "iterations", "max_rounds", "sweeps", "trace"}


@dataclasses.dataclass(frozen=True)
class Problem:
    """A learner, inputs (n, d), and labels of them by a network of unit rows that it can learn."""

    make: Callable[..., MomentLearner]
    n: int
    rows: np.ndarray
    label: Callable[[np.ndarray], np.ndarray]
    activation: object = None

    def sample(self, seed=0):
        X = np.random.default_rng(seed).standard_normal((self.n, self.rows.shape[1]))
        return X, self.label(X)

    def fit(self, *sample, quiet=False, sample_weight=None, **parameters):
        model = self.make(len(self.rows), random_state=0, **parameters)
        with warnings.catch_warnings():
            if quiet:
                warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(*sample, sample_weight=sample_weight)


def general(k, **parameters):
    return GeneralInputNetwork(k, **{"score_model": StandardNormal(2), "n_starts": 4} | parameters)


def threshold(k, **parameters):
    return ThresholdNetwork(k, **{"activation": U} | parameters)


def classes(rows):
    """Return a function that labels inputs by which of the units are active."""
    return lambda X: (X @ rows.T > 0.5) @ 2 ** np.arange(len(rows))


OBLIQUE = np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])
TURNED = np.array([[0.6, 0.8], [-0.8, 0.6]])
SPARSE = np.zeros((2, 12))
SPARSE[0, [0, 3, 5]], SPARSE[1, [1, 3, 8]] = [2 / 3, -2 / 3, 1 / 3], [1 / 3, 2 / 3, 2 / 3]
PROBLEMS = {
    "tensor": Problem(
        TensorNetwork, 1000, OBLIQUE, lambda X: np.maximum(X @ OBLIQUE.T, 0.0) ** 2 @ [1.0, -1.0], "relu"
    ),
    "general": Problem(general, 20_000, TURNED, lambda X: np.maximum(X @ TURNED.T, 0.0).sum(axis=1), "tanh"),
    "threshold": Problem(threshold, 30_000, OBLIQUE, lambda X: U(X @ OBLIQUE.T).sum(axis=1), U),
    "halfspaces": Problem(HalfspaceUnionClassifier, 30_000, OBLIQUE, UnionOfHalfspaces(OBLIQUE, 2.0)),
    "sparse": Problem(SparseNetworkClassifier, 8000, SPARSE, classes(SPARSE), "tanh"),
}
FITTED: dict[str, MomentLearner] = {}


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return PROBLEMS[request.param]


@pytest.fixture
def fitted(request, problem):
    name = request.node.callspec.params["problem"]
    if name not in FITTED:
        FITTED[name] = problem.fit(*problem.sample())
    return FITTED[name]


def unit_rows(model):
    return model.weights_ / np.linalg.norm(model.weights_, axis=1, keepdims=True)


def test_parameters_have_the_names_of_the_dialect(problem):
    parameters = problem.make(2).get_params()
    assert {"n_hidden", "random_state"} <= parameters.keys()
    assert not FOREIGN & parameters.keys()
    assert isinstance(problem.make(2), MomentLearner)


def test_attributes_have_the_names_and_shapes_of_the_dialect(problem, fitted):
    k, d = problem.rows.shape
    assert fitted.converged_ is True
    assert fitted.weights_.shape == (k, d)
    assert match_rows(unit_rows(fitted), problem.rows, signed=False).worst < 0.15
    assert fitted.biases_.shape == (k,)
    assert isinstance(fitted.n_iter_, int)
    assert isinstance(fitted.status_, str)
    assert fitted.status_
    assert isinstance(fitted.diagnostics_, dict)
    assert fitted.n_features_in_ == d
    if not isinstance(fitted, HalfspaceUnionClassifier):  # whose output is the union
        assert fitted.output_.shape[-1] == k
        assert np.shape(fitted.intercept_) == fitted.output_.shape[:-1]


def test_single_precision_stays_single(problem):
    X, y = problem.sample()
    single = X.astype(np.float32)
    model = problem.fit(single, y, quiet=True)
    names = [name for name in ("weights_", "biases_", "output_") if hasattr(model, name)]
    assert {getattr(model, name).dtype for name in names} == {np.dtype(np.float32)}
    values = model.decision_function if is_classifier(model) else model.predict
    assert values(single).dtype == np.float32
    assert values(X).dtype == np.float64


def test_samples_without_weight_are_as_if_they_were_not(problem):
    """Also their labels are nothing to go by."""
    X, y = problem.sample()
    kept = np.arange(len(X)) % 3 > 0
    without = problem.fit(X[kept], y[kept], quiet=True, sample_weight=np.ones(kept.sum()))
    spoilt = np.where(kept, y, y[0] if is_classifier(without) else 100.0)
    model = problem.fit(X, spoilt, quiet=True, sample_weight=kept)
    assert_allclose(model.weights_, without.weights_, atol=1e-6)
    assert_allclose(model.biases_, without.biases_, atol=1e-6)
    assert_array_equal(model.predict(X) > 1e-3, without.predict(X) > 1e-3)


@pytest.mark.parametrize("activation", [None, relu_threshold(2.0)])
def test_learners_equal_their_copies(problem, activation):
    parameters = {} if activation is None or problem.activation is None else {"activation": activation}
    model = problem.make(2, random_state=0, **parameters)
    assert pickle.loads(pickle.dumps(model)) == model
    assert clone(model).get_params() == model.get_params()
    X, y = (part[:4000] for part in problem.sample())
    model = problem.fit(X, y, quiet=True, **parameters)
    copy = pickle.loads(pickle.dumps(model))
    assert copy == model
    assert_array_equal(copy.predict(X), model.predict(X))


def test_activations_are_names_or_instances(problem):
    if problem.activation is None:
        pytest.skip("halfspaces have no other activation")
    X, y = problem.sample()
    instance = get_activation(problem.activation)
    one = problem.fit(X, y, quiet=True, activation=problem.activation)
    assert_array_equal(one.weights_, problem.fit(X, y, quiet=True, activation=instance).weights_)


def test_random_states_of_every_kind(problem):
    X, y = problem.sample()
    for state in (None, 1, np.random.RandomState(1), np.random.default_rng(1)):
        with warnings.catch_warnings():
            if state is None:  # now and then a fresh seed does not converge, and says so
                warnings.simplefilter("ignore", ConvergenceWarning)
            model = problem.make(2, random_state=state).fit(X, y)
        assert not model.converged_ or match_rows(unit_rows(model), problem.rows, signed=False).worst < 0.15
    one, two = (problem.make(2, random_state=7).fit(X, y) for _ in range(2))
    assert_array_equal(one.weights_, two.weights_)


def test_output_of_transformers_has_names(fitted, problem):
    if not hasattr(fitted, "transform"):
        pytest.skip("no transformer")
    X, _ = problem.sample()
    names = fitted.get_feature_names_out()
    frame = clone(fitted).set_output(transform="pandas").fit(*problem.sample()).transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(names)
    assert_allclose(frame.to_numpy(), fitted.transform(X))


def test_frames_of_nullable_types(problem, fitted):
    X, y = problem.sample()
    columns = [f"x{i}" for i in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=columns).astype("Float64")
    model = problem.fit(frame, pd.Series(y))
    assert list(model.feature_names_in_) == columns
    # Frames hold their columns one after the other, so that sums round otherwise.
    size = np.abs(fitted.weights_).max()
    assert match_rows(model.weights_ / size, fitted.weights_ / size, signed=True).worst < 0.01
    with pytest.raises(ValueError, match="X contains NaN"):
        model.predict(frame.mask(frame > 2.0))
    for text in (frame.astype(str), frame.astype(str).astype(object)):
        with pytest.raises(ValueError, match="X must be an array of real numbers: got text"):
            model.predict(text)
    with pytest.raises(ValueError, match="X must not be a masked array"):
        model.predict(np.ma.masked_greater(X, 2.0))


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_believed(problem, seed):
    X, y = problem.sample()
    rng = np.random.default_rng([1, seed])
    noise = rng.permutation(y) if is_classifier(problem.make(2)) else rng.standard_normal(len(y))
    model = problem.make(2, random_state=0)
    if isinstance(model, TensorNetwork):
        model.set_params(max_iter=20, n_attempts=2)
    with pytest.warns(ConvergenceWarning, match=type(model).__name__):
        model.fit(X, noise)
    assert model.converged_ is False


@pytest.mark.parametrize("of_x", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("of_y", [1e-6, 1.0, 1e6])
def test_units_do_not_matter_or_are_warned_of(problem, fitted, of_x, of_y):
    """Mean and scale of the inputs are removed inside, where a learner is for one law."""
    X, y = problem.sample()
    if is_classifier(fitted):
        if of_y != 1.0:
            pytest.skip("classes have no units")
        of_y = 1
    parameters = {}
    if isinstance(fitted, GeneralInputNetwork):  # a score that is given is that of other units
        X, y, parameters = X[:5000], y[:5000], {"score_model": None}
        if "scoreless" not in FITTED:
            FITTED["scoreless"] = problem.fit(X, y, **parameters)
        fitted = FITTED["scoreless"]
    model = problem.fit(of_x * X, of_y * y, quiet=True, **parameters)
    assert of_x != 1.0 or model.converged_
    if model.converged_:
        # The law of inputs is estimated where it is not the standard one: labels beside a border may change.
        apart = np.std(model.predict(of_x * X) / of_y - fitted.predict(X))
        assert apart < (0.05 if is_classifier(model) else 0.02) * np.std(y)


def test_order_of_rows_does_not_matter(problem, fitted):
    X, y = problem.sample()
    order = np.random.default_rng(5).permutation(len(X))
    model = problem.fit(X[order], y[order])
    assert match_rows(unit_rows(model), unit_rows(fitted), signed=False).worst < 0.05


@pytest.mark.parametrize("d", [1, 3])
def test_one_unit_alone(problem, d):
    X = np.random.default_rng(2).standard_normal((problem.n, d))
    inner = X[:, 0]
    labels = {
        TensorNetwork: np.maximum(inner, 0.0) ** 2,
        GeneralInputNetwork: np.maximum(inner, 0.0),
        ThresholdNetwork: U(inner),
        HalfspaceUnionClassifier: inner > 2.0,
        SparseNetworkClassifier: inner > 0.5,
    }
    model = problem.make(1, random_state=0)
    if isinstance(model, GeneralInputNetwork):
        model.set_params(score_model=StandardNormal(d))
    model.fit(X, labels[type(model)])
    assert model.weights_.shape == (1, d)
    assert abs(unit_rows(model)[0, 0]) > 0.99
    assert model.converged_
