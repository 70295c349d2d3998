site test@example.com
demo
