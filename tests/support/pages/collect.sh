# Three accounts, their passwords in `pass`, and Ann's new mailbox at a Dovecot.
site ann@example.com bob@example.com club@example.com
names
install -m 755 /dev/stdin /usr/local/bin/pass <<<$'#!/bin/sh\necho restante'
mkdir -p ~/.config/restante ~/Mail/inbox/{tmp,new,cur}
for number in 1 2; do fence collect toml "$number"; done >~/.config/restante/accounts.toml
cat >/etc/dovecot/dovecot.conf <<END
protocols = imap
log_path = /var/log/dovecot.log
ssl_cert = </etc/letsencrypt/live/mail.example.com/fullchain.pem
ssl_key = </etc/letsencrypt/live/mail.example.com/privkey.pem
mail_location = maildir:/var/vmail/%u
first_valid_uid = 1
namespace inbox {
  inbox = yes
}
passdb {
  driver = static
  args = password=restante
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=/var/vmail/%u
}
END
install -d -o vmail -g vmail /var/vmail
setsid dovecot -F </dev/null >/dev/null 2>&1 &
wait_for 993
