"""The behavior of this Spectrum as a whole, which differs between real installations: how people sign in, which GUIDs
give rows, whether replies arrive whole. Faults, for single calls, are in `spectrum_faults`.

GET /sandbox/personality returns all settings as one JSON object. POST a JSON object with those to change; the others
stay. DELETE, and POST /sandbox/reset, return to the ordinary one. They combine, and nothing is random.

sign_in         none; basic: HTTP Basic with company code and Authorization ID; token: Bearer. 401 without it.
wsdl_sign_in    service descriptions want the same sign-in (true, false)
client_id, client_secret   the only client that gets a token where sign_in is token; without that, any client does
secret_expired  the client secret is past its date: neither token nor rotation
secret_days     days until a rotated secret expires
self_rotation   POST /secretRotation is allowed
rotation_seconds   so long /secretRotation takes to answer once it has replaced the secret
token_seconds   life of a token (`expires_in`). DELETE /sandbox/tokens ends all tokens at once.
guid            any; fresh: only a GUID not used before with the service gives rows; empty: only an empty one does
used_guid       answer of a read whose GUID gives none: "no rows", "blank row" or "row of spaces" for one used before
cut_tail        reads lose their end: 0 no; 1 a byte for each two-byte letter; 2 after the wrapper; 3 inside its end
                tag; 4 after the last row; 5 inside the last row
cut_writes      replies of writes lose their end in the same way
fault_every     every n-th read since this was set is a fault Server (0: none)
fault_above     more than so many calls at once are a fault Server (0: no limit)
missing         list of services that this server does not have
damage          one value of each read arrives broken: none, byte (not UTF-8), ampersand (bare &), control (U+000B)
damaged_job     the job whose row is damaged; empty: the first row
success         how a write says that all went well: empty, empty-data, blank-row, row-of-spaces, good
wrap_errors     error rows of writes stand in a wrapper, as rows of reads do
update_blanks   UpdateJob with blank Status_Code and Create_Date: keep, or reset to A and today
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from threading import Lock
from typing import Any

from werkzeug.exceptions import BadRequest

from dev.sandbox import soap
from dev.sandbox.soap import Row

CHOICES: dict[str, tuple[str | int, ...]] = {
    "sign_in": ("none", "basic", "token"),
    "guid": ("any", "fresh", "empty"),
    "used_guid": ("no rows", "blank row", "row of spaces"),
    "cut_tail": (0, 1, 2, 3, 4, 5),
    "damage": ("none", "byte", "ampersand", "control"),
    "success": ("empty", "empty-data", "blank-row", "row-of-spaces", "good"),
    "update_blanks": ("keep", "reset"),
}
GROUPS = (
    (
        "Sign-in",
        (
            ("sign_in", "HTTP sign-in"),
            ("wsdl_sign_in", "Service descriptions (WSDL) need the sign-in too"),
            ("client_id", "Client ID that gets tokens"),
            ("client_secret", "Client secret"),
            ("secret_expired", "The client secret has expired"),
            ("secret_days", "Days until a rotated secret expires"),
            ("self_rotation", "Secrets can be rotated by the client"),
            ("rotation_seconds", "Seconds until a rotation is answered, after the secret is replaced"),
            ("token_seconds", "Seconds until a token expires"),
        ),
    ),
    (
        "Reads",
        (
            ("guid", "GUIDs that return rows"),
            ("used_guid", "Answer to a GUID that was used before"),
            ("fault_every", "Fail every n-th read (0: never)"),
            ("fault_above", "Fail calls above this many at once (0: no limit)"),
            ("missing", "Missing services, separated by commas"),
        ),
    ),
    (
        "Damaged replies",
        (
            ("cut_tail", "Cut the end off reads (0: no, 1: a few bytes, … 5: inside the last row)"),
            ("cut_writes", "Cut the end off writes too"),
            ("damage", "Damage one value in each list"),
            ("damaged_job", "Job with the damaged value (empty: the first one)"),
        ),
    ),
    (
        "Writes",
        (
            ("success", "Answer when a write succeeds"),
            ("wrap_errors", "Put a write's error rows in a wrapper"),
            ("update_blanks", "Blank status and creation date in UpdateJob"),
        ),
    ),
)
MARK = "\ue000"  # stands in a reply's text where damage goes
DAMAGE = {"byte": b"\xe9", "ampersand": b"&", "control": b"\x0b"}
DAMAGED_ELEMENTS = ("Job_Description", "Description", "Name")


@dataclass(frozen=True)
class Personality:
    """All settings; the defaults are the ordinary Spectrum of `make run`."""

    sign_in: str = "none"
    wsdl_sign_in: bool = False
    client_id: str = "countersign"
    client_secret: str = "sandbox-secret"  # noqa: S105 - a secret of the sandbox only
    secret_expired: bool = False
    secret_days: int = 90
    self_rotation: bool = True
    rotation_seconds: int = 0
    token_seconds: int = 3600
    guid: str = "any"
    used_guid: str = "no rows"
    cut_tail: int = 0
    cut_writes: bool = False
    fault_every: int = 0
    fault_above: int = 0
    missing: list[str] = field(default_factory=list)
    damage: str = "none"
    damaged_job: str = ""
    success: str = "empty"
    wrap_errors: bool = False
    update_blanks: str = "keep"

    def changed(self, given: Mapping[str, Any]) -> "Personality":
        """Return it with these settings. Raises BadRequest."""
        for name, value in given.items():
            default = ORDINARY.get(name)
            if default is None:
                raise BadRequest(f"There is no setting {name}. There are: {', '.join(ORDINARY)}.")
            if type(value) is not type(default) or (name in CHOICES and value not in CHOICES[name]):
                wanted = f"one of {', '.join(map(str, CHOICES[name]))}" if name in CHOICES else f"like {default!r}"
                raise BadRequest(f"{name} must be {wanted}.")
        return replace(self, **given)

    def finish(self, body: str, is_read: bool) -> bytes:
        """Return the bytes of a reply, cut and damaged as set."""
        whole = soap.cut_tail(body, self.cut_tail if is_read or self.cut_writes else 0)
        return whole.replace(MARK.encode(), DAMAGE.get(self.damage, b""))

    def damaged(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        wanted = (row for row in rows if self.damaged_job in ("", row.get("Job_Number")))
        if self.damage == "none" or not (row := next(wanted, None)):
            return rows
        element = next(name for name in DAMAGED_ELEMENTS if name in row)
        broken = row | {element: f"{row[element][:3]}{MARK}{row[element][3:]}"}
        return [broken if each is row else each for each in rows]


ORDINARY = asdict(Personality())


def read_form(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings as the page's form posts them: a tick for yes, services apart by commas."""
    return {each.name: _from_text(form.get(each.name, ""), ORDINARY[each.name]) for each in fields(Personality)}


def _from_text(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return text == "yes"
    if isinstance(default, list):
        return [name.strip() for name in text.split(",") if name.strip()]
    if isinstance(default, int):
        return int(text) if text.isdecimal() else default
    return text


class Installation:
    """The personality in force, and its memory: used GUIDs, reads counted, calls in progress."""

    def __init__(self) -> None:
        self._lock, self._in_progress = Lock(), 0
        self.become(Personality())

    def become(self, personality: Personality) -> None:
        """Take on a personality; counters and used GUIDs begin anew."""
        with self._lock:
            self.personality, self._reads = personality, 0
            self._used: set[tuple[str, str]] = set()

    def listing(self, service: str, guid: str) -> str:
        """Return what a read with this GUID lists: `all`, or one of the choices of used_guid."""
        with self._lock:
            used = (service, guid) in self._used
            self._used.add((service, guid))
        wanted = self.personality.guid
        if wanted == "any" or (wanted == "empty" and not guid) or (wanted == "fresh" and guid and not used):
            return "all"
        return self.personality.used_guid if used and guid else "no rows"

    @contextmanager
    def stumbling(self, is_read: bool) -> Iterator[bool]:
        """Count a call while it is in progress; gives whether the server breaks down over it."""
        with self._lock:
            self._in_progress += 1
            self._reads += is_read
            every, above = self.personality.fault_every, self.personality.fault_above
            falls = bool((is_read and every and self._reads % every == 0) or (above and self._in_progress > above))
        try:
            yield falls
        finally:
            with self._lock:
                self._in_progress -= 1

    def success(self, service: str, number: str, form: str = "") -> str:
        """Return the reply of a write that did its work, in the form set here or given."""
        form = form or self.personality.success
        if form == "empty-data":
            return soap.reply(service, "\r\n\r\n")
        rows = {
            "blank-row": [Row("", "", "")],
            "row-of-spaces": [Row(" ", " ", " ")],
            "good": [Row("G", number, "Job_Number")],
        }
        return soap.write_reply(service, rows.get(form, []))
