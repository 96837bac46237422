"""Exact answers against plain loops, a linear program, every policy there is, and known values of Gymnasium's environments."""

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    FAST,
    best_of_all_policies,
    linear_program,
    mdps,
    plain_backup,
    plain_policy_q,
    random_mdp,
    random_policy,
    random_q,
    three_states,
)
from torch import Tensor

from sac_tutorial.dynamic_programming import (
    epsilon_greedy_q,
    expected_target,
    optimal_q,
    policy_evaluation,
    policy_iteration,
    policy_q,
    sweeps,
    value_iteration,
)
from sac_tutorial.equations import (
    epsilon_greedy_policy,
    epsilon_greedy_value,
    expected_value,
    greedy_policy,
    greedy_value,
)
from sac_tutorial.mdp import FiniteMDP, Outcome

SEED, RATE = st.integers(0, 2**32 - 1), st.floats(0, 1)


def distance(q: Tensor, other: Tensor) -> float:
    return (q - other).abs().max().item()


def uniform(mdp: FiniteMDP) -> Tensor:
    return torch.full((mdp.states, mdp.actions), 1 / mdp.actions, dtype=torch.float64)


def with_discount(mdp: FiniteMDP, discount: float, reward_scale: float = 1.0) -> FiniteMDP:
    return FiniteMDP(
        mdp.probability, mdp.next_state, mdp.reward * reward_scale, mdp.terminated, mdp.start_probability, discount
    )


# What would hang comes first: everything after it relies on policy iteration's end.


@pytest.mark.parametrize("seed", range(10))
def test_policy_iteration_ends(seed: int) -> None:
    mdp = random_mdp(seed, 5, 3, 4, 0.9)
    assert len(list(islice(policy_iteration(mdp), 50))) < 50
    assert len(list(islice(policy_iteration(mdp, policy=random_policy(seed, mdp)), 50))) < 50


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


def test_every_sweep_keeps_its_own_table() -> None:
    one, two, *_ = value_iteration(three_states())
    assert one.q.tolist() != two.q.tolist()


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


@pytest.mark.parametrize("seed", range(5))
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
    return {
        "optimality": greedy_value,
        "expectation": partial(expected_value, probability=policy),
        "epsilon-greedy": partial(epsilon_greedy_value, epsilon=rate),
    }


@FAST
@given(mdp=mdps(), seed=SEED, rate=RATE)
def test_backups_contract_by_the_discount_and_are_monotone(mdp: FiniteMDP, seed: int, rate: float) -> None:
    q, other = random_q(seed, mdp), random_q(seed + 1, mdp)
    for name, value in operators(mdp, seed, rate).items():
        gap = distance(expected_target(mdp, value(q)), expected_target(mdp, value(other)))
        assert gap <= mdp.discount * distance(q, other) + 1e-12, name
        larger = expected_target(mdp, value(torch.maximum(q, other)))
        assert (larger >= expected_target(mdp, value(q)) - 1e-12).all(), name


@FAST
@given(mdp=mdps(), seed=SEED, rate=RATE)
def test_every_error_is_below_both_bounds(mdp: FiniteMDP, seed: int, rate: float) -> None:
    start, policy = random_q(seed, mdp), random_policy(seed, mdp)
    exact = {
        "optimality": best_of_all_policies(mdp) if mdp.actions**mdp.states <= 27 else optimal_q(mdp),
        "expectation": policy_q(mdp, policy),
        "epsilon-greedy": epsilon_greedy_q(mdp, rate, tolerance=1e-11),
    }
    for name, value in operators(mdp, seed, rate).items():
        first, previous, count = distance(start, exact[name]), start, 0
        for count, sweep in enumerate(sweeps(mdp, value, tolerance=1e-6, start=start), start=1):
            error = distance(sweep.q, exact[name])
            assert error <= sweep.error_bound + 1e-9, name  # (1.16)
            assert error <= mdp.discount**count * first + 1e-9, name  # (1.14)
            assert sweep.residual == distance(sweep.q, previous), name
            assert sweep.error_bound == pytest.approx(sweep.residual * mdp.discount / (1 - mdp.discount)), name
            previous = sweep.q
        assert sweep.error_bound <= 1e-6
        assert error <= 1e-6 + 1e-9
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
    twice = FiniteMDP(
        *(getattr(mdp, name).repeat(1, 2, 1) for name in ("probability", "next_state", "reward", "terminated")),
        start_probability=mdp.start_probability,
        discount=0.9,
    )
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


@pytest.mark.parametrize("discount", [0.5, 0.99, 0.9999])
@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e12])
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


# The border


ALL: dict[str, Callable[[FiniteMDP], Any]] = {
    "value_iteration": lambda mdp: next(value_iteration(mdp)),
    "policy_evaluation": lambda mdp: next(policy_evaluation(mdp, uniform(mdp))),
    "policy_iteration": lambda mdp: next(policy_iteration(mdp)),
    "optimal_q": optimal_q,
    "epsilon_greedy_q": lambda mdp: epsilon_greedy_q(mdp, 0.1),
}


@pytest.mark.parametrize("name", ALL)
def test_a_discount_of_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="discount must be below 1 for an exact answer, but is 1"):
        ALL[name](with_discount(three_states(), 1.0))


@pytest.mark.parametrize(
    ("policy", "error", "words"),
    [
        (
            torch.full((2, 3), 1 / 3, dtype=torch.float64),
            ValueError,
            r"policy must have the shape \(\.\.\., 3, 2\).*\(2, 3\)",
        ),
        (torch.full((3, 2), 0.5), TypeError, "policy must be a tensor of torch.float64.*float32"),
        (torch.tensor([[0.5, 0.5], [0.5, 0.6], [1, 0]]).double(), ValueError, "sum to 1 in every state.*'lake'"),
        (torch.tensor([[0.5, 0.5], [1, 0], [1.5, -0.5]]).double(), ValueError, "non-negative.*'peak'.*1.5, -0.5"),
        (torch.tensor([[math.nan, 0.5], [1, 0], [1, 0]]).double(), ValueError, "'hut'.*nan"),
    ],
)
def test_what_is_no_policy_is_refused(policy: Tensor, error: type[Exception], words: str) -> None:
    for evaluate in (policy_q, policy_evaluation, lambda mdp, policy: next(policy_iteration(mdp, policy=policy))):
        with pytest.raises(error, match=words):
            evaluate(three_states(), policy)


@pytest.mark.parametrize(
    ("tolerance", "error", "words"),
    [
        (0, ValueError, "tolerance must be positive and finite, but is 0"),
        (-1e-8, ValueError, "tolerance must be positive"),
        (math.nan, ValueError, "tolerance must be positive and finite, but is nan"),
        ("small", TypeError, "tolerance must be a number, but is 'small'"),
    ],
)
def test_a_tolerance_must_be_positive(tolerance: Any, error: type[Exception], words: str) -> None:
    for begin in (value_iteration, partial(policy_evaluation, policy=uniform(three_states()))):
        with pytest.raises(error, match=words):
            next(begin(three_states(), tolerance=tolerance))
    with pytest.raises(error, match=words):
        epsilon_greedy_q(three_states(), 0.1, tolerance=tolerance)


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


def test_values_that_are_not_finite_are_named() -> None:
    start = torch.full((3, 2), torch.nan, dtype=torch.float64)
    with pytest.raises(ValueError, match="start and next_value must be finite, but sweep 1 is not"):
        next(value_iteration(three_states(), start=start))


@FAST
@given(mdp=mdps(), seed=SEED, scale=st.floats(-3, 6))
def test_any_tolerance_above_rounding_is_reached(mdp: FiniteMDP, seed: int, scale: float) -> None:
    start = random_q(seed, mdp, scale=10**scale)
    *_, last = value_iteration(mdp, start=start, tolerance=1e-10 * 10 ** max(scale, 0))
    assert distance(last.q, optimal_q(mdp)) < 1.1e-10 * 10 ** max(scale, 0)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (torch.zeros(2, 3, dtype=torch.float64), r"start must .*\(\.\.\., 3, 2\).*\(2, 3\)"),
        (torch.zeros(3, 1, dtype=torch.float64), r"start must .*\(\.\.\., 3, 2\).*\(3, 1\)"),
        (torch.zeros(3, 2), "start must be a tensor of torch.float64, but is one of torch.float32"),
        ([[0.0, 0.0]] * 3, "start must be a tensor of torch.float64, but is a list"),
    ],
)
def test_a_start_of_another_kind_is_refused(start: Tensor, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        next(value_iteration(three_states(), start=start))


def test_a_next_value_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"next_value must turn \(3, 2\) into \(3,\) .*, but it returned \(2,\)"):
        next(sweeps(three_states(), lambda q: q.amax(0)))
    with pytest.raises(ValueError, match=r"of torch.float64, but it returned .* of torch.float32"):
        next(sweeps(three_states(), lambda q: q.amax(-1).float()))


@pytest.mark.parametrize(
    ("epsilon", "error", "words"),
    [(1.5, ValueError, r"epsilon must lie in \[0, 1\]"), (-0.1, ValueError, "epsilon"), (None, TypeError, "epsilon")],
)
def test_an_epsilon_out_of_range_is_refused(epsilon: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        epsilon_greedy_q(three_states(), epsilon)
