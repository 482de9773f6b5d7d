"""What must hold of a flow before it is deployed, and which files it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from flowsdk import lint
from flowsdk.configs.config import collect_configs
from flowsdk.configs.options import configs_given
from flowsdk.configs.resolving import recorded_configs, resolve_configs
from flowsdk.decorators.project import project_of
from flowsdk.decorators.settings import step_settings
from flowsdk.deployer.dags_folder import DagsFolder, FlowFiles
from flowsdk.deployment import Deployment, name_beside
from flowsdk.exception import DeploymentError, FlowException
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.include_file import IncludeFile
from flowsdk.parameters import collect_parameters
from flowsdk.places import find_file, script_of
from flowsdk.registry import mark_deployed


def deployment_for(
    flow: type[FlowSpec], branch: str | None = None, production: bool = False
) -> Deployment:
    """What a command line says about a flow that is to be deployed.

    Args:
        flow: The flow class.
        branch: Of ``--branch``.
        production: Whether there is ``--production``.
    """
    project = project_of(flow, branch, production)
    configs = recorded_configs(flow) if configs_given(flow) else {}
    return Deployment(configs, project.branch if project else None)


def require_deployable(flow: type[FlowSpec]) -> None:
    """Make sure that nothing is wrong with a flow.

    Raises:
        FlowException: The flow has problems; all of them.
    """
    mark_deployed(flow)  # so that files are looked for where Airflow's machines will look
    problems = [error for check in _CHECKS if (error := _problem_of(check, flow))]
    told = dict.fromkeys(map(str, problems))  # a check may meet what an earlier one has found
    if len(told) == 1:
        raise problems[0]
    if told:
        raise DeploymentError("\n".join(told))


def files_of(
    flow: type[FlowSpec],
    folder: DagsFolder,
    deployment: Deployment,
    name: str,
    file_name: str | None = None,
) -> FlowFiles:
    """All files of a flow that is fit to be deployed.

    These are its own file, the local modules that it imports, the files that its Configs and
    IncludeFiles read by default, and what the command line says about it.

    Args:
        flow: The flow class.
        folder: Where they are to be; a flow that is there already stays in its place.
        deployment: What the command line says.
        name: Of the flow where it is deployed.
        file_name: Of the flow's file there; by default as it is called.
    """
    script = script_of(flow)
    root = Path(folder.root).resolve() if folder.holds(script) else script.parent
    files = FlowFiles.of(flow.__name__, script, root, file_name, name)
    data = [script.parent / path for path in _data_files(flow)]
    contents = {path.relative_to(root).as_posix(): path.read_bytes() for path in data}
    if deployment:
        place = PurePosixPath(files.script)
        beside = place.with_name(name_beside(place, files.flow))
        contents[beside.as_posix()] = deployment.to_json() + b"\n"
    return replace(files, contents={**files.contents, **contents})


def _problem_of(
    check: Callable[[type[FlowSpec]], object], flow: type[FlowSpec]
) -> Exception | None:
    try:
        check(flow)
    except FlowException as error:
        return error
    return None


def _check_steps(flow: type[FlowSpec]) -> None:
    problems = []
    for node in graph_of(flow):
        try:
            step_settings(flow, node.name)
        except FlowException as error:
            problems.append(str(error))
    if problems:
        raise DeploymentError("\n".join(problems))


def _check_data_files(flow: type[FlowSpec]) -> None:
    folder = script_of(flow).parent
    problems = []
    for what, path in _defaults(flow):
        found = find_file(flow, path)
        if found is None:
            problems.append(f"{what}: found no {path!r} in {folder}, where a deployed flow looks.")
        elif not found.resolve().is_relative_to(folder):
            problems.append(
                f"{what}: found {path!r} outside of {folder}, expected a file in the folder of the "
                f"flow, or s3://bucket/key: no other is where Airflow runs."
            )
    if problems:
        raise DeploymentError("\n".join(problems))


#: Configs first: the others ask for what they decide.
_CHECKS: tuple[Callable[[type[FlowSpec]], object], ...] = (
    # What the command line has given travels as it is; the rest is what it will be there.
    lambda flow: None if configs_given(flow) else resolve_configs(flow, {}),
    lambda flow: lint.validate(graph_of(flow)),
    _check_steps,
    collect_parameters,
    _check_data_files,
)


def _data_files(flow: type[FlowSpec]) -> Iterator[str]:
    """Paths of the files that are read by default, below the flow's folder."""
    folder = script_of(flow).parent
    for _, path in _defaults(flow):
        if found := find_file(flow, path):
            yield Path(found).resolve().relative_to(folder).as_posix()


def _defaults(flow: type[FlowSpec]) -> Iterator[tuple[str, str]]:
    """What reads a local file by default, and its path."""
    configs = {} if configs_given(flow) else collect_configs(flow)
    for config in configs.values():
        default = config._default
        # With a value to fall back on, a file that is missing is no problem.
        if isinstance(default, str) and (
            config._default_value is None or find_file(flow, default) is not None
        ):
            yield f"Config {config._name!r} ({config._location})", default
    for parameter in collect_parameters(flow).values():
        default = parameter.default
        if isinstance(parameter, IncludeFile) and isinstance(default, str) and "://" not in default:
            yield f"Parameter {parameter.name!r} ({parameter.location})", default
