"""DDPG, and TD3, which is DDPG with three settings changed: deterministic actors for actions that are vectors.

The actor climbs its critic by the pathwise gradient (5.19); the critic regresses on the shared target. Soft actor-critic
keeps all of this and lets the actor be random.

May import: `equations`, `networks`, `replay`, `saving`, `schedule`, `vector_env`, `_borders`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.networks import MLP, TrainState, check_learning_rate, frozen_copy, polyak_step
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.schedule import Schedule
from sac_tutorial.equations import clipped_noise, squared_loss, td_target
from sac_tutorial.files.saving import load_agent, save_agent
from sac_tutorial.validation import number_in, positive_integer, positive_number, whole_number
from sac_tutorial.worlds.vector_env import action_dimensions, observation_shape, vector_length


@dataclass(frozen=True)
class DDPGSettings:
    """The hyper-parameters of DDPG and TD3. Actions are in [−1, 1], and so are the units of all noise.

    Args:
        discount: γ in [0, 1).
        actor_learning_rate: η of the actor's Adam: a number > 0, or a `Linear` schedule.
        critic_learning_rate: η of the critics' Adam.
        tau: τ in (0, 1], for θ̄ ← (1 − τ) θ̄ + τ θ, equation (3.11).
        exploration_noise: standard deviation ≥ 0 of the noise that exploring adds to each action.
        critics: 1 (DDPG), or 2 (TD3), the lower of which values the next state.
        target_noise: standard deviation ≥ 0 of the noise on the next action, equation (5.21); 0 for none.
        target_noise_clip: the most that this noise may be, > 0.
        actor_period: updates of the critics from one step of the actor to the next, ≥ 1.
        hidden: widths of the hidden layers of all networks.

    Raises:
        TypeError: for what is no number.
        ValueError: for what is out of range.
    """

    discount: float = 0.99
    actor_learning_rate: Schedule = 1e-3
    critic_learning_rate: Schedule = 1e-3
    tau: float = 0.005
    exploration_noise: float = 0.1
    critics: int = 1
    target_noise: float = 0.0
    target_noise_clip: float = 0.5
    actor_period: int = 1
    hidden: tuple[int, ...] = (64, 64)

    def __post_init__(self) -> None:
        """Check everything at the border."""
        number_in("discount", self.discount, 0, 1, open_above=True)
        check_learning_rate(self.actor_learning_rate, "actor_learning_rate")
        check_learning_rate(self.critic_learning_rate, "critic_learning_rate")
        positive_number("tau", number_in("tau", self.tau, 0, 1))
        for name in ("exploration_noise", "target_noise"):
            number_in(name, getattr(self, name), 0, math.inf, open_above=True)
        positive_number("target_noise_clip", self.target_noise_clip)
        if positive_integer("critics", self.critics) > 2:
            raise ValueError(f"critics must be 1 or 2, but is {self.critics}.")
        positive_integer("actor_period", self.actor_period)
        MLP(1, self.hidden, 1)  # refuses widths that are none


TD3 = DDPGSettings(critics=2, target_noise=0.2, actor_period=2)
"""What Fujimoto, van Hoof and Meger (2018) change: twins, noise on the next action, a slower actor.

Their first steps are uniformly random; here the untrained actor takes them, with the same noise as later.
"""


class DDPG:
    """Deep deterministic policy gradient, R independent runs at once.

    Args:
        envs: the environments, with actions that are vectors in [−1, 1], as `make_envs` makes them.
        settings: the hyper-parameters; `TD3` makes it TD3.
        seed: of the one generator that draws parameters, noise and batches.
        device: where everything is computed.

    Attributes:
        actor: a `TrainState`; its `parameters` have the leading axis R.
        critic: a `TrainState`; its `parameters` have the leading axes (critics, R).
        target_actor, target_critic: their delayed copies, lists of tensors.

    Raises:
        TypeError: for numbered actions, or settings that are none.
        ValueError: for action spaces other than [−1, 1], or observations that are no vectors.

    Source: Lillicrap et al. (2016), algorithm 1, with independent noise where they correlate it in time; Fujimoto, van Hoof
    and Meger (2018), algorithm 1.
    """

    def __init__(
        self,
        envs: VectorEnv,
        settings: DDPGSettings | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings = DDPGSettings() if settings is None else settings
        if not isinstance(self.settings, DDPGSettings):
            raise TypeError(f"settings must be DDPGSettings, but is {settings!r}.")
        observation = vector_length("observation", observation_shape(envs))
        action = action_dimensions(envs, "DDPG", instead="DQN, or an ActorCritic with a Categorical policy")
        self.runs, self.device = envs.num_envs, torch.device(device)
        self.actor_network = MLP(observation, self.settings.hidden, action)
        self.critic_network = MLP(observation + action, self.settings.hidden, 1)
        self.generator = torch.Generator(self.device).manual_seed(whole_number("seed", seed))
        self.actor = TrainState(
            self.actor_network.initial((self.runs,), self.generator), self.settings.actor_learning_rate
        )
        leading = (self.settings.critics, self.runs)
        self.critic = TrainState(
            self.critic_network.initial(leading, self.generator), self.settings.critic_learning_rate
        )
        self.target_actor = frozen_copy(self.actor.parameters)
        self.target_critic = frozen_copy(self.critic.parameters)

    # Acting

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the actor's actions for observations of shape (R, B, *observation): float32 in [−1, 1], (R, B, dimensions)."""
        with torch.no_grad():
            return self._act(self.actor.parameters, observation)

    def explore(self, observation: Tensor) -> Tensor:
        """Return the actor's actions with Gaussian noise, clipped to [−1, 1]."""
        action = self.exploit(observation)
        return (action + self.settings.exploration_noise * self._noise(action)).clamp(-1, 1)

    @torch.no_grad()
    def q(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of each critic, shape (critics, R, B)."""
        return self._judge(self.critic.parameters, observation, action)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step of the critics, and each `actor_period`-th time one of the actor.

        Returns the losses of the first critic before it, shape (R,).

        Equations (5.20) or (5.21) for the target, (3.2) for the critics' loss, (5.19) for the actor's, (3.11) for the copies.
        """
        settings = self.settings
        with torch.no_grad():
            next_action = self._act(self.target_actor, batch.next_observation)
            if settings.target_noise:
                noise = settings.target_noise * self._noise(next_action)
                next_action = clipped_noise(next_action, noise, settings.target_noise_clip)
            next_value = self._judge(self.target_critic, batch.next_observation, next_action).amin(0)
            target = td_target(batch.reward, batch.terminated, next_value, settings.discount)
        loss = squared_loss(self._judge(self.critic.parameters, batch.observation, batch.action), target)
        self.critic.minimize(loss)

        if self.critic.steps % settings.actor_period == 0:
            first = [parameter[:1].detach() for parameter in self.critic.parameters]
            action = self._act(self.actor.parameters, batch.observation)
            self.actor.minimize(-self._judge(first, batch.observation, action).squeeze(0).mean(-1))
            polyak_step(self.target_actor, self.actor.parameters, settings.tau)
            polyak_step(self.target_critic, self.critic.parameters, settings.tau)
        return loss[0].detach()

    def _act(self, parameters: list[Tensor], observation: Tensor) -> Tensor:
        return self.actor_network(parameters, observation).tanh()

    def _judge(self, parameters: list[Tensor], observation: Tensor, action: Tensor) -> Tensor:
        return self.critic_network(parameters, torch.cat([observation, action], -1)).squeeze(-1)

    def _noise(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator, device=self.device)

    # Keeping

    def save(self, path: str | Path) -> None:
        """Write all four networks and the count of updates to a safetensors file, in one step.

        The optimisers' averages, the generator and the replay are not in it: who goes on training from here starts them anew.

        Raises:
            OSError: if the file can't be written.
        """
        save_agent(path, "DDPG", self._shape, self.critic.steps, self._tensors())

    def load(self, path: str | Path) -> None:
        """Take over networks and count of updates from a file that an agent of the same shape has saved.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: for a file that is cut off, of another kind, or from other networks; the agent stays as it was.
        """
        updates, settings = load_agent(path, "DDPG", self._shape, self._tensors()), self.settings
        slower = updates // settings.actor_period
        self.actor = TrainState(self.actor.parameters, settings.actor_learning_rate, steps=slower)
        self.critic = TrainState(self.critic.parameters, settings.critic_learning_rate, steps=updates)

    @property
    def _shape(self) -> str:
        return f"{self.actor_network!r} and {self.settings.critics} of {self.critic_network!r}"

    @property
    def _learnables(self) -> dict[str, TrainState]:
        return {"actor": self.actor, "critic": self.critic}

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {
            "actor": self.actor.parameters,
            "critic": self.critic.parameters,
            "target_actor": self.target_actor,
            "target_critic": self.target_critic,
        }
