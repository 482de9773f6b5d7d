"""Secrets: where they are kept, and how a step gets them."""

from __future__ import annotations

from flowsdk.plugins.secrets.source import SecretSource, get_secret

__all__ = ["SecretSource", "get_secret"]
