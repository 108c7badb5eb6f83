"""Network interface for gloo: that of the route to the other machines."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from pytorch_designer.distributed.routes import (
    INTERFACE_VARIABLE,
    address_towards,
    choose_interface,
    interface_with,
)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="interfaces are found on Linux alone")


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INTERFACE_VARIABLE, "")


def test_the_way_to_this_machine_is_the_loopback_interface() -> None:
    assert address_towards("127.0.0.1", 1) == "127.0.0.1"
    assert interface_with("127.0.0.1") == "lo"
    assert interface_with("127.0.1.1") == "lo"  # what Debian lets the host name stand for


def test_a_host_without_an_address_has_no_route() -> None:
    assert address_towards("no-such-host.invalid", 1) is None


def test_an_address_that_no_interface_has_is_not_found() -> None:
    assert interface_with("203.0.113.7") is None
    assert interface_with("2001:db8::7") is None


def test_processes_on_one_machine_meet_where_the_store_is() -> None:
    assert choose_interface("127.0.0.1", []) == "lo"
    assert os.environ[INTERFACE_VARIABLE] == "lo"


def test_a_loopback_address_is_not_chosen_for_several_machines() -> None:
    # Process 0 reaches its own store over the loopback interface. Its route to the others is another one, if any.
    own = address_towards("203.0.113.7", 1)
    expected = None if own is None else interface_with(own)
    assert choose_interface("127.0.0.1", ["", "127.0.0.1", "203.0.113.7"]) == expected
    assert expected != "lo"


def test_the_users_choice_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INTERFACE_VARIABLE, "eth7")
    assert choose_interface("127.0.0.1", []) == "eth7"


def test_every_interface_with_an_address_is_found_by_it() -> None:
    own = socket.gethostbyname(socket.gethostname())
    assert interface_with(own) is not None
