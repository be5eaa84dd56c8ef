"""Valid calls of what decodes moments: sparse, tensors, borders, structured."""

import numpy as np

from fuzz.harness import Case, methods, positional
from nnmoments import activations, borders, landscapes, linalg, networks, sparse, structured, tensors
from nnmoments.moments import controlled_moments

ROWS = np.array([[3.0, 0.0, 4.0, 0.0, 0.0, 1.0], [0.0, 5.0, 0.0, 0.0, 12.0, 0.0]])
M = np.array([[1.0, 2.0], [2.0, -1.0], [0.5, 1.0]]) @ ROWS
ERROR = np.full(M.shape, 0.01)
BASIS = sparse.row_basis(M)
PROGRAMMES = sparse.l1_programmes(M, keep_dual=True)
assert PROGRAMMES.dual is not None

X = np.random.default_rng(0).standard_normal((40, 3))
Y = np.maximum(X[:, 0], 0.0) ** 2 + 0.1 * X[:, 1]
SAMPLE = {"X": X, "y": Y, "k": 2, "activation": "squared_relu"}
WEIGHTED = {"sample_weight": np.ones(40), "rng": 0}
CUBE = linalg.outer_power(np.eye(3) + 0.1, 3).sum(axis=0)
DIAGONALS = np.random.default_rng(1).standard_normal((4, 3, 1)) * np.eye(3)
LOSS = landscapes.SquareLoss(X, Y, "relu", [1.0, -1.0])
TEACHER = networks.OneHiddenLayer([[2.0, 0.0], [0.0, -3.0]], "relu", [1.0, -1.0])

PLANE = np.random.default_rng(2).standard_normal((6000, 2))
ACTIVE = PLANE[:, 0] > 1.2
BORDER = {"X": PLANE, "active": ACTIVE, "z": [1.0, 0.2], "sample_weight": np.ones(6000)}
OF_THE_SAMPLE = {"X": "active", "active": "X", "z": "X", "sample_weight": "X", "epsilon": "X"}

CUT = networks.CutNetwork([np.eye(2)], [4.0], {(0,): 1.0})
FOURTH = controlled_moments(PLANE, CUT(PLANE)).fourth.tensor
PAIRS = structured.CorrelationGraph(np.kron(np.eye(2), np.eye(2)[::-1]), np.full((4, 4), 0.01))
MEAN = structured.ExactShiftedMean({(0,): 1.0, (1,): 2.0}, [[0, 2], [1, 3]], 4)


def operator(block: np.ndarray) -> np.ndarray:
    return (np.diag([3.0, -2.0, 0.1]) @ block)[None]


def halfspace(X: np.ndarray) -> np.ndarray:
    return X[:, 0] > 1.2


def same(labels: np.ndarray) -> np.ndarray:
    return labels


def bounded(X: np.ndarray) -> np.ndarray:
    return np.tanh(X[:, 0])


ORACLE = {"f": halfspace, "z": [1.0, 0.2], "active": same, "points": 200, "rng": 0}
OF_THE_ORACLE = {"f": "z", "active": "z"}  # where no plane is active, z is near no weight
FOUND = borders.tan_alpha(**ORACLE)


def estimate(trial: np.ndarray, near: borders.AngleEstimate) -> borders.AngleEstimate:
    return FOUND


def descent(call, **others):
    """Return cases apart for what may let a descent diverge: its loss is then infinite, and it says so."""
    arguments = {**others, "step": 0.02, "max_iter": 3}
    far = {"step", "start"}
    return [
        Case(call, arguments, keep=tuple(far), also={"X": "y"}),
        Case(
            call, arguments, keep=tuple(arguments.keys() - far), elementwise=True, also={"start": "weights"}
        ),
    ]


CALLS = {
    "sparse": [
        Case(sparse.l1_method, {"M": M, "k": 2, "method": "batched", "tol": 1e-9, "rng": 0}),
        Case(
            sparse.certified_gap,
            {
                "Q": BASIS.Q,
                "R": BASIS.directions(M.T[:2]),
                "W": PROGRAMMES.in_basis[:2],
                "Z": PROGRAMMES.dual[:2],
            },
            also={"Q": "R W Z", "R": "W Z"},
        ),
        Case(sparse.expansion_margin, {"support": ROWS}),
        Case(
            sparse.l1_programmes,
            {
                "M": M,
                "directions": M.T[:2],
                "k": 2,
                "method": "batched",
                "tol": 1e-9,
                "keep_dual": True,
                "rng": 0,
            },
            also={"M": "directions"},
        ),
        *(
            Case(
                sparse.recover_rows,
                {
                    "M": M,
                    "k": 2,
                    "columns": columns,
                    "ordering": "auto",
                    "method": "batched",
                    "standard_error": ERROR,
                    "refine": True,
                    "tol": 1e-9,
                    "rng": 0,
                },
                also={"M": "standard_error"},
            )
            for columns in ("all", "fast", "pairs")
        ),
        Case(
            sparse.refine_rows,
            {"M": M, "standard_error": ERROR, "rows": ROWS, "max_iter": 3},
            also={"M": "standard_error"},
        ),
        Case(
            sparse.row_basis,
            {"M": M, "k": None, "standard_error": ERROR},
            also={"M": "standard_error", "standard_error": "M"},
        ),
        *methods(BASIS, directions={"R": M.T[:2]}, coefficients={"W": np.eye(2)}),
    ],
    "tensors": [
        Case(tensors.choose_moments, {"activation": "relu"}),
        Case(tensors.decompose_symmetric, {"tensor": CUBE, "max_iter": 5, "rng": 0}),
        Case(tensors.kcl, {"tensor": CUBE, "projections": 10, "rng": 0}),
        *descent(tensors.descend_in_batches, losses=[LOSS, LOSS], start=np.eye(2, 3)),
        Case(
            tensors.fit_magnitudes,
            {
                "directions": np.eye(2, 3),
                "X": X,
                "y": Y,
                "activation": "relu",
                "fit_intercept": True,
                "sample_weight": np.ones(40),
            },
            also={"directions": "X", "X": "y"},
        ),
        Case(
            tensors.joint_diagonalize,
            {
                "matrices": DIAGONALS,
                "criterion": "auto",
                "sample_weight": np.ones(len(DIAGONALS)),
                "start": np.eye(DIAGONALS.shape[-1]),
                "n_starts": 2,
                "tol": 1e-8,
                "rng": 0,
            },
            also={"matrices": "sample_weight start criterion"},
        ),
        Case(
            tensors.leading_subspace,
            {"operator": operator, "d": 3, "k": 2, "max_iter": 5, "tol": 1e-5, "rng": 0},
            also={"d": "operator k", "k": "operator"},
        ),
        Case(
            tensors.magnitudes_from_moments,
            {"directions": np.eye(2), "moment": TEACHER.moment, "activation": "relu", "mean": 0.5},
            also={"directions": "moment odd"},
        ),
        *(
            Case(
                tensors.recover_magnitudes,
                {
                    "directions": np.eye(3),
                    "odd": [1.0, 2.0, 3.0],
                    "even": [1.0, -1.0, 2.0],
                    "activation": activation,
                    "mean": 0.5,
                },
                also={"directions": "odd even", "even": "odd", "activation": "odd even"},
            )
            for activation in ("relu", "tanh", "sigmoid")
        ),
        Case(tensors.tensor_method, {**SAMPLE, **WEIGHTED, "partition": False}, also={"X": "y"}),
        Case(
            tensors.tensor_initialize,
            {**SAMPLE, **WEIGHTED, "fit_intercept": True, "max_iter": 2, "partition": False},
            also={"X": "y"},
        ),
        *descent(tensors.tensor_descent, **SAMPLE, n_batches=2, rng=0),
    ],
    "borders": [
        *(
            Case(
                borders.delta_correlation,
                {
                    "f": halfspace,
                    "z": [0.6, 0.8],
                    "s": 1.0,
                    "order": order,
                    "epsilon": 0.01,
                    "n_samples": 50,
                    "rng": 0,
                },
            )
            for order in (1, 2)
        ),
        Case(
            borders.sampled_delta_correlation,
            {
                "X": PLANE,
                "y": ACTIVE,
                "z": [0.6, 0.8],
                "s": 1.0,
                "order": 1,
                "epsilon": 0.1,
                "width": 0.1,
            },
            also={"z": "X", "X": "y", "s": "X", "width": "X", "epsilon": "width"},
        ),
        Case(borders.fit_border, {**BORDER, "max_iter": 3}, also=OF_THE_SAMPLE),
        Case(borders.fit_crossings, {**ORACLE, "tol": 1e-3, "max_iter": 3}, also=OF_THE_ORACLE),
        Case(borders.refine_estimate, {**ORACLE, "tol": 1e-2, "c": 0.5, "max_iter": 3}, also=OF_THE_ORACLE),
        Case(
            borders.sampled_refine_estimate,
            {**BORDER, "c": 0.5, "max_iter": 3, "rng": 0},
            also=OF_THE_SAMPLE,
        ),
        Case(borders.sampled_tan_alpha, {**BORDER, "epsilon": 0.05}, also=OF_THE_SAMPLE),
        Case(borders.tan_alpha, ORACLE, also=OF_THE_ORACLE),
        Case(
            borders.perturb_and_accept,
            {
                "estimate_tan_alpha": estimate,
                "z": [0.6, 0.8],
                "start": FOUND,
                "tol": 1e-2,
                "c": 0.5,
                "max_iter": 3,
                "patience": 2,
                "rng": 0,
            },
        ),
    ],
    "structured": [
        Case(
            structured.CorrelationGraph,
            {"value": PAIRS.value, "standard_error": PAIRS.standard_error},
            also={"value": "standard_error"},
        ),
        Case(
            structured.EvenForm,
            {"quartic": [1.0, 2.0], "mixed": [[0.0, 0.5], [0.5, 0.0]], "outside": True, "sign": 1.0},
            also={"quartic": "mixed"},
        ),
        Case(
            positional(structured.EvenForm([1.0, 2.0], [[0.0, 0.5], [0.5, 0.0]]), "coordinates"),
            {"coordinates": [[0.6, 0.8]]},
        ),
        Case(
            structured.ExactShiftedMean,
            {"terms": {(0,): 1.0, (1,): 2.0}, "supports": [[0, 2], [1, 3]], "d": 4},
            also={"d": "supports", "supports": "terms"},
        ),
        Case(structured.OracleShiftedMean, {"f": bounded, "X": X}),
        Case(positional(MEAN, "z"), {"z": [0.5, 0.1, 0.2, 0.3]}),
        Case(positional(structured.OracleShiftedMean(bounded, X), "z"), {"z": [0.5, 0.1, 0.2]}),
        Case(
            structured.ascend_on_simplex,
            {"mean": MEAN, "start": [0.5, 0.2, 0.3, 0.1], "radius": 1.0, "gamma": 0.01, "max_iter": 5},
            also={"start": "z"},
        ),
        Case(structured.correlation_graph, {"X": X, "y": Y}, also={"X": "y"}),
        Case(
            structured.disjoint_supports,
            {"mean": MEAN, "d": 4, "count": 2, "radius": 2.0, "gamma": 0.05, "rng": 0},
            also={"d": "count z"},
        ),
        Case(
            structured.even_form,
            {
                "network": networks.HiddenPolynomial(np.eye(2), activations.cosine, {(0,): 1.0, (0, 1): 0.5}),
                "printed": False,
            },
        ),
        Case(
            structured.learn_cut,
            {
                "X": PLANE[:300],
                "y": CUT(PLANE[:300]),
                "fourth": FOURTH,
                "count": 1,
                "rank": 2,
                "degree": 1,
                "rng": 0,
            },
            also={"X": "y fourth"},
        ),
        Case(
            structured.subspaces_from_moment,
            {"fourth": FOURTH, "count": 1, "rank": 2, "sign": 1.0, "rng": 0},
            also={"fourth": "rank"},
        ),
        # A graph without a gap has the threshold nan, as documented.
        Case(structured.support_cliques, {"weights": PAIRS, "size": 2, "confidence": 3.0}, elementwise=True),
    ],
}

# Results: made by functions, not by users.
ABSTRACT = {
    "sparse": {"L1Solution", "MissedRowCheck", "RowBasis", "SparseRecovery"},
    "tensors": {
        "JointDiagonalization",
        "MomentChoice",
        "Reconstruction",
        "Subspace",
        "SymmetricDecomposition",
        "TensorDescent",
        "TensorInitialization",
    },
    "borders": {"AngleEstimate", "DeltaCorrelation", "Refinement"},
    "structured": {"DisjointSupports", "SubspaceCut", "SupportCliques"},
}
