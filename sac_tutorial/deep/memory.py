"""One setting of the C library on Linux that makes training a third faster."""

from functools import cache

import torch


@cache
def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, so that the next update finds it again. Both training loops call this.

    The C library of Linux returns freed memory to the system above a threshold, and then every update fetches a thousand pages
    anew. The library raises the threshold by itself when a large block is freed, so one block is freed here. Nothing is written
    to the block, so it costs no memory. On other systems this has no effect.

    Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, on the dynamic threshold.
    """
    # just below 32 MiB, the largest block that the library takes into account
    torch.empty(2**25 - 2**14, dtype=torch.uint8)
