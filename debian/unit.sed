# What differs in the package's units from those of contrib/systemd.
s/^# Copy this file to .* It does/# It does/
/^# Copy this file/d
s,/opt/restante/share,/usr/share,
s,/opt/restante/bin/pop3,/usr/bin/pop3,
s/^User=vmail$/User=restante/
s/^Group=vmail$/Group=restante/
s,^RequiresMountsFor=.*,RequiresMountsFor=/var/lib/restante/mail,
/^RuntimeDirectory=/i\
StateDirectory=restante restante/mail\
StateDirectoryMode=0700
