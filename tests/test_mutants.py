"""The mutants are run by hand (`python tests/mutants/run.py`); here only that each still applies."""

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def load(name, *needed):
    """Return a script of the folder `mutants`; the ones it imports are there while it is loaded."""
    spec = importlib.util.spec_from_file_location(name, HERE / "mutants" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for other in needed:
            patch.setitem(sys.modules, other.__name__, other)
        spec.loader.exec_module(module)
    return module


planted = load("mutants")
drawn = load("random_mutants", load("run", planted))

FORMULA = """
import math
_TOL = 1e-9
STEPS = 40
_LOW, _HIGH = 0.5, 8
def f(x: float, times: int = 3) -> float:
    \"\"\"Doubled: 2 x.\"\"\"
    if x < 0 and times == 4:
        raise ValueError(f"x must be positive, got {x + 1}")
    return -x * 2.0 + (x @ x) ** 3 - 1e-6
def __repr__(self):
    return "a" + str(1 + 2)
"""
CHANGES = {
    "and -> or",
    "< -> >=",
    "== -> !=",
    "4 -> 5",
    "- -> +",
    "* -> /",
    "2.0 -> 4.0",
    "+ -> -",
    "@ -> *",
    "** -> *",
    "3 -> 4",
}


def test_random_mutants_change_formulas_alone():
    """Each is valid Python with one change; tuning, messages and representations stay."""
    found = list(drawn.mutants(Path("formula.py"), FORMULA))
    assert {mutant.change for mutant in found} == CHANGES
    assert [mutant.change for mutant in found].count("- -> +") == 2
    for mutant in found:
        compile(mutant.text, "formula.py", "exec")
        old, new = mutant.change.split(" -> ")
        assert len(mutant.text) - len(FORMULA) == len(new) - len(old)
        assert mutant.text.count("_TOL = 1e-9") == mutant.text.count("times: int = 3") == 1


def test_random_mutants_are_many_and_compile():
    for path in sorted(drawn.LIBRARY.rglob("*.py"))[::8]:
        for mutant in list(drawn.mutants(path, path.read_text(encoding="utf-8")))[::10]:
            compile(mutant.text, str(path), "exec")


def test_random_mutants_meet_tests():
    packages = {path.relative_to(drawn.LIBRARY).parts[0] for path in drawn.LIBRARY.rglob("*.py")}
    known = {name.removesuffix(".py") for name in packages}
    assert set(drawn.USERS) <= known
    for package in drawn.USERS:
        assert drawn.tests_of(package), package


def test_random_mutants_meet_doctests_last():
    """A file that is collected before its package is imported twice, and its classes do not pickle."""
    for path in drawn.LIBRARY.rglob("*.py"):
        *tests, own = drawn.met_by(path)
        assert own == str(path.relative_to(drawn.ROOT))
        assert all(test.startswith("tests") for test in tests), path


@pytest.mark.parametrize("mutant", planted.MUTANTS, ids=lambda m: f"{m.module}: {m.slip}")
def test_mutant_applies(mutant):
    path, text = mutant.plant(HERE.parent / "lib")
    compile(text, str(path), "exec")
    assert (HERE.parent / mutant.tests).exists()
