"""``completion``: what a shell needs to complete ``flowsdk …`` and ``python flow.py …``.

A shell asks the command itself, with the hidden word ``__complete`` and the words typed so far:
parameters of the flow and options added later are completed too, and nothing has to be generated
again. ``python`` is completed for files that mention flowsdk only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from flowsdk.cli.commands import CommandLine
    from flowsdk.cli.parser import Parser


class Candidate(NamedTuple):
    """One way to go on.

    Attributes:
        word: The whole word.
        meaning: In a few words; may be empty.
    """

    word: str
    meaning: str


def add_arguments(parser: argparse.ArgumentParser, *context: Any) -> None:  # noqa: ARG001
    """The shell."""
    parser.add_argument("shell", choices=sorted(_SCRIPTS))
    parser.epilog = (
        "bash: put 'eval \"$(flowsdk completion bash)\"' into ~/.bashrc. zsh: likewise into ~/.zshrc, "
        "after compinit. fish: flowsdk completion fish > ~/.config/fish/completions/flowsdk.fish"
    )


def execute(*context: Any) -> int:
    """Print the script; one does for ``flowsdk`` and for all flow files."""
    args: argparse.Namespace = context[-1]
    sys.stdout.write(_SCRIPTS[args.shell])
    return 0


def candidates(line: CommandLine, words: Sequence[str]) -> list[Candidate]:
    """What the last of ``words`` can become, sorted.

    Nothing where any text or a file is expected: shells then offer files.

    Args:
        line: The command line.
        words: What has been typed after the command's name; the last one may be empty.
    """
    *before, current = words or [""]
    parser, positionals = line.parser, 0
    option, values = None, 0  # the option whose values are being given, and how many are to come
    for word in before:
        if values:
            values -= 1
        elif word.startswith("-") and word != "-":
            option = parser._option_string_actions.get(word)
            values = _values(option)
        elif word in parser.subparsers:
            parser = line.parser_of(word) if parser is line.parser else parser.subparsers[word]
            positionals = 0
        else:
            positionals += 1
    if values and option is not None:
        found = _choices(option)
    elif current.startswith("-"):
        found = _options(parser)
    else:
        found = _positional(parser, positionals)
    return sorted(candidate for candidate in found if candidate.word.startswith(current))


def _values(option: argparse.Action | None) -> int:
    """How many words an option takes."""
    if option is None:
        return 0
    return option.nargs if isinstance(option.nargs, int) else 1


def _options(parser: Parser) -> Iterator[Candidate]:
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            for option in action.option_strings:
                if option.startswith("--"):
                    yield Candidate(option, _meaning(parser, action))


def _positional(parser: Parser, position: int) -> Iterator[Candidate]:
    actions = [action for action in parser._actions if not action.option_strings]
    if position < len(actions):
        yield from _choices(actions[position])


def _choices(action: argparse.Action) -> Iterator[Candidate]:
    if isinstance(action, argparse._SubParsersAction):
        for choice in action._choices_actions:
            yield Candidate(choice.dest, (choice.help or "").partition("\n")[0])
    else:
        yield from (Candidate(str(choice), "") for choice in action.choices or ())


def _meaning(parser: Parser, action: argparse.Action) -> str:
    try:
        return parser._get_formatter()._expand_help(action) if action.help else ""
    except (KeyError, TypeError, ValueError):  # a parameter's own help may hold any text
        return action.help or ""


_BASH = r"""# Completion of flowsdk and of flow files for bash.
_flowsdk_candidates() {
    local IFS=$'\n'
    COMPREPLY=($("$@" 2>/dev/null | cut -f 1))
    compopt -o nosort 2>/dev/null || true
}
_flowsdk() {
    _flowsdk_candidates "${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}"
}
_flowsdk_python() {
    local at file
    for ((at = 1; at < COMP_CWORD; at++)); do
        file="${COMP_WORDS[at]/#\~/$HOME}"
        [[ $file == -* ]] && continue
        [[ $file == *.py && -f $file ]] && grep -q flowsdk -- "$file" &&
            _flowsdk_candidates "${COMP_WORDS[@]:0:at}" "$file" __complete \
                "${COMP_WORDS[@]:at + 1:COMP_CWORD - at}"
        return
    done
}
complete -F _flowsdk -o bashdefault -o default flowsdk
complete -F _flowsdk_python -o bashdefault -o default python python3
"""

_ZSH = r"""#compdef flowsdk python python3
# Completion of flowsdk and of flow files for zsh.
_flowsdk_candidates() {
    local -a found
    local line
    for line in "${(@f)$("$@" 2>/dev/null)}"; do
        [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    if (( $#found )); then _describe -V 'candidates' found; else _files; fi
}
_flowsdk() {
    local -i at
    local file
    if [[ ${words[1]:t} == flowsdk ]]; then
        _flowsdk_candidates "${words[1]}" __complete "${(@)words[2,CURRENT]}"
        return
    fi
    for ((at = 2; at < CURRENT; at++)); do
        file="${words[at]/#\~/$HOME}"
        [[ $file == -* ]] && continue
        if [[ $file == *.py && -f $file ]] && grep -q flowsdk -- "$file"; then
            _flowsdk_candidates "${(@)words[1,at-1]}" "$file" __complete \
                "${(@)words[at+1,CURRENT]}"
            return
        fi
        break
    done
    if (( $+functions[_python] )); then _python "$@"; else _files; fi
}
compdef _flowsdk flowsdk python python3
"""

_FISH = r"""# Completion of flowsdk and of flow files for fish.
function __flowsdk_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    if test (path basename -- $words[1]) = flowsdk
        $words[1] __complete $words[2..-1] "$current" 2>/dev/null
        return
    end
    for at in (seq 2 (count $words))
        string match -q -- '-*' $words[$at]; and continue
        set -l file (string replace -r '^~' $HOME -- $words[$at])
        if string match -q -- '*.py' $file; and test -f $file; and grep -q flowsdk -- $file
            set -l python $words
            set -l rest $words
            set -e python[$at..-1]
            set -e rest[1..$at]
            $python $file __complete $rest "$current" 2>/dev/null
        end
        return
    end
end
complete -c flowsdk -f -a '(__flowsdk_candidates)'
complete -c python -c python3 -a '(__flowsdk_candidates)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
