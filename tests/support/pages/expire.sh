site ann@example.com
sed -i "s/^folder = .*/&\nexpire_days = 90/" /etc/restante/restante.toml
