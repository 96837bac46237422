"""A FiniteMDP as a Gymnasium environment."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from oracles import three_states
from scipy.stats import chisquare

from sac_tutorial.environment import FiniteMDPEnv
from sac_tutorial.garnet import garnet
from sac_tutorial.gridworld import gridworld
from sac_tutorial.mdp import FiniteMDP

MODELS = {
    "grid": lambda: gridworld(["S.G", ".#H"], discount=0.9, slip=0.2),
    "garnet": lambda: garnet(7, 3, 4, discount=0.9, generator=torch.Generator().manual_seed(0)),
    "FrozenLake": lambda: FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9),
}


@pytest.mark.parametrize("model", MODELS)
def test_gymnasiums_checker_has_nothing_to_say(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    gymnasium.register("Finite-v0", entry_point=FiniteMDPEnv)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("Finite-v0", mdp=MODELS[model](), render_mode="ansi").unwrapped)
        check_env(gymnasium.make("Finite-v0", mdp=MODELS[model]()).unwrapped, skip_render_check=True)


def play(env: FiniteMDPEnv, seed: int | None, steps: int = 50) -> list[Any]:
    trace: list[Any] = [env.reset(seed=seed)[0]]
    for step in range(steps):
        state, reward, terminated, truncated, info = env.step(np.int64(step % env.mdp.actions))
        assert (truncated, info) == (False, {})
        trace.append((state, reward, terminated))
        if terminated:
            trace.append(env.reset()[0])
    return trace


def test_a_seed_repeats_and_another_does_not() -> None:
    env = FiniteMDPEnv(three_states())
    trace = play(env, seed=3)
    assert play(env, seed=3) == trace
    assert play(FiniteMDPEnv(three_states()), seed=3) == trace
    assert play(env, seed=4) != trace
    assert play(env, seed=None) != play(env, seed=None)  # without a seed the draws go on


def test_two_unseeded_environments_differ() -> None:
    model = garnet(50, 3, 4, discount=0.9, generator=torch.Generator().manual_seed(0), ending=0)
    assert play(FiniteMDPEnv(model), seed=None) != play(FiniteMDPEnv(model), seed=None)


def test_it_plays_the_model() -> None:
    mdp = three_states()
    env = FiniteMDPEnv(mdp)
    env.reset(seed=0)
    counts = {(1, 4.0, False): 0, (1, 8.0, True): 0, (2, -4.0, False): 0, (1, 16.0, False): 0}
    for _ in range(2_000):
        env.state = torch.tensor([0])
        state, reward, terminated, _, _ = env.step(np.int64(0))
        assert (type(state), type(reward), type(terminated)) == (np.int64, float, bool)
        assert int(env.state) == state
        counts[int(state), reward, terminated] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-6
    starts = np.bincount([env.reset()[0] for _ in range(1_000)], minlength=3)
    assert starts[1] == 0 and chisquare(starts[[0, 2]]).pvalue > 1e-6


def test_a_time_limit_truncates_and_does_not_terminate() -> None:
    env = gymnasium.wrappers.TimeLimit(FiniteMDPEnv(gridworld(["S.."], discount=0.9)), max_episode_steps=2)
    env.reset(seed=0)
    assert env.step(np.int64(2))[2:4] == (False, False)
    assert env.step(np.int64(2))[2:4] == (False, True)


def test_rendering_shows_the_agent_on_the_drawing() -> None:
    env = FiniteMDPEnv(gridworld(["S#G", "..H"], discount=0.9), render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == "@#G\n..H\n0,0"
    env.step(np.int64(1))
    assert env.render() == "S#G\n@.H\n1,0"
    env.step(np.int64(2))
    env.step(np.int64(2))
    assert env.render() == "S#G\n..@\n1,2"
    bare = FiniteMDPEnv(three_states(), render_mode="ansi")
    bare.state = torch.tensor([1])
    assert bare.render() == "lake"
    assert FiniteMDPEnv(three_states()).render() is None


@pytest.mark.parametrize("action", [-1, 2, 0.5, "walk"])
def test_an_action_out_of_range_is_refused(action: Any) -> None:
    env = FiniteMDPEnv(three_states())
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must be a whole number in \[0, 2\)"):
        env.step(action)


def test_an_unknown_render_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="render_mode must be None or 'ansi', but is 'human'"):
        FiniteMDPEnv(three_states(), render_mode="human")


def test_a_step_before_the_first_reset_is_refused() -> None:
    with pytest.raises(ValueError, match="must be reset before the first step"):
        FiniteMDPEnv(gridworld(["S.G"], discount=0.9)).step(np.int64(0))
