"""The version of flowsdk and of the provider, which are one distribution, and that of Python."""

from __future__ import annotations

import sys

VERSION = "0.1.0"
#: As ``platform.python_version()`` has it, which is not worth loading for this.
PYTHON_VERSION = sys.version.split()[0]
