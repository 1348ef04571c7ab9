"""The bill of materials: everything that is pinned is in it, under a license that may be passed on."""

import re

import pytest
from conftest import ROOT

from dev import sbom


def test_it_lists_every_pinned_package_and_the_vendored_script_with_their_licenses() -> None:
    parts = {part["name"]: part for part in sbom.bill()["components"]}
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert {name: part["version"] for name, part in parts.items() if name != "htmx"} == pinned
    assert parts["htmx"]["hashes"][0]["content"] in (ROOT / "static/vendor/htmx.sha256").read_text()
    licenses = {name: part["licenses"][0]["expression"] for name, part in parts.items()}
    assert not {name: said for name, said in licenses.items() if sbom.not_allowed(said)}


@pytest.mark.parametrize(
    ("expression", "refused"),
    [("MIT", set()), ("GPL-3.0-only OR MIT", set()), ("MIT AND AGPL-3.0-only", {"AGPL-3.0-only"}), ("x", {"x"})],
)
def test_a_license_that_reaches_our_own_code_is_refused(expression: str, refused: set[str]) -> None:
    assert sbom.not_allowed(expression) == refused
