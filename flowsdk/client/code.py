"""``MetaflowCode``: the code that a run ran."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from flowsdk.datastore import FlowDatastore
from flowsdk.exception import ClientError
from flowsdk.spec import RunSpec


class MetaflowCode:
    """The code package of a run, fetched when its content is first asked for.

    Args:
        key: Of the package in the datastore.
        script: The flow file's path within the package.
        store: The flow's datastore.
    """

    def __init__(self, key: str, script: str, store: FlowDatastore) -> None:
        self._key = key
        self._store = store
        self.script_name = script

    @classmethod
    def of(cls, run: RunSpec, store: FlowDatastore) -> MetaflowCode | None:
        """The package of a run; None if its tasks ran in the code of the process that started it."""
        return cls(run.code, run.script, store) if run.code else None

    @property
    def path(self) -> str:
        """Where the package lies: a gzipped tar archive."""
        return self._store.storage.uri(self._key)

    @property
    def info(self) -> dict[str, Any]:
        """What is known of the package without opening it."""
        return {"script": self.script_name, "sha256": self._digest, "location": self.path}

    @property
    def flowspec(self) -> str:
        """The source of the flow file."""
        file = self.tarball.extractfile(self.script_name)
        if file is None:
            raise ClientError(
                f"Code package {self.path}: found no file {self.script_name!r} in it, expected the "
                f"flow file. The package is not one of flowsdk's."
            )
        return file.read().decode()

    @property
    def tarball(self) -> tarfile.TarFile:
        """The package, opened for reading."""
        return tarfile.open(fileobj=io.BytesIO(self._content))

    def extract(self) -> tempfile.TemporaryDirectory[str]:
        """The files of the package in a new folder, which is removed with the returned object.

        ``with run.code.extract() as folder: …`` removes it at the end of the block.
        """
        folder = tempfile.TemporaryDirectory(prefix="flowsdk-code-")
        with self.tarball as archive:
            # Python 3.10 has the filter only in its later bug-fix releases.
            how: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder.name, **how)  # noqa: S202  # made by flowsdk: its digest fits
        return folder

    @property
    def _digest(self) -> str:
        return PurePosixPath(self._key).name

    @cached_property
    def _content(self) -> bytes:
        content = self._store.storage.read(self._key)
        found = hashlib.sha256(content).hexdigest()
        if found != self._digest:
            raise ClientError(
                f"Code package {self.path}: found content with digest {found}, expected that of its "
                f"name. The object has been changed or damaged."
            )
        return content

    def __repr__(self) -> str:
        return f"<code package {self.path}, {self.script_name}>"
