"""What every chapter must be: executed, described, free of algorithms, and true at other seeds."""

import ast
import json
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import kernels
import nbformat
import papermill
import pytest

from companion import ledger
from companion.pages import LONGEST

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
# The committed outputs are those of seed 0; the ledger shows what rows come to at this one and the next, too.
SECOND_SEED = 1
# nbval, whose run the book shows, and the second seed: executions of each notebook in one run of CI.
EXECUTIONS = 2

by_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def is_figure(cell: nbformat.NotebookNode) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def outcomes(path: Path) -> dict[str, dict[str, Any]]:
    """Return what a notebook's rows came to, by id."""
    outputs = [output.get("data", {}) for cell in code_cells(path) for output in cell.outputs]
    return {o[ledger.MIME]["id"]: o[ledger.MIME] for o in outputs if ledger.MIME in o}


def recorded(path: Path) -> set[str]:
    return set(outcomes(path))


def test_there_are_chapters():
    assert NOTEBOOKS


@by_chapter
def test_outputs_are_stored(path):
    """nbval compares nothing in a notebook without outputs, so it must have them."""
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        if re.search(r"^(ledger\.record|figure = plot\.)", cell.source, re.MULTILINE):
            assert cell.outputs, cell.source


@by_chapter
def test_prose_shows_plain_numbers(path):
    """A NumPy scalar stands in the text as np.float64(0.5), and no format can be given to it."""
    for cell in code_cells(path):
        for kind, text in (item for output in cell.outputs for item in output.get("data", {}).items()):
            assert not (kind.endswith("text/plain") and re.match(r"np\.\w+\(", text)), (cell.id, text)


@by_chapter
def test_figures_are_shown_once(path):
    """A trailing semicolon silences no kernel without history, and nbval's is one; a name does."""
    for cell in code_cells(path):
        assert not re.search(r"^plot\.", cell.source, re.MULTILINE), cell.source


@by_chapter
def test_no_output_is_a_raw_data_frame(path):
    """`companion.pages.table` typesets heads and chooses digits; a frame as it is does neither."""
    outputs = [(cell.id, output) for cell in code_cells(path) for output in cell.outputs]
    raw = {name for name, o in outputs if 'class="dataframe"' in o.get("data", {}).get("text/html", "")}
    assert not raw, raw


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def bare(text: str) -> list[str]:
    """Return the lines that begin with numbers of which nobody says what they are."""
    ruled = re.sub(r"\n +\[", " [", text)  # a matrix goes on
    return [line for line in ruled.splitlines() if re.match(r"[\[{]|-?[\d.]+$|-?[\d.]+ [\[{\d.-]", line)]


@by_chapter
def test_what_a_cell_prints_says_what_it_is(path):
    assert [bare(printed(cell)) for cell in code_cells(path) if bare(printed(cell))] == []


@pytest.mark.parametrize("text", ["[[2. 4.]\n [4. 8.]]", "1 [[1. 2.]]", "{'n': 0.7}", "3 -79.0", "0.624"])
def test_numbers_alone_are_noticed(text):
    assert bare(f"T_2: 1\n{text}\n15 degrees: L = 0.25")


@by_chapter
def test_claims_are_recorded(path):
    expected = {claim.id for claim in ledger.load(ROOT).values() if claim.chapter == path.stem}
    assert expected
    assert recorded(path) == expected


@by_chapter
def test_only_what_another_processor_changes_is_not_compared(path):
    """nbval looks at every output, except of live trials whose row says that their count may change."""
    claims = ledger.load(ROOT)
    for cell in code_cells(path):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            rows = re.findall(r'ledger\.record\(\s*"([\w-]+)"', cell.source)
            assert rows, cell.source
            for row in rows:
                assert claims[row].evidence == "live", row
                assert "another kind of processor" in claims[row].reason, row


@by_chapter
def test_no_algorithm_lives_in_a_notebook(path):
    for cell in code_cells(path):
        assert not re.search(r"^\s*(def|class|async def) ", cell.source, re.MULTILINE), cell.source
        assert len([line for line in cell.source.splitlines() if line.strip()]) <= 12, cell.source
        assert max(map(len, cell.source.splitlines()), default=0) <= LONGEST, cell.source


@by_chapter
def test_sizes_live_in_presets(path):
    assert code_cells(path)[0].source.split() == ["preset", "=", '"quick"', "seed", "=", "0"]
    assert "parameters" in code_cells(path)[0].metadata.tags
    for cell in code_cells(path)[1:]:
        assert not re.search(r"\bif\b.*\bpreset\b", cell.source), cell.source


@by_chapter
def test_figures_are_described(path):
    figures = [cell for cell in code_cells(path) if is_figure(cell)]
    assert figures
    for cell in figures:
        described = cell.metadata.get("mystnb", {})
        assert len(described["figure"]["caption"]) > 40
        assert described["figure"]["name"].startswith("fig-")
        assert len(described["image"]["alt"]) > 40
        assert "hide-input" in cell.metadata.tags


@by_chapter
def test_captions_hold_in_dark_mode_too(path):
    """A page in dark mode turns all lightness: black lines are then white, and only hues stay."""
    for cell in code_cells(path):
        described = cell.metadata.get("mystnb", {})
        texts = described.get("figure", {}).get("caption", ""), described.get("image", {}).get("alt", "")
        for text in texts:
            assert not re.search(r"\b(white|black|dark|bright|pale)(er|ly)?\b", text), text


@by_chapter
def test_prose_has_no_typed_results(path):
    """A decimal number in prose is a formula's, a paper's place, or it came from glue."""
    places = r"(Theorem|Lemma|Claim|Definition|Section|Appendix|Assumption|Remark|Figure)s? [A-Z\d.]+"
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\{[^}]*\}", "", cell.source, flags=re.DOTALL)
            assert not re.search(r"\d\.\d", re.sub(places, "", prose)), prose


@by_chapter
def test_text_after_a_formula_is_a_paragraph_of_its_own(path):
    """Without an empty line the formula ends the page's paragraph, and a closed fold shows what follows."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"\$\$.*?\$\$(?: \([\w-]+\))?", "FORMULA", cell.source, flags=re.DOTALL)
            assert not re.search(r"FORMULA\n(?!:{3}|\n|$)", prose), prose


@by_chapter
def test_prose_shows_a_claim_as_its_box_and_the_ledger_do(path):
    """A format of its own would round once more, or differently."""
    ids = {claim.id for claim in ledger.load(ROOT).values()}
    for cell in nbformat.read(path, as_version=4).cells:
        formatted = re.findall(r"\{glue:text\}`([^`:]+):[^`]*`", cell.source)
        assert not ids & set(formatted), cell.source


class Evidence:
    """Follow a notebook's names from `run` and `stored` to what it records."""

    SOURCES: ClassVar = {"run": "live", "stored": "stored", "pooled": "stored"}

    def __init__(self, path: Path) -> None:
        self.names: dict[str, set[str]] = {}
        self.recorded: dict[str, set[str]] = {}
        for cell in code_cells(path):
            self.follow(ast.parse(cell.source).body)

    def follow(self, body: list[ast.stmt]) -> None:
        for statement in body:
            match statement:
                case ast.Assign(targets=[target], value=value):
                    self.bind(target, value)
                case ast.For(target=target, iter=values, body=inner):
                    self.bind(target, values)
                    self.follow(inner)
                case ast.Expr(ast.Call(ast.Attribute(attr="record"), [ast.Constant(str(name)), *values])):
                    self.recorded[name] = set().union(*map(self.of, values))

    def bind(self, target: ast.expr, *values: ast.expr) -> None:
        match target, values:
            case ast.Tuple(elts=targets), (ast.Tuple(elts=parts),) if len(targets) == len(parts):
                for one, part in zip(targets, parts, strict=True):
                    self.bind(one, part)
            case ast.Tuple(elts=targets), (
                ast.GeneratorExp(elt, [ast.comprehension(iter=ast.Tuple(parts))]),
            ):
                for one, part in zip(targets, parts, strict=True):
                    self.bind(one, elt, part)
            case _:
                found = self.of(*values)
                names = [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
                self.names |= dict.fromkeys(names, found)

    def of(self, *values: ast.expr) -> set[str]:
        nodes = [node for value in values for node in ast.walk(value)]
        found = set().union(*(self.names.get(node.id, set()) for node in nodes if isinstance(node, ast.Name)))
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        methods = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        found |= {source for method, source in self.SOURCES.items() if method in methods}
        return found or ({"live"} if calls else set())


@by_chapter
def test_evidence_is_what_a_row_is_computed_from(path):
    """Rows recorded under a constant name; a live run may be one cell or one call of the library."""
    claims = ledger.load(ROOT)
    found = Evidence(path).recorded
    assert found
    for name, sources in found.items():
        said = {"live", "stored"} if claims[name].evidence == "both" else {claims[name].evidence}
        assert said <= sources, (name, said, sources)


@by_chapter
def test_claims_hold_at_another_seed(path, tmp_path):
    """`ledger.record` raises if a rule's outcome contradicts the verdict, and papermill passes it on.

    What the ledger shows of this seed is what it came to: `make seeds` was not forgotten.
    """
    target = tmp_path / path.name
    kernels.run(path, target, seed=SECOND_SEED)
    found, shown = outcomes(target), json.loads((ROOT / "book" / "seeds.json").read_text())
    assert found.keys() == outcomes(path).keys()
    for name, outcome in found.items():
        value, low, high = shown[name][0]
        apart = max(0.1 * abs(value), outcome["high"] - outcome["low"], high - low, 1e-6)
        assert outcome["value"] == pytest.approx(value, rel=0.0, abs=apart), name


def test_unknown_preset_is_refused(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="preset must be one of 'quick', 'paper'"):
        kernels.run(NOTEBOOKS[0], tmp_path / "out.ipynb", preset="tiny")


def test_false_alarm_rate_of_the_suite():
    """The chance that true claims fail somewhere in one run stays below one in a thousand."""
    total = EXECUTIONS * math.fsum(claim.false_alarm for claim in ledger.load(ROOT).values())
    assert total < 1e-3
