"""Webhook server of an app, written from the documentation: receives, records, answers."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

GROUP: Final = "@TGS#_harbor_news"
OK: Final = {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}


class App:
    """Server of the app: records the webhooks it receives, and returns the answers that a test sets."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = {}

    async def receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        command: str = request.query["CallbackCommand"]
        self.told.append((command, dict(request.query), body))
        answer = self.answers[command](body) if command in self.answers else OK
        if isinstance(answer, web.Response):
            return answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = OK
        return web.json_response(answer)

    def commands(self) -> list[str]:
        return [command for command, _, _ in self.told]

    def bodies(self, command: str) -> list[dict[str, Any]]:
        return [body for told, _, body in self.told if told == command]
