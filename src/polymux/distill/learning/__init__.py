"""Models that learn from blocks: networks, masks, teachers, losses, systems."""
