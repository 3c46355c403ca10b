"""The UserSig is sent to the server only: no hook, span, breadcrumb or error event of a library contains it."""

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.faults.conftest import KEY
from tests.faults.traced_calls import PROXY_PASSWORD, TEXT

ROOT = Path(__file__).parents[2]


async def traced(library: str, *words: str) -> tuple[set[str], list[str]]:
    """Return the signatures that the server received, and everything that the library exported."""
    process = await asyncio.create_subprocess_exec(
        forked.programs() / "python", "-m", "tests.faults.traced_calls", library, *words,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    seen: dict[str, Any] = json.loads(out)
    return set(seen["usersigs"]), seen["exported"]


@pytest.mark.parametrize("library", ["opentelemetry", "sentry", "hooks"])
async def test_usersig_is_not_exported(library: str) -> None:
    usersigs, exported = await traced(library)
    (usersig,) = usersigs
    text = "\n".join(exported)
    assert "group_open_http_svc/send_group_msg" in text
    assert "sdkappid=1400000001&identifier=administrator" in text
    assert "connection refused" in text
    for start in range(len(usersig) - 16):
        assert usersig[start : start + 16] not in text
    assert "usersig=" not in text.replace("usersig=***", "")
    assert "usersig='eJ" not in text
    assert KEY not in text


async def test_spans_contain_the_outcome() -> None:
    _, exported = await traced("opentelemetry")
    spans = [json.loads(span) for span in exported]
    failed = [event for span in spans for event in span["events"] if span["name"] == "POST"]
    reasons = {event["attributes"]["exception.message"] for event in failed}
    assert "the server closed the connection without an answer" in reasons
    assert "the answer is not HTTP" in reasons
    assert any(reason.startswith("no connection to 127.0.0.1") for reason in reasons)


@pytest.mark.parametrize("library", ["opentelemetry", "sentry", "hooks"])
async def test_telemetry_and_proxy_export_no_secret(library: str) -> None:
    usersigs, exported = await traced(library, "telemetry")
    assert usersigs
    text = "\n".join(exported)
    assert "group_open_http_svc/send_group_msg" in text
    for usersig in usersigs:
        for start in range(len(usersig) - 16):
            assert usersig[start : start + 16] not in text
    assert "usersig=" not in text.replace("usersig=***", "")
    assert KEY not in text
    assert PROXY_PASSWORD not in text
    assert b64encode(f"harbor:{PROXY_PASSWORD}".encode()).decode() not in text
    if library == "opentelemetry":
        ours = [json.loads(span) for span in exported if "channel_adapter.app" in span]
        assert {"call", "channels.update", "group_open_http_svc/send_group_msg"} <= {span["name"] for span in ours}
        assert TEXT not in json.dumps(ours)
        assert "://" not in json.dumps([span["attributes"] for span in ours])
        assert not any(span["events"] for span in ours)
