"""Soft actor-critic in its two published forms: soft policy iteration with networks, for actions that are vectors.

The critics regress on the shared target; the actor follows the pathwise gradient, as in DDPG, but is random, and both are
paid α for its entropy.

May import: `equations`, `networks`, `policies`, `replay`, `saving`, `schedule`, `temperature`, `vector_env`, `_borders`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.networks import MLP, TrainState, check_learning_rate, frozen_copy, polyak_step
from sac_tutorial.deep.policies import SquashedGaussian
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.schedule import Schedule
from sac_tutorial.deep.temperature import (
    Temperature,
    check_temperatures,
    first_temperature,
    learnables_of,
    temperature_learner,
)
from sac_tutorial.equations import actor_loss, critic_loss, sampled_soft_value, squared_loss, td_target
from sac_tutorial.files.saving import load_agent, save_agent
from sac_tutorial.validation import number_in, positive_integer, positive_number, whole_number
from sac_tutorial.worlds.vector_env import action_dimensions, observation_shape, vector_length


@dataclass(frozen=True)
class SACSettings:
    """The hyper-parameters of soft actor-critic, for vectors and for numbered actions.

    Args:
        discount: γ in [0, 1).
        temperature: α ≥ 0, the worth of one nat of entropy in units of reward: a number, a `LearnedTemperature`, or one of
            both for each run.
        actor_learning_rate: η of the actor's Adam: a number > 0, or a `Linear` schedule.
        critic_learning_rate: η of the critics' Adam.
        tau: τ in (0, 1], for θ̄ ← (1 − τ) θ̄ + τ θ, equation (3.11).
        critics: 1 or 2; of two, the lower values the next state and the actor's actions.
        hidden: widths of the hidden layers of all networks that are not given.

    Raises:
        TypeError: for what is no number.
        ValueError: for what is out of range.
    """

    discount: float = 0.99
    temperature: Temperature | Sequence[Temperature] = 0.2
    actor_learning_rate: Schedule = 1e-3
    critic_learning_rate: Schedule = 1e-3
    tau: float = 0.005
    critics: int = 2
    hidden: tuple[int, ...] = (64, 64)

    def __post_init__(self) -> None:
        """Check everything at the border."""
        number_in("discount", self.discount, 0, 1, open_above=True)
        if isinstance(self.temperature, Sequence) and not isinstance(self.temperature, str):
            object.__setattr__(self, "temperature", tuple(self.temperature))
        check_temperatures(self._temperatures)
        check_learning_rate(self.actor_learning_rate, "actor_learning_rate")
        check_learning_rate(self.critic_learning_rate, "critic_learning_rate")
        positive_number("tau", number_in("tau", self.tau, 0, 1))
        if positive_integer("critics", self.critics) > 2:
            raise ValueError(f"critics must be 1 or 2, but is {self.critics}.")
        MLP(1, self.hidden, 1)  # refuses widths that are none

    @property
    def _temperatures(self) -> tuple[Temperature, ...]:
        return self.temperature if isinstance(self.temperature, tuple) else (self.temperature,)

    def temperatures_of(self, runs: int) -> tuple[Temperature, ...]:
        """Return the temperature of each run, or how it is learned.

        Raises:
            ValueError: if there are several, but not one for each run.
        """
        if len(self._temperatures) not in (1, runs):
            raise ValueError(
                f"temperature must be one number or one for each of the {runs} runs, but is {self.temperature}."
            )
        return self._temperatures * (runs // len(self._temperatures))

    def temperature_of(self, runs: int) -> Tensor:
        """Return α of each run before the first update, float32, shape (R, 1).

        Raises:
            ValueError: if there are several, but not one for each run.
        """
        first = [[first_temperature(temperature)] for temperature in self.temperatures_of(runs)]
        return torch.tensor(first, dtype=torch.float32)


class SAC:
    """Soft actor-critic with twin critics and Polyak targets, the form of 2019, R independent runs at once.

    Actions and densities are in the units of [−1, 1], to which `make_envs` rescales every bounded action space.

    Args:
        envs: the environments, with actions that are vectors in [−1, 1], as `make_envs` makes them.
        settings: the hyper-parameters.
        policy: the actor. Default: a `SquashedGaussian` whose σ depends on the state; a network with as many outputs as the
            action has dimensions makes it the same in all states.
        seed: of the one generator that draws parameters, actions and batches.
        device: where everything is computed.

    Attributes:
        temperature: α as it is now, shape (R, 1); where it is learned, each update leaves a new tensor here.
        temperature_learner: what moves it, a `TemperatureLearner`, or None where no run learns it.
        actor: a `TrainState`; its `parameters` have the leading axis R.
        critic: a `TrainState`; its `parameters` have the leading axes (critics, R).
        target_critic: their delayed copies, a list of tensors.

    Raises:
        TypeError: for numbered actions, or settings or a policy that are none.
        ValueError: for action spaces other than [−1, 1], observations that are no vectors, a policy that doesn't fit the
            spaces, several temperatures that are not one for each run, or a target entropy that no such policy reaches.

    Source: Haarnoja et al. (2018b), algorithm 1.
    """

    def __init__(
        self,
        envs: VectorEnv,
        settings: SACSettings | None = None,
        *,
        policy: SquashedGaussian | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings = SACSettings() if settings is None else settings
        if not isinstance(self.settings, SACSettings):
            raise TypeError(f"settings must be SACSettings, but is {settings!r}.")
        observation = vector_length("observation", observation_shape(envs))
        action = action_dimensions(envs, "SAC", instead="DiscreteSAC")
        hidden = self.settings.hidden
        self.runs, self.device = envs.num_envs, torch.device(device)
        self.policy = policy or SquashedGaussian(MLP(observation, hidden, 2 * action), action)
        _check_policy(self.policy, observation, action)
        self.critic_network = MLP(observation + action, hidden, 1)
        self.temperature = self.settings.temperature_of(self.runs).to(self.device)
        self.temperature_learner = temperature_learner(
            self.settings.temperatures_of(self.runs), lambda learned: learned.target_for_vectors(action), self.device
        )
        self.generator = torch.Generator(self.device).manual_seed(whole_number("seed", seed))
        self.actor = TrainState(self.policy.initial((self.runs,), self.generator), self.settings.actor_learning_rate)
        self.critic = TrainState(
            self.critic_network.initial((self.settings.critics, self.runs), self.generator),
            self.settings.critic_learning_rate,
        )
        self.target_critic = frozen_copy(self.critic.parameters)

    # Acting

    def explore(self, observation: Tensor) -> Tensor:
        """Return actions drawn from the policy for observations (R, B, *observation): float32, (R, B, dimensions)."""
        return self.policy.sample(self.actor.parameters, observation, self.generator)

    @torch.no_grad()
    def exploit(self, observation: Tensor) -> Tensor:
        """Return tanh μ, the medians of the policy, same shapes: another policy than the one that Q values."""
        return self.policy.median(self.actor.parameters, observation)

    @torch.no_grad()
    def q(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of each critic, shape (critics, R, B); it leaves out the entropy of the first action."""
        return self._judge(self.critic.parameters, observation, action)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step of the critics, one of the actor, and one of the targets; return the critics' loss, (R,).

        Equations (7.16) for the target, (7.3) and (7.7) for the losses, (3.11) for the copies. Where α is learned, it steps
        after the actor and by the same draws, equation (8.6) or (8.7).
        """
        with torch.no_grad():
            next_action, next_log_density = self._draw(batch.next_observation)
            next_q = self._judge(self.target_critic, batch.next_observation, next_action).amin(0)
            next_value = sampled_soft_value(next_q, next_log_density, self.temperature)
            target = td_target(batch.reward, batch.terminated, next_value, self.settings.discount)
        loss = critic_loss(self._judge(self.critic.parameters, batch.observation, batch.action), target)
        self.critic.minimize(loss)

        action, log_density = self._draw(batch.observation)
        q = self._judge(self.critic.parameters, batch.observation, action).amin(0)
        self.actor.minimize(actor_loss(log_density, q, self.temperature))
        self._learn_temperature(log_density)
        polyak_step(self.target_critic, self.critic.parameters, self.settings.tau)
        return loss.detach()

    def _learn_temperature(self, log_density: Tensor) -> None:
        if self.temperature_learner is not None:
            self.temperature = self.temperature_learner.step(self.temperature, log_density)

    def _draw(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return self.policy.draw(self.actor.parameters, observation, self.generator)

    def _judge(self, parameters: list[Tensor], observation: Tensor, action: Tensor) -> Tensor:
        return self.critic_network(parameters, torch.cat([observation, action], -1)).squeeze(-1)

    # Keeping

    def save(self, path: str | Path) -> None:
        """Write all networks, a learned α and the count of updates to a safetensors file, in one step.

        The optimisers' averages, the generator and the replay are not in it: who goes on training from here starts them anew.
        `checkpoint` keeps them too.

        Raises:
            OSError: if the file can't be written.
        """
        save_agent(path, type(self).__name__, self._shape, self.critic.steps, self._tensors())

    def load(self, path: str | Path) -> None:
        """Take over networks, a learned α and the count of updates from a file that an agent of the same shape has saved.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: for a file that is cut off, of another kind, or from other networks; the agent stays as it was.
        """
        updates, settings = load_agent(path, type(self).__name__, self._shape, self._tensors()), self.settings
        self.actor = TrainState(self.actor.parameters, settings.actor_learning_rate, steps=updates)
        self.critic = TrainState(self.critic.parameters, settings.critic_learning_rate, steps=updates)
        if self.temperature_learner is not None:
            self.temperature_learner.restart(self.temperature, updates)

    @property
    def _shape(self) -> str:
        networks = f"{self.policy!r} and {self.settings.critics} of {self.critic_network!r}"
        return networks if self.temperature_learner is None else f"{networks} with {self.temperature_learner}"

    @property
    def _learnables(self) -> dict[str, TrainState]:
        return {"actor": self.actor, "critic": self.critic, **learnables_of(self.temperature_learner)}

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {
            "actor": self.actor.parameters,
            "critic": self.critic.parameters,
            "target_critic": self.target_critic,
            **self._learned_temperature,
        }

    @property
    def _learned_temperature(self) -> dict[str, list[Tensor]]:
        return {} if self.temperature_learner is None else {"temperature": [self.temperature]}


class ValueSAC(SAC):
    """Soft actor-critic with a network for V, the form of 2018: no critic has a delayed copy, V has one.

    Arguments, errors and how it acts are those of `SAC`.

    Attributes:
        value: a `TrainState` for V(s), whose `parameters` have the leading axis R. It steps at the critics' rate.
        target_value: its delayed copy, a list of tensors.

    Source: Haarnoja et al. (2018a), algorithm 1.
    """

    def __init__(
        self,
        envs: VectorEnv,
        settings: SACSettings | None = None,
        *,
        policy: SquashedGaussian | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(envs, settings, policy=policy, seed=seed, device=device)
        del self.target_critic
        self.value_network = MLP(self.policy.network.input_shape[0], self.settings.hidden, 1)
        self.value = TrainState(
            self.value_network.initial((self.runs,), self.generator), self.settings.critic_learning_rate
        )
        self.target_value = frozen_copy(self.value.parameters)

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step of the critics, one of V, one of the actor, and one of the target; return J_Q, (R,).

        Equations (7.4) for the critics' target, (7.1) for that of V, (7.3), (7.2) and (7.7) for the losses, (3.11); where α is
        learned, which the form of 2018 did not yet do, (8.6) or (8.7).
        """
        with torch.no_grad():
            next_value = self._value(self.target_value, batch.next_observation)
            target = td_target(batch.reward, batch.terminated, next_value, self.settings.discount)
        loss = critic_loss(self._judge(self.critic.parameters, batch.observation, batch.action), target)
        self.critic.minimize(loss)

        action, log_density = self._draw(batch.observation)
        q = self._judge(self.critic.parameters, batch.observation, action).amin(0)
        soft_value = sampled_soft_value(q, log_density, self.temperature).detach()
        self.value.minimize(squared_loss(self._value(self.value.parameters, batch.observation), soft_value) / 2)
        self.actor.minimize(actor_loss(log_density, q, self.temperature))
        self._learn_temperature(log_density)
        polyak_step(self.target_value, self.value.parameters, self.settings.tau)
        return loss.detach()

    def _value(self, parameters: list[Tensor], observation: Tensor) -> Tensor:
        return self.value_network(parameters, observation).squeeze(-1)

    def load(self, path: str | Path) -> None:
        """Take over networks and count of updates, as `SAC.load` does."""
        super().load(path)
        self.value = TrainState(self.value.parameters, self.settings.critic_learning_rate, steps=self.critic.steps)

    @property
    def _learnables(self) -> dict[str, TrainState]:
        return super()._learnables | {"value": self.value}

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {
            "actor": self.actor.parameters,
            "critic": self.critic.parameters,
            "value": self.value.parameters,
            "target_value": self.target_value,
            **self._learned_temperature,
        }


def _check_policy(policy: SquashedGaussian, observation: int, action: int) -> None:
    if not isinstance(policy, SquashedGaussian):
        raise TypeError(f"policy must be a SquashedGaussian over a network, but is {policy!r}.")
    if policy.network.input_shape != (observation,) or policy.dimensions != action:
        raise ValueError(
            f"The policy maps {policy.network.input_shape} to actions of {policy.dimensions} dimensions, but there are "
            f"observations of shape ({observation},) and actions of {action} dimensions."
        )
