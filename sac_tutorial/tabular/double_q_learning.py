"""Double Q-learning with two tables, for many independent runs at once. Lesson 02 derives it; read `q_learning` first."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sac_tutorial.equations import double_value, td_target
from sac_tutorial.tabular.episodes import Episodes
from sac_tutorial.tabular.exploration import epsilon_greedy
from sac_tutorial.tabular.runs import check_one_per_run, per_run, zeros
from sac_tutorial.tabular.step_sizes import StepSize
from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.mdp import FiniteMDP


@torch.inference_mode()
def double_q_learning(
    mdp: FiniteMDP,
    *,
    runs: int,
    steps: int,
    step_size: StepSize,
    epsilon: float | Tensor,
    generator: torch.Generator,
    time_limit: int | None = None,
) -> Iterator[Tensor]:
    """Double Q-learning, equation (2.17): a coin picks the table to update; this table selects a′, the other evaluates it.

    It acts ε-greedily in the sum of both tables. Arguments and errors are those of `q_learning`.

    Yields:
        Both tables after each step, float64, shape (2, R, S, A): always the same tensor, updated in place.

    Source: van Hasselt (2010), algorithm 1; Sutton and Barto (2018), section 6.7.
    """
    runs, steps = whole_number("runs", runs), whole_number("steps", steps)
    epsilon = per_run("epsilon", epsilon, runs, "[0, 1]")
    check_one_per_run("step_size", step_size, torch.ones(runs, dtype=torch.float64))

    run = torch.arange(runs)
    q, visits = zeros(2, runs, mdp.states, mdp.actions), zeros(2, runs, mdp.states, mdp.actions)
    episodes = Episodes(mdp, runs, generator, time_limit)
    state = episodes.state
    for _ in range(steps):
        action = epsilon_greedy(q[0, run, state] + q[1, run, state], epsilon, generator)
        next_state, reward, terminated = episodes.step(action)
        one = (torch.rand(runs, generator=generator) >= 0.5).long()  # the table to update
        other = 1 - one
        value = double_value(q_select=q[one, run, next_state], q_evaluate=q[other, run, next_state])
        target = td_target(reward, terminated, value, mdp.discount)
        visits[one, run, state, action] += 1
        step = step_size(visits[one, run, state, action])
        q[one, run, state, action] += step * (target - q[one, run, state, action])
        state = episodes.state
        yield q
