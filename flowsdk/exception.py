"""Every error that flowsdk raises on purpose.

    FlowException
      ├─ FlowLintError                    the flow's graph is ill-formed (all problems together)
      ├─ ParameterError                   a parameter is missing, malformed or misnamed
      │    ├─ ParameterFieldTypeMismatch  a default that is a function returned another type
      │    └─ ConfigError                 a Config is missing or malformed; also a UsageError
      ├─ DecoratorError                   a decorator is misused
      ├─ SecretsError                     a secret cannot be read, or would get out
      ├─ InvalidNextException             self.next() called wrongly while a step runs
      │    └─ UnknownCaseException        the value of a switch fits none of its cases
      ├─ ArtifactError
      │    ├─ ArtifactNotFound            no such artifact here
      │    ├─ ReservedAttributeError      the assignment would be lost
      │    ├─ UnpicklableArtifact         the artifact cannot be serialized
      │    ├─ UnhandledInMergeArtifactsException
      │    └─ MissingInMergeArtifactsException
      ├─ DatastoreError                   [system]
      │    ├─ KeyNotFound
      │    ├─ UnreadableDocument          a document is malformed or of another version
      │    └─ CorruptBlob
      ├─ S3Exception                      the client ``S3`` was used wrongly, or could not do it
      │    ├─ S3NotFound                  there is no such object
      │    ├─ S3AccessDenied
      │    ├─ S3URLException              a key or a URL that does not fit how the client was made
      │    ├─ S3InvalidObject             what is to be stored is neither text nor bytes
      │    ├─ S3InvalidRange              the object ends before the range begins
      │    └─ S3InsufficientDiskSpace     the temporary folder has no room for an object
      ├─ BatchError                       [system] AWS Batch refused or lost a job
      ├─ TaskFailed                       a task that ran elsewhere failed; carries its remote error
      ├─ CaughtException                  what @catch has caught: a value, never raised
      ├─ MulticoreException               a child of parallel_map failed
      ├─ TimeoutException                 @timeout elapsed
      ├─ Interrupted                      [interrupted] the host was taken away
      ├─ PackageError                     the code package cannot be built or verified
      ├─ UsageError                       a command line or a call that cannot be carried out
      ├─ CommandFailed                    a command that Runner or Deployer started did not do it
      ├─ DeploymentError                  a flow cannot be put into a dags folder, or not parsed
      └─ ClientError
           ├─ InvalidPathspec
           ├─ NotFound
           │    └─ CardNotFound           a task has no such card, or there is no such card type
           ├─ NamespaceMismatch           it exists, and not in the namespace in force
           └─ TagError                    a tag is malformed, or one too many

``kind`` says who has to act and is what retries are decided on: ``user`` (the flow's code),
``system`` (the platform or its configuration) or ``interrupted`` (nobody: run it again).
Exceptions travel between processes, so every one passes all its arguments to ``super().__init__``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

Kind = Literal["user", "system", "interrupted"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence with the near misses of ``name`` among ``known``, or the empty string.

    Case does not count: what differs in nothing else is nearest.
    """
    from difflib import get_close_matches  # most commands get by without

    spellings: dict[str, list[str]] = {}
    for one in known:
        spellings.setdefault(one.lower(), []).append(one)
    nearest = get_close_matches(name.lower(), spellings, n=3, cutoff=0.6)
    close = [one for lowered in nearest for one in spellings[lowered]][:3]
    return f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


class FlowException(Exception):
    """Base of all of them.

    Args:
        message: What is wrong, where, what was found and expected, and how to fix it.
    """

    kind: ClassVar[Kind] = "user"
    headline: ClassVar[str] = "Flow failed"

    def __init__(self, message: str = "", *more: Any) -> None:
        super().__init__(message, *more)
        self.message = message

    def __str__(self) -> str:
        return self.message


class FlowLintError(FlowException):
    """The graph of a flow is ill-formed.

    Args:
        problems: Every problem found (``flowsdk.lint.Problem``), in the order of the source.
    """

    headline = "The flow has problems"

    def __init__(self, problems: Sequence[Any]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' * (count != 1)} in the flow:\n{lines}")

    def __reduce__(self) -> Any:
        return type(self), (self.problems,)


class ParameterError(FlowException):
    """A parameter is missing, malformed, out of range or misnamed."""

    headline = "Parameter error"


class ParameterFieldTypeMismatch(ParameterError):
    """The function that is a parameter's default returned a value of another type."""


class DecoratorError(FlowException):
    """A decorator is unknown, misused or has bad attributes."""

    headline = "Decorator error"


class SecretsError(FlowException):
    """A secret cannot be read or injected, or a step is about to store it."""

    headline = "Secrets error"


class InvalidNextException(FlowException):
    """``self.next()`` was called in a way that the graph does not allow."""

    headline = "Invalid self.next() transition"


class UnknownCaseException(InvalidNextException, RuntimeError):
    """The value that a switch looks at is none of its cases; a RuntimeError, as in Metaflow."""


class ArtifactError(FlowException):
    """Base of what can go wrong with artifacts."""

    headline = "Artifact error"


class ArtifactNotFound(ArtifactError):
    """A task or an input has no artifact of that name."""


class ReservedAttributeError(ArtifactError, AttributeError):
    """The attribute cannot become an artifact: its value would be lost."""


class UnpicklableArtifact(ArtifactError):
    """An artifact cannot be serialized."""

    headline = "Cannot pickle artifact"


class UnhandledInMergeArtifactsException(ArtifactError):
    """``merge_artifacts`` met artifacts with different values in its inputs.

    Args:
        message: The explanation.
        artifact_names: The conflicting artifacts.
    """

    headline = "Unhandled artifacts in merge"

    def __init__(self, message: str, artifact_names: Sequence[str] = ()) -> None:
        super().__init__(message, list(artifact_names))
        self.artifact_names = list(artifact_names)


class MissingInMergeArtifactsException(ArtifactError):
    """``merge_artifacts(include=…)`` names artifacts that no input has.

    Args:
        message: The explanation.
        artifact_names: The missing artifacts.
    """

    headline = "Missing artifacts in merge"

    def __init__(self, message: str, artifact_names: Sequence[str] = ()) -> None:
        super().__init__(message, list(artifact_names))
        self.artifact_names = list(artifact_names)


class DatastoreError(FlowException):
    """The datastore could not be read or written."""

    kind = "system"
    headline = "Datastore error"


class KeyNotFound(DatastoreError):
    """There is no object under that key."""


class UnreadableDocument(DatastoreError):
    """What a datastore or an Airflow keeps is no document, or one of another schema version."""


class CorruptBlob(DatastoreError):
    """An object's content does not match its digest or its format."""


class S3Exception(FlowException):
    """The client ``S3`` was used wrongly, or S3 did not do what it was asked."""

    headline = "S3 error"


class S3NotFound(S3Exception):
    """There is no such object."""


class S3AccessDenied(S3Exception):
    """S3 does not let these credentials do it."""


class S3URLException(S3Exception):
    """A key or a URL does not fit how the client was made."""


class S3InvalidObject(S3Exception):
    """What is to be stored is neither text nor bytes nor a binary file."""


class S3InvalidRange(S3Exception):
    """The object ends before the range begins."""


class S3InsufficientDiskSpace(S3Exception):
    """The temporary folder has no room for an object."""


class BatchError(FlowException):
    """AWS Batch refused a request or a job cannot run as asked."""

    kind = "system"
    headline = "AWS Batch error"


class TaskFailed(FlowException):
    """A task that ran in another process failed.

    Args:
        message: One line: which task, and the remote exception.
        kind: Who has to act: ``user``, ``system`` or ``interrupted``.
        type: Qualified name of the remote exception's class, e.g. ``builtins.ValueError``.
        traceback: The remote traceback, user frames only; empty if there was none.
    """

    headline = "Task failed"

    def __init__(
        self, message: str, kind: Kind = "user", type: str = "", traceback: str = ""
    ) -> None:
        super().__init__(message, kind, type, traceback)
        self.kind = kind  # type: ignore[misc]  # of this instance, not of the class
        self.type = type
        self.traceback = traceback


class CaughtException(FlowException):
    """What ``@catch(var=…)`` leaves in its artifact: the exception of the step, as text.

    The exception itself may be of a class that only the step's environment has.

    Args:
        type: Qualified name of its class, e.g. ``builtins.ValueError``.
        exception: Its message.
        stacktrace: The formatted traceback, the user's own frames only; empty if the step's
            process died without an exception.
    """

    headline = "Caught exception"

    def __init__(self, type: str = "", exception: str = "", stacktrace: str = "") -> None:
        super().__init__(type, exception, stacktrace)
        self.type = type
        self.exception = exception
        self.stacktrace = stacktrace

    def __str__(self) -> str:
        return self.stacktrace.rstrip() or f"{self.type}: {self.exception}"

    def __repr__(self) -> str:
        return f"{self.type}({self.exception!r})"


#: Metaflow's name of it.
MetaflowExceptionWrapper = CaughtException


class MulticoreException(FlowException):
    """A child process of ``parallel_map`` or ``parallel_imap_unordered`` failed.

    Args:
        message: Which element, and what the child raised.
        type: Qualified name of the child's exception; empty if the child died without one.
        traceback: The child's traceback, the user's own frames only; empty likewise.
    """

    headline = "A parallel call failed"

    def __init__(self, message: str = "", type: str = "", traceback: str = "") -> None:
        super().__init__(message, type, traceback)
        self.type = type
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.message}\n{self.traceback}".rstrip()


class TimeoutException(FlowException):
    """A step ran longer than its ``@timeout`` allows."""

    headline = "@timeout"


class Interrupted(FlowException):
    """The task's host was stopped under it; running it again is expected to work."""

    kind = "interrupted"
    headline = "Interrupted"


class PackageError(FlowException):
    """The code package cannot be built, or is not what its digest says."""

    kind = "system"
    headline = "Code package error"


class UsageError(FlowException):
    """A command line or a call that cannot be carried out as given."""

    headline = "Usage error"


class ConfigError(ParameterError, UsageError):
    """A Config is missing, malformed or misnamed, or an expression of Configs fails."""

    headline = "Config error"


class CommandFailed(FlowException):
    """A command that ``Runner`` or ``Deployer`` started ended before it had done its work.

    Args:
        message: What it was, and the last lines of what it printed.
        returncode: Its exit code; None if it was given up while it ran.
    """

    headline = "Command failed"

    def __init__(self, message: str, returncode: int | None = None) -> None:
        super().__init__(message, returncode)
        self.returncode = returncode


class DeploymentError(FlowException):
    """A flow cannot be put into a dags folder or taken out of it, or Airflow cannot parse it."""

    headline = "Deployment error"


class ClientError(FlowException):
    """Base of what the client raises."""

    headline = "Client error"


class InvalidPathspec(ClientError):
    """A pathspec has the wrong number of components or an empty one."""


class NotFound(ClientError):
    """The flow, run, step, task or artifact does not exist."""


class CardNotFound(NotFound):
    """A task has no such card, or no class makes cards of that type."""


class NamespaceMismatch(ClientError):
    """The flow or run exists, and does not belong to the namespace in force."""


class TagError(ClientError):
    """A tag is malformed or set by flowsdk, or a run would have too many."""

    headline = "Tagging error"


#: Metaflow's names of these.
MetaflowException = FlowException
InvalidDecoratorAttribute = DecoratorError
DuplicateFlowDecoratorException = DecoratorError
MetaflowNotFound = NotFound
MetaflowInvalidPathspec = InvalidPathspec
MetaflowNamespaceMismatch = NamespaceMismatch
MetaflowTaggingError = TagError
MetaflowDataMissing = ArtifactNotFound
ParameterFieldFailed = ParameterError
CommandException = UsageError
ExternalCommandFailed = CommandFailed
