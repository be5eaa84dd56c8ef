"""Make a virtual environment for this checkout, unless it is there and still right.

    python .ci/environment.py .venv            # every package, by requirements.lock
    python .ci/environment.py --lowest FOLDER  # the library alone, at the versions of its floors

The environment records what it was made from. It is made again if it was copied or moved here from
another folder, or if the lock, the requirements or the version of Python are no longer those.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Python 3.11 or newer is needed; say which: make PYTHON=python3.12 ...")

import argparse
import fcntl
import hashlib
import json
import shutil
import subprocess
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
LOWEST = ROOT / "tests" / "lowest-constraints.txt"
PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
TOOLS = ["hypothesis", "mpmath", "numpydoc", "pandas", "psutil", "pytest", "pytest-xdist", "pyyaml", "tqdm"]


def made_from(folder: Path, *, lowest: bool = False) -> str:
    """Return all that an environment depends on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = (LOWEST if lowest else LOCK).read_bytes()
    tools = TOOLS if lowest else []
    declared = json.dumps([project["project"], project["build-system"], tools]).encode()
    digest = hashlib.sha256(requirements + declared).hexdigest()
    return "\n".join([str(folder.resolve()), str(ROOT), sys.version, digest, ""])


def is_right(folder: Path, *, lowest: bool = False) -> bool:
    """Say whether the environment was made here, and from what is asked for now."""
    ready = folder / "ready"
    return ready.is_file() and ready.read_text() == made_from(folder, lowest=lowest)


def make(folder: Path, *, lowest: bool = False) -> None:
    """Make the environment from nothing."""
    print(f"making {folder}: a minute or two, once", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"

    def run(*arguments: str) -> None:
        subprocess.run([python, *arguments], cwd=ROOT, check=True)

    if lowest:
        run(*PIP, "--constraint", str(LOWEST), "--editable", ".[solvers]", *TOOLS)
    else:
        run(*PIP, "--require-hashes", "-r", str(LOCK))
        run(*PIP, "--no-deps", "--no-build-isolation", "--editable", ".")
        run("-c", "import matplotlib.pyplot")  # builds its font cache
    (folder / "ready").write_text(made_from(folder, lowest=lowest))


def main() -> int:
    """Parse the command line; one process at a time makes environments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lowest", action="store_true")
    options = parser.parse_args()
    if is_right(options.folder, lowest=options.lowest):
        return 0
    (ROOT / "_build").mkdir(exist_ok=True)
    with (ROOT / "_build" / "environment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_right(options.folder, lowest=options.lowest):
            make(options.folder, lowest=options.lowest)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"the environment cannot be made: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"the environment cannot be made: pip ended with status {error.returncode}")
