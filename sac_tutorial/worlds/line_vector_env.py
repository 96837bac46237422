"""A problem on a line as vector environments, for lessons 07 and 08."""

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from sac_tutorial.worlds.line_problem import LineProblem, grid, midpoints
from sac_tutorial.worlds.mdp import digest
from sac_tutorial.worlds.tensor_vector_env import TensorVectorEnv


class LineVectorEnv(TensorVectorEnv):
    """R runs of a LineProblem. Episodes begin anywhere in [−1, 1] with equal probability.

    Args:
        problem: the problem.
        num_envs: R, the number of runs, ≥ 1.
        time_limit: steps after which an episode is truncated, ≥ 1. None: never.

    Attributes:
        state: x of each run, float64, shape (R,).

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If a number is below 1.
    """

    def __init__(self, problem: LineProblem, num_envs: int, *, time_limit: int | None = 20) -> None:
        self.problem = problem
        line = Box(-1, 1, (1,), dtype=np.float32)
        super().__init__(num_envs, line, line, time_limit)

    def _start(self) -> Tensor:
        # Drawn at each reset for all runs, whose episodes have the same length: all runs reset together.
        return 2 * torch.rand(self.num_envs, generator=self.generator, dtype=torch.float64) - 1

    def _step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a = action.double().squeeze(-1)
        reward = self.problem.reward(self.state, a)
        terminated = torch.full((self.num_envs,), self.problem.move is None)
        return self.problem.next_state(self.state, a), reward, terminated

    def _observation(self) -> Tensor:
        return self.state.float().unsqueeze(-1)

    @property
    def description(self) -> str:
        """The problem in words, by which a checkpoint recognises it; some values stand for its functions."""
        x, a = torch.meshgrid(grid(9), midpoints(8), indexing="ij")
        values = digest(self.problem.reward(x, a), self.problem.next_state(x, a))
        ends = "after one action" if self.problem.move is None else f"after {self.time_limit} steps"
        return f"LineProblem {values} of discount {self.problem.discount:g} that ends {ends}"
