"""Run all comparisons and print one table: `python -m benchmarks` (or `make bench`). Takes several minutes."""

import os
import platform
import sys

import torch

from benchmarks import (
    contestants,
    deep_q_learning,
    soft_actor_critic,
    soft_value_iteration,
    tabular_learning,
    value_iteration,
)


def main() -> None:
    """Print each comparison as soon as it is made."""
    if absent := [*value_iteration.missing(), *contestants.missing(), *soft_actor_critic.missing()]:
        are = "is" if len(absent) == 1 else "are"
        sys.exit(
            f"The benchmarks need {' and '.join(absent)}, which {are} not installed here. "
            'Install the extra "bench": python -m pip install -c constraints.txt -e ".[bench]"'
        )
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    if (load := os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0) > 1:
        print(f"Other programs are busy here (load {load:.1f}): ratios will waver.")
    comparisons = (
        value_iteration.compare,
        value_iteration.cost_by_size,
        soft_value_iteration.compare,
        soft_value_iteration.temperatures,
        tabular_learning.compare,
        deep_q_learning.course_size,
        soft_actor_critic.course_size,
        soft_actor_critic.paper_size,
        soft_actor_critic.cost_by_size,
    )
    for comparison in comparisons:
        print()
        for line in comparison():
            print(line, flush=True)


if __name__ == "__main__":
    main()
