"""``@trigger`` and ``@trigger_on_finish``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from flowsdk.current_task import current
from flowsdk.decorators.base import Decorator, FlowDecorator
from flowsdk.decorators.project import ProjectSettings
from flowsdk.events import NamespacedEventName
from flowsdk.exception import DecoratorError, did_you_mean

_FLOW = re.compile(r"[A-Za-z0-9_]+")
_FLOW_KEYS = ("name", "project", "project_branch")
_EVENT_KEYS = ("name", "parameters")


@dataclass(frozen=True)
class EventTrigger:
    """An event that a deployed flow waits for.

    Attributes:
        name: Of the event.
        parameters: Parameter of the flow → field of the event that gives its value.
    """

    name: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Triggers:
    """What a deployed flow waits for: all of it, each since the flow last ran.

    Attributes:
        events: Events.
        flows: Flows whose runs must have succeeded, as they are called where they are deployed.
    """

    events: tuple[EventTrigger, ...] = ()
    flows: tuple[str, ...] = ()


class _Waiting(FlowDecorator):
    """What the two have in common: one thing or a list of them, which may be functions."""

    #: Attribute for one thing; with an "s", for several.
    one: ClassVar[str]

    def check(self) -> None:
        """Exactly one of the two must be given, in a form that is understood."""
        one, several = self.attributes[self.one], self.attributes[f"{self.one}s"]
        if bool(one) == bool(several):
            found = "both" if one else "neither"
            raise self.error(f"found {found} of {self.one} and {self.one}s, expected one of them.")
        if several and not callable(several) and not isinstance(several, (list, tuple)):
            raise self.error(f"{self.one}s={several!r}, expected a list.")
        if not isinstance(self.attributes["options"], Mapping):
            raise self.error(f"options={self.attributes['options']!r}, expected a dict.")
        known = [entry for entry in self._listed() if not _is_function(entry)]
        names = [name for name in map(self.check_entry, known) if name is not None]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise self.error(f"found {twice!r} twice. Remove one.")

    def check_entry(self, entry: Any) -> str | None:
        """Raise DecoratorError if an entry is malformed; its name, if that is known yet."""
        raise NotImplementedError

    def entries(self, flow: type) -> list[Any]:
        """What is waited for, with functions called."""
        found: list[Any] = []
        for entry in self._listed():
            value = _called(self, flow, entry)
            found += value if isinstance(value, (list, tuple)) else [value]
        if not found:
            raise self.error(f"flow {flow.__name__} waits for nothing: a function returned none.")
        for entry in found:
            self.check_entry(entry)
        return found

    def _listed(self) -> list[Any]:
        one, several = self.attributes[self.one], self.attributes[f"{self.one}s"]
        if one:
            return [one]
        return [several] if callable(several) else list(several)

    def _require_keys(self, entry: Mapping[str, Any], keys: tuple[str, ...]) -> None:
        for key in entry:
            if key not in keys:
                raise self.error(
                    f"{entry!r} has {key!r}, expected {', '.join(keys)}.{did_you_mean(key, keys)}"
                )
        if not entry.get("name"):
            raise self.error(f"{entry!r} has no name, expected one.")


class TriggerDecorator(_Waiting):
    """Run a deployed flow when an event happens.

    Args:
        event: A name, or ``{"name": …, "parameters": {parameter: field}}`` where fields of the event
            become parameters of the run; ``parameters`` may also be a list of names and pairs. The
            name or all of it may be a function of a ParameterContext.
        events: Several; the flow runs when all have happened.
        options: For other schedulers; Airflow has none.
    """

    name = "trigger"
    one = "event"
    defaults: ClassVar[Mapping[str, Any]] = {"event": None, "events": [], "options": {}}

    def check_entry(self, entry: Any) -> str | None:
        """An event must have a name; its parameters must be names."""
        if isinstance(entry, str):
            return entry
        if isinstance(entry, NamespacedEventName):
            return None
        if not isinstance(entry, Mapping):
            raise self.error(
                f"found {entry!r}, expected a name or {{'name': …, 'parameters': {{…}}}}."
            )
        self._require_keys(entry, _EVENT_KEYS)
        name, parameters = entry["name"], entry.get("parameters", {})
        if not isinstance(name, str) and not callable(name):
            raise self.error(f"{entry!r} has the name {name!r}, expected a text.")
        if not callable(parameters):
            self.mapping(parameters)
        return name if isinstance(name, str) else None

    def mapping(self, parameters: Any) -> dict[str, str]:
        """Parameter → field, from either form of ``parameters``."""
        pairs: list[Any]
        if isinstance(parameters, Mapping):
            pairs = list(parameters.items())
        elif isinstance(parameters, (list, tuple)):
            pairs = [(entry, entry) if isinstance(entry, str) else entry for entry in parameters]
        else:
            pairs = [None]
        for pair in pairs:
            is_pair = isinstance(pair, (list, tuple)) and len(pair) == 2
            if not is_pair or not all(isinstance(name, str) for name in pair):
                raise self.error(
                    f"parameters={parameters!r}, expected {{parameter: field}} or a list of names "
                    f"and (parameter, field)."
                )
        return dict(pairs)

    def events(self, flow: type, project: ProjectSettings | None) -> list[EventTrigger]:
        """The events, as they are called in a project."""
        from flowsdk.parameters import collect_parameters

        found = []
        for entry in self.entries(flow):
            given = entry if isinstance(entry, Mapping) else {"name": entry}
            name = given["name"]
            if isinstance(name, NamespacedEventName):
                name = name.of(project)
            name = _called(self, flow, name)
            if not isinstance(name, str) or not name:
                raise self.error(f"the name of an event is {name!r}, expected a text.")
            parameters = self.mapping(_called(self, flow, given.get("parameters", {})))
            known = collect_parameters(flow)
            for parameter in parameters:
                if parameter not in known:
                    raise self.error(
                        f"event {name!r} gives parameter {parameter!r}, and flow {flow.__name__} "
                        f"has none of that name.{did_you_mean(parameter, known)}"
                    )
            found.append(EventTrigger(name, parameters))
        return found


class TriggerOnFinishDecorator(_Waiting):
    """Run a deployed flow when a run of another flow has succeeded.

    Args:
        flow: The other flow: ``"Name"``, in the same project and branch if this flow is in one;
            ``"project.branch.Name"``; or ``{"name": …, "project": …, "project_branch": …}``. It may
            be a function of a ParameterContext.
        flows: Several; the flow runs when all have succeeded.
        options: For other schedulers; Airflow has none.
    """

    name = "trigger_on_finish"
    one = "flow"
    defaults: ClassVar[Mapping[str, Any]] = {"flow": None, "flows": [], "options": {}}

    def check_entry(self, entry: Any) -> str | None:
        """A flow must have a name that one can have."""
        if isinstance(entry, str):
            parts = entry.split(".")
            if len(parts) == 2 or not all(parts) or not _FLOW.fullmatch(parts[-1]):
                raise self.error(f"found {entry!r}, expected 'Flow' or 'project.branch.Flow'.")
            return entry
        if not isinstance(entry, Mapping):
            raise self.error(
                f"found {entry!r}, expected a name or {{'name': …, 'project': …, "
                f"'project_branch': …}}."
            )
        self._require_keys(entry, _FLOW_KEYS)
        for key, value in entry.items():
            if not isinstance(value, str):
                raise self.error(f"{entry!r} has {key}={value!r}, expected a text.")
        if not _FLOW.fullmatch(entry["name"]):
            raise self.error(f"{entry!r} has the name {entry['name']!r}, expected one of a flow.")
        return None

    def flows(self, flow: type, project: ProjectSettings | None) -> list[str]:
        """The flows, as they are called where they are deployed."""
        return [self._full_name(entry, project) for entry in self.entries(flow)]

    def _full_name(self, entry: Any, own: ProjectSettings | None) -> str:
        if isinstance(entry, str) and "." in entry:
            return entry
        given = entry if isinstance(entry, Mapping) else {"name": entry}
        project, branch = given.get("project"), given.get("project_branch")
        if project is None and branch is None and own is None:
            return str(given["name"])
        project = project or (own and own.name)
        branch = branch or (own and own.branch)
        if not project or not branch:
            raise self.error(
                f"{entry!r} names {'a project' if project else 'a branch'} alone, and this flow has "
                f"no @project that says the other. Name both."
            )
        return ProjectSettings(project, branch).flow_name(given["name"])


def triggers_of(flow: type, project: ProjectSettings | None) -> Triggers:
    """What a flow waits for where it is deployed.

    Args:
        flow: The flow class.
        project: The project and branch in which it is deployed.

    Raises:
        DecoratorError: A function gives what is malformed, or an event gives a parameter that the
            flow has not.
    """
    from flowsdk.decorators.prepare import flow_decorators

    events: list[EventTrigger] = []
    flows: list[str] = []
    with current._before_a_run(flow.__name__, project.facts(flow.__name__) if project else {}):
        for decorator in flow_decorators(flow, "trigger"):
            if isinstance(decorator, TriggerDecorator):
                events += decorator.events(flow, project)
        for decorator in flow_decorators(flow, "trigger_on_finish"):
            if isinstance(decorator, TriggerOnFinishDecorator):
                flows += decorator.flows(flow, project)
    names = [event.name for event in events]
    if len(set(names)) < len(names) or len(set(flows)) < len(flows):
        raise DecoratorError(f"Flow {flow.__name__} waits for the same thing twice. Remove one.")
    return Triggers(tuple(events), tuple(flows))


def _is_function(entry: Any) -> bool:
    return callable(entry) and not isinstance(entry, NamespacedEventName)


def _called(decorator: Decorator, flow: type, value: Any) -> Any:
    """A value, or what the function that it is returns where the flow is deployed."""
    from flowsdk.configs import ConfigValue, evaluate, resolve_configs
    from flowsdk.parameters import ParameterContext

    if not _is_function(value):
        return value
    configs = ConfigValue(resolve_configs(flow))
    context = ParameterContext.of(flow, decorator.name, ds_type="s3", configs=configs)
    try:
        return evaluate(value(context), flow)  # a function may return expressions
    except Exception as error:  # a user's function may raise anything
        raise decorator.error(f"a function failed with {type(error).__name__}: {error}.") from error


trigger = TriggerDecorator.decorate
trigger_on_finish = TriggerOnFinishDecorator.decorate
