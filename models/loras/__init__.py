"""LoRAs: small matrices that are added to the weights of a checkpoint while these are read."""

from turbo_webnn.models.loras.lora import Lora, require_lora

__all__ = ["Lora", "require_lora"]
