"""The settings: each wrong value stops the start with one sentence that names it, and gives no secret away."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from conftest import free_port

import config
from lib import schema_version

ROOT = Path(__file__).resolve().parent.parent.parent
ENOUGH = {"SECRET_KEY": "0123456789abcdef"}
WRONG = [
    ("SECRET_KEY", ""),
    ("SECRET_KEY", "too-short"),
    ("SECRET_KEY", "a" * 32),
    ("SECRET_KEY", "0101101001011010"),
    ("SECRET_KEY", "secretsecretsecret"),
    ("SECRET_KEY", "please-change-me-to-something"),
    ("DATABASE_URL", "mysql://server/countersign"),
    ("DATABASE_URL", "postgresql://server:port/countersign"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("DATABASE_URL", "sqlite:///"),
    ("BASE_URL", "https://counter sign.example"),
    ("BASE_URL", "countersign.example.com"),
    ("BASE_URL", "https://countersign.example.com/path"),
    ("BASE_URL", "https://countersign.example.com:99999"),
    ("BASE_URL", "http://[::1"),
    ("BASE_URL", "http://countersign.example.com"),
    ("BASE_URL", "http://192.168.1.5:8000"),
    ("BASE_URL", "http://localhost.example.com"),
    ("TIMEZONE", "Mars/Base"),
    ("SPECTRUM_URL", "spectrum"),
    ("SPECTRUM_COMPANY_CODE", "LONG"),
    ("SPECTRUM_AUTHORIZATION_ID", "A" * 21),
    ("SPECTRUM_AUTH", "digest"),
    ("SPECTRUM_GUID", "random"),
    ("SPECTRUM_SECRET_EXPIRES", "soon"),
    ("SPECTRUM_SECRET_ROTATION", "maybe"),
    ("SPECTRUM_CA_FILE", "/nowhere.pem"),
    ("SPECTRUM_CA_FILE", __file__),
    ("SPECTRUM_CONNECT_TIMEOUT", "soon"),
    ("SPECTRUM_READ_TIMEOUT", "0"),
    ("SPECTRUM_DEADLINE", "nan"),
    ("SPECTRUM_REFRESH", "weekly"),
    ("EXPORT_CHECK_SECONDS", "-1"),
    ("MAIL_SERVER", "smtp://mail.example.com"),
    ("MAIL_PORT", "70000"),
    ("MAIL_USE_TLS", "maybe"),
    ("MAIL_USE_SSL", "2"),
    ("MAIL_DEFAULT_SENDER", "accounting"),
    ("MAIL_DEFAULT_SENDER", "accounting..office@example.com"),
    ("MAIL_DEFAULT_SENDER", "erp@example.com\nBcc: other@example.com"),
    ("MAIL_CA_FILE", "/nowhere.pem"),
    ("MAIL_AUTH", "ntlm"),
    ("MAIL_OAUTH_TENANT", "common"),
    ("MAIL_OAUTH_TENANT", "example.com/oauth2"),
    ("MAIL_OAUTH_SECRET_EXPIRES", "next year"),
    ("MAIL_OAUTH_TOKEN_URL", "http://login.example.com/token"),
    ("MAIL_OAUTH_TOKEN_URL", "login.example.com"),
    ("MAIL_GRAPH_URL", "http://graph.microsoft.com/v1.0"),
    ("DIGEST_TIME", "25:00"),
    ("DIGEST_DAYS", "monday"),
    ("PORT", "0"),
    ("HOST", "not a host"),
    ("TRUSTED_PROXIES", "the proxy"),
    ("TRUSTED_PROXIES", "10.0.0.5/8"),
    ("TRUSTED_PROXIES", "10.0.0.5,0.0.0.0/0"),
    ("TRUSTED_PROXIES", "::/0"),
    ("RUN_SCHEDULER", "maybe"),
    ("FOUR_EYES", "maybe"),
    ("OIDC_ISSUER", "https://login.microsoftonline.com/common/v2.0"),
    ("OIDC_ONLY", "maybe"),
    ("OIDC_CREATE_PEOPLE", "maybe"),
    ("OIDC_SECRET_EXPIRES", "soon"),
    ("SESSION_IDLE_HOURS", "0"),
    ("SESSION_IDLE_HOURS", "a day"),
    ("SESSION_IDLE_HOURS", "169"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_with_a_sentence_that_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(config.SettingsError, match=rf"^{name} (must|is) .+\.$"):
        config.load({**ENOUGH, name: value})


def test_every_setting_of_free_form_aside_each_can_be_wrong() -> None:
    free = {"SPECTRUM_CLIENT_ID", "SPECTRUM_CLIENT_SECRET", "MAIL_USERNAME", "MAIL_PASSWORD"}
    free |= {"MAIL_OAUTH_CLIENT_ID", "MAIL_OAUTH_CLIENT_SECRET", "MAIL_OAUTH_SCOPE"}
    free |= {"OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_NAME", "BACKUP_COPY_COMMAND"}
    assert {name for name, _ in WRONG} == config.SETTINGS.keys() - free


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "postgresql://app:hush-hush@server:port/x"), ("SPECTRUM_URL", "https://app:hush-hush@server")],
)
def test_a_refusal_shows_no_password(name: str, value: str) -> None:
    with pytest.raises(config.SettingsError) as refused:
        config.load({**ENOUGH, name: value})
    assert "hush-hush" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"SPECTRUM_URL": "https://spectrum.example.com"},
        {"SPECTRUM_CLIENT_ID": "countersign"},
        {"MAIL_USERNAME": "countersign"},
        {"MAIL_USE_TLS": "yes", "MAIL_USE_SSL": "yes"},
    ],
    ids="|".join,
)
def test_settings_that_make_no_sense_together_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(config.SettingsError, match=next(iter(given)) + "|must be set too"):
        config.load({**ENOUGH, **given})


OAUTH = {
    "MAIL_OAUTH_TENANT": "example.com",
    "MAIL_OAUTH_CLIENT_ID": "one",
    "MAIL_OAUTH_CLIENT_SECRET": "two",
    "MAIL_SERVER": "smtp.office365.com",
}


@pytest.mark.parametrize("missing", OAUTH)
def test_mail_by_oauth_wants_each_of_its_settings_and_a_server(missing: str) -> None:
    with pytest.raises(config.SettingsError, match=rf"^{missing} must be set too, because MAIL_AUTH is oauth\.$"):
        config.load({**ENOUGH, **OAUTH, "MAIL_AUTH": "oauth", missing: ""})


def test_the_addresses_and_scopes_of_microsoft_follow_from_tenant_and_way() -> None:
    found = config.load({**ENOUGH, **OAUTH, "MAIL_AUTH": "oauth"})
    assert found["MAIL_OAUTH_TOKEN_URL"] == "https://login.microsoftonline.com/example.com/oauth2/v2.0/token"
    assert found["MAIL_OAUTH_SCOPE"] == "https://outlook.office365.com/.default"
    found = config.load({**ENOUGH, **OAUTH, "MAIL_AUTH": "graph", "MAIL_SERVER": ""})
    assert found["MAIL_OAUTH_SCOPE"] == "https://graph.microsoft.com/.default"


def test_with_an_ip_number_as_base_url_an_address_for_mail_to_come_from_is_asked_for() -> None:
    number = {**ENOUGH, "BASE_URL": "https://192.168.1.5", "MAIL_SERVER": "mail.example.com"}
    with pytest.raises(config.SettingsError, match=r"^MAIL_DEFAULT_SENDER must be set: "):
        config.load(number)
    assert config.load({**number, "MAIL_DEFAULT_SENDER": "erp@example.com"})
    assert config.load({**number, "MAIL_SERVER": ""})


@pytest.mark.parametrize(
    ("given", "remark"),
    [
        (
            {"MAIL_SERVER": "smtp.office365.com", "MAIL_USE_TLS": "yes"},
            "with a password. Microsoft is switching that off",
        ),
        ({"MAIL_SERVER": "mail.example.com"}, "The mail password travels unencrypted."),
        ({"MAIL_SERVER": "mail.example.com", "MAIL_USE_SSL": "yes"}, None),
        ({"MAIL_SERVER": "127.0.0.1"}, None),
    ],
)
def test_a_mail_password_in_clear_or_towards_microsoft_gets_a_remark(given: dict[str, str], remark: str | None) -> None:
    found = config.load({**ENOUGH, "MAIL_USERNAME": "erp", "MAIL_PASSWORD": "hush-hush", **given})["MAIL_REMARKS"]
    assert [remark in each for each in found] == [True] if remark else found == []


@pytest.mark.parametrize(
    ("address", "warned"),
    [("http://spectrum.example.com:8482", True), ("https://spectrum.example.com", False), ("http://[::1]:8482", False)],
)
def test_an_address_of_spectrum_without_encryption_gets_a_remark(address: str, warned: bool) -> None:
    found = {"SPECTRUM_URL": address, "SPECTRUM_COMPANY_CODE": "HB", "SPECTRUM_AUTHORIZATION_ID": "X"}
    assert ["unencrypted" in each for each in config.load(ENOUGH | found)["SPECTRUM_REMARKS"]] == [True] * warned


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"hush hush"', "hush hush"),
        ("'hush'\r", "hush"),
        (" hush\r\n", "hush"),
        ('say "hush"', 'say "hush"'),
        ('"$1" and "$2"', '"$1" and "$2"'),
        ('"', '"'),
    ],
)
def test_a_setting_is_read_without_what_editors_and_containers_leave_of_its_line(written: str, meant: str) -> None:
    found = config.load(ENOUGH | {"MAIL_USERNAME": "erp", "\ufeffMAIL_PASSWORD": written})
    assert found["MAIL_PASSWORD"] == meant


@pytest.mark.parametrize("tz", ["America/Chicago", ":America/Chicago", "/usr/share/zoneinfo/America/Chicago"])
def test_without_timezone_the_machines_counts(tz: str) -> None:
    assert str(config.load(ENOUGH | {"TIMEZONE": "", "TZ": tz})["TIMEZONE"]) == "America/Chicago"


@pytest.mark.parametrize("tz", ["CET-1CEST", "PST8PDT,M3.2.0,M11.1.0", "/usr/share/zoneinfo/Mars/Base", "Mars"])
def test_a_tz_that_names_no_zone_is_refused_and_does_not_become_utc(tz: str) -> None:
    with pytest.raises(config.SettingsError, match=f"^TIMEZONE must be set, because TZ is “{re.escape(tz)}”"):
        config.load(ENOUGH | {"TIMEZONE": "", "TZ": tz})
    assert config.load(ENOUGH | {"TIMEZONE": "Europe/Oslo", "TZ": tz})


# Of each secret that may stand in a file: a value, and the setting's other ones that it needs
SECRETS = {
    "SECRET_KEY": ("0123456789abcdef", {}),
    "DATABASE_URL": ("postgresql+psycopg://name@server/countersign", {}),
    "SPECTRUM_AUTHORIZATION_ID": ("DEMO", {"SPECTRUM_URL": "https://spectrum.example", "SPECTRUM_COMPANY_CODE": "HB"}),
    "SPECTRUM_CLIENT_SECRET": ("hush", {"SPECTRUM_CLIENT_ID": "x"}),
    "MAIL_PASSWORD": ("hüsh ", {"MAIL_USERNAME": "x"}),
    "MAIL_OAUTH_CLIENT_SECRET": ("hush", {}),
    "OIDC_CLIENT_SECRET": ("hush", {"OIDC_ISSUER": "https://sso.example", "OIDC_CLIENT_ID": "x"}),
}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_stand_in_a_file_but_not_in_both_places(name: str, end: str, tmp_path: Path) -> None:
    value, others = SECRETS[name]
    (tmp_path / "secret").write_bytes(f"{value}{end}".encode())
    given = ENOUGH | others | {f"{name}_FILE": str(tmp_path / "secret"), name: ""}
    assert config.load(given)[name] == value.strip()
    with pytest.raises(config.SettingsError, match=f"{name} and {name}_FILE are both set. Keep one of them."):
        config.load(given | {name: value})


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_be_a_credential_of_systemd_but_not_a_setting_too(name: str, tmp_path: Path) -> None:
    value, others = SECRETS[name]
    (tmp_path / f"secret_{name}").write_text(f"{value}\n")
    given = ENOUGH | others | {"CREDENTIALS_DIRECTORY": str(tmp_path), name: ""}
    assert config.load(given)[name] == value.strip()
    with pytest.raises(config.SettingsError, match=f"{name} and the credential secret_{name} are both set."):
        config.load(given | {name: value})


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"], ids=["not there", "empty", "a line", "no text"])
def test_a_secrets_file_that_can_not_be_used_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(config.SettingsError, match=r"^SECRET_KEY_FILE (must|is) .+secret”\)\.$"):
        config.load({"SECRET_KEY_FILE": str(tmp_path / "secret")})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "countersign.localhost"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    assert config.load({**ENOUGH, "BASE_URL": f"http://{host}:8000"})["BASE_URL"] == f"http://{host}:8000"


@pytest.mark.parametrize("key", ["0123456789abcdef", "correct-horse-battery-staple", "Zk3Q9xT7LmP2vR8w"])
def test_a_key_of_sixteen_characters_that_looks_like_one_is_taken(key: str) -> None:
    assert config.load({"SECRET_KEY": key})["SECRET_KEY"] == key


@pytest.mark.parametrize("command", ["users list", "db upgrade"])
@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:1/none"])
def test_a_database_that_can_not_be_reached_is_one_sentence_and_no_traceback(command: str, url: str) -> None:
    environ = os.environ | ENOUGH | {"DATABASE_URL": url}
    flask = [sys.executable, "-m", "flask", "--app", "app", *command.split()]
    done = subprocess.run(flask, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The database of DATABASE_URL cannot be used: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "command", "advice"),
    [
        ("sqlite:///{path}/new.db", "users list", "Prepare a new one with: flask db upgrade."),
        (
            "sqlite:///file:{path}/test.db?mode=ro&uri=true",
            "demo seed",
            "Let the user that runs Countersign write to it",
        ),
    ],
)
def test_a_database_that_can_not_be_used_is_said_with_what_to_do_about_it(
    url: str, command: str, advice: str, tmp_path: Path, migrated_sqlite: Path
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    done = start(f"flask --app app {command}", url.format(path=tmp_path))
    assert (done.returncode, advice in done.stderr) == (1, True)


def start(program: str, url: str) -> subprocess.CompletedProcess[str]:
    """A program of the product that is expected to end by itself at once."""
    environ = os.environ | ENOUGH | {"DATABASE_URL": url, "PORT": str(free_port())}
    name, *arguments = program.split()
    command = [Path(sys.executable).parent / name, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)


SERVER = "gunicorn --config gunicorn.conf.py app:create_app()"


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("sqlite:////nowhere/at/all.db", "Check that its folder exists"),
        ("sqlite:///file:{path}/test.db?mode=ro&uri=true", "Let the user that runs Countersign write to it"),
        ("sqlite:///{path}/letter.txt", "Check the address"),
    ],
)
def test_the_server_refuses_a_database_that_it_can_not_write(
    url: str, advice: str, tmp_path: Path, migrated_sqlite: Path
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    (tmp_path / "letter.txt").write_text("Dear accounting, " * 99)
    done = start(SERVER, url.format(path=tmp_path))
    assert done.returncode == 1
    assert "Error: The database of DATABASE_URL cannot be used: " in done.stderr
    assert advice in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program", [SERVER, "flask --app app scheduler", "flask --app app exports run"])
@pytest.mark.parametrize(("revision", "stands"), [("0001", "older"), ("9999", "newer")])
def test_a_database_of_another_version_is_refused_with_what_to_do(
    program: str, revision: str, stands: str, tmp_path: Path, migrated_sqlite: Path
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    with closing(sqlite3.connect(tmp_path / "test.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    done = start(program, f"sqlite:///{tmp_path / 'test.db'}")
    assert done.returncode == 1
    assert f"Error: The database of DATABASE_URL is {stands} than the program. " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_newest_revision_is_the_one_that_an_upgrade_leads_to() -> None:
    heads = ScriptDirectory(str(ROOT / "migrations")).get_heads()
    assert heads == schema_version.revisions()[-1:]
