"""A drawing that stays on the device from the text encoder to the pixels: bound sessions and the arithmetic between."""
