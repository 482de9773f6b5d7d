"""Where bytes lie: a key-value store with atomic writes.

The two kinds are a folder (:mod:`flowsdk.datastore.folder`) and S3 (:mod:`flowsdk.datastore.s3`).
A storage knows nothing of flows: keys come from :mod:`flowsdk.datastore.keys`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from mmap import mmap
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from flowsdk.exception import UsageError

if TYPE_CHECKING:
    from flowsdk.datastore.hashing import PieceDigests

Buffer: TypeAlias = bytes | bytearray | memoryview


class MappedFile(mmap):
    """A private mapping of a whole file that is not written to any more.

    What is mapped otherwise, such as room that a download is read into, is none: neither has it been
    checked when it was written, nor does the kernel tell whether it has been changed since.
    """


class Entry(NamedTuple):
    """An object, as a listing shows it.

    Attributes:
        key: Where it is.
        size: In bytes.
        modified: When it was written or freshened, seconds since 1970.
    """

    key: str
    size: int
    modified: float


class Storage(ABC):
    """Objects under keys.

    Purpose:
        The few operations that everything else is built on, alike for a folder and for S3.
    How it works:
        A write is atomic: a reader sees the whole object or none. ``if_absent`` makes the first
        writer win, also against a concurrent one.
    What it does not do:
        No renaming, no caching.
    """

    #: URI of the root, without a slash at its end.
    root: str
    #: Whether a request waits for a network, so that doing several at once pays.
    remote: bool = False

    def uri(self, key: str) -> str:
        """Full address of ``key``."""
        return f"{self.root}/{key}"

    @abstractmethod
    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """``length`` bytes from ``start``, by default everything.

        Raises:
            KeyNotFound: There is no such object.
            DatastoreError: It could not be read.
        """

    def view(self, key: str, seen: PieceDigests | None = None) -> memoryview:  # noqa: ARG002
        """The whole object, mapped rather than copied where the storage can. Writable privately.

        Args:
            key: Where.
            seen: Is given the pieces as they come, by a storage that reads them in pieces: then
                hashing takes no time of its own.
        """
        return memoryview(bytearray(self.read(key)))

    @abstractmethod
    def write(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        if_absent: bool = False,
        piece_digests: Sequence[bytes] = (),
    ) -> bool:
        """Store the concatenation of ``parts``.

        Args:
            key: Where.
            parts: The content, written in order without being joined where that saves a copy.
            if_absent: Leave an object that is already there as it is.
            piece_digests: SHA-256 of each piece (``hashing.PIECE``) of what follows the first of
                ``parts``, if the caller has them:
                a storage that sends them need not hash again.

        Returns:
            Whether this call's content is now there; False only with ``if_absent``.

        Raises:
            DatastoreError: It could not be written.
        """

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; one that is not there is no error.

        Raises:
            DatastoreError: One could not be removed.
        """

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return self.modified(key) is not None

    @abstractmethod
    def modified(self, key: str) -> float | None:
        """When an object was written or freshened, in seconds since 1970; None if there is none."""

    @abstractmethod
    def freshen(self, key: str) -> bool:
        """Have an object count as newly written; whether there is such an object.

        What is old and not referred to may be removed: whoever is about to refer to an object that
        is there already says so with this. An object written in the last half day is new enough.
        """

    @abstractmethod
    def entries(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key begins with ``prefix`` (which ends with ``/``), sorted by key."""

    @abstractmethod
    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with ``prefix`` (which ends with ``/``), sorted."""

    @abstractmethod
    def children(self, prefix: str) -> list[str]:
        """Names one level below ``prefix`` (which ends with ``/``), folders and objects, sorted."""


def open_storage(root: str, client: Any = None) -> Storage:
    """The storage at ``root``.

    Args:
        root: ``s3://bucket/prefix``, ``file:///folder`` or a folder's path.
        client: An S3 client of boto3 or botocore to use; by default one is made from the environment
            when needed.

    Raises:
        UsageError: The URI's scheme is not known.
    """
    scheme, separator, _ = root.partition("://")
    if not separator or scheme == "file":
        from flowsdk.datastore.folder import FolderStorage

        return FolderStorage(root)
    if scheme == "s3":
        from flowsdk.datastore.s3 import S3Storage

        return S3Storage(root, client)
    raise UsageError(
        f"Datastore root {root!r}: found scheme {scheme!r}, expected s3://bucket/prefix or a folder."
    )
