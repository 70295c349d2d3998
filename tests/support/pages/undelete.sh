site ann@example.com
sed -i "s#^folder = ./srv/mail.#&\nkeep_deleted = 30#" /etc/restante/restante.toml
install -d -o vmail -g vmail -m 700 /srv/mail/ann@example.com/restante.deleted
for number in 4 5; do
    letter "$number" | install -o vmail -m 600 /dev/stdin \
        "/srv/mail/ann@example.com/restante.deleted/$number.letter:2,S~$(($(date +%s) - 9000 + number * 1000))"
done
