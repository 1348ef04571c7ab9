"""The commands. Each exits 0 when it did what was asked, 1 with a sentence when it could not, 2 for wrong usage."""

import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError

import scheduler
from dev.demo.seed import seed
from erp import ERP, ReadError
from extensions import db, writing
from lib import json_log, schema_version
from lib.formatting import local, plural
from maintenance import backup, keeping, move_to_postgresql
from models import ON_SERVER, PASSWORD_LENGTH, Level, Person, Project, Setting, utcnow
from services import project_csv
from tasks import digest, erp_connection, exports, job_list, mail_delivery


class DatabaseCommand(click.Command):
    """A command that says in a sentence that the database can not be used."""

    any_version = True

    def invoke(self, context: click.Context) -> Any:
        try:
            if not self.any_version:
                with_appcontext(schema_version.refuse_other_version)()
            return super().invoke(context)
        except (IntegrityError, DataError):  # of what we wrote, not of the database
            raise
        except DatabaseError as error:
            raise schema_version.unusable(error) from None


class CurrentSchemaCommand(DatabaseCommand):
    """A command for a database of this version only."""

    any_version = False


class Group(AppGroup):
    """Commands under one word."""

    command_class = CurrentSchemaCommand


people = Group("users", help="The people of the Company Directory.")
jobs = Group("jobs", help="Spectrum's job list.")
projects = Group("projects", help="Projects in and out as CSV.")
export_commands = Group("exports", help="What is on its way to Spectrum.")
spectrum = Group("spectrum", help="The connection to Spectrum.")
digests = Group("digest", help="The daily summary.")
mails = Group("mail", help="The mail server.")
demo = Group("demo", help="Data to practise on.")
Command = Callable[..., Any]
FILE = click.Path(dir_okay=False, path_type=Path)
LEVELS = click.Choice([level.value for level in Level])


def register(app: Flask) -> None:
    backup.migrate.init_app(app, db)
    for command in (run_scheduler, save_backup, keep_backups, restore_backup, move_database):
        app.cli.add_command(command)
    for group in (people, projects, jobs, export_commands, spectrum, digests, mails, demo):
        app.cli.add_command(group)


def _level(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Level | None:
    return Level(value) if value else None


def _level_options(command: Command) -> Command:
    for tool in ("directory", "projects", "erp"):
        command = click.option(f"--{tool}", type=LEVELS, callback=_level, help=f"level on the {tool} tool")(command)
    return command


def _yes_or_no(name: str, meaning: str) -> Callable[[Command], Command]:
    return click.option(f"--{name}", type=click.Choice(["yes", "no"]), callback=_flag, help=meaning)


def _flag(_context: click.Context, _parameter: click.Parameter, value: str | None) -> bool | None:
    return None if value is None else value == "yes"


password_stdin = click.option(
    "--password-stdin", is_flag=True, required=True, expose_value=False, help="read the password from standard input"
)


def _person(email: str) -> Person:
    """The person of that email, held for changing."""
    found = Person.by_email(email)
    held = found and Person.hold(found.id)
    if held is None:
        raise click.ClickException(f"There is no person with the email {email}.")
    return held


def _password() -> str:
    try:
        password = sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.ClickException("The password is not in UTF-8.") from None
    if len(password) < PASSWORD_LENGTH:
        raise click.ClickException(f"A password has {PASSWORD_LENGTH} characters or more.")
    return password


def _to_stderr(line: str) -> None:
    """Say how far a long command is."""
    click.echo(line, err=True)


def _refuse(errors: dict[str, str]) -> None:
    if errors:
        raise click.ClickException(" ".join(errors.values()))


@people.command("create")
@click.argument("email")
@click.option("--name", required=True)
@_level_options
@click.option("--can-push", is_flag=True, help="grant Can Push to Accounting")
@password_stdin
def create_person(email: str, name: str, can_push: bool, **levels: Level | None) -> None:
    """Add a person."""
    password = _password()
    wanted = {"name": name.strip(), "email": email.strip(), "can_push": can_push}
    wanted |= {tool: level or Level.NONE for tool, level in levels.items()}
    with writing():
        _refuse(Person.problems(None, wanted))
        person = Person.add(None, wanted)
        person.set_password(password)
    click.echo(f"Added {person.name} <{person.email}>.")


@people.command("set")
@click.argument("email")
@click.option("--name")
@_level_options
@_yes_or_no("can-push", "grant or take Can Push to Accounting")
@_yes_or_no("active", "let the person sign in, or not")
@_yes_or_no("subscribed", "send the digest to the person, or not")
def set_person(email: str, **options: Any) -> None:
    """Change a person."""
    wanted = {column: value for column, value in options.items() if value is not None}
    if not wanted:
        raise click.UsageError("Say what to change: see users set --help.")
    click.echo(_changed(email, wanted))


@people.command("disable")
@click.argument("email")
def disable_person(email: str) -> None:
    """End a person's sessions and let the person sign in no more."""
    click.echo(_changed(email, {"active": False}))


def _changed(email: str, wanted: dict[str, Any]) -> str:
    with writing():
        person = _person(email)
        _refuse(Person.problems(None, wanted, person))
        changed = person.change(None, wanted)
    return f"Changed {person.name} <{person.email}>." if changed else f"{person.name} is like that already."


@people.command("passwd")
@click.argument("email")
@password_stdin
def set_password(email: str) -> None:
    """Set a person's password; every session of the person ends."""
    password = _password()
    with writing():
        person = _person(email)
        person.set_password(password)
        person.note("set the password", None, ON_SERVER)
    click.echo(f"Set the password of {person.name} <{person.email}>.")


@people.command("list")
def list_people() -> None:
    """Everybody, a line each."""
    for person in db.session.scalars(select(Person).order_by(Person.email)):
        levels = " ".join(f"{tool}={getattr(person, tool).value}" for tool in ("erp", "projects", "directory"))
        flags = {
            "can-push": person.can_push,
            "subscribed": person.subscribed,
            "invited": not person.password_hash,
            "disabled": not person.active,
        }
        words = " ".join(word for word, flag in flags.items() if flag)
        click.echo(f"{person.email}  {person.name}  {levels}  {words}".rstrip())


@projects.command("import")
@click.argument("file", type=FILE)
def import_projects(file: Path) -> None:
    """Add the projects of a CSV file: all of them, or none where a line is wrong."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{file} can not be read: {error.strerror}.") from None
    with writing():
        found = project_csv.read(data)
        if not found.problems and not project_csv.carry_out(found, None, _to_stderr):
            found = project_csv.read(data)
    if found.problems:
        faults = [f"{line}: {sentence}" for line, sentence in found.faults]
        raise click.ClickException("\n".join(["Nothing was imported.", *faults]))
    click.echo(f"{plural(len(found.projects), 'project')} imported.")


@projects.command("export")
@click.argument("file", type=FILE)
def export_projects(file: Path) -> None:
    """Write every project into a CSV file."""
    try:
        with backup.atomic_write(file) as partial, partial.open("w", encoding="utf-8", newline="") as opened:
            opened.writelines(project_csv.pieces(select(Project).order_by(Project.id)))
    except OSError as error:
        raise click.ClickException(f"{file} can not be written: {error.strerror}.") from None
    exported = db.session.scalar(select(func.count()).select_from(Project)) or 0
    click.echo(f"{plural(exported, 'project')} exported.")


@jobs.command("refresh")
def refresh_jobs() -> None:
    """Read Spectrum's job list now."""
    try:
        click.echo(job_list.refresh(_spectrum()))
    except ReadError as reading:
        raise click.ClickException(reading.cause) from None


@export_commands.command("run")
def run_exports() -> None:
    """Do the exports that are due, once, a line per project."""
    erp = _spectrum()
    if paused := Setting.read(Setting.PAUSED):
        raise click.ClickException(f"{paused['by']} paused exports. Press Resume in the ERP settings first.")
    exports.run_due(erp, click.echo)


def _spectrum() -> ERP:
    erp_connection.refuse_other_company()
    erp = job_list.spectrum()
    if erp is None:
        raise click.ClickException("Spectrum is not set up: SPECTRUM_URL is missing.")
    return erp


@spectrum.command("check")
def check_spectrum() -> None:
    """Test the connection, a line per service."""
    problems = []
    for service, problem in erp_connection.test(_spectrum()):
        click.echo(erp_connection.line(service, problem))
        problems.append(problem)
    passed, sentence = erp_connection.verdict(problems)
    if not passed:
        raise click.ClickException(sentence)
    click.echo(sentence)


@digests.command("send")
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="the local moment, such as 2026-03-09T07:00")
def send_digests(at: datetime | None) -> None:
    """Send the digests that are due now, or at that local moment, a line per recipient."""
    if closed := mail_delivery.blocked_reason():
        raise click.ClickException(closed)
    digest.send_day(at or local(utcnow()), click.echo)


@mails.command("check")
@click.argument("address")
def check_mail(address: str) -> None:
    """Send a test mail to ADDRESS, and say which way it goes and how far it came."""
    succeeded, answer = mail_delivery.send_test(address, click.echo)
    if not succeeded:
        raise click.ClickException(answer)
    click.echo(answer)


@click.command("scheduler", cls=CurrentSchemaCommand)
@with_appcontext
def run_scheduler() -> None:
    """Run the timetable in the foreground, without the web server, until it is told to stop."""
    erp_connection.refuse_other_company()
    stopped = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stopped.set())
    json_log.set_up()
    for remark in current_app.config["MAIL_REMARKS"]:
        current_app.logger.warning(remark)
    scheduler.start(current_app._get_current_object())  # type: ignore[attr-defined]  # what stands behind the proxy
    click.echo("The timetable runs.")
    stopped.wait()
    scheduler.stop()


@click.command("backup", cls=DatabaseCommand)
@click.argument("file", type=FILE)
@with_appcontext
def save_backup(file: Path) -> None:
    """Write a consistent copy of the database to FILE, also while the app runs."""
    keeping.save(file)
    click.echo(f"{file} holds the whole database.")


@click.command("backups", cls=DatabaseCommand)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--keep", type=click.IntRange(1), default=14, show_default=True, help="so many stay, the newest")
@with_appcontext
def keep_backups(directory: Path, keep: int) -> None:
    """Write a backup into DIRECTORY, and take the oldest away."""
    click.echo(f"{keeping.keep(directory, keep)} holds the whole database.")


@click.command("restore", cls=DatabaseCommand)
@click.argument("file", type=FILE)
@click.option("--as-it-was", is_flag=True, help="undo an upgrade with the backup made right before it: nothing waits")
@with_appcontext
def restore_backup(file: Path, as_it_was: bool) -> None:
    """Put the backup FILE in the place of the database. Everything then waits until somebody presses Resume."""
    if as_it_was:
        backup.undo_upgrade(file)
        click.echo("The database is as it was.")
        return
    kept = backup.restore(file)
    if kept:
        click.echo(f"What was there before is in {kept}.")
    click.echo("Restored. Exports and mails are paused: refresh the job list, look at what waits, then press Resume.")


@click.command("move", cls=CurrentSchemaCommand)
@click.argument("address")
@with_appcontext
def move_database(address: str) -> None:
    """Copy the database into the new, empty one of PostgreSQL at ADDRESS. Stop Countersign first."""
    try:
        rows = move_to_postgresql.move(address)
    except ValueError as problem:
        raise click.ClickException(f"ADDRESS {problem}.") from None
    click.echo(f"{plural(rows, 'row')} copied. Set DATABASE_URL to that address, and start Countersign.")


@demo.command("seed")
@click.option("--projects", "many", type=click.IntRange(1, 9_999_999), default=None, help="so many, in every status")
def seed_demo(many: int | None) -> None:
    """Fill an empty or a demo database with demo data."""
    try:
        click.echo(seed(many or 0, _to_stderr))
    except ValueError as problem:
        raise click.ClickException(str(problem)) from None
