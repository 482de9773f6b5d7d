from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_flowprovider import placeholders
from airflow_flowprovider.placeholders import PlaceholderUsed, stood_in_for
from tests.airflow_flowprovider.dagfiles import DagFile

Write = Callable[..., DagFile]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    placeholders.forget()


FLOW = """
    {imports}
    from flowsdk import FlowSpec, Parameter, step

    class MissingFlow(FlowSpec):
        '''Trains.'''

        {attribute}

        @step
        def start(self):
            self.model = torch.nn.Linear(3, 1)
            self.next(self.end)

        @step
        def end(self):
            pass
"""


def flow(imports: str = "import torch", attribute: str = "x = 1") -> str:
    return FLOW.format(imports=imports.replace("\n", "\n    "), attribute=attribute)


@pytest.mark.parametrize(
    "imports",
    [
        "import torch_x",
        "import torch_x.nn.functional as F",
        "from torch_x import nn, optim\nfrom torch_x.nn import Module",
        "import torch_x.nn as nn\nclass Net(nn.Module):\n    width: nn.Size = None",
        "import torch_x\ndef f(x: torch_x.Tensor | None) -> 'y': ...",
        "from typing import Optional\nimport torch_x\ndef f(x: Optional[torch_x.Tensor[int]]): ...",
        "import importlib\ntorch = importlib.import_module('torch_x')",
        "import torch_x\nDTYPE = torch_x.float32",
    ],
)
def test_naming_what_is_not_installed_is_fine(dag_file: Write, imports: str) -> None:
    dag = dag_file(flow(imports)).dag
    assert list(dag.task_dict) == ["start", "end"]
    assert "torch_x" in stood_in_for()


def test_the_docs_of_the_dag_list_what_is_missing(dag_file: Write) -> None:
    dag = dag_file(flow("import torch_x\nimport corp_x.features")).dag
    assert dag.doc_md.endswith(
        "\n\n**Modules that are needed where the steps run and are not installed for Airflow**"
        "\n\n- `corp_x` (flows.py:2)\n- `corp_x.features` (flows.py:2)\n- `torch_x` (flows.py:1)"
    )


def test_each_file_of_a_process_has_its_own(dag_file: Write) -> None:
    dag_file(flow("import json, torch_x"), "first.py").dag.validate()
    other = dag_file(flow("import json\nimport torch_x"), "second.py").dag
    assert "- `torch_x` (second.py:2)" in other.doc_md


def test_the_docs_say_nothing_where_all_is_installed(dag_file: Write) -> None:
    assert "not installed" not in dag_file(flow("import json")).dag.doc_md


@pytest.mark.parametrize(
    ("line", "how"),
    [
        ("seed = torch_x.manual_seed(1)", "found torch_x.manual_seed called outside a step"),
        ("size = torch_x.size + 1", "found torch_x.size used in an expression outside a step"),
        ("names = list(torch_x.names)", "found torch_x.names used in an expression"),
        ("x = 1 if torch_x.cuda else 2", "found torch_x.cuda used in an expression"),
        ("with_torch = torch_x.options.__setattr__('a', 1)", "given the attribute 'a'"),
    ],
)
def test_using_it_outside_a_step_is_an_import_error_with_the_line(
    dag_file: Write, line: str, how: str
) -> None:
    file = dag_file(flow("import torch_x", line))
    assert how in file.import_error
    assert f"{file.path}:7, and Airflow's machine has no such module" in file.import_error
    assert f"imported at {file.path}:1" in file.import_error


def test_a_parameter_whose_default_is_missing_is_a_problem_with_a_line(dag_file: Write) -> None:
    parameter = "p = Parameter('p', default=torch_x.float32)"
    file = dag_file(flow("import torch_x", parameter))
    assert f"{file.path}:7" in file.import_error
    assert "found the default <torch_x.float32, not installed here>" in file.import_error


@pytest.mark.parametrize("error", ["ImportError", "(ValueError, ModuleNotFoundError)", ""])
def test_what_the_file_handles_itself_stays_missing(dag_file: Write, error: str) -> None:
    imports = (
        f"try:\n    import torch_x\nexcept {error}:\n    torch_x = None\nassert torch_x is None"
    )
    assert dag_file(flow(imports)).dag.dag_id == "MissingFlow"
    assert not stood_in_for()


def test_a_module_that_an_installed_package_lacks_is_a_mistake(dag_file: Write) -> None:
    assert "No module named 'json.no_such'" in dag_file(flow("import json.no_such")).import_error
    assert "cannot import name 'nothing'" in dag_file(flow("from json import nothing")).import_error


def test_modules_beside_the_flow_may_lack_the_same(dag_file: Write, tmp_path: Path) -> None:
    (tmp_path / "helpers_x.py").write_text("import torch_x\nfrom torch_x import nn\n")
    try:
        sys.path.insert(0, str(tmp_path))
        assert dag_file(flow("from helpers_x import nn")).dag.dag_id == "MissingFlow"
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("helpers_x", None)


def test_a_file_without_flows_is_none_of_our_business(dag_file: Write) -> None:
    file = dag_file("from airflow.sdk import DAG\nimport torch_x\ndag = DAG('ordinary')\n")
    assert "No module named 'torch_x'" in file.import_error


def test_another_file_meets_no_placeholder(dag_file: Write) -> None:
    assert dag_file(flow("import torch_x")).dag
    source = "from airflow.sdk import DAG\nimport other_x\nimport torch_x\n"
    assert "No module named 'other_x'" in dag_file(source, "plain.py").import_error
    assert not stood_in_for()


def test_outside_of_an_import_missing_modules_are_missing(dag_file: Write) -> None:
    assert dag_file(flow("import json")).dag
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("torch_x")
    assert importlib.util.find_spec("torch_x") is None


def test_the_error_survives_pickling() -> None:
    error = PlaceholderUsed("what and where", "torch")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.name) == ("what and where", "torch")
