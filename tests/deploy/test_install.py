"""The installer on a machine of its own, with the real systemd and nginx: first an older version, then this one.

What each test leaves behind is an installation that answers, so that they can run in any order.
"""

import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import ROOT, wait_until
from support.installed import DATA, NAME, PIP, PROJECTS, SECRET, SETTINGS, install_older, older_key, put_code
from support.vm import Machine, booted, opened, prepared, systems

EVERYTHING = set(PROJECTS.splitlines()[1:])
CURRENT = "readlink /opt/countersign/current"
PAGE = (ROOT / "docs/administration.md").read_text()
INSTALL = "sudo deploy/install\n"
FILLED_IN = {  # what the page leaves to its reader
    "you@example.com": "somebody@example.com",
    "countersign-….backup": "$(ls /var/lib/countersign/backups | grep ^countersign- | tail -n 1)",
}
LINKS = ("revision", "down_revision")
CURL = f"curl --silent --cacert /etc/countersign/tls.crt --resolve {NAME}:443:127.0.0.1 --resolve {NAME}:80:127.0.0.1"
BREAKING = '''"""A change that its own code can not live with."""
from alembic import op

revision = "broken"
down_revision = "{head}"
branch_labels = depends_on = None


def upgrade():
    op.execute("CREATE TABLE left_behind (id INTEGER)")
    op.execute("UPDATE project SET name = 'Broken'")
'''


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade said, and which release ran before it."""

    said: str
    before: str


@pytest.fixture(scope="module", params=systems())
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with an older version, and a person and two projects in it."""
    kept = prepared(tmp_path_factory.mktemp("prepared"), request.param, f"older-{older_key()}", install_older)
    with booted(tmp_path_factory.mktemp("machines"), request.param, kept) as running:
        yield running


@pytest.fixture(scope="module")
def upgrade(older: Machine) -> Upgrade:
    before = older.run(CURRENT)
    put_code(older, "newer")
    return Upgrade(older.run(typed(INSTALL), **PIP), before)


@pytest.fixture
def machine(older: Machine, upgrade: Upgrade) -> Machine:
    """The machine with this version."""
    return older


def typed(commands: str) -> str:
    """Commands of the page as its reader runs them, in the folder of the code, who types a secret if asked for one."""
    for shown, meant in FILLED_IN.items():
        commands = commands.replace(shown, meant)
    return f"cd /root/newer; sudo() {{ \"$@\"; }}; set -e; printf %s '{SECRET}' | {{ {commands}\n}}"


def answers(machine: Machine) -> bool:
    return "200" in machine.run(f"{CURL} -o /dev/null -w '%{{http_code}}' https://{NAME}/readyz", None)


def projects(machine: Machine) -> set[str]:
    machine.run("countersign projects export /var/lib/countersign/out.csv")
    lines = (machine.root / DATA / "out.csv").read_text().splitlines()[1:]
    return {",".join(line.split(",")[:2]) for line in lines}


def test_the_services_run_confined_and_as_a_user_of_their_own(machine: Machine) -> None:
    assert answers(machine)
    on = machine.run("systemctl is-enabled countersign nginx countersign-backup.timer")
    assert on.split() == ["enabled"] * 3
    main = machine.run("systemctl show -P MainPID countersign").strip()
    status = machine.run(f"cat /proc/{main}/status; stat -c %U /proc/{main}")
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    assert status.endswith("countersign\n")


def test_what_is_secret_is_for_its_owner_only(machine: Machine) -> None:
    files = (
        "/etc/countersign.env /etc/countersign/secrets/* /etc/countersign/tls.key /var/lib/countersign/countersign.db"
    )
    modes = machine.run(f"stat -c '%a %U' {files} /var/lib/countersign")
    assert modes.splitlines() == ["600 root"] * 4 + ["600 countersign", "750 countersign"]


def test_an_upgrade_moves_secrets_from_the_settings_to_files_that_no_process_or_log_shows(machine: Machine) -> None:
    machine.run("systemctl restart countersign")
    settings = machine.run("cat /etc/countersign.env")
    assert "MAIL_USERNAME=countersign" in settings
    assert not re.search("SECRET_KEY|MAIL_PASSWORD", settings)
    key = machine.run("cat /etc/countersign/secrets/SECRET_KEY")
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert machine.run("cat /etc/countersign/secrets/MAIL_PASSWORD") == SECRET
    wait_until(lambda: answers(machine))
    shown = machine.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; journalctl --no-pager", None)
    assert "gunicorn" in shown
    assert key not in shown
    assert SECRET not in shown


def test_plain_http_is_moved_to_https(machine: Machine) -> None:
    assert f"location: https://{NAME}/me" in machine.run(f"{CURL} -I http://{NAME}/me").lower()


def test_it_stops_and_starts_within_thirty_seconds_and_says_so_to_whoever_comes_meanwhile(machine: Machine) -> None:
    machine.run("timeout 30 systemctl stop countersign")
    assert "Back in a minute" in machine.run(f"{CURL} https://{NAME}/erp/jobs")
    machine.run("timeout 30 systemctl start countersign")
    machine.run("journalctl --sync")
    assert "Listening at" in machine.run("journalctl -u countersign")
    wait_until(lambda: answers(machine))


def test_an_upgrade_keeps_what_people_entered(machine: Machine, upgrade: Upgrade) -> None:
    assert f"Countersign is upgraded and answers at https://{NAME}." in upgrade.said
    assert machine.run(CURRENT) != upgrade.before
    assert answers(machine)
    assert projects(machine) == EVERYTHING
    assert "you@example.com" in machine.run("countersign users list")


def test_a_backup_is_made_as_the_timer_makes_it(machine: Machine) -> None:
    machine.run("systemctl start countersign-backup.service")
    file = max((machine.root / DATA / "backups").glob("countersign-*.backup"))
    with closing(sqlite3.connect(file)) as backup:
        assert backup.execute("SELECT count(*) FROM project").fetchone() == (2,)
    assert setting(machine, "backed up") == f'"/{DATA}/backups/{file.name}"'


@pytest.mark.usefixtures("upgrade")
def test_the_commands_of_the_page_for_administrators_work_unless_it_says_what_they_need(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that installs is how the machine was upgraded."""
    blocks = re.findall(r"((?:^[^\n]+\n)+)\n```(?:sh|powershell)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(re.findall("^```(?:sh|powershell)$", PAGE, re.MULTILINE))
    assert set(re.findall("^```(.*)$", PAGE, re.MULTILINE)) <= {"", "sh", "powershell", "ini", "yaml", "sql", "nginx"}
    assert PAGE.count("\n```\n") == len(re.findall(r"^```\w+$", PAGE, re.MULTILINE))  # each says what it holds
    here = [commands for text, commands in blocks if "This needs" not in text]
    assert INSTALL in here
    for commands in here:
        if commands != INSTALL:
            machine.run(typed(commands))
    resume(machine)
    wait_until(lambda: answers(machine))
    elsewhere = re.findall("This needs .+(?=:\n)", "".join(text for text, _ in blocks))
    assert len(here) + len(elsewhere) == len(blocks)
    with capsys.disabled():
        sys.stdout.write(f"\nThe page: {len(here)} blocks of commands ran, {len(elsewhere)} could not:\n")
        sys.stdout.write("\n".join(elsewhere))


def break_health(machine: Machine, name: str, answer: str) -> Path:
    """The code as it is here, but for a migration that breaks the data and for how /readyz answers."""
    broken = put_code(machine, name)
    (broken / "migrations/versions/broken.py").write_text(BREAKING.format(head=head_of(broken)))
    health = broken / "blueprints/health.py"
    health.write_text(health.read_text().replace("200 if ready else 503", answer))
    return broken


def test_an_upgrade_that_does_not_answer_goes_back_with_the_database_as_it_was(machine: Machine) -> None:
    """While it is tried, people see the maintenance page, and no scheduler runs."""
    break_health(machine, "broken", "503")
    state = f"{CURRENT}; countersign db current 2>/dev/null"
    before = machine.run(state)
    trial = "systemctl show -P ExecStart countersign"
    with ThreadPoolExecutor() as pool:
        installing = pool.submit(machine.run, "/root/broken/deploy/install", 1, GRACE="5", **PIP)
        wait_until(lambda: installing.done() or "RUN_SCHEDULER=no" in machine.run(trial, None), 300)
        page = machine.run(f"{CURL} https://{NAME}/erp/jobs", None)
        said = installing.result()
    assert "Back in a minute" in page
    assert "what ran before runs again, with the database as it was" in said
    assert "RUN_SCHEDULER=no" not in machine.run(trial)
    assert machine.run(state) == before
    assert answers(machine)
    assert projects(machine) == EVERYTHING
    assert setting(machine, "exports paused") is None


def test_an_upgrade_that_fails_once_its_scheduler_runs_is_stopped_and_goes_back_only_when_told(
    machine: Machine,
) -> None:
    """What it may have exported or mailed meanwhile is in its database, which is kept."""
    late = break_health(machine, "late", '503 if current_app.config["RUN_SCHEDULER"] else 200')
    before = machine.run(CURRENT)
    said = machine.run(f"/root/{late.name}/deploy/install", 1, GRACE="5", **PIP)
    assert "something may have been exported or mailed" in said
    assert "Back in a minute" in machine.run(f"{CURL} https://{NAME}/erp/jobs")
    assert select(machine, "SELECT DISTINCT name FROM project") == ("Broken",)
    assert "Refresh the job list" in machine.run(f"/root/{late.name}/deploy/install --go-back")
    assert machine.run(CURRENT) == before
    assert answers(machine)
    assert projects(machine) == EVERYTHING
    assert setting(machine, "exports paused")
    resume(machine)


def resume(machine: Machine) -> None:
    with closing(sqlite3.connect(machine.root / DATA / "countersign.db")) as database, database:
        database.execute("DELETE FROM setting WHERE name IN ('exports paused', 'restored from a backup')")


def head_of(tree: Path) -> str:
    """The latest migration."""
    texts = "".join(path.read_text() for path in (tree / "migrations/versions").glob("*.py"))
    made, followed = (set(re.findall(rf"^{name} = ['\"](\w+)", texts, re.MULTILINE)) for name in LINKS)
    [head] = made - followed
    return str(head)


def setting(machine: Machine, name: str) -> str | None:
    """What the database says, as JSON."""
    found = select(machine, "SELECT value FROM setting WHERE name = ?", name)
    return found and found[0]


def select(machine: Machine, statement: str, *values: str) -> Any:
    """The first row that the database answers with."""
    with closing(sqlite3.connect(machine.root / DATA / "countersign.db")) as database:
        return database.execute(statement, values).fetchone()


def test_what_can_not_start_with_the_settings_changes_nothing(machine: Machine) -> None:
    before = machine.run(CURRENT)
    machine.run("cp /etc/countersign.env /root/kept.env; echo DIGEST_TIME=25:00 >> /etc/countersign.env")
    said = machine.run("/root/newer/deploy/install", 1, **PIP)
    machine.run("cp /root/kept.env /etc/countersign.env")
    assert "Error: DIGEST_TIME must be a time of day" in said
    assert machine.run(CURRENT) == before
    assert answers(machine)


def test_where_systemd_does_not_run_it_is_put_in_place_and_taken_away_again_but_for_its_data(tmp_path: Path) -> None:
    with opened(tmp_path) as machine:
        put_code(machine, "newer")
        (machine.root / "root" / "settings.env").write_text(SETTINGS)
        certificate = trustme.CA().issue_cert(NAME)
        certificate.private_key_pem.write_to_path(machine.root / "root" / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(machine.root / "root" / "chain.pem")
        given = "--settings /root/settings.env --certificate /root/chain.pem --key /root/key.pem"
        said = machine.run(f"/root/newer/deploy/install {given}", **PIP)
        assert (machine.root / "etc/countersign/tls.crt").read_bytes() == certificate.cert_chain_pems[0].bytes()
        assert "systemd does not run here, so the services are enabled but nothing was started." in said
        wanted = machine.root / "etc/systemd/system"
        assert (wanted / "multi-user.target.wants/countersign.service").is_symlink()
        assert (wanted / "timers.target.wants/countersign-backup.timer").is_symlink()
        machine.run(by_hand((wanted / "countersign.service").read_text()))
        assert "/var/lib/countersign" in machine.run("/root/newer/deploy/uninstall")
        assert not list(wanted.rglob("countersign*"))
        assert not (machine.root / "opt/countersign").exists()
        assert (machine.root / DATA / "countersign.db").exists()


def by_hand(unit: str) -> str:
    """A command that starts what the unit starts, as its user and with its settings, until it has answered once."""
    start = shlex.join(re.findall("^ExecStart=(.*)$", unit, re.MULTILINE)[0].split())
    alone = "setpriv --reuid=countersign --regid=countersign --init-groups"
    ask = f"curl --silent --fail --retry 60 --retry-all-errors --retry-delay 1 -H 'Host: {NAME}'"
    return (
        "cd /opt/countersign/current; set -a; . /etc/countersign.env;"
        " SECRET_KEY=$(cat /etc/countersign/secrets/SECRET_KEY) MAIL_PASSWORD=x;"
        f" {alone} {start} & {ask} http://127.0.0.1:8000/readyz; answered=$?; kill %1; wait; exit $answered"
    )
