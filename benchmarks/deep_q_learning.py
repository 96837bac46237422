"""DQN on CartPole-v1: many runs in one process, compared with one run in each process of Stable-Baselines3 and of SBX.

All have the same network, batch, replay buffer, exploration, Huber loss, Adam and target period, and learn once from every
step. The peers get one process with one thread on each core, which is how they are fastest.
"""

from collections.abc import Iterator

import torch

from benchmarks.contestants import CORES, PEERS, Ours, Peer, Runs, Task, Theirs, algorithm, compare, parameters_of
from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.deep.networks import MLP
from sac_tutorial.equations import huber_loss
from sac_tutorial.worlds.vector_env import make_envs

ENVIRONMENT, HIDDEN = "CartPole-v1", (64, 64)
DISCOUNT, LEARNING_RATE, EPSILON = 0.99, 1e-3, 0.05
BATCH, CAPACITY, TARGET_PERIOD = 64, 10_000, 250
LEARNING_STARTS = 200


def runs(number: int, device: str = "cpu") -> Runs:
    """Return this package's contestant."""
    envs = make_envs(ENVIRONMENT, number)
    settings = DQNSettings(discount=DISCOUNT, learning_rate=LEARNING_RATE, epsilon=EPSILON, target_period=TARGET_PERIOD)
    agent = DQN(envs, settings, network=MLP(4, HIDDEN, 2), loss=huber_loss, device=device)
    return Runs(envs, agent, [agent.online], capacity=CAPACITY, learning_starts=LEARNING_STARTS, batch_size=BATCH)


def peer(name: str, seed: int) -> Peer:
    """Return one run of a peer."""
    model = algorithm(name, "DQN")(
        "MlpPolicy",
        ENVIRONMENT,
        learning_rate=LEARNING_RATE,
        buffer_size=CAPACITY,
        learning_starts=LEARNING_STARTS,
        batch_size=BATCH,
        gamma=DISCOUNT,
        train_freq=1,
        gradient_steps=1,
        target_update_interval=TARGET_PERIOD,
        exploration_initial_eps=EPSILON,
        exploration_final_eps=EPSILON,
        policy_kwargs={"net_arch": list(HIDDEN)},
        seed=seed,
        device="cpu",
    )
    return Peer(model, [model.policy.qf_state.params if name == "SBX" else model.q_net])


TASK = Task(
    ours=runs,
    peer=peer,
    parameters=parameters_of(4, *HIDDEN, 2),
    learning_starts=LEARNING_STARTS,
    unmeasured=300,
    steps={1: 1_000, 8: 1_000, 32: 400, 64: 200},
)


def course_size() -> Iterator[str]:
    """Yield the lines of the comparison."""
    ours = [Ours(number, CORES) for number in TASK.steps]
    ours += [Ours(8, threads) for threads in sorted({1, torch.get_num_threads()} - {CORES})]
    if torch.cuda.is_available():
        ours += [Ours(number, 1, "cuda") for number in TASK.steps]
    widths = " x ".join(map(str, HIDDEN))
    title = f"DQN on {ENVIRONMENT}, {widths} hidden, batch {BATCH}, one update a step, {CORES} cores"
    return compare(TASK, title, ours, [Theirs(name, CORES) for name in PEERS])
