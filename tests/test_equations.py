"""The equations, on numbers that tell a wrong index, sign or axis from the right one, and on random tables."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax
from torch import Tensor, nn

from sac_tutorial.equations import (
    actor_critic_loss,
    actor_loss,
    boltzmann_divergence,
    boltzmann_policy,
    bootstrapped_return,
    clipped_noise,
    critic_loss,
    deterministic_actor_loss,
    discrete_actor_loss,
    double_value,
    entropy,
    epsilon_greedy_policy,
    epsilon_greedy_value,
    expected_value,
    floored_policy,
    gaussian_entropy,
    gaussian_log_density,
    greedy_policy,
    greedy_value,
    huber_loss,
    policy_gradient_loss,
    remaining_error,
    sampled_soft_value,
    soft_policy_value,
    soft_value,
    squared_loss,
    squash,
    taken_value,
    td_target,
    temperature_loss,
    value_network_loss,
)
from tests.oracles import FAST, minimized, plain_entropy, plain_soft_policy_value


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


# Properties of all of them

SEED, RATE = st.integers(0, 2**32 - 1), st.floats(0, 1)


def values(rate: float, policy: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    return {
        "greedy": greedy_value,
        "expected": lambda q: expected_value(q, policy),
        "epsilon-greedy": lambda q: epsilon_greedy_value(q, rate),
        "soft": lambda q: soft_value(q, 0.01 + rate),
        "soft expected": lambda q: soft_policy_value(q, policy, rate),
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
        most = (0.01 + rate) * math.log(4) if "soft" in name else 0
        assert (value(q) <= q.amax(-1) + most + 1e-12).all() and (value(q) >= q.amin(-1) - 1e-12).all(), name


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


# Soft values. Q/α = log of whole numbers makes the Boltzmann policy one of fractions.

POLICY = table([0.5, 0.25, 0.25, 0], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25])


def test_entropy_by_hand() -> None:
    log2 = math.log(2)
    assert entropy(POLICY).tolist() == pytest.approx([1.5 * log2, 0, 2 * log2], rel=1e-15)
    certain = entropy(POLICY[1:2].expand(2, 3, 1, 4))  # 0 · log 0 is no NaN
    assert certain.tolist() == [[[0], [0], [0]]] * 2


@FAST
@given(seed=SEED, actions=st.integers(1, 5))
def test_entropy_lies_between_certainty_and_ignorance(seed: int, actions: int) -> None:
    rng = np.random.default_rng(seed)
    policy = rng.dirichlet(np.ones(actions), size=(2, 3)) * (rng.random((2, 3, actions)) < 0.7)
    policy[..., 0] += 1 - policy.sum(-1)
    found = entropy(torch.from_numpy(policy))
    assert found.shape == (2, 3)
    assert (found >= -1e-15).all() and (found <= math.log(actions) + 1e-15).all()
    assert found.flatten().tolist() == pytest.approx(
        [plain_entropy(row) for row in policy.reshape(6, -1).tolist()], abs=1e-14
    )
    assert entropy(torch.full((actions,), 1 / actions, dtype=torch.float64)).item() == pytest.approx(math.log(actions))


def test_soft_policy_value_by_hand() -> None:
    log2 = math.log(2)
    found = soft_policy_value(Q, POLICY, 2.0)
    # what the policy expects, and twice its entropy: (3/2, 0, 2) log 2
    expected = [[0.5 + 1.25 + 0.75, -1, 3.25], [0, 4, -2.5]]
    for row, values in zip(found.tolist(), expected, strict=True):
        assert row == pytest.approx([values[0] + 3 * log2, values[1], values[2] + 4 * log2], rel=1e-15)


def test_soft_policy_value_at_temperature_zero_is_the_expected_value() -> None:
    assert torch.equal(soft_policy_value(Q, POLICY, 0.0), expected_value(Q, POLICY))
    assert torch.equal(soft_policy_value(Q, POLICY, table([0], [0])), expected_value(Q, POLICY))


@pytest.mark.parametrize("temperature", [0.25, 1.0, 8.0])
def test_soft_value_and_boltzmann_policy_by_hand(temperature: float) -> None:
    q = temperature * table([1, 2, 5], [1, 1, 1], [4, 12, 16], [3, 1, 0.5]).log()
    total = [8, 3, 32, 4.5]
    assert soft_value(q, temperature).tolist() == pytest.approx([temperature * math.log(z) for z in total], rel=1e-14)
    policy = boltzmann_policy(q, temperature)
    wanted = table([1 / 8, 2 / 8, 5 / 8], [1 / 3, 1 / 3, 1 / 3], [4 / 32, 12 / 32, 16 / 32], [6 / 9, 2 / 9, 1 / 9])
    assert torch.allclose(policy, wanted, rtol=1e-14, atol=0)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 8.0])
def test_boltzmann_divergence_by_hand(temperature: float) -> None:
    q = temperature * table([1, 2, 5]).log() + 3  # B = (1/8, 1/4, 5/8), wherever Q begins
    policy = table([0.5, 0.5, 0], [0, 0, 1], [0.125, 0.25, 0.625], [1, 0, 0])
    found = boltzmann_divergence(q.expand(4, 3), policy, temperature)
    assert found.tolist() == pytest.approx([1.5 * math.log(2), math.log(8 / 5), 0, math.log(8)], abs=1e-14)


ALPHAS = [10.0**power for power in range(-3, 4)]


def exactly(row: list[float], temperature: float) -> tuple[float, list[float], list[Decimal]]:
    """The soft value, the Boltzmann policy and its logarithm to sixty digits."""
    with localcontext(prec=60):
        alpha, q = Decimal(temperature), [Decimal(x) for x in row]
        top = max(q)
        total = sum((((x - top) / alpha).exp() for x in q), Decimal(0))
        value = top + alpha * total.ln()
        log = [(x - value) / alpha for x in q]
        return float(value), [float(x.exp()) for x in log], log


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("offset", [0.0, -1e6])
def test_soft_functions_neither_overflow_nor_lose_digits(temperature: float, kind: torch.dtype, offset: float) -> None:
    # Rounding moves Q/α by an ε of its size, whatever the formula; exp(Q/α) itself would overflow at 710, and at 89.
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.integers(-4, 4, size=(20, 1))
    q = torch.from_numpy(offset + scale * rng.normal(size=(20, 5))).to(kind)
    alpha = torch.tensor(temperature, dtype=kind).item()
    chosen = torch.from_numpy(rng.dirichlet(np.ones(5), size=20)).to(kind)
    values, policies = soft_value(q, temperature), boltzmann_policy(q, temperature)
    divergences = boltzmann_divergence(q, chosen, temperature)
    assert values.dtype == policies.dtype == divergences.dtype == kind
    epsilon = torch.finfo(kind).eps
    for row, value, policy, choice, divergence in zip(q, values, policies, chosen.tolist(), divergences, strict=True):
        exact, exact_policy, log = exactly(row.tolist(), alpha)
        size = row.abs().max().item()
        assert abs(value.item() - exact) <= 4 * epsilon * (size + 3 * alpha)
        assert abs(policy.sum().item() - 1) <= 4 * epsilon
        moved = 8 * epsilon * (size / alpha + 1)
        for found, wanted in zip(policy.tolist(), exact_policy, strict=True):
            assert abs(found - wanted) <= math.expm1(min(moved, 100)) * wanted + 1e-37
        wanted = sum(p * (math.log(p) - float(b)) for p, b in zip(choice, log, strict=True))
        assert abs(divergence.item() - wanted) <= 2 * moved + 4 * epsilon * abs(wanted)


def test_soft_functions_are_those_of_scipy() -> None:
    q = np.random.default_rng(1).normal(size=(2, 3, 4))
    for temperature in ALPHAS[1:]:
        value, policy = soft_value(torch.from_numpy(q), temperature), boltzmann_policy(torch.from_numpy(q), temperature)
        assert np.allclose(value, temperature * logsumexp(q / temperature, axis=-1), rtol=1e-13, atol=0)
        assert np.allclose(policy, softmax(q / temperature, axis=-1), rtol=1e-13, atol=0)


def test_impossible_actions_count_for_nothing_and_improbable_ones_are_finite() -> None:
    q = table([0, -10, 5])  # at α = 0.001, log B = (−5000, −15000, 0): B itself is 0 as a floating-point number
    assert boltzmann_policy(q, 1e-3).tolist() == [[0, 0, 1]]
    assert soft_value(q, 1e-3).item() == 5
    policy = table([1, 0, 0], [0, 0, 1], [0.5, 0.5, 0])
    found = boltzmann_divergence(q.expand(3, 3), policy, 1e-3)
    assert found.tolist() == pytest.approx([5000, 0, 10_000 - math.log(2)], rel=1e-15)
    assert soft_policy_value(q.expand(3, 3), policy, 1e-3).tolist() == pytest.approx([0, 5, -5 + 1e-3 * math.log(2)])


@FAST
@given(seed=SEED, power=st.floats(-3, 3))
def test_soft_value_is_the_best_that_any_policy_has_and_the_divergence_is_what_others_lack(
    seed: int, power: float
) -> None:
    rng = np.random.default_rng(seed)
    temperature = 10**power
    q = torch.from_numpy(rng.normal(size=(5, 3, 4), scale=3))
    policy = torch.from_numpy(rng.dirichlet(np.ones(4), size=(5, 3)))
    policy[0] = torch.eye(4, dtype=torch.float64)[torch.from_numpy(rng.integers(4, size=3))]
    best, own = soft_value(q, temperature), soft_policy_value(q, policy, temperature)
    rounding = 1e-13 * (1 + temperature)
    lack = temperature * boltzmann_divergence(q, policy, temperature)
    assert (lack >= -rounding).all()
    assert torch.allclose(best - own, lack, rtol=1e-12, atol=rounding)  # (6.16)
    boltzmann = boltzmann_policy(q, temperature)
    assert torch.allclose(soft_policy_value(q, boltzmann, temperature), best, rtol=1e-12, atol=rounding)
    assert boltzmann_divergence(q, boltzmann, temperature).abs().max() < 1e-12
    assert torch.allclose(boltzmann, ((q - best.unsqueeze(-1)) / temperature).exp(), rtol=1e-9, atol=1e-12)
    plain = [
        plain_soft_policy_value(*rows, temperature)
        for rows in zip(q.view(15, 4).tolist(), policy.view(15, 4).tolist(), strict=True)
    ]
    assert own.flatten().tolist() == pytest.approx(plain, rel=1e-12, abs=rounding)
    # exp((Q − V)/α) of another policy's V sums to exp KL, not to 1
    if power > -1:
        total = ((q - own.unsqueeze(-1)) / temperature).exp().sum(-1)
        assert torch.allclose(total.log(), boltzmann_divergence(q, policy, temperature), atol=1e-11)


@FAST
@given(seed=SEED, power=st.floats(-3, 3), decimals=st.integers(0, 1))
def test_soft_value_lies_above_the_maximum_by_at_most_the_largest_entropy(
    seed: int, power: float, decimals: int
) -> None:
    q = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 3, 4)).round(decimals))  # rounded: ties occur
    temperature = 10**power
    excess = soft_value(q, temperature) - greedy_value(q)
    assert (excess >= -1e-15).all() and (excess <= temperature * math.log(4) * (1 + 1e-14) + 1e-15).all()  # (6.29)
    ties = (q == q.amax(-1, keepdim=True)).sum(-1)
    assert (
        excess >= temperature * ties.double().log() - 1e-12 * (1 + temperature)
    ).all()  # the best alone give so much


def test_limits_of_the_temperature() -> None:
    q = table([1, 3, 2], [4, 4, -1], [7, 7, 7])
    cold, hot = 1e-3, 1e6
    assert (soft_value(q, cold) - greedy_value(q) - cold * table(1, 2, 3).log()).abs().max() < 1e-14
    assert torch.allclose(boltzmann_policy(q, cold), greedy_policy(q), atol=1e-15)
    assert (soft_value(q, hot) - hot * math.log(3) - q.mean(-1)).abs().max() < 1e-5
    assert (boltzmann_policy(q, hot) - 1 / 3).abs().max() < 1e-5


# Temperatures for runs and states. Three runs and three states: what takes one for the other is found out.

SQUARE = table(
    [[1, 5, 3, 2], [-4, -1, -2, -3], [7, 0, 0, 6]],
    [[0, 0, 0, 9], [2, 4, 8, 4], [-1, -2, -3, -4]],
    [[3, 3, 1, 0], [5, -5, 0, 1], [2, 2, 2, 2]],
)
SOFT: dict[str, Callable[..., Tensor]] = {
    "soft_value": soft_value,
    "boltzmann_policy": boltzmann_policy,
    "soft_policy_value": lambda q, temperature: soft_policy_value(q, POLICY, temperature),
    "boltzmann_divergence": lambda q, temperature: boltzmann_divergence(q, POLICY, temperature),
}
every_soft_function = pytest.mark.parametrize("name", SOFT)


@every_soft_function
@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (3, 3), (1, 1)])
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_a_temperature_for_each_run_or_state_has_the_rank_of_the_value(
    name: str, shape: tuple[int, int], kind: torch.dtype
) -> None:
    alphas = torch.tensor([0.5, 2, 8, 1, 3, 7, 0.25, 4, 6])[: math.prod(shape)].view(shape).to(kind)
    found = SOFT[name](SQUARE, alphas)
    assert found.dtype == torch.float64
    for run in range(3):
        for state in range(3):
            alpha = alphas.expand(3, 3)[run, state].item()
            assert torch.equal(found[run, state], SOFT[name](SQUARE, alpha)[run, state])


@every_soft_function
def test_a_temperature_may_be_a_tensor_without_axes(name: str) -> None:
    two = torch.tensor(2.0, dtype=torch.float64)
    assert torch.equal(SOFT[name](SQUARE, two), SOFT[name](SQUARE, 2.0))
    assert torch.equal(SOFT[name](SQUARE[0], table(2, 2, 2)), SOFT[name](SQUARE[0], 2.0))


@every_soft_function
def test_soft_functions_stay_in_float32_for_networks(name: str) -> None:
    functions: dict[str, Callable[..., Tensor]] = {
        "soft_value": soft_value,
        "boltzmann_policy": boltzmann_policy,
        "soft_policy_value": lambda q, temperature: soft_policy_value(q, POLICY.float(), temperature),
        "boltzmann_divergence": lambda q, temperature: boltzmann_divergence(q, POLICY.float(), temperature),
    }
    for temperature in (0.5, torch.tensor(0.5, dtype=torch.float64), torch.full((3, 1), 0.5, dtype=torch.float64)):
        found = functions[name](SQUARE.float(), temperature)
        assert found.dtype == torch.float32
        assert torch.allclose(found.double(), SOFT[name](SQUARE, 0.5), rtol=1e-5)


def test_a_temperature_has_the_rank_of_the_longer_of_two_tables() -> None:
    alphas, policies = table([0.5], [2.0], [8.0]), boltzmann_policy(SQUARE, 3.0)
    for function in (soft_policy_value, boltzmann_divergence):
        found = function(SQUARE[0], policies, alphas)
        for run in range(3):
            assert torch.equal(found[run], function(SQUARE[0], policies[run], alphas[run].item()))


def test_nothing_is_looked_up_on_the_device_of_the_table() -> None:
    # "meta" knows shapes and no numbers: a look at a value there would raise, as on a GPU it would wait.
    meta = torch.zeros(2, 3, 4, device="meta")
    for temperature in (0.5, torch.tensor(0.5), torch.full((2, 1), 0.5), torch.full((2, 1), 0.5, device="meta")):
        assert soft_value(meta, temperature).shape == (2, 3)
        assert boltzmann_policy(meta, temperature).shape == (2, 3, 4)
        assert soft_policy_value(meta, meta, temperature).device.type == "meta"
    assert floored_policy(meta, 0.1).shape == (2, 3, 4)


# Gradients


@FAST
@given(seed=SEED, power=st.floats(-1, 1))
def test_gradients_of_the_divergence_are_those_of_finite_differences(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    q, logits = (torch.from_numpy(rng.normal(size=(2, 3))).requires_grad_() for _ in range(2))
    alpha = torch.full((2,), 10**power, dtype=torch.float64, requires_grad=True)

    def divergence(q: Tensor, logits: Tensor, alpha: Tensor) -> Tensor:
        return boltzmann_divergence(q, logits.softmax(-1), alpha)

    assert torch.autograd.gradcheck(divergence, (q, logits, alpha))
    policy = logits.detach().softmax(-1).requires_grad_()  # each probability on its own, although the sum then is not 1
    for value in (
        entropy,
        lambda policy: soft_policy_value(q.detach(), policy, alpha.detach()),
        lambda policy: boltzmann_divergence(q.detach(), policy, alpha.detach()),
    ):
        assert torch.autograd.gradcheck(value, policy)
    # and the two worked out on paper: π (log π − log B − KL) in the logits, (B − π)/α in Q
    in_q, in_logits = torch.autograd.grad(divergence(q, logits, alpha).sum(), (q, logits))
    policy, boltzmann = logits.softmax(-1), boltzmann_policy(q, alpha)
    gap = policy.log() - boltzmann.log()
    assert torch.allclose(in_logits, policy * (gap - (policy * gap).sum(-1, keepdim=True)), atol=1e-12)
    assert torch.allclose(in_q, (boltzmann - policy) / alpha.unsqueeze(-1), atol=1e-12)
    # what the soft policy value gains is what the divergence loses, times α
    (gained,) = torch.autograd.grad(soft_policy_value(q, logits.softmax(-1), alpha).sum(), logits)
    assert torch.allclose(gained, -alpha.unsqueeze(-1) * in_logits, atol=1e-12)


@FAST
@given(seed=SEED, power=st.floats(-1, 1))
def test_the_slope_of_the_soft_value_is_the_boltzmann_policy_and_its_entropy(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    q = torch.from_numpy(rng.normal(size=(2, 3, 4))).requires_grad_()
    alpha = torch.full((2, 1), 10**power, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_value, (q, alpha))
    in_q, in_alpha = torch.autograd.grad(soft_value(q, alpha).sum(), (q, alpha))
    policy = boltzmann_policy(q, alpha)
    assert torch.allclose(in_q, policy, atol=1e-13)
    assert torch.allclose(in_alpha, entropy(policy).sum(-1, keepdim=True), atol=1e-11)


def test_gradients_are_finite_where_the_policy_is_zero() -> None:
    q = table([0, -10, 5], [1, 2, 3])
    for policy in (table([1, 0, 0], [0, 0.5, 0.5]), boltzmann_policy(q, 1e-3)):
        leaf = policy.clone().requires_grad_()
        for value in (entropy(leaf), soft_policy_value(q, leaf, 2.0), boltzmann_divergence(q, leaf, 2.0)):
            assert torch.autograd.grad(value.sum(), leaf)[0].isfinite().all()
    # in the logits of a policy that has run into a corner nothing is left to be done
    logits = table([0, -2000, -3000]).requires_grad_()
    for corner in (entropy(logits.softmax(-1)), boltzmann_divergence(q[0], logits.softmax(-1), 2.0)):
        assert not torch.autograd.grad(corner.sum(), logits)[0].any()


@FAST
@given(seed=SEED, temperature=st.sampled_from([0.0, 0.5, 3.0]))
def test_slopes_of_entropy_and_value_are_those_of_finite_differences(seed: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    q, logits = (torch.from_numpy(rng.normal(size=(2, 3))).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: entropy(x.softmax(-1)), (logits,))
    assert torch.autograd.gradcheck(lambda q, x: soft_policy_value(q, x.softmax(-1), temperature), (q, logits))
    # in the probabilities themselves, −log π − 1 each, and nothing where there is nothing
    policy = table([0.25, 0.75, 0], [1, 0, 0]).requires_grad_()
    (slope,) = torch.autograd.grad(entropy(policy).sum(), policy)
    assert slope[0].tolist() == pytest.approx([math.log(4) - 1, -math.log(0.75) - 1, 0])
    assert slope[1].tolist() == [-1, 0, 0]
    (slope,) = torch.autograd.grad(soft_policy_value(q.detach(), policy, 0.0).sum(), policy)
    assert torch.equal(slope, q.detach())  # without entropy, the value of an action that is never taken counts


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_slopes_stay_finite_when_a_network_rules_an_action_out(kind: torch.dtype, temperature: float) -> None:
    # e^−200 is 0 as a float32, e^−800 as a float64
    for least in (-200.0, -800.0):
        logits = torch.tensor([[0.0, least], [least, 0.0], [0.0, 1.0]], dtype=kind, requires_grad=True)
        q = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 2.0]], dtype=kind, requires_grad=True)
        policy = logits.softmax(-1)
        values = [entropy(policy), soft_policy_value(q, policy, temperature)]
        values += [boltzmann_divergence(q, policy, temperature)] if temperature else []
        for value in values:
            slopes = torch.autograd.grad(value.sum(), (logits, q), allow_unused=True, retain_graph=True)
            assert all(slope is None or slope.isfinite().all() for slope in slopes)
            assert slopes[0][:2].abs().max() < 1e-30  # in a corner nothing is left to be done
            assert slopes[0][2].abs().min() > 1e-3


# Policies with floors


def test_floored_policy_by_hand() -> None:
    boltzmann = table([0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.8, 0.15, 0.05], [1, 0, 0])
    # the last keeps 1/4 and the others share 3/4 as 2:1; nobody is in need; two are; what had nothing gets its floor
    assert floored_policy(boltzmann[:1], table(0, 0, 0.25)).tolist() == [[0.5, 0.25, 0.25]]
    assert floored_policy(boltzmann[:1], table(0, 0, 0.4)).tolist() == [pytest.approx([0.4, 0.2, 0.4])]
    assert floored_policy(boltzmann, 0.1)[1].tolist() == pytest.approx([0.2, 0.4, 0.4], rel=1e-15)
    assert floored_policy(boltzmann, 0.25)[2].tolist() == pytest.approx([0.5, 0.25, 0.25], rel=1e-15)
    assert floored_policy(boltzmann, 0.125)[3].tolist() == [0.75, 0.125, 0.125]
    # 0.8 : 0.15 of the 0.84 that are left gives 0.133 to the second, below 0.16: it falls on its floor as well
    assert floored_policy(boltzmann, 0.16)[2].tolist() == pytest.approx([0.68, 0.16, 0.16], rel=1e-15)
    # a floor below B is reached all the same, since others take so much: 0.4 and 0.2 leave 0.4
    assert floored_policy(boltzmann[1:2], table(0, 0.4, 0.6)).tolist() == [pytest.approx([0, 0.4, 0.6])]
    assert floored_policy(boltzmann[1:2], table(0.5, 0, 0.1)).tolist() == [pytest.approx([0.5, 0.25, 0.25])]
    assert floored_policy(boltzmann[1:2], table(0.6, 0.1, 0.25)).tolist() == [pytest.approx([0.6, 0.15, 0.25])]


def test_floors_that_leave_nothing_are_the_policy() -> None:
    boltzmann = table([0.7, 0.2, 0.1], [0, 0, 1], [0.1, 0.6, 0.3])
    for floor in (table(0.25, 0.25, 0.5), table(0.1, 0.2, 0.7), table(0, 0.5, 0.5), table(0, 0, 1), table(1, 0, 0)):
        assert torch.allclose(floored_policy(boltzmann, floor), floor.expand(3, 3), atol=1e-15)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_the_uniform_policy_is_the_only_one_with_as_high_floors_whatever_the_number_of_actions(
    kind: torch.dtype,
) -> None:
    for actions in (1, 2, 3, 7, 13, 59):
        boltzmann = torch.arange(actions, dtype=kind).softmax(-1)
        found = floored_policy(boltzmann, 1 / actions)  # in float32 thirteen thirteenths sum to more than 1
        assert found.dtype == kind
        assert torch.allclose(found, torch.full((actions,), 1 / actions, dtype=kind), rtol=1e-5)


def sparse(rng: np.random.Generator, actions: int) -> Any:
    """Probabilities of every size, some of them 0."""
    weight = rng.dirichlet(np.full(actions, 10.0 ** rng.integers(-3, 2))) * (rng.random(actions) < 0.6)
    weight[rng.integers(actions)] += weight.sum() == 0
    return weight / weight.sum()


@FAST
@given(seed=SEED)
def test_whatever_is_zero_and_whatever_the_floors_leave_the_probabilities_are_right(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for actions in range(1, 8):
        boltzmann, floor = sparse(rng, actions), sparse(rng, actions)  # floors that sum to 1, up to rounding
        nearly = np.where(boltzmann == 0, 10.0 ** -rng.integers(10, 320), boltzmann)  # as good as 0
        for share, least in product(
            (boltzmann, nearly), (floor, floor * rng.random(), floor * (1 - 10.0 ** -rng.integers(8, 17)))
        ):
            found = floored_policy(torch.from_numpy(share), torch.from_numpy(least)).numpy()
            assert abs(found.sum() - 1) < 1e-12  # no NaN either
            assert (found >= least).all()
            free = found > least + 1e-9
            scale = found[free] / share[free]
            assert np.allclose(scale, scale[:1], rtol=1e-6)
            if least is floor:
                assert np.abs(found - floor).max() < 1e-12


def test_without_a_floor_the_policy_stays_as_it_is_and_actions_without_one_may_keep_nothing() -> None:
    boltzmann = table([0.7, 0.2, 0.1], [0, 0, 1], [0.5, 0.5, 0])
    assert torch.allclose(floored_policy(boltzmann, 0.0), boltzmann, rtol=1e-15, atol=0)
    assert floored_policy(boltzmann, table(0, 0.25, 0))[2].tolist() == [0.5, 0.5, 0]
    assert floored_policy(boltzmann, table(0, 0.25, 0))[1].tolist() == [0, 0.25, 0.75]


def floors(rng: np.random.Generator, policy: np.ndarray) -> Tensor:
    """Floors of every kind for each action of each row, whose sums reach from 0 to nearly 1."""
    floor = rng.dirichlet(np.ones(policy.shape[-1]), size=policy.shape[:-1]) * rng.random((*policy.shape[:-1], 1))
    return torch.from_numpy(floor * (rng.random(policy.shape) < 0.8))


@FAST
@given(seed=SEED, actions=st.integers(1, 6))
def test_floored_policy_meets_the_conditions_of_karush_kuhn_and_tucker(seed: int, actions: int) -> None:
    rng = np.random.default_rng(seed)
    boltzmann = rng.dirichlet(np.full(actions, 10.0 ** rng.integers(-1, 2)), size=(5, 3))
    boltzmann[0, 0] = np.eye(actions)[rng.integers(actions)]
    floor = floors(rng, boltzmann)
    policy = floored_policy(torch.from_numpy(boltzmann), floor)
    assert policy.shape == (5, 3, actions)
    assert (policy.sum(-1) - 1).abs().max() < 1e-14
    assert (policy >= floor).all()
    for found, share, least in zip(
        *(t.reshape(-1, actions) for t in (policy, torch.from_numpy(boltzmann), floor)), strict=True
    ):
        free = found > least
        scale = (found / share)[free]
        assert len(scale) > 0
        assert torch.allclose(scale, scale[:1].expand_as(scale), rtol=1e-12)  # the free ones keep their proportions
        assert (scale.max() * share <= least + 1e-12)[~free].all()  # and the others would have less than their floor


@FAST
@given(seed=SEED)
def test_floored_policy_is_the_nearest_that_scipy_finds_and_no_other_is_nearer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boltzmann = rng.dirichlet(np.ones(4))
    floor = floors(rng, boltzmann)
    policy = floored_policy(torch.from_numpy(boltzmann), floor)

    def divergence(policy: np.ndarray) -> float:
        return float((policy * np.log(policy / boltzmann)).sum())

    answer = minimized(
        divergence,
        (floor + (1 - floor.sum()) / 4).numpy(),
        bounds=[(max(least, 1e-12), 1.0) for least in floor.tolist()],
        constraints={"type": "eq", "fun": lambda policy: policy.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert np.abs(answer.x - policy.numpy()).max() < 1e-5
    found = boltzmann_divergence(torch.from_numpy(boltzmann).log(), policy, 1.0).item()
    assert found <= answer.fun + 1e-12
    for other in floor.numpy() + (1 - floor.sum().item()) * rng.dirichlet(np.ones(4), size=20):
        assert found <= divergence(other) + 1e-12


def test_floors_and_policies_broadcast() -> None:
    boltzmann = boltzmann_policy(Q, 2.0)  # (2, 3, 4)
    for policy, floor in (
        (boltzmann, torch.full((), 0.1).double()),
        (boltzmann, table(0.1, 0.2, 0, 0.3)),
        (boltzmann, table([0.1], [0.25], [0])),
        (boltzmann, table([[0.05]], [[0.2]])),
        (boltzmann, table([[0.1, 0.2, 0, 0.3]], [[0, 0, 0.5, 0]])),
        (boltzmann[0], table([[0.0]], [[0.1]], [[0.25]])),  # many floors of one policy
    ):
        found = floored_policy(policy, floor)
        wide, least = policy.expand(found.shape), floor.expand(found.shape)
        for place in np.ndindex(*found.shape[:-1]):
            assert torch.allclose(found[place], floored_policy(wide[place], least[place]), atol=1e-15)
    assert floored_policy(boltzmann.float(), 0.1).dtype == torch.float32
    assert torch.allclose(floored_policy(boltzmann.float(), 0.1).double(), floored_policy(boltzmann, 0.1), atol=1e-6)


# The bound


def test_remaining_error_by_hand() -> None:
    assert remaining_error(2.0, 0.75) == 6
    assert remaining_error(2.0, 0.0) == 0
    assert remaining_error(0.0, 0.5) == 0


# Losses


def test_squared_loss_is_the_weighted_mean_square_of_each_run() -> None:
    q, target = table([1, 2, 3], [0, 0, 0]), table([2, 0, 3], [3, -6, 9])
    assert squared_loss(q, target).tolist() == [5 / 3, 42]
    assert squared_loss(q[0], target[0]).item() == 5 / 3  # no run axis, no batch of runs
    weight = table([1.5, 1.5, 0], [0, 1.5, 1.5])  # padded steps count for nothing
    assert squared_loss(q, target, weight).tolist() == [7.5 / 3, 1.5 * (36 + 81) / 3]
    assert value_network_loss(q, target).tolist() == [5 / 6, 21]


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


def slope(loss: Callable[[Tensor, Tensor], Tensor], guess: float, target: Tensor) -> float:
    q = torch.tensor(guess, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(loss(q.expand(len(target)), target), q)[0].item()


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


# The actor and the critic


def flags(*rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64).bool()


def test_returns_bootstrap_where_the_piece_or_the_episode_is_cut_off_and_not_where_it_ends_by_hand() -> None:
    # Four steps (down) of three environments (across): cut off by the piece alone; an end after step 1; a cut after step 2.
    reward = table([1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12])
    terminated = flags([0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0])
    ended = flags([0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0])
    next_value = table([100, 200, 300], [400, 500, 600], [700, 800, 900], [16, 32, 64])
    found = bootstrapped_return(reward, terminated, ended, next_value, 0.5)
    one = [1 + (4 + (7 + (10 + 8) / 2) / 2) / 2, 4 + (7 + 9) / 2, 7 + 9, 10 + 8]
    two = [2 + 5 / 2, 5, 8 + (11 + 16) / 2, 11 + 16]
    three = [3 + (6 + (9 + 450) / 2) / 2, 6 + (9 + 450) / 2, 9 + 450, 12 + 32]
    assert found.T.tolist() == [one, two, three]


def test_an_end_in_the_last_step_is_worth_its_reward_and_a_cut_there_what_follows() -> None:
    reward, next_value = table([1, 1, 1], [2, 2, 2]), table([9, 9, 9], [40, 80, 160])
    terminated, ended = flags([0, 0, 0], [1, 0, 0]), flags([0, 0, 0], [1, 1, 0])
    found = bootstrapped_return(reward, terminated, ended, next_value, 0.25)
    assert found.tolist() == [[1.5, 1 + 22 / 4, 1 + 42 / 4], [2, 22, 42]]


def plain_return(fields: list[Tensor], discount: float, t: int) -> float:
    """One environment's return of step t: the rewards up to the end of its episode or of the piece, and what is left then."""
    reward, terminated, ended, next_value = (field.tolist() for field in fields)
    total, weight = 0.0, 1.0
    while True:
        total += weight * reward[t]
        weight *= discount
        if terminated[t]:
            return float(total)
        if ended[t] or t + 1 == len(reward):
            return float(total + weight * next_value[t])
        t += 1


def random_piece(seed: int, *shape: int) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    terminated = rng.random(shape) < 0.2
    ended = terminated | (rng.random(shape) < 0.2)
    fields = rng.normal(size=shape), terminated, ended, 10 * rng.normal(size=shape)
    return [torch.from_numpy(field) for field in fields]


@FAST
@given(seed=st.integers(0, 2**32 - 1), discount=st.floats(0, 1), steps=st.integers(1, 9))
def test_returns_of_many_runs_and_environments_are_the_sums_of_each(seed: int, discount: float, steps: int) -> None:
    fields = random_piece(seed, 2, 3, steps, 4)
    before = [field.clone() for field in fields]
    reward, terminated, ended, next_value = fields
    found = bootstrapped_return(reward, terminated, ended, next_value, discount)
    assert found.shape == (2, 3, steps, 4) and all(map(torch.equal, fields, before))
    for a in range(2):
        for b in range(3):
            for environment in range(4):
                one = [field[a, b, :, environment] for field in fields]
                wanted = [plain_return(one, discount, t) for t in range(steps)]
                assert found[a, b, :, environment].tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_a_return_of_one_step_is_the_target() -> None:
    reward, terminated, ended, next_value = random_piece(0, 3, 1, 50)
    found = bootstrapped_return(reward, terminated, ended, next_value, 0.9)
    torch.testing.assert_close(found, td_target(reward, terminated, next_value, 0.9))
    assert torch.equal(found, bootstrapped_return(reward, terminated, ~ended | terminated, next_value, 0.9))


def test_whole_episodes_that_end_ask_for_no_value() -> None:
    reward, terminated, _, next_value = random_piece(1, 6, 40)
    terminated[-1] = True
    found, other = (
        bootstrapped_return(reward, terminated, terminated, value, 0.9) for value in (next_value, 0 * next_value)
    )
    assert torch.equal(found, other)


def test_a_discount_for_each_run_stands_in_front_of_the_environments() -> None:
    fields = random_piece(2, 3, 5, 4)
    reward, terminated, ended, next_value = fields
    discounts = [0.0, 0.5, 0.9]
    found = bootstrapped_return(reward, terminated, ended, next_value, table(*discounts).unsqueeze(-1))
    for run, discount in enumerate(discounts):
        single = bootstrapped_return(*(field[run] for field in fields), discount)  # type: ignore[call-arg]
        torch.testing.assert_close(found[run], single)


def test_returns_stay_in_float32_for_networks() -> None:
    reward, terminated, ended, next_value = random_piece(0, 3, 2)
    assert bootstrapped_return(reward.float(), terminated, ended, next_value.float(), 0.9).dtype == torch.float32


def test_the_actors_loss_is_minus_the_mean_of_score_times_advantage_in_each_run_by_hand() -> None:
    log_probability = table([-1, -2, -4], [-8, -16, -32]).requires_grad_()
    advantage = table([1, -1, 0.5], [2, 0.25, -0.125]).requires_grad_()
    loss = policy_gradient_loss(log_probability, advantage)
    assert loss.tolist() == [(1 - 2 + 2) / 3, (16 + 4 - 4) / 3]
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert advantage.grad is None  # the critic has no say in how the actor is pushed
    torch.testing.assert_close(log_probability.grad, -advantage.detach() / 3)
    assert policy_gradient_loss(torch.zeros(4, 2, 3), torch.zeros(4, 2, 3)).shape == (4, 2)


def test_an_advantage_that_depends_on_the_same_parameters_gets_no_gradient() -> None:
    shared = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    loss = policy_gradient_loss(shared * table(1, 2), shared.square() * table(1, 1))
    assert torch.autograd.grad(loss, shared)[0].item() == -9 * 1.5


def test_the_actor_critic_loss_adds_the_entropy_with_the_weights_of_the_steps_by_hand() -> None:
    log_probability = table([-1, -2, -4], [-8, -16, -32]).requires_grad_()
    entropy = table([0.5, 1, 9], [1, 2, 9]).requires_grad_()
    advantage, weight = table([1, -1, 7], [2, 0.25, 7]), table([1.5, 1.5, 0], [2, 1, 0])  # the last step is padding
    loss = actor_critic_loss(log_probability, advantage, entropy, 0.5, weight)
    assert loss.tolist() == [((1 - 2) * 1.5 - 0.5 * 1.5 * 1.5) / 3, (2 * 16 + 4 - 0.5 * (2 + 2)) / 3]
    by_score, by_entropy = torch.autograd.grad(loss.sum(), (log_probability, entropy))
    torch.testing.assert_close(by_score, -weight * advantage / 3)
    torch.testing.assert_close(by_entropy, -0.5 * weight / 3)
    plain = actor_critic_loss(log_probability, advantage, entropy, 0.0)
    assert torch.equal(plain, policy_gradient_loss(log_probability, advantage))


def test_the_deterministic_actor_climbs_its_critic_by_hand() -> None:
    q = table([1, 2, 6], [-1, 0, 4]).requires_grad_()
    loss = deterministic_actor_loss(q)
    assert loss.tolist() == [-3, -1]
    assert torch.autograd.grad(loss.sum(), q)[0].tolist() == [[pytest.approx(-1 / 3)] * 3] * 2


def test_log_density_and_entropy_of_gaussians_by_hand() -> None:
    half = math.log(2 * math.pi) / 2
    action, mean, log_std = table([1, 5], [0, 0]), table([1, 1], [3, 0]), table(0, math.log(2))
    found = gaussian_log_density(action, mean, log_std)
    assert found.tolist() == pytest.approx([-2 * half - math.log(2) - 2, -2 * half - math.log(2) - 4.5])
    assert gaussian_entropy(log_std).item() == pytest.approx(2 * half + 1 + math.log(2))
    assert gaussian_entropy(table([-3], [0])).tolist() == pytest.approx([-3 + half + 0.5, half + 0.5])


@FAST
@given(seed=st.integers(0, 2**32 - 1))
def test_gaussians_are_those_of_pytorch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    action, mean = (torch.from_numpy(rng.normal(size=(2, 5, 3))) for _ in range(2))
    log_std = torch.from_numpy(rng.normal(size=(2, 1, 3)))
    theirs: Any = torch.distributions.Normal(mean, log_std.exp())
    torch.testing.assert_close(gaussian_log_density(action, mean, log_std), theirs.log_prob(action).sum(-1))
    torch.testing.assert_close(gaussian_entropy(log_std.expand_as(mean)), theirs.entropy().sum(-1))


def test_noise_is_clipped_and_so_is_where_it_leads_by_hand() -> None:
    action, noise = table([0, 0.25, -0.25], [0.75, -1, 1]), table([0.125, 2, -2], [0.5, 0.25, -0.75])
    assert clipped_noise(action, noise, 0.5).tolist() == [[0.125, 0.75, -0.75], [1, -0.75, 0.5]]
    assert clipped_noise(action, noise, 9.0).tolist() == [[0.125, 1, -1], [1, -0.75, 0.25]]
    assert noise.tolist()[0] == [0.125, 2, -2]


def test_a_bootstrapped_return_has_the_wider_type_whatever_the_value_is_made_of() -> None:
    reward, end = torch.tensor([[1.5], [2.5]], dtype=torch.float64), torch.tensor([[False], [True]])
    for value in (torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, 1)):
        returns = bootstrapped_return(reward, end, end, value, 0.9)
        assert returns.dtype == torch.float64 and torch.allclose(returns, torch.tensor([[3.75], [2.5]]).double())


# Soft actor-critic: the squashed Gaussian

HALF_LOG = math.log(2 * math.pi) / 2
MEANS, STDS = (-3.0, -0.4, 0.0, 1.1, 2.5), (0.03, 0.3, 0.87, 1.0, 2.0, 5.0)
XI = torch.linspace(
    -12, 12, 4_001, dtype=torch.float64
)  # for averages over N(0, 1): smooth functions lose no digit to the grid
WEIGHT = torch.exp(-XI.square() / 2) / math.sqrt(2 * math.pi) * (XI[1] - XI[0])


def test_a_squashed_gaussian_by_hand() -> None:
    # tanh(log 2) = 3/5 and tanh(log 3) = 4/5, so that 1 − tanh² is 16/25 and 9/25
    two, three = math.log(2), math.log(3)
    mean, log_std = table([0, three], [-two, 0]), table([two, -two], [0, three])
    noise = table([two / 2, 0], [0, -three / 3])
    action, log_density = squash(mean, log_std, noise)
    assert action.tolist() == [pytest.approx([0.6, 0.8]), pytest.approx([-0.6, -0.8])]
    one = -(two**2) / 8 - two - math.log(0.64) + two - math.log(0.36) - 2 * HALF_LOG
    other = -math.log(0.64) - three**2 / 18 - three - math.log(0.36) - 2 * HALF_LOG
    assert log_density.tolist() == pytest.approx([one, other], rel=1e-14)


def draws(seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Means, log σ of a run or of a state, and noise; no two axes are equally long."""
    rng = np.random.default_rng(seed)
    mean, noise = (torch.from_numpy(scale * rng.normal(size=(3, 5, 2))) for _ in range(2))
    log_std = torch.from_numpy(rng.normal(size=(3, 1, 2) if seed % 2 else (3, 5, 2)))
    return mean, log_std, noise


@FAST
@given(seed=st.integers(0, 2**32 - 1))
def test_actions_log_densities_and_slopes_are_those_of_pytorchs_transformed_distribution(seed: int) -> None:
    # The transform remembers which u an action comes from: artanh has none of its digits left where tanh is 1.
    mean, log_std, noise = draws(seed)
    mean.requires_grad_(), log_std.requires_grad_()
    transform = torch.distributions.TanhTransform(cache_size=1)
    normal = torch.distributions.Normal(mean, log_std.exp())
    theirs: Any = torch.distributions.Independent(torch.distributions.TransformedDistribution(normal, [transform]), 1)
    their_action = transform(mean + log_std.exp() * noise)
    action, log_density = squash(mean, log_std, noise)
    assert action.shape == (3, 5, 2) and log_density.shape == (3, 5)
    torch.testing.assert_close(action, their_action, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(log_density, theirs.log_prob(their_action), rtol=1e-8, atol=1e-8)
    for mine, wanted in ((action, their_action), (log_density, theirs.log_prob(their_action))):
        for found, slope in zip(
            *(torch.autograd.grad(x.sum(), (mean, log_std), retain_graph=True) for x in (mine, wanted)), strict=True
        ):
            torch.testing.assert_close(found, slope, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("std", STDS)
@pytest.mark.parametrize("mean", MEANS)
def test_the_density_integrates_to_one_and_has_the_moments_of_its_draws(mean: float, std: float) -> None:
    # Over the actions themselves: cells between neighbouring actions, and the density in each.
    edges = mean + std * torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    inside = (edges[1:] + edges[:-1]) / 2
    action, log_density = squash(table(mean), table(math.log(std)), ((inside - mean) / std).unsqueeze(-1))
    # differences of tanh; where it is nearly ±1, they are taken of what is left to ±1, −1 + tanh u = −2 / (1 + e^2u)
    left = 2 / (1 + torch.exp(2 * edges.abs()))
    width = torch.where(edges[:-1] * edges[1:] > 0, (left[:-1] - left[1:]).abs(), edges.tanh().diff())
    mass = log_density.exp() * width
    assert mass.sum().item() == pytest.approx(1, abs=1e-5)
    for power in (1, 2):
        wanted = (WEIGHT * (mean + std * XI).tanh() ** power).sum().item()
        assert (mass * action.squeeze(-1) ** power).sum().item() == pytest.approx(wanted, abs=1e-5)


def minus_log_slope(u: float) -> float:
    """−log(1 − tanh² u) = 2 log cosh u, in plain Python."""
    return 2 * (abs(u) + math.log1p(math.exp(-2 * abs(u))) - math.log(2))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("u", [0.0, 0.5, 3.0, 8.0, 9.5, 12.0, 20.0, 90.0, 1_000.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_far_out_values_and_slopes_are_finite_and_right(sign: int, u: float, kind: torch.dtype) -> None:
    # 1 − tanh² u is 0 in float32 from u = 9.01 on; with + 1e-6 in it, u = 8 would have 13.43 in place of 14.61.
    mean, log_std = (torch.tensor([x], dtype=kind, requires_grad=True) for x in (sign * (u - 2.0), math.log(2)))
    action, log_density = squash(mean, log_std, torch.tensor([float(sign)], dtype=kind))
    rounding = 8 * torch.finfo(kind).eps
    assert action.item() == pytest.approx(math.tanh(sign * u), rel=rounding)
    assert log_density.item() == pytest.approx(
        minus_log_slope(u) - 0.5 - math.log(2) - HALF_LOG, rel=rounding, abs=rounding * 4
    )
    by_mean, by_log_std = torch.autograd.grad(log_density, (mean, log_std), retain_graph=True)
    slope = 2 * math.tanh(sign * u)  # of −log(1 − tanh² u)
    assert by_mean.item() == pytest.approx(slope, rel=rounding, abs=rounding)
    assert by_log_std.item() == pytest.approx(slope * sign * 2.0 - 1, rel=rounding, abs=rounding)
    if u == 8:
        assert minus_log_slope(8) == pytest.approx(14.6137, abs=1e-4)
    for slope_of_action in torch.autograd.grad(action, (mean, log_std)):
        assert slope_of_action.isfinite()


def test_squashing_stays_in_the_type_leaves_its_inputs_alone_and_takes_one_log_sigma_for_all() -> None:
    mean, log_std, noise = (tensor.float() for tensor in draws(1))
    before = [tensor.clone() for tensor in (mean, log_std, noise)]
    action, log_density = squash(mean, log_std, noise)
    assert action.dtype == log_density.dtype == torch.float32
    assert all(map(torch.equal, before, (mean, log_std, noise)))
    for run in range(3):
        alone, its_density = squash(mean[run], log_std[run].expand(5, 2), noise[run])
        assert torch.equal(alone, action[run]) and torch.equal(its_density, log_density[run])
    assert squash(mean[0, 0], log_std[0, 0], noise[0, 0])[1].shape == ()


def gaussian_term(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """log π(a|s) of an action that is given, from the definition: the density of artanh a over the slope of tanh there."""
    u = action.atanh()
    normal = -(((u - mean) / log_std.exp()).square() / 2) - log_std - HALF_LOG
    return (normal - torch.log(1 - action.square())).sum(-1)


def hilly(action: Tensor) -> Tensor:
    """Some smooth Q(s, a)."""
    return (3 * action).sin().sum(-1) - action.prod(-1) + action.square().sum(-1) / 2


@FAST
@given(seed=st.integers(0, 2**32 - 1), temperature=st.floats(0, 3))
def test_both_terms_of_the_actors_gradient_add_up_to_what_autograd_and_finite_differences_find(
    seed: int, temperature: float
) -> None:
    mean, log_std, noise = draws(2 * (seed // 2))
    parameters = mean.requires_grad_(), log_std.requires_grad_()

    def loss(mean: Tensor, log_std: Tensor) -> Tensor:
        action, log_density = squash(mean, log_std, noise)
        return actor_loss(log_density, hilly(action), temperature).sum()

    found = torch.autograd.grad(loss(*parameters), parameters)
    # (7.9): α ∇_φ log π at the action as it stands, and (α ∇_a log π − ∇_a Q) times how the action moves, ∇_φ f
    moving, _ = squash(mean, log_std, noise)
    action = moving.detach().requires_grad_()
    by_parameters = torch.autograd.grad(gaussian_term(mean, log_std, action.detach()).sum(), parameters)
    height = temperature * gaussian_term(mean.detach(), log_std.detach(), action) - hilly(action)
    (by_action,) = torch.autograd.grad(height.sum(), action)
    along = torch.autograd.grad(moving, parameters, by_action)
    steady = 1 - action.detach().square() > 1e-3  # artanh of what is nearly ±1 has few digits
    steady = steady.all(-1, keepdim=True).expand_as(steady)
    for total, first, second in zip(found, by_parameters, along, strict=True):
        wanted = (temperature * first + second) / 5
        torch.testing.assert_close(total[steady], wanted[steady], rtol=1e-7, atol=1e-7)
    width = 1e-5
    for which in range(2):
        place = tuple(np.random.default_rng(seed).integers((3, 5, 2)))
        ends = []
        for sign in (1, -1):
            moved = [parameter.detach().clone() for parameter in parameters]
            moved[which][place] += sign * width
            ends.append(loss(*moved).item())
        slope = (ends[0] - ends[1]) / (2 * width)
        assert found[which][place].item() == pytest.approx(slope, rel=1e-5, abs=1e-6)


def squashed_entropy(mean: float, std: float) -> float:
    """−E log π of one dimension, by quadrature over the noise."""
    shape = table(mean), table(math.log(std)), XI.unsqueeze(-1)
    return -(WEIGHT * squash(*shape)[1]).sum().item()


def test_the_largest_entropy_of_a_squashed_gaussian_is_just_below_that_of_the_uniform_density() -> None:
    best = minimized(lambda x: -squashed_entropy(x[0], math.exp(x[1])), [0.3, 0.4], method="Nelder-Mead", tol=1e-9)
    assert best.x[0] == pytest.approx(0, abs=1e-4)
    assert (math.exp(best.x[1]), -best.fun) == pytest.approx((0.8743, 0.6836), abs=5e-4)
    assert -best.fun < math.log(2)


@pytest.mark.parametrize("std", STDS)
@pytest.mark.parametrize("mean", MEANS)
def test_the_entropy_is_the_gaussians_and_what_the_slope_of_tanh_takes_from_it(mean: float, std: float) -> None:
    slope = (WEIGHT * torch.tensor([-minus_log_slope(u) for u in (mean + std * XI).tolist()]).double()).sum().item()
    wanted = gaussian_entropy(torch.tensor([math.log(std)])).item() + slope
    assert squashed_entropy(mean, std) == pytest.approx(wanted, abs=1e-5)
    assert squashed_entropy(mean, std) < math.log(2)


def test_dimensions_add_up_their_entropies() -> None:
    # two dimensions, by a product of two grids
    xi = XI[::40]
    noise = torch.cartesian_prod(xi, xi)
    weight = torch.outer(WEIGHT[::40], WEIGHT[::40]).flatten() * 1_600
    _, log_density = squash(table(0.4, -1), table(-0.5, 0.2), noise)
    wanted = squashed_entropy(0.4, math.exp(-0.5)) + squashed_entropy(-1, math.exp(0.2))
    assert -(weight * log_density).sum().item() == pytest.approx(wanted, rel=1e-6)


# Soft actor-critic: value of one draw, and losses. (R, B) = (2, 3), and where it matters (3, 3)


def test_the_soft_value_of_a_draw_by_hand() -> None:
    q, log_density = table([1, 2, 3], [-4, 0, 8]), table([-1, 2, 0], [-3, 0.5, -0.25])
    assert sampled_soft_value(q, log_density, 0.5).tolist() == [[1.5, 1, 3], [-2.5, -0.25, 8.125]]
    assert sampled_soft_value(q, log_density, 0).tolist() == q.tolist()
    assert sampled_soft_value(q, log_density, table([0.5], [2])).tolist() == [[1.5, 1, 3], [2, -1, 8.5]]
    assert sampled_soft_value(q[0], log_density[0], 2).tolist() == [3, -2, 3]
    assert sampled_soft_value(q.float(), log_density.float(), torch.tensor(0.5)).dtype == torch.float32


@FAST
@given(seed=st.integers(0, 2**32 - 1), temperature=st.floats(0, 100))
def test_the_mean_of_the_soft_value_of_draws_is_the_policys_soft_value(seed: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    q = torch.from_numpy(rng.normal(size=(2, 3, 4)))
    policy = torch.from_numpy(rng.dirichlet(np.ones(4), size=(2, 3)))
    each = [sampled_soft_value(q[..., a], policy[..., a].log(), temperature) for a in range(4)]
    mean = sum(policy[..., a] * each[a] for a in range(4))
    torch.testing.assert_close(mean, soft_policy_value(q, policy, temperature), rtol=1e-12, atol=1e-12)


DRAWN: dict[str, Callable[..., Tensor]] = {
    "sampled_soft_value": sampled_soft_value,
    "actor_loss": lambda q, log_density, temperature: actor_loss(log_density, q, temperature),
}
every_function_of_a_draw = pytest.mark.parametrize("name", DRAWN)


@every_function_of_a_draw
def test_a_temperature_of_each_run_is_a_column_also_where_there_are_as_many_runs_as_transitions(name: str) -> None:
    square, log_density, alphas = SQUARE[..., 0], SQUARE[..., 1], [0.5, 2.0, 8.0]
    found = DRAWN[name](square, log_density, table(*([alpha] for alpha in alphas)))
    for run, alpha in enumerate(alphas):
        assert torch.equal(found[run], DRAWN[name](square[run], log_density[run], alpha))


def test_the_critics_errors_are_averaged_over_the_batch_halved_and_added_by_hand() -> None:
    q = table([[1, 2, 3], [0, 0, 0]], [[0, 0, 0], [1, -1, 3]]).requires_grad_()  # (critics, R, B) = (2, 2, 3)
    target = table([1, 0, 6], [2, -1, 0])
    loss = critic_loss(q, target)
    assert loss.tolist() == [(0 + 4 + 9 + 1 + 0 + 36) / 6, (4 + 1 + 0 + 1 + 0 + 9) / 6]
    assert critic_loss(q[:1], target).tolist() == [13 / 6, 5 / 6]
    # each critic is pushed by its own error alone, and no run by another's
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), q)[0], (q.detach() - target) / 3)
    (slope,) = torch.autograd.grad(critic_loss(q, target)[1], q)
    assert not slope[:, 0].any() and slope[:, 1].any(-1).all()
    assert critic_loss(torch.zeros(2, 4, 3, 5), torch.zeros(4, 3, 5)).shape == (4, 3)


def test_the_actors_loss_is_what_it_pays_for_certainty_less_what_the_action_is_worth_by_hand() -> None:
    log_density, q = table([1, -2, 4], [0, 3, -3]).requires_grad_(), table([5, 0, 1], [-2, 2, 6]).requires_grad_()
    assert actor_loss(log_density, q, 0.5).tolist() == [(1.5 - 6) / 3, (0 - 6) / 3]
    loss = actor_loss(log_density, q, table([0.5], [2]))
    by_log_density, by_q = torch.autograd.grad(loss.sum(), (log_density, q))
    assert by_log_density.tolist() == [[pytest.approx(0.5 / 3)] * 3, [pytest.approx(2 / 3)] * 3]
    assert by_q.tolist() == [[pytest.approx(-1 / 3)] * 3] * 2
    torch.testing.assert_close(loss, -sampled_soft_value(q, log_density, table([0.5], [2])).mean(-1))


def test_the_discrete_actors_loss_is_the_actors_loss_averaged_over_the_actions() -> None:
    # (R, B, A) = (2, 3, 4), with a temperature for each run
    policy, alphas = boltzmann_policy(Q, 3.0), table([0.5], [2])
    each = [actor_loss(policy.log()[..., [s], a], Q[..., [s], a], alphas) for s in range(3) for a in range(4)]
    weight = [policy[:, s, a] for s in range(3) for a in range(4)]
    wanted = torch.stack([share * loss for share, loss in zip(weight, each, strict=True)]).sum(0) / 3
    torch.testing.assert_close(discrete_actor_loss(Q, policy, alphas), wanted)
    # its slope in the logits vanishes at the Boltzmann policy, and only there
    for start, still in ((Q / alphas.unsqueeze(-1), True), (Q.clone(), False)):
        logits = start.requires_grad_()
        (slope,) = torch.autograd.grad(discrete_actor_loss(Q, logits.softmax(-1), alphas).sum(), logits)
        assert (slope.abs().max() < 1e-14) == still


def test_the_temperature_falls_where_the_policy_is_more_random_than_asked_for_by_hand() -> None:
    log_probability = table([-1, -2, -6], [0, 1, 2]).requires_grad_()  # H = 3 and −1
    alphas = table([0.5], [2]).requires_grad_()
    loss = temperature_loss(log_probability, alphas, -2.0)
    assert loss.tolist() == [0.5 * 5, 2 * 1]
    (slope,) = torch.autograd.grad(loss.sum(), alphas)  # and none to the policy
    assert slope.tolist() == [[5], [1]]
    assert temperature_loss(log_probability, alphas, table([4], [-2])).tolist() == [-0.5, 2]
    assert not temperature_loss(log_probability, 0.5, 0.0).requires_grad


@pytest.mark.parametrize("temperature", [0.1, 1.0, 4.0])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.5), (-0.7, 0.2), (0.5, 1.0), (1.2, 0.7)])
def test_the_mean_of_the_actors_gradient_is_that_of_the_divergence_times_the_temperature(
    mean: float, std: float, temperature: float
) -> None:
    # (7.5)–(7.7): Z has no μ and no σ in it. The divergence is integrated over the actions, the gradient over the noise.
    def height(action: Any) -> Any:
        return np.sin(3 * action) + action

    u = np.linspace(-18, 18, 36_001)
    width = (u[1] - u[0]) / np.cosh(u) ** 2
    log_boltzmann = height(np.tanh(u)) / temperature
    log_boltzmann -= np.log((np.exp(log_boltzmann) * width).sum())

    def divergence(mean: float, log_std: float) -> float:
        log_density = -(((u - mean) / np.exp(log_std)) ** 2) / 2 - log_std - HALF_LOG + 2 * np.log(np.cosh(u))
        return float((np.exp(log_density) * (log_density - log_boltzmann) * width).sum())

    parameters = [torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (mean, math.log(std))]
    action, log_density = squash(parameters[0], parameters[1], XI.unsqueeze(-1))
    value = (3 * action).sin() + action
    each = actor_loss(log_density.unsqueeze(-1), value, temperature)  # a batch of one for every draw of the noise
    found = torch.autograd.grad((WEIGHT * each).sum(), parameters)
    for which, step in ((0, (1e-5, 0)), (1, (0, 1e-5))):
        ends = [divergence(mean + sign * step[0], math.log(std) + sign * step[1]) for sign in (1, -1)]
        slope = temperature * (ends[0] - ends[1]) / 2e-5
        assert found[which].item() == pytest.approx(slope, rel=1e-5, abs=1e-7)


# The border


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda: td_target(table(1), torch.tensor([1]), table(10), 0.5), TypeError, r"terminated .* torch\.int64"),
        (lambda: td_target(table(1), table(1), table(10), 0.5), TypeError, r"terminated .* torch\.float64"),
        (lambda: soft_value(Q, 0), ValueError, r"above 0, but is 0\. The limit .* is greedy_value\.$"),
        (lambda: boltzmann_policy(Q, 0.0), ValueError, r"above 0, but is 0\. The limit .* is greedy_policy\.$"),
        (lambda: boltzmann_divergence(Q, POLICY, 0.0), ValueError, "temperature must be above 0"),
        (lambda: soft_value(Q, -1.0), ValueError, "temperature must be at least 0 and finite, but is -1.0"),
        (lambda: soft_policy_value(Q, POLICY, math.nan), ValueError, "temperature must be at least 0 and finite"),
        (lambda: sampled_soft_value(Q, Q, math.inf), ValueError, "temperature must be at least 0 and finite"),
        (lambda: soft_value(Q, "warm"), TypeError, "temperature must be a number, but is 'warm'"),  # type: ignore[arg-type]
        (lambda: soft_value(Q.long(), 0.5), TypeError, r"floating-point numbers, but are of torch\.int64"),
        (lambda: soft_policy_value(Q, POLICY.long(), 0.5), TypeError, r"floating-point .* torch\.int64"),
        (lambda: actor_loss(Q.long(), Q, 0.5), TypeError, r"floating-point .* torch\.int64"),
        (lambda: temperature_loss(Q[0], 0.5, table(1)), ValueError, r"target_entropy .* 2, but has the shape \(1,\)"),
        (lambda: floored_policy(POLICY, 0.26), ValueError, r"floor must lie in \[0, 0\.25\], but is 0\.26"),
        (lambda: floored_policy(POLICY, -0.01), ValueError, "floor must lie in"),
    ],
)
def test_what_has_no_meaning_is_refused(ask: Callable[[], Tensor], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ask()


@pytest.mark.parametrize("shape", [(3,), (1,), (3, 3, 1), (3, 3, 4)])
def test_a_temperature_of_another_rank_is_refused(shape: tuple[int, ...]) -> None:
    # (3,) is meant for the runs as likely as for the states
    alphas = torch.ones(shape, dtype=torch.float64)
    words = rf"temperature must be .* rank of the value, 2, but has the shape \({str(shape)[1:-1]}\)"
    asked: list[Callable[[Tensor], Tensor]] = [
        *(partial(function, SQUARE) for function in SOFT.values()),
        *(partial(function, SQUARE[0], SQUARE[1]) for function in DRAWN.values()),
        lambda alphas: temperature_loss(SQUARE[0], alphas, -1.0),
    ]
    for ask in asked:
        with pytest.raises(ValueError, match=words):
            ask(alphas)
