from __future__ import annotations

import pytest

from airflow_flowprovider.local.ports import bind_first_free, first_free


def test_a_taken_port_is_passed_over() -> None:
    with bind_first_free("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with bind_first_free("127.0.0.1", port) as other:
            assert port < other.getsockname()[1] <= port + 200


def test_first_free_leaves_the_port_free() -> None:
    port = first_free(0)
    assert first_free(port) == port
    assert port < 32_768  # where Linux's outgoing connections begin


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        bind_first_free("192.0.2.1", 0)
