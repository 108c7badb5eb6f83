"""Training on several processes: who takes part, and what they exchange (docs/decisions/0038-several-processes.md)."""
