site ann@example.com
sed -i "s#^folder = ./srv/mail.#&\nquota_octets = 1_000_000_000#" /etc/restante/restante.toml
