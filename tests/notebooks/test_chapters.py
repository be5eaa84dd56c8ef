"""What a chapter must have for its reader (CONTRIBUTING says why)."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import nbformat
import pytest

import nnmoments

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
STATEMENT = re.compile(r"\{prf:(?:theorem|lemma|proposition|corollary)\}")
PUBLIC = {
    name
    for info in pkgutil.iter_modules(nnmoments.__path__)
    for name in importlib.import_module(f"nnmoments.{info.name}").__all__
}


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def calls(path: Path) -> set[str]:
    """Return the names that visible cells call."""
    found = set()
    for cell in cells(path, "code"):
        if {"hide-input", "hide-cell", "remove-cell"} & set(cell.metadata.get("tags", [])):
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call):
                found.add(ast.unparse(node.func).rpartition(".")[2])
    return found


def prose(path: Path) -> str:
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def names_a_decoder(path: Path) -> bool:
    """The reader sees the library called by name, a density or data on one side, an answer on the other."""
    return len(calls(path) & PUBLIC) >= 2


def shows_an_algorithm(path: Path) -> bool:
    """The running source of an algorithm stands in the chapter."""
    sources = [cell.source for cell in cells(path, "code")]
    return any(re.search(r"^source\(|pages\.source\(", source, re.MULTILINE) for source in sources)


def proves_what_it_states(path: Path) -> bool:
    """Each statement is followed, before the next one, by a proof or by a word on where its proof is."""
    parts = STATEMENT.split(prose(path))[1:]
    return bool(parts) and all(re.search(r"\b[Pp]ro(?:of|ve[sdn]?)\b", part) for part in parts)


def solves_its_exercises(path: Path) -> bool:
    text = prose(path)
    exercises = re.findall(r"\{exercise(?:-start)?\}.*?:label: ([\w-]+)", text, re.DOTALL)
    solutions = re.findall(r"\{solution(?:-start)?\} ([\w-]+)", text)
    return bool(exercises) and sorted(exercises) == sorted(solutions)


def has_an_explorable(path: Path) -> bool:
    return any("explorables." in cell.source for cell in cells(path, "code"))


def has_its_parts_in_order(path: Path) -> bool:
    """What is found stands in the summary, and that before the exercises, with which a chapter ends."""
    parts = re.findall(
        r"^(?:#{2} (.+)|:+\{admonition\} (What you should know|Summary|Further reading))$",
        prose(path),
        re.MULTILINE,
    )
    names = ["".join(part) for part in parts]
    return names[0] == "What you should know" and names[-3:] == ["Summary", "Further reading", "Exercises"]


RULES = {
    rule.__name__: rule
    for rule in (
        names_a_decoder,
        shows_an_algorithm,
        proves_what_it_states,
        solves_its_exercises,
        has_an_explorable,
        has_its_parts_in_order,
    )
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_chapter_has_what_its_reader_needs(path, rule):
    assert RULES[rule](path), f"{path.stem}: {rule} is not fulfilled"


KNOW = ":::{admonition} What you should know\n:::"
SUMMARY = "::::{admonition} Summary\n::::\n:::{admonition} Further reading\n:::"


@pytest.mark.parametrize(
    ("text", "rule", "expected"),
    [
        (":::{prf:lemma} A\n:::\n\n:::{prf:proof}\nx\n:::", proves_what_it_states, True),
        (
            ":::{prf:lemma} A\n:::\n\n:::{prf:theorem} B\n:::\nThe proof is in their appendix.",
            proves_what_it_states,
            False,
        ),
        (":::{exercise}\n:label: ex-a\nx\n:::\n:::{solution} ex-a\ny\n:::", solves_its_exercises, True),
        (":::{exercise}\n:label: ex-a\nx\n:::", solves_its_exercises, False),
        (f"{KNOW}\n## A\n{SUMMARY}\n## Exercises", has_its_parts_in_order, True),
        (f"{KNOW}\n## A\n## Exercises\n{SUMMARY}", has_its_parts_in_order, False),
    ],
)
def test_the_rules_can_fail(tmp_path, text, rule, expected):
    path = tmp_path / "x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), path)
    assert rule(path) is expected


SETTINGS = re.split(r"^## ", prose(ROOT / "notebooks" / "05_structure.ipynb"), flags=re.MULTILINE)[1:-1]


@pytest.mark.parametrize("section", SETTINGS, ids=[text.partition("\n")[0] for text in SETTINGS])
def test_each_setting_of_chapter_5_is_worked_by_hand(section):
    """Its sections can be read on their own, so each has an instance of its own, before what is general."""
    assert 0 < section.find("**By hand.**") < re.search(r"\{prf:theorem\}|\(eq-", section).start()
