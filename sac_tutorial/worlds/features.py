"""What a network observes of a state: its place on the drawing, or a picture of the whole drawing. For lesson 03."""

import torch
from torch import Tensor

from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.mdp import FiniteMDP

_COLOURS = {"#": (0.25, 0.25, 0.25), "G": (0.0, 0.6, 0.3), "H": (0.9, 0.4, 0.0), "C": (0.9, 0.4, 0.0)}
_FLOOR, _AGENT = (1.0, 1.0, 1.0), (0.0, 0.3, 0.7)


def coordinates(mdp: FiniteMDP) -> Tensor:
    """Return (column, row) of each state on the drawing, each scaled to [−1, 1]: float32, shape (S, 2).

    Raises:
        ValueError: If the MDP has no drawing.
    """
    place = _places(mdp).to(torch.float32)
    low, high = place.amin(0), place.amax(0)
    return 2 * (place - low) / (high - low).clamp(min=1) - 1


def pictures(mdp: FiniteMDP, pixels: int = 4) -> Tensor:
    """Return a picture of the drawing for each state, with the agent as a blue square: float32 in [0, 1], shape (S, 3, H, W).

    Args:
        mdp: an MDP with a drawing.
        pixels: edge of one cell, at least 3: the agent fills all but a margin of one pixel.

    Raises:
        TypeError: If `pixels` is not a whole number.
        ValueError: If `pixels` is below 3, or if the MDP has no drawing.
    """
    pixels = whole_number("pixels", pixels, "[3, inf)")
    width = max(map(len, mdp.drawing), default=0)
    cells = [[_COLOURS.get(character, _FLOOR) for character in line.ljust(width, "#")] for line in mdp.drawing]
    places = _places(mdp)
    floor = torch.tensor(cells).permute(2, 0, 1).repeat_interleave(pixels, 1).repeat_interleave(pixels, 2)
    shown = floor.repeat(mdp.states, 1, 1, 1)
    for picture, (column, row) in zip(shown, places.tolist(), strict=True):
        inside = (slice(place * pixels + 1, (place + 1) * pixels - 1) for place in (row, column))
        picture[:, *inside] = torch.tensor(_AGENT).view(3, 1, 1)
    return shown


def _places(mdp: FiniteMDP) -> Tensor:
    if not mdp.drawing:
        raise ValueError("The MDP has no drawing, so its states have no places to show.")
    return torch.tensor(
        [(column, row) for row, line in enumerate(mdp.drawing) for column, cell in enumerate(line) if cell != "#"]
    )
