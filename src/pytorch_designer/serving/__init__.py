"""Serving of trained models."""

from pytorch_designer.system.openmp import bound_spinning

bound_spinning()  # here, because its modules load torch
