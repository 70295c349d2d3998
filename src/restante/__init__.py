"""Restante: POP3, the server, the toolbox and the library they stand on.

`import restante` and `import restante.protocol` load nothing outside the standard library.
"""

__version__ = "0.1.0"
