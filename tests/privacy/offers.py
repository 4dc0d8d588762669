"""What a page offers: the links, and the forms as a browser would send them, one for each button.

Whatever htmx sends stands in the page as a link or a form too (docs/pages.md), so nothing of it is read here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit


@dataclass(frozen=True)
class Offer:
    """One request that a page holds ready; `fields`: names and values."""

    method: str
    address: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass
class _Form:
    attributes: dict[str, str]
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[dict[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects links and forms; a control may stand outside its form and name it (form="settings")."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[_Form] = []
        self._named: dict[str, _Form] = {}
        self._inside: _Form | None = None
        self._select = ""
        self._templates = 0  # what stands in one is shown when a script copies it
        self._elsewhere: list[tuple[str, str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, found: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in found}
        self._templates += tag == "template"
        if self._templates:
            return
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif tag == "form":
            self._inside = _Form(attributes)
            self.forms.append(self._inside)
            self._named[attributes.get("id", "")] = self._inside
        elif tag in ("input", "button", "select", "textarea", "option"):
            self._control(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        self._templates -= tag == "template"
        if tag == "form" and not self._templates:
            self._inside = None

    def _control(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "select":
            self._select = attributes.get("name", "")
        elif tag == "option":
            if "selected" in attributes and self._inside:
                self._inside.fields.append((self._select, attributes.get("value", "")))
        elif "form" in attributes:
            self._elsewhere.append((tag, attributes["form"], attributes))
        elif self._inside:
            _put(self._inside, tag, attributes)

    def close(self) -> None:
        """Give what stood outside to its forms, once all of them are known."""
        super().close()
        for tag, name, attributes in self._elsewhere:
            _put(self._named[name], tag, attributes)


def _put(form: _Form, tag: str, attributes: dict[str, str]) -> None:
    kind = attributes.get("type", "submit" if tag == "button" else "text")
    if kind == "submit":
        form.buttons.append(attributes)
    elif kind == "button" or (kind in ("checkbox", "radio") and "checked" not in attributes):
        return
    elif kind != "file" and attributes.get("name", "csrfmiddlewaretoken") != "csrfmiddlewaretoken":
        form.fields.append((attributes["name"], attributes.get("value", "on" if kind == "checkbox" else "")))


def offers_of(page: str, address: str) -> set[Offer]:
    """Return what the page at this address offers within the program; `page`: its HTML."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    found = {Offer("GET", _within(address, link)) for link in reader.links}
    for form in reader.forms:
        method = form.attributes.get("method", "get").upper()
        for button in form.buttons or [{}]:
            goes_to = button.get("formaction", form.attributes.get("action", ""))
            fields = [
                *form.fields,
                *([(button["name"], button.get("value", ""))] if "name" in button else []),
            ]
            found.add(Offer(method, _within(address, goes_to), tuple(fields)))
    return {offer for offer in found if offer.address}


def _within(page: str, address: str) -> str:
    """The path and query that an address on a page leads to; "" when it leads out of the program."""
    parts = urlsplit(urljoin(f"http://here{page}", address))
    if (parts.scheme, parts.netloc) != ("http", "here"):
        return ""
    return parts.path + (f"?{parts.query}" if parts.query else "")
