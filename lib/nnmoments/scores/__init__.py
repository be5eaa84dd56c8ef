"""Score functions estimated from a sample: local likelihood, its alternatives, and the choice among them."""

from nnmoments.scores.automatic import AffineScore, ScoreEstimate, estimate_score
from nnmoments.scores.bandwidth import NearestNeighbor, rate_bandwidth
from nnmoments.scores.check import SteinCheck, check_score, standardization
from nnmoments.scores.choice import ScoreChoice, choose_score, score_matching_loss
from nnmoments.scores.independent import IndependentLocalLikelihood
from nnmoments.scores.kernel_density import KernelDensity
from nnmoments.scores.llsfe import LLSFE, degree_two
from nnmoments.scores.local_likelihood import STATUS, LocalFit, LocalLikelihood
from nnmoments.scores.mixtures import fit_gaussian_mixture
from nnmoments.scores.score_matching import ScoreMatching
from nnmoments.scores.spectral_stein import SpectralStein

__all__ = [
    "LLSFE",
    "STATUS",
    "AffineScore",
    "IndependentLocalLikelihood",
    "KernelDensity",
    "LocalFit",
    "LocalLikelihood",
    "NearestNeighbor",
    "ScoreChoice",
    "ScoreEstimate",
    "ScoreMatching",
    "SpectralStein",
    "SteinCheck",
    "check_score",
    "choose_score",
    "degree_two",
    "estimate_score",
    "fit_gaussian_mixture",
    "rate_bandwidth",
    "score_matching_loss",
    "standardization",
]
