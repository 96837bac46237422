"""DQN and double DQN: Q-learning on the target (3.8), with a network for the table.

What tells the two apart is the next-state value alone: `greedy_value` or `double_value`, the functions that drive a table.

May import: `equations`, `networks`, `replay`, `saving`, `schedule`, `vector_env`, `_borders`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.networks import (
    MLP,
    Network,
    TrainState,
    check_learning_rate,
    copy_step,
    frozen_copy,
    polyak_step,
)
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.schedule import Linear, Schedule, ends, value_after
from sac_tutorial.equations import greedy_value, squared_loss, taken_value, td_target
from sac_tutorial.files.saving import load_agent, save_agent
from sac_tutorial.validation import number_in, positive_integer, positive_number, whole_number
from sac_tutorial.worlds.vector_env import number_of_actions, observation_shape


@dataclass(frozen=True)
class DQNSettings:
    """The hyper-parameters of DQN.

    Args:
        discount: γ in [0, 1).
        learning_rate: η of Adam: a number > 0, or a `Linear` schedule over the updates from one to a number ≥ 0.
            As in lesson 02, a rate that stays never settles.
        epsilon: ε in [0, 1], a number or a `Linear` schedule over the updates.
        target_period: updates from one copy θ̄ ← θ to the next, ≥ 1; 1 means no target network: θ̄ = θ at every update.
        tau: τ in (0, 1], for θ̄ ← (1 − τ) θ̄ + τ θ after every update, in place of a period. Exactly one of both is given;
            whoever gives `tau` sets `target_period` to None.

    Raises:
        TypeError: for what is no number.
        ValueError: for what is out of range, or both or none of `target_period` and `tau`.
    """

    discount: float = 0.99
    learning_rate: Schedule = 1e-3
    epsilon: Schedule = Linear(1.0, 0.05, updates=5_000)  # noqa: RUF009  # it is frozen
    target_period: int | None = 250
    tau: float | None = None

    def __post_init__(self) -> None:
        """Check everything at the border."""
        number_in("discount", self.discount, 0, 1, open_above=True)
        for epsilon in ends(self.epsilon):
            number_in("epsilon", epsilon, 0, 1)
        check_learning_rate(self.learning_rate)
        if (self.target_period is None) == (self.tau is None):
            raise ValueError(
                f"Exactly one of target_period and tau says how the target network follows, the other is None; "
                f"they are {self.target_period} and {self.tau}."
            )
        if self.target_period is not None:
            positive_integer("target_period", self.target_period)
        if self.tau is not None:
            positive_number("tau", number_in("tau", self.tau, 0, 1))


class DQN:
    """Deep Q-learning, R independent runs at once.

    Args:
        envs: the environments, for the number of runs and the spaces.
        settings: the hyper-parameters.
        network: from observations to one number an action. Default: `MLP` with two hidden layers of 64.
        next_value: V(s′): a function of Q̄(s′, ·), as `greedy_value` (DQN), or of Q(s′, ·) and Q̄(s′, ·), as `double_value`
            (double DQN). Any function of one or two tensors of shape (R, B, actions) that returns (R, B) will do.
        loss: from Q(s, a) and y, both (R, B), to one number a run. Default: the mean squared error.
        seed: of the one generator that draws parameters, exploration and batches.
        device: where everything is computed.

    Attributes:
        online: θ, a `TrainState`; its `parameters` have the leading axis R.
        target: θ̄, a list of tensors of the shapes of `online.parameters`.

    Raises:
        TypeError: for continuous actions, observations that are no arrays, settings that are none, a seed that is no whole
            number, or a `next_value` of no or three arguments.
        ValueError: for a network that doesn't fit the spaces; at the first update, for a `next_value` or a `loss` that returns
            another shape.

    Source: Mnih et al. (2015), algorithm 1; van Hasselt, Guez and Silver (2016), equation 4.
    """

    def __init__(
        self,
        envs: VectorEnv,
        settings: DQNSettings | None = None,
        *,
        network: Network | None = None,
        next_value: Callable[..., Tensor] = greedy_value,
        loss: Callable[[Tensor, Tensor], Tensor] = squared_loss,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings, self.loss = DQNSettings() if settings is None else settings, loss
        if not isinstance(self.settings, DQNSettings):
            raise TypeError(f"settings must be DQNSettings, but is {settings!r}.")
        shape = observation_shape(envs)
        instead = "DDPG, SAC, or an ActorCritic with a Gaussian policy"
        self.runs, self.actions = envs.num_envs, number_of_actions(envs, "DQN", instead=instead)
        self.device = torch.device(device)
        self.network = network or _default_network(shape, self.actions)
        if self.network.input_shape != shape or self.network.outputs != self.actions:
            raise ValueError(
                f"The network maps {self.network.input_shape} to {self.network.outputs} numbers, "
                f"but there are observations of shape {shape} and {self.actions} actions."
            )
        self.next_value, self._takes_both = next_value, _arguments(next_value) == 2
        self.generator = torch.Generator(self.device).manual_seed(whole_number("seed", seed))
        self.online = TrainState(self.network.initial((self.runs,), self.generator), self.settings.learning_rate)
        self.target = frozen_copy(self.online.parameters)

    # Acting

    @property
    def updates(self) -> int:
        """How many updates there have been, those before a file was loaded included."""
        return self.online.steps

    @property
    def epsilon(self) -> float:
        """The exploration rate ε now."""
        return value_after(self.settings.epsilon, self.updates)

    @torch.no_grad()
    def q(self, observation: Tensor) -> Tensor:
        """Return Q(s, ·; θ), shape (R, B, actions), of observations (R, B, *observation), or (B, *observation) for all runs.

        Raises:
            ValueError: for observations of another shape.
        """
        shape = self.network.input_shape
        if observation.shape[-len(shape) :] != shape:
            raise ValueError(f"Observations must have the shape {shape}, but end in {tuple(observation.shape)}.")
        return self.network(self.online.parameters, observation.to(self.device))

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the greedy actions for observations of shape (R, B, *observation): int64, shape (R, B)."""
        return self.q(observation).argmax(-1)

    def explore(self, observation: Tensor) -> Tensor:
        """Return ε-greedy actions, equation (2.9), for observations of shape (R, B, *observation): int64, shape (R, B)."""
        greedy = self.exploit(observation)
        random_action = torch.randint(self.actions, greedy.shape, generator=self.generator, device=self.device)
        draw = torch.rand(greedy.shape, generator=self.generator, device=self.device)
        return torch.where(draw < self.epsilon, random_action, greedy)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step in every run on its own batch; return the losses before it, shape (R,).

        Equations (3.8) for the target, (3.2) for the loss, (3.3) for the step, (3.10) or (3.11) for what follows it.
        """
        with torch.no_grad():
            next_value = self._next_value(batch.next_observation)
            if not isinstance(next_value, Tensor) or next_value.shape != batch.reward.shape:
                found = f"the shape {tuple(next_value.shape)}" if isinstance(next_value, Tensor) else repr(next_value)
                raise ValueError(
                    f"next_value must return one number for each transition, shape {tuple(batch.reward.shape)}, "
                    f"but returned {found}."
                )
            target = td_target(batch.reward, batch.terminated, next_value, self.settings.discount)
        q = taken_value(self.network(self.online.parameters, batch.observation), batch.action)
        loss = self.loss(q, target)
        if loss.shape != (self.runs,):
            raise ValueError(
                f"loss must return one number a run, shape ({self.runs},), but returned {tuple(loss.shape)}."
            )
        self.online.minimize(loss)
        self._follow()
        return loss.detach()

    def _next_value(self, observation: Tensor) -> Tensor:
        target_q = self.network(self.target, observation)
        if not self._takes_both:
            return self.next_value(target_q)
        return self.next_value(self.network(self.online.parameters, observation), target_q)

    def _follow(self) -> None:
        if self.settings.tau is not None:
            polyak_step(self.target, self.online.parameters, self.settings.tau)
        elif self.settings.target_period and self.updates % self.settings.target_period == 0:
            copy_step(self.target, self.online.parameters)

    # Keeping

    def save(self, path: str | Path) -> None:
        """Write both networks and the count of updates to a safetensors file, in one step.

        The optimiser's averages, the generator and the replay are not in it: who goes on training from here starts them anew.

        Raises:
            OSError: if the file can't be written.
        """
        save_agent(path, "DQN", repr(self.network), self.updates, self._tensors())

    def load(self, path: str | Path) -> None:
        """Take over networks and count of updates from a file that an agent of the same shape has saved.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: for a file that is cut off, of another kind, or from another network; the agent stays as it was.
        """
        updates = load_agent(path, "DQN", repr(self.network), self._tensors())
        self.online = TrainState(self.online.parameters, self.settings.learning_rate, steps=updates)

    @property
    def _shape(self) -> str:
        return f"{self.network!r}, next value {self.next_value!r}, loss {self.loss!r}"

    @property
    def _learnables(self) -> dict[str, TrainState]:
        return {"online": self.online}

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {"online": self.online.parameters, "target": self.target}


def _default_network(shape: tuple[int, ...], actions: int) -> Network:
    if len(shape) != 1:
        raise ValueError(
            f"Observations of shape {shape} need a network of their own: network=ConvNet(...) for pictures, "
            f"or gymnasium.wrappers.FlattenObservation in front of the default one."
        )
    return MLP(shape[0], (64, 64), actions)


def _arguments(next_value: Callable[..., Tensor]) -> int:
    """How many tensors the function asks for: one (Q̄) or two (Q and Q̄)."""
    try:
        parameters = inspect.signature(next_value).parameters.values()
    except (TypeError, ValueError) as error:
        raise TypeError(f"next_value must be a Python function, but is {next_value!r}.") from error
    asked = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(asked) not in (1, 2):
        raise TypeError(
            f"next_value must be a function of Q̄(s′, ·), or of Q(s′, ·) and Q̄(s′, ·), "
            f"but takes {len(asked)} arguments without a default."
        )
    return len(asked)
