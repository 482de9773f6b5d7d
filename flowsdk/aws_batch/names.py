"""Names of jobs: deterministic, so that whoever comes second finds the job of whoever was first.

``<flow>_<step>_<digest>-g<generation>-<attempt>[-<round>-<part>]``. The digest stands for the task (a run id may hold
characters that AWS refuses, and be long); all attempts of a generation share everything before the
last number, which is what a look-up by prefix wants.
"""

from __future__ import annotations

import re

from flowsdk.datastore.hashing import plain_digest

#: Of a job name. https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
MAX_CHARACTERS = 128
_DIGEST_CHARACTERS = 12
#: Of flow and step: what is left beside the digest and two numbers of any plausible length.
_HEAD_CHARACTERS = 90
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


def task_prefix(flow: str, run: str, step: str, task: str) -> str:
    """What the names of all jobs of a task begin with, whatever their generation.

    Args:
        flow: Name of the flow.
        run: Run id.
        step: Name of the step.
        task: Task id.
    """
    identity = f"{flow}/{run}/{step}/{task}"
    digest = plain_digest([identity.encode()])[:_DIGEST_CHARACTERS]
    head = _FOREIGN.sub("-", f"{flow}_{step}").lstrip("_-")[:_HEAD_CHARACTERS]
    return f"{head or 'flow'}_{digest}-"


def flow_prefix(flow: str) -> str:
    """What the names of all jobs of a flow begin with; those of some other flows may, too."""
    return _FOREIGN.sub("-", f"{flow}_").lstrip("_-")[:_HEAD_CHARACTERS]


def job_prefix(flow: str, run: str, step: str, task: str, generation: int = 0) -> str:
    """What the names of all jobs of one generation of a task begin with.

    Attempts of different generations never stand in for each other: a task that was cleared is to
    run again, not to find its earlier job.
    """
    return f"{task_prefix(flow, run, step, task)}g{generation}-"


def job_name(
    flow: str,
    run: str,
    step: str,
    task: str,
    attempt: int,
    generation: int = 0,
    place: tuple[int, int] = (0, 0),
) -> str:
    """The name of the job of one attempt; see :func:`job_prefix`.

    Args:
        flow: Name of the flow.
        run: Run id.
        step: Name of the step.
        task: Task id, or what stands for that of several tasks.
        attempt: 0-based.
        generation: Of the task.
        place: Of one of several jobs of an attempt, its round and its part.
    """
    name = f"{job_prefix(flow, run, step, task, generation)}{attempt}"
    return f"{name}-{place[0]}-{place[1]}" if any(place) else name


def attempt_of(name: str, prefix: str) -> int | None:
    """The attempt in a job's name, whatever its generation; None if it does not belong to a task.

    Args:
        name: The job's.
        prefix: Of :func:`task_prefix`.
    """
    generation = name.removeprefix(prefix).partition("-")[0]
    numbers = numbers_of(name, f"{prefix}{generation}-")
    return numbers[0] if numbers else None


def numbers_of(name: str, prefix: str) -> tuple[int, ...] | None:
    """The numbers at the end of a job's name; None if it does not belong to ``prefix``.

    They are its attempt and, of one of several jobs of a task instance, its round and its part.
    """
    if not name.startswith(prefix):
        return None
    numbers = name.removeprefix(prefix).split("-")
    return tuple(map(int, numbers)) if all(n.isdecimal() for n in numbers) else None
