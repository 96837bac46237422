"""DQN and double DQN: update by update against a single network in plain PyTorch, and on an MDP whose Q* is known."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.deep.networks import MLP, ConvNet
from sac_tutorial.deep.off_policy import train
from sac_tutorial.deep.replay_buffer import Batch, ReplayBuffer
from sac_tutorial.deep.schedule import LinearSchedule
from sac_tutorial.equations import double_value, greedy_value, squared_loss
from sac_tutorial.exact.dynamic_programming import optimal_q
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.vector_env import make_envs
from tests.helpers import ACTIONS, BATCH, HIDDEN, INPUTS, RUNS, batch, generator, module, spaces
from tests.plain_agents import Learner, assert_same, follow, in_float64, transitions


def agent(*, next_value: Any = greedy_value, loss: Any = squared_loss, **changed: Any) -> DQN:
    settings: dict[str, Any] = {"discount": 0.75, "learning_rate": 0.03, "hidden": (HIDDEN,)} | changed
    return in_float64(DQN(spaces(), DQNSettings(**settings), next_value=next_value, loss=loss))


class PlainDQN:
    """One run of DQN or double DQN."""

    def __init__(self, agent: DQN, run: int, *, double: bool) -> None:
        self.settings, self.run, self.double, self.updates = agent.settings, run, double, 0
        self.online = Learner(module(agent.online.parameters, run), self.settings.learning_rate)
        self.target = module(agent.target, run)

    def update(self, batch: Batch) -> float:
        loss = torch.zeros((), dtype=torch.float64)
        for s, a, r, there, terminated in transitions(batch, self.run):
            y = r.item()
            if not terminated:
                values = self.target(there).tolist()
                chosen_by = self.online(there).tolist() if self.double else values
                y += self.settings.discount * values[chosen_by.index(max(chosen_by))]
            loss = loss + (y - self.online(s)[a]) ** 2 / BATCH
        self.online.minimize(loss)
        self.updates += 1
        if self.settings.tau is not None:
            follow(self.target, self.online, self.settings.tau)
        elif self.settings.target_period and self.updates % self.settings.target_period == 0:
            follow(self.target, self.online, 1.0)
        return loss.item()


@pytest.mark.parametrize("follows", [{"target_period": 2}, {"target_period": None, "tau": 0.2}, {"target_period": 1}])
@pytest.mark.parametrize("double", [False, True], ids=["DQN", "double DQN"])
def test_every_update_is_that_of_a_plain_agent(double: bool, follows: dict[str, Any]) -> None:
    mine = agent(next_value=double_value if double else greedy_value, **follows)
    plain = [PlainDQN(mine, run, double=double) for run in range(RUNS)]
    drawn = mine.generator.get_state()
    for number in range(5):
        losses = mine.update(one := batch(discrete=True, seed=number))
        for run, single in enumerate(plain):
            assert losses[run].item() == pytest.approx(single.update(one), rel=1e-9)
            single.online.assert_same(mine.online, run, atol=1e-9)
            assert_same(mine.target, (run,), single.target.parameters(), atol=1e-9)
    assert mine.updates == 5 and torch.equal(mine.generator.get_state(), drawn)


def test_a_loss_of_ones_own_is_minimized_and_gets_a_target_without_gradient() -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def absolute_error(q: Tensor, target: Tensor) -> Tensor:
        seen.append((q, target))
        return (q - target).abs().mean(-1)

    mine, one = agent(next_value=lambda q, _: q.amax(-1), loss=absolute_error), batch(discrete=True)
    losses = mine.update(one)
    q, target = seen[-1]
    assert q.requires_grad and not target.requires_grad  # although this next value comes from the online network
    assert torch.equal(losses, (q - target).abs().mean(-1).detach())
    slope = torch.zeros(RUNS, BATCH, ACTIONS, dtype=torch.float64)
    slope.scatter_(-1, one.action.unsqueeze(-1), (q - target).detach().sign().unsqueeze(-1) / BATCH)
    torch.testing.assert_close(mine.online.first_moments[-1], 0.1 * slope.sum(1, keepdim=True))  # Adam's first average


def test_arguments_of_a_next_value_with_a_default_are_left_alone() -> None:
    def mixed(q_target: Tensor, share: float = 1.0, *, floor: float = -1e9) -> Tensor:
        return (share * greedy_value(q_target)).clamp(min=floor)

    one = batch(discrete=True)
    assert torch.equal(agent().update(one), agent(next_value=mixed).update(one))


def test_pictures_are_learnt_from_with_a_network_for_pictures() -> None:
    shape = (2, 6, 5)
    mine = DQN(spaces(observation=shape), network=ConvNet(shape, ((4, 3, 1),), (8,), ACTIONS))
    pictures, one = torch.rand(2, RUNS, BATCH, *shape, generator=generator()), batch(discrete=True, kind=torch.float32)
    losses = mine.update(one._replace(observation=pictures[0], next_observation=pictures[1]))
    assert losses.shape == (RUNS,) and mine.explore(pictures[0]).shape == (RUNS, BATCH)


# Acting


def test_q_is_that_of_the_online_network_of_each_run_and_exploiting_takes_its_largest() -> None:
    mine, seen = agent(), batch(discrete=True).observation
    q, shared = mine.q(seen), mine.q(seen[0])
    assert not q.requires_grad and torch.equal(mine.exploit(seen), q.argmax(-1))
    for run in range(RUNS):
        network = module(mine.online.parameters, run)
        torch.testing.assert_close(q[run], network(seen[run]).detach())
        torch.testing.assert_close(shared[run], network(seen[0]).detach())  # one batch for all runs


def test_epsilon_falls_with_the_updates_and_not_with_the_actions() -> None:
    mine, found = agent(epsilon=LinearSchedule(0.9, 0.1, updates=2)), []
    for number in range(4):
        mine.explore(batch(discrete=True).observation)
        found.append(mine.epsilon)
        mine.update(batch(discrete=True, seed=number))
    assert found == pytest.approx([0.9, 0.5, 0.1, 0.1])


@pytest.mark.parametrize("epsilon", [0.0, 0.25, 1.0])
def test_exploring_is_epsilon_greedy_in_every_run_and_runs_draw_apart(epsilon: float) -> None:
    best, count = [2, 5, 0], 7_200
    mine = DQN(spaces(), DQNSettings(epsilon=epsilon), network=MLP(INPUTS, (), ACTIONS))
    with torch.no_grad():
        mine.online.parameters[1][range(RUNS), 0, best] += 100  # run r prefers action best[r], whatever it sees
    action = mine.explore(torch.zeros(RUNS, count, INPUTS))
    chances = [epsilon / ACTIONS + (1 - epsilon) * (torch.arange(ACTIONS) == wanted) for wanted in best]
    for run, other in ((0, 1), (1, 2), (2, 0)):
        pairs = (action[run] * ACTIONS + action[other]).bincount(minlength=ACTIONS**2)
        expected = count * torch.outer(chances[run], chances[other]).flatten().double()
        possible = expected > 0
        assert not pairs[~possible].any()
        if epsilon:
            found = chisquare(pairs[possible].tolist(), expected[possible].tolist(), sum_check=False)
            assert found.pvalue > 1e-6
    assert action.dtype == torch.int64


# Learning what is known


def cut_short() -> FiniteMDP:
    """Four states, three actions, no chance. The best is to stay where it pays for ever; some ends lead to good states.

    A time limit of three steps ends every episode early. An agent that takes a cut for an end, or an end for a step, is wrong
    by more than 1 in some state.
    """
    outcomes = [
        [(0, 1.0, False), (1, 0.0, False), (3, 2.0, True)],
        [(2, 0.5, False), (0, -1.0, False), (3, 3.0, True)],
        [(3, 0.0, False), (1, 1.0, True), (2, -0.5, False)],
        [(3, 1.25, False), (0, 0.5, False), (3, -1.0, True)],
    ]
    return FiniteMDP.from_outcomes(
        [[[(1.0, *outcome)] for outcome in row] for row in outcomes],
        start_probability=torch.full((4,), 0.25, dtype=torch.float64),
        discount=0.8,
    )


def distance_to_q_star(next_value: Callable[..., Tensor], seed: int, runs: int = 4) -> Tensor:
    mdp = cut_short()
    envs = make_envs(mdp, runs, time_limit=3)
    settings = DQNSettings(
        discount=mdp.discount, learning_rate=0.02, epsilon=LinearSchedule(1.0, 0.5, updates=200), target_period=10
    )
    mine = DQN(envs, settings, network=MLP(mdp.states, (16,), mdp.actions), next_value=next_value, seed=seed)
    buffer = ReplayBuffer(envs, 1_000)
    for _ in train(envs, mine, buffer, steps=400, learning_starts=32, batch_size=32, seed=seed, progress=False):
        pass
    return (mine.q(torch.eye(mdp.states)) - optimal_q(mdp)).abs().amax((-1, -2))


@pytest.mark.parametrize("next_value", [greedy_value, double_value])
def test_q_star_is_learnt_although_every_episode_is_cut_short(next_value: Callable[..., Tensor]) -> None:
    # Measured with 60 runs of each kind: median 0.001, largest 0.035.
    assert distance_to_q_star(next_value, seed=0).max() < 0.2
