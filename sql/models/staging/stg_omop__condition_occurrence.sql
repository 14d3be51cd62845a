with source as (
    select * from omop.condition_occurrence
),

final as (
    select
        condition_occurrence_id,
        person_id,
        condition_concept_id,
        condition_source_value,
        condition_source_concept_id,
        condition_type_concept_id,
        condition_status_concept_id,
        condition_start_date,
        condition_start_datetime,
        condition_end_date,
        condition_end_datetime,
        visit_occurrence_id,
        provider_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
