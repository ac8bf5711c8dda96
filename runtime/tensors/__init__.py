"""Values on the device that graphs run on."""
