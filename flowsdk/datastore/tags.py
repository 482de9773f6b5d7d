"""The tags of a run: what its user has said of it, and what flowsdk says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from flowsdk.document import Document
from flowsdk.exception import TagError
from flowsdk.spec import RunSpec

#: As in Metaflow.
MAX_USER_TAGS = 50
MAX_TAG_LENGTH = 500


@dataclass(frozen=True)
class RunTags(Document):
    """The tags of a run.

    Attributes:
        user: Given when the run was started or later, sorted.
        system: Set by flowsdk, sorted; among them ``user:<who asked for the run>``.
    """

    user: tuple[str, ...] = ()
    system: tuple[str, ...] = ()

    @property
    def all(self) -> frozenset[str]:
        """Both kinds."""
        return frozenset((*self.user, *self.system))

    @classmethod
    def of(cls, run: RunSpec) -> RunTags:
        """The tags that a run began with."""
        system = {*run.system_tags, *([f"user:{run.user}"] if run.user else ())}
        return cls(tuple(sorted(set(run.tags))), tuple(sorted(system)))

    def replaced(self, remove: Iterable[str], add: Iterable[str]) -> RunTags:
        """These tags without some and with others.

        What is to be removed and is not there does not matter, nor does what is to be added and is
        there, as a tag of either kind.

        Raises:
            TagError: A tag is malformed, one to be removed is a system tag, or a run would have
                too many.
        """
        out, new = set(checked(remove)), set(checked(add))
        if kept := sorted(out & set(self.system)):
            raise TagError(
                f"Tag {', '.join(map(repr, kept))}: found among the system tags, expected a user "
                f"tag. System tags stay with their run."
            )
        user = (set(self.user) - out) | (new - set(self.system))
        if len(user) > max(MAX_USER_TAGS, len(self.user)):
            raise TagError(
                f"Tags of a run: found {len(user)}, expected at most {MAX_USER_TAGS}. Remove some "
                f"first."
            )
        return replace(self, user=tuple(sorted(user)))

    @classmethod
    def _build(cls, values: dict[str, Any]) -> RunTags:
        return cls(**{name: tuple(tags) for name, tags in values.items()})


def checked(tags: Iterable[str]) -> list[str]:
    """The tags, each once, in the order given.

    Raises:
        TagError: One of them is no text, empty, too long, or cannot be written as UTF-8.
    """
    found = list(dict.fromkeys(tags))
    problems = [
        f"Tag {str(tag)[:80]!r}: found {problem}, expected 1 to {MAX_TAG_LENGTH} characters."
        for tag in found
        if (problem := _problem(tag))
    ]
    if problems:
        raise TagError("\n".join(problems))
    return found


def _problem(tag: Any) -> str:
    if not isinstance(tag, str):
        return type(tag).__name__
    if not tag:
        return "nothing"
    if len(tag) > MAX_TAG_LENGTH:
        return f"{len(tag)} characters"
    try:
        tag.encode()
    except UnicodeEncodeError:
        return "what UTF-8 cannot hold"
    return ""
