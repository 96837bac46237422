"""The public border of all agents: which settings, spaces, networks and functions they refuse, and which they take."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import nn

from sac_tutorial.agents.actor_critic import ActorCritic, ActorCriticSettings
from sac_tutorial.agents.ddpg import DDPG, DDPGSettings
from sac_tutorial.agents.discrete_sac import DiscreteSAC
from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.agents.sac import SAC, SACSettings
from sac_tutorial.agents.value_sac import ValueSAC
from sac_tutorial.deep.networks import MLP, ConvNet
from sac_tutorial.deep.policies import Categorical, Gaussian, SquashedGaussian
from sac_tutorial.deep.schedule import LinearSchedule
from sac_tutorial.deep.temperature import LearnedTemperature
from sac_tutorial.worlds.vector_env import make_envs
from tests.helpers import ACTIONS, BATCH, DIMENSIONS, HIDDEN, INPUTS, RUNS, batch, continuous, spaces

AGENTS: dict[str, Any] = {
    "DQN": DQN,
    "ActorCritic": ActorCritic,
    "DDPG": DDPG,
    "SAC": SAC,
    "ValueSAC": ValueSAC,
    "DiscreteSAC": DiscreteSAC,
}
DISCRETE, CONTINUOUS, SOFT = ["DQN", "DiscreteSAC"], ["DDPG", "SAC", "ValueSAC"], ["SAC", "ValueSAC", "DiscreteSAC"]
SETTINGS: dict[str, Any] = {
    "DQN": DQNSettings,
    "ActorCritic": ActorCriticSettings,
    "DDPG": DDPGSettings,
    "SAC": SACSettings,
}


def make(name: str, envs: Any = None, **options: Any) -> Any:
    return AGENTS[name](envs or spaces(continuous() if name in CONTINUOUS else None), **options)


# Settings

RANGES: list[tuple[str, list[str], list[Any], str]] = [
    ("discount", list(SETTINGS), [1.0, -0.1, math.nan], r"discount must lie in \[0, 1\), but is"),
    ("learning_rate", ["DQN", "ActorCritic"], [0, -1e-3, math.inf], "learning_rate must be above 0"),
    ("actor_learning_rate", ["DDPG", "SAC"], [0, -1e-3], "actor_learning_rate must be above 0"),
    ("critic_learning_rate", ["ActorCritic", "DDPG", "SAC"], [0, -1e-3], "critic_learning_rate must be above 0"),
    ("critic_learning_rate", ["SAC"], [LinearSchedule(0.1, -0.1, 9)], "the last critic_learning_rate must be above 0"),
    ("learning_rate", ["DQN"], [LinearSchedule(0, 0.1, 9)], "the first learning_rate must be above 0"),
    (
        "epsilon",
        ["DQN"],
        [1.1, -0.1, LinearSchedule(1.1, 0.1, 9), LinearSchedule(1, -0.1, 9)],
        r".*epsilon must lie in \[0, 1\]",
    ),
    ("target_period", ["DQN"], [0, -3], "target_period must be at least 1"),
    ("tau", ["DDPG", "SAC"], [0.0, 1.5, math.nan], r"tau must lie in \(0, 1\]"),
    ("exploration_noise", ["DDPG"], [-0.1, math.inf], "exploration_noise must be at least 0"),
    ("target_noise", ["DDPG"], [-0.1, math.nan], "target_noise must be at least 0"),
    ("target_noise_clip", ["DDPG"], [0.0, -1], "target_noise_clip must be above 0"),
    ("critics", ["DDPG", "SAC"], [0, 3], r"critics must lie in \[1, 2\], but is"),
    ("actor_period", ["DDPG"], [0], "actor_period must be at least 1"),
    ("rollout_length", ["ActorCritic"], [0], "rollout_length must be at least 1"),
    ("envs_per_run", ["ActorCritic"], [0], "envs_per_run must be at least 1"),
    ("entropy_bonus", ["ActorCritic"], [-0.1, math.inf], "entropy_bonus must be at least 0"),
    ("hidden", list(SETTINGS), [(0,), (64, -1)], "every entry of hidden must be at least 1"),
    ("temperature", ["SAC"], [-0.1, math.nan, math.inf, (0.1, -0.2), [1, math.nan]], "temperature must be at least 0"),
]
TYPES: list[tuple[str, list[str], list[Any], str]] = [
    ("discount", list(SETTINGS), [None, "0.9", True], "discount must be a number, but is"),
    ("learning_rate", ["DQN", "ActorCritic"], [None, "fast"], "learning_rate must be a number"),
    ("actor_learning_rate", ["DDPG", "SAC"], [None], "actor_learning_rate must be a number"),
    ("epsilon", ["DQN"], [None], "epsilon must be a number"),
    ("target_period", ["DQN"], [2.5], "target_period must be a whole number"),
    ("tau", ["DQN", "DDPG", "SAC"], ["slow"], "tau must be a number"),
    ("critics", ["DDPG", "SAC"], [1.0, True], "critics must be a whole number"),
    ("actor_period", ["DDPG"], [1.5], "actor_period must be a whole number"),
    ("rollout_length", ["ActorCritic"], [2.5], "rollout_length must be a whole number"),
    ("envs_per_run", ["ActorCritic"], [2.0], "envs_per_run must be a whole number"),
    ("entropy_bonus", ["ActorCritic"], [None], "entropy_bonus must be a number"),
    ("discount_steps", ["ActorCritic"], ["no", 1], "discount_steps must be True or False"),
    ("hidden", list(SETTINGS), [64, "64"], "hidden must be several whole numbers"),
    ("temperature", ["SAC"], ["auto", None, True, ("0.1",)], "temperature must be a number"),
]


@pytest.mark.parametrize(
    ("name", "setting", "value", "error", "message"),
    [
        (name, setting, value, error, message)
        for error, table in ((ValueError, RANGES), (TypeError, TYPES))
        for setting, names, values, message in table
        for name in names
        for value in values
    ],
)
def test_settings_that_make_no_sense_are_refused(
    name: str, setting: str, value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}"):
        SETTINGS[name](**{setting: value})


@pytest.mark.parametrize("given", [{"target_period": None}, {"tau": 0.1}])
def test_a_target_network_follows_in_exactly_one_way(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Give exactly one of target_period and tau"):
        DQNSettings(**given)


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("DQN", {"epsilon": 0, "target_period": 1, "learning_rate": LinearSchedule(1e-3, 0, 1)}),
        ("DQN", {"epsilon": 1, "target_period": None, "tau": 1}),
        ("ActorCritic", {"rollout_length": 1, "entropy_bonus": 0, "envs_per_run": 3}),
        ("ActorCritic", {"rollout_length": None}),
        ("DDPG", {"tau": 1, "exploration_noise": 0, "target_noise": 0, "critics": 2}),
        ("SAC", {"tau": 1, "temperature": 0, "critics": 1, "hidden": ()}),
    ],
)
def test_settings_at_the_edge_are_taken(name: str, edges: dict[str, Any]) -> None:
    agent = make(name, settings=SETTINGS[name](discount=0, **edges))
    if name == "SAC":
        agent.update(batch(discrete=False, kind=torch.float32))
        assert all(map(torch.equal, agent.target_critic, agent.critic.parameters))


@pytest.mark.parametrize("name", SETTINGS)
def test_numpy_scalars_count_as_the_numbers_that_they_hold(name: str) -> None:
    def plain_and_numpy(value: Any) -> tuple[Any, Any]:
        if isinstance(value, bool):
            return value, np.bool_(value)
        if isinstance(value, int):
            return value, np.int32(value)
        if isinstance(value, float):
            return float(np.float32(value)), np.float32(value)
        return value, tuple(map(np.int64, value)) if isinstance(value, tuple) else value

    kind = SETTINGS[name]
    pairs = {field: plain_and_numpy(value) for field, value in vars_of(kind()).items()}
    plain, numpy = (kind(**{field: pair[side] for field, pair in pairs.items()}) for side in (0, 1))
    assert plain == numpy and hash(plain) == hash(numpy)
    numbers = {field: value for field, value in vars_of(plain).items() if type(value) in (int, float)}
    array = kind(**{field: np.asarray(value) for field, value in numbers.items()})
    assert array == plain
    agents = [make(name, settings=each, seed=seed) for each, seed in ((plain, 5), (numpy, np.int64(5)))]
    agents.append(make(name, settings=plain, seed=np.array(5)))
    first, *others = [agent.generator.get_state() for agent in agents]
    assert all(torch.equal(first, other) for other in others)


def vars_of(settings: Any) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in type(settings).__attrs_attrs__}


def test_a_temperature_is_one_setting_or_one_for_each_run_and_becomes_one_column() -> None:
    learned = LearnedTemperature(0.25, start=0.5)
    cases: list[tuple[Any, list[float]]] = [
        (1, [1, 1, 1]),
        ([0.25, learned, 0], [0.25, 0.5, 0]),
        (learned, [0.5] * 3),
        ((np.float64(0.5),) * 3, [0.5] * 3),
    ]
    for given, wanted in cases:
        for name in SOFT:
            agent = make(name, settings=SACSettings(temperature=given))
            assert agent.alpha.tolist() == [[each] for each in wanted] and agent.alpha.dtype == torch.float32
            assert agent.temperature.learned.sum() == (3 if given is learned else int(isinstance(given, list)))
    for count in (0, 1, 2, 4):
        for name in SOFT:
            with pytest.raises(ValueError, match=f"one for each of the 3 runs, but there are {count}"):
                make(name, settings=SACSettings(temperature=(0.1,) * count))


def test_settings_are_compared_hashed_and_safe_from_changes_of_a_list() -> None:
    several = [0.25, 0.5]
    made = SACSettings(temperature=several)
    several.append(9.0)
    assert made == SACSettings(temperature=(0.25, 0.5)) and hash(made) == hash(SACSettings(temperature=(0.25, 0.5)))


@pytest.mark.parametrize("name", ["SAC", "ValueSAC"])
def test_the_default_target_entropy_comes_from_the_action_space(name: str) -> None:
    settings = SACSettings(temperature=LearnedTemperature())
    assert make(name, settings=settings).temperature.target_entropy.tolist() == [[-DIMENSIONS]] * RUNS
    discrete = make("DiscreteSAC", settings=settings).temperature.target_entropy
    torch.testing.assert_close(discrete, torch.full((RUNS, 1), math.log(ACTIONS) / 2))


# Constructors


def refusals() -> list[tuple[Callable[[], Any], type[Exception], str]]:
    """For each agent and each argument: a call, the error, and a part of the message."""
    table: list[tuple[Callable[[], Any], type[Exception], str]] = []

    def refuse(names: list[str], error: type[Exception], message: str, envs: Any = None, **options: Any) -> None:
        table.extend((partial(make, name, envs, **options), error, message) for name in names)

    everyone, learned = list(AGENTS), SACSettings(temperature=LearnedTemperature(2.0))
    vectors, box, actions = MLP(INPUTS + 1, (), 1), continuous(), MLP(INPUTS, (), ACTIONS + 1)
    refuse(everyone, TypeError, "settings must be .*Settings, but is {'discount': 0.9}", settings={"discount": 0.9})
    refuse(everyone, TypeError, "settings must be .*Settings, but is LinearSchedule", settings=LinearSchedule(1, 0, 9))
    refuse(everyone, TypeError, "seed must be a whole number, but is 0.5", seed=0.5)
    refuse(everyone, ValueError, "seed must be at least 0", seed=-1)
    refuse(everyone, TypeError, "envs must be vector environments, as make_envs", gymnasium.make("CartPole-v1"))
    dictionary = spaces()
    dictionary.single_observation_space = gymnasium.spaces.Dict(x=Box(-1, 1, (2,)))
    refuse(everyone, TypeError, "Observations must be arrays.*FlattenObservation", dictionary)
    refuse(everyone, TypeError, "Actions must be discrete .*MultiDiscrete", spaces(MultiDiscrete([2, 3])))

    refuse(["DQN"], TypeError, r"DQN needs discrete actions, .*Box.*use SAC", spaces(box))
    refuse(["DiscreteSAC"], TypeError, r"DiscreteSAC needs discrete actions, .*Box.*use SAC", spaces(box))
    refuse(["DDPG"], TypeError, r"DDPG needs continuous actions, .*Discrete.*use DQN", spaces())
    refuse(["SAC"], TypeError, r"^SAC needs continuous actions, .*Discrete.*use DiscreteSAC", spaces())
    refuse(["ValueSAC"], TypeError, r"ValueSAC needs continuous actions, .*Discrete.*use DiscreteSAC", spaces())
    refuse([*DISCRETE, "ActorCritic"], TypeError, "must count from 0", spaces(Discrete(3, start=1)))
    for bounds in (Box(-2, 2, (1,)), Box(-1, 2, (3,)), Box(-3, 1, (3,)), Box(-1, np.inf, (3,))):
        refuse(CONTINUOUS, ValueError, r"Actions must lie in \[-1, 1\]", spaces(bounds))
    matrix = spaces(Box(-1, 1, (2, 3)))
    refuse([*CONTINUOUS, "ActorCritic"], ValueError, r"Each action must be a vector .*\(2, 3\)", matrix)
    pictures = spaces(box, observation=(3, 8, 9))
    refuse([*CONTINUOUS, "ActorCritic"], ValueError, r"Each observation must be a vector .*\(3, 8, 9\)", pictures)
    refuse(["DiscreteSAC"], ValueError, "Each observation must be a vector", spaces(observation=(3, 8, 9)))
    refuse(["DQN"], ValueError, r"\(3, 8, 9\) need a network of their own: network=Conv", spaces(observation=(3, 8, 9)))

    wrong = r"network must map observations of shape \(4,\) to 6 numbers, but maps"
    for network in (actions, vectors, ConvNet((1, 2, 2), (), (), ACTIONS)):
        refuse(DISCRETE, ValueError, wrong, network=network)
    refuse(DISCRETE, TypeError, "network must be a network, such as MLP", network=nn.Linear(INPUTS, ACTIONS))
    refuse(["DDPG"], ValueError, r"actor must map observations of shape \(4,\) to 2", actor=MLP(INPUTS, (), 3))
    for critic in (MLP(INPUTS, (), 1), MLP(INPUTS + DIMENSIONS, (), 2)):
        refuse(CONTINUOUS, ValueError, r"critic must map observations of shape \(6,\) to 1", critic=critic)
    for critic in (vectors, MLP(INPUTS, (), 2)):
        refuse(["ActorCritic"], ValueError, r"critic must map observations of shape \(4,\) to 1", critic=critic)

    soft = CONTINUOUS[1:]
    refuse(soft, TypeError, "policy must be a SquashedGaussian over a network, but is MLP", policy=MLP(INPUTS, (3,), 4))
    for network, size in ((MLP(INPUTS + 1, (), 4), 2), (MLP(INPUTS, (), 6), 3), (MLP(INPUTS, (), 2), 1)):
        policy = SquashedGaussian(network, size)
        refuse(soft, ValueError, r"policy must map observations of shape \(4,\) to actions of 2 dim", policy=policy)
    refuse(soft, ValueError, "target_entropy is 2, but a squashed Gaussian of 2 dimensions", settings=learned)
    refuse(["DiscreteSAC"], ValueError, "target_entropy is 2, but for 6 discrete actions", settings=learned)

    categorical, gaussian = Categorical(MLP(INPUTS, (), ACTIONS)), Gaussian(MLP(INPUTS, (), DIMENSIONS))
    only = ["ActorCritic"]
    refuse(
        only, TypeError, "policy must be a Categorical or a Gaussian over a network", policy=MLP(INPUTS, (), ACTIONS)
    )
    refuse(only, TypeError, r"Box.*needs a Gaussian policy, but policy is Cat", spaces(box), policy=categorical)
    refuse(only, TypeError, r"Discrete.*needs a Categorical policy, but policy is G", policy=gaussian)
    for network in (actions, MLP(INPUTS, (), ACTIONS - 1), MLP(INPUTS + 1, (), ACTIONS)):
        refuse(only, ValueError, r"the policy's network must map .*\(4,\) to 6", policy=Categorical(network))
        other = spaces(continuous(ACTIONS))
        refuse(only, ValueError, r"the policy's network must map .*\(4,\) to 6", other, policy=Gaussian(network))
    two = ActorCriticSettings(envs_per_run=2)
    refuse(only, ValueError, "3 environments cannot be shared out to runs of 2 each", settings=two)

    not_functions = [lambda: 0, lambda a, b, c: a + b + c, lambda *q: q[0].amax(-1), lambda *, q: q.amax(-1)]
    for function in not_functions:
        refuse(["DQN"], TypeError, "next_value must be a function of Q̄", next_value=function)
    refuse(["DQN"], TypeError, "next_value must be a Python function", next_value=torch.max)
    not_values = [
        lambda q: q.amax(-1, keepdim=True),
        lambda q: q,
        lambda q: q.max(-1),
        lambda q: q.tolist(),
        lambda _: 0,
    ]
    for function in [*not_values, lambda q, target: q + target]:
        refuse(["DQN"], ValueError, r"next_value must turn \(R, B, actions\) into \(R, B\)", next_value=function)
    refuse(["DQN"], ValueError, r"next_value must turn", spaces(environments=1), next_value=lambda q: q.amax(-1).mT)
    not_losses = [nn.functional.mse_loss, lambda q, y: (q - y).square(), lambda *_: 0.0]
    for function in not_losses:
        refuse(["DQN"], ValueError, r"loss must return one number a run, shape \(3,\)", loss=function)
    return table


@pytest.mark.parametrize(("call", "error", "message"), refusals())
def test_arguments_that_make_no_agent_are_refused(
    call: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


def test_q_values_of_observations_of_another_environment_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Observations must have the shape \(4,\), but have the shape \(3, 7, 6\)"):
        make("DQN").q(torch.zeros(RUNS, BATCH, 6))


class Unbounded(gymnasium.Env[Any, Any]):
    """The second number of an action has no upper bound."""

    observation_space = Box(0, 1, (HIDDEN,))
    action_space = Box(np.array([-1, 0], dtype=np.float32), np.array([1, np.inf], dtype=np.float32))


def test_a_dimension_without_a_bound_is_named_before_an_agent_is_made() -> None:
    with pytest.raises(ValueError, match="Dimension 1 of the action has the bounds 0 and inf"):
        SAC(make_envs(Unbounded, RUNS))
