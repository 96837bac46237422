"""Every exercise: the reference passes, each misconception earns its own hint, and the answers of learners are understood."""

# ruff: noqa: ARG001 some answers ignore what they are given

import inspect
import json
import math
import pkgutil
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

import sac_tutorial
from sac_tutorial import check
from sac_tutorial.check import Exercise, lesson_02, lesson_03
from sac_tutorial.tabular.q_learning import q_learning
from tests.students import LEAST, Answer, Phrases, Right, Wrong

EXERCISES = {name: value for name, value in vars(check).items() if isinstance(value, Exercise)}
CHEAP = {name: value for name, value in EXERCISES.items() if not name.startswith("trained_")}
# Whole numbers, an argument changed, a tuple, one number, an agent changed.
NO_TENSOR = {"sweeps_needed", "needed_steps", "q_update", "transition", "optimal_temperature", "one_update"}
TENSORS = {name: value for name, value in CHEAP.items() if name not in NO_TENSOR}
NO_BATCH = {
    "solve_policy",
    "expected_backup",
    "epsilon_greedy_action",
    "uniform_bias",
    "soft_policy_rounds",
    "hottest_policy",
}
NO_BATCH |= {"temperature_steps", "discrete_target_entropy"}
BATCHES = {name: value for name, value in TENSORS.items() if name not in NO_BATCH}
RIGHT: Right = {}
WRONG: Wrong = {}
for lesson in range(1, 9):
    students = import_module(f"tests.students.lesson_{lesson:02d}")
    RIGHT |= students.RIGHT
    WRONG |= students.WRONG


@pytest.fixture(scope="module", autouse=True)
def each_answer_is_tried_once() -> Iterator[None]:
    """Several tests look at the same answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exercise, "_outcomes", cache(Exercise._outcomes))
        yield


def flat(text: str) -> str:
    return " ".join(text.split())


def with_parameters_of(exercise: Exercise, body: Answer) -> Answer:
    """Make a function with the parameters of the exercise, whose body is `body(*arguments)`."""
    parameters = ", ".join(exercise.parameters)
    made: Answer = eval(f"lambda {parameters}: body({parameters})", {"body": body})
    return made


def test_every_exercise_of_every_lesson_is_offered() -> None:
    lessons = [import_module(f"sac_tutorial.check.lesson_{lesson:02d}") for lesson in range(1, 9)]
    made = [value for lesson in lessons for value in vars(lesson).values() if isinstance(value, Exercise)]
    assert set(map(id, made)) == set(map(id, EXERCISES.values()))
    assert all(exercise.name == name and name in check.__all__ for name, exercise in EXERCISES.items())
    assert set(RIGHT) == set(WRONG) == set(CHEAP)


def test_no_exercise_has_the_name_of_a_function_of_the_package() -> None:
    names = set()
    for found in pkgutil.walk_packages(sac_tutorial.__path__, "sac_tutorial."):
        if not found.name.startswith("sac_tutorial.check"):
            names |= {n for n, value in vars(import_module(found.name)).items() if inspect.isfunction(value)}
    assert names & set(EXERCISES) == set()


# The exercise itself


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_the_reference_passes(exercise: Exercise) -> None:
    result = exercise(exercise.reference)
    assert (result.score, result.text[0], result.attempted) == (1.0, "✓", True)
    assert len(exercise.misconceptions) >= 3


@pytest.mark.parametrize("exercise", CHEAP.values(), ids=CHEAP)
def test_the_exercise_is_sound(exercise: Exercise) -> None:
    exercise.rehearse()


def all_at_once(exercise: Exercise, train: Callable[..., Tensor], *more: float) -> Callable[..., Tensor]:
    """Make a learner that trains with all misconceptions at once, eight runs each, and returns the next eight at each call."""
    answers = [misconception.answer for misconception in exercise.misconceptions]
    shares: list[Tensor] = []

    def next_value(q: Tensor) -> Tensor:
        return torch.cat([answer(share, *more) for answer, share in zip(answers, q.chunk(len(answers)), strict=True)])

    def learner(**settings: Any) -> Tensor:
        if not shares:
            runs = train(**settings | {"runs": 8 * len(answers), "next_value": next_value})
            shares.extend(runs.chunk(len(answers)))
        return shares.pop(0)

    return learner


@pytest.fixture
def trained_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty-four runs take little longer than eight."""
    dqn = all_at_once(check.trained_dqn, lesson_03.train_on_the_crossing)
    tables = all_at_once(
        check.trained_expected_sarsa, lambda **s: deque(q_learning(**s), maxlen=1)[0], lesson_02.TRAINED_EPSILON
    )
    monkeypatch.setattr(lesson_03, "train_on_the_crossing", lambda _: dqn())
    monkeypatch.setattr(lesson_02, "q_learning", lambda mdp, **settings: iter([tables(mdp=mdp, **settings)]))


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
@pytest.mark.usefixtures("trained_at_once")
def test_each_misconception_earns_its_own_hint_and_no_other(exercise: Exercise) -> None:
    hints = [case.hint for case in exercise.cases] + [each.hint for each in exercise.misconceptions]
    for misconception in exercise.misconceptions:
        result = exercise(misconception.answer)
        assert result.score < 1, misconception.name
        assert result.text.startswith("✗"), misconception.name
        assert [hint for hint in hints if flat(hint) in flat(result.text)] == [misconception.hint], misconception.name


@pytest.mark.parametrize("exercise", BATCHES.values(), ids=BATCHES)
def test_a_case_with_a_run_axis_has_sizes_that_all_differ(exercise: Exercise) -> None:
    shapes = [
        max((tuple(value.shape) for value in case.arguments if torch.is_tensor(value)), key=len, default=())
        for case in exercise.cases
        if "runs" in case.where
    ]
    assert any(len(shape) >= 3 and len(set(shape)) == len(shape) for shape in shapes), shapes


# What learners write


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in RIGHT.items() for answer in answers])
def test_a_right_answer_may_be_written_differently(name: str, answer: Answer) -> None:
    result = EXERCISES[name](answer)
    assert result.score == 1, result.text


def as_tuple(phrases: Phrases) -> tuple[str, ...]:
    return (phrases,) if isinstance(phrases, str) else phrases


@pytest.mark.parametrize(
    ("name", "row"),
    [pytest.param(name, row, id=f"{name}: {row[0]}") for name, rows in WRONG.items() for row in rows],
)
def test_what_a_student_is_told(
    name: str, row: tuple[str, Answer, Phrases] | tuple[str, Answer, Phrases, Phrases]
) -> None:
    present, absent = as_tuple(row[2]), as_tuple(row[3] if len(row) == 4 else ())
    result = EXERCISES[name](row[1])
    text = flat(result.text)
    assert result.attempted
    assert result.score < 1
    assert [phrase for phrase in present if phrase not in text] == [], result.text
    assert [phrase for phrase in absent if phrase in text] == [], result.text
    assert (LEAST in text) == (LEAST in present), result.text


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_an_answer_that_gives_no_result_is_met_with_a_plain_sentence(
    exercise: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    for body in ("...", "raise NotImplementedError()"):
        made: dict[str, Any] = {}
        exec(f"def stub({', '.join(exercise.parameters)}):\n    {body}", made)
        stub = exercise(made["stub"])
        assert (stub.score, stub.attempted, stub.text) == (0.0, False, f"○ {exercise.name}: not attempted yet.")

    prints = exercise(with_parameters_of(exercise, print))
    assert (prints.score, prints.attempted) == (0.0, True)
    missing = "assign to q[…] itself" if exercise.changes else "does every way through it end in a `return`?"
    assert missing in flat(prints.text)
    assert not any(flat(case.hint) in flat(prints.text) for case in exercise.cases)
    assert 0 < len(capsys.readouterr().out) < 1_100

    def broken(*arguments: Any) -> Any:
        raise RuntimeError("the size of\ntensor a")

    raises = exercise(with_parameters_of(exercise, broken))
    assert raises.score == 0
    assert "your function raised RuntimeError: the size of tensor a" in flat(raises.text)
    assert f"({', '.join(exercise.parameters)}), but it takes ()" in flat(exercise(lambda: 0).text)


@pytest.mark.parametrize("exercise", TENSORS.values(), ids=TENSORS)
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda y: y.tolist(), "must return a tensor, but it returns a"),
        (lambda y: y.numpy(), "must return a tensor, but it returns a NumPy array"),
        (lambda y: y.unsqueeze(-1), "there is one axis too many. Look for keepdim"),
        (lambda y: y.unsqueeze(0), "is expected"),
        (lambda y: y > 0, "numbers, but it returns bool"),
        (lambda y: y.float(), "numbers, but it returns float32"),
        (lambda y: y * math.nan, "NaN"),
    ],
    ids=["list", "array", "axis behind", "axis in front", "bool", "float32", "NaN"],
)
def test_a_wrong_type_or_shape_is_named(exercise: Exercise, change: Answer, sentence: str) -> None:
    result = exercise(with_parameters_of(exercise, lambda *arguments: change(exercise.reference(*arguments))))
    one_case_in_float32 = exercise.name == "squashed_log_density" and "float32" in sentence
    assert result.score == (1 / len(exercise.cases) if one_case_in_float32 else 0)
    if exercise.name == "epsilon_greedy_action" and sentence == "NaN":
        sentence = "must return int64 numbers, but it returns float32"
    assert sentence in flat(result.text)


@pytest.mark.parametrize("exercise", TENSORS.values(), ids=TENSORS)
def test_an_answer_that_changes_what_it_was_given_is_told_so(exercise: Exercise) -> None:
    arguments = exercise.cases[0].arguments[exercise.name == "epsilon_greedy_action" :]
    place = next(i for i, value in enumerate(arguments) if torch.is_tensor(value))

    def changes(*arguments: Any) -> Any:
        answer, first = exercise.reference(*arguments), arguments[place]
        first.logical_not_() if first.dtype == torch.bool else first.add_(1)
        return answer

    result = exercise(with_parameters_of(exercise, changes))
    assert result.score == 0
    assert f"your function changes its argument {exercise.parameters[place]}" in flat(result.text)


def test_the_report_names_every_exercise_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sac_tutorial.check.records._latest", {})
    for exercise in [*CHEAP.values(), *CHEAP.values()]:
        exercise(exercise.reference)
    assert [entry["exercise"] for entry in json.loads(check.report())] == list(CHEAP)
