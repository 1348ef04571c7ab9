"""Many people decide on the same projects at the same moment: one decision each, and everybody else is told whose."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from conftest import INFORMATION, PASSWORD, ROOT, server_settings, start_server
from flask import Flask
from sqlalchemy import select

from extensions import db
from models import Event, Move, Person, Project, Status

PROJECTS, THREADS, PROCESSES = 50, 5, 4  # threads in each process
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@pytest.fixture
def environ(database_url: str) -> dict[str, str]:
    return server_settings(database_url, "http://127.0.0.1:1", "127.0.0.1:1", RUN_SCHEDULER="no")


@pytest.fixture
def server(app: Flask, environ: dict[str, str]) -> Iterator[str]:
    process = start_server(environ)
    yield environ["BASE_URL"]
    process.terminate()
    process.wait()


def sign_in(address: str) -> tuple[str, dict[str, str]]:
    """The token for forms and the cookies of an approver."""
    with httpx.Client(base_url=address, timeout=60) as client:
        form = {"email": "approver@example.com", "password": PASSWORD}
        client.post("/login", data={"csrf_token": TOKEN.findall(client.get("/login").text)[0], **form})
        return TOKEN.findall(client.get("/me").text)[0], dict(client.cookies)


def decide(address: str, token: str, cookies: dict[str, str], versions: dict[int, int]) -> list[tuple[int, int, str]]:
    """Somebody who rejects all of them, as fast as it goes: project, status and page of each answer."""
    with httpx.Client(base_url=address, cookies=cookies, timeout=60) as client:
        answers = []
        for project, version in versions.items():
            data = {"csrf_token": token, "version": version, "comment": "The customer is missing"}
            answer = client.post(f"/approvals/{project}/reject", data=data)
            answers.append((project, answer.status_code, answer.text))
        return answers


def test_of_many_decisions_at_the_same_moment_one_holds_and_the_others_are_told_whose(
    server: str, cast: dict[str, Person]
) -> None:
    for number in range(PROJECTS):
        Project.create(cast["manager"], INFORMATION | {"number": f"26-{number:03}"}).send(cast["manager"])
    db.session.commit()
    versions = dict(db.session.execute(select(Project.id, Project.version)).all())
    db.session.rollback()
    each = f"import test_many_at_once as test; test.in_threads({server!r}, *{sign_in(server)!r}, {versions!r})"
    run = [sys.executable, "-c", each]
    environ = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    others = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True, env=environ) for _ in range(PROCESSES)]
    told = [line.split(" ", 2) for process in others for line in process.communicate()[0].splitlines()]
    counts = Counter((project, code) for project, code, _ in told)
    everybody = THREADS * PROCESSES
    assert counts == Counter(
        {(str(project), code): times for project in versions for code, times in (("303", 1), ("409", everybody - 1))}
    )
    refused = {sentence for _, code, sentence in told if code == "409"}
    assert all("rejected by Approver less than a minute ago" in sentence for sentence in refused)
    db.session.rollback()
    assert set(db.session.scalars(select(Project.status))) == {Status.REJECTED}
    assert len(db.session.scalars(select(Event).where(Event.action == Move.REJECT)).all()) == PROJECTS


def in_threads(address: str, token: str, cookies: dict[str, str], versions: dict[int, int]) -> None:
    """What each process does: a line per answer, with the sentence that it gave."""
    with ThreadPoolExecutor(THREADS) as pool:
        for answers in pool.map(lambda _: decide(address, token, cookies, versions), range(THREADS)):
            for project, code, page in answers:
                said = re.search(r"(rejected by [^<]*? ago)", page)
                sys.stdout.write(f"{project} {code} {said[1] if said else page[:200].split()}\n")
