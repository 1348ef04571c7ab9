"""Pages of the ERP Integrations tool."""
