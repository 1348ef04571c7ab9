"""A command line that is loaded when it is first used, because a web server needs none of it."""

from collections.abc import Callable

import click
from flask import Flask
from flask.cli import AppGroup


class LazyCommands(AppGroup):
    """The commands that `register` adds to the app at the first use."""

    def __init__(self, app: Flask, register: Callable[[Flask], None]) -> None:
        super().__init__(app.name)
        self._app, self._register = app, register

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._load()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        self._load()
        return super().get_command(ctx, cmd_name)

    def _load(self) -> None:
        if not self.commands:
            self._register(self._app)
