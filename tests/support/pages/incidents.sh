site ann@example.com
# The session that holds the maildrop, until `pop3 kick` ends it.
setsid bash -c 'exec 3<>/dev/tcp/127.0.0.1/110
    printf "USER ann@example.com\r\nPASS restante\r\n" >&3; cat <&3' </dev/null >/run/session 2>&1 &
for _ in {1..300}; do ! grep -q "event=login " /run/restante.journal || break; sleep 0.1; done
