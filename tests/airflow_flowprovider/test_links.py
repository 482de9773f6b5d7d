from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.execution_time.xcom import XCom

from airflow_flowprovider.links import JOB_KEY, BatchJobLink, CloudWatchLogLink, job_xcom

JOB = "11111111-2222-3333-4444-555555555555"


def link(kind: type, monkeypatch: pytest.MonkeyPatch, xcom: Any) -> str:
    def get_value(*, ti_key: Any, key: str) -> Any:
        assert (ti_key, key) == ("ti", JOB_KEY)
        return xcom

    monkeypatch.setattr(XCom, "get_value", get_value)
    found = kind().get_link(None, ti_key="ti")
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("eu-central-1", "https://console.aws.amazon.com"),
        ("cn-north-1", "https://console.amazonaws.cn"),
        ("us-gov-west-1", "https://console.amazonaws-us-gov.com"),
    ],
)
def test_the_job(region: str, console: str, monkeypatch: pytest.MonkeyPatch) -> None:
    xcom = job_xcom(JOB, region, "/aws/batch/job", None)
    found = link(BatchJobLink, monkeypatch, xcom)
    assert found == f"{console}/batch/home?region={region}#jobs/detail/{JOB}"
    assert link(CloudWatchLogLink, monkeypatch, xcom) == ""


def test_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    xcom = job_xcom(JOB, "eu-central-1", "/aws/batch/job", "flowsdk-1/default/a b")
    assert link(CloudWatchLogLink, monkeypatch, xcom) == (
        "https://console.aws.amazon.com/cloudwatch/home?region=eu-central-1"
        "#logsV2:log-groups/log-group/$252Faws$252Fbatch$252Fjob"
        "/log-events/flowsdk-1$252Fdefault$252Fa$2520b"
    )


@pytest.mark.parametrize("xcom", [None, "text", {}, {"id": JOB, "region": None}])
def test_no_job_no_link(xcom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert link(BatchJobLink, monkeypatch, xcom) == ""
    assert link(CloudWatchLogLink, monkeypatch, xcom) == ""
