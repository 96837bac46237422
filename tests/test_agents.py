"""What all agents promise: runs that stay apart, seeds that repeat, states that continue, and what moves when."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from sac_tutorial.agents.actor_critic import ActorCritic, ActorCriticSettings
from sac_tutorial.agents.ddpg import DDPG, DDPGSettings
from sac_tutorial.agents.discrete_sac import DiscreteSAC
from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.agents.sac import SAC, SACSettings
from sac_tutorial.agents.value_sac import ValueSAC
from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.off_policy import train
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.deep.rollouts import train_on_policy
from sac_tutorial.deep.schedule import LinearSchedule
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.worlds.vector_env import make_envs
from tests.helpers import ACTIONS, DIMENSIONS, HIDDEN, INPUTS, RUNS, batch, continuous, spaces
from tests.plain_agents import ENVS, rollout, temperatures


class Kind(NamedTuple):
    """An agent and settings under which every part of it learns."""

    form: Any
    settings: Any
    discrete: bool
    changed: dict[str, Any]


KINDS = {
    "DQN": Kind(DQN, DQNSettings, True, {"target_period": 2, "epsilon": LinearSchedule(0.9, 0.1, updates=9)}),
    "DDPG": Kind(DDPG, DDPGSettings, False, {}),
    "TD3": Kind(DDPG, DDPGSettings, False, {"critics": 2, "target_noise": 0.2, "actor_period": 2}),
    "SAC": Kind(SAC, SACSettings, False, {"temperature": temperatures(episode_length_term=True)}),
    "ValueSAC": Kind(ValueSAC, SACSettings, False, {"temperature": temperatures()}),
    "DiscreteSAC": Kind(DiscreteSAC, SACSettings, True, {"temperature": temperatures(in_log=False)}),
    "A2C": Kind(ActorCritic, ActorCriticSettings, True, {"envs_per_run": ENVS, "rollout_length": 4}),
    "Gaussian A2C": Kind(ActorCritic, ActorCriticSettings, False, {"envs_per_run": ENVS, "rollout_length": None}),
}
OFF_POLICY = [name for name, kind in KINDS.items() if kind.form is not ActorCritic]
every_agent = pytest.mark.parametrize("name", KINDS)
every_off_policy_agent = pytest.mark.parametrize("name", OFF_POLICY)


def make(name: str, envs: VectorEnv | None = None, *, seed: int = 0, **changed: Any) -> Any:
    form, settings, discrete, usual = KINDS[name]
    environments = RUNS * usual.get("envs_per_run", 1)
    envs = envs or spaces(None if discrete else continuous(), environments=environments)
    return form(envs, settings(**{"hidden": (HIDDEN,)} | usual | changed), seed=seed)


def experience(name: str, seed: int) -> Any:
    """A batch or a rollout in float32."""
    form, _, discrete, _ = KINDS[name]
    draw = rollout if form is ActorCritic else batch
    return draw(discrete=discrete, seed=seed, kind=torch.float32)


def learn(agent: Any, name: str, *seeds: int) -> list[Tensor]:
    return [agent.update(experience(name, seed)) for seed in seeds]


def rates(name: str, *, actor: Any, critic: Any) -> dict[str, Any]:
    """The learning rates under the names of this agent's settings."""
    if name == "DQN":
        return {"learning_rate": critic}
    return {"learning_rate" if "A2C" in name else "actor_learning_rate": actor, "critic_learning_rate": critic}


def leaves(state: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in state.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", torch.as_tensor(value).clone()


def parts(agent: Any) -> dict[str, Tensor]:
    """Everything that changes while the agent learns."""
    return dict(leaves(agent.state_dict()))


def by_run(agent: Any) -> dict[str, Tensor]:
    """Every tensor with a run axis, runs first."""
    found = {}
    for name, tensor in parts(agent).items():
        if tensor.dim() > 1:
            found[name] = tensor if tensor.shape[0] == RUNS else tensor.transpose(0, 1)
            assert found[name].shape[0] == RUNS
    return found


def train_states(agent: Any) -> dict[str, TrainState]:
    return {name: part for name in agent.state_names if isinstance(part := getattr(agent, name), TrainState)}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


# One update


@every_agent
def test_an_update_returns_one_loss_a_run_leaves_its_batch_alone_and_stays_in_float32(name: str) -> None:
    agent, one = make(name), experience(name, 0)
    losses = agent.update(one)
    assert losses.shape == (RUNS,) and not losses.requires_grad
    assert all(map(torch.equal, one, experience(name, 0)))
    assert {tensor.dtype for tensor in (losses, *by_run(agent).values())} == {torch.float32}


@every_agent
@pytest.mark.parametrize("disturbance", [1e3, torch.inf, torch.nan])
def test_no_run_learns_from_what_happens_to_another(name: str, disturbance: float) -> None:
    calm, disturbed = make(name), make(name)
    learn(calm, name, *range(3))
    for seed in range(3):
        one = experience(name, seed)
        for field in (one.observation, one.reward, one.next_observation):
            field[1] += disturbance
        disturbed.update(one)
    others = by_run(disturbed)
    for part, tensor in by_run(calm).items():
        assert torch.equal(tensor[[0, 2]], others[part][[0, 2]]), part
    for state in train_states(calm):
        assert not torch.equal(by_run(calm)[f"{state}.parameters.0"][1], others[f"{state}.parameters.0"][1])


@every_agent
def test_each_part_steps_at_the_rate_of_its_setting(name: str) -> None:
    agent = make(name, **rates(name, actor=LinearSchedule(0.25, 0.0, updates=9), critic=LinearSchedule(0.125, 0.0, 9)))
    before = {part: [each.detach().clone() for each in state.parameters] for part, state in train_states(agent).items()}
    learn(agent, name, 0)
    for part, state in train_states(agent).items():
        if name == "TD3" and part == "actor":
            continue  # it steps with every second update
        moved = max((new - old).abs().max().item() for new, old in zip(state.parameters, before[part], strict=True))
        assert moved == pytest.approx(0.25 if part == "actor" else 0.125, rel=1e-3)  # the first step of Adam


# The beginning


@every_agent
def test_no_two_runs_or_twins_begin_alike_and_targets_are_copies_without_gradient(name: str) -> None:
    agent = make(name)
    for state in train_states(agent).values():
        drawn = state.parameters[:-1] if name == "Gaussian A2C" else state.parameters  # log σ begins everywhere alike
        for tensor in drawn:
            networks = tensor.detach().flatten(0, -3)
            assert len({tuple(each.flatten().tolist()) for each in networks}) == len(networks)
    copies = {"target": "online", "target_actor": "actor", "target_critic": "critic", "target_value": "value"}
    for target, online in copies.items():
        if target in agent.state_names:
            pairs = list(zip(getattr(agent, target), getattr(agent, online).parameters, strict=True))
            assert all(torch.equal(there, here) and not there.requires_grad for there, here in pairs)
            assert not any(there.data_ptr() == here.data_ptr() for there, here in pairs)


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("DQN", {"network": (INPUTS, ACTIONS)}),
        ("DDPG", {"actor_network": (INPUTS, DIMENSIONS), "critic_network": (INPUTS + DIMENSIONS, 1)}),
        ("SAC", {"critic_network": (INPUTS + DIMENSIONS, 1)}),
        ("ValueSAC", {"critic_network": (INPUTS + DIMENSIONS, 1), "value_network": (INPUTS, 1)}),
        ("DiscreteSAC", {"network": (INPUTS, ACTIONS)}),
        ("A2C", {"critic_network": (INPUTS, 1)}),
    ],
)
def test_default_networks_have_the_hidden_layers_of_the_settings(name: str, networks: dict[str, Any]) -> None:
    agent = make(name, hidden=(8, 9))
    for network, (inputs, outputs) in networks.items():
        assert getattr(agent, network) == MLP(inputs, (8, 9), outputs)
    outputs = {"A2C": ACTIONS, "SAC": 2 * DIMENSIONS, "ValueSAC": 2 * DIMENSIONS}
    assert name not in outputs or agent.policy.network == MLP(INPUTS, (8, 9), outputs[name])


# Acting


@every_agent
def test_exploring_draws_and_exploiting_does_not_and_seeds_repeat_both(name: str) -> None:
    agent, again, other = (make(name, seed=seed) for seed in (3, 3, 4))
    learn(agent, name, 0), learn(again, name, 0)
    seen = torch.randn(RUNS, 50, INPUTS)
    before = agent.generator.get_state()
    best = agent.exploit(seen)
    assert torch.equal(agent.generator.get_state(), before) and torch.equal(best, again.exploit(seen))
    drawn = agent.explore(seen)
    assert drawn.shape == best.shape == (RUNS, 50) + (() if KINDS[name].discrete else (DIMENSIONS,))
    assert drawn.dtype == best.dtype == (torch.int64 if KINDS[name].discrete else torch.float32)
    assert torch.equal(drawn, again.explore(seen))
    assert not torch.equal(drawn, agent.explore(seen)) and not torch.equal(drawn, other.explore(seen))
    assert len({tuple(run.flatten().tolist()) for run in agent.explore(torch.zeros(RUNS, 50, INPUTS))}) == RUNS


# The state


@every_agent
def test_an_agent_continues_bit_by_bit_from_the_state_of_another(name: str) -> None:
    falling = rates(name, actor=LinearSchedule(0.1, 0.0, updates=9), critic=LinearSchedule(0.2, 0.0, updates=9))
    agent, other = make(name, **falling), make(name, seed=1, **falling)
    learn(agent, name, 0, 1, 2)
    learn(other, name, 10, 11, 12, 13)
    other.load_state_dict(agent.state_dict())
    assert same(parts(agent), parts(other))
    seen = torch.randn(RUNS, 50, INPUTS)
    for seed in range(20, 24):
        assert torch.equal(agent.explore(seen), other.explore(seen))
        assert all(map(torch.equal, learn(agent, name, seed), learn(other, name, seed)))
    assert same(parts(agent), parts(other))


@every_agent
def test_a_state_of_other_networks_is_refused_and_changes_nothing(name: str) -> None:
    agent, other = make(name), make(name, seed=1, hidden=(HIDDEN + 1,))
    before = copy.deepcopy(parts(agent))
    with pytest.raises(ValueError, match=r"The entry '\w+.parameters.0' of the state must be a tensor of shape"):
        agent.load_state_dict(other.state_dict())
    assert same(parts(agent), before)


# Training


def trained(name: str, *, seed: int = 0, environments: int = 5, disturb: bool = False) -> dict[str, Tensor]:
    """What a short training leaves, with the runs first."""
    kind = KINDS[name]
    per_run = kind.changed.get("envs_per_run", 1)
    envs = make_envs("CartPole-v1" if kind.discrete else "Pendulum-v1", RUNS * per_run, max_episode_steps=12)
    agent = make(name, envs, seed=seed)
    if disturb:
        with torch.no_grad():
            for state in train_states(agent).values():
                for parameter in state.parameters:
                    parameter.transpose(0, parameter.dim() - 3)[0] *= -2
    if kind.form is ActorCritic:
        *_, last = train_on_policy(envs, agent, updates=3, seed=environments, progress=False)
        return by_run(agent) | {"returns": last.last_return}
    buffer = ReplayBuffer(envs, 50)
    for _ in train(envs, agent, buffer, steps=30, learning_starts=10, batch_size=6, seed=environments, progress=False):
        pass
    return by_run(agent) | buffer.stored()._asdict()


@every_agent
def test_the_same_seeds_give_the_same_training_and_no_run_feels_another(name: str) -> None:
    first = trained(name)
    assert same(first, trained(name))
    for other in (trained(name, seed=1), trained(name, environments=50)):
        for part in first:
            if part.endswith("parameters.0") and "temperature" not in part:  # α of one run is not learned
                assert not any(torch.equal(first[part][run], other[part][run]) for run in range(RUNS))
    disturbed = trained(name, disturb=True)
    assert all(torch.equal(tensor[1:], disturbed[part][1:]) for part, tensor in first.items())
    assert not torch.equal(first[next(iter(first))][0], disturbed[next(iter(first))][0])


@every_off_policy_agent
def test_learning_starts_with_exactly_the_first_step_after_learning_starts(name: str) -> None:
    envs = make_envs("CartPole-v1" if KINDS[name].discrete else "Pendulum-v1", RUNS)
    agent = make(name, envs)
    main = agent.online if name == "DQN" else agent.critic
    before, updates = main.parameters[0].detach().clone(), []
    for step in train(envs, agent, ReplayBuffer(envs, 20), steps=9, learning_starts=4, batch_size=5, progress=False):
        updates.append(main.updates)
        assert torch.equal(main.parameters[0], before) == (step.number <= 4)
    assert updates == [0, 0, 0, 0, 1, 2, 3, 4, 5]
    slow = {"TD3": 2}.get(name, 5)  # the actor of TD3 steps with every second update of the critics
    assert name == "DQN" or agent.actor.updates == slow
