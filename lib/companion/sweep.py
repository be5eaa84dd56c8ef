"""Seeded parallel trials behind every figure: run them, resume them, store them, check them.

A sweep is a function of one cell of a parameter grid and a random stream. The stream is derived
from the seed, the sweep's name and the cell's own parameters, never from the cell's place, so any
cell can be recomputed alone and gives the same numbers in a small grid and in a large one.

Stored results are strict JSON: null stands where there is no number, and is read back as NaN.
"""

import argparse
import contextlib
import hashlib
import importlib
import itertools
import json
import math
import os
import pkgutil
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
import psutil
import scipy
from scipy import stats
from threadpoolctl import threadpool_info, threadpool_limits
from tqdm import tqdm

import nnmoments
from companion.ledger import LEVEL, LedgerError, project_root
from companion.reach import source_hash
from nnmoments.validation import Array, check_array, check_choice, check_integer, check_number

__all__ = [
    "Sweep",
    "document_rows",
    "end",
    "grid",
    "log_slopes",
    "main",
    "mean_interval",
    "proportion_interval",
    "slope_interval",
    "sweeps",
]

Cell = Mapping[str, Any]


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """Return all combinations of the axes' values, one dict a cell.

    Examples
    --------
    >>> grid(n=[10, 20], trial=range(2))[1]
    {'n': 10, 'trial': 1}

    Raises
    ------
    ValueError
        If an axis is no list of values.
    """
    for name, values in axes.items():
        if not isinstance(values, Iterable):
            raise ValueError(f"{name} must be a list of values, got {values!r}")
    names = list(axes)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*axes.values())]


@dataclass(frozen=True)
class Sweep:
    """The data of one figure: a trial, and the grids over which it is run.

    Parameters
    ----------
    name : str
        Names the stored result, `<name>.json`, and the random streams.
    trial : callable
        ``trial(**cell, rng=rng)`` returns a dict of numbers (NaN where there is none), strings or
        nested lists. It may be defined anywhere, in a notebook too.
    quick, paper : sequence of cells
        The two presets, see `grid`. Cell values are plain numbers or strings.
    volatile : sequence of str
        Outputs that differ from run to run (times); not compared.
    rtol : float
        Relative tolerance when a stored cell is recomputed on the same kind of processor.
    sensitivity : float
        What rounding on another kind may change, relatively; a long descent multiplies it.
    chaotic : float
        Share of the cells that may end elsewhere on another kind, as a descent does that starts near
        the border of two basins.
    folder : str or Path, optional
        Where the stored result and unfinished runs live. By default those of the checkout of this
        project that one works in: `book/results` and `_build/sweeps`.

    Raises
    ------
    ValueError
        If a parameter is not what is said here.

    Examples
    --------
    >>> def trial(*, n, trial, rng):
    ...     return {"mean": rng.standard_normal(n).mean()}
    >>> quick, full = grid(n=[10], trial=range(2)), grid(n=[1000], trial=range(9))
    >>> sweep = Sweep("means", trial, quick, full)
    >>> sweep.run("quick", n_jobs=1).shape
    (2, 3)
    """

    name: str
    trial: Callable[..., Mapping[str, Any]] = field(repr=False)
    quick: Sequence[Cell] = field(repr=False)
    paper: Sequence[Cell] = field(repr=False)
    volatile: Sequence[str] = ()
    rtol: float = 1e-6
    sensitivity: float = 1e-6
    chaotic: float = 0.0
    folder: str | Path | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or self.name != Path(self.name).name:
            raise ValueError(f"name must be a file's name without a folder, got {self.name!r}")
        if not callable(self.trial):
            raise ValueError(f"trial must be callable, got {self.trial!r}")
        for preset in ("quick", "paper"):
            cells = getattr(self, preset)
            if not isinstance(cells, Sequence) or not all(isinstance(cell, Mapping) for cell in cells):
                raise ValueError(
                    f"{preset} must be a list of dicts, one a cell (see `grid`), got {cells!r:.80}"
                )
        check_number("rtol", self.rtol, above=0.0)
        check_number("sensitivity", self.sensitivity, above=0.0)
        if not 0.0 <= check_number("chaotic", self.chaotic) < 1.0:
            raise ValueError(f"chaotic must be a share from 0 to below 1, got {self.chaotic}")
        if self.folder is not None and not isinstance(self.folder, str | os.PathLike):
            raise ValueError(f"folder must be a path, got {self.folder!r}")

    def cells(self, preset: str) -> Sequence[Cell]:
        """Return the cells of a preset, "quick" or "paper"."""
        return self.quick if check_choice("preset", preset, ("quick", "paper")) == "quick" else self.paper

    def rng(self, cell: Cell, *, seed: int) -> np.random.Generator:
        """Return the cell's own random stream."""
        text = json.dumps([self.name, dict(sorted(cell.items()))], default=_plain)
        words = np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], dtype=np.uint32)
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(map(int, words))))

    def run_cell(self, cell: Cell, *, seed: int) -> tuple[dict[str, Any], float]:
        """Run one cell; return its outputs as plain values and the seconds of processor it took.

        A cell has one thread, however many the shell allows: cells run side by side, and the order in
        which several threads sum would change the last bits, and so where a long descent ends.
        """
        with threadpool_limits(1):
            start = time.process_time()
            outputs = self.trial(**cell, rng=self.rng(cell, seed=seed))
            seconds = time.process_time() - start
        if not isinstance(outputs, Mapping):
            raise ValueError(f"{self.name}: the trial must return a dict of outputs, got {outputs!r:.80}")
        if taken := {name for name in outputs.keys() & {"seed", *cell} if outputs[name] != cell.get(name)}:
            raise ValueError(f"{self.name}: outputs must not be named like parameters, got {sorted(taken)}")
        return {name: _plain(value) for name, value in outputs.items()}, seconds

    def run(self, preset: str = "quick", *, seed: int = 0, n_jobs: int = -1) -> pd.DataFrame:
        """Run all cells of a preset in parallel; one row a cell, parameters then outputs.

        At the paper preset finished cells are kept (under `_build/sweeps` or in `folder`), so that
        an interrupted run goes on where it stopped. joblib's `parallel_config` chooses another
        backend.
        """
        cells = self.cells(preset)
        seed = check_integer("seed", seed, 0)
        results = self._results(cells, seed, n_jobs, self._checkpoint(preset, seed))
        return pd.DataFrame([{**cell, **out} for cell, (out, _) in zip(cells, results, strict=True)])

    def _checkpoint(self, preset: str, seed: int) -> Path | None:
        if preset == "quick":
            return None
        folder = (
            self._root() / "_build" / "sweeps" if self.folder is None else Path(self.folder) / "unfinished"
        )
        return folder / f"{self.name}-{seed}-{self.source_hash()[:16]}.jsonl"

    def _root(self) -> Path:
        try:
            return project_root()
        except LedgerError as error:
            raise LedgerError(f"{error}, or say `folder=` of the sweep {self.name!r}") from None

    def _results(
        self, cells: Sequence[Cell], seed: int, n_jobs: int, checkpoint: Path | None
    ) -> list[tuple[dict[str, Any], float]]:
        done = _read_checkpoint(checkpoint)
        keys = [_key(cell) for cell in cells]
        missing = [i for i, key in enumerate(keys) if key not in done]
        jobs = (joblib.delayed(_indexed)(self, i, cells[i], seed) for i in missing)
        outcomes = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs)
        with _Log(checkpoint) as log:
            for i, outputs, seconds in tqdm(
                outcomes, total=len(missing), desc=self.name, disable=None, leave=False
            ):
                done[keys[i]] = (outputs, seconds)
                log.write(keys[i], outputs, seconds)
        return [done[key] for key in keys]

    def source_hash(self) -> str:
        """Return the hash of the code that the trial can reach, of this project and of its own module."""
        return source_hash(self.trial)

    # --- stored results ------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """Where the paper-size result is stored."""
        folder = self._root() / "book" / "results" if self.folder is None else Path(self.folder)
        return folder / f"{self.name}.json"

    def stored(self, seed: int = 0) -> pd.DataFrame:
        """Return the stored paper-size result at a seed; others take those that are stored in turn."""
        document = self._document()
        frame, seeds = pd.DataFrame(document["columns"]), document["provenance"]["seeds"]
        chosen = seed if check_integer("seed", seed, 0) in seeds else seeds[seed % len(seeds)]
        return frame[frame.pop("seed") == chosen].reset_index(drop=True)

    def pooled(self) -> pd.DataFrame:
        """Return the stored paper-size results of all seeds together, each row with its seed."""
        return pd.DataFrame(self._document()["columns"])

    def seeds(self) -> list[int]:
        """Return the seeds at which the paper preset is stored."""
        return list(self._document()["provenance"]["seeds"])

    def _document(self) -> dict[str, Any]:
        if not self.path.is_file():
            how = f"`python -m companion.sweep store {self.name}`" if self.folder is None else "its `store()`"
            raise FileNotFoundError(f"{self.path.name} is not stored yet; run {how}")
        document: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        document["columns"] = _from_null(document["columns"])
        return document

    def store(self, seeds: Sequence[int] | None = None, *, n_jobs: int = -1) -> None:
        """Run the paper preset and store it with its provenance.

        Seeds are those stored already by default, and 0 if nothing is. What is stored at others is kept.
        """
        kept = self._document() if self.path.is_file() else None
        stored = kept["provenance"]["seeds"] if kept else []
        seeds = sorted({check_integer("seeds", seed, 0) for seed in (seeds or stored or [0])})
        others = [seed for seed in stored if seed not in seeds]
        if kept and others and kept["provenance"]["source_hash"] != self.source_hash():
            raise LedgerError(
                f"{self.name}: the source has changed since seeds {others} were stored: store them again, too"
            )
        cells = self.cells("paper")
        _writable(self.path.parent)
        rows = [(row, s) for row, s in _stored_rows(kept) if row["seed"] in others]
        for seed in seeds:
            results = self._results(cells, seed, n_jobs, self._checkpoint("paper", seed))
            rows += [
                ({"seed": seed, **cell, **out}, float(f"{s:.2g}"))
                for cell, (out, s) in zip(cells, results, strict=True)
            ]
        rows.sort(key=lambda row: row[0]["seed"])
        frame, seconds = pd.DataFrame([row for row, _ in rows]), [s for _, s in rows]
        document = {
            "figure": self.name,
            "provenance": {
                "preset": "paper",
                "seeds": sorted({*seeds, *others}),
                "cells": len(cells),
                "parameters": list(cells[0]),
                "cpu_seconds": round(sum(seconds), 1),
                "cores": joblib.cpu_count(),
                "versions": _versions(),
                "source_hash": self.source_hash(),
            },
            "columns": {name: [_plain(v) for v in frame[name]] for name in frame.columns},
            "seconds": seconds,
        }
        _write_json(self.path, document)

    def check(self, *, budget: float, restamp: bool, rng: np.random.Generator) -> list[str]:
        """Recompute randomly chosen stored cells within `budget` seconds; return what differs.

        After a change of the source the result may be stamped as still right (`restamp`): then a cell of
        each kind is recomputed, whatever it costs.
        """
        document = self._document()
        provenance = document["provenance"]
        stale = provenance["source_hash"] != self.source_hash()
        if stale and not restamp:
            message = (
                f"{self.name}: the source has changed since the result was stored; refresh it with "
                f"`python -m companion.sweep store {self.name}`, or, if the change cannot matter to it, "
                f"let a cell of each kind decide: `python -m companion.sweep check --restamp {self.name}`"
            )
            return [message]
        times, columns = document["seconds"], document["columns"]
        cells = [(seed, cell) for seed in provenance["seeds"] for cell in self.cells("paper")]
        problems: list[str] = []
        if [(seed, _key(cell)) for seed, cell in cells] != [
            (row["seed"], _key({p: row[p] for p in provenance["parameters"]}))
            for row in document_rows(document)
        ]:
            problems.append(f"{self.name}: the stored cells are not those of the paper preset")
            return problems
        made_on = provenance.get("restamped", provenance)["versions"].get("blas")
        here = _versions()["blas"]
        rtol = self.rtol if made_on == here else max(self.rtol, self.sensitivity)
        checked, elsewhere, exact = 0, 0, True
        for i in self._sample(times, budget, rng, each_kind=stale):
            seed, cell = cells[i]
            fresh, _ = self.run_cell(cell, seed=seed)
            checked, before = checked + 1, len(problems)
            if unknown := (fresh.keys() | {"seed", *provenance["parameters"]}) ^ columns.keys():
                return [f"{self.name}: {', '.join(sorted(unknown))}: not both stored and computed"]
            for name, value in fresh.items():
                was = columns[name][i]
                if name in self.volatile or _close(value, was, self.rtol):
                    continue
                exact = False
                if not _close(value, was, rtol):
                    where = f"{dict(cell)}, seed {seed}"
                    problems.append(f"{self.name}: {name} at {where} is {value}, stored {was}")
            elsewhere += len(problems) > before
        # No stamp on a guess: where the source has changed, who says that the processor did it?
        if problems and not stale and made_on != here and elsewhere <= self._tolerated(checked):
            print(
                f"{self.name}: on another processor {elsewhere} of {checked} cells end elsewhere, as they may"
            )
            problems = []
        print(f"{self.name}: {checked} of {len(cells)} cells recomputed, {len(problems)} differ")
        if stale and not problems:
            provenance["source_hash"] = self.source_hash()
            blas = here if exact and made_on is None else made_on
            provenance["restamped"] = {"cells_recomputed": checked, "versions": _versions() | {"blas": blas}}
            _write_json(self.path, document)
        return problems

    def _sample(
        self, times: Sequence[float], budget: float, rng: np.random.Generator, *, each_kind: bool
    ) -> Iterable[int]:
        """Yield cells in random order within the budget, and, if asked, one of each kind at any cost.

        Two cells are of one kind if they differ in the seed or the trial's number only. A change of the
        source may touch one method or size and spare all others, so cheap cells cannot answer for dear ones.
        """
        cells, spent, kinds = self.cells("paper"), 0.0, set[str]()
        for i in map(int, rng.permutation(len(times))):
            cell = cells[i % len(cells)]
            kind = _key({name: value for name, value in cell.items() if name != "trial"})
            first = spent == 0.0 and times[i] <= np.median(times)
            if first or spent + times[i] <= budget or (each_kind and kind not in kinds):
                kinds.add(kind)
                spent += times[i]
                yield i

    def _tolerated(self, checked: int) -> int:
        """Return how many of the cells may end elsewhere: more do so once in 1e6 checks."""
        return int(stats.binom.isf(1.0 - LEVEL, checked, self.chaotic)) if self.chaotic else 0


def document_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a stored result as plain dicts."""
    columns = document["columns"]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _stored_rows(document: Mapping[str, Any] | None) -> list[tuple[dict[str, Any], float]]:
    """Return the rows of a stored result, if there is one, each with its seconds."""
    return list(zip(document_rows(document), document["seconds"], strict=True)) if document else []


def _indexed(sweep: Sweep, index: int, cell: Cell, seed: int) -> tuple[int, dict[str, Any], float]:
    return (index, *sweep.run_cell(cell, seed=seed))


def _key(cell: Cell) -> str:
    return json.dumps(dict(sorted(cell.items())), default=_plain)


def _plain(value: Any) -> Any:
    """Turn numpy scalars and arrays into Python numbers and lists, rounded to 10 digits."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.10g}")
    return value


def _to_null(value: Any) -> Any:
    """Put None where there is no number; JSON has neither NaN nor infinities."""
    if isinstance(value, Mapping):
        return {name: _to_null(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_to_null(v) for v in value]
    if isinstance(value, float) and math.isinf(value):
        raise ValueError("an output is infinite, which cannot be stored; return NaN where there is no number")
    return None if isinstance(value, float) and math.isnan(value) else value


def _from_null(value: Any) -> Any:
    """Put NaN where there is no number."""
    if isinstance(value, dict):
        return {name: _from_null(v) for name, v in value.items()}
    if isinstance(value, list):
        return [_from_null(v) for v in value]
    return math.nan if value is None else value


def _close(fresh: Any, stored: Any, rtol: float) -> bool:
    if isinstance(fresh, list):
        return len(fresh) == len(stored) and all(
            _close(a, b, rtol) for a, b in zip(fresh, stored, strict=True)
        )
    if isinstance(fresh, float) and isinstance(stored, float | int):
        return bool(np.isclose(fresh, stored, rtol=rtol, atol=rtol * 1e-3, equal_nan=True))
    return bool(fresh == stored)


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "nnmoments": nnmoments.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": _blas(),
    }


def _blas() -> str:
    """Return the processor's kind that numpy's and scipy's BLAS see, whatever other libraries bring along."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if Path(pool["filepath"]).parent.name.startswith(("numpy", "scipy"))]
    return " ".join(sorted({str(pool.get("architecture")) for pool in own or pools}))


def _writable(folder: Path) -> None:
    """Create the folder, or say what to do if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError("it is read-only")
    except OSError as error:
        reason = error.strerror or error
        raise LedgerError(
            f"{folder} cannot be written ({reason}): make it writable, work in a copy of the checkout, "
            "or say another `folder=` of the sweep"
        ) from None


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    _writable(path.parent)
    partial = path.with_suffix(f".{os.getpid()}.partial")  # of another process that is killed, or writes too
    text = json.dumps(_to_null(document), separators=(",", ":"), allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def _read_checkpoint(path: Path | None) -> dict[str, tuple[dict[str, Any], float]]:
    done: dict[str, tuple[dict[str, Any], float]] = {}
    if path is not None and path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                key, outputs, seconds = json.loads(line)
            except ValueError:
                continue  # the line that an interrupted run was writing
            done[key] = (_from_null(outputs), seconds)
    return done


class _Log:
    """Appends finished cells to the checkpoint, if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __enter__(self) -> "_Log":
        self._file = None
        if self._path is not None:
            _writable(self._path.parent)
            self._file = self._path.open("a", encoding="utf-8")
            self._file.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, key: str, outputs: Mapping[str, Any], seconds: float) -> None:
        if self._file is not None:
            self._file.write(json.dumps([key, _to_null(outputs), seconds], allow_nan=False) + "\n")
            self._file.flush()


# --- intervals ----------------------------------------------------------------------------------


def mean_interval(values: npt.ArrayLike, *, level: float = LEVEL) -> tuple[float, float, float]:
    """Return the mean of independent values and its Student-t interval: (mean, low, high).

    Examples
    --------
    >>> mean_interval([1.0, 2.0, 3.0], level=0.95)[0]
    2.0
    """
    values = check_array("values", values, ndim=1)
    if len(values) < 2:
        raise ValueError(f"values must be at least two for an interval, got {len(values)}")
    level = check_number("level", level, above=0.0, below=1.0)
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    half = error * float(stats.t.isf((1.0 - level) / 2.0, len(values) - 1))
    return mean, mean - half, mean + half


def log_slopes(sizes: npt.ArrayLike, values: Iterable[npt.ArrayLike]) -> Array:
    """Return the least-squares log-log slope of values against sizes, one per trial.

    Parameters
    ----------
    sizes : (s,) array_like
        At least two different sizes, positive.
    values : (trials, s) array_like, or iterable of (s,)
        Positive.

    Examples
    --------
    >>> log_slopes([1, 10, 100], [[1.0, 0.1, 0.01], [5.0, 5.0, 5.0]]).round(6)
    array([-1.,  0.])
    """
    sizes = check_array("sizes", sizes, ndim=1)
    values = check_array("values", np.array(list(values)), shape=(None, len(sizes)))
    if np.any(sizes <= 0) or np.any(values <= 0):
        raise ValueError("sizes and values must be positive for a log-log slope")
    if np.all(sizes == sizes[0]):
        raise ValueError(f"sizes must hold at least two different sizes for a slope, got {sizes}")
    x = np.log(sizes) - np.log(sizes).mean()
    return np.log(values) @ x / (x @ x)


def slope_interval(
    sizes: npt.ArrayLike, values: npt.ArrayLike, *, level: float = LEVEL
) -> tuple[float, float, float]:
    """Return the log-log slope of values against sizes with its Student-t interval over trials.

    Parameters
    ----------
    sizes : (s,) array_like
        At least two sizes, positive.
    values : (s, trials) array_like
        Positive; each trial gives one least-squares slope, and these are independent.

    Examples
    --------
    >>> errors = [[1.0, 1.1], [0.1, 0.11], [0.01, 0.011]]  # two trials of each size
    >>> slope, low, high = slope_interval([1, 10, 100], errors)
    >>> round(slope, 6)
    -1.0
    """
    sizes = check_array("sizes", sizes, ndim=1)
    values = check_array("values", values, shape=(len(sizes), None))
    return mean_interval(log_slopes(sizes, values.T), level=level)


def proportion_interval(successes: int, trials: int, *, level: float = LEVEL) -> tuple[float, float, float]:
    """Return the share of successes and its exact (Clopper-Pearson) interval.

    Examples
    --------
    >>> proportion_interval(10, 10, level=0.95)[0]
    1.0
    """
    trials = check_integer("trials", trials, 1)
    successes = check_integer("successes", successes, 0, trials)
    result = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    return successes / trials, float(result.low), float(result.high)


# --- command line -------------------------------------------------------------------------------


def sweeps() -> dict[str, Sweep]:
    """Return every sweep of `companion.experiments` by name."""
    package = importlib.import_module("companion.experiments")
    found: dict[str, Sweep] = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, Sweep):
                found[value.name] = value
    return dict(sorted(found.items()))


def end(number: int, frame: object) -> None:
    """End all processes that this one has started, workers and what they started too, then itself.

    A handler of signals: joblib's workers would go on with the cells they have, for minutes.
    """
    started = psutil.Process().children(recursive=True)
    for act in (psutil.Process.terminate, psutil.Process.kill):
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                act(process)
        _, started = psutil.wait_procs(started, timeout=3.0)
    os._exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Store or check paper-size results: ``python -m companion.sweep {list,store,check} [name ...]``."""
    parser = argparse.ArgumentParser(prog="python -m companion.sweep", description=main.__doc__)
    parser.add_argument("action", choices=["list", "store", "check"])
    parser.add_argument("names", nargs="*", help="sweeps, or chapters by their number (01); all by default")
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="store: seeds to run, by default those stored already"
    )
    parser.add_argument("--seconds", type=float, default=2.5, help="check: seconds to spend on each sweep")
    parser.add_argument("--jobs", type=int, default=1, help="check: as many sweeps side by side")
    parser.add_argument(
        "--restamp", action="store_true", help="check: accept a stale hash if a cell of each kind agrees"
    )
    options = parser.parse_intermixed_args(arguments)
    known = sweeps()
    names = options.names or list(known)
    chosen = [sweep for name, sweep in known.items() if any(name.startswith(wanted) for wanted in names)]
    if unknown := [w for w in names if not any(name.startswith(w) for name in known)]:
        parser.error(f"no such sweep: {', '.join(unknown)}; known: {', '.join(known)}")
    if not options.seconds >= 0.0:
        parser.error(f"--seconds must be a number from 0, got {options.seconds}")
    problems: list[str] = []
    try:
        for sweep in chosen:
            if options.action == "list":
                print(f"{sweep.name}: quick {len(sweep.quick)} cells, paper {len(sweep.paper)} cells")
            elif options.action == "store":
                sweep.store(options.seeds)
                print(f"stored {os.path.relpath(sweep.path)}")
        if options.action == "check":
            checks = (
                joblib.delayed(sweep.check)(
                    budget=options.seconds, restamp=options.restamp, rng=np.random.default_rng()
                )
                for sweep in chosen
                if sweep.path.is_file()
            )
            problems += itertools.chain.from_iterable(joblib.Parallel(n_jobs=options.jobs)(checks))
    except LedgerError as error:
        problems.append(str(error))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, importlib.import_module("companion.sweep").end)
    sys.exit(importlib.import_module("companion.sweep").main())
