"""Soft actor-critic for discrete actions. Expectations over π are sums; only the actions that are played are drawn."""

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.agents.sac import SACSettings
from sac_tutorial.deep.networks import MLP, Network, check_network
from sac_tutorial.deep.policies import Categorical
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.target_network import frozen_copy, polyak_step
from sac_tutorial.deep.temperature import Temperature
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.equations import critic_loss, discrete_actor_loss, entropy, soft_policy_value, taken_value, td_target
from sac_tutorial.validation import seed_number, settings_or_default
from sac_tutorial.worlds.spaces import number_of_actions, observation_shape, vector_length


class DiscreteSAC(Stateful):
    """Soft actor-critic for discrete actions, R independent runs at once.

    Actor and critics have networks of one shape, from observations to one number for each action: logits, or Q(s, ·).

    Args:
        envs: The environments, with discrete actions.
        settings: The hyper-parameters.
        network: The shape of actor and critics. Default: an `MLP` with the hidden layers of the settings. Over one-hot
            observations, an `MLP` without hidden layers is a table.
        seed: The seed of the one generator that draws parameters, actions and batches.
        device: Where everything is computed.

    Attributes:
        actor: A `TrainState`; its parameters have the leading axis R.
        critic: A `TrainState`; its parameters have the leading axes (critics, R).
        target_critic: The delayed copies of the critics' parameters.
        temperature: A `Temperature`, which holds α and learns it where the settings say so.

    Raises:
        TypeError: If the actions are not discrete, or if an argument is of the wrong type.
        ValueError: If a network does not fit the spaces, or if no policy reaches the target entropy.

    Source: Christodoulou (2019), algorithm 1.
    """

    state_names = ("actor", "critic", "target_critic", "temperature", "generator")
    fixed_names = ("settings", "network", "runs", "device")

    def __init__(
        self,
        envs: VectorEnv,
        settings: SACSettings | None = None,
        *,
        network: Network | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings = settings_or_default(settings, SACSettings)
        shape, self.actions = observation_shape(envs), number_of_actions(envs, "DiscreteSAC", instead="SAC")
        self.runs, self.device = envs.num_envs, torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed_number(seed))

        self.network = network or MLP(vector_length("observation", shape), self.settings.hidden, self.actions)
        check_network(self.network, shape, self.actions)
        self.policy = Categorical(self.network)
        self.actor = TrainState(self.network.initial((self.runs,), self.generator), self.settings.actor_learning_rate)
        twins = self.network.initial((self.settings.critics, self.runs), self.generator)
        self.critic = TrainState(twins, self.settings.critic_learning_rate)
        self.target_critic = frozen_copy(self.critic.parameters)

        self.temperature = Temperature(
            self.settings.temperature, self.runs, lambda learned: learned.target_for_discrete(self.actions), self.device
        )

    # Acting

    @property
    def alpha(self) -> Tensor:
        """α of each run now, shape (R, 1)."""
        return self.temperature.alpha

    def explore(self, observation: Tensor) -> Tensor:
        """Return actions drawn from the policy for observations (R, B, *observation): int64, shape (R, B)."""
        return self.policy.sample(self.actor.parameters, observation, self.generator)

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the most likely actions, same shapes. Q evaluates a different policy, the one that `explore` draws from."""
        return self.policy.mode(self.actor.parameters, observation)

    @torch.no_grad()
    def probabilities(self, observation: Tensor) -> Tensor:
        """Return π(·|s) for observations (R, B, *observation), or (B, *observation) for all runs: (R, B, actions)."""
        return self.policy.probabilities(self.actor.parameters, observation)

    @torch.no_grad()
    def q(self, observation: Tensor) -> Tensor:
        """Return Q(s, ·) of each critic for such observations, shape (critics, R, B, actions)."""
        return self.network(self.critic.parameters, observation)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step of critics, actor and temperature, move the targets, and return the critics' loss, (R,)."""
        loss = self.update_critic(batch)
        policy = self.update_actor(batch)
        self.temperature.update(-entropy(policy))  # the exact mean of log π(a|s)
        self.update_target()
        return loss

    def update_critic(self, batch: Batch) -> Tensor:
        """Step the critics towards the target (7.20), or (8.8), by the loss (7.3); return the loss before the step, (R,)."""
        with torch.no_grad():
            next_policy = self.probabilities(batch.next_observation)
            next_q = self.network(self.target_critic, batch.next_observation).amin(0)
            next_value = soft_policy_value(next_q, next_policy, self.alpha) - self.temperature.step_cost
            target = td_target(batch.reward, batch.terminated, next_value, self.settings.discount)
        q = self.network(self.critic.parameters, batch.observation)
        loss = critic_loss(taken_value(q, batch.action.expand(q.shape[:-1])), target)
        self.critic.minimize(loss)
        return loss.detach()

    def update_actor(self, batch: Batch) -> Tensor:
        """Step the actor by the loss (7.21); return its probabilities before the step, (R, B, actions)."""
        q = self.q(batch.observation).amin(0)  # after the critics' step and without gradient: no action is moved here
        policy = self.policy.probabilities(self.actor.parameters, batch.observation)
        self.actor.minimize(discrete_actor_loss(q, policy, self.alpha))
        return policy.detach()

    def update_target(self) -> None:
        """Move the target critics a step towards the critics, equation (3.11)."""
        polyak_step(self.target_critic, self.critic.parameters, self.settings.tau)
