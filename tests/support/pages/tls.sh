# A certificate as an authority or certbot leaves it, the group of Debian's package ssl-cert, and the hook.
cp /etc/letsencrypt/live/mail.example.com/fullchain.pem /etc/ssl/mail.pem
install -m 600 /etc/letsencrypt/live/mail.example.com/privkey.pem /etc/ssl/private/mail.key
getent group ssl-cert >/dev/null || groupadd --system ssl-cert
mkdir -p /etc/letsencrypt/renewal-hooks/deploy
fence tls sh 1 >/etc/letsencrypt/renewal-hooks/deploy/restante
