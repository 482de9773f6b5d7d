"""One object on its way to S3 in parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        sent: Told of how many bytes have been sent.
        piece_digests: SHA-256 of each piece (``hashing.PIECE``) of what follows the first of
            ``views``, or nothing.
    """

    def __init__(
        self,
        transfers: Transfers,
        params: Mapping[str, Any],
        views: Sequence[memoryview],
        uri: str,
        sent: Callable[[int], None] | None,
        piece_digests: Sequence[bytes],
    ) -> None:
        self._transfers = transfers
        self._params = params
        self._place = {name: params[name] for name in ("Bucket", "Key")}
        self._views = views
        self._uri = uri
        self._told = sent
        self._digests = piece_digests
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

    def _cut(self) -> Iterator[tuple[int, list[memoryview]]]:
        """Number and content of each part."""
        size = sum(view.nbytes for view in self._views)
        most = math.ceil(size / _MOST_PARTS / hashing.PIECE) * hashing.PIECE
        if most > hashing.PIECE:
            self._digests = ()
        lead = self._views[0].nbytes if self._digests else 0
        return enumerate(hashing.in_pieces(self._views, most, lead), 1)

    def _send_part(self, part: tuple[int, list[memoryview]]) -> int:
        number, views = part
        params = {**self._place, "PartNumber": number}
        # The first part has more in it than the first piece; S3 does not ask for parts of one size.
        digest = self._digests[number - 1] if self._digests and number > 1 else None
        call = Call.carrying("UploadPart", params, views, digest)
        answer = self._transfers.persist(call, self._uri)
        if not answer.ok:
            raise refused(self._uri, answer)
        self._sent[number] = {
            "PartNumber": number,
            "ETag": answer.headers["etag"],
            "ChecksumSHA256": call.params["ChecksumSHA256"],
        }
        size = sum(view.nbytes for view in views)
        if self._told:
            self._told(size)
        return size
