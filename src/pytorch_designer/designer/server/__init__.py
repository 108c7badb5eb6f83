"""Server of the page: guard, routes and events."""
