"""Cross-moments against brute force, textbook standard errors, and what Stein's identity says."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nnmoments import moments
from nnmoments.chunks import row_chunks
from nnmoments.densities import (
    Gaussian,
    GaussianMixture,
    Laplace,
    Logistic,
    Normal,
    Product,
    ScoreModel,
    SmoothedUniform,
    StandardNormal,
    StudentT,
    SymmetricBeta,
    UserDensity,
    iid,
)
from nnmoments.linalg import outer_power
from nnmoments.moments import (
    ControlVariate,
    CrossMoment,
    MomentEstimate,
    RidgeSurrogate,
    control_residuals,
    cross_moment,
    fold_rows,
)

D = 3
_rng = np.random.default_rng(0)
_V, _W, _U = _rng.standard_normal((D, 2)), _rng.standard_normal((D, 4)), _rng.standard_normal(D)


def _cubic_derivative(j):
    """Derivatives of -|x|^2/2 + sum_abc K_abc x_a x_b x_c / 60: every G_1..G_3 is full."""
    K = np.arange(27.0).reshape(3, 3, 3)
    K = sum(K.transpose(p) for p in itertools.permutations(range(3))) / 60.0
    return [
        lambda X: -X + np.einsum("abc,nb,nc->na", K, X, X) / 2.0,
        lambda X: -np.eye(3) + np.einsum("abc,nc->nab", K, X),
        lambda X: np.broadcast_to(K, (len(X), 3, 3, 3)),
        lambda X: np.zeros((len(X), 3, 3, 3, 3)),
    ][j]


DENSITIES = {
    "standard": StandardNormal(D),
    "gaussian": Gaussian([1.0, 0.0, 0.5], np.diag([1.0, 2.0, 3.0]) + 0.3),
    "mixture": GaussianMixture(
        [0.3, 0.7], _rng.standard_normal((2, D)), np.stack([np.eye(D), np.diag([1.0, 2.0, 0.5])])
    ),
    "heavy": Product([Logistic(), StudentT(dof=4.0, loc=0.3, scale=2.0), Laplace(drop_singular=True)]),
    "bounded": Product([Normal(scale=2.0), SmoothedUniform(), SymmetricBeta()]),
    "user": UserDensity(
        D,
        [_cubic_derivative(j) for j in range(4)],
        sample=lambda n, rng: rng.standard_normal((n, D)),
    ),
}


def _bases(order):
    """Every kind of contraction that an order offers."""
    kinds = [None, _V, [_V] * order, [_U] * order, [_V] + [None] * (order - 1), [None] * (order - 1) + [_U]]
    if order > 1:
        kinds += [[_U] + [None] * (order - 2) + [_V], [_W, *[_V] * (order - 1)], [_U, *[_V] * (order - 1)]]
    if order == 4:
        kinds += [[_U, _U, _V[:, 0], _V[:, 0]], [_V, _W, _V, None]]
    return kinds


def _dense(score, bases, order):
    """Contract dense score tensors (n, d, ..., d) slot by slot."""
    if bases is None:
        return score
    entries = [bases] * order if isinstance(bases, np.ndarray) else bases
    for i in reversed(range(order)):
        if entries[i] is not None:
            score = np.tensordot(score, entries[i], axes=(1 + i, 0))
            if entries[i].ndim == 2:
                score = np.moveaxis(score, -1, 1 + i)
    return score


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", DENSITIES)
def test_values_and_errors_against_brute_force(name, order):
    # T_m = E[y (x) S_m], and with blocks of one sample the textbook s / sqrt(n).
    density = DENSITIES[name]
    X = density.sample(151, rng=1)
    Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2], X[:, 0] ** 2])
    score = density.score(X, order)
    for bases in _bases(order):
        tensor = _dense(score, bases, order)
        terms = Y.reshape(Y.shape + (1,) * (tensor.ndim - 1)) * tensor[:, None]
        scale = np.abs(terms).max()
        vector = cross_moment(X, Y, density, order, bases=bases, block_size=1)
        np.testing.assert_allclose(vector.value, terms.mean(axis=0), atol=1e-12 * scale)
        textbook = terms.std(axis=0, ddof=1) / np.sqrt(len(X))
        np.testing.assert_allclose(vector.standard_error, textbook, rtol=1e-8, atol=1e-12 * scale)
        scalar = cross_moment(X, Y[:, 1], density, order, bases=bases)
        np.testing.assert_allclose(scalar.value, vector.value[1], atol=1e-12 * scale)
        assert scalar.standard_error.shape == scalar.value.shape == terms.shape[2:]
        assert (scalar.n_samples, scalar.order, scalar.removed) == (151, order, "nothing")


def test_standard_error_of_unequal_blocks():
    # s^2 = sum n_c (t_c - t)^2 / (C - 1), divided by n: 3 blocks of 4, 4 and 3 samples.
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((11, 2)), rng.standard_normal(11)
    estimate = cross_moment(X, y, StandardNormal(2), 1, block_size=4)
    blocks = [slice(0, 4), slice(4, 8), slice(8, 11)]
    means = np.array([(y[b, None] * X[b]).mean(axis=0) for b in blocks])
    sizes = np.array([4.0, 4.0, 3.0])[:, None]
    variance = (sizes * (means - estimate.value) ** 2).sum(axis=0) / 2.0 / 11.0
    np.testing.assert_allclose(estimate.standard_error, np.sqrt(variance), rtol=1e-12)


def test_default_blocks_are_a_64th_of_the_first_chunk_at_most_2048():
    X, y = np.random.default_rng(0).standard_normal((2, 3000, 1))
    accumulator = CrossMoment(StandardNormal(1), 1).partial_fit(X[:640], y[:640, 0])
    assert accumulator.block_size == 10
    assert accumulator.partial_fit(X[640:], y[640:, 0]).block_size == 10
    large = np.random.default_rng(0).standard_normal((200_000, 1))
    assert CrossMoment(StandardNormal(1), 1).partial_fit(large, large[:, 0]).block_size == 2048


@pytest.mark.parametrize("name", ["gaussian", "mixture", "heavy", "user"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_stein_identity(name, order, assert_within_errors):
    # SA Proposition 1 / GM (2) on labels with known derivatives: y = x_0 x_1 x_2 + x_2^3 / 6.
    if name in ("user", "heavy"):
        density = iid(Logistic(scale=0.6), D) if name == "heavy" else DENSITIES["gaussian"]
        if name == "user":  # the same Gaussian, by its derivatives
            inner = density
            density = UserDensity(
                D,
                [
                    lambda X: -(X - inner.mean) @ inner.precision,
                    lambda X: np.broadcast_to(-inner.precision, (len(X), D, D)),
                    lambda X: None,
                ],
                sample=lambda n, rng: inner.sample(n, rng=rng),
            )
    else:
        density = DENSITIES[name]
    X = density.sample(40_000, rng=8)
    x, y, z = X.T
    label = x * y * z + z**3 / 6.0
    estimate = cross_moment(X, label, density, order)
    gradient = np.zeros((len(X),) + (D,) * order)
    if order == 1:
        gradient[:] = np.stack([y * z, x * z, x * y + z**2 / 2.0], axis=1)
    elif order == 2:
        for a, b, value in ((0, 1, z), (0, 2, y), (1, 2, x)):
            gradient[:, a, b] = gradient[:, b, a] = value
        gradient[:, 2, 2] = z
    else:
        for permutation in itertools.permutations(range(3)):
            gradient[(slice(None), *permutation)] = 1.0
        gradient[:, 2, 2, 2] = 1.0
    expected = gradient.mean(axis=0)
    spread = gradient.std(axis=0) / np.sqrt(len(X))
    assert_within_errors(estimate.value, expected, estimate.standard_error + spread)


# --- streaming, merging, mapped files -------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian", "mixture", "bounded"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_batch_stream_merge_and_map_agree(name, order, tmp_path):
    density = DENSITIES[name]
    X = density.sample(3001, rng=2)
    Y = np.column_stack([np.tanh(X[:, 0]), X[:, 1] ** 2])
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", Y)
    size = 50  # the same blocks wherever cuts are multiples of it
    batch = cross_moment(X, Y, density, order, bases=_V, block_size=size)
    stream = CrossMoment(density, order, bases=_V, block_size=size)
    for start in range(0, len(X), 700):
        stream.partial_fit(X[start : start + 700], Y[start : start + 700])
    first, second, empty = (CrossMoment(density, order, bases=_V, block_size=size) for _ in range(3))
    first.partial_fit(X[:1000], Y[:1000])
    second.partial_fit(X[1000:], Y[1000:])
    mapped = cross_moment(
        np.load(tmp_path / "X.npy", mmap_mode="r"),
        np.load(tmp_path / "Y.npy", mmap_mode="r"),
        density,
        order,
        bases=_V,
        block_size=size,
    )
    scale = np.abs(batch.value).max() + np.abs(batch.standard_error).max() * np.sqrt(len(X))
    merges = [first + second, second + first, (empty + first) + second, first + empty + second]
    for other in [stream.estimate(), mapped, *(merged.estimate() for merged in merges)]:
        np.testing.assert_allclose(other.value, batch.value, atol=1e-13 * scale)
        np.testing.assert_allclose(other.standard_error, batch.standard_error, atol=1e-12 * scale)
        assert other.n_samples == 3001
    assert (first.n_samples, second.n_samples, empty.n_samples) == (1000, 2001, 0)  # merging leaves them


@given(st.lists(st.integers(1, 120), min_size=2, max_size=8), st.integers(1, 40))
def test_value_does_not_depend_on_the_cuts(cuts, size):
    n = sum(cuts)
    X = np.random.default_rng(n).standard_normal((n, 2))
    y = X[:, 0] + X[:, 1] ** 2
    accumulator, start = CrossMoment(StandardNormal(2), 2, block_size=size), 0
    for cut in cuts:
        accumulator.partial_fit(X[start : start + cut], y[start : start + cut])
        start += cut
    expected = np.einsum("n,nij->ij", y, StandardNormal(2).score(X, 2)) / n
    np.testing.assert_allclose(accumulator.estimate().value, expected, atol=1e-11)


def _short_chunks(monkeypatch, doubles):
    def cut(n, width, **options):
        return row_chunks(n, width, **options | {"doubles": doubles})

    monkeypatch.setattr("nnmoments.moments.blocks.row_chunks", cut)


def test_small_chunks_inside_agree_with_one(monkeypatch):
    X = DENSITIES["mixture"].sample(1000, rng=0)
    y = X[:, 0] * X[:, 1]
    whole = cross_moment(X, y, DENSITIES["mixture"], 3, block_size=7)
    _short_chunks(monkeypatch, 500)
    cut = cross_moment(X, y, DENSITIES["mixture"], 3, block_size=7)
    np.testing.assert_allclose(cut.value, whole.value, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(cut.standard_error, whole.standard_error, rtol=1e-10)


def test_other_number_types_give_the_same_moments():
    rng = np.random.default_rng(0)
    X = rng.integers(-3, 4, (500, 2)).astype(np.float32)
    y = rng.integers(0, 2, 500)
    plain = cross_moment(X.astype(float), y.astype(float), StandardNormal(2), 2)
    for dtype in (np.int8, np.float32, np.float64):
        np.testing.assert_allclose(
            cross_moment(X.astype(dtype), y.astype(dtype), StandardNormal(2), 2).value, plain.value
        )
    np.testing.assert_allclose(cross_moment(X, y == 1, StandardNormal(2), 2).value, plain.value)


_STREAM = """
import resource
import numpy as np
from nnmoments.densities import StandardNormal
from nnmoments.moments import CrossMoment

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0  # MiB on Linux

kinds = ((1, None), (2, None), (3, np.eye(8)[:, :3]))
moments = [CrossMoment(StandardNormal(8), m, bases=b) for m, b in kinds]
peaks = []
rng = np.random.default_rng(0)
for chunk in range(30):
    x = rng.standard_normal((20_000, 8))
    for moment in moments:
        moment.partial_fit(x, x[:, 0])
    peaks.append(peak())
print(peaks[2], peaks[-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_memory_does_not_grow_with_the_stream():
    # Ten times the samples (38 MB of inputs alone) must not raise the peak by more than 4 MiB.
    run = subprocess.run([sys.executable, "-c", _STREAM], capture_output=True, text=True, check=True)
    early, late = map(float, run.stdout.split())
    assert late - early < 4.0


# --- invariances ----------------------------------------------------------------------------------


@given(st.integers(1, 4), st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 2**32 - 1))
def test_linear_in_the_labels(order, a, b, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((200, 2)), rng.standard_normal((200, 2))
    density = iid(Logistic(), 2)
    combined = Y @ [a, b] + np.linspace(0, 1, 200)
    third = np.linspace(0, 1, 200)
    parts = cross_moment(X, np.column_stack([Y, third]), density, order).value
    value = cross_moment(X, combined, density, order).value
    np.testing.assert_allclose(value, a * parts[0] + b * parts[1] + parts[2], atol=1e-10)


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_equivariant_under_rotation_for_gaussian_inputs(order, seed):
    # x -> Q x turns T_m by Q in every slot; E[y|x] only changes its coordinates.
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((300, 3)), rng.standard_normal(300)
    Q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    value = cross_moment(X, y, StandardNormal(3), order).value
    turned = cross_moment(X @ Q.T, y, StandardNormal(3), order).value
    for _ in range(order):
        value = np.tensordot(value, Q, axes=(0, 1))
    np.testing.assert_allclose(turned, value, atol=1e-11)


@given(st.permutations(range(3)), st.integers(0, 2**32 - 1))
def test_permuting_slots_permutes_axes(permutation, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((100, D)), rng.standard_normal(100)
    bases = [_V, _W, None]
    for name in ("gaussian", "mixture", "user"):
        value = cross_moment(X, y, DENSITIES[name], 3, bases=bases).value
        moved = cross_moment(X, y, DENSITIES[name], 3, bases=[bases[i] for i in permutation]).value
        np.testing.assert_allclose(moved, value.transpose(permutation), atol=1e-11)


def test_full_tensors_are_symmetric():
    for density in DENSITIES.values():
        X = density.sample(200, rng=3)
        value = cross_moment(X, np.cos(X[:, 0] + X[:, 1]), density, 4).value
        for permutation in itertools.permutations(range(4)):
            np.testing.assert_allclose(value.transpose(permutation), value, atol=1e-10 * np.abs(value).max())


def test_one_component_mixture_is_its_component():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 2)), rng.standard_normal(300)
    mixture = GaussianMixture([0.25, 0.75], [[0.0, 0.0], [0.0, 0.0]])
    for order in (1, 2, 3, 4):
        np.testing.assert_allclose(
            cross_moment(X, y, mixture, order).value,
            cross_moment(X, y, StandardNormal(2), order).value,
            atol=1e-11,
        )


# --- standard errors ------------------------------------------------------------------------------


@pytest.mark.parametrize("block_size", [1, None])
def test_standard_errors_cover(block_size):
    # 400 repetitions of 4 entries of T_2: 90 % intervals from Student's t must cover 90 %.
    # Block means are near normal, entries weakly dependent; false alarm of the binomial test 1e-6.
    repetitions, n = 400, 1280
    level = 0.9
    covered = 0
    density = iid(Logistic(), 3)
    truth = np.zeros((3, 3))
    truth[0, 1] = truth[1, 0] = 1.0
    for seed in range(repetitions):
        X = density.sample(n, rng=seed)
        estimate = cross_moment(X, X[:, 0] * X[:, 1] + X[:, 2], density, 2, block_size=block_size)
        blocks = n if block_size == 1 else 64
        half = stats.t.ppf((1 + level) / 2, blocks - 1) * estimate.standard_error
        covered += int(np.abs(estimate.value - truth)[0, 1] <= half[0, 1])
    assert stats.binomtest(covered, repetitions, level).pvalue > 1e-6


def test_standard_errors_match_the_spread_over_repetitions():
    # Ratio of the mean squared error to the mean estimated variance, 600 repetitions: F test, 1e-6.
    values, variances = [], []
    for seed in range(600):
        X = StandardNormal(2).sample(640, rng=seed)
        estimate = cross_moment(X, X[:, 0] ** 3, StandardNormal(2), 1)
        values.append(estimate.value)
        variances.append(estimate.standard_error**2)
    ratio = np.var(values, axis=0, ddof=1) / np.mean(variances, axis=0)
    # Values are near normal: the ratio is chi^2_599 / 599 but for the small error of the mean.
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], 599) / 599
    assert np.all((ratio > 0.98 * low) & (ratio < 1.02 * high))


# --- control variates -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("folds", [2, 5])
def test_polynomials_leave_nothing(order, folds):
    # Cross-fitting is exact on polynomials of degree < m, wherever x lies.
    rng = np.random.default_rng(order)
    X = 10.0 + 0.3 * rng.standard_normal((1500, 2)) @ [[1.0, 0.9], [0.0, 0.5]]
    y = 2.0 + sum((X[:, 0] - 2.0 * X[:, 1] + 9.0) ** k for k in range(1, order))
    residual = control_residuals(X, np.broadcast_to(y, len(X)), ControlVariate(folds=folds), order)
    assert np.abs(residual).max() < 1e-8 * np.abs(y).max()


def test_residual_is_that_of_the_other_folds():
    # Fold by fold: least squares fitted without the fold, by numpy, on explicit monomials.
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((301, 2)), rng.standard_normal((301, 2))
    features = np.column_stack([np.ones(301), X, X[:, 0] ** 2, X[:, 0] * X[:, 1], X[:, 1] ** 2])
    expected = Y.copy()
    for own in fold_rows(301, 3):
        other = np.setdiff1d(np.arange(301), own)
        beta = np.linalg.lstsq(features[other], Y[other], rcond=None)[0]
        expected[own] -= features[own] @ beta
    np.testing.assert_allclose(control_residuals(X, Y, ControlVariate(folds=3), 3), expected, atol=1e-12)
    np.testing.assert_allclose(
        control_residuals(X, Y[:, 0], ControlVariate(folds=3), 3), expected[:, 0], atol=1e-12
    )


def test_basis_and_degree_choose_the_polynomials():
    rng = np.random.default_rng(5)
    X, V = rng.standard_normal((400, 3)), np.array([[1.0], [1.0], [0.0]])
    y = (X[:, 0] + X[:, 1]) ** 2
    seen = control_residuals(X, y, ControlVariate(basis=V), 3)
    assert np.abs(seen).max() < 1e-10
    for partial in (ControlVariate(basis=V, degree=1), ControlVariate(basis=np.eye(3)[:, 2:])):
        assert np.abs(control_residuals(X, y, partial, 3)).max() > 1.0
    described = cross_moment(X, y + X[:, 2], StandardNormal(3), 3, control=ControlVariate(basis=V, folds=4))
    assert described.removed == "polynomials of degree <= 2 in 1 projections of x (4-fold)"
    plain = cross_moment(X, y + X[:, 2], StandardNormal(3), 2, control=ControlVariate())
    assert plain.removed == "polynomials of degree <= 1 in x (2-fold)"


def test_dependent_polynomials_are_no_obstacle():
    # A coordinate twice: the normal equations are singular, the residual is not.
    x = np.random.default_rng(6).standard_normal((200, 1))
    X = np.hstack([x, x, np.ones((200, 1))])
    assert np.abs(control_residuals(X, 1.0 + x[:, 0] ** 2, ControlVariate(), 3)).max() < 1e-9


@pytest.mark.parametrize("order", [1, 2, 3])
def test_control_variates_are_unbiased_and_lower_the_variance(order):
    # NEW CV, on a small sample where fitting on the same data would bias: paired over repetitions.
    repetitions, n = 500, 60
    density = StandardNormal(2)
    u = np.array([0.6, 0.8])
    control = ControlVariate()
    plain, controlled = np.empty((2, repetitions))
    for seed in range(repetitions):
        X = density.sample(n, rng=seed)
        y = 6.0 + 2.0 * X[:, 0] + X[:, 1] ** 2 + (X @ u) ** 3
        plain[seed] = cross_moment(X, y, density, order, bases=[u] * order).value
        controlled[seed] = cross_moment(X, y, density, order, bases=[u] * order, control=control).value
    gap = controlled - plain
    assert abs(gap.mean()) <= 5.0 * gap.std(ddof=1) / np.sqrt(repetitions)
    truth = {1: 2.0 * u[0] + 3.0, 2: 2.0 * u[1] ** 2, 3: 6.0}[order]
    assert abs(controlled.mean() - truth) <= 5.0 * controlled.std(ddof=1) / np.sqrt(repetitions)
    assert controlled.var() < 0.7 * plain.var()


def test_in_sample_residuals_would_be_biased():
    # The reason for folds: y = x less its own mean has E[(y - ybar) x] = 1 - 1/n, not 1.
    n, repetitions = 10, 1000
    same, cross = np.empty((2, repetitions))
    for seed in range(repetitions):
        X = StandardNormal(1).sample(n, rng=seed)
        y = X[:, 0]
        same[seed] = np.mean((y - y.mean()) * y)
        cross[seed] = np.mean(control_residuals(X, y, ControlVariate(), 1) * y)
    for values, expected in ((same, 1.0 - 1.0 / n), (cross, 1.0)):
        assert abs(values.mean() - expected) <= 5.0 * values.std(ddof=1) / np.sqrt(repetitions)
    assert same.mean() < 0.95


# --- bad input ------------------------------------------------------------------------------------

X0 = np.random.default_rng(0).standard_normal((100, 2))
Y0 = X0[:, 0] ** 2
N2 = StandardNormal(2)


def _with(array, value):
    array = array.copy()
    array[3] = value
    array[5] = -value
    return array


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (X0[:, 0], Y0, r"X must have shape \(n, 2\) to fit the score model, got \(100,\)"),
        (X0[:, :1], Y0, r"X must have shape \(n, 2\) to fit the score model, got \(100, 1\)"),
        (X0[:0], Y0[:0], "X is empty: n = 0"),
        (X0[:1], Y0[:1], "X has too few samples for a standard error: 1 in 1 block"),
        (X0, Y0[:50], "y must have as many rows as X: 100, got 50"),
        (X0, Y0[:, None, None], r"y must have shape \(n,\) or \(n, n_y\)"),
        (X0, np.zeros((100, 0)), r"y must have shape \(n,\) or \(n, n_y\)"),
        (X0, 1.0, r"y must have shape \(n,\) or \(n, n_y\)"),
        (X0, np.full(100, 3.0), "y is constant"),
        (X0, np.ones((100, 2)), "y is constant"),
        (_with(X0, np.nan), Y0, "X holds NaN or infinity"),
        (_with(X0, np.inf), Y0, "X holds NaN or infinity"),
        (X0, _with(Y0, np.nan), "y holds NaN or infinity"),
        (X0, _with(Y0, np.inf), "y holds NaN or infinity"),
        (X0.astype(str), Y0, "X must be an array of real numbers, got dtype <U"),
        (X0, Y0.astype(str), "y must be an array of real numbers, got dtype <U"),
        ("X", Y0, "X must be an array of real numbers"),
        (X0, None, "y "),
        (X0, np.ma.masked_equal(Y0, 0.0), "y must not be a masked array"),
        ([[1.0], [1.0, 2.0]], Y0, "X must be an array of real numbers"),
        (X0 + 0j, Y0, "X must be an array of real numbers, got dtype complex128"),
    ],
)
@pytest.mark.parametrize("control", [None, ControlVariate()])
def test_bad_samples_are_refused(X, y, message, control):
    if control is not None:  # more samples are needed then
        message = message.replace("samples for a standard error: 1 in 1 block", "samples, 1, to fit")
    with pytest.raises(ValueError, match=message):
        cross_moment(X, y, N2, 2, control=control)


@pytest.mark.parametrize("name", ["standard", "gaussian", "mixture", "heavy"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named_for_every_density(name, value):
    X = DENSITIES[name].sample(50, rng=0)
    for order in (1, 2, 3):
        with pytest.raises(ValueError, match="X holds NaN or infinity"):
            cross_moment(_with(X, value), X[:, 0], DENSITIES[name], order)
        with pytest.raises(ValueError, match="y holds NaN or infinity"):
            cross_moment(X, _with(X[:, 0], value), DENSITIES[name], order)


@pytest.mark.parametrize("order", [0, 5, 7, -1, 2.0, "2", None])
def test_bad_orders_are_refused(order):
    for call in (
        lambda: cross_moment(X0, Y0, N2, order),
        lambda: CrossMoment(N2, order),
        lambda: control_residuals(X0, Y0, ControlVariate(), order),
    ):
        with pytest.raises(ValueError, match="order must be an integer from 1 to 4, got"):
            call()


@pytest.mark.parametrize(
    ("bases", "message"),
    [
        (np.eye(3), r"bases must have shape \(2, any\), got \(3, 3\)"),
        (np.ones(2), "bases must have 2 axes"),
        ([np.eye(2)], r"bases must be None, one \(d, k\) array, or a sequence of 2 entries"),
        ([np.eye(2)] * 3, "a sequence of 2 entries"),
        ([np.eye(2), np.ones(3)], r"bases\[1\] must have d = 2 rows, got shape \(3,\)"),
        ([np.ones((2, 2, 2)), None], r"bases\[0\] must have 1 or 2 axes"),
        ([None, [np.nan, 0.0]], r"bases\[1\] holds NaN"),
        ([None, np.zeros((2, 0))], r"bases\[1\] is empty"),
        ("VV", r"bases\[0\] must be an array of real numbers"),
        (3, "bases must be None"),
        ({"V": 1}, "bases must be None"),
    ],
)
def test_bad_bases_are_refused(bases, message):
    with pytest.raises(ValueError, match=message):
        cross_moment(X0, Y0, N2, 2, bases=bases)


class _Wrong(ScoreModel):
    """A score model whose derivatives have another dimension, or are not finite."""

    def __init__(self, d, value):
        self.d, self.value = d, value

    def log_derivatives(self, X, order):
        return [self.value] * order


def test_bad_score_models_are_refused():
    with pytest.raises(ValueError, match="score must be a ScoreModel, got 'normal'"):
        cross_moment(X0, Y0, "normal", 1)
    with pytest.raises(
        ValueError, match=r"X must have shape \(n, 3\) to fit the score model, got \(100, 2\)"
    ):
        cross_moment(X0, Y0, StandardNormal(3), 1)
    with pytest.raises(ValueError, match=r"log-density derivative 1 at X must have shape \(100, 2\)"):
        cross_moment(X0, Y0, _Wrong(2, np.zeros((100, 3))), 1, block_size=50)
    with pytest.raises(ValueError, match="singular score of order 2"):
        cross_moment(X0, Y0, iid(Laplace(), 2), 2)
    with pytest.raises(ValueError, match="the score model has 1"):
        cross_moment(X0, Y0, UserDensity(2, [lambda X: -X]), 2)
    overflowing = UserDensity(2, [lambda X: np.full_like(X, 1e200), lambda X: np.full((len(X), 2, 2), 1e200)])
    with pytest.raises(ValueError, match="score: its values are not finite on these X and bases"):
        cross_moment(X0, Y0, overflowing, 2)
    with pytest.raises(ValueError, match="block_size must be an integer from 1 up, got 0"):
        cross_moment(X0, Y0, N2, 1, block_size=0)


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ("linear", "control must be a ControlVariate, got 'linear'"),
        (ControlVariate(degree=2), "degree must be an integer from 0 to 1, got 2"),
        (ControlVariate(folds=1), "folds must be an integer from 2 up, got 1"),
        (ControlVariate(basis=np.eye(3)), r"basis must have shape \(2, any\)"),
        (ControlVariate(folds=2, degree=-1), "degree must be an integer from 0"),
    ],
)
def test_bad_controls_are_refused(control, message):
    with pytest.raises(ValueError, match=message):
        cross_moment(X0, Y0, N2, 2, control=control)


def test_too_few_samples_for_the_polynomials_are_refused():
    with pytest.raises(ValueError, match=r"X has too few samples, 30, to fit 10 polynomials of degree <= 3"):
        control_residuals(X0[:30], Y0[:30], ControlVariate(), 4)


def test_accumulators_of_other_moments_do_not_merge():
    moment = CrossMoment(N2, 2, bases=_V[:2]).partial_fit(X0, Y0)
    for other in (
        CrossMoment(N2, 1, bases=_V[:2]),
        CrossMoment(StandardNormal(3), 2, bases=_V),
        CrossMoment(N2, 2, bases=2.0 * _V[:2]),
        CrossMoment(N2, 2),
        CrossMoment(N2, 2, bases=_V[:2], removed="the mean"),
    ):
        with pytest.raises(ValueError, match="only accumulators of the same moment"):
            moment + other
    with pytest.raises(ValueError, match="the same label columns"):
        moment + CrossMoment(N2, 2, bases=_V[:2]).partial_fit(X0, X0)
    with pytest.raises(TypeError, match="unsupported operand"):
        moment + 1


def test_chunks_must_go_together():
    moment = CrossMoment(N2, 1).partial_fit(X0, Y0)
    with pytest.raises(ValueError, match=r"y must have columns \(\) in every chunk, got \(2,\)"):
        moment.partial_fit(X0, X0)
    with pytest.raises(ValueError, match="X has too few samples"):
        CrossMoment(N2, 1).estimate()


def test_labels_that_vary_only_between_chunks_are_not_constant():
    moment = CrossMoment(N2, 1).partial_fit(X0[:50], np.zeros(50)).partial_fit(X0[50:], np.ones(50))
    assert moment.estimate().n_samples == 100
    low = CrossMoment(N2, 1).partial_fit(X0[:50], np.zeros(50))
    high = CrossMoment(N2, 1).partial_fit(X0[50:], np.ones(50))
    assert (low + high).estimate().n_samples == 100
    with pytest.raises(ValueError, match="y is constant"):
        (low + low).estimate()


def test_a_refused_chunk_leaves_the_accumulator_as_it_was(monkeypatch):
    _short_chunks(monkeypatch, 20)
    moment = CrossMoment(N2, 1, block_size=5)
    with pytest.raises(ValueError, match="X holds NaN"):
        moment.partial_fit(np.vstack([X0, [[np.nan, 0.0]]]), np.append(Y0, 1.0))
    assert moment.n_samples == 0
    moment.partial_fit(X0, Y0)
    before = moment.estimate()
    with pytest.raises(ValueError, match="X holds NaN"):
        moment.partial_fit(np.vstack([X0, [[np.nan, 0.0]]]), np.append(Y0, 1.0))
    after = moment.estimate()
    assert after.n_samples == 100
    np.testing.assert_array_equal(after.value, before.value)
    np.testing.assert_array_equal(after.standard_error, before.standard_error)


def test_buffers_may_be_reused():
    y = np.zeros((50, 2))
    moment = CrossMoment(N2, 1).partial_fit(X0[:50], y)
    y[:] = 1.0
    assert moment.partial_fit(X0[50:], y).estimate().n_samples == 100


def test_representation_and_names():
    assert repr(CrossMoment(N2, 2).partial_fit(X0, Y0)) == (
        "CrossMoment(StandardNormal(d=2), order=2, n_samples=100)"
    )
    assert "standard_error: [" in repr(cross_moment(X0, Y0, N2, 1))
    assert all(hasattr(moments, name) for name in moments.__all__)


def test_contracted_with_one_vector_is_the_homogeneous_hermite_moment():
    # T_m(u, .., u) for y = <u, x>^m and |u| = 1 is m!, for any order (large sample, 5 errors).
    X = StandardNormal(4).sample(60_000, rng=9)
    u = np.full(4, 0.5)
    for order, expected in ((1, 1.0), (2, 2.0), (3, 6.0), (4, 24.0)):
        estimate = cross_moment(X, (X @ u) ** order, StandardNormal(4), order, bases=[u] * order)
        assert estimate.value.shape == ()
        assert abs(estimate.value - expected) <= 5.0 * estimate.standard_error
    full = cross_moment(X, (X @ u) ** 2, StandardNormal(4), 2)
    assert np.all(np.abs(full.value - 2.0 * outer_power(u[None], 2)[0]) <= 5.0 * full.standard_error)


@pytest.mark.parametrize("scale", [1e-150, 1e200, 1e300])
def test_huge_and_tiny_numbers_are_right_or_refused(scale):
    for call in (
        lambda: cross_moment(X0, scale * Y0, N2, 2),
        lambda: cross_moment(scale * X0, Y0, N2, 2),
        lambda: cross_moment(X0, scale * Y0, N2, 2, control=ControlVariate()),
        lambda: cross_moment(scale * X0, Y0, N2, 2, control=ControlVariate()),
    ):
        if scale < 1.0:
            estimate = call()
            assert np.isfinite(estimate.value).all()
            assert np.isfinite(estimate.standard_error).all()
        else:
            with pytest.raises(ValueError, match=r"are so large|score: its values are not finite"):
                call()


def test_a_surrogate_is_removed_and_its_derivative_put_back():
    """T_1 of y = g exactly: E[grad g] and no noise, whatever the score."""
    X = np.random.default_rng(0).standard_normal((400, 2))
    g = RidgeSurrogate([[1.0, 2.0]], [0.5], [[3.0]], "linear", [4.0])
    found = cross_moment(X, g.predict(X)[:, 0], StandardNormal(2), 1, surrogate=g)
    np.testing.assert_allclose(found.value, [3.0, 6.0], atol=1e-12)
    assert found.standard_error.max() < 1e-12
    assert found.left < 1e-20


def test_what_nothing_is_removed_from_is_all_left():
    plain = MomentEstimate(np.ones(2), np.zeros(2), 10, 1)
    assert (plain.removed, plain.left) == ("nothing", 1.0)
