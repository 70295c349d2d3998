site ann@example.com
fence metrics toml 1 >>/etc/restante/restante.toml
