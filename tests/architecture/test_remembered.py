"""Macros whose results are remembered read their arguments alone, because everybody is shown the results."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, meta, nodes

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"
CONSTANTS = {"Level", "Status", "url_for", "waiting"}  # paths are remembered as well
FILTERS = {"default", "e", "lower", "replace"}  # that read no clock and no settings


def parse(path: Path) -> nodes.Template:
    return Environment(autoescape=True).parse(path.read_text())


def remembered_macros() -> Iterator[tuple[str, str]]:
    """The file and the name of each macro that a template asks for by the filter."""
    for path in sorted(TEMPLATES.rglob("*.html")):
        page = parse(path)
        imports = {name: each.template.value for each in page.find_all(nodes.FromImport) for name in each.names}
        for used in page.find_all(nodes.Filter):
            if used.name == "remembered":
                yield imports.get(used.node.name, path.relative_to(TEMPLATES).as_posix()), used.node.name


@pytest.mark.parametrize(("file", "name"), sorted(set(remembered_macros())))
def test_a_remembered_macro_reads_no_request_session_person_or_clock(file: str, name: str) -> None:
    page = parse(TEMPLATES / file)
    (macro,) = (each for each in page.find_all(nodes.Macro) if each.name == name)
    others = [each for each in page.body if not isinstance(each, (nodes.Macro, nodes.Output))]
    assert not others, "a page makes its macros anew each time, a file of macros once"
    assert not list(macro.find_all((nodes.Include, nodes.Import, nodes.FromImport))), "it may read anything"
    assert {each.name for each in macro.find_all(nodes.Filter)} <= FILTERS
    alone = nodes.Template([macro], lineno=1).set_environment(page.environment)
    assert meta.find_undeclared_variables(alone) <= CONSTANTS


def test_something_is_remembered() -> None:
    assert list(remembered_macros())
