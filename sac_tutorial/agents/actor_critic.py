"""Actor–critic on the data of the policy itself: A2C with pieces of episodes, REINFORCE with whole ones.

The two differ in `piece` alone, the number of steps after which the critic's value stands for what is to come.

May import: `equations`, `networks`, `on_policy`, `policies`, `saving`, `schedule`, `vector_env`, `_borders`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.networks import MLP, Network, TrainState, check_learning_rate
from sac_tutorial.deep.on_policy import Rollout
from sac_tutorial.deep.policies import Categorical, Gaussian, Policy
from sac_tutorial.deep.schedule import Schedule
from sac_tutorial.equations import bootstrapped_return, policy_gradient_loss
from sac_tutorial.files.saving import load_agent, save_agent
from sac_tutorial.validation import number_in, positive_integer, whole_number
from sac_tutorial.worlds.vector_env import action_shape, observation_shape, vector_length


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
        check_learning_rate(self.critic_learning_rate, "critic_learning_rate")
        if self.piece is not None:
            positive_integer("piece", self.piece)
        number_in("entropy_bonus", self.entropy_bonus, 0, math.inf, open_above=True)
        if not isinstance(self.weigh_time, bool):
            raise TypeError(f"weigh_time must be True or False, but is {self.weigh_time!r}.")


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
        actor, critic: `TrainState`s; their `parameters` have the leading axis R.

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
            raise ValueError(f"{envs.num_envs} environments can't be shared evenly by {runs} runs.")
        self.action_space, self.observation_shape = envs.single_action_space, shape
        self.envs_per_run, self.device = envs.num_envs // runs, torch.device(device)
        self.policy = policy or _default_policy(envs)
        _check_policy(self.policy, envs)
        self.critic_network = critic or MLP(vector_length("observation", shape), (64, 64), 1)
        if self.critic_network.input_shape != shape or self.critic_network.outputs != 1:
            raise ValueError(
                f"The critic maps observations of shape {shape} to one number, but this network maps "
                f"{self.critic_network.input_shape} to {self.critic_network.outputs}."
            )
        self.generator = torch.Generator(self.device).manual_seed(whole_number("seed", seed))
        self.actor = TrainState(self.policy.initial((runs,), self.generator), self.settings.learning_rate)
        self.critic = TrainState(
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
        """Return the critic's V(s), with its gradient, shape (R, B), for observations of shape (R, B, *observation)."""
        return self.critic_network(self.critic.parameters, observation).squeeze(-1)

    # Learning

    def update(self, piece: Rollout) -> Tensor:
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
        advantage = returns - value.detach()
        if settings.weigh_time:
            advantage = settings.discount ** piece.age.flatten(1, 2) * advantage
        log_probability, entropy = self.policy.log_probability(self.actor.parameters, observation, action)
        bonus = settings.entropy_bonus * (weight * entropy).mean(-1)
        self.actor.minimize(policy_gradient_loss(log_probability, weight * advantage) - bonus)
        loss = (weight * (returns - value).square()).mean(-1)
        self.critic.minimize(loss)
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
        self.actor = TrainState(self.actor.parameters, self.settings.learning_rate, steps=steps)
        self.critic = TrainState(self.critic.parameters, self.settings.critic_learning_rate, steps=steps)

    @property
    def piece(self) -> int | None:
        """How many steps make one update; None: whole episodes."""
        return self.settings.piece

    @property
    def _shape(self) -> str:
        return f"{self.policy!r} and {self.critic_network!r}"

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {"actor": self.actor.parameters, "critic": self.critic.parameters}


def _default_policy(envs: VectorEnv) -> Policy:
    length, shape = vector_length("observation", observation_shape(envs)), action_shape(envs)
    if isinstance(envs.single_action_space, Discrete):
        return Categorical(MLP(length, (64, 64), int(envs.single_action_space.n)))
    return Gaussian(MLP(length, (64, 64), vector_length("action", shape)), first_log_std=-0.5)


def _check_policy(policy: Policy, envs: VectorEnv) -> None:
    """Refuse the policies of this package for spaces that they don't fit; others are their authors' business."""
    if not hasattr(policy, "log_probability"):
        raise TypeError(f"policy must be one, such as a Categorical or a Gaussian over a network, but is {policy!r}.")
    shape, space = action_shape(envs), envs.single_action_space
    if isinstance(policy, Categorical) and not isinstance(space, Discrete):
        raise TypeError(f"A Categorical policy numbers its actions, but the action space is {space}: take a Gaussian.")
    if isinstance(policy, Gaussian) and not isinstance(space, Box):
        raise TypeError(f"A Gaussian policy draws vectors, but the action space is {space}: take a Categorical.")
    if isinstance(policy, Categorical | Gaussian):
        seen = observation_shape(envs)
        outputs = int(space.n) if isinstance(space, Discrete) else math.prod(shape)
        if policy.network.input_shape != seen or policy.network.outputs != outputs:
            raise ValueError(
                f"The policy's network maps {policy.network.input_shape} to {policy.network.outputs} numbers, but there are "
                f"observations of shape {seen} and actions that need {outputs}."
            )
