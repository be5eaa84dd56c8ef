"""The project's own files agree with each other."""

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import companion
import nnmoments
from companion import ledger
from companion.sweep import figures

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = [
    info.name
    for package in (nnmoments, companion)
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def declared() -> dict[str, str]:
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["book"], *extras["test"]]
    return {name_of(requirement): requirement for requirement in wanted}


def locked() -> set[str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {name_of(line) for line in lines if re.match(r"[a-z0-9]", line)}


def test_lock_has_all_requirements_and_their_hashes():
    assert set(declared()) <= locked()
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.lock").read_text())
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())


def test_environment_is_the_same_set():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    listed = {name_of(entry) for entry in [*conda, *pip]} - {"python", "pip", "make", "--editable"}
    assert listed == set(declared())
    python = next(entry for entry in conda if entry.startswith("python"))
    assert PROJECT["requires-python"].removeprefix(">=") in python


def test_pins_agree():
    text = (ROOT / "requirements.lock").read_text()
    for requirement in declared().values():
        if "==" in requirement:
            assert f"\n{requirement.lower()} " in "\n" + text


def test_wheel_holds_every_module(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "lib"
    expected = {str(path.relative_to(source)) for path in (source / "nnmoments").rglob("*.py")}
    assert expected | {"nnmoments/py.typed"} <= names


@pytest.mark.parametrize("module", MODULES)
def test_all_names_exist_and_are_documented(module):
    loaded = importlib.import_module(module)
    assert loaded.__doc__
    for name in loaded.__all__:
        value = getattr(loaded, name)
        if callable(value) and value.__module__ == module:
            assert value.__doc__, name


def test_tracked_files_name_no_machine():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(rb"(?<![\w.])/(?:home|root|work|tmp|Users)/\w")
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path != Path(__file__):
            assert not pattern.search(path.read_bytes()), name


def resolve(dotted: str) -> object:
    first, _, rest = dotted.partition(".")
    owner: object = companion if first == "companion" else nnmoments
    for part in (rest if first in ("companion", "nnmoments") else dotted).split("."):
        try:
            owner = getattr(owner, part)
        except AttributeError:
            owner = importlib.import_module(f"{owner.__name__}.{part}")  # type: ignore[attr-defined]
    return owner


@pytest.mark.parametrize("page", ["README.md", "book/library.md"])
def test_entry_points_in_prose_exist(page):
    packages = "learners|sparse|tensors|landscapes|borders|structured|scores|moments"
    named = re.findall(rf"`~?(?:nnmoments\.)?((?:{packages})\.[\w.]+)`", (ROOT / page).read_text())
    assert len(named) > 4
    for name in named:
        resolve(name)


def test_claims_name_what_exists():
    """Each row's function and test exist, so the ledger page's links lead somewhere."""
    for claim in ledger.load(ROOT).values():
        resolve(claim.function)
        path, _, name = claim.test.partition("::")
        text = (ROOT / path).read_text()
        assert name, claim.id
        assert re.search(rf"^def {name}\b", text, re.MULTILINE), claim.test


def test_every_figure_is_stored():
    missing = [name for name, figure in figures().items() if not figure.path.is_file()]
    assert not missing


def test_no_stored_result_without_a_figure():
    stored = {path.stem for path in (ROOT / "book" / "results").glob("*.json")}
    assert stored == set(figures())


def test_readme_example_shows_its_output():
    """The library example in the README prints what the README says."""
    readme = (ROOT / "README.md").read_text()
    code, shown = re.search(r"```python\n(.*?)```\s*```text\n(.*?)```", readme, re.DOTALL).groups()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == shown.split()
