"""Plans: what moves where, what does not fit and what is done about it, and what the move costs."""
