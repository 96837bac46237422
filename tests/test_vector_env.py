"""Environments side by side: a FiniteMDP's against its model, Gymnasium's by their ids, and no automatic reset anywhere."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from scipy.stats import chisquare

from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.vector_env import (
    FiniteMDPVectorEnv,
    action_dimensions,
    action_shape,
    make_envs,
    number_of_actions,
    observation_shape,
    vector_length,
)
from tests.oracles import random_mdp, three_states

RUNS = 7


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def restless() -> FiniteMDP:
    """Eleven states, three actions, random everything; some outcomes end the episode, and any state may be the first."""
    return random_mdp(5, 11, 3, 4, 0.9)


# A FiniteMDP


def test_it_plays_the_model() -> None:
    mdp, runs = three_states(), 4_000
    envs = FiniteMDPVectorEnv(mdp, runs)
    envs.reset(seed=0)
    outcomes = [(1, 4.0, False), (1, 8.0, True), (2, -4.0, False), (1, 16.0, False)]
    envs.state = torch.tensor([0, 1]).repeat(runs // 2)
    action = np.tile([0, 0, 1, 1], runs // 4)  # (s, a) = (0, 0), (1, 0), (0, 1), (1, 1), and again
    seen, reward, terminated, truncated, info = envs.step(action)
    state = seen.argmax(-1)
    assert (seen.sum(-1) == 1).all() and not truncated.any() and info == {}
    found = list(zip(state.tolist(), reward.tolist(), terminated.tolist(), strict=True))
    counts = [found[0::4].count(outcome) for outcome in outcomes]
    assert sum(counts) == runs // 4 and chisquare(counts).pvalue > 1e-6
    counts = [found[1::4].count(outcome) for outcome in [(0, 2.0, False), (2, 6.0, True)]]
    assert sum(counts) == runs // 4 and chisquare(counts).pvalue > 1e-6
    assert set(found[2::4]) == {(2, 1.0, False)}
    counts = [found[3::4].count(outcome) for outcome in [(1, 8.0, False), (0, 0.0, False)]]
    assert chisquare(counts, [runs / 32, runs * 7 / 32]).pvalue > 1e-6


def test_episodes_begin_by_the_start_distribution_at_first_and_later() -> None:
    mdp, runs = random_mdp(1, 5, 2, 3, 0.9), 4_000
    envs = FiniteMDPVectorEnv(mdp, runs)
    first, info = envs.reset(seed=0)
    assert info == {}
    envs.step(np.zeros(runs, dtype=np.int64))
    ended = np.arange(runs) % 2 == 0
    again, _ = envs.reset(options={"reset_mask": ended})
    for seen in (first, again[ended]):
        counts = seen.sum(0)
        assert chisquare(counts, mdp.start_probability.numpy() * len(seen)).pvalue > 1e-6


def test_each_episode_of_a_run_begins_by_a_draw_of_its_own() -> None:
    mdp, runs = random_mdp(1, 5, 2, 3, 0.9), 6_000
    envs = FiniteMDPVectorEnv(mdp, runs)
    everyone = {"reset_mask": np.ones(runs, dtype=bool)}
    begins = [envs.reset(seed=0)[0].argmax(-1)]
    for _ in range(2):
        envs.step(np.zeros(runs, dtype=np.int64))
        begins.append(envs.reset(options=everyone)[0].argmax(-1))
    chance = mdp.start_probability.numpy()
    for earlier, later in ((0, 1), (1, 2), (0, 2)):
        pairs = np.bincount(5 * begins[earlier] + begins[later], minlength=25)
        assert chisquare(pairs, runs * np.outer(chance, chance).ravel()).pvalue > 1e-6


def test_a_mask_resets_these_runs_and_leaves_the_others() -> None:
    mdp = gridworld(["S....", ".....", "....G"], discount=0.9)
    envs = FiniteMDPVectorEnv(mdp, RUNS, time_limit=5)
    envs.reset(seed=0)
    for _ in range(3):
        seen, *_ = envs.step(np.arange(RUNS) % 2 + 1)  # down or right
    mask = np.arange(RUNS) < 4
    after, _ = envs.reset(options={"reset_mask": mask})
    assert (after[mask].argmax(-1) == 0).all()
    assert np.array_equal(after[~mask], seen[~mask]) and (after[~mask].argmax(-1) != 0).all()
    assert envs.state.tolist() == after.argmax(-1).tolist()
    late = [envs.step(np.zeros(RUNS, dtype=np.int64))[3].tolist() for _ in range(5)]
    assert late[:1] == [[False] * RUNS]
    assert late[1] == (~mask).tolist()  # three and two steps make five: the others are as old as they were
    assert late[4] == [True] * RUNS


@pytest.mark.parametrize("limit", [1, 3])
def test_a_time_limit_truncates_and_does_not_terminate(limit: int) -> None:
    envs = make_envs(gridworld(["S.."], discount=0.9), RUNS, time_limit=limit)
    envs.reset(seed=0)
    for step in range(1, limit + 1):
        _, _, terminated, truncated, _ = envs.step(np.zeros(RUNS, dtype=np.int64))
        assert not terminated.any()
        assert truncated.tolist() == [step == limit] * RUNS
    envs.reset(seed=0)
    assert envs.step(np.zeros(RUNS, dtype=np.int64))[3].all() == (limit == 1)  # the count begins anew


def test_without_a_time_limit_nothing_is_cut_off() -> None:
    envs = make_envs(gridworld(["S.."], discount=0.9), RUNS)
    envs.reset(seed=0)
    assert not any(envs.step(np.zeros(RUNS, dtype=np.int64))[3].any() for _ in range(200))


def test_an_end_in_the_last_step_is_an_end_and_no_cut() -> None:
    envs = FiniteMDPVectorEnv(gridworld(["S.G"], discount=0.9), 2, time_limit=2)
    envs.reset(seed=0)
    envs.step(np.array([2, 0]))
    _, reward, terminated, truncated, _ = envs.step(np.array([2, 0]))
    assert (reward.tolist(), terminated.tolist(), truncated.tolist()) == ([1, 0], [True, False], [False, True])


def test_the_last_observation_of_an_episode_is_its_own() -> None:
    envs = FiniteMDPVectorEnv(gridworld(["S.G"], discount=0.9), 2, time_limit=2)
    envs.reset(seed=0)
    envs.step(np.array([2, 2]))
    seen, *_ = envs.step(np.array([2, 0]))
    assert seen.argmax(-1).tolist() == [2, 0]  # the goal, and the way back; both episodes are over
    seen, *_ = envs.step(np.array([0, 2]))  # and who goes on without a reset goes on from there
    assert seen.argmax(-1).tolist() == [2, 1]


def trace(mdp: FiniteMDP, seed: int | list[int | None] | None, first_action: int, envs: Any = None) -> np.ndarray:
    """All that 60 steps return, flattened for each run; run 0 takes `first_action` and the others a fixed sequence."""
    envs = envs or FiniteMDPVectorEnv(mdp, RUNS, time_limit=9)
    seen, _ = envs.reset(seed=seed)
    kept = [seen]
    for step in range(60):
        action = (np.arange(RUNS) * 5 + step) % mdp.actions
        action[0] = first_action
        seen, reward, terminated, truncated, _ = envs.step(action)
        kept += [seen, np.stack([reward, terminated, truncated], 1)]
        if (terminated | truncated).any():
            seen, _ = envs.reset(options={"reset_mask": terminated | truncated})
            kept.append(seen)
        else:
            kept.append(seen)
    return np.concatenate(kept, axis=1)


def test_no_runs_luck_depends_on_another_runs_actions_or_ends() -> None:
    calm, disturbed = (trace(restless(), 3, action) for action in (0, 1))
    assert not np.array_equal(calm[0], disturbed[0])
    assert np.array_equal(calm[1:], disturbed[1:])


def test_runs_have_their_own_luck() -> None:
    mdp = restless()
    envs = FiniteMDPVectorEnv(mdp, RUNS)
    envs.reset(seed=0)
    seen = np.concatenate([envs.step(np.zeros(RUNS, dtype=np.int64))[0] for _ in range(30)], axis=1)
    assert len({tuple(row) for row in seen.tolist()}) == RUNS


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_repeats_and_another_does_not(seed: int) -> None:
    mdp = restless()
    envs = FiniteMDPVectorEnv(mdp, RUNS, time_limit=9)
    first = trace(mdp, seed, 0, envs)
    assert np.array_equal(trace(mdp, seed, 0, envs), first)
    assert np.array_equal(trace(mdp, seed, 0), first)
    assert np.array_equal(trace(mdp, [seed, *[None] * (RUNS - 1)], 0), first)  # of a list of seeds the first counts
    assert not np.array_equal(trace(mdp, 4, 0, envs), first)
    assert not np.array_equal(trace(mdp, None, 0, envs), trace(mdp, None, 0, envs))  # without a seed the draws go on
    assert not np.array_equal(trace(mdp, None, 0), trace(mdp, None, 0))  # nor do two unseeded ones repeat each other


@pytest.mark.parametrize("shape", [(2,), (3, 4), (2, 3, 4)])
def test_agents_see_the_features_of_the_state(shape: tuple[int, ...]) -> None:
    mdp = restless()
    features = torch.randn(mdp.states, *shape, generator=generator(), dtype=torch.float64)
    envs = make_envs(mdp, RUNS, features=features)
    seen, _ = envs.reset(seed=0)
    for _ in range(20):
        assert seen.dtype == np.float32 and seen.shape == (RUNS, *shape) == envs.observation_space.shape
        assert np.array_equal(seen, features[envs.state].float().numpy())  # type: ignore[attr-defined]
        assert all(observation in envs.single_observation_space for observation in seen)
        seen, *_ = envs.step(envs.action_space.sample())
    assert observation_shape(envs) == shape


def test_types_and_spaces_are_those_of_gymnasium() -> None:
    envs = make_envs(three_states(), RUNS)
    assert isinstance(envs, VectorEnv) and isinstance(envs, FiniteMDPVectorEnv)
    assert (envs.num_envs, observation_shape(envs), action_shape(envs)) == (RUNS, (3,), ())
    assert envs.single_action_space == Discrete(2) and envs.action_space.shape == (RUNS,)
    assert envs.single_observation_space == Box(0, 1, (3,), np.float32)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    envs.reset(seed=0)
    seen, reward, terminated, truncated, _ = envs.step(np.zeros(RUNS, dtype=np.int64))
    assert [part.dtype for part in (seen, reward, terminated, truncated)] == [np.float32, np.float64, bool, bool]
    assert [part.shape for part in (reward, terminated, truncated)] == [(RUNS,)] * 3


def test_what_was_observed_does_not_change_with_the_next_step() -> None:
    envs = FiniteMDPVectorEnv(restless(), RUNS)
    seen, _ = envs.reset(seed=0)
    kept = seen.copy()
    for _ in range(5):
        envs.step(np.zeros(RUNS, dtype=np.int64))
    assert np.array_equal(seen, kept)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"features": torch.zeros(10, 2)}, ValueError, r"features must .* shape \(11, \.\.\.\).*\(10, 2\)"),
        ({"features": torch.zeros(11)}, ValueError, r"features must"),
        ({"features": torch.full((11, 2), torch.nan)}, ValueError, "features must be finite"),
        ({"features": torch.full((11, 2), torch.inf)}, ValueError, "features must be finite"),
        ({"time_limit": 0}, ValueError, "time_limit must be at least 1"),
        ({"time_limit": 2.5}, TypeError, "time_limit must be a whole number"),
        ({"num_envs": 0}, ValueError, "num_envs must be at least 1"),
        ({"num_envs": 2.0}, TypeError, "num_envs must be a whole number"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        FiniteMDPVectorEnv(restless(), **{"num_envs": RUNS} | options)


# Gymnasium's


class Spaces(gymnasium.Env[Any, Any]):
    """An environment that has nothing but its spaces."""

    def __init__(self, observation: Space[Any] | None = None, action: Space[Any] | None = None) -> None:
        self.observation_space = observation or Box(-1, 1, (4,))
        self.action_space = action or Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}


def test_an_id_becomes_as_many_environments_that_dont_reset_themselves() -> None:
    envs = make_envs("CartPole-v1", RUNS)
    assert isinstance(envs, SyncVectorEnv)
    assert (envs.num_envs, observation_shape(envs), action_shape(envs)) == (RUNS, (4,), ())
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    seen, _ = envs.reset(seed=0)
    assert len({tuple(row) for row in seen.tolist()}) == RUNS
    ended = np.zeros(RUNS, dtype=bool)
    while not ended.any():
        seen, _, terminated, truncated, _ = envs.step(np.ones(RUNS, dtype=np.int64))
        ended = terminated | truncated
    assert (np.abs(seen[ended, 2]) > 12 * np.pi / 180).all()  # fallen: it is the last observation of the episode
    after, _ = envs.reset(options={"reset_mask": ended})
    assert (np.abs(after[ended]) <= 0.05).all()
    assert np.array_equal(after[~ended], seen[~ended])


def test_options_reach_gymnasium() -> None:
    envs = make_envs("CartPole-v1", 2, max_episode_steps=3)
    envs.reset(seed=0)
    ends = [envs.step(np.array([0, 1]))[2:4] for _ in range(3)]
    assert [(terminated.any(), truncated.all()) for terminated, truncated in ends] == [(False, False)] * 2 + [
        (False, True)
    ]


def test_a_function_makes_one_environment_a_run() -> None:
    made: list[Spaces] = []

    def make() -> Spaces:
        made.append(Spaces())
        return made[-1]

    envs = make_envs(make, RUNS)
    assert len(made) == RUNS and len(set(map(id, made))) == RUNS
    assert envs.num_envs == RUNS


@pytest.mark.parametrize(
    ("environment", "length"),
    [
        ("FrozenLake-v1", 16),
        (lambda: Spaces(Discrete(6)), 6),
        (lambda: Spaces(MultiDiscrete([2, 5])), 7),
        (lambda: Spaces(MultiBinary(5)), 5),
    ],
)
def test_numbered_observations_become_vectors(environment: str | Callable[[], Any], length: int) -> None:
    envs = make_envs(environment, 3)
    assert observation_shape(envs) == (length,)
    seen, _ = envs.reset(seed=0)
    assert seen.shape == (3, length) and set(np.unique(seen)) <= {0, 1}
    if environment == "FrozenLake-v1":
        envs.reset(seed=0)
        seen, *_ = envs.step(np.array([1, 1, 1]))
        assert (seen.sum(-1) == 1).all()
        states = [env.unwrapped.s for env in envs.envs]  # type: ignore[attr-defined]
        assert seen.argmax(-1).tolist() == states


@pytest.mark.parametrize(
    ("environment", "space"),
    [
        (lambda: Spaces(Dict(x=Box(-1, 1, (2,)))), "Dict"),
        (lambda: Spaces(Tuple([Box(-1, 1, (2,)), Discrete(3)])), "Tuple"),
        (lambda: Spaces(Text(5)), "Text"),
        ("Blackjack-v1", "Tuple"),
    ],
)
def test_observations_that_are_no_arrays_are_refused(environment: Any, space: str) -> None:
    with pytest.raises(TypeError, match=rf"must be arrays \(a Box space\), but are {space}.*FlattenObservation"):
        make_envs(environment, 3)


@pytest.mark.parametrize(
    ("environment", "runs", "options", "error", "message"),
    [
        ("CartPole-v1", 0, {}, ValueError, "runs must be at least 1, but is 0"),
        ("CartPole-v1", 2.0, {}, TypeError, "runs must be a whole number"),
        (three_states(), -1, {}, ValueError, "runs must be at least 1"),
        ("NoSuchPole-v1", 2, {}, ValueError, "can't make the environment 'NoSuchPole-v1'"),
        ("CartPole-v99", 2, {}, ValueError, "can't make the environment 'CartPole-v99'"),
        (7, 2, {}, TypeError, "environment must be an id, a FiniteMDP, or"),
        (Spaces, 2, {"observation": Discrete(4)}, TypeError, "environment must be .* without options"),
    ],
)
def test_what_is_no_environment_is_refused(
    environment: Any, runs: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_envs(environment, runs, **options)


def test_action_spaces_have_a_shape_or_are_refused() -> None:
    assert action_shape(make_envs("Pendulum-v1", 2)) == (1,)
    assert action_shape(make_envs(lambda: Spaces(action=Box(-1, 1, (2, 3))), 2)) == (2, 3)
    assert action_shape(make_envs(lambda: Spaces(action=Discrete(5)), 2)) == ()
    with pytest.raises(TypeError, match=r"Actions must be numbered \(Discrete\) or vectors \(Box\), but are Multi"):
        action_shape(make_envs(lambda: Spaces(action=MultiDiscrete([2, 2])), 2))
    with pytest.raises(TypeError, match="numbered from 0, but from 2 on"):
        action_shape(make_envs(lambda: Spaces(action=Discrete(5, start=2)), 2))


def test_one_environment_for_all_runs_is_refused() -> None:
    one = gymnasium.make("CartPole-v1")
    with pytest.raises(ValueError, match="must make a new environment at each call"):
        make_envs(lambda: one, 2)


@pytest.mark.parametrize("actions", [[0, 4], [-1, 0], [0], [[0, 1]]])
def test_actions_that_a_finite_mdp_does_not_have_are_refused(actions: list[Any]) -> None:
    envs = make_envs(gridworld(["S.G"], discount=0.9), 2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must be 2 whole numbers in \[0, 4\)"):
        envs.step(np.array(actions))


# Actions that are vectors


class Reached(Spaces):
    """An environment that keeps the actions that reach it."""

    def __init__(self, action: Space[Any]) -> None:
        super().__init__(action=action)
        self.told = list[Any]()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.told.append(np.asarray(action).tolist())
        return self.observation_space.sample(), 0.0, False, False, {}


def test_bounds_of_actions_become_minus_one_and_one_dimension_by_dimension() -> None:
    space = Box(np.array([-2, 0, 10], dtype=np.float32), np.array([2, 8, 11], dtype=np.float32))
    envs = make_envs(lambda: Reached(space), 2)
    assert envs.single_action_space == Box(-1, 1, (3,)) and envs.single_action_space.dtype == np.float32
    assert envs.action_space.shape == (2, 3)
    envs.reset(seed=0)
    envs.step(np.array([[-1, -1, -1], [1, 1, 1]], dtype=np.float32))
    envs.step(np.array([[0, 0, 0], [0.5, -0.5, 0.5]], dtype=np.float32))
    told = [env.unwrapped.told for env in envs.envs]  # type: ignore[attr-defined]
    assert told == [[[-2, 0, 10], [0, 4, 10.5]], [[2, 8, 11], [1, 2, 10.75]]]


def test_actions_of_pendulum_are_rescaled_from_its_torques() -> None:
    envs, plain = make_envs("Pendulum-v1", 2), gymnasium.make("Pendulum-v1")
    assert envs.single_action_space == Box(-1, 1, (1,))
    for action in (-1.0, 0.25):
        envs.reset(seed=5)
        plain.reset(seed=6)
        seen, reward, *_ = envs.step(np.full((2, 1), action, dtype=np.float32))
        wanted, paid, *_ = plain.step(np.array([2 * action], dtype=np.float32))
        np.testing.assert_allclose(seen[1], wanted, rtol=1e-6)
        np.testing.assert_allclose(reward[1], paid, rtol=1e-6)


def test_bounds_that_are_right_and_actions_that_are_numbered_stay_as_they_are() -> None:
    envs = make_envs(lambda: Reached(Box(-1, 1, (2,))), 2)
    envs.reset(seed=0)
    envs.step(np.array([[0.3, -0.7], [1, -1]], dtype=np.float32))
    np.testing.assert_allclose([env.unwrapped.told[0] for env in envs.envs], [[0.3, -0.7], [1, -1]], rtol=1e-6)  # type: ignore[attr-defined]
    assert make_envs("CartPole-v1", 2).single_action_space == Discrete(2)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ([-1, -np.inf, 0], [1, 1, 1], "Dimension 1 of the action has the bounds -inf and 1;"),
        ([-1, 0, 0], [1, 1, np.inf], "Dimension 2 of the action has the bounds 0 and inf;"),
        ([3, 0, 0], [3, 1, 1], "Dimension 0 of the action has the bounds 3 and 3;"),
        ([-np.inf] * 3, [np.inf] * 3, "Dimension 0 of the action has the bounds -inf and inf;"),
    ],
)
def test_bounds_that_are_infinite_or_leave_nothing_are_refused_by_their_dimension(
    low: list[float], high: list[float], words: str
) -> None:
    space = Box(np.array(low, dtype=np.float32), np.array(high, dtype=np.float32))
    with pytest.raises(ValueError, match=rf"{words} to be rescaled to \[-1, 1\], they must be finite"):
        make_envs(lambda: Reached(space), 2)


def test_a_wrong_bound_of_a_matrix_is_named_by_both_its_places() -> None:
    high = np.ones((2, 3), dtype=np.float32)
    high[1, 2] = np.inf
    with pytest.raises(ValueError, match=r"Dimension \(1, 2\) of the action"):
        make_envs(lambda: Reached(Box(-high.clip(max=1), high)), 2)


def test_vectors_of_whole_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must be floating-point numbers to be rescaled, but are Box\(0, 255"):
        make_envs(lambda: Reached(Box(0, 255, (2,), np.uint8)), 2)


def test_a_vector_has_a_length_and_anything_else_is_refused() -> None:
    assert vector_length("action", (5,)) == 5
    for shape in ((), (2, 3)):
        with pytest.raises(ValueError, match="Each action must be a vector for these networks"):
            vector_length("action", shape)


def test_the_ends_of_a_rescaled_action_lie_inside_the_true_bounds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        low = rng.normal(size=2).astype(np.float32)
        high = low + rng.random(2).astype(np.float32) + np.float32(0.1)

        class Checked(gymnasium.Env):  # type: ignore[type-arg]
            observation_space, action_space = Box(-1, 1, (1,)), Box(low, high)

            def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
                return np.zeros(1, dtype=np.float32), {}

            def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
                assert self.action_space.contains(action), (action, self.action_space)
                return np.zeros(1, dtype=np.float32), 0.0, False, False, {}

        envs = make_envs(Checked, 1)
        envs.reset()
        for end in (-1.0, 1.0):
            envs.step(np.full((1, 2), end, dtype=np.float32))


# What an agent asks of its actions


def test_numbered_actions_are_counted_and_vectors_have_a_length() -> None:
    assert number_of_actions(make_envs("CartPole-v1", 2), "Some", instead="Other") == 2
    assert number_of_actions(make_envs(restless(), 2), "Some", instead="Other") == 3
    assert action_dimensions(make_envs("Pendulum-v1", 2), "Some", instead="Other") == 1
    wide = Box(np.array([-1, -1, -1], dtype=np.float32), np.array([1, 1, 1], dtype=np.float32))
    assert action_dimensions(make_envs(lambda: Spaces(action=wide), 2), "Some", instead="Other") == 3


def test_who_needs_other_actions_is_told_which_agent_takes_these() -> None:
    words = (
        r"^Some numbers its actions, but the action space is Box\(-1.*: for actions that are vectors there is Other\.$"
    )
    with pytest.raises(TypeError, match=words):
        number_of_actions(make_envs("Pendulum-v1", 2), "Some", instead="Other")
    with pytest.raises(TypeError, match="numbered from 0, but from 2 on"):
        number_of_actions(make_envs(lambda: Spaces(action=Discrete(5, start=2)), 2), "Some", instead="Other")
    several = make_envs(lambda: Spaces(action=MultiDiscrete([2, 3])), 2)
    with pytest.raises(TypeError, match=r"Actions must be numbered \(Discrete\) or vectors"):
        number_of_actions(several, "Some", instead="Other")
    for envs, space in ((make_envs("CartPole-v1", 2), r"Discrete\(2\)"), (several, "MultiDiscrete")):
        words = (
            rf"^Some's actions are vectors, but the action space is {space}.*: for numbered actions there is Other\.$"
        )
        with pytest.raises(TypeError, match=words):
            action_dimensions(envs, "Some", instead="Other")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ([-1, -1], [1, 2], r"Actions must be in \[-1, 1\], as make_envs rescales them, but the action space is Box"),
        ([-1, 0], [1, 1], r"Actions must be in \[-1, 1\]"),
        ([-np.inf, -1], [np.inf, 1], r"Actions must be in \[-1, 1\]"),
        ([[-1, -1]], [[1, 1]], r"Each action must be a vector for these networks, but has the shape \(1, 2\)"),
    ],
)
def test_vectors_in_other_bounds_or_of_another_shape_are_refused(low: Any, high: Any, words: str) -> None:
    envs: VectorEnv = VectorEnv()  # not made by make_envs, which would rescale them
    envs.single_action_space = Box(np.array(low, dtype=np.float32), np.array(high, dtype=np.float32))
    with pytest.raises(ValueError, match=words):
        action_dimensions(envs, "Some", instead="Other")
