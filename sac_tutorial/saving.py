"""Named tensors in a file, in the safetensors format: numbers and names, no code that could run when it is opened.

May import: nothing of this package.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
