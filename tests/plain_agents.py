"""What the plain agents share. A plain agent is one run of an algorithm, transition by transition, in plain PyTorch.

It has PyTorch's own modules, distributions and Adam. The update of each algorithm stands in the test file of its agent.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from sac_tutorial.deep.policies import SquashedGaussian
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.rollouts import Rollout
from sac_tutorial.deep.state import Stateful
from sac_tutorial.deep.target_network import Parameters
from sac_tutorial.deep.temperature import LearnedTemperature, Temperature
from sac_tutorial.deep.train_state import TrainState
from tests.helpers import ACTIONS, DIMENSIONS, INPUTS, RUNS, double, generator, module, normal

SomeAgent = TypeVar("SomeAgent", bound=Stateful)


def in_float64(agent: SomeAgent) -> SomeAgent:
    """In float64 two ways to the same number agree. Every target network becomes another network than the online one."""
    for seed, name in enumerate(agent.state_names):
        part = getattr(agent, name)
        if isinstance(part, TrainState):
            setattr(agent, name, TrainState(double(part.parameters), part.learning_rate))
        elif isinstance(part, Temperature):
            part.alpha, part.target_entropy = part.alpha.double(), part.target_entropy.double()
            part.train_state = TrainState(double(part.train_state.parameters), part.train_state.learning_rate)
        elif isinstance(part, list):
            setattr(agent, name, [normal(*tensor.shape, seed=seed) / 2 for tensor in part])
    return agent


def transitions(batch: Batch, run: int) -> Iterator[tuple[Tensor, ...]]:
    """(s, a, r, s′, d) of one run, one after the other."""
    return zip(*(field[run] for field in batch), strict=True)


class Learner:
    """One network of one run with an Adam of its own."""

    def __init__(self, network: nn.Module, learning_rate: Any) -> None:
        self.network, self.adam = network, torch.optim.Adam(network.parameters(), lr=learning_rate)

    def __call__(self, *inputs: Tensor) -> Any:
        return self.network(*inputs)

    def minimize(self, loss: Any) -> None:
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()

    def assert_same(self, mine: TrainState, *place: int, atol: float = 1e-7) -> None:
        """Compare parameters and gradients. Adam's steps hide the size of a gradient, but its running averages do not."""
        theirs = list(self.network.parameters())
        slopes = [self.adam.state[each]["exp_avg"] for each in theirs]
        assert_same(mine.parameters, place, theirs, atol=atol)
        assert_same(mine.first_moments, place, slopes, atol=atol / 10)


def assert_same(mine: Parameters, place: tuple[int, ...], theirs: Iterable[Tensor], *, atol: float = 1e-7) -> None:
    """Compare our tensors at one place of the leading axes with those of a module of PyTorch."""
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one[place].T.reshape(other.shape).detach(), other.detach(), rtol=0, atol=atol)


def follow(target: nn.Module, online: Learner, tau: float) -> None:
    """θ̄ ← (1 − τ) θ̄ + τ θ."""
    for there, here in zip(target.parameters(), online.network.parameters(), strict=True):
        there.data = (1 - tau) * there.data + tau * here.data


class SquashedActor(nn.Module):
    """The squashed Gaussian of one run: PyTorch's Normal and its TanhTransform."""

    def __init__(self, policy: SquashedGaussian, parameters: Parameters, run: int) -> None:
        super().__init__()
        *network, last = parameters
        self.network = module(parameters if policy.state_dependent else network, run)
        shared = [] if policy.state_dependent else [nn.Parameter(last[run, 0].detach().clone())]
        self.dimensions, self.shared_log_std = policy.dimensions, nn.ParameterList(shared)

    def forward(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The action μ + σ ξ, squashed, and its log-density."""
        mean, *log_std = self.network(observation).split(self.dimensions)
        std = [*log_std, *self.shared_log_std][0].exp()
        transform = TanhTransform(cache_size=1)
        action = transform(mean + std * noise)
        density: Any = TransformedDistribution(Normal(mean, std), [transform])
        return action, density.log_prob(action).sum()


class PlainTemperature:
    """α of one run, learned or not, and the cost α H̄ of a step that does not end the episode."""

    def __init__(self, setting: Any) -> None:
        learns = isinstance(setting, LearnedTemperature)
        start, rate = (setting.start, setting.learning_rate) if learns else (setting, 0.0)
        self.in_log, self.charged = learns and setting.in_log, learns and setting.episode_length_term
        self.target = setting.target_entropy if learns else 0.0
        begin = torch.tensor(start, dtype=torch.float64)
        self.parameter = nn.Parameter(begin.log() if self.in_log else begin)
        self.adam = torch.optim.Adam([self.parameter], lr=rate)

    def _alpha(self) -> Tensor:
        return self.parameter.exp() if self.in_log else self.parameter

    @property
    def alpha(self) -> float:
        return self._alpha().item()

    @property
    def step_cost(self) -> float:
        return self.alpha * self.target if self.charged else 0.0

    def update(self, entropies: list[float]) -> None:
        """α falls where the entropy is above its target."""
        self.adam.zero_grad()
        loss: Any = self._alpha() * (sum(entropies) / len(entropies) - self.target)
        loss.backward()
        self.adam.step()

    def assert_same(self, mine: Temperature, run: int) -> None:
        torch.testing.assert_close(mine.alpha[run, 0].item(), self.alpha, rtol=0, atol=1e-6)
        if mine.learned[run]:
            slope = self.adam.state[self.parameter]["exp_avg"]
            torch.testing.assert_close(mine.train_state.first_moments[0][run, 0], slope, rtol=0, atol=1e-6)


def temperatures(**how: Any) -> tuple[float | LearnedTemperature, ...]:
    """One for each of three runs: two that learn α in this way, and between them one that does not."""
    high, low = (LearnedTemperature(target, start=2.0, learning_rate=0.05, **how) for target in (0.5, 0.25))
    return high, 0.5, low


TEMPERATURES = {
    "fixed": (0.5, 0.0, 2.0),
    "log α": temperatures(),
    "log α, episode length": temperatures(episode_length_term=True),
    "α, episode length": temperatures(in_log=False, episode_length_term=True),
}


STEPS, ENVS = 5, 2
"""The steps of a rollout, and the environments of each run."""


def rollout(*, discrete: bool, seed: int = 0, whole: bool = False, kind: torch.dtype = torch.float64) -> Rollout:
    """Random steps; a fifth terminates, a fifth is cut off. In whole episodes, what follows the first end is padding."""
    draw, shape = generator(seed), (RUNS, STEPS, ENVS)

    def noise(*more: int) -> Tensor:
        return torch.randn((*shape, *more), generator=draw, dtype=torch.float64).to(kind)

    terminated = torch.rand(shape, generator=draw) < 0.2
    ended = terminated | (torch.rand(shape, generator=draw) < 0.2)
    taken = torch.ones(shape, dtype=torch.bool)
    if whole:
        ended[:, -1] = True
        taken = torch.cat([taken[:, :1], ~ended.cummax(1).values[:, :-1]], 1)
    return Rollout(
        observation=noise(INPUTS),
        action=torch.randint(ACTIONS, shape, generator=draw) if discrete else noise(DIMENSIONS),
        reward=noise(),
        next_observation=noise(INPUTS),
        terminated=terminated,
        ended=ended,
        age=torch.randint(9, shape, generator=draw),
        taken=taken,
    )


def regress(critics: list[Learner], pairs: Iterable[Any], targets: list[float]) -> float:
    """Let each critic take a step towards the targets; return the sum of their losses ½ E (Q − y)²."""
    total = 0.0
    for critic in critics:
        loss = sum((critic(pair).squeeze() - y) ** 2 for pair, y in zip(pairs, targets, strict=True)) / len(targets) / 2
        critic.minimize(loss)
        total += loss.item()
    return total
