"""A training in a file: it stops, on purpose or not, and goes on elsewhere as if it never had.

What is restored exactly: networks and their delayed copies, the optimisers, a learned temperature, the replay, all generators,
and the counts of steps and updates. What is not: an episode in progress. A simulator's inner state is nobody's to read, so
that every run begins a new episode, as with each call of `train`. Nor is what an environment or a wrapper remembers from one
episode to the next, other than its generator. Functions that were given to an agent are known by their names alone.

A long training, in a script that can be stopped and started again at any time:

    done = load_checkpoint(path, envs, agent, replay) if path.exists() else 0
    for step in train(envs, agent, replay, steps=1_000_000, done=done, seed=None if done else 0, ...):
        if step.number % 10_000 == 0:
            save_checkpoint(path, envs, agent, replay, step.number)

May import: `networks`, `replay`, `saving`, `training`, `_borders`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium import Wrapper
from gymnasium.vector import SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit
from torch import Tensor

from sac_tutorial.deep.networks import TrainState
from sac_tutorial.deep.off_policy import Agent
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.files.saving import fill, load_tensors, save_tensors
from sac_tutorial.validation import whole_number

FORMAT = "2"
"""The version of what a checkpoint's tensors and description mean; whoever changes that, counts on."""


@runtime_checkable
class Resumable(Agent, Protocol):
    """What a checkpoint needs of an agent besides; all off-policy agents of the course have it."""

    settings: Any

    @property
    def _shape(self) -> str:
        """What it is made of, in words: networks, and functions that were given."""

    @property
    def _learnables(self) -> dict[str, TrainState]:
        """All that learns, by name."""

    def _tensors(self) -> dict[str, list[Tensor]]:
        """All that an agent's file holds, by name; parameters have the names of their `TrainState`."""


def save_checkpoint(
    path: str | Path,
    envs: VectorEnv,
    agent: Resumable,
    replay: ReplayBuffer,
    done: int,
    *,
    options: Mapping[str, object] | None = None,
) -> None:
    """Write all that a training needs to go on to one safetensors file, in one step.

    Whatever ends the process meanwhile, and be it SIGKILL or a lack of electricity, the file at `path` is the old one or the
    new one, whole. For a moment it takes memory for two to three more copies of what the replay holds.

    Args:
        path: of the file; its folder must exist.
        envs: the environments: those of `make_envs`, or others side by side in this process with generators of NumPy's PCG64.
            They are known by their names and how they were made; an attribute `description` may say more in a string.
        agent: any of the off-policy agents.
        replay: the replay.
        done: steps that each run has taken, ≥ 0: the number of the `Step`.
        options: what else must be the same where the training goes on, by name, such as its batch size.

    Raises:
        TypeError: for an agent or environments whose state can't be read, or a number that is none.
        ValueError: for a negative number.
        OSError: if the file can't be written, as on a full disk; one that was there is left as it was.
    """
    whole_number("done", done)
    description = {"kind": "checkpoint", "format": FORMAT} | _described(envs, agent, replay, options)
    description["generators"] = json.dumps([bit_generator.state for bit_generator in _bit_generators(envs)])
    state = _state(envs, agent, replay, len(replay)) | {"done": torch.tensor(done)}
    save_tensors(path, state, description)


def load_checkpoint(
    path: str | Path,
    envs: VectorEnv,
    agent: Resumable,
    replay: ReplayBuffer,
    *,
    options: Mapping[str, object] | None = None,
) -> int:
    """Restore a training from a file into new objects that were made as the old ones were, and return the steps it has done.

    Go on with `train(..., done=..., seed=None)`: another seed would set the environments' generators anew. The same program on
    the same machine then takes the very steps, bit by bit, that the old one would have taken in its next call of `train`.

    Args:
        path: of the file.
        envs: made with the same arguments; an episode in progress is left behind at the next reset.
        agent: made with the same arguments; what it has learnt is replaced.
        replay: of the same capacity; what it holds is replaced.
        options: as they were given to `save_checkpoint`.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError: for an agent or environments whose state can't be restored.
        ValueError: for a file that is cut off or no checkpoint, or one of another environment, configuration or device; all
            differences are named. Nothing has been changed then.
    """
    found, description = load_tensors(path)
    if description.get("kind") != "checkpoint":
        raise ValueError(f"{path} holds no checkpoint, but {description or 'tensors without a description'}.")
    if description.get("format") != FORMAT:
        raise ValueError(
            f"{path} was written in version {description.get('format')} of the format, "
            f"but this package reads version {FORMAT}."
        )
    _compare(path, description, _described(envs, agent, replay, options))
    generators = json.loads(description["generators"])
    size, position = (int(found[f"replay.{name}"]) for name in ("size", "position"))
    state = _state(envs, agent, replay, size) | {"done": torch.tensor(0)}
    fill(state, found, str(path))
    # Tensors that belong to somebody are filled in place; counts and generators were only copies, and go back by hand.
    replay.resume(size, position)
    for name, learnable in agent._learnables.items():
        learnable.steps = int(state[f"{name}.steps"])
    for name, generator in _torch_generators(envs, agent):
        generator.set_state(state[name])
    for bit_generator, kept in zip(_bit_generators(envs), generators, strict=True):
        bit_generator.state = kept
    return int(state["done"])


def _state(envs: VectorEnv, agent: Resumable, replay: ReplayBuffer, size: int) -> dict[str, Tensor]:
    """Everything that is a tensor or can be written as one, by name; the replay with so many rows."""
    state = {"replay.rows": replay.rows(size)}
    state |= {"replay.size": torch.tensor(len(replay)), "replay.position": torch.tensor(replay.position)}
    learnables = agent._learnables
    for name, learnable in learnables.items():
        state[f"{name}.steps"] = torch.tensor(learnable.steps)
        state[f"{name}.count"] = learnable.count
        for part in ("parameters", "means", "squares"):
            state |= {f"{name}.{part}.{place}": tensor for place, tensor in enumerate(getattr(learnable, part))}
    for name, tensors in agent._tensors().items():
        if name not in learnables:
            state |= {f"{name}.{place}": tensor for place, tensor in enumerate(tensors)}
    return state | {name: generator.get_state() for name, generator in _torch_generators(envs, agent)}


def _torch_generators(envs: VectorEnv, agent: Resumable) -> Iterator[tuple[str, torch.Generator]]:
    yield "agent.generator", agent.generator
    everywhere = [envs, *(env.unwrapped for env in _envs(envs))]
    for place, env in enumerate(everywhere):
        if isinstance(generator := getattr(env, "generator", None), torch.Generator):
            yield f"environment.{place}.generator", generator


def _bit_generators(envs: VectorEnv) -> list[np.random.PCG64]:
    found = [env.unwrapped.np_random.bit_generator for env in _envs(envs)]
    for bit_generator in found:
        if not isinstance(bit_generator, np.random.PCG64):
            raise TypeError(
                f"Environments must draw with NumPy's PCG64, as Gymnasium's do, but one has {bit_generator}."
            )
    return found


def _envs(envs: VectorEnv) -> list[Any]:
    """The single environments of Gymnasium, or none where one object plays all runs with a generator of its own."""
    if isinstance(envs, SyncVectorEnv):
        return list(envs.envs)
    if isinstance(getattr(envs, "generator", None), torch.Generator):
        return []
    raise TypeError(f"The generators of {envs!r} can't be read: use environments as make_envs makes them.")


def _described(
    envs: VectorEnv, agent: Resumable, replay: ReplayBuffer, options: Mapping[str, object] | None
) -> dict[str, str]:
    """What must be the same where a training goes on, in words."""
    if not isinstance(agent, Resumable):
        raise TypeError(f"A checkpoint keeps off-policy agents, such as DQN and SAC, but this is {agent!r}.")
    settings = {field.name: getattr(agent.settings, field.name) for field in fields(agent.settings)}
    words: dict[str, object] = {
        "agent": type(agent).__name__,
        "network": agent._shape,
        **{f"settings.{name}": repr(value) for name, value in settings.items()},
        "environment": _environment(envs),
        "observation space": envs.single_observation_space,
        "action space": envs.single_action_space,
        "number of runs": agent.runs,
        "replay.capacity": replay.capacity,
        "device": agent.device.type,
        **{f"options.{name}": repr(value) for name, value in (options or {}).items()},
    }
    # Where an object lives in memory is no property of it.
    return {name: re.sub(r" at 0x[0-9a-fA-F]+", "", str(value)) for name, value in words.items()}


def _environment(envs: VectorEnv) -> str:
    return " and ".join(dict.fromkeys(map(_words, _envs(envs) or [envs])))


def _words(env: Any) -> str:
    """The names of the environment and of all around it, how it was made, its time limit, and what it says of itself."""
    inner, words = env.unwrapped, [str(env)]
    if inner.spec is not None and inner.spec.kwargs:
        words.append(f"made with {inner.spec.kwargs}")
    while isinstance(env, Wrapper):
        if isinstance(env, TimeLimit):
            words.append(f"at most {env._max_episode_steps} steps")
        env = env.env
    if isinstance(description := getattr(inner, "description", None), str):
        words.append(description)
    return ", ".join(words)


def _compare(path: str | Path, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    names = [name for name in (*here, *there) if name not in ("kind", "format", "generators")]
    different = [
        f"its {name} is {there.get(name, 'not given')}, but here it is {here.get(name, 'not given')}"
        for name in dict.fromkeys(names)
        if there.get(name) != here.get(name)
    ]
    if different:
        raise ValueError(f"{path} is the checkpoint of another training: {'; '.join(different)}.")
