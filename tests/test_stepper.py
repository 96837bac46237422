"""Environments in tensors: actions on their way in, numbers on their way out, and episodes that are begun anew."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor

from sac_tutorial.deep.guards import EnvironmentFailed, check_finite
from sac_tutorial.deep.stepper import Stepper

CPU = torch.device("cpu")


class Bounded(gymnasium.Env[Any, Any]):
    """Rewards each action by its value. It does not clip actions, and its episodes end after three steps."""

    observation_space: gymnasium.Space[Any] = Box(-np.inf, np.inf, (1,))
    action_space: gymnasium.Space[Any] = Box(-3, 1, (1,))
    scale = 1.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.time = 0
        return np.zeros(1), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return np.full(1, self.time), self.scale * float(action[0]), False, self.time == 3, {}


class Huge(Bounded):
    """Its rewards are finite in float64, but not in float32."""

    scale = 1e39


def stepper(kind: type[Bounded] = Bounded) -> Stepper:
    return Stepper(SyncVectorEnv([kind, kind], autoreset_mode=AutoresetMode.DISABLED), CPU, 0)


def actions(*values: float) -> Tensor:
    return torch.tensor(values).unsqueeze(-1)


def test_actions_are_clipped_to_the_bounds_and_kept_as_they_were_given() -> None:
    transition = stepper().step(actions(7.0, -7.0))
    assert transition.reward.tolist() == [1, -3]
    assert transition.action.tolist() == [[7], [-7]]


def test_a_step_leaves_tensors_of_the_types_in_the_docstrings() -> None:
    playing = stepper()
    transition = playing.step(actions(0.1, -0.7))
    kinds = [each.dtype for each in transition]
    assert kinds == [torch.float32, torch.float32, torch.float32, torch.float32, torch.bool]
    kinds = [playing.observation.dtype, playing.age.dtype, playing.reward.dtype, playing.ended.dtype]
    assert kinds == [torch.float32, torch.int64, torch.float64, torch.bool]
    assert playing.reward.tolist() == [np.float32(0.1), np.float32(-0.7)]


def test_a_reward_that_is_too_large_for_float32_is_not_finite() -> None:
    with pytest.raises(EnvironmentFailed, match=r"The reward of step 1 of environment 1 is -inf"):
        stepper(Huge).step(actions(0.0, -3.0))


def test_episodes_can_be_begun_anew_in_their_middle() -> None:
    playing = stepper()
    for _ in range(2):
        playing.step(actions(1.0, -1.0))
    playing.begin()
    assert playing.observation.tolist() == [[0], [0]] and playing.age.tolist() == [0, 0] and playing.steps == 2
    for age in (1, 2, 0):
        playing.step(actions(1.0, -1.0))
        assert playing.age.tolist() == [age, age]
    assert playing.last_return.tolist() == [3, -3]  # without the rewards of the episode that was left


def test_numbers_that_are_not_finite_are_reported_with_their_place() -> None:
    values = torch.zeros(4, 2, 3)
    check_finite("A number", values)
    values[2, 1, 0] = math.inf
    with pytest.raises(EnvironmentFailed, match=r"^A number of environment 2 is .*inf.* which is not finite"):
        check_finite("A number", values)
