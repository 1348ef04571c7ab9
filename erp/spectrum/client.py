"""Spectrum over its Data Exchange web services, as the port's Connection describes it.

Here is what is called and with what. The XML stands in `erp.spectrum.soap`, the HTTP in `erp.spectrum.http`, the
sign-in in `erp.spectrum.access`, and what an answer means in `erp.spectrum.answers`. The Authorization ID, the GUID,
the client secret and tokens are in no error and no log.
"""

import re
import time
from collections.abc import Mapping
from uuid import uuid4

from erp import (
    Customer,
    ErpJob,
    JobDates,
    Learned,
    NewSecret,
    Outcome,
    Phase,
    ReadError,
    ReadResult,
    Request,
    WriteResult,
    is_damaged,
    job_key,
)
from erp.spectrum import answers, learning, soap
from erp.spectrum.access import Access
from erp.spectrum.fields import REPEATED, STATUSES, UPDATE_ELEMENTS, returns
from erp.spectrum.http import Passing, Reply, Transport
from erp.spectrum.mapping import to_job
from erp.spectrum.salvage import LOST
from erp.spectrum.system import values_of

STATUS_FILTER = {"open": ""} | {word: code for code, word in STATUSES.items()}
COPIED = ("Phase_Code", "Cost_Type", "Description", "Unit_of_Measure", "Status_Code")  # of a phase
TAXABLE = {"y": "Y", "taxable": "Y", "n": "N", "non-taxable": "N"}
OTHER_GUID = {"fresh": "empty", "empty": "fresh"}
PAUSES = (0.3, 1.0)  # seconds before a read is tried for the second and the third time
UNREADABLE = "A value holds a character that could not be read; correct it in Spectrum. Nothing was sent."
ALL_THE_SAME = " It may have arrived all the same; Countersign looks in Spectrum by itself."


class Spectrum:
    """One company of one Spectrum. Times in seconds, `deadline` for a whole call with its repetitions.

    `token_client`, an id and its secrets in the order in which they are tried, is for a hosted Spectrum, which wants a
    token with each call. `auth` and `guid` overrule what was learned. An unreadable `ca_file` raises OSError.
    """

    def __init__(
        self,
        url: str,
        company_code: str,
        authorization_id: str,
        ca_file: str | None = None,
        connect_timeout: float = 5,
        read_timeout: float = 60,
        deadline: float = 120,
        token_client: tuple[str, ...] | None = None,
        auth: str = "auto",
        guid: str = "auto",
        learned: Learned | None = None,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self._transport = Transport(url, ca_file, connect_timeout, read_timeout, deadline)
        self._company_code = company_code
        self._authorization_id = authorization_id
        self._pauses = pauses
        self._wanted_guid = guid
        self._wanted_auth = "token" if auth == "auto" and token_client else auth
        self._about = learning.digest(url, company_code, authorization_id)
        self._learned = learned if learned and learned.about == self._about else None
        self._access = Access(self._transport, company_code, authorization_id, token_client)
        self.use(self._learned.style if self._learned else {})

    def use(self, style: Mapping[str, str]) -> None:
        self._access.style = style.get("http", "none") if self._wanted_auth == "auto" else self._wanted_auth
        self._guid = style.get("guid", "fresh") if self._wanted_guid == "auto" else self._wanted_guid

    # --- writes: sent once ------------------------------------------------------------------------------------------

    def create_job(self, request: Request) -> WriteResult:
        return self._write("AddJob", values_of(request))

    def update_job(self, request: Request, job: ErpJob, dates: JobDates) -> WriteResult:
        """Send the changes, repeating the two values that UpdateJob would otherwise reset to its defaults."""
        changes = {"Job_Number", *UPDATE_ELEMENTS.values()}
        values = {element: value for element, value in values_of(request).items() if element in changes}
        there = {**dates.raw, **job.raw}
        repeated = {element: there[element] for element in REPEATED}
        return self._write("UpdateJob", values | repeated)

    def add_phase(self, job_number: str, phase: Phase) -> WriteResult:
        values = {element: phase.raw.get(element, "") for element in COPIED}
        fixed = {"Job_Number": job_number, "Price_Method_Code": "J"}
        return self._write("AddPhase", values | fixed | {"Phase_Cost_Center": phase.raw.get("Cost_Center", "")})

    def _write(self, service: str, values: Mapping[str, str]) -> WriteResult:
        if any(map(is_damaged, values.values())):
            return WriteResult(Outcome.REFUSED, UNREADABLE)
        try:
            return answers.parse_write(service, *self._call(service, values, self._guid))
        except ReadError as failure:
            more = ALL_THE_SAME if failure.outcome is Outcome.UNKNOWN else ""
            return WriteResult(failure.outcome, failure.error + more)

    # --- reads: repeated where that may help ------------------------------------------------------------------------

    def list_jobs(
        self,
        status: str = "open",
        *,
        customer: str = "",
        division: str = "",
        cost_center: str = "",
        project_manager: str = "",
        second_way: bool = False,
    ) -> ReadResult[ErpJob]:
        guid = OTHER_GUID[self._guid] if second_way else self._guid
        filters = _filters(status, customer, division, cost_center) | {"pProject_Manager": _literally(project_manager)}
        found = self.read("GetJobMain", filters, "Job_Number", guid)
        return ReadResult([to_job(row) for row in found.rows], found.complete, found.damaged)

    def list_project_managers(self, status: str = "open", *, cost_center: str = "") -> ReadResult[str]:
        """Read the managers of the jobs that GetJob shows; GetJobMain does not tell them."""
        found = self.read("GetJob", _filters(status, "", "", cost_center), "Job_Number")
        managers = {row.get("Project_Manager", "") for row in found.rows} - {""}
        return ReadResult(sorted(managers), found.complete, found.damaged)

    def list_job_dates(
        self, status: str = "open", *, customer: str = "", division: str = "", cost_center: str = ""
    ) -> ReadResult[JobDates]:
        found = self.read("GetJobDates", _filters(status, customer, division, cost_center), "Job_Number")
        return ReadResult([JobDates(row["Job_Number"], row) for row in found.rows], found.complete, found.damaged)

    def list_phases(self, job_number: str) -> ReadResult[Phase]:
        found = self.read("GetPhase", {"pJob_Number": _literally(job_number)}, "Job_Number")
        own = [row for row in found.rows if job_key(row["Job_Number"]) == job_key(job_number)]
        return ReadResult([_phase(row) for row in own], found.complete, found.damaged)

    def list_customers(self) -> ReadResult[Customer]:
        found = self.read("GetCustomers", {"pStatus": "ALL"}, "Customer_Code")
        return ReadResult([_customer(row) for row in found.rows], found.complete, found.damaged)

    def read(self, service: str, filters: Mapping[str, str], named_by: str, guid: str = "") -> answers.Listing:
        """Return the rows of a read service, from the best of up to three answers."""
        ends = time.monotonic() + self._transport.deadline
        best, failure = None, None
        for pause in (*self._pauses, None):
            try:
                reply, redact = self._call(service, filters, guid or self._guid, ends - time.monotonic())
                listing = answers.parse_read(service, reply, named_by, redact)
                best = max(listing, best or listing, key=lambda each: len(each.rows))
                if not listing.partial:
                    return _declared(service, listing)
            except Passing as passing:
                failure = passing
            if pause is None or time.monotonic() + pause >= ends:
                break
            time.sleep(pause)
        if best is None:
            assert failure is not None
            raise failure
        return _declared(service, best)

    # --- the connection itself --------------------------------------------------------------------------------------

    def probe(self, service: str) -> str | None:
        try:
            reply = self._wsdl(service)
            if reply.status == 404:
                other = self._wsdl("AddJob" if service == "GetJobMain" else "GetJobMain")
                return answers.missing_service(service, alone=other.status == 200)
            answers.check_status(reply.status, service)
            return answers.compare_wsdl(service, soap.declared(service, reply.body))
        except ReadError as failure:
            return failure.error
        except soap.Unparsable:
            return f"Spectrum's description of {service} cannot be read. Ask IT to check SPECTRUM_URL."

    def learn(self) -> Learned:
        styles = ("none", "basic") if self._wanted_auth == "auto" else (self._wanted_auth,)
        guids = (self._guid, OTHER_GUID[self._guid]) if self._wanted_guid == "auto" else (self._wanted_guid,)
        proven = bool(self._learned and self._learned.proven)
        before = {"http": self._access.style, "guid": self._guid}
        try:
            self._learned = learning.learn(self, self._about, styles, guids, proven)
        except ReadError:
            self.use(before)
            raise
        return self._learned

    def sign_in(self) -> None:
        self._access.sign_in()

    def secret_in_use(self) -> str:
        return self._access.secret_let_in

    def rotate_secret(self) -> NewSecret:
        return self._access.rotate_secret()

    # --- one call ---------------------------------------------------------------------------------------------------

    def _wsdl(self, service: str) -> Reply:
        return self._transport.get(f"/wsdls/{service}.jws", self._access.sign()[0])

    def _call(
        self, service: str, values: Mapping[str, str], guid_style: str, deadline: float | None = None
    ) -> tuple[Reply, answers.Redact]:
        """Send a call, and once more where only its token was refused. Raises ReadError without any reply."""
        guid = str(uuid4()) if guid_style == "fresh" else ""
        call = self._request(service, values, guid)
        reply, old_token = self._post(service, call, deadline)
        if reply.status == 401 and old_token:
            self._access.forget_token()
            reply, _ = self._post(service, call, deadline)
        return reply, answers.redactor([guid, self._authorization_id, *self._access.secrets])

    def _post(self, service: str, call: bytes, deadline: float | None) -> tuple[Reply, bool]:
        signed, old_token = self._access.sign()
        kind = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f"{self._transport.url}/ws/{service}"}
        return self._transport.post(f"/ws/{service}", call, kind | signed, deadline), old_token

    def _request(self, service: str, values: Mapping[str, str], guid: str) -> bytes:
        access = {
            "Authorization_ID": self._authorization_id,
            "GUID": guid,
            "Company_Code": self._company_code,
            "pCompany_Code": self._company_code,
        }
        try:
            return soap.request(service, {**values, **access})
        except ValueError:
            raise ReadError(Outcome.REFUSED, "A value holds a character that cannot be sent to Spectrum.") from None


def _filters(status: str, customer: str, division: str, cost_center: str) -> dict[str, str]:
    return {
        "pStatus_Code": STATUS_FILTER[status],
        "pCustomer_Code": _literally(customer),
        "pDivision": _literally(division),
        "pCost_Center": cost_center,
    }


def _literally(value: str) -> str:
    """Return a value for a filter that takes operators: theirs, and what was not read, is asked as “any one letter”."""
    return "AL?" if job_key(value) == "all" else re.sub(rf"[*,/#{LOST}]", "?", value)


def _declared(service: str, listing: answers.Listing) -> answers.Listing:
    """Leave out the columns that newer releases add, and what is said of errors: it is blank."""
    rows = [{element: row[element] for element in returns(service) if element in row} for row in listing.rows]
    return answers.Listing(rows, listing.damaged, listing.complete, listing.partial, listing.cut)


def _phase(row: dict[str, str]) -> Phase:
    key = row.get("Phase_Code", ""), row.get("Cost_Type", "")
    return Phase(key, " ".join(filter(None, key)), row)


def _customer(row: dict[str, str]) -> Customer:
    taxable = TAXABLE.get(row.get("Taxable_Flag", "").casefold(), "")
    active = not row.get("Status", "").casefold().startswith("i")
    return Customer(row["Customer_Code"], row.get("Name", ""), taxable, active)
