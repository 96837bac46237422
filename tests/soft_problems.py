"""Problems with continuous actions whose soft answer is known exactly, for both forms of soft actor-critic."""

import math
from typing import Any

import attrs
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.agents.sac import SAC, SACSettings
from sac_tutorial.agents.value_sac import ValueSAC
from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.off_policy import train
from sac_tutorial.deep.policies import SquashedGaussian
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.deep.schedule import LinearSchedule
from sac_tutorial.deep.temperature import LearnedTemperature
from sac_tutorial.exact.dynamic_programming import policy_q
from sac_tutorial.worlds.line_problem import LineProblem, grid, midpoints
from sac_tutorial.worlds.line_vector_env import LineVectorEnv
from sac_tutorial.worlds.squashed_gaussians import SquashedGaussians, cell_probabilities

Form = type[SAC] | type[ValueSAC]


def settings_for(steps: int, **changed: Any) -> SACSettings:
    """Quick learning rates that end low."""
    usual: dict[str, Any] = {
        "discount": 0.8,
        "hidden": (32,),
        "tau": 0.05,
        "critic_learning_rate": LinearSchedule(1e-2, 5e-4, updates=steps),
        "actor_learning_rate": LinearSchedule(1e-2, 1e-3, updates=steps),
    }
    return SACSettings(**usual | changed)


def teach(agent: SAC | ValueSAC, envs: VectorEnv, steps: int, seed: int) -> None:
    buffer = ReplayBuffer(envs, 1_000)
    for _ in train(envs, agent, buffer, steps=steps, learning_starts=50, batch_size=32, seed=seed, progress=False):
        pass


def value_lost_in_one_step(form: Form, seed: int, *, runs: int = 8, steps: int = 300) -> Tensor:
    """How far the soft value of each run's policy is below that of the best squashed Gaussian, in the worst of seven states.

    The episode ends after one action, and the best action is 0.6 x.
    """
    problem, cells = LineProblem(lambda x, a: -2 * (a - 0.6 * x) ** 2), 100
    envs, temperatures = LineVectorEnv(problem, runs), (0.1, 0.25, 0.5, 1.0) * (runs // 4)
    agent = form(envs, settings_for(steps, temperature=temperatures), seed=seed)
    teach(agent, envs, steps, seed)

    state = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64)
    with torch.no_grad():
        shown = state.float().view(1, -1, 1).expand(runs, -1, -1)
        mean, log_std = agent.policy.gaussian(agent.actor.parameters, shown)
    found = cell_probabilities(mean.squeeze(-1), log_std.expand_as(mean).squeeze(-1), cells)
    reward = problem.reward(state[:, None], midpoints(cells))
    family = SquashedGaussians(cells)
    lost = []
    for run, temperature in enumerate(temperatures):
        best = family.project(torch.softmax(reward / temperature, -1))
        values = []
        for policy_cells in (best, found[run]):
            entropy = -torch.special.xlogy(policy_cells, policy_cells * cells / 2).sum(-1)
            values.append((policy_cells * reward).sum(-1) + temperature * entropy)
        lost.append((values[0] - values[1]).max())
    return torch.stack(lost)


def distance_to_soft_q(form: Form, seed: int, *, runs: int = 8, steps: int = 400) -> Tensor:
    """Root mean square distance of each run's critics to soft Q^π of a policy that stays as it is; Q varies by 1.2.

    Half of the runs pay α H̄ for each step that does not end the episode. Here no step does; time limits cut episodes off.
    """
    problem, mean, log_std = LineProblem(lambda x, a: x - a**2, lambda x, a: (x + a) / 2, discount=0.8), 0.25, -0.25
    target = 0.4
    starts = (0.1, 0.25, 0.5, 1.0) * (runs // 4)
    temperatures = [
        LearnedTemperature(target, start=start, learning_rate=1e-30, episode_length_term=True)
        if run < runs // 2
        else start
        for run, start in enumerate(starts)
    ]
    envs = LineVectorEnv(problem, runs, time_limit=3)
    settings = settings_for(steps, temperature=temperatures, actor_learning_rate=1e-30)
    agent = form(envs, settings, policy=SquashedGaussian(MLP(1, (), 2), 1), seed=seed)
    with torch.no_grad():
        agent.actor.parameters[0].zero_()
        agent.actor.parameters[1][:] = torch.tensor([mean, log_std])
    teach(agent, envs, steps, seed)

    states, actions = 41, 80
    mdp = problem.on_grid(states, actions)
    policy = cell_probabilities(torch.tensor(mean), torch.tensor(log_std), actions).expand(states, -1)
    x, a = torch.meshgrid(grid(states)[::4].float(), midpoints(actions)[::4].float(), indexing="ij")
    q = agent.q(*(part.reshape(1, -1, 1).expand(runs, -1, -1) for part in (x, a))).view(-1, runs, *x.shape)
    distances = []
    for run, alpha in enumerate(starts):
        # The entropy of the density is that of the cells and the logarithm of their width, at every step but the first.
        per_step = alpha * math.log(2 / actions) - (alpha * target if run < runs // 2 else 0.0)
        exact = policy_q(attrs.evolve(mdp, reward=mdp.reward + problem.discount * per_step), policy, alpha)[::4, ::4]
        distances.append((q[:, run] - exact).square().mean().sqrt())
    return torch.stack(distances)
