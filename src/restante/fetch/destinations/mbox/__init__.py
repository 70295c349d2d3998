"""An mbox file as a destination: `destination` delivers, `place` finds and locks the file."""
