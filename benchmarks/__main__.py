"""Run all comparisons and print one table: `python -m benchmarks` (or `make bench`). Takes several minutes."""

import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator

import torch

from benchmarks import (
    contestants,
    deep_q_learning,
    soft_actor_critic,
    soft_value_iteration,
    tabular_learning,
    value_iteration,
)

COMPARISONS: tuple[Callable[[], Iterable[str]], ...] = (
    value_iteration.compare,
    value_iteration.cost_by_size,
    soft_value_iteration.compare,
    soft_value_iteration.temperatures,
    tabular_learning.compare,
    deep_q_learning.course_size,
    soft_actor_critic.course_size,
    soft_actor_critic.paper_size,
    soft_actor_critic.cost_by_size,
    soft_actor_critic.freed_memory,
)
RATIO = re.compile(r"\d\.\d\dx")
"""The form of a ratio in every comparison."""


def main() -> None:
    """Print each comparison as soon as it is done, and all ratios together at the end."""
    if absent := [*value_iteration.missing(), *contestants.missing(), *soft_actor_critic.missing()]:
        are = "is" if len(absent) == 1 else "are"
        sys.exit(
            f"The benchmarks need {' and '.join(absent)}, which {are} not installed here. "
            'Install the extra "bench": python -m pip install -c constraints.txt -e ".[bench]"'
        )
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    if (load := os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0) > 1:
        print(f"Other programs are busy here (load {load:.1f}): ratios will waver.")
    table: list[str] = []
    for comparison in COMPARISONS:
        print()
        title, *rows = list(shown(comparison()))
        if with_ratio := [row for row in rows if RATIO.search(row)]:
            table += ["", title, *(row for row in rows[:1] if row not in with_ratio), *with_ratio]
    print("\n\nAll ratios:", *table, sep="\n")


def shown(lines: Iterable[str]) -> Iterator[str]:
    """Print each line at once and yield it."""
    for line in lines:
        print(line, flush=True)
        yield line


if __name__ == "__main__":
    main()
