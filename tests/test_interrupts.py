"""Ctrl-C during a training: the step is finished first, nothing is lost, and a file that is saved then is exact."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from sac_tutorial.agents.ddpg import DDPG, DDPGSettings
from sac_tutorial.deep.off_policy import Step
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.worlds.vector_env import make_envs
from tests.test_state_file import COUNTS, RUNS, Training, differences, everything

STEPS = 30


class Pressed(gymnasium.Env[Any, Any]):
    """An environment in which something happens during some steps, such as Ctrl-C, once or more."""

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


def fail() -> None:
    raise RuntimeError("broken")


def interrupt() -> None:
    raise KeyboardInterrupt


def training(presses: dict[int, int], how: Callable[[], None] = press) -> Training:
    first = [presses, *[{}] * (RUNS - 1)]
    envs = make_envs(lambda: Pressed(first.pop(0) if first else {}, how), RUNS)
    return Training(envs, DDPG(envs, DDPGSettings(hidden=(8,))), ReplayBuffer(envs, 25))


def steps_until(error: type[BaseException], steps: Iterator[Step]) -> list[int]:
    """Return the numbers of the steps that were seen before the error."""
    seen = []
    with pytest.raises(error):  # noqa: PT012
        for step in steps:
            seen.append(step.number)
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return seen


def test_ctrl_c_waits_until_the_step_is_taken_and_seen() -> None:
    interrupted, undisturbed = training({20: 1}), training({})
    undisturbed.run(20)
    assert steps_until(KeyboardInterrupt, interrupted.steps(STEPS)) == list(range(1, 21))
    assert differences(everything(interrupted), everything(undisturbed)) == []
    for each in (interrupted, undisturbed):  # and both go on
        each.run(STEPS, start_step=20, seed=None)
    assert differences(everything(interrupted), everything(undisturbed)) == []


@pytest.mark.parametrize(
    ("presses", "how", "error"),
    [(2, press, KeyboardInterrupt), (1, interrupt, KeyboardInterrupt), (1, fail, RuntimeError)],
    ids=["a second Ctrl-C", "an interrupt from elsewhere", "an error"],
)
def test_other_interruptions_do_not_wait_and_leave_everything_usable(
    presses: int, how: Callable[[], None], error: type[BaseException]
) -> None:
    interrupted = training({20: presses}, how)
    assert steps_until(error, interrupted.steps(STEPS)) == list(range(1, 20))
    assert len(interrupted.buffer) == 19 and interrupted.agent.critic.updates == 19 - COUNTS["learning_starts"]
    assert all(torch.isfinite(parameter).all() for parameter in interrupted.agent.actor.parameters)
    interrupted.run(STEPS, start_step=19, seed=None)


@pytest.mark.parametrize("how", [press, interrupt, fail])
def test_the_bar_is_closed_and_shows_the_steps(how: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(KeyboardInterrupt, RuntimeError):
        training({5: 1}, how).run(STEPS, start_step=15, batch_size=1, progress=True)
    shown = capsys.readouterr().err
    assert f" 15/{STEPS}" in shown and f" 0/{STEPS}" not in shown and f"{STEPS}/{STEPS}" not in shown
    assert (f" 20/{STEPS}" in shown) == (how is press) and shown.endswith("\n")  # a bar that is closed ends its line


def test_a_handler_of_the_callers_own_is_left_in_place() -> None:
    heard = list[int]()
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        training({20: 3}).run(STEPS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT] * 3


def test_another_thread_can_train_too() -> None:
    counts = list[int]()
    thread = threading.Thread(target=lambda: counts.append(len(list(training({}).steps(STEPS)))))
    thread.start()
    thread.join()
    assert counts == [STEPS]


def test_a_file_that_is_saved_after_ctrl_c_is_exact(tmp_path: Path) -> None:
    interrupted, new, last = training({20: 1}), training({}), 0
    with contextlib.suppress(KeyboardInterrupt):
        for step in interrupted.steps(STEPS):
            last = step.number
    interrupted.save(tmp_path / "file", step=last)
    assert new.load(tmp_path / "file") == {"step": 20}
    assert differences(everything(interrupted), everything(new)) == []
