"""format=flowed text (RFC 3676) put back into paragraphs."""

from io import StringIO
from itertools import chain


def unflow(text: str, *, delete_space: bool) -> str:
    """Join lines that end with a blank, per quote depth; undo space-stuffing; `-- ` stays a line of its own.

    Line by line from one buffer into another: a list of a text's lines takes thirty times the text.
    """
    out = StringIO()
    write = out.write
    depth = -1  # of the paragraph that goes on; -1 when the line before ended one
    between = ""  # before the next paragraph
    last = ("",) if text[-1:] in ("", "\n") else ()
    for line in chain(StringIO(text), last):
        if line == "\n" and depth < 0:
            write(between)
            between = "\n"
            continue
        line = line.removesuffix("\n")
        content = line.lstrip(">")
        quotes = len(line) - len(content)
        content = content.removeprefix(" ")
        if quotes != depth or content == "-- ":
            write(between + ">" * quotes + " " if quotes else between)
            between = "\n"
        flows = content.endswith(" ") and content != "-- "
        write(content[:-1] if flows and delete_space else content)
        depth = quotes if flows else -1
    return out.getvalue()
