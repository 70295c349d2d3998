"""The one part in C, optional: without a compiler Restante does the same in Python."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension("restante.protocol.speedups", ["src/restante/protocol/speedups.c"], optional=True)
    ]
)
