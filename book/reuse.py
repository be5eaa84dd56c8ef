"""A pytest plugin: what nbval has executed and found right need not be executed again for the book.

``PYTHONPATH=book python -m pytest -p reuse --nbval notebooks`` leaves each chapter whose cells all
passed where `build.py` looks for executed chapters, under the key of what it was executed from.
"""

import copy
from collections.abc import Iterator
from typing import Any

import build
import kernels
import nbformat
import nbval.kernel
import pytest

KEY = pytest.StashKey[str]()
FAILED = pytest.StashKey[bool]()

nbval.kernel.KernelManager = kernels.FileKernelManager  # nbval has no setting for it


def chapter(item: pytest.Item) -> Any:
    """Return the notebook that a cell belongs to, None if it is no cell of a chapter."""
    return item.parent if hasattr(item, "cell") and item.path.parent == build.ROOT / "notebooks" else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before its first cell, say what the notebook is executed from."""
    notebook = chapter(item)
    if notebook is not None and item.cell is code(notebook)[0]:
        notebook.stash[KEY] = build.fingerprint(item.path, "quick", 0)
        notebook.stash[FAILED] = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """After its last cell, keep the notebook if all cells were executed and none failed."""
    report = yield
    notebook = chapter(item)
    if notebook is not None and call.when == "call" and KEY in notebook.stash:
        notebook.stash[FAILED] |= not report.passed
        if item.cell is code(notebook)[-1] and not notebook.stash[FAILED]:
            build.keep(executed(notebook), item.path, notebook.stash[KEY])
    return report


def code(notebook: Any) -> list[Any]:
    """Return the cells that are executed."""
    return [cell for cell in notebook.nb.cells if cell.cell_type == "code"]


def executed(notebook: Any) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of this run."""
    document = copy.deepcopy(notebook.nb)
    items = {id(item.cell): item for item in notebook.session.items if item.parent is notebook}
    for cell, before in zip(document.cells, notebook.nb.cells, strict=True):
        if id(before) in items:
            cell.outputs = [nbformat.from_dict(output) for output in items[id(before)].test_outputs]
    nbformat.validate(document)
    return document
