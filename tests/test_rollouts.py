"""The on-policy loop, number by number, in environments whose every number says where it comes from."""

import math
import signal
from collections.abc import Iterator
from itertools import count
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from torch import Tensor

from sac_tutorial.agents.actor_critic import ActorCritic, ActorCriticSettings
from sac_tutorial.deep.guards import EnvironmentFailed
from sac_tutorial.deep.rollouts import Progress, Rollout, train_on_policy
from sac_tutorial.worlds.vector_env import make_envs
from tests.helpers import ACTIONS

RUNS, ENVS = 2, 3
ALL = range(RUNS * ENVS)

SCRIPT = [  # for each environment, the length and the end of its episodes, over and over
    [(4, "end"), (1, "cut"), (3, "cut")],
    [(2, "cut"), (5, "end"), (1, "end")],
    [(6, "cut"), (2, "both")],
    [(1, "end")],
    [(3, "end"), (2, "cut")],
    [(7, "end")],
]


def action_of(number: int, episode: int, time: int) -> int:
    return (2 * number + 3 * episode + time) % ACTIONS


def reward_of(number: int, episode: int, time: int) -> float:
    return 100.0 * number + 10 * episode + time + 0.5


class Scripted(gymnasium.Env[Any, Any]):
    """Plays its script. An observation is (environment, episode, step). `poison` replaces numbers at some steps."""

    observation_space: gymnasium.Space[Any] = Box(-np.inf, np.inf, (3,))
    action_space: gymnasium.Space[Any] = Discrete(ACTIONS)

    def __init__(self, number: int, poison: dict[int, dict[str, float]] | None = None) -> None:
        self.number, self.poison, self.episode, self.time, self.steps = number, poison or {}, -1, 0, 0

    def observe(self, first: float | None = None) -> Any:
        return np.array([self.number if first is None else first, self.episode, self.time], dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.episode, self.time = self.episode + 1, 0
        return self.observe(self.poison.get(self.steps, {}).get("reset")), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert int(action) == action_of(self.number, self.episode, self.time)
        reward, poison = reward_of(self.number, self.episode, self.time), self.poison.get(self.steps, {})
        self.time, self.steps = self.time + 1, self.steps + 1
        length, how = SCRIPT[self.number][self.episode % len(SCRIPT[self.number])]
        over = self.time == length
        ends = over and how in ("end", "both"), over and how in ("cut", "both")
        return self.observe(poison.get("observation")), poison.get("reward", reward), *ends, {}


def scripted(poison: dict[int, dict[int, dict[str, float]]] | None = None) -> VectorEnv:
    number = count()
    return make_envs(lambda: Scripted(index := next(number), (poison or {}).get(index)), RUNS * ENVS)


class Recorder(ActorCritic):
    """Acts as `action_of` says and keeps what it is given to learn from."""

    def __init__(self, rollout_length: int | None, *, interrupt: int = 0) -> None:
        settings = ActorCriticSettings(rollout_length=rollout_length, envs_per_run=ENVS, hidden=())
        super().__init__(make_envs(lambda: Scripted(0), RUNS * ENVS), settings)
        self.rollouts, self.seen, self.interrupt = list[Rollout](), list[Tensor](), interrupt

    def explore(self, observation: Tensor) -> Tensor:
        self.seen.append(observation)
        if len(self.seen) == self.interrupt:
            raise KeyboardInterrupt
        return (observation @ torch.tensor([2.0, 3.0, 1.0])).long() % ACTIONS

    def exploit(self, observation: Tensor) -> Tensor:
        raise AssertionError(f"training explores, but exploited {observation}")

    def update(self, rollout: Rollout) -> Tensor:
        self.rollouts.append(rollout)
        return torch.zeros(self.runs)


def trained(length: int | None, updates: int) -> tuple[list[Progress], Recorder]:
    agent = Recorder(length)
    return list(train_on_policy(scripted(), agent, updates=updates, progress=False)), agent


Happened = tuple[tuple[int, int, int], int, float, tuple[int, int, int], bool, bool, int]


def history(number: int) -> Iterator[Happened]:
    """What happens to this environment: s, a, r, s′, terminated, ended, age."""
    for episode in count():
        length, how = SCRIPT[number][episode % len(SCRIPT[number])]
        for time in range(length):
            over, here = time + 1 == length, (number, episode, time)
            there = (number, episode, time + 1)
            yield here, action_of(*here), reward_of(*here), there, over and how != "cut", over, time


@pytest.mark.parametrize("length", [1, 4])
def test_rollouts_hold_what_happened_in_every_environment_one_step_after_the_other(length: int) -> None:
    updates = 24 // length
    progress, agent = trained(length, updates)
    kinds = [torch.float32, torch.int64, *[torch.float32] * 2, torch.bool, torch.bool, torch.int64, torch.bool]
    for one in agent.rollouts:
        assert all(field.shape[:3] == (RUNS, length, ENVS) for field in one)
        assert [field.dtype for field in one] == kinds and one.taken.all()
    for number in ALL:
        run, place = divmod(number, ENVS)
        found = [torch.cat([field[run, :, place] for field in fields]) for fields in zip(*agent.rollouts, strict=True)]
        wanted = [step for step, _ in zip(history(number), range(24), strict=False)]
        for column, expected in zip(found[:7], zip(*wanted, strict=True), strict=True):
            assert column.tolist() == [list(entry) if isinstance(entry, tuple) else entry for entry in expected]
        seen = [tuple(each[run, place].tolist()) for each in agent.seen]  # what the agent acted on
        assert seen == [step[0] for step in wanted]
    assert [step.updates for step in progress] == list(range(1, updates + 1))
    assert [step.steps for step in progress] == list(range(length, 25, length))


def test_whole_episodes_are_one_of_each_environment_padded_to_the_longest() -> None:
    progress, agent = trained(None, 4)
    episode, steps = [0] * len(ALL), 0
    for at, one in zip(progress, agent.rollouts, strict=True):
        lengths = []
        for number in ALL:
            run, place = divmod(number, ENVS)
            length, how = SCRIPT[number][episode[number] % len(SCRIPT[number])]
            times, mine = range(length), [field[run, :length, place].tolist() for field in one]
            assert one.taken[run, :, place].tolist() == [t < length for t in range(one.taken.shape[1])]
            assert mine[0] == [[number, episode[number], t] for t in times]
            assert mine[2] == [reward_of(number, episode[number], t) for t in times]
            assert mine[3] == [[number, episode[number], t + 1] for t in times]
            assert mine[4] == [t + 1 == length and how != "cut" for t in times]
            assert mine[5] == [t + 1 == length for t in times] and mine[6] == list(times)
            assert at.last_return[run, place] == sum(mine[2])  # not that of an episode that was only padding
            lengths.append(length)
        steps += max(lengths)
        assert one.taken.shape[1] == max(lengths) and at.steps == steps
        for number in ALL:  # padding plays on with new episodes, and then all begin anew
            episode[number] += int(one.ended[number // ENVS, :, number % ENVS].sum()) + 1


def test_returns_are_those_of_the_latest_finished_episodes() -> None:
    progress, _ = trained(1, 20)
    for number in ALL:
        last, so_far = math.nan, 0.0
        for step, (_, _, reward, _, _, over, _) in zip(progress, history(number), strict=False):
            so_far += reward
            if over:
                last, so_far = so_far, 0.0
            np.testing.assert_equal(step.last_return[divmod(number, ENVS)].item(), last)


@pytest.mark.parametrize("length", [4, None])
def test_training_that_was_interrupted_can_go_on_with_new_episodes(length: int | None) -> None:
    envs, agent = scripted(), Recorder(length, interrupt=17)
    with pytest.raises(KeyboardInterrupt):
        list(train_on_policy(envs, agent, updates=9, progress=False))
    learnt = len(agent.rollouts)
    assert learnt == (4 if length else 2)  # the half-collected rollout is lost, what was learnt is not
    episodes = [env.unwrapped.episode for env in envs.envs]  # type: ignore[attr-defined]
    for step in train_on_policy(envs, agent, updates=9, progress=False, seed=None):
        if step.updates == 2:
            break
    first, second = agent.rollouts[learnt:]
    assert first.observation[:, 0, :, 1].flatten().tolist() == [episode + 1 for episode in episodes]
    assert not first.age[:, 0].any() and step.steps == first.reward.shape[1] + second.reward.shape[1]


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_waits_for_the_end_of_the_update_and_a_second_one_does_not(presses: int) -> None:
    class Pressing(Recorder):
        def explore(self, observation: Tensor) -> Tensor:
            action = super().explore(observation)
            for _ in range(presses if len(self.seen) == 6 else 0):  # in the middle of the second rollout
                signal.raise_signal(signal.SIGINT)
            return action

    agent, done = Pressing(4), list[int]()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for step in train_on_policy(scripted(), agent, updates=9, progress=False):
            done.append(step.updates)
    assert done == ([1, 2] if presses == 1 else [1]) and len(agent.rollouts) == len(done)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_or_not(progress: bool, capsys: pytest.CaptureFixture[str]) -> None:
    steps = list(train_on_policy(scripted(), Recorder(8), updates=3, progress=progress))
    out, err = capsys.readouterr()
    assert out == ""
    assert (f"last_return={steps[-1].last_return.mean():.4g}" in err and "3/3" in err) if progress else err == ""


@pytest.mark.parametrize("length", [4, None])
@pytest.mark.parametrize(
    ("poison", "words"),
    [
        ({10: {"observation": math.nan}}, "The observation after step 11 of environment 4 .*nan"),
        ({10: {"reward": -math.inf}}, "The reward of step 11 of environment 4 .*-inf"),
        ({3: {"reset": math.inf}}, "The first observation of a new episode, after step 3, of environment 4 .*inf"),
        ({0: {"reset": math.nan}}, "The first observation of environment 4 .*nan"),
    ],
)
def test_what_is_not_finite_stops_the_training_is_named_and_is_not_learnt_from(
    length: int | None, poison: dict[int, dict[str, float]], words: str
) -> None:
    agent, done = Recorder(length), list[Progress]()
    with pytest.raises(EnvironmentFailed, match=words):
        done.extend(train_on_policy(scripted({4: poison}), agent, updates=9, progress=False))
    assert all(seen.isfinite().all() for seen in agent.seen)
    assert all(one.reward.isfinite().all() and one.next_observation.isfinite().all() for one in agent.rollouts)
    assert len(agent.rollouts) == ((2 if length else 1) if 10 in poison else 0)


class Bounded(Scripted):
    """One continuous action, bounded; it keeps what it was told."""

    action_space = Box(-2, 6, (1,))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.told = [*getattr(self, "told", []), float(action[0])]
        return super().step(action_of(self.number, self.episode, self.time))


def test_continuous_actions_are_clipped_on_their_way_and_learnt_from_as_they_were_drawn() -> None:
    class Loud(Recorder):
        def explore(self, observation: Tensor) -> Tensor:
            return observation[..., 2:] * 0.75 - 1.5

    number, agent = count(), Loud(7)
    envs = make_envs(lambda: Bounded(next(number)), len(ALL))
    agent.action_space = envs.single_action_space
    list(train_on_policy(envs, agent, updates=1, progress=False))
    last = agent.rollouts[0].action[-1, :, -1, 0]  # an episode of seven steps
    assert last.tolist() == [-1.5, -0.75, 0, 0.75, 1.5, 2.25, 3.0]
    assert envs.envs[-1].unwrapped.told == [-2, -1, 2, 5, 6, 6, 6]  # type: ignore[attr-defined]


# Refusals


def other_spaces() -> VectorEnv:
    return make_envs(lambda: Bounded(0), len(ALL))


def resetting() -> VectorEnv:
    return SyncVectorEnv([lambda: Scripted(0)] * len(ALL), autoreset_mode=AutoresetMode.NEXT_STEP)


@pytest.mark.parametrize(
    ("envs", "changed", "error", "message"),
    [
        (scripted, {"updates": 0}, ValueError, "updates must be at least 1"),
        (scripted, {"updates": 2.5}, TypeError, "updates must be a whole number"),
        (scripted, {"seed": 0.5}, TypeError, "seed must be a whole number"),
        (scripted, {"seed": [1, 2]}, ValueError, "one entry for each of the 6 environments, but has 2"),
        (lambda: make_envs(lambda: Scripted(0), 8), {}, ValueError, "2 runs with 3 environments each, but there are 8"),
        (other_spaces, {}, ValueError, "The agent was made for .* but these environments have"),
        (resetting, {}, ValueError, "must not reset themselves.*make_envs"),
        (lambda: gymnasium.make("CartPole-v1"), {}, TypeError, "envs must be a vector environment"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_happens(
    envs: Any, changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    agent = Recorder(2)
    with pytest.raises(error, match=message):
        next(train_on_policy(envs(), agent, **{"updates": 1, "progress": False} | changed))
    assert not agent.seen
