"""The learner below high thresholds, end to end (GP Theorems 1 and 2)."""

import itertools
import pickle

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from companion.experiments import high_thresholds as experiment
from expected_failures import expected_failures
from nnmoments.activations import Activation, relu_threshold, sigmoid_threshold, sign_threshold
from nnmoments.densities import Gaussian, StandardNormal
from nnmoments.learners import ThresholdNetwork
from nnmoments.learners.threshold_network import decode_moments
from nnmoments.linalg import match_rows
from nnmoments.moments import HermiteMoments, TensorMoment, controlled_moments
from nnmoments.networks import HiddenPolynomial, conditioned_weights


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [ThresholdNetwork(random_state=0)],
    expected_failed_checks=expected_failures("the polynomial is judged on halves, cut by position"),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def network(d, u, k=None):
    k = k or d
    W = np.eye(k, d) + 0.2 * np.sin(np.arange(k * d)).reshape(k, d)
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    terms = {(i,): 1.0 for i in range(k)}
    terms.update(dict.fromkeys(itertools.combinations(range(k), 2), 0.5))
    return HiddenPolynomial(W, u, terms)


def worst(rows, W):
    """With signs: the weights of thresholded units have them."""
    cosine = np.clip(rows @ W.T, -1.0, 1.0)
    assert sorted(cosine.argmax(axis=1)) == list(range(len(W)))
    return float(np.rad2deg(np.arccos(cosine.max(axis=1))).max())


@pytest.fixture(scope="module")
def sample():
    f = network(4, relu_threshold(2.0))
    X = np.random.default_rng(0).standard_normal((300_000, 4))
    return f, X, f(X)


def test_learner_from_a_sample(sample):
    f, X, y = sample
    model = ThresholdNetwork(activation=f.activation, random_state=0).fit(X, y)
    found = model.diagnostics_
    assert model.converged_
    assert found["minima"].converged
    assert worst(found["coarse"], f.weights) < 4.0
    assert worst(model.weights_, f.weights) < 0.5
    assert all(r.source == "sample" for r in found["refinements"])
    assert "refined with the sample" in model.status_
    np.testing.assert_allclose(found["coefficients"], 1.0, atol=0.25)  # products raise them
    assert not model.biases_.any()
    assert model.n_iter_ == found["minima"].n_starts


def test_controls_in_order(sample):
    """Each control variate lowers the error of T_2 and T_4, so of the weights, on this sample."""
    f, X, y = sample
    angles = [
        worst(
            ThresholdNetwork(activation=f.activation, control=c, refine=False, random_state=0)
            .fit(X, y)
            .weights_,
            f.weights,
        )
        for c in ("none", "polynomial", "network")
    ]
    assert angles[2] < angles[1] < angles[0]


def test_learner_with_an_oracle(sample):
    f, X, _ = sample
    model = ThresholdNetwork(activation=f.activation, control="polynomial", random_state=0).fit(X, oracle=f)
    assert np.abs(np.sort((model.weights_ @ f.weights.T).max(axis=1)) - 1.0).max() < 1e-12
    assert model.diagnostics_["angles"].max() < 1e-6


def test_fewer_units_than_inputs():
    f = network(5, relu_threshold(2.0), k=2)
    X = np.random.default_rng(1).standard_normal((200_000, 5))
    model = ThresholdNetwork(2, f.activation, random_state=0).fit(X, f(X))
    assert model.weights_.shape == (2, 5)
    assert worst(model.weights_, f.weights) < 1.0


def test_other_units():
    """Sign units refine; sigmoid labels are nowhere at rest, so their rows stay those of the landscape."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((300_000, 3))
    f = network(3, sign_threshold(2.2))
    model = ThresholdNetwork(activation=f.activation, random_state=0).fit(X, f(X))
    assert worst(model.weights_, f.weights) < 1.0
    g = network(3, sigmoid_threshold(5.0))
    plain = ThresholdNetwork(activation=g.activation, refine=False, random_state=0).fit(X, g(X))
    assert worst(plain.weights_, g.weights) < 4.0
    assert np.isnan(plain.diagnostics_["angles"]).all()
    with pytest.warns(ConvergenceWarning, match="give active"):
        ThresholdNetwork(activation=g.activation, random_state=0).fit(X, g(X))


def test_constant_and_coefficients_of_any_size(sample):
    """y = c_0 + c f: c_0 is the most frequent label; the linear part predicts what products leave."""
    f, X, y = sample
    plain = ThresholdNetwork(activation=f.activation, random_state=0).fit(X, y)
    for c0, c in ((3.0, 1.0), (-2.0, 2.0**-20), (5.0, 2.0**500)):
        model = ThresholdNetwork(activation=f.activation, random_state=0).fit(X, c0 * c + c * y)
        assert worst(model.weights_, f.weights) < 0.5
        assert model.intercept_ == pytest.approx((plain.intercept_ + c0) * c, rel=1e-3)
        np.testing.assert_allclose(np.sort(model.output_) / c, np.sort(plain.output_), rtol=0.02)
    linear = HiddenPolynomial(f.weights, f.activation, {(i,): 1.0 + i for i in range(4)})
    model = ThresholdNetwork(activation=f.activation, random_state=0).fit(X, linear(X))
    match = match_rows(model.weights_, f.weights, signed=True)
    np.testing.assert_allclose(model.output_[match.permutation], [1.0, 2.0, 3.0, 4.0], rtol=0.02)
    assert abs(model.intercept_) < 1e-2
    fresh = np.random.default_rng(9).standard_normal((20_000, 4))
    assert model.score(fresh, linear(fresh)) > 0.999
    assert model.diagnostics_["explained"] > 0.999
    without = ThresholdNetwork(activation=f.activation, fit_intercept=False, random_state=0).fit(X, y)
    assert without.intercept_ == 0.0


def test_score_is_honest(sample):
    """What products of units add is not explained, and the status says how much is."""
    f, X, _ = sample
    terms = {(i,): 1.0 for i in range(4)} | dict.fromkeys(itertools.combinations(range(4), 2), 3.0)
    y = HiddenPolynomial(f.weights, f.activation, terms)(X)
    model = ThresholdNetwork(activation=f.activation, degree=1, control="none", random_state=0)
    with pytest.warns(ConvergenceWarning, match="raise degree"):
        model.fit(X, y)
    assert model.diagnostics_["explained"] == pytest.approx(model.score(X, y), abs=1e-9)
    assert 0.5 < model.score(X, y) < 0.95
    assert f"{model.score(X, y):.1%}" in model.status_
    pairs = ThresholdNetwork(activation=f.activation, control="none", random_state=0).fit(X, y)
    assert pairs.converged_
    assert pairs.score(X, y) > 0.999
    assert max(abs(c - 3.0) for c in pairs.products_.values()) < 0.2


def test_products_are_of_units_that_meet():
    """A product of three has a coefficient where at least fifty samples are beyond all three borders."""
    X = np.random.default_rng(0).standard_normal((200_000, 3))
    for t in (1.5, 2.0):
        f = HiddenPolynomial(np.eye(3), relu_threshold(t), {(0,): 1.0, (1,): 1.0, (2,): 1.0, (0, 1, 2): 2.0})
        model = ThresholdNetwork(3, f.activation, degree=3, control="none", refine=False, random_state=0).fit(
            X, f(X)
        )
        assert np.isnan(model.diagnostics_["angles"]).all()  # not refined, though there are borders
        meet = np.sum((t < X).all(axis=1))
        assert ((0, 1, 2) in model.products_) == (meet >= 50)
        assert model.products_.get((0, 1, 2), 2.0) == pytest.approx(2.0, abs=0.1)
        assert {(0, 1), (0, 2), (1, 2)} <= set(model.products_)


def test_labels_that_all_differ_have_no_most_frequent_one():
    """The constant is then no label, and labels are taken as they are."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((500, 2)), 3.0 + rng.random(500)
    model = ThresholdNetwork(1, sigmoid_threshold(5.0), control="none", refine=False, random_state=0)
    with pytest.warns(ConvergenceWarning):
        found = model.fit(X, y).diagnostics_
    assert found["moments"].mean * found["scale"] == pytest.approx(y.mean())


def test_missing_rows_are_reported(sample):
    """Two units are not four: warning, what to do, and no row twice."""
    f, X, _ = sample
    two = HiddenPolynomial(f.weights[:2], f.activation, {(0,): 1.0, (1,): 1.0})
    with pytest.warns(ConvergenceWarning, match="lower n_hidden"):
        model = ThresholdNetwork(4, f.activation, random_state=0).fit(X, two(X))
    assert not model.converged_
    cosine = np.abs(model.weights_ @ model.weights_.T) - np.eye(len(model.weights_))
    assert cosine.max(initial=0.0) <= 0.9999
    with pytest.warns(ConvergenceWarning, match="y is the same everywhere"):
        ThresholdNetwork(4, f.activation).fit(X, np.full(len(X), 7.0))


def test_weights_of_samples(sample):
    """Weight zero leaves out, and twos repeat, up to how control variates are cut."""
    f, X, y = sample
    wrong = X[:, 0] + X[:, 1] < -1.0
    model = ThresholdNetwork(activation=f.activation, control="none", random_state=0)
    kept = np.where(wrong, 5.0, y)
    weighted = model.fit(X, kept, sample_weight=~wrong).weights_
    np.testing.assert_allclose(weighted, model.fit(X[~wrong], y[~wrong]).weights_, rtol=0.0, atol=1e-12)
    half = 50_000
    twice = np.where(np.arange(len(X)) < half, 2.0, 1.0)
    repeated = np.concatenate([X, X[:half]]), np.concatenate([y, y[:half]])
    first, second = (
        model.fit(X, y, sample_weight=twice),
        ThresholdNetwork(activation=f.activation, control="none", random_state=0).fit(*repeated),
    )
    np.testing.assert_allclose(
        first.diagnostics_["moments"].second, second.diagnostics_["moments"].second, atol=1e-10
    )
    assert match_rows(first.diagnostics_["coarse"], second.diagnostics_["coarse"]).worst < 1e-3
    network = ThresholdNetwork(activation=f.activation, random_state=0).fit(X, y, sample_weight=twice)
    assert worst(network.weights_, f.weights) < 0.5


def test_single_precision_and_pickles(sample):
    f, X, y = sample
    model = ThresholdNetwork(activation=f.activation, random_state=0).fit(X.astype(np.float32), y)
    assert model.weights_.dtype == model.output_.dtype == np.float32
    assert model.predict(X[:5].astype(np.float32)).dtype == np.float32
    assert worst(model.weights_, f.weights) < 0.5
    assert model.predict(X[:5]).dtype == np.float64
    with pytest.warns(ConvergenceWarning):  # at no threshold nearly all labels differ
        plain = ThresholdNetwork(control="none", random_state=0).fit(X, np.maximum(X, 0.0).sum(axis=1))
    copy = pickle.loads(pickle.dumps(plain))
    np.testing.assert_array_equal(copy.predict(X[:9]), plain.predict(X[:9]))
    assert "units" in copy.status_


def test_vanishing_u4_is_refused(sample):
    """t = 1: u_4 = 0, and the landscape has no wells at the weights."""
    _, X, y = sample
    with pytest.raises(ValueError, match="activation must have u_2 and u_4 away from zero"):
        decode_moments(controlled_moments(X[:20_000], y[:20_000]), 4, relu_threshold(1.0))


def test_products_bias_less_at_higher_thresholds():
    """Claim 2: on exact moments the error of the landscape falls with t."""
    u = [relu_threshold(t) for t in (1.5, 2.0, 3.0)]
    angles = [
        worst(decode_moments(experiment.exact_moments(network(3, a)), 3, a, rng=0)[0], network(3, a).weights)
        for a in u
    ]
    assert angles[0] > angles[1] > angles[2]


def test_rows_do_not_depend_on_the_unit_of_the_labels():
    """G of c u and c f is c G: the penalty is in proportion. Descents end at an absolute slope."""
    f, c = network(3, relu_threshold(2.0)), 2.0**-10
    u, moments = f.activation, experiment.exact_moments(f)
    derivatives = [lambda z, m=m: c * u.derivative(m, z) for m in (1, 2, 3, 4)]
    small = Activation("small", lambda z: c * u(z), derivatives, breakpoints=(2.0,))
    scaled = HermiteMoments(
        c * moments.mean,
        c * moments.first,
        c * moments.second,
        TensorMoment(c * moments.fourth.tensor),
        0,
        0,
        "",
    )
    rows, coefficients, minima = decode_moments(scaled, 3, small, rng=0)
    plain, expected, other = decode_moments(moments, 3, u, rng=0)
    assert minima.n_starts == other.n_starts
    match = match_rows(rows, plain, signed=True)
    assert match.worst < 1e-3
    np.testing.assert_allclose(coefficients[match.permutation], expected, rtol=1e-3)


def test_a_search_ends_with_the_last_unit():
    """Units of opposite signs have no landscape; one round of factors finds both, and there is no second."""
    X = np.random.default_rng(0).standard_normal((60_000, 2))
    y = np.maximum(X - 1.5, 0.0) @ [1.0, -1.0]
    model = ThresholdNetwork(2, relu_threshold(1.5), control="none", random_state=0).fit(X, y)
    minima = model.diagnostics_["minima"]
    assert worst(model.weights_, np.eye(2)) < 1.0
    assert model.n_iter_ - (minima.n_starts if minima else 0) == 1


def test_bad_input_is_named(sample):
    f, X, y = sample
    X, y = X[:2000], y[:2000]
    with pytest.raises(ValueError, match="requires y to be passed"):
        ThresholdNetwork(activation=f.activation).fit(X)
    for parameters, message in (
        ({"n_hidden": 5}, "n_hidden must be an integer from 1 to 4"),
        ({"control": "some"}, "control must be one of"),
        ({"activation": "step"}, "activation must be an Activation or one of"),
        ({"activation": relu_threshold(1.0)}, "activation must have u_2 and u_4"),
        ({"active": 3}, "active must be callable"),
        ({"active": lambda y: y[:5]}, "active must have shape"),
        ({"tol": 0.0}, "tol must be a number above"),
        ({"random_state": "x"}, "random_state must be"),
    ):
        with pytest.raises(ValueError, match=message):
            ThresholdNetwork(**{"activation": f.activation, **parameters}).fit(X, y)
    with pytest.raises(ValueError, match="X must be at most"):
        ThresholdNetwork(activation=f.activation).fit(1e150 * X, y)
    with pytest.raises(ValueError, match="oracle must be callable"):
        ThresholdNetwork(activation=f.activation).fit(X, y, oracle=3)
    with pytest.raises(ValueError, match="sample_weight must"):
        ThresholdNetwork(activation=f.activation).fit(X, y, sample_weight=-np.ones(len(X)))
    with pytest.raises(ValueError, match="X must have no constant input"):
        ThresholdNetwork(activation=f.activation).fit(X * [1, 1, 1, 0], y)
    for parameters, message in (
        ({"inputs": 3}, "inputs must be"),
        ({"inputs": StandardNormal(3)}, "inputs must have the dimension of X"),
        ({"degree": 4}, "degree must be an integer from 1 to 3"),
        ({"max_unexplained": 0.0}, "max_unexplained must be a number above"),
    ):
        with pytest.raises(ValueError, match=message):
            ThresholdNetwork(**{"activation": f.activation, **parameters}).fit(X, y)


def bent(seed, *, n=250_000, d=6, flips=0.01):
    """Thresholds 1.5 to 2.5, coefficients .1 to 1 of both signs, condition five, wrong labels."""
    rng = np.random.default_rng(seed)
    W = conditioned_weights(d, d, condition=5.0, rng=rng)
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    t, c = rng.uniform(1.5, 2.5, d), rng.uniform(0.1, 1.0, d) * np.where(np.arange(d) % 2, 1.0, -1.0)

    def f(X):
        units = np.maximum(X @ W.T - t, 0.0)
        return units @ c + 0.3 * units[:, 0] * units[:, 1]

    X = rng.standard_normal((n, d))
    y = f(X)
    bad = np.flatnonzero(rng.random(n) < flips)
    y[bad] = np.where(y[bad] != 0.0, 0.0, rng.choice(y[y != 0.0], len(bad)))
    return W, t, c, f, X, y


def test_beyond_the_textbook():
    """No landscape has minima at units of both signs; borders do not ask for the signs."""
    W, t, c, f, X, y = bent(1)
    model = ThresholdNetwork(activation=relu_threshold(2.0), control="none", random_state=0).fit(X, y)
    assert worst(model.weights_, W) < 0.5
    match = match_rows(model.weights_, W, signed=True)
    np.testing.assert_allclose(2.0 - model.biases_[match.permutation], t, atol=0.01)
    np.testing.assert_allclose(model.output_[match.permutation], c, atol=0.01)
    assert model.diagnostics_["wrong"] == pytest.approx(0.01, abs=0.002)
    fresh = np.random.default_rng(9).standard_normal((50_000, 6))
    assert model.score(fresh, f(fresh)) > 0.995
    # One unit too few: what is left is not spread like wrong labels.
    with pytest.warns(ConvergenceWarning, match="raise n_hidden"):
        few = ThresholdNetwork(5, relu_threshold(2.0), control="none", random_state=0).fit(X, y)
    assert not few.converged_


@pytest.mark.parametrize(("seed", "d"), [(11, 4), (32, 4), (34, 6)])
def test_weak_units_are_found_though_not_told_how_many(seed, d):
    """Signs show the rank of T_2; what is left has as many factors as units are missed; or tells one more."""
    W, _, _, f, X, y = bent(seed, n=100_000, d=d)
    model = ThresholdNetwork(activation=relu_threshold(2.0), control="none", random_state=0).fit(X, y)
    assert len(model.weights_) == d
    assert model.converged_
    assert worst(model.weights_, W) < 1.0
    assert model.score(X, f(X)) > 0.99


def test_inputs_as_they_come(sample):
    """Mean and covariance, estimated or known; the network is one of the user's inputs."""
    f, Z, y = sample
    rng = np.random.default_rng(3)
    root, mean = np.tril(rng.standard_normal((4, 4))) + 2.0 * np.eye(4), np.array([3.0, -1.0, 0.0, 50.0])
    X = Z @ root.T + mean
    for law in (None, Gaussian(mean, root @ root.T)):
        model = ThresholdNetwork(activation=f.activation, control="none", inputs=law, random_state=0).fit(
            X, y
        )
        heights = X[:9] @ model.weights_.T + model.biases_
        match = match_rows(model.weights_ @ root, f.weights, signed=True)
        assert match.worst < 0.02
        np.testing.assert_allclose(heights[:, match.permutation], Z[:9] @ f.weights.T, atol=0.1)
        assert model.score(X, y) > 0.999
    exponential = rng.exponential(size=(20_000, 4)) - 1.0
    with pytest.warns(ConvergenceWarning, match="X is not Gaussian"):
        ThresholdNetwork(activation=f.activation, control="none").fit(exponential, f(exponential))


def test_only_even_coefficients_of_the_activation_matter():
    """A threshold below zero has u_3 < 0 < u_2: T_2 of positive outputs is positive all the same."""
    activation, W = relu_threshold(-0.5), np.array([[0.6, 0.8, 0.0], [0.8, -0.6, 0.0]])
    assert activation.hermite_coefficient(3) < 0.0 < activation.hermite_coefficient(2)
    X = np.random.default_rng(0).standard_normal((20_000, 3))
    model = ThresholdNetwork(2, activation, refine=False, random_state=0).fit(
        X, activation(X @ W.T).sum(axis=1)
    )
    assert match_rows(model.weights_, W, signed=True).worst < 0.2
