"""Write a file whole or not at all. A reader never sees half a file, even after a crash or with a full disk."""

import contextlib
import glob
import os
from pathlib import Path

import psutil


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, flush it to the disk, and then give it its name.

    Raises:
        OSError: If the file cannot be written. A file that was there before is left as it was.
    """
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.add_note(f"{path} could not be written. If it was there before, it is as it was.")
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote this file."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        process = left.name.removeprefix(f".{path.name}.").removesuffix(".tmp")
        if process.isdecimal() and int(process) < 2**31 and not psutil.pid_exists(int(process)):
            with contextlib.suppress(OSError):  # it may belong to another user
                left.unlink()


def _flush_folder(folder: Path) -> None:
    """Let the new name of a file reach the disk too, where the system can do that."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
