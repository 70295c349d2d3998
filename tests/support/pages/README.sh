mkdir -p /srv/mail
