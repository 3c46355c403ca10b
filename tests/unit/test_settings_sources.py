"""Sources of settings: errors name the file or variable that holds the mistake."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter.config.settings import ChannelSettings, PostSettings, Settings
from channel_adapter.errors import ConfigurationError

STUB = "http://127.0.0.1:8900"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "adapter.toml"
    file.write_text(f'sdkappid = 1\nkey = "file-secret"\nbase_url = "{STUB}"\n', encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({"regoin": "china"}, "regoin", "unknown key 'regoin'; did you mean 'region'"),
        ({"posts": {"max_byte": 1}}, "posts.max_byte", "did you mean 'max_bytes'"),
        ({"posts": {"max_bytes": 0}}, "posts.max_bytes", "posts.max_bytes: .*greater than or equal to 1"),
        ({"region": "china"}, None, "exactly one of region and base_url"),
        ({"sdkappid": "many"}, "sdkappid", "sdkappid: must be a whole number"),
        ({"key": SecretStr("")}, "key", "key: is empty"),
        ({"key": " \n"}, "key", "key: is empty"),
    ],
)
def test_settings_made_in_python_are_refused_like_those_of_a_file(
    values: dict[str, object], field: str | None, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        Settings(**{"sdkappid": 1, "key": "python-secret", "base_url": STUB, **values})  # type: ignore[arg-type]
    assert refused.value.field == field
    assert "python-secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_table_made_in_python_is_refused_like_those_of_a_file() -> None:
    with pytest.raises(ConfigurationError, match=r"max_bytes: .*greater than or equal to 1") as refused:
        PostSettings(max_bytes=0)
    assert refused.value.field == "max_bytes"
    with pytest.raises(ConfigurationError, match="'has space'"):
        ChannelSettings(tag_key="has space")
    with pytest.raises(ConfigurationError, match="'2nd_tag' begins with a digit"):
        ChannelSettings(custom_data_keys=("data", "2nd_tag"))


def test_settings_made_in_python_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_ADMIN", "somebody_elses")
    monkeypatch.setenv("CHANNEL_ADAPTER_POSTS__MAX_BYTES", "7")
    settings = Settings(sdkappid=1, key=SecretStr("k"), base_url=STUB)
    assert (settings.admin, settings.posts.max_bytes) == ("administrator", PostSettings().max_bytes)


@pytest.mark.parametrize(
    ("name", "value", "field", "says"),
    [
        ("CONNECT_SECONDS", "soon", "connect_seconds", "must be a number"),
        ("CHANNELS__CACHE_SECONDS", "-1", "channels.cache_seconds", "greater than or equal to 0"),
        ("CHANNELS__CUSTOM_DATA_KEYS", "a,b", "channels.custom_data_keys", "JSON"),
        ("CALLS_PER_SECOND", "abc", "calls_per_second", "JSON"),
        ("CHANNELS", "{bad", "channels", "JSON"),
        ("POSTS", "7", "posts", "JSON"),
        ("POSTS", '{"max_bytes": 0}', "posts.max_bytes", "greater than or equal to 1"),
    ],
)
def test_error_of_bad_variable_names_the_variable_and_not_the_file(
    name: str, value: str, field: str, says: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{name}", value)
    with pytest.raises(ConfigurationError, match=says) as refused:
        Settings.load(path)
    assert refused.value.message.startswith(f"environment variable CHANNEL_ADAPTER_{name}: ")
    assert "adapter.toml" not in refused.value.message
    assert refused.value.field == field


def test_error_of_value_given_to_load_does_not_name_the_file(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^settings given in Python: connect_seconds: "):
        Settings.load(path, connect_seconds=0)


@pytest.mark.parametrize(
    ("stray", "nearest"),
    [
        ("REGOIN", "REGION"),
        ("CHANNELS_TAG_KEY", "CHANNELS__TAG_KEY"),
        ("CHANNELS__TAGKEY", "CHANNELS__TAG_KEY"),
        ("KEY__X", "KEY"),
        ("CONFIGURATION", "CONFIG"),
    ],
)
def test_unknown_variable_is_reported_with_the_nearest_setting(
    stray: str, nearest: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{stray}", "a-secret-perhaps")
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(path)
    said = refused.value.message
    assert said.startswith(f"environment variable CHANNEL_ADAPTER_{stray} is no setting; ")
    assert f"did you mean CHANNEL_ADAPTER_{nearest}?" in said
    assert "a-secret-perhaps" not in said


@pytest.mark.parametrize(("name", "value"), [("CONFIG", "adapter.toml"), ("LIVE", "live.toml"), ("OLD_NAME", "")])
def test_command_line_variables_and_empty_ones_are_accepted(
    name: str, value: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{name}", value)
    assert Settings.load(path).sdkappid == 1


def test_relative_ca_file_is_resolved_against_its_settings_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text('ca_file = "ca.pem"\n' + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert Settings.load(path).ca_file == path.parent / "ca.pem"
    assert Settings.load(path, ca_file="mine.pem").ca_file == Path("mine.pem")
    monkeypatch.setenv("CHANNEL_ADAPTER_CA_FILE", "theirs.pem")
    assert Settings.load(path).ca_file == Path("theirs.pem")


def test_base_url_given_to_load_does_not_replace_the_region_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_REGION", "china")
    with pytest.raises(ConfigurationError, match="CHANNEL_ADAPTER_REGION sets region and settings given in Python"):
        Settings.load(sdkappid=1, key="k", base_url=STUB)
    settings = Settings.load(sdkappid=1, key="k", base_url=STUB, region=None)
    assert (settings.region, settings.base_url) == (None, STUB)


@pytest.mark.parametrize(
    ("variables", "given", "where"),
    [
        ({"REGION": "nowhere"}, {}, "environment variable CHANNEL_ADAPTER_REGION: region: must be one of china"),
        ({"KEY": " "}, {"region": "seoul"}, "environment variable CHANNEL_ADAPTER_KEY: key: is empty"),
        (
            {"REGION": "seoul", "BASE_URL": STUB},
            {},
            "environment variable CHANNEL_ADAPTER_REGION and environment variable CHANNEL_ADAPTER_BASE_URL: exactly",
        ),
        ({}, {"region": "seoul", "base_url": STUB}, "settings given in Python: exactly one of"),
        (
            {"CHANNELS__ORGANIZATION_KEY": "ch_tag", "REGION": "seoul"},
            {"channels": {"tag_key": "ch_tag"}},
            "settings given in Python and environment variable CHANNEL_ADAPTER_CHANNELS__ORGANIZATION_KEY: channels:",
        ),
        (
            {"CHANNELS__TAG_KEY": "has space", "REGION": "seoul"},
            {"channels": {"organization_key": "org"}},
            "environment variable CHANNEL_ADAPTER_CHANNELS__TAG_KEY: channels.tag_key: custom group field key",
        ),
        (
            {"CHANNELS": '{"cache_entries": 5}', "REGION": "seoul"},
            {"channels": {"cache_seconds": -1}},
            "settings given in Python: channels.cache_seconds: ",
        ),
    ],
)
def test_error_names_the_sources_of_its_fields(
    variables: dict[str, str], given: dict[str, object], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CHANNEL_ADAPTER_{name}", value)
    file = tmp_path / "adapter.toml"
    file.write_text('sdkappid = 1\nkey = "k"\n[channels]\ncache_seconds = 7\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(file, **given)
    assert refused.value.message.startswith(where)


@pytest.mark.parametrize(
    "server", ["u:s3cr@tWORD@127.0.0.1:1/db", "u:s3c/r@tWORD@h/db", "u:x@tWORD/y@h/db", "u:x@h/db?password=tWORD@1"]
)
def test_unescaped_at_in_a_password_is_reported_without_the_password(server: str) -> None:
    with pytest.raises(ConfigurationError, match="%40") as refused:
        Settings.load(sdkappid=1, key="k", base_url=STUB, database_url=f"postgresql://{server}")
    assert refused.value.field == "database_url"
    assert "tWORD" not in refused.value.message
    assert "s3c" not in refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40w@h/db",
        "postgresql://u@h/db",
        "postgresql://h/db?user=a@b&password=c@d",
        "sqlite:////a@b/c@d",
    ],
)
def test_other_uses_of_at_in_a_database_url_are_accepted(url: str) -> None:
    found = Settings.load(sdkappid=1, key="k", base_url=STUB, database_url=url).database_url
    assert found is not None
    assert found.get_secret_value() == url


KUBERNETES = {
    "SERVICE_HOST": "10.0.0.5",
    "SERVICE_PORT": "8080",
    "SERVICE_PORT_HTTP": "8080",
    "PORT": "tcp://10.0.0.5:8080",
    "PORT_8080_TCP": "tcp://10.0.0.5:8080",
    "PORT_8080_TCP_PROTO": "tcp",
    "PORT_8080_TCP_PORT": "8080",
    "PORT_53_UDP_ADDR": "10.0.0.5",
}


@pytest.mark.parametrize("service", ["", "STUB_", "WEBHOOKS_"])
def test_kubernetes_service_variables_are_ignored(service: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KUBERNETES.items():
        monkeypatch.setenv(f"CHANNEL_ADAPTER_{service}{name}", value)
    assert Settings.load(path).base_url == STUB


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "8080"), ("SERVICE", "x"), ("PORT_HTTP_TCP", "x"), ("SERVICE_HOSTS", "x"), ("BASE_ULR", "tcp://1:2")],
)
def test_variables_similar_to_kubernetes_ones_are_reported(
    name: str, value: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{name}", value)
    with pytest.raises(ConfigurationError, match=f"CHANNEL_ADAPTER_{name} is no setting"):
        Settings.load(path)


def test_rate_for_unknown_command_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'group_open_http_svc/send_group_msg'") as refused:
        Settings.load(sdkappid=1, key="k", base_url=STUB, calls_per_second={"group_open_http_svc/send_group_mgs": 400})
    assert refused.value.field == "calls_per_second"
    known = {"group_open_http_svc/send_group_msg": 400.0}
    assert Settings.load(sdkappid=1, key="k", base_url=STUB, calls_per_second=known).calls_per_second == known


@pytest.mark.parametrize("url", ["sqlite:///state.db", "postgresql://me:db-secret@db.example/channels"])
def test_database_url_is_not_in_repr_or_dump_of_settings(url: str) -> None:
    settings = Settings.load(sdkappid=1, key="k", base_url=STUB, database_url=url)
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == url
    assert "db-secret" not in repr(settings) + str(settings.model_dump())
    assert Settings(sdkappid=1, key=SecretStr("k"), base_url=STUB).database_url is None


@pytest.mark.parametrize("url", ["mysql://me:db-secret@db.example/channels", "db-secret", ""])
def test_unsupported_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite or postgresql") as refused:
        Settings.load(sdkappid=1, key="k", base_url=STUB, database_url=url)
    assert refused.value.field == "database_url"
    assert "db-secret" not in str(refused.value)


def test_error_of_a_table_rule_names_the_variable_that_set_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_CHANNELS__TAG_KEY", "this_key_is_too_long")
    with pytest.raises(ConfigurationError, match=r"variable CHANNEL_ADAPTER_CHANNELS__TAG_KEY: channels\.tag_key: "):
        Settings.load(sdkappid=1, key="k", region="seoul")
