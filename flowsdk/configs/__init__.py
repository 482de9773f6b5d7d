"""Configs: values of a flow that are known before anything else of it, its graph included.

Parameters may differ from run to run; a Config may also decide what the flow looks like: resources,
schedules, which way a switch goes.
"""

from __future__ import annotations

from flowsdk.configs.config import Config, collect_configs
from flowsdk.configs.expression import ConfigExpression, config_expr, evaluate, has_expressions
from flowsdk.configs.resolving import (
    config_values,
    pin_configs,
    recorded_configs,
    resolve_configs,
)
from flowsdk.configs.value import ConfigValue

__all__ = [
    "Config",
    "ConfigExpression",
    "ConfigValue",
    "collect_configs",
    "config_expr",
    "config_values",
    "evaluate",
    "has_expressions",
    "pin_configs",
    "recorded_configs",
    "resolve_configs",
]
