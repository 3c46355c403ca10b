"""Languages of the console: catalogues, the language of a request, and dates and numbers in it.

English is the language of the templates. A catalogue is a .po file, read when it is first used: nothing is compiled.
"""

import gettext
import io
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Final

from aiohttp import web
from babel import Locale, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES: Final = {"en": "English", "zh_CN": "简体中文"}
"""Names of the languages, each in itself."""

COOKIE: Final = "channel_adapter_language"
DOMAIN: Final = "messages.po"


def message(text: str) -> str:
    """Mark a text for the catalogues, and return it; it is translated where it is shown."""
    return text


@cache
def translations(language: str) -> gettext.NullTranslations:
    """Return the catalogue of a language."""
    if language == "en":
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    path = resources.files(__package__) / "locale" / language / "LC_MESSAGES" / DOMAIN
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def language_of(request: web.Request) -> str:
    """Return the language of a request: that of the switch, else the first of Accept-Language that there is."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return _accepted_language(request.headers.getall("Accept-Language", []))


def _accepted_language(headers: Iterable[str]) -> str:
    wanted: list[tuple[float, str]] = []
    for item in ",".join(headers).split(","):
        name, _, quality = item.partition(";")
        try:
            weight = float(quality.partition("=")[2] or 1)
        except ValueError:
            continue
        wanted.append((-weight, name.strip().lower()))
    for weight, name in sorted(wanted, key=lambda each: each[0]):
        if weight < 0 and name.partition("-")[0] in ("en", "zh"):
            return "en" if name.startswith("en") else "zh_CN"
    return "en"


class Formats:
    """Dates, numbers and sizes in one language. Times are in the time zone of this machine, which is named."""

    def __init__(self, language: str) -> None:
        self._locale = Locale.parse(language)

    def number(self, value: float) -> str:
        """Return a number with its separators."""
        return numbers.format_decimal(value, locale=self._locale)

    def change(self, value: int) -> str:
        """Return a number with its sign."""
        return f"{'+' if value > 0 else '−' if value else '±'}{self.number(abs(value))}"

    def percent(self, value: float) -> str:
        """Return a part of one as percent."""
        return numbers.format_percent(value, locale=self._locale)

    def time(self, moment: datetime) -> str:
        """Return date and time."""
        return dates.format_datetime(moment, "medium", tzinfo=dates.LOCALTZ, locale=self._locale)

    def day(self, moment: datetime) -> str:
        """Return the date with its weekday."""
        return dates.format_date(moment.astimezone(dates.LOCALTZ), "full", locale=self._locale)

    def clock(self, moment: datetime) -> str:
        """Return hour and minute."""
        return dates.format_time(moment, "short", tzinfo=dates.LOCALTZ, locale=self._locale)

    def zone(self, moment: datetime) -> str:
        """Return the name of the time zone."""
        local = moment.astimezone(dates.LOCALTZ)
        return dates.get_timezone_name(local, "short", locale=self._locale)
