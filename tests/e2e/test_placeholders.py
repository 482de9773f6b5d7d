"""Flows whose dependencies exist only where their steps run, not on Airflow's machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.support import Airflow, until

#: What stands in for an image that has two modules which Airflow has not.
IMAGE = """
    @batch(container_properties={{"environment": [{{"name": "PYTHONPATH", "value": {folder!r}}}]}})
    @step
"""
FLOW = f"""
import jobs_only_numbers
from flowsdk import FlowSpec, batch, step
from jobs_only_package.words import WORDS


class {{name}}(FlowSpec):
    {{line}}
{IMAGE}
    def start(self):
        self.answer = jobs_only_numbers.ANSWER
        self.next(self.end)
{IMAGE}
    def end(self):
        self.words = [word.upper() for word in WORDS]
"""
READ = """
from flowsdk import Run, namespace
namespace(None)
data = Run("{pathspec}").data
print(data.answer, data.words)
"""


@pytest.fixture
def modules(tmp_path: Path) -> str:
    """A folder with the two modules, on the path of jobs alone."""
    (tmp_path / "jobs_only_package").mkdir()
    (tmp_path / "jobs_only_package" / "__init__.py").write_text("")
    (tmp_path / "jobs_only_package" / "words.py").write_text("WORDS = ['to', 'be']\n")
    (tmp_path / "jobs_only_numbers.py").write_text("ANSWER = 42\n")
    return str(tmp_path)


@pytest.mark.timeout(600)
def test_steps_use_what_airflow_has_not(airflow: Airflow, modules: str) -> None:
    source = FLOW.format(name="ElsewhereFlow", line="pass", folder=modules)
    (airflow.dags / "elsewhere.py").write_text(source)
    broken = airflow.dags / "elsewhere_too_early.py"
    broken.write_text(
        FLOW.format(name="TooEarlyFlow", line="x = jobs_only_numbers.ANSWER + 1", folder=modules)
    )
    run = airflow.trigger("ElsewhereFlow")
    assert airflow.wait("ElsewhereFlow", run, 500) == "success", airflow.failures(
        "ElsewhereFlow", run
    )
    pathspec = f"ElsewhereFlow/{run}"
    shown = airflow.read_with_client(READ.format(pathspec=pathspec))
    assert shown.strip() == "42 ['TO', 'BE']"
    docs = airflow.call("GET", "/dags/ElsewhereFlow/details")["doc_md"]
    assert "`jobs_only_numbers` (elsewhere.py:2)" in docs
    assert "`jobs_only_package.words` (elsewhere.py:4)" in docs

    def import_error() -> str:
        found = airflow.call("GET", "/importErrors?limit=100")["import_errors"]
        return next((e["stack_trace"] for e in found if e["filename"].endswith(broken.name)), "")

    error = until("the import error is there", import_error)
    broken.unlink()  # other tests look at import errors too
    line = 1 + source.splitlines().index("    pass")
    assert "found jobs_only_numbers.ANSWER used in an expression outside a step" in error
    assert f"{broken.name}:{line}, and Airflow's machine has no such module" in error, json.dumps(
        error
    )
