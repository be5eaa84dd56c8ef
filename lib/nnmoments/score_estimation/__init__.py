"""Score functions estimated from samples: local likelihood, its bandwidths, and its competitors."""

from nnmoments.score_estimation.bandwidth import (
    NearestNeighbor,
    Selection,
    rate_bandwidth,
    score_matching_loss,
    select,
)
from nnmoments.score_estimation.competitors import (
    KernelDensity,
    ScoreMatching,
    SpectralStein,
    fit_gaussian_mixture,
)
from nnmoments.score_estimation.independent import IndependentLocalLikelihood
from nnmoments.score_estimation.local_likelihood import STATUS, LocalFit, LocalLikelihood, degree_two

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
