"""Many episodes of one MDP side by side, one for each run, with or without a time limit. Lesson 02 uses them."""

import torch
from torch import Tensor

from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.mdp import FiniteMDP


class Episodes:
    """R episodes side by side: the state of each run, and what its next step brings.

    Args:
        mdp: the model to sample from.
        runs: R ≥ 1.
        generator: source of the randomness.
        time_limit: the number of steps, ≥ 1, after which an episode is truncated. Default: never.

    Attributes:
        state: where each run acts next, shape (R,): the last next state or, after an end, a new start.
        ended: whether the last step of each run was terminated or truncated, bool, shape (R,).

    Raises:
        TypeError: If a count is not a whole number.
        ValueError: If a count is below 1.
    """

    def __init__(self, mdp: FiniteMDP, runs: int, generator: torch.Generator, time_limit: int | None = None) -> None:
        self.mdp, self.runs, self.generator = mdp, whole_number("runs", runs), generator
        self.time_limit = None if time_limit is None else whole_number("time_limit", time_limit)
        self.state = mdp.start(self.runs, generator)
        self.ended = torch.zeros(self.runs, dtype=torch.bool)
        self.age = torch.zeros(self.runs, dtype=torch.int64)

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step in every run, with actions of shape (R,).

        Returns:
            next_state, reward and terminated, each of shape (R,). `next_state` is the true one: where the episode ended,
            `state` is the start of the next.
        """
        next_state, reward, terminated = self.mdp.sample(self.state, action, self.generator)
        age = self.age + 1
        self.ended = terminated if self.time_limit is None else terminated | (age == self.time_limit)
        self.age = age.masked_fill(self.ended, 0)
        self.state = torch.where(self.ended, self.mdp.start(self.runs, self.generator), next_state)
        return next_state, reward, terminated
