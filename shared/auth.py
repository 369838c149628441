"""Who may ask. Until there are tokens and roles, the answer is: whoever is on this machine."""

from __future__ import annotations

from ipaddress import ip_address

from shared.errors import Misconfigured


def refuse_open_host(host: str, allow_unauthenticated: bool) -> None:
    """Return quietly where serving at this host keeps strangers out, or where the operator said that it need not.

    Raises:
        Misconfigured: the host is no loopback address and `CAIRN_ALLOW_UNAUTHENTICATED` is not set.
    """
    if not allow_unauthenticated and not _is_loopback(host):
        raise Misconfigured(
            f"CAIRN_HOST is {host!r}, and requests are not authenticated yet: whoever reaches that address could read and write. "
            "Use 127.0.0.1, or set CAIRN_ALLOW_UNAUTHENTICATED=1 where something in front of it keeps strangers out"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
