"""Soft actor-critic for numbered actions: expectations over π are sums, and nothing is drawn but the actions that are played.

May import: `equations`, `networks`, `policies`, `replay`, `sac` (its settings), `saving`, `temperature`, `vector_env`,
`_borders`.
"""

from pathlib import Path

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.agents.sac import SACSettings
from sac_tutorial.deep.networks import MLP, Network, TrainState, frozen_copy, polyak_step
from sac_tutorial.deep.policies import Categorical
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.temperature import learnables_of, temperature_learner
from sac_tutorial.equations import critic_loss, entropy, soft_policy_value, taken_value, td_target
from sac_tutorial.files.saving import load_agent, save_agent
from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.vector_env import number_of_actions, observation_shape, vector_length


class DiscreteSAC:
    """Soft actor-critic for numbered actions, R independent runs at once.

    Actor and critics are networks of one shape, from observations to one number an action: logits, or Q(s, ·).

    Args:
        envs: the environments, with numbered actions: Gymnasium's, or a FiniteMDP's, as `make_envs` makes them.
        settings: the hyper-parameters.
        network: the shape of actor and critics. Default: an `MLP` with the hidden layers of the settings. Over one-hot
            observations an `MLP` without any is a table.
        seed: of the one generator that draws parameters, actions and batches.
        device: where everything is computed.

    Attributes:
        temperature: α as it is now, shape (R, 1); where it is learned, each update leaves a new tensor here.
        temperature_learner: what moves it, a `TemperatureLearner`, or None where no run learns it.
        actor: a `TrainState`; its `parameters` have the leading axis R.
        critic: a `TrainState`; its `parameters` have the leading axes (critics, R).
        target_critic: their delayed copies, a list of tensors.

    Raises:
        TypeError: for actions that are vectors, or settings that are none.
        ValueError: for a network that doesn't fit the spaces, observations that are no vectors where no network is given,
            several temperatures that are not one for each run, or a target entropy that no policy over the actions has.

    Source: Christodoulou (2019), algorithm 1.
    """

    def __init__(
        self,
        envs: VectorEnv,
        settings: SACSettings | None = None,
        *,
        network: Network | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings = SACSettings() if settings is None else settings
        if not isinstance(self.settings, SACSettings):
            raise TypeError(f"settings must be SACSettings, but is {settings!r}.")
        shape = observation_shape(envs)
        self.actions = number_of_actions(envs, "DiscreteSAC", instead="SAC")
        self.runs, self.device = envs.num_envs, torch.device(device)
        self.network = network or MLP(vector_length("observation", shape), self.settings.hidden, self.actions)
        if self.network.input_shape != shape or self.network.outputs != self.actions:
            raise ValueError(
                f"The network maps {self.network.input_shape} to {self.network.outputs} numbers, "
                f"but there are observations of shape {shape} and {self.actions} actions."
            )
        self.policy = Categorical(self.network)
        self.temperature = self.settings.temperature_of(self.runs).to(self.device)
        self.temperature_learner = temperature_learner(
            self.settings.temperatures_of(self.runs),
            lambda learned: learned.target_for_numbered(self.actions),
            self.device,
        )
        self.generator = torch.Generator(self.device).manual_seed(whole_number("seed", seed))
        self.actor = TrainState(self.network.initial((self.runs,), self.generator), self.settings.actor_learning_rate)
        self.critic = TrainState(
            self.network.initial((self.settings.critics, self.runs), self.generator),
            self.settings.critic_learning_rate,
        )
        self.target_critic = frozen_copy(self.critic.parameters)

    # Acting

    def explore(self, observation: Tensor) -> Tensor:
        """Return actions drawn from the policy for observations (R, B, *observation): int64, shape (R, B)."""
        return self.policy.sample(self.actor.parameters, observation, self.generator)

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the likeliest actions, same shapes: another policy than the one that Q values."""
        return self.policy.mode(self.actor.parameters, observation)

    @torch.no_grad()
    def probabilities(self, observation: Tensor) -> Tensor:
        """Return π(·|s) for observations (R, B, *observation), or (B, *observation) for all runs: (R, B, actions)."""
        return self._policy(observation)

    @torch.no_grad()
    def q(self, observation: Tensor) -> Tensor:
        """Return Q(s, ·) of each critic for such observations, shape (critics, R, B, actions)."""
        return self.network(self.critic.parameters, observation)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step of the critics, one of the actor, and one of the targets; return the critics' loss, (R,).

        Equations (7.20) for the target, (7.3) and (7.21) for the losses, (3.11) for the copies. Where α is learned, it steps
        after the actor and by the entropy of the policy that the actor had, which is exact: equation (8.6) or (8.7).
        """
        with torch.no_grad():
            next_q = self.network(self.target_critic, batch.next_observation).amin(0)
            next_value = soft_policy_value(next_q, self._policy(batch.next_observation), self.temperature)
            target = td_target(batch.reward, batch.terminated, next_value, self.settings.discount)
        q = self.network(self.critic.parameters, batch.observation)
        loss = critic_loss(taken_value(q, batch.action.expand(q.shape[:-1])), target)
        self.critic.minimize(loss)

        q = self.q(batch.observation).amin(0)  # after the critics' step, and without gradient: no action is moved here
        policy = self._policy(batch.observation)
        self.actor.minimize(-soft_policy_value(q, policy, self.temperature).mean(-1))
        if self.temperature_learner is not None:
            self.temperature = self.temperature_learner.step(self.temperature, -entropy(policy.detach()))
        polyak_step(self.target_critic, self.critic.parameters, self.settings.tau)
        return loss.detach()

    def _policy(self, observation: Tensor) -> Tensor:
        return torch.softmax(self.network(self.actor.parameters, observation), -1)

    # Keeping

    def save(self, path: str | Path) -> None:
        """Write all networks, a learned α and the count of updates to a safetensors file, in one step.

        The optimisers' averages, the generator and the replay are not in it: who goes on training from here starts them anew.
        `checkpoint` keeps them too.

        Raises:
            OSError: if the file can't be written.
        """
        save_agent(path, "DiscreteSAC", self._shape, self.critic.steps, self._tensors())

    def load(self, path: str | Path) -> None:
        """Take over networks, a learned α and the count of updates from a file that an agent of the same shape has saved.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: for a file that is cut off, of another kind, or from other networks; the agent stays as it was.
        """
        updates, settings = load_agent(path, "DiscreteSAC", self._shape, self._tensors()), self.settings
        self.actor = TrainState(self.actor.parameters, settings.actor_learning_rate, steps=updates)
        self.critic = TrainState(self.critic.parameters, settings.critic_learning_rate, steps=updates)
        if self.temperature_learner is not None:
            self.temperature_learner.restart(self.temperature, updates)

    @property
    def _shape(self) -> str:
        networks = f"{self.network!r} and {self.settings.critics} critics"
        return networks if self.temperature_learner is None else f"{networks} with {self.temperature_learner}"

    @property
    def _learnables(self) -> dict[str, TrainState]:
        return {"actor": self.actor, "critic": self.critic, **learnables_of(self.temperature_learner)}

    def _tensors(self) -> dict[str, list[Tensor]]:
        networks = {
            "actor": self.actor.parameters,
            "critic": self.critic.parameters,
            "target_critic": self.target_critic,
        }
        return networks if self.temperature_learner is None else networks | {"temperature": [self.temperature]}
