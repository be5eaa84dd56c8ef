"""Plant each error of `mutants.py` in a copy of the library and see that its tests turn red.

Run ``python tests/mutants/run.py [--jobs N] [word ...]``; words select mutants by module or slip. The
exit code is 0 if every mutant was killed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


def copy_project(target: Path) -> Path:
    """Copy what the unit tests need."""
    for name in ("lib", "tests"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def green(project: Path, tests: list[str], timeout: float | None = None) -> bool:
    """Run the tests in the project's copy, stopping at the first that fails."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(project / "lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    where = "import nnmoments; print(nnmoments.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(project)), f"the copy is not what is imported: {found.stdout}"
    command = [sys.executable, "-m", "pytest", "-x", "-q", *tests]
    run = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=timeout
    )
    if run.returncode not in (0, 1):  # 1: a test failed; anything else: the tests did not run
        # A module that cannot be imported is a killed mutant as well.
        assert "Error" in run.stdout + run.stderr, run.stdout + run.stderr
    return run.returncode == 0


def killed(mutant: Mutant) -> tuple[bool, float]:
    """Plant one mutant and say whether its tests noticed, and how long it took."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        project = copy_project(Path(folder).resolve())
        path, text = mutant.plant(project / "lib")
        path.write_text(text, encoding="utf-8")
        survived = green(project, [mutant.tests])
    return not survived, time.perf_counter() - start


def main() -> int:
    """Run the chosen mutants and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="run only mutants whose module or slip holds one of these")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    chosen = [
        m for m in MUTANTS if not options.words or any(w in f"{m.module} {m.slip}" for w in options.words)
    ]
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tests = sorted({m.tests for m in chosen})
        if not green(copy_project(Path(folder).resolve()), tests):
            print("the tests fail without any mutant; nothing can be concluded")
            return 2
    survivors = 0
    print(f"{'module':28} {'slip':46} {'outcome':9} seconds")
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, (dead, seconds) in zip(chosen, pool.map(killed, chosen), strict=True):
            survivors += not dead
            outcome = "killed" if dead else "SURVIVED"
            print(f"{mutant.module:28} {mutant.slip:46} {outcome:9} {seconds:5.1f}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
