"""The forms of a moment agree with dense score tensors, and with each other."""

import pickle

import numpy as np
import pytest

from nnmoments.densities import StandardNormal
from nnmoments.hermite import hermite_polynomial
from nnmoments.moments import SampledMoment, StreamedMoment, TensorMoment
from nnmoments.moments.gaussian_scores import from_raw_moments

N, D = 60, 3
_rng = np.random.default_rng(7)
X, Y = _rng.standard_normal((N, D)), _rng.standard_normal(N)
CHUNKS = [(X[:20], Y[:20]), (X[20:], Y[20:])]


def _dense(order, hermite):
    score = StandardNormal(D).score(X, order)
    if not hermite:
        score = X
        for _ in range(order - 1):
            score = np.einsum("n...,na->n...a", score, X)
    return np.tensordot(Y, score, 1) / N


def _forms(order, hermite=True):
    return {
        "formed": TensorMoment(_dense(order, hermite)),
        "sampled": SampledMoment(X, Y, hermite=hermite, order=order),
        "streamed": StreamedMoment(CHUNKS, order, hermite=hermite),
    }


@pytest.mark.parametrize("hermite", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_contractions_are_those_of_the_tensor(order, hermite):
    # T(A_1, ..., A_m) slot by slot; T(I, B, alpha, ...) along directions that are no unit vectors.
    T = _dense(order, hermite)
    V, u, B, alphas = (_rng.standard_normal(s) for s in ((D, 2), D, (D, 5), (2, D)))
    letters = "abcd"[:order]
    for name, form in _forms(order, hermite).items():
        assert (form.d, form.order) == (D, order)
        np.testing.assert_allclose(form.contract(), T, atol=1e-12, err_msg=name)
        mapped = "".join(",{}{}".format(*pair) for pair in zip(letters, letters.upper(), strict=True))
        projected = np.einsum(letters + mapped + "->" + letters.upper(), T, *[V] * order)
        np.testing.assert_allclose(form.contract(V), projected, atol=1e-12)
        mixed = np.tensordot(T, u, (order - 1, 0))
        np.testing.assert_allclose(form.contract([None] * (order - 1) + [u]), mixed, atol=1e-12)
        if order == 1:
            with pytest.raises(ValueError, match="order 1 is a vector"):
                form.matmat(B)
            continue
        rest = letters[2:]
        spec = f"{letters},bq" + "".join(f",r{c}" for c in rest) + "->" + ("r" if rest else "") + "aq"
        expected = np.einsum(spec, T, B, *[alphas] * len(rest)).reshape(-1, D, 5)
        np.testing.assert_allclose(form.matmat(B, alphas if rest else None), expected, atol=1e-12)


@pytest.mark.parametrize("hermite", [True, False])
def test_fourth_order_contractions(hermite):
    T, A = _dense(4, hermite), _rng.standard_normal((2, D))
    for name, form in _forms(4, hermite).items():
        every, own = form.cubic(A)
        np.testing.assert_allclose(every, np.einsum("abcd,ib,jc,jd->ia", T, A, A, A), atol=1e-12)
        np.testing.assert_allclose(own, np.einsum("abcd,ib,ic,id->ia", T, A, A, A), atol=1e-12)
        pairs = np.einsum("abcd,ic,jd->ijab", T, A, A)
        np.testing.assert_allclose(form.pairs(A), pairs, atol=1e-12, err_msg=name)


def test_batches_of_rows():
    form, A = TensorMoment(_dense(4, True)), _rng.standard_normal((5, 2, D))
    for i in range(2):
        np.testing.assert_allclose(form.cubic(A)[i], np.stack([form.cubic(a)[i] for a in A]), atol=1e-13)


def test_equality_pickles_and_names():
    for order in (2, 4):
        for form in _forms(order).values():
            assert pickle.loads(pickle.dumps(form)) == form
            assert f"d=3, order={order}" in repr(form)
    assert SampledMoment(X, Y) != SampledMoment(X, 2.0 * Y)
    assert "hermite=False" in repr(SampledMoment(X, Y, hermite=False))


class _Files:
    """Chunks that are read from disk at each pass."""

    def __init__(self, folder, chunks):
        self.paths = []
        for i, (x, y) in enumerate(chunks):
            np.savez(folder / f"{i}.npz", X=x, y=y)
            self.paths.append(folder / f"{i}.npz")

    def __iter__(self):
        for path in self.paths:
            with np.load(path) as part:
                yield part["X"], part["y"]


def test_a_stream_may_be_files(tmp_path):
    form = StreamedMoment(_Files(tmp_path, CHUNKS), 4)
    np.testing.assert_allclose(form.cubic(np.eye(D))[1], SampledMoment(X, Y).cubic(np.eye(D))[1], atol=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TensorMoment(1.0), "tensor must have 1 or 2 or 3 or 4 axes"),
        (lambda: TensorMoment(np.zeros((2, 3))), "tensor must have 2 equal axes"),
        (lambda: TensorMoment([[np.nan]]), "tensor holds NaN"),
        (lambda: SampledMoment(X, Y[:, None]), "y must have 1 axes"),
        (lambda: SampledMoment(X, Y, order=5), "order must be an integer from 1 to 4"),
        (lambda: StreamedMoment([], 2), "chunks hold no samples"),
        (lambda: StreamedMoment(iter(CHUNKS), 2), "chunks must be a list"),
        (lambda: StreamedMoment(3, 2), "chunks must be a list"),
        (lambda: StreamedMoment([(X[:, 0], Y)], 2), r"X must have shape \(n, d\)"),
        (lambda: StreamedMoment([(X, Y), (X[:, :2], Y)], 2).contract(), "to fit the score model"),
        (lambda: StreamedMoment([(X, Y), (X, Y[1:])], 2).contract(), "as many rows"),
        (lambda: StreamedMoment([(X, Y * np.nan)], 2).contract(), "X and y must be finite"),
        (lambda: StreamedMoment([(X, Y * np.nan)], 2).matmat(np.eye(D)), "X and y must be finite"),
        (lambda: SampledMoment(X * 1e100, Y, order=4).contract(), "must be finite, and not so large"),
        (lambda: SampledMoment(X * 1e300, Y, order=4), "are so large"),
        (lambda: SampledMoment(X, Y, order=3).matmat(np.eye(D)), "directions are needed"),
        (lambda: SampledMoment(X, Y, order=3).matmat(np.eye(D), np.eye(2)), "directions must have shape"),
        (
            lambda: TensorMoment(np.zeros((D,) * 4)).cubic(np.ones((1, 1, 1, 1, D))),
            "A must have 2 or 3 or 4 axes",
        ),
        (lambda: SampledMoment(X, Y, order=2).matmat(np.eye(2)), "block must have shape"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("count", range(1, 6))
def test_hermite_moments_from_as_many_raw_ones_as_there_are(count):
    """On the line E[y S_m] = E[y He_m(x)]; He_3 = x^3 - 3 x needs no fourth moment."""
    x, y = np.array([0.3, -1.2, 2.0]), np.array([1.0, 2.0, -0.5])
    raw = [np.full((1,) * m, np.mean(y * x**m)) for m in range(count)]
    for m, found in enumerate(from_raw_moments(raw)):
        assert found.item() == pytest.approx(np.mean(y * hermite_polynomial(m, x)))
