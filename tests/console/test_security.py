"""Checks of every request: host, origin, session, role; sessions, logins and headers."""

import asyncio
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher
from multidict import CIMultiDict

import channel_adapter.console
from channel_adapter import ChannelAdapter, ConfigurationError, Text
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.console import AccessRole, ConsoleOptions, application
from channel_adapter.console.app import TABLE
from channel_adapter.console.auth import COOKIE, SESSION_SECONDS, Sessions, TrustedHeader, User, read_users
from channel_adapter.console.server import host_headers, is_loopback
from tests.console.conftest import ROLE_HEADER, Browser, Served, authorise

STATIC = Path(channel_adapter.console.__file__).parent / "static"
VENDORED = {
    "htmx-2.0.11.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "htmx-LICENSE.txt": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
    "pico-2.1.1.min.css": "fbc9a63fc9fc9f72d12fd7fc9806e11fa9f77ae4f9cad146b27003a1119ba3db",
    "pico-LICENSE.txt": "afaff063e044233f917b7807dccab022f09dca474f92b642846bee4850655bbf",
}
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
COMPOSE = "/c/harbor_news/compose"


def filled(path: str) -> str:
    """Return an address of a route with sample values."""
    found = path.replace("{slug}", "harbor_news").replace("{id}", "0" * 32).replace("{user}", "reader_1")
    return re.sub(r"\{number:[^/]*\}", "1", found)


async def test_every_route_requires_role_of_the_table(served: Served) -> None:
    await served.adapter.posts.publish("harbor_news", Text("First"))
    for route in TABLE:
        for role in AccessRole:
            headers = {ROLE_HEADER: role, **SAME_SITE}
            allowed = route.role is None or role.includes(route.role)
            if allowed and route.method == "POST":
                continue  # the effect of an allowed form is tested with its page
            place = filled(route.path)
            async with served.client.request(route.method, place, headers=headers, allow_redirects=False) as answer:
                assert (answer.status != 403) is allowed, (route, role, answer.status)


async def test_every_route_except_sign_in_needs_an_operator(served: Served) -> None:
    public = set()
    for route in TABLE:
        async with served.client.request(
            route.method, filled(route.path), headers=SAME_SITE, allow_redirects=False
        ) as got:
            if got.status != 401:
                public.add(route.name)
    assert public == {"login", "logout", "language"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
    ],
)
async def test_forms_of_other_sites_are_refused(headers: dict[str, str], status: int, served: Served) -> None:
    fields = {"format": "text", "text": "Tide", "once": "one"}
    given = {ROLE_HEADER: "admin", **headers}
    async with served.client.post(COMPOSE, data=fields, headers=given, allow_redirects=False) as answer:
        assert answer.status == status


async def test_origin_that_is_no_address_is_refused(served: Served) -> None:
    async with served.client.post(COMPOSE, headers={ROLE_HEADER: "admin", "Origin": "http://["}) as answer:
        assert answer.status == 403


PART = b"--b\r\nContent-Disposition: form-data"
FORM, FORM_WITH_FILES = "application/x-www-form-urlencoded", "multipart/form-data"


@pytest.mark.parametrize("place", ["/language", "/logout", COMPOSE, "/c/harbor_news/imports", "/new"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"text=\xff"),
        (f"{FORM}; charset=none", b"text=a"),
        (FORM_WITH_FILES, b"text=a"),
        (f"{FORM_WITH_FILES}; boundary=b", b"text=a"),
        (f"{FORM_WITH_FILES}; boundary=b", PART + b"\r\n\r\na\r\n--b--\r\n"),
        (f"{FORM_WITH_FILES}; boundary=b", PART + b'; name="text"\r\n\r\n\xff\r\n--b--\r\n'),
    ],
)
async def test_form_that_cannot_be_read_is_no_fault_of_the_program(
    kind: str, body: bytes, place: str, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {ROLE_HEADER: "admin", "Content-Type": kind, **SAME_SITE}
    async with served.client.post(place, data=body, headers=headers) as answer:
        assert answer.status == (200 if place == "/logout" else 400)
        assert ("That form cannot be read" in await answer.text()) is (place != "/logout")
    assert "console.failure" not in caplog.text


async def test_origin_is_checked_without_fetch_metadata(served: Served) -> None:
    origin = str(served.client.make_url("/")).rstrip("/")
    headers = {ROLE_HEADER: "admin", "Origin": origin}
    fields = {"format": "text", "text": "Tide", "once": "one"}
    async with served.client.post(COMPOSE, data=fields, headers=headers, allow_redirects=False) as answer:
        assert answer.status == 303


async def test_checks_run_in_order_and_all_answers_have_security_headers(adapter: ChannelAdapter) -> None:
    sessions = Sessions()
    options = ConsoleOptions(host_headers(["console.example.org"], 443), sessions)
    good = {"Host": "console.example.org"}
    async with TestClient(TestServer(application(adapter, authorise, options=options))) as client:
        cases: list[tuple[str, str, dict[str, str], int]] = [
            ("POST", "/new", {}, 421),
            ("GET", "/static/console.css", {}, 421),
            ("POST", "/new", good, 403),
            ("POST", "/new", {**good, **SAME_SITE}, 401),
            ("POST", "/new", {**good, **SAME_SITE, ROLE_HEADER: "editor"}, 403),
            ("POST", "/new", {**good, **SAME_SITE, ROLE_HEADER: "admin"}, 422),
            ("GET", "/no/such/page", good, 401),
            ("GET", "/no/such/page", {**good, ROLE_HEADER: "viewer"}, 404),
            ("DELETE", "/new", {**good, **SAME_SITE, ROLE_HEADER: "viewer"}, 405),
            ("GET", "/static/console.css", good, 200),
        ]
        for method, place, headers, status in cases:
            async with client.request(method, place, headers=headers) as answer:
                assert (answer.status, place) == (status, place)
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["Cache-Control"] == ("max-age=3600" if status == 200 else "no-store")


async def test_console_answers_under_an_ipv6_address(adapter: ChannelAdapter) -> None:
    options = ConsoleOptions(host_headers(["fd00::5"], 8800))
    async with TestClient(TestServer(application(adapter, authorise, options=options))) as client:
        for host, status in (("[fd00::5]:8800", 200), ("[fd00::5]", 200), ("fd00::5:8800", 421), ("[fd00::6]", 421)):
            async with client.get("/", headers={"Host": host, ROLE_HEADER: "viewer"}) as answer:
                assert (host, answer.status) == (host, status)


async def test_sign_in_link_works_once_and_redirects_without_token(adapter: ChannelAdapter) -> None:
    sessions = Sessions()
    app = application(adapter, sessions.authorise, options=ConsoleOptions(sign_in=sessions))
    async with TestClient(TestServer(app)) as client:
        place = f"/c/harbor_news?state=published&token={sessions.token}"
        async with client.get(place, allow_redirects=False) as first:
            assert (first.status, first.headers["Location"]) == (303, "/c/harbor_news?state=published")
            cookie = first.headers["Set-Cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={SESSION_SECONDS}"))
        headers = {"Cookie": cookie.partition(";")[0]}
        async with client.get("/", headers=headers) as inside:
            assert inside.status == 200
        port = client.server.port or 0
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = ["GET //evil.example/?token=x HTTP/1.1", "Host: a", "Connection: close", f"Cookie: {headers['Cookie']}"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        assert b"\r\nLocation: /evil.example/" in await reader.read()
        writer.close()
        client.session.cookie_jar.clear()
        async with client.get(place, allow_redirects=False) as second:
            assert second.status == 401
            assert "Open the address the console printed" in await second.text()


class Later(SystemClock):
    """A clock that a test moves."""

    seconds = 0.0

    def monotonic(self) -> float:
        """Return the seconds that the test set."""
        return self.seconds


async def test_session_ends_after_twelve_hours_and_form_text_is_kept(adapter: ChannelAdapter) -> None:
    clock = Later()
    sessions = Sessions(clock=clock)
    app = application(adapter, sessions.authorise, options=ConsoleOptions(sign_in=sessions))
    async with TestClient(TestServer(app)) as client:
        await client.get(f"/?token={sessions.token}")
        clock.seconds = SESSION_SECONDS - 1
        assert (await client.get("/")).status == 200
        clock.seconds = SESSION_SECONDS + 1
        fields = {"format": "text", "text": "Tide <table>", "once": "one"}
        async with client.post(COMPOSE, data=fields, headers=SAME_SITE) as answer:
            text = await answer.text()
        assert answer.status == 401
        assert "What you wrote is kept" in text
        form = Browser(client, "")
        assert form.headers == {}
        assert 'name="text" value="Tide &lt;table&gt;"' in text
        assert f'action="{COMPOSE}"' in text


@pytest.mark.parametrize("kept", [200_000, 300_000])
async def test_ended_session_keeps_texts_up_to_a_size(kept: int, adapter: ChannelAdapter) -> None:
    clock = Later()
    sessions = Sessions(clock=clock)
    app = application(adapter, sessions.authorise, options=ConsoleOptions(sign_in=sessions))
    async with TestClient(TestServer(app)) as client:
        await client.get(f"/?token={sessions.token}")
        clock.seconds = SESSION_SECONDS + 1
        for with_file in (False, True):
            form = FormData({"text": "T" * kept, "format": "text"})
            if with_file:
                form.add_field("image", io.BytesIO(b"P" * (2 << 20)), filename="a.png", content_type="image/png")
                form.add_field("alt", "Behind the file")
            async with client.post(COMPOSE, data=form, headers=SAME_SITE) as answer:
                text = await answer.text()
            assert answer.status == 401
            assert ("T" * kept in text, "PPP" in text) == (kept < 256 << 10, False)
            assert ('name="alt" value="Behind the file"' in text) is (with_file and kept < 256 << 10)


async def test_form_of_an_unknown_sender_is_not_read(adapter: ChannelAdapter) -> None:
    users = Sessions({"ada": User("ada", AccessRole.ADMIN, PasswordHasher().hash("correct horse"))})
    for sessions in (Sessions(), users):
        app = application(adapter, sessions.authorise, options=ConsoleOptions(sign_in=sessions))
        async with TestClient(TestServer(app)) as client:
            for cookie in ({}, {"Cookie": f"{COOKIE}=unknown"}):
                reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port or 0)
                headers = {
                    "Host": "a", "Content-Length": str(22 << 20), "Content-Type": "application/x-www-form-urlencoded",
                    **SAME_SITE, **cookie,
                }  # fmt: skip
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(f"POST {COMPOSE} HTTP/1.1\r\n{lines}\r\ntext=<b>Tide</b>".encode())
                answer = await reader.readuntil(b"</html>")  # although most of the form has not been sent
                writer.close()
                assert answer.startswith(b"HTTP/1.1 401")
                assert b"Tide" not in answer


async def test_concurrent_guesses_of_a_password_are_limited(adapter: ChannelAdapter) -> None:
    sessions = Sessions({"ada": User("ada", AccessRole.ADMIN, PasswordHasher().hash("correct horse"))})
    app = application(adapter, sessions.authorise, options=ConsoleOptions(sign_in=sessions))
    async with TestClient(TestServer(app)) as client:

        async def tried(password: str) -> int:
            sent = {"name": "ada", "password": password, "next": "/"}
            async with client.post("/login", data=sent, headers=SAME_SITE, allow_redirects=False) as answer:
                return answer.status

        for _ in range(11):
            assert await tried("correct horse") == 303, "a login that succeeds does not count"
        found = await asyncio.gather(*(tried(f"guess {number}") for number in range(39)), tried("correct horse"))
        assert (found.count(401), found.count(429)) == (10, 30)


async def test_large_names_and_forms_of_anyone_are_refused(adapter: ChannelAdapter, tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    entry = '[[users]]\nname = "{}"\nrole = "viewer"\nhash = "{}"\n'
    longest = "é" * 100
    file.write_text(entry.format(longest, PasswordHasher().hash("correct horse")))
    sessions = Sessions(read_users(file))
    app = application(adapter, sessions.authorise, options=ConsoleOptions(sign_in=sessions))
    async with TestClient(TestServer(app)) as client:
        for name, tries, status in ((longest, 1, 303), (f"{longest}x", 12, 401), ("x" * (17 << 10), 1, 413)):
            for _ in range(tries):  # failures of a name that is too long are not counted: it is not stored
                sent = {"name": name, "password": "correct horse", "next": "/"}
                async with client.post("/login", data=sent, headers=SAME_SITE, allow_redirects=False) as answer:
                    assert answer.status == status
        async with client.post("/language", data={"next": "/" * (17 << 10)}, headers=SAME_SITE) as answer:
            assert answer.status == 413
    file.write_text(entry.format("x" * 201, PasswordHasher().hash("correct horse")))
    with pytest.raises(ConfigurationError, match="the name has 201 bytes; 200 are allowed"):
        read_users(file)


async def test_users_log_in_with_password_and_have_their_role(adapter: ChannelAdapter, tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    file.write_text(f'[[users]]\nname = "ada"\nrole = "viewer"\nhash = "{quick.hash("correct horse")}"\n')
    sessions = Sessions(read_users(file))
    app = application(adapter, sessions.authorise, options=ConsoleOptions(sign_in=sessions))
    async with TestClient(TestServer(app)) as client:
        async with client.get("/c/harbor_news", allow_redirects=False) as outside:
            assert outside.status == 401
            assert '<input type="hidden" name="next" value="/c/harbor_news">' in await outside.text()
        for name, password in (("ada", "wrong"), ("eve", "correct horse")):
            sent = {"name": name, "password": password, "next": "/"}
            async with client.post("/login", data=sent, headers=SAME_SITE) as refused:
                assert refused.status == 401
                assert "Name or password is wrong." in await refused.text()
        for place, leads_to in (
            ("/c/harbor_news", "/c/harbor_news"),
            ("//evil.example", "/"),
            ("https://x", "/"),
            ("/\t/x", "/"),
        ):
            right = {"name": "ada", "password": "correct horse", "next": place}
            async with client.post("/login", data=right, headers=SAME_SITE, allow_redirects=False) as inside:
                assert (inside.status, inside.headers["Location"]) == (303, leads_to)
        assert (await client.get("/")).status == 200
        assert (await client.get("/new")).status == 403
        async with client.post("/logout", headers=SAME_SITE) as left:
            assert "You are signed out" in await left.text()
        assert (await client.get("/", allow_redirects=False)).status == 401
        wrong = {"name": "ada", "password": "wrong"}
        tries = [(await client.post("/login", data=wrong, headers=SAME_SITE)).status for _ in range(10)]
        assert tries[-1] == 429


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = ", "Invalid"),
        ("", "has no [[users]]"),
        ('[[users]]\nname = "a"\nrole = "owner"\nhash = "$argon2id$x"', "role must be one of"),
        ('[[users]]\nname = "a"\nrole = "admin"\nhash = "secret"', "no Argon2 hash"),
        ('[[users]]\nname = "a"\nrole = "admin"', "name, role and hash are needed"),
    ],
)
def test_invalid_users_file_is_refused_without_its_secrets(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(says)) as refused:
        read_users(file)
    assert "secret" not in str(refused.value)


async def test_proxy_header_is_accepted_from_trusted_proxy_only(adapter: ChannelAdapter) -> None:
    for proxies, status in ((["127.0.0.0/8"], 200), (["10.0.0.0/8"], 401)):
        trusted = TrustedHeader("X-User", "X-Role", proxies)
        async with TestClient(TestServer(application(adapter, trusted.authorise))) as client:
            assert (await client.get("/", headers={"X-User": "ada"})).status == status
            if status == 200:
                assert (await client.get("/new", headers={"X-User": "ada"})).status == 403
                assert (await client.get("/new", headers={"X-User": "ada", "X-Role": "owner"})).status == 403
                assert (await client.get("/new", headers={"X-User": "ada", "X-Role": "admin"})).status == 200
                assert (await client.get("/")).status == 401
                for name in ("X-User", "X-Role"):  # a proxy that adds its headers to those of a client
                    twice = [("X-User", "ada"), ("X-Role", "admin"), (name, "viewer")]
                    assert (await client.get("/", headers=CIMultiDict(twice))).status == 401
    with pytest.raises(ConfigurationError, match="trusted-proxy"):
        TrustedHeader("X-User", None, ["10.0.0.0/99"])


def test_host_headers_include_port_of_the_console() -> None:
    assert host_headers(["Console.example.org", "[::1]", "a.example:8443"], 8800) == {
        "console.example.org", "console.example.org:8800", "[::1]", "[::1]:8800", "a.example:8443",
    }  # fmt: skip
    assert host_headers(["FD00:0::5", "[fd00::0:6]"], 8800) == {
        "[fd00::5]", "[fd00::5]:8800", "[fd00::6]", "[fd00::6]:8800",
    }  # fmt: skip
    assert [is_loopback(name) for name in ("127.0.0.1", "localhost", "::1", "192.0.2.1", "console")] == [
        True, True, True, False, False,
    ]  # fmt: skip


async def test_console_in_subpath_links_to_its_own_pages(adapter: ChannelAdapter) -> None:
    outer = web.Application()
    outer.add_subapp("/channels-admin", application(adapter, authorise))
    async with TestClient(TestServer(outer)) as client:
        headers = {ROLE_HEADER: "admin"}
        async with client.get("/channels-admin/", headers=headers) as page:
            text = await page.text()
        places = set(re.findall(r'(?:href|src|action)="(/[^"]*)"', text))
        assert places
        assert all(place.startswith("/channels-admin/") for place in places)
        assert (await client.get("/channels-admin/c/harbor_news", headers=headers)).status == 200
        assert (await client.get("/channels-admin/static/console.css")).status == 200


async def test_authorise_may_be_a_coroutine(adapter: ChannelAdapter) -> None:
    async def later(request: web.Request) -> Any:
        return authorise(request)

    async with TestClient(TestServer(application(adapter, later))) as client:
        assert (await client.get("/", headers={ROLE_HEADER: "viewer"})).status == 200
        assert (await client.get("/")).status == 401


async def test_pages_and_support_file_contain_no_secret(served: Served, browser: Browser) -> None:
    for place in ("/doctor", "/doctor/bundle.json", "/webhooks", "/log", "/"):
        text = (await browser.get(place)).text
        assert served.stub.key not in text
    assert "<code>key</code></dt><dd>set" in (await browser.get("/doctor")).text


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "ftp://example.org"])
async def test_links_and_images_are_of_http_and_tell_no_referrer(address: str, browser: Browser) -> None:
    form = {"format": "text_and_image", "text": "Tide", "link_text": "Table", "channel_name": "Harbour"}
    place = "/c/harbor_news/preview"
    good = (await browser.post(place, {**form, "link_url": "https://a.example", "image_url": "https://b.example"})).text
    assert '<a href="https://a.example" rel="noreferrer noopener"' in good
    assert re.search(r'<img src="https://b.example"[^>]* referrerpolicy="no-referrer"', good)
    bad = (await browser.post(place, {**form, "link_url": address, "image_url": address})).text
    assert "Table" in bad
    assert not re.search(r"<a |<img ", bad)


def test_vendored_files_match_their_checksums() -> None:
    found = {name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest() for name in VENDORED}
    assert found == VENDORED


async def test_pages_have_no_inline_script_style_or_handler(served: Served, browser: Browser) -> None:
    await served.adapter.posts.publish("harbor_news", Text("First"))
    for route in TABLE:
        if route.method != "GET" or route.path.endswith((".csv", ".json", "events")):
            continue
        text = (await browser.get(filled(route.path))).text
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|hx-on|javascript:", text), route
