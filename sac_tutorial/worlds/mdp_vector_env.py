"""A finite MDP as vector environments, so that deep agents meet problems whose answer is known. Lessons 03 to 08 use it."""

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from sac_tutorial.worlds.mdp import FiniteMDP, digest
from sac_tutorial.worlds.tensor_vector_env import TensorVectorEnv


class FiniteMDPVectorEnv(TensorVectorEnv):
    """R runs of a FiniteMDP; every step is one draw for each run.

    Args:
        mdp: the model.
        num_envs: R, the number of runs, ≥ 1.
        features: what an agent observes in each state, shape (S, *observation). Default: one-hot vectors, for which a
            linear network is a table.
        time_limit: steps after which an episode is truncated, ≥ 1. None: never.

    Attributes:
        state: the state of each run, int64, shape (R,).

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If a number is below 1, or if features are not finite or have another shape.
    """

    def __init__(
        self, mdp: FiniteMDP, num_envs: int, *, features: Tensor | None = None, time_limit: int | None = None
    ) -> None:
        self.mdp = mdp
        self.features = torch.eye(mdp.states) if features is None else _checked(features, mdp.states)
        low, high = self.features.amin(0).numpy(), self.features.amax(0).numpy()
        super().__init__(num_envs, Box(low, high, dtype=np.float32), Discrete(mdp.actions), time_limit)

    def _start(self) -> Tensor:
        self._next_start = self.mdp.start(self.num_envs, self.generator)
        return self._next_start

    def _restart(self) -> Tensor:
        return self._next_start

    def _step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outcome = self.mdp.sample(self.state, action, self.generator)
        self._start()  # drawn at every step for all runs: no run's luck depends on when the episodes of other runs end
        return outcome

    def _observation(self) -> Tensor:
        return self.features.index_select(0, self.state)

    @property
    def description(self) -> str:
        """Model, features and time limit in words, by which a checkpoint recognises the environments."""
        return f"{self.mdp.description}, seen as {digest(self.features)}, time limit {self.time_limit}"


def _checked(features: Tensor, states: int) -> Tensor:
    features = torch.as_tensor(features, dtype=torch.float32, device="cpu")
    if features.dim() < 2 or len(features) != states or not features.isfinite().all():
        raise ValueError(
            f"features must be finite and have the shape ({states}, ...), one entry for each state, "
            f"but have the shape {tuple(features.shape)}."
        )
    return features
