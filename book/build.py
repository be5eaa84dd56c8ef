"""Execute the chapters and render the book.

The committed notebooks are never touched (but by --refresh): executed copies go to a staged source
tree under `_build`, with the ledger page's tables beside them, and jupyter-book renders that. An
execution is used again as long as nothing that it depends on has changed.
"""

import argparse
import ast
import base64
import contextlib
import errno
import fcntl
import functools
import hashlib
import importlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Any

import api
import kernels
import nbformat
import sources
from PIL import Image

from companion import explorables, ledger
from companion.figures.stein_moments import one_identity
from companion.sweep import end, sweeps

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = str(ROOT / "lib")
BUILD = ROOT / "_build"
STAGE = BUILD / "stage"
FURTHER = ROOT / "book" / "seeds.json"
SEEDS = (1, 2)  # beside 0, whose run the book shows
EXECUTED = BUILD / "executed"
SITE = BUILD / "html"
PAPERS = {
    "SA": "Sedghi and Anandkumar: a sparse first layer by l1",
    "ZS": "Zhong, Song, Jain, Bartlett and Dhillon: tensor initialisation",
    "GP": "Goel and Panigrahy: the lowest layer under high thresholds",
    "GM": "Gao, Makkuva, Oh and Viswanath: general input distributions",
    "NEW": "Beyond the papers",
}


class BuildError(Exception):
    """The book cannot be built; the message says why."""


# --- one build at a time, and none left behind ----------------------------------------------------

STOPPED = threading.Event()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process builds in this checkout."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "build.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            print(f"another build of this checkout runs (process {lock.read()}): waiting", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def stop(number: int, frame: object) -> None:
    """End all that this process has started, kernels and their workers too, then itself."""
    STOPPED.set()
    end(number, frame)


# --- executing ------------------------------------------------------------------------------------


def fingerprint(notebook: Path, preset: str, seed: int) -> str:
    """Hash all that an execution holds or depends on: sources, captions and everything it can read."""
    digest = hashlib.sha256(f"{preset} {seed} {sys.version_info[:2]}".encode())
    cells = nbformat.read(notebook, as_version=4).cells
    digest.update(json.dumps([[c.cell_type, c.source, c.metadata] for c in cells]).encode())
    inputs = [
        *(ROOT / "lib").rglob("*.py"),
        *(ROOT / "book" / "claims").glob("*.yml"),
        *(ROOT / "book" / "results").glob("*.json"),
        ROOT / "requirements.lock",
    ]
    for path in sorted(inputs):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def execute(notebook: Path, target: Path, preset: str, seed: int) -> str | None:
    """Run one notebook with papermill; return the end of its error, None if it went well."""
    if STOPPED.is_set():
        return "stopped"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial.ipynb")
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    environment["PYTHONPATH"] = LIBRARY  # another checkout's library must not come first
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, kernels.__file__, notebook, partial, preset, str(seed)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode:
        return run.stderr[-3000:]
    partial.replace(target)
    return None


def kept(notebook: Path, key: str) -> bool:
    """Say whether an execution from the same things is there."""
    target, mark = EXECUTED / notebook.name, EXECUTED / f"{notebook.stem}.key"
    return target.is_file() and mark.is_file() and mark.read_text() == key


def keep(executed: nbformat.NotebookNode, notebook: Path, key: str) -> None:
    """Keep an execution for the next build; its key is written last."""
    smaller_pictures(executed)
    EXECUTED.mkdir(parents=True, exist_ok=True)
    target, mark = EXECUTED / notebook.name, EXECUTED / f"{notebook.stem}.key"
    mark.unlink(missing_ok=True)
    partial = target.with_suffix(".partial.ipynb")
    nbformat.write(executed, partial)
    partial.replace(target)
    mark.write_text(key)


def smaller_pictures(executed: nbformat.NotebookNode) -> None:
    """Give each figure a palette of 256 colours: as sharp as before, in a third of the bytes."""
    for output in (o for cell in executed.cells for o in cell.get("outputs", [])):
        data = output.get("data", {})
        if "image/png" not in data:
            continue
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
        if picture.mode == "P" or picture.convert("RGBA").getextrema()[3][0] < 255:  # done, or see-through
            continue
        few = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        kept = io.BytesIO()
        few.save(kept, "PNG", optimize=True)
        data["image/png"] = base64.b64encode(kept.getvalue()).decode()


def execute_all(notebooks: list[Path], preset: str, seed: int) -> list[Path]:
    """Execute notebooks side by side, skipping those whose last execution still stands."""

    def one(notebook: Path) -> str | None:
        key = fingerprint(notebook, preset, seed)
        if kept(notebook, key):
            return None
        print(f"executing {notebook.name}", flush=True)
        fresh = EXECUTED / f"{notebook.stem}.fresh.ipynb"
        error = execute(notebook, fresh, preset, seed)
        if error is None:
            keep(nbformat.read(fresh, as_version=4), notebook, key)
            fresh.unlink()
        return error

    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        errors = dict(zip(notebooks, pool.map(one, notebooks), strict=True))
    failed = {notebook: error for notebook, error in errors.items() if error is not None}
    if failed:
        parts = [f"{notebook.name} failed:\n{error}" for notebook, error in failed.items()]
        raise BuildError("\n\n".join(parts))
    return [EXECUTED / notebook.name for notebook in notebooks]


# --- the ledger -----------------------------------------------------------------------------------


def decide_again(notebooks: list[Path]) -> None:
    """Execute the chapters at the further seeds and write what each row comes to there."""
    runs = {(n, s): BUILD / "seeds" / f"{n.stem}-{s}.ipynb" for s in SEEDS for n in notebooks}
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        errors = pool.map(lambda run: execute(run[0], runs[run], "quick", run[1]), runs)
        failed = [f"{n.name}, seed {s}:\n{e}" for (n, s), e in zip(runs, errors, strict=True) if e]
    if failed:
        raise BuildError("\n\n".join(failed))
    found: dict[str, list[list[float]]] = {}
    for target in runs.values():
        for id, outcome in recorded(target).items():
            found.setdefault(id, []).append([outcome[name] for name in ("value", "low", "high")])
    lines = ",\n".join(f"{json.dumps(id)}: {json.dumps(found[id])}" for id in sorted(found))
    FURTHER.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


@functools.cache
def further() -> dict[str, list[list[float]]]:
    """Return each row's (value, low, high) at the further seeds."""
    rows: dict[str, list[list[float]]] = json.loads(FURTHER.read_text(encoding="utf-8"))
    return rows


@functools.cache
def stored_seeds(chapter: str) -> int:
    """Return at how many seeds every figure of a chapter is stored."""
    figures = [figure for name, figure in sweeps().items() if name[:2] == chapter[:2]]
    return min(len(figure.seeds()) for figure in figures)


def recorded(notebook: Path) -> dict[str, dict[str, Any]]:
    """Return the claims that an executed notebook recorded, by id."""
    found: dict[str, dict[str, Any]] = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            outcome = output.get("data", {}).get(ledger.MIME)
            if outcome is not None:
                found[outcome["id"]] = outcome
    return found


def judge(executed: list[Path]) -> dict[str, dict[str, Any]]:
    """Return all outcomes; raise if a row of a chapter has none, or a pending row's chapter exists."""
    outcomes: dict[str, dict[str, Any]] = {}
    for path in executed:
        outcomes |= recorded(path)
    claims, pending = ledger.load(ROOT), ledger.pending(ROOT)
    chapters = {path.stem for path in executed}
    missing = [c.id for c in claims.values() if c.chapter in chapters and c.id not in outcomes]
    late = [row.id for row in pending if row.chapter in chapters]
    if missing or late:
        raise BuildError(
            f"claims without a recorded value: {', '.join(missing) or 'none'}; "
            f"claims still pending although their chapter exists: {', '.join(late) or 'none'}"
        )
    return outcomes


KINDS = {"claim": "claims of the papers", "control": "controls", "ours": "hypotheses and findings of ours"}
OURS = re.compile(r"\((not in|ours|none)")  # where the paper gives no value
COLUMNS = {"Row": 36, "Measured": 30, "Foil": 17, "Verdict": 17}


def write_ledger(folder: Path, outcomes: dict[str, dict[str, Any]]) -> None:
    """Write the totals and the tables that the index and the ledger page include."""
    rows = ledger.load(ROOT).values()
    claims = {claim.id: claim for claim in rows if claim.id in outcomes}
    pending = [*(claim for claim in rows if claim.id not in outcomes), *ledger.pending(ROOT)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "totals.md").write_text(totals(list(claims.values()), len(pending)), encoding="utf-8")
    lines = [confirmations(list(claims.values()), outcomes), ""]
    for paper, title in PAPERS.items():
        rows = [c for c in claims.values() if c.paper == paper]
        waiting = [row for row in pending if row.paper == paper]
        if not rows and not waiting:
            continue
        lines += [f"## {paper}. {title}", ""]
        if rows:
            widths = " ".join(map(str, COLUMNS.values()))
            lines += [":::{list-table}", ":header-rows: 1", f":widths: {widths}", ":class: ledger", ""]
            lines += [f"{'  ' if i else '* '}- {name}" for i, name in enumerate(COLUMNS)]
            for claim in rows:
                lines += row_lines(claim, outcomes[claim.id])
            lines += [":::", ""]
        if waiting:
            lines += ["Not yet run:", ""]
            lines += [f"- **{row.id}** ({row.locus}): {row.statement}" for row in waiting]
            lines += [""]
    (folder / "ledger.md").write_text("\n".join(lines), encoding="utf-8")


def totals(claims: list[ledger.Claim], waiting: int) -> str:
    """Count the rows by kind, and each kind by verdict."""
    parts: list[str] = []
    for kind, words in KINDS.items():
        rows = [claim for claim in claims if claim.kind == kind]
        counts = {v: sum(c.verdict == v for c in rows) for v in ledger.VERDICTS[kind]}
        badges = [badge(verdict, counted(count, verdict)) for verdict, count in counts.items() if count]
        if rows:
            parts.append(f"{len(rows)} {words}: {' '.join(badges)}")
    if waiting:
        parts.append(badge("not-yet-run", f"{waiting} not yet run"))
    return "".join(f'<p class="totals">{part}</p>\n' for part in parts)


def counted(count: int, verdict: str) -> str:
    """Return 1 holds, 2 hold, 2 refuted."""
    return f"{count} {verdict if count == 1 else verdict.removesuffix('s')}"


def badge(verdict: str, text: str) -> str:
    """Return a text in the colour of its verdict."""
    return f'<span class="verdict verdict-{verdict}">{text}</span>'


def row_lines(claim: ledger.Claim, outcome: dict[str, Any]) -> list[str]:
    """Return one claim's row of the table."""
    module, _, name = claim.function.rpartition(".")
    test_file, _, test_name = claim.test.partition("::")
    # The reference has no entry for what only the companion has: pages of source show it.
    entry = api.link(claim.function)
    where = f"api/{entry}" if entry else sources.address(module_path(module), name)
    test = f'<a href="{sources.address(test_file, test_name)}" title="{test_name}">test</a>'
    links = f'{{ref}}`chapter <{claim.anchor}>` · <a href="{where}">{name}</a> · {test}'
    name = f'<span id="claim-{claim.id}" data-typed="{typed(claim)}"></span>**{claim.id}**'
    printed = "" if OURS.match(str(claim.paper_value)) else f"In the paper: {claim.paper_value} <br> "
    value = f"{claim.measure}: **{measured(outcome, claim.floor)}**"
    reason = f" <br> {claim.reason}" if claim.reason else ""
    return [
        f"* - {name} ({claim.locus}): {claim.statement} <br> {printed}{links}",
        f"  - {value}; rule: {claim.rule} <br> <small>{evidence(claim, outcome)}</small>",
        f"  - {foil(claim, outcome)}",
        f"  - {claim.kind} <br> {badge(claim.verdict, claim.verdict)}{reason}",
    ]


def typed(claim: ledger.Claim) -> str:
    """Return a row's words with its formulas as written, for the page's filter: what it shows is typeset."""
    texts = (claim.statement, claim.paper_value, claim.measure, claim.foil, claim.reason)
    return escape(" ; ".join(" ".join(text.split()) for text in map(str, filter(None, texts))))


def measured(outcome: dict[str, Any], floor: float) -> str:
    """Write the value and its interval."""
    value, low, high = (escape(ledger.digits(outcome[name], floor)) for name in ("value", "low", "high"))
    return value if outcome["level"] is None else f"{value} [{low}, {high}]"


def foil(claim: ledger.Claim, outcome: dict[str, Any]) -> str:
    """Write what was measured for the foil, and what the foil is."""
    value, low, high = map(ledger.digits, outcome["foil"])
    return f"**{value if low == high else f'{value} [{low}, {high}]'}**: {claim.foil}"


def evidence(claim: ledger.Claim, outcome: dict[str, Any]) -> str:
    """Write what the value rests on, and how small an effect it could have told."""
    parts = ["live and stored" if claim.evidence == "both" else claim.evidence]
    if count := outcome["trials"]:
        parts.append(f"{count} trials")
    parts.append(spread(claim, outcome))
    if outcome["resolution"] is not None:
        parts.append(f"tells ±{ledger.digits(outcome['resolution'])}")
    if outcome["level"] not in (None, ledger.LEVEL):
        parts.append(f"level {outcome['level']:g}")
    if claim.rule_set:
        parts.append(rule_set(claim, outcome))
    return " <br> ".join(parts)


def one_seed(claim: ledger.Claim, outcome: dict[str, Any]) -> bool:
    """Say whether a row rests on stored runs of seed 0 alone, as nothing in it changes with the seed."""
    decided = [outcome[name] for name in ("value", "low", "high")]
    alike = all(other == decided for other in further()[claim.id])
    return alike and claim.evidence == "stored" and not claim.pooled and stored_seeds(claim.chapter) == 1


def spread(claim: ledger.Claim, outcome: dict[str, Any]) -> str:
    """Write what the row came to at each seed, if what is stored for it is stored at more than one."""
    if one_seed(claim, outcome):
        return "one seed"
    values = [outcome["value"], *(value for value, *_ in further()[claim.id])]
    shown = [escape(ledger.digits(value, claim.floor)) for value in values]
    said = shown[0] if len(set(shown)) == 1 else ", ".join(shown)
    if claim.pooled:
        return f"seeds 0, 1, 2 together: {said}"
    live = " (live)" if live_only(claim) else ""
    return f"seeds 0, 1, 2{live}: {said}"


def live_only(claim: ledger.Claim) -> bool:
    """Say whether only the live part of a row is of more than one seed."""
    return claim.evidence == "both" and stored_seeds(claim.chapter) == 1


def rule_set(claim: ledger.Claim, outcome: dict[str, Any]) -> str:
    """Write when the rule was set, and whether seeds that were not looked at then confirm it."""
    said = f"rule set {claim.rule_set} the results"
    if claim.rule_set == "before":
        return said
    if claim.pooled:
        return f"{said} of seed 0, decided on all seeds"
    if one_seed(claim, outcome):
        return f"{said}, not re-confirmed"
    found = zip(SEEDS, further()[claim.id], strict=True)
    missed = [seed for seed, values in found if claim.rule.outcome(*values) != claim.needed]
    if missed:
        return f"{said}, not re-confirmed at {', '.join(f'seed {seed}' for seed in missed)}"
    part = " live" if live_only(claim) else ""
    return f"{said}, re-confirmed{part} at seeds {', '.join(map(str, SEEDS))}"


def confirmations(claims: list[ledger.Claim], outcomes: dict[str, dict[str, Any]]) -> str:
    """Count the rules that were set before their results, and what became of the others at fresh seeds."""
    said = [rule_set(claim, outcomes[claim.id]) for claim in claims if claim.rule_set]
    before = sum("set before" in text for text in said)
    again = sum(", re-confirmed" in text or ", decided" in text for text in said)
    return (
        f"Of {len(said)} rules {before} were set before the results. Of the {len(said) - before} that were "
        f"set after, {again} are re-confirmed at fresh seeds, or decided on all together, and "
        f"{len(said) - before - again} rest on one seed."
    )


def write_sources(site: Path) -> None:
    """Write the pages of source that the ledger leads to."""
    paths = set()
    for claim in ledger.load(ROOT).values():
        paths.add(claim.test.partition("::")[0])
        if api.link(claim.function) is None:
            paths.add(module_path(claim.function.rpartition(".")[0]))
    for path in sorted(paths):
        sources.write_page(site, path)


def moving_picture() -> str:
    """Return the picture of the front page, which starts by itself."""
    html = explorables.second_moment().html()
    return html.replace("<figure ", '<figure data-plays="size" ', 1)


def write_glossary(folder: Path) -> None:
    """Write the glossary as a script, for pages that show an entry where the pointer rests on a word."""
    text = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^(\S[^\n]*)\n    (\S[^\n]*)$", text.split(":::{glossary}")[1], re.MULTILINE))
    data = json.dumps(entries, ensure_ascii=False, sort_keys=True)
    (folder / "glossary.js").write_text(f"window.GLOSSARY = {data};\n", encoding="utf-8")


def write_times(folder: Path, chapters: list[Path]) -> None:
    """Write the table of what the chapters' stored experiments cost."""
    lines = ["| Chapter | Stored experiments | Processor minutes |", "| :-- | --: | --: |"]
    for path in chapters:
        stored = sorted((ROOT / "book" / "results").glob(f"{path.stem[:2]}-*.json"))
        seconds = [json.loads(file.read_text())["provenance"]["cpu_seconds"] for file in stored]
        lines.append(f"| {{doc}}`/notebooks/{path.stem}` | {len(stored)} | {sum(seconds) / 60:.0f} |")
    (folder / "times.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def module_path(module: str) -> str:
    """Return the file of a module, relative to the root."""
    while module:
        stem = ROOT / "lib" / Path(*module.split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                return str(path.relative_to(ROOT))
        module = module.rpartition(".")[0]
    raise BuildError(f"no module {module}")


# --- rendering ------------------------------------------------------------------------------------


def with_data_links(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Put a link to the stored data under each figure that is drawn from them."""
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    module = re.search(r"^from (companion\.experiments) import (\w+) as experiment$", source, re.MULTILINE)
    if module is None:
        raise BuildError("a chapter imports its module of companion.experiments `as experiment`")
    experiment = importlib.import_module(".".join(module.groups()))
    stored = {
        variable: getattr(experiment, figure).name
        for variable, figure in re.findall(
            r"^(\w+) = experiment\.(\w+)\.stored\(seed\)", source, re.MULTILINE
        )
    }
    linked: list[nbformat.NotebookNode] = []
    for cell in cells:
        linked.append(cell)
        if cell.cell_type == "code" and "mystnb" in cell.metadata:
            links = [
                f"{{download}}`{name}.json <../book/results/{name}.json>`"
                for variable, name in stored.items()
                if re.search(rf"\b{variable}\b", cell.source)
            ]
            if links:
                text = f"Stored data, with their provenance: {', '.join(links)}."
                note = f":::{{div}} data-link\n{text}\n:::"
                # An id of its own choice would differ from build to build.
                linked.append(nbformat.v4.new_markdown_cell(note, id=f"{cell.id}-data"))
    return linked


ROW = re.compile(r"(?<![`\w#-])(?:SA|ZS|GP|GM|NEW)(?:-[A-Z0-9]+)+(?![`\w-])")


def linked(text: str, ledger_page: str) -> str:
    """Make each name of a row, where a text has it, a link to its entry in the ledger."""
    claims = ledger.load(ROOT)

    def link(name: re.Match[str]) -> str:
        return f'<a href="{ledger_page}#claim-{name[0]}">{name[0]}</a>' if name[0] in claims else name[0]

    return ROW.sub(link, text)


def claims_to_margin(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Turn the claims that a cell records into marks in the margin beside it, each opening to its record."""
    claims, moved = ledger.load(ROOT), []
    for cell in cells:
        marks: list[str] = []
        for output in cell.get("outputs", []):
            outcome = output.get("data", {}).get(ledger.MIME)
            if outcome is not None:
                marks += mark_lines(claims[outcome["id"]], outcome)
        if marks:
            note = "\n".join(["::::{margin}", *marks, "::::"])
            moved.append(nbformat.v4.new_markdown_cell(note, id=f"{cell.id}-claims"))
            cell.outputs = [o for o in cell.outputs if ledger.MIME not in o.get("data", {})]
        moved.append(cell)
    return moved


@functools.cache
def library() -> frozenset[str]:
    """Return the public names of the library."""
    return frozenset(
        entry.name for parts in api.PAGES.values() for part in parts for entry in api.entries(part)
    )


def calls_the_library(code: str) -> bool:
    """Say whether code calls a function or a class of the library by its name."""
    calls = (node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Name) and called.id in library() for called in calls)


def folded(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Fold the code that is about the book and not about its subject; a click opens it.

    That is what a chapter sets up before its first section, and what draws figures, lays out tables and
    judges claims. Code that calls the library by its name stays open, and so does what only runs experiments.
    """
    opened = False
    for cell in cells:
        if cell.cell_type == "markdown":
            opened |= re.search(r"^## ", cell.source, re.MULTILINE) is not None
            continue
        if not opened:
            what = "Settings" if "parameters" in cell.metadata.get("tags", []) else "Imports"
        elif "figure" in cell.metadata.get("mystnb", {}):
            what = "Code of the figure"
        elif calls_the_library(cell.source):
            continue
        elif "ledger.record(" in cell.source:
            what = "Code of the verdicts"
        elif re.search(r"^(?:pages\.)?table\(", cell.source, re.MULTILINE):
            what = "Code of the table"
        else:
            continue
        cell.metadata["tags"] = sorted({*cell.metadata.get("tags", []), "hide-input"})
        prompts = {"code_prompt_show": what, "code_prompt_hide": what}
        cell.metadata["mystnb"] = cell.metadata.get("mystnb", {}) | prompts
    return cells


def mark_lines(claim: ledger.Claim, outcome: dict[str, Any]) -> list[str]:
    """Return one claim's mark: its name and verdict, and folded the record."""
    row = f'<a href="../book/ledger.html#claim-{claim.id}">ledger</a>'
    against = f"Foil: {foil(claim, outcome)}."
    return [
        f":::{{dropdown}} {claim.id} *{claim.verdict}*",
        f":class-container: claim claim-{claim.verdict}",
        "",
        f"{claim.statement}",
        "",
        f"{claim.measure}: **{measured(outcome, claim.floor)}**; rule: {claim.rule}. {against} {row}",
        ":::",
    ]


def stage(executed: list[Path], outcomes: dict[str, dict[str, Any]]) -> None:
    """Lay out the source tree that jupyter-book reads."""
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(ROOT / "book", STAGE / "book", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (STAGE / "notebooks").mkdir()
    for path in executed:
        notebook = nbformat.read(path, as_version=4)
        # Times and paths of the run say nothing to a reader and differ from build to build.
        notebook.metadata.pop("papermill", None)
        for cell in notebook.cells:
            cell.metadata.pop("papermill", None)
            cell.metadata.pop("execution", None)
        # The injected parameters repeat the defaults.
        notebook.cells = [
            c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])
        ]
        for cell in (c for c in notebook.cells if c.cell_type == "markdown"):
            cell.source = linked(cell.source, "../book/ledger.html")
        notebook.cells = folded(claims_to_margin(with_data_links(notebook.cells)))
        nbformat.write(notebook, STAGE / "notebooks" / path.name)
    for text in [*(STAGE / "book" / "errata").glob("*.md"), STAGE / "book" / "not-judged.md"]:
        text.write_text(linked(text.read_text(encoding="utf-8"), "ledger.html"), encoding="utf-8")
    shutil.copy(ROOT / "_config.yml", STAGE)
    write_ledger(STAGE / "book" / "_generated", outcomes)
    write_times(STAGE / "book" / "_generated", executed)
    api.write_pages(STAGE / "book" / "api")
    (STAGE / "book" / "_generated" / "front.md").write_text(moving_picture(), encoding="utf-8")
    write_glossary(STAGE / "book" / "_static")
    one_identity().savefig(STAGE / "book" / "_generated" / "one-identity.png")


def site_key() -> str:
    """Hash all that the site is rendered from: the stage, the documented code and the programs' versions."""
    digest = hashlib.sha256()
    sources = [*STAGE.rglob("*"), *(ROOT / "lib").rglob("*.py"), *(ROOT / "book").glob("*.py")]
    for path in sorted(path for path in [*sources, ROOT / "requirements.lock"] if path.is_file()):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def render() -> None:
    """Run jupyter-book on the stage, unless the site is that of this stage; warnings are errors."""
    mark, key = BUILD / "html.key", site_key()
    if (SITE / "index.html").is_file() and mark.is_file() and mark.read_text() == key:
        return
    mark.unlink(missing_ok=True)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    # docstrings.py and single_page.py are extensions of the book's own.
    paths = [str(ROOT / "book"), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    program = str(Path(sys.executable).with_name("jupyter-book"))
    command = [program, "build", str(STAGE), "--path-output", str(ROOT)]
    command += ["--toc", str(STAGE / "book" / "_toc.yml"), "--config", str(STAGE / "_config.yml")]
    command += ["--all", "-n", "-W", "--keep-going", "--quiet"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    if run.returncode or not (SITE / "index.html").is_file():
        raise BuildError(f"jupyter-book failed:\n{run.stdout[-4000:]}\n{run.stderr[-6000:]}")
    write_sources(SITE)
    mark.write_text(key)


def refresh(notebooks: list[Path]) -> None:
    """Execute the committed notebooks in place at the quick preset, seed 0."""
    for notebook, executed in zip(notebooks, execute_all(notebooks, "quick", 0), strict=True):
        document = nbformat.read(executed, as_version=4)
        document.metadata.pop("papermill", None)
        document.cells = [
            c for c in document.cells if "injected-parameters" not in c.metadata.get("tags", [])
        ]
        for cell in document.cells:  # times of the run differ each time
            cell.metadata.pop("papermill", None)
            cell.metadata.pop("execution", None)
        for count, cell in enumerate((c for c in document.cells if c.cell_type == "code"), start=1):
            cell.execution_count = count
        nbformat.write(document, notebook)
        print(f"refreshed {notebook.relative_to(ROOT)}")


def main() -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description="Execute the chapters and render the book.")
    parser.add_argument("--chapter", help="execute only this chapter, to _build/chapters; do not render")
    parser.add_argument("--preset", default="quick", choices=["quick", "paper"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refresh", action="store_true", help="re-execute the committed notebooks in place")
    parser.add_argument("--seeds", action="store_true", help="decide every row again at the further seeds")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    notebooks = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    try:
        if not str(ledger.__file__).startswith(LIBRARY):
            raise BuildError(f"the library is that of another checkout, {ledger.__file__}: run `make book`")
        if options.refresh:
            with alone():
                refresh(notebooks)
        elif options.seeds:
            with alone():
                decide_again(notebooks)
        elif options.chapter:
            chosen = [n for n in notebooks if n.name.startswith(options.chapter)]
            if len(chosen) != 1:
                known = ", ".join(n.name[:2] for n in notebooks)
                raise BuildError(f"no chapter {options.chapter}; known: {known}")
            target = BUILD / "chapters" / f"{chosen[0].stem}-{options.preset}-{options.seed}.ipynb"
            error = execute(chosen[0], target, options.preset, options.seed)
            if error:
                raise BuildError(error)
            print(target)
        else:
            with alone():
                executed = execute_all(notebooks, options.preset, options.seed)
                stage(executed, judge(executed))
                render()
            print(SITE / "index.html")
    except (BuildError, ledger.LedgerError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        print(
            f"{error.filename} cannot be written: build in a writable copy of the checkout", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
