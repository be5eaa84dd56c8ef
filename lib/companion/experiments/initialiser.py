"""Chapter 2: what the moment is worth as a start of back propagation (SA, Abstract and Section 1.1)."""

import math
import warnings
from typing import Any

import numpy as np
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning

from companion.sweep import Sweep
from nnmoments.activations import relu
from nnmoments.densities import StandardNormal
from nnmoments.learners import SparseNetworkClassifier
from nnmoments.learners.sparse_network import train_network
from nnmoments.networks import FeedForward, sparse_weights
from nnmoments.validation import Array

__all__ = ["initialiser"]

_K, _D, _CLASSES, _STARTS = 5, 60, 10, 3


def _initialiser(*, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Test accuracy after 100 steps of L-BFGS on all entries from several starts, and on the support found.

    `moment` starts from SA's network, `moved` from the same with its inputs permuted, `random` is the best
    of three random starts by its loss, `one` the first of them.
    """
    A = sparse_weights(_K, _D, density=0.12, rng=rng)
    top = 6.0 * np.linalg.qr(rng.standard_normal((_CLASSES, _K)))[0]
    teacher = FeedForward([A, top], relu, link="softmax")
    X, fresh = rng.standard_normal((n, _D)), rng.standard_normal((5_000, _D))
    Y, truth = teacher.sample_labels(X, rng=rng), teacher.sample_labels(fresh, rng=rng).argmax(axis=1)
    model = SparseNetworkClassifier(
        _K, score_model=StandardNormal(_D), fine_tune=False, random_state=int(rng.integers(2**31))
    )
    with warnings.catch_warnings():  # few samples do not show all units, which is what is judged
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, Y.argmax(axis=1))
    learnt = model.network_
    k = len(learnt.weights[0])

    def train(weights: list[Array], biases: list[Array], mask: Array | None = None) -> tuple[float, float]:
        end = train_network(X, Y, weights, biases, activation="relu", mask=mask, max_iter=100)
        loss = -float(np.mean(np.sum(Y * log_softmax(end.logits(X), axis=1), axis=1)))
        return loss, float(np.mean(end.logits(fresh).argmax(axis=1) == truth))

    first, second = (np.asarray(W) for W in learnt.weights)
    biases = [np.asarray(b) for b in learnt.biases]
    starts = []
    for _ in range(_STARTS):
        W = [
            rng.standard_normal((_K, _D)) / math.sqrt(_D),
            rng.standard_normal((_CLASSES, _K)) / math.sqrt(_K),
        ]
        starts.append(train(W, [np.zeros(_K), np.zeros(_CLASSES)]))
    return {
        "teacher": float(np.mean(teacher(fresh).argmax(axis=1) == truth)),
        "units": k,
        "moment": train([first, second], biases)[1],
        "support": train([first, second], biases, model.diagnostics_["recovery"].support)[1],
        "moved": train([first[:, rng.permutation(_D)], second], biases)[1],
        "one": starts[0][1],
        "random": min(starts)[1],
    }


initialiser = Sweep(
    "02-initialiser",
    _initialiser,
    quick=[{"n": n, "trial": 0} for n in (1_000, 4_000)],
    paper=[
        *({"n": n, "trial": trial} for n in (1_000, 2_000) for trial in range(50)),
        *({"n": n, "trial": trial} for n in (4_000,) for trial in range(10)),
    ],
    rtol=1e-2,
    chaotic=0.15,  # accuracies where a descent ends
)
