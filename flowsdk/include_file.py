"""``IncludeFile``: a parameter whose value is what a file holds when the run starts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsdk.exception import DatastoreError, ParameterError
from flowsdk.parameters.declaration import Parameter, collect_parameters
from flowsdk.places import find_file, named_function, not_found, script_of
from flowsdk.registry import is_deployed

if TYPE_CHECKING:
    from flowsdk.datastore import FlowDatastore
    from flowsdk.spec import ArtifactRef

_S3 = "s3://"


class IncludeFile(Parameter):
    """A file that a run is given; in steps ``self.<attribute>`` is its content.

    How it works:
        The file is read once, when the run starts, and its content stored; steps read it from there
        when they first ask for it, wherever they run. Content that is there already is not stored
        again.

    Args:
        name: On the command line (``--name PATH``) and in Airflow's trigger form.
        default: Path of the file, or ``s3://bucket/key``; a function is called with a
            ParameterContext and returns it. A relative path is looked for in the current folder,
            then beside the flow's file; where the flow is deployed, only beside the flow's file.
        is_text: Whether the content is a text, or bytes.
        encoding: Of a text.
        required: Whether a run must be given a file.
        help: Shown with ``run --help`` and in the form.
        parser: A function of the content, or its name, ``"package.function"``: what it returns is
            what steps see. The content itself is what is stored.
        show_default: Whether the help shows the default. True by default.
    """

    def __init__(
        self,
        name: str,
        default: Any = None,
        is_text: bool = True,
        encoding: str = "utf-8",
        required: bool | None = None,
        help: str | None = None,
        parser: str | Callable[[Any], Any] | None = None,
        show_default: bool | None = None,
    ) -> None:
        self.is_text = is_text
        self.encoding = encoding
        self.parser = parser
        super().__init__(
            name, default, type=str, help=help, required=required, show_default=show_default
        )
        frame = sys._getframe(1)
        self.location = f"{frame.f_code.co_filename}:{frame.f_lineno}"

    def __get__(self, flow: Any, owner: type | None = None) -> Any:
        if flow is None:
            return self
        content = flow._flow_parameter(self.attribute)
        if self.parser is None or content is None:
            return content
        # A name that is never an artifact: parsing is done once in each task.
        memory = f"__parsed_{self.attribute}"
        if memory not in flow.__dict__:
            flow.__dict__[memory] = named_function(self.parser)(content)
        return flow.__dict__[memory]

    def verify(self, flow: type, value: Any) -> None:
        """Raise ParameterError unless ``value`` is a file that can be read."""
        path = str(value)
        if path.startswith(_S3):
            bucket, _, key = path.removeprefix(_S3).partition("/")
            if not bucket or not key:
                raise self._error(f"found {path!r}, expected s3://bucket/key.")
            return
        if "://" in path:
            raise self._error(f"found {path!r}, expected a path or s3://bucket/key.")
        if is_deployed(flow) and path != self.default and not _is_beside(flow, path):
            raise self._error(
                f"found {path!r}, expected a path in the folder of the flow's file, "
                f"{script_of(flow).parent}, or s3://bucket/key."
            )
        if find_file(flow, path) is None:
            raise self._error(f"{path!r}: {not_found(flow, path)}")

    def read(self, flow: type, path: str, client: Any = None) -> str | bytes:
        """The content of the file that ``path`` means.

        Args:
            flow: The flow class.
            path: As given.
            client: A boto3 S3 client to use; by default one is made when needed.

        Raises:
            ParameterError: It cannot be read, or is no text in the encoding.
        """
        data = self._bytes(flow, path, client)
        if not self.is_text:
            return data
        try:
            return data.decode(self.encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise self._error(
                f"{path!r} is no text in {self.encoding} ({error}). Pass its encoding, or "
                f"is_text=False."
            ) from error

    def _bytes(self, flow: type, path: str, client: Any) -> bytes:
        if path.startswith(_S3):
            from flowsdk.datastore import open_storage

            bucket, _, key = path.removeprefix(_S3).partition("/")
            try:
                return open_storage(_S3 + bucket, client).read(key)
            except DatastoreError as error:
                raise self._error(f"{path!r} cannot be read: {error}") from error
        self.verify(flow, path)
        try:
            return (find_file(flow, path) or Path(path)).read_bytes()
        except OSError as error:
            raise self._error(f"{path!r} cannot be read ({error}).") from error

    def _error(self, message: str) -> ParameterError:
        return ParameterError(f"Parameter {self.name!r} ({self.location}): {message}")


def include_files(flow: type, values: Mapping[str, Any], store: FlowDatastore) -> dict[str, Any]:
    """The parameters of a run with every file's content stored and described in place of its path.

    Args:
        flow: The flow class.
        values: From ``resolve_parameters``. What is described already, by the run that is resumed,
            is left alone.
        store: The flow's datastore.

    Raises:
        ParameterError: Files that cannot be read; all of them.
    """
    found = dict(values)
    problems = []
    for name, parameter in collect_parameters(flow).items():
        path = values.get(name)
        if not isinstance(parameter, IncludeFile) or not isinstance(path, str):
            continue
        try:
            content = parameter.read(flow, path, getattr(store.storage, "client", None))
        except ParameterError as error:
            problems.append(str(error))
        else:
            found[name] = {"path": path, "included": asdict(_store(store, content))}
    if problems:
        raise ParameterError("\n".join(problems))
    return found


def included(value: Any, origin: str) -> ArtifactRef:
    """The artifact that a file has become.

    Args:
        value: What :func:`include_files` put in place of a path.
        origin: ``step/task/attempt`` of the run's first task.
    """
    from flowsdk.spec import ArtifactRef

    return ArtifactRef(**{**value["included"], "origin": origin})


def _store(store: FlowDatastore, content: str | bytes) -> ArtifactRef:
    from flowsdk.artifacts.preview import preview
    from flowsdk.artifacts.reducers import qualified_name
    from flowsdk.artifacts.serializer import SERIALIZER, serialize
    from flowsdk.spec import ArtifactRef

    payload = serialize(content)
    return ArtifactRef(
        digest=payload.store(store.blobs),
        size=payload.size,
        type=qualified_name(type(content)),
        serializer=SERIALIZER,
        origin="",
        kind="parameter",
        preview=preview(content),
    )


def _is_beside(flow: type, path: str) -> bool:
    folder = script_of(flow).parent
    return (folder / path).resolve().is_relative_to(folder)
