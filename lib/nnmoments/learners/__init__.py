"""End-to-end algorithms, sample in and weights out, in scikit-learn's conventions: one for each paper.

SA: `SparseNetworkClassifier`. ZS: `TensorNetwork`. GP: `ThresholdNetwork`, `HalfspaceUnionClassifier`.
GM: `GeneralInputNetwork`. Without a teacher: `SufficientReduction` and `average_derivatives`.
`MomentLearner` says what they share.
"""

from nnmoments.learners.base import MomentLearner, RidgeLearner
from nnmoments.learners.general_input import FourthOrderRows, GeneralInputNetwork
from nnmoments.learners.halfspaces import HalfspaceUnionClassifier
from nnmoments.learners.reduction import (
    AverageDerivatives,
    DimensionTest,
    SufficientReduction,
    average_derivatives,
)
from nnmoments.learners.sparse_network import SparseNetworkClassifier
from nnmoments.learners.tensor_network import TensorNetwork
from nnmoments.learners.threshold_network import ThresholdNetwork

__all__ = [
    "AverageDerivatives",
    "DimensionTest",
    "FourthOrderRows",
    "GeneralInputNetwork",
    "HalfspaceUnionClassifier",
    "MomentLearner",
    "RidgeLearner",
    "SparseNetworkClassifier",
    "SufficientReduction",
    "TensorNetwork",
    "ThresholdNetwork",
    "average_derivatives",
]
