"""Airflow's REST API with the standard library: sessions, pages and errors, no vocabulary."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from itertools import chain
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from flowsdk.exception import ClientError

TOKEN = "FLOWSDK_AIRFLOW_TOKEN"  # noqa: S105  # the name of a variable, as below
USERNAME = "FLOWSDK_AIRFLOW_USERNAME"
PASSWORD = "FLOWSDK_AIRFLOW_PASSWORD"  # noqa: S105

_TIMEOUT_SECONDS = 60
#: A restarting API server answers again within seconds.
_RETRY_AFTER_SECONDS = (0.2, 1.0, 3.0)
_TEMPORARY = {429, 502, 503, 504}
#: Of these, what says that the request has not been carried out.
_NOT_DONE = {429, 503}
#: ``POST …/list`` has no upper limit; larger pages do not become faster.
PAGE = 1000
#: ``[api] maximum_page_limit``, which GET routes do not exceed, unless an administrator changed it.
GET_PAGE = 100


class ApiError(ClientError):
    """Airflow refused a request or could not be reached.

    Args:
        message: What and why.
        status: HTTP status, or None if there was no answer.
    """

    headline = "Airflow API error"

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message, status)
        self.status = status


class AirflowApi:
    """Requests to one Airflow.

    How it works:
        Logs in when Airflow first asks for it, with FLOWSDK_AIRFLOW_TOKEN, or with
        FLOWSDK_AIRFLOW_USERNAME and FLOWSDK_AIRFLOW_PASSWORD; again when a token has expired.

    Args:
        url: Of the API server, without a slash at its end.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._token: str | None = None

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The answer to a GET.

        Args:
            path: From the server's root.
            query: Parameters; a list gives a parameter several values.

        Returns:
            The JSON value; None if there is no such resource, or no such route.

        Raises:
            ApiError: Airflow refused, or could not be reached.
        """
        suffix = f"?{urlencode(query, doseq=True)}" if query else ""
        return self._call("GET", path + suffix, repeat=True)

    def pages(self, path: str, items: str, body: Mapping[str, Any], page: int) -> Iterator[Any]:
        """The items of a ``POST …/list``, page by page; see :meth:`whole_pages`."""
        return chain.from_iterable(self.whole_pages(path, items, body, page))

    def whole_pages(
        self, path: str, items: str, body: Mapping[str, Any], page: int
    ) -> Iterator[list[Any]]:
        """The pages of a ``POST …/list``, each asked for when it is wanted.

        Args:
            path: From the server's root.
            items: Name of the list in the answer.
            body: The filter.
            page: Items of the first page; later ones are larger.

        Raises:
            ApiError: Airflow refused, could not be reached, or has no such route.
        """
        offset, last = 0, False
        while not last:
            found, last = self._page(path, items, body, page, offset)
            yield found
            offset += len(found)
            page = max(page, PAGE)

    def only_page(
        self, path: str, items: str, body: Mapping[str, Any], page: int
    ) -> list[Any] | None:
        """The items of a ``POST …/list`` if one page holds them all, else None. One request."""
        found, last = self._page(path, items, body, page, 0)
        return found if last else None

    def _page(
        self, path: str, items: str, body: Mapping[str, Any], page: int, offset: int
    ) -> tuple[list[Any], bool]:
        """A page, and whether it is the last."""
        asked = {**body, "page_limit": page, "page_offset": offset}
        answer = self._call("POST", path, asked, repeat=True)
        found = self._items(answer, items, "POST", path)
        # A server may cap pages below what was asked for, so only the total tells the end.
        total = answer.get("total_entries")
        end = len(found) < page if total is None else offset + len(found) >= total
        return found, end or not found

    def pages_if_there(
        self, path: str, items: str, body: Mapping[str, Any], page: int
    ) -> Iterator[list[Any]] | None:
        """The same, or None where there is no such route. Asks for the first page at once.

        Raises:
            ApiError: Airflow refused, or could not be reached.
        """
        pages = self.whole_pages(path, items, body, page)
        try:
            first = next(pages)
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return chain([first], pages)

    def get_pages(self, path: str, items: str, query: Mapping[str, Any], page: int) -> list[Any]:
        """All items of a paged GET.

        Raises:
            ApiError: Airflow refused, could not be reached, or has no such route.
        """
        found: list[Any] = []
        while True:
            answer = self.get(path, {**query, "limit": page, "offset": len(found)})
            more = self._items(answer, items, "GET", path)
            found += more
            total = answer.get("total_entries")
            if not more or (len(more) < page if total is None else len(found) >= total):
                return found

    def _items(self, answer: Any, items: str, method: str, path: str) -> list[Any]:
        if not isinstance(answer, dict) or items not in answer:
            raise ApiError(
                f"{method} {self.url}{path}: found no such route or resource, expected a list of "
                f"{items}. Check that the address is that of an Airflow 3, and what it is asked for.",
                404,
            )
        return list(answer[items])

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request that changes something.

        It is repeated only where Airflow cannot have carried it out: a broken connection leaves open
        whether it has.

        Args:
            method: ``POST``, ``PATCH`` …
            path: From the server's root.
            body: Sent as JSON.

        Raises:
            ApiError: Airflow refused, or could not be reached.
        """
        return self._call(method, path, body, repeat=False)

    def _call(self, method: str, path: str, body: Any = None, *, repeat: bool) -> Any:
        if self._token is None:
            self._token = os.environ.get(TOKEN) or self._log_in()
        try:
            return self._send(method, path, body, repeat=repeat)
        except ApiError as error:
            if error.status != 401:
                raise
        self._token = self._log_in()
        return self._send(method, path, body, repeat=repeat)

    def _log_in(self) -> str:
        """A token for the user that the environment names, or for whoever needs no name."""
        username, password = os.environ.get(USERNAME), os.environ.get(PASSWORD)
        try:
            if username is not None:
                credentials = {"username": username, "password": password or ""}
                answer = self._send("POST", "/auth/token", credentials, token=False)
            else:
                answer = self._send("GET", "/auth/token", token=False)
        except ApiError as error:
            if error.status is None:
                raise
            found = f"user {username!r}" if username else "no credentials"
            if os.environ.get(TOKEN):
                found = f"a {TOKEN} that has expired or is not valid, and {found}"
            raise ApiError(
                f"Airflow at {self.url} refused the log-in: found {found}. Set {TOKEN}, or "
                f"{USERNAME} and {PASSWORD}. ({error})",
                error.status,
            ) from error
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not token:
            raise ApiError(
                f"Airflow at {self.url} gave no token at /auth/token: its auth manager has another "
                f"way to log in. Set {TOKEN}."
            )
        return str(token)

    def _send(
        self, method: str, path: str, body: Any = None, *, token: bool = True, repeat: bool = True
    ) -> Any:
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        # The scheme was checked when the provider was chosen: http or https.
        request = Request(self.url + path, data, headers, method=method)  # noqa: S310
        if token:
            # Not for whoever a redirect names, such as a log-in page elsewhere.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        for wait in (*_RETRY_AFTER_SECONDS, None):
            try:
                with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                    return _value(response.headers.get_content_type(), response.read())
            except HTTPError as error:
                with error:
                    if error.code == 404:
                        return None
                    if wait is None or error.code not in (_TEMPORARY if repeat else _NOT_DONE):
                        raise ApiError(
                            f"{method} {self.url}{path}: {error.code} {_detail(error)}", error.code
                        ) from error
            except (URLError, HTTPException, OSError) as error:
                reason = getattr(error, "reason", error)
                refused = isinstance(reason, ConnectionRefusedError)  # nothing was sent
                if wait is None or not (repeat or refused):
                    raise ApiError(
                        f"Airflow at {self.url} cannot be reached ({reason}). Check the address, "
                        f"and that its API server runs."
                    ) from error
            time.sleep(wait or 0)
        raise AssertionError("unreachable: the last try returns or raises")


def _value(content_type: str, content: bytes) -> Any:
    """The JSON value; None for a page: Airflow's server answers unknown paths with its UI."""
    return json.loads(content) if content and content_type == "application/json" else None


def _detail(error: HTTPError) -> str:
    """Why Airflow refused, in its own words as far as it gives any."""
    text = error.read().decode("utf-8", "replace")
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = text
    return f"{error.reason}: {detail}"[:500].rstrip(": ")
