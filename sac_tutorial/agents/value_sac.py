"""Soft actor-critic with a network for V, the form of 2018. The critics have no delayed copies; V has one."""

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.agents.sac import SACSettings, check_squashed_gaussian
from sac_tutorial.deep.networks import MLP, Network, check_network
from sac_tutorial.deep.policies import SquashedGaussian
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.target_network import Parameters, frozen_copy, polyak_step
from sac_tutorial.deep.temperature import Temperature
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.equations import actor_loss, critic_loss, sampled_soft_value, td_target, value_network_loss
from sac_tutorial.validation import seed_number, settings_or_default
from sac_tutorial.worlds.spaces import action_dimensions, observation_shape, vector_length


class ValueSAC(Stateful):
    """Soft actor-critic with twin critics, a network for V and its Polyak copy, R independent runs at once.

    Arguments and errors are those of `SAC`. The form of 2018 did not learn α; here it can be learned as in `SAC`.

    Attributes:
        actor: A `TrainState`; its parameters have the leading axis R.
        critic: A `TrainState`; its parameters have the leading axes (critics, R).
        value: A `TrainState` for V(s), with the leading axis R. It steps at the critics' rate.
        target_value: The delayed copy of V's parameters.
        temperature: A `Temperature`.

    Source: Haarnoja et al. (2018a), algorithm 1.
    """

    state_names = ("actor", "critic", "value", "target_value", "temperature", "generator")
    fixed_names = ("settings", "policy", "critic_network", "value_network", "runs", "device")

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
        action = action_dimensions(envs, "ValueSAC", instead="DiscreteSAC")
        hidden, rate = self.settings.hidden, self.settings.critic_learning_rate
        self.runs, self.device = envs.num_envs, torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed_number(seed))

        self.policy = policy or SquashedGaussian(MLP(observation, hidden, 2 * action), action)
        check_squashed_gaussian(self.policy, observation, action)
        self.actor = TrainState(self.policy.initial((self.runs,), self.generator), self.settings.actor_learning_rate)

        self.critic_network = critic or MLP(observation + action, hidden, 1)
        check_network(self.critic_network, (observation + action,), 1, "critic")
        self.critic = TrainState(self.critic_network.initial((self.settings.critics, self.runs), self.generator), rate)

        self.value_network = MLP(observation, hidden, 1)
        self.value = TrainState(self.value_network.initial((self.runs,), self.generator), rate)
        self.target_value = frozen_copy(self.value.parameters)

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
        """Return tanh μ, the medians of the policy, same shapes."""
        return self.policy.median(self.actor.parameters, observation)

    @torch.no_grad()
    def q(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of each critic, shape (critics, R, B)."""
        return self.q_values(self.critic.parameters, observation, action)

    def draw(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Draw actions by reparameterisation and return them with their log-densities, both with gradients, (7.11), (7.13)."""
        return self.policy.draw(self.actor.parameters, observation, self.generator)

    def q_values(self, parameters: Parameters, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of critics with these parameters, shape (critics, R, B), with gradients."""
        return self.critic_network(parameters, torch.cat([observation, action], -1)).squeeze(-1)

    def state_value(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return V(s) of the network with these parameters, shape (R, B), with gradients."""
        return self.value_network(parameters, observation).squeeze(-1)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step of critics, V, actor and temperature, move the target, and return J_Q, (R,)."""
        loss = self.update_critic(batch)
        log_density = self.update_value_and_actor(batch)
        self.temperature.update(log_density)
        self.update_target()
        return loss

    def update_critic(self, batch: Batch) -> Tensor:
        """Step the critics towards the target (7.4) by the loss (7.3); return the loss before the step, (R,)."""
        with torch.no_grad():
            next_value = self.state_value(self.target_value, batch.next_observation)
            target = td_target(batch.reward, batch.terminated, next_value, self.settings.discount)
        loss = critic_loss(self.q_values(self.critic.parameters, batch.observation, batch.action), target)
        self.critic.minimize(loss)
        return loss.detach()

    def update_value_and_actor(self, batch: Batch) -> Tensor:
        """Step V by the loss (7.2) towards (7.1), and the actor by (7.7), with the same draws; return their log-densities."""
        action, log_density = self.draw(batch.observation)
        q = self.q_values(self.critic.parameters, batch.observation, action).amin(0)
        target = (sampled_soft_value(q, log_density, self.alpha) - self.temperature.step_cost).detach()
        self.value.minimize(value_network_loss(self.state_value(self.value.parameters, batch.observation), target))
        self.actor.minimize(actor_loss(log_density, q, self.alpha))
        return log_density.detach()

    def update_target(self) -> None:
        """Move the target network of V a step towards V, equation (3.11)."""
        polyak_step(self.target_value, self.value.parameters, self.settings.tau)
