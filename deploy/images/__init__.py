"""Images by an operator's or an investigator's hand: read one, check all, move all to another store."""
