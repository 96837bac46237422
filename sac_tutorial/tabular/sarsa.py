"""SARSA with a table, for many independent runs at once. Lesson 02 derives it; read `q_learning` first."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sac_tutorial.equations import td_target
from sac_tutorial.tabular.episodes import Episodes
from sac_tutorial.tabular.exploration import epsilon_greedy
from sac_tutorial.tabular.runs import check_one_per_run, per_run, zeros
from sac_tutorial.tabular.step_sizes import StepSize
from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.mdp import FiniteMDP


@torch.inference_mode()
def sarsa(
    mdp: FiniteMDP,
    *,
    runs: int,
    steps: int,
    step_size: StepSize,
    epsilon: float | Tensor,
    generator: torch.Generator,
    time_limit: int | None = None,
) -> Iterator[Tensor]:
    """SARSA, equation (2.10): the target r + γ (1 − d) Q(s′,a′) takes the action a′ that the run takes next.

    Arguments, yields and errors are those of `q_learning`.

    Source: Rummery and Niranjan (1994); Sutton and Barto (2018), section 6.4.
    """
    runs, steps = whole_number("runs", runs), whole_number("steps", steps)
    epsilon = per_run("epsilon", epsilon, runs, "[0, 1]")
    check_one_per_run("step_size", step_size, torch.ones(runs, dtype=torch.float64))

    run = torch.arange(runs)
    q, visits = zeros(runs, mdp.states, mdp.actions), zeros(runs, mdp.states, mdp.actions)
    episodes = Episodes(mdp, runs, generator, time_limit)
    state = episodes.state
    action = epsilon_greedy(q[run, state], epsilon, generator)
    for _ in range(steps):
        next_state, reward, terminated = episodes.step(action)
        next_action = epsilon_greedy(q[run, next_state], epsilon, generator)
        target = td_target(reward, terminated, q[run, next_state, next_action], mdp.discount)
        visits[run, state, action] += 1
        q[run, state, action] += step_size(visits[run, state, action]) * (target - q[run, state, action])
        state = episodes.state
        first_action = epsilon_greedy(q[run, state], epsilon, generator)  # of a new episode
        action = torch.where(episodes.ended, first_action, next_action)
        yield q
