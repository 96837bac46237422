"""Episodes side by side: the true next state, new starts, and the time limit."""

import pytest
import torch
from scipy.stats import chisquare

from sac_tutorial.tabular.episodes import Episodes
from sac_tutorial.worlds.mdp import FiniteMDP
from tests.helpers import generator


def corridor(start: list[float]) -> FiniteMDP:
    """Four states; action 0 walks to the right and ends in the last state, action 1 stands still."""
    rows = [[[(1.0, min(s + 1, 3), float(s), s == 2)], [(1.0, s, -1.0, False)]] for s in range(4)]
    return FiniteMDP.from_outcomes(rows, start_probability=torch.tensor(start, dtype=torch.float64), discount=0.9)


def test_step_returns_the_true_next_state_and_state_is_a_new_start_after_an_end() -> None:
    episodes = Episodes(corridor([1, 0, 0, 0]), 3, generator(), time_limit=4)
    assert episodes.state.tolist() == [0, 0, 0]
    action = torch.tensor([0, 0, 1])  # two runs walk to the end in three steps, one stands still until it is truncated
    for next_states, rewards, terminations, ends, states in (
        ([1, 1, 0], [0, 0, -1], [False, False, False], [False, False, False], [1, 1, 0]),
        ([2, 2, 0], [1, 1, -1], [False, False, False], [False, False, False], [2, 2, 0]),
        ([3, 3, 0], [2, 2, -1], [True, True, False], [True, True, False], [0, 0, 0]),
        ([1, 1, 0], [0, 0, -1], [False, False, False], [False, False, True], [1, 1, 0]),
        ([2, 2, 0], [1, 1, -1], [False, False, False], [False, False, False], [2, 2, 0]),
    ):
        next_state, reward, terminated = episodes.step(action)
        assert next_state.tolist() == next_states
        assert reward.tolist() == rewards
        assert terminated.tolist() == terminations
        assert episodes.ended.tolist() == ends
        assert episodes.state.tolist() == states


def test_every_run_draws_its_own_starts() -> None:
    episodes = Episodes(corridor([0, 0.5, 0, 0.5]), 1_000, generator(), time_limit=1)
    for _ in range(2):
        assert chisquare(episodes.state.bincount()[[1, 3]].tolist()).pvalue > 1e-6
        episodes.step(torch.ones(1_000, dtype=torch.int64))


def test_episodes_without_a_time_limit_go_on() -> None:
    episodes = Episodes(corridor([1, 0, 0, 0]), 2, generator())
    for _ in range(100):
        episodes.step(torch.ones(2, dtype=torch.int64))
        assert not episodes.ended.any()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"runs": 0}, ValueError, "runs must be at least 1"),
        ({"time_limit": 0}, ValueError, "time_limit must be at least 1"),
        ({"time_limit": 1.5}, TypeError, "time_limit must be a whole number"),
    ],
)
def test_bad_counts_are_refused(arguments: dict[str, int], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Episodes(corridor([1, 0, 0, 0]), **{"runs": 2, "generator": generator()} | arguments)  # type: ignore[arg-type]
