"""Every exercise of the course: its reference passes, each misconception earns its own hint, and whatever else a learner may
write is met with a plain sentence."""

# ruff: noqa: ARG001, ARG005 wrong answers ignore what they are given

import inspect
import json
import math

import pytest
import torch

from sac_tutorial import check
from sac_tutorial.check import Exercise, lesson_01, lesson_02
from sac_tutorial.gridworld import gridworld
from sac_tutorial.mdp import FiniteMDP
from tools.notebooks import ROOT

EXERCISES = {name: value for name, value in vars(check).items() if isinstance(value, Exercise)}
CHEAP = {name: value for name, value in EXERCISES.items() if name != "trained_expected_sarsa"}
TENSORS = {name: value for name, value in CHEAP.items() if name not in {"sweeps_needed", "q_update"}}
MISCONCEPTIONS = [
    pytest.param(exercise, misconception, id=f"{name}: {misconception.name}")
    for name, exercise in EXERCISES.items()
    for misconception in exercise.misconceptions
]


def flat(text):
    return " ".join(text.split())


def with_parameters_of(exercise, body):
    """Make a function with the parameters of the exercise, whose body is `body(*arguments)`."""
    parameters = ", ".join(exercise.parameters)
    return eval(f"lambda {parameters}: body({parameters})", {"body": body})


def test_every_exercise_of_both_lessons_is_offered():
    offered = {id(exercise) for exercise in EXERCISES.values()}
    made = [
        value for lesson in (lesson_01, lesson_02) for value in vars(lesson).values() if isinstance(value, Exercise)
    ]
    assert {id(exercise) for exercise in made} == offered
    assert len(offered) == 11
    assert all(exercise.name == name and name in check.__all__ for name, exercise in EXERCISES.items())


@pytest.mark.parametrize("exercise", CHEAP.values(), ids=CHEAP)
def test_the_exercise_is_sound(exercise):
    exercise.rehearse()


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_the_reference_passes(exercise):
    result = exercise(exercise.reference)
    assert (result.score, result.text[0], result.attempted) == (1.0, "✓", True)
    assert len(exercise.misconceptions) >= 3


@pytest.mark.parametrize(("exercise", "misconception"), MISCONCEPTIONS)
def test_each_misconception_earns_its_own_hint_and_no_other(exercise, misconception):
    result = exercise(misconception.answer)
    assert result.score < 1
    assert result.text.startswith("✗")
    assert flat(misconception.hint) in flat(result.text)
    others = [case.hint for case in exercise.cases]
    others += [other.hint for other in exercise.misconceptions if other is not misconception]
    assert not any(flat(hint) in flat(result.text) for hint in others)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
@pytest.mark.parametrize("body", ["None", "...", "raise"])
def test_a_stub_is_not_attempted_yet(exercise, body):
    def stub(*arguments):
        if body == "raise":
            raise NotImplementedError
        return ... if body == "..." else None

    result = exercise(with_parameters_of(exercise, stub))
    assert (result.score, result.attempted) == (0.0, False)
    assert result.text.startswith(f"○ {exercise.name}: not attempted yet")
    assert "Traceback" not in result.text


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_a_wrong_signature_is_told_the_right_one(exercise):
    result = exercise(lambda: 0)
    assert result.score == 0
    assert f"({', '.join(exercise.parameters)}), but it takes ()" in flat(result.text)
    assert "this is None" in exercise(None).text


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_an_exception_is_quoted_in_a_sentence(exercise):
    def broken(*arguments):
        raise RuntimeError("the size of\ntensor a")

    result = exercise(with_parameters_of(exercise, broken))
    assert result.score == 0
    assert "your function raised RuntimeError: the size of tensor a" in flat(result.text)


def reference_then(exercise, change):
    """Make an answer that is right but for a change to what it returns."""
    return with_parameters_of(exercise, lambda *arguments: change(exercise.reference(*arguments)))


@pytest.mark.parametrize("exercise", TENSORS.values(), ids=TENSORS)
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda y: y.tolist(), "must return a tensor, but it returns a"),
        (lambda y: y.numpy(), "must return a tensor"),
        (lambda y: y.unsqueeze(-1), "there is one axis too many"),
        (lambda y: y.unsqueeze(0), "is expected"),
        (lambda y: y > 0, "numbers, but it returns bool"),
        (lambda y: y.float(), "numbers, but it returns float32"),
        (lambda y: y * math.nan, "NaN"),
    ],
    ids=["list", "array", "axis behind", "axis in front", "bool", "float32", "NaN"],
)
def test_a_wrong_type_or_shape_is_named(exercise, change, sentence):
    result = exercise(reference_then(exercise, change))
    assert result.score == 0
    if exercise.name == "epsilon_greedy" and sentence == "NaN":
        sentence = "must return int64 numbers, but it returns float32"
    assert sentence in flat(result.text) or (sentence == "there is one axis too many" and "is expected" in result.text)


@pytest.mark.parametrize("exercise", TENSORS.values(), ids=TENSORS)
def test_an_answer_that_changes_what_it_was_given_is_told_so(exercise):
    place = next(i for i, value in enumerate(real_arguments(exercise)) if torch.is_tensor(value))

    def changes(*arguments):
        answer = exercise.reference(*arguments)
        first = arguments[place]
        first.logical_not_() if first.dtype == torch.bool else first.add_(1)
        return answer

    result = exercise(with_parameters_of(exercise, changes))
    assert result.score == 0
    assert f"your function changes {exercise.parameters[place]}" in flat(result.text)


def real_arguments(exercise):
    return exercise.cases[0].arguments[1:] if exercise.name == "epsilon_greedy" else exercise.cases[0].arguments


# Answers by hand: the reference could be wrong in the same way as its own cases


def test_hand_computed_answers():
    table = lambda *rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    reward, runs = table(1.0, 2.0, 4.0), table([0.0, 1.0, 0.0], [4.0, 2.0, -1.0])
    assert lesson_01.discounted_return.reference(reward, 0.1).item() == pytest.approx(1 + 0.2 + 0.04)
    assert lesson_01.state_value.reference(runs, table([0.5, 0.5, 0.0], [0.0, 0.5, 0.5])).tolist() == [0.5, 0.5]
    assert lesson_01.sweeps_needed.reference(0.9, 0.01, 1.0) == 44  # 0.9^43 = 0.01078, 0.9^44 = 0.00970
    assert lesson_01.sweeps_needed.reference(0.5, 0.2, 0.2) == 0
    backup = lesson_01.expected_backup.reference(
        table([[0.25, 0.75]]),
        torch.tensor([[[0, 0]]]),
        table([[8.0, 4.0]]),
        torch.tensor([[[True, False]]]),
        table(10.0),
        0.5,
    )
    assert backup.tolist() == [[0.25 * 8 + 0.75 * (4 + 5)]]
    value = lesson_01.solve_policy.reference(
        table([0.5, 0.5], [1.0, 0.0]),
        table([2.0, 4.0], [1.0, 9.0]),
        table([[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]),
        0.5,
    )
    assert value.tolist() == pytest.approx([3 + 0.5 * 0.5 * 1, 1])
    ended, cut = torch.tensor([False, True]), torch.tensor([True, False])
    target = lesson_02.q_learning_target.reference(table(1.0, 1.0), ended, cut, runs, 0.5)
    assert target.tolist() == [1.5, 1.0]
    assert lesson_02.expected_sarsa_value.reference(runs, 0.3).tolist() == pytest.approx([0.8, 0.7 * 4 + 0.3 * 5 / 3])
    target = lesson_02.double_q_target.reference(table(1.0, 1.0), ended, runs, runs.flip(0), 0.5)
    assert target.tolist() == [1 + 0.5 * 2, 1.0]
    q = torch.zeros(2, 2, 3, dtype=torch.float64)
    lesson_02.q_update.reference(q, torch.tensor([0, 1]), torch.tensor([2, 0]), table(4.0, 8.0), 0.25)
    assert q[0].tolist() == [[0, 0, 1], [0, 0, 0]]
    assert q[1].tolist() == [[0, 0, 0], [2, 0, 0]]


# Right answers that are written differently


def loop_from_the_end(reward, discount):
    total = torch.zeros(reward.shape[:-1], dtype=torch.float64)
    for step in reversed(range(reward.shape[-1])):
        total = reward[..., step] + discount * total
    return total


def count_up(discount, tolerance, first_error):
    sweeps, error = 0, first_error
    while error > tolerance:
        sweeps, error = sweeps + 1, error * discount
    return sweeps


def many_sweeps(policy, expected_reward, continuation_matrix, discount):
    value = torch.zeros(len(policy), dtype=torch.float64)
    for _ in range(200):
        value = (policy * (expected_reward + discount * (continuation_matrix @ value))).sum(-1)
    return value


def loop_over_outcomes(probability, next_state, reward, terminated, value, discount):
    q = torch.zeros(probability.shape[:2], dtype=torch.float64)
    for s in range(q.shape[0]):
        for a in range(q.shape[1]):
            for k in range(probability.shape[2]):
                future = 0.0 if terminated[s, a, k] else discount * value[next_state[s, a, k]]
                q[s, a] += probability[s, a, k] * (reward[s, a, k] + future)
    return q


def with_where_and_tie_noise(q, epsilon, generator):
    noise = 1e-6 * torch.rand(q.shape, generator=generator)
    explore = torch.rand(len(q), generator=generator) < epsilon
    return torch.where(explore, torch.randint(q.shape[1], (len(q),), generator=generator), (q + noise).argmax(1))


def from_probabilities(q, epsilon, generator):
    best = (q == q.amax(-1, keepdim=True)).double()
    probability = (1 - epsilon) * best / best.sum(-1, keepdim=True) + epsilon / q.shape[-1]
    return torch.multinomial(probability, 1, generator=generator).squeeze(-1)


def loop_over_runs(q, state, action, target, step_size):
    step_size = torch.as_tensor(step_size).expand(len(q))
    for run in range(len(q)):
        q[run, state[run], action[run]] = (1 - step_size[run]) * q[run, state[run], action[run]] + step_size[
            run
        ] * target[run]
    return q


def by_probabilities(q_next, epsilon):
    greedy = torch.nn.functional.one_hot(q_next.argmax(-1), q_next.shape[-1])
    return (((1 - epsilon) * greedy + epsilon / q_next.shape[-1]) * q_next).sum(-1)


def with_where(reward, terminated, truncated, q_next, discount):
    return torch.where(terminated, reward, reward + discount * q_next.max(dim=-1).values)


def with_a_float32_mask(reward, terminated, truncated, q_next, discount):
    return reward + discount * ~terminated * q_next.max(-1)[0]  # γ as a float32: off in the eighth digit, and right


def with_one_hot(reward, terminated, q_select, q_evaluate, discount):
    chosen = torch.nn.functional.one_hot(q_select.argmax(-1), q_select.shape[-1])
    return reward + discount * (1 - terminated.double()) * (chosen * q_evaluate).sum(-1)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (check.discounted_return, loop_from_the_end),
        (check.discounted_return, lambda r, g: (g ** torch.arange(r.shape[-1]) * r).sum(-1)),
        (check.state_value, lambda q, p: torch.einsum("...a,...a->...", q, p)),
        (check.expected_backup, loop_over_outcomes),
        (check.sweeps_needed, count_up),
        (check.sweeps_needed, lambda g, t, e: max(0.0, float(math.ceil(math.log(t / e, g))))),
        (check.solve_policy, many_sweeps),
        (check.q_learning_target, with_where),
        (check.q_learning_target, with_a_float32_mask),
        (check.epsilon_greedy, with_where_and_tie_noise),
        (check.epsilon_greedy, from_probabilities),
        (check.q_update, loop_over_runs),
        (check.expected_sarsa_value, by_probabilities),
        (check.double_q_target, with_one_hot),
    ],
)
def test_a_right_answer_may_be_written_differently(exercise, answer):
    assert exercise(answer).score == 1, exercise(answer).text


# Two mistakes at once, and mistakes that are no whole misconception


def greedy_without_ties(q, epsilon, generator):
    return q.argmax(-1)


def one_tie_break_for_all(q, epsilon, generator):
    first = q.argmax(-1)
    last = q.shape[-1] - 1 - q.flip(-1).argmax(-1)
    best = first if torch.rand(1, generator=generator) < 0.5 else last
    explore = torch.rand(len(q), generator=generator) < epsilon
    return torch.where(explore, torch.randint(q.shape[1], (len(q),), generator=generator), best)


def global_generator(q, epsilon, generator):
    return from_probabilities(q, epsilon, None)


def best_of_the_first_run(q, epsilon, generator):
    return from_probabilities(q, epsilon, generator) * 0 + q.flatten().argmax() % q.shape[-1]


@pytest.mark.parametrize(
    ("exercise", "answer", "expected"),
    [
        (check.discounted_return, lambda r, g: g * r.sum(-1), "discounts the very first reward already"),
        (
            check.discounted_return,
            lambda r, g: (g ** torch.arange(r.shape[-1]) * r.abs()).sum(-1),
            "Costs are rewards too",
        ),
        (
            check.discounted_return,
            lambda r, g: ((torch.arange(r.shape[-1]) * torch.tensor(g).double().log()).exp() * r).sum(-1),
            "Where γ is 0: your answer contains NaN",
        ),
        (check.state_value, lambda q, p: (p * q).abs().sum(-1), "An average of negative numbers is negative"),
        (check.state_value, lambda q, p: q.amax(-1) / q.shape[-1], "Actions that are never taken must not count"),
        (
            check.expected_backup,
            lambda p, n, r, d, v, g: (r + g * v[n]).mean(-1),
            "Your answer weighs all outcomes alike",
        ),
        (check.expected_backup, lambda p, n, r, d, v, g: (p * r).sum(-1), "With one outcome, Q is its target"),
        (check.sweeps_needed, lambda g, t, e: math.ceil(math.log(t / e, g)), "nobody can do a negative number"),
        (check.sweeps_needed, lambda g, t, e: math.floor(math.log(t, g)), "Your answer stops one sweep early"),
        (check.solve_policy, lambda p, r, c, g: r.mean(-1), "averages the rewards of the actions without asking"),
        (
            check.q_learning_target,
            lambda r, d, c, q, g: g * (r + q.mean(-1)),
            "The target is the reward plus γ times the best value",
        ),
        (check.q_learning_target, lambda r, d, c, q, g: r + q.amax(-1), "Your target does not discount"),
        (
            check.q_learning_target,
            lambda r, d, c, q, g: r + g * ~(d ^ c) * q.amax(-1),
            "Where two episodes are cut off by a time limit",
        ),
        (check.epsilon_greedy, greedy_without_ties, "Your actions are always greedy"),
        (check.epsilon_greedy, one_tie_break_for_all, "Two actions share the first place"),
        (check.epsilon_greedy, global_generator, "Draw from the generator that is handed over"),
        (check.epsilon_greedy, best_of_the_first_run, "every run takes the best action of its own row"),
        (check.epsilon_greedy, lambda q, e, g: from_probabilities(q, e, g) + 2, "must return actions 0 … 3"),
        (
            check.q_update,
            lambda q, s, a, y, n: q[:, s, a].add_(n * y) if q.shape[0] > 1 else q[0, s, a],
            "leaves q as it was",
        ),
        (check.q_update, lambda q, s, a, y, n: q.add_(1), "leave all other entries as they are"),
        (check.expected_sarsa_value, lambda q, e: (1 - e) * q.amax(-1) + e * q.amin(-1), "With ε = 1 all actions"),
        (check.expected_sarsa_value, lambda q, e: e * q.amax(-1) + (1 - e) * q.sum(-1), "Without exploration the best"),
        (
            check.double_q_target,
            lambda r, d, s, e, g: r + g * e.amax(-1),
            "takes the maximum of q_evaluate",
        ),
        (check.double_q_target, lambda r, d, s, e, g: r + g * e.amin(-1), "Only q_select decides"),
    ],
)
def test_other_mistakes_earn_a_hint_too(exercise, answer, expected):
    result = exercise(answer)
    assert result.score < 1
    assert expected in flat(result.text), result.text


# The run axis


@pytest.mark.parametrize(
    "exercise",
    [
        check.discounted_return,
        check.state_value,
        check.q_learning_target,
        check.expected_sarsa_value,
        check.double_q_target,
    ],
    ids=lambda e: e.name,
)
def test_the_last_case_has_a_run_axis_whose_sizes_all_differ(exercise):
    shape = max((tuple(value.shape) for value in exercise.cases[-1].arguments if torch.is_tensor(value)), key=len)
    assert len(shape) == 3
    assert len(set(shape)) == 3


def test_a_maximum_over_axis_1_passes_until_there_are_runs():
    result = check.q_learning_target(lambda r, d, c, q, g: r + g * (~d * q.max(dim=1).values))
    assert result.score == pytest.approx(4 / 5)
    assert "Where two runs stand in front of a batch of three" in flat(result.text)
    assert "Counted from the end" in flat(result.text)


def test_broadcasting_into_a_matrix_has_a_sentence_of_its_own():
    result = check.q_learning_target(lambda r, d, c, q, g: r + g * (~d * q.max(-1, keepdim=True).values))
    assert "A column of shape (2, 1) met a row of shape (2,)" in flat(result.text)


# Behaviour


def test_the_margin_of_the_frequencies_is_wide():
    """Six standard deviations and more, both for independent draws and for runs that share one coin."""
    draws = 20_000
    assert 6 * math.sqrt(0.25 / draws) < lesson_02.FREQUENCY_MARGIN
    assert 6 * 0.75 * math.sqrt(0.4 * 0.6 / 1_000) < 1.5 * lesson_02.FREQUENCY_MARGIN


@pytest.mark.parametrize("seed", range(3))
def test_a_right_epsilon_greedy_passes_whatever_it_draws(seed):
    def shifted(q, epsilon, generator):
        torch.rand(seed, generator=generator)
        return from_probabilities(q, epsilon, generator)

    assert check.epsilon_greedy(shifted).score == 1


def test_the_trained_exercise_uses_the_course_mdp():
    """It draws the grid itself, since an installed package has no data/ folder."""
    drawn = gridworld([".....", ".###.", "S...G", "#HHH#"], discount=0.9, slip=0.1)
    stored = FiniteMDP.from_json(ROOT / "data" / "crossing.json")
    assert stored.drawing == drawn.drawing
    assert torch.allclose(stored.continuation_matrix, drawn.continuation_matrix)
    assert '[".....", ".###.", "S...G", "#HHH#"], discount=0.9, slip=0.1' in inspect.getsource(lesson_02._train)


def test_a_trained_answer_that_diverges_is_told_where_to_look():
    result = check.trained_expected_sarsa(lambda q, e: (1 - e) * q.amax(-1) + e * q.sum(-1))
    assert result.score == 0
    assert "See what check.expected_sarsa_value says" in flat(result.text)


def test_the_report_names_every_exercise_once(monkeypatch):
    monkeypatch.setattr("sac_tutorial.check.records._latest", {})
    for _ in range(2):
        for exercise in CHEAP.values():
            exercise(with_parameters_of(exercise, lambda *arguments: None))
    assert [entry["exercise"] for entry in json.loads(check.report())] == list(CHEAP)
