"""Explorable of chapter 2."""

import numpy as np

from companion.explorables.figure import Explorable, rounded
from nnmoments.sparse import l1_programmes
from nnmoments.validation import Array

__all__ = ["MIXING", "ZEROS", "l1_ball", "planted"]

#: Zeros in each of the two rows of eight entries, and how the labels mix the rows.
ZEROS = (0, 1, 2, 3, 4)
MIXING = np.array([[1.0, 1.0], [1.0, -1.0]])

_ROWS = np.array([[1.1, 0.6, -0.8, 1.0, 0.7, -1.2, 0.5, 0.9], [0.8, -1.0, 1.2, 0.5, -0.9, -0.7, 1.1, 0.6]])
_ORDER = ((1, 4, 6, 3), (0, 7, 2, 5))  # the entries that vanish, one after the other


def planted(zeros: int) -> Array:
    """Return the rows A (2, 8) with so many zeros each."""
    A = _ROWS.copy()
    for row, order in zip(A, _ORDER, strict=True):
        row[list(order[:zeros])] = 0.0
    return A


def _corners(A: Array) -> Array:
    """Return the corners of the ball, (corners, 2), in turn: at each an entry of s vanishes."""
    normals = np.stack([-A[1], A[0]], axis=1)
    points = np.concatenate([normals, -normals])
    points /= np.abs(points @ A).sum(axis=1, keepdims=True)
    points = np.unique(points.round(12) + 0.0, axis=0)
    return points[np.argsort(np.arctan2(points[:, 1], points[:, 0]))]


def l1_ball() -> Explorable:
    """Return the ball of the l1 norm in a planted span of two rows, and the programme of each column."""
    cases = []
    for zeros in ZEROS:
        A = planted(zeros)
        found = l1_programmes(MIXING @ A)
        points = found.coefficients @ MIXING
        cases.append(
            {
                "A": rounded(A),
                "corners": rounded(_corners(A)),
                "points": rounded(points),
                "norms": rounded(found.objective),
                "s": rounded(np.where(np.abs(points @ A) > 1e-9, points @ A, 0.0)),
                "row": (np.abs(points) < 1e-9).any(axis=1).astype(int).tolist(),
            }
        )
    return Explorable(
        "l1_ball",
        {"zeros": list(ZEROS), "cases": cases},
        title="A corner is a row, if the rows are sparse enough",
        caption=r"""Left: the vectors $s = \alpha a_1 + \beta a_2$ of a span in $\mathbb R^8$. The ball
            $\|s\|_1 \le v$ is blown up until it touches the line $s_j = 1$ of the chosen column.
            Where they touch is the answer of the programme (right); on an axis it is a row, and
            green. At every corner some entry vanishes; give the rows more zeros, and the corners on
            the axes grow sharper than all others.""",
        alt="A polygon that touches a line at a corner, and the eight entries of the vector at that corner.",
    )
