"""A server that takes no more mail for a while, in its own words: wait, however it says so (R-038)."""

import pytest

from postern.wire.smtp.replies import RecipientsRefused, Stage, recipient_refused, refused
from tests.wire.scripted_smtp import Scripted
from tests.wire.sending import deliver, refusal

pytestmark = pytest.mark.rule("R-038")
SOON, HOUR, HOURS = None, 3600.0, 2 * 3600.0
# Each as its provider is quoted to say it; ids name the provider.
REPLIES = [
    ("gmail day", "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to", HOURS),
    ("gmail quota", "550 5.4.5 Daily sending quota exceeded. k10-20020a - gsmtp", HOURS),
    ("gmail relay", "550 5.4.5 Daily SMTP relay limit exceeded for user.", HOURS),
    ("gmail peak", "450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error.", SOON),
    ("gmail rate", "421 4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP", SOON),
    ("exchange", "421 4.4.2 Message submission rate for this client has exceeded the configured limit", SOON),
    ("m365 at once", "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", SOON),
    ("m365 threads", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=AM0.PROD]", SOON),
    ("m365 quota", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process", HOURS),
    ("m365 recipients", "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients", HOURS),
    ("m365 tenant", "550 5.7.233 Your message can't be sent because your tenant exceeded its daily limit for sending email", HOURS),
    ("rackspace", "550 User me@site.example has exceeded its 24-hour sending limit. Messages to 25 recipients out of 25", HOURS),
    ("ses rate", "454 Throttling failure: Maximum sending rate exceeded.", SOON),
    ("ses day", "454 Throttling failure: Daily message quota exceeded.", HOURS),
    ("ionos, gmx", "450 Requested mail action not taken: mailbox unavailable Mail send limit exceeded.", SOON),
    ("startmail", "550 5.7.1 Your mail limit has been reached.", HOUR),
    ("cpanel", "550 Domain site.example has exceeded the max emails per hour (200/200 (100%)) allowed. Message discarded.", HOUR),
    ("cpanel failures", "550 Domain site.example has exceeded the max defers and failures per hour (5/5 (100%)) allowed.", HOUR),
    ("some panel", "550 User has exceeded outgoing email quota", HOUR),
    ("hourly", "451 4.7.1 Hourly limit exceeded", HOUR),
    ("postfwd", "450 4.7.1 <marta@site.example>: Sender address rejected: Number messages per hour exceeded", HOUR),
    ("mailcow", '451 4.7.1 Ratelimit "user" exceeded', SOON),
    ("postfix mails", "450 4.7.1 Error: too much mail from 192.0.2.7", SOON),
    ("postfix recipients", "450 4.7.1 Error: too many recipients from 192.0.2.7", SOON),
    ("postfix connections", "421 4.7.0 mail.site.example Error: too many connections from 192.0.2.7", SOON),
    ("many", "421 4.7.0 Too many messages in this session", SOON),
    ("aditsystems", "450 4.7.1 message count quota exceeded", SOON),
    ("netease day", "554 MI:STC 163 smtp1,C8CowAB, http://mail.163.com/help/help_spam_16.htm", HOURS),
    ("netease quarter", "451 MI:SFQ 163 smtp4,DtGowEA, please try again later", SOON),
    ("the other side", "450 4.2.1 The user you are trying to contact is receiving mail too quickly. Please resend", 1800.0),
    ("the other side, 5xx", "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents", 1800.0),
]  # fmt: skip


@pytest.mark.parametrize("stage", [Stage.SENDER, Stage.RECIPIENTS, Stage.DATA])
@pytest.mark.parametrize(("reply", "wait"), [row[1:] for row in REPLIES], ids=[row[0] for row in REPLIES])
def test_a_limit_passes_by_itself(reply: str, wait: float | None, stage: Stage) -> None:
    code, text = reply.split(" ", 1)
    error = refused(stage, int(code), text)
    assert (error.code, error.temporary, error.retry_after) == ("sending_limit", True, wait)
    assert error.server_text == reply
    assert error.message
    assert "tries again" in error.advice
    to_one = RecipientsRefused((recipient_refused("a@x.org", int(code), text),))
    assert (to_one.code, to_one.temporary, to_one.retry_after) == ("sending_limit", True, wait)
    assert to_one.message == error.message


@pytest.mark.parametrize(
    "reply",
    [
        "552 5.3.4 Message size exceeds fixed limit",
        "552 5.2.3 Your message exceeded Google's message size limits",
        "552 5.2.2 Mail quota exceeded",
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionQuotaExceeded",
        "552 Too many messages in mailbox",
        "550 5.5.3 Too many recipients; the limit of recipients per message is exceeded",
        "554 5.4.6 Hop count exceeded - possible mail loop",
        "550 5.1.8 Access denied, bad outbound sender",
        "550 5.7.705 Access denied, tenant has exceeded threshold",
        "550 5.7.1 Our system has detected an unusual rate of unsolicited mail; mail from you has been blocked.",
        "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; WASCL UserAction verdict is Suspend",
        "550 5.7.1 User suspended: daily limit exceeded",
        "550 5.1.1 no such user",
        "554 5.7.1 Message rejected as spam",
    ],
)
def test_what_does_not_pass_stays_refused(reply: str) -> None:
    code, text = reply.split(" ", 1)
    for error in (
        refused(Stage.DATA, int(code), text),
        RecipientsRefused((recipient_refused("a@x.org", int(code), text),)),
    ):
        assert error.code != "sending_limit"
        assert (error.temporary, error.retry_after) == (False, None)


def test_a_refused_sign_in_is_not_tried_again_for_speaking_of_a_limit() -> None:
    error = refused(Stage.AUTH, 535, "5.7.8 authentication failed: daily sending limit exceeded")
    assert (error.code, error.temporary) == ("password_rejected", False)
    assert (
        refused(Stage.AUTH, 451, "Authentication failed: daily sending limit exceeded").code
        == "sending_limit"
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4.2.0 Greylisted, please try again in 300 seconds", 300.0),
        ("4.7.1 Greylisting in action, retry after 5 minutes", 300.0),
        ("4.7.1 too many messages, wait 2 hours", 7200.0),
        ("4.7.1 try again in 90 hours", 4 * 3600.0),
        ("4.7.1 try again later", None),
        ("4.7.1 queued 5 seconds ago", None),
    ],
)
def test_a_server_that_asks_for_time_gets_it_within_reason(text: str, seconds: float | None) -> None:
    assert refused(Stage.DATA, 451, text).retry_after == seconds
    assert RecipientsRefused((recipient_refused("a@x.org", 451, text),)).retry_after == seconds


def test_one_who_is_refused_for_good_and_one_for_now_wait_as_the_limit_wants() -> None:
    server = Scripted(
        replies={
            "RCPT": b"550 5.1.1 no\r\n",
            "RCPT TO:<b@x.org>": b"550 5.4.5 Daily user sending limit exceeded\r\n",
        }
    )
    error = refusal(server, recipients=["a@x.org", "b@x.org"])
    assert (error.code, error.temporary, error.retry_after) == ("recipients_refused", True, HOURS)
    assert "DATA" not in server.verbs


def test_who_was_taken_before_the_limit_gets_the_letter_and_the_rest_is_told() -> None:
    server = Scripted(replies={"RCPT TO:<b@x.org>": b"550 5.4.5 Daily user sending limit exceeded\r\n"})
    result = deliver(server, recipients=["a@x.org", "b@x.org"])
    assert result.accepted == ("a@x.org",)
    assert [(one.address, one.temporary) for one in result.refused] == [("b@x.org", True)]
