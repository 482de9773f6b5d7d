"""The pages of the guide that need an Airflow are carried out on a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import ROOT, Reader
from tests.e2e.support import Airflow


@pytest.mark.timeout(900)  # deploys two flows and waits for three runs
def test_the_page_about_airflow(airflow: Airflow, tmp_path: Path) -> None:
    standalone = airflow.standalone
    environment = {
        **{name: value for name, value in standalone.env.items() if name.startswith("AWS_")},
        "FLOWSDK_METADATA": f"airflow@{standalone.api_url}",
        "FLOWSDK_AIRFLOW_USERNAME": standalone.username,
        "FLOWSDK_AIRFLOW_PASSWORD": standalone.password,
        "FLOWSDK_DATASTORE": "s3://flows/flowsdk",
        "DAGS": str(airflow.dags),
    }
    Reader(tmp_path, environment).read(ROOT / "docs" / "guide" / "airflow.md")
