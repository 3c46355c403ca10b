"""`call`: the escape hatch."""

from typing import Annotated

import orjson
import typer

from channel_adapter.cli.command import Run, command, single
from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.files import STDIN, read_text

app = single()


@command(
    app, "call",
    example="""channel-adapter call group_open_http_svc get_group_info '{"GroupIdList": ["@TGS#_harbor_news"]}'""",
)  # fmt: skip
async def call(
    run: Run,
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="For example group_open_http_svc; or both: openim/sendmsg.")
    ],
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="For example get_group_info.")] = "",
    body: Annotated[str, typer.Argument(metavar="JSON", help="The request; - for stdin.")] = "{}",
) -> None:
    """Call a command of the service with a body as its documentation has it, and print the reply as JSON.

    SERVICE and COMMAND are two arguments, or one with a slash between them. Signed, limited and repeated like every
    other call; nothing else is added, checked or translated.
    """
    if "/" in service:
        body = name or body
        service, _, name = service.partition("/")
    if not name:
        raise UsageError("a command is needed: SERVICE COMMAND, or SERVICE/COMMAND", field="command")
    try:
        request = orjson.loads(read_text(STDIN, "body") if body == STDIN else body)
    except orjson.JSONDecodeError as wrong:
        raise UsageError(f"the request is not JSON: {wrong}", field="body") from None
    if not isinstance(request, dict):
        raise UsageError("the request must be a JSON object", field="body")
    async with run.adapter() as adapter:
        reply = await adapter.call(service, name, request)
    run.output.document(reply)
