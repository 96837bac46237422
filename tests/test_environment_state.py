"""The generators of environments come back bit by bit, and other environments are told apart."""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import ClipReward, TimeLimit

from sac_tutorial.files.environment_state import EnvironmentState
from sac_tutorial.files.state_file import load, save
from sac_tutorial.worlds.line_problem import LineProblem
from sac_tutorial.worlds.line_vector_env import LineVectorEnv
from sac_tutorial.worlds.vector_env import make_envs
from tests.oracles import random_mdp

MDP = random_mdp(7, 6, 4, 3, 0.9)
PROBLEM = LineProblem(lambda x, a: -((a - 0.3 * x) ** 2), move=lambda x, a: 0.5 * x + a)
FEATURES = torch.eye(6)
FEATURES[2, 3] = 0.5
Envs = Callable[[], VectorEnv]

CART: Envs = partial(make_envs, "CartPole-v1", 2)
MODEL: Envs = partial(make_envs, MDP, 2, time_limit=7)


class Loud(gymnasium.Env[Any, Any]):
    """An environment whose noise comes from a generator of torch and from NumPy's, and that describes itself."""

    observation_space, action_space = Box(-1, 1, (2,)), Discrete(2)

    def __init__(self, level: float = 1.0) -> None:
        self.generator, self.description = torch.Generator(), f"noise of {level}"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        if seed is not None:
            self.generator.manual_seed(seed)
        return np.array([self.np_random.random(), torch.rand(1, generator=self.generator).item()], np.float32), {}


def by_hand() -> VectorEnv:
    return SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2, autoreset_mode=AutoresetMode.DISABLED)


@pytest.mark.parametrize(
    "make",
    [
        CART,
        by_hand,
        MODEL,
        partial(LineVectorEnv, PROBLEM, 2),
        partial(make_envs, Loud, 2),
    ],
)
def test_the_next_episodes_are_those_of_the_saved_environments(make: Envs) -> None:
    old, new = make(), make()
    old.reset(seed=3)
    new.reset(seed=4)
    state = EnvironmentState(old).state_dict()
    EnvironmentState(new).load_state_dict(state)
    for _ in range(4):
        np.testing.assert_array_equal(old.reset()[0], new.reset()[0])
    new.reset(seed=4)
    assert not np.array_equal(old.reset()[0], new.reset()[0])


@pytest.mark.parametrize("place", ["numpy", "torch"])
def test_a_state_that_does_not_fit_changes_nothing(place: str) -> None:
    envs = make_envs(Loud, 2)
    envs.reset(seed=3)
    kept, before = EnvironmentState(envs), EnvironmentState(envs).state_dict()
    other = EnvironmentState(make_envs(Loud, 2))
    for damaged in (
        {key: value for key, value in other.state_dict().items() if key != place},
        other.state_dict() | {place: {"0": other.state_dict()[place]["0"]}},
        other.state_dict() | {place: other.state_dict()[place] | {"1": 7}},
    ):
        with pytest.raises(ValueError, match=rf"{place}|torch\.1|numpy\.1"):
            kept.load_state_dict(damaged)
    after = kept.state_dict()
    assert after["numpy"] == before["numpy"] and all(
        torch.equal(after["torch"][name], before["torch"][name]) for name in "01"
    )


class Loaded(Loud):
    """Draws with another generator than NumPy's PCG64."""

    def __init__(self) -> None:
        super().__init__()
        self._np_random = np.random.Generator(np.random.MT19937(3))


class Alone(VectorEnv[Any, Any, Any]):
    """Has no generator that can be seen."""

    num_envs, metadata = 2, {"autoreset_mode": AutoresetMode.DISABLED}


def test_generators_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must draw with NumPy's PCG64, .* but one has .*MT19937"):
        EnvironmentState(make_envs(Loaded, 2))
    with pytest.raises(TypeError, match=r"The generators of .*Alone.* cannot be read. Use environments as make_envs"):
        EnvironmentState(Alone())


def test_environments_that_were_made_alike_are_the_same(tmp_path: Any) -> None:
    """Among their options may be an object that lies elsewhere in memory."""

    def with_an_object() -> VectorEnv:
        return make_envs("CartPole-v1", 2, sutton_barto_reward=object())

    for make in (CART, by_hand, MODEL, with_an_object):
        save(tmp_path / "file", envs=make())
        load(tmp_path / "file", envs=make())


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (CART, partial(make_envs, "CartPole-v1", 3), "number is 2, but here it is 3"),
        (
            CART,
            partial(make_envs, "MountainCar-v0", 2),
            "CartPole-v1.* 500 steps, but here it is .*MountainCar-v0.* 200 steps",
        ),
        (CART, partial(make_envs, "CartPole-v1", 2, max_episode_steps=99), "at most 500 steps, .*at most 99 steps"),
        (
            CART,
            partial(make_envs, lambda: TimeLimit(gymnasium.make("CartPole-v1", max_episode_steps=99), 500), 2),
            "at most 500 steps, at most 99 steps",
        ),
        (
            CART,
            partial(make_envs, "CartPole-v1", 2, sutton_barto_reward=True),
            "made with {'sutton_barto_reward': True}",
        ),
        (
            CART,
            partial(make_envs, lambda: ClipReward(gymnasium.make("CartPole-v1"), 0, 1), 2),
            "here it is <ClipReward<",
        ),
        (partial(make_envs, Loud, 2), partial(make_envs, lambda: Loud(2.0), 2), "noise of 1.0, but .*noise of 2.0"),
        (MODEL, partial(make_envs, random_mdp(8, 6, 4, 3, 0.9), 2, time_limit=7), "FiniteMDP"),
        (MODEL, partial(make_envs, MDP, 2), "time limit 7, but here it is .*time limit None"),
        (MODEL, partial(make_envs, MDP, 2, time_limit=7, features=FEATURES), "seen as .*, but here it is .*seen as"),
    ],
)
def test_other_environments_are_named(one: Envs, other: Envs, words: str, tmp_path: Any) -> None:
    save(tmp_path / "file", envs=one())
    with pytest.raises(ValueError, match=f"was saved from something else: its envs: .*{words}"):
        load(tmp_path / "file", envs=other())


@pytest.mark.parametrize("name", ["probability", "next_state", "reward", "terminated", "start_probability", "discount"])
def test_a_model_that_differs_in_one_table_alone_is_another(name: str) -> None:
    changes: dict[str, Any] = {name: 0.8 if name == "discount" else getattr(MDP, name).flip(0)}
    other = attrs.evolve(MDP, **changes)
    assert other.description != MDP.description
    assert attrs.evolve(MDP, action_labels=("a", "b", "c", "d")).description == MDP.description
    assert (
        attrs.evolve(MDP, reward=MDP.reward * (1 + 1e-15)).description == MDP.description
    )  # another machine's last digit
