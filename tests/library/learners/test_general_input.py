"""From (X, y) alone to the network: GM Sections 3 and 4.2."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from companion.experiments.landscape_design import marginal_kappa
from expected_failures import expected_failures
from nnmoments.activations import relu
from nnmoments.densities import Gaussian, GaussianMixture, Logistic, StandardNormal, UserDensity, iid
from nnmoments.learners import GeneralInputNetwork, general_input
from nnmoments.linalg import match_rows
from nnmoments.moments import ControlVariate, Polynomials, RidgeSurrogate, cross_moment
from nnmoments.networks import OneHiddenLayer
from nnmoments.scores import IndependentLocalLikelihood, NearestNeighbor, standardization


@parametrize_with_checks(
    [GeneralInputNetwork(n_starts=1, max_iter=20, random_state=0)],
    expected_failed_checks=expected_failures("folds and windows are of rows"),
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
    assert match.worst < 0.01
    np.testing.assert_allclose(fitted.output_[match.permutation], [1.0, 0.8, 1.2, 1.0], atol=0.02)
    assert fitted.converged_
    share = fitted.diagnostics_["unexplained"]
    assert share == pytest.approx(fitted.diagnostics_["noise"])
    assert share == pytest.approx(0.1**2 / np.var(y), rel=0.05)
    assert "by a descent from T_4" in fitted.status_


def test_default_score():
    rng = np.random.default_rng(5)
    W = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    X = rng.standard_normal((4000, 2))
    y = relu(X @ W.T).sum(axis=1)
    fitted = GeneralInputNetwork(2, random_state=0).fit(X, y)
    assert match_rows(fitted.weights_, W, signed=True).worst < 1e-6


def test_wide_windows_serve_in_several_dimensions():
    rng = np.random.default_rng(7)
    f, W = iid(Logistic(), 4), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    X = f.sample(3000, rng=rng)
    model = GeneralInputNetwork(4, random_state=0).fit(X, relu(X @ W.T).sum(axis=1))
    assert match_rows(model.weights_, W, signed=True).worst < 1e-6
    assert model.score(X, relu(X @ W.T).sum(axis=1)) > 0.999


@pytest.mark.parametrize(("n", "d", "degree"), [(2000, 10, 2), (300, 10, 1), (20, 10, 0)])
def test_control_fits_the_sample(n, d, degree):
    """Ten samples of a fold for each polynomial that is removed."""
    X = np.random.default_rng(0).standard_normal((n, d))
    y = relu(X).sum(axis=1)
    model = GeneralInputNetwork(1, score_model=StandardNormal(d), n_starts=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert f"degree {degree} " in model.diagnostics_["moment"].removed


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


def oblique_problem(seed, n=60_000, d=6, k=3):
    """Rows of pairwise cosine up to .5, biases, coefficients of both signs, mean 3, scales 1 to 100."""
    rng = np.random.default_rng(seed)
    cosine = rng.uniform(0.0, 0.5)
    W = np.linalg.cholesky(np.full((k, k), cosine) + (1.0 - cosine) * np.eye(k))
    W = W @ np.linalg.qr(rng.standard_normal((d, d)))[0][:k]
    scale, Z = 10.0 ** rng.uniform(0.0, 2.0, d), rng.standard_normal((n, d))
    v, b = rng.choice([-1.0, 1.0], k) * rng.uniform(0.5, 2.0, k), rng.uniform(-0.5, 0.5, k)
    W /= np.linalg.norm(W / scale, axis=1, keepdims=True)
    return 3.0 * scale + Z * scale, relu(Z @ W.T + b) @ v + 5.0, W / scale, b - 3.0 * W.sum(axis=1), v, scale


@pytest.mark.parametrize("seed", range(4))
def test_oblique_rows_of_both_signs_in_any_coordinates(seed):
    X, y, W, b, v, scale = oblique_problem(seed)
    score = Gaussian(3.0 * scale, np.diag(scale**2))
    model = GeneralInputNetwork(3, score_model=score, random_state=0).fit(X, y)
    assert model.converged_
    match = match_rows(model.weights_, W, signed=True)
    assert match.worst < 1e-6
    np.testing.assert_allclose(model.biases_[match.permutation], b, rtol=1e-6)
    np.testing.assert_allclose(model.output_[match.permutation], v, rtol=1e-6)
    assert model.intercept_ == pytest.approx(5.0, abs=1e-6)


def test_the_landscape_whitened_by_the_moment_itself():
    """Remark 3 of GM: rows that are independent only."""
    X = np.random.default_rng(0).standard_normal((30_000, 5))
    W = np.eye(5)[:3] + 0.6 * np.eye(5)[[1, 2, 3]]
    y = relu(X @ W.T).sum(axis=1)
    model = GeneralInputNetwork(3, score_model=StandardNormal(5), decoder="landscape", random_state=0).fit(
        X, y
    )
    decoded = model.diagnostics_["rows"].rows
    assert match_rows(decoded, W / np.linalg.norm(W, axis=1, keepdims=True)).worst < 0.1
    assert model.converged_
    noisy = y + 0.1 * np.random.default_rng(1).standard_normal(len(y))
    with pytest.warns(ConvergenceWarning, match="(do|does) no more than a line does|3 units explain as much"):
        GeneralInputNetwork(4, score_model=StandardNormal(5), random_state=0).fit(X, noisy)


@pytest.mark.parametrize(
    ("surrogate", "removed"),
    [
        ("auto", "a polynomial of degree 3 (2-fold)"),
        (Polynomials(4), "a polynomial of degree 4 (2-fold)"),
        (RidgeSurrogate(np.eye(3), np.zeros(3), np.ones((1, 3)), relu, [0.0]), "3 units (relu)"),
        ("network", "3 units (relu) (2-fold)"),
        (None, "nothing"),
    ],
)
def test_the_moment_is_the_doubly_robust_one(surrogate, removed):
    X, y, W = gaussian_problem(3000)
    model = learner(surrogate=surrogate).fit(X, y)
    moment = model.diagnostics_["moment"]
    assert moment.removed == removed
    assert match_rows(model.weights_, W, signed=True).worst < 1e-6
    if surrogate is None:
        plain = cross_moment(X, y, StandardNormal(3), 4, bases=standardization(X)[1])
        np.testing.assert_array_equal(moment.value, plain.value)


def test_the_network_leaves_less_noise_in_its_moment():
    """Than polynomials do, whether its mean derivative is integrated or averaged."""
    rng = np.random.default_rng(0)
    f, W, v = iid(Logistic(), 3), np.linalg.qr(rng.standard_normal((3, 3)))[0], [1.0, -1.0, 1.0]
    net = OneHiddenLayer(W, relu, v)
    truth = RidgeSurrogate(W, np.zeros(3), [v], relu, [0.0]).mean_derivative(f, [None] * 4)[0]

    def sample(n):
        X = f.sample(n, rng=rng)
        return X, net.sample_labels(X, noise=0.1, rng=rng)

    X, y = sample(4000)
    model = learner(score_model=f, surrogate="network").fit(X, y)
    moment, root = model.diagnostics_["moment"], np.linalg.inv(standardization(X)[1])
    back = np.einsum("abcd,ai,bj,ck,dl->ijkl", moment.value, root, root, root, root)
    error = {"polynomial": [], "averaged": []}
    for _ in range(4):
        X, y = sample(4000)
        for name, g in (("polynomial", Polynomials(3)), ("averaged", model.as_surrogate())):
            error[name].append(np.sum((cross_moment(X, y, f, 4, surrogate=g).value - truth) ** 2))
    usual = np.mean(error["polynomial"])
    assert np.sum((back - truth) ** 2) < 0.1 * usual
    assert np.mean(error["averaged"]) < 0.5 * usual


@pytest.mark.parametrize(("surrogate", "drawn"), [("auto", [0, 1, 2]), ("network", [0, 0, 1])])
def test_a_second_decoding_comes_before_random_rows(monkeypatch, surrogate, drawn):
    """Two units cannot explain three, so that the learner goes on."""
    calls, random_rows = [], general_input.random_rows
    monkeypatch.setattr(general_input, "random_rows", lambda *a, **o: calls.append(a) or random_rows(*a, **o))
    X, y, _ = gaussian_problem(600)
    for n_starts, expected in enumerate(drawn, start=1):
        calls.clear()
        model = learner(surrogate=surrogate, n_starts=n_starts).set_params(n_hidden=2)
        with pytest.warns(ConvergenceWarning, match=f"can still be predicted from x, after {n_starts} desc"):
            model.fit(X, y)
        assert len(calls) == expected


def test_the_network_makes_up_for_a_wrong_score():
    """Its mean derivative is integrated only where the score passes its test."""
    X, y, W = gaussian_problem()
    teacher = RidgeSurrogate(W, np.zeros(3), [[1.0, 1.5, 0.8]], relu, [0.0])
    truth = teacher.mean_derivative(StandardNormal(3), [standardization(X)[1]] * 4)[0]
    error = {}
    for surrogate in ("auto", "network"):
        with pytest.warns(ConvergenceWarning, match="the score is not that of X"):
            model = learner(score_model=Gaussian(np.zeros(3), 2.0 * np.eye(3)), surrogate=surrogate).fit(X, y)
        error[surrogate] = np.linalg.norm(model.diagnostics_["moment"].value - truth)
    assert error["network"] < 0.25 * error["auto"]


def test_real_labels_have_a_mean():
    X, y, W = gaussian_problem()
    plain = learner(fit_intercept=False, fit_biases=False).fit(X, y)
    shifted = learner().fit(X, y + 7.0)
    assert match_rows(plain.weights_, W, signed=True).worst < 1e-6
    assert match_rows(shifted.weights_, plain.weights_, signed=True).worst < 1e-6
    assert plain.intercept_ == 0.0
    assert shifted.intercept_ == pytest.approx(7.0, abs=1e-6)
    np.testing.assert_array_equal(plain.biases_, 0.0)


def test_a_score_of_the_wrong_scale_is_told():
    X, y, _ = gaussian_problem()
    with pytest.warns(ConvergenceWarning, match=r"E\[z S_1\^T\] is .* the score is not that of X"):
        wrong = learner(score_model=Gaussian(np.zeros(3), 4.0 * np.eye(3))).fit(X, y)
    assert not wrong.converged_


def test_a_score_of_another_law_is_named_with_its_remedy():
    """Functions of the standard normal score on logistic inputs: of another variance, and of its own."""
    flat = [lambda X, m=m: np.zeros((len(X),) + (3,) * m) for m in (3, 4)]
    score = UserDensity(3, [lambda X: -X, lambda X: np.tile(-np.eye(3), (len(X), 1, 1)), *flat])
    X = np.random.default_rng(0).logistic(size=(8000, 3))
    y = np.maximum(X @ [0.6, 0.8, 0.0], 0.0) - 0.6 * np.maximum(X @ [0.0, 0.6, 0.8], 0.0)
    model = GeneralInputNetwork(2, score_model=score, n_starts=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"score is not that of X; .*score_model=None estimates it"):
        model.fit(X, y)
    assert not model.converged_
    # All that is checked holds for inputs of variance 1, and T_4 shows no unit.
    hint = "T_4 does not show 2 of 2 units.*pass another score_model or None"
    assert re.search(hint, model.fit(X / X.std(axis=0), y).status_)
    estimated = model.set_params(score_model=None).fit(X, y)
    assert estimated.converged_
    assert "score_model" not in estimated.status_


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (lambda X: -X, r"score_model must be a ScoreModel, got a function: pass UserDensity\(d, "),
        (StandardNormal(4), "score_model must have the dimension of X: 3, got 4$"),
    ],
)
def test_functions_and_other_dimensions_are_no_score(score, said):
    X, y, _ = gaussian_problem(100)
    with pytest.raises(ValueError, match=said):
        learner(score_model=score).fit(X, y)


def test_units_with_biases_ask_for_them():
    """Without biases two units leave much of the labels; the message names the parameter, where it is off."""
    X = np.random.default_rng(0).standard_normal((3000, 3))
    y = np.maximum(X[:, 0] + 1.0, 0.0) + np.maximum(X[:, 1] - 0.5, 0.0)
    options = {"score_model": StandardNormal(3), "n_starts": 1, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="predicted from x.* pass another n_hidden.*fit_biases=True"):
        GeneralInputNetwork(2, fit_biases=False, **options).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="a line does: pass fewer units, fit_biases=True, or more"):
        GeneralInputNetwork(1, fit_biases=False, **options).fit(X, X[:, 0] + 5.0)
    with pytest.warns(ConvergenceWarning, match="can still be predicted from x") as said:
        GeneralInputNetwork(1, **options).fit(X, y)
    assert "fit_biases" not in str(said[0].message)


def test_few_samples_are_no_evidence():
    """Trees see nothing in fewer than forty samples; then it is chance, or other weights, that count."""
    exact, told = 0, ""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, w = rng.standard_normal((8, 3)), rng.standard_normal((3, 3))
        for y in (np.maximum(X @ w.T, 0.0) @ [1.0, -1.0, 1.0], rng.standard_normal(8)):
            model = GeneralInputNetwork(3, score_model=StandardNormal(3), n_starts=2, random_state=0)
            with pytest.warns(ConvergenceWarning):
                model.fit(X, y)
            exact += model.diagnostics_["unexplained"] < 1e-3
            told += model.status_
    assert exact > 0
    assert "parameters leave as little of any labels of 8 different samples" in told
    with pytest.warns(ConvergenceWarning, match="1 of 1 unit: kappa is noise there"):
        GeneralInputNetwork(1, score_model=StandardNormal(3), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="sample_weight must be above 0 for 4 samples, got 2"):
        GeneralInputNetwork(1).fit(X, y, sample_weight=[1.0, 1.0, 0, 0, 0, 0, 0, 0])


def test_a_moment_without_units_is_told():
    """The mean fourth derivative of tanh vanishes: the descent must do without T_4, or say that it failed."""
    X, _, W = gaussian_problem()
    model = learner(activation="tanh").fit(X, np.tanh(X @ W.T) @ [1.0, 1.5, 0.8])
    assert "T_4 does not show" in model.status_
    assert "odd activations" in model.status_
    assert match_rows(model.weights_, W).worst < 0.01 or not model.converged_


def test_noise_is_no_failure_and_what_x_predicts_is_one():
    X, y, W = gaussian_problem(10_000)
    noise = np.random.default_rng(1).standard_normal(len(y))
    noisy = learner().fit(X, y + noise)
    assert noisy.converged_
    assert match_rows(noisy.weights_, W, signed=True).worst < 0.1
    assert noisy.diagnostics_["unexplained"] == pytest.approx(1.0 / np.var(y + noise), rel=0.1)
    with pytest.warns(ConvergenceWarning, match="can still be predicted from x, after 2 descents"):
        few = GeneralInputNetwork(2, score_model=StandardNormal(3), n_starts=2, random_state=0).fit(
            X, y + noise
        )
    assert few.diagnostics_["noise"] < few.diagnostics_["unexplained"]
    with pytest.warns(ConvergenceWarning, match="no more than a line does"):
        learner().fit(X[:2000], noise[:2000])


def test_a_small_ripple_is_predicted_almost_wholly():
    """A sine of x without noise: trees follow it, and the share that is said is that of its ranks."""
    X, y, _ = gaussian_problem(3000)
    with pytest.warns(ConvergenceWarning, match="9[0-9]% of that can still be predicted from x"):
        model = learner(n_starts=1).fit(X, y + 0.01 * np.sin(4.0 * X[:, 0]))
    assert model.diagnostics_["unexplained"] < 1e-3


def test_inputs_about_another_point_without_biases():
    """The borders of units without biases pass through zero, not through the mean of the inputs."""
    model = learner(fit_biases=False, score_model=Gaussian(np.ones(3), np.eye(3)))
    for seed in range(3):
        X, _, W = gaussian_problem(4000, seed)
        W *= np.sign(W.sum(axis=1, keepdims=True)) * [[1.0], [-1.0], [1.0]]
        X = X + 1.0
        model.fit(X, relu(X @ W.T) @ [1.0, 1.5, 0.8])
        assert model.converged_
        assert match_rows(model.weights_, W, signed=True).worst < 1e-6
        np.testing.assert_array_equal(model.biases_, 0.0)


def test_signs_of_units_and_of_their_output():
    X, y, W = gaussian_problem()
    up, down = learner().fit(X, y), learner().fit(X, -y)
    assert match_rows(up.weights_, W, signed=True).worst < 1e-6
    np.testing.assert_allclose(np.sort(down.output_), np.sort(-up.output_), atol=1e-6)


def test_weights_are_so_many_copies_in_every_step():
    """Rows of weight zero do not count; a weight that follows x is part of the density of x."""
    X, y, _ = gaussian_problem()
    model = learner().fit(X, y)
    extra = np.vstack([X, X[:50] + 100.0]), np.append(y, np.full(50, 1e6))
    without = learner().fit(*extra, sample_weight=np.append(np.ones(8000), np.zeros(50)))
    assert match_rows(without.weights_, model.weights_, signed=True).worst < 1e-6
    # N(shift, I) seen through samples of N(0, I): unweighted, the score would be that of N(0, I).
    Z, shift = np.random.default_rng(1).standard_normal((3000, 2)), np.array([0.5, 0.0])
    weight, turn = np.exp(Z @ shift - 0.5 * shift @ shift), np.array([[0.8, 0.6], [-0.6, 0.8]])
    labels = relu(Z @ turn.T).sum(axis=1)
    fitted = GeneralInputNetwork(2, random_state=0).fit(Z, labels, weight)
    assert match_rows(fitted.weights_, turn).worst < 1e-6
    assert fitted.diagnostics_["score"].passed


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("decoder", "newton"),
        ("surrogate", "polynomial"),
        ("surrogate", 3),
        ("n_starts", 0),
        ("max_iter", 0),
        ("fit_biases", 2),
        ("score_model", "gaussian"),
        ("random_state", "today"),
    ],
)
def test_parameters_are_checked(name, value):
    X, y, _ = gaussian_problem(100)
    with pytest.raises(ValueError, match=name):
        learner(**{name: value}).fit(X, y)


def test_constant_columns_are_named_and_have_no_weight():
    """Wherever they stand and whatever their value, as if they were not there."""
    X, y, W = gaussian_problem()
    plain = learner().fit(X, y)
    wide = np.insert(X, [0, 2], [7.0, 0.0], axis=1)
    model = learner().fit(wide, y)
    assert model.converged_
    assert "columns 0, 3 of X are constant: their weights are 0" in model.status_
    assert "constant" not in plain.status_
    np.testing.assert_array_equal(model.weights_[:, [0, 3]], 0.0)
    np.testing.assert_array_equal(model.weights_[:, [1, 2, 4]], plain.weights_)
    np.testing.assert_array_equal(model.predict(wide), plain.predict(X))
    assert match_rows(model.weights_[:, [1, 2, 4]], W).worst < 0.01
    assert model.as_surrogate().predict(wide)[:, 0] == pytest.approx(y, abs=1e-6)
    with pytest.raises(ValueError, match=r"n_hidden must be at most 3, .*4: columns 0, 3 of X are constant"):
        learner().set_params(n_hidden=4).fit(wide, y)
    with pytest.raises(ValueError, match=r"score_model .*: 3, got 5; columns 0, 3 of X are constant: leave"):
        learner(score_model=StandardNormal(5)).fit(wide, y)


def test_columns_without_a_density_are_named():
    X, y, _ = gaussian_problem(100)
    with pytest.raises(ValueError, match="constant columns: 0, 1, 2"):
        learner().fit(np.ones_like(X), y)
    with pytest.raises(ValueError, match="columns that repeat each other: 0 and 2"):
        learner().fit(X[:, [0, 1, 0]], y)
