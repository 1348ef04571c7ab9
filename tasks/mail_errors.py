"""Failures of mail: their kinds, and the known answers of mail providers with the way to fix each."""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from flask import current_app

from lib.text import clean


class MailFailure(enum.Enum):
    TEMPORARY = "this mail later"
    UNREACHABLE = "every mail later"
    MISCONFIGURED = "no mail until somebody fixes it"
    PERMANENT = "never this mail to this person"
    UNKNOWN = "the mail may have gone"


class MailError(Exception):
    """The cause as a sentence, the kind of failure, and how long the server asked to wait.

    `may_be_own`: the refusal can be this recipient's alone, although it mostly is everybody's.
    """

    def __init__(
        self, failure: MailFailure, cause: str, wait: timedelta | None = None, may_be_own: bool = False
    ) -> None:
        super().__init__(cause)
        self.failure, self.cause, self.wait, self.may_be_own = failure, cause, wait, may_be_own


@dataclass(frozen=True)
class KnownAnswer:
    """A provider's answer by a pattern of its code and text, with the advice for whoever runs the server."""

    pattern: str
    failure: MailFailure
    advice: str
    may_be_own: bool = False


HELD, LATER, FINAL = MailFailure.MISCONFIGURED, MailFailure.UNREACHABLE, MailFailure.PERMANENT


def _sending_limit(code: str) -> str:
    """The pattern of a limit on what we send, in answers whose code begins so; not of a recipient's full mailbox."""
    known = r"5\.4\.5|5\.1\.90|5\.7\.70[58]|5\.7\.23[23]|maximum credits|ErrorQuotaExceeded|ErrorExceededMessageLimit"
    other = r"mailbox|inbox|storage|size|receiv|recipient.{0,9}quota|[45]\.2\.[12]|[45]\.3\.4"
    ours = r"\b(send\w*|sent|daily|hourly|outbound|outgoing|messag\w+|rate|account|relay\w*)\b"
    limit = r"\b(quota|limit(ed|s)?|rate exceeded|throttl\w+|too many (messages|e?mails)|per (hour|day))\b"
    return rf"^{code}(.*({known})|(?!.*({other}))(?=.*{ours}).*{limit})"


_SEND_AS = (
    "The mailbox may not send as the address in MAIL_DEFAULT_SENDER. Set MAIL_DEFAULT_SENDER to the mailbox's own "
    "address, or grant the mailbox Send As on it."
)
_NOT_LET_IN = (
    "The mailbox {mailbox} does not let this app in. Check MAIL_USERNAME, and grant the app access to the mailbox in "
    "Exchange Online; a new grant can take up to two hours."
)
SMTP_ANSWERS = (
    KnownAnswer(
        r"4\.3\.2\b|concurrent connections|too many (\w+ )?connections|sender thread limit",
        LATER,
        "There are too many connections at once. Countersign tries again by itself; if this stays, nothing else should "
        "send through the mailbox of MAIL_USERNAME.",
    ),
    KnownAnswer(
        r"SmtpClientAuthentication is disabled for the Tenant",
        HELD,
        "SMTP sign-in is switched off for the whole organization. An Exchange administrator can switch it on for the "
        "mailbox of MAIL_USERNAME (Set-CASMailbox -SmtpClientAuthenticationDisabled $false); or set MAIL_AUTH=graph.",
    ),
    KnownAnswer(
        r"SmtpClientAuthentication is disabled",
        HELD,
        "SMTP sign-in is switched off for this mailbox. An Exchange administrator can switch it on "
        "(Authenticated SMTP under Manage email apps) for the mailbox of MAIL_USERNAME; or set MAIL_AUTH=graph.",
    ),
    KnownAnswer(
        r"basic auth\w* is (disabled|not supported)|5\.7\.30\b",
        HELD,
        "Microsoft no longer accepts passwords here. Set MAIL_AUTH=oauth or MAIL_AUTH=graph.",
    ),
    KnownAnswer(
        r"did not meet the criteria to be authenticated",
        HELD,
        "Security defaults or a Conditional Access policy block this sign-in. Set MAIL_AUTH=graph, or have the policy "
        "allow the mailbox of MAIL_USERNAME.",
    ),
    KnownAnswer(
        r"application-specific password",
        HELD,
        "The account needs an app password: create one in the account's security settings and put it in MAIL_PASSWORD.",
    ),
    KnownAnswer(
        r"5\.7\.60\b|5\.2\.252|SendAsDenied|permissions? to send as"
        r"|not (allowed|authorized|permitted) to send (as|from)",
        HELD,
        _SEND_AS,
    ),
    KnownAnswer(
        r"5\.7\.68\b|Direct Send",
        HELD,
        "Your organization rejects mail without sign-in (Direct Send). Set MAIL_AUTH=oauth or MAIL_AUTH=graph, or have "
        "an Exchange administrator add a connector for this server's address.",
    ),
    KnownAnswer(
        r"STARTTLS|(TLS|encryption).{0,40}(required|not supported)",
        HELD,
        "The server wants an encrypted connection. Set MAIL_USE_TLS=true (port 587) or MAIL_USE_SSL=true (465).",
    ),
    KnownAnswer(
        r"5\.7\.57\b|not authenticated to send anonymous|must authenticate|unauthenticated sender"
        r"|^(?!.*RESOLVER).*authentication (is )?required",
        HELD,
        "The server wants a sign-in. Set MAIL_AUTH=oauth with its MAIL_OAUTH_ settings, or MAIL_USERNAME and "
        "MAIL_PASSWORD.",
    ),
    KnownAnswer(
        r"sender\b.{0,120}\b(rejected|denied|refused|not (allowed|authorized)|verify failed|not owned|has no)"
        r"|(bad outbound|banned|unverified) sender|sender identity|address is not verified|5\.1\.8\b"
        r"|from address.{0,80}\bnot\b|helo command rejected|invalid helo",
        HELD,
        "The server does not accept mail from MAIL_DEFAULT_SENDER or from BASE_URL's host. Check MAIL_DEFAULT_SENDER.",
    ),
    KnownAnswer(
        _sending_limit("4"), LATER, "The sending limit is reached. Waiting mail goes when the provider allows."
    ),
    KnownAnswer(
        _sending_limit(""),
        HELD,
        "The sending limit of this account is reached. Waiting mail goes when the provider allows it again; ask the "
        "provider for a higher limit if this keeps happening.",
    ),
    KnownAnswer(
        r"sending (is |was |has been )?(suspended|paused|disabled|blocked)"
        r"|outgoing (mail|messages?).{0,80}(suspended|blocked|disabled)|smtp account|5\.7\.50[1-3]\b",
        HELD,
        "The provider blocked sending for this account. Ask the provider to lift the block.",
    ),
    KnownAnswer(r"^5.*(\b5\.1\.1\b|user unknown|no such (user|mailbox))", FINAL, ""),  # also by a server that relays
    KnownAnswer(
        r"relay|5\.7\.54\b|5\.7\.64\b|TenantAttribution|(isn't|is not) in my list of allowed rcpthosts",
        HELD,
        "The server does not pass mail on for Countersign. Allow this server's address there as a relay, or set "
        "MAIL_USERNAME and MAIL_PASSWORD.",
        may_be_own=True,
    ),
    KnownAnswer(
        r"client (host )?.{0,80}(rejected|blocked)|blocked using|banned sending ip|5\.7\.(25|511|606|750)\b"
        r"|spamhaus|\b(dns|r)bl\b|(block|black) ?list|\bPTR record|reverse (dns|hostname)|server has been blocked",
        HELD,
        "The server refuses this machine's address. Send through your company's mail server or provider (MAIL_SERVER), "
        "or have the address taken off the block list.",
        may_be_own=True,
    ),
    KnownAnswer(
        r"dmarc|spf\b.{0,60}(fail|reject)|5\.7\.(23|26|27|509|515)\b",
        HELD,
        "This server may not send for the domain of MAIL_DEFAULT_SENDER. Send through the company's mail server "
        "(MAIL_SERVER), or have this one added to the domain's SPF or DKIM.",
        may_be_own=True,
    ),
)
SIGN_IN_ADVICE = {"oauth": _NOT_LET_IN, "password": "Check MAIL_USERNAME and MAIL_PASSWORD."}
TOKEN_ANSWERS = (
    KnownAnswer(
        r"AADSTS7000215",
        HELD,
        "MAIL_OAUTH_CLIENT_SECRET is wrong. Copy the secret's Value from Entra, not its Secret ID; the Value is shown "
        "only once, so create a new secret if you no longer have it.",
    ),
    KnownAnswer(
        r"AADSTS7000222",
        HELD,
        "MAIL_OAUTH_CLIENT_SECRET has expired. Create a new client secret for the app in Entra, and set "
        "MAIL_OAUTH_CLIENT_SECRET and MAIL_OAUTH_SECRET_EXPIRES.",
    ),
    KnownAnswer(
        r"AADSTS(700016|7000229|7000112)",
        HELD,
        "There is no usable app with the ID in MAIL_OAUTH_CLIENT_ID in this tenant. Check MAIL_OAUTH_CLIENT_ID (the "
        "Application ID) and MAIL_OAUTH_TENANT.",
    ),
    KnownAnswer(
        r"AADSTS(90002|900023|50059|90013)\b",
        HELD,
        "There is no such tenant. Check MAIL_OAUTH_TENANT (the Directory ID or the company's domain).",
    ),
    KnownAnswer(
        r"AADSTS(70011|1002012|500011|650\d\d)\b|invalid_scope|invalid_resource",
        HELD,
        "The scope is not accepted. Remove MAIL_OAUTH_SCOPE to use the default, or correct it.",
    ),
    KnownAnswer(
        r"AADSTS530\d\d\b",
        HELD,
        "A Conditional Access policy blocks the app of MAIL_OAUTH_CLIENT_ID. Have it allow this server.",
    ),
    KnownAnswer(
        r"unauthorized_client|access_denied", HELD, "The provider does not let this app in. Check MAIL_OAUTH_CLIENT_ID."
    ),
    KnownAnswer(r"invalid_client|\b401\b", HELD, "Check MAIL_OAUTH_CLIENT_ID and MAIL_OAUTH_CLIENT_SECRET."),
    KnownAnswer(r"^40[45]", HELD, "Check MAIL_OAUTH_TOKEN_URL and MAIL_OAUTH_TENANT."),
)
GRAPH_ANSWERS = (
    KnownAnswer(r"SendAsDenied|permissions? to send as", HELD, _SEND_AS),
    KnownAnswer(
        r"ErrorAccessDenied|AccessDenied|Authorization_RequestDenied|^403",
        HELD,
        "The app may not send from the mailbox {mailbox}. Grant it Mail.Send for this mailbox; a new grant can take up "
        "to two hours. Check MAIL_USERNAME.",
    ),
    KnownAnswer(
        r"ErrorInvalidUser|ResourceNotFound|MailboxNotEnabled|ErrorNonExistentMailbox|^404",
        HELD,
        "There is no mailbox {mailbox}. Check MAIL_USERNAME (or MAIL_DEFAULT_SENDER) and MAIL_GRAPH_URL.",
    ),
    KnownAnswer(
        r"^401", HELD, "The token is not accepted. Check MAIL_OAUTH_SCOPE, MAIL_OAUTH_TENANT and MAIL_GRAPH_URL."
    ),
    KnownAnswer(
        _sending_limit(""),
        HELD,
        "The sending limit of the mailbox is reached. Waiting mail goes when it is free again.",
    ),
    KnownAnswer(
        r"ErrorMessageSubmissionBlocked|ErrorAccountSuspend", HELD, "Microsoft blocked sending from this mailbox."
    ),
    KnownAnswer(r"^(405|3\d\d)", HELD, "Check MAIL_GRAPH_URL."),
)


def explain(answers: Iterable[KnownAnswer], said: str) -> KnownAnswer | None:
    """Return the known answer that matches `said` (code and text), if any."""
    return next((each for each in answers if re.search(each.pattern, said, re.IGNORECASE)), None)


def printable(text: bytes | str) -> str:
    """Return a server's answer as one line to show: no control characters, none of our secrets, not too long."""
    words = clean(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
    for name in ("MAIL_PASSWORD", "MAIL_OAUTH_CLIENT_SECRET"):
        if secret := current_app.config[name]:
            words = words.replace(secret, "…")
    shown = "".join(char if char.isprintable() else " " for char in words)
    return " ".join(shown.split())[:400].rstrip(". ")
