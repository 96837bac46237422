"""Q-learning on FrozenLake-v1: many runs at once, against a plain Python loop over the Gymnasium environment.

Both act ε-greedily with random ties, count visits, step by n^-0.7, and begin anew after an end or after 100 steps.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import gymnasium
import torch

from benchmarks.timing import interleaved
from sac_tutorial.exact.dynamic_programming import optimal_q
from sac_tutorial.tabular.q_learning import q_learning
from sac_tutorial.tabular.step_sizes import polynomial_step
from sac_tutorial.worlds.mdp import FiniteMDP

DISCOUNT, EPSILON, EXPONENT, TIME_LIMIT = 0.95, 0.2, 0.7, 100
PLAIN_STEPS = 60_000
STEPS = {1: 2_000, 8: 2_000, 64: 2_000, 512: 1_000}


def plain_loop(steps: int, seed: int = 0) -> list[list[float]]:
    """Q-learning as one writes it without any array: lists of floats, which are faster here than NumPy's arrays."""
    env = gymnasium.make("FrozenLake-v1", max_episode_steps=TIME_LIMIT)
    draw = random.Random(seed)
    actions = range(4)
    q = [[0.0] * 4 for _ in range(16)]
    visits = [[0] * 4 for _ in range(16)]
    state, _ = env.reset(seed=seed)
    for _ in range(steps):
        row = q[state]
        if draw.random() < EPSILON:
            action = int(4 * draw.random())
        else:
            best = max(row)
            ties = [a for a in actions if row[a] == best]
            action = ties[0] if len(ties) == 1 else draw.choice(ties)
        next_state, reward, terminated, truncated, _ = env.step(action)
        target = reward if terminated else reward + DISCOUNT * max(q[next_state])
        visits[state][action] += 1
        row[action] += visits[state][action] ** -EXPONENT * (target - row[action])
        state = env.reset()[0] if terminated or truncated else next_state
    return q


def many_runs(mdp: FiniteMDP, runs: int, steps: int, seed: int = 0) -> torch.Tensor:
    """The package's Q-learning under the same settings."""
    learner = q_learning(
        mdp,
        runs=runs,
        steps=steps,
        step_size=polynomial_step(EXPONENT),
        epsilon=EPSILON,
        generator=torch.Generator().manual_seed(seed),
        time_limit=TIME_LIMIT,
    )
    return deque(learner, maxlen=1).pop()


def check(mdp: FiniteMDP) -> None:
    """Raise if the two don't learn the same: the value of the start, after as many steps in each run."""
    steps = 100_000
    many = many_runs(mdp, 32, steps)[:, 0].amax(-1)
    plain = max(plain_loop(steps)[0])
    if not many.min() - many.std() < plain < many.max() + many.std():
        raise AssertionError(
            f"The plain loop learnt {plain:.3f} at the start, the runs {many.tolist()}: nothing to compare."
        )
    if (many.mean() - optimal_q(mdp)[0].max()).abs() > 0.1:
        raise AssertionError(
            f"The runs learnt {many.mean():.3f} at the start, but the optimum is {optimal_q(mdp)[0].max():.3f}."
        )


def compare() -> Iterator[str]:
    """Yield the lines of the comparison."""
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=DISCOUNT)
    check(mdp)
    contestants: dict[str, Callable[[], object]] = {"plain": partial(plain_loop, PLAIN_STEPS)}
    contestants |= {str(runs): partial(many_runs, mdp, runs, steps) for runs, steps in STEPS.items()}
    seconds = interleaved(contestants, repetitions=9)
    plain = PLAIN_STEPS / seconds["plain"]
    yield "Q-learning on FrozenLake-v1, with visit counts and random ties"
    yield f"  {'':36}{'steps a second':>16}{'ratio':>10}"
    yield f"  {'plain Python loop over Gymnasium':36}{plain:16,.0f}{1:9.2f}x"
    for runs, steps in STEPS.items():
        rate = runs * steps / seconds[str(runs)]
        yield f"  {f'this package, {runs} run' + 's' * (runs > 1):36}{rate:16,.0f}{rate / plain:9.2f}x"
