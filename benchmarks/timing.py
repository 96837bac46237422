"""How the comparisons measure: contestants take turns, so that a busy moment of the machine meets them all."""

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter


def interleaved(contestants: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Return the median seconds of each contestant over rounds in which each runs once, after one round unmeasured."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repetition in range(repetitions + 1):
        for name, contestant in contestants.items():
            begun = perf_counter()
            contestant()
            if repetition > 0:
                seconds[name].append(perf_counter() - begun)
    return {name: median(measured) for name, measured in seconds.items()}
