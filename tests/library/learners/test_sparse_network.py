"""The learner of SA: its moment, its gradients, scikit-learn's conventions, and what it learns."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, softmax
from scipy.stats import f, kstest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from expected_failures import expected_failures
from nnmoments.activations import relu, tanh
from nnmoments.densities import Logistic, StandardNormal, iid
from nnmoments.learners import SparseNetworkClassifier
from nnmoments.learners.sparse_network import train_network
from nnmoments.linalg import match_rows
from nnmoments.moments import first_moment
from nnmoments.networks import FeedForward, sparse_weights
from nnmoments.sparse import recover_rows

WEIGHTS = "folds are halves of the sample, and standard errors count samples: a weight of 2 is no repetition"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [SparseNetworkClassifier(max_iter=50, random_state=0)],
    expected_failed_checks=expected_failures(WEIGHTS),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def teacher(k=4, d=60, n_y=8, seed=1, depth=2, activation=relu, scale=4.0, link="softmax"):
    rng = np.random.default_rng(seed)
    A = sparse_weights(k, d, density=0.15, rng=rng)
    middle = [1.5 * np.linalg.qr(rng.standard_normal((k, k)))[0] for _ in range(depth - 2)]
    top = scale * rng.standard_normal((n_y, k))
    return FeedForward([A, *middle, top], activation, link=link), rng


def labelled(net, n, rng):
    X = rng.standard_normal((n, net.d))
    return X, net.sample_labels(X, rng=rng).argmax(axis=1)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("control", ["none", "mean", "linear"])
@pytest.mark.parametrize("density", [StandardNormal(5), iid(Logistic(), 5)])
def test_first_moment_is_unbiased(control, density):
    """z-scores of T_1 - E[grad E[y|x]] (SA Theorem 1), 15 entries; P(|t_63| > 6) = 1e-7 each."""
    rng = np.random.default_rng(1)
    net = FeedForward([rng.standard_normal((4, 5)), rng.standard_normal((3, 4))], tanh)
    X = density.sample(40_000, rng=rng)
    truth = net.jacobian(density.sample(200_000, rng=rng)).mean(axis=0)
    estimate = first_moment(X, net(X) + 1.0, density, control=control)
    assert np.abs((estimate.value - truth) / estimate.standard_error).max() < 6


def test_linear_control_reduces_variance():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((20_000, 6))
    y = 3.0 + X @ rng.standard_normal((6, 3)) + 0.3 * np.tanh(X[:, :3])
    errors = {
        c: first_moment(X, y, StandardNormal(6), control=c).standard_error.mean()
        for c in ("none", "mean", "linear")
    }
    assert errors["linear"] < 0.2 * errors["mean"] < 0.2 * errors["none"]


# --- training --------------------------------------------------------------------------------------


def cross_entropy(X, Y, weights, biases, link, share, alpha):
    """The loss of the docstring, from probabilities."""
    hidden = X
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        hidden = np.tanh(hidden @ W.T + b)
    logits = hidden @ weights[-1].T + biases[-1]
    if link == "softmax":
        value = -(Y * np.log(softmax(logits, axis=1))).sum(axis=1)
    else:
        p = expit(logits)
        value = -(Y * np.log(p) + (1 - Y) * np.log(1 - p)).sum(axis=1)
    return share @ value + alpha / 2 * sum((W**2).sum() for W in weights)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_training_ends_in_a_stationary_point(link):
    """The loss of an independent formula is the one reported, and no free weight lowers it."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 4)), np.eye(3)[rng.integers(0, 3, 40)]
    weights = [rng.standard_normal((3, 4)), rng.standard_normal((2, 3)), rng.standard_normal((3, 2))]
    biases = [np.zeros(3), np.zeros(2), np.zeros(3)]
    mask = rng.random((3, 4)) < 0.6
    weight = rng.random(40)
    options = {"activation": "tanh", "link": link, "alpha": 0.05}
    net = train_network(
        X, Y, weights, biases, mask=mask, sample_weight=weight, max_iter=3000, tol=1e-8, **options
    )
    assert net.converged
    share = weight / weight.sum()
    assert_allclose(net.loss, cross_entropy(X, Y, net.weights, net.biases, link, share, 0.05), rtol=1e-12)
    assert not net.weights[0][~mask].any()
    for layer in range(3):
        for kind in ("weights", "biases"):
            base = [np.array(p) for p in getattr(net, kind)]
            for place in np.ndindex(base[layer].shape):
                if kind == "weights" and layer == 0 and not mask[place]:
                    continue
                values = []
                for step in (-1e-4, 1e-4):
                    moved = [p.copy() for p in base]
                    moved[layer][place] += step
                    both = {"weights": net.weights, "biases": net.biases, kind: moved}
                    values.append(cross_entropy(X, Y, both["weights"], both["biases"], link, share, 0.05))
                assert abs(values[1] - values[0]) / 2e-4 < 2e-5
    assert pickle.loads(pickle.dumps(net)) == net
    short = train_network(X, Y, weights, biases, max_iter=2, **options)
    assert not short.converged
    assert "raise max_iter above 2" in short.status


def test_one_layer_is_logistic_regression():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((300, 4))
    y = (X @ rng.standard_normal((4, 3)) + rng.gumbel(size=(300, 3))).argmax(axis=1)
    ours = train_network(X, np.eye(3)[y], [np.zeros((3, 4))], [np.zeros(3)], alpha=0.01, tol=1e-9)
    theirs = LogisticRegression(C=1 / (0.01 * 300), tol=1e-10, max_iter=1000).fit(X, y)
    assert_allclose(ours.weights[0], theirs.coef_, atol=1e-3)


def test_train_refuses():
    X, Y, W, b = np.ones((2, 1)), np.eye(2), [np.ones((2, 1))], [np.zeros(2)]
    for change, message in (
        ({"Y": 2 * Y}, "Y must hold shares"),
        ({"Y": Y[:1]}, "Y must have shape"),
        ({"weights": []}, "biases must have one entry a layer"),
        ({"weights": None}, "weights and biases must be sequences"),
        ({"weights": [np.ones((3, 1))]}, r"weights\[-1\] must have a row for each column of Y: 2, got 3"),
        ({"weights": [np.ones((2, 2))]}, r"weights\[0\] must have shape"),
        ({"biases": [np.zeros(3)]}, r"biases\[0\] must have shape"),
        ({"activation": "step"}, "activation must be"),
        ({"link": "probit"}, "link must be one of"),
        ({"mask": np.ones((1, 2))}, "mask must have shape"),
        ({"alpha": 0.0}, "alpha must be a number above"),
        ({"tol": np.nan}, "tol must be a number above"),
        ({"max_iter": 1.5}, "max_iter must be an integer"),
        ({"sample_weight": [-1.0, 1.0]}, "sample_weight must not be negative"),
    ):
        arguments = {"X": X, "Y": Y, "weights": W, "biases": b, **change}
        with pytest.raises(ValueError, match=message):
            train_network(**arguments)
    net = train_network(X, Y, W, b)
    with pytest.raises(ValueError, match="X must have shape"):
        net.logits(np.ones((2, 3)))


# --- the classifier --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample():
    net, rng = teacher()
    return net, *labelled(net, 20_000, rng), rng


def test_recovers_and_predicts(sample):
    """SA R5: the learnt network agrees with its teacher where the teacher is sure."""
    net, X, y, rng = sample
    model = SparseNetworkClassifier(random_state=0, score_model=StandardNormal(60)).fit(X, y)
    assert model.converged_
    assert model.weights_.shape == (4, 60)
    assert model.output_.shape == (8, 4)
    assert model.intercept_.shape == (8,)
    assert match_rows(unit(model.weights_), net.weights[0], signed=True).worst < 0.2
    fresh, labels = labelled(net, 10_000, rng)
    best = np.mean(net(fresh).argmax(axis=1) == labels)
    assert np.mean(model.predict(fresh) == labels) > best - 0.02
    assert_allclose(model.predict_proba(fresh).sum(axis=1), 1.0)
    # The attributes are the network.
    hidden = relu(fresh @ model.weights_.T + model.biases_)
    assert_allclose(hidden @ model.output_.T + model.intercept_, model.decision_function(fresh))
    # Remark 3: projecting on the row span loses nothing.
    inside = model.transform(fresh) @ model.components_
    assert np.mean(net(inside).argmax(axis=1) == net(fresh).argmax(axis=1)) > 0.95
    assert_allclose(model.components_ @ model.components_.T, np.eye(4), atol=1e-12)
    assert list(model.get_feature_names_out()) == [f"sparsenetworkclassifier{i}" for i in range(4)]
    assert set(model.diagnostics_) == {"moment", "recovery", "training", "chance", "score_defect"}
    # The first layer keeps its zeros.
    assert np.array_equal(model.weights_ != 0, model.diagnostics_["recovery"].support)
    again = pickle.loads(pickle.dumps(model))
    assert_allclose(again.predict_proba(fresh), model.predict_proba(fresh))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # rows of few samples
def test_units_of_the_inputs_do_not_matter(sample):
    """Scale and origin of each input change the weights by their inverse, and no prediction."""
    _, X, y, rng = sample
    X, y = X[:6_000], y[:6_000]
    factors, shift = 10.0 ** rng.uniform(-8, 8, 60), rng.standard_normal(60)
    plain = SparseNetworkClassifier(4, random_state=0, fine_tune=False).fit(X, y)
    for scale, origin in ((1e-6, 0.0), (1e150, 0.0), (factors, 100 * shift)):
        moved = (X + origin) * scale
        other = SparseNetworkClassifier(4, random_state=0, fine_tune=False).fit(moved, y)
        assert np.mean(other.predict(moved) == plain.predict(X)) > 0.999
        assert_allclose(other.weights_ * scale, plain.weights_, atol=1e-5)
    # A score of the user's is of the inputs as they are.
    user = SparseNetworkClassifier(4, random_state=0, score_model=StandardNormal(60), fine_tune=False).fit(
        X, y
    )
    assert match_rows(unit(user.weights_), unit(plain.diagnostics_["recovery"].rows)).worst < 0.3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # rows of few samples
def test_single_precision_and_data_frames(sample):
    _, X, y, _ = sample
    X, y = X[:3_000], y[:3_000]
    options = {"n_hidden": 3, "random_state": 0, "fine_tune": False}
    double = SparseNetworkClassifier(**options).fit(X, y)
    single = SparseNetworkClassifier(**options).fit(X.astype(np.float32), y)
    for name in ("weights_", "biases_", "output_", "intercept_", "components_"):
        assert getattr(single, name).dtype == np.float32
        assert_allclose(getattr(single, name), getattr(double, name), atol=2e-2)
    assert single.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert single.transform(X.astype(np.float32)).dtype == np.float32
    names = [f"x{i}" for i in range(60)]
    frame = pd.DataFrame(X, columns=names)
    nullable = frame.astype("Float64")
    model = SparseNetworkClassifier(**options).set_output(transform="pandas").fit(nullable, y)
    assert list(model.feature_names_in_) == names
    assert_allclose(model.transform(frame).to_numpy(), double.transform(X), rtol=1e-9)
    assert model.transform(frame).columns[0] == "sparsenetworkclassifier0"


def test_several_labels_at_once():
    """An indicator matrix has a sigmoid for each label; the rows are the teacher's."""
    net, rng = teacher(k=3, d=40, n_y=5, seed=2, link="sigmoid")
    X = rng.standard_normal((20_000, 40))
    Y = net.sample_labels(X, rng=rng).astype(int)
    model = SparseNetworkClassifier(3, random_state=0).fit(X, Y)
    assert match_rows(unit(model.weights_), net.weights[0]).worst < 0.2
    assert model.predict(X).shape == model.predict_proba(X).shape == Y.shape
    assert set(np.unique(model.predict(X))) == {0, 1}
    assert model.predict(X).mean() == pytest.approx(Y.mean(), abs=0.1)
    assert np.mean(model.predict(X) == Y) > max(Y.mean(), 1 - Y.mean()) + 0.05
    assert list(model.classes_) == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sample_weights():
    """A zero weight is an absent sample; a positive one counts in moment, regression and training."""
    net, rng = teacher(k=2, d=20, n_y=4, seed=4)
    X, y = labelled(net, 4_000, rng)
    junk = np.arange(4_000) % 2 == 0
    mixed = np.where(junk, rng.integers(0, 4, 4_000), y)
    options = {"n_hidden": 2, "random_state": 0, "max_iter": 60, "tol": 1e-3}
    clean = SparseNetworkClassifier(**options).fit(X[~junk], y[~junk])
    weighted = SparseNetworkClassifier(**options).fit(X, mixed, sample_weight=np.where(junk, 0.0, 2.0))
    assert_allclose(weighted.weights_, clean.weights_, rtol=1e-6)
    assert_allclose(weighted.predict_proba(X), clean.predict_proba(X), rtol=1e-6)
    nearly = SparseNetworkClassifier(**options).fit(X, mixed, sample_weight=np.where(junk, 1e-6, 1.0))
    assert match_rows(unit(nearly.weights_), unit(clean.weights_)).worst < 0.05
    assert np.mean(nearly.predict(X) == clean.predict(X)) > 0.9
    with pytest.raises(ValueError, match="sample_weight must be above 0 for 4 samples, got 1"):
        SparseNetworkClassifier().fit(X, y, sample_weight=np.arange(4_000) == 7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("depth", [3, 4])
def test_deep_networks(depth):
    """SA Theorem 3: the moment sees the first layer through the others."""
    net, rng = teacher(k=3, depth=depth, activation=tanh, seed=3)
    X, y = labelled(net, 20_000, rng)
    model = SparseNetworkClassifier(
        3, activation=tanh, upper_layers=(3,) * (depth - 2), random_state=0, max_iter=30
    ).fit(X, y)
    assert match_rows(unit(model.weights_), net.weights[0]).worst < 0.15
    assert [w.shape for w in model.network_.weights] == [(3, 60), *[(3, 3)] * (depth - 2), (8, 3)]
    assert model.output_.shape == (8, 3)
    # The exact moment gives it exactly.
    B = net.mean_factor(X[:2_000])
    assert match_rows(recover_rows(B @ net.weights[0]).rows, net.weights[0]).worst < 1e-8
    fresh, labels = labelled(net, 5_000, rng)
    assert np.mean(model.predict(fresh) == labels) > np.mean(net(fresh).argmax(axis=1) == labels) - 0.03


def test_too_few_classes_is_said():
    """n_y = 3 classes hold two rows at most: SA's LIM, named in the status."""
    net, rng = teacher(k=5, n_y=3)
    X, y = labelled(net, 3_000, rng)
    with pytest.warns(ConvergenceWarning, match="exceeds what T_1 of 3 classes and 60 inputs can hold, 2"):
        model = SparseNetworkClassifier(5, fine_tune=False, random_state=0).fit(X, y)
    assert not model.converged_
    assert len(model.weights_) == 2


def test_labels_without_a_moment_are_said():
    """Labels that do not depend on x: T_1 is noise, one unit is kept, and a warning says so."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((400, 30)), rng.integers(0, 4, 400)
    with pytest.warns(ConvergenceWarning, match="does not stand out of its noise"):
        model = SparseNetworkClassifier(fine_tune=False, random_state=0).fit(X, y)
    assert not model.converged_
    assert len(model.weights_) == 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("d", "classes"), [(5, 4), (40, 2)])
def test_chance_of_noise_is_uniform(d, classes):
    """Pillai's trace: below p in a share p of samples; with two classes T_1 has twice the same row."""
    chances = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        model = SparseNetworkClassifier(1, fine_tune=False, max_iter=1, random_state=0)
        weight = 1.0 + rng.integers(0, 2, 1000)
        model.fit(rng.standard_normal((1000, d)), rng.integers(0, classes, 1000), sample_weight=weight)
        chances.append(model.diagnostics_["chance"])
    assert kstest(chances, "uniform").pvalue > 0.01


def _classified(law, first, second, B, seed, n=6000):
    """Two rows of unit length, and labels of five classes by inputs of some law."""
    rng = np.random.default_rng(seed)
    W = np.zeros((2, 20))
    W[0, : len(first)], W[1, 7 - len(second) : 7] = first, second
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    X = law(rng, (n, 20))
    return W, X, (np.maximum(X @ W.T, 0.0) @ B.T + rng.gumbel(size=(n, 5))).argmax(axis=1)


def test_a_score_that_is_not_that_of_the_inputs_is_said():
    """Skewed inputs, a Gaussian's score: rows are .3 off, and known to .2 by their standard errors."""
    W, X, y = _classified(
        lambda rng, size: rng.exponential(size=size) - 1.0,
        [-0.65, 0.43, -0.52, -0.22, -0.26],
        [0.52, 0.77, -0.34, -0.17],
        np.array([[3.1, 0.1], [-5.4, 4.7], [1.5, 5.4], [1.7, 1.8], [4.2, -2.9]]),
        0,
    )
    model = SparseNetworkClassifier(2, fine_tune=False, random_state=0)
    with pytest.warns(ConvergenceWarning, match="inputs are not as the score used says: .* pass another"):
        model.fit(X, y)
    assert not model.converged_
    found = model.diagnostics_["recovery"]
    off = np.sqrt(2.0 - 2.0 * np.abs(found.rows @ W.T).max(axis=0))
    assert np.hypot(found.row_error, found.unseen).max() < 0.2 < off.max()
    assert 0.5 * off.max() < model.diagnostics_["score_defect"].max() < 2.0 * off.max()


def test_the_score_of_the_inputs_is_trusted():
    """Normal inputs by a Gaussian's score, in any units."""
    B = 4.0 * np.random.default_rng(1).standard_normal((5, 2))
    for seed in (0, 2, 4):
        _, X, y = _classified(
            lambda rng, size: 3.0 + 2.0 * rng.standard_normal(size),
            [0.7, -0.4, 0.5, 0.3],
            [0.8, 0.5, -0.4],
            B,
            seed,
        )
        model = SparseNetworkClassifier(2, fine_tune=False, random_state=0).fit(X, y)
        assert model.converged_, model.status_
        assert not model.diagnostics_["score_defect"].any()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("d", "classes"), [(3, 2), (5, 3), (2, 4)])
def test_chance_is_that_of_pillai_s_trace(d, classes):
    """trace H (H + E)^-1 of the regression of the indicators, by the textbook's m, n and s."""
    rng = np.random.default_rng(d)
    X = rng.standard_normal((300, d))
    y = np.argmax(0.3 * X @ rng.standard_normal((d, classes)) + rng.standard_normal((300, classes)), axis=1)
    Y = np.eye(classes)[y][:, 1:]
    design, v_h, p = np.column_stack([np.ones(300), X]), d, classes - 1
    total = (Y - Y.mean(axis=0)).T @ (Y - Y.mean(axis=0))
    left = Y - design @ np.linalg.lstsq(design, Y, rcond=None)[0]
    V = np.trace(np.linalg.solve(total, total - left.T @ left))
    s, m, n = min(p, v_h), (abs(p - v_h) - 1) / 2, (300 - 1 - v_h - p - 1) / 2
    numerator, denominator = s * (2 * m + s + 1), s * (2 * n + s + 1)
    expected = f.sf(V / (s - V) * denominator / numerator, numerator, denominator)
    model = SparseNetworkClassifier(1, fine_tune=False, max_iter=1, random_state=0).fit(X, y)
    assert 1e-30 < expected < 0.1
    assert model.diagnostics_["chance"] == pytest.approx(expected, rel=1e-6)


def test_unfinished_training_is_said(sample):
    _, X, y, _ = sample
    with pytest.warns(ConvergenceWarning, match="raise max_iter above 3"):
        model = SparseNetworkClassifier(2, max_iter=3, random_state=0).fit(X[:500], y[:500])
    assert not model.converged_
    assert model.n_iter_ == 3


def test_inputs_that_do_not_vary_have_no_weight():
    net, rng = teacher(k=2, d=20, n_y=4, seed=4)
    X, y = labelled(net, 4_000, rng)
    X[:, 3] = 7.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SparseNetworkClassifier(2, random_state=0).fit(X, y)
    assert not model.weights_[:, 3].any()
    assert np.isfinite(model.predict_proba(X)).all()


def test_refuses():
    X, y = np.random.default_rng(0).standard_normal((50, 3)), np.arange(50) % 2
    for options, message in (
        ({"activation": "step"}, "activation must be an Activation or one of 'relu'"),
        ({"control": "cubic"}, "control must be one of"),
        ({"columns": None}, "columns must be one of"),
        ({"n_hidden": 0}, "n_hidden must be an integer from 1"),
        ({"upper_layers": 3}, "upper_layers must be a sequence of integers"),
        ({"upper_layers": (0,)}, "upper_layers must be an integer from 1"),
        ({"alpha": -1.0}, "alpha must be a number above"),
        ({"tol": "2"}, "tol must be a number above"),
        ({"max_iter": 0}, "max_iter must be an integer from 1"),
        ({"random_state": "today"}, "random_state must be None"),
    ):
        with pytest.raises(ValueError, match=message):
            SparseNetworkClassifier(**options).fit(X, y)
    with pytest.raises(ValueError, match="at least two classes"):
        SparseNetworkClassifier().fit(X, np.zeros(50))
    with pytest.raises(ValueError, match="X must vary in some input"):
        SparseNetworkClassifier().fit(np.ones((50, 3)), y)
    with pytest.raises(ValueError, match="must not be a masked"):
        SparseNetworkClassifier().fit(np.ma.masked_array(X, mask=X > 2), y)
    with pytest.raises(ValueError, match="y must be class labels"):
        SparseNetworkClassifier().fit(X, np.column_stack([y, y + 1]))
