from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flowsdk import secrets
from flowsdk.decorators.secrets import Secrets
from flowsdk.exception import DecoratorError
from tests.flowsdk.flows import run_flow, write_flow

SECRET = "open-sesame-42"
FLOW = """
import logging, os, subprocess, sys
from flowsdk import secrets

class Hiding(FlowSpec):
    @secrets(sources=["env-file.my.env"])
    @step
    def start(self):
        {body}
        self.next(self.end)

    @step
    def end(self):
        self.there = "TOKEN" in os.environ
"""


def run(folder: Path, body: str, *options: str, env: dict[str, str] | None = None) -> Any:
    (folder / "my.env").write_text(f"TOKEN={SECRET}\nSHORT=ab\n")
    text = FLOW.format(body=body) + '\nif __name__ == "__main__":\n    Hiding()\n'
    return run_flow(write_flow(folder, text), *options, "run", env=env)


def stored(folder: Path) -> bytes:
    return b"".join(
        path.read_bytes() for path in (folder / ".flowsdk").rglob("*") if path.is_file()
    )


@pytest.mark.parametrize(
    "body",
    [
        "print('it is', os.environ['TOKEN'])",
        "sys.stderr.write(os.environ['TOKEN'][:7]); sys.stderr.write(os.environ['TOKEN'][7:])",
        "os.write(1, os.environ['TOKEN'].encode())",
        "logging.warning('it is %s', os.environ['TOKEN'])",
        "subprocess.run(['sh', '-c', 'echo it is $TOKEN'], check=True)",
    ],
)
def test_whatever_prints_a_secret_it_is_not_seen(tmp_path: Path, body: str) -> None:
    done = run(tmp_path, body)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "***" in done.stdout + done.stderr
    assert SECRET.encode() not in stored(tmp_path)
    assert b"***" in stored(tmp_path)


def test_an_error_does_not_tell_a_secret(tmp_path: Path) -> None:
    done = run(tmp_path, "raise ValueError('wrong: ' + os.environ['TOKEN'])")
    assert done.returncode == 1
    assert "ValueError: wrong: ***" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert SECRET.encode() not in stored(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        "os.environ['TOKEN']",
        "{'a': [('url', 'x://u:' + os.environ['TOKEN'])]}",
        "os.environ['TOKEN'].encode()",
        "type('T', (), {'__init__': lambda t: setattr(t, 'a', os.environ['TOKEN'])})()",
    ],
)
def test_a_secret_does_not_become_an_artifact(tmp_path: Path, value: str) -> None:
    done = run(tmp_path, f"self.x = {value}")
    assert done.returncode == 1
    assert re.search(
        r"Artifact 'x' \(step 'start', \S+flow.py:\d+\) holds the secret 'TOKEN'", done.stderr
    )
    assert SECRET.encode() not in stored(tmp_path)


def test_the_variables_are_set_while_the_step_runs_only(tmp_path: Path) -> None:
    done = run(tmp_path, "self.seen = os.environ['SHORT'] == 'ab'")
    assert done.returncode == 0, done.stderr
    shown = run_flow(tmp_path / "flow.py", "dump", f"{only_run(tmp_path)}/end").stdout
    assert "seen" in shown
    assert "there [size" in shown
    assert "= False" in shown


def only_run(folder: Path) -> str:
    (found,) = (folder / ".flowsdk" / "Hiding" / "runs").iterdir()
    return found.name


def test_a_variable_that_is_set_already_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", env={"TOKEN": "other"})
    assert done.returncode == 1
    assert "sets 'TOKEN', which is set already. Pass allow_override=True" in done.stderr
    text = (tmp_path / "flow.py").read_text().replace('env"]', 'env"], allow_override=True')
    (tmp_path / "flow.py").write_text(text)
    done = run_flow(tmp_path / "flow.py", "run", env={"TOKEN": "other"})
    assert done.returncode == 0, done.stderr


def test_two_sources_must_not_set_the_same_variable(tmp_path: Path) -> None:
    text = FLOW.format(body="pass").replace('["env-file.my.env"]', '["env-file.a", "env-file.b"]')
    for name in "ab":
        (tmp_path / name).write_text("TOKEN=1")
    path = write_flow(tmp_path, text + '\nif __name__ == "__main__":\n    Hiding()\n')
    done = run_flow(path, "run")
    assert "both Secret 'a' (env-file) and Secret 'b' (env-file) set 'TOKEN'" in done.stderr


def test_sources_may_be_a_function_of_the_flow(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("TOKEN=some-token")
    text = FLOW.format(body="print(len(os.environ['TOKEN']))").replace(
        '["env-file.my.env"]', 'lambda flow: ["env-file." + flow.which + ".env"]'
    )
    text = text.replace("    @secrets", '    which = Parameter("which", default="a")\n    @secrets')
    path = write_flow(tmp_path, text + '\nif __name__ == "__main__":\n    Hiding()\n')
    done = run_flow(path, "run")
    assert ") ] 10" in done.stdout or "] 10" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"sources": "x"}, "expected a list"),
        ({"sources": [{"id": 7}]}, "expected an id that is a text"),
        ({"sources": ["nope.x"]}, "found type 'nope'"),
        ({"role": 7}, "expected the ARN of a role"),
        ({"allow_override": "yes"}, "expected True or False"),
        ({"source": []}, "Did you mean 'sources'"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_flow_is_defined(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DecoratorError, match=message):
        secrets(**attributes)


def test_with_never_stores_a_secret() -> None:
    assert json.loads(Secrets(sources=["db"]).spec().partition(":")[2]) == {"sources": ["db"]}
    source = {"type": "inline", "options": {"env_vars": {"A": SECRET}}}
    with pytest.raises(DecoratorError, match="would store the secret with the run"):
        Secrets(sources=[source]).spec()
    with pytest.raises(DecoratorError, match="found a function"):
        Secrets(sources=lambda flow: []).spec()
    assert SECRET not in repr(Secrets(sources=[source]))
