"""Unions of halfspaces, from a sample alone and with an oracle (GP Theorem 12)."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from expected_failures import expected_failures
from nnmoments.activations import sign_threshold
from nnmoments.learners import HalfspaceUnionClassifier, halfspaces
from nnmoments.learners.beside import borders_beside
from nnmoments.linalg import match_rows
from nnmoments.networks import HiddenPolynomial, UnionOfHalfspaces, union_terms


def orthonormal(k, d, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, k)))[0].T


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [HalfspaceUnionClassifier(random_state=0)], expected_failed_checks=expected_failures()
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_union():
    W = np.random.default_rng(0).standard_normal((4, 4))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    f = UnionOfHalfspaces(W, 1.2)
    X = np.random.default_rng(1).standard_normal((2000, 4))
    polynomial = HiddenPolynomial(W, sign_threshold(1.2), union_terms(4))
    np.testing.assert_allclose(f(X), polynomial(X), atol=1e-12)
    f = UnionOfHalfspaces(orthonormal(3, 5), 2.0)
    X = np.random.default_rng(2).standard_normal((60_000, 5))
    fit = HalfspaceUnionClassifier(3, threshold=2.0, random_state=0).fit(X, oracle=f)
    assert match_rows(fit.weights_, f.weights, signed=True).worst < 1e-5
    assert fit.converged_
    # Control: nothing to find where nearly all points are active.
    low = UnionOfHalfspaces(orthonormal(5, 5), 0.2)
    with pytest.warns(ConvergenceWarning, match="raise the threshold"):
        none = HalfspaceUnionClassifier(5, threshold=0.2, random_state=0).fit(X[:20_000], oracle=low)
    assert len(none.weights_) < 5


@pytest.fixture(scope="module")
def sample():
    """Four halfspaces at four distances, and a fresh sample."""
    W, t = orthonormal(4, 6, seed=3), np.array([1.9, 2.0, 2.1, 2.2])
    X, fresh = np.random.default_rng(4).standard_normal((2, 150_000, 6))
    return W, t, X, np.where((t < X @ W.T).any(axis=1), "in", "a"), fresh


def test_many_wrong_labels_are_told(sample):
    """Behind four per cent a halfspace that was missed could hide."""
    W, _, X, y, _ = sample
    wrong = np.random.default_rng(6).random(len(X)) < 0.04
    with pytest.warns(ConvergenceWarning, match="4 of 4 halfspaces.*active samples lie in none"):
        model = HalfspaceUnionClassifier(4, random_state=0).fit(X, np.where(wrong, "in", y))
    assert match_rows(model.weights_, W, signed=True).worst < 0.1
    assert not model.converged_


def test_a_sample_is_enough(sample):
    """From (X, y) alone: directions and thresholds to d/n, whatever the classes are called."""
    W, t, X, y, fresh = sample
    model = HalfspaceUnionClassifier(random_state=0).fit(X, y)  # neither their number nor t is said
    match = match_rows(model.weights_, W, signed=True)
    assert model.converged_
    assert match.worst < 0.02
    np.testing.assert_allclose(-model.biases_[match.permutation], t, atol=0.02)
    truth = np.where((fresh @ W.T > t).any(axis=1), "in", "a")
    assert np.mean(model.predict(fresh) != truth) < 0.004
    assert list(model.classes_) == ["a", "in"]
    inside = (fresh @ model.weights_.T > -model.biases_).any(axis=1)
    np.testing.assert_array_equal(model.decision_function(fresh) > 0.0, inside)


def test_rounds_look_at_what_is_left(sample):
    """A halfspace hidden by a larger one is found among the active samples outside of that."""
    W, _, X, _, _ = sample
    t = np.array([1.75, 3.1])
    y = (t < X @ W[:2].T).any(axis=1)
    model = HalfspaceUnionClassifier(2, random_state=0).fit(X, y)
    assert match_rows(model.weights_, W[:2], signed=True).worst < 0.15
    assert model.diagnostics_["left"] < 0.01
    left = y & (-model.biases_ >= X @ model.weights_.T).all(axis=1)
    assert model.diagnostics_["left"] == pytest.approx(left.sum() / y.sum())


def test_borders_are_seen_beside_others():
    """Of four halfspaces three quarters of the samples are in one: a border shows where no other is near."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 4))
    rows = np.eye(4) + 0.05 * rng.standard_normal((4, 4))
    units = borders_beside(X, (X > 0.5).any(axis=1), np.ones(len(X)), -rows)  # of either sign
    np.testing.assert_allclose([unit.direction for unit in units], np.eye(4), atol=0.02)
    np.testing.assert_allclose([unit.threshold for unit in units], 0.5, atol=0.02)


def test_a_halfspace_holds_samples(sample):
    """Beyond a threshold that no sample reaches there is nothing that could be all active."""
    W, _, X, _, _ = sample
    with pytest.warns(ConvergenceWarning, match="0 of 1 halfspaces"):
        model = HalfspaceUnionClassifier(1, threshold=7.0, random_state=0).fit(X, X @ W[0] > 2.0)
    assert model.weights_.shape == (0, 6)


def test_low_thresholds(sample):
    """Below the root of three u_4 is negative, and the landscape's maxima are not the weights."""
    W, _, X, _, fresh = sample
    t = np.array([1.1, 1.3, 1.5, 1.6])
    model = HalfspaceUnionClassifier(random_state=0).fit(X, (t < X @ W.T).any(axis=1))
    match = match_rows(model.weights_, W, signed=True)
    assert model.converged_
    assert match.worst < 0.02
    truth = (t < fresh @ W.T).any(axis=1)
    assert np.mean(model.predict(fresh) != truth) < 0.004


def test_inputs_as_they_come(sample):
    W, _, Z, y, _ = sample
    mean, scale = np.array([5.0, 0, 0, 0, 0, -1]), np.array([1e3, 1, 1, 1, 1e-3, 1])
    model = HalfspaceUnionClassifier(4, random_state=0).fit(mean + scale * Z, y)
    match = match_rows(model.weights_ * scale, W, signed=True)
    assert match.worst < 0.03
    assert np.mean(model.predict(mean + scale * Z) != y) < 0.004


def test_what_is_no_union_is_not_learned(sample):
    """Noise, and the outside of a ball: the fit says that it is wrong."""
    _, _, X, _, _ = sample
    noise = np.random.default_rng(5).random(len(X)) < 0.1
    with pytest.warns(ConvergenceWarning, match="0 of 2 halfspaces.*active samples lie in none"):
        model = HalfspaceUnionClassifier(2, random_state=0).fit(X, noise)
    assert not model.converged_
    assert not model.predict(X[:100]).any()  # the more frequent class
    assert (model.decision_function(X[:100]) == -1.0).all()
    # A halfspace of which a part is inactive has a border, but is in no union.
    lapses = (X[:, 0] > 1.8) & (np.random.default_rng(6).random(len(X)) < 0.8)
    with pytest.warns(ConvergenceWarning, match="0 of 1 halfspaces"):
        HalfspaceUnionClassifier(1, random_state=0).fit(X, lapses)
    ball = np.linalg.norm(X, axis=1) > 3.2
    with pytest.warns(ConvergenceWarning, match="active samples lie in none"):
        model = HalfspaceUnionClassifier(2, random_state=0).fit(X, ball)
    assert model.diagnostics_["left"] > 0.5


def test_weights_of_samples(sample):
    """Samples of weight zero are not looked at; integer weights are repetitions."""
    _, _, X, y, _ = sample
    wrong = X[:, 0] > 0.5
    labels = np.where(wrong, "a", y)
    model = HalfspaceUnionClassifier(4, random_state=0)
    weighted = model.fit(X, labels, sample_weight=~wrong).weights_
    np.testing.assert_allclose(weighted, model.fit(X[~wrong], labels[~wrong]).weights_, atol=1e-12)
    twice = np.where(np.arange(len(X)) < 50_000, 2.0, 1.0)
    repeated = np.concatenate([X, X[:50_000]]), np.concatenate([y, y[:50_000]])
    first, second = model.fit(X, y, sample_weight=twice).weights_, model.fit(*repeated).weights_
    assert match_rows(first, second, signed=True).worst < 0.01


def test_single_precision_and_pickles(sample):
    _, _, X, y, fresh = sample
    model = HalfspaceUnionClassifier(4, random_state=0).fit(X.astype(np.float32), y)
    assert model.weights_.dtype == model.biases_.dtype == np.float32
    assert model.decision_function(fresh[:5].astype(np.float32)).dtype == np.float32
    assert pickle.loads(pickle.dumps(model)).predict(fresh[:9]).tolist() == model.predict(fresh[:9]).tolist()


def test_bad_input_is_named(sample):
    _, _, X, y, _ = sample
    X, y = X[:2000], y[:2000]
    for parameters, message in (
        ({"n_hidden": 7}, "n_hidden must be an integer from 1 to 6"),
        ({"threshold": -1.0}, "threshold must be a number above 0"),
        ({"max_iter": 0}, "max_iter must be an integer from 1"),
        ({"tol": float("nan")}, "tol must be a number above 0"),
        ({"random_state": "x"}, "random_state must be"),
    ):
        with pytest.raises(ValueError, match=message):
            HalfspaceUnionClassifier(**parameters).fit(X, y)
    with pytest.raises(ValueError, match="X must be at most"):
        HalfspaceUnionClassifier().fit(1e150 * X, y)
    with pytest.raises(ValueError, match="one class"):
        HalfspaceUnionClassifier().fit(X, np.ones(len(X)))
    with pytest.raises(ValueError, match="oracle must be callable"):
        HalfspaceUnionClassifier().fit(X, y, oracle=3)
    with pytest.raises(ValueError, match="oracle must give one label for each"):
        HalfspaceUnionClassifier().fit(X, oracle=lambda X: X)
    with pytest.raises(ValueError, match="sample_weight must"):
        HalfspaceUnionClassifier().fit(X, y, sample_weight=-np.ones(len(X)))


def test_a_mixture_of_halfspaces_is_said():
    """Unlike thresholds, half of all samples active: few of these are left out, and a row is wrong."""
    W = np.array([[1.0, 0.0, 0.0], [0.27, 0.96, 0.0], [0.13, -0.07, 0.99]])
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    X = np.random.default_rng(0).standard_normal((8000, 3))
    y = (X @ W.T > [0.3, 1.8, 0.6]).any(axis=1)
    with pytest.warns(ConvergenceWarning, match="trees predict .* of where the union is wrong"):
        model = HalfspaceUnionClassifier(3, random_state=0).fit(X, y)
    assert not model.converged_
    assert model.diagnostics_["left"] < 0.05


def _drawn(seed):
    """Return oblique rows, and a sample of a few thousand."""
    rng = np.random.default_rng([5, seed])
    k = int(rng.integers(1, 4))
    d = k + int(rng.integers(1, 9))
    n = int(10 ** rng.uniform(3.0, 3.9))
    threshold = rng.uniform(1.0, 2.0)
    W = np.eye(k, d) + 0.3 * rng.standard_normal((k, d))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    X = rng.standard_normal((n, d))
    heights = X @ W.T
    return W, X, (heights > threshold).any(axis=1)


@pytest.mark.parametrize("seed", [9, 53, 57, 223])
def test_others_do_not_turn_a_border(seed):
    """Where all samples fit a border it is 5.7 to 8 degrees off: alone it is about as near as is said."""
    W, X, y = _drawn(seed)
    model = HalfspaceUnionClassifier(len(W), random_state=0).fit(X, y)
    assert model.converged_, model.status_
    cosines = model.weights_ @ W.T
    nearest = cosines.argmax(axis=1)
    assert sorted(nearest) == list(range(len(W)))
    off = np.arccos(np.minimum(cosines.max(axis=1), 1.0))
    assert np.all(off < np.deg2rad(5.0))
    assert np.all(off < 1.25 * model.diagnostics_["row_error"])


def test_rows_that_a_sample_does_not_show_are_not_trusted():
    """Too few samples are beside any of three borders alone, and rows are up to ten degrees off."""
    W, X, y = _drawn(58)
    with pytest.warns(ConvergenceWarning, match="3 of 3 rows may be off by 90 degrees.*pass more samples"):
        model = HalfspaceUnionClassifier(3, random_state=0).fit(X, y)
    assert not model.converged_
    np.testing.assert_array_equal(model.diagnostics_["row_error"], np.pi / 2.0)
    assert (model.weights_ @ W.T).max(axis=1).min() < np.cos(np.deg2rad(5.0))


def test_what_trees_predict_is_not_trusted(monkeypatch):
    """Of a union whose rows are known, too."""
    W, X, y = _drawn(53)
    monkeypatch.setattr(halfspaces, "predictable_share", lambda *_, **__: 0.3)
    with pytest.warns(ConvergenceWarning, match="trees predict 30% of where the union is wrong"):
        model = HalfspaceUnionClassifier(len(W), random_state=0).fit(X, y)
    assert not model.converged_
    assert model.diagnostics_["row_error"].max() < 0.15


def test_wrong_labels_beyond_all_borders_are_no_halfspace():
    """They are spread like all samples there, however many they are of the active; a halfspace is not."""
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((40_000, 3)), np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])
    y = (X @ W.T > 2.0).any(axis=1)
    noisy = np.where(rng.random(len(y)) < 0.1, rng.permutation(y), y)
    model = HalfspaceUnionClassifier(2, random_state=0).fit(X, noisy)
    assert model.converged_
    assert model.diagnostics_["left"] > 0.08
    with pytest.warns(ConvergenceWarning, match="lie in none"):
        few = HalfspaceUnionClassifier(1, random_state=0).fit(X, y)
    assert not few.converged_
