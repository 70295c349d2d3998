"""`pop3 store`: the group of its commands, each loaded when it is used."""

from __future__ import annotations

import click

from restante.cli.commands.package_group import PackageGroup

COMMANDS = {
    "init": "Create or upgrade the tables of a cluster's databases.",
    "import": "Import Maildirs or mboxes into the cluster.",
    "export": "Export mail of the cluster to Maildirs.",
    "move": "Move the mail of a user to another database of the cluster.",
    "check": "Compare messages, counters and bodies with each other.",
    "sweep": "Delete the bodies that no message has any more.",
    "status": "Show the nodes, the mail and the replicas of a cluster.",
}
"""The modules of this package, each with a command of its name, and their lines in the help."""


@click.group(cls=PackageGroup, package="restante.cli.commands.store", lines=COMMANDS)
def store() -> None:
    """Set up, check and move the mail of a cluster.

    The configuration has format = "cluster" in the section [mail].
    """
