"""``@exit_hook``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flowsdk.decorators.base import FlowDecorator


class ExitHook(FlowDecorator):
    """Call functions when a run has ended, where it was started.

    A function that takes an argument is given the ``Run``. What a hook raises is reported and does
    not change how the run has ended.

    Args:
        on_success: Functions to call if the run succeeded.
        on_error: Functions to call if it failed.
        options: For deployments; a laptop does not look at them.
    """

    name = "exit_hook"
    allow_multiple = True
    defaults: ClassVar[Mapping[str, Any]] = {"on_success": (), "on_error": (), "options": {}}

    def check(self) -> None:
        """Hooks must be functions, and there must be one."""
        for key in ("on_success", "on_error"):
            hooks = self.attributes[key] or ()
            if not isinstance(hooks, (list, tuple)):
                raise self.error(f"{key}={hooks!r}, expected a list of functions.")
            for hook in hooks:
                if not callable(hook):
                    raise self.error(f"{key} has {hook!r}, expected a function.")
            self.attributes[key] = tuple(hooks)
        if not self.attributes["on_success"] and not self.attributes["on_error"]:
            raise self.error("found no hook, expected on_success=[…] or on_error=[…].")
        if not isinstance(self.attributes["options"], dict):
            raise self.error(f"options={self.attributes['options']!r}, expected a dict.")


exit_hook = ExitHook.decorate
