"""`pop3 completion`."""

from __future__ import annotations

import click

VARIABLE = "_POP3_COMPLETE"  # if it is set, click answers a shell's questions
LOAD = "    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"
MENDED = {  # lines of click's scripts
    "    compdef _": f"{LOAD}    compdef _",  # a new .zshrc has no compinit
    'string split ","': 'string split --max 1 ","',  # descriptions have commas, too
}


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell script that completes commands and options.

    \b
    bash: add this line to ~/.bashrc
        eval "$(pop3 completion bash)"
    zsh: add this line to ~/.zshrc, after compinit if that is there
        eval "$(pop3 completion zsh)"
    fish: run once
        pop3 completion fish > ~/.config/fish/completions/pop3.fish
    """  # noqa: D301  # click's own mark
    from click.shell_completion import get_completion_class

    from restante.cli.main import main

    kind = get_completion_class(shell)
    assert kind is not None
    source = kind(main, {}, "pop3", VARIABLE).source()
    for text, mended in MENDED.items():
        source = source.replace(text, mended)
    click.echo(source)
