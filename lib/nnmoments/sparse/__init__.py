"""Recovery of a sparse first layer from its moment M = B A (SA): l1 programmes with certificates."""

from nnmoments.sparse.basis import RowBasis, row_basis
from nnmoments.sparse.expansion import expansion_margin
from nnmoments.sparse.interior_points import certified_gap, interior_point
from nnmoments.sparse.programme import L1Solution, l1_programmes
from nnmoments.sparse.recovery import MissedRowCheck, SparseRecovery, recover_rows
from nnmoments.sparse.refinement import refine_rows

__all__ = [
    "L1Solution",
    "MissedRowCheck",
    "RowBasis",
    "SparseRecovery",
    "certified_gap",
    "expansion_margin",
    "interior_point",
    "l1_programmes",
    "recover_rows",
    "refine_rows",
    "row_basis",
]
