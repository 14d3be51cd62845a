with source as (
    select * from omop.death
),

final as (
    select
        person_id,
        death_date,
        death_datetime,
        death_type_concept_id,
        cause_concept_id,
        cause_source_value,
        source_id,
        pipeline_run_id
    from source
)

select * from final
