"""The dates of the jobs that projects are, read in few calls: the service is optional, and the list need not be whole.

A job that these calls do not show keeps the dates that it had.
"""

from collections.abc import Iterable, Iterator, Sequence

from erp import Connection, ErpJob, JobDates, ReadError
from tasks.job_list_reader import FILTERS

MOST_CALLS = 40


def read(erp: Connection, jobs: Sequence[ErpJob]) -> dict[str, JobDates]:
    """Return the dates of these jobs, by key, as far as they could be read."""
    found: dict[str, JobDates] = {}
    missing, calls = {job.key for job in jobs}, 0
    for filters in _questions(jobs):
        if missing.isdisjoint(_filed(jobs, filters)):
            continue
        if calls == MOST_CALLS:
            break
        calls += 1
        try:
            listing = erp.list_job_dates(**filters)
        except ReadError:
            break
        found |= {dates.key: dates for dates in listing.rows if dates.key in missing}
        missing -= found.keys()
        if listing.complete and not filters:  # no narrower question shows more
            break
    return found


def _questions(jobs: Sequence[ErpJob]) -> Iterator[dict[str, str]]:
    """No filter, then value by value of the filter that has the fewest."""
    yield {}
    values = {name: sorted({getattr(job, name) for job in jobs} - {""}) for name in FILTERS}
    for name in sorted(FILTERS, key=lambda each: len(values[each])):
        yield from ({name: value} for value in values[name])


def _filed(jobs: Iterable[ErpJob], filters: dict[str, str]) -> set[str]:
    return {job.key for job in jobs if all(getattr(job, name) == value for name, value in filters.items())}
