"""The configuration of a cluster, as all commands of `pop3 store` read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.errors import configuration_error_reporting

if TYPE_CHECKING:
    from pathlib import Path

    from restante.server.config.schema import Config
    from restante.storage.cluster import ClusterSettings


def cluster_settings(file: Path) -> ClusterSettings:
    """Return the section [cluster]. Raises click.UsageError: the configuration has mistakes."""
    return load_cluster(file)[1]


def load_cluster(file: Path) -> tuple[Config, ClusterSettings]:
    """Return a configuration and its section [cluster]. Raises click.UsageError."""
    from restante.server.composition import backends
    from restante.server.config import loader

    with configuration_error_reporting():
        config = loader.load(file, {})
        if config.mail.format == "cluster":
            return config, backends.build_cluster_settings(config)
    raise click.UsageError(f'{file}: mail.format is "{config.mail.format}"; set it to "cluster"')
