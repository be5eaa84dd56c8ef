"""Run every learner where the papers' assumptions bend, and count wrong networks that nobody is warned of.

    python benchmarks/silent_failures.py [word ...]    # only cases whose learner or name holds a word
    python benchmarks/silent_failures.py --random 100 [word ...]    # settings drawn from seeds 0 to 99
    python benchmarks/silent_failures.py --random 100 --first 500    # from seeds 500 to 599

A network is right if its rows are the teacher's up to order, sign and length, within five degrees; or
within four times the error that the learner states and trusts (and the weights that it says it does not
see); or if it explains the labels that the teacher would give without noise but for one per cent of their
variance. Whatever else a learner returns must come with ``converged_ = False`` or an error. The exit status
is the number of networks wrong in silence.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from nnmoments.activations import get_activation, relu_threshold
from nnmoments.densities import Logistic, iid
from nnmoments.learners import (
    GeneralInputNetwork,
    HalfspaceUnionClassifier,
    SparseNetworkClassifier,
    TensorNetwork,
    ThresholdNetwork,
)

_SAME_ROW, _SAME_LABELS = np.deg2rad(5.0), 0.01


@dataclass(frozen=True)
class Teacher:
    """What labels inputs: rows W, a function of the units, and who is to learn it."""

    W: np.ndarray
    label: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    learner: Callable[..., object]
    n: int
    classes: bool
    law: Callable[[int, int, np.random.Generator], np.ndarray]


def _unit(W: np.ndarray) -> np.ndarray:
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def _normal(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, d))


def _logistic(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    return rng.logistic(size=(n, d)) * np.sqrt(3.0) / np.pi


def teachers(rng: np.random.Generator) -> dict[str, Teacher]:
    """Return one teacher a learner, with oblique rows and unequal coefficients."""
    u, score = relu_threshold(2.0), iid(Logistic(scale=np.sqrt(3.0) / np.pi), 3)

    def network(W, v, phi):
        return lambda X, _: get_activation(phi)(X @ W.T) @ v

    def classes(W, B):
        def label(X, rng):
            logits = np.maximum(X @ W.T, 0.0) @ B.T
            return (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)

        return label

    tensor, general = rng.standard_normal((3, 6)), _unit(rng.standard_normal((2, 3)))
    high = _unit(np.eye(3, 4) + 0.3 * rng.standard_normal((3, 4)))
    sparse = rng.standard_normal((2, 20)) * (rng.random((2, 20)) < 0.2)
    sparse[:, :2] = np.eye(2) + 0.1
    return {
        "tensor": Teacher(
            tensor, network(tensor, np.array([1.0, -1.0, 1.0]), "squared_relu"),
            lambda k=3, **o: TensorNetwork(k, o.pop("activation", "squared_relu"), random_state=0, **o),
            4000, False, _normal,
        ),
        "general": Teacher(
            general, network(general, np.array([1.0, -0.6]), "relu"),
            lambda k=2, **o: GeneralInputNetwork(
                k, o.pop("activation", "relu"), score_model=score, n_starts=3, random_state=0, **o
            ),
            8000, False, _logistic,
        ),
        "threshold": Teacher(
            high, lambda X, _: u(X @ high.T) @ np.array([1.0, 0.7, 1.3]),
            lambda k=3, **o: ThresholdNetwork(k, o.pop("activation", u), random_state=0, **o),
            40_000, False, _normal,
        ),
        "union": Teacher(
            high[:2], lambda X, _: (X @ high[:2].T > 2.0).any(axis=1).astype(int),
            lambda k=2, **o: HalfspaceUnionClassifier(k, random_state=0), 20_000, True, _normal,
        ),
        "sparse": Teacher(
            sparse, classes(_unit(sparse), 4.0 * rng.standard_normal((4, 2))),
            lambda k=2, **o: SparseNetworkClassifier(k, random_state=0, **o), 10_000, True, _normal,
        ),
    }  # fmt: skip


def drawn_teacher(word: str, rng: np.random.Generator) -> Teacher:
    """Return a teacher with k, d, n, rows and coefficients drawn."""
    k, v = int(rng.integers(2, 5)), rng.uniform(0.3, 1.5, 4)
    d = k + int(rng.integers(1, 6))
    signed = v[:k] * rng.choice([-1.0, 1.0], k)
    n = int(10 ** rng.uniform(3.3, 4.3))
    plain = teachers(rng)[word]
    if word == "sparse":
        d, n_y = 5 * d, k + int(rng.integers(1, 5))
        W = np.zeros((k, d))
        while not W.any(axis=1).all():
            W = rng.standard_normal((k, d)) * (rng.random((k, d)) < 0.2)
        B = 4.0 * rng.standard_normal((n_y, k))

        def label(X, rng):
            logits = np.maximum(X @ _unit(W).T, 0.0) @ B.T
            return (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)

    elif word == "union":
        n, k = 4 * n, min(k, 3)
        W = _unit(np.eye(k, d) + 0.3 * rng.standard_normal((k, d)))

        def label(X, rng):
            return (X @ W.T > 2.0).any(axis=1).astype(int)

    else:
        W = _unit(np.eye(k, d) + 0.4 * rng.standard_normal((k, d)))
        phi, coefficients = (
            get_activation({"tensor": "squared_relu", "general": "relu"}.get(word, "relu")),
            signed,
        )
        if word == "threshold":
            phi, coefficients, n = relu_threshold(2.0), v[:k], 4 * n

        def label(X, rng):
            return phi(X @ W.T) @ coefficients

    learner = plain.learner
    if word == "general":
        score = iid(Logistic(scale=np.sqrt(3.0) / np.pi), d)

        def learner(k, **o):
            return GeneralInputNetwork(k, "relu", score_model=score, n_starts=3, random_state=0)

    return Teacher(W, label, learner, n, plain.classes, plain.law)


# --- what bends ------------------------------------------------------------------------------------------

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]  # inputs, labels, and labels without noise


def _noisy(X, y, t, rng):
    if t.classes:
        wrong = rng.random(len(y)) < 0.05
        return X, np.where(wrong, rng.permutation(y), y)
    return X, y + 0.3 * y.std() * rng.standard_normal(len(y))


def _heteroskedastic(X, y, t, rng):
    return X, y + 0.5 * y.std() * np.abs(X[:, 0]) * rng.standard_normal(len(y))


def _outlier(X, y, t, rng):
    X, y = X.copy(), y.copy()
    X[0], y[0] = 1e4, y.max()
    return X, y


AFTER = {  # of a labelled sample
    "as in the paper": lambda X, y, t, rng: (X, y),
    "noise": _noisy,
    "noise that depends on x": _heteroskedastic,
    "an outlier": _outlier,
    "tiny inputs": lambda X, y, t, rng: (1e-6 * X, y),
    "large inputs": lambda X, y, t, rng: (1e6 * X, y),
    "tiny labels": lambda X, y, t, rng: (X, 1e-6 * y),
    "labels with a mean": lambda X, y, t, rng: (X, y + 5.0 * y.std()),
    "a column twice": lambda X, y, t, rng: (np.column_stack([X, X[:, 0]]), y),
    "tied columns": lambda X, y, t, rng: (np.column_stack([X, X[:, 0] - 2.0 * X[:, 1]]), y),
    "a constant column": lambda X, y, t, rng: (np.column_stack([X, np.ones(len(X))]), y),
    "sorted by label": lambda X, y, t, rng: (X[np.argsort(y, kind="stable")], np.sort(y)),
    "few samples": lambda X, y, t, rng: (X[: 3 * X.shape[1]], y[: 3 * X.shape[1]]),
    "rows twice": lambda X, y, t, rng: (np.repeat(X[::2], 2, axis=0), np.repeat(y[::2], 2)),
    "permuted labels": lambda X, y, t, rng: (X, rng.permutation(y)),
}

_NOISES = (_noisy, _heteroskedastic)


def _sample(t: Teacher, law: Callable, after: Callable, rng: np.random.Generator) -> Sample:
    X = law(t.n, t.W.shape[1], rng)
    clean = t.label(X, rng)
    X, y = after(X, clean, t, rng)
    return X, y, clean if after in _NOISES else y


def _series(n, d, rng):
    X = rng.standard_normal((n, d))
    for i in range(1, n):
        X[i] = 0.95 * X[i - 1] + np.sqrt(1 - 0.95**2) * X[i]
    return X


def _binary(n, d, rng):
    X = rng.standard_normal((n, d))
    X[:, 0] = np.sign(X[:, 0])
    return X


LAWS = {  # of the inputs
    "shifted inputs": lambda n, d, rng: 2.0 + rng.standard_normal((n, d)),
    "correlated inputs": lambda n, d, rng: (
        rng.standard_normal((n, d)) @ np.linalg.cholesky(0.5 ** abs(np.subtract.outer(range(d), range(d)))).T
    ),
    "skewed inputs": lambda n, d, rng: rng.exponential(size=(n, d)) - 1.0,
    "a mixture": lambda n, d, rng: rng.standard_normal((n, d)) * 0.6 + 1.5 * rng.choice([-1.0, 1.0], (n, 1)),
    "heavy tails": lambda n, d, rng: rng.standard_t(3, size=(n, d)) / np.sqrt(3.0),
    "uniform inputs": lambda n, d, rng: rng.uniform(-1.7, 1.7, size=(n, d)),
    "a binary column": _binary,
    "a time series": _series,
}  # fmt: skip

OPTIONS = {  # of the learner
    "too few units": lambda k: {"k": k - 1},
    "too many units": lambda k: {"k": k + 1},
    "another activation": lambda k: {"k": k, "activation": "tanh"},
}


def _other_labels(name: str, X: np.ndarray, t: Teacher) -> np.ndarray:
    y = X[:, 0] * X[:, 1] * X[:, 2] if name == "a product" else np.sin(3.0 * X[:, 0]) + X[:, 1] ** 2
    return (y > np.quantile(y, 0.8)).astype(int) if t.classes else y


def cases() -> Iterator[tuple[str, str, Callable[[], tuple[object, Sample, Teacher | None]]]]:
    """Yield learner, name and how the case is made: (model, sample, the teacher if one made the labels)."""
    for word, t in teachers(np.random.default_rng(1)).items():

        def sample(law, after, t=t):
            return _sample(t, law, after, np.random.default_rng(2))

        for name, after in AFTER.items():
            if t.classes and name in ("noise that depends on x", "tiny labels", "labels with a mean"):
                continue
            made = name != "permuted labels"
            yield (
                word,
                name,
                lambda t=t, a=after, m=made, s=sample: (t.learner(), s(t.law, a), t if m else None),
            )
        for name, law in LAWS.items():
            plain = AFTER["as in the paper"]
            yield word, name, lambda t=t, law=law, s=sample, a=plain: (t.learner(), s(law, a), t)
        for name, options in OPTIONS.items():
            if word == "union" and name == "another activation":
                continue
            plain = AFTER["as in the paper"]
            yield word, name, lambda t=t, o=options, s=sample, a=plain: (
                t.learner(**o(len(t.W))), s(t.law, a), t)  # fmt: skip
        for name in ("a product", "waves"):

            def other(t=t, name=name):
                X = t.law(t.n, t.W.shape[1], np.random.default_rng(3))
                y = _other_labels(name, X, t)
                return t.learner(), (X, y, y), None

            yield word, name, other


def random_cases(
    count: int, first: int = 0
) -> Iterator[tuple[str, str, Callable[[], tuple[object, Sample, Teacher]]]]:
    """Yield settings drawn from seeds first, first + 1, ...: learner, sizes, rows, law, noise."""
    for seed in range(first, first + count):
        rng = np.random.default_rng([7, seed])
        word = list(teachers(np.random.default_rng(1)))[seed % 5]
        t = drawn_teacher(word, rng)
        law = rng.choice(list(LAWS)) if rng.random() < 0.5 else ""
        after = rng.choice(
            ["as in the paper", "noise", "noise that depends on x", "labels with a mean"][
                : 2 if t.classes else 4
            ]
        )
        name = f"{seed}: k={len(t.W)} d={t.W.shape[1]} n={t.n}, {law or 'its law'}, {after}"
        k = len(t.W)
        yield word, name, lambda t=t, law=law, after=after, rng=rng, k=k: (
            t.learner(k), _sample(t, LAWS.get(law, t.law), AFTER[after], rng), t)  # fmt: skip


# --- the judgement ---------------------------------------------------------------------------------------


def right(model: object, sample: Sample, t: Teacher) -> bool:
    """Say whether rows are the teacher's, as nearly as is said, or the labels are explained."""
    found, W = np.asarray(model.weights_), t.W
    d = W.shape[1]
    extra = found[:, d:]
    if found.size and (not extra.size or np.abs(extra).max() < 0.1 * np.abs(found).max()):
        rows = found[:, :d]
        if len(rows) == len(W) and np.linalg.norm(rows, axis=1).min() > 0.0:
            rows, W = _unit(rows), _unit(W)
            cosines = np.abs(rows @ W[linear_sum_assignment(-np.abs(rows @ W.T))[1]].T).diagonal()
            stated = getattr(model, "diagnostics_", {}).get("recovery") if model.converged_ else None
            known = 0.0 if stated is None else 4.0 * stated.row_error + stated.unseen
            far = np.sqrt(2.0 - 2.0 * np.minimum(cosines, 1.0))
            if np.all(far < np.maximum(known, 2.0 * np.sin(_SAME_ROW / 2.0))):
                return True
    if t.classes or sample[0].shape[1] != d:
        return False
    X, _, clean = sample
    left = np.asarray(model.predict(X)) - clean
    return bool(np.var(left) < _SAME_LABELS * np.var(clean))


def judged(make: Callable[[], tuple[object, Sample, Teacher | None]]) -> tuple[str, float, str]:
    """Return the outcome, the seconds and the status of a case."""
    model, sample, t = make()
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            model.fit(*sample[:2])
        except ValueError as error:
            return "refused", time.perf_counter() - begin, str(error)
    seconds = time.perf_counter() - begin
    good = t is not None and right(model, sample, t)
    warned = bool(said) and not model.converged_
    outcome = {
        (True, False): "right",
        (True, True): "right, warned",
        (False, True): "wrong, and says so",
        (False, False): "WRONG IN SILENCE",
    }
    return outcome[good, warned], seconds, str(model.status_)


def main() -> int:
    """Run the cases, print the table; return how many were wrong in silence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--random", type=int, default=0, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    given = parser.parse_args()
    rows, words = [], given.words
    every = random_cases(given.random, given.first) if given.random else cases()
    chosen = [c for c in every if not words or any(w in c[0] or w in c[1] for w in words)]
    for learner, name, make in tqdm(chosen, disable=None):
        outcome, seconds, status = judged(make)
        rows.append(
            {"learner": learner, "case": name, "outcome": outcome, "seconds": seconds, "status": status}
        )
    frame = pd.DataFrame(rows)
    print(frame.drop(columns="status").to_string(index=False, float_format="%.1f"))
    print(frame.groupby("learner")["outcome"].value_counts().unstack(fill_value=0).to_string())
    silent = frame[frame["outcome"] == "WRONG IN SILENCE"]
    for _, row in silent.iterrows():
        print(f"{row['learner']}, {row['case']}: {row['status']}")
    return len(silent)


if __name__ == "__main__":
    sys.exit(main())
