with event as (
    select
        'visit' as event_type,
        visit_occurrence_id as event_id,
        person_id,
        visit_start_date as event_date,
        visit_end_date as event_end_date,
        visit_start_datetime as event_datetime,
        visit_concept_id as concept_id,
        visit_source_value as source_value,
        cast(null as double) as value_as_number,
        cast(null as varchar) as unit_source_value,
        visit_occurrence_id
    from staging.stg_omop__visit_occurrence
    union all
    select
        'condition' as event_type,
        condition_occurrence_id as event_id,
        person_id,
        condition_start_date as event_date,
        condition_end_date as event_end_date,
        condition_start_datetime as event_datetime,
        condition_concept_id as concept_id,
        condition_source_value as source_value,
        cast(null as double) as value_as_number,
        cast(null as varchar) as unit_source_value,
        visit_occurrence_id
    from staging.stg_omop__condition_occurrence
    union all
    select
        'drug' as event_type,
        drug_exposure_id as event_id,
        person_id,
        drug_exposure_start_date as event_date,
        drug_exposure_end_date as event_end_date,
        drug_exposure_start_datetime as event_datetime,
        drug_concept_id as concept_id,
        drug_source_value as source_value,
        cast(null as double) as value_as_number,
        cast(null as varchar) as unit_source_value,
        visit_occurrence_id
    from staging.stg_omop__drug_exposure
    union all
    select
        'procedure' as event_type,
        procedure_occurrence_id as event_id,
        person_id,
        procedure_date as event_date,
        procedure_end_date as event_end_date,
        procedure_datetime as event_datetime,
        procedure_concept_id as concept_id,
        procedure_source_value as source_value,
        cast(null as double) as value_as_number,
        cast(null as varchar) as unit_source_value,
        visit_occurrence_id
    from staging.stg_omop__procedure_occurrence
    union all
    select
        'device' as event_type,
        device_exposure_id as event_id,
        person_id,
        device_exposure_start_date as event_date,
        device_exposure_end_date as event_end_date,
        device_exposure_start_datetime as event_datetime,
        device_concept_id as concept_id,
        device_source_value as source_value,
        cast(null as double) as value_as_number,
        cast(null as varchar) as unit_source_value,
        visit_occurrence_id
    from staging.stg_omop__device_exposure
    union all
    select
        'measurement' as event_type,
        measurement_id as event_id,
        person_id,
        measurement_date as event_date,
        cast(null as date) as event_end_date,
        measurement_datetime as event_datetime,
        measurement_concept_id as concept_id,
        measurement_source_value as source_value,
        value_as_number,
        unit_source_value,
        visit_occurrence_id
    from staging.stg_omop__measurement
    union all
    select
        'observation' as event_type,
        observation_id as event_id,
        person_id,
        observation_date as event_date,
        cast(null as date) as event_end_date,
        observation_datetime as event_datetime,
        observation_concept_id as concept_id,
        observation_source_value as source_value,
        value_as_number,
        unit_source_value,
        visit_occurrence_id
    from staging.stg_omop__observation
    union all
    select
        'death' as event_type,
        person_id as event_id,
        person_id,
        death_date as event_date,
        cast(null as date) as event_end_date,
        death_datetime as event_datetime,
        coalesce(cause_concept_id, cast(0 as integer)) as concept_id,
        cause_source_value as source_value,
        cast(null as double) as value_as_number,
        cast(null as varchar) as unit_source_value,
        cast(null as bigint) as visit_occurrence_id
    from staging.stg_omop__death
),

concept as (
    select * from staging.stg_vocabulary__concept
),

final as (
    select
        event.person_id,
        event.event_date,
        event.event_type,
        event.event_id,
        event.event_end_date,
        event.event_datetime,
        event.concept_id,
        concept.concept_name,
        concept.vocabulary_id,
        event.source_value,
        event.value_as_number,
        event.unit_source_value,
        event.visit_occurrence_id
    from event
    left join concept on event.concept_id = concept.concept_id
)

select * from final
