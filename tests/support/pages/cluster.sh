# A PostgreSQL beside the server of one machine, and what the page's fences say.
site ann@example.com
install -d -o postgres -g postgres /run/postgresql /var/lib/postgresql/demo
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
runuser -u postgres -- "$bin/initdb" --no-sync --auth-local=peer --auth-host=scram-sha-256 -D /var/lib/postgresql/demo >/dev/null
setsid runuser -u postgres -- "$bin/postgres" -D /var/lib/postgresql/demo -F -k /run/postgresql \
    </dev/null >/run/postgres.log 2>&1 &
wait_for 5432
fence cluster toml 1 >/etc/restante/cluster.toml
mkdir -p /etc/haproxy
fence cluster text 2 >/etc/haproxy/haproxy.cfg
