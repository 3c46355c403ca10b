"""All webhooks by command; an unlisted command is no error, the service adds them as it likes [webhooks 8]."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from channel_adapter.tencent.wire.callback_envelope import QUERY_COMMAND, Callback
from channel_adapter.tencent.wire.callbacks_c2c import C2C_CALLBACKS
from channel_adapter.tencent.wire.callbacks_group import GROUP_CALLBACKS
from channel_adapter.tencent.wire.callbacks_official import OFFICIAL_CALLBACKS
from channel_adapter.tencent.wire.callbacks_other import OTHER_CALLBACKS

MODELS: Final[Mapping[str, type[Callback]]] = {
    model.command: model for model in (*GROUP_CALLBACKS, *C2C_CALLBACKS, *OFFICIAL_CALLBACKS, *OTHER_CALLBACKS)
}

BODY_COMMAND: Final = QUERY_COMMAND  # the same name in URL and body [doc 34354]
_BEFORE: Final = ".CallbackBefore"


def is_before(command: str) -> bool:
    """Return whether the service waits for the answer and acts on it."""
    return _BEFORE in command


def read(body: Mapping[str, Any]) -> Callback | None:
    """Return the body as a model; None for a command that is not listed or a body that does not fit its model."""
    model = MODELS.get(str(body.get(BODY_COMMAND)))
    if model is None:
        return None
    try:
        return model.model_validate(body)
    except ValidationError:
        return None
