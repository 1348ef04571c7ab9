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
UNDER_WAY = frozenset({Status.EXPORTING, Status.CHECKING})


class Move(enum.StrEnum):
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
MOVES: dict[Move, tuple[frozenset[Status], Status]] = {
    Move.SEND: (EDITABLE, Status.READY),
    Move.LINK: (EDITABLE | {Status.READY, Status.FAILED}, Status.SYNCED),
    Move.RETRIEVE: (frozenset({Status.READY}), Status.RETRIEVED),
    Move.REJECT: (frozenset({Status.READY, Status.FAILED}), Status.REJECTED),
    Move.ACCEPT: (frozenset({Status.READY}), Status.EXPORTING),
    Move.TAKE_BACK: (frozenset({Status.EXPORTING}), Status.READY),
    Move.CREATED: (frozenset({Status.EXPORTING, Status.CHECKING}), Status.SYNCED),
    Move.FAIL: (UNDER_WAY, Status.FAILED),
    Move.LOSE_TRACK: (frozenset({Status.EXPORTING}), Status.CHECKING),
    Move.FOUND: (frozenset({Status.CHECKING}), Status.SYNCED),
    Move.RETRY: (frozenset({Status.FAILED}), Status.EXPORTING),
    Move.UNLINK: (frozenset({Status.SYNCED}), Status.NOT_SENT),
}
