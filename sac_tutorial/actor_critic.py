"""Actor–critic on the data of the policy itself: A2C with pieces of episodes, REINFORCE with whole ones.

The two differ in `piece` alone, the number of steps after which the critic's value stands for what is to come. Every run has
several environments, which step together: their differences are what makes a batch of on-policy data.

May import: `equations`, `networks`, `policies`, `saving`, `schedule`, `training`, `vector_env`, `_borders`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from sac_tutorial._borders import number_in, positive_integer, whole_number
from sac_tutorial.equations import bootstrapped_return, policy_gradient_loss, squared_loss
from sac_tutorial.networks import MLP, Learnable, Network, check_learning_rate
from sac_tutorial.policies import Categorical, Gaussian, Policy
from sac_tutorial.saving import load_agent, save_agent
from sac_tutorial.schedule import Schedule
from sac_tutorial.training import check_envs, check_finite
from sac_tutorial.vector_env import action_shape, observation_shape, vector_length, within_bounds


@dataclass(frozen=True)
class ActorCriticSettings:
    """The hyper-parameters of A2C and REINFORCE.

    Args:
        discount: γ in [0, 1).
        learning_rate: η of the actor's Adam: a number > 0, or a `Linear` schedule.
        critic_learning_rate: η of the critic's Adam.
        piece: T ≥ 1: so many steps of each environment make one update, and the critic values what follows (A2C). None:
            whole episodes, one of each environment (REINFORCE with the critic as baseline).
        entropy_bonus: β ≥ 0, what the entropy of a visited state adds to the objective, equation (5.14).
        weigh_time: whether step t of an episode counts γ^t, as in the gradient of the discounted return, equation (5.7). A2C
            leaves it out. The bonus is not weighed, and the loss is a mean over steps, not a sum over episodes.

    Raises:
        TypeError: for what is no number.
        ValueError: for what is out of range.
    """

    discount: float = 0.99
    learning_rate: Schedule = 1e-3
    critic_learning_rate: Schedule = 3e-3
    piece: int | None = 16
    entropy_bonus: float = 0.01
    weigh_time: bool = False

    def __post_init__(self) -> None:
        """Check everything at the border."""
        number_in("discount", self.discount, 0, 1, open_above=True)
        check_learning_rate(self.learning_rate)
        check_learning_rate(self.critic_learning_rate)
        if self.piece is not None:
            positive_integer("piece", self.piece)
        number_in("entropy_bonus", self.entropy_bonus, 0, float("inf"), open_above=True)


class Piece(NamedTuple):
    """What T steps of N environments brought to each of R runs."""

    observation: Tensor
    """s_t, float32, shape (R, T, N, *observation)."""
    action: Tensor
    """a_t, shape (R, T, N), or (R, T, N, dimensions) where actions are vectors."""
    reward: Tensor
    """r_t, float32, shape (R, T, N)."""
    next_observation: Tensor
    """The true s_{t+1}, float32, shape (R, T, N, *observation)."""
    terminated: Tensor
    """d_t, bool, shape (R, T, N)."""
    ended: Tensor
    """Whether the episode ended with step t, terminated or cut off; bool, shape (R, T, N)."""
    age: Tensor
    """How many steps of its episode lay before step t, int64, shape (R, T, N)."""
    taken: Tensor
    """Whether the step counts, bool, shape (R, T, N): in pieces of whole episodes, the shorter ones are padded."""


class ActorCritic:
    """A2C or REINFORCE, R independent runs at once, each with N environments.

    Args:
        envs: R · N environments; run r has those from r · N on.
        runs: R ≥ 1.
        settings: the hyper-parameters.
        policy: how actions are drawn. Default: `Categorical` for numbered actions, `Gaussian` for vectors, over an `MLP` with
            two hidden layers of 64.
        critic: from observations to one number. Default: such an `MLP`.
        seed: of the one generator that draws parameters and actions.
        device: where everything is computed.

    Attributes:
        actor, critic: `Learnable`s; their `parameters` have the leading axis R.

    Raises:
        TypeError: for settings that are none, or spaces that don't fit.
        ValueError: for a number of environments that is no multiple of the runs, or networks that don't fit the spaces.

    Source: Williams (1992); Mnih et al. (2016), algorithm S3, synchronously.
    """

    def __init__(
        self,
        envs: VectorEnv,
        runs: int,
        settings: ActorCriticSettings | None = None,
        *,
        policy: Policy | None = None,
        critic: Network | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings = ActorCriticSettings() if settings is None else settings
        if not isinstance(self.settings, ActorCriticSettings):
            raise TypeError(f"settings must be ActorCriticSettings, but is {settings!r}.")
        self.runs, shape = positive_integer("runs", runs), observation_shape(envs)
        if envs.num_envs % runs:
            raise ValueError(f"Each of {runs} runs needs as many environments, but there are {envs.num_envs}.")
        self.players, self.device = envs.num_envs // runs, torch.device(device)
        self.policy = policy or _default_policy(envs)
        _check_policy(self.policy, envs)
        self.critic_network = critic or MLP(vector_length("observation", shape), (64, 64), 1)
        if self.critic_network.input_shape != shape or self.critic_network.outputs != 1:
            raise ValueError(
                f"The critic maps observations of shape {shape} to one number, but this network maps "
                f"{self.critic_network.input_shape} to {self.critic_network.outputs}."
            )
        self.generator = torch.Generator(self.device).manual_seed(whole_number("seed", seed))
        self.actor = Learnable(self.policy.initial((runs,), self.generator), self.settings.learning_rate)
        self.critic = Learnable(
            self.critic_network.initial((runs,), self.generator), self.settings.critic_learning_rate
        )

    # Acting

    def explore(self, observation: Tensor) -> Tensor:
        """Draw actions from the policy for observations of shape (R, B, *observation)."""
        return self.policy.sample(self.actor.parameters, observation, self.generator)

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the likeliest actions for observations of shape (R, B, *observation)."""
        return self.policy.mode(self.actor.parameters, observation)

    def value(self, observation: Tensor) -> Tensor:
        """Return the critic's V(s), shape (R, B), for observations of shape (R, B, *observation)."""
        return self.critic_network(self.critic.parameters, observation).squeeze(-1)

    # Learning

    def update(self, piece: Piece) -> Tensor:
        """Take one gradient step of actor and critic in every run; return the critic's losses before it, shape (R,).

        Equations (5.12) and (5.9) for return and advantage, (5.10) and (5.14) for the actor, (3.2) for the critic.
        """
        settings = self.settings
        observation, action = piece.observation.flatten(1, 2), piece.action.flatten(1, 2)
        with torch.no_grad():
            next_value = self.value(piece.next_observation.flatten(1, 2)).view_as(piece.reward)
            returns = bootstrapped_return(
                piece.reward, piece.terminated, piece.ended, next_value, settings.discount
            ).flatten(1, 2)
        value = self.value(observation)
        # A mean over the steps that were taken is a mean over all of them with these weights.
        weight = piece.taken.flatten(1, 2) / piece.taken.float().mean((1, 2)).unsqueeze(-1)
        advantage = weight * (returns - value.detach())
        if settings.weigh_time:
            advantage = settings.discount ** piece.age.flatten(1, 2) * advantage
        log_probability, entropy = self.policy.log_probability(self.actor.parameters, observation, action)
        bonus = settings.entropy_bonus * (weight * entropy).mean(-1)
        self.actor.descend(policy_gradient_loss(log_probability, advantage) - bonus)
        loss = squared_loss(weight.sqrt() * value, weight.sqrt() * returns)
        self.critic.descend(loss)
        return loss.detach()

    # Keeping

    def save(self, path: str | Path) -> None:
        """Write actor and critic to a safetensors file, in one step; the optimisers' averages and the generator are not in it.

        Raises:
            OSError: if the file can't be written.
        """
        save_agent(path, "ActorCritic", self._shape, self.actor.steps, self._tensors())

    def load(self, path: str | Path) -> None:
        """Take over actor, critic and count of updates from a file that an agent of the same shape has saved.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: for a file that is cut off, of another kind, or from other networks; the agent stays as it was.
        """
        steps = load_agent(path, "ActorCritic", self._shape, self._tensors())
        self.actor = Learnable(self.actor.parameters, self.settings.learning_rate, steps=steps)
        self.critic = Learnable(self.critic.parameters, self.settings.critic_learning_rate, steps=steps)

    @property
    def _shape(self) -> str:
        return f"{self.policy!r} and {self.critic_network!r}"

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {"actor": self.actor.parameters, "critic": self.critic.parameters}


class Progress(NamedTuple):
    """What one update of the on-policy loop leaves to look at."""

    updates: int
    """How many there have been, counted from 1."""
    steps: int
    """How many steps each environment has taken."""
    last_return: NDArray[np.float64]
    """The undiscounted return of the latest finished episode of each environment, NaN before the first; (R, N), a copy."""


def train_on_policy(
    envs: VectorEnv, agent: ActorCritic, *, updates: int, seed: int | list[int] | None = 0, progress: bool = True
) -> Iterator[Progress]:
    """Train on the policy's own data: collect a piece, learn from it once, throw it away.

    Who stops iterating, or presses Ctrl-C, loses nothing, and can call again with the same objects to go on (with new
    episodes).

    Args:
        envs: the environments that the agent was made for, with automatic resets off.
        agent: what learns.
        updates: how many, ≥ 1.
        seed: of the environments (environment i gets `seed` + i), or a list of them; None to go on with their generators.
        progress: whether to show a bar.

    Yields:
        A `Progress` after every update.

    Raises (at the first `next`):
        TypeError: for numbers that are none.
        ValueError: for numbers out of range, another number of environments than the agent's, or environments that reset
            themselves.
        EnvironmentFailed: if an observation or a reward is not finite; the message names environment and step.

    Source: Mnih et al. (2016), algorithm S3.
    """
    check_envs(envs)
    positive_integer("updates", updates)
    if not isinstance(seed, list | None):
        whole_number("seed", seed)
    if envs.num_envs != agent.runs * agent.players:
        raise ValueError(
            f"The agent has {agent.runs} runs of {agent.players} environments each, but there are {envs.num_envs}."
        )
    collector = _Collector(envs, agent, seed)
    with tqdm(total=updates, disable=not progress, unit="update") as bar:
        for number in range(1, updates + 1):
            agent.update(collector.piece())
            last_return = collector.last_return.reshape(agent.runs, agent.players).copy()
            if not np.isnan(last_return).all():
                bar.set_postfix(last_return=f"{np.nanmean(last_return):.4g}", refresh=False)
            bar.update()
            yield Progress(number, collector.steps, last_return)


class _Collector:
    """Where all environments stand between one piece and the next; arrays have the shape (R · N, …)."""

    def __init__(self, envs: VectorEnv, agent: ActorCritic, seed: int | list[int] | None) -> None:
        self.envs, self.agent, self.steps = envs, agent, 0
        self.last_return = np.full(envs.num_envs, np.nan)
        self._begin(seed)

    def _begin(self, seed: int | list[int] | None = None) -> None:
        self.observation, _ = self.envs.reset(seed=seed)  # type: ignore[arg-type]  # lists are allowed, as SyncVectorEnv says
        check_finite("The first observation", self.observation, of="environment")
        self.age, self.so_far = np.zeros(self.envs.num_envs, dtype=np.int64), np.zeros(self.envs.num_envs)

    def piece(self) -> Piece:
        """Take T steps, or whole episodes: until each environment has ended one."""
        length = self.agent.settings.piece
        rows: list[tuple[NDArray[Any], ...]] = []
        taken = np.ones(self.envs.num_envs, dtype=np.bool_)
        while taken.any() and len(rows) != length:
            row = self._step(taken)
            rows.append(row)
            if length is None:
                taken = taken & ~row[5]
        if length is None:
            self._begin()
        return _piece(rows, self.agent)

    def _step(self, taken: NDArray[np.bool_]) -> tuple[NDArray[Any], ...]:
        """Take one step; return the fields of a `Piece` in their order. Returns count where the step does."""
        agent, self.steps, observation, age = self.agent, self.steps + 1, self.observation, self.age
        seen = torch.as_tensor(observation, dtype=torch.float32, device=agent.device)
        action = agent.explore(seen.view(agent.runs, agent.players, *seen.shape[1:])).flatten(0, 1).cpu().numpy()
        self.observation, reward, terminated, truncated, _ = self.envs.step(within_bounds(self.envs, action))
        check_finite(f"The observation after step {self.steps}", self.observation, of="environment")
        check_finite(f"The reward of step {self.steps}", reward, of="environment")
        row = (observation, action, reward, self.observation, terminated, terminated | truncated, age, taken)
        self.so_far, self.age, ended = self.so_far + reward, age + 1, terminated | truncated
        if ended.any():
            self.last_return[ended & taken] = self.so_far[ended & taken]
            self.so_far[ended], self.age[ended] = 0.0, 0
            self.observation, _ = self.envs.reset(options={"reset_mask": ended})
            what = f"The first observation of a new episode, after step {self.steps},"
            check_finite(what, self.observation, of="environment")
        return row


def _piece(rows: list[tuple[NDArray[Any], ...]], agent: ActorCritic) -> Piece:
    """Turn what T steps brought, each (R · N, …), into tensors (R, T, N, …)."""
    fields = []
    for name, column in zip(Piece._fields, zip(*rows, strict=True), strict=True):
        field = torch.as_tensor(np.stack(column), device=agent.device)
        field = field.view(len(rows), agent.runs, agent.players, *field.shape[2:]).transpose(0, 1)
        fields.append(field.float() if name in ("observation", "reward", "next_observation") else field)
    return Piece(*fields)


def _default_policy(envs: VectorEnv) -> Policy:
    length, shape = vector_length("observation", observation_shape(envs)), action_shape(envs)
    if isinstance(envs.single_action_space, Discrete):
        return Categorical(MLP(length, (64, 64), int(envs.single_action_space.n)))
    return Gaussian(MLP(length, (64, 64), vector_length("action", shape)), first_log_std=-0.5)


def _check_policy(policy: Policy, envs: VectorEnv) -> None:
    """Refuse the policies of this package for spaces that they don't fit; others are their authors' business."""
    shape, space = action_shape(envs), envs.single_action_space
    if isinstance(policy, Categorical) and not isinstance(space, Discrete):
        raise TypeError(f"A Categorical policy numbers its actions, but the action space is {space}: take a Gaussian.")
    if isinstance(policy, Gaussian) and not isinstance(space, Box):
        raise TypeError(f"A Gaussian policy draws vectors, but the action space is {space}: take a Categorical.")
    if isinstance(policy, Categorical | Gaussian):
        seen = observation_shape(envs)
        outputs = int(space.n) if isinstance(space, Discrete) else vector_length("action", shape)
        if policy.network.input_shape != seen or policy.network.outputs != outputs:
            raise ValueError(
                f"The policy's network maps {policy.network.input_shape} to {policy.network.outputs} numbers, but there are "
                f"observations of shape {seen} and actions that need {outputs}."
            )
