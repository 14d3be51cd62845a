with source as (
    select * from omop.procedure_occurrence
),

final as (
    select
        procedure_occurrence_id,
        person_id,
        procedure_concept_id,
        procedure_source_value,
        procedure_source_concept_id,
        procedure_type_concept_id,
        procedure_date,
        procedure_datetime,
        procedure_end_date,
        procedure_end_datetime,
        visit_occurrence_id,
        provider_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
