"""The temperature α of soft actor-critic, and how it is learned: a step on α towards a target for the entropy.

Entropy is in nats. The entropy of continuous actions is measured in units of [−1, 1]; there it can be negative.
"""

import math
from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from sac_tutorial.deep.schedule import Schedule, schedule_field
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.equations import temperature_loss
from sac_tutorial.validation import NON_NEGATIVE, POSITIVE, flag_field, number, number_field, optional_field

MOST_SQUASHED = 0.683635
"""The largest entropy of tanh(μ + σ ξ) in one dimension, at μ = 0 and σ = 0.874. The uniform distribution has log 2 = 0.693."""

LEAST_TEMPERATURE = 1e-6
"""The smallest start of a learned α. A step in α itself that would lead below it is projected to it."""


@attrs.frozen
class LearnedTemperature:
    """How a temperature is learned. α falls where the policy's entropy is above the target, and rises where it is below.

    Args:
        target_entropy: H̄ in nats. Default: −1 for each dimension of a continuous action, and half of log|A| for discrete
            actions. Haarnoja et al. (2018b) chose −dim A. Christodoulou (2019) chose 0.98 log|A|, which leaves the best of 4
            actions a probability of only 0.36.
        fraction: In place of H̄, its share in (0, 1) of the largest possible entropy: log|A|, or 0.6836 a dimension.
        start: α before the first step.
        learning_rate: η of its Adam.
        in_log: Whether log α is stepped, equation (8.7). This keeps α positive and makes steps relative. False steps α itself,
            equation (8.6).
        episode_length_term: Whether each step that does not end the episode is charged α H̄ in the critics' target, equation
            (8.8). SAC leaves this term out. That is right if the length of an episode does not depend on the policy;
            `ReplayBuffer.termination_rate` shows whether episodes end at all. Otherwise a target may have no fixed point.

    Raises:
        TypeError: If a value is of the wrong type.
        ValueError: If a value is out of range, or if both `target_entropy` and `fraction` are given.

    Source: Haarnoja et al. (2018b), section 5 and appendix D.
    """

    target_entropy: float | None = optional_field(None, number)
    fraction: float | None = optional_field(None, lambda name, value: number(name, value, "(0, 1)"))
    start: float = number_field(1.0, "[1e-6, inf)")
    learning_rate: Schedule = schedule_field(1e-3, POSITIVE)
    in_log: bool = flag_field(True)
    episode_length_term: bool = flag_field(False)

    def __attrs_post_init__(self) -> None:
        """Check that at most one target is given."""
        if self.target_entropy is not None and self.fraction is not None:
            raise ValueError(
                f"Give the target as target_entropy or as a fraction, not as both; they are {self.target_entropy} and "
                f"{self.fraction}."
            )

    def target_for_continuous(self, dimensions: int) -> float:
        """Return H̄ for continuous actions in [−1, 1] with so many dimensions.

        Raises:
            ValueError: If no squashed Gaussian has so much entropy.
        """
        most = dimensions * MOST_SQUASHED
        if self.fraction is not None:
            return self.fraction * most
        target = -float(dimensions) if self.target_entropy is None else self.target_entropy
        if target >= most:
            raise ValueError(
                f"target_entropy is {target:g}, but a squashed Gaussian of {dimensions} dimensions in [-1, 1] stays below "
                f"{most:.4g}, so α would rise for ever. The usual target has the other sign, {-dimensions}."
            )
        return target

    def target_for_discrete(self, actions: int) -> float:
        """Return H̄ for so many discrete actions.

        Raises:
            ValueError: If the target is not between 0 and log|A|: no policy has that entropy at a finite α > 0.
        """
        most = math.log(actions)
        if actions == 1:
            raise ValueError("A single action has no entropy, so there is no temperature to learn.")
        if self.target_entropy is None:
            return (0.5 if self.fraction is None else self.fraction) * most
        if not 0 < self.target_entropy < most:
            raise ValueError(
                f"target_entropy is {self.target_entropy:g}, but for {actions} discrete actions it must lie between 0 and "
                f"log {actions} = {most:.4g}, or α would rise or fall for ever. Negative targets are for continuous actions."
            )
        return self.target_entropy


TemperatureSetting = float | LearnedTemperature
"""A temperature that stays the same, or one that is learned."""


def temperature_setting(name: str, value: object) -> TemperatureSetting | tuple[TemperatureSetting, ...]:
    """Return one setting, or a tuple with one for each run.

    Raises:
        TypeError: If a setting is neither a number nor a `LearnedTemperature`.
        ValueError: If a number is negative or not finite.
    """
    if isinstance(value, LearnedTemperature):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(
            value_ if isinstance(value_, LearnedTemperature) else number(name, value_, NON_NEGATIVE) for value_ in value
        )
    if isinstance(value, str):
        raise TypeError(f"{name} must be a number or a LearnedTemperature(), but is {value!r}.")
    return number(name, value, NON_NEGATIVE)


class Temperature(Stateful):
    """α of each of R runs. In some of them, or in all, it is learned; the other runs keep theirs, bit by bit.

    Args:
        setting: One setting for all runs, or one for each run. All runs that learn share the learning rate and the form of
            the step; their targets and starts may differ.
        runs: R.
        target: From a `LearnedTemperature` to H̄ for the actions at hand.
        device: Where α is computed.

    Attributes:
        alpha: α now, float32, shape (R, 1). Each update leaves a new tensor here.
        learned: Which runs learn α, bool, shape (R, 1).
        target_entropy: H̄, shape (R, 1); 0 where α is not learned.
        step_cost: α H̄ where `episode_length_term` is set, else 0, shape (R, 1). This is the term of equation (8.8).

    Raises:
        ValueError: If there are several settings but not one for each run, or if the runs that learn do so differently.
    """

    state_names = ("alpha", "train_state")

    def __init__(
        self,
        setting: TemperatureSetting | Sequence[TemperatureSetting],
        runs: int,
        target: Callable[[LearnedTemperature], float],
        device: torch.device,
    ) -> None:
        settings = _one_a_run(setting, runs)
        learned = [each for each in settings if isinstance(each, LearnedTemperature)]
        how = _shared(learned)
        starts = [each.start if isinstance(each, LearnedTemperature) else each for each in settings]
        targets = [target(each) if isinstance(each, LearnedTemperature) else 0.0 for each in settings]
        self.alpha = torch.tensor(starts, dtype=torch.float32, device=device).unsqueeze(1)
        self.learned = torch.tensor(
            [isinstance(each, LearnedTemperature) for each in settings], device=device
        ).unsqueeze(1)
        self.target_entropy = torch.tensor(targets, dtype=torch.float32, device=device).unsqueeze(1)
        self.in_log, self._is_learned = how.in_log, bool(learned)
        self._charged = float(how.episode_length_term)
        begin = torch.where(self.learned, self.alpha, 1.0)  # α = 0 has no logarithm, and needs none
        self.train_state = TrainState([begin.log() if self.in_log else begin], how.learning_rate)

    @property
    def step_cost(self) -> Tensor:
        """α H̄ of a step that does not end the episode, or 0; shape (R, 1)."""
        return self._charged * self.alpha * self.target_entropy

    def update(self, log_probability: Tensor) -> None:
        """Take one gradient step, equation (8.6) or (8.7).

        Args:
            log_probability: As `temperature_loss` takes it, shape (R, B).
        """
        if not self._is_learned:
            return
        (parameter,) = self.train_state.parameters
        alpha = parameter.exp() if self.in_log else parameter
        self.train_state.minimize(temperature_loss(log_probability, alpha, self.target_entropy))
        with torch.no_grad():
            if not self.in_log:
                parameter.clamp_(min=LEAST_TEMPERATURE)
            self.alpha = torch.where(self.learned, parameter.exp() if self.in_log else parameter, self.alpha)


def _one_a_run(setting: TemperatureSetting | Sequence[TemperatureSetting], runs: int) -> tuple[TemperatureSetting, ...]:
    settings = tuple(setting) if isinstance(setting, Sequence) else (setting,) * runs
    if len(settings) != runs:
        raise ValueError(
            f"temperature must be one setting, or one for each of the {runs} runs, but there are {len(settings)}."
        )
    return settings


def _shared(learned: Sequence[LearnedTemperature]) -> LearnedTemperature:
    """Return the settings that all learning runs share."""
    ways = {(each.learning_rate, each.in_log, each.episode_length_term) for each in learned}
    if len(ways) > 1:
        raise ValueError(
            "All runs that learn their temperature must share learning_rate, in_log and episode_length_term, "
            f"but there are {len(ways)} different ways. Train them as separate agents."
        )
    return learned[0] if learned else LearnedTemperature()
