from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.airflow_flowprovider.dagfiles import DagFile, canonical, serialized

FLOW = """
    import json

    import helpers_of_ours
    from flowsdk import FlowSpec, step

    class VersionedFlow(FlowSpec):
        @step
        def start(self):
            from package_of_ours import inner
            self.x = 1
            self.next(self.end)

        @step
        def end(self):
            pass
"""


@pytest.fixture
def parse(
    dag_file: Callable[..., DagFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., bytes]:
    """The bytes of which Airflow takes a hash, after writing other files: ``parse(FLOW, {name: text})``."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def parsed(source: str, others: dict[str, str]) -> bytes:
        for name, text in others.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        sys.modules.pop("helpers_of_ours", None)
        return canonical(serialized(dag_file(source).dag))

    return parsed


OTHERS = {
    "helpers_of_ours.py": "import json\n",
    "package_of_ours/__init__.py": "",
    "package_of_ours/inner.py": "A = 1\n",
    "unrelated.py": "B = 1\n",
}


def test_an_unchanged_file_is_the_same_version(parse: Callable[..., bytes]) -> None:
    assert parse(FLOW, OTHERS) == parse(FLOW, {"unrelated.py": "B = 2\n", "data.csv": "1"})


@pytest.mark.parametrize(
    ("source", "others"),
    [
        pytest.param(FLOW.replace("self.x = 1", "self.x = 2"), {}, id="a step's body"),
        pytest.param(FLOW, {"helpers_of_ours.py": "import os\n"}, id="a module beside it"),
        pytest.param(FLOW, {"package_of_ours/inner.py": "A = 2\n"}, id="a package beside it"),
    ],
)
def test_changed_code_is_another_version(
    parse: Callable[..., bytes], source: str, others: dict[str, str]
) -> None:
    assert parse(FLOW, OTHERS) != parse(source, others)


def test_a_local_module_that_cannot_be_read_is_an_import_error(
    dag_file: Callable[..., DagFile], tmp_path: Path
) -> None:
    (tmp_path / "broken_of_ours.py").write_text("def")
    file = dag_file(FLOW.replace("import helpers_of_ours", "").replace("package_of", "broken_of"))
    assert f"Cannot read {tmp_path / 'broken_of_ours.py'}" in file.import_error
