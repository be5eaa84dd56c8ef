r"""Decoding by tensors: subspaces, joint diagonalisation, symmetric decomposition, magnitudes. ZS.

`tensor_method` is Algorithm 1 as printed and `tensor_initialize` the better one, `tensor_descent` is
Algorithm 2.
"""

from nnmoments.tensors.controlled import tensor_initialize
from nnmoments.tensors.decomposition import SymmetricDecomposition, decompose_symmetric, kcl
from nnmoments.tensors.initialization import TensorInitialization
from nnmoments.tensors.joint_diagonalization import JointDiagonalization, joint_diagonalize
from nnmoments.tensors.magnitudes import (
    Reconstruction,
    fit_magnitudes,
    magnitudes_from_moments,
    recover_magnitudes,
)
from nnmoments.tensors.orders import MomentChoice, choose_moments
from nnmoments.tensors.subspace import Subspace, leading_subspace
from nnmoments.tensors.zs_algorithm1 import tensor_method
from nnmoments.tensors.zs_algorithm2 import TensorDescent, descend_in_batches, tensor_descent

__all__ = [
    "JointDiagonalization",
    "MomentChoice",
    "Reconstruction",
    "Subspace",
    "SymmetricDecomposition",
    "TensorDescent",
    "TensorInitialization",
    "choose_moments",
    "decompose_symmetric",
    "descend_in_batches",
    "fit_magnitudes",
    "joint_diagonalize",
    "kcl",
    "leading_subspace",
    "magnitudes_from_moments",
    "recover_magnitudes",
    "tensor_descent",
    "tensor_initialize",
    "tensor_method",
]
