"""The least that reads a meter with Home Assistant's own parts: no check, no session, no proof."""
