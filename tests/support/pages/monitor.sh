names
site ann@example.com
demo
