# A Dovecot with ann's mail, and a userdb as Courier has it.
hash=$(doveadm pw -s SHA512-CRYPT -p restante)
cp /etc/letsencrypt/live/mail.example.com/fullchain.pem /etc/restante/mail.pem
cp /etc/letsencrypt/live/mail.example.com/privkey.pem /etc/restante/mail.key
chgrp vmail /etc/restante/mail.*
{ fence install toml 1 | sed '/^\[mail\]/,/^$/d'; fence migrate toml 1; } >/etc/restante/restante.toml
cat >/etc/dovecot/dovecot.conf <<END
protocols = pop3
log_path = /var/log/dovecot.log
ssl_cert = </etc/letsencrypt/live/mail.example.com/fullchain.pem
ssl_key = </etc/letsencrypt/live/mail.example.com/privkey.pem
mail_location = maildir:/var/vmail/%u
first_valid_uid = 1
pop3_uidl_format = %08Xu%08Xv
namespace inbox {
  inbox = yes
}
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=/var/vmail/%u
}
END
echo "ann@example.com:$hash" >/etc/dovecot/users
mkdir -p /etc/courier
printf 'ann@example.com\tuid=8|gid=8|systempw=%s\n' "${hash#\{*\}}" >/etc/courier/userdb
install -d -o vmail -g vmail /var/vmail
echo restante >password
setsid dovecot -F </dev/null >/dev/null 2>&1 &
wait_for 995
for number in 1 2 3; do letter "$number" | doveadm save -u ann@example.com; done
