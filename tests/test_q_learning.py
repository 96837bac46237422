"""The learners: every single update by hand, the run axis, and each learner's own exact answer."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sac_tutorial.equations import boltzmann_policy, epsilon_greedy_policy, expected_value
from sac_tutorial.exact.dynamic_programming import epsilon_greedy_q, optimal_q, soft_optimal_q
from sac_tutorial.tabular.q_learning import (
    Episodes,
    Tables,
    boltzmann,
    constant_step,
    double_q_learning,
    epsilon_greedy,
    expected_sarsa,
    polynomial_step,
    q_learning,
    sarsa,
    soft_q_learning,
)
from sac_tutorial.worlds.mdp import FiniteMDP
from tests.oracles import plain_soft_value, random_mdp, three_states

Learner = Callable[..., Iterator[Tensor]]
LEARNERS: dict[str, Learner] = {
    "q_learning": q_learning,
    "expected_sarsa": expected_sarsa,
    "sarsa": sarsa,
    "double_q_learning": double_q_learning,
    "soft_q_learning": soft_q_learning,
}
every_learner = pytest.mark.parametrize("name", LEARNERS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def learn(name: str, mdp: FiniteMDP, **arguments: Any) -> Iterator[Tensor]:
    """The learner of this name, with whatever the test doesn't care about filled in."""
    usual = {"runs": 5, "steps": 50, "step_size": constant_step(0.5), "epsilon": 0.3, "generator": generator()}
    if name == "soft_q_learning":
        usual["temperature"] = 2.0
    return LEARNERS[name](mdp, **usual | arguments)


def last(tables: Iterator[Tensor]) -> Tensor:
    *_, table = tables
    return table.clone()


# Step sizes


def test_step_sizes_by_hand() -> None:
    visits = torch.tensor([1, 4, 16], dtype=torch.float64)
    assert constant_step(0.25)(visits).tolist() == [0.25, 0.25, 0.25]
    assert constant_step(1)(visits).tolist() == [1, 1, 1]
    assert polynomial_step(0.5)(visits).tolist() == [1, 0.5, 0.25]
    assert polynomial_step(1)(visits).tolist() == [1, 0.25, 0.0625]


# Behaviour


def frequencies(q: list[float], epsilon: float, seed: int = 0) -> list[int]:
    rows = torch.tensor(q, dtype=torch.float64).repeat(30_000, 1)
    action = epsilon_greedy(rows, torch.tensor([[epsilon]]), generator(seed))
    assert (action.dtype, action.shape) == (torch.int64, (30_000,))
    return action.bincount(minlength=len(q)).tolist()


def test_ties_are_broken_uniformly_and_nothing_else_is_chosen() -> None:
    counts = frequencies([1, 3, 3, -4, 3], 0.0)
    assert counts[0] == counts[3] == 0
    assert chisquare([counts[1], counts[2], counts[4]]).pvalue > 1e-6
    assert chisquare(frequencies([0, 0, 0, 0], 0.0)).pvalue > 1e-6
    assert chisquare(frequencies([-7, -7], 0.0)).pvalue > 1e-6
    assert frequencies([-1, -2, -3], 0.0) == [30_000, 0, 0]


@pytest.mark.parametrize("epsilon", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("q", [[1, 3, 2, 0], [3, -1, 3, 2], [5, 5, 5, 5]])
def test_frequencies_are_those_of_the_epsilon_greedy_policy(q: list[float], epsilon: float) -> None:
    policy = epsilon_greedy_policy(torch.tensor(q, dtype=torch.float64), epsilon)
    assert chisquare(frequencies(q, epsilon), (30_000 * policy).tolist()).pvalue > 1e-6


def test_every_run_may_have_its_own_epsilon() -> None:
    runs = 9_000
    q = torch.tensor([[5.0, 1.0, 2.0]], dtype=torch.float64).expand(runs, -1)
    epsilon = torch.tensor([0.0, 0.3, 1.0]).repeat(runs // 3)
    action = epsilon_greedy(q, epsilon.unsqueeze(-1), generator())
    for number, rate in enumerate((0.0, 0.3, 1.0)):
        counts = action[number::3].bincount(minlength=3).tolist()
        if rate == 0:
            assert counts == [runs // 3, 0, 0]
        else:
            expected = epsilon_greedy_policy(q[0], rate) * runs / 3
            assert chisquare(counts, expected.tolist()).pvalue > 1e-6


def test_runs_draw_their_actions_independently() -> None:
    # Of two runs with two tied actions each, all four pairs are equally likely.
    draw = generator()
    pairs = Counter(
        tuple(epsilon_greedy(torch.zeros(2, 2), torch.tensor([[0.5]]), draw).tolist()) for _ in range(2_000)
    )
    assert chisquare([pairs[first, second] for first in (0, 1) for second in (0, 1)]).pvalue > 1e-6


def draws(q: Tensor, temperature: Tensor, epsilon: Tensor) -> Tensor:
    action = boltzmann(q, temperature, epsilon, generator())
    assert (action.dtype, action.shape) == (torch.int64, q.shape[:1])
    return action


@pytest.mark.parametrize("epsilon", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 2.0, 1e3])
@pytest.mark.parametrize("offset", [0.0, -1e5])
def test_frequencies_are_those_of_the_boltzmann_policy_and_of_chance(
    temperature: float, epsilon: float, offset: float
) -> None:
    row = torch.tensor([1.0, 3.0, 2.0, 0.0], dtype=torch.float64) + offset
    alpha = torch.tensor([[temperature]], dtype=torch.float64)
    counts = draws(row.expand(30_000, -1), alpha, torch.tensor([[epsilon]])).bincount(minlength=4)
    policy = (1 - epsilon) * boltzmann_policy(row, temperature) + epsilon / 4
    assert chisquare(counts.tolist(), (30_000 * policy).tolist()).pvalue > 1e-6


def test_every_run_may_have_its_own_temperature_and_epsilon() -> None:
    row = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    settings = [(0.5, 0.0), (5.0, 0.5), (1.0, 0.2)]
    alpha, epsilon = torch.tensor(settings, dtype=torch.float64).repeat(10_000, 1).split(1, dim=-1)
    action = draws(row.expand(30_000, -1), alpha, epsilon)
    for number, (temperature, rate) in enumerate(settings):
        policy = (1 - rate) * boltzmann_policy(row, temperature) + rate / 3
        counts = action[number::3].bincount(minlength=3)
        assert chisquare(counts.tolist(), (10_000 * policy).tolist()).pvalue > 1e-6


def test_a_cold_draw_is_greedy_and_shares_ties_evenly_and_a_hot_one_is_uniform() -> None:
    row = torch.tensor([1.0, 3.0, 2.9, 3.0], dtype=torch.float64) * 1e4
    no = torch.tensor([[0.0]])
    cold, hot = (torch.tensor([[alpha]], dtype=torch.float64) for alpha in (1e-3, 1e12))
    counts = draws(row.expand(30_000, -1), cold, no).bincount(minlength=4).tolist()
    assert counts[0] == counts[2] == 0
    assert chisquare([counts[1], counts[3]]).pvalue > 1e-6
    assert chisquare(draws(row.expand(30_000, -1), hot, no).bincount(minlength=4).tolist()).pvalue > 1e-6


def test_a_draw_at_a_temperature_too_small_to_divide_by_is_greedy() -> None:
    # Q/α is infinite for both actions
    row, no = torch.tensor([1e9, 2e9], dtype=torch.float64), torch.tensor([[0.0]])
    for alpha in (1e-300, 1e-308):
        assert draws(row.expand(1_000, -1), torch.tensor([[alpha]], dtype=torch.float64), no).tolist() == [1] * 1_000
    ties = torch.tensor([2e9, 1e9, 2e9], dtype=torch.float64)
    counts = draws(ties.expand(10_000, -1), torch.tensor([[1e-300]], dtype=torch.float64), no).bincount(minlength=3)
    assert counts[1] == 0
    assert chisquare(counts[[0, 2]].tolist()).pvalue > 1e-6


def test_runs_draw_their_boltzmann_actions_independently() -> None:
    # 1 to 3 in both runs: pairs have the products, and one draw says nothing of the next
    row = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64).expand(2, -1)
    draw, one, no = generator(), torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1)
    actions = torch.stack([boltzmann(row, one, no, draw) for _ in range(4_000)])
    products = [4_000 * weight / 16 for weight in (1, 3, 3, 9)]
    for pairs in (2 * actions[:, 0] + actions[:, 1], 2 * actions[:-1, 0] + actions[1:, 0]):
        scale = len(pairs) / 4_000
        assert chisquare(pairs.bincount().tolist(), [scale * count for count in products]).pvalue > 1e-6


# Every update by hand: a model without chance, tables overwritten before each step, so that one entry a run tells all.

STATES, ACTIONS, RUNS, LIMIT = 5, 3, 7, 4
DISCOUNT = 0.75
RATES = torch.tensor([0.0, 0.0, 0.0, 0.25, 0.5, 1.0, 1.0], dtype=torch.float64)
ALPHAS = torch.tensor([1e-3, 0.1, 1.0, 4.0, 10.0, 50.0, 1e3], dtype=torch.float64)
STARTS = (1, 3)
ENDS = ((2, 0), (4, 2), (0, 1))


def certain() -> FiniteMDP:
    """Five states, three actions, one outcome each; rewards name their pair."""
    outcomes = [
        [[(1.0, (2 * s + a + 1) % STATES, 10.0 * s - 7 * a, (s, a) in ENDS)] for a in range(ACTIONS)]
        for s in range(STATES)
    ]
    start = torch.tensor([float(s in STARTS) / 2 for s in range(STATES)], dtype=torch.float64)
    return FiniteMDP.from_outcomes(outcomes, start_probability=start, discount=DISCOUNT)


class Witness:
    """Follows one learner through the certain model, and states for every run and step what must have happened."""

    def __init__(self, name: str, *, runs: int = RUNS, rates: Tensor = RATES, limit: int | None = LIMIT) -> None:
        self.name, self.runs, self.rates, self.limit = name, runs, rates, limit
        self.mdp = certain()
        self.where: list[int | None] = [None] * runs  # the state that the next step must start from
        self.what: list[int | None] = [None] * runs  # the action that it must take
        self.age = [0] * runs
        self.visits: Counter[tuple[int, ...]] = Counter()
        self.waiting: list[Callable[[int | None], None] | None] = [None] * runs
        self.seen: Counter[str] = Counter()

    def follow(self, steps: int, exponent: float = 0.75) -> None:
        draw = generator(9)
        numbers = learn(
            self.name,
            self.mdp,
            **({"temperature": ALPHAS} if self.name == "soft_q_learning" else {}),
            runs=self.runs,
            steps=steps,
            step_size=polynomial_step(exponent),
            epsilon=self.rates,
            generator=generator(1),
            time_limit=self.limit,
        )
        tables = next(numbers)  # the first step starts from zeros: nothing is known of it but its trace
        before = torch.zeros_like(tables)
        while True:
            for run in range(self.runs):
                self.check(run, before, tables, exponent)
            tables.copy_(torch.randn(tables.shape, generator=draw, dtype=torch.float64) * 10)
            before = tables.clone()
            if next(numbers, None) is None:
                break

    def check(self, run: int, before: Tensor, after: Tensor, exponent: float) -> None:
        double = before.dim() == 4
        old, new = before[..., run, :, :], after[..., run, :, :]
        changed = (old != new).nonzero().tolist()
        assert len(changed) == 1, "one step changes one entry of each run"
        *table, state, action = changed[0]
        next_state = (2 * state + action + 1) % STATES
        reward, terminated = 10.0 * state - 7 * action, (state, action) in ENDS

        # where the run stands, and what it does there
        if self.where[run] is None:
            assert state in STARTS
            self.seen[f"start {state}"] += 1
        else:
            assert state == self.where[run]
        rate = self.rates[run].item()
        if self.what[run] is not None:
            assert action == self.what[run]
        elif rate == 0 and before.any() and self.name not in ("sarsa", "soft_q_learning"):
            row = old[:, state].sum(0) if double else old[state]
            assert action == row.argmax()
        if self.waiting[run] is not None:
            self.waiting[run](action)  # type: ignore[misc]  # SARSA's target of the step before, now that a′ is known

        # how far the entry moved
        self.visits[run, *changed[0]] += 1
        step = self.visits[run, *changed[0]] ** -exponent
        moved = (new - old)[*changed[0]].item()

        def target_was(next_value: float) -> bool:
            target = reward + DISCOUNT * (0.0 if terminated else next_value)
            return math.isclose(moved, step * (target - old[*changed[0]].item()), rel_tol=1e-9, abs_tol=1e-9)

        self.age[run] += 1
        ended = terminated or self.age[run] == self.limit
        self.seen["end" if terminated else "cut" if ended else "on"] += 1
        self.where[run] = None if ended else next_state
        self.what[run], self.waiting[run] = None, None
        if ended:
            self.age[run] = 0
        if self.name == "q_learning":
            assert target_was(old[next_state].max().item())
        elif self.name == "soft_q_learning":
            assert target_was(plain_soft_value(old[next_state].tolist(), ALPHAS[run].item()))
        elif self.name == "expected_sarsa":
            policy = epsilon_greedy_policy(old[next_state], rate)
            assert target_was(expected_value(old[next_state], policy).item())
        elif self.name == "double_q_learning":
            (updated,) = table
            self.seen[f"table {updated}"] += 1
            assert target_was(old[1 - updated, next_state, old[updated, next_state].argmax()].item())
        else:
            if rate == 0:
                assert target_was(old[next_state].max().item())
                if not ended and before.any():  # in a table of zeros all actions tie
                    self.what[run] = int(old[next_state].argmax())
            elif ended:
                assert any(target_was(value) for value in old[next_state].tolist())
            if not ended:

                def confirm(following: int | None) -> None:
                    assert target_was(old[next_state, following].item())

                self.waiting[run] = confirm


@every_learner
@pytest.mark.parametrize("limit", [None, LIMIT])
def test_every_update_is_the_one_worked_out_by_hand(name: str, limit: int | None) -> None:
    witness = Witness(name, limit=limit)
    witness.follow(150)
    kinds = {"on", "end", *(f"start {state}" for state in STARTS)} | ({"cut"} if limit else set())
    if name == "double_q_learning":
        kinds |= {"table 0", "table 1"}
    assert min(witness.seen[kind] for kind in kinds) > 20  # all of it was seen, many times
    assert witness.seen["cut"] == 0 or limit
    assert max(witness.visits.values()) > 10


def test_sarsa_draws_a_new_action_where_a_new_episode_starts() -> None:
    # With a limit of one step, every action is one for the start: greedily, 2 in state 1 and 1 in state 3.
    wanted = torch.tensor([0, 2, 1, 1, 0])
    tables = learn("sarsa", certain(), runs=6, steps=40, epsilon=0.0, time_limit=1, step_size=constant_step(0.001))
    q = next(tables)
    q[:] = torch.nn.functional.one_hot(wanted, ACTIONS) * 1000.0
    next(tables)  # its action was drawn before the tables were filled
    for _ in range(20):
        before = q.clone()
        next(tables)
        for run, state, action in (q != before).nonzero().tolist():
            assert (state, action) in ((1, 2), (3, 1)), run


@pytest.mark.parametrize("several", [True, False], ids=["its own temperature for each run", "one for all"])
def test_soft_q_learning_acts_by_the_boltzmann_policy_of_its_table_and_by_chance(several: bool) -> None:
    # One state and three actions that change nothing. A table filled before each step shows what was done in it.
    one = torch.ones(1, 3, 1, dtype=torch.float64)
    mdp = FiniteMDP(one, one.long() * 0, one, one < 0, one[0, 0], 0.5)
    settings = [(0.5, 0.0), (3.0, 0.3), (3.0, 1.0)] if several else [(3.0, 0.3)] * 3
    alpha, epsilon = torch.tensor(settings, dtype=torch.float64).repeat(500, 1).T
    row = torch.tensor([2.0, 0.0, 1.0], dtype=torch.float64)
    counts = torch.zeros(3, 3, dtype=torch.int64)
    tables = learn(
        "soft_q_learning",
        mdp,
        runs=1_500,
        steps=21,
        step_size=constant_step(0.1),
        temperature=alpha if several else 3.0,
        epsilon=epsilon if several else 0.3,
    )
    next(tables).copy_(row)
    for q in tables:
        changed = (q != row).squeeze(1)
        assert (changed.sum(-1) == 1).all()
        counts += changed.view(500, 3, 3).sum(0)
        q.copy_(row)
    for count, (temperature, rate) in zip(counts, settings, strict=True):
        policy = (1 - rate) * boltzmann_policy(row, temperature) + rate / 3
        assert chisquare(count.tolist(), (10_000 * policy).tolist()).pvalue > 1e-6


def test_double_q_learning_tosses_a_fair_coin_for_every_run_and_step() -> None:
    tables = learn("double_q_learning", certain(), runs=500, steps=8, epsilon=1.0)
    before, coins = torch.zeros(2, 500, STATES, ACTIONS, dtype=torch.float64), []
    for step, q in enumerate(tables):
        if step > 0:
            coins.append((q != before).flatten(2).any(-1)[1].long())
        q.normal_(generator=generator(step))
        before = q.clone()
    heads = torch.stack(coins)
    assert chisquare(heads.flatten().bincount().numpy()).pvalue > 1e-6
    assert (
        chisquare((2 * heads[:-1] + heads[1:]).flatten().bincount().numpy()).pvalue > 1e-6
    )  # no step follows the last
    assert (
        chisquare((2 * heads[:, :-1] + heads[:, 1:]).flatten().bincount().numpy()).pvalue > 1e-6
    )  # nor a run its neighbour


def test_the_first_action_is_drawn_among_ties_too() -> None:
    for name in LEARNERS:
        q = next(learn(name, random_mdp(1, 4, 3, 2, 0.9), runs=600, epsilon=0.0))
        taken = (q != 0).flatten(0, -2).any(0)
        assert taken.all(), name


# Pieces


def test_episodes_show_the_true_next_state_and_stand_at_a_new_start_after_an_end() -> None:
    start = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    rows = [[[(1.0, s + 1 if s < 3 else 3, float(s), s == 2)], [(1.0, s, -1.0, False)]] for s in range(4)]
    mdp = FiniteMDP.from_outcomes(rows, start_probability=start, discount=0.9)
    episodes = Episodes(mdp, 3, generator(), time_limit=4)
    assert episodes.state.tolist() == [0, 0, 0]
    assert episodes.ended.tolist() == [False] * 3
    walk = torch.tensor([0, 0, 1])  # two runs walk to the end in three steps, one stands still until it is cut off
    expected = [
        ([1, 1, 0], [0, 0, -1], [False, False, False], [False, False, False], [1, 1, 0]),
        ([2, 2, 0], [1, 1, -1], [False, False, False], [False, False, False], [2, 2, 0]),
        ([3, 3, 0], [2, 2, -1], [True, True, False], [True, True, False], [0, 0, 0]),
        ([1, 1, 0], [0, 0, -1], [False, False, False], [False, False, True], [1, 1, 0]),
        ([2, 2, 0], [1, 1, -1], [False, False, False], [False, False, False], [2, 2, 0]),
    ]
    for next_states, rewards, terminations, endings, states in expected:
        next_state, reward, terminated = episodes.step(walk)
        assert next_state.tolist() == next_states
        assert reward.tolist() == rewards
        assert terminated.tolist() == terminations
        assert episodes.ended.tolist() == endings
        assert episodes.state.tolist() == states


def test_every_run_draws_its_own_starts() -> None:
    mdp = certain()
    first = Episodes(mdp, 1_000, generator(), time_limit=1)
    assert chisquare(first.state.bincount()[list(STARTS)].numpy()).pvalue > 1e-6
    first.step(torch.zeros(1_000, dtype=torch.int64))
    assert chisquare(first.state.bincount()[list(STARTS)].numpy()).pvalue > 1e-6


def test_episodes_without_a_limit_go_on() -> None:
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    episodes = Episodes(FiniteMDP(one, one.long() * 0, one, one < 0, one.flatten(), 0.9), 2, generator())
    for _ in range(100):
        episodes.step(torch.zeros(2, dtype=torch.int64))
        assert not episodes.ended.any()


def test_tables_read_rows_and_move_single_entries() -> None:
    tables = Tables((2, 5), random_mdp(0, 3, 2, 4, 0.9), polynomial_step(1))
    assert tables.values.shape == (2, 5, 3, 2)
    assert tables.begin.shape == (2, 5)
    assert not tables.values.any()
    tables.values[:] = torch.arange(60, dtype=torch.float64).view(2, 5, 3, 2)
    state, action = torch.tensor([0, 1, 2, 1, 0]), torch.tensor([1, 0, 1, 0, 0])
    which = torch.tensor([1, 0, 1, 1, 0])
    run = torch.arange(5)
    begin = tables.begin[which, run]
    expected = tables.values.clone()
    assert torch.equal(tables.at(begin + state), expected[which, run, state])
    for visit in (1, 2, 3):
        here = which, run, state, action
        expected[here] += (100.0 - expected[here]) / visit
        tables.update(begin + state, action, torch.full((5,), 100.0, dtype=torch.float64))
        assert torch.allclose(tables.values, expected)
    counted = torch.zeros(2, 5, 3, 2, dtype=torch.float64)
    counted[which, run, state, action] = 3
    assert torch.equal(tables.visits, counted)


# The run axis


@every_learner
def test_same_seed_same_tables_and_another_seed_others(name: str) -> None:
    mdp = random_mdp(2, 4, 3, 2, 0.9)
    first = last(learn(name, mdp, generator=generator(1), time_limit=5))
    assert torch.equal(first, last(learn(name, mdp, generator=generator(1), time_limit=5)))
    assert not torch.equal(first, last(learn(name, mdp, generator=generator(2), time_limit=5)))
    assert len({tuple(run.flatten().tolist()) for run in first.movedim(-3, 0)}) == 5  # no two runs are one


@every_learner
def test_disturbing_one_run_leaves_the_others_bitwise_equal(name: str) -> None:
    mdp = random_mdp(2, 4, 3, 2, 0.9)
    for disturbed in (0, 3):
        others = [run for run in range(5) if run != disturbed]
        calm, stormy = learn(name, mdp, steps=80, time_limit=6), learn(name, mdp, steps=80, time_limit=6)
        for step, (quiet, loud) in enumerate(zip(calm, stormy, strict=True)):
            assert torch.equal(quiet[..., others, :, :], loud[..., others, :, :])
            loud[..., disturbed, :, :] += step * torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
        assert not torch.equal(quiet[..., disturbed, :, :], loud[..., disturbed, :, :])


@every_learner
def test_settings_ride_on_the_run_axis(name: str) -> None:
    mdp = random_mdp(4, 4, 3, 2, 0.9)
    rates, exponents = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0]), torch.tensor([0.5, 0.6, 0.7, 0.8, 1.0]).double()
    together = last(learn(name, mdp, epsilon=rates, step_size=lambda visits: visits**-exponents))
    for run in range(5):
        # As float32 inside a tensor of rates, so the single rate is read back from it.
        alone = last(learn(name, mdp, epsilon=rates[run].item(), step_size=polynomial_step(exponents[run].item())))
        assert torch.allclose(alone[..., run, :, :], together[..., run, :, :], rtol=1e-12)


def test_temperatures_ride_on_the_run_axis_in_any_type() -> None:
    mdp = random_mdp(4, 4, 3, 2, 0.9)
    temperatures = torch.tensor([0.125, 0.5, 2.0, 8.0, 1024.0])
    together = last(learn("soft_q_learning", mdp, temperature=temperatures))
    assert torch.equal(together, last(learn("soft_q_learning", mdp, temperature=temperatures.double())))
    for run, temperature in enumerate(temperatures.tolist()):
        alone = last(learn("soft_q_learning", mdp, temperature=temperature))
        assert torch.allclose(alone[run], together[run], rtol=1e-12)


# Generators


@every_learner
def test_a_learner_yields_one_tensor_once_a_step(name: str) -> None:
    tables = learn(name, three_states(), steps=7, runs=5)
    first = next(tables)
    assert first.shape == ((2, 5, 3, 2) if name == "double_q_learning" else (5, 3, 2))
    assert first.dtype == torch.float64
    rest = list(tables)
    assert len(rest) == 6
    assert all(table is first for table in rest)


@every_learner
def test_the_readers_own_code_runs_outside_inference_mode(name: str) -> None:
    for q in learn(name, three_states(), steps=3):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
        weight = torch.ones((), dtype=torch.float64, requires_grad=True)
        (weight * q).sum().backward()  # a tensor of inference mode can't be saved for this
        assert weight.grad == q.sum()
        q += 1  # nor be written to
        q.clone().mul_(2)
        break
    assert not torch.is_inference_mode_enabled()


def test_an_error_inside_a_learner_does_not_leave_inference_mode_on() -> None:
    def broken(_: Tensor) -> Tensor:
        raise RuntimeError("no step")

    for name in LEARNERS:
        with pytest.raises(RuntimeError, match="no step"):
            next(learn(name, three_states(), step_size=broken))
        assert not torch.is_inference_mode_enabled()


def test_learners_take_turns_without_disturbing_each_other() -> None:
    mdp = random_mdp(2, 4, 3, 2, 0.9)
    alone = last(learn("q_learning", mdp))
    pair = zip(learn("q_learning", mdp), learn("sarsa", mdp), strict=True)
    *_, (beside, _) = pair
    assert torch.equal(alone, beside)


# Each learner's own exact answer


@every_learner
def test_a_time_limit_does_not_cut_the_bootstrap(name: str) -> None:
    # One state that pays 1 for ever: the value is 2, and 1 for whoever takes the limit for an end.
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    mdp = FiniteMDP(one, one.long() * 0, one, one < 0, one.flatten(), discount=0.5)
    q = last(learn(name, mdp, steps=200, time_limit=1))
    assert q.flatten().tolist() == pytest.approx([2.0] * q.numel(), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "epsilon", "answer"),
    [
        ("q_learning", 0.5, optimal_q),
        ("q_learning", torch.tensor([0.4, 0.5, 1.0, 0.6, 0.8]), optimal_q),
        ("double_q_learning", 0.5, optimal_q),
        ("expected_sarsa", 0.5, partial(epsilon_greedy_q, epsilon=0.5)),
        ("expected_sarsa", 1.0, partial(epsilon_greedy_q, epsilon=1.0)),
    ],
)
def test_without_chance_a_step_of_one_finds_the_answer_to_the_last_digit(
    name: str, epsilon: float | Tensor, answer: Callable[[FiniteMDP], Tensor]
) -> None:
    mdp = certain()
    q = last(learn(name, mdp, steps=4_000, step_size=constant_step(1.0), epsilon=epsilon))
    assert mdp.live.all()
    assert (q - answer(mdp)).abs().max() < 1e-8
    assert (answer(mdp) - epsilon_greedy_q(mdp, 0.25)).abs().max() > 1  # another answer would be far off


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0])
def test_without_chance_soft_q_learning_finds_the_soft_answer_of_every_temperature(epsilon: float) -> None:
    mdp = certain()
    some = [30.1, 60.1, 99.9, 300.1, 999.9] if epsilon == 0 else [1e-3, 0.1, 5.1, 99.9, 999.9]
    temperatures = torch.tensor(some, dtype=torch.float64)
    q = last(
        learn(
            "soft_q_learning",
            mdp,
            steps=6_000,
            step_size=constant_step(1.0),
            epsilon=epsilon,
            temperature=temperatures,
        )
    )
    answer = soft_optimal_q(mdp, temperatures.unsqueeze(-1))
    assert ((q - answer).abs().amax((1, 2)) / answer.abs().amax((1, 2))).max() < 1e-10
    assert (answer[3:] - optimal_q(mdp)).abs().amax((1, 2)).min() > 100


def test_at_a_temperature_too_small_to_divide_by_soft_q_learning_finds_the_optimal_q() -> None:
    mdp = certain()
    q = last(learn("soft_q_learning", mdp, steps=4_000, step_size=constant_step(1.0), epsilon=1.0, temperature=1e-300))
    assert (q - optimal_q(mdp)).abs().max() < 1e-8


@pytest.mark.parametrize("exploring", [True, False], ids=["uniform transitions", "acting"])
@every_learner
def test_with_chance_every_learner_finds_its_own_answer(name: str, exploring: bool) -> None:
    mdp = three_states()
    epsilon = 0.5
    on_policy = name in ("sarsa", "expected_sarsa")
    optimal, own = optimal_q(mdp), epsilon_greedy_q(mdp, epsilon)
    settings = {}
    if name == "soft_q_learning":
        settings["temperature"] = torch.tensor([0.01, 1.0, 5.0, 20.0], dtype=torch.float64).repeat(4)
        own = soft_optimal_q(mdp, settings["temperature"].unsqueeze(-1))
    assert (optimal - own).abs().max() > 3  # the learners' answers differ by much more than the errors below
    where = mdp.exploring_starts() if exploring else mdp
    limit = 1 if exploring else None
    q = last(
        learn(
            name,
            where,
            runs=16,
            steps=6_000,
            epsilon=epsilon,
            step_size=polynomial_step(0.8),
            time_limit=limit,
            **settings,
        )
    )
    error = (q - (own if on_policy or settings else optimal)).abs().flatten(-2).amax(-1)  # over states and actions
    assert (error < 1.1).double().mean() >= 0.85, error  # of 400 runs 97 % or more were


def test_another_next_value_makes_another_learner() -> None:
    q = last(
        learn(
            "q_learning",
            certain(),
            steps=2_000,
            step_size=constant_step(1.0),
            epsilon=1.0,
            next_value=lambda q: q.mean(-1),
        )
    )
    assert (q - epsilon_greedy_q(certain(), 1.0)).abs().max() < 1e-8


def test_uniform_transitions_are_uniform_over_live_states_and_actions() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9).exploring_starts()
    visits = torch.zeros(16, 4, dtype=torch.int64)
    tables = learn("q_learning", mdp, runs=100, steps=201, epsilon=1.0, time_limit=1, step_size=torch.ones_like)
    next(tables).fill_(7)  # which no target here equals
    for q in tables:
        visits += (q != 7).sum(0)
        q.fill_(7)
    assert visits.sum() == 100 * 200
    assert visits[~mdp.live].sum() == 0
    assert chisquare(visits[mdp.live].flatten().numpy()).pvalue > 1e-6


# The border


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"runs": 0}, ValueError, "runs must be at least 1, but is 0"),
    ({"runs": -1}, ValueError, "runs must be at least 1, but is -1"),
    ({"runs": 2.0}, TypeError, "runs must be a whole number, but is 2.0"),
    ({"steps": 0}, ValueError, "steps must be at least 1, but is 0"),
    ({"steps": "many"}, TypeError, "steps must be a whole number, but is 'many'"),
    ({"time_limit": 0}, ValueError, "time_limit must be at least 1, but is 0"),
    ({"time_limit": 1.5}, TypeError, "time_limit must be a whole number, but is 1.5"),
    ({"epsilon": 1.1}, ValueError, r"epsilon must lie in \[0, 1\], but is 1.1"),
    ({"epsilon": math.nan}, ValueError, r"epsilon must lie in \[0, 1\], but is nan"),
    ({"epsilon": "greedy"}, TypeError, "epsilon must be a number, but is 'greedy'"),
    ({"epsilon": torch.tensor([0.1, 0.2])}, ValueError, r"epsilon must .* shape \(5,\).*\[0.1.*shape \(2,\)"),
    ({"epsilon": torch.full((5, 1), 0.1)}, ValueError, r"epsilon must .* shape \(5,\).*shape \(5, 1\)"),
    ({"epsilon": torch.tensor([0.1, 0.2, 0.3, 0.4, 1.5])}, ValueError, r"epsilon must .*lie in \[0, 1\].*1.5"),
    ({"epsilon": torch.tensor([0.1, 0.2, 0.3, 0.4, -0.5])}, ValueError, r"epsilon must .*lie in \[0, 1\].*-0.5"),
    ({"epsilon": torch.tensor([0.1, 0.2, 0.3, 0.4, math.nan])}, ValueError, "epsilon must .*nan"),
]


@every_learner
@pytest.mark.parametrize(("arguments", "error", "words"), BAD)
def test_bad_arguments_are_refused_at_the_first_step(
    name: str, arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        next(learn(name, three_states(), **arguments))


@pytest.mark.parametrize(
    ("temperature", "error", "words"),
    [
        (0, ValueError, r"^temperature must be positive and finite, but is 0 at \[0\]\. The limit"),
        (-1.0, ValueError, r"temperature must be positive and finite, but is -1 at \[0\]\."),
        (math.nan, ValueError, r"temperature must be positive and finite, but is nan"),
        (math.inf, ValueError, r"temperature must be positive and finite, but is inf"),
        ("warm", TypeError, "temperature must be a number, but is 'warm'"),
        (None, TypeError, "temperature must be a number, but is None"),
        (
            torch.tensor(1.0),
            ValueError,
            r"temperature must be a number or have the shape \(5,\), but has the shape \(\)",
        ),
        (torch.ones(2), ValueError, r"must be a number or have the shape \(5,\), but has the shape \(2,\)"),
        (torch.ones(5, 1), ValueError, r"must be a number or have the shape \(5,\), but has the shape \(5, 1\)"),
        (
            torch.tensor([1.0, 2, 0, 4, 5]),
            ValueError,
            r"positive and finite, but is 0 at \[2\]\. The limit",
        ),
        (torch.tensor([1.0, 2, math.nan, 4, 5]), ValueError, "positive and finite, .*nan"),
        (torch.tensor([1.0, 2, math.inf, 4, 5]), ValueError, "positive and finite, .*inf"),
    ],
)
def test_a_bad_temperature_is_refused_at_the_first_step(temperature: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as found:
        next(learn("soft_q_learning", three_states(), temperature=temperature))
    if "positive" in words:  # what soft_value says of its own is about another limit
        assert str(found.value).endswith(" The limit of a vanishing temperature is q_learning.")


def test_soft_q_learning_explores_by_its_temperature_alone_unless_told_otherwise() -> None:
    arguments: dict[str, Any] = {"runs": 5, "steps": 50, "step_size": constant_step(0.5), "temperature": 1.0}
    mdp = random_mdp(2, 4, 3, 2, 0.9)
    silent = last(soft_q_learning(mdp, **arguments, generator=generator()))
    assert torch.equal(silent, last(soft_q_learning(mdp, **arguments, epsilon=0.0, generator=generator())))
    assert not torch.equal(silent, last(soft_q_learning(mdp, **arguments, epsilon=0.9, generator=generator())))


def test_a_next_value_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"next_value must turn \(5, 2\) into \(5,\), but gave \(2,\)"):
        next(learn("q_learning", three_states(), next_value=lambda q: q.amax(0)))


@pytest.mark.parametrize(
    ("make", "argument", "error", "words"),
    [
        (constant_step, 0, ValueError, "size must be positive and finite, but is 0"),
        (constant_step, -0.1, ValueError, "size must be positive"),
        (constant_step, 1.5, ValueError, r"size must lie in \[0, 1\], but is 1.5"),
        (constant_step, math.nan, ValueError, "size must be positive and finite, but is nan"),
        (constant_step, "big", TypeError, "size must be a number, but is 'big'"),
        (polynomial_step, 0, ValueError, "exponent must be positive and finite, but is 0"),
        (polynomial_step, -1, ValueError, "exponent must be positive"),
        (polynomial_step, math.inf, ValueError, "exponent must be positive and finite, but is inf"),
        (polynomial_step, None, TypeError, "exponent must be a number, but is None"),
    ],
)
def test_bad_step_sizes_are_refused(
    make: Callable[[Any], Any], argument: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make(argument)


def test_a_step_size_is_a_function_of_the_visits() -> None:
    mdp = random_mdp(0, 3, 2, 4, 0.9)
    with pytest.raises(TypeError, match="step_size must be a function of the visits"):
        next(q_learning(mdp, runs=2, steps=1, step_size=0.1, epsilon=0.1, generator=generator()))
    with pytest.raises(ValueError, match=r"step_size must turn \(2,\) visits into as many steps, but gave \(1,\)"):
        next(q_learning(mdp, runs=2, steps=1, step_size=lambda n: n[:1], epsilon=0.1, generator=generator()))
