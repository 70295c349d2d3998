site ann@example.com
mkdir -p /backup
install -d -o vmail -g vmail -m 700 /var/lib/restante
install -o vmail -g vmail -m 600 /dev/null /var/lib/restante/app-passwords
