from __future__ import annotations

import re

import pytest

from flowsdk.aws_batch.names import (
    MAX_CHARACTERS,
    attempt_of,
    job_name,
    job_prefix,
    numbers_of,
    task_prefix,
)

RUN = "manual__2026-11-21T09:00:00.123456+00:00"


def test_a_name_says_what_runs_and_is_the_same_tomorrow() -> None:
    name = job_name("MyFlow", RUN, "train", "3-7", 2, 1)
    assert name == "MyFlow_train_9586071e9c25-g1-2"


def test_names_of_a_generation_share_their_prefix_and_no_others() -> None:
    prefix = job_prefix("MyFlow", RUN, "train", "0", 1)
    assert numbers_of(job_name("MyFlow", RUN, "train", "0", 12, 1), prefix) == (12,)
    others = [
        job_name("MyFlow", RUN, "train", "0", 1, 11),
        job_name("MyFlow", RUN, "train", "0", 1, 2),
        job_name("MyFlow", RUN, "train", "1", 1, 1),
        job_name("MyFlow", RUN + "x", "train", "0", 1, 1),
    ]
    assert [numbers_of(other, prefix) for other in others] == [None] * 4
    assert numbers_of(prefix + "2-copy", prefix) is None


def test_the_attempt_of_a_job_is_known_whatever_its_generation() -> None:
    prefix = task_prefix("MyFlow", RUN, "train", "0")
    assert attempt_of(job_name("MyFlow", RUN, "train", "0", 12, 3), prefix) == 12
    assert attempt_of(job_name("MyFlow", RUN, "train", "0", 4, 10, (1, 3)), prefix) == 4
    assert attempt_of(job_name("MyFlow", RUN, "train", "1", 4), prefix) is None
    assert attempt_of(prefix + "g0-2-copy", prefix) is None


def test_jobs_of_one_task_instance_are_told_apart() -> None:
    prefix = job_prefix("MyFlow", RUN, "train", "0", 1)
    name = job_name("MyFlow", RUN, "train", "0", 2, 1, (1, 3))
    assert name == prefix + "2-1-3"
    assert numbers_of(name, prefix) == (2, 1, 3)


@pytest.mark.parametrize(
    ("flow", "step"), [("F" * 200, "s" * 200), ("_Übung", "träume"), ("___", "_")]
)
def test_aws_accepts_whatever_python_accepts_as_a_name(flow: str, step: str) -> None:
    name = job_name(flow, RUN, step, "0", 10**6, 10**6)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name)
    assert len(name) <= MAX_CHARACTERS


def test_long_names_that_begin_alike_stay_apart() -> None:
    prefixes = {job_prefix("F" * 150 + end, RUN, "train", "0") for end in "ab"}
    assert len(prefixes) == 2
