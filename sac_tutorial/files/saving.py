"""Named tensors in a file, in the safetensors format: numbers and names, no code that could run when it is opened.

May import: nothing of this package.
"""

import contextlib
import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import safetensors
import safetensors.torch
import torch
from torch import Tensor

FORMAT = "1"
"""The version of what a saved agent's tensors and description mean; whoever changes that, counts on."""


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], description: Mapping[str, str]) -> None:
    """Write named tensors and a description of them, in one step: no reader and no crash ever sees half a file.

    Args:
        path: of the file; its folder must exist.
        tensors: any devices, shapes and types.
        description: a few words under a few names.

    Raises:
        OSError: if the file can't be written; one that was there is left as it was.
    """
    path = Path(path)
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(plain, dict(description))
    _sweep(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.add_note(f"{path} could not be written; if it was there before, it is as it was.")
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _settle(path.parent)


def _sweep(path: Path) -> None:
    """Remove what processes that were killed while they wrote this file have left beside it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        number = left.name.removeprefix(f".{path.name}.").removesuffix(".tmp")
        if number.isdecimal() and int(number) < 2**31 and not psutil.pid_exists(int(number)):
            left.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Let the new name of a file reach the disk too, where the system can do that."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file, on the CPU, and their description.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not of this format, or was cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or only a part of one: {error}.") from error


def save_agent(path: str | Path, agent: str, shape: str, updates: int, tensors: Mapping[str, Sequence[Tensor]]) -> None:
    """Write an agent: its kind, the shape of its networks, its count of updates, and its lists of tensors by name.

    Raises:
        OSError: if the file can't be written; one that was there is left as it was.
    """
    description = {"format": FORMAT, "agent": agent, "network": shape, "updates": str(updates)}
    save_tensors(path, _numbered(tensors), description)


def load_agent(path: str | Path, agent: str, shape: str, tensors: Mapping[str, Sequence[Tensor]]) -> int:
    """Fill an agent's tensors from a file that one of the same kind and shape has saved; return its count of updates.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file that is cut off, of another kind or version, or from other networks; nothing is changed then.
    """
    found, description = load_tensors(path)
    updates, network = description.get("updates", ""), description.get("network")
    if description.get("agent") != agent or not updates.isdecimal():
        raise ValueError(f"{path} holds no {agent} agent, but {description or 'tensors without a description'}.")
    if description.get("format") != FORMAT:
        raise ValueError(
            f"{path} was written in version {description.get('format', 'nought')} of the format, "
            f"but this package reads version {FORMAT}."
        )
    if network != shape:
        raise ValueError(f"{path} was saved from {network}, but this agent has {shape}.")
    fill(_numbered(tensors), found, str(path))
    return int(updates)


def _numbered(tensors: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    return {f"{name}.{number}": tensor for name, several in tensors.items() for number, tensor in enumerate(several)}


@torch.no_grad()
def fill(tensors: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    """Copy what was found into tensors of the same names and shapes: all of them, or none if something doesn't fit.

    Raises:
        ValueError: naming the first tensor that is missing, unknown, or of another shape or type.
    """
    for name in [*tensors, *found]:
        here, there = (
            f"{tuple(side[name].shape)} of {side[name].dtype}" if name in side else "nothing"
            for side in (tensors, found)
        )
        if here != there:
            raise ValueError(f"{where} does not fit: as {name!r} the agent has {here}, the file has {there}.")
    for name, tensor in tensors.items():
        tensor.copy_(found[name])
