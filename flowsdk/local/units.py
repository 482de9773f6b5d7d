"""What the laptop's scheduler keeps of tasks that wait, run or are awaited."""

from __future__ import annotations

from dataclasses import dataclass, field

from flowsdk.graph import Node
from flowsdk.planning import task_id
from flowsdk.spec import ErrorInfo, ForeachFrame, TaskRef, TaskResult


@dataclass(eq=False, slots=True)
class Unit:
    """Tasks that are launched, tried again and followed together: one, or all those of a gang.

    Attributes:
        node: The step.
        parents: The attempts whose artifacts come in.
        places: The foreach levels around each of the tasks.
        iteration: How often a step that loops to itself has run before in the same place.
        attempt: The attempt that is next or running, 0-based.
        user_failures: How many attempts have failed by the flow's own fault.
        lost: How the task was lost with all of its job, for the last time.
        ooms: How often memory has run out.
        platform_failures: How many have failed otherwise.
        out: The tasks that are running.
        done: The results of this attempt so far.
        failure: The first of them that is not a success.
        retry_seconds: In how many seconds the unit is tried again after that; None if it is not.
    """

    node: Node
    parents: tuple[TaskRef, ...]
    places: tuple[tuple[ForeachFrame, ...], ...]
    iteration: int = 0
    attempt: int = 0
    user_failures: int = 0
    platform_failures: int = 0
    lost: ErrorInfo | None = None
    ooms: int = 0
    out: set[TaskRef] = field(default_factory=set)
    done: list[TaskResult] = field(default_factory=list)
    failure: TaskResult | None = None
    retry_seconds: float | None = None

    @property
    def tasks(self) -> list[str]:
        """The ids of the tasks."""
        return [task_id(place, self.iteration) for place in self.places]

    def next_attempt(self) -> None:
        """Forget how this attempt went."""
        self.attempt += 1
        self.done, self.failure, self.retry_seconds = [], None, None


@dataclass
class Gathering:
    """The inputs of a join, as they come.

    Attributes:
        expected: How many there will be.
        place: The foreach levels around the join.
        arrived: Those that are there, by their position among the inputs.
    """

    expected: int
    place: tuple[ForeachFrame, ...]
    arrived: dict[int, TaskRef] = field(default_factory=dict)
