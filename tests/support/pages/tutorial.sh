# The block of the page finds all installed: it runs without the network.
make .venv/install
