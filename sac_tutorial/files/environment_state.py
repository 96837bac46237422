"""What can be kept of environments: their generators. An episode in progress cannot be read out of a simulator."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import Wrapper
from gymnasium.vector import SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit

from sac_tutorial.deep.state import State, check_like


class EnvironmentState:
    """The generators of vector environments, and in words what the environments are.

    Environments are known by their names, and, if Gymnasium made them from an id, by their options and time limits. If an
    environment has an attribute `description`, a string, it counts too. Whatever else an environment or a wrapper remembers
    from one episode to the next is not kept.

    Args:
        envs: Environments of `make_envs`, or other ones in this process that draw with NumPy's PCG64, as Gymnasium's do.

    Raises:
        TypeError: If the generators cannot be read.
    """

    def __init__(self, envs: VectorEnv) -> None:
        self._envs = envs
        self._singles: list[Any] = list(envs.envs) if isinstance(envs, SyncVectorEnv) else []
        everywhere = [envs, *(env.unwrapped for env in self._singles)]
        owned = (getattr(env, "generator", None) for env in everywhere)
        self._torch = [generator for generator in owned if isinstance(generator, torch.Generator)]
        if not self._singles and not self._torch:
            raise TypeError(f"The generators of {envs!r} cannot be read. Use environments as make_envs makes them.")
        self._numpy = [env.unwrapped.np_random.bit_generator for env in self._singles]
        for bit_generator in self._numpy:
            if not isinstance(bit_generator, np.random.PCG64):
                raise TypeError(
                    f"Environments must draw with NumPy's PCG64, as Gymnasium's do, but one has {bit_generator}."
                )

    def state_dict(self) -> State:
        """Return the states of all generators."""
        return {
            "numpy": {str(place): generator.state for place, generator in enumerate(self._numpy)},
            "torch": {str(place): generator.get_state() for place, generator in enumerate(self._torch)},
        }

    def check_state_dict(self, state: Mapping[str, Any]) -> None:
        """Check that the state fits, and change nothing.

        Raises:
            ValueError: If it does not fit.
        """
        check_like(self.state_dict(), state)
        try:
            for kept in state["numpy"].values():
                np.random.PCG64().state = kept
            for kept in state["torch"].values():
                torch.Generator().set_state(kept)
        except (RuntimeError, TypeError, OverflowError, KeyError) as error:
            raise ValueError(f"An entry is not the state of a generator: {error}") from error

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set all generators; errors are those of `check_state_dict`."""
        self.check_state_dict(state)
        for place, numpy_generator in enumerate(self._numpy):
            numpy_generator.state = state["numpy"][str(place)]
        for place, torch_generator in enumerate(self._torch):
            torch_generator.set_state(state["torch"][str(place)])

    def describe(self) -> dict[str, str]:
        """Return in words what must be the same where the state is loaded."""
        kinds = dict.fromkeys(_words(env) for env in self._singles or [self._envs])
        return {
            "environment": " and ".join(kinds),
            "number": str(self._envs.num_envs),
            "observation space": str(self._envs.single_observation_space),
            "action space": str(self._envs.single_action_space),
        }


def _words(env: Any) -> str:
    """Return the names of the environment and its wrappers, how it was made, its time limits, and its own description."""
    words, inner = [str(env)], env.unwrapped
    if env.spec is not None and env.spec.kwargs:
        words.append(f"made with {env.spec.kwargs}")
    while isinstance(env, Wrapper):
        if isinstance(env, TimeLimit) and env.spec is not None:
            words.append(f"at most {env.spec.max_episode_steps} steps")
        env = env.env
    if isinstance(description := getattr(inner, "description", None), str):
        words.append(description)
    return ", ".join(words)
