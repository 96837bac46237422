"""DQN and double DQN: Q-learning on the targets (3.8) and (4.6), with a network in place of the table.

The two differ in the next-state value alone: `greedy_value` or `double_value`, the functions that also drive a table.
"""

import inspect
from collections.abc import Callable

import attrs
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.networks import MLP, Network, check_network
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.schedule import LinearSchedule, Schedule, schedule_field, value_after
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.target_network import copy_step, frozen_copy, polyak_step
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.equations import greedy_value, squared_loss, taken_value, td_target
from sac_tutorial.validation import (
    POSITIVE,
    number,
    number_field,
    optional_field,
    seed_number,
    settings_or_default,
    whole_number,
    widths_field,
)
from sac_tutorial.worlds.spaces import number_of_actions, observation_shape


@attrs.frozen
class DQNSettings:
    """The hyper-parameters of DQN.

    Args:
        discount: γ.
        learning_rate: η of Adam, a number or a `LinearSchedule` over the updates. A constant rate never settles.
        epsilon: ε, a number or a `LinearSchedule` over the updates.
        target_period: The number of updates from one copy θ̄ ← θ to the next. 1 stands for no target network.
        tau: τ of θ̄ ← (1 − τ) θ̄ + τ θ after every update, in place of a period. Exactly one of the two is given, so set
            `target_period=None` when you give `tau`.
        hidden: The widths of the hidden layers of the default network.

    Raises:
        TypeError: If a value is of the wrong type.
        ValueError: If a value is out of range, or if both or none of `target_period` and `tau` are given.
    """

    discount: float = number_field(0.99, "[0, 1)")
    learning_rate: Schedule = schedule_field(1e-3, POSITIVE)
    epsilon: Schedule = schedule_field(LinearSchedule(1.0, 0.05, updates=5_000), "[0, 1]")
    target_period: int | None = optional_field(250, whole_number)
    tau: float | None = optional_field(None, lambda name, value: number(name, value, "(0, 1]"))
    hidden: tuple[int, ...] = widths_field((64, 64))

    def __attrs_post_init__(self) -> None:
        """Check that the target network follows in exactly one way."""
        if (self.target_period is None) == (self.tau is None):
            raise ValueError(
                "Give exactly one of target_period and tau, and None for the other, "
                f"but they are {self.target_period} and {self.tau}."
            )


class DQN(Stateful):
    """Deep Q-learning, R independent runs at once.

    Args:
        envs: The environments, with discrete actions.
        settings: The hyper-parameters.
        network: From observations to one number for each action. Default: an `MLP`.
        next_value: V(s′): a function of Q̄(s′, ·), such as `greedy_value` (DQN), or of Q(s′, ·) and Q̄(s′, ·), such as
            `double_value` (double DQN), from tensors of shape (R, B, actions) to (R, B).
        loss: From Q(s, a) and y, both (R, B), to one number a run. Default: the mean squared error.
        seed: The seed of the one generator that draws parameters, exploration and batches.
        device: Where everything is computed.

    Attributes:
        online: θ, a `TrainState`; its parameters have the leading axis R.
        target: θ̄, the delayed copy of these parameters.

    Raises:
        TypeError: If the actions are not discrete, or if an argument is of the wrong type.
        ValueError: If the network does not fit the spaces, or if `next_value` or `loss` returns another shape.

    Source: Mnih et al. (2015), algorithm 1; van Hasselt, Guez and Silver (2016), equation 4.
    """

    state_names = ("online", "target", "generator")
    fixed_names = ("settings", "network", "next_value", "loss", "runs", "device")

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
        self.settings = settings_or_default(settings, DQNSettings)
        shape, self.actions = observation_shape(envs), number_of_actions(envs, "DQN", instead="SAC")
        self.runs, self.device = envs.num_envs, torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed_number(seed))

        self.network = network or MLP(_flat_length(shape), self.settings.hidden, self.actions)
        check_network(self.network, shape, self.actions)
        self.online = TrainState(self.network.initial((self.runs,), self.generator), self.settings.learning_rate)
        self.target = frozen_copy(self.online.parameters)

        self.next_value, self.loss, self._takes_both = next_value, loss, _arguments(next_value) == 2
        self._check_functions()

    # Acting

    @property
    def updates(self) -> int:
        """The number of updates so far."""
        return self.online.updates

    @property
    def epsilon(self) -> float:
        """The exploration rate ε now."""
        return value_after(self.settings.epsilon, self.updates)

    @torch.no_grad()
    def q(self, observation: Tensor) -> Tensor:
        """Return Q(s, ·; θ), shape (R, B, actions), of observations (R, B, *observation), or (B, *observation) for all runs.

        Raises:
            ValueError: If observations have another shape.
        """
        shape = self.network.input_shape
        if observation.shape[-len(shape) :] != shape:
            raise ValueError(
                f"Observations must have the shape {shape}, but have the shape {tuple(observation.shape)}."
            )
        return self.network(self.online.parameters, observation.to(self.device))

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the greedy actions for observations of shape (R, B, *observation): int64, shape (R, B)."""
        return self.q(observation).argmax(-1)

    def explore(self, observation: Tensor) -> Tensor:
        """Return ε-greedy actions, equation (2.9), for observations of shape (R, B, *observation): int64, shape (R, B)."""
        greedy = self.exploit(observation)
        random_action = torch.randint(self.actions, greedy.shape, generator=self.generator, device=self.device)
        draw = torch.rand(greedy.shape, generator=self.generator, device=self.device, dtype=torch.float32)
        return torch.where(draw < self.epsilon, random_action, greedy)

    # Learning

    def update(self, batch: Batch) -> Tensor:
        """Take one gradient step in every run on its own batch; return the losses before the step, shape (R,).

        Equations (3.8) or (4.6) for the target, (3.2) for the loss, (3.3) for the step, (3.10) or (3.11) for the copy.
        """
        with torch.no_grad():
            next_value = self.next_state_value(batch.next_observation)
            target = td_target(batch.reward, batch.terminated, next_value, self.settings.discount)
        q = taken_value(self.network(self.online.parameters, batch.observation), batch.action)
        loss = self.loss(q, target)
        self.online.minimize(loss)
        self.update_target()
        return loss.detach()

    def next_state_value(self, observation: Tensor) -> Tensor:
        """Return V(s′) of next observations (R, B, *observation), shape (R, B)."""
        tables = [self.network(self.target, observation)]
        if self._takes_both:
            tables.insert(0, self.network(self.online.parameters, observation))
        return self.next_value(*tables)

    def update_target(self) -> None:
        """Let θ̄ follow θ, by equation (3.11) or, once in a period, by (3.10)."""
        if self.settings.tau is not None:
            polyak_step(self.target, self.online.parameters, self.settings.tau)
        elif self.settings.target_period and self.updates % self.settings.target_period == 0:
            copy_step(self.target, self.online.parameters)

    def _check_functions(self) -> None:
        """Try the functions that were given on two transitions a run."""
        table, value = torch.zeros(self.runs, 2, self.actions), torch.zeros(self.runs, 2)
        found = self.next_value(*[table.to(self.device)] * (1 + self._takes_both))
        if not isinstance(found, Tensor) or found.shape != value.shape:
            raise ValueError(f"next_value must turn (R, B, actions) into (R, B), but returned {_shape(found)}.")
        found = self.loss(value.to(self.device), value.to(self.device))
        if not isinstance(found, Tensor) or found.shape != (self.runs,):
            raise ValueError(f"loss must return one number a run, shape ({self.runs},), but returned {_shape(found)}.")


def _shape(found: object) -> str:
    return f"the shape {tuple(found.shape)}" if isinstance(found, Tensor) else repr(found)


def _flat_length(shape: tuple[int, ...]) -> int:
    if len(shape) != 1:
        raise ValueError(
            f"Observations of shape {shape} need a network of their own: network=ConvNet(...) for pictures, "
            f"or gymnasium.wrappers.FlattenObservation in front of the default network."
        )
    return shape[0]


def _arguments(next_value: Callable[..., Tensor]) -> int:
    """Return how many tensors the function asks for: one (Q̄) or two (Q and Q̄)."""
    try:
        parameters = inspect.signature(next_value).parameters.values()
    except (TypeError, ValueError) as error:
        raise TypeError(f"next_value must be a Python function, but is {next_value!r}.") from error
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(each.kind in positional and each.default is each.empty for each in parameters)
    if count not in (1, 2):
        raise TypeError(
            f"next_value must be a function of Q̄(s′, ·), or of Q(s′, ·) and Q̄(s′, ·), "
            f"but takes {count} arguments without a default."
        )
    return count
