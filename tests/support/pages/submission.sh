site ann@example.com
install -d -o vmail -g postfix -m 2750 /var/spool/postfix/restante
cat <(fence install toml 1) <(fence submission toml 1) >/etc/restante/restante.toml
