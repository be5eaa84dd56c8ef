"""Equality by content, and a repr that shows the result."""

import copy
import dataclasses
import functools
import pickle

import numpy as np
import pytest

from nnmoments.chunks import row_chunks
from nnmoments.results import Comparable, Result, same


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Found(Result):
    value: np.ndarray
    status: str
    history: np.ndarray = dataclasses.field(repr=False, default_factory=lambda: np.zeros(2))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Outer(Result):
    inner: Found
    share: float


class Thing(Comparable):
    def __init__(self, size):
        self.size = size

    @functools.cached_property
    def square(self):
        return self.size**2


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        (1.0, 1.0, True),
        (np.nan, np.nan, True),
        (1, 1.0, False),
        ([1, 2], (1, 2), False),
        ([np.zeros(2)], [np.zeros(2)], True),
        ([np.zeros(2)], [np.zeros(2), 1], False),
        (np.zeros(2), np.zeros(2, dtype=np.float32), False),
        (np.array([np.nan]), np.array([np.nan]), True),
        (np.array(["a"]), np.array(["b"]), False),
        (np.zeros(2), np.zeros((2, 1)), False),
        ({"a": np.ones(1)}, {"a": np.ones(1)}, True),
        ({"a": 1}, {"b": 1}, False),
        ("ab", "ab", True),
        (np.random.default_rng(0), np.random.default_rng(0), True),
        (np.random.default_rng(0), np.random.default_rng(1), False),
        (None, None, True),
    ],
)
def test_same(first, second, equal):
    assert same(first, second) is equal
    assert same(second, first) is equal


def test_results_equal_their_copies():
    found = Found(np.arange(3.0), "converged")
    assert pickle.loads(pickle.dumps(found)) == found == copy.deepcopy(found)
    assert found != Found(np.arange(3.0), "not yet")
    assert found != Found(np.arange(3.0), "converged", np.ones(2))
    assert (found == 3) is False
    assert hash(found) == hash(copy.deepcopy(found))


def test_cached_values_are_no_content():
    used, fresh = Thing(3), Thing(3)
    assert used.square == 9
    assert used == fresh
    assert "square" not in vars(pickle.loads(pickle.dumps(used)))
    assert pickle.loads(pickle.dumps(used)) == used


def test_repr_shows_the_result():
    """Arrays in full up to 40 numbers, numbers to four digits, hidden fields not at all."""
    assert repr(Found(np.array([1.0, 0.25]), "converged")) == (
        "Found\n   value: [1.   0.25]\n  status: converged"
    )
    assert "value: [" in repr(Found(np.zeros(40), ""))
    assert "value: array of shape (41,)" in repr(Found(np.zeros(41), ""))
    assert repr(Outer(Found(np.zeros(1), "fine"), 1 / 3)) == "Outer\n  inner: Found(fine)\n  share: 0.3333"


@pytest.mark.parametrize(
    ("n", "width", "doubles", "multiple"), [(7, 3, 6, 1), (100, 1000, 10, 4), (5, 0, 3, 2)]
)
def test_chunks_cover_all_rows_once(n, width, doubles, multiple):
    chunks = row_chunks(n, width, doubles=doubles, multiple=multiple)
    np.testing.assert_array_equal(np.concatenate([np.arange(n)[c] for c in chunks]), np.arange(n))
    lengths = [c.stop - c.start for c in chunks]
    assert all(length % multiple == 0 for length in lengths[:-1])
    assert max(lengths) * width <= max(doubles, multiple * width)


def test_objects_that_compare_by_identity_are_their_attributes():
    class Plain:
        def __init__(self, size):
            self.size = size

    assert same(Plain(1), Plain(1))
    assert not same(Plain(1), Plain(2))
    assert not same(lambda: 1, lambda: 1)
