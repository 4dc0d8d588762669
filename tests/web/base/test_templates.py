"""Every template of every page: nothing the Content-Security-Policy would refuse, and each one parses."""

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

import postern.web

ROOT = Path(postern.web.__file__).parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
REFUSED = {
    "style attribute": r"<[^>]*\sstyle\s*=",
    "style element": r"<style\b",
    "event handler attribute": r"<[^>]*\son[a-z]+\s*=",
    "hx-on attribute": r"<[^>]*\shx-on[:=-]",
    "javascript: address": r"javascript:",
    "hx-vals or hx-headers that are evaluated": r"hx-(vals|headers)=[\"']?js:",
    "filter in hx-trigger (needs eval)": r"hx-trigger=\"[^\"]*\[",
    "script from elsewhere": r"<(script|link|img|iframe)\b[^>]*\b(src|href)=\"(https?:)?//",
}
FRAMES = {
    "inbox/body.html"
}  # a letter in its sandbox: no script at all, and a policy of its own that allows styles
SCRIPT = re.compile(r"<script\b(?![^>]*\bnonce=)", re.I)


def names() -> list[str]:
    return [str(path.relative_to(ROOT / "templates")) for path in TEMPLATES]


@pytest.mark.parametrize("name", names())
def test_nothing_the_policy_refuses(name: str) -> None:
    text = (ROOT / "templates" / name).read_text()
    found = [what for what, pattern in REFUSED.items() if re.search(pattern, text, re.I)]
    if name in FRAMES:
        found = [what for what in found if what != "style element"]
    assert not found
    assert not SCRIPT.search(text), "a script tag without a nonce"


@pytest.mark.parametrize("name", names())
def test_template_parses(name: str) -> None:
    get_template(name)


@pytest.mark.parametrize("what", REFUSED)
def test_the_patterns_find_what_they_look_for(what: str) -> None:
    examples = {
        "style attribute": '<p class="a" style="x">',
        "style element": "<style>",
        "event handler attribute": '<a href="#" onclick="x()">',
        "hx-on attribute": '<a hx-on:click="x()">',
        "javascript: address": '<a href="javascript:x()">',
        "hx-vals or hx-headers that are evaluated": "<a hx-vals='js:{}'>",
        "filter in hx-trigger (needs eval)": '<a hx-trigger="click[ctrlKey]">',
        "script from elsewhere": '<script src="//evil.example/x.js">',
    }
    assert re.search(REFUSED[what], examples[what], re.I)


def test_modules_make_no_markup_from_text() -> None:
    for path in (ROOT / "static/postern/js").glob("*.js"):
        for danger in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "new Function",
            "document.write",
        ):
            assert danger not in path.read_text(), f"{danger} in {path.name}"


def test_stylesheets_fetch_nothing_from_elsewhere() -> None:
    for path in (ROOT / "static/postern").glob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", path.read_text())


ICON = re.compile(r"""(?:\{% icon |icon=|action_icon=)"([\w-]+)\"""")


@pytest.mark.parametrize("name", names())
def test_every_icon_exists(name: str) -> None:
    import lucide

    for icon in ICON.findall((ROOT / "templates" / name).read_text()):
        assert lucide._load_icon(icon) is not None
