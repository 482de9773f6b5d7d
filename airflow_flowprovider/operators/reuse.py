"""Resuming: a DAG run that uses the results of an earlier run again.

A run is asked for it by its conf, ``{"resume": "<run id>"}``. Its task instances are what they always
are; each asks the earlier run for the results of its tasks before it launches any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_flowprovider.compat import AirflowFailException
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import KeyNotFound, did_you_mean
from flowsdk.flow import graph_of
from flowsdk.origin import CONF_KEY, Origin, commit, reused
from flowsdk.parameters import collect_parameters
from flowsdk.spec import flow_class

if TYPE_CHECKING:
    from airflow_flowprovider.operators.progress import Progress, Unit
    from flowsdk.flow import FlowSpec
    from flowsdk.graph import FlowGraph, Node
    from flowsdk.spec import RunSpec, TaskResult, TaskSpec

_FIELDS = ("run", "step")


@dataclass(frozen=True)
class Resumption:
    """What the conf of a DAG run says about the run that it resumes.

    Attributes:
        run: Its id, of a run of this Airflow or of a laptop; the flow's name may come before.
        step: This step and everything after it runs again; None for only what has not succeeded.
    """

    run: str
    step: str | None = None

    @classmethod
    def of(cls, flow: type[FlowSpec], context: Mapping[str, Any]) -> Resumption | None:
        """What the conf says; None if the run does not resume another.

        Args:
            flow: The flow class.
            context: Airflow's. If the DAG has a param ``resume``, the conf gives that.

        Raises:
            AirflowFailException: It is malformed, or names no step of the flow.
        """
        conf = getattr(context["dag_run"], "conf", None) or {}
        given = conf.get(CONF_KEY)
        if given is None or CONF_KEY in context["dag"].params:
            return None
        found = {"run": given} if isinstance(given, str) else given
        problem = _problem(found, graph_of(flow))
        if problem:
            raise AirflowFailException(
                f"Conf of run {context['run_id']} ({CONF_KEY}): {problem} Trigger the DAG anew."
            )
        return cls(found["run"], found.get("step"))

    def take_over(
        self, flow: type[FlowSpec], store: FlowDatastore, context: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]:
        """``flow/run`` of the earlier run, and the parameters of the new one.

        They are those of the earlier run, whose results rest on them.

        Args:
            flow: The flow class.
            store: The flow's datastore.
            context: Airflow's.

        Raises:
            AirflowFailException: There is no such run, it is one of another flow, or the conf gives a
                parameter another value.
        """
        there, origin = self._find(store)
        conf = context["dag_run"].conf
        # Airflow's trigger form sends all parameters, untouched ones with their defaults. The DAG still
        # has these, for the start step has params of its own that the conf is written into.
        defaults = {name: param.value for name, param in context["dag"].params.items()}
        changed = [
            name
            for name in collect_parameters(flow)
            if name in conf and conf[name] not in (origin.parameters.get(name), defaults.get(name))
        ]
        if changed:
            raise AirflowFailException(
                f"Conf of run {context['run_id']} ({', '.join(changed)}): found other values than "
                f"those of run {origin.run}, expected none: the parameters of a resumed run are those "
                f"of the run that it resumes. Trigger the DAG without {CONF_KEY!r} to change them."
            )
        return f"{there.flow}/{origin.run}", origin.parameters

    def reuse(self, store: FlowDatastore, graph: FlowGraph, node: Node, progress: Progress) -> int:
        """Let tasks have the results that the earlier run has of them.

        A task is used again if it has succeeded there and all tasks before it are used again. Its
        result is that of attempt 0, in whatever try it is found: what inherits from it names that.

        Args:
            store: The flow's datastore.
            graph: The flow's graph.
            node: The step.
            progress: Of a task instance that has not been cleared, with what earlier tries have left.

        Returns:
            How many tasks have been given a result.
        """
        if self.step is not None and node.name in graph.descendants(self.step) | {self.step}:
            return 0
        there, run = self._find(store)
        todo = _after_reused(store, progress)
        count = 0
        while todo:
            specs = [[replace(spec, attempt=0) for spec in progress.specs(unit)] for unit in todo]
            ids = [[spec.task for spec in group] for group in specs]
            origin = Origin.read_tasks(there, run.run, node.name, list(chain.from_iterable(ids)))
            earlier = [origin.results_of(graph, node, tasks) for tasks in ids]
            taken = {
                index: [
                    (spec, _first(spec, r)) for spec, r in zip(specs[index], found, strict=True)
                ]
                for index, found in enumerate(earlier)
                if found is not None
            }
            commit(store, chain.from_iterable(taken.values()))
            count += sum(map(len, taken.values()))
            # A step that loops to itself goes on from what has been taken.
            todo = [
                todo[index]
                for index, pairs in taken.items()
                if progress.take(todo[index], [result for _, result in pairs])
            ]
        return count

    def _find(self, store: FlowDatastore) -> tuple[FlowDatastore, RunSpec]:
        """The earlier run, and where it lies."""
        from flowsdk.local.run import is_laptop_run

        flow, _, run = self.run.rpartition("/")
        name = flow or (flow_class(store.flow) if is_laptop_run(run) else store.flow)
        if flow_class(name) != flow_class(store.flow):  # their artifacts do not lie together
            raise AirflowFailException(
                f"Which run to resume (datastore {store.storage.root}): found {self.run!r}, expected "
                f"a run of flow {flow_class(store.flow)}. Trigger the DAG anew."
            )
        there = FlowDatastore(store.storage, name)
        try:
            return there, there.read_run(run)
        except KeyNotFound:
            raise AirflowFailException(
                f"Which run to resume (datastore {store.storage.root}): flow {name} has no run "
                f"{run!r}.{did_you_mean(run, there.runs())} Trigger the DAG anew."
            ) from None


def _after_reused(store: FlowDatastore, progress: Progress) -> list[Unit]:
    """The units that have not run yet and all of whose parents have been used again."""
    units = [unit for unit in progress.pending() if unit.failed is None]
    if not units:
        return []
    parents = {ref for unit in units for task in unit.tasks for ref in task.parents}
    run = progress.specs(units[0])[0].run
    found = zip(parents, store.find_results(run, parents), strict=True)
    reused_refs = {ref for ref, result in found if result and result.origin}
    return [
        unit for unit in units if all(reused_refs.issuperset(task.parents) for task in unit.tasks)
    ]


def _first(spec: TaskSpec, result: TaskResult) -> TaskResult:
    """A result of the earlier run as that of a task's first attempt, as all that is used again is."""
    taken = reused(spec, result)
    artifacts = {
        name: replace(ref, origin=f"{ref.origin.rpartition('/')[0]}/{spec.attempt}")
        for name, ref in taken.artifacts.items()
    }
    return replace(taken, artifacts=artifacts)


def _problem(found: Any, graph: FlowGraph) -> str | None:
    """What is wrong with what the conf says."""
    form = "expected the id of a run, or {'run': …, 'step': …}."
    if not isinstance(found, Mapping):
        return f"found {found!r}, {form}"
    for key, value in found.items():
        if key not in _FIELDS:
            return f"found {key!r}, {form}{did_you_mean(str(key), _FIELDS)}"
        if not isinstance(value, str) and (key, value) != ("step", None):
            return f"found {key}={value!r}, expected a text."
    if not found.get("run"):
        return f"found no run, {form}"
    step = found.get("step")
    if step is not None and step not in graph:
        return (
            f"found step {step!r}, expected one of {', '.join(graph.nodes)}."
            f"{did_you_mean(step, graph.nodes)}"
        )
    return None
