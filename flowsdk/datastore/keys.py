"""The only place where datastore keys are built.

    <class>/data/<aa>/<digest>                           artifact blobs, content-addressed
    <class>/code/<digest>                                code packages
    <flow>/runs/<run>/run.json                           RunSpec
    <flow>/runs/<run>/done.json                          RunEnd, of a laptop's run
    <flow>/runs/<run>/alive.txt                          written again and again while a laptop runs it
    <flow>/runs/<run>/refused.txt                        a later run of the same id was refused
    <flow>/runs/<run>/tags.<n>.json                      RunTags, after the n-th edit
    <flow>/runs/<run>/<step>/<task>/<attempt>/spec.json    TaskSpec, by whoever launches
                                             /log/<n>      log chunks, while running
                                             /cards/<n>-<type>-<id>-<hash>.html   cards
                                             /alive.txt    written again and again by a node of a gang
                                             /result.json  TaskResult: the commit marker, last, once
    <flow>/sets/<run>/<step>/<part>.<generation>.<round>/<attempt>/specs
                                                       TaskSpecs of tasks that are launched together
    <flow>/sets/<run>/<step>/<part>/<attempt>/outcome  SetOutcome, when all of them have succeeded

``<flow>`` is the flow's name, ``project.branch.Flow`` where it is deployed in a project, and
``<class>`` the last part of that: branches have their runs apart and share what is content-addressed,
so that a run of one can be resumed in another.

A key is relative to the datastore's root. Components are quoted so that each stays one path
component and reads as itself in a bucket browser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from flowsdk.datastore.hashing import plain_digest
from flowsdk.spec import TaskRef, flow_class

RUN_DOCUMENT = "run.json"
RUN_END_DOCUMENT = "done.json"
SPEC_DOCUMENT = "spec.json"
RESULT_DOCUMENT = "result.json"
_CARD = ".html"
_TAGS = re.compile(r"tags\.(\d{6})\.json")
#: Airflow run ids hold these; all are plain characters in S3 keys and in file names.
_PLAIN = ":+~@=, "


def component(name: str) -> str:
    """``name`` as one component of a key."""
    quoted = quote(name, safe=_PLAIN)
    return quoted.replace(".", "%2E") if quoted in {".", ".."} else quoted


def name_of(key_component: str) -> str:
    """The inverse of :func:`component`."""
    return unquote(key_component)


def blob(flow: str, digest: str) -> str:
    """An artifact blob."""
    return f"{blobs(flow)}{digest[:2]}/{digest}"


def blobs(flow: str) -> str:
    """Prefix of all artifact blobs of a flow; the last component of a key is the digest."""
    return f"{component(flow_class(flow))}/data/"


def packages(flow: str) -> str:
    """Prefix of all code packages of a flow, likewise."""
    return f"{component(flow_class(flow))}/code/"


def code(flow: str, digest: str) -> str:
    """A code package."""
    return f"{packages(flow)}{digest}"


def runs(flow: str) -> str:
    """Prefix of all runs of a flow."""
    return f"{component(flow)}/runs/"


def run(flow: str, run_id: str) -> str:
    """Prefix of one run."""
    return f"{runs(flow)}{component(run_id)}/"


def run_document(flow: str, run_id: str) -> str:
    """The RunSpec of a run."""
    return run(flow, run_id) + RUN_DOCUMENT


def run_end(flow: str, run_id: str) -> str:
    """The RunEnd of a run."""
    return run(flow, run_id) + RUN_END_DOCUMENT


def run_alive(flow: str, run_id: str) -> str:
    """What is written again and again while a run goes on."""
    return run(flow, run_id) + "alive.txt"


def run_refusal(flow: str, run_id: str) -> str:
    """What notes that these data are not those of the newest run of this id."""
    return run(flow, run_id) + "refused.txt"


def run_tags(flow: str, run_id: str, edit: int) -> str:
    """The RunTags of a run after its ``edit``-th edit, counted from 1."""
    return f"{run(flow, run_id)}tags.{edit:06d}.json"


def tags_edit(key_component: str) -> int:
    """Which edit's RunTags a document of a run is; 0 for other documents and for steps."""
    match = _TAGS.fullmatch(key_component)
    return int(match[1]) if match else 0


def step(flow: str, run_id: str, step_name: str) -> str:
    """Prefix of one step of a run."""
    return f"{run(flow, run_id)}{component(step_name)}/"


def task(flow: str, run_id: str, step_name: str, task_id: str) -> str:
    """Prefix of one task."""
    return f"{step(flow, run_id, step_name)}{component(task_id)}/"


def attempt(flow: str, run_id: str, ref: TaskRef) -> str:
    """Prefix of one attempt."""
    return f"{task(flow, run_id, ref.step, ref.task)}{ref.attempt}/"


def spec(flow: str, run_id: str, ref: TaskRef) -> str:
    """The TaskSpec of an attempt."""
    return attempt(flow, run_id, ref) + SPEC_DOCUMENT


def result(flow: str, run_id: str, ref: TaskRef) -> str:
    """The TaskResult of an attempt."""
    return attempt(flow, run_id, ref) + RESULT_DOCUMENT


def task_alive(flow: str, run_id: str, ref: TaskRef) -> str:
    """What is written again and again while an attempt goes on, of a task in a gang."""
    return attempt(flow, run_id, ref) + "alive.txt"


def task_sets(flow: str, run_id: str) -> str:
    """Prefix of all that is stored of the tasks of a run which were launched together."""
    return f"{component(flow)}/sets/{component(run_id)}/"


def step_sets(flow: str, run_id: str, step_name: str) -> str:
    """Prefix of the same of one step; what follows is a :func:`set_name`, or a part of the step."""
    return f"{task_sets(flow, run_id)}{component(step_name)}/"


def set_name(part: str, generation: int, round_number: int) -> str:
    """Name of tasks that are launched together among those of a step.

    Args:
        part: Of the task instance within its step.
        generation: The first attempt since that was last cleared.
        round_number: How often something was launched before in the same try.
    """
    return f"{part}.{generation}.{round_number}"


def generation_of(key_component: str) -> tuple[str, int] | None:
    """The part and the generation that a :func:`set_name` says; None if it is none."""
    part, *numbers = key_component.split(".")
    return (part, int(numbers[0])) if len(numbers) == 2 else None


def set_specs(flow: str, run_id: str, part: str, ref: TaskRef) -> str:
    """The TaskSpecs of tasks that are launched together.

    Args:
        flow: Name of the flow.
        run_id: Of the run.
        part: Name of these tasks among those of the step and attempt, a :func:`set_name`.
        ref: Says which step and attempt.
    """
    return f"{_task_set(flow, run_id, part, ref)}/specs"


def set_outcome(flow: str, run_id: str, part: str, ref: TaskRef) -> str:
    """The SetOutcome of such tasks."""
    return f"{_task_set(flow, run_id, part, ref)}/outcome"


def root_of(uri: str, flow: str) -> str:
    """The datastore's root, from the URI of anything of a run of a flow."""
    for folder in ("runs", "sets"):
        root, found, _ = uri.rpartition(f"/{component(flow)}/{folder}/")
        if found:
            return root
    return uri


def _task_set(flow: str, run_id: str, part: str, ref: TaskRef) -> str:
    return f"{step_sets(flow, run_id, ref.step)}{component(part)}/{ref.attempt}"


def log_chunk(flow: str, run_id: str, ref: TaskRef, number: int) -> str:
    """Chunk ``number`` (0-based) of an attempt's log."""
    return f"{attempt(flow, run_id, ref)}log/{number:06d}"


def cards(flow: str, run_id: str, ref: TaskRef) -> str:
    """Prefix of the cards of an attempt."""
    return f"{attempt(flow, run_id, ref)}cards/"


def card(flow: str, run_id: str, ref: TaskRef, place: CardName) -> str:
    """A card of an attempt. Its data lie beside it; see :func:`card_data`."""
    parts = (str(place.number), place.type, place.id or "", place.hash)
    name = "-".join(component(part).replace("-", "%2D") for part in parts)
    return f"{cards(flow, run_id, ref)}{name}{_CARD}"


def card_data(card_key: str) -> str:
    """What the card under ``card_key`` was last told while its task ran."""
    return f"{card_key.removesuffix(_CARD)}.json"


@dataclass(frozen=True)
class CardName:
    """What the last component of a card's key says.

    Attributes:
        number: Which of the step's cards it is, from 0.
        type: Its type.
        id: Its id, or None.
        hash: Tells it from all other cards; the same while the card changes.
    """

    number: int
    type: str
    id: str | None
    hash: str

    @classmethod
    def of(
        cls, flow: str, run_id: str, ref: TaskRef, number: int, type: str, id: str | None
    ) -> CardName:
        """The name of a card of an attempt."""
        place = "/".join((flow, run_id, str(ref), str(number), type, id or ""))
        return cls(number, type, id, plain_digest([place.encode()])[:20])

    @classmethod
    def parse(cls, key_component: str) -> CardName | None:
        """The name that the last component of a key holds; None if it is not that of a card."""
        parts = key_component.removesuffix(_CARD).split("-")
        if not key_component.endswith(_CARD) or len(parts) != 4 or not parts[0].isdigit():
            return None
        return cls(int(parts[0]), unquote(parts[1]), unquote(parts[2]) or None, parts[3])
