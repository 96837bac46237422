"""Exact answers against plain loops, a linear program, every policy there is, and known values of Gymnasium's environments."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from itertools import chain, islice, pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from torch import Tensor

from sac_tutorial.equations import (
    boltzmann_divergence,
    boltzmann_policy,
    epsilon_greedy_policy,
    epsilon_greedy_value,
    expected_value,
    floored_policy,
    greedy_policy,
    greedy_value,
    soft_policy_value,
    soft_value,
)
from sac_tutorial.exact.dynamic_programming import (
    Improvement,
    Sweep,
    epsilon_greedy_q,
    expected_target,
    optimal_q,
    policy_evaluation,
    policy_iteration,
    policy_q,
    soft_optimal_q,
    soft_policy_iteration,
    soft_value_iteration,
    sweeps,
    value_iteration,
)
from sac_tutorial.worlds.mdp import FiniteMDP, Outcome
from tests.oracles import (
    FAST,
    best_of_all_policies,
    decimal_soft_optimum,
    discounted_sum,
    linear_program,
    mdps,
    minimized,
    plain_backup,
    plain_fixed_point,
    plain_floored_policy,
    plain_policy_q,
    plain_soft_optimal_q,
    plain_soft_policy_q,
    plain_soft_policy_value,
    random_mdp,
    random_policy,
    random_q,
    three_states,
)

SEED, RATE = st.integers(0, 2**32 - 1), st.floats(0, 1)
POWER = st.floats(-3, 3)
"""Of ten: the temperatures."""
TEMPERATURES = torch.logspace(-3, 3, 7, dtype=torch.float64).unsqueeze(-1)


def distance(q: Tensor, other: Tensor) -> float:
    return (q - other).abs().max().item()


def uniform(mdp: FiniteMDP) -> Tensor:
    return torch.full((mdp.states, mdp.actions), 1 / mdp.actions, dtype=torch.float64)


def without_ends(mdp: FiniteMDP) -> FiniteMDP:
    return FiniteMDP(
        mdp.probability, mdp.next_state, mdp.reward, mdp.terminated & False, mdp.start_probability, mdp.discount
    )


def with_discount(mdp: FiniteMDP, discount: float, reward_scale: float = 1.0) -> FiniteMDP:
    return FiniteMDP(
        mdp.probability, mdp.next_state, mdp.reward * reward_scale, mdp.terminated, mdp.start_probability, discount
    )


# What would hang comes first: everything after it relies on policy iteration's end.


@pytest.mark.parametrize("seed", range(5))
def test_policy_iteration_ends(seed: int) -> None:
    mdp = random_mdp(seed, 5, 3, 4, 0.9)
    assert len(list(islice(policy_iteration(mdp), 50))) < 50
    assert len(list(islice(policy_iteration(mdp, policy=random_policy(seed, mdp)), 50))) < 50


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 0.999])
def test_soft_policy_iteration_ends(discount: float) -> None:
    for seed in range(5):
        mdp = random_mdp(seed, 5, 3, 4, discount)
        for project in (None, partial(floored_policy, floor=0.1)):
            first = floored_policy(random_policy(seed, mdp), 0.1)
            rounds = soft_policy_iteration(mdp, TEMPERATURES, policy=first, project=project)
            assert len(list(islice(rounds, 50))) < 50


def test_soft_policy_iteration_ends_where_rounding_makes_every_gain_negative() -> None:
    # A "projection" that gives the worse action a little more each time: V falls by 1e-15 and again, and never halves.
    given = 0

    def drift(_: Tensor) -> Tensor:
        nonlocal given
        given += 1
        worse = 0.5 + given * 1e-15
        return torch.tensor([[1 - worse, worse]], dtype=torch.float64)

    pays = torch.tensor([[[1.0], [0.0]]], dtype=torch.float64)
    mdp = FiniteMDP(pays * 0 + 1, pays.long() * 0, pays, pays > 2, torch.ones(1, dtype=torch.float64), 0.5)
    rounds = list(islice(soft_policy_iteration(mdp, 1e-3, project=drift), 50))
    assert len(rounds) < 50
    assert all(found.gain == 0 for found in rounds)
    # and in earnest: in one state rounding decides the sign for all
    for seed in range(20):
        alone = random_mdp(seed, 1, 3, 2, 0.9)
        for temperature in (1.0, 1e3):
            assert len(list(islice(soft_policy_iteration(alone, temperature), 50))) < 50


# Backups by hand


def test_expected_target_by_hand() -> None:
    q = expected_target(three_states(), torch.tensor([8.0, 16.0, 32.0], dtype=torch.float64))
    assert q.tolist() == [[14, 17], [6, 5.5], [32, 4]]


def test_first_sweeps_of_value_iteration_by_hand() -> None:
    first, second, *_ = value_iteration(three_states())
    assert first.q.tolist() == [[6, 1], [4, 1], [32, 0]]
    assert (first.residual, first.error_bound) == (32, 32)
    assert second.q.tolist() == [[11, 17], [5.5, 3.875], [32, 2]]
    assert (second.residual, second.error_bound) == (16, 16)


def test_first_sweeps_of_policy_evaluation_by_hand() -> None:
    policy = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]], dtype=torch.float64)
    first, second, *_ = policy_evaluation(three_states(), policy)
    assert first.q.tolist() == [[6, 1], [4, 1], [32, 0]]
    # V = (3.5, 4, 8)
    assert second.q.tolist() == [[8, 5], [4.875, 2.78125], [32, 1.375]]
    assert (second.residual, second.error_bound) == (4, 4)


def test_sweeps_begin_where_they_are_told_and_leave_that_table_alone() -> None:
    start = torch.tensor([[0, 8], [16, 0], [32, -64]], dtype=torch.float64)
    kept = start.clone()
    policy = torch.tensor([[0, 1], [1, 0], [1, 0]], dtype=torch.float64)
    for begun in (value_iteration(three_states(), start=start), policy_evaluation(three_states(), policy, start=start)):
        first = next(begun)
        assert first.q.tolist() == [[14, 17], [6, 5.5], [32, 4]]
        assert first.residual == 68
        next(begun)
    assert torch.equal(start, kept)


# Independent answers


@FAST
@given(mdp=mdps(), seed=SEED)
def test_expected_target_is_the_average_outcome_by_outcome(mdp: FiniteMDP, seed: int) -> None:
    value = random_q(seed, mdp)[:, 0]
    q = expected_target(mdp, value)
    assert torch.allclose(q, plain_backup(mdp, value))
    assert torch.allclose(
        q, mdp.expected_reward + mdp.discount * torch.einsum("sat,t->sa", mdp.continuation_matrix, value)
    )


@FAST
@given(mdp=mdps(states=3, actions=3))
def test_all_roads_lead_to_the_optimal_q(mdp: FiniteMDP) -> None:
    optimal = best_of_all_policies(mdp)
    assert distance(linear_program(mdp), optimal) < 1e-6
    assert distance(optimal_q(mdp), optimal) < 1e-9
    *_, swept = value_iteration(mdp, tolerance=1e-9)
    assert distance(swept.q, optimal) < 1.1e-9
    *_, improved = policy_iteration(mdp)
    assert distance(improved.q, optimal) < 1e-9
    assert distance(expected_value(improved.q, improved.policy), greedy_value(optimal)) < 1e-9
    assert distance(policy_q(mdp, greedy_policy(improved.q)), optimal) < 1e-9


@pytest.mark.parametrize("seed", range(2))
def test_larger_models_agree_with_the_linear_program(seed: int) -> None:
    mdp = random_mdp(seed, 40, 4, 3, 0.95)
    assert distance(optimal_q(mdp), linear_program(mdp)) < 1e-6


@FAST
@given(mdp=mdps(states=4, actions=3, outcomes=3, discount=0.6), seed=SEED)
def test_policy_evaluation_and_linear_solve_agree_with_plain_sweeps(mdp: FiniteMDP, seed: int) -> None:
    policy = random_policy(seed, mdp)
    plain = plain_policy_q(mdp, policy)
    assert distance(policy_q(mdp, policy), plain) < 1e-9
    *_, swept = policy_evaluation(mdp, policy, tolerance=1e-9)
    assert distance(swept.q, plain) < 2e-9


@FAST
@given(mdp=mdps(discount=0.8), rate=RATE)
def test_epsilon_greedy_q_is_its_own_policys_value(mdp: FiniteMDP, rate: float) -> None:
    q = epsilon_greedy_q(mdp, rate)
    assert distance(q, expected_target(mdp, epsilon_greedy_value(q, rate))) < 1e-9
    gaps = (greedy_value(q).unsqueeze(-1) - q).clamp(min=0)
    if ((gaps == 0) | (gaps > 1e-6)).all():  # rounding must not hide which actions tie
        assert distance(q, policy_q(mdp, epsilon_greedy_policy(q, rate))) < 1e-8


def test_epsilon_greedy_q_lies_between_the_optimal_and_the_uniform_policys() -> None:
    mdp = three_states()
    assert distance(epsilon_greedy_q(mdp, 0), optimal_q(mdp)) < 1e-9
    assert distance(epsilon_greedy_q(mdp, 1), policy_q(mdp, uniform(mdp))) < 1e-9
    half = epsilon_greedy_q(mdp, 0.5)
    assert (half <= optimal_q(mdp) + 1e-9).all()
    assert distance(half, optimal_q(mdp)) > 0.1


# The theorems


def operators(mdp: FiniteMDP, seed: int, rate: float) -> dict[str, Callable[[Tensor], Tensor]]:
    policy = random_policy(seed, mdp)
    temperature = 10 ** (6 * rate - 3)
    return {
        "optimality": greedy_value,
        "expectation": partial(expected_value, probability=policy),
        "epsilon-greedy": partial(epsilon_greedy_value, epsilon=rate),
        "soft optimality": partial(soft_value, temperature=temperature),
        "soft expectation": partial(soft_policy_value, policy=policy, temperature=temperature),
    }


@FAST
@given(mdp=mdps(), seed=SEED, rate=RATE)
def test_backups_contract_by_the_discount_and_are_monotone(mdp: FiniteMDP, seed: int, rate: float) -> None:
    q, other = random_q(seed, mdp), random_q(seed + 1, mdp)
    for name, value in operators(mdp, seed, rate).items():
        gap = distance(expected_target(mdp, value(q)), expected_target(mdp, value(other)))
        rounding = 1e-12 * (1 + value(q).abs().max().item())
        assert gap <= mdp.discount * distance(q, other) + rounding, name
        larger = expected_target(mdp, value(torch.maximum(q, other)))
        assert (larger >= expected_target(mdp, value(q)) - rounding).all(), name


@FAST
@given(mdp=mdps(), seed=SEED, rate=RATE)
def test_every_error_is_below_both_bounds(mdp: FiniteMDP, seed: int, rate: float) -> None:
    start, policy = random_q(seed, mdp), random_policy(seed, mdp)
    exact = {
        "optimality": best_of_all_policies(mdp) if mdp.actions**mdp.states <= 27 else optimal_q(mdp),
        "expectation": policy_q(mdp, policy),
        "epsilon-greedy": epsilon_greedy_q(mdp, rate, tolerance=1e-11),
        "soft optimality": soft_optimal_q(mdp, 10 ** (6 * rate - 3)),
        "soft expectation": policy_q(mdp, policy, 10 ** (6 * rate - 3)),
    }
    for name, value in operators(mdp, seed, rate).items():
        first, previous, count = distance(start, exact[name]), start, 0
        for count, sweep in enumerate(sweeps(mdp, value, tolerance=1e-6, start=start), start=1):
            error = distance(sweep.q, exact[name])
            rounding = 1e-9 + 1e-11 * distance(exact[name], torch.zeros(()))
            assert error <= sweep.error_bound + rounding, name  # (1.16)
            assert error <= mdp.discount**count * first + rounding, name  # (1.14)
            assert sweep.residual == distance(sweep.q, previous), name
            assert sweep.error_bound == pytest.approx(sweep.residual * mdp.discount / (1 - mdp.discount)), name
            previous = sweep.q
        assert sweep.error_bound <= 1e-6
        assert error <= 1e-6 + rounding
        assert count >= 1


def test_the_bounds_are_tight_where_everything_moves_one_way() -> None:
    # One state that pays 1 for ever: errors are exactly γ^k · 2 and exactly the bound.
    mdp = one_state_that_pays(1.0, 0.5)
    for count, sweep in zip(range(1, 11), value_iteration(mdp), strict=False):
        assert 2 - sweep.q.item() == sweep.error_bound == 2 * 0.5**count


def test_sweeps_stop_at_the_first_one_that_is_close_enough() -> None:
    mdp = random_mdp(3, 5, 3, 4, 0.9)
    for tolerance in (1e-2, 1e-6):
        bounds = [sweep.error_bound for sweep in value_iteration(mdp, tolerance=tolerance)]
        assert bounds[-1] <= tolerance < min(bounds[:-1])


def test_without_a_future_one_sweep_is_exact() -> None:
    mdp = with_discount(three_states(), 0.0)
    answers = list(value_iteration(mdp))
    assert len(answers) == 1
    assert answers[0].q.tolist() == [[6, 1], [4, 1], [32, 0]]
    assert answers[0].error_bound == 0


@FAST
@given(mdp=mdps(), seed=SEED)
def test_policy_improvement_never_lowers_a_value(mdp: FiniteMDP, seed: int) -> None:
    policy = random_policy(seed, mdp)
    before = policy_q(mdp, policy)
    assert (policy_q(mdp, greedy_policy(before)) >= before - 1e-9).all()
    rounds = list(policy_iteration(mdp, policy=policy))
    assert torch.equal(rounds[0].policy, policy)
    for earlier, later in pairwise(rounds):
        assert (later.q >= earlier.q - 1e-9).all()
        assert earlier.gain > 0
    assert 0 <= rounds[-1].gain < 1e-9


def test_rounds_of_policy_iteration_by_hand() -> None:
    mdp = three_states()
    first, *_ = rounds = list(policy_iteration(mdp))
    assert first.policy.tolist() == [[0.5, 0.5]] * 3
    assert distance(first.q, plain_policy_q(mdp, uniform(mdp))) < 1e-12
    value = first.q.mean(-1)
    assert first.gain == pytest.approx((first.q.amax(-1) - value).max().item())
    last = rounds[-1]
    # hut → ride, lake → ride, peak → walk: V(peak) = 32, V(hut) = 1 + 32/2 = 17, V(lake) = 1 + (V(lake)/8 + 7/8 · 17)/2 = 9
    assert last.policy.tolist() == [[0, 1], [0, 1], [1, 0]]
    assert distance(last.q, torch.tensor([[12.25, 17], [8.25, 9], [32, 5.375]])) < 1e-12
    assert last.gain == pytest.approx(0, abs=1e-12)


def test_a_policy_that_is_already_best_is_kept() -> None:
    # Both actions are one: any policy is optimal, and the first is not replaced by another of equal value.
    mdp = random_mdp(5, 4, 1, 3, 0.9)
    outcomes = mdp.probability, mdp.next_state, mdp.reward, mdp.terminated
    probability, next_state, reward, terminated = (field.repeat(1, 2, 1) for field in outcomes)
    twice = FiniteMDP(probability, next_state, reward, terminated, mdp.start_probability, 0.9)
    policy = torch.tensor([[0.25, 0.75]] * 4, dtype=torch.float64)
    (only,) = policy_iteration(twice, policy=policy)
    assert torch.equal(only.policy, policy)


def test_a_state_keeps_its_best_policy_while_another_improves() -> None:
    def stays(state: int, reward: float) -> list[Outcome]:
        return [(1.0, state, reward, False)]

    mdp = FiniteMDP.from_outcomes(
        [[stays(0, 1.0), stays(0, 1.0)], [stays(1, 0.0), stays(1, 1.0)]],
        start_probability=torch.tensor([0.5, 0.5], dtype=torch.float64),
        discount=0.5,
    )
    first, second = policy_iteration(mdp, policy=torch.tensor([[0.25, 0.75], [0.25, 0.75]], dtype=torch.float64))
    assert first.gain > 0
    assert second.policy.tolist() == [[0.25, 0.75], [0, 1]]


@pytest.mark.parametrize("discount", [0.5, 0.9999])
@pytest.mark.parametrize("scale", [1e-15, 1e12])
def test_policy_iteration_does_not_depend_on_the_unit_of_reward(scale: float, discount: float) -> None:
    mdp = random_mdp(1, 5, 3, 4, discount)
    rounds, scaled = list(policy_iteration(mdp)), list(policy_iteration(with_discount(mdp, discount, scale)))
    assert len(rounds) == len(scaled) > 1
    assert torch.equal(rounds[-1].policy, scaled[-1].policy)
    assert torch.allclose(scaled[-1].q / scale, rounds[-1].q)


def test_rewards_of_zero_have_value_zero() -> None:
    mdp = with_discount(three_states(), 0.9, 0.0)
    assert not optimal_q(mdp).any()
    assert len(list(policy_iteration(mdp))) == 1


def one_state_that_pays(reward: float, discount: float) -> FiniteMDP:
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    return FiniteMDP(one, one.long() * 0, reward * one, one < 0, one.flatten(), discount)


@pytest.mark.parametrize(("reward", "start"), [(1.0, 0.0), (0.0, 1e6), (1.0, 1e6), (-1e6, 1.0)])
def test_the_slowest_contraction_still_arrives(reward: float, start: float) -> None:
    mdp = one_state_that_pays(reward, 0.9)
    *_, last = value_iteration(mdp, start=torch.tensor([[start]], dtype=torch.float64), tolerance=1e-4)
    assert last.q.item() == pytest.approx(10 * reward, abs=1.01e-4)


# Known answers


def test_frozen_lake_without_ice_is_six_steps_long() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9, is_slippery=False)
    q = optimal_q(mdp)
    assert q[0].max().item() == pytest.approx(0.9**5, rel=1e-12)
    assert q[14].tolist() == pytest.approx([0.9**2, 0.9, 1, 0.9**2])


@pytest.mark.parametrize("discount", [0.9, 0.99, 0.9999])
def test_cliff_walking_takes_thirteen_steps_of_minus_one(discount: float) -> None:
    q = optimal_q(FiniteMDP.from_gymnasium("CliffWalking-v1", discount=discount))
    assert q[36].max().item() == pytest.approx(-(1 - discount**13) / (1 - discount), rel=1e-9)
    assert q[36].argmax() == 0  # up
    assert q[36, 1].item() == pytest.approx(-100 + discount * q[36].max().item())  # right: back at the start


def test_taxi_takes_the_shortest_ride() -> None:
    mdp = FiniteMDP.from_gymnasium("Taxi-v4", discount=0.97)
    assert ((mdp.probability == 1).sum(-1) == 1).all()  # deterministic: a breadth-first search knows the answer
    steps = torch.full((mdp.states,), math.inf, dtype=torch.float64)  # to the drop-off that ends the ride
    steps[mdp.terminated[..., 0].any(-1)] = 1
    penalised = mdp.reward[..., 0] == -10
    while True:
        onward = steps[mdp.next_state[..., 0]].masked_fill(mdp.terminated[..., 0] | penalised, math.inf).amin(-1) + 1
        if torch.equal(shorter := torch.minimum(steps, onward), steps):
            break
        steps = shorter
    value = greedy_value(optimal_q(mdp))[mdp.live]
    steps = steps[mdp.live]
    assert steps.max() == 18
    assert torch.allclose(value, 20 * 0.97 ** (steps - 1) - (1 - 0.97 ** (steps - 1)) / 0.03)


# Soft values: by hand


def test_expected_target_carries_the_gradient_to_the_values() -> None:
    mdp = three_states()  # lesson 06 differentiates a backup, for Newton's method
    for value in (torch.zeros(3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)):
        entry = expected_target(mdp, value.requires_grad_())[..., 1, 0].sum()
        (slope,) = torch.autograd.grad(entry, value)
        assert torch.equal(slope, (mdp.discount * mdp.continuation_matrix[1, 0]).expand_as(value))


def test_expected_target_carries_axes_in_front() -> None:
    mdp = random_mdp(0, 5, 4, 3, 0.9)
    value = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 5)))
    together = expected_target(mdp, value)
    assert together.shape == (2, 3, 5, 4)
    for run in range(2):
        for setting in range(3):
            assert torch.allclose(together[run, setting], plain_backup(mdp, value[run, setting]))
    assert torch.allclose(expected_target(mdp, value[:1, 0]), together[:1, 0])


def test_first_sweeps_of_soft_value_iteration_by_hand() -> None:
    # Zeros are worth α log 2 in every state, 8 here; a half of it comes from where the episode goes on, and only from there.
    alpha = 8 / math.log(2)
    first, second, *_ = soft_value_iteration(three_states(), alpha)
    assert distance(first.q, torch.tensor([[6 + 3, 1 + 4], [4 + 2, 1 + 4], [32, 3]])) < 1e-14
    value = alpha * torch.tensor(
        [math.log(sum(math.exp(q / alpha) for q in row)) for row in ([9, 5], [6, 5], [32, 3])], dtype=torch.float64
    )
    assert distance(second.q, plain_backup(three_states(), value)) < 1e-13
    assert second.residual == distance(second.q, first.q)
    assert second.error_bound == second.residual


def test_first_sweeps_of_soft_policy_evaluation_by_hand() -> None:
    policy = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]], dtype=torch.float64)
    log2, log3 = math.log(2), math.log(3)
    first, second, *_ = policy_evaluation(three_states(), policy, 16.0)

    def backed_up(hut: float, lake: float, peak: float) -> Tensor:
        return torch.tensor(
            [
                [6 + lake / 4 + peak / 8, 1 + peak / 2],
                [4 + hut / 4, 1 + lake / 16 + 7 * hut / 16],
                [32, hut / 4 + lake / 8],
            ],
            dtype=torch.float64,
        )

    bonus = 16 * log2, 0, 16 * (2 * log2 - 0.75 * log3)  # the entropies times α
    assert distance(first.q, backed_up(*bonus)) < 1e-14
    hut, lake, peak = first.q.tolist()
    value = sum(hut) / 2 + bonus[0], lake[0] + bonus[1], 0.25 * peak[0] + 0.75 * peak[1] + bonus[2]
    assert distance(second.q, backed_up(*value)) < 1e-14
    assert second.residual == distance(second.q, first.q)


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
def test_q_leaves_out_the_entropy_of_its_own_action_and_what_ends_leaves_out_all(temperature: float) -> None:
    # One step and no more: Q is the reward, whoever acts and whatever the temperature; the value has the entropy.
    rewards = [3.0, -1.0, 2.5]
    mdp = FiniteMDP.from_outcomes(
        [[[(1.0, 0, reward, True)] for reward in rewards]],
        start_probability=torch.ones(1, dtype=torch.float64),
        discount=0.9,
    )
    policy = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
    assert policy_q(mdp, policy, temperature).tolist() == [rewards]
    assert next(policy_evaluation(mdp, policy, temperature)).q.tolist() == [rewards]
    assert next(soft_value_iteration(mdp, temperature)).q.tolist() == [rewards]
    assert soft_optimal_q(mdp, temperature).tolist() == [rewards]
    *_, last = soft_policy_iteration(mdp, temperature)
    weight = np.exp((np.array(rewards) - 3) / temperature)
    assert last.policy[0].tolist() == pytest.approx(weight / weight.sum(), abs=1e-15)


def test_soft_values_of_a_state_that_never_ends_are_geometric_sums() -> None:
    # Two actions that pay 1 for ever: V = (1 + α log 2)/(1 − γ), and Q = 1 + γ V.
    one = torch.ones(1, 2, 1, dtype=torch.float64)
    mdp = FiniteMDP(one, one.long() * 0, one, one < 0, one[0, 0], 0.75)
    value = (1 + 3 * math.log(2)) / 0.25
    half = torch.full((1, 2), 0.5, dtype=torch.float64)
    for q in (soft_optimal_q(mdp, 3.0), policy_q(mdp, half, 3.0)):
        assert q.tolist() == [pytest.approx([1 + 0.75 * value] * 2, rel=1e-14)]
        assert soft_value(q, 3.0).item() == pytest.approx(value)
    certain = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    assert policy_q(mdp, certain, 3.0).tolist() == [pytest.approx([4, 4])]  # no entropy, no bonus
    quarter = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
    value = (1 + 3 * (2 * math.log(2) - 0.75 * math.log(3))) / 0.25
    assert policy_q(mdp, quarter, 3.0).tolist() == [pytest.approx([1 + 0.75 * value] * 2)]


# Soft values: independent answers


@FAST
@given(mdp=mdps(discount=0.8), seed=SEED, power=POWER)
def test_soft_evaluation_and_its_linear_solve_agree_with_plain_sweeps(mdp: FiniteMDP, seed: int, power: float) -> None:
    temperature = 10**power
    policy = random_policy(seed, mdp)
    policy[0] = torch.eye(mdp.actions, dtype=torch.float64)[0]  # zeros are fine
    plain = plain_soft_policy_q(mdp, policy, temperature)
    rounding = 1e-12 * (1 + plain.abs().max().item())
    assert distance(policy_q(mdp, policy, temperature), plain) < rounding
    *_, swept = policy_evaluation(mdp, policy, temperature, tolerance=1e-9)
    assert distance(swept.q, plain) < 1e-9 + rounding


@FAST
@given(mdp=mdps(discount=0.8), seed=SEED, power=POWER)
def test_all_roads_lead_to_the_soft_optimal_q(mdp: FiniteMDP, seed: int, power: float) -> None:
    temperature = 10**power
    plain = plain_soft_optimal_q(mdp, temperature)
    rounding = 1e-11 * (1 + plain.abs().max().item())
    assert distance(soft_optimal_q(mdp, temperature), plain) < rounding
    *_, swept = soft_value_iteration(mdp, temperature, tolerance=1e-9)
    assert distance(swept.q, plain) < 1e-9 + rounding
    *_, improved = soft_policy_iteration(mdp, temperature, policy=random_policy(seed, mdp))
    assert distance(improved.q, plain) < rounding
    assert 0 <= improved.gain < rounding
    value = soft_policy_value(improved.q, improved.policy, temperature)
    assert distance(value, soft_value(plain, temperature)) < rounding
    # Theorem 1: π* = exp((Q* − V*)/α), and it is its own value's policy
    optimal = ((plain - soft_value(plain, temperature).unsqueeze(-1)) / temperature).exp()
    assert distance(optimal.sum(-1), torch.ones(())) < 1e-9 * max(1, 1 / temperature)
    assert distance(improved.policy, optimal) < 1e-5
    assert distance(policy_q(mdp, boltzmann_policy(plain, temperature), temperature), plain) < rounding


@pytest.mark.parametrize(("seed", "temperature"), [(0, 0.3), (1, 1.0), (2, 4.0)])
def test_the_soft_optimum_is_the_smallest_value_that_no_backup_raises(seed: int, temperature: float) -> None:
    # A convex program, solved by SciPy: minimise Σ V where V(s) ≥ α log Σ exp((r̄ + γ P̃ V)/α).
    mdp = random_mdp(seed, 4, 3, 3, 0.7)
    reward, onward = mdp.expected_reward.numpy(), 0.7 * mdp.continuation_matrix.numpy()

    def slack(value: Any) -> Any:
        return value - temperature * logsumexp((reward + onward @ value) / temperature, axis=-1)

    answer = minimized(
        np.sum,
        np.full(4, 50.0),
        constraints={"type": "ineq", "fun": slack},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    assert answer.success
    assert np.abs(answer.x - soft_value(soft_optimal_q(mdp, temperature), temperature).numpy()).max() < 1e-6


def test_soft_policy_iteration_meets_soft_value_iteration_at_every_temperature() -> None:
    for seed, discount in ((0, 0.5), (1, 0.9), (2, 0.95)):
        mdp = random_mdp(seed, 6, 3, 4, discount)
        q = soft_optimal_q(mdp, TEMPERATURES)
        assert q.isfinite().all()
        assert (
            distance(
                expected_target(mdp, soft_value(q, TEMPERATURES)) / TEMPERATURES.unsqueeze(-1),
                q / TEMPERATURES.unsqueeze(-1),
            )
            < 1e-9
        )
        *_, swept = soft_value_iteration(mdp, TEMPERATURES, tolerance=1e-9)
        assert (swept.q - q).abs().amax((1, 2)).max() < 2e-9 + 1e-11 * q.abs().max()
        for index, temperature in enumerate(TEMPERATURES.flatten().tolist()):
            alone = soft_optimal_q(mdp, temperature)
            assert torch.allclose(alone, q[index], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("discount", [0.9, 0.9999])
def test_the_soft_optimal_q_is_exact_to_rounding_whatever_the_discount(discount: float) -> None:
    for seed in range(5):
        mdp = random_mdp(seed, 6, 3, 3, discount)
        q = soft_optimal_q(mdp, TEMPERATURES)
        residual = (expected_target(mdp, soft_value(q, TEMPERATURES)) - q).abs().amax((1, 2))
        assert (residual <= 1e-13 * q.abs().amax((1, 2))).all()  # an error of so much/(1 − γ)


@pytest.mark.parametrize("discount", [0.9, 0.99999])
def test_soft_policy_iteration_ends_with_all_the_digits_that_the_discount_leaves(discount: float) -> None:
    for seed, ends in product(range(3), (True, False)):
        mdp = random_mdp(seed, 4, 3, 3, discount)
        if not ends:
            mdp = without_ends(mdp)
        for temperature in (0.1, 1.0, 10.0):
            rounds = list(islice(soft_policy_iteration(mdp, temperature), 41))
            assert len(rounds) <= 40
            q, policy = decimal_soft_optimum(mdp, temperature)
            size = max(abs(value) for row in q for value in row)
            for found, wanted in zip(rounds[-1].q.flatten().tolist(), chain.from_iterable(q), strict=True):
                assert abs(Decimal(found) - wanted) < Decimal(1e-14 / (1 - discount)) * size
            for found, wanted in zip(rounds[-1].policy.flatten().tolist(), chain.from_iterable(policy), strict=True):
                assert wanted < 1e-300 or abs(Decimal(found) / wanted - 1) < 1e-8


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9999, 1 - 1e-9])
def test_soft_policy_iteration_takes_few_rounds_at_every_temperature_and_floor(discount: float) -> None:
    for seed in range(4):
        mdp = random_mdp(seed, 1 + seed % 4, 1 + seed % 3, 3, discount)
        if seed % 2:
            mdp = without_ends(mdp)
        for temperature in (1e-3, 1.0, 1e12, TEMPERATURES):
            for project in (None, partial(floored_policy, floor=0.2)):
                rounds = list(islice(soft_policy_iteration(mdp, temperature, project=project), 41))
                assert len(rounds) <= 40


# Soft values: the theorems

Family = tuple[Tensor, Callable[[Tensor], Tensor]]


def families(mdp: FiniteMDP, seed: int) -> dict[str, Family]:
    """Floors (none, one for all, one each), and the projection state by state that belongs to them."""
    rng = np.random.default_rng(seed)
    each = rng.dirichlet(np.ones(mdp.actions), size=mdp.states) * rng.random((mdp.states, 1))
    bounds = {
        "all policies": torch.zeros(mdp.states, mdp.actions, dtype=torch.float64),
        "one floor": torch.full((mdp.states, mdp.actions), 0.6 / mdp.actions, dtype=torch.float64),
        "a floor for each": torch.from_numpy(each * (rng.random(each.shape) < 0.7)),
    }
    return {name: (floor, partial(floored_policy, floor=floor)) for name, floor in bounds.items()}


def member(seed: int, mdp: FiniteMDP, floor: Tensor, *lead: int) -> Tensor:
    """Random policies of a family: the floors and a random share of the rest."""
    rest = np.random.default_rng(seed).dirichlet(np.full(mdp.actions, 0.5), size=(*lead, mdp.states))
    return floor + (1 - floor.sum(-1, keepdim=True)) * torch.from_numpy(rest)


@FAST
@given(mdp=mdps(), seed=SEED, power=POWER)
def test_soft_policy_improvement_never_lowers_a_value_in_any_family_restricted_state_by_state(
    mdp: FiniteMDP, seed: int, power: float
) -> None:
    temperature = 10**power
    for name, (floor, project) in families(mdp, seed).items():
        policy = member(seed, mdp, floor)
        before = policy_q(mdp, policy, temperature)
        improved = project(boltzmann_policy(before, temperature))
        after = policy_q(mdp, improved, temperature)
        rounding = 1e-11 * (1 + before.abs().max().item() + after.abs().max().item())
        assert (after >= before - rounding).all(), name
        # and every state has its own gain at once
        old, new = soft_policy_value(before, policy, temperature), soft_policy_value(after, improved, temperature)
        gain = soft_policy_value(before, improved, temperature) - old
        assert (gain >= -rounding).all(), name
        assert (new >= old + gain - rounding).all(), name
        rounds = list(soft_policy_iteration(mdp, temperature, policy=policy, project=project))
        assert torch.equal(rounds[0].policy, policy), name
        assert rounds[0].gain == pytest.approx(max(gain.max().item(), 0), abs=rounding), name
        for earlier, later in pairwise(rounds):
            assert (later.q >= earlier.q - rounding).all(), name
            assert (later.policy >= floor - 1e-12).all(), name
        assert 0 <= rounds[-1].gain < rounding, name


@FAST
@given(mdp=mdps(states=4, actions=4, outcomes=3, discount=0.7), seed=SEED, power=st.floats(-1, 1))
def test_the_last_policy_is_the_best_of_its_family(mdp: FiniteMDP, seed: int, power: float) -> None:
    temperature = 10**power
    for name, (floor, project) in families(mdp, seed).items():
        *_, last = soft_policy_iteration(mdp, temperature, project=project)
        best = soft_policy_value(last.q, last.policy, temperature)
        others = member(seed, mdp, floor, 50)
        values = soft_policy_value(policy_q(mdp, others, temperature), others, temperature)
        assert (values <= best + 1e-9).all(), name
        rows = floor.tolist()

        def value(state: int, q: list[float], rows: list[list[float]] = rows) -> float:
            return plain_soft_policy_value(q, plain_floored_policy(q, rows[state], temperature), temperature)

        if mdp.discount < 0.5:  # which takes few sweeps
            assert distance(last.q, plain_fixed_point(mdp, value)) < 1e-8, name


def test_the_best_policy_with_floors_is_the_one_that_scipy_finds_and_not_the_projected_optimum() -> None:
    mdp, temperature, floor = random_mdp(0, 3, 3, 3, 0.8), 0.5, 0.2
    *_, last = soft_policy_iteration(mdp, temperature, project=partial(floored_policy, floor=floor))

    def value(flat: np.ndarray) -> float:
        policy = torch.from_numpy(flat.reshape(3, 3) / flat.reshape(3, 3).sum(-1, keepdims=True))
        return -soft_policy_value(policy_q(mdp, policy, temperature), policy, temperature).sum().item()

    answer = minimized(
        value,
        np.full(9, 1 / 3),
        bounds=[(floor, 1)] * 9,
        constraints={"type": "eq", "fun": lambda flat: flat.reshape(3, 3).sum(-1) - 1},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    found = soft_policy_value(last.q, last.policy, temperature).sum().item()
    assert -answer.fun == pytest.approx(found, abs=1e-7)
    assert np.abs(answer.x.reshape(3, 3) - last.policy.numpy()).max() < 1e-3
    assert (last.policy >= floor - 1e-12).all()
    # the unrestricted optimum, pushed onto the floors, is not as good
    projected = floored_policy(boltzmann_policy(soft_optimal_q(mdp, temperature), temperature), floor)
    value_there = soft_policy_value(policy_q(mdp, projected, temperature), projected, temperature)
    assert value_there.sum().item() < found - 0.1


def test_in_a_family_that_ties_states_the_least_average_divergence_can_lower_a_value() -> None:
    # One probability p of the second action, shared by two states: s0 pays (0, 2) and leads to s1, which pays (1, 0) and ends.
    mdp = FiniteMDP.from_outcomes(
        [[[(1.0, 1, 0.0, False)], [(1.0, 1, 2.0, False)]], [[(1.0, 1, 1.0, True)], [(1.0, 1, 0.0, True)]]],
        start_probability=torch.tensor([1.0, 0.0], dtype=torch.float64),
        discount=0.9,
    )

    def tied(p: float) -> Tensor:
        return torch.tensor([[1 - p, p]] * 2, dtype=torch.float64)

    before = policy_q(mdp, tied(0.5), 1.0)

    def average(p: float) -> float:
        return boltzmann_divergence(before, tied(p), 1.0).mean().item()

    nearest = minimize_scalar(average, bounds=(1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-12}).x
    assert nearest == pytest.approx(1 / (1 + math.exp(-0.5)), abs=1e-6)  # σ(½), 0.6225: the average of σ⁻¹ = 2 and −1
    p = 1 / (1 + math.exp(-0.5))
    after = policy_q(mdp, tied(p), 1.0)
    fall = 0.9 * (0.5 + math.log(2) - (1 - p) + p * math.log(p) + (1 - p) * math.log(1 - p))
    assert (before - after)[0].tolist() == pytest.approx([fall, fall])
    assert fall == pytest.approx(0.1375, abs=1e-4)
    assert average(p) < average(0.5)  # although the average came down
    # projected state by state, from the same policy, nothing falls
    free = policy_q(mdp, boltzmann_policy(before, 1.0), 1.0)
    assert (free >= before - 1e-12).all()


@FAST
@given(mdp=mdps(), seed=SEED, power=POWER)
def test_two_values_differ_by_a_discounted_sum_of_divergences(mdp: FiniteMDP, seed: int, power: float) -> None:
    temperature = 10**power
    old, new = random_policy(seed, mdp), random_policy(seed + 1, mdp)
    q = policy_q(mdp, old, temperature)
    value = soft_policy_value(q, old, temperature)
    new_value = soft_policy_value(policy_q(mdp, new, temperature), new, temperature)
    drop = boltzmann_divergence(q, old, temperature) - boltzmann_divergence(q, new, temperature)
    rounding = 1e-11 * (1 + value.abs().max().item() + new_value.abs().max().item())
    assert distance(new_value - value, discounted_sum(mdp, new, temperature * drop)) < rounding  # (6.20)
    # towards the optimum one of the two is nought
    best = soft_optimal_q(mdp, temperature)
    optimal, star = soft_value(best, temperature), boltzmann_policy(best, temperature)
    lack = temperature * boltzmann_divergence(best, old, temperature)
    assert distance(optimal - value, discounted_sum(mdp, old, lack)) < 10 * rounding  # (6.26)
    if temperature > 0.1:  # where π* is no zero as a floating-point number
        divergence = (old * (old / star).log()).sum(-1)
        assert distance(temperature * divergence, lack) < rounding


@FAST
@given(mdp=mdps(), seed=SEED, power=POWER)
def test_no_policy_is_further_from_the_optimum_than_its_gain_allows(mdp: FiniteMDP, seed: int, power: float) -> None:
    temperature = 10**power
    best = soft_value(soft_optimal_q(mdp, temperature), temperature)
    for found in soft_policy_iteration(mdp, temperature, policy=random_policy(seed, mdp)):
        lack = best - soft_policy_value(found.q, found.policy, temperature)
        rounding = 1e-10 * (1 + best.abs().max().item())
        assert (lack >= -rounding).all()
        assert (lack <= found.gain / (1 - mdp.discount) + rounding).all()  # (6.27)


@FAST
@given(mdp=mdps(), power=POWER)
def test_the_entropy_is_worth_at_most_its_largest_discounted_sum(mdp: FiniteMDP, power: float) -> None:
    temperature = 10**power
    hard, soft_q = greedy_value(optimal_q(mdp)), soft_optimal_q(mdp, temperature)
    most = temperature * math.log(mdp.actions) / (1 - mdp.discount)
    rounding = 1e-10 * (1 + most)
    more = soft_value(soft_q, temperature) - hard
    assert (more >= -rounding).all() and (more <= most + rounding).all()  # (6.30)
    policy = boltzmann_policy(soft_q, temperature)
    bare = expected_value(policy_q(mdp, policy), policy)
    assert (bare <= hard + rounding).all() and (bare >= hard - most - rounding).all()


@FAST
@given(mdp=mdps(), seed=SEED, power=st.floats(-1, 2))
def test_soft_policy_iteration_converges_like_newtons_method(mdp: FiniteMDP, seed: int, power: float) -> None:
    # V_{k+1} is where the tangent of the soft backup at V_k meets the diagonal. Its curvature is the variance, under the
    # policy, of what an action leads to, over α: at most (γ e_k)²/4α. So the next error is at most γ² e_k²/(8 α (1 − γ)).
    temperature = 10**power
    best = soft_value(soft_optimal_q(mdp, temperature), temperature)
    rounding = 1e-11 * (1 + best.abs().max().item())
    errors = [
        distance(soft_policy_value(found.q, found.policy, temperature), best)
        for found in soft_policy_iteration(mdp, temperature, policy=random_policy(seed, mdp))
    ]
    for error, following in pairwise(errors):
        assert following <= (mdp.discount * error) ** 2 / (8 * temperature * (1 - mdp.discount)) + rounding
    assert len(errors) <= 12


def test_a_handful_of_rounds_do_what_takes_hundreds_of_sweeps() -> None:
    mdp = random_mdp(0, 6, 3, 3, 0.99)
    best = soft_optimal_q(mdp, 0.5)
    rounds = sum(distance(found.q, best) > 1e-8 for found in soft_policy_iteration(mdp, 0.5))
    sweeps_needed = sum(distance(sweep.q, best) > 1e-8 for sweep in soft_value_iteration(mdp, 0.5))
    assert rounds <= 6
    assert sweeps_needed > 100 * rounds


# Soft values: temperatures


def test_a_vanishing_temperature_gives_back_the_optimal_q() -> None:
    for seed in range(10):
        mdp = random_mdp(seed, 5, 3, 4, 0.9)
        cold = torch.tensor([1e-1, 1e-2, 1e-3, 1e-6, 1e-12], dtype=torch.float64).unsqueeze(-1)
        q, hard = soft_optimal_q(mdp, cold), optimal_q(mdp)
        assert q.isfinite().all()
        gaps = (q - hard).abs().amax((1, 2))
        assert (gaps <= 9 * math.log(3) * cold.flatten() + 1e-10).all()
        policies = boltzmann_policy(q, cold)
        ties = greedy_policy(hard)
        if (ties.amax(-1) == 1).all() and (hard.sort(-1).values.diff(dim=-1)[:, -1] > 1e-3).all():
            assert distance(policies[-1], ties) < 1e-12


def test_equally_good_actions_are_weighed_by_their_continuations() -> None:
    # From the fork both ways are worth 0, but one leads where two actions are as good, the other where one is:
    # e^(γ log 2) to 1 (6.31).
    fork, two, one = 0, 1, 2
    mdp = FiniteMDP.from_outcomes(
        [
            [[(1.0, two, 0.0, False)], [(1.0, one, 0.0, False)]],
            [[(1.0, fork, 0.0, True)], [(1.0, fork, 0.0, True)]],
            [[(1.0, fork, 0.0, True)], [(1.0, fork, -1.0, True)]],
        ],
        start_probability=torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64),
        discount=0.5,
    )
    q = soft_optimal_q(mdp, TEMPERATURES[:2])
    policy = boltzmann_policy(q, TEMPERATURES[:2])
    for found in policy[:, fork].tolist():
        assert found == pytest.approx([2**0.5 / (1 + 2**0.5), 1 / (1 + 2**0.5)], rel=1e-12)
    assert distance(policy[:, two], torch.tensor([0.5, 0.5])) < 1e-15
    assert distance(policy[:, one], torch.tensor([1.0, 0.0])) < 1e-15
    assert greedy_policy(optimal_q(mdp))[fork].tolist() == [0.5, 0.5]


@FAST
@given(mdp=mdps(discount=0.8))
def test_a_huge_temperature_maximises_the_discounted_entropy_alone(mdp: FiniteMDP) -> None:
    temperature = 1e6
    without_reward = with_discount(mdp, mdp.discount, 0.0)
    bonus = plain_soft_optimal_q(without_reward, 1.0)  # γ E[(1 − d) h(s′)], and h is its logsumexp: (6.32)
    q = soft_optimal_q(mdp, temperature)
    reward = 1 + mdp.reward.abs().max().item()
    assert distance(q / temperature, bonus) <= reward / (1 - mdp.discount) / temperature + 1e-12
    assert distance(boltzmann_policy(q, temperature), bonus.softmax(-1)) < 1e-3
    even = soft_optimal_q(without_reward, temperature)
    assert distance(even / temperature, bonus) < 1e-11


def test_the_policy_of_most_entropy_is_uniform_only_where_no_action_hastens_the_end() -> None:
    def step(end: bool) -> list[Outcome]:
        return [(1.0, 0, 0.0, end)]

    start = torch.ones(1, dtype=torch.float64)
    for ends, wanted in (((False, False, False), [1 / 3] * 3), ((True, True, True), [1 / 3] * 3)):
        mdp = FiniteMDP.from_outcomes([[step(end) for end in ends]], start_probability=start, discount=0.9)
        assert boltzmann_policy(soft_optimal_q(mdp, 1e3), 1e3)[0].tolist() == pytest.approx(wanted)
    mdp = FiniteMDP.from_outcomes([[step(True), step(False)]], start_probability=start, discount=0.9)
    q = soft_optimal_q(mdp, 1e3)
    h = soft_value(q, 1e3).item() / 1e3
    assert h == pytest.approx(math.log(1 + math.exp(0.9 * h)))
    assert q[0].tolist() == pytest.approx([0, 900 * h])
    assert h > 1.2 > math.log(2)


@FAST
@given(mdp=mdps(), seed=SEED, power=POWER, scale=st.floats(-3, 3))
def test_scaling_the_reward_and_the_temperature_scales_q_and_leaves_the_policy(
    mdp: FiniteMDP, seed: int, power: float, scale: float
) -> None:
    temperature, factor = 10**power, 10**scale
    scaled = with_discount(mdp, mdp.discount, factor)
    q, other = soft_optimal_q(mdp, temperature), soft_optimal_q(scaled, factor * temperature)
    rounding = 1e-10 * (1 + q.abs().max().item())
    assert distance(other / factor, q) < rounding  # (6.33)
    policy = random_policy(seed, mdp)
    assert (
        distance(policy_q(scaled, policy, factor * temperature) / factor, policy_q(mdp, policy, temperature)) < rounding
    )


# Many at once: temperatures, policies and both


def test_a_batch_of_temperatures_or_policies_is_as_good_as_single_calls() -> None:
    mdp = random_mdp(0, 5, 4, 3, 0.9)  # S = 5, A = 4; T = 7 temperatures and as many or P = 3 policies
    policies = torch.stack([random_policy(seed, mdp) for seed in range(7)])
    few = policies[:3]
    alphas = TEMPERATURES[:, 0].tolist()

    def close(found: Tensor, wanted: Tensor) -> bool:
        return torch.allclose(found, wanted, rtol=1e-12, atol=1e-12)

    def swept(policy: Tensor, temperature: float | Tensor) -> Tensor:
        *_, sweep = policy_evaluation(mdp, policy, temperature, tolerance=1e-8)
        return sweep.q

    one_policy, one_alpha = policy_q(mdp, policies[0], TEMPERATURES), policy_q(mdp, few, 0.5)
    paired = policy_q(mdp, policies, TEMPERATURES)
    crossed = policy_q(mdp, few, TEMPERATURES.unsqueeze(-1))
    assert (one_policy.shape, one_alpha.shape) == ((7, 5, 4), (3, 5, 4))
    assert (paired.shape, crossed.shape) == ((7, 5, 4), (7, 3, 5, 4))
    for t, alpha in enumerate(alphas):
        assert close(one_policy[t], policy_q(mdp, policies[0], alpha))
        assert close(paired[t], policy_q(mdp, policies[t], alpha))
        for p in range(3):
            assert close(crossed[t, p], policy_q(mdp, few[p], alpha))
    for p in range(3):
        assert close(one_alpha[p], policy_q(mdp, few[p], 0.5))
        assert close(policy_q(mdp, few)[p], policy_q(mdp, few[p]))
    for policy, temperature, wanted in (
        (policies[0], TEMPERATURES, one_policy),
        (few, 0.5, one_alpha),
        (policies, TEMPERATURES, paired),
        (few, TEMPERATURES.unsqueeze(-1), crossed),
        (few, 0.0, policy_q(mdp, few)),
        (few, torch.zeros((), dtype=torch.float64), policy_q(mdp, few)),
    ):
        found = swept(policy, temperature)
        assert found.shape == wanted.shape
        assert distance(found, wanted) < 1.1e-8
    *_, both = soft_value_iteration(mdp, TEMPERATURES.unsqueeze(-1).expand(7, 2, 1))
    assert both.q.shape == (7, 2, 5, 4)
    assert torch.equal(both.q[:, 0], both.q[:, 1])
    *_, started = soft_value_iteration(mdp, 0.5, start=torch.stack([random_q(seed, mdp) for seed in range(3)]))
    assert distance(started.q, soft_optimal_q(mdp, 0.5)) < 1.1e-8
    *_, single = soft_value_iteration(mdp, torch.tensor([0.5], dtype=torch.float64))
    assert distance(single.q, soft_optimal_q(mdp, 0.5)) < 1.1e-8


def test_a_hot_setting_does_not_end_a_cold_one_early() -> None:
    for seed in range(5):
        mdp = random_mdp(seed, 5, 4, 3, 0.9)
        together = soft_optimal_q(mdp, torch.tensor([[0.1], [1e13]], dtype=torch.float64))
        assert distance(together[0], soft_optimal_q(mdp, 0.1)) < 1e-9


def test_rounds_of_soft_policy_iteration_carry_axes_in_front() -> None:
    mdp = random_mdp(0, 5, 4, 3, 0.9)
    few = torch.stack([random_policy(seed, mdp) for seed in range(3)])
    for found in soft_policy_iteration(mdp, TEMPERATURES.unsqueeze(-1), policy=few):
        assert found.q.shape == found.policy.shape == (7, 3, 5, 4)
    best = soft_optimal_q(mdp, TEMPERATURES)
    assert distance(found.q, best.unsqueeze(1)) < 1e-9 * best.abs().max().item()
    first = next(soft_policy_iteration(mdp, TEMPERATURES))
    assert torch.equal(first.policy, torch.full((7, 5, 4), 0.25, dtype=torch.float64))
    assert distance(first.q, policy_q(mdp, uniform(mdp), TEMPERATURES)) < 1e-12 * first.q.abs().max().item()
    gains = soft_value(first.q, TEMPERATURES) - soft_policy_value(first.q, first.policy, TEMPERATURES)
    assert first.gain == pytest.approx(gains.max().item())  # the largest of all states and temperatures
    floors = torch.tensor([0.0, 0.0, 0.6, 0.2], dtype=torch.float64)
    floored = soft_policy_iteration(mdp, 0.5, project=partial(floored_policy, floor=floors))
    assert distance(next(floored).policy, torch.tensor([0.1, 0.1, 0.6, 0.2], dtype=torch.float64)) < 1e-15


def last_of(begun: Iterator[Sweep] | Iterator[Improvement]) -> Tensor:
    *_, last = begun
    assert last.q.shape == getattr(last, "policy", last.q).shape
    return last.q


FOUR: dict[str, Callable[..., Tensor]] = {
    "soft_value_iteration": lambda mdp, alpha, table: last_of(soft_value_iteration(mdp, alpha, start=100 * table)),
    "policy_evaluation": lambda mdp, alpha, table: last_of(policy_evaluation(mdp, table, alpha)),
    "policy_q": lambda mdp, alpha, table: policy_q(mdp, table, alpha),
    "soft_policy_iteration": lambda mdp, alpha, table: last_of(soft_policy_iteration(mdp, alpha, policy=table)),
}


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize(
    ("alphas", "tables"), [((), (2,)), ((1,), (4,)), ((4, 1), (2, 4)), ((4, 1), ()), ((2, 1, 1), (4,)), ((1, 1), ())]
)
def test_axes_in_front_meet_alike_in_every_function(
    name: str, alphas: tuple[int, ...], tables: tuple[int, ...]
) -> None:
    mdp = random_mdp(0, 4, 3, 3, 0.5)  # as many states as settings: what takes one for the other is found out
    alpha = torch.linspace(0.25, 2, math.prod(alphas), dtype=torch.float64).view(alphas)
    table = member(0, mdp, torch.zeros(4, 3), *tables)
    found = FOUR[name](mdp, alpha, table)
    common = np.broadcast_shapes(alphas[:-1], tables)
    assert found.shape == (*common, 4, 3)
    each, single = alpha.view(alphas or (1,)).expand(*common, 1), table.expand(*common, 4, 3)
    for place in np.ndindex(*common):
        assert distance(found[place], FOUR[name](mdp, each[place].item(), single[place])) < 2.1e-8


def test_the_first_policy_of_soft_policy_iteration_has_the_shape_of_its_q() -> None:
    mdp = random_mdp(0, 4, 3, 3, 0.5)
    floors = torch.tensor([0.0, 0.1, 0.3], dtype=torch.float64).view(3, 1, 1)
    several = torch.ones(2, 1, 1, dtype=torch.float64)
    for arguments, shape in (
        ({"temperature": TEMPERATURES}, (7, 4, 3)),
        ({"temperature": TEMPERATURES, "policy": uniform(mdp)}, (7, 4, 3)),
        ({"temperature": 0.5, "policy": uniform(mdp).expand(2, 4, 3)}, (2, 4, 3)),
        ({"temperature": 0.5, "project": partial(floored_policy, floor=floors)}, (3, 4, 3)),
        ({"temperature": several, "project": partial(floored_policy, floor=floors)}, (2, 3, 4, 3)),
    ):
        for found in soft_policy_iteration(mdp, **arguments):
            assert found.policy.shape == found.q.shape == shape


# Soft values: slopes


def test_the_slope_of_q_is_that_of_finite_differences_and_finite_where_the_policy_is_zero() -> None:
    for discount in (0.5, 1.0):
        mdp = with_discount(three_states(), discount)
        logits = random_q(0, mdp, scale=1.0).requires_grad_()
        alpha = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x, a, mdp=mdp: policy_q(mdp, x.softmax(-1), a), (logits, alpha))
        assert torch.autograd.gradcheck(lambda x, mdp=mdp: policy_q(mdp, x.softmax(-1)), (logits,))
        corner = logits.detach().clone()
        corner[0, 1], corner[2, 0] = 800.0, -800.0  # two policies of 0 and 1
        corner.requires_grad_()
        for temperature in (0.0, 0.5):
            (slope,) = torch.autograd.grad(policy_q(mdp, corner.softmax(-1), temperature).sum(), corner)
            assert slope.isfinite().all()
            assert not slope[[0, 2]].any()
            # the middle state is one of many: its slope is that of a policy beside which there are no zeros
            middle = corner.detach()[1].clone().requires_grad_()

            def value(row: Tensor, mdp: FiniteMDP = mdp, temperature: float = temperature) -> Tensor:
                rest = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
                return policy_q(mdp, torch.stack([rest[0], row.softmax(-1), rest[1]]), temperature).sum()

            assert torch.autograd.gradcheck(value, middle)
            assert torch.allclose(slope[1], torch.autograd.grad(value(middle), middle)[0], rtol=1e-12)
            assert slope[1].abs().min() > 1e-3


# Soft values without a discount


def corridor(length: int) -> FiniteMDP:
    """A walk on 1 … n, left or right, that ends beyond either side and pays 1 beyond the right one."""
    rows: list[list[list[Outcome]]] = [
        [[(1.0, max(s - 1, 0), 0.0, s == 0)], [(1.0, min(s + 1, length - 1), float(s == length - 1), s == length - 1)]]
        for s in range(length)
    ]
    start = torch.zeros(length, dtype=torch.float64)
    start[1] = 1.0
    return FiniteMDP.from_outcomes(rows, start_probability=start, discount=1.0, state_labels=tuple("abcdefgh"[:length]))


def test_without_a_discount_a_certain_end_is_enough_to_evaluate() -> None:
    # A fair walk from the k-th of n places arrives on the right with probability k/(n + 1), after k (n + 1 − k) steps.
    mdp = corridor(6)
    for alpha in (0.0, 0.5):
        q = policy_q(mdp, uniform(mdp), alpha)
        value = soft_policy_value(q, uniform(mdp), alpha)
        wanted = [k / 7 + alpha * math.log(2) * k * (7 - k) for k in range(1, 7)]
        assert value.tolist() == pytest.approx(wanted, rel=1e-12)
        assert q[0, 0].item() == 0 and q[-1, 1].item() == 1
        assert q[2].tolist() == pytest.approx([wanted[1], wanted[3]])


def test_without_a_discount_every_state_needs_an_end_also_one_that_nobody_visits() -> None:
    mdp = FiniteMDP.from_outcomes(
        [[[(1.0, 0, 1.0, True)]], [[(1.0, 1, 0.0, False)]]],
        start_probability=torch.tensor([1.0, 0.0], dtype=torch.float64),
        discount=1.0,
        state_labels=("porch", "attic"),
    )
    assert mdp.live.tolist() == [True, False]
    with pytest.raises(ValueError, match="no way leads from state 'attic' to an end"):
        policy_q(mdp, torch.ones(2, 1, dtype=torch.float64))


# Projections


def test_a_start_is_shared_by_all_or_given_to_each() -> None:
    mdp = random_mdp(0, 5, 4, 3, 0.9)
    start, policy = random_q(0, mdp, scale=100), random_policy(0, mdp)
    first = next(soft_value_iteration(mdp, TEMPERATURES, start=start)).q
    for q, temperature in zip(first, TEMPERATURES.flatten().tolist(), strict=True):
        assert torch.allclose(q, plain_backup(mdp, soft_value(start, temperature)))
    for begin in (
        partial(soft_value_iteration, mdp, TEMPERATURES),
        partial(policy_evaluation, mdp, policy, TEMPERATURES),
        partial(policy_evaluation, mdp, policy.expand(7, 5, 4)),
    ):
        shared = next(begin(start=start))
        assert shared.q.shape == (7, 5, 4)
        for each in (start.expand(1, 5, 4), start.expand(7, 5, 4)):
            again = next(begin(start=each))
            assert torch.equal(again.q, shared.q)
            assert again.residual == shared.residual


RETURNED: dict[str, tuple[Callable[[Tensor], Any], type[Exception], str]] = {
    "halves": (lambda policy: policy / 2, ValueError, "must be non-negative and sum to 1 .* in state 'hut'"),
    "too few states": (lambda policy: policy[..., :2, :], ValueError, r"must have the shape \(\.\.\., 3, 2\)"),
    "four of them": (lambda policy: policy.expand(4, *policy.shape), ValueError, "must have the shape"),
    "NaN": (lambda policy: policy * math.nan, ValueError, r"must be non-negative .* 'hut' it is \[nan, nan\]"),
    "float32": (Tensor.float, TypeError, "must be a tensor of torch.float64, but is one of torch.float32"),
    "None": (lambda _: None, TypeError, "must be a tensor of torch.float64, but is a NoneType"),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_project_returns_is_called_so_when_it_is_no_policy(name: str) -> None:
    wrong, error, words = RETURNED[name]
    mdp = three_states()
    calls = 0

    def later(policy: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return policy if calls < 3 else wrong(policy)

    for arguments in ({"project": wrong}, {"project": wrong, "policy": uniform(mdp)}, {"project": later}):
        with pytest.raises(error, match=f"^what project returns {words}"):
            deque(islice(soft_policy_iteration(mdp, 0.5, **arguments), 50), maxlen=0)
    assert calls == 3


def test_a_first_policy_outside_the_family_is_refused_as_soon_as_it_costs() -> None:
    # From the best of all policies every policy of a family is a step down; from one of its own there is none.
    for seed in range(5):
        mdp = random_mdp(seed, 4, 3, 3, 0.9)
        project = partial(floored_policy, floor=0.25)
        *_, best = soft_policy_iteration(mdp, 0.1)
        begun = soft_policy_iteration(mdp, 0.1, policy=best.policy, project=project)
        assert torch.equal(next(begun).policy, best.policy)
        with pytest.raises(
            ValueError, match=r"^project lowers V in state '\d': .* or the first policy is not of the family"
        ):
            next(begun)
        *_, own = soft_policy_iteration(mdp, 0.1, project=project)
        *_, again = soft_policy_iteration(mdp, 0.1, policy=own.policy, project=project)
        assert distance(again.policy, own.policy) < 1e-12


def test_the_state_in_which_v_falls_is_named() -> None:
    mdp = three_states()

    def worse_at_the_peak(policy: Tensor) -> Tensor:
        return torch.stack([*policy[:2], policy[2].flip(0)])

    begun = soft_policy_iteration(
        mdp, 0.5, policy=boltzmann_policy(soft_optimal_q(mdp, 0.5), 0.5), project=worse_at_the_peak
    )
    with pytest.raises(ValueError, match=r"^project lowers V in state 'peak'"):
        deque(begun, maxlen=0)


@pytest.mark.parametrize("excess", [9e-10, -9e-10])
@pytest.mark.parametrize("scale", [0.0, 1e6])
@pytest.mark.parametrize("discount", [0.0, 0.9])
def test_a_policy_that_sums_to_one_only_nearly_is_no_step_down(excess: float, scale: float, discount: float) -> None:
    for seed, actions in enumerate((1, 2, 4)):
        mdp = with_discount(random_mdp(seed, 4, actions, 3, 0.9), discount, scale)
        for temperature in (0.1, 10.0):
            *_, best = soft_policy_iteration(mdp, temperature)
            *_, again = soft_policy_iteration(mdp, temperature, policy=best.policy * (1 + excess))
            assert distance(again.q, best.q) <= 1e-10 * (scale + temperature)


# The border


def test_a_next_value_that_does_not_contract_ends_in_words_and_not_in_a_loop() -> None:
    # After the first, a contraction needs log2(32 / 1e-8) = 31.6 sweeps in exact arithmetic; ten more are for rounding.
    with pytest.raises(ValueError, match="The tolerance 1e-08 is out of reach: after 43 sweeps the bound still is"):
        deque(sweeps(three_states(), lambda q: 3 * q.amax(-1)), maxlen=0)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("temperature", [0.1, 5.0])
def test_a_value_that_is_not_zero_at_zero_still_contracts(discount: float, temperature: float) -> None:
    mdp = random_mdp(3, 4, 3, 2, discount)
    *_, last = sweeps(mdp, lambda q: temperature * (q / temperature).logsumexp(-1), tolerance=1e-9)
    again = expected_target(mdp, temperature * (last.q / temperature).logsumexp(-1))
    assert distance(again, last.q) <= 1e-9


def test_from_however_far_the_sweeps_arrive() -> None:
    mdp = three_states()
    *_, last = value_iteration(mdp, start=torch.full((3, 2), 1e300, dtype=torch.float64), tolerance=1e-10)
    assert distance(last.q, optimal_q(mdp)) < 1.1e-10  # although 1e300/1e-10 is no floating-point number


@FAST
@given(mdp=mdps(), seed=SEED, scale=st.floats(-3, 6))
def test_any_tolerance_above_rounding_is_reached(mdp: FiniteMDP, seed: int, scale: float) -> None:
    start = random_q(seed, mdp, scale=10**scale)
    *_, last = value_iteration(mdp, start=start, tolerance=1e-10 * 10 ** max(scale, 0))
    assert distance(last.q, optimal_q(mdp)) < 1.1e-10 * 10 ** max(scale, 0)


UNIFORM, SMALL = torch.full((3, 2), 0.5, dtype=torch.float64), three_states()
TEMPERED: dict[str, Callable[[Any], Any]] = {
    "value_iteration": lambda alpha: next(soft_value_iteration(SMALL, alpha)),
    "policy_iteration": lambda alpha: next(soft_policy_iteration(SMALL, alpha)),
    "": lambda alpha: policy_q(SMALL, UNIFORM, alpha),
}


@pytest.mark.parametrize("limit", TEMPERED)
@pytest.mark.parametrize(
    ("temperature", "error", "words"),
    [
        (-1e-9, ValueError, "0 and finite, but is -1e-09"),
        (math.nan, ValueError, "finite, but is nan"),
        (torch.tensor([[1.0], [math.inf]]).double(), ValueError, "0 and finite, but is inf"),
        ("warm", TypeError, "temperature must be a number, but is 'warm'"),
        (torch.ones(2, 1), TypeError, "temperature must be a number or a tensor of torch.float64, .*torch.float32"),
        (torch.ones(3).double(), ValueError, r"shape \(\.\.\., 1\), the 1 for the states, but has \(3,\)"),
    ],
)
def test_a_wrong_temperature_is_refused(limit: str, temperature: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        TEMPERED[limit](temperature)


@pytest.mark.parametrize("zero", [0, 0.0, torch.zeros(2, 1, dtype=torch.float64)])
def test_a_temperature_of_zero_is_refused_where_it_is_a_limit(zero: float | Tensor) -> None:
    for limit in ("value_iteration", "policy_iteration"):
        with pytest.raises(ValueError, match=rf"limit of a vanishing temperature is {limit}\.$"):
            TEMPERED[limit](zero)
    assert torch.equal(TEMPERED[""](zero), policy_q(SMALL, UNIFORM).expand_as(TEMPERED[""](zero)))


@pytest.mark.parametrize(
    "ask",
    [
        lambda mdp: next(value_iteration(mdp)),
        lambda mdp: next(policy_evaluation(mdp, UNIFORM)),
        lambda mdp: next(policy_iteration(mdp)),
        lambda mdp: next(soft_value_iteration(mdp, 0.1)),
        lambda mdp: next(soft_policy_iteration(mdp, 0.1)),
        lambda mdp: epsilon_greedy_q(mdp, 0.1),
    ],
)
def test_a_discount_of_one_is_refused(ask: Callable[[FiniteMDP], Any]) -> None:
    with pytest.raises(ValueError, match="discount must be below 1 for an exact answer, but is 1"):
        ask(with_discount(SMALL, 1.0))


TWICE, MANY, FIVE = 2 * UNIFORM, torch.ones(4, 1, dtype=torch.float64), UNIFORM.expand(5, 3, 2)


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda: policy_q(SMALL, TWICE), ValueError, "policy must be non-negative and sum to 1"),
        (lambda: next(policy_evaluation(SMALL, TWICE)), ValueError, "policy must be non-negative and sum to 1"),
        (lambda: next(policy_iteration(SMALL, policy=TWICE)), ValueError, "policy must be non-negative"),
        (lambda: next(soft_policy_iteration(SMALL, 1.0, policy=TWICE)), ValueError, "^policy must be non-negative"),
        (lambda: policy_q(SMALL, FIVE, MANY), ValueError, r"^temperature and policy must .* \(4,\) and \(5,\) there"),
        (
            lambda: next(policy_evaluation(SMALL, FIVE, MANY)),
            ValueError,
            r"^temperature and policy and start must agree",
        ),
        (lambda: next(soft_value_iteration(SMALL, MANY, start=FIVE)), ValueError, "^temperature and start must agree"),
        (
            lambda: next(value_iteration(SMALL, start=UNIFORM.mT)),
            ValueError,
            r"start must .* \(\.\.\., 3, 2\), but .*\(2, 3\)",
        ),
        (
            lambda: next(value_iteration(SMALL, start=UNIFORM.float())),
            TypeError,
            "start must be a tensor of torch.float64",
        ),
        (lambda: next(value_iteration(SMALL, start=math.nan * UNIFORM)), ValueError, "finite, but sweep 1 is not"),
        (lambda: next(value_iteration(SMALL, tolerance=0)), ValueError, "tolerance must be above 0 and finite"),
        (
            lambda: next(sweeps(SMALL, lambda q: q.amax(0))),
            ValueError,
            r"next_value must turn \(3, 2\) into \(3,\) .*\(2,\)",
        ),
        (lambda: next(sweeps(SMALL, lambda q: q.amax(-1).float())), ValueError, "it returned .* of torch.float32"),
        (lambda: epsilon_greedy_q(SMALL, 1.5), ValueError, r"epsilon must lie in \[0, 1\]"),
        (
            lambda: next(soft_policy_iteration(SMALL, MANY, project=lambda _: UNIFORM)),
            ValueError,
            r"^what project returns must have the shape \(4, 3, 2\), but has \(3, 2\)",
        ),
        (lambda: next(soft_policy_iteration(SMALL, 1.7e308)), ValueError, "too large for floating-point numbers"),
        (lambda: next(soft_policy_iteration(SMALL, 1e-308)), ValueError, "too large for floating-point numbers"),
    ],
)
def test_what_has_no_meaning_is_refused(ask: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ask()
