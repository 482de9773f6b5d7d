"""Who runs flows here."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

#: In the order in which they are looked at; Metaflow's users have the second set already.
VARIABLES = ("FLOWSDK_USER", "METAFLOW_USER")


def user_name(environment: Mapping[str, str] = os.environ) -> str:
    """FLOWSDK_USER, METAFLOW_USER, or the login name; ``unknown`` where a user has no name."""
    for variable in VARIABLES:
        if name := environment.get(variable):
            return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that no file names
        return "unknown"
