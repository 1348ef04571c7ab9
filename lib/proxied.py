"""The addresses that a proxy in front tells of its clients: X-Forwarded-For and X-Forwarded-Proto."""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix


def behind_proxy(wsgi_app: Any, proxies: Collection[IPv4Network | IPv6Network]) -> Any:
    """Believe those headers of the proxies alone: anybody else who reaches the port could forge an address."""
    believing = ProxyFix(wsgi_app, x_for=1, x_proto=1)

    def run(environ: dict[str, Any], start_response: Any) -> Any:
        address = ip_address(environ.get("REMOTE_ADDR") or "::")
        address = getattr(address, "ipv4_mapped", None) or address
        is_proxy = any(address in network for network in proxies)
        return (believing if is_proxy else wsgi_app)(environ, start_response)

    return run
