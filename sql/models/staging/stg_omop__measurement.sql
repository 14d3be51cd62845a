with source as (
    select * from omop.measurement
),

final as (
    select
        measurement_id,
        person_id,
        measurement_concept_id,
        measurement_source_value,
        measurement_source_concept_id,
        measurement_type_concept_id,
        measurement_date,
        measurement_datetime,
        operator_concept_id,
        value_as_number,
        value_as_concept_id,
        value_source_value,
        unit_concept_id,
        unit_source_value,
        range_low,
        range_high,
        visit_occurrence_id,
        provider_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
