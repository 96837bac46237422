"""Notebooks as files: found, read, brought into one normal form, written without ever leaving half a file.

The normal form is what makes a re-execution leave no diff: no timing, no widget state, no version of the interpreter, stable
cell ids, execution counts in order. May import: nbformat. May not: anything that runs code.
"""

import hashlib
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
PARTS = ("", "solutions", "exercises")
"""The folders that hold notebooks, relative to FOLDER: lessons first."""

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"
KEPT_CELL_METADATA = ("nbgrader", "tags")
"""nbgrader refuses a solution cell that has lost its metadata."""


def find(selection: str = "", folder: Path = FOLDER) -> list[Path]:
    """Return the notebooks of the course whose name begins with `selection`, lessons first.

    Args:
        selection: such as "02" (a lesson, its solutions and its exercises) or "exercises/02"; "" selects all.
        folder: where the notebooks are.
    """
    paths = [path for part in PARTS for path in sorted((folder / part).glob("*.ipynb"))]
    return [
        path
        for path in paths
        if path.name.startswith(selection) or path.relative_to(folder).as_posix().startswith(selection)
    ]


def read(path: Path) -> NotebookNode:
    """Return a notebook as it is stored; unlike `nbformat.read`, missing cell ids are not made up at random.

    Raises:
        ValueError: if the file is no notebook of format 4.
    """
    text = path.read_text(encoding="utf-8")
    try:
        notebook: NotebookNode = nbformat.v4.reads(text)
        if notebook["nbformat"] != 4 or not isinstance(notebook["cells"], list):
            raise ValueError("it is not of notebook format 4")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no notebook that can be read: {error!r}.") from error
    return notebook


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Bring a notebook into its normal form, in place; a second time changes nothing.

    Raises:
        nbformat.ValidationError: if what comes out is no valid notebook.
    """
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(name="python"))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    _give_ids(notebook.cells)
    position = 0
    for cell in notebook.cells:
        cell.metadata = NotebookNode({key: cell.metadata[key] for key in KEPT_CELL_METADATA if key in cell.metadata})
        cell.source = cell.source.rstrip()
        if cell.cell_type == "code":
            position += bool(cell.source)
            _normalise_outputs(cell, position)
    nbformat.validate(notebook)
    return notebook


def _give_ids(cells: list[NotebookNode]) -> None:
    used: set[str] = set()
    for cell in cells:
        identifier = cell.get("id")
        attempt = 0
        while not identifier or identifier in used:
            identifier = hashlib.sha256(f"{attempt} {cell.cell_type} {cell.source}".encode()).hexdigest()[:8]
            attempt += 1
        cell.id = identifier
        used.add(identifier)


def _normalise_outputs(cell: NotebookNode, position: int) -> None:
    """Number the cell by its place if it was run, join what was printed in pieces, drop what differs from run to run."""
    was_run = cell.execution_count is not None and cell.source
    cell.execution_count = position if was_run else None
    ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
    outputs: list[NotebookNode] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            if ignored and output.name == "stderr":  # a progress bar: its times are never the same
                continue
            if outputs and outputs[-1].output_type == "stream" and outputs[-1].name == output.name:
                outputs[-1].text += output.text
                continue
        elif WIDGET in output.get("data", {}):  # alive only beside its kernel: a reader would see an empty place
            continue
        elif output.output_type == "execute_result":
            output.execution_count = cell.execution_count
        elif output.output_type == "error":  # the frames of a traceback name folders of one machine
            output.traceback = [f"{output.ename}: {output.evalue}"]
        outputs.append(output)
    cell.outputs = outputs


def same_cell(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two cells agree in all that is written by hand: kind, source, tags and nbgrader's metadata."""
    return (
        one["cell_type"] == other["cell_type"]
        and one["source"].rstrip() == other["source"].rstrip()
        and all(one["metadata"].get(key) == other["metadata"].get(key) for key in KEPT_CELL_METADATA)
    )


def write_all(notebooks: Mapping[Path, NotebookNode]) -> None:
    """Write several notebooks, all or none: everything that can fail happens before the first is replaced."""
    replace_files({path: (nbformat.v4.writes(node).rstrip() + "\n").encode() for path, node in notebooks.items()})


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files, all or none, each in one step; folders are made where they are missing."""
    staged = {path: path.with_name(f".{path.name}.tmp") for path in contents}
    try:
        for path, temporary in staged.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(contents[path])
        with _uninterrupted():
            for path, temporary in staged.items():
                temporary.replace(path)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and a polite request to end for the moment in which files change places."""
    came: list[int] = []
    held = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
