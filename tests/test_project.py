"""The project's own files agree with each other."""

import ast
import importlib
import importlib.metadata
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import companion
import nnmoments
from companion import ledger
from companion.sweep import sweeps

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
    wanted = [*PROJECT["dependencies"], *extras["solvers"], *extras["book"], *extras["test"]]
    return {name_of(r): r for r in wanted if name_of(r) != PROJECT["name"]}


def pinned(python: str) -> dict[str, str]:
    """Return the versions that the lock gives on Linux under a version of Python."""
    place = {"python_full_version": f"{python}.9", "python_version": python, "sys_platform": "linux"}
    lines = re.findall(r"^[a-z0-9].*==[^\\\n]*", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    found = [Requirement(line.strip()) for line in lines]
    return {
        name_of(r.name): str(r.specifier).removeprefix("==")
        for r in found
        if r.marker is None or r.marker.evaluate(place)
    }


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_lock_has_all_requirements_and_their_hashes(python):
    versions = pinned(python)
    for name, requirement in declared().items():
        assert Requirement(requirement).specifier.contains(versions[name], prereleases=True), requirement
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text)
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())
    assert "index-url" not in text
    assert "file:" not in text


def test_the_library_installs_on_three_packages():
    assert [name_of(r) for r in PROJECT["dependencies"]] == ["numpy", "scikit-learn", "scipy"]
    assert "nnmoments[solvers]" in PROJECT["optional-dependencies"]["book"]


def test_floors_are_those_that_are_tested():
    lines = (ROOT / "tests" / "lowest-constraints.txt").read_text().splitlines()
    tested = [line for line in lines if not line.startswith("#")]
    assert tested == [f"{r.replace('>=', '==')}.0" for r in PROJECT["dependencies"]]


def test_environment_pins_what_the_lock_pins():
    """conda and Binder get the versions of requirements.lock."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    python = next(entry for entry in conda if entry.startswith("python="))  # repo2docker reads no >=
    versions = pinned(python.removeprefix("python="))
    assert [*conda] == [python, "pip", "make"]
    expected = [f"{name}=={versions[name]}" for name in sorted(declared())]
    assert pip["pip"] == [*expected, "--editable ."]


def test_the_weekly_workflow_tests_the_floors_other_pythons_and_other_kernels():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    matrix = workflow["jobs"]["versions"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in matrix} == {"3.11", "3.12", "3.13"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = {word for row in matrix for word in row["command"].split()}
    assert {word for word in words if "=" not in word} - {"make"} <= targets
    assert {"OPENBLAS_CORETYPE=Haswell", "OPENBLAS_CORETYPE=Nehalem", "OPENBLAS_NUM_THREADS=2"} <= words


def test_pins_agree():
    text = (ROOT / "requirements.lock").read_text()
    for requirement in declared().values():
        if "==" in requirement:
            assert f"\n{requirement.lower()} " in "\n" + text


def built_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_wheel_holds_every_module_and_nothing_of_the_book(tmp_path):
    names = set(zipfile.ZipFile(built_wheel(tmp_path)).namelist())
    source = ROOT / "lib"
    expected = {str(path.relative_to(source)) for path in (source / "nnmoments").rglob("*.py")}
    assert expected | {"nnmoments/py.typed"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"nnmoments"}


ALONE = """
import importlib, importlib.metadata, json, pkgutil, sysconfig, nnmoments
for info in pkgutil.walk_packages(nnmoments.__path__, "nnmoments."):
    importlib.import_module(info.name)
for name in nnmoments.__all__:
    getattr(nnmoments, name)
site = sysconfig.get_paths()["purelib"]
installed = {d.metadata["Name"]: d for d in importlib.metadata.distributions(path=[site])}
for name in ("pip", "setuptools"):  # came with the environment
    installed.pop(name, None)
files = [f.locate() for d in installed.values() for f in d.files]
print(json.dumps({
    "packages": sorted(installed),
    "megabytes": sum(f.stat().st_size for f in files if f.is_file()) / 1e6,
    "from": nnmoments.__file__,
}))
"""


@pytest.mark.slow
def test_wheel_alone_is_small_and_runs_the_readme(tmp_path):
    """At most 10 packages and 300 MB; all modules import; the example runs."""
    wheel = built_wheel(tmp_path)
    venv.create(tmp_path / "alone", with_pip=True, symlinks=True)
    python = str(tmp_path / "alone" / "bin" / "python")
    # The versions at hand, whose downloads pip has kept.
    kept = ["numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl"]
    (tmp_path / "kept.txt").write_text("".join(f"{k}=={importlib.metadata.version(k)}\n" for k in kept))
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [*pip, "--constraint", str(tmp_path / "kept.txt"), str(wheel)],
        [python, "-I", "-c", ALONE],
        [python, "-I", "-c", readme_example()[0]],
    ):
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        if command[-1] is ALONE:
            found = json.loads(run.stdout)
    assert run.stdout.split() == readme_example()[1].split()
    assert found["from"].startswith(str(tmp_path))
    assert "nnmoments" in found["packages"]
    assert len(found["packages"]) <= 10, found
    assert found["megabytes"] <= 300, found


# --- the front door ---------------------------------------------------------------------------------


def test_importing_the_library_loads_nothing_else():
    code = (
        "import sys; before = set(sys.modules); import nnmoments\n"
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['nnmoments']"  # hence a few milliseconds


def test_the_front_door_is_the_same_for_python_and_type_checkers():
    tree = ast.parse(Path(nnmoments.__file__).read_text())
    typed = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("nnmoments.")
        for alias in node.names
        if alias.asname == alias.name
    }
    assert sorted([*typed, "__version__"]) == nnmoments.__all__
    for name, module in typed.items():
        assert getattr(nnmoments, name) is getattr(importlib.import_module(module), name)
        assert name in importlib.import_module(module).__all__
    assert set(nnmoments.__all__) < set(dir(nnmoments))
    modules = {info.name for info in pkgutil.iter_modules(nnmoments.__path__)}
    assert modules - {"chunks", "results", "validation"} == set(dir(nnmoments)) - set(nnmoments.__all__)
    assert nnmoments.tensors is importlib.import_module("nnmoments.tensors")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Relu", "did you mean 'relu'"),
        ("TensorNetwrk", "did you mean 'TensorNetwork'"),
        ("crossmoment", "did you mean 'cross_moment'"),
        ("qqqq", r"see dir\(nnmoments\)"),
    ],
)
def test_a_typo_is_told_what_was_meant(name, hint):
    with pytest.raises(AttributeError, match=f"module 'nnmoments' has no attribute '{name}'; {hint}"):
        getattr(nnmoments, name)


# --- names of modules -------------------------------------------------------------------------------


def test_no_two_modules_of_the_library_share_a_name():
    names = [name.rpartition(".")[2] for name in MODULES if name.startswith("nnmoments.")]
    assert len(names) > 60
    assert not {name for name in names if names.count(name) > 1}


def test_no_public_name_hides_a_module():
    """As a function `algorithm1` of `sparse` would hide `sparse.algorithm1`."""
    for name in MODULES:
        package, _, own = name.rpartition(".")
        assert own not in importlib.import_module(package).__all__, name


# --- private names ----------------------------------------------------------------------------------


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__") and name != "_"


def package_of(module: str) -> str:
    """nnmoments.sparse.vertex -> nnmoments.sparse; companion is one package."""
    return ".".join(module.split(".")[: 2 if module.startswith("nnmoments") else 1])


def private_names(text: str, package: str) -> list[str]:
    """Return the private names of other packages of this project that a source text takes.

    Tests have no package: what is private is nobody's business there.
    """
    modules: dict[str, str] = {}  # names that stand for modules of this project
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in OWN:
                foreign = package_of(module) != package
                found += [f"{module}.{a.name}" for a in names if foreign and is_private(a.name)]
                found += [module for part in module.split(".") if foreign and is_private(part)]
                modules |= {a.asname or a.name: f"{module}.{a.name}" for a in names}
            case ast.Import(names=names):
                modules |= {a.asname or a.name: a.name for a in names if a.name.split(".")[0] in OWN}
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(value=owner, attr=name) if is_private(name):
                pass
            case ast.Call(func=ast.Name("getattr") | ast.Attribute(attr="setattr"), args=[owner, attr, *_]):
                name = getattr(attr, "value", None)
            case _:
                continue
        known = modules.get(ast.unparse(owner))
        if is_private(name) and known and package_of(known) != package:
            found.append(f"{known}.{name}")
    return found


OWN = ("nnmoments", "companion")
SOURCES = [*(ROOT / "lib").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "book").glob("*.py")]


@pytest.mark.parametrize("path", sorted(SOURCES), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_name_crosses_a_package(path):
    relative = path.relative_to(ROOT)
    module = ".".join(relative.with_suffix("").parts[1:]) if relative.parts[0] == "lib" else ""
    assert not private_names(path.read_text(), package_of(module))


@pytest.mark.parametrize(
    ("text", "package", "count"),
    [
        ("from nnmoments.sparse.vertex import _ties", "", 1),
        ("from nnmoments.sparse.vertex import _ties", "nnmoments.sparse", 0),
        ("from nnmoments.sparse.vertex import _ties", "nnmoments.tensors", 1),
        ("from nnmoments._hidden import ties", "companion", 1),
        ("from companion.sweep import _plain", "companion", 0),
        ("from companion import sweep\nsweep._plain(1)", "", 1),
        ("from companion import sweep\nsweep.plain(1)", "", 0),
        ("import nnmoments.hermite as h\nh._memo = {}", "nnmoments.sparse", 1),
        ("import nnmoments.hermite\nnnmoments.hermite._memo", "", 1),
        ("from nnmoments.learners.base import MomentLearner\nMomentLearner._inputs", "companion", 1),
        ("from companion import sweep\nmonkeypatch.setattr(sweep, '_plain', None)", "", 1),
        ("from companion import sweep\nmonkeypatch.setattr(sweep, 'sweeps', None)", "", 0),
        ("from numpy import _core", "", 0),
    ],
)
def test_private_names_are_seen(text, package, count):
    assert len(private_names(text, package)) == count


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
    missing = [name for name, sweep in sweeps().items() if not sweep.path.is_file()]
    assert not missing


def test_no_stored_result_without_a_figure():
    stored = {path.stem for path in (ROOT / "book" / "results").glob("*.json")}
    assert stored == set(sweeps())


def readme_example() -> tuple[str, str]:
    """Return the library example in the README, and what the README says that it prints."""
    readme = (ROOT / "README.md").read_text()
    return re.search(r"```python\n(.*?)```\s*```text\n(.*?)```", readme, re.DOTALL).groups()


def test_readme_example_shows_its_output():
    code, shown = readme_example()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == shown.split()
