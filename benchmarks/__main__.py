"""Run all comparisons and print one table: `python -m benchmarks` (or `make bench`). Takes about two minutes."""

import os
import platform
import sys

import torch

from benchmarks import tabular_learning, value_iteration


def main() -> None:
    """Print each comparison as soon as it is made."""
    if value_iteration.missing():
        sys.exit(
            "The benchmarks compare with QuantEcon, which is not installed here. "
            'Install the extra "bench": python -m pip install -c constraints.txt -e ".[bench]"'
        )
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    if (load := os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0) > 1:
        print(f"Other programs are busy here (load {load:.1f}): ratios will waver.")
    for comparison in (value_iteration.compare, value_iteration.cost_by_size, tabular_learning.compare):
        print()
        for line in comparison():
            print(line, flush=True)


if __name__ == "__main__":
    main()
