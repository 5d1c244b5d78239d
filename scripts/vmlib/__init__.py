"""The front door: what `scripts/vm` and `scripts/guests` are made of. Standard library only."""
