"""A whole configuration file. Its tables are in the modules beside this one."""

from __future__ import annotations

import msgspec

from restante.protocol.server.settings import ProtocolSettings
from restante.server.config.account_sections import (
    AccountsSection,
    AuthSocketSection,
    LdapSection,
    LoginSection,
    TokensSection,
)
from restante.server.config.mail_sections import ClusterSection, DeliverySection, MailSection
from restante.server.config.section import ConfigSection
from restante.server.config.server_sections import (
    ControlSection,
    LimitsSection,
    LogSection,
    MetricsSection,
    ServerSection,
    TimeoutsSection,
    TlsSection,
)


class Config(ConfigSection):
    """A whole configuration file."""

    mail: MailSection = msgspec.field(default_factory=MailSection)
    cluster: ClusterSection = msgspec.field(default_factory=ClusterSection)
    accounts: AccountsSection = msgspec.field(default_factory=AccountsSection)
    ldap: LdapSection = msgspec.field(default_factory=LdapSection)
    server: ServerSection = msgspec.field(default_factory=ServerSection)
    tls: TlsSection = msgspec.field(default_factory=TlsSection)
    login: LoginSection = msgspec.field(default_factory=LoginSection)
    tokens: TokensSection = msgspec.field(default_factory=TokensSection)
    auth_socket: AuthSocketSection = msgspec.field(default_factory=AuthSocketSection)
    delivery: DeliverySection = msgspec.field(default_factory=DeliverySection)
    timeouts: TimeoutsSection = msgspec.field(default_factory=TimeoutsSection)
    limits: LimitsSection = msgspec.field(default_factory=LimitsSection)
    control: ControlSection = msgspec.field(default_factory=ControlSection)
    log: LogSection = msgspec.field(default_factory=LogSection)
    metrics: MetricsSection = msgspec.field(default_factory=MetricsSection)

    def lacks_names(self) -> bool:
        """Return whether some accounts are only known by their password: no list is complete."""
        return bool(self.accounts.pam or (self.accounts.ldap and not self.ldap.base))

    def settings(self) -> ProtocolSettings:
        """Return the settings of the protocol."""
        return ProtocolSettings(
            greeting=self.server.greeting,
            implementation=self.server.implementation,
            login_timeout=self.timeouts.login,
            authorization_timeout=self.timeouts.before_login,
            idle_timeout=self.timeouts.idle,
            apop=self.login.apop,
            language=self.server.language,
            strict_line_ends=self.server.strict_line_ends,
            bad_commands_before_login=self.limits.bad_commands_before_login,
            bad_commands_after_login=self.limits.bad_commands_after_login,
            refused_logins=self.limits.refused_logins,
            masters=self.accounts.masters is not None,
            refused_token=self.tokens.refused_token(),
        )
