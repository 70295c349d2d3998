names
site ann@example.com ann
demo
