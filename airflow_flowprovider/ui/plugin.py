"""The plugin that Airflow loads (entry point ``airflow.plugins``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/flowprovider"

_Message = MutableMapping[str, Any]


class LazyApplication:
    """An ASGI application that is imported with its first request.

    Every Airflow process loads every plugin, down to the one of a single task; only the API server
    answers requests, and has imported by itself what takes the other processes seconds.
    """

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        from airflow_flowprovider.ui.api import app

        await app(scope, receive, send)


class FlowProviderPlugin(AirflowPlugin):
    """Routes of the API server for the client of flowsdk."""

    name = "flowprovider"
    fastapi_apps = [  # noqa: RUF012  # as its base class declares it
        {"app": LazyApplication(), "url_prefix": URL_PREFIX, "name": "Flow records"}
    ]
