"""Kernels that listen on files of their own: `python book/kernels.py IN OUT PRESET SEED` runs one.

By default Jupyter looks for free ports, closes them and hands them to the kernel. Two kernels that start at
the same moment may be given one port; then one dies before it has answered. A file's name is its own.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import papermill
from jupyter_client.connect import ConnectionFileMixin
from jupyter_client.manager import AsyncKernelManager, KernelManager
from traitlets import Unicode, default


class OwnFiles(ConnectionFileMixin):
    """What to connect to: files whose name, short enough for a socket, nobody else takes."""

    transport = Unicode("ipc")

    @default("connection_file")
    def _own_connection_file(self) -> str:
        return str(Path(tempfile.gettempdir(), f"kernel-{uuid4().hex}.json"))


class FileKernelManager(OwnFiles, KernelManager):
    """Starts a kernel, and waits for it; for nbval."""


class AsyncFileKernelManager(OwnFiles, AsyncKernelManager):
    """Starts a kernel; for papermill."""


def run(notebook: Path, target: Path, **parameters: Any) -> None:
    """Run a notebook beside its own file, with parameters, and write it with its outputs."""
    papermill.execute_notebook(
        notebook,
        target,
        parameters=parameters,
        cwd=notebook.parent,
        progress_bar=False,
        kernel_name="python3",
        kernel_manager_class=AsyncFileKernelManager,
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), preset=sys.argv[3], seed=int(sys.argv[4]))
