"""One environment for each run, side by side: Gymnasium's by their id, or a FiniteMDP.

Automatic resets are off. An environment that resets itself within `step` returns the first observation of the next
episode in place of the last one of this episode. Here the loop resets, so the next observation it stores is always the
true one. Every lesson with an agent uses `make_envs`.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import FlattenObservation, RescaleAction, TransformAction

from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.mdp_vector_env import FiniteMDPVectorEnv
from sac_tutorial.worlds.spaces import observation_shape

AnyEnv = gymnasium.Env[Any, Any]


def make_envs(environment: str | FiniteMDP | Callable[[], AnyEnv], runs: int, **options: Any) -> VectorEnv:
    """Make `runs` environments that step together, without automatic resets.

    Args:
        environment: an id that Gymnasium knows, a FiniteMDP, or a function that makes one environment.
        runs: how many, ≥ 1.
        options: for an id, those of `gymnasium.make`, such as `max_episode_steps=1000`; for a FiniteMDP, those of
            `FiniteMDPVectorEnv`; for a function, none.

    Returns:
        The environments. Discrete observations (FrozenLake's) become one-hot vectors. Continuous actions are rescaled so
        that every dimension lies in [−1, 1].

    Raises:
        TypeError: If `runs` is not a whole number, if `environment` is none of these, if observations are a Dict or
            Tuple, or if continuous actions are not floating-point numbers.
        ValueError: If `runs` is below 1, if Gymnasium does not know the id, or if the bounds of an action are infinite or
            equal; the dimension is named.

    Source: Gymnasium 1.4, `SyncVectorEnv` and `AutoresetMode.DISABLED`.
    """
    runs = whole_number("runs", runs)
    if isinstance(environment, FiniteMDP):
        return FiniteMDPVectorEnv(environment, runs, **options)
    make = _maker(environment, options)
    try:
        envs = SyncVectorEnv([lambda: _wrapped(make())] * runs, autoreset_mode=AutoresetMode.DISABLED)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"Gymnasium can't make the environment {environment!r}: {error}") from error
    if len({id(env.unwrapped) for env in envs.envs}) < runs:
        raise ValueError("The function must make a new environment at each call, but it returned the same one again.")
    observation_shape(envs)
    return envs


def _maker(environment: object, options: dict[str, Any]) -> Callable[[], AnyEnv]:
    if isinstance(environment, str):
        return lambda: gymnasium.make(environment, **options)
    if callable(environment) and not options:
        return environment
    raise TypeError(
        f"environment must be an id, a FiniteMDP, or a function without options that makes one environment, "
        f"but is {environment!r} with the options {options}."
    )


def _wrapped(env: AnyEnv) -> AnyEnv:
    """Turn discrete observations into one-hot vectors, and take continuous actions in [−1, 1]."""
    if isinstance(env.observation_space, Discrete | MultiDiscrete | MultiBinary):
        env = FlattenObservation(env)
    space = env.action_space
    if not isinstance(space, Box):
        return env
    _check_bounds(space)
    one = np.ones(space.shape, dtype=np.float32)
    # Rescaling may round an end of [−1, 1] to just outside the true bounds, hence the clip.
    clipped = TransformAction(env, lambda action: np.clip(action, space.low, space.high), space)
    return RescaleAction(clipped, -one, one)


def _check_bounds(space: Box) -> None:
    if not np.issubdtype(space.dtype, np.floating):
        raise TypeError(f"Continuous actions must be floating-point numbers, but the action space is {space}.")
    for index in np.ndindex(space.shape):
        low, high = space.low[index], space.high[index]
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            dimension = index[0] if len(index) == 1 else index
            raise ValueError(
                f"Dimension {dimension} of the action has the bounds {low:g} and {high:g}; to be rescaled to [-1, 1], "
                "both must be finite and the lower one smaller."
            )
