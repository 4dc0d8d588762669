"""Signing in: what is chosen, what is said, and that nothing secret goes where it should not (A4, R-034)."""

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator

import pytest

from postern.wire import sasl
from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.imap import Login, Session, open_session
from postern.wire.imap.signing_in import _first_that_fits, _ways
from tests.canary import leaks
from tests.servers.dovecot import Dovecot, available
from tests.wire.imap.scripted import GREETING, LOGIN, Script, Wire, play

TOKEN = Login("anna", "ya29-token", token=True)


def offering(capabilities: bytes) -> bytes:
    return GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 " + capabilities)


def talk(capabilities: bytes, *steps: tuple[bytes, bytes]) -> Script:
    """Each step: what must be heard (a whole line without its tag, as a pattern) and what is said to it."""

    async def script(wire: Wire) -> None:
        await wire.say(offering(capabilities))
        for expected, answer in steps:
            line = await wire.reader.readline()
            wire.seen += line
            tag, _, rest = line.rstrip(b"\r\n").partition(b" ")
            if rest:
                wire.tag = tag
            assert re.fullmatch(expected, rest or tag), line
            await wire.say(answer + b"\r\n")

    return script


IN = b"TAG OK [CAPABILITY IMAP4rev1] in"
NO = b"TAG NO [AUTHENTICATIONFAILED] no"


def b64(text: bytes) -> bytes:
    return re.escape(b64encode(text))


def caught(script: Script, login: Login = LOGIN) -> MailError:
    with pytest.raises(MailError) as error:
        play(script, login=login)
    return error.value


@pytest.mark.parametrize(
    ("login", "capabilities", "steps"),
    [
        (LOGIN, b"AUTH=LOGIN", [(b'LOGIN "anna" "pass-word-1"', IN)]),
        (
            LOGIN,
            b"AUTH=LOGIN LOGINDISABLED",
            [
                (b"AUTHENTICATE LOGIN", b"+ VXNlcm5hbWU6"),
                (b64(b"anna"), b"+ Password please"),
                (b64(b"pass-word-1"), IN),
            ],
        ),
        (
            LOGIN,
            b"AUTH=PLAIN AUTH=LOGIN SASL-IR",
            [(b"AUTHENTICATE PLAIN " + b64(b"\0anna\0pass-word-1"), IN)],
        ),
        (
            LOGIN,
            b"AUTH=PLAIN",
            [(b"AUTHENTICATE PLAIN", b"+ go ahead"), (b64(b"\0anna\0pass-word-1"), IN)],
        ),
        (
            LOGIN,
            b"AUTH=CRAM-MD5 AUTH=PLAIN SASL-IR",
            [
                (b"AUTHENTICATE CRAM-MD5", b"+ " + b64encode(b"<1@x>")),
                (b"anna and a digest", IN),
            ],
        ),
        (
            TOKEN,
            b"AUTH=PLAIN AUTH=XOAUTH2 SASL-IR",
            [(b"AUTHENTICATE XOAUTH2 " + b64(b"user=anna\1auth=Bearer ya29-token\1\1"), IN)],
        ),
        (
            TOKEN,
            b"AUTH=XOAUTH2 AUTH=OAUTHBEARER",
            [(b"AUTHENTICATE OAUTHBEARER", b"+"), (b64(b"n,a=anna,\1auth=Bearer ya29-token\1\1"), IN)],
        ),
        (
            # A server that offers SCRAM and keeps the password in another form: refused before it is used.
            LOGIN,
            b"AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR",
            [
                (rb"AUTHENTICATE SCRAM-SHA-256 \S+", NO),
                (b"AUTHENTICATE PLAIN " + b64(b"\0anna\0pass-word-1"), IN),
            ],
        ),
    ],
)
def test_ways_in(login: Login, capabilities: bytes, steps: list[tuple[bytes, bytes]]) -> None:
    if b"CRAM-MD5" in steps[0][0]:
        answer = sasl.ways_in(["CRAM-MD5"], login, encrypted=True)[0].answer(b"<1@x>")
        steps = [steps[0], (b64(answer or b""), IN)]

    async def work(session: Session) -> None:
        assert session.capabilities == {"IMAP4REV1"}

    play(talk(capabilities, *steps), work, login=login)


def test_a_password_is_used_once_whatever_else_is_offered() -> None:
    """R-034: four mechanisms are no reason for four tries."""
    error = caught(talk(b"AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 SASL-IR", (rb"AUTHENTICATE CRAM-MD5", NO)))
    assert error.code == "password_rejected"
    assert error.seen.count(b"\r\n") == 1  # type: ignore[attr-defined]


def test_a_token_goes_nowhere_but_to_a_mechanism_for_tokens() -> None:
    error = caught(talk(b"AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256"), TOKEN)
    assert error.code == "server_refused"
    assert error.seen == b""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mechanism", "thanks"), [(b"XOAUTH2", b""), (b"OAUTHBEARER", re.escape(b64encode(b"\1")))]
)
def test_a_rejected_token_is_told_as_one(mechanism: bytes, thanks: bytes) -> None:
    why = b64encode(b'{"status":"invalid_token","scope":"mail"}')
    script = talk(
        b"SASL-IR AUTH=" + mechanism,
        (b"AUTHENTICATE " + mechanism + rb" \S+", b"+ " + why),
        (thanks, NO),
    )
    error = caught(script, TOKEN)
    assert (error.code, error.temporary, error.server_text) == ("token_rejected", False, "invalid_token mail")


@pytest.mark.parametrize(
    ("answer", "code"), [(NO, "token_rejected"), (b"TAG NO [UNAVAILABLE] later", "server_busy")]
)
def test_a_token_rejected_without_a_word(answer: bytes, code: str) -> None:
    """R-035."""
    error = caught(talk(b"SASL-IR AUTH=XOAUTH2", (rb"AUTHENTICATE XOAUTH2 \S+", answer)), TOKEN)
    assert error.code == code


@pytest.mark.parametrize("word", [b"NO", b"BAD"])
@pytest.mark.parametrize("login", [LOGIN, TOKEN])
def test_s094_a_server_that_repeats_a_sign_in_is_not_quoted_with_it(login: Login, word: bytes) -> None:
    """As base64; in clear: test_imap_hostile_beginnings.py."""
    mechanism = b"XOAUTH2" if login.token else b"PLAIN"
    [way] = sasl.ways_in([mechanism.decode()], login, encrypted=True)
    echo = b'TAG %s what is "AUTHENTICATE %s %s" to be?' % (word, mechanism, b64encode(way.initial or b""))
    error = caught(talk(b"SASL-IR AUTH=" + mechanism, (rb"AUTHENTICATE \S+ \S+", echo)), login)
    assert "to be?" in error.server_text and "…" in error.server_text
    vars(error).pop("seen")  # the test's own
    assert not leaks(login.password, f"{error!r} {error} {vars(error)}", "anna")


@pytest.mark.parametrize(
    "answer",
    [
        b"TAG OK [CAPABILITY IMAP4rev1] welcome",
        b"+ " + b64encode(b"r=x,s=W22Z,i=4096"),
        b"+ not base64",
        b"+",
    ],
)
def test_a_server_that_cannot_do_scram_does_not_get_further(answer: bytes) -> None:
    """S-040: OK without a signature, a nonce that is not ours, nonsense."""
    script = talk(b"AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR", (rb"AUTHENTICATE SCRAM-SHA-256 \S+", answer))
    error = caught(script)
    assert error.code in ("server_refused", "protocol_error")
    assert error.seen.count(b"\r\n") == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 4095, 600_001, 2**31])
def test_scram_with_unreasonable_iterations(count: int) -> None:
    """S-040."""

    async def script(wire: Wire) -> None:
        await wire.say(offering(b"AUTH=SCRAM-SHA-256 SASL-IR"))
        said = b64decode((await wire.hear(b"AUTHENTICATE")).split()[-1])
        nonce = said.rpartition(b"r=")[2]
        await wire.say(b"+ " + b64encode(b"r=%sX,s=W22Z,i=%d" % (nonce, count)) + b"\r\n")

    assert caught(script).code == "server_refused"


@pytest.mark.parametrize(
    "lines",
    [
        b"+ \r\n+ \r\nTAG OK in\r\n",  # two questions at once
        b"+ \r\nTAG OK in\r\n",  # OK before the answer
    ],
)
def test_answers_that_come_too_early(lines: bytes) -> None:
    """S-036."""

    async def script(wire: Wire) -> None:
        await wire.say(offering(b"AUTH=PLAIN"))
        await wire.hear(b"AUTHENTICATE")
        await wire.say(lines)

    assert caught(script).code == "protocol_error"


def test_endless_questions_have_an_end() -> None:
    """S-115."""

    async def script(wire: Wire) -> None:
        await wire.say(offering(b"AUTH=XOAUTH2 SASL-IR"))
        await wire.hear(b"AUTHENTICATE")
        for _ in range(20_000):
            await wire.say(b"+ e30=\r\n")
            await wire.reader.readline()

    assert caught(script, TOKEN).code in ("protocol_error", "timeout")


@pytest.mark.parametrize("offered", ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=XOAUTH2", "IMAP4REV1"])
def test_no_secret_leaves_in_clear_unless_the_host_is_allowed(offered: str) -> None:
    """S-033, S-040: also when the connection stands already."""
    endpoint = Endpoint("mail.example.test", 143, Security.NONE)
    for login in (LOGIN, TOKEN):
        with pytest.raises(MailError) as error:
            _ways(frozenset({offered}), endpoint, Policy(), login, frozenset())
        assert error.value.code == "tls_failed"


# Against the real thing

SECRET = "pä=s,s wörd"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(
        {"anna": SECRET}, mechanisms="plain login cram-md5 scram-sha-256 xoauth2 oauthbearer"
    ) as server:
        yield server


async def try_one(server: Dovecot, mechanism: str, login: Login) -> None:
    endpoint = Endpoint("localhost", server.tls_port, Security.SSL, skip_validation=True)
    policy = Policy.from_setting(f"localhost:{server.tls_port}", unchecked=True)
    session = await open_session(endpoint, policy, None)
    try:
        assert f"AUTH={mechanism}" in session.capabilities
        [way] = sasl.ways_in([mechanism], login, encrypted=True)
        no_command = session.capabilities | {"LOGINDISABLED"}
        await _first_that_fits(session.connection, [way], login, no_command)
        await session.noop()
        assert (await session.select("INBOX")).exists == 0
    finally:
        await session.logout()


@pytest.mark.dovecot
@pytest.mark.skipif(bool(available()), reason=available() or "none")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_passwords_at_dovecot(dovecot: Dovecot, mechanism: str) -> None:
    asyncio.run(try_one(dovecot, mechanism, Login("anna", SECRET)))
    with pytest.raises(MailError) as error:
        asyncio.run(try_one(dovecot, mechanism, Login("anna", "wrong")))
    assert error.value.code == "password_rejected"


@pytest.mark.dovecot
@pytest.mark.skipif(bool(available()), reason=available() or "none")
@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_tokens_at_dovecot(dovecot: Dovecot, mechanism: str) -> None:
    asyncio.run(try_one(dovecot, mechanism, Login("anna", dovecot.token("anna"), token=True)))
    for bad in (dovecot.token("anna", seconds=-60), dovecot.token("anna")[:-4] + "AAAA", "x"):
        with pytest.raises(MailError) as error:
            asyncio.run(try_one(dovecot, mechanism, Login("anna", bad, token=True)))
        assert error.value.code == "token_rejected"


@pytest.mark.dovecot
@pytest.mark.skipif(bool(available()), reason=available() or "none")
def test_the_best_way_is_taken_at_dovecot(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    real = sasl.ScramSha256.accepted

    def accepted(self: sasl.ScramSha256) -> None:
        real(self)
        used.append(self.name)

    monkeypatch.setattr(sasl.ScramSha256, "accepted", accepted)

    async def run() -> None:
        for security, port in ((Security.STARTTLS, dovecot.port), (Security.SSL, dovecot.tls_port)):
            endpoint = Endpoint("localhost", port, security, skip_validation=True)
            policy = Policy.from_setting(f"localhost:{port}", unchecked=True)
            async with await open_session(endpoint, policy, Login("anna", SECRET)) as session:
                assert "IDLE" in session.capabilities
            token = Login("anna", dovecot.token("anna"), token=True)
            async with await open_session(endpoint, policy, token) as session:
                assert "IDLE" in session.capabilities

    asyncio.run(run())
    assert used == ["SCRAM-SHA-256"] * 2
