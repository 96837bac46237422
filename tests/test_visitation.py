"""Where a policy spends its time: by hand, by following the distribution step by step, and by the values it must agree with."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sac_tutorial.equations import entropy, soft_policy_value
from sac_tutorial.exact.dynamic_programming import policy_q
from sac_tutorial.exact.visitation import expected_entropy, expected_return, state_distribution, visits
from sac_tutorial.worlds.mdp import FiniteMDP, Outcome
from tests.oracles import (
    FAST,
    mdps,
    plain_entropy,
    plain_policy_q,
    plain_visits,
    random_mdp,
    random_policy,
)

SEED = st.integers(0, 2**32 - 1)


def table(*rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def uniform(mdp: FiniteMDP) -> Tensor:
    return torch.full((mdp.states, mdp.actions), 1 / mdp.actions, dtype=torch.float64)


# By hand


def path(discount: float, start: tuple[float, float, float] = (0.5, 0.25, 0.25)) -> FiniteMDP:
    """a → b → c → the end for the first action, and with the second one round more where one stands."""

    def go(state: int) -> list[Outcome]:
        return [(1.0, min(state + 1, 2), 3.0 + state, state == 2)]

    def stay(state: int) -> list[Outcome]:
        return [(1.0, state, -1.0, False)]

    return FiniteMDP.from_outcomes(
        [[go(state), stay(state)] for state in range(3)],
        start_probability=table(*start),
        discount=discount,
        state_labels=("a", "b", "c"),
    )


def test_visits_of_a_path_by_hand() -> None:
    mdp = path(0.5)
    goes = table([1, 0], [1, 0], [1, 0])
    # d(a) = 1/2; d(b) = 1/4 + d(a)/2; d(c) = 1/4 + d(b)/2
    assert visits(mdp, goes).tolist() == [0.5, 0.5, 0.5]
    assert state_distribution(mdp, goes).tolist() == pytest.approx([1 / 3] * 3, rel=1e-15)
    assert expected_return(mdp, goes).item() == 6
    assert expected_entropy(mdp, goes).item() == 0
    halts = table([0.5, 0.5], [1, 0], [0, 1])
    # d(a) = 1/2 + d(a)/4; d(b) = 1/4 + d(a)/4; d(c) = 1/4 + d(b)/2 + d(c)/2
    a, b, c = 2 / 3, 5 / 12, 11 / 12
    assert visits(mdp, halts).tolist() == pytest.approx([a, b, c], rel=1e-15)
    assert state_distribution(mdp, halts).tolist() == pytest.approx([a / 2, b / 2, c / 2], rel=1e-15)
    assert expected_return(mdp, halts).item() == pytest.approx(a * 1 + b * 4 - c)
    assert expected_entropy(mdp, halts).item() == pytest.approx(a / 2 * math.log(2))


def test_without_a_future_the_first_step_is_all() -> None:
    mdp = path(0.0)
    assert visits(mdp, uniform(mdp)).tolist() == [0.5, 0.25, 0.25]
    assert expected_return(mdp, uniform(mdp)).item() == 0.5 * 1 + 0.25 * 1.5 + 0.25 * 2
    assert expected_entropy(mdp, uniform(mdp)).item() == pytest.approx(math.log(2))


def test_terminal_states_have_no_visits() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9)
    found = visits(mdp, uniform(mdp))
    assert (found[~mdp.live] == 0).all() and (found[mdp.live] > 0).all()


# Independent answers


@FAST
@given(mdp=mdps(discount=0.9), seed=SEED)
def test_visits_are_what_is_left_of_the_start_step_by_step(mdp: FiniteMDP, seed: int) -> None:
    policy = random_policy(seed, mdp)
    found = visits(mdp, policy)
    assert found.tolist() == pytest.approx(plain_visits(mdp, policy), abs=1e-13)
    # a step is taken now, and then wherever the episode goes on
    goes_on = (policy * (mdp.probability * ~mdp.terminated).sum(-1)).sum(-1)
    assert found.sum().item() == pytest.approx(1 + mdp.discount * (found * goes_on).sum().item())
    share = state_distribution(mdp, policy)
    assert share.sum().item() == pytest.approx(1, rel=1e-14)
    assert torch.allclose(share * found.sum(), found)


@FAST
@given(mdp=mdps(discount=0.9), seed=SEED)
def test_return_and_entropy_are_the_averages_over_the_visits(mdp: FiniteMDP, seed: int) -> None:
    policy = random_policy(seed, mdp)
    steps = plain_visits(mdp, policy)
    start = mdp.start_probability
    assert expected_return(mdp, policy).item() == pytest.approx(
        (start * (policy * plain_policy_q(mdp, policy)).sum(-1)).sum().item(), abs=1e-11
    )
    bonus = math.fsum(count * plain_entropy(row) for count, row in zip(steps, policy.tolist(), strict=True))
    assert expected_entropy(mdp, policy).item() == pytest.approx(bonus / sum(steps), abs=1e-12)
    assert -1e-15 <= expected_entropy(mdp, policy).item() <= math.log(mdp.actions) + 1e-12


@FAST
@given(mdp=mdps(), seed=SEED, power=st.floats(-3, 3))
def test_the_objective_is_return_and_entropy_of_the_visits_and_the_value_of_the_start(
    mdp: FiniteMDP, seed: int, power: float
) -> None:
    temperature = 10**power
    policy = random_policy(seed, mdp)
    value = soft_policy_value(policy_q(mdp, policy, temperature), policy, temperature)
    count = visits(mdp, policy)
    objective = expected_return(mdp, policy) + temperature * (count * entropy(policy)).sum()
    same = expected_return(mdp, policy) + temperature * count.sum() * expected_entropy(mdp, policy)
    wanted = pytest.approx((mdp.start_probability * value).sum().item(), rel=1e-10, abs=1e-10)
    assert objective.item() == wanted
    assert same.item() == wanted


def test_many_policies_at_once_are_as_good_as_single_calls() -> None:
    mdp = random_mdp(0, 5, 4, 3, 0.9)
    policies = torch.stack([random_policy(seed, mdp) for seed in range(6)]).view(2, 3, 5, 4)
    functions: tuple[Callable[..., Tensor], ...] = (visits, state_distribution, expected_return, expected_entropy)
    for function in functions:
        together = function(mdp, policies)
        assert together.shape == ((2, 3, 5) if function in (visits, state_distribution) else (2, 3))
        for first in range(2):
            for second in range(3):
                assert torch.allclose(together[first, second], function(mdp, policies[first, second]), rtol=1e-12)


# Without a discount


def walk(places: int, start: int) -> FiniteMDP:
    """A walk on so many places, left or right, that ends beyond either side; a place beside, where nothing ever ends."""
    rows: list[list[list[Outcome]]] = [
        [[(1.0, max(s - 1, 0), -1.0, s == 0)], [(1.0, min(s + 1, places - 1), 2.0, s == places - 1)]]
        for s in range(places)
    ]
    rows.append([[(1.0, places, 5.0, False)]] * 2)
    first = torch.zeros(places + 1, dtype=torch.float64)
    first[start] = 1.0
    return FiniteMDP.from_outcomes(
        rows, start_probability=first, discount=1.0, state_labels=(*"abcdefgh"[:places], "beside")
    )


@pytest.mark.parametrize("start", range(5))
def test_visits_of_a_fair_walk_are_its_fundamental_matrix(start: int) -> None:
    # From the i-th of n places to the j-th: 2 min(i, j) (n + 1 − max(i, j))/(n + 1) visits. Where nothing ends nobody comes.
    mdp = walk(5, start)
    i = start + 1
    wanted = [2 * min(i, j) * (6 - max(i, j)) / 6 for j in range(1, 6)]
    assert visits(mdp, uniform(mdp)).tolist() == pytest.approx([*wanted, 0], rel=1e-12)
    assert expected_return(mdp, uniform(mdp)).item() == pytest.approx(sum(wanted) / 2)
    assert expected_entropy(mdp, uniform(mdp)).item() == pytest.approx(math.log(2))
    right = table([0, 1]).expand(6, 2)
    assert visits(mdp, right).tolist() == [*(float(place >= start) for place in range(5)), 0]
    both = visits(mdp, torch.stack([uniform(mdp), right]))  # each with the states that it visits
    assert both[0].tolist() == pytest.approx([*wanted, 0], rel=1e-12)
    assert torch.equal(both[1], visits(mdp, right))


def test_states_without_an_end_matter_only_where_the_policy_goes() -> None:
    mdp = walk(5, 1)
    # left of its start it leaves; to the right, where it never goes, the third and the fourth place send each other round
    policy = table([1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0])
    assert visits(mdp, policy).tolist() == [1, 1, 0, 0, 0, 0]
    assert expected_return(mdp, policy).item() == -2
    words = "With a discount of 1 the end must be certain, but under this policy no way leads from state 'c' to an end"
    wanders = policy.clone()
    wanders[1] = 0.5
    for function in (visits, state_distribution, expected_return, expected_entropy):
        with pytest.raises(ValueError, match=words):
            function(mdp, wanders)
        with pytest.raises(ValueError, match=words):
            function(mdp, torch.stack([policy, wanders]))


# The border


@pytest.mark.parametrize("function", [visits, state_distribution, expected_return, expected_entropy])
def test_what_is_no_policy_is_refused(function: Callable[..., Tensor]) -> None:
    mdp = path(0.5)
    with pytest.raises(TypeError, match=r"policy must be a tensor of torch.float64, but is one of torch.float32"):
        function(mdp, uniform(mdp).float())
    with pytest.raises(ValueError, match="policy must be non-negative and sum to 1 in every state, but in state 'b'"):
        function(mdp, table([1, 0], [1, 1], [0, 1]))
