"""CSV files that the console sends while they are read."""

from aiohttp import web

from channel_adapter.console.page import View
from channel_adapter.mapping.csv_text import csv_text


class CsvDownload:
    """One CSV file as an answer. It begins with the first rows: an error before them is a page of its own."""

    def __init__(self, page: View, name: str) -> None:
        self._request = page.request
        self._answer = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
        self._answer.content_type, self._answer.charset = "text/csv", "utf-8"

    async def write(self, rows: list[list[str]]) -> None:
        """Send rows."""
        if not self._answer.prepared:
            await self._answer.prepare(self._request)
        await self._answer.write(csv_text(rows).encode())

    async def end(self) -> web.StreamResponse:
        """Return the answer of the handler, all of which is sent."""
        await self._answer.write_eof()
        return self._answer
