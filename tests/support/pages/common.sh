# What the set-ups of pages have in common. They run in the clone's folder, alone, as root.

# Print the NUMBER-th fence of a page in a LANGUAGE.
fence() { # PAGE LANGUAGE NUMBER
    awk -v start="\`\`\`$2" -v number="$3" '
        $0 == "```" { inside = 0 }
        inside && found == number { print; seen = 1 }
        $0 == start { inside = 1; found++ }
        END { exit !seen }' "docs/how-to/$1.md"
}

wait_for() { # PORT
    for _ in {1..300}; do (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null && return; sleep 0.1; done
    return 1
}

# Do the rest of install.md: a certificate, a configuration, accounts, the unit.
site() {
    for file in fullchain:mail.pem privkey:mail.key; do
        install -o root -g vmail -m 640 "/etc/letsencrypt/live/mail.example.com/${file%:*}.pem" \
            "/etc/restante/${file#*:}"
    done
    fence install toml 1 >/etc/restante/restante.toml
    for name in "$@"; do
        pop3 user add "$name" --password-stdin --users /etc/restante/users <<<restante
        install -d -o vmail -g vmail -m 700 /srv/mail/"$name"/{,cur,new,tmp}
        for number in 1 2 3; do
            letter "$number" | install -o vmail -m 600 /dev/stdin "/srv/mail/$name/new/$number.letter"
        done
    done
    cp contrib/systemd/restante.service /etc/systemd/system
    systemctl enable --now restante
}

letter() { # NUMBER
    printf '%s\n' "From: bob@example.org" "To: ann@example.com" "Subject: letter $1" \
        "Date: Mon, 23 Feb 2015 04:19:35 -0700" "Message-ID: <$1@example.org>" "MIME-Version: 1.0" \
        "Content-Type: multipart/mixed; boundary=b" "" "--b" "" "hello" \
        "--b" "Content-Type: application/pdf" "Content-Disposition: attachment; filename=bill.pdf" \
        "" "pdf" "--b--"
}

# A server of the demo account.
demo() {
    setsid pop3 serve --demo demo </dev/null >/dev/null 2>&1 &
    wait_for 1110
}

# The DNS of example.com.
names() {
    setsid /opt/restante/bin/python tests/support/pages/names.py </dev/null >/run/names 2>&1 &
}
