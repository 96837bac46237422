"""The off-policy loop and evaluation: what is stored, when agents learn, and that runs never influence each other."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import count
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from torch import Tensor

from sac_tutorial.agents.actor_critic import ActorCritic
from sac_tutorial.agents.ddpg import DDPG
from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.deep.guards import EnvironmentFailed
from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.off_policy import Agent, Player, Step, evaluate, train
from sac_tutorial.deep.replay_buffer import Batch, ReplayBuffer
from sac_tutorial.deep.schedule import LinearSchedule
from sac_tutorial.equations import double_value, greedy_value
from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.vector_env import make_envs
from tests.oracles import random_mdp

RUNS, ACTIONS, STEPS, CAPACITY = 3, 5, 23, 40

# Environments in which every number tells its run, episode and time.

END, CUT, BOTH = "terminated", "truncated", "both"
SCRIPT = {  # for each run, the length and the end of its episodes, over and over
    0: [(4, END), (1, CUT), (3, CUT)],
    1: [(2, CUT), (5, END), (1, END)],
    2: [(6, CUT), (2, BOTH)],
}


class Scripted(gymnasium.Env[Any, Any]):
    """Plays the script of its run. `poison` replaces numbers of some steps."""

    observation_space: gymnasium.Space[Any] = Box(-np.inf, np.inf, (3,))
    action_space: gymnasium.Space[Any] = Discrete(ACTIONS)

    def __init__(self, run: int, poison: dict[int, dict[str, float]] | None = None) -> None:
        self.run, self.poison, self.episode, self.time, self.steps = run, poison or {}, -1, 0, 0

    def observe(self, **disturbance: float) -> np.ndarray:
        seen = np.array([self.run, self.episode, self.time], dtype=np.float32)
        seen[1] = disturbance.get("observation", seen[1])
        return seen

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.episode, self.time = self.episode + 1, 0
        return self.observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert int(action) == action_of(
            self.run, self.episode, self.time
        )  # the action for this run and this observation
        reward, disturbance = reward_of(self.run, self.episode, self.time), self.poison.get(self.steps, {})
        self.time, self.steps = self.time + 1, self.steps + 1
        length, how = SCRIPT[self.run][self.episode % len(SCRIPT[self.run])]
        over = self.time == length
        ends = over and how in (END, BOTH), over and how in (CUT, BOTH)
        return self.observe(**disturbance), disturbance.get("reward", reward), *ends, {}


def action_of(run: int, episode: int, time: int) -> int:
    return (2 * run + 3 * episode + time) % ACTIONS


def reward_of(run: int, episode: int, time: int) -> float:
    return 100.0 * run + 10 * episode + time + 0.5


def scripted(poison: dict[int, dict[int, dict[str, float]]] | None = None) -> VectorEnv:
    run = count()

    def make() -> Scripted:
        number = next(run)
        return Scripted(number, (poison or {}).get(number))

    return make_envs(make, RUNS)


class Recorder:
    """An agent that acts as `action_of` says and keeps the batches that it gets."""

    def __init__(self, runs: int = RUNS, buffer: ReplayBuffer | None = None) -> None:
        self.runs, self.device, self.generator = runs, torch.device("cpu"), torch.Generator().manual_seed(0)
        self.buffer, self.batches, self.stored, self.seen = buffer, list[Batch](), list[int](), list[Tensor]()

    def explore(self, observation: Tensor) -> Tensor:
        self.seen.append(observation)
        return (observation @ torch.tensor([2.0, 3.0, 1.0])).long() % ACTIONS

    def exploit(self, observation: Tensor) -> Tensor:
        raise AssertionError(f"training explores, but exploited {observation}")

    def update(self, batch: Batch) -> Tensor:
        self.batches.append(batch)
        self.stored.append(0 if self.buffer is None else len(self.buffer))
        return torch.zeros(self.runs)


def history(
    run: int, steps: int
) -> Iterator[tuple[tuple[int, int, int], int, float, tuple[int, int, int], bool, bool]]:
    """The steps of this run according to its script: s, a, r, s′, terminated, over."""
    episode, time = 0, 0
    for _ in range(steps):
        length, how = SCRIPT[run][episode % len(SCRIPT[run])]
        over = time + 1 == length
        here, there = (run, episode, time), (run, episode, time + 1)
        yield here, action_of(*here), reward_of(*here), there, over and how in (END, BOTH), over
        episode, time = (episode + 1, 0) if over else (episode, time + 1)


def played(steps: int = STEPS, **options: Any) -> tuple[list[Step], Recorder, ReplayBuffer]:
    envs = scripted()
    buffer = ReplayBuffer(envs, CAPACITY)
    agent = Recorder(buffer=buffer)
    usual = {"steps": steps, "learning_starts": 6, "batch_size": 4, "progress": False}
    return list(train(envs, agent, buffer, **usual | options)), agent, buffer


# Storing


def test_what_is_stored_is_what_happened() -> None:
    _, _, buffer = played()
    batch = buffer.stored()
    assert len(buffer) == STEPS
    for run in range(RUNS):
        here, action, reward, there, terminated, _ = zip(*history(run, STEPS), strict=True)
        assert batch.observation[run].tolist() == [list(s) for s in here]
        assert batch.action[run].tolist() == list(action)
        assert batch.reward[run].tolist() == list(reward)
        assert batch.next_observation[run].tolist() == [list(s) for s in there]  # the end of each episode included
        assert batch.terminated[run].tolist() == list(terminated)


def test_the_agent_acts_on_one_observation_a_run() -> None:
    _, agent, _ = played(steps=9)
    assert all(seen.shape == (RUNS, 1, 3) and seen.dtype == torch.float32 for seen in agent.seen)
    for run in range(RUNS):
        assert [seen[run, 0].tolist() for seen in agent.seen] == [list(step[0]) for step in history(run, 9)]


def test_continuous_actions_reach_their_own_environment() -> None:
    class Pushed(Scripted):
        action_space = Box(-8, 8, (2,))

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            assert action.tolist() == [self.run, -self.run]
            return super().step(action_of(self.run, self.episode, self.time))

    class Pusher(Recorder):
        def explore(self, observation: Tensor) -> Tensor:
            return torch.stack([observation[..., 0], -observation[..., 0]], -1) / 8

    run = count()
    envs = make_envs(lambda: Pushed(next(run)), RUNS)
    buffer = ReplayBuffer(envs, CAPACITY)
    list(train(envs, Pusher(), buffer, steps=7, learning_starts=0, batch_size=1, progress=False))
    assert buffer.stored().action.tolist() == [[[run / 8, -run / 8]] * 7 for run in range(RUNS)]  # as they were chosen


# Learning


@pytest.mark.parametrize("learning_starts", [0, 1, 6, 22, 23])
def test_after_learning_starts_each_step_is_stored_and_then_an_update_follows(learning_starts: int) -> None:
    _, agent, _ = played(learning_starts=learning_starts, batch_size=1)
    assert agent.stored == list(range(learning_starts + 1, STEPS + 1))


def test_a_training_without_updates_needs_no_full_batch() -> None:
    _, agent, buffer = played(steps=5, learning_starts=5, batch_size=99)
    assert len(buffer) == 5 and not agent.batches
    assert played(steps=5, start_step=5, learning_starts=0, batch_size=99)[0] == []


def test_the_first_update_may_draw_all_there_is() -> None:
    _, agent, _ = played(learning_starts=6, batch_size=7)
    assert [tuple(batch.reward.shape) for batch in agent.batches] == [(RUNS, 7)] * (STEPS - 6)
    for batch in agent.batches:
        assert (batch.observation[..., 0] == torch.arange(RUNS).unsqueeze(-1)).all()  # each run's own


def test_batches_are_drawn_with_the_agents_generator() -> None:
    _, agent, buffer = played(batch_size=4)
    again = torch.Generator().manual_seed(0)
    for number, batch in enumerate(agent.batches, start=7):
        index = torch.randint(number, (RUNS, 4), generator=again)
        assert torch.equal(batch.reward, buffer.stored().reward.gather(1, index))


# What a step tells


def test_steps_tell_their_number_which_episodes_ended_and_the_latest_returns() -> None:
    steps, _, _ = played()
    assert [step.number for step in steps] == list(range(1, STEPS + 1))
    for run in range(RUNS):
        last, so_far = np.nan, 0.0
        for step, (_, _, reward, _, _, over) in zip(steps, history(run, STEPS), strict=True):
            so_far += reward
            if over:
                last, so_far = so_far, 0.0
            assert step.ended[run] == over
            np.testing.assert_equal(step.last_return[run].item(), last)


def test_a_loop_that_stops_early_keeps_everything_and_can_go_on() -> None:
    envs = scripted()
    buffer = ReplayBuffer(envs, CAPACITY)
    agent = Recorder(buffer=buffer)
    for step in train(envs, agent, buffer, steps=1_000, learning_starts=6, batch_size=4, progress=False):
        if step.number == 9:
            break
    assert len(buffer) == 9 and len(agent.batches) == 3
    before = buffer.stored()
    more = list(train(envs, agent, buffer, steps=8, learning_starts=2, batch_size=4, progress=False, seed=None))
    assert (len(buffer), len(agent.batches)) == (17, 3 + 6)
    assert [step.number for step in more] == list(range(1, 9))
    after = buffer.stored()
    assert torch.equal(after.observation[:, :9], before.observation)
    assert (after.observation[:, 9, 1] > before.observation[:, 8, 1]).all()  # in new episodes
    assert (after.observation[:, 9, 2] == 0).all()


def test_a_buffer_that_holds_enough_needs_no_more_steps_before_learning() -> None:
    envs = scripted()
    buffer, agent = ReplayBuffer(envs, CAPACITY), Recorder()
    list(train(envs, agent, buffer, steps=5, learning_starts=5, batch_size=1, progress=False))
    list(train(envs, agent, buffer, steps=1, learning_starts=0, batch_size=6, progress=False))
    assert [len(batch.reward[0]) for batch in agent.batches] == [6]


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_or_not(progress: bool, capsys: pytest.CaptureFixture[str]) -> None:
    steps, _, _ = played(progress=progress)
    out, err = capsys.readouterr()
    assert out == ""
    if progress:
        assert f"{STEPS}/{STEPS}" in err and f"last_return={steps[-1].last_return.mean():.4g}" in err
    else:
        assert err == ""


# Errors


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["observation", "reward"])
def test_a_number_that_is_not_finite_stops_the_training_before_it_is_stored(field: str, value: float) -> None:
    envs = scripted({2: {10: {field: value}}, 1: {12: {field: value}}})
    buffer = ReplayBuffer(envs, CAPACITY)
    agent, steps = Recorder(), list[Step]()
    with pytest.raises(EnvironmentFailed, match=rf"step 11 of environment 2 .*{value}") as failure:  # noqa: PT012
        for step in train(envs, agent, buffer, steps=STEPS, learning_starts=6, batch_size=4, progress=False):
            steps.append(step)
    assert isinstance(failure.value, RuntimeError)
    assert (len(steps), len(buffer), len(agent.batches)) == (10, 10, 4)
    assert all(torch.isfinite(field).all() for field in buffer.stored())


@pytest.mark.parametrize(("agents", "buffers"), [(2, RUNS), (RUNS, 2), (2, 2), (4, 4)])
def test_other_numbers_of_runs_are_refused(agents: int, buffers: int) -> None:
    envs = scripted()
    buffer = ReplayBuffer(make_envs(lambda: Scripted(0), buffers), CAPACITY)
    with pytest.raises(ValueError, match=rf"3 environments, an agent with {agents} runs and a .* {buffers} runs"):
        next(train(envs, Recorder(agents), buffer, steps=5, learning_starts=0, batch_size=1, progress=False))
    assert len(buffer) == 0


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_environments_that_reset_themselves_are_refused(mode: AutoresetMode) -> None:
    envs = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * RUNS, autoreset_mode=mode)
    with pytest.raises(ValueError, match=r"must not reset themselves.*make_envs"):
        next(train(envs, Recorder(), ReplayBuffer(envs, 9), steps=5, learning_starts=0, batch_size=1, progress=False))
    with pytest.raises(ValueError, match=r"must not reset themselves.*make_envs"):
        evaluate(Recorder(), envs)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"steps": 2.5}, TypeError, "steps must be a whole number"),
        ({"learning_starts": -1}, ValueError, "learning_starts must be at least 0"),
        ({"learning_starts": 2.5}, TypeError, "learning_starts must be a whole number"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 4.0}, TypeError, "batch_size must be a whole number"),
        ({"start_step": STEPS + 1}, ValueError, f"start_step must be at most steps, which is {STEPS}"),
        ({"seed": 0.5}, TypeError, "seed must be a whole number"),
        ({"seed": [1, 2, -3]}, ValueError, "every entry of seed must be at least 0"),
        ({"seed": [1, 2]}, ValueError, "one entry for each of the 3 environments, but has 2"),
        (
            {"learning_starts": 6, "batch_size": 8},
            ValueError,
            "would find 7 transitions of each run, fewer than a batch of 8",
        ),
        ({"steps": 5, "learning_starts": 4, "batch_size": 6}, ValueError, "would find 5 transitions of each run"),
        (
            {"steps": 200, "learning_starts": 99, "batch_size": 41},
            ValueError,
            "would find 40 transitions .* a larger buffer .it holds 40",
        ),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_happens(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    envs = scripted()
    buffer, agent = ReplayBuffer(envs, CAPACITY), Recorder()
    usual: dict[str, Any] = {"steps": STEPS, "learning_starts": 6, "batch_size": 4, "progress": False}
    with pytest.raises(error, match=message):
        next(train(envs, agent, buffer, **usual | options))
    assert len(buffer) == 0 and not agent.batches


# Seeds and isolation


def cartpole(runs: int = 4) -> VectorEnv:
    return make_envs("CartPole-v1", runs)


def crossing(runs: int = 4) -> VectorEnv:
    return make_envs(random_mdp(7, 9, 3, 4, 0.9), runs, time_limit=7)


WORLDS: dict[str, Callable[..., VectorEnv]] = {"CartPole": cartpole, "FiniteMDP": crossing}


def learnt(
    world: Callable[..., VectorEnv],
    *,
    seed: int = 0,
    environments: Any = 5,
    disturb: Callable[[DQN, ReplayBuffer], None] = lambda *_: None,
    **options: Any,
) -> tuple[DQN, list[Step], ReplayBuffer]:
    """A real training of 60 steps and 50 updates, in which ε falls and the buffer overflows."""
    envs = world()
    settings = DQNSettings(epsilon=LinearSchedule(1, 0.1, updates=40), target_period=12, learning_rate=3e-3)
    network = MLP(envs.single_observation_space.shape[0], (8,), envs.single_action_space.n)  # type: ignore[index, attr-defined]
    agent = DQN(envs, settings, network=network, seed=seed, **options)
    buffer = ReplayBuffer(envs, 50)
    for step in range(5):  # something to disturb
        shape = envs.observation_space.shape
        buffer.add(np.full(shape, step), np.zeros(4), np.full(4, float(step)), np.full(shape, -step), np.zeros(4))
    disturb(agent, buffer)
    steps = list(
        train(envs, agent, buffer, steps=60, learning_starts=10, batch_size=8, seed=environments, progress=False)
    )
    return agent, steps, buffer


def traces(result: tuple[DQN, list[Step], ReplayBuffer], run: int) -> list[Tensor]:
    """Everything that a training leaves of one run."""
    agent, steps, buffer = result
    returns = torch.stack([step.last_return[run] for step in steps]).nan_to_num(-1)
    tensors = [*agent.online.parameters, *agent.target, *buffer.stored()]
    return [returns, *(tensor[run].detach() for tensor in tensors)]


def equal(one: tuple[DQN, list[Step], ReplayBuffer], other: tuple[DQN, list[Step], ReplayBuffer], run: int) -> bool:
    return all(map(torch.equal, traces(one, run), traces(other, run)))


@pytest.mark.parametrize("world", WORLDS)
def test_the_same_seeds_give_the_same_training_and_others_another(world: str) -> None:
    first = learnt(WORLDS[world])
    again = learnt(WORLDS[world])
    assert all(equal(first, again, run) for run in range(4))
    assert first[0].updates == 50
    for other in (learnt(WORLDS[world], seed=1), learnt(WORLDS[world], environments=99)):
        assert not any(equal(first, other, run) for run in range(4))


def other_parameters(agent: DQN, _: ReplayBuffer) -> None:
    with torch.no_grad():
        for parameter in agent.online.parameters:
            parameter[0] *= -2


def other_target(agent: DQN, _: ReplayBuffer) -> None:
    for parameter in agent.target:
        parameter[0] = 1e3


def nan_parameters(agent: DQN, _: ReplayBuffer) -> None:
    with torch.no_grad():
        agent.online.parameters[0][0] = torch.nan


def other_rows(_: DQN, buffer: ReplayBuffer) -> None:
    for step in range(3):
        observation = np.full((4, *buffer.observation_shape), float(step))
        observation[0] = -50.0
        buffer.add(observation, [1, 0, 0, 0], [9.0, 1.0, 1.0, 1.0], -observation, [True, False, False, False])


def same_rows(_: DQN, buffer: ReplayBuffer) -> None:
    for step in range(3):
        observation = np.full((4, *buffer.observation_shape), float(step))
        buffer.add(observation, np.zeros(4), np.ones(4), -observation, np.zeros(4))


@cache
def undisturbed(world: str, rows: bool, next_value: Callable[..., Tensor]) -> tuple[DQN, list[Step], ReplayBuffer]:
    return learnt(WORLDS[world], disturb=same_rows if rows else lambda *_: None, next_value=next_value)


@pytest.mark.parametrize(
    ("disturb", "next_value"),
    [
        (other_parameters, greedy_value),
        (other_parameters, double_value),
        (other_target, greedy_value),
        (nan_parameters, greedy_value),
        (other_rows, greedy_value),
    ],
)
@pytest.mark.parametrize("world", WORLDS)
def test_a_disturbed_run_leaves_the_others_bitwise_as_they_were(
    world: str, disturb: Callable[[DQN, ReplayBuffer], None], next_value: Callable[..., Tensor]
) -> None:
    calm = undisturbed(world, disturb is other_rows, next_value)
    disturbed = learnt(WORLDS[world], disturb=disturb, next_value=next_value)
    assert not equal(calm, disturbed, 0)
    assert all(equal(calm, disturbed, run) for run in range(1, 4))


def test_another_seed_of_one_environment_leaves_the_other_runs_bitwise_as_they_were() -> None:
    calm, disturbed = (learnt(cartpole, environments=[first, 6, 7, 8]) for first in (5, 99))
    assert not equal(calm, disturbed, 0)
    assert all(equal(calm, disturbed, run) for run in range(1, 4))


# Evaluation


class Exploiter(Recorder):
    """An agent whose run r always takes action r, and that must not explore."""

    def explore(self, observation: Tensor) -> Tensor:
        raise AssertionError(f"evaluation exploits, but explored {observation}")

    def exploit(self, observation: Tensor) -> Tensor:
        self.seen.append(observation)
        return torch.arange(self.runs).unsqueeze(-1).expand(observation.shape[:2])


class Fixed(gymnasium.Env[Any, Any]):
    """An episode of as many steps as its seed says; step t earns 10^t · (action + 1)."""

    observation_space: gymnasium.Space[Any] = Box(-np.inf, np.inf, (5,))
    action_space: gymnasium.Space[Any] = Discrete(ACTIONS)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.length = getattr(self, "length", 0) if seed is None else seed
        self.time = 0
        return np.full(5, float(self.length)), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        over = self.time == self.length
        reward = 10.0 ** (self.time - 1) * (int(action) + 1)
        return np.full(5, self.length + self.time / 10), reward, over and self.length % 2 == 0, over, {}


def test_returns_are_those_of_one_episode_each_and_later_rewards_do_not_count() -> None:
    agent = Exploiter()
    returns = evaluate(agent, make_envs(Fixed, RUNS * 4), seed=2)  # episodes of 2, 3, 4 and 5 steps for each run
    lengths = np.array([11, 111, 1111, 11111.0])
    assert returns.tolist() == [(lengths * (run + 1)).tolist() for run in range(RUNS)]
    assert len(agent.seen) == 5
    assert all(seen.shape == (RUNS, 4, 5) for seen in agent.seen)
    assert agent.seen[0][..., 0].tolist() == [[2, 3, 4, 5]] * RUNS
    assert agent.seen[1][..., 0].tolist() == [[pytest.approx(length + 0.1) for length in (2, 3, 4, 5)]] * RUNS


def test_the_second_reward_is_the_first_that_is_discounted() -> None:
    returns = evaluate(Exploiter(), make_envs(Fixed, RUNS * 2), seed=3, discount=0.5)
    assert returns[0].tolist() == [1 + 5 + 25, 1 + 5 + 25 + 125]
    assert evaluate(Exploiter(), make_envs(Fixed, RUNS), seed=4, discount=0)[0].tolist() == [1]
    undiscounted = evaluate(Exploiter(), make_envs(Fixed, RUNS), seed=4)
    assert torch.equal(evaluate(Exploiter(), make_envs(Fixed, RUNS), seed=4, discount=1), undiscounted)


def test_returns_keep_digits_that_float32_has_not() -> None:
    class Precise(Fixed):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            seen, _, *rest = super().step(action)
            return seen, 2.0**24 + 1, *rest

    assert evaluate(Exploiter(), make_envs(Precise, RUNS), seed=2).tolist() == [[2.0**25 + 2]] * RUNS


def test_all_runs_play_the_same_episodes() -> None:
    class Still(Exploiter):
        def exploit(self, observation: Tensor) -> Tensor:
            return (observation[..., 2] > 0).long()  # lean against it: lasts for some dozens of steps

    first = evaluate(Still(), make_envs("CartPole-v1", RUNS * 5))
    assert first.shape == (RUNS, 5) and first.dtype == torch.float64
    assert (first == first[0]).all() and len(set(first[0].tolist())) > 1
    assert torch.equal(first, evaluate(Still(), make_envs("CartPole-v1", RUNS * 5), seed=0))
    other = evaluate(Still(), make_envs("CartPole-v1", RUNS * 5), seed=1)
    assert torch.equal(other[:, :4], first[:, 1:])  # episodes are seeded one after the other


def test_evaluation_leaves_the_agent_as_it_was() -> None:
    envs = cartpole()
    agent = DQN(envs)
    before, state = [p.detach().clone() for p in agent.online.parameters], agent.generator.get_state()
    returns = evaluate(agent, make_envs("CartPole-v1", 4))
    assert returns.shape == (4, 1)
    assert all(map(torch.equal, agent.online.parameters, before))
    assert torch.equal(agent.generator.get_state(), state) and agent.updates == 0


def test_the_return_on_a_grid_without_chance_is_known() -> None:
    mdp = gridworld(["S..G"], discount=0.5, step_reward=-0.25)

    class Right(Exploiter):
        def exploit(self, observation: Tensor) -> Tensor:
            return torch.full(observation.shape[:2], 2)

    agent: Agent = Right()
    returns = evaluate(agent, make_envs(mdp, RUNS * 2, time_limit=9), discount=0.5)
    assert returns.tolist() == [[-0.25 - 0.125 + 0.1875] * 2] * RUNS
    assert evaluate(agent, make_envs(mdp, RUNS, time_limit=2)).tolist() == [[-0.5]] * RUNS  # cut off


@pytest.mark.parametrize("make", [lambda envs: DDPG(envs), lambda envs: ActorCritic(envs)])
def test_continuous_actions_are_evaluated_within_their_bounds(make: Callable[[VectorEnv], Player]) -> None:
    told = list[float]()

    class Bounded(Fixed):
        action_space = Box(-3, 1, (1,))

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            told.append(float(action[0]))
            return super().step(0)

    agent = make(make_envs(Bounded, RUNS))
    with torch.no_grad():
        for parameter in agent.actor.parameters[-3:]:  # type: ignore[attr-defined]
            parameter += 50  # log σ, or a bias: the mean is far outside either way
    returns = evaluate(agent, make_envs(Bounded, RUNS * 2), seed=2)
    assert returns.tolist() == [[11, 111]] * RUNS
    assert told == [1.0] * len(told)


@pytest.mark.parametrize(
    ("number", "discount", "error", "message"),
    [
        (4, 1.0, ValueError, "must be a multiple of the agent's 3 runs, .* but is 4"),
        (2, 1.0, ValueError, "must be a multiple of the agent's 3 runs"),
        (3, 1.5, ValueError, r"discount must lie in \[0, 1\]"),
        (3, -0.1, ValueError, r"discount must lie in \[0, 1\]"),
        (3, "0.9", TypeError, "discount must be a number"),
    ],
)
def test_evaluation_refuses_numbers_that_do_not_fit(
    number: int, discount: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(Exploiter(), make_envs(Fixed, number), discount=discount)


def test_a_first_observation_that_is_not_finite_stops_the_training_too() -> None:
    class Begins(Scripted):
        bad = 0

        def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
            seen, info = super().reset(**options)
            return (np.full(3, np.nan), info) if (self.run, self.episode) == (1, self.bad) else (seen, info)

    for bad, stored in ((0, 0), (1, 1)):  # run 1's second episode begins after step 2
        run = count()
        envs = make_envs(lambda: Begins(next(run)), RUNS)  # noqa: B023  # called at once
        for env in envs.envs:  # type: ignore[attr-defined]
            env.bad = bad
        buffer = ReplayBuffer(envs, CAPACITY)
        agent = Recorder(buffer=buffer)
        with pytest.raises(EnvironmentFailed, match="environment 1"):
            list(train(envs, agent, buffer, steps=STEPS, learning_starts=0, batch_size=1, progress=False))
        assert len(buffer) == stored
        assert all(torch.isfinite(seen).all() for seen in agent.seen)


def test_an_evaluation_stops_at_a_number_that_is_not_finite() -> None:
    def rewarded(nothing: float) -> gymnasium.Env[Any, Any]:
        return gymnasium.wrappers.TransformReward(gymnasium.make("CartPole-v1"), lambda reward: nothing * float(reward))

    def seen(nothing: float) -> gymnasium.Env[Any, Any]:
        env = gymnasium.make("CartPole-v1")
        return gymnasium.wrappers.TransformObservation(env, lambda four: nothing * four, env.observation_space)

    for make, what in ((rewarded, "reward of step 1"), (seen, "first observation")):
        envs = make_envs(partial(make, np.nan), RUNS)
        with pytest.raises(EnvironmentFailed, match=f"{what} of environment 0 .* not finite"):
            evaluate(DQN(envs), envs)


def test_environments_that_hand_out_the_same_array_are_refused() -> None:
    envs = gymnasium.make_vec(
        "CartPole-v1", RUNS, "sync", vector_kwargs={"copy": False, "autoreset_mode": AutoresetMode.DISABLED}
    )
    with pytest.raises(ValueError, match="copy=False"):
        next(train(envs, DQN(envs), ReplayBuffer(envs, 10), steps=1, learning_starts=0, batch_size=1, progress=False))


def test_an_agent_on_another_device_than_its_buffer_is_refused() -> None:
    envs, agent = scripted(), Recorder()
    agent.device = torch.device("meta")
    with pytest.raises(ValueError, match="must be on one device, but are on meta and cpu"):
        next(train(envs, agent, ReplayBuffer(envs, 9), steps=5, learning_starts=0, batch_size=1, progress=False))


def test_a_buffer_for_other_observations_is_refused() -> None:
    envs, others = make_envs("CartPole-v1", RUNS), make_envs("Acrobot-v1", RUNS)
    with pytest.raises(ValueError, match=r"holds observations of shape \(6,\), but the environments have"):
        next(train(envs, DQN(envs), ReplayBuffer(others, 10), steps=1, learning_starts=0, batch_size=1, progress=False))
