"""Spectrum over its Data Exchange web services: the only place that knows SOAP.

Here is what is called and with what. Which fields there are stands in `erp.tables`, the XML in
`erp.envelope`, the HTTP in `erp.transport`, and what an answer means in `erp.verdicts`. The
Authorization ID, the GUID and tokens are in no cause and no log.
"""

import json
import re
from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import uuid4

from erp import Outcome, ReadError, ReadResult, WriteResult
from erp.spectrum import answers, soap
from erp.spectrum.http import Transport
from erp.spectrum.rules import job_key


class Spectrum:
    """One company of one Spectrum, as `erp.ERP` describes it.

    Times in seconds, `deadline` for a whole call. `token_client`, an id and a secret, is for a hosted
    Spectrum, which wants a token with each call. An unreadable `ca_file` raises OSError.
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
        token_client: tuple[str, str] | None = None,
    ) -> None:
        self._transport = Transport(url, ca_file, connect_timeout, read_timeout, deadline)
        self._company_code = company_code
        self._authorization_id = authorization_id
        self._token_client = token_client

    def add_job(self, values: Mapping[str, str]) -> WriteResult:
        """Create one job; CREATED only where Spectrum's answer says exactly that."""
        return self._write("AddJob", values)

    def add_phase(self, values: Mapping[str, str]) -> WriteResult:
        """Add one phase to a job, or update it."""
        return self._write("AddPhase", values)

    def jobs(self, *, status: str = "", customer: str = "", division: str = "", cost_center: str = "") -> ReadResult:
        """Read jobs (GetJobMain). In customer and division SuperSelect's operators work."""
        return self._read("GetJobMain", _filters(status, customer, division, cost_center))

    def job_details(
        self, *, status: str = "", customer: str = "", division: str = "", cost_center: str = ""
    ) -> ReadResult:
        """Read jobs (GetJob). In customer and division SuperSelect's operators work."""
        return self._read("GetJob", _filters(status, customer, division, cost_center))

    def phases(self, job_number: str) -> ReadResult:
        """Read the phases of one job; where its number has an operator in it, other jobs' are left out."""
        found = self._read("GetPhase", {"pJob_Number": job_number})
        own = [row for row in found.rows if job_key(row["Job_Number"]) == job_key(job_number)]
        return ReadResult(own, found.complete)

    def probe(self, service: str) -> str | None:
        """Compare the service's WSDL with our table; None when it is there and takes the same fields."""
        try:
            reply = self._transport.get(f"/wsdls/{service}.jws")
            answers.check_status(reply.status, service)
            return answers.unlike(service, soap.declared(service, reply.body))
        except ReadError as failure:
            return failure.cause
        except soap.Unparsable:
            return f"Spectrum's description of {service} cannot be read. Ask IT to check SPECTRUM_URL."

    def _write(self, service: str, values: Mapping[str, str]) -> WriteResult:
        try:
            return answers.written(service, self._call(service, values))
        except ReadError as failure:
            open_end = " It may have arrived all the same; Countersign looks in Spectrum by itself."
            return WriteResult(
                failure.outcome, failure.cause + (open_end if failure.outcome is Outcome.UNKNOWN else "")
            )

    def _read(self, service: str, filters: Mapping[str, str]) -> ReadResult:
        return answers.listed(service, self._call(service, filters))

    def _call(self, service: str, values: Mapping[str, str]) -> list[dict[str, str]]:
        """Return the rows of the answer; Unreadable where there is no answer to rely on."""
        guid = str(uuid4())
        call = self._request(service, values, guid)
        client_id, client_secret = self._token_client or ("", "")
        token = self._token(client_id, client_secret) if client_id else ""
        reply = self._transport.post(f"/ws/{service}", call, self._headers(service, token))
        answers.check_status(reply.status, service)
        secrets = [guid, token, self._authorization_id, client_secret]
        try:
            rows = soap.rows(service, reply.body, reply.charset)
        except soap.Unparsable:
            raise ReadError(Outcome.UNKNOWN, answers.UNCLEAR) from None
        except soap.Fault as fault:
            told = answers.masked({"desc": fault.text}, secrets)["desc"]
            raise answers.faulted(service, fault.code, told) from None
        if reply.status != 200:
            raise ReadError(Outcome.UNKNOWN, answers.UNCLEAR)
        return [answers.masked(row, secrets) for row in rows]

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

    def _headers(self, service: str, token: str) -> dict[str, str]:
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f"{self._transport.url}/ws/{service}"}
        return headers | ({"Authorization": f"Bearer {token}"} if token else {})

    def _token(self, client_id: str, client_secret: str) -> str:
        """Fetch a token. However that fails, the call itself was not sent."""
        form = {"grant_type": "client_credentials", "scope": "spectrumapi", "client_id": client_id}
        content = urlencode({**form, "client_secret": client_secret}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            reply = self._transport.post("/connect/token", content, kind)
        except ReadError as failure:
            outcome = Outcome.NOT_SENT if failure.outcome is Outcome.UNKNOWN else failure.outcome
            raise ReadError(outcome, failure.cause) from None
        if 400 <= reply.status < 500:
            cause = f"Spectrum gave no token for the call (HTTP {reply.status}); nothing was sent."
            raise ReadError(Outcome.CONFIGURATION, f"{cause} Ask IT to check the client id and secret.")
        token = _access_token(reply.body)
        if not token:
            cause = "Spectrum gave no token for the call; nothing was sent. Countersign tries again by itself."
            raise ReadError(Outcome.NOT_SENT, cause)
        return token


def _filters(status: str, customer: str, division: str, cost_center: str) -> dict[str, str]:
    return {"pStatus_Code": status, "pCustomer_Code": customer, "pDivision": division, "pCost_Center": cost_center}


def _access_token(body: bytes) -> str:
    """Return the token of a reply, "" where there is none that a header can carry."""
    try:
        token = json.loads(body)["access_token"]
    except (ValueError, KeyError, TypeError):
        return ""
    return token if isinstance(token, str) and re.fullmatch(r"[!-~]+", token) else ""
