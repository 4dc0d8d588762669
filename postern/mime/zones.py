"""Time zones by the names that calendars use: IANA's, and those of Windows (CLDR windowsZones, territory 001)."""

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WINDOWS = {
    "dateline standard time": "Etc/GMT+12", "utc-11": "Etc/GMT+11", "aleutian standard time": "America/Adak",
    "hawaiian standard time": "Pacific/Honolulu", "alaskan standard time": "America/Anchorage",
    "pacific standard time (mexico)": "America/Tijuana", "pacific standard time": "America/Los_Angeles",
    "us mountain standard time": "America/Phoenix", "mountain standard time (mexico)": "America/Mazatlan",
    "mountain standard time": "America/Denver", "central america standard time": "America/Guatemala",
    "central standard time": "America/Chicago", "central standard time (mexico)": "America/Mexico_City",
    "canada central standard time": "America/Regina", "sa pacific standard time": "America/Bogota",
    "eastern standard time": "America/New_York", "us eastern standard time": "America/Indianapolis",
    "venezuela standard time": "America/Caracas", "paraguay standard time": "America/Asuncion",
    "atlantic standard time": "America/Halifax", "sa western standard time": "America/La_Paz",
    "pacific sa standard time": "America/Santiago", "newfoundland standard time": "America/St_Johns",
    "e. south america standard time": "America/Sao_Paulo", "argentina standard time": "America/Buenos_Aires",
    "sa eastern standard time": "America/Cayenne", "greenland standard time": "America/Godthab",
    "montevideo standard time": "America/Montevideo", "utc-02": "Etc/GMT+2", "azores standard time": "Atlantic/Azores",
    "cape verde standard time": "Atlantic/Cape_Verde", "morocco standard time": "Africa/Casablanca",
    "utc": "UTC", "coordinated universal time": "UTC", "z": "UTC", "gmt": "UTC", "gmt standard time": "Europe/London",
    "greenwich standard time": "Atlantic/Reykjavik", "w. europe standard time": "Europe/Berlin",
    "central europe standard time": "Europe/Budapest", "romance standard time": "Europe/Paris",
    "central european standard time": "Europe/Warsaw", "w. central africa standard time": "Africa/Lagos",
    "namibia standard time": "Africa/Windhoek", "jordan standard time": "Asia/Amman",
    "gtb standard time": "Europe/Bucharest", "middle east standard time": "Asia/Beirut",
    "egypt standard time": "Africa/Cairo", "syria standard time": "Asia/Damascus",
    "e. europe standard time": "Europe/Chisinau", "south africa standard time": "Africa/Johannesburg",
    "fle standard time": "Europe/Kiev", "israel standard time": "Asia/Jerusalem",
    "kaliningrad standard time": "Europe/Kaliningrad", "turkey standard time": "Europe/Istanbul",
    "arabic standard time": "Asia/Baghdad", "arab standard time": "Asia/Riyadh",
    "belarus standard time": "Europe/Minsk", "russian standard time": "Europe/Moscow",
    "e. africa standard time": "Africa/Nairobi", "iran standard time": "Asia/Tehran",
    "arabian standard time": "Asia/Dubai", "azerbaijan standard time": "Asia/Baku",
    "mauritius standard time": "Indian/Mauritius", "georgian standard time": "Asia/Tbilisi",
    "caucasus standard time": "Asia/Yerevan", "afghanistan standard time": "Asia/Kabul",
    "west asia standard time": "Asia/Tashkent", "ekaterinburg standard time": "Asia/Yekaterinburg",
    "pakistan standard time": "Asia/Karachi", "india standard time": "Asia/Calcutta",
    "sri lanka standard time": "Asia/Colombo", "nepal standard time": "Asia/Katmandu",
    "central asia standard time": "Asia/Bishkek", "bangladesh standard time": "Asia/Dhaka",
    "myanmar standard time": "Asia/Rangoon", "se asia standard time": "Asia/Bangkok",
    "n. central asia standard time": "Asia/Novosibirsk", "china standard time": "Asia/Shanghai",
    "singapore standard time": "Asia/Singapore", "taipei standard time": "Asia/Taipei",
    "w. australia standard time": "Australia/Perth", "tokyo standard time": "Asia/Tokyo",
    "korea standard time": "Asia/Seoul", "cen. australia standard time": "Australia/Adelaide",
    "aus central standard time": "Australia/Darwin", "e. australia standard time": "Australia/Brisbane",
    "aus eastern standard time": "Australia/Sydney", "tasmania standard time": "Australia/Hobart",
    "vladivostok standard time": "Asia/Vladivostok", "new zealand standard time": "Pacific/Auckland",
    "utc+12": "Etc/GMT-12", "fiji standard time": "Pacific/Fiji", "tonga standard time": "Pacific/Tongatapu",
    "samoa standard time": "Pacific/Apia",
}  # fmt: skip


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo | None:
    """The zone meant by a TZID; None when nobody knows. `/vendor/20260101/Europe/Vienna` ends in its real name."""
    name = name.strip().strip('"')
    if len(name) > 100:
        return None
    name = _WINDOWS.get(name.lower(), name)
    pieces = [piece for piece in name.split("/") if piece]
    for start in range(max(0, len(pieces) - 3), len(pieces)):
        try:
            return ZoneInfo("/".join(pieces[start:]))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return None
