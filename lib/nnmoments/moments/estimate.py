"""Estimates of cross-moments with standard errors, from samples in any number of chunks."""

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.densities import ScoreModel
from nnmoments.densities.density import Slot, check_slots, squeeze_slots
from nnmoments.moments.blocks import Blocks, block_means
from nnmoments.moments.crossfit import ControlVariate, Rows, control_family, cross_fit, fold_rows
from nnmoments.moments.samples import (
    CONSTANT,
    MAX_MOMENT_ORDER,
    TOO_LARGE,
    as_samples,
    check_fits,
    check_varying,
    check_weight_range,
)
from nnmoments.moments.surrogates import Polynomials, Surrogate, SurrogateFamily, fit_surrogate
from nnmoments.results import Comparable, Result
from nnmoments.validation import (
    Array,
    check_choice,
    check_instance,
    check_integer,
    check_sample_weight,
    check_samples,
)

__all__ = ["CrossMoment", "MomentEstimate", "cross_moment", "first_moment"]

# Blocks of samples whose means give the standard error: enough for it to be accurate to 9 %,
# long enough (when the sample allows) to keep the products inside each block at BLAS speed.
_BLOCKS = 64
_LONGEST_BLOCK = 2048


@dataclass(frozen=True, eq=False, repr=False)
class MomentEstimate(Result):
    """An estimated cross-moment with its uncertainty.

    Estimates do not add; the sums behind them do: `CrossMoment.partial_fit`, and `+`.

    Attributes
    ----------
    value : array
        The estimate of T_m, contracted as asked; the label axis, if any, comes first.
    standard_error : array
        Its standard error, entry by entry, from the spread of block means.
    n_samples : int
        Those with weight.
    order : int
    removed : str
        What was removed from the labels before averaging.
    left : float
        Share of the labels' variance that is left when it is removed.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = np.array([[1.0], [-1.0], [2.0]])
    >>> cross_moment(X, X[:, 0], StandardNormal(1), 1)
    MomentEstimate
               value: [2.]
      standard_error: [1.]
           n_samples: 3
               order: 1
             removed: nothing
                left: 1
    """

    value: Array
    standard_error: Array
    n_samples: int
    order: int
    removed: str = "nothing"
    left: float = 1.0


class CrossMoment(Comparable):
    r"""Accumulate :math:`T_m = E[y \otimes S_m(x)]` over chunks of data.

    .. math:: T_m(A_1, \dots, A_m) = (-1)^m \sum_{\pi} E\Big[y \otimes
              \bigotimes_{B \in \pi} G_{|B|}(x)(A_b : b \in B)\Big]

    Each expectation on the right is one matrix product over the samples of a block; the fixed
    tensors that the G share across points are applied once, after summing. Memory is bounded by
    the chunk, whatever the number of samples.

    Parameters
    ----------
    score : ScoreModel
        The density of x, or an estimate of its score (`estimate_score`); functions of your own, derivatives
        of log f, make a `UserDensity`.
    order : int
        m, from 1 to 4.
    bases : optional
        None for the full tensor; a (d, k) array V for :math:`T_m(V, \dots, V)`; or a sequence with
        one entry a slot: None (free), a (d,) vector (contracted away) or a (d, k) array.
    block_size : int, optional
        Samples a block; standard errors come from block means. By default a 64th of the first
        chunk, at most 2048.
    surrogate : Surrogate, optional
        A function g fitted to *other* samples: what is accumulated is
        :math:`\nabla^m g + (y - g) \otimes S_m`, whose mean is the same for every g.
    known_density : bool
        Whether the score is that of the density of x, so that :math:`E[\nabla^m g]` may be integrated.
        Otherwise it is averaged over the sample, and a good g makes up for a wrong score.
    removed : str
        Carried into the estimate: what the caller removed from the labels.

    Raises
    ------
    ValueError
        If the order is not 1..4, a basis does not fit the score model, the tensor is too large to be
        formed, or (from `partial_fit`) the samples do not fit.

    Notes
    -----
    The value does not depend (beyond rounding) on how data are cut into chunks. The standard error
    is that of the mean of unequal blocks, :math:`s^2 = \frac1{C-1}\sum_c n_c(\bar t_c - \bar t)^2`,
    unbiased for every cut, and known to :math:`1/\sqrt{2(C-1)}` for C blocks.

    With sample weights the value is :math:`\bar t = \sum w_i f_i/\sum w_i` and, for block means
    :math:`t_c` of weight :math:`W_c`,

    .. math:: \mathrm{se}^2 = \frac{\sum_c W_c^2 (t_c - \bar t)^2}{(\sum_c W_c)^2 - \sum_c W_c^2},

    since :math:`\bar t - T` is the sum of the independent :math:`W_c (t_c - T)` over the sum of weights,
    whatever the variance inside a block has to do with its weights. The denominator makes up for
    :math:`\bar t` in place of T, exactly if the variance of block sums goes with their weight.

    Measured at n = 10^7, d = 20 under N(0, I), for :math:`T_1, T_2, T_3` in full and :math:`T_3` on
    5 directions: at most 8.1 MiB of memory beyond the data, 7.9 MiB at n = 10^6. Fed by a generator
    of chunks of 10^5 samples (15 MiB each), the whole process peaks at 182 MiB for either n.

    References
    ----------
    .. [1] C. Stein, "A bound for the error in the normal approximation ...", 1972.
    .. [2] M. Janzamin, H. Sedghi, A. Anandkumar, arXiv:1412.2863.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(3).sample(20_000, rng=0)
    >>> first = CrossMoment(StandardNormal(3), 1).partial_fit(X[:9000], X[:9000, 0])
    >>> second = CrossMoment(StandardNormal(3), 1).partial_fit(X[9000:], X[9000:, 0])
    >>> (first + second).estimate().value.round(1) + 0.0
    array([1., 0., 0.])
    """

    def __init__(
        self,
        score: ScoreModel,
        order: int,
        *,
        bases: Any = None,
        block_size: int | None = None,
        surrogate: Surrogate | None = None,
        known_density: bool = False,
        removed: str = "nothing",
    ) -> None:
        self.score = check_instance("score", score, ScoreModel)
        self.order = check_integer("order", order, 1, MAX_MOMENT_ORDER)
        self.bases = bases
        self._slots, self._vectors = check_slots(bases, self.order, score.d)
        check_fits(self._widths())
        self.block_size = None if block_size is None else check_integer("block_size", block_size, 1)
        self.removed = removed
        self.surrogate, self.known_density = surrogate, bool(known_density)
        self._known: Array | None = None  # E[grad^m g], where it is integrated
        if surrogate is not None:
            self._take_surrogate(surrogate)
        self._powers: Array | None = None  # weights, sums and square sums of y and of y - g
        self.n_samples = 0
        self._blocks: Blocks | None = None
        self._weighted = False
        self._first: Array | None = None  # the first label, to see whether they vary
        self._varies = False

    def _take_surrogate(self, surrogate: Surrogate) -> None:
        if not isinstance(surrogate, Surrogate):
            raise ValueError(f"surrogate must be a fitted Surrogate, got {type(surrogate).__name__}")
        if surrogate.d != self.score.d:
            raise ValueError(f"surrogate must be a function on R^{self.score.d}, got d = {surrogate.d}")
        if self.known_density:
            self._known = surrogate.mean_derivative(self.score, self._slots)
        if self._known is None:
            self.surrogate = surrogate.smooth()

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[Sequence[npt.ArrayLike]],
        score: ScoreModel,
        order: int,
        *,
        bases: Any = None,
        block_size: int | None = None,
    ) -> "CrossMoment":
        """Accumulate chunks (X, y) or (X, y, sample_weight), one after the other.

        Parameters
        ----------
        chunks : iterable
            A generator will do: each chunk is dropped before the next one is taken.
        score : ScoreModel
        order : int
        bases : optional
        block_size : int, optional
            As in `CrossMoment`.

        Returns
        -------
        CrossMoment

        Raises
        ------
        ValueError
            If a chunk is refused.

        Examples
        --------
        >>> from nnmoments.densities import StandardNormal
        >>> X = StandardNormal(2).sample(6000, rng=0)
        >>> thirds = ((X[part], X[part, 0]) for part in np.split(np.arange(6000), 3))
        >>> moment = CrossMoment.from_chunks(thirds, StandardNormal(2), 1)
        >>> moment.estimate().value.round(1) + 0.0
        array([1., 0.])
        """
        moment = cls(score, order, bases=bases, block_size=block_size)
        if not isinstance(chunks, Iterable):
            raise ValueError(f"chunks must be an iterable of (X, y), got {type(chunks).__name__}")
        for chunk in chunks:
            if not isinstance(chunk, Sequence) or len(chunk) not in (2, 3):
                raise ValueError("chunks must hold pairs (X, y) or triples (X, y, sample_weight)")
            moment.partial_fit(*chunk)
        return moment

    def _widths(self) -> list[int]:
        return [self.score.d if slot is None else slot.shape[1] for slot in self._slots]

    def __repr__(self) -> str:
        return f"CrossMoment({self.score!r}, order={self.order}, n_samples={self.n_samples})"

    def partial_fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> "CrossMoment":
        """Add samples.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) or (n, n_y) array_like
        sample_weight : (n,) array_like, optional
            With every chunk or with none.

        Returns
        -------
        CrossMoment
            Itself.

        Raises
        ------
        ValueError
            If the chunk does not fit; the accumulator is then as it was before.
        """
        X, y = as_samples(X, y, self.score.d)
        w = check_sample_weight(sample_weight, len(X))
        if self._blocks is not None and self._weighted != (w is not None):
            raise ValueError("sample_weight must be given with every chunk or with none")
        if w is not None:
            check_weight_range(w)
            X, y, w = X[w > 0.0], y[w > 0.0], w[w > 0.0]
        if self._first is not None and np.shape(y[0]) != self._first.shape:
            raise ValueError(f"y must have columns {self._first.shape} in every chunk, got {np.shape(y[0])}")
        labels = y.reshape(len(y), -1)
        check_fits([labels.shape[1], *self._widths()])
        size = self.block_size or _block_size(len(X))
        residuals, added = labels, None
        if self.surrogate is not None:
            with np.errstate(over="ignore", invalid="ignore"):  # looked for in the blocks
                guess = self.surrogate.predict(np.asarray(X, dtype=np.float64))
            if guess.shape[1] != labels.shape[1]:
                raise ValueError(
                    f"surrogate must have as many outputs as y, {labels.shape[1]}, got {guess.shape[1]}"
                )
            residuals = labels - guess
            added = self._derivative_sums if self._known is None else None
        blocks = block_means(X, residuals, w, self.score, self._slots, size, added=added)
        if self._known is not None:
            blocks = replace(blocks, mean=blocks.mean + self._known)
        powers = self._powers
        if self.surrogate is not None:
            sums = np.array([_power_sums(a, w) for a in (labels, residuals)])
            powers = sums if powers is None else powers + sums
        first = np.array(y[0]) if self._first is None else self._first  # a copy: buffers are reused
        # Looks at little data: labels differ soon, if they do.
        self._varies = self._varies or any(
            bool(np.any(y[i : i + size] != first)) for i in range(0, len(y), size)
        )
        self._blocks = blocks if self._blocks is None else self._blocks.merge(blocks)
        self._first, self._weighted, self.block_size = first, w is not None, size
        self._powers = powers
        self.n_samples += len(X)
        return self

    def _derivative_sums(self, X: Array, w: Array | None, size: int) -> Array:
        assert self.surrogate is not None
        return self.surrogate.derivative_sums(np.asarray(X, dtype=np.float64), self._slots, size, w)

    def __add__(self, other: "CrossMoment | int") -> "CrossMoment":
        """Merge two accumulators of the same moment, both stay as they are; 0 is the empty one."""
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, CrossMoment):
            return NotImplemented
        if (
            self.order != other.order
            or self.score.d != other.score.d
            or self.removed != other.removed
            or not _same_slots(self._slots, other._slots)
        ):
            raise ValueError("only accumulators of the same moment (order, d, bases, removed) can be merged")
        merged = CrossMoment(
            self.score, self.order, bases=self.bases, block_size=self.block_size, removed=self.removed
        )
        for part in (self, other):
            if part._blocks is None or part._first is None:
                continue
            if merged._blocks is None or merged._first is None:
                merged._blocks, merged._first = part._blocks, part._first
                merged._weighted = part._weighted
            elif merged._first.shape != part._first.shape:
                raise ValueError("only accumulators with the same label columns can be merged")
            elif merged._weighted != part._weighted:
                raise ValueError("only accumulators that both have sample_weight, or neither, can be merged")
            else:
                merged._blocks = merged._blocks.merge(part._blocks)
            merged._varies |= part._varies or bool(np.any(part._first != merged._first))
            if part._powers is not None:
                merged._powers = part._powers if merged._powers is None else merged._powers + part._powers
            merged.n_samples += part.n_samples
        return merged

    __radd__ = __add__

    def estimate(self) -> MomentEstimate:
        """Return the moment and its standard error.

        Returns
        -------
        MomentEstimate

        Raises
        ------
        ValueError
            If there are fewer than two blocks of samples, or y is constant.
        """
        count = 0 if self._blocks is None else self._blocks.count
        if self._blocks is None or self._first is None or count < 2:
            raise ValueError(
                f"X has too few samples for a standard error: {self.n_samples} in {count} "
                "block(s), at least two blocks are needed"
            )
        if not self._varies:
            raise ValueError(CONSTANT)
        with np.errstate(invalid="ignore", over="ignore"):
            found = (self._blocks.mean, np.sqrt(self._blocks.variance()))
        if not all(np.isfinite(a).all() for a in found):
            own = "" if self._powers is None else " (or weights, output or intercept of the surrogate)"
            raise ValueError(TOO_LARGE + own)
        value, error = (
            squeeze_slots(a[0] if self._first.ndim == 0 else a, self._vectors, self.order) for a in found
        )
        left = 1.0
        if self._powers is not None:
            mass, total, square = self._powers.swapaxes(0, 1)
            whole, rest = np.sum(square / mass - (total / mass) ** 2, axis=1)
            left = float(rest / whole)
        return MomentEstimate(value, error, self.n_samples, self.order, self.removed, left)


def cross_moment(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    score: ScoreModel,
    order: int,
    *,
    bases: Any = None,
    control: ControlVariate | None = None,
    surrogate: Any = None,
    folds: int = 2,
    known_density: bool = False,
    block_size: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> MomentEstimate:
    r"""Estimate :math:`T_m = E[y \otimes S_m(x)] = E[\nabla^m E[y|x]]` from a sample.

    Parameters
    ----------
    X : (n, d) array_like
        Inputs; may be memory-mapped.
    y : (n,) or (n, n_y) array_like
        Labels.
    score : ScoreModel
        The density of x, or an estimate of its score (`estimate_score`); functions of your own, derivatives
        of log f, make a `UserDensity`.
    order : int
        m, from 1 to 4.
    bases : optional
        See `CrossMoment`: None, one (d, k) array, or one entry a slot.
    control : ControlVariate, optional
        Replace y by its cross-fitted residual on polynomials of degree < m first.
    surrogate : "auto", SurrogateFamily, Surrogate or learner, optional
        The doubly robust moment: a family (or a learner with `as_surrogate`) is fitted to all folds but
        one and removed from that one; a surrogate that was fitted elsewhere is taken as it is. "auto" are
        polynomials of the degree that held-out samples choose; in V^T x, where `bases` is a V.
    folds : int
        Of the surrogate's fit.
    known_density : bool
        See `CrossMoment`.
    block_size : int, optional
        See `CrossMoment`.
    sample_weight : (n,) array_like, optional
        Weights of the average, not negative: of samples of another distribution, or how often a row
        stands for itself. A row of weight 0 is left out.

    Returns
    -------
    MomentEstimate
        The value has shape (n_y,) + the free slots' shape, without the first axis for y (n,).

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    .. [1] H. Sedghi, A. Anandkumar, "Provable methods for training neural networks with sparse
       connectivity", Theorem 1, arXiv:1412.2693.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(50_000, rng=1)
    >>> estimate = cross_moment(X, X[:, 0] * X[:, 1], StandardNormal(2), 2)
    >>> z = (estimate.value - [[0, 1], [1, 0]]) / estimate.standard_error
    >>> bool(np.all(np.abs(z) < 5))
    True
    """
    if isinstance(surrogate, str):
        check_choice("surrogate", surrogate, ("auto",))
        surrogate = Polynomials(basis=bases if np.ndim(bases) == 2 else None)
    options = {"bases": bases, "block_size": block_size, "known_density": known_density}
    if control is not None:
        if surrogate is not None:
            raise ValueError("control must be None where a surrogate is given")
        order = check_integer("order", order, 1, MAX_MOMENT_ORDER)
        shape = as_samples(X, y, check_instance("score", score, ScoreModel).d)[0].shape
        family, folds = control_family(control, order, shape), control.folds
        found = _doubly_robust(X, y, score, order, family, folds, sample_weight, options)
        return replace(found, removed=control.describe(order))
    if surrogate is None or isinstance(surrogate, Surrogate):
        removed = "nothing" if surrogate is None else surrogate.describe()
        moment = CrossMoment(score, order, surrogate=surrogate, removed=removed, **options)
        return moment.partial_fit(X, y, sample_weight).estimate()
    return _doubly_robust(X, y, score, order, surrogate, folds, sample_weight, options)


def _doubly_robust(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    score: ScoreModel,
    order: int,
    family: Any,
    folds: int,
    sample_weight: npt.ArrayLike | None,
    options: dict[str, Any],
) -> MomentEstimate:
    """Accumulate each fold with the surrogate of the others, and add up."""
    if not callable(getattr(family, "fit", None)):
        raise ValueError(f"surrogate must be a Surrogate or have a fit method, got {type(family).__name__}")
    CrossMoment(score, order, **options)  # refuses before any fit
    X, y = as_samples(X, y, score.d)
    w = check_sample_weight(sample_weight, len(X))
    if w is not None:
        X, y, w = X[w > 0.0], y[w > 0.0], w[w > 0.0]
    check_varying(y)
    enough = family.enough(X.shape[1]) if isinstance(family, SurrogateFamily) else None
    size = options["block_size"] or _block_size(len(X))

    def fit(others: list[Rows]) -> Surrogate:
        rows = np.concatenate(others)[:enough]
        inputs, labels = check_samples(X[rows], y[rows], score.d)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                return fit_surrogate(family, inputs, labels, None if w is None else w[rows])
        except np.linalg.LinAlgError as error:
            raise ValueError(TOO_LARGE) from error

    def accumulate(g: Surrogate, own: Rows) -> tuple[CrossMoment, str]:
        settings = {**options, "block_size": size, "surrogate": g, "removed": f"({folds}-fold)"}
        moment = CrossMoment(score, order, **settings)
        for chunk in row_chunks(len(own), score.d, multiple=size):
            rows = own[chunk]
            moment.partial_fit(X[rows], y[rows], None if w is None else w[rows])
        return moment, g.describe()

    found = cross_fit(fold_rows(len(X), folds), fit, accumulate)
    total = functools.reduce(operator.add, [moment for moment, _ in found])
    names = ", ".join(dict.fromkeys(name for _, name in found))
    return replace(total.estimate(), removed=f"{names} ({folds}-fold)")


def first_moment(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    score: ScoreModel,
    *,
    control: str = "linear",
    sample_weight: npt.ArrayLike | None = None,
) -> MomentEstimate:
    r"""Estimate :math:`T_1 = E[y \otimes S_1(x)]` with the linear part of y taken out.

    For any c and C, :math:`E[(c + C x) \otimes S_1(x)] = C` whatever the density: a surrogate of degree 1.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    score : ScoreModel
    control : {"none", "mean", "linear"}
        Take out nothing, c, or c + C x, fitted to the other half of the sample.
    sample_weight : (n,) array_like, optional
        See `cross_moment`.

    Returns
    -------
    MomentEstimate

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    .. [1] H. Sedghi, A. Anandkumar, arXiv:1412.2693, Theorem 1.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(2000, rng=0)
    >>> first_moment(X, 7.0 + X, StandardNormal(2)).value.round(8) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    degree = {"none": None, "mean": 0, "linear": 1}[
        check_choice("control", control, ("none", "mean", "linear"))
    ]
    surrogate = None if degree is None else Polynomials(degree)
    return cross_moment(X, y, score, 1, surrogate=surrogate, sample_weight=sample_weight)


def _block_size(n: int) -> int:
    return min(max(n // _BLOCKS, 1), _LONGEST_BLOCK)


def _power_sums(labels: Array, w: Array | None) -> Array:
    """Return the weight and the sums of labels and of their squares, (3, n_y)."""
    weights = np.ones(len(labels)) if w is None else w
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([np.full(labels.shape[1], weights.sum()), weights @ labels, weights @ labels**2])


def _same_slots(first: Sequence[Slot], second: Sequence[Slot]) -> bool:
    return all(
        (a is None) == (b is None) and (a is None or b is None or np.array_equal(a, b))
        for a, b in zip(first, second, strict=True)
    )
