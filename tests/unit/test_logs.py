"""Log lines: formatted as the app configures structlog, otherwise with one date and one level per line."""

import re
import subprocess
import sys

import pytest

from channel_adapter.concurrency.http_server import LogThrottle

LOGGER = "from channel_adapter.concurrency.logs import get_logger\nlog = get_logger('channel_adapter.tests')\n"
EVENT = "log.info('hidden')\nlog.warning('call.failed', reason='no route', attempts=3)\n"
DATE = r"\d{4}-\d\d-\d\d"


def logged(*lines: str) -> str:
    script = "\n".join(lines)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize(
    "configuration",
    [
        "",
        "import logging; logging.basicConfig(format='%(asctime)s %(levelname)s %(message)s')",
        "from channel_adapter.cli.command import configure_logs; configure_logs(1)",
    ],
)
def test_line_has_date_and_level_once(configuration: str) -> None:
    (line,) = logged(configuration, LOGGER, EVENT).splitlines()
    assert len(re.findall(DATE, line)) == 1
    assert len(re.findall("warning", line, re.IGNORECASE)) == 1
    assert "call.failed" in line
    assert re.search(r"reason=['\"]no route['\"]", line)
    assert "attempts=3" in line


def test_structlog_processors_of_the_app_are_used() -> None:
    configuration = (
        "import structlog\n"
        "structlog.configure(processors=[structlog.stdlib.add_log_level, structlog.processors.JSONRenderer()])"
    )
    line = logged(configuration, LOGGER, EVENT.splitlines()[1]).strip()
    assert line == '{"reason": "no route", "attempts": 3, "event": "call.failed", "level": "warning"}'


def test_traceback_follows_its_log_event() -> None:
    lines = logged(LOGGER, "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('broken')").splitlines()
    assert lines[0].endswith(" ERROR broken")
    assert lines[1].startswith("Traceback ")
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_throttle_logs_each_kind_again_after_its_time() -> None:
    time = 0.0
    throttle = LogThrottle(lambda: time, seconds=60.0)
    logged_at: list[float] = []
    for time in (0.0, 1.0, 59.9, 60.0, 61.0, 119.9, 120.0):
        if throttle("full"):
            logged_at.append(time)
        assert throttle(f"other {time}")
    assert logged_at == [0.0, 60.0, 120.0]
