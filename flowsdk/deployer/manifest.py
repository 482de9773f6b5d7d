"""What has been put into a dags folder for a flow, written down in that folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flowsdk.datastore.storage import Storage
from flowsdk.exception import DeploymentError, KeyNotFound

#: Airflow looks for ``*.py`` and archives only.
FOLDER = ".flowsdk"
_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """The files of one deployed flow.

    Attributes:
        flow: Name of the flow.
        script: Path of the flow file below the dags folder.
        files: Path below the dags folder → SHA-256 of what was put there, in hex.
        user: Who did it.
        deployed_at: When, ISO 8601.
    """

    flow: str
    script: str
    files: Mapping[str, str]
    user: str
    deployed_at: str

    def write(self, storage: Storage) -> None:
        """Put it into the dags folder."""
        text = json.dumps({"version": _VERSION, **asdict(self)}, indent=2, sort_keys=True)
        storage.write(key_of(self.flow), [text.encode(), b"\n"])


def key_of(flow: str) -> str:
    """Where a flow's manifest is."""
    return f"{FOLDER}/{flow}.json"


def read_manifests(storage: Storage) -> dict[str, Manifest]:
    """The manifests of a dags folder by flow.

    Raises:
        DeploymentError: One of them cannot be understood.
    """
    found = {}
    for name in storage.children(f"{FOLDER}/"):
        if name.endswith(".json"):
            manifest = _read(storage, name.removesuffix(".json"))
            if manifest is not None:  # somebody may delete it meanwhile
                found[manifest.flow] = manifest
    return found


def _read(storage: Storage, flow: str) -> Manifest | None:
    try:
        values: dict[str, Any] = json.loads(storage.read(key_of(flow)))
        version = values.pop("version")
        if version == _VERSION:
            return Manifest(**values)
    except KeyNotFound:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DeploymentError(
            f"Manifest {storage.uri(key_of(flow))}: not one of flowsdk's ({error}). Delete it if "
            f"the flow's files are to be taken for somebody else's."
        ) from error
    raise DeploymentError(
        f"Manifest {storage.uri(key_of(flow))}: found version {version}, expected {_VERSION}. "
        f"Use the version of flowsdk that has deployed the flow."
    )
