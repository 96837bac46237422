"""Trainings in files: what goes on as if it had never stopped, what is refused, and what a kill or a full disk leaves."""

import contextlib
import errno
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import psutil
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from sac_tutorial.environment import FiniteMDPEnv
from torch import Tensor

from sac_tutorial.agents.actor_critic import ActorCritic
from sac_tutorial.agents.ddpg import DDPG, TD3, DDPGSettings
from sac_tutorial.agents.discrete_sac import DiscreteSAC
from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.agents.sac import SAC, SACSettings, ValueSAC
from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.off_policy import Step, train
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.deep.schedule import Linear
from sac_tutorial.deep.temperature import LearnedTemperature
from sac_tutorial.equations import double_value, huber_loss, soft_value
from sac_tutorial.files import checkpoint, saving
from sac_tutorial.files.checkpoint import load_checkpoint, save_checkpoint
from sac_tutorial.files.saving import load_tensors, save_tensors
from sac_tutorial.worlds.line_problem import LineProblem, LineVectorEnv
from sac_tutorial.worlds.vector_env import make_envs
from tests.oracles import random_mdp

RUNS, BEFORE, AFTER, WARMUP, BATCH = 3, 45, 30, 12, 5
MDP = random_mdp(7, 6, 4, 3, 0.9)
PROBLEM = LineProblem(lambda x, a: -((a - 0.3 * x) ** 2), move=lambda x, a: 0.5 * x + a)
LEARNED = LearnedTemperature(-0.5, learning_rate=Linear(0.05, 0.0, updates=40))
Training = tuple[VectorEnv, Any, ReplayBuffer]


def line() -> VectorEnv:
    return LineVectorEnv(PROBLEM, RUNS, time_limit=7)


def numbered() -> VectorEnv:
    return make_envs(MDP, RUNS, time_limit=7)


def dqn(envs: VectorEnv, seed: int) -> DQN:
    settings = DQNSettings(
        epsilon=Linear(1, 0.1, updates=40), target_period=7, learning_rate=Linear(0.01, 0, updates=60)
    )
    return DQN(envs, settings, seed=seed)


def double_dqn(envs: VectorEnv, seed: int) -> DQN:
    return DQN(envs, DQNSettings(target_period=None, tau=0.1), next_value=double_value, seed=seed)


def sac(envs: VectorEnv, seed: int) -> SAC:
    temperatures = [LEARNED, 0.3, LearnedTemperature(in_log=False, learning_rate=0.01)]
    return SAC(envs, SACSettings(temperature=temperatures, hidden=(8,), tau=0.1), seed=seed)


TRAININGS: dict[str, tuple[Callable[[], VectorEnv], Callable[[VectorEnv, int], Any]]] = {
    "DQN on CartPole": (partial(make_envs, "CartPole-v1", RUNS), dqn),
    "double DQN on a model": (numbered, double_dqn),
    "DQN on a model in Gymnasium": (partial(make_envs, lambda: FiniteMDPEnv(MDP), RUNS), dqn),
    "DDPG on Pendulum": (
        partial(make_envs, "Pendulum-v1", RUNS, max_episode_steps=11),
        lambda envs, seed: DDPG(envs, DDPGSettings(hidden=(8,)), seed=seed),
    ),
    "TD3 on a line": (line, lambda envs, seed: DDPG(envs, TD3, seed=seed)),
    "SAC on a line": (line, sac),
    "SAC on Pendulum": (partial(make_envs, "Pendulum-v1", RUNS, max_episode_steps=11), sac),
    "SAC of 2018 on a line": (
        line,
        lambda envs, seed: ValueSAC(envs, SACSettings(temperature=LEARNED, hidden=(8,)), seed=seed),
    ),
    "discrete SAC on a model": (
        numbered,
        lambda envs, seed: DiscreteSAC(
            envs, SACSettings(temperature=[0.1, LearnedTemperature(), LearnedTemperature(0.3)], hidden=(8,)), seed=seed
        ),
    ),
}


def made(name: str, seed: int = 0, capacity: int = 25) -> Training:
    make, agent = TRAININGS[name]
    envs = make()
    return envs, agent(envs, seed), ReplayBuffer(envs, capacity)


def steps_of(training: Training, **options: Any) -> Iterator[Step]:
    return train(*training, **{"learning_starts": WARMUP, "batch_size": BATCH, "progress": False} | options)


def everything(training: Training) -> dict[str, Any]:
    """All that a training consists of, read without the code that is tested here."""
    envs, agent, replay = training
    found: dict[str, Any] = {f"replay {place}": field.clone() for place, field in enumerate(replay.stored())}
    found |= {"place in the replay": replay._position, "agent's generator": agent.generator.get_state()}
    for name, value in vars(agent).items():
        if isinstance(value, list):
            found |= {f"{name} {place}": tensor.clone() for place, tensor in enumerate(value)}
    learnables = {name: value for name, value in vars(agent).items() if hasattr(value, "descend")}
    if getattr(agent, "temperature_learner", None) is not None:
        found["temperature"] = agent.temperature.clone()
        learnables |= {f"temperature {place}": one for place, one in enumerate(agent.temperature_learner.learnables)}
    for name, learnable in learnables.items():
        found[f"{name} steps"], found[f"{name} count"] = learnable.steps, learnable.count.clone()
        for part in ("parameters", "means", "squares"):
            found |= {f"{name} {part} {place}": t.detach().clone() for place, t in enumerate(getattr(learnable, part))}
    for place, env in enumerate([envs, *getattr(envs, "envs", [])]):
        if hasattr(env.unwrapped, "generator"):
            found[f"generator {place}"] = env.unwrapped.generator.get_state()
        if place:
            found[f"numpy generator {place}"] = env.unwrapped.np_random.bit_generator.state
    return found


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    assert one.keys() == other.keys()
    same = {
        name: torch.equal(value, other[name]) if isinstance(value, Tensor) else value == other[name]
        for name, value in one.items()
    }
    return [name for name in same if not same[name]]


def same_steps(one: list[Step], other: list[Step]) -> bool:
    return all(
        a.number == b.number and (a.ended == b.ended).all() and np.array_equal(a.last_return, b.last_return, True)
        for a, b in zip(one, other, strict=True)
    )


# As if it had never stopped


@pytest.mark.parametrize("capacity", [25, 500])  # a replay that has begun to forget, and one that is not yet full
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_in_new_objects_as_it_would_have_in_the_old_ones(
    name: str, capacity: int, tmp_path: Path
) -> None:
    old, path = made(name, capacity=capacity), tmp_path / "file"
    for step in steps_of(old, steps=1_000):
        if step.number == BEFORE:
            save_checkpoint(path, *old, step.number)
            break
    at_the_stop = everything(old)

    new = made(name, seed=99, capacity=capacity)
    list(steps_of(new, steps=BEFORE + 8, seed=77))  # they have a past of their own, and nothing of it may stay
    assert len(differences(at_the_stop, everything(new))) > 10
    done = load_checkpoint(path, *new)
    assert done == BEFORE and differences(at_the_stop, everything(new)) == []

    there = list(steps_of(old, steps=BEFORE + AFTER, done=BEFORE, seed=None))
    here = list(steps_of(new, steps=BEFORE + AFTER, done=done, seed=None))
    assert same_steps(there, here) and len(here) == AFTER
    assert differences(everything(old), everything(new)) == []
    assert len(differences(at_the_stop, everything(new))) > 10


@pytest.mark.parametrize("name", ["SAC on Pendulum", "double DQN on a model"])
def test_a_checkpoint_during_the_warmup_goes_on_too(name: str, tmp_path: Path) -> None:
    old, new, path = made(name), made(name, seed=99), tmp_path / "file"
    list(steps_of(old, steps=WARMUP - 4))
    save_checkpoint(path, *old, WARMUP - 4)
    done = load_checkpoint(path, *new)
    for training in (old, new):
        assert len(list(steps_of(training, steps=AFTER, done=done, seed=None))) == AFTER - done
    assert differences(everything(old), everything(new)) == []
    assert max(learnable.steps for learnable in new[1]._learnables.values()) == AFTER - WARMUP


def test_saving_leaves_the_training_as_it_is(tmp_path: Path) -> None:
    with_files, without = made("SAC on Pendulum"), made("SAC on Pendulum")
    for step in steps_of(with_files, steps=BEFORE):
        save_checkpoint(tmp_path / "file", *with_files, step.number)
    list(steps_of(without, steps=BEFORE))
    assert differences(everything(with_files), everything(without)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_episode_in_progress_begins_anew(tmp_path: Path) -> None:
    old, new = made("SAC on a line"), made("SAC on a line")
    list(steps_of(old, steps=10))  # episodes take 7 steps
    save_checkpoint(tmp_path / "file", *old, 10)
    load_checkpoint(tmp_path / "file", *new)
    ended = [step.number for step in steps_of(new, steps=20, done=10, seed=None) if step.ended.any()]
    assert ended == [17]


def test_options_come_with_it_and_must_be_the_same(tmp_path: Path) -> None:
    training, path = made("SAC on a line"), tmp_path / "file"
    save_checkpoint(path, *training, 0, options={"batch_size": 5, "learning_starts": 12})
    assert load_checkpoint(path, *training, options={"learning_starts": 12, "batch_size": 5}) == 0
    with pytest.raises(ValueError, match=r"its options.batch_size is 5, but here it is 6"):
        load_checkpoint(path, *training, options={"learning_starts": 12, "batch_size": 6})
    with pytest.raises(ValueError, match=r"its options.learning_starts is 12, but here it is not given"):
        load_checkpoint(path, *training, options={"batch_size": 5})
    with pytest.raises(ValueError, match=r"its options.seed is not given, but here it is 1"):
        load_checkpoint(path, *training, options={"batch_size": 5, "learning_starts": 12, "seed": 1})


# Counting on


def test_steps_that_are_done_count() -> None:
    training = made("SAC on a line")
    assert [step.number for step in steps_of(training, steps=20, done=15, batch_size=1)] == list(range(16, 21))
    assert training[1].critic.steps == 5  # the warm-up of 12 steps is over
    assert list(steps_of(training, steps=20, done=20)) == []
    training = made("SAC on a line")
    list(steps_of(training, steps=20, done=8))
    assert training[1].critic.steps == 20 - WARMUP


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"done": 21}, ValueError, "done must be at most the 20 steps that there are to take, but is 21"),
        ({"done": -1}, ValueError, "done must be at least 0"),
        ({"done": 1.5}, TypeError, "done must be a whole number"),
        ({"done": 15}, ValueError, r"would find 1 transitions of each run, fewer than a batch of 5"),
        ({"done": 10}, ValueError, r"would find 3 transitions of each run, fewer than a batch of 5"),
    ],
)
def test_what_can_not_have_been_done_is_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    training = made("SAC on a line")
    with pytest.raises(error, match=words):
        next(steps_of(training, steps=20, **options))
    assert len(training[2]) == 0


def test_the_bar_begins_at_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    list(steps_of(made("SAC on a line"), steps=20, done=15, batch_size=1, progress=True))
    err = capsys.readouterr().err
    assert "15/20" in err and "20/20" in err and "0/20 [" in err and " 1/20" not in err


# Another training


def variant(**changes: Any) -> Training:
    """SAC on a line; the names are those of what is changed."""
    problem = changes.get("problem", PROBLEM)
    envs = LineVectorEnv(problem, changes.get("runs", RUNS), time_limit=changes.get("time_limit", 7))
    usual = {"temperature": 0.2, "hidden": (8,)}
    kind, given = changes.get("kind", SAC), ("temperature", "hidden", "discount", "critics")
    settings = SACSettings(**usual | {name: changes[name] for name in given if name in changes})
    return envs, kind(envs, settings), ReplayBuffer(envs, changes.get("capacity", 25))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"discount": 0.9}, r"its settings.discount is 0.99, but here it is 0.9\.$"),
        ({"temperature": LEARNED}, "its settings.temperature is 0.2, but here it is LearnedTemperature"),
        ({"hidden": (9,)}, r"its settings.hidden is \(8,\), but here it is \(9,\)"),
        ({"critics": 1}, "its settings.critics is 2, but here it is 1"),
        ({"capacity": 26}, r"its replay.capacity is 25, but here it is 26\.$"),
        ({"runs": 4}, "its number of runs is 3, but here it is 4"),
        ({"kind": ValueSAC}, "its agent is SAC, but here it is ValueSAC"),
        ({"time_limit": 8}, r"its environment is .*ends after 7 steps, but here it is .*after 8 steps\.$"),
        ({"problem": LineProblem(lambda x, a: -(a**2) + 0 * x, PROBLEM.move)}, r"its environment is .*\.$"),
        ({"problem": LineProblem(PROBLEM.reward, lambda x, a: 0.4 * x + a)}, r"its environment is .*\.$"),
        ({"problem": LineProblem(PROBLEM.reward, PROBLEM.move, discount=0.8)}, "discount 0.9 .*discount 0.8"),
    ],
)
def test_another_configuration_is_refused_by_name_and_nothing_is_changed(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    old, path = variant(), tmp_path / "file"
    list(steps_of(old, steps=BEFORE))
    save_checkpoint(path, *old, BEFORE)
    new = variant(**changes)
    list(steps_of(new, steps=20))
    before = everything(new)
    with pytest.raises(ValueError, match=f"{path} is the checkpoint of another training: .*{words}"):
        load_checkpoint(path, *new)
    assert differences(before, everything(new)) == []
    assert load_checkpoint(path, *variant()) == BEFORE


def test_all_differences_are_named_at_once(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "file", *variant(), 0)
    with pytest.raises(ValueError, match=r"settings.discount is .*; its environment is .*; its replay.capacity is"):
        load_checkpoint(tmp_path / "file", *variant(discount=0.5, time_limit=9, capacity=9))


def on(make: Callable[[], VectorEnv], **options: Any) -> Training:
    envs = make()
    return envs, DQN(envs, **options), ReplayBuffer(envs, 25)


CHANGED_FEATURES = torch.eye(6)
CHANGED_FEATURES[2, 3] = 0.5


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (
            on(partial(make_envs, "CartPole-v1", 2)),
            on(partial(make_envs, "MountainCar-v0", 2)),
            r"CartPole-v1.* 500 steps, but here it is .*MountainCar-v0.* 200 steps",
        ),
        (
            on(partial(make_envs, "CartPole-v1", 2)),
            on(partial(make_envs, "CartPole-v1", 2, max_episode_steps=99)),
            "at most 500 steps, but here it is .*at most 99 steps",
        ),
        (
            on(partial(make_envs, "CartPole-v1", 2)),
            on(partial(make_envs, "CartPole-v1", 2, sutton_barto_reward=True)),
            r"but here it is .*made with {'sutton_barto_reward': True}",
        ),
        (
            on(partial(make_envs, "CartPole-v1", 2)),
            on(partial(make_envs, lambda: gymnasium.wrappers.ClipReward(gymnasium.make("CartPole-v1"), 0, 1), 2)),
            "but here it is <ClipReward<TimeLimit<",
        ),
        (on(numbered), on(partial(make_envs, random_mdp(8, 6, 4, 3, 0.9), RUNS, time_limit=7)), "FiniteMDP"),
        (on(numbered), on(partial(make_envs, MDP, RUNS)), "time limit 7, but here it is .*time limit None"),
        (
            on(numbered),
            on(partial(make_envs, MDP, RUNS, time_limit=7, features=CHANGED_FEATURES)),
            "seen as .*, but here it is .*seen as",
        ),
        (
            on(partial(make_envs, lambda: FiniteMDPEnv(MDP), 2)),
            on(partial(make_envs, lambda: FiniteMDPEnv(random_mdp(8, 6, 4, 3, 0.9)), 2)),
            "its environment is",
        ),
        (on(numbered), on(numbered, next_value=double_value), "greedy_value>.* double_value>"),
        (on(numbered), on(numbered, network=MLP(6, (5,), 4)), "its network is"),
        (on(numbered), on(numbered, loss=huber_loss), "squared_loss>, but here .*huber_loss>"),
        (
            on(numbered, next_value=partial(soft_value, temperature=0.5)),
            on(numbered, next_value=partial(soft_value, temperature=0.6)),
            "temperature=0.5.*temperature=0.6",
        ),
    ],
)
def test_another_environment_or_equation_is_refused_by_name(
    one: Training, other: Training, words: str, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "file", *one, 0)
    with pytest.raises(ValueError, match=f"checkpoint of another training: .*{words}"):
        load_checkpoint(tmp_path / "file", *other)


@pytest.mark.parametrize("name", ["probability", "next_state", "reward", "terminated", "start_probability", "discount"])
def test_a_model_that_differs_in_one_thing_alone_is_another(name: str) -> None:
    numbers = getattr(MDP, name)
    other = replace(MDP, **{name: 0.8 if name == "discount" else numbers.flip(0)})
    assert other.description != MDP.description
    assert replace(MDP, action_labels=("a", "b", "c", "d")).description == MDP.description
    assert replace(MDP, reward=MDP.reward * (1 + 1e-15)).description == MDP.description  # another machine's last digit


def test_where_an_object_lives_in_memory_is_no_difference(tmp_path: Path) -> None:
    """A function has another address in the next process, and so has an environment's argument."""

    def training() -> Training:
        def reward_twice(q: Tensor) -> Tensor:
            return 2 * q.amax(-1)

        return on(numbered, next_value=reward_twice)

    save_checkpoint(tmp_path / "file", *training(), 3)
    assert load_checkpoint(tmp_path / "file", *training()) == 3
    assert " at 0x" not in "".join(load_tensors(tmp_path / "file")[1].values())


# Files that are none


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    training, path = variant(), tmp_path / "file"
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load_checkpoint(path, *training)
    training[1].save(path)
    with pytest.raises(ValueError, match=r"holds no checkpoint, but .*'agent': 'SAC'"):
        load_checkpoint(path, *training)
    save_tensors(path, {"one": torch.ones(1)}, {})
    with pytest.raises(ValueError, match="holds no checkpoint, but tensors without a description"):
        load_checkpoint(path, *training)
    save_checkpoint(path, *training, 0)
    with pytest.raises(ValueError, match="holds no SAC agent"):
        training[1].load(path)


def test_a_checkpoint_that_was_cut_off_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    training, path = variant(), tmp_path / "file"
    list(steps_of(training, steps=20))
    save_checkpoint(path, *training, 20)
    list(steps_of(training, steps=20))
    whole, before = path.read_bytes(), everything(training)
    for length in (0, 7, 500, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="only a part of one"):
            load_checkpoint(path, *training)
    assert differences(before, everything(training)) == []


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", "0")
    save_checkpoint(tmp_path / "file", *variant(), 0)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="was written in version 0 of the format, but this package reads version 2"):
        load_checkpoint(tmp_path / "file", *variant())


def test_a_checkpoint_in_which_a_tensor_is_missing_changes_nothing(tmp_path: Path) -> None:
    training, path = variant(), tmp_path / "file"
    list(steps_of(training, steps=20))
    save_checkpoint(path, *training, 20)
    tensors, description = load_tensors(path)
    list(steps_of(training, steps=20))
    before = everything(training)
    for name in ("critic.means.1", "target_critic.0", "actor.steps", "agent.generator", "environment.0.generator"):
        save_tensors(path, {key: tensor for key, tensor in tensors.items() if key != name}, description)
        with pytest.raises(ValueError, match=f"as '{name}' the agent has .*, the file has nothing"):
            load_checkpoint(path, *training)
    assert differences(before, everything(training)) == []


class Loaded(gymnasium.Env[Any, Any]):
    """Draws with another generator than NumPy's PCG64."""

    observation_space, action_space = Box(-1, 1, (2,)), Discrete(2)

    def __init__(self) -> None:
        self._np_random = np.random.Generator(np.random.MT19937(3))


class Alone(VectorEnv[Any, Any, Any]):
    """Has no generator that anybody could see."""

    num_envs, metadata = 2, {"autoreset_mode": AutoresetMode.DISABLED}
    single_observation_space, single_action_space = Box(-1, 1, (2,)), Discrete(2)


def test_what_can_not_be_restored_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"must draw with NumPy's PCG64, .* but one has .*MT19937"):
        save_checkpoint(tmp_path / "file", *on(partial(make_envs, Loaded, 2)), 0)
    with pytest.raises(TypeError, match=r"The generators of .*Alone.* can't be read: use environments as make_envs"):
        save_checkpoint(tmp_path / "file", *on(Alone), 0)
    envs, _, replay = variant()
    with pytest.raises(TypeError, match=r"keeps off-policy agents, such as DQN and SAC, but this is .*ActorCritic"):
        save_checkpoint(tmp_path / "file", envs, ActorCritic(envs, RUNS), replay, 0)  # type: ignore[arg-type]
    for wrong, error in ((-1, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="done must be"):
            save_checkpoint(tmp_path / "file", *variant(), wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


# A disk that is full


class FullAfter:
    """A file that takes so many bytes and no more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, content: bytes) -> int:
        self.file.write(content[: self.room])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "FullAfter":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def written(path: Path) -> tuple[Training, bytes]:
    training = variant()
    list(steps_of(training, steps=20))
    save_checkpoint(path, *training, 20)
    list(steps_of(training, steps=20))
    return training, path.read_bytes()


@pytest.mark.parametrize("room", [0, 1_000])
def test_the_old_checkpoint_survives_a_disk_that_is_full(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, really_open = tmp_path / "file", Path.open
    training, before = written(path)
    monkeypatch.setattr(Path, "open", lambda self, *how: FullAfter(really_open(self, *how), room))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as full:
        save_checkpoint(path, *training, 40)
    monkeypatch.undo()
    assert full.value.__notes__ == [f"{path} could not be written; if it was there before, it is as it was."]
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert load_checkpoint(path, *variant()) == 20
    save_checkpoint(path, *training, 40)  # when there is room again
    assert load_checkpoint(path, *variant()) == 40


@pytest.mark.skipif(os.name != "posix", reason="the limit is one of POSIX")
def test_the_old_checkpoint_survives_when_the_system_takes_no_more(tmp_path: Path) -> None:
    """The same with a real limit, on the size of files; Python ignores the signal that comes with it."""
    import resource

    path = tmp_path / "file"
    training, before = written(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            save_checkpoint(path, *training, 40)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert load_checkpoint(path, *variant()) == 20


def test_a_folder_that_can_not_be_synced_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, really = list[str](), os.fsync

    def sync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        asked.append("folder" if folder else "file")
        if folder:
            raise OSError(errno.EINVAL, "not here")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    save_checkpoint(tmp_path / "file", *variant(), 5)
    assert load_checkpoint(tmp_path / "file", *variant()) == 5
    assert asked == (["file", "folder"] if os.name == "posix" else ["file"])


# A process that is killed

WIDTH = 400  # of an observation, so that a checkpoint takes a while to write


def to_be_killed() -> Training:
    features = torch.rand(MDP.states, WIDTH, generator=torch.Generator().manual_seed(0))
    envs = make_envs(MDP, RUNS, features=features, time_limit=5)
    settings = SACSettings(temperature=LearnedTemperature(), hidden=(4,))
    return envs, DiscreteSAC(envs, settings), ReplayBuffer(envs, 200)


def train_until_killed(path: Path) -> None:
    training = to_be_killed()
    done = load_checkpoint(path, *training) if path.exists() else 0
    for step in steps_of(training, steps=1_000_000, done=done, seed=None if done else 0):
        save_checkpoint(path, *training, step.number)


SERVER = """
import os, sys
from pathlib import Path
from tests.test_checkpoint import train_until_killed
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        train_until_killed(Path(sys.argv[1]))
    print(child, flush=True)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, so that torch is imported once")
def test_whenever_the_process_is_killed_there_is_a_whole_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    """Twenty kills, each at a random moment of a training that does little else than write checkpoints.

    At the end the file holds what a training holds that was stopped in good order at the same steps.
    """
    path, luck, stops = tmp_path / "file", random.Random(0), [0]
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        for _ in range(20):
            last = path.stat().st_mtime_ns if path.exists() else None
            print("go", file=server.stdin, flush=True)
            child, deadline = int(server.stdout.readline()), time.monotonic() + 60
            while (path.stat().st_mtime_ns if path.exists() else None) == last and time.monotonic() < deadline:
                time.sleep(0.001)  # until it has written once: the moments are not to fall into its start
            time.sleep(luck.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            assert int(server.stdout.readline()) == signal.SIGKILL
            training = to_be_killed()
            stops.append(load_checkpoint(path, *training))
            assert stops[-1] > stops[-2]
            assert len(training[2]) == min(stops[-1], 200)
            assert training[1].critic.steps == max(stops[-1] - WARMUP, 0)
        server.stdin.close()
    assert len(list(tmp_path.iterdir())) <= 2  # what one kill left behind, the next writer swept away

    orderly = to_be_killed()
    for begin, end in pairwise(stops):
        list(steps_of(orderly, steps=end, done=begin, seed=None if begin else 0))
    assert differences(everything(orderly), everything(training)) == []


def test_what_a_killed_writer_left_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    gone = next(number for number in range(2**22 - 1, 0, -1) if not psutil.pid_exists(number))
    living = os.getppid()
    left = tmp_path / f".file[1].{gone}.tmp"
    others = [
        f".file[1].{living}.tmp",
        f".other.{gone}.tmp",
        ".file[1].mine.tmp",
        ".file[1].99999999999999.tmp",
        f"file[1].{gone}.tmp",
        f".file1.{gone}.tmp",
    ]
    for name in (left.name, *others):
        (tmp_path / name).write_text("half")
    save_tensors(tmp_path / "file[1]", {"one": torch.ones(1)}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["file[1]", *others])


# Ctrl-C


class Pressed(gymnasium.Env[Any, Any]):
    """Ctrl-C is pressed while a step is taken, once or more."""

    observation_space, action_space = Box(-1, 1, (2,)), Box(-1, 1, (1,))

    def __init__(self, presses: dict[int, int], how: Callable[[], None]) -> None:
        self.presses, self.how, self.steps = presses, how, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return self.np_random.random(2, dtype=np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        for _ in range(self.presses.get(self.steps, 0)):
            self.how()
        return self.np_random.random(2, dtype=np.float32), float(-abs(action[0])), False, self.steps % 6 == 0, {}


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def pressed(presses: dict[int, int], how: Callable[[], None] = press) -> Training:
    first = [presses, *[{}] * (RUNS - 1)]
    envs = make_envs(lambda: Pressed(first.pop(0) if first else {}, how), RUNS)
    return envs, SAC(envs, SACSettings(temperature=LEARNED, hidden=(8,))), ReplayBuffer(envs, 25)


def test_ctrl_c_waits_until_the_step_is_taken_and_seen() -> None:
    interrupted, undisturbed, seen = pressed({20: 1}), pressed({}), list[int]()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for step in steps_of(interrupted, steps=BEFORE):
            seen.append(step.number)
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    list(steps_of(undisturbed, steps=20))
    assert seen == list(range(1, 21))
    assert differences(everything(interrupted), everything(undisturbed)) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for training in (interrupted, undisturbed):  # and it goes on
        list(steps_of(training, steps=BEFORE, done=20, seed=None))
    assert differences(everything(interrupted), everything(undisturbed)) == []


def test_a_second_ctrl_c_in_one_step_does_not_wait() -> None:
    training, seen = pressed({20: 2}), list[int]()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for step in steps_of(training, steps=BEFORE):
            seen.append(step.number)
    assert seen == list(range(1, 20)) and len(training[2]) == 19
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    list(steps_of(training, steps=BEFORE, done=19, seed=None))  # all is usable


def test_an_interrupt_that_comes_from_elsewhere_leaves_all_usable_and_the_bar_closed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    training = pressed({20: 1}, interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(steps_of(training, steps=BEFORE, progress=True))
    assert capsys.readouterr().err.endswith("\n")  # a bar that is closed ends its line
    assert len(training[2]) == 19 and training[1].critic.steps == 19 - WARMUP
    assert all(torch.isfinite(parameter).all() for parameter in training[1].actor.parameters)
    list(steps_of(training, steps=BEFORE, done=19, seed=None))


def test_ctrl_c_closes_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(steps_of(pressed({20: 1}), steps=BEFORE, progress=True))
    err = capsys.readouterr().err
    assert f"20/{BEFORE}" in err and err.endswith("\n")


def test_an_error_within_a_step_gives_ctrl_c_back() -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(steps_of(pressed({20: 1}, fail), steps=BEFORE))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_has_a_handler_of_their_own_keeps_it() -> None:
    heard = list[int]()
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        assert len(list(steps_of(pressed({20: 3}), steps=BEFORE))) == BEFORE
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT] * 3


def test_another_thread_trains_too() -> None:
    counts = list[int]()
    thread = threading.Thread(target=lambda: counts.append(len(list(steps_of(pressed({}), steps=BEFORE)))))
    thread.start()
    thread.join()
    assert counts == [BEFORE]


def test_a_checkpoint_after_ctrl_c_is_exact(tmp_path: Path) -> None:
    interrupted, done = pressed({20: 1}), 0
    with contextlib.suppress(KeyboardInterrupt):
        for step in steps_of(interrupted, steps=BEFORE):
            done = step.number
    save_checkpoint(tmp_path / "file", *interrupted, done)
    new = pressed({})
    assert load_checkpoint(tmp_path / "file", *new) == 20
    assert differences(everything(interrupted), everything(new)) == []


def test_an_interrupt_while_the_file_is_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    training, before = written(path)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(saving.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, *training, 40)
    monkeypatch.undo()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_environments_that_were_made_by_hand_are_known_too(tmp_path: Path) -> None:
    def by_hand() -> Training:
        envs = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2, autoreset_mode=AutoresetMode.DISABLED)
        return envs, DQN(envs), ReplayBuffer(envs, 25)

    save_checkpoint(tmp_path / "file", *by_hand(), 1)
    assert load_checkpoint(tmp_path / "file", *by_hand()) == 1
