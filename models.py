"""The index of all tables. Import them from here; their columns stand in `tables/`, a file for each subject.

    Setting, Counter                    facts of the installation; projects by status, and the data's revision
    Person, LoginAttempt                the Company Directory; sign-ins that failed lately
    Job, Customer                       a job and a customer as Spectrum last listed them
    Project, Export, Event              a project, one acceptance's way to Spectrum, a line of history
    Delivery, DigestDay, TaskRequest    a mail to a person, a day whose summary is done, work asked of the scheduler

The tables say what is kept, `services/workflow.py` says what may happen to a project.
"""

from lib.columns import utcnow
from lib.leases import LeaseLost
from tables.customer import Customer
from tables.job import JOB_LIST, JOB_ORDERS, Job
from tables.outbox import Delivery, DigestDay, MailKind, MailOutcome, TaskKind, TaskRequest
from tables.person import Level, LoginAttempt, Person
from tables.project import COMMENTED, INFORMATION, ORDERS, Event, Export, Project, as_text, diff, search_text
from tables.setting import Counter, Setting, SettingName
from tables.status import (
    EDITABLE,
    FAILED,
    IN_PROGRESS,
    OUTSTANDING,
    TRANSITIONS,
    UPDATE,
    WAITING,
    NotAllowed,
    ProjectState,
    Side,
    Status,
    Transition,
)

__all__ = [
    "COMMENTED", "EDITABLE", "FAILED", "INFORMATION", "IN_PROGRESS", "JOB_LIST", "JOB_ORDERS", "ORDERS", "OUTSTANDING",
    "TRANSITIONS", "UPDATE", "WAITING", "Counter", "Customer", "Delivery", "DigestDay", "Event", "Export", "Job",
    "LeaseLost", "Level", "LoginAttempt", "MailKind", "MailOutcome", "NotAllowed", "Person", "Project", "ProjectState",
    "Setting", "SettingName", "Side", "Status", "TaskKind", "TaskRequest", "Transition", "as_text", "diff",
    "search_text", "utcnow",
]  # fmt: skip
