"""Activations: derivatives by finite differences, coefficients by mpmath, properties by the slides."""

import copy
import math
import pickle

import mpmath
import numpy as np
import pytest

from companion.experiments.stein_moments import property_table, rho_table
from nnmoments.activations import (
    SLIDES,
    Activation,
    absolute,
    cosine,
    erf,
    exponential,
    get_activation,
    leaky_relu,
    linear,
    quadratic,
    relu,
    relu_threshold,
    sigmoid,
    sigmoid_threshold,
    sign_threshold,
    softplus,
    squared_relu,
    tanh,
    threshold_coefficients,
)
from nnmoments.hermite import normalized_hermite

OTHERS = (
    absolute,
    cosine,
    softplus,
    relu_threshold(1.5),
    sign_threshold(0.5),
    sigmoid_threshold(2.0),
    exponential(0.7, 0.2),
)
EVERY = (*SLIDES, *OTHERS)
named = pytest.mark.parametrize("phi", EVERY, ids=[a.name for a in EVERY])

# The same functions in mpmath, written from their definitions.
REFERENCE = {
    "relu": lambda z: max(z, mpmath.mpf(0)),
    "leaky_relu": lambda z: max(z, z / 100),
    "squared_relu": lambda z: max(z, mpmath.mpf(0)) ** 2,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "tanh": mpmath.tanh,
    "erf": lambda z: mpmath.sqrt(mpmath.pi) / 2 * mpmath.erf(z),
    "linear": lambda z: z,
    "quadratic": lambda z: z**2,
    "absolute": abs,
    "cosine": mpmath.cos,
    "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    "relu at 1.5": lambda z: max(z - mpmath.mpf("1.5"), mpmath.mpf(0)),
    "sign at 0.5": lambda z: mpmath.mpf(z > 0.5),
    "sigmoid at 2": lambda z: 1 / (1 + mpmath.exp(2 - z)),
    "exp(0.7(z - 0.2))": lambda z: mpmath.exp(mpmath.mpf("0.7") * (z - mpmath.mpf("0.2"))),
}


@named
def test_values(phi):
    z = np.array([-3.3, -0.4, 0.1, 0.9, 2.7])
    np.testing.assert_allclose(phi(z), [float(REFERENCE[phi.name](mpmath.mpf(v))) for v in z], rtol=1e-13)


@named
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives(phi, order):
    """Against numerical differentiation at 40 digits, away from kinks."""
    z = np.array([-2.3, -0.4, 0.1, 0.9, 2.7])
    with mpmath.workdps(40):
        exact = [float(mpmath.diff(REFERENCE[phi.name], mpmath.mpf(v), order)) for v in z]
    np.testing.assert_allclose(phi.derivative(order, z), exact, rtol=1e-9, atol=1e-9)


@named
@pytest.mark.parametrize("m", range(5))
def test_moment_coefficients(phi, m):
    """ZS Claim 5.2: m_m = E[phi(sz + b) He_m(z)], and its form in gamma for b = 0."""
    scale, shift = 1.3, 0.4
    kinks = sorted((b - shift) / scale for b in phi.breakpoints)
    with mpmath.workdps(16):
        exact = mpmath.quad(
            lambda g: (
                REFERENCE[phi.name](scale * g + shift)
                * mpmath.hermite(m, g / mpmath.sqrt(2))
                / mpmath.sqrt(2) ** m
                * mpmath.npdf(g)
            ),
            [-14, -6, -2, *kinks, 2, 6, 14],
        )
    value = phi.moment_coefficient(m, scale=scale, shift=shift)
    assert value == pytest.approx(float(exact), rel=1e-10, abs=1e-11)
    assert phi.stein_coefficient(m, scale=scale, shift=shift) == pytest.approx(value / scale**m)
    g = [phi.gamma(j, scale=scale) for j in range(5)]
    printed = [g[0], g[1], g[2] - g[0], g[3] - 3 * g[1], g[4] + 3 * g[0] - 6 * g[2]]
    assert phi.moment_coefficient(m, scale=scale) == pytest.approx(printed[m], abs=1e-10)


@pytest.mark.parametrize(
    "phi", [sigmoid, tanh, erf, cosine, softplus, exponential(0.7, 0.2)], ids=lambda a: a.name
)
@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_stein_coefficient_of_smooth_activations(phi, m):
    """E[phi^(m)] by the classical derivative equals the form by parts, where there are no kinks."""
    direct = phi.expectation(np.ones_like, scale=1.2, shift=-0.3, order=m)
    assert phi.stein_coefficient(m, scale=1.2, shift=-0.3) == pytest.approx(direct, rel=1e-9, abs=1e-12)


def test_coefficients_that_vanish():
    """ZS 5.1: m_3 of ReLU and leaky ReLU, m_2 of sigmoid, tanh and erf, m_4 of squared ReLU."""
    for phi, m in [(relu, 3), (leaky_relu, 3), (sigmoid, 2), (tanh, 2), (erf, 2), (squared_relu, 4)]:
        assert abs(phi.moment_coefficient(m)) < 1e-13
        assert max(abs(phi.moment_coefficient(j)) for j in range(1, 5)) > 0.1


def test_squared_relu_coefficients():
    """m_1..m_4 of squared ReLU are sqrt(2/pi), 1, sqrt(2/pi), 0."""
    root = math.sqrt(2.0 / math.pi)
    values = [squared_relu.moment_coefficient(m) for m in range(1, 5)]
    np.testing.assert_allclose(values, [root, 1.0, root, 0.0], atol=1e-13)


def test_kappa_of_relu():
    """GM: kappa of ReLU is -phi(0), so the data terms of L need a sign."""
    assert relu.kappa() == pytest.approx(-1.0 / math.sqrt(2.0 * math.pi), rel=1e-12)


@pytest.mark.parametrize("t", [-0.5, 0.0, 1.0, 2.0, 3.0])
def test_threshold_closed_forms(t):
    """GP Lemma 10: u_2 = phi(t)/sqrt 2, u_4 = (t^2 - 1) phi(t)/sqrt 24: zero at t = 1."""
    u_2, u_4 = threshold_coefficients(t)
    assert relu_threshold(t).hermite_coefficient(2) == pytest.approx(u_2, abs=1e-13)
    assert relu_threshold(t).hermite_coefficient(4) == pytest.approx(u_4, abs=1e-13)
    for k in (1, 2, 3, 4):
        density = math.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
        closed = float(normalized_hermite(k - 1, t)) * density / math.sqrt(k)
        assert sign_threshold(t).hermite_coefficient(k) == pytest.approx(closed, abs=1e-13)


def test_property_table_of_the_slides():
    """ZS slides: all forty entries agree."""
    assert property_table()["as printed"].all()


def test_rho_table_of_the_slides():
    """ZS slides: right but for squared ReLU and quadratic."""
    table = rho_table().set_index(["activation", "sigma"])
    right = table.loc[["ReLU", "leaky ReLU", "erf", "tanh"]]
    np.testing.assert_allclose(right["computed"], right["printed"], rtol=0.029)
    np.testing.assert_allclose(table.loc["linear", "computed"], 0.0, atol=1e-13)


def test_rho_errata():
    """ZS slides print 0.27 sigma and 0; the definition gives 0.273 sigma^2 and -4 sigma^2."""
    for sigma in (0.1, 1.0, 10.0):
        assert squared_relu.rho(sigma) == pytest.approx(squared_relu.rho(1.0) * sigma**2, rel=1e-10)
        assert quadratic.rho(sigma) == pytest.approx(-4.0 * sigma**2, rel=1e-10)
    assert squared_relu.rho(1.0) == pytest.approx(0.2732, abs=5e-5)


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_rho_by_quadrature(sigma):
    """The definition of rho, term by term, for tanh at 25 digits."""
    with mpmath.workdps(25):

        def mean(p, q):
            return mpmath.quad(
                lambda g: (1 - mpmath.tanh(sigma * g) ** 2) ** p * g**q * mpmath.npdf(g), [-12, -3, 0, 3, 12]
            )

        a = [mean(1, q) for q in range(3)]
        exact = min(
            mean(2, 0) - a[0] ** 2 - a[1] ** 2, mean(2, 2) - a[1] ** 2 - a[2] ** 2, a[0] * a[2] - a[1] ** 2
        )
    assert tanh.rho(sigma) == pytest.approx(float(exact), rel=1e-10)


def test_structure_is_computed():
    degrees = {phi.name: phi.homogeneity for phi in EVERY}
    assert degrees["relu"] == degrees["leaky_relu"] == degrees["linear"] == degrees["absolute"] == 1
    assert degrees["squared_relu"] == degrees["quadratic"] == 2
    assert degrees["tanh"] is degrees["softplus"] is degrees["relu at 1.5"] is None
    parities = {phi.name: phi.parity for phi in EVERY}
    assert parities["tanh"] == parities["erf"] == parities["linear"] == -1
    assert parities["quadratic"] == parities["cosine"] == parities["absolute"] == 1
    assert parities["sigmoid"] == parities["relu"] == 0
    assert linear.properties.smooth
    assert linear.properties.piecewise_linear
    assert not sign_threshold(0.5).properties.smooth


@named
@pytest.mark.parametrize("m", range(5))
def test_classical_and_singular_parts_add_up(phi, m):
    """E[phi^(m)] in the sense of distributions = classical part + what the jumps contribute."""
    classical = phi.expectation(np.ones_like, scale=1.3, shift=-0.4, order=m)
    singular = phi.singular_coefficient(m, scale=1.3, shift=-0.4)
    assert classical + singular == pytest.approx(
        phi.stein_coefficient(m, scale=1.3, shift=-0.4), rel=1e-9, abs=1e-11
    )
    if not phi.breakpoints:
        assert singular == 0.0


def test_jumps_are_computed():
    assert relu.jumps == {0.0: (0.0, 1.0, 0.0, 0.0, 0.0)}
    assert leaky_relu.jumps[0.0][1] == pytest.approx(0.99)
    assert squared_relu.jumps == {0.0: (0.0, 0.0, 2.0, 0.0, 0.0)}
    assert sign_threshold(1.5).jumps == {1.5: (1.0, 0.0, 0.0, 0.0, 0.0)}
    assert absolute.jumps == {0.0: (0.0, 2.0, 0.0, 0.0, 0.0)}
    assert relu_threshold(-2.0).jumps == {-2.0: (0.0, 1.0, 0.0, 0.0, 0.0)}
    assert tanh.jumps == {}


@pytest.mark.parametrize("z", [-45.0, -20.0, 20.0, 45.0])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("phi", [sigmoid, tanh, erf], ids=lambda a: a.name)
def test_derivatives_in_the_tails(phi, order, z):
    """Relative accuracy where the value has saturated; mpmath at 150 digits."""
    if phi is erf:
        z = z / 5.0
    with mpmath.workdps(150):
        exact = float(mpmath.diff(REFERENCE[phi.name], mpmath.mpf(z), order, h=mpmath.mpf(10) ** -20))
    assert phi.derivative(order, z) == pytest.approx(exact, rel=1e-10, abs=0.0)


def test_coefficients_of_many_neurons():
    """Vectorised over neurons, each with its own kink."""
    scales, shifts = np.array([0.3, 1.0, 4.0]), np.array([-1.0, 0.0, 2.5])
    for phi in (relu, tanh, sign_threshold(0.5)):
        for m in range(5):
            expected = [
                phi.expectation(lambda g, m=m: normalized_hermite(m, g), scale=s, shift=b)
                * math.sqrt(math.factorial(m))
                for s, b in zip(scales, shifts, strict=True)
            ]
            np.testing.assert_allclose(
                phi.moment_coefficients(m, scales, shifts), expected, rtol=1e-11, atol=1e-13
            )


@pytest.mark.parametrize("rate", [0.01, 0.7, 2.0])
def test_exponential_growth_is_seen(rate):
    """phi' = rate exp(rate z) is neither polynomially bounded (P1) nor smooth (P3a), at any rate."""
    properties = exponential(rate).properties
    assert not properties.nonnegative_derivative
    assert not properties.smooth
    assert not properties.piecewise_linear


@named
def test_pickle_and_equality(phi):
    """A copy is equal, and the very same object where the activation has a name of its own."""
    copies = pickle.loads(pickle.dumps(phi)), copy.deepcopy(phi)
    for other in copies:
        assert other == phi
        assert hash(other) == hash(phi)
        np.testing.assert_array_equal(other.derivative(2, [-1.0, 0.7]), phi.derivative(2, [-1.0, 0.7]))
    if phi.kind == phi.name:
        assert copies[0] is phi


def test_a_users_own_activation_pickles():
    """Functions of a module are all that is needed."""
    own = Activation("half", np.tanh, (np.cos, np.sin, np.cos, np.sin), [0.0])
    assert pickle.loads(pickle.dumps(own)) == own
    assert own != Activation("half", np.tanh, (np.cos, np.sin, np.cos, np.sin), [0.5])
    assert (own.kind, own.threshold) == ("half", 0.0)


def test_names():
    """One spelling; thresholded units by name; distinct thresholds differ although names round."""
    for phi in (*SLIDES, absolute, cosine, softplus):
        assert get_activation(phi.name) is phi
    for make in (relu_threshold, sign_threshold, sigmoid_threshold):
        assert get_activation(make(1.25).name) == make(1.25)
        assert make(1.25).threshold == 1.25
    assert relu_threshold(2.0) != relu_threshold(2.0 + 1e-12)
    assert relu_threshold(2.0).kind == "relu"
    assert sigmoid_threshold(2.0).kind == "sigmoid"
    assert (exponential(2.0, 1.5).kind, exponential(2.0, 1.5).threshold) == ("exponential", 1.5)
    for name in ("ReLU", "relu at", "relu at x", "tanh at 2", "relu at nan", "", None, relu.function):
        with pytest.raises(ValueError, match="activation must be an Activation or one of 'relu'"):
            get_activation(name)


def test_elementwise_beyond_the_doubles():
    """As numpy's functions: infinite where the value is, NaN where the argument is; words are refused."""
    assert quadratic(1e300) == np.inf
    assert np.isnan(relu(np.array([np.nan]))).all()
    assert erf.derivative(3, 1e300) == 0.0
    assert np.isnan(erf.derivative(1, np.array([np.nan]))).all()
    with pytest.raises(ValueError, match="z must be an array of real numbers"):
        relu("one")


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="order must be an integer from 0 to 4, got 5"):
        relu.derivative(5, 0.0)
    with pytest.raises(ValueError, match=r"scale must be a number above 0\.0"):
        relu.stein_coefficient(2, scale=0.0)
    with pytest.raises(ValueError, match=r"sigma must be a number above 0\.0"):
        relu.rho(-1.0)
    with pytest.raises(ValueError, match="q must be an integer from 0 up"):
        relu.beta(-1, 1.0)
    with pytest.raises(ValueError, match="shift must be a number"):
        relu.kappa(shift=math.inf)
    with pytest.raises(ValueError, match="m must be an integer from 0 to 4, got 5"):
        relu.singular_coefficient(5)
    with pytest.raises(ValueError, match="t must be a number"):
        relu_threshold(math.nan)
    with pytest.raises(ValueError, match=r"rate must be a number above 0\.0"):
        exponential(0.0)
    with pytest.raises(ValueError, match="derivatives must be four callables"):
        Activation("x", np.sin, (np.cos,))
    with pytest.raises(ValueError, match="function must be callable"):
        Activation("x", 2.0, (np.cos,) * 4)
    with pytest.raises(ValueError, match="breakpoints holds NaN or infinity"):
        Activation("x", np.sin, (np.cos,) * 4, [math.inf])
