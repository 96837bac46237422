"""`save` and `load`: the state of agents, replay buffers and environments in one file, to pause a training.

A long training, in a script that can be stopped and started again at any time:

    start_step = 0
    if path.exists():
        start_step = load(path, envs=envs, agent=agent, buffer=buffer)["step"]
    seed = None if start_step else 0
    for step in train(envs, agent, buffer, steps=1_000_000, start_step=start_step, seed=seed, ...):
        if step.number % 10_000 == 0:
            save(path, envs=envs, agent=agent, buffer=buffer, step=step.number)

Kept exactly: networks and their delayed copies, the optimisers' memory, a learned temperature, the replay buffer, all
generators and counts. The same program on the same machine then goes on bit by bit as the old one would have in its next call
of `train`. Not kept: an episode in progress, so every run begins a new episode. Functions that were given to an agent are known
by name alone. An agent with its generator belongs to its kind of device. A single `TrainState`, such as `actor=agent.actor`,
may be loaded on another device.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.state import State
from sac_tutorial.files.atomic import write_atomically
from sac_tutorial.files.environment_state import EnvironmentState

FORMAT = "sac_tutorial 3"
"""The version of the file's meaning. Increase the number when you change it."""

Value = int | float | str | bool


def save(path: str | Path, *, must_match: Mapping[str, object] | None = None, **objects: Any) -> None:
    """Write the state of objects to one safetensors file, which holds numbers and words but no code.

    The file at `path` is the old one or the new one, whole, even if the process is killed or the disk is full. While it is
    written, it takes memory for two to three copies of what it holds.

    Args:
        path: The file; its folder must exist.
        must_match: Whatever else must be the same where the file is loaded, by name, such as a batch size.
        objects: By name: agents, replay buffers, and other objects of this package with a `state_dict`, vector environments,
            and plain numbers and strings. Save a part of an object in a file of its own, not beside the whole.

    Raises:
        TypeError: If an object has no state.
        OSError: If the file cannot be written. A file that was there before is left as it was.
    """
    tensors: dict[str, Tensor] = {}
    stateful = {name: _stateful(name, each) for name, each in objects.items() if not isinstance(each, Value)}
    content = {
        "states": {name: _pack(each.state_dict(), name, tensors) for name, each in stateful.items()},
        "about": {name: _words(each.describe()) for name, each in stateful.items()},
        "values": {name: each for name, each in objects.items() if isinstance(each, Value)},
        "must_match": _words(must_match or {}),
    }
    description = {"format": FORMAT} | {name: json.dumps(part) for name, part in content.items()}
    write_atomically(Path(path), safetensors.torch.save(tensors, description))


def load(path: str | Path, *, must_match: Mapping[str, object] | None = None, **objects: Any) -> dict[str, Value]:
    """Bring objects into the states that a file holds, and return the plain values in it.

    Make the objects with the same arguments as the saved ones. You may load some of the objects of a file and leave others.

    Args:
        path: The file.
        must_match: As it was given to `save`, if any of the objects is to go on training.
        objects: By the names that were given to `save`.

    Returns:
        The plain numbers and strings that were saved, by name.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If an object has no state.
        ValueError: If the file is damaged, of another format, lacks an object, or was saved from other objects. All differences
            are named, and nothing has been changed.
    """
    path = Path(path)
    tensors, content = _read(path)
    stateful = {name: _stateful(name, each) for name, each in objects.items()}
    if missing := [name for name in stateful if name not in content["states"]]:
        raise ValueError(f"{path} holds no {missing[0]!r}; it holds {', '.join(content['states']) or 'no objects'}.")
    here = {name: _words(each.describe()) for name, each in stateful.items()}
    there = {name: content["about"][name] for name in stateful}
    if must_match is not None:
        here["must_match"], there["must_match"] = _words(must_match), content["must_match"]
    _compare(path, there, here)
    states = {name: _unpack(content["states"][name], tensors) for name in stateful}
    for name, each in stateful.items():
        try:
            each.check_state_dict(states[name])
        except (ValueError, TypeError, RuntimeError) as error:
            raise ValueError(f"{path} does not fit {name!r}: {error}") from error
    for name, each in stateful.items():
        each.load_state_dict(states[name])
    values: dict[str, Value] = content["values"]
    return values


def _stateful(name: str, thing: Any) -> Any:
    if isinstance(thing, VectorEnv):
        return EnvironmentState(thing)
    if not (hasattr(thing, "state_dict") and hasattr(thing, "check_state_dict") and hasattr(thing, "describe")):
        raise TypeError(f"{name} must be an agent, a replay buffer or vector environments, but is {thing!r}.")
    return thing


def _words(properties: Mapping[str, object]) -> dict[str, str]:
    """Return properties in words, without the places in memory, which are others in each process."""
    return {name: re.sub(r" at 0x[0-9a-fA-F]+", "", str(value)) for name, value in properties.items()}


def _pack(state: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return a state in which each tensor is replaced by its name, and collect the tensors."""
    if isinstance(state, Mapping):
        return {key: _pack(each, f"{name}.{key}", tensors) for key, each in state.items()}
    if isinstance(state, Tensor):
        tensors[name] = state.detach().contiguous()
        return {"tensor": name}
    return state


def _unpack(state: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(state, Mapping):
        return (
            tensors[state["tensor"]]
            if [*state] == ["tensor"]
            else {key: _unpack(each, tensors) for key, each in state.items()}
        )
    return state


def _read(path: Path) -> tuple[dict[str, Tensor], State]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors, description = {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or only a part of one: {error}.") from error
    if description.get("format") != FORMAT:
        raise ValueError(
            f"{path} has the format {description.get('format', 'unknown')!r}, but this package reads {FORMAT!r}."
        )
    return tensors, {name: json.loads(part) for name, part in description.items() if name != "format"}


def _compare(path: Path, there: Mapping[str, Mapping[str, str]], here: Mapping[str, Mapping[str, str]]) -> None:
    different = [
        f"its {name}: {key} is {there[name].get(key, 'not given')}, but here it is {here[name].get(key, 'not given')}"
        for name in here
        for key in dict.fromkeys([*here[name], *there[name]])
        if there[name].get(key) != here[name].get(key)
    ]
    if different:
        raise ValueError(f"{path} was saved from something else: {'; '.join(different)}.")
