"""A dags folder – a directory, or a prefix in S3 – and the flow files in it."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from flowsdk import package
from flowsdk.datastore.storage import Storage, open_storage
from flowsdk.deployer.manifest import Manifest, key_of, read_manifests
from flowsdk.deployment import Deployment, name_beside
from flowsdk.exception import DeploymentError, KeyNotFound, UsageError
from flowsdk.identity import user_name
from flowsdk.runtime.task import utc_now

VARIABLE = "FLOWSDK_DAGS_FOLDER"
_AIRFLOW_VARIABLES = ("AIRFLOW__CORE__DAGS_FOLDER",)
_AIRFLOW_HOME = "AIRFLOW_HOME"


@dataclass(frozen=True)
class FlowFiles:
    """What a flow needs in a dags folder.

    Attributes:
        flow: Name of the flow's class.
        script: Path of the flow file below the dags folder.
        contents: Path below the dags folder → content; of the flow file and its local modules.
        name: Of the flow where it is deployed: of its DAG.
    """

    flow: str
    script: str
    contents: Mapping[str, bytes] = field(repr=False)
    name: str

    @classmethod
    def of(
        cls,
        flow: str,
        flow_file: Path,
        root: Path,
        file_name: str | None = None,
        name: str | None = None,
    ) -> FlowFiles:
        """Read the files.

        Args:
            flow: Name of the flow's class.
            flow_file: Its file.
            root: What is to become the dags folder: the file's folder, or one above it.
            file_name: Of that file in the dags folder; by default as it is called.
            name: Of the flow where it is deployed; by default its class's.

        Raises:
            PackageError: A file cannot be read or parsed.
        """
        found = package.local_files(flow_file, root)
        place = flow_file.relative_to(root)
        script = place.with_name(file_name or place.name).as_posix()
        found[script] = found.pop(place.as_posix())
        contents = {path: found[path].read_bytes() for path in sorted(found)}
        return cls(flow, script, contents, name or flow)


@dataclass(frozen=True)
class Changes:
    """What a deployment changes in a dags folder, or what a deletion has changed.

    Attributes:
        written: Paths written.
        unchanged: Paths that were there as they should be.
        deleted: Paths deleted.
        kept: Path → why it was not deleted.
    """

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.written or self.deleted)


class DagsFolder:
    """Puts flows into a dags folder and takes them out again.

    How it works:
        A manifest for each flow says which files were put there and what was in them. Only what a
        manifest has, and nobody has changed since, is ever replaced or deleted. A file is written
        whole or not at all, and the flow file last: Airflow never sees it without its modules.
    Known limitation:
        Two deployments of flows that share modules, at the same moment, do not see each other.

    Args:
        root: A directory, or ``s3://bucket/prefix``.

    Raises:
        UsageError: There is no such directory.
    """

    def __init__(self, root: str) -> None:
        if "://" not in root and not Path(root).expanduser().is_dir():
            raise UsageError(
                f"Dags folder {root}: not found, expected the folder that Airflow reads DAG files "
                f"from. Create it, or name another with --dags-folder."
            )
        self._storage: Storage = open_storage(root)
        self.root = self._storage.root

    def put(self, files: FlowFiles, *, overwrite: bool = False, dry_run: bool = False) -> Changes:
        """Deploy a flow's files.

        Args:
            files: Of the flow.
            overwrite: Also replace files that were not put there for this flow, or were changed
                since.
            dry_run: Only say what would change.

        Raises:
            DeploymentError: Another file there has a flow of this name, or a file that is not this
                flow's would be replaced; all such files.
        """
        manifests = read_manifests(self._storage)
        own = manifests.pop(files.flow, None)
        problems = [*self._same_flow_elsewhere(files, own)]
        current = {path: self._content(path) for path in files.contents}
        written = [path for path, content in files.contents.items() if current[path] != content]
        if not overwrite:
            for path in written:
                if current[path] is not None:
                    problems += self._why_not_ours(path, current[path] or b"", own, manifests)
        if problems:
            raise DeploymentError("\n".join(problems))
        stale = [path for path in (own.files if own else ()) if path not in files.contents]
        kept = {path: why for path in stale if (why := self._why_kept(path, own, manifests))}
        changes = Changes(
            written=tuple(written),
            unchanged=tuple(path for path in files.contents if path not in written),
            deleted=tuple(path for path in stale if path not in kept),
            kept=kept,
        )
        if changes and not dry_run:
            self._carry_out(files, changes, own, manifests)
        return changes

    def remove(self, flow: str) -> Changes:
        """Take a flow's files out again, the flow file first.

        Raises:
            DeploymentError: It was not put there.
        """
        manifests = read_manifests(self._storage)
        own = manifests.pop(flow, None)
        if own is None:
            raise DeploymentError(
                f"Flow {flow}: found no files of it in {self.root}, expected those that 'airflow "
                f"create' has put there. Name the right folder with --dags-folder, or delete the "
                f"flow's file yourself if it was put there by other means."
            )
        kept = {path: why for path in own.files if (why := self._why_kept(path, own, manifests))}
        deleted = sorted(set(own.files) - set(kept), key=lambda path: path != own.script)
        self._storage.delete(deleted)
        self._storage.delete([key_of(flow)])
        return Changes(deleted=tuple(deleted), kept=kept)

    def holds(self, path: Path) -> bool:
        """Whether a file lies in it already."""
        return "://" not in self.root and path.is_relative_to(Path(self.root).resolve())

    def has(self, flow: str) -> bool:
        """Whether a flow was put there."""
        return flow in read_manifests(self._storage)

    def deployment(self, flow: str) -> Deployment | None:
        """As which a flow was put there; None if it was not."""
        own = read_manifests(self._storage).get(flow)
        if own is None:
            return None
        script = PurePosixPath(own.script)
        path = script.with_name(name_beside(script, flow)).as_posix()
        content = self._content(path)
        return Deployment() if content is None else Deployment.from_json(content, path)

    def _carry_out(
        self,
        files: FlowFiles,
        changes: Changes,
        own: Manifest | None,
        others: Mapping[str, Manifest],
    ) -> None:
        shared = {path for manifest in others.values() for path in manifest.files}
        before = own.files if own else {}
        ours = {
            path: _digest(content)
            for path, content in files.contents.items()
            if path in changes.written or path in before or path in shared
        }
        # First with all that there was and will be: whoever comes after a crash knows what is ours.
        self._manifest(files, {**before, **ours}).write(self._storage)
        for path in sorted(changes.written, key=lambda path: path == files.script):
            self._storage.write(path, [files.contents[path]])
        self._storage.delete(changes.deleted)
        self._manifest(files, ours).write(self._storage)

    def _manifest(self, files: FlowFiles, contents: Mapping[str, str]) -> Manifest:
        return Manifest(files.flow, files.script, dict(contents), user_name(), utc_now())

    def _content(self, path: str) -> bytes | None:
        try:
            return self._storage.read(path)
        except KeyNotFound:
            return None

    def _why_not_ours(
        self, path: str, content: bytes, own: Manifest | None, others: Mapping[str, Manifest]
    ) -> Iterator[str]:
        where = f"File {self._storage.uri(path)}"
        users = [name for name, manifest in others.items() if path in manifest.files]
        if users:
            yield (
                f"{where}: found another content, and flow {', '.join(users)} needs the file too. "
                f"Rename one of the modules, or pass --overwrite if it is to change for all."
            )
        elif own is None or path not in own.files:
            yield (
                f"{where}: found a file that was not put there by flowsdk. Rename yours, remove "
                f"that one, or pass --overwrite to replace it."
            )
        elif _digest(content) != own.files[path]:
            yield (
                f"{where}: found it changed since it was put there for flow {own.flow}. Save what "
                f"was changed, then pass --overwrite to replace it."
            )

    def _why_kept(
        self, path: str, own: Manifest | None, others: Mapping[str, Manifest]
    ) -> str | None:
        """Why a file that was put there is not to be deleted; None if it is."""
        users = [name for name, manifest in others.items() if path in manifest.files]
        if users:
            return f"flow {', '.join(users)} needs it too"
        content = self._content(path)
        changed = content is not None and own and own.files[path] != _digest(content)
        return "it has been changed since it was put there" if changed else None

    def _same_flow_elsewhere(self, files: FlowFiles, own: Manifest | None) -> Iterator[str]:
        """Other files that have a flow of this name: Airflow would show the one parsed last."""
        if own is not None and own.script != files.script:
            yield (
                f"Flow {files.flow}: found it deployed from {own.script} in {self.root}, expected "
                f"{files.script}. Run 'airflow delete' first, or rename one of the flows."
            )
        for key in self._storage.keys(""):
            path = key.removeprefix("./")
            if not path.endswith(".py") or path in files.contents or (own and path == own.script):
                continue
            content = self._content(path)
            if content is not None and _defines(content, files.flow):
                yield (
                    f"Flow {files.flow}: found a flow of this name in {self._storage.uri(path)}, "
                    f"too. Airflow would show the one that it has parsed last. Rename one of them."
                )


def find_dags_folder(given: str | None) -> str:
    """The dags folder: ``given``, FLOWSDK_DAGS_FOLDER, or what Airflow's own variables say.

    Raises:
        UsageError: Nothing says it.
    """
    for root in (given, *(os.environ.get(name) for name in (VARIABLE, *_AIRFLOW_VARIABLES))):
        if root:
            return root
    if home := os.environ.get(_AIRFLOW_HOME):
        return str(Path(home) / "dags")
    raise UsageError(
        f"Dags folder: nothing says where it is. Pass --dags-folder DIRECTORY or "
        f"--dags-folder s3://bucket/prefix, or set {VARIABLE}."
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _defines(content: bytes, flow: str) -> bool:
    """Whether a file defines a flow of that name, as far as its text tells."""
    if b"FlowSpec" not in content or flow.encode() not in content:
        return False
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.ClassDef) and node.name == flow for node in ast.walk(tree))
