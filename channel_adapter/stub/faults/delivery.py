"""How a matched call is answered on the wire: late, wrong, cut, slow, or not at all."""

import asyncio
from typing import Final

from aiohttp import web

from channel_adapter.stub.faults.faults import Fault, MatchedFault

_TICK: Final = 0.05  # seconds between two pieces of a slow answer
HTML: Final = "text/html"


async def deliver(
    request: web.BaseRequest, answer: bytes, content_type: str, matched: MatchedFault
) -> web.StreamResponse:
    """Send `answer` as the fault prescribes."""
    fault = matched.fault
    await asyncio.sleep(matched.delay)
    if fault.drop and fault.cut is None:
        return _abort_connection(request)
    if fault.status is not None:
        return web.Response(status=fault.status, body=_proxy_error_page(fault.status), content_type=HTML)
    content_type = fault.content_type or content_type
    if fault.drop:
        return await _send_truncated(request, answer, content_type, fault)
    if fault.cut is not None:
        answer = answer[: int(len(answer) * fault.cut)]
    if fault.slow is not None:
        return await _send_slowly(request, answer, content_type, fault.slow)
    return web.Response(body=answer, content_type=content_type)


def _proxy_error_page(status: int) -> bytes:
    """Return the HTML page of a proxy in front of the service."""
    text = f"<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>gateway</body></html>"
    return text.encode()


def _abort_connection(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # never sent: aiohttp finds the connection closed


async def _send_truncated(
    request: web.BaseRequest, answer: bytes, content_type: str, fault: Fault
) -> web.StreamResponse:
    """Announce the whole answer, send a part of it."""
    response = _start_response(answer, content_type)
    await response.prepare(request)
    await response.write(answer[: int(len(answer) * (fault.cut or 0))])
    if request.transport is not None:
        request.transport.close()  # after what was written has gone out
    response.force_close()
    return response


async def _send_slowly(request: web.BaseRequest, answer: bytes, content_type: str, rate: float) -> web.StreamResponse:
    """Send the answer at `rate` bytes a second."""
    response = _start_response(answer, content_type)
    await response.prepare(request)
    piece = max(1, int(rate * _TICK))
    for start in range(0, len(answer), piece):
        await response.write(answer[start : start + piece])
        await asyncio.sleep(piece / rate)
    return response


def _start_response(answer: bytes, content_type: str) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = content_type
    response.content_length = len(answer)
    return response
