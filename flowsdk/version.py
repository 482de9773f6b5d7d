"""The version of flowsdk and of the provider: they are one distribution."""

from __future__ import annotations

VERSION = "0.1.0"
