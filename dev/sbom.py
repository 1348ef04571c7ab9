"""`make sbom`: all that the product ships with, as a bill of materials in CycloneDX 1.6, on stdout.

It tells of the packages of requirements.txt as they are installed, with their licenses, and of the vendored scripts.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from lib.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([\w.-]+)==([\w.]+)", re.MULTILINE)
# Classifiers of packages without a license expression
CLASSIFIERS = {"MIT License": "MIT", "BSD License": "BSD-3-Clause"}
# Licenses that a company may run and pass on without a condition that reaches its own code
ALLOWED = {"MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "MPL-2.0", "LGPL-3.0-only", "0BSD"}


def license_of(package: str) -> str:
    """Return the license of an installed package as an SPDX expression."""
    said = metadata(package).json
    if expression := said.get("license_expression"):
        return str(expression)
    named = [name.rpartition(" :: ")[2] for name in said.get("classifier", ()) if name.startswith("License")]
    found = next((CLASSIFIERS[name] for name in named if name in CLASSIFIERS), "")
    return found or str(said.get("license", "unknown")).splitlines()[0]


def not_allowed(expression: str) -> set[str]:
    """Return the licenses of an expression that are not among the allowed ones; one of an OR is enough."""
    choices = [set(choice.strip("() ").split(" AND ")) - ALLOWED for choice in expression.split(" OR ")]
    return min(choices, key=len)


def packages() -> Iterator[dict[str, Any]]:
    for name, version in PIN.findall((ROOT / "requirements.txt").read_text()):
        facts = {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        yield facts | {"bom-ref": facts["purl"], "licenses": [{"expression": license_of(name)}]}


def scripts() -> Iterator[dict[str, Any]]:
    for line in (ROOT / "static/vendor/htmx.sha256").read_text().splitlines():
        digest, file = line.split()
        if found := re.fullmatch(r"(\w+)-([\d.]+)\.min\.js", file):
            purl = f"pkg:npm/{found[1]}.org@{found[2]}"
            facts = {"type": "library", "name": found[1], "version": found[2], "purl": purl, "bom-ref": purl}
            yield facts | {"hashes": [{"alg": "SHA-256", "content": digest}], "licenses": [{"expression": "0BSD"}]}


def bill() -> dict[str, Any]:
    product = {"type": "application", "name": "countersign", "version": VERSION, "bom-ref": "countersign"}
    parts = [*packages(), *scripts()]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": product},
        "components": parts,
        "dependencies": [{"ref": "countersign", "dependsOn": [part["bom-ref"] for part in parts]}],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(), indent=2) + "\n")
