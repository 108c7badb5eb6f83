"""Server of the page: its door, its routes, its events."""
