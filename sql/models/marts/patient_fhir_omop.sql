with resource as (
    select source_id, patient_id, 'Encounter' as resource_type, resource_id
    from staging.stg_fhir__encounter
    union all
    select source_id, patient_id, 'Condition' as resource_type, resource_id
    from staging.stg_fhir__condition
    union all
    select source_id, patient_id, 'Observation' as resource_type, resource_id
    from staging.stg_fhir__observation
    union all
    select source_id, patient_id, 'Procedure' as resource_type, resource_id
    from staging.stg_fhir__procedure
    union all
    select source_id, patient_id, 'MedicationRequest' as resource_type, resource_id
    from staging.stg_fhir__medication_request
    union all
    select source_id, patient_id, 'Immunization' as resource_type, resource_id
    from staging.stg_fhir__immunization
    union all
    select source_id, patient_id, 'AllergyIntolerance' as resource_type, resource_id
    from staging.stg_fhir__allergy_intolerance
),

crosswalk as (
    select * from staging.stg_quality__crosswalk
),

patient as (
    select * from staging.stg_fhir__patient
),

person as (
    select * from marts.patient_demographics
),

of_patient as (
    select
        resource.source_id,
        resource.patient_id,
        count(*) as resource_count,
        count(case when resource.resource_type = 'Encounter' then 1 end) as encounter_count,
        count(case when resource.resource_type = 'Condition' then 1 end) as condition_count,
        count(case when resource.resource_type = 'Observation' then 1 end) as observation_count,
        count(case when resource.resource_type = 'Procedure' then 1 end) as procedure_count,
        count(case when resource.resource_type = 'MedicationRequest' then 1 end) as medication_request_count,
        count(case when resource.resource_type = 'Immunization' then 1 end) as immunization_count,
        count(case when resource.resource_type = 'AllergyIntolerance' then 1 end) as allergy_intolerance_count
    from resource
    group by resource.source_id, resource.patient_id
),

mapped as (
    select
        resource.source_id,
        resource.patient_id,
        count(*) as resource_count
    from resource
    where exists (
        select 1 from crosswalk
        where crosswalk.source_id = resource.source_id
            and crosswalk.resource_type = resource.resource_type
            and crosswalk.resource_id = resource.resource_id
    )
    group by resource.source_id, resource.patient_id
),

of_person as (
    select
        person_id,
        count(*) as event_count,
        count(case when event_type = 'visit' then 1 end) as visit_count,
        count(case when concept_id = 0 then 1 end) as unmapped_event_count
    from marts.patient_timeline
    where event_type <> 'death'
    group by person_id
),

final as (
    select
        patient.resource_key,
        patient.source_id,
        patient.resource_id as patient_id,
        person.person_id,
        patient.birth_date as fhir_birth_date,
        person.birth_date as omop_birth_date,
        patient.gender as fhir_gender,
        person.sex as omop_sex,
        patient.is_deceased as fhir_is_deceased,
        person.is_deceased as omop_is_deceased,
        coalesce(of_patient.resource_count, 0) as fhir_resource_count,
        coalesce(mapped.resource_count, 0) as fhir_mapped_resource_count,
        coalesce(of_patient.encounter_count, 0) as fhir_encounter_count,
        coalesce(of_patient.condition_count, 0) as fhir_condition_count,
        coalesce(of_patient.observation_count, 0) as fhir_observation_count,
        coalesce(of_patient.procedure_count, 0) as fhir_procedure_count,
        coalesce(of_patient.medication_request_count, 0) as fhir_medication_request_count,
        coalesce(of_patient.immunization_count, 0) as fhir_immunization_count,
        coalesce(of_patient.allergy_intolerance_count, 0) as fhir_allergy_intolerance_count,
        coalesce(of_person.event_count, 0) as omop_event_count,
        coalesce(of_person.visit_count, 0) as omop_visit_count,
        coalesce(of_person.unmapped_event_count, 0) as omop_unmapped_event_count
    from patient
    left join crosswalk
        on patient.source_id = crosswalk.source_id
        and patient.resource_id = crosswalk.resource_id
        and crosswalk.resource_type = 'Patient'
        and crosswalk.omop_table = 'person'
    left join person on crosswalk.omop_id = person.person_id
    left join of_patient
        on patient.source_id = of_patient.source_id and patient.resource_id = of_patient.patient_id
    left join mapped
        on patient.source_id = mapped.source_id and patient.resource_id = mapped.patient_id
    left join of_person on person.person_id = of_person.person_id
)

select * from final
