"""DDPG and TD3, update by update against single networks in plain PyTorch, and on a problem whose best actions are known."""

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
from scipy.stats import kstest
from torch import Tensor, nn

from sac_tutorial.agents.actor_critic import ActorCritic
from sac_tutorial.agents.ddpg import DDPG, TD3, DDPGSettings
from sac_tutorial.deep.networks import MLP, TrainState
from sac_tutorial.deep.off_policy import evaluate, train
from sac_tutorial.deep.replay_buffer import Batch, ReplayBuffer
from sac_tutorial.deep.schedule import Linear
from sac_tutorial.worlds.vector_env import make_envs

# No two sizes are equal, so that a wrong axis has a wrong length.
RUNS, BATCH, INPUTS, HIDDEN, DIMENSIONS = 3, 5, 4, 7, 6
DISCOUNT, ACTOR_RATE, CRITIC_RATE, POLYAK = 0.75, 0.02, 0.03, 0.2


def spaces(runs: int = RUNS, observation: tuple[int, ...] = (INPUTS,), action: Space[Any] | None = None) -> VectorEnv:
    """Environments that have nothing but the spaces that an agent asks for."""
    envs: VectorEnv = VectorEnv()
    envs.num_envs = runs
    envs.single_observation_space = Box(-np.inf, np.inf, observation)
    envs.single_action_space = action or Box(-1, 1, (DIMENSIONS,))
    return envs


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(seed: int = 0, kind: torch.dtype = torch.float64) -> Batch:
    """Random transitions, about half of them terminal."""
    draw = generator(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64).to(kind)

    return Batch(
        observation=normal(RUNS, BATCH, INPUTS),
        action=normal(RUNS, BATCH, DIMENSIONS).clamp(-1, 1),
        reward=normal(RUNS, BATCH),
        next_observation=normal(RUNS, BATCH, INPUTS),
        terminated=torch.rand(RUNS, BATCH, generator=draw) < 0.5,
    )


def agent(seed: int = 0, double: bool = True, **changed: Any) -> DDPG:
    """An agent whose six or four networks all differ; in float64 two ways to the same number agree."""
    usual = {
        "discount": DISCOUNT,
        "actor_learning_rate": ACTOR_RATE,
        "critic_learning_rate": CRITIC_RATE,
        "tau": POLYAK,
        "hidden": (HIDDEN,),
    }
    made = DDPG(spaces(), DDPGSettings(**usual | changed), seed=seed)
    kind = torch.float64 if double else torch.float32
    for name in ("actor", "critic"):
        learnable = getattr(made, name)
        setattr(
            made, name, TrainState([parameter.to(kind) for parameter in learnable.parameters], learnable.learning_rate)
        )
    other = generator(100 + seed)
    made.target_actor = [tensor.to(kind) for tensor in made.actor_network.initial((RUNS,), other)]
    made.target_critic = [
        tensor.to(kind) for tensor in made.critic_network.initial((made.settings.critics, RUNS), other)
    ]
    return made


def module(parameters: list[Tensor], *place: int) -> nn.Sequential:
    """PyTorch's network with the parameters at one place of the leading axes."""
    layers: list[nn.Module] = []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        layer = nn.Linear(*weight.shape[-2:], dtype=weight.dtype)
        layer.weight.data, layer.bias.data = weight[place].detach().T.clone(), bias[place][0].detach().clone()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def assert_same(mine: list[Tensor], place: tuple[int, ...], theirs: nn.Module) -> None:
    for one, other in zip(module(mine, *place).parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-7)  # Adam divides rounding by tiny gradients


# One update after the other


class Plain:
    """One run of DDPG or TD3 with modules and optimisers of PyTorch, transition by transition."""

    def __init__(self, made: DDPG, run: int) -> None:
        settings = self.settings = made.settings
        self.run, self.updates, twins = run, 0, range(settings.critics)
        self.actor, self.target_actor = (module(p, run) for p in (made.actor.parameters, made.target_actor))
        self.critics = [module(made.critic.parameters, number, run) for number in twins]
        self.target_critics = [module(made.target_critic, number, run) for number in twins]
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=ACTOR_RATE)
        self.critic_adams = [torch.optim.Adam(critic.parameters(), lr=CRITIC_RATE) for critic in self.critics]

    def update(self, one: Batch, noise: Tensor) -> list[float]:
        settings, targets, losses = self.settings, [], []
        for i in range(BATCH):
            y = one.reward[self.run, i].item()
            if not one.terminated[self.run, i]:
                there = one.next_observation[self.run, i]
                action = self.target_actor(there).tanh()
                for d in range(DIMENSIONS):
                    blur = settings.target_noise * noise[self.run, i, d].item()
                    blur = max(-settings.target_noise_clip, min(settings.target_noise_clip, blur))
                    action[d] = max(-1.0, min(1.0, action[d].item() + blur))
                y += DISCOUNT * min(critic(torch.cat([there, action])).item() for critic in self.target_critics)
            targets.append(y)
        for critic, adam in zip(self.critics, self.critic_adams, strict=True):
            loss = torch.zeros((), dtype=torch.float64)
            for i in range(BATCH):
                q = critic(torch.cat([one.observation[self.run, i], one.action[self.run, i]]))[0]
                loss = loss + (q - targets[i]) ** 2 / BATCH
            losses.append(loss.item())
            adam.zero_grad()
            loss.backward()
            adam.step()
        self.updates += 1
        if self.updates % settings.actor_period == 0:
            height = torch.zeros((), dtype=torch.float64)
            for i in range(BATCH):
                seen = one.observation[self.run, i]
                height = height + self.critics[0](torch.cat([seen, self.actor(seen).tanh()]))[0] / BATCH
            self.actor_adam.zero_grad()
            (-height).backward()
            self.actor_adam.step()
            pairs = [(self.target_actor, self.actor), *zip(self.target_critics, self.critics, strict=True)]
            for target, online in pairs:
                for there, here in zip(target.parameters(), online.parameters(), strict=True):
                    there.data = (1 - POLYAK) * there.data + POLYAK * here.data
        return losses


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"critics": 2},
        {"target_noise": 0.4, "target_noise_clip": 0.25},
        {"actor_period": 3},
        {"critics": 2, "target_noise": 0.2, "actor_period": 2},
    ],
    ids=["DDPG", "twins", "noise", "period", "TD3"],
)
def test_updates_are_those_of_single_networks_in_plain_pytorch(changed: dict[str, Any]) -> None:
    made = agent(**changed)
    plain = [Plain(made, run) for run in range(RUNS)]
    for step in range(1, 7):
        one, copy = batch(step), generator()
        copy.set_state(made.generator.get_state())
        noise = torch.randn(RUNS, BATCH, DIMENSIONS, generator=copy)
        losses = made.update(one)
        for run, single in enumerate(plain):
            wanted = single.update(one, noise)
            assert losses[run].item() == pytest.approx(wanted[0], rel=1e-9)
            assert_same(made.actor.parameters, (run,), single.actor)
            assert_same(made.target_actor, (run,), single.target_actor)
            for number in range(made.settings.critics):
                assert_same(made.critic.parameters, (number, run), single.critics[number])
                assert_same(made.target_critic, (number, run), single.target_critics[number])
    assert losses.shape == (RUNS,) and not losses.requires_grad
    assert (made.critic.steps, made.actor.steps) == (6, 6 // made.settings.actor_period)


def test_without_noise_on_the_next_action_nothing_is_drawn() -> None:
    made = agent()
    state = made.generator.get_state()
    made.update(batch())
    assert torch.equal(made.generator.get_state(), state)


def test_td3_is_ddpg_with_three_settings_changed() -> None:
    usual = DDPGSettings()
    assert (usual.critics, usual.target_noise, usual.actor_period) == (1, 0.0, 1)
    assert DDPGSettings(critics=2, target_noise=0.2, actor_period=2) == TD3 and TD3.target_noise_clip == 0.5


# The actor's gradient


@pytest.mark.parametrize("critics", [1, 2])
def test_the_actor_climbs_the_first_critic_along_the_gradient_of_finite_differences(critics: int) -> None:
    # ReLU networks have kinks, which a small step does not meet.
    made, one, width = agent(critics=critics), batch(), 1e-6
    before = [parameter.detach().clone() for parameter in made.actor.parameters]
    made.update(one)  # the critics step first: the actor climbs the critic that it finds then

    def height(parameters: list[Tensor], run: int) -> float:
        action = module(parameters, run)(one.observation[run]).tanh()
        critic = module(made.critic.parameters, 0, run)
        return critic(torch.cat([one.observation[run], action], -1)).mean().item()

    draw = generator(3)
    for _ in range(12):
        which = int(torch.randint(len(before), (), generator=draw))
        place = tuple(int(torch.randint(size, (), generator=draw)) for size in before[which].shape)
        ends = []
        for sign in (1, -1):
            moved = [parameter.clone() for parameter in before]
            moved[which][place] += sign * width
            ends.append(height(moved, place[0]))
        slope = (ends[0] - ends[1]) / (2 * width)
        assert -made.actor.gradients[which][place].item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


# Who moves whom


def copies(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def test_an_actors_step_leaves_the_critics_as_they_are_and_theirs_the_actor() -> None:
    slow, fast, one = agent(critics=2, actor_period=2), agent(critics=2, actor_period=1), batch()
    before = copies(slow.actor.parameters)
    slow.update(one)
    fast.update(one)
    assert same(slow.actor.parameters, before) and not any(map(torch.equal, fast.actor.parameters, before))
    assert same(slow.critic.parameters, fast.critic.parameters)
    assert not any(p.grad is not None for side in (fast.actor, fast.critic) for p in side.parameters)
    loud = agent(critics=2, actor_learning_rate=0.5)
    loud.update(one)
    assert same(loud.critic.parameters, fast.critic.parameters)


def test_targets_follow_only_with_the_actor_and_get_no_gradient() -> None:
    made = agent(actor_period=3, target_noise=0.1)
    for step in range(1, 7):
        before = copies(made.target_actor), copies(made.target_critic)
        made.update(batch(step))
        for kept, now in zip(before, (made.target_actor, made.target_critic), strict=True):
            assert same(kept, now) == (step % 3 != 0)
        assert not any(
            tensor.requires_grad or tensor.grad is not None for tensor in made.target_actor + made.target_critic
        )


def test_all_begin_alike_apart_and_no_two_runs_or_twins_do() -> None:
    made = DDPG(spaces(), TD3)
    for target, online in ((made.target_actor, made.actor.parameters), (made.target_critic, made.critic.parameters)):
        assert same(target, online) and not any(tensor.requires_grad for tensor in target)
        assert not any(a.data_ptr() == b.data_ptr() for a, b in zip(target, online, strict=True))
    for parameter in made.actor.parameters:
        assert len({tuple(run.flatten().tolist()) for run in parameter}) == RUNS
    for parameter in made.critic.parameters:
        assert len({tuple(run.flatten().tolist()) for run in parameter.flatten(0, 1)}) == 2 * RUNS
    assert made.actor_network == MLP(INPUTS, (64, 64), DIMENSIONS)
    assert made.critic_network == MLP(INPUTS + DIMENSIONS, (64, 64), 1)


@pytest.mark.parametrize("disturbance", [1e3, math.inf, math.nan])
def test_no_run_learns_from_what_happens_to_another(disturbance: float) -> None:
    def learnt(extra: float) -> list[Tensor]:
        made = agent(double=False, critics=2, target_noise=0.2)
        for step in range(4):
            one = batch(step, torch.float32)
            for field in (one.observation, one.reward, one.next_observation):
                field[1] += extra
            made.update(one)
        twins = [parameter.transpose(0, 1) for parameter in (*made.critic.parameters, *made.target_critic)]
        return [tensor.detach() for tensor in (*made.actor.parameters, *made.target_actor, *twins)]

    for calm, disturbed in zip(learnt(0.0), learnt(disturbance), strict=True):
        assert torch.equal(calm[[0, 2]], disturbed[[0, 2]]) and not torch.equal(calm[1], disturbed[1])


def test_actor_and_critics_have_their_own_learning_rates() -> None:
    for rates in ((0.25, 0.125), (Linear(0.25, 0.0, updates=9), Linear(0.125, 1.0, updates=9))):
        made = agent(actor_learning_rate=rates[0], critic_learning_rate=rates[1])
        before = copies(made.actor.parameters)[-1], copies(made.critic.parameters)[-1]
        made.update(batch())
        for side, old, rate in ((made.actor, before[0], 0.25), (made.critic, before[1], 0.125)):
            step = side.parameters[-1].detach() - old
            torch.testing.assert_close(step, -rate * side.gradients[-1].sign(), rtol=1e-5, atol=0)  # Adam's first step


# Acting


def test_exploiting_is_the_actor_alone_and_q_that_of_each_critic() -> None:
    made, one = agent(critics=2), batch()
    state = made.generator.get_state()
    action = made.exploit(one.observation)
    assert action.shape == (RUNS, BATCH, DIMENSIONS) and not action.requires_grad
    q = made.q(one.observation, one.action)
    assert q.shape == (2, RUNS, BATCH) and not q.requires_grad
    for run in range(RUNS):
        torch.testing.assert_close(
            action[run], module(made.actor.parameters, run)(one.observation[run]).tanh().detach()
        )
        for number in range(2):
            critic = module(made.critic.parameters, number, run)
            wanted = critic(torch.cat([one.observation[run], one.action[run]], -1)).squeeze(-1).detach()
            torch.testing.assert_close(q[number, run], wanted)
    assert torch.equal(made.generator.get_state(), state)
    assert DDPG(spaces()).exploit(one.observation.float()).dtype == torch.float32


def test_exploring_adds_gaussian_noise_of_the_given_size_to_each_number() -> None:
    made = agent(double=False, exploration_noise=0.03)
    count = 4_000
    with torch.no_grad():
        for parameter in made.actor.parameters[:-1]:
            parameter.zero_()
        made.actor.parameters[-1].uniform_(-0.5, 0.5, generator=generator(5))
    seen = torch.zeros(RUNS, count, INPUTS)
    noise = ((made.explore(seen) - made.exploit(seen)) / 0.03).transpose(1, 2).flatten(0, 1)
    assert noise.shape == (RUNS * DIMENSIONS, count)
    for row in noise.double():
        assert kstest(row.numpy(), "norm").pvalue > 1e-6
    together = np.corrcoef(noise.numpy()) - np.eye(len(noise))
    assert np.abs(together).max() < 6 / math.sqrt(count)


def test_exploring_stays_within_the_bounds_and_meets_both() -> None:
    made = agent(double=False, exploration_noise=3.0)
    action = made.explore(torch.zeros(RUNS, 500, INPUTS))
    assert action.min() == -1 and action.max() == 1
    assert ((action.abs() == 1).double().mean((1, 2)) > 0.5).all()
    calm = agent(double=False, exploration_noise=0.0)
    seen = batch(kind=torch.float32).observation
    assert torch.equal(calm.explore(seen), calm.exploit(seen))


def test_a_seed_repeats_parameters_and_noise() -> None:
    first, again, other = (DDPG(spaces(), seed=seed) for seed in (3, 3, 4))
    seen = torch.zeros(RUNS, BATCH, INPUTS)
    assert same(first.actor.parameters, again.actor.parameters) and same(
        first.critic.parameters, again.critic.parameters
    )
    assert not any(map(torch.equal, first.actor.parameters, other.actor.parameters))
    assert torch.equal(first.explore(seen), again.explore(seen))
    assert not torch.equal(first.explore(seen), first.explore(seen))


# Settings and spaces


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"discount": 1.0}, ValueError, r"discount must lie in \[0, 1\), but is 1.0"),
        ({"discount": -0.1}, ValueError, "discount must lie in"),
        ({"discount": None}, TypeError, "discount must be a number"),
        ({"actor_learning_rate": 0}, ValueError, "^actor_learning_rate must be positive"),
        ({"critic_learning_rate": -1e-3}, ValueError, "^critic_learning_rate must be positive"),
        ({"hidden": 64}, TypeError, "hidden must be several widths"),
        ({"critic_learning_rate": Linear(0.1, -0.1, updates=9)}, ValueError, "learning_rate must lie in"),
        ({"tau": 0.0}, ValueError, "tau must be positive"),
        ({"tau": 1.5}, ValueError, r"tau must lie in \[0, 1\]"),
        ({"tau": None}, TypeError, "tau must be a number"),
        ({"exploration_noise": -0.1}, ValueError, "exploration_noise must lie in"),
        ({"exploration_noise": math.inf}, ValueError, "exploration_noise must lie in"),
        ({"target_noise": -0.1}, ValueError, "target_noise must lie in"),
        ({"target_noise": math.nan}, ValueError, "target_noise must lie in"),
        ({"target_noise_clip": 0.0}, ValueError, "target_noise_clip must be positive"),
        ({"critics": 0}, ValueError, "critics must be at least 1"),
        ({"critics": 3}, ValueError, r"critics must be 1 or 2, but is 3"),
        ({"critics": 1.0}, TypeError, "critics must be a whole number"),
        ({"actor_period": 0}, ValueError, "actor_period must be at least 1"),
        ({"actor_period": 1.5}, TypeError, "actor_period must be a whole number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        DDPGSettings(**settings)


def test_settings_at_the_edge_are_allowed() -> None:
    made = DDPG(spaces(), DDPGSettings(discount=0, tau=1, exploration_noise=0, hidden=()))
    made.update(batch(kind=torch.float32))
    assert same(made.target_actor, made.actor.parameters) and same(made.target_critic, made.critic.parameters)


@pytest.mark.parametrize("action", [Discrete(3), MultiDiscrete([2, 3])])
def test_numbered_actions_are_refused_with_the_agents_that_take_them(action: Space[Any]) -> None:
    with pytest.raises(TypeError, match=rf"action space is {type(action).__name__}.*DQN.*ActorCritic .*Categorical"):
        DDPG(spaces(action=action))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: DDPG(spaces(action=Box(-2, 2, (1,)))), ValueError, r"Actions must be in \[-1, 1\], as make_envs"),
        (lambda: DDPG(spaces(action=Box(-1, 2, (3,)))), ValueError, r"Actions must be in \[-1, 1\]"),
        (lambda: DDPG(spaces(action=Box(-3, 1, (3,)))), ValueError, r"Actions must be in \[-1, 1\]"),
        (lambda: DDPG(spaces(action=Box(-1, 1, (2, 3)))), ValueError, r"Each action must be a vector .* \(2, 3\)"),
        (lambda: DDPG(spaces(observation=(2, 3))), ValueError, r"Each observation must be a vector .* \(2, 3\)"),
        (lambda: DDPG(gymnasium.make("Pendulum-v1")), TypeError, "envs must be environments side by side"),  # type: ignore[arg-type]
        (lambda: DDPG(spaces(), {"discount": 0.9}), TypeError, "settings must be DDPGSettings"),  # type: ignore[arg-type]
        (lambda: DDPG(spaces(), seed=0.5), TypeError, "seed must be a whole number"),  # type: ignore[arg-type]
        (lambda: DDPG(spaces(), DDPGSettings(hidden=64)), TypeError, "hidden must be several widths"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_agent_gets_a_sentence(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# Keeping


def kept(seed: int = 0, updates: int = 5, **changed: Any) -> DDPG:
    made = agent(seed, double=False, **{"critics": 2, "actor_period": 2} | changed)
    for step in range(updates):
        made.update(batch(step, torch.float32))
    return made


def contents(made: DDPG) -> list[Tensor]:
    return copies([*made.actor.parameters, *made.critic.parameters, *made.target_actor, *made.target_critic])


def test_an_agent_comes_back_from_its_file_and_goes_on_with_new_optimisers_at_its_place(tmp_path: Path) -> None:
    rates = {"actor_learning_rate": Linear(0.1, 0.0, updates=20), "critic_learning_rate": Linear(0.2, 0.0, updates=20)}
    saved, fresh, used = kept(**rates), kept(1, 0, **rates), kept(2, 8, **rates)
    saved.save(tmp_path / "agent.safetensors")
    before = contents(saved)
    for other in (fresh, used):
        other.load(str(tmp_path / "agent.safetensors"))
        assert same(contents(other), before)
        assert (other.critic.steps, other.actor.steps) == (5, 2)
        assert all(p.requires_grad for p in (*other.actor.parameters, *other.critic.parameters))
        other.update(batch(99, torch.float32))  # the sixth: the actor steps, too
        steps = [(now - old).abs().max() for now, old in zip(contents(other), before, strict=True)]
        torch.testing.assert_close(
            torch.stack(steps[:4]), torch.full((4,), 0.09), rtol=2e-3, atol=0
        )  # Adam's first step
        torch.testing.assert_close(torch.stack(steps[4:8]), torch.full((4,), 0.15), rtol=2e-3, atol=0)
    assert same(contents(fresh), contents(used)) and same(contents(saved), before)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: kept(critics=1), "was saved from .* and 1 of MLP.*, but this agent has .* and 2 of MLP"),
        (lambda: kept(hidden=(HIDDEN + 1,)), r"was saved from MLP\(inputs=4, hidden=\(8,\)"),
        (lambda: DDPG(spaces(5), DDPGSettings(hidden=(HIDDEN,), critics=2)), r"'actor.0' .*\(3, 4, 7\).*\(5, 4, 7\)"),
        (lambda: agent(critics=2), "'actor.0' .*float32.*float64"),
    ],
)
def test_a_file_of_another_agent_is_refused_and_nothing_changes(
    other: Callable[[], DDPG], message: str, tmp_path: Path
) -> None:
    other().save(tmp_path / "other")
    made = kept()
    before = contents(made)
    with pytest.raises(ValueError, match=message):
        made.load(tmp_path / "other")
    assert same(contents(made), before) and (made.critic.steps, made.actor.steps) == (5, 2)


def test_files_that_hold_no_such_agent_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    made, path = kept(), tmp_path / "file"
    before = contents(made)
    made.save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-1], b"", b"words"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no safetensors file"):
            made.load(path)
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, {"agent": "DQN", "updates": "5"})
    with pytest.raises(ValueError, match=r"holds no DDPG agent, but .*DQN"):
        made.load(path)
    actor_critic = ActorCritic(spaces(), RUNS)
    actor_critic.save(path)
    with pytest.raises(ValueError, match=r"holds no DDPG agent, but .*ActorCritic"):
        made.load(path)
    made.save(path)
    with pytest.raises(ValueError, match=r"holds no ActorCritic agent, but .*DDPG"):
        actor_critic.load(path)
    assert same(contents(made), before) and (made.critic.steps, made.actor.steps) == (5, 2)


# The loop


@pytest.mark.parametrize("settings", [{}, {"critics": 2, "target_noise": 0.2, "actor_period": 2}])
def test_the_same_seeds_give_the_same_training_and_no_run_feels_another(settings: dict[str, Any]) -> None:
    def learnt(seed: int = 0, environments: Any = 5, disturb: bool = False) -> list[Tensor]:
        envs = make_envs("Pendulum-v1", RUNS, max_episode_steps=15)
        made = DDPG(envs, DDPGSettings(hidden=(16,), **settings), seed=seed)
        if disturb:
            with torch.no_grad():
                for parameter in (*made.actor.parameters, *made.target_actor):
                    parameter[0] *= -2
        replay = ReplayBuffer(envs, 50)
        for _ in train(envs, made, replay, steps=40, learning_starts=10, batch_size=6, seed=environments, progress=False):
            pass
        assert replay.stored().action.abs().max() <= 1
        twins = [parameter.transpose(0, 1) for parameter in (*made.critic.parameters, *made.target_critic)]
        return [tensor.detach() for tensor in (*made.actor.parameters, *made.target_actor, *twins, *replay.stored())]

    first = learnt()
    assert same(first, learnt())
    for other in (learnt(seed=1), learnt(environments=50)):
        assert not any(map(torch.equal, first[:4], other[:4]))
    for calm, disturbed in zip(first, learnt(disturb=True), strict=True):
        assert torch.equal(calm[1:], disturbed[1:])


# Learning what is known

WANTED = {
    0: (0.7, -3.0),
    1: (-0.25, 4.0),
    2: (0.0, 0.5),
}  # for each of three situations the best action, in [−1, 1] × [−4, 5]


class Aim(gymnasium.Env[Any, Any]):
    """One step: a situation is shown, two numbers are chosen, and the reward falls with the square of what they miss."""

    observation_space = Box(0, 1, (3,))
    action_space = Box(np.array([-1, -4], dtype=np.float32), np.array([1, 5], dtype=np.float32))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.situation = int(self.np_random.integers(3))
        return np.eye(3, dtype=np.float32)[self.situation], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        first, second = WANTED[self.situation]
        reward = 1 - (action[0] - first) ** 2 - ((action[1] - second) / 4.5) ** 2
        return np.eye(3, dtype=np.float32)[self.situation], float(reward), True, False, {}


def distance(settings: DDPGSettings, runs: int, seed: int, steps: int = 400) -> Tensor:
    """How far each run's actions are from the best ones, at most, in [−1, 1]."""
    envs = make_envs(Aim, runs)
    made = DDPG(envs, settings, seed=seed)
    for _ in train(envs, made, ReplayBuffer(envs, 1_000), steps=steps, learning_starts=50, batch_size=32, seed=seed, progress=False):
        pass
    best = torch.tensor([[first, (second + 4) / 4.5 - 1] for first, second in WANTED.values()])
    found = made.exploit(torch.eye(3).expand(runs, -1, -1))
    returns = evaluate(made, envs)
    assert (returns <= 1).all()
    return (found - best).abs().amax((-1, -2))


QUICK = {
    "discount": 0.9,
    "hidden": (32,),
    "actor_learning_rate": Linear(1e-2, 1e-3, updates=350),
    "critic_learning_rate": 1e-2,
    "exploration_noise": 0.5,
    "tau": 0.05,
}


@pytest.mark.parametrize("changed", [{}, {"critics": 2, "target_noise": 0.2, "actor_period": 2}], ids=["DDPG", "TD3"])
def test_the_best_actions_of_a_problem_of_one_step_are_found(changed: dict[str, Any]) -> None:
    # Measured with 100 runs of each kind: median 0.19 and 0.17, largest 0.32 and 0.41; least without training 0.63.
    assert (distance(DDPGSettings(**QUICK | changed), 8, 0) < 0.5).sum() >= 7
