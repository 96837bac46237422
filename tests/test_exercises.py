"""Every exercise of the course: its reference passes, each misconception earns its own hint, and whatever else a learner may
write is met with a plain sentence."""

# ruff: noqa: ARG001, ARG005 wrong answers ignore what they are given

import inspect
import json
import math

import matplotlib as mpl
import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch.nn.functional import cross_entropy, softplus

from sac_tutorial import check
from sac_tutorial.agents.sac import SAC
from sac_tutorial.check import (
    Exercise,
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
    lesson_08,
)
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.equations import boltzmann_policy, entropy, temperature_loss
from sac_tutorial.exact.dynamic_programming import expected_target, optimal_q, policy_q
from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.mdp import FiniteMDP
from tools.notebooks import ROOT, read

EXERCISES = {name: value for name, value in vars(check).items() if isinstance(value, Exercise)}
CHEAP = {name: value for name, value in EXERCISES.items() if not name.startswith("trained_")}
# Whole numbers, an argument changed, a tuple, one number, an agent changed.
NO_TENSOR = {"sweeps_needed", "needed_steps", "q_update", "transition", "price", "one_update"}
TENSORS = {name: value for name, value in CHEAP.items() if name not in NO_TENSOR}
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


def test_every_exercise_of_every_lesson_is_offered():
    offered = {id(exercise) for exercise in EXERCISES.values()}
    lessons = (lesson_01, lesson_02, lesson_03, lesson_04, lesson_05, lesson_06, lesson_07, lesson_08)
    made = [value for lesson in lessons for value in vars(lesson).values() if isinstance(value, Exercise)]
    assert {id(exercise) for exercise in made} == offered
    assert len(offered) == 49
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
@pytest.mark.parametrize("body", ["...", "pass", "'Return it.'", "return ...", "raise NotImplementedError()"])
def test_a_stub_is_not_attempted_yet(exercise, body):
    made = {}
    exec(f"def stub({', '.join(exercise.parameters)}):\n    {body}", made)
    result = exercise(made["stub"])
    assert (result.score, result.attempted, result.text) == (0.0, False, f"○ {exercise.name}: not attempted yet.")


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_whoever_prints_in_place_of_returning_has_attempted_it(exercise, capsys):
    result = exercise(with_parameters_of(exercise, print))
    assert (result.score, result.attempted) == (0.0, True)
    missing = "assign to q[…] itself" if exercise.changes else "does every way through it end in a `return`?"
    assert missing in flat(result.text)
    assert not any(flat(case.hint) in flat(result.text) for case in exercise.cases)
    assert 0 < len(capsys.readouterr().out) < 1_100


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
        (lambda y: y.numpy(), "must return a tensor, but it returns a NumPy array"),
        (lambda y: y.unsqueeze(-1), "there is one axis too many; look for keepdim"),
        (lambda y: y.unsqueeze(0), "is expected"),
        (lambda y: y > 0, "numbers, but it returns bool"),
        (lambda y: y.float(), "numbers, but it returns float32"),
        (lambda y: y * math.nan, "NaN"),
    ],
    ids=["list", "array", "axis behind", "axis in front", "bool", "float32", "NaN"],
)
def test_a_wrong_type_or_shape_is_named(exercise, change, sentence):
    result = exercise(reference_then(exercise, change))
    one_case_in_float32 = exercise.name == "squashed_log_density" and "float32" in sentence
    assert result.score == (1 / len(exercise.cases) if one_case_in_float32 else 0)
    if exercise.name == "epsilon_greedy" and sentence == "NaN":
        sentence = "must return int64 numbers, but it returns float32"
    assert sentence in flat(result.text)


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


def test_hand_computed_answers_of_the_deep_half():
    table = lambda *rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    weights, features = table([[1.0, 2.0], [3.0, 4.0]]), table([1.0, -2.0])  # Q(s, ·) = (−3, −5)
    moved = lesson_03.semi_gradient_step.reference(weights, features, torch.tensor([1]), table(5.0), 0.1)
    assert moved[0].tolist() == [[1, 2], [3 + 0.1 * 10 * 1, 4 + 0.1 * 10 * -2]]
    ended, online, target = torch.tensor([False, True]), table([9.0, 1.0], [2.0, 3.0]), table([4.0, 6.0], [8.0, 5.0])
    y = lesson_03.dqn_target.reference(table(1.0, 2.0), ended, online, target.requires_grad_(), 0.5)
    assert y.tolist() == [1 + 0.5 * 6, 2]
    assert not y.requires_grad
    stored = lesson_03.transition.reference("s", "a", "r", "s′", "the next episode", "d", "cut off")
    assert stored == ("s", "a", "r", "s′", "d")
    assert lesson_03.polyak_step.reference(table(2.0), table(10.0), 0.25).tolist() == [4]
    assert lesson_04.uniform_bias.reference(3, table(1.0, 4.0), 0.5).tolist() == [0.25, 1.0]
    assert lesson_04.double_value.reference(online, target.detach()).tolist() == [4, 5]
    samples = table([0.0, 4.0], [2.0, 0.0], [9.0, 1.0], [9.0, 3.0])  # means of the halves: (1, 2) and (9, 2)
    assert lesson_04.double_estimate.reference(samples).item() == 2
    assert lesson_04.needed_steps.reference(0.5, 1.0, 0.25) == 3  # 2, 1, ½, ¼
    assert lesson_04.needed_steps.reference(0.9, 1.0, 0.01) == 66  # 10 · 0.9^65 = 0.0106, 10 · 0.9^66 = 0.0096


def test_hand_computed_answers_of_actor_critic():
    table = lambda *rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    flags = lambda *rows: torch.tensor(rows)  # noqa: E731
    gradient = lesson_05.logit_gradient.reference(table([0.25, 0.75]), table([8.0, 4.0]), table(2.0))
    assert gradient.tolist() == [[2 * 0.25 * (8 - 5), 2 * 0.75 * (4 - 5)]]
    weight = lesson_05.reinforce_weight.reference(table(1.0, 0.0, 8.0), table(2.0, 2.0, 2.0), 0.5)
    assert weight.tolist() == [(1 + 0.25 * 8) - 2, 0.5 * (0.5 * 8 - 2), 0.25 * (8 - 2)]
    never = flags(False, False, False)
    ended, cut = flags(False, True, False), flags(True, False, False)
    found = [
        lesson_05.piece_return.reference(table(1.0, 2.0, 3.0), d, c, table(9.0, 9.0, 9.0), table(4.0, 6.0, 8.0), 0.5)
        for d, c in ((never, never), (ended, never), (never, cut), (ended, flags(False, True, False)))
    ]
    assert [each.tolist() for each in found] == [
        [1 + 0.5 * (2 + 0.5 * 7), 2 + 0.5 * 7, 3 + 0.5 * 8],
        [1 + 0.5 * 2, 2, 7],
        [1 + 0.5 * 4, 2 + 0.5 * 7, 7],
        [1 + 0.5 * 2, 2, 7],
    ]
    logits, action = table([math.log(3), 0.0], [0.0, math.log(7)]), torch.tensor([1, 0])  # π is (¾, ¼) and (⅛, ⅞)
    logits, advantage = logits.requires_grad_(), table(4.0, -2.0).requires_grad_()
    loss = lesson_05.actor_loss.reference(logits, action, advantage, 0.0)
    assert loss.item() == pytest.approx(-(4 * math.log(1 / 4) - 2 * math.log(1 / 8)) / 2)
    slopes = torch.autograd.grad(loss, [logits, advantage], allow_unused=True)
    assert slopes[0].flatten().tolist() == pytest.approx([2 * 3 / 4, -2 * 3 / 4, 7 / 8, -7 / 8])
    assert slopes[1] is None
    bonus = lesson_05.actor_loss.reference(logits, action, table(0.0, 0.0), 2.0).item()
    assert bonus == pytest.approx(-2 * (math.log(4) - 0.75 * math.log(3) + math.log(8) - 0.875 * math.log(7)) / 2)
    mean, log_std = table(1.0).requires_grad_(), table(math.log(3)).requires_grad_()
    square = lambda action: action.square().sum(-1)  # noqa: E731
    objective = lesson_05.pathwise_objective.reference(square, mean, log_std, table([1.0], [-2.0]))
    assert objective.item() == pytest.approx((4**2 + 5**2) / 2)  # actions 4 and −5
    slopes = torch.autograd.grad(objective, [mean, log_std])
    assert [slope.item() for slope in slopes] == pytest.approx([4 - 5, 4 * 3 * 1 + -5 * 3 * -2])
    twins = lesson_05.Networks(lambda s: s, lambda s, a: torch.stack([a.sum(-1), 1.5 * a.sum(-1) - 0.25]))
    others = lesson_05.Networks(lambda s: -s, lambda s, a: torch.stack([a.sum(-1) - 9, 0 * a.sum(-1)]))
    state, noise = table([0.9], [0.0], [-0.9], [0.0]), table([0.4], [3.0], [-3.0], [0.0])  # judged: 1, ¼, −1, 0
    y = lesson_05.td3_target.reference(
        table(1.0, 1.0, 1.0, 1.0), flags(False, False, False, True), state, noise, 0.25, others, twins, 0.5
    )
    assert y.tolist() == [1 + 0.5 * 1, 1 + 0.5 * 0.125, 1 + 0.5 * -1.75, 1]


def test_hand_computed_answers_of_the_soft_half():
    table = lambda *rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    half, certain, q = table([0.5, 0.5]), table([1.0, 0.0]), table([2.0, 4.0])
    assert lesson_06.soft_policy_value.reference(q, half, 2.0).tolist() == pytest.approx([3 + 2 * math.log(2)])
    assert lesson_06.soft_policy_value.reference(q, certain, 2.0).tolist() == [2]
    flags = torch.tensor([[False], [True]])
    y = [
        lesson_06.soft_target.reference(table(1.0), ended, certain, half, q, 2.0, 0.5).item()
        for ended in flags.unbind()
    ]
    assert y == pytest.approx([1 + 0.5 * (3 + 2 * math.log(2)), 1])
    q = table([0.0, 2 * math.log(3)])  # at α = 2, Z is 1 + 3 and B is (¼, ¾)
    assert lesson_06.soft_value.reference(q, 2.0).tolist() == pytest.approx([2 * math.log(4)])
    assert lesson_06.soft_value.reference(table([-9e4, -9e4]), 1e-3).tolist() == pytest.approx(
        [-9e4 + 1e-3 * math.log(2)]
    )
    assert lesson_06.boltzmann_divergence.reference(q, half, 2.0).tolist() == pytest.approx([math.log(4 / 3) / 2])
    assert lesson_06.boltzmann_divergence.reference(q, certain, 2.0).tolist() == pytest.approx([math.log(4)])
    assert lesson_06.floored_policy.reference(table([0.5, 0.4, 0.1]), 0.2)[0].tolist() == pytest.approx(
        [4 / 9, 16 / 45, 0.2]
    )
    uniform, rate = lesson_06._uniform(lesson_06._CHOICE_TO_COME), 0.5
    soft = lesson_06.soft_policy_iteration.reference(lesson_06._CHOICE_TO_COME, uniform, rate)
    assert soft[0].tolist() == pytest.approx([math.sqrt(2) - 1, 2 - math.sqrt(2)])  # exp((½ · ½ log 2)/½) is √2
    hottest = lesson_06.hottest_policy.reference(table([0.0, 9.0]), table([[1.0], [0.0]]), 0.5)
    assert hottest[0].tolist() == pytest.approx([(math.sqrt(5) - 1) / 2, (3 - math.sqrt(5)) / 2])


def test_hand_computed_answers_of_soft_actor_critic():
    table = lambda *rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    middle = -math.log(2 * math.pi) / 2  # log N(0; 0, 1)
    u, half = math.atanh(0.5), math.log(0.5)  # there 1 − tanh² u is ¾
    density = lesson_07.squashed_log_density.reference
    assert density(table([u - 1.0]), table([half]), table([2.0])).tolist() == pytest.approx(
        [middle - 2 + math.log(2) - math.log(0.75)]
    )
    assert density(table([0.0, u]), table([0.0, 0.0]), table([0.0, 0.0])).item() == pytest.approx(
        2 * middle - math.log(0.75)
    )
    far = 2 * (20 - math.log(2))  # −log(1 − tanh² 20), but for e^−40
    assert density(table([20.0]), table([0.0]), table([0.0])).item() == pytest.approx(middle + far)

    q, log_density = table([4.0, 8.0], [6.0, 2.0]), table(-1.0, 0.5)
    y = lesson_07.sac_target.reference(table(1.0, 3.0), torch.tensor([False, True]), q, log_density, table(2.0), 0.5)
    assert y.tolist() == [1 + 0.5 * (4 + 2), 3]
    loss = lesson_07.twin_loss.reference(table([[5.0], [1.0]], [[3.0], [-3.0]]), table(2.0, 0.0))
    assert loss.item() == (3**2 + 1**2 + 1**2 + 3**2) / 4
    loss = lesson_07.soft_actor_loss.reference(log_density, q, table(2.0))
    assert loss.item() == ((2 * -1 - 4) + (2 * 0.5 - 2)) / 2

    gradient = lesson_07.pathwise_gradient.reference(table(u - 1), table(half), table(2.0), table(4.0), 3.0)
    by_u = 3 * 2 * 0.5 - 4 * 0.75
    assert gradient.flatten().tolist() == pytest.approx([by_u, by_u * 0.5 * 2 - 3])
    gradient = lesson_07.pathwise_gradient.reference(table(u), table(half), table(0.0), table(-4.0), 3.0)
    assert gradient.flatten().tolist() == pytest.approx([3 * 2 * 0.5 + 4 * 0.75, -3])

    tables, logits = table([[2.0, 9.0]], [[5.0, 6.0]]), table([math.log(3), 0.0])  # π is (¾, ¼), the lower ones (2, 6)
    value = lesson_07.discrete_soft_value.reference(tables, logits, table(2.0))
    entropy_of_it = math.log(4) - 0.75 * math.log(3)
    assert value.tolist() == pytest.approx([0.75 * 2 + 0.25 * 6 + 2 * entropy_of_it])

    def critics(s, a):
        return torch.stack([s[..., 0] + a[..., 0], 3 * a[..., 0]])

    draw, value = (lambda s: (2 * s, s[..., 0] - 1)), (lambda s: 10 * s[..., 0])
    loss = lesson_07.value_network_loss.reference(
        table([1.0], [-1.0]), table([7.0], [7.0]), draw, critics, value, table(2.0)
    )
    # Actions 2 and −2; the lower values 3 and −6; log π 0 and −2; brackets 3 and −2.
    assert loss.item() == pytest.approx(((10 - 3) ** 2 + (-10 + 2) ** 2) / 4)


def test_hand_computed_answers_of_automatic_temperature():
    table = lambda *rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    worth = lesson_08.lagrangian.reference(table(2.0, 0.5), table(1.0, -4.0), table(0.25, 1.0), 3.0, 0.5)
    assert worth.item() == 2 * (1 + 3 * (0.25 - 0.5)) + 0.5 * (-4 + 3 * (1 - 0.5))
    alpha = table(3.0).requires_grad_()
    loss = lesson_08.temperature_loss.reference(table(-1.0, 0.5), alpha, -0.5)
    assert loss.item() == 3 * ((1 + 0.5) + (-0.5 + 0.5)) / 2
    assert torch.autograd.grad(loss, alpha)[0].item() == 0.25 - -0.5  # H is (1 − ½)/2
    steps = lesson_08.temperature_steps.reference(table(2.0, 0.5), table(1.5, 4.0), 1.0, 0.25, 0.125)
    assert steps.flatten().tolist() == pytest.approx(
        [2 * math.exp(-0.25 * 2 * 0.5), 2 - 0.25 * 0.5, 0.5 * math.exp(-0.25 * 0.5 * 3), 0.125]
    )
    target = lesson_08.vector_target.reference(table(-2.0, 0.0), table(2.0, 0.5))
    assert target.item() == pytest.approx(-1 + math.log(2) - 1 - math.log(4))
    target = lesson_08.numbered_target.reference(4, table(0.25, 0.4, 1.0))
    assert target.tolist() == pytest.approx([math.log(4), -0.4 * math.log(0.4) - 3 * 0.2 * math.log(0.2), 0])
    coin = 0.8 * math.log(1 / 0.8) + 0.2 * math.log(1 / 0.2)  # at e^(1/α) = 4
    found = lesson_08.price.reference(lambda alpha: table([1.0, 0.0], [0.0, 1.0]), table(0.5, 0.5), coin)
    assert found == pytest.approx(1 / math.log(4))
    y = lesson_08.costly_target.reference(
        table(1.0, 3.0), torch.tensor([False, True]), table(4.0, 4.0), table(2.0), 0.5, 0.25
    )
    assert y.tolist() == [1 + 0.25 * (4 - 2 * 0.5), 3]


def test_one_update_of_the_small_agent_by_hand():
    """One run, one transition; every number below is arithmetic of what `SmallAgent` says of itself."""
    one = lambda x: torch.tensor([[[x]]], dtype=torch.float64)  # noqa: E731
    agent, s, a, r, following = lesson_08.SmallAgent(1), 0.5, -0.25, 1.0, 0.25
    batch = Batch(one(s), one(a), one(r)[0], one(following), torch.tensor([[False]]))
    loss = lesson_08.one_update.reference(agent, batch)
    actor, critics, alpha = 0.5, [(1.0, 0.0), (0.75, 0.5)], math.exp(-0.5)
    copies = [(-0.5, 0.25), (0.25, 0.0)]
    next_q = min(w * (following + actor * following) + b for w, b in copies)
    y = r + 0.75 * (next_q - alpha * (actor + following))
    errors = [w * (s + a) + b - y for w, b in critics]
    assert loss.tolist() == pytest.approx([sum(error**2 for error in errors) / 2])
    rate = lesson_08.RATE
    critics = [(w - rate * error * (s + a), b - rate * error) for (w, b), error in zip(critics, errors, strict=True)]
    assert torch.cat(agent.critic.parameters, -1).flatten().tolist() == pytest.approx([*critics[0], *critics[1]])
    lower, _ = min(critics, key=lambda pair: pair[0] * (s + actor * s) + pair[1])
    slope = alpha * 1 - lower * s  # of α (w + s) − Q, by w
    assert agent.actor.parameters[0].item() == pytest.approx(actor - rate * slope)
    gap = -(actor + s) - agent.target_entropy  # by the draw that the actor was judged by
    assert agent.log_alpha.parameters[0].item() == pytest.approx(-0.5 - rate * alpha * gap)
    followed = [0.75 * old + 0.25 * new for old, new in zip(sum(copies, ()), sum(critics, ()), strict=True)]
    assert torch.cat(agent.target_critic, -1).flatten().tolist() == pytest.approx(followed)


def test_the_bias_of_uniform_errors_is_what_draws_say():
    draws = 2 * torch.rand(200_000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    exact = lesson_04.uniform_bias.reference(5, torch.tensor(3.0, dtype=torch.float64), 0.5)
    assert 0.5 * 3 * draws.amax(-1).mean() == pytest.approx(exact.item(), abs=0.005)


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


def by_autograd(weights, features, action, target, step_size):
    weights = weights.clone().requires_grad_()
    q = weights[torch.arange(len(weights)), action].mul(features).sum(-1)
    (gradient,) = torch.autograd.grad((0.5 * (target - q) ** 2).sum(), weights)
    return (weights - step_size * gradient).detach()


def loop_over_the_runs_of_a_linear_q(weights, features, action, target, step_size):
    weights = weights.clone()
    for run, a in enumerate(action.tolist()):
        error = target[run] - weights[run, a] @ features[run]
        weights[run, a] += step_size * error * features[run]
    return weights


def without_remembering(reward, terminated, online_next_q, target_next_q, discount):
    with torch.no_grad():
        return reward + discount * (1 - terminated.double()) * target_next_q.max(-1)[0]


def detached_at_the_end(reward, terminated, online_next_q, target_next_q, discount):
    return torch.where(terminated, reward, reward + discount * target_next_q.amax(-1)).detach()


def halves_by_hand(samples):
    middle = samples.shape[-2] // 2
    best = samples[..., :middle, :].sum(-2).argmax(-1)
    chosen = torch.nn.functional.one_hot(best, samples.shape[-1])
    return (chosen * samples[..., middle:, :].mean(-2)).sum(-1)


def play_on(discount, largest_reward, tolerance):
    steps = 0
    while discount**steps * largest_reward / (1 - discount) > tolerance:
        steps += 1
    return steps


def by_categorical(q, policy, temperature):
    return (policy * q).sum(-1) + temperature * torch.distributions.Categorical(probs=policy).entropy()


def log_of_almost_zero(q, policy, temperature):
    return (policy * (q - temperature * (policy + 1e-9).log())).sum(-1)


def as_a_target_with_where(reward, terminated, policy, next_policy, next_q, temperature, discount):
    return torch.where(terminated, reward, reward + discount * by_categorical(next_q, next_policy, temperature))


def from_the_policy_that_has_it(q, temperature):
    policy = torch.softmax(q / temperature, -1)
    return (policy * q).sum(-1) + temperature * torch.special.entr(policy).sum(-1)


def from_log_softmax(q, temperature):
    return q[..., 0] - temperature * torch.log_softmax(q / temperature, -1)[..., 0]


def by_the_gap(q, policy, temperature):
    return torch.logsumexp(q / temperature, -1) - by_categorical(q, policy, temperature) / temperature


def kl_div_of_torch(q, policy, temperature):
    return torch.nn.functional.kl_div(torch.log_softmax(q / temperature, -1), policy, reduction="none").sum(-1)


def until_nothing_changes(mdp, policy, temperature):
    while True:
        improved = torch.softmax(policy_q(mdp, policy, temperature) / temperature, -1)
        if torch.allclose(improved, policy, rtol=0, atol=1e-9):
            return improved
        policy = improved


def improved_by_the_other_convention(mdp, policy, temperature):
    for _ in range(100):
        q_plus = policy_q(mdp, policy, temperature) + temperature * entropy(policy).unsqueeze(-1)
        policy = torch.softmax(q_plus / temperature, -1)
    return policy


def evaluated_by_one_sweep(mdp, policy, temperature):
    q = torch.zeros_like(policy)
    for _ in range(400):
        q = expected_target(mdp, log_of_almost_zero(q, policy, temperature))
        policy = torch.softmax(q / temperature, -1)
    return policy


def soft_value_iteration_by_hand(mdp, policy, temperature):
    q = torch.zeros_like(policy)
    for _ in range(400):
        q = expected_target(mdp, temperature * torch.logsumexp(q / temperature, -1))
    return torch.softmax(q / temperature, -1)


def by_halving(policy, floor):
    low, high = torch.zeros_like(policy[..., :1]), torch.ones_like(policy[..., :1])
    for _ in range(40):
        middle = (low + high) / 2
        fits = torch.maximum(middle * policy, torch.tensor(floor)).sum(-1, keepdim=True) <= 1
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return torch.maximum(low * policy, torch.tensor(floor))


def one_after_the_other(policy, floor):
    low = torch.zeros_like(policy, dtype=torch.bool)
    for _ in range(policy.shape[-1]):
        scale = (1 - floor * low.sum(-1, keepdim=True)) / policy.masked_fill(low, 0).sum(-1, keepdim=True)
        low = low | (scale * policy < floor)
    return torch.where(low, floor, scale * policy)


def clipped_and_normalised_for_ever(policy, floor):
    for _ in range(3_000):
        policy = policy.clamp(min=floor)
        policy = policy / policy.sum(-1, keepdim=True)
    return policy


def swept_for_entropy(expected_reward, continuation_matrix, discount):
    h = torch.zeros(len(expected_reward), dtype=torch.float64)
    for _ in range(800):
        h = (discount * continuation_matrix @ h).exp().sum(-1).log()
    weight = (discount * continuation_matrix @ h).exp()
    return weight / weight.sum(-1, keepdim=True)


def very_hot(expected_reward, continuation_matrix, discount):
    q = torch.zeros_like(expected_reward)
    for _ in range(800):
        q = expected_reward + discount * continuation_matrix @ (1e8 * torch.logsumexp(q / 1e8, -1))
    return torch.softmax(q / 1e8, -1)


def by_the_jacobian(policy, q, visits):
    jacobian = torch.diag_embed(policy) - policy.unsqueeze(-1) * policy.unsqueeze(-2)
    return visits.unsqueeze(-1) * (jacobian @ q.unsqueeze(-1)).squeeze(-1)


def by_autograd_of_the_mean(policy, q, visits):
    logits = policy.log().requires_grad_()
    (gradient,) = torch.autograd.grad((visits * (torch.softmax(logits, -1) * q).sum(-1)).sum(), logits)
    return gradient


def to_go(reward, discount):
    found, later = [], 0.0
    for each in reversed(reward.unbind(-1)):
        later = each + discount * later
        found.append(later)
    return torch.stack(found[::-1], -1)


def powers(reward, discount):
    return discount ** torch.arange(reward.shape[-1])


def by_a_triangle(reward, baseline, discount):
    t = torch.arange(reward.shape[-1])
    since = (t - t.unsqueeze(-1)).clamp(min=0)
    seen_from_t = torch.triu(torch.tensor(discount, dtype=torch.float64) ** since)
    return powers(reward, discount) * (torch.einsum("tk,...k->...t", seen_from_t, reward) - baseline)


def one_after_another(reward, terminated, truncated, value, next_value, discount):
    """Each environment for itself, with Python's if."""
    returns = torch.empty_like(reward)
    rows = [part.reshape(-1, reward.shape[-1]) for part in (reward, terminated, truncated, next_value, returns)]
    for r, d, c, n, found in zip(*rows, strict=True):
        for t in reversed(range(len(r))):
            later = n[t] if c[t] or t == len(r) - 1 else found[t + 1]
            found[t] = r[t] if d[t] else r[t] + discount * later
    return returns


def summed_td_errors(reward, terminated, truncated, value, next_value, discount):
    """Generalised advantage estimation with λ = 1, and the value added back."""
    advantage = to = torch.zeros_like(reward[..., 0])
    found = []
    for t in reversed(range(reward.shape[-1])):
        error = reward[..., t] + discount * ~terminated[..., t] * next_value[..., t] - value[..., t]
        to = error + discount * ~(terminated | truncated)[..., t] * advantage
        follows_on = t + 1 < reward.shape[-1]
        if follows_on:  # what is seen next is s_{t+1}, unless the episode is over
            goes_on = ~(terminated | truncated)[..., t]
            to = to + discount * goes_on * (value[..., t + 1] - next_value[..., t])
        advantage = to
        found.append(to)
    return torch.stack(found[::-1], -1) + value


def by_a_distribution(logits, action, advantage, entropy_bonus):
    policy = torch.distributions.Categorical(logits=logits)
    return (-policy.log_prob(action) * advantage.detach()).mean(-1) - entropy_bonus * policy.entropy().mean(-1)


def by_one_hot(logits, action, advantage, entropy_bonus):
    log_policy = logits - torch.logsumexp(logits, -1, keepdim=True)
    picked = torch.nn.functional.one_hot(action, logits.shape[-1]) * log_policy
    charged = entropy_bonus * log_policy.exp() * log_policy
    return (charged.sum(-1) - picked.sum(-1) * advantage.data).sum(-1) / action.shape[-1]


def in_one_dimension_after_the_other(function, mean, log_std, noise):
    actions = [mean[..., i : i + 1] + noise[..., i] * log_std[..., i : i + 1].exp() for i in range(mean.shape[-1])]
    return function(torch.stack(actions, -1)).sum(-1) / noise.shape[-2]


def with_minimum_and_maximum(r, d, s, noise, clip, online, target, g):
    with torch.no_grad():
        action = target.actor(s) + torch.where(noise.abs() > clip, clip * noise.sign(), noise)
        first, second = target.critics(s, action.maximum(-torch.ones_like(action)).minimum(torch.ones_like(action)))
    return torch.where(d, r, r + g * torch.minimum(first, second))


def by_the_distribution(mean, log_std, noise):
    before = mean + log_std.exp() * noise
    return (torch.distributions.Normal(mean, log_std.exp()).log_prob(before) + 2 * log_cosh(before)).sum(-1)


def log_cosh(x):
    return torch.logaddexp(x, -x) - math.log(2)


def by_the_smaller_tail(mean, log_std, noise):
    before = (mean + log_std.exp() * noise).abs()  # the slope of tanh is the same on both sides
    log_slope = 2 * (math.log(2) - before - torch.log1p((-2 * before).exp()))
    return (-noise.square() / 2 - log_std - math.log(2 * math.pi) / 2 - log_slope).sum(-1)


def without_remembering_the_entropy(reward, terminated, next_q, next_log_density, temperature, discount):
    with torch.no_grad():
        value = torch.minimum(next_q[0], next_q[1]) - temperature * next_log_density
        return torch.where(terminated, reward, reward + discount * value)


def critic_by_critic(q, target):
    return sum(0.5 * (one.squeeze(-1) - target.detach()).square().mean(-1) for one in q)


def in_columns(q, target):
    return 0.5 * (q - target.detach().unsqueeze(-1)).square().mean((-2, -1)).sum(0)


def mean_of_each_term(log_density, q, temperature):
    alpha = temperature.squeeze(-1) if temperature.ndim else temperature
    return alpha * log_density.mean(-1) - torch.minimum(*q).mean(-1)


def by_autograd_of_one_draw(mean, log_std, noise, slope, temperature):
    mean, log_std = mean.clone().requires_grad_(), log_std.clone().requires_grad_()
    before = mean + log_std.exp() * noise
    log_density = -noise.square() / 2 - log_std + 2 * log_cosh(before)
    loss = temperature * log_density - slope * before.tanh()
    return torch.stack(torch.autograd.grad(loss.sum(), [mean, log_std]), -1)


def with_both_terms(mean, log_std, noise, slope, temperature):
    """(7.9) letter by letter, by the action: both terms, and what each parameter does to the action."""
    std, action = log_std.exp(), (mean + log_std.exp() * noise).tanh()
    narrower = 1 - action.square()
    by_action = temperature * (2 * action - noise / std) / narrower - slope
    by_mean = temperature * noise / std + by_action * narrower
    by_log_std = temperature * (noise.square() - 1) + by_action * narrower * std * noise
    return torch.stack((by_mean, by_log_std), -1)


def by_categorical_of_logits(q, logits, temperature):
    policy = torch.distributions.Categorical(logits=logits)
    return (policy.probs * q.amin(0)).sum(-1) + temperature * policy.entropy()


def by_log_softmax(q, logits, temperature):
    log_policy = logits.log_softmax(-1)
    return (log_policy.exp() * (q.min(0).values - temperature[..., None] * log_policy)).sum(-1)


def detached_part_by_part(observation, action, draw, critics, value, temperature):
    drawn, log_density = draw(observation)
    q = torch.minimum(*critics(observation, drawn.detach())).detach()
    return 0.5 * (value(observation) - q + temperature * log_density.detach()).square().mean(-1)


def with_nothing_remembered(observation, action, draw, critics, value, temperature):
    with torch.no_grad():
        drawn, log_density = draw(observation)
        answer = critics(observation, drawn).amin(0) - temperature * log_density
    return (value(observation) - answer).square().mean(-1) / 2


def by_one_mean_after_the_other(log_probability, temperature, target_entropy):
    return temperature.squeeze(-1) * (-log_probability.mean(-1).detach() - target_entropy)


def in_logarithms(temperature, nats, target_entropy, step_size, least):
    by_log = (temperature.log() - step_size * temperature * (nats - target_entropy)).exp()
    itself = torch.maximum(temperature - step_size * (nats - target_entropy), torch.full_like(nats, least))
    return torch.cat([by_log.unsqueeze(-1), itself.unsqueeze(-1)], -1)


def by_autograd_of_both_losses(temperature, nats, target_entropy, step_size, least):
    results = []
    for to, back in ((torch.log, torch.exp), (lambda x: x, lambda x: x.clamp(min=least))):
        parameter = to(temperature).requires_grad_()
        alpha = parameter.exp() if to is torch.log else parameter
        (slope,) = torch.autograd.grad((alpha * (nats - target_entropy)).sum(), parameter)
        results.append(back((parameter - step_size * slope).detach()))
    return torch.stack(results, -1)


def by_a_table_of_probabilities(actions, favourite):
    others = ((1 - favourite) / (actions - 1)).unsqueeze(-1).expand(*favourite.shape, actions - 1)
    return entropy(torch.cat([favourite.unsqueeze(-1), others], -1))


def halving_in_logarithms(soft_q, share, target_entropy):
    low, high = math.log(0.001), math.log(100.0)
    for _ in range(40):
        middle = (low + high) / 2
        policy = torch.softmax(soft_q(math.exp(middle)) / math.exp(middle), -1)
        nats = (share * -torch.special.xlogy(policy, policy).sum(-1)).sum()
        low, high = (middle, high) if nats < target_entropy else (low, middle)
    return torch.tensor(math.exp(low))


def one_update_otherwise(agent, batch):
    """Draws everything first, minds gradients itself, and moves the copies in place."""
    with torch.no_grad():
        alpha = agent.alpha
        action, log_density = agent.draw(batch.next_observation)
        next_q = agent.judge(agent.target_critic, batch.next_observation, action).squeeze(-1)
        y = without_remembering_the_entropy(
            batch.reward, batch.terminated, next_q, log_density, alpha, agent.settings.discount
        )
    action, log_density = agent.draw(batch.observation)
    loss = critic_by_critic(agent.judge(agent.critic.parameters, batch.observation, batch.action), y)
    agent.critic.minimize(loss)
    first, second = agent.judge(agent.critic.parameters, batch.observation, action).squeeze(-1)
    agent.actor.minimize(mean_of_each_term(log_density, torch.stack([first, second]), alpha))
    agent.log_alpha.minimize(by_one_mean_after_the_other(log_density, agent.alpha, agent.target_entropy))
    with torch.no_grad():
        for old, new in zip(agent.target_critic, agent.critic.parameters, strict=True):
            old.lerp_(new, agent.settings.tau)
    return loss.detach()


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (
            check.lagrangian,
            lambda d, r, h, t, target: (d * r).sum(-1) + t * ((d * h).sum(-1) - target * d.sum(-1)),
        ),
        (check.lagrangian, lambda d, r, h, t, target: torch.einsum("...s,...s->...", d, r + t * h - t * target)),
        (check.temperature_loss, by_one_mean_after_the_other),
        (check.temperature_loss, lambda lp, t, target: -(t * (lp + target).detach()).mean(-1)),
        (check.temperature_loss, lambda lp, t, target: (-t * lp.detach() - t * target).mean(dim=-1)),
        (check.temperature_steps, in_logarithms),
        (check.temperature_steps, by_autograd_of_both_losses),
        (check.vector_target, lambda low, high: torch.log((high - low) / (2 * math.e)).sum(-1)),
        (check.vector_target, lambda low, high: (high - low).log().sum(-1) - low.shape[-1] * (1 + math.log(2))),
        (check.numbered_target, by_a_table_of_probabilities),
        (
            check.numbered_target,
            lambda n, p: -torch.special.xlogy(p, p) - torch.special.xlogy(1 - p, 1 - p) + (1 - p) * math.log(n - 1),
        ),
        (check.price, halving_in_logarithms),
        (check.price, lambda soft, share, h: np.float64(lesson_08.price.reference(soft, share, h))),
        (
            check.costly_target,
            lambda r, d, v, t, target, g: torch.where(d, r, r + g * v - g * t * target).detach(),
        ),
        (check.costly_target, lambda r, d, v, t, target, g: r + g * (1 - d.double()) * (v - t * target).data),
        (check.one_update, one_update_otherwise),
        (check.squashed_log_density, by_the_distribution),
        (check.squashed_log_density, by_the_smaller_tail),
        (check.sac_target, without_remembering_the_entropy),
        (check.sac_target, lambda r, d, q, lp, t, g: (r + g * (1 - d.double()) * (q - t * lp).amin(0)).detach()),
        (check.twin_loss, critic_by_critic),
        (check.twin_loss, in_columns),
        (check.soft_actor_loss, mean_of_each_term),
        (check.soft_actor_loss, lambda lp, q, t: -(q - t * lp).amin(0).mean(dim=-1)),
        (check.pathwise_gradient, by_autograd_of_one_draw),
        (check.pathwise_gradient, with_both_terms),
        (check.discrete_soft_value, by_categorical_of_logits),
        (check.discrete_soft_value, by_log_softmax),
        (check.value_network_loss, detached_part_by_part),
        (check.value_network_loss, with_nothing_remembered),
        (check.logit_gradient, by_the_jacobian),
        (check.logit_gradient, by_autograd_of_the_mean),
        (check.reinforce_weight, by_a_triangle),
        (check.reinforce_weight, lambda r, b, g: powers(r, g) * to_go(r, g) - powers(r, g) * b),
        (check.piece_return, one_after_another),
        (check.piece_return, summed_td_errors),
        (check.actor_loss, by_a_distribution),
        (check.actor_loss, by_one_hot),
        (check.pathwise_objective, in_one_dimension_after_the_other),
        (
            check.pathwise_objective,
            lambda f, m, k, x: f(torch.einsum("...d,...bd->...bd", k.exp(), x) + m[..., None, :]).mean(-1),
        ),
        (check.td3_target, with_minimum_and_maximum),
        (check.soft_policy_value, by_categorical),
        (check.soft_policy_value, log_of_almost_zero),
        (check.soft_target, as_a_target_with_where),
        (check.soft_value, from_the_policy_that_has_it),
        (check.soft_value, from_log_softmax),
        (check.boltzmann_divergence, by_the_gap),
        (check.boltzmann_divergence, kl_div_of_torch),
        (check.soft_policy_iteration, until_nothing_changes),
        (check.soft_policy_iteration, improved_by_the_other_convention),
        (check.soft_policy_iteration, evaluated_by_one_sweep),
        (check.soft_policy_iteration, soft_value_iteration_by_hand),
        (check.floored_policy, by_halving),
        (check.floored_policy, one_after_the_other),
        (check.floored_policy, clipped_and_normalised_for_ever),
        (check.hottest_policy, swept_for_entropy),
        (check.hottest_policy, very_hot),
        (check.semi_gradient_step, by_autograd),
        (check.semi_gradient_step, loop_over_the_runs_of_a_linear_q),
        (check.dqn_target, without_remembering),
        (check.dqn_target, detached_at_the_end),
        (check.transition, lambda s, a, r, n, b, d, c: [s, a, r, n, d & (d | c)]),
        (check.transition, lambda s, a, r, n, b, d, c: (s, a, r, torch.where((d | c).unsqueeze(-1), n, b), d)),
        (check.polyak_step, lambda t, o, r: torch.lerp(t, o, r).detach()),
        (check.polyak_step, lambda t, o, r: (1 - r) * t.data + r * o.data),
        (check.uniform_bias, lambda m, e, g: g * (e - 2 * e / (m + 1))),
        (check.double_value, lambda o, t: torch.take_along_dim(t, o.max(-1, True).indices, -1)[..., 0]),
        (check.double_estimate, halves_by_hand),
        (check.needed_steps, play_on),
        (check.needed_steps, lambda g, r, t: max(0.0, np.ceil(np.log(t * (1 - g) / r) / np.log(g)))),
        (check.discounted_return, loop_from_the_end),
        (check.discounted_return, lambda r, g: (g ** torch.arange(r.shape[-1]) * r).sum(-1)),
        (check.state_value, lambda q, p: torch.einsum("...a,...a->...", q, p)),
        (check.expected_backup, loop_over_outcomes),
        (check.sweeps_needed, count_up),
        (check.sweeps_needed, lambda g, t, e: max(0.0, float(math.ceil(math.log(t / e, g))))),
        (check.sweeps_needed, lambda g, t, e: np.maximum(0, np.ceil(np.log(t / e) / np.log(g)))),
        (check.sweeps_needed, lambda g, t, e: torch.tensor(t / e).log().div(math.log(g)).ceil().clamp(min=0)),
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


def q_of(weights, features):
    return (weights @ features.unsqueeze(-1)).squeeze(-1)


def soft(q, policy, temperature):
    return (policy * q).sum(-1) + temperature * entropy(policy)


def in_rounds(evaluate=policy_q, improve=lambda q, t: torch.softmax(q / t, -1), rounds=100):
    def iterate(mdp, policy, temperature):
        for _ in range(rounds):
            policy = improve(evaluate(mdp, policy, temperature), temperature)
        return policy

    return iterate


def squashed(m, k, x, log_slope):
    gaussian = -x.square() / 2 - k - math.log(2 * math.pi) / 2
    return (gaussian - log_slope(m + k.exp() * x)).sum(-1)


def by_hand(m, k, x, q, t, wish=lambda a: 1 - a.square(), wall=lambda a: 2 * a, direct=1.0):
    action = (m + k.exp() * x).tanh()
    by_u = t * wall(action) - q * wish(action)
    return torch.stack((by_u, by_u * k.exp() * x - direct * t), -1)


def half_square(value, answer):
    return (value - answer).square().mean(-1) / 2


def hot(r, c, g, sweeps, scale=0.0):
    q = torch.zeros_like(r)
    for _ in range(sweeps):
        q = scale * r + g * c @ torch.logsumexp(q, -1)
    return q


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
        (
            check.expected_backup,
            lambda p, n, r, d, v, g: (p * (r - g * ~d * v[n])).sum(-1),
            "With one outcome, Q is its",
        ),
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
            "Where three episodes are cut off by a time limit",
        ),
        (check.epsilon_greedy, greedy_without_ties, "Your actions are always greedy"),
        (check.epsilon_greedy, one_tie_break_for_all, "Two actions share the first place"),
        (check.epsilon_greedy, global_generator, "Draw from the generator that is handed over"),
        (check.epsilon_greedy, best_of_the_first_run, "every run takes the best action of its own row"),
        (
            check.epsilon_greedy,
            lambda q, e, g: from_probabilities(q, e, g) + 2,
            "must return actions 0 … 3, but has others",
        ),
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
        (check.double_q_target, lambda r, d, s, e, g: r + g * e.amin(-1), "q_select names the action with its largest"),
        (
            check.semi_gradient_step,
            lambda w, f, a, y, n: w - n * (y - q_of(w, f).amax(-1))[:, None, None] * f.unsqueeze(1),
            "One entry of the table moves",
        ),
        (
            check.semi_gradient_step,
            lambda w, f, a, y, n: w + n * (y - q_of(w, f).amax(-1))[:, None, None] * f.unsqueeze(1),
            "The weights of all actions move",
        ),
        (check.dqn_target, lambda r, d, o, t, g: r + g * t.amax(-1), "Your target still contains the value"),
        (check.dqn_target, lambda r, d, o, t, g: r + g * ~d * o.amax(-1), "it moves with every step that is made"),
        (
            check.dqn_target,
            lambda r, d, o, t, g: (r + ~d * o.mean(-1)).detach(),
            "The target is the reward plus γ times",
        ),
        (check.transition, lambda s, a, r, n, b, d, c: (s, a, -r, b, d ^ c), "are they still what they were?"),
        (
            check.polyak_step,
            lambda t, o, r: r * t + (1 - r) * o,
            "With a small τ, which of the two should hardly move?",
        ),
        (check.polyak_step, lambda t, o, r: (t + r * o + r * t).detach(), "4 becomes 5 when the online network says 8"),
        (check.uniform_bias, lambda m, e, g: e * m / (m + 1), "What does that become in [−1, 1]?"),
        (check.uniform_bias, lambda m, e, g: -e * (m + 1) / m, "Four draws cut the way from −1 to 1 into five pieces"),
        (check.double_value, lambda o, t: torch.maximum(o, t).amax(-1), "The online network names the action"),
        (check.double_value, lambda o, t: 2 * t.amax(-1), "The online network names the action"),
        (check.double_estimate, lambda x: x.amax(-2).amax(-1), "what did the second sample find there?"),
        (check.double_estimate, lambda x: x[0].mean(-1), "what did the second sample find there?"),
        (check.needed_steps, lambda g, r, t: math.floor(math.log(t / r, g)), "count by hand until 0.5 is left"),
        (check.needed_steps, lambda g, r, t: round(1 / (1 - g)) + 50, "count by hand until 0.5 is left"),
        (check.soft_policy_value, lambda q, p, t: t * (p * (q + p.log())).sum(-1), "Your α multiplies Q as well"),
        (
            check.soft_policy_value,
            lambda q, p, t: q.amax(-1) - t * entropy(p),
            "With α = 0 nothing is paid for entropy",
        ),
        (
            check.soft_target,
            lambda r, d, p, n, q, t, g: r + t * entropy(p) + g * soft(q, n, t),
            "pays for the entropy in s as well",
        ),
        (check.soft_target, lambda r, d, p, n, q, t, g: g * (r + q.amax(-1)), "plus γ times the average of Q(s′, ·)"),
        (check.soft_value, lambda q, t: t * (q / t).exp().mean(-1).log(), "You average over the actions before"),
        (check.soft_value, lambda q, t: -t * torch.logsumexp(-q / t, -1), "Whoever tosses a coin between the two"),
        (
            check.boltzmann_divergence,
            lambda q, p, t: (torch.softmax(q / t, -1) * (torch.softmax(q / t, -1) / p).log()).sum(-1) / math.log(2),
            "over the actions of which of the two policies?",
        ),
        (
            check.boltzmann_divergence,
            lambda q, p, t: (p * (p.log() + torch.log_softmax(q / t, -1))).sum(-1),
            "From where one stands there is no way to go",
        ),
        (
            check.soft_policy_iteration,
            in_rounds(lambda m, p, t: policy_q(m, p), lambda q, t: torch.softmax(q, -1)),
            "Your improvement is the same for every α",
        ),
        (
            check.soft_policy_iteration,
            in_rounds(lambda m, p, t: policy_q(m, p), rounds=2),
            "Which Q does (6.17) improve by",
        ),
        (
            check.floored_policy,
            lambda p, f: (lambda c: c / c.sum(-1))(p.clamp(min=f)),
            "what you have just lifted included",
        ),
        (check.floored_policy, lambda p, f: p.clamp(min=2 * f), "nothing is nearer to B than B"),
        (check.hottest_policy, lambda r, c, g: torch.softmax(r + g * c.sum(-1), -1), "Whoever stays may choose again"),
        (
            check.hottest_policy,
            lambda r, c, g: torch.softmax(r / 50 + hot(r, c, g, 400), -1),
            "a nat of entropy is worth more. What is 10/α then?",
        ),
        (
            check.squashed_log_density,
            lambda m, k, x: (-x.square() / 2 - math.log(2 * math.pi) / 2).sum(-1),  # neither scale nor Jacobian
            "In this case at least: Your density is as high for a narrow Gaussian",
        ),
        (
            check.squashed_log_density,
            lambda m, k, x: (-x.square() / 2 - k - (1 - (m + k.exp() * x).tanh().square() + 1e-6).log()).sum(-1),
            "In this case at least: You leave out ½ log 2π",
        ),
        (
            check.squashed_log_density,
            lambda m, k, x: squashed(m, k, x, lambda u: (1 - u.tanh().square() + 1e-8).log()),
            "Where u is 8 (you: 13.67, expected: 13.69): 1 − tanh² 8 is 4.5 · 10⁻⁷: small, but a number",
        ),
        (
            check.sac_target,
            lambda r, d, q, lp, t, g: (r + q.amin(0) - t * lp).detach(),  # neither γ nor mask
            "In this case at least: Your target does not discount",
        ),
        (
            check.sac_target,
            lambda r, d, q, lp, t, g: (r + g * ~d * q.amax(0)).detach(),
            "In this case at least: You believe the higher of the two critics",
        ),
        (
            check.sac_target,
            lambda r, d, q, lp, t, g: (r + g * ~d * q.amin(0) + t * lp).detach(),
            "What stands before log π in (7.16)?",
        ),
        (
            check.twin_loss,
            lambda q, y: (q - y).square().mean() / 2,
            "In this case at least: You average the losses of the critics",
        ),
        (
            check.twin_loss,
            lambda q, y: (q.squeeze(-1) - y).square().sum() / 2,
            "In this case at least: Your loss grows with the batch",
        ),
        (
            check.soft_actor_loss,
            lambda lp, q, t: (q.amin(0) - (t * lp).detach()).mean(-1),
            "In this case at least: You return what is to be climbed",
        ),
        (
            check.soft_actor_loss,
            lambda lp, q, t: (t * q.amin(0) - lp).mean(-1),
            "with which sign does Q stand in it, (7.7)",
        ),
        (
            check.pathwise_gradient,
            lambda m, k, x, q, t: by_hand(m, k, x, q, t, wish=lambda a: -(1 - a.square()), wall=lambda a: a),
            "In this case at least: Descending your gradient, the actor goes where Q falls",
        ),
        (
            check.pathwise_gradient,
            lambda m, k, x, q, t: by_hand(m, k, x, q, t, wall=lambda a: 2 * a * (1 - a.square())) + 0 * t,
            "You pass the walls' term through da/du once more",
        ),
        (
            check.discrete_soft_value,
            lambda q, logits, t: (torch.softmax(logits, -1) * q.amin(0)).mean(-1),
            "In this case at least: You divide by the number of actions",
        ),
        (
            check.discrete_soft_value,
            lambda q, logits, t: soft(q.amax(0), torch.softmax(logits, -1), -t),
            "In this case at least: You believe the higher of the two critics",
        ),
        (
            check.value_network_loss,
            lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, a).amin(0) - t * draw(o)[1]),
            "In this case at least: You ask Q about the action in the replay",
        ),
        (
            check.value_network_loss,
            lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, draw(o)[0]).amax(0).detach()),
            "In this case at least: Your V learns the higher of the two critics",
        ),
        (
            check.lagrangian,
            lambda d, r, h, t, target: (d * (r - t * h)).sum(-1) - t * target,
            "In this case at least: At your price entropy is a cost",
        ),
        (
            check.temperature_loss,
            lambda lp, t, target: (t * (lp + target)).mean(),
            "Your mean is over everything, the runs included",
        ),
        (
            check.temperature_loss,
            lambda lp, t, target: -(t * lp.detach() + target).sum(-1),
            "In this case at least: In yours α stands before log π alone",
        ),
        (
            check.temperature_steps,
            lambda t, h, target, eta, least: torch.stack([t.log() - eta * (h - target), t - eta * (h - target)], -1),
            "In this case at least: Your first column is log α after the step",
        ),
        (
            check.vector_target,
            lambda low, high: -(high - low).prod(-1),
            "This is the course's own unit",
        ),
        (
            check.numbered_target,
            lambda n, p: (p * p.log() + (1 - p) * (1 - p).log()) / math.log(2),
            "Two equally likely actions have the entropy log 2 = 0.693",
        ),
        (
            check.costly_target,
            lambda r, d, v, t, target, g: (r - t * target + (~d) * v).detach(),  # charged now, and no γ
            "In this case at least: Your target does not discount",
        ),
        (
            check.costly_target,
            lambda r, d, v, t, target, g: (r - t + g * ~d * v).detach(),  # charged now, and the price for the cost
            "What is left is the cost of the step from s′ on: α H̄, one step later",
        ),
        (
            check.temperature_loss,
            lambda lp, t, target: (t * (lp + target)).mean(-1),  # sign, and a gradient to the actor
            "In this case at least: Who descends your loss makes entropy dearer",
        ),
        (
            check.costly_target,
            lambda r, d, v, t, target, g: (r + g * (v + t * target)).detach(),  # neither mask nor sign
            "At the price 0 (8.8) is the target of lesson 1",
        ),
    ],
)
def test_other_mistakes_earn_a_hint_too(exercise, answer, expected):
    result = exercise(answer)
    assert result.score < 1
    assert expected in flat(result.text), result.text


# What learners wrote in a trial, what they must be told, and what not


def coins(q, epsilon, generator, *shape):
    return torch.rand(shape or (len(q),), generator=generator) < epsilon


def draws(q, generator, actions=None):
    return torch.randint(actions or q.shape[-1], (len(q),), generator=generator)


def a_coin_for_each_action(q, epsilon, generator):
    candidate = coins(q, epsilon, generator, *q.shape) | (q == q.amax(-1, keepdim=True))
    return torch.where(candidate, torch.rand(q.shape, generator=generator), -1.0).argmax(-1)


def one_lottery_for_all(q, epsilon, generator):
    candidate = coins(q, epsilon, generator, len(q), 1) | (q == q.amax(-1, keepdim=True))
    return torch.where(candidate, torch.rand(q.shape[-1], generator=generator), -1.0).argmax(-1)


def large_tie_noise(q, epsilon, generator):
    greedy = (q + 0.5 * torch.rand(q.shape, generator=generator)).argmax(-1)
    return torch.where(coins(q, epsilon, generator), draws(q, generator), greedy)


def four_actions_always(q, epsilon, generator):
    greedy = (q + 1e-9 * torch.rand(q.shape, generator=generator)).argmax(-1)
    return torch.where(coins(q, epsilon, generator), draws(q, generator, 4), greedy)


def seeds_anew(q, epsilon, generator):
    return from_probabilities(q, epsilon, generator.manual_seed(0))


def best_value(q, epsilon, generator):
    return torch.where(coins(q, epsilon, generator), draws(q, generator), q.max(-1).values)


def returns_in_the_loop(reward, discount):
    total = 0
    for k in range(reward.shape[-1]):
        total = total + discount**k * reward[..., k]
        return total  # noqa: RET504
    return None


def loop_that_ends_early(reward, discount):
    return sum(discount**k * reward[..., k] for k in range(reward.shape[-1] - 1))


def multiplies_while_not_below(discount, tolerance, first_error):
    sweeps = 0
    while first_error >= tolerance:
        first_error, sweeps = first_error * discount, sweeps + 1
    return sweeps


def gives_up_after_a_hundred(discount, tolerance, first_error):
    for sweeps in range(100):
        if discount**sweeps * first_error <= tolerance:
            return sweeps
    return None


def sweeps_of(count):
    def iterated(policy, expected_reward, continuation_matrix, discount):
        value = torch.zeros(len(policy), dtype=torch.float64)
        for _ in range(count):
            value = (policy * (expected_reward + discount * (continuation_matrix @ value))).sum(-1)
        return value

    return iterated


def ones_for_the_identity(p, r, c, g):
    return torch.linalg.solve(1 - g * torch.einsum("sa,sat->st", p, c), (p * r).sum(-1))


def branches(r, d, c, q, g):
    if d:
        return r
    return r + g * q.amax(-1)


def any_end_ends_all(r, d, c, q, g):
    return r if d.any() else r + g * q.amax(-1)


def at_the_visited(write):
    def update(q, state, action, target, step_size):
        write(q, (torch.arange(len(q)), state, action), target, step_size)

    return update


def changes_a_copy(q, here, y, n):
    old = q[here]
    old += n * (y - old)


def from_the_row_maximum(q, here, y, n):
    q[here] += n * (y - q[here[:2]].amax(-1))


def step_in_place_of_estimate(q, here, y, n):
    q[here] = n * (y - q[here])


def changes_the_weights(w, f, a, y, n):
    w[torch.arange(len(w)), a] += n * (y - (w[torch.arange(len(w)), a] * f).sum(-1)).unsqueeze(-1) * f
    return w


def at_every_run(w, f, a, y, n):
    new = w.clone()
    new[:, a] += n * (y - (w[:, a] * f.unsqueeze(1)).sum(-1)).unsqueeze(-1) * f.unsqueeze(1)
    return new


def by_autograd_of(loss):
    def step(w, f, a, y, n):
        w = w.clone().requires_grad_()
        error = y - (w[torch.arange(len(w)), a] * f).sum(-1)
        return (w - n * torch.autograd.grad(loss(error), w)[0]).detach()

    return step


def with_the_mean_for_the_sum(w, f, a, y, n):
    new, run = w.clone(), torch.arange(len(w))
    new[run, a] += n * (y - (w[run, a] * f).mean(-1)).unsqueeze(-1) * f
    return new


def judged(q_select, q_evaluate):
    return q_evaluate.gather(-1, q_select.argmax(-1, keepdim=True)).squeeze(-1)


def clip_and_divide(p, f):
    return p.clamp(min=f) / p.clamp(min=f).sum(-1, keepdim=True)


def piece_of(last=True, cut=lambda d, c: c, mask=lambda d, c: ~d):
    def returns(r, d, c, v, n, g):
        found, later = torch.zeros_like(r), n[..., -1] if last else 0 * n[..., -1]
        for t in reversed(range(r.shape[-1])):
            later = torch.where(cut(d, c)[..., t], n[..., t], later)
            later = r[..., t] + g * mask(d, c)[..., t] * later
            found[..., t] = later
        return found

    return returns


def shifted(v, last):
    return torch.cat([v[..., 1:], last[..., -1:]], -1)


def picked(logits, action):
    return torch.log_softmax(logits, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)


def spread(logits):
    return entropy(torch.softmax(logits, -1))


def drawn(m, k, x):
    return m.unsqueeze(-2) + k.exp().unsqueeze(-2) * x


def both_clips(a, x, c):
    return (a + x.clamp(-c, c)).clamp(-1, 1)


def td3(pick=lambda q: q.amin(0), act=both_clips, mask=lambda d: ~d, ask=lambda o, t: (t, t), factor=1.0):
    def target(r, d, s, noise, clip, online, target, g):
        actor, critics = ask(online, target)
        action = act(actor.actor(s), noise, clip)
        return (r + factor * g * mask(d) * pick(critics.critics(s, action))).detach()

    return target


def slope_of_tanh(m, k, x):
    return -2 * log_cosh(m + k.exp() * x)


def asked_of_torch(m, k, x):
    tanh = torch.distributions.transforms.TanhTransform(cache_size=1)
    squashed = torch.distributions.TransformedDistribution(torch.distributions.Normal(m, k.exp()), tanh)
    return squashed.log_prob((m + k.exp() * x).tanh()).sum(-1)


MAX_OVER_BATCH, LEAST = "maximum over the first axis", "In this case at least:"
RETURN, ONE_TRUTH = "does every way through it end in a `return`?", "ask for one truth, and here are several"
TABLE, UPSIDE_DOWN = "met a row of shape", "adds the future exactly where the episode has ended"

STUDENTS = {
    "1.1 prints": (check.discounted_return, lambda r, g: print(r), [RETURN], ["not attempted"]),
    "1.1 returns in the loop": (
        check.discounted_return,
        returns_in_the_loop,
        ["does the `return` stand inside"],
        [LEAST],
    ),
    "1.1 ends early": (check.discounted_return, loop_that_ends_early, ["leaves out the last reward"], [LEAST]),
    "1.1 γ once": (check.discounted_return, lambda r, g: (g * r).sum(-1), [LEAST, "discounts the very first"], []),
    "1.1 not summed": (
        check.discounted_return,
        lambda r, g: g ** torch.arange(r.shape[-1]) * r,
        ["(), one number,", "which axis must vanish?"],
        [TABLE],
    ),
    "1.1 .item()": (check.discounted_return, lambda r, g: r.sum().item(), ["is there an .item()?"], []),
    "1.1 NumPy": (check.discounted_return, lambda r, g: r.numpy().sum(-1), ["it returns a NumPy number."], ["float64"]),
    "1.1 pair": (check.discounted_return, lambda r, g: r.max(-1), ["a pair (values, indices)"], []),
    "1.2 axis 1": (
        check.state_value,
        lambda q, p: (q * p).sum(1),
        ["Count the axis from the end: -1."],
        ["Actions that are never taken"],
    ),
    "1.2 matrix product": (check.state_value, lambda q, p: q @ p.T, ["a matrix product (@)"], []),
    "1.3 not summed": (
        check.expected_backup,
        lambda p, n, r, d, v, g: p * (r + g * ~d * v[n]),
        ["one axis too many; which axis must vanish?"],
        [TABLE, "keepdim"],
    ),
    "1.3 likeliest target": (
        check.expected_backup,
        lambda p, n, r, d, v, g: (p * (r + g * ~d * v[n])).amax(-1),
        ["With one outcome, Q is its target"],
        ["likeliest"],
    ),
    "1.3 mean": (
        check.expected_backup,
        lambda p, n, r, d, v, g: (p * (r + g * ~d * v[n])).mean(-1),
        ["mean or sum?"],
        [LEAST],
    ),
    "1.3 no γ": (
        check.expected_backup,
        lambda p, n, r, d, v, g: (p * (r + ~d * v[n])).sum(-1),
        ["Where is γ?"],
        [LEAST],
    ),
    "1.3 mask": (
        check.expected_backup,
        lambda p, n, r, d, v, g: (p * (r + g * d * v[n])).sum(-1),
        [UPSIDE_DOWN],
        [LEAST],
    ),
    "1.3 mean of rewards": (
        check.expected_backup,
        lambda p, n, r, d, v, g: r.mean(-1) + g * (p * ~d * v[n]).sum(-1),
        [LEAST, "weighs all outcomes alike"],
        [],
    ),
    "1.4 while ≥": (check.sweeps_needed, multiplies_while_not_below, ["equal to it is good enough"], [LEAST]),
    "1.4 int + 1": (
        check.sweeps_needed,
        lambda g, t, e: max(0, int(math.log(t / e) / math.log(g)) + 1),
        ["equal to it is good enough"],
        [LEAST],
    ),
    "1.4 gives up": (check.sweeps_needed, gives_up_after_a_hundred, ["Where γ is 0.99:", RETURN], ["−log γ"]),
    "1.5 sixty sweeps": (check.solve_policy, sweeps_of(60), ["The future is long"], []),
    "1.5 1 for I": (check.solve_policy, ones_for_the_identity, ["see torch.eye"], ["Nothing follows"]),
    "1.5 π P": (check.solve_policy, lambda p, r, c, g: p @ c.sum(-1), ["a matrix product (@)"], []),
    "2.1 1 − d": (
        check.q_learning_target,
        lambda r, d, c, q, g: r + g * (1 - d) * q.amax(-1),
        ["`~`"],
        [MAX_OVER_BATCH],
    ),
    "2.1 not d": (
        check.q_learning_target,
        lambda r, d, c, q, g: r + g * (not d) * q.amax(-1),
        [ONE_TRUTH],
        [MAX_OVER_BATCH],
    ),
    "2.1 if d": (check.q_learning_target, branches, [ONE_TRUTH], [MAX_OVER_BATCH]),
    "2.1 Python's max": (
        check.q_learning_target,
        lambda r, d, c, q, g: r + g * ~d * max(q),
        [ONE_TRUTH],
        [MAX_OVER_BATCH],
    ),
    "2.1 over the batch": (
        check.q_learning_target,
        lambda r, d, c, q, g: r + g * ~d * q.max(0).values,
        [MAX_OVER_BATCH],
        [LEAST],
    ),
    "2.1 any end": (check.q_learning_target, any_end_ends_all, ["row by row?"], ["on the last axis"]),
    "2.1 argmax": (
        check.q_learning_target,
        lambda r, d, c, q, g: r + g * ~d * q.max(-1)[1],
        ["the number of the best action"],
        [LEAST],
    ),
    "2.1 one maximum": (
        check.q_learning_target,
        lambda r, d, c, q, g: r + g * ~d * q.max(),
        ["one maximum of everything"],
        [LEAST],
    ),
    "2.1 mask": (check.q_learning_target, lambda r, d, c, q, g: r + g * d * q.amax(-1), [UPSIDE_DOWN], [LEAST]),
    "2.1 pair": (check.q_learning_target, lambda r, d, c, q, g: r + g * ~d * q.max(-1), ["a pair (values, ind"], []),
    "2.1 two mistakes": (
        check.q_learning_target,
        lambda r, d, c, q, g: r + g * ~(d | c) * q.mean(-1),
        [LEAST, "averages over the next actions"],
        [],
    ),
    "2.1 every action": (
        check.q_learning_target,
        lambda r, d, c, q, g: r[..., None] + g * ~d[..., None] * q,
        ["an axis that must vanish is still there"],
        ["left over"],
    ),
    "2.2 coins": (check.epsilon_greedy, a_coin_for_each_action, ["You toss a coin for each action"], [LEAST]),
    "2.2 one lottery": (
        check.epsilon_greedy,
        one_lottery_for_all,
        ["do the runs share one draw?"],
        ["always greedy", LEAST],
    ),
    "2.2 noise": (check.epsilon_greedy, large_tie_noise, ["however close the second"], [LEAST]),
    "2.2 four actions": (check.epsilon_greedy, four_actions_always, ["must return actions 0 … 2, but has others"], []),
    "2.2 seeds": (check.epsilon_greedy, seeds_anew, ["it must not seed a generator"], ["1 − ε", LEAST]),
    "2.2 values": (check.epsilon_greedy, best_value, ["as argmax gives them, while max gives values"], ["dtype="]),
    "2.2 int32": (
        check.epsilon_greedy,
        lambda q, e, g: from_probabilities(q, e, g).int(),
        ["must return int64 numbers, but it returns int32."],
        ["argmax"],
    ),
    "2.3 copy": (
        check.q_update,
        at_the_visited(changes_a_copy),
        ["is a copy; assign to q[…] itself"],
        ["not attempted"],
    ),
    "2.3 row": (check.q_update, at_the_visited(from_the_row_maximum), ["Go a quarter of the way"], [LEAST]),
    "2.3 step": (
        check.q_update,
        at_the_visited(step_in_place_of_estimate),
        ["= or +=?"],
        [LEAST, "leaves q as it was"],
    ),
    "2.4 four": (
        check.expected_sarsa_value,
        lambda q, e: (1 - e) * q.amax(-1) + e * q.sum(-1) / 4,
        ["there are three actions", "uniform over the three"],
        [],
    ),
    "2.4 pair": (
        check.expected_sarsa_value,
        lambda q, e: (1 - e) * q.max(-1) + e * q.mean(-1),
        ["a pair (values, indices)"],
        [],
    ),
    "2.5 γ on the reward": (
        check.double_q_target,
        lambda r, d, s, e, g: g * (r + ~d * judged(s, e)),
        ["discounts the reward as well"],
        ["swapped", LEAST],
    ),
    "2.5 no γ": (
        check.double_q_target,
        lambda r, d, s, e, g: r + ~d * judged(s, e),
        ["Where is γ?"],
        ["averages the tables", LEAST],
    ),
    "2.5 lost reward": (
        check.double_q_target,
        lambda r, d, s, e, g: ~d * (r + g * judged(s, e)),
        ["loses the reward of the step that ends"],
        [LEAST],
    ),
    "2.5 mask": (check.double_q_target, lambda r, d, s, e, g: r + g * d * judged(s, e), [UPSIDE_DOWN], [LEAST]),
    "2.5 argmax": (
        check.double_q_target,
        lambda r, d, s, e, g: r + g * ~d * s.argmax(-1),
        ["the number of the action that q_select names"],
        [LEAST],
    ),
    "2.5 index": (
        check.double_q_target,
        lambda r, d, s, e, g: r + g * ~d * e[:, s.argmax(-1)],
        ["an index such as [:, best]"],
        [],
    ),
    "2.5 squeeze": (
        check.double_q_target,
        lambda r, d, s, e, g: r + g * ~d * e.gather(-1, s.argmax(-1, keepdim=True)).squeeze(),
        ["squeeze() removes every axis of length 1"],
        [],
    ),
    "2.5 arange": (
        check.double_q_target,
        lambda r, d, s, e, g: r + g * ~d * e[torch.arange(len(e)), s.argmax(-1)],
        ["torch.gather(-1, …) picks one for each row"],
        ["squeeze()"],
    ),
    "2.5 larger maximum": (
        check.double_q_target,
        lambda r, d, s, e, g: r + g * ~d * torch.maximum(s, e).amax(-1),
        ["q_select names the action"],
        ["plain Q-learning"],
    ),
    "3.1 in place": (
        check.semi_gradient_step,
        changes_the_weights,
        ["your function changes weights"],
        ["not attempted"],
    ),
    "3.1 every run": (
        check.semi_gradient_step,
        at_every_run,
        ["torch.arange(R) pairs run 0 with"],
        ["The weights of all"],
    ),
    "3.1 square": (
        check.semi_gradient_step,
        by_autograd_of(lambda e: (e**2).sum()),
        ["differentiated the square"],
        [LEAST],
    ),
    "3.1 mean": (
        check.semi_gradient_step,
        by_autograd_of(lambda e: (e**2).mean() / 2),
        ["Where there are two runs", "divided by the number of runs"],
        [LEAST],
    ),
    "3.1 signs": (
        check.semi_gradient_step,
        by_autograd_of(lambda e: e.abs().sum()),
        ["a quarter of the way from 3 to 7"],
        [LEAST],
    ),
    "3.1 mean in Q": (
        check.semi_gradient_step,
        with_the_mean_for_the_sum,
        ["is the mean of features times weights", "(3.1) has a Σ"],
        [LEAST, "a quarter of the way"],
    ),
    "3.1 sign and 2": (
        check.semi_gradient_step,
        lambda w, f, a, y, n: 2 * w - by_autograd_of(lambda e: (e**2).sum())(w, f, a, y, n),
        ["twice as long and leads away from the target"],
        [LEAST, "a quarter of the way"],
    ),
    "3.2 squeeze": (
        check.dqn_target,
        lambda r, d, o, t, g: (r + g * ~d * t.detach().amax(-1)).squeeze(),
        ["Where two runs stand in front of a batch of one", "squeeze() removes every axis of length 1"],
        ["on the last axis, whatever"],
    ),
    "3.2 detach_": (
        check.dqn_target,
        lambda r, d, o, t, g: r + g * ~d * t.detach_().amax(-1),
        ["your function changes target_next_q", "whose name ends in _"],
        ["an answer to approach"],
    ),
    "3.2 1 − d": (
        check.dqn_target,
        lambda r, d, o, t, g: r + g * (1 - d) * t.detach().amax(-1),
        ["`~`"],
        [MAX_OVER_BATCH],
    ),
    "3.2 pair": (
        check.dqn_target,
        lambda r, d, o, t, g: r + g * ~d * t.max(-1),
        ["a pair (values, ind"],
        ["held fixed"],
    ),
    "3.2 NumPy": (
        check.dqn_target,
        lambda r, d, o, t, g: r + g * ~d * torch.from_numpy(t.numpy().max(-1)),
        ["Use tensor.detach()", "an answer to approach"],
        [LEAST],
    ),
    "3.2 column": (
        check.dqn_target,
        lambda r, d, o, t, g: r + g * ~d * t.detach().max(-1, keepdim=True).values,
        [TABLE, "(B, 1) met (B,)"],
        [LEAST],
    ),
    "3.2 axis 1": (
        check.dqn_target,
        lambda r, d, o, t, g: r + g * ~d * t.detach().max(1).values,
        ["Where two runs stand in front", "always axis -1"],
        [LEAST],
    ),
    "3.2 minus Q": (
        check.dqn_target,
        lambda r, d, o, t, g: (r + g * ~d * t.amax(-1) - o.amax(-1)).detach(),
        ["largest value that the target network gives"],
        [LEAST, "online network: it moves"],
    ),
    "3.3 done": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, r, n, d | c),
        ["as older code's `done` was"],
        [LEAST],
    ),
    "3.3 four": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, r, n),
        ["five tensors", "it returns 4."],
        ["order"],
    ),
    "3.3 dict": (
        check.transition,
        lambda s, a, r, n, b, d, c: {"s": s},
        ["five tensors", "returns a dict."],
        ["order"],
    ),
    "3.3 d as numbers": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, r, n, d.float()),
        ["for d, your function must return truths (torch.bool), but it returns float32"],
        [LEAST, "bool numbers"],
    ),
    "3.3 s′ before r": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, n, r, d),
        ["Your s′ stands before your r"],
        [LEAST],
    ),
    "3.3 r before a": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, r, a, n, d),
        ["for a, your function must return int64 numbers", "Your r stands before your a"],
        [LEAST, "argmax"],
    ),
    "3.3 a as numbers": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a.double(), r, n, d),
        ["for a, your function must return int64 numbers, but it returns float64."],
        [LEAST, "Your r stands before", "argmax"],
    ),
    "3.3 column": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, r.unsqueeze(-1), n, d),
        ["for r,", "one axis too many"],
        ["order"],
    ),
    "3.3 NaN": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, r, n * math.nan, d),
        ["for s′, your answer con"],
        [],
    ),
    "3.3 if": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, r, b if d else n, d),
        [ONE_TRUTH],
        ["carry the agent back"],
    ),
    "3.3 reset where cut off": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, r, torch.where(c.unsqueeze(-1), b, n), d),
        [LEAST, "did we carry the agent back?"],
        [],
    ),
    "3.3 nothing after an end": (
        check.transition,
        lambda s, a, r, n, b, d, c: (s, a, r, ~d.unsqueeze(-1) * n, d),
        ["Even at an end, s′ is where the step led"],
        [LEAST],
    ),
    "3.4 in place": (
        check.polyak_step,
        lambda t, o, r: t.lerp_(o.detach(), r),
        ["your function changes target"],
        [LEAST],
    ),
    "3.4 no .detach()": (
        check.polyak_step,
        lambda t, o, r: t + r * (o - t),
        ["what you return carries a gradient", "cuts the tie"],
        [LEAST],
    ),
    "3.4 detach_": (
        check.polyak_step,
        lambda t, o, r: (1 - r) * t + r * o.detach_(),
        ["your function changes online", "whose name ends in _"],
        ["every earlier θ"],
    ),
    "3.4 step not added": (
        check.polyak_step,
        lambda t, o, r: r * (o - t),
        ["You return the step itself"],
        ["A quarter of the new"],
    ),
    "3.4 brackets": (
        check.polyak_step,
        lambda t, o, r: 1 - r * t + r * o.detach(),
        ["where are the brackets?"],
        [LEAST, "A quarter of the new"],
    ),
    "3.4 stands still": (check.polyak_step, lambda t, o, r: t, ["A quarter of the new"], [LEAST]),
    "4.1 .item()": (
        check.uniform_bias,
        lambda m, e, g: g * e.sum().item() * (m - 1) / (m + 1),
        ["is there an .item()?"],
        [],
    ),
    "4.1 whole future": (
        check.uniform_bias,
        lambda m, e, g: g * e * (m - 1) / (m + 1) / (1 - g),
        ["is there a division by 0?", "added up over a whole future"],
        [LEAST],
    ),
    "4.1 whole future after γ": (
        check.uniform_bias,
        lambda m, e, g: g / (1 - g) * e * (m - 1) / (m + 1),
        ["ZeroDivisionError", "You divide by 1 − γ"],
        [LEAST],
    ),
    "4.1 whole division": (
        check.uniform_bias,
        lambda m, e, g: g * e * ((m - 1) // (m + 1)),
        ["still 0 on average?"],
        [],
    ),
    "4.2 argmax": (
        check.double_value,
        lambda o, t: o.argmax(-1),
        ["whole numbers (int64)", "What is it worth, and who says so?"],
        [LEAST],
    ),
    "4.2 index": (check.double_value, lambda o, t: t[:, o.argmax(-1)], ["an index such as [:, best]"], []),
    "4.2 squeeze": (
        check.double_value,
        lambda o, t: t.gather(-1, o.argmax(-1, keepdim=True)).squeeze(),
        ["squeeze() removes every axis of length 1"],
        ["negative"],
    ),
    "4.2 arange": (
        check.double_value,
        lambda o, t: t[torch.arange(len(t)), o.argmax(-1)],
        ["torch.gather(-1, …) picks one for each row"],
        ["squeeze()"],
    ),
    "4.2 smallest of the tied": (
        check.double_value,
        lambda o, t: torch.where((o == o.amax(-1, keepdim=True)).sum(-1) > 1, t.amin(-1) - 1, judged(o, t)),
        ["Either of the two may be chosen, and here the target network says the same of both"],
        [LEAST, "only one of them"],
    ),
    "4.2 all tied": (
        check.double_value,
        lambda o, t: ((o == o.amax(-1, keepdim=True)) * t).sum(-1),
        ["argmax names one"],
        [LEAST],
    ),
    "4.3 axes from the front": (
        check.double_estimate,
        lambda x: judged(*(half.mean(0) for half in x.chunk(2, 0))),
        ["Where there are two runs", "−1 and −2"],
        [],
    ),
    "4.3 two samples choose": (
        check.double_estimate,
        lambda x: judged(x[..., :2, :].mean(-2), x[..., 2:, :].mean(-2)),
        ["your answer contains NaN"],
        [],
    ),
    "4.3 the best number": (
        check.double_estimate,
        lambda x: x.chunk(2, -2)[0].mean(-2).argmax(-1),
        ["What does the second half say that it pays?"],
        [LEAST],
    ),
    "4.4 a fraction": (
        check.needed_steps,
        lambda g, r, t: math.log(t * (1 - g) / r) / math.log(g),
        ["must return a whole number, but it returns 10.32"],
        [],
    ),
    "4.4 one reward": (
        check.needed_steps,
        lambda g, r, t: next(k for k in range(9_999) if g**k * r <= t),
        ["what is the sum of them?"],
        [LEAST],
    ),
    "4.4 sign": (
        check.needed_steps,
        lambda g, r, t: math.ceil(math.log(t * (1 - g) / r) / -math.log(g)),
        ["is negative where there is something to play"],
        ["count by hand"],
    ),
    "4.4 sign, clamped": (
        check.needed_steps,
        lambda g, r, t: max(0, math.ceil(math.log(r / (t * (1 - g)), g))),
        ["has 0 hidden a wrong sign?"],
        [LEAST, "count by hand"],
    ),
    "4.4 never plays": (
        check.needed_steps,
        lambda g, r, t: next(k for k in range(9_999) if g**k * r / (1 - g) >= min(t, r)),
        [LEAST, "In a loop: when does it stop?"],
        ["count by hand"],
    ),
    "4.4 size of the logarithm": (
        check.needed_steps,
        lambda g, r, t: abs(math.ceil(math.log(t * (1 - g) / r) / math.log(g))),
        ["Where the tolerance is larger than all that can come (you: 3,", "nobody can play a negative number"],
        [LEAST, "1/(1 − γ) steps"],
    ),
    "4.4 below": (
        check.needed_steps,
        lambda g, r, t: next(k for k in range(9_999) if g**k * r / (1 - g) < t),
        ["Is it ≤ or < in what was asked?"],
        [LEAST],
    ),
    "4.4 gives up": (
        check.needed_steps,
        lambda g, r, t: next((k for k in range(100) if g**k * r / (1 - g) <= t), None),
        ["Where γ is 0.99", RETURN],
        ["−log γ"],
    ),
    "5.1 matrix of V": (
        check.logit_gradient,
        lambda p, q, d: d[..., None] * p * (q - (p * q).sum(-1)),
        ["one number a row, (S, 1), beside tables of (S, A)"],
        [LEAST],
    ),
    "5.1 best action's value, and no visits": (
        check.logit_gradient,
        lambda p, q, d: p * (q - q.amax(-1, keepdim=True)),
        [LEAST, "You compare Q with the largest of the row"],
        [],
    ),
    "5.1 Q, and no visits": (
        check.logit_gradient,
        lambda p, q, d: p * q,
        [LEAST, "Your gradient has Q where (5.5) has the advantage"],
        [],
    ),
    "5.1 A alone": (
        check.logit_gradient,
        lambda p, q, d: q - (p * q).sum(-1, keepdim=True),
        [LEAST, "weighs all actions alike"],
        [],
    ),
    "5.1 visits as they come": (
        check.logit_gradient,
        lambda p, q, d: d * p * (q - (p * q).sum(-1, keepdim=True)),
        ["Your visits lie along the actions"],
        [],
    ),
    "5.1 axis 1": (
        check.logit_gradient,
        lambda p, q, d: d[..., None] * p * (q - (p * q).sum(1, keepdim=True)),
        ["Where two runs stand in front", LEAST, "Your V adds up a column"],
        [],
    ),
    "5.1 summed": (check.logit_gradient, lambda p, q, d: d * (p * q).sum(-1), ["but (1, 2) is expected"], [LEAST]),
    "5.1 towards the greedy policy": (
        check.logit_gradient,
        lambda p, q, d: d[..., None] * (torch.nn.functional.one_hot(q.argmax(-1), q.shape[-1]) - p),
        ["V is 5, the average of Q under π"],
        [LEAST],
    ),
    "5.1 divided by π": (
        check.logit_gradient,
        lambda p, q, d: d[..., None] * (q - (p * q).sum(-1, keepdim=True)) / p,
        ["V is 5, the average of Q under π"],
        [LEAST],
    ),
    "5.2 one return": (
        check.reinforce_weight,
        lambda r, b, g: (powers(r, g) * r).sum(-1) - b,
        [LEAST, "Every action gets the return from the start"],
        [],
    ),
    "5.2 no γ^t and no baseline": (
        check.reinforce_weight,
        lambda r, b, g: to_go(r, g),
        [LEAST, "The baseline is what takes most of the noise out of it"],
        [],
    ),
    "5.2 baseline added, no γ^t": (
        check.reinforce_weight,
        lambda r, b, g: to_go(r, g) + b,
        [LEAST, "You add the baseline to the return"],
        [],
    ),
    "5.2 A2C": (check.reinforce_weight, lambda r, b, g: to_go(r, g) - b, ["Your weights are those of A2C"], [LEAST]),
    "5.2 only what is better": (
        check.reinforce_weight,
        lambda r, b, g: (powers(r, g) * (to_go(r, g) - b)).clamp(min=0),
        ["by how much the return was better, or worse"],
        [LEAST],
    ),
    "5.2 divided by γ^t": (
        check.reinforce_weight,
        lambda r, b, g: powers(r, g) * ((powers(r, g) * r).flip(-1).cumsum(-1).flip(-1) / powers(r, g) - b),
        ["Where γ is 0: your answer contains NaN", "γ⁰ is 1 whatever γ is"],
        [LEAST],
    ),
    "5.2 mean return for a baseline": (
        check.reinforce_weight,
        lambda r, b, g: powers(r, g) * (to_go(r, g) - to_go(r, g).mean(-1, keepdim=True)),
        ["what it earned, less what was to be expected"],
        [LEAST],
    ),
    "5.2 first axis": (
        check.reinforce_weight,
        lambda r, b, g: (to_go(r.mT, g).mT - b) if r.dim() > 1 else powers(r, g) * (to_go(r, g) - b),
        ["Where two runs of three episodes stand in front", "Time is the last axis"],
        [LEAST],
    ),
    "5.2 one number": (check.reinforce_weight, lambda r, b, g: (r - b).sum(-1), ["but (1,) is expected"], [LEAST]),
    "5.2 a list": (check.reinforce_weight, lambda r, b, g: r.tolist(), ["but it returns a list"], [LEAST]),
    "5.3 done": (
        check.piece_return,
        piece_of(mask=lambda d, c: ~(d | c)),
        ["and a time limit cuts the episode off", "That is our limit, not the world's"],
        [LEAST],
    ),
    "5.3 rewards alone": (
        check.piece_return,
        piece_of(last=False, mask=lambda d, c: ~(d | c)),
        ["You add up rewards alone"],
        [LEAST],
    ),
    "5.3 nothing after the piece": (
        check.piece_return,
        piece_of(last=False),
        ["After the last step of the piece you count nothing"],
        [LEAST],
    ),
    "5.3 one step": (check.piece_return, lambda r, d, c, v, n, g: r + g * ~d * n, ["after every single step"], [LEAST]),
    "5.3 one step, no mask": (
        check.piece_return,
        lambda r, d, c, v, n, g: r + g * n,
        ["Nothing comes after a terminal step"],
        [LEAST],
    ),
    "5.3 no mask": (
        check.piece_return,
        piece_of(cut=lambda d, c: d | c, mask=lambda d, c: d | ~d),
        ["You ask the critic what a terminal state is worth"],
        [LEAST],
    ),
    "5.3 wrong flag": (
        check.piece_return,
        piece_of(mask=lambda d, c: ~c),
        [LEAST, "nobody where the clock cut it off"],
        [],
    ),
    "5.3 runs on": (
        check.piece_return,
        piece_of(cut=lambda d, c: d & c),
        ["your return runs on into the next one"],
        [LEAST],
    ),
    "5.3 values shifted by one": (
        check.piece_return,
        lambda r, d, c, v, n, g: piece_of()(r, d, c, v, shifted(v, n), g),
        ["The agent was carried to a new start before that"],
        [LEAST],
    ),
    "5.3 values shifted by one, the last one repeated": (
        check.piece_return,
        lambda r, d, c, v, n, g: piece_of()(r, d, c, v, shifted(v, v), g),
        [LEAST, "You end with V(s_t)"],
        [],
    ),
    "5.3 advantage, and done": (
        check.piece_return,
        lambda r, d, c, v, n, g: piece_of(mask=lambda d, c: ~(d | c))(r, d, c, v, n, g) - v,
        [LEAST, "Yours is the advantage of (5.9)"],
        [],
    ),
    "5.3 half of each": (
        check.piece_return,
        lambda r, d, c, v, n, g: (piece_of()(r, d, c, v, n, g) + r + g * ~d * n) / 2,
        ["Where four steps of one episode are a piece", "Go backwards"],
        [LEAST],
    ),
    "5.3 if": (
        check.piece_return,
        lambda r, d, c, v, n, g: r if d else r + g * n,
        [ONE_TRUTH],
        [LEAST],
    ),
    "5.3 V on top": (
        check.piece_return,
        lambda r, d, c, v, n, g: piece_of()(r, d, c, v, n, g) + n,
        ["the critic says what is to come from the state that was reached"],
        [LEAST],
    ),
    "5.4 uphill, and through the advantage": (
        check.actor_loss,
        lambda z, a, adv, b: (picked(z, a) * adv).mean(-1) - b * spread(z).mean(-1),
        [LEAST, "Descending your loss makes good actions rarer"],
        [],
    ),
    "5.4 objective": (
        check.actor_loss,
        lambda z, a, adv, b: (picked(z, a) * adv.detach() + b * spread(z)).mean(-1),
        ["You return the objective"],
        [LEAST],
    ),
    "5.4 a classifier's loss": (
        check.actor_loss,
        lambda z, a, adv, b: cross_entropy(z, a) - b * spread(z).mean(-1),
        [LEAST, "the policy imitates itself"],
        [],
    ),
    "5.4 column meets row": (
        check.actor_loss,
        lambda z, a, adv, b: (
            -(torch.log_softmax(z, -1).gather(-1, a.unsqueeze(-1)) * adv.detach()).mean() - b * spread(z).mean()
        ),
        [LEAST, "A column of log-probabilities, (B, 1), met a row of advantages"],
        [],
    ),
    "5.4 all pairs by an index": (
        check.actor_loss,
        lambda z, a, adv, b: -(torch.log_softmax(z, -1)[:, a] * adv.detach()).mean() - b * spread(z).mean(),
        ["The log-probability of the action that was taken is multiplied by its advantage"],
        [LEAST],
    ),
    "5.4 arange": (
        check.actor_loss,
        lambda z, a, adv, b: (
            -(torch.log_softmax(z, -1)[torch.arange(len(a)), a] * adv.detach()).mean(-1) - b * spread(z).mean(-1)
        ),
        ["Where two runs stand in front", "One loss a run is wanted"],
        [LEAST],
    ),
    "5.4 not averaged": (
        check.actor_loss,
        lambda z, a, adv, b: -picked(z, a) * adv - b * spread(z),
        ["which axis must vanish?"],
        [LEAST, "keepdim"],
    ),
    "5.4 .item()": (
        check.actor_loss,
        lambda z, a, adv, b: (-(picked(z, a) * adv).mean(-1) - b * spread(z).mean(-1)).item(),
        ["is there an .item()?"],
        [LEAST],
    ),
    "5.4 probabilities, and no bonus": (
        check.actor_loss,
        lambda z, a, adv, b: -(picked(z, a).exp() * adv.detach()).mean(-1),
        [LEAST, "not by log π"],
        [],
    ),
    "5.4 mean entropy of an action": (
        check.actor_loss,
        lambda z, a, adv, b: -(picked(z, a) * adv.detach()).mean(-1) - b * spread(z).mean(-1) / z.shape[-1],
        ["Where all advantages are 0", "the mean over the batch of H = −Σ π log π"],
        [LEAST],
    ),
    "5.4 nothing is remembered": (
        check.actor_loss,
        torch.no_grad()(lesson_05._actor_loss),
        ["carries no gradient", "no gradient reaches the logits"],
        [LEAST],
    ),
    "5.4 through the advantage": (
        check.actor_loss,
        lambda z, a, adv, b: -(picked(z, a) * adv).mean(-1) - b * spread(z).mean(-1),
        ["Where the loss is differentiated by the advantage", "In (5.10) Â is a number"],
        [LEAST],
    ),
    "5.5 broadcast as it comes": (
        check.pathwise_objective,
        lambda f, m, k, x: f(m + k.exp() * x).mean(-1),
        ["Where two runs of three draws", "which axis is missing, and where?"],
        [LEAST],
    ),
    "5.5 .rsample()": (
        check.pathwise_objective,
        lambda f, m, k, x: f(torch.distributions.Normal(m, k.exp()).rsample((3,))).mean(-1),
        [LEAST, "You draw noise of your own"],
        [],
    ),
    "5.5 .sample() and the wrong scale": (
        check.pathwise_objective,
        lambda f, m, k, x: f(torch.distributions.Normal(m, softplus(k)).sample((3,))).mean(-1),
        ["Is ξ the noise that you were given?"],
        [LEAST],
    ),
    "5.5 nothing is remembered": (
        check.pathwise_objective,
        torch.no_grad()(lesson_05._pathwise_objective),
        ["Where the objective is differentiated by μ", "those of .sample() have"],
        [LEAST],
    ),
    "5.5 softplus": (
        check.pathwise_objective,
        lambda f, m, k, x: f(m.unsqueeze(-2) + softplus(k).unsqueeze(-2) * x).mean(-1),
        ["Where σ is 1", "log σ is 0, so that a = μ + ξ"],
        [LEAST],
    ),
    "5.5 one noise for all dimensions": (
        check.pathwise_objective,
        lambda f, m, k, x: f(drawn(m, k, x[..., :1])).mean(-1),
        ["each dimension with its own noise"],
        [LEAST],
    ),
    "5.5 a loss, and log σ": (
        check.pathwise_objective,
        lambda f, m, k, x: -f(m.unsqueeze(-2) + k.unsqueeze(-2) * x).mean(-1),
        [LEAST, "You return a loss, with a minus"],
        [],
    ),
    "5.5 variance, and detached": (
        check.pathwise_objective,
        lambda f, m, k, x: f(drawn(m, 2 * k, x).detach()).mean(-1),
        [LEAST, "You multiply the noise by σ²"],
        [],
    ),
    "5.5 not averaged": (
        check.pathwise_objective,
        lambda f, m, k, x: f(drawn(m, k, x)),
        ["which axis must vanish?"],
        [LEAST],
    ),
    "5.5 first axis": (
        check.pathwise_objective,
        lambda f, m, k, x: f(drawn(m, k, x)).mean(0),
        ["your answer has the shape (3,), but (2,) is expected"],
        [LEAST],
    ),
    "5.6 pair": (check.td3_target, td3(pick=lambda q: q.min(0)), ["Is there a pair (values, indices)"], [LEAST]),
    "5.6 Python's min": (check.td3_target, td3(pick=lambda q: min(q[0], q[1])), [ONE_TRUTH], [LEAST]),
    "5.6 larger, and no mask": (
        check.td3_target,
        td3(pick=lambda q: q.amax(0), mask=lambda d: 1),
        [LEAST, "You believe the higher of the two critics"],
        [],
    ),
    "5.6 DDPG": (
        check.td3_target,
        td3(pick=lambda q: q[0], act=lambda a, x, c: a),
        [LEAST, "as DDPG does, (5.20)"],
        [],
    ),
    "5.6 mean, and online actor": (
        check.td3_target,
        td3(pick=lambda q: q.mean(0), ask=lambda o, t: (o, t)),
        [LEAST, "You average the two critics"],
        [],
    ),
    "5.6 sum": (
        check.td3_target,
        td3(pick=lambda q: q.sum(0)),
        ["Where there is no noise, and all critics agree", "the reward plus γ times it"],
        [LEAST],
    ),
    "5.6 online, without noise": (
        check.td3_target,
        td3(act=lambda a, x, c: a, ask=lambda o, t: (o, o)),
        [LEAST, "asks the online networks throughout"],
        [],
    ),
    "5.6 noise after the clip": (
        check.td3_target,
        td3(act=lambda a, x, c: a.clamp(-1, 1) + x.clamp(-c, c)),
        ["Where the noise leads out of the action space", "(5.21) has two clips"],
        [LEAST],
    ),
    "5.6 tanh": (
        check.td3_target,
        td3(act=lambda a, x, c: torch.tanh(a + x.clamp(-c, c))),
        ["The actor says what it would do in s′"],
        [LEAST],
    ),
    "5.6 own noise": (
        check.td3_target,
        td3(act=lambda a, x, c: both_clips(a, torch.randn_like(a), c)),
        ["Is ξ the noise that you were given?"],
        [LEAST],
    ),
    "5.6 noise upwards": (
        check.td3_target,
        td3(act=lambda a, x, c: (a + x.clamp(0, c)).clamp(-1, 1)),
        ["The noise smears the action in s′ before it is judged"],
        [LEAST],
    ),
    "5.6 neither γ nor mask": (
        check.td3_target,
        td3(mask=lambda d: 1, factor=4 / 3),
        [LEAST, "Your target does not discount"],
        [],
    ),
    "5.6 both critics": (check.td3_target, td3(pick=lambda q: q), ["your answer has the shape (2, 3)"], [LEAST]),
    "5.6 worst of the batch": (
        check.td3_target,
        td3(pick=lambda q: q.amin((0, -1), keepdim=True).squeeze(0)),
        [LEAST, "You take one minimum of everything"],
        [],
    ),
    "6.1 log": (
        check.soft_policy_value,
        lambda q, p, t: (p * (q - t * p.log())).sum(-1),
        ["Where an action is never taken", "contains NaN", "An action that is never taken adds nothing"],
        [LEAST],
    ),
    "6.1 sign": (
        check.soft_policy_value,
        lambda q, p, t: (p * (q + t * p.log())).sum(-1),
        [LEAST, "entropy is charged for, not paid"],
        ["NaN"],
    ),
    "6.1 minus H": (
        check.soft_policy_value,
        lambda q, p, t: (p * q).sum(-1) - t * entropy(p),
        ["entropy is charged for, not paid"],
        [LEAST],
    ),
    "6.1 log2": (
        check.soft_policy_value,
        lambda q, p, t: (p * (q - t * p.log2())).sum(-1),
        ["(you: 1, expected: 0.6931)", "Your entropy is in bits"],
        ["NaN"],
    ),
    "6.1 a large ε in the logarithm": (
        check.soft_policy_value,
        lambda q, p, t: (p * (q - t * (p + 1e-3).log())).sum(-1),
        ["(you: 0.6911, expected: 0.6931)", "it is log 2 = 0.693"],
        [LEAST],
    ),
    "6.1 not weighted": (
        check.soft_policy_value,
        lambda q, p, t: (p * q).sum(-1) - t * p.clamp(min=1e-30).log().mean(-1),
        ["H is the average surprise, (6.1): with which weights?"],
        [LEAST],
    ),
    "6.1 entropy of a softmax": (
        check.soft_policy_value,
        lambda q, p, t: soft(q, torch.softmax(p, -1), t),
        ["each Q with the weight π(a|s)"],
        [LEAST],
    ),
    "6.1 not summed": (
        check.soft_policy_value,
        lambda q, p, t: p * q + t * torch.special.entr(p),
        ["(), one number,", "which axis must vanish?"],
        [TABLE],
    ),
    "6.1 axis 1": (
        check.soft_policy_value,
        lambda q, p, t: (p * q + t * torch.special.entr(p)).sum(1),
        ["Count the axis from the end: -1."],
        ["nothing is paid"],
    ),
    "6.1 .item()": (check.soft_policy_value, lambda q, p, t: soft(q, p, t).sum().item(), ["is there an .item()?"], []),
    "6.2 1 − d": (check.soft_target, lambda r, d, p, n, q, t, g: r + g * (1 - d) * soft(q, n, t), ["`~`"], [LEAST]),
    "6.2 not d": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + g * (not d) * soft(q, n, t),
        [ONE_TRUTH],
        ["expected SARSA"],
    ),
    "6.2 both conventions": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + t * entropy(p) + g * ~d * soft(q, n, t),
        ["would now be paid twice"],
        [LEAST],
    ),
    "6.2 the other convention": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + t * entropy(p) + g * ~d * (n * q).sum(-1),
        ["That is the target of Q₊"],
        [LEAST],
    ),
    "6.2 paid after the end": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + g * torch.where(d, t * entropy(n), soft(q, n, t)),
        ["the mask stands before Q, but not before H"],
        [LEAST],
    ),
    "6.2 undiscounted": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + ~d * (t * entropy(n) + g * (n * q).sum(-1)),
        ["Your entropy is not discounted"],
        [LEAST],
    ),
    "6.2 log": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + g * ~d * (n * (q - t * n.log())).sum(-1),
        ["Where an action is never taken", "Did your function of exercise 6.1 know that?"],
        [LEAST],
    ),
    "6.2 mask outside, log": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: ~d * (r + g * (n * (q - t * n.log())).sum(-1)),
        ["Where two of three episodes end", LEAST, "loses the reward of the step that ends"],
        ["NaN"],
    ),
    "6.2 Q averaged in s, entropy in s′": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + g * ~d * ((p * q).sum(-1) + t * entropy(n)),
        [LEAST, "Q(s′, ·) is averaged over the actions that will be taken in s′"],
        [],
    ),
    "6.2 column": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + g * ~d * (n * q + t * torch.special.entr(n)).sum(-1, keepdim=True),
        [TABLE, "(B, 1) met (B,)"],
        [LEAST],
    ),
    "6.2 α and γ swapped": (
        check.soft_target,
        lambda r, d, p, n, q, t, g: r + t * ~d * soft(q, n, g),
        [LEAST, "Rewards to come are worth what they are"],
        [],
    ),
    "6.3 log sum exp": (
        check.soft_value,
        lambda q, t: t * (q / t).exp().sum(-1).log(),
        ["Where α is 1/1000", "the computer's numbers end too early for it"],
        [LEAST],
    ),
    "6.3 clamped": (
        check.soft_value,
        lambda q, t: t * (q / t).clamp(max=700).exp().sum(-1).log(),
        ["Where α is 1/1000 (you: 0.7011, expected: 3)", "what can be taken out of the sum"],
        [LEAST],
    ),
    "6.3 mean taken out": (
        check.soft_value,
        lambda q, t: q.mean(-1) + t * ((q - q.mean(-1, keepdim=True)) / t).exp().sum(-1).log(),
        ["Where α is 1/1000", "what can be taken out of the sum"],
        [LEAST],
    ),
    "6.3 largest of all": (
        check.soft_value,
        lambda q, t: q.max() + t * ((q - q.max()) / t).exp().sum(-1).log(),
        ["Where one state is worth much more", "whose largest value must it be?"],
        [LEAST],
    ),
    "6.3 taken out above 0 only": (
        check.soft_value,
        lambda q, t: q.amax(-1).clamp(min=0) + t * ((q - q.amax(-1, True).clamp(min=0)) / t).exp().sum(-1).log(),
        ["Where all values lie below −2000", "The same remedy helps as against large numbers"],
        [LEAST],
    ),
    "6.3 largest, α lost": (
        check.soft_value,
        lambda q, t: q.amax(-1) + ((q - q.amax(-1, keepdim=True)) / t).exp().sum(-1).log(),
        ["Where α is 4", "α stands in (6.14) twice"],
        [LEAST],
    ),
    "6.3 column": (
        check.soft_value,
        lambda q, t: t * torch.logsumexp(q / t, -1, keepdim=True),
        ["there is one axis too many; look for keepdim=True"],
        ["tosses a coin"],
    ),
    "6.3 policy": (check.soft_value, lambda q, t: torch.softmax(q / t, -1), ["which axis must vanish?"], []),
    "6.3 earnings": (
        check.soft_value,
        lambda q, t: (torch.softmax(q / t, -1) * q).sum(-1),
        ["without its entropy"],
        [LEAST],
    ),
    "6.3 math": (
        check.soft_value,
        lambda q, t: t * math.log(sum(math.exp(x / t) for x in q.flatten())),
        ["is there an .item()?"],
        [],
    ),
    "6.4 quotient": (
        check.boltzmann_divergence,
        lambda q, p, t: (p * (p / torch.softmax(q / t, -1)).log()).sum(-1),
        ["Where an action is never taken: your answer contains NaN", "cannot be held against it"],
        [LEAST],
    ),
    "6.4 kl_div the wrong way": (
        check.boltzmann_divergence,
        lambda q, p, t: torch.nn.functional.kl_div(p.log(), torch.softmax(q / t, -1), reduction="none").sum(-1),
        ["that is KL(B ‖ π)"],
        [LEAST],
    ),
    "6.4 no Z": (
        check.boltzmann_divergence,
        lambda q, p, t: (p * (p.log() - q / t)).sum(-1),
        [LEAST, "which does not sum to 1"],
        ["NaN"],
    ),
    "6.4 an actor's loss": (
        check.boltzmann_divergence,
        lambda q, p, t: -soft(q, p, t),
        ["a network will be trained on it later"],
        [LEAST],
    ),
    "6.4 Z as a mean": (
        check.boltzmann_divergence,
        lambda q, p, t: (torch.xlogy(p, p) - p * q / t).sum(-1) + (q / t).exp().mean(-1).log(),
        ["Your Z is the mean of exp(Q/α)"],
        ["does not depend on Q"],
    ),
    "6.4 small numbers added": (
        check.boltzmann_divergence,
        lambda q, p, t: (p * ((p + 1e-9).log() - (torch.softmax(q / t, -1) + 1e-9).log())).sum(-1),
        ["Where B is too small", "torch.log_softmax never makes the detour"],
        [LEAST],
    ),
    "6.4 gap": (
        check.boltzmann_divergence,
        lambda q, p, t: t * torch.logsumexp(q / t, -1) - soft(q, p, t),
        ["Yours is the gap of (6.16)"],
        [LEAST],
    ),
    "6.4 one number": (
        check.boltzmann_divergence,
        lambda q, p, t: (torch.xlogy(p, p) - p * torch.log_softmax(q / t, -1)).sum(),
        ["Where there are three states", "adds the divergences of all states"],
        [LEAST],
    ),
    "6.5 hard": (
        check.soft_policy_iteration,
        in_rounds(lambda m, p, t: policy_q(m, p)),
        ["improved by a Q without entropy"],
        [LEAST],
    ),
    "6.5 Q of the first policy for ever": (
        check.soft_policy_iteration,
        lambda m, p, t: [torch.softmax(q / t, -1) for q in 9 * [policy_q(m, p, t)]][-1],
        ["improved it once"],
        [LEAST],
    ),
    "6.5 five rounds": (
        check.soft_policy_iteration,
        in_rounds(rounds=5),
        ["Where the first policy always walks away", "When may one stop?"],
        [LEAST],
    ),
    "6.5 argmax": (
        check.soft_policy_iteration,
        in_rounds(improve=lambda q, t: torch.nn.functional.one_hot(q.argmax(-1), q.shape[-1]).double()),
        [LEAST, "Your improvement is greedy"],
        [],
    ),
    "6.5 softmax over states": (
        check.soft_policy_iteration,
        in_rounds(improve=lambda q, t: torch.softmax(q / t, 0)),
        ["raised ValueError: policy must be non-negative and sum to 1 in every state"],
        ["Nothing follows"],
    ),
    "6.5 in place": (
        check.soft_policy_iteration,
        lambda m, p, t: p.copy_(in_rounds()(m, p, t)),
        ["your function changes policy"],
        [LEAST],
    ),
    "6.5 hard Q*": (
        check.soft_policy_iteration,
        lambda m, p, t: torch.softmax(optimal_q(m) / t, -1),
        ["Where one of two equally good actions", LEAST, "improved by a Q without entropy"],
        [],
    ),
    "6.5 V of another policy": (
        check.soft_policy_iteration,
        in_rounds(improve=lambda q, t: ((q - q.amax(-1, keepdim=True)) / t).exp()),
        ["raised ValueError: policy must be non-negative and sum to 1"],
        [LEAST],
    ),
    "6.6 clip and divide": (
        check.floored_policy,
        lambda p, f: p.clamp(min=f) / p.clamp(min=f).sum(-1, keepdim=True),
        ["it falls below the floor again"],
        [LEAST],
    ),
    "6.6 twice": (
        check.floored_policy,
        lambda p, f: clip_and_divide(clip_and_divide(p, f), f),
        ["Where one action lies below the floor", "the others must pay for it, each in proportion"],
        [LEAST],
    ),
    "6.6 one pass": (
        check.floored_policy,
        lambda p, f: torch.where(
            p < f, f, p * (1 - f * (p < f).sum(-1, keepdim=True)) / (p * (p >= f)).sum(-1, keepdim=True)
        ),
        ["Where an action is pushed below the floor by what the others need", "are you done?"],
        [LEAST],
    ),
    "6.6 if": (
        check.floored_policy,
        lambda p, f: p if p.min() >= f else (1 - p.shape[-1] * f) * p + f,
        [LEAST, "a mixture of B and the uniform policy"],
        [],
    ),
    "6.6 shares": (
        check.floored_policy,
        lambda p, f: torch.where(p < f, f, p * (1 - (f - p).clamp(min=0).sum(-1, keepdim=True))),
        ["the others must pay for it, each in proportion"],
        [LEAST],
    ),
    "6.6 equal shares": (
        check.floored_policy,
        lambda p, f: torch.where(
            p < f, f, p - (f - p).clamp(min=0).sum(-1, keepdim=True) / (p >= f).sum(-1, keepdim=True)
        ),
        [LEAST, "the nearest policy by the sum of squares"],
        [],
    ),
    "6.6 not a thought of 0/0": (
        check.floored_policy,
        lambda p, f: one_after_the_other(p, f) + 0 * (p / p.masked_fill(one_after_the_other(p, f) <= f, 0)).sum(),
        ["your answer contains NaN"],
        ["Python"],
    ),
    "6.7 uniform": (
        check.hottest_policy,
        lambda r, c, g: torch.full(r.shape, 1 / r.shape[-1], dtype=torch.float64),
        ["the most entropy *in this step*"],
        [LEAST],
    ),
    "6.7 a temperature of 100": (
        check.hottest_policy,
        lambda r, c, g: torch.softmax(hot(r, c, g, 2_000, scale=0.01), -1),
        ["Your temperature is large, but it is one"],
        [LEAST],
    ),
    "6.7 a temperature of 1000": (
        check.hottest_policy,
        lambda r, c, g: torch.softmax(hot(r, c, g, 2_000, scale=0.001), -1),
        ["Where the action that ends the episode pays 10", "What is 10/α then?"],
        [LEAST],
    ),
    "6.7 forty sweeps": (
        check.hottest_policy,
        lambda r, c, g: torch.softmax(hot(r, c, g, 40), -1),
        ["Where it is the crossing", "is h still growing when you stop?"],
        [LEAST],
    ),
    "6.7 two hundred sweeps": (
        check.hottest_policy,
        lambda r, c, g: torch.softmax(hot(r, c, g, 200), -1),
        ["and γ is 0.97", "(1.14) says how many sweeps such a γ takes"],
        [LEAST],
    ),
    "6.7 γ lost": (
        check.hottest_policy,
        lambda r, c, g: torch.softmax(c @ torch.logsumexp(hot(r, c, g, 2_000), -1), -1),
        ["takes what follows undiscounted"],
        [],
    ),
    "6.7 h": (
        check.hottest_policy,
        lambda r, c, g: torch.logsumexp(hot(r, c, g, 900), -1),
        ["but (1, 2) is expected"],
        [],
    ),
    "7.1 not summed": (
        check.squashed_log_density,
        lambda m, k, x: lesson_07._normal(m, k, x) - slope_of_tanh(m, k, x),
        ["(1, 1), but (1,) is expected", "or for a last axis that was to vanish"],
        [LEAST],
    ),
    "7.1 axis 1": (
        check.squashed_log_density,
        lambda m, k, x: (lesson_07._normal(m, k, x) - slope_of_tanh(m, k, x)).sum(1),
        ["count it from the end, as -1"],
        [LEAST],
    ),
    "7.1 TransformedDistribution": (
        check.squashed_log_density,
        asked_of_torch,
        ["Where u is 20, or −20: your answer contains NaN", "without taking anything from 1"],
        [LEAST],
    ),
    "7.1 density of a": (
        check.squashed_log_density,
        lambda m, k, x: squashed(m, k, ((m + k.exp() * x).tanh() - m) / k.exp(), lambda u: 0 * u),
        ["Where u is 1", "divides by 1 − tanh² u"],
        ["Your density is as high for a narrow Gaussian"],
    ),
    "7.1 density of a, naive Jacobian": (
        check.squashed_log_density,
        lambda m, k, x: (
            lesson_07._normal(m, k, ((m + k.exp() * x).tanh() - m) / k.exp()).sum(-1)
            - (1 - (m + k.exp() * x).tanh().square()).log().sum(-1)
        ),
        [LEAST, "You ask the Gaussian about a"],
        [],
    ),
    "7.1 its own noise": (
        check.squashed_log_density,
        lambda m, k, x: squashed(m, k, torch.distributions.Normal(0 * m, 1 + 0 * k).rsample(), lambda u: 0 * u),
        ["a normal density at its mean"],
        ["narrow"],
    ),
    "7.1 sampled": (
        check.squashed_log_density,
        lambda m, k, x: by_the_distribution(m, k, torch.randn(x.shape, dtype=x.dtype)),
        ["You draw noise yourself"],
        [LEAST],
    ),
    "7.1 softplus of 2u": (
        check.squashed_log_density,
        lambda m, k, x: squashed(m, k, x, lambda u: 2 * (math.log(2) - u - softplus(2 * u))),
        ["What does softplus get in (7.14)?"],
        [LEAST],
    ),
    "7.1 action clipped": (
        check.squashed_log_density,
        lambda m, k, x: squashed(m, k, x, lambda u: (1 - u.tanh().clamp(-1 + 1e-6, 1 - 1e-6).square()).log()),
        ["Where u is 8", "What was done to it so that it can't be 0?"],
        [LEAST],
    ),
    "7.1 in place": (
        check.squashed_log_density,
        lambda m, k, x: squashed(m, k.exp_().log(), x, lambda u: 0 * u),
        ["your function changes log_std"],
        [LEAST],
    ),
    "7.1 two results": (
        check.squashed_log_density,
        lambda m, k, x: ((m + k.exp() * x).tanh(), by_the_distribution(m, k, x)),
        ["must return a tensor, but it returns a tuple"],
        [LEAST],
    ),
    "7.2 min": (
        check.sac_target,
        lambda r, d, q, lp, t, g: (r + g * ~d * (q.min(0) - t * lp)).detach(),
        ["Is there a pair (values, indices)"],
        [LEAST],
    ),
    "7.2 Python's min": (
        check.sac_target,
        lambda r, d, q, lp, t, g: (r + g * ~d * (min(q) - t * lp)).detach(),
        [ONE_TRUTH],
        [LEAST],
    ),
    "7.2 minimum over the batch": (
        check.sac_target,
        lambda r, d, q, lp, t, g: (r + g * ~d * (q.amin(-1) - t * lp)).detach(),
        ["Two shapes met that don't belong together"],
        [LEAST],
    ),
    "7.2 no minimum": (
        check.sac_target,
        lambda r, d, q, lp, t, g: (r + g * ~d * (q - t * lp)).detach(),
        ["(2, 3), but (3,) is expected: there is one axis too many, in front"],
        [LEAST, TABLE],
    ),
    "7.2 α with one axis more": (
        check.sac_target,
        lambda r, d, q, lp, t, g: (r + g * ~d * (q.amin(0) - t.unsqueeze(-1) * lp)).detach(),
        ["one axis too many, in front"],
        [LEAST],
    ),
    "7.2 .item()": (
        check.sac_target,
        lambda r, d, q, lp, t, g: (r + g * ~d * (q.amin(0) - t.item() * lp)).detach(),
        ["Where three runs of four transitions", "α is (R, 1), so that it meets every transition of its run"],
        [LEAST],
    ),
    "7.2 entropy outside": (
        check.sac_target,
        lambda r, d, q, lp, t, g: (r + g * ~d * q.amin(0) - t * lp).detach(),
        ["Your entropy stands beside the reward"],
        [LEAST],
    ),
    "7.2 half detached": (
        check.sac_target,
        lambda r, d, q, lp, t, g: r + g * ~d * (q.amin(0).detach() - t * lp),
        ["what you return carries a gradient"],
        [LEAST],
    ),
    "7.3 a column": (
        check.twin_loss,
        lambda q, y: ((q[0] - y) ** 2).mean() / 2 + ((q[1] - y) ** 2).mean() / 2,
        [LEAST, "A column of values, (B, 1), met a row of answers"],
        [],
    ),
    "7.3 target may move": (
        check.twin_loss,
        lambda q, y: ((q.squeeze(-1) - y) ** 2).mean(-1).sum(0) / 2,
        ["Who descends your loss may also move the answers"],
        [LEAST],
    ),
    "7.3 axis 1": (
        check.twin_loss,
        lambda q, y: (q.squeeze(-1) - y.detach()).square().mean(1).sum(0) / 2,
        ["the critics vanish, the batch vanishes, the runs stay"],
        [LEAST],
    ),
    "7.3 a loss a critic": (
        check.twin_loss,
        lambda q, y: (q.squeeze(-1) - y.detach()).square().mean(-1) / 2,
        ["(2,), but (), one number, is expected", "which axis must vanish?"],
        [LEAST],
    ),
    "7.3 not remembered": (
        check.twin_loss,
        torch.no_grad()(lambda q, y: (q.squeeze(-1) - y).square().mean(-1).sum(0) / 2),
        ["carries no gradient", "What must be cut off, Q or y?"],
        [LEAST],
    ),
    "7.4 α after the mean": (
        check.soft_actor_loss,
        lambda lp, q, t: t * lp.mean(-1) - q.amin(0).mean(-1),
        ["You average before α comes in"],
        [LEAST],
    ),
    "7.4 weighted": (
        check.soft_actor_loss,
        lambda lp, q, t: (lp.exp() * (t * lp - q.amin(0))).mean(-1),
        ["You multiply everything by the density"],
        ["with which sign"],
    ),
    "7.4 not averaged": (
        check.soft_actor_loss,
        lambda lp, q, t: t * lp - q.amin(0),
        ["which axis must vanish?"],
        [LEAST],
    ),
    "7.4 Q not remembered": (
        check.soft_actor_loss,
        lambda lp, q, t: (t * lp - torch.no_grad()(torch.amin)(q, 0)).mean(-1),
        ["the actor can't hear where Q rises"],
        [LEAST],
    ),
    "7.4 minimum of the means": (
        check.soft_actor_loss,
        lambda lp, q, t: (t * lp).mean(-1) - q.mean(-1).amin(0),
        ["You choose one critic for the whole batch"],
        [LEAST],
    ),
    "7.4 nothing carries a gradient": (
        check.soft_actor_loss,
        lambda lp, q, t: (t * lp - q.amin(0)).mean(-1).detach(),
        ["carries no gradient", "Is the way from the loss back to log π open?"],
        [LEAST],
    ),
    "7.5 (7.9) by u in place of a": (
        check.pathwise_gradient,
        lambda m, k, x, q, t: torch.stack(
            (
                t * x / k.exp()
                + (t * (2 * (m + k.exp() * x).tanh() - x / k.exp()) - q) * (1 - (m + k.exp() * x).tanh() ** 2),
                by_hand(m, k, x, q, t)[..., 1],
            ),
            -1,
        ),
        [LEAST, "2 tanh u is the derivative by u already"],
        [],
    ),
    "7.5 stacked in front": (
        check.pathwise_gradient,
        lambda m, k, x, q, t: torch.stack(by_hand(m, k, x, q, t).unbind(-1)),
        ["Your two derivatives stand on a new first axis"],
        [LEAST],
    ),
    "7.5 a pair": (
        check.pathwise_gradient,
        lambda m, k, x, q, t: by_hand(m, k, x, q, t).unbind(-1),
        ["must return a tensor, but it returns a tuple"],
        [LEAST],
    ),
    "7.5 the noise moves": (
        check.pathwise_gradient,
        lambda m, k, x, q, t: by_hand(m, k, x, q, t) - torch.stack((t * x / k.exp(), 0 * x), -1),
        ["The noise is held fixed, so −½ ξ² does not move"],
        [LEAST],
    ),
    "7.5 averaged": (
        check.pathwise_gradient,
        lambda m, k, x, q, t: by_hand(m, k, x, q, t).mean(-2),
        ["(2,), but (1, 2) is expected"],
        [LEAST],
    ),
    "7.5 α on everything": (
        check.pathwise_gradient,
        lambda m, k, x, q, t: t * by_hand(m, k, x, q, 1.0),
        ["Your α multiplies dQ/da as well"],
        [LEAST],
    ),
    "7.6 axis 1": (
        check.discrete_soft_value,
        lambda q, logits, t: soft(q.amin(0), torch.softmax(logits, 1), t),
        [LEAST, "Your probabilities sum to 1 over the states of the batch"],
        [],
    ),
    "7.6 no softmax": (
        check.discrete_soft_value,
        lambda q, logits, t: (logits * (q.amin(0) - t.unsqueeze(-1) * logits.log())).sum(-1),
        ["You take the logarithm of the logits"],
        [LEAST],
    ),
    "7.6 logsumexp": (
        check.discrete_soft_value,
        lambda q, logits, t: t * torch.logsumexp(q.amin(0) / t.unsqueeze(-1), -1),
        ["Your value is that of the Boltzmann policy"],
        [LEAST],
    ),
    "7.6 Boltzmann policy of Q": (
        check.discrete_soft_value,
        lambda q, logits, t: soft(q.amin(0), torch.softmax(q.amin(0) / t.unsqueeze(-1), -1), t),
        ["Your value is that of the Boltzmann policy"],
        [LEAST],
    ),
    "7.6 logits over α": (
        check.discrete_soft_value,
        lambda q, logits, t: soft(q.amin(0), torch.softmax(logits / t.unsqueeze(-1), -1), t),
        ["You divide the logits by α"],
        [LEAST],
    ),
    "7.6 no minimum": (
        check.discrete_soft_value,
        lambda q, logits, t: (torch.softmax(logits, -1) * q).sum(-1),
        ["one axis too many, in front; must it vanish"],
        [LEAST],
    ),
    "7.6 bits": (
        check.discrete_soft_value,
        lambda q, logits, t: soft(q.amin(0), torch.softmax(logits, -1), t / math.log(2)),
        ["of two equally likely actions it is log 2 = 0.693"],
        [LEAST],
    ),
    "7.7 pair not taken apart": (
        check.value_network_loss,
        lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, draw(o)).amin(0)),
        ["as a tuple: take them apart first"],
        [LEAST],
    ),
    "7.7 twice, and entropy charged": (
        check.value_network_loss,
        lambda o, a, draw, critics, v, t: (
            2 * half_square(v(o), (critics(o, draw(o)[0]).amin(0) + t * draw(o)[1]).detach())
        ),
        ["Here (7.2) is half the mean square of V(s) − Q(s, a)"],
        [],
    ),
    "7.7 everything cut": (
        check.value_network_loss,
        torch.no_grad()(
            lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, draw(o)[0]).amin(0) - t * draw(o)[1])
        ),
        ["no gradient reaches V"],
        [LEAST],
    ),
    "7.7 Q cut, log π not": (
        check.value_network_loss,
        lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, draw(o)[0]).amin(0).detach() - t * draw(o)[1]),
        ["Where the loss is differentiated by the parameters of the actor", "which two ways lead to it?"],
        [LEAST],
    ),
    "7.7 actor cut, critics not": (
        check.value_network_loss,
        lambda o, a, draw, critics, v, t: half_square(
            v(o), critics(o, draw(o)[0].detach()).amin(0) - t * draw(o)[1].detach()
        ),
        [LEAST, "Which word of PyTorch makes a number of the bracket?"],
        [],
    ),
    "7.7 mse_loss": (
        check.value_network_loss,
        lambda o, a, draw, critics, v, t: (
            torch.nn.functional.mse_loss(v(o), (critics(o, draw(o)[0]).amin(0) - t * draw(o)[1]).detach()) / 2
        ),
        ["Your mean is over everything, the runs included"],
        [LEAST],
    ),
    "8.1 axis 1": (
        check.lagrangian,
        lambda d, r, h, t, target: (d * (r + t * (h - target))).sum(1),
        ["The states are on the last axis"],
        [LEAST],
    ),
    "8.1 not summed": (
        check.lagrangian,
        lambda d, r, h, t, target: d * (r + t * (h - target)),
        ["(1, 3), but (1,) is expected", "which axis must vanish?"],
        [LEAST],
    ),
    "8.2 not averaged": (
        check.temperature_loss,
        lambda lp, t, target: t * (-lp.detach() - target),
        ["there is one axis too many"],
        [LEAST],
    ),
    "8.2 no_grad": (
        check.temperature_loss,
        lambda lp, t, target: torch.no_grad()(lambda: (t * (-lp - target)).mean(-1))(),
        ["it carries no gradient", "is the way back to α open?"],
        [LEAST],
    ),
    "8.2 .item()": (
        check.temperature_loss,
        lambda lp, t, target: (t * (-lp.detach() - target)).mean().item(),
        ["is there an .item()?"],
        [LEAST],
    ),
    "8.3 math.exp": (
        check.temperature_steps,
        lambda t, h, target, eta, least: torch.stack(
            [t * math.exp(-eta * t * (h - target)), torch.clamp(t - eta * (h - target), least)], -1
        ),
        ["Each temperature moves by its own entropy"],
        [LEAST],
    ),
    "8.3 Python's max": (
        check.temperature_steps,
        lambda t, h, target, eta, least: torch.stack(
            [t * torch.exp(-eta * t * (h - target)), max(t - eta * (h - target), least)], -1
        ),
        ["your function raised TypeError"],
        [LEAST],
    ),
    "8.3 a pair": (
        check.temperature_steps,
        lambda t, h, target, eta, least: (t * torch.exp(-eta * t * (h - target)), t - eta * (h - target)),
        ["must return a tensor, but it returns a tuple"],
        [LEAST],
    ),
    "8.4 −dim": (
        check.vector_target,
        lambda low, high: -low.shape[-1],
        ["must return a tensor, but it returns an int"],
        [LEAST],
    ),
    "8.4 log of a number": (
        check.numbered_target,
        lambda n, p: -p * p.log() - (1 - p) * torch.log((1 - p) / (n - 1)),
        ["Where the favourite is certain", "torch.special.xlogy(x, y)"],
        [LEAST],
    ),
    "8.5 no sign change": (
        check.price,
        lambda soft, share, h: brentq(lambda a: (share * entropy(boltzmann_policy(soft(a), a))).sum().item(), 0.01, 9),
        ["your function raised ValueError: f(a) and f(b) must have different signs"],
        [LEAST],
    ),
    "8.5 too narrow a search": (
        check.price,
        lambda soft, share, h: brentq(
            lambda a: (share * entropy(boltzmann_policy(soft(a), a))).sum().item() - h, 0.001, 3
        ),
        ["Where the rewards are ten times as large", "ten times the rewards, ten times the price"],
        [LEAST],
    ),
    "8.5 the policy": (
        check.price,
        lambda soft, share, h: boltzmann_policy(soft(1.0), 1.0),
        ["must return one number, but it returns a Tensor"],
        [LEAST],
    ),
    "8.6 half detached": (
        check.costly_target,
        lambda r, d, v, t, target, g: r + g * ~d * (v.detach() - t * target),
        ["Where values carry gradients", "Which word of PyTorch makes a number of it?"],
        [LEAST],
    ),
    "8.6 .item()": (
        check.costly_target,
        lambda r, d, v, t, target, g: (r + g * ~d * (v - t.item() * target)).detach(),
        ["Where each of three runs of four transitions has its temperature"],
        [LEAST],
    ),
    "8.7 nothing returned": (
        check.one_update,
        lambda agent, batch: one_update_otherwise(agent, batch) and None,
        [RETURN],
        [LEAST],
    ),
    "8.7 the copies are a generator": (
        check.one_update,
        lambda agent, batch: (
            one_update_otherwise(agent, batch),
            setattr(agent, "target_critic", (w.clone() for w in agent.target_critic)),
        )[0],
        ["must stay a list of tensors"],
        [LEAST],
    ),
    "8.7 the first of the copies": (
        check.one_update,
        lambda agent, batch: (
            one_update_otherwise(agent, batch),
            setattr(agent, "target_critic", agent.target_critic[:1]),
        )[0],
        ["one for each of agent.critic.parameters"],
        [LEAST],
    ),
    "8.7 loss with its gradient": (
        check.one_update,
        lambda agent, batch: one_update_otherwise(agent, batch).requires_grad_(),
        ["what you return carries a gradient"],
        [LEAST],
    ),
    "8.7 rewards scaled in place": (
        check.one_update,
        lambda agent, batch: one_update_otherwise(agent, batch._replace(reward=batch.reward.mul_(2))),
        ["your function changes batch, which belongs to its caller"],
        [LEAST],
    ),
    "8.7 two mistakes": (
        check.one_update,
        lambda agent, batch: lesson_08._update(
            agent, batch, lesson_08._Ways(target_parameters="critic", order="critic actor copies")
        ),
        ["In this case at least: Your critics chase their own opinions"],
        [],
    ),
}


@pytest.mark.parametrize("student", STUDENTS)
def test_what_a_student_is_told(student, capsys):
    exercise, answer, present, absent = STUDENTS[student]
    result = exercise(answer)
    assert result.score < 1
    assert result.attempted
    assert [phrase for phrase in present if phrase not in flat(result.text)] == [], result.text
    assert [phrase for phrase in absent if phrase in flat(result.text)] == [], result.text


def test_what_passes_a_check_keeps_the_promise_of_the_cell_below():
    """Rounded to float32 inside, or iterated just often enough: the notebook's claims must forgive what the checks do."""
    crossing = FiniteMDP.from_json(ROOT / "data" / "crossing.json")

    def in_float32(probability, next_state, reward, terminated, value, discount):
        target = reward.float() + discount * ~terminated * value.float()[next_state]
        return (probability.float() * target).sum(-1).double()

    assert check.expected_backup(in_float32).score == 1
    q = torch.zeros(crossing.states, crossing.actions, dtype=torch.float64)
    for _ in range(200):
        outcomes = crossing.probability, crossing.next_state, crossing.reward, crossing.terminated
        q = in_float32(*outcomes, q.amax(-1), crossing.discount)
    assert (q - optimal_q(crossing)).abs().max() < 1e-6

    uniform = torch.full((crossing.states, crossing.actions), 1 / crossing.actions, dtype=torch.float64)
    enough = next(sweeps_of(n) for n in range(0, 300, 10) if check.solve_policy(sweeps_of(n)).score == 1)
    value = enough(uniform, crossing.expected_reward, crossing.continuation_matrix, crossing.discount)
    assert torch.allclose(value, (uniform * policy_q(crossing, uniform)).sum(-1), rtol=0, atol=1e-5)


# The run axis


@pytest.mark.parametrize(
    "exercise",
    [
        check.discounted_return,
        check.state_value,
        check.q_learning_target,
        check.expected_sarsa_value,
        check.double_q_target,
        check.semi_gradient_step,
        check.dqn_target,
        check.polyak_step,
        check.double_value,
        check.double_estimate,
        check.logit_gradient,
        check.reinforce_weight,
        check.piece_return,
        check.actor_loss,
        check.pathwise_objective,
        check.td3_target,
        check.soft_policy_value,
        check.soft_target,
        check.soft_value,
        check.boltzmann_divergence,
        check.floored_policy,
        check.squashed_log_density,
        check.sac_target,
        check.twin_loss,
        check.soft_actor_loss,
        check.pathwise_gradient,
        check.discrete_soft_value,
        check.value_network_loss,
        check.lagrangian,
        check.temperature_loss,
        check.vector_target,
        check.costly_target,
    ],
    ids=lambda e: e.name,
)
def test_the_case_with_a_run_axis_has_sizes_that_all_differ(exercise):
    beginnings = ("two runs", "there are two runs", "three runs")
    case = next(case for case in exercise.cases if case.where.startswith(beginnings))
    shape = max((tuple(value.shape) for value in case.arguments if torch.is_tensor(value)), key=len)
    assert len(shape) >= 3
    assert len(set(shape)) == len(shape)


def test_a_maximum_over_axis_1_passes_until_there_are_runs():
    result = check.q_learning_target(lambda r, d, c, q, g: r + g * (~d * q.max(dim=1).values))
    assert result.score == pytest.approx(4 / 5)
    assert "Where two runs stand in front of a batch of three" in flat(result.text)
    assert "Counted from the end" in flat(result.text)


def test_broadcasting_into_a_matrix_has_a_sentence_of_its_own():
    result = check.q_learning_target(lambda r, d, c, q, g: r + g * (~d * q.max(-1, keepdim=True).values))
    assert "a column of shape (3, 1) met a row of shape (3,)" in flat(result.text)
    assert "An axis of length 1 was left over" in flat(result.text)


# Behaviour


def test_the_margin_of_the_frequencies_is_wide():
    """Five standard deviations and more: of what is right, and of the best action's share where runs share one coin."""
    draws = 20_000
    assert all(len(case.arguments) == 5 for case in check.epsilon_greedy.cases)
    shares = [case.arguments[3] * case.arguments[4] for case in check.epsilon_greedy.cases if case.arguments[2] > 0]
    assert min(shares[:-1]) == draws  # the last case compares draws with themselves
    assert 5 * math.sqrt(0.25 / draws) < lesson_02.FREQUENCY_MARGIN
    assert 5 * math.sqrt(0.09 * 0.91 / (draws / 2)) < lesson_02.FREQUENCY_MARGIN  # pairs of runs
    assert 5 * 0.75 * math.sqrt(0.4 * 0.6 / 1_000) < lesson_02.LIKENESS * 1.7  # relative to 0.7, and absolute


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
    again = lesson_03.crossing()
    assert (again.drawing, again.discount) == (stored.drawing, stored.discount)
    assert torch.allclose(again.continuation_matrix, stored.continuation_matrix)
    assert '[".....", ".###.", "S...G", "#HHH#"], discount=0.9, slip=0.1' in inspect.getsource(lesson_02._train)


def test_a_trained_answer_that_diverges_is_told_where_to_look():
    result = check.trained_expected_sarsa(lambda q, e: (1 - e) * q.amax(-1) + e * q.sum(-1))
    assert result.score == 0
    assert "See what check.expected_sarsa_value says" in flat(result.text)
    assert "entry" not in result.text


def test_a_trained_answer_must_also_be_right_for_other_numbers():
    """Its training never meets tied actions, nor states of three actions: both would pass."""
    result = check.trained_expected_sarsa(lambda q, e: (1 - e) * q.amax(-1) + e * q.sum(-1) / 4)
    assert result.score == 0
    assert "they end at Q^ε, but your function is wrong for other numbers than theirs" in flat(result.text)


def test_the_exact_answers_that_training_is_compared_with_lie_apart():
    """Whoever ends at one of them, to within the distance allowed, must not be taken for another."""
    mdp = lesson_03.crossing()
    exact = torch.stack([answer(mdp) for answer in lesson_03._ANSWERS.values()])[:, mdp.live].flatten(1)
    apart = torch.cdist(exact, exact, p=torch.inf) + torch.eye(len(exact))
    assert apart.min() > lesson_03.TRAINED_DISTANCE
    best = optimal_q(mdp).amax(-1)
    worst = lesson_03._ANSWERS["the Q of the worst actions"](mdp)
    assert torch.allclose(worst, expected_target(mdp, worst.amin(-1)))  # it solves its own Bellman equation
    assert torch.allclose(exact[0], expected_target(mdp, best)[mdp.live].flatten())


def test_nothing_is_worth_anything_in_the_world_of_coins():
    coins = lesson_04.coins()
    assert optimal_q(coins).abs().max() < 1e-12
    assert (coins.reward.abs() == 1).all()
    notebook = read(ROOT / "notebooks" / "solutions" / "04_double_dqn.ipynb")
    source = next(cell.source for cell in notebook.cells if "coins = FiniteMDP" in cell.source)
    made = source[source.index("    toss") : source.index("    settings")]
    names = {"torch": torch, "FiniteMDP": FiniteMDP}
    exec(inspect.cleandoc(made), names)
    assert torch.equal(names["coins"].probability, coins.probability)
    assert torch.equal(names["coins"].reward, coins.reward)
    assert names["coins"].discount == coins.discount


def test_a_value_for_networks_may_return_float32_always():
    assert check.trained_dqn(lambda q: q.double().amax(-1).float()).score == 1


def test_a_value_that_is_only_right_above_zero_is_found_out():
    result = check.trained_dqn(lambda q: q.amax(-1).clamp(min=0))
    assert "they end at Q*, but your function is wrong for other numbers than theirs" in flat(result.text)


def test_a_network_that_ends_nowhere_is_told_where_to_look():
    result = check.trained_dqn(lambda q: 0.5 * q.amax(-1) + 0.5 * q.mean(-1))
    assert "nor do they at another answer that we know" in flat(result.text)
    assert result.score == 0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda q: q.amax(-1, keepdim=True), "your answer has the shape (8, 64, 1), but (8, 64) is expected"),
        (lambda q: q.argmax(-1), "your function must return float32 numbers, but it returns int64"),
        (lambda q: q.max(-1), "a pair (values, indices)"),
        (lambda q: q.amax(-1) * math.nan, "NaN"),
    ],
)
def test_a_network_is_not_trained_on_what_is_no_value(answer, sentence):
    assert sentence in flat(check.trained_dqn(answer).text)


@pytest.mark.parametrize(
    "answer",
    [lambda o, t: judged(t, o), lambda o, t: torch.minimum(o.amax(-1), t.amax(-1))],
    ids=["roles swapped", "smaller maximum"],
)
def test_what_is_not_dqn_is_not_called_that(answer):
    text = flat(check.trained_double_dqn(answer).text)
    assert "of them overestimate clearly less than DQN does" in text
    assert "See what check.double_value says" in text
    assert "is never read" not in text
    assert "in every digit" not in text


def test_dqn_is_recognised_by_every_digit_of_its_bias():
    text = flat(check.trained_double_dqn(lambda o, t: judged(t, t)).text)
    assert "their bias is DQN's in every digit" in text
    assert "What you have trained is DQN. Which of your two arguments is never read?" in text


def test_what_is_worse_than_dqn_is_only_likened_to_dqn_without_a_target_network():
    text = flat(check.trained_double_dqn(lambda o, t: torch.maximum(o, t).amax(-1)).text)
    assert "That is what DQN without a target network does" in text
    assert "What you have trained is" not in text


@pytest.mark.parametrize("answer", [lambda q: q.nothing, lambda q: q.max(-1), lambda q: ..., lambda: 0, max])
def test_the_training_cell_of_exercise_5_waits_where_the_check_has_said_why(answer):
    notebook = read(ROOT / "notebooks" / "solutions" / "03_dqn.ipynb")
    source = next(cell.source for cell in notebook.cells if "def written" in cell.source)
    names = {"torch": torch}
    exec(source[source.index("def written") :], names)
    assert not names["written"](answer, torch.zeros(8, 64, 4))
    assert names["written"](lambda q: q.amin(-1), torch.zeros(8, 64, 4))


def test_less_bias_alone_does_not_make_double_dqn():
    result = check.trained_double_dqn(lambda online, target: target.mean(-1))
    assert result.score == 0
    assert "they overestimate less than DQN does, but not in double DQN's way" in flat(result.text)


def test_a_case_of_soft_policy_iteration_asks_for_seven_rounds():
    """So that who stops after a few rounds is found out, and a hundred are plenty, as the notebook says."""

    def score(rounds):
        return check.soft_policy_iteration(in_rounds(rounds=rounds)).score

    assert [score(rounds) for rounds in (0, 1, 6, 7, lesson_06.ROUNDS)] == [0, 0.4, 0.8, 1, 1]


def test_every_evaluation_of_the_misconceptions_is_the_package_s_but_for_what_it_is_named_after():
    mdp, generator = lesson_06._CROSSING, torch.Generator().manual_seed(0)
    policy = torch.softmax(torch.randn(mdp.states, mdp.actions, generator=generator, dtype=torch.float64), -1)
    by_hand = lesson_06._evaluated(lambda mdp: mdp.continuation_matrix)(mdp, policy, 0.3)
    assert torch.allclose(by_hand, policy_q(mdp, policy, 0.3))
    after_the_end = lesson_06._evaluated(lambda mdp: mdp.transition_matrix)(mdp, policy, 0.3)
    assert (after_the_end - by_hand)[mdp.live].min() > 0.1


def test_the_choice_to_come_is_worth_nothing_to_who_counts_no_entropy():
    q = optimal_q(lesson_06._CHOICE_TO_COME)
    assert q[0].tolist() == [1, 1]


@pytest.mark.parametrize("floor", [0.0, 0.05, 0.12, 0.2, 0.25])
def test_the_nearest_policy_by_squares_is_nearer_by_squares_than_that_of_the_divergence(floor):
    policy = torch.softmax(2 * torch.randn(200, 4, generator=torch.Generator().manual_seed(1)).double(), -1)
    squares, divergence = lesson_06._euclidean(policy, floor), check.floored_policy.reference(policy, floor)
    for found in (squares, divergence):
        assert torch.allclose(found.sum(-1), torch.ones(200, dtype=torch.float64))
        assert (found >= floor - 1e-12).all()
    assert ((squares - policy).square().sum(-1) <= (divergence - policy).square().sum(-1) + 1e-12).all()
    kl = [torch.special.xlogy(found, found / policy).sum(-1) for found in (squares, divergence)]
    assert (kl[1] <= kl[0] + 1e-12).all()


def in_float32(answer):
    """Make an answer of one that is right, with everything rounded to float32 before it is returned."""
    return lambda *arguments: answer(*arguments).float().double()


def assert_leads_through(lesson, answers, monkeypatch, capsys, *, claims_above, exercises):
    """Run the exercises of a lesson with these answers: each counts as solved, and every claim of the solutions holds."""
    monkeypatch.chdir(ROOT / "notebooks" / "exercises")
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    names = {}
    with mpl.rc_context():
        for cell in read(ROOT / "notebooks" / "exercises" / f"{lesson}.ipynb").cells:
            if cell.cell_type == "code":
                exec(cell.source, names)
                names |= {name: answer for name, answer in answers.items() if name in names}
        names["plt"].close("all")
    out = capsys.readouterr().out
    solved = read(ROOT / "notebooks" / "solutions" / f"{lesson}.ipynb")
    claims = [cell.outputs[0].text for cell in solved.cells if cell.cell_type == "code" and "✓" in str(cell.outputs)]
    assert out.count("✓") == "".join(claims).count("✓") > claims_above
    assert "waits" not in out
    assert out.count("100%") == exercises


def test_right_answers_of_another_make_take_a_learner_through_notebook_06(monkeypatch, capsys):
    """The cells below the checks must forgive whatever the checks do: here rounding, stopping early, and other formulas."""
    answers = {
        "my_soft_policy_value": in_float32(by_categorical),
        "my_soft_target": in_float32(as_a_target_with_where),
        "my_soft_value": in_float32(from_the_policy_that_has_it),
        "my_divergence": in_float32(kl_div_of_torch),
        "my_soft_policy_iteration": in_float32(in_rounds(rounds=7)),
        "my_floored_policy": in_float32(by_halving),
        "my_hottest_policy": in_float32(swept_for_entropy),
    }
    assert_leads_through("06_soft_policy_iteration", answers, monkeypatch, capsys, claims_above=20, exercises=7)


def test_right_answers_of_another_make_take_a_learner_through_notebook_05(monkeypatch, capsys):
    answers = {
        "my_logit_gradient": in_float32(by_the_jacobian),
        "my_reinforce_weight": in_float32(lambda r, b, g: powers(r, g) * to_go(r, g) - powers(r, g) * b),
        "my_piece_return": in_float32(lesson_05._piece_return),
        "my_actor_loss": by_a_distribution,
        "my_pathwise_objective": in_one_dimension_after_the_other,
        "my_td3_target": in_float32(lesson_05._td3_target),
    }
    assert_leads_through("05_actor_critic", answers, monkeypatch, capsys, claims_above=20, exercises=6)


def test_right_answers_of_another_make_take_a_learner_through_notebook_07(monkeypatch, capsys):
    answers = {
        "my_log_density": lambda m, k, x: by_the_distribution(m, k, x).float().to(m.dtype),
        "my_target": in_float32(without_remembering_the_entropy),
        "my_twin_loss": in_float32(critic_by_critic),
        "my_actor_loss": in_float32(mean_of_each_term),
        "my_gradient": in_float32(with_both_terms),
        "my_discrete_value": in_float32(by_categorical_of_logits),
        "my_value_loss": in_float32(detached_part_by_part),
    }
    assert_leads_through("07_soft_actor_critic", answers, monkeypatch, capsys, claims_above=20, exercises=7)


def test_right_answers_of_another_make_take_a_learner_through_notebook_08(monkeypatch, capsys):
    answers = {
        "my_lagrangian": in_float32(lambda d, r, h, t, x: (d * r).sum(-1) + t * ((d * h).sum(-1) - x * d.sum(-1))),
        "my_temperature_loss": by_one_mean_after_the_other,
        "my_steps": in_float32(in_logarithms),
        "my_vector_target": in_float32(lambda low, high: torch.log((high - low) / (2 * math.e)).sum(-1)),
        "my_numbered_target": in_float32(by_a_table_of_probabilities),
        "my_price": halving_in_logarithms,
        "my_costly_target": in_float32(lesson_08.costly_target.reference),
        "my_first_target": lambda r, d, t, q, g: torch.where(d, r, r + g * q.max(-1).values),
        "my_polyak_step": lambda t, o, r: torch.lerp(t, o, r).detach(),
        "my_log_density": lambda m, k, x: by_the_distribution(m, k, x).float().to(m.dtype),
        "my_target": in_float32(without_remembering_the_entropy),
        "my_twin_loss": in_float32(critic_by_critic),
        "my_actor_loss": in_float32(mean_of_each_term),
        "my_update": one_update_otherwise,
    }
    assert_leads_through("08_automatic_temperature", answers, monkeypatch, capsys, claims_above=40, exercises=8)


def test_the_gradient_of_the_temperature_s_loss_is_the_one_of_finite_differences():
    by_alpha, by_log = (case for case in check.temperature_loss.cases if "differentiated by" in case.where)
    reference = check.temperature_loss.reference
    lp, alpha, target = by_alpha.arguments
    above, below = (reference(lp, alpha.detach() + nudge, target).item() for nudge in (1e-6, -1e-6))
    slope = check.temperature_loss.observe(reference, *by_alpha.arguments)
    assert slope.item() == pytest.approx((above - below) / 2e-6, abs=1e-6)
    assert abs(slope.item()) > 0.1
    assert check.temperature_loss.observe(reference, *by_log.arguments).tolist() == [[0, 0, 0]]


def test_an_update_of_the_check_is_one_of_the_package_but_for_who_learns():
    """The order and the draws of `SAC.update`: its own code, run on the small agent, passes the check."""

    class Wrapped(SAC):
        def __init__(self, agent):
            self.agent, self.settings, self.actor, self.critic = agent, agent.settings, agent.actor, agent.critic
            self.target_critic, self.temperature = agent.target_critic, agent.alpha.detach()

        def _draw(self, observation):
            return self.agent.draw(observation)

        def _judge(self, parameters, observation, action):
            return self.agent.judge(parameters, observation, action).squeeze(-1)

        def _learn_temperature(self, log_density):
            self.agent.log_alpha.minimize(temperature_loss(log_density, self.agent.alpha, self.agent.target_entropy))

    assert check.one_update(lambda agent, batch: Wrapped(agent).update(batch)).score == 1


def test_the_price_where_what_comes_after_depends_on_it_is_right_by_hand():
    case = next(case for case in check.price.cases if case.where == "what comes after depends on α")
    found = check.price.reference(*case.arguments)
    nats = entropy(boltzmann_policy(lesson_08._two_steps(found), found)).mean().item()
    assert nats == pytest.approx(case.arguments[2], abs=1e-9)
    last = boltzmann_policy(torch.tensor([0.0, 0.5], dtype=torch.float64), found)
    on = found * torch.logsumexp(torch.tensor([0.0, 0.5 / found]), -1)  # state 1, (6.14)
    first = boltzmann_policy(torch.stack([on, torch.ones(())]).double(), found)
    assert nats == pytest.approx((entropy(last) + entropy(first)).item() / 2, abs=1e-6)


def test_a_gradient_that_is_compared_is_the_one_of_finite_differences():
    """Cases that differentiate by what they hand over: what is expected there is found again without autograd."""
    for exercise in (
        check.actor_loss,
        check.pathwise_objective,
        check.squashed_log_density,
        check.twin_loss,
        check.soft_actor_loss,
        check.discrete_soft_value,
    ):
        differentiated = [case for case in exercise.cases if "differentiated by" in case.where]
        assert len(differentiated) >= (1 if exercise is check.discrete_soft_value else 2)
        for case in differentiated:
            place = max(i for i, x in enumerate(case.arguments) if torch.is_tensor(x) and x.requires_grad)
            arguments = [x.detach() if torch.is_tensor(x) else x for x in case.arguments]
            expected = exercise.observe(exercise.reference, *case.arguments)
            for index in np.ndindex(*expected.shape):
                values = []
                for sign in (1, -1):
                    moved = arguments[place].clone()
                    moved[index] += sign * 1e-6
                    values.append(exercise.reference(*arguments[:place], moved, *arguments[place + 1 :]).sum())
                cut = "by the advantage" in case.where or "by the target" in case.where
                slope = 0 if cut else (values[0] - values[1]) / 2e-6
                assert expected[index] == pytest.approx(float(slope), abs=1e-6)


def test_the_twins_of_the_check_take_turns_in_being_the_lower_one():
    opinions = [check.sac_target.cases[1].arguments[2], check.soft_actor_loss.cases[1].arguments[1]]
    opinions += [check.discrete_soft_value.cases[2].arguments[0]]
    for case in (check.td3_target.cases[1], check.td3_target.cases[-1]):
        _, _, s, noise, clip, _, target, _ = case.arguments
        opinions.append(target.critics(s, lesson_05.clipped_noise(target.actor(s), noise, clip)))
    for case in (check.value_network_loss.cases[1], check.value_network_loss.cases[-2]):
        s, _, draw, critics, _, _ = case.arguments
        opinions.append(critics(s, draw(s)[0]))
    for first, second in opinions:
        assert (first < second).any()
        assert (second < first).any()


def test_what_a_network_of_the_check_is_told_is_what_finite_differences_say():
    """Exercise 7.7: V learns (V − y) times what it is made of, and neither actor nor critics learn anything."""
    seen = {}
    for case in check.value_network_loss.cases:
        by = case.where.removeprefix("the loss is differentiated by the parameters of ")
        if by != case.where:
            seen[by] = check.value_network_loss.observe(lesson_07._value_network_loss, *case.arguments)
    assert seen["the actor"].tolist() == [0, 0, 0]
    assert seen["a critic"].tolist() == [0, 0, 0, 0]
    s, stored, draw, critics, _, alpha = check.value_network_loss.cases[3].arguments
    weights, nudge = torch.tensor([4.0, -1.0], dtype=torch.float64), 1e-6 * torch.eye(2, dtype=torch.float64)
    above, below = (
        [lesson_07._value_network_loss(s, stored, draw, critics, lesson_07._valuing(*w.tolist()), alpha) for w in moved]
        for moved in (weights + nudge, weights - nudge)
    )
    slopes = [float(up - down) / 2e-6 for up, down in zip(above, below, strict=True)]
    assert seen["V"].tolist() == pytest.approx(slopes, abs=1e-6)
    assert min(map(abs, slopes)) > 0.1


def test_the_report_names_every_exercise_once(monkeypatch):
    monkeypatch.setattr("sac_tutorial.check.records._latest", {})
    for _ in range(2):
        for exercise in CHEAP.values():
            exercise(with_parameters_of(exercise, lambda *arguments: None))
    assert [entry["exercise"] for entry in json.loads(check.report())] == list(CHEAP)
