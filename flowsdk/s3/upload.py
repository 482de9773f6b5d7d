"""One object on its way to S3 in parts."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowsdk.datastore import hashing
from flowsdk.s3.errors import refused
from flowsdk.s3.wire import Call

if TYPE_CHECKING:
    from flowsdk.s3.transfers import Transfers


#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MOST_PARTS = 10_000


class Upload:
    """A multipart upload: begun, its parts sent in parallel, and completed or called off.

    Args:
        transfers: Sends the parts.
        params: ``Bucket``, ``Key`` and what describes the object.
        views: The content.
        uri: The object, for errors.
        digests: SHA-256 of the content's pieces, of the first one without its lead; may be empty.
        lead: The first part is longer than the others by so many bytes.
    """

    def __init__(
        self,
        transfers: Transfers,
        params: Mapping[str, Any],
        views: Sequence[memoryview],
        uri: str,
        digests: Sequence[bytes],
        lead: int,
    ) -> None:
        self._transfers = transfers
        self._params = params
        self._place = {name: params[name] for name in ("Bucket", "Key")}
        self._views = views
        self._uri = uri
        self._digests = digests
        self._lead = lead
        self._sent: dict[int, dict[str, Any]] = {}

    def send(self, *, if_absent: bool) -> bool | None:
        """Send it; whether it is there now, or None if S3 has lost it and it is to be sent again."""
        from botocore.exceptions import ClientError

        client = self._transfers.client
        begun = client.create_multipart_upload(**self._params, ChecksumAlgorithm="SHA256")
        self._place["UploadId"] = begun["UploadId"]
        try:
            self._transfers.lanes.run(self._send_part, self._cut())
            parts = [self._sent[number] for number in sorted(self._sent)]
            condition = {"IfNoneMatch": "*"} if if_absent else {}
            client.complete_multipart_upload(
                **self._place, **condition, MultipartUpload={"Parts": parts}
            )
        except BaseException as error:
            with suppress(Exception):  # what happened first is what matters
                client.abort_multipart_upload(**self._place)
            if isinstance(error, ClientError):
                code = error.response.get("Error", {}).get("Code")
                if if_absent and code in ("PreconditionFailed", "412"):
                    return False
                # Also where an answer to the completion was lost, and it is asked for again.
                if code in ("NoSuchUpload", "ConditionalRequestConflict"):
                    return None
            raise
        return True

    def _cut(self) -> Iterator[tuple[int, list[memoryview], bytes | None]]:
        """Number, content and known SHA-256 of each part."""
        size = sum(view.nbytes for view in self._views)
        most = math.ceil(size / _MOST_PARTS / hashing.PIECE) * hashing.PIECE
        known = self._digests if most == hashing.PIECE else ()
        for index, piece in enumerate(hashing.in_pieces(self._views, most, self._lead)):
            digest = known[index] if index < len(known) and (index or not self._lead) else None
            yield index + 1, piece, digest

    def _send_part(self, part: tuple[int, list[memoryview], bytes | None]) -> int:
        number, views, digest = part
        if digest is None:
            digest = hashing.piece_digest(views)
        params = {**self._place, "PartNumber": number}
        call = Call.carrying("UploadPart", params, views, digest)
        answer = self._transfers.persist(call, self._uri)
        if not answer.ok:
            raise refused(self._uri, answer)
        self._sent[number] = {
            "PartNumber": number,
            "ETag": answer.headers["etag"],
            "ChecksumSHA256": base64.b64encode(digest).decode(),
        }
        return sum(view.nbytes for view in views)
