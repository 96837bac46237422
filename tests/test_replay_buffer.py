"""The replay buffer beside a deque for each run: which transitions are stored, and how batches are drawn."""

import math
from collections import Counter, deque
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space, Tuple
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from sac_tutorial.deep.replay_buffer import Batch, ReplayBuffer
from sac_tutorial.worlds.vector_env import make_envs
from tests.helpers import ACTIONS, INPUTS, RUNS, generator, spaces
from tests.oracles import FAST

BATCH, CAPACITY = 5, 11


def space(*shape: int) -> Box:
    return Box(-np.inf, np.inf, shape)


def transition(
    step: int, observation: tuple[int, ...] = (INPUTS,), action: tuple[int, ...] | None = None
) -> tuple[np.ndarray, ...]:
    """The transition of this step in all runs. Each number tells its field, run, step and place."""
    run = np.arange(RUNS)

    def numbered(sign: int, shape: tuple[int, ...]) -> np.ndarray:
        place = np.arange(math.prod(shape)).reshape(1, *shape) / 32
        return (sign * (1_000 * (run + 1) + step)).reshape(-1, *[1] * len(shape)) + place

    act = (step + 2 * run) % ACTIONS if action is None else numbered(2, action)
    return numbered(1, observation), act, 0.5 + step + 100.0 * run, numbered(-1, observation), (step + run) % 3 == 0


def filled(count: int) -> ReplayBuffer:
    buffer = ReplayBuffer(spaces(), CAPACITY)
    for step in range(count):
        buffer.add(*transition(step))
    return buffer


def expected(steps: list[int], **shapes: Any) -> list[np.ndarray]:
    """The transitions of these steps, each field of shape (R, B, ...)."""
    return [np.stack(fields, axis=1) for fields in zip(*(transition(step, **shapes) for step in steps), strict=True)]


def assert_batch(batch: Batch, steps: list[int], **shapes: Any) -> None:
    for name, found, wanted in zip(Batch._fields, batch, expected(steps, **shapes), strict=True):
        assert found.shape == wanted.shape, name
        assert np.array_equal(found.numpy(), wanted), name


# Storing


@pytest.mark.parametrize("count", [1, 4, 10, 11, 12, 17, 22, 30])
def test_all_that_is_stored_comes_back_oldest_first(count: int) -> None:
    buffer = filled(count)
    assert len(buffer) == min(count, CAPACITY)
    assert_batch(buffer.stored(), list(range(max(0, count - CAPACITY), count)))


def test_fields_have_the_types_of_their_docstrings() -> None:
    batch = filled(6).sample(BATCH, generator())
    assert [field.dtype for field in batch] == [torch.float32, torch.int64, torch.float32, torch.float32, torch.bool]
    assert [tuple(field.shape) for field in batch] == [
        (RUNS, BATCH, INPUTS),
        (RUNS, BATCH),
        (RUNS, BATCH),
        (RUNS, BATCH, INPUTS),
        (RUNS, BATCH),
    ]


@pytest.mark.parametrize("observation", [(4,), (2, 6), (4, 2, 6), (1,)])
@pytest.mark.parametrize("action", [None, (1,), (2,), (2, 6)])
def test_observations_and_actions_keep_any_shape(observation: tuple[int, ...], action: tuple[int, ...] | None) -> None:
    envs = spaces(None if action is None else space(*action), observation=observation)
    buffer = ReplayBuffer(envs, CAPACITY)
    shapes: dict[str, Any] = {"observation": observation, "action": action}
    for step in range(13):
        buffer.add(*transition(step, **shapes))
    assert_batch(buffer.stored(), list(range(2, 13)), **shapes)
    batch = buffer.sample(BATCH, generator())
    assert batch.action.dtype == (torch.int64 if action is None else torch.float32)
    assert_each_is_one_that_was_stored(batch, list(range(2, 13)), **shapes)


def test_what_is_passed_is_copied() -> None:
    buffer = ReplayBuffer(spaces(), CAPACITY)
    given = transition(0)
    buffer.add(*given)
    for field in given:
        field[:] = 0
    first = buffer.stored()
    buffer.add(*transition(1))
    assert_batch(first, [0])  # nor does a batch that was handed out change
    first.reward.zero_()
    assert_batch(buffer.stored(), [0, 1])


def test_whole_numbers_and_floats_survive_exactly() -> None:
    buffer = ReplayBuffer(spaces(Discrete(2**24 + 1), environments=2, observation=(1,)), 1)
    buffer.add([[2.0**24], [0.1]], [2**24, 2**24 - 1], [-1e-30, 3e38], [[np.pi], [-0.0]], [True, False])
    batch = buffer.stored()
    assert batch.observation.flatten().tolist() == [2**24, np.float32(0.1)]
    assert batch.action.flatten().tolist() == [2**24, 2**24 - 1]
    assert batch.reward.flatten().tolist() == [np.float32(-1e-30), np.float32(3e38)]
    assert batch.next_observation.flatten().tolist() == [np.float32(np.pi), 0]


def test_terminations_are_stored_in_their_run_and_step() -> None:
    buffer = ReplayBuffer(spaces(), CAPACITY)
    ends = np.array([[True, False, False], [False, False, True], [False, True, True], [False, False, False]])
    for step, terminated in enumerate(ends):
        observation, action, reward, following, _ = transition(step)
        buffer.add(observation, action, reward, following, terminated)
    assert np.array_equal(buffer.stored().terminated.numpy(), ends.T)


@FAST
@given(capacity=st.integers(1, 7), adds=st.lists(st.integers(0, 9), max_size=5), seed=st.integers(0, 2**31))
def test_it_is_a_deque_of_the_latest_for_each_run(capacity: int, adds: list[int], seed: int) -> None:
    buffer, model, step = ReplayBuffer(spaces(), capacity), deque[int](maxlen=capacity), 0
    for count in adds:
        for _ in range(count):
            buffer.add(*transition(step))
            model.append(step)
            step += 1
        assert len(buffer) == len(model)
        if model:
            assert_batch(buffer.stored(), list(model))
            assert_each_is_one_that_was_stored(buffer.sample(len(model), generator(seed)), list(model))


def assert_each_is_one_that_was_stored(batch: Batch, steps: list[int], **shapes: Any) -> None:
    """Every entry of a run is one whole transition of this run."""
    wanted = expected(steps, **shapes)
    for run in range(RUNS):
        stored = {tuple(np.concatenate([np.ravel(field[run, i]) for field in wanted])) for i in range(len(steps))}
        for i in range(batch.reward.shape[1]):
            assert tuple(np.concatenate([np.ravel(field[run, i].numpy()) for field in batch])) in stored


# Drawing


def drawn(buffer: ReplayBuffer, batch_size: int, times: int, seed: int = 0) -> np.ndarray:
    """Which steps were drawn: shape (R, times, batch)."""
    draw = generator(seed)
    batches = [buffer.sample(batch_size, draw).reward for _ in range(times)]
    return torch.stack(batches, 1).numpy() - 0.5 - 100 * np.arange(RUNS).reshape(-1, 1, 1)


@pytest.mark.parametrize("count", [5, 11, 16])
def test_every_stored_transition_is_equally_likely_in_every_run(count: int) -> None:
    steps = drawn(filled(count), BATCH, 1_000)
    for run in range(RUNS):
        counts = Counter(steps[run].flatten().astype(int).tolist())
        assert set(counts) == set(range(max(0, count - CAPACITY), count))
        assert chisquare(list(counts.values())).pvalue > 1e-6


def test_runs_and_entries_are_drawn_independently() -> None:
    steps = drawn(filled(3), 2, 3_000)  # with replacement: of two entries, all nine pairs are equally likely
    for first, second in (
        (steps[0, :, 0], steps[0, :, 1]),
        (steps[0, :, 0], steps[1, :, 0]),
        (steps[1, :, 1], steps[2, :, 1]),
        (steps[2, 1:, 0], steps[2, :-1, 0]),
    ):
        pairs = Counter(zip(first.tolist(), second.tolist(), strict=True))
        assert len(pairs) == 9 and chisquare(list(pairs.values())).pvalue > 1e-6


def test_a_seed_repeats_the_batch_and_another_does_not() -> None:
    buffer = filled(9)
    assert torch.equal(buffer.sample(BATCH, generator(3)).reward, buffer.sample(BATCH, generator(3)).reward)
    assert not torch.equal(buffer.sample(BATCH, generator(3)).reward, buffer.sample(BATCH, generator(4)).reward)
    draw = generator(3)
    assert not torch.equal(buffer.sample(BATCH, draw).reward, buffer.sample(BATCH, draw).reward)


def test_drawing_changes_nothing_that_is_stored() -> None:
    buffer = filled(14)
    buffer.sample(BATCH, generator()).observation.zero_()
    assert_batch(buffer.stored(), list(range(3, 14)))


def test_an_empty_buffer_has_nothing_to_draw() -> None:
    buffer = ReplayBuffer(spaces(), CAPACITY)
    assert buffer.stored().observation.shape == (RUNS, 0, INPUTS)
    with pytest.raises(ValueError, match="The replay buffer is empty"):
        buffer.sample(1, generator())


@pytest.mark.parametrize("count", [4, 17])
def test_the_termination_rate_is_the_share_of_the_stored_transitions_that_terminated(count: int) -> None:
    stored = range(max(0, count - CAPACITY), count)
    shares = [sum((step + run) % 3 == 0 for step in stored) / len(stored) for run in range(RUNS)]
    rate = filled(count).termination_rate()
    assert rate.shape == (RUNS,) and rate.tolist() == pytest.approx(shares)


# State


def test_a_state_brings_another_buffer_to_the_same_batches_and_next_places() -> None:
    for count in (0, 4, CAPACITY, 17):
        one, other = filled(count), filled(3)
        other.load_state_dict(one.state_dict())
        for buffer in (one, other):
            buffer.add(*transition(99))
        assert_batch(other.stored(), [*range(max(0, count + 1 - CAPACITY), count), 99])
        assert torch.equal(one.sample(BATCH, generator()).reward, other.sample(BATCH, generator()).reward)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": CAPACITY + 1}, r"'size' must lie in \[0, 11\]"),
        ({"size": 2.0}, "'size' must lie"),
        ({"size": -1, "position": -1}, "'size' must lie"),
        ({"position": 3}, "'position' does not fit"),
        ({"size": CAPACITY, "position": CAPACITY}, "'position' does not fit"),
        ({"size": 3, "position": 3}, "'stored.observation' of the state must be a tensor of shape"),
        ({"more": 1}, "unknown entry 'more'"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change: dict[str, Any], message: str) -> None:
    buffer = filled(5)
    with pytest.raises(ValueError, match=message):
        buffer.load_state_dict(filled(7).state_dict() | change)
    assert_batch(buffer.stored(), list(range(5)))


# Memory


def documented_bytes(observation: int, action: int) -> int:
    return RUNS * CAPACITY * (8 * observation + 4 * action + 5)


def bytes_of(buffer: ReplayBuffer) -> int:
    return sum(field.untyped_storage().nbytes() for field in buffer.fields)


@pytest.mark.parametrize(
    ("observation", "action", "numbers"), [((4,), None, (4, 2)), ((2, 6), (5,), (12, 5)), ((3,), (2, 4), (3, 8))]
)
def test_memory_is_what_the_docstring_says(
    observation: tuple[int, ...],
    action: tuple[int, ...] | None,
    numbers: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    envs = spaces(None if action is None else space(*action), observation=observation)
    size = documented_bytes(*numbers)  # a discrete action is an int64, as large as two float32
    assert bytes_of(ReplayBuffer(envs, CAPACITY)) == size
    memory = SimpleNamespace(available=size)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    ReplayBuffer(envs, CAPACITY)
    memory.available -= 1
    with pytest.raises(MemoryError):
        ReplayBuffer(envs, CAPACITY)


def test_eight_runs_of_cartpole_take_what_the_docstring_says() -> None:
    assert bytes_of(ReplayBuffer(make_envs("CartPole-v1", 8), 1_000)) == 360_000


def test_a_buffer_larger_than_memory_is_refused_with_its_size() -> None:
    with pytest.raises(MemoryError, match=r"1,000,000,000,000 transitions in each of 3 runs takes 135,000\.0 GB"):
        ReplayBuffer(spaces(), 10**12)  # 3 · 10¹² · (8 · 4 + 8 + 5) bytes


# Bad input


@pytest.mark.parametrize(
    ("capacity", "error"), [(0, ValueError), (-5, ValueError), (2.5, TypeError), (True, TypeError), ("9", TypeError)]
)
def test_a_wrong_capacity_is_refused(capacity: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="capacity must be"):
        ReplayBuffer(spaces(), capacity)


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (Dict(x=space(2)), Discrete(2), "Observations must be arrays"),
        (Tuple([space(2)]), Discrete(2), "Observations must be arrays"),
        (Discrete(3), Discrete(2), "Observations must be arrays"),
        (space(2), MultiDiscrete([2, 3]), "Actions must be discrete"),
        (space(2), Discrete(3, start=1), "must count from 0"),
    ],
)
def test_spaces_that_are_neither_boxes_nor_discrete_are_refused(
    observation: Space[Any], action: Space[Any], message: str
) -> None:
    envs = spaces(action)
    envs.single_observation_space = observation
    with pytest.raises(TypeError, match=message):
        ReplayBuffer(envs, CAPACITY)


def test_a_capacity_may_be_a_number_of_numpy() -> None:
    assert ReplayBuffer(spaces(), np.int64(9)).capacity == 9  # type: ignore[arg-type]


@pytest.mark.parametrize("field", range(5))
def test_a_field_of_another_size_is_refused(field: int) -> None:
    values = list(transition(0))
    values[field] = np.concatenate([values[field], values[field][:1]])
    with pytest.raises(RuntimeError, match="must match"):
        ReplayBuffer(spaces(), CAPACITY).add(*values)
