from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import flowsdk

HEAVY = {
    "airflow", "boto3", "botocore", "cloudpickle", "moto", "numpy", "pandas", "pendulum", "zstandard",
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after a statement."""
    script = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(flowsdk.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", flowsdk._HOME)
def test_public_names_are_there_and_no_module_hides_them(name: str) -> None:
    assert getattr(flowsdk, name) is not None
    # Importing flowsdk.<name> would replace the name in the package by the module.
    assert find_spec(f"flowsdk.{name}") is None


def test_what_flows_of_metaflows_import_from_elsewhere() -> None:
    from flowsdk import metaflow_version
    from flowsdk.metaflow_current import current

    assert metaflow_version.get_version() == flowsdk.__version__
    assert current is flowsdk.current


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = flowsdk.nothing


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    own = {name for name in loaded_by("import flowsdk") if name.startswith("flowsdk")}
    assert own == {"flowsdk", "flowsdk.version"}


@pytest.mark.parametrize(
    "statement",
    [
        "from flowsdk import *",
        "import flowsdk.cli.flow, flowsdk.cli.run, flowsdk.local.run",
        "import flowsdk.runtime.bootstrap",
        "import flowsdk.aws_batch.launcher",
        "import flowsdk.runner.notebook, flowsdk.deployer.flow_deployer, flowsdk.cli.airflow_commands",
    ],
)
def test_nothing_heavy_is_loaded(statement: str) -> None:
    top = {name.split(".", 1)[0] for name in loaded_by(statement)}
    assert not top & HEAVY


def test_a_job_carries_no_laptop_code() -> None:
    loaded = loaded_by("import flowsdk.runtime.bootstrap")
    for part in ("cli", "client", "local", "lint", "planning"):
        assert not {name for name in loaded if name.startswith(f"flowsdk.{part}")}
