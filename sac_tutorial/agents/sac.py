"""Soft actor-critic with target critics, the form of 2019: soft policy iteration with networks, for continuous actions."""

from collections.abc import Sequence

import attrs
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.networks import MLP, Network, check_network
from sac_tutorial.deep.policies import SquashedGaussian
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.schedule import Schedule, schedule_field
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.target_network import Parameters, frozen_copy, polyak_step
from sac_tutorial.deep.temperature import Temperature, TemperatureSetting, temperature_setting
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.equations import actor_loss, critic_loss, sampled_soft_value, td_target
from sac_tutorial.validation import (
    POSITIVE,
    checked_field,
    number_field,
    seed_number,
    settings_or_default,
    whole_number_field,
    widths_field,
)
from sac_tutorial.worlds.spaces import action_dimensions, observation_shape, vector_length


@attrs.frozen
class SACSettings:
    """The hyper-parameters of soft actor-critic, for continuous and for discrete actions.

    Args:
        discount: γ.
        temperature: α ≥ 0, the worth of one nat of entropy in units of reward: a number, a `LearnedTemperature`, or a sequence
            with one of these for each run.
        actor_learning_rate: η of the actor's Adam, a number or a `LinearSchedule`.
        critic_learning_rate: η of the critics' Adam.
        tau: τ of θ̄ ← (1 − τ) θ̄ + τ θ, equation (3.11).
        critics: One critic, or two (twins). Of twins, the lower value counts.
        hidden: The widths of the hidden layers of all networks that are not given.

    Raises:
        TypeError: If a value is of the wrong type.
        ValueError: If a value is out of range.
    """

    discount: float = number_field(0.99, "[0, 1)")
    temperature: TemperatureSetting | Sequence[TemperatureSetting] = checked_field(0.2, temperature_setting)
    actor_learning_rate: Schedule = schedule_field(1e-3, POSITIVE)
    critic_learning_rate: Schedule = schedule_field(1e-3, POSITIVE)
    tau: float = number_field(0.005, "(0, 1]")
    critics: int = whole_number_field(2, "[1, 2]")
    hidden: tuple[int, ...] = widths_field((64, 64))


class SAC(Stateful):
    """Soft actor-critic with twin critics and Polyak targets, R independent runs at once.

    Actions and densities are in the units of [−1, 1], to which `make_envs` rescales every bounded action space.

    Args:
        envs: The environments, with continuous actions in [−1, 1].
        settings: The hyper-parameters.
        policy: The actor. Default: a `SquashedGaussian` whose σ depends on the state.
        critic: From (s, a) in one vector to one number. Default: an `MLP`.
        seed: The seed of the one generator that draws parameters, actions and batches.
        device: Where everything is computed.

    Attributes:
        actor: A `TrainState`; its parameters have the leading axis R.
        critic: A `TrainState`; its parameters have the leading axes (critics, R).
        target_critic: The delayed copies of the critics' parameters.
        temperature: A `Temperature`, which holds α and learns it where the settings say so.

    Raises:
        TypeError: If the actions are not continuous, or if an argument is of the wrong type.
        ValueError: If the action space is not [−1, 1], if observations are not vectors, if a network does not fit the spaces,
            or if no policy reaches the target entropy.

    Source: Haarnoja et al. (2018b), algorithm 1.
    """

    state_names = ("actor", "critic", "target_critic", "temperature", "generator")
    fixed_names = ("settings", "policy", "critic_network", "runs", "device")

    def __init__(
        self,
        envs: VectorEnv,
        settings: SACSettings | None = None,
        *,
        policy: SquashedGaussian | None = None,
        critic: Network | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings = settings_or_default(settings, SACSettings)
        observation = vector_length("observation", observation_shape(envs))
        action = action_dimensions(envs, "SAC", instead="DiscreteSAC")
        hidden = self.settings.hidden
        self.runs, self.device = envs.num_envs, torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed_number(seed))

        self.policy = policy or SquashedGaussian(MLP(observation, hidden, 2 * action), action)
        check_squashed_gaussian(self.policy, observation, action)
        self.actor = TrainState(self.policy.initial((self.runs,), self.generator), self.settings.actor_learning_rate)

        self.critic_network = critic or MLP(observation + action, hidden, 1)
        check_network(self.critic_network, (observation + action,), 1, "critic")
        twins = self.critic_network.initial((self.settings.critics, self.runs), self.generator)
        self.critic = TrainState(twins, self.settings.critic_learning_rate)
        self.target_critic = frozen_copy(self.critic.parameters)

        self.temperature = Temperature(
            self.settings.temperature, self.runs, lambda learned: learned.target_for_continuous(action), self.device
        )

    # Acting

    @property
    def alpha(self) -> Tensor:
        """α of each run now, shape (R, 1)."""
        return self.temperature.alpha

    def explore(self, observation: Tensor) -> Tensor:
        """Return actions drawn from the policy for observations (R, B, *observation): float32, (R, B, dimensions)."""
        return self.policy.sample(self.actor.parameters, observation, self.generator)

    @torch.no_grad()
    def exploit(self, observation: Tensor) -> Tensor:
        """Return tanh μ, the medians of the policy, same shapes.

        Q evaluates a different policy, the one that `explore` draws from.
        """
        return self.policy.median(self.actor.parameters, observation)

    @torch.no_grad()
    def q(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of each critic, shape (critics, R, B). Q leaves out the entropy of the first action."""
        return self.q_values(self.critic.parameters, observation, action)

    def draw(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Draw actions by reparameterisation and return them with their log-densities, both with gradients, (7.11), (7.13)."""
        return self.policy.draw(self.actor.parameters, observation, self.generator)

    def q_values(self, parameters: Parameters, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of critics with these parameters, shape (critics, R, B), with gradients."""
        return self.critic_network(parameters, torch.cat([observation, action], -1)).squeeze(-1)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step of critics, actor and temperature, move the targets, and return the critics' loss, (R,)."""
        loss = self.update_critic(batch)
        log_density = self.update_actor(batch)
        self.temperature.update(log_density)
        self.update_target()
        return loss

    def update_critic(self, batch: Batch) -> Tensor:
        """Step the critics towards the target (7.16), or (8.8), by the loss (7.3); return the loss before the step, (R,)."""
        with torch.no_grad():
            next_action, next_log_density = self.draw(batch.next_observation)
            next_q = self.q_values(self.target_critic, batch.next_observation, next_action).amin(0)
            next_value = sampled_soft_value(next_q, next_log_density, self.alpha) - self.temperature.step_cost
            target = td_target(batch.reward, batch.terminated, next_value, self.settings.discount)
        loss = critic_loss(self.q_values(self.critic.parameters, batch.observation, batch.action), target)
        self.critic.minimize(loss)
        return loss.detach()

    def update_actor(self, batch: Batch) -> Tensor:
        """Step the actor by the loss (7.7); return the log-densities of its actions before the step, (R, B)."""
        action, log_density = self.draw(batch.observation)
        q = self.q_values(self.critic.parameters, batch.observation, action).amin(0)
        self.actor.minimize(actor_loss(log_density, q, self.alpha))
        return log_density.detach()

    def update_target(self) -> None:
        """Move the target critics a step towards the critics, equation (3.11)."""
        polyak_step(self.target_critic, self.critic.parameters, self.settings.tau)


def check_squashed_gaussian(policy: SquashedGaussian, observation: int, action: int) -> None:
    """Check that a policy fits observations and actions of these lengths."""
    if not isinstance(policy, SquashedGaussian):
        raise TypeError(f"policy must be a SquashedGaussian over a network, but is {policy!r}.")
    if policy.network.input_shape != (observation,) or policy.dimensions != action:
        raise ValueError(
            f"policy must map observations of shape ({observation},) to actions of {action} dimensions, but maps "
            f"{policy.network.input_shape} to {policy.dimensions} dimensions."
        )
