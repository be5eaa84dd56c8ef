"""Score functions estimated from samples: local likelihood, its bandwidths, and its competitors."""

from nnmoments.scores.bandwidth import (
    NearestNeighbor,
    Selection,
    rate_bandwidth,
    score_matching_loss,
    select,
)
from nnmoments.scores.competitors import (
    KernelDensity,
    ScoreMatching,
    SpectralStein,
    fit_gaussian_mixture,
)
from nnmoments.scores.independent import IndependentLocalLikelihood
from nnmoments.scores.local_likelihood import STATUS, LocalFit, LocalLikelihood, degree_two

__all__ = [
    "STATUS",
    "IndependentLocalLikelihood",
    "KernelDensity",
    "LocalFit",
    "LocalLikelihood",
    "NearestNeighbor",
    "ScoreMatching",
    "Selection",
    "SpectralStein",
    "degree_two",
    "fit_gaussian_mixture",
    "rate_bandwidth",
    "score_matching_loss",
    "select",
]
