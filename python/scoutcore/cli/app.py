"""The program ``scoutcore``: its commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from scoutcore.cli import logs, metadata, reports, retention, storage, verify
from scoutcore.cli.arguments import INTERRUPTED, NOBODY_READS
from scoutcore.cli.output import printable, say
from scoutcore.errors import Error

_LATER: Final = {
    "sync": "replication.sync",
    "serve": "replication.serve",
    "watch": "replication.watch",
    "export": "transfer.export",
    "import": "transfer.import_",
}


class Program(click.Group):
    """A group whose commands may raise what the library raises: the user sees one line of it."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands in the order in which one needs them."""
        return [*self.commands, *(name for name in _LATER if name not in self.commands)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command; what only some need, such as asyncio and TLS, is loaded with theirs."""
        if name in _LATER and name not in self.commands:
            module, _, function = _LATER[name].partition(".")
            self.add_command(getattr(import_module(f"scoutcore.cli.{module}"), function))
        return super().get_command(ctx, name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except KeyboardInterrupt:
            say("Interrupted.")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _give_up_output()
            raise click.exceptions.Exit(NOBODY_READS) from None
        except Error as problem:
            raise click.ClickException(printable(str(problem))) from None
        except OSError as problem:
            _give_up_output()
            where = f"{problem.filename}: " if problem.filename else ""
            raise click.ClickException(printable(f"{where}{problem.strerror or problem}")) from None


def _give_up_output() -> None:
    """Where standard output takes no more, let the rest go: Python would try again at exit, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        from scoutcore.codec import backend

        click.echo(f"scoutcore {version('scoutcore')} (codec: {backend})")
        ctx.exit()


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Say which.")
def program() -> None:
    """A database for meshes of sensor nodes.

    It keeps every reading ever sent, in time order, beside the last known value of each; writes an append-only log; and
    packs that into changes files from which anyone can replicate it.

    \b
    Examples:
      scoutcore demo
      scoutcore COMMAND --help

    Exit codes: 0 done; 1 it failed, and said why; 2 the command line is wrong; 3 some reports were rejected (ingest),
    a peer could not give or take all (sync), files not be taken whole (import), or changes are missing (repair); 130
    interrupted; 141 nobody reads the output any more.
    """  # noqa: D301
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


@program.command()
@click.argument("directory", type=click.Path(path_type=Path), default="demo.scout")
@click.option("--force", is_flag=True, help="Replace a database of that name.")
def demo(directory: Path, force: bool) -> None:
    """Show what scoutcore is, on a mesh that it makes up.

    It leaves a database to play with, demo.scout or DIRECTORY.

    \b
    Examples:
      scoutcore demo
      scoutcore demo other.scout
    """  # noqa: D301
    from scoutcore.demo import run

    run(directory, force=force)


for _command in (
    reports.ingest,
    reports.last,
    reports.history,
    reports.snapshot,
    metadata.troops,
    metadata.scouts,
    storage.stats,
    storage.pack,
    retention.retention,
    retention.expire,
    storage.dump,
    storage.log,
    verify.verify,
    verify.repair,
):
    program.add_command(_command)
for _command in (logs.log_ls, logs.log_seek, verify.log_verify, retention.log_drop):
    storage.log.add_command(_command)
