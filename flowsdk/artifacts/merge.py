"""Which artifacts a join takes over from its inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowsdk.artifacts.equality import canonical_digest
from flowsdk.artifacts.scope import Scope
from flowsdk.exception import (
    FlowException,
    MissingInMergeArtifactsException,
    UnhandledInMergeArtifactsException,
    did_you_mean,
)
from flowsdk.spec import ArtifactRef

if TYPE_CHECKING:
    from flowsdk.runtime.inputs import Inputs


def merge(
    scope: Scope | None,
    assigned: Mapping[str, Any],
    inputs: Inputs,
    exclude: Sequence[str],
    include: Sequence[str],
) -> None:
    """Add the references that inputs agree on to a join's; see ``FlowSpec.merge_artifacts``.

    Args:
        scope: The join's own artifacts.
        assigned: What the join has assigned so far.
        inputs: Its inputs.
        exclude: Names not to take.
        include: If given, the only names to take.
    """
    if scope is None or not hasattr(inputs, "scopes"):
        raise FlowException(
            "merge_artifacts() was called outside a join: it needs the 'inputs' argument of a join."
        )
    if include and exclude:
        raise FlowException("merge_artifacts() takes either 'include' or 'exclude', found both.")
    available: dict[str, dict[str, tuple[ArtifactRef, Scope]]] = {}
    for input_scope in inputs.scopes:
        for name, ref in input_scope.refs.items():
            if ref.kind == "artifact":
                available.setdefault(name, {}).setdefault(ref.digest, (ref, input_scope))
    missing = sorted(name for name in include if name not in available and name not in assigned)
    if missing:
        raise MissingInMergeArtifactsException(
            f"merge_artifacts(include=…): no input has {', '.join(map(repr, missing))}."
            f"{did_you_mean(missing[0], available)}",
            missing,
        )
    names = [
        name
        for name in sorted(available)
        if name not in assigned and name not in exclude and (not include or name in include)
    ]
    conflicts = [name for name in names if _disagree(name, available[name].values())]
    if conflicts:
        details = "; ".join(
            f"{name!r} is {' or '.join(_shown(ref) for ref, _ in available[name].values())}"
            for name in conflicts[:5]
        )
        raise UnhandledInMergeArtifactsException(
            f"merge_artifacts(): the inputs disagree on {len(conflicts)} artifact"
            f"{'s' * (len(conflicts) != 1)}: {details}. Assign each of them in the join before the "
            f"call, or exclude it.",
            conflicts,
        )
    scope.refs.update({name: next(iter(available[name].values()))[0] for name in names})


def _disagree(name: str, candidates: Collection[tuple[ArtifactRef, Scope]]) -> bool:
    """Whether blobs that differ hold values that differ; they are loaded only to find that out."""
    if len(candidates) == 1:
        return False
    if len({ref.type for ref, _ in candidates}) > 1:
        return True
    digests = (canonical_digest(scope.load(name)) for _, scope in candidates)
    first = next(digests)
    return first is None or any(digest != first for digest in digests)


def _shown(ref: ArtifactRef) -> str:
    return f"{ref.preview or ref.type} (from {ref.origin.rsplit('/', 1)[0]})"
