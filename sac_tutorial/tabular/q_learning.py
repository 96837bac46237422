"""Tabular learners: Q-learning, expected SARSA, SARSA, double and soft Q-learning, R independent runs at once.

Each is a generator that takes one step in every run and then yields its tables: ONE tensor, updated in place. Clone it to
keep it. Run r has its own episode and its own row of every draw, so that no run ever feels another. The first `next` raises
what is wrong with the arguments.

May import: `equations`, `mdp`, `_borders`.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import ParamSpec

import torch
from torch import Tensor

from sac_tutorial.equations import (
    double_value,
    epsilon_greedy_value,
    greedy_value,
    soft_value,
    taken_value,
    td_target,
)
from sac_tutorial.validation import check_temperature, number, number_in, positive_integer, positive_number
from sac_tutorial.worlds.mdp import FiniteMDP

StepSize = Callable[[Tensor], Tensor]
"""From the number of visits n ≥ 1 to the step η_n, shapes (R,) to (R,)."""


_Arguments = ParamSpec("_Arguments")

_NEVER = torch.tensor(-1.0)  # a score below every draw; a tensor, since a number would be wrapped into one at each step


# Step sizes


def constant_step(size: float) -> StepSize:
    """Return η_n = `size`, in (0, 1]: forgets the past at a fixed rate and, with random targets, never settles.

    Raises:
        TypeError: if `size` is no number.
        ValueError: if it is out of range.

    Source: Sutton and Barto (2018), section 2.5.
    """
    positive_number("size", size)
    number_in("size", size, 0, 1)
    return lambda visits: torch.full_like(visits, size)


def polynomial_step(exponent: float) -> StepSize:
    """Return η_n = n^−`exponent`, equation (2.5); exponents in (½, 1] meet the conditions of Robbins and Monro.

    An exponent of 1 is the plain average of (2.2).

    Raises:
        TypeError: if `exponent` is no number.
        ValueError: if it is not positive.

    Source: Robbins and Monro (1951), conditions 6 and 26; Even-Dar and Mansour (2003).
    """
    positive_number("exponent", exponent)
    return lambda visits: visits**-exponent


# Behaviour


def epsilon_greedy(q: Tensor, epsilon: Tensor, generator: torch.Generator) -> Tensor:
    """Draw actions from the ε-greedy policy, equation (2.9), with ties broken at random.

    Args:
        q: shape (R, A).
        epsilon: ε in [0, 1], a tensor of shape (R, 1) or (1, 1).
        generator: source of the randomness; one row of draws a run.

    Returns:
        Actions, int64, shape (R,).

    Source: Sutton and Barto (2018), section 2.2.
    """
    explore = torch.rand((len(q), 1), generator=generator) < epsilon
    candidate = (q == q.amax(-1, keepdim=True)) | explore
    return torch.where(candidate, torch.rand(q.shape, generator=generator), _NEVER).argmax(-1)


def boltzmann(q: Tensor, temperature: Tensor, epsilon: Tensor, generator: torch.Generator) -> Tensor:
    """Draw actions from (1 − ε) · Boltzmann policy, equation (6.13), + ε · uniform policy.

    The largest of (Q − max Q)/α + Gumbel noise is a draw from exp(Q/α)/Z; with nothing but noise it is a uniform one.

    Args:
        q: shape (R, A).
        temperature: α > 0, float64, shape (R, 1) or (1, 1).
        epsilon: ε in [0, 1], a tensor of shape (R, 1) or (1, 1).
        generator: source of the randomness; one row of draws a run.

    Returns:
        Actions, int64, shape (R,).

    Source: Gumbel (1954); Haarnoja et al. (2017), section 3.
    """
    explore = torch.rand((len(q), 1), generator=generator) < epsilon
    noise = -torch.rand(q.shape, generator=generator, dtype=torch.float64).log_().neg_().log_()
    score = (q - q.amax(-1, keepdim=True)) / temperature
    return (torch.where(explore, 0.0, score) + noise).argmax(-1)


class Episodes:
    """R episodes side by side: where each run stands, and what its next step brings.

    Args:
        mdp: the model that is sampled.
        runs: R.
        generator: source of the randomness.
        time_limit: an episode is cut off after so many steps, without being terminated. None: never.

    Attributes:
        state: where each run acts next, shape (R,): the last next state or, after an end, a new start.
        ended: bool, shape (R,): whether the last step was the last of its episode, by an end or by the time limit.

    Raises:
        TypeError: for counts that are not whole numbers.
        ValueError: for counts below 1.
    """

    def __init__(self, mdp: FiniteMDP, runs: int, generator: torch.Generator, time_limit: int | None = None) -> None:
        self.mdp, self.runs, self.generator = mdp, positive_integer("runs", runs), generator
        self.time_limit = None if time_limit is None else positive_integer("time_limit", time_limit)
        self.state = mdp.start(runs, generator)
        self.ended = torch.zeros(runs, dtype=torch.bool)
        self.clock, self.deadline = 0, torch.full((runs,), self.time_limit or 0)

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step in every run.

        Args:
            action: int64, shape (R,).

        Returns:
            next_state, reward and terminated of the step, each of shape (R,). `next_state` is the true one: where the
            episode ended, `state` is the start of the next.
        """
        next_state, reward, terminated = self.mdp.sample(self.state, action, self.generator)
        self.ended = terminated
        if self.time_limit is not None:
            self.clock += 1
            self.ended = terminated | (self.deadline == self.clock)
            self.deadline.masked_fill_(self.ended, self.clock + self.time_limit)
        self.state = torch.where(self.ended, self.mdp.start(self.runs, self.generator), next_state)
        return next_state, reward, terminated


class Tables:
    """Q-tables side by side, with the number of visits to each entry.

    Entries are read and written through flat indices, which takes three quarters of the time of `values[run, state, action]`.
    A table is therefore named by the row at which it begins, an entry of `begin`, and Q(s, ·) is its row `begin + s`.

    Args:
        shape: how many tables, such as (R,) or (2, R).
        mdp: whose states and actions.
        step_size: from the visits of R entries to their η.

    Attributes:
        values: Q, float64, shape (*shape, S, A), zeros at first.
        visits: how often each entry was updated, float64, same shape.
        begin: the first row of each table, int64, shape `shape`.

    Raises:
        TypeError: for a step size that is no function.
        ValueError: for one that does not return one η for each entry.
    """

    def __init__(self, shape: tuple[int, ...], mdp: FiniteMDP, step_size: StepSize) -> None:
        if not callable(step_size):
            raise TypeError(
                f"step_size must be a function of the visits, such as constant_step(0.1), but is {step_size!r}."
            )
        with torch.inference_mode(False):  # so that a reader may write into the tables that a learner yields
            self.values = torch.zeros(*shape, mdp.states, mdp.actions, dtype=torch.float64)
            self.visits = torch.zeros_like(self.values)
        self.begin = (mdp.states * torch.arange(math.prod(shape))).view(shape)
        self._actions, self._rows = mdp.actions, self.values.view(-1, mdp.actions)
        self._flat_values, self._flat_visits = self.values.view(-1), self.visits.view(-1)
        self._step_size, self._one_each = step_size, torch.ones(shape[-1], dtype=torch.float64)
        if (found := step_size(self._one_each).shape) != self._one_each.shape:
            raise ValueError(
                f"step_size must turn {tuple(self._one_each.shape)} visits into as many steps, but gave {tuple(found)}."
            )

    def at(self, row: Tensor) -> Tensor:
        """Return Q(s, ·) from the rows `begin + s`: (R,) to (R, A)."""
        return self._rows.index_select(0, row)

    def update(self, row: Tensor, action: Tensor, target: Tensor) -> None:
        """Move Q(s, a) a step towards the target: Q ← Q + η_n (y − Q), equation (2.3); n counts this visit too.

        Each of the R runs names another row.
        """
        here = torch.add(action, row, alpha=self._actions)
        self._flat_visits.index_add_(0, here, self._one_each)
        error = target - self._flat_values.take(here)
        self._flat_values.index_add_(0, here, self._step_size(self._flat_visits.take(here)) * error)


# Learners


def _without_autograd(
    learner: Callable[_Arguments, Iterator[Tensor]],
) -> Callable[_Arguments, Iterator[Tensor]]:
    """Take each step of a learner in inference mode: tables need no gradient, and small operations run an eighth faster.

    The mode ends before the step is handed out, so that it never reaches the code of whoever asked for it.
    """

    @wraps(learner)
    def without_autograd(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Iterator[Tensor]:
        steps, without_gradients = learner(*args, **kwargs), torch.inference_mode()
        while True:
            with without_gradients:
                tables = next(steps, None)
            if tables is None:
                return
            yield tables

    return without_autograd


@_without_autograd
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

    With `mdp.exploring_starts()`, `epsilon=1` and `time_limit=1` every transition starts in a live state and action drawn
    uniformly. A time limit cuts an episode off without touching its target.

    Args:
        mdp: the model that is sampled.
        runs: R ≥ 1, the number of independent runs.
        steps: number of steps in each run, ≥ 1.
        step_size: from visits to η, such as `constant_step(0.1)` or `polynomial_step(0.7)`.
        epsilon: ε in [0, 1]; a tensor of shape (R,) gives every run its own.
        generator: source of all randomness: same seed and same R, same tables.
        next_value: from Q(s′, ·), shape (R, A), to V(s′), shape (R,). Another function makes another learner.
        time_limit: cut episodes off after so many steps. None: never.

    Yields:
        Q after each step, float64, shape (R, S, A): one tensor, updated in place.

    Raises:
        TypeError: for counts that are not whole numbers, an ε that is no number, a step size that is no function.
        ValueError: for counts below 1, an ε out of range or of another shape, a `next_value` or a `step_size` that returns
            another shape.

    Source: Watkins and Dayan (1992); Sutton and Barto (2018), section 6.5.
    """
    episodes = Episodes(mdp, runs, generator, time_limit)
    act = partial(epsilon_greedy, epsilon=_exploration(epsilon, runs), generator=generator)
    yield from _off_policy(episodes, Tables((runs,), mdp, step_size), steps, act, next_value)


def _off_policy(
    episodes: Episodes,
    q: Tables,
    steps: int,
    act: Callable[[Tensor], Tensor],
    next_value: Callable[[Tensor], Tensor],
) -> Iterator[Tensor]:
    """Act by `act`, from Q(s, ·) to a, and learn about the policy that `next_value` is the value of, from Q(s′, ·) to V(s′)."""
    mdp, runs = episodes.mdp, episodes.runs
    for step in range(positive_integer("steps", steps)):
        here = q.begin + episodes.state
        action = act(q.at(here))
        next_state, reward, terminated = episodes.step(action)
        value = next_value(q.at(q.begin + next_state))
        if step == 0 and value.shape != (runs,):
            raise ValueError(
                f"next_value must turn ({runs}, {mdp.actions}) into ({runs},), but gave {tuple(value.shape)}."
            )
        q.update(here, action, td_target(reward, terminated, value, mdp.discount))
        yield q.values


@_without_autograd
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
    it acts, so that every behaviour that goes on trying everything leads to soft Q*.

    Args:
        mdp: the model that is sampled.
        runs: R ≥ 1, the number of independent runs.
        steps: number of steps in each run, ≥ 1.
        step_size: from visits to η, such as `constant_step(0.1)` or `polynomial_step(0.7)`.
        temperature: α > 0; a tensor of shape (R,) gives every run its own. The limit α → 0 is `q_learning`.
        generator: source of all randomness: same seed and same R, same tables.
        epsilon: ε in [0, 1]; a tensor of shape (R,) gives every run its own.
        time_limit: cut episodes off after so many steps. None: never.

    Yields:
        Q after each step, float64, shape (R, S, A): one tensor, updated in place.

    Raises:
        TypeError: for counts that are not whole numbers, an α or ε that is no number, a step size that is no function.
        ValueError: for counts below 1, α ≤ 0, an ε out of range, a tensor of another shape, or a `step_size` that returns
            another shape.

    Source: Haarnoja et al. (2017), section 3, with a table; Asadi and Littman (2017) on the operator.
    """
    episodes = Episodes(mdp, runs, generator, time_limit)
    alpha = _positive_temperature(temperature, runs)
    act = partial(boltzmann, temperature=alpha, epsilon=_exploration(epsilon, runs), generator=generator)
    value = partial(soft_value, temperature=alpha.squeeze(-1))
    yield from _off_policy(episodes, Tables((runs,), mdp, step_size), steps, act, value)


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
    """Expected SARSA, equation (2.11): the target averages over the ε-greedy policy that acts, nothing else differs.

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


@_without_autograd
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
    """SARSA, equation (2.10): the target takes the action a′ that will be taken, r + γ (1 − d) Q(s′,a′).

    Arguments, yields and errors are those of `q_learning`.

    Source: Rummery and Niranjan (1994); Sutton and Barto (2018), section 6.4.
    """
    episodes = Episodes(mdp, runs, generator, time_limit)
    epsilon = _exploration(epsilon, runs)
    q = Tables((runs,), mdp, step_size)
    here = q.begin + episodes.state
    action = epsilon_greedy(q.at(here), epsilon, generator)
    for _ in range(positive_integer("steps", steps)):
        next_state, reward, terminated = episodes.step(action)
        next_q = q.at(q.begin + next_state)
        next_action = epsilon_greedy(next_q, epsilon, generator)
        q.update(here, action, td_target(reward, terminated, taken_value(next_q, next_action), mdp.discount))
        here = q.begin + episodes.state
        action = torch.where(episodes.ended, epsilon_greedy(q.at(here), epsilon, generator), next_action)
        yield q.values


@_without_autograd
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
    """Double Q-learning, equation (2.17): a coin picks the table to update; it selects a′, the other table judges it.

    Behaviour is ε-greedy in the sum of both tables. Arguments and errors are those of `q_learning`.

    Yields:
        Both tables after each step, float64, shape (2, R, S, A): one tensor, updated in place.

    Source: van Hasselt (2010), algorithm 1; Sutton and Barto (2018), section 6.7.
    """
    episodes = Episodes(mdp, runs, generator, time_limit)
    epsilon = _exploration(epsilon, runs)
    q = Tables((2, runs), mdp, step_size)
    first, second = q.begin
    for _ in range(positive_integer("steps", steps)):
        state = episodes.state
        action = epsilon_greedy(q.at(first + state) + q.at(second + state), epsilon, generator)
        next_state, reward, terminated = episodes.step(action)
        coin = torch.rand(runs, generator=generator) < 0.5
        updated, other = torch.where(coin, first, second), torch.where(coin, second, first)
        value = double_value(q_select=q.at(updated + next_state), q_evaluate=q.at(other + next_state))
        q.update(updated + state, action, td_target(reward, terminated, value, mdp.discount))
        yield q.values


def _exploration(epsilon: float | Tensor, runs: int) -> Tensor:
    if not isinstance(epsilon, Tensor):
        return torch.tensor([[number_in("epsilon", epsilon, 0, 1)]])
    if epsilon.shape != (runs,) or not ((epsilon >= 0) & (epsilon <= 1)).all():
        raise ValueError(
            f"epsilon must be a number or have the shape ({runs},), and lie in [0, 1], but is {epsilon.tolist()} "
            f"with the shape {tuple(epsilon.shape)}."
        )
    return epsilon.unsqueeze(-1)


def _positive_temperature(temperature: float | Tensor, runs: int) -> Tensor:
    if not isinstance(temperature, Tensor):
        temperature = torch.tensor([number("temperature", temperature)], dtype=torch.float64)
    elif temperature.shape != (runs,):
        raise ValueError(
            f"temperature must be a number or have the shape ({runs},), but has the shape {tuple(temperature.shape)}."
        )
    check_temperature(temperature, limit="q_learning")
    return temperature.to(torch.float64).unsqueeze(-1)
