"""Settings of the stub and the example file that lists them."""

import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.scenario import Scenario, example
from channel_adapter.stub.settings import DEFAULT_KEY, SettingsError, StubSettings

EXAMPLE = Path(__file__).parents[2] / "config" / "stub.example.toml"


def test_example_file_has_every_setting_with_its_default() -> None:
    written = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    webhooks = written.pop("webhooks")
    listed = set()
    for section, name, value, _ in StubSettings().entries():
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        assert name in written[section], f"{section}.{name} is missing in {EXAMPLE.name}"
        assert written[section][name] == (list(plain) if isinstance(plain, tuple) else plain)
        listed.add((section, name))
    assert {(section, name) for section, values in written.items() for name in values} == listed
    assert set(webhooks) == set(CallbackSettings.model_fields) - {"url", "token"}
    assert Scenario.load(EXAMPLE) == Scenario(StubSettings(), webhooks=CallbackSettings())


def test_every_setting_has_a_description_and_a_source() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text == example()
    without_source = {"sdkappid", "key", "overrides", "accounts_in_app", "online_status"}
    for section, name, _, description in StubSettings().entries():
        assert description, f"{section}.{name} has no description"
        assert f"# {description}\n{name} = " in text
        assert "[" in description or name in without_source, f"{section}.{name} has no source"
    for name, field in CallbackSettings.model_fields.items():
        assert f"# {field.description}\n{name} =" in text or f"# {field.description}\n# {name} =" in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[app]\ncomunity = true", r"app\.comunity.*did you mean 'community'"),
        ("[ap]\nx = 1", r"unknown setting 'ap'; did you mean 'app'"),
        ("[behaviour]\nzzzzzz = 1", r"unknown setting 'behaviour\.zzzzzz'$"),
        ("[behaviour]\nfrequency = 'sometimes'", r"behaviour\.frequency: Input should be 'drop' or 'refuse'"),
        ("[limits]\nname_bytes = 'many'", r"limits\.name_bytes: Input should be a valid integer"),
        ("[limits]\npins = -1", r"limits\.pins: .*a limit is 0 or more"),
        ("[limits]\ncontact_group_page = 0", r"limits\.contact_group_page: Input should be greater than or equal to 1"),
        (
            "[rates.overrides]\n'openim/sendmgs' = 5",
            r"'openim/sendmgs' is no service/command; did you mean 'openim/send",
        ),
        ("[app]\nadmin = ''", r"an admin has an empty name"),
        ("[limits", r"not a TOML file"),
        ("[app]\nadmins = ['x']\nadmin = 'y'", r"admins must contain 'y'"),
        ("[app]\nadmins = ['administrator', " + ", ".join(f"'a{n}'" for n in range(10)) + "]", r"11 admins"),
        ("[app]\ngroup_fields = ['ch-tag']", r"group_fields: 'ch-tag' is no key"),
        ("[app]\ngroup_fields = ['abcdefghijklmnopq']", r"is no key"),
        ("[app]\ngroup_fields = ['2nd']", r"group_fields: '2nd' begins with a digit"),
        ("[app]\nmember_fields = ['2nd']", r"member_fields: '2nd' begins with a digit"),
        ("[app]\nmember_fields = ['ch_tag']", r"'ch_tag' is a key of group_fields and of member_fields"),
        ("[app]\nmember_fields = ['a','b','c','d','e','f']", r"member_fields: 6 keys; an app declares 5"),
        ("[app]\nip_allow_list = ['10.0.0.1', 'here']", r"app\.ip_allow_list: .*'here' is neither an IP address nor"),
        ("[app]\nip_allow_list = ['10.0.0.0/33']", r"'10\.0\.0\.0/33' is neither"),
        ("[app]\nip_allow_list = '10.0.0.1'", r"app\.ip_allow_list"),
        ("[rates]\noverrides = { 'openim/sendmsg' = inf }", r"overrides.*: Input should be a finite number"),
        ("[rates]\noverrides = { 'openim/sendmsg' = 0 }", r"overrides.*: Input should be greater than 0"),
        ("[app]\nkey = 5", r"app\.key: Input should be a valid string"),
    ],
)
def test_invalid_file_is_refused_with_one_line_message(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "stub.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=reason) as problem:
        StubSettings.load(path)
    assert str(problem.value).startswith(str(path))
    assert "\n" not in str(problem.value)


def test_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file"):
        StubSettings.load(tmp_path / "none.toml")


def test_single_admin_is_accepted() -> None:
    assert StubSettings.read({"app": {"admin": "boss"}}).app.admins == ("boss",)


def test_changed_admin_is_the_only_one_unless_admins_are_set() -> None:
    for settings in (StubSettings(), StubSettings.read({"app": {"admin": "root"}})):
        assert settings.changed(app={"admin": "boss"}).app.admins == ("boss",)
    several = StubSettings.read({"app": {"admin": "root", "admins": ["root", "boss"]}})
    assert several.changed(app={"admin": "boss"}).app.admins == ("root", "boss")
    with pytest.raises(SettingsError, match="admins must contain 'other'"):
        several.changed(app={"admin": "other"})


def test_changed_settings_are_checked() -> None:
    assert StubSettings().changed(app={"community": False}).app.community is False
    with pytest.raises(SettingsError, match="comunity"):
        StubSettings().changed(app={"comunity": False})
    with pytest.raises(SettingsError, match="unknown setting 'ap'"):
        StubSettings().changed(ap={})


def test_key_is_not_in_repr_or_error() -> None:
    assert DEFAULT_KEY not in repr(StubSettings())
    with pytest.raises(SettingsError) as problem:
        StubSettings.read({"app": {"key": [DEFAULT_KEY]}})
    assert DEFAULT_KEY not in str(problem.value)
