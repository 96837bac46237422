"""The models of Gymnasium's toy-text environments (FrozenLake, CliffWalking, Taxi), read from the environments themselves."""

from typing import Any

import gymnasium
import torch
from gymnasium.spaces import Discrete

ACTIONS = {
    "FrozenLakeEnv": ("left", "down", "right", "up"),
    "CliffWalkingEnv": ("up", "right", "down", "left"),
    "TaxiEnv": ("south", "north", "east", "west", "pick up", "drop off"),
}
"""The names of each environment's actions, by its class: the environments do not tell."""


def read_environment(environment: str | gymnasium.Env[Any, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `FiniteMDP.from_outcomes`, all but the discount; `FiniteMDP.from_gymnasium` says more.

    Source: Gymnasium 1.4, `env.unwrapped.P` and `initial_state_distrib`.
    """
    env = _made(environment, options).unwrapped
    model, start = _model(env)
    outcomes = [[model[state][action] for action in range(len(model[state]))] for state in range(len(model))]
    drawing = tuple(b"".join(row).decode() for row in getattr(env, "desc", ()))
    return {
        "outcomes": outcomes,
        "start_probability": torch.as_tensor(start, dtype=torch.float64),
        "action_labels": ACTIONS.get(type(env).__name__, ()),
        "drawing": drawing if sum(map(len, drawing)) == len(outcomes) else (),  # Taxi's map shows places, not states
    }


def _made(environment: object, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    if isinstance(environment, str):
        try:
            return gymnasium.make(environment, **options)
        except (gymnasium.error.Error, ImportError, KeyError, ValueError) as error:
            raise ValueError(f"Gymnasium can't make the environment {environment!r}: {error}") from error
    if not isinstance(environment, gymnasium.Env):
        raise TypeError(f"environment must be an id or a gymnasium.Env, but is {environment!r}.")
    if options:
        raise TypeError(f"Options go with an id, but {environment!r} is made already: leave {options} out.")
    return environment


def _model(env: gymnasium.Env[Any, Any]) -> tuple[Any, Any]:
    name = env.spec.id if env.spec else type(env).__name__
    for space, what in ((env.observation_space, "observation"), (env.action_space, "action")):
        if not isinstance(space, Discrete):
            raise TypeError(f"{name} has the {what} space {space}, but a FiniteMDP needs a Discrete one.")
    model, start = getattr(env, "P", None), getattr(env, "initial_state_distrib", None)
    if model is None or start is None:
        raise ValueError(
            f"{name} keeps no model: a FiniteMDP needs `env.unwrapped.P` and `env.unwrapped.initial_state_distrib`, "
            f"which Gymnasium's toy-text environments (FrozenLake, CliffWalking, Taxi) have."
        )
    return model, start
