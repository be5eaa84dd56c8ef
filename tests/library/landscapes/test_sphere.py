"""Maxima of fourth moments on the sphere and on the ellipsoid of the second moment."""

import numpy as np
import pytest

from nnmoments.landscapes import ellipsoid_rows, sphere_maxima
from nnmoments.linalg import match_rows, outer_power, symmetrize


def tensor(W, c):
    return np.tensordot(c, outer_power(W, 4), axes=(0, 0))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_maxima_of_an_orthogonal_form(rng, sign):
    W, c = np.linalg.qr(rng.standard_normal((4, 4)))[0], np.array([1.0, 0.3, 2.0, 0.7])
    found = sphere_maxima(sign * tensor(W, c), 4, sign=sign, rng=0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)
    assert match_rows(found, W).worst < 1e-6


def test_the_first_maximum_is_the_highest(rng):
    """Against a fine grid of the circle, for a tensor without structure."""
    T = symmetrize(rng.standard_normal((2,) * 4))
    angles = np.linspace(0.0, np.pi, 2001)
    z = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    values = np.einsum("abcd,ia,ib,ic,id->i", T, z, z, z, z, optimize=True)
    first = sphere_maxima(T, 1, rng=0)
    assert np.einsum("abcd,a,b,c,d->", T, *[first[0]] * 4) == pytest.approx(values.max(), rel=1e-5)


def test_maxima_are_polished_on_the_whole_sphere(rng):
    """Nearly orthogonal weights: in the complement of the first alone the second would be off."""
    W = np.array([[1.0, 0.0, 0.0], [0.2, np.sqrt(0.96), 0.0], [0.0, 0.0, 1.0]])
    T = tensor(W, np.array([2.0, 1.0, 1.5]))
    for z in sphere_maxima(T, 3, rng=0):
        slope = np.einsum("abcd,b,c,d->a", T, z, z, z)
        assert np.linalg.norm(slope - (slope @ z) * z) < 1e-6


def test_a_zero_tensor_has_any_maxima():
    assert sphere_maxima(np.zeros((2,) * 4), 2, rng=0).shape == (2, 2)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rows_on_the_ellipsoid(sign):
    W = np.array([[1.0, 0.0, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0], [0.0, 0.6, 0.8, 0.0]])
    c = np.array([1.0, 2.0, 0.5])
    second = np.einsum("i,ia,ib->ab", c, W, W)
    rows = ellipsoid_rows(second, sign * tensor(W, c), 3, sign=sign, rng=0)
    assert match_rows(rows, W).worst < 1e-6
    assert ellipsoid_rows(-second, tensor(W, c), 3, rng=0).shape == (0, 4)
    assert ellipsoid_rows(second, tensor(W, c), 4, rng=0).shape == (0, 4) or second[3, 3] == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sphere_maxima(np.zeros((2, 2, 2, 3)), 1), "fourth must have four equal axes"),
        (lambda: sphere_maxima(np.zeros((2,) * 4), 3), "count must be an integer from 1 to 2"),
        (lambda: sphere_maxima(np.zeros((2,) * 4), 1, sign=0.5), "sign must be one of"),
        (lambda: sphere_maxima(np.zeros((2,) * 4), 1, rng="x"), "rng must be"),
        (lambda: ellipsoid_rows(np.eye(3), np.zeros((2,) * 4), 1), "second must have shape"),
        (lambda: ellipsoid_rows(np.eye(2), np.zeros((2,) * 4), 0), "k must be"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
