"""What many runs say together: a robust middle and how sure of it one may be.

NumPy stands at this border: tensors and arrays come in, arrays go out. May import: `_borders`; SciPy does the work.
"""

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from sac_tutorial.validation import number, whole_number


def interquartile_mean(values: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Return the mean of the middle half: the lowest and the highest quarter (rounded down) of the runs are left out.

    Args:
        values: shape (..., runs).
        axis: the run axis; last by default, as in the learning curves of `plotting`.

    Returns:
        The means, without that axis.

    Raises:
        ValueError: if there is no run.

    Source: Agarwal et al. (2021), section 4.3; `scipy.stats.trim_mean`.
    """
    return np.asarray(scipy.stats.trim_mean(_runs(values, axis), 0.25, axis=axis), dtype=np.float64)


def bootstrap_interval(
    values: ArrayLike, *, axis: int = -1, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a percentile-bootstrap confidence interval of the interquartile mean over runs.

    Args:
        values: shape (..., runs), at least 2 runs.
        axis: the run axis; last by default, as in the learning curves of `plotting`.
        confidence: in [0, 1).
        resamples: how often the runs are drawn with replacement.
        seed: of these draws, so that a figure repeats.

    Returns:
        The lower and the upper ends, each without the run axis.

    Raises:
        TypeError: for `resamples` that is no whole number.
        ValueError: for fewer than 2 runs, or a confidence or a number of resamples out of range.

    Source: Agarwal et al. (2021), section 4.1; `scipy.stats.bootstrap`.
    """
    number("confidence", confidence, "[0, 1)")
    data = _runs(values, axis)
    if data.shape[axis] < 2:
        raise ValueError(f"An interval over runs needs at least 2 runs, but there is {data.shape[axis]}.")
    interval = scipy.stats.bootstrap(
        (data,),
        interquartile_mean,
        axis=axis,
        vectorized=True,
        n_resamples=whole_number("resamples", resamples),
        batch=200,  # bounds the memory: 200 resamples at a time
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return np.asarray(interval.low), np.asarray(interval.high)


def _runs(values: ArrayLike, axis: int) -> NDArray[np.float64]:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim == 0 or data.shape[axis] == 0:
        raise ValueError(f"values must have at least one run on axis {axis}, but have the shape {data.shape}.")
    return data
