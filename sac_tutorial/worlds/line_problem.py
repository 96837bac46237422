"""Problems whose state and action are one number each: continuous for learners, a FiniteMDP on a grid for the exact answer.

On a grid of actions, a density is the probability of a cell divided by the cell's width, equation (7.18). So the solvers of
`exact` solve these problems too, soft optimum and restricted families included. Lessons 07 and 08 use them.
"""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from sac_tutorial.validation import number_field, whole_number
from sac_tutorial.worlds.mdp import FiniteMDP

Elementwise = Callable[[Tensor, Tensor], Tensor]
"""A function of states and actions of the same shape that returns one number for each pair."""


@attrs.frozen
class LineProblem:
    """A state x in [−1, 1] and an action a in [−1, 1], which together determine the next state; nothing is random.

    Args:
        reward: r(x, a).
        move: x′(x, a), clipped to [−1, 1]. None: every episode ends after one action, as in a bandit problem.
        discount: γ in [0, 1).

    Raises:
        TypeError: If the discount is not a number.
        ValueError: If the discount lies outside [0, 1).
    """

    reward: Elementwise
    move: Elementwise | None = None
    discount: float = number_field(0.9, "[0, 1)")

    def next_state(self, state: Tensor, action: Tensor) -> Tensor:
        """Return x′, within [−1, 1]."""
        return state if self.move is None else self.move(state, action).clamp(-1, 1)

    def on_grid(self, states: int, actions: int) -> FiniteMDP:
        """Return the problem on S evenly spaced states, edges included, and the midpoints of A equal cells of actions.

        A next state between two grid points goes to either of them, in proportion to its nearness, so values are
        interpolated linearly. Every state is equally likely at the start. The error falls with the square of both spacings.

        Args:
            states: S ≥ 2.
            actions: A ≥ 1.

        Raises:
            TypeError: If a size is not a whole number.
            ValueError: If a size is too small, or if a reward is not finite.
        """
        x, a = torch.meshgrid(grid(states), midpoints(actions), indexing="ij")
        states, actions = x.shape
        place = (self.next_state(x, a) + 1) / 2 * (states - 1)
        below = place.floor().clamp(max=states - 2)
        return FiniteMDP(
            probability=torch.stack([below + 1 - place, place - below], -1),
            next_state=torch.stack([below, below + 1], -1).long(),
            reward=self.reward(x, a).unsqueeze(-1).repeat(1, 1, 2),
            terminated=torch.full((states, actions, 2), self.move is None),
            start_probability=torch.full((states,), 1 / states, dtype=torch.float64),
            discount=self.discount,
        )


def grid(states: int) -> Tensor:
    """Return the states of a grid, from −1 to 1, both included, shape (S,), S ≥ 2, float64."""
    return torch.linspace(-1, 1, whole_number("states", states, "[2, inf)"), dtype=torch.float64)


def midpoints(actions: int) -> Tensor:
    """Return the middles of A equal cells of [−1, 1], shape (A,), float64."""
    width = 2 / whole_number("actions", actions)
    return -1 + width * (torch.arange(actions, dtype=torch.float64) + 0.5)
