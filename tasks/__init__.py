"""Background work: everything that speaks to Spectrum, a mail server or a token endpoint. Pages never import it."""
