# SPDX-License-Identifier: Apache-2.0
"""Where a webhook may go: to hosts that the deployment names, over TLS, and to public addresses only by default."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t
import urllib.parse

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LONGEST = 2048
_PRINTABLE = re.compile(r"[!-~]+\Z")
_HTTPS = 443
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA_V6 = ipaddress.ip_address("fd00:ec2::254")


class NotAllowed(Exception):
    """An address that a webhook does not go to; the message says why, without the address's path."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A webhook's address, taken apart. The path may be a secret of its own: it is never logged."""

    host: str
    port: int
    path: str = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """Host, and the port where it is not the usual one."""
        return self.host if self.port == _HTTPS else f"{self.host}:{self.port}"


@dataclasses.dataclass(frozen=True)
class Hosts:
    """The hosts that webhooks go to, as ``name`` or ``name:port``; ``private`` ones may have private addresses."""

    public: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.public or self.private)

    def target(self, url: str) -> Target:
        """The target of this address. Raises NotAllowed."""
        target = _parse(url)
        if not self:
            raise NotAllowed("this deployment sends no webhooks (SD_WEBHOOK_HOSTS is empty); leave it out")
        if target.name not in self.public | self.private:
            raise NotAllowed(f"host {target.name} is none of those that this deployment sends webhooks to")
        return target

    def check(self, target: Target, addresses: t.Iterable[str]) -> None:
        """Refuse a host one of whose addresses it may not have. Raises NotAllowed."""
        for text in addresses:
            address = _real(ipaddress.ip_address(text.split("%", 1)[0]))
            # Instance metadata holds credentials: no name makes it a receiver.
            if address.is_link_local or address == _METADATA_V6:
                raise NotAllowed(f"host {target.name} has a link-local address")
            if target.name not in self.private and (not address.is_global or address.is_multicast):
                raise NotAllowed(f"host {target.name} has an address that is not public (see SD_WEBHOOK_PRIVATE_HOSTS)")


def _parse(url: str) -> Target:
    if len(url) > _LONGEST or not _PRINTABLE.match(url):
        raise NotAllowed(f"must be an address of at most {_LONGEST} printable ASCII characters")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port if parts.port is not None else _HTTPS
    except ValueError:
        raise NotAllowed("is no address") from None
    if parts.scheme != "https" or not parts.hostname:
        raise NotAllowed("must begin with https:// and a host")
    if parts.username is not None or parts.password is not None or "\\" in url:
        raise NotAllowed("must not hold a user, a password or a backslash")
    path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return Target(parts.hostname.lower().rstrip("."), port, path)


def _real(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
