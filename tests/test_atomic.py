"""A file is the old one or the new one, whole: when a write fails, when Ctrl-C comes, and when a writer was killed."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from sac_tutorial.files.atomic import write_atomically


def test_a_file_is_made_and_replaced_with_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"", b"another"):
        write_atomically(path, content)
        assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


def test_the_file_is_complete_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen, replace, sync = tmp_path / "file", list[object](), Path.replace, os.fsync

    def look(self: Path, target: Path) -> Path:
        seen.append((path.exists(), self.parent == tmp_path, self.read_bytes()))
        return replace(self, target)

    def note(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.fstat(descriptor).st_size)
        sync(descriptor)

    monkeypatch.setattr(Path, "replace", look)
    monkeypatch.setattr(os, "fsync", note)
    write_atomically(path, b"content")
    assert seen == [7, (False, True, b"content"), *(["folder"] if os.name == "posix" else [])]


class Full:
    """A file that takes three bytes and no more."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, content: bytes) -> int:
        self.file.write(content[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


FULL, OPEN = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Path.open


@pytest.mark.parametrize(
    ("owner", "name", "instead"),
    [
        (Path, "open", failing(FULL)),
        (Path, "open", lambda path, mode: Full(OPEN(path, mode))),
        (os, "fsync", failing(FULL)),
        (Path, "replace", failing(FULL)),
    ],
    ids=["open", "write", "fsync", "replace"],
)
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    owner: Any, name: str, instead: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"the old content")
    monkeypatch.setattr(owner, name, instead)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as full:
        write_atomically(path, b"the new content")
    monkeypatch.undo()
    assert f"{path} could not be written. If it was there before, it is as it was." in full.value.__notes__
    assert path.read_bytes() == b"the old content" and list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"the new content")  # when there is room again
    assert path.read_bytes() == b"the new content"


@pytest.mark.skipif(os.name != "posix", reason="the limit is one of POSIX")
def test_a_system_that_takes_no_more_leaves_the_old_file(tmp_path: Path) -> None:
    """Python ignores the signal that comes with this limit on the size of files."""
    import resource

    path = tmp_path / "file"
    write_atomically(path, b"the old content")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            write_atomically(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"the old content" and list(tmp_path.iterdir()) == [path]


def test_ctrl_c_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"the old content")
    monkeypatch.setattr(os, "fsync", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"the new content")
    assert path.read_bytes() == b"the old content" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not here")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "file", b"content")


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    gone = next(number for number in range(2**22 - 1, 0, -1) if not psutil.pid_exists(number))
    living = os.getppid()
    others = [
        f".file[1].{living}.tmp",
        f".other.{gone}.tmp",
        ".file[1].mine.tmp",
        ".file[1].99999999999999.tmp",
        f"file[1].{gone}.tmp",
        f".file1.{gone}.tmp",
    ]
    for name in (f".file[1].{gone}.tmp", *others):
        (tmp_path / name).write_text("half")
    write_atomically(tmp_path / "file[1]", b"content")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["file[1]", *others])
