site ann@example.com
sed -i "s#^folder = ./srv/mail.#&\nexpire_days = 90#" /etc/restante/restante.toml
