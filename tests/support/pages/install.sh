# An administrator has a clone with an upstream, a configuration, and a disk for mail in fstab.
git init -q
git add -A
git -c user.name=ann -c user.email=ann@example.com commit -qm "The clone"
git clone -q --bare . /root/upstream.git
git remote add origin /root/upstream.git
git fetch -q
git branch -q -u "origin/$(git branch --show-current)"
fence install toml 1 >/etc/restante/restante.toml
mkdir -p /etc/logrotate.d
echo "tmpfs /srv/mail tmpfs defaults 0 0" >>/etc/fstab
mount /srv/mail
chown vmail:vmail /srv/mail
chmod 700 /srv/mail
