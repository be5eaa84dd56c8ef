"""The mutants are run by hand (`python tests/mutants/run.py`); here only that each still applies."""

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("mutants_list", HERE / "mutants" / "mutants.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.mark.parametrize("mutant", _module.MUTANTS, ids=lambda m: f"{m.module}: {m.slip}")
def test_mutant_applies(mutant):
    path, text = mutant.plant(HERE.parent / "lib")
    compile(text, str(path), "exec")
    assert (HERE.parent / mutant.tests).exists()
