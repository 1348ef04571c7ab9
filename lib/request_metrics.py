"""Requests and their times for Prometheus.

Each process of gunicorn counts in a file of its own, in the folder that gunicorn.conf.py makes; a scrape adds them up.
"""

import time
from ipaddress import ip_address
from typing import Any

from flask import Response, g, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

PATH = "/metrics"
PROXIED = ("HTTP_X_FORWARDED", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REQUESTS = Histogram(
    "countersign_request_seconds",
    "Requests by method, address and status, and their times",
    ["method", "address", "status"],
    buckets=SECONDS,
    registry=None,
)


def observe(response: Response) -> Response:
    labels = request.method, str(request.url_rule or "no such address"), str(response.status_code)
    REQUESTS.labels(*labels).observe(time.monotonic() - g.began)
    return response


def render(collector: Collector) -> bytes:
    """Return what the collector has, and the requests of all processes, in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # one process, which counts in memory
        registry.register(REQUESTS)
    return generate_latest(registry)


def is_local(environ: dict[str, Any]) -> bool:
    """Tell whether a program of this machine asks, and not a proxy for somebody else."""
    address = environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR") or "::"
    return ip_address(address).is_loopback and not any(name.startswith(PROXIED) for name in environ)


def under_any_name(wsgi_app: Any, host: str) -> Any:
    """Let a scraper of this machine ask at 127.0.0.1, though the host of BASE_URL is another one."""

    def run(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("PATH_INFO") == PATH and is_local(environ):
            environ["HTTP_HOST"] = host
        return wsgi_app(environ, start_response)

    return run
