"""Reading the whole job list past the row limit of a read: by status, then by what the jobs are filed under.

A list that was cut short is asked for again value by value: cost centers, customers, divisions, at last project
managers. One such way misses jobs without a value, and those with a value that no row has shown. So the list counts as
complete only where two ways that rely on different filters agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from erp import Connection, ErpJob, ReadError, ReadResult, job_key

STATUSES = ("active", "inactive", "complete")
FILTERS = ("cost_center", "customer", "division")  # what a listed job says of itself; who manages it is asked apart
MANAGER = "project_manager"
NARROWER = ("division", "cost_center", "customer")  # how a part is narrowed: by what has few values first
MOST_CALLS = 3000  # for one status: an hour; past it the list is left incomplete

Jobs = dict[str, ErpJob]  # by job_key
Values = dict[str, set[str]]  # known values by filter


@dataclass
class JobList:
    """The jobs of a reading, whether there can be no others, and which of them hold a damaged value."""

    jobs: Jobs = field(default_factory=dict)
    complete: bool = True
    damaged: list[str] = field(default_factory=list)
    calls: int = 0  # that it took

    @property
    def counts(self) -> dict[str, int]:
        statuses = [job.status for job in self.jobs.values()]
        return {status: statuses.count(status) for status in STATUSES}


def read(erp: Connection, known: Mapping[str, set[str]], second_way: bool = False) -> JobList:
    """Read the jobs of every status. `known` holds values to narrow by, from earlier readings. Raises ReadError."""
    values = {name: set(known.get(name, ())) for name in FILTERS} | {MANAGER: set()}
    found = JobList()
    for status in ("open", "complete"):
        reader = _StatusReader(erp, status, values, second_way)
        if status == "open" and not reader.ask({}).complete:  # active and inactive have a limit each
            readers = [_StatusReader(erp, each, values, second_way) for each in ("active", "inactive")]
        else:
            readers = [reader]
        for each in readers:
            found.complete = each.read_all() and found.complete
        for each in {reader, *readers}:
            found.jobs |= each.jobs
            found.calls += each.calls
            found.damaged += [number for number in each.damaged if number not in found.damaged]
    return found


@dataclass(frozen=True)
class _Way:
    """The jobs behind all known values of a filter, each read to its end, and the filters relied on for that."""

    found: set[str]
    relied_on: set[str]


class _StatusReader:
    """The questions that one status of the list takes, none asked twice, and the jobs that were shown."""

    def __init__(self, erp: Connection, status: str, values: Values, second_way: bool) -> None:
        self.jobs: Jobs = {}
        self.damaged: list[str] = []
        self._manager_calls = 0
        self._erp, self._status, self._values = erp, status, values
        self._way: dict[str, Any] = {"second_way": True} if second_way else {}
        self._answers: dict[frozenset[tuple[str, str]], ReadResult[ErpJob]] = {}

    @property
    def calls(self) -> int:
        return len(self._answers) + self._manager_calls

    def read_all(self) -> bool:
        """Ask for everything there is; returns whether no job can be missing."""
        if self.ask({}).complete:
            return True
        shown = -1
        while shown < len(self.jobs):  # a job that one filter shows names values of the others
            shown = len(self.jobs)
            for name in FILTERS:
                for value in sorted(self._values[name]):
                    self.ask({name: value})
        shown = -1
        while shown < len(self.jobs):
            shown = len(self.jobs)
            if self._read_ways():
                return True
        return False

    def _read_ways(self) -> bool:
        """Read by one filter after the other; returns whether two of them agree."""
        ways: list[_Way] = []
        for name in sorted(FILTERS, key=self._count_cut):  # what needs no further narrowing costs no further call
            way = self._read_way(name, {})
            if way and self._covers(name, way):
                ways.append(way)
            if self._agree(ways):
                return True
        self._read_managers()
        by_manager = self._read_way(MANAGER, {}) if self._values[MANAGER] else None
        whole = by_manager and by_manager.found >= self.jobs.keys()
        return self._agree([*ways, by_manager] if by_manager and whole else ways)

    def _read_managers(self) -> None:
        if self._manager_calls:
            return
        for filters in ({}, *({"cost_center": value} for value in sorted(self._values["cost_center"]))):
            self._manager_calls += 1
            try:
                self._values[MANAGER] |= set(self._erp.list_project_managers(self._status, **filters).rows)
            except ReadError:  # the list does without
                return

    def ask(self, filters: Mapping[str, str]) -> ReadResult[ErpJob]:
        question = frozenset(filters.items())
        if question not in self._answers:
            if len(self._answers) >= MOST_CALLS:
                return ReadResult([], complete=False)
            answer = self._erp.list_jobs(self._status, **{**filters, **self._way})
            self._answers[question] = answer
            self.damaged += answer.damaged
            for job in answer.rows:
                self.jobs[job.key] = job
                for name in FILTERS:
                    self._values[name] |= {getattr(job, name)} - {""}
        return self._answers[question]

    def _count_cut(self, name: str) -> int:
        return sum(not self.ask({name: value}).complete for value in self._values[name])

    def _read_way(self, name: str, filters: Mapping[str, str]) -> _Way | None:
        """Read all known values of one filter; None where some could not be read to the end."""
        found: set[str] = set()
        relied_on = {name}
        for value in sorted(self._values[name]):
            part = self._read_part({**filters, name: value})
            if part is None:
                return None
            found |= part.found
            relied_on |= part.relied_on
        return _Way(found, relied_on)

    def _read_part(self, filters: Mapping[str, str]) -> _Way | None:
        answer = self.ask(filters)
        if answer.complete:
            return _Way({job.key for job in answer.rows}, set())
        narrower = (self._read_way(name, filters) for name in NARROWER if name not in filters and self._values[name])
        return next((way for way in narrower if way and way.found >= self._shown(filters)), None)

    def _shown(self, filters: Mapping[str, str]) -> set[str]:
        """The jobs behind these values that any answer has shown; by manager, the narrower answers show them."""
        wanted = {name: job_key(value) for name, value in filters.items() if name != MANAGER}
        if MANAGER in filters:
            return {job.key for job in self.ask(filters).rows}
        return {
            key
            for key, job in self.jobs.items()
            if all(job_key(getattr(job, name)) == value for name, value in wanted.items())
        }

    def _covers(self, name: str, way: _Way) -> bool:
        """Tell whether the way shows each job that has a value to filter by, and these are most jobs."""
        filed = {key for key, job in self.jobs.items() if getattr(job, name)}
        return way.found >= filed and 2 * len(filed) >= len(self.jobs)

    def _agree(self, ways: list[_Way]) -> bool:
        """Tell whether two ways use different filters, and one of them shows every job."""
        return any(
            one.relied_on.isdisjoint(other.relied_on) and self.jobs.keys() <= max(one.found, other.found, key=len)
            for one, other in combinations(ways, 2)
        )
