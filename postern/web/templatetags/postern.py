"""{% load postern %}: the components of docs/pages.md."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

from django import template
from django.forms import BoundField
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from postern.mail.withholding import NOBODYS, STRANGER
from postern.web.base import dates, names
from postern.wire.errors import quoted

register = template.Library()

register.filter("initials", names.initials)
register.filter("hue", names.hue)
register.filter("filesize", names.filesize)
register.filter("quoted", quoted)


@register.filter
def filekind(filename: str) -> dict[str, str]:
    """{"mark": "PDF", "tone": "pdf"} for the square of an attachment."""
    mark, tone = names.filekind(filename)
    return {"mark": mark, "tone": tone}


@register.filter
def number(value: int | None) -> str:
    """1,284."""
    return f"{value or 0:,}"


@register.simple_tag
def icon(name: str, size: str = "", spin: bool = False) -> SafeString:
    """An icon of the lucide package in its slot; size "lg" is 20 px. Always next to a word or a label."""
    return _drawn(str(name), size, spin)


@lru_cache(maxsize=500)
def _drawn(name: str, size: str, spin: bool) -> SafeString:
    """lucide copies the icon's tree each time it draws it, which was a fifth of what the inbox took."""
    svg = ElementTree.fromstring(_drawings().read(f"{name}.svg"))  # noqa: S314 from the wheel
    for node in svg.iter():
        node.tag = node.tag.removeprefix("{http://www.w3.org/2000/svg}")
    svg.attrib |= {"width": "16", "height": "16", "aria-hidden": "true", "focusable": "false"}
    text = ElementTree.tostring(svg, encoding="unicode")
    classes = " ".join(filter(None, ("i", f"i-{size}" if size else "", "spin" if spin else "")))
    return format_html('<span class="{}">{}</span>', classes, mark_safe(text))  # noqa: S308 from the wheel


@cache
def _drawings() -> ZipFile:
    """The wheel's archive, opened once: lucide reads the list of its thousands anew for each icon, which was most of
    a process's first page.
    """
    return ZipFile(BytesIO(files("lucide").joinpath("lucide.zip").read_bytes()))


@register.simple_tag
def avatar(name: str = "", size: str = "", square: bool = False, unknown: bool = False) -> SafeString:
    """Initials in the hue of the name; unknown draws the dashed question mark."""
    look = "unknown" if unknown else names.hue(name)
    classes = " ".join(filter(None, ("avatar", size, "square" if square else "", look)))
    return format_html(
        '<span class="{}" aria-hidden="true">{}</span>', classes, "?" if unknown else names.initials(name)
    )


@register.simple_tag
def badge(text: str, tone: str = "", icon: str = "", dot: str = "", title: str = "") -> SafeString:
    """A word with a colour: tone amber, red, green, violet, soft, line; dot ok, warn, bad, off."""
    mark = _slot(icon) if icon else SafeString("")
    if dot:
        mark = format_html('<span class="dot {}"></span>', dot)
    hint = format_html(' title="{}"', title) if title else ""
    return format_html('<span class="badge {}"{}>{}{}</span>', tone, hint, mark, text)


@register.simple_tag
def pill(
    text: str, icon: str = "lock", href: str = "", target: str = "", faces: Sequence[str] = ()
) -> SafeString:
    """The visibility pill. href makes it a link, target the id of a popover it opens; faces: names as avatars."""
    if href:
        return format_html('<a class="pill" href="{}">{}{}</a>', href, _slot(icon), text)
    if target:
        shape = '<button class="pill" type="button" popovertarget="{}">{}{}{}</button>'
        drawn = format_html_join("", "{}", ((avatar(name, size="xs"),) for name in faces))
        also = format_html('<span class="avatars">{}</span>', drawn) if faces else ""
        return format_html(shape, target, _slot(icon), text, also)
    return format_html('<span class="pill">{}{}</span>', _slot(icon), text)


def _slot(name: str) -> SafeString:
    return icon(name)


@register.simple_tag
def when(
    moment: datetime | None, style: dates.Style = "row", classes: str = "", inside: bool = False
) -> SafeString:
    """<time> with the exact moment in its title; style row, card or day (see base/dates.py).

    inside: within a sentence, "given today, 10:42".
    """
    if moment is None:
        return SafeString("")
    here, now = timezone.localtime(moment), timezone.localtime()
    shape = '<time datetime="{}" title="{}" class="{}">{}</time>'
    text = dates.when(here, now, style)
    return format_html(
        shape, here.isoformat(), dates.exact(here), classes, dates.inside(text) if inside else text
    )


@register.simple_tag
def recipients(message: Any, mine: bool = False, bcc: list[list[str]] | None = None) -> str:
    """ "to you, copy to Office": who a letter went to; "you" is the owner of the mailbox."""
    own = message.mailbox.address if mine else ""

    def names_of(pairs: list[list[str]]) -> str:
        return ", ".join("you" if own and address == own else name or address for name, address in pairs)

    parts = [f"to {names_of(message.to) or 'nobody named'}"]
    parts += [f"copy to {names_of(message.cc)}"] if message.cc else []
    parts += [f"blind copy to {names_of(bcc)}"] if bcc else []
    return ", ".join(parts)


@register.filter
def withheld_because(message: Any, mine: bool) -> str:
    """Why only the header is here; only its owner is told to pair the sender, for only they can."""
    return NOBODYS if message.withheld == STRANGER and not mine else str(message.withheld)


@register.filter
def coming(message: Any) -> bool:
    """Only the header is here, of a letter that is somebody's by now: the whole of it is asked for."""
    return message.known and message.withheld == STRANGER and message.gone_at is None


@register.filter
def group(moment: datetime) -> str:
    """The heading above a row of a list: Today, Yesterday, Earlier."""
    found = day(moment)
    return found if found in ("Today", "Yesterday") else "Earlier"


@register.filter
def day(moment: datetime) -> str:
    """Today, Yesterday, Fri 20 Nov: the heading of a group of rows."""
    return dates.day(timezone.localtime(moment), timezone.localtime())


@register.filter
def ago(moment: datetime | None) -> str:
    """12 s ago."""
    return dates.ago(moment, timezone.now()) if moment else "never"


@register.inclusion_tag("base/_field.html")
def field(
    bound: BoundField, span: str = "", label: str = "", help: str = "", keep: bool = False, beside: str = ""
) -> dict[str, Any]:
    """Label, control, help and error of one form field; span f2, f3, f4 of six columns; keep: also on phones.

    beside: a template, drawn on the right of the control (a button).
    """
    widget = bound.field.widget
    kind = getattr(widget, "input_type", "")
    classes = [widget.attrs.get("class", ""), "select" if kind == "select" else "input"]
    attrs: dict[str, Any] = {"class": " ".join(filter(None, classes))}
    text = help or bound.help_text
    if bound.errors:
        attrs["aria-invalid"] = "true"
    if text or bound.errors:
        attrs["aria-describedby"] = f"{bound.id_for_label}-help"
    many = kind in ("radio", "checkbox") and hasattr(widget, "choices")
    control = bound if many else bound.as_widget(attrs=attrs)
    return {"bound": bound, "control": control, "many": many, "label": label or bound.label, "help": text} | {
        "span": f"{span} keep" if keep else span,
        "beside": beside,
    }


@register.inclusion_tag("base/_switch.html")
def switch(bound: BoundField, label: str = "", help: str = "") -> dict[str, Any]:
    """A yes-or-no field as a switch with its words; the danger of it belongs into `help`."""
    attrs: dict[str, Any] = {"class": "switch", "role": "switch"}
    if bound.errors:
        attrs["aria-invalid"] = "true"
    control = bound.as_widget(attrs=attrs)
    return {
        "bound": bound,
        "control": control,
        "label": label or bound.label,
        "help": help or bound.help_text,
    }


SCRIPTS = Path(__file__).parent.parent / "static" / "postern" / "js"


@register.simple_tag(takes_context=True)
def import_map(context: template.Context) -> SafeString:
    """The page's one import map: our modules as "postern/<file>", and the editor. Before any module."""
    imports = {
        f"postern/{path.stem}": static(f"postern/js/{path.name}") for path in sorted(SCRIPTS.glob("*.js"))
    }
    for name in ("editor", "configurable"):
        imports[f"django-prose-editor/{name}"] = static(f"django_prose_editor/{name}.js")
    text = json.dumps({"imports": imports}).replace("<", "\\u003c")
    shape = '<script type="importmap" nonce="{}">{}</script>'
    return format_html(shape, context.get("csp_nonce", ""), mark_safe(text))  # noqa: S308 no "<" left in it


@register.simple_tag(takes_context=True)
def module(context: template.Context, name: str) -> SafeString:
    """A script tag for static/postern/js/<name>.js, deferred as all modules are."""
    source = static(f"postern/js/{name}.js")
    nonce = context.get("csp_nonce", "")
    return format_html('<script type="module" src="{}" nonce="{}"></script>', source, nonce)
