//! Device, DeviceUseStatement, SupplyDelivery.

use super::FhirSink;
use crate::moment::write_date;
use crate::record::Record;

impl FhirSink<'_> {
    pub(super) fn device(&mut self, record: &Record, index: u32) {
        let device = &record.devices[index as usize];
        let code = self.world.library.codes.first(device.codes);
        let udi = device.udi(&code.code);
        self.begin("Device", record.patient.id("Device", u64::from(index)), "us-core-device");
        self.json.array("udiCarrier");
        self.json.item();
        self.json.text("deviceIdentifier", &udi.device_identifier);
        self.json.text("issuer", "http://hl7.org/fhir/NamingSystem/gs1-di");
        self.json.text("jurisdiction", "http://hl7.org/fhir/NamingSystem/fda-udi");
        self.json.text("carrierHRF", &udi.carrier());
        self.json.text("entryType", "barcode");
        self.json.end();
        self.json.end_array();
        self.json.text("status", if device.end.is_some() { "inactive" } else { "active" });
        self.json.plain("manufactureDate", |out| write_date(udi.manufactured, out));
        self.json.plain("expirationDate", |out| write_date(udi.expires, out));
        self.json.text("lotNumber", &udi.lot);
        self.json.text("serialNumber", &udi.serial);
        self.json.array("deviceName");
        self.json.item();
        self.json.text("name", &code.display);
        self.json.text("type", "user-friendly-name");
        self.json.end();
        self.json.end_array();
        self.concept("type", device.codes);
        self.subject("patient", record);
        self.finish("Device");
    }

    /// Says since when somebody has a device: the Device itself has no place for that.
    pub(super) fn device_use_statement(&mut self, record: &Record, index: u32) {
        let device = &record.devices[index as usize];
        let id = record.patient.id("DeviceUseStatement", u64::from(index));
        self.begin_plain("DeviceUseStatement", id);
        self.status(if device.end.is_some() { "completed" } else { "active" });
        self.subject("subject", record);
        self.json.object("timingPeriod");
        self.moment("start", record, device.start);
        if let Some(end) = device.end {
            self.moment("end", record, end);
        }
        self.json.end();
        self.moment("recordedOn", record, device.start);
        if let Some(practitioner) = self.practitioner_of(record, device.encounter) {
            self.json.reference("source", "Practitioner", practitioner);
        }
        self.json.reference("device", "Device", record.patient.id("Device", u64::from(index)));
        self.finish("DeviceUseStatement");
    }

    pub(super) fn supply_delivery(&mut self, record: &Record, index: u32) {
        let supply = &record.supplies[index as usize];
        self.begin_plain("SupplyDelivery", record.patient.id("SupplyDelivery", u64::from(index)));
        self.json.text("status", "completed");
        self.subject("patient", record);
        self.fixed("type", "http://terminology.hl7.org/CodeSystem/supply-item-type", "device", "Device");
        self.json.object("suppliedItem");
        self.json.object("quantity");
        self.quantity(f64::from(supply.quantity), None);
        self.concept("itemCodeableConcept", supply.codes);
        self.json.end();
        self.moment("occurrenceDateTime", record, supply.time);
        if let Some(encounter) = supply.encounter {
            let organization = record.encounters[encounter as usize].organization;
            let supplier = self.world.facilities.id("Organization", organization);
            self.json.reference("supplier", "Organization", supplier);
        }
        self.finish("SupplyDelivery");
    }
}
