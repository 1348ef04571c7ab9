"""Projects in and out as CSV, on the command line and in the browser."""

import csv
import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, inspect, select
from support.jobs import compose

from extensions import db
from models import Job, Person, Project
from services import workflow

HEADER = "number,name,description,address_1,address_2,city,state,zip,phone,start_date,completion_date,active"
DEPOT = '26-014,Depot Lofts,"Ground, shell",1735 Jefferson,,Tacoma,WA,98402,253-555-0129,2026-03-09,2026-09-30,yes'
TRAIL = "26-015,Link Trail,,,,Sumner,WA,,,,,no"

Flasked = Callable[..., Result]
Browsing = Callable[[str], Any]


@pytest.fixture
def flask(app: Flask, tmp_path: Path) -> Flasked:
    """`flask("projects", "import", text)`: a command of the command line, with a file that holds the text."""

    def run(*words: str, text: str | bytes = "") -> Result:
        file = tmp_path / "projects.csv"
        if text:
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        db.session.rollback()
        result = app.test_cli_runner().invoke(args=[*words, str(file)])
        db.session.rollback()
        return result

    return run


def lines(*given: str) -> str:
    return "\n".join(given) + "\n"


def projects() -> list[Project]:
    return list(db.session.scalars(select(Project).order_by(Project.id)))


def upload(browser: Any, text: str | bytes) -> Any:
    data = text if isinstance(text, bytes) else text.encode()
    return browser.post("/admin/projects/import", {"file": (io.BytesIO(data), "projects.csv")})


def test_an_import_makes_a_project_of_each_line(flask: Flasked) -> None:
    result = flask("projects", "import", text=lines(HEADER, DEPOT, TRAIL))
    assert (result.exit_code, result.output) == (0, "2 projects imported.\n")
    depot, trail = projects()
    assert depot.description == "Ground, shell"
    assert (str(depot.start_date), str(depot.completion_date)) == ("2026-03-09", "2026-09-30")
    assert (depot.active, trail.active) == (True, False)
    assert {project.status for project in (depot, trail)} == {"Not Sent"}
    assert [event.action for event in depot.events] == ["created"]


def test_an_imported_project_is_kept_like_one_that_was_typed(
    flask: Flasked, make_project: Callable[..., Project]
) -> None:
    flask("projects", "import", text=lines(HEADER, DEPOT))
    (imported,) = projects()
    typed = make_project(
        number="26-X", **{name: value for name, value in imported.information.items() if name != "number"}
    )
    own = {"id", "number", "number_key", "search_text", "created_at", "created_by_id"}
    kept = [column.key for column in inspect(Project).column_attrs if column.key not in own]
    assert [getattr(imported, name) for name in kept] == [getattr(typed, name) for name in kept]
    assert imported.search_text == typed.search_text.replace("26-x", "26-014")
    (ours, theirs) = imported.events[0], typed.events[0]
    assert (ours.action, ours.from_status, ours.to_status, ours.details) == (
        theirs.action,
        theirs.from_status,
        theirs.to_status,
        theirs.details,
    )


def test_a_long_import_says_how_far_it_is_and_a_taken_number_far_down_is_named(flask: Flasked) -> None:
    long = [f"L{number},Depot" for number in range(10_001)]
    done = flask("projects", "import", text=lines("number,name", *long))
    assert done.stdout == "10,001 projects imported.\n"
    assert done.stderr.splitlines() == ["10,000 of 10,001 projects", "10,001 of 10,001 projects"]
    again = flask("projects", "import", text=lines("number,name", *(f"M{line}" for line in long[:-1]), long[-1]))
    assert again.stderr.splitlines()[1:] == ["Line 10002: Another project has this number already. Found: “L10000”."]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffNumber , NAME\r\n26-014,Depot\r\n",
        "name,number\nDepot,26-014",
        "number,name\n\n26-014,Depot\n,\n",
        "number,name,status,accepted_by,accepted_at\n26-014,Depot,Synced,Dana,2026-03-09T07:00:00-07:00\n",
    ],
    ids=["byte order mark, capitals and spaces", "another order", "blank lines", "an export's own columns"],
)
def test_an_import_reads_what_spreadsheets_write(flask: Flasked, text: str) -> None:
    assert flask("projects", "import", text=text).exit_code == 0
    assert [(each.number, each.name) for each in projects()] == [("26-014", "Depot")]


def test_an_import_is_all_or_nothing_and_names_every_bad_line(
    flask: Flasked, make_project: Callable[..., Project]
) -> None:
    make_project(number="26-X")
    text = lines(
        HEADER,
        DEPOT,
        "26-016,,,,,,,,,,,",
        "26-017,Wrong date,,,,,,,,03/09/2026,,",
        '26-018,"Two',
        'lines",,,,,,,,,,',
        "26-019,Backwards,,,,,,,,2026-09-30,2026-03-09,maybe",
        "26-014 ,Twice,,,,,,,,,,",
        "26-x,Taken,,,,,,,,,,",
        "26-020,Short",
    )
    result = flask("projects", "import", text=text)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: Nothing was imported.",
        "Line 3: Enter the Project Name.",
        "Line 4: Estimated Start Date must be a date, such as 2026-03-09. Found: “03/09/2026”.",
        "Line 5: Project Name holds a line break or an invisible character; type it again. Found: “Two�lines”.",
        "Line 7: The completion date is before the start date. Found: “2026-03-09”.",
        "Line 7: active must be yes or no. Found: “maybe”.",
        "Line 8: number stands further up already. Found: “26-014” in line 2.",
        "Line 9: Another project has this number already. Found: “26-x”.",
        "Line 10: There are 2 values; the header has 12 columns.",
    ]
    assert len(projects()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"number,city\n1,Fife\n", "Line 1: The header must have the column name."),
        (b"number,name,colour\n1,a,b\n", "Line 1: There is no column colour."),
        (b"number,name,\n1,a,\n", "Line 1: A column has no name."),
        (b"number;name\n1;a\n", "Line 1: The columns must be separated by commas, not by semicolons."),
        (b"number,name,name\n1,a,b\n", "Line 1: A column is there twice."),
        (b"number,name\n26-014,Caf\xe9\n", "Line 2: This is not UTF-8 text."),
        (b'number,name\n26-014,Depot\n26-015,"Tr"ail\n', "Line 3: This is not CSV"),
        (b"number,name,spectrum_job_id\n1,a,ALL\n", "Line 2: ALL means every job"),
        (
            b"number,name,spectrum_job_id\n1,a,J1\n2,b,j1\n",
            "Line 3: spectrum_job_id stands further up already. Found: “j1” in line 2.",
        ),
        (b"number,name\n1,a\x00b\n", "Line 2: "),
        (b"\n", "Line 1: The header must have the column number and name."),
    ],
)
def test_a_file_that_is_not_one_says_what_is_wrong_and_where(flask: Flasked, text: bytes, said: str) -> None:
    result = flask("projects", "import", text=text)
    assert result.exit_code == 1
    assert said in result.stderr
    assert projects() == []


def test_a_file_that_is_not_there_is_told_in_a_sentence(flask: Flasked) -> None:
    result = flask("projects", "import")
    assert result.exit_code == 1
    assert "can not be read: No such file or directory." in result.stderr


def test_an_export_tells_status_and_acceptance_and_can_be_imported_elsewhere(
    flask: Flasked,
    tmp_path: Path,
    make_project: Callable[..., Project],
    cast: dict[str, Person],
    template: Job,
) -> None:
    accepted = make_project(number="26-014", description="Two\nlines", name="Café, “Depot”")
    make_project(number="26-015")
    workflow.send(accepted, cast["manager"])
    sent = compose(accepted.information, {}, {"Job_Number": "26-014", "Taxable_Flag": "Y"})
    workflow.accept(accepted, cast["approver"], sent, template, "HB")
    db.session.commit()
    assert flask("projects", "export").output == "2 projects exported.\n"
    text = (tmp_path / "projects.csv").read_bytes().decode()
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert ",".join(first).startswith(HEADER)
    assert (first["name"], first["description"]) == ("Café, “Depot”", "Two\nlines")
    assert (first["status"], first["accepted_by"], first["spectrum_job_id"]) == ("Exporting", "Approver", "26-014")
    assert first["accepted_at"][-6:] in ("-08:00", "-07:00")
    assert (second["status"], second["accepted_by"], second["accepted_at"]) == ("Not Sent", "", "")
    before = [project.information for project in projects()]
    for project in projects():
        project.number += "-old"
    db.session.commit()
    assert flask("projects", "import").exit_code == 0
    assert [project.information for project in projects()[2:]] == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_export_that_can_not_be_written_whole_leaves_the_file_as_it_was(
    environ: dict[str, str], tmp_path: Path, make_project: Callable[..., Project]
) -> None:
    """Taken out to see it fail: the place beside the file (backup.whole_or_not)."""
    for number in range(60):
        make_project(number=f"26-{number:03}", description="long " * 400)
    before, room = set(tmp_path.iterdir()), 100_000  # bytes of the 120,000
    file = tmp_path / "projects.csv"
    file.write_text("of yesterday")
    command = [sys.executable, "-m", "flask", "--app", "app", "projects", "export", str(file)]
    done = subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, f"Error: {file} can not be written: File too large.\n")
    assert file.read_text() == "of yesterday"
    assert {path for path in tmp_path.iterdir() if "db" not in path.name} == {*before, file} - set(
        tmp_path.glob("*db*")
    )


def test_an_export_to_a_link_is_written_where_it_leads_and_keeps_who_may_read_it(
    flask: Flasked, tmp_path: Path, make_project: Callable[..., Project]
) -> None:
    make_project()
    link, there = tmp_path / "projects.csv", tmp_path / "there.csv"
    there.touch(0o600)
    link.symlink_to(there)
    assert flask("projects", "export").exit_code == 0
    assert link.is_symlink()
    assert there.read_text().startswith(HEADER)
    assert there.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_export_does_not_take_the_place_of_the_database(app: Flask, make_project: Callable[..., Project]) -> None:
    make_project()
    database = Path(str(db.engine.url.database))
    before = database.stat().st_ino
    result = app.test_cli_runner().invoke(args=["projects", "export", str(database)])
    assert (result.exit_code, "is the database itself" in result.output) == (1, True)
    assert database.stat().st_ino == before


def test_an_export_to_a_device_goes_there(app: Flask, make_project: Callable[..., Project]) -> None:
    make_project()
    result = app.test_cli_runner().invoke(args=["projects", "export", "/dev/null"])
    assert (result.exit_code, result.output) == (0, "1 project exported.\n")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "-2+3+A1", "@SUM(A1)"])
def test_a_cell_that_reads_like_a_formula_goes_out_guarded_and_comes_back_as_it_was(
    flask: Flasked, tmp_path: Path, make_project: Callable[..., Project], name: str
) -> None:
    project = make_project(name=name, phone="+1 253 555 0129")
    flask("projects", "export")
    text = (tmp_path / "projects.csv").read_text()
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["name"] == f"'{name}"
    assert row["phone"] == "+1 253 555 0129"
    db.session.get_one(Project, project.id).number = "old"
    db.session.commit()
    flask("projects", "import")
    assert projects()[1].name == name


def test_in_the_browser_a_file_is_previewed_then_imported(browser: Browsing) -> None:
    manager = browser("manager")
    text = lines(HEADER, DEPOT, TRAIL.replace("Link Trail", '"Link ""Trail"" <b>"'))
    preview = upload(manager, text)
    assert preview.status_code == 200
    assert "2 projects to import" in preview.text
    assert preview.text.index("Import 2 Projects") < preview.text.index("<table")
    assert projects() == []
    done = manager.post("/admin/projects/import/confirm", {"text": text})
    assert done.status_code == 303
    assert "Imported 2 projects." in manager.get(done.location).text
    assert [(each.name, each.created_by.name) for each in projects() if each.created_by] == [
        ("Depot Lofts", "Manager"),
        ('Link "Trail" <b>', "Manager"),
    ]


def test_in_the_browser_a_bad_line_is_named_and_nothing_can_be_imported(browser: Browsing) -> None:
    manager = browser("manager")
    bad = lines(HEADER, DEPOT, "26-015,,,,,,,,,,,")
    for response in (upload(manager, bad), manager.post("/admin/projects/import/confirm", {"text": bad})):
        assert response.status_code == 422
        assert "Line 3: Enter the Project Name." in response.text
        assert "to import" not in response.text
    assert projects() == []


def test_in_the_browser_a_fault_of_many_lines_is_said_once_with_all_its_lines_and_some_of_its_values(
    browser: Browsing,
) -> None:
    dates = ["03/09/2026", "2026-03-09", "soon", "soon", "May 1", "2026-03-09", "n/a", *("x" * 50,) * 20]
    text = lines("number,name,start_date", *(f"26-{line},Depot,{date}" for line, date in enumerate(dates)))
    assert (
        "<li>Lines 2, 4 to 6 and 8 to 28: Estimated Start Date must be a date, such as 2026-03-09."
        " Found: “03/09/2026”, “soon”, “May 1” and 2 others.</li>"
    ) in upload(browser("manager"), text).text


def test_in_the_browser_the_lines_of_a_fault_that_is_everywhere_are_folded_away(browser: Browsing) -> None:
    every_other = lines("number,name", *(f"26-{number},{'Depot' if number % 2 else ''}" for number in range(2000)))
    page = upload(browser("manager"), every_other).text
    assert "<summary>Many lines: Enter the Project Name.</summary>Lines 2, 4, 6, " in page
    assert " and 2000</details>" in page


def test_a_number_that_was_taken_between_preview_and_import_imports_nothing(
    browser: Browsing, make_project: Callable[..., Project]
) -> None:
    manager = browser("manager")
    assert upload(manager, lines(HEADER, DEPOT, TRAIL)).status_code == 200
    make_project(number="26-015")
    late = manager.post("/admin/projects/import/confirm", {"text": lines(HEADER, DEPOT, TRAIL)})
    assert late.status_code == 422
    assert "Line 3: Another project has this number already. Found: “26-015”." in late.text
    assert db.session.scalar(select(func.count()).select_from(Project)) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "Choose a CSV file"),
        (b"number,name\n", "no line below its header"),
        (b"number,name\n" + b"1,a\n" * 100_001, "larger than 400 kB"),
    ],
)
def test_a_file_with_nothing_in_it_or_too_much_is_refused(browser: Browsing, data: bytes, said: str) -> None:
    response = upload(browser("manager"), data)
    assert response.status_code == 422
    assert said in response.text


def test_the_list_can_be_had_as_csv_as_the_search_finds_it(
    browser: Browsing, make_project: Callable[..., Project]
) -> None:
    make_project(number="26-014")
    make_project(number="26-015", name="Trail")
    response = browser("onlooker").get("/admin/projects.csv?q=trail")
    assert response.mimetype == "text/csv"
    assert [row["number"] for row in csv.DictReader(io.StringIO(response.text))] == ["26-015"]
    assert len(browser("onlooker").get("/admin/projects.csv").text.splitlines()) == 3


def test_importing_is_for_projects_admins(browser: Browsing) -> None:
    onlooker = browser("onlooker")
    assert onlooker.get("/admin/projects/import").status_code == 403
    assert onlooker.post("/admin/projects/import/confirm", {"text": lines(HEADER, DEPOT)}).status_code == 403
    assert "Import Projects" not in onlooker.get("/admin/projects").text
    assert projects() == []
    assert browser("clerk").get("/admin/projects.csv").status_code == 404
