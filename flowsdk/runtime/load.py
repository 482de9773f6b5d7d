"""Loading a flow file the way ``python flow.py`` would, without starting its command line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from flowsdk.exception import PackageError
from flowsdk.flow import FlowSpec


class _Loaded(BaseException):
    """Ends the execution of a flow file at its ``MyFlow()``, as the command line would have."""


def load_flow(script: Path, flow: str) -> type[FlowSpec]:
    """Execute a flow file as ``__main__`` and return its flow class.

    As ``__main__``, because then a class that the flow file defines has the same name wherever the
    flow runs, and its instances can be passed between a laptop and a job.

    Args:
        script: The flow file.
        flow: Name of the class.

    Raises:
        PackageError: The file has no such flow.
    """
    module = ModuleType("__main__")
    module.__file__ = str(script)
    sys.modules["__main__"] = module
    sys.path.insert(0, str(script.parent))
    code = compile(script.read_bytes(), str(script), "exec")

    def stop(_: type[FlowSpec]) -> None:
        raise _Loaded

    FlowSpec._on_main = stop
    try:
        exec(code, module.__dict__)  # noqa: S102  # running user code is the job
    except _Loaded:
        loaded = True
    else:
        loaded = False
    finally:
        FlowSpec._on_main = None
    found = module.__dict__.get(flow)
    if not (isinstance(found, type) and issubclass(found, FlowSpec)):
        raise PackageError(
            f"Flow file {script} has no flow class {flow!r}"
            f"{' above its call of the flow' if loaded else ''}."
        )
    return found
