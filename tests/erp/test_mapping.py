"""The field tables, validation and mapping: what AddJob will receive, and what Spectrum would refuse."""

import csv
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lxml import etree

from erp import FieldValue, job_key
from erp.spectrum import RULES, fields, mapping, rules
from erp.spectrum.abbreviations import ABBREVIATIONS, shorten
from erp.spectrum.fields import LABELS, SERVICES, Field, parameters, returns
from erp.spectrum.rules import STATES

PROJECT = {
    "number": "26-014",
    "name": "Riverside Elementary School Renovation",
    "description": "Roof, windows, heating",
    "address_1": "100 Main St",
    "address_2": "",
    "city": "Austin",
    "state": "tx",
    "zip": "78701",
    "phone": "(512) 555-0100",
    "start_date": date(2026, 3, 9),
    "completion_date": date(2027, 1, 15),
}
TEMPLATE = {
    "Job_Number": "TEMPLATE",
    "Job_Description": "Template",
    "Division": "10",
    "Cost_Center": "100",
    "Customer_Code": "CITY",
    "Price_Method_Code": "F",
    "Address_1": "1 Template Way",
    "Contract_Number": "C-1",
    "Status_Code": "I",
}
TYPED = {"Job_Number": "26-014", "Job_Description": "Riverside Reno", "Taxable_Flag": "N"}
VALID = {"Job_Number": "26-014", "Taxable_Flag": "N", "Price_Method_Code": "F"}


def values(lines: list[FieldValue]) -> dict[str, str]:
    return {line.key: line.value for line in lines}


def sources(lines: list[FieldValue]) -> dict[str, str]:
    return {line.key: line.source for line in lines}


class TestTables:
    @pytest.mark.parametrize("service", SERVICES)
    def test_each_table_lists_its_elements_in_wire_order_and_once(self, service: str) -> None:
        rows = list(csv.DictReader((fields.SCHEMA / f"{service}.csv").read_text(encoding="utf-8").splitlines()))
        taken = [row for row in rows if row.get("part", "parameter") == "parameter"]
        returned = [row for row in rows if row.get("part") == "return"]
        assert [int(row["order"]) for row in taken] == list(range(1, len(taken) + 1))
        assert [int(row["order"]) for row in returned] == list(range(1, len(returned) + 1))
        assert [field.element for field in parameters(service)] == [row["element"] for row in taken]
        assert returns(service) == tuple(row["element"] for row in returned)
        assert len({row["element"] for row in taken}) == len(taken)

    def test_a_job_has_72_parameters_beginning_with_who_calls(self) -> None:
        elements = [field.element for field in parameters("AddJob")]
        assert len(elements) == 72
        assert elements[:4] == ["Authorization_ID", "GUID", "Company_Code", "Job_Number"]

    def test_a_write_service_returns_no_elements(self) -> None:
        assert returns("AddJob") == ()

    def test_every_element_has_a_label_without_underscores(self) -> None:
        elements = {field.element for service in SERVICES for field in parameters(service)}
        assert elements <= LABELS.keys()
        assert not [label for label in LABELS.values() if "_" in label]

    @pytest.mark.parametrize(
        ("element", "label"),
        [
            ("Job_Number", "Spectrum Job ID"),
            ("Job_Description", "Spectrum Job Name"),
            ("Customer_Code", "Customer"),
            ("Cost_Center", "Cost Center"),
            ("Price_Method_Code", "Price Type"),
            ("Taxable_Flag", "Taxable"),
            ("Address_1", "Address"),
            ("Address_2", "Address 2"),
            ("Zip_Code", "ZIP"),
            ("Est_Complete_Date", "Estimated Completion Date"),
            ("Tax_Class_Code", "Tax Class Code"),
        ],
    )
    def test_labels_are_the_words_on_the_screen(self, element: str, label: str) -> None:
        assert LABELS[element] == label


class TestJobKey:
    @pytest.mark.parametrize(
        ("one", "other"),
        [("26-014a", "26-014A"), ("  26-014 ", "26-014"), ("STRASSE", "straße"), ("ÉCOLE", "école"), ("ΣΑΣ", "σας")],
    )
    def test_numbers_that_differ_in_case_or_surrounding_spaces_are_the_same(self, one: str, other: str) -> None:
        assert job_key(one) == job_key(other)

    def test_other_numbers_stay_apart(self) -> None:
        assert len({job_key(number) for number in ("26-014", "26-14", "26014", "26 014")}) == 4

    @given(st.text(), st.sampled_from(["", " ", "\t", "  "]))
    def test_a_key_is_its_own_key_whatever_is_around_it(self, number: str, around: str) -> None:
        key = job_key(number)
        assert job_key(around + key + around) == key


class TestJobId:
    @pytest.mark.parametrize("text", ["1", "26-014", "A.B-9", "1234567890", " 26-014 ", "ALL1", "a"])
    def test_a_spectrum_job_id_of_letters_digits_dots_and_dashes_is_taken(self, text: str) -> None:
        assert rules.job_number_problem(text) is None

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "Enter a Spectrum Job ID."),
            ("   ", "Enter a Spectrum Job ID."),
            ("12345678901", "Spectrum Job ID is 11 characters long; Spectrum takes 10."),
            ("26/014", "Spectrum Job ID may hold only letters A to Z, digits, dots and dashes."),
            ("26 014", "Spectrum Job ID may hold only letters A to Z, digits, dots and dashes."),
            ("26*", "Spectrum Job ID may hold only letters A to Z, digits, dots and dashes."),
            ("Ä26", "Spectrum Job ID may hold only letters A to Z, digits, dots and dashes."),
            ("٢٦", "Spectrum Job ID may hold only letters A to Z, digits, dots and dashes."),
            ("26\n014", "Spectrum Job ID may hold only letters A to Z, digits, dots and dashes."),
            ("-26", "Spectrum Job ID must begin with a letter or a digit."),
            (".26", "Spectrum Job ID must begin with a letter or a digit."),
            ("ALL", "ALL means every job in Spectrum; enter another Spectrum Job ID."),
            ("all", "ALL means every job in Spectrum; enter another Spectrum Job ID."),
        ],
    )
    def test_anything_else_is_refused_with_a_sentence(self, text: str, sentence: str) -> None:
        assert rules.job_number_problem(text) == sentence


class TestShorten:
    @pytest.mark.parametrize(
        ("name", "short"),
        [
            ("Riverside Elementary School Renovation", "Riverside Elem Sch Reno"),
            ("Riverside Elementary School Renovation Phase 2", "Riverside Elem Sch Ph 2"),
            ("Main Street Bridge Improvements", "Main Street Bridge Imprs"),
            ("The University of Texas at Austin Building 4", "Univ Texas Austin Bldg 4"),
            ("ACME DISTRIBUTION CENTER WAREHOUSE", "ACME DIST CTR WHSE"),
            ("Northwestern Memorial Hospital Emergency Department Expansion 3", "Northwestern Meml Hosp 3"),
            ("Donaudampfschifffahrtsgesellschaft Wien", "Donaudampfschifffahrtsges"),
            ("Donaudampfschifffahrtsgesellschaft 2026", "Donaudampfschifffahrtsges"),
            ("Point Defiance Ferry Ticket Office", "Point Defiance Ferry"),
            ("City Hall Addition/Renovation 2026", "City Hall Addn/Reno 2026"),
        ],
    )
    def test_a_long_name_is_shortened_as_a_bookkeeper_would(self, name: str, short: str) -> None:
        assert shorten(name) == short

    @given(st.text(max_size=25))
    def test_a_name_that_fits_is_unchanged(self, name: str) -> None:
        assert shorten(name) == name

    @given(
        st.lists(st.one_of(st.sampled_from(sorted(ABBREVIATIONS)), st.text(min_size=1, max_size=30)), min_size=1),
        st.integers(1, 40),
    )
    def test_a_short_name_is_never_longer_than_the_limit_and_never_empty(self, words: list[str], limit: int) -> None:
        assert 1 <= len(shorten(" ".join(words), limit)) <= limit

    @given(st.text())
    def test_shortening_twice_is_shortening_once(self, name: str) -> None:
        assert shorten(shorten(name)) == shorten(name)


class TestMapping:
    def test_the_project_gives_address_phone_and_dates_as_spectrum_writes_them(self) -> None:
        assert mapping.from_project(PROJECT) == {
            "Address_1": "100 Main St",
            "Address_2": "",
            "City": "Austin",
            "State": "TX",
            "Zip_Code": "78701",
            "Phone": "5125550100",
            "Est_Start_Date": "03/09/2026",
            "Est_Complete_Date": "01/15/2027",
        }

    @pytest.mark.parametrize(
        ("typed", "digits"),
        [
            ("(512) 555-0100", "5125550100"),
            ("+1 512.555.0100", "15125550100"),
            ("512\N{NON-BREAKING HYPHEN}555\N{EN DASH}0100", "5125550100"),
        ],
    )
    def test_a_phone_is_sent_as_its_digits_however_it_is_written(self, typed: str, digits: str) -> None:
        assert mapping.from_project({"phone": typed})["Phone"] == digits

    @pytest.mark.parametrize(
        "typed",
        ["none", "-", "512-555-0100 ext 12", "512-555-0100 x12", "512-555-0100 #12", "555-0100/555-0199", "٥١٢"],
    )
    def test_a_phone_that_is_not_one_number_is_refused_and_neither_left_out_nor_run_together(self, typed: str) -> None:
        told = "Phone must be one number like 253-555-0129; an extension goes into the description."
        assert rules.problems({**VALID, **mapping.from_project({"phone": typed})}) == {"Phone": told}

    def test_a_project_without_dates_or_address_gives_empty_values(self) -> None:
        assert set(mapping.from_project({"number": "1", "name": "X", "start_date": None}).values()) == {""}

    def test_the_template_gives_four_starting_values_and_nothing_else(self) -> None:
        assert mapping.from_template(TEMPLATE) == {
            "Division": "10",
            "Cost_Center": "100",
            "Customer_Code": "CITY",
            "Price_Method_Code": "F",
        }


class TestBuildRequest:
    def test_the_lines_stand_in_wire_order_with_labels_and_sources(self) -> None:
        lines = mapping.build_request(PROJECT, TEMPLATE, TYPED)
        assert [(line.label, line.value, line.source) for line in lines] == [
            ("Spectrum Job ID", "26-014", "project"),
            ("Spectrum Job Name", "Riverside Reno", "approver"),
            ("Division", "10", "template"),
            ("Address", "100 Main St", "project"),
            ("City", "Austin", "project"),
            ("State", "TX", "project"),
            ("ZIP", "78701", "project"),
            ("Phone", "5125550100", "project"),
            ("Customer", "CITY", "template"),
            ("Taxable", "N", "approver"),
            ("Price Type", "F", "template"),
            ("Estimated Start Date", "03/09/2026", "project"),
            ("Estimated Completion Date", "01/15/2027", "project"),
            ("Cost Center", "100", "template"),
        ]

    def test_what_the_approver_typed_wins_over_the_template(self) -> None:
        lines = mapping.build_request(PROJECT, TEMPLATE, {**TYPED, "Customer_Code": " STATE ", "Division": "10"})
        assert values(lines)["Customer_Code"] == "STATE"
        assert sources(lines)["Customer_Code"] == "approver"
        assert sources(lines)["Division"] == "template"

    def test_a_starting_value_that_the_approver_emptied_is_not_sent(self) -> None:
        assert "Customer_Code" not in values(mapping.build_request(PROJECT, TEMPLATE, {**TYPED, "Customer_Code": ""}))

    def test_a_required_field_is_shown_although_it_is_empty(self) -> None:
        lines = mapping.build_request({}, {}, {})
        assert [(line.key, line.value, line.source) for line in lines] == [
            ("Job_Number", "", "approver"),
            ("Taxable_Flag", "", "approver"),
            ("Price_Method_Code", "", "approver"),
        ]

    def test_a_value_that_is_empty_in_the_template_too_is_the_approvers_to_give(self) -> None:
        assert sources(mapping.build_request({}, {}, {"Price_Method_Code": ""}))["Price_Method_Code"] == "approver"

    def test_a_name_and_number_taken_over_unchanged_are_the_projects(self) -> None:
        lines = mapping.build_request(
            {"number": "7", "name": "Shed"}, {}, {"Job_Number": "7", "Job_Description": "Shed"}
        )
        assert sources(lines)["Job_Number"] == sources(lines)["Job_Description"] == "project"

    def test_a_name_that_was_shortened_and_left_like_that_comes_from_the_project(self) -> None:
        project = {"name": "Riverside Elementary School Renovation"}
        for name, source in ((shorten(project["name"]), "project"), ("Riverside", "approver")):
            assert sources(mapping.build_request(project, {}, {"Job_Description": name}))["Job_Description"] == source

    def test_a_fixed_value_fills_what_nothing_else_gives(self) -> None:
        lines = mapping.build_request(
            PROJECT, TEMPLATE, TYPED, {"Tax_Class_Code": "STD", "City": "Nowhere", "Division": "99"}
        )
        assert (values(lines)["Tax_Class_Code"], sources(lines)["Tax_Class_Code"]) == ("STD", "fixed")
        assert values(lines)["City"] == "Austin"
        assert values(lines)["Division"] == "10"

    def test_number_address_and_contract_of_the_template_are_never_taken(self) -> None:
        lines = mapping.build_request({}, TEMPLATE, {})
        assert values(lines) == {
            "Job_Number": "",
            "Division": "10",
            "Customer_Code": "CITY",
            "Taxable_Flag": "",
            "Price_Method_Code": "F",
            "Cost_Center": "100",
        }

    def test_who_calls_is_no_line(self) -> None:
        typed = {**TYPED, "Authorization_ID": "SECRET", "GUID": "x", "Company_Code": "HB"}
        assert (
            not {"Authorization_ID", "GUID", "Company_Code"}
            & values(mapping.build_request(PROJECT, TEMPLATE, typed)).keys()
        )

    @given(
        st.fixed_dictionaries({key: st.text(max_size=40) for key in ("address_1", "city", "state", "zip", "phone")}),
        st.dictionaries(st.sampled_from([field.element for field in parameters("AddJob")]), st.text(max_size=40)),
    )
    def test_what_composes_without_a_problem_fits_the_table_and_survives_xml(
        self, project: dict[str, str], typed: dict[str, str]
    ) -> None:
        sent = values(mapping.build_request(project, TEMPLATE, {**TYPED, **typed}))
        for field in parameters("AddJob"):
            if field.element in sent and field.element not in rules.problems(sent):
                element = etree.Element("value")
                element.text = sent[field.element]
                assert len(sent[field.element]) <= field.max
                assert (etree.fromstring(etree.tostring(element)).text or "") == sent[field.element]


class TestProblems:
    def test_a_composed_project_has_none(self) -> None:
        assert rules.problems(values(mapping.build_request(PROJECT, TEMPLATE, TYPED))) == {}

    @pytest.mark.parametrize(
        ("element", "value", "sentence"),
        [
            ("Job_Number", "", "Enter a Spectrum Job ID."),
            ("Job_Number", "12345678901", "Spectrum Job ID is 11 characters long; Spectrum takes 10."),
            ("Taxable_Flag", "", "Taxable is missing; Spectrum requires it."),
            ("Price_Method_Code", " ", "Price Type is missing; Spectrum requires it."),
            ("Address_1", "x" * 41, "Address is 41 characters long; Spectrum takes 30."),
            ("Job_Description", "x" * 26, "Spectrum Job Name is 26 characters long; Spectrum takes 25."),
            ("Taxable_Flag", "X", "Taxable must be one of Y, N."),
            ("Taxable_Flag", "y", "Taxable must be one of Y, N."),
            ("Price_Method_Code", "X", "Price Type must be one of F, T, C, U."),
            ("Track_Prevailing_Wage", "X", "Track Prevailing Wage must be one of Y, F, N."),
            ("Status_Code", "X", "Status Code must be one of A, I, C."),
            ("Division", "A1", "Division must be a number."),
            ("Division", "1,5", "Division must be a number."),
            ("Division", "٣", "Division must be a number."),
            ("Total_Units", "0", "Total Units must be a number above 0."),
            ("Total_Units", "-1", "Total Units must be a number above 0."),
            ("Total_Units", "nan", "Total Units must be a number above 0."),
            ("Est_Start_Date", "2026-03-09", "Estimated Start Date must be a date like 03/09/2026."),
            ("Est_Start_Date", "02/30/2026", "Estimated Start Date must be a date like 03/09/2026."),
            ("Est_Start_Date", "3/9/2026", "Estimated Start Date must be a date like 03/09/2026."),
            ("State", "XX", "State must be the postal abbreviation of a US state or Canadian province."),
            ("State", "T", "State must be the postal abbreviation of a US state or Canadian province."),
            ("Zip_Code", "78701_1234", "ZIP must be like 78701-1234."),
            ("Zip_Code", "78701-12345", "ZIP is 11 characters long; Spectrum takes 10."),
            ("State", "Texas", "State must be the postal abbreviation of a US state or Canadian province."),
            ("Job_Site_Phone", "512-555-0100", "Job Site Phone is sent without dashes; leave them out."),
            ("City", "Aus\x00tin", "City holds a line break or an invisible character; type it again."),
            ("City", "Aus\ntin", "City holds a line break or an invisible character; type it again."),
            ("City", "Aus\ud800tin", "City holds a line break or an invisible character; type it again."),
            ("City", "Aus\ufffdtin", "City holds a line break or an invisible character; type it again."),
            ("City", "Aus\ufffetin", "City holds a line break or an invisible character; type it again."),
            ("Job_Nmber", "1", "Spectrum has no field called Job_Nmber."),
        ],
    )
    def test_a_value_that_spectrum_would_refuse_is_named(self, element: str, value: str, sentence: str) -> None:
        assert rules.problems({**VALID, element: value}) == {element: sentence}

    @pytest.mark.parametrize(
        ("element", "value"),
        [
            ("Address_1", "x" * 30),
            ("Division", "10"),
            ("Latitude", "-97.743057"),
            ("Original_Contract", "1250000.50"),
            ("Zip_Code", "78701-1234"),
            ("Zip_Code", "K1A 0B1"),
            ("City", "Montréal 😀"),
            ("UDF1", "anything: <&>"),
            ("Est_Start_Date", "02/29/2028"),
            ("Wage_Rate_Level", "9"),
        ],
    )
    def test_a_value_that_spectrum_takes_is_no_problem(self, element: str, value: str) -> None:
        assert rules.problems({**VALID, element: value}) == {}

    @pytest.mark.parametrize("state", sorted(STATES))
    def test_every_state_territory_and_province_is_taken(self, state: str) -> None:
        assert rules.problems({**VALID, "State": state}) == {}

    def test_there_are_50_states_the_capital_5_territories_and_13_provinces(self) -> None:
        assert len(STATES) == 50 + 1 + 5 + 13

    @pytest.mark.parametrize("kind", ["", "Est_"])
    def test_a_completion_before_the_start_is_named_at_the_completion(self, kind: str) -> None:
        first, last = f"{kind}Start_Date", f"{kind}Complete_Date"
        swapped = {first: "03/09/2026", last: "01/15/2026"}
        sentence = f"{LABELS[last]} is before {LABELS[first]}."
        assert rules.problems({**VALID, **swapped}) == {last: sentence}
        assert rules.problems({**VALID, first: "03/09/2026", last: "03/09/2026"}) == {}

    def test_work_tax_codes_that_are_the_same_are_named(self) -> None:
        found = rules.problems({**VALID, "Work_State_Tax_Code": "TX", "Work_Local_Tax_Cod": "tx"})
        assert found == {
            "Work_Local_Tax_Cod": "Work Local Tax Code is the same as another work tax code; the three must differ."
        }

    @pytest.mark.parametrize(("wage", "refused"), [("Y", True), ("F", True), ("N", False), ("", False)])
    def test_davis_bacon_goes_without_prevailing_wage_only(self, wage: str, refused: bool) -> None:
        found = rules.problems({**VALID, "Track_Davis_Bacon": "Y", "Track_Prevailing_Wage": wage})
        assert bool(found) == refused

    def test_several_problems_are_all_named(self) -> None:
        assert rules.problems({}).keys() == {"Job_Number", "Taxable_Flag", "Price_Method_Code"}

    @given(st.sampled_from([f for f in parameters("AddJob") if f.kind in ("text", "any")]), st.data())
    def test_the_length_and_the_limit_are_in_the_sentence(self, field: Field, data: st.DataObject) -> None:
        assume(field.element != "Job_Number")
        value = data.draw(st.text("abc123", min_size=field.max + 1, max_size=field.max + 40))
        assume(not rules.problems({**VALID, field.element: value[: field.max]}))
        found = rules.problems({**VALID, field.element: value})[field.element]
        assert found == f"{LABELS[field.element]} is {len(value)} characters long; Spectrum takes {field.max}."


class TestDifferences:
    SENT = {"Job_Number": "26-014a", "City": "Austin", "Phone": "5125550100", "Division": "10", "Address_2": ""}

    @pytest.mark.parametrize(
        ("element", "sent", "read"),
        [
            ("Job_Number", "26-014a", " 26-014A "),
            ("City", "Austin", "AUSTIN"),
            ("City", "Austin  West", "Austin West"),
            ("Job_Description", 'Pump 8" & more', "Pump 8&quot; &amp; more"),
            ("Job_Description", "Riverside Elementary School Renovation", "Riverside Elementary Scho"),
            ("Address_1", "1234 Long Harbor Boulevard NE Suite 4", "1234 Long Harbor Boulevard NE"),
            ("Phone", "5125550100", "(512) 555-0100"),
            ("Division", "10", "010"),
            ("Original_Contract", "0", ".00"),
            ("Total_Units", "1.5", "1.5000 "),
            ("Est_Start_Date", "03/09/2026", "03/09/2026 "),
            ("Address_2", "", "added in Spectrum"),
            ("Taxable_Flag", "N", "Y"),  # no read service returns it
        ],
    )
    def test_a_value_that_spectrum_only_writes_otherwise_is_no_difference(
        self, element: str, sent: str, read: str
    ) -> None:
        assert dict(mapping.differing({element: sent}, {element: read})) == {}

    @pytest.mark.parametrize(
        ("element", "sent", "read"),
        [
            ("City", "Austin", "Dallas"),
            ("City", "Austin", ""),
            ("Phone", "5125550100", "5125550101"),
            ("Division", "10", "20"),
            ("Division", "10", "1O"),
            ("Division", "10", "sNaN"),
            ("Division", "10", "1e1"),
            ("Job_Description", "Riverside Elementary School", "Riverside Elementary"),
            ("Est_Complete_Date", "03/09/2026", "03/10/2026"),
        ],
    )
    def test_another_value_is_told_as_it_was_read(self, element: str, sent: str, read: str) -> None:
        assert dict(mapping.differing({element: sent}, {element: read})) == {element: read}

    @given(st.dictionaries(st.sampled_from([*returns("GetJobMain"), *returns("GetJobDates")]), st.text()))
    def test_a_job_read_back_as_sent_never_differs(self, sent: dict[str, str]) -> None:
        assert dict(mapping.differing(sent, {element: f" {value.strip()} " for element, value in sent.items()})) == {}

    def test_a_request_names_each_difference_with_its_label(self) -> None:
        request = [FieldValue(element, LABELS[element], value, "approver") for element, value in self.SENT.items()]
        read = self.SENT | {"City": "Dallas ", "Est_Start_Date": ""}
        assert RULES.differences(request, read) == [FieldValue("City", "City", "Dallas", "approver")]


class TestRules:
    """Spectrum in the port's words: form keys and columns instead of elements."""

    def test_the_fields_of_an_acceptance_have_labels_limits_and_choices(self) -> None:
        fields = {field.key: field for field in RULES.accept_fields}
        assert list(fields) == [
            "job_number", "job_name", "taxable", "customer", "division", "cost_center", "price_type"
        ]  # fmt: skip
        assert (fields["job_name"].label, fields["job_name"].max) == ("Spectrum Job Name", 25)
        assert dict(fields["taxable"].choices) == {"Y": "Yes", "N": "No"}
        assert fields["price_type"].choices["F"] == "Fixed price"
        assert [key for key, field in fields.items() if field.required] == ["job_number", "taxable", "price_type"]

    def test_a_template_may_hold_what_nobody_else_gives_and_no_job_has_as_its_own(self) -> None:
        keys = {field.key for field in RULES.default_fields}
        assert {"Tax_Class_Code", "Job_Type", "Certified_Flag", "UDF1"} <= keys
        assert not {"Contract_Number", "Status_Code", "City", "Customer_Code", "GUID", "Standard_Phase_Category"} & keys
        assert next(field.key for field in RULES.default_fields if field.usual) == "Job_Type"

    def test_an_update_can_change_name_address_phone_and_dates_alone(self) -> None:
        assert {field.key: field.label for field in RULES.update_fields} == {
            "name": "Project Name",
            "address_1": "Address",
            "address_2": "Address 2",
            "city": "City",
            "state": "State",
            "zip": "ZIP",
            "phone": "Phone",
            "start_date": "Estimated Start Date",
            "completion_date": "Estimated Completion Date",
        }

    def test_an_update_holds_the_number_and_what_is_not_empty_as_spectrum_writes_it(self) -> None:
        changes = {"start_date": date(2026, 3, 9), "state": "tx", "phone": "(512) 555-0100", "city": ""}
        update = RULES.build_update("26 014/E1", changes)
        assert {line.key: line.value for line in update} == {
            "Job_Number": "26 014/E1",
            "State": "TX",
            "Phone": "5125550100",
            "Est_Start_Date": "03/09/2026",
        }
        assert RULES.update_problems(update) == {}

    def test_a_request_is_judged_by_form_keys_columns_and_default_keys(self) -> None:
        typed = {"job_number": "a/b", "taxable": "", "price_type": "F"}
        request = RULES.build_request({"state": "XX"}, typed, defaults={"Certified_Flag": "X"})
        assert RULES.problems(request).keys() == {"job_number", "taxable", "state", "Certified_Flag"}
        assert RULES.default_problems({"Certified_Flag": "X"}).keys() == {"Certified_Flag"}
        assert RULES.update_problems(RULES.build_update("1", {"name": "x" * 26})).keys() == {"name"}

    def test_a_project_is_judged_by_its_columns(self) -> None:
        assert RULES.project_problems(PROJECT | {"zip": "1_2"}).keys() == {"zip"}
        assert RULES.project_changes(PROJECT | {"number": "26/014"}).keys() == {"name", "number"}
        assert RULES.project_changes(PROJECT | {"name": "Short"}) == {}
        assert RULES.limits == {"address_1": 30, "address_2": 30, "city": 25, "zip": 10}

    def test_taxable_as_remembered_with_a_template_is_a_fixed_value(self) -> None:
        request = RULES.build_request(PROJECT, {"taxable": "N"}, TEMPLATE, {"taxable": "N", "Tax_Class_Code": "STD"})
        assert {line.key: line.source for line in request}.items() >= {
            ("Taxable_Flag", "fixed"),
            ("Tax_Class_Code", "fixed"),
        }

    def test_a_project_made_from_a_job_has_its_texts_unescaped_and_its_dates(self) -> None:
        job = {"Job_Number": "26-014E1", "Job_Description": "Pump 8&quot;", "City": "Fife"}
        made = RULES.project_from_job(job, {"Est_Start_Date": "03/09/2026"})
        assert (made["number"], made["name"], made["city"]) == ("26-014E1", 'Pump 8"', "Fife")
        assert (made["start_date"], made["completion_date"], made["phone"]) == (date(2026, 3, 9), None, "")

    def test_a_job_and_a_project_are_compared_by_column(self) -> None:
        job = {"Job_Number": "26-014", "Job_Description": "Other", "City": "Austin", "Customer_Code": "X"}
        compared = [(each.key, each.differs) for each in RULES.compare(PROJECT, job, {"Est_Start_Date": "03/09/2026"})]
        assert compared == [("number", False), ("name", True), ("city", False), ("start_date", False)]

    @pytest.mark.parametrize(
        ("key", "label"),
        [
            ("job_number", "Spectrum Job ID"),
            ("taxable", "Taxable"),
            ("name", "Project Name"),
            ("zip", "ZIP"),
            ("Zip_Code", "ZIP"),
            ("Work_Local_Tax_Cod", "Work Local Tax Code"),
            ("anything", "anything"),
        ],
    )
    def test_any_key_has_a_label(self, key: str, label: str) -> None:
        assert RULES.label(key) == label


@pytest.mark.parametrize(
    ("status", "created", "unread"),
    [
        ("A", "01/05/2026", ""),
        ("A", "", ""),
        ("", "01/05/2026", "Status Code"),
        (" ", "01/05/2026", "Status Code"),
        ("\ufffd", "01/05/2026", "Status Code"),
        ("C", "01/\ufffd/2026", "Create Date"),
    ],
)
def test_an_update_repeats_only_what_was_read_in_full(status: str, created: str, unread: str) -> None:
    assert RULES.unread_value({"Status_Code": status}, {"Create_Date": created}) == unread
