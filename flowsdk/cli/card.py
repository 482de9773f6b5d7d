"""``python flow.py card``: the cards of tasks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowsdk.cards.reading import Card, get_cards
from flowsdk.cli.actions import add_actions
from flowsdk.cli.target import look_where_asked, run_of, tasks_of
from flowsdk.cli.words import json_object, port, positive, seconds
from flowsdk.client import Task
from flowsdk.exception import CardNotFound, UsageError
from flowsdk.flow import FlowSpec

_PATH = "STEP or RUN/STEP[/TASK]"
#: As many digits of a hash as tell cards apart.
_HASH_DIGITS = 10


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The actions of ``card`` and their options."""
    actions = add_actions(
        parser,
        {
            "view": "open a card in the browser",
            "get": "print a card's HTML, or write it to a file",
            "list": "list the cards of a task, of a step or of a run",
            "server": "show the cards of a run in the browser, live while it runs",
            "create": "make a card of a finished task anew, of any type",
        },
    )
    for name in ("view", "get", "list"):
        path = actions[name].add_argument(
            "path", metavar=_PATH, help="by default of the newest run"
        )
        if name == "list":
            path.nargs = "?"
        _add_choice(actions[name])
    actions["view"].add_argument("--no-browser", action="store_true",
                                 help="only print where the card lies")  # fmt: skip
    actions["get"].usage = f"%(prog)s {_PATH} [FILE] [options]"
    actions["get"].add_argument("file", nargs="?", type=Path, metavar="FILE",
                                help="write it there instead of printing it")  # fmt: skip
    actions["list"].add_argument("--as-json", "--json", action="store_true", dest="json",
                                 help="print JSON")  # fmt: skip
    actions["list"].add_argument("--file", type=Path, help="write the JSON to this file")
    _add_server_arguments(actions["server"])
    create = actions["create"]
    create.add_argument("path", metavar=_PATH, help="by default of the newest run")
    create.add_argument("--type", default="default", metavar="TYPE",
                        help="type of the card (default: %(default)s)")  # fmt: skip
    create.add_argument("--options", type=json_object, default={}, metavar="JSON",
                        help="for the card class")  # fmt: skip
    create.add_argument("--id", default=None, help="id of the card")
    create.add_argument("--file", type=Path, metavar="FILE",
                        help="write it to a file instead of storing it with the task's cards")  # fmt: skip


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--id", default=None, help="only cards of this id")
    parser.add_argument("--type", default=None, help="only cards of this type")
    parser.add_argument("--hash", default=None,
                        help="only the card whose hash begins so")  # fmt: skip
    parser.add_argument("--follow-resumed", action=argparse.BooleanOptionalAction, default=True,
                        help="of a resumed task, take the cards of the original (default)")  # fmt: skip


def _add_server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run-id", default=None, metavar="ID",
                        help="which run (default: always the newest)")  # fmt: skip
    parser.add_argument("--port", type=port, default=8324,
                        help="on this machine only; 0 takes any (default: %(default)s)")  # fmt: skip
    parser.add_argument("--poll-interval", type=seconds, default=5, metavar="SECONDS",
                        help="between two looks for changes (default: %(default)s)")  # fmt: skip
    parser.add_argument("--max-cards", type=positive, default=100, metavar="N",
                        help="show the newest N cards (default: %(default)s)")  # fmt: skip
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Show, list, serve or make cards."""
    action = {"view": _view, "get": _get, "list": _list, "server": _serve, "create": _create}
    return action[args.action](flow, args)


def _view(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    card = _one(flow, args)
    if args.no_browser:
        sys.stdout.write(f"{card.path}\n")
        return 0
    if not args.quiet:
        sys.stderr.write(f"Opening {card.path}\n")
    card.view()
    return 0


def _get(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    html = _one(flow, args).get()
    if args.file is None:
        sys.stdout.write(html)
    else:
        _write(args.file, html)
    return 0


def _list(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    found = _cards(flow, args, _tasks(flow, args, args.path))
    facts: list[dict[str, Any]] = [
        {"pathspec": task.pathspec, "cards": [_facts(card) for card in cards]}
        for task, cards in found
        if cards or args.path
    ]
    if args.json or args.file:
        text = json.dumps(facts[0] if len(facts) == 1 and args.path else facts, indent=2) + "\n"
        if args.file:
            _write(args.file, text)
        else:
            sys.stdout.write(text)
        return 0
    if not any(cards for _, cards in found):
        raise CardNotFound(_none(args, [task for task, _ in found]))
    for task, cards in found:
        for card in cards:
            sys.stdout.write(f"{_line(task, card)}\n")
    return 0


def _serve(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    from flowsdk.cards.server import serve

    look_where_asked(args)
    run_of(flow, args, args.run_id)  # whether there is one, before a browser opens
    serve(
        lambda: run_of(flow, args, args.run_id),
        port=args.port,
        poll_seconds=args.poll_interval,
        max_cards=args.max_cards,
        browser=not args.no_browser,
    )
    return 0


def _create(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    from flowsdk.cards.remaking import remake

    tasks = _tasks(flow, args, args.path)
    if len(tasks) != 1:
        raise UsageError(
            f"Which task (command line): {args.path} has {len(tasks)} tasks, expected one. Name it: "
            f"{tasks[0].path_components[1]}/{tasks[0].path_components[2]}/"
            f"{tasks[0].path_components[3]}."
        )
    html, card = remake(tasks[0], flow, args.type, args.options, args.id, store=args.file is None)
    if args.file:
        _write(args.file, html)
    elif card:
        sys.stdout.write(f"Card created: type {card.type}, hash {card.hash[:_HASH_DIGITS]}\n")
    return 0


def _tasks(flow: type[FlowSpec], args: argparse.Namespace, path: str | None) -> list[Task]:
    """The tasks that a path means; without one those of the newest run."""
    look_where_asked(args)
    if path is None:
        run = run_of(flow, args, None)
        return [task for step in list(run)[::-1] for task in list(step)[::-1]]
    if "/" not in path:
        path = f"{run_of(flow, args, None).id}/{path}"
    return tasks_of(flow, args, path)


def _cards(
    flow: type[FlowSpec],  # noqa: ARG001  # as its siblings
    args: argparse.Namespace,
    tasks: Sequence[Task],
) -> list[tuple[Task, list[Card]]]:
    choice = {"id": args.id, "type": args.type, "hash": args.hash}
    return [
        (task, list(get_cards(task, follow_resumed=args.follow_resumed, **choice)))
        for task in tasks
    ]


def _one(flow: type[FlowSpec], args: argparse.Namespace) -> Card:
    """The one card that the command line means.

    Raises:
        CardNotFound: There is none.
        UsageError: There are several.
    """
    tasks = _tasks(flow, args, args.path)
    found = [(task, card) for task, cards in _cards(flow, args, tasks) for card in cards]
    if not found:
        raise CardNotFound(_none(args, tasks))
    if len(found) > 1:
        lines = "\n".join(f"  {_line(task, card)}" for task, card in found)
        raise UsageError(
            f"Which card (command line): {args.path} has {len(found)}, expected one. Name the task, "
            f"or choose with --id, --type or --hash:\n{lines}"
        )
    return found[0][1]


def _none(args: argparse.Namespace, tasks: Sequence[Task]) -> str:
    wanted = "".join(
        f" with {name} {value!r}"
        for name in ("id", "type", "hash")
        if (value := getattr(args, name)) is not None
    )
    where = args.path or (tasks[0].path_components[1] if tasks else "this run")
    has = ", ".join(
        f"{card.id or card.type} ({card.hash[:_HASH_DIGITS]})"
        for task in tasks[:5]
        for card in get_cards(task)
    )
    if wanted and has:
        return f"No card{wanted} in {where}, expected one of: {has}."
    return (
        f"No card in {where}. Put @card on the step; a running step has one once it calls "
        f"current.card.refresh()."
    )


def _facts(card: Card) -> dict[str, Any]:
    return {"id": card.id, "hash": card.hash, "type": card.type, "filename": card.path}


def _line(task: Task, card: Card) -> str:
    _, run, step, task_id = task.path_components
    named = f" id={card.id}" if card.id else ""
    return f"{run}/{step}/{task_id}  type={card.type}{named} hash={card.hash[:_HASH_DIGITS]}  {card.path}"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}. Name a file that can be written.") from error
