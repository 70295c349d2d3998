#!/bin/bash
# Makes a mail host of a Debian system: Postfix receives and sends mail, rspamd scans it, Restante stores it and
# authenticates users, fail2ban blocks guessers. docs/how-to/mail-host.md describes it.
#
#     contrib/mail-host/mail-host.sh DOMAIN HOST [PACKAGE]
#
# DOMAIN is the part of the addresses after the @, HOST the full name of this machine in the DNS. PACKAGE is a Debian
# package of Restante; without it, the script installs the clone that it is part of. Run it as root. It asks nothing,
# and prints each change. A second run changes only what differs. An earlier file stays beside the new one, as
# FILE.before.
set -euo pipefail

domain=${1:?"usage: mail-host.sh DOMAIN HOST [PACKAGE]"} host=${2:?"usage: mail-host.sh DOMAIN HOST [PACKAGE]"}
package=${3:-}
clone=$(cd "$(dirname "$0")/../.." && pwd)
user=vmail mail=/srv/mail
[ -z "$package" ] || user=restante mail=/var/lib/restante/mail
spool=/var/spool/postfix/restante
lineage=/etc/letsencrypt/live/$host
tried=/etc/restante/mail-host.tried # since the last change, a message has come back
unfinished= # an earlier run may have ended before it restarted what it had changed
[ -e "$tried" ] || unfinished=yes
export DEBIAN_FRONTEND=noninteractive

# --- How changes are made

step() { printf '\n== %s\n' "$1"; }

# Print a change, and remember it for the restart of a service.
declare -A changed=()
note() { # SERVICE CHANGE
    changed[$1]=yes
    rm -f "$tried"
    printf '   %s\n' "$2"
}

# Write standard input to a file, unless the file has this content.
write() { # SERVICE FILE [MODE]
    local new
    new=$(mktemp)
    cat >"$new"
    if ! cmp --silent "$new" "$2"; then
        if [ -e "$2" ] && [ ! -e "$2.before" ]; then cp --preserve "$2" "$2.before"; fi
        install -D -m "${3:-644}" "$new" "$2"
        note "$1" "wrote $2"
    fi
    rm "$new"
}

# Set parameters of Postfix's main.cf, all at once: postconf waits for a second after each change.
settings() { # NAME=VALUE...
    local each new=()
    for each in "$@"; do
        [ "$(postconf -h "${each%%=*}")" = "${each#*=}" ] || new+=("$each")
    done
    [ ${#new[@]} -ne 0 ] || return 0
    postconf -e "${new[@]}"
    for each in "${new[@]}"; do note postfix "main.cf: $each"; done
}

# Define a port for users in Postfix's master.cf.
user_port() { # NAME SETTING...
    local name=$1 each new=()
    if [ -z "$(postconf -M "$name/inet" 2>/dev/null)" ]; then
        postconf -M "$name/inet=$name inet n - y - - smtpd"
        note postfix "master.cf: $name"
    fi
    shift
    for each in "$@" "syslog_name=postfix/$name" smtpd_sasl_auth_enable=yes \
        smtpd_sender_restrictions=reject_sender_login_mismatch smtpd_recipient_restrictions= \
        smtpd_relay_restrictions=permit_sasl_authenticated,reject; do
        [ "$(postconf -P -h "$name/inet/${each%%=*}" 2>&1)" = "${each#*=}" ] || new+=("$name/inet/$each")
    done
    [ ${#new[@]} -ne 0 ] || return 0
    postconf -P "${new[@]}"
    for each in "${new[@]}"; do note postfix "master.cf: $each"; done
}

# dpkg asks about each file that an administrator and a new package have both changed, unless it keeps the former.
apt_install() { apt-get install --yes -qq --allow-downgrades --option Dpkg::Options::=--force-confold "$@"; }

# --- The parts of the host

install_packages() {
    step "Debian's packages"
    debconf-set-selections <<<"postfix postfix/main_mailer_type select Internet Site
postfix postfix/mailname string $host"
    apt_install --no-install-recommends ca-certificates curl fail2ban nftables openssl postfix python3-systemd \
        python3-venv rspamd
}

# The hashes of all files of Restante and its libraries, as pip lists them.
program() {
    find /opt/restante /usr/lib/restante -path '*.dist-info/RECORD' -exec cat {} + 2>/dev/null | sort | sha256sum || true
}

install_restante() {
    step "Restante"
    local unit before
    before=$(program)
    if [ -n "$package" ]; then
        apt_install "$(realpath "$package")"
    else
        [ -e /opt/restante ] || python3 -m venv /opt/restante
        /opt/restante/bin/pip install --quiet --constraint "$clone/constraints.txt" "$clone"
        ln -sf /opt/restante/bin/pop3 /usr/local/bin/pop3
        getent passwd vmail >/dev/null ||
            useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin vmail
        install -d -o vmail -g vmail -m 700 "$mail"
        for unit in restante.service restante-config-check.service; do
            write restante "/etc/systemd/system/$unit" <"$clone/contrib/systemd/$unit"
        done
        write restante.socket /etc/systemd/system/restante.socket <"$clone/contrib/systemd/restante.socket"
        write fail2ban /etc/fail2ban/filter.d/restante.conf <"$clone/contrib/fail2ban/restante.conf"
    fi
    [ "$before" = "$(program)" ] || note restante "installed Restante"
    install -d -o root -g "$user" -m 750 /etc/restante
    install -d -o "$user" -g postfix -m 2750 "$spool"
    pop3 --version | sed -n 1p
}

# The server and Postfix read copies, since only root can read certbot's files.
install_certificate() {
    step "The certificate of $host"
    if [ -e "$lineage" ]; then
        write restante /etc/letsencrypt/renewal-hooks/deploy/restante 755 <<EOF
#!/bin/sh
set -e
[ "\$RENEWED_LINEAGE" = $lineage ] || exit 0
cd /etc/restante
install -o $user -m 400 "\$RENEWED_LINEAGE/privkey.pem" new.key
install -o $user -m 400 "\$RENEWED_LINEAGE/fullchain.pem" new.pem
mv new.key mail.key
mv new.pem mail.pem
EOF
        if ! cmp --silent "$lineage/fullchain.pem" /etc/restante/mail.pem; then
            RENEWED_LINEAGE=$lineage /etc/letsencrypt/renewal-hooks/deploy/restante
            note restante "copied $lineage"
        fi
    elif [ ! -e /etc/restante/mail.pem ]; then
        openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=$host" -addext "subjectAltName=DNS:$host" \
            -keyout /etc/restante/mail.key -out /etc/restante/mail.pem 2>/dev/null
        chown "$user" /etc/restante/mail.key /etc/restante/mail.pem
        chmod 400 /etc/restante/mail.key
        note restante "made a certificate that no client trusts; get one: certbot certonly --standalone -d $host"
    fi
}

configure_restante() {
    step "The mail store, the logins, and the account postmaster@$domain"
    write restante /etc/restante/restante.toml <<EOF
# Written by mail-host.sh.
[server]
listen = ["*:110"]

[tls]
listen = ["*:995"]
certificates = [{ certificate = "/etc/restante/mail.pem", key = "/etc/restante/mail.key" }]

[mail]
folder = "$mail"

[accounts]
users = "/etc/restante/users"

[delivery]
lmtp = "$spool/lmtp"

[auth_socket]
path = "$spool/auth"

[control]
folder = "/run/restante/control"
EOF
    # systemd keeps the sockets open during a restart, so Postfix always finds one.
    write restante.socket /etc/systemd/system/restante.socket.d/mail-host.conf <<EOF
# Written by mail-host.sh.
[Socket]
ListenStream=
ListenStream=0.0.0.0:110
ListenStream=[::]:110
ListenStream=0.0.0.0:995
ListenStream=[::]:995
ListenStream=$spool/lmtp
ListenStream=$spool/auth
SocketUser=$user
SocketGroup=postfix
SocketMode=0660
EOF
    [ -e /etc/restante/users ] || install -o root -g "$user" -m 640 /dev/null /etc/restante/users
    if ! grep --quiet "^postmaster@$domain:" /etc/restante/users; then
        (umask 077 && openssl rand -base64 15 >/etc/restante/postmaster)
        pop3 user add "postmaster@$domain" --password-stdin --users /etc/restante/users </etc/restante/postmaster
        note restante "the password of postmaster@$domain is in /etc/restante/postmaster"
    fi
    pop3 config check --user "$user" /etc/restante/restante.toml
}

configure_postfix() {
    step "Postfix: mail from other hosts, to Restante, and from users"
    local from_others=(
        "myhostname=$host"
        inet_protocols=all
        "mydestination=$host, localhost"
        "mynetworks=127.0.0.0/8 [::1]/128"
        smtpd_tls_cert_file=/etc/restante/mail.pem
        smtpd_tls_key_file=/etc/restante/mail.key
        smtpd_tls_security_level=may
        smtp_tls_security_level=may
        disable_vrfy_command=yes
        smtpd_helo_required=yes
        message_size_limit=52428800 # less than delivery.message_size of Restante
    )
    local to_restante=(
        "virtual_mailbox_domains=$domain"
        virtual_mailbox_maps=
        "virtual_alias_maps=inline:{abuse@$domain=postmaster@$domain, hostmaster@$domain=postmaster@$domain}"
        virtual_transport=lmtp:unix:restante/lmtp
        "smtpd_relay_restrictions=permit_mynetworks, reject_unauth_destination"
        "smtpd_recipient_restrictions=permit_mynetworks, reject_unauth_destination, reject_unverified_recipient"
        unverified_recipient_reject_code=550
        address_verify_negative_refresh_time=10s
        address_verify_negative_expire_time=15s
    )
    local from_users=(
        smtpd_sasl_type=dovecot
        smtpd_sasl_path=restante/auth
        'smtpd_sender_login_maps=regexp:{{/^(.+)$$/ $$1}}'
    )
    local through_rspamd=(
        smtpd_milters=inet:127.0.0.1:11332
        non_smtpd_milters=inet:127.0.0.1:11332
        milter_default_action=accept # mail goes on while rspamd is down
    )
    settings "${from_others[@]}" "${to_restante[@]}" "${from_users[@]}" "${through_rspamd[@]}"
    user_port submission smtpd_tls_security_level=encrypt
    user_port submissions smtpd_tls_wrappermode=yes
    if ! grep --quiet "^root:" /etc/aliases; then
        echo "root: postmaster@$domain" >>/etc/aliases
        newaliases
        note postfix "/etc/aliases: root: postmaster@$domain"
    fi
    postfix check
}

configure_rspamd() {
    step "rspamd: a key that signs what users send"
    local key=/var/lib/rspamd/dkim/$domain.mail.key
    if [ ! -e "$key" ]; then
        install -d -o _rspamd -g _rspamd -m 750 "${key%/*}"
        rspamadm dkim_keygen -s mail -d "$domain" -b 2048 -k "$key" >"${key%.key}.txt"
        chown _rspamd: "$key"
        chmod 400 "$key"
        note rspamd "made $key"
    fi
    write rspamd /etc/rspamd/local.d/dkim_signing.conf <<EOF
# Written by mail-host.sh.
path = "/var/lib/rspamd/dkim/\$domain.\$selector.key";
selector = "mail";
EOF
}

configure_fail2ban() {
    step "fail2ban: addresses that guess passwords"
    write fail2ban /etc/fail2ban/jail.d/restante.conf <<EOF
# Written by mail-host.sh.
[sshd]
backend = systemd

[restante]
enabled = true
filter = restante
backend = systemd[journalflags=1]
port = 110,995,465,587
banaction = nftables[type=multiport]
EOF
    fail2ban-client -t
}

must_restart() { [ -n "$unfinished${changed[$1]:-}" ]; } # SERVICE

start_services() {
    step "The services"
    local service
    systemctl daemon-reload
    if must_restart restante.socket; then
        systemctl stop restante.socket restante.service
    elif must_restart restante; then
        systemctl try-restart restante.service
    fi
    for service in restante.socket restante rspamd postfix fail2ban; do
        systemctl enable --quiet --now "$service"
    done
    for service in rspamd postfix fail2ban; do
        ! must_restart "$service" || systemctl restart "$service"
    done
}

# Send a message as a user does, and read it as a user does.
check_host() {
    step "A message from postmaster@$domain to itself"
    local account=pop3s://postmaster@$domain@$host trust=() before
    [ -e "$lineage" ] || trust=(--cacert /etc/restante/mail.pem)
    local options=(--resolve "$host:995:127.0.0.1" --password-file /etc/restante/postmaster "${trust[@]}")
    pop3 check "$account" "${options[@]}"
    before=$(pop3 stat "$account" "${options[@]}")
    printf 'From: <postmaster@%s>\nTo: <postmaster@%s>\nSubject: The mail host works\n\n%s\n' "$domain" "$domain" \
        "Sent by mail-host.sh." |
        curl --silent --show-error --upload-file - --resolve "$host:465:127.0.0.1" "${trust[@]}" \
            --user "postmaster@$domain:$(cat /etc/restante/postmaster)" --mail-from "postmaster@$domain" \
            --mail-rcpt "postmaster@$domain" "smtps://$host:465"
    for _ in {1..60}; do
        if [ "$(pop3 stat "$account" "${options[@]}")" != "$before" ]; then
            echo "It has come back."
            touch "$tried"
            return
        fi
        sleep 1
    done
    echo "It has not come back in a minute: see journalctl -u 'postfix*' -u restante" >&2
    return 1
}

show_records() {
    step "The records for the DNS of $domain"
    cat <<EOF
$domain. MX 10 $host.
$domain. TXT "v=spf1 mx -all"
_dmarc.$domain. TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@$domain"
_pop3s._tcp.$domain. SRV 0 1 995 $host.
_submissions._tcp.$domain. SRV 0 1 465 $host.
EOF
    cat "/var/lib/rspamd/dkim/$domain.mail.txt"
}

install_packages
install_restante
install_certificate
configure_restante
configure_postfix
configure_rspamd
configure_fail2ban
start_services
[ -e "$tried" ] || check_host
show_records
services=${!changed[*]}
step "Done. Changed: ${services:-nothing}"
