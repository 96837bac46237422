"""Random MDPs, for tests, benchmarks and theorems that must hold everywhere."""

import torch

from sac_tutorial.validation import number, whole_number
from sac_tutorial.worlds.mdp import FiniteMDP


def garnet(
    states: int, actions: int, outcomes: int, *, discount: float, generator: torch.Generator, ending: float = 0.1
) -> FiniteMDP:
    """Draw a random MDP ("generalised average-reward non-stationary environment testbed", Garnet).

    Next states and rewards in [0, 1) are uniform, probabilities are uniform on the simplex (normalised exponentials), and
    each outcome ends the episode with probability `ending`. Any state may be the first.

    Args:
        states: S ≥ 1.
        actions: A ≥ 1.
        outcomes: K ≥ 1 for each state and action; next states may repeat.
        discount: γ in [0, 1].
        generator: source of the randomness.
        ending: share of the outcomes that terminate, in [0, 1].

    Raises:
        TypeError: If a size is not a whole number, or if the discount or `ending` is not a number.
        ValueError: If a size is below 1, or if the discount or `ending` lies outside [0, 1].

    Source: after Archibald, McKinnon and Thomas (1995); here rewards come with the outcomes, and outcomes may terminate.
    """
    sizes = {"states": states, "actions": actions, "outcomes": outcomes}
    shape = states, *_ = tuple(whole_number(name, size) for name, size in sizes.items())
    ending = number("ending", ending, "[0, 1]")
    weight = -torch.log1p(-torch.rand(shape, generator=generator, dtype=torch.float64))
    return FiniteMDP(
        probability=weight / weight.sum(-1, keepdim=True),
        next_state=torch.randint(states, shape, generator=generator),
        reward=torch.rand(shape, generator=generator, dtype=torch.float64),
        terminated=torch.rand(shape, generator=generator) < ending,
        start_probability=torch.full((states,), 1 / states, dtype=torch.float64),
        discount=discount,
    )
