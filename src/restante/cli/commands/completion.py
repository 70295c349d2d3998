"""`pop3 completion`."""

from __future__ import annotations

import click

VARIABLE = "_POP3_COMPLETE"  # if it is set, click answers a shell's questions


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell script that completes commands and options.

    \b
    bash: add this line to ~/.bashrc
        eval "$(pop3 completion bash)"
    zsh: add this line to ~/.zshrc
        eval "$(pop3 completion zsh)"
    fish: run once
        pop3 completion fish > ~/.config/fish/completions/pop3.fish
    """  # noqa: D301  # click's own mark
    from click.shell_completion import get_completion_class

    from restante.cli.main import main

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "pop3", VARIABLE).source())
