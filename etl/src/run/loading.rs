//! A run on its way: what is read before the first row is written, and how rows get into the transaction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use lake::{Lake, Sought, TableName, Transaction, WrittenFiles};
use model::omop::key::omop_key;
use model::omop::{self, Builders, Lineage, Row};
use model::quality::{ACCOUNTING, ANOMALY, CONCEPT_CHECK, CROSSWALK, LOSS, MAPPING_COVERAGE};

use super::options::{policy, rules};
use super::{Again, Options, Outcome};
use crate::account::Account;
use crate::derive::{self, Spans};
use crate::era;
use crate::error::{Error, Result};
use crate::existing::{self, Existing};
use crate::extract::source::Sources;
use crate::fact_relationship;
use crate::lap::Lap;
use crate::load::{self, Files, Origin, Sink};
use crate::merge;
use crate::pass::{self, Meter, Progress};
use crate::preceding;
use crate::query::sought;
use crate::rewrite;
use crate::spill::Spill;
use crate::survey;
use crate::transform::{Shared, Worker};
use crate::view::View;
use crate::vocabulary::{self, ConceptCheck, Vocabulary};

/// Less than this is not worth another thread, which opens every table and writes files of its own.
const BYTES_PER_THREAD: u64 = 4 << 20;

/// A run on its way: what is known before the first row is written.
pub struct Loading<'l> {
    lake: &'l Lake,
    options: &'l Options,
    sources: &'l Sources,
    views: Vec<Arc<View>>,
    again: Again,
    meter: Meter<'l>,
    vocabulary: Vocabulary,
    concepts: Vec<ConceptCheck>,
    survey: survey::Survey,
    existing: Option<Existing>,
}

/// What the second pass leaves behind.
#[derive(Default)]
struct Share {
    account: Account,
    files: Files,
    spans: Spans,
    persons: HashSet<i64>,
    changed: HashSet<i64>,
    keys: Vec<Spill<2>>,
}

impl<'l> Loading<'l> {
    /// Surveys the input, and looks up what the lake holds of it.
    ///
    /// # Errors
    /// The input or the lake cannot be read.
    pub async fn prepare(
        lake: &'l Lake,
        options: &'l Options,
        sources: &'l Sources,
        views: Vec<Arc<View>>,
        again: Again,
        progress: &'l (dyn Fn(Progress) + Sync),
        lap: &mut Lap,
    ) -> Result<Self> {
        let meter = Meter::new(sources.size_bytes() * 2, progress);
        let vocabulary = Vocabulary::load(lake).await?;
        let concepts = vocabulary::self_check(lake, &vocabulary).await?;
        let holds_something = existing::holds_something(lake).await?;
        let policy = policy(options, &vocabulary, again);
        lap.end("vocabulary");
        // The passes block this task on purpose: the run has nothing else to do meanwhile.
        let mut survey = survey::survey(sources, &meter, &policy, holds_something, options.threads.max(1))?;
        lap.end("survey");
        let existing = if holds_something {
            let mut existing =
                Existing::look_up(lake, &mut survey, &views, &options.source_id, options.complete).await?;
            if options.keep_raw {
                existing.look_up_raw(lake, &survey, &options.source_id).await?;
            }
            Some(existing)
        } else {
            None
        };
        survey.place_parts();
        lap.end("look_up");
        Ok(Loading { lake, options, sources, views, again, meter, vocabulary, concepts, survey, existing })
    }

    /// Stages all rows in the transaction.
    ///
    /// # Errors
    /// The input cannot be read, or the lake refuses.
    pub async fn load(&self, transaction: &mut Transaction, lap: &mut Lap) -> Result<Outcome> {
        if !self.vocabulary.is_in_lake() {
            vocabulary::write_starter(transaction).await?;
        }
        let share = self.transform(transaction).await?;
        share.account.check()?;
        let Share { mut account, files, spans, mut persons, mut changed, keys } = share;
        collide(keys)?;
        lap.end("transform");
        let mut rows = BTreeMap::new();
        let mut removed = BTreeMap::new();
        if let Some(existing) = &self.existing {
            changed.extend(&existing.absent);
            removed = self.removed(existing, &mut changed, &spans).await?;
            persons.extend(existing.persons_of(self.lake, &removed).await?);
        }
        let heirs = self.heirs(&removed);
        persons.extend(heirs.values());
        lap.end("removed");
        let changed = sought(changed);
        let mut crosswalk = WrittenFiles::default();
        for (table, files) in files.by_table {
            rows.insert(table.to_string(), files.row_count());
            match table.namespace.as_str() {
                "omop" if table.name != "location" => {
                    let column = omop::table(&table.name).map_or("person_id", load::key_column);
                    let gone = if table.name == "observation_period" { None } else { removed.get(&table.name) };
                    put(transaction, &table, column, &sought(gone.into_iter().flatten().copied()), files).await?;
                }
                "fhir" => put(transaction, &table, "resource_key", &changed, files).await?,
                "quality" if table.name == CROSSWALK.name => crosswalk = files,
                _ => transaction.append(&table, files),
            }
        }
        if removed.contains_key("person") || removed.contains_key("care_site") {
            let unused = existing::unused_locations(&transaction.session().await?).await?;
            put(
                transaction,
                &TableName::new("omop", "location"),
                "location_id",
                &sought(unused),
                WrittenFiles::default(),
            )
            .await?;
        }
        let lineage = self.origin(true).lineage;
        let mut rewritten = merge::hand_over(transaction, &heirs, &lineage).await?;
        rewritten.extend(rewrite::let_go(transaction, &removed, &lineage).await?);
        for (table, count) in rewritten {
            *rows.entry(table).or_default() += count;
        }
        lap.end("put");
        let spans = match &self.existing {
            Some(_) if persons.is_empty() => Spans::default(),
            Some(_) => {
                // The names of new persons stand in the crosswalk that is about to be staged; these here know them.
                let mut read = Spans::read(transaction, &persons).await?;
                read.add_names(spans);
                read
            }
            None => spans,
        };
        if !persons.is_empty() {
            let count = preceding::reorder(transaction, &persons, &self.origin(true).lineage).await?;
            *rows.entry("omop.visit_occurrence".to_owned()).or_default() += count;
        }
        lap.end("persons");
        let without = self.derive(transaction, spans, &persons, &mut removed, crosswalk, &mut rows).await?;
        account.lose_many("omop.drug_exposure.drug_concept_id", "no_ingredient", without);
        self.relate(transaction, &mut account, &mut rows).await?;
        lap.end("derive");
        self.write_account(transaction, &account, &mut rows).await?;
        lap.end("account");
        Ok(Outcome {
            accounting: account.accounting,
            exclusions: account.exclusions,
            rejections: account.rejections,
            losses: account.losses,
            rows,
            unchanged: account.unchanged,
            skipped: self.sources.skipped.clone(),
            bytes: self.sources.size_bytes(),
            vocabulary_version: self.vocabulary.version().to_owned(),
            concept_warnings: self.concepts.iter().filter_map(ConceptCheck::warning).collect(),
            already_committed: false,
        })
    }

    /// The rows that go because their resources changed or went. A person who goes takes along all resources that
    /// made rows of his, since no row may belong to nobody; unless his record was merged into that of somebody else.
    async fn removed(
        &self,
        existing: &Existing,
        changed: &mut HashSet<i64>,
        written: &Spans,
    ) -> Result<BTreeMap<String, HashSet<i64>>> {
        let removed = existing.rows_of(self.lake, changed).await?;
        let heirs = self.heirs(&removed);
        let gone = removed.get("person").into_iter().flatten();
        let gone = gone.filter(|person| !written.is_named(**person) && !heirs.contains_key(person));
        let gone: HashSet<i64> = gone.copied().collect();
        if gone.is_empty() {
            return Ok(removed);
        }
        changed.extend(existing.resources_of(self.lake, &gone).await?);
        existing.rows_of(self.lake, changed).await
    }

    /// Of the persons that go, those whose records were merged into others', and these.
    fn heirs(&self, removed: &BTreeMap<String, HashSet<i64>>) -> HashMap<i64, i64> {
        let directory = &self.survey.directory;
        let gone = removed.get("person").into_iter().flatten();
        let heirs = gone.map(|person_id| (*person_id, directory.heir(*person_id)));
        heirs.filter(|(person_id, heir)| person_id != heir && directory.rows.contains(*heir)).collect()
    }

    fn origin(&self, synced_from_fhir: bool) -> Origin {
        let lineage = Lineage {
            pipeline_run_id: self.options.run_id.clone(),
            persisted_at: self.options.started_at,
            source_id: self.options.source_id.clone(),
            synced_from_fhir,
        };
        Origin { lineage, started_at: self.options.started_at.and_utc().timestamp_micros() }
    }

    async fn transform(&self, transaction: &mut Transaction) -> Result<Share> {
        let mut workers = Vec::new();
        let worth = usize::try_from(self.sources.size_bytes() / BYTES_PER_THREAD).unwrap_or(usize::MAX);
        for _ in 0..self.options.threads.min(worth).max(1) {
            let sink = Sink::open(transaction, &self.views, &self.origin(true), self.options.keep_raw).await?;
            workers.push(Worker::new(sink));
        }
        let known = self.existing.as_ref().map(|existing| existing.locations.clone()).unwrap_or_default();
        let locations = Mutex::new(known);
        let shared = Shared {
            sources: self.sources,
            policy: policy(self.options, &self.vocabulary, self.again),
            survey: &self.survey,
            existing: self.existing.as_ref(),
            locations: &locations,
            rules: rules(self.options, &self.vocabulary.identity(), &self.views),
            remap: self.again.remap,
        };
        let workers = pass::over(self.sources, &self.meter, workers, |worker: &mut Worker, block| {
            self.meter.advance(worker.take(block, &shared)?);
            Ok(())
        })?;
        let mut share = Share::default();
        for Worker { output, .. } in workers {
            share.account.merge(output.account);
            share.files.merge(output.sink.close()?);
            share.spans.merge(output.spans);
            share.persons.extend(output.persons);
            share.changed.extend(output.changed);
            share.keys.push(output.keys);
        }
        Ok(share)
    }

    /// Writes what comes from other rows: observation periods, eras, and the description of the source. Returns how many
    /// drug exposures belong to no era.
    async fn derive(
        &self,
        transaction: &mut Transaction,
        spans: Spans,
        persons: &HashSet<i64>,
        removed: &mut BTreeMap<String, HashSet<i64>>,
        mut crosswalk: WrittenFiles,
        rows: &mut BTreeMap<String, u64>,
    ) -> Result<u64> {
        let source_id = &self.options.source_id;
        let mut sink = Sink::open(transaction, &[], &self.origin(false), false).await?;
        let gone = removed.entry("observation_period".into()).or_default();
        if self.existing.is_some() {
            gone.extend(spans.keys(source_id));
        }
        for (patient, period) in spans.rows(source_id) {
            let id = period.observation_period_id;
            sink.omop_row(&Row::from(period));
            let resource_key = omop_key(source_id, &format!("Patient/{patient}"), "fhir", "");
            sink.trace("observation_period", id, resource_key, ("Patient", &patient), None, "");
            sink.flush(false)?;
        }
        let touched = self.existing.as_ref().map(|_| persons);
        let mut failure = None;
        let mut write = |row: Row<'_>| {
            sink.omop_row(&row);
            failure = failure.take().or(sink.flush(false).err());
        };
        era::condition_eras(transaction, touched, source_id, |era| write(era.into())).await?;
        let without =
            era::drug_eras(transaction, touched, &self.vocabulary, source_id, |era| write(era.into())).await?;
        failure.map_or(Ok(()), Err)?;
        if !self.options.no_omop {
            let today = self.options.started_at.date();
            sink.omop_row(&Row::from(derive::cdm_source(source_id, today, self.vocabulary.version())));
        }
        for (table, files) in sink.close()?.by_table {
            *rows.entry(table.to_string()).or_default() += files.row_count();
            if table.namespace == "quality" {
                if table.name == CROSSWALK.name {
                    crosswalk.extend(files);
                }
            } else if table.name == "cdm_source" {
                if !self.options.no_omop {
                    transaction.replace(&table, files);
                }
            } else if table.name == "observation_period" {
                let gone = sought(removed.get(&table.name).into_iter().flatten().copied());
                put(transaction, &table, "observation_period_id", &gone, files).await?;
            } else if era::TABLES.contains(&table.name.as_str()) {
                put(transaction, &table, "person_id", &sought(touched.into_iter().flatten().copied()), files).await?;
            }
        }
        let gone = sought(removed.values().flatten().copied());
        put(transaction, &TableName::new("quality", CROSSWALK.name), "omop_id", &gone, crosswalk).await?;
        Ok(without)
    }

    /// Writes the pairs of facts that belong together, when all facts and their traces are staged.
    async fn relate(
        &self,
        transaction: &mut Transaction,
        account: &mut Account,
        rows: &mut BTreeMap<String, u64>,
    ) -> Result<()> {
        let session = transaction.session().await?;
        let change = fact_relationship::change(&session, &self.options.source_id, &self.options.run_id).await?;
        if !self.options.no_omop {
            change.unresolved.iter().for_each(|(element, times)| {
                account.lose_many(element, "unresolved_reference", *times);
            });
        }
        let Some(table) = omop::table("fact_relationship").filter(|_| !change.is_empty()) else { return Ok(()) };
        let lineage = self.origin(true).lineage;
        let mut builders = Builders::default();
        change.written.into_iter().for_each(|row| builders.append(&row.into()));
        let mut writer = transaction.writer(&load::omop_spec(table)).await?;
        for (table, columns) in builders.finish() {
            writer.write(&lineage.batch(table, columns))?;
        }
        let files = writer.close()?;
        *rows.entry("omop.fact_relationship".to_owned()).or_default() += files.row_count();
        put(transaction, &TableName::new("omop", table.name), "fact_id_1", &sought(change.gone), files).await
    }

    async fn write_account(
        &self,
        transaction: &mut Transaction,
        account: &Account,
        rows: &mut BTreeMap<String, u64>,
    ) -> Result<()> {
        let (run_id, source_id) = (&self.options.run_id, &self.options.source_id);
        for (table, batch) in [
            (&ACCOUNTING, account.accounting_rows(run_id, source_id)?),
            (&MAPPING_COVERAGE, account.coverage_rows(run_id, source_id)?),
            (&LOSS, account.loss_rows(run_id, source_id)?),
            (&ANOMALY, account.anomaly_rows(run_id, source_id, &self.vocabulary)?),
            (&CONCEPT_CHECK, vocabulary::check_rows(&self.concepts, run_id, self.vocabulary.version())?),
        ] {
            let spec = load::quality_spec(table);
            let mut writer = transaction.writer(&spec).await?;
            writer.write(&batch)?;
            let files = writer.close()?;
            rows.insert(spec.name.to_string(), files.row_count());
            transaction.append(&spec.name, files);
        }
        Ok(())
    }
}

/// Adds rows and takes others away; without the latter it is a plain append.
async fn put(
    transaction: &mut Transaction,
    table: &TableName,
    column: &str,
    removed: &Sought,
    files: WrittenFiles,
) -> Result<()> {
    if removed.is_empty() {
        transaction.append(table, files);
        return Ok(());
    }
    Ok(transaction.upsert(table, column, removed.clone(), files).await?)
}

/// Finds keys that two rows of one table share.
fn collide(keys: Vec<Spill<2>>) -> Result<()> {
    let mut shared = Vec::new();
    Spill::shared(keys, |group| {
        let twice = group.windows(2).find(|pair| pair[0] == pair[1]);
        shared.extend(twice.map(|pair| (omop::tables()[pair[0][1] as usize].name, pair[0][0] as i64)));
    })?;
    match shared.iter().min() {
        None => Ok(()),
        Some((table, id)) => Err(Error::KeyCollision { table: (*table).to_owned(), id: *id, count: shared.len() }),
    }
}

#[cfg(test)]
mod tests {
    use model::omop::Table;

    use super::*;

    #[test]
    fn two_rows_with_one_key_are_a_collision() {
        let collide = |entries: &[[u64; 2]]| {
            let mut spill = Spill::default();
            entries.iter().for_each(|entry| spill.push(*entry).unwrap());
            collide(vec![spill])
        };
        assert!(collide(&[[7, 0], [8, 0], [7, 1]]).is_ok());
        let message = collide(&[[7, 0], [7, 1], [7, 0]]).unwrap_err().to_string();
        assert!(message.starts_with("1 keys are used twice, first 7 in table `person`"), "{message}");
    }

    #[test]
    fn tables_of_the_cdm_are_known_by_name() {
        let known: Vec<&Table> = load::cdm_tables().collect();
        assert!(known.iter().any(|table| table.name == "person") && known.iter().all(|table| table.name != "concept"));
    }
}
