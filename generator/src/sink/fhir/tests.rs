//! One resource of each type that few patients have, element by element.

use serde_json::{Value, json};

use super::*;
use crate::Options;
use crate::module::built_in;
use crate::moment::{DAY, HOUR, midnight};
use crate::record::{
    Administration, Amounts, CarePlan, Condition, Coverage, Device, Encounter, ImagingStudy, Payer, Procedure, Series,
    Supply,
};

const STRIPS: &str = "337388004";

/// The list of codes that begins with that code.
fn list(world: &World, code: &str) -> Id {
    let codes = &world.library.codes;
    (0..codes.lists().len() as Id).find(|list| codes.first(*list).code == code).unwrap()
}

/// One visit at which everything happens.
fn record(world: &World) -> Record {
    let (patient, _) = world.population.person(&world.options, 0);
    let time = midnight(world.options.end_date) - 30 * DAY + 9 * HOUR;
    let encounter = Some(0);
    let code = |code| list(world, code);
    let visit = Encounter {
        class: EncounterClass::Emergency,
        codes: code("50849002"),
        reason: Some(code("16114001")),
        start: time,
        end: time + HOUR,
        practitioner: 2,
        organization: 1,
        discharge: None,
    };
    let condition =
        Condition { codes: code("44054006"), encounter, onset: time, recorded: time, abatement: None, problem: true };
    let plan = CarePlan {
        codes: code("698360004"),
        activities: Some(code("160670007")),
        reason: Some(0),
        encounter,
        start: time,
        end: None,
    };
    let over = CarePlan { end: Some(time + DAY), activities: None, reason: None, encounter: None, ..plan.clone() };
    let given = Administration { codes: code("313002"), encounter, reason: Some(0), time, dose: Some(2.0) };
    let device = Device { codes: code("705643001"), encounter, serial: 77, start: time, end: Some(time + DAY) };
    let procedure =
        Procedure { codes: code("19490002"), encounter, reason: visit.reason, start: time, end: Some(time + HOUR) };
    let class = code("1.2.840.10008.5.1.4.1.1.1.1");
    let series = Series { body_site: code("344001"), modality: code("DX"), instances: vec![class; 2] };
    let study = ImagingStudy {
        codes: procedure.codes,
        procedure: Some(0),
        encounter,
        reason: visit.reason,
        time,
        series: vec![series.clone(), series],
    };
    Record {
        patient,
        encounters: vec![visit],
        conditions: vec![condition],
        procedures: vec![procedure],
        care_plans: vec![plan, over],
        administrations: vec![given],
        devices: vec![device],
        supplies: vec![Supply { codes: code(STRIPS), quantity: 300, encounter, time }],
        imaging_studies: vec![study],
        coverages: vec![Coverage {
            payer: Payer::Private,
            from: world.options.end_date - chrono::Days::new(400),
            to: world.options.end_date,
        }],
        ..Record::default()
    }
}

/// The resources of a type.
fn written(resource_type: &str) -> (Vec<Value>, Record) {
    let options = Options { claims: true, notes: true, ..Options::default() };
    let world = World::new(&options, &built_in()).unwrap();
    let record = record(&world);
    let mut sink = FhirSink::new(&world);
    sink.write(&record, &record.select(Moment::MIN, true));
    let place = TYPES.iter().position(|known| *known == resource_type).unwrap();
    let text = String::from_utf8(std::mem::take(&mut sink.lines.bytes[place])).unwrap();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), record)
}

fn id(record: &Record, kind: &str) -> String {
    format!("{kind}/{}", record.patient.id(kind, 0))
}

#[test]
fn a_care_plan_says_what_is_to_be_done_and_why() {
    let (plans, record) = written("CarePlan");
    let plan = &plans[0];
    assert_eq!(plan["text"]["div"], "<div xmlns=\"http://www.w3.org/1999/xhtml\">Diabetes self management plan</div>");
    assert_eq!([&plan["status"], &plan["intent"]], ["active", "plan"]);
    assert_eq!(plan["category"][0]["coding"][0]["code"], "assess-plan");
    assert_eq!(plan["category"][1]["coding"][0]["code"], "698360004");
    assert_eq!(plan["addresses"], json!([{"reference": id(&record, "Condition")}]));
    assert_eq!(plan["activity"].as_array().unwrap().len(), 2);
    assert_eq!(plan["activity"][0]["detail"]["code"]["coding"][0]["code"], "160670007");
    assert_eq!(plan["activity"][1]["detail"]["status"], "in-progress");
    assert!(plan["period"]["end"].is_null() && plan["period"]["start"].is_string());
    assert_eq!(plans[1]["status"], "completed");
    assert!(plans[1]["period"]["end"].is_string());
    for absent in ["activity", "addresses", "author", "encounter"] {
        assert!(plans[1][absent].is_null(), "{absent}");
    }
}

#[test]
fn an_administration_names_drug_dose_visit_and_reason() {
    let (given, record) = written("MedicationAdministration");
    assert_eq!(given[0]["status"], "completed");
    assert_eq!(given[0]["category"]["coding"][0]["code"], "outpatient");
    assert_eq!(given[0]["medicationCodeableConcept"]["coding"][0]["code"], "313002");
    assert_eq!(given[0]["context"]["reference"], id(&record, "Encounter"));
    assert_eq!(given[0]["reasonReference"][0]["reference"], id(&record, "Condition"));
    assert_eq!(given[0]["dosage"], json!({"dose": {"value": 2}}));
    assert!(given[0]["performer"][0]["actor"]["reference"].as_str().unwrap().starts_with("Practitioner/"));
}

#[test]
fn a_device_has_a_label_and_a_statement_of_its_use() {
    let (devices, record) = written("Device");
    let device = &devices[0];
    let (label, udi) = (&device["udiCarrier"][0], record.devices[0].udi("705643001"));
    assert_eq!(label["deviceIdentifier"], udi.device_identifier);
    assert_eq!(label["carrierHRF"], udi.carrier());
    assert_eq!([&device["lotNumber"], &device["serialNumber"]], [&udi.lot, &udi.serial]);
    assert_eq!(device["deviceName"], json!([{"name": "Coronary artery stent", "type": "user-friendly-name"}]));
    assert_eq!(
        (&device["status"], &device["patient"]["reference"]),
        (&json!("inactive"), &json!(id(&record, "Patient")))
    );
    let (statements, _) = written("DeviceUseStatement");
    assert_eq!(statements[0]["status"], "completed");
    assert_eq!(statements[0]["device"]["reference"], id(&record, "Device"));
    assert_eq!(statements[0]["recordedOn"], statements[0]["timingPeriod"]["start"]);
    assert!(statements[0]["timingPeriod"]["end"].is_string() && statements[0]["source"]["reference"].is_string());
}

#[test]
fn supplies_have_an_item_and_a_supplier() {
    let (supplies, _) = written("SupplyDelivery");
    assert_eq!(supplies[0]["type"]["coding"][0]["code"], "device");
    let item = &supplies[0]["suppliedItem"];
    assert_eq!(item["quantity"], json!({"value": 300}));
    assert_eq!(item["itemCodeableConcept"]["coding"][0]["code"], STRIPS);
    assert!(supplies[0]["supplier"]["reference"].as_str().unwrap().starts_with("Organization/"));
}

#[test]
fn every_picture_has_a_number_of_its_own() {
    let (studies, record) = written("ImagingStudy");
    let study = &studies[0];
    assert_eq!((&study["status"], study["modality"].as_array().unwrap().len()), (&json!("available"), 1));
    assert_eq!((&study["numberOfSeries"], &study["numberOfInstances"]), (&json!(2), &json!(4)));
    assert_eq!(study["procedureReference"]["reference"], id(&record, "Procedure"));
    assert_eq!(study["reasonCode"][0]["coding"][0]["code"], "16114001");
    let series = study["series"].as_array().unwrap();
    assert_eq!((&series[1]["number"], &series[1]["bodySite"]["code"]), (&json!(2), &json!("344001")));
    let instances: Vec<&Value> = series.iter().flat_map(|series| series["instance"].as_array().unwrap()).collect();
    assert_eq!(instances[0]["sopClass"]["code"], "urn:oid:1.2.840.10008.5.1.4.1.1.1.1");
    let mut uids: Vec<&str> =
        instances.iter().chain(&series.iter().collect::<Vec<_>>()).map(|it| it["uid"].as_str().unwrap()).collect();
    uids.push(study["identifier"][0]["value"].as_str().unwrap().strip_prefix("urn:oid:").unwrap());
    let all = uids.len();
    uids.sort_unstable();
    uids.dedup();
    assert_eq!((uids.len(), all), (7, 7));
    assert!(uids.iter().all(|uid| uid.starts_with("2.25.") && uid.len() <= 64), "{uids:?}");
}

#[test]
fn what_is_asked_and_paid_is_told_once_each() {
    let (claims, record) = written("Claim");
    let amounts = Amounts::of(&record, 0, Payer::Private);
    // An emergency visit with a procedure, a study and something given: 510 + 150 + 60 + 40 dollars.
    assert_eq!(amounts, Amounts { charge: 190_000, allowed: 108_680, by_patient: 23_736 });
    assert_eq!(claims[0]["total"], json!({"value": 1900, "currency": "USD"}));
    assert_eq!(claims[0]["type"]["coding"][0]["code"], "institutional");
    assert_eq!(claims[0]["insurance"][0]["coverage"]["reference"], id(&record, "Coverage"));
    assert_eq!(claims[0]["item"][0]["encounter"][0]["reference"], id(&record, "Encounter"));
    let (answers, _) = written("ExplanationOfBenefit");
    assert_eq!(answers[0]["claim"]["reference"], id(&record, "Claim"));
    let paid: Vec<&Value> = answers[0]["total"].as_array().unwrap().iter().map(|it| &it["amount"]["value"]).collect();
    assert_eq!(paid, [&json!(1900), &json!(1086.8), &json!(237.36)]);
    assert_eq!(answers[0]["payment"]["amount"]["value"], 849.44);
    let (coverages, _) = written("Coverage");
    assert_eq!(coverages[0]["type"]["coding"][0]["code"], "5");
    assert_eq!(coverages[0]["payor"][0]["reference"], answers[0]["insurer"]["reference"]);
    assert_eq!(coverages[0]["subscriberId"].as_str().unwrap().len(), 9);
}

#[test]
fn a_note_says_in_words_what_was_done() {
    let (documents, record) = written("DocumentReference");
    assert_eq!(documents[0]["type"]["coding"][0]["code"], "34111-5");
    assert_eq!(documents[0]["context"]["encounter"][0]["reference"], id(&record, "Encounter"));
    let world = World::new(&Options::default(), &built_in()).unwrap();
    let text = crate::record::note::text(&record, &world.library.codes, 0);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Emergency department Note");
    assert!(lines[1].ends_with(", seen on 2025-12-02."), "{text}");
    assert_eq!(lines[2..4], ["Reason: Fracture of ankle.", "Diagnoses: Type 2 diabetes mellitus."]);
    assert_eq!(lines[7], "Plan: Diabetes self management plan.");
    for name in record.patient.given.iter().chain([&record.patient.family]) {
        assert!(!text.contains(name.as_str()), "{text}");
    }
}
