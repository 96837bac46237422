"""Functions that a lesson defines itself, where an error could pass the verdict on the lesson's result."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sac_tutorial.equations import sampled_soft_value
from tools.notebooks import read

ROOT = Path(__file__).parents[1]
RUNS, Q = 2, 7.0
ALPHA, LOG_DENSITY = torch.tensor([[0.5], [2.0]]), torch.tensor([[3.0], [-1.0]])


def cell(notebook: str, beginning: str, **names: object) -> dict[str, Any]:
    """Run the only cell of a lesson that contains this text, and return its names."""
    (source,) = (
        cell.source for cell in read(ROOT / "notebooks" / f"{notebook}.ipynb").cells if beginning in cell.source
    )
    exec(source, names)
    return names


class Paying:
    """Environments that pay 1, 2, 3, … whatever the agent does."""

    def __init__(self, number: int) -> None:
        self.number = number

    def reset(self, *, seed: list[int]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        assert len(seed) == self.number
        self.steps = 0
        return self.observe(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64], None]:
        assert action.shape == (self.number, 1)
        self.steps += 1
        return self.observe(), np.full(self.number, float(self.steps)), None

    def observe(self) -> NDArray[np.float32]:
        return np.zeros((self.number, 3), dtype=np.float32)


def draw(_: None, seen: Tensor, **__: torch.Generator) -> tuple[Tensor, Tensor]:
    return torch.zeros(*seen.shape[:-1], 1), LOG_DENSITY.expand(seen.shape[:-1])


def test_the_bias_of_lesson_07_is_equation_22_with_each_term_at_its_step() -> None:
    lesson = cell(
        "07_soft_actor_critic",
        "def examine(",
        torch=torch,
        partial=partial,
        sampled_soft_value=sampled_soft_value,
        seeded=lambda: torch.Generator().manual_seed(0),
        RUNS=RUNS,
        SEED=0,
    )
    agent = SimpleNamespace(
        runs=RUNS,
        alpha=ALPHA,
        actor=SimpleNamespace(parameters=None),
        policy=SimpleNamespace(draw=draw),
        q=lambda seen, _: torch.stack([torch.full(seen.shape[:-1], Q), torch.full(seen.shape[:-1], Q + 1)]),
    )
    earned, entropy, claim, worth = lesson["examine"](agent, Paying(RUNS * lesson["STARTS"]))
    discount, horizon, length = lesson["DISCOUNT"], lesson["HORIZON"], lesson["LENGTH"]
    for run in range(RUNS):
        alpha, log_density = ALPHA[run].item(), LOG_DENSITY[run].item()
        assert earned[run].item() == pytest.approx(length * (length + 1) / 2)
        assert entropy[run].item() == pytest.approx(-log_density, rel=1e-5)
        assert claim[run].item() == pytest.approx(Q - alpha * log_density)
        paid = sum(discount**step * (1 + step - alpha * log_density) for step in range(horizon))
        assert worth[run].item() == pytest.approx(paid, rel=1e-5)
    assert discount**horizon < 2e-4  # what comes later is left out
