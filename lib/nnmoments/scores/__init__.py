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
from nnmoments.scores.llsfe import LLSFE, degree_two
from nnmoments.scores.local_likelihood import STATUS, LocalFit, LocalLikelihood

__all__ = [
    "LLSFE",
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
