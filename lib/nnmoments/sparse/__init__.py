"""Recovery of a sparse first layer from its moment M = B A (SA): l1 programmes with certificates.

`l1_method` is the paper's Algorithm 1 as printed; `recover_rows` is the entry that also knows the
faster and the noise-proof versions.
"""

from nnmoments.sparse.algorithm1 import l1_method
from nnmoments.sparse.evidence import expansion_margin
from nnmoments.sparse.noisy import refine_rows
from nnmoments.sparse.programme import L1Solution, RowBasis, l1_programmes, row_basis
from nnmoments.sparse.recovery import recover_rows
from nnmoments.sparse.rows import MissedRowCheck, SparseRecovery
from nnmoments.sparse.solvers import certified_gap

__all__ = [
    "L1Solution",
    "MissedRowCheck",
    "RowBasis",
    "SparseRecovery",
    "certified_gap",
    "expansion_margin",
    "l1_method",
    "l1_programmes",
    "recover_rows",
    "refine_rows",
    "row_basis",
]
