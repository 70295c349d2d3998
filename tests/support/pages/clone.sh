# Pages that work in the clone find it installed.
make .venv/install .venv/web
