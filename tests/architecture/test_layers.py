"""Layers of the house: imports point one way, and each kind of work stays in its room."""

import ast
import hashlib
import re
from pathlib import Path

import pytest

from models import Status

ROOT = Path(__file__).resolve().parent.parent.parent
# Each room, and the rooms that it may import; `erp` is the port, which alone knows its adapters.
LAYERS = {
    "config": set(),
    "extensions": set(),
    "erp": {"erp"},
    "lib": {"extensions", "lib"},
    "tables": {"lib", "extensions", "erp", "tables"},
    "models": {"tables", "lib"},
    "permissions": {"models", "extensions"},
    "services": {"services", "models", "lib", "erp", "extensions"},
    "tasks": {"tasks", "services", "models", "lib", "erp", "extensions"},
    "maintenance": {"maintenance", "services", "models", "lib", "config", "extensions"},
    "blueprints": {"blueprints", "permissions", "services", "models", "lib", "erp", "extensions"},
    "scheduler": {"tasks", "services", "models", "lib", "erp", "extensions"},
}
OUTSIDE = {"tests", "dev", "migrations", ".venv", "instance", "deploy", ".ci", "docs"}
BLUEPRINTS = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}


def product_files() -> list[Path]:
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    return sorted(path for path in paths if path.parts[0] not in OUTSIDE)


def imported_modules(path: Path) -> set[str]:
    """The modules of ours that a file imports, dotted; also inside functions and for the type checker alone."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in BLUEPRINTS}


@pytest.mark.parametrize("path", product_files(), ids=str)
def test_imports_point_downwards(path: Path) -> None:
    room = path.parts[0].removesuffix(".py")
    allowed = LAYERS.get(room, BLUEPRINTS - {"dev"} | ({"dev"} if room == "cli" else set()))
    wrong = {name for name in imported_modules(path) if name.split(".")[0] not in allowed}
    assert not wrong, f"{path} may not import {sorted(wrong)}: move what it needs down, or its caller up"


@pytest.mark.parametrize("path", [path for path in product_files() if path.parts[0] != "erp"], ids=str)
def test_nobody_but_the_port_knows_the_adapter(path: Path) -> None:
    wrong = {name for name in imported_modules(path) if name.startswith("erp.spectrum")}
    assert not wrong, f"{path} imports {sorted(wrong)}: say it in the port's words"


def test_no_element_of_spectrum_is_named_outside_its_adapter() -> None:
    tables = ROOT.glob("erp/spectrum/schema/*.csv")
    named = {word for table in tables for word in re.findall(r"[A-Z]\w+_\w+", table.read_text())}
    texts = [*(ROOT / path for path in product_files()), *(ROOT / "templates").rglob("*.*")]
    outside = [path for path in texts if path.relative_to(ROOT).parts[:2] != ("erp", "spectrum")]
    wrong = {str(path.relative_to(ROOT)): sorted(named & set(re.findall(r"\w+", path.read_text()))) for path in outside}
    assert not {path: words for path, words in wrong.items() if words}, "name it in the port's words"


def test_no_table_loads_the_dialect_of_postgresql_which_most_servers_never_need() -> None:
    """A condition of an index is named for SQLite; migrations/env.py tells PostgreSQL."""
    wrong = [path.name for path in ROOT.glob("tables/*.py") if "postgresql_" in path.read_text()]
    assert not wrong


@pytest.mark.parametrize(
    "sums", [*ROOT.glob("static/vendor/*.sha256"), *ROOT.glob("tests/vendor/*.sha256")], ids=lambda path: path.name
)
def test_a_vendored_file_is_what_it_was_when_it_was_taken_in(sums: Path) -> None:
    for line in sums.read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((sums.parent / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.*")), ids=lambda path: path.name)
def test_a_template_names_a_sync_status_by_status(path: Path) -> None:
    """A literal would stay behind when the words change. A step of an export is called Checking as well."""
    text = re.sub(r"{% set steps = .*", "", path.read_text())
    literals = re.findall(rf"""['">]({"|".join(Status)})['"<]""", text)
    assert not literals, f"{path.name} holds {literals}: use Status"


@pytest.mark.parametrize(
    "path",
    [path for path in product_files() if path.as_posix() != "services/workflow.py" and path.parts[0] != "erp"],
    ids=str,
)
def test_only_the_workflow_assigns_a_status(path: Path) -> None:
    targets = [node.targets for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Assign)]
    names = (
        name for each in targets for target in each for name in ast.walk(target) if isinstance(name, ast.Attribute)
    )
    assert not [name for name in names if name.attr == "status"], f"{path}: call a verb of services/workflow.py instead"


RELATIVE = re.compile(r"(what|which|who|whom|why|how|where|when|whether|as|also|again|until|in|from|nothing)\b", re.I)


@pytest.mark.parametrize("path", product_files(), ids=str)
def test_a_docstring_begins_with_a_noun_or_a_verb(path: Path) -> None:
    """A clause with what or who in its place makes people read twice."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, documented)]
    wrong = [text for node in nodes if RELATIVE.match(text := ast.get_docstring(node) or "")]
    assert not wrong, f"{path}: name the thing first in {wrong}"
