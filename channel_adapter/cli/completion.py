"""`completion`: scripts that complete command lines in bash, zsh and fish, and the candidates that they ask for."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for the store to be imported

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from channel_adapter.cli.command import Run, command, single
from channel_adapter.config.extras import is_installed
from channel_adapter.errors import ChannelAdapterError

if TYPE_CHECKING:
    from channel_adapter.domain.ids import ChannelId

app = single()

_MAX_CHANNELS: Final = 200


class Shell(StrEnum):
    """Shells whose command lines can be completed."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS: Final = {
    Shell.BASH: r"""_channel_adapter() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <("$1" completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _channel_adapter channel-adapter
""",
    Shell.ZSH: r"""#compdef channel-adapter
_channel_adapter() {
    local -a candidates
    candidates=("${(@f)$("${words[1]}" completion zsh -- "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    if [[ -n "${candidates[1]}" ]]; then
        _describe 'channel-adapter' candidates
    else
        _files
    fi
}
compdef _channel_adapter channel-adapter
""",
    Shell.FISH: r"""function __channel_adapter
    set -l words (commandline -opc) (commandline -ct)
    $words[1] completion fish -- $words[2..-1] 2>/dev/null
end
complete -c channel-adapter -a '(__channel_adapter)'
""",
}


class Candidate(NamedTuple):
    """A word that may stand next, and what it is."""

    word: str
    meaning: str = ""

    def shown(self, shell: Shell) -> str:
        """Return the line of a candidate in the form that a shell reads."""
        separator = {Shell.BASH: "", Shell.ZSH: ":", Shell.FISH: "\t"}[shell]
        word = self.word.replace(":", "\\:") if shell is Shell.ZSH else self.word
        return f"{word}{separator}{self.meaning}" if separator and self.meaning else word


@command(
    app, "completion",
    example="channel-adapter completion fish > ~/.config/fish/completions/channel-adapter.fish\n"
    "channel-adapter completion bash > ~/.local/share/bash-completion/completions/channel-adapter",
)  # fmt: skip
async def completion(
    run: Run,
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="WORD", help="Used by the script, after `--`.")] = None,
) -> None:
    """Print the script that completes commands, options and channels in a shell.

    In ~/.bashrc, or in ~/.zshrc after compinit: eval "$(channel-adapter completion bash)", with zsh in its place.
    Channels are those of the registry in `database_url`: receivers of webhooks and `directory refresh` fill it. With
    WORDs, the words of a command line up to the one to complete, it prints the candidates for that one, one a line.
    """
    if words is None:
        if run.output.json:
            run.output.one({"shell": shell, "script": _SCRIPTS[shell]})
        else:
            sys.stdout.write(_SCRIPTS[shell])
        return
    *before, last = words
    line = _Line([*(word for word in before if word != "="), "" if last == "=" else last])  # bash splits --option=value
    found = line.candidates()
    if line.wants_channel:
        found = await _complete_channel(Run(run.output, line.config or run.config), line.incomplete)
    matching = [candidate for candidate in found if candidate.word.startswith(line.incomplete)]
    if run.output.json:
        run.output.one({"candidates": [candidate.word for candidate in matching]})
    else:
        sys.stdout.writelines(f"{candidate.shown(shell)}\n" for candidate in matching)


class _Line:
    """A command line up to the word to complete, read by the definitions of the commands."""

    def __init__(self, words: Sequence[str]) -> None:
        from channel_adapter.cli.main import make_app

        *before, self.incomplete = words
        self.config: str | None = None
        self._command: Any = typer.main.get_command(make_app())
        self._context = typer.Context(self._command, resilient_parsing=True)
        self._option: Any = None  # that the next word is the value of
        self._arguments = 0
        for word in before:
            self._read_word(word)

    def candidates(self) -> list[Candidate]:
        """Return what may stand in place of the word to complete; nothing where the shell completes names of files."""
        if self._option is not None:
            return self._list_values(self._option)
        if self.incomplete.startswith("-"):
            return [
                Candidate(name, parameter.help or "")
                for parameter in self._list_parameters("option")
                for name in parameter.opts
                if name.startswith("--")
            ]
        if hasattr(self._command, "list_commands"):
            names = self._command.list_commands(self._context)
            return [Candidate(name, self._command_summary(name)) for name in names]
        argument = self._current_argument()
        return [] if argument is None else self._list_values(argument)

    @property
    def wants_channel(self) -> bool:
        """Whether the word to complete is a channel."""
        parameter = self._option or (None if self.incomplete.startswith("-") else self._current_argument())
        return parameter is not None and parameter.metavar == "CHANNEL"

    def _read_word(self, word: str) -> None:
        if self._option is not None:
            if "--config" in self._option.opts:
                self.config = word
            self._option = None
        elif word.startswith("-"):
            options = [each for each in self._list_parameters("option") if word in each.opts]
            self._option = next((each for each in options if not each.is_flag and not each.count), None)
        elif hasattr(self._command, "list_commands"):
            chosen = self._command.get_command(self._context, word)
            if chosen is not None:
                self._command = chosen
                self._context = typer.Context(chosen, parent=self._context, info_name=word, resilient_parsing=True)
        else:
            self._arguments += 1

    def _list_parameters(self, kind: str) -> list[Any]:
        return [each for each in self._command.get_params(self._context) if each.param_type_name == kind]

    def _current_argument(self) -> Any:
        """Return the argument whose turn it is; the last one may take all further words."""
        arguments = self._list_parameters("argument")
        if self._arguments < len(arguments):
            return arguments[self._arguments]
        return arguments[-1] if arguments and arguments[-1].nargs == -1 else None

    def _list_values(self, parameter: Any) -> list[Candidate]:
        """Return the values that a parameter may have, where they can be listed."""
        items = parameter.shell_complete(self._context, self.incomplete)
        return [Candidate(str(item.value)) for item in items if item.type == "plain"]

    def _command_summary(self, name: str) -> str:
        from channel_adapter.cli.main import COMMANDS

        if self._context.parent is None:
            return COMMANDS[name].summary
        return str(self._command.get_command(self._context, name).get_short_help_str(limit=80))


async def _complete_channel(run: Run, incomplete: str) -> list[Candidate]:
    """Return channels of the registry by slug, or by id where one was begun; none where no registry can be read."""
    from channel_adapter.mapping.ids import SCHEMES

    try:
        scheme = SCHEMES[run.settings().mode]
        by_id = incomplete.startswith(scheme.prefix[:1])
        found = await _find_registered(run, incomplete if by_id else scheme.prefix + incomplete)
    except (ChannelAdapterError, OSError):
        return []
    return [Candidate(channel if by_id else scheme.slug(channel)) for channel in found]


async def _find_registered(run: Run, prefix: str) -> "list[ChannelId]":
    url = run.database_url()
    if url is None or not is_installed("sqlalchemy"):
        return []
    from channel_adapter.store.channel_registry import ChannelRows
    from channel_adapter.store.database import Database

    async with Database.shared(url) as database:
        return await ChannelRows(database).beginning_with(prefix, limit=_MAX_CHANNELS)
