"""Soft Q-learning with a table, for many independent runs at once. Lesson 06 derives it; read `q_learning` first."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sac_tutorial.equations import soft_value, td_target
from sac_tutorial.tabular.episodes import Episodes
from sac_tutorial.tabular.exploration import boltzmann
from sac_tutorial.tabular.runs import check_one_per_run, per_run, zeros
from sac_tutorial.tabular.step_sizes import StepSize
from sac_tutorial.validation import POSITIVE, whole_number
from sac_tutorial.worlds.mdp import FiniteMDP


@torch.inference_mode()
def soft_q_learning(
    mdp: FiniteMDP,
    *,
    runs: int,
    steps: int,
    step_size: StepSize,
    temperature: float | Tensor,
    generator: torch.Generator,
    epsilon: float | Tensor = 0.0,
    time_limit: int | None = None,
) -> Iterator[Tensor]:
    """Soft Q-learning, equation (6.35): move Q(s,a) towards r + γ (1 − d) α log Σ_a′ exp(Q(s′,a′)/α).

    It acts by the Boltzmann policy of its table, (6.13), and with probability ε at random. The target does not depend on how
    it acts: every behaviour that keeps trying all actions leads to soft Q*.

    The temperature is α > 0, a number or one for each run, shape (R,). The limit α → 0 is `q_learning`. The other arguments,
    yields and errors are those of `q_learning`.

    Source: Haarnoja et al. (2017), section 3, with a table; Asadi and Littman (2017) on the operator.
    """
    runs, steps = whole_number("runs", runs), whole_number("steps", steps)
    epsilon, alpha = per_run("epsilon", epsilon, runs, "[0, 1]"), per_run("temperature", temperature, runs, POSITIVE)
    check_one_per_run("step_size", step_size, torch.ones(runs, dtype=torch.float64))

    run = torch.arange(runs)
    q, visits = zeros(runs, mdp.states, mdp.actions), zeros(runs, mdp.states, mdp.actions)
    episodes = Episodes(mdp, runs, generator, time_limit)
    state = episodes.state
    for _ in range(steps):
        action = boltzmann(q[run, state], alpha, epsilon, generator)
        next_state, reward, terminated = episodes.step(action)
        target = td_target(reward, terminated, soft_value(q[run, next_state], alpha), mdp.discount)
        visits[run, state, action] += 1
        q[run, state, action] += step_size(visits[run, state, action]) * (target - q[run, state, action])
        state = episodes.state
        yield q
