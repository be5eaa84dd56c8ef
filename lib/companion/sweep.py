"""Seeded parallel trials behind every figure: run them, resume them, store them, check them.

A figure is a function of one cell of a parameter grid and a random stream. The stream is derived
from the seed, the figure's name and the cell's own parameters, never from the cell's place, so any
cell can be recomputed alone and gives the same numbers in a small grid and in a large one.
"""

import argparse
import ast
import hashlib
import importlib
import importlib.util
import inspect
import itertools
import json
import os
import pkgutil
import platform
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
import scipy
from scipy import stats
from tqdm import tqdm

import nnmoments
from companion.ledger import LEVEL, project_root
from nnmoments.validation import check_array, check_choice, check_integer, check_number

__all__ = [
    "Figure",
    "grid",
    "mean_interval",
    "proportion_interval",
    "slope_interval",
    "source_modules",
]

Cell = Mapping[str, Any]


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """Return all combinations of the axes' values, one dict a cell.

    Examples
    --------
    >>> grid(n=[10, 20], trial=range(2))[1]
    {'n': 10, 'trial': 1}
    """
    names = list(axes)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*axes.values())]


@dataclass(frozen=True)
class Figure:
    """The data of one figure: a trial, and the grids over which it is run.

    Parameters
    ----------
    name : str
        Names the stored result, `book/results/<name>.json`, and the random streams.
    trial : callable
        ``trial(**cell, rng=rng)`` returns a dict of numbers, strings or nested lists.
    quick, paper : sequence of cells
        The two presets, see `grid`. Cell values are plain numbers or strings.
    volatile : sequence of str
        Outputs that differ from run to run (times); not compared.
    rtol : float
        Relative tolerance when a stored cell is recomputed on another machine.
    """

    name: str
    trial: Callable[..., Mapping[str, Any]] = field(repr=False)
    quick: Sequence[Cell] = field(repr=False)
    paper: Sequence[Cell] = field(repr=False)
    volatile: Sequence[str] = ()
    rtol: float = 1e-6

    def cells(self, preset: str) -> Sequence[Cell]:
        """Return the cells of a preset, "quick" or "paper"."""
        return self.quick if check_choice("preset", preset, ("quick", "paper")) == "quick" else self.paper

    def rng(self, cell: Cell, *, seed: int) -> np.random.Generator:
        """Return the cell's own random stream."""
        text = json.dumps([self.name, dict(sorted(cell.items()))], default=_plain)
        words = np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], dtype=np.uint32)
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(map(int, words))))

    def run_cell(self, cell: Cell, *, seed: int) -> tuple[dict[str, Any], float]:
        """Run one cell; return its outputs as plain values and the seconds it took."""
        start = time.perf_counter()
        outputs = self.trial(**cell, rng=self.rng(cell, seed=seed))
        seconds = time.perf_counter() - start
        return {name: _plain(value) for name, value in outputs.items()}, seconds

    def run(self, preset: str = "quick", *, seed: int = 0, n_jobs: int = -1) -> pd.DataFrame:
        """Run all cells of a preset in parallel; one row a cell, parameters then outputs.

        At the paper preset finished cells are kept under `_build/sweeps`, so that an interrupted
        run goes on where it stopped. joblib's `parallel_config` chooses another backend.
        """
        cells = self.cells(preset)
        results = self._results(cells, seed, n_jobs, self._checkpoint(preset, seed))
        return pd.DataFrame([{**cell, **out} for cell, (out, _) in zip(cells, results, strict=True)])

    def _checkpoint(self, preset: str, seed: int) -> Path | None:
        if preset == "quick":
            return None
        key = f"{self.name}-{seed}-{self.source_hash()[:16]}.jsonl"
        return project_root() / "_build" / "sweeps" / key

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
        """Return the hash of the library modules that the trial can reach."""
        return _source_hash(source_modules(self.trial.__module__))

    # --- stored results ------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """Where the paper-size result is stored."""
        return project_root() / "book" / "results" / f"{self.name}.json"

    def stored(self) -> pd.DataFrame:
        """Return the stored paper-size result."""
        document = self._document()
        return pd.DataFrame(document["columns"])

    def _document(self) -> dict[str, Any]:
        if not self.path.is_file():
            raise FileNotFoundError(
                f"{self.path.name} is not stored yet; run `python -m companion.sweep store {self.name}`"
            )
        document: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return document

    def store(self, *, n_jobs: int = -1) -> None:
        """Run the paper preset at seed 0 and store it with its provenance."""
        cells = self.cells("paper")
        results = self._results(cells, 0, n_jobs, self._checkpoint("paper", 0))
        frame = pd.DataFrame([{**cell, **out} for cell, (out, _) in zip(cells, results, strict=True)])
        seconds = [float(f"{s:.2g}") for _, s in results]
        document = {
            "figure": self.name,
            "provenance": {
                "preset": "paper",
                "seed": 0,
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
        """Recompute randomly chosen stored cells within `budget` seconds; return what differs."""
        document = self._document()
        provenance = document["provenance"]
        stale = provenance["source_hash"] != self.source_hash()
        if stale and not restamp:
            message = (
                f"{self.name}: the source has changed since the result was stored; refresh it with "
                f"`python -m companion.sweep store {self.name}`, or, if the change cannot matter to it, "
                f"let a sample decide: `python -m companion.sweep check --restamp {self.name}`"
            )
            return [message]
        frame, times = pd.DataFrame(document["columns"]), document["seconds"]
        problems: list[str] = []
        if [_key(c) for c in self.cells("paper")] != [
            _key({p: row[p] for p in provenance["parameters"]}) for row in document_rows(document)
        ]:
            problems.append(f"{self.name}: the stored cells are not those of the paper preset")
            return problems
        spent, checked = 0.0, 0
        for i in rng.permutation(len(frame)):
            if spent + times[i] > budget and not (checked == 0 and times[i] <= np.median(times)):
                continue
            cell = self.cells("paper")[i]
            fresh, _ = self.run_cell(cell, seed=provenance["seed"])
            spent, checked = spent + times[i], checked + 1
            for name, value in fresh.items():
                if name not in self.volatile and not _close(value, document["columns"][name][i], self.rtol):
                    was = document["columns"][name][i]
                    problems.append(f"{self.name}: {name} at {dict(cell)} is {value}, stored {was}")
        print(f"{self.name}: {checked} of {len(frame)} cells recomputed, {len(problems)} differ")
        if stale and not problems:
            provenance["source_hash"] = self.source_hash()
            provenance["restamped"] = {"cells_recomputed": checked, "versions": _versions()}
            _write_json(self.path, document)
        return problems


def document_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a stored result as plain dicts."""
    columns = document["columns"]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _indexed(figure: Figure, index: int, cell: Cell, seed: int) -> tuple[int, dict[str, Any], float]:
    return (index, *figure.run_cell(cell, seed=seed))


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
    }


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    partial.replace(path)


def _read_checkpoint(path: Path | None) -> dict[str, tuple[dict[str, Any], float]]:
    done: dict[str, tuple[dict[str, Any], float]] = {}
    if path is not None and path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                key, outputs, seconds = json.loads(line)
            except ValueError:
                continue  # the line that an interrupted run was writing
            done[key] = (outputs, seconds)
    return done


class _Log:
    """Appends finished cells to the checkpoint, if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __enter__(self) -> "_Log":
        self._file = None
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
            self._file.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, key: str, outputs: Mapping[str, Any], seconds: float) -> None:
        if self._file is not None:
            self._file.write(json.dumps([key, outputs, seconds]) + "\n")
            self._file.flush()


# --- source hashes ------------------------------------------------------------------------------

_OWN = ("nnmoments", "companion")
_CARRIERS = (*_OWN, "companion.ledger", "companion.sweep")


def source_modules(name: str) -> list[str]:
    """Return the module and all modules of this library that it imports, directly or not."""
    found: list[str] = []
    queue = [name]  # the modules that carry results, but do not make them, are left out
    while queue:
        module = queue.pop()
        if module in found:
            continue
        found.append(module)
        queue += [
            other
            for other in _imports(module)
            if other.split(".")[0] in _OWN and other not in (*found, *_CARRIERS)
        ]
    return sorted(found)


def _imports(name: str) -> list[str]:
    module = importlib.import_module(name)
    names = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                sub = f"{node.module}.{alias.name}"
                names.append(sub if _is_module(sub) else node.module)
    return names


def _is_module(name: str) -> bool:
    """Say whether the library has such a module, imported yet or not."""
    if name.split(".")[0] not in _OWN:
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


def _source_hash(modules: Sequence[str]) -> str:
    """Hash the modules' code without docstrings, comments and blank lines."""
    digest = hashlib.sha256()
    for name in modules:
        text = inspect.getsource(importlib.import_module(name))
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            body = getattr(node, "body", None)
            if (
                isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
                and body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)
            ):
                for row in range(body[0].lineno - 1, body[0].end_lineno or 0):
                    lines[row] = ""
        kept = [line.rstrip() for line in lines if line.strip() and not line.strip().startswith("#")]
        digest.update("\n".join([name, *kept]).encode())
    return digest.hexdigest()


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
    >>> slope, low, high = slope_interval([1, 10, 100], [[1.0, 1.1], [0.1, 0.11], [0.01, 0.011]])
    >>> round(slope, 6)
    -1.0
    """
    sizes = check_array("sizes", sizes, ndim=1)
    values = check_array("values", values, shape=(len(sizes), None))
    if np.any(sizes <= 0) or np.any(values <= 0):
        raise ValueError("sizes and values must be positive for a log-log slope")
    if np.all(sizes == sizes[0]):
        raise ValueError(f"sizes must hold at least two different sizes for a slope, got {sizes}")
    x = np.log(sizes) - np.log(sizes).mean()
    return mean_interval(x @ np.log(values) / (x @ x), level=level)


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


def figures() -> dict[str, Figure]:
    """Return every figure of `companion.experiments` by name."""
    package = importlib.import_module("companion.experiments")
    found: dict[str, Figure] = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, Figure):
                found[value.name] = value
    return dict(sorted(found.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Store or check paper-size results: ``python -m companion.sweep {list,store,check} [name ...]``."""
    parser = argparse.ArgumentParser(prog="python -m companion.sweep", description=main.__doc__)
    parser.add_argument("action", choices=["list", "store", "check"])
    parser.add_argument("names", nargs="*", help="figures, or chapters by their number (01); all by default")
    parser.add_argument("--seconds", type=float, default=4.0, help="check: seconds to spend on each figure")
    parser.add_argument(
        "--restamp", action="store_true", help="check: accept a stale hash if a sample agrees"
    )
    options = parser.parse_intermixed_args(arguments)
    known = figures()
    names = options.names or list(known)
    chosen = [figure for name, figure in known.items() if any(name.startswith(wanted) for wanted in names)]
    if unknown := [w for w in names if not any(name.startswith(w) for name in known)]:
        parser.error(f"no such figure: {', '.join(unknown)}; known: {', '.join(known)}")
    problems: list[str] = []
    for figure in chosen:
        if options.action == "list":
            print(f"{figure.name}: quick {len(figure.quick)} cells, paper {len(figure.paper)} cells")
        elif options.action == "store":
            figure.store()
            print(f"stored {os.path.relpath(figure.path)}")
        elif figure.path.is_file():
            problems += figure.check(
                budget=options.seconds, restamp=options.restamp, rng=np.random.default_rng()
            )
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(importlib.import_module("companion.sweep").main())
