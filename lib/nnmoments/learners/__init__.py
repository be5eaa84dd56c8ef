"""End-to-end algorithms, sample in and weights out, in scikit-learn's conventions: one for each paper.

SA: `SparseNetworkClassifier`. ZS: `TensorNetwork`. GP: `ThresholdNetwork`, `HalfspaceUnionClassifier`.
GM: `GeneralInputNetwork`. `MomentLearner` says what they share.
"""

from nnmoments.learners.base import MomentLearner, RidgeLearner
from nnmoments.learners.general_input import FourthOrderRows, GeneralInputNetwork
from nnmoments.learners.halfspaces import HalfspaceUnionClassifier
from nnmoments.learners.sparse_network import SparseNetworkClassifier
from nnmoments.learners.tensor_network import TensorNetwork
from nnmoments.learners.threshold_network import ThresholdNetwork

__all__ = [
    "FourthOrderRows",
    "GeneralInputNetwork",
    "HalfspaceUnionClassifier",
    "MomentLearner",
    "RidgeLearner",
    "SparseNetworkClassifier",
    "TensorNetwork",
    "ThresholdNetwork",
]
