"""AWS throttles, fails and keeps silent, and what it was told arrives all the same."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.faults.support import FaultyAirflow

pytestmark = pytest.mark.timeout(1200)


def test_a_batch_api_of_which_a_fifth_of_the_requests_fails(
    faulty: FaultyAirflow, tmp_path: Path
) -> None:
    with ExitStack() as faults:
        kinds = (500, "silence", "reset")
        before = faults.enter_context(faulty.aws.fault("batch:.*", 429, *kinds, rate=0.2))
        # What AWS throttles it does not carry out.
        after = faults.enter_context(faulty.aws.fault("batch:.*", *kinds, rate=0.2, after=True))
        runs = [faulty.run("FanFlow", tmp_path / f"batch-{number}") for number in range(2)]
        for run in runs:
            run.release("go-start", "go-body")
        for run in runs:
            run.went_through()
    assert before.seen + after.seen > 0


def test_an_s3_of_which_a_fifth_of_the_requests_fails(
    faulty: FaultyAirflow, tmp_path: Path
) -> None:
    with faulty.aws.fault("s3:.*", 500, 503, rate=0.2) as fault:
        runs = [faulty.run("FanFlow", tmp_path / f"s3-{number}") for number in range(2)]
        for run in runs:
            run.release("go-start", "go-body")
        for run in runs:
            run.went_through()
    assert fault.seen > 10


def test_a_job_that_was_taken_and_whose_answer_was_lost(
    faulty: FaultyAirflow, tmp_path: Path
) -> None:
    with faulty.aws.fault("batch:SubmitJob", "reset", 500, "silence", after=True) as fault:
        run = faulty.run("FanFlow", tmp_path / "lost")
        run.release("go-start", "go-body")
        run.went_through()
    assert fault.seen == 4
