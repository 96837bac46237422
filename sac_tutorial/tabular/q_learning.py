"""Q-learning and expected SARSA with a table, for many independent runs at once. Lesson 02 derives them.

Read this file first: `sarsa`, `double_q_learning` and `soft_q_learning` change a few lines of its loop.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from sac_tutorial.equations import epsilon_greedy_value, greedy_value, td_target
from sac_tutorial.tabular.episodes import Episodes
from sac_tutorial.tabular.exploration import epsilon_greedy
from sac_tutorial.tabular.runs import check_one_per_run, per_run, zeros
from sac_tutorial.tabular.step_sizes import StepSize
from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.mdp import FiniteMDP


@torch.inference_mode()  # tables need no gradient, and small operations take a tenth less time
def q_learning(
    mdp: FiniteMDP,
    *,
    runs: int,
    steps: int,
    step_size: StepSize,
    epsilon: float | Tensor,
    generator: torch.Generator,
    next_value: Callable[[Tensor], Tensor] = greedy_value,
    time_limit: int | None = None,
) -> Iterator[Tensor]:
    """Q-learning, equations (2.3) and (2.4): act ε-greedily, move Q(s,a) towards r + γ (1 − d) max_a′ Q(s′,a′).

    With `mdp.exploring_starts()`, `epsilon=1` and `time_limit=1`, every transition starts in a live state and with an action
    that are drawn uniformly. Every run has its own episode and its own draws, so runs never influence each other.

    Args:
        mdp: the model to sample from.
        runs: R ≥ 1, the number of independent runs.
        steps: the number of steps in each run, ≥ 1.
        step_size: from the number of visits to η, such as `constant_step(0.1)` or `polynomial_step(0.7)`.
        epsilon: ε in [0, 1], a number or one for each run, shape (R,).
        generator: source of all randomness: the same seed and the same R give the same tables.
        next_value: from Q(s′, ·), shape (R, A), to V(s′), shape (R,). Another function makes another learner.
        time_limit: truncate episodes after so many steps; the target still bootstraps. Default: never.

    Yields:
        Q after each step, float64, shape (R, S, A): always the same tensor, updated in place. Clone it to keep it.

    Raises:
        TypeError: If a count is not a whole number, ε is not a number or `step_size` is not a function; at the first step.
        ValueError: If an argument is out of range or has another shape; at the first step.

    Source: Watkins and Dayan (1992); Sutton and Barto (2018), section 6.5.
    """
    runs, steps = whole_number("runs", runs), whole_number("steps", steps)
    epsilon = per_run("epsilon", epsilon, runs, "[0, 1]")
    check_one_per_run("step_size", step_size, torch.ones(runs, dtype=torch.float64))
    check_one_per_run("next_value", next_value, zeros(runs, mdp.actions))

    run = torch.arange(runs)  # pairs each run with its own table
    q, visits = zeros(runs, mdp.states, mdp.actions), zeros(runs, mdp.states, mdp.actions)
    episodes = Episodes(mdp, runs, generator, time_limit)
    state = episodes.state
    for _ in range(steps):
        action = epsilon_greedy(q[run, state], epsilon, generator)
        next_state, reward, terminated = episodes.step(action)
        target = td_target(reward, terminated, next_value(q[run, next_state]), mdp.discount)
        visits[run, state, action] += 1
        q[run, state, action] += step_size(visits[run, state, action]) * (target - q[run, state, action])
        state = episodes.state
        yield q


def expected_sarsa(
    mdp: FiniteMDP,
    *,
    runs: int,
    steps: int,
    step_size: StepSize,
    epsilon: float | Tensor,
    generator: torch.Generator,
    time_limit: int | None = None,
) -> Iterator[Tensor]:
    """Expected SARSA, equation (2.11): the target averages Q(s′, ·) over the ε-greedy policy, which also acts.

    Arguments, yields and errors are those of `q_learning`.

    Source: van Seijen et al. (2009); Sutton and Barto (2018), equation 6.9.
    """
    return q_learning(
        mdp,
        runs=runs,
        steps=steps,
        step_size=step_size,
        epsilon=epsilon,
        generator=generator,
        next_value=partial(epsilon_greedy_value, epsilon=epsilon),
        time_limit=time_limit,
    )
