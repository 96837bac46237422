"""The middle of many runs, and how sure of it one may be."""

from typing import Any

import numpy as np
import pytest
import torch

from sac_tutorial.statistics import bootstrap_interval, interquartile_mean


def test_interquartile_mean_leaves_out_a_quarter_on_either_side() -> None:
    assert interquartile_mean([1000, 1, 3, 2, 4, -1000, 6, 5]) == 3.5  # (2 + 3 + 4 + 5) / 4
    assert interquartile_mean([9, 1, 2, 300, 4]) == 5  # 5 runs: one on either side
    assert interquartile_mean([1, 2, 9]) == 4  # 3 runs: none


def test_interquartile_mean_of_curves_acts_on_the_run_axis() -> None:
    runs = np.array([[0, 80, -8], [2, 40, 4], [4, 0, 8], [90, 20, 0]])
    assert interquartile_mean(runs, axis=0).tolist() == [3, 30, 2]
    assert interquartile_mean(runs.T, axis=1).tolist() == [3, 30, 2]
    assert interquartile_mean(runs.T).tolist() == [3, 30, 2]  # the runs are last unless something else is said
    assert interquartile_mean(torch.from_numpy(runs.T)).tolist() == [3, 30, 2]


def test_interval_repeats_with_its_seed_and_encloses_the_middle() -> None:
    runs = np.random.default_rng(0).normal(size=(16, 3))
    low, high = bootstrap_interval(runs, axis=0)
    assert low.shape == high.shape == (3,)
    middle = interquartile_mean(runs, axis=0)
    assert (low < middle).all() and (middle < high).all()
    again = bootstrap_interval(runs, axis=0)
    assert np.array_equal(low, again[0]) and np.array_equal(high, again[1])
    assert not np.array_equal(low, bootstrap_interval(runs, axis=0, seed=1)[0])
    across = bootstrap_interval(runs.T)
    assert np.allclose(low, across[0]) and np.allclose(high, across[1])


def test_interval_is_that_of_a_plain_loop() -> None:
    runs = np.random.default_rng(1).normal(size=40)
    drawn = np.sort(np.random.default_rng(2).choice(runs, size=(10_000, 40)), axis=1)
    middles = drawn[:, 10:30].mean(1)
    for confidence in (0.95, 0.5):
        low, high = bootstrap_interval(runs, confidence=confidence, resamples=10_000)
        tails = [50 * (1 - confidence), 50 * (1 + confidence)]
        assert [low, high] == pytest.approx(np.percentile(middles, tails), abs=0.15 * middles.std())


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    runs = np.random.default_rng(3).normal(size=(30, 400))  # 400 experiments of 30 runs, whose middle is 0
    low, high = bootstrap_interval(runs, axis=0, confidence=0.9, resamples=500)
    covered = ((low <= 0) & (high >= 0)).mean()
    assert 0.8 < covered < 0.96


def test_equal_runs_have_no_spread() -> None:
    low, high = bootstrap_interval(np.full((2, 5), 3.0))
    assert low.tolist() == high.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: interquartile_mean([]), ValueError, r"at least one run on axis -1.*\(0,\)"),
        (lambda: interquartile_mean(3.0), ValueError, "at least one run"),
        (lambda: interquartile_mean(np.zeros((3, 0)), axis=1), ValueError, "at least one run on axis 1"),
        (lambda: bootstrap_interval([1.0]), ValueError, "at least 2 runs, but there is 1"),
        (lambda: bootstrap_interval([]), ValueError, "at least one run"),
        (
            lambda: bootstrap_interval([1.0, 2.0], confidence=1.0),
            ValueError,
            r"confidence must lie in \[0, 1\), but is 1",
        ),
        (lambda: bootstrap_interval([1.0, 2.0], confidence=-0.1), ValueError, "confidence must lie in"),
        (lambda: bootstrap_interval([1.0, 2.0], resamples=0), ValueError, "resamples must be at least 1, but is 0"),
        (lambda: bootstrap_interval([1.0, 2.0], resamples=True), TypeError, "resamples must be a whole number"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
