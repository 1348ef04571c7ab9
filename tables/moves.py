"""The status of a project, and what may follow what: the one state machine of the product."""

import enum


class Status(enum.StrEnum):
    NOT_SENT = "Not Sent"
    READY = "Ready to Export"
    EXPORTING = "Exporting"
    CHECKING = "Checking"
    SYNCED = "Synced"
    FAILED = "Failed to Export"
    REJECTED = "Rejected"
    RETRIEVED = "Retrieved"


EDITABLE = frozenset({Status.NOT_SENT, Status.RETRIEVED, Status.REJECTED})
IN_PROGRESS = frozenset({Status.EXPORTING, Status.CHECKING})


class Transition(enum.StrEnum):
    SEND = "sent"
    RETRIEVE = "retrieved"
    REJECT = "rejected"
    ACCEPT = "accepted"
    TAKE_BACK = "taken back"
    CREATED = "exported"
    FAIL = "failed"
    LOSE_TRACK = "being checked"
    FOUND = "found in Spectrum"
    RETRY = "retried"
    LINK = "linked"
    UNLINK = "unlinked"


# What may follow what: the one state machine of the product.
TRANSITIONS: dict[Transition, tuple[frozenset[Status], Status]] = {
    Transition.SEND: (EDITABLE, Status.READY),
    Transition.LINK: (EDITABLE | {Status.READY, Status.FAILED}, Status.SYNCED),
    Transition.RETRIEVE: (frozenset({Status.READY}), Status.RETRIEVED),
    Transition.REJECT: (frozenset({Status.READY, Status.FAILED}), Status.REJECTED),
    Transition.ACCEPT: (frozenset({Status.READY}), Status.EXPORTING),
    Transition.TAKE_BACK: (frozenset({Status.EXPORTING}), Status.READY),
    Transition.CREATED: (frozenset({Status.EXPORTING, Status.CHECKING}), Status.SYNCED),
    Transition.FAIL: (IN_PROGRESS, Status.FAILED),
    Transition.LOSE_TRACK: (frozenset({Status.EXPORTING}), Status.CHECKING),
    Transition.FOUND: (frozenset({Status.CHECKING}), Status.SYNCED),
    Transition.RETRY: (frozenset({Status.FAILED}), Status.EXPORTING),
    Transition.UNLINK: (frozenset({Status.SYNCED}), Status.NOT_SENT),
}
