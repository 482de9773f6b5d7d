"""A datastore in a folder."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from flowsdk.datastore.storage import Buffer, Entry, MappedFile, Storage
from flowsdk.exception import DatastoreError, KeyNotFound

if TYPE_CHECKING:
    from flowsdk.datastore.hashing import PieceDigests

#: From this size on an object is mapped instead of read. A mapping keeps a file descriptor, and a
#: join may hold thousands of values.
_MAP_FROM = 16 * 1024 * 1024
#: How often a folder is made that vanishes at once.
_TRIES = 5


class FolderStorage(Storage):
    """Objects as files below a folder.

    How it works:
        A file is written under a temporary name beside its place and then linked or renamed into
        it, so a killed writer leaves nothing that a reader could take for an object. ``uri`` is the
        file's path; as a Path it would keep the names of all folders ever asked for.

    Args:
        root: The folder, as a path or a ``file://`` URI; made when first written to.
    """

    def __init__(self, root: str) -> None:
        path = unquote(urlsplit(root).path) if root.startswith("file://") else root
        self._folder = Path(path).expanduser().absolute()
        self.root = str(self._folder)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        try:
            with open(self.uri(key), "rb") as file:
                file.seek(start)
                return file.read(-1 if length is None else length)
        except (FileNotFoundError, NotADirectoryError):
            raise KeyNotFound(f"No object {self.uri(key)}.") from None
        except OSError as error:
            raise DatastoreError(f"Cannot read {self.uri(key)}: {error}.") from error

    def view(self, key: str, seen: PieceDigests | None = None) -> memoryview:  # noqa: ARG002  # maps
        try:
            with open(self.uri(key), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size >= _MAP_FROM:
                    # ACCESS_COPY: whoever mutates an array changes private pages, never the file.
                    return memoryview(MappedFile(file.fileno(), size, access=mmap.ACCESS_COPY))
                buffer = bytearray(size)
                file.readinto(buffer)
                return memoryview(buffer)
        except (FileNotFoundError, NotADirectoryError):
            raise KeyNotFound(f"No object {self.uri(key)}.") from None
        except OSError as error:
            raise DatastoreError(f"Cannot read {self.uri(key)}: {error}.") from error

    def write(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        if_absent: bool = False,
        piece_digests: Sequence[bytes] = (),  # noqa: ARG002  # hashes nothing
    ) -> bool:
        path = self.uri(key)
        if if_absent and os.path.exists(path):
            return False
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/.{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
        try:
            try:
                with _created(temporary) as file:
                    for part in parts:
                        file.write(part)
                return _place(temporary, path, if_absent)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
        except OSError as error:
            raise DatastoreError(f"Cannot write {self.uri(key)}: {error}.") from error

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._folder / key
            try:
                path.unlink(missing_ok=True)
                for folder in path.relative_to(self._folder).parents[:-1]:
                    os.rmdir(self._folder / folder)
            except NotADirectoryError:
                continue
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                    raise DatastoreError(f"Cannot delete {self.uri(key)}: {error}.") from error

    def modified(self, key: str) -> float | None:
        try:
            found = os.stat(self.uri(key))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_mtime if stat.S_ISREG(found.st_mode) else None

    def freshen(self, key: str) -> bool:
        try:
            os.utime(self.uri(key))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except PermissionError:  # somebody else's, who alone can remove it
            return True
        return True

    def entries(self, prefix: str) -> Iterator[Entry]:
        for key in self.keys(prefix):
            try:
                found = os.stat(self.uri(key))
            except FileNotFoundError:  # removed since
                continue
            yield Entry(key, found.st_size, found.st_mtime)

    def keys(self, prefix: str) -> Iterator[str]:
        found = []
        for folder, _, names in os.walk(self._folder / prefix):
            relative = Path(folder).relative_to(self._folder).as_posix()
            found += [f"{relative}/{name}" for name in names if not _is_temporary(name)]
        yield from sorted(found)

    def children(self, prefix: str) -> list[str]:
        try:
            names = os.listdir(self.uri(prefix))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if not _is_temporary(name))


def _created(path: str) -> IO[bytes]:
    """A new file, in a folder that is made for it."""
    for _ in range(_TRIES):
        try:
            return open(path, "wb")
        except FileNotFoundError:
            # Not yet there; or somebody has just deleted the folder's last object, and the folder with it.
            os.makedirs(os.path.dirname(path), exist_ok=True)
    return open(path, "wb")


def _place(temporary: str, path: str, if_absent: bool) -> bool:
    if not if_absent:
        os.replace(temporary, path)
        return True
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    return True


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")
