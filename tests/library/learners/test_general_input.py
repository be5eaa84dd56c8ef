"""From (X, y) alone to the network: GM Sections 3 and 4.2."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from companion.experiments.landscape_design import marginal_kappa
from nnmoments.activations import relu
from nnmoments.densities import GaussianMixture, Logistic, StandardNormal, iid
from nnmoments.learners import GeneralInputNetwork
from nnmoments.linalg import match_rows
from nnmoments.moments import ControlVariate, cross_moment
from nnmoments.networks import OneHiddenLayer
from nnmoments.scores import IndependentLocalLikelihood, NearestNeighbor

# Folds and windows are of rows: so many copies of one need not fall where its weight does.
_REPEATED = {"check_sample_weight_equivalence_on_dense_data": "a weight is not so many copies"}


@parametrize_with_checks(
    [GeneralInputNetwork(n_starts=2, random_state=0)], expected_failed_checks=lambda _: _REPEATED
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_rotated_network_under_logistic_input():
    rng = np.random.default_rng(3)
    f, W = iid(Logistic(), 4), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    X = f.sample(60_000, rng=rng)
    y = OneHiddenLayer(W, relu, [1.0, 0.8, 1.2, 1.0]).sample_labels(X, noise=0.1, rng=rng)
    score = IndependentLocalLikelihood(X, bandwidth=NearestNeighbor(0.5))
    fitted = GeneralInputNetwork(4, score_model=score, random_state=0).fit(X, y)
    match = match_rows(fitted.weights_, W, signed=True)
    assert match.worst < 0.1
    np.testing.assert_allclose(fitted.output_[match.permutation], [1.0, 0.8, 1.2, 1.0], atol=0.15)
    assert fitted.converged_
    assert fitted.diagnostics_["unexplained"] < 0.02
    assert "starts end at the least value" in fitted.status_


def test_default_score():
    rng = np.random.default_rng(5)
    W = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    X = rng.standard_normal((4000, 2))
    y = relu(X @ W.T).sum(axis=1)
    fitted = GeneralInputNetwork(2, random_state=0).fit(X, y)
    assert match_rows(fitted.weights_, W).worst < 0.5


def test_wide_windows_serve_in_several_dimensions():
    rng = np.random.default_rng(7)
    f, W = iid(Logistic(), 4), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    X = f.sample(8000, rng=rng)
    model = GeneralInputNetwork(4, random_state=0).fit(X, relu(X @ W.T).sum(axis=1))
    assert match_rows(model.weights_, W, signed=True).worst < 0.5
    assert model.score(X, relu(X @ W.T).sum(axis=1)) > 0.9


@pytest.mark.parametrize(("n", "d", "degree"), [(2000, 10, 2), (300, 10, 1), (20, 10, 0)])
def test_control_fits_the_sample(n, d, degree):
    """Ten samples of a fold for each polynomial that is removed."""
    X = np.random.default_rng(0).standard_normal((n, d))
    y = relu(X).sum(axis=1)
    model = GeneralInputNetwork(1, score_model=StandardNormal(d), n_starts=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert f"degree <= {degree} " in model.diagnostics_["moment"].removed


@pytest.mark.parametrize("angle", np.linspace(0.0, np.pi, 13))
def test_the_moment_of_figure_4_vanishes(angle):
    """kappa_w = f_w''(0): zero on the axes, of opposite signs for every other orthonormal pair."""
    W = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    step = 1e-3
    kappa = []
    for w in W:
        m = w.sum()
        density = [np.mean(norm.pdf(u, [m, -m])) for u in (-step, 0.0, step)]
        kappa.append((density[0] - 2 * density[1] + density[2]) / step**2)
    np.testing.assert_allclose(kappa, [marginal_kappa(w) for w in W], atol=1e-6)
    assert marginal_kappa(W[0]) * marginal_kappa(W[1]) <= 1e-15
    assert abs(marginal_kappa([1.0, 0.0])) < 1e-15


def test_the_sampled_moment_of_figure_4_vanishes():
    """z-scores of the five entries of T_4 at n = 200,000 under the true score; P(|z| > 6) < 1e-7 each."""
    f = GaussianMixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]])
    X = f.sample(200_000, rng=11)
    found = cross_moment(X, relu(X).sum(axis=1), f, 4, control=ControlVariate())
    assert np.abs(found.value / found.standard_error).max() < 6.0


def test_names_of_activations_are_checked():
    with pytest.raises(ValueError, match="activation must be an Activation or one of"):
        GeneralInputNetwork(1, "step").fit(np.ones((9, 2)), np.ones(9))


def test_more_units_than_dimensions_are_refused():
    with pytest.raises(ValueError, match="n_hidden must be an integer from 1 to 2, got 3"):
        GeneralInputNetwork(3).fit(np.ones((9, 2)), np.ones(9))


def gaussian_problem(n=8000, seed=0):
    rng = np.random.default_rng(seed)
    W = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    X = rng.standard_normal((n, 3))
    return X, relu(X @ W.T) @ [1.0, 1.5, 0.8], W


def learner(**options):
    options = {"n_starts": 4, "random_state": 0, "score_model": StandardNormal(3)} | options
    return GeneralInputNetwork(3, **options)


def test_real_labels_have_a_mean():
    X, y, W = gaussian_problem()
    plain, shifted = learner(fit_intercept=False).fit(X, y), learner().fit(X, y + 7.0)
    assert match_rows(plain.weights_, W, signed=True).worst < 0.2
    assert match_rows(shifted.weights_, plain.weights_, signed=True).worst < 1e-6
    assert plain.intercept_ == 0.0
    # The constant takes up what the directions' errors leave of the mean.
    assert shifted.intercept_ == pytest.approx(7.0, abs=0.2)
    np.testing.assert_array_equal(plain.biases_, 0.0)
    np.testing.assert_allclose(shifted.predict(X).mean(), y.mean() + 7.0)
    mean_lost = y - shifted.predict(X)
    assert shifted.diagnostics_["unexplained"] == pytest.approx(np.var(mean_lost + 7.0) / np.var(y))


def test_gm_own_descent_beside_the_quasi_newton_one():
    X, y, _ = gaussian_problem()
    ours = learner().fit(X, y)
    with pytest.warns(ConvergenceWarning, match="raise max_iter or the step"):
        learner(solver="gradient", max_iter=10).fit(X, y)
    theirs = learner(solver="gradient", step=2e-3, max_iter=6000).fit(X, y)
    assert match_rows(theirs.weights_, ours.weights_, signed=True).worst < 0.02
    assert theirs.n_iter_ == 6000 > 20 * ours.n_iter_


def test_signs_of_units_and_of_their_output():
    X, _, W = gaussian_problem(60_000)
    y = relu(X @ W.T) @ [1.0, 1.5, 0.8]
    up, down = learner().fit(X, y), learner().fit(X, -y)
    assert match_rows(up.weights_, W, signed=True).worst < 0.1
    np.testing.assert_allclose(np.sort(down.output_), np.sort(-up.output_), atol=1e-6)


def test_weights_are_so_many_copies_in_every_step():
    """Rows of weight zero do not count; a weight that follows x is part of the density of x."""
    X, y, _ = gaussian_problem()
    model = learner().fit(X, y)
    extra = np.vstack([X, X[:50] + 100.0]), np.append(y, np.full(50, 1e6))
    without = learner().fit(*extra, sample_weight=np.append(np.ones(8000), np.zeros(50)))
    assert match_rows(without.weights_, model.weights_, signed=True).worst < 1e-6
    # N(shift, I) seen through samples of N(0, I): unweighted, the score would be that of N(0, I).
    Z, shift = np.random.default_rng(1).standard_normal((6000, 2)), np.array([0.5, 0.0])
    weight, turn = np.exp(Z @ shift - 0.5 * shift @ shift), np.array([[0.8, 0.6], [-0.6, 0.8]])
    labels = relu(Z @ turn.T).sum(axis=1)
    options = {"n_starts": 3, "random_state": 0}
    fitted = GeneralInputNetwork(2, **options).fit(Z, labels, weight)
    assert match_rows(fitted.weights_, turn).worst < 0.2
    plain, thrice = (GeneralInputNetwork(2, **options).fit(Z, labels, w) for w in (None, np.full(6000, 3.0)))
    assert match_rows(plain.weights_, thrice.weights_).worst < 1e-6


def test_single_precision_frames_and_pickles():
    X, y, _ = gaussian_problem(3000)
    single = learner().fit(X.astype(np.float32), y.astype(np.float32))
    for name in ("weights_", "biases_", "output_"):
        assert getattr(single, name).dtype == np.float32
    assert single.predict(X.astype(np.float32)).dtype == np.float32
    frame = pd.DataFrame(X, columns=list("abc"))
    model = learner().fit(frame, y)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    copy = pickle.loads(pickle.dumps(model))
    assert copy == model
    np.testing.assert_array_equal(copy.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="masked"):
        learner().fit(np.ma.masked_less(X, 0.0), y)


def test_what_cannot_be_trusted_is_warned_of():
    X, y, _ = gaussian_problem(3000)
    noise = np.random.default_rng(1).standard_normal(3000)
    with pytest.warns(ConvergenceWarning, match="raise max_unexplained"):
        noisy = learner().fit(X, y + noise)
    assert not noisy.converged_
    share = noisy.diagnostics_["unexplained"]
    assert f"{share:.1%} of the labels' variance is left" in noisy.status_
    assert learner(max_unexplained=1.01 * share).fit(X, y + noise).converged_
    with pytest.warns(ConvergenceWarning, match="T_4 is noisy, pass more samples"):
        lost = GeneralInputNetwork(6, max_unexplained=5.0, random_state=0, score_model=StandardNormal(6)).fit(
            np.random.default_rng(2).standard_normal((200, 6)), noise[:200]
        )
    assert lost.diagnostics_["landscape"].agreement <= 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mu", 0.0),
        ("lam", -1.0),
        ("n_starts", 0),
        ("solver", "newton"),
        ("max_iter", 0),
        ("tol", 0.0),
        ("max_unexplained", np.nan),
        ("random_state", "today"),
    ],
)
def test_parameters_are_checked(name, value):
    X, y, _ = gaussian_problem(100)
    with pytest.raises(ValueError, match=name):
        learner(**{name: value}).fit(X, y)
