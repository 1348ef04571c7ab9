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

from erp import job_key
from extensions import db
from lib.csv_safety import escape_formula, iter_csv, unescape_formula
from lib.formatting import parse_date
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
    assert again.stderr.splitlines()[1:] == ["Line 10002: Another project already has this number. Found: “L10000”."]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffNumber , NAME\r\n26-014,Depot\r\n",
        "\ufeff\ufeffnumber,name\n26-014,Depot",
        "name,number\nDepot,26-014",
        "number,name\n\n26-014,Depot\n,\n",
        "number,name,status,accepted_by,accepted_at\n26-014,Depot,Synced,Dana,2026-03-09T07:00:00-07:00\n",
        "number,name,city,,\n26-014,Depot,,,\n",
        "number,name,city,state\n26-014,Depot\n",
        "number\tname\n26-014\tDepot\n",
        "number;name\n26-014;Depot\n",
        "sep=;\r\nnumber;name\r\n26-014;Depot\r\n",
        "Projects, Tacoma office,,\nPrinted 3/18/2026,,\n,,\nnumber,name,city\n26-014,Depot,\n",
        'number, name\n26-014, "Depot"\n',
        "\ufeffnumber\tname\r\n26-014\tDepot\r\n".encode("utf-16-le"),
        "Projects\n\ufeffnumber,name\n26-014,Depot\n",
        "number,name\r26-014,Depot\r",
        "number,name\n26-014,Depot,,,\n",
        "number,name\r\n26-014,Depot\r\n\x1a",
        '"sep=|"\nnumber|name\n26-014|Depot\n',
    ],
    ids=[
        *("byte order mark, capitals and spaces", "two byte order marks", "another order", "blank lines"),
        *("an export's own columns", "empty columns at the end", "short lines", "tabs", "semicolons", "sep="),
        *("a title above the header", "a blank before a quotation mark", "Unicode Text of Excel"),
        *("a mark below a title", "carriage returns", "more empty values than columns", "DOS's end of file"),
        "any separator that is named",
    ],
)
def test_an_import_reads_what_spreadsheets_write(flask: Flasked, text: str | bytes) -> None:
    assert flask("projects", "import", text=text).exit_code == 0
    assert [(each.number, each.name) for each in projects()] == [("26-014", "Depot")]


@pytest.mark.parametrize(
    "written", ["3/18/2026", "03/18/2026", "2026-03-18 00:00:00", "2026-03-18T00:00", "3/18/2026 0:00"]
)
def test_a_date_is_read_as_spreadsheets_write_it(written: str) -> None:
    assert str(parse_date(written)) == "2026-03-18"


@pytest.mark.parametrize(
    "written", ["18/3/2026", "3/18/26", "0026-03-18", "3/18/0026", "46099", "2026-03-18 07:00:00", "March 18"]
)
def test_a_date_that_could_be_another_is_not_taken(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(written)


def test_yes_and_no_are_read_as_spreadsheets_write_them(flask: Flasked) -> None:
    words = {"TRUE": True, "Y": True, "1": True, "": True, "FALSE": False, "n": False, "0": False}
    flask(
        "projects",
        "import",
        text=lines("number,name,active", *(f"{number},a,{word}" for number, word in enumerate(words))),
    )
    assert [each.active for each in projects()] == list(words.values())


@pytest.mark.parametrize(
    ("column", "value", "warning"),
    [
        ("number", "12-Oct", "Project Number seems to be changed by a spreadsheet."),
        ("number", "1/14/2026", "Project Number seems to be changed by a spreadsheet."),
        ("spectrum_job_id", "1.00E+05", "Spectrum Job ID seems to be changed by a spreadsheet."),
        ("number", "1/14/26", "Project Number seems to be changed by a spreadsheet."),
        ("number", "Mar-26", "Project Number seems to be changed by a spreadsheet."),
        ("phone", "2.54E+09", "Phone seems to be changed by a spreadsheet."),
        ("address_1", "########", "Address seems to be changed by a spreadsheet."),
        ("phone", "#SPILL!", "Phone seems to be changed by a spreadsheet."),
        ("zip", "2138-1234", "A ZIP has five digits. A spreadsheet may have dropped the zero in front."),
        ("city", "#NAME?", "City seems to be changed by a spreadsheet."),
        ("zip", "2138", "A ZIP has five digits. A spreadsheet may have dropped the zero in front."),
        ("name", "n" * 26, "Project Name is longer than the 25 Spectrum holds."),
        ("number", "n" * 11, "Project Number is longer than the 10 Spectrum holds."),
        ("address_1", "a" * 31, "Address is longer than the 30 Spectrum holds."),
        ("state", "Washington", "State"),
    ],
)
def test_the_preview_warns_of_a_value_that_a_spreadsheet_spoiled_or_spectrum_does_not_hold(
    flask: Flasked, browser: Browsing, column: str, value: str, warning: str
) -> None:
    doubtful = {"number": "26-014", "name": "Depot"} | {column: value}
    text = lines(",".join(doubtful), ",".join(doubtful.values()), "26-015,Trail")
    page = upload(browser("manager"), text).text
    assert "1 line to check before you import:" in page
    assert f"Line 2: {warning}" in page
    assert f"Found: “{value}”." in page
    assert "2 projects to import" in page
    assert f"Warning: Line 2: {warning}" in flask("projects", "import", text=text).stderr
    assert len(projects()) == 2


def test_line_breaks_count_once_and_leave_no_false_history(flask: Flasked, browser: Browsing) -> None:
    """Taken out to see it fail: normalize in check_information."""
    description = "\r\n".join(["four"] * 400)  # 1,999 characters, and 399 more if a line break were two
    text = f'number,name,description\n1,a,"{description}"\n'
    assert "1 project to import" in upload(browser("manager"), text).text
    assert flask("projects", "import", text=text).exit_code == 0
    (project,) = projects()
    assert project.description == description.replace("\r\n", "\n")
    form = project.information | {"description": description, "version": project.version, "active": "1"}
    saved = browser("manager").post(f"/admin/projects/{project.id}", {key: each or "" for key, each in form.items()})
    assert saved.status_code == 303
    assert [event.action for event in projects()[0].events] == ["created"]


def test_composed_and_decomposed_letters_are_one_number(flask: Flasked) -> None:
    result = flask("projects", "import", text="number,name\nCafé,a\nCafe\u0301,b\n")
    assert "Line 3: number is already used further up. Found: “Café” in line 2." in result.stderr


@pytest.mark.parametrize("number", ["26 014", "26/014", "A&B"])
def test_a_job_number_that_only_spectrum_gives_can_be_exported_and_imported(
    flask: Flasked, make_project: Callable[..., Project], number: str
) -> None:
    project = make_project(number="1")
    project.spectrum_job_id, project.job_key = number, job_key(number)
    db.session.commit()
    assert flask("projects", "export").exit_code == 0
    (project,) = projects()
    project.number, project.spectrum_job_id, project.job_key = "old", None, None
    db.session.commit()
    assert flask("projects", "import").exit_code == 0
    assert projects()[1].suggested_job_key == job_key(number)


def test_an_import_is_all_or_nothing_and_names_every_bad_line(
    flask: Flasked, make_project: Callable[..., Project]
) -> None:
    make_project(number="26-X")
    text = lines(
        HEADER,
        DEPOT,
        "26-016,,,,,,,,,,,",
        "26-017,Wrong date,,,,,,,,18/3/2026,,",
        '26-018,"Two',
        'lines",,,,,,,,,,',
        "26-019,Backwards,,,,,,,,2026-09-30,2026-03-09,maybe",
        "26-014 ,Twice,,,,,,,,,,",
        "26-x,Taken,,,,,,,,,,",
        "26-020,Inc., Tacoma,,,,,,,,,,,,x",
    )
    result = flask("projects", "import", text=text)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: Nothing was imported.",
        "Line 3: Enter the Project Name.",
        "Line 4: Estimated Start Date must be a date, such as 12/7/2026 or 2026-12-07. Found: “18/3/2026”.",
        "Line 5: Project Name holds a line break or an invisible character; type it again. Found: “Two�lines”.",
        "Line 7: The completion date is before the start date. Found: “2026-03-09”.",
        "Line 7: active must be yes or no. Found: “maybe”.",
        "Line 8: number is already used further up. Found: “26-014” in line 2.",
        "Line 9: Another project already has this number. Found: “26-x”.",
        "Line 10: This line has 15 values; 12 are expected. "
        "A value with a comma in it needs quotation marks around it.",
    ]
    assert len(projects()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"number,city\n1,Fife\n", "Line 1: The header must have the column name."),
        (b"number,name,colour\n1,a,b\n", "Line 1: There is no column colour."),
        (b"number,name,,city\n1,a,,Fife\n2,b,x\n", "Line 3: “x” stands in a column without a name."),
        (b"number,name,name\n1,a,b\n", "Line 1: A column is there twice."),
        (b"number,name\n26-014,Caf\xe9\n", "Line 2: This is not UTF-8 text."),
        (b'number,name\n26-014,Depot\n26-015,"Tr"ail\n', "Line 3: A quotation mark is in the wrong place."),
        (b'number,name\n26-014,"Depot\n', "Line 2: A quotation mark is opened here and never closed."),
        (b"PK\x03\x04 xl/workbook.xml", "Line 1: This is an Excel workbook, not CSV. In Excel, choose File, Save As"),
        (b"\xd0\xcf\x11\xe0 of 2003", "Line 1: This is an Excel workbook, not CSV."),
        (b"PK\x05\x06", "Line 1: This file is not CSV"),
        (b"\xef\xbb\xbf\n<HTML xmlns:x='urn:schemas-microsoft-com'><table>", "Line 1: This file is not CSV"),
        (b"<?xml version='1.0'?><Workbook/>", "Line 1: This file is not CSV"),
        (b"%PDF-1.7", "whatever its name says. In Excel, choose File, Save As"),
        ("number,name\n1,a\n".encode("utf-16-le"), "Line 1: This file is not CSV"),
        (b"number,name,spectrum_job_id\n1,a,ALL\n", "Line 2: ALL means every job"),
        (
            b"number,name,spectrum_job_id\n1,a,J1\n2,b,j1\n",
            "Line 3: spectrum_job_id is already used further up. Found: “j1” in line 2.",
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
    assert "can't be read: No such file or directory." in result.stderr


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
    text = (tmp_path / "projects.csv").read_bytes().decode("utf-8-sig")
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
    assert (done.returncode, done.stderr) == (1, f"Error: {file} can't be written: File too large.\n")
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
    assert there.read_text().startswith("\ufeff" + HEADER)
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


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "-2+3+A1", "@SUM(A1)", "＝1+1", "'=1"])
def test_a_cell_that_reads_like_a_formula_goes_out_guarded_and_comes_back_as_it_was(
    flask: Flasked, tmp_path: Path, make_project: Callable[..., Project], name: str
) -> None:
    project = make_project(name=name, phone="+1 253 555 0129")
    flask("projects", "export")
    text = (tmp_path / "projects.csv").read_text(encoding="utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["name"] == f"'{name}"
    assert row["phone"] == "+1 253 555 0129"
    db.session.get_one(Project, project.id).number = "old"
    db.session.commit()
    flask("projects", "import")
    assert projects()[1].name == name


def test_a_file_is_written_in_pieces_while_its_lines_are_read() -> None:
    read = []
    pieces = iter_csv(["a"], ([str(read.append(line))] for line in range(2500)))
    assert [(next(pieces)[:1], len(read)), (len(next(pieces).split()), len(read))] == [("\ufeff", 0), (1000, 1000)]
    assert (len(list(pieces)), len(read)) == (2, 2500)


@pytest.mark.parametrize("separator", [";", "\n", "\r\n", "\t"])
def test_a_formula_inside_of_a_cell_goes_out_guarded_too(separator: str) -> None:
    cell = f"Depot{separator} =1+1"
    assert escape_formula(cell) == f"Depot{separator}' =1+1"
    assert unescape_formula(escape_formula(cell)) == cell


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
    dates = ["18/3/2026", "2026-03-09", "soon", "soon", "May 1", "2026-03-09", "n/a", *("x" * 50,) * 20]
    text = lines("number,name,start_date", *(f"26-{line},Depot,{date}" for line, date in enumerate(dates)))
    assert (
        "<li>Lines 2, 4 to 6 and 8 to 28: Estimated Start Date must be a date, such as 12/7/2026 or 2026-12-07."
        " Found: “18/3/2026”, “soon”, “May 1” and 2 others.</li>"
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
    assert "Line 3: Another project already has this number. Found: “26-015”." in late.text
    assert db.session.scalar(select(func.count()).select_from(Project)) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "Choose a CSV file"),
        (b"number,name\n", "no projects below its header"),
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
    assert [row["number"] for row in csv.DictReader(io.StringIO(response.text.removeprefix("\ufeff")))] == ["26-015"]
    assert len(browser("onlooker").get("/admin/projects.csv").text.splitlines()) == 3


def test_importing_is_for_projects_admins(browser: Browsing) -> None:
    onlooker = browser("onlooker")
    assert onlooker.get("/admin/projects/import").status_code == 403
    assert onlooker.post("/admin/projects/import/confirm", {"text": lines(HEADER, DEPOT)}).status_code == 403
    assert "Import Projects" not in onlooker.get("/admin/projects").text
    assert projects() == []
    assert browser("clerk").get("/admin/projects.csv").status_code == 404
