"""What the hooks share: connections of type ``flowprovider`` are AWS connections and more."""

from __future__ import annotations

import copy
import json
from functools import cached_property
from typing import Any, ClassVar

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.config import Config

from airflow_flowprovider.config import CONNECTION_TYPE


class FlowAwsHook(AwsBaseHook):
    """An AWS hook that takes connections of type ``aws`` and of type ``flowprovider``.

    The latter hold the same fields, and beside them where the datastore is. What a connection's
    ``config_kwargs`` say of botocore counts; ``own_config`` is for all else.
    """

    own_config: ClassVar[Config] = Config()

    @property
    def config(self) -> Config:
        """How botocore's clients behave."""
        # The Amazon provider reads config_kwargs of no connection whose hook has a config itself.
        return self.own_config.merge(super().config)

    def get_session(self, *args: Any, **kwargs: Any) -> Any:
        """The boto3 session of the hook's clients, made once: each reads botocore's files anew."""
        asked = (args, tuple(kwargs.items()))
        if asked not in self._sessions:
            self._sessions[asked] = super().get_session(*args, **kwargs)
        return self._sessions[asked]

    @cached_property
    def _sessions(self) -> dict[Any, Any]:
        return {}

    def _get_caller(self, target_function_name: str = "execute") -> str:  # noqa: ARG002  # the base's
        """What the user agent names as the caller.

        The Amazon provider looks for the operator on the stack, and reads the source of every frame on
        the way: 60 ms for each client. Should it cease to ask here, all that is lost is those.
        """
        return type(self).__name__

    @classmethod
    def get_connection(cls, conn_id: str) -> Any:
        """The connection; one of our own type passes as an AWS connection."""
        connection = super().get_connection(conn_id)
        if connection.conn_type == CONNECTION_TYPE:
            # The Amazon provider takes any type but warns of all except its own.
            connection = copy.copy(connection)
            connection.conn_type = "aws"
            # A field that was left empty in Airflow's form means "not given".
            fields = connection.extra_dejson.items()
            given = {name: value for name, value in fields if value not in (None, "")}
            connection.extra = json.dumps(given)
        return connection
