"""Settings: file, environment, Python; and what is said when something is wrong."""

from pathlib import Path

import pytest

from channel_adapter.errors import ConfigurationError
from channel_adapter.settings import Settings

FILE = """
sdkappid = 1400000001
key = "file-secret"
base_url = "http://127.0.0.1:8900"
[channels]
organization_key = "ch_org"
custom_data_keys = ["a", "b"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "adapter.toml"
    file.write_text(FILE, encoding="utf-8")
    return file


def test_a_file_is_read_with_defaults_for_the_rest(path: Path) -> None:
    settings = Settings.load(path)
    assert settings.sdkappid == 1400000001
    assert settings.admin == "administrator"
    assert settings.channels.field_keys.all() == ["ch_tag", "ch_org", "a", "b"]
    assert settings.posts.max_bytes == 12_000


def test_the_environment_is_stronger_than_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_KEY", "environment-secret")
    monkeypatch.setenv("CHANNEL_ADAPTER_CHANNELS__TAG_KEY", "mine")
    settings = Settings.load(path)
    assert settings.key.get_secret_value() == "environment-secret"
    assert settings.channels.field_keys.all() == ["mine", "ch_org", "a", "b"]


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_SDKAPPID", "1400000002")
    monkeypatch.setenv("CHANNEL_ADAPTER_KEY", "k")
    monkeypatch.setenv("CHANNEL_ADAPTER_REGION", "singapore")
    assert Settings.load().region == "singapore"


def test_values_given_in_python_are_strongest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_ADMIN", "from_environment")
    assert Settings.load(path, admin="from_python").admin == "from_python"


def test_the_key_shows_nowhere(path: Path) -> None:
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
def test_what_is_wrong_is_named_with_the_nearest_that_exists(
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


def test_a_missing_key_says_how_to_give_it(tmp_path: Path) -> None:
    file = tmp_path / "adapter.toml"
    file.write_text('sdkappid = 1\nregion = "china"', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="CHANNEL_ADAPTER_KEY") as refused:
        Settings.load(file)
    assert refused.value.field == "key"


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no settings file"), (b"sdkappid =", "not TOML"), (b"\xff", "not TOML")]
)
def test_files_that_cannot_be_read_say_so(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "adapter.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        Settings.load(file)


@pytest.mark.parametrize("keys", [["has space"], ["x" * 17], ["ch_tag"], [f"k{n}" for n in range(10)]])
def test_custom_field_keys_are_checked(keys: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        Settings.load(None, sdkappid=1, key="k", region="china", channels={"custom_data_keys": keys})


@pytest.mark.parametrize(
    ("name", "value"),
    [("CALLS_PER_SECOND", "abc"), ("CHANNELS", "{bad"), ("CHANNELS__CUSTOM_DATA_KEYS", "a,b"), ("POSTS", "7")],
)
def test_a_variable_that_cannot_be_read_is_a_configuration_error(
    name: str, value: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{name}", value)
    with pytest.raises(ConfigurationError):
        Settings.load(path)


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_is_a_number_above_zero(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="calls_per_second"):
        Settings.load(None, sdkappid=1, key="k", region="china", calls_per_second={"openim/modify_group_msg": rate})


@pytest.mark.parametrize("values", [{}, {"sdkappid": 1}, {"sdkappid": 1, "region": "nowhere"}])
def test_the_key_shows_in_no_error_of_settings_made_in_python(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error") as refused:
        Settings.model_validate({"key": "python-secret", **values})
    assert "python-secret" not in str(refused.value)


def test_another_server_in_the_environment_replaces_the_files_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "adapter.toml"
    file.write_text('sdkappid = 1\nkey = "k"\nregion = "china"', encoding="utf-8")
    monkeypatch.setenv("CHANNEL_ADAPTER_BASE_URL", "http://127.0.0.1:8900")
    settings = Settings.load(file)
    assert (settings.region, settings.base_url) == (None, "http://127.0.0.1:8900")
