"""How the house is built: imports point one way, the sandbox stays outside, and vendored files are what they were."""

import ast
import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {"tests", "migrations", "dev", "demo", ".venv", "instance", "bench", "deploy", ".ci", "docs"}
OURS = {path.stem for path in ROOT.glob("*.py")} | {"blueprints", "erp", "tables", "demo", "dev"}
ANYTHING = OURS - {"dev"}
# what each room may import of ours; `erp` below means the port and the field tables, `erp.spectrum` the client
ALLOWED = {
    "config": set(),
    "erp": {"erp"},
    "extensions": set(),
    "tables": {"extensions", "erp", "tables"},
    "models": {"extensions", "erp", "tables"},
    "smtp": set(),
    "paging": {"extensions"},
    "listings": {"extensions", "models", "paging"},
    "worklist": {"extensions", "listings", "models", "paging"},
    "glance": {"extensions", "listings", "models", "wording", "worklist"},
}
BLUEPRINTS_NEVER = {"erp.spectrum", "exporting", "joblist", "digest", "mailer", "smtp"}
BLUEPRINTS_NEVER |= {"timetable", "cli", "app", "connection"}


def rooms() -> list[Path]:
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    return sorted(path for path in paths if path.parts[0] not in OUTSIDE)


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, dotted; not what only the type checker sees."""
    found, tree = set(), ast.parse((ROOT / path).read_text())
    tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name for name in found if name.split(".")[0] in OURS}


@pytest.mark.parametrize("path", rooms(), ids=str)
def test_the_product_never_imports_the_sandbox(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] == "dev"]


@pytest.mark.parametrize("path", [path for path in rooms() if path.parts[0].removesuffix(".py") in ALLOWED], ids=str)
def test_the_ground_floor_imports_only_what_lies_below_it(path: Path) -> None:
    room = path.parts[0].removesuffix(".py")
    above = {name.split(".")[0] for name in imports(path)} - ALLOWED[room]
    assert not above, f"{path} may not import {above}: move what it needs down, or the caller up"


@pytest.mark.parametrize("path", [path for path in rooms() if path.parts[0] == "blueprints"], ids=str)
def test_a_page_never_reaches_for_spectrum_or_smtp(path: Path) -> None:
    reached = imports(path) & BLUEPRINTS_NEVER
    assert not reached, f"{path} imports {reached}: change a row instead, and let the timetable see it"


@pytest.mark.parametrize("path", [path for path in rooms() if path.parts[0] != "erp"], ids=str)
def test_only_one_room_outside_the_port_knows_the_client(path: Path) -> None:
    assert "erp.spectrum" not in imports(path) or str(path) == "joblist.py"


@pytest.mark.parametrize(
    "sums", [*ROOT.glob("static/*.sha256"), *ROOT.glob("tests/vendor/*.sha256")], ids=lambda path: path.name
)
def test_a_vendored_file_is_what_it_was_when_it_was_taken_in(sums: Path) -> None:
    for line in sums.read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((sums.parent / name).read_bytes()).hexdigest() == digest
