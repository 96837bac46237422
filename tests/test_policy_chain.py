"""The chain of a policy: by hand, outcome by outcome, and what is refused as no policy or no end."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sac_tutorial.exact.borders import check_policy
from sac_tutorial.exact.policy_chain import check_end, discounted_sum, policy_chain, reachable
from sac_tutorial.worlds.mdp import FiniteMDP, Outcome
from tests.oracles import FAST, mdps, plain_chain, random_mdp, random_policy, three_states

SEED = st.integers(0, 2**32 - 1)


def table(*rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


# The chain


def test_the_chain_of_a_policy_by_hand() -> None:
    # From the hut on foot: 1/2 to the lake, 1/4 to the peak, 1/4 it ends; from the peak on foot it ends.
    chain = policy_chain(three_states(), table([0.5, 0.5], [0.25, 0.75], [0.75, 0.25]))
    assert chain.tolist() == [[0, 0.25, 0.625], [0.78125, 0.09375, 0], [0.125, 0.0625, 0]]


@FAST
@given(mdp=mdps(), seed=SEED)
def test_the_chain_is_the_average_outcome_by_outcome_for_every_policy(mdp: FiniteMDP, seed: int) -> None:
    policies = torch.stack([random_policy(seed + number, mdp) for number in range(6)]).view(
        2, 3, mdp.states, mdp.actions
    )
    chains = policy_chain(mdp, policies)
    assert chains.shape == (2, 3, mdp.states, mdp.states)
    for first in range(2):
        for second in range(3):
            assert np.allclose(chains[first, second], plain_chain(mdp, policies[first, second]), atol=1e-14)
    goes_on = (policies * (mdp.probability * ~mdp.terminated).sum(-1)).sum(-1)
    assert torch.allclose(chains.sum(-1), goes_on)


# What can be reached


def chain_of(states: int, *steps: tuple[int, int]) -> Tensor:
    chain = torch.zeros(states, states, dtype=torch.float64)
    for origin, target in steps:
        chain[origin, target] = 0.1
    return chain


def states(count: int, *chosen: int) -> Tensor:
    return torch.tensor([state in chosen for state in range(count)])


def test_states_are_reachable_along_steps_and_not_against_them() -> None:
    chain = chain_of(6, (0, 1), (1, 2), (2, 1), (3, 0), (4, 4))
    for start, found in (((0,), (0, 1, 2)), ((3,), (0, 1, 2, 3)), ((4,), (4,)), ((5, 2), (1, 2, 5)), ((), ())):
        assert torch.equal(reachable(chain, states(6, *start)), states(6, *found))
    assert torch.equal(reachable(chain.mT, states(6, 0)), states(6, 0, 3))  # against them: from where


def test_chains_in_front_are_searched_each_on_its_own() -> None:
    chains = torch.stack([chain_of(4, (0, 1), (1, 2), (2, 3)), chain_of(4, (0, 2)), chain_of(4, (3, 0))])
    together = reachable(chains, states(4, 0))
    assert torch.equal(together, torch.stack([states(4, 0, 1, 2, 3), states(4, 0, 2), states(4, 0)]))
    starts = torch.stack([states(4, 1), states(4, 1), states(4, 3)])
    assert torch.equal(reachable(chains, starts), torch.stack([states(4, 1, 2, 3), states(4, 1), states(4, 3, 0)]))


@FAST
@given(seed=SEED, size=st.integers(1, 8), density=st.floats(0, 0.5))
def test_what_is_reachable_has_a_power_of_the_chain_that_leads_to_it(seed: int, size: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.random((3, size, size)) < density
    start = rng.random((3, size)) < 0.4
    powers = np.linalg.matrix_power(np.eye(size) + steps, size)  # at most so many steps, with rests in between
    assert np.array_equal(
        reachable(torch.from_numpy(steps * 1e-9), torch.from_numpy(start)), (start[:, None] @ powers)[:, 0] > 0
    )


# Ends


def ways() -> FiniteMDP:
    """Two rooms that lead to each other, one with a door that opens once in a thousand times, and one whose door is shut."""

    def to(state: int) -> list[Outcome]:
        return [(1.0, state, 0.0, False)]

    door, shut = ([(chance, 0, 0.0, True), (1 - chance, room, 0.0, False)] for chance, room in ((0.001, 2), (0.0, 3)))
    return FiniteMDP.from_outcomes(
        [[to(1), to(2)], [to(0), to(2)], [door, to(2)], [shut, to(3)]],
        start_probability=table(1, 0, 0, 0),
        discount=1.0,
        state_labels=("parlour", "kitchen", "hall", "cellar"),
    )


EVEN = torch.full((4, 2), 0.5, dtype=torch.float64)


def ask_for_ends(policy: Tensor, asked: Tensor) -> None:
    check_end(ways(), policy, policy_chain(ways(), policy), asked)


def test_an_end_is_certain_where_each_of_the_states_has_a_way_to_one() -> None:
    ask_for_ends(EVEN, states(4, 0, 1, 2))
    ask_for_ends(table([0, 1], [1, 0], [0.001, 0.999], [1, 0]), states(4, 0, 1, 2))
    ask_for_ends(EVEN, states(4))


@pytest.mark.parametrize(
    ("policy", "asked", "label"),
    [
        (EVEN, (0, 1, 2, 3), "cellar"),
        (table([1, 0], [1, 0], [1, 0], [1, 0]), (0, 1, 2), "parlour"),  # back and forth for ever
        (table([1, 0], [1, 0], [1, 0], [1, 0]), (1, 2), "kitchen"),
        (table([0, 1], [1, 0], [0, 1], [1, 0]), (2,), "hall"),  # which never tries its door
        (table([0, 1], [1, 0], [0, 1], [1, 0]), (0, 1, 2), "parlour"),
    ],
)
def test_a_state_without_a_way_to_an_end_is_named(policy: Tensor, asked: tuple[int, ...], label: str) -> None:
    words = f"^With a discount of 1 the end must be certain, .* no way leads from state '{label}' to an end. Take a discount"
    with pytest.raises(ValueError, match=words):
        ask_for_ends(policy, states(4, *asked))
    with pytest.raises(ValueError, match=words):  # among several policies, and states of their own
        ask_for_ends(torch.stack([EVEN, policy]), torch.stack([states(4, 0), states(4, *asked)]))


def test_each_policy_is_asked_about_its_own_states() -> None:
    circling = table([1, 0], [1, 0], [1, 0], [1, 0])
    ask_for_ends(torch.stack([EVEN, circling]), torch.stack([states(4, 0, 1, 2), states(4, 2)]))


# Sums along the chain


def test_what_adds_up_along_the_chain_by_hand() -> None:
    # two states that swap with a chance of a half, γ = 1/2: x = b + (1/4) of the other's
    mdp = random_mdp(0, 2, 1, 1, 0.5)
    chain = table([0, 0.5], [0.5, 0])
    assert discounted_sum(mdp, chain, table(15, 0)).tolist() == pytest.approx([16, 4], rel=1e-15)
    one_way = table([0, 1], [0, 0])
    assert discounted_sum(mdp, one_way, table(0, 8)).tolist() == [4, 8]
    assert discounted_sum(mdp, one_way.mT, table(0, 8)).tolist() == [0, 8]
    assert discounted_sum(mdp, one_way, table([0, 8], [2, 0])).tolist() == [[4, 8], [2, 0]]
    assert discounted_sum(mdp, torch.stack([one_way, one_way.mT]), table([0, 8], [8, 0])).tolist() == [[4, 8], [8, 4]]


def test_one_sum_too_long_to_count_among_several_is_refused_and_a_discount_makes_it_short() -> None:
    # Between two places to and fro, and out with a small chance: 1/chance steps. Their rows may be rounded either way.
    undiscounted, discounted = random_mdp(0, 2, 1, 1, 1.0), random_mdp(0, 2, 1, 1, 0.75)
    ones = torch.ones(2, dtype=torch.float64)

    def to_and_fro(chance: float) -> Tensor:
        return table([0, 1 - chance], [1 - chance, 0])

    words = "takes more steps than floating-point numbers can count"
    for chance in (0.0, -1e-16, 1e-16, -1e-15, 1e-15, 1e-13):
        for chain in (to_and_fro(chance), torch.stack([to_and_fro(0.5), to_and_fro(chance)])):
            with pytest.raises(ValueError, match=words):
                discounted_sum(undiscounted, chain, ones.expand(chain.shape[:-1]))
        assert discounted_sum(discounted, to_and_fro(chance), ones).tolist() == pytest.approx([4, 4])
    hardly = random_mdp(0, 2, 1, 1, 1 - 2**-45)  # with a discount, however little, a sum without an end is meant
    assert discounted_sum(hardly, to_and_fro(0.0), ones).tolist() == pytest.approx([2**45, 2**45], rel=1e-2)
    for chance in (0.5, 1e-6, 1e-10):
        for per_step in (ones, -3 * ones, 0 * ones):  # what is summed may have any sign
            found = discounted_sum(undiscounted, to_and_fro(chance), per_step)
            assert found.tolist() == pytest.approx((per_step / chance).tolist(), rel=1e-5)


# The border


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (EVEN.float(), TypeError, "^policy must be a tensor of torch.float64, but is one of torch.float32"),
        ([[0.5, 0.5]] * 4, TypeError, "^policy must be a tensor of torch.float64, but is a list"),
        (EVEN.mT, ValueError, r"^policy must have the shape \(\.\.\., 4, 2\), but has \(2, 4\)"),
        (EVEN.flatten(), ValueError, r"^policy must have the shape \(\.\.\., 4, 2\), but has \(8,\)"),
        (table([1, 0], [0.5, 0.4], [1, 0], [1, 0]), ValueError, r"sum to 1 .* in state 'kitchen' .*\[0.5, 0.4\]"),
        (table([1, 0], [1, 0], [1.5, -0.5], [1, 0]), ValueError, r"non-negative.*'hall' it is \[1.5, -0.5\]"),
        (table([1, 0], [1, 0], [1, 0], [math.nan, 1]), ValueError, "in state 'cellar' it is .*nan"),
        (torch.stack([EVEN, EVEN * 1.1]), ValueError, r"in state 'parlour' it is \[0.55"),
    ],
)
def test_what_is_no_policy_is_refused(wrong: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        policy_chain(ways(), wrong)
    with pytest.raises(error, match=words.replace("policy must", "what project returns must")):
        check_policy(ways(), wrong, "what project returns")


def test_a_policy_may_have_zeros_and_rounding() -> None:
    for policy in (table([1, 0], [0, 1], [1, 0], [0, 1]), EVEN + 4e-10, EVEN - 4e-10, EVEN.expand(2, 3, 4, 2)):
        check_policy(ways(), policy)
    with pytest.raises(ValueError, match="sum to 1"):
        check_policy(ways(), EVEN + 1e-9)
