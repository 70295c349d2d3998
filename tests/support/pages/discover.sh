names
site ann@example.com
