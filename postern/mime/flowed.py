"""format=flowed text (RFC 3676) put back into paragraphs."""


def unflow(text: str, *, delete_space: bool) -> str:
    """Join lines that end with a blank, per quote depth; undo space-stuffing; `-- ` stays a line of its own."""
    out: list[str] = []
    current: list[str] = []
    depth = 0
    for line in text.split("\n"):
        quotes = len(line) - len(line.lstrip(">"))
        content = line[quotes:].removeprefix(" ")
        if current and (quotes != depth or content == "-- "):
            out.append(_quoted(depth, current))
            current = []
        depth = quotes
        flows = content.endswith(" ") and content != "-- "
        current.append(content[:-1] if flows and delete_space else content)
        if not flows:
            out.append(_quoted(depth, current))
            current = []
    if current:
        out.append(_quoted(depth, current))
    return "\n".join(out)


def _quoted(depth: int, pieces: list[str]) -> str:
    text = "".join(pieces)
    return ">" * depth + " " + text if depth else text
