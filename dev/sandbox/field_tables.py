"""The field tables of the product, with the differences that real replies show."""

from functools import cache

from erp.spectrum.fields import Field, parameters
from erp.spectrum.fields import returns as documented

__all__ = ["ACCESS", "ERROR_COLUMNS", "Field", "parameters", "returns"]

ACCESS = ("Authorization_ID", "GUID")
ERROR_COLUMNS = ("Error_Code", "Error_Description", "Error_Column")
SPELLED = {"Current_Estimated_Dollars": "Current_Estimate_Dollars"}  # table: as it is on the wire


@cache
def returns(service: str) -> tuple[str, ...]:
    """List the elements of a row on the wire: GetCustomers sends error columns that its table leaves out."""
    elements = tuple(SPELLED.get(element, element) for element in documented(service))
    return elements if "Error_Code" in elements or not elements else elements + ERROR_COLUMNS
