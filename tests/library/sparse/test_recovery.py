"""The entry to all versions: what they have in common, and what it refuses."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from nnmoments.linalg import match_rows
from nnmoments.sparse import l1_programmes, recover_rows


@pytest.mark.parametrize("columns", ["all", "pairs", "fast"])
def test_exact_recovery(columns, planted, worst):
    """SA Theorem 2: support exact, rows to 1e-8; SA's own ordering; k from the rank."""
    A, M = planted(10, 300, 0.2, 0)
    M = np.random.default_rng(9).standard_normal((14, 10)) @ M  # n_y > k
    recovery = recover_rows(M, columns=columns)
    match = match_rows(recovery.rows, A)
    assert match.worst < 1e-8
    assert np.array_equal(recovery.support[match.permutation], A != 0)
    assert recovery.ordering == "l0"
    assert len(recovery.rows) == recovery.basis.k == 10
    assert np.all(recovery.gap <= 1e-9)
    assert recovery.converged
    rows = recovery.coefficients @ M
    assert worst(rows / np.linalg.norm(rows, axis=1, keepdims=True), A) < 1e-8
    assert pickle.loads(pickle.dumps(recovery)) == recovery
    # Standard errors of zero are those of an exact moment.
    again = recover_rows(M, columns=columns, standard_error=np.zeros(M.shape))
    assert again == recovery


def test_pairs_are_programmes_of_two_columns(planted):
    """The variant DC: r is the sum of two columns, each column in one pair at most."""
    _, M = planted(5, 101, 0.4, 2)
    recovery = recover_rows(M, columns="pairs")
    assert recovery.n_programmes == M.any(axis=0).sum() // 2
    for row, (i, j) in zip(recovery.coefficients, recovery.sources, strict=True):
        r = M[:, i] + M[:, j]
        again = l1_programmes(M, r[None])
        assert_allclose(np.abs(row @ M).sum() / abs(row @ r), again.objective[0], rtol=1e-8)


@pytest.mark.parametrize("columns", ["all", "pairs", "fast"])
def test_one_usable_column(columns):
    """One column has no partner: it is its own programme."""
    recovery = recover_rows([[0.0, 2.0, 0.0], [0.0, -1.0, 0.0]], columns=columns)
    assert_allclose(np.abs(recovery.rows), [[0.0, 1.0, 0.0]], atol=1e-12)
    assert list(recovery.skipped) == [0, 2]
    assert recovery.converged
    assert_allclose(np.abs(recover_rows([[3.0]], columns=columns).rows), 1.0)


def test_cancelling_pairs_are_left_out():
    """Columns that are each other's negatives have no feasible sum."""
    M = np.kron(np.eye(3), [[1.0, -1.0, 2.0, -2.0]])
    for seed in range(5):
        recovery = recover_rows(M, columns="pairs", rng=seed)
        assert recovery.n_programmes <= 6
        assert recovery.check.n_columns == recovery.n_programmes


def test_ratio_and_l0_orders_agree_on_an_exact_moment(planted, worst):
    A, M = planted(6, 150, 0.2, 4)
    for columns in ("all", "fast"):
        recovery = recover_rows(M, columns=columns, ordering="ratio")
        assert recovery.ordering == "ratio"
        assert worst(recovery.rows, A) < 1e-8


def test_dense_rows_are_reported(worst):
    """Negative control: nothing is sparse, so l1 finds no basis of sparse rows; it must not pretend."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((5, 100))
    recovery = recover_rows(rng.standard_normal((5, 5)) @ A)
    if len(recovery.rows) == 5:
        assert worst(recovery.rows, A) > 0.3
    else:
        assert not recovery.converged
        assert f"only {len(recovery.rows)} of 5" in recovery.status


def test_refuses():
    for columns in ("some", None, 3):
        with pytest.raises(ValueError, match="columns must be one of 'all', 'pairs', 'fast', got"):
            recover_rows(np.eye(3), columns=columns)
    with pytest.raises(ValueError, match="ordering must be one of"):
        recover_rows(np.eye(3), ordering="l1")
    with pytest.raises(ValueError, match="standard_error must have shape"):
        recover_rows(np.eye(3), standard_error=np.ones((2, 3)))
    with pytest.raises(ValueError, match="standard_error must not be negative"):
        recover_rows(np.eye(3), standard_error=-np.ones((3, 3)))
    with pytest.raises(ValueError, match="tol must be a number above"):
        recover_rows(np.eye(3), tol=0)
    with pytest.raises(ValueError, match="rng must be None"):
        recover_rows(np.eye(3), rng="today")
