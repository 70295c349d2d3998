"""The conformance checks, a module for each part of POP3."""
