"""Learn the weights of a neural network by the method of moments.

Every algorithm here decodes a cross-moment E[y S_m(x)] between a label and a score tensor of its
input; the modules follow that sentence: `densities` -> `scores` -> `moments` -> decoders (`sparse`,
`tensors`, `landscapes`, `borders`, `structured`) -> `learners`.

What one starts with can be imported from here, and is loaded when it is first asked for:

>>> from nnmoments import Gaussian, TensorNetwork, cross_moment, relu
"""

TYPE_CHECKING = False  # as typing has it, whose import would take longer than all of this

# A new name of the front door goes here, for type checkers, and into _HOMES, for Python; a test
# compares the two.
if TYPE_CHECKING:
    from nnmoments.activations import (
        Activation as Activation,
        absolute as absolute,
        cosine as cosine,
        erf as erf,
        exponential as exponential,
        get_activation as get_activation,
        leaky_relu as leaky_relu,
        linear as linear,
        quadratic as quadratic,
        relu as relu,
        relu_threshold as relu_threshold,
        sigmoid as sigmoid,
        sigmoid_threshold as sigmoid_threshold,
        sign_threshold as sign_threshold,
        softplus as softplus,
        squared_relu as squared_relu,
        tanh as tanh,
    )
    from nnmoments.borders import fit_border as fit_border
    from nnmoments.densities import (
        Gaussian as Gaussian,
        GaussianMixture as GaussianMixture,
        Laplace as Laplace,
        Logistic as Logistic,
        Normal as Normal,
        Product as Product,
        SmoothedUniform as SmoothedUniform,
        StandardNormal as StandardNormal,
        StudentT as StudentT,
        SymmetricBeta as SymmetricBeta,
        UserDensity as UserDensity,
        iid as iid,
    )
    from nnmoments.learners import (
        GeneralInputNetwork as GeneralInputNetwork,
        HalfspaceUnionClassifier as HalfspaceUnionClassifier,
        SparseNetworkClassifier as SparseNetworkClassifier,
        SufficientReduction as SufficientReduction,
        TensorNetwork as TensorNetwork,
        ThresholdNetwork as ThresholdNetwork,
        average_derivatives as average_derivatives,
    )
    from nnmoments.moments import (
        ControlVariate as ControlVariate,
        CrossMoment as CrossMoment,
        MomentEstimate as MomentEstimate,
        cross_moment as cross_moment,
    )
    from nnmoments.networks import (
        FeedForward as FeedForward,
        HiddenPolynomial as HiddenPolynomial,
        OneHiddenLayer as OneHiddenLayer,
        conditioned_weights as conditioned_weights,
        sparse_weights as sparse_weights,
    )
    from nnmoments.scores import (
        IndependentLocalLikelihood as IndependentLocalLikelihood,
        KernelDensity as KernelDensity,
        LocalLikelihood as LocalLikelihood,
        ScoreMatching as ScoreMatching,
        check_score as check_score,
        estimate_score as estimate_score,
        fit_gaussian_mixture as fit_gaussian_mixture,
    )
    from nnmoments.sparse import (
        recover_rows as recover_rows,
        row_basis as row_basis,
    )
    from nnmoments.tensors import (
        decompose_symmetric as decompose_symmetric,
        joint_diagonalize as joint_diagonalize,
        tensor_initialize as tensor_initialize,
    )

_HOMES = {
    "activations": (
        "Activation absolute cosine erf exponential get_activation leaky_relu linear quadratic relu"
        " relu_threshold sigmoid sigmoid_threshold sign_threshold softplus squared_relu tanh"
    ),
    "borders": "fit_border",
    "densities": (
        "Gaussian GaussianMixture Laplace Logistic Normal Product SmoothedUniform StandardNormal StudentT"
        " SymmetricBeta UserDensity iid"
    ),
    "learners": (
        "GeneralInputNetwork HalfspaceUnionClassifier SparseNetworkClassifier SufficientReduction"
        " TensorNetwork ThresholdNetwork average_derivatives"
    ),
    "moments": "ControlVariate CrossMoment MomentEstimate cross_moment",
    "networks": "FeedForward HiddenPolynomial OneHiddenLayer conditioned_weights sparse_weights",
    "scores": (
        "IndependentLocalLikelihood KernelDensity LocalLikelihood ScoreMatching check_score estimate_score"
        " fit_gaussian_mixture"
    ),
    "sparse": "recover_rows row_basis",
    "tensors": "decompose_symmetric joint_diagonalize tensor_initialize",
}
_HOME_OF = {name: f"nnmoments.{home}" for home, names in _HOMES.items() for name in names.split()}
_PACKAGES = (
    "activations",
    "borders",
    "densities",
    "hermite",
    "landscapes",
    "learners",
    "linalg",
    "moments",
    "networks",
    "optimize",
    "scores",
    "sparse",
    "structured",
    "tensors",
)

__version__ = "0.1.0"

__all__ = sorted([*_HOME_OF, "__version__"])

if not TYPE_CHECKING:  # or a type checker would take any name

    def __getattr__(name: str) -> object:
        """Load a name of the front door, or a package, when it is first asked for (PEP 562)."""
        from importlib import import_module

        if name in _HOME_OF:
            value = getattr(import_module(_HOME_OF[name]), name)
        elif name in _PACKAGES:
            value = import_module(f"nnmoments.{name}")
        else:
            from difflib import get_close_matches

            near = get_close_matches(name, __dir__(), n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else "; see dir(nnmoments)"
            raise AttributeError(f"module 'nnmoments' has no attribute {name!r}{hint}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_PACKAGES})
