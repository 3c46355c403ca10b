"""Settings from file, environment and Python, and the messages of their errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channel_adapter.config.settings import Settings, SettingsTable, WebhookSettings
from channel_adapter.errors import ConfigurationError

FILE = """
sdkappid = 1400000001
key = "file-secret"
base_url = "http://127.0.0.1:8900"
[channels]
organization_key = "ch_org"
custom_data_keys = ["a", "b"]
"""

NUMBERS = [
    *(name for name, field in Settings.model_fields.items() if field.annotation is float),
    *(
        f"{table}.{name}"
        for table, part in Settings.model_fields.items()
        if isinstance(part.annotation, type) and issubclass(part.annotation, SettingsTable)
        for name, field in part.annotation.model_fields.items()
        if field.annotation is float
    ),
]
"""Settings that are numbers with a fraction."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "adapter.toml"
    file.write_text(FILE, encoding="utf-8")
    return file


def test_file_is_read_with_defaults_for_missing_settings(path: Path) -> None:
    settings = Settings.load(path)
    assert settings.sdkappid == 1400000001
    assert settings.admin == "administrator"
    assert (settings.channels.tag_key, settings.channels.organization_key) == ("ch_tag", "ch_org")
    assert settings.channels.custom_data_keys == ("a", "b")
    assert settings.posts.max_bytes == 12_000


def test_environment_overrides_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_KEY", "environment-secret")
    monkeypatch.setenv("CHANNEL_ADAPTER_CHANNELS__TAG_KEY", "mine")
    settings = Settings.load(path)
    assert settings.key.get_secret_value() == "environment-secret"
    assert (settings.channels.tag_key, settings.channels.organization_key) == ("mine", "ch_org")
    assert settings.channels.custom_data_keys == ("a", "b")


def test_environment_without_file_is_sufficient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_SDKAPPID", "1400000002")
    monkeypatch.setenv("CHANNEL_ADAPTER_KEY", "k")
    monkeypatch.setenv("CHANNEL_ADAPTER_REGION", "singapore")
    assert Settings.load().region == "singapore"


def test_values_given_in_python_override_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_ADMIN", "from_environment")
    assert Settings.load(path, admin="from_python").admin == "from_python"


def test_key_is_not_in_repr_or_dump_of_settings(path: Path) -> None:
    settings = Settings.load(path)
    assert "file-secret" not in repr(settings)
    assert "file-secret" not in str(settings.model_dump())


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ('regoin = "x"', "regoin", "did you mean 'region'"),
        ("[posts]\nmax_byte = 1", "posts.max_byte", "did you mean 'max_bytes'"),
        ("[channels]\nzzz = 1", "channels.zzz", "known here: tag_key"),
        ('region = "singapore"', None, "exactly one of region and base_url"),
        ("connect_seconds = 0", "connect_seconds", "greater than 0"),
        ('sdkappid = "many"', "sdkappid", "whole number"),
    ],
)
def test_mistake_in_file_is_reported_with_field_and_suggestion(
    tmp_path: Path, change: str, field: str | None, says: str
) -> None:
    lines = ["sdkappid = 1400000001", 'key = "file-secret"', 'base_url = "http://127.0.0.1:8900"']
    if change.startswith("sdkappid"):
        lines = lines[1:]
    file = tmp_path / "adapter.toml"
    file.write_text("\n".join([*lines, change]), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=says) as refused:
        Settings.load(file)
    assert refused.value.field == field
    assert "adapter.toml" in refused.value.message
    assert "file-secret" not in refused.value.message


def test_missing_key_is_reported_with_its_variable(tmp_path: Path) -> None:
    file = tmp_path / "adapter.toml"
    file.write_text('sdkappid = 1\nregion = "china"', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="CHANNEL_ADAPTER_KEY") as refused:
        Settings.load(file)
    assert refused.value.field == "key"


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no settings file"), (b"sdkappid =", "not TOML"), (b"\xff", "not TOML")]
)
def test_unreadable_files_are_reported(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "adapter.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        Settings.load(file)


@pytest.mark.parametrize("keys", [["has space"], ["x" * 17], ["ch_tag"], [f"k{n}" for n in range(10)]])
def test_invalid_custom_field_keys_are_refused(keys: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        Settings.load(None, sdkappid=1, key="k", region="china", channels={"custom_data_keys": keys})


@pytest.mark.parametrize(
    ("name", "value"),
    [("CALLS_PER_SECOND", "abc"), ("CHANNELS", "{bad"), ("CHANNELS__CUSTOM_DATA_KEYS", "a,b"), ("POSTS", "7")],
)
def test_malformed_variable_raises_configuration_error(
    name: str, value: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{name}", value)
    with pytest.raises(ConfigurationError):
        Settings.load(path)


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_rate_that_is_not_a_positive_number_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="calls_per_second"):
        Settings.load(None, sdkappid=1, key="k", region="china", calls_per_second={"openim/modify_group_msg": rate})


@pytest.mark.parametrize("value", ["inf", "nan"])
@pytest.mark.parametrize("name", NUMBERS)
def test_number_that_is_not_finite_is_refused(
    name: str, value: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{name.upper().replace('.', '__')}", value)
    with pytest.raises(ConfigurationError, match=name):
        Settings.load(path)


@pytest.mark.parametrize("values", [{}, {"sdkappid": 1}, {"sdkappid": 1, "region": "nowhere"}])
def test_errors_of_settings_made_in_python_do_not_contain_the_key(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error") as refused:
        Settings.model_validate({"key": "python-secret", **values})
    assert "python-secret" not in str(refused.value)


@pytest.mark.parametrize(("in_file", "variable"), [("region", "BASE_URL"), ("base_url", "REGION")])
def test_region_and_base_url_of_different_sources_are_refused(
    in_file: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = {"region": "china", "base_url": "http://127.0.0.1:8900"}
    file = tmp_path / "adapter.toml"
    file.write_text(f'sdkappid = 1\nkey = "k"\n{in_file} = "{server[in_file]}"', encoding="utf-8")
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{variable}", server[variable.lower()])
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(file)
    assert f"environment variable CHANNEL_ADAPTER_{variable} sets {variable.lower()}" in refused.value.message
    assert f"settings file {file} sets {in_file}" in refused.value.message
    given: dict[str, Any] = {variable.lower(): None}
    assert getattr(Settings.load(file, **given), in_file) == server[in_file]


def test_backup_url_of_replaced_base_url_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "adapter.toml"
    file.write_text('sdkappid = 1\nkey = "k"\nbase_url = "http://one"\nbackup_url = "http://two"', encoding="utf-8")
    monkeypatch.setenv("CHANNEL_ADAPTER_BASE_URL", "http://127.0.0.1:8900")
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(file)
    assert f"settings file {file} sets backup_url" in refused.value.message
    assert "environment variable CHANNEL_ADAPTER_BASE_URL" in refused.value.message
    assert Settings.load(file, backup_url=None).base_url == "http://127.0.0.1:8900"
    monkeypatch.setenv("CHANNEL_ADAPTER_BACKUP_URL", "http://127.0.0.1:8901")
    assert Settings.load(file).backup_url == "http://127.0.0.1:8901"


@pytest.mark.parametrize("given_as", ["file", "environment", "str", "SecretStr"])
def test_white_space_around_secrets_is_removed(given_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "adapter.toml"
    file.write_text('sdkappid = 1\nkey = " k\\n"\nregion = "seoul"\n', encoding="utf-8")
    secrets = {"key": " k\n", "database_url": "\tsqlite:///x.db\r\n"}
    if given_as == "file":
        with file.open("a", encoding="utf-8") as lines:
            lines.write('database_url = "\\tsqlite:///x.db\\r\\n"\nadmin = "boss\\n"\n[webhooks]\ntokens = [" t\\n"]\n')
        settings = Settings.load(file)
    elif given_as == "environment":
        for name, value in secrets.items():
            monkeypatch.setenv(f"CHANNEL_ADAPTER_{name.upper()}", value)
        monkeypatch.setenv("CHANNEL_ADAPTER_ADMIN", "boss\n")
        monkeypatch.setenv("CHANNEL_ADAPTER_WEBHOOKS__TOKENS", '[" t\\n"]')
        settings = Settings.load(file)
    else:
        wrap: Callable[[str], str | SecretStr] = SecretStr if given_as == "SecretStr" else str
        settings = Settings(
            sdkappid=1, region="seoul", admin="boss\n", key=wrap(secrets["key"]),
            database_url=wrap(secrets["database_url"]), webhooks=WebhookSettings(tokens=[wrap(" t\n")]),
        )  # fmt: skip
    assert settings.database_url is not None
    assert settings.key.get_secret_value() == "k"
    assert settings.database_url.get_secret_value() == "sqlite:///x.db"
    assert [token.get_secret_value() for token in settings.webhooks.tokens] == ["t"]
    assert settings.admin == "boss"
