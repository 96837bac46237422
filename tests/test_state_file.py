"""Whole trainings in files: they go on as if they had never stopped, and a file that does not fit changes nothing."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import pytest
import safetensors.torch
import torch
from gymnasium.vector import SyncVectorEnv, VectorEnv
from torch import Tensor

from sac_tutorial.agents.actor_critic import ActorCritic, ActorCriticSettings
from sac_tutorial.agents.ddpg import DDPG, TD3, DDPGSettings
from sac_tutorial.agents.discrete_sac import DiscreteSAC
from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.agents.sac import SAC, SACSettings
from sac_tutorial.agents.value_sac import ValueSAC
from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.off_policy import Step, train
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.deep.rollouts import train_on_policy
from sac_tutorial.deep.schedule import LinearSchedule
from sac_tutorial.deep.temperature import LearnedTemperature
from sac_tutorial.equations import double_value, huber_loss, soft_value
from sac_tutorial.files import state_file
from sac_tutorial.files.state_file import load, save
from sac_tutorial.worlds.line_problem import LineProblem
from sac_tutorial.worlds.line_vector_env import LineVectorEnv
from sac_tutorial.worlds.vector_env import make_envs
from tests.oracles import random_mdp

RUNS, BEFORE, AFTER, CAPACITY = 3, 45, 30, 25
COUNTS = {"learning_starts": 12, "batch_size": 5}
MDP = random_mdp(7, 6, 4, 3, 0.9)
PROBLEM = LineProblem(lambda x, a: -((a - 0.3 * x) ** 2), move=lambda x, a: 0.5 * x + a)
LEARNED = LearnedTemperature(-0.5, learning_rate=LinearSchedule(0.05, 0.0, updates=40))


@attrs.frozen
class Training:
    """What one script holds."""

    envs: VectorEnv
    agent: Any
    buffer: ReplayBuffer

    def save(self, path: Path, **values: Any) -> None:
        save(path, envs=self.envs, agent=self.agent, buffer=self.buffer, **values)

    def load(self, path: Path) -> dict[str, Any]:
        return load(path, envs=self.envs, agent=self.agent, buffer=self.buffer)

    def steps(self, steps: int, **options: Any) -> Iterator[Step]:
        return train(self.envs, self.agent, self.buffer, steps=steps, **COUNTS | {"progress": False} | options)

    def run(self, steps: int, **options: Any) -> None:
        for _ in self.steps(steps, **options):
            pass


def everything(thing: Any, name: str = "") -> dict[str, Any]:
    """Copy all tensors, generators and numbers inside an object, found without the code that is tested here."""
    if isinstance(thing, Training):
        return everything([thing.envs, thing.agent, thing.buffer])
    if isinstance(thing, Tensor):
        return {name: thing.detach().clone()}
    if isinstance(thing, torch.Generator):
        return {name: thing.get_state()}
    if isinstance(thing, VectorEnv):  # an episode in progress is not kept, only the generators are
        generators = everything(getattr(thing, "generator", None), f"{name}.generator")
        singles = thing.envs if isinstance(thing, SyncVectorEnv) else []
        return generators | {
            f"{name}.{i}": env.unwrapped.np_random.bit_generator.state for i, env in enumerate(singles)
        }
    if isinstance(thing, ReplayBuffer):  # places that were never written hold nothing
        return everything(list(thing.stored()), f"{name}.stored")
    if isinstance(thing, list | tuple):
        return {key: found for i, each in enumerate(thing) for key, found in everything(each, f"{name}.{i}").items()}
    if type(thing).__module__.startswith("sac_tutorial") and hasattr(thing, "__dict__"):
        parts = vars(thing).items()
        return {key: found for part, each in parts for key, found in everything(each, f"{name}.{part}").items()}
    return {name: thing} if isinstance(thing, int | float) else {}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Name what is not the same bit by bit."""
    assert one.keys() == other.keys()
    return [
        name
        for name, value in one.items()
        if not (torch.equal(value, other[name]) if isinstance(value, Tensor) else value == other[name])
    ]


def assert_same_steps(one: list[Step], other: list[Step]) -> None:
    for a, b in zip(one, other, strict=True):
        assert a.number == b.number and torch.equal(a.ended, b.ended)
        assert torch.allclose(a.last_return, b.last_return, rtol=0, atol=0, equal_nan=True)


# The same training goes on

Maker = Callable[[VectorEnv, int], Any]


def dqn(envs: VectorEnv, seed: int) -> DQN:
    epsilon, rate = LinearSchedule(1, 0.1, updates=40), LinearSchedule(0.01, 0, updates=60)
    return DQN(envs, DQNSettings(epsilon=epsilon, target_period=7, learning_rate=rate, hidden=(8,)), seed=seed)


def double_dqn(envs: VectorEnv, seed: int) -> DQN:
    return DQN(envs, DQNSettings(target_period=None, tau=0.1, hidden=(8,)), next_value=double_value, seed=seed)


def ddpg(envs: VectorEnv, seed: int) -> DDPG:
    return DDPG(envs, DDPGSettings(hidden=(8,)), seed=seed)


def td3(envs: VectorEnv, seed: int) -> DDPG:
    return DDPG(envs, attrs.evolve(TD3, hidden=(8,)), seed=seed)


def sac(envs: VectorEnv, seed: int) -> SAC:
    temperatures = (LEARNED, 0.3, LearnedTemperature(-0.8, start=0.5, learning_rate=LEARNED.learning_rate))
    return SAC(envs, SACSettings(temperature=temperatures, hidden=(8,), tau=0.1), seed=seed)


def sac_with_steps_in_alpha(envs: VectorEnv, seed: int) -> SAC:
    return SAC(envs, SACSettings(temperature=LearnedTemperature(in_log=False), hidden=(8,)), seed=seed)


def value_sac(envs: VectorEnv, seed: int) -> ValueSAC:
    return ValueSAC(envs, SACSettings(temperature=LEARNED, hidden=(8,)), seed=seed)


def discrete_sac(envs: VectorEnv, seed: int) -> DiscreteSAC:
    temperatures = (0.1, LearnedTemperature(), LearnedTemperature(0.3))
    return DiscreteSAC(envs, SACSettings(temperature=temperatures, hidden=(8,)), seed=seed)


def line(problem: LineProblem = PROBLEM, num_envs: int = RUNS, time_limit: int = 7) -> VectorEnv:
    return LineVectorEnv(problem, num_envs, time_limit=time_limit)


def model() -> VectorEnv:
    return make_envs(MDP, RUNS, time_limit=7)


def gym(name: str, **options: Any) -> VectorEnv:
    return make_envs(name, RUNS, **options)


TRAININGS: dict[str, tuple[Callable[[], VectorEnv], Maker]] = {
    "DQN on CartPole": (partial(gym, "CartPole-v1"), dqn),
    "double DQN on a model": (model, double_dqn),
    "DDPG on Pendulum": (partial(gym, "Pendulum-v1", max_episode_steps=11), ddpg),
    "TD3 on a line": (line, td3),
    "SAC on Pendulum": (partial(gym, "Pendulum-v1", max_episode_steps=11), sac),
    "SAC on a line, stepping α": (line, sac_with_steps_in_alpha),
    "SAC of 2018 on a line": (line, value_sac),
    "discrete SAC on a model": (model, discrete_sac),
}


def made(name: str, seed: int = 0, capacity: int = CAPACITY) -> Training:
    make, agent = TRAININGS[name]
    envs = make()
    return Training(envs, agent(envs, seed), ReplayBuffer(envs, capacity))


@pytest.mark.parametrize("stop", [BEFORE, 8])  # after updates and before the first one
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_in_new_objects_as_in_the_old_ones(name: str, stop: int, tmp_path: Path) -> None:
    capacity = 25 if stop == BEFORE else 500  # a buffer that has begun to forget, and one that is not yet full
    old, new, path = made(name, 0, capacity), made(name, 99, capacity), tmp_path / "file"
    for step in old.steps(1_000):
        if step.number == stop:
            old.save(path, step=step.number)
            break
    at_the_stop = everything(old)
    new.run(stop + 20, seed=77)  # a past of its own, of which nothing may stay
    assert len(differences(at_the_stop, everything(new))) > 10

    start = new.load(path)["step"]
    assert start == stop and differences(at_the_stop, everything(new)) == []
    there, here = (list(each.steps(stop + AFTER, start_step=start, seed=None)) for each in (old, new))
    assert_same_steps(there, here)
    assert len(here) == AFTER and differences(everything(old), everything(new)) == []
    assert len(differences(at_the_stop, everything(new))) > 10


def test_saving_leaves_the_training_as_it_is(tmp_path: Path) -> None:
    with_files, without = made("SAC on Pendulum"), made("SAC on Pendulum")
    for step in with_files.steps(BEFORE):
        with_files.save(tmp_path / "file", step=step.number)
    without.run(BEFORE)
    assert differences(everything(with_files), everything(without)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_episode_in_progress_begins_anew(tmp_path: Path) -> None:
    old, new = made("TD3 on a line"), made("TD3 on a line")
    old.run(10)  # episodes take 7 steps
    old.save(tmp_path / "file")
    new.load(tmp_path / "file")
    assert [step.number for step in new.steps(20, start_step=10, seed=None) if step.ended.any()] == [17]


@pytest.mark.parametrize("rollout_length", [5, None])
def test_actor_critic_goes_on_too(rollout_length: int | None, tmp_path: Path) -> None:
    settings = ActorCriticSettings(envs_per_run=2, rollout_length=rollout_length, hidden=(8,))
    (old_envs, old), (new_envs, new) = (
        (envs, ActorCritic(envs, settings, seed=seed))
        for seed, envs in ((0, make_envs(MDP, 6, time_limit=7)), (99, make_envs(MDP, 6, time_limit=7)))
    )
    list(train_on_policy(old_envs, old, updates=4, progress=False))
    save(tmp_path / "file", envs=old_envs, agent=old)
    load(tmp_path / "file", envs=new_envs, agent=new)
    for envs, agent in ((old_envs, old), (new_envs, new)):
        list(train_on_policy(envs, agent, updates=3, seed=None, progress=False))
    assert differences(everything([old_envs, old]), everything([new_envs, new])) == []
    assert new.actor.updates == 7


def test_steps_that_were_taken_before_count() -> None:
    training = made("TD3 on a line")
    assert [step.number for step in training.steps(20, start_step=15, batch_size=1)] == list(range(16, 21))
    assert training.agent.critic.updates == 5  # learning has started before
    assert list(training.steps(20, start_step=20)) == []
    training = made("TD3 on a line")
    training.run(20, start_step=8)
    assert training.agent.critic.updates == 20 - COUNTS["learning_starts"]


@pytest.mark.parametrize(
    ("start_step", "error", "words"),
    [
        (21, ValueError, "start_step must be at most steps, which is 20, but is 21"),
        (-1, ValueError, "start_step must .*-1"),
        (1.5, TypeError, "start_step must .*1.5"),
        (15, ValueError, r"would find 1 transitions of each run, fewer than a batch of 5"),
        (10, ValueError, r"would find 3 transitions of each run, fewer than a batch of 5"),
    ],
)
def test_steps_that_cannot_have_been_taken_are_refused(start_step: Any, error: type[Exception], words: str) -> None:
    training = made("TD3 on a line")
    with pytest.raises(error, match=words):
        training.run(20, start_step=start_step)
    assert len(training.buffer) == 0


# Parts of a file, and what else it holds


def test_some_objects_of_a_file_can_be_loaded_without_the_others(tmp_path: Path) -> None:
    old, new = made("SAC on Pendulum"), made("SAC on Pendulum", seed=99)
    old.run(BEFORE)
    old.save(tmp_path / "file", step=BEFORE)
    new.run(20)
    rest = everything([new.envs, new.buffer])
    assert load(tmp_path / "file", agent=new.agent) == {"step": BEFORE}
    assert differences(everything(old.agent), everything(new.agent)) == []
    assert differences(rest, everything([new.envs, new.buffer])) == []
    assert load(tmp_path / "file") == {"step": BEFORE}


def test_parts_of_an_agent_can_be_kept_alone(tmp_path: Path) -> None:
    old, new = made("SAC on Pendulum").agent, made("SAC on Pendulum", seed=99).agent
    save(tmp_path / "file", actor=old.actor)
    load(tmp_path / "file", actor=new.actor)
    assert differences(everything(old.actor), everything(new.actor)) == []
    assert differences(everything(old.critic), everything(new.critic)) != []


def test_numbers_and_words_come_back_as_they_were(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "step": 10**12,
        "best": -0.1,
        "worst": float("-inf"),
        "done": True,
        "note": "γ = 0,9 “größer”",
    }
    save(str(tmp_path / "file"), **values)
    found = load(tmp_path / "file")
    assert found == values and [type(each) for each in found.values()] == [type(each) for each in values.values()]


def test_loading_copies_into_the_tensors_that_are_there(tmp_path: Path) -> None:
    agent = made("SAC on Pendulum").agent
    places = [parameter.data_ptr() for parameter in agent.actor.parameters]
    save(tmp_path / "file", agent=agent)
    load(tmp_path / "file", agent=agent)
    assert [parameter.data_ptr() for parameter in agent.actor.parameters] == places
    assert all(parameter.requires_grad for parameter in agent.actor.parameters)


def test_a_single_run_with_a_buffer_that_is_not_full(tmp_path: Path) -> None:
    """What is stored of one run is a contiguous part of a larger tensor."""
    envs = make_envs(MDP, 1)
    old, new = ReplayBuffer(envs, 500), ReplayBuffer(envs, 500)
    for each in range(3):
        old.add(torch.full((1, 6), float(each)), [each], [0.5], torch.ones(1, 6), [True])
    save(tmp_path / "file", buffer=old)
    assert (tmp_path / "file").stat().st_size < 2_000  # only what is stored is written
    load(tmp_path / "file", buffer=new)
    assert differences(everything(old), everything(new)) == [] and len(new) == 3


def test_where_an_object_lies_in_memory_is_no_difference(tmp_path: Path) -> None:
    """A function has another address in the next process."""

    def agent() -> DQN:
        def twice(q: Tensor) -> Tensor:
            return 2 * q.amax(-1)

        return DQN(model(), next_value=partial(twice))

    save(tmp_path / "file", agent=agent())
    load(tmp_path / "file", agent=agent())
    assert b" at 0x" not in (tmp_path / "file").read_bytes()


# What does not fit


def variant(**changes: Any) -> Training:
    """SAC on a line; the names are those of what is changed."""
    envs = line(**{name: changes.pop(name) for name in ("problem", "num_envs", "time_limit") if name in changes})
    kind, capacity = changes.pop("kind", SAC), changes.pop("capacity", CAPACITY)
    critic = changes.pop("critic", None)
    usual: dict[str, Any] = {"temperature": 0.2, "hidden": (8,)}
    settings = SACSettings(**usual | changes)
    return Training(envs, kind(envs, settings, critic=critic), ReplayBuffer(envs, capacity))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"discount": 0.9}, r"its agent: settings.discount is 0.99, but here it is 0.9\.$"),
        (
            {"temperature": LEARNED},
            r"settings.temperature is 0.2, but here it is LearnedTemperature\(target_entropy=-0.5",
        ),
        ({"hidden": (9,)}, r"settings.hidden is \(8,\), but here it is \(9,\); .*policy is .*critic_network is"),
        ({"critics": 1}, r"its agent: settings.critics is 2, but here it is 1\.$"),
        ({"critic": MLP(2, (5,), 1)}, r"its agent: critic_network is MLP\(.*8.*\), but here it is MLP\(.*5.*\)\.$"),
        ({"kind": ValueSAC}, "its agent: kind is SAC, but here it is ValueSAC"),
        ({"capacity": 26}, r"its buffer: capacity is 25, but here it is 26\.$"),
        ({"num_envs": 4}, "its envs: .*number is 3, but here it is 4; its agent: runs is 3, .*; its buffer: runs is 3"),
        ({"time_limit": 8}, r"its envs: environment is .*after 7 steps, but here it is .*after 8 steps\.$"),
        ({"problem": LineProblem(lambda x, a: -(a**2) + 0 * x, PROBLEM.move)}, r"its envs: environment is .*\.$"),
        ({"problem": LineProblem(PROBLEM.reward, lambda x, a: 0.4 * x + a)}, r"its envs: environment is .*\.$"),
        ({"problem": LineProblem(PROBLEM.reward, PROBLEM.move, discount=0.8)}, "discount 0.9 .*discount 0.8"),
        (  # all at once
            {"discount": 0.5, "time_limit": 9, "capacity": 9},
            "its envs: environment is .*; its agent: settings.discount is .*; its buffer: capacity is 25",
        ),
    ],
)
def test_another_training_is_refused_by_name_and_nothing_is_changed(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    old, new, path = variant(), variant(**changes), tmp_path / "file"
    old.run(20)
    old.save(path, step=20)
    new.run(15)
    before = everything(new)
    with pytest.raises(ValueError, match=f"{path} was saved from something else: .*{words}"):
        new.load(path)
    assert differences(before, everything(new)) == []
    assert variant().load(path) == {"step": 20}


def function_of(envs: Callable[[], VectorEnv], **options: Any) -> DQN:
    return DQN(envs(), DQNSettings(hidden=(8,)), **options)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (
            {},
            {"next_value": double_value},
            r"next_value is <function greedy_value>, but here it is <function double_value>",
        ),
        ({}, {"loss": huber_loss}, "loss is <function squared_loss>, but here it is <function huber_loss>"),
        ({}, {"network": MLP(6, (5,), 4)}, "network is MLP"),
        (
            {"next_value": partial(soft_value, temperature=0.5)},
            {"next_value": partial(soft_value, temperature=0.6)},
            "next_value is .*temperature=0.5.*temperature=0.6",
        ),
    ],
)
def test_an_agent_with_another_function_is_refused(
    one: dict[str, Any], other: dict[str, Any], words: str, tmp_path: Path
) -> None:
    save(tmp_path / "file", agent=function_of(model, **one))
    with pytest.raises(ValueError, match=f"its agent: {words}"):
        load(tmp_path / "file", agent=function_of(model, **other))


def test_another_device_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "file", agent=function_of(model))
    elsewhere = function_of(model)
    elsewhere.device = torch.device("meta")
    with pytest.raises(ValueError, match="its agent: device is cpu, but here it is meta"):
        load(tmp_path / "file", agent=elsewhere)


def test_what_must_match_comes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save(path, must_match={"batch_size": 5, "learning_starts": 12}, step=1)
    assert load(path, must_match={"learning_starts": 12, "batch_size": 5}) == load(path) == {"step": 1}
    save(tmp_path / "other", must_match={"reward": test_saving_leaves_the_training_as_it_is})
    load(tmp_path / "other", must_match={"reward": test_saving_leaves_the_training_as_it_is})
    assert b" at 0x" not in (tmp_path / "other").read_bytes()
    for wrong, words in (
        ({"batch_size": 6, "learning_starts": 12}, "its must_match: batch_size is 5, but here it is 6"),
        ({"batch_size": 5}, "learning_starts is 12, but here it is not given"),
        ({"batch_size": 5, "learning_starts": 12, "seed": 1}, "seed is not given, but here it is 1"),
    ):
        with pytest.raises(ValueError, match=words):
            load(path, must_match=wrong)


class Disguised(MLP):
    """A network of some other width that its words do not reveal."""

    def __str__(self) -> str:
        return "a network"


def test_all_objects_are_checked_before_the_first_is_changed(tmp_path: Path) -> None:
    """Here the words agree and only the tensors differ, in the object that comes last."""
    wide, narrow = (function_of(model, network=Disguised(6, (width,), 4)) for width in (8, 7))
    old = Training(wide_envs := model(), wide, ReplayBuffer(wide_envs, CAPACITY))
    new = Training(narrow_envs := model(), narrow, ReplayBuffer(narrow_envs, CAPACITY))
    old.run(20)
    new.run(15, seed=77)
    save(tmp_path / "file", envs=old.envs, buffer=old.buffer, agent=old.agent)
    before = everything(new)
    words = r"does not fit 'agent': The entry 'online.parameters.0' .*\(3, 6, 7\).*\(3, 6, 8\)"
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "file", envs=new.envs, buffer=new.buffer, agent=new.agent)
    assert differences(before, everything(new)) == []


def test_names_that_a_file_does_not_hold_are_refused(tmp_path: Path) -> None:
    old, path = variant(), tmp_path / "file"
    old.save(path)
    with pytest.raises(ValueError, match=f"{path} holds no 'critic'; it holds envs, agent, buffer"):
        load(path, critic=old.agent.critic, agent=old.agent)
    save(path, step=1)
    with pytest.raises(ValueError, match="holds no 'agent'; it holds no objects"):
        load(path, agent=old.agent)


@pytest.mark.parametrize(
    "thing", [MDP, torch.ones(2), None, {"a": 1}, torch.nn.Linear(1, 1), gymnasium.make("CartPole-v1")]
)
def test_objects_without_a_state_are_neither_saved_nor_loaded(thing: object, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(TypeError, match="thing must be an agent, a replay buffer"):
        save(path, thing=thing)
    assert not path.exists()
    save(path, thing=1)
    with pytest.raises(TypeError, match="thing must be an agent, a replay buffer"):
        load(path, thing=thing)


# Files that hold something else


class Trap:
    """To unpickle this would leave a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


def test_files_of_other_programs_are_refused_and_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    training, path = variant(), tmp_path / "file"
    torch.save({"trap": Trap()}, path)
    training.save(tmp_path / "good")
    before, good = everything(training), (tmp_path / "good").read_bytes()
    for content in (path.read_bytes(), b"words\n" * 99, b"\x80\x04N.", b"\xff" * 64, good + b"more"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{path} is not a safetensors file"):
            training.load(path)
    assert not (tmp_path / "sprung").exists() and differences(before, everything(training)) == []


def test_a_file_that_was_cut_off_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    training, path = variant(), tmp_path / "file"
    training.run(20)
    training.save(path)
    training.run(15, start_step=0)
    whole, before = path.read_bytes(), everything(training)
    for length in (*range(0, len(whole), len(whole) // 50), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="or only a part of one"):
            training.load(path)
    assert differences(before, everything(training)) == []


def test_a_file_of_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training, path = variant(), tmp_path / "file"
    monkeypatch.setattr(state_file, "FORMAT", "sac_tutorial 0")
    training.save(path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has the format 'sac_tutorial 0', but this package reads 'sac_tutorial 3'"):
        training.load(path)
    safetensors.torch.save_file({"one": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="has the format 'unknown'"):
        training.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"There is no file {path}"):
            load(path)


# A process that is killed

WIDTH = 300  # of an observation, so that a file takes a while to write


def to_be_killed() -> Training:
    features = torch.rand(MDP.states, WIDTH, generator=torch.Generator().manual_seed(0))
    envs = make_envs(MDP, RUNS, features=features, time_limit=5)
    settings = SACSettings(temperature=LearnedTemperature(), hidden=(4,))
    return Training(envs, DiscreteSAC(envs, settings), ReplayBuffer(envs, 200))


def train_until_killed(path: Path) -> None:
    training = to_be_killed()
    start = training.load(path)["step"] if path.exists() else 0
    for step in training.steps(1_000_000, start_step=start, seed=None if start else 0):
        training.save(path, step=step.number)


SERVER = """
import os, sys
from pathlib import Path
from tests.test_state_file import train_until_killed
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        train_until_killed(Path(sys.argv[1]))
    print(child, flush=True)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, so that torch is imported once")
def test_whenever_the_process_is_killed_there_is_a_whole_file_to_go_on_from(tmp_path: Path) -> None:
    """Six kills, each at a random moment of a training that does little else than write files.

    At the end the file holds the same as a training that was stopped in good order after the same steps.
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
        for _ in range(6):
            last = path.stat().st_mtime_ns if path.exists() else None
            print("go", file=server.stdin, flush=True)
            child, deadline = int(server.stdout.readline()), time.monotonic() + 60
            while (path.stat().st_mtime_ns if path.exists() else None) == last and time.monotonic() < deadline:
                time.sleep(0.001)  # until it has written once, so that no kill falls into its start
            time.sleep(luck.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            assert int(server.stdout.readline()) == signal.SIGKILL
            training = to_be_killed()
            stops.append(training.load(path)["step"])
            assert stops[-1] > stops[-2] and len(training.buffer) == min(stops[-1], 200)
        server.stdin.close()
    assert len(list(tmp_path.iterdir())) <= 2  # each writer removes what the one before it left behind

    orderly = to_be_killed()
    for begin, end in pairwise(stops):
        orderly.run(end, start_step=begin, seed=None if begin else 0)
    assert differences(everything(orderly), everything(training)) == []
