site ann@example.com
mkdir -p /backup
