"""What entropy costs: a soft sweep beside a hard one, and many temperatures at once beside one after the other."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.timing import interleaved
from benchmarks.value_iteration import ACTIONS, OUTCOMES, STATES, random_model, sweep
from sac_tutorial.equations import soft_value
from sac_tutorial.exact.dynamic_programming import expected_target, soft_optimal_q, soft_value_iteration
from sac_tutorial.worlds.mdp import FiniteMDP

CROSSING = Path(__file__).resolve().parent.parent / "data" / "crossing.json"
TEMPERATURE, TEMPERATURES = 0.1, 64


def soft_sweep(mdp: FiniteMDP, value: Tensor) -> Tensor:
    """One sweep as `soft_value_iteration` does it, from V to V."""
    return soft_value(expected_target(mdp, value), TEMPERATURE)


def compare() -> Iterator[str]:
    """Yield the cost of a soft sweep in hard sweeps: the difference is exponentials and a logarithm."""
    mdp = random_model(STATES)
    value = torch.rand(STATES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    seconds = interleaved({"hard": partial(sweep, mdp, value), "soft": partial(soft_sweep, mdp, value)}, repetitions=60)
    yield f"One soft sweep beside a hard one, {STATES:,} states x {ACTIONS} actions x {OUTCOMES} outcomes"
    yield f"  {'':36}{'ms a sweep':>12}{'cost':>10}"
    for name, each in seconds.items():
        yield f"  {name:36}{1e3 * each:12.2f}{each / seconds['hard']:9.2f}x"


def temperatures() -> Iterator[str]:
    """Yield how much faster one call with many temperatures is than one call each, after checking that both agree."""
    mdp = FiniteMDP.from_json(CROSSING)
    alpha = torch.logspace(-2, 1, TEMPERATURES, dtype=torch.float64).unsqueeze(-1)
    singles = alpha.flatten().tolist()
    solvers: dict[str, Callable[..., Tensor]] = {
        "soft policy iteration": soft_optimal_q,
        "soft value iteration": _by_sweeps,
    }
    yield f"{TEMPERATURES} temperatures on the crossing, solved at once or one by one (same answers)"
    yield f"  {'':36}{'ms at once':>12}{'ms singly':>12}{'faster':>10}"
    for name, solve in solvers.items():
        if not torch.allclose(
            solve(mdp, alpha), torch.stack([solve(mdp, single) for single in singles]), rtol=0, atol=2.1e-8
        ):
            raise AssertionError(f"{name} gives another answer for all temperatures at once than for each alone.")
        seconds = interleaved(
            {"at once": partial(solve, mdp, alpha), "singly": partial(_singly, solve, mdp, singles)},
            repetitions=7,
        )
        yield (
            f"  {name:36}{1e3 * seconds['at once']:12.2f}{1e3 * seconds['singly']:12.2f}"
            f"{seconds['singly'] / seconds['at once']:9.1f}x"
        )


def _singly(solve: Callable[..., Tensor], mdp: FiniteMDP, temperatures: list[float]) -> list[Tensor]:
    return [solve(mdp, temperature) for temperature in temperatures]


def _by_sweeps(mdp: FiniteMDP, temperature: float | Tensor) -> Tensor:
    *_, last = soft_value_iteration(mdp, temperature, tolerance=1e-8)
    return last.q
