"""Sweeps: streams, resumption, stored results that are checked, and intervals that cover."""

import dataclasses
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import psutil
import pytest
from scipy import stats

from companion import sweep
from companion.ledger import LEVEL, LedgerError
from companion.sweep import (
    Sweep,
    grid,
    mean_interval,
    proportion_interval,
    slope_interval,
)

MODULE = '''
"""An experiment."""
import numpy as np
from companion.sweep import Sweep, grid
from nnmoments.hermite import hermite_polynomial

CALLS = []

def _trial(*, n, trial, rng):
    """One cell."""
    CALLS.append((n, trial))
    draws = rng.standard_normal(n)
    return {"mean": draws.mean(), "draws": draws[:2], "kind": "normal", "time": np.float64(len(CALLS))}

figure = Sweep(
    "00-example", _trial, quick=grid(n=[5, 6], trial=range(2)), paper=grid(n=[5, 6, 7], trial=range(3)),
    volatile=["time"],
)
'''


@pytest.fixture
def example(tmp_path, monkeypatch):
    """An experiment module of its own in a fresh project."""
    (tmp_path / "book" / "claims").mkdir(parents=True)
    (tmp_path / "sweep_example.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.delitem(sys.modules, "sweep_example", raising=False)
    yield importlib.import_module("sweep_example")
    sys.modules.pop("sweep_example", None)


def _document(figure):
    return json.loads(figure.path.read_text(encoding="utf-8"))


def _check(figure, *, budget=1e9, restamp=False):
    return figure.check(budget=budget, restamp=restamp, rng=np.random.default_rng(0))


# --- cells and streams ------------------------------------------------------------------------------


def test_grid_is_the_product_of_its_axes():
    assert grid(a=[1, 2], b="xy") == [{"a": a, "b": b} for a in (1, 2) for b in "xy"]
    assert grid() == [{}]


def _draw(*, rng, **cell):
    return {"value": rng.random()}


def test_streams_depend_on_the_cell_alone():
    small = Sweep("f", _draw, quick=grid(d=[2], n=[1]), paper=grid(d=[1, 2], n=[1, 2]))
    reordered = Sweep("f", _draw, quick=[{"n": 1, "d": 2}], paper=[])
    value = small.rng({"d": 2, "n": 1}, seed=3).random()
    assert reordered.rng({"n": 1, "d": 2}, seed=3).random() == value
    assert small.rng({"d": np.int64(2), "n": 1}, seed=3).random() == value


def test_streams_differ_between_cells_seeds_and_sweeps():
    draws = [
        Sweep(name, _draw, quick=[], paper=[]).rng(cell, seed=seed).random()
        for name, seed, cell in itertools.product(
            ["f", "g"], [0, 1], grid(d=[1, 2], n=[1, 2], kind=["1", "2"], trial=range(5))
        )
    ]
    assert len(set(draws)) == len(draws)
    assert stats.kstest(draws, "uniform").pvalue > 1e-6


def test_streams_are_the_same_everywhere():
    # Frozen on purpose: stored results were drawn from these streams.
    figure = Sweep("00-frozen", _draw, quick=[], paper=[])
    assert figure.rng({"n": 10, "trial": 0}, seed=0).integers(1 << 30) == 1045972319


def test_a_cell_is_the_same_in_any_grid_order_and_number_of_jobs(example):
    figure = example.figure
    quick, paper = figure.run("quick", seed=1, n_jobs=1), figure.run("paper", seed=1, n_jobs=1)
    assert list(quick.columns) == ["n", "trial", "mean", "draws", "kind", "time"]
    assert [tuple(row) for row in quick[["n", "trial"]].to_numpy()] == [(5, 0), (5, 1), (6, 0), (6, 1)]
    merged = quick.merge(paper, on=["n", "trial"])
    assert len(merged) == 4
    assert (merged.mean_x == merged.mean_y).all()
    assert merged.draws_x.tolist() == merged.draws_y.tolist()
    outputs, seconds = figure.run_cell({"n": 6, "trial": 1}, seed=1)
    assert outputs["mean"] == quick["mean"][3]
    assert seconds >= 0
    with joblib.parallel_config("threading"):
        threads = figure.run("quick", seed=1, n_jobs=2)
    pd.testing.assert_frame_equal(threads.drop(columns="time"), quick.drop(columns="time"))


def test_processes_give_the_same_cells(example):
    serial = example.figure.run("quick", seed=2, n_jobs=1).drop(columns="time")
    parallel = example.figure.run("quick", seed=2, n_jobs=2).drop(columns="time")
    pd.testing.assert_frame_equal(parallel, serial)


def test_presets_are_two(example):
    with pytest.raises(ValueError, match="preset must be one of 'quick', 'paper', got 'large'"):
        example.figure.run("large")


def test_outputs_are_plain_and_rounded_to_ten_digits():
    def trial(*, rng):
        return {
            "x": np.float64(1 / 3),
            "n": np.int64(3),
            "ok": np.bool_(True),
            "table": (np.array([2 / 3, 1.0]), [1]),
            "text": "a",
        }

    outputs, _ = Sweep("f", trial, quick=[], paper=[]).run_cell({}, seed=0)
    assert outputs == {
        "x": 0.3333333333,
        "n": 3,
        "ok": True,
        "table": [[0.6666666667, 1.0], [1]],
        "text": "a",
    }
    assert type(outputs["n"]) is int
    assert type(outputs["ok"]) is bool


# --- resuming ---------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_where_it_stopped(example):
    figure = example.figure
    whole = figure.run("paper", seed=0, n_jobs=1)
    (checkpoint,) = (figure.path.parents[2] / "_build" / "sweeps").iterdir()
    lines = checkpoint.read_text(encoding="utf-8").splitlines()
    # As after a kill: five cells done, the sixth half written.
    kept = [line for line in lines if line][:6]
    checkpoint.write_text("\n".join(kept[:5]) + "\n" + kept[5][:20], encoding="utf-8")
    example.CALLS.clear()
    resumed = figure.run("paper", seed=0, n_jobs=1)
    assert len(example.CALLS) == 4
    pd.testing.assert_frame_equal(resumed.drop(columns="time"), whole.drop(columns="time"))
    # The torn line did not swallow the first new one: nothing is left to do.
    example.CALLS.clear()
    figure.run("paper", seed=0, n_jobs=1)
    assert not example.CALLS


def test_a_failing_cell_keeps_what_was_done(example, monkeypatch):
    figure = example.figure

    def failing(*, n, trial, rng):
        if (n, trial) == (6, 1):
            raise RuntimeError("interrupted")
        return example._trial(n=n, trial=trial, rng=rng)

    failing.__module__, failing.__qualname__ = example.__name__, "_trial"  # to all appearances the same
    broken = Sweep(figure.name, failing, quick=figure.quick, paper=figure.paper)
    with pytest.raises(RuntimeError, match="interrupted"):
        broken.run("paper", seed=0, n_jobs=1)
    done = len(example.CALLS)
    assert done == 4
    figure.run("paper", seed=0, n_jobs=1)
    assert len(example.CALLS) == 9  # the four were not run again


def test_checkpoints_of_other_seeds_and_sources_are_not_used(example, tmp_path, monkeypatch):
    figure = example.figure
    figure.run("paper", seed=0, n_jobs=1)
    figure.run("paper", seed=1, n_jobs=1)
    assert len(example.CALLS) == 18
    monkeypatch.setattr(Sweep, "source_hash", lambda self: "0" * 64)
    figure.run("paper", seed=0, n_jobs=1)
    assert len(example.CALLS) == 27
    figure.run("quick", seed=0, n_jobs=1)
    assert len(list((tmp_path / "_build" / "sweeps").iterdir())) == 3  # quick runs leave none


def _waits(*, trial, rng):
    time.sleep(0.3)
    return {"value": 0.0}


def test_seconds_are_the_processors():
    """What else runs on the machine, and takes its time, is not the cell's cost."""
    assert Sweep("f", _waits, quick=[], paper=[]).run_cell({"trial": 0}, seed=0)[1] < 0.1


# --- stored results ---------------------------------------------------------------------------------


def test_store_then_check_then_tamper(example, capsys):
    figure = example.figure
    with pytest.raises(
        FileNotFoundError, match=r"00-example.json is not stored yet; run `python -m companion"
    ):
        figure.stored()
    figure.store(n_jobs=1)
    assert not list(figure.path.parent.glob("*.partial"))
    frame = figure.stored()
    assert len(frame) == 9
    assert frame["mean"].tolist() == figure.run("paper", seed=0, n_jobs=1)["mean"].tolist()
    provenance = _document(figure)["provenance"]
    assert (provenance["preset"], provenance["seeds"], provenance["cells"]) == ("paper", [0], 9)
    assert provenance["parameters"] == ["n", "trial"]
    assert provenance["source_hash"] == figure.source_hash()
    assert provenance["versions"]["numpy"] == np.__version__

    assert _check(figure) == []
    assert "00-example: 9 of 9 cells recomputed, 0 differ" in capsys.readouterr().out

    document = _document(figure)
    document["columns"]["mean"][4] *= 1.0 + 2e-6
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    (problem,) = _check(figure)
    assert "mean at {'n': 6, 'trial': 1}, seed 0 is" in problem
    document["columns"]["mean"][4] /= 1.0 + 1.5e-6  # within rtol = 1e-6 again
    document["columns"]["time"][0] += 100.0  # volatile
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert _check(figure) == []
    document["columns"]["draws"][8][1] += 1.0
    document["columns"]["kind"][0] = "uniform"
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert len(_check(figure)) == 2


def test_seeds_are_stored_side_by_side_and_each_is_checked(example):
    figure = example.figure
    figure.store([0, 2], n_jobs=1)
    figure.store([1], n_jobs=1)  # the others are kept
    assert len(example.CALLS) == 27
    assert figure.seeds() == [0, 1, 2]
    fresh = [figure.run("paper", seed=seed, n_jobs=1)["mean"].tolist() for seed in range(3)]
    assert [figure.stored(seed)["mean"].tolist() for seed in range(3)] == fresh
    assert len({mean for means in fresh for mean in means}) == 27
    assert "seed" not in figure.stored()
    pooled = figure.pooled()
    assert pooled["mean"].tolist() == [mean for means in fresh for mean in means]
    assert pooled["seed"].tolist() == [seed for seed in range(3) for _ in range(9)]
    assert figure.stored(4)["mean"].tolist() == fresh[1]  # a seed that is not stored gets one that is
    assert _check(figure) == []
    document = _document(figure)
    assert document["columns"]["seed"] == [seed for seed in range(3) for _ in range(9)]
    document["columns"]["mean"][20] += 1.0
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    (problem,) = _check(figure)
    assert "seed 2 is" in problem
    document["columns"]["seed"][20] = 1
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert _check(figure) == ["00-example: the stored cells are not those of the paper preset"]


def test_seeds_of_another_source_are_not_mixed(example):
    figure = example.figure
    figure.store([0, 1], n_jobs=1)
    document = _document(figure)
    document["provenance"]["source_hash"] = "older"
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(LedgerError, match=r"since seeds \[0\] were stored"):
        figure.store([1], n_jobs=1)
    assert _document(figure) == document
    figure.store(n_jobs=1)  # all that are stored
    assert figure.seeds() == [0, 1]
    assert _check(figure) == []


def test_check_refuses_a_stored_result_of_other_cells(example):
    figure = example.figure
    figure.store(n_jobs=1)
    document = _document(figure)
    document["columns"]["trial"][0] = 17
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert _check(figure) == ["00-example: the stored cells are not those of the paper preset"]


def test_a_stale_hash_is_refused_with_the_command_and_restamped_by_a_sample(example):
    figure = example.figure
    figure.store(n_jobs=1)
    document = _document(figure)
    document["provenance"]["source_hash"] = "older"
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    (problem,) = _check(figure)
    assert "source has changed" in problem
    assert "`python -m companion.sweep store 00-example`" in problem
    assert "`python -m companion.sweep check --restamp 00-example`" in problem
    assert _document(figure) == document  # refusing changes nothing

    wrong = json.loads(json.dumps(document))
    wrong["columns"]["mean"][0] += 1.0
    figure.path.write_text(json.dumps(wrong), encoding="utf-8")
    assert len(_check(figure, restamp=True)) == 1
    assert _document(figure)["provenance"]["source_hash"] == "older"

    figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert _check(figure, restamp=True) == []
    stamped = _document(figure)["provenance"]
    assert stamped["source_hash"] == figure.source_hash()
    assert stamped["restamped"]["cells_recomputed"] == 9
    assert _check(figure) == []


def test_check_stays_within_its_budget(example, capsys):
    figure = example.figure
    figure.store(n_jobs=1)
    document = _document(figure)
    document["seconds"] = [1.0] * 8 + [100.0]
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert _check(figure, budget=3.5) == []
    assert "3 of 9 cells" in capsys.readouterr().out
    # One cell of median cost is looked at even if the budget is smaller than that.
    example.CALLS.clear()
    assert _check(figure, budget=0.1) == []
    assert "1 of 9 cells" in capsys.readouterr().out
    assert example.CALLS[0] != (7, 2)


def test_a_store_that_fails_leaves_the_old_result(example, monkeypatch):
    figure = example.figure
    figure.store(n_jobs=1)
    before = figure.path.read_bytes()

    def torn(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(type(figure.path), "replace", torn)
    with pytest.raises(OSError, match="disk full"):
        figure.store(n_jobs=1)
    assert figure.path.read_bytes() == before


ROOT = Path(__file__).resolve().parents[2]


def _strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_null_stands_where_there_is_no_number(example, tmp_path):
    def trial(*, n, rng):
        return {"x": np.nan if n == 1 else 1.0, "pair": [np.nan, float(n)], "kind": "a"}

    trial.__module__ = example.__name__
    own = Sweep("holes", trial, quick=grid(n=[1, 2]), paper=grid(n=[1, 2]), folder=tmp_path / "mine")
    own.store(n_jobs=1)
    document = _strict(own.path.read_text(encoding="utf-8"))
    assert document["columns"]["x"] == [None, 1.0]
    stored, live = own.stored(), own.run("quick", n_jobs=1)
    pd.testing.assert_frame_equal(stored, live)
    np.testing.assert_equal(stored["pair"].tolist(), [[np.nan, 1.0], [np.nan, 2.0]])
    assert _check(own) == []  # nothing where there was nothing
    document["columns"]["x"][0] = 1.0
    own.path.write_text(json.dumps(document), encoding="utf-8")
    assert len(_check(own)) == 1
    (checkpoint,) = (tmp_path / "mine" / "unfinished").iterdir()
    for line in filter(None, checkpoint.read_text(encoding="utf-8").splitlines()):
        _strict(line)
    pd.testing.assert_frame_equal(own.run("paper", n_jobs=1), live)  # from the checkpoint


def test_infinite_outputs_are_not_stored(example, tmp_path):
    own = Sweep("f", lambda *, rng: {"x": np.inf}, quick=[{}], paper=[{}], folder=tmp_path)
    with pytest.raises(ValueError, match="an output is infinite, which cannot be stored; return NaN"):
        own.store(n_jobs=1)


@pytest.mark.parametrize("path", sorted((ROOT / "book" / "results").glob("*.json")), ids=lambda p: p.stem)
def test_the_books_results_are_strict_json(path):
    _strict(path.read_text(encoding="utf-8"))


# --- outside a checkout -----------------------------------------------------------------------------

# Trials that live in no module: two processes, a stored result, a check. What a trial is made of
# changes its hash; a remark does not, where the source can be had.
OWN = """
import numpy as np
from companion.sweep import Sweep, grid
from nnmoments import hermite
SIZE = 3
def helper(draws):
    return hermite.hermite_polynomial(2, draws)[:SIZE].sum()
def trial(*, n, trial, rng):
    return {"value": helper(rng.standard_normal(n))}
own = Sweep("own", trial, quick=grid(n=[5], trial=range(2)), paper=grid(n=[5], trial=range(3)), folder="kept")
first = own.run("quick", n_jobs=2)
assert first.equals(own.run("quick", n_jobs=1))
own.store(n_jobs=1)
assert len(own.stored()) == 3
assert own.check(budget=9.0, restamp=False, rng=np.random.default_rng(0)) == []
print("well")
"""


@pytest.mark.parametrize("kind", ["script", "console", "notebook"])
def test_a_trial_may_live_in_no_module(tmp_path, kind):
    if kind == "script":
        (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
        command = [sys.executable, "mine.py"]
    elif kind == "console":
        command = [sys.executable, "-c", OWN]
    else:
        shell = "from IPython.core.interactiveshell import InteractiveShell\n"
        command = [sys.executable, "-c", f"{shell}InteractiveShell.instance().run_cell({OWN!r})"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib"), "IPYTHONDIR": str(tmp_path / "ipython")}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.split()[-1:] == ["well"], run.stdout + run.stderr
    assert (tmp_path / "kept" / "own.json").is_file()
    assert len(list((tmp_path / "kept" / "unfinished").iterdir())) == 1


def test_the_hash_of_a_function_without_a_file_follows_what_it_names():
    def enclosed(constant):
        def trial(*, rng):
            return constant * rng.random()

        trial.__module__ = "nowhere"
        return trial

    trials = [enclosed(1), enclosed(2)]
    text = """
def helper(rng):
    return C{}
class Kept:
    def __call__(self, rng):
        return {}
"""
    for constant, remark, body in itertools.product(
        [1, 2], ["", "  # a"], ["helper(rng)", "helper(rng) + 1"]
    ):
        scope = {"__name__": "nowhere", "C": constant}
        exec(text.format(remark, body), scope)
        trials.append(scope["Kept"]())
    hashes = [Sweep("f", trial, quick=[], paper=[]).source_hash() for trial in trials]
    assert len(set(hashes)) == 2 + 4


def test_without_a_folder_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lost = Sweep("lost", _draw, quick=[], paper=[])
    with pytest.raises(LedgerError, match=r"no book/claims folder .* or say `folder=` of the sweep 'lost'"):
        lost.stored()
    own = Sweep("own", _draw, quick=[], paper=[], folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"own.json is not stored yet; run its `store\(\)`"):
        own.stored()


def test_a_read_only_folder_is_named(example, monkeypatch, tmp_path, capsys):
    figure = example.figure
    monkeypatch.setattr(sweep, "sweeps", lambda: {"00-example": figure})
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    for call in (lambda: figure.store(n_jobs=1), lambda: figure.run("paper", n_jobs=1)):
        with pytest.raises(LedgerError, match=r"cannot be written \(it is read-only\): make it writable"):
            call()
    assert not example.CALLS  # said before anything is run
    assert sweep.main(["store", "00"]) == 1
    assert "cannot be written" in capsys.readouterr().err
    monkeypatch.undo()
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(LedgerError, match="taken cannot be written"):
        Sweep("own", _draw, quick=[], paper=[], folder=tmp_path / "taken").store(n_jobs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a/b"}, "name must be a file's name without a folder, got 'a/b'"),
        ({"name": ""}, "name must be"),
        ({"name": None}, "name must be"),
        ({"trial": 3}, "trial must be callable, got 3"),
        ({"quick": {"n": 1}}, "quick must be a list of dicts"),
        ({"paper": [1]}, "paper must be a list of dicts"),
        ({"rtol": 0.0}, "rtol must be a number above 0"),
        ({"rtol": np.nan}, "rtol must be"),
        ({"folder": 3}, "folder must be a path, got 3"),
    ],
)
def test_sweeps_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sweep(**{"name": "f", "trial": _draw, "quick": [], "paper": []} | arguments)


def test_trials_grids_and_seeds_are_checked(example):
    taken = dataclasses.replace(example.figure, trial=lambda *, n, trial, rng: {"n": 1.0, "seed": 2.0})
    with pytest.raises(ValueError, match=r"outputs must not be named like parameters, got \['n', 'seed'\]"):
        taken.run("quick", n_jobs=1)
    with pytest.raises(ValueError, match="the trial must return a dict of outputs, got 3"):
        Sweep("f", lambda *, rng: 3, quick=[{}], paper=[]).run("quick", n_jobs=1)
    with pytest.raises(ValueError, match="n must be a list of values, got 5"):
        grid(n=5)
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        example.figure.run("quick", seed=-1)


# --- intervals --------------------------------------------------------------------------------------


def test_mean_interval_is_students():
    values = np.array([1.0, 2.0, 4.0, 7.0])
    mean, low, high = mean_interval(values, level=0.95)
    expected = stats.t.interval(0.95, 3, loc=3.5, scale=values.std(ddof=1) / 2.0)
    assert mean == 3.5
    np.testing.assert_allclose((low, high), expected)
    assert mean_interval(values)[2] == pytest.approx(mean_interval(values, level=LEVEL)[2])


def test_mean_interval_covers():
    # 1000 intervals at 90 % from 5 values: binomial test at 1e-6.
    draws = np.random.default_rng(0).standard_normal((1000, 5))
    covered = sum(low <= 0.0 <= high for _, low, high in (mean_interval(v, level=0.9) for v in draws))
    assert stats.binomtest(covered, 1000, 0.9).pvalue > 1e-6


def test_slope_interval_covers_the_exponent():
    rng = np.random.default_rng(1)
    sizes = np.array([10.0, 20.0, 50.0, 100.0])
    covered = 0
    for _ in range(500):
        values = 3.0 * sizes[:, None] ** -0.5 * np.exp(0.2 * rng.standard_normal((4, 6)))
        slope, low, high = slope_interval(sizes, values, level=0.9)
        assert low < slope < high
        covered += low <= -0.5 <= high
    assert stats.binomtest(covered, 500, 0.9).pvalue > 1e-6
    exact, low, high = slope_interval(sizes, np.column_stack([2.0 * sizes**1.5] * 2))
    np.testing.assert_allclose([exact, low, high], 1.5)


def test_proportion_interval_is_clopper_pearson():
    share, low, high = proportion_interval(3, 20, level=0.9)
    assert share == 0.15
    assert stats.binom.sf(2, 20, low) == pytest.approx(0.05)
    assert stats.binom.cdf(3, 20, high) == pytest.approx(0.05)
    assert proportion_interval(0, 5)[1] == 0.0
    assert proportion_interval(np.int64(5), 5)[2] == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([1.0]), "values must be at least two for an interval, got 1"),
        (lambda: mean_interval([[1.0, 2.0]]), "values must have 1 axes"),
        (lambda: mean_interval([1.0, 2.0], level=1.0), "level must be a number above 0.0 and below 1.0"),
        (lambda: mean_interval([1.0, np.nan]), "values holds NaN"),
        (lambda: slope_interval([1.0, 2.0], [[1.0, 2.0]]), r"values must have shape \(2, any\)"),
        (lambda: slope_interval([1.0, 0.0], np.ones((2, 2))), "sizes and values must be positive"),
        (lambda: slope_interval([1.0, 2.0], -np.ones((2, 2))), "sizes and values must be positive"),
        (lambda: slope_interval([3.0, 3.0], np.ones((2, 2))), "sizes must hold at least two different"),
        (lambda: proportion_interval(3, 2), "successes must be an integer from 0 to 2, got 3"),
        (lambda: proportion_interval(0, 0), "trials must be an integer from 1"),
    ],
)
def test_intervals_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- other processors, and runs that are killed -----------------------------------------------------

BASINS = """
import os
from companion.sweep import Sweep, grid
def _trial(*, trial, rng):
    elsewhere = trial in eval(os.environ.get("ELSEWHERE", "()"))
    return {"end": float(elsewhere), "path": 1.0 + float(os.environ.get("DRIFT", "0"))}
figure = Sweep(
    "00-basins", _trial, quick=[], paper=grid(trial=range(100)), sensitivity=1e-3, chaotic=0.05
)
"""


@pytest.mark.parametrize(("drift", "tolerated"), [(5e-4, True), (5e-3, False)])
def test_rounding_on_another_processor_may_be_multiplied(example, tmp_path, monkeypatch, drift, tolerated):
    (tmp_path / "sweep_example.py").write_text(BASINS, encoding="utf-8")
    figure = importlib.reload(example).figure
    figure.store(n_jobs=1)
    here = _document(figure)["provenance"]["versions"]["blas"]
    assert here
    for made_on in (here, "Another", None):
        document = _document(figure)
        document["provenance"].pop("restamped", None)
        document["provenance"]["versions"]["blas"] = made_on
        document["provenance"]["source_hash"] = "stale"
        figure.path.write_text(json.dumps(document), encoding="utf-8")
        monkeypatch.setenv("DRIFT", str(drift))
        assert bool(_check(figure, restamp=True)) is not (tolerated and made_on in ("Another", None))
        if tolerated and made_on in ("Another", None):  # still what it was made on, or not known
            assert _document(figure)["provenance"]["restamped"]["versions"]["blas"] == made_on
        monkeypatch.delenv("DRIFT")
        figure.path.write_text(json.dumps(document), encoding="utf-8")
        assert not _check(figure, restamp=True)
        shown = _document(figure)["provenance"]["restamped"]["versions"]["blas"]
        assert shown == (made_on or here)


@pytest.mark.parametrize(("elsewhere", "tolerated"), [(1, True), (10, True), (30, False)])
def test_chaotic_cells_may_end_elsewhere_on_another_processor_only(
    example, tmp_path, monkeypatch, capsys, elsewhere, tolerated
):
    (tmp_path / "sweep_example.py").write_text(BASINS, encoding="utf-8")
    figure = importlib.reload(example).figure
    figure.store(n_jobs=1)
    monkeypatch.setenv("ELSEWHERE", str((*range(elsewhere), -1)))
    assert len(_check(figure)) == elsewhere  # the same processor
    document = _document(figure)
    document["provenance"]["versions"]["blas"] = "Another"
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert len(_check(figure)) == (0 if tolerated else elsewhere)
    assert ("cells end elsewhere, as they may" in capsys.readouterr().out) is tolerated
    # A change of the source may have done it: then they are stored anew, not stamped.
    document["provenance"]["source_hash"] = "older"
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert len(_check(figure, restamp=True)) == elsewhere
    assert _document(figure) == document


def _threads(*, trial, rng):
    return {"threads": max(pool["num_threads"] for pool in sweep.threadpool_info())}


def test_a_cell_has_one_thread_however_many_the_shell_allows(tmp_path):
    """The order in which two threads sum decides where some of the stored descents end."""
    cells = grid(trial=range(2))
    figure = Sweep("threads", _threads, cells, cells, folder=tmp_path)
    with sweep.threadpool_limits(2):
        assert _threads(trial=0, rng=None)["threads"] == 2
        assert list(figure.run(n_jobs=1)["threads"]) == [1, 1]
        assert _threads(trial=0, rng=None)["threads"] == 2


def test_the_processor_is_the_one_that_numpy_sees(example, monkeypatch):
    """SCS, under cvxpy, brings a BLAS of its own, and scikit-learn OpenMP: loaded or not, the name is one."""
    pools = sweep.threadpool_info()
    other = {"user_api": "blas", "architecture": "Older", "filepath": "/x/scs.libs/libopenblas.so"}
    threads = {"user_api": "openmp", "filepath": "/x/scikit_learn.libs/libgomp.so"}
    example.figure.store(n_jobs=1)
    plain = _document(example.figure)["provenance"]["versions"]["blas"]
    monkeypatch.setattr(sweep, "threadpool_info", lambda: [*pools, other, threads])
    example.figure.store(n_jobs=1)
    assert _document(example.figure)["provenance"]["versions"]["blas"] == plain
    assert plain


KINDS = """
import os
from companion.sweep import Sweep, grid
def _trial(*, method, n, trial, rng):
    changed = os.environ.get("CHANGED") == f"{method} {n}"
    return {"mean": rng.standard_normal() + changed}
figure = Sweep("00-kinds", _trial, quick=[], paper=grid(method=["old", "new"], n=[10, 100], trial=range(50)))
"""


@pytest.mark.parametrize("changed", ["old 10", "new 100"])
def test_a_stamp_needs_a_cell_of_each_kind(example, tmp_path, monkeypatch, changed):
    """A change that touches one method at one size is seen, although its cells are dear."""
    (tmp_path / "sweep_example.py").write_text(KINDS, encoding="utf-8")
    figure = importlib.reload(example).figure
    figure.store(n_jobs=1)
    document = _document(figure)
    document["provenance"]["source_hash"] = "older"
    document["seconds"] = [1.0 if row["n"] == 10 else 100.0 for row in sweep.document_rows(document)]
    figure.path.write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setenv("CHANGED", changed)
    (problem,) = _check(figure, budget=0.0, restamp=True)
    assert str(changed.split()[0]) in problem
    monkeypatch.delenv("CHANGED")
    assert _check(figure, budget=0.0, restamp=True) == []
    assert _document(figure)["provenance"]["restamped"]["cells_recomputed"] == 4


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from companion.sweep import Sweep, grid
def _trial(*, trial, rng):
    value = rng.random()
    with open("started", "a") as log:
        log.write(f"{trial}\\n")
    time.sleep(0.005)
    return {"value": value, "bulk": [value] * 500}
figure = Sweep("00-killed", _trial, quick=[], paper=grid(trial=range(60)), folder="results")
if __name__ == "__main__":
    import killed
    after = float(sys.argv[1])
    threading.Thread(target=lambda: (time.sleep(after), os.kill(os.getpid(), signal.SIGKILL))).start()
    killed.figure.store(n_jobs=1)
    os._exit(0)
"""


def test_a_run_that_is_killed_loses_one_cell_at_most(tmp_path, monkeypatch):
    """kill -9 at random times: nothing half-written, and the next run goes on and is right."""
    (tmp_path / "killed.py").write_text(KILLED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    seed = np.random.SeedSequence().entropy
    print(f"seed {seed}")
    killed = 0
    for after in np.random.default_rng(seed).uniform(0.0, 0.25, size=4):
        run = subprocess.run([sys.executable, "killed.py", str(after)], cwd=tmp_path, check=False)
        killed += run.returncode != 0
        for path in (tmp_path / "results").glob("*.json"):
            json.loads(path.read_text())
    figure = importlib.import_module("killed").figure
    figure.store(n_jobs=1)
    started = (tmp_path / "started").read_text().splitlines()
    assert set(map(int, started)) == set(range(60))
    assert len(started) <= 60 + killed
    fresh = [figure.run_cell(cell, seed=0)[0]["value"] for cell in figure.paper]
    assert figure.stored()["value"].tolist() == fresh


ENDED = """
import os, signal, sys, time
from pathlib import Path
from companion import sweep
def _trial(*, trial, rng):
    Path(f"worker-{os.getpid()}").touch()
    time.sleep(600.0)
figure = sweep.Sweep("00-ended", _trial, quick=[], paper=sweep.grid(trial=range(2)), folder="results")
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, sweep.end)
    import ended
    ended.figure.store(n_jobs=2)
"""


def test_a_run_that_is_ended_leaves_no_worker_behind(tmp_path):
    (tmp_path / "ended.py").write_text(ENDED, encoding="utf-8")
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    run = subprocess.Popen([sys.executable, "ended.py"], cwd=tmp_path, env=os.environ | paths)
    try:
        deadline = time.monotonic() + 120.0
        while len(workers := list(tmp_path.glob("worker-*"))) < 2:
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        below = [psutil.Process(int(path.name.split("-")[1])) for path in workers]
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=60) == 128 + signal.SIGTERM
        _, alive = psutil.wait_procs(below, timeout=5.0)
        assert not alive
    finally:
        run.kill()


# --- command line -----------------------------------------------------------------------------------


def test_command_line_lists_stores_and_checks(example, monkeypatch, capsys):
    other = Sweep("01-other", example._trial, quick=example.figure.quick, paper=example.figure.paper[:2])
    monkeypatch.setattr(sweep, "sweeps", lambda: {"00-example": example.figure, "01-other": other})
    assert sweep.main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "00-example: quick 4 cells, paper 9 cells",
        "01-other: quick 4 cells, paper 2 cells",
    ]
    with joblib.parallel_config("threading"):
        assert sweep.main(["store", "00"]) == 0
    assert capsys.readouterr().out == "stored book/results/00-example.json\n"
    assert not other.path.exists()
    assert sweep.main(["check"]) == 0  # what is not stored yet is not checked
    document = _document(example.figure)
    document["columns"]["mean"] = [0.5] * 9
    example.figure.path.write_text(json.dumps(document), encoding="utf-8")
    assert sweep.main(["check", "00-example", "--seconds", "60"]) == 1
    assert capsys.readouterr().err.count("stored 0.5") == 9
    with pytest.raises(SystemExit):
        sweep.main(["check", "02"])
    assert "no such sweep: 02; known: 00-example, 01-other" in capsys.readouterr().err


def test_sweeps_are_found_by_name(monkeypatch, tmp_path):
    package = types.ModuleType("companion.experiments")
    package.__path__ = [str(tmp_path)]
    (tmp_path / "sample_chapter.py").write_text(
        "from companion.sweep import Sweep\n"
        "second = Sweep('09-b', print, quick=[], paper=[])\n"
        "first = Sweep('09-a', print, quick=[], paper=[])\n",
        encoding="utf-8",
    )
    monkeypatch.setitem(sys.modules, "companion.experiments", package)
    importlib.invalidate_caches()
    try:
        assert list(sweep.sweeps()) == ["09-a", "09-b"]
    finally:
        sys.modules.pop("companion.experiments.sample_chapter", None)


def test_all_is_what_there_is():
    assert all(hasattr(sweep, name) for name in sweep.__all__)
