from __future__ import annotations

import re

import pytest
from botocore.loaders import Loader

from flowsdk.aws_batch.fargate import MEMORY_MIB, fitting, inapplicable, unsold


def test_the_table_is_that_of_aws() -> None:
    model = Loader().load_service_model("batch", "service-2")
    text = model["shapes"]["ResourceRequirement"]["members"]["value"]["documentation"]
    plain = re.sub(r"<[^>]+>|,|\bor\b", " ", text.partition('type="VCPU"')[2])
    found = re.findall(r"value = ([\d.]+)\s+MEMORY\s+=([\d\s]+)", plain)
    assert {float(cpu): [int(n) for n in sizes.split()] for cpu, sizes in found} == {
        cpu: list(sizes) for cpu, sizes in MEMORY_MIB.items()
    }


@pytest.mark.parametrize(
    ("asked", "sold"),
    [
        ((0.25, 100), (0.25, 512)),
        ((0.3, 512), (0.5, 1024)),
        ((1, 4096), (1, 4096)),
        ((1, 8193), (2, 9216)),
        ((16, 122_881), (32, 249_856)),
        ((64, 1), (32, 249_856)),
    ],
)
def test_what_comes_next(asked: tuple[float, int], sold: tuple[float, int]) -> None:
    assert fitting(*asked) == sold
    assert unsold(*sold) == ""


def test_what_cannot_be_had_names_what_can() -> None:
    assert unsold(1, 5000) == (
        "found cpu=1 and memory=5000, expected one of Fargate's combinations of vCPUs and MiB. The "
        "next is cpu=1, memory=5120."
    )


def test_what_fargate_does_not_take() -> None:
    container = {
        "privileged": True,
        "ulimits": [{"name": "nofile"}],
        "linuxParameters": {"swappiness": 0, "maxSwap": 0, "initProcessEnabled": True},
        "volumes": [{"efsVolumeConfiguration": {}}, {"host": {"sourcePath": "/x"}}],
        "logConfiguration": {"logDriver": "gelf"},
    }
    assert list(inapplicable(container)) == [
        "privileged",
        "ulimits",
        "linuxParameters.maxSwap",
        "linuxParameters.swappiness",
        "volumes.host",
        "logConfiguration.logDriver 'gelf'",
    ]
    plain = {"privileged": False, "logConfiguration": {"logDriver": "splunk"}}
    assert not list(inapplicable(plain))
