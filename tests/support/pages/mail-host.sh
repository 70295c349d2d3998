# An empty Debian with its certificate. What installs from the network has been installed, apart from rspamd.
rm -rf /etc/restante /srv/mail
cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf
cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
useradd --system --user-group _rspamd
echo "cacert = /etc/restante-authority.pem" >/root/.curlrc
stand_in() { install -D -m 755 /dev/stdin "$1"; }
stand_in /usr/local/sbin/apt-get </dev/null
stand_in /opt/restante/bin/pip </dev/null
stand_in /usr/local/sbin/debconf-set-selections </dev/null
stand_in /usr/local/sbin/rspamadm <<'EOF'
#!/bin/sh
touch "$9"
echo 'mail._domainkey IN TXT ( "v=DKIM1; k=rsa; p=" ) ;'
EOF
mv /usr/local/sbin/systemctl /usr/local/sbin/systemctl-restante
stand_in /usr/local/sbin/systemctl <<'EOF'
#!/bin/bash
set -euo pipefail
case "$*" in
*"enable --quiet --now restante") [ -e /run/restante.pid ] || systemctl-restante start restante ;;
"stop restante.socket restante.service") [ ! -e /run/restante.pid ] || systemctl-restante stop restante ;;
*"enable --quiet --now postfix") postfix status || postfix start ;;
"restart postfix") postfix reload ;;
"restart fail2ban") [ -e /run/fail2ban/fail2ban.sock ] || systemctl-restante restart fail2ban ;;
*) ;;
esac
EOF
