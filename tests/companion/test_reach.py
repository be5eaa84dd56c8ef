"""What a trial reaches: all that it runs, and not what it leaves alone."""

import functools
import importlib
import linecache
import sys

import pytest

from companion.reach import reached, source_hash
from companion.sweep import sweeps

FILES = {
    "__init__": "from package.shared import scaled, unused\n",
    "late": "def value():\n    return 1.0\n",
    "shared": """
SCALE = 2.0
OTHER = 3.0
RULES = {}


def scaled(x):
    \"\"\"Scale.\"\"\"
    # a comment
    return SCALE * x


def unused(x):
    return OTHER * x


RULES["late"] = scaled
""",
    "trials": """
from package import scaled


def trial(rng):
    from package import late

    return {"value": scaled(1.0) + late.value()}


def another(rng):
    return {}
""",
}


@pytest.fixture
def trial_after(tmp_path, monkeypatch):
    """Return a user's trial after a change of one of the files of its package."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "package").mkdir()

    def forget():
        for name in [name for name in sys.modules if name.split(".")[0] == "package"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        linecache.clearcache()

    def trial_after(module="late", old="", new="", name="trial"):
        assert old in FILES[module]
        for file, text in FILES.items():
            text = text.replace(old, new) if file == module and old else text
            (tmp_path / "package" / f"{file}.py").write_text(text, encoding="utf-8")
        forget()
        return getattr(importlib.import_module("package.trials"), name)

    yield trial_after
    forget()


@pytest.mark.parametrize(
    ("module", "old", "new", "stale"),
    [
        ("shared", "SCALE * x", "SCALE * x + 0.0", True),
        ("shared", "SCALE = 2.0", "SCALE = 4.0", True),
        ("shared", '"late"] = scaled', '"late"] = unused', True),
        ("late", "1.0", "2.0", True),
        ("trials", "scaled(1.0)", "scaled(2.0)", True),
        (
            "__init__",
            "shared import scaled, ",
            "late import value as scaled\nfrom package.shared import ",
            True,
        ),
        ("shared", "OTHER * x", "OTHER + x", False),
        ("trials", "return {}", "return {'value': 1.0}", False),
        ("shared", "# a comment", "# another", False),
        ("shared", "Scale.", "Twice.", False),
        ("__init__", "scaled, unused", "unused, scaled", False),
    ],
)
def test_a_change_makes_stale_what_it_can_touch_and_nothing_else(trial_after, module, old, new, stale):
    before = source_hash(trial_after())
    assert (source_hash(trial_after(module, old, new)) != before) is stale


def test_what_a_partial_holds_is_reached(trial_after):
    def held(*change):
        return functools.partial(trial_after(*change, name="another"), rule=trial_after(*change))

    alone, with_rule = source_hash(trial_after(name="another")), source_hash(held())
    assert alone != with_rule != source_hash(held("shared", "SCALE * x", "SCALE + x"))


def test_the_library_is_followed_to_what_is_named():
    # Else a change of one learner would make all figures stale that use another.
    found = reached([("nnmoments.learners", "SufficientReduction")])
    assert {"nnmoments.learners.reduction", "nnmoments.moments.estimate"} <= set(found)
    assert not {"nnmoments", "nnmoments.learners", "nnmoments.learners.tensor_network"} & set(found)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cross_moment", "nnmoments.moments.estimate"),
        ("relu", "nnmoments.activations"),
        ("linalg", "nnmoments.linalg"),
        (None, "nnmoments.sparse.programme"),
    ],
)
def test_the_front_door_is_followed(name, wanted):
    assert wanted in reached([("nnmoments", name)])


def test_what_is_not_imported_yet_is_found():
    kept = sys.modules.pop("nnmoments.structured.cuts", None)
    try:
        assert "nnmoments.structured.cuts" in reached([("nnmoments.structured", "cuts")])
    finally:
        if kept is not None:
            sys.modules["nnmoments.structured.cuts"] = kept


@pytest.mark.parametrize(
    "name",
    [
        "01-control-variates",
        "01-coverage",
        "02-beyond",
        "03-rate",
        "04-simultaneous",
        "05-even",
        "06-degrees",
        "06-dimensions",
        "07-real-data",
        "08-limits",
    ],
)
def test_all_that_a_trial_runs_is_reached(name):
    figure = sweeps()[name]
    trial = figure.trial
    known = reached([(trial.__module__, trial.__qualname__)])
    ran: set[tuple[str, str]] = set()

    def note(frame, event, _):
        if event == "call":
            ran.add((frame.f_globals.get("__name__", ""), frame.f_code.co_qualname.partition(".")[0]))

    cell = figure.cells("quick")[0]
    trial(**cell, rng=figure.rng(cell, seed=0))  # what runs at import is done
    rng = figure.rng(cell, seed=0)
    sys.setprofile(note)
    try:
        trial(**cell, rng=rng)
    finally:
        sys.setprofile(None)
    ours = {(module, name) for module, name in ran if module.split(".")[0] in ("nnmoments", "companion")}
    ours = {(module, name) for module, name in ours if not name.startswith(("<", "__create_fn__"))}
    assert len(ours) > 10
    assert not {(module, name) for module, name in ours if name not in known.get(module, ())}
