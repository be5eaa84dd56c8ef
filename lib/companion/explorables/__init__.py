"""Pictures that the reader moves: one call in a chapter each."""

from companion.explorables.figure import Explorable
from companion.explorables.high_thresholds import refinement, threshold_sphere
from companion.explorables.l1_recovery import l1_ball
from companion.explorables.stein_moments import second_moment, stein_identity
from companion.explorables.tensor_initialisation import loss_plane, slices

__all__ = [
    "Explorable",
    "l1_ball",
    "loss_plane",
    "refinement",
    "second_moment",
    "slices",
    "stein_identity",
    "threshold_sphere",
]
