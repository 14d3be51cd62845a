with source as (
    select * from omop.observation
),

final as (
    select
        observation_id,
        person_id,
        observation_concept_id,
        observation_source_value,
        observation_source_concept_id,
        observation_type_concept_id,
        observation_date,
        observation_datetime,
        value_as_number,
        value_as_string,
        value_as_concept_id,
        unit_concept_id,
        unit_source_value,
        visit_occurrence_id,
        provider_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
