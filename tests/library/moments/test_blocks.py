"""Large second moments, summed tile by tile, and tensors too large to be formed."""

import numpy as np
import pytest

from nnmoments.densities import Gaussian, GaussianMixture, Logistic, Normal, Product, StandardNormal, iid
from nnmoments.moments import CrossMoment, SampledMoment, TensorMoment, cross_moment
from nnmoments.moments.samples import MAX_TENSOR_DOUBLES

D = 40
_rng = np.random.default_rng(1)
_A = _rng.standard_normal((D, D))
DENSITIES = {
    "standard": StandardNormal(D),
    "shifted": Gaussian(np.full(D, 0.5), np.eye(D)),
    "diagonal": Gaussian(np.zeros(D), np.diag(np.linspace(0.5, 2.0, D))),
    "gaussian": Gaussian(np.ones(D), np.eye(D) + _A @ _A.T / D),
    "logistic": iid(Logistic(), D),
    "product": Product([Logistic(), Normal(scale=2.0)] * (D // 2)),
    "mixture": GaussianMixture([0.4, 0.6], _rng.standard_normal((2, D))),
}


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("tile", [None, 300])
@pytest.mark.parametrize("name", DENSITIES)
def test_second_moments_against_brute_force(name, tile, columns, monkeypatch):
    # Value and standard error, blocks of 7 with 3 left over; tiles of few rows agree with one.
    if tile is not None:
        monkeypatch.setattr("nnmoments.moments.blocks._TILE", tile)
    density = DENSITIES[name]
    X = density.sample(150 * 7 + 3, rng=2)
    Y = np.stack([np.sin(X[:, 0]) + X[:, 1] * X[:, 2], X[:, 0] ** 2], axis=1)[:, :columns]
    for basis in (None, _A[:, :35]):
        S = density.score(X, 2) if basis is None else density.project(X, basis, 2)
        terms = Y[:, :, None, None] * S[:, None]
        found = cross_moment(X, Y, density, 2, bases=basis, block_size=7)
        starts = np.arange(0, len(X), 7)
        sizes = np.diff(np.append(starts, len(X)))[:, None, None, None]
        means = np.add.reduceat(terms, starts) / sizes
        value = terms.mean(axis=0)
        variance = (sizes * (means - value) ** 2).sum(axis=0) / (len(starts) - 1) / len(X)
        scale = np.abs(value).max()
        np.testing.assert_allclose(found.value, value, atol=1e-12 * scale)
        np.testing.assert_allclose(found.standard_error, np.sqrt(variance), rtol=1e-8)


def test_a_tensor_that_cannot_fit_says_pass_bases():
    d = 1000
    with pytest.raises(ValueError, match=r"\(1000, 1000, 1000\) has 7.5 GiB, more than 1 GiB: pass bases"):
        CrossMoment(StandardNormal(d), 3)
    with pytest.raises(ValueError, match="pass bases"):  # before any look at the sample
        cross_moment("nothing", None, StandardNormal(d), 3)
    CrossMoment(StandardNormal(d), 3, bases=np.eye(d)[:, :5])
    columns = MAX_TENSOR_DOUBLES // d**2 + 1
    with pytest.raises(ValueError, match="pass bases"):
        CrossMoment(StandardNormal(d), 2).partial_fit(np.zeros((2, d)), np.zeros((2, columns)))


def test_a_form_that_cannot_be_a_tensor_says_so():
    with pytest.raises(ValueError, match="pass bases"):
        SampledMoment(np.ones((2, 200)), np.ones(2), order=4).contract()
    assert TensorMoment(np.ones((2, 2))).contract().shape == (2, 2)
