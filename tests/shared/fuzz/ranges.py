"""The numbers that arguments accept, in the words of the messages that refuse others.

By argument: the range of most calls, and the calls with another. A range that depends on other arguments is
that of the tables' calls.
"""

RANGES: dict[str, dict[str, str]] = {
    "alpha": {"above 0.0 and below 1e+100": ""},
    "bandwidth": {"above 1e-35 and below 1e+35": ""},
    "block_size": {"1 up": ""},
    "bound": {"above 0.0": ""},
    "c": {"above 0.0 and below 2": ""},
    "centres": {"1 up": ""},
    "components": {"1 to 30": ""},
    "condition": {"number": ""},
    "confidence": {"above 0.0": ""},
    "correlation": {"above -1.0 and below 1.0": ""},
    "count": {
        "1 to 2": "",
        "1 up": "RandomFeatures random_rows",
        "1 to 1": "subspaces_from_moment",
        "1 to 4": "disjoint_supports",
    },
    "curvature_tol": {"above 0.0": ""},
    "d": {"1 up": ""},
    "damping": {"above -1e-300": ""},
    "degree": {
        "0 up": "",
        "1 to 4": "IndependentLocalLikelihood LocalLikelihood",
        "0 to 1": "ControlVariate",
        "1 to 1": "learn_cut",
        "1 to 3": "ThresholdNetwork",
        "1 up": "rate_bandwidth",
    },
    "density": {"number": ""},
    "directions": {"1 up": ""},
    "dof": {"above 0.0": ""},
    "doubles": {"1 up": ""},
    "energy": {"above 0.0 and below 1.0": ""},
    "epsilon": {"above 1e-12 and below 38.0": "", "above 0.0001": "sampled_tan_alpha"},
    "every": {"1 up": ""},
    "exponent": {"above 0.0": ""},
    "folds": {"2 up": "", "2 to 30": "choose_score"},
    "gamma": {
        "above 0.0 and below 1000000.0": "",
        "above 0.0": "SimultaneousLoss",
        "number": "hermite_scaling",
    },
    "gradient_tol": {"above 0.0": ""},
    "grid": {"8 up": ""},
    "half_width": {"above 0.0": ""},
    "j": {"0 up": ""},
    "k": {
        "1 up": "",
        "1 to 2": "decode_moments ellipsoid_rows factor_rows landscape_rows",
        "0 up": "Activation.hermite_coefficient",
        "1 to 16": "union_terms",
        "1 to 3": "conditioned_weights",
    },
    "l": {"4 up": ""},
    "lam": {"above 0.0": "", "number": "orthogonal_closed_form"},
    "least": {"number": ""},
    "level": {"above 0.0 and below 1.0": ""},
    "loc": {"number": ""},
    "m": {"0 up": "", "0 to 12": "set_partitions", "0 to 4": "Activation.singular_coefficient"},
    "max_damping": {"number": ""},
    "max_iter": {
        "1 up": "landscape_rows",
        "0 up": (
            "SufficientReduction ThresholdNetwork descend_in_batches gradient_descent "
            "landscape_rows tensor_descent"
        ),
    },
    "max_starts": {"1 up": ""},
    "max_unexplained": {"above 0.0": ""},
    "mean": {"number": ""},
    "mu": {"number": ""},
    "multiple": {"1 up": ""},
    "n": {
        "0 up": "",
        "1 up": (
            "Gaussian.sample GaussianMixture.sample Product.sample biased_sample fold_rows "
            "rate_bandwidth tilted_sample"
        ),
    },
    "n_attempts": {"1 up": ""},
    "n_batches": {"1 to 39": "", "1 to 60": "TensorNetwork"},
    "n_components": {"1 to 2": ""},
    "n_hidden": {"1 to 2": "", "1 up": "SparseNetworkClassifier"},
    "n_samples": {"2 up": ""},
    "n_slices": {"2 up": ""},
    "n_starts": {"1 up": ""},
    "noise": {"number": "", "above 0.0": "SmoothedUniform TensorNetwork"},
    "order": {
        "1 to 6": "",
        "1 to 4": (
            "CrossMoment SampledMoment StreamedMoment check_score choose_score control_residuals "
            "cross_moment score_matching_loss streamed_pair type.from_chunks"
        ),
        "0 up": (
            "HiddenPolynomial.hermite_moment HiddenPolynomial.moment OneHiddenLayer.moment "
            "outer_power paired_hermite_projections univariate_coefficients"
        ),
        "0 to 4": (
            "Activation.derivative Activation.expectation HiddenPolynomial.directional_derivative "
            "OneHiddenLayer.derivative OneHiddenLayer.mean_derivative"
        ),
        "0 to 2": "symmetrize",
        "1 to 2": "average_derivatives",
    },
    "patience": {"1 up": ""},
    "points": {"100 up": "", "2 up": "choose_score", "8 up": "fit_crossings"},
    "projections": {"2 up": ""},
    "q": {"0 up": ""},
    "radius": {"above 1e-06 and below 500.0": "", "above 0.0": "find_minima"},
    "rank": {"1 to 2": ""},
    "rate": {"above 0.0": ""},
    "retry": {"number": ""},
    "ridge": {"above 0.0": ""},
    "rounding": {"number": ""},
    "s": {"above -38.0 and below 38.0": ""},
    "scale": {
        "above 0.0": "",
        "number": (
            "Activation.expectation Activation.gamma Activation.moment_coefficient gaussian_expectation"
        ),
    },
    "share": {"above 0.0 and below 1000000000.0": ""},
    "shift": {"number": ""},
    "shrinkage": {"above -1e-300": ""},
    "sigma": {"above 0.0": ""},
    "size": {"0 up": "", "2 up": "support_cliques"},
    "step": {"above 0.0": ""},
    "t": {"number": ""},
    "target": {"number": ""},
    "threshold": {"number": "", "above 0.0": "HalfspaceUnionClassifier"},
    "tol": {
        "above 0.0": "",
        "above 0.0 and below 1.0": (
            "HalfspaceUnionClassifier ThresholdNetwork fit_crossings l1_method l1_programmes recover_rows"
        ),
        "number": "damped_newton levenberg_marquardt perturb_and_accept",
    },
    "u2": {"number": ""},
    "u4": {"number": ""},
    "value": {"above 0.0": "", "0 up": "check_integer"},
    "width": {
        "above 1e-35 and below 1e+35": "",
        "0 up": "row_chunks",
        "above 0.0 and below 38.0": "sampled_delta_correlation",
        "above 1e-06": "RandomFeatures",
    },
}
