"""Run notebooks again and store their outputs in the normal form: `python -m tools.execute [02 | exercises/02]`.

Nothing is written before the last cell of the last notebook has succeeded, so that an error or an interrupt leaves every
notebook as it was. May import: `tools.notebooks`, Jupyter.
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm import tqdm

from tools.notebooks import FOLDER, find, normalise, read, write_all

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class ThisPython(KernelSpecManager):
    """Starts every kernel with the interpreter that runs this file, whatever other kernels the machine has."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002
        """Return the one kernel there is, without its remark that local connections are not encrypted."""
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(["--log-level=ERROR"]))


def execute(path: Path) -> NotebookNode:
    """Run a notebook in its own folder and return it in the normal form; the file stays as it is.

    Raises:
        RuntimeError: if a cell fails or the kernel dies; the message names notebook and cell.
    """
    notebook = read(path)
    code = [
        (index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()
    ]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    manager = AsyncKernelManager(kernel_spec_manager=ThisPython())
    client = NotebookClient(notebook, km=manager, timeout=None, startup_timeout=180, shutdown_kernel="immediate")
    client.reset_execution_trackers()
    count = 0
    try:
        with (
            client.setup_kernel(cwd=str(path.parent), cleanup_kc=True),
            tqdm(code, desc=path.relative_to(path.parents[1]).as_posix(), unit="cell", leave=False) as progress,
        ):
            for count, (index, cell) in enumerate(progress, start=1):  # noqa: B007 - an error names the cell
                client.execute_cell(cell, index)
    except (CellExecutionError, RuntimeError) as error:
        raise RuntimeError(f"{path}, cell In [{count}]:\n{COLOUR.sub('', str(error))}") from error
    finally:
        if manager.has_kernel:  # interrupted while the kernel was still starting
            run_sync(manager.shutdown_kernel)(now=True)
    return normalise(notebook)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the selected notebooks, then write them all; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.execute", description="Run notebooks and store their outputs."
    )
    parser.add_argument("selection", nargs="?", default="", help="such as 02 or exercises/02; default: all notebooks")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the notebooks are (default: %(default)s)")
    options = parser.parse_args(arguments)
    paths = find(options.selection, options.folder)
    if not paths:
        print(
            f"There is no notebook whose name begins with {options.selection!r} in {options.folder}.", file=sys.stderr
        )
        return 1
    os.environ.pop("MPLBACKEND", None)  # kernels inherit it, and any backend but their own would swallow the figures
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the root conftest.py, which says why
    try:
        with tqdm(paths, desc="notebooks", unit="notebook") as progress:
            done = {path: execute(path) for path in progress}
        write_all(done)
    except KeyboardInterrupt:
        print("\nInterrupted: every notebook is as it was.", file=sys.stderr)
        return 130
    except (RuntimeError, ValueError) as error:
        print(f"\n{error}\n\nEvery notebook is as it was.", file=sys.stderr)
        return 1
    print(f"{len(done)} notebooks executed and stored.")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite request to end is an interrupt
    sys.exit(main())
