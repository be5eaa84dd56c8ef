"""ZS Algorithm 2, end to end."""

import pickle
import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from expected_failures import expected_failures
from nnmoments.activations import Activation, get_activation, relu, squared_relu
from nnmoments.densities import Gaussian
from nnmoments.learners import TensorNetwork
from nnmoments.linalg import match_rows
from nnmoments.networks import OneHiddenLayer, conditioned_weights


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [TensorNetwork(max_iter=50, n_attempts=1, random_state=0)],
    expected_failed_checks=expected_failures(),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def _sample(n, d=8, k=3, seed=0, activation=squared_relu):
    rng = np.random.default_rng(seed)
    weights = conditioned_weights(k, d, condition=2.0, rng=rng)
    network = OneHiddenLayer(weights, activation, np.resize([1.0, -1.0], k))
    X = rng.standard_normal((n, d))
    return network, X, network(X)


@pytest.mark.parametrize("finisher", ["levenberg-marquardt", "gradient"])
def test_network_is_recovered(finisher):
    """ZS Theorem 6.1; signs exact, weights to the one percent of Section 7."""
    network, X, y = _sample(2000)
    model = TensorNetwork(3, finisher=finisher, random_state=0).fit(X, y)
    match = match_rows(model.weights_, network.weights, signed=True)
    assert match.worst < 0.01
    np.testing.assert_array_equal(model.output_[match.permutation], network.output)
    assert model.converged_
    assert model.score(X, y) > 0.999
    history = model.diagnostics_["descent"].history
    assert history[-1] < 1e-3 * history[0]
    assert model.n_iter_ == model.diagnostics_["descent"].n_iter > 0


def test_resampled_descent_as_printed():
    network, X, y = _sample(20_000)
    model = TensorNetwork(3, finisher="gradient", n_batches=10, random_state=0).fit(X, y)
    assert match_rows(model.weights_, network.weights, signed=True).worst < 0.01


def test_algorithm_1_as_printed_initialises_too():
    network, X, y = _sample(20_000)
    model = TensorNetwork(3, method="algorithm1", random_state=0).fit(X, y + 4.0)
    assert match_rows(model.weights_, network.weights, signed=True).worst < 0.01
    assert model.intercept_ == pytest.approx(4.0, abs=1e-6)


def test_relu_network_from_fourth_moments():
    network, X, y = _sample(20_000, d=5, k=2, activation=relu)
    model = TensorNetwork(2, relu, random_state=0).fit(X, y)
    assert match_rows(model.weights_, network.weights, signed=True).worst < 0.01


def test_failure_is_said():
    _, X, y = _sample(300)
    noise = np.random.default_rng(1).standard_normal(len(y)) * y.std()
    with pytest.warns(ConvergenceWarning, match="unexplained after 2 initialisations"):
        model = TensorNetwork(3, n_attempts=2, max_iter=20, random_state=0).fit(X, noise)
    assert not model.converged_
    assert model.diagnostics_["n_attempts"] == 2
    assert model.diagnostics_["unexplained"] > 0.5


def test_moments_of_the_residual_lead_out_of_a_minimum():
    """Initialised anew, all attempts end where the first did: the column of signs is no normal one."""
    rng = np.random.default_rng(3)
    W = np.eye(2, 3) + 0.4 * rng.standard_normal((2, 3))
    X = rng.standard_normal((2000, 3))
    X[:, 0] = np.sign(X[:, 0])
    y = squared_relu(X @ W.T) @ [1.0, -0.5]
    first = TensorNetwork(2, n_attempts=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="unexplained after 1 initialisation"):
        first.fit(X, y)
    model = TensorNetwork(2, n_attempts=2, random_state=0).fit(X, y)
    assert model.converged_
    match = match_rows(model.weights_, W * [[1.0], [0.5**0.5]], signed=True)  # lengths stand for outputs
    assert match.worst < 1e-6
    np.testing.assert_array_equal(model.output_[match.permutation], [1.0, -1.0])


def test_a_fit_of_few_samples_is_no_noise():
    """A hundred weights take their part of 440 residuals: what is left of a wrong sign looks like noise."""
    rng = np.random.default_rng([4, 20, 440])
    weights = conditioned_weights(5, 20, condition=2.0, rng=rng)
    network = OneHiddenLayer(weights, squared_relu, rng.choice([-1.0, 1.0], size=5))
    X = rng.standard_normal((440, 20))
    first = TensorNetwork(5, n_attempts=1, fit_intercept=False, random_state=rng)
    with pytest.warns(ConvergenceWarning, match="unexplained"):
        first.fit(X, network(X))
    assert first.diagnostics_["unexplained"] < 0.05
    model = TensorNetwork(5, fit_intercept=False, random_state=0).fit(X, network(X))
    assert match_rows(model.weights_, weights, signed=True).worst < 1e-6


@pytest.mark.parametrize("name", ["squared_relu", "relu", "leaky_relu", "softplus", "sigmoid", "tanh", "erf"])
def test_constant_in_the_labels_is_fitted(name):
    """Real labels have a mean: prediction and weights are those of labels without."""
    phi = get_activation(name)
    rng = np.random.default_rng(5)
    output = [1.0, -1.0] if phi.parity == 0 and name != "sigmoid" else [1.0, 1.5]
    network = OneHiddenLayer(1.5 * conditioned_weights(2, 5, rng=rng), phi, output)
    X = rng.standard_normal((10_000, 5))
    y = network(X) + 3.0
    model = TensorNetwork(2, name, max_iter=100, random_state=0).fit(X, y)
    assert match_rows(model.weights_, network.weights, signed=name != "sigmoid").worst < 0.01
    np.testing.assert_allclose(model.predict(X), y, atol=0.01)
    if name != "sigmoid":  # (v, w) and (-v, -w) differ by a constant
        assert model.intercept_ == pytest.approx(3.0, abs=0.01)


def _correlated(name, n=4000, d=6, k=2, noise=0.1, seed=0):
    """Correlated inputs AR(.5) of mean 1 where biases are fitted, labels with noise."""
    rng = np.random.default_rng(seed)
    covariance = 0.5 ** np.abs(np.subtract.outer(range(d), range(d)))
    X = rng.standard_normal((n, d)) @ np.linalg.cholesky(covariance).T
    output = [1.0, 1.5] if name == "tanh" else [1.0, -1.0]
    network = OneHiddenLayer(1.5 * conditioned_weights(k, d, rng=rng), get_activation(name), output)
    y = network(X)
    return network, X, y + noise * y.std() * rng.standard_normal(n), covariance


@pytest.mark.parametrize("name", ["squared_relu", "relu", "tanh"])
def test_correlated_inputs_noise_and_the_number_of_units_are_found(name):
    """Nothing is told but the activation: inputs are whitened, noise is estimated, k is chosen."""
    network, X, y, covariance = _correlated(name)
    model = TensorNetwork(None, name, random_state=0).fit(X, y)
    assert model.converged_
    assert match_rows(model.weights_, network.weights, signed=name != "tanh").worst < 0.1
    assert model.diagnostics_["unexplained"] == pytest.approx(0.01, rel=0.2)
    law = Gaussian(np.zeros(6), covariance)
    told = TensorNetwork(2, name, score_model=law, random_state=0).fit(X, y)
    np.testing.assert_allclose(told.predict(X), model.predict(X), atol=1e-6 * np.ptp(y))


def test_what_the_units_do_not_explain_is_said():
    """Noise is no excuse: too few units, another activation and labels of noise alone all warn."""
    _, X, y, _ = _correlated("squared_relu")
    for model, said in (
        (TensorNetwork(1, random_state=0), "polynomials of the inputs explain"),
        (TensorNetwork(2, "tanh", random_state=0), "polynomials of the inputs explain"),
    ):
        with pytest.warns(ConvergenceWarning, match=said):
            assert not model.fit(X, y).converged_
    noise = np.random.default_rng(3).standard_normal(len(y))
    with pytest.warns(ConvergenceWarning, match="as much as noise alone leaves"):
        TensorNetwork(None, random_state=0).fit(X, noise)
    heavy = np.random.default_rng(4).standard_t(3, size=(400, 4))
    with pytest.warns(ConvergenceWarning, match="inputs are not normal"):
        TensorNetwork(1, "tanh", n_attempts=1, random_state=0).fit(heavy, heavy[:, 0] * heavy[:, 1])


def test_columns_that_do_not_vary_freely_are_named():
    network, X, y, _ = _correlated("squared_relu")
    padded = np.column_stack([X, np.full(len(X), 3.0), X[:, 0]])
    with pytest.warns(ConvergenceWarning, match="columns 0, 7 of X are tied to each other"):
        model = TensorNetwork(2, random_state=0).fit(padded, y)
    assert not model.converged_
    np.testing.assert_allclose(model.predict(padded), network(X), atol=0.2 * y.std())
    with pytest.raises(ValueError, match=r"at most 1, .*columns 1 of X are constant"):
        TensorNetwork(2).fit(np.column_stack([X[:, 0], np.ones(len(X))]), y)
    with pytest.raises(ValueError, match=r"at most 1, .*columns 0, 1 of X are tied"):
        TensorNetwork(2).fit(np.column_stack([X[:, 0], 2.0 * X[:, 0]]), y)


def test_as_many_columns_are_named_as_one_reads():
    x = np.random.default_rng(0).standard_normal(50)
    for count, named in ((8, r"7, 8 of X are constant"), (9, r"7, 8, \.\.\. of X are constant")):
        with pytest.raises(ValueError, match=named):
            TensorNetwork(2).fit(np.column_stack([x, np.ones((50, count))]), x)


@pytest.mark.parametrize(("law", "kurtosis"), [("normal", None), ("uniform", -1.2)])
def test_kurtosis_is_told_in_excess_of_the_normal(law, kurtosis):
    X = getattr(np.random.default_rng(0), law)(size=(2000, 2))
    y = np.random.default_rng(1).standard_normal(2000)
    with pytest.warns(ConvergenceWarning):
        status = TensorNetwork(1, n_attempts=1, random_state=0).fit(X, y).status_
    told = re.search(r"inputs are not normal \(excess kurtosis (.*?)\)", status)
    assert (told is None) == (kurtosis is None)
    assert told is None or float(told[1]) == pytest.approx(kurtosis, rel=0.2)


def test_skewness_is_told_without_kurtosis():
    """Indicators of probability p have excess kurtosis (1 - 6 p q)/(p q), zero at p q = 1/6, but skewness."""
    p = 0.5 - np.sqrt(1.0 / 12.0)
    X = (np.random.default_rng(0).random((4000, 2)) < p).astype(float)
    expected = (1.0 - 2.0 * p) / np.sqrt(1.0 / 6.0)
    y = np.random.default_rng(1).standard_normal(4000)
    with pytest.warns(ConvergenceWarning, match=rf"skewness {expected:.2g}"):
        TensorNetwork(1, n_attempts=1, random_state=0).fit(X, y)


def test_units_are_at_most_as_many_as_inputs():
    """One input has one direction; a second unit of these labels along it is said to be left."""
    x = np.random.default_rng(0).standard_normal((2000, 1))
    y = np.maximum(x, 0.0)[:, 0] ** 2 - 0.3 * np.maximum(-x, 0.0)[:, 0] ** 2
    with pytest.warns(ConvergenceWarning, match="pass another n_hidden"):
        model = TensorNetwork(None, random_state=0).fit(x, y)
    assert model.weights_.shape == (1, 1)


def test_as_many_weights_as_samples_prove_nothing():
    """Four weights pass through four labels, and so do those of other networks."""
    _, X, y = _sample(4, d=2, k=2, seed=3)
    with pytest.warns(ConvergenceWarning, match="unexplained"):
        model = TensorNetwork(2, fit_intercept=False, random_state=0).fit(X, y)
    assert model.diagnostics_["unexplained"] < 1e-3
    assert not model.converged_


@pytest.mark.parametrize("intercept", [True, False])
def test_few_samples_determine_no_network(intercept):
    """Fewer parameters than labels, and none is left unexplained: yet too few of them see the unit."""
    exact = trusted = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, w = rng.standard_normal((4, 3)), rng.standard_normal(3)
        y = np.maximum(X @ w, 0.0) ** 2
        if not y.any():
            continue
        model = TensorNetwork(1, fit_intercept=intercept, n_attempts=1, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        if model.converged_:
            trusted += 1
            np.testing.assert_allclose(model.weights_[0], w, rtol=1e-3)
        exact += model.diagnostics_["unexplained"] < 1e-3
    assert exact > trusted + 3


def test_copies_of_a_sample_are_no_evidence():
    """Weights pass through six labels of noise, however often each of them comes."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 4)), rng.standard_normal(6)
    with pytest.warns(ConvergenceWarning, match="9 parameters fit any labels of 6 different samples"):
        TensorNetwork(2, n_attempts=5, random_state=0).fit(np.repeat(X, 20, axis=0), np.repeat(y, 20))


def test_a_unit_that_is_on_for_few_samples_is_not_determined():
    """Two thousand labels are explained, but three samples see the second unit of five parameters."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 4))
    far = np.argsort(X[:, 0])[-3:]
    bias = -float(np.sort(X[:, 0])[-4])
    y = np.maximum(X[:, 1], 0.0) ** 2 + 20.0 * np.maximum(X[:, 0] + bias, 0.0) ** 2
    model = TensorNetwork(2, fit_biases=True, n_attempts=1, random_state=0)
    assert len(far) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    assert not model.converged_


def test_a_part_of_the_sample_may_not_vary():
    """A further attempt sees two thirds: where their labels are one it sees all; no argument is blamed."""
    X = np.random.default_rng(0).standard_normal((6, 3))
    with pytest.warns(ConvergenceWarning, match="unexplained"):
        TensorNetwork(2, "relu", random_state=0).fit(X, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="sample_weight must be above 0 for 4 samples, got 2"):
        TensorNetwork(1).fit(X, np.arange(6.0), sample_weight=[1.0, 1.0, 0.0, 0.0, 0.0, 0.0])


def test_constant_costs_nothing_where_there_is_none():
    network, X, y = _sample(2000)
    model = TensorNetwork(3, random_state=0).fit(X, y)
    without = TensorNetwork(3, fit_intercept=False, random_state=0).fit(X, y)
    assert abs(model.intercept_) < 1e-9
    assert without.intercept_ == 0.0
    for fitted in (model, without):
        assert match_rows(fitted.weights_, network.weights, signed=True).worst < 1e-6
    with pytest.warns(ConvergenceWarning, match="unexplained"):
        TensorNetwork(3, n_attempts=1, max_iter=50, fit_intercept=False, random_state=0).fit(X, y + 10.0)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_biases_are_fitted(name):
    """README's teacher has biases; moments start from none, and the finish is joint."""
    phi = get_activation(name)
    rng = np.random.default_rng(6)
    weights = conditioned_weights(2, 6, condition=2.0, rng=rng)
    output = [1.0, -1.0] if name == "relu" else [1.0, 1.5]
    network = OneHiddenLayer(weights, phi, output, biases=[0.5, -0.4])
    X = rng.standard_normal((10_000, 6))
    y = network(X) + 0.7
    model = TensorNetwork(2, name, fit_biases=True, random_state=0).fit(X, y)
    match = match_rows(model.weights_, weights, signed=name == "relu")
    assert match.worst < 1e-6
    np.testing.assert_allclose(np.abs(model.biases_[match.permutation]), [0.5, 0.4], atol=1e-6)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-6)
    without = TensorNetwork(2, name, max_iter=50, noise=0.9, random_state=0).fit(X, y)
    assert without.diagnostics_["unexplained"] > 1e-3
    assert not without.biases_.any()


def test_many_parameters_with_constant_weights_of_samples_and_biases():
    """Above 200 parameters no normal matrix is formed; the answer is the same."""
    network, X, y = _sample(3000, d=70)
    weight = 0.5 + np.arange(3000) % 2
    model = TensorNetwork(3, max_iter=200, fit_biases=True, noise=1e-6, random_state=0)
    model.fit(X, y + 1.0, sample_weight=weight)
    assert match_rows(model.weights_, network.weights, signed=True).worst < 0.01
    assert model.intercept_ == pytest.approx(1.0, abs=0.02)


def test_samples_weigh_as_they_are_told():
    """Samples of weight zero, with labels of another world, change nothing."""
    network, X, y = _sample(4000)
    kept = np.arange(4000) % 2 == 0
    model = TensorNetwork(3, random_state=0).fit(
        X, np.where(kept, y, 50.0 * X[:, 0]), sample_weight=2.0 * kept
    )
    assert match_rows(model.weights_, network.weights, signed=True).worst < 1e-6
    assert model.converged_


def test_single_precision_stays_single():
    _, X, y = _sample(2000)
    model = TensorNetwork(3, random_state=0).fit(X.astype(np.float32), y.astype(np.float32))
    assert model.weights_.dtype == model.predict(X.astype(np.float32)).dtype == np.float32
    assert model.predict(X).dtype == np.float64


def test_fitted_model_pickles_and_equals_its_copy():
    _, X, y = _sample(500)
    model = TensorNetwork(3, random_state=0).fit(X, y)
    assert pickle.loads(pickle.dumps(model)) == model


def test_random_states_of_every_kind():
    _, X, y = _sample(500)
    for state in (None, 1, np.random.RandomState(1), np.random.default_rng(1)):
        assert TensorNetwork(3, random_state=state).fit(X, y).weights_.shape == (3, 8)
    one, two = (TensorNetwork(3, random_state=7).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.weights_, two.weights_)


def test_estimator_conventions():
    model = TensorNetwork(4, step=0.01)
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"finisher": "adam"}, "finisher must be one of"),
        ({"method": "magic"}, "method must be one of"),
        ({"activation": "relu6"}, "activation must be"),
        ({"n_hidden": 5}, "n_hidden must be an integer from 1 to"),
        ({"n_hidden": 0}, "n_hidden must be an integer from 1 to"),
        ({"max_iter": 0}, "max_iter must be"),
        ({"n_batches": 9}, "n_batches must be"),
        ({"n_attempts": 1.5}, "n_attempts must be"),
        ({"noise": float("nan")}, "noise must be"),
        ({"score_model": "normal"}, "score_model must be"),
        ({"score_model": Gaussian([0.0], [[1.0]])}, "score_model must be of dimension 4"),
        ({"step": "2"}, "step must be"),
        ({"random_state": "today"}, "random_state must be"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        TensorNetwork(**parameters).fit(np.eye(4), [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (1e150 * np.eye(4), [1.0, 2.0, 3.0, 4.0], "X must have entries of size"),
        (np.ones((4, 4)), [1.0, 2.0, 3.0, 4.0], "X is constant"),
        (np.eye(4), [1e300, 2.0, 3.0, 4.0], "y must have entries of size"),
        (np.eye(4), [1.0, 1.0, 1.0, 1.0], "y is constant"),
        (np.ma.masked_less(np.eye(4), 0.5), [1.0, 2.0, 3.0, 4.0], "masked"),
    ],
)
def test_bad_samples_are_named(X, y, message):
    with pytest.raises(ValueError, match=message):
        TensorNetwork().fit(X, y)


def test_activation_of_ones_own():
    """An instance will do; cubes identify their weights by the third moment."""
    cube = Activation(
        "cube", _cube, (lambda z: 3 * z**2, lambda z: 6 * z, lambda z: 6 + 0 * z, np.zeros_like), ()
    )
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 3))
    model = TensorNetwork(1, cube, random_state=0).fit(X, (X @ [1.0, 0.5, 0.0]) ** 3)
    np.testing.assert_allclose(model.weights_, [[1.0, 0.5, 0.0]], atol=1e-4)


def _cube(z):
    return z**3


def test_units_with_biases_ask_for_them():
    """Without biases two units leave much of the labels; the message names the parameter, where it is off."""
    X = np.random.default_rng(0).standard_normal((3000, 3))
    y = np.maximum(X[:, 0] + 1.0, 0.0) + np.maximum(X[:, 1] - 0.5, 0.0)
    with pytest.warns(ConvergenceWarning, match="another n_hidden or activation, fit_biases=True, or more"):
        TensorNetwork(2, "relu", n_attempts=1, random_state=0).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="pass another n_hidden or activation, or more samples"):
        TensorNetwork(1, "relu", fit_biases=True, n_attempts=1, random_state=0).fit(X, y)
