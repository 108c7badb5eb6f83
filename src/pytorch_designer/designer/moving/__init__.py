"""Documents that get another name, go, or come back, and what killed programs leave beside them."""
