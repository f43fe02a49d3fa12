"""Runs a command: the encoding of the screen, a mistake of a person, Ctrl-C, a reader that has gone."""

import io
import sys
from typing import NoReturn

import click

from shared.console import print_error
from shared.ending import INTERRUPTED, discard_output
from shared.errors import RecsweepError


def run_command(command: click.Command, program: str) -> NoReturn:
    """Run the command with the arguments of this process, and end the process.

    An expected error and a wrong option are one line on stderr (what a person may copy into a file comes
    below it) and exit code 2; Ctrl-C is code 130; a reader that has gone (`| head`) is success.
    """
    # They are None where the shell has closed them: `>&-`.
    sys.stdout = sys.stdout or io.StringIO()
    sys.stderr = sys.stderr or io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        # A last resort: the console itself prints only what the encoding has.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(command, program)
        sys.stdout.flush()
    except BrokenPipeError:
        # What a command talks to over a socket may break off too: that is no success.
        if not discard_output():
            raise
        code = 0
    sys.exit(code)


def _run(command: click.Command, program: str) -> int:
    """The exit code. click's own `main` would take any broken connection for a reader that has gone."""
    code = 0
    try:
        with command.make_context(program, sys.argv[1:]) as context:
            command.invoke(context)
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.exceptions.NoArgsIsHelpError as help_text:
        help_text.show()
        code = help_text.exit_code
    except click.BadParameter as error:
        # A person wrote the variable: make sweep WORKERS=2.
        if error.param and isinstance(error.param.envvar, str):
            error.param_hint = error.param.envvar
        print_error(error.format_message())
        code = error.exit_code
    except click.ClickException as error:
        print_error(error.format_message())
        code = error.exit_code
    except RecsweepError as error:
        print_error(str(error), example=getattr(error, "example", ""))
        code = 2
    except click.Abort:
        print_error("aborted")
        code = 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    return code
