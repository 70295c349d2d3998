site ann@example.com
sed -i "s/^folder = .*/&\nquota_octets = 1_000_000_000/" /etc/restante/restante.toml
