"""The state of what learns: `state_dict` hands it out and `load_state_dict` takes it back, as in PyTorch.

A state is a nested dictionary. Its leaves are tensors and whole numbers, so that it fits into a file that runs no code.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

State = dict[str, Any]


class Stateful:
    """An object whose state is the state of some of its attributes.

    Attributes:
        state_names: The attributes that change while the object learns.
        fixed_names: The attributes that must be the same wherever the state is loaded.
    """

    state_names: ClassVar[tuple[str, ...]] = ()
    fixed_names: ClassVar[tuple[str, ...]] = ()

    def state_dict(self) -> State:
        """Return the state. Its tensors are the object's own, not copies."""
        return {name: state_of(getattr(self, name)) for name in self.state_names}

    def check_state_dict(self, state: Mapping[str, Any]) -> None:
        """Check that a state fits, and change nothing.

        Raises:
            ValueError: If an entry is missing, unknown, or of another shape or type; the message names the entry.
        """
        check_like(self.state_dict(), state)
        for name in self.state_names:
            if isinstance(generator := getattr(self, name), torch.Generator):
                _check_generator(name, generator.device, state[name])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; errors are those of `check_state_dict`, after which the object is unchanged."""
        self.check_state_dict(state)
        for name in self.state_names:
            setattr(self, name, _restored(getattr(self, name), state[name]))

    def describe(self) -> dict[str, str]:
        """Return in words what must be the same wherever the state is loaded."""
        words = {"kind": type(self).__name__}
        for name in self.fixed_names:
            value = getattr(self, name)
            if attrs.has(type(value)) and name == "settings":  # one entry a setting, so that a message can name it
                words |= {
                    f"settings.{field.name}": repr(getattr(value, field.name)) for field in attrs.fields(type(value))
                }
            else:
                words[name] = value.type if isinstance(value, torch.device) else str(value)
        return words


def state_of(part: Any) -> Any:
    """Return the state of an attribute: an object with a state, tensors, a generator or a whole number."""
    if hasattr(part, "state_dict"):
        return part.state_dict()
    if isinstance(part, torch.Generator):
        return part.get_state()
    if isinstance(part, list):
        return {str(place): state_of(each) for place, each in enumerate(part)}
    return part.detach() if isinstance(part, Tensor) else part


def check_like(mine: Any, found: Any, name: str = "") -> None:
    """Raise a ValueError unless two states have the same entries, shapes and types."""
    if isinstance(mine, Mapping) and isinstance(found, Mapping):
        for key in [*mine, *found]:
            place = f"{name}.{key}" if name else key
            if key not in mine or key not in found:
                raise ValueError(f"The state {'lacks' if key in mine else 'has the unknown entry'} {place!r}.")
            check_like(mine[key], found[key], place)
    elif (here := _kind(mine)) != (there := _kind(found)):
        raise ValueError(f"The entry {name!r} of the state must be {here}, but is {there}.")


def _kind(leaf: Any) -> str:
    if isinstance(leaf, Tensor):
        return f"a tensor of shape {tuple(leaf.shape)} and {leaf.dtype}"
    names = {int: "a whole number", bool: "True or False", float: "a number", str: "a text"}
    return "a table of entries" if isinstance(leaf, Mapping) else names.get(type(leaf), repr(leaf))


def _check_generator(name: str, device: torch.device, state: Tensor) -> None:
    try:
        torch.Generator(device).set_state(state.cpu())
    except RuntimeError as error:
        raise ValueError(f"The entry {name!r} is not the state of a generator: {error}") from error


@torch.no_grad()
def _restored(part: Any, state: Any) -> Any:
    """Bring an attribute into a state and return it."""
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    elif isinstance(part, torch.Generator):
        part.set_state(state.cpu())
    elif isinstance(part, list):
        for place, each in enumerate(part):
            _restored(each, state[str(place)])
    elif isinstance(part, Tensor):
        part.copy_(state)
    else:
        return state
    return part
