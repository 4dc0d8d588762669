"""One spelling for names and passwords that look alike (SASLprep, RFC 4013), as SCRAM wants them."""

import stringprep
import unicodedata

from postern.wire import errors

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, *, what: str) -> str:
    """``text`` as RFC 4013 spells it. Raises ``MailError("control_bytes")`` naming ``what`` if it forbids it."""
    mapped = "".join(
        " " if stringprep.in_table_c12(mark) else mark for mark in text if not stringprep.in_table_b1(mark)
    )
    made = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(table(mark) for mark in made for table in _PROHIBITED) or not _one_direction(made):
        raise errors.control_bytes(what)
    return made


def _one_direction(text: str) -> bool:
    """RFC 3454 section 6: text from right to left holds no other and has it at both ends."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))
