import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sklearn.preprocessing import PolynomialFeatures

from nnmoments import linalg
from nnmoments.linalg import (
    khatri_rao,
    match_rows,
    monomials,
    outer_power,
    principal_angles,
    set_partitions,
    symmetrize,
)


@pytest.mark.parametrize("m", range(7))
def test_set_partitions_are_all_partitions_once(m):
    partitions = set_partitions(m)
    canonical = {frozenset(frozenset(block) for block in partition) for partition in partitions}
    assert len(canonical) == len(partitions)
    for partition in partitions:
        assert sorted(itertools.chain(*partition)) == list(range(m))
        assert all(block for block in partition)
    # Stirling numbers of the second kind, by the explicit sum.
    for k in range(m + 1):
        stirling = sum((-1) ** (k - j) * math.comb(k, j) * j**m for j in range(k + 1)) // math.factorial(k)
        assert sum(len(partition) == k for partition in partitions) == stirling


@given(st.integers(0, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_symmetrize_is_the_projection_onto_symmetric_tensors(order, d, seed):
    tensor = np.random.default_rng(seed).standard_normal((d,) * order)
    projected = symmetrize(tensor)
    for permutation in itertools.permutations(range(order)):
        np.testing.assert_allclose(projected.transpose(permutation), projected, atol=1e-14)
    np.testing.assert_allclose(symmetrize(projected), projected, atol=1e-14)
    # Orthogonal: what is removed is orthogonal to what stays, and powers are untouched.
    assert abs(np.vdot(tensor - projected, projected)) < 1e-12
    vector = np.arange(1.0, d + 1.0)
    power = outer_power(vector[None], order)[0]
    np.testing.assert_allclose(symmetrize(power), power)
    assert np.vdot(tensor, power) == pytest.approx(np.vdot(projected, power), abs=1e-10)


def test_symmetrize_leaves_leading_axes_alone(rng):
    batch = rng.standard_normal((4, 3, 3))
    np.testing.assert_allclose(symmetrize(batch, 2), (batch + batch.transpose(0, 2, 1)) / 2)
    with pytest.raises(ValueError, match="order must be an integer from 0 to 3, got 4"):
        symmetrize(batch, 4)


def test_khatri_rao_multiplies_row_by_row(rng):
    A, B, C = (rng.standard_normal((5, k)) for k in (2, 3, 4))
    np.testing.assert_allclose(khatri_rao(A, B, C), np.einsum("ni,nj,nk->nijk", A, B, C).reshape(5, -1))
    np.testing.assert_array_equal(khatri_rao(A), A)


def test_outer_power(rng):
    w = rng.standard_normal((2, 3))
    np.testing.assert_allclose(outer_power(w, 3), np.einsum("ka,kb,kc->kabc", w, w, w))
    np.testing.assert_array_equal(outer_power(w, 0), [1.0, 1.0])
    np.testing.assert_array_equal(outer_power(w, 1), w)
    with pytest.raises(ValueError, match="order must be an integer from 0"):
        outer_power(w, -1)
    with pytest.raises(ValueError, match="vectors must have 2 axes"):
        outer_power(w[0], 2)


def test_principal_angles_of_rotated_planes():
    tilt = 0.3
    turned = Rotation.from_rotvec([tilt, 0.0, 0.0]).as_matrix()[:, :2].T  # the xy-plane about x
    np.testing.assert_allclose(principal_angles(np.eye(3)[:2], turned), [tilt, 0.0], atol=1e-7)


def test_principal_angles_depend_on_spans_only(rng):
    A, B = rng.standard_normal((2, 2, 6))
    mixed = rng.standard_normal((2, 2)) @ A
    np.testing.assert_allclose(principal_angles(mixed, B), principal_angles(A, B))
    np.testing.assert_allclose(principal_angles(A, mixed), [0.0, 0.0], atol=1e-7)
    with pytest.raises(ValueError, match=r"second must have shape \(any, 6\)"):
        principal_angles(A, B[:, :5])


@given(st.integers(1, 4), st.booleans(), st.integers(0, 2**32 - 1))
def test_match_rows_is_optimal_among_all_matchings(k, signed, seed):
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((k, 3)) * rng.uniform(0.1, 5.0, (k, 1))
    estimate = rng.standard_normal((k, 3))
    match = match_rows(estimate, truth, signed=signed)
    signs = [1.0] if signed else [1.0, -1.0]
    best = min(
        sum(
            min(np.sum((s * estimate[p] - w) ** 2) for s in signs) / np.sum(w**2)
            for p, w in zip(permutation, truth, strict=True)
        )
        for permutation in itertools.permutations(range(k))
    )
    assert np.sum(match.errors**2) == pytest.approx(best)
    np.testing.assert_allclose(match.aligned, match.signs[:, None] * estimate[match.permutation])
    np.testing.assert_allclose(
        match.errors, np.linalg.norm(match.aligned - truth, axis=1) / np.linalg.norm(truth, axis=1)
    )
    assert match.worst == match.errors.max()


def test_match_rows_undoes_a_signed_permutation(rng):
    truth = rng.standard_normal((4, 7))
    permutation, signs = np.array([2, 0, 3, 1]), np.array([1.0, -1.0, -1.0, 1.0])
    shuffled = np.empty_like(truth)
    shuffled[permutation] = signs[:, None] * truth
    match = match_rows(shuffled, truth)
    np.testing.assert_array_equal(match.permutation, permutation)
    np.testing.assert_array_equal(match.signs, signs)
    assert match.worst < 1e-15
    assert match_rows(shuffled, truth, signed=True).worst > 0.5


@pytest.mark.parametrize("size", [1.1e-70, 1e-3, 0.9e70])
def test_the_unit_of_rows_does_not_matter(size, rng):
    truth, estimate = rng.uniform(1.0, 1.05, (2, 3, 4)) * np.array([1.0, -1.0, 1.0])[:, None]
    match = match_rows(size * estimate, size * truth)
    np.testing.assert_allclose(match.errors, match_rows(estimate, truth).errors, rtol=1e-9)
    for name, far in (("truth", 1.2e70), ("truth", 0.8e-70), ("estimate", 1.2e70)):
        beyond = {"truth": truth, "estimate": estimate}
        beyond[name] = far * beyond[name]
        with pytest.raises(ValueError, match=f"{name} has rows whose squares"):
            match_rows(**beyond)


def test_match_rows_errors():
    with pytest.raises(ValueError, match="truth has a zero row"):
        match_rows(np.eye(2), [[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match=r"estimate must have shape \(2, 2\), got \(3, 2\)"):
        match_rows(np.ones((3, 2)), np.eye(2))


def test_all_is_what_there_is():
    assert all(hasattr(linalg, name) for name in linalg.__all__)


@pytest.mark.parametrize(("d", "degree"), [(1, 4), (3, 3), (4, 2), (2, 0)])
def test_monomials_are_those_of_scikit_learn(d, degree):
    """The same columns in the same order as PolynomialFeatures; pairs as triu_indices."""
    X = np.random.default_rng(0).standard_normal((5, d))
    columns = np.stack([np.prod(X[:, axes], axis=1) for axes in monomials(d, degree)], axis=1)
    np.testing.assert_allclose(columns, PolynomialFeatures(degree).fit_transform(X), rtol=1e-14)
    assert len(monomials(d, degree)) == math.comb(d + degree, degree)
    if degree >= 2:
        pairs = [axes for axes in monomials(d, degree) if len(axes) == 2]
        np.testing.assert_array_equal(np.transpose(np.triu_indices(d)), pairs)


def test_ranges_are_named():
    with pytest.raises(ValueError, match="d must be an integer from 1 up"):
        monomials(0, 2)
    with pytest.raises(ValueError, match="tensor must have 2 last axes of one length"):
        symmetrize(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="matrices must hold at least one"):
        khatri_rao()
    with pytest.raises(ValueError, match=r"matrices must have shape \(2, any\)"):
        khatri_rao(np.ones((2, 1)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="truth has rows whose squares are beyond"):
        match_rows([[1.0]], [[1e200]])
    with pytest.raises(ValueError, match="estimate has rows whose squares are beyond"):
        match_rows([[1e200]], [[1.0]])
    assert principal_angles([[1e200, 0.0]], [[0.0, 1e-200]]) == pytest.approx(math.pi / 2.0)
