"""A finite MDP played as a Gymnasium environment, so that agents written for Gymnasium can learn on it.

May import: `mdp`. NumPy and Gymnasium are at home here, at the border.
"""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from sac_tutorial.mdp import FiniteMDP


class FiniteMDPEnv(gymnasium.Env[np.int64, np.int64]):
    """Gymnasium's interface to a FiniteMDP: observations are state numbers, actions are action numbers.

    `step` draws one outcome with the environment's own seeded generator. Wrap it in `gymnasium.wrappers.TimeLimit` for
    episodes that are cut off; the environment itself never truncates.

    Args:
        mdp: the model.
        render_mode: None or "ansi": `render` then returns the state's label and, if the MDP has a drawing, the drawing
            with the agent as `@`.

    Raises:
        ValueError: for another render mode, an action out of range, or a step before the first reset.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(self, mdp: FiniteMDP, render_mode: str | None = None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or 'ansi', but is {render_mode!r}.")
        self.mdp = mdp
        self.render_mode = render_mode
        self.observation_space = Discrete(mdp.states)
        self.action_space = Discrete(mdp.actions)
        self.state: Tensor | None = None  # until the first reset
        self.generator = torch.Generator()

    @property
    def description(self) -> str:
        """What it is, in words: by this a checkpoint knows it again."""
        return self.mdp.description

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Begin an episode; with a seed, the draws from here on repeat."""
        super().reset(seed=seed)
        if seed is not None or self.state is None:
            self.generator.manual_seed(int(self.np_random.integers(2**63)))
        self.state = self.mdp.start(1, self.generator)
        return np.int64(self.state.item()), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Draw one outcome of the action in the current state."""
        if self.state is None:
            raise ValueError("The environment must be reset before the first step; call reset().")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be a whole number in [0, {self.mdp.actions}), but is {action!r}.")
        self.state, reward, terminated = self.mdp.sample(self.state, torch.tensor([int(action)]), self.generator)
        return np.int64(self.state.item()), float(reward), bool(terminated), False, {}

    def render(self) -> str | None:
        """Return where the agent is, as text, in render mode "ansi"."""
        if self.render_mode is None or self.state is None:
            return None
        label = self.mdp.state_labels[int(self.state)]
        lines, cell = [], -1
        for line in self.mdp.drawing:
            shown = ""
            for character in line:
                cell += character != "#"
                shown += "@" if character != "#" and cell == int(self.state) else character
            lines.append(shown)
        return "\n".join([*lines, label])
