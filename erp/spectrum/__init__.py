"""Spectrum's Data Exchange web services, as an accounting system that Countersign can use."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from erp import Learned
from erp.spectrum.system import SpectrumRules

if TYPE_CHECKING:
    from erp.spectrum.client import Spectrum

RULES = SpectrumRules()


def load() -> None:
    import anyio
    import httpcore  # noqa: F401 - httpx loads it at its first call

    from erp.spectrum import client  # noqa: F401

    anyio.get_available_backends()


def connect(settings: Mapping[str, Any], learned: Learned | None, client_secrets: Sequence[str]) -> "Spectrum | None":
    """Return the connection that the settings name; None where they name none."""
    from erp.spectrum.client import Spectrum  # late: pages need the rules alone, and no HTTP

    if not settings["SPECTRUM_URL"]:
        return None
    secrets = client_secrets or [settings["SPECTRUM_CLIENT_SECRET"]]
    return Spectrum(
        settings["SPECTRUM_URL"],
        settings["SPECTRUM_COMPANY_CODE"],
        settings["SPECTRUM_AUTHORIZATION_ID"],
        ca_file=settings["SPECTRUM_CA_FILE"] or None,
        connect_timeout=settings["SPECTRUM_CONNECT_TIMEOUT"],
        read_timeout=settings["SPECTRUM_READ_TIMEOUT"],
        deadline=settings["SPECTRUM_DEADLINE"],
        token_client=(settings["SPECTRUM_CLIENT_ID"], *secrets) if settings["SPECTRUM_CLIENT_ID"] else None,
        auth=settings.get("SPECTRUM_AUTH", "auto"),
        guid=settings.get("SPECTRUM_GUID", "auto"),
        learned=learned,
    )
