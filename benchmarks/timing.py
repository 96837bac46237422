"""How the comparisons measure: contestants take turns, so that a busy moment of the machine meets them all."""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from time import perf_counter


def in_turns(contestants: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, float]:
    """Return the median of what each contestant returns over rounds in which each runs once, after one round left out."""
    returned: dict[str, list[float]] = {name: [] for name in contestants}
    for repetition in range(repetitions + 1):
        for name, contestant in contestants.items():
            result = contestant()
            if repetition > 0:
                returned[name].append(result)
    return {name: median(results) for name, results in returned.items()}


def stopwatch(work: Callable[[], object]) -> float:
    """Return how many seconds the work takes."""
    begun = perf_counter()
    work()
    return perf_counter() - begun


def interleaved(contestants: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Return the median seconds of each contestant, taken in turns."""
    return in_turns({name: partial(stopwatch, work) for name, work in contestants.items()}, repetitions)
