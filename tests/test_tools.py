"""The scripts in tools/ on small made-up notebooks, and the order of the course's own notebooks."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import course_map, execute, exercises, lab, notebooks, readme_figure

GRADED = {"grade": False, "grade_id": "a", "locked": False, "schema_version": 3, "solution": True, "task": False}
SOLUTION = "def twice(x):\n    ### BEGIN SOLUTION\n    y = 2 * x\n    return y\n    ### END SOLUTION"
EXERCISE = "def twice(x):\n    ..."


def code(source: str, identifier: str, *, tags: list[str] | None = None, **metadata: Any) -> NotebookNode:
    cell: NotebookNode = new_code_cell(source, id=identifier, metadata=metadata | ({"tags": tags} if tags else {}))
    return cell


def store(path: Path, *cells: NotebookNode) -> Path:
    """Write a notebook as an editor would, not as the tools do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.v4.writes(new_notebook(cells=list(cells))), encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The normal form


def printed(text: str, name: str = "stdout") -> NotebookNode:
    output: NotebookNode = new_output("stream", name=name, text=text)
    return output


def messy() -> NotebookNode:
    bar = "100%|███| 3/3 [00:01<00:00]"
    shown = new_output("execute_result", {"text/plain": "3"}, execution_count=41)
    error = new_output("error", ename="ValueError", evalue="no", traceback=["\x1b[31mFile /home/me/x.py:1"])
    cells = [
        new_markdown_cell("# Title\n\n", id="same", metadata={"slideshow": {"slide_type": "-"}}),
        code("1 + 2\n", "2", collapsed=True, execution={"iopub.execute_input": "2026-01-01"}, nbgrader=GRADED),
        code("", "blank"),
        code("train()", "train", tags=["nbval-ignore-output"]),
        code("fail()", "fail", tags=["raises-exception"]),
        code("print()", "never"),
    ]
    cells[1].update(outputs=[printed("a"), printed("b\n"), printed(bar, "stderr"), shown], execution_count=41)
    cells[3].update(outputs=[printed("a"), printed(bar, "stderr"), printed("b\n")], execution_count=7)
    cells[4].update(outputs=[error], execution_count=43)
    metadata = {
        "kernelspec": {"name": "mine", "display_name": "Mine"},
        "language_info": {"name": "python", "version": "3.11.7"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {}},
    }
    notebook: NotebookNode = new_notebook(cells=cells, metadata=metadata)
    cells[1].id = "same"
    return notebook


def test_normal_form() -> None:
    notebook = notebooks.normalise(messy())
    title, shown, blank, train, fail, never = notebook.cells
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}
    assert title.source == "# Title"
    assert title.metadata == {}
    assert shown.metadata == {"nbgrader": GRADED}
    assert [output.get("text") for output in shown.outputs] == ["ab\n", "100%|███| 3/3 [00:01<00:00]", None]
    assert [shown.execution_count, shown.outputs[2].execution_count] == [1, 1]
    assert [cell.execution_count for cell in (blank, train, fail, never)] == [None, 2, 3, None]
    assert train.metadata == {"tags": ["nbval-ignore-output"]}
    assert [output.text for output in train.outputs] == ["ab\n"]
    assert fail.outputs[0].traceback == ["ValueError: no"]


def test_a_widget_is_not_stored_because_it_needs_its_kernel() -> None:
    cell = new_code_cell("slider", id="slider", execution_count=1)
    cell.outputs = [
        new_output("execute_result", {notebooks.WIDGET: {}, "text/plain": "FloatSlider()"}, execution_count=1),
        new_output("execute_result", {"text/plain": "7"}, execution_count=1),
    ]
    (normal,) = notebooks.normalise(new_notebook(cells=[cell])).cells
    assert [output.data["text/plain"] for output in normal.outputs] == ["7"]


def test_ids_are_kept_if_they_can_be_and_otherwise_derived() -> None:
    one, other = notebooks.normalise(messy()), notebooks.normalise(messy())
    ids = [cell.id for cell in one.cells]
    assert ids == [cell.id for cell in other.cells]
    assert len(set(ids)) == len(ids)
    assert ids[0] == "same" != ids[1]
    assert ids[2:] == ["blank", "train", "fail", "never"]


def test_normalising_twice_changes_nothing() -> None:
    once = notebooks.normalise(messy())
    assert notebooks.normalise(copy.deepcopy(once)) == once


def test_a_notebook_without_ids_reads_the_same_twice(tmp_path: Path) -> None:
    notebook = messy()
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert notebooks.normalise(notebooks.read(path)) == notebooks.normalise(notebooks.read(path))


@pytest.mark.parametrize("text", ["<<<<<<< ours", "[]", "{}", '{"nbformat": 3, "cells": []}'])
def test_a_file_that_is_not_a_notebook_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.ipynb").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.ipynb is no notebook"):
        notebooks.read(tmp_path / "broken.ipynb")


def test_several_files_are_replaced_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "file").write_bytes(b"in the way of a folder")
    before = contents(tmp_path)
    with pytest.raises(OSError, match="file"):
        notebooks.replace_files({tmp_path / "a": b"new", tmp_path / "file" / "b": b"new"})
    assert contents(tmp_path) == before


def test_an_interrupt_waits_until_all_files_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def replace_and_interrupt(path: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        notebooks.replace_files({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert contents(tmp_path) == {"a": b"new", "b": b"new"}


# Executing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lesson that runs in its own folder, with everything that could differ from one execution to the next."""
    path = tmp_path / "notebooks"
    show = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    train = "import sys, time\nprint(time.time(), file=sys.stderr)\nprint('trained')"
    store(
        path / "01_a.ipynb",
        new_markdown_cell("# A"),
        code("from pathlib import Path\nPath.cwd().name", "where"),
        code(train, "train", tags=["nbval-ignore-output"]),
        code(show, "show"),
        code("1 / 0", "fail", tags=["raises-exception"]),
    )
    return path


def test_executing_twice_leaves_no_difference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")  # a kernel with this backend would store no figure
    assert execute.main(["01", "--folder", str(folder)]) == 0
    first = contents(folder)
    assert execute.main(["--folder", str(folder)]) == 0
    assert contents(folder) == first
    _, where, train, show, fail = notebooks.read(folder / "01_a.ipynb").cells
    assert where.outputs[0].data["text/plain"] == "'notebooks'"
    assert [output.text for output in train.outputs] == ["trained\n"]
    assert "image/png" in show.outputs[0].data
    assert fail.outputs[0].ename == "ZeroDivisionError"
    assert [cell.execution_count for cell in (where, train, show, fail)] == [1, 2, 3, 4]


def test_a_failing_cell_leaves_every_notebook_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "notebooks"
    store(folder / "01_a.ipynb", code("print('done')", "x"))
    store(folder / "exercises" / "01_b.ipynb", code("fine = 1", "x"), code("", "y"), code("print(fin)", "z"))
    before = contents(folder)
    assert execute.main(["--folder", str(folder)]) == 1
    assert contents(folder) == before
    said = capsys.readouterr().err
    assert "01_b.ipynb, cell In [2]" in said
    assert "NameError: name 'fin' is not defined" in said
    assert "\x1b[3" not in said, "colours of a terminal"


def test_a_kernel_that_dies_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = store(tmp_path / "notebooks" / "02_b.ipynb", code("import os\nos._exit(1)", "x"))
    assert execute.main(["02", "--folder", str(path.parent)]) == 1
    said = capsys.readouterr().err
    assert f"{path}, cell In [1]" in said
    assert "died" in said.lower()


def test_a_selection_that_selects_nothing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path / "01_a.ipynb")
    assert execute.main(["7", "--folder", str(tmp_path)]) == 1
    assert "begins with '7'" in capsys.readouterr().err


def test_a_selection_is_a_lesson_or_a_place(tmp_path: Path) -> None:
    for name in ("01_a", "02_b", "exercises/02_b", "solutions/02_b", ".ipynb_checkpoints/02_b"):
        store(tmp_path / f"{name}.ipynb")

    def found(selection: str) -> list[str]:
        return [path.relative_to(tmp_path).with_suffix("").as_posix() for path in notebooks.find(selection, tmp_path)]

    assert found("") == ["01_a", "02_b", "solutions/02_b", "exercises/02_b"]
    assert found("02") == ["02_b", "solutions/02_b", "exercises/02_b"]
    assert found("exercises/") == ["exercises/02_b"]


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")  # where nobody waits for its end, a dead process stays listed as Z
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_for(condition: Callable[[], object], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no signal that one process could send to another alone"
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_every_notebook_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    folder, kernel = tmp_path / "notebooks", tmp_path / "kernel"
    if number == signal.SIGINT:  # once is enough: each notebook takes a kernel
        store(folder / "01_a.ipynb", code("print('done')", "x"))
    wait = "import os, time\nfrom pathlib import Path\n"
    wait += f"Path({str(kernel)!r}).write_text(str(os.getpid()))\ntime.sleep(120)"
    store(folder / "02_b.ipynb", code(wait, "x"))
    before = contents(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.execute", "--folder", str(folder)],
        cwd=notebooks.ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert wait_for(lambda: kernel.exists() and kernel.read_text())
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "every notebook is as it was" in said
    assert "Traceback" not in said
    assert contents(folder) == before
    assert wait_for(lambda: not is_alive(int(kernel.read_text())), 10)


# Exercises


def test_solutions_become_dots_at_the_indentation_of_the_marker() -> None:
    assert exercises.without_solution(SOLUTION) == EXERCISE
    two = (
        "a = 1\n### BEGIN SOLUTION\nb = 2\n### END SOLUTION\nif a:\n        ### BEGIN SOLUTION\n### END SOLUTION\nc = 3"
    )
    assert exercises.without_solution(two) == "a = 1\n...\nif a:\n        ...\nc = 3"
    untouched = "text = '''\n  ### BEGIN SOLUTION?\n'''\n\n\nx  = 1  # ### END SOLUTION"
    assert exercises.without_solution(untouched) == untouched


@pytest.mark.parametrize(
    "source",
    [
        "### BEGIN SOLUTION\nx = 1",
        "x = 1\n### END SOLUTION",
        "### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION",
    ],
)
def test_a_marker_without_partner_is_named(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path / "solutions" / "01_a.ipynb", new_markdown_cell("# A"), code(source, "x"))
    assert exercises.main(["--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "01_a.ipynb, cell 2" in said
    assert "no partner" in said
    assert not (tmp_path / "exercises").exists()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A solution notebook with its exercise notebook, whose cells look executed."""
    answer = code(SOLUTION, "answer", nbgrader=GRADED, tags=["difficulty"])
    solved = [new_markdown_cell("# A", id="title"), answer, code("print(twice(2))", "use"), code("print(1)", "one")]
    for cell in solved[2:]:
        cell.update(outputs=[new_output("stream", name="stdout", text="4\n")], execution_count=9)
    store(tmp_path / "solutions" / "01_a.ipynb", *solved)
    assert exercises.main(["--folder", str(tmp_path)]) == 0
    path = tmp_path / "exercises" / "01_a.ipynb"
    exercise = notebooks.read(path)
    for cell in exercise.cells[1:]:
        cell.update(outputs=[new_output("stream", name="stdout", text="not yet\n")], execution_count=1)
    notebooks.write_all({path: notebooks.normalise(exercise)})
    return tmp_path


def test_an_exercise_is_its_solution_without_answers_and_outputs(made: Path) -> None:
    solution = notebooks.read(made / "solutions" / "01_a.ipynb")
    exercise = exercises.generate(solution)
    assert [cell.source for cell in exercise.cells] == ["# A", EXERCISE, "print(twice(2))", "print(1)"]
    assert [cell.id for cell in exercise.cells] == ["title", "answer", "use", "one"]
    assert exercise.cells[1].metadata == {"nbgrader": GRADED, "tags": ["difficulty"]}
    assert all(cell.outputs == [] and cell.execution_count is None for cell in exercise.cells[1:])
    assert solution.cells[1].source == SOLUTION


def test_making_exercises_again_changes_nothing(made: Path) -> None:
    before = contents(made)
    assert b"not yet" in before[str(Path("exercises/01_a.ipynb"))]
    assert exercises.main(["--folder", str(made)]) == 0
    assert contents(made) == before
    assert exercises.main(["--check", "--folder", str(made)]) == 0


def test_only_a_changed_cell_loses_its_outputs(made: Path) -> None:
    path = made / "solutions" / "01_a.ipynb"
    solution = notebooks.read(path)
    solution.cells[2].source = "print(twice(3))"
    notebooks.write_all({path: solution})
    assert exercises.main(["--folder", str(made)]) == 0
    exercise = notebooks.read(made / "exercises" / "01_a.ipynb")
    assert [len(cell.outputs) for cell in exercise.cells[1:]] == [1, 0, 1]
    assert [cell.execution_count for cell in exercise.cells[1:]] == [1, None, 3]


def change_source(cells: list[NotebookNode]) -> None:
    cells[2].source = "print(twice(3))"


def change_tags(cells: list[NotebookNode]) -> None:
    cells[2].metadata["tags"] = ["raises-exception"]


def change_nbgrader(cells: list[NotebookNode]) -> None:
    cells[1].metadata["nbgrader"]["grade_id"] = "b"


def change_id(cells: list[NotebookNode]) -> None:
    cells[2].id = "other"


def change_kind(cells: list[NotebookNode]) -> None:
    cells[0].cell_type = "raw"


def remove_cell(cells: list[NotebookNode]) -> None:
    cells.pop()


@pytest.mark.parametrize("change", [change_source, change_tags, change_nbgrader, change_id, change_kind, remove_cell])
@pytest.mark.parametrize("part", ["solutions", "exercises"])
def test_check_sees_a_difference(made: Path, part: str, change: Callable[[list[NotebookNode]], None]) -> None:
    path = made / part / "01_a.ipynb"
    notebook = notebooks.read(path)
    change(notebook.cells)
    notebooks.write_all({path: notebook})
    before = contents(made)
    assert exercises.main(["--check", "--folder", str(made)]) == 1
    assert contents(made) == before


def test_check_sees_an_exercise_too_many_and_one_too_few(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made / "exercises" / "01_a.ipynb").rename(made / "exercises" / "02_b.ipynb")
    assert exercises.main(["--check", "--folder", str(made)]) == 1
    said = capsys.readouterr().out
    assert "02_b.ipynb has no solution notebook" in said
    assert "01_a.ipynb is missing" in said


# The learner's copies


@pytest.fixture
def course(tmp_path: Path) -> tuple[Path, Path]:
    """A course with a lesson, an exercise and a solution, copied once."""
    folder, work = tmp_path / "notebooks", tmp_path / "my_work"
    store(folder / "00_start.ipynb", code("print(0)", "x"))
    store(folder / "exercises" / "01_a.ipynb", code("...", "x"))
    store(folder / "solutions" / "01_a.ipynb", code("2", "x"))
    assert "00_start.ipynb, exercises/01_a.ipynb" in " ".join(lab.update(folder, work))
    return folder, work


def test_lessons_and_exercises_are_copied_and_solutions_are_not(course: tuple[Path, Path]) -> None:
    folder, work = course
    copies = contents(work)
    copies.pop(lab.RECORD)
    assert copies == {name: text for name, text in contents(folder).items() if not name.startswith("solutions")}
    assert lab.update(folder, work) == []


def test_work_is_never_overwritten_and_new_lessons_arrive(course: tuple[Path, Path]) -> None:
    folder, work = course
    (work / "00_start.ipynb").write_text("mine", encoding="utf-8")
    (work / "notes.txt").write_text("mine too", encoding="utf-8")
    store(folder / "01_a.ipynb", code("1", "x"))
    news = lab.update(folder, work)
    assert len(news) == 1
    assert "01_a.ipynb" in news[0]
    assert "00_start" not in news[0]
    assert (work / "00_start.ipynb").read_text(encoding="utf-8") == "mine"
    assert (work / "notes.txt").read_text(encoding="utf-8") == "mine too"
    assert (work / "01_a.ipynb").read_bytes() == (folder / "01_a.ipynb").read_bytes()


def test_a_change_in_the_course_is_reported_each_time_and_not_forced(course: tuple[Path, Path]) -> None:
    folder, work = course
    before = contents(work)
    store(folder / "00_start.ipynb", code("print(1)", "x"))
    for _ in range(2):
        (news,) = lab.update(folder, work)
        assert "changed since you copied 00_start.ipynb." in news
        assert contents(work) == before
    (work / "00_start.ipynb").rename(work / "00_start_mine.ipynb")
    assert "Copied" in " ".join(lab.update(folder, work))
    assert lab.update(folder, work) == []
    assert (work / "00_start.ipynb").read_bytes() == (folder / "00_start.ipynb").read_bytes()


def test_another_execution_of_the_course_is_no_change(course: tuple[Path, Path]) -> None:
    folder, work = course
    cell = code("print(0)", "other-id")
    cell.update(outputs=[new_output("stream", name="stdout", text="0\n")], execution_count=1)
    store(folder / "00_start.ipynb", cell)
    assert lab.update(folder, work) == []


@pytest.mark.parametrize("damage", ["{", "[1]", '{"00_start.ipynb": 3}', "\udcff", None])
def test_a_broken_record_does_no_harm(course: tuple[Path, Path], damage: str | None) -> None:
    folder, work = course
    (work / "00_start.ipynb").write_text("mine", encoding="utf-8")
    record = work / lab.RECORD
    if damage is None:
        record.unlink()
    else:
        record.write_bytes(damage.encode("utf-8", "surrogateescape"))
    news = lab.update(folder, work)
    assert len(news) == (damage is not None)
    assert (work / "00_start.ipynb").read_text(encoding="utf-8") == "mine"
    assert lab.update(folder, work) == []
    store(folder / "00_start.ipynb", code("print(1)", "x"))
    assert "changed since" in " ".join(lab.update(folder, work))


def test_the_lab_opens_the_start_lesson_and_passes_options_on(
    course: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, work = course
    store(folder / "00_start_here.ipynb", code("1", "x"))
    started: list[list[str]] = []
    monkeypatch.setattr("jupyterlab.labapp.main", started.append)
    monkeypatch.setattr(lab, "WORK", work)
    monkeypatch.setattr(lab.update, "__defaults__", (folder, work))
    lab.main(["--no-browser", "--port", "8899"])
    (options,) = started
    assert options[-4].endswith("/lab/tree/my_work/00_start_here.ipynb")
    assert options[-3:] == ["--no-browser", "--port", "8899"]
    assert (work / "00_start_here.ipynb").exists()


# The course's own notebooks


def test_every_exercise_is_in_step_with_its_solution() -> None:
    assert exercises.differences() == []


def test_every_notebook_is_stored_executed_and_in_the_normal_form() -> None:
    for path in notebooks.find():
        notebook = notebooks.read(path)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
        assert all(cell.execution_count for cell in cells), f"{path.name} has cells that were not run: make execute"
        text = path.read_text(encoding="utf-8")
        assert nbformat.v4.writes(notebooks.normalise(notebook)).rstrip() + "\n" == text, f"{path.name}: make execute"


# The README's figure


def test_the_readme_shows_the_figure_that_the_start_lesson_stores() -> None:
    assert readme_figure.FIGURE.read_bytes() == readme_figure.first_figure(readme_figure.SOURCE)


def test_a_notebook_without_a_figure_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"bare\.ipynb stores no figure"):
        readme_figure.first_figure(store(tmp_path / "bare.ipynb", code("1", "one")))


# The map of the course


def test_every_station_of_the_map_is_a_stored_figure_of_its_lesson() -> None:
    assert [number[0] for number in course_map.STATIONS] == list("12345678")
    assert course_map.draw().startswith(b"\x89PNG")
    assert course_map.PICTURE.is_file(), "make execute"


def test_a_figure_that_a_lesson_lacks_is_named(tmp_path: Path) -> None:
    path = store(tmp_path / "01_bare.ipynb", code("1", "one"))
    with pytest.raises(ValueError, match=r"01_bare\.ipynb stores no figure 1\.4\. Execute it first"):
        course_map.figure(path, "1.4")
    with pytest.raises(ValueError, match=r"has no lesson 1"):
        course_map.draw(tmp_path / "elsewhere")
