"""The exercise notebooks as learners use them, and with nbgrader as it is: released without answers, handed in, graded."""

import copy
import json
import os
import re
import shutil
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pytest

from sac_tutorial import check
from sac_tutorial.check import Exercise
from tools.notebooks import FOLDER, ROOT

with warnings.catch_warnings():  # what nbgrader's own imports warn of is not our business
    warnings.simplefilter("ignore")
    from nbgrader.api import Gradebook  # type: ignore[import-untyped]
    from nbgrader.apps import NbGraderAPI  # type: ignore[import-untyped]
    from traitlets.config import Config

pytestmark = pytest.mark.filterwarnings("ignore")

SOLUTIONS = sorted((FOLDER / "solutions").glob("*.ipynb"))
SHORT = ("q-learning-target", "expected-sarsa-value", "double-q-target")

ANSWERS = {
    "partly right": {  # a target without its mask fails three of five cases
        "q-learning-target": "def my_target(reward, terminated, truncated, q_next, discount):\n"
        "    return reward + discount * q_next.amax(-1)",
    },
    "mostly wrong": {
        "q-learning-target": "def my_target(reward, terminated, truncated, q_next, discount):\n    return [reward]",
        "expected-sarsa-value": "def my_next_value(q_next, epsilon):\n    return q_next.amax(-1)",
        "double-q-target": "def my_double_target(reward, terminated, q_select, q_evaluate, discount):\n    return 1 / 0",
    },
}
POINTS = {"right": 12.0, "partly right": 4 * 2 / 5 + 8, "mostly wrong": 4 * 1 / 5, "empty": 0.0}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def graders(notebook: Any) -> Any:
    """Return the cells that have metadata of nbgrader, by grade_id."""
    return {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_answer_is_marked_and_graded(path: Path) -> None:
    notebook = read(path)
    cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert max(Counter(cell.metadata.nbgrader.grade_id for cell in cells).values()) == 1
    for cell in notebook.cells:
        assert ("### BEGIN SOLUTION" in cell.source) == bool(cell.metadata.get("nbgrader", {}).get("solution"))
    for cell in cells:
        meta = cell.metadata.nbgrader
        assert meta.schema_version == 3
        assert (meta.solution, meta.locked) == (not meta.grade, meta.grade)
        if meta.grade:
            assert meta.points == 4
            assert cell.source.splitlines()[1:] == ["print(result)", "4 * result.score"]
            assert cell.outputs[-1]["data"]["text/plain"] == "4.0"
            assert not any(output.get("name") == "stderr" for output in cell.outputs)  # costs all points


def test_every_exercise_of_the_course_is_graded_once() -> None:
    sources = "".join(
        cell.source for path in SOLUTIONS for cell in graders(read(path)).values() if cell.metadata.nbgrader.grade
    )
    names = [name for name, value in vars(check).items() if isinstance(value, Exercise)]
    assert {name: sources.count(f"check.{name}(") for name in names} == dict.fromkeys(names, 1)


def code(notebook: Any) -> Any:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_no_cell_relies_on_the_result_of_the_check_that_ran_last(path: Path) -> None:
    """Learners skip, come back and run cells in any order."""
    for cell in code(read(path)):
        assert cell.metadata.get("nbgrader", {}).get("grade") or not re.search(r"\bresult\b", cell.source)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_the_last_cell_lists_every_exercise_checked_or_not(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sac_tutorial.check.records._latest", {})
    notebook = read(path)
    graded = [cell for cell in code(notebook) if cell.metadata.get("nbgrader", {}).get("grade")]
    names = [re.findall(r"check\.(\w+)\(", cell.source)[0] for cell in graded]
    getattr(check, names[0])(None)
    exec(code(notebook)[-1].source, {"json": json, "check": check})
    lines = [
        line.split(maxsplit=1) for line in capsys.readouterr().out.replace("not checked", "not-checked").splitlines()
    ]
    assert [line[-1].split()[-1] for line in lines] == names
    assert [line[0] for line in lines] == ["0%"] + ["not-checked"] * (len(names) - 1)


UNUSUAL = {  # right answers of other types and precisions than the solutions'
    "sweeps-needed": "import numpy as np\n"
    "def my_sweeps(discount, tolerance, first_error):\n"
    "    return max(0, np.ceil(np.log(tolerance / first_error) / np.log(discount)))",
    "expected-backup": "def my_backup(probability, next_state, reward, terminated, value, discount):\n"
    "    target = reward + torch.tensor(discount) * ~terminated * value[next_state]\n"
    "    return (probability * target).sum(-1)",
    "solve-policy": "def my_solution(policy, expected_reward, continuation_matrix, discount):\n"
    "    value = torch.zeros(len(policy), dtype=torch.float64)\n"
    "    for _ in range(130):\n"
    "        value = (policy * (expected_reward + discount * continuation_matrix @ value)).sum(-1)\n"
    "    return value",
}


def test_an_unusual_right_answer_takes_a_learner_through_the_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(FOLDER / "exercises")
    notebook, names = read(FOLDER / "exercises" / "01_bellman_equations.ipynb"), dict[str, Any]()
    for name, source in UNUSUAL.items():
        graders(notebook)[name].source = source
    for cell in code(notebook):
        exec(cell.source, names)
    out = capsys.readouterr().out
    assert out.count("✓") == 2 * len(UNUSUAL)  # each check, and the claim of the cell below it
    assert "waits" not in out


def test_a_training_cell_waits_for_an_answer_with_a_syntax_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The names that such a cell defines are missing, and the cell that asks the checks fails as well."""
    notebook = read(FOLDER / "exercises" / "02_q_learning.ipynb")
    setup, *others = code(notebook)
    ready = next(line for line in setup.source.splitlines() if line.startswith("ready"))
    waiting = [cell.source for cell in others if cell.source.startswith("if ready")]
    assert len(waiting) == 2
    for source in waiting:
        exec(f"{ready}\n{source}", {})
    assert capsys.readouterr().out.count("This cell waits for your answers to exercises 2.1, 2.2 and 2.3.") == 2


def shortened(notebook: Any) -> Any:
    """Return the notebook with its first code cell, three exercises and nothing else."""
    notebook = copy.deepcopy(notebook)
    setup = next(cell for cell in notebook.cells if cell.cell_type == "code")
    kept = [f"{name}{part}" for name in SHORT for part in ("", "-check")]
    notebook.cells = [setup, *(graders(notebook)[name] for name in kept)]
    return notebook


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make a course with an assignment of full length, and a short one that was handed in four times and graded."""
    root = tmp_path_factory.mktemp("course")
    for path in SOLUTIONS:
        (root / "source" / "full").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / "source" / "full")
    (root / "source" / "short").mkdir()
    solution = shortened(read(FOLDER / "solutions" / "02_q_learning.ipynb"))
    nbformat.write(solution, root / "source" / "short" / "short.ipynb")
    shutil.copytree(ROOT / "data", root / "autograded" / "data")  # notebooks read ../../data/

    with pytest.MonkeyPatch.context() as patch:  # nbgrader calls its helper `alembic`, which lies beside this Python
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        release_hand_in_and_grade(root, solution)
    return root


def release_hand_in_and_grade(root: Path, solution: Any) -> None:
    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
    config.ExecutePreprocessor.timeout = 300
    api = NbGraderAPI(config=config)
    for assignment in ("full", "short"):
        made = api.generate_assignment(assignment)
        assert made["success"], made["log"]

    for student in POINTS:
        notebook = read(root / "release" / "short" / "short.ipynb")
        answers = {name: graders(solution)[name].source for name in SHORT}
        answers = {} if student == "empty" else answers | ANSWERS.get(student, {})
        for name, source in answers.items():
            graders(notebook)[name].source = source
        name = student.replace(" ", "_")
        (root / "submitted" / name / "short").mkdir(parents=True)
        nbformat.write(notebook, root / "submitted" / name / "short" / "short.ipynb")
        graded = api.autograde("short", name)
        assert graded["success"], graded["log"]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_the_release_holds_every_exercise_and_no_answer(course: Path, path: Path) -> None:
    solution, released = read(path), read(course / "release" / "full" / path.name)
    assert list(graders(released)) == list(graders(solution))
    for name, cell in graders(released).items():
        if cell.metadata.nbgrader.solution:
            assert "raise NotImplementedError" in cell.source
            body = graders(solution)[name].source.split("### BEGIN SOLUTION")[1].split("### END SOLUTION")[0]
            assert not any(line.strip() in cell.source for line in body.splitlines() if line.strip())


def test_points_follow_the_share_of_cases_that_are_right(course: Path) -> None:
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        points = {name: gradebook.find_submission("short", name.replace(" ", "_")).score for name in POINTS}
        possible = gradebook.find_assignment("short").max_score
    assert possible == 12
    assert points == pytest.approx(POINTS)


def test_what_a_grader_sees_says_why(course: Path) -> None:
    def text(student: str) -> Any:
        notebook = read(course / "autograded" / student / "short" / "short.ipynb")
        return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))

    assert "not attempted yet" in text("empty")
    assert "✗ q_learning_target: 2 of 5 cases right." in text("partly_right")
    assert "ZeroDivisionError" in text("mostly_wrong")
    assert "Traceback" not in text("mostly_wrong")
