"""What all tests share: deterministic property tests, and one way to compare Monte-Carlo means.

Seeds are fixed, so a test that passes keeps passing; the false-alarm rates that the tests state are
those of a freshly drawn seed, and say how far a tolerance is from luck.
"""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("fixed")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240611)


@pytest.fixture
def assert_within_errors() -> Callable[..., None]:
    """Compare an estimate with its expectation in standard errors.

    At 5 standard errors one entry raises a false alarm with probability 5.7e-7; with t-distributed
    errors (64 blocks) 5e-6.
    """

    def check(value: object, expected: object, error: object, limit: float = 5.0) -> None:
        value, expected, error = (np.asarray(a, dtype=float) for a in (value, expected, error))
        scores = np.abs(value - expected) / np.maximum(error, 1e-13)
        assert scores.max() <= limit, f"worst |z| is {scores.max():.2f}"

    return check
