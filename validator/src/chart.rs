//! The figures behind the report's charts, queried from the lake. A figure whose tables are missing stays empty.

use chrono::NaiveDate;
use datafusion::prelude::SessionContext;
use serde::Serialize;

use crate::check::quoted;
use crate::contents::Contents;
use crate::error::Result;
use crate::row::rows;

/// Figures of the report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Charts {
    /// The last day of observation: ages are as of this day.
    pub reference_date: Option<NaiveDate>,
    /// People alive on the reference date, by age and sex.
    pub population: Vec<AgeBand>,
    /// The conditions that most people have.
    pub conditions: Vec<ConceptCount>,
    /// The drugs that most people have had.
    pub drugs: Vec<ConceptCount>,
    /// Events by time and table.
    pub events: Vec<EventSeries>,
    /// Codes with a standard concept, by element and code system.
    pub coverage: Vec<Coverage>,
}

/// People of one age band.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AgeBand {
    /// First age of the band, in years.
    pub age: i64,
    /// Women and girls.
    pub female: u64,
    /// Men and boys.
    pub male: u64,
    /// Neither of these concepts.
    pub other: u64,
}

/// How many people and records have a concept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConceptCount {
    /// The concept.
    pub concept_id: i64,
    /// Its name, or the source value where there is no concept.
    pub name: String,
    /// People.
    pub people: u64,
    /// Records.
    pub records: u64,
}

/// Events of one table by month, quarter or year.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventSeries {
    /// `condition_occurrence`.
    pub table: String,
    /// First day of each period and events in it, without gaps.
    pub points: Vec<(NaiveDate, u64)>,
}

/// How many codes of one system have a standard concept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The FHIR element or OMOP table.
    pub element: String,
    /// The code system's URI.
    pub code_system: String,
    /// Records with a code.
    pub records: u64,
    /// Records whose code has a standard concept.
    pub mapped_records: u64,
    /// Distinct codes.
    pub codes: u64,
    /// Distinct codes with a standard concept.
    pub mapped_codes: u64,
}

const EVENTS: &[(&str, &str)] = &[
    ("visit_occurrence", "visit_start_date"),
    ("condition_occurrence", "condition_start_date"),
    ("drug_exposure", "drug_exposure_start_date"),
    ("procedure_occurrence", "procedure_date"),
    ("measurement", "measurement_date"),
    ("observation", "observation_date"),
];

/// Queries all figures.
pub(crate) async fn charts(
    session: &SessionContext,
    contents: &Contents,
    accounting_run: Option<&str>,
) -> Result<Charts> {
    let mut charts = Charts::default();
    charts.reference_date = reference_date(session, contents).await?;
    charts.population = population(session, contents, charts.reference_date).await?;
    charts.conditions = top(session, contents, "condition_occurrence", "condition").await?;
    charts.drugs = top(session, contents, "drug_exposure", "drug").await?;
    charts.events = events(session, contents, charts.reference_date).await?;
    charts.coverage = coverage(session, contents, accounting_run).await?;
    Ok(charts)
}

fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

async fn reference_date(session: &SessionContext, contents: &Contents) -> Result<Option<NaiveDate>> {
    if contents.rows("omop.observation_period") == 0 {
        return Ok(None);
    }
    let sql = "select cast(max(observation_period_end_date) as varchar) from omop.observation_period";
    let found = rows(session, "the last day of observation", sql).await?;
    Ok(found.first().and_then(|row| row.text(0)).and_then(|text| text.parse().ok()))
}

async fn population(
    session: &SessionContext,
    contents: &Contents,
    reference_date: Option<NaiveDate>,
) -> Result<Vec<AgeBand>> {
    let Some(date) = reference_date else { return Ok(Vec::new()) };
    if contents.rows("omop.person") == 0 || !contents.has("vocabulary.concept") {
        return Ok(Vec::new());
    }
    let alive = if contents.has("omop.death") {
        format!("where p.person_id not in (select person_id from omop.death where death_date <= date '{date}')")
    } else {
        String::new()
    };
    let sql = format!(
        "select greatest(least((cast({} as int) - p.year_of_birth - case when coalesce(p.month_of_birth, 1) * 100 + \
         coalesce(p.day_of_birth, 1) > {} then 1 else 0 end) / 5 * 5, 95), 0) as age,\n\
         count(*) filter (where g.name = 'FEMALE') as female, count(*) filter (where g.name = 'MALE') as male,\n\
         count(*) as people from omop.person as p left join (select concept_id, upper(concept_name) as name \
         from vocabulary.concept where domain_id = 'Gender') as g on g.concept_id = p.gender_concept_id {alive} \
         group by 1 order by 1",
        date.format("%Y"),
        date.format("%-m%d"),
    );
    let mut bands: Vec<AgeBand> = Vec::new();
    for row in rows(session, "the population", &sql).await? {
        let (age, female, male) = (row.int(0), number(row.int(1)), number(row.int(2)));
        while bands.last().map_or(0, |band| band.age + 5) < age {
            bands.push(AgeBand { age: bands.last().map_or(0, |band| band.age + 5), ..AgeBand::default() });
        }
        bands.push(AgeBand { age, female, male, other: number(row.int(3)).saturating_sub(female + male) });
    }
    Ok(bands)
}

async fn top(session: &SessionContext, contents: &Contents, table: &str, stem: &str) -> Result<Vec<ConceptCount>> {
    if contents.rows(&format!("omop.{table}")) == 0 || !contents.has("vocabulary.concept") {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select t.id, coalesce(c.concept_name, concat('code ', t.code)) as name, t.people, t.records from \
         (select {stem}_concept_id as id, case when {stem}_concept_id = 0 then {stem}_source_value end as code, \
         count(distinct person_id) as people, count(*) as records from omop.{table} group by 1, 2 \
         order by people desc, records desc, id, code limit 12) as t \
         left join vocabulary.concept as c on c.concept_id = t.id and t.id <> 0 order by people desc, records desc, name"
    );
    let found = rows(session, &format!("the most frequent concepts of `{table}`"), &sql).await?;
    Ok(found
        .iter()
        .map(|row| ConceptCount {
            concept_id: row.int(0),
            name: row.text(1).unwrap_or_default(),
            people: number(row.int(2)),
            records: number(row.int(3)),
        })
        .collect())
}

async fn events(
    session: &SessionContext,
    contents: &Contents,
    reference_date: Option<NaiveDate>,
) -> Result<Vec<EventSeries>> {
    let Some(last) = reference_date else { return Ok(Vec::new()) };
    let mut monthly: Vec<(&str, Vec<(NaiveDate, u64)>)> = Vec::new();
    for (table, column) in EVENTS {
        if contents.rows(&format!("omop.{table}")) == 0 {
            continue;
        }
        let sql = format!(
            "select cast(date_trunc('month', {column}) as date) as m, count(*) from omop.{table} \
             where {column} <= date '{last}' group by 1 order by 1"
        );
        let found = rows(session, &format!("the events of `{table}`"), &sql).await?;
        let point = |row: &crate::row::Row| Some((row.text(0)?.parse().ok()?, number(row.int(1))));
        monthly.push((table, found.iter().filter_map(point).collect()));
    }
    // The first few percent of all events are history: a few old records would make the charts empty.
    let mut all: Vec<(NaiveDate, u64)> = monthly.iter().flat_map(|(_, points)| points.iter().copied()).collect();
    all.sort_unstable();
    let total: u64 = all.iter().map(|(_, count)| count).sum();
    let mut seen = 0;
    let Some((first, _)) = all.iter().find(|(_, count)| {
        seen += count;
        seen * 100 >= total * 3
    }) else {
        return Ok(Vec::new());
    };
    let periods = periods(*first, last);
    Ok(monthly
        .into_iter()
        .map(|(table, points)| {
            let mut series: Vec<(NaiveDate, u64)> = periods.iter().map(|start| (*start, 0)).collect();
            for (month, count) in points {
                let place = periods.partition_point(|start| *start <= month);
                if let Some(point) = place.checked_sub(1).and_then(|place| series.get_mut(place)) {
                    point.1 += count;
                }
            }
            EventSeries { table: table.to_owned(), points: series }
        })
        .collect())
}

/// First days of months, quarters or years from one day to another: at most about 60.
fn periods(first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
    use chrono::{Datelike, Months};
    let months = (last.year() - first.year()) * 12 + i32::try_from(last.month()).unwrap_or(1);
    let step: u32 = if months <= 60 {
        1
    } else if months <= 240 {
        3
    } else {
        12
    };
    let month = first.month0() / step * step + 1;
    let mut starts = Vec::new();
    let mut next = NaiveDate::from_ymd_opt(first.year(), month, 1);
    while let Some(start) = next.filter(|start| *start <= last) {
        starts.push(start);
        next = start.checked_add_months(Months::new(step));
    }
    starts
}

async fn coverage(
    session: &SessionContext,
    contents: &Contents,
    accounting_run: Option<&str>,
) -> Result<Vec<Coverage>> {
    if contents.rows("quality.mapping_coverage") == 0 {
        return Ok(Vec::new());
    }
    let run = accounting_run.map(|run| format!("where pipeline_run_id = {}", quoted(run))).unwrap_or_default();
    let sql = format!(
        "select element, coalesce(code_system, '') as code_system, cast(sum(record_count) as bigint) as records, \
         cast(coalesce(sum(record_count) filter (where concept_id <> 0), 0) as bigint), count(distinct code), \
         count(distinct code) filter (where concept_id <> 0) from quality.mapping_coverage {run} \
         group by 1, 2 order by element, records desc, code_system"
    );
    let found = rows(session, "the coverage of codes", &sql).await?;
    Ok(found
        .iter()
        .map(|row| Coverage {
            element: row.text(0).unwrap_or_default(),
            code_system: row.text(1).unwrap_or_default(),
            records: number(row.int(2)),
            mapped_records: number(row.int(3)),
            codes: number(row.int(4)),
            mapped_codes: number(row.int(5)),
        })
        .collect())
}
