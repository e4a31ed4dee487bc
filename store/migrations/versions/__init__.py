"""One file per migration, in order. A published migration is never edited."""
