site ann@example.com
