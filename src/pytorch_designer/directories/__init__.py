"""The typed directories: opened, checked and written as docs/formats.md says."""
