"""The promised contrast ratios, computed from the stylesheet itself, so that nobody weakens them by accident."""

import re
from pathlib import Path

import pytest

import postern.web

CSS = (Path(postern.web.__file__).parent / "static/postern/postern.css").read_text()
TOKENS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(r"--([\w-]+):\s*light-dark\((#\w{6}), (#\w{6})\)", CSS)
}
SURFACES = ("canvas", "surface", "surface-2", "surface-3", "soft")
TEXT = [(text, surface, 4.5) for text in ("text", "text-2", "text-3") for surface in SURFACES]
PAIRS = [
    *TEXT,
    ("text-3", "surface", 4.79),
    ("on-accent", "accent", 7.0),
    ("on-accent", "accent-hover", 7.0),
    ("on-soft", "soft", 4.5),
    ("accent", "surface", 4.5),
    ("accent", "canvas", 4.5),
    ("accent", "soft", 4.5),
    ("amber", "surface", 4.5),
    ("amber", "amber-bg", 4.5),
    ("red", "surface", 4.5),
    ("red", "red-bg", 4.5),
    ("green", "surface", 4.5),
    ("green", "green-bg", 4.5),
    ("violet", "violet-bg", 4.5),
    ("text-2", "red-bg", 4.5),
    ("text-2", "amber-bg", 4.5),
    ("text-2", "green-bg", 4.5),
    ("control", "surface", 3.0),
]


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_knows_black_on_white() -> None:
    assert ratio("#000000", "#FFFFFF") == pytest.approx(21)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_contrast(theme: str, front: str, back: str, least: float) -> None:
    found = ratio(TOKENS[front][theme], TOKENS[back][theme])
    assert found >= least, f"{front} on {back} in {theme} is {found:.2f}:1"


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """#rrggbb of an oklch colour (CSS Color 4), out of gamut clipped, as the avatars use it."""
    from math import cos, radians, sin

    a, b = chroma * cos(radians(hue)), chroma * sin(radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    bytes_ = []
    for c in linear:
        curved = 12.92 * c if c <= 0.0031308 else 1.055 * max(c, 0) ** (1 / 2.4) - 0.055
        bytes_.append(round(min(max(curved, 0), 1) * 255))
    return "#" + "".join(f"{value:02X}" for value in bytes_)


@pytest.mark.parametrize("hue", [int(h) for h in re.findall(r"\.h\d+ \{ --h: (\d+); \}", CSS)])
def test_initials_can_be_read_on_every_hue(hue: int) -> None:
    back, front = re.findall(
        r"light-dark\(oklch\(([.\d]+) ([.\d]+) var\(--h\)\), oklch\(([.\d]+) ([.\d]+)", CSS
    )
    for theme in (0, 2):
        pair = [oklch(float(c[theme]), float(c[theme + 1]), hue) for c in (back, front)]
        assert ratio(*pair) >= 4.5


def test_there_are_twelve_hues() -> None:
    assert len(set(re.findall(r"\.h\d+ \{ --h: (\d+); \}", CSS))) == 12
