"""The commands. Each exits 0 when it did what was asked, 1 with a sentence when it could not, 2 for wrong usage."""

import signal
import sys
import threading
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError

import scheduler
from dev.demo.seed import seed
from erp import Connection, ReadError
from extensions import db, writing
from lib import database_errors, json_log, schema_version
from lib.atomic_file import atomic_write
from lib.formatting import local, plural
from lib.text import clean
from maintenance import (
    backup,
    backup_copy,
    move_to_postgresql,
    rehearsal,
    startup_checks,
    support_report,
    upgrade_check,
)
from maintenance.migrate import migrate
from models import Level, Person, Project, Setting, SettingName, utcnow
from permissions import TOOLS
from services import accounts, after_restore, company_accounts, directory, project_csv, workflow
from tasks import client_secret, digest, erp_connection, exports, job_list, mail_delivery


class DatabaseCommand(click.Command):
    """A command that says in a sentence that the database can't be used."""

    any_version = True

    def invoke(self, context: click.Context) -> Any:
        try:
            if not self.any_version:
                with_appcontext(schema_version.refuse_other_version)()
            context.params = {
                name: clean(value) if isinstance(value, str) else value for name, value in context.params.items()
            }
            return super().invoke(context)
        except (IntegrityError, DataError):  # of what we wrote, not of the database
            raise
        except DatabaseError as error:
            raise database_errors.unusable(error) from None


class CurrentSchemaCommand(DatabaseCommand):
    """A command for a database of this version only."""

    any_version = False


class Group(AppGroup):
    """Commands under one word."""

    command_class = CurrentSchemaCommand


people = Group("users", help="The people of the Company Directory.")
jobs = Group("jobs", help="Spectrum's job list.")
projects = Group("projects", help="Import and export projects as CSV.")
export_commands = Group("exports", help="Exports to Spectrum.")
spectrum = Group("spectrum", help="The connection to Spectrum.")
digests = Group("digest", help="The daily summary.")
mails = Group("mail", help="The mail server.")
demo = Group("demo", help="Practice data.")
NEVER = "never"
Command = Callable[..., Any]
FILE = click.Path(dir_okay=False, path_type=Path)
LEVELS = click.Choice([level.value for level in Level])


def register(app: Flask) -> None:
    migrate.init_app(app, db)
    for command in (run_scheduler, save_backup, keep_backups, restore_backup, move_database, check):
        app.cli.add_command(command)
    for group in (people, projects, jobs, export_commands, spectrum, digests, mails, demo):
        app.cli.add_command(group)


def _level(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Level | None:
    return Level(value) if value else None


def _level_options(command: Command) -> Command:
    for tool in ("directory", "projects", "erp"):
        command = click.option(f"--{tool}", type=LEVELS, callback=_level, help=f"level on {TOOLS[tool]}")(command)
    return command


def _yes_or_no(name: str, meaning: str) -> Callable[[Command], Command]:
    return click.option(f"--{name}", type=click.Choice(["yes", "no"]), callback=_flag, help=meaning)


def _flag(_context: click.Context, _parameter: click.Parameter, value: str | None) -> bool | None:
    return None if value is None else value == "yes"


def _day(_context: click.Context, _parameter: click.Parameter, value: str | None) -> date | str | None:
    try:
        return value if value in (None, NEVER) else date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("Enter a day as YYYY-MM-DD, or never.") from None


password_stdin = click.option(
    "--password-stdin", is_flag=True, required=True, expose_value=False, help="read the password from standard input"
)


def _person(email: str) -> Person:
    found = Person.by_email(email)
    held = found and directory.lock(found.id)
    if held is None:
        raise click.ClickException(f"There is no person with the email {email}.")
    return held


def _password() -> str:
    try:
        password = sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.ClickException("The password is not in UTF-8.") from None
    if len(password) < accounts.PASSWORD_LENGTH:
        raise click.ClickException(f"A password has {accounts.PASSWORD_LENGTH} characters or more.")
    return password


def _to_stderr(line: str) -> None:
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
        _refuse(directory.validate(None, wanted))
        person = directory.add(None, wanted)
        accounts.set_password(person, password)
    click.echo(f"Added {person.name} <{person.email}>.")


@people.command("set")
@click.argument("email")
@click.option("--name")
@_level_options
@_yes_or_no("can-push", "grant or take Can Push to Accounting")
@click.option("--can-push-until", callback=_day, help="the last day of Can Push to Accounting: YYYY-MM-DD or never")
@_yes_or_no("active", "let the person sign in, or not")
@_yes_or_no("subscribed", "send the digest to the person, or not")
def set_person(email: str, **options: Any) -> None:
    """Change a person."""
    wanted = {column: value for column, value in options.items() if value is not None}
    if wanted.get("can_push_until") == NEVER:
        wanted["can_push_until"] = None
    if not wanted:
        raise click.UsageError("Say what to change: see users set --help.")
    click.echo(_changed(email, wanted))


@people.command("disable")
@click.argument("email")
def disable_person(email: str) -> None:
    """Sign a person out everywhere, and don't let them sign in again."""
    click.echo(_changed(email, {"active": False}))


def _changed(email: str, wanted: dict[str, Any]) -> str:
    with writing():
        person = _person(email)
        _refuse(directory.validate(None, wanted, person))
        changed = directory.change(person, None, wanted)
    return f"Changed {person.name} <{person.email}>." if changed else f"{person.name} is like that already."


@people.command("passwd")
@click.argument("email")
@password_stdin
def set_password(email: str) -> None:
    """Set a person's password, and sign them out everywhere."""
    password = _password()
    with writing():
        person = _person(email)
        accounts.set_password(person, password)
        directory.record(person, "set the password", None, directory.ON_SERVER)
    click.echo(f"Set the password of {person.name} <{person.email}>.")


@people.command("forget-account")
@click.argument("email")
def forget_account(email: str) -> None:
    """Forget the company account that a person signed in with, and sign them out everywhere."""
    with writing():
        person = _person(email)
        forgotten = company_accounts.forget(person, None)
    if not forgotten:
        raise click.ClickException(f"{person.name} has no company account.")
    click.echo(f"Forgot the company account of {person.name} <{person.email}>.")


@people.command("list")
def list_people() -> None:
    """List everybody, one line per person."""
    for person in db.session.scalars(select(Person).order_by(Person.email)):
        levels = " ".join(f"{tool}={getattr(person, tool).value}" for tool in ("erp", "projects", "directory"))
        flags = {
            "can-push": person.can_push,
            "subscribed": person.subscribed,
            f"can-push-until={person.can_push_until}": person.can_push_until,
            "invited": person.is_invited,
            "disabled": not person.active,
        }
        words = " ".join(word for word, flag in flags.items() if flag)
        click.echo(f"{person.email}  {person.name}  {levels}  {words}".rstrip())


@projects.command("import")
@click.argument("file", type=FILE)
def import_projects(file: Path) -> None:
    """Add the projects in a CSV file: all of them, or none if a line is wrong."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{file} can't be read: {error.strerror}.") from None
    with writing():
        found = project_csv.read(data)
        if not found.errors.found and not project_csv.insert_projects(found.projects, None, _to_stderr):
            found = project_csv.read(data)
    if found.errors.found:
        errors = [f"{line}: {sentence}" for line, sentence in found.errors.by_line]
        raise click.ClickException("\n".join(["Nothing was imported.", *errors]))
    for line, sentence in found.warnings.summary:
        click.echo(f"Warning: {line}: {sentence}", err=True)
    click.echo(f"{plural(len(found.projects), 'project')} imported.")


@projects.command("export")
@click.argument("file", type=FILE)
def export_projects(file: Path) -> None:
    """Write every project to a CSV file."""
    try:
        with atomic_write(file) as partial, partial.open("w", encoding="utf-8", newline="") as opened:
            opened.writelines(project_csv.iter_csv(select(Project).order_by(Project.id)))
    except OSError as error:
        raise click.ClickException(f"{file} can't be written: {error.strerror}.") from None
    exported = db.session.scalar(select(func.count()).select_from(Project)) or 0
    click.echo(f"{plural(exported, 'project')} exported.")


@jobs.command("refresh")
@click.option("--enough", is_flag=True, help="after a restore: continue although Spectrum did not list all of its jobs")
def refresh_jobs(enough: bool) -> None:
    """Read Spectrum's job list now."""
    click.echo(_answered(lambda: job_list.refresh(_spectrum())))
    if enough:
        with writing():
            after_restore.compare_jobs()


@export_commands.command("run")
def run_exports() -> None:
    """Run the exports that are due once, one line per project."""
    erp = _spectrum()
    if paused := Setting.read(SettingName.PAUSED):
        raise click.ClickException(f"{paused['by']} paused exports. Press Resume in the ERP settings first.")
    if Setting.restore_pending():
        raise click.ClickException(workflow.NOT_COMPARED)
    exports.run_due(erp, click.echo)


def _spectrum() -> Connection:
    startup_checks.refuse_other_company()
    erp = erp_connection.connect()
    if erp is None:
        raise click.ClickException("Spectrum is not set up: SPECTRUM_URL is missing.")
    return erp


def _answered(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except ReadError as failure:
        raise click.ClickException(failure.error) from None


@spectrum.command("check")
@click.option("--report", type=FILE, help="also write the findings to FILE, without names, codes or secrets")
def check_spectrum(report: Path | None) -> None:
    """Test the connection and learn how this server works, one line per finding."""
    tested = erp_connection.test(_spectrum())
    for line in tested.lines:
        click.echo(line)
    if report:
        try:
            report.write_text(erp_connection.report(tested), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{report} can't be written: {error.strerror}.") from None
    if not tested.passed:
        raise click.ClickException(tested.sentence)
    client_secret.forget_interrupted()  # this process fetched its own token, so the secret is good
    click.echo(tested.sentence)


@spectrum.command("rotate-secret")
def rotate_secret() -> None:
    """Ask a hosted Spectrum for a new client secret, and keep it encrypted in the database."""
    if not current_app.config["SPECTRUM_CLIENT_ID"]:
        raise click.ClickException("There is no client secret to replace: SPECTRUM_CLIENT_ID is not set.")
    click.echo(_answered(lambda: client_secret.rotate(_spectrum())))


@digests.command("send")
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="the local time, such as 2026-03-09T07:00")
def send_digests(at: datetime | None) -> None:
    """Send the digests that are due now, or at that local time, one line per recipient."""
    if closed := mail_delivery.blocked_reason():
        raise click.ClickException(closed)
    digest.send_day(at or local(utcnow()), click.echo)


@mails.command("check")
@click.argument("address")
def check_mail(address: str) -> None:
    """Send a test mail to ADDRESS, and say how it is sent and how far it got."""
    succeeded, answer = mail_delivery.send_test(address, click.echo)
    if not succeeded:
        raise click.ClickException(answer)
    click.echo(answer)


@click.command("scheduler", cls=CurrentSchemaCommand)
@with_appcontext
def run_scheduler() -> None:
    """Run the scheduler in the foreground, without the web server, until it is stopped."""
    startup_checks.refuse_other_company()
    stopped = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stopped.set())
    json_log.configure()
    for remark in current_app.config["MAIL_REMARKS"] + current_app.config["SPECTRUM_REMARKS"]:
        current_app.logger.warning(remark)
    scheduler.start(current_app._get_current_object())  # type: ignore[attr-defined]  # what stands behind the proxy
    click.echo("The timetable runs.")
    stopped.wait()
    scheduler.stop()


@click.command("backup", cls=DatabaseCommand)
@click.argument("file", type=FILE)
@with_appcontext
def save_backup(file: Path) -> None:
    """Write a consistent copy of the database to FILE, even while the app runs."""
    backup.save(file)
    click.echo(f"{file} holds the whole database.")


@click.command("backups", cls=DatabaseCommand)
@click.argument("words", metavar="[rehearse] DIRECTORY", nargs=-1, required=True)
@click.option(
    "--keep", type=click.IntRange(1), default=14, show_default=True, help="how many of the newest backups to keep"
)
@with_appcontext
def keep_backups(words: tuple[str, ...], keep: int) -> None:
    """Write a backup into DIRECTORY, take the oldest away, and run BACKUP_COPY_COMMAND.

    With rehearse: restore the newest backup of DIRECTORY into a scratch database, compare it and throw it away.
    """
    rehearses, directory = words[:-1] == ("rehearse",), Path(words[-1])
    if not directory.is_dir() or (words[:-1] and not rehearses):
        raise click.UsageError(f"There is no folder {' '.join(words)}.")
    if rehearses:
        click.echo(rehearsal.rehearse(directory))
        return
    file = backup.keep(directory, keep)
    click.echo(f"{file} holds the whole database.")
    if backup_copy.copy_away(file):
        click.echo("It was copied off the machine.")


@click.command("check", cls=DatabaseCommand)
@click.option(
    "--before-upgrade", is_flag=True, help="only say whether this version may serve beside machines that run another"
)
@with_appcontext
def check(before_upgrade: bool) -> None:
    """Print a page for support: version, settings without secrets, the server, connections, what runs out."""
    if before_upgrade:
        click.echo(upgrade_check.refuse_beside_others())
        return
    for line in support_report.lines():
        click.echo(line)


@click.command("restore", cls=DatabaseCommand)
@click.argument("file", type=FILE)
@click.option(
    "--as-it-was", is_flag=True, help="undo an upgrade with the backup made right before it, without pausing exports"
)
@with_appcontext
def restore_backup(file: Path, as_it_was: bool) -> None:
    """Replace the database with the backup FILE. Nothing is exported or emailed until someone presses Resume."""
    if as_it_was:
        backup.undo_upgrade(file)
        click.echo("The database is as it was.")
        return
    kept = backup.restore(file)
    if kept:
        click.echo(f"What was there before is in {kept}.")
    click.echo(
        "Restored. Exports and mails are paused. Refresh the job list, check the waiting projects, then press Resume."
    )


@click.command("move", cls=CurrentSchemaCommand)
@click.argument("address")
@with_appcontext
def move_database(address: str) -> None:
    """Copy the database to a new, empty PostgreSQL database at ADDRESS. Stop Countersign first."""
    try:
        rows = move_to_postgresql.move(address)
    except ValueError as problem:
        raise click.ClickException(f"ADDRESS {problem}.") from None
    click.echo(f"{plural(rows, 'row')} copied. Set DATABASE_URL to that address, and start Countersign.")


@demo.command("seed")
@click.option(
    "--projects",
    "many",
    type=click.IntRange(1, 9_999_999),
    default=None,
    help="how many projects to add, in every status",
)
def seed_demo(many: int | None) -> None:
    """Fill an empty database, or a demo database, with demo data."""
    try:
        click.echo(seed(many or 0, _to_stderr))
    except ValueError as problem:
        raise click.ClickException(str(problem)) from None
