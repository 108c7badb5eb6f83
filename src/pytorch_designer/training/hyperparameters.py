"""What a run learns with: the five parameters of the contract."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """The parameters of Train PyTorch Model, already validated.

    Attributes:
        num_epochs: Passes over the training images, at least 1.
        batch_size: Images a step, at least 1.
        learning_rate: Learning rate of the first step, positive.
        random_seed: Any whole number, of any size and sign.
        patience: Epochs without a lower validation loss after which training stops, at least 1.
    """

    num_epochs: int
    batch_size: int
    learning_rate: float
    random_seed: int
    patience: int

    def to_dict(self) -> dict[str, int | float]:
        """The parameters by the names that the component gives them."""
        return {
            "epochs": self.num_epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "random_seed": self.random_seed,
            "patience": self.patience,
        }
