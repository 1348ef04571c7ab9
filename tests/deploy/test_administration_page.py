"""docs/administration.md: each command and setting that it names is there, and each link leads somewhere."""

import re

import click
import pytest
from conftest import ENVIRON, ROOT

import config
from app import create_app

PAGE = (ROOT / "docs/administration.md").read_text()
COMMANDS = set(re.findall(r"(?:sudo countersign|`countersign|app flask|`flask) ([a-z][a-z-]+(?: [a-z][a-z-]+)?)", PAGE))
SETTINGS = set(re.findall(r"\b(?:MAIL|OIDC|SPECTRUM|BACKUP|DATABASE|SECRET|TIMEZONE|BASE)_[A-Z_]*[A-Z]\b", PAGE))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_of_the_page_exists(command: str) -> None:
    word, _, rest = command.partition(" ")
    cli = create_app(ENVIRON).cli
    found = cli.get_command(click.Context(cli), word)
    assert found is not None
    if isinstance(found, click.Group):
        assert rest in found.commands


def test_each_setting_of_the_page_exists() -> None:
    assert len(SETTINGS) > 20
    assert config.SETTINGS.keys() >= SETTINGS


def test_each_link_within_the_page_leads_to_a_heading() -> None:
    titles = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall("^##+ (.+)$", PAGE, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= titles
