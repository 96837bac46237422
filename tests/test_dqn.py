"""DQN and double DQN, update by update against a single network in plain PyTorch, and against exact values."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import safetensors.torch
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from gymnasium.vector import VectorEnv
from scipy.stats import chisquare
from torch import Tensor, nn

from sac_tutorial.agents.actor_critic import ActorCritic
from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.deep.networks import MLP, ConvNet, Network, TrainState
from sac_tutorial.deep.off_policy import train
from sac_tutorial.deep.replay_buffer import Batch, ReplayBuffer
from sac_tutorial.deep.schedule import Linear
from sac_tutorial.equations import double_value, greedy_value, huber_loss
from sac_tutorial.exact.dynamic_programming import optimal_q
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.vector_env import make_envs

RUNS, BATCH, INPUTS, HIDDEN, ACTIONS = 3, 5, 4, 6, 7
DISCOUNT, RATE = 0.75, 0.03


def spaces(runs: int = RUNS, observation: tuple[int, ...] = (INPUTS,), action: Space[Any] | None = None) -> VectorEnv:
    """Environments that have nothing but the spaces that an agent asks for."""
    envs: VectorEnv = VectorEnv()
    envs.num_envs = runs
    envs.single_observation_space = Box(-np.inf, np.inf, observation)
    envs.single_action_space = action or Discrete(ACTIONS)
    return envs


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(seed: int = 0, runs: int = RUNS, size: int = BATCH) -> Batch:
    """Random transitions in float64, about half of them terminal."""
    draw = generator(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    return Batch(
        observation=normal(runs, size, INPUTS),
        action=torch.randint(ACTIONS, (runs, size), generator=draw),
        reward=normal(runs, size),
        next_observation=normal(runs, size, INPUTS),
        terminated=torch.rand(runs, size, generator=draw) < 0.5,
    )


def agent(seed: int = 0, *, envs: VectorEnv | None = None, **options: Any) -> DQN:
    """An agent in float64, in which two ways to the same number agree, whose two networks differ."""
    settings = DQNSettings(
        **{"discount": DISCOUNT, "learning_rate": RATE, "target_period": 1_000} | options.pop("with", {})
    )
    made = DQN(envs or spaces(), settings, network=MLP(INPUTS, (HIDDEN,), ACTIONS), seed=seed, **options)
    made.online = TrainState([parameter.double() for parameter in made.online.parameters], RATE)
    made.target = [tensor.double() for tensor in made.network.initial((RUNS,), generator(100 + seed))]
    return made


def module(parameters: list[Tensor], run: int) -> nn.Sequential:
    first, second = nn.Linear(INPUTS, HIDDEN, dtype=torch.float64), nn.Linear(HIDDEN, ACTIONS, dtype=torch.float64)
    for layer, weight, bias in ((first, *parameters[:2]), (second, *parameters[2:])):
        layer.weight.data, layer.bias.data = weight[run].detach().T.clone(), bias[run, 0].detach().clone()
    return nn.Sequential(first, nn.ReLU(), second)


def assert_same(mine: list[Tensor], run: int, theirs: nn.Module, atol: float = 1e-11) -> None:
    for one, other in zip(module(mine, run).parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=atol)


# One update after the other


def plain_target(one: Batch, run: int, i: int, online: nn.Module, target: nn.Module, double: bool) -> float:
    """Equation (3.8) or (4.6), transition by transition."""
    y = one.reward[run, i].item()
    if not one.terminated[run, i]:
        values = target(one.next_observation[run, i]).tolist()
        selecting = online(one.next_observation[run, i]).tolist() if double else values
        y += DISCOUNT * values[selecting.index(max(selecting))]
    return y


@pytest.mark.parametrize("follow", [{"target_period": 3}, {"target_period": None, "tau": 0.2}, {"target_period": 1}])
@pytest.mark.parametrize("double", [False, True])
def test_updates_are_those_of_single_networks_in_plain_pytorch(double: bool, follow: dict[str, Any]) -> None:
    mine = agent(next_value=double_value if double else greedy_value, **{"with": follow})
    online = [module(mine.online.parameters, run) for run in range(RUNS)]
    target = [module(mine.target, run) for run in range(RUNS)]
    optimisers = [torch.optim.Adam(single.parameters(), lr=RATE) for single in online]
    for step in range(1, 8):
        one = batch(step)
        losses = mine.update(one)
        for run in range(RUNS):
            q = torch.stack([online[run](one.observation[run, i])[one.action[run, i]] for i in range(BATCH)])
            y = [plain_target(one, run, i, online[run], target[run], double) for i in range(BATCH)]
            loss = sum((q[i] - y[i]) ** 2 for i in range(BATCH)) / BATCH
            assert losses[run].item() == pytest.approx(loss.item(), rel=1e-9)  # type: ignore[union-attr]
            optimisers[run].zero_grad()
            loss.backward()  # type: ignore[union-attr]
            optimisers[run].step()
            for there, here in zip(target[run].parameters(), online[run].parameters(), strict=True):
                if follow.get("tau"):
                    there.data = 0.8 * there.data + 0.2 * here.data
                elif step % follow["target_period"] == 0:
                    there.data = here.data.clone()
            assert_same(mine.online.parameters, run, online[run])
            assert_same(mine.target, run, target[run])
    assert losses.shape == (RUNS,) and not losses.requires_grad
    assert mine.updates == 7


def gradients(made: DQN) -> list[Tensor]:
    return made.online.gradients


def through_both(q: Tensor, q_target: Tensor) -> Tensor:
    """A student's value that looks at the online network's numbers, not only at their order."""
    return q.amax(-1) - q_target.amin(-1)


@pytest.mark.parametrize("next_value", [greedy_value, double_value, through_both])
def test_the_target_carries_no_gradient(next_value: Callable[..., Tensor]) -> None:
    one, made = batch(), agent(next_value=next_value)
    before = [parameter.detach().clone().requires_grad_() for parameter in made.online.parameters]
    q, target_q = made.network(before, one.next_observation), made.network(made.target, one.next_observation)
    value = next_value(target_q) if next_value is greedy_value else next_value(q, target_q)
    y = (one.reward + DISCOUNT * value * ~one.terminated).detach()
    taken = made.network(before, one.observation).gather(-1, one.action.unsqueeze(-1)).squeeze(-1)
    expected = torch.autograd.grad(((taken - y) ** 2).mean(-1).sum(), before)
    made.update(one)
    for found, wanted in zip(gradients(made), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
    assert not any(tensor.requires_grad or tensor.grad is not None for tensor in made.target)


def test_the_loss_gets_a_target_without_gradient_even_where_target_and_online_network_are_one() -> None:
    seen = []

    def spy(q: Tensor, target: Tensor) -> Tensor:
        seen.append((q, target))
        return (q - target).abs().mean(-1)

    made = agent(next_value=lambda q, _: q.amax(-1), loss=spy)
    losses = made.update(batch())
    q, target = seen[0]
    assert q.requires_grad and not target.requires_grad
    assert q.shape == target.shape == (RUNS, BATCH)
    assert torch.equal(losses, (q - target).abs().mean(-1).detach())


def test_next_values_are_asked_with_online_and_target_network_in_this_order() -> None:
    asked: list[tuple[Tensor, ...]] = []

    def one_argument(q_target: Tensor) -> Tensor:
        asked.append((q_target,))
        return greedy_value(q_target)

    def two_arguments(q: Tensor, q_target: Tensor) -> Tensor:
        asked.append((q, q_target))
        return double_value(q, q_target)

    for next_value in (one_argument, two_arguments):
        made, one = agent(next_value=next_value), batch()
        online = made.network(made.online.parameters, one.next_observation).detach()
        target = made.network(made.target, one.next_observation)
        made.update(one)
        found = asked.pop()
        assert all(map(torch.equal, found, (online, target)[-len(found) :]))
        assert not torch.allclose(online, target)
        assert not any(q.requires_grad for q in found)


def test_functions_with_further_arguments_that_have_a_default_count_those_without() -> None:
    def mixed(q_target: Tensor, share: float = 1.0, *, floor: float = -1e9) -> Tensor:
        return (share * greedy_value(q_target)).clamp(min=floor)

    plain, other = agent(), agent(next_value=mixed)
    assert torch.equal(plain.update(batch()), other.update(batch()))


@pytest.mark.parametrize(
    "next_value", [lambda: None, lambda a, b, c: a + b + c, lambda *q: q[0].amax(-1), lambda *, q: q.amax(-1)]
)
def test_a_next_value_of_no_or_three_arguments_is_refused(next_value: Any) -> None:
    with pytest.raises(TypeError, match="next_value must be a function of Q̄"):
        DQN(spaces(), next_value=next_value)


def test_ends_are_masked_and_nothing_else() -> None:
    one = batch()
    going, ending = agent(), agent()
    nowhere = one._replace(terminated=torch.ones_like(one.terminated), next_observation=one.next_observation + 1e6)
    ending.update(nowhere)
    other = agent(next_value=lambda q: q.amax(-1) * 0)
    other.update(one._replace(terminated=torch.zeros_like(one.terminated)))
    going.update(one)
    assert all(map(torch.equal, ending.online.parameters, other.online.parameters))
    assert not any(map(torch.equal, ending.online.parameters, going.online.parameters))


def test_with_one_hot_features_and_a_linear_network_an_update_is_the_tabular_one() -> None:
    # ∂/∂Q(s, a) of the mean of (y − Q)² is −2/B Σ (y − Q) over the visits of (s, a): equation (2.3) but for its factor.
    states, size = 4, 6
    envs = spaces(2, (states,), Discrete(3))
    made = DQN(envs, DQNSettings(discount=0.5, learning_rate=0.25), network=MLP(states, (), 3))
    with torch.no_grad():
        for parameter in made.online.parameters:
            parameter.zero_()
    table = torch.tensor([[[1, 5, 3], [2, 8, 4], [0, -1, -2], [6, 6, 6]]]) * torch.tensor([1, 10]).view(2, 1, 1)
    made.target = [table.float(), torch.zeros(2, 1, 3)]
    state, following = torch.tensor([[0, 0, 1, 3, 3, 0], [2, 1, 1, 1, 0, 3]]), torch.tensor([[1, 0, 3, 2, 2, 1]] * 2)
    action = torch.tensor([[2, 2, 0, 1, 0, 1], [0, 0, 1, 2, 2, 2]])
    reward = torch.tensor([[1.0, 2, 3, 4, 5, 6], [-1, -2, -3, -4, -5, -6]])
    terminated = torch.tensor([[False, False, True, False, False, True], [True, True, False, False, False, False]])
    made.update(Batch(torch.eye(states)[state], action, reward, torch.eye(states)[following], terminated))

    direction = torch.zeros(2, states, 3)
    for run in range(2):
        for i in range(size):
            best = table[run, following[run, i]].max().item()
            y = reward[run, i].item() + (0 if terminated[run, i] else 0.5 * best)
            direction[run, state[run, i], action[run, i]] += -2 / size * (y - 0)
    weight, bias = gradients(made)
    torch.testing.assert_close(weight, direction)
    torch.testing.assert_close(bias, direction.sum(1, keepdim=True))
    torch.testing.assert_close(made.online.parameters[0].detach(), -0.25 * direction.sign())  # Adam's first step is η


def test_the_given_loss_is_the_one_that_is_descended() -> None:
    one = batch()._replace(reward=torch.full((RUNS, BATCH), 1e3, dtype=torch.float64))  # far away: |δ| counts, not δ²
    squared, huber = agent(), agent(loss=huber_loss)
    loss = huber.update(one)
    squared.update(one)
    assert (loss > 500).all() and (loss < 1_500).all()
    last_bias = gradients(huber)[-1].squeeze(1)
    visits = torch.stack([one.action[run].bincount(minlength=ACTIONS) for run in range(RUNS)])
    torch.testing.assert_close(last_bias, -visits.double() / BATCH)
    assert gradients(squared)[-1].abs().max() > 100


# Target networks


def test_the_target_network_is_copied_once_a_period_and_not_in_between() -> None:
    made = agent(**{"with": {"target_period": 3}})
    at_first = [tensor.clone() for tensor in made.target]
    for update in range(1, 10):
        made.update(batch(update))
        if update < 3:
            assert all(map(torch.equal, made.target, at_first))
        elif update % 3 == 0:
            assert all(map(torch.equal, made.target, made.online.parameters))
            kept = [tensor.clone() for tensor in made.target]
        else:
            assert all(map(torch.equal, made.target, kept))
            assert not any(map(torch.equal, made.target, made.online.parameters))


def test_both_networks_begin_alike_and_apart() -> None:
    made = DQN(spaces())
    assert all(map(torch.equal, made.target, made.online.parameters))
    assert not any(a.data_ptr() == b.data_ptr() for a, b in zip(made.target, made.online.parameters, strict=True))
    assert not any(tensor.requires_grad for tensor in made.target)
    assert made.updates == 0


def test_no_two_runs_begin_alike() -> None:
    for parameter in DQN(spaces()).online.parameters:
        assert len({tuple(run.flatten().tolist()) for run in parameter}) == RUNS


# Acting


@pytest.mark.parametrize(
    ("updates", "epsilon"), [(0, 0.9), (1, 0.82), (5, 0.5), (9, 0.18), (10, 0.1), (11, 0.1), (10**6, 0.1)]
)
def test_epsilon_falls_in_a_straight_line_and_then_stays(updates: int, epsilon: float) -> None:
    made = DQN(spaces(), DQNSettings(epsilon=Linear(0.9, 0.1, updates=10)))
    made.online.steps = updates
    assert made.epsilon == pytest.approx(epsilon)


def test_epsilon_falls_with_updates_and_not_with_actions() -> None:
    made = agent(**{"with": {"epsilon": Linear(1, 0, updates=2)}})
    made.explore(batch().observation)
    assert made.epsilon == 1
    made.update(batch())
    assert made.epsilon == 0.5
    made.update(batch())
    assert made.epsilon == 0


def greedy_agent(epsilon: float, best: list[int]) -> DQN:
    """An agent whose run r thinks best of action best[r], whatever it sees."""
    made = DQN(spaces(len(best)), DQNSettings(epsilon=epsilon), network=MLP(INPUTS, (), ACTIONS))
    with torch.no_grad():
        made.online.parameters[0].zero_()
        made.online.parameters[1].zero_()
        made.online.parameters[1][range(len(best)), 0, best] = 1.0
    return made


@pytest.mark.parametrize("epsilon", [0.0, 0.25, 0.8, 1.0])
def test_exploring_is_epsilon_greedy_in_every_run(epsilon: float) -> None:
    best, count = [2, 6, 0], 14_000
    action = greedy_agent(epsilon, best).explore(torch.zeros(3, count, INPUTS))
    assert action.shape == (3, count) and action.dtype == torch.int64
    for run in range(3):
        counts = action[run].bincount(minlength=ACTIONS)
        expected = torch.full((ACTIONS,), epsilon / ACTIONS)
        expected[best[run]] += 1 - epsilon
        if epsilon == 0:
            assert counts[best[run]] == count
        else:
            assert chisquare(counts.tolist(), (count * expected.double()).tolist(), sum_check=False).pvalue > 1e-6
    if epsilon:
        pairs = (action[0] * ACTIONS + action[1]).bincount(minlength=ACTIONS**2).reshape(ACTIONS, ACTIONS)
        chance = [epsilon / ACTIONS + (1 - epsilon) * (torch.arange(ACTIONS) == best[run]) for run in (0, 1)]
        wanted = count * torch.outer(*chance).double()
        assert chisquare(pairs.flatten().tolist(), wanted.flatten().tolist(), sum_check=False).pvalue > 1e-6


def test_exploiting_takes_the_largest_of_the_online_network_and_draws_nothing() -> None:
    made, one = agent(), batch()
    state = made.generator.get_state()
    q = made.network(made.online.parameters, one.observation)
    action = made.exploit(one.observation)
    assert action.dtype == torch.int64 and action.shape == (RUNS, BATCH)
    assert torch.equal(action, q.argmax(-1))
    assert not torch.equal(action, made.network(made.target, one.observation).argmax(-1))
    assert torch.equal(made.generator.get_state(), state)
    assert made.epsilon == 1


def test_q_is_that_of_every_run_for_its_own_observations_or_for_the_same() -> None:
    made, one = agent(), batch()
    q = made.q(one.observation)
    assert not q.requires_grad
    for run in range(RUNS):
        torch.testing.assert_close(q[run], module(made.online.parameters, run)(one.observation[run]))
        torch.testing.assert_close(
            made.q(one.observation[0])[run], module(made.online.parameters, run)(one.observation[0])
        )


def test_a_seed_repeats_parameters_and_exploration() -> None:
    first, again, other = (DQN(spaces(), seed=seed) for seed in (3, 3, 4))
    assert all(map(torch.equal, first.online.parameters, again.online.parameters))
    assert not any(map(torch.equal, first.online.parameters, other.online.parameters))
    seen = torch.zeros(RUNS, 50, INPUTS)
    assert torch.equal(first.explore(seen), again.explore(seen))
    assert not torch.equal(first.explore(seen), other.explore(seen))


def test_the_learning_rate_may_follow_a_schedule_over_the_updates() -> None:
    rates = [0.03, 0.02, 0.01, 0.0, 0.0]
    mine = agent()
    mine.online = TrainState(mine.online.parameters, Linear(0.03, 0.0, updates=3))
    online = module(mine.online.parameters, 1)
    optimiser = torch.optim.Adam(online.parameters())
    for step, rate in enumerate(rates):
        one = batch(step)
        q = online(one.observation[1]).gather(-1, one.action[1].unsqueeze(-1)).squeeze(-1)
        value = mine.network(mine.target, one.next_observation)[1].amax(-1)
        loss = ((one.reward[1] + DISCOUNT * value * ~one.terminated[1] - q) ** 2).mean()
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mine.update(one)
        assert_same(mine.online.parameters, 1, online)


def test_the_settings_learning_rate_is_the_one_of_the_optimiser() -> None:
    for rate in (0.25, Linear(0.25, 0.0, updates=9)):
        made = DQN(spaces(), DQNSettings(learning_rate=rate), network=MLP(INPUTS, (), ACTIONS))
        before = made.online.parameters[1].detach().clone()
        seen = torch.ones(RUNS, ACTIONS, INPUTS)
        action = torch.arange(ACTIONS).repeat(RUNS, 1)
        made.update(Batch(seen, action, torch.full((RUNS, ACTIONS), 9.0), seen, torch.ones(RUNS, ACTIONS) > 0))
        torch.testing.assert_close(made.online.parameters[1].detach() - before, torch.full_like(before, 0.25))


# Settings, spaces and networks


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"discount": 1.0}, ValueError, r"discount must lie in \[0, 1\), but is 1.0"),
        ({"discount": -0.1}, ValueError, "discount must lie in"),
        ({"discount": math.nan}, ValueError, "discount must lie in"),
        ({"discount": "0.9"}, TypeError, "discount must be a number"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be positive"),
        ({"learning_rate": -1e-3}, ValueError, "learning_rate must be positive"),
        ({"learning_rate": None}, TypeError, "learning_rate must be a number"),
        ({"learning_rate": Linear(0, 0.1, updates=9)}, ValueError, "learning_rate must be positive"),
        ({"learning_rate": Linear(0.1, -0.1, updates=9)}, ValueError, "learning_rate must lie in"),
        ({"epsilon": 1.1}, ValueError, r"epsilon must lie in \[0, 1\], but is 1.1"),
        ({"epsilon": -0.1}, ValueError, "epsilon must lie in"),
        ({"epsilon": None}, TypeError, "epsilon must be a number"),
        ({"epsilon": Linear(1.1, 0.1, updates=9)}, ValueError, "epsilon must lie in .* 1.1"),
        ({"epsilon": Linear(1, -0.1, updates=9)}, ValueError, "epsilon must lie in .* -0.1"),
        ({"target_period": 0}, ValueError, "target_period must be at least 1"),
        ({"target_period": -3}, ValueError, "target_period must be at least 1"),
        ({"target_period": 2.5}, TypeError, "target_period must be a whole number"),
        ({"target_period": None}, ValueError, "Exactly one of target_period and tau .* None and None"),
        ({"tau": 0.1}, ValueError, "Exactly one of target_period and tau .* 250 and 0.1"),
        ({"target_period": None, "tau": 0.0}, ValueError, "tau must be positive"),
        ({"target_period": None, "tau": 1.5}, ValueError, r"tau must lie in \[0, 1\]"),
        ({"target_period": None, "tau": "slow"}, TypeError, "tau must be a number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        DQNSettings(**settings)


def test_settings_at_the_edge_are_allowed() -> None:
    DQNSettings(discount=0, epsilon=0, target_period=1, learning_rate=Linear(1e-3, 0, updates=1))
    DQNSettings(epsilon=Linear(0, 1, updates=1), target_period=None, tau=1)


def test_continuous_actions_are_refused_with_the_agent_that_takes_them() -> None:
    with pytest.raises(TypeError, match=r"Box.*actions that are vectors there is DDPG, SAC, or an ActorCritic"):
        DQN(make_envs("Pendulum-v1", 2))


@pytest.mark.parametrize("action", [MultiDiscrete([2, 3]), Discrete(3, start=1)])
def test_actions_that_are_not_numbered_from_0_are_refused(action: Space[Any]) -> None:
    with pytest.raises(TypeError, match="Actions must be numbered"):
        DQN(spaces(action=action))


def test_observations_that_are_no_arrays_are_refused() -> None:
    envs = spaces()
    envs.single_observation_space = gymnasium.spaces.Dict(x=Box(-1, 1, (2,)))
    with pytest.raises(TypeError, match="Observations must be arrays"):
        DQN(envs)


@pytest.mark.parametrize(
    "network", [MLP(INPUTS + 1, (), ACTIONS), MLP(INPUTS, (), ACTIONS - 1), ConvNet((1, 2, 2), (), (), ACTIONS)]
)
def test_a_network_that_doesnt_fit_the_spaces_is_refused(network: Network) -> None:
    with pytest.raises(ValueError, match=r"The network maps .* but there are observations of shape \(4,\) and 7 act"):
        DQN(spaces(), network=network)


def test_the_default_network_has_two_layers_of_64_and_pictures_need_their_own() -> None:
    assert DQN(spaces()).network == MLP(INPUTS, (64, 64), ACTIONS)
    with pytest.raises(ValueError, match=r"shape \(3, 8, 9\) need a network of their own: network=ConvNet"):
        DQN(spaces(observation=(3, 8, 9)))


def test_pictures_are_learnt_from_with_a_network_for_pictures() -> None:
    network = ConvNet((2, 6, 5), ((4, 3, 1),), (8,), ACTIONS)
    made = DQN(spaces(observation=(2, 6, 5)), network=network)
    seen = torch.randn(RUNS, BATCH, 2, 6, 5, generator=generator())
    one = batch()
    losses = made.update(Batch(seen, one.action, one.reward.float(), seen + 1, one.terminated))
    assert losses.shape == (RUNS,) and made.explore(seen).shape == (RUNS, BATCH)


# Keeping


def trained(seed: int = 0, **options: Any) -> DQN:
    made = DQN(spaces(), DQNSettings(target_period=4), network=MLP(INPUTS, (HIDDEN,), ACTIONS), seed=seed, **options)
    for step in range(7):
        one = batch(step)
        made.update(Batch(*(field.float() if field.is_floating_point() else field for field in one)))
    return made


def contents(made: DQN) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in [*made.online.parameters, *made.target]]


def test_an_agent_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    made, other = trained(), DQN(spaces(), network=MLP(INPUTS, (HIDDEN,), ACTIONS), seed=9)
    made.save(tmp_path / "agent.safetensors")
    before = contents(made)
    other.load(str(tmp_path / "agent.safetensors"))
    assert all(map(torch.equal, contents(other), before))
    assert other.updates == 7 and other.epsilon == pytest.approx(1 - 0.95 * 7 / 5_000)
    assert all(parameter.requires_grad for parameter in other.online.parameters)
    one = torch.randn(RUNS, BATCH, INPUTS, generator=generator())
    assert torch.equal(other.q(one), made.q(one))
    made.update(Batch(one, batch().action, one[..., 0], one + 1, batch().terminated))  # the file is a copy
    again = DQN(spaces(), network=MLP(INPUTS, (HIDDEN,), ACTIONS))
    again.load(tmp_path / "agent.safetensors")
    assert all(map(torch.equal, contents(again), before))


def test_a_loaded_agent_goes_on_as_the_saved_one_would_with_a_new_optimiser(tmp_path: Path) -> None:
    made, loaded = trained(), DQN(spaces(), DQNSettings(target_period=4), network=MLP(INPUTS, (HIDDEN,), ACTIONS))
    made.save(tmp_path / "agent.safetensors")
    loaded.load(tmp_path / "agent.safetensors")
    made.online = TrainState(made.online.parameters, made.settings.learning_rate, steps=made.updates)
    one = batch(50)
    single = Batch(*(field.float() if field.is_floating_point() else field for field in one))
    assert torch.equal(made.update(single), loaded.update(single))  # the eighth: both copy their targets
    assert all(map(torch.equal, contents(made), contents(loaded)))
    assert all(map(torch.equal, loaded.target, loaded.online.parameters))


def write(path: Path, tensors: dict[str, Tensor], description: dict[str, str] | None) -> None:
    safetensors.torch.save_file(tensors, path, description)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: DQN(spaces(), network=MLP(INPUTS, (HIDDEN + 1,), ACTIONS)), r"saved from MLP.*hidden=\(7,\)"),
        (lambda: DQN(spaces(), network=MLP(INPUTS, (), ACTIONS)), r"saved from MLP\(inputs=4, hidden=\(\)"),
        (lambda: DQN(spaces(4), network=MLP(INPUTS, (HIDDEN,), ACTIONS)), r"'online.0' .* \(3, 4, 6\) .* \(4, 4, 6\)"),
        (lambda: agent(), "'online.0' .*float32.*float64"),
        (lambda: DQN(spaces(observation=(2, 2, 1)), network=ConvNet((2, 2, 1), (), (HIDDEN,), ACTIONS)), "ConvNet"),
    ],
)
def test_a_file_of_another_agent_is_refused_and_nothing_changes(
    other: Callable[[], DQN], message: str, tmp_path: Path
) -> None:
    other().save(tmp_path / "other.safetensors")
    made = trained()
    before = contents(made)
    with pytest.raises(ValueError, match=message):
        made.load(tmp_path / "other.safetensors")
    assert all(map(torch.equal, contents(made), before)) and made.updates == 7


def test_files_that_hold_no_agent_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    made, path = trained(), tmp_path / "file"
    before = contents(made)
    made.save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    some = {"weight": torch.zeros(2)}

    def refused(message: str) -> None:
        with pytest.raises(ValueError, match=message):
            made.load(path)
        assert all(map(torch.equal, contents(made), before)) and made.updates == 7

    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused("is no safetensors file, or only a part of one")
    path.write_text("a diary, not an agent")
    refused("is no safetensors file")
    torch.save(made.online.parameters, path)
    refused("is no safetensors file")
    write(path, some, None)
    refused("holds no DQN agent, but tensors without a description")
    write(path, some, {"agent": "SAC"})
    refused("holds no DQN agent, but .*SAC")
    write(path, some, {"agent": "DQN", "updates": "5"})
    refused("written in version nought of the format, but this package reads version 1")
    write(path, some, {"format": "1", "agent": "DQN", "updates": "5"})
    refused("was saved from None, but this agent has MLP")
    good = {"format": "1", "agent": "DQN", "network": repr(made.network), "updates": "5"}
    write(path, some, good | {"updates": "many"})
    refused("holds no DQN agent")
    write(path, some, good)
    refused("'online.0' the agent has .* the file has nothing")
    tensors = {f"{name}.{i}": torch.zeros_like(t) for name in ("online", "target") for i, t in enumerate(made.target)}
    write(path, tensors | some, good)
    refused("'weight' the agent has nothing")
    write(path, tensors | {"target.3": torch.zeros(RUNS, 1, ACTIONS + 1)}, good)
    refused(r"'target.3' the agent has \(3, 1, 7\) .* \(3, 1, 8\)")
    write(path, tensors, good)
    made.load(path)
    assert made.updates == 5 and not made.online.parameters[0].any()
    with pytest.raises(FileNotFoundError, match="There is no file"):
        made.load(tmp_path / "nowhere")


def test_the_file_of_an_agent_of_another_kind_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    made, other = trained(), ActorCritic(spaces(), RUNS)
    before = contents(made)
    other.save(tmp_path / "other")
    with pytest.raises(ValueError, match=r"holds no DQN agent, but .*ActorCritic"):
        made.load(tmp_path / "other")
    assert all(map(torch.equal, contents(made), before)) and made.updates == 7
    made.save(tmp_path / "mine")
    kept = [parameter.detach().clone() for parameter in other.actor.parameters]
    with pytest.raises(ValueError, match=r"holds no ActorCritic agent, but .*DQN"):
        other.load(tmp_path / "mine")
    assert all(map(torch.equal, other.actor.parameters, kept))


# Learning what is known


def cut_short() -> FiniteMDP:
    """Four states, three actions, no chance; the best is to stay where it pays for ever, and some ends lead to good states.

    A time limit of three steps shows nobody the end of that. Who takes a cut for an end, or an end for a step, goes wrong by
    more than 1 in some state.
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


@pytest.mark.parametrize("next_value", [greedy_value, double_value])
def test_values_are_learnt_as_they_are_although_every_episode_is_cut_short(next_value: Callable[..., Tensor]) -> None:
    mdp, runs = cut_short(), 8
    envs = make_envs(mdp, runs, time_limit=3)
    settings = DQNSettings(
        discount=mdp.discount, learning_rate=0.01, epsilon=Linear(1.0, 0.5, updates=300), target_period=20
    )
    made = DQN(envs, settings, network=MLP(mdp.states, (24,), mdp.actions), next_value=next_value)
    for _ in train(envs, made, ReplayBuffer(envs, 1_000), steps=700, learning_starts=32, batch_size=32, progress=False):
        pass
    distance = (made.q(torch.eye(mdp.states)) - optimal_q(mdp)).abs().amax((-1, -2))
    # Measured with 200 runs of each kind, of two seeds: median 0.002, largest 0.0072.
    assert distance.max() < 0.05


# load() keeps the optimiser's averages, and the place in a schedule of the learning rate, of whatever the agent did before.
def test_loading_begins_the_optimisers_averages_anew_and_takes_over_the_schedules(tmp_path: Path) -> None:
    rate = Linear(0.1, 0.0, updates=20)

    def made(seed: int, updates: int) -> DQN:
        new = DQN(spaces(), DQNSettings(learning_rate=rate), network=MLP(INPUTS, (HIDDEN,), ACTIONS), seed=seed)
        for step in range(updates):
            new.update(single(step))
        return new

    def single(seed: int) -> Batch:
        return Batch(*(field.float() if field.is_floating_point() else field for field in batch(seed)))

    saved, fresh, used = made(0, 5), made(1, 0), made(2, 9)
    saved.save(tmp_path / "agent")
    before = contents(saved)
    for other in (fresh, used):
        other.load(tmp_path / "agent")
        other.update(single(99))
        step = (other.online.parameters[0].detach() - before[0]).abs()
        torch.testing.assert_close(step.max(), torch.tensor(rate(5)), rtol=1e-3, atol=0)  # Adam's first step is η
    assert all(map(torch.equal, contents(fresh), contents(used)))


# A value of shape (R, B, 1) broadcasts silently where R = 1 (or R = B): (1, B) against (1, B, 1).
@pytest.mark.parametrize("runs", [1, RUNS, BATCH])
def test_a_next_value_of_another_shape_is_refused(runs: int) -> None:
    made = DQN(spaces(runs), next_value=lambda q: q.amax(-1, keepdim=True))
    one = batch(runs=runs)
    single = Batch(*(field.float() if field.is_floating_point() else field for field in one))
    with pytest.raises(ValueError, match="next_value"):
        made.update(single)


@pytest.mark.parametrize(
    "wrong", [nn.functional.mse_loss, lambda q, y: (q - y).square(), lambda q, y: (q - y).square().sum()]
)
def test_a_loss_that_is_not_one_number_a_run_is_refused(wrong: Callable[..., Tensor]) -> None:
    made = DQN(spaces(), loss=wrong)
    with pytest.raises(ValueError, match=r"loss must return one number a run, shape \(3,\)"):
        made.update(Batch(*(field.float() if field.is_floating_point() else field for field in batch())))


@pytest.mark.parametrize("wrong", [lambda q: q.max(-1), lambda q: q.tolist()])
def test_a_next_value_that_is_no_tensor_is_refused(wrong: Callable[..., Any]) -> None:
    made = DQN(spaces(), next_value=wrong)
    with pytest.raises(ValueError, match="next_value must return one number for each transition"):
        made.update(Batch(*(field.float() if field.is_floating_point() else field for field in batch())))


def test_observations_of_another_environment_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the shape \(4,\), but end in \(3, 5, 6\)"):
        DQN(spaces()).q(torch.zeros(RUNS, BATCH, 6))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DQN(gymnasium.make("CartPole-v1")), "envs must be environments side by side"),  # type: ignore[arg-type]
        (lambda: DQN(spaces(), {"discount": 0.9}), "settings must be DQNSettings"),  # type: ignore[arg-type]
        (lambda: DQN(spaces(), seed=0.5), "seed must be a whole number"),  # type: ignore[arg-type]
        (lambda: DQN(spaces(), next_value=torch.max), "next_value must be a Python function"),
        (lambda: MLP(4, 64, 2), "hidden must be several widths"),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_the_wrong_kind_gets_a_sentence(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()
