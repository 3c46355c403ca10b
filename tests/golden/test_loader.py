"""The loader refuses files with missing, unknown or contradictory content."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.golden.loader import Call, load

GOOD: dict[str, Any] = {
    "source": "doc 1624",
    "confidence": "documented",
    "service": "group_open_http_svc",
    "command": "destroy_group",
    "given": [{"service": "im_open_login_svc", "command": "account_import", "body": {"UserID": "u_1"}}],
    "request": {"GroupId": "@TGS#_x"},
    "reply": {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""},
}


def written(root: Path, content: dict[str, Any], name: str = "group_open_http_svc/destroy_group.json") -> Path:
    path = root / name
    path.parent.mkdir(parents=True)
    path.write_bytes(orjson.dumps(content))
    return path


def test_valid_file_is_loaded(tmp_path: Path) -> None:
    golden = load(written(tmp_path, GOOD, "group_open_http_svc/destroy_group.case.json"), tmp_path)
    assert golden.name == "group_open_http_svc/destroy_group.case"
    assert golden.given == (Call("im_open_login_svc", "account_import", {"UserID": "u_1"}),)
    assert golden.request_bytes == b'{"GroupId":"@TGS#_x"}'
    assert golden.server_picks == frozenset()
    assert golden.only_client is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (GOOD | {"remark": "x"}, "unknown keys"),
        ({name: value for name, value in GOOD.items() if name != "source"}, "missing keys"),
        (GOOD | {"source": ""}, "needs a source"),
        (GOOD | {"confidence": "sure"}, "confidence"),
        (GOOD | {"command": "create_group"}, "another name"),
        (GOOD | {"service": "openim"}, "another name"),
    ],
)
def test_invalid_file_raises_value_error(tmp_path: Path, content: dict[str, Any], complaint: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=complaint):
        load(path, tmp_path)
