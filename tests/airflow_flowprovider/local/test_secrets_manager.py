"""Secrets Manager of the embedded AWS: a flow on a laptop reads from it."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_flowprovider.local.server import EmbeddedAws
from tests.airflow_flowprovider.local.conftest import client
from tests.flowsdk.flows import run_flow, write_flow

FLOW = """
import os
from flowsdk import secrets
from flowsdk.plugins.secrets import get_secret

class Reading(FlowSpec):
    @secrets(sources=["team/db", {"type": "aws-secrets-manager", "id": "team/raw",
                                  "role": "arn:aws:iam::123456789012:role/reader"}])
    @step
    def start(self):
        assert os.environ["user"] == "alice-the-admin"
        assert os.environ["team_raw"] == "raw-value-1"
        print(os.environ["user"], get_secret("team/db")["password"])
        self.next(self.end)

    @step
    def end(self):
        get_secret("team/none")

if __name__ == "__main__":
    Reading()
"""


def test_a_flow_reads_secrets_and_does_not_show_them(aws: EmbeddedAws, tmp_path: Path) -> None:
    manager = client(aws, "secretsmanager")
    secret = {"user": "alice-the-admin", "password": "correct horse"}
    manager.create_secret(Name="team/db", SecretString=json.dumps(secret))
    manager.create_secret(Name="team/raw", SecretString="raw-value-1")
    before = aws.requests(reset=True)
    assert "secretsmanager:CreateSecret" in before
    done = run_flow(write_flow(tmp_path, FLOW), "run", env=aws.env)
    assert "] *** ***\n" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    assert "Secret 'team/none' (aws-secrets-manager): " in done.stderr
    assert "ResourceNotFoundException" in done.stderr
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for value in (*secret.values(), "raw-value-1"):
        assert value not in done.stdout + done.stderr
    assert b"correct horse" not in kept
    assert aws.requests()["secretsmanager:GetSecretValue"] == 4
