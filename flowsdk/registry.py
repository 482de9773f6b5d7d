"""Who is told when a flow class comes into being.

``flowsdk`` knows nothing of the compilers: a compiler (the Airflow provider, in Airflow's processes)
registers itself here and is called for every flow class that is defined from then on.
Class decorators run after ``__init_subclass__``, so each of them calls :func:`notify` again once
it has changed the class; a compiler must replace what it made for the same class before.
"""

from __future__ import annotations

from collections.abc import Callable

Compiler = Callable[[type], None]

_compilers: list[Compiler] = []


def register_compiler(compiler: Compiler) -> None:
    """Have ``compiler`` called with every flow class defined from now on. Registering twice is fine."""
    if compiler not in _compilers:
        _compilers.append(compiler)


def unregister_compiler(compiler: Compiler) -> None:
    """Undo :func:`register_compiler`; unknown compilers are ignored."""
    if compiler in _compilers:
        _compilers.remove(compiler)


def notify(flow_class: type) -> None:
    """Tell every registered compiler that ``flow_class`` has been defined or changed."""
    for compiler in _compilers:
        compiler(flow_class)


def mark_deployed(flow_class: type) -> None:
    """Note that a compiler makes something of ``flow_class`` that runs elsewhere, at another time."""
    type.__setattr__(flow_class, "_flow_deployed", True)


def is_deployed(flow_class: type) -> bool:
    """Whether a compiler has taken ``flow_class`` up in this process."""
    return bool(getattr(flow_class, "_flow_deployed", False))
