"""An HTTP proxy that makes chosen requests fail, or holds them, while it runs."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from airflow_flowprovider.local.requests import operation

#: A status; or no answer, by ending the connection at once or by keeping silent for a while.
Answer = int | Literal["reset", "silence"]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"}
#: Codes as AWS Batch and S3 spell them.
_CODES = {
    429: ("TooManyRequestsException", "TooManyRequests"),
    500: ("ServerException", "InternalError"),
    503: ("ServiceUnavailable", "SlowDown"),
}


@dataclass
class Rule:
    """Which requests are treated how.

    Attributes:
        operation: Regular expression that the whole name of the operation matches.
        text: Regular expression that is found in the request's target and body.
        answers: What is said instead of the answer; one of them, by chance.
        rate: Probability for each request.
        after: Whether the request is carried out all the same; if the server refuses, its answer
            is passed on.
        seen: Number of requests that were treated so.
    """

    operation: str
    text: str
    answers: tuple[Answer, ...]
    rate: float = 1.0
    after: bool = False
    seen: int = 0

    def applies(self, name: str, content: str) -> bool:
        """Whether it is about such a request."""
        return bool(re.fullmatch(self.operation, name) and re.search(self.text, content, re.DOTALL))


R = TypeVar("R", bound=Rule)


@dataclass
class Gate(Rule):
    """Holds the first such request; what comes after it passes.

    Attributes:
        reached: Set once the request has come and, with ``after``, been carried out.
        opened: Set to let it go on.
    """

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float = 400) -> None:
        """Wait until the request is here."""
        assert self.reached.wait(seconds), f"no {self.operation} with {self.text!r}"

    def drop(self) -> None:
        """End the request's connection; it is not carried out any more."""
        self.answers = ("reset",)
        self.opened.set()


class FaultProxy:
    """A proxy in front of one server.

    Args:
        upstream: URL of the server, asked for at each request.
        name_of: The name of a request's operation, from its WSGI environment.
        silence: How long a silent answer takes, in seconds.
    """

    def __init__(
        self,
        upstream: Callable[[], str],
        name_of: Callable[[dict[str, str]], str] = operation,
        silence: float = 10,
    ) -> None:
        self.upstream = upstream
        self.name_of = name_of
        self.silence = silence
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._random = random.Random(4)
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def fault(
        self,
        operation: str,
        *answers: Answer,
        text: str = "",
        rate: float = 1.0,
        after: bool = False,
    ) -> Iterator[Rule]:
        """Treat such requests so; see :class:`Rule`."""
        with self._with(Rule(operation, text, answers, rate, after)) as rule:
            yield rule

    @contextmanager
    def hold(self, operation: str, text: str = "", after: bool = False) -> Iterator[Gate]:
        """Hold the first such request, before or after it has been carried out."""
        with self._with(Gate(operation, text, (), after=after)) as gate:
            try:
                yield gate
            finally:
                gate.opened.set()

    def choose(self, name: str, content: str) -> Rule | None:
        """The rule that a request falls under this time."""
        with self._lock:
            for rule in self._rules:
                over = isinstance(rule, Gate) and rule.seen
                if not over and rule.applies(name, content) and self._random.random() < rule.rate:
                    rule.seen += 1
                    return rule
        return None

    def forget(self, rule: Rule) -> None:
        """Do not count a request under a rule after all."""
        with self._lock:
            rule.seen -= 1

    def pick(self, rule: Rule) -> Answer:
        """One of a rule's answers."""
        with self._lock:
            return self._random.choice(rule.answers)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def _with(self, rule: R) -> Iterator[R]:
        with self._lock:
            self._rules.append(rule)
        try:
            yield rule
        finally:
            with self._lock:
                self._rules.remove(rule)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that has gone, as those do that a test kills."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # an answer in one piece

    def __init__(self, proxy: FaultProxy, *args: object) -> None:
        self._proxy = proxy
        super().__init__(*args)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _serve(self) -> None:
        body = self._body()
        environ = {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": urlsplit(self.path).path,
            "QUERY_STRING": urlsplit(self.path).query,
            **{f"HTTP_{k.upper().replace('-', '_')}": v for k, v in self.headers.items()},
        }
        content = f"{self.path} {body.decode('utf-8', 'replace')}"
        rule = self._proxy.choose(self._proxy.name_of(environ), content)
        if rule is None:
            self._pass_on(body)
            return
        carried_out = self._ask(body) if rule.after else None
        if carried_out and carried_out[0] >= 400:
            self._proxy.forget(rule)
            self._reply(*carried_out)
            return
        if isinstance(rule, Gate):
            rule.reached.set()
            rule.opened.wait()
            if not rule.answers:
                self._reply(*carried_out) if carried_out else self._pass_on(body)
                return
        self._fail(self._proxy.pick(rule), environ)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _pass_on(self, body: bytes) -> None:
        answer = self._ask(body)
        if answer:
            self._reply(*answer)
        else:
            self._fail("reset", {})

    def _ask(self, body: bytes) -> tuple[int, Mapping[str, str], bytes] | None:
        """What the server says; None if it is not there."""
        netloc = urlsplit(self._proxy.upstream()).netloc
        # One for each request: on a kept one it may be unknown whether the server has seen it.
        with closing(HTTPConnection(netloc, timeout=120)) as upstream:
            try:
                upstream.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                upstream.putheader("Host", netloc)
                for key, value in self.headers.items():
                    if key.lower() not in _HOP_BY_HOP:
                        upstream.putheader(key, value)
                upstream.putheader("Content-Length", str(len(body)))
                upstream.endheaders(body)
                answer = upstream.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            except (HTTPException, OSError):
                return None

    def _reply(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response_only(status)
        length = str(len(content))
        for key, value in headers.items():
            if key.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif key.lower() not in _HOP_BY_HOP:
                self.send_header(key, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _fail(self, answer: Answer, environ: Mapping[str, str]) -> None:
        if isinstance(answer, int):
            self._reply(answer, *_error(answer, environ))
            return
        if answer == "silence":
            threading.Event().wait(self._proxy.silence)
        self.close_connection = True


def _error(status: int, environ: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """The answer of Batch, or of S3, with such a status."""
    json_code, xml_code = _CODES[status]
    if "/batch/" in environ.get("HTTP_AUTHORIZATION", ""):
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": json_code}
        return headers, json.dumps({"message": "Injected"}).encode()
    text = f"<Error><Code>{xml_code}</Code><Message>Injected</Message></Error>"
    return {"Content-Type": "application/xml"}, text.encode()
