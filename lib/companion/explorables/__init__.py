"""Pictures that the reader moves: one call in a chapter each."""

from companion.explorables.figure import Explorable
from companion.explorables.high_thresholds import refinement, threshold_sphere
from companion.explorables.l1_recovery import l1_ball
from companion.explorables.stein_moments import second_moment, stein_identity

__all__ = ["Explorable", "l1_ball", "refinement", "second_moment", "stein_identity", "threshold_sphere"]
