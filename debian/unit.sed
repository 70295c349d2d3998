# What differs in the package's units from those of contrib/systemd.
/^# Copy this file/d
/^# Optional: systemd opens/,/^# .*tls.listen\.$/c\
# Optional: systemd opens the ports, and keeps connections waiting while the server restarts. The addresses are those of\
# the configuration. If you change them there, change them here, too: systemctl edit restante.socket
s/=0\.0\.0\.0:110$/=127.0.0.1:110/
s/=\[::\]:110$/=[::1]:110/
/^ListenStream=.*:995$/d
s,/opt/restante/share,/usr/share,
s,/opt/restante/bin/pop3,/usr/bin/pop3,
s/^User=vmail$/User=restante/
s/^Group=vmail$/Group=restante/
s,^RequiresMountsFor=.*,RequiresMountsFor=/var/lib/restante/mail,
/^RuntimeDirectory=/i\
StateDirectory=restante restante/mail\
StateDirectoryMode=0700
