"""Vector environments: a FiniteMDP's against its model, Gymnasium's by their ids, and no automatic reset anywhere."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray
from scipy.stats import chisquare

from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.line_problem import LineProblem
from sac_tutorial.worlds.line_vector_env import LineVectorEnv
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.mdp_vector_env import FiniteMDPVectorEnv
from sac_tutorial.worlds.spaces import (
    action_dimensions,
    action_shape,
    number_of_actions,
    observation_shape,
    vector_length,
    within_bounds,
)
from sac_tutorial.worlds.tensor_vector_env import TensorVectorEnv
from sac_tutorial.worlds.vector_env import make_envs
from tests.helpers import generator, spaces
from tests.oracles import random_mdp, three_states

RUNS = 7


def restless() -> FiniteMDP:
    """Eleven states, three actions, random everything; some outcomes end the episode, and any state may be the first."""
    return random_mdp(5, 11, 3, 4, 0.9)


def marked(*runs: int) -> dict[str, NDArray[np.bool_]]:
    """The options that reset these runs."""
    mask = np.zeros(RUNS, dtype=np.bool_)
    mask[list(runs)] = True
    return {"reset_mask": mask}


# Both of our own: a finite MDP, and a problem on a line


def on_mdp(**options: Any) -> TensorVectorEnv:
    return FiniteMDPVectorEnv(gridworld(["S....", ".....", "....."], discount=0.9), **{"num_envs": RUNS} | options)


def on_line(**options: Any) -> TensorVectorEnv:
    return LineVectorEnv(LineProblem(lambda x, a: x - a**2, lambda x, a: x + a / 9), **{"num_envs": RUNS} | options)


def moves(envs: VectorEnv, seed: int = 0) -> NDArray[Any]:
    """Random actions for all runs."""
    envs.action_space.seed(seed)
    actions: NDArray[Any] = envs.action_space.sample()
    return actions


both = pytest.mark.parametrize("make", [on_mdp, on_line])


@both
def test_types_and_spaces_are_those_of_gymnasium(make: Callable[..., TensorVectorEnv]) -> None:
    envs = make()
    assert isinstance(envs, VectorEnv) and envs.num_envs == RUNS
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    seen, info = envs.reset(seed=0)
    assert seen in envs.observation_space and seen.dtype == np.float32 and info == {}
    seen, reward, terminated, truncated, info = envs.step(moves(envs))
    assert seen in envs.observation_space and info == {}
    assert [part.dtype for part in (seen, reward, terminated, truncated)] == [np.float32, np.float64, bool, bool]
    assert [part.shape for part in (reward, terminated, truncated)] == [(RUNS,)] * 3


@both
def test_a_mask_resets_only_the_marked_runs(make: Callable[..., TensorVectorEnv]) -> None:
    envs = make(time_limit=5)
    envs.reset(seed=0)
    for step in range(3):
        seen, *_ = envs.step(moves(envs, step))
    before = envs.state.clone()
    after, _ = envs.reset(options=marked(0, 1, 2, 3))
    assert np.array_equal(after[4:], seen[4:]) and torch.equal(envs.state[4:], before[4:])
    assert (envs.state[:4] == 0).all() if make is on_mdp else (envs.state[:4] != before[:4]).all()
    late = [envs.step(moves(envs))[3].tolist() for _ in range(5)]
    assert late[0] == [False] * RUNS
    assert late[1] == [False] * 4 + [True] * 3  # three steps and two more: the other runs have kept their age
    assert late[4] == [True] * RUNS


@both
@pytest.mark.parametrize("limit", [1, 3])
def test_a_time_limit_truncates_and_does_not_terminate(make: Callable[..., TensorVectorEnv], limit: int) -> None:
    envs = make(time_limit=limit)
    for _ in range(2):  # in the second episode, the count begins anew
        envs.reset()
        for step in range(1, limit + 1):
            _, _, terminated, truncated, _ = envs.step(moves(envs, step))
            assert not terminated.any() and truncated.tolist() == [step == limit] * RUNS


@both
def test_without_a_time_limit_nothing_is_truncated(make: Callable[..., TensorVectorEnv]) -> None:
    envs = make(time_limit=None)
    envs.reset(seed=0)
    assert not any(envs.step(moves(envs))[3].any() for _ in range(50))


@both
def test_observations_and_rewards_do_not_change_with_the_next_step(make: Callable[..., TensorVectorEnv]) -> None:
    envs = make()
    first, _ = envs.reset(seed=0)
    later, reward, *_ = envs.step(moves(envs))
    kept = first.copy(), later.copy(), reward.copy()
    envs.step(moves(envs, 1))
    envs.reset()
    assert np.array_equal(first, kept[0]) and np.array_equal(later, kept[1]) and np.array_equal(reward, kept[2])


@both
def test_episodes_may_begin_in_inference_mode_and_go_on_outside(make: Callable[..., TensorVectorEnv]) -> None:
    envs = make(time_limit=2)
    with torch.inference_mode():
        envs.reset(seed=0)
        envs.step(moves(envs))
    assert envs.step(moves(envs))[3].all()
    envs.reset(options=marked(1))


@both
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_envs": 0}, ValueError, "num_envs must be at least 1"),
        ({"num_envs": 2.0}, TypeError, "num_envs must be a whole number"),
        ({"time_limit": 0}, ValueError, "time_limit must be at least 1"),
        ({"time_limit": 2.5}, TypeError, "time_limit must be a whole number"),
    ],
)
def test_bad_numbers_are_refused(
    make: Callable[..., TensorVectorEnv], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(**options)


# A FiniteMDP


def test_it_plays_the_model() -> None:
    runs = 4_000
    envs = FiniteMDPVectorEnv(three_states(), runs)
    envs.reset(seed=0)
    outcomes = [(1, 4.0, False), (1, 8.0, True), (2, -4.0, False), (1, 16.0, False)]
    envs.state = torch.tensor([0, 1]).repeat(runs // 2)
    action = np.tile([0, 0, 1, 1], runs // 4)  # (s, a) = (0, 0), (1, 0), (0, 1), (1, 1), and again
    seen, reward, terminated, truncated, _ = envs.step(action)
    assert (seen.sum(-1) == 1).all() and not truncated.any()
    found = list(zip(seen.argmax(-1).tolist(), reward.tolist(), terminated.tolist(), strict=True))
    counts = [found[0::4].count(outcome) for outcome in outcomes]
    assert sum(counts) == runs // 4 and chisquare(counts).pvalue > 1e-6
    counts = [found[1::4].count(outcome) for outcome in [(0, 2.0, False), (2, 6.0, True)]]
    assert sum(counts) == runs // 4 and chisquare(counts).pvalue > 1e-6
    assert set(found[2::4]) == {(2, 1.0, False)}
    counts = [found[3::4].count(outcome) for outcome in [(1, 8.0, False), (0, 0.0, False)]]
    assert chisquare(counts, [runs / 32, runs * 7 / 32]).pvalue > 1e-6


def test_each_episode_begins_with_an_own_draw_from_the_start_distribution() -> None:
    mdp, runs = random_mdp(1, 5, 2, 3, 0.9), 6_000
    envs = FiniteMDPVectorEnv(mdp, runs)
    begins = [envs.reset(seed=0)[0].argmax(-1)]
    for _ in range(2):
        envs.step(np.zeros(runs, dtype=np.int64))
        begins.append(envs.reset(options={"reset_mask": np.ones(runs, dtype=bool)})[0].argmax(-1))
    chance = mdp.start_probability.numpy()
    for earlier, later in ((0, 1), (1, 2), (0, 2)):
        pairs = np.bincount(5 * begins[earlier] + begins[later], minlength=25)
        assert chisquare(pairs, runs * np.outer(chance, chance).ravel()).pvalue > 1e-6


def test_an_end_in_the_last_step_is_terminated_and_not_truncated() -> None:
    envs = FiniteMDPVectorEnv(gridworld(["S.G"], discount=0.9), 2, time_limit=2)
    envs.reset(seed=0)
    envs.step(np.array([2, 2]))
    seen, reward, terminated, truncated, _ = envs.step(np.array([2, 0]))
    assert (reward.tolist(), terminated.tolist(), truncated.tolist()) == ([1, 0], [True, False], [False, True])
    assert seen.argmax(-1).tolist() == [2, 0]  # the last observation of both episodes: the goal, and the start again
    seen, *_ = envs.step(np.array([0, 2]))
    assert seen.argmax(-1).tolist() == [2, 1]  # there was no automatic reset


def trace(seed: int | list[int | None] | None, first_action: int = 0, envs: Any = None) -> NDArray[Any]:
    """All that 60 steps return, flattened for each run; run 0 takes `first_action`, the others a fixed sequence."""
    envs = envs or FiniteMDPVectorEnv(restless(), RUNS, time_limit=9)
    seen, _ = envs.reset(seed=seed)
    kept = [seen]
    for step in range(60):
        action = (np.arange(RUNS) * 5 + step) % 3
        action[0] = first_action
        seen, reward, terminated, truncated, _ = envs.step(action)
        kept += [seen, np.stack([reward, terminated, truncated], 1)]
        if (terminated | truncated).any():
            seen, _ = envs.reset(options={"reset_mask": terminated | truncated})
        kept.append(seen)
    return np.concatenate(kept, axis=1)


def test_no_run_depends_on_the_actions_or_the_ends_of_another_run() -> None:
    calm, disturbed = trace(3, 0), trace(3, 1)
    assert not np.array_equal(calm[0], disturbed[0])
    assert np.array_equal(calm[1:], disturbed[1:])


def test_every_run_has_its_own_draws() -> None:
    envs = FiniteMDPVectorEnv(restless(), RUNS)
    envs.reset(seed=0)
    seen = np.concatenate([envs.step(np.zeros(RUNS, dtype=np.int64))[0] for _ in range(30)], axis=1)
    assert len({tuple(row) for row in seen.tolist()}) == RUNS


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_repeats_the_draws(seed: int) -> None:
    envs = FiniteMDPVectorEnv(restless(), RUNS, time_limit=9)
    first = trace(seed, envs=envs)
    assert np.array_equal(trace(seed, envs=envs), first)
    assert np.array_equal(trace([seed, *[None] * (RUNS - 1)]), first)  # of a list of seeds, the first is used
    assert not np.array_equal(trace(4, envs=envs), first)
    assert not np.array_equal(trace(None, envs=envs), trace(None, envs=envs))  # without a seed, the draws go on
    assert not np.array_equal(trace(None), trace(None))  # and new environments begin anywhere


@pytest.mark.parametrize("shape", [(2,), (2, 3, 4)])
def test_agents_observe_the_features_of_the_state(shape: tuple[int, ...]) -> None:
    mdp = restless()
    features = torch.randn(mdp.states, *shape, generator=generator(), dtype=torch.float64)
    envs = make_envs(mdp, RUNS, features=features)
    seen, _ = envs.reset(seed=0)
    for step in range(20):
        assert seen.dtype == np.float32 and seen.shape == (RUNS, *shape) == envs.observation_space.shape
        assert np.array_equal(seen, features[envs.state].float().numpy())  # type: ignore[attr-defined]
        assert seen in envs.observation_space
        seen, *_ = envs.step(moves(envs, step))
    assert observation_shape(envs) == shape


def test_a_finite_mdp_has_one_hot_observations_and_discrete_actions() -> None:
    envs = make_envs(three_states(), RUNS)
    assert isinstance(envs, FiniteMDPVectorEnv)
    assert envs.single_observation_space == Box(0, 1, (3,), np.float32)
    assert envs.single_action_space == Discrete(2) and envs.action_space.shape == (RUNS,)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(10, 2), r"features must .* shape \(11, \.\.\.\).*\(10, 2\)"),
        (torch.zeros(11), r"features must"),
        (torch.full((11, 2), torch.nan), "features must be finite"),
        (torch.full((11, 2), torch.inf), "features must be finite"),
    ],
)
def test_bad_features_are_refused(features: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FiniteMDPVectorEnv(restless(), RUNS, features=features)


@pytest.mark.parametrize("actions", [[0, 4], [-1, 0], [0], [[0, 1]]])
def test_actions_outside_the_action_space_are_refused(actions: list[Any]) -> None:
    envs = make_envs(gridworld(["S.G"], discount=0.9), 2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must have the shape \(2,\) and lie in \[0, 3\], but are"):
        envs.step(np.array(actions))


# Gymnasium's


class Spaces(gymnasium.Env[Any, Any]):
    """An environment that has nothing but its spaces, and keeps the actions that reach it."""

    def __init__(self, observation: Space[Any] | None = None, action: Space[Any] | None = None) -> None:
        self.observation_space = observation or Box(-1, 1, (4,))
        self.action_space = action or Discrete(3)
        self.actions = list[Any]()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action in self.action_space, (action, self.action_space)
        self.actions.append(np.asarray(action).tolist())
        return self.observation_space.sample(), 0.0, False, False, {}


def actions_of(envs: VectorEnv) -> list[Any]:
    """What has reached each of the single environments."""
    assert isinstance(envs, SyncVectorEnv)
    return [env.unwrapped.actions for env in envs.envs]  # type: ignore[attr-defined]


def test_an_id_makes_environments_without_automatic_resets() -> None:
    envs = make_envs("CartPole-v1", RUNS)
    assert isinstance(envs, SyncVectorEnv) and envs.num_envs == RUNS
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    seen, _ = envs.reset(seed=0)
    assert len({tuple(row) for row in seen.tolist()}) == RUNS
    ended = np.zeros(RUNS, dtype=bool)
    while not ended.any():
        seen, _, terminated, truncated, _ = envs.step(np.ones(RUNS, dtype=np.int64))
        ended = terminated | truncated
    assert (np.abs(seen[ended, 2]) > 12 * np.pi / 180).all()  # a fallen pole: the last observation of the episode
    after, _ = envs.reset(options={"reset_mask": ended})
    assert (np.abs(after[ended]) <= 0.05).all()
    assert np.array_equal(after[~ended], seen[~ended])


def test_options_reach_gymnasium() -> None:
    envs = make_envs("CartPole-v1", 2, max_episode_steps=3)
    envs.reset(seed=0)
    assert [envs.step(np.array([0, 1]))[3].all() for _ in range(3)] == [False, False, True]


def test_a_function_makes_one_environment_for_each_run() -> None:
    made: list[Spaces] = []

    def make() -> Spaces:
        made.append(Spaces())
        return made[-1]

    assert make_envs(make, RUNS).num_envs == len(made) == RUNS


@pytest.mark.parametrize(
    ("environment", "length"),
    [
        ("FrozenLake-v1", 16),
        (lambda: Spaces(Discrete(6)), 6),
        (lambda: Spaces(MultiDiscrete([2, 5])), 7),
        (lambda: Spaces(MultiBinary(5)), 5),
    ],
)
def test_discrete_observations_become_vectors(environment: Any, length: int) -> None:
    envs = make_envs(environment, 3)
    assert observation_shape(envs) == (length,)
    seen, _ = envs.reset(seed=0)
    assert seen.shape == (3, length) and set(np.unique(seen)) <= {0, 1}
    if environment == "FrozenLake-v1":
        seen, *_ = envs.step(np.array([1, 1, 1]))
        assert (seen.sum(-1) == 1).all()
        assert seen.argmax(-1).tolist() == [env.unwrapped.s for env in envs.envs]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("environment", "space"),
    [
        (lambda: Spaces(Dict(x=Box(-1, 1, (2,)))), "Dict"),
        (lambda: Spaces(Tuple([Box(-1, 1, (2,)), Discrete(3)])), "Tuple"),
        (lambda: Spaces(Text(5)), "Text"),
        ("Blackjack-v1", "Tuple"),
    ],
)
def test_observations_that_are_not_arrays_are_refused(environment: Any, space: str) -> None:
    with pytest.raises(TypeError, match=rf"must be arrays \(a Box space\).* is {space}.*FlattenObservation"):
        make_envs(environment, 3)


ONE = gymnasium.make("CartPole-v1")


@pytest.mark.parametrize(
    ("environment", "runs", "options", "error", "message"),
    [
        ("CartPole-v1", 0, {}, ValueError, "runs must be at least 1, but is 0"),
        ("CartPole-v1", 2.0, {}, TypeError, "runs must be a whole number"),
        (three_states(), -1, {}, ValueError, "runs must be at least 1"),
        ("NoSuchPole-v1", 2, {}, ValueError, "can't make the environment 'NoSuchPole-v1'"),
        ("CartPole-v99", 2, {}, ValueError, "can't make the environment 'CartPole-v99'"),
        (7, 2, {}, TypeError, "environment must be an id, a FiniteMDP, or a function .* but is 7"),
        (Spaces, 2, {"observation": Discrete(4)}, TypeError, "a function without options"),
        (lambda: ONE, 2, {}, ValueError, "must make a new environment at each call"),
        (
            lambda: Spaces(action=Box(0, 255, (2,), np.uint8)),
            2,
            {},
            TypeError,
            "floating-point numbers, but .*Box.0, 255",
        ),
    ],
)
def test_bad_environments_are_refused(
    environment: Any, runs: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_envs(environment, runs, **options)


# Continuous actions are rescaled


def test_each_dimension_is_rescaled_from_its_own_bounds() -> None:
    space = Box(np.array([-2, 0, 10], dtype=np.float32), np.array([2, 8, 11], dtype=np.float32))
    envs = make_envs(lambda: Spaces(action=space), 2)
    assert envs.single_action_space == Box(-1, 1, (3,)) and envs.single_action_space.dtype == np.float32
    assert envs.action_space.shape == (2, 3)
    envs.reset(seed=0)
    envs.step(np.array([[-1, -1, -1], [1, 1, 1]], dtype=np.float32))
    envs.step(np.array([[0, 0, 0], [0.5, -0.5, 0.5]], dtype=np.float32))
    assert actions_of(envs) == [[[-2, 0, 10], [0, 4, 10.5]], [[2, 8, 11], [1, 2, 10.75]]]


def test_rescaled_actions_stay_inside_the_true_bounds_in_spite_of_rounding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        low = rng.normal(size=2).astype(np.float32)
        high = low + rng.random(2).astype(np.float32) + np.float32(0.1)
        envs = make_envs(partial(Spaces, action=Box(low, high)), 2)
        envs.reset()
        envs.step(np.array([[-1, -1], [1, 1]], dtype=np.float32))  # each environment asserts that its space holds them


def test_pendulum_takes_its_torque_in_units_of_two() -> None:
    envs, plain = make_envs("Pendulum-v1", 2), gymnasium.make("Pendulum-v1")
    for action in (-1.0, 0.25):
        envs.reset(seed=5)
        plain.reset(seed=6)
        seen, reward, *_ = envs.step(np.full((2, 1), action, dtype=np.float32))
        wanted_seen, wanted_reward, *_ = plain.step(np.array([2 * action], dtype=np.float32))
        np.testing.assert_allclose(seen[1], wanted_seen, rtol=1e-6)
        assert reward[1] == pytest.approx(wanted_reward, rel=1e-6)


def test_bounds_of_minus_one_and_one_and_discrete_actions_stay_as_they_are() -> None:
    envs = make_envs(lambda: Spaces(action=Box(-1, 1, (2,))), 2)
    envs.reset(seed=0)
    envs.step(np.array([[0.3, -0.7], [1, -1]], dtype=np.float32))
    assert np.allclose([found[0] for found in actions_of(envs)], np.array([[0.3, -0.7], [1, -1]]))
    assert make_envs("CartPole-v1", 2).single_action_space == Discrete(2)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ([-1, -np.inf, 0], [1, 1, 1], "Dimension 1 of the action has the bounds -inf and 1;"),
        ([-1, 0, 0], [1, 1, np.inf], "Dimension 2 of the action has the bounds 0 and inf;"),
        ([3, 0, 0], [3, 1, 1], "Dimension 0 of the action has the bounds 3 and 3;"),
        ([[0, 0], [0, 0]], [[1, 1], [np.inf, 1]], r"Dimension \(1, 0\) of the action has the bounds 0 and inf;"),
    ],
)
def test_infinite_and_equal_bounds_are_refused(low: list[Any], high: list[Any], words: str) -> None:
    space = Box(np.array(low, dtype=np.float32), np.array(high, dtype=np.float32))
    with pytest.raises(ValueError, match=rf"{words} to be rescaled to \[-1, 1\], both must be finite"):
        make_envs(lambda: Spaces(action=space), 2)


# What agents ask of the spaces


def test_shapes_and_sizes() -> None:
    assert observation_shape(spaces(observation=(4, 2))) == (4, 2)
    assert action_shape(spaces(Box(0, 1, (2, 3)))) == (2, 3)
    assert action_shape(spaces(Discrete(5))) == ()
    assert number_of_actions(spaces(Discrete(5)), "DQN", instead="SAC") == 5
    assert action_dimensions(spaces(Box(-1, 1, (3,))), "SAC", instead="DQN") == 3
    assert vector_length("action", (5,)) == 5


def test_continuous_actions_are_clipped_to_their_bounds_and_discrete_ones_are_not() -> None:
    envs = spaces(Box(np.array([-1, 0], dtype=np.float32), np.array([1, 5], dtype=np.float32)))
    assert within_bounds(envs, np.array([[-2.0, -2.0], [0.5, 7.0]])).tolist() == [[-1, 0], [0.5, 5]]
    assert within_bounds(spaces(Discrete(5)), np.array([0, 7])).tolist() == [0, 7]


UNFIT = [MultiDiscrete([2, 3]), MultiBinary(3), Dict(x=Discrete(2)), Tuple([Discrete(2)])]
NEITHER = r"^Actions must be discrete \(Discrete\) or continuous \(Box\), but the action space is "


@pytest.mark.parametrize(
    ("call", "action", "error", "message"),
    [
        *((action_shape, space, TypeError, NEITHER + type(space).__name__) for space in UNFIT),
        *((number_of_actions, space, TypeError, NEITHER) for space in UNFIT),
        *((action_dimensions, space, TypeError, NEITHER) for space in UNFIT),  # no other agent takes these either
        (action_shape, Discrete(5, start=2), TypeError, "must count from 0, but those of Disc.* from 2. Wrap"),
        (number_of_actions, Discrete(5, start=2), TypeError, "must count from 0"),
        (
            number_of_actions,
            Box(-1, 1, (2,)),
            TypeError,
            r"^Mine needs discrete actions, but the action space is Box\(-1.*\. For continuous actions, use Other\.$",
        ),
        (
            action_dimensions,
            Discrete(2),
            TypeError,
            r"^Mine needs continuous actions, but the action space is Discrete\(2\)\. For discrete actions, use Other\.$",
        ),
        (
            action_dimensions,
            Box(-1, 2, (2,)),
            ValueError,
            r"must lie in \[-1, 1\], as make_envs rescales them, but the",
        ),
        (action_dimensions, Box(0, 1, (2,)), ValueError, r"must lie in \[-1, 1\]"),
        (action_dimensions, Box(-np.inf, np.inf, (2,)), ValueError, r"must lie in \[-1, 1\]"),
        (action_dimensions, Box(-1, 1, (1, 2)), ValueError, r"Each action must be a vector .* has the shape \(1, 2\)"),
        (action_dimensions, Box(-1, 1, ()), ValueError, r"Each action must be a vector .* has the shape \(\)"),
    ],
)
def test_unfit_action_spaces_are_refused(call: Any, action: Space[Any], error: type[Exception], message: str) -> None:
    names = () if call is action_shape else ("Mine",)
    with pytest.raises(error, match=message):
        call(spaces(action), *names, **{"instead": "Other"} if names else {})


def test_objects_that_are_not_vector_environments_are_refused() -> None:
    with pytest.raises(TypeError, match=r"envs must be vector environments, as make_envs\(id, runs\) makes them"):
        observation_shape(ONE)  # type: ignore[arg-type]
