"""The temperature of soft actor-critic, learned: α is the multiplier that holds the entropy at a target.

Entropy is in nats, and that of a vector in units of the actions in [−1, 1]: there it can be negative, and what counts as
random enough depends on the units. An action space twice as wide in each of d dimensions has d log 2 more of it.

May import: `equations`, `networks`, `schedule`, `_borders`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sac_tutorial.deep.networks import TrainState, check_learning_rate
from sac_tutorial.deep.schedule import Schedule
from sac_tutorial.equations import temperature_loss
from sac_tutorial.validation import finite_number, number, number_in

MOST_SQUASHED = 0.683635
"""The most entropy that tanh(μ + σ ξ) can have in one dimension, at μ = 0 and σ = 0.874; the uniform has log 2 = 0.693."""

DEFAULT_FRACTION = 0.5
"""Of log|A|: for 2 to 6 actions, one that is preferred to all others alike has a probability of 0.89 to 0.77 then."""

LEAST_TEMPERATURE = 1e-6
"""The least that a temperature begins at, and to which a step in α itself is projected that would lead below it."""


@dataclass(frozen=True)
class LearnedTemperature:
    """How a temperature is learned: α falls where the policy's entropy is above the target, and rises where it is below.

    Args:
        target_entropy: H̄ in nats. Default: for vectors −1 a dimension, which is the entropy of an even spread over 18 % of
            [−1, 1]; for numbered actions half of log|A|. Haarnoja et al. (2018b) chose −dim A; Christodoulou (2019) chose 0.98
            log|A|, which leaves the best of 4 actions a probability of 0.36 and makes a policy that is to be played too random.
        fraction: H̄ as a part in (0, 1) of the most that is possible: log|A|, or 0.6836 a dimension for a squashed Gaussian.
            The entropy of vectors has no least value, so that no fraction of it is near to certainty.
        start: α before the first step, at least `LEAST_TEMPERATURE`.
        learning_rate: η of its Adam: a number > 0, or a `Linear` schedule.
        in_log: whether log α is what steps, equation (8.7), which keeps α positive and makes steps relative; or α itself,
            equation (8.6), projected to at least `LEAST_TEMPERATURE`, since below 0 entropy would be punished.

    Raises:
        TypeError: for what is no number, or an `in_log` that is neither True nor False.
        ValueError: for what is out of range, or both `target_entropy` and `fraction`.

    A target that the actions allow may still be out of reach: where the policy decides when an episode ends, the entropy of the
    states that it comes to need not rise with α. Then α grows without end.

    Source: Haarnoja et al. (2018b), section 5 and appendix D.
    """

    target_entropy: float | None = None
    fraction: float | None = None
    start: float = 1.0
    learning_rate: Schedule = 1e-3
    in_log: bool = True

    def __post_init__(self) -> None:
        """Check what can be checked without knowing the actions."""
        if self.target_entropy is not None and self.fraction is not None:
            raise ValueError(
                f"The target is given as target_entropy or as a fraction of the most that is possible, not as both; "
                f"they are {self.target_entropy} and {self.fraction}."
            )
        if self.target_entropy is not None:
            finite_number("target_entropy", self.target_entropy)
        if self.fraction is not None and not 0 < number("fraction", self.fraction) < 1:
            raise ValueError(f"fraction must lie between 0 and 1, both excluded, but is {self.fraction!r}.")
        number_in("start", self.start, LEAST_TEMPERATURE, math.inf, open_above=True)
        check_learning_rate(self.learning_rate)
        if not isinstance(self.in_log, bool):
            raise TypeError(f"in_log must be True or False, but is {self.in_log!r}.")

    def target_for_vectors(self, dimensions: int) -> float:
        """Return H̄ for vectors in [−1, 1] of so many dimensions.

        Raises:
            ValueError: for a target that no squashed Gaussian reaches.
        """
        most = dimensions * MOST_SQUASHED
        if self.fraction is not None:
            return self.fraction * most
        if self.target_entropy is None:
            return -float(dimensions)
        if self.target_entropy >= most:
            raise ValueError(
                f"target_entropy is {self.target_entropy:g}, but a squashed Gaussian of {dimensions} dimensions in [-1, 1] "
                f"stays below {most:.4g}: α would rise for ever. The usual target has the other sign, {-dimensions}."
            )
        return self.target_entropy

    def target_for_numbered(self, actions: int) -> float:
        """Return H̄ for so many numbered actions.

        Raises:
            ValueError: for a target outside of (0, log|A|), where no policy over the actions is, or none at a finite α > 0.
        """
        most = math.log(actions)
        if actions == 1:
            raise ValueError("A single action leaves no entropy to aim at: there is no temperature to learn.")
        if self.target_entropy is None:
            return (DEFAULT_FRACTION if self.fraction is None else self.fraction) * most
        if self.target_entropy <= 0:
            raise ValueError(
                f"target_entropy is {self.target_entropy:g}, but numbered actions have no entropy below 0, and 0 only where "
                f"nothing is left to chance: α would fall for ever. Negative targets, such as -dim, are for vectors."
            )
        if self.target_entropy >= most:
            raise ValueError(
                f"target_entropy is {self.target_entropy:g}, but {actions} actions have at most log {actions} = {most:.4g}, "
                f"and that only if all are equally likely: α would rise for ever."
            )
        return self.target_entropy


Temperature = float | LearnedTemperature
"""A temperature that stays, or one that is learned."""


def check_temperatures(temperatures: Sequence[Temperature]) -> None:
    """Raise a TypeError or ValueError unless each is a number ≥ 0 or a LearnedTemperature."""
    for temperature in temperatures:
        if isinstance(temperature, str):
            raise TypeError(
                f"temperature must be a number, but is {temperature!r}. One that is learned is a LearnedTemperature()."
            )
        if not isinstance(temperature, LearnedTemperature):
            number_in("temperature", temperature, 0, math.inf, open_above=True)


def first_temperature(temperature: Temperature) -> float:
    """Return α before the first step."""
    return temperature.start if isinstance(temperature, LearnedTemperature) else temperature


class _Group(NamedTuple):
    """Runs that learn at the same rate and in the same form."""

    runs: Tensor
    target_entropy: Tensor
    in_log: bool
    learnable: TrainState


class TemperatureLearner:
    """What moves α in those of R runs that learn it. Each has its own; the other runs keep theirs, bit by bit.

    Args:
        temperatures: of each run, at least one of them learned.
        target: returns H̄ of a learned one for the actions at hand.
        device: where it is computed.

    Attributes:
        target_entropy: H̄ of each run, shape (R, 1), NaN where α is not learned.
        learnables: one `TrainState` for all runs that share a rate and a form, which holds their log α, or α.
    """

    def __init__(
        self,
        temperatures: Sequence[Temperature],
        target: Callable[[LearnedTemperature], float],
        device: torch.device,
    ) -> None:
        self.temperatures = tuple(temperatures)
        self.target_entropy = torch.full((len(self.temperatures), 1), torch.nan, device=device)
        together: dict[tuple[Schedule, bool], list[int]] = {}
        for run, temperature in enumerate(self.temperatures):
            if isinstance(temperature, LearnedTemperature):
                self.target_entropy[run] = target(temperature)
                together.setdefault((temperature.learning_rate, temperature.in_log), []).append(run)
        self._groups = []
        for (learning_rate, in_log), several in together.items():
            runs = torch.tensor(several, device=device)
            first = [[first_temperature(self.temperatures[run])] for run in several]
            start = torch.tensor(first, dtype=torch.float32, device=device)
            learnable = TrainState([start.log() if in_log else start], learning_rate)
            self._groups.append(_Group(runs, self.target_entropy[runs], in_log, learnable))

    @property
    def learnables(self) -> list[TrainState]:
        """What learns, one for all runs that share a rate and a form."""
        return [group.learnable for group in self._groups]

    def step(self, temperature: Tensor, log_probability: Tensor) -> Tensor:
        """Take one gradient step, equation (8.6) or (8.7), and return α after it.

        Args:
            temperature: α of all runs before, shape (R, 1); it is left as it is.
            log_probability: as `temperature_loss` takes it, shape (R, B).

        Returns:
            Shape (R, 1), a new tensor.
        """
        for runs, target_entropy, in_log, learnable in self._groups:
            (parameter,) = learnable.parameters
            alpha = parameter.exp() if in_log else parameter
            learnable.minimize(temperature_loss(log_probability.index_select(0, runs), alpha, target_entropy))
            with torch.no_grad():
                if not in_log:
                    parameter.clamp_(min=LEAST_TEMPERATURE)
                temperature = temperature.index_copy(0, runs, parameter.exp() if in_log else parameter)
        return temperature

    def restart(self, temperature: Tensor, steps: int) -> None:
        """Go on from these α, shape (R, 1), after so many steps, with optimisers that remember nothing."""
        for place, group in enumerate(self._groups):
            alpha = temperature[group.runs]
            learnable = TrainState([alpha.log() if group.in_log else alpha], group.learnable.learning_rate, steps=steps)
            self._groups[place] = group._replace(learnable=learnable)

    def __str__(self) -> str:
        """Say what a file must agree on: which runs learn α, and what it is in the others."""
        words = [
            "learned" if isinstance(temperature, LearnedTemperature) else f"{temperature:g}"
            for temperature in self.temperatures
        ]
        return f"temperatures ({', '.join(words)})" if len(set(words)) > 1 else "a learned temperature in every run"


def learnables_of(learner: TemperatureLearner | None) -> dict[str, TrainState]:
    """Return what learns α, by name; nothing where it stays."""
    return {f"temperature.{place}": one for place, one in enumerate(learner.learnables if learner else ())}


def temperature_learner(
    temperatures: Sequence[Temperature], target: Callable[[LearnedTemperature], float], device: torch.device
) -> TemperatureLearner | None:
    """Return what moves α, or None where it stays in all runs. Arguments and errors are those of both classes above."""
    if any(isinstance(temperature, LearnedTemperature) for temperature in temperatures):
        return TemperatureLearner(temperatures, target, device)
    return None
