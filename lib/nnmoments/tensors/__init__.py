r"""Decoding by tensors: subspaces, joint diagonalisation, symmetric decomposition, magnitudes. ZS."""

from nnmoments.tensors.decomposition import SymmetricDecomposition, decompose_symmetric, kcl
from nnmoments.tensors.initialization import TensorInitialization, tensor_initialize
from nnmoments.tensors.joint_diagonalization import JointDiagonalization, joint_diagonalize
from nnmoments.tensors.reconstruction import Reconstruction, fit_magnitudes, recover_magnitudes
from nnmoments.tensors.selection import MomentChoice, choose_moments
from nnmoments.tensors.subspace import Subspace, leading_subspace

__all__ = [
    "JointDiagonalization",
    "MomentChoice",
    "Reconstruction",
    "Subspace",
    "SymmetricDecomposition",
    "TensorInitialization",
    "choose_moments",
    "decompose_symmetric",
    "fit_magnitudes",
    "joint_diagonalize",
    "kcl",
    "leading_subspace",
    "recover_magnitudes",
    "tensor_initialize",
]
