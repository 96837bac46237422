"""Target networks: delayed copies of parameters, and the two ways in which a copy follows."""

from collections.abc import Sequence

import torch
from torch import Tensor

Parameters = list[Tensor]
"""weight, bias, weight, bias, …, from the input to the output."""


def frozen_copy(parameters: Sequence[Tensor]) -> Parameters:
    """Return copies that no gradient reaches: the first target network."""
    return [parameter.detach().clone(memory_format=torch.contiguous_format) for parameter in parameters]


@torch.no_grad()
def copy_step(target: Parameters, online: Sequence[Tensor]) -> None:
    """Set θ̄ ← θ in place, equation (3.10). A target network does this once in a period.

    Source: Mnih et al. (2015), algorithm 1, last line.
    """
    for old, new in zip(target, online, strict=True):
        old.copy_(new)


@torch.no_grad()
def polyak_step(target: Parameters, online: Sequence[Tensor], tau: float) -> None:
    """Set θ̄ ← (1 − τ) θ̄ + τ θ in place, equation (3.11). A target network can do this after every update.

    Args:
        target: θ̄.
        online: θ, the same shapes.
        tau: τ in [0, 1]. Spinning Up calls 1 − τ "polyak".

    Source: Lillicrap et al. (2016), algorithm 1.
    """
    for old, new in zip(target, online, strict=True):
        old.lerp_(new, tau)
