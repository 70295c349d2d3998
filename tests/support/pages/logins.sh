# The files that the page has the reader copy and write; Debian's own jail guards ssh by its log.
touch /var/log/auth.log /var/log/restante.log
cp contrib/fail2ban/restante.conf /etc/fail2ban/filter.d
fence logins ini 2 >/etc/fail2ban/jail.d/restante.conf
