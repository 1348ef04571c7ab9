"""Programs for developing and trying out Countersign; the product imports nothing from here."""
