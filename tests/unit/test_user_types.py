"""Type checks of a project that uses this package with mypy --strict and without its pydantic plugin."""

import subprocess
import sys
from pathlib import Path

RIGHT = """
from collections.abc import Sequence

from pydantic import SecretStr

from channel_adapter import ChannelAdapter, Notifications, PostRef, Settings
from channel_adapter.config.settings import ChannelSettings, WebhookSettings
from channel_adapter.stub.callbacks.request import CallbackSettings as StubWebhooks
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import AppSettings, StubSettings

Settings(sdkappid=1, key="k", region="seoul")
Settings(sdkappid=1, key=SecretStr("k"), base_url="http://h", database_url="sqlite:///x.db", admin="boss")
settings = Settings(
    sdkappid=1, key="k", region="seoul", channels=ChannelSettings(tag_key="t"),
    webhooks=WebhookSettings(tokens=["t", SecretStr("u")], own_echoes=True), database_url=None,
)
key: str = settings.key.get_secret_value()
url: SecretStr | None = settings.database_url
tokens: Sequence[SecretStr] = settings.webhooks.tokens
stub = StubSettings(app=AppSettings(key="k", admin="boss"))
stub_key: str = stub.app.key.get_secret_value()
StubWebhooks(url="http://h/x", token="t")
StubServer(stub)
Fault(command="send_group_msg", status=503)


async def use(adapter: ChannelAdapter) -> None:
    await adapter.subscriptions.set_notifications("channel", "muted", user="user")
    await adapter.subscriptions.set_notifications("channel", Notifications.OFF, user="user")
    await adapter.posts.recall(PostRef.parse("harbor_news/12"))
"""
WRONG = {
    'Settings(sdkappid="one", key="k", region="seoul")': "arg-type",
    "Settings(sdkappid=1, key=5)": "arg-type",
    "Settings(sdkappid=1)": "call-arg",
    'Settings(sdkappid=1, key="k", regoin="seoul")': "call-arg",
    "WebhookSettings(tokens=5)": "arg-type",
    "settings.key.upper()": "attr-defined",
}


def test_settings_type_check_without_plugin(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    first = RIGHT.count("\n") + 1
    module.write_text(RIGHT + "\n".join(WRONG) + "\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "--hide-error-context",
        "--follow-imports=silent", f"--cache-dir={tmp_path / 'cache'}", str(module),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wanted = {first + number: code for number, code in enumerate(WRONG.values())}
    found = {}
    for line in result.stdout.splitlines():
        found[int(line.split(":")[1])] = line.rpartition("[")[2].removesuffix("]")
    assert found == wanted, result.stdout + result.stderr
