"""Networks with leading axes: R runs, with two critics in front of them, are one network with larger tensors.

A network here is only a shape. It makes parameters, and it is a pure function of them: `network(parameters, x)`. So the online
network and the target network are the same function of two lists of tensors. Each parameter has the shape (..., n, m). The
axes in front of the last two (a run, or a critic and a run) never mix.
"""

import math
from itertools import pairwise
from typing import Protocol

import attrs
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sac_tutorial.deep.target_network import Parameters
from sac_tutorial.validation import checked_field, whole_number_field, whole_numbers, widths_field


class Network(Protocol):
    """What agents need of a network."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""

    @property
    def outputs(self) -> int:
        """The length of the result for one observation. A Q-network has one output for each action."""

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters with these leading axes, at least one, such as (runs,)."""

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Map observations of shape (..., B, *input_shape) to outputs of shape (*leading, B, outputs)."""


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W + b in every run at once, equation (3.12): one layer.

    Args:
        x: Shape (R, B, n).
        weight: W, shape (R, n, m).
        bias: b, shape (R, 1, m).

    Returns:
        Shape (R, B, m). Run r sees only its own slice of each.

    Source: Goodfellow et al. (2016), section 6.1, with one more axis.
    """
    if weight.shape[-1] == 1:  # the last layer of a critic: a sum is three to five times as fast as a product here
        return (x * weight.mT).sum(-1, keepdim=True) + bias
    return torch.baddbmm(bias, x, weight)


@attrs.frozen
class MLP:
    """A multilayer perceptron: affine layers, equation (3.12), with max(0, ·) between them.

    Args:
        inputs: The length of one observation.
        hidden: The widths of the hidden layers. () gives a linear function.
        outputs: The length of the result.

    Raises:
        TypeError: If a size is not a whole number.
        ValueError: If a size is below 1.

    Source: Goodfellow et al. (2016), chapter 6. Parameters start uniform in ±1/√n, as those of `torch.nn.Linear` do.
    """

    inputs: int = whole_number_field()
    hidden: tuple[int, ...] = widths_field()
    outputs: int = whole_number_field()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one observation, (inputs,)."""
        return (self.inputs,)

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters: weights of shape (*leading, n, m) and biases of shape (*leading, 1, m)."""
        parameters = []
        for n, m in pairwise((self.inputs, *self.hidden, self.outputs)):
            bound = 1 / math.sqrt(n)
            parameters += [_uniform((*leading, n, m), bound, generator), _uniform((*leading, 1, m), bound, generator)]
        return parameters

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Map x of shape (..., B, inputs), broadcast with the leading axes, to (*leading, B, outputs)."""
        leading = parameters[0].shape[:-2]
        x = x.expand(*leading, *x.shape[-2:])
        # A batched product has one batch axis: fold the leading axes into one, and unfold them at the end.
        if len(leading) > 1:
            x, parameters = x.flatten(0, -3), [parameter.flatten(0, -3) for parameter in parameters]
        *inner, last = zip(parameters[::2], parameters[1::2], strict=True)
        for weight, bias in inner:
            x = linear(x, weight, bias).relu_()
        x = linear(x, *last)
        return x.view(*leading, *x.shape[-2:]) if len(leading) > 1 else x


@attrs.frozen
class ConvNet:
    """A small convolutional network for pictures: convolutions, equation (3.13), with max(0, ·), then an MLP.

    Args:
        input_shape: (channels, height, width) of one picture.
        filters: (channels out, kernel, stride) of each convolution; there is no padding.
        hidden: The widths of the hidden layers of the MLP.
        outputs: The length of the result.

    Raises:
        TypeError: If a size is not a whole number.
        ValueError: If a size is below 1, or if a kernel is larger than what is left of the picture.

    Source: Mnih et al. (2015), Methods, "Model architecture", in a smaller size.
    """

    input_shape: tuple[int, int, int] = checked_field(attrs.NOTHING, lambda name, value: _three(name, value))
    filters: tuple[tuple[int, int, int], ...] = checked_field(
        attrs.NOTHING, lambda name, value: tuple(_three(f"each entry of {name}", each) for each in value)
    )
    hidden: tuple[int, ...] = widths_field()
    outputs: int = whole_number_field()

    def __attrs_post_init__(self) -> None:
        """Follow the picture through the convolutions, which refuses a kernel that is too large."""
        assert self._head

    @property
    def _head(self) -> MLP:
        channels, height, width = self.input_shape
        for place, (out, kernel, stride) in enumerate(self.filters, start=1):
            if kernel > min(height, width):
                raise ValueError(
                    f"The kernel of convolution {place} is {kernel} pixels wide, but only {height} × {width} pixels of the "
                    f"picture are left. Use fewer or smaller filters."
                )
            channels, height, width = out, (height - kernel) // stride + 1, (width - kernel) // stride + 1
        return MLP(channels * height * width, self.hidden, self.outputs)

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters; filters have the shape (*leading, out, in · kernel²), their biases (*leading, 1, out)."""
        parameters, channels = [], self.input_shape[0]
        for out, kernel, _ in self.filters:
            bound = 1 / math.sqrt(channels * kernel**2)
            weight = _uniform((*leading, out, channels * kernel**2), bound, generator)
            parameters += [weight, _uniform((*leading, 1, out), bound, generator)]
            channels = out
        return parameters + self._head.initial(leading, generator)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Map pictures of shape (..., B, C, H, W), broadcast with the leading axes, to (*leading, B, outputs)."""
        leading, batch = parameters[0].shape[:-2], x.shape[-4]
        networks = math.prod(leading)
        # A grouped convolution never mixes its groups, so the networks become groups of channels of one picture.
        x = x.expand(*leading, *x.shape[-4:]).reshape(networks, *x.shape[-4:]).transpose(0, 1).flatten(1, 2)
        depth = 2 * len(self.filters)
        layers = zip(self.filters, parameters[:depth:2], parameters[1:depth:2], strict=True)
        for (out, kernel, stride), weight, bias in layers:
            kernels = weight.reshape(networks * out, -1, kernel, kernel)
            x = conv2d(x, kernels, bias.flatten(), stride=stride, groups=networks).relu()
        flat = x.reshape(batch, networks, -1).transpose(0, 1).reshape(*leading, batch, -1)
        return self._head(parameters[depth:], flat)


def check_network(network: Network, inputs: tuple[int, ...], outputs: int, name: str = "network") -> None:
    """Check that a network maps observations of this shape to this many numbers.

    Raises:
        TypeError: If the object is not a network.
        ValueError: If the shapes differ.
    """
    if not hasattr(network, "input_shape") or not hasattr(network, "outputs"):
        raise TypeError(f"{name} must be a network, such as MLP(4, (64, 64), 2), but is {network!r}.")
    if network.input_shape != inputs or network.outputs != outputs:
        raise ValueError(
            f"{name} must map observations of shape {inputs} to {outputs} numbers, "
            f"but maps {network.input_shape} to {network.outputs}."
        )


def _three(name: str, value: object) -> tuple[int, ...]:
    found = whole_numbers(name, value)
    if len(found) != 3:
        raise ValueError(f"{name} must be three whole numbers, but is {found}.")
    return found


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return bound * (2 * torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float32) - 1)
