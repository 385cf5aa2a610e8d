"""The command line: one file per verb. Exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from inspect import cleandoc
from typing import Any

import typer

from longtail.cli import (
    compare,
    evaluate,
    explain,
    export,
    inspect,
    labels,
    methods,
    predict,
    report,
    reproduce,
    runs,
    terminal,
    train,
    tune,
)
from longtail.facts import messages, subprocesses


def paragraphs(text: str) -> str:
    """Return a docstring with each paragraph on one line, so that a terminal of any width wraps it by itself."""
    return "\n\n".join(" ".join(one.split()) for one in cleandoc(text).split("\n\n"))


app = typer.Typer(
    name="longtail",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Learning when classes are rare: compare, train and explain methods of long-tailed learning.",
    epilog="Exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted. LONGTAIL_DEBUG=1 shows tracebacks.",
)
for verb in (
    compare.compare, train.train, predict.predict, inspect.inspect, methods.methods, explain.explain,
    reproduce.reproduce, tune.tune, labels.labels, report.report, evaluate.evaluate, runs.runs, export.export,
):  # fmt: skip
    app.command(help=paragraphs(verb.__doc__ or ""))(verb)

# typer contains click since 0.26 and depended on it before: take the class from its own bases
_CLICK_ERROR: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def version(show: bool) -> None:
    """Print the version and exit."""
    if show:
        from longtail.version import __version__

        print(f"longtail {__version__}")
        raise typer.Exit()


@app.callback()
def entrance(
    show: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Show the version."),
) -> None:
    """Learning when classes are rare: compare, train and explain methods of long-tailed learning."""


@cache
def command() -> Callable[..., Any]:
    """Return the commands, which typer reads out of the functions above in 20 ms: once for all runs of a process."""
    return typer.main.get_command(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        _check_working_directory()
        terminal.remember(sys.argv[1:] if arguments is None else arguments)
        given = None if arguments is None else list(arguments)
        code = command()(args=given, standalone_mode=False, prog_name="longtail")
        if code == 130:  # typer has caught the interrupt
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except _CLICK_ERROR as error:
        # without any argument typer has printed the help, and the message is empty
        return _refuse(error.format_message() or "name a command, as in: longtail compare")  # type: ignore[attr-defined]
    except terminal.Interrupted as error:
        print(f"longtail: {error}", file=sys.stderr)
        return 130
    except (KeyboardInterrupt, typer.Abort):
        print("longtail: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except Exception as error:
        # a defect of ours shows its traceback with LONGTAIL_DEBUG=1
        if os.environ.get("LONGTAIL_DEBUG"):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            reason = f"{error.filename or 'a file'} cannot be used ({error.strerror})"
            return _refuse(f"{reason}; finished work is kept, make room or choose another --out and run again")
        if isinstance(error, ValueError | TypeError | OSError | ImportError):
            return _refuse(str(error))
        name = "" if isinstance(error, ArithmeticError) else f"{type(error).__name__}: "
        return _refuse(f"{name}{error}", 1)


def _refuse(message: str, code: int = 2) -> int:
    print(f"longtail: error: {messages.line(message)}", file=sys.stderr)
    return code


def _check_working_directory() -> None:
    try:
        os.getcwd()
    except OSError:
        raise ValueError("the working directory is gone; change to a folder that exists (cd) and run again") from None


def main() -> None:
    """The `longtail` command."""
    subprocesses.set_safe_path()
    terminal.escape_unencodable()
    sys.exit(run())
