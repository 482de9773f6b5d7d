"""Knowing that a spot instance is about to be taken away, while the task on it still runs.

EC2 says so about two minutes before. A step that wants to save something by then looks for the file
that ``current.spot_termination_notice`` names.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
#: recommends to ask every five seconds.
_EVERY_SECONDS = 5.0
_TIMEOUT_SECONDS = 1.0
_TOKEN_SECONDS = 6 * 3600


class SpotWatch:
    """Asks the instance that this job runs on whether it will be terminated.

    How it works:
        Without a thread, because its process forks: call :meth:`poll` in a loop. An instance that
        is no spot instance, or does not answer, is asked once.

    Args:
        notice: File that is written when the instance will be terminated; its content is what EC2
            says of it.
    """

    def __init__(self, notice: Path) -> None:
        self._notice = notice
        default = "http://169.254.169.254"
        self._endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", default).rstrip("/")
        self._token: str | None = None
        self._next = time.monotonic()
        # Set by the ECS agent, and not on Fargate, whose tasks cannot see an instance.
        self._on = (
            os.environ.get("AWS_EXECUTION_ENV") == "AWS_ECS_EC2"
            and os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true"
        )

    def poll(self) -> None:
        """Ask if it is time to; on a notice write the file and say so in the log."""
        if not self._on or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        try:
            if self._token is None:
                headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
                self._token = self._ask("PUT", "/latest/api/token", headers)
                self._on = self._read("/latest/meta-data/instance-life-cycle") == "spot"
            if self._on and (notice := self._read("/latest/meta-data/spot/instance-action")):
                self._tell(notice)
        except OSError:
            self._on = False

    def _tell(self, notice: str) -> None:
        self._on = False
        self._notice.write_text(notice, "utf-8")
        sys.stderr.write(f"This spot instance is about to be taken away: {notice}\n")
        sys.stderr.flush()

    def _read(self, path: str) -> str | None:
        try:
            return self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token or ""})
        except urllib.error.HTTPError as error:
            if error.code == 404:  # nothing of the kind
                return None
            raise

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(self._endpoint + path, headers=headers, method=method)  # noqa: S310  # the instance's own address
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            text: str = response.read().decode()
            return text
