"""Network interface on which the processes of a run reach each other.

gloo takes the address that the host name resolves to, which is often the loopback interface: processes on different
machines then cannot connect. Here it is the interface of the route to the other machines.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERFACE_VARIABLE = "GLOO_SOCKET_IFNAME"
_GET_ADDRESS = 0x8915  # SIOCGIFADDR of Linux
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")


def address_towards(host: str, port: int) -> str | None:
    """This machine's own address on the way to a host; None where the host has no address. Nothing is sent."""
    with suppress(OSError):
        for family, _, _, _, target in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
            with suppress(OSError), closing(socket.socket(family, socket.SOCK_DGRAM)) as route:
                route.connect(target)
                return str(route.getsockname()[0])
    return None


def interface_with(address: str) -> str | None:
    """Name of the network interface that has an address; None where it is not found, and elsewhere than on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    wanted = ipaddress.ip_address(address.partition("%")[0])
    if wanted.version == 6:
        return _interface_with_ipv6(wanted.packed.hex())
    import fcntl

    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as request:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has no address
                answer = fcntl.ioctl(request.fileno(), _GET_ADDRESS, struct.pack("256s", name.encode()[:15]))
                if answer[20:24] == wanted.packed:
                    return name
    return "lo" if wanted.is_loopback else None


def choose_interface(own_address: str, other_addresses: Sequence[str]) -> str | None:
    """Set gloo's interface, unless the user has; returns its name, or None where gloo is left to choose.

    Args:
        own_address: This machine's address on the way to the store; empty if it is not known.
        other_addresses: Those of processes on other machines; empty if there are none.
    """
    if os.environ.get(INTERFACE_VARIABLE):
        return os.environ[INTERFACE_VARIABLE]
    address: str | None = own_address or None
    if address is not None and _is_loopback(address):  # process 0, or the host name stands for a loopback address
        outside = [other for other in other_addresses if other and not _is_loopback(other)]
        address = address_towards(outside[0], 1) if outside else address
    name = None if address is None else interface_with(address)
    if name is not None:
        os.environ[INTERFACE_VARIABLE] = name
    return name


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _interface_with_ipv6(digits: str) -> str | None:
    """A line: `fe80000000000000021122fffe334455 02 40 20 80 eth0`."""
    with suppress(OSError):
        for line in _IPV6_ADDRESSES.read_text(encoding="ascii").splitlines():
            fields = line.split()
            if fields[0] == digits:
                return fields[-1]
    return None
