"""The learners with tables: every update by a plain loop, the run axis, and each learner's own exact answer."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sac_tutorial.exact.dynamic_programming import epsilon_greedy_q, optimal_q, soft_optimal_q
from sac_tutorial.tabular.double_q_learning import double_q_learning
from sac_tutorial.tabular.q_learning import expected_sarsa, q_learning
from sac_tutorial.tabular.sarsa import sarsa
from sac_tutorial.tabular.soft_q_learning import soft_q_learning
from sac_tutorial.tabular.step_sizes import constant_step, polynomial_step
from sac_tutorial.worlds.mdp import FiniteMDP
from tests.helpers import generator
from tests.oracles import plain_soft_value, random_mdp, three_states

LEARNERS: dict[str, Callable[..., Iterator[Tensor]]] = {
    "q_learning": q_learning,
    "expected_sarsa": expected_sarsa,
    "sarsa": sarsa,
    "double_q_learning": double_q_learning,
    "soft_q_learning": soft_q_learning,
}
every_learner = pytest.mark.parametrize("name", LEARNERS)
RUNS = 5


def learn(name: str, mdp: FiniteMDP, **arguments: Any) -> Iterator[Tensor]:
    """The learner of this name, with defaults for what a test does not care about."""
    usual = {"runs": RUNS, "steps": 50, "step_size": constant_step(0.5), "epsilon": 0.3, "generator": generator()}
    if name == "soft_q_learning":
        usual["temperature"] = 2.0
    return LEARNERS[name](mdp, **usual | arguments)


def last(tables: Iterator[Tensor]) -> Tensor:
    *_, table = tables
    return table.clone()


# Every update

RATES, ALPHAS = [0.0, 0.125, 0.25, 0.5, 1.0], [0.125, 1.0, 2.0, 10.0, 1e3]


class PlainLearner:
    """One step of a learner after another in plain Python, run by run, with the same draws."""

    def __init__(self, name: str, mdp: FiniteMDP, limit: int | None) -> None:
        self.name, self.mdp, self.limit, self.draw = name, mdp, limit, generator(1)
        self.q = torch.zeros(2, RUNS, mdp.states, mdp.actions).tolist()
        self.visits: Counter[tuple[int, ...]] = Counter()
        self.seen: Counter[str] = Counter()
        self.age = [0] * RUNS
        self.state: list[int] = mdp.start(RUNS, self.draw).tolist()
        if name == "sarsa":
            self.action = self.act(self.state)

    def act(self, states: list[int]) -> list[int]:
        soft = self.name == "soft_q_learning"
        explore = torch.rand(RUNS, generator=self.draw).tolist()
        kind = torch.float64 if soft else torch.float32
        draws = torch.rand(RUNS, self.mdp.actions, generator=self.draw, dtype=kind).tolist()
        actions = []
        for run, state in enumerate(states):
            row = [sum(pair) for pair in zip(self.q[0][run][state], self.q[1][run][state], strict=True)]
            uniform, draw = explore[run] < RATES[run], draws[run]
            if soft:
                score = [0 if uniform else value / ALPHAS[run] for value in row]
                draw = [each - math.log(-math.log(noise)) for each, noise in zip(score, draw, strict=True)]
            elif not uniform:
                draw = [noise if value == max(row) else -1 for value, noise in zip(row, draw, strict=True)]
            actions.append(draw.index(max(draw)))
        return actions

    def value(self, run: int, state: int, next_action: int, table: int) -> float:
        row: list[float] = self.q[table][run][state]
        if self.name == "sarsa":
            return row[next_action]
        if self.name == "double_q_learning":
            evaluating: list[float] = self.q[1 - table][run][state]
            return evaluating[row.index(max(row))]
        if self.name == "soft_q_learning":
            return plain_soft_value(row, ALPHAS[run])
        return max(row) if self.name == "q_learning" else (1 - RATES[run]) * max(row) + RATES[run] * sum(row) / len(row)

    def step(self) -> None:
        """Take a step in every run, and update the tables."""
        action = self.action if self.name == "sarsa" else self.act(self.state)
        outcomes = self.mdp.sample(torch.tensor(self.state), torch.tensor(action), self.draw)
        starts = self.mdp.start(RUNS, self.draw).tolist()
        next_states = outcomes[0].tolist()
        next_action = self.act(next_states) if self.name == "sarsa" else [0] * RUNS
        coins = torch.rand(RUNS, generator=self.draw).tolist() if self.name == "double_q_learning" else [0] * RUNS
        following, ended = [], []
        for run, (next_state, reward, terminated) in enumerate(zip(*(o.tolist() for o in outcomes), strict=True)):
            state, table = self.state[run], int(coins[run] >= 0.5)
            target = reward
            if not terminated:
                target += self.mdp.discount * self.value(run, next_state, next_action[run], table)
            entry = table, run, state, action[run]
            self.visits[entry] += 1
            row = self.q[table][run][state]
            row[action[run]] += self.visits[entry] ** -0.75 * (target - row[action[run]])
            self.age[run] += 1
            truncated = self.age[run] == self.limit
            self.seen["terminated" if terminated else "truncated" if truncated else "on"] += 1
            ended.append(terminated or truncated)
            self.age[run] *= not ended[run]
            following.append(starts[run] if ended[run] else next_state)
        self.state = following
        if self.name == "sarsa":
            fresh = self.act(self.state)
            self.action = [fresh[run] if ended[run] else next_action[run] for run in range(RUNS)]


@every_learner
@pytest.mark.parametrize("limit", [None, 4])
def test_every_update_is_that_of_a_plain_loop(name: str, limit: int | None) -> None:
    mdp = random_mdp(3, 4, 3, 2, 0.75)
    plain = PlainLearner(name, mdp, limit)
    alphas = {"temperature": torch.tensor(ALPHAS)} if name == "soft_q_learning" else {}
    arguments = {"step_size": polynomial_step(0.75), "epsilon": torch.tensor(RATES), "time_limit": limit, **alphas}
    for tables in learn(name, mdp, steps=200, generator=generator(1), **arguments):
        plain.step()
        expected = torch.tensor(plain.q, dtype=torch.float64)[: 2 if name == "double_q_learning" else 1]
        torch.testing.assert_close(tables, expected.view_as(tables), rtol=1e-9, atol=1e-12)
    assert plain.seen["terminated"] > 50 and plain.seen["on"] > 50 and (limit is None or plain.seen["truncated"] > 50)


@every_learner
def test_one_setting_for_all_runs_is_the_same_as_one_for_each(name: str) -> None:
    mdp = random_mdp(4, 4, 3, 2, 0.9)
    each = {"epsilon": torch.full((RUNS,), 0.25), "temperature": torch.full((RUNS,), 0.5, dtype=torch.float64)}
    one = {"epsilon": np.float32(0.25), "temperature": torch.tensor(0.5)}
    if name != "soft_q_learning":
        del each["temperature"], one["temperature"]
    numpy = {"runs": np.int64(RUNS), "steps": np.int64(50)}
    assert torch.equal(last(learn(name, mdp, **each)), last(learn(name, mdp, **one, **numpy)))


def test_soft_q_learning_explores_by_its_temperature_alone_by_default() -> None:
    mdp = random_mdp(2, 4, 3, 2, 0.9)
    arguments: dict[str, Any] = {"runs": 5, "steps": 50, "step_size": constant_step(0.5), "temperature": 1.0}
    silent = last(soft_q_learning(mdp, **arguments, generator=generator()))
    assert torch.equal(silent, last(soft_q_learning(mdp, **arguments, epsilon=0.0, generator=generator())))


# The run axis


@every_learner
def test_same_seed_same_tables_and_another_seed_others(name: str) -> None:
    mdp = random_mdp(2, 4, 3, 2, 0.9)
    first = last(learn(name, mdp, generator=generator(1)))
    assert torch.equal(first, last(learn(name, mdp, generator=generator(1))))
    assert not torch.equal(first, last(learn(name, mdp, generator=generator(2))))
    assert len({tuple(run.flatten().tolist()) for run in first.movedim(-3, 0)}) == RUNS  # no two runs are the same


@every_learner
def test_disturbing_one_run_leaves_the_others_bitwise_equal(name: str) -> None:
    mdp = random_mdp(2, 4, 3, 2, 0.9)
    others = [0, 1, 2, 4]
    pair = learn(name, mdp, steps=80, time_limit=6), learn(name, mdp, steps=80, time_limit=6)
    for step, (calm, stormy) in enumerate(zip(*pair, strict=True)):
        assert torch.equal(calm[..., others, :, :], stormy[..., others, :, :])
        stormy[..., 3, :, :] += step * torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    assert not torch.equal(calm[..., 3, :, :], stormy[..., 3, :, :])


# Generators


@every_learner
def test_a_learner_yields_one_tensor_once_a_step(name: str) -> None:
    first, *rest = learn(name, three_states(), steps=7)
    assert first.shape == ((2, RUNS, 3, 2) if name == "double_q_learning" else (RUNS, 3, 2))
    assert first.dtype == torch.float64
    assert len(rest) == 6 and all(table is first for table in rest)


@every_learner
def test_the_readers_own_code_runs_outside_inference_mode(name: str) -> None:
    for q in learn(name, three_states(), steps=1):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        weight = torch.ones((), dtype=torch.float64, requires_grad=True)
        (weight * q).sum().backward()  # type: ignore[no-untyped-call]  # autograd would not save a tensor of inference mode
        assert weight.grad == q.sum()
        q += 1  # and nobody could write to it


@every_learner
def test_an_error_inside_a_learner_does_not_leave_inference_mode_on(name: str) -> None:
    def broken(_: Tensor) -> Tensor:
        raise RuntimeError("no step")

    with pytest.raises(RuntimeError, match="no step"):
        next(learn(name, three_states(), step_size=broken))
    assert not torch.is_inference_mode_enabled()


# Each learner's own exact answer


def certain() -> FiniteMDP:
    """Five states and three actions without chance, all live; the rewards are far apart."""
    outcomes = [
        [[(1.0, (2 * s + a + 1) % 5, 10.0 * s - 7 * a, (s, a) in ((2, 0), (4, 2), (0, 1)))] for a in range(3)]
        for s in range(5)
    ]
    start = torch.tensor([0, 0.5, 0, 0.5, 0], dtype=torch.float64)
    return FiniteMDP.from_outcomes(outcomes, start_probability=start, discount=0.75)


@every_learner
def test_a_time_limit_does_not_cut_the_bootstrap(name: str) -> None:
    # One state that pays 1 for ever: the value is 2. A learner that takes the limit for an end would find 1.
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    mdp = FiniteMDP(one, one.long() * 0, one, one < 0, one.flatten(), discount=0.5)
    q = last(learn(name, mdp, steps=100, time_limit=1))
    torch.testing.assert_close(q, torch.full_like(q, 2.0), rtol=0, atol=1e-3)


ANSWERS: dict[str, tuple[dict[str, Any], Callable[[FiniteMDP], Tensor]]] = {
    "q_learning": ({}, optimal_q),
    "double_q_learning": ({}, optimal_q),
    "expected_sarsa": ({}, partial(epsilon_greedy_q, epsilon=0.5)),
    "soft_q_learning": (
        {"temperature": torch.tensor([0.1, 1.0, 5.0, 100.0, 1e3])},
        partial(
            soft_optimal_q, temperature=torch.tensor([0.1, 1.0, 5.0, 100.0, 1e3], dtype=torch.float64).unsqueeze(-1)
        ),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_without_chance_a_step_size_of_one_finds_the_exact_answer(name: str) -> None:
    settings, answer = ANSWERS[name]
    mdp = certain()
    q = last(learn(name, mdp, steps=1_800, step_size=constant_step(1.0), epsilon=0.5, **settings))
    assert ((q - answer(mdp)).abs() / (1 + answer(mdp).abs())).max() < 1e-6


def test_another_next_value_makes_another_learner() -> None:
    arguments = {"steps": 1_000, "step_size": constant_step(1.0), "epsilon": 1.0}
    q = last(learn("q_learning", certain(), **arguments, next_value=lambda q: q.mean(-1)))
    assert (q - epsilon_greedy_q(certain(), 1.0)).abs().max() < 1e-4


@every_learner
def test_with_chance_every_learner_finds_its_own_answer(name: str) -> None:
    mdp, epsilon, settings = three_states(), 0.5, {}
    own = epsilon_greedy_q(mdp, epsilon) if "sarsa" in name else optimal_q(mdp)
    if name == "soft_q_learning":
        settings["temperature"] = torch.tensor([0.01, 1.0, 5.0, 20.0], dtype=torch.float64).repeat(4)
        own = soft_optimal_q(mdp, settings["temperature"].unsqueeze(-1))
    q = last(learn(name, mdp, runs=16, steps=1_500, epsilon=epsilon, step_size=polynomial_step(0.8), **settings))
    error = (q - own).abs().flatten(-2).amax(-1)
    assert (error < 1.8).double().mean() >= 0.85, error  # Q* and the answer of SARSA are more than 3 apart


def test_drawn_transitions_are_uniform_over_live_states_and_actions() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9).exploring_starts()
    visits = torch.zeros(16, 4, dtype=torch.int64)
    tables = learn("q_learning", mdp, runs=100, steps=101, epsilon=1.0, time_limit=1, step_size=torch.ones_like)
    next(tables).fill_(7)  # no target has this value
    for q in tables:
        visits += (q != 7).sum(0)
        q.fill_(7)
    assert visits.sum() == 100 * 100
    assert not visits[~mdp.live].any()
    assert chisquare(visits[mdp.live].flatten().tolist()).pvalue > 1e-6


# What is refused, at the first step

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"runs": 0}, ValueError, "runs must be at least 1, but is 0"),
    ({"runs": 2.0}, TypeError, "runs must be a whole number, but is 2.0"),
    ({"steps": 0}, ValueError, "steps must be at least 1, but is 0"),
    ({"time_limit": 0}, ValueError, "time_limit must be at least 1, but is 0"),
    ({"epsilon": 1.1}, ValueError, r"epsilon must lie in \[0, 1\], but is 1.1"),
    ({"epsilon": "greedy"}, TypeError, "epsilon must be a number, but is 'greedy'"),
    ({"epsilon": torch.ones(2)}, ValueError, r"epsilon must be a number or have the shape \(5,\), .*\(2,\)"),
    ({"epsilon": torch.ones(5, 1)}, ValueError, r"epsilon must be a number or have the shape \(5,\), .*\(5, 1\)"),
    ({"epsilon": torch.tensor([0, 0, 0, 0, math.nan])}, ValueError, r"every epsilon must lie in \[0, 1\], but is nan"),
    ({"step_size": 0.1}, TypeError, "step_size must be a function, but is 0.1"),
    ({"step_size": lambda n: n[:1]}, ValueError, r"step_size must turn .* into \(5,\), but returned the shape \(1,\)"),
    ({"step_size": lambda n: len(n)}, ValueError, r"step_size must turn the shape \(5,\) into \(5,\), but returned 5"),
]


@every_learner
@pytest.mark.parametrize(("arguments", "error", "words"), BAD)
def test_bad_arguments_are_refused(name: str, arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        next(learn(name, three_states(), **arguments))


@pytest.mark.parametrize(
    ("name", "arguments", "error", "words"),
    [
        ("soft_q_learning", {"temperature": 0}, ValueError, "temperature must be above 0 and finite, but is 0"),
        ("soft_q_learning", {"temperature": None}, TypeError, "temperature must be a number, but is None"),
        ("soft_q_learning", {"temperature": torch.ones(2)}, ValueError, r"temperature must .* shape \(5,\)"),
        (
            "soft_q_learning",
            {"temperature": torch.ones(5) / 0},
            ValueError,
            "every temperature must be above 0 and finite",
        ),
        ("q_learning", {"next_value": lambda q: q.amax(0)}, ValueError, r"next_value must turn .*\(5, 2\) into \(5,\)"),
    ],
)
def test_bad_temperatures_and_next_values_are_refused(
    name: str, arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        next(learn(name, three_states(), **arguments))
