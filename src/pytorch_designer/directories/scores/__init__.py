"""Scored datasets: tables of scores, and small copies of images beside them."""
