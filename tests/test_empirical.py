"""The empirical MDP of a replay, against the same MDP built outcome by outcome and solved exactly."""

from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.equations import epsilon_greedy_value, greedy_value, soft_value
from sac_tutorial.exact.dynamic_programming import epsilon_greedy_q, optimal_q, soft_optimal_q
from sac_tutorial.exact.empirical import empirical_q, nearest_state
from sac_tutorial.worlds.features import pictures
from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.mdp import FiniteMDP
from tests.oracles import FAST, random_mdp

RUNS, STORED, STATES, ACTIONS = 3, 60, 7, 4


def stored(seed: int, count: int = STORED, shape: tuple[int, ...] = (5,)) -> tuple[Batch, torch.Tensor]:
    """Random transitions between states that show random features; rewards are all different."""
    rng = np.random.default_rng(seed)
    features = torch.from_numpy(rng.normal(size=(STATES, *shape)).astype(np.float32))
    state, following = (torch.from_numpy(rng.integers(STATES, size=(RUNS, count))) for _ in range(2))
    action = torch.from_numpy(rng.integers(ACTIONS, size=(RUNS, count)))
    reward = torch.from_numpy(rng.normal(size=(RUNS, count)).astype(np.float32))
    terminated = torch.from_numpy(rng.random((RUNS, count)) < 0.2)
    return Batch(features[state], action, reward, features[following], terminated), features


def counted(batch: Batch, features: torch.Tensor, run: int, discount: float) -> FiniteMDP:
    """The MDP in which each stored transition is one outcome, as likely as the others of its pair."""
    lists: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for observation, action, reward, following, terminated in zip(*(field[run] for field in batch), strict=True):
        s, n = (next(i for i in range(STATES) if torch.equal(features[i], seen)) for seen in (observation, following))
        lists[s, int(action)].append((n, float(reward), bool(terminated)))
    never = [(0, 0.0, True)]  # a pair that is not stored is worth 0
    outcomes = [
        [[(1 / len(pair), *outcome) for outcome in pair] for a in range(ACTIONS) for pair in [lists.get((s, a), never)]]
        for s in range(STATES)
    ]
    return FiniteMDP.from_outcomes(
        outcomes, start_probability=torch.full((STATES,), 1 / STATES, dtype=torch.float64), discount=discount
    )


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.95])
def test_it_is_the_optimum_of_the_mdp_that_the_transitions_make(discount: float, shape: tuple[int, ...]) -> None:
    batch, features = stored(0, shape=shape)
    q = empirical_q(batch, features, ACTIONS, discount)
    assert q.shape == (RUNS, STATES, ACTIONS) and q.dtype == torch.float64
    for run in range(RUNS):
        torch.testing.assert_close(q[run], optimal_q(counted(batch, features, run, discount)), rtol=0, atol=1e-8)


@FAST
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40), discount=st.floats(0, 0.9))
def test_it_is_so_for_any_transitions(seed: int, count: int, discount: float) -> None:
    batch, features = stored(seed, count)
    q = empirical_q(batch, features, ACTIONS, discount)
    torch.testing.assert_close(q[1], optimal_q(counted(batch, features, 1, discount)), rtol=0, atol=1e-8)


def test_pairs_that_are_not_stored_are_worth_nothing_and_no_less() -> None:
    eye = torch.eye(3)
    batch = Batch(
        observation=eye[torch.tensor([[0, 1]])],
        action=torch.tensor([[0, 1]]),
        reward=torch.tensor([[1.0, -8.0]]),
        next_observation=eye[torch.tensor([[1, 2]])],
        terminated=torch.tensor([[False, False]]),
    )
    # State 1 knows a bad action and one it never tried: as in a table that began at 0, the latter is the best.
    assert empirical_q(batch, eye, 2, 0.5).tolist() == [[[1, 0], [0, -8], [0, 0]]]


def test_it_comes_within_the_tolerance() -> None:
    batch, features = stored(1)
    exact = torch.stack([optimal_q(counted(batch, features, run, 0.98)) for run in range(RUNS)])
    for tolerance in (1e-1, 1e-3, 1e-6):
        distance = (empirical_q(batch, features, ACTIONS, 0.98, tolerance=tolerance) - exact).abs().max()
        assert distance <= tolerance
    assert distance > 1e-7  # and stops then


def test_with_many_transitions_it_is_the_optimum_of_the_mdp_itself() -> None:
    mdp, features, count = random_mdp(3, 5, 2, 3, 0.8), torch.eye(5), 40_000
    draw = torch.Generator().manual_seed(0)
    state, action = (torch.randint(most, (2, count), generator=draw) for most in (5, 2))
    outcome = mdp.sample(state.flatten(), action.flatten(), draw)
    following, reward, terminated = (part.view(2, count) for part in outcome)
    batch = Batch(features[state], action, reward.float(), features[following], terminated)
    found = empirical_q(batch, features, 2, mdp.discount)
    # 4,000 visits of a pair leave a mean of targets, whose deviation is about 1, an error of 0.016; through the
    # bootstrap it grows at most by 1 / (1 − γ) = 5.
    assert (found - optimal_q(mdp)).abs().max() < 5 * 4 * 0.016


@pytest.mark.parametrize("temperature", [0.05, 10.0])
@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_with_soft_values_it_is_the_soft_optimum_of_the_same_mdp(discount: float, temperature: float) -> None:
    batch, features = stored(0)
    q = empirical_q(batch, features, ACTIONS, discount, next_value=partial(soft_value, temperature=temperature))
    for run in range(RUNS):
        exact = soft_optimal_q(counted(batch, features, run, discount), temperature)
        torch.testing.assert_close(q[run], exact, rtol=0, atol=1e-8)


def test_each_run_may_have_a_temperature_of_its_own_and_other_values_have_their_own_answers() -> None:
    batch, features = stored(1)
    alphas = [0.1, 1.0, 3.0]
    column = torch.tensor(alphas, dtype=torch.float64).unsqueeze(-1)
    q = empirical_q(batch, features, ACTIONS, 0.8, next_value=partial(soft_value, temperature=column))
    for run, alpha in enumerate(alphas):
        exact = soft_optimal_q(counted(batch, features, run, 0.8), alpha)
        torch.testing.assert_close(q[run], exact, rtol=0, atol=1e-8)
    q = empirical_q(batch, features, ACTIONS, 0.8, next_value=partial(epsilon_greedy_value, epsilon=0.3))
    torch.testing.assert_close(q[2], epsilon_greedy_q(counted(batch, features, 2, 0.8), 0.3), rtol=0, atol=1e-8)
    usual = empirical_q(batch, features, ACTIONS, 0.8)
    assert torch.equal(usual, empirical_q(batch, features, ACTIONS, 0.8, next_value=greedy_value))


@pytest.mark.parametrize(("changed", "words"), [({"discount": 1.0}, r"\[0, 1\)"), ({"tolerance": 0.0}, "above 0")])
def test_a_discount_or_a_tolerance_out_of_range_is_refused(changed: dict[str, float], words: str) -> None:
    batch, features = stored(0)
    settings: dict[str, Any] = {"discount": 0.9} | changed
    with pytest.raises(ValueError, match=f"{next(iter(changed))} must .*{words}"):
        empirical_q(batch, features, ACTIONS, **settings)


def test_values_that_are_not_finite_end_in_words_and_not_in_a_loop() -> None:
    batch, features = stored(0)
    for wrong in (batch._replace(reward=batch.reward / 0), batch._replace(reward=batch.reward * np.nan)):
        with pytest.raises(ValueError, match="Rewards and next_value must be finite"):
            empirical_q(wrong, features, ACTIONS, 0.9)


# States


@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("leading", [(), (9,), (2, 3, 9)])
def test_a_state_is_found_by_its_features(shape: tuple[int, ...], leading: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(STATES, *shape, generator=draw)
    state = torch.randint(STATES, leading, generator=draw)
    found = nearest_state(features[state] + 1e-3, features)
    assert found.dtype == torch.int64 and found.shape == leading
    assert torch.equal(found, state)


def test_the_nearest_is_nearest_in_all_numbers_together() -> None:
    features = torch.tensor([[0.0, 0.0], [3.0, 3.0], [4.0, 0.0]])
    assert nearest_state(torch.tensor([[2.0, 0.5], [1.0, 0.5], [2.5, 2.5], [9.0, 9.0]]), features).tolist() == [
        0,
        0,
        1,
        1,
    ]
    assert nearest_state(torch.tensor([2.5, 0.0]), features).item() == 2


def test_pictures_tell_their_states() -> None:
    mdp = gridworld(["S.#G", "....", "H..S"], discount=0.9)
    shown = pictures(mdp)
    assert nearest_state(shown.unsqueeze(0), shown).tolist() == [list(range(mdp.states))]
