"""Accumulate a chunk at a time, anywhere, and merge: the same moment, and nothing loaded whole."""

import concurrent.futures
import copy
import multiprocessing
import pickle

import numpy as np
import pytest

from nnmoments.densities import StandardNormal
from nnmoments.moments import CrossMoment, RidgeSurrogate, cross_moment

DENSITY = StandardNormal(3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Five files of samples, and all of them in one array."""
    folder = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 3))
    y = X[:, 0] * X[:, 1] + X[:, 2]
    paths = []
    for i, rows in enumerate(np.split(np.arange(5000), [700, 1500, 2600, 4100])):
        paths.append(folder / f"{i}.npz")
        np.savez(paths[-1], X=X[rows], y=y[rows])
    return paths, X, y


def accumulate(path):
    """What one process does with one file."""
    with np.load(path) as part:
        return CrossMoment(DENSITY, 2, block_size=50).partial_fit(part["X"], part["y"])


def _agree(merged, X, y):
    whole = cross_moment(X, y, DENSITY, 2, block_size=50)
    np.testing.assert_allclose(merged.value, whole.value, atol=1e-12)
    np.testing.assert_allclose(merged.standard_error, whole.standard_error, rtol=1e-9)
    assert merged.n_samples == whole.n_samples


def test_sum_over_processes(files):
    paths, X, y = files
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        parts = list(pool.map(accumulate, paths))
    _agree(sum(parts).estimate(), X, y)


def test_chunks_from_a_generator_of_files(files):
    paths, X, y = files
    alive = []

    def chunks():
        for path in paths:
            with np.load(path) as part:
                yield part["X"], part["y"]
            alive.append(path)

    _agree(CrossMoment.from_chunks(chunks(), DENSITY, 2, block_size=50).estimate(), X, y)
    assert alive == paths


def test_sum_on_a_dask_cluster(files):
    distributed = pytest.importorskip("distributed")
    dask_array = pytest.importorskip("dask.array")
    _, X, y = files
    rows = (700, 800, 1100, 1500, 900)
    lazy = dask_array.from_array(X, chunks=(rows, 3)), dask_array.from_array(y, chunks=(rows,))
    pairs = zip(lazy[0].to_delayed().ravel(), lazy[1].to_delayed().ravel(), strict=True)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False)
    with cluster, distributed.Client(cluster) as client:
        parts = [client.submit(_fit, client.compute(a), client.compute(b)) for a, b in pairs]
        _agree(client.submit(sum, parts).result().estimate(), X, y)


def _fit(X, y):
    return CrossMoment(DENSITY, 2, block_size=50).partial_fit(X, y)


def test_sum_of_one_and_of_none_but_zero(files):
    part = accumulate(files[0][0])
    assert sum([part]) == part == 0 + part == part + 0
    with pytest.raises(TypeError, match="unsupported operand"):
        1 + part


def test_accumulators_and_estimates_pickle_and_equal_their_copies(files):
    part = accumulate(files[0][0])
    for thing in (part, part.estimate(), CrossMoment(DENSITY, 2, bases=np.eye(3)[:, :2])):
        assert pickle.loads(pickle.dumps(thing)) == thing == copy.deepcopy(thing)
    assert part != accumulate(files[0][1])
    assert part.estimate() != accumulate(files[0][1]).estimate()


@pytest.mark.parametrize("chunks", [3, [np.eye(3)], [(np.eye(3),)], [None]])
def test_bad_chunks_are_refused(chunks):
    with pytest.raises(ValueError, match="chunks must"):
        CrossMoment.from_chunks(chunks, DENSITY, 2)


def test_what_a_surrogate_leaves_of_the_labels_is_summed_over_chunks(files):
    """Var(y - g) / Var(y) of all samples, from sums of squares of five files, merged or one after another."""
    paths, X, y = files
    g = RidgeSurrogate([[1.0, 0.5, 0.0]], [0.2], [[0.7]], "tanh", [0.0])
    rest = y - g.predict(X)[:, 0]
    chunks = []
    for path in paths:
        with np.load(path) as part:
            chunks.append((part["X"], part["y"]))
    one = CrossMoment(DENSITY, 2, block_size=50, surrogate=g)
    for chunk in chunks:
        one.partial_fit(*chunk)
    merged = sum(CrossMoment(DENSITY, 2, block_size=50, surrogate=g).partial_fit(*chunk) for chunk in chunks)
    for found in (one.estimate(), merged.estimate()):
        assert found.left == pytest.approx(np.var(rest) / np.var(y), rel=1e-9)
