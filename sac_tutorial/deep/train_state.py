"""Parameters together with the optimiser that moves them: Adam, for all runs at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from sac_tutorial.deep.schedule import Schedule, schedule, value_after
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.target_network import frozen_copy
from sac_tutorial.validation import POSITIVE


class TrainState(Stateful):
    """Parameters and Adam's memory of their gradients.

    Adam scales every single number by the past gradients of that number. No step couples two numbers, so runs that share a
    tensor do not influence each other.

    Args:
        parameters: The tensors to learn, at least one, of one dtype and on one device. They are copied.
        learning_rate: η > 0, a number or a `LinearSchedule` over the updates; the schedule may end at 0.

    Attributes:
        parameters: The tensors as they are now. They are changed in place.
        first_moments: Adam's running averages of the gradients, one tensor for each parameter.
        second_moments: Adam's running averages of the squared gradients.
        counts: How many gradients the averages have seen, one number for each parameter.
        updates: How many steps there have been.

    Raises:
        TypeError: If the learning rate is neither a number nor a schedule.
        ValueError: If the learning rate is not positive, or if there are no parameters.

    Source: Kingma and Ba (2015), algorithm 1, computed by PyTorch in one fused operation.
    """

    state_names = ("parameters", "first_moments", "second_moments", "counts", "updates")

    def __init__(self, parameters: Sequence[Tensor], learning_rate: Schedule) -> None:
        if not parameters:
            raise ValueError("parameters must be at least one tensor, but there is none.")
        self.parameters = [parameter.requires_grad_() for parameter in frozen_copy(parameters)]
        self.learning_rate = schedule("learning_rate", learning_rate, POSITIVE)
        self.first_moments = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.second_moments = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.counts = [torch.zeros((), dtype=torch.float32, device=each.device) for each in self.parameters]
        self.updates = 0

    def minimize(self, loss: Tensor) -> None:
        """Take one gradient step, equation (3.3), on a loss with one entry a run. The entries are summed, so runs never mix.

        Only the gradients of these parameters are computed. Whatever else the loss depends on stays as it is.
        """
        gradients = torch.autograd.grad(loss.sum(), self.parameters)
        with torch.no_grad():
            adam(
                self.parameters,
                [gradient.contiguous() for gradient in gradients],  # the fused step reads memory in its order
                self.first_moments,
                self.second_moments,
                [],
                self.counts,
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=value_after(self.learning_rate, self.updates),
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )
        self.updates += 1
