"""The receiver as an ASGI application, for FastAPI, Starlette, Django and any ASGI server."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Final, Protocol, Self

from channel_adapter.webhooks.inbox import Inbox
from channel_adapter.webhooks.receiver import (
    NOT_FOUND,
    BodyBrokenOffError,
    Receiver,
    WebhookAdapter,
    WebhookResponse,
    open_receiver,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_LINGER_SECONDS: Final = 0.5  # for the rest of a refused body, so that the answer is read


class OpenableAdapter(WebhookAdapter, AbstractAsyncContextManager[Any], Protocol):
    """A ChannelAdapter, open or not."""


def asgi(adapter: OpenableAdapter, *, inbox: Inbox | None = None, path: str = "/") -> "AsgiReceiver":
    """Return an ASGI application that receives POST `path`, with and without a slash at its end.

    A server that runs it alone opens and closes the adapter with it. Mounted in another application it is not started
    by that: keep the adapter and then the receiver open for the life of the application, with
    `async with adapter, hooks:`. Without `inbox` the settings choose one. Connections, the time of a request's head and
    the access log are up to the server: switch its access log off, because URLs contain signatures. Raises
    ConfigurationError if the inbox of the settings needs a missing extra.
    """
    return AsgiReceiver(adapter, open_receiver(adapter, inbox), path)


class AsgiReceiver:
    """ASGI application of a receiver; made by `asgi`."""

    def __init__(self, adapter: OpenableAdapter, receiver: Receiver, path: str) -> None:
        """Use `asgi`."""
        self.receiver = receiver
        self._adapter = adapter
        self._path = path.rstrip("/")
        self._started = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the receiver: its inbox is open from now on. Raises ConfigurationError, UnavailableError."""
        await self._started.enter_async_context(self.receiver.running())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it; events that are stored and not handled wait for the next start."""
        await self._started.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of an ASGI server: a request, or the life of the server."""
        if scope["type"] == "http":
            await self._serve_request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        """Keep adapter and receiver open while the server runs."""
        await receive()
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._adapter)
                await stack.enter_async_context(self)
            except BaseException as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, place = scope["path"].removeprefix(scope.get("root_path", "")), self._path
        body = _AsgiBody(receive)
        if path.startswith(place):
            client = scope.get("client")
            response = await self.receiver.respond(
                scope["method"],
                path.removeprefix(place),
                scope["query_string"].decode("latin-1"),
                {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
                body,
                remote=client[0] if client else None,
            )
        else:
            response = NOT_FOUND
        await body.drain()
        await _send_response(response, send, may_close=scope["http_version"] in ("1.0", "1.1"))


async def _send_response(response: WebhookResponse, send: Send, *, may_close: bool) -> None:
    headers = response.headers | {"Content-Length": str(len(response.body))}
    if response.closes and may_close:
        headers["Connection"] = "close"
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": response.body})


class _AsgiBody:
    """Yields the parts of a request's body. Raises BodyBrokenOffError."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._complete:
            raise StopAsyncIteration
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._complete = True
            raise BodyBrokenOffError
        self._complete = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def drain(self) -> None:
        """Read and drop the rest for a moment: a server that closes earlier may lose the answer."""
        if self._complete:
            return
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                async for _ in self:
                    pass
        except (TimeoutError, BodyBrokenOffError):
            return
