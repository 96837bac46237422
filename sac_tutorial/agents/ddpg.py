"""DDPG, and TD3, which is DDPG with three settings changed: deterministic actors for continuous actions.

The actor climbs its critic by the pathwise gradient, and the critic regresses on the target of all lessons.
"""

import attrs
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.networks import MLP, Network, check_network
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.schedule import Schedule, schedule_field
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.target_network import Parameters, frozen_copy, polyak_step
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.equations import clipped_noise, deterministic_actor_loss, squared_loss, td_target
from sac_tutorial.validation import (
    NON_NEGATIVE,
    POSITIVE,
    number_field,
    seed_number,
    settings_or_default,
    whole_number_field,
    widths_field,
)
from sac_tutorial.worlds.spaces import action_dimensions, observation_shape, vector_length


@attrs.frozen
class DDPGSettings:
    """The hyper-parameters of DDPG and TD3. Actions are in [−1, 1], and so are the units of all noise.

    Args:
        discount: γ.
        actor_learning_rate: η of the actor's Adam, a number or a `LinearSchedule`.
        critic_learning_rate: η of the critics' Adam.
        tau: τ of θ̄ ← (1 − τ) θ̄ + τ θ, equation (3.11).
        exploration_noise: The standard deviation of the noise that exploration adds to each action.
        critics: One critic (DDPG), or two (TD3). Of two, the lower value counts for the next state.
        target_noise: The standard deviation σ̃ of the noise on the next action, equation (5.21). 0 stands for none.
        target_noise_clip: c, the largest size of that noise.
        actor_period: The number of critic updates from one step of the actor to the next.
        hidden: The widths of the hidden layers of all networks that are not given.

    Raises:
        TypeError: If a value is of the wrong type.
        ValueError: If a value is out of range.
    """

    discount: float = number_field(0.99, "[0, 1)")
    actor_learning_rate: Schedule = schedule_field(1e-3, POSITIVE)
    critic_learning_rate: Schedule = schedule_field(1e-3, POSITIVE)
    tau: float = number_field(0.005, "(0, 1]")
    exploration_noise: float = number_field(0.1, NON_NEGATIVE)
    critics: int = whole_number_field(1, "[1, 2]")
    target_noise: float = number_field(0.0, NON_NEGATIVE)
    target_noise_clip: float = number_field(0.5, POSITIVE)
    actor_period: int = whole_number_field(1)
    hidden: tuple[int, ...] = widths_field((64, 64))


TD3 = DDPGSettings(critics=2, target_noise=0.2, actor_period=2)
"""What Fujimoto, van Hoof and Meger (2018) change: twins, noise on the next action, a slower actor.

Their first steps are uniformly random. Here the untrained actor takes them, with the same noise as later.
"""


class DDPG(Stateful):
    """Deep deterministic policy gradient, R independent runs at once.

    Args:
        envs: The environments, with continuous actions in [−1, 1].
        settings: The hyper-parameters; `TD3` makes it TD3.
        actor: From observations to one number for each dimension of the action, before the tanh. Default: an `MLP`.
        critic: From (s, a) in one vector to one number. Default: an `MLP`.
        seed: The seed of the one generator that draws parameters, noise and batches.
        device: Where everything is computed.

    Attributes:
        actor: A `TrainState`; its parameters have the leading axis R.
        critic: A `TrainState`; its parameters have the leading axes (critics, R).
        target_actor, target_critic: The delayed copies of their parameters.

    Raises:
        TypeError: If the actions are not continuous, or if an argument is of the wrong type.
        ValueError: If the action space is not [−1, 1], if observations are not vectors, or if a network does not fit.

    Source: Lillicrap et al. (2016), algorithm 1, with independent noise where theirs is correlated in time; Fujimoto, van Hoof
    and Meger (2018), algorithm 1.
    """

    state_names = ("actor", "critic", "target_actor", "target_critic", "generator")
    fixed_names = ("settings", "actor_network", "critic_network", "runs", "device")

    def __init__(
        self,
        envs: VectorEnv,
        settings: DDPGSettings | None = None,
        *,
        actor: Network | None = None,
        critic: Network | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings = settings_or_default(settings, DDPGSettings)
        observation = vector_length("observation", observation_shape(envs))
        action = action_dimensions(envs, "DDPG", instead="DQN")
        hidden = self.settings.hidden
        self.runs, self.device = envs.num_envs, torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed_number(seed))

        self.actor_network = actor or MLP(observation, hidden, action)
        check_network(self.actor_network, (observation,), action, "actor")
        self.actor = TrainState(
            self.actor_network.initial((self.runs,), self.generator), self.settings.actor_learning_rate
        )
        self.target_actor = frozen_copy(self.actor.parameters)

        self.critic_network = critic or MLP(observation + action, hidden, 1)
        check_network(self.critic_network, (observation + action,), 1, "critic")
        critics = self.critic_network.initial((self.settings.critics, self.runs), self.generator)
        self.critic = TrainState(critics, self.settings.critic_learning_rate)
        self.target_critic = frozen_copy(self.critic.parameters)

    # Acting

    @torch.no_grad()
    def exploit(self, observation: Tensor) -> Tensor:
        """Return μ(s) for observations of shape (R, B, *observation): float32 in [−1, 1], (R, B, dimensions)."""
        return self.act(self.actor.parameters, observation)

    def explore(self, observation: Tensor) -> Tensor:
        """Return μ(s) with Gaussian noise, clipped to [−1, 1]."""
        action = self.exploit(observation)
        return (action + self.settings.exploration_noise * self.noise(action)).clamp(-1, 1)

    @torch.no_grad()
    def q(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of each critic, shape (critics, R, B)."""
        return self.q_values(self.critic.parameters, observation, action)

    def act(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return μ(s) of an actor with these parameters, with gradients."""
        return self.actor_network(parameters, observation).tanh()

    def q_values(self, parameters: Parameters, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of critics with these parameters, shape (critics, R, B), with gradients."""
        return self.critic_network(parameters, torch.cat([observation, action], -1)).squeeze(-1)

    def noise(self, like: Tensor) -> Tensor:
        """Return standard normal noise of the shape of `like`."""
        return torch.randn(like.shape, generator=self.generator, device=self.device, dtype=torch.float32)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step of the critics and, once in `actor_period` updates, one of the actor and of all targets.

        Returns:
            The loss of the first critic before its step, shape (R,).
        """
        loss = self.update_critic(batch)
        if self.critic.updates % self.settings.actor_period == 0:
            self.update_actor(batch)
            self.update_target()
        return loss

    def update_critic(self, batch: Batch) -> Tensor:
        """Step the critics towards the target (5.20) or (5.21) by the loss (3.2); return the first critic's loss, (R,)."""
        settings = self.settings
        with torch.no_grad():
            next_action = self.act(self.target_actor, batch.next_observation)
            if settings.target_noise:
                noise = settings.target_noise * self.noise(next_action)
                next_action = clipped_noise(next_action, noise, settings.target_noise_clip)
            next_value = self.q_values(self.target_critic, batch.next_observation, next_action).amin(0)
            target = td_target(batch.reward, batch.terminated, next_value, settings.discount)
        loss = squared_loss(self.q_values(self.critic.parameters, batch.observation, batch.action), target)
        self.critic.minimize(loss)
        return loss[0].detach()

    def update_actor(self, batch: Batch) -> None:
        """Step the actor up the first critic by the loss (5.19)."""
        first = [parameter[:1].detach() for parameter in self.critic.parameters]
        action = self.act(self.actor.parameters, batch.observation)
        self.actor.minimize(deterministic_actor_loss(self.q_values(first, batch.observation, action).squeeze(0)))

    def update_target(self) -> None:
        """Move both target networks a step towards their networks, equation (3.11)."""
        polyak_step(self.target_actor, self.actor.parameters, self.settings.tau)
        polyak_step(self.target_critic, self.critic.parameters, self.settings.tau)
