"""`rotate pause`, `resume`, `undo`, `adopt`, `release`, `claim`, `revoke`: over the daemon's socket, else alone."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from rotator.cli import base, now, output
from rotator.cli.base import FutureTime, Length, written
from rotator.cli.now import me, say

if TYPE_CHECKING:
    from rotator.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--all", "everything", is_flag=True, help="Every credential in the settings."),
    click.option(
        "--label", "labels", multiple=True, metavar="KEY=VALUE", callback=base.labels, help="All that carry it."
    ),
    click.option("--target", "targets", multiple=True, metavar="NAME", help="All that live on this target."),
)
_LONGEST = timedelta(days=366)
_USUALLY, _DAY = timedelta(minutes=5), timedelta(days=1)


def many(command: F) -> F:
    """Add the argument NAMES and the options --all, --label and --target."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("names", nargs=-1)(command)


def selected(
    names: tuple[str, ...], everything: bool, labels: dict[str, str], targets: tuple[str, ...]
) -> dict[str, Any]:
    """The selection for a request. Raises UsageError when it is empty."""
    base.selected(names, everything=everything, labels=labels, targets=targets)
    return {"names": list(names), "everything": everything, "labels": labels, "targets": list(targets)}


def ask(config: str | None, verb: str, request: dict[str, Any], *, as_json: bool) -> NoReturn:
    """Send the request, print the answers, and exit with the verdict's code."""
    reached = base.reach(config)
    base.known(reached.settings, request["names"])

    base.run(
        lambda: base.follow(
            _lines(reached, verb, {"by": me(), **request}),
            base.show_line if as_json else say,
            unanswered="the daemon ended before it answered; ask `rotate status`",
        ),
        acts=True,
    )


async def _lines(reached: base.Reach, verb: str, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    from rotator.app import control

    if reached.settings is None or await control.answers(reached.socket):
        async with aclosing(control.call(reached.socket, {"verb": verb, **request})) as replies:
            async for reply in replies:
                yield reply
        return
    from rotator.app.standalone import obey_alone
    from rotator.commands.operator_commands import parse_operator_command

    async with aclosing(
        obey_alone(reached.settings, parse_operator_command(verb, request), base.waits_for_vault)
    ) as lines:
        async for line in lines:
            yield line


@click.command()
@many
@click.option("--for", "length", type=Length(high=_LONGEST), help="It ends by itself after so long.")
@click.option(
    "--until", type=FutureTime(), help='It ends by itself then: "2026-12-31T18:00", UTC unless it names a zone.'
)
@click.option("--reason", default="", help="For those who find it paused.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def pause_command(
    config: str | None, /, length: timedelta | None, until: datetime | None, as_json: bool, **wanted: Any
) -> None:
    """Begin no rotation and end no predecessor, until `rotate resume` or for a while.

    A rotation that has begun goes on to its publication. A value that expires expires: its warnings stay on.
    `rotate now` is refused meanwhile (exit 3); `rotate now --emergency` is not, as a leak does not wait.
    """
    if length and until:
        raise click.UsageError("--for and --until are two ends: say one of them")
    reason = wanted.pop("reason")
    end = {"for": written(length)} if length else {"until": until.isoformat()} if until else {}
    request = {**selected(**wanted), "reason": reason, **end}
    ask(config, "pause", request, as_json=as_json)


@click.command()
@many
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def resume_command(config: str | None, /, as_json: bool, **wanted: Any) -> None:
    """End the pause of credentials. What was due meanwhile is done once, and spread out by the limits."""
    ask(config, "resume", selected(**wanted), as_json=as_json)


@click.command()
@click.argument("name")
@click.option("--emergency", is_flag=True, help="No grace for the value taken back: it dies once the other is live.")
@click.option("--within", type=Length(), default="5m", show_default=True, help="How long to wait for the end of it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def undo_command(config: str | None, name: str, emergency: bool, within: timedelta, as_json: bool) -> None:
    """Publish the value before again, once it is proven, and retire what it replaces.

    It goes on under a new rotation number. Within the grace the value before is still alive; after it the target must
    be able to take the revocation back (Halo CMS can, until the record is deleted). Refused, with nothing changed:
    when the value is gone from Vault, has expired, or settings want other roles than it has. Undoing twice goes back
    to where it began.
    """
    request = {"names": [name], "emergency": emergency, "within": written(within)}
    ask(config, "undo", request, as_json=as_json)


@click.command()
@many
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def adopt_command(config: str | None, /, as_json: bool, **wanted: Any) -> None:
    """Take over what the consumer path holds. Nothing is written there, and nothing is rotated.

    The value must say whose it is (a Halo token and a client assertion do), the minter must be able to see it, and the
    target must accept it with exactly the roles that settings want. It is yours to say that it is ours: after its
    successor is published, and its grace, it will be revoked. This also settles a hold for a foreign value.
    """
    ask(config, "adopt", selected(**wanted), as_json=as_json)


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--ended", is_flag=True, help="No hold: you have ended the old value that waits for you to end it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def release_command(config: str | None, names: tuple[str, ...], ended: bool, as_json: bool) -> None:
    """Lift the hold of credentials, their reason cleared. `rotate explain NAME` says what the reason is.

    A spent mint budget begins anew; a predecessor held at its deadline may go. A foreign value has to be put right
    first, or on_foreign = "overwrite" set: otherwise the credential is held again.

    An old value that only a person can end waits until it is proven dead. Where that cannot be proven, `--ended` takes
    your word for it, which goes into the log and the receipts. It is refused while the target still accepts the value.
    """
    ask(config, "release", {"names": list(names), **({"ended": True} if ended else {})}, as_json=as_json)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def claim_command(config: str | None, yes: bool, as_json: bool) -> None:
    """Say that this Vault is the only one with these records: it was restored, or its copy is gone or read-only.

    Lifts the hold `two_vaults` everywhere. Every credential mints under new names from now on, so that no token of
    ours is taken for one of the state before. What lives under old names is listed: published values and their
    predecessors end by the ordinary rules, the rest when you say so (`rotate strays --reap --unclaimed`).
    """
    reached = base.reach(config)
    if not as_json and (code := base.part(partial(_list, reached))):
        sys.exit(code)
    question = "Is this Vault the only one that a rotator works with, and its copies gone or read_only?"
    if not yes and (reason := base.objection(question)):
        raise click.UsageError(reason)
    ask(config, "claim", {"names": [], "everything": True, "labels": {}}, as_json=as_json)


async def _list(reached: base.Reach) -> int:
    """List the tokens under our names before the person decides."""
    from rotator.commands.queries import looked

    found = await looked(reached.settings, reached.socket, "tokens", {})
    for text in found.silent:
        output.say(f"rotate: {text}", err=True)
    if found.tokens:
        output.say("What lives under our names now:")
        base.show_table(("TARGET", "TOKEN", "NAME"), ((each.target, each.id, each.name) for each in found.tokens))
    return 0


@click.command()
@many
@click.option("--within", type=Length(), help="How long to wait for Vault and the proof.  [default: 5m]")
@click.option("--wait", "waits", is_flag=True, help="The same for a day, for a Vault that is sealed or away.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def revoke_command(config: str | None, /, within: timedelta | None, waits: bool, as_json: bool, **wanted: Any) -> None:
    """A value leaked: publish a successor, then end every value of NAMES that was valid when you typed this.

    Consumers always find a valid value. It is written down in Vault before anything else, and carried out whatever
    becomes of this command or of the daemon; it asks nothing, as seconds count. Prints how long after the command each
    old value was proven dead. Exit 0 only when all are; a kind that nobody can revoke ends by its own date, which is
    told.
    """
    chosen = selected(**wanted)
    if within and waits:
        raise click.UsageError("--wait and --within are two lengths: say one of them")
    reached = base.reach(config)
    base.known(reached.settings, wanted["names"])
    from rotator.commands.rotate import parse_rotate_command, select

    began = time.monotonic()
    request = {
        **chosen,
        "by": now.me(),
        "emergency": True,
        "patient": True,
        "within": written(within or (_DAY if waits else _USUALLY)),
    }
    names, wrong = tuple(chosen["names"]), ""
    if reached.settings:
        names, wrong = select(reached.settings, parse_rotate_command(request))
    if wrong:
        raise click.UsageError(wrong)
    verdicts = now.Verdicts(names, as_json=as_json)

    async def main() -> int:
        ends = _Ends()

        def show(line: dict[str, Any]) -> None:
            verdicts.hear(line)
            after = round(time.monotonic() - began, 1)
            ends.hear(line, after)
            base.show_line({**line, "after": after}) if as_json else say(line)

        code = await base.follow(now.lines(reached, request, verdicts), show)
        return _verdict(reached.settings, verdicts.published, ends, code, quiet=as_json)

    base.run(main, acts=True, cut=verdicts.cut)


class _Ends:
    """What was said of old values, by credential: of those that are dead, and of those that only expire.

    `alive`: those that were to end, and have not when the new value is published and nothing more is tried.
    """

    def __init__(self) -> None:
        self.dead: dict[str, list[str]] = {}
        self.left: dict[str, list[str]] = {}
        self.alive: dict[str, list[str]] = {}

    def hear(self, line: Mapping[str, Any], after: float) -> None:
        """One line of progress, so many seconds after the command."""
        if line.get("event") == "predecessor.retired":
            self.dead.setdefault(line["credential"], []).append(f"{line['said']} ({after:g} s after the command)")
        elif line.get("event") == "predecessor.left":
            self.left.setdefault(line["credential"], []).append(line["said"])
        for verdict in line.get("verdicts", ()):
            if verdict["answer"] in ("done", "published"):
                self.alive[verdict["credential"]] = verdict.get("live", [])


def _verdict(settings: Settings | None, published: set[str], ends: _Ends, code: int, *, quiet: bool) -> int:
    from rotator.providers import kind_of

    for name in sorted(published | ends.dead.keys()):
        expires = settings and kind_of(settings.credentials[name].kind).only_expires and name not in ends.dead
        alive = ends.alive.get(name, [])
        if expires or alive:
            code = code or base.FAILED
            text = "a new value is published, but the old one was not revoked: it is accepted until it expires"
            left = [said for said in ends.left.get(name, ()) if any(token in said for token in alive)]
            output.say(f"{name}: {text}{f' ({left[-1]})' if left else ''}", err=quiet)
        for said in ends.dead.get(name, ()):
            output.say(f"{name}: proven dead: {said}", err=quiet)
    return code
