"""The equations, on numbers that tell a wrong index, sign or axis from the right one, and on random tables."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import FAST
from scipy.optimize import brentq
from torch import Tensor, nn

from sac_tutorial.equations import (
    double_value,
    epsilon_greedy_policy,
    epsilon_greedy_value,
    expected_value,
    greedy_policy,
    greedy_value,
    huber_loss,
    remaining_error,
    squared_loss,
    taken_value,
    td_target,
)


def table(*rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


# The target


def test_target_bootstraps_where_the_episode_goes_on_and_only_there() -> None:
    terminated = torch.tensor([False, True, False])
    target = td_target(table(1, 2, -3), terminated, table(10, 20, 40), 0.25)
    assert target.tolist() == [3.5, 2, 7]


def test_target_broadcasts_runs_batches_and_a_discount_for_each_run() -> None:
    next_value = table([8, 16, 32], [64, 128, 256])  # (runs, batch)
    target = td_target(table(1, 2, 3), torch.tensor([False, False, True]), next_value, table([0.5], [0.25]))
    assert target.tolist() == [[5, 10, 3], [17, 34, 3]]


@pytest.mark.parametrize("numbers", [torch.float64, torch.float32, torch.int64, torch.uint8])
def test_target_refuses_an_end_given_as_a_number(numbers: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"terminated must be .*bool.* {numbers}"):
        td_target(table(1), torch.tensor([1], dtype=numbers), table(10), 0.5)


@pytest.mark.parametrize("discount", [0.1, 0.9, 0.99, 0.999])
def test_target_keeps_every_digit_of_a_discount_given_as_a_number(discount: float) -> None:
    # `discount * ~terminated` is a float32 tensor: with it, 0.9 becomes 0.8999999761581421.
    value = 1 / 3
    assert td_target(table(0), torch.tensor([False]), table(value), discount).item() == discount * value


def test_target_stays_in_float32_for_networks() -> None:
    ones = torch.ones(2, dtype=torch.float32)
    assert td_target(ones, torch.tensor([False, True]), ones, 0.9).dtype == torch.float32


def test_target_leaves_its_inputs_alone() -> None:
    reward, terminated, next_value = table(1, 2), torch.tensor([False, True]), table(3, 4)
    td_target(reward, terminated, next_value, 0.5)
    assert (reward.tolist(), terminated.tolist(), next_value.tolist()) == ([1, 2], [False, True], [3, 4])


# Values of the next state. Shapes (runs, states, actions) = (2, 3, 4).

Q = table(
    [[1, 5, 3, 2], [-4, -1, -2, -3], [7, 0, 0, 6]],
    [[0, 0, 0, 9], [2, 4, 8, 4], [-1, -2, -3, -4]],
)


def test_greedy_value_is_the_largest_over_the_actions() -> None:
    assert greedy_value(Q).tolist() == [[5, -1, 7], [9, 8, -1]]


def test_expected_value_weighs_the_last_axis_with_its_own_probabilities() -> None:
    policy = table([0, 0.5, 0.25, 0.25], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25])
    assert expected_value(Q, policy).tolist() == [[3.75, -4, 3.25], [2.25, 2, -2.5]]


def test_taken_value_picks_one_action_a_state() -> None:
    action = torch.tensor([[3, 0, 1], [2, 1, 3]])
    assert taken_value(Q, action).tolist() == [[2, -4, 0], [0, 4, -4]]


def test_double_value_selects_with_the_first_table_and_evaluates_with_the_second() -> None:
    select, evaluate = table([1, 3, 2], [9, 0, 1]), table([10, 20, 30], [40, 50, 60])
    assert double_value(select, evaluate).tolist() == [
        20,
        40,
    ]  # roles swapped: 2 and 1; one table alone: 3, 9 or 30, 60


def test_greedy_policy_shares_evenly_among_the_best() -> None:
    policy = greedy_policy(Q)
    assert policy.dtype == Q.dtype
    assert policy[0].tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert greedy_policy(table([2, 7, 7, 1], [3, 3, 3, 3])).tolist() == [[0, 0.5, 0.5, 0], [0.25] * 4]


def test_epsilon_greedy_policy_mixes_greedy_and_uniform() -> None:
    assert epsilon_greedy_policy(table([2, 7, 7, 1]), 0.5).tolist() == [[0.125, 0.375, 0.375, 0.125]]
    assert epsilon_greedy_policy(table([2, 7, 7, 1]), 0.0).tolist() == [[0, 0.5, 0.5, 0]]
    assert epsilon_greedy_policy(table([2, 7, 7, 1]), 1.0).tolist() == [[0.25] * 4]


def test_epsilon_greedy_value_mixes_maximum_and_mean() -> None:
    assert epsilon_greedy_value(table([2, 7, 7, 0]), 0.25).tolist() == [0.75 * 7 + 0.25 * 4]


def test_a_rate_for_each_run_has_the_rank_of_the_value() -> None:
    rates = table([0.0], [1.0])  # (runs, 1): against values (runs, states)
    assert epsilon_greedy_value(Q, rates).tolist() == [[5, -1, 7], [2.25, 4.5, -2.5]]
    assert torch.equal(epsilon_greedy_policy(Q, rates)[0], greedy_policy(Q)[0])
    assert epsilon_greedy_policy(Q, rates)[1].tolist() == [[0.25] * 4] * 3


def test_a_rate_in_float32_costs_no_digits() -> None:
    rates = torch.tensor([0.1, 0.3, 0.7])
    assert (epsilon_greedy_value(table([1, 1, 1]).expand(3, -1), rates) - 1).abs().max() < 1e-15
    assert (epsilon_greedy_policy(table([1, 2, 3]).expand(3, -1), rates).sum(-1) - 1).abs().max() < 1e-15


# Properties of all of them

SEED, RATE = st.integers(0, 2**32 - 1), st.floats(0, 1)


def values(rate: float, policy: Tensor) -> dict[str, object]:
    return {
        "greedy": greedy_value,
        "expected": lambda q: expected_value(q, policy),
        "epsilon-greedy": lambda q: epsilon_greedy_value(q, rate),
    }


@FAST
@given(seed=SEED, rate=RATE)
def test_values_are_monotone_shift_with_q_and_never_move_further_than_q(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    q, other = (torch.from_numpy(rng.normal(size=(2, 3, 4))) for _ in range(2))
    for name, value in values(rate, torch.from_numpy(rng.dirichlet(np.ones(4), size=3))).items():
        distance = (value(q) - value(other)).abs().max()
        assert distance <= (q - other).abs().max() * (1 + 1e-12), name
        assert (value(torch.maximum(q, other)) >= value(q) - 1e-12).all(), name
        assert torch.allclose(value(q + 7), value(q) + 7), name
        assert (value(q) <= q.amax(-1) + 1e-12).all() and (value(q) >= q.amin(-1) - 1e-12).all(), name


@FAST
@given(seed=SEED, rate=RATE, decimals=st.integers(0, 1))
def test_epsilon_greedy_value_is_the_expectation_under_the_epsilon_greedy_policy(
    seed: int, rate: float, decimals: int
) -> None:
    q = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 3, 4)).round(decimals))  # rounded: ties occur
    policy = epsilon_greedy_policy(q, rate)
    assert torch.allclose(policy.sum(-1), torch.ones(5, 3, dtype=torch.float64))
    assert (policy >= 0).all()
    assert torch.allclose(expected_value(q, policy), epsilon_greedy_value(q, rate))


@FAST
@given(seed=SEED)
def test_double_value_of_a_table_with_itself_is_its_maximum_and_otherwise_no_larger_than_the_judges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    select, evaluate = (torch.from_numpy(rng.normal(size=(2, 3, 4))) for _ in range(2))
    assert torch.equal(double_value(evaluate, evaluate), greedy_value(evaluate))
    assert (double_value(select, evaluate) <= greedy_value(evaluate)).all()


# The bound


def test_remaining_error_by_hand() -> None:
    assert remaining_error(2.0, 0.75) == 6
    assert remaining_error(2.0, 0.0) == 0
    assert remaining_error(0.0, 0.5) == 0


# Losses


def test_squared_loss_is_the_mean_square_of_each_run() -> None:
    q, target = table([1, 2, 3], [0, 0, 0]), table([2, 0, 3], [3, -6, 9])
    assert squared_loss(q, target).tolist() == [5 / 3, 42]
    assert squared_loss(q[0], target[0]).item() == 5 / 3  # no run axis, no batch of runs


def test_huber_loss_by_hand() -> None:
    zero = torch.zeros(1, dtype=torch.float64)
    for distance, loss in {0.0: 0, 0.5: 0.125, 1.0: 0.5, 1.5: 1.0, 9.0: 8.5}.items():
        for sign in (-1, 1):
            assert huber_loss(zero, zero + sign * distance).item() == loss
            assert huber_loss(zero + sign * distance, zero).item() == loss
    assert huber_loss(table([0, 0, 0, 0], [1, 1, 1, 1]), table([0.5, -3, 0, 2], [1, 1, 3, 1])).tolist() == [
        (0.125 + 2.5 + 0 + 1.5) / 4,
        1.5 / 4,
    ]


@FAST
@given(seed=SEED)
def test_losses_and_their_gradients_are_those_of_pytorchs_modules(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = torch.from_numpy(rng.normal(size=(2, 3, 5), scale=2))
    for loss, module in ((squared_loss, nn.MSELoss(reduction="none")), (huber_loss, nn.HuberLoss(reduction="none"))):
        q = torch.from_numpy(rng.normal(size=(2, 3, 5))).requires_grad_()
        expected = module(q, target).mean(-1)
        assert loss(q, target).shape == (2, 3)
        assert torch.allclose(loss(q, target), expected, rtol=1e-14, atol=1e-14)
        mine, theirs = (torch.autograd.grad(value.sum(), q)[0] for value in (loss(q, target), expected))
        assert torch.allclose(mine, theirs, rtol=1e-14, atol=1e-14)


def slope(loss: object, guess: float, target: Tensor) -> float:
    q = torch.tensor(guess, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(loss(q.expand(len(target)), target), q)[0].item()  # type: ignore[operator]


def test_squared_loss_is_smallest_at_the_mean_and_huber_loss_elsewhere() -> None:
    # Three targets of 0 and one of 10: E[δ] = 0 at 2.5. E[clip(δ, −1, 1)] = 0, where −3q + 1 = 0.
    target = table(0, 0, 0, 10).flatten()
    assert brentq(lambda q: slope(squared_loss, q, target), 0, 10) == pytest.approx(2.5)
    assert brentq(lambda q: slope(huber_loss, q, target), 0, 10) == pytest.approx(1 / 3)
    symmetric = table(-3, -1, 1, 3).flatten()  # where targets lie evenly around their mean, both agree
    assert brentq(lambda q: slope(huber_loss, q, symmetric), -2, 2.5) == pytest.approx(0, abs=1e-9)


@FAST
@given(seed=SEED)
def test_the_slope_of_huber_loss_is_the_mean_of_clipped_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, q = torch.from_numpy(rng.normal(size=7, scale=2)), rng.normal()
    assert slope(huber_loss, q, target) == pytest.approx(-(target - q).clamp(-1, 1).mean().item(), abs=1e-14)
