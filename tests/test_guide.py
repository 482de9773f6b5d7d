"""Every block of the user guide runs and prints what the guide says."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.documents import ROOT, Reader
from tests.s3_endpoint import Endpoint

GUIDE = ROOT / "docs" / "guide"
TUTORIALS = ROOT / "flowsdk" / "tutorials"
#: Carried out by tests/e2e/test_guide.py.
NEEDS_AIRFLOW = {"airflow.md"}
#: Read with a bucket, ``flows``, as the datastore.
NEEDS_S3 = {"s3.md"}
PAGES = sorted(path for path in GUIDE.glob("*.md") if path.name not in NEEDS_AIRFLOW)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_of_the_guide(page: Path, tmp_path: Path) -> None:
    if page.name not in NEEDS_S3:
        Reader(tmp_path).read(page)
        return
    with Endpoint() as endpoint:
        endpoint.buckets["flows"] = {}
        environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        environment |= {"AWS_ENDPOINT_URL": endpoint.url, "FLOWSDK_DATASTORE": "s3://flows/store"}
        Reader(tmp_path, environment).read(page)


@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*/README.md")), ids=lambda p: p.parent.name)
def test_the_readme_of_a_tutorial(page: Path, tmp_path: Path) -> None:
    shutil.copytree(TUTORIALS, tmp_path / "tutorials")
    Reader(tmp_path / "tutorials" / page.parent.name).read(page)


@pytest.mark.parametrize("page", sorted(GUIDE.glob("*.md")), ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_contents_name_every_page() -> None:
    contents = (GUIDE / "README.md").read_text("utf-8")
    for page in GUIDE.glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in contents, page.name
