"""A client's address is believed of the proxy in front alone."""

from typing import Any

import pytest
from flask import request

import config
from app import create_app

FORGED = {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}


@pytest.mark.parametrize(
    ("peer", "proxies", "address"),
    [
        ("127.0.0.1", "", "203.0.113.9"),
        ("::1", "", "203.0.113.9"),
        ("192.0.2.7", "", "192.0.2.7"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", "203.0.113.9"),
        ("::ffff:172.18.0.1", "172.16.0.0/12, ::1", "203.0.113.9"),
        ("10.0.0.6", "10.0.0.5,172.16.0.0/12", "10.0.0.6"),
    ],
)
def test_a_forwarded_address_counts_from_a_trusted_proxy_only(
    peer: str, proxies: str, address: str, tmp_path: Any
) -> None:
    """Out: is_proxy."""
    environ = {"SECRET_KEY": "0123456789abcdef", "BASE_URL": "https://countersign.example.com", "TIMEZONE": "UTC"}
    app = create_app(environ | {"TRUSTED_PROXIES": proxies, "HOST": "0.0.0.0"}, instance_path=str(tmp_path))
    asked: list[str | None] = []
    app.before_request_funcs[None].insert(0, lambda: asked.append(request.remote_addr))
    app.test_client().get("/healthz", environ_overrides=FORGED | {"REMOTE_ADDR": peer})
    assert asked == [address]


def test_by_default_the_proxy_is_on_this_machine() -> None:
    found = config.load({"SECRET_KEY": "0123456789abcdef"})["TRUSTED_PROXIES"]
    assert [str(network) for network in found] == ["127.0.0.0/8", "::1/128"]
