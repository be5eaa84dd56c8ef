"""Pictures that the reader moves: one call in a chapter each."""

from companion.explorables.figure import Explorable
from companion.explorables.high_thresholds import refinement, threshold_sphere
from companion.explorables.l1_recovery import l1_ball
from companion.explorables.landscape_design import two_rows
from companion.explorables.reduction import turned_direction
from companion.explorables.score_estimation import local_window, score_field
from companion.explorables.stein_moments import second_moment, stein_identity
from companion.explorables.structure import even_landscape, needle
from companion.explorables.tensor_initialisation import loss_plane, slices

__all__ = [
    "Explorable",
    "even_landscape",
    "l1_ball",
    "local_window",
    "loss_plane",
    "needle",
    "refinement",
    "score_field",
    "second_moment",
    "slices",
    "stein_identity",
    "threshold_sphere",
    "turned_direction",
    "two_rows",
]
