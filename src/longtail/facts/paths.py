"""Check paths that a user named: an ordinary file to read, or a place to write that is not the data."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any


def regular(path: str | Path, what: str = "data file") -> Path:
    """Return the path of a regular file, or a link to one, that may be read.

    A pipe or a device is refused before it is opened: reading the one may wait for ever, the other may never end.

    Raises:
        ValueError: no such file, a folder, a pipe, a socket, a device, no permission to read; in one line.
    """
    path = Path(path)
    mode = status(path, what).st_mode
    if stat.S_ISDIR(mode):
        raise ValueError(f"{what} {str(path)!r} must be a file, got a folder; name the file in it")
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
        kind = kinds.get(stat.S_IFMT(mode), "device")
        raise ValueError(f"{what} {str(path)!r} must be a regular file, got a {kind}; copy its content into one")
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ValueError(_why(path, error, what)) from None
    return path


def status(path: Path, what: str = "data file") -> os.stat_result:
    """Return `path.stat()`.

    Raises:
        ValueError: no such file, a symbolic link to nothing or to itself, no permission; in one line.
    """
    try:
        return path.stat()
    except OSError as error:
        raise ValueError(_why(path, error, what)) from None
    except ValueError:  # a NUL in the name
        raise ValueError(f"{what} {str(path)!r} is not a possible file name; check the path") from None


def _why(path: Path, error: OSError, what: str) -> str:
    if error.errno == errno.ELOOP:
        return f"{what} {str(path)!r} is a symbolic link to itself; remove or correct the link"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        kind = "is a symbolic link to nothing" if path.is_symlink() else "does not exist"
        return f"{what} {str(path)!r} {kind}; check the path"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{what} {str(path)!r} may not be read; check its permissions"
    return f"{what} {str(path)!r} cannot be read ({error.strerror}); check the path"


BUILT_IN = ("digits", "cifar10", "cifar100")
"""Data that have a name of their own, whatever lies under it in the current folder."""


def named_path(source: Any) -> Any:
    """Return what was named as data, None where that is no path but a name of `BUILT_IN`."""
    return None if isinstance(source, str) and source in BUILT_IN else source


def check_not_data(out: str | Path, data: Any, option: str = "--out", *, inside: bool = False) -> None:
    """Refuse to write over the data, or into their folder, where it would be read as data the next time.

    Args:
        out: the file or folder to write, which need not exist.
        data: a path or several; anything else has no path and is not checked.
        option: the name of `out` in the user's command.
        inside: whether `out` may be inside the data's folder.

    Raises:
        ValueError: `out` is the data or inside their folder, symbolic links followed.
    """
    for one in data if isinstance(data, list | tuple) else [data]:
        if not isinstance(one, str | os.PathLike):
            return
        source, target = _real(one), _real(out)
        if not os.path.exists(source):
            continue
        if target == source or (os.path.exists(target) and os.path.samefile(target, source)):
            raise ValueError(f"{option} {str(out)!r} is the data, which are never overwritten; name another")
        if not inside and os.path.isdir(source) and os.path.join(source, "") == target[: len(source) + 1]:
            raise ValueError(
                f"{option} {str(out)!r} lies inside the data folder {str(one)!r}, and would be read as data; "
                f"name a place outside with {option}"
            )


def _real(path: str | os.PathLike[str]) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a NUL in the name, which is refused on opening
        return os.fspath(path)
