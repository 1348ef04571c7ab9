"""The web address of the sandbox mailbox: its pages, the raw mails, and the control interface for tests.

Nothing of a mail is trusted: what it says is escaped, and its HTML stands alone behind a policy of its own.
"""

from dev.sandbox import smtp
from dev.sandbox.fault_pages import FaultPages
from dev.sandbox.faults import Faults
from dev.sandbox.mails import Mail, Mails
from dev.sandbox.web import RefusedError, Reply, Request, Site, as_json, page

HTML_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class MailboxSite(Site):
    """The mailbox over the mails that arrived."""

    def __init__(self, mails: Mails) -> None:
        self.mails, self.faults = mails, Faults()
        fault_pages = FaultPages(
            self.faults,
            smtp.read,
            smtp.read_form,
            "mailbox_faults.html",
            commands=smtp.COMMANDS,
            defaults=smtp.DEFAULTS,
        )
        super().__init__(
            [
                ("GET", "/", self.mails_page),
                ("GET", r"/mails/(\d+)", self.mail_page),
                ("GET", r"/mails/(\d+)/html", self.html_part),
                ("GET", r"/mails/(\d+)\.eml", self.raw_mail),
                ("GET", "/sandbox/mails", self.list_mails),
                ("POST", "/sandbox/reset", self.reset),
                *fault_pages.routes,
            ]
        )

    def mails_page(self, _: Request) -> Reply:
        """The mails, newest first."""
        return page("mails.html", mails=self.mails.all(), faults=self.faults.listed())

    def mail_page(self, _: Request, number: str) -> Reply:
        """One mail: headers, text, and a frame with its HTML."""
        return page("mail.html", mail=self._mail(number))

    def html_part(self, _: Request, number: str) -> Reply:
        """A mail's HTML as it came, kept from doing or fetching anything."""
        html = self._mail(number).part("html").encode("utf-8", "replace")
        return Reply(html, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": HTML_POLICY})

    def raw_mail(self, _: Request, number: str) -> Reply:
        """A mail as received."""
        return Reply(
            self._mail(number).raw, content_type="message/rfc822", headers={"X-Content-Type-Options": "nosniff"}
        )

    def list_mails(self, _: Request) -> Reply:
        """The mails, newest first."""
        return as_json([mail.as_dict() for mail in self.mails.all()])

    def reset(self, _: Request) -> Reply:
        """Throw the mails away and switch the faults off."""
        self.faults.switch_off()
        self.mails.clear()
        return as_json({})

    def _mail(self, number: str) -> Mail:
        mail = self.mails.get(int(number))
        if not mail:
            raise RefusedError(404, f"There is no mail {number}.")
        return mail
