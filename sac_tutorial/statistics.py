"""Summaries of many runs: the interquartile mean and its confidence interval.

Tensors and arrays come in, NumPy arrays go out. The lessons use them wherever learners are compared over runs.
"""

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from sac_tutorial.validation import number, seed_number, whole_number


def interquartile_mean(values: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Return the mean of the middle half of the runs: the lowest and highest quarter (rounded down) are left out.

    Args:
        values: Shape (..., runs).
        axis: The run axis.

    Returns:
        The means, without the run axis.

    Raises:
        ValueError: If there are no runs.

    Source: Agarwal et al. (2021), section 4.3; `scipy.stats.trim_mean`.
    """
    return np.asarray(scipy.stats.trim_mean(_runs(values, axis), 0.25, axis=axis), dtype=np.float64)


def bootstrap_interval(
    values: ArrayLike, *, axis: int = -1, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a percentile-bootstrap confidence interval of the interquartile mean over runs.

    Args:
        values: Shape (..., runs), at least 2 runs.
        axis: The run axis.
        confidence: In [0, 1).
        resamples: How often the runs are drawn with replacement.
        seed: Seed of these draws.

    Returns:
        The lower and the upper ends, each without the run axis.

    Raises:
        TypeError: If `resamples` or `seed` is not a whole number.
        ValueError: If there are fewer than 2 runs, or a number is out of range.

    Source: Agarwal et al. (2021), section 4.1; `scipy.stats.bootstrap`.
    """
    confidence = number("confidence", confidence, "[0, 1)")
    data = _runs(values, axis)
    if data.shape[axis] < 2:
        raise ValueError(f"An interval over runs needs at least 2 runs, but there is {data.shape[axis]}.")
    interval = scipy.stats.bootstrap(
        (data,),
        interquartile_mean,
        axis=axis,
        vectorized=True,
        n_resamples=whole_number("resamples", resamples),
        batch=200,  # limits the memory
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed_number(seed)),
    ).confidence_interval
    return np.asarray(interval.low), np.asarray(interval.high)


def _runs(values: ArrayLike, axis: int) -> NDArray[np.float64]:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim == 0 or data.shape[axis] == 0:
        raise ValueError(f"values must have at least one run on axis {axis}, but have the shape {data.shape}.")
    return data
