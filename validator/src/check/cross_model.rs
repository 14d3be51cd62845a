//! Do the two models agree? Every event is looked up from its FHIR resource through the crosswalk, on any input:
//! person, visit, dates, values and units must be the same on both sides.

mod source;

use model::quality::{Category, Check};

use super::{Scope, Trace};
use crate::contents::Contents;
use crate::question::{self, Question, join_check, query_check};
use source::{SOURCES, Source, target};

/// Cross-model checks for every type whose flat table exists.
pub(super) fn questions(scope: &Scope<'_>) -> Vec<Question> {
    let contents = scope.contents;
    let mut all = Vec::new();
    if !contents.has("quality.crosswalk") {
        return all;
    }
    for source in SOURCES {
        let flat = format!("fhir.{}", source.flat);
        if !contents.has(&flat) {
            continue;
        }
        resources(&mut all, contents, source.resource_type, &flat);
        if source.resource_type == "Patient" && contents.has("omop.person") {
            birth(&mut all, &flat);
        }
        for table in source.targets {
            let traced = |trace: &Trace| trace.omop_table == *table && trace.resource_type == source.resource_type;
            if scope.traces.iter().any(traced) && contents.has(&format!("omop.{table}")) {
                events(&mut all, contents, source, &flat, table);
            }
        }
    }
    for (resource_type, flat) in
        [("Practitioner", "fhir.practitioner"), ("Organization", "fhir.organization"), ("Location", "fhir.location")]
    {
        if contents.has(flat) {
            resources(&mut all, contents, resource_type, flat);
        }
    }
    all
}

/// Every resource has made rows, or is listed as excluded or rejected; and every row's resource is kept.
fn resources(all: &mut Vec<Question>, contents: &Contents, resource_type: &str, flat: &str) {
    let mapped = listed("quality.crosswalk", resource_type);
    let mut joins = format!("left join {mapped} as x on x.resource_id = f.id and x.source_id = f.source_id");
    let mut lost = "x.resource_id is null".to_owned();
    for (table, alias) in [("quality.exclusion", "e"), ("quality.rejected", "r")] {
        if contents.has(table) {
            let list = listed(table, resource_type);
            joins += &format!(
                "\nleft join {list} as {alias} on {alias}.resource_id = f.id and {alias}.source_id = f.source_id"
            );
            lost += &format!(" and {alias}.resource_id is null");
        }
    }
    if contents.has("quality.accounting") {
        // What was made and never read has nothing to account for.
        joins = format!(
            "join (select distinct source_id from quality.accounting) as a on a.source_id = f.source_id\n{joins}"
        );
    }
    let sentence = format!("Every {resource_type} of `{flat}` made an OMOP row or is listed with a reason.");
    all.push(query_check(
        check("resourceAccounted", flat, None, sentence),
        format!(
            "select count(*) as row_count, count(*) filter (where {lost}) as violation_count\n\
             from {flat} as f\n{joins}"
        ),
    ));
    let sentence = format!("Every {resource_type} that made an OMOP row is in `{flat}`.");
    all.push(query_check(
        check("resourceKept", flat, None, sentence),
        format!(
            "select count(*) as row_count, count(*) filter (where f.id is null) as violation_count\n\
             from {mapped} as x\nleft join (select distinct id, source_id from {flat}) as f \
             on f.id = x.resource_id and f.source_id = x.source_id"
        ),
    ));
}

fn listed(table: &str, resource_type: &str) -> String {
    format!("(select distinct resource_id, source_id from {table} where resource_type = '{resource_type}')")
}

/// The day of birth in both models.
fn birth(all: &mut Vec<Question>, flat: &str) {
    let from = linked(flat, "Patient", "person", "person_id");
    let sentence = "Year, month and day of birth equal `fhir.patient.birth_date`.";
    all.push(join_check(
        check("crossModelDate", "omop.person", Some("year_of_birth"), sentence),
        from,
        Vec::new(),
        "f.birth_date is not null",
        "t.year_of_birth <> cast(date_part('year', f.birth_date) as int) \
         or t.month_of_birth <> cast(date_part('month', f.birth_date) as int) \
         or t.day_of_birth <> cast(date_part('day', f.birth_date) as int)",
    ));
}

fn events(all: &mut Vec<Question>, contents: &Contents, source: &Source, flat: &str, table: &str) {
    let place = target(table);
    let from = linked(flat, source.resource_type, table, place.key);
    let mut ask = |name: &str, column: &str, sentence: String, joins: Vec<String>, applies: &str, violates: &str| {
        let mut check = check(name, &format!("omop.{table}"), Some(column), sentence);
        check.id = format!("{} from {flat}", check.id);
        all.push(join_check(check, from.clone(), joins, applies, violates));
    };
    if table != "death" {
        let sentence = format!("The person is the {}'s patient.", source.resource_type);
        let joined = lookup("p", "person", "patient_id");
        ask(
            "crossModelPerson",
            "person_id",
            sentence,
            vec![joined],
            "p.omop_id is not null",
            "t.person_id <> p.omop_id",
        );
    }
    if contents.has_columns(flat, &["encounter_id"]) {
        let sentence = format!("The visit is the {}'s encounter.", source.resource_type);
        let joined = lookup("v", "visit_occurrence", "encounter_id");
        ask(
            "crossModelVisit",
            "visit_occurrence_id",
            sentence,
            vec![joined],
            "v.omop_id is not null",
            "t.visit_occurrence_id is distinct from v.omop_id",
        );
    }
    // An onset told as an age is computed from the birth: no day of the resource is its start.
    let start = match contents.has_columns(flat, &["onset_age"]) {
        true => format!("case when f.onset_age is null then {} end", first_of(source.start)),
        false => first_of(source.start),
    };
    let written = source.start.join("` or `");
    ask(
        "crossModelDate",
        place.start_date,
        format!("The date is that of `{flat}.{written}`, as written there: within a day of its moment in UTC."),
        Vec::new(),
        // A reaction has a date of its own.
        &format!("{start} is not null and x.part not like 'reaction%'"),
        &format!(
            "t.{0} > cast({start} as date) + interval '1 day' or t.{0} < cast({start} as date) - interval '1 day'",
            place.start_date
        ),
    );
    ask(
        "crossModelDate",
        place.start_datetime,
        format!("The moment equals `{flat}.{written}`."),
        Vec::new(),
        &format!("{start} is not null and t.{} is not null and x.part not like 'reaction%'", place.start_datetime),
        &format!("t.{} <> {start}", place.start_datetime),
    );
    if let (Some(end), [_, ..]) = (place.end_datetime, source.end) {
        let other = first_of(source.end);
        ask(
            "crossModelDate",
            end,
            format!("The moment equals `{flat}.{}`.", source.end.join("` or `")),
            Vec::new(),
            &format!("{other} is not null and t.{end} is not null"),
            &format!("t.{end} <> {other}"),
        );
    }
    if let (Some(code), Some(source_value)) = (source.code, place.source_value) {
        ask(
            "crossModelCode",
            source_value,
            format!("The source value is `{flat}.{code}`; a resource with several codings may use another one."),
            Vec::new(),
            &format!(
                "f.{code} is not null and x.part not like 'component%' and x.part not like 'reaction%' \
                 and x.part not like 'device%'"
            ),
            &format!("t.{source_value} is distinct from substr(f.{code}, 1, 50)"),
        );
    }
    if source.resource_type == "Observation" && matches!(table, "measurement" | "observation") {
        values(all, contents, table, place.key);
    }
}

/// Numbers and units, of the observation itself and of its components.
fn values(all: &mut Vec<Question>, contents: &Contents, table: &str, key: &str) {
    let components = "fhir.observation_component";
    let mut sides = vec![(
        "fhir.observation",
        linked("fhir.observation", "Observation", table, key),
        "x.part not like 'component%'",
    )];
    if contents.has(components) {
        let from = linked(components, "Observation", table, key)
            .replace("f.id = x.resource_id", "f.observation_id = x.resource_id")
            + "\nand concat('component[', cast(f.component_index as varchar), ']') = split_part(x.part, '/', 1)";
        sides.push((components, from, "true"));
    }
    for (flat, from, applies) in sides {
        for (name, column, expected) in [
            ("crossModelValue", "value_as_number", "f.value_quantity"),
            ("crossModelUnit", "unit_source_value", "substr(coalesce(f.value_unit_code, f.value_unit), 1, 50)"),
        ] {
            let sentence = format!("`{column}` equals the quantity of `{flat}`.");
            let mut check = check(name, &format!("omop.{table}"), Some(column), sentence);
            check.id = format!("{} from {flat}", check.id);
            all.push(join_check(
                check,
                from.clone(),
                Vec::new(),
                &format!("{applies} and f.value_quantity is not null and {expected} is not null"),
                &format!("t.{column} is distinct from {expected}"),
            ));
        }
    }
}

/// Crosswalk entries `x` of one type and table, with the resource `f` and the row `t`.
fn linked(flat: &str, resource_type: &str, table: &str, key: &str) -> String {
    format!(
        "(select omop_id, source_id, resource_id, part from quality.crosswalk \
         where omop_table = '{table}' and resource_type = '{resource_type}') as x\n\
         join omop.{table} as t on t.{key} = x.omop_id\n\
         join {flat} as f on f.id = x.resource_id and f.source_id = x.source_id"
    )
}

/// The OMOP id of another resource that `f` refers to.
fn lookup(alias: &str, table: &str, column: &str) -> String {
    format!(
        "left join (select source_id, resource_id, min(omop_id) as omop_id from quality.crosswalk \
         where omop_table = '{table}' group by source_id, resource_id) as {alias} \
         on {alias}.resource_id = f.{column} and {alias}.source_id = f.source_id"
    )
}

fn first_of(columns: &[&str]) -> String {
    let columns: Vec<_> = columns.iter().map(|column| format!("f.{column}")).collect();
    if columns.len() == 1 { columns[0].clone() } else { format!("coalesce({})", columns.join(", ")) }
}

fn check(name: &str, table: &str, column: Option<&str>, description: impl Into<String>) -> Check {
    question::check(Category::Conformance, name, table, column, description)
}
