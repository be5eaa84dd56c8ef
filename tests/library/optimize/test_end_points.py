"""Which kind of point a descent ended at."""

import numpy as np
import pytest

from nnmoments.optimize import SmoothLoss, classify


class Form(SmoothLoss):
    """w H w / 2 with curvatures c."""

    def __init__(self, *c):
        self.H = np.diag(c)

    def value_and_gradient(self, w):
        return 0.5 * float(w @ self.H @ w), self.H @ w

    def hessian(self, w):
        return self.H


@pytest.mark.parametrize(
    ("curvatures", "w", "kind"),
    [
        ((1.0, 10.0), [0.0, 0.0], "minimum"),
        ((-1.0, 10.0), [0.0, 0.0], "saddle"),
        ((-10.0, 1.0), [0.0, 0.0], "saddle"),
        ((-9e-6, 10.0), [0.0, 0.0], "minimum"),  # within the tolerance of the largest curvature
        ((-1.1e-5, 10.0), [0.0, 0.0], "saddle"),
        ((1.0, 10.0), [0.0, 9e-5], "minimum"),
        ((1.0, 10.0), [0.0, 1.1e-4], "not stationary"),
    ],
)
def test_kinds(curvatures, w, kind):
    found = classify(Form(*curvatures), w)
    assert found.kind == kind
    assert found.curvature == min(curvatures)
    assert found.gradient_norm == pytest.approx(np.linalg.norm(np.array(curvatures) * w))


def test_tolerances():
    assert classify(Form(-1.0, 10.0), [0.0, 0.0], curvature_tol=0.2).kind == "minimum"
    assert classify(Form(1.0, 10.0), [0.0, 1.0], gradient_tol=2.0).kind == "minimum"
    with pytest.raises(ValueError, match="gradient_tol"):
        classify(Form(1.0), [0.0], gradient_tol=-1.0)
