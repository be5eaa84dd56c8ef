"""Every public function refuses what it cannot use: each argument in turn is replaced by something nasty.

The outcome must be a ValueError whose message names the argument, or a result without NaN and infinity.
Warnings are errors (pyproject.toml). A package joins by a table of `Case`s in tests/shared/fuzz: a valid
call each.
"""

import importlib
import pkgutil
import re

import numpy as np
import pytest

import fuzz
from fuzz.harness import check, label, nasty, numbers
from fuzz.ranges import RANGES
from nnmoments import activations

TABLES = [
    importlib.import_module(f"fuzz.{info.name}")
    for info in pkgutil.iter_modules(fuzz.__path__)
    if info.name not in ("harness", "ranges")
]
CALLS = {package: cases for table in TABLES for package, cases in table.CALLS.items()}
ABSTRACT = {package: names for table in TABLES for package, names in table.ABSTRACT.items()}

EVERY = [
    pytest.param(case, argument, id=f"{package}-{i}-{label(case)}-{argument}")
    for package, cases in CALLS.items()
    for i, case in enumerate(cases)
    for argument in case.arguments
    if argument not in case.keep
]


@pytest.mark.parametrize(("case", "argument"), EVERY)
def test_nasty_values_are_refused_by_name(case, argument):
    faults = []
    for kind, value in nasty(case.arguments[argument]).items():
        if kind == "function" and argument in case.trusted:
            continue
        try:
            check(case, argument, value)
        except Exception as error:
            faults.append(f"{kind}: {type(error).__name__}: {str(error)[:200]}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("package", CALLS)
def test_the_valid_calls_are_valid(package):
    for case in CALLS[package]:
        found = np.array(numbers(case.call(**case.arguments)))
        assert np.isfinite(found).all(), label(case)


@pytest.mark.parametrize("package", CALLS)
def test_nothing_public_is_left_out(package):
    module = importlib.import_module(f"nnmoments.{package}")
    instances = {n for n in module.__all__ if isinstance(getattr(module, n), activations.Activation)}
    called = {getattr(case.call, "__name__", "") for case in CALLS[package]}
    assert set(module.__all__) - instances - ABSTRACT.get(package, set()) <= called


@pytest.mark.parametrize("package", CALLS)
def test_messages_state_the_ranges_that_are_meant(package):
    """A bool is no number: it is refused first, by a message that says what is accepted."""
    faults = []
    for case in CALLS[package]:
        for argument, value in case.arguments.items():
            if type(value) not in (int, float) or argument in case.keep:
                continue
            try:
                case.call(**{**case.arguments, argument: True})
            except ValueError as error:
                said = re.search("must be an? (?:integer from |number )?(.*), got True$", str(error))
                ranges = RANGES.get(argument, {})
                named = [wanted for wanted, calls in ranges.items() if label(case) in calls.split()]
                if said and said[1] not in (named or list(ranges)[:1]):
                    faults.append(f"{label(case)}: {error}")
    assert not faults, "\n".join(faults)
