"""Where servers differ, as data: one row each, with who does it, how it is recognised and where we know it from.

A row is in force when every pattern it names is found: ``capability`` among the capabilities after
sign-in, ``greeting`` in the greeting or the ID answer, ``host`` in the server's name. A row that names
none holds for every server: nobody can be recognised as the one who will never do it. Tests of the same
names stand in ``tests/wire/imap/test_imap_quirks*.py``; docs/quirks.md is made from these rows.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from postern.wire.errors import MailError


@dataclass(frozen=True)
class Quirk:
    """``name`` is what the code asks for; ``differs`` tells people what happens and what we do about it.

    ``source`` is where we know it from: a thread, a date, or that it is only said. ``sync``: the plan has
    its part in it as well. ``bytes_a_day``: so many may be downloaded in 24 hours; ``bytes_up_a_day``: appended.
    """

    name: str
    server: str
    source: str
    differs: str
    capability: str = ""
    greeting: str = ""
    host: str = ""
    sync: bool = False
    bytes_a_day: int = 0
    bytes_up_a_day: int = 0


ANY, DOVECOT, GMAIL, CYRUS, COURIER = "any server", "Dovecot", "Gmail", "Cyrus, Fastmail", "Courier"
EXCHANGE, YAHOO, HEARSAY = "Exchange, Microsoft 365", "Yahoo", "common knowledge, not seen by us"
_MICROSOFT = r"Microsoft Exchange"
# Microsoft's own cloud puts a name in brackets behind these words, a company's server does not.
_OWN_EXCHANGE = r"Microsoft Exchange IMAP4 service is ready\.(?! \[)"
SEEN = "Dovecot 2.3, seen 2026"

# fmt: off
QUIRKS: tuple[Quirk, ...] = (
    # Any server
    Quirk("capabilities_differ", ANY, SEEN,
          "Tells other capabilities after STARTTLS and after the sign-in; those of before are forgotten."),
    Quirk("bytes_before_tls", ANY, "the “NO STARTTLS” study, 2021; libetpan #386",
          "Bytes in clear may stand behind the OK of STARTTLS; the connection is closed."),
    Quirk("uidvalidity_flips", ANY, "imapflow's changelog; Nylas on troubleshooting",
          "UIDVALIDITY is missing, changes, or changes each time; told as 0 or as it is, sync decides.", sync=True),
    Quirk("uidnext_missing", ANY, "isync's log; GMX: chatmail #2188; Courier 5.0, seen 2026",
          "UIDNEXT is missing, 0, or no number; told as unknown, and the last letter's UID is looked up.", sync=True),
    Quirk("appenduid_missing", ANY, "isync's log",
          "Says nothing, or nonsense, about where an appended letter lies; it is recognised when it comes back.",
          sync=True),
    Quirk("unsolicited_in_between", ANY, SEEN,
          "Tells of flags, deaths and new letters in the middle of any answer; taken as news, never as the answer."),
    Quirk("fetch_any_shape", ANY, HEARSAY,
          "FETCH comes without UID, in any order, or twice for one letter; put together by UID, else left out."),
    Quirk("strings_any_form", ANY, "RFC 3501; Yahoo: imapflow's notes",
          "Literal, quoted string, atom or NIL stand wherever a string may; all are read alike."),
    Quirk("eight_bit_names", ANY, SEEN,
          "Sends bytes beyond ASCII in flags and quoted strings; kept, and names shown as UTF-8 or Latin-1."),
    Quirk("nul_padding", "unnamed servers", "imapflow, 2021",
          "NUL bytes stand before a response; they are dropped."),
    Quirk("broken_structures", "Zimbra, Proton, GMX, Yandex, Bluemind and others",
          "MailKit #919, #878, #1393, #1861; JavaMail #278, #282",
          "ENVELOPE and BODYSTRUCTURE are malformed; never asked for, and a line that cannot be read harms no other."),
    Quirk("partial_ignored", ANY, "imapflow's notes",
          "Answers a partial fetch with the whole letter; parts are never asked for, and one from the middle is"
          " never taken for the letter."),
    Quirk("size_inexact", ANY, HEARSAY,
          "RFC822.SIZE is an estimate, or -1; only the literal's length is believed."),
    Quirk("numbers_too_large", ANY, "RFC 7162; RFC 9051",
          "UIDs have 32 bits and mod-sequences 63; digits are counted before they are read, the rest is no number."),
    Quirk("gone_without_fin", ANY, "warmbly #345, #350",
          "The connection is dead and nobody says so; every command has a deadline, also between its answers, and"
          " a half-sent literal as well."),
    Quirk("connection_limit", ANY, "Dovecot 10 for each user and address; node-imap #606; nextcloud/mail #12671",
          "Refuses the next connection, with a code, in words, or by BYE; told as busy, never as a wrong password.",
          sync=True),
    Quirk("short_lines", ANY, "Dovecot 2.3: BAD Too long argument, seen 2026",
          "Refuses long command lines; a line stays below 8 KB and names 200 letters at most."),
    Quirk("refusals_by_word", ANY, "RFC 5530; RFC 9208",
          "Says by code or only in words whether to wait, to sign in anew, or to give up; one table tells them apart."),
    Quirk("extensions_missing", ANY, "warmbly #346, #347",
          "Lacks LIST-STATUS, SPECIAL-USE, CONDSTORE, IDLE, ENABLE or ID, or calls its own BAD; each is done without,"
          " and a refusal is never read as an empty mailbox.", sync=True),
    Quirk("huge_letters", ANY, "closeio/sync-engine #643 (1.4 GB)",
          "Letters of any size; the size is known before the body is asked for, and a literal beyond the limit ends"
          " the connection before it is read.", sync=True),
    Quirk("long_search_line", ANY, "nylas/sync-engine #313 (imaplib's 10 kB)",
          "SEARCH answers with one line of megabytes; such lines may have 12 MB, others 1 MB."),
    Quirk("names_in_utf8", ANY, "RFC 6855",
          "Folder names are modified UTF-7, or UTF-8 once UTF8=ACCEPT is on, or wrong; read as they come."),
    Quirk("no_delimiter", ANY, "RFC 3501",
          "The delimiter is NIL: a flat list of folders."),
    Quirk("inbox_prefix", "Courier, Cyrus", HEARSAY,
          "All folders lie below “INBOX.”; depth and purpose are judged without it."),
    Quirk("inbox_any_case", ANY, "RFC 3501",
          "INBOX is written in any case; it is always the one."),
    Quirk("folder_renamed", ANY, "RFC 8474; else common knowledge",
          "A renamed folder has another UIDVALIDITY, or a new one has its name; MAILBOXID tells where offered.",
          sync=True),
    Quirk("letter_moved", ANY, "RFC 8474; Gmail's IMAP extensions",
          "A moved letter is a death here and a birth there; EMAILID or X-GM-MSGID tell where offered.", sync=True),
    Quirk("late_fetch", "Apache James", "imapflow's tests",
          "Sends a FETCH behind the OK that ends it; the letter counts as not come and is asked for again.", sync=True),
    Quirk("joined_flags", "home.pl", "imapflow's tests",
          "Writes two flags of LIST without a space between them; they are parted at the backslash."),
    Quirk("referral", ANY, "RFC 2221; the “NO STARTTLS” study, 2021",
          "Sends us to another server at the sign-in; never followed."),
    Quirk("body_nil", "MSN and others", "Dovecot's imapc: fetch-msn-workarounds",
          "Answers NIL for a letter that it listed; the letter counts as not come.", sync=True),
    # Dovecot
    Quirk("late_notice", DOVECOT, "Dovecot 2.3, seen 2026: 500 ms, and inotify's limit of 128",
          "Tells of news late or not at all; IDLE is renewed within 9 minutes and counts are asked besides.", sync=True),
    Quirk("still_here", DOVECOT, "Dovecot's example configuration",
          "Says “OK Still here” every two minutes of IDLE; no news."),
    Quirk("status_ahead", DOVECOT, HEARSAY,
          "STATUS counts a letter that the open folder does not show yet; looked at again in the next round.", sync=True),
    Quirk("notify_any_time", DOVECOT, "Dovecot 2.3, measured 2026: 0.5 s",
          "With NOTIFY, tells of other folders in IDLE and in the middle of other commands; either ends the wait.", sync=True),
    Quirk("compress_slow", DOVECOT, "Dovecot 2.3, measured 2026: 32 MB/s",
          "COMPRESS is offered with a plugin only and slows a fast line down; off unless asked for."),
    # Gmail
    Quirk("deaths_by_listing", GMAIL, "deltachat-core #200",
          "Has CONDSTORE and no QRESYNC; deaths are found by listing the UIDs.", capability="X-GM-EXT-1", sync=True),
    Quirk("labels", GMAIL, "Gmail's IMAP extensions; thunderbird-android #752",
          "Shows one letter in many folders; X-GM-MSGID is asked for with each, and bytes that came are not fetched again.",
          capability="X-GM-EXT-1", sync=True),
    Quirk("localised_folders", GMAIL, "Gmail's IMAP extensions",
          "Names “[Gmail]/…” in the owner's language; purposes come from SPECIAL-USE.", capability="X-GM-EXT-1"),
    Quirk("fifteen_connections", GMAIL, "imapsync #61; runt #1",
          "Allows 15 connections for an account; the refusal is told as busy.", capability="X-GM-EXT-1", sync=True),
    Quirk("daily_limit", GMAIL, "chatwoot #6082; ha-email-sensor #16 (OVERQUOTA)",
          "Stops for hours when too much was fetched, and calls it OVERQUOTA; told as “over_limit”, not as a full"
          " mailbox.", sync=True),
    Quirk("daily_allowance", GMAIL, "Google's help on bandwidth limits (answer 1071518), by OfficeDocs-Exchange #1100",
          "Lets 2,500 MB a day be downloaded; history rests at 2,000 MB and says when it goes on, new mail never does.",
          capability="X-GM-EXT-1", sync=True, bytes_a_day=2_500_000_000),
    Quirk("daily_upload", GMAIL, "Google's help on bandwidth limits (answer 1071518); import-mailbox-to-gmail #15",
          "Lets 500 MB a day be appended; copies for the sent folder that would pass that wait. Letters sent through"
          " Gmail's own SMTP server are no uploads by IMAP, and it files them by itself.",
          capability="X-GM-EXT-1", sync=True, bytes_up_a_day=500_000_000),
    Quirk("hidden_letters", GMAIL, "nylas-mail #2585",
          "Hides letters and folders from IMAP by the owner's settings; what is not listed is not gone (I7).",
          capability="X-GM-EXT-1", sync=True),
    Quirk("auto_expunge", GMAIL, "Gmail API: ImapSettings",
          "\\Deleted may archive, move or delete for good; letters go to Trash by MOVE, never by the flag.",
          capability="X-GM-EXT-1"),
    Quirk("store_echo", GMAIL, "isync's log, 2014",
          "Answers STORE .SILENT with FETCH all the same; read and dropped."),
    Quirk("id_after_sign_in", GMAIL, "Gmail's documentation",
          "Asks programs to say who they are; ID is sent after the sign-in where offered."),
    Quirk("slow_flag_scan", GMAIL, "neomutt #1155: 100,000 letters in 30 s",
          "Takes long to list all flags; patience starts anew while answers come, and CONDSTORE asks for changes only."),
    Quirk("short_idle", GMAIL, "parsedmarc 3.9.0, 2019",
          "Forgets an IDLE after some minutes without a word; it is renewed every 5 minutes.",
          capability="X-GM-EXT-1"),
    # Exchange and Microsoft 365
    Quirk("flags_by_window", EXCHANGE, "node-imap #689; MailKit #1494; against them msgvault #630",
          "Has neither CONDSTORE nor ESEARCH nor SPECIAL-USE; changes are found by comparing flags in windows.",
          sync=True),
    Quirk("tokens_only", "Microsoft 365", "Microsoft, 2022; imapflow #392",
          "Takes access tokens and no passwords; the refusal names what it offers, and no password is sent."),
    Quirk("signed_in_not_connected", EXCHANGE, "imapflow, 2019; getmail6 #214",
          "Accepts the sign-in and then refuses every command with “User is authenticated but not connected”;"
          " NAMESPACE is asked right after the sign-in to find out.", greeting=_MICROSOFT, capability="NAMESPACE"),
    Quirk("throttle_hint", EXCHANGE, "imapflow: ETHROTTLE",
          "Says how long to wait, even with BAD; the wait is told along, up to an hour.", sync=True),
    Quirk("bare_unavailable", EXCHANGE, "imapflow, 2022",
          "Says “Server Unavailable.” without a tag and goes away; told as a busy server."),
    Quirk("exists_before_idle_plus", "Exchange", "php-imap #258, 2017",
          "EXISTS may come before the + of IDLE; it counts as a change."),
    Quirk("idle_misses", EXCHANGE, "imapclient #321; imap_tools #183; nmail #112",
          "Forgets to tell of letters in IDLE; counts are asked besides.", sync=True),
    Quirk("stale_uidnext", "Exchange, older", "S22.Imap #31",
          "Shows new letters only when the folder is opened again; every round opens it again.",
          greeting=_OWN_EXCHANGE, sync=True),
    Quirk("move_not_trusted", "Exchange 2013", "mbsync's manual",
          "MOVE has a bug; letters are copied, marked and expunged where UIDPLUS is there.",
          greeting=_OWN_EXCHANGE),
    Quirk("search_not_trusted", "Exchange 2010", "isync's log",
          "SEARCH by header may miss a letter put there just now; our own copy is recognised when it is read.",
          greeting=_OWN_EXCHANGE, sync=True),
    Quirk("no_uidplus", "Exchange up to 2010", "mbsync's manual",
          "Has neither UIDPLUS nor MOVE; nothing is moved, for EXPUNGE would delete what others have marked."),
    Quirk("rendered_anew", EXCHANGE, HEARSAY,
          "Builds the bytes of a letter anew for each fetch; a letter is known by more than its bytes.", sync=True),
    Quirk("shared_mailbox_by_login", "Exchange", "imapflow, 2021",
          "A shared mailbox (user\\shared) opens only by LOGIN, not by AUTHENTICATE PLAIN.", greeting=_MICROSOFT),
    Quirk("one_fetch_at_a_time", EXCHANGE, "mbsync with Office 365, 2017: PipelineDepth 1; imapflow, 2021",
          "Mixes up, or slows down, a client that asks for much at once; letters are asked for by one command at a"
          " time.", greeting=_MICROSOFT),
    Quirk("sequence_not_trusted", "Exchange 2010", "imapwiki on Exchange's faults",
          "Tells UIDs under wrong sequence numbers after new letters; only the UID in the same answer counts."),
    Quirk("lsub_refused", EXCHANGE, "imapflow's notes",
          "Answers LSUB with BAD in its IMAP4rev2 way; subscriptions are never asked for."),
    Quirk("twenty_connections", EXCHANGE, "check-mail #183",
          "Allows about 20 connections for a mailbox; the refusal is told as busy.", sync=True),
    # Cyrus, Courier, iCloud, Yahoo, NetEase
    Quirk("user_namespaces", CYRUS, HEARSAY,
          "Other people's folders lie below “user.”; NAMESPACE tells, and they are not taken for the owner's."),
    Quirk("delayed_expunge", CYRUS, HEARSAY,
          "Deletes later than it says; a death counts when VANISHED or the listing tells of it.", sync=True),
    Quirk("mailboxid_garbage", "Cyrus 3.6", "Cyrus 3.6, seen 2026",
          "Puts stray bytes of its memory where STATUS within LIST should tell MAILBOXID; asked of SELECT only."),
    Quirk("process_for_each", COURIER, "courier-libs #21",
          "Starts one process for a connection and two with TLS; its refusals are told as busy.", sync=True),
    Quirk("plain_ladder", COURIER, "Courier 5.0, seen 2026",
          "Has neither CONDSTORE nor QRESYNC; the plain way is taken.", sync=True),
    Quirk("qresync_offered", "iCloud, Cyrus, Dovecot", "emailengine #114",
          "Has QRESYNC; it is turned on by ENABLE before the first folder is opened."),
    Quirk("modseq_without_condstore", YAHOO, "whiteout-io/imap-client #40, 2015; warmbly #346",
          "Tells HIGHESTMODSEQ without CONDSTORE (XYMHIGHESTMODSEQ is its own); it is not believed.", sync=True),
    Quirk("emailid_offered", YAHOO, "imapflow's notes",
          "Has OBJECTID; EMAILID is asked for with each letter.", capability="OBJECTID"),
    Quirk("id_before_select", "NetEase (163.com, 126.com, yeah.net)", "common knowledge, 2019",
          "Refuses SELECT as “Unsafe Login” without an ID; it is sent although not always offered.",
          host=r"(?:^|\.)(?:163|126|yeah)\.(?:com|net)$"),
)
# fmt: on


def quirks_of(*, capabilities: frozenset[str], greeting: str, host: str) -> frozenset[str]:
    """The names of the rows that hold for this server."""
    return _shared(frozenset(quirk.name for quirk in QUIRKS if _holds(quirk, capabilities, greeting, host)))


def bytes_a_day(names: frozenset[str]) -> int:
    """How many bytes a server with these quirks lets one mailbox download in a day; 0 where no limit is known."""
    return min(
        (quirk.bytes_a_day for quirk in QUIRKS if quirk.bytes_a_day and quirk.name in names), default=0
    )


def bytes_up_a_day(names: frozenset[str]) -> int:
    """The same of what is appended."""
    return min(
        (quirk.bytes_up_a_day for quirk in QUIRKS if quirk.bytes_up_a_day and quirk.name in names), default=0
    )


@lru_cache(maxsize=256)
def _shared(names: frozenset[str]) -> frozenset[str]:
    """Thousands of mailboxes at a few kinds of servers hold one set for each kind (2 KB)."""
    return names


def _holds(quirk: Quirk, capabilities: frozenset[str], greeting: str, host: str) -> bool:
    return (
        (not quirk.capability or quirk.capability in capabilities)
        and (not quirk.greeting or re.search(quirk.greeting, greeting, re.IGNORECASE) is not None)
        and (not quirk.host or re.search(quirk.host, host, re.IGNORECASE) is not None)
    )


def busy_line(line: bytes) -> MailError | None:
    """Quirk ``bare_unavailable``: the line without a tag as the error it means."""
    if not re.match(rb"\s*server (?:is )?unavailable", line, re.IGNORECASE):
        return None
    return MailError(
        "server_busy",
        "The mail server says that it is not available.",
        "This usually passes by itself; Postern tries again.",
        temporary=True,
        server_text=line[:200].decode("ascii", "replace").strip(),
    )
