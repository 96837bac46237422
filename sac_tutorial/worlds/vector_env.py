"""R environments side by side, one for each run: from Gymnasium by their id, or from a FiniteMDP.

Automatic resets are off. An environment that resets itself within `step` returns the first observation of the next episode
where the last one of this belongs; here the loop resets, and what it stores as s′ is always the true one.

May import: `mdp`, `_borders`. NumPy and Gymnasium are at home here, at the border.
"""

from collections.abc import Callable
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import FlattenObservation, RescaleAction, TransformAction
from numpy.typing import NDArray
from torch import Tensor

from sac_tutorial.validation import positive_integer
from sac_tutorial.worlds.mdp import FiniteMDP, digest


def make_envs(
    environment: str | FiniteMDP | Callable[[], gymnasium.Env[Any, Any]], runs: int, **options: Any
) -> VectorEnv:
    """Make `runs` environments that step together, without automatic resets.

    Args:
        environment: an id that Gymnasium knows, a function that makes one environment, or a FiniteMDP.
        runs: how many, ≥ 1.
        options: for an id, what `gymnasium.make` takes, such as `max_episode_steps=1000`; for a FiniteMDP, what
            `FiniteMDPVectorEnv` takes. None for a function.

    Returns:
        The environments. Observations that are numbers (FrozenLake's) become one-hot vectors; actions that are vectors are
        rescaled, so that every dimension is in [−1, 1].

    Raises:
        TypeError: for `runs` that is no whole number, what is no environment, observations that are a Dict or Tuple, or vectors
            of whole numbers as actions.
        ValueError: for fewer than 1 run, an id that Gymnasium doesn't know, or bounds of an action that are infinite or leave
            nothing between them; the dimension's index is named.

    Source: Gymnasium 1.4, `SyncVectorEnv` and `AutoresetMode.DISABLED`.
    """
    positive_integer("runs", runs)
    if isinstance(environment, FiniteMDP):
        return FiniteMDPVectorEnv(environment, runs, **options)
    if isinstance(environment, str):
        name = environment

        def make() -> gymnasium.Env[Any, Any]:
            return gymnasium.make(name, **options)

    elif callable(environment) and not options:
        make = environment
    else:
        raise TypeError(
            f"environment must be an id, a FiniteMDP, or, without options, a function that makes one environment; "
            f"it is {environment!r} with {options}."
        )

    def flat() -> gymnasium.Env[Any, Any]:
        env = make()
        if isinstance(env.observation_space, Discrete | MultiDiscrete | MultiBinary):
            env = FlattenObservation(env)
        if isinstance(env.action_space, Box):
            _check_bounds(env.action_space)
            env = _rescaled(env, env.action_space)
        return env

    try:
        envs = SyncVectorEnv([flat] * runs, autoreset_mode=AutoresetMode.DISABLED)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"Gymnasium can't make the environment {environment!r}: {error}") from error
    if len({id(env.unwrapped) for env in envs.envs}) < runs:
        raise ValueError("The function must make a new environment at each call, but it returns the same one again.")
    observation_shape(envs)
    return envs


class FiniteMDPVectorEnv(VectorEnv[NDArray[np.float32], NDArray[np.int64], NDArray[Any]]):
    """A FiniteMDP played by many runs at once: every step is one draw for all of them.

    Args:
        mdp: the model.
        num_envs: R, the number of runs, ≥ 1.
        features: what an agent sees of each state, shape (S, *observation). Default: one-hot vectors, under which a linear
            network is a table.
        time_limit: steps after which an episode is cut off (truncated, never terminated). None: never.

    Attributes:
        state: the runs' states, int64, shape (R,).

    Raises:
        TypeError, ValueError: for a number of runs or a time limit that is no whole number ≥ 1, or features that don't have
            one finite entry for each state.

    Run r has its own draw of each step, whatever the others do.
    """

    def __init__(
        self, mdp: FiniteMDP, num_envs: int, *, features: Tensor | None = None, time_limit: int | None = None
    ) -> None:
        self.mdp, self.num_envs = mdp, positive_integer("num_envs", num_envs)
        self.features = (
            torch.eye(mdp.states) if features is None else torch.as_tensor(features, dtype=torch.float32, device="cpu")
        )
        if self.features.dim() < 2 or len(self.features) != mdp.states or not self.features.isfinite().all():
            raise ValueError(
                f"features must be finite and have the shape ({mdp.states}, ...), one entry a state, "
                f"but have the shape {tuple(self.features.shape)}."
            )
        self.time_limit = None if time_limit is None else positive_integer("time_limit", time_limit)
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        low, high = self.features.amin(0).numpy(), self.features.amax(0).numpy()
        self.single_observation_space = Box(low, high, dtype=np.float32)
        self.single_action_space = Discrete(mdp.actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.generator = torch.Generator()
        self.generator.seed()
        self.state = self._begin = torch.zeros(num_envs, dtype=torch.int64)
        self._age = np.zeros(num_envs, dtype=np.int64)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a new episode in every run, or where `options["reset_mask"]` says; with a seed, the draws repeat.

        One generator draws for all runs: of a list of seeds, only the first is used.
        """
        first = seed[0] if isinstance(seed, list) else seed
        if first is not None:
            self.generator.manual_seed(first)
        mask = (options or {}).get("reset_mask")
        if mask is None:
            mask, self._begin = np.ones(self.num_envs, dtype=np.bool_), self.mdp.start(self.num_envs, self.generator)
        self.state = torch.where(torch.from_numpy(mask), self._begin, self.state)
        self._age[mask] = 0
        return self._observe(), {}

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Draw one outcome in every run."""
        if np.shape(actions) != (self.num_envs,) or np.min(actions) < 0 or np.max(actions) >= self.mdp.actions:
            raise ValueError(
                f"actions must be {self.num_envs} whole numbers in [0, {self.mdp.actions}), but are {actions}."
            )
        self.state, reward, terminated = self.mdp.sample(self.state, torch.as_tensor(actions), self.generator)
        # Drawn at every step and for all, used by those who begin anew: no run's luck depends on when another one ends.
        self._begin = self.mdp.start(self.num_envs, self.generator)
        self._age += 1
        late = self._age >= self.time_limit if self.time_limit else np.zeros(self.num_envs, dtype=np.bool_)
        return self._observe(), reward.numpy(), terminated.numpy(), late & ~terminated.numpy(), {}

    @property
    def description(self) -> str:
        """What it is, in words: by this a checkpoint knows it again."""
        return f"{self.mdp.description}, seen as {digest(self.features)}, time limit {self.time_limit}"

    def _observe(self) -> NDArray[np.float32]:
        seen: NDArray[np.float32] = self.features.index_select(0, self.state).numpy()
        return seen


def observation_shape(envs: VectorEnv) -> tuple[int, ...]:
    """Return the shape of one observation, or raise a TypeError that says what would fit."""
    if not isinstance(envs, VectorEnv):
        raise TypeError(f"envs must be environments side by side, as make_envs(id, runs) makes them, but is {envs!r}.")
    space = envs.single_observation_space
    if not isinstance(space, Box):
        raise TypeError(
            f"Observations must be arrays (a Box space), but are {space}. "
            f"Wrap the environment in gymnasium.wrappers.FlattenObservation to make one vector of them."
        )
    return space.shape


def action_shape(envs: VectorEnv) -> tuple[int, ...]:
    """Return the shape of one action, () for a numbered one, or raise a TypeError that says what would fit."""
    space = envs.single_action_space
    if not isinstance(space, Box | Discrete):
        raise TypeError(f"Actions must be numbered (Discrete) or vectors (Box), but are {space}.")
    if isinstance(space, Discrete) and space.start != 0:
        raise TypeError(
            f"Actions must be numbered from 0, but from {space.start} on they are. "
            f"Wrap the environment in gymnasium.wrappers.TransformAction."
        )
    return () if isinstance(space, Discrete) else space.shape


def number_of_actions(envs: VectorEnv, agent: str, *, instead: str) -> int:
    """Return how many actions there are, or raise a TypeError that names what vectors of numbers need `instead`."""
    space = envs.single_action_space
    if isinstance(space, Box):
        raise TypeError(
            f"{agent} numbers its actions, but the action space is {space}: for actions that are vectors there is {instead}."
        )
    action_shape(envs)  # refuses what is numbered otherwise
    return int(cast(Discrete, space).n)


def action_dimensions(envs: VectorEnv, agent: str, *, instead: str) -> int:
    """Return the length of an action in [−1, 1], or raise an error that names what numbered actions need `instead`.

    Raises:
        TypeError: for numbered actions.
        ValueError: for other bounds, or actions that are no vectors.
    """
    space = envs.single_action_space
    if not isinstance(space, Box):
        raise TypeError(
            f"{agent}'s actions are vectors, but the action space is {space}: for numbered actions there is {instead}."
        )
    if not ((space.low == -1).all() and (space.high == 1).all()):
        raise ValueError(f"Actions must be in [-1, 1], as make_envs rescales them, but the action space is {space}.")
    return vector_length("action", space.shape)


def vector_length(what: str, shape: tuple[int, ...]) -> int:
    """Return the length of a vector of this shape, or raise a ValueError that says what to do with another one."""
    if len(shape) != 1:
        raise ValueError(
            f"Each {what} must be a vector for these networks, but has the shape {shape}: "
            f"put a wrapper of Gymnasium in front that flattens it, or give networks of your own where an agent takes them."
        )
    return shape[0]


def within_bounds(envs: VectorEnv, action: NDArray[Any]) -> NDArray[Any]:
    """Return actions, shape (R, *action), clipped to the bounds of the action space; numbered ones as they are.

    A Gaussian has no bounds, an action space has.
    """
    space = envs.single_action_space
    return np.clip(action, space.low, space.high) if isinstance(space, Box) else action


def _rescaled(env: gymnasium.Env[Any, Any], space: Box) -> gymnasium.Env[Any, Any]:
    """Take actions in [−1, 1]; what rounding puts beside the true bounds is clipped to them."""
    inside = TransformAction(env, lambda action: np.clip(action, space.low, space.high), space)
    one = np.ones(space.shape, dtype=np.float32)
    return RescaleAction(inside, -one, one)


def _check_bounds(space: Box) -> None:
    if not np.issubdtype(space.dtype, np.floating):
        raise TypeError(f"Actions that are vectors must be floating-point numbers to be rescaled, but are {space}.")
    for index in np.ndindex(space.shape):
        low, high = space.low[index], space.high[index]
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            number = index[0] if len(index) == 1 else index
            raise ValueError(
                f"Dimension {number} of the action has the bounds {low:g} and {high:g}; to be rescaled to [-1, 1], "
                "they must be finite, the lower below the upper."
            )
