"""Actor–critic on the policy's own data: A2C with short rollouts, REINFORCE with whole episodes.

The two differ in `rollout_length` alone: after so many steps, the critic's value stands for the rest of the episode.
"""

import attrs
import torch
from gymnasium.spaces import Discrete
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.deep.networks import MLP, Network, check_network
from sac_tutorial.deep.policies import Categorical, Gaussian, Policy
from sac_tutorial.deep.rollouts import Rollout
from sac_tutorial.deep.schedule import Schedule, schedule_field
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.equations import actor_critic_loss, bootstrapped_return, squared_loss
from sac_tutorial.validation import (
    NON_NEGATIVE,
    POSITIVE,
    flag_field,
    number_field,
    optional_field,
    seed_number,
    settings_or_default,
    whole_number,
    whole_number_field,
    widths_field,
)
from sac_tutorial.worlds.spaces import action_shape, observation_shape, vector_length


@attrs.frozen
class ActorCriticSettings:
    """The hyper-parameters of A2C and REINFORCE.

    Args:
        discount: γ.
        learning_rate: η of the actor's Adam, a number or a `LinearSchedule`.
        critic_learning_rate: η of the critic's Adam.
        envs_per_run: N, the number of environments of each run.
        rollout_length: T: so many steps of each environment make one update, and the critic values what follows (A2C). None
            stands for whole episodes, one of each environment (REINFORCE with the critic as baseline).
        entropy_bonus: β, what the entropy of a visited state adds to the objective, equation (5.14).
        discount_steps: Whether step t of an episode counts γ^t, as in the gradient of the discounted return, equation (5.7).
            A2C leaves γ^t out. The bonus is not weighted, and the loss is a mean over steps, not a sum over episodes.
        hidden: The widths of the hidden layers of all networks that are not given.

    Raises:
        TypeError: If a value is of the wrong type.
        ValueError: If a value is out of range.
    """

    discount: float = number_field(0.99, "[0, 1)")
    learning_rate: Schedule = schedule_field(1e-3, POSITIVE)
    critic_learning_rate: Schedule = schedule_field(3e-3, POSITIVE)
    envs_per_run: int = whole_number_field(1)
    rollout_length: int | None = optional_field(16, whole_number)
    entropy_bonus: float = number_field(0.01, NON_NEGATIVE)
    discount_steps: bool = flag_field(False)
    hidden: tuple[int, ...] = widths_field((64, 64))


class ActorCritic(Stateful):
    """A2C or REINFORCE, R independent runs at once, each with N environments.

    Args:
        envs: R · N environments; run r has those from r · N on.
        settings: The hyper-parameters.
        policy: How actions are drawn. Default: `Categorical` for discrete actions, `Gaussian` for continuous actions.
        critic: From observations to one number. Default: an `MLP`.
        seed: The seed of the one generator that draws parameters and actions.
        device: Where everything is computed.

    Attributes:
        actor, critic: `TrainState`s; their parameters have the leading axis R.

    Raises:
        TypeError: If an argument is of the wrong type, or if the policy does not fit the kind of actions.
        ValueError: If the number of environments is not a multiple of N, or if a network does not fit the spaces.

    Source: Williams (1992); Mnih et al. (2016), algorithm S3, synchronously.
    """

    state_names = ("actor", "critic", "generator")
    fixed_names = ("settings", "policy", "critic_network", "runs", "device")

    def __init__(
        self,
        envs: VectorEnv,
        settings: ActorCriticSettings | None = None,
        *,
        policy: Policy | None = None,
        critic: Network | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings = settings_or_default(settings, ActorCriticSettings)
        self.observation_shape, self.action_space = observation_shape(envs), envs.single_action_space
        self.envs_per_run = self.settings.envs_per_run
        if envs.num_envs % self.envs_per_run:
            raise ValueError(f"{envs.num_envs} environments cannot be shared out to runs of {self.envs_per_run} each.")
        self.runs, self.device = envs.num_envs // self.envs_per_run, torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed_number(seed))

        self.policy = policy or _default_policy(envs, self.settings.hidden)
        _check_policy(self.policy, envs)
        self.actor = TrainState(self.policy.initial((self.runs,), self.generator), self.settings.learning_rate)

        shape = self.observation_shape
        self.critic_network = critic or MLP(vector_length("observation", shape), self.settings.hidden, 1)
        check_network(self.critic_network, shape, 1, "critic")
        self.critic = TrainState(
            self.critic_network.initial((self.runs,), self.generator), self.settings.critic_learning_rate
        )

    @property
    def rollout_length(self) -> int | None:
        """How many steps make one update. None stands for whole episodes."""
        return self.settings.rollout_length

    # Acting

    def explore(self, observation: Tensor) -> Tensor:
        """Draw actions from the policy for observations of shape (R, B, *observation)."""
        return self.policy.sample(self.actor.parameters, observation, self.generator)

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the most likely actions for observations of shape (R, B, *observation)."""
        return self.policy.mode(self.actor.parameters, observation)

    def value(self, observation: Tensor) -> Tensor:
        """Return the critic's V(s), with its gradient, shape (R, B), for observations of shape (R, B, *observation)."""
        return self.critic_network(self.critic.parameters, observation).squeeze(-1)

    # Learning

    def update(self, rollout: Rollout) -> Tensor:
        """Take one gradient step of actor and critic in every run; return the critic's losses before the step, shape (R,).

        Equations (5.12) and (5.9) for return and advantage, (5.10) and (5.14) for the actor, (3.2) for the critic.
        """
        returns = self.returns(rollout)
        observation, action, taken, age = (
            field.flatten(1, 2) for field in (rollout.observation, rollout.action, rollout.taken, rollout.age)
        )
        # With these weights, a mean over all steps is a mean over the steps that count.
        weight = taken / taken.float().mean(-1, keepdim=True)
        value = self.value(observation)
        advantage = returns - value.detach()
        if self.settings.discount_steps:
            advantage = self.settings.discount**age * advantage
        log_probability, entropy = self.policy.log_probability(self.actor.parameters, observation, action)
        bonus = self.settings.entropy_bonus
        self.actor.minimize(actor_critic_loss(log_probability, advantage, entropy, bonus, weight))
        loss = squared_loss(value, returns, weight)
        self.critic.minimize(loss)
        return loss.detach()

    @torch.no_grad()
    def returns(self, rollout: Rollout) -> Tensor:
        """Return G_t of every step, equation (5.12), shape (R, T · N)."""
        next_value = self.value(rollout.next_observation.flatten(1, 2)).view_as(rollout.reward)
        return bootstrapped_return(
            rollout.reward, rollout.terminated, rollout.ended, next_value, self.settings.discount
        ).flatten(1, 2)


def _default_policy(envs: VectorEnv, hidden: tuple[int, ...]) -> Policy:
    length, shape = vector_length("observation", observation_shape(envs)), action_shape(envs)
    if isinstance(envs.single_action_space, Discrete):
        return Categorical(MLP(length, hidden, int(envs.single_action_space.n)))
    return Gaussian(MLP(length, hidden, vector_length("action", shape)), first_log_std=-0.5)


def _check_policy(policy: Policy, envs: VectorEnv) -> None:
    """Check the policies of this package against the spaces. A policy of your own is not checked further."""
    if not hasattr(policy, "log_probability"):
        raise TypeError(f"policy must be a Categorical or a Gaussian over a network, for example, but is {policy!r}.")
    shape, space = action_shape(envs), envs.single_action_space
    right = Categorical if isinstance(space, Discrete) else Gaussian
    if isinstance(policy, Categorical | Gaussian):
        if not isinstance(policy, right):
            raise TypeError(
                f"The action space is {space}, which needs a {right.__name__} policy, but policy is {policy!r}."
            )
        outputs = int(space.n) if isinstance(space, Discrete) else vector_length("action", shape)
        check_network(policy.network, observation_shape(envs), outputs, "the policy's network")
