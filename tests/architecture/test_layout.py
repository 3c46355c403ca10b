"""Structure of the project: import contracts, public names, and sizes of files and functions."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import channel_adapter

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "channel_adapter"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py"))
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "channel_adapter", "config", "tests"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

PUBLIC_NAMES = """
    Adopted Allow Article Attempt AuthenticationError Broadcast Channel ChannelAdapter ChannelAdapterError
    ChannelChanged ChannelCreated ChannelDeleted ChannelEvent ChannelFull ChannelId ChannelOutcome ChannelUnread
    ConfigurationError ConflictError Content ConversationGroup CountSource CreateRequest Custom HookResponse Departure
    DisplayMode DisplayStatus Drop Event AssignmentStatus Explanation Face File GroupAssignment HealthCheckResult Image
    InvalidError LimitReachedError Location Loss Marks NotFoundError Notifications Other Outcome OutcomeKind
    OutcomeUnknownError Outcomes OwnerChanged PermissionDeniedError Platform PolicyKind Post PostDraft PostEdited
    PostLost PostPublished PostRecalled PostRef PostState HookRequest RateAlarm ReactionChange ReactionChanged
    ReactionPolicy Reactions Reactor Reconciled Refuse RefuseSome RefusedError Rewrite Role RoleChanged Settings Sound
    SubscribeRequest Subscribed Subscriber Subscription SyncChannelAdapter Synced Text TextAndImage ThrottledError
    UnavailableError Unknown Unread Unrecognised Unsubscribed UserId Video
    Capabilities Mode UnsupportedError
    AllRead Contact Direction Message MessageDraft MessageEdited MessageEvent MessageRead MessageRecalled
    MessageReceived MessageRef MessageSent Thread
    BlockedUser DirectoryEntry Invitation InvitationState
    ExportedChannel SavedDraft ScheduledPost ScheduleState ScheduleStatus
    ChannelInsights ChannelViews DayInsights PostInsights PostViews StoredViews
""".split()  # noqa: SIM905

CONVERSATION_GROUPS = {"service.py: groups"}  # the name of a user's own conversation groups


def test_import_contracts_hold() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint_imports], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_public_names_match_the_list_and_can_be_imported() -> None:
    assert sorted(channel_adapter.__all__) == sorted(PUBLIC_NAMES)
    for name in PUBLIC_NAMES:
        assert getattr(channel_adapter, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        channel_adapter.no_such_name  # noqa: B018


def test_package_dir_and_version_match_names_and_project_version() -> None:
    assert dir(channel_adapter) == sorted([*PUBLIC_NAMES, "__version__"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert channel_adapter.__version__ == project["version"]


def test_project_metadata_has_urls_and_supported_python_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"Homepage", "Repository", "Issues"} <= project["urls"].keys()
    versions = {f"Programming Language :: Python :: {version}" for version in ("3.11", "3.12", "3.13")}
    assert versions <= set(project["classifiers"])


def test_only_durable_package_imports_dbos_by_public_names() -> None:
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{each.name}" for each in node.names]
            for name in names:
                if name.split(".")[0] == "dbos":
                    found.setdefault(path.relative_to(PACKAGE).parts[0], set()).add(name)
    assert set(found) == {"durable"}
    assert not [name for name in found["durable"] if name.count(".") != 1 or "._" in name]


def test_top_level_has_only_expected_entries() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:  # an unpacked source archive has no index
        names = {path.name for path in ROOT.iterdir()}
    else:
        names = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL | {"PKG-INFO"}


def test_adapter_areas_are_imported_on_first_use() -> None:
    script = (
        "import sys\nfrom channel_adapter import ChannelAdapter, Settings\n"
        "adapter = ChannelAdapter.open(Settings(sdkappid=1, key='k', region='seoul'))\n"
        "def loaded(*parts):\n"
        "    return sorted(n for n in sys.modules for p in parts if n.startswith(f'channel_adapter.{p}'))\n"
        "areas = ('services.channels', 'services.reactions', 'services.unread.service', 'webhooks', 'migration',"
        " 'store')\n"
        "assert not loaded(*areas, 'services.posts'), loaded(*areas, 'services.posts')\n"
        "adapter.posts\nassert loaded('services.posts') and not loaded(*areas), loaded(*areas)\n"
        "adapter.reactions\nassert not loaded('services.unread.service', 'webhooks', 'migration', 'store')"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, cwd=ROOT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_have_limited_length(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 800
    assert path.stem not in EMPTY_NAMES
    too_long = [
        f"{node.name} has {whole} lines"
        for node in functions(text)
        for whole in [(node.end_lineno or node.lineno) - node.lineno + 1]
        if whole > 60
    ]
    assert too_long == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("package", ["domain", "services", "adapter.py"])
def test_domain_and_public_signatures_avoid_wire_terms(package: str) -> None:
    target = PACKAGE / package
    files = [target] if target.is_file() else sorted(target.rglob("*.py"))
    found = []
    for path in files:
        for node in functions(path.read_text(encoding="utf-8")):
            if node.name.startswith("_") and node.name != "__init__":
                continue
            names = [node.name, *(argument.arg for argument in [*node.args.args, *node.args.kwonlyargs])]
            found += [f"{path.name}: {name}" for name in names if forbidden(name)]
    assert [each for each in found if each not in CONVERSATION_GROUPS] == []


def forbidden(name: str) -> bool:
    return any(word in name.lower() for word in ("group", "community", "defined_data"))


def functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
