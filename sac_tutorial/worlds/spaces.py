"""What agents and buffers ask of the spaces of their environments; each refusal says what would fit.

*Discrete actions* are the numbers 0 to A − 1 (Gymnasium's Discrete); *continuous actions* are arrays of numbers (Box).
"""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray


def observation_shape(envs: VectorEnv) -> tuple[int, ...]:
    """Return the shape of one observation.

    Raises:
        TypeError: If `envs` are not vector environments, or if observations are not arrays.
    """
    if not isinstance(envs, VectorEnv):
        raise TypeError(f"envs must be vector environments, as make_envs(id, runs) makes them, but is {envs!r}.")
    space = envs.single_observation_space
    if not isinstance(space, Box):
        raise TypeError(
            f"Observations must be arrays (a Box space), but the observation space is {space}. "
            f"Wrap the environment in gymnasium.wrappers.FlattenObservation to turn each observation into a vector."
        )
    return space.shape


def action_shape(envs: VectorEnv) -> tuple[int, ...]:
    """Return the shape of one action; a discrete action has the shape ().

    Raises:
        TypeError: If actions are neither discrete, counted from 0, nor continuous.
    """
    space = envs.single_action_space
    if not isinstance(space, Box | Discrete):
        raise TypeError(f"Actions must be discrete (Discrete) or continuous (Box), but the action space is {space}.")
    if isinstance(space, Discrete) and space.start != 0:
        raise TypeError(
            f"Discrete actions must count from 0, but those of {space} count from {space.start}. "
            f"Wrap the environment in gymnasium.wrappers.TransformAction."
        )
    return () if isinstance(space, Discrete) else space.shape


def number_of_actions(envs: VectorEnv, agent: str, *, instead: str) -> int:
    """Return the number A of discrete actions.

    Raises:
        TypeError: If actions are not discrete. For continuous actions, the message recommends `instead`.
    """
    action_shape(envs)
    space = envs.single_action_space
    if not isinstance(space, Discrete):
        raise TypeError(
            f"{agent} needs discrete actions, but the action space is {space}. For continuous actions, use {instead}."
        )
    return int(space.n)


def action_dimensions(envs: VectorEnv, agent: str, *, instead: str) -> int:
    """Return the number of dimensions of a continuous action in [−1, 1].

    Raises:
        TypeError: If actions are not continuous. For discrete actions, the message recommends `instead`.
        ValueError: If actions have other bounds or are not vectors.
    """
    action_shape(envs)
    space = envs.single_action_space
    if not isinstance(space, Box):
        raise TypeError(
            f"{agent} needs continuous actions, but the action space is {space}. For discrete actions, use {instead}."
        )
    if not ((space.low == -1).all() and (space.high == 1).all()):
        raise ValueError(f"Actions must lie in [-1, 1], as make_envs rescales them, but the action space is {space}.")
    return vector_length("action", space.shape)


def vector_length(what: str, shape: tuple[int, ...]) -> int:
    """Return the length of a vector of this shape.

    Raises:
        ValueError: If the shape is not that of a vector.
    """
    if len(shape) != 1:
        raise ValueError(
            f"Each {what} must be a vector for these networks, but has the shape {shape}. Flatten it with a wrapper of "
            f"Gymnasium, or give the agent networks of your own if it takes them."
        )
    return shape[0]


def within_bounds(envs: VectorEnv, action: NDArray[Any]) -> NDArray[Any]:
    """Return continuous actions, shape (R, *action), clipped to the bounds of the action space; discrete ones unchanged."""
    space = envs.single_action_space
    return np.clip(action, space.low, space.high) if isinstance(space, Box) else action
