"""The source that a chapter shows is the source that runs."""

import ast
import inspect
import re
from pathlib import Path

import pandas as pd
import pytest

from companion.pages import LONGEST, source, table
from nnmoments import linalg
from nnmoments.borders import fit_crossings
from nnmoments.scores import LLSFE, degree_two
from nnmoments.sparse import l1_method


def test_the_shown_source_is_the_running_source_without_its_docstring():
    """As syntax trees, the two differ by the docstring and the types only."""
    shown = ast.parse(source(l1_method).code).body[0]
    tree = ast.parse(Path(l1_method.__code__.co_filename).read_text())
    (running,) = [node for node in tree.body if getattr(node, "name", "") == "l1_method"]
    assert ast.get_docstring(running)
    assert ast.dump(ast.Module(shown.body, [])) == ast.dump(ast.Module(running.body[1:], []))
    assert [a.arg for a in shown.args.kwonlyargs] == [a.arg for a in running.args.kwonlyargs]
    assert "NDArray" not in source(l1_method).code
    assert "npt.ArrayLike" in source(l1_method, types=True).code
    assert "# for each j" in source(l1_method).code  # comments tie the lines to the paper's


def test_long_lines_break_and_mean_the_same():
    """Only a string may be longer than the page has room for."""
    shown = source(fit_crossings).code
    tree = ast.parse(Path(fit_crossings.__code__.co_filename).read_text())
    (running,) = [node for node in tree.body if getattr(node, "name", "") == "fit_crossings"]
    assert ast.dump(ast.Module(ast.parse(shown).body[0].body, [])) == ast.dump(
        ast.Module(running.body[1:], [])
    )
    whole = inspect.getsource(fit_crossings)
    assert max(map(len, whole.splitlines())) > LONGEST
    assert not [line for line in shown.splitlines() if len(line) > LONGEST and '"' not in line]
    assert "lambda _, finest=finest: finest" in shown
    words = " ".join(shown.replace("#", "").split())
    for comment in re.findall(r"  # (.*)", whole):
        assert comment in words


def test_a_long_message_breaks_between_words():
    shown = source(degree_two).code
    assert (
        max(map(len, shown.splitlines()))
        <= LONGEST
        < max(map(len, inspect.getsource(degree_two).splitlines()))
    )
    raised = [
        ast.dump(node.exc)
        for text in (shown, inspect.getsource(degree_two))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Raise)
    ]
    assert raised[: len(raised) // 2] == raised[len(raised) // 2 :]


def test_a_shown_function_still_runs():
    scope = vars(linalg).copy()
    exec(source(linalg.khatri_rao).code, scope)
    assert scope["khatri_rao"] is not linalg.khatri_rao
    assert scope["khatri_rao"]([[1.0, 2.0]], [[3.0, 4.0]]).tolist() == [[3.0, 4.0, 6.0, 8.0]]


def test_classes_and_several_functions_stand_in_one_block():
    text = source(LLSFE, l1_method)._repr_mimebundle_()["text/markdown"]
    assert text.startswith("```python\n# nnmoments.scores.llsfe, nnmoments.sparse.algorithm1\nclass LLSFE")
    assert '"""' not in text
    assert text.endswith("\n```")


def test_what_has_no_source_is_refused():
    with pytest.raises(ValueError, match="function 1 must be a function"):
        source(l1_method, 3.0)


def test_tables_have_heads_and_digits():
    frame = pd.DataFrame(
        {"error": [0.25, -1e-9], "ok": [True, False]}, index=pd.Index(["relu", "erf"], name="unit")
    )
    lines = table(frame, digits=2, heads={"error": r"$\|\hat W - W\|$"}).lines
    assert lines[0] == r"| unit | $\|\hat W - W\|$ | ok |"
    assert lines[1].startswith("| :-- | --: |")
    assert lines[2:] == ["| relu | 0.25 | yes |", "| erf | -1e-09 | no |"]
    with pytest.raises(ValueError, match="heads must name columns"):
        table(frame, heads={"loss": "L"})


def test_a_column_of_numbers_stays_one_beside_a_word_or_a_bold_entry():
    frame = pd.DataFrame({"way": ["a", "b"], "error": [0.25, "**0.1**"], "other": ["none", "none"]})
    assert table(frame, index=False).lines[1] == "| :-- | --: | :-- |"
