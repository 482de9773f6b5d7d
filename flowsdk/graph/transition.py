"""Reading ``self.next(…)``: what the end of a step says comes next."""

from __future__ import annotations

import ast
from typing import Any, TypeGuard

from flowsdk.exception import did_you_mean
from flowsdk.transition import KEYWORDS

_Fields = dict[str, Any]


def read_end(definition: ast.FunctionDef, is_join: bool, flow: type) -> dict[str, Any]:
    """What the last statement of a step says, else what other statements seem to mean.

    Args:
        definition: The step.
        is_join: Whether it takes inputs.
        flow: The flow class, whose Configs may be the keys of a switch.

    Returns:
        Fields of a ``Node``.
    """
    arguments = [*definition.args.posonlyargs, *definition.args.args]
    receiver = arguments[0].arg if arguments else "self"
    last = definition.body[-1]
    if isinstance(last, ast.Expr) and _is_next(last.value, receiver):
        assert isinstance(last.value, ast.Call)
        call = last.value
        try:
            return {"next_line": call.lineno, "transition": "ok",
                    **_read_next(call, receiver, is_join, flow)}  # fmt: skip
        except _NotUnderstoodError as error:
            return {"kind": "linear", "next": (), "next_line": call.lineno,
                    "transition": "unparsable", "problem": str(error),
                    "mentions": _mentions(call)}  # fmt: skip
    calls = [node for node in ast.walk(definition) if _is_next(node, receiver)]
    if not calls:
        return {"kind": "end", "next": (), "transition": "none"}
    mentions = dict.fromkeys(step for call in calls for step in _mentions(call))
    return {"kind": "linear", "next": (), "next_line": min(call.lineno for call in calls),
            "transition": "misplaced", "mentions": tuple(mentions)}  # fmt: skip


def _is_next(node: ast.AST, receiver: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and _attribute(node.func, receiver) == "next"


def _mentions(call: ast.Call) -> tuple[str, ...]:
    """Whatever in the arguments might be meant as a step: ``x`` of ``self.x`` and ``"x"``."""
    found: dict[str, None] = {}
    for node in (node for argument in call.args for node in ast.walk(argument)):
        if isinstance(node, ast.Attribute):
            found[node.attr] = None
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found[node.value] = None
    return tuple(found)


class _NotUnderstoodError(Exception):
    """Why a ``self.next(…)`` is not understood."""


def _read_next(call: ast.Call, receiver: str, is_join: bool, flow: type) -> _Fields:
    """What a ``self.next(…)`` says."""
    keywords = {keyword.arg or "**": keyword.value for keyword in call.keywords}
    unknown = sorted(set(keywords) - set(KEYWORDS))
    if unknown:
        near = did_you_mean(unknown[0], KEYWORDS)
        raise _NotUnderstoodError(f"{unknown[0]!r} is not one of its arguments.{near}")
    allow_empty = _literal_bool(keywords.pop("allow_empty", None), "foreach" in keywords)
    if len(keywords) > 1:
        raise _NotUnderstoodError(f"{' and '.join(map(repr, keywords))} do not go together.")
    if "condition" in keywords:
        return _read_switch(call, receiver, keywords["condition"], flow)
    if any(isinstance(argument, ast.Dict) for argument in call.args):
        raise _NotUnderstoodError("A dict of cases goes with condition='<attribute>'.")
    targets = tuple(_target(argument, receiver) for argument in call.args)
    if not targets:
        raise _NotUnderstoodError("It names no step.")
    if keywords and len(targets) > 1:
        raise _NotUnderstoodError(
            f"{next(iter(keywords))!r} goes to one step, found {len(targets)}."
        )
    if "foreach" in keywords:
        var = _literal_name(keywords["foreach"], "foreach")
        return {"kind": "foreach", "next": targets, "foreach": var, "allow_empty": allow_empty}
    if "num_parallel" in keywords:
        return {"kind": "foreach", "next": targets, "num_parallel": True}
    if len(targets) > 1:
        twice = next((target for target in targets if targets.count(target) > 1), None)
        if twice:
            raise _NotUnderstoodError(f"It names step {twice!r} twice.")
        return {"kind": "split", "next": targets}
    return {"kind": "join" if is_join else "linear", "next": targets}


def _read_switch(call: ast.Call, receiver: str, condition: ast.expr, flow: type) -> _Fields:
    if len(call.args) != 1 or not isinstance(call.args[0], ast.Dict):
        raise _NotUnderstoodError("'condition' goes with one dict of cases, {value: self.step, …}.")
    var = _literal_name(condition, "condition")
    cases: dict[Any, str] = {}
    for key, value in zip(call.args[0].keys, call.args[0].values, strict=True):
        case = _case(key, receiver, flow)
        if case in cases:
            raise _NotUnderstoodError(f"Case {case!r} is there twice.")
        cases[case] = _target(value, receiver)
    if not cases:
        raise _NotUnderstoodError("It has a dict without cases.")
    targets = tuple(dict.fromkeys(cases.values()))
    return {"kind": "switch", "next": targets, "condition": var, "cases": cases}


def _case(key: ast.expr | None, receiver: str, flow: type) -> str | int | float | bool:
    try:
        value = ast.literal_eval(key) if key is not None else None
    except ValueError:
        value = _of_class(key, receiver, flow)
    if not isinstance(value, (str, int, float, bool)):
        found = ast.unparse(key) if key is not None else "**"
        raise _NotUnderstoodError(
            f"Case {found} is not a literal text, number or boolean, nor one that a Config holds "
            f"({receiver}.<config>.<key>)."
        )
    return value


def _of_class(key: ast.expr | None, receiver: str, flow: type) -> Any:
    """The value of ``self.config.a['b']``, known without running the flow; None if it is not."""
    if isinstance(key, ast.Name) and key.id == receiver:
        return flow
    try:
        if isinstance(key, ast.Attribute):
            return getattr(_of_class(key.value, receiver, flow), key.attr)
        if isinstance(key, ast.Subscript):
            return _of_class(key.value, receiver, flow)[ast.literal_eval(key.slice)]
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
    return None


def _target(expression: ast.expr, receiver: str) -> str:
    step = _attribute(expression, receiver)
    if step is None:
        raise _NotUnderstoodError(
            f"{ast.unparse(expression)} is not a step written as {receiver}.<step>."
        )
    return step


def _literal_name(expression: ast.expr, keyword: str) -> str:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return expression.value
    raise _NotUnderstoodError(
        f"{keyword}={ast.unparse(expression)} is not the name of an attribute in quotes."
    )


def _literal_bool(expression: ast.expr | None, has_foreach: bool) -> bool:
    if expression is None:
        return False
    if not has_foreach:
        raise _NotUnderstoodError("'allow_empty' goes with foreach='<attribute>'.")
    if isinstance(expression, ast.Constant) and isinstance(expression.value, bool):
        return expression.value
    raise _NotUnderstoodError(f"allow_empty={ast.unparse(expression)} is not True or False.")


def _attribute(expression: ast.AST, receiver: str) -> str | None:
    """``x`` of ``self.x``."""
    if (
        isinstance(expression, ast.Attribute)
        and isinstance(expression.value, ast.Name)
        and expression.value.id == receiver
    ):
        return expression.attr
    return None
