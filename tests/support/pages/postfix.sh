site bob@example.com
cat <(fence install toml 1) <(fence postfix toml 1 | sed -n '/^\[delivery\]/,$p') >/etc/restante/restante.toml
