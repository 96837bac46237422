"""Make the exercise notebooks from the solutions: `python -m tools.exercises [--check]`.

A solution notebook is the only source. In its copy for learners every line from `### BEGIN SOLUTION` to `### END SOLUTION`
(nbgrader's markers) has become `...`. May import: `tools.notebooks`.
"""

import argparse
import copy
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from nbformat import NotebookNode

from tools.notebooks import FOLDER, normalise, read, same_cell, write_all

BEGIN = re.compile(r"(\s*)### BEGIN SOLUTION\s*")
END = re.compile(r"\s*### END SOLUTION\s*")


def without_solution(source: str) -> str:
    """Return the source of a cell with `...` in place of each marked solution, as far to the right as its first marker.

    Raises:
        ValueError: for a marker without its partner.
    """
    lines: list[str] = []
    inside = False
    for line in source.splitlines():
        begin, end = BEGIN.fullmatch(line), END.fullmatch(line)
        if (begin and inside) or (end and not inside):
            raise ValueError(f"the marker {line.strip()!r} has no partner")
        if begin:
            inside = True
            lines.append(f"{begin[1]}...")
        elif end:
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError("the marker '### BEGIN SOLUTION' has no partner")
    return "\n".join(lines)


def generate(solution: NotebookNode, stored: NotebookNode | None = None) -> NotebookNode:
    """Return the exercise notebook of a solution notebook.

    Args:
        solution: stays as it is.
        stored: the exercise notebook as it was; cells that are still the same keep their outputs.

    Raises:
        ValueError: for a marker without its partner, naming the cell.
    """
    exercise = copy.deepcopy(solution)
    kept = {cell.get("id"): cell for cell in stored.cells} if stored is not None else {}
    for number, cell in enumerate(exercise.cells, start=1):
        if cell.cell_type != "code":
            continue
        try:
            cell.source = without_solution(cell.source)
        except ValueError as error:
            raise ValueError(f"cell {number}: {error}") from error
        cell.outputs, cell.execution_count = [], None
        before = kept.get(cell.get("id"))
        if before is not None and same_cell(before, cell):
            cell.outputs, cell.execution_count = copy.deepcopy(before.outputs), before.execution_count
    return normalise(exercise)


def generate_all(folder: Path = FOLDER) -> dict[Path, NotebookNode]:
    """Return all exercise notebooks as they should be, by path.

    Raises:
        ValueError: for a notebook that can't be read or a marker without its partner, naming notebook and cell.
    """
    exercises = {}
    for path in sorted((folder / "solutions").glob("*.ipynb")):
        target = folder / "exercises" / path.name
        solution, stored = normalise(read(path)), read(target) if target.exists() else None
        try:
            exercises[target] = generate(solution, stored)
        except ValueError as error:
            raise ValueError(f"{path}, {error}.") from error
    return exercises


def differences(folder: Path = FOLDER) -> list[str]:
    """Return, in words, where the exercise notebooks are not what their solutions say; outputs don't count."""
    wanted = generate_all(folder)
    found = [
        f"{path} has no solution notebook."
        for path in sorted((folder / "exercises").glob("*.ipynb"))
        if path not in wanted
    ]
    for path, exercise in wanted.items():
        if not path.exists():
            found.append(f"{path} is missing.")
            continue
        stored = read(path)
        if len(stored.cells) != len(exercise.cells):
            found.append(f"{path} has {len(stored.cells)} cells, but should have {len(exercise.cells)}.")
            continue
        found += [
            f"{path}, cell {number} is not what its solution says."
            for number, (cell, right) in enumerate(zip(stored.cells, exercise.cells, strict=True), start=1)
            if cell.get("id") != right.id or not same_cell(cell, right)
        ]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the exercise notebooks, or only check them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.exercises", description="Make exercises from solutions.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if an exercise is out of step")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the notebooks are (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            found = differences(options.folder)
            print(
                "\n".join([*found, "Run: make exercises"]) if found else "Every exercise is in step with its solution."
            )
            return bool(found)
        exercises = generate_all(options.folder)
        write_all(exercises)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(exercises)} exercise notebooks made.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
