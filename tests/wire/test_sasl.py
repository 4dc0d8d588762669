"""Ways to sign in, against the examples of their standards, and what a faulty or false server gets."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.wire import sasl
from postern.wire.errors import MailError
from postern.wire.login import Login
from postern.wire.sasl import MOST_ITERATIONS, ScramSha256, ways_in
from postern.wire.saslprep import saslprep

PENCIL = Login("user", "pencil")
TOKEN = Login("anna@example.test", "ya29.token", token=True)
ALL = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "GSSAPI")


def only(name: str, login: Login) -> sasl.Mechanism:
    [found] = ways_in([name], login, encrypted=True)
    assert found.name == name
    return found


# What is chosen


@pytest.mark.parametrize(
    ("login", "encrypted", "allowed", "names"),
    [
        (PENCIL, True, False, ["SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5"]),
        (PENCIL, False, True, ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"]),
        (PENCIL, False, False, ["SCRAM-SHA-256", "CRAM-MD5"]),
        (TOKEN, True, False, ["OAUTHBEARER", "XOAUTH2"]),
        (TOKEN, False, True, ["OAUTHBEARER", "XOAUTH2"]),
        (TOKEN, False, False, []),
    ],
)
def test_the_best_first_and_nothing_in_clear_unless_allowed(
    login: Login, encrypted: bool, allowed: bool, names: list[str]
) -> None:
    """S-040: a password or a token is never shown to whoever listens."""
    found = ways_in(ALL, login, encrypted=encrypted, clear_allowed=allowed)
    assert [one.name for one in found] == names
    assert ways_in(["GSSAPI"], login, encrypted=True) == []


@pytest.mark.parametrize("mark", ["\0", "\r", "\n", "\x01", "\x7f", "\ud800"])
def test_control_bytes_are_refused(mark: str) -> None:
    """S-051."""
    for login in (Login(f"a{mark}b", "x"), Login("a", f"x{mark}"), Login("a", f"x{mark}", token=True)):
        with pytest.raises(MailError) as caught:
            ways_in(ALL, login, encrypted=True)
        assert caught.value.code == "control_bytes"


def test_a_password_that_scram_cannot_spell_goes_another_way() -> None:
    assert ways_in(ALL, Login("a", "\u0627\u0031"), encrypted=True)[0].name == "PLAIN"


def test_secrets_do_not_show() -> None:
    for name in ALL[:-1]:
        for login in (PENCIL, TOKEN):
            for one in ways_in([name], login, encrypted=True):
                assert "pencil" not in repr(one) + repr(login)
                assert "ya29" not in repr(one) + repr(login)


# The simple ones


def test_plain() -> None:
    plain = only("PLAIN", Login("anna", "pä=,ss"))
    assert plain.initial == "\0anna\0pä=,ss".encode()
    assert plain.answer(b"") is None
    plain.accepted()


def test_login_answers_twice_whatever_it_is_asked() -> None:
    login = only("LOGIN", Login("anna", "pä"))
    assert login.initial is None
    with pytest.raises(MailError):
        login.accepted()
    assert login.answer(b"User Name\0") == b"anna"
    with pytest.raises(MailError):
        login.accepted()
    assert login.answer(b"anything") == "pä".encode()
    login.accepted()
    assert login.answer(b"and your mother's name?") is None


def test_cram_md5_as_in_rfc_2195() -> None:
    cram = only("CRAM-MD5", Login("tim", "tanstaaftanstaaf"))
    with pytest.raises(MailError):
        cram.accepted()
    answer = cram.answer(b"<1896.697170952@postoffice.reston.mci.net>")
    assert answer == b"tim b913a602c7eda7a495b4e6e7334d3890"
    cram.accepted()
    assert cram.answer(b"again") is None


# SCRAM


SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
SERVER_LAST = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def pencil() -> ScramSha256:
    return ScramSha256(PENCIL, nonce="rOprNGfwEbeRWgbNEkqO")


def test_scram_as_in_rfc_7677() -> None:
    scram = pencil()
    assert scram.initial == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert not scram.tried
    assert scram.answer(SERVER_FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert scram.tried
    assert scram.answer(SERVER_LAST) == b""
    scram.accepted()
    assert scram.answer(b"more") is None


def test_every_sign_in_has_its_own_nonce() -> None:
    assert len({only("SCRAM-SHA-256", PENCIL).initial for _ in range(20)}) == 20


def test_names_with_commas_and_equals_signs() -> None:
    assert ScramSha256(Login("a=b,c", "x"), nonce="N").initial == b"n,,n=a=3Db=2Cc,r=N"


@pytest.mark.parametrize("steps", [0, 1])
def test_a_server_that_does_not_sign_is_not_ours(steps: int) -> None:
    """S-040: OK without the signature of somebody who knows the password."""
    scram = pencil()
    for challenge in [SERVER_FIRST][:steps]:
        scram.answer(challenge)
    with pytest.raises(MailError) as caught:
        scram.accepted()
    assert (caught.value.code, caught.value.temporary) == ("server_refused", False)


@pytest.mark.parametrize(
    "last", [b"v=AAAA", b"v=", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjk95G4=", b"x=1", b"v=!", b""]
)
def test_a_wrong_signature_is_refused(last: bytes) -> None:
    scram = pencil()
    scram.answer(SERVER_FIRST)
    with pytest.raises(MailError):
        scram.answer(last)
    with pytest.raises(MailError):
        scram.accepted()


def test_an_error_in_the_last_word_is_left_to_the_no_that_follows() -> None:
    scram = pencil()
    scram.answer(SERVER_FIRST)
    assert scram.answer(b"e=invalid-proof") is None


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096",  # nothing of the server's own in the nonce
        b"r=other,s=W22Z,i=4096",
        b"s=W22Z,r=rOprNGfwEbeRWgbNEkqOx,i=4096",
        b"m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096,m=ext",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=!!!,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=-1",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=1e9",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=" + b"9" * 5000,
        b"r=rOprNGfwEbeRWgbNEkqO\xff,s=W22Z,i=4096",
        b"x" * (1 << 20),
    ],
    ids=lambda value: repr(value[:60]),
)
def test_a_first_message_against_the_rules(first: bytes) -> None:
    scram = pencil()
    with pytest.raises(MailError):
        scram.answer(first)
    assert not scram.tried


@pytest.mark.parametrize("count", [0, 1, 4095, MOST_ITERATIONS + 1, 2**31 - 1, 999_999_999])
def test_too_few_and_too_many_iterations(count: int) -> None:
    """S-040: too few give the password away to whoever stole the server's list; too many stop us."""
    begun = time.process_time()
    with pytest.raises(MailError) as caught:
        pencil().answer(b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=%d" % count)
    assert caught.value.code == "server_refused"
    assert time.process_time() - begun < 0.1


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_any_challenge_is_an_answer_or_a_mail_error(first: bytes, last: bytes) -> None:
    for name in ALL[:-1]:
        for login in (PENCIL, TOKEN):
            for one in ways_in([name], login, encrypted=True):
                try:
                    for challenge in (first, SERVER_FIRST, last):
                        assert isinstance(one.answer(challenge), bytes | None)
                except MailError:
                    continue


# Tokens


def test_xoauth2() -> None:
    bearer = only("XOAUTH2", TOKEN)
    assert bearer.initial == b"user=anna@example.test\x01auth=Bearer ya29.token\x01\x01"
    bearer.accepted()


def test_oauthbearer() -> None:
    bearer = only("OAUTHBEARER", TOKEN)
    assert bearer.initial == b"n,a=anna@example.test,\x01auth=Bearer ya29.token\x01\x01"


@pytest.mark.parametrize(("name", "thanks"), [("XOAUTH2", b""), ("OAUTHBEARER", b"\x01")])
@pytest.mark.parametrize(
    ("why", "told"),
    [
        (json.dumps({"status": "invalid_token", "scope": "mail.read"}).encode(), "invalid_token mail.read"),
        (b'{"status":"400","schemes":"Bearer"}', "400"),
        (b'{"status":400}', ""),
        (b"[1]", "[1]"),
        (b"[" * 100_000, "[" * 200),
        (b"not json\r\nX", "not json  X"),
        (b"", ""),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_refused_token_is_told_as_such(name: str, thanks: bytes, why: bytes, told: str) -> None:
    bearer = only(name, TOKEN)
    assert bearer.answer(why) == thanks
    assert bearer.answer(why) is None
    error = bearer.refused(MailError("password_rejected", "No.", temporary=False))
    assert (error.code, error.temporary) == ("token_rejected", False)
    assert error.server_text == told
    assert "ya29" not in str(error)
    with pytest.raises(MailError):
        bearer.accepted()


@pytest.mark.parametrize("name", ["XOAUTH2", "OAUTHBEARER"])
def test_a_busy_server_has_not_judged_the_token(name: str) -> None:
    """R-035."""
    busy = MailError("server_busy", "Later.", temporary=True)
    assert only(name, TOKEN).refused(busy) is busy
    no = MailError("password_rejected", "No.", temporary=False, server_text="NO words")
    assert (only(name, TOKEN).refused(no).code, only("PLAIN", PENCIL).refused(no)) == ("token_rejected", no)
    assert only(name, TOKEN).refused(no).server_text == "NO words"


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("🙂", "🙂"),
        ("", ""),
        ("\u0627\u0628", "\u0627\u0628"),
    ],
)
def test_saslprep_as_in_rfc_4013(text: str, prepared: str) -> None:
    assert saslprep(text, what="It") == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "\u0627a\u0628", "\ue000", "\ufffd", "\u200e"])
def test_saslprep_refuses(text: str) -> None:
    with pytest.raises(MailError):
        saslprep(text, what="It")
