"""A client of the standard library and the official signature package, as in a shell script or a cron job."""

import json
import ssl
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import TLSSigAPIv2

from channel_adapter.stub.server import StubServer


class PlainClient:
    """A client that posts JSON with urllib. With TLS it trusts the CA of the stub and checks the certificate name."""

    def __init__(self, server: StubServer, *, url: str | None = None) -> None:
        self._url = url or server.url
        self._query = {
            "sdkappid": server.sdkappid,
            "identifier": server.admin,
            "usersig": TLSSigAPIv2.TLSSigAPIv2(server.sdkappid, server.key).gen_sig(server.admin, 600),
            "random": 4_294_967_295,
            "contenttype": "json",
        }
        handlers: list[Any] = [ProxyHandler({})]
        if server.ca_file is not None:
            handlers.append(HTTPSHandler(context=ssl.create_default_context(cafile=str(server.ca_file))))
        self._opener = build_opener(*handlers)

    def call(self, service: str, command: str, body: Any) -> dict[str, Any]:
        """Make one call and return the envelope."""
        url = f"{self._url}/v4/{service}/{command}?{urlencode(self._query)}"
        headers = {"Content-Type": "application/json"}
        request = Request(url, data=json.dumps(body).encode(), headers=headers)  # noqa: S310 - the stub's own address
        with self._opener.open(request, timeout=10) as response:
            assert response.status == 200
            assert response.headers.get_content_type() == "application/json"
            answer: dict[str, Any] = json.load(response)
        assert answer["ActionStatus"] == ("OK" if answer["ErrorCode"] == 0 else "FAIL")
        return answer

    def must(self, service: str, command: str, body: Any) -> dict[str, Any]:
        """Make a call that must succeed."""
        answer = self.call(service, command, body)
        assert answer["ErrorCode"] == 0, answer
        return answer
