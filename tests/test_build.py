"""The two commands: environments that are noticed to be stale, builds that wait and that end."""

import base64
import dataclasses
import errno
import fcntl
import importlib.util
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from bs4 import BeautifulSoup
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


environment = load(ROOT / ".ci" / "environment.py")
build = load(ROOT / "book" / "build.py")


@pytest.fixture
def ready(tmp_path):
    folder = tmp_path / ".venv"
    folder.mkdir()
    (folder / "ready").write_text(environment.made_from(folder))
    return folder


def test_an_environment_is_right_where_it_was_made(ready, monkeypatch, capsys):
    assert environment.is_right(ready)
    monkeypatch.setattr(sys, "argv", ["environment.py", str(ready)])
    monkeypatch.setattr(environment, "make", lambda *args, **kwargs: pytest.fail("made again"))
    assert environment.main() == 0


def test_a_copied_environment_is_stale(ready, tmp_path):
    shutil.copytree(ready, tmp_path / "copy" / ".venv")
    assert not environment.is_right(tmp_path / "copy" / ".venv")
    assert not environment.is_right(tmp_path / "nothing")


@pytest.mark.parametrize("what", ["lock", "project", "root", "python", "lowest"])
def test_an_environment_of_other_things_is_stale(ready, tmp_path, monkeypatch, what):
    if what == "lock":
        (tmp_path / "lock").write_text("numpy==1\n")
        monkeypatch.setattr(environment, "LOCK", tmp_path / "lock")
    elif what == "project":
        project = environment.tomllib.loads((ROOT / "pyproject.toml").read_text())
        project["project"]["dependencies"].append("more")
        monkeypatch.setattr(environment.tomllib, "loads", lambda text: project)
    elif what == "root":
        for name in ("pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, tmp_path / name)
        monkeypatch.setattr(environment, "ROOT", tmp_path)
    elif what == "python":
        monkeypatch.setattr(environment.sys, "version", "3.11.0 (another)")
    assert not environment.is_right(ready, lowest=what == "lowest")


def make(*arguments, given="", **paths):
    outer = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))
    }
    command = ["make", "--no-print-directory", *arguments]
    run = subprocess.run(
        command, cwd=ROOT, input=given, env=outer | paths, capture_output=True, text=True, check=True
    )
    return run.stdout


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
def test_make_builds_the_book_before_it_reads_it():
    plan = make("-n", "-j8", "site-test")
    assert plan.index("environment.py") < plan.index("build.py") < plan.index("tests/site")


@needs_make
def test_another_python_has_an_environment_of_its_own():
    assert "python3 .ci/environment.py .venv\n" in make("-n", "unit")
    assert "python3.13 .ci/environment.py .venv-python3.13\n" in make("-n", "unit", "PYTHON=python3.13")


@needs_make
def test_make_hides_what_the_shell_has_set_for_other_work():
    probe = 'include Makefile\nprobe:\n\t@echo "[$${PYTHONPATH-}$${MPLBACKEND-}]"\n'
    assert make("-f", "-", "probe", given=probe, PYTHONPATH="elsewhere", MPLBACKEND="Agg") == "[]\n"


@needs_make
def test_make_passes_on_another_kernel_and_another_number_of_threads():
    probe = 'include Makefile\nprobe:\n\t@echo "[$${OPENBLAS_CORETYPE-} $$OPENBLAS_NUM_THREADS]"\n'
    chosen = ["OPENBLAS_CORETYPE=Haswell", "OPENBLAS_NUM_THREADS=2"]
    assert make("-f", "-", "probe", *chosen, given=probe) == "[Haswell 2]\n"
    assert make("-f", "-", "probe", given=probe).endswith(" 1]\n")


WAITS = """
import importlib.util, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
spec = importlib.util.spec_from_file_location("build", sys.argv[1])
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
build.BUILD = Path(sys.argv[2])
"""


def start(code, *arguments):
    command = [sys.executable, "-c", WAITS + code, str(ROOT / "book" / "build.py"), *map(str, arguments)]
    paths = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=paths)


def test_a_second_build_waits_for_the_first(tmp_path):
    with (tmp_path / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        second = start("with build.alone(): print('built', flush=True)", tmp_path)
        line = second.stdout.readline()
        assert line == "another build of this checkout runs (process 4711): waiting\n"
        assert second.poll() is None
    assert second.communicate(timeout=60)[0] == "built\n"


@pytest.mark.parametrize("options", [[], ["--refresh"], ["--chapter", "01"]])
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_read_only_checkout_is_named(monkeypatch, capsys, options, number):
    def refuse(path, *args, **kwargs):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(build.signal, "signal", lambda *args: None)
    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write anywhere
    monkeypatch.setattr(sys, "argv", ["build.py", *options])
    assert build.main() == 1
    assert "cannot be written: build in a writable copy of the checkout\n" in capsys.readouterr().err


def test_another_checkouts_library_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(build.signal, "signal", lambda *args: None)
    monkeypatch.setattr(build, "LIBRARY", "/elsewhere/lib")
    monkeypatch.setattr(sys, "argv", ["build.py", "--chapter", "01"])
    assert build.main() == 1
    assert "the library is that of another checkout" in capsys.readouterr().err


# --- what need not be done again ---------------------------------------------------------------------

REUSE = """
build.ROOT, build.EXECUTED = build.BUILD, build.BUILD / "executed"
sys.modules["build"] = build
import os, pytest
os.chdir(build.ROOT)
options = ["-q", "-p", "reuse", "-p", "no:cacheprovider", "-c", os.devnull, "--nbval", "notebooks"]
pytest.main([*options, "--nbval-kernel-name", "python3"])
"""


OWN_FILE = "from ipykernel import get_connection_info\nassert '\"ipc\"' in get_connection_info()"


@pytest.mark.slow
def test_kernels_that_start_at_one_moment_cannot_take_one_port(tmp_path):
    """They listen on files named for them."""
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(OWN_FILE)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": python})
    nbformat.write(notebook, tmp_path / "01_listens.ipynb")
    error = build.execute(tmp_path / "01_listens.ipynb", tmp_path / "out" / "out.ipynb", "quick", 0)
    assert error is None


@pytest.mark.slow
def test_what_nbval_has_executed_is_kept_for_the_book(tmp_path, monkeypatch):
    """Where all its cells passed, and for as long as nothing that it depends on changes."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "requirements.lock").touch()
    for name, value, shown in (("01_right", 1, "1"), ("02_wrong", 1, "2"), ("03_broken", "1 / 0", "1")):
        cells = [
            nbformat.v4.new_markdown_cell("Numbers."),
            nbformat.v4.new_code_cell(OWN_FILE, execution_count=1),
            nbformat.v4.new_code_cell(
                f"from IPython.display import display\ndisplay({value})",
                execution_count=2,
                outputs=[nbformat.v4.new_output("display_data", {"text/plain": shown})],
            ),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    output = start(REUSE, tmp_path).communicate(timeout=300)[0]
    assert "2 failed, 4 passed" in output
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "EXECUTED", tmp_path / "executed")
    right, *others = sorted((tmp_path / "notebooks").glob("*.ipynb"))
    key = build.fingerprint(right, "quick", 0)
    assert build.kept(right, key), output
    assert nbformat.read(tmp_path / "executed" / right.name, 4).cells == nbformat.read(right, 4).cells
    assert not any(build.kept(other, build.fingerprint(other, "quick", 0)) for other in others)
    monkeypatch.setattr(build, "execute", lambda *args: pytest.fail("executed again"))
    assert build.execute_all([right], "quick", 0) == [tmp_path / "executed" / right.name]
    captioned = nbformat.read(right, 4)
    captioned.cells[-1].metadata["mystnb"] = {"figure": {"caption": "Another."}}
    nbformat.write(captioned, right)
    assert not build.kept(right, build.fingerprint(right, "quick", 0))
    key = build.fingerprint(others[0], "quick", 0)
    (tmp_path / "requirements.lock").write_text("numpy==3.0")
    assert build.fingerprint(others[0], "quick", 0) != key


def test_pictures_that_are_kept_are_smaller_and_as_sharp(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "EXECUTED", tmp_path)
    drawn = io.BytesIO()
    build.one_identity().savefig(drawn)
    before = base64.b64encode(drawn.getvalue()).decode()
    cell = nbformat.v4.new_code_cell("figure")
    cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": before, "text/plain": "figure"})]
    document = nbformat.v4.new_notebook(cells=[cell])
    build.keep(document, Path("chapter.ipynb"), "key")
    after = document.cells[0].outputs[0].data["image/png"]
    assert len(after) < len(before) / 2
    old, new = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), dtype=float)
        for png in (before, after)
    )
    assert new.shape == old.shape
    assert np.sqrt(np.mean((new - old) ** 2)) < 2.0
    assert new[old.max(axis=-1) < 40.0].max() < 90.0  # strokes of one pixel stay as dark as they were
    build.smaller_pictures(document)
    assert document.cells[0].outputs[0].data["image/png"] == after


def test_a_site_is_rendered_again_if_its_sources_change(tmp_path, monkeypatch):
    for name in ("ROOT", "BUILD", "STAGE", "SITE"):
        folder = tmp_path if name == "ROOT" else tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.setattr(build, name, folder)
    (tmp_path / "requirements.lock").touch()
    runs = []

    def program(*args, **kwargs):
        build.SITE.mkdir()
        (build.SITE / "index.html").touch()
        runs.append(args)
        return subprocess.CompletedProcess(args, 0)

    monkeypatch.setattr(build.subprocess, "run", program)
    for source in ("page.md", "requirements.lock", "lib/library.py", "book/api.py"):
        build.render()
        before = len(runs)
        build.render()
        assert len(runs) == before
        path = (build.STAGE if source == "page.md" else tmp_path) / source
        path.parent.mkdir(exist_ok=True)
        path.write_text("changed")
        build.render()
        assert len(runs) == before + 1, source
    shutil.rmtree(build.SITE)
    build.render()
    assert len(runs) == before + 2


# --- the ledger page --------------------------------------------------------------------------------

POINT = {"level": None, "resolution": None, "foil": [7.0, 7.0, 7.0], "trials": None}


def row(name, **changes):
    return dataclasses.replace(build.ledger.load(ROOT)[name], **changes)


FIGURE = {"mystnb": {"figure": {"caption": "A."}}, "tags": ["hide-input"]}


@pytest.mark.parametrize(
    ("code", "metadata", "prompt"),
    [
        ('ledger.record("SA-P1", frame["error"].max(), foil=1.0)', {}, "Code of the verdicts"),
        ("pages.table(frame.round(2))", {}, "Code of the table"),
        ("frame = frame.round(2)\ntable(frame, digits=2)", {}, "Code of the table"),
        ("print(frame.attrs)", {}, None),
        ("figure = plot.defect(frame)", FIGURE, "Code of the figure"),
        ("frame = experiment.defect.run(preset, seed=seed)", {}, None),
        ("T = cross_moment(X, y, density, 2).value", {}, None),
        ('ledger.record("SA-P1", cross_moment(X, y, density, 2).value.max(), foil=1.0)', {}, None),
    ],
)
def test_code_about_the_book_is_folded_and_calls_of_the_library_are_not(code, metadata, prompt):
    cells = [
        nbformat.v4.new_code_cell('preset = "quick"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("import numpy as np\n\nnp.eye(2)"),
        nbformat.v4.new_markdown_cell("(a-section)=\n## A section"),
        nbformat.v4.new_code_cell(code, metadata=metadata),
    ]
    settings, imports, _, cell = build.folded(cells)
    for each, expected in ((settings, "Settings"), (imports, "Imports"), (cell, prompt)):
        assert each.metadata.get("mystnb", {}).get("code_prompt_show") == expected
        assert ("hide-input" in each.metadata.get("tags", [])) is (expected is not None)
    assert "parameters" in settings.metadata.tags
    assert cell.source == code


def test_kinds_are_counted_apart():
    names = ("SA-P1", "SA-T1", "GP-L1", "SA-CTL-SCORE", "SA-CTL-DENSE", "NEW-RATE", "NEW-REAL")
    rows = [row(name) for name in names]
    text = BeautifulSoup(build.totals(rows, 2), "html.parser").get_text("|", strip=True)
    assert text.split("|") == [
        "3 claims of the papers:",
        "2 reproduced",
        "1 refuted",
        "2 controls:",
        "2 hold",
        "2 hypotheses and findings of ours:",
        "1 holds",
        "1 fails",
        "2 not yet run",
    ]


def decided(monkeypatch, stored, *further):
    """Let figures be stored at so many seeds, and every row come to these values at further ones."""
    rows = {name: [[value] * 3 for value in further] for name in build.ledger.load(ROOT)}
    monkeypatch.setattr(build, "further", lambda: rows)
    monkeypatch.setattr(build, "stored_seeds", lambda chapter: stored)


def test_a_row_of_the_ledger_shows_all_that_it_rests_on(monkeypatch):
    decided(monkeypatch, 1, 3.4, 3.5)
    claim = row("SA-P1", foil="a Gaussian's score", rule_set="before")
    outcome = {"value": 3.37, "low": 3.0, "high": 3.74, "level": 0.99, "resolution": 0.37}
    outcome |= {"foil": [49.2, 40.0, 50.0], "trials": 20}
    name, value, foil, verdict = build.row_lines(claim, outcome)
    assert f"{claim.statement} <br> In the paper: {claim.paper_value} <br> " in name
    assert f"{claim.measure}: **3.37 [3, 3.74]**; rule: at most 7 <br> <small>" in value
    assert foil == "  - **49.2 [40, 50]**: a Gaussian's score"
    shown = [
        "live",
        "20 trials",
        "seeds 0, 1, 2: 3.37, 3.4, 3.5",
        "tells ±0.37",
        "level 0.99",
        "rule set before the results",
    ]
    assert value.endswith(f" <small>{' <br> '.join(shown)}</small>")
    assert verdict == '  - claim <br> <span class="verdict verdict-reproduced">reproduced</span>'


def test_a_row_without_interval_shows_none(monkeypatch):
    decided(monkeypatch, 3, 0.0, 0.0)
    claim = row("ZS-MOM-ZERO", floor=1e-12, evidence="both", rule_set="")
    _, value, foil, _ = build.row_lines(claim, POINT | {"value": 0.0, "low": 0.0, "high": 0.0})
    assert "**&lt;10⁻¹²**; rule" in value
    assert foil == "  - **7**: $m_4$ of ReLU"
    assert value.endswith("<small>live and stored <br> seeds 0, 1, 2: &lt;10⁻¹²</small>")


def test_a_row_of_ours_names_no_value_of_a_paper():
    ours = [
        claim for claim in build.ledger.load(ROOT).values() if str(claim.paper_value).startswith("(not in")
    ]
    assert len(ours) > 5
    for claim in ours:
        assert "In the paper" not in "".join(
            build.row_lines(claim, POINT | {"value": 0.0, "low": 0.0, "high": 0.0})
        )


@pytest.mark.parametrize(
    ("evidence", "stored", "said"),
    [
        ("stored", 1, "seeds 0, 1, 2: 1, 2, 3"),
        ("stored", 3, "seeds 0, 1, 2: 1, 2, 3"),
        ("both", 1, "seeds 0, 1, 2 (live): 1, 2, 3"),
        ("both", 3, "seeds 0, 1, 2: 1, 2, 3"),
        ("live", 1, "seeds 0, 1, 2: 1, 2, 3"),
    ],
)
def test_seeds_are_those_that_a_row_rests_on(monkeypatch, evidence, stored, said):
    decided(monkeypatch, stored, 2.0, 3.0)
    outcome = POINT | {"value": 1.0, "low": 1.0, "high": 1.0}
    assert build.spread(row("SA-P1", evidence=evidence), outcome) == said


@pytest.mark.parametrize(
    ("changes", "stored", "values", "spread", "said"),
    [
        ({"rule_set": "before"}, 3, (2.0, 3.0), "seeds 0, 1, 2: 1, 2, 3", ""),
        ({}, 3, (2.0, 3.0), "seeds 0, 1, 2: 1, 2, 3", ", re-confirmed at seeds 1, 2"),
        ({}, 3, (2.0, 9.0), "seeds 0, 1, 2: 1, 2, 9", ", not re-confirmed at seed 2"),
        (
            {"evidence": "both"},
            1,
            (2.0, 3.0),
            "seeds 0, 1, 2 (live): 1, 2, 3",
            ", re-confirmed live at seeds 1, 2",
        ),
        ({"evidence": "stored"}, 1, (1.0, 1.0), "one seed", ", not re-confirmed"),
        ({"evidence": "stored"}, 1, (2.0, 3.0), "seeds 0, 1, 2: 1, 2, 3", ", re-confirmed at seeds 1, 2"),
        ({"evidence": "stored"}, 3, (1.0, 1.0), "seeds 0, 1, 2: 1", ", re-confirmed at seeds 1, 2"),
        (
            {"evidence": "stored", "pooled": True},
            1,
            (1.0, 1.0),
            "seeds 0, 1, 2 together: 1",
            " of seed 0, decided on all seeds",
        ),
    ],
)
def test_a_rule_set_after_its_results_says_what_fresh_seeds_make_of_it(
    monkeypatch, changes, stored, values, spread, said
):
    decided(monkeypatch, stored, *values)
    claim = row("SA-P1", **({"rule_set": "after", "evidence": "live"} | changes))  # at most 7
    outcome = POINT | {"value": 1.0, "low": 1.0, "high": 1.0}
    assert build.spread(claim, outcome) == spread
    assert build.rule_set(claim, outcome) == f"rule set {claim.rule_set} the results{said}"


def test_rules_are_counted_by_when_they_were_set(monkeypatch):
    decided(monkeypatch, 1, 1.0, 1.0)
    outcomes = {"SA-P1": POINT | {"value": 1.0, "low": 1.0, "high": 1.0}}
    ways = ({"rule_set": "before"}, {}, {"evidence": "stored"}, {"evidence": "stored"})
    rows = [row("SA-P1", **({"rule_set": "after", "evidence": "live"} | way)) for way in ways]
    assert build.confirmations(rows, outcomes) == (
        "Of 4 rules 1 were set before the results. Of the 3 that were set after, 1 are re-confirmed at fresh "
        "seeds, or decided on all together, and 2 rest on one seed."
    )


def test_every_row_was_decided_again_with_the_same_outcome():
    claims, rows = build.ledger.load(ROOT), build.further()
    assert set(rows) == set(claims)
    for name, found in rows.items():
        assert len(found) == len(build.SEEDS), name
        for values in found:
            assert claims[name].rule.outcome(*values) == claims[name].needed, (name, values)


KERNEL = """
import joblib, os, pathlib, time
def work(i):
    pathlib.Path(f"worker-{os.getpid()}").touch()
    time.sleep(600)
pathlib.Path(f"kernel-{os.getpid()}").touch()
joblib.Parallel(n_jobs=2)(joblib.delayed(work)(i) for i in range(2))
"""


@pytest.mark.slow
def test_a_build_that_is_ended_leaves_nothing_behind(tmp_path):
    cell = nbformat.v4.new_code_cell(KERNEL)
    parameters = nbformat.v4.new_code_cell("preset = 'quick'\nseed = 0", metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    chapter = nbformat.v4.new_notebook(cells=[parameters, cell], metadata={"kernelspec": kernel})
    (tmp_path / "notebooks").mkdir()
    nbformat.write(chapter, tmp_path / "notebooks" / "01_endless.ipynb")
    begin = "build.ROOT = build.BUILD; sys.argv[1:] = ['--chapter', '01']; sys.exit(build.main())"
    running = start(begin, tmp_path)
    try:
        deadline = time.monotonic() + 120.0
        while len(files := list((tmp_path / "notebooks").glob("*-*"))) < 3:
            assert running.poll() is None, running.stdout.read()
            assert time.monotonic() < deadline, files
            time.sleep(0.1)
        below = psutil.Process(running.pid).children(recursive=True)
        assert {int(f.name.split("-")[1]) for f in files} <= {process.pid for process in below}
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=30) == 128 + signal.SIGTERM
        _, alive = psutil.wait_procs(below, timeout=5.0)
        assert not alive
    finally:
        running.kill()
        running.stdout.close()
