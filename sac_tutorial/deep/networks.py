"""Networks with leading axes: R runs, and two critics in front of them, are one network with larger tensors.

A network here is only a shape. It makes parameters and is a pure function of them, `network(parameters, x)`, so that the
online network and the target network are the same function of two lists of tensors. Every parameter has the shape
(..., n, m): what stands in front of the last two axes (a run, or a critic and a run) never mixes.

May import: `schedule`, `_borders`. May not: anything that knows what reinforcement learning is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sac_tutorial.deep.schedule import Schedule, ends, value_after
from sac_tutorial.validation import number_in, positive_integer, positive_number

# The C library of Linux gives memory back as soon as more lies idle than twice the largest block that was ever freed, and then
# every step would fetch it anew: some 400 pages with 32 runs of SAC. This block is freed at once, and never touched.
torch.empty(2**23 - 2**12)

Parameters = list[Tensor]
"""weight, bias, weight, bias, …, from the input to the output."""


class Network(Protocol):
    """What agents need of a network."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""

    @property
    def outputs(self) -> int:
        """How many numbers come out for one observation: for a Q-network, the number of actions."""

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters with these leading axes, at least one, such as (runs,)."""

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Map observations of shape (..., B, *input_shape) to outputs of shape (*leading, B, outputs)."""


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W + b in every run at once, equation (3.12): one layer.

    Args:
        x: shape (R, B, n).
        weight: W, shape (R, n, m).
        bias: b, shape (R, 1, m).

    Returns:
        Shape (R, B, m). Run r sees nothing but its own slice of each.

    A single column, as in every network for a value, is summed up here: libraries for products of matrices take three to five
    times as long for it.

    Source: the affine layer of any textbook (Goodfellow et al. 2016, section 6.1), with one more axis.
    """
    if weight.shape[-1] == 1:
        return (x * weight.mT).sum(-1, keepdim=True) + bias
    return torch.baddbmm(bias, x, weight)


@dataclass(frozen=True)
class MLP:
    """A multilayer perceptron: affine layers, equation (3.12), with max(0, ·) between them.

    Args:
        inputs: length of one observation, ≥ 1.
        hidden: widths of the hidden layers; () gives a linear function.
        outputs: length of the result, ≥ 1.

    Raises:
        TypeError, ValueError: for sizes that are no whole numbers ≥ 1.

    Source: Goodfellow et al. (2016), chapter 6. Parameters start uniform in ±1/√n, as those of `torch.nn.Linear` do.
    """

    inputs: int
    hidden: tuple[int, ...]
    outputs: int

    def __post_init__(self) -> None:
        """Check the sizes."""
        positive_integer("inputs", self.inputs)
        positive_integer("outputs", self.outputs)
        if not isinstance(self.hidden, Sequence):
            raise TypeError(f"hidden must be several widths, such as (64, 64), but is {self.hidden!r}.")
        object.__setattr__(self, "hidden", tuple(positive_integer("hidden", width) for width in self.hidden))

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
        if len(leading) > 1:  # a batched product has one batch axis: fold the others into it, and out again at the end
            x, parameters = x.flatten(0, -3), [parameter.flatten(0, -3) for parameter in parameters]
        *inner, last = zip(parameters[::2], parameters[1::2], strict=True)
        for weight, bias in inner:
            x = linear(x, weight, bias).relu_()
        x = linear(x, *last)
        return x.view(*leading, *x.shape[-2:]) if len(leading) > 1 else x


@dataclass(frozen=True)
class ConvNet:
    """A small convolutional network for pictures: convolutions, equation (3.13), with max(0, ·), then an MLP.

    Args:
        input_shape: (channels, height, width) of one picture.
        filters: for each convolution (channels out, kernel, stride); no padding.
        hidden: widths of the hidden layers of the MLP.
        outputs: length of the result, ≥ 1.

    Raises:
        TypeError, ValueError: for sizes that are no whole numbers ≥ 1, or a kernel larger than what is left of the picture.

    Source: Mnih et al. (2015), Methods, "Model architecture", which this shrinks.
    """

    input_shape: tuple[int, int, int]
    filters: tuple[tuple[int, int, int], ...]
    hidden: tuple[int, ...]
    outputs: int

    def __post_init__(self) -> None:
        """Check the sizes."""
        object.__setattr__(self, "input_shape", tuple(self.input_shape))
        object.__setattr__(self, "filters", tuple(tuple(layer) for layer in self.filters))
        if len(self.input_shape) != 3:
            raise ValueError(f"input_shape must be (channels, height, width), but is {self.input_shape}.")
        for layer in self.filters:
            if len(layer) != 3:
                raise ValueError(f"Each of filters must be (channels out, kernel, stride), but one is {layer}.")
        for size in (*self.input_shape, *(size for layer in self.filters for size in layer)):
            positive_integer("every size of a ConvNet", size)
        object.__setattr__(
            self, "hidden", self._head.hidden
        )  # the head walks through the picture and checks its own sizes

    @property
    def _head(self) -> MLP:
        channels, height, width = self.input_shape
        for number, (out, kernel, stride) in enumerate(self.filters, start=1):
            if kernel > min(height, width):
                raise ValueError(
                    f"The kernel of convolution {number} is {kernel} pixels wide, but only {height} × {width} are left "
                    f"of the picture; use fewer or smaller filters."
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
        # A convolution in groups never mixes its groups: the networks become groups of channels of one picture.
        x = x.expand(*leading, *x.shape[-4:]).reshape(networks, *x.shape[-4:]).transpose(0, 1).flatten(1, 2)
        depth = 2 * len(self.filters)
        layers = zip(self.filters, parameters[:depth:2], parameters[1:depth:2], strict=True)
        for (out, kernel, stride), weight, bias in layers:
            kernels = weight.reshape(networks * out, -1, kernel, kernel)
            x = conv2d(x, kernels, bias.flatten(), stride=stride, groups=networks).relu()
        flat = x.reshape(batch, networks, -1).transpose(0, 1).reshape(*leading, batch, -1)
        return self._head(parameters[depth:], flat)


class TrainState:
    """Parameters and the optimiser that moves them: Adam, which scales every single parameter by its own past gradients.

    Nothing in a step couples two parameters, so that runs which share a tensor don't feel each other.

    Args:
        parameters: the tensors to learn, at least one, of any shapes, all of one type and on one device.
        learning_rate: η, a number > 0 or a `Linear` schedule over the steps from one to a number ≥ 0.
        steps: how many have been taken before, for the schedule.

    Raises:
        TypeError, ValueError: for a learning rate out of range.

    Attributes:
        means, squares: Adam's running averages of gradients and of their squares, one tensor for each parameter.
        count: how many gradients they have seen, one tensor for all. These three are all that an optimiser remembers.
        gradients: those of the last step. Kept because memory that is given back would have to be fetched anew in each step,
            which takes a third of the time of 64 runs.

    Source: Kingma and Ba (2015), algorithm 1, in the one operation with which `torch.optim.Adam(..., fused=True)` computes it;
    what that class does around it takes longer than the operation itself where networks are small.
    """

    def __init__(self, parameters: Sequence[Tensor], learning_rate: Schedule, *, steps: int = 0) -> None:
        check_learning_rate(learning_rate)
        self.parameters = [parameter.requires_grad_() for parameter in frozen_copy(parameters)]
        self.learning_rate, self.steps = learning_rate, steps
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.count = torch.zeros((), device=self.parameters[0].device)
        self.gradients: list[Tensor] = []

    def minimize(self, loss: Tensor) -> None:
        """Take one gradient step, equation (3.3), on `loss`, one entry a run: they are summed, so that runs never mix.

        Only the gradients of these parameters are computed: whatever else the loss depends on stays as it is.
        """
        gradients = torch.autograd.grad(loss.sum(), self.parameters)
        self.gradients = [gradient.contiguous() for gradient in gradients]  # a fused step reads memory in its order
        with torch.no_grad():
            self.count += 1
            torch._fused_adam_(
                self.parameters,
                self.gradients,
                self.means,
                self.squares,
                [],
                [self.count] * len(self.parameters),
                lr=value_after(self.learning_rate, self.steps),
                beta1=0.9,
                beta2=0.999,
                eps=1e-8,
                weight_decay=0.0,
                amsgrad=False,
                maximize=False,
            )
        self.steps += 1


def check_learning_rate(learning_rate: Schedule, name: str = "learning_rate") -> None:
    """Raise a TypeError or ValueError unless the rate begins above 0 and never falls below it."""
    first, last = ends(learning_rate)
    positive_number(name, first)
    number_in(f"the last {name}", last, 0, math.inf, open_above=True)


def frozen_copy(parameters: Sequence[Tensor]) -> Parameters:
    """Return copies that no gradient reaches: the first target network."""
    return [parameter.detach().clone(memory_format=torch.contiguous_format) for parameter in parameters]


@torch.no_grad()
def copy_step(target: Parameters, online: Sequence[Tensor]) -> None:
    """Set θ̄ ← θ in place, equation (3.10): what a target network does once a period.

    Source: Mnih et al. (2015), algorithm 1, last line.
    """
    torch._foreach_copy_(target, list(online))


@torch.no_grad()
def polyak_step(target: Parameters, online: Sequence[Tensor], rate: float) -> None:
    """Set θ̄ ← (1 − τ) θ̄ + τ θ in place, equation (3.11): what a target network can do after every update.

    Args:
        target: θ̄.
        online: θ, the same shapes.
        rate: τ in [0, 1]; others write ρ for 1 − τ.

    Raises:
        TypeError, ValueError: for a rate out of range.

    Source: Lillicrap et al. (2016), algorithm 1; Polyak and Juditsky (1992) averaged iterates for another purpose.
    """
    torch._foreach_lerp_(target, list(online), number_in("rate", rate, 0, 1))


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return bound * (2 * torch.rand(shape, generator=generator, device=generator.device) - 1)
