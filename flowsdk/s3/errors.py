"""botocore's errors as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowsdk.exception import DatastoreError, KeyNotFound

if TYPE_CHECKING:
    from flowsdk.s3.wire import Answer

#: What S3 calls it when there is no such object.
MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
#: What it says when a body is not what its checksum says.
_OTHER_BYTES = frozenset({"BadDigest", "XAmzContentSHA256Mismatch"})


class translated:  # noqa: N801  # reads as the verb it is: `with translated(uri):`
    """Turns botocore's errors into ours; error codes that are allowed set ``met`` instead.

    Args:
        uri: What the request is about.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._allowed: set[str] = set()
        self.met = False

    def allow(self, *codes: str) -> None:
        """Let errors of these codes pass."""
        self._allowed |= set(codes)

    def __enter__(self) -> translated:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None:
            return False
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in self._allowed:
                self.met = True
                return True
            if code in MISSING:
                raise KeyNotFound(f"No object {self._uri}.") from error
            if code in _OTHER_BYTES:
                raise DatastoreError(
                    f"{self._uri}: S3 received other bytes than were hashed ({code}). Something has "
                    f"changed the value while it was stored, such as a thread that the step has started: "
                    f"let it end before the step does, or assign a copy."
                ) from error
        if isinstance(error, (ClientError, BotoCoreError)):
            raise DatastoreError(f"S3 request on {self._uri} failed: {error}") from error
        return False


def refused(uri: str, answer: Answer) -> DatastoreError:
    """The error for an answer that cannot be used."""
    if answer.status == 404:
        return KeyNotFound(f"No object {uri}.")
    return DatastoreError(f"S3 request on {uri} failed: {answer.told}.")
