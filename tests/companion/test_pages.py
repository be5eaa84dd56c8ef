"""The source that a chapter shows is the source that runs."""

import ast
from pathlib import Path

import pytest

from companion.pages import source
from nnmoments import linalg
from nnmoments.scores import LLSFE
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
