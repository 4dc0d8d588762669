"""How a name, a size or a number is written on a page. Pure."""

import zlib

HUES = 12


def initials(name: str) -> str:
    """Up to two letters: "Marta Lindqvist" -> "ML", "accounts@x.example" -> "AC", "" -> "?"."""
    local = name.split("@")[0] if "@" in name else name
    words = [word for word in local.split() if word[0].isalnum()]
    if len(words) > 1:
        return (words[0][0] + words[-1][0]).upper()
    letters = [c for c in local if c.isalnum()]
    return "".join(letters[:2]).upper() or "?"


def hue(name: str) -> str:
    """One of the classes h0 ... h11, always the same for one name, on every machine."""
    return f"h{zlib.crc32(name.strip().casefold().encode()) % HUES}"


def filesize(size: int) -> str:
    """Bytes as people read them: 840 B, 96 KB, 1.2 MB (units of 1,000, as mail providers count)."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)):
        if size >= factor * 0.9995:
            value = size / factor
            return f"{value:.1f} {unit}" if value < 10 and unit != "KB" else f"{value:,.0f} {unit}"
    return f"{size} B"


def filekind(filename: str) -> tuple[str, str]:
    """The short mark of an attachment and its class: ("PDF", "pdf"), ("JPG", "img"), ("FILE", "")."""
    ending = filename.rsplit(".", 1)[-1].upper() if "." in filename else ""
    if not ending.isalnum() or len(ending) > 4:
        return "FILE", ""
    if ending in {"JPG", "JPEG", "PNG", "GIF", "WEBP", "HEIC", "SVG"}:
        return ending, "img"
    return ending, "pdf" if ending == "PDF" else ""
